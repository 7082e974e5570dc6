//! Conda: what is installed in an environment (`conda-meta/*.json`), and what one asks for (`environment.yml`).

use super::documents::{json, member, nameless, package, yaml};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde::Deserialize;
use serde_json::Value;

pub(super) struct InstalledConda;
pub(super) struct CondaEnvironment;

impl Extractor for InstalledConda {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "conda-installed", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/conda-meta/*.json"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let document: Value = json(file)?;
        match (member(&document, "name"), member(&document, "version")) {
            (Some(name), Some(version)) => out.found(package(Family::Conda, Manager::Conda, name, version)),
            _ => nameless(out),
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Environment {
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Dependency {
    Conda(String),
    Pip { pip: Vec<String> },
    Other(serde::de::IgnoredAny),
}

impl Extractor for CondaEnvironment {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "conda-environment", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/environment.yml", "**/environment.yaml"]
    }

    /// A package without an exact version is listed without: it may be any.
    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        for dependency in yaml::<Environment>(file)?.into_iter().flat_map(|environment| environment.dependencies) {
            match dependency {
                Dependency::Conda(spec) => asked_for(Family::Conda, &spec, out),
                Dependency::Pip { pip } => pip.iter().for_each(|spec| asked_for(Family::PyPi, spec, out)),
                Dependency::Other(_) => {}
            }
        }
        Ok(())
    }
}

/// `[channel::]name[operator version[operator build]]`, or the three parts with blanks between.
fn asked_for(family: Family, spec: &str, out: &mut dyn InventorySink) {
    let spec = spec.split_once("::").map_or(spec, |(_, rest)| rest);
    let spec = spec.split(['#', ';']).next().unwrap_or_default().trim();
    let end = spec.find(|c: char| c.is_whitespace() || "=<>!~[".contains(c)).unwrap_or(spec.len());
    let (name, rest) = spec.split_at(end);
    if name.is_empty() || name.starts_with('-') {
        return;
    }
    let rest = rest.trim();
    let rest = match rest.split_once(']') {
        Some((extras, rest)) if extras.starts_with('[') => rest.trim(),
        _ => rest,
    };
    let exact = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')).unwrap_or(rest);
    let version = exact.split(['=', ' ']).next().unwrap_or_default();
    let is_exact = version.starts_with(|c: char| c.is_ascii_alphanumeric()) && !version.contains(['*', '|', ',', '<', '>', '!', '~']);
    out.found(package(family, Manager::Conda, name, if is_exact { version } else { "" }));
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn installed() {
        assert_eq!(packages("opt/conda/conda-meta/pip-22.2.2.json", r#"{"name": "pip", "version": "22.2.2"}"#), ["pip 22.2.2"]);
        assert_eq!(read("opt/conda/conda-meta/pip.json", "{}").problems.len(), 1);
    }

    #[test]
    fn exact_versions_and_unknown_ones() {
        let environment = "name: x\ndependencies:\n  - a=1.0=build\n  - conda-forge::b==2.0\n  - c>=3\n  - d 4.0 build\n  - e=5.*\n  - \"=\"\n  \
                           - pip:\n      - f[x]==6.0\n";
        assert_eq!(packages("environment.yml", environment), ["a 1.0", "b 2.0", "c ", "d 4.0", "e ", "f 6.0"]);
        assert_eq!(read("environment.yaml", "dependencies: [").problems.len(), 1);
    }
}
