//! Bytes that no honest client sends: every way to lie about a record ends in an error, none in a panic.

use proptest::prelude::*;
use record::{
    BatchBuilder, BatchView, Batches, Compression, Decompressor, OutlineWalk, Outlined, RecordError, RecordOutline,
    Records, Timestamp,
};

fn batch(compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(compression);
    for index in 0..4 {
        let headers: [(&[u8], Option<&[u8]>); 2] = [(b"name", Some(b"value")), (b"", None)];
        builder.append_with_headers(Timestamp(index * 7), Some(b"some key"), Some(&[index as u8; 40]), &headers);
    }
    builder.build()
}

/// Reads all that can be read, and every header of it.
fn walk(bytes: &[u8], decompressor: &mut Decompressor) -> Result<usize, String> {
    let mut records = 0;
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        let body = decompressor.body(&batch, 1 << 20).map_err(|error| error.to_string())?;
        for record in Records::new(&batch, body).map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            assert_eq!(record.headers.iter().count(), record.headers.len());
            records += 1;
        }
    }
    Ok(records)
}

#[test]
fn no_flipped_bit_in_any_codec_makes_a_reader_panic() {
    let mut decompressor = Decompressor::new();
    for compression in Compression::ALL {
        let good = batch(compression);
        assert_eq!(walk(&good, &mut decompressor), Ok(4));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = walk(&bytes, &mut decompressor);
        }
        for end in 1..good.len() {
            assert!(walk(&good[..end], &mut decompressor).is_err());
        }
    }
}

#[test]
fn a_body_of_more_or_fewer_records_than_counted_is_refused() {
    let good = batch(Compression::None);
    let view = BatchView::parse(&good).unwrap();
    let body = view.body();
    let last = |body: &[u8], count: i32| {
        let mut header = good.clone();
        header[57..61].copy_from_slice(&count.to_be_bytes());
        let view = BatchView::parse(&header).unwrap();
        match Records::new(&view, body) {
            Ok(records) => records.last().unwrap().err(),
            Err(error) => Some(error),
        }
    };
    assert_eq!(last(body, 4), None);
    assert_eq!(last(body, 3), Some(RecordError::BytesLeft { bytes: body.len() / 4 }));
    assert_eq!(last(body, 5), Some(RecordError::BadStructure { index: 4 }));
    assert_eq!(last(body, i32::MAX), Some(RecordError::BadStructure { index: 4 }));
    assert_eq!(last(body, -1), Some(RecordError::BadCount { count: -1 }));
    assert!(matches!(last(&body[..body.len() - 1], 4), Some(RecordError::BadSize { index: 3, .. })));
}

#[test]
fn a_record_that_lies_about_a_length_is_refused() {
    // length, attributes, timestamp delta, offset delta, key null, value null, header count; zigzag varints.
    let cases: [(&[u8], RecordError); 6] = [
        (&[1, 0, 0, 0, 1, 1, 0], RecordError::BadSize { index: 0, size: -1, left: 6 }),
        (&[10, 0, 0, 0, 1, 1, 0], RecordError::BadHeaders { index: 0 }),
        (&[14, 0, 0, 0, 1, 1, 0, 0], RecordError::BadStructure { index: 0 }),
        (&[12, 0, 0, 0, 20, 1, 0], RecordError::BadStructure { index: 0 }),
        (&[12, 0, 0, 0, 1, 1, 1], RecordError::BadHeaders { index: 0 }),
        (&[12, 0, 0, 0, 1, 1, 100], RecordError::BadHeaders { index: 0 }),
    ];
    let mut builder = BatchBuilder::default();
    builder.append(Timestamp(0), None, None);
    let bytes = builder.build();
    let view = BatchView::parse(&bytes).unwrap();
    assert_eq!(view.body(), [12, 0, 0, 0, 1, 1, 0], "the honest record");
    for (body, expected) in cases {
        let error = Records::new(&view, body).unwrap().next().unwrap().unwrap_err();
        assert_eq!(error, expected, "{body:?}");
    }
}

#[test]
fn a_header_without_a_name_is_refused() {
    let mut builder = BatchBuilder::default();
    builder.append(Timestamp(0), None, None);
    let bytes = builder.build();
    let view = BatchView::parse(&bytes).unwrap();
    let body = [16, 0, 0, 0, 1, 1, 2, 1, 0];
    let error = Records::new(&view, &body).unwrap().next().unwrap().unwrap_err();
    assert_eq!(error, RecordError::BadHeaders { index: 0 });
}

/// The records of `body` as a walk finds them through windows that grow by `piece_bytes`; `None` for any error.
fn outlines(batch: &BatchView<'_>, body: &[u8], piece_bytes: usize) -> Option<Vec<RecordOutline>> {
    let mut walk = OutlineWalk::new(batch, usize::MAX).ok()?;
    let (mut from, mut to) = (0, 0);
    let mut found = Vec::new();
    loop {
        let mut window = &body[from..to];
        let outlined = walk.next(&mut window, to == body.len());
        from = to - window.len();
        match outlined.ok()? {
            Outlined::Record(record) => found.push(record),
            Outlined::NeedsMore => {
                assert!(to < body.len(), "nothing more can come");
                to = body.len().min(to + piece_bytes);
            }
            Outlined::End => return Some(found),
        }
    }
}

/// The same from the whole body.
fn outlines_of_whole(batch: &BatchView<'_>, body: &[u8]) -> Option<Vec<RecordOutline>> {
    let records = Records::new(batch, body).ok()?.map(|record| {
        record.map(|record| RecordOutline {
            key_bytes: record.key.map(<[u8]>::len),
            offset: record.offset,
            offset_delta: record.offset_delta,
            timestamp: record.timestamp,
            value_bytes: record.value.map(<[u8]>::len),
        })
    });
    records.collect::<Result<_, _>>().ok()
}

#[test]
fn a_record_larger_than_the_window_is_read_as_if_it_were_whole() {
    let mut builder = BatchBuilder::default();
    let long = vec![b'x'; 70_000];
    builder.append(Timestamp(5), Some(b"key"), Some(b"value"));
    let headers: [(&[u8], Option<&[u8]>); 3] = [(b"name", Some(b"value")), (b"", None), (&long, Some(&long))];
    builder.append_with_headers(Timestamp(1 << 40), Some(&long), None, &headers);
    builder.append_with_headers(Timestamp(-7), None, Some(&long), &[]);
    builder.append(Timestamp(9), None, None);
    let bytes = builder.build();
    let view = BatchView::parse(&bytes).unwrap();
    let body = view.body();
    let whole = outlines_of_whole(&view, body).unwrap();
    assert_eq!(whole.len(), 4);
    for piece_bytes in [1, 2, 7, 4096, 65_537, body.len()] {
        assert_eq!(outlines(&view, body, piece_bytes).as_ref(), Some(&whole), "pieces of {piece_bytes}");
    }

    // Every bit that is not in a long string.
    let is_long = |at: usize| body[at] == b'x' && at >= 3 && body[at - 3..at + 1] == *b"xxxx";
    for at in (0..body.len()).filter(|at| !is_long(*at)) {
        for bit in 0..8 {
            let mut damaged = body.to_vec();
            damaged[at] ^= 1 << bit;
            let expected = outlines_of_whole(&view, &damaged);
            assert_eq!(outlines(&view, &damaged, 30_000), expected, "bit {bit} of byte {at}");
        }
    }
    for end in [0, 1, 10, 30_000, 100_000, body.len() - 1] {
        assert_eq!(outlines(&view, &body[..end], 30_000), None, "cut off at {end}");
    }
}

#[test]
fn a_record_beyond_the_bound_is_refused_by_its_length_alone() {
    let mut builder = BatchBuilder::default();
    builder.append(Timestamp(5), None, Some(&[0; 1000]));
    let bytes = builder.build();
    let view = BatchView::parse(&bytes).unwrap();
    let mut walk = OutlineWalk::new(&view, 999).unwrap();
    let refused = walk.next(&mut &view.body()[..10], false).err();
    assert!(matches!(refused, Some(RecordError::TooLarge { index: 0, size: 1007 })), "{refused:?}");
}

proptest! {
    #[test]
    fn any_body_is_read_alike_whole_and_in_pieces(
        count in 0..5,
        piece_bytes in 1usize..20,
        body in proptest::collection::vec(0u8..24, 0..60),
    ) {
        let mut bytes = batch(Compression::None);
        bytes[57..61].copy_from_slice(&i32::to_be_bytes(count));
        let view = BatchView::parse(&bytes).unwrap();
        prop_assert_eq!(outlines(&view, &body, piece_bytes), outlines_of_whole(&view, &body));
    }

    #[test]
    fn any_bytes_at_all_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = walk(&bytes, &mut Decompressor::new());
    }

    #[test]
    fn any_body_under_an_honest_header_is_read_or_refused(
        codec in 0i8..5,
        count in any::<i32>(),
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = batch(Compression::None);
        bytes.truncate(61);
        bytes.extend_from_slice(&body);
        let length = bytes.len() as i32 - 12;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[22] = codec as u8;
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        let _ = walk(&bytes, &mut Decompressor::new());
    }

    #[test]
    fn what_was_built_is_read_back(
        codec in 0usize..5,
        records in proptest::collection::vec(
            (any::<i64>(), proptest::option::of(any::<Vec<u8>>()), proptest::option::of(any::<Vec<u8>>())), 1..20),
    ) {
        let mut builder = BatchBuilder::new(Compression::ALL[codec]);
        for (timestamp, key, value) in &records {
            builder.append(Timestamp(*timestamp), key.as_deref(), value.as_deref());
        }
        let bytes = builder.build();
        let view = BatchView::parse(&bytes).unwrap();
        prop_assert!(view.crc_is_valid());
        prop_assert_eq!(view.size_bytes(), bytes.len());
        let mut decompressor = Decompressor::new();
        let body = decompressor.body(&view, 1 << 20).unwrap();
        prop_assert_eq!(body.len() + 61, builder.size_bytes());
        let read: Vec<_> = Records::new(&view, body).unwrap()
            .map(|record| record.unwrap())
            .map(|record| (record.timestamp.0, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec)))
            .collect();
        prop_assert_eq!(read, records);
    }
}
