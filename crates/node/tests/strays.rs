//! Logs that the metadata does not know: an older copy of the metadata log, or an empty one, costs no record. What it says
//! was deleted frees its disk.
#[allow(dead_code, reason = "each test uses its part")]
mod home;
#[allow(dead_code, reason = "each test uses its part")]
mod wire;

use std::io::IoSlice;
use std::path::Path;
use std::time::Duration;

use env::sim::disk::{Call, Fault};
use env::{Disk as _, OpenOptions};
use home::{Home, story};
use node::Node;
use node::config::Config;
use protocol::ErrorCode;
use protocol::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use wire::Wire;
use wire::records::{batch_of, produce_request};

const TOPIC: &str = "flights";
const PARTITIONS: i32 = 4;
const LOG_DIRS: [&str; 2] = ["/a", "/b"];
const METADATA: &str = "/a/metadata";

async fn start(home: &Home) -> (Node, Wire) {
    let mut config = Config::for_tests_at("/a", "0.0.0.0", 9092);
    config.log_dirs = LOG_DIRS.iter().map(Into::into).collect();
    let node = home.start_with(&config).await.expect("it starts");
    home.sleep(Duration::from_secs(1)).await;
    let wire = home.connect().await;
    (node, wire)
}

async fn delete(wire: &mut Wire, name: &str) {
    let topics = vec![DeleteTopicState { name: Some(name.to_owned()), ..Default::default() }];
    let request = DeleteTopicsRequest { topics, timeout_ms: 5000, ..Default::default() };
    assert_eq!(wire.ask(&request, 6).await.expect("an answer").responses[0].error_code, 0);
}

async fn produce(wire: &mut Wire, index: i32, value: &str) {
    wire.produce(&produce_request(TOPIC, index, batch_of(value))).await.expect("acknowledged");
}

async fn fetch(wire: &mut Wire, index: i32) -> Result<Vec<String>, ErrorCode> {
    let read = wire.fetch(TOPIC, index, 0).await?;
    Ok(read.into_iter().map(|(_, value)| value).collect())
}

fn strays(node: &Node) -> usize {
    node.directories().opened().map(storage::LogDir::strays_count).sum()
}

/// The directories of the topic's logs, in all log directories.
fn logs(home: &Home) -> Vec<String> {
    let disk = home.machine.disk();
    let of = |directory: &&str| {
        let entries = disk.read_dir(directory.as_ref()).expect("it is there");
        let logs = entries.into_iter().filter(|entry| entry.is_dir && entry.name.starts_with(TOPIC));
        logs.map(|entry| format!("{directory}/{}", entry.name)).collect::<Vec<_>>()
    };
    LOG_DIRS.iter().flat_map(of).collect()
}

type Files = Vec<(String, Vec<u8>)>;

fn saved(home: &Home, directory: &str) -> Files {
    let disk = home.machine.disk();
    let names = disk.read_dir(directory.as_ref()).expect("it is there").into_iter().map(|entry| entry.name);
    names.map(|name| (name.clone(), disk.visible(format!("{directory}/{name}")).expect("a file"))).collect()
}

fn restored(home: &Home, directory: &str, files: &Files) {
    let disk = home.machine.disk();
    let directory = Path::new(directory);
    for entry in disk.read_dir(directory).expect("it is there") {
        disk.remove_file(&directory.join(&entry.name)).expect("removed");
    }
    for (name, content) in files {
        let file = disk.open(&directory.join(name), OpenOptions::CREATE_NEW).expect("made");
        file.write_all_at(&[IoSlice::new(content)], 0).expect("written");
        file.sync_data().expect("synced");
    }
    disk.sync_dir(directory).expect("synced");
}

fn dropped(home: &Home, directory: &str) {
    let disk = home.machine.disk();
    disk.open(&Path::new(directory).join("drop-strays"), OpenOptions::CREATE_NEW).expect("made");
    disk.sync_dir(directory.as_ref()).expect("synced");
}

#[test]
fn an_older_metadata_log_costs_no_record() {
    story(|home| async move {
        let (node, mut wire) = start(&home).await;
        wire.create("before", 1, &[]).await;
        drop(wire);
        node.stop().await;
        let older = saved(&home, METADATA);

        let (node, mut wire) = start(&home).await;
        wire.create(TOPIC, PARTITIONS, &[]).await;
        for index in 0..PARTITIONS {
            produce(&mut wire, index, "old").await;
        }
        home.sleep(Duration::from_secs(1)).await;
        drop(wire);
        node.stop().await;
        let newer = saved(&home, METADATA);
        let before = logs(&home);
        assert_eq!(before.len(), PARTITIONS as usize);

        restored(&home, METADATA, &older);
        for life in 0..4 {
            let (node, mut wire) = start(&home).await;
            assert_eq!(strays(&node), PARTITIONS as usize, "life {life}");
            if life == 0 {
                assert_eq!(fetch(&mut wire, 0).await, Err(ErrorCode::UnknownTopicOrPartition));
                wire.create(TOPIC, 1, &[]).await;
                produce(&mut wire, 0, "new").await;
            }
            assert_eq!(fetch(&mut wire, 0).await, Ok(vec!["new".to_owned()]));
            match life {
                1 => home.killed(node).await,
                2 => home.without_power(node).await,
                _ => node.stop().await,
            }
            assert!(before.iter().all(|log| logs(&home).contains(log)), "life {life}");
        }

        // The right metadata is found again: so is all that it knows.
        restored(&home, METADATA, &newer);
        let (node, mut wire) = start(&home).await;
        for index in 0..PARTITIONS {
            assert_eq!(fetch(&mut wire, index).await, Ok(vec!["old".to_owned()]));
            produce(&mut wire, index, "more").await;
        }
        assert_eq!(strays(&node), 1, "the one that the older metadata had");
        node.stop().await;

        // Somebody says that it may go.
        LOG_DIRS.iter().for_each(|directory| dropped(&home, directory));
        for _ in 0..2 {
            let (node, mut wire) = start(&home).await;
            assert_eq!(strays(&node), 0);
            for index in 0..PARTITIONS {
                assert_eq!(fetch(&mut wire, index).await, Ok(vec!["old".to_owned(), "more".to_owned()]));
            }
            node.stop().await;
            assert_eq!(logs(&home), before);
            assert_eq!(home.machine.disk().visible("/a/drop-strays"), None);
        }
    });
}

#[test]
fn what_the_metadata_log_says_was_deleted_frees_its_disk_also_while_its_directory_was_away() {
    story(|home| async move {
        let (node, mut wire) = start(&home).await;
        wire.create(TOPIC, PARTITIONS, &[]).await;
        for index in 0..PARTITIONS {
            produce(&mut wire, index, "value").await;
        }
        home.sleep(Duration::from_secs(1)).await;
        home.without_power(node).await;
        home.machine.disk().inject(Fault::input_output(Call::Read).on_path("/b/").times(1000));
        let (node, mut wire) = start(&home).await;
        assert_eq!(node.directories().offline_count(), 1);
        delete(&mut wire, TOPIC).await;
        home.sleep(Duration::from_secs(1)).await;
        home.without_power(node).await;
        assert!(logs(&home).iter().any(|log| log.starts_with("/b/")), "they are still there");
        let (node, _wire) = start(&home).await;
        assert_eq!(strays(&node), 0);
        home.sleep(Duration::from_secs(5)).await;
        assert_eq!(logs(&home), Vec::<String>::new());
        node.stop().await;
    });
}
