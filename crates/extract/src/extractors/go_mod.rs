//! Go's `go.mod` (Go modules reference): what is required, after replacements; and `go.sum`, which before Go 1.17 knows the rest.

use super::documents::package;
use crate::project::{DEPLOYED, GO_SUM, needs};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use std::collections::BTreeMap;

pub(super) struct GoMod;
pub(super) struct GoSum;

impl Extractor for GoMod {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "go-mod", version: 2 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/go.mod"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let text = file.text();
        let mut required: BTreeMap<&str, &str> = BTreeMap::new();
        let mut replaced: Vec<Replacement<'_>> = Vec::new();
        let mut language = None;
        let mut toolchain = None;
        let mut block = "";
        for line in text.lines() {
            let line = line.split("//").next().unwrap_or_default().trim();
            let (verb, rest) = match line.split_once(char::is_whitespace) {
                _ if line == ")" => {
                    block = "";
                    continue;
                }
                _ if !block.is_empty() => (block, line),
                Some((verb, rest)) => (verb, rest.trim()),
                None => continue,
            };
            if rest == "(" {
                block = verb;
                continue;
            }
            match verb {
                "require" => {
                    if let Some((module, version)) = rest.split_once(char::is_whitespace) {
                        required.insert(module.trim_matches('"'), version.trim());
                    }
                }
                "go" => language = minor(rest),
                // The project is built with this one or a later one.
                "toolchain" => toolchain = rest.strip_prefix("go"),
                "replace" => replaced.extend(Replacement::of(rest)),
                _ => {}
            }
        }
        if language.is_some_and(|version| version < (1, 17)) {
            needs(Manager::GoModules, DEPLOYED, GO_SUM, out);
        }
        if required.is_empty() && !text.contains("module") {
            return Err(ExtractError::Malformed("it names no module".into()));
        }
        if let Some(version) = toolchain {
            out.found(package(Family::Go, Manager::GoModules, "stdlib", &format!("v{version}")));
        }
        for (module, version) in required {
            let replacement = replaced.iter().find(|r| r.module == module && r.version.is_none_or(|only| only == version));
            let (module, version) = match replacement {
                None => (module, version),
                Some(Replacement { by, by_version: Some(by_version), .. }) => (*by, *by_version),
                // A folder of the project's own.
                Some(_) => continue,
            };
            out.found(package(Family::Go, Manager::GoModules, module, version));
        }
        Ok(())
    }
}

/// `1.22.1` as (1, 22).
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl Extractor for GoSum {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "go-sum", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/go.sum"]
    }

    /// A line is `module version checksum`. Where a module has several, the last is the latest; of `version/go.mod` only
    /// the manifest was looked at, which may be more than what is built and is never less.
    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let text = file.text();
        let mut sums: BTreeMap<&str, &str> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some(module), Some(version), Some(_)) => drop(sums.insert(module, version.trim_end_matches("/go.mod"))),
                _ => out.problem(ExtractError::Malformed("a line has no module, version and checksum".into())),
            }
        }
        sums.iter().for_each(|(module, version)| out.found(package(Family::Go, Manager::GoModules, module, version)));
        Ok(())
    }
}

/// `module [version] => other [version]`
struct Replacement<'a> {
    module: &'a str,
    version: Option<&'a str>,
    by: &'a str,
    by_version: Option<&'a str>,
}

impl<'a> Replacement<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (old, new) = line.split_once("=>")?;
        let (mut old, mut new) = (old.split_whitespace(), new.split_whitespace());
        Some(Self { module: old.next()?, version: old.next(), by: new.next()?, by_version: new.next() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn requirements_after_replacements() {
        let module = "module example.com/me\n\ngo 1.22\n\nrequire example.com/a v1.0.0 // indirect\nrequire (\n\texample.com/b v1.0.0\n\texample.com/c v1.0.0\n\texample.com/d v1.0.0\n)\n\
                      replace example.com/b => example.com/fork v1.1.0\nreplace example.com/c => ../c\nreplace example.com/d v0.9.0 => example.com/e v1.0.0\n";
        assert_eq!(packages("go.mod", module), ["example.com/a v1.0.0", "example.com/fork v1.1.0", "example.com/d v1.0.0"]);
        assert_eq!(packages("go.mod", "module me\n\ngo 1.22.0\n\ntoolchain go1.22.5\n"), ["stdlib v1.22.5"]);
        assert_eq!(read("go.mod", "???").problems.len(), 1);
    }
}
