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
        (b"hello\n", "a text"),
        (&[0x05; 4096], "no archive"),
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

/// What is left of a layer that is cut is listed, and where it was cut is said: at every block, and a byte to either side.
#[test]
fn a_layer_that_is_cut_says_at_which_byte_and_keeps_what_came_before() {
    let layer = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")])), ("app/x", &"x".repeat(1500))]).end();
    let layout = Layout::of(std::slice::from_ref(&layer));
    // The last two blocks are the end mark.
    for cut in (512..layer.len() - 1024).step_by(512).flat_map(|cut| [cut - 1, cut, cut + 1]) {
        std::fs::write(layout.blob_path(&digest(&layer)), &layer[..cut]).unwrap();
        // Between two entries it is whole, and another one than was promised.
        let inventory = match layout.scan() {
            Ok(scanned) => scanned.inventory,
            Err(error) => {
                assert!(matches!(error, ScanError::LayerMismatch { .. }) && cut.is_multiple_of(512), "cut at {cut}: {error}");
                continue;
            }
        };
        assert_eq!(inventory.completeness(), Completeness::Partial, "cut at {cut}");
        assert!(inventory.problems.iter().any(|problem| problem.detail.contains(&format!("at byte {cut}"))), "{:?}", inventory.problems);
        // What is missing of the block behind it is padding.
        let status_is_whole = cut > 3 * 512 + 1;
        assert_eq!(names(&inventory).len(), usize::from(status_is_whole), "cut at {cut}");
    }
}

#[test]
fn a_zstd_layer_that_is_cut_is_told_also_when_it_was_read_before() {
    let folder = tempfile::tempdir().unwrap();
    let tar = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")])), ("noise", &noise(200_000))]).end();
    let layer = zstd::encode_all(tar.as_slice(), 1).unwrap();
    let layout = Layout::of(std::slice::from_ref(&layer));
    let scanner = scanner_with(Limits::default(), Some(Box::new(DirectoryCache::new(folder.path()))));
    let scan = || scanner.scan_image_file(layout.path(), &platform()).unwrap().inventory;
    assert_eq!(scan().completeness(), Completeness::Complete);
    for cut in [layer.len() / 2, layer.len() - 1] {
        std::fs::write(layout.blob_path(&digest(&layer)), &layer[..cut]).unwrap();
        assert!(kinds(&scan()).contains(&ProblemKind::Truncated), "{:?}", scan().problems);
    }
}

/// Characters that are hard to compress.
fn noise(length: usize) -> String {
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Some(char::from(b' ' + (*state >> 56) as u8 % 90))
    };
    std::iter::repeat(()).scan(1_u64, |state, ()| step(state)).take(length).collect()
}

#[test]
fn an_index_that_lists_itself_or_ten_thousand_is_refused() {
    // Nobody knows the digest of a document that names its own: what claims to be one has another.
    let layout = Layout::new();
    let claimed = digest(b"itself");
    let itself = json!({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": claimed, "size": 1});
    std::fs::write(layout.blob_path(&claimed), json!({"schemaVersion": 2, "manifests": [itself.clone()]}).to_string()).unwrap();
    let error = layout.listing(itself).scan().unwrap_err();
    assert!(matches!(error, ScanError::Artifact(ArtifactError::DigestMismatch(_))), "{error}");
    let layout = Layout::new();
    let other = json!({"mediaType": "x", "digest": digest(b"x"), "size": 1});
    let index = json!({"schemaVersion": 2, "manifests": vec![other; 10_000]}).to_string();
    std::fs::write(layout.path().join("index.json"), index).unwrap();
    let error = layout.scan().unwrap_err().to_string();
    assert!(error.contains("more than 1000 manifests"), "{error}");
}

/// As many links one after another as a kernel follows, and no more.
#[test]
fn a_chain_of_forty_links_is_followed_and_one_of_forty_one_is_not() {
    let chain = |links: usize| {
        let start = Tar::files(&[("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).link("etc/os-release", "l1");
        let chained = (1..links).fold(start, |tar, n| tar.link(&format!("etc/l{n}"), &format!("l{}", n + 1)));
        Layout::of(&[chained.file(&format!("etc/l{links}"), OS.1).gzip()]).inventory()
    };
    for links in [1, 2, 5, 40] {
        let inventory = chain(links);
        assert_eq!((kinds(&inventory), inventory.os.map(|os| os.id)), (vec![], Some("debian".to_owned())), "{links} links");
    }
    let inventory = chain(41);
    assert_eq!(names(&inventory), ["a 1"]);
    assert!(inventory.problems.iter().any(|problem| problem.detail.contains("over more than 40 others")), "{:?}", inventory.problems);
    // What leads out of the root leads nowhere else: inside it stays.
    let outside = Tar::files(&[("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).link("etc/os-release", "../../../../etc/hostname");
    let inventory = Layout::of(&[outside.gzip()]).inventory();
    assert_eq!((names(&inventory), inventory.os), (vec!["a 1".to_owned()], None));
    let hard = Tar::files(&[OS]).entry(tar::EntryType::Link, b"var/lib/dpkg/status", "../../../../../../etc/hostname", b"");
    let inventory = Layout::of(&[hard.gzip()]).inventory();
    assert!(names(&inventory).is_empty() && inventory.completeness() == Completeness::Partial, "{:?}", inventory.problems);
}

/// Two sizes of one entry: what is content for a runtime is content for us, and that others may see entries in it is said.
#[test]
fn what_is_smuggled_between_two_sizes_is_not_seen_and_is_told() {
    let smuggled = Tar::files(&[("app/node_modules/x/package.json", r#"{"name": "x", "version": "1.0.0"}"#)]).end();
    let smuggled = &smuggled[..smuggled.len() - 1024];
    let record = format!("size={}\n", smuggled.len());
    let record = format!("{} {record}", record.len() + 3);
    let start = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]);
    let lying = start.entry(tar::EntryType::XHeader, b"pax", "", record.as_bytes()).entry(tar::EntryType::Regular, b"blob", "", b"");
    let inventory = Layout::of(&[lying.raw(smuggled).gzip()]).inventory();
    assert_eq!(names(&inventory), ["a 1"]);
    let told: Vec<&str> = inventory.problems.iter().map(|problem| problem.detail.as_str()).collect();
    assert!(matches!(told.as_slice(), [why] if why.contains("ambiguous") && why.contains("PAX counts")), "{told:?}");
}

#[test]
fn of_two_entries_with_one_name_the_last_counts() {
    let twice = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")])), ("var/lib/dpkg/status", &dpkg(&[("b", "2")]))]);
    let inventory = Layout::of(&[twice.gzip()]).inventory();
    assert_eq!((names(&inventory), kinds(&inventory)), (vec!["b 2".to_owned()], vec![]));
}

/// Removals are of the layers below, wherever they stand among a layer's own files (OCI image specification, "Layer"), as containerd has it.
#[test]
fn removals_are_of_the_layers_below() {
    let package = |name: &str| (format!("app/{name}.dist-info/METADATA"), python(name));
    let tar = |files: &[(&str, &str)]| Tar::files(files);
    let (a, b) = (package("a"), package("b"));
    let base = || tar(&[(&a.0, &a.1)]).gzip();
    let seen = |layers: &[Vec<u8>]| names(&Layout::of(layers).inventory());
    assert_eq!(seen(&[base(), tar(&[("app/.wh.a.dist-info", "")]).gzip()]), [""; 0]);
    assert_eq!(seen(&[base(), tar(&[(&b.0, &b.1), ("app/.wh..wh..opq", "")]).gzip()]), ["b 1"], "opaque after what is added");
    assert_eq!(seen(&[base(), tar(&[("app/.wh..wh..opq", ""), (&b.0, &b.1)]).gzip()]), ["b 1"]);
    assert_eq!(seen(&[base(), tar(&[(&a.0, &a.1), ("app/.wh.a.dist-info", "")]).gzip()]), ["a 1"], "its own files stay");
    assert_eq!(seen(&[base(), tar(&[("app/.wh..wh.a.dist-info", "")]).gzip()]), ["a 1"], "a removal of a removal is bookkeeping");
    assert_eq!(seen(&[base(), tar(&[("app/.wh.a.dist-info", "")]).gzip(), base()]), ["a 1"], "what comes back is there");
}

/// A tree with things in it that are no files, and files that end nowhere.
#[test]
fn what_is_no_file_in_a_tree_is_passed_over_and_a_hole_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["etc", "var/lib/dpkg", "app"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    std::fs::write(at("var/lib/dpkg/status"), dpkg(&[("a", "1")])).unwrap();
    for pipe in ["etc/os-release", "app/package-lock.json", "app/pipe"] {
        assert!(std::process::Command::new("mkfifo").arg(at(pipe)).status().unwrap().success());
    }
    std::os::unix::fs::symlink("pipe", at("app/yarn.lock")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("app/poetry.lock")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("app/Cargo.lock")).unwrap();
    // As large as the file system lets a file be.
    for sparse in ["app/composer.lock", "app/x.jar"] {
        let file = std::fs::File::create(at(sparse)).unwrap();
        assert!((40..63).rev().any(|bits| file.set_len((1 << bits) - 1).is_ok()), "{sparse}");
    }
    let inventory = scanner().scan_directory(folder.path(), &SkipPatterns::default()).unwrap();
    assert_eq!(names(&inventory), ["a 1"]);
    let said: Vec<(&str, ProblemKind)> = inventory.problems.iter().map(|problem| (problem.path.as_str(), problem.kind)).collect();
    assert_eq!(
        said,
        [
            ("app/composer.lock", ProblemKind::LimitExceeded),
            ("app/x.jar", ProblemKind::LimitExceeded),
            ("etc/os-release", ProblemKind::UnknownSystem)
        ]
    );
}

/// A scanned root whose database is a link to the scanner's own.
#[test]
fn a_link_to_the_hosts_database_leads_into_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("var/lib/dpkg")).unwrap();
    std::fs::create_dir_all(at("etc")).unwrap();
    std::fs::write(at("etc/os-release"), OS.1).unwrap();
    std::os::unix::fs::symlink("/var/lib/dpkg/status", at("var/lib/dpkg/status")).unwrap();
    let inventory = scanner().scan_directory(folder.path(), &SkipPatterns::default()).unwrap();
    assert!(names(&inventory).is_empty(), "{:?}", names(&inventory));
    assert!(inventory.problems.iter().any(|problem| problem.path == "var/lib/dpkg/status"), "{:?}", inventory.problems);
}

/// JSON that is odd, beside what is asked for in it and inside of that.
#[test]
fn json_is_as_strict_where_it_is_asked_for_as_it_has_to_be() {
    let lock = |inside: &str, beside: &str| {
        format!(r#"{{"lockfileVersion": 3, "packages": {{"node_modules/x": {{"version": "1.0.0"{inside}}}}}{beside}}}"#)
    };
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let wide = |order: fn(u16) -> [u8; 2], mark: bool| -> Vec<u8> {
        let text = lock("", "");
        let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        units.flat_map(order).collect()
    };
    let read = |content: Vec<u8>| {
        let tar = Tar::files(&[OS, ("var/lib/dpkg/status", &dpkg(&[("a", "1")]))]).file("app/package-lock.json", content);
        let inventory = Layout::of(&[tar.gzip()]).inventory();
        assert_eq!(names(&inventory)[0], "a 1");
        (names(&inventory).len() == 2, kinds(&inventory))
    };
    let found = (true, vec![]);
    // What nobody asks for is passed over, however deep: nothing of what is asked for is lost by it.
    assert_eq!(read(lock("", &format!(", \"other\": {deep}")).into()), found);
    assert_eq!(read([b"\xef\xbb\xbf", lock("", "").as_bytes()].concat()), found);
    assert_eq!(read(wide(u16::to_le_bytes, true)), found);
    assert_eq!(read(wide(u16::to_be_bytes, true)), found);
    let refused = (false, vec![ProblemKind::Malformed]);
    assert_eq!(
        read(
            format!(
                r#"{{"lockfileVersion": 1, "dependencies": {}1{}}}"#,
                r#"{"x": {"dependencies": "#.repeat(200_000),
                "}}".repeat(200_000)
            )
            .into()
        ),
        refused
    );
    for bad in [
        lock(r#", "version": "2.0.0""#, ""),
        lock("", r#", "packages": {}"#),
        lock(r#", "x": NaN"#, ""),
        lock(r#", "resolved": "\ud800""#, ""),
    ] {
        assert_eq!(read(bad.clone().into()), refused, "{bad}");
    }
    assert_eq!(read(wide(u16::to_le_bytes, false)), refused, "UTF-16 without its mark");
    assert_eq!(read(vec![b' '; (64 << 20) + 1]), (false, vec![ProblemKind::LimitExceeded]));
}

/// Tags are text to us, and what refers to itself is refused.
#[test]
fn yaml_runs_nothing_and_goes_round_nowhere() {
    let lock = "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      x: {specifier: 1.0.0, version: 1.0.0}\n\
        packages:\n  x@1.0.0: {resolution: {integrity: y}}\nsnapshots:\n  x@1.0.0: {}\n";
    for (more, found) in [
        ("", 1),
        ("evil: !!python/object/apply:os.system ['touch /tmp/lestrade-was-here']\n", 1),
        ("evil: &a\n  <<: *a\n", 0),
        ("a: &a\n  <<: *b\nb: &b\n  <<: *a\n", 0),
    ] {
        let inventory = Layout::of(&[Tar::files(&[OS, ("app/pnpm-lock.yaml", &format!("{lock}{more}"))]).gzip()]).inventory();
        assert_eq!(inventory.components.iter().filter(|component| component.name == "x").count(), found, "{more}");
        assert_eq!(inventory.problems.iter().any(|problem| problem.path == "app/pnpm-lock.yaml"), found == 0, "{more}");
    }
    assert!(!Path::new("/tmp/lestrade-was-here").exists());
}

#[test]
fn xml_fetches_nothing_and_its_attributes_are_counted() {
    let project = |start: &str| {
        format!(
            "{start}<dependencies><dependency><groupId>g</groupId><artifactId>a</artifactId><version>1</version></dependency>\
             </dependencies></project>"
        )
    };
    let attributes = |count: usize| (0..count).map(|n| format!(" a{n}=\"1\"")).collect::<String>();
    for (document, found) in [
        (project("<!DOCTYPE project SYSTEM \"http://169.254.169.254/x.dtd\"><project>"), true),
        (project("<!DOCTYPE project [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><project>"), false),
        (project(&format!("<project{}>", attributes(1000))), true),
        (project(&format!("<project{}>", attributes(1_000_000))), false),
        (project(&format!("<project>{}", "<a/>".repeat(1_000_000))), false),
    ] {
        let inventory = Layout::of(&[Tar::files(&[OS, ("app/pom.xml", &document)]).gzip()]).inventory();
        let said = inventory.problems.iter().any(|problem| problem.path == "app/pom.xml");
        assert_eq!((names(&inventory).contains(&"g:a 1".to_owned()), said), (found, !found), "{document:.80}");
    }
}

/// Projects whose parents, properties and modules lead to themselves or out of the tree.
#[test]
fn maven_projects_that_go_round_in_circles_end() {
    let project = |artifact: &str, parent: &str, way: &str, version: &str| {
        format!(
            "<project><groupId>g</groupId><artifactId>{artifact}</artifactId><version>1</version>\
             <parent><groupId>g</groupId><artifactId>{parent}</artifactId><version>1</version><relativePath>{way}</relativePath></parent>\
             <modules><module>.</module><module>../../..</module></modules>\
             <properties><x>${{y}}</x><y>${{x}}</y></properties>\
             <dependencies><dependency><groupId>d</groupId><artifactId>{artifact}-needs</artifactId><version>{version}</version></dependency>\
             </dependencies></project>"
        )
    };
    let tar = Tar::files(&[
        OS,
        ("app/self/pom.xml", &project("self", "self", "pom.xml", "1")),
        ("app/a/pom.xml", &project("a", "b", "../b/pom.xml", "2")),
        ("app/b/pom.xml", &project("b", "a", "../a/pom.xml", "3")),
        ("app/out/pom.xml", &project("out", "p", "../../../../../../etc/passwd", "4")),
        ("app/round/pom.xml", &project("round", "self", "../self", "${x}")),
    ]);
    let inventory = Layout::of(&[tar.gzip()]).inventory();
    assert_eq!(names(&inventory), ["d:a-needs 2", "d:b-needs 3", "d:out-needs 4", "d:self-needs 1"]);
    assert!(inventory.problems.iter().any(|problem| problem.path == "app/round/pom.xml"), "{:?}", inventory.problems);
}

/// What is listed under a name that is a table's, and is none, is not read; and a database that was not closed is said.
#[test]
fn an_rpm_database_with_views_triggers_or_a_log_is_not_called_empty() {
    let make = |statements: &str| -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.executescript(sys.argv[2])\nc.close()";
        let made = std::process::Command::new("python3").args(["-c", script]).arg(file.path()).arg(statements).status().unwrap();
        assert!(made.success());
        std::fs::read(file.path()).unwrap()
    };
    let real = "create table Packages (hnum integer primary key, blob blob not null); insert into Packages values (1, x'0000');";
    let view = "create table other (hnum integer primary key, blob blob); create view Packages as select * from other;";
    let trigger = "create trigger Packages after insert on other begin select load_extension('/tmp/x'); end;";
    for database in [make(view), make(&format!("{view}{trigger}").replace("view Packages", "view v")), make(real), vec![0xff; 5000]] {
        let tar = Tar::files(&[("etc/os-release", "ID=rocky\nVERSION_ID=9.4\n")]).file("var/lib/rpm/rpmdb.sqlite", &database);
        let inventory = Layout::of(&[tar.gzip()]).inventory();
        assert!(inventory.components.is_empty());
        assert!(inventory.problems.iter().any(|problem| problem.path == "var/lib/rpm/rpmdb.sqlite"), "{:?}", inventory.problems);
    }
    let mut lying = make(real);
    lying[16..18].copy_from_slice(&[0x02, 0x00]);
    for (name, content) in [("rpmdb.sqlite", lying), ("rpmdb.sqlite-wal", b"frames".to_vec())] {
        let tar = Tar::files(&[("etc/os-release", "ID=rocky\nVERSION_ID=9.4\n")]).file(&format!("var/lib/rpm/{name}"), &content);
        let inventory = Layout::of(&[tar.gzip()]).inventory();
        assert!(inventory.problems.iter().any(|problem| problem.path.ends_with(name)), "{:?}", inventory.problems);
    }
}
