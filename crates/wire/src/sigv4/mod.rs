//! Signature Version 4: [`sign`] and [`presign`] for our requests, [`Claim`] for those that come to us.
//!
//! Both sides share one canonical form. For every service but S3 the path is normalised and encoded a second time.

mod canonical;
mod claim;
mod key;
mod sign;

pub use claim::{Claim, Denial, Expected};
pub use key::SecretKey;
pub(crate) use key::sha256;
pub use sign::{Credentials, presign, sign};

use lestrade_model::Timestamp;

/// The only algorithm that we speak.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far a request's time may lie from ours, either way.
pub const WINDOW_MILLIS: i64 = 15 * 60 * 1000;

/// An instant as `20150830T123600Z`.
pub(crate) fn stamp(instant: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(instant.as_millis()).map(|t| t.strftime("%Y%m%dT%H%M%SZ").to_string()).unwrap_or_default()
}

/// An instant from `20150830T123600Z`, in no other form.
pub(crate) fn instant(stamp: &str) -> Option<Timestamp> {
    let well_formed = stamp.len() == 16
        && stamp.bytes().enumerate().all(|(i, byte)| match i {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    well_formed.then(|| Timestamp::parse(stamp).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_have_one_form() {
        let time = instant("20150830T123600Z").unwrap();
        assert_eq!((time.as_millis(), stamp(time).as_str()), (1_440_938_160_000, "20150830T123600Z"));
        for bad in ["2015-08-30T12:36:00Z", "20150830T123600", "20150830T123600+00", "20159930T123600Z", "", "äöüäöüäö", "20150830ä23600Z"]
        {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}
