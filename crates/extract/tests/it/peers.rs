//! Inventories against a peer's own cases (`inventory/trivy`), for the kinds that we read.

use lestrade_artifact::{Limits, walk_directory};
use lestrade_extract::{Collector, Extractors, Found, extractors};
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
    ("golang.mod__normal__go.mod", "the version of go in go.mod is the lowest that may build it, not the one that did"),
    ("language.rust.cargo__happy.txtar", "what only tests use cannot be told by Cargo.lock; all of it is listed"),
    ("language.rust.cargo__no-cargo-toml.txtar", "a project's own crates are not crates that somebody published"),
    ("language.rust.cargo__wrong-cargo-toml.txtar", "a project's own crates are not crates that somebody published"),
    ("rust.cargo__cargo_mixed.lock", "a project's own crates are not crates that somebody published"),
    ("rust.cargo__cargo_normal.lock", "a project's own crates are not crates that somebody published"),
    ("rust.cargo__cargo_v3.lock", "a project's own crates are not crates that somebody published"),
    ("language.python.packaging__egg-zip-with-license-file__sample_package.egg", "zipped eggs are not read yet"),
    ("language.python.packaging__egg-zip__kitchen-1.2.6-py2.7.egg", "zipped eggs are not read yet"),
    ("language.python.poetry__with-groups", "its lock does not tell groups; all of it is listed, which may be more and is never less"),
    ("nodejs.npm__package-lock_v3_with_workspace.json", "a project's own workspaces are not packages that somebody published"),
    ("nodejs.npm__package-lock_v3_with_workspace_as_object.json", "a project's own workspaces are not packages that somebody published"),
    ("nodejs.npm__package-lock_v3_without_root_deps_field.json", "a project's own workspaces are not packages that somebody published"),
    ("python.pip__requirements_compatible.txt", "only an exact pin says what is installed; the peer guesses the lowest version"),
];

type Packages = BTreeSet<(String, String)>;

fn suite() -> Option<PathBuf> {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let suite = Path::new(&root).join("inventory/trivy");
    suite.is_dir().then_some(suite)
}

fn names(found: impl IntoIterator<Item = Found>) -> Packages {
    found.into_iter().map(|found| (found.name.to_lowercase().replace('_', "-"), found.version)).collect()
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

fn ours(input: &Path, path: &str, extractors: &Extractors) -> Packages {
    let files = files(input);
    if let ([file], false) = (files.as_slice(), path.is_empty()) {
        return names(extractors.read(path, &std::fs::read(file).unwrap()).found);
    }
    if let [file] = files.as_slice()
        && file.extension().is_some_and(|extension| extension == "txtar")
    {
        let text = std::fs::read_to_string(file).unwrap();
        return names(txtar(&text).into_iter().flat_map(|(path, content)| extractors.read(path, content.as_bytes()).found));
    }
    let mut collector = Collector::new(extractors);
    walk_directory(&File::open(input).unwrap(), input, &[], &Limits::default(), &mut collector);
    names(collector.finish().files.into_iter().flat_map(|file| file.found))
}

/// Development dependencies are not deployed, and a project is not one of its packages: we leave both out, and so do the cases
/// here. The peer takes the versions of Debian packages apart; we do not.
fn theirs(expected: &Value) -> Packages {
    let packages = expected["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| package["dev"] != true && package["relationship"] != "RelationshipRoot");
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let version = |package: &Value| {
        let epoch = package["epoch"].as_u64().map(|epoch| format!("{epoch}:")).unwrap_or_default();
        let release = package["release"].as_str().map(|release| format!("-{release}")).unwrap_or_default();
        format!("{epoch}{}{release}", text(package, "version"))
    };
    packages.map(|package| (text(package, "name").to_lowercase().replace('_', "-"), version(package))).collect()
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
        let (ours, theirs) = (ours(&case.join("input"), path, &extractors), theirs(&expected));
        if ours == theirs {
            passed += 1;
            right.insert(base(&name));
        } else if !DIFFERENT.iter().any(|(different, _)| *different == name) {
            let missing: Vec<_> = theirs.difference(&ours).take(3).collect();
            let extra: Vec<_> = ours.difference(&theirs).take(3).collect();
            wrong.push((base(&name), format!("{name}: missing {missing:?}, extra {extra:?}")));
        }
    }
    let failed: Vec<String> = wrong.into_iter().filter(|(base, _)| !right.contains(base)).map(|(_, said)| said).collect();
    println!("inventory: {passed} passed, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}
