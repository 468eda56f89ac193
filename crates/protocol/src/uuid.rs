//! Kafka's topic, directory and member ids: 128 bits, written as 22 characters of base64url. Makes none itself.

use std::fmt;
use std::str::FromStr;

/// An id in the order of its bytes on the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// The text is not 16 bytes in base64url without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUuid;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TEXT_LENGTH: usize = 22;

impl Uuid {
    /// No id: the default on the wire.
    pub const ZERO: Self = Self([0; 16]);
    /// The id of `__cluster_metadata` (`Uuid.METADATA_TOPIC_ID`).
    pub const METADATA_TOPIC: Self = Self(1u128.to_be_bytes());

    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        // 21 characters of 6 bits, and the last 2 bits with four zeros behind them.
        for index in 0..TEXT_LENGTH as u32 {
            let sextet = if index == 21 { bits << 4 } else { bits >> (122 - 6 * index) };
            write!(f, "{}", char::from(ALPHABET[sextet as usize & 63]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = InvalidUuid;

    fn from_str(text: &str) -> Result<Self, InvalidUuid> {
        let text = text.strip_suffix("==").unwrap_or(text); // Java's decoder takes padding, so Kafka's tools do.
        if text.len() != TEXT_LENGTH {
            return Err(InvalidUuid);
        }
        let mut bits = 0u128;
        for (index, byte) in text.bytes().enumerate() {
            let sextet = ALPHABET.iter().position(|&letter| letter == byte).ok_or(InvalidUuid)? as u128;
            bits = if index == TEXT_LENGTH - 1 { bits << 2 | sextet >> 4 } else { bits << 6 | sextet };
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

impl fmt::Display for InvalidUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not 16 bytes in base64url without padding")
    }
}

impl std::error::Error for InvalidUuid {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_kafka_prints() {
        // From org.apache.kafka.common.Uuid: ZERO_UUID, METADATA_TOPIC_ID and new Uuid(0x0123456789abcdef, 0xfedcba9876543210).
        let mixed = Uuid(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes());
        for (uuid, text) in [
            (Uuid::ZERO, "AAAAAAAAAAAAAAAAAAAAAA"),
            (Uuid::METADATA_TOPIC, "AAAAAAAAAAAAAAAAAAAAAQ"),
            (mixed, "ASNFZ4mrze_-3LqYdlQyEA"),
        ] {
            assert_eq!(uuid.to_string(), text);
            assert_eq!(text.parse(), Ok(uuid));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAA+", "AAAAAAAAAAAAAAAAAAAAAAA", "ÄAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(text.parse::<Uuid>(), Err(InvalidUuid), "{text}");
        }
    }
}
