//! What a confined process can no longer do: tried out by one.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on says so")]

use lestrade_sys::{Reach, Sandbox, confine};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode};

/// A deed, and whether it worked.
type Deed = (&'static str, fn(&Path) -> bool);

/// What no worker may do, whatever it was given.
const FORBIDDEN: &[Deed] = &[
    ("read another file", |_| fs::read("/etc/passwd").is_ok()),
    ("write a file", |folder| fs::write(folder.join("new"), "x").is_ok()),
    ("remove a file", |folder| fs::remove_file(folder.join("below")).is_ok()),
    ("follow /proc to the outside", |_| fs::read("/proc/self/root/etc/passwd").is_ok()),
    // Port 9 refuses who may ask.
    ("connect", |_| TcpStream::connect("127.0.0.1:9").map_or_else(|error| error.kind() == ErrorKind::ConnectionRefused, |_| true)),
    ("listen", |_| TcpListener::bind("127.0.0.1:0").is_ok()),
    ("start a program", |_| Command::new("/bin/true").status().is_ok()),
    ("take 4 GiB", |_| Vec::<u8>::new().try_reserve_exact(4 << 30).is_ok()),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, "confined", reach, folder] => confined(reach, Path::new(folder)),
        _ => return run(),
    }
    ExitCode::SUCCESS
}

/// Gives everything up, tries everything, and tells what worked.
fn confined(reach: &str, folder: &Path) {
    let opened = File::open(folder).unwrap();
    let mut given = File::open(folder.join("below")).unwrap();
    let sandbox = confine(2 << 30, &if reach == "below" { Reach::Below(&opened) } else { Reach::Nothing });
    let mut worked: Vec<&str> = FORBIDDEN.iter().filter(|(_, deed)| deed(folder)).map(|(name, _)| *name).collect();
    if given.read(&mut [0; 8]).is_ok_and(|length| length > 0) {
        worked.push("read what it was given");
    }
    if fs::read(folder.join("below")).is_ok() {
        worked.push("read below");
    }
    let Sandbox { limits, landlock, seccomp } = sandbox;
    println!("{limits} {landlock} {seccomp}|{}", worked.join(","));
}

fn run() -> ExitCode {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("below"), "x").unwrap();
    let mut failed = 0;
    for (reach, expected) in [("nothing", "read what it was given"), ("below", "read what it was given,read below")] {
        let output = Command::new(std::env::current_exe().unwrap()).args(["confined", reach]).arg(folder.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let (walls, worked) = told.trim().split_once('|').unwrap_or_default();
        // On a kernel that lacks a wall its deeds work; that the wall is missing is then told.
        let good = if walls == "true true true" { worked == expected } else { !walls.is_empty() };
        println!("test reach_{reach} ... {} (walls: {walls}; worked: {worked})", if good { "ok" } else { "FAILED" });
        failed += usize::from(!good);
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out", 2 - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
