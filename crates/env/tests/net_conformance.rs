//! What every implementation of `Net` does, asked of the kernel and of the simulator alike.
mod both;

use std::io::{ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::path::Path;

use both::on_both;
use env::{Connection, Env, Listener, Listening};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ANY_PORT: &str = "127.0.0.1:0";

fn listen(env: &Env, address: &str) -> Box<dyn Listener> {
    env.net.listen(address.parse().unwrap(), Listening::with_backlog(16)).unwrap()
}

async fn pair(env: &Env) -> (Connection, Connection) {
    let mut listener = listen(env, ANY_PORT);
    let address = listener.local_address();
    let connecting = env.net.connect(address).await.unwrap();
    let accepted = listener.accept().await.unwrap();
    assert_eq!((connecting.peer, connecting.local), (accepted.local, accepted.peer));
    assert_eq!(connecting.peer, address);
    (connecting, accepted)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 + index / 251) as u8).collect()
}

#[test]
fn bytes_arrive_in_order_both_ways_however_many() {
    on_both(|env| async move {
        let (left, right) = pair(&env).await;
        let bytes = pattern(1 << 20);
        for (mut sender, mut receiver) in [(left.sender, right.receiver), (right.sender, left.receiver)] {
            let sent = bytes.clone();
            env.spawn.task(
                "sender",
                Box::pin(async move {
                    for part in sent.chunks(10_007) {
                        sender.write_all(part).await.unwrap();
                    }
                }),
            );
            let mut received = Vec::new();
            receiver.read_to_end(&mut received).await.unwrap();
            assert!(received == bytes, "{} of {} bytes, or in another order", received.len(), bytes.len());
        }
    });
}

#[test]
fn parts_are_sent_one_after_the_other() {
    on_both(|env| async move {
        let (mut left, mut right) = pair(&env).await;
        let bytes = pattern(100_000);
        let sent = bytes.clone();
        env.spawn.task(
            "sender",
            Box::pin(async move {
                assert!(left.sender.is_write_vectored());
                let mut done = 0;
                while done < sent.len() {
                    let parts: Vec<IoSlice<'_>> = sent[done..].chunks(777).map(IoSlice::new).collect();
                    done += left.sender.write_vectored(&parts).await.unwrap();
                }
                left.sender.shutdown().await.unwrap();
                assert!(left.sender.write_all(b"x").await.is_err(), "nothing goes after the end");
            }),
        );
        let mut received = Vec::new();
        right.receiver.read_to_end(&mut received).await.unwrap();
        assert!(received == bytes);
    });
}

#[test]
fn one_half_ends_while_the_other_goes_on() {
    on_both(|env| async move {
        let (mut left, mut right) = pair(&env).await;
        drop(left.sender);
        assert_eq!(right.receiver.read(&mut [0; 10]).await.unwrap(), 0);
        right.sender.write_all(b"still here").await.unwrap();
        let mut bytes = [0; 10];
        left.receiver.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"still here");
    });
}

#[test]
fn a_writer_waits_for_a_reader_who_does_not_read() {
    on_both(|env| async move {
        let (mut left, mut right) = pair(&env).await;
        let mut sent = 0;
        let chunk = pattern(64 << 10);
        let full = loop {
            let limit = env.clock.sleep_until(env.clock.now() + std::time::Duration::from_millis(200));
            let wrote = tokio::select! { biased; wrote = left.sender.write(&chunk) => wrote.unwrap(), () = limit => break sent };
            sent += wrote;
            assert!(sent < 64 << 20, "nothing holds this writer back");
        };
        let mut read = 0;
        while read < full {
            read += right.receiver.read(&mut vec![0; 1 << 20]).await.unwrap();
        }
        left.sender.write_all(b"there is room again").await.unwrap();
    });
}

#[test]
fn a_closed_connection_fails_its_writer_sooner_or_later() {
    on_both(|env| async move {
        let (mut left, right) = pair(&env).await;
        drop(right);
        let error = loop {
            if let Err(error) = left.sender.write_all(&[1; 100]).await {
                break error;
            }
            env.clock.sleep_until(env.clock.now() + std::time::Duration::from_millis(1)).await;
        };
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
    });
}

#[test]
fn what_is_closed_with_bytes_unread_gives_no_more_of_them() {
    on_both(|env| async move {
        let (mut left, mut right) = pair(&env).await;
        left.sender.write_all(b"two parts").await.unwrap();
        right.receiver.read_exact(&mut [0; 3]).await.unwrap();
        env.clock.sleep_until(env.clock.now() + std::time::Duration::from_millis(50)).await;
        drop(right);
        // Linux ends the stream and then breaks it; which of the two is seen first is a race.
        match left.receiver.read(&mut [0; 10]).await {
            Ok(read) => assert_eq!(read, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    });
}

#[test]
fn a_port_has_one_listener_and_is_free_after_it() {
    on_both(|env| async move {
        let listener = listen(&env, ANY_PORT);
        let address: SocketAddr = listener.local_address();
        assert_ne!(address.port(), 0);
        assert_eq!(env.net.listen(address, Listening::with_backlog(1)).err().unwrap().kind(), ErrorKind::AddrInUse);
        drop(listener);
        assert_eq!(env.net.connect(address).await.err().unwrap().kind(), ErrorKind::ConnectionRefused);
        env.net.listen(address, Listening::with_backlog(1)).unwrap();
    });
}

#[test]
fn each_loopback_address_is_a_place_of_its_own() {
    on_both(|env| async move {
        let four = listen(&env, ANY_PORT);
        let six = env
            .net
            .listen(SocketAddr::new("::1".parse().unwrap(), four.local_address().port()), Listening::with_backlog(1));
        if let Ok(mut six) = six {
            let connected = env.net.connect(six.local_address()).await.unwrap();
            assert_eq!(six.accept().await.unwrap().peer, connected.local);
        }
    });
}

#[test]
fn many_connect_to_one() {
    on_both(|env| async move {
        let mut listener = env.net.listen(ANY_PORT.parse().unwrap(), Listening::with_backlog(128)).unwrap();
        let address = listener.local_address();
        for number in 0..50u8 {
            let net = env.net.clone();
            env.spawn.task(
                "client",
                Box::pin(async move {
                    let mut connection = net.connect(address).await.unwrap();
                    connection.sender.write_all(&[number]).await.unwrap();
                    assert_eq!(connection.receiver.read(&mut [0; 1]).await.unwrap(), 0);
                }),
            );
        }
        let mut seen = Vec::new();
        for _ in 0..50 {
            let mut connection = listener.accept().await.unwrap();
            seen.push(connection.receiver.read_u8().await.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<u8>>());
    });
}

#[test]
fn a_file_is_sent_from_any_place() {
    on_both(|env| async move {
        let (mut left, mut right) = pair(&env).await;
        let directory = format!("{}/net-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
        env::disk::create_dir_all(&*env.disk, Path::new(&directory)).unwrap();
        let path = Path::new(&directory).join(format!("sent-{}", env.rng.next_u64()));
        let content = pattern(300_000);
        let file = env.disk.open(&path, env::OpenOptions::CREATE_NEW).unwrap();
        file.write_all_at(&[IoSlice::new(&content)], 0).unwrap();
        env.spawn.task(
            "sender",
            Box::pin(async move {
                let mut at = 1234;
                loop {
                    match left.sender.send_file(&*file, at, 1 << 20).await.unwrap() {
                        0 => break,
                        sent => at += sent as u64,
                    }
                }
            }),
        );
        let mut received = Vec::new();
        right.receiver.read_to_end(&mut received).await.unwrap();
        assert!(received == content[1234..]);
        env.disk.remove_file(&path).unwrap();
    });
}

#[test]
fn names_are_resolved() {
    on_both(|env| async move {
        let addresses = env.net.resolve("localhost", 80).await.unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        assert!(!addresses.is_empty());
        assert_eq!(env.net.resolve("127.0.0.1", 1).await.unwrap(), ["127.0.0.1:1".parse().unwrap()]);
        assert!(env.net.resolve("no.such.host.invalid", 80).await.is_err());
    });
}
