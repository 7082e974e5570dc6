//! Who takes files.

use lestrade_model::Problem;

/// Takes what a walk comes across. Paths are relative to the root, `/`-separated, without `.` and `..`.
pub trait FileSink {
    /// Whether the content of a file at this path is wanted.
    fn wants(&mut self, path: &str) -> bool;

    /// Whether a link at this path, or a folder in a link's place, lies on the way to a file that is wanted by its full name.
    fn leads(&mut self, path: &str) -> bool;

    /// A wanted file's content.
    fn file(&mut self, path: &str, content: &[u8]);

    /// A wanted path that is a link to another.
    fn link(&mut self, path: &str, target: &str);

    /// What lies on the way: a link and where it leads, or a folder.
    fn way(&mut self, path: &str, link: Option<&str>);

    /// An entry that is no folder: it hides what the layers below have at and below its path.
    fn hides(&mut self, path: &str);

    /// A path that this layer removes from the layers below.
    fn whiteout(&mut self, path: &str);

    /// A folder of which this layer hides what the layers below have in it; empty for the root.
    fn opaque(&mut self, folder: &str);

    /// A part that could not be read.
    fn problem(&mut self, problem: Problem);
}
