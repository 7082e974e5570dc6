//! Records that would harm whoever matches: each is set aside with its reason, and the rest of its feed is loaded.

use crate::{RECORD, import, now};
use lestrade_advisories::Library;
use lestrade_matching::judge_component;
use lestrade_model::{Component, Ecosystem};

struct Lab {
    folder: tempfile::TempDir,
    library: Library,
}

impl Lab {
    /// Brings in records of these texts beside a good one, which is there afterwards; answers what was set aside.
    fn with(records: &[String]) -> (Self, Vec<(String, String)>) {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::new(folder.path().join("db"));
        let lab = Self { folder, library };
        let feed = lab.folder.path().join("feed");
        std::fs::create_dir(&feed).unwrap();
        std::fs::write(feed.join("0-good.json"), RECORD).unwrap();
        for (number, record) in records.iter().enumerate() {
            std::fs::write(feed.join(format!("{number}.json")), record).unwrap();
        }
        let summary = import(&lab.library, &feed);
        assert!(lab.found("left-pad").contains(&"CVE-2024-1".to_owned()), "the good one is loaded");
        (lab, summary.quarantined)
    }

    fn found(&self, package: &str) -> Vec<String> {
        let (_, index) = self.library.open_current().unwrap();
        index.verify().unwrap();
        let component = Component::new("npm".parse::<Ecosystem>().unwrap(), package, "1.0.0");
        judge_component(&index, &component).unwrap().into_keys().collect()
    }
}

/// The good record under another name, and otherwise changed.
fn bad(from: &str, to: &str) -> String {
    RECORD.replace("GHSA-1", "GHSA-bad").replace("CVE-2024-1", "CVE-2024-666").replace(from, to)
}

#[test]
fn poisoned_records_are_set_aside_with_their_reason() {
    let long = "9".repeat(70_000);
    let range = r#"{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}"#;
    let many = |item: &str, times: usize| format!("{item},").repeat(times);
    let package = r#"{"package": {"ecosystem": "npm", "name": "left-pad"}, "ranges": []},"#;
    for (what, record, reason) in [
        ("a million ranges", bad(r#""ranges": ["#, &format!(r#""ranges": [{}"#, many(range, 1_000_000))), "too large"),
        ("too many events", bad(r#"{"introduced": "0"},"#, &many(r#"{"introduced": "0"}"#, 200_000)), "too large"),
        ("too many versions", bad(r#""ranges""#, &format!(r#""versions": [{}"1"], "ranges""#, many(r#""1.0.0""#, 300_000))), "too large"),
        ("too many packages", bad(r#""affected": ["#, &format!(r#""affected": [{}"#, package.repeat(30_000))), "too large"),
        ("too many aliases", bad(r#""aliases": ["#, &format!(r#""aliases": [{}"#, many(r#""CVE-2024-666""#, 20_000))), "10000"),
        ("10 MB of text", bad(r#""affected""#, &format!(r#""details": "{}", "affected""#, "a".repeat(10 << 20))), "longer than 1 MiB"),
        ("10 MB in a line", bad(r#""affected""#, &format!(r#""summary": "{}", "affected""#, "a".repeat(10 << 20))), "longer than 1 MiB"),
        ("a name of 70 kB", bad("left-pad", &long), "longer than 1024"),
        ("a version of 70 kB", bad("2.0.0", &long), "longer than 1024"),
        ("an id of 70 kB", bad("CVE-2024-666", &long), "longer than 1024"),
        ("fixed before it was introduced", bad(r#"{"introduced": "0"}"#, r#"{"introduced": "3.0.0"}"#), "ends before it begins"),
        ("a range that is none", bad(r#"{"introduced": "0"}"#, r#"{"introduced": 7}"#), ""),
        ("deep nesting", bad(r#""affected""#, &format!(r#""x": {}{}, "affected""#, "[".repeat(10_000), "]".repeat(10_000))), ""),
    ] {
        let (lab, quarantined) = Lab::with(&[record]);
        assert!(matches!(quarantined.as_slice(), [(_, why)] if why.contains(reason) && !why.is_empty()), "{what}: {quarantined:?}");
        assert!(!lab.found("left-pad").contains(&"CVE-2024-666".to_owned()), "{what}");
    }
}

/// Aliases that lead in a circle, or to oneself, join nothing and end.
#[test]
fn alias_cycles_end() {
    let of = |id: &str, aliases: &str, package: &str| {
        RECORD.replace("GHSA-1", id).replace(r#""CVE-2024-1""#, aliases).replace("left-pad", package)
    };
    let (lab, quarantined) = Lab::with(&[
        of("GHSA-a", r#""GHSA-b""#, "a"),
        of("GHSA-b", r#""GHSA-c""#, "b"),
        of("GHSA-c", r#""GHSA-a""#, "c"),
        of("GHSA-d", r#""GHSA-d", "GHSA-d""#, "d"),
    ]);
    assert_eq!(quarantined, []);
    assert_eq!(
        ["a", "b", "c", "d"].map(|package| lab.found(package)),
        [vec!["GHSA-a".to_owned()], vec!["GHSA-b".to_owned()], vec!["GHSA-a".to_owned()], vec!["GHSA-d".to_owned()]]
    );
}

/// A date that is still to come is set aside; the record is not, and least of all is it taken for withdrawn.
#[test]
fn dates_to_come_are_not_believed() {
    for key in ["published", "modified", "withdrawn"] {
        let record = bad(r#""modified": "2024-01-01T00:00:00Z""#, &format!(r#""{key}": "2027-03-01T00:00:00Z""#));
        let (lab, quarantined) = Lab::with(&[record]);
        assert_eq!(quarantined, [], "{key}");
        assert!(lab.found("left-pad").contains(&"CVE-2024-666".to_owned()), "{key}");
        let (_, index) = lab.library.open_current().unwrap();
        let advisory = index.advisory(index.advisories_of("CVE-2024-666").unwrap()[0]).unwrap();
        assert_eq!((advisory.published, advisory.modified, advisory.withdrawn), (None, None, None), "{key}");
    }
    assert!(now().to_string().starts_with("2026"));
}
