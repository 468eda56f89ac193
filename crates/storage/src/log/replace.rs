//! Compaction's last act: the lane is told that a new segment stands for some old ones, and when that is durable the list of
//! segments is changed under the lock. Readers that hold an old segment go on with its open file, or look again.
use std::collections::VecDeque;
use std::sync::Arc;

use record::Offset;
use tokio::sync::oneshot;

use super::state::Replacement;
use super::{Control, Gate, Log, State};
use crate::flusher::Job;
use crate::segment::Segment;
use crate::settings::Mutant;
use crate::shared::Ticket;

impl Log {
    /// `segment` is complete and synced, and so is its name. `None` if the old ones are not what they were: the new one is
    /// to be thrown away. Else the ticket says that it is in their place, or, by an error, that the log is gone.
    pub(crate) fn begin_replace(
        &self,
        sources: &[Arc<Segment>],
        segment: Arc<Segment>,
        compacted_end: Offset,
    ) -> Option<Ticket<()>> {
        let mut state = self.state();
        let range = may_replace(&state, sources)?;
        let (answer, ticket) = oneshot::channel();
        state.is_replacing = true;
        state.controls.push(Control::Replace(Replacement { range, segment, compacted_end, answer }));
        self.enqueue(&mut state);
        drop(state);
        if self.shared.settings.has(Mutant::RemoveReplacedEarly) {
            self.remove_replaced(sources.iter().cloned().collect());
        }
        self.shared.wake_committer();
        Some(ticket)
    }

    /// The record is durable.
    pub(crate) fn replace_segments(&self, state: &mut State, replacement: Replacement) {
        state.is_replacing = false;
        state.replacements += 1;
        if state.gate == Gate::Deleted {
            return; // All of its files go.
        }
        let Replacement { range, segment, compacted_end, answer } = replacement;
        let is_replaced = |segment: &Arc<Segment>| range.contains(&segment.base_offset());
        let removed: VecDeque<_> = state.segments.iter().filter(|segment| is_replaced(segment)).cloned().collect();
        let index = state.segments.partition_point(|segment| segment.base_offset() < range.start);
        state.segments.drain(index..index + removed.len());
        state.segments.insert(index, segment);
        state.compacted_end = state.compacted_end.max(compacted_end);
        self.remove_replaced(removed);
        super::answer_now(answer, ());
        self.shared.wake_compactor();
    }

    fn remove_replaced(&self, removed: VecDeque<Arc<Segment>>) {
        let log = self.me.upgrade().expect("it is being called");
        self.shared.give(Job::RemoveSegments { log, removed });
    }
}

/// The range of base offsets that these segments are, if they are the log's, one behind the other, and so old that no
/// checkpoint needs them.
fn may_replace(state: &State, sources: &[Arc<Segment>]) -> Option<std::ops::Range<Offset>> {
    let first = sources.first()?.base_offset();
    let index = state.segments.partition_point(|segment| segment.base_offset() < first);
    let are_there = sources
        .iter()
        .enumerate()
        .all(|(at, source)| state.segments.get(index + at).is_some_and(|segment| Arc::ptr_eq(segment, source)));
    let end = state.segments.get(index + sources.len())?.base_offset();
    let is_quiet = state.gate == Gate::Open && !state.is_cutting && !state.is_replacing;
    let below = state.checkpointed.replaceable_below();
    let is_old = [below, state.synced.place.segment, state.written.place.segment, state.sealed_below];
    (are_there && is_quiet && is_old.into_iter().all(|bound| end <= bound)).then_some(first..end)
}
