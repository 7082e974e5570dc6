//! Bun's `bun.lock`: JSON with comments and trailing commas. Its binary predecessor `bun.lockb` is recognised and not read.

use super::documents::{member, package};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

pub(super) struct BunLock;

impl Extractor for BunLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "bun-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/bun.lock", "**/bun.lockb"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        if file.path.split('/').any(|part| part == "node_modules") {
            return Ok(());
        }
        if file.path.ends_with('b') {
            return Err(ExtractError::Unsupported(
                "the binary lock of older versions of bun is not read: its packages are not listed".into(),
            ));
        }
        let document: Value = serde_json::from_str(&plain_json(&file.text())).map_err(|error| ExtractError::json(&error))?;
        let object = |key: &str| document.get(key).and_then(Value::as_object);
        let packages = object("packages").ok_or_else(|| ExtractError::Malformed("it has no packages".into()))?;
        let empty = Map::new();
        let workspaces = object("workspaces").unwrap_or(&empty);
        let deployed = reached(packages, workspaces, &["dependencies", "optionalDependencies", "peerDependencies"]);
        let developed = reached(packages, workspaces, &["devDependencies"]);
        for (key, entry) in packages {
            let Some((name, version)) = entry.get(0).and_then(Value::as_str).and_then(name_and_version) else {
                out.problem(ExtractError::Malformed("a package has no name or no version".into()));
                continue;
            };
            let version = match version.strip_prefix("workspace:") {
                Some(folder) => workspaces.get(folder).and_then(|workspace| member(workspace, "version")),
                None => Some(version),
            };
            let only_developed = developed.contains(key.as_str()) && !deployed.contains(key.as_str());
            if let (false, Some(version)) = (only_developed, version) {
                out.found(package(Family::Npm, Manager::Bun, name, version));
            }
        }
        Ok(())
    }
}

/// `name@version`, where a scope begins with the same sign.
fn name_and_version(spec: &str) -> Option<(&str, &str)> {
    let at = spec.get(1..)?.find('@')? + 1;
    Some((&spec[..at], &spec[at + 1..]))
}

/// The keys of the packages that these lists of the workspaces lead to. A key is the way to the package: `a` is at the top, `b/a` is
/// the one that `b` sees.
fn reached<'a>(packages: &'a Map<String, Value>, workspaces: &'a Map<String, Value>, lists: &[&str]) -> BTreeSet<&'a str> {
    let names = |of: &'a Value, list: &str| of.get(list).and_then(Value::as_object).into_iter().flat_map(Map::keys);
    let find = |from: &str, name: &str| {
        let mut at = from;
        loop {
            let key = if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
            match packages.get_key_value(&key) {
                Some((key, _)) => return Some(key.as_str()),
                None if at.is_empty() => return None,
                None => at = at.rsplit_once('/').map_or("", |(above, _)| above),
            }
        }
    };
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = Vec::new();
    for workspace in workspaces.values() {
        let from = member(workspace, "name").unwrap_or_default();
        let wanted = lists.iter().flat_map(|list| names(workspace, list));
        open.extend(wanted.filter_map(|name| find(from, name)).filter(|key| seen.insert(*key)));
    }
    while let Some(key) = open.pop() {
        let about = packages.get(key).and_then(Value::as_array).into_iter().flatten().filter(|part| part.is_object());
        let needed = about.flat_map(|about| ["dependencies", "optionalDependencies", "peerDependencies"].map(|list| names(about, list)));
        open.extend(needed.flatten().filter_map(|name| find(key, name)).filter(|key| seen.insert(*key)));
    }
    seen
}

/// The document without its comments and without commas before a closing bracket.
fn plain_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Where a comma was written that a closing bracket would make one too many.
    let mut comma = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                comma = None;
                out.push(c);
                while let Some(c) = rest.next() {
                    out.push(c);
                    match c {
                        '\\' => out.extend(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if rest.peek() == Some(&'/') => while rest.next_if(|c| *c != '\n').is_some() {},
            '/' if rest.peek() == Some(&'*') => {
                let mut star = false;
                rest.next();
                for c in rest.by_ref() {
                    if star && c == '/' {
                        break;
                    }
                    star = c == '*';
                }
            }
            ',' => {
                comma = Some(out.len());
                out.push(c);
            }
            ']' | '}' => {
                if let Some(at) = comma.take() {
                    out.replace_range(at..=at, " ");
                }
                out.push(c);
            }
            c => {
                if !c.is_whitespace() {
                    comma = None;
                }
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};
    use lestrade_model::ProblemKind;

    #[test]
    fn what_only_development_leads_to_is_left_out() {
        let lock = r#"{ "lockfileVersion": 1, // a comment, with "quotes"
            "workspaces": { "": { "name": "me", "dependencies": { "a": "^1" }, "devDependencies": { "d": "^1" } },
                            "lib": { "name": "mine", "version": "0.1.0" }, },
            "packages": { "a": ["a@1.0.0", "", { "dependencies": { "b": "*" } }, "sha"], "a/b": ["b@2.0.0", "", {}, "sha"],
                          "b": ["b@1.0.0", "", {}, "sha"], "d": ["d@1.0.0", "", { "dependencies": { "b": "*" } }, "a,]"],
                          "mine": ["mine@workspace:lib"], }, /* end, */ }"#;
        assert_eq!(packages("bun.lock", lock), ["a 1.0.0", "b 2.0.0", "mine 0.1.0"]);
        assert_eq!(read("bun.lock", lock).problems, []);
    }

    #[test]
    fn what_is_not_read_is_said() {
        assert_eq!(read("bun.lockb", "#!/usr/bin/env bun").problems[0].0, ProblemKind::Unsupported);
        assert_eq!(read("bun.lock", r#"{"packages": {"#).problems[0].0, ProblemKind::Truncated);
        assert_eq!(read("bun.lock", "{}").problems[0].0, ProblemKind::Malformed);
    }
}
