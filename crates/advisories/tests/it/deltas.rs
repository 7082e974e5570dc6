//! The delta between two states of the world is the difference of two full builds, in whatever order its parts arrive.

use crate::now;
use lestrade_advisories::{BundleSigner, BundleWish, Importer, Library};
use lestrade_matching::{AdvisoryIndex, IndexDiff};
use lestrade_model::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Something that arrives: a file in a folder.
type Part = PathBuf;

fn build(parts: &[&Part]) -> AdvisoryIndex<Vec<u8>> {
    let mut importer = Importer::new(now());
    parts.iter().for_each(|part| importer.import(part).unwrap());
    AdvisoryIndex::open(importer.finish().unwrap().0).unwrap()
}

/// The index after each part, on top of the one before.
fn follow(start: AdvisoryIndex<Vec<u8>>, parts: &[&Part]) -> Vec<AdvisoryIndex<Vec<u8>>> {
    let mut all = vec![start];
    for part in parts {
        let mut importer = Importer::on_top_of(all.last().unwrap(), now()).unwrap();
        importer.import(part).unwrap();
        all.push(AdvisoryIndex::open(importer.finish().unwrap().0).unwrap());
    }
    all
}

/// What an index holds, apart from its number.
fn content(index: &AdvisoryIndex<Vec<u8>>) -> (Vec<String>, Vec<String>) {
    let advisories = index.advisories().unwrap().map(|advisory| format!("{:?}", advisory.unwrap())).collect();
    (advisories, index.exploitations().unwrap().map(|row| format!("{:?}", row.unwrap())).collect())
}

fn joined<'a>(all: impl Iterator<Item = &'a BTreeSet<String>>) -> BTreeSet<String> {
    all.flatten().cloned().collect()
}

fn rescored(new: &AdvisoryIndex<Vec<u8>>, old: &AdvisoryIndex<Vec<u8>>) -> BTreeSet<String> {
    new.rescored(old, |id| Some(id.to_owned())).unwrap().known.into_iter().collect()
}

/// Holds that steps from one full build to another say together what the difference of the two says.
fn steps_say_what_the_difference_says(before: &[&Part], arriving: &[&Part], after: &[&Part]) {
    let (old, new) = (build(before), build(after));
    let whole: IndexDiff = new.diff(&old).unwrap();
    let all = follow(build(before), arriving);
    let last = all.last().unwrap();
    assert_eq!(content(last), content(&new));
    assert_eq!(last.diff(&new).unwrap(), IndexDiff::default());
    assert_eq!(last.diff(&old).unwrap(), whole);
    assert!(rescored(last, &new).is_empty());
    assert_eq!(rescored(last, &old), rescored(&new, &old));
    let steps: Vec<IndexDiff> = all.windows(2).map(|pair| pair[1].diff(&pair[0]).unwrap()).collect();
    assert_eq!(joined(steps.iter().map(|step| &step.vulnerabilities)), whole.vulnerabilities);
    let rescored_in_steps: Vec<BTreeSet<String>> = all.windows(2).map(|pair| rescored(&pair[1], &pair[0])).collect();
    assert_eq!(joined(rescored_in_steps.iter()), rescored(&new, &old));
    let sum = |count: fn(&IndexDiff) -> u64| steps.iter().map(count).sum::<u64>();
    assert_eq!((sum(|s| s.added), sum(|s| s.changed), sum(|s| s.removed)), (whole.added, whole.changed, whole.removed));
}

/// A world of files: a day of EPSS and the next, a version of KEV and the next, records that are there and others that come.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn write(&self, name: &str, text: &str) -> Part {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn epss(&self, day: &str, rows: &[(usize, u8)]) -> Part {
        let rows: String = rows.iter().map(|(id, score)| format!("CVE-2024-{id:04},0.{score:03},0.5\n")).collect();
        self.write(&format!("epss-{day}.csv"), &format!("#model_version:v1,score_date:{day}T00:00:00+0000\ncve,epss,percentile\n{rows}"))
    }

    fn kev(&self, version: &str, ids: &BTreeSet<usize>) -> Part {
        let entry = |id: &usize| format!(r#"{{"cveID": "CVE-2024-{id:04}", "dateAdded": "2024-02-01"}}"#);
        let entry = |id: &usize| entry(id).replace('}', r#", "dueDate": "2024-03-01"}"#);
        let entries: Vec<String> = ids.iter().map(entry).collect();
        let text = format!(r#"{{"catalogVersion": "{version}", "count": {}, "vulnerabilities": [{}]}}"#, ids.len(), entries.join(","));
        self.write(&format!("kev-{version}.json"), &text)
    }

    /// A record, as it first is or as it comes to be; `fix` of 0 withdraws it.
    fn record(&self, id: usize, fix: u8) -> Part {
        let withdrawn = if fix == 0 { r#""withdrawn": "2024-06-01T00:00:00Z", "# } else { "" };
        let text = format!(
            r#"{{"id": "GHSA-{id:04}", "aliases": ["CVE-2024-{id:04}"], {withdrawn}"affected": [{{"package": {{"ecosystem": "npm", "name": "p{}"}},
            "ranges": [{{"type": "SEMVER", "events": [{{"introduced": "0"}}, {{"fixed": "{fix}.0.0"}}]}}]}}]}}"#,
            id % 7
        );
        self.write(&format!("GHSA-{id:04}-{fix}.json"), &text)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn deltas_equal_full_builds_in_every_order_of_arrival(
        days in [proptest::collection::vec(0_u8..200, 40), proptest::collection::vec(0_u8..200, 40)],
        kev in [proptest::collection::btree_set(0_usize..40, 1..12), proptest::collection::btree_set(0_usize..40, 1..12)],
        held_back in proptest::collection::btree_set(0_usize..40, 1..8),
        changed in proptest::collection::btree_map(0_usize..40, 0_u8..3, 0..6),
        order in Just((0..64_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let world = World { folder: tempfile::tempdir().unwrap() };
        let rows = |scores: &[u8]| scores.iter().enumerate().filter(|(_, s)| **s > 20).map(|(id, s)| (id, *s)).collect::<Vec<_>>();
        prop_assume!(days.iter().all(|day| !rows(day).is_empty()));
        let [epss_old, epss_new] = [world.epss("2026-11-21", &rows(&days[0])), world.epss("2026-11-22", &rows(&days[1]))];
        let [kev_old, kev_new] = [world.kev("1", &kev[0]), world.kev("2", &kev[1])];
        let before: Vec<Part> = (0..40).filter(|id| !held_back.contains(id)).map(|id| world.record(id, 9)).collect();
        let published: Vec<Part> = held_back.iter().map(|id| world.record(*id, 9)).collect();
        let again: Vec<Part> = changed.iter().filter(|(id, _)| !held_back.contains(id)).map(|(id, fix)| world.record(*id, *fix)).collect();
        let start: Vec<&Part> = before.iter().chain([&epss_old, &kev_old]).collect();
        let mut arriving: Vec<&Part> = published.iter().chain(&again).chain([&epss_new, &kev_new]).collect();
        let end: Vec<&Part> = before.iter().chain(arriving.iter().copied()).collect();
        let mut order = order.iter();
        arriving.sort_by_cached_key(|_| order.next().copied());
        steps_say_what_the_difference_says(&start, &arriving, &end);
    }
}

/// The same of real feeds, where they are laid out: two days of EPSS, two versions of KEV, a tenth of the crates' records.
#[test]
fn real_deltas_equal_full_builds() {
    let root = std::env::var("LESTRADE_FEEDS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/feeds").into());
    let root = Path::new(&root);
    if !root.exists() {
        println!("LOUD: no feeds at {}; real deltas were not compared", root.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [kept, held] = ["kept", "held"].map(|name| folder.path().join(name));
    [&kept, &held].into_iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    let mut files = Vec::new();
    let mut folders = vec![root.join("osv-crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(files.len() > 1000);
    for (number, file) in files.iter().enumerate() {
        let to = if number % 10 == 3 { &held } else { &kept };
        std::fs::copy(file, to.join(file.file_name().unwrap())).unwrap();
    }
    let older = std::fs::read_dir(root.join("kev/older")).unwrap().flatten().map(|entry| entry.path());
    let mut older: Vec<PathBuf> = older.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    older.sort();
    let Some(kev_old) = older.last().cloned() else { panic!("an older version of KEV is laid out") };
    let kev_new = root.join("kev/known_exploited_vulnerabilities.json");
    let epss = |day: &str| root.join(format!("epss/epss_scores-{day}.csv.gz"));
    let [epss_old, epss_new] = [epss("2026-08-09"), epss("2026-08-16")];
    let (start, end) = ([&kept, &epss_old, &kev_old], [&kept, &held, &epss_new, &kev_new]);
    // All orders are gone through above; these are large.
    steps_say_what_the_difference_says(&start, &[&kev_new, &held, &epss_new], &end);
}

/// What a bundle carries is that delta too: the way that it leads ends at the very bytes.
#[test]
fn a_bundle_carries_the_delta() {
    let world = World { folder: tempfile::tempdir().unwrap() };
    let [origin, other] = ["a", "b"].map(|name| Library::new(world.folder.path().join(name)));
    let signer = BundleSigner::new(&[1; 32]).unwrap();
    let bring = |parts: &[Part]| {
        let (_, mut importer) = origin.next(now()).unwrap();
        parts.iter().for_each(|part| importer.import(part).unwrap());
        origin.publish(&importer.finish().unwrap().0).unwrap()
    };
    let carry = |since: Option<lestrade_advisories::GenerationId>| {
        let mut bundle = Vec::new();
        let until: Timestamp = now().plus_millis(1000);
        origin.export(&BundleWish { since, ..BundleWish::default() }, &signer, now(), until, &mut bundle).unwrap();
        other.import_bundle(&mut bundle.as_slice(), &[signer.key()], now()).unwrap();
    };
    let kev = |version: &str, ids: &[usize]| world.kev(version, &ids.iter().copied().collect());
    let first = bring(&[world.record(1, 2), world.record(2, 2), world.epss("2026-11-21", &[(1, 100), (2, 100)]), kev("1", &[1])]);
    carry(None);
    let second = bring(&[world.record(2, 0), world.record(3, 2), world.epss("2026-11-22", &[(1, 100), (3, 50)]), kev("2", &[3])]);
    carry(Some(first));
    assert_eq!(other.current().unwrap(), Some(second));
}
