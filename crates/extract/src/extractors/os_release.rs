//! `os-release` (freedesktop.org): which operating system it is. Read as data; what looks like shell is text.

use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::OsRelease;

pub(super) struct OsReleaseFile;

impl Extractor for OsReleaseFile {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "os-release", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["etc/os-release", "usr/lib/os-release"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let mut os = OsRelease::default();
        for line in file.text().lines() {
            let Some((key, value)) = line.trim().split_once('=') else { continue };
            let value: String = unquote(value).chars().take(256).collect();
            match key {
                "ID" => os.id = value.to_ascii_lowercase(),
                "VERSION_ID" => os.version = value,
                "PRETTY_NAME" => os.pretty_name = value,
                _ => {}
            }
        }
        if os.id.is_empty() {
            return Err(ExtractError::Malformed("it names no ID".into()));
        }
        out.os(os);
        Ok(())
    }
}

fn unquote(value: &str) -> &str {
    let value = value.trim();
    ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::super::read;

    #[test]
    fn quotes_are_taken_off_and_shell_is_text() {
        let os = read("etc/os-release", "ID=Debian\nVERSION_ID=\"12\"\nPRETTY_NAME='$(reboot)'\n").os.unwrap();
        assert_eq!((os.id.as_str(), os.version.as_str(), os.pretty_name.as_str()), ("debian", "12", "$(reboot)"));
        assert_eq!(os.ecosystem().unwrap().to_string(), "Debian:12");
        assert_eq!(read("etc/os-release", "nothing").problems.len(), 1);
    }
}
