//! Damage to what a clean stop has left: a bit flips, a sector is gone, a file has another length, a page has landed
//! elsewhere. The broker starts again and serves what is right, or says where it cannot; of nothing that was acknowledged
//! it is silent. All of it happens on a machine of its own beside the running one: there the truth is known.
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::Disk as _;
use env::sim::disk::SECTOR;
use env::sim::{Disk, Machine};
use protocol::{ErrorCode, Uuid};
use storage::Reached;
use storage::inspect::{self, Finding};

use super::directories::partitions_of;
use super::{Copy, Run, connect};
use crate::broker::{self, PORT, Process, Setup};
use crate::ledger::Deletion;
use crate::reader::{EARLIEST, LedgerOf, fetch, list_offset, show};
use crate::wire::{Wire, WireError};

/// Which files are struck: most of a disk is segments and the lane.
const PARTS: [&str; 9] = [".log", ".log", ".log", "/lane/", "/lane/", "/lane/", "checkpoint-", "index", "/metadata/"];
/// A start may be refused because of these, and of no others.
const MAY_REFUSE: &str = "/metadata/";
/// A flip in the first bytes of a checkpoint leaves nothing of it.
const CHECKPOINT_HEADER_BYTES: u64 = 64;
const MISDIRECTED_PROBABILITY: f64 = 0.25;
/// Asked so often, and still no leader: the broker says that it has none.
const TRIES: usize = 40;

impl Run {
    pub(super) async fn judge_spoiled(&mut self) {
        let machine = self.world.machine_with("spoiled", self.machine.disk().fork().kill());
        let mut setup = Setup { may_be_refused: true, ..self.setup.clone() };
        // Damage is found here, as it should be.
        setup.settings.reached = Reached::default();
        let process = broker::start(&machine, &setup);
        assert!(process.starts().await, "a sound disk was refused");
        let is_misdirected = self.chance.happens(MISDIRECTED_PROBABILITY);
        let mut struck = if is_misdirected { self.misdirect(&machine.disk()) } else { None };
        self.stop(&process).await;
        machine.power_loss();
        if !is_misdirected {
            struck = self.spoil(&machine.disk());
        }
        let Some(struck) = struck else { return self.world.discard(&machine) };
        self.world.note(&struck);
        self.summary.spoiled += 1;
        machine.boot();
        let process = broker::start(&machine, &setup);
        if process.starts().await {
            if !struck.contains(MAY_REFUSE) {
                for directory in self.setup.log_dirs {
                    let address = SocketAddr::new(machine.ip(), PORT);
                    let there = partitions_of(&self.world.env(), address, directory).await;
                    assert!(there.is_ok(), "{directory} is offline for {struck}");
                }
            }
            let silent = self.judge_served(&machine).await;
            self.shared.met(if silent { "spoiled: nothing was lost" } else { "spoiled: a range is lost, and said so" });
        } else {
            assert!(struck.contains(MAY_REFUSE), "the start was refused for {struck}");
            self.shared.met("spoiled: the start was refused");
        }
        self.shared.met_in_engine(&setup.settings.reached);
        self.world.discard(&machine);
    }

    /// One of two checkpoints rots, if both are sound and nothing else is wrong. The other one and its lane have all.
    pub(super) fn rot_checkpoint(&mut self, image: &Disk) -> bool {
        let directory = Path::new(*self.chance.pick(self.setup.log_dirs));
        let disk: Arc<dyn env::Disk> = Arc::new(image.fork());
        let is_sound = inspect::hold(&*disk, directory)
            .and_then(|held| inspect::verify(&disk, directory, &held))
            .is_ok_and(|report| !report.findings.iter().any(Finding::is_damage));
        if !is_sound {
            return false;
        }
        let path = directory.join(*self.chance.pick(&["checkpoint-0", "checkpoint-1"]));
        let place = self.chance.in_range(0..CHECKPOINT_HEADER_BYTES);
        image.rot(&path, place, 1 << self.chance.index(8));
        self.world.note(&format!("{} has a flipped bit at {place}", path.display()));
        true
    }

    async fn stop(&self, process: &Process) {
        let patience = self.world.sleep(Duration::from_secs(5));
        tokio::select! {
            biased;
            () = process.stop() => {}
            () = patience => panic!("the broker does not stop"),
        }
    }

    /// One of the pages that the clean stop syncs lands elsewhere.
    fn misdirect(&mut self, disk: &Disk) -> Option<String> {
        let onto = *self.chance.pick(&[".log", "/lane/"]);
        let (path, len) = self.pick_file(disk, onto)?;
        let from = *self.chance.pick(&[".log", "/lane/", "checkpoint-"]);
        let page = self.chance.in_range(0..len.div_ceil(4096));
        disk.misdirect(from, &path, page);
        Some(format!("a page of {from} landed on page {page} of {path}"))
    }

    fn spoil(&mut self, disk: &Disk) -> Option<String> {
        let part = *self.chance.pick(&PARTS);
        let (path, len) = self.pick_file(disk, part)?;
        match self.chance.index(6) {
            0 | 1 => {
                let (at, flip) = (self.chance.in_range(0..len), 1 << self.chance.index(8));
                disk.rot(&path, at, flip);
                Some(format!("{path} has a flipped bit at {at}"))
            }
            2 => {
                let at = self.chance.in_range(0..len) / SECTOR as u64 * SECTOR as u64;
                let bytes = disk.visible(&path).expect("it was found");
                for (place, byte) in bytes.iter().enumerate().skip(at as usize).take(SECTOR) {
                    disk.rot(&path, place as u64, *byte); // Zeros are read.
                }
                Some(format!("{path} has lost the sector at {at}"))
            }
            4 => {
                let shorter = self.chance.in_range(0..len);
                disk.lie_about_len(&path, shorter);
                Some(format!("{path} is {shorter} bytes long, and was {len}"))
            }
            3 => {
                // Of no log that there ever was: the broker puts it out of the way.
                let directory = Path::new(*self.chance.pick(self.setup.log_dirs)).join("stranger-0.ffffffffff");
                disk.create_dir(&directory).expect("a disk that works");
                Some(format!("{} is there", directory.display()))
            }
            _ => {
                let longer = len + 1 + self.chance.in_range(0..3 * 4096);
                disk.lie_about_len(&path, longer);
                Some(format!("{path} is {longer} bytes long, and was {len}"))
            }
        }
    }

    /// A file with something in it.
    fn pick_file(&mut self, disk: &Disk, part: &str) -> Option<(String, u64)> {
        let is_there = |(path, len): &(String, u64)| path.contains(part) && *len > 0;
        let files: Vec<(String, u64)> = disk.files().into_iter().filter(is_there).collect();
        (!files.is_empty()).then(|| self.chance.pick(&files).clone())
    }

    /// Whether all is there that must be.
    async fn judge_served(&mut self, machine: &Machine) -> bool {
        let now = self.shared.now();
        let ledger = self.shared.ledger().as_if_power_was_lost(now);
        let partitions: Vec<(Uuid, usize)> = {
            let there = ledger.topics.iter().filter(|(_, topic)| topic.deletion == Deletion::No);
            there.flat_map(|(id, topic)| (0..topic.partitions.len()).map(move |index| (*id, index))).collect()
        };
        let copy = Copy::new(&self.world, ledger, now);
        let address = SocketAddr::new(machine.ip(), PORT);
        let mut wire = connect(&self.world.env(), address).await.expect("a broker that serves");
        let mut is_all_there = true;
        for place in partitions {
            is_all_there &= verify(&mut wire, &copy, place).await.expect("a broker that answers");
        }
        is_all_there
    }
}

/// Reads all that is served, and asks for each batch that was not whether the broker knows that it is lost.
async fn verify(wire: &mut Wire, ledger: &impl LedgerOf, place: (Uuid, usize)) -> Result<bool, WireError> {
    let (topic, partition) = place;
    let (name, heard) = ledger.with(|ledger| (ledger.topic(topic).name.clone(), ledger.life()));
    let heard = crate::ledger::Heard { life: heard, at: ledger.now() };
    let Some(log_start) = offset_of(wire, ledger, &name, partition, EARLIEST).await? else { return Ok(false) };
    ledger.with(|ledger| ledger.log_start_is_allowed(topic, partition, log_start));
    let mut seen = BTreeSet::new();
    let mut next = log_start;
    loop {
        let mut fetched = fetch(wire, topic, &[(partition, next)], 1 << 20, Duration::ZERO).await?;
        let fetched = fetched.remove(&partition).expect("an answer for the partition");
        let after = match fetched.error {
            ErrorCode::None => {
                let each = |base, _, records: Vec<(i64, u64)>| {
                    seen.insert(base);
                    seen.extend(records.iter().map(|(offset, _)| *offset));
                };
                let after = ledger.with(|ledger| show(ledger, place, next, &fetched, heard, each));
                (after > next).then_some(after)
            }
            _ => ledger.with(|ledger| ledger.next_known(topic, partition, next)),
        };
        match after {
            Some(after) => next = after,
            None => break,
        }
    }
    let must_be_there = ledger.with(|ledger| ledger.must_be_there(topic, partition, log_start));
    let mut is_all_there = true;
    for offset in must_be_there.into_iter().filter(|offset| !seen.contains(offset)) {
        is_all_there = false;
        let fetched = fetch(wire, topic, &[(partition, offset)], 1 << 10, Duration::ZERO).await?;
        let error = fetched[&partition].error;
        let is_said = matches!(error, ErrorCode::CorruptMessage | ErrorCode::KafkaStorageError);
        assert!(is_said, "{name}-{partition}: {offset} is gone, and Fetch says {error}");
    }
    Ok(is_all_there)
}

/// `None` if nobody leads the partition, and nobody will.
async fn offset_of(
    wire: &mut Wire,
    ledger: &impl LedgerOf,
    name: &str,
    partition: usize,
    timestamp: i64,
) -> Result<Option<i64>, WireError> {
    for _ in 0..TRIES {
        match list_offset(wire, name, partition, timestamp).await? {
            (ErrorCode::None, offset) => return Ok(Some(offset)),
            (error, _) if error.is_retriable() => ledger.pause(Duration::from_millis(5)).await,
            (error, _) => panic!("{name}-{partition}: ListOffsets got {error}"),
        }
    }
    Ok(None)
}
