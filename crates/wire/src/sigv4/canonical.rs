//! The canonical form of a request: what is signed.

use super::ALGORITHM;
use super::key::{CredentialScope, sha256};
use crate::{HttpRequest, uri};

/// The text that is signed, of a request at a stamp. `signed` are the lower-case names of the signed headers, in any order.
pub(crate) fn string_to_sign(
    request: &HttpRequest,
    signed: &[&str],
    payload: &str,
    stamp: &str,
    scope: &CredentialScope<'_>,
) -> Option<String> {
    let request = canonical_request(request, signed, payload, scope.service)?;
    Some(format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", sha256(request.as_bytes())))
}

fn canonical_request(request: &HttpRequest, signed: &[&str], payload: &str, service: &str) -> Option<String> {
    let mut names = signed.to_vec();
    names.sort_unstable();
    let headers: String = names.iter().map(|name| format!("{name}:{}\n", header_values(request, name))).collect();
    let path = if service == "s3" { request.path.clone() } else { uri::encode_except(&normalised(&request.path), b"/") };
    let query = canonical_query(&request.query)?;
    Some([request.method.as_str(), &path, &query, &headers, &names.join(";"), payload].join("\n"))
}

/// All values of a header in the order of the message, joined by commas; runs of spaces become one.
fn header_values(request: &HttpRequest, name: &str) -> String {
    let values = request.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
    let values: Vec<String> = values.map(|(_, value)| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect();
    values.join(",")
}

/// The path without empty and dot segments; a final slash stays.
fn normalised(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let last = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{last}", segments.join("/"))
}

/// The query's pairs, encoded once and sorted; none when an escape is broken.
fn canonical_query(query: &str) -> Option<String> {
    let mut pairs: Vec<(String, String)> =
        uri::query_pairs(query)?.iter().map(|(name, value)| (uri::encode(name), uri::encode(value))).collect();
    pairs.sort_unstable();
    Some(pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        for (path, canonical) in
            [("/", "/"), ("", "/"), ("//a///b/", "/a/b/"), ("/a/./b/../c", "/a/c"), ("/..", "/"), ("/tags/arn%3Aaws", "/tags/arn%3Aaws")]
        {
            assert_eq!(normalised(path), canonical, "{path}");
        }
    }

    #[test]
    fn queries_are_sorted_by_their_encoded_form() {
        for (query, canonical) in [("b=2&a=1&a=0", "a=0&a=1&b=2"), ("x", "x="), ("k=a%2fb", "k=a%2Fb"), ("", ""), ("a%20b=%7e", "a%20b=~")]
        {
            assert_eq!(canonical_query(query).as_deref(), Some(canonical));
        }
    }

    #[test]
    fn repeated_headers_are_joined_and_spaces_folded() {
        let headers = [("X-A", "  two   words "), ("other", "x"), ("x-a", "b")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let request = HttpRequest { headers: headers.to_vec(), ..HttpRequest::default() };
        assert_eq!(header_values(&request, "x-a"), "two words,b");
    }
}
