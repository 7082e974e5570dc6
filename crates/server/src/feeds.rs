//! Feeds are polled: those that the estate needs and those that were ever fetched, each at its own cadence, with conditional
//! requests. What is not plausible is refused and the last good state stays; both are told.

use crate::core::lock;
use crate::reconcile::{Outcome, Reconciler};
use crate::{Core, ServerError};
use lestrade_advisories::{Feed, FeedOutcome, FeedPlaces, Mirror, UpdateProgress, Updater};
use lestrade_model::{Ecosystem, Timestamp};
use lestrade_sys::step;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long until it is looked again whether the estate needs another feed.
const LOOK: Duration = Duration::from_secs(5);
/// The pause after a first failure; it doubles with each further one, up to the feed's cadence.
const RETRY: Duration = Duration::from_secs(60);

/// How the last poll of a feed went.
#[derive(Clone, Debug)]
pub struct Poll {
    /// When.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: FeedOutcome,
    /// How many polls before it, in a row, brought nothing either, counting it; 0 after one that did.
    pub failures: u32,
}

impl Poll {
    /// Why it brought nothing, if it did not.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.outcome {
            FeedOutcome::Refused(why) | FeedOutcome::Unreachable(why) | FeedOutcome::Missing(why) => Some(why),
            FeedOutcome::Unchanged | FeedOutcome::Updated { .. } => None,
        }
    }
}

/// Keeps the library's feeds fresh.
pub struct UpdateFeeds {
    core: Arc<Core>,
    places: FeedPlaces,
    /// In place of each feed's own cadence.
    every: Option<Duration>,
    /// How long until the next feed is due.
    next: Duration,
}

impl UpdateFeeds {
    /// Polls the feeds at these places, at their own cadences or `every` so often.
    #[must_use]
    pub const fn new(core: Arc<Core>, places: FeedPlaces, every: Option<Duration>) -> Self {
        Self { core, places, every, next: LOOK }
    }

    /// The feeds that are kept fresh. A feed whose records somebody brought in as files is theirs to keep up.
    fn wanted(&self, updater: &Updater<'_>) -> Vec<Feed> {
        let ecosystems: Vec<Ecosystem> = self.core.world().estate.ecosystems().cloned().collect();
        let needed = if ecosystems.is_empty() { Vec::new() } else { self.places.needed(&ecosystems) };
        let index = self.core.index();
        let brought = |feed: &Feed| index.as_ref().is_some_and(|index| feed.scope.is_in(index.manifest()));
        let mut wanted: Vec<Feed> = self.places.feeds().into_iter().filter(|feed| updater.knows(feed)).collect();
        for feed in needed {
            if !brought(&feed) && !wanted.contains(&feed) {
                wanted.push(feed);
            }
        }
        wanted
    }

    /// How long until a feed is to be asked again; zero when it is due.
    fn pause(&self, feed: &Feed, checked: Option<Timestamp>, now: Timestamp) -> Duration {
        let cadence = self.every.unwrap_or_else(|| feed.cadence());
        let polls = lock(&self.core.polls);
        let (since, pause) = match polls.get(&feed.name) {
            Some(poll) if poll.failures > 0 => (Some(poll.at), RETRY.saturating_mul(1 << (poll.failures - 1).min(16)).min(cadence)),
            _ => (checked, cadence),
        };
        let Some(since) = since else { return Duration::ZERO };
        // A clock that was set back does not put a poll off by more than the cadence.
        match u64::try_from(now.as_millis() - since.as_millis()) {
            Ok(passed) => pause.saturating_sub(Duration::from_millis(passed)),
            Err(_) => Duration::ZERO,
        }
    }
}

impl Reconciler for UpdateFeeds {
    fn name(&self) -> &'static str {
        "update-feeds"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let now = self.core.now();
        let updater = Updater::new(&self.core.library, now);
        let wanted = self.wanted(&updater);
        let (due, waiting): (Vec<(Feed, Duration)>, Vec<_>) = wanted
            .into_iter()
            .map(|feed| {
                let pause = self.pause(&feed, updater.checked(&feed.name), now);
                (feed, pause)
            })
            .partition(|(_, pause)| pause.is_zero());
        self.next = waiting.iter().map(|(_, pause)| *pause).min().unwrap_or(LOOK).min(LOOK);
        if due.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let due: Vec<Feed> = due.into_iter().map(|(feed, _)| feed).collect();
        step("feeds: due");
        let report = updater.run(&due, &Unwatched)?;
        step("feeds: polled");
        let mut changed = false;
        for (name, outcome) in report.outcomes {
            changed |= matches!(outcome, FeedOutcome::Updated { .. });
            self.core.polled(&name, now, outcome);
        }
        if changed {
            tracing::info!(generation = report.generation, not_loaded = report.quarantined.len(), "new intelligence is here");
        }
        Ok(if changed { Outcome::Changed } else { Outcome::Unchanged })
    }

    fn due(&self) -> Option<Duration> {
        Some(self.next)
    }
}

/// Keeps the library at the generation of another Lestrade's mirror.
pub struct FollowMirror {
    core: Arc<Core>,
    mirror: Mirror,
}

impl FollowMirror {
    /// Follows a mirror: all intelligence comes from there.
    #[must_use]
    pub const fn new(core: Arc<Core>, mirror: Mirror) -> Self {
        Self { core, mirror }
    }
}

impl Reconciler for FollowMirror {
    fn name(&self) -> &'static str {
        "follow-mirror"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let now = self.core.now();
        let report = self.mirror.update(&self.core.library, now, &Unwatched)?;
        let mut changed = false;
        for (name, outcome) in report.outcomes {
            changed |= matches!(outcome, FeedOutcome::Updated { .. });
            self.core.polled(&name, now, outcome);
        }
        Ok(if changed { Outcome::Changed } else { Outcome::Unchanged })
    }
}

impl Core {
    /// Notes how a poll went; one that brought nothing is told.
    fn polled(&self, name: &str, at: Timestamp, outcome: FeedOutcome) {
        let mut polls = lock(&self.polls);
        let mut poll = Poll { at, outcome, failures: 0 };
        match poll.failure() {
            None => tracing::debug!(feed = name, outcome = ?poll.outcome, "polled"),
            Some(why) => {
                tracing::warn!(feed = name, why, "a feed brought nothing; its last good state stays");
                self.meters.not_fetched(name);
                poll.failures = polls.get(name).map_or(0, |before| before.failures).saturating_add(1);
            }
        }
        polls.insert(name.to_owned(), poll);
    }

    /// How the last poll of each feed went, since the start.
    #[must_use]
    pub fn polls(&self) -> BTreeMap<String, Poll> {
        lock(&self.polls).clone()
    }
}

/// Nobody watches a server's downloads.
struct Unwatched;

impl UpdateProgress for Unwatched {
    fn fetched(&self, _: &str, _: u64, _: Option<u64>) {}
    fn done(&self, _: &str, _: &FeedOutcome) {}
    fn compiling(&self) {}
}
