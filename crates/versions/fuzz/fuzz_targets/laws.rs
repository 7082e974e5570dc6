//! The laws of a total order, for every scheme over any three texts, and that no constraint panics.
//!
//! `cargo +nightly fuzz run laws` in `crates/versions`.
#![no_main]

use lestrade_versions::{Constraint, Language, Scheme, Side};
use libfuzzer_sys::fuzz_target;
use std::cmp::Ordering;

const LANGUAGES: &[Language] = &[
    Language::Npm { include_prerelease: false, loose: false },
    Language::Npm { include_prerelease: true, loose: true },
    Language::Pep440,
    Language::Maven,
    Language::RubyGems,
    Language::Composer,
    Language::Cargo,
    Language::Generic,
    Language::Semver,
];

fuzz_target!(|texts: (&str, &str, &str)| {
    let (a, b, c) = texts;
    for scheme in Scheme::ALL {
        assert_eq!(scheme.compare(a, a), Ordering::Equal, "{scheme:?}: {a:?} is not itself");
        let (ab, bc, ac) = (scheme.compare(a, b), scheme.compare(b, c), scheme.compare(a, c));
        assert_eq!(ab, scheme.compare(b, a).reverse(), "{scheme:?}: {a:?} {b:?} depends on the side");
        // One that is at or below, and strictly where either step is.
        if ab.is_le() && bc.is_le() {
            let expected = if ab.is_eq() { bc } else { Ordering::Less };
            assert_eq!(ac, expected, "{scheme:?}: {a:?} {b:?} {c:?} do not line up");
        }
        let _ = scheme.is_valid(a);
        let _ = scheme.goes_on_from(a, b);
    }
    for language in LANGUAGES {
        if let Ok(constraint) = Constraint::parse(*language, a) {
            let inside = constraint.contains(b);
            for side in [Side::Above, Side::Below] {
                assert!(!(inside && constraint.is_outside(b, side) == Some(true)), "{language:?}: {b:?} is in and out of {a:?}");
            }
            let _ = constraint.normalised();
        }
    }
});
