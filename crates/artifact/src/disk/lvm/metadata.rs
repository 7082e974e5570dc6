//! The text of LVM2's metadata: sections in braces, `key = value`, values that are numbers, texts or lists of them.

use std::iter::Peekable;
use std::str::Chars;

/// How deep sections lie in one another.
const MAX_DEPTH: usize = 8;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(i64),
    Text(String),
    List(Vec<Value>),
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::List(_) => None,
        }
    }

    /// A number that is not negative.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::Number(number) => u64::try_from(*number).ok(),
            Self::Text(_) | Self::List(_) => None,
        }
    }
}

/// A section: what stands in it, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Section {
    values: Vec<(String, Value)>,
    sections: Vec<(String, Section)>,
}

impl Section {
    pub(super) fn sections(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.sections.iter().map(|(name, section)| (name.as_str(), section))
    }

    pub(super) fn section(&self, name: &str) -> Option<&Self> {
        self.sections().find(|(other, _)| *other == name).map(|(_, section)| section)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.values.iter().find(|(other, _)| other == key).map(|(_, value)| value)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.text()
    }

    pub(super) fn number(&self, key: &str) -> Option<i64> {
        match self.value(key)? {
            Value::Number(number) => Some(*number),
            Value::Text(_) | Value::List(_) => None,
        }
    }

    /// A number that is not negative.
    pub(super) fn size(&self, key: &str) -> Option<u64> {
        self.value(key)?.size()
    }

    pub(super) fn list(&self, key: &str) -> &[Value] {
        match self.value(key) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }
}

/// Reads a text; none where it is not one.
pub(super) fn parse(text: &str) -> Option<Section> {
    // It is stored with the NUL that ends it.
    let mut reader = Reader(text.trim_end_matches('\0').chars().peekable());
    reader.section(0)
}

struct Reader<'a>(Peekable<Chars<'a>>);

impl Reader<'_> {
    /// Passes over blanks and comments.
    fn blanks(&mut self) {
        while let Some(next) = self.0.peek() {
            match next {
                '#' => while self.0.next().is_some_and(|c| c != '\n') {},
                c if c.is_whitespace() => drop(self.0.next()),
                _ => return,
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.0.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+')) {
            word.push(c);
        }
        word
    }

    /// What stands until the section's end, or that of the text.
    fn section(&mut self, depth: usize) -> Option<Section> {
        let mut section = Section::default();
        loop {
            self.blanks();
            match self.0.peek() {
                None => return (depth == 0).then_some(section),
                Some('}') => {
                    self.0.next();
                    return (depth > 0).then_some(section);
                }
                Some(_) => {}
            }
            let name = self.word();
            self.blanks();
            match self.0.next()? {
                _ if name.is_empty() => return None,
                '=' => section.values.push((name, self.value(0)?)),
                '{' if depth < MAX_DEPTH => section.sections.push((name, self.section(depth + 1)?)),
                _ => return None,
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.blanks();
        match self.0.peek()? {
            '"' => {
                self.0.next();
                let mut text = String::new();
                loop {
                    match self.0.next()? {
                        '"' => return Some(Value::Text(text)),
                        '\\' => text.push(self.0.next()?),
                        c => text.push(c),
                    }
                }
            }
            '[' if depth < MAX_DEPTH => {
                self.0.next();
                let mut list = Vec::new();
                loop {
                    self.blanks();
                    match self.0.peek()? {
                        ']' => {
                            self.0.next();
                            return Some(Value::List(list));
                        }
                        ',' => drop(self.0.next()),
                        _ => list.push(self.value(depth + 1)?),
                    }
                }
            }
            _ => {
                let word = self.word();
                // Fractions stand only where nobody reads them.
                if word.parse::<f64>().is_err() { None } else { Some(Value::Number(word.parse().unwrap_or(0))) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_values() {
        let text = "# a comment\nvg0 {\n\tid = \"a-\\\"b\"\n\tseqno = 12 # 6 MB\n\tstatus = [\"READ\", \"WRITE\"]\n\tflags = []\n\
                    \tinner { n = -1\n list = [\"pv0\", 0,\n\"pv1\", 7] }\n}\nversion = 1\n\0";
        let root = parse(text).unwrap();
        let group = root.section("vg0").unwrap();
        assert_eq!((group.text("id"), group.number("seqno"), group.list("flags")), (Some("a-\"b"), Some(12), &[][..]));
        let inner = group.section("inner").unwrap();
        assert_eq!((inner.size("n"), inner.list("list").len(), inner.list("list")[3].size()), (None, 4, Some(7)));
        assert_eq!(root.number("version"), Some(1));
    }

    #[test]
    fn what_is_no_such_text_is_none() {
        let deep = "a {".repeat(10_000);
        for text in
            ["{", "}", "a", "a {", "a = ", "a = [1", "a = \"b", "= 1", "a = b", "a } ", &deep, &format!("a = {}", "[".repeat(10_000))]
        {
            assert_eq!(parse(text), None, "{}", &text[..text.len().min(20)]);
        }
        assert_eq!(parse(""), Some(Section::default()));
    }
}
