//! How right we are on labels of others: people looked at what scanners reported of real images and said of each (package, version,
//! vulnerability) whether it is so. `docs/accuracy.md` holds what came of it.
//!
//! A label has no ecosystem and no source package. Both are put back from facts: a system's release follows from the version of its
//! C library or shell, a source package from `labels_sources.tsv`. A label is judged where a record at hand names its package for its
//! vulnerability; where none does, nobody could know better.

use crate::now;
use lestrade_advisories::{Importer, Library, OpenIndex};
use lestrade_matching::affects;
use lestrade_model::{Advisory, Affected, Component, Ecosystem, Family};
use lestrade_versions::Scheme;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The feeds whose records name packages.
const FEEDS: [&str; 16] = [
    "alpine-secdb-2020",
    "azurelinux-oval",
    "debian/DLA_2023-04-02.list",
    "debian/DSA_2023-04-02.list",
    "friendsofphp",
    "npm/nodejs-security-wg-vuln",
    "npm/retirejs",
    "osv-almalinux",
    "osv-bitnami",
    "osv-collected",
    "osv-crates",
    "osv-go",
    "osv-packagist-drupal",
    "osv-pypi",
    "redhat-csaf-vex",
    "rubysec",
];
const UBUNTU: &str = "ubuntu-uct-2020";

/// What tells a release: a package, how its version begins, the release.
const RELEASES: &[(&str, &str, &str)] = &[
    ("libc6", "2.13-38", "Debian:7"),
    ("libc6", "2.19-18", "Debian:8"),
    ("libc6", "2.24-11", "Debian:9"),
    ("libc6", "2.28-10", "Debian:10"),
    ("libc6", "2.31-13", "Debian:11"),
    ("libc6", "2.36-9", "Debian:12"),
    ("gcc-5-base", "5.2.1-", "Ubuntu:15.10"),
    ("libc6", "2.15-0ubuntu10", "Ubuntu:12.04"),
    ("libc6", "2.15-0ubuntu20", "Ubuntu:12.10"),
    ("libc6", "2.17-0ubuntu5", "Ubuntu:13.04"),
    ("libc6", "2.17-93", "Ubuntu:13.10"),
    ("libc6", "2.19-0ubuntu6", "Ubuntu:14.04"),
    ("libc6", "2.19-10ubuntu", "Ubuntu:14.10"),
    ("libc6", "2.21-0ubuntu4", "Ubuntu:15.04"),
    ("libc6", "2.23-0ubuntu", "Ubuntu:16.04"),
    ("libc6", "2.24-3ubuntu", "Ubuntu:16.10"),
    ("libc6", "2.24-9ubuntu", "Ubuntu:17.04"),
    ("libc6", "2.26-0ubuntu", "Ubuntu:17.10"),
    ("libc6", "2.27-3ubuntu", "Ubuntu:18.04"),
    ("libc6", "2.28-0ubuntu", "Ubuntu:18.10"),
    ("libc6", "2.29-0ubuntu", "Ubuntu:19.04"),
    ("libc6", "2.30-0ubuntu", "Ubuntu:19.10"),
    ("libc6", "2.31-0ubuntu", "Ubuntu:20.04"),
    ("libc6", "2.32-0ubuntu", "Ubuntu:20.10"),
    ("libc6", "2.33-0ubuntu", "Ubuntu:21.04"),
    ("libc6", "2.34-0ubuntu", "Ubuntu:21.10"),
    ("libc6", "2.35-0ubuntu", "Ubuntu:22.04"),
    ("libc6", "2.36-0ubuntu", "Ubuntu:22.10"),
    ("libc6", "2.37-0ubuntu", "Ubuntu:23.04"),
    ("ssl_client", "1.26.2-r", "Alpine:v3.6"),
    ("ssl_client", "1.27.2-r", "Alpine:v3.7"),
    ("ssl_client", "1.28.4-r", "Alpine:v3.8"),
    ("ssl_client", "1.29.3-r", "Alpine:v3.9"),
    ("ssl_client", "1.30.1-r", "Alpine:v3.10"),
    ("ssl_client", "1.31.1-r9", "Alpine:v3.11"),
    ("ssl_client", "1.31.1-r10", "Alpine:v3.11"),
    ("ssl_client", "1.31.1-r11", "Alpine:v3.11"),
    ("ssl_client", "1.31.1-r", "Alpine:v3.12"),
    ("ssl_client", "1.32.1-r", "Alpine:v3.13"),
    ("ssl_client", "1.33.1-r", "Alpine:v3.14"),
    ("ssl_client", "1.34.1-r", "Alpine:v3.15"),
    ("ssl_client", "1.35.0-r", "Alpine:v3.16"),
    ("ssl_client", "1.36.1-r", "Alpine:v3.18"),
];

/// Language ecosystems: a label that is no package of its image's system may be of any of them.
const LANGUAGES: [Family; 11] = [
    Family::CratesIo,
    Family::Go,
    Family::Hackage,
    Family::Hex,
    Family::Maven,
    Family::Npm,
    Family::NuGet,
    Family::Packagist,
    Family::Pub,
    Family::PyPi,
    Family::RubyGems,
];

/// Source packages by system and binary package.
type Sources = BTreeMap<(String, String), String>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label {
    image: String,
    name: String,
    version: String,
    ids: BTreeSet<String>,
}

/// What we say of labels of one ecosystem.
#[derive(Default)]
struct Tally {
    found: usize,
    missed: usize,
    wrong: usize,
    right: usize,
}

#[test]
fn labels_of_real_images() {
    let root = std::env::var("LESTRADE_FEEDS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/feeds").into());
    let root = Path::new(&root);
    if !root.join("match-labels").exists() {
        println!("LOUD: no labels at {}; nothing was compared", root.display());
        return;
    }
    let labels = labels(&root.join("match-labels"));
    let ids: BTreeSet<&str> = labels.keys().flat_map(|label| label.ids.iter().map(String::as_str)).collect();
    let folder = tempfile::tempdir().unwrap();
    let index = records_of(root, &ids, folder.path());
    let systems = systems(labels.keys());
    let sources = sources();
    let none = BTreeSet::new();
    let mut packages: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for label in labels.keys() {
        packages.entry(&label.image).or_default().insert((&label.name, &label.version));
    }

    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let (mut beside, mut owned) = ([0, 0], [0, 0]);
    for (label, is_so) in &labels {
        let system = systems.get(label.image.as_str()).copied();
        let packages = packages.get(label.image.as_str()).unwrap_or(&none);
        let components = components(label, system, &sources, packages);
        let named: Vec<(&Component, Affected)> = entries(&index, label)
            .into_iter()
            .filter_map(|entry| components.iter().find(|component| names(&entry, component)).map(|component| (component, entry)))
            .collect();
        let Some((component, _)) = named.first() else {
            beside[usize::from(*is_so)] += 1;
            continue;
        };
        if component.os_owned {
            owned[usize::from(*is_so)] += 1;
            continue;
        }
        let tally = tallies.entry(component.ecosystem.family.name().to_owned()).or_default();
        let hit = named.iter().any(|(component, entry)| {
            let named_as = Component { name: entry.name.clone(), ..(*component).clone() };
            let component = if component.ecosystem.family.is_os() { component } else { &named_as };
            affects(entry, component).is_some()
        });
        match (is_so, hit) {
            (true, true) => tally.found += 1,
            (true, false) => tally.missed += 1,
            (false, true) => tally.wrong += 1,
            (false, false) => tally.right += 1,
        }
        if *is_so != hit {
            let said: Vec<String> = named.iter().map(|(_, entry)| said(entry)).collect();
            println!(
                "{}\t{}\t{} {}\t{}\t{}",
                if hit { "wrong" } else { "missed" },
                component.ecosystem,
                label.name,
                label.version,
                label.ids.iter().cloned().collect::<Vec<_>>().join(","),
                said.join(" | ")
            );
        }
    }
    println!("{:<12} {:>6} {:>6} {:>6} {:>6} {:>9} {:>6}", "ecosystem", "found", "missed", "wrong", "right", "precision", "recall");
    for (family, tally) in &tallies {
        let share = |part: usize, rest: usize| part as f64 / (part + rest).max(1) as f64;
        println!(
            "{family:<12} {:>6} {:>6} {:>6} {:>6} {:>9.3} {:>6.3}",
            tally.found,
            tally.missed,
            tally.wrong,
            tally.right,
            share(tally.found, tally.wrong),
            share(tally.found, tally.missed)
        );
    }
    println!("owned by a package of the system, which its distributor answers for: {} that are so, {} that are not", owned[1], owned[0]);
    println!("no record at hand: {} that are so, {} that are not", beside[1], beside[0]);
    let sum = |of: fn(&Tally) -> usize| tallies.values().map(of).sum::<usize>();
    let (found, missed, wrong) = (sum(|tally| tally.found), sum(|tally| tally.missed), sum(|tally| tally.wrong));
    assert!(found >= 19 * missed && found >= 9 * wrong, "{found} found, {missed} missed, {wrong} wrong");
}

/// What was said of each (image, package, version, vulnerability), where all agree.
fn labels(folder: &Path) -> BTreeMap<Label, bool> {
    let mut said: BTreeMap<Label, BTreeSet<bool>> = BTreeMap::new();
    for file in files(folder) {
        let Ok(value) = serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()) else { continue };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let is_so = match value["label"].as_str() {
            Some("TP") => true,
            Some("FP") => false,
            _ => continue,
        };
        let ids = [&value["vulnerability_id"], &value["effective_cve"]].map(text).into_iter().filter(|id| !id.is_empty());
        let label = Label {
            image: text(&value["image"]["exact"]),
            name: text(&value["package"]["name"]),
            version: text(&value["package"]["version"]),
            ids: ids.collect(),
        };
        said.entry(label).or_default().insert(is_so);
    }
    said.into_iter().filter(|(_, said)| said.len() == 1).map(|(label, said)| (label, said.contains(&true))).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(self::files(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files.sort();
    files
}

/// An index of the records that mention one of the vulnerabilities: the others would change nothing.
fn records_of(root: &Path, ids: &BTreeSet<&str>, folder: &Path) -> OpenIndex {
    let library = Library::new(folder);
    let mut importer = Importer::new(now());
    for feed in FEEDS.iter().chain([&UBUNTU]) {
        for file in files(&root.join(feed)) {
            let bytes = std::fs::read(&file).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            if words.any(|word| ids.contains(word)) {
                // A file of a folder that is no record is none of ours.
                let _ = importer.import(&file);
            }
        }
    }
    let id = library.publish(&importer.finish().unwrap().0).unwrap();
    library.open(&id).unwrap()
}

/// The system of each image, where it is known.
fn systems<'a>(labels: impl Iterator<Item = &'a Label>) -> BTreeMap<&'a str, &'static str> {
    let mut systems: BTreeMap<&str, &str> = BTreeMap::new();
    for label in labels {
        let same = |name: &str| match name {
            "libc6" => ["libc6", "libc-bin"].contains(&label.name.as_str()),
            "ssl_client" => ["ssl_client", "busybox"].contains(&label.name.as_str()),
            name => name == label.name,
        };
        let told = RELEASES.iter().find(|(name, version, _)| same(name) && label.version.starts_with(version));
        let built = || {
            let vendor = ["rockylinux", "oraclelinux", "almalinux"].iter().find(|vendor| label.image.contains(**vendor));
            let release = ["6", "7", "8", "9"].iter().find(|release| label.version.contains(&format!(".el{release}")))?;
            Some(match (vendor.copied(), *release) {
                (Some("rockylinux"), "8") => "Rocky Linux:8",
                (Some("rockylinux"), _) => "Rocky Linux:9",
                (Some("oraclelinux"), "6") => "Oracle Linux:6",
                (Some("oraclelinux"), "7") => "Oracle Linux:7",
                (Some("oraclelinux"), _) => "Oracle Linux:8",
                (Some("almalinux"), "8") => "AlmaLinux:8",
                (Some("almalinux"), _) => "AlmaLinux:9",
                (_, "6") => "Red Hat:6",
                (_, "7") => "Red Hat:7",
                (_, "8") => "Red Hat:8",
                _ => "Red Hat:9",
            })
        };
        let of_image = || match () {
            () if label.image.contains("sles12sp4") => Some("SUSE:Linux Enterprise Server 12 SP4"),
            () if label.version.ends_with(".azl3") => Some("Azure Linux:3"),
            () if label.version.ends_with(".cm2") => Some("Azure Linux:2"),
            () => None,
        };
        if let Some(system) = told.map(|(_, _, release)| *release).or_else(built).or_else(of_image) {
            systems.entry(&label.image).or_insert(system);
        }
    }
    systems
}

fn sources() -> Sources {
    let mut sources = BTreeMap::new();
    for line in include_str!("labels_sources.tsv").lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        let (Some(systems), Some(source), Some(binaries)) = (columns.next(), columns.next(), columns.next()) else { continue };
        for (system, binary) in systems.split(' ').flat_map(|system| binaries.split(' ').map(move |binary| (system, binary))) {
            sources.insert((system.replace('_', " "), binary.to_owned()), source.to_owned());
        }
    }
    sources
}

/// What a label may be: a package of its image's system, else one of any language in which its version is one.
fn components(label: &Label, system: Option<&str>, sources: &Sources, packages: &BTreeSet<(&str, &str)>) -> Vec<Component> {
    let system = system.map(|system| system.parse::<Ecosystem>().unwrap());
    if let Some(system) = system.filter(|system| is_of_system(&system.family, label, sources)) {
        let source = source(&system, label, sources);
        // Where a source has binaries of several epochs, its own is none.
        let version = match label.version.split_once(':') {
            Some((_, version)) if source.starts_with("gcc-") || source == "util-linux" => version,
            _ => &label.version,
        };
        return vec![Component::new(system, &label.name, &label.version).from_source(&source, version)];
    }
    let plain = label.name.to_ascii_lowercase();
    let plain = plain.strip_prefix("py").unwrap_or(&plain);
    let owned = packages.iter().any(|(name, version)| {
        let module = name.strip_prefix("python3-").or_else(|| name.strip_prefix("python-")).or_else(|| name.strip_prefix("py3-"));
        module == Some(plain) && version.strip_prefix(label.version.as_str()).is_some_and(|rest| rest.starts_with('-'))
    });
    let of_language = LANGUAGES
        .iter()
        .filter(|family| Scheme::of(family).is_some_and(|scheme| scheme.is_valid(label.version.trim_start_matches(['v', 'g', 'o']))));
    let bitnami = label.image.contains("/bitnami/").then_some(&Family::Bitnami);
    let component = |family: &Family| match (family, label.name.as_str()) {
        (Family::Go, "stdlib") => Component::new(Ecosystem::of(Family::Go), "stdlib", label.version.trim_start_matches("go")),
        _ => Component::new(Ecosystem::of(family.clone()), &label.name, &label.version).owned_by_os(owned),
    };
    of_language.chain(bitnami).map(component).collect()
}

/// The source of a system's package. The compilers have one for each line of versions.
fn source(system: &Ecosystem, label: &Label, sources: &Sources) -> String {
    let places = [system.to_string(), system.family.name().to_owned()];
    let known = places.into_iter().find_map(|place| sources.get(&(place, label.name.clone())));
    let Some(source) = known else { return label.name.clone() };
    let version = label.version.split_once(':').map_or(label.version.as_str(), |(_, rest)| rest);
    let mut numbers = version.split(['.', '-']);
    let line = match (numbers.next(), numbers.next()) {
        (Some(old @ ("3" | "4")), Some(minor)) => format!("{old}.{minor}"),
        (first, _) => first.unwrap_or_default().to_owned(),
    };
    source.replace('*', &line)
}

fn is_of_system(family: &Family, label: &Label, sources: &Sources) -> bool {
    let release = label.version.rsplit_once('-').map_or("", |(_, release)| release);
    match family {
        Family::Alpine | Family::Wolfi | Family::Chainguard => {
            release.strip_prefix('r').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
        }
        Family::Debian | Family::Ubuntu => {
            let is_known = sources.contains_key(&("Debian".to_owned(), label.name.clone()));
            is_known || (release.starts_with(|c: char| c.is_ascii_digit()) && label.version.starts_with(|c: char| c.is_ascii_digit()))
        }
        Family::Suse => label.version.contains('-'),
        _ => [".el", ".cm", ".azl"].iter().any(|build| release.contains(build)),
    }
}

/// Whether an entry is about a component's package, whatever the version. Labels name a Maven package with its group or without.
fn names(entry: &Affected, component: &Component) -> bool {
    let name = &component.name;
    let same = match entry.ecosystem.family {
        Family::Maven => entry.name == *name || entry.name.rsplit(':').next() == Some(name),
        _ => entry.name == component.advised_name() || component.advised_source() == Some(&entry.name),
    };
    same && entry.ecosystem.covers(&component.ecosystem)
}

/// The entries of all standing records about a label's vulnerability.
fn entries(index: &OpenIndex, label: &Label) -> Vec<Affected> {
    let advisories: BTreeSet<u32> = label.ids.iter().flat_map(|id| index.advisories_of(id).unwrap()).collect();
    let standing =
        advisories.into_iter().map(|ordinal| index.advisory(ordinal).unwrap()).filter(|advisory| !Advisory::is_withdrawn(advisory));
    standing.flat_map(|advisory| advisory.affected).collect()
}

fn said(entry: &Affected) -> String {
    let ranges: Vec<String> = entry.ranges.iter().map(|range| format!("{:?}", range.events)).collect();
    format!("{} {} {} {} listed", entry.ecosystem, entry.name, ranges.join(" or "), entry.versions.len())
}
