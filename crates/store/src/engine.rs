//! What the two engines have in common: run a statement, read rows, in a transaction.

use crate::StoreError;
use serde::{Deserialize, Serialize};

/// A value of a column. Nothing else is ever stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Value {
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// A row that was read.
#[derive(Debug)]
pub(crate) struct Row(pub(crate) Vec<Value>);

impl Row {
    pub(crate) fn int(&self, column: usize, table: &'static str) -> Result<i64, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(*value),
            _ => Err(StoreError::Damaged { table }),
        }
    }

    pub(crate) fn text(&self, column: usize, table: &'static str) -> Result<&str, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value),
            _ => Err(StoreError::Damaged { table }),
        }
    }

    pub(crate) fn blob(&self, column: usize, table: &'static str) -> Result<&[u8], StoreError> {
        match self.0.get(column) {
            Some(Value::Blob(value)) => Ok(value),
            _ => Err(StoreError::Damaged { table }),
        }
    }
}

/// A statement and its parameters, written `$1`, `$2` … in order of first use: both engines read that.
pub(crate) type Statement<'a> = (&'static str, &'a [Value]);

/// Runs one statement of a transaction.
pub(crate) type Run<'a> = dyn FnMut(Statement<'_>) -> Result<(), StoreError> + 'a;

/// An SQL engine.
pub(crate) trait Engine: Send {
    /// The type names of the two column types that differ: integer and blob.
    const TYPES: [(&'static str, &'static str); 2];
    /// Begins a transaction that only reads, and sees one moment; `COMMIT` ends it.
    const SNAPSHOT: &'static str;

    /// Another one that reads from the same state, whoever writes to it meanwhile.
    fn reader(&self) -> Result<Self, StoreError>
    where
        Self: Sized;

    /// Keeps what is there, of this schema, before it is changed to a later one.
    fn keep_before(&mut self, version: i64) -> Result<(), StoreError>;

    /// Runs statements without parameters.
    fn script(&mut self, sql: &str) -> Result<(), StoreError>;

    /// Runs one statement outside of a transaction; answers how many rows it touched.
    fn execute(&mut self, statement: Statement<'_>) -> Result<u64, StoreError>;

    /// Runs statements in one durable transaction.
    fn transact(&mut self, work: &mut dyn FnMut(&mut Run<'_>) -> Result<(), StoreError>) -> Result<(), StoreError>;

    /// Reads rows, one at a time.
    fn query(&mut self, statement: Statement<'_>, each: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError>;
}
