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

/// All source of the repository in one text.
fn all_source() -> String {
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
    source
}

/// Every test that ARCHITECTURE.md names as a guard of an invariant is there.
#[test]
fn every_invariant_has_the_guard_that_it_names() {
    let source = all_source();
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

/// The table of traps has a row for each, in their order, and every test that a row names is there.
#[test]
fn every_trap_has_its_test() {
    let source = all_source();
    let traps = read("docs/explanation/traps.md");
    let rows: Vec<Vec<&str>> = traps.lines().filter(|line| line.starts_with("| ")).skip(1).map(|line| line.split('|').collect()).collect();
    let numbers: Vec<&str> = rows.iter().map(|row| row[1].trim()).collect();
    // How many there are in each part of the collection.
    let all =
        [(2, 10), (3, 7), (4, 9), (5, 19)].into_iter().flat_map(|(part, count)| (1..=count).map(move |number| format!("{part}.{number}")));
    assert_eq!(numbers, all.collect::<Vec<_>>());
    for row in &rows {
        let tests: Vec<&str> = row[3].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{row:?}");
        for test in tests {
            assert!(source.contains(&format!("fn {test}()")), "the table of traps names the test '{test}', which is not there");
        }
    }
}

/// The tables of `docs/accuracy.md` add up: its last line is the sum of the others, and each label that was missed or wrongly reported is
/// in a row that says why.
#[test]
fn the_tables_of_accuracy_add_up() {
    let text = read("docs/accuracy.md");
    let part = |title: &str| text.split(title).nth(1).and_then(|rest| rest.split("\n#").next()).unwrap().to_owned();
    let table = part("## Labels of real images");
    let rows: Vec<(String, Vec<u32>)> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells[1].to_owned(), cells[2..6].iter().map(|cell| cell.parse().unwrap()).collect())
        })
        .collect();
    let (all, parts) = rows.split_last().unwrap();
    assert_eq!(all.0, "all");
    let sum = |column: usize| parts.iter().map(|(_, counts)| counts[column]).sum::<u32>();
    assert_eq!((0..4).map(sum).collect::<Vec<_>>(), all.1);
    // `jackson-databind` 2.6.7.3 (20), 2.4.0 (1): the numbers in parentheses, in the first column.
    let explained = |title: &str| -> u32 {
        let rows = part(title);
        let labels = rows.lines().filter(|line| line.starts_with("| ")).skip(1).map(|line| line.split('|').nth(1).unwrap().to_owned());
        let counts =
            labels.flat_map(|cell| cell.split('(').skip(1).filter_map(|rest| rest.split(')').next()?.parse().ok()).collect::<Vec<u32>>());
        counts.sum()
    };
    assert_eq!((explained("### What was missed, and why"), explained("### What was wrongly reported, and why")), (all.1[1], all.1[2]));
    let ratio = |a: u32, b: u32| format!("{:.3}", f64::from(a) / f64::from(a + b));
    for line in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let count = |at: usize| cells[at].parse::<u32>().unwrap();
        assert_eq!((cells[6], cells[7]), (ratio(count(2), count(4)).as_str(), ratio(count(2), count(3)).as_str()), "{line}");
    }
}

/// Each case in which our inventory differs from a peer's on purpose is in the table that says why, and no other.
#[test]
fn the_table_of_inventories_is_complete() {
    let cases = read("crates/extract/tests/it/peers.rs");
    let different = cases.split("const DIFFERENT").nth(1).and_then(|rest| rest.split("];").next()).unwrap();
    // Of each pair the first text is the case, which has two underscores; no reason has.
    let known: BTreeSet<&str> = different.split('"').skip(1).step_by(2).filter(|text| text.contains("__")).collect();
    let accuracy = read("docs/accuracy.md");
    let table = accuracy.split("## Inventories of a peer").nth(1).unwrap();
    let told: BTreeSet<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(told, known);
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
