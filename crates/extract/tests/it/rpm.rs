//! rpm's databases against what rpm itself says of them (`inventory_rpmdb`).

use lestrade_extract::{Extractors, extractors};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

#[test]
#[allow(clippy::print_stdout, reason = "a suite tells how it went")]
fn inventories_of_rpm_itself() {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let Ok(cases) = std::fs::read_dir(Path::new(&root).join("inventory_rpmdb")) else {
        println!("LOUD: the rpm suite is not laid out; nothing was compared");
        return;
    };
    let extractors = Extractors::new(extractors());
    let (mut passed, mut failed) = (0, Vec::new());
    for case in cases.flatten().map(|entry| entry.path()) {
        let expected: Value = serde_json::from_slice(&std::fs::read(case.join("expected.json")).unwrap()).unwrap();
        let database = std::fs::read_dir(&case).unwrap().flatten().map(|entry| entry.path()).find(|path| !path.ends_with("expected.json"));
        let database = database.unwrap();
        let name = database.file_name().unwrap().to_string_lossy().into_owned();
        let content = match name.strip_suffix(".xz") {
            Some(_) => Command::new("xz").args(["-dc"]).arg(&database).output().unwrap().stdout,
            None => std::fs::read(&database).unwrap(),
        };
        let report = extractors.read(&format!("var/lib/rpm/{}", name.trim_end_matches(".xz")), &content);
        let ours: BTreeSet<(String, String, String)> =
            report.found.into_iter().map(|found| (found.name, found.version, found.source.unwrap_or_default().0)).collect();
        let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let theirs = expected["packages"].as_array().unwrap().iter().filter(|package| package["name"] != "gpg-pubkey").map(|package| {
            let epoch = Some(text(package, "epoch")).filter(|epoch| !epoch.is_empty() && epoch != "0");
            let version = format!("{}-{}", text(package, "version"), text(package, "release"));
            let source = text(package, "sourcerpm");
            let source = source.rsplitn(3, '-').last().unwrap_or_default().to_owned();
            (text(package, "name"), epoch.map_or(version.clone(), |epoch| format!("{epoch}:{version}")), source)
        });
        let theirs: BTreeSet<_> = theirs.collect();
        if ours == theirs && report.problems.is_empty() {
            passed += 1;
        } else {
            let missing: Vec<_> = theirs.difference(&ours).take(3).collect();
            let extra: Vec<_> = ours.difference(&theirs).take(3).collect();
            failed.push(format!("{}: missing {missing:?}, extra {extra:?}, {:?}", case.display(), report.problems));
        }
    }
    if passed + failed.len() == 0 {
        println!("LOUD: the rpm suite is empty; nothing was compared");
    }
    println!("inventory_rpmdb: {passed} passed, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}
