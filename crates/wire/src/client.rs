//! Calling a service.

use crate::sigv4::{Credentials, sign};
use crate::{Error, HttpRequest, HttpResponse, Protocol, Request, Service, Transport, json, query, rest_json};
use lestrade_model::Clock;
use serde_json::Value;
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
        let input = serde_json::to_value(input).map_err(|error| Error::Malformed(error.to_string()))?;
        let value = self.ask(R::OPERATION, &input).await?;
        serde_json::from_value(value).map_err(|error| Error::Malformed(error.to_string()))
    }

    /// Asks once for an operation by its data: members as in JSON, in and out.
    ///
    /// # Errors
    /// When no response came, the service refused, or its response is not what its model says.
    pub async fn ask<S: Service>(&self, operation: S, input: &Value) -> Result<Value, Error> {
        let mut request = encode(operation, input)?;
        request.headers.insert(0, ("host".to_owned(), self.endpoint.authority.clone()));
        sign(&mut request, &self.credentials, &self.region, S::SIGNING_NAME, self.clock.now());
        decode(operation, self.transport.send(&self.endpoint.origin(), request).await?)
    }
}

fn encode<S: Service>(operation: S, input: &Value) -> Result<HttpRequest, Error> {
    let binding = operation.binding();
    let plain = |content: &str, body: Vec<u8>| HttpRequest {
        method: binding.method.to_owned(),
        path: binding.uri.to_owned(),
        headers: vec![("content-type".to_owned(), content.to_owned())],
        body,
        ..HttpRequest::default()
    };
    Ok(match S::PROTOCOL {
        Protocol::Ec2 | Protocol::Query => {
            plain("application/x-www-form-urlencoded; charset=utf-8", query::encode(operation, input).into_bytes())
        }
        Protocol::Json { version, target } => {
            let mut request = plain(&format!("application/x-amz-json-{version}"), input.to_string().into_bytes());
            request.headers.push(("x-amz-target".to_owned(), format!("{target}.{}", operation.name())));
            request
        }
        Protocol::RestJson => rest_json::ask(operation, input).ok_or_else(|| Error::Malformed("a label of the path is missing".into()))?,
    })
}

fn decode<S: Service>(operation: S, response: HttpResponse) -> Result<Value, Error> {
    let taken = response.status == operation.binding().status;
    if matches!(S::PROTOCOL, Protocol::RestJson | Protocol::Json { .. }) {
        return if taken { json::answer(operation.output(), &response) } else { Err(json::refusal(&response).into()) };
    }
    let body = String::from_utf8(response.body).map_err(|_| Error::Malformed("not UTF-8".to_owned()))?;
    if !taken {
        return Err(query::refusal(response.status, &body).into());
    }
    query::decode(operation, &body).map_err(|error| Error::Malformed(error.to_string()))
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
