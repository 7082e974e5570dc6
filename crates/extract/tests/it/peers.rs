//! Inventories against a peer's own cases (`inventory/trivy`), for the kinds that we read.

use lestrade_artifact::{Holder, Limits, Skip, walk_directory};
use lestrade_extract::{Collector, Extractors, LayerReport, compose, extractors};
use lestrade_model::{Inventory, Manager};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The kinds that we read, each with the path under which a lone input file would be found.
const KINDS: &[(&str, &str)] = &[
    ("nodejs.npm", "package-lock.json"),
    ("language.nodejs.npm", ""),
    ("language.nodejs.pkg", "node_modules/x/package.json"),
    ("nodejs.yarn", "yarn.lock"),
    ("rust.cargo", "Cargo.lock"),
    ("language.rust.cargo", ""),
    ("ruby.bundler", "Gemfile.lock"),
    ("php.composer", "composer.lock"),
    ("language.php.composer", ""),
    ("language.php.composer-vendor", "vendor/composer/installed.json"),
    ("golang.mod", "go.mod"),
    // `*` is the file's own name, which says something here.
    ("java.jar", "*"),
    ("language.java.jar", "*"),
    ("golang.binary", "x.exe"),
    ("language.golang.binary", "x.exe"),
    ("rust.binary", "x.exe"),
    ("language.rust.binary", "x.exe"),
    ("pkg.apk", "lib/apk/db/installed"),
    ("pkg.dpkg", "var/lib/dpkg/status"),
    ("python.packaging", "x.dist-info/METADATA"),
    ("language.python.packaging", ""),
    ("python.pip", "requirements.txt"),
    ("python.pipenv", "Pipfile.lock"),
    ("python.poetry", "poetry.lock"),
    ("language.python.poetry", ""),
    ("python.uv", "uv.lock"),
    ("language.python.uv", ""),
    ("c.conan", "conan.lock"),
    ("language.c.conan", ""),
    ("conda.environment", "environment.yml"),
    ("language.conda.environment", "environment.yml"),
    ("conda.meta", "conda-meta/x.json"),
    ("language.conda.meta", "conda-meta/x.json"),
    ("dart.pub", "pubspec.lock"),
    ("language.dart.pub", ""),
    ("dotnet.core_deps", "x.deps.json"),
    ("language.dotnet.deps", "x.deps.json"),
    ("language.dotnet.nuget", ""),
    ("nuget.config", "packages.config"),
    ("nuget.lock", "packages.lock.json"),
    ("nuget.packagesprops", "Directory.Packages.props"),
    ("language.dotnet.packagesprops", ""),
    ("golang.sum", "go.sum"),
    ("language.golang.mod", ""),
    ("gradle.lockfile", "gradle.lockfile"),
    ("language.java.gradle", ""),
    ("language.java.pom", ""),
    ("sbt.lockfile", "build.sbt.lock"),
    ("language.java.sbt", ""),
    ("hex.mix", "mix.lock"),
    ("language.elixir.mix", "mix.lock"),
    ("julia.manifest", "Manifest.toml"),
    ("language.julia.pkg", ""),
    ("nodejs.bun", "bun.lock"),
    ("language.nodejs.bun", ""),
    ("nodejs.pnpm", "pnpm-lock.yaml"),
    ("language.nodejs.pnpm", ""),
    ("language.nodejs.yarn", ""),
    ("pkg.bottlerocket_inventory", "usr/share/bottlerocket/application-inventory.json"),
    ("language.python.pylock", ""),
    ("python.pylock", "pylock.toml"),
    ("ruby.gemspec", "specifications/x.gemspec"),
    ("language.ruby.gemspec", "specifications/x.gemspec"),
    ("swift.swift", "Package.resolved"),
    ("language.swift.swift", ""),
    ("swift.cocoapods", "Podfile.lock"),
    ("language.swift.cocoapods", "Podfile.lock"),
];

/// Cases in which we differ on purpose, with the reason.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "golang.mod__go116__go.mod",
        "indirect requirements are listed although old go.mod files do not name all: that may be more and is never less",
    ),
    (
        "java.jar__heuristic-1.0.0-SNAPSHOT.jar",
        "nothing in the jar says its group, and the peer asks an index of Maven Central; we list it and say that nobody judges it",
    ),
    ("java.jar__test.jar", "the peer asks an index of Maven Central by SHA-1; the jar itself names no artifact"),
    ("java.jar__test.jar~2", "the peer takes a title for people as an artifact's name; we list it and say that nobody judges it"),
    ("language.dart.pub__happy__cache", "the lock file of the answer is no part of the case, only a cache of downloads"),
    (
        "language.dotnet.nuget__repository__.nuget__packages",
        "the lock file of the answer is no part of the case, only a cache of downloads",
    ),
    ("language.dotnet.nuget__repository~2", "the lock file of the answer is no part of the case, only a cache of downloads"),
    ("language.java.gradle__cache", "the lock file of the answer is no part of the case, only a cache of downloads"),
    (
        "language.nodejs.yarn__project-with-workspace-in-subdir",
        "the lock does not name the workspace, which is the project's own and not what somebody published",
    ),
    (
        "nodejs.npm__package-lock_v3_with_workspace.json",
        "a workspace that says no version is nothing that somebody published; without one it would match all advisories of its name",
    ),
    ("python.pip__requirements_compatible.txt", "only an exact pin says what is installed; the peer guesses the lowest version"),
];

/// Name, version.
type Packages = BTreeSet<(String, String)>;

fn suite() -> Option<PathBuf> {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let suite = Path::new(&root).join("inventory/trivy");
    suite.is_dir().then_some(suite)
}

/// A name and a version as both sides would write them: PyPI's names have several spellings, an epoch of 0 is none.
fn entry(name: &str, version: &str) -> (String, String) {
    let version = version.strip_prefix("0:").unwrap_or(version);
    (name.to_lowercase().replace(['_', '.'], "-"), version.to_owned())
}

/// The files below a folder, at any depth.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() { all.extend(files(&entry.path())) } else { all.push(entry.path()) }
    }
    all
}

/// The files of a text archive: `-- path --` before each.
fn txtar(text: &str) -> Vec<(&str, String)> {
    let mut files: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
            Some(path) => files.push((path, String::new())),
            None => {
                if let Some((_, content)) = files.last_mut() {
                    content.push_str(line);
                    content.push('\n');
                }
            }
        }
    }
    files
}

/// What we find in a case: its lone file as if it lay at `path`, or all of its files as one project.
fn ours(input: &Path, path: &str, extractors: &Extractors) -> Inventory {
    let files = files(input);
    let layer = match (files.as_slice(), path) {
        ([file], _) if file.extension().is_some_and(|extension| extension == "txtar") => {
            let text = std::fs::read_to_string(file).unwrap();
            let files = txtar(&text).into_iter().map(|(path, content)| extractors.read(path, content.as_bytes()));
            LayerReport { files: files.collect(), ..LayerReport::default() }
        }
        ([file], path) if !path.is_empty() => {
            let own = file.file_name().unwrap().to_string_lossy();
            let path = if path == "*" { &own } else { path };
            LayerReport { files: vec![extractors.read(path, &std::fs::read(file).unwrap())], ..LayerReport::default() }
        }
        _ => {
            let mut collector = Collector::new(extractors);
            walk_directory(
                &File::open(input).unwrap(),
                input,
                &[],
                &Skip::default(),
                &Limits::default(),
                &mut Holder::default(),
                &mut collector,
            );
            collector.finish()
        }
    };
    compose(&[layer])
}

/// The peer's packages. It takes the versions of an operating system's packages apart; we do not.
fn theirs(expected: &Value, wanted: impl Fn(&Value) -> bool) -> Packages {
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let version = |package: &Value| {
        let epoch = package["epoch"].as_u64().map(|epoch| format!("{epoch}:")).unwrap_or_default();
        let release = package["release"].as_str().map(|release| format!("-{release}")).unwrap_or_default();
        format!("{epoch}{}{release}", text(package, "version"))
    };
    let packages = expected["packages"].as_array().into_iter().flatten().filter(|package| wanted(package));
    packages.map(|package| entry(&text(package, "name"), &version(package))).collect()
}

/// What one side has and the other has not: (missing, extra). Development dependencies are not deployed and are left out, except where
/// they lie installed; whether a project is one of its own packages is a matter of taste.
fn difference(ours: &Inventory, expected: &Value) -> (Packages, Packages) {
    let is_root = |package: &Value| package["relationship"] == "RelationshipRoot";
    let is_dev = |package: &Value| package["dev"] == true;
    let theirs_deployed = theirs(expected, |package| !is_root(package) && !is_dev(package));
    let roots = theirs(expected, is_root);
    let developed = theirs(expected, is_dev);
    let mut found = Packages::new();
    for occurrence in &ours.occurrences {
        let component = &ours.components[occurrence.component as usize];
        let package = entry(&component.name, &component.version);
        let installed = occurrence.manager == Manager::NodePackage && developed.contains(&package);
        if !installed && (theirs_deployed.contains(&package) || !roots.contains(&package)) {
            found.insert(package);
        }
    }
    (theirs_deployed.difference(&found).cloned().collect(), found.difference(&theirs_deployed).cloned().collect())
}

#[test]
fn inventories_of_a_peer() {
    let Some(suite) = suite() else {
        println!("LOUD: the inventory suite is not laid out; nothing was compared");
        return;
    };
    let extractors = Extractors::new(extractors());
    let mut passed = 0;
    let mut cases: Vec<PathBuf> = std::fs::read_dir(suite).unwrap().flatten().map(|entry| entry.path()).collect();
    cases.sort();
    // `~2` is the same input under other options: any variant is right.
    let base = |name: &str| name.split('~').next().unwrap_or_default().to_owned();
    let mut right: BTreeSet<String> = BTreeSet::new();
    let mut wrong: Vec<(String, String)> = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(expected) = std::fs::read(case.join("expected.json")) else { continue };
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let kind =
            if name.contains("composer-vendor") { "language.php.composer-vendor" } else { expected["kind"].as_str().unwrap_or_default() };
        let Some((_, path)) = KINDS.iter().find(|(known, _)| *known == kind) else { continue };
        let (missing, extra) = difference(&ours(&case.join("input"), path, &extractors), &expected);
        if missing.is_empty() && extra.is_empty() {
            passed += 1;
            right.insert(base(&name));
        } else if !DIFFERENT.iter().any(|(different, _)| *different == name) {
            let few = |packages: Packages| packages.into_iter().take(3).collect::<Vec<_>>();
            wrong.push((base(&name), format!("{name}: missing {:?}, extra {:?}", few(missing), few(extra))));
        }
    }
    let failed: Vec<String> = wrong.into_iter().filter(|(base, _)| !right.contains(base)).map(|(_, said)| said).collect();
    println!("inventory: {passed} equal, {} differ on purpose, {} failed", DIFFERENT.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}
