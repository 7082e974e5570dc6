//! Alpine's package database: `lib/apk/db/installed`. One stanza for each package, one letter for each field.

use crate::{ExtractError, Extractor, ExtractorId, Found, InventorySink, Origin, WantedFile};
use lestrade_model::Manager;

pub(super) struct Apk;

#[derive(Default)]
struct Stanza<'a> {
    name: &'a str,
    version: &'a str,
    arch: &'a str,
    origin: &'a str,
}

impl Extractor for Apk {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "apk", version: 2 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["lib/apk/db/installed", "usr/lib/apk/db/installed"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let text = file.text();
        let mut any = false;
        let mut stanza = Stanza::default();
        let mut folder = "";
        for line in text.lines().chain([""]) {
            match line.split_once(':') {
                // Where the empty line between two stanzas is missing, the next name begins the next one.
                Some(("P", name)) if !stanza.name.is_empty() => {
                    any |= stanza.finish(out);
                    stanza = Stanza { name: name.trim(), ..Stanza::default() };
                }
                Some(("P", name)) => stanza.name = name.trim(),
                Some(("V", version)) => stanza.version = version.trim(),
                Some(("A", arch)) => stanza.arch = arch.trim(),
                Some(("o", origin)) => stanza.origin = origin.trim(),
                Some(("F", path)) => folder = path,
                Some(("R", name)) => out.owns(&format!("{folder}/{name}")),
                _ if line.trim().is_empty() => {
                    any |= stanza.finish(out);
                    stanza = Stanza::default();
                }
                _ => {}
            }
        }
        if !any && !text.trim().is_empty() {
            return Err(ExtractError::Malformed("it holds no package stanza".into()));
        }
        Ok(())
    }
}

impl Stanza<'_> {
    fn finish(&self, out: &mut dyn InventorySink) -> bool {
        if self.name.is_empty() {
            if !self.version.is_empty() {
                out.problem(ExtractError::Malformed(format!("a package of version '{:.100}' has no name", self.version)));
            }
            return false;
        }
        if self.version.is_empty() {
            out.problem(ExtractError::Malformed(format!("package '{}' has no version", self.name)));
            return true;
        }
        // Alpine's advisories name the origin, which is built as one and has one version.
        let origin = if self.origin.is_empty() { self.name } else { self.origin };
        out.found(Found {
            origin: Origin::OperatingSystem,
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            source: Some((origin.to_owned(), self.version.to_owned())),
            arch: (!self.arch.is_empty()).then(|| self.arch.to_owned()),
            module: None,
            manager: Manager::Apk,
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn stanzas_and_the_files_that_they_own() {
        let database = "C:Q1x=\nP:musl-utils\nV:1.2.3-r4\nA:x86_64\no:musl\nF:usr/lib/python3/six.egg-info\nR:PKG-INFO\n\nP:broken\n\n";
        let report = read("lib/apk/db/installed", database);
        assert_eq!(packages("lib/apk/db/installed", database), ["musl-utils 1.2.3-r4"]);
        assert_eq!(report.found[0].source, Some(("musl".into(), "1.2.3-r4".into())));
        assert_eq!(report.owns, ["usr/lib/python3/six.egg-info/PKG-INFO"]);
        assert_eq!(report.problems.len(), 1);
        assert_eq!(read("lib/apk/db/installed", "nothing").problems.len(), 1);
        let run_together = "P:a\nV:1\nC:Q1x=\nP:b\nV:2\n\nP:\nV:3\n\n\0\0\nP:d\r\nV:4\r\n";
        assert_eq!(packages("lib/apk/db/installed", run_together), ["a 1", "b 2", "d 4"]);
        assert_eq!(read("lib/apk/db/installed", run_together).problems.len(), 1, "one without a name");
    }
}
