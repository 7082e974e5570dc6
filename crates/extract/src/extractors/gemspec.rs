//! Installed Ruby gems: `specifications/*.gemspec`. The file is Ruby and is not run: the two lines that RubyGems writes are read.

use super::documents::{nameless, package};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};

pub(super) struct InstalledGem;

impl Extractor for InstalledGem {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "gem-installed", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/specifications/*.gemspec", "**/specifications/default/*.gemspec"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let text = file.text();
        let mut lines = text.lines().map(str::trim);
        let start = lines.find_map(|line| line.strip_prefix("Gem::Specification.new do |")?.split('|').next());
        let Some(variable) = start else {
            return Err(ExtractError::Malformed("it holds no specification of a gem".into()));
        };
        let (mut name, mut version) = (None, None);
        for line in lines {
            let Some((key, value)) = line.split_once('=') else { continue };
            match key.trim().strip_prefix(variable.trim()) {
                Some(".name") => name = name.or_else(|| quoted(value)),
                Some(".version") => version = version.or_else(|| quoted(value)),
                _ => {}
            }
        }
        match (name, version) {
            (Some(name), Some(version)) => out.found(package(Family::RubyGems, Manager::Gem, name, version)),
            _ => nameless(out),
        }
        Ok(())
    }
}

/// The text in the quotes that a value begins with: `"rake".freeze`, `Gem::Version.new("1.0")`.
fn quoted(value: &str) -> Option<&str> {
    let value = value.trim();
    let value = value.strip_prefix("Gem::Version.new(").unwrap_or(value);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn the_two_lines_that_count() {
        let spec = "# stub: rake 13.0.3 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"rake\".freeze\n  s.version = \"13.0.3\"\n\n  \
                    s.required_ruby_version = \">= 2\"\n  s.metadata = { \"a\" => \"b\" }\nend\n";
        assert_eq!(packages("usr/lib/ruby/gems/3.1.0/specifications/rake-13.0.3.gemspec", spec), ["rake 13.0.3"]);
        assert_eq!(packages("g/specifications/default/rake-13.0.3.gemspec", spec), ["rake 13.0.3"]);
    }

    #[test]
    fn what_would_have_to_be_run_is_said() {
        let spec = "Gem::Specification.new do |s|\n  s.name = \"x\"\n  s.version = X::VERSION\nend\n";
        assert_eq!(read("specifications/x.gemspec", spec).problems.len(), 1);
        assert_eq!(read("specifications/x.gemspec", "puts 1").problems.len(), 1);
    }
}
