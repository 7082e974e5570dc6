//! What an advisory says of one package, as bytes.
//!
//! Whatever the index has elsewhere is left out and named by its number: the package (it is the key), the ecosystem (it is in the
//! manifest), the vulnerabilities (they are a table), the distributor's words (they are few). Numbers are variable-length (LEB128),
//! texts a length and their bytes. An entry begins with its length and its ecosystem, so that one of another release is passed
//! over unread.

use super::IndexError;
use lestrade_model::{Affected, Ecosystem, Event, FixState, Range, RangeKind};
use lestrade_versions::{Position, Scheme, position};
use std::collections::BTreeMap;

/// An entry under construction.
pub(super) struct Draft<'a> {
    pub(super) advisory: u32,
    pub(super) vulnerabilities: Vec<u32>,
    pub(super) affected: &'a Affected,
}

/// An entry as it is matched: what the advisory says, and the numbers of the advisory and of the vulnerabilities that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The advisory's ordinal.
    pub advisory: u32,
    /// The ordinals of the vulnerabilities that it is about.
    pub vulnerabilities: Vec<u32>,
    /// The entry.
    pub affected: Affected,
}

/// Numbers of ecosystems and of words, while an index is built.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) ecosystems: BTreeMap<Ecosystem, u64>,
    pub(super) words: BTreeMap<String, u64>,
}

const STATES: [FixState; 6] =
    [FixState::Fixed, FixState::Open, FixState::Deferred, FixState::WillNotFix, FixState::EndOfLife, FixState::UnderInvestigation];

const INTRODUCED_AT_ZERO: u64 = 0;
const INTRODUCED: u64 = 1;
const FIXED: u64 = 2;
const LAST_AFFECTED: u64 = 3;
const LIMIT: u64 = 4;

/// Versions that need listing: those that no range says already. Feeds list what is in their ranges once more.
fn listed(affected: &Affected) -> Vec<&str> {
    let scheme = Scheme::of(&affected.ecosystem.family);
    let in_range = |version: &str| {
        affected.ranges.iter().any(|range| {
            let order = if range.kind == RangeKind::Semver { Some(Scheme::Semver) } else { scheme };
            order.is_some_and(|order| matches!(position(order, &range.events, version), Position::Inside { .. }))
        })
    };
    affected.versions.iter().map(String::as_str).filter(|version| !in_range(version)).collect()
}

/// Appends an entry.
pub(super) fn encode(draft: &Draft<'_>, numbers: &Numbers, out: &mut Vec<u8>) -> Result<(), IndexError> {
    let affected = draft.affected;
    let mut body = Vec::new();
    let ecosystem = numbers.ecosystems.get(&affected.ecosystem).ok_or(IndexError::TooLarge("ecosystems"))?;
    number(*ecosystem, &mut body);
    number(u64::from(draft.advisory), &mut body);
    number(draft.vulnerabilities.len() as u64, &mut body);
    draft.vulnerabilities.iter().for_each(|ordinal| number(u64::from(*ordinal), &mut body));
    let state = STATES.iter().position(|state| *state == affected.unfixed).ok_or(IndexError::TooLarge("states"))?;
    let word = affected.vendor_severity.as_ref().map(|word| numbers.words.get(word).ok_or(IndexError::TooLarge("words"))).transpose()?;
    number(state as u64, &mut body);
    number(word.map_or(0, |word| word + 1), &mut body);
    let module = affected.module.as_ref().map(|word| numbers.words.get(word).ok_or(IndexError::TooLarge("words"))).transpose()?;
    number((affected.ranges.len() as u64) << 1 | u64::from(module.is_some()), &mut body);
    module.iter().for_each(|word| number(**word, &mut body));
    for range in &affected.ranges {
        number((range.events.len() as u64) << 1 | u64::from(range.kind == RangeKind::Semver), &mut body);
        for event in &range.events {
            match event {
                Event::Introduced(version) if version == "0" => number(INTRODUCED_AT_ZERO, &mut body),
                Event::Introduced(version) => tagged(INTRODUCED, version, &mut body),
                Event::Fixed(version) => tagged(FIXED, version, &mut body),
                Event::LastAffected(version) => tagged(LAST_AFFECTED, version, &mut body),
                Event::Limit(version) => tagged(LIMIT, version, &mut body),
            }
        }
    }
    let versions = listed(affected);
    number(versions.len() as u64, &mut body);
    versions.into_iter().for_each(|version| text(version, &mut body));
    number(body.len() as u64, out);
    out.extend_from_slice(&body);
    Ok(())
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

fn tagged(tag: u64, version: &str, out: &mut Vec<u8>) {
    number(tag, out);
    text(version, out);
}

/// Reads entries one after another; every length is checked where it is used.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

const BROKEN: IndexError = IndexError::Corrupt("entries");

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next entry that is of one of the wanted ecosystems, by its number; none at the end.
    pub(super) fn next(
        &mut self,
        name: &str,
        ecosystems: &[(Ecosystem, u64)],
        words: &[String],
        wanted: impl Fn(&Ecosystem) -> bool,
    ) -> Result<Option<Entry>, IndexError> {
        while !self.rest.is_empty() {
            let length = self.length()?;
            let (body, rest) = self.rest.split_at_checked(length).ok_or(BROKEN)?;
            self.rest = rest;
            let mut body = Reader { rest: body };
            let (ecosystem, _) = ecosystems.get(body.length()?).ok_or(BROKEN)?;
            if wanted(ecosystem) {
                return body.entry(name, ecosystem, words).map(Some);
            }
        }
        Ok(None)
    }

    fn entry(&mut self, name: &str, ecosystem: &Ecosystem, words: &[String]) -> Result<Entry, IndexError> {
        let advisory = self.ordinal()?;
        let vulnerabilities = (0..self.count()?).map(|_| self.ordinal()).collect::<Result<_, _>>()?;
        let unfixed = *STATES.get(self.length()?).ok_or(BROKEN)?;
        let vendor_severity = match self.length()?.checked_sub(1) {
            Some(word) => Some(words.get(word).ok_or(BROKEN)?.clone()),
            None => None,
        };
        let head = self.number()?;
        let module = match head & 1 {
            1 => Some(words.get(self.length()?).ok_or(BROKEN)?.clone()),
            _ => None,
        };
        let ranges = (0..self.checked(head >> 1)?).map(|_| self.range()).collect::<Result<_, _>>()?;
        let versions = (0..self.count()?).map(|_| self.text()).collect::<Result<_, _>>()?;
        let affected = Affected { ecosystem: ecosystem.clone(), name: name.to_owned(), module, ranges, versions, unfixed, vendor_severity };
        Ok(Entry { advisory, vulnerabilities, affected })
    }

    fn range(&mut self) -> Result<Range, IndexError> {
        let head = self.number()?;
        let kind = if head & 1 == 1 { RangeKind::Semver } else { RangeKind::Ecosystem };
        let events = (0..self.checked(head >> 1)?).map(|_| self.event()).collect::<Result<_, _>>()?;
        Ok(Range { kind, events })
    }

    fn event(&mut self) -> Result<Event, IndexError> {
        Ok(match self.number()? {
            INTRODUCED_AT_ZERO => Event::Introduced("0".to_owned()),
            INTRODUCED => Event::Introduced(self.text()?),
            FIXED => Event::Fixed(self.text()?),
            LAST_AFFECTED => Event::LastAffected(self.text()?),
            LIMIT => Event::Limit(self.text()?),
            _ => return Err(BROKEN),
        })
    }

    fn number(&mut self) -> Result<u64, IndexError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(BROKEN)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(BROKEN)
    }

    fn length(&mut self) -> Result<usize, IndexError> {
        usize::try_from(self.number()?).map_err(|_| BROKEN)
    }

    /// How many things follow: each takes a byte at least, so that a lie allocates nothing.
    fn count(&mut self) -> Result<usize, IndexError> {
        let count = self.number()?;
        self.checked(count)
    }

    fn checked(&self, count: u64) -> Result<usize, IndexError> {
        usize::try_from(count).ok().filter(|count| *count <= self.rest.len()).ok_or(BROKEN)
    }

    fn ordinal(&mut self) -> Result<u32, IndexError> {
        u32::try_from(self.number()?).map_err(|_| BROKEN)
    }

    fn text(&mut self) -> Result<String, IndexError> {
        let length = self.length()?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(BROKEN)?;
        self.rest = rest;
        std::str::from_utf8(text).map(str::to_owned).map_err(|_| BROKEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::Family;
    use proptest::prelude::*;

    fn numbers(affected: &Affected) -> Numbers {
        let mut words: BTreeMap<String, u64> =
            affected.vendor_severity.iter().chain(&affected.module).map(|word| (word.clone(), 0)).collect();
        (0..).zip(words.values_mut()).for_each(|(place, number)| *number = place);
        Numbers { ecosystems: BTreeMap::from([(affected.ecosystem.clone(), 0)]), words }
    }

    fn any_affected() -> impl Strategy<Value = Affected> {
        let version = "[0-9.]{1,6}";
        let event = prop_oneof![
            version.prop_map(Event::Introduced),
            version.prop_map(Event::Fixed),
            version.prop_map(Event::LastAffected),
            version.prop_map(Event::Limit),
        ];
        let range = (any::<bool>(), prop::collection::vec(event, 0..4))
            .prop_map(|(semver, events)| Range { kind: if semver { RangeKind::Semver } else { RangeKind::Ecosystem }, events });
        let ecosystem = prop_oneof![Just(Ecosystem::of(Family::PyPi)), Just(Ecosystem::release(Family::Debian, "12"))];
        (
            ecosystem,
            prop::collection::vec(range, 0..3),
            prop::collection::vec(version, 0..4),
            0..6_usize,
            prop::option::of("[a-z]{1,9}"),
            prop::option::of("a:[0-9]"),
        )
            .prop_map(|(ecosystem, ranges, versions, state, vendor_severity, module)| Affected {
                ecosystem,
                name: "x".into(),
                module,
                ranges,
                versions,
                unfixed: STATES[state],
                vendor_severity,
            })
    }

    proptest! {
        /// What is read is what was written, but for versions that the ranges say already: no verdict is another one.
        #[test]
        fn an_entry_is_read_as_it_was_written(affected in any_affected(), version in "[0-9.]{1,6}") {
            let numbers = numbers(&affected);
            let mut bytes = Vec::new();
            let draft = Draft { advisory: 7, vulnerabilities: vec![300, 2], affected: &affected };
            encode(&draft, &numbers, &mut bytes).unwrap();
            let ecosystems = [(affected.ecosystem.clone(), 1)];
            let words: Vec<String> = numbers.words.keys().cloned().collect();
            let mut reader = Reader::new(&bytes);
            let entry = reader.next("x", &ecosystems, &words, |_| true).unwrap().unwrap();
            prop_assert!(reader.next("x", &ecosystems, &words, |_| true).unwrap().is_none());
            prop_assert_eq!((entry.advisory, &entry.vulnerabilities), (7, &vec![300, 2]));
            prop_assert_eq!(&entry.affected.ranges, &affected.ranges);
            let component = lestrade_model::Component::new(affected.ecosystem.clone(), "x", &version);
            prop_assert_eq!(crate::affects(&entry.affected, &component), crate::affects(&affected, &component));
            for cut in 0..bytes.len() {
                let _ = Reader::new(&bytes[..cut]).next("x", &ecosystems, &words, |_| true);
            }
        }
    }
}
