//! The scalars of AWS's encodings that are not Rust's own.

use base64::{Engine, engine::general_purpose::STANDARD};
use lestrade_model::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An instant as AWS's JSON has it: seconds since the epoch, with fraction.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EpochSeconds(pub f64);

impl From<Timestamp> for EpochSeconds {
    fn from(instant: Timestamp) -> Self {
        Self(instant.as_seconds())
    }
}

impl From<EpochSeconds> for Timestamp {
    /// Rounds to the nearest millisecond; what lies beyond the ends of time is their ends.
    fn from(seconds: EpochSeconds) -> Self {
        Self::from_millis((seconds.0 * 1000.0).round() as i64)
    }
}

/// Bytes, in base64 on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_seconds_with_fraction() {
        let instant = Timestamp::from_millis(1_700_000_000_500);
        let text = serde_json::to_string(&EpochSeconds::from(instant)).unwrap();
        assert_eq!(text, "1700000000.5");
        assert_eq!(Timestamp::from(serde_json::from_str::<EpochSeconds>(&text).unwrap()), instant);
        assert_eq!(Timestamp::from(EpochSeconds(1e300)), Timestamp::from_millis(i64::MAX));
    }

    #[test]
    fn blobs_are_base64() {
        let blob = Blob(vec![0, 255, 7]);
        assert_eq!(serde_json::to_string(&blob).unwrap(), "\"AP8H\"");
        assert_eq!(serde_json::from_str::<Blob>("\"AP8H\"").unwrap(), blob);
        assert!(serde_json::from_str::<Blob>("\"no base64!\"").is_err());
    }
}
