//! Rules in files: which events, for whom, in which words. A folder is taken as a whole or not at all: one wrong rule, and none of
//! them changes.

use crate::pattern::{EventFields, Pattern, RuleSet};
use crate::transform::Transformer;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest file, and the most of them.
const MAX_FILE: u64 = 1 << 20;
const MAX_FILES: usize = 10_000;

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name: unique in a folder.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// The events that it is about.
    pub pattern: Pattern,
    /// The targets that get them, by name.
    pub targets: Vec<String>,
    /// In which words; none passes the event on as it is.
    pub transformer: Option<Transformer>,
    /// The file that it is from.
    pub file: PathBuf,
}

/// Why rules are not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct RuleError {
    /// The file.
    pub file: PathBuf,
    /// One clause, with the place in the file.
    pub reason: String,
}

/// Rules that were taken together.
#[derive(Debug, Default)]
pub struct Rules {
    rules: BTreeMap<String, Rule>,
    set: RuleSet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    rule: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default = "yes")]
    enabled: bool,
    /// JSON as a text, or a table of the same shape.
    pattern: Value,
    targets: Vec<String>,
    #[serde(default)]
    paths: BTreeMap<String, String>,
    #[serde(default)]
    template: Option<String>,
}

const fn yes() -> bool {
    true
}

impl Rules {
    /// The rules of a file (`.toml`, `.json`), or of all such files of a folder.
    ///
    /// # Errors
    /// When one of them is wrong: then none is taken.
    pub fn read(path: &Path) -> Result<Self, RuleError> {
        let refuse = |file: &Path, reason: String| RuleError { file: file.to_owned(), reason };
        let mut files = Vec::new();
        if path.is_dir() {
            let listed = std::fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>());
            files = listed.map_err(|error| refuse(path, error.to_string()))?;
            files.retain(|path| path.extension().is_some_and(|end| end == "toml" || end == "json"));
            files.sort();
        } else {
            files.push(path.to_owned());
        }
        if files.len() > MAX_FILES {
            return Err(refuse(path, format!("more than {MAX_FILES} files")));
        }
        let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
        for file in files {
            let mut text = Vec::new();
            let read = std::fs::File::open(&file).and_then(|opened| opened.take(MAX_FILE + 1).read_to_end(&mut text));
            read.map_err(|error| refuse(&file, error.to_string()))?;
            if text.len() as u64 > MAX_FILE {
                return Err(refuse(&file, "larger than 1 MiB".into()));
            }
            let text = String::from_utf8(text).map_err(|error| refuse(&file, error.to_string()))?;
            for rule in parse(&file, &text)? {
                if let Some(other) = rules.get(&rule.name) {
                    return Err(refuse(&file, format!("there is another rule '{}', in {}", rule.name, other.file.display())));
                }
                rules.insert(rule.name.clone(), rule);
            }
        }
        let in_force = rules.values().filter(|rule| rule.enabled).map(|rule| (rule.name.clone(), rule.pattern.clone()));
        Ok(Self { set: RuleSet::new(in_force), rules })
    }

    /// All rules, by name.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// The rules in force that an event is for, by name.
    #[must_use]
    pub fn matching(&self, event: &EventFields) -> Vec<&Rule> {
        self.set.matching(event).into_iter().filter_map(|name| self.rules.get(name)).collect()
    }
}

fn parse(file: &Path, text: &str) -> Result<Vec<Rule>, RuleError> {
    let refuse = |reason: String| RuleError { file: file.to_owned(), reason };
    let document: Document = if file.extension().is_some_and(|end| end == "json") {
        serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?
    } else {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count());
            refuse(format!("line {line}: {}", error.message().lines().next().unwrap_or_default()))
        })?
    };
    document.rule.into_iter().map(|record| record.rule(file)).collect()
}

impl Record {
    fn rule(self, file: &Path) -> Result<Rule, RuleError> {
        let refuse = |reason: String| RuleError {
            file: file.to_owned(),
            reason: format!("rule '{}': {reason}", self.name.chars().take(64).collect::<String>()),
        };
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            return Err(refuse("a name is 1 to 64 letters, digits, '.', '_' and '-'".into()));
        }
        if self.targets.is_empty() {
            return Err(refuse("it has no target".into()));
        }
        let pattern = match &self.pattern {
            Value::String(text) => Pattern::parse(text),
            other => Pattern::of(other),
        };
        let pattern = pattern.map_err(|error| refuse(format!("pattern: {error}")))?;
        let transformer = match &self.template {
            Some(template) => {
                let paths = self.paths.iter().map(|(name, path)| (name.as_str(), path.as_str()));
                Some(Transformer::new(paths, template).map_err(|error| refuse(format!("template: {error}")))?)
            }
            None if !self.paths.is_empty() => return Err(refuse("it has paths and no template".into())),
            None => None,
        };
        Ok(Rule {
            name: self.name.clone(),
            description: self.description.clone(),
            enabled: self.enabled,
            pattern,
            targets: self.targets.clone(),
            transformer,
            file: file.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RULES: &str = r#"
[[rule]]
name = "critical"
targets = ["on-call"]
paths = { id = "$.detail.vulnerabilityId" }
template = '"fix <id>"'
[rule.pattern.detail]
severity = ["CRITICAL"]

[[rule]]
name = "all"
enabled = false
pattern = '{"source": [{"exists": true}]}'
targets = ["archive"]
"#;

    #[test]
    fn rules_are_read_and_matched() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.toml"), RULES).unwrap();
        std::fs::write(
            folder.path().join("b.json"),
            json!({"rule": [{"name": "b", "pattern": {"source": ["x"]}, "targets": ["t"]}]}).to_string(),
        )
        .unwrap();
        std::fs::write(folder.path().join("notes.txt"), "none").unwrap();
        let rules = Rules::read(folder.path()).unwrap();
        assert_eq!(rules.all().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["all", "b", "critical"]);
        let event = json!({"source": "lestrade", "detail": {"severity": "CRITICAL", "vulnerabilityId": "CVE-2026-1"}});
        let matching = rules.matching(&EventFields::of(&event).unwrap());
        assert_eq!(
            matching.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(),
            ["critical"],
            "what is not in force matches nothing"
        );
        assert_eq!(matching[0].transformer.as_ref().unwrap().apply(&event, "critical"), "\"fix CVE-2026-1\"");
    }

    #[test]
    fn one_wrong_rule_and_none_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.toml"), RULES).unwrap();
        for (wrong, said) in [
            ("[[rule]]\nname = \"x\"\npattern = '{'\ntargets = [\"t\"]", "rule 'x': pattern: line 1, column 1: not JSON"),
            ("[[rule]]\nname = \"x\"\npattern = '{\"a\": [1]}'\ntargets = []", "rule 'x': it has no target"),
            ("[[rule]]\nname = \"all\"\npattern = '{\"a\": [1]}'\ntargets = [\"t\"]", "there is another rule 'all'"),
            ("[[rule]]\nname = \"x y\"\npattern = '{\"a\": [1]}'\ntargets = [\"t\"]", "a name is"),
            ("[[rule]]\nname = \"x\"\npatern = '{\"a\": [1]}'\ntargets = [\"t\"]", "unknown field `patern`"),
            ("[[rule]\n", "line 1"),
        ] {
            std::fs::write(folder.path().join("b.toml"), wrong).unwrap();
            let error = Rules::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("b.toml") && error.contains(said), "{error}");
        }
    }
}
