//! Runs a scenario in a world of its own, event after event, and takes the world apart when it is over.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::clock::Sleep;
use super::core::{Core, Event, lock};
use super::machine::MachineCore;
use super::settings::Settings;
use super::{Disk, Machine};
use crate::{Env, Instant};

/// What a scenario holds of its world. Cheap to clone; every clone is the same world.
#[derive(Clone)]
pub struct World {
    core: Arc<Core>,
    /// Where the scenario itself runs; it never fails.
    scenario: Machine,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    pub events: u64,
    /// The world's time, which begins at 0 unless told otherwise.
    pub now: Instant,
    /// Of every event in its order. Equal for equal seeds, in whichever process.
    pub digest: u64,
}

/// Runs the scenario to its end. Panics, as its caller must expect, if a task, a worker or the scenario does, and if
/// nothing is left to happen before the scenario has ended.
pub fn simulate<T, F>(settings: Settings, scenario: impl FnOnce(World) -> F) -> (T, Report)
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let core = Core::new(settings);
    let _end = End { core: &core };
    let machine = new_machine(&core, "scenario", None);
    let world = World { core: core.clone(), scenario: machine.clone() };
    let answer = Arc::new(Mutex::new(None));
    let future = scenario(world);
    let result = answer.clone();
    machine.env().spawn.task(
        "scenario",
        Box::pin(async move {
            let value = future.await;
            *lock(&result) = Some(value);
        }),
    );
    let answer = run(&core, &answer);
    let progress = core.progress();
    (answer, Report { events: progress.events, now: Instant(progress.now_ns), digest: progress.digest })
}

fn run<T>(core: &Arc<Core>, answer: &Mutex<Option<T>>) -> T {
    loop {
        let Some(event) = core.next() else { panic!("nothing is left to happen; {}", who_waits(core)) };
        match event {
            Event::Run(thread) => {
                thread.run();
                if let Some(answer) = lock(answer).take() {
                    return answer;
                }
            }
            Event::Wake(waker) => waker.wake(),
            Event::Deliver(link, side) => link.deliver(side),
            Event::Reset(link, side) => link.reset_arrived(side),
        }
    }
}

fn who_waits(core: &Arc<Core>) -> String {
    let machines = lock(&core.machines).clone();
    let threads = machines.into_iter().flat_map(|core| Machine { core }.threads());
    format!("these wait: {}", threads.collect::<Vec<_>>().join(", "))
}

fn new_machine(core: &Arc<Core>, name: &str, disk: Option<Disk>) -> Machine {
    let mut machines = lock(&core.machines);
    let machine = Machine { core: MachineCore::new(core, machines.len(), name, disk) };
    machines.push(machine.core.clone());
    drop(machines);
    machine.boot();
    machine
}

impl World {
    /// A new machine, booted, with an empty disk.
    pub fn machine(&self, name: &str) -> Machine {
        new_machine(&self.core, name, None)
    }

    /// A new machine, booted, that finds this on its disk.
    pub fn machine_with(&self, name: &str, disk: Disk) -> Machine {
        new_machine(&self.core, name, Some(disk))
    }

    /// Kills a machine that nobody needs any more and forgets its disk.
    pub fn discard(&self, machine: &Machine) {
        machine.kill();
        machine.core.forget_disk();
    }

    /// The scenario's own: its clock shows the world's time.
    pub fn env(&self) -> Env {
        self.scenario.env()
    }

    /// Since the world began.
    pub fn now(&self) -> Instant {
        Instant(self.core.now())
    }

    pub fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + use<> {
        Sleep::until(&self.core, Some((self.now() + span).0))
    }

    /// Nothing gets through between these two until [`World::heal`].
    pub fn part(&self, one: &Machine, other: &Machine) {
        self.core.network.part(one.core.id, other.core.id);
    }

    pub fn heal(&self) {
        self.core.network.heal(&self.core);
    }

    /// Every connection of this machine breaks, for both sides.
    pub fn reset_connections(&self, machine: &Machine) {
        for link in self.core.network.links_of(machine.core.id) {
            link.clone().reset(super::net::Side::Connecting);
            link.reset(super::net::Side::Accepting);
        }
    }

    /// Puts a line into the trace and the digest.
    pub fn note(&self, line: &str) {
        self.core.note(line);
    }

    pub fn events(&self) -> u64 {
        self.core.progress().events
    }
}

/// Takes the world apart also when it ends in a panic: its parts refer to each other.
struct End<'a> {
    core: &'a Arc<Core>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let machines = std::mem::take(&mut *lock(&self.core.machines));
        machines.iter().for_each(|machine| machine.tear_down());
        self.core.network.clear();
        self.core.clear();
        machines.iter().for_each(|machine| machine.tear_down());
    }
}
