//! Events as lines of a file: for a log shipper, and for a person.

use crate::{DeliveryError, Message, Sent, Surroundings, Target, TargetRecord};
use lestrade_sys::step;
use serde::Deserialize;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Lines that are written and synced together.
const BATCH: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    path: PathBuf,
}

pub(crate) fn open(record: &TargetRecord, _: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let options: Options = record.options()?;
    Ok(Box::new(JsonLines::open(&record.name, &options.path)?))
}

/// Appends each event as one line and syncs before it says that it has it.
#[derive(Debug)]
struct JsonLines {
    name: String,
    file: File,
}

impl JsonLines {
    /// Opens or creates the file. A line that a crash cut off is ended, so that the next one stands alone.
    fn open(name: &str, path: &Path) -> Result<Self, DeliveryError> {
        let fault = |error: std::io::Error| DeliveryError::unusable(name, format!("'{}': {error}", path.display()));
        if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
            return Err(DeliveryError::unusable(name, format!("'{}' is no file", path.display())));
        }
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(fault)?;
        let mut last = [b'\n'];
        if file.metadata().map_err(fault)?.len() > 0 {
            file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(fault)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n").map_err(fault)?;
        }
        Ok(Self { name: name.to_owned(), file })
    }
}

impl Target for JsonLines {
    fn name(&self) -> &str {
        &self.name
    }

    fn batch(&self) -> usize {
        BATCH
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        let mut lines = String::new();
        for message in messages {
            match &message.words {
                // A rule's words may hold line breaks; a line is one message.
                Some(words) => lines.extend(words.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c })),
                None => lines.push_str(&message.payload()),
            }
            lines.push('\n');
        }
        step("lines: rendered");
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| {
            step("lines: written");
            self.file.sync_data()
        });
        step("lines: synced");
        let sent = written.map_err(|error| DeliveryError::retry(error.to_string()));
        vec![sent; messages.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Names};
    use serde_json::json;

    #[test]
    fn a_line_that_was_cut_off_spoils_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "{\"cut").unwrap();
        let mut target = JsonLines::open("t", &path).unwrap();
        let plain = Message::plain(Event { id: "1".into(), revision: 1, body: json!({"a": "b\nc"}), open: None, names: Names::default() });
        let words = Message { words: Some("two\nlines".into()), ..plain.clone() };
        assert_eq!(target.deliver(&[plain, words]), [Ok(()), Ok(())]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"cut\n{\"a\":\"b\\nc\"}\ntwo lines\n");
    }
}
