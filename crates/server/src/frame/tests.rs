//! Frames over an in-memory stream, and what a lying length may cost.
use env::{BoxFuture, Instant};
use tokio::io::{AsyncWriteExt, DuplexStream};

use super::*;

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Instant {
        Instant(0)
    }

    fn wall_ms(&self) -> i64 {
        0
    }

    fn sleep_until(&self, _: Instant) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }
}

fn reader(frame_bytes_max: usize) -> (DuplexStream, FrameReader) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let memory = FrameMemory::new(1024 * 1024);
    (client, FrameReader::new(Box::new(server), memory, Arc::new(StoppedClock), frame_bytes_max))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

#[test]
fn frames_come_whole_however_they_were_cut() {
    block_on(async {
        let (mut client, mut reader) = reader(100);
        for byte in [0, 0, 0, 3, b'a', b'b', b'c', 0, 0, 0, 0, 0, 0, 0, 1] {
            client.write_all(&[byte]).await.expect("room");
            if byte == b'c' {
                assert_eq!(&reader.next().await.expect("a frame").bytes[..], b"abc");
            }
        }
        assert_eq!(&reader.next().await.expect("an empty frame").bytes[..], b"");
        client.write_all(b"z").await.expect("room");
        assert_eq!(&reader.next().await.expect("a frame").bytes[..], b"z");
        drop(client);
        assert!(matches!(reader.next().await, Err(FrameError::Closed)));
    });
}

#[test]
fn a_length_that_is_negative_or_too_large_ends_the_connection() {
    block_on(async {
        for length in [-1, i32::MIN, 101, i32::MAX] {
            let (mut client, mut reader) = reader(100);
            client.write_all(&length.to_be_bytes()).await.expect("room");
            assert!(matches!(reader.next().await, Err(FrameError::Length(found)) if found == length));
        }
    });
}

#[test]
fn a_lying_length_allocates_only_for_what_has_come() {
    block_on(async {
        let (mut client, mut reader) = reader(100 * 1024 * 1024);
        client.write_all(&(100 * 1024 * 1024_i32).to_be_bytes()).await.expect("room");
        client.write_all(&[7; 1000]).await.expect("room");
        drop(client);
        assert!(matches!(reader.next().await, Err(FrameError::Truncated)));
        assert!(reader.buffer.capacity() <= 2 * BUFFER_BYTES_MIN, "{} bytes for 1,004", reader.buffer.capacity());
    });
}

#[test]
fn a_length_is_believed_up_to_what_the_last_frame_brought() {
    block_on(async {
        let (mut client, mut reader) = reader(100 * 1024 * 1024);
        let body = vec![7; 40_000];
        client.write_all(&40_000_i32.to_be_bytes()).await.expect("room");
        client.write_all(&body).await.expect("room");
        assert_eq!(reader.next().await.expect("a frame").bytes.len(), body.len());
        client.write_all(&(100 * 1024 * 1024_i32).to_be_bytes()).await.expect("room");
        client.write_all(&[7; 1000]).await.expect("room");
        drop(client);
        assert!(matches!(reader.next().await, Err(FrameError::Truncated)));
        assert!(reader.buffer.capacity() <= 45_000, "{} bytes after a frame of 40,000", reader.buffer.capacity());
    });
}

#[test]
fn a_large_frame_is_charged_until_it_has_been_served() {
    block_on(async {
        let (mut client, mut reader) = reader(1024 * 1024);
        let memory = reader.memory.clone();
        let body = vec![7; 200 * 1024];
        let sending = async {
            client.write_all(&(body.len() as i32).to_be_bytes()).await.expect("the reader reads");
            client.write_all(&body).await.expect("the reader reads");
        };
        let (frame, ()) = tokio::join!(reader.next(), sending);
        let frame = frame.expect("a frame");
        assert_eq!(frame.bytes.len(), body.len());
        assert!(memory.bytes() > 100 * 1024);
        drop(frame);
        assert_eq!(memory.bytes(), 0);
    });
}
