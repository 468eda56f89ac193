//! What the simulated world promises besides what the real one does: one seed is one history, machines die and come
//! back, and every freedom that a kernel has is taken by some seed.
use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use env::sim::{Machine, Report, Settings, World, simulate};
use env::{Env, Listening, Next, OpenOptions, Worker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PORT: u16 = 9092;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Answers each byte with its successor.
fn serve(env: Env) {
    let mut listener =
        env.net.listen(SocketAddr::new("0.0.0.0".parse().unwrap(), PORT), Listening::with_backlog(16)).unwrap();
    let spawn = env.spawn.clone();
    env.spawn.task(
        "server",
        Box::pin(async move {
            loop {
                let mut connection = listener.accept().await.unwrap();
                spawn.task(
                    "connection",
                    Box::pin(async move {
                        while let Ok(byte) = connection.receiver.read_u8().await {
                            if connection.sender.write_all(&[byte.wrapping_add(1)]).await.is_err() {
                                break;
                            }
                        }
                    }),
                );
            }
        }),
    );
}

async fn ask(connection: &mut env::Connection, byte: u8) -> std::io::Result<u8> {
    connection.sender.write_all(&[byte]).await?;
    connection.receiver.read_u8().await
}

fn address(machine: &Machine) -> SocketAddr {
    SocketAddr::new(machine.ip(), PORT)
}

/// Some clients that ask, a server that is killed, a trace of all of it.
fn history(seed: u64) -> (Vec<String>, Report) {
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let trace = lines.clone();
    let trace = move |line: &str| trace.lock().unwrap().push(line.to_owned());
    let settings = Settings { trace: Some(Box::new(trace)), ..Settings::seed(seed) };
    let ((), report) = simulate(settings, |world| async move {
        let server = world.machine("server");
        serve(server.env());
        let mut clients = Vec::new();
        for number in 0..4u8 {
            let client = world.machine(&format!("client-{number}"));
            let env = client.env();
            let (to, world) = (address(&server), world.clone());
            let (done, finished) = tokio::sync::oneshot::channel();
            client.env().spawn.task(
                "asker",
                Box::pin(async move {
                    let mut answered = 0;
                    while answered < 50 {
                        let Ok(mut connection) = env.net.connect(to).await else { continue };
                        while answered < 50 && ask(&mut connection, number).await.is_ok() {
                            answered += 1;
                        }
                        world.note(&format!("client {number}: {answered} at {}", env.clock.wall_ms()));
                    }
                    let _ = done.send(());
                }),
            );
            clients.push(finished);
        }
        for _ in 0..2 {
            world.sleep(ms(5)).await;
            server.kill();
            world.sleep(ms(1)).await;
            serve(server.boot());
        }
        for client in clients {
            client.await.unwrap();
        }
    });
    let lines = std::mem::take(&mut *lines.lock().unwrap());
    (lines, report)
}

#[test]
fn one_seed_is_one_history() {
    let (lines, report) = history(1);
    assert!(report.events > 500 && lines.len() as u64 > report.events, "{report:?}");
    assert!(history(1) == (lines, report), "the second run differs");
    let digests: BTreeSet<u64> = (0..20).map(|seed| history(seed).1.digest).collect();
    assert_eq!(digests.len(), 20, "two seeds have one history");
}

#[test]
fn one_seed_is_one_history_in_another_process() {
    let report = history(3).1;
    let name = "one_seed_is_one_history_in_another_process";
    if std::env::var_os("SIM_CHILD").is_some() {
        println!("history {report:?}");
        return;
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env("SIM_CHILD", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(said.contains(&format!("history {report:?}")), "{report:?} here, there:\n{said}");
}

struct SetWhenDropped(Arc<AtomicU64>);

impl Drop for SetWhenDropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Beat(Arc<AtomicU64>, #[allow(dead_code, reason = "counts its drop")] SetWhenDropped);

impl Worker for Beat {
    fn step(&mut self) -> Next {
        self.0.fetch_add(1, Ordering::SeqCst);
        Next::Again
    }
}

#[test]
fn a_killed_process_does_nothing_more() {
    simulate(Settings::seed(1), |world| async move {
        let machine = world.machine("m");
        let old = machine.env();
        let (beats, dropped) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let worker = old.spawn.worker("beat", Box::new(Beat(beats.clone(), SetWhenDropped(dropped.clone()))));
        let held = SetWhenDropped(dropped.clone());
        old.spawn.task(
            "holder",
            Box::pin(async move {
                let _held = held;
                std::future::pending::<()>().await;
            }),
        );
        world.sleep(ms(1)).await;
        assert!(machine.is_up() && beats.load(Ordering::SeqCst) > 10);
        machine.kill();
        let at_kill = beats.load(Ordering::SeqCst);
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
        worker.wake();
        old.spawn.task("late", Box::pin(async { panic!("a dead process started a task") }));
        world.sleep(ms(10)).await;
        assert_eq!(beats.load(Ordering::SeqCst), at_kill);
        assert!(old.disk.read_dir(Path::new("/")).is_err());
        assert!(old.net.listen(address(&machine), Listening::with_backlog(1)).is_err());
        assert!(old.net.connect("10.0.0.1:1".parse().unwrap()).await.is_err());
        machine.down().await;
        machine.boot();
        assert!(machine.is_up() && old.disk.read_dir(Path::new("/")).is_err());
    });
}

fn write(env: &Env, name: &str, sync: bool) {
    let file = env.disk.open(Path::new(name), OpenOptions::CREATE_NEW).unwrap();
    file.write_all_at(&[IoSlice::new(b"content")], 0).unwrap();
    env.disk.sync_dir(Path::new("/")).unwrap();
    if sync {
        file.sync_data().unwrap();
    }
}

fn content(env: &Env, name: &str) -> Vec<u8> {
    env::disk::read_file(&*env.disk, Path::new(name), 100).unwrap()
}

#[test]
fn a_kill_keeps_what_was_written_and_a_power_loss_what_was_synced() {
    let mut survived = BTreeSet::new();
    for seed in 0..60 {
        let (unsynced, _) = simulate(Settings::seed(seed), |world| async move {
            let machine = world.machine("m");
            write(&machine.env(), "/synced", true);
            write(&machine.env(), "/written", false);
            machine.kill();
            let env = machine.boot();
            assert_eq!((content(&env, "/synced"), content(&env, "/written")), (b"content".into(), b"content".into()));
            machine.power_loss();
            let env = machine.boot();
            assert_eq!(content(&env, "/synced"), b"content");
            content(&env, "/written")
        });
        survived.insert(unsynced);
    }
    assert!(survived.contains(b"content".as_slice()) && survived.contains([].as_slice()), "{survived:?}");
}

#[test]
fn power_fails_inside_a_call_and_nothing_of_that_step_is_seen() {
    simulate(Settings::seed(5), |world| async move {
        let machine = world.machine("m");
        let env = machine.env();
        let mut listener = world.env().net.listen("0.0.0.0:7".parse().unwrap(), Listening::with_backlog(1)).unwrap();
        let mut connection = env.net.connect(listener.local_address_of(&world)).await.unwrap();
        let mut accepted = listener.accept().await.unwrap();
        machine.power_loss_in(2);
        env.spawn.clone().task(
            "writer",
            Box::pin(async move {
                let file = env.disk.open(Path::new("/a"), OpenOptions::CREATE_NEW).unwrap();
                file.write_all_at(&[IoSlice::new(b"x")], 0).unwrap();
                assert!(file.sync_data().is_err(), "power failed in it");
                connection.sender.write_all(b"synced!").await.unwrap();
            }),
        );
        machine.down().await;
        world.sleep(ms(1000)).await;
        let mut byte = [0; 1];
        let read = tokio::select! {
            biased;
            read = accepted.receiver.read(&mut byte) => Some(read),
            () = world.sleep(ms(1000)) => None,
        };
        assert!(read.is_none(), "a machine without power was heard: {read:?}");
        machine.boot();
        let error = accepted.receiver.read(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

trait LocalAddress {
    fn local_address_of(&self, world: &World) -> SocketAddr;
}

impl LocalAddress for Box<dyn env::Listener> {
    fn local_address_of(&self, _world: &World) -> SocketAddr {
        SocketAddr::new("10.0.0.1".parse().unwrap(), self.local_address().port())
    }
}

#[test]
fn the_peers_of_a_killed_process_are_told() {
    for seed in 0..20 {
        simulate(Settings::seed(seed), |world| async move {
            let server = world.machine("server");
            serve(server.env());
            let mut connection = world.env().net.connect(address(&server)).await.unwrap();
            assert_eq!(ask(&mut connection, 7).await.unwrap(), 8);
            server.kill();
            assert!(ask(&mut connection, 7).await.is_err());
            let refused = world.env().net.connect(address(&server)).await;
            assert!(matches!(refused.err().unwrap().kind(), ErrorKind::TimedOut | ErrorKind::ConnectionRefused));
            serve(server.boot());
            let mut connection = world.env().net.connect(address(&server)).await.unwrap();
            assert_eq!(ask(&mut connection, 1).await.unwrap(), 2);
        });
    }
}

#[test]
fn what_a_parted_network_held_back_arrives_once_it_is_whole() {
    simulate(Settings::seed(2), |world| async move {
        let (server, client) = (world.machine("server"), world.machine("client"));
        serve(server.env());
        let mut connection = client.env().net.connect(address(&server)).await.unwrap();
        world.part(&client, &server);
        let began = world.now();
        let healer = world.clone();
        world.env().spawn.task(
            "healer",
            Box::pin(async move {
                healer.sleep(ms(3000)).await;
                healer.heal();
            }),
        );
        assert_eq!(ask(&mut connection, 1).await.unwrap(), 2);
        assert!(world.now() >= began + ms(3000));
        world.reset_connections(&client);
        while ask(&mut connection, 1).await.is_ok() {}
    });
}

#[test]
fn the_wall_clock_jumps_and_the_other_does_not() {
    simulate(Settings::seed(2), |world| async move {
        let machine = world.machine("m");
        let env = machine.env();
        let (now, wall) = (env.clock.now(), env.clock.wall_ms());
        machine.jump_wall_ms(-3_600_000);
        assert_eq!((env.clock.now(), env.clock.wall_ms()), (now, wall - 3_600_000));
        env.clock.sleep_until(now + ms(10)).await;
        assert!((10..40).contains(&(env.clock.wall_ms() - wall + 3_600_000)));
    });
}

#[test]
fn nothing_left_to_happen_is_an_error_that_names_who_waits() {
    let waiting = std::panic::catch_unwind(|| {
        simulate(Settings::seed(1), |world| async move {
            let env = world.machine("m").env();
            env.spawn.task("patient", Box::pin(std::future::pending()));
            std::future::pending::<()>().await
        })
    });
    let message = *waiting.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("m/patient"), "{message}");
}

#[test]
fn chance_differs_from_machine_to_machine_and_from_boot_to_boot() {
    simulate(Settings::seed(1), |world| async move {
        let (one, other) = (world.machine("one"), world.machine("other"));
        let mut drawn = BTreeSet::from([one.env().rng.next_u64(), other.env().rng.next_u64()]);
        one.kill();
        drawn.insert(one.boot().rng.next_u64());
        assert_eq!(drawn.len(), 3);
    });
}
