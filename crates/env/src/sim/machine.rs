//! A machine: an address, a disk and the process that runs on it, which can be killed, lose its power and boot again.
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use super::chance::Chance;
use super::clock::Clock;
use super::core::{Core, Event, lock};
use super::disk::{Call, Disk};
use super::net::{Link, Net, Side};
use super::thread::{Spawn, Thread};
use crate::{Env, Instant};

/// The wall clock when a world begins: in November 2023.
const WALL_START_MS: i64 = 1_700_000_000_000;

/// Cheap to clone; every clone is the same machine.
#[derive(Clone)]
pub struct Machine {
    pub(super) core: Arc<MachineCore>,
}

pub struct MachineCore {
    core: Arc<Core>,
    pub id: usize,
    pub name: String,
    wall_jump_ms: AtomicI64,
    state: Mutex<State>,
}

struct State {
    boot: Option<Arc<Boot>>,
    /// What the next boot begins with, while the machine is down.
    disk: Disk,
    /// What ends the present process if it ends inside a call of its disk.
    ends_by: u8,
    /// The last process's view of it.
    ended: Option<Disk>,
    chance: Chance,
    waiting_for_down: Vec<Waker>,
    /// Connections that a power loss cut: their peers do not know yet.
    cut: Vec<(Arc<Link>, Side)>,
}

/// One process of a machine, from its start to its end.
pub struct Boot {
    pub machine: Arc<MachineCore>,
    state: AtomicU8,
    pub disk: Disk,
    rng: Mutex<Chance>,
    /// What its monotonic clock shows when the world begins.
    clock_base: u64,
    pub threads: Mutex<BTreeMap<u64, Arc<Thread>>>,
}

const UP: u8 = 0;
const KILLED: u8 = 1;
const WITHOUT_POWER: u8 = 2;

impl MachineCore {
    pub fn new(core: &Arc<Core>, id: usize, name: &str, disk: Option<Disk>) -> Arc<Self> {
        let mut chance = core.fork_chance();
        let empty = Disk::new(chance.next_u64());
        let disk = disk.unwrap_or(empty);
        let (boot, ended, ends_by) = (None, None, WITHOUT_POWER);
        let state = State { boot, disk, ends_by, ended, chance, waiting_for_down: Vec::new(), cut: Vec::new() };
        Arc::new(Self {
            core: core.clone(),
            id,
            name: name.to_owned(),
            wall_jump_ms: AtomicI64::new(0),
            state: Mutex::new(state),
        })
    }

    pub fn ip(&self) -> IpAddr {
        let number = u16::try_from(self.id + 1).expect("fewer than 65,535 machines");
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(10, 0, high, low).into()
    }

    pub fn wall_ms(&self) -> i64 {
        WALL_START_MS + (self.core.now() / 1_000_000) as i64 + self.wall_jump_ms.load(Ordering::Relaxed)
    }

    pub fn boot(&self) -> Option<Arc<Boot>> {
        lock(&self.state).boot.clone()
    }

    /// Nobody is told of a connection that lost its power, until its machine boots again.
    pub fn cut(&self, link: Arc<Link>, side: Side) {
        lock(&self.state).cut.push((link, side));
    }

    fn go_down(&self, how: u8) {
        let mut state = lock(&self.state);
        let Some(boot) = state.boot.take() else { return };
        boot.state.store(how, Ordering::Relaxed);
        let waiting = std::mem::take(&mut state.waiting_for_down);
        state.ended = Some(boot.disk.clone());
        state.disk = match how {
            KILLED => boot.disk.kill(),
            _ => boot.disk.power_loss(&mut state.chance),
        };
        drop(state);
        self.core.network.forget_listeners(self.id);
        let threads = std::mem::take(&mut *lock(&boot.threads));
        threads.values().for_each(|thread| thread.end());
        for link in self.core.network.links_of(self.id) {
            link.process_ended(&boot);
        }
        waiting.into_iter().for_each(Waker::wake);
    }

    pub fn forget_disk(&self) {
        let mut state = lock(&self.state);
        let (disk, ended) = (std::mem::take(&mut state.disk), state.ended.take());
        drop(state);
        disk.forget();
        ended.iter().for_each(Disk::forget);
    }

    /// The end of the world: nothing of this machine refers to another any more.
    pub fn tear_down(&self) {
        if let Some(boot) = self.boot() {
            boot.disk.forget(); // Nobody will ask what was left.
        }
        self.go_down(WITHOUT_POWER);
        self.forget_disk();
        let cut = std::mem::take(&mut lock(&self.state).cut);
        drop(cut);
    }
}

impl Machine {
    pub fn name(&self) -> &str {
        &self.core.name
    }

    pub fn ip(&self) -> IpAddr {
        self.core.ip()
    }

    pub fn is_up(&self) -> bool {
        self.core.boot().is_some()
    }

    /// The world of its present process. It must be up.
    pub fn env(&self) -> Env {
        self.core.boot().unwrap_or_else(|| panic!("{} is down", self.name())).env()
    }

    /// Starts a process on what the disk holds. It must be down.
    pub fn boot(&self) -> Env {
        let mut state = lock(&self.core.state);
        assert!(state.boot.is_none(), "{} is up already", self.core.name);
        let boot = Arc::new(Boot {
            machine: self.core.clone(),
            state: AtomicU8::new(UP),
            disk: state.disk.clone(),
            rng: Mutex::new(state.chance.fork()),
            clock_base: state.chance.in_range(0..1 << 50),
            threads: Mutex::default(),
        });
        state.boot = Some(boot.clone());
        state.ends_by = WITHOUT_POWER;
        let cut = std::mem::take(&mut state.cut);
        let ended = state.ended.take();
        drop(state);
        ended.iter().for_each(Disk::forget);
        for (link, side) in cut {
            link.reset(side.other());
        }
        boot.env()
    }

    /// The disk of the present process, or what the next one will find.
    pub fn disk(&self) -> Disk {
        let state = lock(&self.core.state);
        state.boot.as_ref().map_or(&state.disk, |boot| &boot.disk).clone()
    }

    /// The process is gone: its tasks and workers are dropped, its connections end; what was written stays.
    pub fn kill(&self) {
        self.core.go_down(KILLED);
    }

    /// The power is gone: also what was not synced, but for a part by chance. Nobody is told.
    pub fn power_loss(&self) {
        self.core.go_down(WITHOUT_POWER);
    }

    /// The power fails inside the disk's mutating call after `operations` more of them.
    pub fn power_loss_in(&self, operations: u64) {
        let disk = self.disk();
        disk.crash_at(disk.operations() + operations);
    }

    /// The power fails inside a call of this kind on a path that contains this, after `skip` others of them.
    pub fn power_loss_in_call(&self, call: Call, path_part: &str, skip: u64) {
        self.disk().crash_in(call, path_part, skip);
    }

    /// The process is killed inside such a call. Of a sync nothing is known then.
    pub fn kill_in_call(&self, call: Call, path_part: &str, skip: u64) {
        lock(&self.core.state).ends_by = KILLED;
        self.disk().crash_in(call, path_part, skip);
    }

    /// Ready once it is down.
    pub async fn down(&self) {
        poll_fn(|context| {
            let mut state = lock(&self.core.state);
            match state.boot {
                None => Poll::Ready(()),
                Some(_) => {
                    state.waiting_for_down.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
    }

    /// Moves its wall clock, from now on.
    pub fn jump_wall_ms(&self, by_ms: i64) {
        self.core.wall_jump_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    pub fn wall_ms(&self) -> i64 {
        self.core.wall_ms()
    }

    /// What its threads are called, for who wonders why nothing happens.
    pub fn threads(&self) -> Vec<String> {
        let Some(boot) = self.core.boot() else { return Vec::new() };
        lock(&boot.threads).values().map(|thread| thread.to_string()).collect()
    }
}

impl Boot {
    pub fn core(&self) -> &Arc<Core> {
        &self.machine.core
    }

    fn env(self: &Arc<Self>) -> Env {
        Env {
            clock: Arc::new(Clock { boot: self.clone() }),
            disk: Arc::new(self.disk.clone()),
            net: Arc::new(Net { boot: self.clone() }),
            rng: Arc::new(Rng { boot: self.clone() }),
            spawn: Arc::new(Spawn { boot: self.clone() }),
        }
    }

    pub fn is_up(&self) -> bool {
        self.state.load(Ordering::Relaxed) == UP
    }

    pub fn has_lost_power(&self) -> bool {
        self.state.load(Ordering::Relaxed) == WITHOUT_POWER
    }

    /// Whether what it does now can be seen outside: power that failed inside a disk's call of this step has failed.
    pub fn can_act(&self) -> bool {
        self.is_up() && !self.disk.is_off()
    }

    pub fn now(&self) -> Instant {
        Instant(self.core().now() + self.clock_base)
    }

    pub fn world_time(&self, at: Instant) -> Option<u64> {
        (at != Instant::NEVER).then(|| at.0.saturating_sub(self.clock_base))
    }

    /// Looks at what a step did to the disk. Returns how long the disk takes for it.
    pub fn step_ended(&self) -> u64 {
        if !self.is_up() {
            return 0;
        }
        let (work, off) = self.disk.step_ended(self.machine.wall_ms());
        if off {
            let how = lock(&self.machine.state).ends_by;
            self.machine.go_down(how);
            return 0;
        }
        let (core, settings) = (self.core(), &self.core().settings);
        let mut busy_ns = work.written_bytes * 1000 / settings.write_bytes_per_us;
        if work.writes > 0 {
            busy_ns += core.span_ns(&settings.write_ns);
        }
        if work.cold_reads > 0 {
            busy_ns += core.span_ns(&settings.cold_read_ns);
        }
        for _ in 0..work.syncs {
            busy_ns += core.sync_ns();
        }
        busy_ns
    }
}

struct Rng {
    boot: Arc<Boot>,
}

impl crate::Rng for Rng {
    fn fill(&self, bytes: &mut [u8]) {
        lock(&self.boot.rng).fill(bytes);
    }
}

/// The peer learns of it as soon as the network lets it.
impl Link {
    pub(super) fn reset(self: Arc<Self>, side: Side) {
        let core = self.core().clone();
        core.schedule(core.soon(), Event::Reset(self, side));
    }
}
