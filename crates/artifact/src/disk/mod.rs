//! A disk as a stream of files: an image in a file, partitions, logical volumes, file systems. Only what these point to is read, and nothing
//! is mounted or written.
//!
//! Every layer gives [`ReadAt`] and stands on one: whatever gives it, a file or the blocks of a snapshot, can be a disk.

mod container;
mod device;
mod ext;
mod file_system;
mod gpt;
mod lvm;
mod mbr;
mod numbers;
mod qcow2;
mod recognise;
mod vmdk;
mod walk;
mod xfs;

use crate::content::Holder;
use crate::stop::{Reason, Stop};
use crate::{FileSink, Limits, ReadAt, Skip};
use device::{Cached, Device, Slice};
use ext::Ext;
use file_system::FileSystem;
use lestrade_model::{Problem, ProblemKind};
use mbr::{Partition, Table};
use numbers::{malformed, unsupported};
use recognise::{Mark, recognise};
use std::io;
use std::rc::Rc;
use xfs::Xfs;

/// How many partitions are read, and how many logical volumes.
const MAX_VOLUMES: usize = 256;

/// A disk and what lies on it.
pub struct Disk {
    read: Rc<Cached>,
    /// Bytes of the disk, which may be more than those of the image.
    size: u64,
    volumes: Vec<Volume>,
}

/// A part of a disk that holds, or could hold, a file system.
pub struct Volume {
    name: String,
    content: Content,
}

/// What a volume holds.
enum Content {
    Ext(Device),
    Xfs(Device),
    /// Why it is not read.
    Unread(ProblemKind, String),
    /// Nothing that could be read: what it is.
    NoFiles(String),
}

impl Disk {
    /// Opens a disk: finds its volumes. Answers why it is none that can be read, in a clause.
    ///
    /// # Errors
    /// When there is no way into it.
    pub fn open(image: impl ReadAt + 'static) -> Result<Self, String> {
        let read = Rc::new(Cached::new(Rc::new(image)));
        let image: Device = Rc::clone(&read) as Device;
        let why = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
            _ => problem(&error).detail,
        };
        let disk = container::contained(&image).map_err(why)?;
        let volumes = volumes(&disk).map_err(why)?;
        Ok(Self { read, size: disk.size(), volumes })
    }

    /// How many bytes the disk has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes of the image were read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.bytes_read()
    }

    /// Its volumes, in the order in which they lie.
    #[must_use]
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }
}

/// The volumes of a disk: its partitions, or all of it, and what is made of them.
fn volumes(disk: &Device) -> io::Result<Vec<Volume>> {
    let parts = parts(disk)?;
    let physical: Vec<_> = parts.iter().take(MAX_VOLUMES).filter(|part| lvm::is_physical_volume(&part.device)).collect();
    let physical: Vec<_> = physical.into_iter().map(|part| (part.name.clone(), Rc::clone(&part.device))).collect();
    let logical = lvm::logical_volumes(&physical);
    let count = parts.len() + logical.len();
    let from_group = |logical: lvm::Logical| match logical.content {
        Ok(lvm::Found::Device(device)) => Volume::of(logical.name, &device),
        Ok(lvm::Found::NoFiles(what)) => Volume { name: logical.name, content: Content::NoFiles(what.to_owned()) },
        Err(error) => Volume { name: logical.name, content: Content::failed(&error) },
    };
    let mut volumes: Vec<Volume> = parts.iter().take(MAX_VOLUMES).map(|part| part.volume(disk)).collect();
    volumes.extend(logical.into_iter().take(MAX_VOLUMES).map(from_group));
    if volumes.len() < count {
        // They may all lie in the same place.
        let detail = format!("more than {MAX_VOLUMES} partitions or logical volumes");
        volumes.push(Volume { name: String::new(), content: Content::Unread(ProblemKind::LimitExceeded, detail) });
    }
    Ok(volumes)
}

/// A partition, or a disk without any.
struct Part {
    name: String,
    device: Device,
    /// Where it lies, and what it is said to be for, where that is something without files.
    offset: u64,
    purpose: Option<&'static str>,
}

fn parts(disk: &Device) -> io::Result<Vec<Part>> {
    let partitions = match gpt::partitions(disk)? {
        Some(partitions) => partitions,
        None => match mbr::table(disk)? {
            Table::Partitions(partitions) => partitions,
            Table::Protective => return Err(malformed("both copies of its partition table are damaged")),
            Table::None => {
                return match recognise(disk) {
                    Mark::Blank => Err(unsupported("it is blank")),
                    Mark::Unknown => Err(unsupported("there is no partition table on it and no file system that is known")),
                    _ => Ok(vec![Part { name: String::new(), device: Rc::clone(disk), offset: 0, purpose: None }]),
                };
            }
        },
    };
    let part = |partition: &Partition| Part {
        name: format!("p{}", partition.number),
        device: Rc::new(Slice::of(disk, partition.offset, partition.length)),
        offset: partition.offset,
        purpose: partition.purpose,
    };
    Ok(partitions.iter().map(part).collect())
}

impl Part {
    fn volume(&self, disk: &Device) -> Volume {
        let content = match (self.purpose, recognise(&self.device)) {
            _ if self.offset >= disk.size() => Content::Unread(ProblemKind::Truncated, "it lies beyond the end of the disk".to_owned()),
            // What boots a machine is no part of the system; what else lies where it should is looked at all the same.
            (Some(purpose), Mark::Unknown | Mark::Fat | Mark::Blank) => Content::NoFiles(purpose.to_owned()),
            (_, Mark::Lvm) => Content::NoFiles("a physical volume of LVM".to_owned()),
            _ => return Volume::of(self.name.clone(), &self.device),
        };
        Volume { name: self.name.clone(), content }
    }
}

impl Content {
    fn failed(error: &io::Error) -> Self {
        let problem = problem(error);
        Self::Unread(problem.kind, problem.detail)
    }
}

impl Volume {
    /// What lies on a device.
    fn of(name: String, device: &Device) -> Self {
        let content = match recognise(device) {
            Mark::Ext => Content::Ext(Rc::clone(device)),
            Mark::Xfs => Content::Xfs(Rc::clone(device)),
            Mark::Fat => Content::Unread(ProblemKind::Unsupported, "a FAT file system, which is not read".to_owned()),
            Mark::Unread(what) => Content::Unread(ProblemKind::Unsupported, format!("{what}, which is not read")),
            Mark::Lvm => Content::Unread(ProblemKind::Unsupported, "a physical volume inside a logical one, which is not read".to_owned()),
            Mark::NoFiles(what) => Content::NoFiles(what.to_owned()),
            Mark::Blank => Content::NoFiles("blank".to_owned()),
            Mark::Unknown => Content::Unread(ProblemKind::Unsupported, "no file system that is known".to_owned()),
        };
        Self { name, content }
    }

    /// What it is called: `p1` for the first partition, `group/volume` for a logical volume, nothing for a whole disk.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, where it holds nothing that could be read: swap, say.
    #[must_use]
    pub fn no_files(&self) -> Option<&str> {
        match &self.content {
            Content::NoFiles(what) => Some(what),
            Content::Ext(_) | Content::Xfs(_) | Content::Unread(..) => None,
        }
    }

    /// Shows its files, in the order of their names, to a sink; or the problem why they cannot be had. The files of `well_known` are
    /// looked for under their full names, wherever links in the file system lead.
    pub fn walk(&self, well_known: &[&str], skip: &Skip, limits: &Limits, holder: &mut Holder, sink: &mut dyn FileSink) {
        let system: io::Result<Box<dyn FileSystem>> = match &self.content {
            Content::Ext(device) => Ext::open(device).map(|system| Box::new(system) as _),
            Content::Xfs(device) => Xfs::open(device).map(|system| Box::new(system) as _),
            Content::Unread(kind, detail) => Err(Reason::error(*kind, detail)),
            Content::NoFiles(_) => return,
        };
        match system {
            Ok(system) => walk::walk(system.as_ref(), well_known, skip, limits, holder, sink),
            Err(error) => sink.problem(problem(&error)),
        }
    }
}

/// What an error of reading means to the person who asked for all of it.
fn problem(error: &io::Error) -> Problem {
    let stop = Stop::of(error, 0);
    let detail = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it lies beyond the end of the disk".to_owned(),
        _ => stop.detail.lines().next().unwrap_or_default().to_owned(),
    };
    Problem { path: String::new(), kind: stop.kind, detail }
}
