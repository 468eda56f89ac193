//! The runner with the plainest machine: a sum, to which requests add, and a request that waits for the sum to be great.

use std::time::Duration;

use env::Instant;
use machine::{Answer, AppendError, Failure, Full, Limits, Log, Machine, Now, Runner, Step, Timers};
use record::Offset;

#[derive(Default)]
struct Sum {
    sum: i64,
    waiting: Vec<(i64, &'static str)>,
    refused: Vec<i64>,
}

#[derive(Debug, PartialEq)]
struct Said(Result<i64, Failure>);

impl Answer for Said {
    fn fail(&mut self, failure: Failure) {
        self.0 = Err(failure);
    }
}

impl Machine for Sum {
    type Record = i64;
    type Ticket = &'static str;
    type Answer = Said;

    fn apply(&mut self, record: &i64) {
        self.sum += record;
    }

    fn refused(&mut self, records: &[i64], _: Failure, _: Now, step: &mut Step<Self>) {
        self.refused.extend(records);
        for (_, ticket) in self.waiting.drain(..) {
            step.answer_at_once(ticket, Said(Ok(-1)));
        }
    }

    fn drain(&mut self) -> Vec<(&'static str, Said)> {
        self.waiting.drain(..).map(|(_, ticket)| (ticket, Said(Ok(0)))).collect()
    }
}

impl Sum {
    fn add(&mut self, number: i64, ticket: &'static str, step: &mut Step<Self>) {
        step.record(number);
        let sum = self.sum + number;
        step.answer(ticket, Said(Ok(sum)));
        let (ready, waiting) = self.waiting.drain(..).partition(|(least, _)| sum >= *least);
        self.waiting = waiting;
        for (_, ticket) in ready {
            step.answer(ticket, Said(Ok(sum)));
        }
    }
}

#[derive(Default)]
struct Numbers {
    numbers: Vec<i64>,
    fails: Option<AppendError>,
}

impl Log<i64> for Numbers {
    fn append(&mut self, records: &[i64], _: bool) -> Result<Offset, AppendError> {
        if let Some(error) = self.fails.take() {
            return Err(error);
        }
        self.numbers.extend(records);
        Ok(Offset(self.numbers.len() as i64))
    }
}

struct Stage {
    log: Numbers,
    runner: Runner<Sum>,
    now: Now,
}

impl Stage {
    fn new(tickets_max: usize) -> Stage {
        let limits = Limits { tickets_max, commit_timeout: Duration::from_secs(5) };
        let runner = Runner::new(Sum::default(), Offset(0), Offset(0), limits);
        Stage { log: Numbers::default(), runner, now: Now { at: Instant(0), wall_ms: 0 } }
    }

    fn add(&mut self, number: i64, ticket: &'static str) -> Vec<(&'static str, Said)> {
        self.runner.request(&mut self.log, self.now, ticket, |sum, ticket, step| sum.add(number, ticket, step)).unwrap()
    }

    fn await_sum(&mut self, least: i64, ticket: &'static str) -> Vec<(&'static str, Said)> {
        let asked =
            self.runner.request(&mut self.log, self.now, ticket, |sum, ticket, _| sum.waiting.push((least, ticket)));
        asked.unwrap()
    }

    fn read(&mut self, ticket: &'static str) -> Vec<(&'static str, Said)> {
        let read = |sum: &mut Sum, ticket, step: &mut Step<Sum>| step.answer(ticket, Said(Ok(sum.sum)));
        self.runner.request(&mut self.log, self.now, ticket, read).unwrap()
    }
}

#[test]
fn an_answer_waits_for_all_that_it_saw() {
    let mut stage = Stage::new(10);
    assert_eq!(stage.read("r1"), [("r1", Said(Ok(0)))], "nothing is uncommitted");
    assert_eq!(stage.add(3, "a"), []);
    assert_eq!(stage.read("r2"), [], "the 3 that it saw may yet be lost");
    assert_eq!(stage.add(4, "b"), []);
    assert_eq!(stage.runner.committed(Offset(0)), []);
    assert_eq!(stage.runner.committed(Offset(1)), [("a", Said(Ok(3))), ("r2", Said(Ok(3)))]);
    assert_eq!(stage.runner.committed(Offset(2)), [("b", Said(Ok(7)))]);
    assert_eq!(stage.read("r3"), [("r3", Said(Ok(7)))]);
    assert_eq!(stage.runner.tickets(), 0);
}

#[test]
fn any_step_may_answer_any_ticket() {
    let mut stage = Stage::new(10);
    assert_eq!(stage.await_sum(5, "w"), []);
    assert_eq!((stage.add(3, "a"), stage.add(4, "b")), (vec![], vec![]));
    assert_eq!(stage.runner.committed(Offset(1)), [("a", Said(Ok(3)))]);
    assert_eq!(stage.runner.committed(Offset(2)), [("b", Said(Ok(7))), ("w", Said(Ok(7)))]);
}

#[test]
fn tickets_are_limited_whether_they_wait_for_the_log_or_for_others() {
    let mut stage = Stage::new(2);
    assert_eq!((stage.await_sum(5, "w"), stage.add(1, "a")), (vec![], vec![]));
    let full = stage.runner.request(&mut stage.log, stage.now, "b", |sum, ticket, step| sum.add(1, ticket, step));
    assert!(matches!(full, Err(Full("b"))));
    assert_eq!(stage.log.numbers, [1], "who is refused has written nothing");
    assert_eq!(stage.runner.committed(Offset(1)), [("a", Said(Ok(1)))]);
    assert_eq!(stage.add(1, "b"), []);
}

#[test]
fn an_answer_that_waits_too_long_fails_and_its_records_stay() {
    let mut stage = Stage::new(10);
    assert_eq!(stage.add(3, "a"), []);
    stage.now.at = Instant(1_000_000_000);
    assert_eq!(stage.add(4, "b"), []);
    assert_eq!(stage.runner.next_deadline(), Some(Instant(5_000_000_000)));
    assert_eq!(stage.runner.expire(Instant(4_999_999_999)), []);
    assert_eq!(stage.runner.expire(Instant(5_000_000_000)), [("a", Said(Err(Failure::TimedOut)))]);
    assert_eq!(stage.runner.committed(Offset(2)), [("b", Said(Ok(7)))]);
    assert_eq!(stage.runner.machine().sum, 7);
    assert_eq!(stage.runner.next_deadline(), None);
}

#[test]
fn a_batch_that_is_not_taken_changes_nothing_and_the_machine_lives_on() {
    let mut stage = Stage::new(10);
    for (error, failure) in
        [(AppendError::TooLarge, Failure::TooLarge), (AppendError::NotEnoughReplicas, Failure::NotEnoughReplicas)]
    {
        assert_eq!(stage.await_sum(100, "w"), []);
        stage.log.fails = Some(error);
        assert_eq!(
            stage.add(3, "a"),
            [("a", Said(Err(failure))), ("w", Said(Ok(-1)))],
            "the machine says what follows"
        );
        assert!(!stage.runner.is_lost());
    }
    assert_eq!((stage.runner.machine().sum, &*stage.runner.machine().refused), (0, &[3, 3][..]));
    assert_eq!(stage.add(4, "b"), []);
    assert_eq!(stage.runner.committed(Offset(1)), [("b", Said(Ok(4)))]);
}

#[test]
fn a_log_that_is_lost_fails_everyone_once() {
    for error in [AppendError::NotLeader, AppendError::Storage] {
        let mut stage = Stage::new(10);
        assert_eq!((stage.add(3, "a"), stage.await_sum(100, "w")), (vec![], vec![]));
        stage.log.fails = Some(error);
        let lost = || Said(Err(Failure::Lost));
        assert_eq!(stage.add(4, "b"), [("b", lost()), ("a", lost()), ("w", lost())]);
        assert!(stage.runner.is_lost());
        assert_eq!(stage.runner.committed(Offset(1)), []);
        assert_eq!(stage.runner.tickets(), 0);
    }
}

#[test]
fn who_resigns_fails_everyone() {
    let mut stage = Stage::new(10);
    assert_eq!((stage.add(3, "a"), stage.await_sum(100, "w")), (vec![], vec![]));
    let lost = || Said(Err(Failure::Lost));
    assert_eq!(stage.runner.resign(), [("a", lost()), ("w", lost())]);
}

#[test]
fn what_was_loaded_but_is_not_committed_is_waited_for() {
    let limits = Limits { tickets_max: 10, commit_timeout: Duration::from_secs(5) };
    let machine = Sum { sum: 7, ..Sum::default() };
    let mut runner = Runner::new(machine, Offset(2), Offset(1), limits);
    let (mut log, now) = (Numbers { numbers: vec![3, 4], fails: None }, Now { at: Instant(0), wall_ms: 0 });
    let read = |sum: &mut Sum, ticket, step: &mut Step<Sum>| step.answer(ticket, Said(Ok(sum.sum)));
    assert_eq!(runner.request(&mut log, now, "r", read).unwrap(), []);
    assert_eq!(runner.committed(Offset(2)), [("r", Said(Ok(7)))]);
}

#[test]
fn timers_fire_in_order_and_only_when_last_set() {
    let mut timers = Timers::default();
    timers.set("b", Instant(20));
    timers.set("a", Instant(20));
    timers.set("c", Instant(10));
    timers.set("c", Instant(30)); // Moved.
    timers.set("d", Instant(5));
    timers.cancel(&"d");
    timers.cancel(&"unknown");
    assert_eq!((timers.len(), timers.next_deadline()), (3, Some(Instant(20))));
    assert_eq!(timers.pop_due(Instant(19)), None);
    assert_eq!(
        (timers.pop_due(Instant(20)), timers.pop_due(Instant(20)), timers.pop_due(Instant(20))),
        (Some("a"), Some("b"), None)
    );
    timers.set("c", Instant(1)); // Earlier.
    assert_eq!((timers.pop_due(Instant(20)), timers.is_empty()), (Some("c"), true));
}
