//! Images and directories that mean no harm.

use crate::lab::*;
use lestrade_artifact::{Limits, SkipPatterns};
use lestrade_extract::{DirectoryCache, FileSort};
use std::os::unix::fs::symlink;

fn base() -> Tar {
    Tar::default()
        .link("etc/os-release", "../usr/lib/os-release")
        .file("usr/lib/os-release", OS.1)
        .file("var/lib/dpkg/status", dpkg(&[("openssl", "3.0.11-1"), ("python3-six", "1.16.0-4")]))
        .file("var/lib/dpkg/info/python3-six.list", "/usr/lib/python3/dist-packages/six-1.16.0.egg-info\n")
        .file("usr/lib/python3/dist-packages/six-1.16.0.egg-info", python("six"))
}

fn application() -> Tar {
    Tar::files(&[
        ("opt/site-packages/Jinja2-3.1.2.dist-info/METADATA", &python("Jinja2")),
        ("opt/node_modules/@s/left/package.json", r#"{"name": "@s/left", "version": "1"}"#),
    ])
}

const ALL: [&str; 5] = ["openssl 3.0.11-1", "python3-six 1.16.0-4", "@s/left 1", "jinja2 1", "six 1"];

#[test]
fn every_kind_of_image_gives_the_same_inventory() {
    let zstd = zstd::encode_all(application().end().as_slice(), 1).unwrap();
    let layout = Layout::of(&[base().gzip(), zstd]);
    let saved = layout.path().join("saved.tar");
    std::fs::write(&saved, docker_archive(&[base().end(), application().end()])).unwrap();
    for path in [layout.path(), &saved] {
        let scanned = scanner().scan_image_file(path, &platform()).unwrap();
        assert_eq!((names(&scanned.inventory), scanned.inventory.problems.len()), (ALL.map(str::to_owned).to_vec(), 0));
        let owned: Vec<bool> = scanned.inventory.components.iter().map(|c| c.os_owned).collect();
        assert_eq!(owned, [false, false, false, false, true]);
        let layers: Vec<_> = scanned.inventory.occurrences.iter().map(|o| o.layer.clone().unwrap()).collect();
        let [low, high] = scanned.layers.as_slice() else { panic!("two layers") };
        assert_eq!(layers.iter().collect::<Vec<_>>(), [low, low, high, high, low]);
    }
}

#[test]
fn a_layer_that_did_not_change_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = || Some(Box::new(DirectoryCache::new(folder.path())) as Box<dyn lestrade_extract::LayerCache>);
    let layout = Layout::of(&[base().gzip(), application().gzip()]);
    let saved = layout.path().join("saved.tar");
    std::fs::write(&saved, docker_archive(&[base().end(), application().end()])).unwrap();
    for path in [layout.path(), &saved] {
        let first = scanner_with(Limits::default(), cache()).scan_image_file(path, &platform()).unwrap();
        // No worker answers now: all there is was kept.
        let again = scanner_that_dies(cache());
        // An archive's own entries are listed by a worker each time, where no lists are remembered.
        if path == layout.path() {
            assert_eq!(again.scan_image_file(path, &platform()).unwrap().inventory, first.inventory);
        }
        let again = scanner_with(Limits::default(), cache()).scan_image_file(path, &platform()).unwrap();
        assert_eq!((again.inventory, again.layers), (first.inventory, first.layers));
    }
}

/// A package by itself is read where it lies: nothing is put anywhere that somebody would have to take away again.
#[test]
fn a_package_by_itself_is_read_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x-1.whl");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file("x-1.dist-info/METADATA", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, python("x").as_bytes()).unwrap();
    zip.finish().unwrap();
    let (sort, inventory) = scanner().scan_file(&path, &platform()).unwrap();
    assert_eq!((sort, names(&inventory), inventory.problems), (FileSort::Package, vec!["x 1".to_owned()], vec![]));
    let paths: Vec<&str> = inventory.occurrences.iter().map(|occurrence| occurrence.path.as_str()).collect();
    assert_eq!(paths, ["x-1.whl"]);
    let (_, inventory) = scanner_that_dies(None).scan_file(&path, &platform()).unwrap();
    assert_eq!(inventory.problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), [path.to_str().unwrap()]);
}

#[test]
fn a_database_behind_links_is_found() {
    let status = dpkg(&[("a", "1")]);
    for layers in [
        vec![Tar::files(&[OS]).link("var/lib/dpkg", "/srv/dpkg").gzip(), Tar::files(&[("srv/dpkg/status", &status)]).gzip()],
        vec![Tar::files(&[OS]).link("var", "mnt").link("mnt/lib", "/srv").file("srv/dpkg/status", &status).gzip()],
        vec![Tar::files(&[OS]).link("var/lib/dpkg/status", "/srv/packages").file("srv/packages", &status).gzip()],
        vec![Tar::files(&[("srv/os", OS.1)]).link("etc/os-release", "/srv/os").file("var/lib/dpkg/status", &status).gzip()],
    ] {
        let inventory = Layout::of(&layers).inventory();
        assert_eq!((names(&inventory), inventory.problems.clone()), (vec!["a 1".to_owned()], vec![]));
        assert_eq!(inventory.components[0].ecosystem.to_string(), "Debian:12");
    }
    let moved = Tar::files(&[OS, ("usr/lib/x", "")]).link("lib", "usr/lib").file("var/lib/dpkg/status", &status);
    assert_eq!(Layout::of(&[moved.gzip()]).inventory().problems, [], "a merged /usr is nothing to tell");
}

#[test]
fn upper_layers_hide_lower_ones() {
    let packages = |names: &[&str]| {
        names.iter().fold(Tar::files(&[OS]), |tar, name| tar.file(&format!("opt/{name}/{name}.dist-info/METADATA"), python(name)))
    };
    for (upper, left) in [
        (Tar::files(&[("opt/.wh.a", "")]), vec!["b 1"]),
        (Tar::files(&[("opt/a/.wh.a.dist-info", "")]), vec!["b 1"]),
        (Tar::files(&[("opt/.wh..wh..opq", "")]), vec![]),
        (Tar::files(&[("opt/.wh..wh..opq", ""), ("opt/c.dist-info/METADATA", &python("c"))]), vec!["c 1"]),
        (Tar::files(&[("opt/c.dist-info/METADATA", &python("c")), ("opt/.wh..wh..opq", "")]), vec!["c 1"]),
        (Tar::files(&[("opt/.wh..wh.plnk", "")]), vec!["a 1", "b 1"]),
        (Tar::files(&[("opt/a", "a file in a folder's place")]), vec!["b 1"]),
        (Tar::default().link("opt/a", "b"), vec!["b 1"]),
        (Tar::files(&[("opt/a/a.dist-info/METADATA", &python("z"))]), vec!["b 1", "z 1"]),
        (Tar::default().entry(tar::EntryType::Directory, b"opt/a", "", b""), vec!["a 1", "b 1"]),
    ] {
        assert_eq!(names(&Layout::of(&[packages(&["a", "b"]).gzip(), upper.gzip()]).inventory()), left);
    }
    let of_two = Tar::files(&[("a.dist-info/METADATA", &python("first")), ("a.dist-info/METADATA", &python("last"))]);
    assert_eq!(names(&Layout::of(&[of_two.gzip()]).inventory()), ["last 1"]);
}

#[test]
fn links_of_a_directory_stay_inside() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    std::fs::create_dir_all(at("var/lib")).unwrap();
    std::fs::create_dir_all(at("etc")).unwrap();
    std::fs::create_dir_all(at("srv/dpkg")).unwrap();
    symlink("/var/lib/dpkg", at("var/lib/dpkg")).unwrap();
    symlink("../../../../../../etc/os-release", at("etc/os-release")).unwrap();
    let inventory = scanner().scan_directory(folder.path(), &SkipPatterns::default()).unwrap();
    assert!(inventory.components.is_empty() && inventory.os.is_none(), "the host's own files were read");

    std::fs::remove_file(at("var/lib/dpkg")).unwrap();
    symlink("/srv/dpkg", at("var/lib/dpkg")).unwrap();
    std::fs::write(at("srv/dpkg/status"), dpkg(&[("a", "1")])).unwrap();
    assert_eq!(names(&scanner().scan_directory(folder.path(), &SkipPatterns::default()).unwrap()), ["a 1"]);
}
