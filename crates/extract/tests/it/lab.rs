//! Small images, written down in a few words, and scanners for them.

use flate2::Compression;
use flate2::write::GzEncoder;
use lestrade_artifact::{Hashing, Limits, Platform};
use lestrade_extract::{LayerCache, ScanError, ScannedImage, Scanner};
use lestrade_model::{Inventory, ProblemKind};
use lestrade_sys::WorkerCommand;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

pub(crate) const OS: (&str, &str) = ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");

pub(crate) fn dpkg(packages: &[(&str, &str)]) -> String {
    let stanza = |(name, version): &(&str, &str)| format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n");
    packages.iter().map(stanza).collect()
}

pub(crate) fn python(name: &str) -> String {
    format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1\n\nText.\n")
}

pub(crate) fn scanner() -> Scanner {
    scanner_with(Limits::default(), None)
}

pub(crate) fn scanner_with(limits: Limits, cache: Option<Box<dyn LayerCache>>) -> Scanner {
    Scanner::new(WorkerCommand { program: env!("CARGO_BIN_EXE_lestrade-worker").into(), arguments: vec![] }, limits, cache)
}

/// A scanner all of whose workers die at once.
pub(crate) fn scanner_that_dies(cache: Option<Box<dyn LayerCache>>) -> Scanner {
    Scanner::new(WorkerCommand { program: "/bin/false".into(), arguments: vec![] }, Limits::default(), cache)
}

pub(crate) fn platform() -> Platform {
    Platform { os: "linux".into(), architecture: "amd64".into() }
}

pub(crate) fn names(inventory: &Inventory) -> Vec<String> {
    inventory.components.iter().map(|c| format!("{} {}", c.name, c.version)).collect()
}

pub(crate) fn kinds(inventory: &Inventory) -> Vec<ProblemKind> {
    inventory.problems.iter().map(|p| p.kind).collect()
}

/// A header with any name and any size: builders refuse hostile ones.
fn header(kind: tar::EntryType, name: &[u8], link: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header
}

/// A tar under construction.
#[derive(Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn files(files: &[(&str, &str)]) -> Self {
        files.iter().fold(Self::default(), |tar, (name, content)| tar.file(name, content))
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(tar::EntryType::Regular, name.as_bytes(), "", content.as_ref())
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Symlink, name.as_bytes(), target, b"")
    }

    pub(crate) fn entry(mut self, kind: tar::EntryType, name: &[u8], link: &str, content: &[u8]) -> Self {
        self.0.extend_from_slice(header(kind, name, link, content.len() as u64).as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Bytes as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    pub(crate) fn gzip(self) -> Vec<u8> {
        gzip(&self.end())
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Hashing::new(bytes).finish().unwrap()
}

fn expanded(layer: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match layer {
        [0x1f, 0x8b, ..] => {
            // What is broken on purpose has the digest of what can be had.
            let _ = std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(layer), &mut out);
        }
        [0x28, 0xb5, ..] => out = zstd::decode_all(layer).unwrap(),
        plain => out = plain.to_vec(),
    }
    out
}

pub(crate) fn config_of(layers: &[Vec<u8>]) -> Value {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(&expanded(layer))).collect();
    json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}})
}

/// An OCI layout in a temporary folder.
pub(crate) struct Layout {
    folder: tempfile::TempDir,
    manifests: Vec<Value>,
}

impl Layout {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        std::fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { folder, manifests: Vec::new() }
    }

    pub(crate) fn of(layers: &[Vec<u8>]) -> Self {
        Self::new().image(layers, &config_of(layers))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn blob_path(&self, digest: &str) -> PathBuf {
        self.path().join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
    }

    /// Writes a blob; answers its descriptor.
    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        std::fs::write(self.blob_path(&digest), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    pub(crate) fn image(self, layers: &[Vec<u8>], config: &Value) -> Self {
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let layers: Vec<Value> = layers.iter().map(|layer| self.blob("application/vnd.oci.image.layer.v1.tar+gzip", layer)).collect();
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string();
        let mut descriptor = self.blob("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
        descriptor["platform"] = json!({"os": "linux", "architecture": "amd64"});
        self.listing(descriptor)
    }

    /// Adds a line to the index.
    pub(crate) fn listing(mut self, descriptor: Value) -> Self {
        self.manifests.push(descriptor);
        let index = json!({"schemaVersion": 2, "manifests": self.manifests});
        std::fs::write(self.path().join("index.json"), index.to_string()).unwrap();
        self
    }

    pub(crate) fn scan(&self) -> Result<ScannedImage, ScanError> {
        scanner().scan_image_file(self.path(), &platform())
    }

    pub(crate) fn inventory(&self) -> Inventory {
        self.scan().unwrap().inventory
    }
}

/// What `docker save` writes: plain layers.
pub(crate) fn docker_archive(layers: &[Vec<u8>]) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}/layer.tar")).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": ["test:1"], "Layers": names}]);
    let start = Tar::default().file("manifest.json", manifest.to_string()).file("config.json", config_of(layers).to_string());
    names.iter().zip(layers).fold(start, |tar, (name, layer)| tar.file(name, layer)).end()
}
