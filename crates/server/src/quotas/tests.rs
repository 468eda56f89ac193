use super::*;

const WINDOWS: Windows = Windows { count: 11, length: Duration::from_secs(1) };
const PRODUCER: &str = "producer_byte_rate";

fn set(image: &mut metadata::Image, user: Part, client_id: Part, key: &str, limit: f64) {
    let entity = QuotaEntity { user, client_id, ip: Part::Absent };
    let record = metadata::Record::ClientQuota { entity, key: key.into(), limit: Limit::new(limit) };
    image.apply(record, &mut metadata::Delta::default());
}

fn named(name: &str) -> Part {
    Part::Named(name.into())
}

fn client(client_id: &str) -> Client<'_> {
    Client { user: "ada", client_id }
}

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}

#[test]
fn the_closest_quota_counts_and_says_who_shares_it() {
    let mut image = metadata::Image::default();
    let ada = || Some("ada".to_owned());
    let app = || Some("app".to_owned());
    // From the farthest to the closest: each takes the place of the one before.
    let steps = [
        (Part::Absent, Part::Default, Shared { user: None, client_id: app() }),
        (Part::Absent, named("app"), Shared { user: None, client_id: app() }),
        (Part::Default, Part::Absent, Shared { user: ada(), client_id: None }),
        (Part::Default, Part::Default, Shared { user: ada(), client_id: app() }),
        (Part::Default, named("app"), Shared { user: ada(), client_id: app() }),
        (named("ada"), Part::Absent, Shared { user: ada(), client_id: None }),
        (named("ada"), Part::Default, Shared { user: ada(), client_id: app() }),
        (named("ada"), named("app"), Shared { user: ada(), client_id: app() }),
    ];
    assert_eq!(find(&image.quotas, PRODUCER, client("app")), None);
    for (place, (user, client_id, shared_by)) in steps.into_iter().enumerate() {
        let limit = 1.0 + place as f64;
        set(&mut image, user, client_id, PRODUCER, limit);
        let wanted = Some(Quota { limit: Limit::new(limit).unwrap(), shared_by });
        assert_eq!(find(&image.quotas, PRODUCER, client("app")), wanted);
        assert_eq!(find(&image.quotas, "consumer_byte_rate", client("app")), None);
    }
    assert_eq!(find(&image.quotas, PRODUCER, client("other")).unwrap().limit.value(), 7.0);
}

#[test]
fn clients_of_one_user_use_its_quota_together_and_clients_of_a_default_each_their_own() {
    for (user, is_shared) in [(Part::Default, true), (Part::Absent, false)] {
        let mut image = metadata::Image::default();
        let client_id = if is_shared { Part::Absent } else { Part::Default };
        set(&mut image, user, client_id, PRODUCER, 1000.0);
        let quotas = Quotas::new(WINDOWS, WINDOWS);
        let record = |name| quotas.record(&image.quotas, Flow::Produce, client(name), 9000.0, at(0));
        assert_eq!(record("one"), Duration::ZERO);
        assert_eq!(record("two").is_zero(), !is_shared);
        assert_eq!(quotas.record(&image.quotas, Flow::Fetch, client("two"), 9000.0, at(0)), Duration::ZERO);
    }
}

#[test]
fn what_is_taken_back_was_never_used() {
    let mut image = metadata::Image::default();
    set(&mut image, Part::Absent, Part::Default, "consumer_byte_rate", 1000.0);
    let quotas = Quotas::new(WINDOWS, WINDOWS);
    let record = |bytes| quotas.record(&image.quotas, Flow::Fetch, client("app"), bytes, at(0));
    assert_eq!(record(11_000.0), Duration::from_secs(1));
    quotas.unrecord(&image.quotas, Flow::Fetch, client("app"), 11_000.0, at(0));
    assert_eq!(record(10_000.0), Duration::ZERO);
    assert_eq!(quotas.burst_bytes(&image.quotas, Flow::Fetch, client("app")), Some(10_000));
}

#[test]
fn a_busy_client_is_held_back_for_a_window_at_most() {
    let mut image = metadata::Image::default();
    set(&mut image, Part::Absent, Part::Default, "request_percentage", 1.0);
    let quotas = Quotas::new(WINDOWS, WINDOWS);
    let record = |spent| quotas.record_request(&image.quotas, client("app"), spent, at(0));
    assert_eq!(record(Duration::from_millis(100)), Duration::ZERO);
    assert_eq!(record(Duration::from_millis(5)), Duration::from_millis(500));
    assert_eq!(record(Duration::from_secs(100)), Duration::from_secs(1));
}

#[test]
fn mutations_overdraw_once_and_then_only_those_who_know_no_better_go_on() {
    let mut image = metadata::Image::default();
    set(&mut image, Part::Absent, Part::Default, MUTATION_KEY, 1.0);
    let quotas = Quotas::new(WINDOWS, WINDOWS);
    let record =
        |mutations, is_strict| quotas.record_mutations(&image.quotas, client("app"), mutations, is_strict, at(0));
    assert_eq!(record(30.0, true), (true, Duration::ZERO));
    assert_eq!(record(1.0, true), (false, Duration::from_secs(19)));
    assert_eq!(record(1.0, false), (true, Duration::from_secs(20)));
}
