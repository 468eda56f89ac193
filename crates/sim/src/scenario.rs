//! One run: a broker, clients, faults, and at the end every log judged. All of it follows from the seed.
mod directories;
mod faults;
mod moves;
mod spoiled;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use env::sim::{Chance, Disk, Machine, World, simulate};
use env::{Env, Instant};
use protocol::Uuid;
use storage::{CompactionSettings, Rare, Reached, Settings};

use self::faults::{FAULTS, FAULTS_OF_TWO, Fault};
use crate::admin::{ACTS, Admin, TopicPlan};
use crate::broker::{self, DATA, MORE, PORT, Process, Setup};
use crate::bugs::Bug;
use crate::group::{self, GROUPS, Group};
use crate::ledger::{Counts, Deletion, Ledger, MARK_PREFIX, Promise};
use crate::observed::Observer;
use crate::producer::{Plan as ProducerPlan, Producer};
use crate::reader::{Consumer, Extent, LedgerOf, verify};
use crate::shared::{Phase, Shared};
use crate::summary::Summary;
use crate::wire::{Wire, WireError};

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    /// The load goes on until so many batches were acknowledged.
    pub acknowledged_min: u64,
    pub bug: Option<Bug>,
}

/// Between two faults, what a power loss would leave is judged so often,
const IMAGES_PER_FAULT: u64 = 1;
/// and, so often in all, right after a file of the lane was taken again.
const IMAGES_AFTER_RECYCLING_MAX: u64 = 8;
/// Most images are read from so much before the end of each log on: two checkpoints' worth of a busy one, behind which a
/// power loss finds nothing to take. Some are read whole, and the logs themselves at the end.
const TAIL_BYTES: usize = 512 << 10;
const WHOLE_PROBABILITY: f64 = 0.25;
/// Of images that hold the least, one in so many has lost a checkpoint besides.
const ROTTEN_CHECKPOINT_PROBABILITY: f64 = 0.3;
const SPOILED_IMAGES: u64 = 2;
const TWO_DIRECTORIES_PROBABILITY: f64 = 0.3;
/// A relaxed topic may lose what it acknowledged in so much time before a power loss: what the sync of a group and our
/// looking at it may take.
const RELAXED_WINDOW: Duration = Duration::from_millis(400);
/// A seed takes up to 600,000, few more than a million; one that takes so many goes round in circles.
const EVENTS_MAX: u64 = 4_000_000;
/// Less of it, and produces are refused.
const FREE_BYTES_MIN: u64 = 1 << 20;
/// Nothing acknowledged for so long, with the broker up, is a broker that hangs.
const STALL_MAX: Duration = Duration::from_secs(60);

/// What a run simulates at least.
pub const SIMULATED_MIN: Duration = Duration::from_secs(60);
const REST_PROBABILITY: f64 = 0.4;
const REST_MS: Range<u64> = 300..10_000;

struct Run {
    world: World,
    machine: Machine,
    shared: Shared,
    setup: Setup,
    process: Process,
    observer: Observer,
    chance: Chance,
    summary: Summary,
    /// The last end of the process was a loss of power.
    lost_power: bool,
    /// Partitions that were sent to another log directory since the last time that nothing was on its way.
    may_be_moving: BTreeSet<(String, usize)>,
}

/// How fast the disk and the network of a seed are, and how evenly.
pub fn world_settings(seed: u64) -> env::sim::Settings {
    let mut chance = Chance::new(seed ^ 0x5eed_0002);
    env::sim::Settings {
        hiccup_probability: *chance.pick(&[0.0005, 0.002, 0.01]),
        network_hiccup_probability: *chance.pick(&[0.0005, 0.002, 0.01]),
        slow_sync_probability: *chance.pick(&[0.003, 0.01, 0.05]),
        // A flusher that comes late has slow checkpoints, full tails and a full lane behind it.
        starved: chance.happens(0.3).then_some(("flusher", 0.1, 1_000_000..20_000_000)),
        events_max: EVENTS_MAX,
        ..env::sim::Settings::seed(seed)
    }
}

pub async fn run(world: World, plan: Plan) -> Summary {
    let mut chance = Chance::new(plan.seed ^ 0x0077_1a51_b00c_0001);
    let machine = world.machine("broker");
    let observer = Observer::default();
    observer.watch(&machine.disk());
    machine.disk().watch_marks(MARK_PREFIX);
    machine.disk().set_cold_probability(*chance.pick(&[0.0, 0.02, 0.3]));
    let ledger = Ledger::new(Some(machine.disk()), RELAXED_WINDOW);
    let shared = Shared::new(world.env(), SocketAddr::new(machine.ip(), PORT), ledger);
    let log_dirs = if chance.happens(TWO_DIRECTORIES_PROBABILITY) { &[DATA, MORE][..] } else { &[DATA] };
    let setup = Setup { settings: settings(&mut chance), log_dirs, bug: plan.bug, may_be_refused: false };
    let process = broker::start(&machine, &setup);
    shared.ledger().booted(Some(machine.disk()));
    let summary = Summary::default();
    let (lost_power, may_be_moving) = (false, BTreeSet::new());
    let mut run = Run { world, machine, shared, setup, process, observer, chance, summary, lost_power, may_be_moving };
    run.load(plan.acknowledged_min).await;
    run.settle().await;
    run.move_in_peace().await;
    run.judge_all().await;
    for _ in 0..SPOILED_IMAGES {
        run.judge_spoiled().await;
    }
    for fault in [Fault::CleanStop, Fault::PowerLoss] {
        run.strike(fault).await;
        run.start_again().await;
        run.judge_all().await;
    }
    let mut summary = run.summary;
    summary.counts = run.shared.ledger().counts;
    summary.observed = run.observer.observed();
    summary.met = run.shared.all_met();
    let reached = &run.setup.settings.reached;
    summary.met.note_engine(reached);
    // Reads were wrong now and then, and nothing was lost for that.
    assert_eq!(reached.times(Rare::DamageFound), 0, "damage was found where nothing rots");
    let deleted = |ledger: &Ledger| ledger.topics.values().filter(|topic| topic.deletion == Deletion::Done).count();
    summary.simulated = run.world.now() - Instant(0);
    summary.topics_recreated = deleted(&run.shared.ledger()) as u64;
    summary
}

/// Small enough that a short run sees everything: checkpoints, recycled files, direct pieces, flushes by age and by size.
fn settings(chance: &mut Chance) -> Settings {
    let lane_file_bytes = *chance.pick(&[256 << 10, 512 << 10, 1 << 20]);
    Settings {
        lane_file_bytes,
        lane_bytes_max: *chance.pick(&[5, 16, 16]) * lane_file_bytes,
        checkpoint_bytes: 2 * lane_file_bytes,
        group_bytes_max: 200 << 10,
        direct_bytes: *chance.pick(&[16 << 10, 64 << 10]),
        syncers: *chance.pick(&[0, 1, 3]),
        memory_bytes_max: *chance.pick(&[1 << 20, 8 << 20]),
        piece_bytes: *chance.pick(&[8 << 10, 64 << 10]),
        piece_age: Duration::from_millis(chance.in_range(5..100)),
        compaction: CompactionSettings {
            backoff: Duration::from_millis(chance.in_range(10..300)),
            key_bytes_max: *chance.pick(&[1 << 10, 1 << 20]),
            ..CompactionSettings::default()
        },
        retention_check: Duration::from_millis(50),
        free_bytes_min: FREE_BYTES_MIN,
        ..Settings::default()
    }
}

fn topics(chance: &mut Chance) -> Vec<TopicPlan> {
    let mut segment_ms = chance.fork();
    let mut segment = || ("segment.ms", segment_ms.in_range(40..400).to_string());
    let plan = |name, partitions, promise, configs| TopicPlan {
        name,
        partitions,
        promise,
        retention: None,
        delete_retention: None,
        configs,
    };
    let delete_retention_ms = *chance.pick(&[1_000, 5_000, 3_600_000]);
    let mut compacted = |policy: &str| {
        vec![
            segment(),
            ("cleanup.policy", policy.to_owned()),
            ("delete.retention.ms", delete_retention_ms.to_string()),
            ("min.cleanable.dirty.ratio", (*chance.pick(&["0.01", "0.3", "0.5"])).to_owned()),
        ]
    };
    let (latest, mut fading) = (compacted("compact"), compacted("compact,delete"));
    let fades_after_ms = *chance.pick(&[400, 2_000, 20_000]);
    fading.push(("retention.ms", fades_after_ms.to_string()));
    // The broker makes other batches of the same records.
    fading.push(("compression.type", (*chance.pick(&["uncompressed", "gzip", "snappy", "lz4", "zstd"])).to_owned()));
    let relaxed = ("durability", "relaxed".to_owned());
    vec![
        plan(group::TOPIC, group::PARTITIONS, Promise::Durable, vec![segment()]),
        plan("events", 2, Promise::Relaxed, vec![segment(), relaxed.clone()]),
        plan("switching", 1, Promise::Relaxed, vec![segment(), relaxed]),
        plan("reborn", 2, Promise::Durable, vec![segment()]),
        TopicPlan {
            delete_retention: Some(Duration::from_millis(delete_retention_ms)),
            ..plan("latest", 2, Promise::Durable, latest)
        },
        TopicPlan {
            delete_retention: Some(Duration::from_millis(delete_retention_ms)),
            retention: Some(Duration::from_millis(fades_after_ms)),
            ..plan("fading", 1, Promise::Durable, fading)
        },
        TopicPlan {
            retention: Some(Duration::from_millis(300)),
            ..plan("short", 2, Promise::Durable, vec![segment(), ("retention.ms", "300".to_owned())])
        },
    ]
}

fn producers(chance: &mut Chance) -> Vec<ProducerPlan> {
    let mut keys = 0..0;
    // The fast ones leave little to the others, and those have topics that must have their share.
    let mut plan = |topics: &[&str], version, pauses: &[f64]| ProducerPlan {
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        acks: if chance.happens(0.25) { 1 } else { -1 },
        depth: 1 + chance.index(5),
        pause_probability: *chance.pick(pauses),
        pause_max: Duration::from_micros(chance.in_range(100..8_000)),
        version,
        keys: {
            keys = keys.end..keys.end + 1 + chance.in_range(0..40);
            keys.clone()
        },
    };
    vec![
        plan(&["orders", "short"], 12, &[0.0, 0.05, 0.5]),
        plan(&["orders", "latest", "fading"], 13, &[0.0, 0.05, 0.5]),
        plan(&["orders", "reborn", "short"], 13, &[0.05, 0.5]),
        plan(&["latest", "fading"], 12, &[0.0, 0.02]),
        plan(&["events", "switching"], 12, &[0.0, 0.02]),
        plan(&["switching"], 13, &[0.0, 0.05, 0.5]),
    ]
}

impl Run {
    /// Clients at work, and fault after fault.
    async fn load(&mut self, acknowledged_min: u64) {
        let plans = topics(&mut self.chance);
        let mut admin = self.admin();
        for plan in &plans {
            admin.create(plan).await;
        }
        for acts in ACTS {
            let env = self.world.machine("admin").env();
            let admin = Admin::new(env.clone(), self.shared.clone(), self.chance.fork());
            let plans = plans.clone();
            env.spawn.task("admin", Box::pin(async move { admin.run(plans, acts).await }));
        }
        for plan in producers(&mut self.chance) {
            let env = self.world.machine("producer").env();
            let producer = Producer::new(env.clone(), self.shared.clone(), self.chance.fork(), plan);
            env.spawn.task("producer", Box::pin(producer.run()));
        }
        for _ in 0..2 {
            let env = self.world.machine("consumer").env();
            let consumer = Consumer { env: env.clone(), shared: self.shared.clone(), chance: self.chance.fork() };
            env.spawn.task("consumer", Box::pin(consumer.run()));
        }
        let hastening = self.admin().hasten_offsets();
        self.world.env().spawn.task("admin", Box::pin(hastening));
        for id in GROUPS {
            let env = self.world.machine("group").env();
            let (shared, chance) = (self.shared.clone(), self.chance.fork());
            let group = Group { env: env.clone(), shared, chance, id };
            env.spawn.task("group", Box::pin(group.run()));
        }
        let disturbance = disturb(self.world.clone(), self.machine.clone(), self.shared.clone(), self.chance.fork());
        self.world.env().spawn.task("disturbance", Box::pin(disturbance));
        let mut faults = FAULTS.to_vec();
        if self.setup.log_dirs.len() > 1 {
            faults.extend(FAULTS_OF_TWO);
        }
        let steps = (faults.len() as u64 + 1) * (1 + IMAGES_PER_FAULT);
        for step in 1..=steps {
            if step == steps {
                self.rest_until(Instant(SIMULATED_MIN.as_nanos() as u64)).await;
            }
            self.until_acknowledged(acknowledged_min * step / steps).await;
            if !step.is_multiple_of(1 + IMAGES_PER_FAULT) {
                self.judge_image().await;
            } else if !faults.is_empty() {
                self.rest_by_chance().await;
                let fault = faults.swap_remove(self.chance.index(faults.len()));
                self.strike(fault).await;
                self.start_again().await;
                if self.chance.happens(0.6) {
                    // What recovery believed must be durable by the time that it is served.
                    let soon = Duration::from_micros(self.chance.in_range(1_000..40_000));
                    self.world.sleep(soon).await;
                    self.judge_image().await;
                }
            }
        }
    }

    /// Now and then the clients rest, so that time alone brings what it brings: seals, rolls, retention, expired tombstones.
    /// The last rest is as long as it takes for the run to have seen enough of it.
    async fn rest_by_chance(&mut self) {
        if self.chance.happens(REST_PROBABILITY) {
            let span = self.chance.in_range(REST_MS);
            self.shared.rest(Duration::from_millis(span)).await;
        }
    }

    async fn rest_until(&mut self, at: Instant) {
        self.shared.rest(at - self.world.now()).await;
    }

    fn admin(&mut self) -> Admin {
        Admin::new(self.world.env(), self.shared.clone(), self.chance.fork())
    }

    async fn until_acknowledged(&mut self, wanted: u64) {
        let mut recycled = self.observer.observed().lane_files_recycled;
        let mut last = (0, self.world.now());
        loop {
            let Counts { acknowledged, acknowledged_relaxed, .. } = self.shared.ledger().counts;
            let count = acknowledged + acknowledged_relaxed;
            if count >= wanted {
                return;
            }
            if count > last.0 {
                last = (count, self.world.now());
            }
            let waited = self.world.now() - last.1;
            assert!(waited < STALL_MAX, "nothing was acknowledged for {waited:?}, at {count} of {wanted}");
            let recycled_now = self.observer.observed().lane_files_recycled;
            if recycled_now > recycled
                && self.summary.images_after_recycling < IMAGES_AFTER_RECYCLING_MAX
                && self.chance.happens(0.2)
            {
                self.summary.images_after_recycling += 1;
                self.judge_image().await;
            }
            recycled = recycled_now;
            self.world.sleep(Duration::from_micros(500)).await;
        }
    }

    /// Producers end with an answer for all they sent, the admin with what it has begun; then everybody ends.
    async fn settle(&mut self) {
        self.shared.set_phase(Phase::Drain);
        let began = self.world.now();
        while self.shared.clients_at_work() > 0 {
            assert!(self.world.now() - began < STALL_MAX, "some batches never get an answer");
            self.world.sleep(Duration::from_millis(1)).await;
        }
        self.shared.set_phase(Phase::Over);
        self.world.sleep(Duration::from_millis(300)).await;
    }

    async fn judge_all(&mut self) {
        self.admin().check_topics().await;
        judge(&self.world.env(), self.shared.address, &self.shared, Extent::Whole).await;
    }

    /// What a power loss at this moment would leave, recovered in a world of its own while this one stands still.
    async fn judge_image(&mut self) {
        let copy = self.machine.disk().fork();
        copy.unwatch();
        let is_least = self.chance.happens(0.5);
        let image = match is_least {
            true => copy.durable_image(),
            false => copy.power_loss(&mut self.chance),
        };
        let mut setup = self.setup.clone();
        let is_rotten = is_least && self.chance.happens(ROTTEN_CHECKPOINT_PROBABILITY) && self.rot_checkpoint(&image);
        if is_rotten {
            // Damage is found there, as it should be.
            setup.settings.reached = Reached::default();
            self.shared.met("image: without one of two checkpoints");
        }
        self.summary.images_judged += 1;
        let now = self.shared.now();
        let ledger = self.shared.ledger().as_if_power_was_lost(now);
        let world = env::sim::Settings {
            begins_ns: self.world.now().0,
            events_max: EVENTS_MAX,
            ..env::sim::Settings::seed(self.chance.next_u64())
        };
        let extent = if self.chance.happens(WHOLE_PROBABILITY) { Extent::Whole } else { Extent::Tail(TAIL_BYTES) };
        let apart = is_rotten.then(|| setup.settings.reached.clone());
        let (_, report) = simulate(world, |world| judge_disk(world, image, setup, ledger, now, extent));
        apart.iter().for_each(|reached| self.shared.met_in_engine(reached));
        self.world.note(&format!("an image is sound: {:x}", report.digest));
    }
}

/// Breaks connections now and then, so that clients send again what may have arrived.
async fn disturb(world: World, broker: Machine, shared: Shared, mut chance: Chance) {
    let pause_max_us = chance.in_range(8_000..100_000);
    while shared.phase() == Phase::Load {
        let pause = Duration::from_micros(chance.in_range(500..pause_max_us));
        world.sleep(pause).await;
        shared.quiet().await;
        world.reset_connections(&broker);
    }
}

async fn judge_disk(world: World, image: Disk, setup: Setup, ledger: Ledger, now: Instant, extent: Extent) {
    let machine = world.machine_with("judge", image);
    let _process = broker::start(&machine, &setup);
    let copy = Copy::new(&world, ledger, now);
    judge(&world.env(), SocketAddr::new(machine.ip(), PORT), &copy, extent).await;
}

/// Every log of every topic that must be there, and every group's offsets.
async fn judge(env: &Env, address: SocketAddr, ledger: &impl LedgerOf, extent: Extent) {
    let topics: Vec<(Uuid, usize)> = ledger.with(|ledger| {
        let there = ledger.topics.iter().filter(|(_, topic)| topic.deletion == Deletion::No);
        there.map(|(id, topic)| (*id, topic.partitions.len())).collect()
    });
    let mut wire = connect(env, address).await.expect("a broker that serves");
    for (id, partitions) in topics {
        for partition in 0..partitions {
            verify(&mut wire, ledger, (id, partition), extent).await.expect("a broker that answers");
        }
    }
    for id in GROUPS {
        group::verify(&mut wire, ledger, id).await.expect("a broker that answers");
    }
}

async fn connect(env: &Env, address: SocketAddr) -> Result<Wire, WireError> {
    let mut attempts = 0;
    loop {
        match Wire::connect(env, address).await {
            Ok(wire) => return Ok(wire),
            Err(error) if attempts == 2_000 => return Err(error),
            Err(_) => attempts += 1,
        }
        env.clock.sleep_until(env.clock.now() + Duration::from_millis(5)).await;
    }
}

impl LedgerOf for Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        act(&mut self.ledger())
    }

    fn now(&self) -> Instant {
        self.now()
    }

    fn pause(&self, span: Duration) -> impl Future<Output = ()> + Send {
        self.env.clock.sleep_until(self.now() + span)
    }
}

/// A ledger for a disk of its own.
struct Copy {
    world: World,
    ledger: Mutex<Ledger>,
    /// What the ledger's clock showed when it was copied, and the world's.
    copied_at: (Instant, Instant),
}

impl Copy {
    fn new(world: &World, ledger: Ledger, now: Instant) -> Self {
        Self { world: world.clone(), ledger: Mutex::new(ledger), copied_at: (now, world.now()) }
    }
}

impl LedgerOf for Copy {
    fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        act(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn now(&self) -> Instant {
        let (ledger_s, world_s) = self.copied_at;
        ledger_s + (self.world.now() - world_s)
    }

    fn pause(&self, span: Duration) -> impl Future<Output = ()> + Send {
        self.world.sleep(span)
    }
}
