//! Versions that builds of Java and Scala locked: Gradle's lock files and sbt's `build.sbt.lock`. What only tests use is left out.

use super::documents::{file_name, json, member, nameless, package};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde_json::Value;

pub(super) struct GradleLock;
pub(super) struct SbtLock;

impl Extractor for GradleLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "gradle-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/*gradle*.lockfile", "**/gradle/dependency-locks/*.lockfile"]
    }

    /// A line is `group:artifact:version=configuration,…`; in older files, one for each configuration, what follows `=` is missing.
    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let whole_file = file.path.contains("dependency-locks/").then(|| file_name(file.path).trim_end_matches(".lockfile"));
        for line in file.text().lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (coordinates, configurations) = line.split_once('=').unwrap_or((line, whole_file.unwrap_or_default()));
            if coordinates == "empty" {
                continue;
            }
            if configurations.split(',').all(|configuration| configuration.trim().starts_with("test")) {
                continue;
            }
            match coordinates.rsplit_once(':').filter(|(name, version)| name.contains(':') && !version.is_empty()) {
                Some((name, version)) => out.found(package(Family::Maven, Manager::Gradle, name, version)),
                None => nameless(out),
            }
        }
        Ok(())
    }
}

impl Extractor for SbtLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "sbt-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/build.sbt.lock"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let document: Value = json(file)?;
        let dependencies = document.get("dependencies").and_then(Value::as_array);
        for dependency in dependencies.ok_or_else(|| ExtractError::Malformed("it has no list of dependencies".into()))? {
            let configurations: Vec<&str> =
                dependency.get("configurations").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
            if !configurations.is_empty() && !configurations.iter().any(|used| matches!(*used, "compile" | "runtime" | "optional")) {
                continue;
            }
            match (member(dependency, "org"), member(dependency, "name"), member(dependency, "version")) {
                (Some(org), Some(name), Some(version)) => {
                    out.found(package(Family::Maven, Manager::Sbt, &format!("{org}:{name}"), version));
                }
                _ => nameless(out),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn what_only_tests_use_is_left_out() {
        let lock =
            "# comment\na:b:1.0=compileClasspath,testCompileClasspath\nc:d:2.0=testRuntimeClasspath\nempty=annotationProcessor\nodd\n";
        for path in ["gradle.lockfile", "app/buildscript-gradle.lockfile"] {
            assert_eq!(packages(path, lock), ["a:b 1.0"]);
            assert_eq!(read(path, lock).problems.len(), 1);
        }
        assert_eq!(packages("gradle/dependency-locks/compileClasspath.lockfile", "a:b:1.0\n"), ["a:b 1.0"]);
        let sbt = r#"{"lockVersion": 1, "dependencies": [{"org": "a", "name": "b_2.12", "version": "1.0", "configurations": ["compile"]},
                      {"org": "c", "name": "d", "version": "2.0", "configurations": ["test"]}]}"#;
        assert_eq!(packages("build.sbt.lock", sbt), ["a:b_2.12 1.0"]);
        assert_eq!(read("build.sbt.lock", "{}").problems.len(), 1);
    }
}
