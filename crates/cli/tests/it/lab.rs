//! A user's machine: folders of its own, the program, the AWS CLI.

use anyhow::{Context, Result, ensure};
use lestrade_testkit::{Server, until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Long enough for the slowest CI; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

/// A fixture of these tests.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Where things that are built once are kept.
pub(crate) fn built_once() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("images")
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The token of the native API.
    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.path(".local/state/lestrade/api-token")).unwrap().trim().to_owned()
    }

    /// Runs a command until it says something; answers all that it said then.
    pub(crate) fn until_said(&self, arguments: &[&str], text: &str) -> String {
        let mut last = String::new();
        let seen = until(text, PATIENCE, || {
            last = self.transcript(arguments);
            last.contains(text).then_some(())
        });
        assert!(seen.is_ok(), "{arguments:?} says {last}, not '{text}'");
        last
    }

    /// What a command answers as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Writes a file of the machine, with the folders above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        path.parent().map(std::fs::create_dir_all).transpose().unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The program, with the surroundings of this machine and no other.
    pub(crate) fn lestrade(&self) -> Command {
        self.at_home(Command::new(env!("CARGO_BIN_EXE_lestrade")))
    }

    /// The program with every signal as a terminal leaves it: tests that are started in the background ignore SIGINT, and a
    /// child would go on ignoring it.
    pub(crate) fn lestrade_that_can_be_stopped(&self) -> Command {
        let mut command = Command::new("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_lestrade")]);
        self.at_home(command)
    }

    pub(crate) fn at_home(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .env("COLUMNS", "120")
            // Nothing is fetched from the world by a test.
            .env("LESTRADE_AUTO_UPDATE", "false")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.lestrade().args(arguments).output().unwrap()
    }

    /// Output and errors as a user sees them, with this machine's folder taken out.
    pub(crate) fn transcript(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(self.folder.path().to_str().unwrap(), "~");
        format!("{}{}exit {}", text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
    }
}

/// A server that runs, and an AWS CLI that asks it.
pub(crate) struct Serving {
    server: Server,
    endpoint: String,
    credentials: PathBuf,
    log: PathBuf,
}

impl Serving {
    pub(crate) fn start(lab: &Lab, settings: &[String]) -> Result<Self> {
        Self::start_with(lab, settings, &[])
    }

    /// The same, with flags of `serve`.
    pub(crate) fn start_with(lab: &Lab, settings: &[String], flags: &[&str]) -> Result<Self> {
        Self::start_in(lab, settings, flags, &[])
    }

    /// The same, with more in its environment.
    pub(crate) fn start_in(lab: &Lab, settings: &[String], flags: &[&str], environment: &[(&str, String)]) -> Result<Self> {
        let mut command = lab.lestrade();
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Self::run(lab, command, settings, flags)
    }

    /// A server one of whose folders lies on a small disk of its own, which only it sees.
    pub(crate) fn start_on_a_small_disk(lab: &Lab, settings: &[String], folder: &Path) -> Result<Self> {
        let mut command = lab.at_home(Command::new("unshare"));
        let script = r#"mount -t tmpfs -o size=12m none "$0" && exec "$@""#;
        command.args(["-rm", "sh", "-c", script]).arg(folder).arg(env!("CARGO_BIN_EXE_lestrade"));
        Self::run(lab, command, settings, &[])
    }

    fn run(lab: &Lab, mut command: Command, settings: &[String], flags: &[&str]) -> Result<Self> {
        command.arg("serve").args(flags).args([
            "--set",
            "listen=127.0.0.1:0",
            "--set",
            "registry-interval=1",
            "--set",
            "intelligence-interval=1",
        ]);
        // The machine that tests run on is not what they are about.
        for setting in ["watch-host=false"].into_iter().chain(settings.iter().map(String::as_str)) {
            command.args(["--set", setting]);
        }
        // Everything that could be logged is: what must never be is looked for in it afterwards.
        let log = std::fs::OpenOptions::new().create(true).append(true).open(lab.path("serve.log"))?;
        let mut server = Server::start(command.env("LESTRADE_LOG", "trace").stdout(Stdio::piped()).stderr(log))?;
        let stdout = server.child().stdout.take().context("standard output is piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next().context("the server says where it listens")??;
        let endpoint = first.rsplit(' ').next().unwrap_or_default().to_owned();
        ensure!(endpoint.contains("://127.0.0.1:"), "it listens on {first}");
        let credentials = lines.next().context("and which credentials it takes")??;
        let credentials = credentials.split_once('=').context("as a variable")?.1.into();
        Ok(Self { server, endpoint, credentials, log: lab.path("serve.log") })
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What it warned of so far.
    pub(crate) fn warnings(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR ")).map(|line| format!("{line}\n")).collect()
    }

    /// Asks by plain HTTP, with a bearer token if one is given: the status and the body.
    pub(crate) fn http(&self, method: &str, path: &str, token: Option<&str>, body: &[u8]) -> Result<(u16, String)> {
        let address = self.endpoint.rsplit_once("://").map_or("", |(_, address)| address);
        let mut stream = std::net::TcpStream::connect(address)?;
        let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{authorization}content-length: {}\r\n\r\n",
            body.len()
        );
        // A server that refuses early may close before it has read all.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).context("it answers HTTP")?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        Ok((status, body))
    }

    /// Ends the server as a power cut would.
    pub(crate) fn kill(mut self) {
        self.server.kill();
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.server.id()
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.server.child().try_wait(), Ok(None))
    }

    /// The secret of the key that clients sign with.
    pub(crate) fn secret(&self) -> Result<String> {
        let text = std::fs::read_to_string(&self.credentials)?;
        let secret = text.lines().find_map(|line| line.strip_prefix("aws_secret_access_key = ")).context("the file holds a secret")?;
        Ok(secret.to_owned())
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("AWS_SHARED_CREDENTIALS_FILE", &self.credentials)
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL_INSPECTOR2", &self.endpoint)
            .env("AWS_ENDPOINT_URL_INSPECTOR_SCAN", &self.endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "");
        command
    }

    /// Runs the unmodified AWS CLI: `aws inspector2 …`.
    pub(crate) fn aws(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.client("aws").args(["inspector2", "--output", "json"]).args(arguments).output()?;
        ensure!(output.status.success(), "aws {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Runs `aws inspector-scan …`, once: whether it was answered, and what.
    pub(crate) fn aws_scan(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let mut client = self.client("aws");
        let output = client.env("AWS_MAX_ATTEMPTS", "1").args(["inspector-scan", "--output", "json"]).args(arguments).output()?;
        let said = if output.status.success() { output.stdout } else { output.stderr };
        Ok((output.status.success(), String::from_utf8(said)?))
    }

    /// Runs a script with boto3.
    pub(crate) fn boto3(&self, script: &str) -> Result<String> {
        let output = self.client("python3").args(["-c", script]).output()?;
        ensure!(output.status.success(), "boto3: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Findings as `id status packages`, in order.
    pub(crate) fn findings(&self) -> Result<Vec<String>> {
        let listed = self.aws(&["list-findings", "--sort-criteria", "field=VULNERABILITY_ID,sortOrder=ASC"])?;
        let describe = |finding: &Value| {
            let details = &finding["packageVulnerabilityDetails"];
            let packages: Vec<&str> =
                details["vulnerablePackages"].as_array().into_iter().flatten().filter_map(|p| p["name"].as_str()).collect();
            format!(
                "{} {} {}",
                details["vulnerabilityId"].as_str().unwrap_or("?"),
                finding["status"].as_str().unwrap_or("?"),
                packages.join(",")
            )
        };
        Ok(listed["findings"].as_array().into_iter().flatten().map(describe).collect())
    }

    /// Asks until the findings are these.
    pub(crate) fn until_findings(&self, expected: &[&str]) -> Result<()> {
        let mut last = Vec::new();
        until("the findings are as expected", PATIENCE, || {
            last = self.findings().ok()?;
            (last == expected).then_some(())
        })
        .with_context(|| format!("expected {expected:?}, have {last:?}"))
    }
}

/// Whether the AWS CLI is here.
pub(crate) fn has_aws() -> bool {
    Command::new("aws").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
