//! Go's `go.mod` (Go modules reference): what is required, after replacements.

use crate::{ExtractError, Extractor, ExtractorId, Found, InventorySink, Origin, WantedFile};
use lestrade_model::{Family, Manager};
use std::collections::BTreeMap;

pub(super) struct GoMod;

impl Extractor for GoMod {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "go-mod", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/go.mod"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let text = file.text();
        let mut required: BTreeMap<&str, &str> = BTreeMap::new();
        let mut replaced: Vec<Replacement<'_>> = Vec::new();
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
                "replace" => replaced.extend(Replacement::of(rest)),
                _ => {}
            }
        }
        if required.is_empty() && !text.contains("module") {
            return Err(ExtractError::Malformed("it names no module".into()));
        }
        for (module, version) in required {
            let replacement = replaced.iter().find(|r| r.module == module && r.version.is_none_or(|only| only == version));
            let (module, version) = match replacement {
                None => (module, version),
                Some(Replacement { by, by_version: Some(by_version), .. }) => (*by, *by_version),
                // A folder of the project's own.
                Some(_) => continue,
            };
            out.found(Found {
                origin: Origin::Language(Family::Go),
                name: module.to_owned(),
                version: version.to_owned(),
                source: None,
                arch: None,
                manager: Manager::GoModules,
            });
        }
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
        assert_eq!(read("go.mod", "???").problems.len(), 1);
    }
}
