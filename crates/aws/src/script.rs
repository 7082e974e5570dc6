//! A service that answers from a script, for tests.

use crate::{Endpoints, Principal, Retry, Session};
use lestrade_model::{Clock, Timestamp};
use lestrade_wire::sigv4::{Credentials, SecretKey};
use lestrade_wire::{HttpRequest, HttpResponse, Transport, TransportError};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct Script(Arc<Mutex<(VecDeque<HttpResponse>, Vec<String>)>>);

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }
}

impl Script {
    pub(crate) fn of(responses: impl IntoIterator<Item = HttpResponse>) -> Self {
        Self(Arc::new(Mutex::new((responses.into_iter().collect(), Vec::new()))))
    }

    /// The bodies of the requests so far.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.0.lock().unwrap().1.clone()
    }
}

impl Transport for Script {
    async fn send(&self, _: &str, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let mut state = self.0.lock().unwrap();
        state.1.push(String::from_utf8(request.body).unwrap());
        state.0.pop_front().ok_or_else(|| TransportError("the script has ended".into()))
    }
}

pub(crate) fn session(script: &Script) -> Session<Script> {
    let credentials = Credentials { access_key: "AKID".into(), secret: SecretKey::new("secret".into()), session_token: None };
    let retry = Retry { attempts: 3, first_wait: Duration::ZERO, longest: Duration::ZERO };
    Session::new(script.clone(), Endpoints::default(), "eu-west-1", Principal::fixed(credentials), Arc::new(Still)).retrying(retry)
}

pub(crate) fn ok(body: &str) -> HttpResponse {
    HttpResponse { status: 200, body: body.into(), ..HttpResponse::default() }
}

pub(crate) fn told(status: u16, body: &str) -> HttpResponse {
    HttpResponse { status, body: body.into(), ..HttpResponse::default() }
}

pub(crate) fn refused(status: u16, code: &str) -> HttpResponse {
    let body = format!("<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors></Response>");
    HttpResponse { status, body: body.into(), ..HttpResponse::default() }
}

pub(crate) fn groups(ids: &[&str], token: &str) -> String {
    let items: String = ids.iter().map(|id| format!("<item><groupId>{id}</groupId></item>")).collect();
    format!("<R><securityGroupInfo>{items}</securityGroupInfo><nextToken>{token}</nextToken></R>")
}

pub(crate) fn reservation(owner: &str, instances: &str, token: &str) -> String {
    format!(
        "<R><reservationSet><item><ownerId>{owner}</ownerId><instancesSet>{instances}</instancesSet></item></reservationSet>\
         <nextToken>{token}</nextToken></R>"
    )
}
