//! One partition's producers, as Kafka's `ProducerStateManagerTest` treats them.

use record::builder::end_txn_marker;
use record::{BatchBuilder, BatchView, LeaderEpoch};

use super::*;

const ID: ProducerId = ProducerId(1);

fn batch(epoch: i16, first: i32, records: i32) -> ProducerBatch {
    ProducerBatch {
        id: ID,
        epoch: ProducerEpoch(epoch),
        first_sequence: Sequence(first),
        last_sequence: Sequence(first).advance(records - 1),
        transactional: false,
    }
}

/// A log that only counts.
#[derive(Default)]
struct Log {
    state: ProducerState,
}

impl Log {
    /// The offsets that the answer names, or why there is none.
    fn send(&mut self, batch: ProducerBatch, records: i32) -> Result<(i64, i64), ProducerError> {
        self.send_verified(batch, records, None)
    }

    fn send_verified(
        &mut self,
        batch: ProducerBatch,
        records: i32,
        verification: Option<Verification>,
    ) -> Result<(i64, i64), ProducerError> {
        let first = self.state.end();
        let last = first + i64::from(records - 1);
        match self.state.check_client(&batch, first, verification)? {
            Checked::Append => {
                self.state.apply_batch(&batch, first, last, Timestamp(first.0 * 10));
                Ok((first.0, last.0))
            }
            Checked::Duplicate(original) => Ok((original.first_offset().0, original.last_offset.0)),
        }
    }

    fn marker(
        &mut self,
        epoch: i16,
        committed: bool,
        version: TransactionVersion,
    ) -> Result<Option<CompletedTxn>, ProducerError> {
        let marker = EndTxnMarker { committed, coordinator_epoch: 5 };
        let (epoch, offset) = (ProducerEpoch(epoch), self.state.end());
        self.state.check_marker(ID, epoch, &marker, offset, version)?;
        Ok(self.state.apply_marker(ID, epoch, &marker, offset, Timestamp(offset.0 * 10)))
    }
}

fn transactional(batch: ProducerBatch) -> ProducerBatch {
    ProducerBatch { transactional: true, ..batch }
}

#[test]
fn the_five_newest_batches_are_known_again_and_answered_with_their_own_offsets() {
    let mut log = Log::default();
    for index in 0..7 {
        assert_eq!(log.send(batch(0, index * 2, 2), 2), Ok((i64::from(index) * 2, i64::from(index) * 2 + 1)));
    }
    let end = log.state.end();
    for index in 2..7 {
        assert_eq!(log.send(batch(0, index * 2, 2), 2), Ok((i64::from(index) * 2, i64::from(index) * 2 + 1)));
    }
    assert_eq!(log.state.end(), end, "duplicates append nothing");
    // Older than the window, and a part of a known one, are out of order.
    for (first, records) in [(2, 2), (8, 1), (9, 1), (8, 3), (10, 4)] {
        let expected = ProducerError::OutOfOrder { id: ID, offset: end, sequence: Sequence(first), last: Sequence(13) };
        assert_eq!(log.send(batch(0, first, records), records), Err(expected));
    }
    assert_eq!(log.send(batch(0, 14, 1), 1), Ok((14, 14)));
}

#[test]
fn sequences_wrap_to_zero() {
    let mut log = Log::default();
    assert_eq!(log.send(batch(0, i32::MAX - 2, 2), 2), Ok((0, 1)));
    let across = batch(0, i32::MAX, 3);
    assert_eq!(across.last_sequence, Sequence(1));
    assert_eq!(log.send(across, 3), Ok((2, 4)));
    assert_eq!(log.send(across, 3), Ok((2, 4)));
    assert_eq!(log.send(batch(0, 2, 1), 1), Ok((5, 5)));
    let gap = ProducerError::OutOfOrder { id: ID, offset: Offset(6), sequence: Sequence(0), last: Sequence(2) };
    assert_eq!(log.send(batch(0, 0, 1), 1), Err(gap));
}

#[test]
fn whoever_has_no_state_may_begin_anywhere_and_a_new_epoch_only_at_zero() {
    let mut log = Log::default();
    assert_eq!(log.send(batch(3, 77, 1), 1), Ok((0, 0)));
    let current = ProducerEpoch(3);
    let old = ProducerError::Epoch { id: ID, offset: Offset(1), epoch: ProducerEpoch(2), current, version: -1 };
    assert_eq!(log.send(batch(2, 78, 1), 1), Err(old));
    let new = ProducerError::NewEpochSequence {
        id: ID,
        offset: Offset(1),
        epoch: ProducerEpoch(4),
        sequence: Sequence(78),
        current,
    };
    assert_eq!(log.send(batch(4, 78, 1), 1), Err(new));
    assert_eq!(log.send(batch(4, 0, 1), 1), Ok((1, 1)));
    // The old epoch's batches are no duplicates any more.
    assert!(matches!(log.send(batch(3, 77, 1), 1), Err(ProducerError::Epoch { .. })));
    assert_eq!(log.send(batch(4, 0, 1), 1), Ok((1, 1)));
}

#[test]
fn verification_holds_the_first_sequence_down() {
    let lowest =
        |lowest, supports_epoch_bump| Some(Verification { lowest_sequence: Sequence(lowest), supports_epoch_bump });
    let mut log = Log::default();
    assert!(matches!(log.send_verified(batch(0, 3, 1), 1, lowest(2, false)), Err(ProducerError::Unverified { .. })));
    assert!(matches!(log.send_verified(batch(0, 2, 1), 1, lowest(2, true)), Err(ProducerError::WithoutState { .. })));
    assert_eq!(log.send_verified(batch(0, 2, 1), 1, lowest(2, false)), Ok((0, 0)));
    assert_eq!(log.send_verified(batch(0, 3, 1), 1, lowest(3, true)), Ok((1, 1)));
}

#[test]
fn an_open_transaction_takes_only_its_own_and_holds_readers_back() {
    let mut log = Log::default();
    log.send(batch(0, 0, 1), 1).unwrap();
    assert_eq!(log.state.first_unstable_offset(), None);
    log.send(transactional(batch(0, 1, 2)), 2).unwrap();
    log.send(transactional(batch(0, 3, 2)), 2).unwrap();
    assert_eq!(log.state.first_unstable_offset(), Some(Offset(1)));
    assert!(log.state.has_open_transaction(ID, ProducerEpoch(0)));
    let error = ProducerError::TransactionOpen { id: ID, offset: Offset(5) };
    assert_eq!(log.send(batch(0, 5, 1), 1), Err(error));

    let completed = log.marker(0, false, TransactionVersion::Legacy).unwrap().unwrap();
    let expected = CompletedTxn { producer_id: ID, first_offset: Offset(1), last_offset: Offset(5), aborted: true };
    assert_eq!(completed, expected);
    assert_eq!(log.state.last_stable_offset_at(&completed), Offset(6));
    // Decided, but not replicated yet.
    assert_eq!(log.state.first_unstable_offset(), Some(Offset(1)));
    log.state.high_watermark_moved(Offset(5));
    assert_eq!(log.state.first_unstable_offset(), Some(Offset(1)));
    log.state.high_watermark_moved(Offset(6));
    assert_eq!(log.state.first_unstable_offset(), None);
    assert_eq!(log.send(batch(0, 5, 1), 1), Ok((6, 6)));
}

#[test]
fn markers_are_fenced_by_epoch_and_coordinator() {
    let mut log = Log::default();
    log.send(transactional(batch(4, 0, 1)), 1).unwrap();
    assert!(matches!(log.marker(3, true, TransactionVersion::Legacy), Err(ProducerError::Epoch { version: 0, .. })));
    // Version 2: a marker carries the next epoch.
    assert!(matches!(log.marker(4, true, TransactionVersion::V2), Err(ProducerError::Epoch { version: 2, .. })));
    assert!(log.marker(5, true, TransactionVersion::V2).unwrap().is_some());
    // Repeated with nothing open, it ends nothing.
    assert_eq!(log.marker(5, true, TransactionVersion::V2), Ok(None));
    let older = EndTxnMarker { committed: true, coordinator_epoch: 4 };
    let fenced = log.state.check_marker(ID, ProducerEpoch(6), &older, Offset(9), TransactionVersion::V2);
    assert!(matches!(fenced, Err(ProducerError::CoordinatorFenced { epoch: 4, current: 5, .. })));
    // After it, the sequence begins anew.
    assert!(matches!(log.send(batch(5, 1, 1), 1), Err(ProducerError::OutOfOrder { last: Sequence(-1), .. })));
    assert!(log.send(transactional(batch(5, 0, 1)), 1).is_ok());
}

#[test]
fn the_silent_are_forgotten_unless_a_transaction_is_open() {
    let mut log = Log::default();
    log.send(batch(0, 0, 11), 11).unwrap(); // At 0 ms.
    let mut other = ProducerBatch { id: ProducerId(2), ..transactional(batch(0, 0, 1)) };
    log.send(other, 1).unwrap(); // At 110 ms.
    assert_eq!(log.state.remove_expired(Timestamp(99), 100), 0);
    assert_eq!(log.state.remove_expired(Timestamp(1_000_000), 100), 1);
    assert_eq!(log.state.producers().map(|(id, _)| id).collect::<Vec<_>>(), [ProducerId(2)]);
    // The one that is forgotten begins anywhere.
    assert_eq!(log.send(batch(0, 500, 1), 1), Ok((12, 12)));
    other.first_sequence = Sequence(1);
    other.last_sequence = Sequence(1);
    assert!(log.send(other, 1).is_ok());
}

#[test]
fn more_producers_than_the_bound_push_out_those_silent_longest() {
    let mut state = ProducerState::default();
    let of = |id: i64| ProducerBatch { id: ProducerId(id), ..batch(0, 0, 1) };
    let open = transactional(of(0));
    state.apply_batch(&open, Offset(0), Offset(0), Timestamp(0));
    for id in 1..=PRODUCERS_MAX as i64 {
        state.apply_batch(&of(id), Offset(id), Offset(id), Timestamp(id));
    }
    assert!(state.len() <= PRODUCERS_MAX);
    assert!(state.producer(ProducerId(0)).is_some(), "its transaction is open");
    assert!(state.producer(ProducerId(1)).is_none());
    assert!(state.producer(ProducerId(PRODUCERS_MAX as i64)).is_some());
}

/// Batches with offsets, as a log holds them.
fn logged() -> Vec<Vec<u8>> {
    let mut batches = Vec::new();
    let mut end = 0;
    let mut push = |mut bytes: Vec<u8>| {
        let mut batch = record::BatchMut::parse(&mut bytes).unwrap();
        batch.set_base_offset(Offset(end));
        end = batch.view().next_offset().0;
        batches.push(bytes);
    };
    for round in 0..6 {
        let build = |id: i64, transactional: bool| {
            let sequence = Sequence(round * 2);
            let mut builder =
                BatchBuilder::default().with_producer(ProducerId(id), ProducerEpoch(2), sequence, transactional);
            builder.append(Timestamp(1000 + i64::from(round)), None, Some(b"x"));
            builder.append(Timestamp(1000), None, Some(b"y"));
            builder.build()
        };
        push(build(10, false));
        push(build(11, true));
        if round % 2 == 0 {
            let marker = EndTxnMarker { committed: round == 0, coordinator_epoch: round };
            push(end_txn_marker(Timestamp(2000), ProducerId(11), ProducerEpoch(2), marker));
        }
        let mut plain = BatchBuilder::default();
        plain.append(Timestamp(5), None, None);
        push(plain.build());
    }
    batches
}

fn replay(state: &mut ProducerState, batches: &[Vec<u8>]) -> Vec<CompletedTxn> {
    let view = |bytes: &Vec<u8>| {
        let view = BatchView::parse(bytes).unwrap();
        state.apply(&view, view.body())
    };
    batches.iter().filter_map(view).collect()
}

#[test]
fn replay_finds_the_same_as_a_leader_had() {
    let mut state = ProducerState::default();
    let completed = replay(&mut state, &logged());
    assert_eq!(completed.iter().map(|txn| txn.aborted).collect::<Vec<_>>(), [false, true, true]);
    let producer = state.producer(ProducerId(10)).unwrap();
    assert_eq!((producer.batches().len(), producer.last_sequence()), (5, Sequence(11)));
    assert_eq!(producer.last_timestamp, Timestamp(1005));
    assert!(state.has_open_transaction(ProducerId(11), ProducerEpoch(2)));
    let last = logged().last().map(|bytes| BatchView::parse(bytes).unwrap().next_offset());
    assert_eq!(Some(state.end()), last);
}

#[test]
fn a_snapshot_stands_for_all_batches_before_it() {
    let batches = logged();
    let mut whole = ProducerState::default();
    replay(&mut whole, &batches);
    let info = SnapshotInfo { log_id: 7, lsn: 99, last_leader_epoch: LeaderEpoch(3) };
    for cut in 0..=batches.len() {
        let mut state = ProducerState::default();
        replay(&mut state, &batches[..cut]);
        state.high_watermark_moved(Offset(cut as i64));
        let bytes = Snapshot::encode(&state, &info);
        let snapshot = Snapshot::decode(&bytes).unwrap();
        assert_eq!(snapshot.info, info);
        assert_eq!(snapshot.state.first_unstable_offset(), state.first_unstable_offset());
        assert_eq!(Snapshot::encode(&snapshot.state, &info), bytes);
        let mut resumed = snapshot.state;
        replay(&mut resumed, &batches[cut..]);
        for state in [&mut resumed, &mut whole] {
            state.high_watermark_moved(Offset(i64::MAX));
        }
        assert_eq!(Snapshot::encode(&resumed, &info), Snapshot::encode(&whole, &info), "cut {cut}");
    }
}

#[test]
fn a_damaged_snapshot_is_an_error_and_never_an_empty_state() {
    let mut state = ProducerState::default();
    replay(&mut state, &logged());
    let info = SnapshotInfo { log_id: 7, lsn: 99, last_leader_epoch: LeaderEpoch(3) };
    let bytes = Snapshot::encode(&state, &info);
    for cut in 0..bytes.len() {
        assert!(Snapshot::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        assert!(Snapshot::decode(&bytes).is_err(), "flipped at {at}");
    }
    assert!(Snapshot::decode(&[bytes.clone(), bytes].concat()).is_err());
}

#[test]
fn a_snapshot_is_of_use_only_inside_its_own_log() {
    let info = SnapshotInfo { log_id: 7, lsn: 99, last_leader_epoch: LeaderEpoch(3) };
    let usable = |end, log_id, start, log_end| info.is_usable(Offset(end), log_id, Offset(start), Offset(log_end));
    assert!(usable(50, 7, 10, 50));
    assert!(!usable(51, 7, 10, 50));
    assert!(!usable(10, 7, 10, 50));
    assert!(!usable(50, 8, 10, 50));
}
