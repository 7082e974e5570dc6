//! What an extractor is, and the one automaton of all their paths.

use crate::maven::MavenProject;
use crate::names::Names;
use crate::{FileReport, Found};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use lestrade_artifact::Size;
use lestrade_model::{OsRelease, ProblemKind};

/// Names an extractor and the revision of its behaviour. Both are part of the key under which a layer's result is cached: an
/// extractor that learns something raises its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtractorId {
    /// Its name.
    pub name: &'static str,
    /// Its revision.
    pub version: u32,
}

/// Why a file was not understood.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// It is not what its name promises.
    #[error("{0}")]
    Malformed(String),
    /// It ends too early.
    #[error("{0}")]
    Truncated(String),
    /// A variant that is recognised and not read.
    #[error("{0}")]
    Unsupported(String),
    /// It is more than is read of one file.
    #[error("{0}")]
    TooMuch(String),
}

impl ExtractError {
    pub(crate) const fn kind(&self) -> ProblemKind {
        match self {
            Self::Malformed(_) => ProblemKind::Malformed,
            Self::Truncated(_) => ProblemKind::Truncated,
            Self::Unsupported(_) => ProblemKind::Unsupported,
            Self::TooMuch(_) => ProblemKind::LimitExceeded,
        }
    }

    /// The same, of a part of the file.
    pub(crate) fn at(self, part: &str) -> Self {
        let of = |text: String| format!("{part}: {text}");
        match self {
            Self::Malformed(text) => Self::Malformed(of(text)),
            Self::Truncated(text) => Self::Truncated(of(text)),
            Self::Unsupported(text) => Self::Unsupported(of(text)),
            Self::TooMuch(text) => Self::TooMuch(of(text)),
        }
    }

    /// The error of a JSON parser, which knows where a document that was cut ends.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        if error.is_data() {
            return Self::Malformed(format!("not the JSON that it should be, at line {} column {}", error.line(), error.column()));
        }
        Self::json_at(error.is_eof(), error.line(), error.column())
    }

    /// The same of a place that somebody else found.
    pub(crate) fn json_at(is_end: bool, line: usize, column: usize) -> Self {
        if is_end {
            return Self::Truncated(format!("the JSON ends at line {line} column {column}"));
        }
        Self::Malformed(format!("not valid JSON at line {line} column {column}"))
    }
}

/// A file that an extractor asked for, whole and within bounds.
#[derive(Debug)]
pub struct WantedFile<'a> {
    /// Its path below the root.
    pub path: &'a str,
    /// Its content.
    pub content: &'a [u8],
}

impl<'a> WantedFile<'a> {
    /// The content as text; bytes that are no UTF-8 become replacement characters, a byte-order mark is dropped. Windows tools
    /// write UTF-16, which its mark tells.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'a, str> {
        let wide = |from: fn([u8; 2]) -> u16| {
            let units = self.content[2..].chunks_exact(2).map(|pair| from([pair[0], pair[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into()
        };
        match self.content {
            [0xff, 0xfe, ..] => return wide(u16::from_le_bytes),
            [0xfe, 0xff, ..] => return wide(u16::from_be_bytes),
            _ => {}
        }
        let content = self.content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(self.content);
        String::from_utf8_lossy(content)
    }
}

/// Takes what an extractor finds in a file.
pub trait InventorySink {
    /// A package.
    fn found(&mut self, found: Found);
    /// A package that lies in an archive inside the file, at this place in it; empty for the file itself.
    fn found_in(&mut self, place: &str, found: Found);
    /// The operating system.
    fn os(&mut self, os: OsRelease);
    /// A path that an operating system's package owns.
    fn owns(&mut self, path: &str);
    /// The Maven project that the file describes.
    fn maven(&mut self, project: MavenProject);
    /// A part of the file that was not understood while the rest was.
    fn problem(&mut self, error: ExtractError);
}

/// Reads files of one kind.
pub trait Extractor: Sync {
    /// Who it is.
    fn id(&self) -> ExtractorId;

    /// The paths that it wants: globs in which `*` stops at `/` and `**/` is any folder.
    fn wants(&self) -> &'static [&'static str];

    /// How large its files may be.
    fn largest(&self) -> Size {
        Size::Text
    }

    /// Whether it also wants programs, whatever they are called.
    fn wants_programs(&self) -> bool {
        false
    }

    /// Reads one file.
    ///
    /// # Errors
    /// When nothing of it can be understood.
    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError>;
}

/// All extractors and their one automaton.
pub struct Extractors {
    all: &'static [&'static dyn Extractor],
    automaton: GlobSet,
    names: Names,
    /// Which extractor each pattern of the automaton belongs to.
    owners: Vec<usize>,
    /// The paths that are wanted by their full name.
    well_known: Vec<&'static str>,
}

impl Extractors {
    /// Compiles the patterns.
    ///
    /// # Panics
    /// When a pattern of an extractor is not a glob: a fault of the program, found by any test.
    #[must_use]
    #[allow(clippy::expect_used, reason = "patterns are constants of the program")]
    pub fn new(all: &'static [&'static dyn Extractor]) -> Self {
        let mut builder = GlobSetBuilder::new();
        let (mut owners, mut names) = (Vec::new(), Names::default());
        for (owner, extractor) in all.iter().enumerate() {
            for pattern in extractor.wants() {
                builder.add(GlobBuilder::new(pattern).literal_separator(true).build().expect("a pattern of ours is a glob"));
                names.add(pattern);
                owners.push(owner);
            }
        }
        let well_known = Self::well_known(all).collect();
        Self { all, automaton: builder.build().expect("globs of ours compile"), names, owners, well_known }
    }

    /// Whether any extractor wants the file at `path`.
    #[must_use]
    pub fn want(&self, path: &str) -> bool {
        self.names.may_be(path) && self.automaton.is_match(path)
    }

    /// How large the file at `path` may be; none if no extractor wants it.
    #[must_use]
    pub fn size(&self, path: &str) -> Option<Size> {
        let size = |pattern: usize| self.all[self.owners[pattern]].largest();
        // Most paths of a system are nobody's: they cost one look.
        self.want(path).then(|| self.automaton.matches(path).into_iter().map(size).max()).flatten()
    }

    /// The paths that extractors want by their full name.
    pub fn well_known(all: &[&'static dyn Extractor]) -> impl Iterator<Item = &'static str> {
        all.iter().flat_map(|extractor| extractor.wants()).copied().filter(|pattern| !pattern.contains(['*', '?', '[', '{']))
    }

    /// Whether a path lies above one that is wanted by its full name.
    #[must_use]
    pub fn leads(&self, path: &str) -> bool {
        self.well_known.iter().any(|known| lies_above(path, known))
    }

    /// What everything that decides a layer's result is called.
    #[must_use]
    pub fn fingerprint(all: &[&dyn Extractor]) -> String {
        all.iter().map(|e| format!("{}@{}", e.id().name, e.id().version)).collect::<Vec<_>>().join(",")
    }

    /// Reads a file with every extractor that wants it.
    #[must_use]
    pub fn read(&self, path: &str, content: &[u8]) -> FileReport {
        self.read_as(path, path, content)
    }

    /// Reads a file as if it lay at another path, from where a link leads to it.
    #[must_use]
    pub(crate) fn read_as(&self, wanted_as: &str, path: &str, content: &[u8]) -> FileReport {
        let mut report = FileReport { path: path.to_owned(), ..FileReport::default() };
        let path = wanted_as;
        let mut owners: Vec<usize> = self.automaton.matches(path).into_iter().map(|pattern| self.owners[pattern]).collect();
        if owners.is_empty() {
            // Nobody wants it by its name: it was read because it is a program.
            owners = (0..self.all.len()).filter(|owner| self.all[*owner].wants_programs()).collect();
        }
        owners.dedup();
        for owner in owners {
            let file = WantedFile { path, content };
            if let Err(error) = self.all[owner].extract(&file, &mut Sink { report: &mut report, extractors: self }) {
                report.problems.push((error.kind(), error.to_string()));
            }
        }
        report
    }
}

/// Whether `folder` is a folder above `path`.
pub(crate) fn lies_above(folder: &str, path: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

struct Sink<'a> {
    report: &'a mut FileReport,
    extractors: &'a Extractors,
}

impl InventorySink for Sink<'_> {
    fn found(&mut self, found: Found) {
        self.report.found.push(found);
    }
    fn found_in(&mut self, place: &str, found: Found) {
        if !place.is_empty() {
            self.report.places.push((self.report.found.len() as u32, place.to_owned()));
        }
        self.report.found.push(found);
    }
    fn os(&mut self, os: OsRelease) {
        self.report.os = Some(os);
    }
    fn owns(&mut self, path: &str) {
        // Of a million owned paths only those matter that some extractor would read.
        if self.extractors.want(path) {
            self.report.owns.push(path.to_owned());
        }
    }
    fn maven(&mut self, project: MavenProject) {
        self.report.maven = Some(Box::new(project));
    }
    fn problem(&mut self, error: ExtractError) {
        self.report.problems.push((error.kind(), error.to_string()));
    }
}
