//! Asking again.

use lestrade_wire::Error;
use std::time::Duration;

/// How often to ask again when the service is busy, and how long to wait: up to twice as long each time, spread over the whole
/// of it, so that those who were refused together do not come back together ("full jitter").
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u32,
    /// The first wait, at most.
    pub first_wait: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 8, first_wait: Duration::from_millis(200), longest: Duration::from_secs(20) }
    }
}

impl Retry {
    /// How long to wait after the `attempt`-th failure, counted from 0; none when it is of no use.
    pub(crate) fn pause(&self, attempt: u32, error: &Error) -> Option<Duration> {
        if !error.is_retryable() || attempt + 1 >= self.attempts {
            return None;
        }
        let most = self.first_wait.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.longest);
        Some(most.mul_f64(random_share()))
    }
}

/// Between 0 and 1. The standard library seeds each hasher state at random; that is random enough to spread waits.
fn random_share() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(()) >> 40;
    #[allow(clippy::cast_precision_loss, reason = "24 bits")]
    let share = bits as f64 / f64::from(1 << 24);
    share
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_wire::Refusal;

    #[test]
    fn waits_are_bounded_and_refusals_are_final() {
        let retry = Retry::default();
        let refused = |status, code: &str| Error::Refused(Refusal { status, code: code.into(), message: String::new() });
        for attempt in 0..7 {
            let pause = retry.pause(attempt, &refused(400, "ThrottlingException")).unwrap();
            assert!(pause <= retry.longest.min(retry.first_wait * (1 << attempt)));
        }
        assert_eq!(retry.pause(7, &refused(400, "ThrottlingException")), None);
        assert_eq!(retry.pause(0, &refused(403, "AccessDeniedException")), None);
        assert!(retry.pause(0, &refused(500, "")).is_some());
    }
}
