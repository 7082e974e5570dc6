//! Orders against their ecosystems' own vectors, and the laws of a total order.

use lestrade_versions::{Constraint, Language, Scheme, Side};
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

/// What a row of a suite claims, checked; none when the row has no shape that this suite knows.
fn check(kind: Kind, row: &str) -> Option<bool> {
    let columns: Vec<&str> = row.split('\t').collect();
    match (kind, columns.as_slice()) {
        (Kind::Compare, [ecosystem, version, validity @ ("valid" | "invalid"), rest @ ..]) => {
            let options = rest.get(1).or(rest.first()).copied().unwrap_or_default();
            Some(scheme(ecosystem, options)?.is_valid(version) == (*validity == "valid"))
        }
        (Kind::Compare, [ecosystem, a, op @ ("~" | "!~"), b, ..]) => Some(scheme(ecosystem, "")?.goes_on_from(a, b) == (*op == "~")),
        (Kind::Compare, [ecosystem, a, op @ ("<" | "=" | ">"), b, rest @ ..]) => {
            let scheme = scheme(ecosystem, rest.first().copied().unwrap_or_default())?;
            Some(holds(scheme.compare(a, b), op) && scheme.compare(b, a) == scheme.compare(a, b).reverse())
        }
        (Kind::Constraint, [ecosystem, version, constraint, rest @ .., satisfied @ ("true" | "false")]) => {
            let language = language(ecosystem, rest.first().copied().unwrap_or_default())?;
            let contains = Constraint::parse(language, constraint).is_ok_and(|constraint| constraint.contains(version));
            Some(contains == (*satisfied == "true"))
        }
        (Kind::Outside, [ecosystem, version, range, options, relation]) => {
            let side = if relation.ends_with("gtr") { Side::Above } else { Side::Below };
            let outside = Constraint::parse(language(ecosystem, options)?, range).ok().and_then(|range| range.is_outside(version, side));
            Some(outside == Some(!relation.starts_with('!')))
        }
        (Kind::Normalised, [ecosystem, range, normalised, rest @ ..]) => {
            let language = language(ecosystem, rest.first().copied().unwrap_or_default())?;
            let ours = Constraint::parse(language, range).ok().and_then(|range| range.normalised());
            // node-semver's fixtures write an empty normal form as `*`.
            let ours = ours.map(|ours| if ours.is_empty() { "*".to_owned() } else { ours });
            Some(ours.as_deref().unwrap_or("<invalid>") == *normalised)
        }
        _ => None,
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Compare,
    Constraint,
    Outside,
    Normalised,
}

impl Kind {
    /// By the header of the suite, which may be written with tabs or blanks.
    fn of(header: &str) -> Option<Self> {
        let columns: Vec<&str> = header.strip_prefix("# COLUMNS: ")?.split_whitespace().collect();
        match columns.as_slice() {
            ["ecosystem", "a", "op", "b", ..] | ["ecosystem", "version", "valid|invalid", ..] => Some(Self::Compare),
            ["ecosystem", "version", .., "satisfied"] => Some(Self::Constraint),
            ["ecosystem", "version", "range", "options", "relation"] => Some(Self::Outside),
            ["ecosystem", "range", "normalised", ..] => Some(Self::Normalised),
            _ => None,
        }
    }
}

fn scheme(ecosystem: &str, options: &str) -> Option<Scheme> {
    Some(match ecosystem {
        "apk" => Scheme::Apk,
        "cran" => Scheme::Cran,
        "deb" => Scheme::Deb,
        "generic" => Scheme::Generic,
        "hackage" => Scheme::Hackage,
        "maven" => Scheme::Maven,
        "npm" if options.contains("loose") => Scheme::NpmLoose,
        "npm" => Scheme::Npm,
        "nuget" => Scheme::NuGet,
        "packagist" => Scheme::Packagist,
        "pub" => Scheme::Pub,
        "pypi" => Scheme::Pep440,
        "rpm" => Scheme::Rpm,
        "rpmvercmp" => Scheme::RpmSegment,
        "rubygems" => Scheme::RubyGems,
        "semver" => Scheme::Semver,
        _ => return None,
    })
}

fn language(ecosystem: &str, options: &str) -> Option<Language> {
    Some(match ecosystem {
        "npm" => Language::Npm { include_prerelease: options.contains("includePrerelease"), loose: options.contains("loose") },
        "semver" => Language::Semver,
        "generic" => Language::Generic,
        "maven" => Language::Maven,
        "pypi" => Language::Pep440,
        "rubygems" => Language::RubyGems,
        "packagist" => Language::Composer,
        "cargo" | "crates.io" => Language::Cargo,
        _ => return None,
    })
}

/// The ecosystems' own vectors. `grype-*` is one tool's opinion and not run.
#[test]
fn conformance_vectors() {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let Ok(files) = std::fs::read_dir(format!("{root}/versions")) else {
        println!("LOUD: no conformance vectors at {root}; only our own rows were run");
        return;
    };
    let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
    files.sort();
    let mut failures = Vec::new();
    for path in files {
        let suite = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if suite.starts_with("grype-") || path.extension().is_none_or(|extension| extension != "tsv") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(kind) = text.lines().find_map(Kind::of) else {
            failures.push(format!("{suite}: a suite of unknown columns"));
            continue;
        };
        let (mut passed, mut failed) = (0, 0);
        for row in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            match check(kind, row) {
                Some(true) => passed += 1,
                outcome => {
                    failed += 1;
                    failures.push(format!("{suite}: {}{row}", if outcome.is_none() { "not understood: " } else { "" }));
                }
            }
        }
        println!("{suite}: {passed} passed, {failed} failed");
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

fn version() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9a-z.~^+:_!-]{0,12}", "\\PC{0,8}", "v?[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(-?(a|b|rc|dev|post|alpha)\\.?[0-9]{0,2})?"]
}

proptest! {
    #[test]
    fn every_order_is_total(a in version(), b in version(), c in version()) {
        for scheme in Scheme::ALL {
            prop_assert_eq!(scheme.compare(&a, &a), Ordering::Equal);
            prop_assert_eq!(scheme.compare(&a, &b), scheme.compare(&b, &a).reverse());
            if scheme.compare(&a, &b).is_le() && scheme.compare(&b, &c).is_le() {
                prop_assert!(scheme.compare(&a, &c).is_le(), "{scheme:?}: {a:?} <= {b:?} <= {c:?}");
            }
        }
    }
}
