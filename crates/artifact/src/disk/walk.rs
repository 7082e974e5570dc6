//! A file system as a stream of files: the names and inodes of all folders are read, and of the files those that are wanted. Links are
//! followed inside the file system alone, and for files that are looked for under their full names.

use super::file_system::{Body, FileSystem, Kind, Node, Reading};
use crate::ReadAt;
use crate::content::Holder;
use crate::layer::{Program, is_too_large_inside, show_file};
use crate::path::shown;
use crate::sink::{FileSink, Size};
use crate::stop::Reason;
use crate::{Limits, Skip};
use lestrade_model::{Problem, ProblemKind};
use std::collections::{BTreeMap, HashSet};
use std::io;

/// How many links lie on the way to a file at most, as in the kernel.
const MAX_LINKS: usize = 40;

/// Shows the files of a file system, in the order of their names, to a sink. The files of `well_known` are looked for under their full
/// names, wherever links lead.
pub(super) fn walk(
    system: &dyn FileSystem,
    well_known: &[&str],
    skip: &Skip,
    limits: &Limits,
    holder: &mut Holder,
    sink: &mut dyn FileSink,
) {
    for problem in system.problems() {
        sink.problem(problem.clone());
    }
    let mut walk =
        Walk { system, skip, limits, holder, sink, entries: 0, read: 0, entered: HashSet::new(), shown: HashSet::new(), stopped: false };
    match system.node(system.root()) {
        Ok(root) if root.kind == Kind::Folder => walk.folder(&root, "", 0),
        Ok(_) => walk.problem("", ProblemKind::Malformed, "the root is no folder"),
        Err(error) => walk.unreadable("", &error),
    }
    for path in well_known {
        walk.follow(path);
    }
}

struct Walk<'a> {
    system: &'a dyn FileSystem,
    skip: &'a Skip,
    limits: &'a Limits,
    holder: &'a mut Holder,
    sink: &'a mut dyn FileSink,
    entries: u64,
    /// Bytes of content that were shown.
    read: u64,
    /// The folders that were entered: each has one place, unless somebody lies.
    entered: HashSet<u64>,
    /// The wanted files that the walk came across.
    shown: HashSet<String>,
    /// Whether a limit of the whole was reached.
    stopped: bool,
}

impl Walk<'_> {
    fn problem(&mut self, path: &str, kind: ProblemKind, detail: impl Into<String>) {
        self.sink.problem(Problem { path: path.to_owned(), kind, detail: detail.into() });
    }

    fn unreadable(&mut self, path: &str, error: &io::Error) {
        self.sink.problem(Problem { path: path.to_owned(), ..super::problem(error) });
    }

    /// The names of a folder and their inodes' numbers, sorted. What can be had of a folder that is damaged is had.
    fn names(&mut self, folder: &Node, path: &str) -> BTreeMap<Vec<u8>, u64> {
        let mut names = BTreeMap::new();
        let mut nameless = None;
        let room = self.limits.entries.saturating_sub(self.entries);
        let mut count = 0;
        let listed = self.system.names(folder, &mut |name, number| {
            count += 1;
            if count > room {
                return Err(Reason::error(ProblemKind::LimitExceeded, format!("more than {} files", self.limits.entries)));
            }
            match name {
                b"." | b".." => {}
                name if name.contains(&b'/') || name.contains(&0) => nameless = Some(shown(name)),
                name => drop(names.insert(name.to_vec(), number)),
            }
            Ok(())
        });
        self.entries += count;
        self.stopped |= count > room;
        if let Err(error) = listed {
            self.unreadable(path, &error);
        }
        if let Some(name) = nameless {
            self.problem(path, ProblemKind::Malformed, format!("a file with a name that no file can have ('{name}')"));
        }
        names
    }

    fn folder(&mut self, folder: &Node, relative: &str, depth: usize) {
        if depth > self.limits.depth {
            return self.problem(relative, ProblemKind::LimitExceeded, format!("deeper than {} folders", self.limits.depth));
        }
        if let Some(why) = folder.closed {
            return self.problem(relative, ProblemKind::Unsupported, format!("a folder that is {why}"));
        }
        if !self.entered.insert(folder.number) {
            return self.problem(relative, ProblemKind::Malformed, "a folder that lies in two places");
        }
        for (name, number) in self.names(folder, relative) {
            if self.stopped {
                return;
            }
            let name = String::from_utf8_lossy(&name);
            let path = if relative.is_empty() { name.into_owned() } else { format!("{relative}/{name}") };
            if path.len() > self.limits.name {
                self.problem(relative, ProblemKind::LimitExceeded, format!("a path of more than {} bytes", self.limits.name));
                continue;
            }
            match self.system.node(number) {
                Ok(node) => match node.kind {
                    Kind::Folder if !self.skip.folder(&path) => self.folder(&node, &path, depth + 1),
                    Kind::File if !self.skip.file(&path) => self.found(&node, path),
                    _ => {}
                },
                Err(error) => self.unreadable(&path, &error),
            }
        }
    }

    /// A regular file: wanted by its path, or perhaps a program.
    fn found(&mut self, node: &Node, path: String) {
        match self.sink.wants(&path) {
            Some(size) => {
                self.file(node, &path, Some(size));
                self.shown.insert(path);
            }
            None if node.executable && node.size > 0 => self.file(node, &path, None),
            None => {}
        }
    }

    fn file(&mut self, node: &Node, path: &str, wanted: Option<Size>) {
        if let Some(why) = node.closed {
            return self.problem(path, ProblemKind::Unsupported, format!("a file that is {why}"));
        }
        if let Err(error) = self.show(node, path, wanted) {
            self.unreadable(path, &error);
        }
    }

    fn show(&mut self, node: &Node, path: &str, wanted: Option<Size>) -> io::Result<()> {
        let body = Body::of(self.system, node)?;
        // A machine has thousands of programs: a look at where packages would be listed is cheaper than reading them all.
        if wanted.is_none() && !self.sink.wants_to_look_into(&body) {
            return Ok(());
        }
        if is_too_large_inside(path, wanted, (&body, body.size()), self.limits, self.sink) {
            return Ok(());
        }
        let mut reading = Reading { body: &body, position: 0 };
        let shown = show_file(path, wanted, Program::Perhaps, &mut reading, self.limits, self.holder, self.sink);
        self.read = self.read.saturating_add(reading.position);
        if self.read > self.limits.expanded && !self.stopped {
            self.stopped = true;
            self.problem("", ProblemKind::LimitExceeded, "the files are larger than the limits allow");
        }
        shown
    }

    /// Shows a file that is a link, or lies behind one.
    fn follow(&mut self, path: &str) {
        if self.stopped || self.shown.contains(path) || self.skip.file(path) {
            return;
        }
        let Some(wanted) = self.sink.wants(path) else { return };
        match self.locate(path) {
            Ok(Located::Behind(node)) if node.kind == Kind::File => self.file(&node, path, Some(wanted)),
            Ok(Located::Behind(_)) => self.problem(path, ProblemKind::Unreadable, "a link to what is no file"),
            Ok(Located::Lost) => self.problem(path, ProblemKind::Unreadable, "a link that leads nowhere"),
            // What lies in its place without any link was shown on the walk, or is no file.
            Ok(Located::Nowhere | Located::Plain) => {}
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// Looks a path up as a process would whose root this is.
    fn locate(&self, path: &str) -> io::Result<Located> {
        let split = |path: &[u8]| -> Vec<Vec<u8>> {
            path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).rev().map(<[u8]>::to_vec).collect()
        };
        // What is left of the path, the next component last; and the folders above where we are.
        let mut left = split(path.as_bytes());
        let mut above: Vec<Node> = vec![self.system.node(self.system.root())?];
        let mut links = 0;
        // A link in the file's own place should lead somewhere, one on the way need not.
        let mut lost = Located::Nowhere;
        while let Some(name) = left.pop() {
            let Some(folder) = above.last() else { return Ok(Located::Nowhere) };
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    above.truncate(above.len().saturating_sub(1).max(1));
                    continue;
                }
                _ => {}
            }
            if folder.kind != Kind::Folder || folder.closed.is_some() {
                return Ok(lost);
            }
            let mut found = None;
            self.system.names(folder, &mut |other, number| {
                if other == name {
                    found = Some(number);
                }
                Ok(())
            })?;
            let Some(number) = found else { return Ok(lost) };
            let node = self.system.node(number)?;
            if node.kind == Kind::Link {
                links += 1;
                if left.is_empty() {
                    lost = Located::Lost;
                }
                if links > MAX_LINKS || node.closed.is_some() {
                    return Ok(Located::Lost);
                }
                let target = self.system.target(&node)?;
                if target.starts_with(b"/") {
                    above.truncate(1);
                }
                left.extend(split(&target));
                if left.len() > self.limits.depth {
                    return Ok(Located::Lost);
                }
            } else {
                above.push(node);
            }
        }
        Ok(match above.pop() {
            Some(node) if links > 0 => Located::Behind(node),
            Some(_) => Located::Plain,
            None => Located::Nowhere,
        })
    }
}

/// Where a path leads.
enum Located {
    /// To this, without any link.
    Plain,
    /// To this, over links.
    Behind(Node),
    /// There is nothing.
    Nowhere,
    /// There is a link, and nothing where it leads.
    Lost,
}
