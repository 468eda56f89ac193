//! Stdin, stdout, stderr and Ctrl-C, as a command has them. A test brings its own.
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use env::{BoxFuture, Env, Next, Worker};
use tokio::sync::mpsc;

use crate::failure::{Failure, Failures};

pub struct Console {
    input: Option<Box<dyn Read + Send>>,
    output: BufWriter<Box<dyn Write + Send>>,
    errors: Box<dyn Write + Send>,
    pub input_is_terminal: bool,
    pub output_is_terminal: bool,
    pub errors_are_terminal: bool,
    interrupted: Option<BoxFuture<()>>,
    /// Somebody waits for `interrupted`.
    handles_interrupts: Arc<AtomicBool>,
    output_is_unread: fn() -> bool,
    /// All variables of the process.
    pub variables: Vec<(String, String)>,
}

/// Stdin is read in pieces of this size, this many ahead.
const INPUT_BYTES: usize = 64 * 1024;
const INPUT_PIECES: usize = 16;
const OUTPUT_BYTES: usize = 64 * 1024;

impl Console {
    /// That of the process. Call it in a task. Ctrl-C ends the process at once, unless the command waits for it: then a
    /// second one does.
    pub fn standard(env: &Env) -> io::Result<Console> {
        let mut termination = env::process::termination()?;
        let (signalled, mut signals) = mpsc::channel(1);
        let handles_interrupts = Arc::new(AtomicBool::new(false));
        let is_handled = handles_interrupts.clone();
        let watch = async move {
            termination.next().await;
            if is_handled.load(Ordering::SeqCst) {
                let _ = signalled.try_send(());
                termination.next().await;
            }
            env::process::exit(crate::Exit::Interrupted as u8);
        };
        env.spawn.task("signals", Box::pin(watch));
        let interrupted = Box::pin(async move {
            let _ = signals.recv().await;
        });
        let mut console =
            Console::new(Box::new(io::stdin()), Box::new(io::stdout()), Box::new(io::stderr()), interrupted);
        console.input_is_terminal = env::process::stdin_is_terminal();
        console.output_is_terminal = env::process::stdout_is_terminal();
        console.errors_are_terminal = env::process::stderr_is_terminal();
        console.handles_interrupts = handles_interrupts;
        console.output_is_unread = env::process::stdout_is_unread;
        console.variables = env::process::variables();
        Ok(console)
    }

    /// One of a test: no terminal anywhere, no variables.
    pub fn new(
        input: Box<dyn Read + Send>,
        output: Box<dyn Write + Send>,
        errors: Box<dyn Write + Send>,
        interrupted: BoxFuture<()>,
    ) -> Console {
        let output = BufWriter::with_capacity(OUTPUT_BYTES, output);
        let (input_is_terminal, output_is_terminal, errors_are_terminal) = (false, false, false);
        Console {
            input: Some(input),
            output,
            errors,
            input_is_terminal,
            output_is_terminal,
            errors_are_terminal,
            interrupted: Some(interrupted),
            handles_interrupts: Arc::default(),
            output_is_unread: || false,
            variables: Vec::new(),
        }
    }

    /// Stdin, piece by piece, read by a thread of its own, since reading it waits for people. The channel ends where
    /// stdin does.
    pub fn input(&mut self, env: &Env) -> mpsc::Receiver<io::Result<Bytes>> {
        let (sender, receiver) = mpsc::channel(INPUT_PIECES);
        let input = self.input.take().expect("a command reads stdin once");
        env.spawn.worker("stdin", Box::new(InputReader { input, sender }));
        receiver
    }

    /// Ready at Ctrl-C.
    pub fn interrupted(&mut self) -> BoxFuture<()> {
        self.handles_interrupts.store(true, Ordering::SeqCst);
        self.interrupted.take().expect("a command waits for Ctrl-C in one place")
    }

    /// One line of stdin, for a yes or no.
    async fn line(&mut self, env: &Env) -> Result<String, Failure> {
        let mut input = self.input(env);
        let mut line = Vec::new();
        while let Some(piece) = input.recv().await {
            line.extend_from_slice(&piece.map_err(|error| Failure::new(format!("cannot read stdin: {error}")))?);
            if line.contains(&b'\n') {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&line).lines().next().unwrap_or_default().to_owned())
    }

    /// All of stdin as text.
    pub async fn all_input(&mut self, env: &Env, bytes_max: usize) -> Result<String, Failure> {
        let mut input = self.input(env);
        let mut text = Vec::new();
        while let Some(piece) = input.recv().await {
            text.extend_from_slice(&piece.map_err(|error| Failure::new(format!("cannot read stdin: {error}")))?);
            if text.len() > bytes_max {
                return Err(Failure::new(format!("stdin has more than {bytes_max} bytes")));
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Asks a person; where there is none, whoever wrote the script has decided.
    /// `yes` was said before. `refused` is what is so if it is not said now.
    pub async fn confirm(&mut self, env: &Env, yes: bool, question: &str, refused: &str) -> Result<(), Failure> {
        if yes || !self.input_is_terminal {
            return Ok(());
        }
        let _ = write!(self.errors, "{question} [y/N] ");
        let _ = self.errors.flush();
        match self.line(env).await?.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::new(refused)),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.output.write_all(bytes)?)
    }

    pub fn print(&mut self, line: &str) -> Result<(), Failure> {
        self.write(line.as_bytes())?;
        self.write(b"\n")
    }

    /// Fails also if there was nothing to write and nobody would have read it.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.output.flush()?;
        if (self.output_is_unread)() {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        Ok(())
    }

    /// Both streams at a time: data, and what there is to say about it.
    pub fn split(&mut self) -> (&mut impl Write, &mut (dyn Write + Send)) {
        (&mut self.output, &mut *self.errors)
    }

    /// Says all failures but the first, which is the command's own and is said where it ends.
    pub fn end(&mut self, failures: Failures) -> Result<(), Failure> {
        let mut failures = failures.into_iter();
        let Some(first) = failures.next() else { return Ok(()) };
        failures.for_each(|failure| self.report(&failure));
        Err(first)
    }

    /// Something for the person in front of the terminal.
    pub fn say(&mut self, line: &str) {
        let _ = writeln!(self.errors, "{line}");
    }

    /// A line that moves, for the person in front of the terminal; nobody else sees it.
    pub fn progress(&mut self, line: &str) {
        if self.errors_are_terminal {
            let _ = write!(self.errors, "\r\x1b[K{line}");
            let _ = self.errors.flush();
        }
    }

    /// Takes the line away.
    pub fn end_progress(&mut self) {
        self.progress("");
    }

    pub(crate) fn report(&mut self, failure: &Failure) {
        if !failure.silent {
            self.say(&failure.to_string());
        }
    }
}

struct InputReader {
    input: Box<dyn Read + Send>,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Worker for InputReader {
    fn step(&mut self) -> Next {
        let mut piece = vec![0; INPUT_BYTES];
        let (piece, next) = match self.input.read(&mut piece) {
            Ok(0) => return Next::Stop,
            Ok(length) => {
                piece.truncate(length);
                (Ok(piece.into()), Next::Again)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Next::Again,
            Err(error) => (Err(error), Next::Stop),
        };
        match self.sender.blocking_send(piece) {
            Ok(()) => next,
            Err(_) => Next::Stop, // The command has ended.
        }
    }
}
