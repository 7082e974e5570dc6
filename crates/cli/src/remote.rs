//! Talking to the server of this state folder: it notes where it listens and the token that it takes.

use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::state::{ADDRESS, TOKEN};
use lestrade_events::EgressPolicy;
use lestrade_events::http::{Answer, Http, exchange};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// How many rows are asked for at a time.
const PAGE: usize = 100;

/// How long a file may take to be sent and read.
const UPLOAD: Duration = Duration::from_secs(900);

/// Rows of a listing.
pub(crate) struct Rows {
    /// As many as were asked for.
    pub(crate) rows: Vec<Value>,
    /// Whether there are more.
    pub(crate) more: bool,
    /// What else the last answer said.
    pub(crate) answer: Value,
}

/// The server of a state folder.
pub(crate) struct Remote {
    http: Http,
    base: String,
    token: String,
}

impl Remote {
    /// The server of the settings' state folder.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Failure> {
        let state = settings.path("state-dir");
        let read = |path: PathBuf| {
            std::fs::read_to_string(&path).map(|text| text.trim().to_owned()).map_err(|error| {
                Failure::new("E0350", Exit::Network, format!("no server is known in '{}'", state.display()))
                    .cause(format!("{}: {error}", path.display()))
                    .try_("lestrade serve      # or --set state-dir=… of the one that runs")
            })
        };
        let (base, token) = (read(state.join(ADDRESS))?, read(state.join(TOKEN))?);
        let http = Http::new(EgressPolicy::AllowPrivate).map_err(|error| Failure::new("E0350", Exit::Network, error))?;
        Ok(Self { http, base, token })
    }

    /// Reads.
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.ask("GET", path, query, None)
    }

    /// Has something done.
    pub(crate) fn post(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.ask("POST", path, query, None)
    }

    /// Sends a document.
    pub(crate) fn send(&self, path: &str, document: &Value) -> Result<Value, Failure> {
        self.ask("POST", path, &[], Some(document.to_string()))
    }

    /// Has something removed.
    pub(crate) fn remove(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.ask("DELETE", path, query, None)
    }

    /// Sends a file, which may be large.
    pub(crate) fn upload(&self, path: &str, query: &[(&str, &str)], file: std::fs::File) -> Result<Value, Failure> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query);
        let request = self.http.post(url, String::new()).timeout(UPLOAD).body(file);
        let answer = exchange(request.bearer_auth(&self.token)).map_err(|error| down(error.to_string()))?;
        read(&answer)
    }

    /// Reads rows page by page, at most `most`.
    pub(crate) fn rows(&self, path: &str, member: &str, query: &[(&str, &str)], most: usize) -> Result<Rows, Failure> {
        let mut rows: Vec<Value> = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let limit = most.saturating_sub(rows.len()).clamp(1, PAGE).to_string();
            let mut asked = vec![("limit", limit.as_str())];
            asked.extend_from_slice(query);
            asked.extend(page.as_deref().map(|page| ("page", page)));
            let mut answer = self.get(path, &asked)?;
            if let Some(Value::Array(more)) = answer.get_mut(member).map(Value::take) {
                rows.extend(more);
            }
            page = answer["next"].as_str().map(str::to_owned);
            if page.is_none() || rows.len() >= most {
                let more = page.is_some() || rows.len() > most;
                rows.truncate(most);
                return Ok(Rows { rows, more, answer });
            }
        }
    }

    fn url(&self, path: &str) -> Result<url::Url, Failure> {
        format!("{}/api/v1/{path}", self.base).parse().map_err(|_| down(format!("'{}' is no address", self.base)))
    }

    fn ask(&self, method: &str, path: &str, query: &[(&str, &str)], body: Option<String>) -> Result<Value, Failure> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = match method {
            "GET" => self.http.get(url),
            "POST" => self.http.post(url, body.unwrap_or_default()),
            other => self.http.request(other.parse().map_err(|_| down(format!("'{other}' is no method")))?, url),
        };
        let answer = exchange(request.bearer_auth(&self.token)).map_err(|error| down(error.to_string()))?;
        read(&answer)
    }
}

fn down(why: String) -> Failure {
    Failure::new("E0350", Exit::Network, "the server does not answer")
        .cause(why)
        .try_("lestrade serve      # or --set state-dir=… of the one that runs")
}

/// A part of a path: whatever it holds, it stays one.
pub(crate) fn part(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn read(answer: &Answer) -> Result<Value, Failure> {
    let refused = |said: String| Failure::new("E0351", Exit::Input, "the server does not do it").cause(said);
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|_| refused("its answer cannot be read".to_owned())),
        status => Err(refused(answer.json()["error"].as_str().map_or_else(|| format!("it answered {status}"), str::to_owned))),
    }
}
