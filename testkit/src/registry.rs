//! Debian's `docker-registry`, the reference implementation of the distribution specification.

use crate::image::TestImage;
use crate::process::{Server, free_port, until};
use anyhow::{Context, Result, ensure};
use reqwest::blocking::Client;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A registry of this test alone.
pub struct Registry {
    _server: Server,
    _folder: tempfile::TempDir,
    port: u16,
    client: Client,
}

impl Registry {
    /// Starts one; none when it is not installed.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub fn start() -> Result<Option<Self>> {
        if Command::new("docker-registry").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n",
            folder.path().join("data").display()
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config)?;
        let server = Server::start(Command::new("docker-registry").arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()))?;
        until("the registry accepts connections", Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).ok())?;
        Ok(Some(Self { _server: server, _folder: folder, port, client: Client::builder().no_proxy().build()? }))
    }

    /// Its host and port.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Pushes an image under a tag.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub fn push(&self, image: &TestImage, repository: &str, tag: &str) -> Result<()> {
        let base = format!("http://{}/v2/{repository}", self.host());
        for (digest, blob) in image.blobs() {
            let opened = self.client.post(format!("{base}/blobs/uploads/")).body("").send()?;
            let location = opened.headers().get("location").context("an upload has a place")?.to_str()?.to_owned();
            let location = if location.starts_with('/') { format!("http://{}{location}", self.host()) } else { location };
            let separator = if location.contains('?') { '&' } else { '?' };
            let put = self.client.put(format!("{location}{separator}digest={digest}")).body(blob.to_vec()).send()?;
            ensure!(put.status().is_success(), "the registry refused a blob: {}", put.status());
        }
        let put = self
            .client
            .put(format!("{base}/manifests/{tag}"))
            .header("content-type", "application/vnd.oci.image.manifest.v1+json")
            .body(image.manifest.clone())
            .send()?;
        ensure!(put.status().is_success(), "the registry refused a manifest: {}", put.status());
        Ok(())
    }
}
