use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use super::*;

const WINDOWS: Windows = Windows { count: 11, length: Duration::from_secs(1) };

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

struct Fixture {
    counts: Arc<ConnectionCounts>,
    limits: ConnectionLimits,
    of_listener: Arc<ListenerCounts>,
}

impl Fixture {
    fn new() -> Self {
        Self { counts: ConnectionCounts::new(WINDOWS), limits: ConnectionLimits::none(), of_listener: Arc::default() }
    }

    fn arrive(&self, listener: &str, ms: u64) -> Duration {
        self.counts.arrive(&listener.into(), &self.limits, at(ms))
    }

    fn ask(&self, listener: &str, from: IpAddr, ms: u64) -> Asked {
        self.counts.ask(from, &listener.into(), &self.of_listener, &self.limits, at(ms))
    }

    fn place(&self, listener: &str, from: IpAddr) -> Place {
        match self.ask(listener, from, 0) {
            Asked::Given(place) => place,
            _ => panic!("no place on {listener} for {from}"),
        }
    }

    fn is_full(&self, listener: &str) -> bool {
        matches!(self.ask(listener, ip(9), 0), Asked::Full)
    }
}

#[test]
fn a_place_comes_back_when_its_connection_ends() {
    let mut fixture = Fixture::new();
    fixture.limits.of_broker.connections_max = 2;
    fixture.limits.of_listeners.insert("INNER".into(), Limits { connections_max: 1, ..Limits::NONE });
    let inner = fixture.place("INNER", ip(1));
    assert!(fixture.is_full("INNER") && !fixture.is_full("OUTER"));
    let outer = fixture.place("OUTER", ip(1));
    assert!(fixture.is_full("OUTER"));
    assert_eq!((fixture.counts.total(), fixture.of_listener.open.value()), (2, 2));
    drop(inner);
    assert!(!fixture.is_full("INNER") && !fixture.is_full("OUTER"));
    drop(outer);
    assert_eq!((fixture.counts.total(), fixture.of_listener.open.value()), (0, 0));
}

#[test]
fn the_listener_of_brokers_has_its_own_limit_and_not_that_of_all() {
    let mut fixture = Fixture::new();
    fixture.limits.of_broker = Limits { connections_max: 1, created_per_second_max: 1.0 };
    fixture.limits.protected = Some("INNER".into());
    fixture.limits.of_listeners.insert("INNER".into(), Limits { connections_max: 3, ..Limits::NONE });
    let places: Vec<Place> = (0..3).map(|_| fixture.place("INNER", ip(1))).collect();
    assert!(fixture.is_full("INNER") && fixture.is_full("OUTER"));
    drop(places);
    // Nor do its connections count towards what may come to the others.
    assert!((0..20).all(|_| fixture.arrive("INNER", 0).is_zero()));
    let delays: Vec<bool> = (0..11).map(|_| fixture.arrive("OUTER", 0).is_zero()).collect();
    assert_eq!(delays, [vec![true; 10], vec![false]].concat());
}

#[test]
fn those_that_come_too_fast_wait_for_a_window_at_most() {
    let mut fixture = Fixture::new();
    fixture.limits.of_broker.created_per_second_max = 5.0;
    assert!((0..50).all(|_| fixture.arrive("OUTER", 0).is_zero()));
    // 51 in 10 s are 0.1 a second too many: 0.2 s until it is 5 again.
    assert_eq!(fixture.arrive("OUTER", 0), Duration::from_millis(200));
    assert!((0..50).all(|_| fixture.arrive("OUTER", 0) > Duration::ZERO));
    assert_eq!(fixture.arrive("OUTER", 0), WINDOWS.length);
    fixture.limits.of_listeners.insert("INNER".into(), Limits { created_per_second_max: 0.0, ..Limits::NONE });
    assert_eq!(fixture.arrive("INNER", 20_000), WINDOWS.length);
}

#[test]
fn an_address_that_comes_too_fast_is_held_back_and_counts_nowhere() {
    let mut fixture = Fixture::new();
    fixture.limits.of_broker.created_per_second_max = 1.0;
    fixture.limits.created_per_second_and_ip_max = Some(1.0);
    fixture.limits.created_per_second_overrides.insert(ip(3), 0.1);
    let is_held_back = |from, ms| match fixture.ask("OUTER", from, ms) {
        Asked::TooFast(silence) => {
            assert!(silence <= WINDOWS.length);
            true
        }
        Asked::Given(_) => false,
        Asked::Full | Asked::TooManyOfAddress => panic!("there is no other limit"),
    };
    for _ in 0..10 {
        assert!(fixture.arrive("OUTER", 0).is_zero() && !is_held_back(ip(2), 0));
    }
    for _ in 0..10 {
        // What was held back is taken out of the rate of the broker: it does not delay the next one for longer.
        assert_eq!(fixture.arrive("OUTER", 0), WINDOWS.length);
        assert!(is_held_back(ip(2), 0));
    }
    assert_eq!([is_held_back(ip(3), 0), is_held_back(ip(3), 0)], [false, true]);
    assert!(!is_held_back(ip(4), 0));
    assert!(!is_held_back(ip(2), 12_000));
    assert_eq!(fixture.of_listener.throttled.times.value(), 11);
}

#[test]
fn an_address_has_its_own_number_of_connections() {
    let mut fixture = Fixture::new();
    fixture.limits.per_ip_max = 2;
    fixture.limits.per_ip_overrides.insert(ip(3), 1);
    let places = [fixture.place("OUTER", ip(2)), fixture.place("INNER", ip(2)), fixture.place("OUTER", ip(3))];
    assert!(matches!(fixture.ask("OUTER", ip(2), 0), Asked::TooManyOfAddress));
    assert!(matches!(fixture.ask("OUTER", ip(3), 0), Asked::TooManyOfAddress));
    assert_eq!(fixture.of_listener.refused.value(), 2);
    drop(places);
    fixture.place("OUTER", ip(3));
}

#[test]
fn above_the_limit_of_all_those_leave_that_were_silent_for_longest() {
    let mut fixture = Fixture::new();
    fixture.limits.protected = Some("INNER".into());
    let inner = fixture.place("INNER", ip(1));
    let outer = [1, 2, 3, 4].map(|last| fixture.place("OUTER", ip(last)));
    outer[0].seat.active(at(30));
    outer[2].seat.active(at(20));
    let leaving = || [&outer[0], &outer[1], &outer[2], &outer[3]].map(|place| place.seat.is_to_leave());
    fixture.limits.of_listeners.insert("OUTER".into(), Limits { connections_max: 1, ..Limits::NONE });
    fixture.limits.of_broker.connections_max = 5;
    fixture.counts.close_excess(&fixture.limits);
    assert_eq!(leaving(), [false; 4], "a listener's own limit closes nobody");
    fixture.limits.of_broker.connections_max = 3;
    fixture.counts.close_excess(&fixture.limits);
    assert_eq!(leaving(), [false, true, false, true]);
    fixture.counts.close_excess(&fixture.limits);
    assert_eq!(leaving(), [false, true, false, true], "who leaves is not counted again");
    // The protected listener's has its place all the same, and another one's it is.
    let another = fixture.place("INNER", ip(2));
    assert_eq!(leaving(), [false, true, true, true]);
    fixture.limits.of_broker.connections_max = 0;
    fixture.counts.close_excess(&fixture.limits);
    assert_eq!(leaving(), [true; 4]);
    assert!(!inner.seat.is_to_leave() && !another.seat.is_to_leave());
}

#[test]
fn who_is_told_to_leave_is_woken() {
    let fixture = Fixture::new();
    let place = fixture.place("OUTER", ip(1));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut leave = std::pin::pin!(Leave::of(&place.seat));
    let mut poll = || leave.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll().is_pending() && poll().is_pending());
    assert!(!woken.0.load(Ordering::Relaxed));
    place.seat.leave();
    assert!(woken.0.load(Ordering::Relaxed));
    assert!(poll().is_ready());
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
