//! Real records, real images: a tenth of the records is held back and published while the server runs. Each image that they concern has
//! its findings then, those that a scan with all of the records finds.

use crate::lab::{Lab, PATIENCE, Serving, built_once};
use lestrade_testkit::{Layer, Registry, TestImage, debian_root, missing, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How many Python packages an image has.
const PACKAGES: usize = 120;
const IMAGES: usize = 3;

/// The records of PyPI's advisory database, by package; none where the feeds are not laid out.
fn records() -> Option<Vec<PathBuf>> {
    let root = std::env::var("LESTRADE_FEEDS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/feeds").into());
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(Path::new(&root).join("osv-pypi")).ok()?.flatten().map(|entry| entry.path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    Some(folders)
}

/// Debian, and above it Python packages that have advisories, each at an old version.
fn image(base: &Layer, packages: &[PathBuf]) -> TestImage {
    let metadata = |package: &PathBuf| {
        let name = package.file_name().unwrap().to_string_lossy().into_owned();
        let file = format!("usr/lib/python3/dist-packages/{}-1.0.0.dist-info/METADATA", name.replace('-', "_"));
        (file, format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n"))
    };
    let files: Vec<(String, String)> = packages.iter().map(metadata).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(file, content)| (file.as_str(), content.as_str())).collect();
    TestImage::new(vec![base.clone(), Layer::of_files(&files).unwrap()]).unwrap()
}

/// What a scan of an image finds: the active findings, as `vulnerability package`.
fn scanned(lab: &Lab, image: &TestImage, name: &str) -> BTreeSet<String> {
    let archive = lab.path(name);
    image.write_docker_archive(&archive).unwrap();
    let output = lab.run(&["scan", "image", archive.to_str().unwrap(), "-o", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn records_that_were_held_back_reach_every_image() {
    let Some(folders) = records() else { return println!("LOUD: no feeds are laid out here; nothing was held back") };
    let Some(registry) = Registry::start().unwrap() else { return missing("docker-registry") };
    let Some(root) = debian_root(&built_once()).unwrap() else { return missing("mmdebstrap") };
    let base = Layer::of_tar(std::fs::read(root).unwrap()).unwrap();

    let lab = Lab::new();
    for (number, folder) in folders.iter().enumerate() {
        for (place, record) in std::fs::read_dir(folder).unwrap().flatten().enumerate() {
            let part = if (number * 31 + place * 7).is_multiple_of(10) { "held-back" } else { "known" };
            let name = format!("{part}/{}", record.file_name().to_string_lossy());
            lab.write(&name, std::fs::read(record.path()).unwrap());
        }
    }
    let images: Vec<TestImage> = (0..IMAGES).map(|i| image(&base, &folders[i * 200..i * 200 + PACKAGES])).collect();

    // What there is to be found, by a scan that has all records.
    let all = Lab::new();
    for part in ["held-back", "known"] {
        assert!(all.run(&["db", "import", lab.path(part).to_str().unwrap()]).status.success());
    }
    let name = |i: usize| format!("shop/app-{i}");
    let mut expected = BTreeSet::new();
    for (i, image) in images.iter().enumerate() {
        expected.extend(scanned(&all, image, &format!("{i}.tar")).into_iter().map(|id| format!("{id} {}", name(i))));
        registry.push(image, &name(i), "v1").unwrap();
    }

    assert!(lab.run(&["db", "import", "known"]).status.success());
    let _server = Serving::start(&lab, &[format!("registries={}", registry.host())]).unwrap();
    let found = || {
        let answer = lab.json(&["findings", "--limit", "100000", "--json"]);
        let of = |finding: &Value| {
            let resource = finding["resource"]["name"].as_str().unwrap_or_default();
            let repository = resource.split_once('/').map_or(resource, |(_, rest)| rest).split([':', '@']).next().unwrap_or_default();
            format!("{} {repository}", finding["vulnerability"].as_str().unwrap_or_default())
        };
        answer["findings"].as_array().unwrap().iter().map(of).collect::<BTreeSet<String>>()
    };
    until("all images are read", PATIENCE, || {
        let answer = lab.json(&["coverage", "--json"]);
        let covered = answer["coverage"].as_array()?.iter().filter(|look| look["reason"] == "SUCCESSFUL").count();
        (covered == IMAGES).then_some(())
    })
    .unwrap();
    let before = found();
    let late: Vec<&String> = expected.difference(&before).collect();
    assert!(late.len() >= 10 && before.is_subset(&expected), "{} of {} are held back", late.len(), expected.len());

    let published = Instant::now();
    assert!(lab.run(&["db", "import", "held-back"]).status.success());
    let imported = published.elapsed();
    until("every finding is there", PATIENCE, || (found() == expected).then_some(())).unwrap();
    println!("{} findings in {IMAGES} images after {imported:?} of importing and {:?} in all", late.len(), published.elapsed());
}
