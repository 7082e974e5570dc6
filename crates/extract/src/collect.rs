//! The sink that a walk fills: every wanted file is read at once and forgotten.

use crate::extractors::programs::{is_program, may_hold_packages};
use crate::report::{Alias, shadow};
use crate::{Extractors, FileReport, LayerReport};
use lestrade_artifact::{FileSink, ReadAt, Size};
use lestrade_model::{Problem, ProblemKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most problems, packages and links of one layer that are kept.
const MAX_PROBLEMS: usize = 1000;
const MAX_FOUND: usize = 1_000_000;
const MAX_WAYS: usize = 200_000;

/// Fills a [`LayerReport`].
pub struct Collector<'a> {
    extractors: &'a Extractors,
    aliases: &'a [Alias],
    report: LayerReport,
    found: usize,
}

impl<'a> Collector<'a> {
    /// Reads with these extractors.
    #[must_use]
    pub fn new(extractors: &'a Extractors) -> Self {
        Self { extractors, aliases: &[], report: LayerReport::default(), found: 0 }
    }

    /// Reads also files that links lead to.
    pub(crate) fn with_aliases(self, aliases: &'a [Alias]) -> Self {
        Self { aliases, ..self }
    }

    fn alias(&self, path: &str) -> Option<&'a Alias> {
        self.aliases.iter().find(|alias| alias.path == path)
    }

    /// What was collected.
    #[must_use]
    pub fn finish(mut self) -> LayerReport {
        self.report.shadows.sort_unstable();
        self.report.shadows.dedup();
        self.report
    }
}

impl FileSink for Collector<'_> {
    fn wants(&mut self, path: &str) -> Option<Size> {
        self.extractors.size(path).or_else(|| self.extractors.size(&self.alias(path)?.wanted_as))
    }

    fn wants_program(&mut self, head: &[u8]) -> bool {
        is_program(head)
    }

    fn wants_to_look_into(&mut self, program: &dyn ReadAt) -> bool {
        may_hold_packages(program)
    }

    fn leads(&mut self, path: &str) -> bool {
        // Where a link was met whose target nobody asks for by its name, the next may lead anywhere: all of them are kept, so that a
        // chain costs one more look and not one for each of its links.
        !self.aliases.is_empty() || self.extractors.leads(path)
    }

    fn way(&mut self, path: &str, link: Option<&str>) {
        if self.report.ways.len() < MAX_WAYS {
            self.report.ways.push((path.to_owned(), link.map(str::to_owned)));
        }
    }

    fn hides(&mut self, path: &str) {
        self.report.shadows.push(shadow(path));
    }

    fn file(&mut self, path: &str, content: &[u8]) {
        let wanted_as = self.alias(path).map_or(path, |alias| &alias.wanted_as);
        // A file that makes an extractor panic costs itself, not the layer. Nothing of ours is left half done: reports are values.
        let read = catch_unwind(AssertUnwindSafe(|| self.extractors.read_as(wanted_as, path, content)));
        let report = read.unwrap_or_else(|_| {
            let problem = (ProblemKind::Malformed, "reading it failed, which is a fault of lestrade".to_owned());
            FileReport { path: path.to_owned(), problems: vec![problem], ..FileReport::default() }
        });
        // Of the thousands of programs that were looked into most say nothing.
        if report == (FileReport { path: path.to_owned(), ..FileReport::default() }) && !self.extractors.want(wanted_as) {
            return;
        }
        self.found += report.found.len();
        if self.found > MAX_FOUND {
            let detail = format!("more than {MAX_FOUND} packages");
            return self.problem(Problem { path: path.to_owned(), kind: ProblemKind::LimitExceeded, detail });
        }
        self.report.files.push(report);
    }

    fn link(&mut self, path: &str, target: &str) {
        self.report.files.push(FileReport { path: path.to_owned(), link: Some(target.to_owned()), ..FileReport::default() });
    }

    fn whiteout(&mut self, path: &str) {
        self.report.whiteouts.push(path.to_owned());
    }

    fn opaque(&mut self, folder: &str) {
        self.report.opaque.push(folder.to_owned());
    }

    fn problem(&mut self, problem: Problem) {
        if self.report.problems.len() < MAX_PROBLEMS {
            self.report.problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};

    struct Faulty;

    impl Extractor for Faulty {
        fn id(&self) -> ExtractorId {
            ExtractorId { name: "faulty", version: 1 }
        }
        fn wants(&self) -> &'static [&'static str] {
            &["*"]
        }
        fn extract(&self, file: &WantedFile<'_>, _out: &mut dyn InventorySink) -> Result<(), ExtractError> {
            assert!(file.content != b"bad", "what no extractor should do");
            Ok(())
        }
    }

    #[test]
    fn a_file_that_makes_an_extractor_panic_costs_itself() {
        let extractors = Extractors::new(&[&Faulty]);
        let mut collector = Collector::new(&extractors);
        for (path, content) in [("a", "good"), ("b", "bad"), ("c", "good")] {
            collector.file(path, content.as_bytes());
        }
        let problems: Vec<usize> = collector.finish().files.iter().map(|file| file.problems.len()).collect();
        assert_eq!(problems, [0, 1, 0]);
    }
}
