//! From files to generations.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod bundles;
mod corruptions;
mod deltas;
mod fuzz;
mod labels;
mod pages;
mod poison;
mod routes;
mod traps;
mod update;

use lestrade_advisories::{Documents, Importer, Library};
use lestrade_matching::judge_component;
use lestrade_model::{Component, Ecosystem, Timestamp};
use std::path::Path;

const RECORD: &str = r#"{"id": "GHSA-1", "modified": "2024-01-01T00:00:00Z", "aliases": ["CVE-2024-1"], "affected": [{"package":
    {"ecosystem": "npm", "name": "left-pad"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]}]}"#;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T00:00:00Z").unwrap()
}

fn import(library: &Library, path: &Path) -> lestrade_advisories::ImportSummary {
    let (_, mut importer) = library.next(now()).unwrap();
    importer.import(path).unwrap();
    let (bytes, summary) = importer.finish().unwrap();
    library.publish(&bytes).unwrap();
    summary
}

#[test]
fn records_of_every_packaging_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.json"), RECORD).unwrap();
    std::fs::write(path("b.yaml"), "id: PYSEC-1\nmodified: 2024-01-01T00:00:00Z\naffected: []\n").unwrap();
    std::fs::write(path("notes.txt"), "not a record").unwrap();
    let mut tar =
        tar::Builder::new(zstd::stream::write::Encoder::new(std::fs::File::create(path("c.tar.zst")).unwrap(), 1).unwrap().auto_finish());
    let mut header = tar::Header::new_gnu();
    header.set_size(RECORD.len() as u64);
    tar.append_data(&mut header, "../../outside.json", RECORD.as_bytes()).unwrap_err();
    tar.append_data(&mut header, "deep/record.json", RECORD.as_bytes()).unwrap();
    drop(tar.into_inner().unwrap());
    let mut names = Vec::new();
    let leftovers = Documents::each(folder.path(), &mut |document| {
        names.push(document.name.rsplit('/').next().unwrap().to_owned());
        Ok(())
    })
    .unwrap();
    assert_eq!((names.as_slice(), leftovers.passed_over), (["a.json", "b.yaml", "record.json"].map(str::to_owned).as_slice(), 1));
}

#[test]
fn an_import_adds_to_what_is_there_and_a_bad_record_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::new(folder.path().join("db"));
    let feed = folder.path().join("feed");
    std::fs::create_dir(&feed).unwrap();
    std::fs::write(feed.join("good.json"), RECORD).unwrap();
    std::fs::write(feed.join("bad.json"), &RECORD[..100]).unwrap();
    let summary = import(&library, &feed);
    assert_eq!((summary.read, summary.quarantined.len()), (1, 1));

    std::fs::write(feed.join("bad.json"), RECORD.replace("GHSA-1", "GHSA-2").replace("CVE-2024-1", "CVE-2024-2")).unwrap();
    std::fs::remove_file(feed.join("good.json")).unwrap();
    import(&library, &feed);
    let (_, index) = library.open_current().unwrap();
    assert_eq!(index.manifest().generation, 2);
    let found = judge_component(&index, &Component::new("npm".parse::<Ecosystem>().unwrap(), "left-pad", "1.0.0")).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["CVE-2024-1", "CVE-2024-2"]);
}

#[test]
fn a_folder_without_advisories_is_an_error_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.json"), "{}").unwrap();
    let error = Importer::new(now()).import(folder.path()).unwrap_err();
    assert!(error.to_string().contains("nothing in"), "{error}");
}

#[test]
fn three_generations_are_kept_and_a_damaged_one_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::new(folder.path());
    for i in 0..5 {
        let mut importer = Importer::new(Timestamp::from_millis(i));
        let record = folder.path().join("r.json");
        std::fs::write(&record, RECORD).unwrap();
        importer.import(&record).unwrap();
        library.publish(&importer.finish().unwrap().0).unwrap();
    }
    let generations =
        std::fs::read_dir(folder.path()).unwrap().flatten().filter(|e| e.path().extension().is_some_and(|x| x == "index")).count();
    assert_eq!(generations, 3);
    let current = library.current().unwrap().unwrap();
    std::fs::write(folder.path().join(format!("{current}.index")), b"LESTRADX and then nothing").unwrap();
    assert!(library.open_current().is_err());
}

#[test]
fn a_number_is_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::new(folder.path().join("db"));
    let file = folder.path().join("r.json");
    let publish = |number: u64| {
        std::fs::write(&file, RECORD.replace("2.0.0", &format!("2.0.{number}"))).unwrap();
        import(&library, &file);
        library.open_current().unwrap().1.manifest().generation
    };
    assert_eq!([publish(1), publish(2), publish(3)], [1, 2, 3]);
    library.put_in_force(&library.generations().unwrap().last().unwrap().0).unwrap();
    assert_eq!(publish(4), 4, "after going back to 1");

    for (id, _) in library.generations().unwrap() {
        std::fs::write(library.folder().join(format!("{id}.index")), "damaged").unwrap();
    }
    std::fs::remove_file(library.folder().join("current")).unwrap();
    assert_eq!(publish(5), 5, "after all generations are lost");
}

/// Real records of every feed that is laid out: all are read, and what is not is said.
#[test]
fn real_feeds() {
    let root = std::env::var("LESTRADE_FEEDS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/feeds").into());
    let root = Path::new(&root);
    if !root.exists() {
        println!("LOUD: no feeds at {}; real records were not read", root.display());
        return;
    }
    for (folder, at_least) in [("osv-crates", 1000), ("osv-collected", 500), ("debian/bookworm-changelog-cves.DERIVED.json", 2000)] {
        let mut importer = Importer::new(now());
        importer.import(&root.join(folder)).unwrap();
        let (_, summary) = importer.finish().unwrap();
        println!("{folder}: {} read, {} quarantined {:?}", summary.read, summary.quarantined.len(), summary.quarantined.first());
        assert!(summary.read >= at_least, "{folder}: {}", summary.read);
    }
}

#[test]
fn epss_and_kev_take_the_place_of_what_was_known() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::new(folder.path().join("db"));
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let epss = "#model_version:v1,score_date:2026-08-16\ncve,epss,percentile\nCVE-2024-1,0.97001,0.99\nCVE-2024-2,0.1,0.5\n";
    let kev = r#"{"catalogVersion": "1", "count": 1, "vulnerabilities": [{"cveID": "CVE-2024-1", "dateAdded": "2024-02-01", "dueDate": "2024-02-22"}]}"#;
    import(&library, &file("epss.csv", epss));
    import(&library, &file("kev.json", kev));
    let (_, index) = library.open_current().unwrap();
    let known = index.exploitation("CVE-2024-1").unwrap().unwrap();
    assert_eq!((known.epss, known.known_exploited.unwrap().added.as_str()), (Some(0.97001), "2024-02-01"));
    assert_eq!(index.manifest().feeds.iter().map(|f| (f.feed.as_str(), f.records)).collect::<Vec<_>>(), [("epss", 2), ("kev", 1)]);

    import(&library, &file("epss.csv", "#model_version:v1,score_date:2026-08-17\ncve,epss,percentile\nCVE-2024-2,0.2,0.5\n"));
    let (_, newer) = library.open_current().unwrap();
    assert_eq!(newer.rescored(&index, |id| Some(id.to_owned())).unwrap().known, ["CVE-2024-1", "CVE-2024-2"]);
    assert_eq!(newer.exploitation("CVE-2024-1").unwrap().unwrap().epss, None);
}

/// A peer's cases: an OSV record and a package; is it affected?
#[test]
fn affected_cases_of_a_peer() {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let Ok(files) = std::fs::read_dir(Path::new(&root).join("affected")) else {
        println!("LOUD: the suite 'affected' is not laid out; nothing was compared");
        return;
    };
    let (mut passed, mut failed) = (0, Vec::new());
    for file in files.flatten() {
        let suite: serde_json::Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        for case in suite["cases"].as_array().unwrap() {
            let text = |key: &str| case["package"][key].as_str().unwrap_or_default();
            let component = Component::new(text("ecosystem").parse::<Ecosystem>().unwrap(), text("name"), text("version"));
            let affected = match lestrade_advisories::read_osv("osv", case["osv"].clone()) {
                Ok(advisory) => advisory.affected.iter().any(|entry| lestrade_matching::affects(entry, &component).is_some()),
                Err(_) => false,
            };
            if case["affected"] == affected { passed += 1 } else { failed.push(case.to_string()) }
        }
    }
    println!("affected: {passed} passed, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}
