//! What a program costs: wall-clock time and memory of it and everything that it starts.
//!
//! This program starts itself as a small process in between, which starts the measured one, waits, and asks the kernel for the
//! peak of its children (`getrusage(RUSAGE_CHILDREN)`): the largest resident set that any one process of the tree ever had. It
//! has to be small, because what a process inherits before `exec` counts as its own. How much all processes had *together* is
//! looked at in a further run that is not timed, by adding up their resident sets once a millisecond; pages that they share
//! (the program itself) count once for each.

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The argument that makes this program the process in between.
pub(crate) const COMMAND: &str = "measure-one";

/// A program with its arguments, in an environment with nothing else in it.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Its environment besides `PATH`.
    pub(crate) environment: Vec<(String, OsString)>,
    /// `HOME`, and with it every cache.
    pub(crate) home: PathBuf,
    /// Whether it stays as it is between runs; else it is emptied before each.
    pub(crate) keeps_home: bool,
    /// The exit codes that it may end with.
    pub(crate) exits: &'static [i32],
}

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall: Duration,
    /// Bytes of the largest resident set of one process.
    pub(crate) largest: u64,
}

impl Invocation {
    fn fresh_home(&self) -> Result<()> {
        if self.home.exists() && !self.keeps_home {
            fs::remove_dir_all(&self.home)?;
        }
        Ok(fs::create_dir_all(&self.home)?)
    }

    fn surroundings(&self, command: &mut Command) {
        command.env_clear().env("HOME", &self.home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stderr(Stdio::null());
        self.surroundings(&mut command);
        command
    }

    fn check(&self, code: Option<i32>) -> Result<()> {
        ensure!(code.is_some_and(|code| self.exits.contains(&code)), "{} ended with {code:?}", self.program.display());
        Ok(())
    }

    /// Runs it once and answers what it printed.
    pub(crate) fn output(&self) -> Result<Vec<u8>> {
        self.fresh_home()?;
        let output = self.command().stderr(Stdio::piped()).output()?;
        self.check(output.status.code()).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(output.stdout)
    }

    /// Runs it once, timed.
    pub(crate) fn cost(&self) -> Result<Cost> {
        self.fresh_home()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(COMMAND).arg(&self.program).args(&self.arguments);
        self.surroundings(&mut command);
        let output = command.output()?;
        let text = String::from_utf8(output.stdout)?;
        let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [nanoseconds, kibibytes, code] = numbers[..] else { bail!("the measuring process said '{text}'") };
        self.check(i32::try_from(code).ok())?;
        Ok(Cost { wall: Duration::from_nanos(nanoseconds), largest: kibibytes << 10 })
    }

    /// Runs it once and answers the most bytes that all its processes had resident together.
    pub(crate) fn together(&self) -> Result<u64> {
        self.fresh_home()?;
        let mut child = self.command().stdout(Stdio::null()).spawn()?;
        let mut peak = 0;
        while child.try_wait()?.is_none() {
            peak = peak.max(resident(&child));
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(peak)
    }
}

/// The resident bytes of a process and its descendants now.
fn resident(child: &Child) -> u64 {
    let mut parents: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()).filter(|id| *id >= child.id()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in parentheses may hold anything; after it: state, parent, and as the 22nd field the resident pages.
        let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let number = |i: usize| fields.get(i).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
        parents.insert(id, (number(1) as u32, number(21) * 4096));
    }
    let descends = |mut id: u32| {
        while id != child.id() {
            match parents.get(&id) {
                Some((parent, _)) => id = *parent,
                None => return false,
            }
        }
        true
    };
    parents.iter().filter(|(id, _)| descends(**id)).map(|(_, (_, bytes))| bytes).sum()
}

/// The process in between.
pub(crate) fn main(arguments: Vec<String>) -> Result<()> {
    let (program, arguments) = arguments.split_first().context("a program")?;
    let started = Instant::now();
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let wall = started.elapsed();
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    println!("{} {peak} {}", wall.as_nanos(), status.code().unwrap_or(255));
    Ok(())
}

/// The resident bytes of this process now, and its peak.
pub(crate) fn own_memory() -> (u64, u64) {
    memory_of("self")
}

/// The same, of another process.
pub(crate) fn memory_of(process: &str) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default() << 10
    };
    (field("VmRSS:"), field("VmHWM:"))
}
