//! Page tokens: where a listing goes on. Opaque, authenticated, bound to the query and to a place in the log.

use crate::LogPosition;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lestrade_model::{Hash, Timestamp};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

const TAG: usize = 16;
const MAX_TOKEN: usize = 64 << 10;
/// What every token begins with: the alphabet of the rest has a `-`, and command lines take what begins with it for an option.
const BEGINS: char = 'p';

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not one of ours, or altered.
    #[error("the token is not valid")]
    Invalid,
    /// Too old.
    #[error("the token has expired")]
    Expired,
    /// It belongs to another query.
    #[error("the token belongs to another query")]
    OtherQuery,
}

/// The key that authenticates tokens.
#[derive(Clone)]
pub struct TokenKey([u8; 32]);

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PageToken<K> {
    /// Later episodes are not seen, so that pages do not shift.
    pub(crate) position: LogPosition,
    /// The last item of the page before.
    pub(crate) last: K,
    pub(crate) query: Hash,
    pub(crate) expires: Timestamp,
}

impl TokenKey {
    /// A key of 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn seal<K: Serialize>(&self, token: &PageToken<K>) -> Result<String, TokenError> {
        let body = postcard::to_stdvec(token).map_err(|_| TokenError::Invalid)?;
        let tag = blake3::keyed_hash(&self.0, &body);
        let mut text = String::from(BEGINS);
        URL_SAFE_NO_PAD.encode_string([&tag.as_bytes()[..TAG], &body].concat(), &mut text);
        Ok(text)
    }

    pub(crate) fn open<K: for<'a> Deserialize<'a>>(&self, text: &str, query: &Hash, now: Timestamp) -> Result<PageToken<K>, TokenError> {
        if text.len() > MAX_TOKEN {
            return Err(TokenError::Invalid);
        }
        let text = text.strip_prefix(BEGINS).ok_or(TokenError::Invalid)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Invalid)?;
        let (tag, body) = bytes.split_at_checked(TAG).ok_or(TokenError::Invalid)?;
        let expected = blake3::keyed_hash(&self.0, body);
        if !bool::from(expected.as_bytes()[..TAG].ct_eq(tag)) {
            return Err(TokenError::Invalid);
        }
        let token: PageToken<K> = postcard::from_bytes(body).map_err(|_| TokenError::Invalid)?;
        if token.query != *query {
            return Err(TokenError::OtherQuery);
        }
        if token.expires < now {
            return Err(TokenError::Expired);
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_looks_like_an_option_of_a_command_line() {
        let (query, expires) = (Hash::of(b"q"), Timestamp::from_millis(100));
        let tokens = (0..1000_u32).map(|last| TokenKey::new([7; 32]).seal(&PageToken { position: 3, last, query, expires }).unwrap());
        assert!(tokens.into_iter().all(|token| token.starts_with(|c: char| c.is_ascii_alphanumeric())));
    }

    #[test]
    fn tokens_are_bound_to_key_query_and_time() {
        let key = TokenKey::new([7; 32]);
        let query = Hash::of(b"q");
        let token = PageToken { position: 3, last: 9_u32, query, expires: Timestamp::from_millis(100) };
        let text = key.seal(&token).unwrap();
        let now = Timestamp::from_millis(50);
        assert_eq!(key.open::<u32>(&text, &query, now), Ok(token));
        assert_eq!(key.open::<u32>(&text, &Hash::of(b"other"), now), Err(TokenError::OtherQuery));
        assert_eq!(key.open::<u32>(&text, &query, Timestamp::from_millis(101)), Err(TokenError::Expired));
        assert_eq!(TokenKey::new([8; 32]).open::<u32>(&text, &query, now), Err(TokenError::Invalid));
        for i in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[i] = if altered[i] == b'A' { b'B' } else { b'A' };
            assert!(key.open::<u32>(&String::from_utf8(altered).unwrap(), &query, now).is_err(), "{i}");
        }
    }
}
