//! Orders against their ecosystems' own vectors, and the laws of a total order.

use lestrade_model::{Ecosystem, Family};
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
    (Scheme::Apk, "1.2_rc1", "<", "1.2"),
    (Scheme::Apk, "1.2", "<", "1.2_p1"),
    (Scheme::Apk, "1.2_p1", "<", "1.2a"),
    (Scheme::Apk, "1.06", "<", "1.1"),
    (Scheme::Apk, "3.0.9-r1", "<", "3.0.9-r10"),
    (Scheme::Apk, "1.2_git20230101", ">", "1.2"),
    (Scheme::Maven, "1.0-rc-1", "=", "1-cr1"),
    (Scheme::Maven, "1.0.RELEASE", "=", "1"),
    (Scheme::Maven, "1.0.0.RC1", "<", "1.0.0-RC2"),
    (Scheme::Maven, "1.0-sp1", ">", "1.0.final-redhat"),
    (Scheme::Maven, "1.0.0.RC7", "<", "1.0.0"),
    (Scheme::Maven, "31.1-jre", ">", "31.1-jre-SNAPSHOT"),
    (Scheme::Maven, "2.0-1", "<", "2.0.1"),
    (Scheme::RubyGems, "1.0.0", "=", "1"),
    (Scheme::RubyGems, "1.0.0.rc1", "<", "1"),
    (Scheme::RubyGems, "1.0-1", "<", "1.0"),
    (Scheme::NuGet, "1.0.0.0", "=", "1.0+build"),
    (Scheme::NuGet, "1.0.0-RC.1", "=", "1.0.0-rc.1"),
    (Scheme::Packagist, "v1.0.0-RC1", "<", "1.0.0"),
    (Scheme::Packagist, "1.0.0-beta2", "<", "1.0.0-RC1"),
    (Scheme::Packagist, "1.0.0", "<", "1.0.0-patch1"),
    (Scheme::Cran, "1.0-2", "=", "1.0.2"),
    (Scheme::Cran, "1.0", "<", "1.0.0"),
    (Scheme::Hackage, "1.0", "<", "1.0.0"),
    (Scheme::Pub, "1.0.0", "<", "1.0.0+1"),
    (Scheme::Pub, "1.0.0+1", "<", "1.0.0+2"),
    (Scheme::Npm, "1.2.3beta", "=", "1.2.3-beta"),
    (Scheme::Semver, "v0.0.0-20190101000000-abcdefabcdef", "<", "v0.0.0-20200101000000-000000000000"),
    (Scheme::Semver, "v1.2.4-0.20200101000000-abcdefabcdef", ">", "v1.2.3"),
    (Scheme::Semver, "v2.0.0+incompatible", "=", "2.0.0"),
    (Scheme::Generic, "1.2.0.0", "=", "1.2"),
    (Scheme::Generic, "1.2-beta", "<", "1.2"),
];

const NPM: Language = Language::Npm { include_prerelease: false, loose: false };

/// Languages of which no suite is laid out, and the corners of the others.
const RANGES: &[(Language, &str, &str, bool)] = &[
    (NPM, "1.2.5", "^1.2.3 || ~0.5", true),
    (NPM, "2.0.0-rc.1", "^1.2.3", false),
    (NPM, "0.5.9", "0.4 - 0.5", true),
    (NPM, "1.2", "*", false),
    (Language::Cargo, "1.9.0", "1.2.3", true),
    (Language::Cargo, "2.0.0", "1.2.3", false),
    (Language::Cargo, "0.2.9", "0.2.3", true),
    (Language::Cargo, "0.3.0", "0.2.3", false),
    (Language::Cargo, "1.3.0", ">1.2", true),
    (Language::Cargo, "1.2.9", ">1.2", false),
    (Language::Cargo, "1.5.0", ">=1.2, <1.5", false),
    (Language::Cargo, "1.4.7", "1.*", true),
    (Language::Cargo, "1.2.9", "~1.2.3", true),
    (Language::Cargo, "1.2.4", "=1.2.3", false),
    (Language::Cargo, "1.2.3-alpha", "1", false),
    (Language::Pep440, "2.2.0", "~=2.2", true),
    (Language::Pep440, "3.0", "~=2.2", false),
    (Language::Pep440, "1.4.5.post1", "==1.4.5.*", true),
    (Language::Pep440, "1.0+local", "==1.0", true),
    (Language::Pep440, "1.0.post1", ">1.0", false),
    (Language::Pep440, "1.0a1", "<1.0", false),
    (Language::Pep440, "1.0a1", "<=1.0", true),
    (Language::Pep440, "1.5", ">=1.0,<2.0,!=1.5", false),
    (Language::Maven, "1.5", "[1.0,2.0)", true),
    (Language::Maven, "2.0", "[1.0,2.0)", false),
    (Language::Maven, "2.0", "(,1.0],[2.0,)", true),
    (Language::Maven, "1.0.0", "[1.0]", true),
    (Language::Maven, "1.5", ">=1.0, <2.0 || 3.0", true),
    (Language::RubyGems, "1.2.9", "~> 1.2.3", true),
    (Language::RubyGems, "1.3.0", "~> 1.2.3", false),
    (Language::RubyGems, "1.9", "~> 1.2", true),
    (Language::RubyGems, "2.0.a", "~> 1.2", false),
    (Language::RubyGems, "1.5", ">= 1.0, != 1.5", false),
    (Language::RubyGems, "1.2.0", "1.2", true),
    (Language::Composer, "1.2.9", "~1.2.3", true),
    (Language::Composer, "1.3.0", "~1.2.3", false),
    (Language::Composer, "1.9.0", "~1.2", true),
    (Language::Composer, "1.9.0", "^1.2.3", true),
    (Language::Composer, "2.0.0-beta1", "^1.2.3", false),
    (Language::Composer, "0.3.1", "^0.3", true),
    (Language::Composer, "0.4.0", "^0.3", false),
    (Language::Composer, "1.0.5", "1.0.*", true),
    (Language::Composer, "1.0", "1.0.0", true),
    (Language::Composer, "1.5.0", ">=1.0,<1.1|>=1.2 <2.0", true),
    (Language::Composer, "2.0.9", "1.0 - 2.0", true),
    (Language::Composer, "2.0.1", "1.0 - 2.0.0", false),
    (Language::Composer, "1.0.0-RC1", ">=1.0.0", true),
    (Language::Composer, "v2.0.0-RC1", "<2.0", false),
    (Language::Composer, "dev-main", "dev-main", true),
    (Language::Composer, "1.0.0", "!=1.0.0", false),
    (Language::Composer, "1.2.3", "^1.2@dev", true),
    (Language::Generic, "1.0.2.7", "~> 1.0.2.3", true),
    (Language::Semver, "1.2.3", "1.x", true),
];

#[test]
fn our_ranges() {
    for (language, version, constraint, expected) in RANGES {
        let parsed = Constraint::parse(*language, constraint).unwrap_or_else(|error| panic!("{language:?}: {error}"));
        assert_eq!(parsed.contains(version), *expected, "{language:?}: {version} in {constraint}");
    }
}

#[test]
fn what_is_no_constraint_is_refused() {
    let languages = [NPM, Language::Cargo, Language::Pep440, Language::Maven, Language::RubyGems, Language::Composer, Language::Generic];
    for language in languages {
        assert!(Constraint::parse(language, ">>= ]what[").is_err(), "{language:?}");
        assert!(Constraint::parse(language, &"1".repeat(100_000)).is_err(), "{language:?}");
    }
}

#[test]
fn every_known_family_has_an_order() {
    for name in [
        "AlmaLinux",
        "Alpine",
        "Amazon Linux",
        "Azure Linux",
        "Bitnami",
        "Chainguard",
        "ConanCenter",
        "CRAN",
        "crates.io",
        "Debian",
        "Go",
        "Hackage",
        "Hex",
        "Maven",
        "npm",
        "NuGet",
        "Oracle Linux",
        "Packagist",
        "Photon OS",
        "Pub",
        "PyPI",
        "Red Hat",
        "Rocky Linux",
        "RubyGems",
        "SUSE",
        "SwiftURL",
        "Ubuntu",
        "Wolfi",
    ] {
        let ecosystem: Ecosystem = name.parse().unwrap();
        assert!(Scheme::of(&ecosystem.family).is_some(), "{name}");
    }
    assert_eq!(Scheme::of(&Family::Other("Something New".into())), None);
}

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

/// Short alphabets, so that versions meet; and any text at all.
fn version() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-z.~^+:_!-]{0,12}",
        "[01.a-]{0,7}",
        "[012.~^_-]{0,6}",
        "\\PC{0,8}",
        "v?[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(-?(a|b|rc|dev|post|alpha)\\.?[0-9]{0,2})?",
        "[0-2](\\.[0-2]){0,2}([.-](rc|sp|foo|final|SNAPSHOT|beta|0|1)){0,3}",
        "0?[0-2](\\.0?[0-2]){0,2}[ab]?(_(alpha|rc|git|p)[0-2]?){0,2}(~[0-9a-f])?(-r[0-2])?",
    ]
}

fn constraint() -> impl Strategy<Value = String> {
    prop_oneof![
        "((>|<|=|!|~|\\^|>=|<=|~>|~=|==)? ?[0-2x*](\\.[0-2x*]){0,3}(-(a|rc)\\.?[0-2])?(,| | \\|\\| | - )){0,3}",
        "[\\[(][0-2.]{0,3},?[0-2.]{0,3}[\\])]",
        "\\PC{0,12}",
        "9{15,40}(\\.9{1,20}){0,2}",
    ]
}

/// What nobody would call a version, and some installer writes: no order gives up on it.
#[test]
fn what_is_no_version_has_its_place_in_every_order() {
    let odd = [
        String::new(),
        " ".to_owned(),
        "99999999999999999999999999:1-1".to_owned(),
        "4294967296:1".to_owned(),
        format!("1{}", ".0".repeat(10_000)),
        format!("1{}1", ".0".repeat(10_000)),
        "9".repeat(10_000),
        "\u{661}.\u{662}".to_owned(),
        "\u{1d7d9}.0".to_owned(),
        "1.\u{0}\u{1b}[31m".to_owned(),
        "-".to_owned(),
        "1:2:3-4-5".to_owned(),
        "1.0".to_owned(),
    ];
    for scheme in Scheme::ALL {
        for a in &odd {
            assert_eq!(scheme.compare(a, a), Ordering::Equal, "{scheme:?}: {a:.40}");
            let _ = scheme.is_valid(a);
            for b in &odd {
                assert_eq!(scheme.compare(a, b), scheme.compare(b, a).reverse(), "{scheme:?}: {a:.40} {b:.40}");
                // Of three long ones nothing new is learned.
                for c in odd
                    .iter()
                    .filter(|c| a.len().max(b.len()).max(c.len()) < 1000 && scheme.compare(a, b).is_le() && scheme.compare(b, c).is_le())
                {
                    assert!(scheme.compare(a, c).is_le(), "{scheme:?}: {a:.40} {b:.40} {c:.40}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn every_order_is_total(a in version(), b in version(), c in version()) {
        for scheme in Scheme::ALL {
            prop_assert_eq!(scheme.compare(&a, &a), Ordering::Equal);
            prop_assert_eq!(scheme.compare(&a, &b), scheme.compare(&b, &a).reverse());
            let (ab, bc) = (scheme.compare(&a, &b), scheme.compare(&b, &c));
            if ab.is_le() && bc.is_le() {
                let expected = if ab.is_eq() { bc } else { Ordering::Less };
                prop_assert_eq!(scheme.compare(&a, &c), expected, "{:?}: {:?} {:?} {:?}", scheme, a, b, c);
            }
            let _ = scheme.is_valid(&a);
            let _ = scheme.goes_on_from(&a, &b);
        }
    }

    #[test]
    fn no_constraint_panics(text in constraint(), version in version()) {
        let npm = |include_prerelease, loose| Language::Npm { include_prerelease, loose };
        for language in [
            npm(false, false), npm(true, false), npm(false, true), npm(true, true), Language::Pep440, Language::Maven,
            Language::RubyGems, Language::Composer, Language::Cargo, Language::Generic, Language::Semver,
        ] {
            if let Ok(constraint) = Constraint::parse(language, &text) {
                let inside = constraint.contains(&version);
                for side in [Side::Above, Side::Below] {
                    prop_assert!(!(inside && constraint.is_outside(&version, side) == Some(true)));
                }
                let _ = constraint.normalised();
            }
        }
    }
}
