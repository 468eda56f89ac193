//! Worlds with two log directories, of which one fails, or fills, or is taken away. Its partitions are offline; the others
//! are served as ever, with everything in them; and once a start finds it again, all is there.
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::sim::disk::{self, Call};
use env::{Disk as _, Env};
use protocol::{ErrorCode, Uuid};

use super::{Run, connect};
use crate::admin::{ACTS, Act};
use crate::broker::{DATA, MORE};
use crate::log_dirs;
use crate::reader::{Extent, LATEST, list_offset, verify};

const MORE_PART: &str = "/more/";
/// Where it is meanwhile, if it is taken away.
const ELSEWHERE: &str = "/elsewhere";
/// What clients have sent has its answer by then.
const ANSWERED_MAX: Duration = Duration::from_secs(1);
/// The broker has noticed by then: it looks after its directories every second.
const NOTICED_MAX: Duration = Duration::from_secs(10);

impl Run {
    /// One of two. The broker has started.
    pub(super) async fn is_directory_offline(&self) -> bool {
        for directory in self.setup.log_dirs {
            if self.setup.log_dirs.len() > 1 && self.partitions_of(directory).await.is_err() {
                return true;
            }
        }
        false
    }

    /// One directory fails while the broker runs, and perhaps a start does not find it either.
    pub(super) async fn lose_directory(&mut self) {
        let known = self.partitions_of(DATA).await.unwrap_or_default();
        // One that moves is in either.
        let known = &known - &self.may_be_moving;
        if self.chance.happens(0.3) {
            self.take_away();
            self.shared.met("directory: taken away");
        } else {
            self.fail_calls(&[Call::CreateFile, Call::SyncData, Call::SyncDir, Call::Write]);
            self.shared.met("directory: its calls failed");
        }
        self.shared.ledger().is_up = false;
        self.sleep_ms(1..100).await;
        self.judge_others(&known).await;
        if self.chance.happens(0.5) {
            let lost_power = self.crash();
            self.went_down(lost_power);
            self.bring_back();
            self.machine.boot();
            self.fail_calls(&[Call::Read]);
            self.start();
            assert!(self.process.starts().await, "one directory cannot be read, and the broker does not start");
            self.shared.ledger().is_up = false;
            self.sleep_ms(1..100).await;
            self.judge_others(&known).await;
            self.shared.met("directory: not found at a start");
        }
    }

    /// For some writes there is no room in one directory. The broker goes on by itself.
    pub(super) async fn fill_directory(&mut self) {
        let times = self.chance.in_range(1..100);
        // Lane files and checkpoints have their room from the beginning.
        let fault = disk::Fault::no_space(Call::Write).on_path(MORE_PART).on_path(".log");
        self.machine.disk().inject(fault.times(times));
        self.sleep_ms(10..2_000).await;
        self.shared.met("directory: full");
    }

    fn fail_calls(&self, calls: &[Call]) {
        for call in calls {
            let fault = disk::Fault::input_output(*call).on_path(MORE_PART);
            self.machine.disk().inject(fault.times(u64::MAX));
        }
    }

    fn take_away(&self) {
        let disk = self.machine.disk();
        disk.rename(Path::new(MORE), Path::new(ELSEWHERE)).expect("a disk that works");
        disk.sync_dir(Path::new("/")).expect("a disk that works");
    }

    /// For the next start, if it was taken away.
    pub(super) fn bring_back(&self) {
        let disk = self.machine.disk();
        if disk.read_dir(Path::new(ELSEWHERE)).is_ok() {
            disk.rename(Path::new(ELSEWHERE), Path::new(MORE)).expect("a disk that works");
            disk.sync_dir(Path::new("/")).expect("a disk that works");
        }
    }

    async fn partitions_of(&self, directory: &str) -> Result<BTreeSet<(String, usize)>, ErrorCode> {
        partitions_of(&self.world.env(), self.shared.address, directory).await
    }

    /// Once the broker has noticed, and while the clients rest: all that is not in the directory that failed is there.
    async fn judge_others(&mut self, known: &BTreeSet<(String, usize)>) {
        let began = self.world.now();
        while self.partitions_of(MORE).await.is_ok() {
            assert!(self.world.now() - began < NOTICED_MAX, "a directory has failed, and nobody has noticed");
            self.sleep_ms(1..50).await;
        }
        self.shared.ledger().lost_sight(self.shared.now());
        drop(self.shared.rest(2 * ANSWERED_MAX));
        self.world.sleep(ANSWERED_MAX).await;
        let served = self.partitions_of(DATA).await.expect("the first directory serves");
        for (id, name, partitions) in self.lasting_topics() {
            for partition in 0..partitions {
                let place = (name.to_string(), partition);
                // What is left of one that moved into the failed directory at the last moment stays, and is not served.
                let has_moved = self.may_be_moving.contains(&place) && !self.is_led(&name, partition).await;
                if served.contains(&place) && !has_moved {
                    drop(self.shared.rest(2 * ANSWERED_MAX));
                    let env = self.world.env();
                    let mut wire = connect(&env, self.shared.address).await.expect("a broker that serves");
                    verify(&mut wire, &self.shared, (id, partition), Extent::Whole)
                        .await
                        .expect("a broker that answers");
                } else {
                    assert!(!known.contains(&place), "{name}-{partition} has gone with the other directory");
                }
            }
        }
    }

    async fn is_led(&self, name: &str, partition: usize) -> bool {
        let env = self.world.env();
        let mut wire = connect(&env, self.shared.address).await.expect("a broker that serves");
        let asked = list_offset(&mut wire, name, partition, LATEST).await;
        asked.is_ok_and(|(error, _)| error == ErrorCode::None)
    }

    /// Those that nobody deletes.
    fn lasting_topics(&self) -> Vec<(Uuid, Arc<str>, usize)> {
        let is_recreated =
            |name: &str| ACTS.concat().iter().any(|act| matches!(act, Act::Recreate(recreated) if *recreated == name));
        let ledger = self.shared.ledger();
        let lasting = ledger.topics.iter().filter(|(_, topic)| !is_recreated(&topic.name));
        lasting.map(|(id, topic)| (*id, topic.name.clone(), topic.partitions.len())).collect()
    }
}

/// The partitions that DescribeLogDirs says are there. An error is that of the directory.
pub(super) async fn partitions_of(
    env: &Env,
    address: SocketAddr,
    directory: &str,
) -> Result<BTreeSet<(String, usize)>, ErrorCode> {
    loop {
        let mut wire = connect(env, address).await.expect("a broker that serves");
        // A connection may be cut.
        if let Ok(mut described) = log_dirs::describe(&mut wire).await {
            return described.remove(directory).expect("it is configured").map(|held| held.served);
        }
    }
}
