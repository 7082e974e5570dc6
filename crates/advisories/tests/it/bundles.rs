//! Bundles at the library: what they lead to, and what is not taken.

use lestrade_advisories::{AdvisoriesError, BundleImport, BundleKey, BundleSigner, BundleWish, Library};
use lestrade_model::{Family, Timestamp};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn at(day: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + day * DAY)
}

struct Site {
    folder: tempfile::TempDir,
    library: Library,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::new(folder.path().join("db"));
        Self { folder, library }
    }

    /// Brings in a record of a package, and its number as a day of EPSS.
    fn bring(&self, number: u32, ecosystem: &str, fixed: &str) {
        let record = format!(
            r#"{{"id": "X-{number}", "aliases": ["CVE-2026-{number:04}"], "affected": [{{"package": {{"ecosystem": "{ecosystem}", "name": "p{number}"}},
            "ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}, {{"fixed": "{fixed}"}}]}}]}}]}}"#
        );
        let scores = format!("#model_version:v1,score_date:2026-01-01T00:00:00+0000\ncve,epss,percentile\nCVE-2026-{number:04},0.5,0.5\n");
        let (_, mut importer) = self.library.next(at(0)).unwrap();
        for (name, content) in [("record.json", record), ("epss.csv", scores)] {
            let path = self.folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            importer.import(&path).unwrap();
        }
        self.library.publish(&importer.finish().unwrap().0).unwrap();
    }

    fn export(&self, since: Option<u64>, families: &[Family]) -> Vec<u8> {
        let kept = self.library.generations().unwrap();
        let since = since.map(|number| kept.iter().find(|(_, index)| index.manifest().generation == number).unwrap().0.clone());
        let wish = BundleWish { since, families: families.iter().cloned().collect() };
        let mut bundle = Vec::new();
        self.library.export(&wish, &signer(1), at(0), at(30), &mut bundle).unwrap();
        bundle
    }

    fn take(&self, bundle: &[u8], day: i64) -> Result<BundleImport, AdvisoriesError> {
        self.library.import_bundle(&mut &bundle[..], &[signer(1).key()], at(day))
    }

    fn refuses(&self, bundle: &[u8], day: i64, why: &str) {
        let before = self.library.current().unwrap();
        let error = self.take(bundle, day).unwrap_err();
        assert!(matches!(&error, AdvisoriesError::Bundle(reason) if reason.contains(why)), "{error} should say {why}");
        assert_eq!(self.library.current().unwrap(), before, "what is in force stays");
    }

    fn id(&self) -> String {
        self.library.current().unwrap().unwrap().to_string()
    }

    fn ids(&self) -> Vec<String> {
        let (_, index) = self.library.open_current().unwrap();
        index.advisories().unwrap().map(|advisory| advisory.unwrap().key.id).collect()
    }
}

fn signer(seed: u8) -> BundleSigner {
    BundleSigner::new(&[seed; 32]).unwrap()
}

#[test]
fn a_bundle_leads_to_the_same_bytes_whole_or_step_by_step() {
    let (origin, whole, steps) = (Site::new(), Site::new(), Site::new());
    origin.bring(1, "npm", "1.0.0");
    origin.bring(2, "PyPI", "1.0");
    steps.take(&origin.export(None, &[]), 1).unwrap();
    origin.bring(2, "PyPI", "2.0");
    origin.bring(3, "npm", "1.0.0");
    let step = steps.take(&origin.export(Some(2), &[]), 1).unwrap();
    let diff = step.diff.unwrap();
    assert_eq!((diff.added, diff.changed, diff.removed), (1, 1, 0));
    whole.take(&origin.export(None, &[]), 1).unwrap();
    assert_eq!([whole.id(), steps.id()], [origin.id(), origin.id()]);
    assert!(steps.take(&origin.export(Some(2), &[]), 2).unwrap().unchanged, "a second time it is there already");
}

#[test]
fn yesterdays_bundle_is_not_todays() {
    let (origin, site) = (Site::new(), Site::new());
    origin.bring(1, "npm", "1.0.0");
    let first = origin.export(None, &[]);
    origin.bring(2, "npm", "1.0.0");
    let second = origin.export(None, &[]);
    site.take(&first, 1).unwrap();
    site.take(&second, 1).unwrap();
    site.refuses(&first, 1, "is of generation 1, and 2 came before");
    site.refuses(&second, 31, "it ended at");
    site.refuses(&second, -2, "which is not yet");
    // After going back by hand the newest may be taken again, and nothing older.
    let (older, _) = site.library.generations().unwrap().remove(1);
    site.library.put_in_force(&older).unwrap();
    site.refuses(&first, 1, "came before");
    assert!(!site.take(&second, 1).unwrap().unchanged);
    assert_eq!(site.ids(), ["X-1", "X-2"]);
}

#[test]
fn a_step_is_taken_from_where_it_begins_only() {
    let (origin, site) = (Site::new(), Site::new());
    (1..=3).for_each(|number| origin.bring(number, "npm", "1.0.0"));
    let step = origin.export(Some(2), &[]);
    site.bring(9, "npm", "1.0.0");
    site.refuses(&step, 1, "follows on generation 2, which is not the one in force");
    site.take(&origin.export(None, &[]), 1).unwrap();
    site.bring(9, "npm", "1.0.0");
    origin.bring(4, "npm", "1.0.0");
    site.refuses(&origin.export(Some(3), &[]), 1, "follows on generation 3");
}

#[test]
fn numbers_that_were_given_out_here_are_not_given_again() {
    let (origin, site) = (Site::new(), Site::new());
    (1..=3).for_each(|number| site.bring(number + 10, "npm", "1.0.0"));
    origin.bring(1, "npm", "1.0.0");
    assert_eq!(site.take(&origin.export(None, &[]), 1).unwrap().generation, 4);
    origin.bring(2, "npm", "1.0.0");
    assert_eq!(site.take(&origin.export(Some(1), &[]), 1).unwrap().generation, 5, "and steps go on from there");
    assert_eq!(site.ids(), ["X-1", "X-2"]);
}

#[test]
fn a_part_speaks_of_its_ecosystems_alone() {
    let (origin, site) = (Site::new(), Site::new());
    origin.bring(1, "npm", "1.0.0");
    origin.bring(2, "PyPI", "1.0");
    let part = origin.export(None, &[Family::PyPi]);
    site.take(&part, 1).unwrap();
    assert_eq!(site.ids(), ["X-2"]);
    let (_, index) = site.library.open_current().unwrap();
    assert!(index.exploitation("CVE-2026-0002").unwrap().is_some());
    origin.bring(3, "PyPI", "1.0");
    origin.bring(4, "npm", "1.0.0");
    site.take(&origin.export(Some(2), &[Family::PyPi]), 1).unwrap();
    assert_eq!(site.ids(), ["X-2", "X-3"]);
    assert!(origin.export(None, &[Family::PyPi]).len() < origin.export(None, &[]).len());
}

/// Every byte of it counts: flipped, cut, by another key, or with something behind.
#[test]
fn nothing_that_was_tampered_with_is_taken() {
    let (origin, site) = (Site::new(), Site::new());
    origin.bring(1, "npm", "1.0.0");
    site.take(&origin.export(None, &[]), 1).unwrap();
    origin.bring(2, "npm", "1.0.0");
    let bundle = origin.export(Some(1), &[]);
    for at in 0..bundle.len() {
        let mut flipped = bundle.clone();
        flipped[at] ^= 0x01;
        assert!(site.take(&flipped, 1).is_err(), "flipped at {at}");
        assert!(site.take(&bundle[..at], 1).is_err(), "cut at {at}");
    }
    assert!(site.take(&[bundle.as_slice(), b"x"].concat(), 1).is_err());
    assert_eq!(site.ids(), ["X-1"]);
    let stranger = site.library.import_bundle(&mut bundle.as_slice(), &[signer(2).key()], at(1)).unwrap_err();
    assert!(stranger.to_string().contains("not trusted here"), "{stranger}");
    // Who trusts nobody takes nothing; a head that was signed by one key does not hold under another's name.
    assert!(site.library.import_bundle(&mut bundle.as_slice(), &[], at(1)).is_err());
    let text = String::from_utf8_lossy(&bundle).replace(&signer(1).key().to_string(), &signer(2).key().to_string());
    assert!(site.library.import_bundle(&mut text.as_bytes(), &[signer(2).key()], at(1)).is_err());
    site.take(&bundle, 1).unwrap();
    assert_eq!(site.ids(), ["X-1", "X-2"]);
}

/// A memory of what came before that cannot be read is not taken for none.
#[test]
fn who_forgets_what_came_before_takes_nothing() {
    let (origin, site) = (Site::new(), Site::new());
    origin.bring(1, "npm", "1.0.0");
    site.take(&origin.export(None, &[]), 1).unwrap();
    std::fs::write(site.library.folder().join("bundles.json"), "{").unwrap();
    assert!(site.take(&origin.export(None, &[]), 1).is_err());
}

#[test]
fn a_key_is_thirty_two_bytes() {
    assert!(BundleKey::parse(&signer(1).key().to_string()).is_some());
    for text in ["", "x", "AAAA", "not base64 at all, but long enough to be a key of it"] {
        assert!(BundleKey::parse(text).is_none(), "{text}");
    }
}
