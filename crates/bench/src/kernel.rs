//! The kernel alone: what the bytes of a load cost whoever sends them to sockets of this machine, asked for by the same
//! readers. No broker can be cheaper. Speaks no Kafka: a question is taken as it comes, and answered with zeros.
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};

use crate::Span;
use crate::fleet::{self, Conversation};
use crate::wire::{Error, TIMEOUT};

#[derive(Clone, clap::Args)]
pub struct Options {
    #[command(flatten)]
    span: Span,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// In an answer.
    #[arg(long, default_value_t = 1 << 20)]
    bytes: usize,
    /// Answers come from a file in this directory, removed at the end, with sendfile and as fast as they are asked for.
    #[arg(long, conflicts_with = "rate")]
    directory: Option<PathBuf>,
    /// Answers come from memory, to all connections in turn so many times a second.
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
}

/// As large as a Fetch of one partition.
const QUESTION_BYTES: usize = 100;

pub fn run(options: &Options) -> Result<serde_json::Value, Error> {
    match &options.directory {
        None => measure(options, None),
        Some(directory) => {
            let path = directory.join("kernel-alone");
            let report = measure(options, Some(&path));
            std::fs::remove_file(&path)?;
            report
        }
    }
}

fn measure(options: &Options, path: Option<&Path>) -> Result<serde_json::Value, Error> {
    let length = u32::try_from(options.bytes)?.to_be_bytes();
    let frame = [&length[..], &vec![0; options.bytes]].concat();
    let file = path.map(|path| std::fs::write(path, &frame).and_then(|()| std::fs::File::open(path))).transpose()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let begin = Instant::now();
    let span = options.span.measured();
    let until = match &file {
        Some(_) => Until::Time(begin + span),
        None => Until::Answers((options.rate * span.as_secs_f64()) as u64),
    };
    let mut readers: Vec<_> =
        (0..options.connections).map(|_| Reader { until, answers: 0, is_waiting: false }).collect();
    let spent = std::thread::scope(|scope| {
        let reading = scope.spawn(|| fleet::run(address, &mut readers));
        let streams: Vec<TcpStream> = readers_of(&listener, options.connections)?;
        let spent = match &file {
            Some(file) => {
                let senders: Vec<_> =
                    streams.into_iter().map(|stream| scope.spawn(|| send_file(stream, file, frame.len()))).collect();
                senders.into_iter().map(|sender| sender.join().map_err(|_| "a sender panicked")?).sum()
            }
            None => send_at_rate(streams, &frame, begin, options.rate),
        };
        reading.join().map_err(|_| "the readers' thread panicked")??;
        spent
    })?;
    let bytes = readers.iter().map(|reader| reader.answers).sum::<u64>() as f64 * options.bytes as f64;
    Ok(serde_json::json!({
        "total_bytes": bytes,
        "mib_per_second": bytes / (1 << 20) as f64 / begin.elapsed().as_secs_f64(),
        "cpu_seconds": spent.as_secs_f64(),
    }))
}

fn readers_of(listener: &TcpListener, count: usize) -> io::Result<Vec<TcpStream>> {
    let accepted = |_| {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(stream)
    };
    (0..count).map(accepted).collect()
}

/// Until the reader has gone. Answers how long the thread has worked.
fn send_file(mut stream: TcpStream, file: &std::fs::File, frame_bytes: usize) -> Result<Duration, Error> {
    let mut question = [0; QUESTION_BYTES];
    while is_asked(&mut stream, &mut question)? {
        let (mut at, mut left) = (0, frame_bytes);
        while left > 0 {
            left -= rustix::fs::sendfile(&stream, file, Some(&mut at), left)?;
        }
    }
    Ok(worked())
}

fn send_at_rate(mut streams: Vec<TcpStream>, frame: &[u8], begin: Instant, rate: f64) -> Result<Duration, Error> {
    let mut question = [0; QUESTION_BYTES];
    let before = worked();
    for turn in 1.. {
        let due = begin + Duration::from_secs_f64(f64::from(turn) / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for stream in &mut streams {
            if !is_asked(stream, &mut question)? {
                return Ok(worked() - before);
            }
            stream.write_all(frame)?;
        }
    }
    unreachable!("the readers end")
}

fn is_asked(stream: &mut TcpStream, question: &mut [u8]) -> io::Result<bool> {
    match stream.read_exact(question) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// By this thread, since it began.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

struct Reader {
    until: Until,
    answers: u64,
    is_waiting: bool,
}

#[derive(Clone, Copy)]
enum Until {
    Time(Instant),
    /// All readers end with the same answer: the one thread that answers them in turn waits for each.
    Answers(u64),
}

impl Conversation for Reader {
    fn next_request(&mut self) -> Result<Option<Bytes>, Error> {
        let is_over = match self.until {
            Until::Time(end) => Instant::now() >= end,
            Until::Answers(answers) => self.answers == answers,
        };
        if self.is_waiting || is_over {
            return Ok(None);
        }
        self.is_waiting = true;
        Ok(Some(Bytes::from_static(&[0; QUESTION_BYTES])))
    }

    fn answered(&mut self, _: &[u8]) -> Result<(), Error> {
        self.is_waiting = false;
        self.answers += 1;
        Ok(())
    }
}
