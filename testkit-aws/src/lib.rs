//! AWS as tests have it: moto, and what moto lacks filled by answers of our own over the same wire.
//!
//! Calls are found and read by the models of `wire`, and what is answered in place of moto is held against them too: where we
//! misread the model, both sides do not agree by accident.

mod amend;
mod answer;
mod call;

use anyhow::Result;
use call::Call;
use lestrade_testkit::{Asked, FileServer, Reply, Responder};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is answered in place of moto, which tests change as they go.
#[derive(Debug, Default)]
pub struct Filled {
    /// What SSM knows of instances: their description, and their packages.
    pub managed: BTreeMap<String, (Value, Vec<Value>)>,
    /// The content of every snapshot: a disk in a file, of so many GiB.
    pub disk: Option<(PathBuf, u64)>,
    /// What an upgrade by SSM leaves of an instance's packages, by its id; an upgrade of others changes nothing.
    pub upgraded: BTreeMap<String, Vec<Value>>,
    /// The scripts that upgraded something.
    pub upgrades: Vec<String>,
    /// The roots of instances that run what SSM sends them, by their ids.
    pub roots: BTreeMap<String, PathBuf>,
    /// What they printed, by the command and the instance.
    printed: BTreeMap<(String, String), String>,
    /// The host of the registry that holds the images' layers.
    pub registry: String,
    /// The zips of functions, by name, or by name and version (`name:1`), and of layers, by ARN.
    pub code: BTreeMap<String, Vec<u8>>,
    /// When functions changed last, by name, as Lambda writes it.
    pub modified: BTreeMap<String, String>,
    /// When all images were pushed, and when they were pulled last if they were, in seconds since 1970.
    pub pushed: Option<(i64, Option<i64>)>,
    /// The digests of the images that containers of ECS run, by the names that their tasks' definitions give: in moto none ever runs.
    pub running: BTreeMap<String, String>,
    /// When all machine images were made.
    pub machine_images_made: Option<String>,
    /// Where the API servers of all clusters of EKS are, and the certificate of their authority in base64.
    pub kubernetes: Option<(String, String)>,
    /// Ids that what lists or describes them does not have for now: instances, images by digest, functions by name.
    pub hidden: Vec<String>,
    /// A share of calls, in percent, that are refused as too many, and one that fails.
    pub faults: (u32, u32),
    /// Operations that are refused: nobody may call them.
    pub denied: Vec<String>,
    /// How many calls were refused as too many, or failed.
    pub failed: usize,
}

/// See the module.
pub struct AwsStandIn {
    responder: Responder,
    filled: Arc<Mutex<Filled>>,
}

impl AwsStandIn {
    /// Starts one in front of a moto.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(moto: &str) -> Result<Self> {
        Self::start_with(moto, |_, _| true)
    }

    /// The same, asking with the operation's name before a call takes effect and again (`true`) before it is answered whether to go on:
    /// where not, it hangs up.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start_with(moto: &str, mut goes_on: impl FnMut(&str, bool) -> bool + Send + 'static) -> Result<Self> {
        let filled: Arc<Mutex<Filled>> = Arc::default();
        let files = FileServer::start()?;
        let client = Client::builder().no_proxy().build()?;
        let (state, moto) = (Arc::clone(&filled), moto.to_owned());
        let mut count = 0_u32;
        let responder = Responder::start(move |asked| {
            count = count.wrapping_add(1);
            let call = Call::read(asked);
            if !goes_on(&call.operation, false) {
                return Reply::HangUp;
            }
            let mut state = locked(&state);
            if state.denied.contains(&call.operation) {
                return call.refusal(403, "AccessDeniedException");
            }
            // The same calls fail in every run: a test that fails once fails again.
            let turn = count.wrapping_mul(37) % 100;
            if turn < state.faults.0 + state.faults.1 {
                state.failed += 1;
            }
            if turn < state.faults.0 {
                return call.refusal(400, "ThrottlingException");
            }
            if turn < state.faults.0 + state.faults.1 {
                return call.refusal(503, "ServiceUnavailable");
            }
            if let Some(refusal) = call.refusal_of_input() {
                return refusal;
            }
            let reply = match answer::of(&call, &mut state, &files) {
                Some(reply) => reply,
                None => {
                    let amended = amend::of(&call, &state, &files);
                    drop(state);
                    amended(forward(&client, &moto, &call, asked).unwrap_or(Reply::HangUp))
                }
            };
            if goes_on(&call.operation, true) { reply } else { Reply::HangUp }
        })?;
        Ok(Self { responder, filled })
    }

    /// Its origin.
    #[must_use]
    pub fn url(&self) -> String {
        self.responder.url()
    }

    /// The operations that it was asked for so far.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        self.responder.asked().iter().map(|asked| Call::read(asked).operation).collect()
    }

    /// What is answered in place of moto.
    pub fn filled(&self) -> MutexGuard<'_, Filled> {
        locked(&self.filled)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn forward(client: &Client, moto: &str, call: &Call, asked: &Asked) -> Option<Reply> {
    let mut body = asked.body.clone();
    // One call is answered at a time: who waits long for messages holds up all others.
    if call.operation == "ReceiveMessage"
        && let Ok(mut patient) = serde_json::from_str::<Value>(&body)
    {
        patient["WaitTimeSeconds"] = json!(1);
        body = patient.to_string();
    }
    let mut request = client.request(asked.method.parse().ok()?, format!("{moto}{}", asked.path)).body(body);
    for (name, value) in asked.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length" | "connection")) {
        request = request.header(name, value);
    }
    let answer = request.send().ok()?;
    let status = answer.status().as_u16();
    let headers = answer.headers().iter().filter(|(name, _)| name.as_str() == "content-type" || name.as_str().starts_with("x-amz"));
    let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
    Some(Reply::Answer(status, headers, answer.text().ok()?))
}
