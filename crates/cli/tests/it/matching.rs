//! Whole scans against a peer's own cases (`matching/trivy`): its inputs, its advisories, its verdicts.
//!
//! The peer's advisories are in a form of its own; here they become OSV records, which the program is given like any others.

use crate::lab::Lab;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The peer's prefixes and the ecosystems that they mean.
const ECOSYSTEMS: [(&str, &str); 14] = [
    ("go", "Go"),
    ("pip", "PyPI"),
    ("cargo", "crates.io"),
    ("maven", "Maven"),
    ("npm", "npm"),
    ("composer", "Packagist"),
    ("rubygems", "RubyGems"),
    ("nuget", "NuGet"),
    ("pub", "Pub"),
    ("erlang", "Hex"),
    ("swift", "SwiftURL"),
    ("cocoapods", "CocoaPods"),
    ("conan", "ConanCenter"),
    ("k8s", "Kubernetes"),
];

/// Cases that are not run, with the reason.
const LEFT_OUT: [(&str, &str); 2] = [
    ("repo-gomod-with-VEX-repository", "its VEX document is no part of the case"),
    ("repo-gomod-with-local-VEX-file", "its VEX document is no part of the case"),
];

type Triple = (String, String, String);

fn suite() -> Option<PathBuf> {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let suite = Path::new(&root).join("matching/trivy");
    suite.is_dir().then_some(suite)
}

fn strings(value: &Value) -> impl Iterator<Item = String> + '_ {
    value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned).or_else(|| Some(item.to_string())))
}

/// A condition such as `>= 1.0, < 2.0` or `[1.0,2.0)` as events.
fn events(condition: &str) -> Vec<Value> {
    let condition = condition.trim();
    let (mut from, mut to) = (json!({"introduced": "0"}), None);
    if condition.starts_with(['[', '(']) {
        let (low, high) = condition.split_once(',').unwrap_or((condition, condition));
        let (low, high) = (low.trim_matches(['[', '(', ']', ')', ' ']), high.trim());
        if !low.is_empty() {
            from = json!({"introduced": low});
        }
        let end = high.trim_matches(['[', '(', ']', ')', ' ']);
        if !end.is_empty() {
            to = Some(if high.ends_with(']') { json!({"last_affected": end}) } else { json!({"fixed": end}) });
        }
    } else {
        // `>=1.0 <2.0`, `>= 1.0, < 2.0`, `=1.0`
        let mut rest = condition.replace(',', " ");
        for operator in [">=", "<=", ">", "<", "="] {
            rest = rest.replace(&format!("{operator} "), operator);
        }
        for word in rest.split_whitespace() {
            let version = word.trim_start_matches(['<', '>', '=']);
            match word.trim_end_matches(version) {
                ">=" | ">" => from = json!({"introduced": version}),
                "<" => to = Some(json!({"fixed": version})),
                "<=" => to = Some(json!({"last_affected": version})),
                _ => {
                    from = json!({"introduced": version});
                    to = Some(json!({"last_affected": version}));
                }
            }
        }
    }
    std::iter::once(from).chain(to).collect()
}

/// What lies between patched ranges: crates say which versions are not affected.
fn unpatched(patched: &[String]) -> Vec<Vec<Value>> {
    let mut bounds: Vec<(String, Option<String>)> = patched
        .iter()
        .map(|range| {
            let bound = |operator: &str| {
                let part = range.split(',').map(str::trim).find(|part| part.starts_with(operator));
                part.map(|part| part.trim_start_matches(['<', '>', '=', '^', '~', ' ']).to_owned())
            };
            let low = bound(">").or_else(|| bound("^")).or_else(|| bound("=")).unwrap_or_else(|| "0".to_owned());
            (low, bound("<"))
        })
        .collect();
    bounds.sort_by_key(|(low, _)| low.split('.').map(|part| part.parse::<u64>().unwrap_or(0)).collect::<Vec<_>>());
    let mut from = "0".to_owned();
    let mut out = Vec::new();
    for (low, high) in bounds {
        out.push(vec![json!({"introduced": from}), json!({"fixed": low})]);
        match high {
            Some(high) => from = high,
            None => break,
        }
    }
    out
}

/// The peer's advisories as OSV records, by id.
fn records(folder: &Path) -> BTreeMap<String, Value> {
    let mut records: BTreeMap<String, Value> = BTreeMap::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let buckets: Value = serde_saphyr::from_str(&text).unwrap_or(Value::Null);
        for bucket in buckets.as_array().into_iter().flatten() {
            let name = bucket["bucket"].as_str().unwrap_or_default();
            let ecosystem = match name.split_once("::") {
                Some((prefix, _)) => ECOSYSTEMS.iter().find(|(known, _)| *known == prefix).map(|(_, ecosystem)| (*ecosystem).to_owned()),
                None => system(name),
            };
            let Some(ecosystem) = ecosystem else { continue };
            for package in bucket["pairs"].as_array().into_iter().flatten() {
                for pair in package["pairs"].as_array().into_iter().flatten() {
                    advisory(&ecosystem, package["bucket"].as_str().unwrap_or_default(), pair, &mut records);
                }
            }
        }
    }
    records
}

/// A distribution's release as OSV names it: `debian 10`, `Red Hat`.
fn system(bucket: &str) -> Option<String> {
    match bucket.split_once(' ') {
        Some(("debian", release)) => Some(format!("Debian:{release}")),
        _ if bucket == "Red Hat" => Some("Red Hat:7".to_owned()),
        _ => None,
    }
}

fn advisory(ecosystem: &str, package: &str, pair: &Value, records: &mut BTreeMap<String, Value>) {
    let id = pair["key"].as_str().unwrap_or_default();
    let value = &pair["value"];
    let record = records
        .entry(id.to_owned())
        .or_insert_with(|| json!({"id": id, "modified": "2024-01-01T00:00:00Z", "upstream": [], "affected": []}));
    let add = |record: &mut Value, ranges: Vec<Vec<Value>>| {
        let ranges: Vec<Value> = ranges.into_iter().map(|events| json!({"type": "ECOSYSTEM", "events": events})).collect();
        let entry = json!({"package": {"ecosystem": ecosystem, "name": package}, "ranges": ranges});
        record["affected"].as_array_mut().unwrap().push(entry);
    };
    let until = |fixed: &Value| {
        let fixed = fixed.as_str().filter(|fixed| !fixed.is_empty()).map(|fixed| json!({"fixed": fixed}));
        std::iter::once(json!({"introduced": "0"})).chain(fixed).collect::<Vec<_>>()
    };
    if let Some(entries) = value["Entries"].as_array() {
        for entry in entries {
            add(record, vec![until(&entry["FixedVersion"])]);
            let upstream = entry["Cves"].as_array().into_iter().flatten().filter_map(|cve| cve["ID"].as_str()).map(Value::from);
            record["upstream"].as_array_mut().unwrap().extend(upstream.collect::<Vec<_>>());
        }
        return;
    }
    let vulnerable: Vec<String> = strings(&value["VulnerableVersions"]).collect();
    let patched: Vec<String> = strings(&value["PatchedVersions"]).collect();
    if !vulnerable.is_empty() {
        add(record, vulnerable.iter().flat_map(|text| text.split("||")).map(events).collect());
    } else if !patched.is_empty() {
        add(record, unpatched(&patched));
    } else {
        add(record, vec![until(&value["FixedVersion"])]);
    }
}

/// Names that both sides write in their own way.
fn normal(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

fn theirs(expected: &Value) -> BTreeSet<Triple> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let vulnerabilities = expected["vulnerabilities"].as_array().into_iter().flatten();
    vulnerabilities.map(|v| (text(v, "vulnerability_id"), normal(&text(v, "pkg")), text(v, "installed"))).collect()
}

fn ours(report: &Value) -> BTreeSet<Triple> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut out = BTreeSet::new();
    for finding in report["findings"].as_array().into_iter().flatten() {
        for package in finding["packages"].as_array().into_iter().flatten() {
            out.insert((text(finding, "id"), normal(&text(package, "name")), text(package, "version")));
        }
    }
    out
}

#[test]
#[allow(clippy::print_stdout, reason = "a suite tells how it went")]
fn verdicts_of_a_peer() {
    let Some(suite) = suite() else {
        println!("LOUD: the matching suite is not laid out; nothing was compared");
        return;
    };
    let lab = Lab::new();
    std::fs::create_dir(lab.path("records")).unwrap();
    for (number, record) in records(&suite.join("_db")).values().enumerate() {
        std::fs::write(lab.path("records").join(format!("{number}.json")), record.to_string()).unwrap();
    }
    let imported = lab.transcript(&["db", "import", "records"]);
    assert!(imported.ends_with("exit 0"), "{imported}");
    let (mut passed, mut failed) = (0, Vec::new());
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&suite).unwrap().flatten().map(|entry| entry.path()).collect();
    cases.sort();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(expected) = std::fs::read(case.join("expected.json")) else { continue };
        if let Some((_, why)) = LEFT_OUT.iter().find(|(left_out, _)| *left_out == name) {
            println!("{name}: left out, {why}");
            continue;
        }
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let input = case.join("input");
        let mut arguments = vec!["-o".to_owned(), "json".to_owned()];
        if name.starts_with("sbom-") {
            let document = std::fs::read_dir(&input).unwrap().flatten().next().unwrap().path();
            arguments.extend(["sbom".to_owned(), document.display().to_string()]);
        } else {
            arguments.extend(["repo".to_owned(), input.display().to_string()]);
            arguments.extend(skipped(expected["args"].as_str().unwrap_or_default()));
        }
        arguments.rotate_left(2);
        let output = lab.lestrade().arg("scan").args(&arguments).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        let (ours, theirs) = (ours(&report), theirs(&expected));
        if ours == theirs {
            passed += 1;
        } else {
            let missing: Vec<_> = theirs.difference(&ours).take(3).collect();
            let extra: Vec<_> = ours.difference(&theirs).take(3).collect();
            failed.push(format!("{name}: missing {missing:?}, extra {extra:?} {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    println!("matching: {passed} passed, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

/// What a case leaves out, as its arguments say: `skipDirs: []string{"testdata/fixtures/repo/gomod/submod2"}`.
fn skipped(args: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (key, flag) in [("skipDirs:", "--skip-dirs"), ("skipFiles:", "--skip-files")] {
        let Some((_, list)) = args.split_once(key).and_then(|(_, rest)| rest.split_once('{')) else { continue };
        for path in list.split('}').next().unwrap_or_default().split(',') {
            let path = path.trim().trim_matches('"').rsplit_once("/repo/").map_or("", |(_, path)| path);
            if !path.is_empty() {
                out.extend([flag.to_owned(), path.to_owned()]);
            }
        }
    }
    out
}
