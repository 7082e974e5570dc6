//! SQLite: the default. WAL, one writer, every commit synced.

use crate::StoreError;
use crate::engine::{Engine, Row, Run, Statement, Value};
use lestrade_sys::step;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// How long a reader waits for a writer that is about to finish.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct SqliteEngine {
    connection: Connection,
    /// Held as long as the engine lives: two servers on one state would each overwrite what the other knows.
    _lock: Option<File>,
}

fn failed(action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        _ => StoreError::Engine { action, reason: error.to_string() },
    }
}

impl SqliteEngine {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |error: std::io::Error| StoreError::Engine { action: "opening the state", reason: error.to_string() };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let lock = File::create(path.with_extension("lock")).map_err(io)?;
        lock.try_lock().map_err(|_| StoreError::InUse)?;
        let connection = Connection::open(path).map_err(failed("opening the state"))?;
        connection
            .execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;")
            .map_err(failed("opening the state"))?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection, _lock: Some(lock) })
    }

    /// Opens a state to read from it, whoever writes to it meanwhile.
    pub(crate) fn read(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed("opening the state"))?;
        connection.execute_batch("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;").map_err(failed("opening the state"))?;
        connection.busy_timeout(PATIENCE).map_err(failed("opening the state"))?;
        Ok(Self { connection, _lock: None })
    }

    /// Copies the state, as it is, to a file beside it.
    fn copy(&self, suffix: &str) -> Result<(), StoreError> {
        let Some(path) = self.connection.path().map(|path| format!("{path}.{suffix}")) else { return Ok(()) };
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::Engine { action: "making room for a copy of the state", reason: error.to_string() });
            }
            _ => {}
        }
        self.connection.execute("VACUUM INTO ?1", [path]).map(drop).map_err(failed("copying the state before it is changed"))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(value) => (*value).into(),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Blob(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
        })
    }
}

fn run(connection: &Connection, (sql, parameters): Statement<'_>) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(params_from_iter(parameters))
}

impl Engine for SqliteEngine {
    const TYPES: [(&'static str, &'static str); 2] = [("$INT", "INTEGER"), ("$BLOB", "BLOB")];
    const SNAPSHOT: &'static str = "BEGIN";

    fn reader(&self) -> Result<Self, StoreError> {
        let nowhere = || StoreError::Engine { action: "opening the state", reason: "it is no file".into() };
        Self::read(Path::new(self.connection.path().ok_or_else(nowhere)?))
    }

    fn keep_before(&mut self, version: i64) -> Result<(), StoreError> {
        self.copy(&format!("before-schema-{}", version + 1))
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(failed("preparing the schema"))
    }

    fn execute(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        run(&self.connection, statement).map(|rows| rows as u64).map_err(failed("writing"))
    }

    fn transact(&mut self, work: &mut dyn FnMut(&mut Run<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let transaction = self.connection.transaction().map_err(failed("beginning"))?;
        work(&mut |statement| run(&transaction, statement).map(|_| ()).map_err(failed("writing")))?;
        step("transaction: written");
        transaction.commit().map_err(failed("committing"))?;
        step("transaction: committed");
        Ok(())
    }

    fn query(&mut self, (sql, parameters): Statement<'_>, each: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failed("reading"))?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(parameters)).map_err(failed("reading"))?;
        while let Some(row) = rows.next().map_err(failed("reading"))? {
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(match row.get_ref(column).map_err(failed("reading"))? {
                    ValueRef::Integer(value) => Value::Int(value),
                    ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
                    ValueRef::Blob(value) => Value::Blob(value.to_vec()),
                    ValueRef::Null | ValueRef::Real(_) => return Err(StoreError::Damaged { table: "a table" }),
                });
            }
            each(Row(values))?;
        }
        Ok(())
    }
}
