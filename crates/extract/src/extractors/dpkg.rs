//! dpkg's database: `status`, distroless `status.d`, and the lists of files that packages own.

use crate::{ExtractError, Extractor, ExtractorId, Found, InventorySink, Origin, WantedFile};
use lestrade_model::Manager;

pub(super) struct Dpkg;

/// A longer field is cut here; the package is kept.
const MAX_FIELD: usize = 4096;

impl Extractor for Dpkg {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "dpkg", version: 2 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["var/lib/dpkg/status", "var/lib/dpkg/status.d/*", "var/lib/dpkg/info/*.list"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        if file.path.ends_with(".list") && file.path.starts_with("var/lib/dpkg/info/") {
            for path in file.text().lines() {
                out.owns(path.trim_start_matches('/'));
            }
            return Ok(());
        }
        if file.path.ends_with(".md5sums") {
            return Ok(());
        }
        // A stanza of `status.d` has no Status: that it is there says that it is installed.
        let always_installed = file.path.starts_with("var/lib/dpkg/status.d/");
        let text = file.text();
        let mut any = false;
        let mut stanza = Stanza::default();
        for line in text.lines().map(|line| line.trim_end_matches('\r')).chain([""]) {
            if line.trim().is_empty() {
                any |= stanza.finish(always_installed, out);
                stanza = Stanza::default();
            } else {
                stanza.line(line, always_installed, out);
            }
        }
        if !any && !text.trim().is_empty() && !text.contains("Package:") {
            return Err(ExtractError::Malformed("it holds no package stanza".into()));
        }
        Ok(())
    }
}

/// The fields that matter of one package.
#[derive(Default)]
struct Stanza {
    package: String,
    status: String,
    version: String,
    architecture: String,
    source: String,
}

impl Stanza {
    fn line(&mut self, line: &str, always_installed: bool, out: &mut dyn InventorySink) {
        // Continuation lines belong to fields that do not matter.
        if line.starts_with([' ', '\t']) {
            return;
        }
        let Some((key, value)) = line.split_once(':') else { return };
        let value: String = value.trim().chars().take(MAX_FIELD).filter(|c| *c != '\0').collect();
        match key {
            // Where the blank line between two stanzas is missing, the next Package begins the next one.
            "Package" if !self.package.is_empty() => {
                self.finish(always_installed, out);
                *self = Self { package: value, ..Self::default() };
            }
            "Package" => self.package = value,
            "Status" => self.status = value,
            "Version" => self.version = value,
            "Architecture" => self.architecture = value,
            "Source" => self.source = value,
            _ => {}
        }
    }

    /// Pushes the package if it is installed; answers whether the stanza was one of a package.
    fn finish(&self, always_installed: bool, out: &mut dyn InventorySink) -> bool {
        if self.package.is_empty() {
            if !self.version.is_empty() && !self.status.is_empty() {
                out.problem(ExtractError::Malformed(format!("a package of version '{:.100}' has no name", self.version)));
            }
            return false;
        }
        let state = self.status.rsplit(' ').next().unwrap_or_default();
        // Unpacked, half-configured and triggers-awaited packages have their files on disk; config-files and not-installed have not.
        let installed = always_installed
            || matches!(state, "installed" | "unpacked" | "half-configured" | "half-installed" | "triggers-awaited" | "triggers-pending");
        if !installed {
            return true;
        }
        if self.version.is_empty() {
            out.problem(ExtractError::Malformed(format!("package '{}' has no version", self.package)));
            return true;
        }
        out.found(Found {
            origin: Origin::OperatingSystem,
            name: self.package.clone(),
            version: self.version.clone(),
            source: Some(source(&self.source, &self.package, &self.version)),
            arch: (!self.architecture.is_empty()).then(|| self.architecture.clone()),
            module: None,
            manager: Manager::Dpkg,
        });
        true
    }
}

/// The source package: `Source: name (version)`, either part of which may be missing. The version in parentheses is the
/// source's own; without it the source's version is the binary's less the suffix of a binary-only rebuild (`+b1`).
fn source(field: &str, package: &str, version: &str) -> (String, String) {
    let (name, given) = match field.split_once('(') {
        Some((name, rest)) => (name.trim(), Some(rest.trim_end_matches(')').trim())),
        None => (field.trim(), None),
    };
    let name = if name.is_empty() { package } else { name };
    let version = given.filter(|v| !v.is_empty()).unwrap_or_else(|| without_rebuild(version));
    (name.to_owned(), version.to_owned())
}

fn without_rebuild(version: &str) -> &str {
    match version.rsplit_once("+b") {
        Some((rest, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => version,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};
    use super::*;

    #[test]
    fn source_versions() {
        for (field, package, version, expected) in [
            ("", "bash", "5.2-1", ("bash", "5.2-1")),
            ("", "bash", "5.2-1+b7", ("bash", "5.2-1")),
            ("glibc", "libc6", "2.36-9", ("glibc", "2.36-9")),
            ("glibc (2.36-8)", "libc6", "2.36-9+b1", ("glibc", "2.36-8")),
            ("", "x", "1.0+beta", ("x", "1.0+beta")),
        ] {
            let (name, source_version) = source(field, package, version);
            assert_eq!((name.as_str(), source_version.as_str()), expected, "{field} {package} {version}");
        }
    }

    #[test]
    fn only_what_is_installed_counts() {
        let status = "Package: a\nStatus: install ok installed\nVersion: 1\nDescription: x\n Package: fake\n\n\
                      Package: b\nStatus: deinstall ok config-files\nVersion: 2\n\n\
                      Package: c\nStatus: install ok half-configured\nVersion: 3\r\n\r\n";
        assert_eq!(packages("var/lib/dpkg/status", status), ["a 1", "c 3"]);
        assert_eq!(packages("var/lib/dpkg/status.d/base", "Package: base\nVersion: 12\n"), ["base 12"]);
    }

    #[test]
    fn bad_stanzas_lose_only_themselves() {
        let status = format!(
            "Package: a\nStatus: install ok installed\nVersion: 1\nDescription: {}\nPackage: b\nStatus: install ok installed\nVersion: 2\n\n\
             Package: c\nStatus: install ok installed\n\n\0\0\nPackage: d\nStatus: install ok installed\nVersion: 4\n",
            "x".repeat(2 << 20)
        );
        assert_eq!(packages("var/lib/dpkg/status", &status), ["a 1", "b 2", "d 4"]);
        assert_eq!(read("var/lib/dpkg/status", &status).problems.len(), 1);
        assert_eq!(read("var/lib/dpkg/status", "garbage").problems.len(), 1);
        let nameless = "Package: a\nStatus: install ok installed\nVersion: 1\n\nPackag: b\nStatus: install ok installed\nVersion: 2\n";
        assert_eq!(
            (packages("var/lib/dpkg/status", nameless), read("var/lib/dpkg/status", nameless).problems.len()),
            (vec!["a 1".to_owned()], 1)
        );
        let twice = "Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: a\nStatus: install ok installed\nVersion: 2\n";
        assert_eq!(packages("var/lib/dpkg/status", twice), ["a 1", "a 2"], "which of them is there is not ours to say");
        assert_eq!(read("var/lib/dpkg/status", "").problems.len(), 0, "an empty database is one without packages");
    }

    #[test]
    fn owned_paths_are_kept_where_they_matter() {
        let list = "/.\n/usr/bin/x\n/usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO\n";
        assert_eq!(read("var/lib/dpkg/info/python3-six.list", list).owns, ["usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO"]);
    }
}
