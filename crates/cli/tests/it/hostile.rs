//! What a hostile world does to the program as a whole. Inputs of archives and package databases are tried where they are read.

use crate::lab::{Lab, PATIENCE};
use crate::scan::zip;
use lestrade_testkit::{Layer, TestImage, until};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn sbom(components: &str) -> String {
    format!(r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{components}]}}"#)
}

#[test]
fn documents_that_are_odd_are_read_or_refused() {
    let lab = Lab::new();
    let nested = (0..9000).fold(String::new(), |inner, _| format!(r#"{{"type": "library", "name": "x", "components": [{inner}]}}"#));
    let ring: Vec<String> = (0..50_000).map(|n| format!(r#"{{"ref": "r{n}", "dependsOn": ["r{}", "r{n}"]}}"#, (n + 1) % 50_000)).collect();
    let one = r#"{"type": "library", "name": "lodash", "version": "4.17.20", "purl": "pkg:npm/lodash@4.17.20"}"#;
    let ring = sbom(one).replacen("\"components\"", &format!("\"dependencies\": [{}], \"components\"", ring.join(",")), 1);
    let long = format!(r#"{{"type": "library", "name": "long", "version": "{0}", "purl": "pkg:npm/long@{0}"}}"#, "9".repeat(1 << 20));
    let odd = r#"{"type": "library", "name": "odd", "purl": "pkg:%00/%00"}, {"type": 7, "name": []}, {"type": "library", "purl": "pkg:npm/a%00b@1"}"#;
    for (document, exit, said) in [
        (nested.as_str(), 3, "no bill of materials"),
        (&sbom(&nested), 3, "error[E0317]"),
        (&ring, 0, "CVE-2021-23337"),
        (&sbom(&format!("{one}, {long}")), 4, "CVE-2021-23337"),
        (&sbom(&format!("{one}, {odd}")), 4, "CVE-2021-23337"),
        ("", 3, "is an empty file"),
        ("{}", 3, "error[E0317]"),
        ("{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\"", 3, "error[E0317]"),
        (&sbom(""), 5, "bom.json: the document names no package"),
    ] {
        std::fs::write(lab.path("bom.json"), document).unwrap();
        let transcript = lab.transcript(&["sbom", "bom.json"]);
        assert!(transcript.contains(said) && transcript.ends_with(&format!("exit {exit}")), "{said}: {transcript:.600}");
        assert!(!transcript.contains('\0'));
    }
    // What nobody can judge is counted, and not dropped.
    std::fs::write(lab.path("bom.json"), sbom(&format!("{one}, {odd}, {long}"))).unwrap();
    let transcript = lab.transcript(&["sbom", "bom.json"]);
    assert!(
        transcript.contains("NOT judged: 2 packages of ecosystems without advisories: long, odd")
            && transcript.contains("is not a package URL"),
        "{transcript:.900}"
    );
    std::fs::write(lab.path("bom.json"), [0xff; 5000]).unwrap();
    assert!(lab.transcript(&["sbom", "bom.json"]).contains("neither CycloneDX nor SPDX"));
    assert!(lab.transcript(&["sbom", "."]).contains("error[E03"));
}

/// As many packages as a document may have are read, and the one too many is said.
#[test]
fn a_million_packages_are_read_and_no_more() {
    let lab = Lab::new();
    let lodash = r#"{"type": "library", "name": "lodash", "version": "4.17.20", "purl": "pkg:npm/lodash@4.17.20"}"#;
    let mut document = std::io::BufWriter::new(std::fs::File::create(lab.path("bom.json")).unwrap());
    // What the document is comes last.
    write!(document, r#"{{"components": [{lodash}"#).unwrap();
    for number in 1..=1_000_000 {
        write!(document, ",\n{{\"type\":\"library\",\"purl\":\"pkg:npm/p{number}@1\"}}").unwrap();
    }
    write!(document, r#"], "specVersion": "1.6", "bomFormat": "CycloneDX"}}"#).unwrap();
    drop(document);
    let transcript = lab.transcript(&["sbom", "bom.json"]);
    for said in ["1000000 packages", "CVE-2021-23337", "more than 1000000 packages", "exit 4"] {
        assert!(transcript.contains(said), "{said}: {transcript:.600}");
    }
}

/// A package may be called anything; what it is called never becomes markup, a formula or a command.
#[test]
fn names_from_outside_are_data_in_every_format() {
    let lab = Lab::new();
    let name = r"=cmd|' /C calc'!A0<script>alert(1)</script>\u001b]0;x\u0007\u202e";
    // Known to be vulnerable under that very name.
    let record = format!(
        r#"{{"id": "GHSA-x", "modified": "2024-01-01T00:00:00Z", "summary": "<img src=x onerror=alert(1)>|[x](javascript:alert(1))\u001b[2J",
        "references": [{{"type": "WEB", "url": "javascript:alert(1)"}}],
        "affected": [{{"package": {{"ecosystem": "npm", "name": "{name}"}}, "ranges": [{{"type": "SEMVER", "events": [{{"introduced": "0"}}]}}]}}]}}"#
    );
    std::fs::write(lab.path("record.json"), record).unwrap();
    assert!(lab.transcript(&["db", "import", "record.json"]).ends_with("exit 0"));
    std::fs::create_dir_all(lab.path("app/node_modules/x")).unwrap();
    std::fs::write(lab.path("app/node_modules/x/package.json"), format!(r#"{{"name": "{name}", "version": "1.0.0"}}"#)).unwrap();
    // Each way in which a name begins a formula, and each kind of character that hides others.
    for (number, name) in
        ["+1", "-1", "@a", "'=1", r"\u009b31mz", r"a\u200bb", r"\u2066x", r"\ufeffy", r"\udb40\udc01", "`x`|", "a,b"].iter().enumerate()
    {
        lab.write(&format!("app/node_modules/{number}/package.json"), format!(r#"{{"name": "{name}", "version": "1.0.0"}}"#));
        let record = format!(
            r#"{{"id": "GHSA-{number}", "modified": "2024-01-01T00:00:00Z", "affected": [{{"package": {{"ecosystem": "npm", "name": "{name}"}},
            "ranges": [{{"type": "SEMVER", "events": [{{"introduced": "0"}}]}}]}}]}}"#
        );
        lab.write("record.json", record);
        assert!(lab.transcript(&["db", "import", "record.json"]).ends_with("exit 0"));
    }
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\r') || matches!(c, '\u{200b}' | '\u{202e}' | '\u{2066}' | '\u{feff}' | '\u{e0001}')
    };
    for format in ["table", "json", "sarif", "cyclonedx", "cyclonedx-vdr", "spdx-json", "csv", "markdown", "gitlab", "junit"] {
        let output = lab.run(&["fs", "app", "-o", format]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("GHSA-x") || matches!(format, "cyclonedx" | "spdx-json"), "{format}: {text}");
        assert!(!text.contains(hidden), "{format}: {text}");
        match format {
            "junit" => assert!(!text.contains("<script") && !text.contains("<img"), "{text}"),
            "markdown" => assert!(!text.contains("<script") && !text.contains("<img") && !text.contains("](javascript"), "{text}"),
            "csv" => {
                let formula = |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t']) || cell.starts_with("\"=");
                assert!(!text.lines().flat_map(|line| line.split(',')).any(formula), "{text}");
            }
            "table" => assert!(text.contains(r"\u{9b}31mz") && text.contains(r"a\u{200b}b"), "{text}"),
            _ => assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok() && !text.contains("\"javascript:"), "{format}: {text}"),
        }
    }
    let explained = lab.transcript(&["explain", "GHSA-x", "app"]);
    assert!(!explained.contains('\u{1b}') && !explained.contains('\u{202e}'), "{explained}");
}

#[test]
fn a_scan_that_is_stopped_ends_at_once_and_leaves_nothing() {
    for (signal, name) in [(15, "TERM"), (2, "INT"), (1, "HUP")] {
        let lab = Lab::new();
        std::fs::create_dir(lab.path("tmp")).unwrap();
        // A document that never ends: the worker waits for the rest of it.
        let mut child = lab
            .lestrade_that_can_be_stopped()
            .args(["sbom", "-"])
            .env("TMPDIR", lab.path("tmp"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(b"{\"bomFormat\": \"CycloneDX\",").unwrap();
        let workers = || {
            let listed = Command::new("ps").args(["--no-headers", "-o", "pid,args", "--ppid", &child.id().to_string()]).output().unwrap();
            let text = String::from_utf8(listed.stdout).unwrap();
            text.lines()
                .filter(|line| line.contains(" worker "))
                .filter_map(|line| line.split_whitespace().next()?.parse().ok())
                .collect::<Vec<u32>>()
        };
        let found = until("a worker", PATIENCE, || Some(workers()).filter(|found| !found.is_empty())).unwrap();
        assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(signal), "a shell calls it {}", 128 + signal);
        // Its number may be another's by now.
        let works = |pid: &u32| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.split(|b| *b == 0).any(|word| word == b"worker"))
        };
        let gone = || !found.iter().any(works);
        until("the worker's end", PATIENCE, || gone().then_some(())).unwrap();
        assert_eq!(std::fs::read_dir(lab.path("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let lab = Lab::new();
    std::fs::create_dir_all(lab.path("app")).unwrap();
    let pins: String = (0..20_000).map(|n| format!("package-{n}==1.0\n")).collect();
    std::fs::write(lab.path("app/requirements.txt"), pins).unwrap();
    let mut child = lab.lestrade().args(["fs", "app", "-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 10]).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(5), ""));
}

/// Rows of configuration: what is wrong in it is said, and never followed half.
#[test]
fn configuration_that_is_wrong_is_refused() {
    let lab = Lab::new();
    for (content, code) in
        [("offlin = true\n", "E0210"), ("offline = \"perhaps\"\n", "E0210"), ("registry-interval = \"5m\"\n", "E0210"), ("[", "E0210")]
    {
        std::fs::write(lab.path("lestrade.toml"), content).unwrap();
        let said = lab.transcript(&["config", "show"]);
        assert!(said.contains(code) && said.ends_with("exit 2"), "{content}: {said}");
    }
    std::fs::remove_file(lab.path("lestrade.toml")).unwrap();
    let output = lab.lestrade().args(["config", "show"]).env("LESTRADE_OFLINE", "true").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean 'offline'?"));
}

const OS: (&str, &str) = ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
const STATUS: (&str, &str) = ("var/lib/dpkg/status", "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.9-1\n");

/// Bytes that are nothing that is known.
fn noise(length: usize) -> Vec<u8> {
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Some((*state >> 56) as u8)
    };
    std::iter::repeat(()).scan(1_u64, |state, ()| step(state)).take(length).collect()
}

/// What cannot be what it is taken for is refused, named, and called what it looks like.
#[test]
fn what_is_not_there_empty_or_something_else_is_named() {
    let lab = Lab::new();
    lab.write("empty", "");
    lab.write("noise", noise(5000));
    lab.write("packed", [0x1f, 0x8b, 8, 0]);
    lab.write("text", "hello\n".repeat(200));
    lab.write("wide", [0xff, 0xfe, b'{', 0, b'}', 0]);
    for kind in ["image", "function", "sbom", "disk"] {
        let said = |file: &str| lab.transcript(&["scan", kind, file]);
        for (file, what) in [
            ("/nowhere/x.tar", "'/nowhere/x.tar' does not exist"),
            ("./empty", "'./empty' is an empty file"),
            (
                "./noise",
                match kind {
                    "image" => "it looks like no archive at all",
                    "disk" => "no partition table on it and no file system that is known",
                    _ => "it looks like nothing that is known",
                },
            ),
            ("./packed", "it looks like a gzip file"),
            ("./text", "it looks like a text"),
            ("./wide", "it looks like a text in UTF-16"),
        ] {
            let said = said(file);
            assert!(said.contains(what) && said.contains("error[E03") && said.ends_with("exit 3"), "{kind} {file}: {said}");
            assert!(said.lines().count() <= 4 && !said.contains("no package"), "{kind} {file}: {said}");
        }
    }
    for kind in ["rootfs", "fs", "repo"] {
        assert!(lab.transcript(&["scan", kind, "/nowhere"]).ends_with("'/nowhere' does not exist\nexit 3"));
        let said = lab.transcript(&["scan", kind, "noise"]);
        assert!(said.contains("error[E0302]: 'noise' cannot be read") && said.ends_with("exit 3"), "{said}");
    }
}

/// Who may not look is told so, and nobody on the network is asked instead.
#[test]
fn what_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    lab.write("closed/image.tar", noise(5000));
    std::fs::set_permissions(lab.path("closed"), std::fs::Permissions::from_mode(0o000)).unwrap();
    for (arguments, named) in [(["scan", "rootfs", "closed"], "closed"), (["scan", "image", "./closed/image.tar"], "./closed/image.tar")] {
        // Root may read everything unless that is taken from it.
        let mut command = lab.at_home(Command::new("setpriv"));
        let output = command
            .args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"])
            .arg(env!("CARGO_BIN_EXE_lestrade"))
            .args(arguments)
            .output()
            .unwrap();
        let output = if String::from_utf8_lossy(&output.stderr).contains("setpriv:") { lab.run(&arguments) } else { output };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.starts_with(&format!("error[E0302]: '{named}' may not be read")), "{said}");
    }
    std::fs::set_permissions(lab.path("closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// The layer of a layout of one, and its bytes.
fn layout(lab: &Lab, tar: Layer) -> (PathBuf, Vec<u8>) {
    let _ = std::fs::remove_dir_all(lab.path("layout"));
    TestImage::new(vec![tar]).unwrap().write_oci_layout(&lab.path("layout")).unwrap();
    let blobs = std::fs::read_dir(lab.path("layout/blobs/sha256")).unwrap().flatten().map(|entry| entry.path());
    let layer = |path: PathBuf| std::fs::read(&path).ok().filter(|bytes| bytes.starts_with(&[0x1f, 0x8b])).map(|bytes| (path, bytes));
    blobs.filter_map(layer).next().unwrap()
}

/// An image that is not whole, or is not the one that it says it is, as its user sees it.
#[test]
fn images_that_are_cut_or_lie_end_as_they_should() {
    let lab = Lab::new();
    let image = || Layer::of_files(&[OS, STATUS, ("noise", &"0123456789".repeat(30_000))]).unwrap();
    TestImage::new(vec![image()]).unwrap().write_docker_archive(&lab.path("whole.tar")).unwrap();
    let whole = std::fs::read(lab.path("whole.tar")).unwrap();
    let cut = whole.len() / 2;
    lab.write("cut.tar", &whole[..cut]);
    let said = lab.transcript(&["scan", "image", "./cut.tar"]);
    assert!(
        said.contains("error[E0310]") && said.contains(&format!("it ends at byte {cut} inside entry")) && said.ends_with("exit 3"),
        "{said}"
    );
    let (layer, bytes) = layout(&lab, image());
    let scan = || lab.transcript(&["scan", "image", "./layout"]);
    assert!(scan().ends_with("exit 0"), "{}", scan());
    // Read before, and cut since.
    std::fs::write(&layer, &bytes[..bytes.len() - 20]).unwrap();
    let said = scan();
    assert!(said.contains("INCOMPLETE") && said.contains("(at byte ") && said.contains("libssl3") && said.ends_with("exit 4"), "{said}");
    std::fs::write(&layer, "").unwrap();
    assert!(scan().contains("error[E0315]: digest mismatch: layer sha256:") && scan().ends_with("exit 3"), "{}", scan());
    std::fs::remove_file(&layer).unwrap();
    let name = layer.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(
        scan().contains(&format!("the manifest names 'sha256:{name}', which is not there")) && scan().ends_with("exit 3"),
        "{}",
        scan()
    );
}

/// A good lock file beside one that is cut: the good one is reported, the other named, and nothing is called clean.
#[test]
fn a_broken_lock_file_costs_itself_and_is_named() {
    let lab = Lab::new();
    let lock = r#"{"lockfileVersion": 3, "packages": {"node_modules/lodash": {"version": "4.17.20"}}}"#;
    lab.write("app/good/package-lock.json", lock);
    lab.write("app/cut/package-lock.json", &lock[..lock.len() - 10]);
    lab.write("app/wrong/poetry.lock", "[[package]]\nname = ");
    let said = lab.transcript(&["fs", "app"]);
    for part in ["CVE-2021-23337", "NOT covered: cut/package-lock.json", "NOT covered: wrong/poetry.lock", "INCOMPLETE"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.ends_with("exit 4"), "{said}");
}

/// An archive in which another reader would see something else is read by its directory, and that is said.
#[test]
fn archives_that_can_be_read_in_two_ways_are_incomplete() {
    let lab = Lab::new();
    let lodash = ("node_modules/lodash/package.json", r#"{"name": "lodash", "version": "4.17.20"}"#);
    zip(&lab, "sound.zip", &[lodash]);
    let sound = std::fs::read(lab.path("sound.zip")).unwrap();
    let mut renamed = sound.clone();
    renamed[30..42].copy_from_slice(b"node_modulez");
    lab.write("renamed.zip", &renamed);
    zip(&lab, "other.zip", &[("hidden", "x")]);
    lab.write("two.zip", [std::fs::read(lab.path("other.zip")).unwrap(), sound.clone()].concat());
    lab.write("app/renamed.whl", &renamed);
    assert!(lab.transcript(&["function", "sound.zip"]).ends_with("exit 0"));
    for file in ["renamed.zip", "two.zip"] {
        let said = lab.transcript(&["function", file]);
        assert!(said.contains("CVE-2021-23337") && said.contains(&format!("{file}: the archive is ambiguous: ")), "{said}");
        assert!(said.ends_with("exit 4"), "{said}");
    }
    assert!(lab.transcript(&["fs", "app"]).contains("the archive is ambiguous: "));
    // Sizes of an end for large archives that no archive has.
    let end = sound.len() - 22;
    let (mut last, at) = (sound[end..].to_vec(), end as u64);
    last[8..20].fill(0xff);
    let large = [b"PK\x06\x06", &44_u64.to_le_bytes()[..], &[45, 0, 45, 0], &[0; 8], &[0xff; 32]].concat();
    let locator = [b"PK\x06\x07", &[0; 4][..], &at.to_le_bytes(), &1_u32.to_le_bytes()].concat();
    lab.write("large.zip", [&sound[..end], &large, &locator, &last].concat());
    let said = lab.transcript(&["function", "large.zip"]);
    assert!(said.contains("error[E0318]") && said.ends_with("exit 3"), "{said}");
}

/// What a command costs: its exit code, the most memory that it or a worker had, in MiB, and seconds of a processor.
fn cost(lab: &Lab, arguments: &[&str]) -> (i32, f64, f64) {
    let script = "
import resource, subprocess, sys
quiet = subprocess.DEVNULL
code = subprocess.run(sys.argv[1:], stdout=quiet, stderr=quiet).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime)
";
    let mut command = lab.at_home(Command::new("python3"));
    let output = command.args(["-c", script, env!("CARGO_BIN_EXE_lestrade")]).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace();
    let mut next = || numbers.next().unwrap().parse::<f64>().unwrap();
    (next() as i32, next(), next())
}

/// Writes what `python` makes of one of the scripts' archives.
fn python(lab: &Lab, script: &str) {
    let script = format!("import gzip, io, tarfile, zipfile\nMIB = 1 << 20\n{script}");
    let mut command = lab.at_home(Command::new("python3"));
    assert!(command.args(["-c", &script]).status().unwrap().success());
}

/// Bombs of every kind cost a few MiB more than nothing does, and are said. What they cost in time is bounded for a build that is not
/// optimised; docs/benchmarks.md has what it is.
#[test]
fn bombs_cost_little_memory_and_time_and_are_said() {
    let lab = Lab::new();
    python(
        &lab,
        "
import os
for name in ['none', 'jar', 'wheel', 'egg']:
    os.mkdir(name)
def fill(path, member):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open(member, 'w', force_zip64=True) as out:
        for _ in range(512):
            out.write(b'a' * MIB)
fill('jar/x.jar', 'META-INF/MANIFEST.MF')
fill('wheel/x.whl', 'x.dist-info/METADATA')
fill('egg/x.egg', 'EGG-INFO/PKG-INFO')
class Zeros(io.RawIOBase):
    def __init__(self, left):
        self.left = left
    def read(self, length):
        length = min(length, self.left)
        self.left -= length
        return b'\\0' * length
def tgz(name, size):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w:gz', compresslevel=1) as archive:
        info = tarfile.TarInfo(name)
        info.size = size
        archive.addfile(info, Zeros(size))
    return out.getvalue()
with zipfile.ZipFile('helm.zip', 'w') as archive:
    archive.writestr('charts/dep.tgz', tgz('package/package.json', 256 * MIB))
inner = b'\\0' * (4 * MIB)
for depth in range(6):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        for number in range(1 if depth == 0 else 10):
            archive.writestr('%d.%s' % (number, 'dll' if depth == 0 else 'zip'), inner)
    inner = out.getvalue()
open('42.zip', 'wb').write(inner)
",
    );
    let (_, base, _) = cost(&lab, &["fs", "none"]);
    for (arguments, more) in [
        (["fs", "jar"], 32.0),
        (["fs", "wheel"], 32.0),
        (["fs", "egg"], 32.0),
        (["function", "helm.zip"], 100.0),
        (["function", "42.zip"], 100.0),
    ] {
        let (code, memory, seconds) = cost(&lab, &arguments);
        // Nothing is found in them, and the starter set calls nothing clean.
        assert_eq!(code, 5, "{arguments:?}");
        assert!(memory <= base + more, "{arguments:?}: {memory} MiB and {base} without");
        assert!(seconds <= 5.0, "{arguments:?}: {seconds} s");
        let said = lab.transcript(&arguments);
        assert!(said.contains("INCOMPLETE") && said.contains("NOT covered"), "{arguments:?}: {said}");
    }
}

/// A document that is large where nobody asks is streamed past, and one that is large where somebody does is refused.
#[test]
fn large_values_are_streamed_or_refused() {
    let lab = Lab::new();
    lab.write("bom.json", sbom(r#"{"type": "library", "name": "x"}"#));
    let (_, base, _) = cost(&lab, &["sbom", "bom.json"]);
    let lodash = r#"{"type": "library", "name": "lodash", "version": "4.17.20", "purl": "pkg:npm/lodash@4.17.20"}"#;
    let large = "x".repeat(64 << 20);
    for (document, exit, words) in [
        (sbom(lodash).replacen('{', &format!("{{\"other\": \"{large}\","), 1), 0, "CVE-2021-23337"),
        (sbom(&format!("{lodash}, {{\"name\": \"{large}\"}}")), 3, "a single value is larger than 32 MiB"),
    ] {
        lab.write("bom.json", document);
        let said = lab.transcript(&["sbom", "bom.json"]);
        assert!(said.contains(words) && said.ends_with(&format!("exit {exit}")), "{said:.600}");
        let (_, memory, _) = cost(&lab, &["sbom", "bom.json"]);
        assert!(memory <= base + 100.0, "{words}: {memory} MiB and {base} without");
    }
}

const CANARY: &str = "canary-7d21fe";

/// A secret in the environment, in the configuration or in an address is in nothing that is said, at the most talkative, and in nothing
/// that is written.
#[test]
fn no_secret_is_repeated_in_any_error() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    let address = format!("https://me:{CANARY}@127.0.0.1:1");
    let kept = format!("store = \"postgres://me:{CANARY}@127.0.0.1:1/x\"\nmirror-url = \"{address}/m\"\nkev-url = \"{address}/k\"\n");
    lab.write("lestrade.toml", &kept);
    let run = |arguments: &[&str]| {
        let mut command = lab.lestrade();
        command
            .args(arguments)
            .env("LESTRADE_LOG", "trace")
            .env("LESTRADE_EPSS_URL", format!("{address}/e"))
            .env("LESTRADE_WEBHOOK", format!("{address}/w"))
            .env("LESTRADE_TYPO", CANARY)
            .env("LESTRADE_API_TOKEN", CANARY)
            .env("AWS_SECRET_ACCESS_KEY", CANARY)
            .env("AWS_SESSION_TOKEN", CANARY)
            .env("https_proxy", format!("http://me:{CANARY}@127.0.0.1:1"));
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains(CANARY), "{arguments:?}: {said}");
        said
    };
    // Others can read the file: what it holds is neither used nor shown.
    assert!(run(&["config", "show"]).contains("can be read by others"));
    std::fs::set_permissions(lab.path("lestrade.toml"), std::fs::Permissions::from_mode(0o600)).unwrap();
    lab.write("app/package-lock.json", "{");
    let (image, tagged, set) = (format!("{address}/app:v1"), format!("me:{CANARY}@127.0.0.1:1/app:v1"), format!("store:{CANARY}"));
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--origin"],
        &["--set", &set, "config", "show"],
        &["--set", &format!("offline={address}"), "config", "show"],
        &["scan", "image", &image],
        &["scan", "image", &tagged],
        &["scan", "image", "127.0.0.1:1/app:v1", "-v"],
        &["scan", "repo", &image],
        &["scan", "rootfs", &image],
        &["scan", "fs", "app", "-v"],
        &["db", "update", "epss", "kev"],
        &["--set", "mirror-url=", "db", "update", "epss", "kev"],
        &["db", "import", &image],
        &["doctor"],
        &["status"],
        &["findings"],
        &["serve", "--set", "listen=127.0.0.1:0"],
        &["serve", "--registry", &tagged, "--set", "listen=127.0.0.1:0"],
        &["agent", "enroll", "--server", &address, "--token", CANARY],
        &["rules", "check", &image],
        &["backup", "create", "x"],
    ] {
        run(arguments);
    }
    let mut folders = vec![lab.path("")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path != lab.path("lestrade.toml") {
                let bytes = std::fs::read(&path).unwrap_or_default();
                assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{}", path.display());
            }
        }
    }
}
