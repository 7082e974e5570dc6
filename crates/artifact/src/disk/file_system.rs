//! What a file system answers, whichever it is, and a file of one as bytes.

use super::numbers::{malformed, too_much};
use crate::ReadAt;
use lestrade_model::Problem;
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read};

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    /// A device, FIFO or socket.
    Special,
}

impl Kind {
    /// By the type in a POSIX mode.
    pub(super) const fn of_mode(mode: u16) -> Self {
        match mode >> 12 {
            8 => Self::File,
            4 => Self::Folder,
            10 => Self::Link,
            _ => Self::Special,
        }
    }
}

/// An inode.
pub(super) struct Node {
    pub(super) number: u64,
    pub(super) kind: Kind,
    /// Bytes of its content.
    pub(super) size: u64,
    /// Whether somebody may execute it.
    pub(super) executable: bool,
    /// Why its content cannot be had, if so: it is encrypted, or lies on another device.
    pub(super) closed: Option<&'static str>,
    /// As it is stored.
    pub(super) raw: Vec<u8>,
}

/// A part of a file's content that lies in one piece on the device. Units are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Where in the file.
    pub(super) at: u64,
    pub(super) length: u64,
    /// Where on the device.
    pub(super) device: u64,
}

/// Takes the names of a folder: the name and the number of its inode.
pub(super) type Names<'a> = &'a mut dyn FnMut(&[u8], u64) -> io::Result<()>;

/// A file system that is read. It reads what is asked for, when it is asked.
pub(super) trait FileSystem {
    /// What it lies on.
    fn device(&self) -> &dyn ReadAt;

    /// The number of the root's inode.
    fn root(&self) -> u64;

    /// An inode.
    fn node(&self, number: u64) -> io::Result<Node>;

    /// The content of a file that is stored in its inode.
    fn inline(&self, node: &Node) -> io::Result<Option<Vec<u8>>>;

    /// Where the bytes `from..to` of a content lie, in order; what is between the runs is zero. They may reach beyond what was asked for.
    fn runs(&self, node: &Node, from: u64, to: u64) -> io::Result<Vec<Run>>;

    /// Lists a folder, with `.` and `..` where they are stored.
    fn names(&self, folder: &Node, each: Names<'_>) -> io::Result<()>;

    /// Where a link leads.
    fn target(&self, link: &Node) -> io::Result<Vec<u8>>;

    /// What of the whole is not as it should be, though it can be read.
    fn problems(&self) -> &[Problem];
}

/// How much of a file is mapped at a time.
const WINDOW: u64 = 4 << 20;
/// The most bytes of a folder's names.
const MAX_FOLDER: u64 = 512 << 20;

/// A file of a file system.
pub(super) struct Body<'a> {
    system: &'a dyn FileSystem,
    node: &'a Node,
    inline: Option<Vec<u8>>,
    mapped: RefCell<Mapped>,
}

/// The runs of a part of a file.
#[derive(Default)]
struct Mapped {
    from: u64,
    to: u64,
    runs: Vec<Run>,
}

impl<'a> Body<'a> {
    pub(super) fn of(system: &'a dyn FileSystem, node: &'a Node) -> io::Result<Self> {
        Ok(Self { system, node, inline: system.inline(node)?, mapped: RefCell::default() })
    }

    /// Fills a buffer that lies in one window.
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut mapped = self.mapped.borrow_mut();
        if !(mapped.from..mapped.to).contains(&offset) {
            let from = offset / WINDOW * WINDOW;
            *mapped = Mapped { from, to: from + WINDOW, runs: self.system.runs(self.node, from, from + WINDOW)? };
        }
        buffer.fill(0);
        let end = offset + buffer.len() as u64;
        for run in &mapped.runs {
            let run_end = run.at.checked_add(run.length).ok_or_else(|| malformed("a file's map is not one"))?;
            let (start, stop) = (run.at.max(offset), run_end.min(end));
            if start < stop {
                let part = buffer.get_mut((start - offset) as usize..(stop - offset) as usize).unwrap_or_default();
                self.system.device().read_at(run.device + (start - run.at), part)?;
            }
        }
        Ok(())
    }
}

impl ReadAt for Body<'_> {
    fn size(&self) -> u64 {
        self.node.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.node.size) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(inline) = &self.inline {
            return inline.read_at(offset, buffer);
        }
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let room = usize::try_from(WINDOW - at % WINDOW).map_or(rest.len(), |room| room.min(rest.len()));
            let (now, later) = rest.split_at_mut(room);
            self.fill(at, now)?;
            at += room as u64;
            rest = later;
        }
        Ok(())
    }
}

/// The same, from its beginning to its end.
pub(super) struct Reading<'a> {
    pub(super) body: &'a Body<'a>,
    pub(super) position: u64,
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.body.size().saturating_sub(self.position);
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len())).min(WINDOW as usize);
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        self.body.read_at(self.position, buffer)?;
        self.position += length as u64;
        Ok(length)
    }
}

/// Calls `each` with every block of a folder that is stored, in order.
pub(super) fn folder_blocks(
    system: &dyn FileSystem,
    folder: &Node,
    block: usize,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    if folder.size > MAX_FOLDER {
        return Err(too_much(format!("a folder of more than {} MiB of names", MAX_FOLDER >> 20)));
    }
    let body = Body::of(system, folder)?;
    let mut bytes = vec![0; block];
    let mut window = 0;
    while window < folder.size {
        let mut next = window;
        for run in system.runs(folder, window, window + WINDOW)? {
            let start = run.at.max(next) / block as u64 * block as u64;
            let stop = run.at.saturating_add(run.length).min(window + WINDOW);
            let mut at = start.max(next);
            while at < stop && at + block as u64 <= folder.size {
                body.read_at(at, &mut bytes)?;
                each(&bytes)?;
                at += block as u64;
                next = at;
            }
        }
        window += WINDOW;
    }
    Ok(())
}
