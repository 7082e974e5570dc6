//! An inventory in little space: what is found in a bill of materials of a million packages takes some forty bytes a package.
//!
//! A record is a component and the place where it lies, in the order of their fields: numbers are variable-length (LEB128), texts a
//! length and their bytes; what many packages share (ecosystems, layers, architectures) stands in a table and is named by its
//! number. Records are checked once, when they are taken in, and read where they lie from then on.

use crate::{Completeness, Component, Ecosystem, Inventory, Manager, Occurrence, OsRelease, Problem, Source};
use std::cmp::Ordering;
use std::collections::HashMap;

/// How many texts are kept apart to be named by their number. Others stand where they are used.
const MAX_SHARED: usize = 4096;

/// A text or none, which many records may share: no text, one that follows, or the number of one.
const ABSENT: u64 = 0;
const HERE: u64 = 1;
const SHARED: u64 = 2;

const HAS_SOURCE: u8 = 1;
const HAS_MODULE: u8 = 2;
const OS_OWNED: u8 = 4;

/// A component, borrowed: see [`Component`], whose order it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the fields are those of a component")]
pub struct PackedComponent<'a> {
    pub ecosystem: &'a Ecosystem,
    pub name: &'a str,
    pub version: &'a str,
    /// Name and version of the source package.
    pub source: Option<(&'a str, &'a str)>,
    pub module: Option<&'a str>,
    pub os_owned: bool,
}

impl PackedComponent<'_> {
    /// The same by itself.
    #[must_use]
    pub fn to_component(&self) -> Component {
        Component {
            ecosystem: self.ecosystem.clone(),
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            source: self.source.map(|(name, version)| Source { name: name.to_owned(), version: version.to_owned() }),
            module: self.module.map(str::to_owned),
            os_owned: self.os_owned,
        }
    }
}

impl<'a> From<&'a Component> for PackedComponent<'a> {
    fn from(component: &'a Component) -> Self {
        Self {
            ecosystem: &component.ecosystem,
            name: &component.name,
            version: &component.version,
            source: component.source.as_ref().map(|source| (source.name.as_str(), source.version.as_str())),
            module: component.module.as_deref(),
            os_owned: component.os_owned,
        }
    }
}

/// Where a component lies, borrowed: see [`Occurrence`], whose order it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the fields are those of an occurrence")]
pub struct PackedPlace<'a> {
    pub path: &'a str,
    pub layer: Option<&'a str>,
    pub arch: Option<&'a str>,
    pub manager: Manager,
}

impl PackedPlace<'_> {
    /// The same by itself, of a component of this number.
    #[must_use]
    pub fn to_occurrence(&self, component: u32) -> Occurrence {
        Occurrence {
            component,
            path: self.path.to_owned(),
            layer: self.layer.map(str::to_owned),
            arch: self.arch.map(str::to_owned),
            manager: self.manager,
        }
    }
}

impl<'a> From<&'a Occurrence> for PackedPlace<'a> {
    fn from(occurrence: &'a Occurrence) -> Self {
        Self { path: &occurrence.path, layer: occurrence.layer.as_deref(), arch: occurrence.arch.as_deref(), manager: occurrence.manager }
    }
}

/// Records that are none, or more of them than can be held.
#[derive(Debug, thiserror::Error)]
#[error("not the records of an inventory")]
pub struct NotPacked;

/// What records name by number.
#[derive(Clone, Debug, Default)]
struct Tables {
    ecosystems: Vec<Ecosystem>,
    texts: Vec<String>,
    managers: Vec<Manager>,
}

/// A part of a list: what was put into it since the part before.
#[derive(Clone, Debug, Default)]
pub struct PackedPart {
    /// Ecosystems that earlier parts did not name.
    pub ecosystems: Vec<Ecosystem>,
    /// Shared texts that earlier parts did not name.
    pub texts: Vec<String>,
    /// Managers that earlier parts did not name.
    pub managers: Vec<Manager>,
    /// The records.
    pub records: Vec<u8>,
}

/// Packs records, in any order.
#[derive(Debug, Default)]
pub struct Packer {
    tables: Tables,
    records: Vec<u8>,
    /// Where each record begins that was put in here.
    rows: Vec<u32>,
    /// Those that were taken in, a part after the other, each sorted; ecosystems by their numbers.
    parts: Vec<Key>,
    known_ecosystems: HashMap<Ecosystem, u32>,
    known_texts: HashMap<String, u64>,
    /// How much of each table was given away in parts.
    given: (usize, usize, usize),
    count: usize,
}

impl Packer {
    /// How many records were put in.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether none was.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of records that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.records.len()
    }

    /// The number of an ecosystem.
    pub fn ecosystem(&mut self, ecosystem: &Ecosystem) -> u32 {
        if let Some(number) = self.known_ecosystems.get(ecosystem) {
            return *number;
        }
        let number = self.new_ecosystem(ecosystem.clone());
        self.known_ecosystems.insert(ecosystem.clone(), number);
        number
    }

    /// A number for an ecosystem that may turn out to be another one: see [`Packer::replace`].
    pub fn new_ecosystem(&mut self, ecosystem: Ecosystem) -> u32 {
        self.tables.ecosystems.push(ecosystem);
        u32::try_from(self.tables.ecosystems.len() - 1).unwrap_or(u32::MAX)
    }

    /// Says which ecosystem a number stands for after all. A number that stands for none is passed over.
    pub fn replace(&mut self, number: u32, ecosystem: Ecosystem) {
        if let Some(place) = self.tables.ecosystems.get_mut(number as usize) {
            *place = ecosystem;
        }
    }

    /// Puts in a component at a place.
    pub fn push(&mut self, component: &PackedComponent<'_>, place: &PackedPlace<'_>) {
        let ecosystem = self.ecosystem(component.ecosystem);
        self.push_as(ecosystem, component, place);
    }

    /// The same with the number of its ecosystem.
    pub fn push_as(&mut self, ecosystem: u32, component: &PackedComponent<'_>, place: &PackedPlace<'_>) {
        // A record beyond the last offset that can be named is counted and found to be missing when all is put together.
        self.rows.push(u32::try_from(self.records.len()).unwrap_or(u32::MAX));
        self.count += 1;
        let layer = self.shared(place.layer);
        let arch = self.shared(place.arch);
        let path = self.shared(Some(place.path).filter(|path| !path.is_empty()));
        let managers = &mut self.tables.managers;
        let manager = managers.iter().position(|known| *known == place.manager).unwrap_or_else(|| {
            managers.push(place.manager);
            managers.len() - 1
        });
        let out = &mut self.records;
        // Most records are shorter than what is written around their texts.
        out.reserve(64 + component.name.len() + component.version.len());
        number(u64::from(ecosystem), out);
        text(component.name, out);
        text(component.version, out);
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        out.push(
            flag(component.source.is_some(), HAS_SOURCE)
                | flag(component.module.is_some(), HAS_MODULE)
                | flag(component.os_owned, OS_OWNED),
        );
        if let Some((name, version)) = component.source {
            text(name, out);
            text(version, out);
        }
        if let Some(module) = component.module {
            text(module, out);
        }
        for (word, here) in [(path, Some(place.path)), (layer, place.layer), (arch, place.arch)] {
            number(word, out);
            if word == HERE {
                text(here.unwrap_or_default(), out);
            }
        }
        number(manager as u64, out);
    }

    /// How a text that others may share is named.
    fn shared(&mut self, given: Option<&str>) -> u64 {
        let Some(given) = given else { return ABSENT };
        if let Some(number) = self.known_texts.get(given) {
            return *number;
        }
        if self.tables.texts.len() >= MAX_SHARED {
            return HERE;
        }
        let number = self.tables.texts.len() as u64 + SHARED;
        self.tables.texts.push(given.to_owned());
        self.known_texts.insert(given.to_owned(), number);
        number
    }

    /// What was put in since this was asked last. It is no longer held.
    pub fn part(&mut self) -> PackedPart {
        let Tables { ecosystems, texts, managers } = &self.tables;
        let part = PackedPart {
            ecosystems: ecosystems[self.given.0..].to_vec(),
            texts: texts[self.given.1..].to_vec(),
            managers: managers[self.given.2..].to_vec(),
            records: std::mem::take(&mut self.records),
        };
        self.given = (ecosystems.len(), texts.len(), managers.len());
        self.rows.clear();
        part
    }

    /// Takes in a part that another packer gave away, after all that it gave away before.
    ///
    /// # Errors
    /// When it is not what a packer gives away, or there is more than can be held.
    pub fn append(&mut self, tables: PackedPart, records: &[u8]) -> Result<(), NotPacked> {
        self.tables.ecosystems.extend(tables.ecosystems);
        self.tables.texts.extend(tables.texts);
        self.tables.managers.extend(tables.managers);
        let start = self.records.len();
        u32::try_from(start + records.len()).map_err(|_| NotPacked)?;
        let first = self.parts.len();
        let mut reader = Reader { rest: records };
        while !reader.rest.is_empty() {
            let row = (start + records.len() - reader.rest.len()) as u32;
            let number = Reader { rest: reader.rest }.number().ok_or(NotPacked)?;
            let (component, _) = reader.record(&self.tables).ok_or(NotPacked)?;
            self.parts.push(Key::new(number, component.name, row));
            self.count += 1;
        }
        // Whoever says the next part is still at it: what is sorted now is only merged in the end.
        self.parts[first..].sort_unstable_by_key(Key::head);
        self.records.extend_from_slice(records);
        Ok(())
    }

    /// Puts everything together: sorted, and what is there twice once.
    ///
    /// # Errors
    /// When there is more than can be held.
    pub fn finish(self, os: Option<OsRelease>, mut problems: Vec<Problem>) -> Result<PackedInventory, NotPacked> {
        let Self { tables, mut records, rows, parts, .. } = self;
        u32::try_from(records.len()).map_err(|_| NotPacked)?;
        records.shrink_to_fit();
        problems.sort_unstable();
        problems.dedup();
        let ranks = ranks(&tables.ecosystems);
        let mut inventory = PackedInventory { os, problems, tables, records, rows: Vec::new(), firsts: Vec::new() };
        let mut keys = parts;
        keys.extend(rows.iter().filter_map(|row| {
            let mut reader = inventory.reader(*row)?;
            let number = reader.index().filter(|number| *number < ranks.len())?;
            Some(Key::new(number as u64, reader.text()?, *row))
        }));
        drop(rows);
        for key in &mut keys {
            let number = key.ecosystem().or_else(|| inventory.reader(key.row)?.index());
            key.rank(number.and_then(|number| ranks.get(number)).copied().unwrap_or_default());
        }
        // Stable sorting merges what is sorted already.
        keys.sort_by(|a, b| a.head().cmp(&b.head()).then_with(|| inventory.compare(&ranks, a.row, b.row)));
        let mut previous: Option<Key> = None;
        let (mut sorted, mut firsts) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
        for key in keys {
            let (same_component, same) = previous.as_ref().map_or((false, false), |before| {
                // Most differ in what is at hand.
                let may = before.head() == key.head();
                let component = may && inventory.compare_components(&ranks, before.row, key.row).is_eq();
                (component, component && inventory.compare(&ranks, before.row, key.row).is_eq())
            });
            if same {
                continue;
            }
            if !same_component {
                firsts.push(sorted.len() as u32);
            }
            sorted.push(key.row);
            previous = Some(key);
        }
        (inventory.rows, inventory.firsts) = (sorted, firsts);
        Ok(inventory)
    }
}

/// The place of each ecosystem in their order; equal ones have the same.
fn ranks(ecosystems: &[Ecosystem]) -> Vec<u32> {
    let mut sorted: Vec<&Ecosystem> = ecosystems.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    ecosystems.iter().map(|ecosystem| sorted.binary_search(&ecosystem).map_or(0, |rank| rank as u32)).collect()
}

/// The beginning of what records are ordered by: the ecosystem and the first bytes of the name. Equal ones are looked at closely.
#[derive(Debug)]
struct Key {
    high: u64,
    low: u64,
    row: u32,
}

impl Key {
    /// Bits of `high` that the name has.
    const NAME: u32 = 48;

    fn new(ecosystem: u64, name: &str, row: u32) -> Self {
        let mut head = [0; 14];
        let length = name.len().min(head.len());
        head[..length].copy_from_slice(&name.as_bytes()[..length]);
        let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Self { high: ecosystem.min(0xffff) << Self::NAME | number(&head[..6]), low: number(&head[6..]), row }
    }

    /// The number of the ecosystem, if there was room for it.
    fn ecosystem(&self) -> Option<usize> {
        usize::try_from(self.high >> Self::NAME).ok().filter(|number| *number < 0xffff)
    }

    /// Puts the ecosystem's place in the order in the place of its number.
    fn rank(&mut self, rank: u32) {
        self.high = u64::from(rank.min(0xffff)) << Self::NAME | self.high & ((1 << Self::NAME) - 1);
    }

    const fn head(&self) -> (u64, u64) {
        (self.high, self.low)
    }
}

/// An inventory, packed: see [`Inventory`].
#[derive(Clone, Debug, Default)]
pub struct PackedInventory {
    /// The operating system, if there is one.
    pub os: Option<OsRelease>,
    /// What could not be read, sorted.
    pub problems: Vec<Problem>,
    tables: Tables,
    records: Vec<u8>,
    /// Where each record begins, by component and place.
    rows: Vec<u32>,
    /// For each component the number of its first row.
    firsts: Vec<u32>,
}

impl PackedInventory {
    /// How many components there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.firsts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn completeness(&self) -> Completeness {
        if self.problems.is_empty() { Completeness::Complete } else { Completeness::Partial }
    }

    /// A component by its number.
    #[must_use]
    pub fn component(&self, number: u32) -> Option<PackedComponent<'_>> {
        let row = self.rows.get(*self.firsts.get(number as usize)? as usize)?;
        self.reader(*row)?.component(&self.tables)
    }

    /// All components, sorted.
    pub fn components(&self) -> impl Iterator<Item = PackedComponent<'_>> {
        (0..self.firsts.len() as u32).filter_map(|number| self.component(number))
    }

    /// Where a component lies.
    pub fn places(&self, number: u32) -> impl Iterator<Item = PackedPlace<'_>> {
        let from = self.firsts.get(number as usize).map_or(self.rows.len(), |first| *first as usize);
        let to = self.firsts.get(number as usize + 1).map_or(self.rows.len(), |next| *next as usize);
        let rows = self.rows.get(from..to).unwrap_or_default();
        rows.iter().filter_map(|row| {
            let mut reader = self.reader(*row)?;
            reader.component(&self.tables)?;
            reader.place(&self.tables)
        })
    }

    /// The ecosystems that components are of, among others perhaps.
    #[must_use]
    pub fn ecosystems(&self) -> &[Ecosystem] {
        &self.tables.ecosystems
    }

    /// The same with every part by itself.
    #[must_use]
    pub fn unpack(&self) -> Inventory {
        let numbers = 0..self.firsts.len() as u32;
        Inventory {
            os: self.os.clone(),
            components: self.components().map(|component| component.to_component()).collect(),
            occurrences: numbers.flat_map(|number| self.places(number).map(move |place| place.to_occurrence(number))).collect(),
            problems: self.problems.clone(),
        }
    }

    fn reader(&self, row: u32) -> Option<Reader<'_>> {
        Some(Reader { rest: self.records.get(row as usize..)? })
    }

    fn compare_components(&self, ranks: &[u32], a: u32, b: u32) -> Ordering {
        let of = |row| {
            let component = self.reader(row)?.component(&self.tables)?;
            let rank = ranks.get(self.reader(row)?.index()?)?;
            Some((rank, component.name, component.version, component.source, component.module, component.os_owned))
        };
        of(a).cmp(&of(b))
    }

    fn compare(&self, ranks: &[u32], a: u32, b: u32) -> Ordering {
        let place = |row| {
            let mut reader = self.reader(row)?;
            reader.component(&self.tables)?;
            reader.place(&self.tables)
        };
        self.compare_components(ranks, a, b).then_with(|| place(a).cmp(&place(b)))
    }
}

impl From<&Inventory> for PackedInventory {
    fn from(inventory: &Inventory) -> Self {
        let mut packer = Packer::default();
        for (number, component) in (0_u32..).zip(&inventory.components) {
            let component = PackedComponent::from(component);
            inventory.occurrences_of(number).for_each(|occurrence| packer.push(&component, &occurrence.into()));
        }
        // Four gigabytes of records are more than an inventory of single parts could hold.
        packer.finish(inventory.os.clone(), inventory.problems.clone()).unwrap_or_default()
    }
}

fn number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn text(value: &str, out: &mut Vec<u8>) {
    number(value.len() as u64, out);
    out.extend_from_slice(value.as_bytes());
}

/// Reads a record; every length and number is checked where it is used.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn index(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.index()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// None if there is no such text; none inside if there is none to be.
    fn shared(&mut self, tables: &'a Tables) -> Option<Option<&'a str>> {
        Some(match self.number()? {
            ABSENT => None,
            HERE => Some(self.text()?),
            number => Some(tables.texts.get(usize::try_from(number - SHARED).ok()?)?.as_str()),
        })
    }

    fn component(&mut self, tables: &'a Tables) -> Option<PackedComponent<'a>> {
        let ecosystem = tables.ecosystems.get(self.index()?)?;
        let (name, version) = (self.text()?, self.text()?);
        let (flags, rest) = self.rest.split_first()?;
        self.rest = rest;
        let source = if flags & HAS_SOURCE == 0 { None } else { Some((self.text()?, self.text()?)) };
        let module = if flags & HAS_MODULE == 0 { None } else { Some(self.text()?) };
        Some(PackedComponent { ecosystem, name, version, source, module, os_owned: flags & OS_OWNED != 0 })
    }

    fn place(&mut self, tables: &'a Tables) -> Option<PackedPlace<'a>> {
        let path = self.shared(tables)?.unwrap_or_default();
        let (layer, arch) = (self.shared(tables)?, self.shared(tables)?);
        let manager = *tables.managers.get(self.index()?)?;
        Some(PackedPlace { path, layer, arch, manager })
    }

    fn record(&mut self, tables: &'a Tables) -> Option<(PackedComponent<'a>, PackedPlace<'a>)> {
        Some((self.component(tables)?, self.place(tables)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, ProblemKind};
    use proptest::prelude::*;

    fn any_found() -> impl Strategy<Value = (Component, Occurrence)> {
        let ecosystem = prop_oneof![
            Just(Ecosystem::of(Family::Npm)),
            Just(Ecosystem::release(Family::Debian, "12")),
            Just(Ecosystem::of(Family::Other("x".into())))
        ];
        let name = prop_oneof!["[a-c]{0,3}", "a-name-that-is-long-[a-c]{0,2}", "é[a-b]"];
        let source = prop::option::of(("[ab]{1,2}", "[0-9]"));
        let place = ("[pq]{0,2}", prop::option::of("[lm]{0,1}"), prop::option::of("[xy]"), any::<bool>());
        (ecosystem, name, "[0-9.]{0,3}", source, prop::option::of("m:[0-9]"), any::<bool>(), place).prop_map(
            |(ecosystem, name, version, source, module, os_owned, (path, layer, arch, jar))| {
                let source = source.map(|(name, version)| Source { name, version });
                let manager = if jar { Manager::Jar } else { Manager::Npm };
                let component = Component { ecosystem, name, version, source, module, os_owned };
                (component, Occurrence { component: 0, path, layer, arch, manager })
            },
        )
    }

    proptest! {
        /// Packed in parts, as a worker sends them, or at once: what comes out is what an inventory of single parts is.
        #[test]
        fn packed_is_the_same_inventory(found in prop::collection::vec(any_found(), 0..40), each in 1..9_usize) {
            let problems = vec![Problem { path: "p".into(), kind: ProblemKind::Truncated, detail: "d".into() }];
            let plain = Inventory::assemble(None, found.clone(), problems.clone());
            prop_assert_eq!(&PackedInventory::from(&plain).unpack(), &plain);
            let (mut sender, mut receiver) = (Packer::default(), Packer::default());
            for part in found.chunks(each) {
                part.iter().for_each(|(component, place)| sender.push(&component.into(), &place.into()));
                let mut part = sender.part();
                let records = std::mem::take(&mut part.records);
                receiver.append(part, &records).unwrap();
            }
            prop_assert_eq!((sender.len(), receiver.len()), (found.len(), found.len()));
            let packed = receiver.finish(None, problems).unwrap();
            prop_assert_eq!((packed.len(), packed.is_empty()), (plain.components.len(), plain.components.is_empty()));
            prop_assert_eq!(&packed.unpack(), &plain);
        }

        /// Whoever sends records may lie.
        #[test]
        fn records_that_are_none_are_refused(found in prop::collection::vec(any_found(), 1..9), noise in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut sender = Packer::default();
            found.iter().for_each(|(component, place)| sender.push(&component.into(), &place.into()));
            let part = sender.part();
            for cut in 0..part.records.len() {
                let _ = Packer::default().append(part.clone(), &part.records[..cut]);
                prop_assert!(Packer::default().append(PackedPart::default(), &part.records[..=cut]).is_err());
            }
            let mut receiver = Packer::default();
            if receiver.append(part, &noise).is_ok() {
                prop_assert!(receiver.finish(None, vec![]).is_ok());
            }
        }
    }

    #[test]
    fn an_ecosystem_may_become_known_later() {
        let mut packer = Packer::default();
        let unknown = packer.new_ecosystem(Ecosystem::of(Family::Other("debian".into())));
        let debian = Ecosystem::release(Family::Debian, "12");
        let place = PackedPlace { path: "", layer: None, arch: None, manager: Manager::Dpkg };
        let component = Component::new(debian.clone(), "bash", "5");
        packer.push_as(unknown, &PackedComponent::from(&component), &place);
        packer.push(&PackedComponent::from(&component), &place);
        packer.replace(unknown, debian);
        assert_eq!(packer.finish(None, vec![]).unwrap().unpack().components, [component], "now they are the same");
    }
}
