//! Truth on disk. The only room that knows SQL, and no logic is in the SQL: tables of keys and blobs.
//!
//! Everything that one decision changes is one [`Change`] and commits whole or not at all: resources, inventories, episodes and
//! the outbox groups that tell of them. There is one implementation, over two engines that differ only in how a statement is
//! run: SQLite by default, PostgreSQL where one machine is outgrown. One conformance suite, in `tests/`, holds for both.

mod backup;
mod change;
mod engine;
mod error;
mod postgres_engine;
mod schema;
mod sql_store;
mod sqlite_engine;

pub use backup::{Backup, BackupHead, back_up, restore, verify};
pub use change::{
    Change, Cursor, Delivery, Document, Fan, Item, Lane, Letter, LetterNote, LetterState, LoadSink, OutboxGroup, StoredResource,
};
pub use error::StoreError;
use sql_store::SqlStore;

use lestrade_findings::LogPosition;
use lestrade_model::{Hash, Inventory, Scope, Timestamp};
use std::path::Path;

/// Who has inventories.
pub trait Inventories: Send {
    /// An inventory by its identity.
    ///
    /// # Errors
    /// When the engine fails or the row cannot be decoded.
    fn inventory(&mut self, id: &Hash) -> Result<Option<Inventory>, StoreError>;
}

/// What a state is kept in.
///
/// Methods that read what belongs to somebody take a [`Scope`]; [`Store::load`] alone reads all, for the one writer that holds
/// the whole estate.
pub trait Store: Inventories {
    /// Reads everything that the estate index is rebuilt from, dictionaries first, episodes in order last.
    ///
    /// # Errors
    /// When the engine fails or a row cannot be decoded.
    fn load(&mut self, sink: &mut dyn LoadSink) -> Result<(), StoreError>;

    /// Commits a change whole.
    ///
    /// # Errors
    /// When the engine fails; then nothing of the change is kept.
    fn commit(&mut self, change: &Change) -> Result<(), StoreError>;

    /// Somebody who reads inventories beside whoever writes: neither waits for the other.
    ///
    /// # Errors
    /// When the engine fails.
    fn reader(&self) -> Result<Box<dyn Inventories>, StoreError>;

    /// Groups of a lane after `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// When the engine fails or a row cannot be decoded.
    fn groups_after(&mut self, lane: Lane, after: LogPosition, limit: u32) -> Result<Vec<OutboxGroup>, StoreError>;

    /// Groups of both lanes after `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// When the engine fails or a row cannot be decoded.
    fn history(&mut self, after: LogPosition, limit: u32) -> Result<Vec<OutboxGroup>, StoreError>;

    /// The first group of a lane after `after`, and how many there are.
    ///
    /// # Errors
    /// When the engine fails.
    fn pending(&mut self, lane: Lane, after: LogPosition) -> Result<(Option<LogPosition>, u64), StoreError>;

    /// One group, if it is still kept.
    ///
    /// # Errors
    /// When the engine fails or the row cannot be decoded.
    fn group(&mut self, id: LogPosition) -> Result<Option<OutboxGroup>, StoreError>;

    /// Forgets groups up to `upto`, except the last one of all and those that letters are about. Answers how many.
    ///
    /// # Errors
    /// When the engine fails.
    fn prune_outbox(&mut self, upto: LogPosition) -> Result<u64, StoreError>;

    /// How far a target has been served; none when it is new.
    ///
    /// # Errors
    /// When the engine fails or the row cannot be decoded.
    fn delivery(&mut self, target: &str) -> Result<Option<Delivery>, StoreError>;

    /// Notes how far a target has been served, together with the letters that were set aside on the way and those that are done
    /// with.
    ///
    /// # Errors
    /// When the engine fails; then nothing of it is kept.
    fn settle(&mut self, target: &str, delivery: &Delivery, put: &[Letter], done: &[String]) -> Result<(), StoreError>;

    /// Letters of a target in a state that are due by `due`, the longest due first, at most `limit`.
    ///
    /// # Errors
    /// When the engine fails or a row cannot be decoded.
    fn letters(&mut self, target: &str, state: LetterState, due: Timestamp, limit: u32) -> Result<Vec<Letter>, StoreError>;

    /// How many letters of a target are in a state.
    ///
    /// # Errors
    /// When the engine fails.
    fn count_letters(&mut self, target: &str, state: LetterState) -> Result<u64, StoreError>;

    /// Has dead letters of a target tried again, one or all; answers how many.
    ///
    /// # Errors
    /// When the engine fails.
    fn redrive(&mut self, target: &str, id: Option<&str>, now: Timestamp) -> Result<u64, StoreError>;

    /// A cursor of a reconciler.
    ///
    /// # Errors
    /// When the engine fails.
    fn cursor(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Documents of a kind in a scope, by key.
    ///
    /// # Errors
    /// When the engine fails.
    fn documents(&mut self, scope: &Scope, kind: &str) -> Result<Vec<Document>, StoreError>;

    /// Puts a document in place of the one with its key, if any.
    ///
    /// # Errors
    /// When the engine fails.
    fn put_document(&mut self, scope: &Scope, kind: &str, document: &Document) -> Result<(), StoreError>;

    /// Removes a document; answers whether there was one.
    ///
    /// # Errors
    /// When the engine fails.
    fn delete_document(&mut self, scope: &Scope, kind: &str, key: &str) -> Result<bool, StoreError>;
}

/// Opens the store that a location names: `postgres://…`, or else a path of an SQLite file, which is created.
///
/// # Errors
/// When it cannot be opened, is held by another server, or was written by a newer version.
pub fn open(location: &str) -> Result<Box<dyn Store>, StoreError> {
    if backup::is_postgres(location) {
        Ok(Box::new(SqlStore::open(postgres_engine::PostgresEngine::connect(location)?)?))
    } else {
        Ok(Box::new(SqlStore::open(sqlite_engine::SqliteEngine::open(Path::new(location))?)?))
    }
}
