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

/// What systems had before there was `os-release`, and what some images keep alone: one line that names the system and its version. The
/// name of the file says more than the line.
pub(super) struct OldReleaseFile;

/// Files, in the order in which they are believed (a later one is of a system that the earlier one is derived from), and the ids of
/// their systems; without one the line says which it is.
pub(crate) const OLD: [(&str, &str); 11] = [
    ("etc/oracle-release", "ol"),
    ("etc/rocky-release", "rocky"),
    ("etc/almalinux-release", "almalinux"),
    ("etc/centos-release", "centos"),
    ("etc/fedora-release", "fedora"),
    ("etc/redhat-release", ""),
    ("etc/system-release", ""),
    ("etc/alpine-release", "alpine"),
    ("etc/lsb-release", ""),
    ("etc/SuSE-release", "sles"),
    ("etc/debian_version", "debian"),
];

/// What lines begin with that are not told by their file's name.
const NAMES: [(&str, &str); 8] = [
    ("Red Hat Enterprise Linux", "rhel"),
    ("CentOS", "centos"),
    ("Amazon Linux", "amzn"),
    ("Oracle Linux", "ol"),
    ("Rocky Linux", "rocky"),
    ("AlmaLinux", "almalinux"),
    ("Fedora", "fedora"),
    ("Photon", "photon"),
];

impl Extractor for OldReleaseFile {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "old-release", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        const PATHS: [&str; OLD.len()] = {
            let mut paths = [""; OLD.len()];
            let mut at = 0;
            while at < OLD.len() {
                paths[at] = OLD[at].0;
                at += 1;
            }
            paths
        };
        &PATHS
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let text = file.text();
        let line: String = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().chars().take(256).collect();
        let number = line.split([' ', '(']).find(|word| word.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default();
        if file.path == "etc/lsb-release" {
            let value =
                |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('=')).map(unquote).unwrap_or_default();
            let (id, version) = (value("DISTRIB_ID").to_ascii_lowercase(), value("DISTRIB_RELEASE").to_owned());
            if !id.is_empty() {
                out.os(OsRelease { id, version, pretty_name: value("DISTRIB_DESCRIPTION").to_owned() });
            }
            return Ok(());
        }
        let known = OLD.iter().find(|(path, id)| *path == file.path && !id.is_empty()).map(|(_, id)| *id);
        let named = NAMES.iter().find(|(name, _)| line.starts_with(name)).map(|(_, id)| *id);
        // A testing release says `trixie/sid`, which is no number and still Debian.
        if let Some(id) = known.or(named).filter(|_| !line.is_empty()) {
            out.os(OsRelease { id: id.to_owned(), version: number.to_owned(), pretty_name: line });
        }
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

    #[test]
    fn older_files_name_the_system_too() {
        for (path, text, ecosystem) in [
            ("etc/centos-release", "CentOS Linux release 7.6.1810 (Core)\n", "Red Hat:7"),
            ("etc/redhat-release", "Red Hat Enterprise Linux release 8.6 (Ootpa)\n", "Red Hat:8"),
            ("etc/system-release", "Amazon Linux release 2 (Karoo)\n", "Amazon Linux:2"),
            ("etc/rocky-release", "Rocky Linux release 9.4 (Blue Onyx)\n", "Rocky Linux:9"),
            ("etc/alpine-release", "3.18.4\n", "Alpine:v3.18"),
            ("etc/debian_version", "12.5\n", "Debian:12"),
            ("etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n", "Ubuntu:22.04"),
        ] {
            assert_eq!(read(path, text).os.unwrap().ecosystem().unwrap().to_string(), ecosystem, "{path}");
        }
        assert_eq!(read("etc/redhat-release", "Something else 1").os, None);
    }
}
