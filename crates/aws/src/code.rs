//! The zips of functions and layers: where they are, and fetching them.

use crate::principal::causes;
use crate::{Error, Session};
use lestrade_wire::Transport;
use lestrade_wire::lambda::GetLayerVersionByArnRequest;
use reqwest::redirect::Policy;
use std::io::Write;
use std::time::Duration;
use tempfile::NamedTempFile;

/// The largest zip: Lambda takes none whose content is larger than 250 MiB, and a zip may be larger than its content by a little.
const LARGEST: u64 = 260 << 20;
const WHOLE: Duration = Duration::from_mins(10);

/// The address that a layer's zip can be fetched from for some minutes, by whoever has it: a secret.
///
/// # Errors
/// When it cannot be asked for, or the answer names none.
pub async fn layer_location<T: Transport + Clone>(session: &Session<T>, arn: &str) -> Result<String, Error> {
    let answer = session.call(&GetLayerVersionByArnRequest { arn: arn.to_owned() }).await?;
    let location = answer.content.and_then(|content| content.location).filter(|location| !location.is_empty());
    location.ok_or_else(|| Error::Document("GetLayerVersionByArn: the answer names no content".to_owned()))
}

/// Fetches a zip into a temporary file. Errors do not repeat the address: it holds a signature.
///
/// # Errors
/// When it is neither HTTPS nor on this machine, cannot be fetched, or is larger than any that Lambda takes.
pub async fn download(location: &str) -> Result<NamedTempFile, Error> {
    let failed = |reason: &str| Error::Document(format!("the code cannot be fetched: {reason}"));
    let url: url::Url = location.parse().map_err(|_| failed("its address is no URL"))?;
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err(failed("its address is not one of HTTPS"));
    }
    let client = reqwest::Client::builder().connect_timeout(Duration::from_secs(10)).timeout(WHOLE).redirect(Policy::none()).build();
    let client = client.map_err(|error| Error::Https(causes(&error)))?;
    let io = |error: std::io::Error| failed(&error.to_string());
    let asked = client.get(url).send().await.map_err(|error| failed(&causes(&error.without_url())))?;
    if asked.status() != reqwest::StatusCode::OK {
        return Err(failed(&format!("the answer is {}", asked.status().as_u16())));
    }
    let mut response = asked;
    let mut file = NamedTempFile::new().map_err(io)?;
    let mut size = 0;
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&causes(&error.without_url())))? {
        size += chunk.len() as u64;
        if size > LARGEST {
            return Err(failed("it is larger than any that Lambda takes"));
        }
        file.write_all(&chunk).map_err(io)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn code_comes_over_https_and_its_address_is_not_repeated() {
        for location in ["http://example.com/secret", "file:///etc/passwd", "s3://bucket/secret", "secret"] {
            let error = download(location).await.unwrap_err().to_string();
            assert!(error.starts_with("the code cannot be fetched: ") && !error.contains("secret"), "{error}");
        }
        let refused = download("http://127.0.0.1:1/secret").await.unwrap_err().to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
