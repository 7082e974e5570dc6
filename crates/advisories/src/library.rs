//! Generations of the index on disk.
//!
//! ```text
//! <folder>/current           the name of the generation in force
//! <folder>/<hash>.index      generations, by the hash of their bytes; the last three are kept
//! <folder>/numbered          the highest number that a generation ever had
//! <folder>/writing           locked by whoever makes the next generation
//! ```
//!
//! A generation is written to a temporary file, synced, renamed to its name, and only then named in `current`, which is itself
//! replaced by rename: a crash leaves either the old or the new one in force.

use crate::{AdvisoriesError, Importer};
use lestrade_matching::{AdvisoryIndex, IndexError, ReportMode};
use lestrade_model::{Hash, Timestamp};
use lestrade_sys::{MappedFile, step};
use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file in which updates keep how far each feed is.
pub(crate) const FEED_MEMORY: &str = "feeds.json";
/// The file of the highest number, which outlives generations that are removed, damaged or of another version.
const NUMBERED: &str = "numbered";
/// The file that whoever makes the next generation holds locked.
const WRITING: &str = "writing";
/// How many generations are kept.
const KEPT: usize = 3;

/// Names a generation: the hash of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GenerationId(String);

impl GenerationId {
    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A generation that is mapped.
pub type OpenIndex = AdvisoryIndex<MappedFile>;

/// Says that hundreds of packages are about to be looked up. A single one is found sooner when nothing is read that is around it, but
/// many are when the kernel reads ahead.
pub fn expect_many(index: &OpenIndex) {
    index.source().is_read_through(0..index.look_up_end());
}

/// A folder of generations.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
    mode: ReportMode,
}

impl Library {
    /// The library in a folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), mode: ReportMode::Full }
    }

    /// The same, of whose generations only a part is reported.
    #[must_use]
    pub fn reporting(self, mode: ReportMode) -> Self {
        Self { mode, ..self }
    }

    /// What of its generations is reported.
    #[must_use]
    pub const fn mode(&self) -> ReportMode {
        self.mode
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn file(&self, id: &GenerationId) -> PathBuf {
        self.folder.join(format!("{id}.index"))
    }

    /// The generation in force; none when nothing was ever brought in.
    ///
    /// # Errors
    /// When the folder cannot be read or `current` is damaged.
    pub fn current(&self) -> Result<Option<GenerationId>, AdvisoriesError> {
        let path = self.folder.join("current");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let id = text.trim();
                let sound = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
                sound
                    .then(|| Some(GenerationId(id.to_owned())))
                    .ok_or_else(|| AdvisoriesError::NotAFeed { path, reason: "it does not name a generation".into() })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(AdvisoriesError::Io { action: "read", path, source }),
        }
    }

    /// The id of a generation by its text; none when the text is not one.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<GenerationId> {
        let id = id.trim();
        (id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| GenerationId(id.to_owned()))
    }

    /// Opens a generation by mapping it.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn open(&self, id: &GenerationId) -> Result<OpenIndex, AdvisoriesError> {
        let path = self.file(id);
        let mapped = MappedFile::open(&path).map_err(AdvisoriesError::io("open", &path))?;
        mapped.is_jumped_about_in(0..usize::MAX);
        let index = AdvisoryIndex::open(mapped)?.reporting(self.mode);
        index.source().is_read_through(index.look_up_end()..usize::MAX);
        Ok(index)
    }

    /// Opens the generation in force.
    ///
    /// # Errors
    /// When there is none, it cannot be read or is damaged. One of another version of this program is none: it is brought in anew.
    pub fn open_current(&self) -> Result<(GenerationId, OpenIndex), AdvisoriesError> {
        let id = self.current()?.ok_or(AdvisoriesError::NoGeneration)?;
        match self.open(&id) {
            Err(AdvisoriesError::Index(IndexError::OtherVersion)) => Err(AdvisoriesError::NoGeneration),
            opened => Ok((id, opened?)),
        }
    }

    /// The generations that are kept and can be opened, the newest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn generations(&self) -> Result<Vec<(GenerationId, OpenIndex)>, AdvisoriesError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(AdvisoriesError::io("read", &self.folder))?,
        };
        let ids = entries.flatten().filter_map(|entry| self.named(entry.file_name().to_str()?.strip_suffix(".index")?));
        let mut kept: Vec<(GenerationId, OpenIndex)> = ids.filter_map(|id| Some((id.clone(), self.open(&id).ok()?))).collect();
        kept.sort_by_key(|(id, index)| (std::cmp::Reverse(index.manifest().generation), id.0.clone()));
        Ok(kept)
    }

    /// The generation in force, if there is one, and the beginning of the next on top of it. Its number is one that none had before,
    /// also after going back.
    ///
    /// # Errors
    /// When the folder cannot be read or the generation in force is damaged.
    pub fn next(&self, now: Timestamp) -> Result<(Option<OpenIndex>, Importer), AdvisoriesError> {
        let (current, importer) = match self.open_current() {
            Ok((id, index)) => {
                index.verify()?;
                let path = self.file(&id);
                let again = MappedFile::open(&path).map_err(AdvisoriesError::io("open", &path))?;
                (Some(index), Importer::over(again, now)?)
            }
            Err(AdvisoriesError::NoGeneration) => (None, Importer::new(now)),
            Err(error) => return Err(error),
        };
        let importer = importer.numbered_after(self.highest_number()?);
        Ok((current, importer))
    }

    /// Waits until nobody else makes the next generation of this library, in this process or another, and keeps others from it
    /// until what is answered is dropped.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn writing(&self) -> Result<File, AdvisoriesError> {
        fs::create_dir_all(&self.folder).map_err(AdvisoriesError::io("create", &self.folder))?;
        let path = self.folder.join(WRITING);
        let file = File::options().create(true).append(true).open(&path).map_err(AdvisoriesError::io("open", &path))?;
        file.lock().map_err(AdvisoriesError::io("lock", &path))?;
        Ok(file)
    }

    /// The highest number that a generation ever had; 0 before the first.
    pub(crate) fn highest_number(&self) -> Result<u64, AdvisoriesError> {
        // What cannot be read of the file is made up for by the generations themselves.
        let noted = fs::read_to_string(self.folder.join(NUMBERED)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let kept = self.generations()?.first().map_or(0, |(_, index)| index.manifest().generation);
        Ok(kept.max(noted))
    }

    /// Puts a generation in force that is kept, and forgets how far feeds were: what they bring next is judged anew.
    ///
    /// # Errors
    /// When it is damaged, or cannot be put in force; the one in force then stays.
    pub fn put_in_force(&self, id: &GenerationId) -> Result<(), AdvisoriesError> {
        self.open(id)?.verify()?;
        let _writing = self.writing()?;
        self.forget_feeds()?;
        self.write(&self.folder.join("current"), format!("{id}\n").as_bytes())
    }

    /// Forgets how far feeds were: what is in force is not what they brought.
    pub(crate) fn forget_feeds(&self) -> Result<(), AdvisoriesError> {
        let path = self.folder.join(FEED_MEMORY);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(AdvisoriesError::Io { action: "remove", path, source }),
            _ => Ok(()),
        }
    }

    /// Writes a generation and puts it in force.
    ///
    /// # Errors
    /// When it cannot be written; the one in force then stays.
    pub fn publish(&self, bytes: &[u8]) -> Result<GenerationId, AdvisoriesError> {
        let index = AdvisoryIndex::open(bytes)?;
        index.verify()?;
        fs::create_dir_all(&self.folder).map_err(AdvisoriesError::io("create", &self.folder))?;
        let id = GenerationId(Hash::of(bytes).to_string());
        let highest = self.highest_number()?.max(index.manifest().generation);
        self.write(&self.folder.join(NUMBERED), format!("{highest}\n").as_bytes())?;
        step("generation: numbered");
        self.write(&self.file(&id), bytes)?;
        step("generation: written");
        self.write(&self.folder.join("current"), format!("{id}\n").as_bytes())?;
        step("generation: in force");
        self.prune(&id);
        Ok(id)
    }

    /// Keeps a file beside the generations, replaced whole.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), AdvisoriesError> {
        self.write(&self.folder.join(name), bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), AdvisoriesError> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(AdvisoriesError::io("write in", &self.folder))?;
        file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(AdvisoriesError::io("write", path))?;
        step("file: written");
        file.persist(path).map_err(|error| AdvisoriesError::Io { action: "write", path: path.to_owned(), source: error.error })?;
        step("file: renamed");
        // Without this the rename itself may be lost with the power.
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(AdvisoriesError::io("sync", &self.folder))
    }

    /// Removes all but the newest generations. What cannot be removed now is removed next time.
    fn prune(&self, current: &GenerationId) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut old: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "index") && *path != self.file(current))
            .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        old.sort_unstable_by(|a, b| b.cmp(a));
        for (_, path) in old.into_iter().skip(KEPT - 1) {
            let _ = fs::remove_file(path);
        }
    }
}
