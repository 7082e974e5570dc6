//! Observations that come together are committed together. Whoever gets hold of the world first takes in what others have brought by
//! then, in one transaction: a commit costs a sync of the disk, however much it holds.

use crate::core::{Core, Draft, lock};
use crate::inventory::Seen;
use crate::{Observation, ServerError};
use lestrade_findings::World;
use lestrade_sys::step;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// How many observations share a transaction at most: readers wait for it.
const MOST: usize = 256;

/// Observations that wait for the world.
#[derive(Default)]
pub(crate) struct Intake(Mutex<VecDeque<Waiting>>);

struct Waiting {
    seen: Seen,
    taken: Arc<Taken>,
}

/// What became of an observation; none while it waits.
#[derive(Default)]
struct Taken(Mutex<Option<Result<(), Arc<ServerError>>>>);

impl Core {
    /// Takes an observation in: one transaction for resource, inventory, episode and outbox, shared with others that come at the
    /// same time. An observation that says nothing new writes nothing.
    ///
    /// # Errors
    /// When the store or the index fails; then nothing of it is kept.
    pub fn observe(&self, observation: Observation) -> Result<(), ServerError> {
        let seen = Seen::of(observation)?;
        let taken = Arc::new(Taken::default());
        lock(&self.intake.0).push_back(Waiting { seen, taken: Arc::clone(&taken) });
        step("observe: waits");
        let mut world = self.world_mut();
        loop {
            if let Some(result) = lock(&taken.0).take() {
                return result.map_err(ServerError::Together);
            }
            let waiting: Vec<Waiting> = {
                let mut queue = lock(&self.intake.0);
                let count = queue.len().min(MOST);
                queue.drain(..count).collect()
            };
            let (seen, all): (Vec<Seen>, Vec<Arc<Taken>>) = waiting.into_iter().map(|one| (one.seen, one.taken)).unzip();
            let result = self.take_in(&mut world, seen).map_err(Arc::new);
            all.iter().filter(|other| !Arc::ptr_eq(other, &taken)).for_each(|other| *lock(&other.0) = Some(result.clone()));
            if all.iter().any(|one| Arc::ptr_eq(one, &taken)) {
                // Whoever was alone has the error for itself.
                return result.map_err(|error| Arc::try_unwrap(error).unwrap_or_else(ServerError::Together));
            }
        }
    }

    /// Takes observations in, all in one transaction or none of them.
    ///
    /// # Errors
    /// When the store or the index fails; then nothing of them is kept.
    pub fn observe_all(&self, observations: Vec<Observation>) -> Result<(), ServerError> {
        let seen = observations.into_iter().map(Seen::of).collect::<Result<Vec<_>, _>>()?;
        self.take_in(&mut self.world_mut(), seen)
    }

    fn take_in(&self, world: &mut World, seen: Vec<Seen>) -> Result<(), ServerError> {
        // After the lock: the index and the verdicts of the world change together, and only under it.
        let index = self.index();
        let mut draft = Draft::new(self, world)?;
        match seen.into_iter().try_for_each(|seen| draft.take(index.as_deref(), seen)) {
            Ok(()) => {
                step("observe: drafted");
                draft.commit(self)?;
                step("observe: committed");
                Ok(())
            }
            // Part of it is in the world already, and never will be in the store.
            Err(error) => self.recover(world).and(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intelligence::tests::{Still, with_lodash};
    use lestrade_advisories::Library;
    use lestrade_findings::{Episode, EpisodeBody};
    use lestrade_model::Clock;
    use lestrade_store::{Change, StoreError};

    /// Whoever shares a transaction that fails is told why, and not in words alone.
    #[test]
    fn what_fails_together_fails_for_one_reason() {
        const MANY: u32 = 5;
        let folder = tempfile::tempdir().unwrap();
        let store = lestrade_store::open(folder.path().join("state.db").to_str().unwrap()).unwrap();
        let core = Core::open(store, Library::new(folder.path().join("db")), Arc::new(Still), [7; 32]).unwrap();
        // A row that is there already: the next episode cannot be written.
        let body = EpisodeBody::Condition { resource: 0, opened: Default::default(), closed: Default::default() };
        let episodes = vec![Episode { position: core.world().log.head() + 1, at: Still.now(), body }];
        core.store().commit(&Change { episodes, ..Change::default() }).unwrap();

        let reading = core.world();
        let core = &core;
        let refused: Vec<ServerError> = std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..MANY).map(|n| scope.spawn(move || core.observe(with_lodash(&format!("4.17.{n}"))))).collect();
            let patience = std::time::Duration::from_secs(60);
            let all_wait = || (lock(&core.intake.0).len() == MANY as usize).then_some(());
            lestrade_testkit::until("all wait for the world", patience, all_wait).unwrap();
            drop(reading);
            waiting.into_iter().map(|one| one.join().unwrap().unwrap_err()).collect()
        });
        for error in &refused {
            let cause = if let ServerError::Together(cause) = error { cause } else { error };
            assert!(matches!(cause, ServerError::Store(StoreError::Engine { .. })), "{error:?}");
        }
        assert!(refused.iter().all(|error| error.to_string() == refused[0].to_string() && !error.is_full()), "{refused:?}");
    }

    #[test]
    fn a_full_disk_is_one_for_all_who_share_a_transaction() {
        let full = ServerError::Store(StoreError::Full);
        assert!(full.is_full() && ServerError::Together(Arc::new(full)).is_full());
    }
}
