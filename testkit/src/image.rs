//! Images made for tests.

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;

/// `sha256:…` of bytes.
#[must_use]
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A layer: a tar and its compressed form.
#[derive(Clone, Debug)]
pub struct Layer {
    tar: Vec<u8>,
    blob: Vec<u8>,
}

impl Layer {
    /// A layer of some files.
    ///
    /// # Errors
    /// When a name does not fit into a tar.
    pub fn of_files(files: &[(&str, &str)]) -> Result<Self> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, content.as_bytes())?;
        }
        Self::of_tar(builder.into_inner()?)
    }

    /// A layer of a whole tar.
    ///
    /// # Errors
    /// When it cannot be compressed.
    pub fn of_tar(tar: Vec<u8>) -> Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&tar)?;
        Ok(Self { tar, blob: encoder.finish()? })
    }
}

/// An image: layers, a config, a manifest.
#[derive(Clone, Debug)]
pub struct TestImage {
    pub(crate) layers: Vec<Layer>,
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) architecture: String,
}

impl TestImage {
    /// An image for Linux on this machine's architecture.
    ///
    /// # Errors
    /// Never in practice: JSON of plain values is always written.
    pub fn new(layers: Vec<Layer>) -> Result<Self> {
        Self::of_architecture(layers, if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" })
    }

    /// What is kept in a registry and is no image: a chart, a signature.
    ///
    /// # Errors
    /// Never in practice: JSON of plain values is always written.
    pub fn artifact() -> Result<Self> {
        let config = b"{}".to_vec();
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": digest(&config), "size": config.len()},
            "layers": [],
        }))?;
        Ok(Self { layers: vec![], config, manifest, architecture: String::new() })
    }

    /// An image for Linux on an architecture.
    ///
    /// # Errors
    /// Never in practice: JSON of plain values is always written.
    pub fn of_architecture(layers: Vec<Layer>, architecture: &str) -> Result<Self> {
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest(&layer.tar)).collect();
        let config = json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = serde_json::to_vec(&config)?;
        let descriptors: Vec<_> = layers
            .iter()
            .map(|layer| {
                json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(&layer.blob), "size": layer.blob.len()})
            })
            .collect();
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len()},
            "layers": descriptors,
        }))?;
        Ok(Self { layers, config, manifest, architecture: architecture.to_owned() })
    }

    /// Its manifest, as a registry keeps it.
    #[must_use]
    pub fn manifest(&self) -> String {
        String::from_utf8_lossy(&self.manifest).into_owned()
    }

    /// The digest of its manifest.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// All blobs that its manifest names.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (String, &[u8])> {
        self.layers.iter().map(|layer| layer.blob.as_slice()).chain([self.config.as_slice()]).map(|blob| (digest(blob), blob))
    }

    /// Writes it as an OCI layout.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_oci_layout(&self, folder: &Path) -> Result<()> {
        let blobs = folder.join("blobs/sha256");
        std::fs::create_dir_all(&blobs)?;
        for (digest, blob) in self.blobs().chain([(self.digest(), self.manifest.as_slice())]) {
            std::fs::write(blobs.join(&digest["sha256:".len()..]), blob)?;
        }
        let descriptor =
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": self.digest(), "size": self.manifest.len()});
        std::fs::write(folder.join("index.json"), serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": [descriptor]}))?)?;
        Ok(std::fs::write(folder.join("oci-layout"), br#"{"imageLayoutVersion": "1.0.0"}"#)?)
    }

    /// Writes it as `docker save` does.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_docker_archive(&self, path: &Path) -> Result<()> {
        let mut builder = tar::Builder::new(std::fs::File::create(path)?);
        let mut append = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, bytes)
        };
        let mut names = Vec::new();
        for (i, layer) in self.layers.iter().enumerate() {
            let name = format!("{i}/layer.tar");
            append(&name, &layer.tar)?;
            names.push(name);
        }
        append("config.json", &self.config)?;
        append("manifest.json", &serde_json::to_vec(&json!([{"Config": "config.json", "RepoTags": ["test:latest"], "Layers": names}]))?)?;
        Ok(builder.finish()?)
    }
}
