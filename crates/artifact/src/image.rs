//! Finding an image's layers from its manifests: `docker save` archives and OCI layouts, as folders or tars.
//!
//! Manifests are small JSON, read here with bounds; every document that is named by a digest has that digest computed.

use crate::hash_both::hash_both;
use crate::layer::Packing;
use crate::tar_index::TarEntry;
use crate::{ArtifactError, Hashing, Limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Take};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The largest manifest or config.
const MAX_DOCUMENT: u64 = 8 << 20;
/// How deep indexes may nest, and how many manifests one may list.
const MAX_INDEX_DEPTH: usize = 3;
const MAX_MANIFESTS: usize = 1000;
const MAX_LAYERS: usize = 1000;

/// Which of a multi-platform image's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
}

impl Default for Platform {
    /// Linux on the architecture of this program.
    fn default() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { os: "linux".into(), architecture: architecture.into() }
    }
}

/// What the config of an image says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `amd64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// The digests that its layers' tars should have.
    pub diff_ids: Vec<String>,
}

/// Where a layer's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerPlace {
    /// A file.
    File(PathBuf),
    /// A part of a file.
    Slice {
        /// The file.
        path: PathBuf,
        /// Where the part begins.
        offset: u64,
        /// How long it is.
        length: u64,
    },
}

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSource {
    /// The digest that its bytes should have, where the format gives one.
    pub digest: Option<String>,
    /// How many they should be, where the format says.
    pub size: Option<u64>,
    /// Where they are.
    pub place: LayerPlace,
}

impl LayerSource {
    /// Whether fewer bytes are there than should be: what is left of it can be read, and is not it.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        let there = match &self.place {
            LayerPlace::File(path) => std::fs::metadata(path).map(|metadata| metadata.len()).ok(),
            LayerPlace::Slice { length, .. } => Some(*length),
        };
        there.zip(self.size).is_some_and(|(there, size)| 0 < there && there < size)
    }

    /// The file that holds its bytes.
    #[must_use]
    pub fn path(&self) -> &Path {
        let (LayerPlace::File(path) | LayerPlace::Slice { path, .. }) = &self.place;
        path
    }

    /// Offset and length of its bytes, where they are not the whole file.
    #[must_use]
    pub const fn slice(&self) -> Option<(u64, u64)> {
        match self.place {
            LayerPlace::File(_) => None,
            LayerPlace::Slice { offset, length, .. } => Some((offset, length)),
        }
    }

    /// Whether its bytes begin as those of what is compressed do; where they cannot be read they do not.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        let offset = self.slice().map_or(0, |(offset, _)| offset);
        let mut head = [0; 6];
        File::open(self.path()).and_then(|file| file.read_exact_at(&mut head, offset)).is_ok_and(|()| Packing::of(&head) != Packing::Plain)
    }

    /// The digest of its bytes as they are in `file`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn hash(&self, file: File) -> std::io::Result<String> {
        Hashing::new(self.bytes(file)?).finish()
    }

    /// The digests of two layers, each with its own file, computed at once on one core: in less time than one after the other.
    ///
    /// # Errors
    /// For each, when its bytes cannot be read.
    pub fn hash_both(layers: [(&Self, File); 2]) -> [std::io::Result<String>; 2] {
        match layers.map(|(layer, file)| layer.bytes(file)) {
            [Ok(first), Ok(second)] => hash_both([first, second]),
            layers => layers.map(|bytes| Hashing::new(bytes?).finish()),
        }
    }

    fn bytes(&self, mut file: File) -> std::io::Result<Take<File>> {
        let (offset, length) = self.slice().unwrap_or((0, u64::MAX));
        file.seek(SeekFrom::Start(offset))?;
        Ok(file.take(length))
    }
}

/// An image whose layers have been found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSource {
    /// The computed digest of its manifest; for `docker save` archives of its config.
    pub digest: String,
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, lowest first.
    pub layers: Vec<LayerSource>,
}

/// Lists the entries of a tar; in the program, inside a worker.
pub trait TarIndexer {
    /// Lists.
    ///
    /// # Errors
    /// When the file is not a whole tar.
    fn index(&self, file: File, path: &Path, limits: &Limits) -> Result<Vec<TarEntry>, ArtifactError>;
}

/// Opens an image: a folder with an OCI layout, or a tar of one, or what `docker save` writes.
///
/// # Errors
/// When it is none of these, is not whole, or has no image for the platform.
pub fn open_image(path: &Path, platform: &Platform, indexer: &dyn TarIndexer, limits: &Limits) -> Result<ImageSource, ArtifactError> {
    let shown = path.display().to_string();
    let metadata = std::fs::metadata(path).map_err(ArtifactError::io(&shown))?;
    let blobs = if metadata.is_dir() {
        Blobs::Folder(path.to_owned())
    } else {
        let mut file = File::open(path).map_err(ArtifactError::io(&shown))?;
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(512).read_to_end(&mut head).map_err(ArtifactError::io(&shown))?;
        if head.is_empty() {
            return Err(ArtifactError::Empty(shown));
        }
        if let Some(looks_like) = no_tar(&head) {
            return Err(ArtifactError::NotAnImage { path: shown, looks_like });
        }
        file.seek(SeekFrom::Start(0)).map_err(ArtifactError::io(&shown))?;
        Blobs::Tar(path.to_owned(), indexer.index(file, path, limits)?)
    };
    if blobs.find("index.json").is_some() && blobs.find("oci-layout").is_some() {
        let index = blobs.json("index.json")?;
        return oci_image(&blobs, &index, platform, 0);
    }
    if blobs.find("manifest.json").is_some() {
        return docker_image(&blobs);
    }
    let looks_like = if metadata.is_dir() {
        "a folder without an image layout (to scan its files: lestrade scan rootfs)"
    } else {
        "a tar of something else"
    };
    Err(ArtifactError::NotAnImage { path: shown, looks_like })
}

/// What a file's first bytes look like, where that is not a tar.
fn no_tar(head: &[u8]) -> Option<&'static str> {
    match looks_like(head) {
        Some("a tar archive") => None,
        None if head.len() == 512 && head.iter().all(|b| *b == 0) => None,
        // Old tars have no magic: the indexer will tell.
        None if head.len() == 512 && head[0] != 0 && head[148..156].iter().all(|b| matches!(b, b'0'..=b'7' | b' ' | 0)) => None,
        other => other.or(Some("no archive at all")),
    }
}

/// What the first 512 bytes of a file look like, for people; none where they are nothing that is known.
#[must_use]
pub fn looks_like(head: &[u8]) -> Option<&'static str> {
    Some(match head {
        [0x1f, 0x8b, ..] => "a gzip file (gunzip it first)",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "a zstd file (unzstd it first)",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "an xz file (unxz it first)",
        [b'B', b'Z', b'h', ..] => "a bzip2 file (bunzip2 it first)",
        [b'Q', b'F', b'I', 0xfb, ..] => "a qcow2 disk",
        [b'P', b'K', 3 | 5, 4 | 6, ..] => "a zip file",
        [0x7f, b'E', b'L', b'F', ..] => "a program",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "a text in UTF-16",
        [b'{' | b'[', ..] | [0xef, 0xbb, 0xbf, b'{' | b'[', ..] => "a JSON document",
        _ if head.get(257..262) == Some(b"ustar") => "a tar archive",
        _ if is_text(head) => "a text",
        _ => return None,
    })
}

/// Whether these bytes are characters that are shown; the last may be cut in two.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => head.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => 0,
    };
    let control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    valid > 0 && !head.iter().any(control)
}

/// Named blobs of a folder or of a tar.
enum Blobs {
    Folder(PathBuf),
    Tar(PathBuf, Vec<TarEntry>),
}

impl Blobs {
    fn find(&self, name: &str) -> Option<LayerPlace> {
        match self {
            Self::Folder(folder) => {
                // Names come from manifests: only plain relative ones are joined.
                let plain = name.split('/').all(|part| !part.is_empty() && part != "." && part != "..") && !name.starts_with('/');
                let path = folder.join(name);
                (plain && path.is_file()).then_some(LayerPlace::File(path))
            }
            Self::Tar(path, entries) => {
                let mut wanted = name.to_owned();
                for _ in 0..4 {
                    // Of two entries with one name the last one counts, as it does for whoever unpacks.
                    let entry = entries.iter().rev().find(|entry| entry.name.trim_end_matches('/') == wanted)?;
                    match &entry.link {
                        None => return Some(LayerPlace::Slice { path: path.clone(), offset: entry.offset, length: entry.length }),
                        // Old archives name equal layers once and link the others to it.
                        Some(link) => wanted = resolve(&wanted, link)?,
                    }
                }
                None
            }
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, ArtifactError> {
        let missing = || ArtifactError::MissingBlob(name.to_owned());
        let place = self.find(name).ok_or_else(missing)?;
        let bad = |reason: &str| ArtifactError::BadManifest { what: name.to_owned(), reason: reason.to_owned() };
        let (path, offset, length) = match place {
            LayerPlace::File(path) => {
                let length = std::fs::metadata(&path).map_err(ArtifactError::io(name))?.len();
                (path, 0, length)
            }
            LayerPlace::Slice { path, offset, length } => (path, offset, length),
        };
        if length > MAX_DOCUMENT {
            return Err(bad("it is larger than 8 MiB"));
        }
        let mut file = File::open(&path).map_err(ArtifactError::io(name))?;
        file.seek(SeekFrom::Start(offset)).map_err(ArtifactError::io(name))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).map_err(ArtifactError::io(name))?;
        Ok(bytes)
    }

    fn json(&self, name: &str) -> Result<Value, ArtifactError> {
        parse(name, &self.read(name)?)
    }

    /// A document named by its digest, which is computed.
    fn blob(&self, digest: &str) -> Result<Vec<u8>, ArtifactError> {
        let bytes = self.read(&blob_name(digest)?)?;
        if digest_of(&bytes) == digest { Ok(bytes) } else { Err(ArtifactError::DigestMismatch(digest.to_owned())) }
    }
}

fn resolve(name: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = if link.starts_with('/') { vec![] } else { name.split('/').collect() };
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

pub(crate) fn parse(what: &str, bytes: &[u8]) -> Result<Value, ArtifactError> {
    serde_json::from_slice(bytes).map_err(|error| ArtifactError::BadManifest { what: what.to_owned(), reason: error.to_string() })
}

pub(crate) fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// `blobs/sha256/…` of a digest that is one.
fn blob_name(digest: &str) -> Result<String, ArtifactError> {
    is_digest(digest).then(|| format!("blobs/sha256/{}", &digest[7..])).ok_or_else(|| ArtifactError::BadManifest {
        what: "a descriptor".into(),
        reason: format!("'{}' is not a sha256 digest", digest.chars().take(80).collect::<String>()),
    })
}

pub(crate) fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// What a manifest or an index says, whichever of the two media types it has.
pub(crate) enum ManifestKind {
    Index(Vec<(String, Option<Platform>)>),
    /// Digests of the config and of the layers, these with the sizes that they should have.
    Image {
        config: String,
        layers: Vec<(String, Option<u64>)>,
    },
}

pub(crate) fn read_manifest(what: &str, manifest: &Value) -> Result<ManifestKind, ArtifactError> {
    let bad = |reason: &str| ArtifactError::BadManifest { what: what.to_owned(), reason: reason.to_owned() };
    let digest = |descriptor: &Value| {
        descriptor.get("digest").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| bad("a descriptor has no digest"))
    };
    if let Some(manifests) = manifest.get("manifests").and_then(Value::as_array) {
        if manifests.len() > MAX_MANIFESTS {
            return Err(bad("it lists more than 1000 manifests"));
        }
        let entries = manifests
            .iter()
            // Attestations travel beside images under an unknown platform.
            .filter(|d| d.pointer("/annotations/vnd.docker.reference.type").is_none())
            .map(|descriptor| {
                let text = |key: &str| descriptor.pointer(&format!("/platform/{key}")).and_then(Value::as_str).map(str::to_owned);
                let platform = text("os").zip(text("architecture")).map(|(os, architecture)| Platform { os, architecture });
                Ok((digest(descriptor)?, platform))
            })
            .collect::<Result<_, _>>()?;
        return Ok(ManifestKind::Index(entries));
    }
    let config = manifest.get("config").ok_or_else(|| bad("it has neither manifests nor a config"))?;
    let layers = manifest.get("layers").and_then(Value::as_array).ok_or_else(|| bad("it has no layers"))?;
    if layers.len() > MAX_LAYERS {
        return Err(bad("it has more than 1000 layers"));
    }
    let layer = |descriptor: &Value| Ok((digest(descriptor)?, descriptor.get("size").and_then(Value::as_u64)));
    Ok(ManifestKind::Image { config: digest(config)?, layers: layers.iter().map(layer).collect::<Result<_, ArtifactError>>()? })
}

/// The manifest of an index for a platform: the one that says so, or the only one.
pub(crate) fn choose(entries: &[(String, Option<Platform>)], platform: &Platform) -> Result<String, ArtifactError> {
    let fits = entries.iter().find(|(_, p)| p.as_ref() == Some(platform));
    let only = if let [only] = entries { Some(only) } else { None };
    let unnamed = entries.iter().find(|(_, p)| p.is_none());
    fits.or(only.filter(|(_, p)| p.is_none())).or(unnamed).map(|(digest, _)| digest.clone()).ok_or_else(|| ArtifactError::NoPlatform {
        wanted: format!("{}/{}", platform.os, platform.architecture),
        found: entries
            .iter()
            .filter_map(|(_, p)| p.as_ref())
            .take(8)
            .map(|p| format!("{}/{}", p.os, p.architecture))
            .collect::<Vec<_>>()
            .join(", "),
    })
}

pub(crate) fn read_config(what: &str, config: &Value) -> Result<ImageConfig, ArtifactError> {
    let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let diff_ids = config
        .pointer("/rootfs/diff_ids")
        .and_then(Value::as_array)
        .ok_or_else(|| ArtifactError::BadManifest { what: what.to_owned(), reason: "it has no rootfs.diff_ids".into() })?;
    Ok(ImageConfig {
        architecture: text("/architecture"),
        os: text("/os"),
        diff_ids: diff_ids.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

fn oci_image(blobs: &Blobs, document: &Value, platform: &Platform, depth: usize) -> Result<ImageSource, ArtifactError> {
    let what = "index.json";
    let ManifestKind::Index(entries) = read_manifest(what, document)? else {
        return Err(ArtifactError::BadManifest { what: what.into(), reason: "it is not an index".into() });
    };
    if depth > MAX_INDEX_DEPTH {
        return Err(ArtifactError::BadManifest { what: what.into(), reason: "indexes nest more than 3 deep".into() });
    }
    let digest = choose(&entries, platform)?;
    let manifest = parse(&digest, &blobs.blob(&digest)?)?;
    match read_manifest(&digest, &manifest)? {
        ManifestKind::Index(_) => oci_image(blobs, &manifest, platform, depth + 1),
        ManifestKind::Image { config, layers } => {
            let config = read_config(&config, &parse(&config, &blobs.blob(&config)?)?)?;
            let layers = layers
                .into_iter()
                .map(|(digest, size)| {
                    let place = blobs.find(&blob_name(&digest)?).ok_or_else(|| ArtifactError::MissingBlob(digest.clone()))?;
                    Ok(LayerSource { digest: Some(digest), size, place })
                })
                .collect::<Result<_, ArtifactError>>()?;
            Ok(ImageSource { digest, config, layers })
        }
    }
}

/// `docker save`: `manifest.json` names the config and the layers by their paths in the archive.
fn docker_image(blobs: &Blobs) -> Result<ImageSource, ArtifactError> {
    let what = "manifest.json";
    let bad = |reason: &str| ArtifactError::BadManifest { what: what.to_owned(), reason: reason.to_owned() };
    let manifest = blobs.json(what)?;
    let images = manifest.as_array().ok_or_else(|| bad("it is not a list"))?;
    let [image] = images.as_slice() else {
        return Err(bad("it holds other than one image; save one at a time"));
    };
    let config_name = image.get("Config").and_then(Value::as_str).ok_or_else(|| bad("it names no config"))?;
    let bytes = blobs.read(config_name)?;
    let config = read_config(config_name, &parse(config_name, &bytes)?)?;
    let layers = image.get("Layers").and_then(Value::as_array).ok_or_else(|| bad("it names no layers"))?;
    if layers.len() > MAX_LAYERS {
        return Err(bad("it has more than 1000 layers"));
    }
    let layers = layers
        .iter()
        .map(|name| {
            let name = name.as_str().ok_or_else(|| bad("a layer's name is not text"))?;
            let place = blobs.find(name).ok_or_else(|| ArtifactError::MissingBlob(name.to_owned()))?;
            let digest = name.strip_prefix("blobs/sha256/").map(|hex| format!("sha256:{hex}")).filter(|d| is_digest(d));
            Ok(LayerSource { digest, size: None, place })
        })
        .collect::<Result<_, ArtifactError>>()?;
    Ok(ImageSource { digest: digest_of(&bytes), config, layers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(path: &Path, place: Option<(u64, u64)>) -> LayerSource {
        let path = path.to_owned();
        let place = match place {
            None => LayerPlace::File(path),
            Some((offset, length)) => LayerPlace::Slice { path, offset, length },
        };
        LayerSource { digest: None, size: None, place }
    }

    #[test]
    fn what_is_compressed_begins_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer.tar");
        std::fs::write(&path, [&[0; 512][..], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]].concat()).unwrap();
        assert!(!layer(&path, None).is_compressed() && layer(&path, Some((512, 8))).is_compressed());
        assert!(!layer(&path, Some((1 << 40, 8))).is_compressed(), "what is not there is not");
    }

    #[test]
    fn two_layers_have_the_digests_that_each_has_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.tar");
        std::fs::write(&path, (0..700_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
        let (first, second) = (layer(&path, Some((512, 900_000))), layer(&path, Some((1_000_000, 1 << 40))));
        let open = || File::open(&path).unwrap();
        let alone = [&first, &second].map(|layer| layer.hash(open()).unwrap());
        assert_eq!(LayerSource::hash_both([(&first, open()), (&second, open())]).map(Result::unwrap), alone);
        assert_ne!(alone[0], alone[1]);
    }
}
