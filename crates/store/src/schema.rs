//! The schema, and how an older one becomes this one.

use crate::StoreError;
use crate::engine::Engine;
use lestrade_sys::step;

/// The schema that this version writes. A migration is added at the end of [`MIGRATIONS`] and never changed again.
const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE components (id $INT PRIMARY KEY, body $BLOB NOT NULL);
CREATE TABLE match_sets (id $INT PRIMARY KEY, body $BLOB NOT NULL);
CREATE TABLE vulnerabilities (id $INT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE inventories (id $BLOB PRIMARY KEY, body $BLOB NOT NULL);
CREATE TABLE resources (id $INT PRIMARY KEY, body $BLOB NOT NULL);
CREATE TABLE episodes (position $INT PRIMARY KEY, body $BLOB NOT NULL);
CREATE TABLE outbox (id $INT PRIMARY KEY, body $BLOB NOT NULL);
CREATE TABLE deliveries (target TEXT PRIMARY KEY, body $BLOB NOT NULL);
CREATE TABLE cursors (name TEXT PRIMARY KEY, body $BLOB NOT NULL);
CREATE TABLE documents (scope TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (scope, kind, key));
",
    "
ALTER TABLE outbox ADD COLUMN lane $INT NOT NULL DEFAULT 1;
CREATE INDEX outbox_by_lane ON outbox (lane, id);
CREATE TABLE letters (target TEXT NOT NULL, id TEXT NOT NULL, state $INT NOT NULL, due $INT NOT NULL, about $INT NOT NULL,
    body $BLOB NOT NULL, PRIMARY KEY (target, id));
CREATE INDEX letters_by_due ON letters (target, state, due);
CREATE INDEX letters_by_group ON letters (about);
",
    // No table is another: the log has episodes that rename and merge vulnerabilities, of which an older program knows nothing.
    "",
];

/// The schema that this version knows.
pub(crate) const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Since which schema the tables are what they are: a backup of any since then can be put back as it is.
pub(crate) const SAME_TABLES_SINCE: i64 = 2;

/// A table: how all of its rows are read, in an order that does not change, how one is written, and whether there is any.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) select: &'static str,
    pub(crate) insert: &'static str,
    pub(crate) any: &'static str,
}

macro_rules! table {
    ($name:literal, $columns:literal, $values:literal, $order:literal) => {
        Table {
            name: $name,
            select: concat!("SELECT ", $columns, " FROM ", $name, " ORDER BY ", $order),
            insert: concat!("INSERT INTO ", $name, " (", $columns, ") VALUES (", $values, ")"),
            any: concat!("SELECT ", $order, " FROM ", $name, " LIMIT 1"),
        }
    };
}

/// Every table of the schema: what a backup holds. A migration that adds a column or a table is heard of here.
pub(crate) const TABLES: &[Table] = &[
    table!("components", "id, body", "$1, $2", "id"),
    table!("match_sets", "id, body", "$1, $2", "id"),
    table!("vulnerabilities", "id, name", "$1, $2", "id"),
    table!("inventories", "id, body", "$1, $2", "id"),
    table!("resources", "id, body", "$1, $2", "id"),
    table!("episodes", "position, body", "$1, $2", "position"),
    table!("outbox", "id, body, lane", "$1, $2, $3", "id"),
    table!("deliveries", "target, body", "$1, $2", "target"),
    table!("cursors", "name, body", "$1, $2", "name"),
    table!("documents", "scope, kind, key, body", "$1, $2, $3, $4", "scope, kind, key"),
    table!("letters", "target, id, state, due, about, body", "$1, $2, $3, $4, $5, $6", "target, id"),
];

/// The schema that a store has; 0 before the first.
pub(crate) fn version<E: Engine>(engine: &mut E) -> Result<i64, StoreError> {
    let mut found = 0;
    engine.query(("SELECT version FROM schema_version", &[]), &mut |row| {
        found = row.int(0, "schema_version")?;
        Ok(())
    })?;
    Ok(found)
}

/// Brings a store to the present schema. What an older one holds is kept beside it, where the engine can.
pub(crate) fn migrate<E: Engine>(engine: &mut E) -> Result<(), StoreError> {
    engine.script(&spell::<E>("CREATE TABLE IF NOT EXISTS schema_version (version $INT NOT NULL)"))?;
    let found = version(engine)?;
    let known = KNOWN;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    if found > 0 && found < known {
        engine.keep_before(found)?;
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(0)) {
        // One transaction: a migration that is cut off never happened.
        let note = format!("DELETE FROM schema_version; INSERT INTO schema_version (version) VALUES ({version});");
        engine.script(&format!("BEGIN; {} {note} COMMIT;", spell::<E>(migration)))?;
        step("schema: migrated");
    }
    Ok(())
}

fn spell<E: Engine>(sql: &str) -> String {
    E::TYPES.iter().fold(sql.to_owned(), |sql, (name, kind)| sql.replace(name, kind))
}
