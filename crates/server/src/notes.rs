//! What a target remembers, in the store.

use crate::core::{Core, lock};
use lestrade_events::{DeliveryError, Notes};
use lestrade_store::Change;
use std::sync::Arc;

/// The notes of one target.
pub(crate) struct StoredNotes {
    core: Arc<Core>,
    target: String,
}

impl StoredNotes {
    /// Those of the target of this name.
    pub(crate) fn of(core: &Arc<Core>, target: &str) -> Self {
        Self { core: Arc::clone(core), target: target.to_owned() }
    }

    fn key(&self, key: &str) -> String {
        format!("note/{}/{key}", self.target)
    }
}

impl Notes for StoredNotes {
    fn note(&self, key: &str) -> Result<Option<String>, DeliveryError> {
        let bytes = lock(&self.core.store).cursor(&self.key(key)).map_err(|error| DeliveryError::retry(error.to_string()))?;
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    fn set_note(&self, key: &str, value: &str) -> Result<(), DeliveryError> {
        let cursors = vec![(self.key(key), value.as_bytes().to_vec())];
        let change = Change { cursors, ..Change::default() };
        lock(&self.core.store).commit(&change).map_err(|error| DeliveryError::retry(error.to_string()))
    }
}
