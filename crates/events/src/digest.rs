//! "At most so many messages of one vulnerability in a while, the rest in one summary."
//!
//! Pure: what was sent and what was held back is a value that its holder keeps together with the cursor.

use crate::{Event, Names};
use lestrade_model::{Hash, Timestamp};
use lestrade_report::events::{Head, own_event};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many, and in which while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestPolicy {
    /// Messages of one vulnerability that are sent as they are.
    pub limit: u32,
    /// The while, from the first of them on.
    pub window: Duration,
}

/// Windows that are kept at once; beyond that messages are sent as they are.
const MAX_WINDOWS: usize = 10_000;
/// Resources that a summary names.
const MAX_NAMED: usize = 10;

/// What was sent and held back, by account and vulnerability.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests(BTreeMap<String, Window>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    account: String,
    region: String,
    vulnerability: String,
    started: Timestamp,
    sent: u32,
    held: u64,
    /// Of those held back, how many say what.
    statuses: BTreeMap<String, u64>,
    severities: BTreeMap<String, u64>,
    /// The first resources of them.
    named: Vec<String>,
    last: Timestamp,
    revision: u64,
    open: Option<u64>,
}

impl Digests {
    /// Whether an event is sent as it is; otherwise it is counted and will be in the summary. One that was sent is counted by
    /// [`Digests::sent`]: what failed does not use up the limit.
    pub fn admit(&mut self, event: &Event, policy: DigestPolicy, now: Timestamp) -> bool {
        let Some(window) = self.window(event, now).filter(|window| window.sent >= policy.limit && window.ends(policy) > now) else {
            return true;
        };
        window.held += 1;
        window.last = now;
        window.revision = window.revision.max(event.revision);
        window.open = event.open;
        *window.statuses.entry(event.text("/detail/status").to_owned()).or_default() += 1;
        *window.severities.entry(event.text("/detail/severity").to_owned()).or_default() += 1;
        let resource = event.text("/resources/0");
        if window.named.len() < MAX_NAMED && !window.named.iter().any(|named| named == resource) {
            window.named.push(resource.to_owned());
        }
        false
    }

    /// Counts an event that was sent.
    pub fn sent(&mut self, event: &Event, policy: DigestPolicy, now: Timestamp) {
        if let Some(window) = self.window(event, now).filter(|window| window.ends(policy) > now) {
            window.sent += 1;
        }
    }

    fn window(&mut self, event: &Event, now: Timestamp) -> Option<&mut Window> {
        let vulnerability = event.vulnerability().filter(|_| event.text("/detail-type") == "Inspector2 Finding")?;
        let (account, region) = (event.text("/account"), event.text("/region"));
        let key = format!("{account}/{region}/{vulnerability}");
        if !self.0.contains_key(&key) && self.0.len() >= MAX_WINDOWS {
            return None;
        }
        Some(self.0.entry(key).or_insert_with(|| Window {
            account: account.to_owned(),
            region: region.to_owned(),
            vulnerability: vulnerability.to_owned(),
            started: now,
            sent: 0,
            held: 0,
            statuses: BTreeMap::new(),
            severities: BTreeMap::new(),
            named: Vec::new(),
            last: now,
            revision: 0,
            open: None,
        }))
    }

    /// The next summary that is due, without forgetting it: the same until [`Digests::told`].
    #[must_use]
    pub fn due(&self, policy: DigestPolicy, now: Timestamp) -> Option<(String, Event)> {
        let (key, window) = self.0.iter().find(|(_, window)| window.held > 0 && window.ends(policy) <= now)?;
        Some((key.clone(), window.summary(policy)))
    }

    /// Forgets a window whose summary was sent.
    pub fn told(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Forgets windows that are over and held nothing back.
    pub fn expire(&mut self, policy: DigestPolicy, now: Timestamp) {
        self.0.retain(|_, window| window.held > 0 || window.ends(policy) > now);
    }
}

impl Window {
    fn ends(&self, policy: DigestPolicy) -> Timestamp {
        self.started.plus(policy.window)
    }

    fn summary(&self, policy: DigestPolicy) -> Event {
        let started = self.started.to_string();
        let name = Hash::of_fields([self.account.as_bytes(), self.region.as_bytes(), self.vulnerability.as_bytes(), started.as_bytes()]);
        let id = name.to_string().chars().take(32).collect::<String>();
        let counts = |counts: &BTreeMap<String, u64>| {
            counts.iter().map(|(word, count)| (word.clone(), json!(count))).collect::<serde_json::Map<_, Value>>()
        };
        let detail = json!({
            "vulnerabilityId": self.vulnerability,
            "from": started,
            "to": self.ends(policy).to_string(),
            "sent": self.sent,
            "held": self.held,
            "statuses": counts(&self.statuses),
            "severities": counts(&self.severities),
            "open": self.open,
        });
        let head = Head { id: &id, account: &self.account, region: &self.region, at: self.last };
        let named: Vec<&str> = self.named.iter().map(String::as_str).collect();
        let body = own_event(head, "Lestrade Digest", &named, detail);
        Event { id, revision: self.revision, body, open: self.open, names: Names::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(resource: &str, vulnerability: &str) -> Event {
        let body = json!({"detail-type": "Inspector2 Finding", "account": "1", "region": "r", "resources": [resource],
            "detail": {"severity": "HIGH", "status": "ACTIVE", "packageVulnerabilityDetails": {"vulnerabilityId": vulnerability}}});
        Event { id: resource.into(), revision: 1, body, open: Some(7), names: Names::default() }
    }

    #[test]
    fn what_is_too_much_comes_as_one_summary() {
        let policy = DigestPolicy { limit: 2, window: Duration::from_hours(1) };
        let at = Timestamp::from_millis;
        let mut digests = Digests::default();
        let mut offer = |i: i64| {
            let event = event(&format!("i-{i}"), "CVE-1");
            let admitted = digests.admit(&event, policy, at(i));
            if admitted {
                digests.sent(&event, policy, at(i));
            }
            admitted
        };
        let admitted: Vec<bool> = (0..30).map(&mut offer).collect();
        assert_eq!(admitted.iter().filter(|sent| **sent).count(), 2);
        assert!(digests.admit(&event("i-0", "CVE-2"), policy, at(5)), "another vulnerability has its own limit");
        assert_eq!(digests.due(policy, at(3_599_999)), None);
        let (key, summary) = digests.due(policy, at(3_600_000)).unwrap();
        assert_eq!(digests.due(policy, at(3_600_001)).unwrap().1.id, summary.id, "it is the same until it was told");
        let detail = &summary.body["detail"];
        assert_eq!(
            (detail["sent"].as_u64(), detail["held"].as_u64(), detail["severities"]["HIGH"].as_u64()),
            (Some(2), Some(28), Some(28))
        );
        assert_eq!(summary.body["resources"].as_array().unwrap().len(), MAX_NAMED);
        digests.told(&key);
        digests.expire(policy, at(3_600_006));
        assert_eq!(digests, Digests::default());
    }
}
