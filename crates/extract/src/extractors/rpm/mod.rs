//! rpm's databases, in all three of their formats, and the plain list that images without a package manager have.
//!
//! Each database gives headers, one for each installed package; what is in a header is the same in all of them.

mod berkeley;
mod bytes;
mod header;
mod ndb;
mod sqlite;

use crate::{ExtractError, Extractor, ExtractorId, Found, InventorySink, Origin, WantedFile};
use header::Header;
use lestrade_artifact::Size;
use lestrade_model::Manager;

pub(super) struct Rpm;

/// The most packages of one database.
const MAX_PACKAGES: usize = 1_000_000;

impl Extractor for Rpm {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "rpm", version: 3 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &[
            "var/lib/rpm/rpmdb.sqlite",
            "var/lib/rpm/Packages.db",
            "var/lib/rpm/Packages",
            "usr/lib/sysimage/rpm/rpmdb.sqlite",
            "usr/lib/sysimage/rpm/Packages.db",
            "usr/lib/sysimage/rpm/Packages",
            "usr/share/rpm/rpmdb.sqlite",
            "usr/share/rpm/Packages.db",
            "usr/share/rpm/Packages",
            // Changes that were not merged into the database yet.
            "var/lib/rpm/rpmdb.sqlite-wal",
            "usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
            "usr/share/rpm/rpmdb.sqlite-wal",
            "var/lib/rpmmanifest/container-manifest-2",
        ]
    }

    fn largest(&self) -> Size {
        Size::Large
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if name.ends_with("-wal") {
            return match file.content {
                [] => Ok(()),
                _ => Err(ExtractError::Unsupported("changes to the rpm database that are not merged into it: they are not listed".into())),
            };
        }
        if name == "container-manifest-2" {
            return manifest(&file.text(), out);
        }
        let read = match file.content {
            [] => return Err(ExtractError::Truncated("the rpm database is empty".into())),
            content if content.starts_with(sqlite::MAGIC) => sqlite::headers,
            content if content.starts_with(ndb::MAGIC) => ndb::headers,
            _ => berkeley::headers,
        };
        let mut packages = 0;
        // Each header has a place of its own, so that all of them are no more than the file.
        let mut bytes_left = file.content.len();
        read(file.content, &mut |blob| {
            bytes_left = bytes_left.checked_sub(blob.len()).ok_or(Damaged)?;
            match Header::read(blob) {
                Some(header) => packages += usize::from(package(&header, out)),
                None => out.problem(ExtractError::Malformed("a package's header in the rpm database is damaged".into())),
            }
            if packages > MAX_PACKAGES { Err(Damaged) } else { Ok(()) }
        })
        .map_err(|Damaged| ExtractError::Malformed("the rpm database is damaged: not all of its packages are listed".into()))?;
        // A system has a package at least: the one that makes it one.
        if packages == 0 { Err(ExtractError::Malformed("the rpm database holds no package".into())) } else { Ok(()) }
    }
}

/// A place of a database that does not fit the rest; what was read before it holds.
struct Damaged;

/// Takes a package's header, one after another.
type Each<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Damaged>;

/// Pushes a header's package; answers whether it is one.
fn package(header: &Header<'_>, out: &mut dyn InventorySink) -> bool {
    let (name, version, release) = (header.text(header::NAME), header.text(header::VERSION), header.text(header::RELEASE));
    // Keys are kept beside packages.
    if name == "gpg-pubkey" {
        return false;
    }
    if name.is_empty() || version.is_empty() {
        out.problem(ExtractError::Malformed("a package in the rpm database has no name or no version".into()));
        return false;
    }
    let arch = header.text(header::ARCH);
    out.found(Found {
        origin: Origin::OperatingSystem,
        name,
        version: full_version(header.number(header::EPOCH).unwrap_or(0), &version, &release),
        source: source(&header.text(header::SOURCE_RPM)),
        arch: (!arch.is_empty()).then_some(arch),
        module: module(&header.text(header::MODULARITY_LABEL)),
        manager: Manager::Rpm,
    });
    // What somebody else packed no distributor answers for: languages' packages in it are judged as anywhere.
    if is_distributors(&header.text(header::VENDOR), &release) {
        header.files(&mut |path| out.owns(path.trim_start_matches('/')));
    }
    true
}

/// The beginnings of the names under which distributions build their packages.
const DISTRIBUTORS: [&str; 15] = [
    "AlmaLinux",
    "Alma Linux",
    "Amazon",
    "Broadcom",
    "CentOS",
    "CloudLinux",
    "Fedora Project",
    "Microsoft",
    "openSUSE",
    "Oracle America",
    "Photon",
    "Red Hat",
    "Rocky",
    "SUSE",
    "VMware",
];

/// Whether a package was built by a distribution. Where it does not say by whom it was, it is believed to be. EPEL is built by the
/// Fedora Project for systems that are not Fedora (`.el9`), and whose advisories do not speak of it.
fn is_distributors(vendor: &str, release: &str) -> bool {
    let is_epel = vendor.starts_with("Fedora") && release.contains(".el");
    vendor.is_empty() || (!is_epel && DISTRIBUTORS.iter().any(|name| vendor.starts_with(name)))
}

/// `epoch:version-release`, without an epoch of 0.
fn full_version(epoch: u32, version: &str, release: &str) -> String {
    let release = if release.is_empty() { String::new() } else { format!("-{release}") };
    if epoch == 0 { format!("{version}{release}") } else { format!("{epoch}:{version}{release}") }
}

/// Name and stream of a label such as `nodejs:18:8080020230825:63b34585:x86_64`.
fn module(label: &str) -> Option<String> {
    let mut parts = label.splitn(3, ':');
    let (name, stream) = (parts.next()?, parts.next()?);
    (!name.is_empty() && !stream.is_empty()).then(|| format!("{name}:{stream}"))
}

/// Name and version of the source package: `bash-5.1.8-6.el9.src.rpm`.
fn source(file: &str) -> Option<(String, String)> {
    let (rest, release) = file.strip_suffix(".src.rpm")?.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name.to_owned(), format!("{version}-{release}")))
}

/// The list of an image without a package manager (Azure Linux): ten columns for each package.
fn manifest(text: &str, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
    let mut packages = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, version, _, _, _, _, _, arch, epoch, source_rpm] = columns.as_slice() else {
            out.problem(ExtractError::Malformed("a line of the package list has other than ten columns".into()));
            continue;
        };
        let (version, release) = version.split_once('-').unwrap_or((version, ""));
        packages += 1;
        out.found(Found {
            origin: Origin::OperatingSystem,
            name: (*name).to_owned(),
            version: full_version(epoch.parse().unwrap_or(0), version, release),
            source: source(source_rpm),
            arch: Some((*arch).to_owned()),
            module: None,
            manager: Manager::Rpm,
        });
    }
    if packages == 0 { Err(ExtractError::Malformed("the package list is empty".into())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::header::tests::blob;
    use crate::extractors::read_bytes;

    fn packages(path: &str, content: &[u8]) -> Vec<String> {
        read_bytes(path, content).found.into_iter().map(|found| format!("{} {}", found.name, found.version)).collect()
    }

    /// A database of one small package in each format.
    fn databases() -> Vec<(&'static str, Vec<u8>)> {
        let header = blob("bash", "5.1.8", "6.el9", 2);
        vec![
            ("var/lib/rpm/rpmdb.sqlite", super::sqlite::tests::database(&header)),
            ("usr/lib/sysimage/rpm/Packages.db", super::ndb::tests::database(&header)),
            ("var/lib/rpm/Packages", super::berkeley::tests::database(&header)),
        ]
    }

    #[test]
    fn every_format_has_the_same_packages() {
        for (path, database) in databases() {
            let report = read_bytes(path, &database);
            assert_eq!((packages(path, &database), report.problems.len()), (vec!["bash 2:5.1.8-6.el9".to_owned()], 0), "{path}");
            assert_eq!(report.found[0].source, Some(("bash".into(), "5.1.8-6.el9".into())));
            assert_eq!(report.found[0].module.as_deref(), Some("bash:5"));
        }
    }

    #[test]
    fn trap_10_files_of_packages_that_no_distributor_built_are_not_the_distributors() {
        for (vendor, release, owned) in [
            ("Red Hat, Inc.", "6.el9", 1),
            ("", "6.el9", 1),
            ("Fedora Project", "6.fc40", 1),
            ("Fedora Project", "6.el9", 0),
            ("Google LLC", "1", 0),
            ("Remi's RPM repository <https://rpms.remirepo.net/>", "6.el9.remi", 0),
        ] {
            let database = super::ndb::tests::database(&super::header::tests::blob_of(vendor, "x", "1", release, 0));
            let report = read_bytes("var/lib/rpm/Packages.db", &database);
            assert_eq!((report.found.len(), report.owns.len()), (1, owned), "{vendor} {release}");
        }
    }

    #[test]
    fn damaged_databases_are_never_quietly_empty() {
        let extractors = crate::Extractors::new(crate::extractors());
        for (path, database) in databases() {
            for cut in 0..database.len() {
                let report = extractors.read(path, &database[..cut]);
                assert!(report.found.len() == 1 || !report.problems.is_empty(), "{path} cut at {cut}");
            }
            for at in 0..database.len() {
                for value in [0, 0xff] {
                    let mut bad = database.clone();
                    bad[at] = value;
                    let report = extractors.read(path, &bad);
                    assert!(report.found.len() == 1 || !report.problems.is_empty(), "{path}: byte {at} is {value}");
                }
            }
        }
        for other in [&b""[..], b"nothing that is a database"] {
            assert_eq!(read_bytes("var/lib/rpm/Packages", other).problems.len(), 1);
        }
        assert_eq!(read_bytes("var/lib/rpm/rpmdb.sqlite-wal", b"frames").problems.len(), 1);
        assert_eq!(read_bytes("var/lib/rpm/rpmdb.sqlite-wal", b"").problems.len(), 0);
    }

    #[test]
    fn a_database_of_keys_alone_is_told() {
        let keys = super::ndb::tests::database(&blob("gpg-pubkey", "5dd82bc1", "5eb2bba4", 0));
        let report = read_bytes("var/lib/rpm/Packages.db", &keys);
        assert_eq!((report.found.len(), report.problems.len()), (0, 1));
    }

    #[test]
    fn one_place_named_again_and_again_costs_no_more_than_the_file() {
        let mut database = super::ndb::tests::database(&blob("bash", "5.1.8", "6.el9", 2));
        let slots = 32..4096;
        let used = database[48..64].to_vec();
        slots.step_by(16).for_each(|at| database[at..at + 16].copy_from_slice(&used));
        let report = read_bytes("var/lib/rpm/Packages.db", &database);
        assert!(report.found.len() < 20 && !report.problems.is_empty(), "{} packages", report.found.len());
    }

    #[test]
    fn the_list_of_an_image_without_a_manager() {
        let list = "bash\t5.1.8-1.cm2\t1\t2\tMicrosoft Corporation\t(none)\t3\tx86_64\t0\tbash-5.1.8-1.cm2.src.rpm\nbroken\n";
        let report = read_bytes("var/lib/rpmmanifest/container-manifest-2", list.as_bytes());
        assert_eq!((report.found[0].version.as_str(), report.problems.len()), ("5.1.8-1.cm2", 1));
    }
}
