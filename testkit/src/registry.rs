//! Debian's `docker-registry`, the reference implementation of the distribution specification.

use crate::image::{TestImage, digest};
use crate::process::{Server, free_port, until};
use anyhow::{Context, Result, ensure};
use reqwest::blocking::Client;
use serde_json::json;
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
        Self::configured("")
    }

    /// Starts one that tells a URL, with a bearer token, what is pushed to it and deleted.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub fn start_telling(url: &str, token: &str) -> Result<Option<Self>> {
        Self::configured(&format!(
            "notifications:\n  endpoints:\n    - name: test\n      url: {url}\n      headers:\n        Authorization: [Bearer {token}]\n      timeout: 5s\n      threshold: 1\n      backoff: 200ms\n"
        ))
    }

    fn configured(more: &str) -> Result<Option<Self>> {
        if Command::new("docker-registry").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n{more}",
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
        self.put_blobs(image, repository)?;
        self.put_manifest(repository, tag, "application/vnd.oci.image.manifest.v1+json", image.manifest.clone())
    }

    /// Pushes images of several architectures under one tag, and an attestation beside them; answers the digest of the index.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub fn push_index(&self, images: &[TestImage], repository: &str, tag: &str) -> Result<String> {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let mut entries = Vec::new();
        for image in images {
            self.push(image, repository, &image.digest())?;
            let platform = json!({"os": "linux", "architecture": image.architecture});
            entries.push(json!({"mediaType": kind, "digest": image.digest(), "size": image.manifest.len(), "platform": platform}));
        }
        let attestation = TestImage::artifact()?;
        self.push(&attestation, repository, &attestation.digest())?;
        entries.push(json!({
            "mediaType": kind, "digest": attestation.digest(), "size": attestation.manifest.len(),
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        }));
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries}))?;
        let digest = digest(&index);
        self.put_manifest(repository, tag, kind, index)?;
        Ok(digest)
    }

    /// Deletes a manifest, and the tags that point at it.
    ///
    /// # Errors
    /// When the registry does not.
    pub fn delete(&self, repository: &str, digest: &str) -> Result<()> {
        let answer = self.client.delete(format!("http://{}/v2/{repository}/manifests/{digest}", self.host())).send()?;
        ensure!(answer.status().is_success(), "the registry refused a deletion: {}", answer.status());
        Ok(())
    }

    fn put_manifest(&self, repository: &str, tag: &str, kind: &str, manifest: Vec<u8>) -> Result<()> {
        let url = format!("http://{}/v2/{repository}/manifests/{tag}", self.host());
        let put = self.client.put(url).header("content-type", kind).body(manifest).send()?;
        ensure!(put.status().is_success(), "the registry refused a manifest: {}", put.status());
        Ok(())
    }

    fn put_blobs(&self, image: &TestImage, repository: &str) -> Result<()> {
        let base = format!("http://{}/v2/{repository}", self.host());
        for (digest, blob) in image.blobs() {
            let opened = self.client.post(format!("{base}/blobs/uploads/")).body("").send()?;
            let location = opened.headers().get("location").context("an upload has a place")?.to_str()?.to_owned();
            let location = if location.starts_with('/') { format!("http://{}{location}", self.host()) } else { location };
            let separator = if location.contains('?') { '&' } else { '?' };
            let put = self.client.put(format!("{location}{separator}digest={digest}")).body(blob.to_vec()).send()?;
            ensure!(put.status().is_success(), "the registry refused a blob: {}", put.status());
        }
        Ok(())
    }
}
