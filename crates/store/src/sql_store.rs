//! The store over any engine.

use crate::engine::{Engine, Row, Statement, Value};
use crate::{Change, Cursor, Delivery, Document, Inventories, Lane, Letter, LetterState, LoadSink, OutboxGroup, Store, StoreError, schema};
use lestrade_findings::LogPosition;
use lestrade_matching::frame;
use lestrade_model::{Hash, Inventory, Scope, Timestamp};
use lestrade_sys::step;
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

const fn lane(lane: Lane) -> Value {
    Value::Int(match lane {
        Lane::Urgent => 0,
        Lane::Ordinary => 1,
    })
}

const fn state(state: LetterState) -> Value {
    Value::Int(match state {
        LetterState::Waiting => 0,
        LetterState::Dead => 1,
    })
}

/// A row of `lane, body`.
fn group(row: &Row) -> Result<OutboxGroup, StoreError> {
    let group: OutboxGroup = decode(row.blob(1, "outbox")?, "outbox")?;
    let lane = if row.int(0, "outbox")? == 0 { Lane::Urgent } else { Lane::Ordinary };
    Ok(OutboxGroup { lane, ..group })
}

/// A row of `id, state, due, body`.
fn letter(row: &Row) -> Result<Letter, StoreError> {
    Ok(Letter {
        id: row.text(0, "letters")?.to_owned(),
        state: if row.int(1, "letters")? == 0 { LetterState::Waiting } else { LetterState::Dead },
        due: Timestamp::from_millis(row.int(2, "letters")?),
        note: decode(row.blob(3, "letters")?, "letters")?,
    })
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

    /// The engine, with the present schema.
    pub(crate) fn into_engine(self) -> E {
        self.engine
    }

    fn groups(&mut self, statement: Statement<'_>) -> Result<Vec<OutboxGroup>, StoreError> {
        let mut groups = Vec::new();
        self.engine.query(statement, &mut |row| {
            groups.push(group(&row)?);
            Ok(())
        })?;
        Ok(groups)
    }
}

impl<E: Engine> Inventories for SqlStore<E> {
    fn inventory(&mut self, id: &Hash) -> Result<Option<Inventory>, StoreError> {
        let mut found = None;
        self.engine.query(("SELECT body FROM inventories WHERE id = $1", &[Value::Blob(id.as_bytes().to_vec())]), &mut |row| {
            let damaged = || StoreError::Damaged { table: "inventories" };
            let packed = row.blob(0, "inventories")?;
            let plain = frame::unpack(packed, MAX_ROW).ok_or_else(damaged)?;
            found = Some(decode(&plain, "inventories")?);
            Ok(())
        })?;
        Ok(found)
    }
}

impl<E: Engine + 'static> Store for SqlStore<E> {
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
            step("commit: begun");
            for (id, component) in &change.components {
                run(("INSERT INTO components (id, body) VALUES ($1, $2)", &[Value::Int((*id).into()), encode(component)?]))?;
            }
            step("commit: components written");
            for (id, set) in &change.sets {
                run(("INSERT INTO match_sets (id, body) VALUES ($1, $2)", &[Value::Int((*id).into()), encode(set)?]))?;
            }
            step("commit: match sets written");
            for (id, name) in &change.vulnerabilities {
                run(("INSERT INTO vulnerabilities (id, name) VALUES ($1, $2)", &[Value::Int((*id).into()), Value::Text(name.clone())]))?;
            }
            step("commit: vulnerabilities written");
            for (id, inventory) in &change.inventories {
                let Value::Blob(plain) = encode(inventory)? else { continue };
                let packed = frame::pack(&plain)
                    .map_err(|error| StoreError::Engine { action: "compressing an inventory", reason: error.to_string() })?;
                let row = [Value::Blob(id.as_bytes().to_vec()), Value::Blob(packed)];
                run(("INSERT INTO inventories (id, body) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING", &row))?;
            }
            step("commit: inventories written");
            for (id, resource) in &change.resources {
                let row = [Value::Int((*id).into()), encode(resource)?];
                run(("INSERT INTO resources (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body", &row))?;
            }
            step("commit: resources written");
            for episode in &change.episodes {
                run(("INSERT INTO episodes (position, body) VALUES ($1, $2)", &[place(episode.position), encode(episode)?]))?;
            }
            step("commit: episodes written");
            for group in &change.groups {
                let row = [place(group.id), lane(group.lane), encode(group)?];
                run(("INSERT INTO outbox (id, lane, body) VALUES ($1, $2, $3)", &row))?;
            }
            step("commit: groups written");
            for (name, cursor) in &change.cursors {
                let row = [Value::Text(name.clone()), Value::Blob(cursor.clone())];
                run(("INSERT INTO cursors (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body", &row))?;
            }
            step("commit: cursors written");
            Ok(())
        })
    }

    fn reader(&self) -> Result<Box<dyn Inventories>, StoreError> {
        Ok(Box::new(SqlStore { engine: self.engine.reader()? }))
    }

    fn groups_after(&mut self, of: Lane, after: LogPosition, limit: u32) -> Result<Vec<OutboxGroup>, StoreError> {
        let parameters = [lane(of), place(after), Value::Int(limit.into())];
        self.groups(("SELECT lane, body FROM outbox WHERE lane = $1 AND id > $2 ORDER BY id LIMIT $3", &parameters))
    }

    fn history(&mut self, after: LogPosition, limit: u32) -> Result<Vec<OutboxGroup>, StoreError> {
        let parameters = [place(after), Value::Int(limit.into())];
        self.groups(("SELECT lane, body FROM outbox WHERE id > $1 ORDER BY id LIMIT $2", &parameters))
    }

    fn pending(&mut self, of: Lane, after: LogPosition) -> Result<(Option<LogPosition>, u64), StoreError> {
        let damaged = |_| StoreError::Damaged { table: "outbox" };
        let (mut next, mut count) = (None, 0);
        let parameters = [lane(of), place(after)];
        self.engine.query(("SELECT id FROM outbox WHERE lane = $1 AND id > $2 ORDER BY id LIMIT 1", &parameters), &mut |row| {
            next = Some(u64::try_from(row.int(0, "outbox")?).map_err(damaged)?);
            Ok(())
        })?;
        self.engine.query(("SELECT COUNT(*) FROM outbox WHERE lane = $1 AND id > $2", &parameters), &mut |row| {
            count = u64::try_from(row.int(0, "outbox")?).map_err(damaged)?;
            Ok(())
        })?;
        Ok((next, count))
    }

    fn group(&mut self, id: LogPosition) -> Result<Option<OutboxGroup>, StoreError> {
        Ok(self.groups(("SELECT lane, body FROM outbox WHERE id = $1", &[place(id)]))?.pop())
    }

    fn prune_outbox(&mut self, upto: LogPosition) -> Result<u64, StoreError> {
        let sql = "DELETE FROM outbox WHERE id <= $1 AND id < (SELECT MAX(id) FROM outbox) \
                   AND NOT EXISTS (SELECT 1 FROM letters WHERE letters.about = outbox.id)";
        self.engine.execute((sql, &[place(upto)]))
    }

    fn delivery(&mut self, target: &str) -> Result<Option<Delivery>, StoreError> {
        let mut found = None;
        let key = [Value::Text(target.to_owned())];
        self.engine.query(("SELECT body FROM deliveries WHERE target = $1", &key), &mut |row| {
            let bytes = row.blob(0, "deliveries")?;
            // What an earlier version wrote is the beginning of what this one writes.
            let earlier = |_| decode::<Cursor>(bytes, "deliveries").map(|ordinary| Delivery { ordinary, ..Delivery::default() });
            found = Some(decode(bytes, "deliveries").or_else(earlier)?);
            Ok(())
        })?;
        Ok(found)
    }

    fn settle(&mut self, target: &str, delivery: &Delivery, put: &[Letter], done: &[String]) -> Result<(), StoreError> {
        let key = || Value::Text(target.to_owned());
        self.engine.transact(&mut |run| {
            let sql = "INSERT INTO deliveries (target, body) VALUES ($1, $2) ON CONFLICT (target) DO UPDATE SET body = excluded.body";
            run((sql, &[key(), encode(delivery)?]))?;
            step("settle: cursor written");
            for letter in put {
                let row = [
                    key(),
                    Value::Text(letter.id.clone()),
                    state(letter.state),
                    Value::Int(letter.due.as_millis()),
                    place(letter.note.group),
                    encode(&letter.note)?,
                ];
                let sql = "INSERT INTO letters (target, id, state, due, about, body) VALUES ($1, $2, $3, $4, $5, $6) \
                           ON CONFLICT (target, id) DO UPDATE SET state = excluded.state, due = excluded.due, body = excluded.body";
                run((sql, &row))?;
            }
            step("settle: letters written");
            for id in done {
                run(("DELETE FROM letters WHERE target = $1 AND id = $2", &[key(), Value::Text(id.clone())]))?;
            }
            Ok(())
        })
    }

    fn letters(&mut self, target: &str, of: LetterState, due: Timestamp, limit: u32) -> Result<Vec<Letter>, StoreError> {
        let mut letters = Vec::new();
        let parameters = [Value::Text(target.to_owned()), state(of), Value::Int(due.as_millis()), Value::Int(limit.into())];
        let sql = "SELECT id, state, due, body FROM letters WHERE target = $1 AND state = $2 AND due <= $3 ORDER BY due, id LIMIT $4";
        self.engine.query((sql, &parameters), &mut |row| {
            letters.push(letter(&row)?);
            Ok(())
        })?;
        Ok(letters)
    }

    fn count_letters(&mut self, target: &str, of: LetterState) -> Result<u64, StoreError> {
        let mut count = 0;
        let parameters = [Value::Text(target.to_owned()), state(of)];
        self.engine.query(("SELECT COUNT(*) FROM letters WHERE target = $1 AND state = $2", &parameters), &mut |row| {
            count = u64::try_from(row.int(0, "letters")?).map_err(|_| StoreError::Damaged { table: "letters" })?;
            Ok(())
        })?;
        Ok(count)
    }

    fn redrive(&mut self, target: &str, id: Option<&str>, now: Timestamp) -> Result<u64, StoreError> {
        let due = Value::Int(now.as_millis());
        let target = Value::Text(target.to_owned());
        match id {
            Some(id) => {
                let sql = "UPDATE letters SET state = 0, due = $1 WHERE target = $2 AND state = 1 AND id = $3";
                self.engine.execute((sql, &[due, target, Value::Text(id.to_owned())]))
            }
            None => self.engine.execute(("UPDATE letters SET state = 0, due = $1 WHERE target = $2 AND state = 1", &[due, target])),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_version_noted_of_a_target_is_still_known() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = {
            let path = folder.path().join("state.db");
            SqlStore::open(crate::sqlite_engine::SqliteEngine::open(&path).unwrap()).unwrap()
        };
        let earlier = encode(&(5_u64, 17_u64, 2_u32)).unwrap();
        let row = [Value::Text("hook".into()), earlier];
        store.engine.execute(("INSERT INTO deliveries (target, body) VALUES ($1, $2)", &row)).unwrap();
        let ordinary = Cursor { done: 5, within: 17, attempts: 2 };
        assert_eq!(store.delivery("hook").unwrap(), Some(Delivery { ordinary, ..Delivery::default() }));
    }
}
