//! Where values come from: flags, `LESTRADE_…` variables, files, defaults.

use super::keys::{KEYS, Key, Kind};
use crate::exit::Exit;
use crate::failure::Failure;
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What the command line says about configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) file: Option<PathBuf>,
    pub(crate) flags: Vec<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// The configuration in force.
#[derive(Debug)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Settings {
    fn text_of(&self, name: &str) -> &str {
        self.values.get(name).map_or("", |(value, _)| value)
    }

    /// A value and its origin.
    pub(crate) fn entry(&self, name: &str) -> Option<&(String, Origin)> {
        self.values.get(name)
    }

    /// A text; none when it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        Some(self.text_of(name)).filter(|value| !value.is_empty())
    }

    /// A path.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.text_of(name))
    }

    /// A flag.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text_of(name) == "true"
    }

    /// A number, checked when it was loaded.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.text_of(name).parse().unwrap_or_default()
    }

    /// A list.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.text_of(name).split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }
}

fn failure(what: String) -> Failure {
    Failure::new("E0210", Exit::Usage, what)
}

/// Loads the configuration.
pub(crate) fn load(sources: &Sources) -> Result<Settings, Failure> {
    let mut values: BTreeMap<&'static str, (String, Origin)> =
        KEYS.iter().map(|key| (key.name, (key.default.to_owned(), Origin::Default))).collect();
    for path in files(sources) {
        read_file(&path, sources.file.as_ref() == Some(&path), &mut values)?;
    }
    read_environment(&mut values)?;
    for flag in &sources.flags {
        let (name, value) = flag.split_once('=').ok_or_else(|| failure("what follows '--set' is not KEY=VALUE".to_owned()))?;
        let key = find(name.trim(), "the command line")?;
        values.insert(key.name, (check(key, value.trim(), "the command line")?, Origin::Flag));
    }
    let folders = Folders::find();
    let state = values.get("state-dir").map(|(value, _)| folders.fill(value, &folders.state)).unwrap_or_default();
    for (value, _) in values.values_mut() {
        *value = folders.fill(value, &state);
    }
    Ok(Settings { values })
}

/// From the weakest to the strongest.
fn files(sources: &Sources) -> Vec<PathBuf> {
    let home =
        std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
    let usual = [
        Some(PathBuf::from("/etc/lestrade/config.toml")),
        home.map(|h| h.join("lestrade/config.toml")),
        Some(PathBuf::from("lestrade.toml")),
    ];
    usual.into_iter().flatten().chain(sources.file.clone()).collect()
}

fn read_file(path: &Path, required: bool, values: &mut BTreeMap<&'static str, (String, Origin)>) -> Result<(), Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return Ok(()),
        Err(error) => return Err(failure(format!("the configuration '{}' cannot be read", path.display())).cause(error)),
    };
    let place = path.display().to_string();
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| failure(format!("'{place}' is not valid TOML")).cause(error.message()))?;
    let readable_by_others = std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0);
    for (name, value) in table {
        let key = find(&name, &place)?;
        if readable_by_others && value.as_str().is_some_and(|value| key.holds_secret(value)) {
            return Err(
                failure(format!("'{place}' holds a secret ('{name}') and can be read by others")).try_(format!("chmod 600 {place}"))
            );
        }
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Boolean(flag) => flag.to_string(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Array(items) if key.kind == Kind::List => {
                items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
            }
            _ => return Err(failure(format!("'{name}' in '{place}' is of the wrong kind"))),
        };
        values.insert(key.name, (check(key, &text, &place)?, Origin::File(path.to_owned())));
    }
    Ok(())
}

fn read_environment(values: &mut BTreeMap<&'static str, (String, Origin)>) -> Result<(), Failure> {
    /// Read by tests and by the build, not by the program.
    const FOREIGN: [&str; 4] = ["LESTRADE_API_TOKEN", "LESTRADE_EVALS", "LESTRADE_FEEDS", "LESTRADE_REQUIRE_SERVERS"];
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        let Some(rest) = name.strip_prefix("LESTRADE_").filter(|rest| *rest != "LOG" && !FOREIGN.contains(&name)) else { continue };
        match KEYS.iter().find(|key| key.name == rest.to_ascii_lowercase().replace('_', "-")) {
            Some(key) => {
                values.insert(key.name, (check(key, value, name)?, Origin::Environment(name.to_owned())));
            }
            // Somebody else's variable may bear our prefix: it is told, and no reason to stop.
            None => eprintln!(
                "warning: the environment variable {name} is not a key{}",
                suggestion(&rest.to_ascii_lowercase().replace('_', "-"))
            ),
        }
    }
    Ok(())
}

fn find(name: &str, place: &str) -> Result<&'static Key, Failure> {
    KEYS.iter()
        .find(|key| key.name == name)
        .ok_or_else(|| failure(format!("'{name}' in {place} is not a configuration key{}", suggestion(name))))
}

fn suggestion(name: &str) -> String {
    let best = KEYS.iter().map(|key| (strsim::jaro_winkler(name, key.name), key.name)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > 0.75).map(|(_, key)| format!("; did you mean '{key}'?")).unwrap_or_default()
}

fn check(key: &Key, value: &str, place: &str) -> Result<String, Failure> {
    let wrong = |wanted: String| Err(failure(format!("'{}' in {place} must be {wanted}", key.name)));
    match key.kind {
        Kind::Flag if !matches!(value, "true" | "false") => wrong("true or false".into()),
        Kind::Number(low, high) if !value.parse::<u64>().is_ok_and(|n| (low..=high).contains(&n)) => {
            wrong(format!("a whole number from {low} to {high}"))
        }
        Kind::Choice(words) if !words.contains(&value) => wrong(format!("one of {}", words.join(", "))),
        _ => Ok(value.to_owned()),
    }
}

/// Folders of the user or the system (XDG base directory specification).
struct Folders {
    state: String,
    cache: String,
}

impl Folders {
    fn find() -> Self {
        let folder = |variable: &str, fallback: &str| {
            std::env::var(variable)
                .ok()
                .filter(|value| value.starts_with('/'))
                .or_else(|| std::env::var("HOME").ok().map(|home| format!("{home}/{fallback}")))
                .map_or_else(|| "/var/lib/lestrade".to_owned(), |base| format!("{base}/lestrade"))
        };
        Self { state: folder("XDG_STATE_HOME", ".local/state"), cache: folder("XDG_CACHE_HOME", ".cache") }
    }

    fn fill(&self, value: &str, state: &str) -> String {
        value.replace("{state}", state).replace("{cache}", &self.cache)
    }
}
