//! Rules in files: which events, for whom, in which words; and the targets themselves. A folder is taken as a whole or not at all:
//! one wrong rule, and none of them changes.

use crate::input;
use crate::pattern::{EventFields, Pattern, RuleSet};
use crate::record::{Declared, TargetRecord, is_name};
use crate::template::Template;
use crate::transform::{EventPath, Transformer};
use lestrade_model::Hash;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest file, and the most of them.
const MAX_FILE_KIB: u64 = 1024;
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
    pub words: Option<Words>,
    /// The file that it is from.
    pub file: PathBuf,
}

/// In which words a rule passes an event on.
#[derive(Clone, Debug)]
pub enum Words {
    /// EventBridge's input transformer.
    Transformer(Transformer),
    /// EventBridge's input path: a part of the event.
    Part(EventPath),
    /// A template.
    Template(Template),
}

impl Words {
    /// What a target is sent for an event.
    ///
    /// # Errors
    /// When the template goes wrong on this event.
    pub fn apply(&self, event: &Value, rule: &str) -> Result<String, String> {
        match self {
            Self::Transformer(transformer) => Ok(transformer.apply(event, rule)),
            Self::Part(path) => path.of(event).map(Value::to_string).ok_or_else(|| format!("the event has nothing at {path}")),
            Self::Template(template) => template.render(event, rule),
        }
    }
}

/// Targets that settings may name, so that rules may name them without declaring them.
const OF_SETTINGS: [&str; 2] = ["json-lines", "webhook"];

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
    targets: BTreeMap<String, TargetRecord>,
    set: RuleSet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    rule: Vec<Record>,
    #[serde(default)]
    target: Vec<Declared>,
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
    #[serde(default)]
    message: Option<String>,
    #[serde(default, rename = "input-path")]
    input_path: Option<String>,
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
        let files = files(path)?;
        let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
        let mut targets: BTreeMap<String, (TargetRecord, PathBuf)> = BTreeMap::new();
        for file in files {
            let document = parse(&file, &text(&file)?)?;
            for rule in document.rule {
                let rule = rule.rule(&file)?;
                if let Some(other) = rules.get(&rule.name) {
                    return Err(refuse(&file, format!("there is another rule '{}', in {}", rule.name, other.file.display())));
                }
                rules.insert(rule.name.clone(), rule);
            }
            for declared in document.target {
                let target = declared.checked().map_err(|reason| refuse(&file, format!("a target: {reason}")))?;
                if let Some((_, other)) = targets.get(&target.name) {
                    return Err(refuse(&file, format!("there is another target '{}', in {}", target.name, other.display())));
                }
                targets.insert(target.name.clone(), (target, file.clone()));
            }
        }
        let undeclared = |target: &&String| !targets.contains_key(*target) && !OF_SETTINGS.contains(&target.as_str());
        if let Some((rule, target)) = rules.values().find_map(|rule| Some((rule, rule.targets.iter().find(undeclared)?))) {
            let target = target.chars().take(64).collect::<String>();
            return Err(refuse(&rule.file, format!("rule '{}': there is no target '{target}'; declare it in a [[target]]", rule.name)));
        }
        let in_force = rules.values().filter(|rule| rule.enabled).map(|rule| (rule.name.clone(), rule.pattern.clone()));
        let targets = targets.into_iter().map(|(name, (target, _))| (name, target)).collect();
        Ok(Self { set: RuleSet::new(in_force), rules, targets })
    }

    /// A hash of what [`Rules::read`] would read: the same as long as nothing changes.
    ///
    /// # Errors
    /// When the folder cannot be listed, or there is something in it that is no file of rules.
    pub fn fingerprint(path: &Path) -> Result<Hash, RuleError> {
        let mut parts = Vec::new();
        for file in files(path)? {
            parts.push(file.as_os_str().as_encoded_bytes().to_vec());
            // A file that cannot be read is what it is until it changes: reading the rules says why.
            parts.push(text(&file).map_or_else(|error| error.reason.into_bytes(), String::into_bytes));
        }
        Ok(Hash::of_fields(parts.iter().map(Vec::as_slice)))
    }

    /// The declared targets, by name.
    pub fn targets(&self) -> impl Iterator<Item = &TargetRecord> {
        self.targets.values()
    }

    /// The rules that send to a target, compiled to a matcher of their own: what is not for it costs it nothing more.
    #[must_use]
    pub fn of_target(&self, target: &str) -> Self {
        let sends = |rule: &&Rule| rule.enabled && rule.targets.iter().any(|name| name == target);
        let rules: BTreeMap<String, Rule> = self.rules.values().filter(sends).map(|rule| (rule.name.clone(), rule.clone())).collect();
        let set = RuleSet::new(rules.values().map(|rule| (rule.name.clone(), rule.pattern.clone())));
        Self { rules, targets: BTreeMap::new(), set }
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

/// The file itself, or the files of rules in a folder.
fn files(path: &Path) -> Result<Vec<PathBuf>, RuleError> {
    let refuse = |reason: String| RuleError { file: path.to_owned(), reason };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let listed = std::fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>());
    let mut files = listed.map_err(|error| refuse(error.to_string()))?;
    files.retain(|path| path.extension().is_some_and(|end| end == "toml" || end == "json"));
    files.sort();
    if files.len() > MAX_FILES {
        return Err(refuse(format!("more than {MAX_FILES} files")));
    }
    Ok(files)
}

fn text(file: &Path) -> Result<String, RuleError> {
    input::text(file, MAX_FILE_KIB).map_err(|reason| RuleError { file: file.to_owned(), reason })
}

fn parse(file: &Path, text: &str) -> Result<Document, RuleError> {
    let refuse = |reason: String| RuleError { file: file.to_owned(), reason };
    if file.extension().is_some_and(|end| end == "json") {
        return serde_json::from_str(text).map_err(|error| refuse(error.to_string()));
    }
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count());
        refuse(format!("line {line}: {}", error.message().lines().next().unwrap_or_default()))
    })
}

impl Record {
    fn rule(self, file: &Path) -> Result<Rule, RuleError> {
        let refuse = |reason: String| RuleError {
            file: file.to_owned(),
            reason: format!("rule '{}': {reason}", self.name.chars().take(64).collect::<String>()),
        };
        if !is_name(&self.name) {
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
        let words = match (&self.template, &self.message) {
            (Some(_), Some(_)) => return Err(refuse("it has both a template and a message".into())),
            (Some(_), None) | (None, Some(_)) if self.input_path.is_some() => {
                return Err(refuse("it has an input-path, and a template or a message".into()));
            }
            (Some(template), None) => {
                let paths = self.paths.iter().map(|(name, path)| (name.as_str(), path.as_str()));
                Some(Words::Transformer(Transformer::new(paths, template).map_err(|error| refuse(format!("template: {error}")))?))
            }
            (None, _) if !self.paths.is_empty() => return Err(refuse("it has paths and no template".into())),
            (None, Some(message)) => Some(Words::Template(Template::new(message).map_err(|reason| refuse(format!("message: {reason}")))?)),
            (None, None) => {
                let path = self.input_path.as_deref().map(EventPath::parse).transpose();
                path.map_err(|error| refuse(format!("input-path: {error}")))?.map(Words::Part)
            }
        };
        Ok(Rule {
            name: self.name.clone(),
            description: self.description.clone(),
            enabled: self.enabled,
            pattern,
            targets: self.targets.clone(),
            words,
            file: file.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RULES: &str = r#"
[[target]]
name = "on-call"
kind = "slack"
url = "env:SLACK_URL"
rate = "30/min"
digest = { limit = 5, window = "1h" }

[[target]]
name = "archive"
kind = "json-lines"
path = "events.jsonl"

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
            json!({"rule": [{"name": "b", "pattern": {"source": ["x"]}, "targets": ["archive"]}]}).to_string(),
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
        assert_eq!(matching[0].words.as_ref().unwrap().apply(&event, "critical").unwrap(), "\"fix CVE-2026-1\"");
        let target = rules.targets().find(|target| target.name == "on-call").unwrap();
        assert_eq!((target.kind.as_str(), target.rate.unwrap().per_second, target.digest.unwrap().limit), ("slack", 0.5, 5));
        assert_eq!(target.options.keys().collect::<Vec<_>>(), ["url"]);
        assert_eq!(rules.of_target("archive").all().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["b"]);
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
            ("[[rule]]\nname = \"x\"\npattern = '{\"a\": [1]}'\ntargets = [\"nobody\"]", "there is no target 'nobody'"),
            ("[[rule]]\nname = \"x\"\npattern = '{\"a\": [1]}'\ntargets = [\"webhook\"]\nmessage = '{{'", "message: line 1"),
            ("[[target]]\nname = \"archive\"\nkind = \"slack\"", "there is another target 'archive'"),
            ("[[target]]\nname = \"x\"\nkind = \"slack\"\nrate = \"fast\"", "a rate is like 10/s"),
        ] {
            std::fs::write(folder.path().join("b.toml"), wrong).unwrap();
            let error = Rules::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("b.toml") && error.contains(said), "{error}");
        }
        std::fs::remove_file(folder.path().join("b.toml")).unwrap();
        std::fs::create_dir(folder.path().join("c.toml")).unwrap();
        assert!(Rules::read(folder.path()).unwrap_err().to_string().contains("it is no file"));
    }
}
