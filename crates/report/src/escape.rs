//! Text from outside, made fit to be shown.

use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, Write};

/// A text without anything that a terminal obeys or that hides other text: control characters, escape sequences, bidirectional
/// overrides and zero-width characters become visible `\u{…}`.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{061c}' | '\u{180e}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Writes a JSON document, indented, while it is made: fit to be shown, as [`printable`] makes other text.
///
/// # Errors
/// When it cannot be written.
pub fn write_json(document: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(JsonText(&mut *out), document)?;
    out.write_all(b"\n")
}

/// The same as a text.
#[must_use]
pub fn json_text(document: &serde_json::Value) -> String {
    let mut out = Vec::new();
    // Memory takes what is written, and a value is JSON already.
    let _ = write_json(document, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Takes JSON as it is written. What a terminal obeys or what hides other text is written as an escape of JSON (`\u009b`), which is
/// the same text to whoever reads it.
struct JsonText<W>(W);

impl<W: Write> Write for JsonText<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A text comes in whole pieces, and what is below 0x20 in it is escaped by then.
        let text = if bytes.iter().all(|byte| *byte < 0x7f) { None } else { std::str::from_utf8(bytes).ok() };
        let Some(text) = text.filter(|text| text.chars().any(is_escaped)) else {
            return self.0.write_all(bytes).map(|()| bytes.len());
        };
        let mut units = [0; 2];
        let out = text.chars().fold(String::with_capacity(text.len() + 16), |mut out, c| {
            match is_escaped(c) {
                true => out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"))),
                false => out.push(c),
            }
            out
        });
        self.0.write_all(out.as_bytes()).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_escaped(c: char) -> bool {
    c >= '\u{7f}' && is_hostile(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_survives() {
        assert_eq!(printable("libssl3 é"), "libssl3 é");
        assert_eq!(printable("\u{1b}[31mred"), "\\u{1b}[31mred");
        let names = serde_json::json!({"a\u{9b}": ["\u{1b}\u{7f}\n\u{202e}é\u{e0001}", 1]});
        let mut written = Vec::new();
        write_json(&names, &mut written).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert!(!written.chars().any(|c| is_hostile(c) && c != '\n') && written.contains('é'), "{written}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), names);
        assert_eq!(printable("a\u{202e}b\u{200b}c\r\n"), "a\\u{202e}b\\u{200b}c\\u{d}\\u{a}");
    }
}
