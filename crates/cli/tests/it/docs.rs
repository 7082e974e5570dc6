//! What the documentation says is what the program does.

use crate::lab::Lab;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The README shows the beginning of what its first command prints; `…` stands for lines left out.
#[test]
fn the_readmes_first_command_prints_what_it_shows() {
    let readme = read("README.md");
    assert!(readme.contains("cargo run --release --quiet -- scan rootfs examples/webshop"));
    let shown = readme.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let lab = Lab::new();
    let output = lab.lestrade().current_dir(root()).args(["scan", "rootfs", "examples/webshop"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let printed: BTreeSet<&str> = printed.lines().map(str::trim_end).collect();
    for line in shown.lines().map(str::trim_end).filter(|line| !line.trim().is_empty() && line.trim() != "…") {
        assert!(printed.contains(line), "the README shows {line:?}, which is not printed");
    }
    assert_eq!(output.status.code(), Some(0));
}

/// Every error code in the source is in the reference, and the other way round.
#[test]
fn every_error_code_is_documented() {
    fn codes(text: &str) -> BTreeSet<u32> {
        let digits = |rest: &str| rest.get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok());
        text.match_indices('E').filter_map(|(at, _)| digits(&text[at + 1..])).collect()
    }
    let mut used = BTreeSet::new();
    let mut folders = vec![root().join("crates/cli/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => used.extend(codes(&std::fs::read_to_string(entry.path()).unwrap())),
            }
        }
    }
    let reference = read("docs/reference/errors.md");
    let mut documented = codes(&reference);
    for range in reference.lines().filter_map(|line| line.split('|').nth(1)?.trim().split_once(" to ")) {
        let (first, last) = (codes(range.0), codes(range.1));
        documented.extend(*first.first().unwrap()..=*last.first().unwrap());
    }
    assert_eq!(used, documented);
}

/// The reference of the configuration is what `config show` prints.
#[test]
fn the_configuration_reference_is_complete() {
    let lab = Lab::new();
    let shown = lab.lestrade().env_remove("LESTRADE_AUTO_UPDATE").args(["config", "show"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap().replace(lab.path("").to_str().unwrap().trim_end_matches('/'), "~");
    let shown = shown.trim_end();
    let reference = read("docs/reference/configuration.md");
    assert!(reference.contains(shown), "docs/reference/configuration.md should hold:\n{shown}");
}

/// The reference of extractors names each with the files that it reads.
#[test]
fn the_reference_of_extractors_is_complete() {
    let row = |extractor: &&dyn lestrade_extract::Extractor| {
        let programs = if extractor.wants_programs() { ", programs" } else { "" };
        let files: Vec<String> = extractor.wants().iter().map(|pattern| format!("`{pattern}`")).collect();
        format!("| {} | {}{programs} |", extractor.id().name, files.join(", "))
    };
    let table: Vec<String> = lestrade_extract::extractors().iter().map(row).collect();
    let reference = read("docs/reference/extractors.md");
    assert!(reference.contains(&table.join("\n")), "docs/reference/extractors.md should hold:\n{}", table.join("\n"));
}

/// Commands of the how-to guides are commands of the program.
#[test]
fn commands_of_the_guides_are_understood() {
    for entry in std::fs::read_dir(root().join("docs/how-to")).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for command in text.lines().filter_map(|line| line.strip_prefix("$ lestrade ")) {
            let words: Vec<&str> =
                command.split_whitespace().take_while(|word| !matches!(*word, "#" | ">")).map(|word| word.trim_matches('\'')).collect();
            let lab = Lab::new();
            // A server would not end and a whole machine takes its time; that their arguments are understood is told by what they complain of.
            let arguments = match words.as_slice() {
                ["serve", ..] => [words.as_slice(), &["--set", "listen=nowhere"]].concat(),
                ["db", "mirror", ..] => [words.as_slice(), &["--set", "mirror-listen=0.0.0.0:1"]].concat(),
                ["scan", "host", ..] => [words.as_slice(), &["--skip-dirs", "["]].concat(),
                _ => words,
            };
            // Nothing is fetched from the world by a test.
            let output = lab.lestrade().env("LESTRADE_OFFLINE", "true").args(arguments).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!said.contains("E0200") && !said.contains("E0210"), "{command}: {said}");
        }
    }
}

/// Every test that ARCHITECTURE.md names as a guard of an invariant is there.
#[test]
fn every_invariant_has_the_guard_that_it_names() {
    let mut source = String::new();
    let mut folders = vec![root().join("crates"), root().join("xtask")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                source.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let architecture = read("ARCHITECTURE.md");
    let invariants = architecture.split("## What must never be").nth(1).and_then(|rest| rest.split("## How it flows").next()).unwrap();
    let guards = invariants.split('`').skip(1).step_by(2).flat_map(|quoted| quoted.split_whitespace());
    // A test's name is a sentence: three words at least.
    let mut named = 0;
    for guard in guards.filter(|word| word.matches('_').count() >= 2).map(|word| word.trim_end_matches('*').trim_end_matches('_')) {
        assert!(source.contains(&format!("fn {guard}")), "ARCHITECTURE.md names the guard '{guard}', which is not there");
        named += 1;
    }
    assert!(named >= 12, "{named}");
}

/// Every test that the reference of hostile input names is in the file that it names, and every row has one.
#[test]
fn every_row_of_hostile_input_has_its_test() {
    let reference = read("docs/reference/hostile-input.md");
    let rows = reference.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit());
    let mut numbers = BTreeSet::new();
    for row in rows {
        numbers.insert(row.split('|').nth(1).unwrap().trim().parse::<u32>().unwrap());
        let named: Vec<(&str, &str)> = row.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once(".rs: ")).collect();
        assert!(!named.is_empty(), "no test shows {row}");
        for (file, test) in named {
            let source = read(&format!("crates/{file}.rs"));
            assert!(source.contains(&format!("fn {test}(")), "crates/{file}.rs has no test '{test}'");
        }
    }
    assert_eq!(numbers, (1..=43).chain([65, 67, 70]).collect());
}
