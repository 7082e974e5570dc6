//! PostgreSQL: where one machine is outgrown.

use crate::StoreError;
use crate::engine::{Engine, Row, Run, Statement, Value};
use postgres::config::Host;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls};
use std::collections::HashMap;
use std::str::FromStr;

/// The advisory lock that the one writer of a database holds for as long as its session lives.
const WRITER_LOCK: i64 = 0x4c45_5354_5241_4445;

pub(crate) struct PostgresEngine {
    config: Config,
    client: Client,
    /// Whether it is the one writer.
    is_writer: bool,
    statements: HashMap<&'static str, postgres::Statement>,
}

fn failed(action: &'static str) -> impl Fn(postgres::Error) -> StoreError {
    move |error| {
        let reason = error.as_db_error().map_or_else(|| error.to_string(), |db| format!("{}: {}", db.severity(), db.message()));
        match error.code() {
            Some(&SqlState::DISK_FULL) => StoreError::Full,
            _ => StoreError::Engine { action, reason },
        }
    }
}

impl PostgresEngine {
    /// Connects as the one writer.
    pub(crate) fn connect(url: &str) -> Result<Self, StoreError> {
        let mut engine = Self { is_writer: true, ..Self::read(url)? };
        hold(&mut engine.client)?;
        Ok(engine)
    }

    /// The connection; a new one where the server went away and is back. Whoever was the writer is one again, or goes on no further.
    /// Somebody else may have written meanwhile: what is committed next then does not fit, and is refused.
    fn client(&mut self) -> Result<&mut Client, StoreError> {
        if self.client.is_closed() {
            let mut client = self.config.connect(NoTls).map_err(failed("connecting again"))?;
            if self.is_writer {
                hold(&mut client)?;
            }
            self.statements.clear();
            self.client = client;
        }
        Ok(&mut self.client)
    }

    /// Connects to read, whoever writes meanwhile.
    pub(crate) fn read(url: &str) -> Result<Self, StoreError> {
        let config =
            Config::from_str(url).map_err(|_| StoreError::Engine { action: "connecting", reason: "the URL is not valid".into() })?;
        for host in config.get_hosts() {
            if let Host::Tcp(name) = host
                && !matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1")
            {
                return Err(StoreError::Insecure { host: name.clone() });
            }
        }
        let client = config.connect(NoTls).map_err(failed("connecting"))?;
        Ok(Self { config, client, is_writer: false, statements: HashMap::new() })
    }
}

/// Takes the lock of the one writer, which lasts as long as the connection.
fn hold(client: &mut Client) -> Result<(), StoreError> {
    let row = client.query_one("SELECT pg_try_advisory_lock($1)", &[&WRITER_LOCK]).map_err(failed("connecting"))?;
    if row.get::<_, bool>(0) { Ok(()) } else { Err(StoreError::InUse) }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Int(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
            Self::Blob(value) => value.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::TEXT | Type::BYTEA)
    }

    to_sql_checked!();
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl Engine for PostgresEngine {
    const TYPES: [(&'static str, &'static str); 2] = [("$INT", "BIGINT"), ("$BLOB", "BYTEA")];
    const SNAPSHOT: &'static str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

    /// A database has its own backups, and a migration is one transaction; a copy of all tables may not fit beside them.
    fn reader(&self) -> Result<Self, StoreError> {
        let client = self.config.connect(NoTls).map_err(failed("connecting"))?;
        Ok(Self { config: self.config.clone(), client, is_writer: false, statements: HashMap::new() })
    }

    fn keep_before(&mut self, _: i64) -> Result<(), StoreError> {
        Ok(())
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.client()?.batch_execute(sql).map_err(failed("preparing the schema"))
    }

    fn execute(&mut self, (sql, values): Statement<'_>) -> Result<u64, StoreError> {
        self.client()?.execute(sql, &parameters(values)).map_err(failed("writing"))
    }

    fn transact(&mut self, work: &mut dyn FnMut(&mut Run<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.client()?;
        let Self { client, statements, .. } = self;
        let mut transaction = client.transaction().map_err(failed("beginning"))?;
        work(&mut |(sql, values)| {
            if !statements.contains_key(sql) {
                statements.insert(sql, transaction.prepare(sql).map_err(failed("preparing"))?);
            }
            transaction.execute(&statements[sql], &parameters(values)).map(|_| ()).map_err(failed("writing"))
        })?;
        transaction.commit().map_err(failed("committing"))
    }

    fn query(&mut self, (sql, values): Statement<'_>, each: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut rows = self.client()?.query_raw(sql, parameters(values)).map_err(failed("reading"))?;
        while let Some(row) = rows.next().map_err(failed("reading"))? {
            let mut read = Vec::with_capacity(row.len());
            for (i, column) in row.columns().iter().enumerate() {
                let damaged = |_| StoreError::Damaged { table: "a table" };
                read.push(match *column.type_() {
                    Type::INT8 => Value::Int(row.try_get(i).map_err(damaged)?),
                    Type::TEXT => Value::Text(row.try_get(i).map_err(damaged)?),
                    Type::BYTEA => Value::Blob(row.try_get(i).map_err(damaged)?),
                    _ => return Err(StoreError::Damaged { table: "a table" }),
                });
            }
            each(Row(read))?;
        }
        Ok(())
    }
}
