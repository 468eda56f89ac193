//! A topic's identity across deletion and re-creation (KIP-516), written as Kafka's `Uuid` writes it.
//! Chance is not known here: who makes a topic brings 16 random bytes.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicId(pub [u8; 16]);

/// The text is not 16 bytes in base64url.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidTopicId;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl TopicId {
    /// "No id" on the wire.
    pub const ZERO: TopicId = TopicId([0; 16]);
    /// `Uuid.METADATA_TOPIC_ID`, the topic of KRaft's own log.
    pub const METADATA: TopicId = TopicId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    pub const fn is_zero(&self) -> bool {
        u128::from_be_bytes(self.0) == 0
    }

    /// A version 4 UUID from 16 random bytes, or `None` where `Uuid.randomUuid` would draw again: the reserved
    /// ids, and those whose text begins with a dash, which command lines would take for an option.
    pub const fn from_random(mut bytes: [u8; 16]) -> Option<TopicId> {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        // The version bits already exclude the reserved ids 0 and 1; the dash is value 62 of the alphabet.
        if bytes[0] >> 2 == 62 { None } else { Some(TopicId(bytes)) }
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let mut text = [0u8; 22];
        for (index, letter) in text.iter_mut().enumerate() {
            // 128 bits make 21 letters of six and one of the last two, filled up with zeroes.
            let shift = 122 - 6 * index as i32;
            let value = if shift >= 0 { bits >> shift } else { bits << -shift };
            *letter = ALPHABET[(value & 63) as usize];
        }
        f.pad(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TopicId {
    type Err = InvalidTopicId;

    /// With or without the two padding signs, as Java's decoder takes it.
    fn from_str(text: &str) -> Result<TopicId, InvalidTopicId> {
        let letters = text.strip_suffix("==").unwrap_or(text).as_bytes();
        if letters.len() != 22 {
            return Err(InvalidTopicId);
        }
        let mut bits = 0u128;
        for (index, letter) in letters.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == letter).ok_or(InvalidTopicId)? as u128;
            // Of the last letter only two bits count.
            bits = if index == 21 { bits << 2 | value >> 4 } else { bits << 6 | value };
        }
        Ok(TopicId(bits.to_be_bytes()))
    }
}

impl fmt::Display for InvalidTopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a topic id is 22 letters of base64url")
    }
}

impl std::error::Error for InvalidTopicId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_id_is_that_of_kafka_s_uuid() {
        // From java: new Uuid(0x0123456789abcdefL, 0xfedcba9876543210L) and the named constants.
        let id = TopicId(0x0123456789abcdef_fedcba9876543210u128.to_be_bytes());
        assert_eq!(id.to_string(), "ASNFZ4mrze_-3LqYdlQyEA");
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(TopicId::METADATA.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
    }

    #[test]
    fn every_id_survives_its_text() {
        let mut bits = 1u128;
        for _ in 0..500 {
            bits = bits.wrapping_mul(0x2545_f491_4f6c_dd1d_8664_f205).rotate_left(31) ^ 0x9e37_79b9;
            let id = TopicId(bits.to_be_bytes());
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(format!("{id}==").parse(), Ok(id));
        }
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in ["", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA+A", "ÄÄÄÄÄÄÄÄÄÄÄ"]
        {
            assert_eq!(text.parse::<TopicId>(), Err(InvalidTopicId), "{text}");
        }
    }

    #[test]
    fn a_random_id_is_version_4_and_never_begins_with_a_dash() {
        for first in 0..=255u8 {
            let made = TopicId::from_random([first; 16]);
            assert_eq!(made.is_none(), (0xf8..=0xfb).contains(&first), "first byte {first:#x}");
            if let Some(id) = made {
                assert_eq!(id.0[6] >> 4, 4);
                assert_eq!(id.0[8] >> 6, 2);
                assert!(!id.to_string().starts_with('-'));
            }
        }
    }
}
