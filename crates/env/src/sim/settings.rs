//! What a simulated world is like: its seed and how long things take in it. Times are nanoseconds.
use std::ops::Range;

/// Takes one line per event.
pub type Trace = Box<dyn FnMut(&str) + Send + Sync>;

pub struct Settings {
    pub seed: u64,
    /// When the world begins, for one that goes on where another stands.
    pub begins_ns: u64,
    /// From a wake to the step that it asks for.
    pub wake_ns: Range<u64>,
    /// How probably a step comes much later, as if the kernel had run something else.
    pub hiccup_probability: f64,
    pub hiccup_ns: Range<u64>,
    /// A worker that comes late more often: its name, how probably, and by how much.
    pub starved: Option<(&'static str, f64, Range<u64>)>,
    /// One way through the network.
    pub network_ns: Range<u64>,
    pub network_hiccup_probability: f64,
    pub network_hiccup_ns: Range<u64>,
    /// How probably one call reads or writes less than it could.
    pub partial_probability: f64,
    /// What one direction of a connection holds before its writer must wait.
    pub socket_bytes: Range<u64>,
    pub sync_ns: Range<u64>,
    pub slow_sync_probability: f64,
    pub slow_sync_ns: Range<u64>,
    pub write_ns: Range<u64>,
    pub write_bytes_per_us: u64,
    pub cold_read_ns: Range<u64>,
    /// More than these are a loop that never ends.
    pub events_max: u64,
    pub trace: Option<Trace>,
}

impl Settings {
    pub fn seed(seed: u64) -> Self {
        Self {
            seed,
            begins_ns: 0,
            wake_ns: 500..6_000,
            hiccup_probability: 0.002,
            hiccup_ns: 50_000..3_000_000,
            starved: None,
            network_ns: 15_000..120_000,
            network_hiccup_probability: 0.002,
            network_hiccup_ns: 1_000_000..20_000_000,
            partial_probability: 0.05,
            socket_bytes: 16 << 10..256 << 10,
            sync_ns: 60_000..300_000,
            slow_sync_probability: 0.01,
            slow_sync_ns: 1_000_000..20_000_000,
            write_ns: 4_000..20_000,
            write_bytes_per_us: 1_000,
            cold_read_ns: 50_000..200_000,
            events_max: 1_000_000_000,
            trace: None,
        }
    }
}
