//! What a process has besides a disk and a network: arguments, variables, memory, limits, signals. Real only: a simulated
//! node is told these by its scenario.
use std::ffi::OsString;
use std::fs;
use std::future::poll_fn;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The program's name and what stood behind it.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The environment, sorted by name. What is no UTF-8 is left out.
pub fn variables() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let mut variables: Vec<_> = std::env::vars_os().filter_map(text).collect();
    variables.sort();
    variables
}

pub fn id() -> u32 {
    std::process::id()
}

/// What this machine calls itself.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub fn exit(code: u8) -> ! {
    std::process::exit(code.into())
}

/// A directory of this process's own below the system's temporary one; nothing is made yet.
pub fn temporary_directory(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}-{}", id()))
}

pub fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whoever read what we print is gone: `head` has its lines. Told without printing more.
pub fn stdout_is_unread() -> bool {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut watched, Some(&now)).is_ok() && watched[0].revents().contains(PollFlags::ERR)
}

/// The memory that this process can have: the machine's, or less if a control group says so.
pub fn memory_bytes() -> u64 {
    let system = rustix::system::sysinfo();
    let physical = (system.totalram as u64).saturating_mul(u64::from(system.mem_unit));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let read = |path: &str| fs::read_to_string(Path::new("/sys/fs/cgroup").join(path)).ok();
    cgroup_memory_limit(&groups, read).map_or(physical, |limit| limit.min(physical))
}

/// The least limit of our group and of all above it. `groups` is /proc/self/cgroup; `read` opens a path below
/// /sys/fs/cgroup. In a container the path may be one of the host's that we do not see; the topmost group is ours then.
fn cgroup_memory_limit(groups: &str, read: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let mut least = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("", "memory.max"), // Version 2.
            v1 if v1.split(',').any(|name| name == "memory") => ("memory/", "memory.limit_in_bytes"), // Version 1.
            _ => continue,
        };
        let mut group = path.trim_matches('/');
        loop {
            let place = if group.is_empty() { format!("{root}{file}") } else { format!("{root}{group}/{file}") };
            // Version 2 says `max` for none; version 1 a number near 2^63, more than any machine has.
            if let Some(limit) = read(&place).and_then(|text| text.trim().parse::<u64>().ok()) {
                least = Some(least.map_or(limit, |least: u64| least.min(limit)));
            }
            if group.is_empty() {
                break;
            }
            group = group.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }
    least
}

/// Raises the number of files that may be open to what the system allows us, and returns it. `None` is no limit.
pub fn raise_open_files_limit() -> io::Result<Option<u64>> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(maximum)
}

/// What this process has used so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    pub cpu: Duration,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub threads: u64,
    pub open_files: u64,
    pub open_files_max: u64,
    /// Not every kernel tells.
    pub disk_read_bytes: Option<u64>,
    pub disk_written_bytes: Option<u64>,
}

pub fn usage() -> io::Result<Usage> {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        number_after(&status, name).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self/status"))
    };
    // Of the disks, not of sockets or the page cache.
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    Ok(Usage {
        cpu: Duration::new(cpu.tv_sec as u64, cpu.tv_nsec as u32),
        resident_bytes: field("VmRSS:")? * 1024,
        virtual_bytes: field("VmSize:")? * 1024,
        threads: field("Threads:")?,
        open_files_max: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        disk_read_bytes: number_after(&io, "read_bytes:"),
        disk_written_bytes: number_after(&io, "write_bytes:"),
        // One of them is the directory that is being counted.
        open_files: (fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1),
    })
}

/// The number of the line that begins with `name`.
fn number_after(lines: &str, name: &str) -> Option<u64> {
    let line = lines.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The wish that this process ends: SIGTERM or SIGINT. Must be called in a task; from then on these signals no longer
/// kill the process.
pub fn termination() -> io::Result<Termination> {
    Ok(Termination { signals: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?] })
}

pub struct Termination {
    signals: [Signal; 2],
}

impl Termination {
    /// Ready at the next signal. A second one means: at once.
    pub async fn next(&mut self) {
        poll_fn(|context| {
            // Both are polled, so that both will wake us.
            let arrived =
                self.signals.iter_mut().fold(false, |arrived, signal| signal.poll_recv(context).is_ready() | arrived);
            if arrived { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(groups: &str, files: &[(&str, &str)]) -> Option<u64> {
        cgroup_memory_limit(groups, |path| {
            files.iter().find(|(name, _)| *name == path).map(|(_, content)| content.to_string())
        })
    }

    #[test]
    fn the_least_limit_of_all_groups_above_counts() {
        let files =
            [("a/b/memory.max", "max\n"), ("a/memory.max", "4096\n"), ("memory.max", "8192\n"), ("x/memory.max", "1")];
        assert_eq!(limit("0::/a/b\n", &files), Some(4096));
        assert_eq!(limit("0::/unseen/by/us\n", &files), Some(8192));
        assert_eq!(limit("0::/\n", &[]), None);
    }

    #[test]
    fn version_1_names_its_controller() {
        let groups = "9:name=systemd:/\n4:cpu,memory:/a:b\n0::/\n";
        let files =
            [("memory/a:b/memory.limit_in_bytes", "77\n"), ("memory/memory.limit_in_bytes", "9223372036854771712")];
        assert_eq!(limit(groups, &files), Some(77));
    }

    #[test]
    fn this_process_has_memory_files_and_a_past() {
        assert!(memory_bytes() > 64 << 20 && !host_name().is_empty());
        let limit = raise_open_files_limit().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, limit);
        let before = usage().unwrap();
        let _file = fs::File::open("/proc/self/statm").unwrap();
        let after = usage().unwrap();
        assert!(
            after.resident_bytes > 0 && after.open_files > 0 && after.cpu >= before.cpu && after.cpu > Duration::ZERO
        );
        assert!(after.virtual_bytes >= after.resident_bytes && after.threads > 0);
        assert!(after.open_files_max >= after.open_files);
    }
}
