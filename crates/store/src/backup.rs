//! Backups: all rows of a store, and the small files beside it, in one file that either engine can be restored from.
//!
//! ```text
//! lestrade-backup 1\n
//! {"schema":2,"at":…,"by":"0.1.0"}\n
//! zstd( records: length u32 LE, postcard(Record) )      files, rows table by table, End
//! BLAKE3 of all that stands before it, 32 bytes
//! ```
//!
//! Rows are read in one snapshot while the server goes on writing. Nothing of a backup is believed before its hash was.

use crate::engine::{Engine, Value};
use crate::sql_store::SqlStore;
use crate::{StoreError, postgres_engine::PostgresEngine, schema, sqlite_engine::SqliteEngine};
use lestrade_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: &str = "lestrade-backup 1\n";
/// The longest first line, and the largest record: an inventory of a million packages is far below.
const MAX_HEAD: u64 = 4096;
const MAX_RECORD: u32 = 1 << 30;
const HASH: usize = 32;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHead {
    /// The schema of its rows.
    pub schema: i64,
    /// When it was made.
    pub at: Timestamp,
    /// The version of the program that made it.
    pub by: String,
}

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// What it says of itself.
    pub head: BackupHead,
    /// Its rows.
    pub rows: u64,
    /// Files that lay beside the store: names and contents. Keys are among them.
    pub files: Vec<(String, Vec<u8>)>,
}

#[derive(Serialize, Deserialize)]
enum Record {
    File(String, Vec<u8>),
    Row(String, Vec<Value>),
    /// Nothing was lost behind it: so many rows.
    End(u64),
}

fn fault(action: &'static str) -> impl Fn(std::io::Error) -> StoreError {
    move |error| StoreError::Engine { action, reason: error.to_string() }
}

fn damaged(why: &str) -> StoreError {
    StoreError::BadBackup { reason: why.to_owned() }
}

/// Hashes what goes through it.
struct Hashing<T>(T, blake3::Hasher);

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.1.update(&bytes[..count]);
        Ok(count)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

fn put(out: &mut impl Write, record: &Record) -> Result<(), StoreError> {
    let encoded = postcard::to_stdvec(record).map_err(|_| damaged("a row cannot be encoded"))?;
    let length = u32::try_from(encoded.len()).ok().filter(|length| *length <= MAX_RECORD).ok_or_else(|| damaged("a row is too large"))?;
    out.write_all(&length.to_le_bytes()).and_then(|()| out.write_all(&encoded)).map_err(fault("writing the backup"))
}

/// Writes a backup of the store at a location, which another process may be using, and of files beside it.
///
/// # Errors
/// When the store cannot be read or the file cannot be written.
pub fn back_up(location: &str, files: Vec<(String, Vec<u8>)>, head: (Timestamp, &str), out: &Path) -> Result<Backup, StoreError> {
    if is_postgres(location) {
        write(&mut PostgresEngine::read(location)?, files, head, out)
    } else {
        write(&mut SqliteEngine::read(Path::new(location))?, files, head, out)
    }
}

fn write<E: Engine>(engine: &mut E, files: Vec<(String, Vec<u8>)>, (at, by): (Timestamp, &str), out: &Path) -> Result<Backup, StoreError> {
    engine.script(E::SNAPSHOT)?;
    let schema = schema::version(engine)?;
    if schema != schema::KNOWN {
        return Err(StoreError::OtherSchema { found: schema, known: schema::KNOWN });
    }
    let head = BackupHead { schema, at, by: by.to_owned() };
    let file = File::create(out).map_err(fault("creating the backup"))?;
    let mut hashing = Hashing(BufWriter::new(file), blake3::Hasher::new());
    let first = serde_json::to_string(&head).map_err(|_| damaged("its head cannot be encoded"))?;
    writeln!(hashing, "{MAGIC}{first}").map_err(fault("writing the backup"))?;
    let mut packed = zstd::Encoder::new(hashing, 3).map_err(fault("writing the backup"))?;
    for (name, content) in &files {
        put(&mut packed, &Record::File(name.clone(), content.clone()))?;
    }
    let mut rows = 0;
    for table in schema::TABLES {
        engine.query((table.select, &[]), &mut |row| {
            rows += 1;
            put(&mut packed, &Record::Row(table.name.to_owned(), row.0))
        })?;
    }
    engine.script("COMMIT")?;
    put(&mut packed, &Record::End(rows))?;
    let Hashing(mut file, hasher) = packed.finish().map_err(fault("writing the backup"))?;
    file.write_all(hasher.finalize().as_bytes()).map_err(fault("writing the backup"))?;
    let file = file.into_inner().map_err(|error| fault("writing the backup")(error.into_error()))?;
    file.sync_all().map_err(fault("writing the backup"))?;
    Ok(Backup { head, rows, files })
}

/// The part of a backup that its hash is of, once that was found right.
fn sound(path: &Path) -> Result<BufReader<std::io::Take<File>>, StoreError> {
    let mut file = File::open(path).map_err(fault("opening the backup"))?;
    let length = file.metadata().map_err(fault("opening the backup"))?.len();
    let body = length.checked_sub(HASH as u64).ok_or_else(|| damaged("it is cut"))?;
    let mut hasher = blake3::Hasher::new();
    let mut part = vec![0; 1 << 20];
    let mut left = (&mut file).take(body);
    loop {
        let count = left.read(&mut part).map_err(fault("reading the backup"))?;
        if count == 0 {
            break;
        }
        hasher.update(&part[..count]);
    }
    let mut hash = [0; HASH];
    file.read_exact(&mut hash).map_err(fault("reading the backup"))?;
    if hasher.finalize() != hash {
        return Err(damaged("its hash is not that of its content: it is cut, or was altered"));
    }
    file.seek(SeekFrom::Start(0)).map_err(fault("reading the backup"))?;
    Ok(BufReader::new(file.take(body)))
}

/// Takes the rows of a backup in: a table's name and the values of one row.
type EachRow<'a> = dyn FnMut(&str, Vec<Value>) -> Result<(), StoreError> + 'a;

/// Reads a backup whose hash is right, row by row.
fn read(path: &Path, each: &mut EachRow<'_>) -> Result<Backup, StoreError> {
    let mut reader = sound(path)?;
    let mut line = String::new();
    let mut next = |reader: &mut BufReader<std::io::Take<File>>| -> Result<String, StoreError> {
        line.clear();
        reader.take(MAX_HEAD).read_line(&mut line).map_err(|_| damaged("it is no backup"))?;
        Ok(line.clone())
    };
    if next(&mut reader)? != MAGIC {
        return Err(damaged("it is no backup of ours, or one of a later version"));
    }
    let head: BackupHead = serde_json::from_str(next(&mut reader)?.trim_end()).map_err(|_| damaged("its head cannot be read"))?;
    let mut packed = zstd::Decoder::with_buffer(reader).map_err(|_| damaged("it cannot be unpacked"))?;
    let (mut rows, mut files, mut encoded) = (0, Vec::new(), Vec::new());
    loop {
        let mut length = [0; 4];
        packed.read_exact(&mut length).map_err(|_| damaged("it ends too early"))?;
        let length = u32::from_le_bytes(length);
        if length > MAX_RECORD {
            return Err(damaged("a row is too large"));
        }
        encoded.clear();
        let read = (&mut packed).take(u64::from(length)).read_to_end(&mut encoded).map_err(|_| damaged("it cannot be unpacked"))?;
        if read != length as usize {
            return Err(damaged("it ends too early"));
        }
        match postcard::from_bytes(&encoded).map_err(|_| damaged("a row cannot be read"))? {
            Record::File(name, content) => files.push((name, content)),
            Record::Row(table, values) => {
                rows += 1;
                each(&table, values)?;
            }
            Record::End(count) if count == rows => return Ok(Backup { head, rows, files }),
            Record::End(_) => return Err(damaged("rows are missing")),
        }
    }
}

/// Puts a backup into the store at a location, which must be empty: all of it, in one transaction, or nothing.
///
/// # Errors
/// When the backup is not sound or of another schema, or the store is not empty or cannot be written.
pub fn restore(path: &Path, location: &str) -> Result<Backup, StoreError> {
    if is_postgres(location) {
        fill(PostgresEngine::connect(location)?, path).map(|(backup, _)| backup)
    } else {
        fill(SqliteEngine::open(Path::new(location))?, path).map(|(backup, _)| backup)
    }
}

/// Fills an empty store, and gives it back with what the backup says of itself.
fn fill<E: Engine>(engine: E, path: &Path) -> Result<(Backup, E), StoreError> {
    let mut engine = SqlStore::open(engine)?.into_engine();
    for table in schema::TABLES {
        let mut is_empty = true;
        engine.query((table.any, &[]), &mut |_| {
            is_empty = false;
            Ok(())
        })?;
        if !is_empty {
            return Err(StoreError::NotEmpty);
        }
    }
    let mut restored = None;
    engine.transact(&mut |run| {
        let backup = read(path, &mut |table, values| {
            let table =
                schema::TABLES.iter().find(|known| known.name == table).ok_or_else(|| damaged("it has a table of another schema"))?;
            run((table.insert, &values))
        })?;
        if !(schema::SAME_TABLES_SINCE..=schema::KNOWN).contains(&backup.head.schema) {
            return Err(StoreError::OtherSchema { found: backup.head.schema, known: schema::KNOWN });
        }
        restored = Some(backup);
        Ok(())
    })?;
    Ok((restored.ok_or_else(|| damaged("it was not read"))?, engine))
}

/// Looks a backup through: its hash, every record, and whether a store can be loaded from it, in a store of its own that is then
/// thrown away. A backup that was never restored is none.
///
/// # Errors
/// When it is not sound.
pub fn verify(path: &Path, sink: &mut dyn crate::LoadSink) -> Result<Backup, StoreError> {
    let folder = tempfile::tempdir().map_err(fault("making a folder to restore into"))?;
    let location = folder.path().join("state.db");
    // It is not opened a second time: where another thread starts a program just then, its lock is still held for a moment.
    let (backup, engine) = fill(SqliteEngine::open(&location)?, path)?;
    crate::Store::load(&mut SqlStore::open(engine)?, sink)?;
    Ok(backup)
}

/// Whether a location is one of PostgreSQL.
pub(crate) fn is_postgres(location: &str) -> bool {
    location.starts_with("postgres://") || location.starts_with("postgresql://")
}
