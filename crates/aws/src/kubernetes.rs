//! What runs in clusters of EKS: their API servers are asked for their pods, and for nothing else.
//!
//! Source: EKS's API reference, `DescribeCluster`; the aws-iam-authenticator's description of tokens; the Kubernetes API reference,
//! `GET /api/v1/pods` and "Retrieving large results sets in chunks".

use crate::principal::causes;
use crate::{Error, Listing, Session};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lestrade_wire::eks::Api;
use lestrade_wire::sigv4::presign;
use lestrade_wire::{Endpoint, HttpRequest, Transport, uri};
use reqwest::redirect::Policy;
use reqwest::{Certificate, StatusCode};
use serde_json::json;
use std::time::Duration;

/// The most clusters that EKS puts on a page.
const PAGE: u32 = 100;
/// Pods of one page: some megabytes.
const PODS: u32 = 500;
/// The largest page of pods that is read.
const LARGEST_PAGE: usize = 64 << 20;
const CONNECT: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(60);
/// What tokens of EKS begin with, and how many seconds what is in them may be used for.
const TOKEN: &str = "k8s-aws-v1.";
const TOKEN_SECONDS: u32 = 60;
/// The header that ties a token to its cluster.
const CLUSTER: &str = "x-k8s-aws-id";

/// A cluster whose API server can be asked.
pub struct KubernetesCluster {
    /// Its ARN.
    pub arn: String,
    name: String,
    origin: String,
    client: reqwest::Client,
}

/// The names of the clusters of EKS of a scope.
pub async fn discover_kubernetes<T: Transport + Clone>(session: &Session<T>) -> Listing<String> {
    let listing = session.list(Api::ListClusters, json!({ "maxResults": PAGE }), "clusters").await;
    // A name that is none would be another path of EKS's API.
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let mut listing = listing.map("clusters", |item| item.as_str().filter(|name| is_name(name)).map(str::to_owned));
    listing.items.sort_unstable();
    listing
}

/// A cluster by its name, with what its API server is spoken to; none where it is gone or has no API server yet, or no more.
///
/// # Errors
/// When it cannot be asked for, or is described in a way that nobody could connect by.
pub async fn describe_kubernetes<T: Transport + Clone>(session: &Session<T>, name: &str) -> Result<Option<KubernetesCluster>, Error> {
    let answer = match session.ask(Api::DescribeCluster, &json!({ "name": name })).await {
        Err(error) if error.is_refusal("ResourceNotFoundException") => return Ok(None),
        answer => answer?,
    };
    let cluster = &answer["cluster"];
    let text = |key: &str| cluster[key].as_str().filter(|text| !text.is_empty());
    let Some(origin) = text("endpoint").filter(|_| text("status") != Some("DELETING")) else { return Ok(None) };
    let unusable = |what: &str| Error::Document(format!("the cluster '{name}': {what}"));
    let arn = text("arn").ok_or_else(|| unusable("it has no ARN"))?.to_owned();
    let authority = cluster["certificateAuthority"]["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
    let authority = authority.ok_or_else(|| unusable("it has no certificate authority"))?;
    let authority = Certificate::from_pem_bundle(&authority).map_err(|error| unusable(&causes(&error)))?;
    // Only its own authority is trusted, and only TLS: what is sent to it lets in whoever has it.
    let client = reqwest::Client::builder().tls_certs_only(authority).https_only(true).redirect(Policy::none());
    let client = client.connect_timeout(CONNECT).timeout(WHOLE).build().map_err(|error| Error::Https(causes(&error)))?;
    Ok(Some(KubernetesCluster { arn, name: name.to_owned(), origin: origin.trim_end_matches('/').to_owned(), client }))
}

impl KubernetesCluster {
    /// A page of its pods, as its API server sends it: those after where another page said that it ended.
    ///
    /// # Errors
    /// When it cannot be reached, does not let us in, or sends more than is read.
    pub async fn pods<T: Transport + Clone>(&self, session: &Session<T>, after: Option<&str>) -> Result<Vec<u8>, Error> {
        let token = self.token(session).await?;
        let after = after.map(|after| format!("&continue={}", uri::encode(after))).unwrap_or_default();
        let url = format!("{}/api/v1/pods?limit={PODS}{after}", self.origin);
        let failed = |why: &str| Error::Document(format!("the API server of '{}': {why}", self.name));
        let asked = self.client.get(url).bearer_auth(token).header("accept", "application/json").send().await;
        let mut response = asked.map_err(|error| failed(&causes(&error)))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let remedy = "give whoever asks an access entry with AmazonEKSViewPolicy for the cluster";
                return Err(Error::Denied(format!("the API server of '{}' tells its pods to others: {remedy}", self.name)));
            }
            status => return Err(failed(&format!("it answers with status {status}"))),
        }
        let mut page = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&causes(&error)))? {
            if page.len() + chunk.len() > LARGEST_PAGE {
                return Err(failed(&format!("its answer is larger than {LARGEST_PAGE} bytes")));
            }
            page.extend_from_slice(&chunk);
        }
        Ok(page)
    }

    /// A token: a question to STS who asks, signed and not sent, which the API server sends in our place.
    async fn token<T: Transport + Clone>(&self, session: &Session<T>) -> Result<String, Error> {
        // STS's own address, whatever stands in for it elsewhere: API servers ask no other.
        let sts = Endpoint::of_aws("sts", session.region());
        let mut question = HttpRequest {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: "Action=GetCallerIdentity&Version=2011-06-15".to_owned(),
            headers: vec![("host".to_owned(), sts.authority.clone()), (CLUSTER.to_owned(), self.name.clone())],
            body: Vec::new(),
        };
        presign(&mut question, &session.credentials().await?, session.region(), "sts", session.clock().now(), TOKEN_SECONDS);
        let url = format!("{}://{}/?{}", sts.scheme, sts.authority, question.query);
        Ok(format!("{TOKEN}{}", URL_SAFE_NO_PAD.encode(url)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    #[tokio::test]
    async fn clusters_that_cannot_be_spoken_to_are_none_or_errors() {
        let session = |body: &str| script::session(&Script::of([script::ok(body)]));
        let listing = discover_kubernetes(&session(r#"{"clusters": ["b", "a", "../x"]}"#)).await;
        assert_eq!(listing.items, ["a", "b"]);
        assert!(matches!(listing.missing, Some(Error::Nameless { count: 1, .. })));

        for body in
            [r#"{"cluster": {"name": "a", "status": "CREATING"}}"#, r#"{"cluster": {"status": "DELETING", "endpoint": "https://x"}}"#, "{}"]
        {
            assert!(describe_kubernetes(&session(body), "a").await.unwrap().is_none(), "{body}");
        }
        let gone = script::told(404, r#"{"__type": "ResourceNotFoundException", "message": "no"}"#);
        assert!(describe_kubernetes(&script::session(&Script::of([gone])), "a").await.unwrap().is_none());
        for body in [
            r#"{"cluster": {"endpoint": "https://x"}}"#,
            r#"{"cluster": {"endpoint": "https://x", "arn": "arn:c"}}"#,
            r#"{"cluster": {"endpoint": "https://x", "arn": "arn:c", "certificateAuthority": {"data": "%%"}}}"#,
        ] {
            assert!(describe_kubernetes(&session(body), "a").await.is_err(), "{body}");
        }
    }
}
