//! The store over any engine.

use crate::engine::{Engine, Row, Value};
use crate::{Change, Delivery, Document, LoadSink, OutboxGroup, Store, StoreError, schema};
use lestrade_findings::LogPosition;
use lestrade_model::{Hash, Inventory, Scope};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest decoded row: an inventory of a million packages is far below.
const MAX_ROW: usize = 1 << 30;

/// A store over an SQL engine.
pub(crate) struct SqlStore<E> {
    engine: E,
}

fn encode<T: Serialize>(value: &T) -> Result<Value, StoreError> {
    let fault = |_| StoreError::Engine { action: "encoding", reason: "a value cannot be encoded".into() };
    postcard::to_stdvec(value).map(Value::Blob).map_err(fault)
}

fn decode<T: DeserializeOwned>(bytes: &[u8], table: &'static str) -> Result<T, StoreError> {
    postcard::from_bytes(bytes).map_err(|_| StoreError::Damaged { table })
}

fn place(position: LogPosition) -> Value {
    Value::Int(i64::try_from(position).unwrap_or(i64::MAX))
}

fn number(row: &Row, table: &'static str) -> Result<u32, StoreError> {
    u32::try_from(row.int(0, table)?).map_err(|_| StoreError::Damaged { table })
}

impl<E: Engine> SqlStore<E> {
    /// Brings the schema up to date.
    ///
    /// # Errors
    /// When the engine fails or the schema is newer than this version.
    pub(crate) fn open(mut engine: E) -> Result<Self, StoreError> {
        schema::migrate(&mut engine)?;
        Ok(Self { engine })
    }

    fn one<T: DeserializeOwned>(&mut self, sql: &'static str, key: Value, table: &'static str) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.engine.query((sql, &[key]), &mut |row| {
            found = Some(decode(row.blob(0, table)?, table)?);
            Ok(())
        })?;
        Ok(found)
    }
}

impl<E: Engine> Store for SqlStore<E> {
    fn load(&mut self, sink: &mut dyn LoadSink) -> Result<(), StoreError> {
        self.engine.query(("SELECT id, body FROM components ORDER BY id", &[]), &mut |row| {
            sink.component(number(&row, "components")?, decode(row.blob(1, "components")?, "components")?);
            Ok(())
        })?;
        self.engine.query(("SELECT id, body FROM match_sets ORDER BY id", &[]), &mut |row| {
            sink.set(number(&row, "match_sets")?, decode(row.blob(1, "match_sets")?, "match_sets")?);
            Ok(())
        })?;
        self.engine.query(("SELECT id, name FROM vulnerabilities ORDER BY id", &[]), &mut |row| {
            sink.vulnerability(number(&row, "vulnerabilities")?, row.text(1, "vulnerabilities")?.to_owned());
            Ok(())
        })?;
        self.engine.query(("SELECT id, body FROM resources ORDER BY id", &[]), &mut |row| {
            sink.resource(number(&row, "resources")?, decode(row.blob(1, "resources")?, "resources")?);
            Ok(())
        })?;
        self.engine.query(("SELECT position, body FROM episodes ORDER BY position", &[]), &mut |row| {
            sink.episode(decode(row.blob(1, "episodes")?, "episodes")?);
            Ok(())
        })?;
        self.engine.query(("SELECT id FROM outbox ORDER BY id DESC LIMIT 1", &[]), &mut |row| {
            sink.last_group(u64::try_from(row.int(0, "outbox")?).map_err(|_| StoreError::Damaged { table: "outbox" })?);
            Ok(())
        })
    }

    fn commit(&mut self, change: &Change) -> Result<(), StoreError> {
        self.engine.transact(&mut |run| {
            for (id, component) in &change.components {
                run(("INSERT INTO components (id, body) VALUES ($1, $2)", &[Value::Int((*id).into()), encode(component)?]))?;
            }
            for (id, set) in &change.sets {
                run(("INSERT INTO match_sets (id, body) VALUES ($1, $2)", &[Value::Int((*id).into()), encode(set)?]))?;
            }
            for (id, name) in &change.vulnerabilities {
                run(("INSERT INTO vulnerabilities (id, name) VALUES ($1, $2)", &[Value::Int((*id).into()), Value::Text(name.clone())]))?;
            }
            for (id, inventory) in &change.inventories {
                let Value::Blob(plain) = encode(inventory)? else { continue };
                let packed = zstd::bulk::compress(&plain, 3)
                    .map_err(|error| StoreError::Engine { action: "compressing an inventory", reason: error.to_string() })?;
                let row = [Value::Blob(id.as_bytes().to_vec()), Value::Blob(packed)];
                run(("INSERT INTO inventories (id, body) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING", &row))?;
            }
            for (id, resource) in &change.resources {
                let row = [Value::Int((*id).into()), encode(resource)?];
                run(("INSERT INTO resources (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body", &row))?;
            }
            for episode in &change.episodes {
                run(("INSERT INTO episodes (position, body) VALUES ($1, $2)", &[place(episode.position), encode(episode)?]))?;
            }
            for group in &change.groups {
                run(("INSERT INTO outbox (id, body) VALUES ($1, $2)", &[place(group.id), encode(group)?]))?;
            }
            for (name, cursor) in &change.cursors {
                let row = [Value::Text(name.clone()), Value::Blob(cursor.clone())];
                run(("INSERT INTO cursors (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body", &row))?;
            }
            Ok(())
        })
    }

    fn inventory(&mut self, id: &Hash) -> Result<Option<Inventory>, StoreError> {
        let mut found = None;
        self.engine.query(("SELECT body FROM inventories WHERE id = $1", &[Value::Blob(id.as_bytes().to_vec())]), &mut |row| {
            let damaged = || StoreError::Damaged { table: "inventories" };
            let packed = row.blob(0, "inventories")?;
            // The frame says how large it is: that much is allocated and no more.
            let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten().and_then(|size| usize::try_from(size).ok());
            let size = size.filter(|size| *size <= MAX_ROW).ok_or_else(damaged)?;
            let plain = zstd::bulk::decompress(packed, size).map_err(|_| damaged())?;
            found = Some(decode(&plain, "inventories")?);
            Ok(())
        })?;
        Ok(found)
    }

    fn groups_after(&mut self, after: LogPosition, limit: u32) -> Result<Vec<OutboxGroup>, StoreError> {
        let mut groups = Vec::new();
        let parameters = [place(after), Value::Int(limit.into())];
        self.engine.query(("SELECT body FROM outbox WHERE id > $1 ORDER BY id LIMIT $2", &parameters), &mut |row| {
            groups.push(decode(row.blob(0, "outbox")?, "outbox")?);
            Ok(())
        })?;
        Ok(groups)
    }

    fn delivery(&mut self, target: &str) -> Result<Delivery, StoreError> {
        let key = Value::Text(target.to_owned());
        Ok(self.one("SELECT body FROM deliveries WHERE target = $1", key, "deliveries")?.unwrap_or_default())
    }

    fn set_delivery(&mut self, target: &str, delivery: &Delivery) -> Result<(), StoreError> {
        let row = [Value::Text(target.to_owned()), encode(delivery)?];
        let sql = "INSERT INTO deliveries (target, body) VALUES ($1, $2) ON CONFLICT (target) DO UPDATE SET body = excluded.body";
        self.engine.execute((sql, &row)).map(|_| ())
    }

    fn cursor(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut found = None;
        self.engine.query(("SELECT body FROM cursors WHERE name = $1", &[Value::Text(name.to_owned())]), &mut |row| {
            found = Some(row.blob(0, "cursors")?.to_vec());
            Ok(())
        })?;
        Ok(found)
    }

    fn documents(&mut self, scope: &Scope, kind: &str) -> Result<Vec<Document>, StoreError> {
        let mut documents = Vec::new();
        let parameters = [Value::Text(scope.to_string()), Value::Text(kind.to_owned())];
        self.engine.query(("SELECT key, body FROM documents WHERE scope = $1 AND kind = $2 ORDER BY key", &parameters), &mut |row| {
            documents.push(Document { key: row.text(0, "documents")?.to_owned(), body: row.text(1, "documents")?.to_owned() });
            Ok(())
        })?;
        Ok(documents)
    }

    fn put_document(&mut self, scope: &Scope, kind: &str, document: &Document) -> Result<(), StoreError> {
        let row = [
            Value::Text(scope.to_string()),
            Value::Text(kind.to_owned()),
            Value::Text(document.key.clone()),
            Value::Text(document.body.clone()),
        ];
        let sql = "INSERT INTO documents (scope, kind, key, body) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (scope, kind, key) DO UPDATE SET body = excluded.body";
        self.engine.execute((sql, &row)).map(|_| ())
    }

    fn delete_document(&mut self, scope: &Scope, kind: &str, key: &str) -> Result<bool, StoreError> {
        let row = [Value::Text(scope.to_string()), Value::Text(kind.to_owned()), Value::Text(key.to_owned())];
        Ok(self.engine.execute(("DELETE FROM documents WHERE scope = $1 AND kind = $2 AND key = $3", &row))? > 0)
    }
}
