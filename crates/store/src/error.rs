//! What can go wrong with a store.

/// An error of this room. Never holds a connection string: those may carry passwords.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The engine says no.
    #[error("the store failed while {action}: {reason}")]
    Engine {
        /// What was being done.
        action: &'static str,
        /// The engine's words.
        reason: String,
    },
    /// There is no room left for what was to be written.
    #[error("there is no room left where the state is kept")]
    Full,
    /// Another server holds the state.
    #[error("another server is using this state")]
    InUse,
    /// The state was written by a newer version.
    #[error("the state has schema {found}; this version knows {known}")]
    TooNew {
        /// What is there.
        found: i64,
        /// What we know.
        known: i64,
    },
    /// A backup, or what is to be backed up, has another schema.
    #[error("it has schema {found}; this version writes {known}")]
    OtherSchema {
        /// What it has.
        found: i64,
        /// What we write.
        known: i64,
    },
    /// A backup is not sound.
    #[error("the backup is not sound: {reason}")]
    BadBackup {
        /// Why.
        reason: String,
    },
    /// A backup is restored into an empty store only.
    #[error("there is a state already; a backup is restored into an empty one only")]
    NotEmpty,
    /// A row cannot be decoded.
    #[error("a row of '{table}' is damaged")]
    Damaged {
        /// Where.
        table: &'static str,
    },
    /// PostgreSQL over a network without TLS.
    #[error("PostgreSQL on '{host}' would be reached without TLS; only loopback and sockets are")]
    Insecure {
        /// The host.
        host: String,
    },
}
