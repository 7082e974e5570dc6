//! When the next attempt is due, and how much a target may be sent: pure, with the time as a value.

use lestrade_model::{Hash, Timestamp};
use std::time::Duration;

/// How long and how often an event is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first pause; each is twice the one before.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// Events older than this are not tried again.
    pub max_age: Duration,
}

impl Default for RetryPolicy {
    /// A day, as EventBridge's.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_mins(5), max_age: Duration::from_hours(24) }
    }
}

impl RetryPolicy {
    /// The pause after the `attempt`-th failure, counted from 1. `asked` is what the receiver asked for by `Retry-After`: it is
    /// kept to, up to the longest age. The pause is spread over its upper half by `seed`, so that what failed together does not
    /// come back together.
    #[must_use]
    pub fn pause(&self, attempt: u32, asked: Option<Duration>, seed: &str) -> Duration {
        if let Some(asked) = asked {
            return asked.min(self.max_age);
        }
        let full = self.first.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX)).min(self.longest);
        let hash = Hash::of_fields([seed.as_bytes(), &attempt.to_le_bytes()]);
        let share = hash.as_bytes().first().copied().unwrap_or_default();
        full / 2 + full.mul_f64(f64::from(share) / 512.0)
    }

    /// Whether something that happened then is too old to be tried again.
    #[must_use]
    pub fn is_over(&self, happened: Timestamp, now: Timestamp) -> bool {
        let age = now.as_millis().saturating_sub(happened.as_millis());
        u128::try_from(age).is_ok_and(|age| age > self.max_age.as_millis())
    }
}

/// How much a target may be sent: so many each second, and so many at once after a silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Messages a second; above zero.
    pub per_second: f64,
    /// Messages at once.
    pub burst: f64,
}

impl Rate {
    /// `10/s`, `30/min`, `500/h`: the burst is a second's worth, at least one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (count, per) = text.split_once('/')?;
        let count: f64 = count.trim().parse::<u32>().ok().filter(|count| *count > 0)?.into();
        let seconds = match per.trim() {
            "s" | "sec" | "second" => 1.0,
            "m" | "min" | "minute" => 60.0,
            "h" | "hour" => 3600.0,
            _ => return None,
        };
        let per_second = count / seconds;
        Some(Self { per_second, burst: per_second.max(1.0) })
    }
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    rate: Rate,
    tokens: f64,
    at: Option<Timestamp>,
}

impl TokenBucket {
    /// A full one.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, tokens: rate.burst, at: None }
    }

    /// How many messages of `wanted` may be sent now; when none, how long until one may be.
    ///
    /// # Errors
    /// The pause.
    pub fn take(&mut self, wanted: usize, now: Timestamp) -> Result<usize, Duration> {
        if let Some(at) = self.at {
            // A clock that jumps back gives no tokens and takes none.
            let millis = now.as_millis().saturating_sub(at.as_millis()).max(0);
            #[allow(clippy::cast_precision_loss, reason = "a pause in milliseconds")]
            let gained = millis as f64 / 1000.0 * self.rate.per_second;
            self.tokens = (self.tokens + gained).min(self.rate.burst);
        }
        self.at = Some(now);
        if self.tokens < 1.0 {
            // A millisecond more than the arithmetic says, so that it is surely there.
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate.per_second) + Duration::from_millis(1));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the burst")]
        let taken = wanted.min(self.tokens as usize);
        #[allow(clippy::cast_precision_loss, reason = "at most the burst")]
        let spent = taken as f64;
        self.tokens -= spent;
        Ok(taken)
    }
}

/// `90s`, `15m`, `24h`, `7d`: a whole number and its unit.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(seconds).filter(|seconds| *seconds > 0 && *seconds <= 366 * 86_400).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_keep_to_what_was_asked() {
        let policy = RetryPolicy::default();
        for (attempt, full) in [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (400, 300)] {
            let pause = policy.pause(attempt, None, "id");
            let full = Duration::from_secs(full);
            assert!(pause >= full / 2 && pause <= full, "{attempt}: {pause:?}");
        }
        assert_ne!(policy.pause(5, None, "a"), policy.pause(5, None, "b"));
        assert_eq!(policy.pause(1, Some(Duration::from_secs(77)), "id"), Duration::from_secs(77));
        assert_eq!(policy.pause(1, Some(Duration::from_secs(u64::MAX)), "id"), policy.max_age);
    }

    #[test]
    fn what_is_too_old_is_over() {
        let policy = RetryPolicy { max_age: Duration::from_secs(10), ..RetryPolicy::default() };
        assert!(!policy.is_over(at(0), at(10_000)) && policy.is_over(at(0), at(10_001)));
        assert!(!policy.is_over(at(10_000), at(0)), "a clock that jumped back ages nothing");
    }

    #[test]
    fn rates_and_durations_are_read() {
        assert_eq!(Rate::parse("10/s"), Some(Rate { per_second: 10.0, burst: 10.0 }));
        assert_eq!(Rate::parse("30/min"), Some(Rate { per_second: 0.5, burst: 1.0 }));
        for wrong in ["", "10", "0/s", "-1/s", "10/y", "1e9/s", "x/s"] {
            assert_eq!(Rate::parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse_duration("15m"), Some(Duration::from_mins(15)));
        for wrong in ["", "15", "m", "-1m", "1.5h", "99999999999999999999s", "367d", "0s"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    proptest! {
        /// However it is asked, and however the clock moves: over any time never more than the rate's worth and one burst.
        #[test]
        fn a_bucket_never_gives_more_than_its_rate(steps in prop::collection::vec((0i64..2_000, 1usize..30), 1..200), rate in 1u32..50) {
            let rate = Rate::parse(&format!("{rate}/s")).unwrap();
            let mut bucket = TokenBucket::new(rate);
            let (mut now, mut given) = (0, 0.0);
            for (millis, wanted) in steps {
                now += millis;
                match bucket.take(wanted, at(now)) {
                    Ok(taken) => given += taken as f64,
                    Err(pause) => {
                        now += i64::try_from(pause.as_millis()).unwrap() + 1;
                        given += bucket.take(1, at(now)).unwrap() as f64;
                    }
                }
                prop_assert!(given <= rate.burst + now as f64 / 1000.0 * rate.per_second + 1e-6);
            }
        }
    }
}
