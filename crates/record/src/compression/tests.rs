use super::*;

const PLENTY: usize = 64 << 20;

fn compressed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compression.compress(None, bytes, &mut out);
    out
}

/// Neither constant nor random: what records look like.
fn text(size: usize) -> Vec<u8> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"abcdefgh12345678"[(state >> 28) as usize]
    };
    (0..size).map(|_| next()).collect()
}

#[test]
fn every_codec_gives_back_what_it_took() {
    let mut decompressor = Decompressor::new();
    for compression in Compression::ALL {
        for size in [0, 1, 100, 32 << 10, (64 << 10) + 1, 300_000] {
            let bytes = text(size);
            let packed = compressed(compression, &bytes);
            let back = decompressor.decompress(compression, &packed, size);
            assert!(back == Ok(&bytes[..]), "{compression}, {size} bytes");
        }
    }
}

#[test]
fn every_level_of_every_codec_gives_back_what_it_took() {
    let bytes = text(10_000);
    for compression in Compression::ALL {
        let levels = compression.levels().unwrap_or(0..=0);
        for level in [*levels.start(), levels.start() / 2, 1, 5, *levels.end(), i32::MIN, i32::MAX] {
            let mut packed = Vec::new();
            compression.compress(Some(level), &bytes, &mut packed);
            let mut decompressor = Decompressor::new();
            assert_eq!(decompressor.decompress(compression, &packed, PLENTY), Ok(&bytes[..]), "{compression} {level}");
        }
    }
}

#[test]
fn a_bomb_is_refused_before_it_fills_the_memory() {
    let bytes = vec![0; 50_000_000];
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bomb = compressed(compression, &bytes);
        let mut decompressor = Decompressor::new();
        let size_bytes_max = 1_000_000;
        let refused = decompressor.decompress(compression, &bomb, size_bytes_max);
        assert_eq!(refused, Err(CompressionError::TooLarge { size_bytes_max }), "{compression}");
        let held = decompressor.buffer.capacity();
        assert!(held <= 3 * size_bytes_max, "{compression} holds {held} bytes");
    }
}

#[test]
fn a_bound_that_is_just_met_is_no_error_and_one_byte_less_is() {
    let bytes = text(100_000);
    for compression in Compression::ALL {
        let packed = compressed(compression, &bytes);
        let mut decompressor = Decompressor::new();
        assert!(decompressor.decompress(compression, &packed, bytes.len()).is_ok());
        let refused = decompressor.decompress(compression, &packed, bytes.len() - 1);
        assert_eq!(refused, Err(CompressionError::TooLarge { size_bytes_max: bytes.len() - 1 }), "{compression}");
    }
}

#[test]
fn a_snappy_block_that_claims_gigabytes_allocates_nothing() {
    // The varint 0xffffffff as the length, then one literal.
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, b'a'];
    let mut decompressor = Decompressor::new();
    assert!(decompressor.decompress(Compression::Snappy, &lie, usize::MAX).is_err());
    assert_eq!(decompressor.buffer.capacity(), 0);
}

#[test]
fn snappy_without_framing_is_read_as_librdkafka_writes_it() {
    let bytes = text(50_000);
    let raw = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
    assert_eq!(Decompressor::new().decompress(Compression::Snappy, &raw, PLENTY), Ok(&bytes[..]));
}

#[test]
fn snappy_streams_that_follow_one_another_are_read_as_one() {
    let packed = [compressed(Compression::Snappy, b"one "), compressed(Compression::Snappy, b"two")].concat();
    assert_eq!(Decompressor::new().decompress(Compression::Snappy, &packed, PLENTY), Ok(&b"one two"[..]));
}

#[test]
fn the_version_of_a_snappy_stream_is_not_believed() {
    for version in [-1i32, 0, 2] {
        let mut packed = compressed(Compression::Snappy, b"content");
        packed[8..12].copy_from_slice(&version.to_be_bytes());
        assert_eq!(
            Decompressor::new().decompress(Compression::Snappy, &packed, PLENTY),
            Ok(&b"content"[..]),
            "{version}"
        );
    }
}

#[test]
fn nothing_is_a_whole_body_of_zstd() {
    assert_eq!(Decompressor::new().decompress(Compression::Zstd, b"", PLENTY), Ok(&b""[..]));
}

#[test]
fn lz4_of_linked_blocks_is_refused_since_no_java_consumer_could_read_it() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Linked);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&text(100_000)).unwrap();
    let linked = encoder.finish().unwrap();
    let refused = Decompressor::new().decompress(Compression::Lz4, &linked, PLENTY).unwrap_err();
    assert_eq!(refused.to_string(), "Failed to decompress lz4 records: Dependent block stream is unsupported");
}

#[test]
fn truncated_and_damaged_bodies_are_errors_or_other_bytes_but_never_panics() {
    let bytes = text(3_000);
    let mut decompressor = Decompressor::new();
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let packed = compressed(compression, &bytes);
        for end in 0..packed.len() {
            let result = decompressor.decompress(compression, &packed[..end], PLENTY);
            assert!(result != Ok(&bytes[..]), "{compression} cut off at {end} of {}", packed.len());
        }
        for bit in 0..packed.len() * 8 {
            let mut damaged = packed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let _ = decompressor.decompress(compression, &damaged, PLENTY);
        }
        // A decoder that has failed must not fail the next body.
        assert_eq!(decompressor.decompress(compression, &packed, PLENTY), Ok(&bytes[..]), "{compression}");
    }
}

#[test]
fn ids_and_names_are_those_of_kafka() {
    for (id, name) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let compression = Compression::from_id(id as i8).unwrap();
        assert_eq!((compression.id(), compression.name()), (id as i8, name));
        assert_eq!(Compression::from_name(name), Some(compression));
    }
    for id in [-1, 5, 7, 127] {
        assert_eq!(Compression::from_id(id), Err(UnknownCompression { id }));
    }
}

#[test]
fn gzip_reads_member_after_member_and_ignores_what_is_none() {
    let member = |bytes: &[u8]| {
        let mut out = Vec::new();
        Compression::Gzip.compress(None, bytes, &mut out);
        out
    };
    let read = |bytes: &[u8]| Decompressor::new().decompress(Compression::Gzip, bytes, 100).map(<[u8]>::to_vec);
    assert_eq!(read(&[member(b"one"), member(b" two")].concat()), Ok(b"one two".to_vec()));
    assert_eq!(read(&[member(b"one"), b"\0\0\0".to_vec()].concat()), Ok(b"one".to_vec()));
    assert!(matches!(read(&member(b"one")[..10]), Err(CompressionError::Corrupt { .. })));
    assert!(matches!(read(&[]), Err(CompressionError::Corrupt { .. })));
    let most = [member(&[7; 60]), member(&[7; 40])].concat();
    assert_eq!(read(&most), Ok(vec![7; 100]));
    let more = [member(&[7; 60]), member(&[7; 41])].concat();
    assert_eq!(read(&more), Err(CompressionError::TooLarge { size_bytes_max: 100 }));
}

/// A member whose header has these flags, and after it what they announce.
fn gzip_member(flags: u8, announced: &[u8], bytes: &[u8]) -> Vec<u8> {
    let plain = compressed(Compression::Gzip, bytes);
    [&plain[..3], &[flags], &plain[4..10], announced, &plain[10..]].concat()
}

#[test]
fn a_gzip_header_is_read_as_java_reads_it() {
    let read = |bytes: &[u8]| Decompressor::new().decompress(Compression::Gzip, bytes, 100).map(<[u8]>::to_vec);
    let one = || Ok(b"one".to_vec());
    for flags in [0x00, 0x01, 0x20, 0x40, 0x80, 0xe1] {
        assert_eq!(read(&gzip_member(flags, b"", b"one")), one(), "{flags:#x}");
    }
    assert_eq!(read(&gzip_member(0x1c, b"\x03\0abcname\0comment\0", b"one")), one());
    assert_eq!(read(&gzip_member(0x9c, b"\0\0\0\0", b"one")), one());
    assert!(read(&gzip_member(0x02, b"\0\0", b"one")).is_err(), "the header's checksum is wrong");
    assert!(read(&gzip_member(0x04, b"\xff\xff", b"one")).is_err(), "more is announced than is there");
    let wrong_method = [&[0x1f, 0x8b, 7], &compressed(Compression::Gzip, b"one")[3..]].concat();
    assert!(read(&wrong_method).is_err());
    let behind = |tail: &[u8]| read(&[&compressed(Compression::Gzip, b"one"), tail].concat());
    assert_eq!(behind(&compressed(Compression::Gzip, b"")[..18]), one(), "too short to be looked at");
    assert!(behind(&compressed(Compression::Gzip, b" two")[..19]).is_err());
    assert_eq!(behind(&wrong_method), one(), "no member at all");
    assert_eq!(behind(&gzip_member(0x20, b"", b" two")), Ok(b"one two".to_vec()));
}

#[test]
fn a_gzip_member_is_there_before_its_checksum_is_wrong() {
    let mut bytes = compressed(Compression::Gzip, b"one");
    *bytes.last_mut().unwrap() ^= 1;
    let mut decompressor = Decompressor::new();
    let mut reader = BodyReader::begin(&mut decompressor, Compression::Gzip, &bytes, 100, true).unwrap();
    reader.more().unwrap();
    assert_eq!(reader.window(), b"one");
    assert!(!reader.is_all_there());
    assert!(matches!(reader.more(), Err(CompressionError::Corrupt { .. })));
}
