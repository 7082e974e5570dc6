//! moto, a stand-in for AWS that others wrote, in a process of its own.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running moto; it ends with this value.
pub struct Moto {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    endpoint: String,
}

impl Moto {
    /// Starts one; none where it is not installed.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub fn start() -> Result<Option<Self>> {
        let installed = Command::new("python3").args(["-c", "import boto3, moto.server"]).stderr(Stdio::null()).status();
        if !installed.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/moto_driver.py");
        let mut process = Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let ask = process.stdin.take().context("it has a standard input")?;
        let answers = BufReader::new(process.stdout.take().context("it has a standard output")?);
        let mut moto = Self { process, ask, answers, endpoint: String::new() };
        moto.endpoint = moto.line()?["endpoint"].as_str().context("it says where it is")?.to_owned();
        Ok(Some(moto))
    }

    /// Its origin.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Calls an operation with boto3, in moto's own account and `eu-west-1`.
    ///
    /// # Errors
    /// When the operation does not succeed.
    pub fn call(&mut self, service: &str, call: &str, arguments: Value) -> Result<Value> {
        self.call_in(None, service, call, arguments)
    }

    /// The same in another account.
    ///
    /// # Errors
    /// When the operation does not succeed.
    pub fn call_in(&mut self, account: Option<&str>, service: &str, call: &str, arguments: Value) -> Result<Value> {
        self.ask(&json!({"service": service, "call": call, "with": arguments, "account": account}))
    }

    /// The same in another region.
    ///
    /// # Errors
    /// When the operation does not succeed.
    pub fn call_at(&mut self, region: &str, service: &str, call: &str, arguments: Value) -> Result<Value> {
        self.ask(&json!({"service": service, "call": call, "with": arguments, "region": region}))
    }

    fn ask(&mut self, asked: &Value) -> Result<Value> {
        writeln!(self.ask, "{asked}")?;
        let answer = self.line()?;
        match answer["error"].as_str() {
            Some(error) => bail!("{} {}: {error}", asked["service"], asked["call"]),
            None => Ok(answer),
        }
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
