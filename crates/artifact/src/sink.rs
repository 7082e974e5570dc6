//! Who takes files.

use lestrade_model::Problem;

/// How large a wanted file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// As text is: [`crate::Limits::file`].
    Text,
    /// As programs, archives and databases are: [`crate::Limits::large`].
    Large,
}

impl Size {
    pub(crate) const fn most(self, limits: &crate::Limits) -> u64 {
        match self {
            Self::Text => limits.file,
            Self::Large => limits.large,
        }
    }
}

/// Takes what a walk comes across. Paths are relative to the root, `/`-separated, without `.` and `..`.
pub trait FileSink {
    /// Whether the content of a file at this path is wanted, and how large it may be.
    fn wants(&mut self, path: &str) -> Option<Size>;

    /// Whether a file that may be executed and is not wanted by its path is wanted for its content, which begins like this.
    fn wants_program(&mut self, head: &[u8]) -> bool;

    /// Whether a program may hold something, by a look into it here and there. Only asked where that costs less than reading it.
    fn wants_to_look_into(&mut self, _program: &dyn crate::ReadAt) -> bool {
        true
    }

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
