//! Fetching a file: only when it changed, from where a broken transfer left off, and never more than was agreed.

use crate::FeedOutcome;
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::{
    ACCEPT, ACCEPT_RANGES, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LINK, RANGE, RETRY_AFTER,
};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// How often a transfer that breaks off is taken up again without a byte of progress.
const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest that a server may ask us to wait.
const MAX_WAIT: Duration = Duration::from_secs(60);
const CHUNK: usize = 64 << 10;
/// The longest that a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 5;

/// What a server said by which a file is recognised again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| text.len() < 512).map(str::to_owned);
        Self { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }

    /// What makes a partial request safe: a weak tag does not.
    fn strong(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| !tag.starts_with("W/")).or(self.last_modified.as_deref())
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Downloaded {
    /// It is as it was.
    Unchanged,
    /// It is in the file, whole.
    Whole(Validators),
}

/// What one request shows besides its address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown<'a> {
    /// A header by which a service knows its users, and what is in it.
    pub(crate) key: Option<(&'static str, &'a str)>,
    /// The kind of document that is asked for.
    pub(crate) accept: Option<&'static str>,
}

/// Fetches files.
pub(crate) struct Downloader {
    client: Client,
}

impl Downloader {
    pub(crate) fn new() -> Result<Self, String> {
        Self::with_token("")
    }

    /// The same, showing a token wherever it asks; none where the token is empty. With one it is led nowhere else.
    pub(crate) fn with_token(token: &str) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        if !token.is_empty() {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| "its token is none".to_owned())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let has_token = !token.is_empty();
        let client = Client::builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::custom(move |attempt| {
                if has_token {
                    return attempt.stop();
                }
                let plain = attempt.url().scheme() != "https" && !is_loopback(attempt.url());
                if plain {
                    attempt.error("it leads to a place without TLS")
                } else if attempt.previous().len() > MAX_REDIRECTS {
                    attempt.stop()
                } else {
                    attempt.follow()
                }
            }))
            .connect_timeout(Duration::from_secs(5))
            // Of each read, not of the whole.
            .timeout(SILENCE)
            .user_agent(concat!("lestrade/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| plain_words(&error))?;
        Ok(Self { client })
    }

    /// Fetches `url` into `to`, of which the beginning may be there from an earlier attempt with the validators in `partial`.
    pub(crate) fn fetch(
        &self,
        url: &str,
        known: &Validators,
        to: &Path,
        most: u64,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Downloaded, FeedOutcome> {
        self.fetch_page(url, known, Shown::default(), to, most, progress).map(|(downloaded, _)| downloaded)
    }

    /// The same of a page of many, showing what is to be shown. Answers also to the address of the next page, if there is one and it is
    /// at the same place (RFC 8288, `rel="next"`).
    pub(crate) fn fetch_page(
        &self,
        url: &str,
        known: &Validators,
        shown: Shown<'_>,
        to: &Path,
        most: u64,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(Downloaded, Option<String>), FeedOutcome> {
        let url: Url = url.parse().map_err(|_| FeedOutcome::Unreachable("its address is not a URL".into()))?;
        if url.scheme() != "https" && !is_loopback(&url) {
            return Err(FeedOutcome::Unreachable("its address is not https".into()));
        }
        let partial = to.with_extension("validators");
        let mut begun: Validators = std::fs::read(&partial).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut attempt = 0;
        let mut wait = FIRST_WAIT;
        loop {
            let had = std::fs::metadata(to).map_or(0, |metadata| metadata.len());
            let outcome = self.attempt(&url, known, shown, &mut begun, to, &partial, most, progress);
            match outcome {
                Ok(downloaded) => {
                    let _ = std::fs::remove_file(&partial);
                    return Ok(downloaded);
                }
                Err(Refusal::Missing(reason)) => return Err(FeedOutcome::Missing(reason)),
                Err(Refusal::Final(reason)) => return Err(FeedOutcome::Unreachable(reason)),
                Err(Refusal::Again(reason, asked)) => {
                    let has = std::fs::metadata(to).map_or(0, |metadata| metadata.len());
                    if has > had {
                        (attempt, wait) = (0, FIRST_WAIT);
                    }
                    attempt += 1;
                    if attempt >= ATTEMPTS {
                        return Err(FeedOutcome::Unreachable(reason));
                    }
                    std::thread::sleep(asked.unwrap_or(wait));
                    wait *= 2;
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one attempt of `fetch`, with all that it knows")]
    fn attempt(
        &self,
        url: &Url,
        known: &Validators,
        shown: Shown<'_>,
        begun: &mut Validators,
        to: &Path,
        partial: &Path,
        most: u64,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(Downloaded, Option<String>), Refusal> {
        let io = |error: std::io::Error| Refusal::Final(format!("it cannot be kept: {error}"));
        let have = std::fs::metadata(to).map_or(0, |metadata| metadata.len());
        let mut request = self.client.get(url.clone());
        if let Some((name, value)) = shown.key.filter(|(_, value)| !value.is_empty()) {
            let mut value = HeaderValue::from_str(value).map_err(|_| Refusal::Final("its key is none".into()))?;
            value.set_sensitive(true);
            request = request.header(HeaderName::from_static(name), value);
        }
        if let Some(kind) = shown.accept {
            request = request.header(ACCEPT, kind);
        }
        match begun.strong().filter(|_| have > 0) {
            Some(validator) => request = request.header(RANGE, format!("bytes={have}-")).header(IF_RANGE, validator),
            None => {
                request = match (&known.etag, &known.last_modified) {
                    (Some(tag), _) => request.header(IF_NONE_MATCH, tag),
                    (None, Some(date)) => request.header(IF_MODIFIED_SINCE, date),
                    (None, None) => request,
                };
            }
        }
        let response = request.send().map_err(|error| match error.is_connect() && have == 0 {
            // Where there is no way, another attempt only takes time; somebody may be waiting for a scan.
            true => Refusal::Final(plain_words(&error)),
            false => Refusal::Again(plain_words(&error), None),
        })?;
        let status = response.status();
        let offset = match status {
            StatusCode::NOT_MODIFIED => return Ok((Downloaded::Unchanged, None)),
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if range_begins_at(&response, have) => have,
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT => {
                // What was begun is of another file now: from the start.
                std::fs::remove_file(to).map_err(io)?;
                return Err(Refusal::Again("what was begun does not fit what there is".into(), None));
            }
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
                let asked = seconds.map(Duration::from_secs).filter(|wait| *wait <= MAX_WAIT);
                return Err(Refusal::Again(format!("the server answers {}", status.as_u16()), asked));
            }
            // Stores of objects deny what is not there.
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => {
                return Err(Refusal::Missing(format!("the server answers {}", status.as_u16())));
            }
            _ => return Err(Refusal::Final(format!("the server answers {}", status.as_u16()))),
        };
        let next = response.headers().get(LINK).and_then(|links| next_page(links.to_str().ok()?, url));
        let validators = Validators::of(response.headers());
        let rest = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let total = rest.map(|rest| offset + rest);
        if total.is_some_and(|total| total > most) {
            return Err(Refusal::Final(format!("it is larger than {} MiB", most >> 20)));
        }
        if offset == 0 && response.headers().contains_key(ACCEPT_RANGES) {
            *begun = validators.clone();
            std::fs::write(partial, serde_json::to_vec(begun).unwrap_or_default()).map_err(io)?;
        }
        let file = OpenOptions::new().create(true).write(true).truncate(offset == 0).append(offset > 0).open(to).map_err(io)?;
        copy(response, file, offset, total, most, progress)?;
        Ok((Downloaded::Whole(validators), next))
    }
}

/// Why an attempt failed.
enum Refusal {
    /// Another one may do, after so long if the server says it.
    Again(String, Option<Duration>),
    Missing(String),
    Final(String),
}

fn copy(
    mut from: Response,
    mut to: File,
    mut done: u64,
    total: Option<u64>,
    most: u64,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), Refusal> {
    let mut chunk = vec![0; CHUNK];
    loop {
        progress(done, total);
        let read = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(Refusal::Again("the transfer broke off".into(), None)),
        };
        done += read as u64;
        if done > most {
            return Err(Refusal::Final(format!("it is larger than {} MiB", most >> 20)));
        }
        to.write_all(&chunk[..read]).map_err(|error| Refusal::Final(format!("it cannot be kept: {error}")))?;
    }
    match total {
        Some(total) if done != total => Err(Refusal::Again(format!("the transfer ended at byte {done} of {total}"), None)),
        _ => Ok(()),
    }
}

fn range_begins_at(response: &Response, offset: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok()) == Some(offset)
}

/// The next page that a list of links names, if it is at the same place as this one: what is shown to a service is shown to no other.
fn next_page(links: &str, url: &Url) -> Option<String> {
    let link = links.split(',').find(|link| link.split(';').skip(1).any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next")))?;
    let address = link.split(';').next()?.trim().strip_prefix('<')?.strip_suffix('>')?;
    let next = url.join(address).ok()?;
    (next.origin() == url.origin()).then(|| next.to_string())
}

/// Whether an address is on this machine.
pub(crate) fn is_here(url: &str) -> bool {
    url.parse().is_ok_and(|url| is_loopback(&url))
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// A client's error without addresses, which may hold secrets.
fn plain_words(error: &reqwest::Error) -> String {
    if error.is_connect() {
        "it cannot be reached".into()
    } else if error.is_timeout() {
        "it does not answer in time".into()
    } else if error.is_redirect() {
        "it leads on too often, or to a place without TLS".into()
    } else {
        "the transfer failed".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_at_the_same_place() {
        let url: Url = "https://api.example/advisories?per_page=100".parse().unwrap();
        let next = |links: &str| next_page(links, &url);
        let links = r#"<https://api.example/advisories?after=x>; rel="next", <https://api.example/advisories>; rel="first""#;
        assert_eq!(next(links).as_deref(), Some("https://api.example/advisories?after=x"));
        assert_eq!(next(r#"</advisories?after=y>; rel="prev""#), None);
        assert_eq!(next(r#"</advisories?after=y>; rel="next""#).as_deref(), Some("https://api.example/advisories?after=y"));
        assert_eq!(next(r#"<https://elsewhere.example/>; rel="next""#), None);
        assert_eq!(next(r#"<http://api.example/>; rel="next""#), None, "without TLS it is another place");
    }
}
