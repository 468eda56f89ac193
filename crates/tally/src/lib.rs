//! Counts and times that many threads add to and somebody reads now and then. Adding costs an atomic addition or two and
//! allocates nothing. Knows no name, no label and no clock: who reads gives them a meaning.
mod histogram;

pub use histogram::{Distribution, Histogram, OCTAVES};

use std::sync::atomic::{AtomicU64, Ordering};

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down; never below zero, if each `leave` follows its `enter`.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
