//! `lestrade agent`: this machine tells a server elsewhere what is on it.

use super::columns::columns;
use super::serve::start_logging;
use super::{scan_failure, scanner};
use crate::args::AgentWhat;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::remote::{Remote, part};
use crate::state::StateFolder;
use lestrade_events::EgressPolicy;
use lestrade_events::http::{Answer, Http, exchange};
use lestrade_extract::{HostRoot, Listening, Scanner};
use lestrade_model::{Hash, Inventory};
use lestrade_report::{json_text, printable};
use lestrade_server::{AgentAnswer, AgentReport, Enrolled, Enrolment};
use serde_json::{Value, json};
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};
use url::{Host, Url};

/// The file that says which server this machine's agent tells, and its key.
const FILE: &str = "agent.json";
/// How long what lies outside of package databases is believed to be as it was.
const WHOLE: Duration = Duration::from_secs(6 * 3600);
/// How long an inventory may take to be sent.
const SENDING: Duration = Duration::from_secs(300);
/// The longest token.
const TOKEN: u64 = 1024;

pub(crate) fn run(settings: &Settings, what: &AgentWhat) -> Result<Exit, Failure> {
    match what {
        AgentWhat::Token(arguments) => token(settings, arguments.json),
        AgentWhat::List(arguments) => list(settings, arguments.json),
        AgentWhat::Remove { id } => {
            Remote::of(settings)?.remove(&format!("agents/{}", part(id)), &[])?;
            output::write(None, &format!("{} is out, and its host is forgotten\n", printable(id)))?;
            Ok(Exit::Ok)
        }
        AgentWhat::Enroll { server, token } => enroll(settings, server, token),
        AgentWhat::Run { once } => report(settings, *once),
        AgentWhat::Unit => {
            output::write(None, &unit())?;
            Ok(Exit::Ok)
        }
    }
}

fn token(settings: &Settings, as_json: bool) -> Result<Exit, Failure> {
    let answer = Remote::of(settings)?.post("agents/tokens", &[])?;
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    let out = match as_json {
        true => json_text(&answer),
        false => format!(
            "{}\n  good for one machine until {}\n  try: lestrade agent enroll --server https://… --token -      # there, and paste it\n",
            text("token"),
            text("expires")
        ),
    };
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

fn list(settings: &Settings, as_json: bool) -> Result<Exit, Failure> {
    let answer = Remote::of(settings)?.get("agents", &[])?;
    if as_json {
        output::write(None, &json_text(&answer))?;
        return Ok(Exit::Ok);
    }
    let agents = answer["agents"].as_array().map_or(&[][..], Vec::as_slice);
    let silent = agents.iter().filter(|agent| agent["stale"] == true).count();
    let mut out = format!("{} agents, {silent} not heard of for too long\n", agents.len());
    let of = |agent: &Value| {
        let text = |name: &str| agent[name].as_str().unwrap_or_default().to_owned();
        let state = if agent["stale"] == true { "stale" } else { "heard of" };
        vec![text("id"), text("name"), state.to_owned(), text("seen"), text("version"), text("resource")]
    };
    if !agents.is_empty() {
        let table: Vec<Vec<String>> = agents.iter().map(of).collect();
        let titles = ["AGENT", "NAME", "STATE", "LAST HEARD OF", "VERSION", "RESOURCE"];
        let _ = write!(out, "\n{}", columns(&titles, &table, &[1, 5], output::width()));
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

/// An address to which secrets may be sent: by TLS, or to this machine alone.
fn address(text: &str) -> Result<Url, Failure> {
    let wrong =
        |what: &str| Failure::new("E0360", Exit::Usage, format!("'{}' {what}", printable(text))).try_("--server https://lestrade.example");
    let url: Url = text.parse().map_err(|_| wrong("is no address of a server"))?;
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err(wrong("names no host")),
    };
    match url.scheme() {
        "https" => {}
        "http" if is_here => {}
        "http" => return Err(wrong("would send keys in the clear: plain http is for this machine alone")),
        _ => return Err(wrong("is neither https nor http")),
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has more in it than where the server is"));
    }
    Ok(url)
}

/// A server that an agent tells.
struct Line {
    http: Http,
    server: Url,
}

impl Line {
    fn to(server: Url) -> Result<Self, Failure> {
        let http = Http::new(EgressPolicy::AllowPrivate).map_err(|error| Failure::new("E0362", Exit::Network, error))?;
        Ok(Self { http, server })
    }

    fn post(&self, path: &str, credentials: Option<&str>, document: serde_json::Result<String>) -> Result<Answer, Failure> {
        let failed = |why: String| Failure::new("E0362", Exit::Network, "the server cannot be told").cause(why);
        let url =
            format!("{}/{path}", self.server.as_str().trim_end_matches('/')).parse().map_err(|_| failed("its address is none".into()))?;
        let body = document.map_err(|error| failed(error.to_string()))?;
        let mut request = self.http.post(url, body).timeout(SENDING);
        if let Some(credentials) = credentials {
            request = request.bearer_auth(credentials);
        }
        let answer = exchange(request).map_err(|error| failed(error.to_string()))?;
        let said = || answer.json()["error"].as_str().map_or_else(|| format!("it answered {}", answer.status), str::to_owned);
        match answer.status {
            200 => Ok(answer),
            401 => Err(Failure::new("E0363", Exit::Network, "the server does not let this machine in")
                .cause(said())
                .try_("lestrade agent token      # where the server runs")),
            _ => Err(failed(said())),
        }
    }
}

fn enroll(settings: &Settings, server: &str, token: &str) -> Result<Exit, Failure> {
    let server = address(server)?;
    let state = StateFolder::open(settings)?;
    let io = |error: std::io::Error| state.failure(&error);
    let mut read = String::new();
    if token == "-" {
        std::io::stdin().take(TOKEN).read_to_string(&mut read).map_err(io)?;
    }
    let token = if token == "-" { read.trim() } else { token };
    let host = HostRoot::new(settings.path("host-root"));
    let identity = match host.identity() {
        Some(identity) => identity,
        None => Hash::of_fields([b"lestrade own host".as_slice(), state.secret_bytes("host.id").map_err(io)?.as_slice()]),
    };
    let enrolment = Enrolment {
        token: token.to_owned(),
        identity: identity.to_string(),
        name: host.name().unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let line = Line::to(server.clone())?;
    let answer = line.post("agent/v1/enroll", None, serde_json::to_string(&enrolment))?;
    let enrolled: Enrolled = serde_json::from_slice(&answer.body)
        .map_err(|error| Failure::new("E0362", Exit::Network, "the server's answer cannot be read").cause(error))?;
    let kept = json!({"server": server.as_str(), "agent": enrolled.agent, "key": enrolled.key});
    state.write_private(FILE, kept.to_string().as_bytes()).map_err(io)?;
    let said = format!(
        "this machine is {} to {server}, its agent {}\n  try: lestrade agent run      # or, for systemd: lestrade agent unit\n",
        printable(&enrolled.resource),
        printable(&enrolled.agent)
    );
    output::write(None, &said)?;
    Ok(Exit::Ok)
}

/// What the agent knows of its machine.
struct Machine {
    host: HostRoot,
    scanner: Scanner,
    listening: Listening,
    /// What was read, its digest, what the package databases looked like, and when.
    last: Option<(Inventory, String, Hash, Instant)>,
    failure: Option<String>,
}

impl Machine {
    /// Reads the machine if its packages changed or it was not read for long.
    fn look(&mut self) {
        // Before it is read: what changes meanwhile is read again.
        let fingerprint = self.host.fingerprint();
        if self.last.as_ref().is_some_and(|(_, _, known, at)| *known == fingerprint && at.elapsed() < WHOLE) && self.failure.is_none() {
            return;
        }
        self.failure = None;
        match self.scanner.scan_host(&self.host, &lestrade_artifact::SkipPatterns::default()) {
            Ok(mut inventory) => {
                let root = self.host.path().display().to_string();
                // What is about the whole machine is, wherever its root is mounted.
                inventory.problems.iter_mut().filter(|problem| problem.path == root).for_each(|problem| problem.path.clear());
                let digest = Hash::of(&serde_json::to_vec(&inventory).unwrap_or_default()).to_string();
                self.last = Some((inventory, digest, fingerprint, Instant::now()));
            }
            Err(error) => {
                tracing::warn!(%error, "this machine could not be read");
                self.failure = Some(error.to_string());
            }
        }
    }

    /// What is to be told, with the inventory or without.
    fn report(&mut self, with_inventory: bool) -> AgentReport {
        let last = self.last.as_ref();
        AgentReport {
            name: self.host.name(),
            running_kernel: self.host.running_kernel(),
            listening: self.listening.look(Path::new("/proc"), &self.host),
            instance: self.host.instance(),
            digest: last.map(|(_, digest, _, _)| digest.clone()),
            scanned_ago: last.map_or(0, |(_, _, _, at)| at.elapsed().as_secs()),
            inventory: last.filter(|_| with_inventory).map(|(inventory, _, _, _)| inventory.clone()),
            failure: self.failure.clone(),
        }
    }
}

fn report(settings: &Settings, once: bool) -> Result<Exit, Failure> {
    start_logging();
    let state = StateFolder::open(settings)?;
    let not_enrolled = |why: String| {
        Failure::new("E0361", Exit::Input, "this machine's agent is not known to a server")
            .cause(why)
            .try_("lestrade agent enroll --server https://… --token …")
    };
    let path = state.join(FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| not_enrolled(format!("{}: {error}", path.display())))?;
    let kept: Value = serde_json::from_str(&text).map_err(|error| not_enrolled(error.to_string()))?;
    let of = |name: &str| kept[name].as_str().unwrap_or_default();
    let line = Line::to(address(of("server"))?)?;
    let credentials = format!("{}.{}", of("agent"), of("key"));
    let mut machine = Machine {
        host: HostRoot::new(settings.path("host-root")),
        scanner: scanner(None)?,
        listening: Listening::default(),
        last: None,
        failure: None,
    };
    // A worker that cannot be had is told at once, not by the server.
    machine.scanner.sandbox().map_err(|error| scan_failure(&error))?;
    let pause = Duration::from_secs(settings.number("host-interval"));
    loop {
        machine.look();
        match tell(&line, &credentials, &mut machine) {
            Ok(sent) if once => {
                output::write(
                    None,
                    if sent { "the server has this machine's inventory now\n" } else { "the server had this machine's inventory\n" },
                )?;
                return Ok(Exit::Ok);
            }
            Ok(sent) => tracing::debug!(sent, "told"),
            Err(failure) if once || failure.is("E0363") => return Err(failure),
            Err(failure) => tracing::warn!("{}", failure.render().trim_end().replace('\n', ";")),
        }
        std::thread::sleep(pause);
    }
}

/// Tells the server, and sends the inventory if it wants it; answers whether it did.
fn tell(line: &Line, credentials: &str, machine: &mut Machine) -> Result<bool, Failure> {
    let unreadable = |error: serde_json::Error| Failure::new("E0362", Exit::Network, "the server's answer cannot be read").cause(error);
    let answer = line.post("agent/v1/report", Some(credentials), serde_json::to_string(&machine.report(false)))?;
    let AgentAnswer { wanted } = serde_json::from_slice(&answer.body).map_err(unreadable)?;
    if wanted {
        line.post("agent/v1/report", Some(credentials), serde_json::to_string(&machine.report(true)))?;
    }
    Ok(wanted)
}

/// A unit under which the agent may read everything and do nothing else.
fn unit() -> String {
    let program = std::env::current_exe().map_or_else(|_| "/usr/bin/lestrade".to_owned(), |path| path.display().to_string());
    format!(
        "[Unit]
Description=Lestrade: tells the server what is on this machine
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={program} agent run
Environment=LESTRADE_STATE_DIR=/var/lib/lestrade TMPDIR=/var/lib/lestrade
StateDirectory=lestrade
StateDirectoryMode=0700
Restart=always
RestartSec=60
Nice=10
IOSchedulingClass=idle
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_SYS_PTRACE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
LockPersonality=yes
MemoryMax=3G

[Install]
WantedBy=multi-user.target
"
    )
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn keys_travel_by_tls_or_not_at_all() {
        for good in [
            "https://lestrade.example",
            "https://10.0.0.7:8443/lestrade",
            "http://127.0.0.1:8780",
            "http://[::1]:8780",
            "http://localhost:1",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "http://lestrade.example",
            "http://10.0.0.7",
            "http://localhost.example",
            "ftp://127.0.0.1",
            "nowhere",
            "https://me:secret@lestrade.example",
            "https://lestrade.example/?x=1",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
