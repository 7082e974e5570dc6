//! Yarn's lock files: the classic format, and that of later versions, which is YAML of the same plan.
//!
//! ```text
//! "@scope/name@^1.0.0", "@scope/name@^1.2.0":
//!   version "1.2.3"
//! ```

use crate::{ExtractError, Extractor, ExtractorId, Found, InventorySink, Origin, WantedFile};
use lestrade_model::{Family, Manager};

pub(super) struct YarnLock;

impl Extractor for YarnLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "yarn-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/yarn.lock"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        if file.path.split('/').any(|part| part == "node_modules") {
            return Ok(());
        }
        let text = file.text();
        let mut package: Option<String> = None;
        for line in text.lines() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if !line.starts_with(' ') {
                package = name_of(line.trim_end().trim_end_matches(':'));
                continue;
            }
            // Deeper lines are of the lists below.
            let field = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
            let value = field.and_then(|rest| rest.strip_prefix("version").or_else(|| rest.strip_prefix("\"version\"")));
            let version = value.map(|v| v.trim_start_matches(':').trim().trim_matches('"'));
            if let (Some(version), Some(name)) = (version.filter(|v| !v.is_empty()), package.take_if(|_| version.is_some())) {
                out.found(Found {
                    origin: Origin::Language(Family::Npm),
                    name,
                    version: version.to_owned(),
                    source: None,
                    arch: None,
                    manager: Manager::Yarn,
                });
            }
        }
        Ok(())
    }
}

/// The name in the first of an entry's descriptors, `name@range`; none for what is no package of a registry.
fn name_of(descriptors: &str) -> Option<String> {
    let first = descriptors.trim_matches('"').split(',').next()?.trim().trim_matches('"');
    let (name, range) = first.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| (&first[..at], &first[at + 1..]))?;
    // Workspaces, links, patches and folders are the project's own; what other protocols mean, nobody knows.
    let published = match range.split_once(':') {
        Some((protocol, _)) => matches!(protocol, "npm" | "http" | "https" | "github") || protocol.starts_with("git"),
        None => !range.starts_with("./") && !range.starts_with("../"),
    };
    if !published {
        return None;
    }
    // An alias: `x@npm:real-name@^1.0.0`; a plain protocol: `x@npm:^1.0.0`.
    let real = range.strip_prefix("npm:").filter(|rest| rest.starts_with(|c: char| c == '@' || c.is_ascii_alphabetic()));
    let real = real.and_then(|rest| rest.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| &rest[..at]));
    Some(real.unwrap_or(name).to_owned())
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
                     \"me@workspace:.\":\n  version: 0.0.0-use.local\n";
        assert_eq!(packages("yarn.lock", later), ["debug 4.3.4"]);
    }
}
