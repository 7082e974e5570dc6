//! The connection: HTTPS with limits on time and size.

use crate::Error;
use crate::principal::causes;
use lestrade_wire::{HttpRequest, HttpResponse, Transport, TransportError};
use reqwest::redirect::Policy;
use std::time::Duration;

/// The largest page that we read; EC2's are a few MiB.
const LARGEST_BODY: usize = 64 << 20;
const CONNECT: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(60);

/// A pool of connections. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Https(reqwest::Client);

impl Https {
    /// A pool. It follows no redirect: a signed request is for one host.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Self, Error> {
        let client = reqwest::Client::builder().connect_timeout(CONNECT).timeout(WHOLE).redirect(Policy::none()).build();
        client.map(Self).map_err(|error| Error::Https(error.to_string()))
    }

    async fn exchange(&self, origin: &str, request: HttpRequest) -> Result<HttpResponse, String> {
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        let url = format!("{origin}{}{query}", request.path);
        let method = request.method.parse::<reqwest::Method>().map_err(|error| error.to_string())?;
        let mut builder = self.0.request(method, url).body(request.body);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let mut response = builder.send().await.map_err(|error| causes(&error))?;
        let status = response.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| causes(&error))? {
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(format!("the response is larger than {LARGEST_BODY} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { status, headers, body })
    }
}

impl Transport for Https {
    async fn send(&self, origin: &str, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.exchange(origin, request).await.map_err(TransportError)
    }
}
