use super::*;
use crate::BatchBuilder;

fn batch() -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.append(Timestamp(1000), Some(b"key"), Some(b"value"));
    builder.append(Timestamp(900), None, None);
    builder.build()
}

#[test]
fn patching_base_offset_and_leader_epoch_leaves_the_crc_alone() {
    let mut bytes = batch();
    let crc = BatchView::parse(&bytes).unwrap().crc();
    let mut patched = BatchMut::parse(&mut bytes).unwrap();
    patched.set_base_offset(Offset(1 << 40));
    patched.set_partition_leader_epoch(LeaderEpoch(12));
    let view = patched.view();
    assert_eq!(view.crc(), crc);
    assert!(view.crc_is_valid());
    assert_eq!(view.last_offset(), Offset((1 << 40) + 1));
    assert_eq!(view.next_offset(), Offset((1 << 40) + 2));
    assert_eq!(view.partition_leader_epoch(), LeaderEpoch(12));
}

#[test]
fn setting_the_append_time_makes_a_new_valid_crc_and_setting_it_again_none() {
    let mut bytes = batch();
    let before = BatchView::parse(&bytes).unwrap().crc();
    let mut patched = BatchMut::parse(&mut bytes).unwrap();
    patched.set_max_timestamp(TimestampType::CreateTime, Timestamp(1000));
    assert_eq!(patched.view().crc(), before);
    patched.set_max_timestamp(TimestampType::LogAppendTime, Timestamp(5000));
    let view = patched.view();
    assert_ne!(view.crc(), before);
    assert!(view.crc_is_valid());
    assert_eq!((view.timestamp_type(), view.max_timestamp()), (TimestampType::LogAppendTime, Timestamp(5000)));
    assert_eq!(view.base_timestamp(), Timestamp(1000));
}

#[test]
fn batches_end_where_the_bytes_end_and_not_at_garbage_after_a_whole_batch() {
    let one = batch();
    let mut bytes = [one.clone(), one.clone()].concat();
    let mut batches = Batches::new(&bytes);
    assert_eq!(batches.by_ref().map(|batch| batch.unwrap().size_bytes()).sum::<usize>(), bytes.len());
    assert_eq!(batches.position(), bytes.len());

    bytes.truncate(bytes.len() - 1);
    let mut batches = Batches::new(&bytes);
    assert!(batches.next().unwrap().is_ok());
    assert_eq!(batches.next(), Some(Err(BatchError::Truncated { have: one.len() - 1, needed: one.len() })));
    assert_eq!(batches.next(), None);
    assert_eq!(batches.position(), one.len());
}

#[test]
fn every_truncation_of_a_batch_is_told_as_one() {
    let bytes = batch();
    for have in 0..bytes.len() {
        let needed = if have < LOG_OVERHEAD_BYTES { HEADER_BYTES } else { bytes.len() };
        assert_eq!(BatchView::parse(&bytes[..have]), Err(BatchError::Truncated { have, needed }));
    }
}

#[test]
fn a_length_below_the_header_and_another_magic_are_told_apart_from_a_truncation() {
    let mut bytes = batch();
    for length in [i32::MIN, -1, 0, 13, 48] {
        bytes[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(BatchView::parse(&bytes), Err(BatchError::TooSmall { length }));
    }
    bytes[LENGTH..LENGTH + 4].copy_from_slice(&i32::MAX.to_be_bytes());
    let needed = i32::MAX as usize + LOG_OVERHEAD_BYTES;
    assert_eq!(BatchView::parse(&bytes), Err(BatchError::Truncated { have: bytes.len(), needed }));
    for magic in [-128, -1, 0, 1, 3, 127] {
        bytes[MAGIC_AT] = magic as u8;
        assert_eq!(BatchView::parse(&bytes), Err(BatchError::UnsupportedMagic { magic }));
    }
}

#[test]
fn the_crc_finds_every_single_flipped_bit_that_it_covers() {
    let good = batch();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let covered = bit / 8 >= CRC;
        match BatchView::parse(&bytes) {
            // A shorter length leaves another batch, whose CRC is wrong.
            Ok(view) if (LENGTH..LEADER_EPOCH).contains(&(bit / 8)) => assert!(!view.crc_is_valid(), "bit {bit}"),
            Ok(view) => assert_eq!(view.crc_is_valid(), !covered, "bit {bit}"),
            // Only length and magic can make it unreadable.
            Err(_) => assert!((LENGTH * 8..LEADER_EPOCH * 8).contains(&bit) || bit / 8 == MAGIC_AT, "bit {bit}"),
        }
    }
}

#[test]
fn a_header_stamped_apart_from_its_body_is_the_header_stamped_in_place() {
    let mut bytes = batch();
    let view = BatchView::parse(&bytes).unwrap();
    let mut header = BatchHeader::of(&view);
    header.assign(Offset(7), LeaderEpoch(3));
    header.set_max_timestamp(view.body(), TimestampType::LogAppendTime, Timestamp(77));
    let apart = [header.as_bytes(), view.body()].concat();

    let mut patched = BatchMut::parse(&mut bytes).unwrap();
    patched.set_base_offset(Offset(7));
    patched.set_partition_leader_epoch(LeaderEpoch(3));
    patched.set_max_timestamp(TimestampType::LogAppendTime, Timestamp(77));
    assert!(patched.view().crc_is_valid());
    assert_eq!(bytes, apart);
}

#[test]
fn a_header_is_read_without_its_body() {
    let mut builder = BatchBuilder::default();
    builder.base_offset = Offset(70);
    builder.append(Timestamp(5), None, Some(&[1; 100]));
    builder.append(Timestamp(9), None, None);
    let bytes = builder.build();
    let header = BatchHeader::parse(&bytes[..HEADER_BYTES]).unwrap();
    assert_eq!(header, BatchHeader::of(&BatchView::parse(&bytes).unwrap()));
    assert_eq!(
        (header.size_bytes(), header.base_offset(), header.last_offset()),
        (bytes.len(), Offset(70), Offset(71))
    );
    assert_eq!((header.next_offset(), header.max_timestamp()), (Offset(72), Timestamp(9)));
    assert!(matches!(BatchHeader::parse(&bytes[..HEADER_BYTES - 1]), Err(BatchError::Truncated { .. })));
    let mut short = bytes.clone();
    short[LENGTH..LENGTH + 4].copy_from_slice(&(HEADER_BYTES as i32 - 13).to_be_bytes());
    assert_eq!(BatchHeader::parse(&short), Err(BatchError::TooSmall { length: HEADER_BYTES as i32 - 13 }));
}

#[test]
fn a_delete_horizon_stands_where_the_base_timestamp_stood_and_changes_no_record() {
    let mut builder = BatchBuilder::default();
    builder.delete_horizon = Some(Timestamp(90_000));
    builder.append(Timestamp(1000), Some(b"key"), None);
    builder.append(Timestamp(2000), Some(b"other"), Some(b"value"));
    let bytes = builder.build();
    let view = BatchView::parse(&bytes).unwrap();
    assert_eq!(view.delete_horizon(), Some(Timestamp(90_000)));
    assert_eq!(view.max_timestamp(), Timestamp(2000));
    let records = crate::Records::new(&view, view.body()).unwrap();
    let timestamps: Vec<i64> = records.map(|record| record.unwrap().timestamp.0).collect();
    assert_eq!(timestamps, [1000, 2000]);
    assert_eq!(BatchView::parse(&batch()).unwrap().delete_horizon(), None);
}
