//! Reading a file that somebody named: a regular one, and no further than its bound. A pipe would keep us waiting for ever.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The text of a file of at most `kibibytes`.
///
/// # Errors
/// One clause: it cannot be read, is no file, is larger, or is no UTF-8.
pub(crate) fn text(path: &Path, kibibytes: u64) -> Result<String, String> {
    if !std::fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".into());
    }
    let most = kibibytes << 10;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(if kibibytes >= 1024 {
            format!("larger than {} MiB", kibibytes >> 10)
        } else {
            format!("larger than {kibibytes} KiB")
        });
    }
    String::from_utf8(bytes).map_err(|error| error.to_string())
}
