//! The room against moto, a stand-in for AWS that others wrote.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod discovery;
mod targets;

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running moto, with what one of the scripts beside this file has put into it; it ends with this value.
struct Moto {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What there is, as the script says it.
    world: Value,
}

impl Moto {
    /// None where moto is not installed, which is told. Where it is, it must start.
    fn start(script: &str) -> Option<Self> {
        let installed = Command::new("python3").args(["-c", "import boto3, moto.server"]).status();
        if !installed.is_ok_and(|status| status.success()) {
            lestrade_testkit::missing("python3 with moto[server] and boto3");
            return None;
        }
        let script = format!("{}/tests/it/{script}", env!("CARGO_MANIFEST_DIR"));
        let mut process = Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (ask, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut moto = Self { process, ask, answers, world: Value::Null };
        moto.world = moto.line();
        Some(moto)
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Asks the script for what it tells next.
    fn ask(&mut self) -> Value {
        self.ask.write_all(b"\n").unwrap();
        self.line()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
