//! Inventories as queries read them: what was read lately is kept, and who reads waits for no commit.

use crate::core::lock;
use lestrade_model::{Hash, Inventory};
use lestrade_store::{Inventories, Store, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// As many are kept at least, and twice as many at most.
const KEPT: usize = 128;
/// As many readers are kept for the next who reads.
const READERS: usize = 4;

/// See the module.
#[derive(Default)]
pub(crate) struct ReadInventories {
    lately: Mutex<Lately>,
    readers: Mutex<Vec<Box<dyn Inventories>>>,
}

/// What was read since the last turn, and what was read or asked for in the one before it.
#[derive(Default)]
struct Lately {
    now: HashMap<Hash, Arc<Inventory>>,
    before: HashMap<Hash, Arc<Inventory>>,
}

impl Lately {
    fn find(&mut self, id: &Hash) -> Option<Arc<Inventory>> {
        if let Some(found) = self.now.get(id) {
            return Some(Arc::clone(found));
        }
        let found = self.before.remove(id)?;
        self.keep(id, &found);
        Some(found)
    }

    fn keep(&mut self, id: &Hash, inventory: &Arc<Inventory>) {
        if self.now.len() >= KEPT {
            self.before = std::mem::take(&mut self.now);
        }
        self.now.insert(*id, Arc::clone(inventory));
    }
}

impl ReadInventories {
    /// An inventory. The store is asked for no more than a reader.
    pub(crate) fn find(&self, store: &Mutex<Box<dyn Store>>, id: &Hash) -> Result<Option<Arc<Inventory>>, StoreError> {
        if let Some(found) = lock(&self.lately).find(id) {
            return Ok(Some(found));
        }
        let idle = lock(&self.readers).pop();
        let read = |mut reader: Box<dyn Inventories>| reader.inventory(id).map(|found| (found, reader));
        // One whose connection broke meanwhile is not asked again.
        let (found, reader) = match idle.and_then(|reader| read(reader).ok()) {
            Some(read) => read,
            None => {
                let reader = lock(store).reader()?;
                read(reader)?
            }
        };
        let mut readers = lock(&self.readers);
        if readers.len() < READERS {
            readers.push(reader);
        }
        drop(readers);
        let found = found.map(Arc::new);
        if let Some(inventory) = &found {
            lock(&self.lately).keep(id, inventory);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_again_and_again_stays() {
        let id = |n: usize| Hash::of(&n.to_le_bytes());
        let mut lately = Lately::default();
        let inventory = Arc::new(Inventory::assemble(None, vec![], vec![]));
        lately.keep(&id(0), &inventory);
        for n in 1..10 * KEPT {
            lately.keep(&id(n), &inventory);
            assert!(lately.find(&id(0)).is_some(), "{n}");
            assert!(lately.now.len() + lately.before.len() <= 2 * KEPT);
        }
        assert!(lately.find(&id(1)).is_none());
    }
}
