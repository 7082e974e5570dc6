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
use crate::stop::Stop;
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
    Files(Box<dyn FileSystem>),
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
            _ => Stop::of(&error, 0).detail,
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
    let mut volumes: Vec<Volume> = parts.iter().map(|part| part.volume(disk)).collect();
    let physical = parts.into_iter().filter(|part| lvm::is_physical_volume(&part.device)).map(|part| (part.name, part.device));
    volumes.extend(lvm::logical_volumes(&physical.collect::<Vec<_>>()).into_iter().map(|logical| match logical.content {
        Ok(lvm::Found::Device(device)) => Volume::of(logical.name, &device),
        Ok(lvm::Found::NoFiles(what)) => Volume { name: logical.name, content: Content::NoFiles(what.to_owned()) },
        Err(error) => Volume { name: logical.name, content: Content::failed(&error) },
    }));
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
            (Some(purpose), Mark::Unknown | Mark::Unread(_) | Mark::Blank) => Content::NoFiles(purpose.to_owned()),
            (_, Mark::Lvm) => Content::NoFiles("a physical volume of LVM".to_owned()),
            _ => return Volume::of(self.name.clone(), &self.device),
        };
        Volume { name: self.name.clone(), content }
    }
}

impl Content {
    fn failed(error: &io::Error) -> Self {
        let stop = Stop::of(error, 0);
        Self::Unread(stop.kind, stop.detail)
    }
}

impl Volume {
    /// What lies on a device.
    fn of(name: String, device: &Device) -> Self {
        let files = |system: io::Result<Box<dyn FileSystem>>| match system {
            Ok(system) => Content::Files(system),
            Err(error) => Content::failed(&error),
        };
        let content = match recognise(device) {
            Mark::Ext => files(Ext::open(device).map(|system| Box::new(system) as Box<dyn FileSystem>)),
            Mark::Xfs => files(Xfs::open(device).map(|system| Box::new(system) as Box<dyn FileSystem>)),
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
            Content::Files(_) | Content::Unread(..) => None,
        }
    }

    /// Shows its files, in the order of their names, to a sink; or the problem why they cannot be had. The files of `well_known` are
    /// looked for under their full names, wherever links in the file system lead.
    pub fn walk(&self, well_known: &[&str], skip: &Skip, limits: &Limits, holder: &mut Holder, sink: &mut dyn FileSink) {
        match &self.content {
            Content::Files(system) => walk::walk(system.as_ref(), well_known, skip, limits, holder, sink),
            Content::Unread(kind, detail) => {
                sink.problem(Problem { path: String::new(), kind: *kind, detail: detail.clone() });
            }
            Content::NoFiles(_) => {}
        }
    }
}
