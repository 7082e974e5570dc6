//! What a user or a supplier wants left out: ignore files and VEX documents.

use super::intelligence_failure;
use crate::args::ReportArgs;
use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input;
use crate::output::Speech;
use lestrade_advisories::read_vex;
use lestrade_matching::{PackagePattern, Statement, Statements, Status};
use lestrade_model::{Clock, Timestamp};
use std::path::{Path, PathBuf};

/// Ignore files that are read when none is named.
const USUAL: [&str; 2] = [".lestradeignore.toml", ".trivyignore"];
/// The largest ignore file.
const MAX_FILE: u64 = 4 << 20;

/// Reads everything that speaks against findings in `target`; answers also what expired.
pub(crate) fn load(arguments: &ReportArgs, target: &str, speech: Speech) -> Result<(Statements, Vec<Statement>), Failure> {
    let mut all = Vec::new();
    let usual = USUAL.iter().map(PathBuf::from).filter(|path| path.exists());
    let files: Vec<PathBuf> = if arguments.ignore_file.is_empty() { usual.collect() } else { arguments.ignore_file.clone() };
    for file in files {
        if arguments.ignore_file.is_empty() {
            speech.note(&format!("{} is followed", file.display()));
        }
        all.extend(ignore_file(&file)?);
    }
    for document in &arguments.vex {
        all.extend(read_vex(document, target).map_err(|error| intelligence_failure(&error))?);
    }
    Statements::new(all, SystemClock.now()).map_err(|error| Failure::new("E0221", Exit::Usage, error.to_string()).try_("path = \"app/**\""))
}

fn ignore_file(path: &Path) -> Result<Vec<Statement>, Failure> {
    let text = input::text(path, MAX_FILE, || refused(path, format!("it is larger than {} MiB", MAX_FILE >> 20)))?;
    let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if path.extension().is_some_and(|extension| extension == "toml") {
        with_reasons(path, &text, &source)
    } else {
        lines(path, &text, &source)
    }
}

fn refused(path: &Path, why: String) -> Failure {
    Failure::new("E0220", Exit::Usage, format!("'{}' is not an ignore file that can be followed", path.display()))
        .cause(why)
        .try_("ignore = [{ id = \"CVE-2024-1\", reason = \"…\", expires = 2027-01-01 }]")
}

/// Our own form: every entry says why and until when.
fn with_reasons(path: &Path, text: &str, source: &str) -> Result<Vec<Statement>, Failure> {
    const FIELDS: [&str; 5] = ["id", "purl", "path", "reason", "expires"];
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| refused(path, error.message().to_owned()))?;
    if let Some(other) = table.keys().find(|key| *key != "ignore") {
        return Err(refused(path, format!("'{other}' is not 'ignore'")));
    }
    let entries = match table.get("ignore") {
        Some(toml::Value::Array(entries)) => entries.as_slice(),
        None => &[],
        Some(_) => return Err(refused(path, "'ignore' is a list of tables: [[ignore]]".into())),
    };
    let mut out = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        let wrong = |why: String| refused(path, format!("entry {number}: {why}"));
        let entry = entry.as_table().ok_or_else(|| wrong("it is no table".into()))?;
        if let Some(other) = entry.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            return Err(wrong(format!("'{other}' is none of {}", FIELDS.join(", "))));
        }
        let text = |key: &str| entry.get(key).and_then(toml::Value::as_str).filter(|text| !text.trim().is_empty());
        let id = text("id").ok_or_else(|| wrong("there is no id of a vulnerability".into()))?;
        let reason = text("reason").ok_or_else(|| wrong(format!("{id}: there is no reason")))?;
        let expires = match entry.get("expires") {
            Some(toml::Value::Datetime(date)) => end_of(&date.to_string()),
            Some(toml::Value::String(date)) => end_of(date),
            _ => None,
        };
        let expires = expires.ok_or_else(|| wrong(format!("{id}: there is no date at which it expires, such as 2027-01-01")))?;
        let packages = match text("purl") {
            None => vec![],
            Some(purl) => {
                let pattern = purl.parse().ok().as_ref().and_then(PackagePattern::of);
                vec![pattern.ok_or_else(|| wrong(format!("{id}: '{purl}' is not the package URL of a package")))?]
            }
        };
        out.push(ignored(id, packages, text("path"), reason, source, Some(expires)));
    }
    Ok(out)
}

/// Another scanner's form: an id in each line, with `exp:DATE` after it.
fn lines(path: &Path, text: &str, source: &str) -> Result<Vec<Statement>, Failure> {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(id) = words.next() else { continue };
        let expires = match words.next().map(|word| (word, word.strip_prefix("exp:").and_then(end_of))) {
            None => None,
            Some((_, Some(date))) => Some(date),
            Some((word, None)) => return Err(refused(path, format!("{id}: '{word}' is not exp:DATE"))),
        };
        out.push(ignored(id, vec![], None, "", source, expires));
    }
    Ok(out)
}

fn ignored(
    id: &str,
    packages: Vec<PackagePattern>,
    path: Option<&str>,
    reason: &str,
    source: &str,
    expires: Option<Timestamp>,
) -> Statement {
    Statement {
        ids: vec![id.to_owned()],
        packages,
        path: path.map(str::to_owned),
        status: Status::Ignored,
        reason: reason.to_owned(),
        source: source.to_owned(),
        made: None,
        expires,
    }
}

/// The end of a day, or an instant.
pub(super) fn end_of(date: &str) -> Option<Timestamp> {
    let text = if date.len() == 10 { format!("{date}T23:59:59Z") } else { date.to_owned() };
    Timestamp::parse(&text).ok()
}
