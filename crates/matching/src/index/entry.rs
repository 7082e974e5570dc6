//! What an advisory says of one package, as bytes.
//!
//! Whatever the index has elsewhere is left out and named by its number: the package (it is the key), the ecosystem (it is in the
//! manifest), the distributor's words (they are few). Numbers are variable-length (LEB128), texts a length and their bytes. The ids of
//! the vulnerabilities stand in the entry: a CVE takes no more bytes than a number of it would, and nothing else has to be read to
//! answer. An entry begins with its length and its ecosystem, so that one of another release is passed over unread.

use super::IndexError;
use lestrade_model::{Affected, Ecosystem, Event, FixState, Range, RangeKind};
use lestrade_versions::{Position, Scheme, position};
use std::collections::BTreeMap;
use std::fmt;

/// An entry under construction.
pub(super) struct Draft<'a> {
    pub(super) advisory: u32,
    pub(super) vulnerabilities: &'a [VulnerabilityName],
    pub(super) affected: &'a Affected,
}

/// The id of a vulnerability as an entry holds it: most are of CVE, and those are numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VulnerabilityName {
    /// `CVE-2021-44228`.
    Cve {
        /// 1985 to 2111: a byte holds it.
        year: u16,
        /// What follows the year; ids have four digits of it at least.
        number: u32,
    },
    /// Any other id.
    Other(String),
}

/// The year before those that a byte holds.
pub(crate) const BEFORE: u16 = 1984;
/// How many years a byte holds, and those before them.
pub(crate) const YEARS: u16 = 0x80;

/// Year and number of an id of CVE that is written as they all are: four digits of the number at least, and no more than needed
/// beyond.
#[inline]
pub(crate) fn cve_of(id: &str) -> Option<(u16, u32)> {
    let (b"CVE-", rest) = id.as_bytes().split_first_chunk()? else { return None };
    let (year, rest) = rest.split_first_chunk()?;
    let (b'-', digits) = rest.split_first()? else { return None };
    let (first, more) = digits.split_first_chunk()?;
    if more.len() > 6 || (!more.is_empty() && first[0] == b'0') {
        return None;
    }
    let (year, first) = (four_digits(*year)?, four_digits(*first)?);
    let add = |value: u64, digit: &u8| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'));
    let number = u32::try_from(more.iter().try_fold(u64::from(first), add)?).ok()?;
    (1..YEARS).contains(&year.saturating_sub(BEFORE)).then_some((year, number))
}

/// What four digits say: all four are looked at at once, then added in pairs.
fn four_digits(digits: [u8; 4]) -> Option<u16> {
    let values = u32::from_le_bytes(digits) ^ 0x3030_3030;
    // No value is above 9, and none carries into the next.
    if (values | values.wrapping_add(0x0606_0606)) & 0xF0F0_F0F0 != 0 {
        return None;
    }
    let pairs = (values & 0x00FF_00FF) * 10 + ((values >> 8) & 0x00FF_00FF);
    Some((pairs & 0xFF) as u16 * 100 + (pairs >> 16) as u16)
}

/// Appends a number in decimal, with four digits at least.
fn push_decimal(number: u32, text: &mut String) {
    let mut unit = 1000;
    while number / 10 >= unit {
        unit *= 10;
    }
    while unit > 0 {
        text.push(char::from(b'0' + (number / unit % 10) as u8));
        unit /= 10;
    }
}

impl VulnerabilityName {
    /// The name of an id: the same text comes out of it again.
    #[must_use]
    pub fn of(id: &str) -> Self {
        cve_of(id).map_or_else(|| Self::Other(id.to_owned()), |(year, number)| Self::Cve { year, number })
    }

    /// Its text, put together without a formatter: judging needs one for each vulnerability that is found.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Cve { year, number } => {
                let mut text = String::with_capacity("CVE-2021-4294967295".len());
                text.push_str("CVE-");
                push_decimal(u32::from(*year), &mut text);
                text.push('-');
                push_decimal(*number, &mut text);
                text
            }
            Self::Other(id) => id.clone(),
        }
    }
}

impl fmt::Display for VulnerabilityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// An entry as it is matched: what the advisory says, the advisory's number, and the vulnerabilities that it is about. Its texts are
/// read where they stand in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The advisory's ordinal.
    pub advisory: u32,
    /// The vulnerabilities that it is about.
    pub vulnerabilities: Vec<VulnerabilityName>,
    /// The entry.
    pub affected: Affected<&'a str>,
}

/// Numbers of ecosystems and of words, while an index is built.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) ecosystems: BTreeMap<Ecosystem, u64>,
    pub(super) words: BTreeMap<String, u64>,
}

const STATES: [FixState; 6] =
    [FixState::Fixed, FixState::Open, FixState::Deferred, FixState::WillNotFix, FixState::EndOfLife, FixState::UnderInvestigation];

/// In the place of a year.
const NO_CVE: u64 = 0;

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
    for vulnerability in draft.vulnerabilities {
        match vulnerability {
            VulnerabilityName::Cve { year, number: of_year } => {
                number(u64::from(year - BEFORE), &mut body);
                number(u64::from(*of_year), &mut body);
            }
            VulnerabilityName::Other(id) => tagged(NO_CVE, id, &mut body),
        }
    }
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

/// An entry of which the numbers were read that other indexes have otherwise, and nothing else.
pub(super) struct Raw<'a> {
    /// All of it, its length included.
    pub(super) whole: &'a [u8],
    pub(super) ecosystem: usize,
    pub(super) advisory: u32,
    pub(super) word: Option<usize>,
    pub(super) module: Option<usize>,
    /// Vulnerabilities and state.
    middle: &'a [u8],
    head: u64,
    /// Ranges and versions.
    tail: &'a [u8],
}

impl Raw<'_> {
    /// Appends the entry with the numbers of another index.
    pub(super) fn renumber(&self, advisory: u32, ecosystems: &[u64], words: &[u64], out: &mut Vec<u8>) -> Result<(), IndexError> {
        let ecosystem = *ecosystems.get(self.ecosystem).ok_or(BROKEN)?;
        let of = |word: usize| words.get(word).copied().ok_or(BROKEN);
        let (word, module) = (self.word.map(of).transpose()?, self.module.map(of).transpose()?);
        let same = |now: Option<u64>, was: Option<usize>| now == was.map(|was| was as u64);
        if (ecosystem, advisory) == (self.ecosystem as u64, self.advisory) && same(word, self.word) && same(module, self.module) {
            out.extend_from_slice(self.whole);
            return Ok(());
        }
        // The longest that five numbers can be.
        let mut numbers = Vec::with_capacity(50);
        number(ecosystem, &mut numbers);
        number(u64::from(advisory), &mut numbers);
        let first = numbers.len();
        number(word.map_or(0, |word| word + 1), &mut numbers);
        number(self.head, &mut numbers);
        module.iter().for_each(|word| number(*word, &mut numbers));
        number((numbers.len() + self.middle.len() + self.tail.len()) as u64, out);
        out.extend_from_slice(&numbers[..first]);
        out.extend_from_slice(self.middle);
        out.extend_from_slice(&numbers[first..]);
        out.extend_from_slice(self.tail);
        Ok(())
    }
}

/// Reads entries one after another; every length is checked where it is used.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// The ecosystems whose entries are wanted: those that speak of one. A package has many entries of few ecosystems, so each is asked once.
pub(super) struct Wanted<'a> {
    by: &'a Ecosystem,
    asked: [u64; 4],
    yes: [u64; 4],
}

impl<'a> Wanted<'a> {
    pub(super) const fn by(by: &'a Ecosystem) -> Self {
        Self { by, asked: [0; 4], yes: [0; 4] }
    }

    /// Whether the ecosystem of a number is wanted.
    fn wants(&mut self, number: usize, ecosystem: &Ecosystem) -> bool {
        let (word, bit) = (number / 64, 1 << (number % 64));
        let Some((asked, yes)) = self.asked.get_mut(word).zip(self.yes.get_mut(word)) else { return ecosystem.covers(self.by) };
        if *asked & bit == 0 {
            *asked |= bit;
            *yes |= if ecosystem.covers(self.by) { bit } else { 0 };
        }
        *yes & bit != 0
    }
}

/// For how many things room is made at once.
const AT_ONCE: usize = 64;

const BROKEN: IndexError = IndexError::Corrupt("entries");

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next entry, hardly read; none at the end.
    pub(super) fn raw(&mut self) -> Result<Option<Raw<'a>>, IndexError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let all = self.rest;
        let length = self.length()?;
        let (body, rest) = self.rest.split_at_checked(length).ok_or(BROKEN)?;
        self.rest = rest;
        let whole = &all[..all.len() - rest.len()];
        let mut body = Reader { rest: body };
        let (ecosystem, advisory) = (body.length()?, body.ordinal()?);
        let from = body.rest;
        for _ in 0..body.count()? {
            match body.number()? {
                NO_CVE => drop(body.bytes()?),
                _ => drop(body.number()?),
            }
        }
        body.number()?;
        let middle = &from[..from.len() - body.rest.len()];
        let word = body.length()?.checked_sub(1);
        let head = body.number()?;
        let module = if head & 1 == 1 { Some(body.length()?) } else { None };
        Ok(Some(Raw { whole, ecosystem, advisory, word, module, middle, head, tail: body.rest }))
    }

    /// The next entry that is of one of the wanted ecosystems, by its number; none at the end.
    pub(super) fn next(
        &mut self,
        name: &'a str,
        ecosystems: &[(Ecosystem, u64)],
        words: &'a [String],
        wanted: &mut Wanted<'_>,
    ) -> Result<Option<Entry<'a>>, IndexError> {
        while !self.rest.is_empty() {
            let length = self.length()?;
            let (body, rest) = self.rest.split_at_checked(length).ok_or(BROKEN)?;
            self.rest = rest;
            let mut body = Reader { rest: body };
            let number = body.length()?;
            let (ecosystem, _) = ecosystems.get(number).ok_or(BROKEN)?;
            if wanted.wants(number, ecosystem) {
                return body.entry(name, ecosystem, words).map(Some);
            }
        }
        Ok(None)
    }

    fn entry(&mut self, name: &'a str, ecosystem: &Ecosystem, words: &'a [String]) -> Result<Entry<'a>, IndexError> {
        let advisory = self.ordinal()?;
        let count = self.count()?;
        let vulnerabilities = self.many(count, Self::vulnerability)?;
        let unfixed = *STATES.get(self.length()?).ok_or(BROKEN)?;
        let vendor_severity = match self.length()?.checked_sub(1) {
            Some(word) => Some(words.get(word).ok_or(BROKEN)?.as_str()),
            None => None,
        };
        let head = self.number()?;
        let module = match head & 1 {
            1 => Some(words.get(self.length()?).ok_or(BROKEN)?.as_str()),
            _ => None,
        };
        let count = self.checked(head >> 1)?;
        let ranges = self.many(count, Self::range)?;
        let count = self.count()?;
        let versions = self.many(count, Self::text)?;
        let affected = Affected { ecosystem: ecosystem.clone(), name, module, ranges, versions, unfixed, vendor_severity };
        Ok(Entry { advisory, vulnerabilities, affected })
    }

    fn vulnerability(&mut self) -> Result<VulnerabilityName, IndexError> {
        Ok(match self.number()? {
            NO_CVE => VulnerabilityName::Other(self.text()?.to_owned()),
            year => VulnerabilityName::Cve {
                year: u16::try_from(year).ok().and_then(|year| year.checked_add(BEFORE)).ok_or(BROKEN)?,
                number: self.ordinal()?,
            },
        })
    }

    fn range(&mut self) -> Result<Range<&'a str>, IndexError> {
        let head = self.number()?;
        let kind = if head & 1 == 1 { RangeKind::Semver } else { RangeKind::Ecosystem };
        let count = self.checked(head >> 1)?;
        let events = self.many(count, Self::event)?;
        Ok(Range { kind, events })
    }

    fn event(&mut self) -> Result<Event<&'a str>, IndexError> {
        Ok(match self.number()? {
            INTRODUCED_AT_ZERO => Event::Introduced("0"),
            INTRODUCED => Event::Introduced(self.text()?),
            FIXED => Event::Fixed(self.text()?),
            LAST_AFFECTED => Event::LastAffected(self.text()?),
            LIMIT => Event::Limit(self.text()?),
            _ => return Err(BROKEN),
        })
    }

    /// So many things one after another. Room is made for few at once, so that a lie allocates little.
    fn many<T>(&mut self, count: usize, read: impl Fn(&mut Self) -> Result<T, IndexError>) -> Result<Vec<T>, IndexError> {
        let mut all = Vec::with_capacity(count.min(AT_ONCE));
        for _ in 0..count {
            all.push(read(self)?);
        }
        Ok(all)
    }

    fn number(&mut self) -> Result<u64, IndexError> {
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(byte));
        }
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

    fn bytes(&mut self) -> Result<&'a [u8], IndexError> {
        let length = self.length()?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(BROKEN)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'a str, IndexError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| BROKEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::Family;
    use proptest::prelude::*;

    #[test]
    fn four_digits_are_what_they_spell() {
        for value in 0..10_000_u16 {
            let spelled = format!("{value:04}");
            let digits: [u8; 4] = spelled.as_bytes().try_into().unwrap();
            assert_eq!(four_digits(digits), Some(value));
            for (place, byte) in
                (0..4).flat_map(|place| (0..=u8::MAX).map(move |byte| (place, byte))).filter(|(_, byte)| !byte.is_ascii_digit())
            {
                let mut other = digits;
                other[place] = byte;
                assert_eq!(four_digits(other), None, "{other:?}");
            }
        }
    }

    #[test]
    fn ids_of_cve_are_two_numbers_as_they_are_written() {
        let cases = [
            ("CVE-2021-44228", Some((2021, 44228))),
            ("CVE-1999-0001", Some((1999, 1))),
            ("CVE-2024-4294967295", Some((2024, u32::MAX))),
            ("CVE-2024-4294967296", None),
            ("CVE-2024-04422", None),
            ("CVE-2024-442", None),
            ("CVE-2024-44228000000", None),
            ("CVE-2024-442a", None),
            ("CVE-1984-1000", None),
            ("CVE-2112-1000", None),
            ("CVE-20211-1000", None),
            ("cve-2021-44228", None),
            ("CVE-2021", None),
            ("", None),
        ];
        for (id, expected) in cases {
            assert_eq!(cve_of(id), expected, "{id}");
            assert_eq!(VulnerabilityName::of(id).to_string(), id);
        }
    }

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

    #[test]
    fn names_come_out_as_they_went_in() {
        for (id, is_number) in [
            ("CVE-2021-44228", true),
            ("CVE-1999-0001", true),
            ("CVE-1984-0001", false),
            ("CVE-2111-4294967295", true),
            ("CVE-2112-0001", false),
            ("CVE-2021-4294967296", false),
            ("CVE-2021-00001", false),
            ("CVE-2021-1", false),
            ("CVE-2021-+001", false),
            ("CVE-02021-0001", false),
            ("CVE-2021", false),
            ("GHSA-jfh8-c2jp-5v3q", false),
            ("", false),
        ] {
            let name = VulnerabilityName::of(id);
            assert_eq!((name.to_string().as_str(), matches!(name, VulnerabilityName::Cve { .. })), (id, is_number));
        }
    }

    #[test]
    fn each_ecosystem_is_asked_once_and_those_beyond_each_time() {
        let of = |release: &str| Ecosystem::release(Family::Debian, release);
        let (twelve, eleven) = (of("12"), of("11"));
        let mut wanted = Wanted::by(&twelve);
        for number in [0, 63, 64, 255, 256, 100_000] {
            assert!(wanted.wants(number, &twelve) && wanted.wants(number, &twelve));
        }
        assert!(!wanted.wants(1, &eleven) && !wanted.wants(1, &twelve), "what was answered of a number stays");
        assert!(!wanted.wants(300, &eleven) && wanted.wants(300, &twelve));
    }

    proptest! {
        /// What is read is what was written, but for versions that the ranges say already: no verdict is another one.
        #[test]
        fn an_entry_is_read_as_it_was_written(affected in any_affected(), version in "[0-9.]{1,6}") {
            let numbers = numbers(&affected);
            let mut bytes = Vec::new();
            let about = ["CVE-2021-0002", "GHSA-x"].map(VulnerabilityName::of);
            let draft = Draft { advisory: 7, vulnerabilities: &about, affected: &affected };
            encode(&draft, &numbers, &mut bytes).unwrap();
            let ecosystems = [(affected.ecosystem.clone(), 1)];
            let words: Vec<String> = numbers.words.keys().cloned().collect();
            let mut wanted = Wanted::by(&affected.ecosystem);
            let mut reader = Reader::new(&bytes);
            let entry = reader.next("x", &ecosystems, &words, &mut wanted).unwrap().unwrap();
            prop_assert!(reader.next("x", &ecosystems, &words, &mut wanted).unwrap().is_none());
            prop_assert_eq!((entry.advisory, entry.vulnerabilities.as_slice()), (7, about.as_slice()));
            prop_assert_eq!(postcard::to_stdvec(&entry.affected.ranges).unwrap(), postcard::to_stdvec(&affected.ranges).unwrap());
            let component = lestrade_model::Component::new(affected.ecosystem.clone(), "x", &version);
            prop_assert_eq!(crate::affects(&entry.affected, &component), crate::affects(&affected, &component));
            for cut in 0..bytes.len() {
                let _ = Reader::new(&bytes[..cut]).next("x", &ecosystems, &words, &mut wanted);
            }
        }
    }
}
