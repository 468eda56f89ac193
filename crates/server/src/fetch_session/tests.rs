//! The life of a session, by the numbers that Kafka's own `FetchSessionTest` cares about.
use super::*;

struct Counter(std::sync::atomic::AtomicU64);

impl Rng for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        let next = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        bytes.copy_from_slice(&next.to_le_bytes());
    }
}

fn rng() -> Counter {
    Counter(1.into())
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey { topic: TopicKey::Name("t".into()), partition }
}

fn wanted(partitions: &[i32]) -> Vec<Asked> {
    let request = PartitionRequest {
        fetch_offset: 0,
        bytes_max: 100,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
    };
    partitions.iter().map(|partition| Asked { key: key(*partition), request, topic: None }).collect()
}

fn request(session_id: i32, session_epoch: i32, partitions: &[i32]) -> SessionRequest {
    SessionRequest {
        session_id,
        session_epoch,
        uses_topic_ids: false,
        is_follower: false,
        partitions: wanted(partitions),
        forgotten: vec![],
    }
}

const QUIET: PartitionAnswer =
    PartitionAnswer { has_records: false, high_watermark: 5, log_start_offset: 0, error: false, must_be_told: false };
const RECORDS: PartitionAnswer = PartitionAnswer { has_records: true, ..QUIET };
const ERROR: PartitionAnswer = PartitionAnswer { error: true, high_watermark: -1, log_start_offset: -1, ..QUIET };
const NOW: Instant = Instant(0);

/// The session's answer, and what it tells.
fn finish(
    sessions: &FetchSessions,
    context: &FetchContext,
    answers: &[PartitionAnswer],
    now: Instant,
) -> (SessionAnswer, Vec<bool>) {
    assert_eq!(context.partitions.len(), answers.len(), "every partition has an answer");
    let mut told = vec![false; answers.len()];
    let answered = context.partitions.iter().zip(answers).zip(&mut told);
    let answered = answered.map(|((asked, answer), is_told)| {
        let Asked { key, request, .. } = asked;
        Answered { key, request, topic: None, answer: *answer, is_told }
    });
    (sessions.finish(context, answered, now, &rng()), told)
}

fn open(sessions: &FetchSessions, partitions: &[i32]) -> i32 {
    let context = sessions.begin(request(0, 0, partitions), NOW).expect("a full fetch");
    finish(sessions, &context, &vec![QUIET; partitions.len()], NOW).0.session_id
}

fn resume(sessions: &FetchSessions, id: i32, epoch: i32, answers: &[PartitionAnswer]) -> Vec<bool> {
    let context = sessions.begin(request(id, epoch, &[]), NOW).expect("the session goes on");
    let (answer, told) = finish(sessions, &context, answers, NOW);
    assert_eq!((answer.error, answer.session_id), (ErrorCode::None, id));
    told
}

#[test]
fn a_session_tells_only_what_is_new() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0, 1]);
    assert_eq!(resume(&sessions, id, 1, &[QUIET, QUIET]), [false, false]);
    assert_eq!(resume(&sessions, id, 2, &[QUIET, PartitionAnswer { high_watermark: 6, ..QUIET }]), [false, true]);
    assert_eq!(resume(&sessions, id, 3, &[PartitionAnswer { log_start_offset: 1, ..QUIET }, QUIET]), [true, true]);
    assert_eq!(
        resume(&sessions, id, 4, &[PartitionAnswer { must_be_told: true, log_start_offset: 1, ..QUIET }, QUIET]),
        [true, false]
    );
}

#[test]
fn after_an_error_the_next_answer_is_new() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0]);
    assert_eq!(resume(&sessions, id, 1, &[ERROR]), [true]);
    assert_eq!(resume(&sessions, id, 2, &[QUIET]), [true]);
    assert_eq!(resume(&sessions, id, 3, &[QUIET]), [false]);
}

#[test]
fn who_got_records_goes_to_the_end() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0, 1, 2]);
    resume(&sessions, id, 1, &[RECORDS, QUIET, QUIET]);
    let context = sessions.begin(request(id, 2, &[]), NOW).expect("the session goes on");
    let order: Vec<i32> = context.partitions.iter().map(|asked| asked.key.partition).collect();
    assert_eq!(order, [1, 2, 0]);
}

#[test]
fn partitions_are_added_changed_and_forgotten() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0, 1]);
    let mut change = request(id, 1, &[1, 2]);
    change.partitions[0].request.fetch_offset = 9;
    change.forgotten = vec![key(0)];
    let context = sessions.begin(change, NOW).expect("the session goes on");
    let wanted: Vec<(i32, i64)> =
        context.partitions.iter().map(|asked| (asked.key.partition, asked.request.fetch_offset)).collect();
    assert_eq!(wanted, [(1, 9), (2, 0)]);
}

#[test]
fn a_session_that_forgets_everything_ends() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0]);
    let context =
        sessions.begin(SessionRequest { forgotten: vec![key(0)], ..request(id, 1, &[]) }, NOW).expect("it ends");
    assert_eq!(finish(&sessions, &context, &[], NOW).0.session_id, 0);
    assert!(sessions.is_empty());
}

#[test]
fn a_wrong_epoch_an_unknown_id_and_a_change_of_naming_are_refused() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0]);
    let refused = |request| sessions.begin(request, NOW).err().expect("refused");
    assert_eq!(refused(request(id, 2, &[])), ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(refused(request(id + 1, 1, &[])), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(
        refused(SessionRequest { uses_topic_ids: true, ..request(id, 1, &[]) }),
        ErrorCode::FetchSessionTopicIdError
    );
    // Of both the epoch is looked at first.
    assert_eq!(
        refused(SessionRequest { uses_topic_ids: true, ..request(id, 2, &[]) }),
        ErrorCode::InvalidFetchSessionEpoch
    );
}

#[test]
fn a_session_may_begin_with_nothing() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[]);
    assert_ne!(id, 0);
    let context = sessions.begin(request(id, 1, &[0]), NOW).expect("the session goes on");
    assert_eq!(finish(&sessions, &context, &[QUIET], NOW).0.session_id, id);
}

#[test]
fn two_requests_at_once_cannot_both_be_answered() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0]);
    let first = sessions.begin(request(id, 1, &[]), NOW).expect("the session goes on");
    let second = sessions.begin(request(id, 2, &[]), NOW).expect("the session goes on");
    assert_eq!(finish(&sessions, &first, &[QUIET], NOW).0.error, ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(finish(&sessions, &second, &[QUIET], NOW).0.error, ErrorCode::None);
}

#[test]
fn a_full_fetch_closes_the_session_it_names_and_the_final_epoch_opens_none() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0]);
    let context = sessions.begin(request(id, -1, &[0]), NOW).expect("closes");
    assert_eq!(finish(&sessions, &context, &[QUIET], NOW).0.session_id, 0);
    assert!(sessions.is_empty());
}

#[test]
fn the_epoch_wraps_to_one() {
    assert_eq!(next_epoch(i32::MAX), 1);
}

#[test]
fn a_full_cache_opens_no_session_until_one_is_stale_or_old_and_smaller() {
    let sessions = FetchSessions::new(1);
    let first = open(&sessions, &[0]);
    assert_ne!(first, 0);
    assert_eq!(open(&sessions, &[0, 1]), 0);
    let old = NOW + EVICTION_AGE + Duration::from_secs(1);
    sessions.begin(request(first, 1, &[]), old).expect("still in use");
    let later = |partitions: &[i32]| {
        let context = sessions.begin(request(0, 0, partitions), old).expect("a full fetch");
        finish(&sessions, &context, &vec![QUIET; partitions.len()], old).0.session_id
    };
    assert_eq!(later(&[0]), 0, "no larger than the old one");
    assert_ne!(later(&[0, 1]), 0, "larger than the old one");
    assert_eq!(sessions.len(), 1);
}

#[test]
fn a_session_makes_room_only_if_it_was_old_when_it_was_used_last() {
    let sessions = FetchSessions::new(1);
    let first = open(&sessions, &[0]);
    let (used, later) = (NOW + Duration::from_secs(119), NOW + Duration::from_secs(200));
    sessions.begin(request(first, 1, &[]), used).expect("still in use");
    let open_at = |now| {
        let context = sessions.begin(request(0, 0, &[0, 1]), now).expect("a full fetch");
        finish(&sessions, &context, &[QUIET; 2], now).0.session_id
    };
    assert_eq!(open_at(later), 0);
    sessions.begin(request(first, 2, &[]), later).expect("still in use");
    assert_ne!(open_at(later), 0);
}

#[test]
fn a_follower_takes_the_place_of_a_consumer() {
    let sessions = FetchSessions::new(1);
    open(&sessions, &[0, 1, 2]);
    let context =
        sessions.begin(SessionRequest { is_follower: true, ..request(0, 0, &[0]) }, NOW).expect("a full fetch");
    assert_ne!(finish(&sessions, &context, &[QUIET], NOW).0.session_id, 0);
}

#[test]
fn a_session_knows_how_a_topic_was_called_for_as_long_as_it_asks_for_it() {
    let sessions = FetchSessions::new(10);
    let context = sessions.begin(request(0, 0, &[0]), NOW).expect("a full fetch");
    let name: Arc<str> = "called".into();
    let answer = |context: &FetchContext, topic: Option<&Arc<str>>| {
        let Asked { key, request, .. } = &context.partitions[0];
        let answered = Answered { key, request, topic, answer: QUIET, is_told: &mut false };
        sessions.finish(context, std::iter::once(answered), NOW, &rng()).session_id
    };
    let id = answer(&context, None);
    let known = |epoch: i32| sessions.begin(request(id, epoch, &[]), NOW).expect("the session goes on");
    let context = known(1);
    assert_eq!(context.partitions[0].topic, None);
    answer(&context, Some(&name));
    answer(&known(2), None);
    assert_eq!(known(3).partitions[0].topic, Some(name));
}
