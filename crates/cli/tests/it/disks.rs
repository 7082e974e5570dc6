//! `lestrade scan disk`, as a user sees it.

use crate::lab::Lab;
use lestrade_testkit::{disk, missing};

/// A small Debian with a package that has well-known vulnerabilities.
fn debian(lab: &Lab) -> std::path::PathBuf {
    let tree = lab.path("tree");
    for (path, content) in [
        ("usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
        (
            "var/lib/dpkg/status",
            "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.9-1\nArchitecture: amd64\n\n",
        ),
        ("app/node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.20"}"#),
    ] {
        std::fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
        std::fs::write(tree.join(path), content).unwrap();
    }
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    std::os::unix::fs::symlink("../usr/lib/os-release", tree.join("etc/os-release")).unwrap();
    tree
}

#[test]
fn the_table_of_a_disk() {
    let lab = Lab::new();
    if !disk::make_ext("ext4", &[], &debian(&lab), &lab.path("disk.img"), 8 << 20).unwrap() {
        return missing("mkfs.ext4");
    }
    insta::assert_snapshot!(lab.transcript(&["scan", "disk", "disk.img"]));
    assert_eq!(lab.transcript(&["disk", "disk.img", "-q"]), lab.transcript(&["scan", "disk", "disk.img", "-q"]));
}

#[test]
fn what_is_no_disk_is_refused() {
    let lab = Lab::new();
    std::fs::write(lab.path("empty.img"), "").unwrap();
    std::fs::write(lab.path("blank.img"), vec![0; 4 << 20]).unwrap();
    let all: Vec<String> = [&["scan", "disk", "nowhere.img"][..], &["scan", "disk", "empty.img"], &["scan", "disk", "blank.img"]]
        .iter()
        .map(|arguments| format!("$ lestrade {}\n{}", arguments.join(" "), lab.transcript(arguments)))
        .collect();
    insta::assert_snapshot!(all.join("\n\n"));
}
