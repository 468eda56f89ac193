//! What runs on a machine: tasks and workers, one step at a time. A step is atomic; between two steps of one thread
//! anything else may happen. What the disk did in a worker's step delays the worker's next one.
use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::core::{Core, Event, Key, lock};
use super::machine::Boot;
use crate::BoxFuture;
use crate::spawn::{Next, Worker, WorkerHandle};

pub struct Thread {
    boot: Arc<Boot>,
    pub number: u64,
    name: &'static str,
    body: Mutex<Option<Body>>,
    schedule: Mutex<Schedule>,
}

enum Body {
    Task(BoxFuture<()>),
    Worker(Box<dyn Worker>, Box<dyn FnOnce() + Send>),
}

#[derive(Default)]
struct Schedule {
    running: bool,
    /// Woken since its step began.
    rung: bool,
    due: Option<Key>,
    /// Until then the disk has its last step's work to do.
    busy_until: u64,
}

pub struct Spawn {
    pub boot: Arc<Boot>,
}

impl crate::Spawn for Spawn {
    fn task(&self, name: &'static str, future: BoxFuture<()>) {
        // A dead process starts nothing; the future is dropped.
        if let Some(thread) = Thread::new(&self.boot, name) {
            thread.start(Body::Task(future));
        }
    }

    fn worker(&self, name: &'static str, worker: Box<dyn Worker>) -> WorkerHandle {
        match Thread::new(&self.boot, name) {
            Some(thread) => {
                let (handle, stopped) = WorkerHandle::new(thread.clone().into());
                thread.start(Body::Worker(worker, Box::new(stopped)));
                handle
            }
            None => WorkerHandle::new(Waker::noop().clone()).0,
        }
    }
}

impl Thread {
    fn new(boot: &Arc<Boot>, name: &'static str) -> Option<Arc<Self>> {
        if !boot.is_up() {
            return None;
        }
        let number = boot.core().next_number();
        let thread = Self { boot: boot.clone(), number, name, body: Mutex::default(), schedule: Mutex::default() };
        Some(Arc::new(thread))
    }

    fn start(self: &Arc<Self>, body: Body) {
        *lock(&self.body) = Some(body);
        lock(&self.boot.threads).insert(self.number, self.clone());
        self.ring();
    }

    fn core(&self) -> &Arc<Core> {
        self.boot.core()
    }

    fn ring(self: &Arc<Self>) {
        if !self.boot.is_up() {
            return;
        }
        let mut schedule = lock(&self.schedule);
        if schedule.running {
            schedule.rung = true;
            return;
        }
        let soonest = (self.core().now() + self.core().settings.wake_ns.end).max(schedule.busy_until);
        match schedule.due {
            Some(due) if due.at <= soonest => return,
            Some(due) => self.core().cancel(due),
            None => {}
        }
        let at = self.core().soon_for(self.name).max(schedule.busy_until);
        schedule.due = Some(self.core().schedule(at, Event::Run(self.clone())));
    }

    /// One step.
    pub fn run(self: &Arc<Self>) {
        if !self.boot.is_up() {
            return;
        }
        let Some(mut body) = lock(&self.body).take() else { return };
        *lock(&self.schedule) = Schedule { running: true, ..Schedule::default() };
        let next = match &mut body {
            Body::Task(future) => {
                let waker = Waker::from(self.clone());
                match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(()) => Next::Stop,
                    Poll::Pending => Next::Idle,
                }
            }
            Body::Worker(worker, _) => worker.step(),
        };
        let busy_ns = self.boot.step_ended();
        if !self.boot.is_up() {
            return; // The body goes where the others went.
        }
        if next == Next::Stop {
            lock(&self.boot.threads).remove(&self.number);
            match body {
                Body::Task(future) => drop(future),
                Body::Worker(worker, stopped) => {
                    drop(worker);
                    stopped();
                }
            }
            return;
        }
        let busy_ns = if matches!(body, Body::Worker(..)) { busy_ns } else { 0 };
        *lock(&self.body) = Some(body);
        self.rest(next, busy_ns);
    }

    fn rest(self: &Arc<Self>, next: Next, busy_ns: u64) {
        let core = self.core();
        let mut schedule = lock(&self.schedule);
        schedule.running = false;
        schedule.busy_until = core.now() + busy_ns;
        let at = match next {
            _ if schedule.rung => Some(core.soon_for(self.name)),
            Next::Again => Some(core.soon_for(self.name)),
            Next::At(at) => self.boot.world_time(at),
            Next::Idle | Next::Stop => None,
        };
        if let Some(at) = at {
            let at = at.max(schedule.busy_until + core.settings.wake_ns.start);
            schedule.due = Some(core.schedule(at, Event::Run(self.clone())));
        }
    }

    /// Drops what it runs. Nothing of it happens any more.
    pub fn end(&self) {
        let body = lock(&self.body).take();
        if let Some(due) = lock(&self.schedule).due.take() {
            self.core().cancel(due);
        }
        drop(body);
    }
}

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}#{}", self.boot.machine.name, self.name, self.number)
    }
}
