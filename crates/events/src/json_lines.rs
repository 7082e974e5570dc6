//! Events as lines of a file: for a log shipper, and for a person.

use crate::{DeliveryError, Event, Target};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Appends each event as one line and syncs before it says that it has it.
#[derive(Debug)]
pub struct JsonLines {
    name: String,
    file: File,
}

impl JsonLines {
    /// Opens or creates the file. A line that a crash cut off is ended, so that the next one stands alone.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(path: &Path) -> Result<Self, DeliveryError> {
        let name = format!("json-lines:{}", path.display());
        let unusable = |error: std::io::Error| DeliveryError::Unusable { target: path.display().to_string(), reason: error.to_string() };
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(unusable)?;
        let mut last = [b'\n'];
        if file.metadata().map_err(unusable)?.len() > 0 {
            file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(unusable)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n").map_err(unusable)?;
        }
        Ok(Self { name, file })
    }
}

impl Target for JsonLines {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, event: &Event) -> Result<(), DeliveryError> {
        let mut line = event.body.to_string();
        line.push('\n');
        self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()).map_err(|error| DeliveryError::Retry(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_that_was_cut_off_spoils_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "{\"cut").unwrap();
        let mut target = JsonLines::open(&path).unwrap();
        target.deliver(&Event { id: "1".into(), revision: 1, body: json!({"a": "b\nc"}) }).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"cut\n{\"a\":\"b\\nc\"}\n");
    }
}
