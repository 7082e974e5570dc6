//! A JSON document read as a stream: its outermost object member by member, arrays in it element by element. Only what is being looked
//! at is held, and every value is parsed by `serde_json` out of what is held.

use crate::ExtractError;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::marker::PhantomData;

/// How much is read at a time.
const CHUNK: usize = 256 << 10;
/// The largest value that is looked at as a whole: an entry, and what an envelope holds.
const LARGEST: usize = 32 << 20;
const LARGEST_INSIDE: usize = 128 << 20;
/// From here on a value that nobody asks for is passed over without being held.
const HELD: usize = 1 << 20;

/// The document.
pub(super) struct Json<R> {
    input: R,
    buffer: Buffer,
    at: usize,
    ended: bool,
    /// Bytes that may still come.
    left: u64,
    limit: u64,
    /// Lines and bytes of the last one that are no longer held.
    lines: usize,
    column: usize,
    /// How large the value may be that is looked at.
    most: usize,
}

/// What is held of the document. As long as it is text, which is found out once for all of it, the parser need not find it out of each
/// word; what is none is read all the same, for the parser to say where it breaks off.
enum Buffer {
    Text {
        text: String,
        /// The beginning of a character whose end has not come yet.
        cut: Vec<u8>,
    },
    Bytes(Vec<u8>),
}

impl Buffer {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text { text, .. } => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// All bytes, which are given back to [`Buffer::fill`].
    fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Text { text, cut } => {
                let mut bytes = std::mem::take(text).into_bytes();
                bytes.append(cut);
                bytes
            }
            Self::Bytes(bytes) => std::mem::take(bytes),
        }
    }

    /// Holds these bytes; more may come if they have not `ended`.
    fn fill(&mut self, bytes: Vec<u8>, ended: bool) {
        if let Self::Bytes(held) = self {
            *held = bytes;
            return;
        }
        *self = match String::from_utf8(bytes) {
            Ok(text) => Self::Text { text, cut: Vec::new() },
            Err(error) => {
                let (valid, is_cut) = (error.utf8_error().valid_up_to(), error.utf8_error().error_len().is_none() && !ended);
                let mut bytes = error.into_bytes();
                let cut = if is_cut { bytes.split_off(valid) } else { Vec::new() };
                String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), |text| Self::Text { text, cut })
            }
        };
    }
}

impl<R: Read> Json<R> {
    /// A document of at most `limit` bytes.
    pub(super) const fn new(input: R, limit: u64) -> Self {
        Self {
            input,
            buffer: Buffer::Text { text: String::new(), cut: Vec::new() },
            at: 0,
            ended: false,
            left: limit,
            limit,
            lines: 1,
            column: 0,
            most: LARGEST,
        }
    }

    /// Has more bytes at hand; answers whether there were any.
    fn more(&mut self) -> Result<bool, ExtractError> {
        if self.ended {
            return Ok(false);
        }
        (self.lines, self.column) = self.place(self.at);
        let mut bytes = self.buffer.take();
        bytes.drain(..self.at);
        self.at = 0;
        if bytes.len() > self.most {
            self.buffer.fill(bytes, true);
            return Err(self.too_large());
        }
        // A value that does not fit is tried again with twice as much, so that trying costs no more than reading.
        let wanted = CHUNK.max(bytes.len());
        bytes.reserve_exact(wanted);
        let read = self.input.by_ref().take(wanted as u64).read_to_end(&mut bytes);
        let read = read.map_err(|error| ExtractError::Malformed(error.to_string()))?;
        self.ended = read < wanted;
        self.buffer.fill(bytes, self.ended);
        let read = read as u64;
        self.left =
            self.left.checked_sub(read).ok_or_else(|| ExtractError::TooMuch(format!("it is larger than {} MiB", self.limit >> 20)))?;
        Ok(read > 0)
    }

    fn too_large(&self) -> ExtractError {
        ExtractError::TooMuch(format!("a single value is larger than {} MiB", self.most >> 20))
    }

    /// Line and column before the byte at `at`.
    fn place(&self, at: usize) -> (usize, usize) {
        let held = self.buffer.bytes();
        let gone = &held[..at.min(held.len())];
        match memchr::memrchr(b'\n', gone) {
            Some(last) => (self.lines + memchr::memchr_iter(b'\n', gone).count(), gone.len() - last - 1),
            None => (self.lines, self.column + gone.len()),
        }
    }

    /// An error of the parser, where it is in the document.
    fn broken(&self, error: &serde_json::Error) -> ExtractError {
        let (line, column) = self.place(self.at);
        let (line, column) = if error.line() <= 1 { (line, column + error.column()) } else { (line + error.line() - 1, error.column()) };
        ExtractError::json_at(error.is_eof(), line, column)
    }

    fn unexpected(&self, is_end: bool) -> ExtractError {
        let (line, column) = self.place(self.at);
        ExtractError::json_at(is_end, line, column + usize::from(!is_end))
    }

    /// The next byte that is no space, which stays where it is; none at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, ExtractError> {
        loop {
            let held = self.buffer.bytes();
            let found = held[self.at..].iter().enumerate().find(|(_, byte)| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
            if let Some((space, byte)) = found {
                self.at += space;
                return Ok(Some(*byte));
            }
            self.at = held.len();
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Passes over a mark that may stand before a text.
    pub(super) fn pass(&mut self, mark: &[u8]) -> Result<(), ExtractError> {
        while self.buffer.bytes().len() < mark.len() && self.more()? {}
        if self.buffer.bytes()[self.at..].starts_with(mark) {
            self.at += mark.len();
        }
        Ok(())
    }

    /// Everything that is left, whole.
    pub(super) fn rest(&mut self) -> Result<Vec<u8>, ExtractError> {
        while self.more()? {}
        Ok(self.buffer.take().split_off(self.at))
    }

    fn expect(&mut self, wanted: u8) -> Result<(), ExtractError> {
        match self.peek()? {
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            found => Err(self.unexpected(found.is_none())),
        }
    }

    /// Goes on to the next of several things in brackets; answers whether there is one.
    fn next(&mut self, close: u8, first: bool) -> Result<bool, ExtractError> {
        match self.peek()? {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                // What follows a comma is read as what has to be there.
                Ok(true)
            }
            Some(_) if first => Ok(true),
            found => Err(self.unexpected(found.is_none())),
        }
    }

    /// The value that comes next, or its beginning.
    fn here<'a>(&'a self, taken: &'a mut usize) -> Value<'a> {
        let bytes = self.buffer.bytes().get(self.at..).unwrap_or_default();
        let text = if let Buffer::Text { text, .. } = &self.buffer { text.get(self.at..) } else { None };
        Value { bytes, text, ended: self.ended, taken }
    }

    /// Has `look` at the next value, which it parses from what it is given. It is asked again where that was not all.
    pub(super) fn value<T>(&mut self, mut look: impl FnMut(Value<'_>) -> Result<T, Fault>) -> Result<T, ExtractError> {
        loop {
            let mut taken = 0;
            let looked = look(self.here(&mut taken));
            match looked {
                Ok(looked) => {
                    self.at += taken;
                    return Ok(looked);
                }
                Err(Fault::Unheard(error)) => return Err(super::unheard(&error)),
                Err(Fault::Json(error)) if !error.is_eof() || self.ended => return Err(self.broken(&error)),
                Err(Fault::More) if self.ended => return Err(self.unexpected(true)),
                // At the end it is looked at once more: what is missing then is missing.
                Err(Fault::Json(_) | Fault::More) => drop(self.more()?),
            }
        }
    }

    /// Has `look` at the next value, which may hold a whole document.
    pub(super) fn envelope<T>(&mut self, look: impl FnMut(Value<'_>) -> Result<T, Fault>) -> Result<T, ExtractError> {
        self.most = LARGEST_INSIDE;
        let looked = self.value(look);
        self.most = LARGEST;
        looked
    }

    /// Passes over the next value. One that is at hand is read as strictly as any other; of a larger one only the end is looked for, so
    /// that it costs no memory.
    pub(super) fn skip(&mut self) -> Result<(), ExtractError> {
        self.peek()?;
        loop {
            let mut taken = 0;
            let value = self.here(&mut taken);
            match value.parse::<IgnoredAny>() {
                Ok(IgnoredAny) => {
                    self.at += taken;
                    return Ok(());
                }
                Err(Fault::Json(error)) if !error.is_eof() || self.ended => return Err(self.broken(&error)),
                Err(_) if self.ended => return Err(self.unexpected(true)),
                Err(_) if self.buffer.bytes().len() - self.at < HELD => drop(self.more()?),
                Err(_) => return self.pass_over(),
            }
        }
    }

    /// Goes to the end of a text, an array or an object.
    fn pass_over(&mut self) -> Result<(), ExtractError> {
        if !matches!(self.peek()?, Some(b'"' | b'[' | b'{')) {
            return Err(self.too_large());
        }
        let (mut depth, mut in_text, mut escaped) = (0_u64, false, false);
        loop {
            for (at, byte) in self.buffer.bytes()[self.at..].iter().enumerate() {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_text => escaped = true,
                    b'"' => in_text = !in_text,
                    b'[' | b'{' if !in_text => depth += 1,
                    b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
                    _ => continue,
                }
                if depth == 0 && !in_text {
                    self.at += at + 1;
                    return Ok(());
                }
            }
            self.at = self.buffer.bytes().len();
            if !self.more()? {
                return Err(self.unexpected(true));
            }
        }
    }

    /// Has `look` at every element of the next value, if that is an array; passes over any other.
    pub(super) fn each(&mut self, mut look: impl FnMut(Value<'_>) -> Result<(), Fault>) -> Result<(), ExtractError> {
        if self.peek()? != Some(b'[') {
            return self.skip();
        }
        self.expect(b'[')?;
        let mut first = true;
        while self.next(b']', first)? {
            first = false;
            self.value(&mut look)?;
        }
        Ok(())
    }

    /// Begins an object, which has to be the next value.
    pub(super) fn begin(&mut self) -> Result<(), ExtractError> {
        self.expect(b'{')
    }

    /// The key of the object's next member, whose value is to be read next; none at the end.
    pub(super) fn key(&mut self, first: bool) -> Result<Option<String>, ExtractError> {
        if !self.next(b'}', first)? {
            return Ok(None);
        }
        match self.peek()? {
            Some(b'"') => {}
            found => return Err(self.unexpected(found.is_none())),
        }
        let key = self.value(|value| value.parse::<String>())?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// That nothing follows.
    pub(super) fn end(&mut self) -> Result<(), ExtractError> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(self.unexpected(false)),
        }
    }
}

/// Why a value was not read.
pub(super) enum Fault {
    /// It is wrong, or there is more of it than is at hand.
    Json(serde_json::Error),
    /// There is, or may be, more of it than is at hand.
    More,
    /// What was read of it could not be told.
    Unheard(std::io::Error),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Unheard(error)
    }
}

/// A value, or the beginning of one.
pub(super) struct Value<'a> {
    bytes: &'a [u8],
    /// The same, where it is text.
    text: Option<&'a str>,
    ended: bool,
    taken: &'a mut usize,
}

impl<'a> Value<'a> {
    /// Reads it.
    pub(super) fn parse<T: Deserialize<'a>>(self) -> Result<T, Fault> {
        fn first<'a, T: Deserialize<'a>>(input: impl serde_json::de::Read<'a>) -> Result<(T, usize), Fault> {
            let mut stream = serde_json::Deserializer::new(input).into_iter::<T>();
            let value = stream.next().ok_or(Fault::More)?.map_err(Fault::Json)?;
            Ok((value, stream.byte_offset()))
        }
        let (value, taken) = match self.text {
            Some(text) => first(serde_json::de::StrRead::new(text))?,
            None => first(serde_json::de::SliceRead::new(self.bytes))?,
        };
        // A number goes on where more digits come.
        if taken == self.bytes.len() && !self.ended {
            return Err(Fault::More);
        }
        *self.taken = taken;
        Ok(value)
    }

    /// The bytes of it, if it is an object.
    pub(super) fn object(self) -> Result<Option<Vec<u8>>, Fault> {
        let (bytes, taken) = (self.bytes, self.taken);
        Value { bytes, text: self.text, ended: self.ended, taken: &mut *taken }.parse::<IgnoredAny>()?;
        let value = bytes[..*taken].trim_ascii();
        Ok(value.starts_with(b"{").then(|| value.to_vec()))
    }
}

/// A text; none where there is something else.
#[derive(Clone, Debug, Default)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// What an object says, in members that are known; of two with the same key the last counts.
pub(super) trait Members<'de>: Default {
    /// Reads the value of a member; answers whether it was read.
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// An object; what is none says nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

/// The elements of an array; what is none has none.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Whether an element of an array is the one that is looked for.
pub(super) trait Sought {
    /// Whether it is.
    fn is_sought(&self) -> bool;
}

/// The first element of an array that is looked for, if there is one.
#[derive(Clone, Debug)]
pub(super) struct First<T>(pub(super) Option<T>);

impl<T> Default for First<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// Reads any value as `T`, whose default is what another kind of value says.
struct Any<T>(PhantomData<T>);

/// A kind of value that is read, by default none.
trait Kind<'de>: Default {
    fn text(_: Cow<'de, str>) -> Self {
        Self::default()
    }
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, Other>()?.is_some() {}
        Ok(Self::default())
    }
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Other>()?.is_some() {}
        Ok(Self::default())
    }
}

/// What stands where something else should. It may be as deep as the parser goes, and no deeper.
#[derive(Default)]
struct Other;

impl<'de> Kind<'de> for Other {}

impl<'de> Deserialize<'de> for Other {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Any(PhantomData).deserialize(deserializer)
    }
}

impl<'de> Kind<'de> for Text<'de> {
    fn text(text: Cow<'de, str>) -> Self {
        Self(Some(text))
    }
}

impl<'de, T: Members<'de>> Kind<'de> for Object<T> {
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut object = T::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if !object.member(key.as_str(), &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Self(object))
    }
}

impl<'de, T: Deserialize<'de>> Kind<'de> for List<T> {
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Self(elements))
    }
}

impl<'de, T: Deserialize<'de> + Sought> Kind<'de> for First<T> {
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut first = None;
        while let Some(element) = list.next_element::<T>()? {
            first = first.or_else(|| element.is_sought().then_some(element));
        }
        Ok(Self(first))
    }
}

impl<'de, T: Kind<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(T::text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(Cow::Owned(text.to_owned())))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::object(map)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::list(list)
    }
    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }
}

impl<'de, T: Kind<'de>> DeserializeSeed<'de> for Any<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Any(PhantomData).deserialize(deserializer)
    }
}

impl<'de, T: Members<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Any(PhantomData).deserialize(deserializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Any(PhantomData).deserialize(deserializer)
    }
}

impl<'de, T: Deserialize<'de> + Sought> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Any(PhantomData).deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);
    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.1.min(buffer.len()).min(self.0.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn names(document: &[u8], each: usize, limit: u64) -> Result<Vec<String>, ExtractError> {
        let mut json = Json::new(Slowly(document, each), limit);
        let mut names = Vec::new();
        json.begin()?;
        let mut first = true;
        while let Some(key) = json.key(first)? {
            first = false;
            if key == "a" {
                json.each(|value| value.parse::<Text<'_>>().map(|text| names.push(text.as_str().to_owned())))?;
            } else {
                json.skip()?;
            }
        }
        json.end()?;
        Ok(names)
    }

    #[test]
    fn arrays_are_read_element_by_element() {
        let long = "x".repeat(3 * CHUNK);
        let document = format!(r#" {{"b": [1, {{"c": null}}, -2.5e3], "a": ["x\n", 12, "{long}", true ] , "d": {{}} }} "#);
        for each in [1000, CHUNK, usize::MAX] {
            assert_eq!(names(document.as_bytes(), each, 1 << 30).unwrap(), ["x\n", "", &long, ""]);
        }
        assert_eq!(names(b"{}", 1, 9).unwrap(), [""; 0]);
        assert!(matches!(names(document.as_bytes(), 1000, 1 << 10), Err(ExtractError::TooMuch(_))));
        // A number at the end of what is held goes on.
        let mut padded = format!("{{\"a\": [\"{}\"", "y".repeat(CHUNK - 15));
        padded.push_str(", 1234567890, \"z\"]}");
        assert_eq!(names(padded.as_bytes(), CHUNK, 1 << 30).unwrap()[1..], ["", "z"]);
    }

    #[test]
    fn what_nobody_asks_for_is_passed_over_and_not_held() {
        let long = "\\\"[{".repeat(HELD);
        let deep = format!("{}\"]\"{}", "[".repeat(HELD), "]".repeat(HELD));
        for large in [format!("\"{long}\""), format!("[1, \"{long}\"]"), format!("{{\"c\": \"{long}\"}}"), deep] {
            let document = format!("{{\"b\": {large}, \"a\": [\"x\"]}}");
            let mut json = Json::new(document.as_bytes(), 1 << 30);
            json.begin().unwrap();
            assert_eq!(json.key(true).unwrap().as_deref(), Some("b"));
            json.skip().unwrap();
            assert!(json.buffer.take().capacity() <= 3 * HELD, "{}", json.buffer.bytes().len());
            assert_eq!(names(document.as_bytes(), usize::MAX, 1 << 30).unwrap(), ["x"]);
            assert!(matches!(names(&document.as_bytes()[..document.len() - 20], 5000, 1 << 30), Err(ExtractError::Truncated(_))));
        }
        let number = format!("{{\"b\": {}}}", "1".repeat(3 * HELD));
        assert!(matches!(names(number.as_bytes(), usize::MAX, 1 << 30), Err(ExtractError::TooMuch(_))));
    }

    /// Characters of several bytes may lie across what is read at a time.
    #[test]
    fn what_is_no_text_is_refused_where_somebody_asks_for_it() {
        for shift in 0..8 {
            let long = format!("{}{}", "x".repeat(CHUNK - 12 + shift), "\u{e9}\u{1f600}".repeat(4));
            let document = format!("{{\"a\": [\"{long}\", \"\u{e9}\"]}}");
            for each in [1000, usize::MAX] {
                assert_eq!(names(document.as_bytes(), each, 1 << 30).unwrap(), [&long, "\u{e9}"]);
            }
        }
        assert_eq!(names(b"{\"b\": \"\xff\", \"a\": [\"x\"]}", 9, 1 << 30).unwrap(), ["x"], "nobody asks for it");
        let error = |document: &[u8]| names(document, usize::MAX, 1 << 30).unwrap_err().to_string();
        assert_eq!(error(b"{\"a\": [\"x\", \"\xff\"]}"), "not valid JSON at line 1 column 14");
        assert_eq!(error(b"{\"a\": [\"x\", \"\xc3"), "the JSON ends at line 1 column 14");
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        for (document, message) in [
            ("{\"a\": [\"x\",\n  \"y\" \"z\"]}", "not valid JSON at line 2 column 7"),
            ("{\"a\": [1,]}", "not valid JSON at line 1 column 10"),
            ("{\"a\": 1,}", "not valid JSON at line 1 column 9"),
            ("{\"a\" 1}", "not valid JSON at line 1 column 6"),
            ("{a: 1}", "not valid JSON at line 1 column 2"),
            ("{} x", "not valid JSON at line 1 column 4"),
            ("{\"a\": [\"x\"", "the JSON ends at line 1 column 10"),
            ("{\"b\": {\"c\": 1", "the JSON ends at line 1 column 13"),
            ("{\"b\": NaN}", "not valid JSON at line 1 column 7"),
        ] {
            for each in [1, usize::MAX] {
                assert_eq!(names(document.as_bytes(), each, 1 << 30).unwrap_err().to_string(), message, "{document}");
            }
        }
    }
}
