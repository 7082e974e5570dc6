//! A directory as a stream of files. Links are not followed, devices and sockets not opened, other file systems under `proc`,
//! `sys` and `dev` not entered.

use crate::content::Holder;
use crate::layer::{Program, is_too_large, is_too_large_inside, show_file};
use crate::sink::{FileSink, Size};
use crate::{Limits, Skip};
use lestrade_model::{Problem, ProblemKind};
use lestrade_sys::open_in_root;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Shows the files below `root`, in the order of their names, to a sink.
/// The files of `well_known` are looked for under their full names, wherever links inside the root lead.
pub fn walk_directory(
    root: &File,
    root_path: &Path,
    well_known: &[&str],
    skip: &Skip,
    limits: &Limits,
    holder: &mut Holder,
    sink: &mut dyn FileSink,
) {
    let device = root.metadata().map(|metadata| metadata.dev()).unwrap_or_default();
    let mut walk = Walk { root, device, skip, limits, holder, sink, entries: 0, shown: HashSet::new() };
    walk.folder(root_path, "", 0);
    for path in well_known {
        walk.follow(root_path, path);
    }
}

/// Shows one file to a sink, under a name, as if it lay alone in a root.
pub fn walk_file(mut file: File, name: &str, limits: &Limits, holder: &mut Holder, sink: &mut dyn FileSink) {
    let wanted = sink.wants(name);
    let shown = file.metadata().and_then(|metadata| {
        if is_too_large(name, wanted, metadata.len(), limits, sink) {
            return Ok(());
        }
        show_file(name, wanted, Program::No, &mut file, limits, holder, sink)
    });
    if let Err(error) = shown {
        let detail = error.to_string().lines().next().unwrap_or_default().to_owned();
        sink.problem(Problem { path: name.to_owned(), kind: ProblemKind::Unreadable, detail });
    }
}

struct Walk<'a> {
    root: &'a File,
    device: u64,
    skip: &'a Skip,
    limits: &'a Limits,
    holder: &'a mut Holder,
    sink: &'a mut dyn FileSink,
    entries: u64,
    /// The wanted files that the walk came across.
    shown: HashSet<String>,
}

impl Walk<'_> {
    fn unreadable(&mut self, path: &str, error: &io::Error) {
        let detail = error.to_string().lines().next().unwrap_or_default().to_owned();
        self.sink.problem(Problem { path: path.to_owned(), kind: ProblemKind::Unreadable, detail });
    }

    /// Answers whether the walk may go on.
    fn folder(&mut self, folder: &Path, relative: &str, depth: usize) -> bool {
        if depth > self.limits.depth {
            let detail = format!("deeper than {} folders", self.limits.depth);
            self.sink.problem(Problem { path: relative.to_owned(), kind: ProblemKind::LimitExceeded, detail });
            return true;
        }
        let mut names: Vec<(OsString, fs::FileType)> = Vec::new();
        match fs::read_dir(folder) {
            Ok(entries) => {
                for entry in entries {
                    match entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))) {
                        Ok(named) => names.push(named),
                        // It went away while the folder was listed.
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        Err(error) => self.unreadable(relative, &error),
                    }
                }
            }
            Err(error) => self.unreadable(relative, &error),
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, kind) in names {
            self.entries += 1;
            if self.entries > self.limits.entries {
                let detail = format!("more than {} files", self.limits.entries);
                self.sink.problem(Problem { path: relative.to_owned(), kind: ProblemKind::LimitExceeded, detail });
                return false;
            }
            let shown = name.to_string_lossy();
            let path = if relative.is_empty() { shown.into_owned() } else { format!("{relative}/{shown}") };
            let full: PathBuf = folder.join(&name);
            if kind.is_dir() {
                if !self.skip.folder(&path) && !self.is_foreign(&full, &path) && !self.folder(&full, &path, depth + 1) {
                    return false;
                }
            } else if kind.is_file() && !self.skip.file(&path) {
                self.found(&full, path);
            }
        }
        true
    }

    /// Kernel interfaces look like files and never end.
    fn is_foreign(&self, full: &Path, path: &str) -> bool {
        matches!(path, "proc" | "sys" | "dev") && fs::symlink_metadata(full).is_ok_and(|metadata| metadata.dev() != self.device)
    }

    /// A regular file: wanted by its path, or perhaps a program.
    fn found(&mut self, full: &Path, path: String) {
        match self.sink.wants(&path) {
            Some(size) => {
                self.file(&path, Some(size));
                self.shown.insert(path);
            }
            None if fs::symlink_metadata(full).is_ok_and(|metadata| metadata.mode() & 0o111 != 0) => self.file(&path, None),
            None => {}
        }
    }

    fn file(&mut self, path: &str, wanted: Option<Size>) {
        let shown = open_in_root(self.root, path).and_then(|mut file| {
            // A machine has thousands of programs: a look at where packages would be listed is cheaper than reading them all.
            if wanted.is_none() && !self.sink.wants_to_look_into(&file) {
                return Ok(());
            }
            let size = file.metadata()?.len();
            if is_too_large_inside(path, wanted, (&file, size), self.limits, self.sink) {
                return Ok(());
            }
            show_file(path, wanted, Program::Perhaps, &mut file, self.limits, self.holder, self.sink)
        });
        match shown {
            // What may be executed may be closed to reading; nobody asked for it by its name.
            Err(error) if wanted.is_none() && error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => self.unreadable(path, &error),
            Ok(()) => {}
        }
    }

    /// Shows a file that is a link, or lies behind one.
    fn follow(&mut self, root: &Path, path: &str) {
        let mut above = Path::new(path).ancestors().filter(|part| !part.as_os_str().is_empty());
        let over_links = above.any(|part| fs::symlink_metadata(root.join(part)).is_ok_and(|metadata| metadata.is_symlink()));
        let wanted = self.sink.wants(path).filter(|_| over_links && !self.shown.contains(path));
        if wanted.is_some() {
            match open_in_root(self.root, path) {
                // A link on the way need not lead to a file of that name; a link in its place should.
                Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(root.join(path)).is_err() => {}
                _ => self.file(path, wanted),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tests::Recorder;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn links_lead_nowhere_and_nothing_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("var/lib/dpkg")).unwrap();
        fs::create_dir_all(at("usr/lib")).unwrap();
        fs::create_dir_all(at("etc")).unwrap();
        fs::write(at("usr/lib/os-release"), "ID=inside").unwrap();
        symlink("/usr/lib/os-release", at("etc/os-release")).unwrap();
        symlink("/var/lib/dpkg/status", at("var/lib/dpkg/status")).unwrap();
        symlink("/", at("root")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap();
        let mut recorder = Recorder::default();
        let root = File::open(folder.path()).unwrap();
        let known = ["etc/os-release", "usr/lib/os-release", "var/lib/dpkg/status", "lib/apk/db/installed"];
        walk_directory(&root, folder.path(), &known, &Skip::default(), &Limits::default(), &mut Holder::default(), &mut recorder);
        assert_eq!(recorder.0, ["usr/lib/os-release=ID=inside", "etc/os-release=ID=inside", "?Unreadable var/lib/dpkg/status"]);
    }

    #[test]
    fn one_file_is_shown_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "content").unwrap();
        let show = |name: &str, limits: &Limits| {
            let mut recorder = Recorder::default();
            walk_file(File::open(&path).unwrap(), name, limits, &mut Holder::default(), &mut recorder);
            recorder.0
        };
        assert_eq!(show("a.jar", &Limits::default()), ["a.jar=content"]);
        assert_eq!(show("a.bin", &Limits::default()), [""; 0], "nobody wants it");
        assert_eq!(show("a.jar", &Limits { file: 6, ..Limits::default() }), ["?LimitExceeded a.jar"]);
    }

    #[test]
    fn what_is_left_out_is_not_entered() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a/node_modules/x", "a/y", "b/c/z", "b/z"] {
            fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
            fs::write(folder.path().join(path), "").unwrap();
        }
        let patterns = crate::SkipPatterns { folders: vec!["**/node_modules".into(), "/b/c".into()], files: vec!["b/*".into()] };
        let mut recorder = Recorder::default();
        let root = File::open(folder.path()).unwrap();
        walk_directory(
            &root,
            folder.path(),
            &[],
            &Skip::new(&patterns).unwrap(),
            &Limits::default(),
            &mut Holder::default(),
            &mut recorder,
        );
        assert_eq!(recorder.0, ["a/y="]);
    }

    #[test]
    fn a_database_behind_a_linked_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("var/lib")).unwrap();
        fs::create_dir_all(at("srv/dpkg")).unwrap();
        fs::write(at("srv/dpkg/status"), "inside").unwrap();
        symlink("/srv/dpkg", at("var/lib/dpkg")).unwrap();
        let mut recorder = Recorder::default();
        let root = File::open(folder.path()).unwrap();
        walk_directory(
            &root,
            folder.path(),
            &["var/lib/dpkg/status"],
            &Skip::default(),
            &Limits::default(),
            &mut Holder::default(),
            &mut recorder,
        );
        assert_eq!(recorder.0, ["srv/dpkg/status=inside", "var/lib/dpkg/status=inside"]);
    }
}
