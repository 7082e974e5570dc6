//! `lestrade db export`, `db mirror` and bundles in `db import`: intelligence for machines without a network, and from others.

use super::{failed, feeds, serve};
use crate::args::{Export, MirrorArgs};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::unreadable;
use crate::output::{self, Speech};
use crate::state::StateFolder;
use lestrade_advisories::{BundleKey, BundleSigner, BundleWish, Library, Mirror, UpdateReport, is_bundle};
use lestrade_model::{Clock, Ecosystem, Family};
use lestrade_server::{TlsListener, serve_mirror};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The file of the seed by which this machine signs.
const SEED: &str = "bundle.key";

fn signer(settings: &Settings) -> Result<BundleSigner, Failure> {
    let state = StateFolder::open(settings)?;
    let seed = state.secret_bytes(SEED).map_err(|error| state.failure(&error))?;
    BundleSigner::new(&seed).map_err(failed)
}

/// How long bundles hold.
fn validity(settings: &Settings) -> Duration {
    Duration::from_secs(settings.number("bundle-days") * 24 * 60 * 60)
}

/// The keys that are trusted.
fn trusted(settings: &Settings) -> Result<Vec<BundleKey>, Failure> {
    let key = |text: String| {
        let wrong = || Failure::new("E0227", Exit::Usage, format!("'{text}' in 'bundle-keys' is no key of bundles"));
        BundleKey::parse(&text).ok_or_else(|| wrong().try_("lestrade db export …      # there: it prints its key"))
    };
    settings.list("bundle-keys").into_iter().map(key).collect()
}

/// Families by their names.
fn families(names: &[String]) -> Result<BTreeSet<Family>, Failure> {
    let family = |name: &String| match name.trim().parse::<Ecosystem>() {
        Ok(Ecosystem { family, release: None }) if !matches!(family, Family::Other(_)) => Ok(family),
        _ => Err(Failure::new("E0228", Exit::Usage, format!("'{name}' is not an ecosystem")).try_("--ecosystems npm,PyPI,Debian")),
    };
    names.iter().map(family).collect()
}

pub(super) fn export(settings: &Settings, library: &Library, arguments: &Export) -> Result<Exit, Failure> {
    let since = match arguments.since {
        None => None,
        Some(number) => {
            let kept = library.generations().map_err(failed)?;
            Some(super::generations::numbered(&kept, number)?.0.clone())
        }
    };
    let wish = BundleWish { since, families: families(&arguments.ecosystems)? };
    let signer = signer(settings)?;
    let now = SystemClock.now();
    let until = now.plus(validity(settings));
    if arguments.output == Path::new("-") {
        library.export(&wish, &signer, now, until, &mut std::io::stdout().lock()).map_err(failed)?;
        return Ok(Exit::Ok);
    }
    let io = |error: std::io::Error| {
        Failure::new("E0301", Exit::Input, format!("'{}' cannot be written", arguments.output.display())).cause(error)
    };
    // Beside it first: what is there is replaced by a whole bundle or not at all.
    let folder = arguments.output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = BufWriter::new(tempfile::NamedTempFile::new_in(folder).map_err(io)?);
    let head = library.export(&wish, &signer, now, until, &mut file).map_err(failed)?;
    file.flush().map_err(io)?;
    let file = file.into_inner().map_err(|error| io(error.into_error()))?;
    let size = file.as_file().metadata().map_err(io)?.len();
    file.persist(&arguments.output).map_err(|error| io(error.error))?;
    let follows = head.since.map_or_else(|| "whole".to_owned(), |since| format!("follows on generation {}", since.number));
    let out = format!(
        "generation {} · {follows} · {} KiB · until {}\n  there: lestrade db import {} --set bundle-keys={}\n",
        head.generation.number,
        size.div_ceil(1024),
        head.expires,
        arguments.output.file_name().unwrap_or_default().to_string_lossy(),
        head.key
    );
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

/// The one bundle among files that are to be brought in; a bundle stands in place of what there is, so it comes alone.
pub(super) fn among(paths: &[PathBuf]) -> Result<Option<&Path>, Failure> {
    let bundle = paths.iter().find(|path| {
        let mut beginning = Vec::new();
        path.is_file() && File::open(path).and_then(|file| file.take(32).read_to_end(&mut beginning)).is_ok() && is_bundle(&beginning)
    });
    match (bundle, paths) {
        (Some(_), [one]) => Ok(Some(one)),
        (Some(bundle), _) => Err(Failure::new("E0229", Exit::Usage, format!("'{}' is a bundle, which comes alone", bundle.display()))
            .try_(format!("lestrade db import {}", bundle.display()))),
        (None, _) => Ok(None),
    }
}

pub(super) fn import(settings: &Settings, library: &Library, path: &Path) -> Result<Exit, Failure> {
    let mut file = BufReader::new(File::open(path).map_err(|error| unreadable(path, error))?);
    let import = library.import_bundle(&mut file, &trusted(settings)?, SystemClock.now()).map_err(failed)?;
    let mut out = format!("generation {} of {}", import.generation, import.head.made);
    match &import.diff {
        _ if import.unchanged => out.push_str(" · is in force already"),
        Some(diff) => out.push_str(&format!(" · {} added, {} changed, {} removed", diff.added, diff.changed, diff.removed)),
        None => {}
    }
    out.push('\n');
    output::write(None, &out)?;
    Ok(Exit::Ok)
}

/// The mirror that is set, if one is.
pub(super) fn followed(settings: &Settings) -> Result<Option<Mirror>, Failure> {
    let Some(url) = settings.text("mirror-url") else { return Ok(None) };
    Ok(Some(Mirror {
        url: url.to_owned(),
        token: settings.text("mirror-token").unwrap_or_default().to_owned(),
        keys: trusted(settings)?,
        families: families(&settings.list("mirror-ecosystems"))?,
    }))
}

/// Takes everything from the mirror that is set, if one is.
pub(super) fn update_from_mirror(settings: &Settings, library: &Library, speech: Speech) -> Result<Option<UpdateReport>, Failure> {
    let Some(mirror) = followed(settings)? else { return Ok(None) };
    feeds::watched(speech, |bars| mirror.update(library, SystemClock.now(), bars)).map(Some)
}

pub(super) fn mirror(settings: &Settings, library: &Library, arguments: &MirrorArgs) -> Result<Exit, Failure> {
    serve::start_logging();
    let tls = serve::tls(settings)?;
    let address = serve::listen_address(settings.text("mirror-listen").unwrap_or_default(), arguments.behind_proxy || tls.is_some())?;
    let token = settings.text("mirror-token").unwrap_or_default();
    if token.is_empty() && (arguments.behind_proxy || !address.ip().is_loopback()) {
        return Err(Failure::new("E0212", Exit::Usage, "others can reach the mirror, and it asks for no token")
            .try_("LESTRADE_MIRROR_TOKEN=… lestrade db mirror …"));
    }
    let signer = signer(settings)?;
    let key = signer.key();
    let mirror = lestrade_server::Mirror::new(library.clone(), signer, Arc::new(SystemClock), validity(settings), token);
    let failure = |error: std::io::Error| {
        Failure::new("E0322", Exit::Input, format!("{address} cannot be listened on")).cause(error).try_("--set mirror-listen=127.0.0.1:0")
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failure)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.map_err(failure)?;
        let bound = listener.local_addr().map_err(failure)?;
        let served = format!("{}://{bound}", if tls.is_some() { "https" } else { "http" });
        let said =
            format!("the mirror listens on {served}\n  there: lestrade db update --set mirror-url={served} --set bundle-keys={key}\n");
        let _ = output::write(None, &said);
        let (mirror, stop) = (Arc::new(mirror), serve::stopped());
        let ended = match tls {
            Some(tls) => serve_mirror(TlsListener::new(listener, tls).map_err(failure)?, mirror, stop).await,
            None => serve_mirror(listener, mirror, stop).await,
        };
        ended.map_err(|error| failure(std::io::Error::other(error)))
    })?;
    Ok(Exit::Ok)
}
