//! One connection over in-memory streams, with a service whose requests are named by their first byte:
//! `p` is a Produce that waits until it is released, `q` anything else, `x` closes, `s` is silent, `t` is
//! over a quota for ten seconds.
use std::pin::Pin;
use std::task::{Context, Poll};

use env::File;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::oneshot;

use super::*;

struct Sender(WriteHalf<DuplexStream>);

impl AsyncWrite for Sender {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl net::Send for Sender {
    fn poll_send_file(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &dyn File,
        _: u64,
        _: usize,
    ) -> Poll<std::io::Result<usize>> {
        unreachable!("these replies are in memory")
    }
}

/// Stands still until it is told to go on.
#[derive(Default)]
struct ManualClock {
    state: Mutex<(u64, Vec<Sleeper>)>,
}

struct Sleeper {
    at: u64,
    wake: oneshot::Sender<()>,
}

impl ManualClock {
    fn advance(&self, by: Duration) {
        let mut state = self.state.lock();
        state.0 += by.as_nanos() as u64;
        let now = state.0;
        let (due, later): (Vec<Sleeper>, Vec<Sleeper>) =
            std::mem::take(&mut state.1).into_iter().partition(|sleeper| sleeper.at <= now);
        state.1 = later;
        for sleeper in due {
            let _ = sleeper.wake.send(()); // Whoever slept may have gone.
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant(self.state.lock().0)
    }

    fn wall_ms(&self) -> i64 {
        0
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<()> {
        let mut state = self.state.lock();
        if at.0 <= state.0 {
            return Box::pin(std::future::ready(()));
        }
        let (wake, woken) = oneshot::channel();
        state.1.push(Sleeper { at: at.0, wake });
        Box::pin(async { drop(woken.await) })
    }
}

#[derive(Default)]
struct Recorder {
    begun: Mutex<Vec<String>>,
    waiting: Mutex<VecDeque<oneshot::Sender<()>>>,
    queued: Mutex<i32>,
    /// First letter, and times in seconds: queued, local, remote.
    served: Mutex<Vec<(char, [u64; 3])>>,
}

struct RecorderService(Arc<Recorder>);

impl Service for RecorderService {
    fn may_run_ahead(&self, frame: &[u8]) -> bool {
        frame.first() == Some(&b'p')
    }

    fn kind(&self, frame: &[u8]) -> usize {
        frame[0].into()
    }

    fn is_held(&self, is_held: bool) {
        *self.0.queued.lock() += if is_held { 1 } else { -1 };
    }

    fn served(&self, kind: usize, times: &Times) {
        let parts = [times.begun - times.received, times.waits - times.begun, times.answered - times.waits];
        self.0.served.lock().push((kind as u8 as char, parts.map(|part| part.as_secs())));
    }

    fn begin(&self, frame: Frame, in_place: InPlace) -> BoxFuture<Answer> {
        let name = String::from_utf8_lossy(&frame.bytes).into_owned();
        self.0.begun.lock().push(name.clone());
        let reply = Handled::Reply(Reply::from_bytes(name.clone().into_bytes()));
        match name.as_bytes()[0] {
            b'p' => {
                let (release, released) = oneshot::channel();
                self.0.waiting.lock().push_back(release);
                Box::pin(async move {
                    in_place.say().await;
                    drop(released.await);
                    Ok(reply)
                })
            }
            b's' => Box::pin(std::future::ready(Ok(Handled::Silent))),
            b't' => {
                let Handled::Reply(reply) = reply else { unreachable!("made above") };
                let silence = Duration::from_secs(10);
                Box::pin(std::future::ready(Ok(Handled::Throttled { reply: Some(reply), silence })))
            }
            b'x' => Box::pin(std::future::ready(Err(Close("x".into())))),
            _ => Box::pin(std::future::ready(Ok(reply))),
        }
    }
}

struct Fixture {
    recorder: Arc<Recorder>,
    clock: Arc<ManualClock>,
    closing: Arc<Semaphore>,
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
    ended: tokio::task::JoinHandle<Ended>,
}

impl Fixture {
    fn new() -> Self {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let (receiver, sender) = tokio::io::split(server);
        let address = "127.0.0.1:1".parse().expect("an address");
        let connection = net::Connection {
            receiver: Box::new(receiver),
            sender: Box::new(Sender(sender)),
            peer: address,
            local: address,
        };
        let (recorder, clock) = (Arc::<Recorder>::default(), Arc::<ManualClock>::default());
        let closing = Arc::new(Semaphore::new(0));
        let limits = Limits {
            frame_bytes_max: 1000,
            idle_max: Duration::from_secs(600),
            memory: FrameMemory::new(1024 * 1024),
            clock: clock.clone(),
            closing: closing.clone(),
        };
        let service = RecorderService(recorder.clone());
        let ended = tokio::spawn(async move { serve(connection, &service, limits).await });
        let (reader, writer) = tokio::io::split(client);
        Self { recorder, clock, closing, reader, writer, ended }
    }

    async fn send(&mut self, names: &[&str]) {
        for name in names {
            self.writer.write_all(&(name.len() as i32).to_be_bytes()).await.expect("room");
            self.writer.write_all(name.as_bytes()).await.expect("room");
        }
        settle().await;
    }

    fn begun(&self) -> String {
        self.recorder.begun.lock().join(" ")
    }

    fn release(&self) {
        let release = self.recorder.waiting.lock().pop_front().expect("one waits");
        release.send(()).expect("the connection lives");
    }

    async fn answered(&mut self, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        self.reader.read_exact(&mut bytes).await.expect("an answer");
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }
}

/// Lets the connection's task run until it waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(test);
}

#[test]
fn produces_run_ahead_of_each_other_and_are_answered_in_order() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.send(&["p1", "p2", "p3"]).await;
        assert_eq!(fixture.begun(), "p1 p2 p3");
        let third = fixture.recorder.waiting.lock().pop_back().expect("three wait");
        third.send(()).expect("the connection lives");
        fixture.release();
        fixture.answered("p1").await;
        fixture.release();
        fixture.answered("p2p3").await;
    });
}

#[test]
fn the_times_of_a_request_tell_where_it_waited() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.send(&["p1", "q2"]).await;
        assert_eq!(*fixture.recorder.queued.lock(), 1, "q2 may not begin");
        fixture.clock.advance(Duration::from_secs(3));
        fixture.release();
        fixture.answered("p1q2").await;
        settle().await;
        assert_eq!(*fixture.recorder.queued.lock(), 0);
        assert_eq!(*fixture.recorder.served.lock(), [('p', [0, 0, 3]), ('q', [3, 0, 0])]);
        // A client that goes while its request is queued leaves none behind.
        fixture.send(&["p3", "q4"]).await;
        assert_eq!(*fixture.recorder.queued.lock(), 1);
        let Fixture { recorder, reader, writer, ended, .. } = fixture;
        drop((reader, writer));
        recorder.waiting.lock().clear();
        ended.await.expect("it ends");
        assert_eq!(*recorder.queued.lock(), 0);
    });
}

#[test]
fn nothing_else_runs_ahead_of_a_waiting_produce() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.send(&["p1", "q2", "p3"]).await;
        assert_eq!(fixture.begun(), "p1");
        fixture.release();
        fixture.answered("p1q2").await;
        settle().await;
        assert_eq!(fixture.begun(), "p1 q2 p3");
    });
}

#[test]
fn at_most_sixteen_wait_and_the_rest_stays_in_the_socket() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.send(&["p"; 20]).await;
        assert_eq!(fixture.recorder.begun.lock().len(), PENDING_MAX);
        fixture.release();
        fixture.answered("p").await;
        settle().await;
        assert_eq!(fixture.recorder.begun.lock().len(), PENDING_MAX + 1);
    });
}

#[test]
fn a_request_that_closes_waits_until_earlier_answers_have_left() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.send(&["p1", "x", "q"]).await;
        assert_eq!(fixture.begun(), "p1");
        fixture.release();
        fixture.answered("p1").await;
        assert!(matches!(fixture.ended.await, Ok(Ended::Refused(_))));
        assert_eq!(fixture.reader.read(&mut [0]).await.expect("the end"), 0);
        assert_eq!(fixture.recorder.begun.lock().join(" "), "p1 x");
    });
}

#[test]
fn a_silent_request_is_not_answered() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.send(&["s", "q"]).await;
        fixture.answered("q").await;
    });
}

#[test]
fn what_was_asked_before_the_peer_closed_its_half_is_answered() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.send(&["p1"]).await;
        fixture.writer.shutdown().await.expect("closes");
        settle().await;
        fixture.release();
        fixture.answered("p1").await;
        assert!(matches!(fixture.ended.await, Ok(Ended::Receive(FrameError::Closed))));
    });
}

#[test]
fn an_idle_connection_is_closed_and_activity_puts_it_off() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.clock.advance(Duration::from_secs(599));
        fixture.send(&["q"]).await;
        fixture.answered("q").await;
        fixture.clock.advance(Duration::from_secs(599));
        settle().await;
        assert!(!fixture.ended.is_finished());
        fixture.clock.advance(Duration::from_secs(1));
        assert!(matches!(fixture.ended.await, Ok(Ended::Idle)));
    });
}

#[test]
fn a_client_that_never_reads_holds_its_own_connection_only_and_not_for_ever() {
    run(async {
        let mut fixture = Fixture::new();
        let name = "q".repeat(900);
        for _ in 0..100 {
            fixture.writer.write_all(&900_i32.to_be_bytes()).await.expect("room");
            fixture.writer.write_all(name.as_bytes()).await.expect("room");
            settle().await;
            if fixture.recorder.begun.lock().len() > 72 {
                break;
            }
        }
        // 64 KiB of answers fill the stream; the connection then reads nothing more.
        let begun = fixture.recorder.begun.lock().len();
        assert!(begun <= 74, "{begun} answers of 900 bytes for a peer with room for 72");
        fixture.clock.advance(Duration::from_secs(601));
        assert!(matches!(fixture.ended.await, Ok(Ended::Idle)));
    });
}

#[test]
fn a_server_that_shuts_down_answers_what_has_begun() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.send(&["p1"]).await;
        fixture.closing.close();
        settle().await;
        fixture.release();
        fixture.answered("p1").await;
        assert!(matches!(fixture.ended.await, Ok(Ended::Closing)));
    });
}

#[test]
fn a_client_over_its_quota_is_answered_at_once_and_then_not_heard_for_as_long() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.send(&["p1", "p2", "t", "q"]).await;
        fixture.release();
        fixture.release();
        fixture.answered("p1p2t").await;
        settle().await;
        fixture.clock.advance(Duration::from_millis(9_999));
        settle().await;
        assert_eq!(fixture.begun(), "p1 p2 t");
        fixture.clock.advance(Duration::from_millis(1));
        fixture.answered("q").await;
    });
}

#[test]
fn a_server_that_shuts_down_does_not_wait_for_a_client_that_is_not_heard() {
    run(async {
        let mut fixture = Fixture::new();
        fixture.send(&["t", "q"]).await;
        fixture.answered("t").await;
        settle().await;
        fixture.closing.close();
        assert!(matches!(fixture.ended.await, Ok(Ended::Closing)));
        assert_eq!(fixture.recorder.begun.lock().join(" "), "t");
    });
}
