//! PostgreSQL: where one machine is outgrown.

use crate::StoreError;
use crate::engine::{Engine, Row, Run, Statement, Value};
use postgres::config::Host;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls};
use std::collections::HashMap;
use std::str::FromStr;

/// The advisory lock that the one writer of a database holds for as long as its session lives.
const WRITER_LOCK: i64 = 0x4c45_5354_5241_4445;

pub(crate) struct PostgresEngine {
    client: Client,
    statements: HashMap<&'static str, postgres::Statement>,
}

fn failed(action: &'static str) -> impl Fn(postgres::Error) -> StoreError {
    move |error| {
        let reason = error.as_db_error().map_or_else(|| error.to_string(), |db| format!("{}: {}", db.severity(), db.message()));
        StoreError::Engine { action, reason }
    }
}

impl PostgresEngine {
    /// Connects as the one writer.
    pub(crate) fn connect(url: &str) -> Result<Self, StoreError> {
        let mut engine = Self::read(url)?;
        let row = engine.client.query_one("SELECT pg_try_advisory_lock($1)", &[&WRITER_LOCK]).map_err(failed("connecting"))?;
        if row.get::<_, bool>(0) { Ok(engine) } else { Err(StoreError::InUse) }
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
        Ok(Self { client, statements: HashMap::new() })
    }
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
    fn keep_before(&mut self, _: i64) -> Result<(), StoreError> {
        Ok(())
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.client.batch_execute(sql).map_err(failed("preparing the schema"))
    }

    fn execute(&mut self, (sql, values): Statement<'_>) -> Result<u64, StoreError> {
        self.client.execute(sql, &parameters(values)).map_err(failed("writing"))
    }

    fn transact(&mut self, work: &mut dyn FnMut(&mut Run<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let Self { client, statements } = self;
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
        let mut rows = self.client.query_raw(sql, parameters(values)).map_err(failed("reading"))?;
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
