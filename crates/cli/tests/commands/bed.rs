//! A command with streams of its own, and the broker that it speaks to.
use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use clap::Parser;
use cli::Console;
use env::real::Runtime;
use tokio::sync::oneshot;

const RESOURCES: node::Resources = node::Resources { memory_bytes: 1 << 30, open_files_max: 1 << 12 };

#[derive(Parser)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: cli::Command,
}

/// Where the broker is. It lives until the process ends.
pub fn bootstrap() -> &'static str {
    static BOOTSTRAP: OnceLock<String> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| match std::env::var("OTTLA_TEST_BOOTSTRAP") {
        Ok(bootstrap) => bootstrap,
        Err(_) => {
            let runtime = Box::leak(Box::new(Runtime::new(2).unwrap()));
            let home = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("commands");
            let _ = std::fs::remove_dir_all(&home);
            std::fs::create_dir_all(&home).unwrap();
            let config = node::config::Config::for_tests(home.to_str().unwrap(), 0);
            let env = runtime.env();
            let node = runtime.block_on(async { node::Node::start(env, &config, RESOURCES).await.unwrap() });
            let bootstrap = node.addresses()[0].1.to_string();
            std::mem::forget(node);
            bootstrap
        }
    })
}

pub struct Ran {
    pub code: u8,
    pub out: String,
    pub err: String,
}

/// What a command writes, while it runs.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A command that runs in a thread of its own until it ends or is interrupted.
pub struct Running {
    pub out: Written,
    pub err: Written,
    interrupt: Option<oneshot::Sender<()>>,
    thread: std::thread::JoinHandle<u8>,
}

impl Running {
    pub fn start(line: &str, stdin: impl Into<Vec<u8>>) -> Running {
        Running::with_words(std::iter::once("ottla").chain(line.split(' ')).chain(["-b", bootstrap()]), stdin)
    }

    /// One that speaks to nobody.
    pub fn start_alone(line: &str) -> Running {
        Running::with_words(std::iter::once("ottla").chain(line.split(' ')), "")
    }

    fn with_words<'a>(words: impl Iterator<Item = &'a str>, stdin: impl Into<Vec<u8>>) -> Running {
        let command = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).command;
        let (out, err, stdin) = (Written::default(), Written::default(), stdin.into());
        let (interrupt, interrupted) = oneshot::channel();
        let streams = (out.clone(), err.clone());
        let thread = std::thread::spawn(move || {
            let runtime = Runtime::new(1).unwrap();
            runtime.block_on(async {
                let interrupted = Box::pin(async move {
                    if interrupted.await.is_err() {
                        std::future::pending::<()>().await;
                    }
                });
                let (out, err) = streams;
                let console = Console::new(Box::new(Cursor::new(stdin)), Box::new(out), Box::new(err), interrupted);
                cli::run(command, env::real::env(), console).await
            })
        });
        Running { out, err, interrupt: Some(interrupt), thread }
    }

    pub fn wait_for(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(&self.out.text()) {
            assert!(Instant::now() < deadline, "{what}: {} {}", self.out.text(), self.err.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn interrupt(mut self) -> Ran {
        let _ = self.interrupt.take().unwrap().send(());
        self.end()
    }

    pub fn end(self) -> Ran {
        let keep = self.interrupt;
        let code = self.thread.join().unwrap();
        drop(keep);
        Ran { code, out: self.out.text(), err: self.err.text() }
    }
}

pub fn fed(line: &str, stdin: impl Into<Vec<u8>>) -> Ran {
    Running::start(line, stdin).end()
}

pub fn ran(line: &str) -> Ran {
    fed(line, "")
}

pub fn ok(line: &str) -> String {
    let Ran { code, out, err } = ran(line);
    assert_eq!(code, 0, "{line}: {out}{err}");
    out
}

/// A topic of this test's own, so that an outside broker may keep what was there.
pub fn topic(name: &str, options: &str) -> String {
    let topic = format!("{name}-{}", std::process::id());
    ok(format!("topic create {topic} {options}").trim());
    topic
}
