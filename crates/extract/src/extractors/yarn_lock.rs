//! Yarn's lock files: the classic format, and that of later versions, which is YAML of the same plan.
//!
//! ```text
//! "@scope/name@^1.0.0", "@scope/name@^1.2.0":
//!   version "1.2.3"
//! ```

use super::documents::package;
use crate::project::{needs, node};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};

pub(super) struct YarnLock;

impl Extractor for YarnLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "yarn-lock", version: 2 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/yarn.lock"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        if file.path.split('/').any(|part| part == "node_modules") {
            return Ok(());
        }
        let text = file.text();
        let later = text.lines().any(|line| line.starts_with("__metadata:"));
        let mut entry: Option<Entry<'_>> = None;
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if !line.starts_with(' ') {
                entry.take().into_iter().for_each(|entry| entry.finish(later, out));
                entry = Some(Entry::of(line.trim_end_matches(':')));
            } else if let Some(entry) = &mut entry {
                entry.read(line);
            }
        }
        entry.into_iter().for_each(|entry| entry.finish(later, out));
        Ok(())
    }
}

/// What stands below one line of descriptors.
struct Entry<'a> {
    descriptors: Vec<&'a str>,
    version: &'a str,
    /// In later versions, what the descriptors stand for.
    resolution: &'a str,
    needs: Vec<(&'a str, &'a str)>,
    /// Whether the lines are those of a list of dependencies.
    listing: bool,
}

impl<'a> Entry<'a> {
    fn of(line: &'a str) -> Self {
        let descriptors = line.split(',').map(|one| one.trim().trim_matches('"')).collect();
        Self { descriptors, version: "", resolution: "", needs: Vec::new(), listing: false }
    }

    fn read(&mut self, line: &'a str) {
        let depth = line.len() - line.trim_start().len();
        let line = line.trim_start();
        // `key: value` in later versions, `key "value"` in the classic one; keys with a scope are quoted.
        let (key, value) = match line.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            Some((key, value)) => (key, value),
            None => line.find([' ', ':']).map_or((line, ""), |end| line.split_at(end)),
        };
        let value = value.trim_start_matches(':').trim().trim_matches('"');
        match (depth, key) {
            (2, "version") => self.version = value,
            (2, "resolution") => self.resolution = value,
            (2, _) => {}
            _ if self.listing && !value.is_empty() => self.needs.push((key, value)),
            _ => {}
        }
        if depth == 2 {
            self.listing = matches!(key, "dependencies" | "optionalDependencies");
        }
    }

    fn finish(&self, later: bool, out: &mut dyn InventorySink) {
        let Some(first) = self.descriptors.first().copied().filter(|_| !self.version.is_empty()) else { return };
        let real = if later { descriptor(self.resolution).filter(|_| is_published(first)).map(|(name, _)| name) } else { None };
        let Some(name) = real.or_else(|| name_of(first, later)) else { return };
        out.found(package(Family::Npm, Manager::Yarn, name, self.version));
        let node = node(name, self.version);
        for wanted in &self.descriptors {
            needs(Manager::Yarn, &plain(wanted), &node, out);
            if let Some((name, _)) = descriptor(wanted) {
                needs(Manager::Yarn, name, &node, out);
            }
        }
        for (name, range) in &self.needs {
            needs(Manager::Yarn, &node, &plain(&format!("{name}@{range}")), out);
        }
    }
}

/// A descriptor in the one spelling under which it is looked for: later versions name the default protocol in some places only.
pub(super) fn plain(descriptor: &str) -> String {
    descriptor.replacen("@npm:", "@", 1)
}

/// `name@range`, where a scope begins with the same sign.
fn descriptor(text: &str) -> Option<(&str, &str)> {
    let at = text.get(1..)?.find('@')? + 1;
    Some((&text[..at], &text[at + 1..]))
}

/// Workspaces, links, patches and folders are the project's own; what other protocols mean, nobody knows.
fn is_published(text: &str) -> bool {
    descriptor(text).is_some_and(|(_, range)| match range.split_once(':') {
        Some((protocol, _)) => matches!(protocol, "npm" | "http" | "https" | "github") || protocol.starts_with("git"),
        None => !range.starts_with("./") && !range.starts_with("../"),
    })
}

/// The name in a descriptor; none for what is no package of a registry.
fn name_of(text: &str, later: bool) -> Option<&str> {
    let (name, range) = descriptor(text).filter(|_| is_published(text))?;
    // An alias: `x@npm:real@^1.0.0`, in the classic format also `x@npm:real`; a plain protocol: `x@npm:^1.0.0`.
    let alias = range.strip_prefix("npm:").filter(|rest| rest.starts_with(|c: char| c == '@' || c.is_ascii_alphabetic()));
    let real = alias.and_then(|alias| descriptor(alias).map(|(real, _)| real).or((!later).then_some(alias)));
    Some(real.unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::super::packages;

    #[test]
    fn classic_and_later() {
        let classic = "# yarn lockfile v1\n\n\"@b/x@^7.0.0\", \"@b/x@^7.1.0\":\n  version \"7.4.4\"\n  dependencies:\n    version \"1\"\n\n\
                       alias@npm:real@^1.0.0:\n  version \"1.0.1\"\n\nlocal@./local:\n  version \"0.0.0\"\n";
        assert_eq!(packages("yarn.lock", classic), ["@b/x 7.4.4", "real 1.0.1"]);
        let later = "__metadata:\n  version: 4\n\n\"debug@npm:4.3.4\":\n  version: 4.3.4\n  resolution: \"debug@npm:4.3.4\"\n\n\
                     \"me@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"me@workspace:.\"\n\n\
                     \"x@npm:real@^1\":\n  version: 1.2.0\n  resolution: \"real@npm:1.2.0\"\n\n\"tag@npm:latest\":\n  version: 2.0.0\n  resolution: \"tag@npm:2.0.0\"\n";
        assert_eq!(packages("yarn.lock", later), ["debug 4.3.4", "real 1.2.0", "tag 2.0.0"]);
        assert_eq!(packages("yarn.lock", "x@npm:real:\n  version \"2.1.3\"\n"), ["real 2.1.3"]);
    }
}
