//! What every implementation of `Spawn` does, asked of tokio and threads and of the simulator alike.
mod both;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use both::on_both;
use env::{Env, Next, Worker};
use tokio::sync::{Notify, mpsc};

#[test]
fn tasks_run_side_by_side_and_talk() {
    on_both(|env| async move {
        let (ping, mut pinged) = mpsc::channel::<u32>(1);
        let (pong, mut ponged) = mpsc::channel::<u32>(1);
        env.spawn.task(
            "echo",
            Box::pin(async move {
                while let Some(number) = pinged.recv().await {
                    pong.send(number + 1).await.unwrap();
                }
            }),
        );
        for number in 0..100 {
            ping.send(number).await.unwrap();
            assert_eq!(ponged.recv().await, Some(number + 1));
        }
        drop(ping);
        assert_eq!(ponged.recv().await, None, "the task has ended and dropped what it held");
    });
}

/// Adds up what it is given; every third step it asks for another at once.
struct Adder {
    queue: Arc<Mutex<Vec<u64>>>,
    sum: Arc<AtomicU64>,
    done: Arc<Notify>,
    steps: u64,
    stop_at: u64,
    dropped: Arc<AtomicU64>,
}

impl Worker for Adder {
    fn step(&mut self) -> Next {
        self.steps += 1;
        let taken = std::mem::take(&mut *self.queue.lock().unwrap());
        let sum = self.sum.fetch_add(taken.iter().sum(), Ordering::SeqCst) + taken.iter().sum::<u64>();
        if sum >= self.stop_at {
            self.done.notify_one();
            return Next::Stop;
        }
        if self.steps.is_multiple_of(3) { Next::Again } else { Next::Idle }
    }
}

impl Drop for Adder {
    fn drop(&mut self) {
        self.dropped.store(1, Ordering::SeqCst);
    }
}

#[test]
fn no_wake_of_a_worker_is_lost() {
    on_both(|env| async move {
        let (queue, sum, done) = (Arc::default(), Arc::default(), Arc::new(Notify::new()));
        let dropped = Arc::<AtomicU64>::default();
        let adder = Adder {
            queue: Arc::clone(&queue),
            sum: Arc::clone(&sum),
            done: done.clone(),
            steps: 0,
            stop_at: 500,
            dropped: dropped.clone(),
        };
        let worker = env.spawn.worker("adder", Box::new(adder));
        for number in 0..500u64 {
            queue.lock().unwrap().push(1);
            worker.wake();
            if number.is_multiple_of(7) {
                pause(&env, Duration::from_micros(20)).await;
            }
        }
        done.notified().await;
        worker.stopped().await;
        assert_eq!((sum.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst)), (500, 1));
        worker.wake();
        worker.clone().stopped().await;
    });
}

/// Notes when its steps come: at once, at the asked time, and then only when woken.
struct Timed {
    env: Env,
    times: mpsc::UnboundedSender<env::Instant>,
    steps: u32,
}

impl Worker for Timed {
    fn step(&mut self) -> Next {
        let now = self.env.clock.now();
        self.times.send(now).unwrap();
        self.steps += 1;
        match self.steps {
            1 => Next::At(now + Duration::from_millis(4)),
            2 => Next::At(now + Duration::from_secs(3600)),
            3 => Next::Idle,
            _ => Next::Stop,
        }
    }
}

#[test]
fn a_worker_sleeps_until_its_time_or_until_it_is_woken() {
    on_both(|env| async move {
        let (times, mut seen) = mpsc::unbounded_channel();
        let began = env.clock.now();
        let worker = env.spawn.worker("timed", Box::new(Timed { env: env.clone(), times, steps: 0 }));
        let first = seen.recv().await.unwrap();
        assert!(first >= began);
        let second = seen.recv().await.unwrap();
        assert!(second >= first + Duration::from_millis(4));
        for _ in 0..2 {
            pause(&env, Duration::from_millis(5)).await;
            assert!(seen.try_recv().is_err(), "a step that nobody asked for");
            worker.wake();
            let step = seen.recv().await.unwrap();
            assert!(step < second + Duration::from_secs(60));
        }
        worker.stopped().await;
        assert_eq!(seen.recv().await, None);
    });
}

async fn pause(env: &Env, span: Duration) {
    env.clock.sleep_until(env.clock.now() + span).await;
}
