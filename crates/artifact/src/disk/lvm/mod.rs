//! Volume groups of LVM2 (LVM2, lib/format_text): physical volumes with a label and a copy of the group's metadata, which is text, and
//! logical volumes made of stretches of them, or of blocks of a pool.

mod metadata;
mod thin;

use super::device::{Device, read};
use super::numbers::{le, malformed, part, too_much, unsupported};
use crate::ReadAt;
use metadata::{Section, parse};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use thin::Pool;

const SECTOR: u64 = 512;
/// A label lies in one of the first sectors.
const LABEL_SECTORS: u64 = 4;
const LABEL: &[u8] = b"LABELONE";
const KIND: &[u8] = b"LVM2 001";
const AREA: &[u8] = b" LVM2 x[5A%r0N*>";
/// The most areas of a physical volume, bytes of a group's metadata, and stretches of a logical volume.
const MAX_AREAS: usize = 16;
const MAX_METADATA: u64 = 4 << 20;
const MAX_SEGMENTS: usize = 65_536;
/// Stripes of a volume at most.
const MAX_STRIPES: usize = 128;

/// Where the label of a physical volume lies.
fn label(device: &dyn ReadAt) -> Option<u64> {
    (0..LABEL_SECTORS)
        .map(|number| number * SECTOR)
        .find(|place| read(device, *place, 32).is_ok_and(|label| label.starts_with(LABEL) && label.ends_with(KIND)))
}

/// Whether a device is a physical volume.
pub(super) fn is_physical_volume(device: &dyn ReadAt) -> bool {
    label(device).is_some()
}

/// A logical volume.
pub(super) struct Logical {
    /// The name of its group and its own.
    pub(super) name: String,
    pub(super) content: io::Result<Found>,
}

/// What a logical volume is.
pub(super) enum Found {
    Device(Device),
    /// It only serves others.
    NoFiles(&'static str),
}

/// A physical volume: its id, and what it says of its group.
struct Physical {
    device: Device,
    id: String,
    group: io::Result<Option<Group>>,
}

/// A group's metadata in one state.
struct Group {
    name: String,
    id: String,
    /// Counts its states.
    number: i64,
    section: Section,
}

/// The logical volumes on physical ones. A group of which nothing can be understood is one volume that cannot be read.
pub(super) fn logical_volumes(devices: &[(String, Device)]) -> Vec<Logical> {
    let mut volumes = Vec::new();
    let mut devices_by_id: BTreeMap<String, Device> = BTreeMap::new();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (name, device) in devices {
        match Physical::read(device) {
            Ok(physical) => {
                devices_by_id.entry(physical.id).or_insert(physical.device);
                match physical.group {
                    Ok(Some(group)) => {
                        // Each volume has a copy; the newest counts.
                        let known = groups.get(&group.id).map(|known| known.number);
                        if known.is_none_or(|number| number < group.number) {
                            groups.insert(group.id.clone(), group);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => volumes.push(Logical { name: name.clone(), content: Err(error) }),
                }
            }
            Err(error) => volumes.push(Logical { name: name.clone(), content: Err(error) }),
        }
    }
    for group in groups.values() {
        group.volumes(&devices_by_id, &mut volumes);
    }
    volumes
}

impl Physical {
    fn read(device: &Device) -> io::Result<Self> {
        let label = label(device).ok_or_else(|| malformed("a physical volume without a label"))?;
        let raw = read(device, label, SECTOR as usize)?;
        let header = le::u32(&raw, 20)? as usize;
        let id = String::from_utf8_lossy(part(&raw, header, 32)?).into_owned();
        // Two lists of areas, each of which ends with an empty one: data, metadata.
        let mut at = header + 40;
        let mut areas = Vec::new();
        for _ in 0..2 {
            areas.clear();
            loop {
                let (offset, length) = (le::u64(&raw, at)?, le::u64(&raw, at + 8)?);
                at += 16;
                if offset == 0 {
                    break;
                }
                areas.push((offset, length));
            }
        }
        let mut group = Ok(None);
        for (offset, length) in areas.into_iter().take(MAX_AREAS) {
            group = Group::read(device, offset, length);
            if matches!(group, Ok(Some(_))) {
                break;
            }
        }
        Ok(Self { device: Rc::clone(device), id, group })
    }
}

impl Group {
    /// Reads the metadata in an area; none where the physical volume belongs to no group, or leaves it to others to say.
    fn read(device: &Device, offset: u64, length: u64) -> io::Result<Option<Self>> {
        const IGNORED: u32 = 1;
        let header = read(device, offset, SECTOR as usize)?;
        if part(&header, 4, AREA.len())? != AREA {
            return Err(malformed("LVM metadata without its header"));
        }
        let (start, size, flags) = (le::u64(&header, 40)?, le::u64(&header, 48)?, le::u32(&header, 60)?);
        if start == 0 || size == 0 || flags & IGNORED != 0 {
            return Ok(None);
        }
        if size > MAX_METADATA {
            return Err(too_much(format!("LVM metadata of more than {} MiB", MAX_METADATA >> 20)));
        }
        if start >= length || length <= SECTOR || size > length - SECTOR {
            return Err(malformed("LVM metadata that lies outside of its area"));
        }
        // The area is a ring behind its header.
        let first = size.min(length - start);
        let place = offset.checked_add(start).ok_or_else(|| malformed("LVM metadata that lies nowhere"))?;
        let mut text = read(device, place, first as usize)?;
        text.extend(read(device, offset + SECTOR, (size - first) as usize)?);
        let text = String::from_utf8_lossy(&text);
        let root = parse(&text).ok_or_else(|| malformed("LVM metadata that is no such text"))?;
        let (name, section) = root.sections().next().ok_or_else(|| malformed("LVM metadata without a group"))?;
        let text = |key| section.text(key).map(str::to_owned);
        let id = text("id").ok_or_else(|| malformed("an LVM group without an id"))?;
        Ok(Some(Self { name: name.to_owned(), id, number: section.number("seqno").unwrap_or(0), section: section.clone() }))
    }

    fn volumes(&self, devices: &BTreeMap<String, Device>, volumes: &mut Vec<Logical>) {
        let physical: BTreeMap<&str, (Option<&Device>, u64)> = self
            .section
            .section("physical_volumes")
            .into_iter()
            .flat_map(Section::sections)
            .map(|(name, section)| {
                // The text writes ids with dashes, labels without.
                let id: String = section.text("id").unwrap_or_default().chars().filter(|c| *c != '-').collect();
                (name, (devices.get(&id), section.size("pe_start").unwrap_or(0)))
            })
            .collect();
        let extent = self.section.size("extent_size").and_then(|sectors| sectors.checked_mul(SECTOR)).filter(|bytes| *bytes > 0);
        let logical = self.section.section("logical_volumes");
        for (name, section) in logical.into_iter().flat_map(Section::sections) {
            // Others are parts of those that are visible.
            if !section.list("status").iter().any(|word| word.text() == Some("VISIBLE")) {
                continue;
            }
            let shown = format!("{}/{name}", self.name);
            let content = match extent {
                Some(extent) => match thin_of(section) {
                    Some(segment) => thin(segment, logical, extent, &physical),
                    None => assemble(section, extent, &physical),
                },
                None => Err(malformed("an LVM group without a size of extents")),
            };
            volumes.push(Logical { name: shown, content });
        }
    }
}

/// A stretch of a logical volume, in bytes: one or several stripes that take turns.
struct Segment {
    start: u64,
    length: u64,
    /// Bytes of each turn.
    turn: u64,
    /// Where each stripe lies.
    stripes: Vec<(Device, u64)>,
}

/// What says where a thin volume lies; none where it is of another kind. It is in one piece.
fn thin_of(section: &Section) -> Option<&Section> {
    let mut segments = section.sections().filter(|(name, _)| name.starts_with("segment"));
    let (_, first) = segments.next()?;
    (first.text("type") == Some("thin") && segments.next().is_none()).then_some(first)
}

/// Puts a thin volume together: the pool that it is in names the volumes that hold its metadata and its data.
fn thin(segment: &Section, logical: Option<&Section>, extent: u64, physical: &BTreeMap<&str, (Option<&Device>, u64)>) -> io::Result<Found> {
    let bad = || malformed("a thin volume whose description contradicts itself");
    if segment.text("external_origin").is_some() {
        return Err(unsupported("a thin volume over another volume, which is not read"));
    }
    let named = |name: Option<&str>| logical.and_then(|all| all.section(name?)).ok_or_else(bad);
    let pool = named(segment.text("thin_pool"))?;
    let pool = pool.sections().map(|(_, section)| section).find(|section| section.text("type") == Some("thin-pool")).ok_or_else(bad)?;
    let part = |key: &str| match assemble(named(pool.text(key))?, extent, physical)? {
        Found::Device(device) => Ok(device),
        Found::NoFiles(_) => Err(bad()),
    };
    let number = segment.size("device_id").ok_or_else(bad)?;
    let size = segment.size("extent_count").and_then(|count| count.checked_mul(extent)).filter(|size| *size <= i64::MAX as u64);
    let pool = Pool::open(&part("metadata")?, &part("pool")?)?;
    Ok(Found::Device(pool.volume(number, size.ok_or_else(bad)?)?))
}

/// Puts a logical volume together from its description.
fn assemble(section: &Section, extent: u64, physical: &BTreeMap<&str, (Option<&Device>, u64)>) -> io::Result<Found> {
    let bad = || malformed("a logical volume whose description contradicts itself");
    let mut segments = Vec::new();
    for (_, segment) in section.sections().filter(|(name, _)| name.starts_with("segment")).take(MAX_SEGMENTS) {
        match segment.text("type").unwrap_or_default() {
            "striped" | "linear" => {}
            "thin-pool" | "cache-pool" | "vdo-pool" => return Ok(Found::NoFiles("a pool of LVM")),
            kind => return Err(unsupported(format!("a logical volume of the kind '{}', which is not read", shown(kind)))),
        }
        let bytes = |key: &str| segment.size(key).and_then(|extents| extents.checked_mul(extent)).ok_or_else(bad);
        let list = segment.list("stripes");
        if list.is_empty() || !list.len().is_multiple_of(2) || list.len() / 2 > MAX_STRIPES {
            return Err(bad());
        }
        let mut stripes = Vec::new();
        for pair in list.chunks_exact(2) {
            let (device, first) = pair[0].text().and_then(|name| physical.get(name)).ok_or_else(bad)?;
            let device = device.ok_or_else(|| unsupported("a logical volume of which a part lies on a disk that is not here"))?;
            let extents = pair[1].size().and_then(|extents| extents.checked_mul(extent));
            let place = extents.and_then(|bytes| bytes.checked_add(first.checked_mul(SECTOR)?)).filter(|place| *place <= i64::MAX as u64);
            stripes.push((Rc::clone(device), place.ok_or_else(bad)?));
        }
        let (start, length) = (bytes("start_extent")?, bytes("extent_count")?);
        let turn = if stripes.len() == 1 { length } else { segment.size("stripe_size").ok_or_else(bad)?.saturating_mul(SECTOR) };
        if length == 0 || turn == 0 || start.checked_add(length).is_none_or(|end| end > i64::MAX as u64) {
            return Err(bad());
        }
        segments.push(Segment { start, length, turn, stripes });
    }
    segments.sort_by_key(|segment| segment.start);
    let mut end = 0;
    for segment in &segments {
        if segment.start != end {
            return Err(bad());
        }
        end += segment.length;
    }
    Ok(Found::Device(Rc::new(Assembled { segments, size: end })))
}

/// A word of the metadata for people.
fn shown(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(32).collect()
}

/// A logical volume as a device.
struct Assembled {
    segments: Vec<Segment>,
    size: u64,
}

impl ReadAt for Assembled {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let number = self.segments.partition_point(|segment| segment.start <= at).checked_sub(1).ok_or(ErrorKind::UnexpectedEof)?;
            let segment = &self.segments[number];
            let inside = at - segment.start;
            if inside >= segment.length {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let (turn, within) = (inside / segment.turn, inside % segment.turn);
            let count = segment.stripes.len() as u64;
            let room = (segment.turn - within).min(segment.length - inside);
            let length = usize::try_from(room).map_or(rest.len(), |room| room.min(rest.len()));
            let (now, later) = rest.split_at_mut(length);
            let (device, place) = &segment.stripes[(turn % count) as usize];
            device.read_at(place + turn / count * segment.turn + within, now)?;
            at += length as u64;
            rest = later;
        }
        Ok(())
    }
}
