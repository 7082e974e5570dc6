//! Orders against their ecosystems' own vectors, and the laws of a total order.

use lestrade_versions::Scheme;
use proptest::prelude::*;
use std::cmp::Ordering;

/// Rows written by us from the specifications; the peers' own suites run beside them where they are laid out.
const ROWS: &[(Scheme, &str, &str, &str)] = &[
    (Scheme::Deb, "1.0~rc1", "<", "1.0"),
    (Scheme::Deb, "2:9.0", ">", "8.3"),
    (Scheme::Deb, "3.0.9-1", "<", "3.0.9-1+deb12u1"),
    (Scheme::Deb, "3.0.11-1~deb12u1", "<", "3.0.11-1"),
    (Scheme::Deb, "0:1.0", "=", "1.0"),
    (Scheme::Deb, "1.0-0", "=", "1.0"),
    (Scheme::Deb, "1.09", "=", "1.9"),
    (Scheme::Rpm, "1.0~rc1-1", "<", "1.0-1"),
    (Scheme::Rpm, "1.0^git1", ">", "1.0"),
    (Scheme::Rpm, "1:1.0-1", ">", "2.0-1"),
    (Scheme::Semver, "1.0.0-alpha.1", "<", "1.0.0-alpha.beta"),
    (Scheme::Semver, "v1.2.3+build", "=", "1.2.3"),
    (Scheme::Semver, "1.0.0-rc.11", ">", "1.0.0-rc.2"),
    (Scheme::Pep440, "1.0", "=", "1.0.0"),
    (Scheme::Pep440, "1.0.dev1", "<", "1.0a1"),
    (Scheme::Pep440, "1.0.post1", ">", "1.0"),
    (Scheme::Pep440, "1!0.1", ">", "2024.1"),
    (Scheme::Pep440, "1.0-1", "=", "1.0.post1"),
];

fn holds(order: Ordering, op: &str) -> bool {
    match op {
        "<" => order.is_lt(),
        ">" => order.is_gt(),
        _ => order.is_eq(),
    }
}

#[test]
fn our_rows() {
    for (scheme, a, op, b) in ROWS {
        assert!(holds(scheme.compare(a, b), op), "{scheme:?}: {a} {op} {b}");
    }
}

/// The ecosystems' own vectors: columns `ecosystem a op b`.
#[test]
fn conformance_vectors() {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let Ok(files) = std::fs::read_dir(format!("{root}/versions")) else {
        println!("LOUD: no conformance vectors at {root}; only our own rows were run");
        return;
    };
    let (mut passed, mut failed) = (0, Vec::new());
    for file in files.flatten().filter(|f| !f.file_name().to_string_lossy().starts_with("grype-")) {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let compares = text.lines().any(|l| l.starts_with("# COLUMNS: ecosystem") && l.contains("a\top\tb") || l.contains("a op b"));
        for row in text.lines().filter(|l| compares && !l.starts_with('#')) {
            let columns: Vec<&str> = row.split('\t').collect();
            let [ecosystem, a, op @ ("<" | "=" | ">"), b, ..] = columns[..] else { continue };
            let scheme = match ecosystem {
                "deb" => Scheme::Deb,
                "rpm" => Scheme::Rpm,
                "rpmvercmp" => Scheme::RpmSegment,
                "npm" | "semver" => Scheme::Semver,
                "pypi" => Scheme::Pep440,
                "apk" => Scheme::Apk,
                "rubygems" => Scheme::RubyGems,
                "packagist" => Scheme::Packagist,
                _ => continue,
            };
            if holds(scheme.compare(a, b), op) { passed += 1 } else { failed.push(row.to_owned()) }
        }
    }
    println!("versions: {passed} passed, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

fn version() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9a-z.~^+:_!-]{0,12}", "\\PC{0,8}", "v?[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(-?(a|b|rc|dev|post|alpha)\\.?[0-9]{0,2})?"]
}

proptest! {
    #[test]
    fn every_order_is_total(a in version(), b in version(), c in version()) {
        for scheme in [Scheme::Apk, Scheme::Deb, Scheme::Rpm, Scheme::Semver, Scheme::Pep440, Scheme::RubyGems, Scheme::Packagist] {
            prop_assert_eq!(scheme.compare(&a, &a), Ordering::Equal);
            prop_assert_eq!(scheme.compare(&a, &b), scheme.compare(&b, &a).reverse());
            if scheme.compare(&a, &b).is_le() && scheme.compare(&b, &c).is_le() {
                prop_assert!(scheme.compare(&a, &c).is_le(), "{scheme:?}: {a:?} <= {b:?} <= {c:?}");
            }
        }
    }
}
