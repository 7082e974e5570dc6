//! A private PostgreSQL.

use crate::process::{Server, free_port, until};
use anyhow::{Context, Result, ensure};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A PostgreSQL server of this test alone: its own folder, its own port, no password, gone with the value.
pub struct Postgres {
    _server: Server,
    _folder: tempfile::TempDir,
    port: u16,
    databases: std::sync::atomic::AtomicU32,
}

impl Postgres {
    /// Starts one; none when PostgreSQL is not installed.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub fn start() -> Result<Option<Self>> {
        let Some(programs) = programs() else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        // The server refuses to run as root; the package brings a user of its own.
        let user = unprivileged_user();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700))?;
        if let Some((uid, gid)) = user {
            chown(&data, Some(uid), Some(gid))?;
        }
        let run = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let made =
            run("initdb").args(["--auth=trust", "--username=lestrade", "--encoding=UTF8", "--locale=C", "-D"]).arg(&data).status()?;
        ensure!(made.success(), "initdb failed");
        let port = free_port()?;
        let server = Server::start(run("postgres").arg("-D").arg(&data).args([
            "-p",
            &port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
            "-c",
            "unix_socket_directories=",
        ]))?;
        until("PostgreSQL accepts connections", Duration::from_secs(30), || TcpStream::connect(("127.0.0.1", port)).ok())?;
        let postgres = Self { _server: server, _folder: folder, port, databases: 0.into() };
        until("PostgreSQL answers", Duration::from_secs(30), || {
            let ready = run("pg_isready").args(["-h", "127.0.0.1", "-p", &port.to_string()]).status().ok()?;
            ready.success().then_some(())
        })?;
        Ok(Some(postgres))
    }

    /// Breaks every connection off, as a restart of the server does.
    ///
    /// # Errors
    /// When the server does not do it.
    pub fn disconnect_all(&self) -> Result<()> {
        let programs = programs().context("PostgreSQL is installed")?;
        let port = self.port.to_string();
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname LIKE 't%'";
        let arguments = ["-h", "127.0.0.1", "-p", &port, "-U", "lestrade", "-d", "postgres", "-c", sql];
        let done = Command::new(programs.join("psql")).args(arguments).stdout(Stdio::null()).status()?;
        ensure!(done.success(), "psql failed");
        Ok(())
    }

    /// The URL of a new, empty database.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn database(&self) -> Result<String> {
        let name = format!("t{}", self.databases.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let programs = programs().context("PostgreSQL is installed")?;
        let made = Command::new(programs.join("createdb"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "lestrade", &name])
            .status()?;
        ensure!(made.success(), "createdb failed");
        Ok(format!("postgres://lestrade@127.0.0.1:{}/{name}", self.port))
    }
}

/// Where the server's programs are: Debian keeps them out of the path, by version.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|e| e.path().join("bin")).collect();
    versions.sort();
    versions.into_iter().rev().find(|bin| bin.join("initdb").exists())
}

/// Whom to run as when we are root.
fn unprivileged_user() -> Option<(u32, u32)> {
    let owner = std::fs::metadata("/proc/self").ok()?;
    if std::os::unix::fs::MetadataExt::uid(&owner) != 0 {
        return None;
    }
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    users.lines().find(|line| line.starts_with("postgres:")).or_else(|| users.lines().find(|line| line.starts_with("nobody:"))).and_then(
        |line| {
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        },
    )
}
