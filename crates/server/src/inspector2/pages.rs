//! Pages of listings other than findings: a window over rows in key order, and the token that says where the next one begins.

use super::call::Cut;
use super::failure::{Failure, invalid_field};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use lestrade_model::{Hash, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

/// How long a token is good for: one day.
const LIFE_MS: i64 = 86_400_000;
const TAG: usize = 16;
const LONGEST: usize = 16 << 10;
/// What every token begins with: the alphabet of the rest has a `-`, and command lines take what begins with it for an option.
const BEGINS: char = 'p';

/// Authenticates tokens.
pub(super) struct PageKey([u8; 32]);

#[derive(Serialize, Deserialize)]
struct Token<K> {
    last: K,
    query: Hash,
    expires: Timestamp,
}

/// The rows of one page, kept while all rows pass by in any order. Never holds more than a page.
pub(super) struct Window<K, T> {
    after: Option<K>,
    limit: usize,
    rows: BTreeMap<K, T>,
    more: bool,
}

impl<K: Ord + Clone, T> Window<K, T> {
    /// Takes a row if it belongs on the page. Keys are unique.
    pub(super) fn offer(&mut self, key: K, row: impl FnOnce() -> T) {
        if self.after.as_ref().is_some_and(|after| key <= *after) {
            return;
        }
        if self.rows.len() == self.limit && self.rows.last_key_value().is_some_and(|(last, _)| key > *last) {
            self.more = true;
            return;
        }
        self.rows.insert(key, row());
        if self.rows.len() > self.limit {
            self.rows.pop_last();
            self.more = true;
        }
    }
}

impl PageKey {
    pub(super) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The window of the page that is asked for.
    pub(super) fn window<K: DeserializeOwned, T>(&self, cut: &Cut<'_>, now: Timestamp) -> Result<Window<K, T>, Failure> {
        let after = match cut.token {
            Some(text) => Some(self.open(text, &cut.query, now).map_err(|why| invalid_field("nextToken", why))?),
            None => None,
        };
        Ok(Window { after, limit: cut.limit, rows: BTreeMap::new(), more: false })
    }

    /// The rows of a window, and the token of the next.
    pub(super) fn close<K: Serialize + Ord, T>(
        &self,
        window: Window<K, T>,
        cut: &Cut<'_>,
        now: Timestamp,
    ) -> Result<(Vec<T>, Option<String>), Failure> {
        let next = match window.rows.last_key_value() {
            Some((last, _)) if window.more => Some(self.seal(&Token { last, query: cut.query, expires: now.plus_millis(LIFE_MS) })?),
            _ => None,
        };
        Ok((window.rows.into_values().collect(), next))
    }

    fn seal(&self, token: &impl Serialize) -> Result<String, Failure> {
        let body = serde_json::to_vec(token)?;
        let tag = blake3::keyed_hash(&self.0, &body);
        let mut text = String::from(BEGINS);
        URL_SAFE_NO_PAD.encode_string([&tag.as_bytes()[..TAG], &body].concat(), &mut text);
        Ok(text)
    }

    fn open<K: DeserializeOwned>(&self, text: &str, query: &Hash, now: Timestamp) -> Result<K, &'static str> {
        const INVALID: &str = "the token is not valid";
        if text.len() > LONGEST {
            return Err(INVALID);
        }
        let text = text.strip_prefix(BEGINS).ok_or(INVALID)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| INVALID)?;
        let (tag, body) = bytes.split_at_checked(TAG).ok_or(INVALID)?;
        if !bool::from(blake3::keyed_hash(&self.0, body).as_bytes()[..TAG].ct_eq(tag)) {
            return Err(INVALID);
        }
        let token: Token<K> = serde_json::from_slice(body).map_err(|_| INVALID)?;
        match token {
            Token { query: other, .. } if other != *query => Err("the token belongs to another query"),
            Token { expires, .. } if expires < now => Err("the token has expired"),
            Token { last, .. } => Ok(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn page(rows: &[u32], token: Option<&str>, query: &[u8], now: Timestamp) -> Result<(Vec<u32>, Option<String>), Failure> {
        let key = PageKey::new([7; 32]);
        let cut = Cut { token, limit: 2, query: Hash::of(query) };
        let mut window = key.window::<u32, u32>(&cut, now)?;
        rows.iter().for_each(|row| window.offer(*row, || *row * 10));
        key.close(window, &cut, now)
    }

    #[test]
    fn pages_join_to_the_whole_in_order_whatever_the_order_of_the_rows() {
        let rows = [5, 1, 4, 2, 3];
        let (mut token, mut all) = (None, Vec::new());
        loop {
            let (rows, next) = page(&rows, token.as_deref(), b"q", NOW).unwrap();
            assert!(rows.len() <= 2);
            all.extend(rows);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(all, [10, 20, 30, 40, 50]);
        assert_eq!(page(&[1, 2], None, b"q", NOW).unwrap().1, None);
    }

    #[test]
    fn tokens_are_bound_to_key_query_and_time() {
        let token = page(&[1, 2, 3], None, b"q", NOW).unwrap().1.unwrap();
        let refused = |token: &str, query: &[u8], now| page(&[1, 2, 3], Some(token), query, now).unwrap_err().to_string();
        assert!(refused(&token, b"other", NOW).contains("another query"));
        assert!(refused(&token, b"q", NOW.plus_millis(LIFE_MS + 1)).contains("expired"));
        for altered in [format!("{token}x"), token[1..].to_owned(), "x".to_owned(), "ä".to_owned(), "A".repeat(LONGEST + 1)] {
            assert!(refused(&altered, b"q", NOW).contains("not valid"), "{altered}");
        }
    }
}
