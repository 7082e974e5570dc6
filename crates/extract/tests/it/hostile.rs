//! Bad input: each gives an error or a problem that says what it is, never a quiet nothing, and never harms the rest.

use crate::lab::*;
use lestrade_artifact::{ArtifactError, Limits, SkipPatterns};
use lestrade_extract::{DirectoryCache, ScanError};
use lestrade_model::{Completeness, ProblemKind};
use serde_json::json;
use std::path::Path;

fn scan_file(bytes: &[u8]) -> Result<lestrade_extract::ScannedImage, ScanError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    scanner().scan_image_file(file.path(), &platform())
}

#[test]
fn what_is_no_image_is_called_by_its_name() {
    assert!(matches!(scan_file(b""), Err(ScanError::Artifact(ArtifactError::Empty(_)))));
    for (bytes, like) in [
        (&b"\x1f\x8b\x08\0"[..], "gzip"),
        (b"QFI\xfb\0\0\0\x03", "qcow2"),
        (b"PK\x03\x04", "zip"),
        (b"{}", "JSON"),
        (b"\x7fELF", "program"),
        (b"hello\n", "no archive"),
        (&[0x5a; 4096], "no archive"),
    ] {
        let error = scan_file(bytes).unwrap_err().to_string();
        assert!(error.contains(like), "{error}");
    }
    let missing = Path::new("/nowhere/at/all");
    assert!(matches!(scanner().scan_image_file(missing, &platform()), Err(ScanError::Artifact(ArtifactError::NotFound(_)))));
    assert!(matches!(scanner().scan_directory(missing, &SkipPatterns::default()), Err(ScanError::Artifact(ArtifactError::NotFound(_)))));
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(scanner().scan_directory(file.path(), &SkipPatterns::default()).is_err());
}

#[test]
fn an_archive_that_is_cut_anywhere_is_never_complete() {
    let layer = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).end();
    let archive = docker_archive(&[layer]);
    let file = tempfile::NamedTempFile::new().unwrap();
    // The last two blocks are the end mark; without them nothing is lost.
    for cut in (512..archive.len() - 1024).step_by(512).flat_map(|cut| [cut - 1, cut, cut + 1]) {
        std::fs::write(file.path(), &archive[..cut]).unwrap();
        match scanner().scan_image_file(file.path(), &platform()) {
            Err(_) => {}
            Ok(scanned) => assert_eq!(scanned.inventory.completeness(), Completeness::Partial, "cut at {cut}"),
        }
    }
}

#[test]
fn a_layer_that_is_cut_is_told_and_a_changed_one_refused_also_when_it_was_read_before() {
    let folder = tempfile::tempdir().unwrap();
    let layer = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).gzip();
    let layout = Layout::of(std::slice::from_ref(&layer));
    let scanner = scanner_with(Limits::default(), Some(Box::new(DirectoryCache::new(folder.path()))));
    let scan = || scanner.scan_image_file(layout.path(), &platform());
    assert_eq!(scan().unwrap().inventory.completeness(), Completeness::Complete);
    let mut flipped = layer.clone();
    flipped[40] ^= 1;
    for cut in [&layer[..layer.len() / 2], &layer[..layer.len() - 1]] {
        std::fs::write(layout.blob_path(&digest(&layer)), cut).unwrap();
        let found = kinds(&scan().unwrap().inventory);
        assert!(found.contains(&ProblemKind::Truncated) && found.contains(&ProblemKind::DigestMismatch), "{found:?}");
    }
    for other in [&flipped[..], b""] {
        std::fs::write(layout.blob_path(&digest(&layer)), other).unwrap();
        assert!(matches!(scan(), Err(ScanError::LayerMismatch { .. })));
    }
    std::fs::remove_file(layout.blob_path(&digest(&layer))).unwrap();
    let error = scan().unwrap_err().to_string();
    assert!(error.contains(&digest(&layer)), "{error}");
}

#[test]
fn a_config_that_lies_about_layers_is_told_and_poisons_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let innocent = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).gzip();
    let hollow = Tar::files(&[("hollow", "")]).gzip();
    let cache = || Some(Box::new(DirectoryCache::new(folder.path())) as Box<dyn lestrade_extract::LayerCache>);
    // It says that its empty layer is the innocent one.
    let liar = Layout::new().image(std::slice::from_ref(&hollow), &config_of(std::slice::from_ref(&innocent)));
    let told = scanner_with(Limits::default(), cache()).scan_image_file(liar.path(), &platform()).unwrap();
    assert_eq!(kinds(&told.inventory), [ProblemKind::DigestMismatch]);
    let honest = Layout::of(&[innocent]);
    let scanned = scanner_with(Limits::default(), cache()).scan_image_file(honest.path(), &platform()).unwrap();
    assert_eq!((names(&scanned.inventory), kinds(&scanned.inventory)), (vec!["a 1".to_owned()], vec![]));
    // And a kept layer is compared with each config anew.
    let again = scanner_with(Limits::default(), cache()).scan_image_file(liar.path(), &platform()).unwrap();
    assert_eq!(kinds(&again.inventory), [ProblemKind::DigestMismatch]);
}

#[test]
fn indexes_that_are_no_use_are_errors() {
    let other = json!({"mediaType": "x", "digest": digest(b"x"), "size": 1, "platform": {"os": "linux", "architecture": "s390x"}});
    let error = Layout::new().listing(other.clone()).scan().unwrap_err();
    assert!(matches!(error, ScanError::Artifact(ArtifactError::NoPlatform { .. })), "{error}");
    let many = (0..1001).fold(Layout::new(), |layout, _| layout.listing(other.clone()));
    assert!(many.scan().is_err());
    let nested = Layout::new();
    let mut inner = json!({"schemaVersion": 2, "manifests": []});
    for _ in 0..6 {
        let descriptor = nested.blob("application/vnd.oci.image.index.v1+json", inner.to_string().as_bytes());
        inner = json!({"schemaVersion": 2, "manifests": [descriptor]});
    }
    std::fs::write(nested.path().join("index.json"), inner.to_string()).unwrap();
    assert!(nested.scan().is_err());
    let escape = json!({"mediaType": "x", "digest": "sha256:../../../../etc/passwd", "size": 1});
    assert!(Layout::new().listing(escape).scan().is_err());
}

#[test]
fn a_foreign_layer_is_not_fetched_from_where_it_says() {
    let layout = Layout::new();
    let config = layout.blob("application/vnd.oci.image.config.v1+json", config_of(&[vec![]]).to_string().as_bytes());
    let layer = json!({"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "digest": digest(b"x"), "size": 1,
        "urls": ["http://169.254.169.254/latest/meta-data"]});
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string();
    let descriptor = layout.blob("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
    let error = layout.listing(descriptor).scan().unwrap_err();
    assert!(matches!(error, ScanError::Artifact(ArtifactError::MissingBlob(_))), "{error}");
}

#[test]
fn what_a_runtime_would_unpack_is_seen_wherever_it_hides() {
    let hidden = || Tar::files(&[("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]);
    let inside = hidden().end();
    // All but the end mark, as if it were the content of a link, a folder or a pipe.
    let inside = &inside[..inside.len() - 1024];
    for kind in [tar::EntryType::Link, tar::EntryType::Symlink, tar::EntryType::Directory, tar::EntryType::Fifo, tar::EntryType::Char] {
        let layer = Tar::files(&[OS]).entry(kind, b"x", "etc/os-release", inside).gzip();
        assert_eq!(names(&Layout::of(&[layer]).inventory()), ["a 1"], "{kind:?}");
    }
    let climbing = Tar::files(&[OS, ("usr/../var/lib/dpkg/status", &dpkg(&[("a", "1")]))]);
    assert_eq!(names(&Layout::of(&[climbing.gzip()]).inventory()), ["a 1"]);
}

#[test]
fn strange_entries_cost_nothing_else() {
    let good = |tar: Tar| tar.file("var/lib/dpkg/status", dpkg(&[("a", "1")])).gzip();
    for strange in [
        Tar::default().entry(tar::EntryType::Regular, b"\xff\xfe\x80.dist-info/METADATA", "", b"Name: x\n\n"),
        Tar::files(&[("C:\\windows\\METADATA", "x"), ("\u{1b}[31m.dist-info/METADATA", "")]),
        Tar::default().entry(tar::EntryType::Char, b"dev/sda", "", b"").entry(tar::EntryType::Fifo, b"etc/os-release", "", b""),
        Tar::default().link("loop.dist-info/METADATA", "METADATA"),
        Tar::default().entry(tar::EntryType::Link, b"l.dist-info/METADATA", "../../../etc/passwd", b""),
        Tar::files(&[("app/node_modules/x/package.json", &"[".repeat(200_000))]),
        Tar::files(&[("app/package-lock.json", "{\"packages\": {")]),
    ] {
        let inventory = Layout::of(&[good(strange)]).inventory();
        assert_eq!(names(&inventory), ["a 1"]);
        assert_eq!(inventory.completeness(), Completeness::Partial, "the system is not known, or more");
    }
}

#[test]
fn bombs_stop_at_limits_and_what_was_read_before_counts() {
    let limits = Limits { file: 1 << 20, ratio: 100, ratio_after: 1 << 20, entries: 1000, ..Limits::default() };
    let status = dpkg(&[("a", "1")]);
    let start = || Tar::files(&[OS, ("var/lib/dpkg/status", &status)]);
    let zeros = vec![0; 64 << 20];
    for (number, bomb) in [
        start().file("zeros", &zeros).gzip(),
        start().file("x.dist-info/METADATA", vec![b'x'; 8 << 20]).gzip(),
        (0..2000).fold(start(), |tar, n| tar.file(&format!("{n}"), "")).gzip(),
        start().entry(tar::EntryType::GNULongName, b"x", "", &zeros[..2 << 20]).gzip(),
        zstd::encode_all(start().file("zeros", &zeros).end().as_slice(), 1).unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        let layout = Layout::of(&[bomb]);
        let inventory = scanner_with(limits, None).scan_image_file(layout.path(), &platform()).unwrap().inventory;
        assert_eq!(names(&inventory), ["a 1"]);
        assert!(kinds(&inventory).contains(&ProblemKind::LimitExceeded), "bomb {number}: {:?}", inventory.problems);
    }
}

#[test]
fn a_worker_that_dies_costs_its_layer_and_is_told() {
    let layout = Layout::of(&[Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).gzip()]);
    let inventory = scanner_that_dies(None).scan_image_file(layout.path(), &platform()).unwrap().inventory;
    assert_eq!(kinds(&inventory), [ProblemKind::Crashed]);
    let folder = tempfile::tempdir().unwrap();
    let cached = scanner_that_dies(Some(Box::new(DirectoryCache::new(folder.path()))));
    assert_eq!(kinds(&cached.scan_image_file(layout.path(), &platform()).unwrap().inventory), [ProblemKind::Crashed]);
    let alive = scanner_with(Limits::default(), Some(Box::new(DirectoryCache::new(folder.path()))));
    assert_eq!(kinds(&alive.scan_image_file(layout.path(), &platform()).unwrap().inventory), [], "a death is not kept");
}

#[test]
fn packages_of_an_unknown_system_are_listed_and_said() {
    for system in [None, Some("ID=hannah-montana\n"), Some("\0\0\0"), Some("")] {
        let tar = Tar::files(&[("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]);
        let tar = system.into_iter().fold(tar, |tar, text| tar.file("etc/os-release", text));
        let inventory = Layout::of(&[tar.gzip()]).inventory();
        assert_eq!(names(&inventory), ["a 1"]);
        assert!(kinds(&inventory).contains(&ProblemKind::UnknownSystem));
    }
}

#[test]
fn a_worker_says_which_walls_stand_around_it() {
    let sandbox = scanner().sandbox().unwrap();
    // Landlock and seccomp are the kernel's to have.
    assert!(sandbox.limits, "{sandbox:?}");
}

#[test]
fn a_database_that_is_damaged_is_no_empty_one() {
    let fedora =
        Tar::files(&[("etc/os-release", "ID=rocky\nVERSION_ID=9.4\n"), ("usr/lib/sysimage/rpm/rpmdb.sqlite", "SQLite format 3\0")])
            .link("var/lib/rpm", "../../usr/lib/sysimage/rpm");
    assert!(kinds(&Layout::of(&[fedora.gzip()]).inventory()).contains(&ProblemKind::Malformed));
}

#[test]
fn a_system_whose_database_was_taken_out_is_not_called_empty() {
    for status in [None, Some("")] {
        let image = status.into_iter().fold(Tar::files(&[OS]), |tar, text| tar.file("var/lib/dpkg/status", text));
        assert_eq!(kinds(&Layout::of(&[image.gzip()]).inventory()), [ProblemKind::Unreadable]);
    }
    let base = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).gzip();
    let slimmed = Tar::files(&[("var/lib/.wh.dpkg", "")]).gzip();
    assert_eq!(kinds(&Layout::of(&[base, slimmed]).inventory()), [ProblemKind::Unreadable]);
}

/// One file of each syntax that is built to blow up, beside a package that is sound: the good one is reported, the bad one said.
#[test]
fn documents_that_blow_up_are_problems() {
    let bombs = [
        // Aliases of aliases: 9 to the 8th.
        ("app/pnpm-lock.yaml", {
            let mut text = "lockfileVersion: '9.0'\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
            for n in 1..9 {
                let line = [format!("*a{}", n - 1)].iter().cycle().take(9).cloned().collect::<Vec<_>>().join(", ");
                text.push_str(&format!("a{n}: &a{n} [{line}]\n"));
            }
            text + "packages: *a8\n"
        }),
        ("app/pom.xml", {
            let mut text = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a0 \"aaaaaaaaaa\">".to_owned();
            for n in 1..10 {
                text.push_str(&format!("<!ENTITY a{n} \"{}\">", format!("&a{};", n - 1).repeat(10)));
            }
            text + "<!ENTITY f SYSTEM \"file:///etc/passwd\">]><project><artifactId>&a9;&f;</artifactId></project>"
        }),
        ("app/gradle/pom.xml", format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000))),
        (
            "app/other/pom.xml",
            "<project><properties><x>${y}</x><y>${x}</y></properties><dependencies><dependency><groupId>g</groupId>\
            <artifactId>a</artifactId><version>${x}</version></dependency></dependencies></project>"
                .to_owned(),
        ),
        ("app/package-lock.json", "[".repeat(200_000)),
        ("app/poetry.lock", format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000))),
        ("app/mix.lock", format!("%{{\"a\": {}{}}}", "{".repeat(100_000), "}".repeat(100_000))),
        ("app/composer.lock", "{\"packages\": [".to_owned()),
    ];
    for (path, content) in bombs {
        let tar = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")])), (path, &content)]);
        let inventory = Layout::of(&[tar.gzip()]).inventory();
        assert_eq!(names(&inventory).first().map(String::as_str), Some("a 1"), "{path}");
        assert!(inventory.problems.iter().any(|problem| problem.path == path), "{path}: {:?}", inventory.problems);
    }
}

#[test]
fn manifests_in_archives_are_read_so_far_and_no_further() {
    let zip = |name: &str| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::copy(&mut std::io::Read::take(std::io::repeat(b'a'), 512 << 20), &mut zip).unwrap();
        zip.finish().unwrap().into_inner()
    };
    for (path, inside) in [("app/x.jar", "META-INF/MANIFEST.MF"), ("app/x.whl", "x.dist-info/METADATA")] {
        let tar = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).file(path, zip(inside));
        let inventory = Layout::of(&[tar.gzip()]).inventory();
        assert_eq!((names(&inventory), kinds(&inventory)), (vec!["a 1".to_owned()], vec![ProblemKind::LimitExceeded]));
    }
}
