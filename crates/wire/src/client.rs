//! Calling a service.

use crate::sigv4::{Credentials, sign};
use crate::{Error, HttpRequest, Request, Service, Transport, ec2_query};
use lestrade_model::Clock;
use std::sync::Arc;

/// Where a service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `https` or `http`.
    pub scheme: String,
    /// Host, and port if it is not the scheme's own.
    pub authority: String,
}

impl Endpoint {
    /// AWS's own endpoint of a service.
    #[must_use]
    pub fn of_aws(service: &str, region: &str) -> Self {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        Self { scheme: "https".to_owned(), authority: format!("{service}.{region}.{suffix}") }
    }

    /// An endpoint from `http://host:port`; none when the text is not such a URL, or has a path.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        let fine = matches!(scheme, "http" | "https") && !authority.is_empty() && authority.chars().all(plain);
        fine.then(|| Self { scheme: scheme.to_owned(), authority: authority.to_owned() })
    }

    fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// A client of one service in one region.
#[derive(Clone)]
pub struct Client<T> {
    /// What carries the requests.
    pub transport: T,
    /// Where to.
    pub endpoint: Endpoint,
    /// The region that requests are signed for.
    pub region: String,
    /// Who asks.
    pub credentials: Credentials,
    /// Tells the time of a request.
    pub clock: Arc<dyn Clock>,
}

impl<T: Transport> Client<T> {
    /// Asks once.
    ///
    /// # Errors
    /// When no response came, the service refused, or its response is not what its model says.
    pub async fn call<R: Request>(&self, input: &R) -> Result<R::Response, Error> {
        let binding = R::OPERATION.binding();
        let form = ec2_query::encode(input).map_err(|error| Error::Malformed(error.to_string()))?;
        let headers = [("host", self.endpoint.authority.as_str()), ("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let mut request = HttpRequest {
            method: binding.method.to_owned(),
            path: binding.uri.to_owned(),
            query: String::new(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: form.into_bytes(),
        };
        sign(&mut request, &self.credentials, &self.region, <R::Service as Service>::SIGNING_NAME, self.clock.now());
        let response = self.transport.send(&self.endpoint.origin(), request).await?;
        let body = String::from_utf8(response.body).map_err(|_| Error::Malformed("not UTF-8".to_owned()))?;
        if response.status != binding.status {
            return Err(ec2_query::refusal(response.status, &body).into());
        }
        let value = ec2_query::decode::<R>(&body).map_err(|error| Error::Malformed(error.to_string()))?;
        serde_json::from_value(value).map_err(|error| Error::Malformed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_origins() {
        assert_eq!(Endpoint::of_aws("ec2", "eu-west-1").origin(), "https://ec2.eu-west-1.amazonaws.com");
        assert_eq!(Endpoint::of_aws("ec2", "cn-north-1").authority, "ec2.cn-north-1.amazonaws.com.cn");
        assert_eq!(Endpoint::parse("http://127.0.0.1:5000/").unwrap().origin(), "http://127.0.0.1:5000");
        for bad in ["127.0.0.1:5000", "ftp://x", "http://", "http://host/path", "http://user@host", "http://a\r\nb"] {
            assert_eq!(Endpoint::parse(bad), None, "{bad}");
        }
    }
}
