//! What is scanned, and how its inventory is come by.

use super::{scan_failure, scanner};
use crate::args::{ImageArgs, ScanWhat, WalkArgs};
use crate::config::Settings;
use crate::docker_auth;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Speech;
use crate::progress::Bars;
use lestrade_artifact::{ArtifactError, ImageReference, Platform, RegistryClient};
use lestrade_extract::{DirectoryCache, FileSort, HostRoot, KnownDigests, LayerCache, ScanError};
use lestrade_model::{PackedInventory, ResourceFacts};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something that was read.
pub(crate) struct Target {
    /// As it was named.
    pub(crate) name: String,
    /// What sort of thing it is.
    pub(crate) kind: &'static str,
    /// What is in it.
    pub(crate) inventory: PackedInventory,
    /// What else is known of it.
    pub(crate) facts: ResourceFacts,
    /// What is to be said of how it was read: to everybody, and to who wants to know more.
    pub(crate) notes: Vec<String>,
    pub(crate) details: Vec<String>,
}

impl Target {
    fn new(name: impl Into<String>, kind: &'static str, inventory: PackedInventory) -> Self {
        Self { name: name.into(), kind, inventory, facts: ResourceFacts::default(), notes: Vec::new(), details: Vec::new() }
    }

    /// Reads what a command line names.
    pub(crate) fn read(settings: &Settings, what: &ScanWhat, speech: Speech) -> Result<Self, Failure> {
        match what {
            ScanWhat::Image(arguments) => image(settings, arguments, speech),
            ScanWhat::Fs(folder) => directory(&folder.path, "fs", &folder.walk),
            ScanWhat::Rootfs(folder) => directory(&folder.path, "rootfs", &folder.walk),
            ScanWhat::Repo(folder) => repository(&folder.path, &folder.walk),
            ScanWhat::Host(host) => this_host(&host.walk),
            ScanWhat::Disk(arguments) => disk(&arguments.path, &arguments.walk),
            ScanWhat::Function(file) => function(&file.path),
            ScanWhat::Sbom(file) => document(&file.path),
        }
    }

    /// Reads something of which only the name is known: by what is there.
    pub(crate) fn guess(settings: &Settings, name: &str, speech: Speech) -> Result<Self, Failure> {
        let path = Path::new(name);
        let is_layout = |path: &Path| path.join("oci-layout").exists() || path.join("index.json").exists();
        if path.is_dir() && !is_layout(path) {
            return directory(path, "fs", &WalkArgs::default());
        }
        match FileSort::of(path) {
            Ok(FileSort::Function | FileSort::Package) => function(path),
            Ok(FileSort::Document) => document(path),
            Ok(FileSort::Disk) => disk(path, &WalkArgs::default()),
            _ => image(settings, &ImageArgs::of(name), speech),
        }
    }
}

fn directory(path: &Path, kind: &'static str, walk: &WalkArgs) -> Result<Target, Failure> {
    let inventory = scanner(None)?.scan_directory(path, &walk.into()).map_err(|error| scan_failure(&error))?;
    Ok(Target::new(path.display().to_string(), kind, (&inventory).into()))
}

fn repository(path: &Path, walk: &WalkArgs) -> Result<Target, Failure> {
    let name = path.to_string_lossy();
    if !path.exists() && (name.contains("://") || name.starts_with("git@")) {
        // To fetch is the user's: it may need their keys, and what is fetched is theirs to choose.
        return Err(Failure::new("E0203", Exit::Usage, format!("'{name}' is not a folder, and repositories are not fetched"))
            .try_("git clone --depth 1 URL folder && lestrade scan repo folder"));
    }
    directory(path, "repo", walk)
}

fn this_host(walk: &WalkArgs) -> Result<Target, Failure> {
    let host = HostRoot::new("/");
    let inventory = scanner(None)?.scan_host(&host, &walk.into()).map_err(|error| scan_failure(&error))?;
    let mut target = Target::new(host.name().unwrap_or_else(|| "this host".to_owned()), "host", (&inventory).into());
    target.facts.running_kernel = host.running_kernel();
    Ok(target)
}

fn disk(path: &Path, walk: &WalkArgs) -> Result<Target, Failure> {
    let scanned = scanner(None)?.scan_disk(path, &walk.into()).map_err(|error| scan_failure(&error))?;
    let mut target = Target::new(path.display().to_string(), "disk", (&scanned.inventory).into());
    target.notes = scanned.no_files.iter().map(|(volume, what)| format!("{volume} was not read: {what}")).collect();
    target.details = vec![format!("{} MiB read of a disk of {} MiB", scanned.bytes_read.div_ceil(1 << 20), scanned.size >> 20)];
    Ok(target)
}

fn function(path: &Path) -> Result<Target, Failure> {
    let inventory = scanner(None)?.scan_zip_file(path).map_err(|error| scan_failure(&error))?;
    Ok(Target::new(path.display().to_string(), "function", (&inventory).into()))
}

fn document(path: &Path) -> Result<Target, Failure> {
    let (name, path) = if path == Path::new("-") {
        ("standard input".to_owned(), PathBuf::from("/dev/stdin"))
    } else {
        (path.display().to_string(), path.to_owned())
    };
    let inventory = scanner(None)?.scan_document(&path).map_err(|error| scan_failure(&error))?;
    Ok(Target::new(name, "sbom", inventory))
}

fn image(settings: &Settings, arguments: &ImageArgs, speech: Speech) -> Result<Target, Failure> {
    let platform = match arguments.platform.as_deref().map(|text| text.split_once('/')) {
        None => Platform::default(),
        Some(Some((os, architecture))) => Platform { os: os.to_owned(), architecture: architecture.to_owned() },
        Some(None) => return Err(Failure::new("E0201", Exit::Usage, "--platform is OS/ARCH").try_("--platform linux/arm64")),
    };
    let name = arguments.name();
    let (path, scheme) = local(name);
    let cache = || Some(Box::new(DirectoryCache::new(settings.path("cache-dir").join("layers"))) as Box<dyn LayerCache>);
    let failed = |error: ScanError| scan_failure(&error);
    if scheme == Scheme::File || (scheme == Scheme::None && (looks_like_path(name) || path.exists())) {
        let mut scanner = scanner(cache())?;
        if settings.flag("remember-digests") {
            scanner = scanner.knowing(KnownDigests::new(settings.path("cache-dir").join("digests")));
        }
        let scanned = scanner.scan_image_file(path, &platform).map_err(failed)?;
        return Ok(Target::new(name, "image", (&scanned.inventory).into()));
    }
    let reference: ImageReference = path.to_string_lossy().parse().map_err(|error: ArtifactError| scan_failure(&error.into()))?;
    if settings.flag("offline") {
        return Err(Failure::new("E0226", Exit::Usage, format!("'{name}' is in a registry, and nothing is fetched because of 'offline'"))
            .try_("docker save IMAGE -o image.tar && lestrade scan image image.tar"));
    }
    let client =
        RegistryClient::new(&reference.registry, docker_auth::credentials(&reference.registry)).map_err(|e| scan_failure(&e.into()))?;
    let bars = Arc::new(Bars::new(speech));
    let scanned = scanner(cache())?.telling(bars.clone()).scan_registry_image(&client, &reference, &platform);
    bars.clear();
    let scanned = scanned.map_err(failed)?;
    Ok(Target::new(name, "image", (&scanned.inventory).into()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    None,
    File,
    Registry,
}

/// A name without the scheme that other scanners put before it, and what that says.
fn local(name: &str) -> (&Path, Scheme) {
    for (scheme, kind) in
        [("docker-archive:", Scheme::File), ("oci-archive:", Scheme::File), ("oci-dir:", Scheme::File), ("registry:", Scheme::Registry)]
    {
        if let Some(rest) = name.strip_prefix(scheme) {
            return (Path::new(rest), kind);
        }
    }
    (Path::new(name), Scheme::None)
}

/// What looks like a path never goes to the network, also when nothing is there: a typing error must not become a request.
fn looks_like_path(text: &str) -> bool {
    let archive = [".tar", ".tgz", ".gz", ".zst", ".zip", ".json", ".img"].iter().any(|ending| text.ends_with(ending));
    text.starts_with(['/', '.', '~']) || archive
}
