//! Percent-encoding as AWS wants it: all but the unreserved characters, in capitals.

use std::fmt::Write as _;

/// Encodes everything but unreserved characters and those in `safe`.
pub fn encode_except(text: &str, safe: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if safe.contains(&byte) => out.push(char::from(byte)),
            byte => {
                // Writing to a string does not fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Encodes everything but unreserved characters.
#[must_use]
pub fn encode(text: &str) -> String {
    encode_except(text, b"")
}

/// Decodes `%XX`. A `+` is a plus: no AWS client writes a space so.
///
/// None when an escape is broken or the result is not UTF-8.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

/// The decoded pairs of a query string, in order; a name without `=` has an empty value.
#[must_use]
pub fn query_pairs(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| Some((decode(name)?, decode(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_and_decoding_are_inverse() {
        for (plain, encoded) in
            [("arn:aws:x/y", "arn%3Aaws%3Ax%2Fy"), ("a b+c", "a%20b%2Bc"), ("~-._", "~-._"), ("ü", "%C3%BC"), ("%", "%25"), ("", "")]
        {
            assert_eq!(encode(plain), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(plain));
        }
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["%", "%2", "%zz", "%FF", "a%+1"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn pairs_keep_order_and_repetition() {
        let pairs = query_pairs("tagKeys=b&tagKeys=a%3D&flag&=x").unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("tagKeys", "b"), ("tagKeys", "a="), ("flag", ""), ("", "x")]);
    }
}
