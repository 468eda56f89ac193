//! What a leader knows of its replicas, as arithmetic: epochs, ends, the high watermark. Methods return what changed; no
//! log, no lock, no clock. One node leads with itself alone in sync; followers are added here.
use record::{LeaderEpoch, Offset};

/// A partition in the hands of its leader.
#[derive(Debug)]
pub struct Leader {
    epoch: LeaderEpoch,
    /// The log end when this epoch began: what lies above was appended in it.
    epoch_start: Offset,
    /// `min.insync.replicas`
    in_sync_min: usize,
    /// How many replicas the partition has: `in_sync_min` never asks for more (Kafka's `effectiveMinIsr`).
    replicas: usize,
    /// How far this replica's own log holds what acks=all promises: durable, or written where the topic is `relaxed`.
    local_end: Offset,
    // high_watermark <= local_end
    high_watermark: Offset,
}

/// A client that believes in another leader epoch than this replica.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EpochError {
    /// The client is behind.
    Fenced,
    /// The client is ahead.
    Unknown,
}

impl Leader {
    /// Takes over with everything below `local_end` safe on this replica, `high_watermark` being what it had learned.
    pub fn new(epoch: LeaderEpoch, epoch_start: Offset, local_end: Offset, high_watermark: Offset) -> Self {
        let high_watermark = high_watermark.min(local_end);
        let mut leader = Self { epoch, epoch_start, in_sync_min: 1, replicas: 1, local_end, high_watermark };
        leader.advance_high_watermark();
        leader
    }

    pub fn configure(&mut self, in_sync_min: usize, replicas: usize) {
        self.in_sync_min = in_sync_min;
        self.replicas = replicas;
    }

    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The own log is safe up to `local_end`. Returns the high watermark if it moved.
    pub fn local_advanced(&mut self, local_end: Offset) -> Option<Offset> {
        self.local_end = self.local_end.max(local_end);
        self.advance_high_watermark()
    }

    /// `NOT_ENOUGH_REPLICAS` unless true: acks=all is refused before the append.
    pub fn is_enough_in_sync(&self) -> bool {
        self.in_sync() >= self.in_sync_min()
    }

    pub fn in_sync_min(&self) -> usize {
        self.in_sync_min.min(self.replicas)
    }

    /// The epoch that a client names, if it names one (`Partition.checkCurrentLeaderEpoch`).
    pub fn check_epoch(&self, client: Option<LeaderEpoch>) -> Result<(), EpochError> {
        match client {
            Some(client) if client < self.epoch => Err(EpochError::Fenced),
            Some(client) if client > self.epoch => Err(EpochError::Unknown),
            _ => Ok(()),
        }
    }

    fn in_sync(&self) -> usize {
        1
    }

    /// The high watermark is the least safe end over the in-sync replicas, and stands still while these are too few
    /// (Kafka 4's strict min ISR).
    fn advance_high_watermark(&mut self) -> Option<Offset> {
        if !self.is_enough_in_sync() || self.local_end <= self.high_watermark {
            return None;
        }
        self.high_watermark = self.local_end;
        Some(self.high_watermark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader() -> Leader {
        Leader::new(LeaderEpoch(4), Offset(10), Offset(10), Offset(7))
    }

    #[test]
    fn a_new_leader_alone_in_sync_commits_what_it_holds() {
        assert_eq!(leader().high_watermark(), Offset(10));
    }

    #[test]
    fn high_watermark_follows_the_safe_end_and_never_falls() {
        let mut leader = leader();
        assert_eq!(leader.local_advanced(Offset(12)), Some(Offset(12)));
        assert_eq!(leader.local_advanced(Offset(11)), None);
        assert_eq!(leader.high_watermark(), Offset(12));
    }

    #[test]
    fn a_learned_high_watermark_above_the_log_is_cut_to_it() {
        assert_eq!(Leader::new(LeaderEpoch(0), Offset(3), Offset(3), Offset(9)).high_watermark(), Offset(3));
    }

    #[test]
    fn min_insync_replicas_never_asks_for_more_than_there_are() {
        let mut leader = leader();
        leader.configure(2, 1);
        assert!(leader.is_enough_in_sync());
        leader.configure(2, 3);
        assert!(!leader.is_enough_in_sync());
        assert_eq!(leader.local_advanced(Offset(20)), None);
    }

    #[test]
    fn a_client_s_epoch_is_checked_if_it_names_one() {
        let leader = leader();
        assert_eq!(leader.check_epoch(None), Ok(()));
        assert_eq!(leader.check_epoch(Some(LeaderEpoch(4))), Ok(()));
        assert_eq!(leader.check_epoch(Some(LeaderEpoch(3))), Err(EpochError::Fenced));
        assert_eq!(leader.check_epoch(Some(LeaderEpoch(5))), Err(EpochError::Unknown));
    }
}
