//! Talking to the server of this state folder: it notes where it listens and the token that it takes.

use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::state::{ADDRESS, TOKEN};
use lestrade_events::EgressPolicy;
use lestrade_events::http::{Answer, Http, exchange};
use serde_json::Value;
use std::path::PathBuf;

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
        self.ask(true, path, query)
    }

    /// Has something done.
    pub(crate) fn post(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.ask(false, path, query)
    }

    fn ask(&self, reads: bool, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let down = |why: String| {
            Failure::new("E0350", Exit::Network, "the server does not answer")
                .cause(why)
                .try_("lestrade serve      # or --set state-dir=… of the one that runs")
        };
        let url = format!("{}/api/v1/{path}", self.base);
        let mut url: url::Url = url.parse().map_err(|_| down(format!("'{}' is no address", self.base)))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = if reads { self.http.get(url) } else { self.http.post(url, String::new()) };
        let answer = exchange(request.bearer_auth(&self.token)).map_err(|error| down(error.to_string()))?;
        read(&answer)
    }
}

fn read(answer: &Answer) -> Result<Value, Failure> {
    let body = answer.json();
    match answer.status {
        200 => Ok(body),
        status => {
            let said = body["error"].as_str().map_or_else(|| format!("it answered {status}"), str::to_owned);
            Err(Failure::new("E0351", Exit::Input, "the server does not do it").cause(said))
        }
    }
}
