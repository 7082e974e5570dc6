//! `lestrade events`: what the server told, and telling it again.

use crate::args::EventsWhat;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::remote::Remote;
use serde_json::Value;
use std::time::Duration;

/// Between two looks of `--follow`.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) fn run(settings: &Settings, what: &EventsWhat) -> Result<Exit, Failure> {
    let remote = Remote::of(settings)?;
    match what {
        EventsWhat::Tail { after, lines, follow } => tail(&remote, *after, *lines, *follow),
        EventsWhat::Replay { target, after } => {
            remote.post(&format!("targets/{target}/replay"), &[("after", &after.to_string())])?;
            output::write(None, &format!("'{target}' is sent again what was told after place {after}, under the same ids\n"))?;
            Ok(Exit::Ok)
        }
    }
}

/// One line of JSON for each event; the place behind the last one goes to standard error.
fn tail(remote: &Remote, after: Option<u64>, lines: u16, follow: bool) -> Result<Exit, Failure> {
    let mut after = after;
    let limit = lines.to_string();
    loop {
        let place = after.map(|after| after.to_string());
        let mut query = vec![("limit", limit.as_str())];
        query.extend(place.as_deref().map(|place| ("after", place)));
        let page = remote.get("events", &query)?;
        let events = page["events"].as_array().map_or(&[][..], Vec::as_slice);
        for event in events {
            output::write(None, &format!("{event}\n"))?;
        }
        let next = page["next"].as_u64();
        let moved = next != after;
        after = next;
        if !follow {
            eprintln!("the next event is after place {}", after.unwrap_or_default());
            return Ok(Exit::Ok);
        }
        if !moved || events.is_empty() {
            std::thread::sleep(PAUSE);
        }
    }
}

/// The last events of the running server.
pub(crate) fn last(settings: &Settings) -> Result<Vec<Value>, Failure> {
    let page = Remote::of(settings)?.get("events", &[("limit", "500")])?;
    Ok(page["events"].as_array().cloned().unwrap_or_default())
}
