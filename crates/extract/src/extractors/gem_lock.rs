//! Ruby's `Gemfile.lock`: the `specs` of its sections, indented by four blanks.

use super::documents::package;
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};

pub(super) struct GemfileLock;

impl Extractor for GemfileLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "gemfile-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/Gemfile.lock", "**/gems.locked"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let text = file.text();
        let mut section = "";
        for line in text.lines() {
            if !line.starts_with(' ') {
                section = line.trim();
            }
            // A path is the project's own gem.
            let Some(spec) = line.strip_prefix("    ").filter(|rest| !rest.starts_with(' ') && matches!(section, "GEM" | "GIT")) else {
                continue;
            };
            let Some((name, version)) = spec.split_once(" (").map(|(name, rest)| (name.trim(), rest.trim_end().trim_end_matches(')')))
            else {
                continue;
            };
            // A platform follows the version: `1.15.4-x86_64-linux`.
            let version = version.split('-').next().unwrap_or(version);
            out.found(package(Family::RubyGems, Manager::Bundler, name, version));
        }
        if text.contains("GEM") || text.trim().is_empty() { Ok(()) } else { Err(ExtractError::Malformed("it has no section GEM".into())) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn specs_and_not_their_dependencies() {
        let lock = "GEM\n  remote: https://rubygems.org/\n  specs:\n    nokogiri (1.15.4-x86_64-linux)\n      racc (~> 1.4)\n    racc (1.7.1)\n\n\
                    PATH\n  remote: .\n  specs:\n    mine (0.1)\n\nPLATFORMS\n  ruby\n";
        assert_eq!(packages("Gemfile.lock", lock), ["nokogiri 1.15.4", "racc 1.7.1"]);
        assert_eq!(read("Gemfile.lock", "x").problems.len(), 1);
    }
}
