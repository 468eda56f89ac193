//! Kafka's zigzag varints (`ByteUtils`): seven bits a byte, least first, at most five bytes for 32 bits and ten
//! for 64. Reading never goes beyond the slice it was given.

/// The longest varint of 32 bits.
pub(crate) const VARINT_BYTES_MAX: usize = 5;

/// The longest varint of 64 bits.
pub(crate) const VARLONG_BYTES_MAX: usize = 10;

/// Takes a 32-bit varint from the front of `bytes`; `None` if it is cut off or longer than five bytes.
/// Bits beyond the 32nd are dropped, as `ByteUtils.readUnsignedVarint` drops them.
#[inline]
pub(crate) fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    let mut value = 0u32;
    for index in 0..VARINT_BYTES_MAX {
        let byte = *bytes.get(index)?;
        value |= u32::from(byte & 0x7f).wrapping_shl(7 * index as u32);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Some((value >> 1) as i32 ^ -((value & 1) as i32));
        }
    }
    None
}

/// Takes a 64-bit varint; `None` if it is cut off or longer than ten bytes.
#[inline]
pub(crate) fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for index in 0..VARLONG_BYTES_MAX {
        let byte = *bytes.get(index)?;
        value |= u64::from(byte & 0x7f).wrapping_shl(7 * index as u32);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

pub(crate) fn put_i32(out: &mut Vec<u8>, value: i32) {
    put_unsigned(out, u64::from((value << 1 ^ value >> 31) as u32));
}

pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, (value << 1 ^ value >> 63) as u64);
}

/// Unsigned, as the compact arrays of flexible messages count.
pub(crate) fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn len_i32(value: i32) -> usize {
    len_unsigned(u64::from((value << 1 ^ value >> 31) as u32))
}

pub(crate) fn len_i64(value: i64) -> usize {
    len_unsigned((value << 1 ^ value >> 63) as u64)
}

fn len_unsigned(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_survives_and_is_as_long_as_told() {
        for bits in 0..64 {
            for value in [1i64 << bits, (1i64 << bits).wrapping_sub(1), -(1i64 << bits.min(62)), i64::MIN, i64::MAX] {
                let mut out = Vec::new();
                put_i64(&mut out, value);
                assert_eq!(out.len(), len_i64(value));
                let mut rest = &out[..];
                assert_eq!(take_i64(&mut rest), Some(value));
                assert!(rest.is_empty());

                let narrow = value as i32;
                out.clear();
                put_i32(&mut out, narrow);
                assert_eq!(out.len(), len_i32(narrow));
                assert_eq!(take_i32(&mut &out[..]), Some(narrow));
            }
        }
    }

    #[test]
    fn a_varint_that_is_cut_off_or_too_long_is_refused() {
        assert_eq!(take_i32(&mut &[][..]), None);
        assert_eq!(take_i32(&mut &[0x80, 0x80][..]), None);
        assert_eq!(take_i32(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01][..]), None);
        assert_eq!(take_i64(&mut &[0xff; 11][..]), None);
    }
}
