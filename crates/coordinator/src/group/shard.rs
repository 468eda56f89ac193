//! One partition of `__consumer_offsets` and the groups in it, from loading to the loss of leadership. The face of this
//! crate: all that the server calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use env::{Instant, Rng};
use machine::{Full, Limits, Log, Machine, Now, Runner, Step};
use protocol::ErrorCode;
use protocol::join_group_response::JoinGroupResponse;
use record::Offset;

use super::{
    Answer, Caller, DeletedTopic, GroupConfig, GroupRecord, GroupSummary, Groups, ReplayError, Replayed, Request,
};

const SYNC_NAMES_PROTOCOL_VERSION: i16 = 5;

/// What is to be sent now, in this order.
pub type Answers<T> = Vec<(T, Answer)>;

/// `T` is whom an answer goes to; each comes back exactly once.
pub struct GroupShard<T> {
    config: Arc<GroupConfig>,
    state: State<T>,
}

enum State<T> {
    Loading(Loading<T>),
    Active(Runner<Groups<T>>),
    /// The log cannot be written, or is another broker's now.
    Lost,
}

struct Loading<T> {
    groups: Groups<T>,
    /// How many records of kinds that are not served there are.
    skipped: BTreeMap<i16, u64>,
    /// Topics that went in the meantime.
    deleted: Vec<DeletedTopic>,
}

impl<T> GroupShard<T> {
    /// To be loaded: until then every request is told so.
    pub fn new(config: Arc<GroupConfig>, rng: Arc<dyn Rng>) -> GroupShard<T> {
        let groups = Groups::new(config.clone(), rng);
        let loading = Loading { groups, skipped: BTreeMap::new(), deleted: Vec::new() };
        GroupShard { config, state: State::Loading(loading) }
    }

    /// Takes one record of the partition, in the order of the log, control records left out.
    pub fn replay(&mut self, offset: Offset, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), ReplayError> {
        let State::Loading(loading) = &mut self.state else {
            panic!("a record replayed into a partition that is loaded")
        };
        let replayed = GroupRecord::replay(key, value);
        match replayed.inspect_err(|error| tracing::error!(%offset, ?error, "a record of groups cannot be read"))? {
            Replayed::Record(record) => loading.groups.apply(&record),
            Replayed::Skipped { kind } => *loading.skipped.entry(kind).or_default() += 1,
        }
        Ok(())
    }

    /// The whole log has been replayed.
    pub fn loaded(
        &mut self,
        log: &mut dyn Log<GroupRecord>,
        log_end: Offset,
        high_watermark: Offset,
        now: Now,
    ) -> Answers<T> {
        let limits = Limits { tickets_max: self.config.tickets_max, commit_timeout: self.config.commit_timeout };
        let State::Loading(Loading { groups, skipped, deleted }) = std::mem::replace(&mut self.state, State::Lost)
        else {
            panic!("a partition loaded twice")
        };
        for (kind, records) in skipped {
            tracing::warn!(kind, records, "records of a kind that is not served here stay in the log, ignored");
        }
        self.state = State::Active(Runner::new(groups, log_end, high_watermark, limits));
        self.step(log, now, |groups, step| {
            groups.loaded(now, step);
            groups.delete_topics(&deleted, step);
        })
    }

    pub fn request(
        &mut self,
        log: &mut dyn Log<GroupRecord>,
        caller: &Caller,
        request: Request,
        ticket: T,
        now: Now,
    ) -> Answers<T> {
        if let Some(answer) = self.refused(caller, &request) {
            return vec![(ticket, answer)];
        }
        let State::Active(runner) = &mut self.state else { panic!("a partition that loads refuses every request") };
        let full = request.refused(ErrorCode::CoordinatorNotAvailable);
        let decided = runner.request(log, now, ticket, |groups, ticket, step| {
            groups.decide(caller, request, ticket, now, step);
        });
        let mut answers = match decided {
            Ok(answers) => answers,
            Err(Full(ticket)) => vec![(ticket, full)],
        };
        self.note_if_lost();
        answers.extend(self.tick(log, now)); // A delay of nothing is over at once.
        answers
    }

    /// Topics are gone, and with them what was committed of them.
    pub fn topics_deleted(&mut self, log: &mut dyn Log<GroupRecord>, topics: &[DeletedTopic], now: Now) -> Answers<T> {
        if let State::Loading(loading) = &mut self.state {
            loading.deleted.extend_from_slice(topics);
        }
        self.step(log, now, |groups, step| groups.delete_topics(topics, step))
    }

    /// The high watermark of the partition has moved.
    pub fn committed(&mut self, high_watermark: Offset) -> Answers<T> {
        self.active().map(|runner| runner.committed(high_watermark)).unwrap_or_default()
    }

    /// When [`GroupShard::tick`] is due. Every other call may change it.
    pub fn next_deadline(&self) -> Option<Instant> {
        let State::Active(runner) = &self.state else { return None };
        let deadlines = [runner.next_deadline(), runner.machine().timers.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn tick(&mut self, log: &mut dyn Log<GroupRecord>, now: Now) -> Answers<T> {
        let mut answers = Vec::new();
        // A timer may set another that is due at once, and a sweep goes on for as long as it finds something.
        let mut fired = true;
        while std::mem::take(&mut fired) {
            answers.extend(self.step(log, now, |groups, step| {
                if let Some(timer) = groups.timers.pop_due(now.at) {
                    fired = true;
                    groups.timer(&timer, now, step);
                }
            }));
        }
        answers.extend(self.active().map(|runner| runner.expire(now.at)).unwrap_or_default());
        answers
    }

    /// All tickets have been answered, and the partition must be loaded anew.
    pub fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// Its groups, by name, as they are; none while it loads. Made for each anew.
    pub fn summaries(&self) -> Vec<GroupSummary> {
        match &self.state {
            State::Active(runner) => runner.machine().summaries().collect(),
            State::Loading(_) | State::Lost => vec![],
        }
    }

    /// Requests that have not been answered.
    pub fn tickets(&self) -> usize {
        match &self.state {
            State::Active(runner) => runner.tickets(),
            State::Loading(_) | State::Lost => 0,
        }
    }

    /// This broker leads the partition no longer.
    pub fn resign(mut self) -> Answers<T> {
        self.active().map(Runner::resign).unwrap_or_default()
    }

    fn active(&mut self) -> Option<&mut Runner<Groups<T>>> {
        match &mut self.state {
            State::Active(runner) => Some(runner),
            State::Loading(_) | State::Lost => None,
        }
    }

    /// A step that no request asked for.
    fn step(
        &mut self,
        log: &mut dyn Log<GroupRecord>,
        now: Now,
        decide: impl FnOnce(&mut Groups<T>, &mut Step<Groups<T>>),
    ) -> Answers<T> {
        let answers = self.active().map(|runner| runner.step(log, now, decide)).unwrap_or_default();
        self.note_if_lost();
        answers
    }

    fn note_if_lost(&mut self) {
        if matches!(&self.state, State::Active(runner) if runner.is_lost()) {
            self.state = State::Lost;
        }
    }

    /// The answer to what no group has to be looked at for. What is wrong with the request comes first, as in Kafka.
    fn refused(&self, caller: &Caller, request: &Request) -> Option<Answer> {
        let invalid = match request {
            Request::Heartbeat(request) if request.group_id.is_empty() => Some(ErrorCode::InvalidGroupId),
            Request::LeaveGroup(request) if request.group_id.is_empty() => Some(ErrorCode::InvalidGroupId),
            Request::OffsetDelete(request) if request.group_id.is_empty() => Some(ErrorCode::InvalidGroupId),
            // From this version on both must be named (KIP-559).
            Request::SyncGroup(request)
                if caller.version >= SYNC_NAMES_PROTOCOL_VERSION
                    && (request.protocol_type.is_none() || request.protocol_name.is_none()) =>
            {
                Some(ErrorCode::InconsistentGroupProtocol)
            }
            Request::SyncGroup(request) if request.group_id.is_empty() => Some(ErrorCode::InvalidGroupId),
            Request::JoinGroup(request) => {
                let invalid = match request.group_id.is_empty() {
                    true => Some(ErrorCode::InvalidGroupId),
                    false => self.session_timeout_error(request.session_timeout_ms),
                };
                if let Some(error) = invalid {
                    let (error_code, member_id) = (error.code(), request.member_id.clone());
                    return Some(Answer::JoinGroup(JoinGroupResponse { error_code, member_id, ..Default::default() }));
                }
                None
            }
            _ => None,
        };
        let unserved = match &self.state {
            State::Active(_) => None,
            State::Loading(_) => Some(ErrorCode::CoordinatorLoadInProgress),
            State::Lost => Some(ErrorCode::NotCoordinator),
        };
        invalid.or(unserved).map(|error| request.refused(error))
    }

    fn session_timeout_error(&self, session_timeout_ms: i32) -> Option<ErrorCode> {
        let range = self.config.session_timeout_min.as_millis()..=self.config.session_timeout_max.as_millis();
        let valid = u128::try_from(session_timeout_ms).is_ok_and(|session_timeout| range.contains(&session_timeout));
        (!valid).then_some(ErrorCode::InvalidSessionTimeout)
    }
}
