//! Archives inside an archive: what lies in them is shown as if they were folders, `deps.zip/node_modules/…`.

use crate::Limits;
use crate::content::Holder;
use crate::layer::walk_tar;
use crate::sink::{FileSink, Size};
use crate::zip::walk_within;
use lestrade_model::{Problem, ProblemKind};
use std::io::{Cursor, Read};

/// How deep archives lie in one another.
const MAX_DEPTH: usize = 3;

/// What an archive inside another is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nested {
    Zip,
    /// Also compressed.
    Tar,
}

impl Nested {
    /// By its name.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let lower = path.to_ascii_lowercase();
        let ends = |ending: &&str| lower.ends_with(*ending);
        if lower.ends_with(".zip") {
            return Some(Self::Zip);
        }
        [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(ends).then_some(Self::Tar)
    }
}

/// Shows what is in an archive at `path` whose bytes come from `body`.
pub(crate) fn show(kind: Nested, path: &str, body: &mut dyn Read, depth: usize, limits: &Limits, sink: &mut dyn FileSink) {
    let problem = |kind, detail: String| Problem { path: path.to_owned(), kind, detail };
    if depth >= MAX_DEPTH {
        sink.problem(problem(ProblemKind::LimitExceeded, format!("archives lie more than {MAX_DEPTH} deep in one another")));
        return;
    }
    // The outer archive's holder is at work: what lies deeper is held in memory alone.
    let mut holder = Holder::default();
    let mut inside = Inside { folder: path, sink };
    match kind {
        Nested::Tar => walk_tar(body, limits, &mut holder, &mut inside),
        Nested::Zip => {
            let mut content = Vec::new();
            let read = body.take(limits.file + 1).read_to_end(&mut content);
            if let Err(error) = read {
                let detail = error.to_string().lines().next().unwrap_or_default().to_owned();
                inside.sink.problem(problem(ProblemKind::Malformed, detail));
                return;
            }
            if content.len() as u64 > limits.file {
                let detail = format!("the archive is larger than {} MiB", limits.file >> 20);
                inside.sink.problem(problem(ProblemKind::LimitExceeded, detail));
                return;
            }
            if let Err(why) = walk_within(Cursor::new(content), depth + 1, limits, &mut holder, &mut inside) {
                inside.sink.problem(problem(ProblemKind::Malformed, why));
            }
        }
    }
}

/// A sink that sees an archive as a folder. It is no layer: nothing in it hides what lies elsewhere.
struct Inside<'a> {
    folder: &'a str,
    sink: &'a mut dyn FileSink,
}

impl Inside<'_> {
    fn at(&self, path: &str) -> String {
        if path.is_empty() { self.folder.to_owned() } else { format!("{}/{path}", self.folder) }
    }
}

impl FileSink for Inside<'_> {
    fn wants(&mut self, path: &str) -> Option<Size> {
        let at = self.at(path);
        self.sink.wants(&at)
    }

    fn wants_program(&mut self, head: &[u8]) -> bool {
        self.sink.wants_program(head)
    }

    fn leads(&mut self, _path: &str) -> bool {
        false
    }

    fn file(&mut self, path: &str, content: &[u8]) {
        let at = self.at(path);
        self.sink.file(&at, content);
    }

    fn link(&mut self, path: &str, target: &str) {
        let at = self.at(path);
        self.sink.link(&at, target);
    }

    fn way(&mut self, _path: &str, _link: Option<&str>) {}

    fn hides(&mut self, _path: &str) {}

    fn whiteout(&mut self, _path: &str) {}

    fn opaque(&mut self, _folder: &str) {}

    fn problem(&mut self, problem: Problem) {
        let path = self.at(&problem.path);
        self.sink.problem(Problem { path, ..problem });
    }
}
