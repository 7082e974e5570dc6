//! Where files come from: a directory, an archive of layers, an image layout, a registry, a disk. Nothing is ever unpacked: files are
//! streamed past a [`FileSink`] that says which ones it wants.
//!
//! What runs inside the sandboxed worker: [`walk_layer`], [`walk_directory`], [`walk_file`], [`walk_zip`],
//! [`Disk`], [`index_tar`]. What runs outside: finding an
//! image's layers from its manifests ([`open_image`]) and fetching them ([`RegistryClient`]).

mod content;
mod directory;
mod disk;
mod error;
mod hash_both;
mod hasher;
mod image;
mod layer;
mod limits;
mod nested;
mod path;
mod read_at;
mod reference;
mod registry;
mod sink;
mod skip;
mod stop;
mod tar;
mod tar_index;
mod zip;
mod zip_doubt;

pub use content::Holder;
pub use directory::{walk_directory, walk_file};
pub use disk::{Disk, Volume};
pub use error::ArtifactError;
pub use hasher::{Hasher, Hashing};
pub use image::{ImageConfig, ImageSource, LayerPlace, LayerSource, Platform, TarIndexer, looks_like, open_image};
pub use layer::{FilePart, LayerDigests, walk_layer, walk_layer_file};
pub use limits::Limits;
pub use read_at::ReadAt;
pub use reference::ImageReference;
pub use registry::{Credentials, RegistryClient, RemoteImage};
pub use sink::{FileSink, Size};
pub use skip::{BadSkipPattern, Skip, SkipPatterns};
pub use tar_index::{TarEntry, index_tar};
pub use zip::walk_zip;
pub use zip_doubt::zip_ambiguity;
