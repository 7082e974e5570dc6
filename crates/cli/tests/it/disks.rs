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

/// A disk with a boot record and these partitions, one after the other.
fn partitioned(parts: &[&[u8]]) -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    for (number, part) in parts.iter().enumerate() {
        let entry = 446 + number * 16;
        let (start, sectors) = ((disk.len() / 512) as u32, (part.len() / 512) as u32);
        disk[entry + 4] = 0x83;
        disk[entry + 8..entry + 12].copy_from_slice(&start.to_le_bytes());
        disk[entry + 12..entry + 16].copy_from_slice(&sectors.to_le_bytes());
        disk.extend_from_slice(part);
    }
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// Of several volumes each is read or said; places name the volume.
#[test]
fn what_of_a_disk_is_not_read_is_said() {
    let lab = Lab::new();
    let made = disk::make_ext("ext4", &[], &debian(&lab), &lab.path("root.img"), 8 << 20).unwrap();
    std::fs::create_dir_all(lab.path("data/srv/node_modules/minimist")).unwrap();
    std::fs::write(lab.path("data/srv/node_modules/minimist/package.json"), r#"{"name": "minimist", "version": "1.2.5"}"#).unwrap();
    if !(made && disk::make_ext("ext3", &[], &lab.path("data"), &lab.path("data.img"), 8 << 20).unwrap()) {
        return missing("mkfs.ext4");
    }
    let (mut encrypted, mut swap) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    encrypted[..6].copy_from_slice(b"LUKS\xba\xbe");
    swap[4086..4096].copy_from_slice(b"SWAPSPACE2");
    let [root, data] = ["root.img", "data.img"].map(|name| std::fs::read(lab.path(name)).unwrap());
    std::fs::write(lab.path("disk.img"), partitioned(&[&root, &encrypted, &swap, &data])).unwrap();
    insta::assert_snapshot!(lab.transcript(&["scan", "disk", "disk.img"]));
    assert!(lab.transcript(&["explain", "CVE-2021-44906", "disk.img"]).contains("minimist"));
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
