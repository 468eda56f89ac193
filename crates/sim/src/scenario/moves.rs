//! Replicas that move between the two log directories of a world (AlterReplicaLogDirs), while clients are at work and while
//! whatever else happens: a crash, a power loss, the failure of either directory. Nothing of them is lost for that, and
//! each move ends.
use std::time::Duration;

use protocol::ErrorCode;
use protocol::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};

use super::faults::Fault;
use super::{Run, connect};
use crate::broker::{DATA, MORE};
use crate::ledger::Deletion;
use crate::log_dirs::{self, Held};

const ALTER_REPLICA_LOG_DIRS_VERSION: i16 = 2;
/// Asked for before one fault.
const MOVES_MAX: usize = 4;
/// Of a world that is well, with clients that write all the time.
const MOVES_END_MAX: Duration = Duration::from_secs(60);

impl Run {
    fn has_two_directories(&self) -> bool {
        self.setup.log_dirs.len() > 1
    }

    /// Before a fault strikes: some replicas are sent elsewhere, and then some time goes by, or none.
    pub(super) async fn move_before(&mut self, fault: Fault) {
        if !self.has_two_directories() {
            return;
        }
        // Asking waits for a start to be over, and some faults are to strike before.
        if self.chance.happens(if fault.may_strike_a_start() { 0.5 } else { 0.2 }) {
            return;
        }
        if self.chance.happens(0.3) {
            self.moves_end().await;
        }
        for place in self.some_places() {
            let directory = *self.chance.pick(&[DATA, MORE]);
            self.ask_to_move(&place, directory).await;
        }
        let span = Duration::from_micros(match self.chance.happens(0.5) {
            true => self.chance.in_range(0..3_000),
            false => self.chance.in_range(0..300_000),
        });
        self.world.sleep(span).await;
        if self.held().await.iter().any(|(_, held)| !held.copies.is_empty()) {
            self.shared.met("move: under way when something happened");
        }
    }

    /// When the clients are done and both directories are well: each move ends where it was to end.
    pub(super) async fn move_in_peace(&mut self) {
        if !self.has_two_directories() {
            return;
        }
        self.moves_end().await;
        for place in self.some_places() {
            let is_here =
                self.held().await.iter().any(|(directory, held)| directory == DATA && held.served.contains(&place));
            let to = if is_here { MORE } else { DATA };
            assert_eq!(self.ask_to_move(&place, to).await, ErrorCode::None, "{}-{} is not moved", place.0, place.1);
            self.moves_end().await;
            let held = self.held().await;
            let there: Vec<&str> =
                held.iter().filter(|(_, held)| held.served.contains(&place)).map(|(name, _)| name.as_str()).collect();
            assert_eq!(there, [to], "{}-{} has not come where it was to be", place.0, place.1);
            self.shared.met("move: came to its end");
        }
    }

    /// Waits until nothing is on its way any more.
    async fn moves_end(&mut self) {
        let began = self.world.now();
        // A start goes on with what it has found.
        self.sleep_ms(100..200).await;
        while self.held().await.iter().any(|(_, held)| !held.copies.is_empty()) {
            assert!(self.world.now() - began < MOVES_END_MAX, "a move never ends");
            self.sleep_ms(1..20).await;
        }
        self.may_be_moving.clear();
    }

    /// Partitions of topics that are there.
    fn some_places(&mut self) -> Vec<(String, usize)> {
        let topics: Vec<(String, usize)> = {
            let ledger = self.shared.ledger();
            let there = ledger.topics.values().filter(|topic| topic.deletion == Deletion::No);
            there.map(|topic| (topic.name.to_string(), topic.partitions.len())).collect()
        };
        let count = 1 + self.chance.index(MOVES_MAX);
        let mut place = || {
            let (name, partitions) = self.chance.pick(&topics).clone();
            (name, self.chance.index(partitions))
        };
        (0..count).map(|_| place()).collect()
    }

    /// Until there is an answer; what it was.
    async fn ask_to_move(&mut self, place: &(String, usize), directory: &str) -> ErrorCode {
        self.may_be_moving.insert(place.clone());
        let (name, partition) = place;
        let topic =
            AlterReplicaLogDirTopic { name: name.clone(), partitions: vec![*partition as i32], ..Default::default() };
        let directory = AlterReplicaLogDir { path: directory.to_owned(), topics: vec![topic], ..Default::default() };
        let request = AlterReplicaLogDirsRequest { dirs: vec![directory], ..Default::default() };
        loop {
            let mut wire = connect(&self.world.env(), self.shared.address).await.expect("a broker that serves");
            // A connection may be cut.
            if let Ok(response) = wire.call(&request, ALTER_REPLICA_LOG_DIRS_VERSION).await {
                let code = response.results[0].partitions[0].error_code;
                let error = ErrorCode::from_code(code).expect("an error of Kafka");
                assert!(error == ErrorCode::None || error.is_retriable(), "{name}-{partition} is not moved: {error}");
                return error;
            }
        }
    }

    /// What is in each directory that is online.
    async fn held(&self) -> Vec<(String, Held)> {
        loop {
            let mut wire = connect(&self.world.env(), self.shared.address).await.expect("a broker that serves");
            if let Ok(described) = log_dirs::describe(&mut wire).await {
                return described.into_iter().filter_map(|(directory, held)| Some((directory, held.ok()?))).collect();
            }
        }
    }
}
