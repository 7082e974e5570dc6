//! Where reports go: buckets of S3 or of what speaks like it, or a folder that stands for them, in which a bucket is a folder.

use lestrade_aws::{BucketSettings, Buckets, Error, Https, ObjectWriter};
use lestrade_model::Clock;
use lestrade_wire::Endpoint;
use lestrade_wire::s3::Object;
use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Runtime;

/// How many objects are sent to a bucket at a time: each waits for the network.
const AT_ONCE: usize = 8;
/// What is collected before it is sent on.
const BUFFER: usize = 256 << 10;

/// Where reports go.
pub enum ExportPlace {
    /// A folder.
    Folder(PathBuf),
    /// Buckets.
    Buckets(Box<BucketPlace>),
}

/// Buckets, and who may be written to.
pub struct BucketPlace {
    settings: BucketSettings,
    /// The buckets that may be written to; empty for all that let us.
    allowed: Vec<String>,
    /// Whether what is written is encrypted with the key that is asked for.
    kms: bool,
    clock: Arc<dyn Clock>,
    runtime: Runtime,
    entered: Mutex<Option<Buckets<Https>>>,
}

impl BucketPlace {
    /// Buckets that are written to as `settings` say, all or those that are `allowed`. With `kms`, encrypted with the key that is
    /// asked for; some of what speaks like S3 has none. Nothing is asked of them yet.
    ///
    /// # Errors
    /// When the endpoint is none, or no thread can wait for answers.
    pub fn new(settings: BucketSettings, allowed: Vec<String>, kms: bool, clock: Arc<dyn Clock>) -> Result<Self> {
        if let Some(url) = settings.endpoint.as_deref().filter(|url| Endpoint::parse(url).is_none()) {
            return Err(std::io::Error::other(format!("'{url}' is not an endpoint: it is like https://host:port")));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("exports").enable_all().build()?;
        Ok(Self { settings, allowed, kms, clock, runtime, entered: Mutex::default() })
    }

    fn enter(&self) -> Result<Buckets<Https>> {
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        if entered.is_none() {
            let found = self.runtime.block_on(Buckets::enter(&self.settings, Arc::clone(&self.clock)));
            *entered = Some(found.map_err(std::io::Error::other)?);
        }
        entered.clone().ok_or_else(|| std::io::Error::other("no buckets"))
    }
}

impl ExportPlace {
    /// Whether a bucket of this name may be written to at all.
    pub(super) fn allows(&self, bucket: &str) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::Buckets(place) => place.allowed.is_empty() || place.allowed.iter().any(|allowed| allowed == bucket),
        }
    }

    /// How many files are well written at a time.
    pub(super) const fn at_once(&self) -> usize {
        match self {
            Self::Folder(_) => 1,
            Self::Buckets(_) => AT_ONCE,
        }
    }

    /// Writes a file that is there whole or not at all.
    pub(super) fn write<E: From<std::io::Error>>(
        &self,
        object: Object,
        body: impl FnOnce(&mut dyn Write) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        match self {
            Self::Folder(exports) => in_folder(exports.join(&object.bucket).join(&object.key), body),
            Self::Buckets(place) => {
                let kms_key = object.kms_key.filter(|_| place.kms);
                let buckets = place.enter()?;
                let sending = Sending { writer: buckets.write(Object { kms_key, ..object }), runtime: &place.runtime };
                let mut file = BufWriter::with_capacity(BUFFER, sending);
                let written = body(&mut file).and_then(|()| Ok(file.flush()?));
                let (mut sending, _) = file.into_parts();
                let done = written.and_then(|()| Ok(sending.finish()?));
                if done.is_err() {
                    sending.give_up();
                }
                done
            }
        }
    }
}

fn in_folder<E: From<std::io::Error>>(
    path: PathBuf,
    body: impl FnOnce(&mut dyn Write) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unfinished = path.with_file_name(format!(".{name}.part"));
    let mut file = BufWriter::new(File::create(&unfinished)?);
    let written = body(&mut file).and_then(|()| Ok(file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?));
    match written {
        Ok(()) => Ok(std::fs::rename(&unfinished, path)?),
        Err(error) => {
            let _ = std::fs::remove_file(&unfinished);
            Err(error)
        }
    }
}

/// An object on its way to a bucket. Its errors are those of the bucket, inside of those of files.
struct Sending<'a> {
    writer: ObjectWriter<Https>,
    runtime: &'a Runtime,
}

impl Sending<'_> {
    fn finish(&mut self) -> Result<()> {
        self.runtime.block_on(self.writer.finish()).map_err(std::io::Error::other)
    }

    fn give_up(&mut self) {
        if let Err(error) = self.runtime.block_on(self.writer.give_up()) {
            tracing::warn!(%error, "parts of a report that is given up stay in the bucket");
        }
    }
}

impl Write for Sending<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.runtime.block_on(self.writer.push(bytes)).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What a bucket said, if that is why a file could not be written.
pub(super) fn said_by_bucket(error: &std::io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}
