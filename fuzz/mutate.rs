//! A small fuzzer for `cargo test`: takes what is in the corpus, changes it, and hands it to a function that panics where
//! something does not hold. Every input can be had again: it is written to a file when that happens.
//!
//! `OTTLA_FUZZ_SECONDS` says how long each target gets (CI: 10); `OTTLA_FUZZ_SEED` begins elsewhere.
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Without a word from anybody.
const INPUTS: u64 = 2000;
const TIME: Duration = Duration::from_secs(1);
const BYTES_MAX: usize = 32 << 10;

/// What may be put right behind a mutation, so that a checksum does not hide what is behind it.
pub type Mend = fn(&mut [u8]);

/// Replays the corpus of `target`, and then its mutants. Returns how many inputs that were.
pub fn run(target: &str, mend: Mend, mut hold: impl FnMut(&[u8])) -> u64 {
    let corpus = corpus(target);
    for (_, bytes) in &corpus {
        hold(bytes);
    }
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = variable("OTTLA_FUZZ_SECONDS");
    let mut chance = Chance(variable("OTTLA_FUZZ_SEED").unwrap_or(1) | 1);
    let began = Instant::now();
    let mut inputs = 0;
    let goes_on = |inputs: u64| match seconds {
        Some(seconds) => began.elapsed() < Duration::from_secs(seconds),
        None => inputs < INPUTS && began.elapsed() < TIME,
    };
    while goes_on(inputs) {
        let (_, seed) = &corpus[chance.below(corpus.len())];
        let mut bytes = seed.clone();
        for _ in 0..1 + chance.below(4) {
            let (_, other) = &corpus[chance.below(corpus.len())];
            mutate(&mut bytes, other, &mut chance);
        }
        bytes.truncate(BYTES_MAX);
        if chance.below(4) > 0 {
            mend(&mut bytes);
        }
        let told = Told { target, bytes: &bytes };
        hold(&bytes);
        std::mem::forget(told);
        inputs += 1;
    }
    println!("fuzz {target}: {} of the corpus, {inputs} mutants", corpus.len());
    inputs
}

fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds")
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = seeds().join(target);
    let files = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut corpus: Vec<_> = files
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().to_string_lossy().into_owned(), std::fs::read(file.path()).unwrap()))
        .collect();
    corpus.sort();
    assert!(!corpus.is_empty(), "{} is empty", directory.display());
    corpus
}

/// Keeps the input where `hold` panics.
struct Told<'a> {
    target: &'a str,
    bytes: &'a [u8],
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let path = std::env::temp_dir().join(format!("ottla-fuzz-{}-{:x}", self.target, sum(self.bytes)));
        let _ = std::fs::write(&path, self.bytes);
        eprintln!("the input is in {}; put right, it belongs into fuzz/seeds/{}", path.display(), self.target);
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

pub struct Chance(u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit.max(1)
    }
}

/// Numbers that have broken things before.
const ODD: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
];

fn mutate(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(bytes.len());
    match chance.below(9) {
        0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
        2 if !bytes.is_empty() => bytes[at] = chance.next() as u8,
        3 => bytes.truncate(at),
        4 => {
            let end = (at + 1 + chance.below(64)).min(bytes.len());
            bytes.drain(at.min(end)..end);
        }
        5 => {
            let from = chance.below(other.len());
            let end = (from + 1 + chance.below(256)).min(other.len());
            let part = other[from.min(end)..end].to_vec();
            bytes.splice(at..at, part);
        }
        6 => {
            // A number of 4 or 8 bytes that is odd, or nearly what it was.
            let width = if chance.below(2) == 0 { 4 } else { 8 };
            if let Some(field) = bytes.get_mut(at..at + width) {
                let odd = ODD[chance.below(ODD.len())].to_be_bytes();
                field.copy_from_slice(&odd[8 - width..]);
            }
        }
        7 => {
            let end = (at + 1 + chance.below(128)).min(bytes.len());
            let part = bytes[at.min(end)..end].to_vec();
            bytes.splice(at..at, part);
        }
        _ => {
            let last = bytes.len();
            let end = (at + 1 + chance.below(32)).min(last);
            bytes[at.min(end)..end].fill(0);
        }
    }
}
