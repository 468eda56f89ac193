//! The controller's whole way in the simulated world: ask, propose, sync, commit, image, answer, and all of it again
//! after a restart.

mod support;

use std::path::Path;

use controller::Handle;
use env::sim::{Machine, Settings, simulate};
use protocol::ErrorCode;
use protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use protocol::delete_topics_request::DeleteTopicsRequest;
use support::{NODE, options};

/// As `support::start`, with one partition by default.
async fn start(env: &env::Env) -> (Handle, support::Updates) {
    support::start(env, options(1)).await
}

fn create(name: &str, partitions: i32) -> CreateTopicsRequest {
    CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            ..Default::default()
        }],
        timeout_ms: 10_000,
        ..Default::default()
    }
}

fn delete(name: &str) -> DeleteTopicsRequest {
    DeleteTopicsRequest {
        topics: controller::delete_by_name([name.to_owned()]),
        timeout_ms: 10_000,
        ..Default::default()
    }
}

#[test]
fn a_topic_is_made_served_deleted_and_stays_so_after_a_restart() {
    simulate(Settings::seed(1), |world| async move {
        let machine = world.machine("broker");
        let (handle, updates) = start(&machine.env()).await;
        let created = handle.create_topics(create("flights", 3)).await.topics.remove(0);
        assert_eq!(created.error_code, 0, "{:?}", created.error_message);
        let image = handle.image();
        let topic = image.topics.by_name("flights").expect("the answer comes after the image");
        assert_eq!(topic.id.0, created.topic_id.0);
        assert_eq!(topic.partitions.len(), 3);
        let partition = topic.partitions.find(2).unwrap();
        assert_eq!((partition.leader, partition.leader_epoch.value()), (Some(NODE), 0));
        assert_eq!(partition.directories[..], [protocol::Uuid([7; 16])]);
        let last = updates.lock().unwrap().last().unwrap().clone();
        assert_eq!(last.delta.topics_created, [topic.id]);
        assert_eq!(last.delta.partitions.len(), 3);

        handle.create_topics(create("gone", 2)).await;
        let deleted = handle.delete_topics(delete("gone")).await.responses.remove(0);
        assert_eq!(deleted.error_code, 0);
        assert!(handle.image().topics.by_name("gone").is_none());
        assert_eq!(updates.lock().unwrap().last().unwrap().delta.topics_deleted[0].partitions.len(), 2);
        let again = handle.create_topics(create("flights", 1)).await.topics.remove(0);
        assert_eq!(again.error_code, ErrorCode::TopicAlreadyExists.code());
        handle.close().await;
        assert_eq!(handle.create_topics(create("late", 1)).await.topics[0].error_code, ErrorCode::NotController.code());

        machine.kill();
        machine.down().await;
        let (handle, updates) = start(&machine.boot()).await;
        let image = handle.image();
        assert_eq!(image.topics.len(), 1);
        let partition = image.topics.by_name("flights").unwrap().partitions.find(0).unwrap().clone();
        assert_eq!(partition.leader_epoch.value(), 2, "each start begins two leader epochs");
        let updates = updates.lock().unwrap();
        assert_eq!(updates[0].delta.partitions.len(), 3, "the first update tells of everything");
        assert_eq!(updates.last().unwrap().delta.partitions.len(), 3, "the second of the new leader epochs");
    });
}

/// Asks until the power fails. Returns what was acknowledged and what was asked.
async fn create_until_power_fails(handle: Handle, prefix: String) -> (Vec<String>, Vec<String>) {
    let (mut acknowledged, mut asked) = (Vec::new(), Vec::new());
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        asked.push(name.clone());
        match handle.create_topics(create(&name, 2)).await.topics[0].error_code {
            0 => acknowledged.push(name),
            _ => break,
        }
    }
    (acknowledged, asked)
}

fn assert_kept(handle: &Handle, acknowledged: &[String], asked: &[String]) {
    let image = handle.image();
    for name in acknowledged {
        let topic = image.topics.by_name(name).unwrap_or_else(|| panic!("{name} was acknowledged and is gone"));
        assert_eq!(topic.partitions.len(), 2, "{name} is there in part");
    }
    for topic in image.topics.iter() {
        assert!(asked.iter().any(|name| **name == *topic.name), "{} was never asked for", topic.name);
        assert_eq!(topic.partitions.len(), 2, "{} is there in part", topic.name);
    }
}

#[test]
fn what_was_acknowledged_survives_power_losses_and_nothing_is_there_in_part() {
    for seed in 0..30 {
        simulate(Settings::seed(seed), move |world| async move {
            let machine: Machine = world.machine("broker");
            let (mut acknowledged, mut asked) = (Vec::new(), Vec::new());
            for start_number in 0..4 {
                let env = if start_number == 0 { machine.env() } else { machine.boot() };
                let (handle, _) = start(&env).await;
                assert_kept(&handle, &acknowledged, &asked);
                machine.power_loss_in(20 + seed * 7 % 50);
                // The clients outlive the broker: they are the scenario's, not the machine's.
                let (kept, tried) = create_until_power_fails(handle, format!("t{start_number}")).await;
                acknowledged.extend(kept);
                asked.extend(tried);
                machine.down().await;
            }
            assert!(acknowledged.len() > 10, "{} were acknowledged", acknowledged.len());
        });
    }
}

#[test]
fn producer_ids_are_never_given_twice() {
    simulate(Settings::seed(3), |world| async move {
        let machine = world.machine("broker");
        let mut next = 0;
        for start_number in 0..3 {
            let env = if start_number == 0 { machine.env() } else { machine.boot() };
            let (handle, _) = start(&env).await;
            for _ in 0..3 {
                let block = handle.allocate_producer_ids().await.unwrap();
                assert!(block.first.value() >= next, "{} was given before", block.first);
                assert_eq!(block.count, 1000);
                next = block.first.value() + block.count;
            }
            machine.kill();
            machine.down().await;
        }
        assert_eq!(next, 9000);
    });
}

#[test]
fn a_snapshot_is_what_the_log_was() {
    simulate(Settings::seed(4), |world| async move {
        let machine = world.machine("broker");
        let (handle, _) = start(&machine.env()).await;
        for number in 0..200 {
            handle.create_topics(create(&format!("topic-{number}"), 5)).await;
        }
        for number in 0..100 {
            handle.delete_topics(delete(&format!("topic-{number}"))).await;
        }
        handle.allocate_producer_ids().await.unwrap();
        let before = handle.image();
        handle.close().await;
        machine.kill();
        machine.down().await;
        let disk = machine.disk();
        let names = env::Disk::read_dir(&disk, Path::new("/data/metadata")).unwrap();
        assert!(names.iter().any(|entry| entry.name.ends_with(".snapshot")), "{names:?}");
        let (handle, _) = start(&machine.boot()).await;
        let after = handle.image();
        let topics = |image: &metadata::Image| -> Vec<_> {
            image.topics.iter().map(|topic| (topic.name.clone(), topic.id, topic.partitions.len())).collect()
        };
        assert_eq!(topics(&before), topics(&after));
        assert_eq!(before.next_producer_id, after.next_producer_id);
        assert_eq!(before.next_broker_epoch + 1, after.next_broker_epoch);
        assert_eq!(after.topics.partitions_count(), 500);
    });
}

#[test]
fn an_answer_that_rests_on_what_is_not_committed_waits_for_it() {
    for seed in 0..20 {
        simulate(Settings::seed(seed), |world| async move {
            let (handle, _) = start(&world.machine("broker").env()).await;
            let first = async {
                let answer = handle.create_topics(create("flights", 1)).await.topics.remove(0);
                assert_eq!(answer.error_code, 0);
            };
            let second = async {
                let answer = handle.create_topics(create("flights", 1)).await.topics.remove(0);
                assert_eq!(answer.error_code, ErrorCode::TopicAlreadyExists.code());
                assert!(handle.image().topics.by_name("flights").is_some(), "it was told of, so it is there");
            };
            tokio::join!(first, second);
        });
    }
}

#[test]
fn a_disk_that_fails_ends_the_controller_and_nobody_waits_for_ever() {
    use env::sim::disk::{Call, Fault};
    simulate(Settings::seed(5), |world| async move {
        let machine = world.machine("broker");
        let (handle, _) = start(&machine.env()).await;
        machine.disk().inject(Fault::input_output(Call::SyncData));
        let answer = handle.create_topics(create("flights", 1)).await.topics.remove(0);
        assert_eq!(answer.error_code, ErrorCode::NotController.code());
        handle.ended().await;
        assert_eq!(handle.allocate_producer_ids().await, Err(ErrorCode::NotController));
        assert!(handle.image().topics.by_name("flights").is_none(), "what nobody can know is not published");
    });
}

#[test]
fn internal_topics_are_made_as_their_coordinators_want_them() {
    simulate(Settings::seed(6), |world| async move {
        let (handle, _) = start(&world.machine("broker").env()).await;
        let names = ["__consumer_offsets", "flights", "bad/name"].map(str::to_owned).to_vec();
        let codes: Vec<i16> = handle.auto_create_topics(names).await.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, 0, ErrorCode::InvalidTopicException.code()]);
        let image = handle.image();
        let offsets = image.topics.by_name("__consumer_offsets").unwrap();
        assert_eq!((offsets.partitions.len(), offsets.is_internal()), (50, true));
        let config = image.topic_config("__consumer_offsets", NODE, &Default::default());
        assert!(config.cleanup.compact && !config.cleanup.delete);
        assert_eq!(config.segment_bytes, 104_857_600);
        let refused = handle.auto_create_topics(vec!["flights".into()]).await[0].error_code;
        assert_eq!(refused, ErrorCode::TopicAlreadyExists.code());
    });
}

#[test]
fn topics_may_not_be_deleted_where_that_is_switched_off() {
    simulate(Settings::seed(7), |world| async move {
        let mut options = options(1);
        options.defaults.delete_enabled = false;
        let (handle, _) = support::start(&world.machine("broker").env(), options).await;
        handle.create_topics(create("flights", 1)).await;
        let answer = handle.delete_topics(delete("flights")).await.responses.remove(0);
        assert_eq!(answer.error_code, ErrorCode::TopicDeletionDisabled.code());
        assert_eq!(handle.image().topics.len(), 1);
    });
}
