//! The built binary as a person has it: started in a directory of its own, listened to, signalled, ended. Knows nothing
//! of the broker's insides.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// Nothing here takes that long, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What a stop may take, by the promise of the README.
pub const STOP_MAX: Duration = Duration::from_secs(2);

/// A directory of a test's own, gone after it.
pub struct Home {
    path: PathBuf,
}

impl Home {
    pub fn new(name: &str) -> Home {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Home { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.join("ottla-data")
    }

    /// What stands in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// `ottla` with these arguments, in `home`, with none of our own variables.
pub fn ottla(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.args(arguments).current_dir(home.path()).env_clear().env("TMPDIR", home.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a process that ended has left.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ended {
    #[track_caller]
    pub fn with_code(self, code: i32) -> Ended {
        assert_eq!(self.status.code(), Some(code), "signal {:?}: {}{}", self.status.signal(), self.out, self.err);
        self
    }
}

/// Runs to its end. One that does not end is killed, and the test fails.
#[track_caller]
pub fn run(mut command: Command) -> Ended {
    ended(command.spawn().unwrap())
}

/// What it has left at its end, or in the streams that nobody has taken.
#[track_caller]
pub fn ended(mut child: Child) -> Ended {
    let out = child.stdout.take().map(Listened::to);
    let err = child.stderr.take().map(Listened::to);
    let status = wait(&mut child, PATIENCE);
    let text = |stream: Option<Listened>| stream.map(|stream| stream.text()).unwrap_or_default();
    let (out, err) = (text(out), text(err));
    let status = status.unwrap_or_else(|| panic!("it does not end: {out}{err}"));
    Ended { status, out, err }
}

/// `None` if it had to be killed.
fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// A stream of a process, read to its end by a thread.
#[derive(Clone)]
pub struct Listened {
    heard: Arc<(Mutex<Heard>, Condvar)>,
}

#[derive(Default)]
struct Heard {
    text: String,
    ended: bool,
}

impl Listened {
    pub fn to(stream: impl Read + Send + 'static) -> Listened {
        let listened = Listened { heard: Arc::default() };
        let heard = listened.heard.clone();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stream);
            loop {
                let mut line = Vec::new();
                let read = lines.read_until(b'\n', &mut line);
                let mut state = heard.0.lock().unwrap();
                state.text.push_str(&String::from_utf8_lossy(&line));
                state.ended = !matches!(read, Ok(1..));
                heard.1.notify_all();
                if state.ended {
                    return;
                }
            }
        });
        listened
    }

    /// Reads until `what` has come, and not a byte further; gives the stream up.
    pub fn to_line(mut stream: impl Read, what: &str) -> String {
        let mut text = Vec::new();
        let mut byte = [0];
        while !String::from_utf8_lossy(&text).lines().any(|line| line.contains(what)) || !text.ends_with(b"\n") {
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "no {what:?} in:\n{}", String::from_utf8_lossy(&text));
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    /// All of it. The process has ended, or will.
    pub fn text(&self) -> String {
        let (heard, told) = &*self.heard;
        let heard = heard.lock().unwrap();
        told.wait_timeout_while(heard, PATIENCE, |heard| !heard.ended).unwrap().0.text.clone()
    }

    /// What has come so far, once `what` is in it.
    #[track_caller]
    pub fn wait_for(&self, what: &str) -> String {
        let (heard, told) = &*self.heard;
        let heard = heard.lock().unwrap();
        let waits = |heard: &mut Heard| !heard.ended && !heard.text.contains(what);
        let heard = told.wait_timeout_while(heard, PATIENCE, waits).unwrap().0;
        assert!(heard.text.contains(what), "no {what:?} in:\n{}", heard.text);
        heard.text.clone()
    }
}

/// A broker that has said that it is ready. Killed when dropped.
pub struct Broker {
    child: Child,
    pub out: Listened,
    pub err: Listened,
    /// Of the first listener.
    pub address: SocketAddr,
}

/// Arguments of a broker on a free port of 127.0.0.1, without HTTP, with its data in `ottla-data`.
pub const QUIET: &[&str] = &["--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override", "ottla.http.listener="];

impl Broker {
    #[track_caller]
    pub fn start(home: &Home) -> Broker {
        Self::start_with(home, QUIET)
    }

    #[track_caller]
    pub fn start_with(home: &Home, arguments: &[&str]) -> Broker {
        Self::spawn(ottla(home, arguments))
    }

    #[track_caller]
    pub fn spawn(mut command: Command) -> Broker {
        let mut child = command.spawn().unwrap();
        let out = Listened::to(child.stdout.take().unwrap());
        let err = Listened::to(child.stderr.take().unwrap());
        let mut broker = Broker { child, out, err, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        let said = broker.err.wait_for("listening on PLAINTEXT://");
        broker.address = address_after(&said, "listening on PLAINTEXT://");
        broker
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        let status = wait(&mut self.child, PATIENCE);
        let (out, err) = (self.out.text(), self.err.text());
        let status = status.unwrap_or_else(|| panic!("it does not end: {out}{err}"));
        Ended { status, out, err }
    }

    /// A clean stop within the time that is promised.
    #[track_caller]
    pub fn stop(self, signal: Signal) -> Ended {
        let began = Instant::now();
        self.signal(signal);
        let ended = self.ended().with_code(0);
        let took = began.elapsed();
        assert!(took < STOP_MAX, "{took:?}: {}", ended.err);
        assert!(ended.err.trim_end().ends_with("stopped"), "{}", ended.err);
        ended
    }

    /// As the power does it, but for the kernel's memory.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that stands behind `what`.
#[track_caller]
pub fn address_after(text: &str, what: &str) -> SocketAddr {
    let behind = &text[text.find(what).unwrap_or_else(|| panic!("no {what:?} in:\n{text}")) + what.len()..];
    let end = behind.find(|letter: char| letter.is_whitespace() || letter == ',' || letter == '/');
    behind[..end.unwrap_or(behind.len())].parse().unwrap_or_else(|error| panic!("{error}: {behind}"))
}

/// A port that is free on both loopbacks, most probably still when it is used.
pub fn free_port() -> u16 {
    for _ in 0..100 {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = v4.local_addr().unwrap().port();
        if TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free on 127.0.0.1 and on [::1]");
}

/// Status and body of a page.
pub fn http(address: SocketAddr, path: &str) -> (u16, String) {
    let Page { status, body, .. } = http_accepting(address, path, "*/*");
    (status, body)
}

pub struct Page {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// In the old protocol, so that the body is what comes until the connection ends.
pub fn http_accepting(address: SocketAddr, path: &str, accept: &str) -> Page {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: ottla\r\nAccept: {accept}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {answer}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status: {head}"));
    Page { status, head: head.to_owned(), body: body.to_owned() }
}
