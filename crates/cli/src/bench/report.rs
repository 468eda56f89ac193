//! What a measurement says: a line that moves on a terminal while it runs, and one row at its end.
use std::time::Duration;

use env::Instant;
use serde_json::{Value, json};

use super::histogram::Histogram;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::{Output, Table};

/// How often the line moves.
const MOVES: Duration = Duration::from_millis(500);

const BAR_WIDTH: usize = 20;

pub struct Report {
    began: Instant,
    /// How many records there are to be, if that is known.
    goal: Option<u64>,
    pub records: u64,
    pub bytes: u64,
    /// Of records that were written, or of fetches that brought something.
    pub times: Histogram,
    moves_at: Instant,
    records_then: u64,
    bytes_then: u64,
}

impl Report {
    pub fn new(goal: Option<u64>, now: Instant) -> Report {
        let (records, bytes, moves_at) = (0, 0, now + MOVES);
        let times = Histogram::new();
        Report { began: now, goal, records, bytes, times, moves_at, records_then: 0, bytes_then: 0 }
    }

    /// When the line is to move next.
    pub fn moves_at(&self) -> Instant {
        self.moves_at
    }

    /// Moves the line, if it is time and there is a terminal.
    pub fn progress(&mut self, now: Instant, console: &mut Console) {
        if now < self.moves_at {
            return;
        }
        let seconds = (now.since(self.moves_at) + MOVES).as_secs_f64();
        let share = match self.goal {
            Some(goal) if goal > 0 => bar(self.records as f64 / goal as f64),
            _ => String::new(),
        };
        let records = (self.records - self.records_then) as f64 / seconds;
        let mib = mib(self.bytes - self.bytes_then) / seconds;
        let p99 = self.times.per_mille_ms(990).unwrap_or(0.0);
        console.progress(&format!("{share}{records:.0} records/s  {mib:.1} MiB/s  p99 {p99:.1} ms"));
        (self.records_then, self.bytes_then) = (self.records, self.bytes);
        self.moves_at = now + MOVES;
    }

    pub fn print(&self, now: Instant, output: Output, console: &mut Console) -> Result<(), Failure> {
        console.end_progress();
        let seconds = now.since(self.began).as_secs_f64();
        let per_second = |amount: f64| json!(if seconds > 0.0 { rounded(amount / seconds) } else { 0.0 });
        let ms = |time: Option<f64>| time.map_or(Value::Null, |time| json!(rounded(time)));
        let mut table = Table::new(&[
            "RECORDS",
            "BYTES",
            "SECONDS",
            "RECORDS_PER_S",
            "MIB_PER_S",
            "MEAN_MS",
            "P50_MS",
            "P95_MS",
            "P99_MS",
            "P99_9_MS",
            "MAX_MS",
        ]);
        table.row(vec![
            json!(self.records),
            json!(self.bytes),
            json!(rounded(seconds)),
            per_second(self.records as f64),
            per_second(mib(self.bytes)),
            ms(self.times.mean_ms()),
            ms(self.times.per_mille_ms(500)),
            ms(self.times.per_mille_ms(950)),
            ms(self.times.per_mille_ms(990)),
            ms(self.times.per_mille_ms(999)),
            ms(self.times.max_ms()),
        ]);
        table.print(output, console)
    }
}

/// How much of it is done.
fn bar(share: f64) -> String {
    let done = "#".repeat((share * BAR_WIDTH as f64) as usize);
    format!("[{done:<BAR_WIDTH$}] {:>5.1} %  ", share * 100.0)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// To thousandths.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
