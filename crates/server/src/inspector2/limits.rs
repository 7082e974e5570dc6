//! What one key may ask in a time, and that no change is asked for again with a signature that somebody kept.

use lestrade_events::{Rate, TokenBucket};
use lestrade_model::{Hash, Timestamp};
use lestrade_wire::sigv4::WINDOW_MILLIS;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

/// Requests of one key in a second, in the long run, and at once, after a rest.
const RATE: Rate = Rate { per_second: 200.0, burst: 400.0 };
/// How soon the same signature may come again.
const AGAIN: i64 = 2_000;
/// How long a signature may be good after it came: it may bear a time ahead of ours, and is good after that time.
const GOOD_FOR: i64 = 2 * WINDOW_MILLIS;
/// Signatures that are remembered: at the rate above, more than one key makes while they are good.
const REMEMBERED: usize = 1 << 20;

/// A bucket of tokens for each key.
#[derive(Default)]
pub(super) struct Rates(Mutex<HashMap<String, TokenBucket>>);

impl Rates {
    /// Whether a key may ask now. Only keys that were given out are counted, so there are only so many.
    pub(super) fn admit(&self, key: &str, now: Timestamp) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.entry(key.to_owned()).or_insert_with(|| TokenBucket::new(RATE)).take(1, now).is_ok()
    }
}

/// When signatures of requests that changed something first came, for as long as they are good.
#[derive(Default)]
pub(super) struct Replays(Mutex<HashMap<Hash, Timestamp>>);

impl Replays {
    /// Whether a signature is no replay.
    ///
    /// Signatures tell time in seconds and nothing else is new in them, so who asks the same thing twice in one second signs
    /// the same twice: what comes again so soon is let in.
    pub(super) fn admit(&self, signature: &str, now: Timestamp) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED {
            seen.retain(|_, first| first.plus_millis(GOOD_FOR) >= now);
        }
        let full = seen.len() >= REMEMBERED;
        match seen.entry(Hash::of(signature.as_bytes())) {
            Entry::Occupied(first) => now.as_millis() - first.get().as_millis() <= AGAIN,
            // When all are good still, rather refuse than forget one.
            Entry::Vacant(_) if full => false,
            Entry::Vacant(place) => {
                place.insert(now);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn a_key_that_asks_too_much_waits_and_others_do_not() {
        let rates = Rates::default();
        let admitted = |key, at| (0..1000).filter(|_| rates.admit(key, at)).count();
        assert_eq!(admitted("a", NOW), 400);
        assert_eq!(admitted("b", NOW), 400);
        assert_eq!(admitted("a", NOW.plus_millis(500)), 100);
        assert_eq!(admitted("a", NOW.plus_millis(-60_000)), 0);
        assert_eq!(admitted("a", NOW.plus_millis(3_600_000)), 400);
    }

    #[test]
    fn a_signature_changes_something_now_and_not_later() {
        let replays = Replays::default();
        assert!(replays.admit("a", NOW) && replays.admit("b", NOW));
        assert!(replays.admit("a", NOW.plus_millis(AGAIN)), "the same request in the same second");
        assert!(!replays.admit("a", NOW.plus_millis(AGAIN + 1)));
        assert!(!replays.admit("a", NOW.plus_millis(GOOD_FOR)));
    }
}
