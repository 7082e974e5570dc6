//! The schema, and how an older one becomes this one.

use crate::StoreError;
use crate::engine::Engine;

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
];

/// Brings a store to the present schema.
pub(crate) fn migrate<E: Engine>(engine: &mut E) -> Result<(), StoreError> {
    engine.script(&spell::<E>("CREATE TABLE IF NOT EXISTS schema_version (version $INT NOT NULL)"))?;
    let mut found = 0;
    engine.query(("SELECT version FROM schema_version", &[]), &mut |row| {
        found = row.int(0, "schema_version")?;
        Ok(())
    })?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(0)) {
        // One transaction: a migration that is cut off never happened.
        let note = format!("DELETE FROM schema_version; INSERT INTO schema_version (version) VALUES ({version});");
        engine.script(&format!("BEGIN; {} {note} COMMIT;", spell::<E>(migration)))?;
    }
    Ok(())
}

fn spell<E: Engine>(sql: &str) -> String {
    E::TYPES.iter().fold(sql.to_owned(), |sql, (name, kind)| sql.replace(name, kind))
}
