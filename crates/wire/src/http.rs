//! Requests and responses as plain values.

use std::future::Future;

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, in capitals.
    pub method: String,
    /// The path as it stands in the request line, percent-encoded, without the query.
    pub path: String,
    /// What follows the `?`, as it stands; empty when nothing does.
    pub query: String,
    /// Names and values in the order of the message; names in any case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Names and values; names in any case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl HttpResponse {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// A request that got no response.
#[derive(Debug, thiserror::Error)]
#[error("no answer: {0}")]
pub struct TransportError(pub String);

/// Whoever has a connection. Its responses are bounded in size and time; that is its business, not the protocol's.
pub trait Transport: Send + Sync {
    /// Sends `request` to the server at `origin` (`https://host:port`) and waits for the whole response.
    fn send(&self, origin: &str, request: HttpRequest) -> impl Future<Output = Result<HttpResponse, TransportError>> + Send;
}
