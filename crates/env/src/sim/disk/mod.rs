//! A file system in memory that keeps what a process sees apart from what a power loss leaves. Written bytes, lengths
//! and names are pending until a sync covers them; a power loss keeps any subset of the pending ones.
//!
//! It knows no time and no executor: what its calls cost is counted in [`Work`] for the executor to charge.
mod content;
mod effects;
mod faults;
mod marks;
mod numbers;
mod pages;
mod state;

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use effects::{Effect, EffectKind, Fate, Tearing};
pub use faults::{Call, Fault};
pub use pages::{PAGE, SECTOR};

use self::faults::Misdirection;
use self::marks::Marks;
use self::state::{Crash, Inode, InodeId, Power, State};
use super::Chance;
use crate::buffer::BLOCK;
use crate::disk::{DirEntry, File, Lock, OpenOptions, Space};

/// One process's view of a simulated disk. A clone is the same view; [`Disk::fork`] makes a disk of its own.
#[derive(Clone)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

/// A mutating call, as recorded after [`Disk::record_operations`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation {
    /// What [`Disk::crash_at`] takes.
    pub number: u64,
    pub call: Call,
    pub path: String,
}

/// What has been done since it was last taken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Work {
    /// Pages that had to come from the medium.
    pub cold_reads: u64,
    pub writes: u64,
    pub written_bytes: u64,
    pub syncs: u64,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Disk {
    /// An empty disk of 1 TiB. The seed decides how much a failed write has written.
    pub fn new(seed: u64) -> Self {
        Self::of(State::new(seed))
    }

    fn of(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another disk that holds the same, pending changes and faults included. Costs little: pages are shared until
    /// written. No handle and no lock of this one holds there.
    pub fn fork(&self) -> Disk {
        let mut state = self.state().clone();
        let faults = state.faults.clone();
        state.observer = None;
        state.forget_process();
        state.faults = faults;
        Self::of(state)
    }

    // What ends a process.

    /// The process is gone, the kernel lives: every further call of this view fails, the answer continues with all that
    /// was written.
    pub fn kill(&self) -> Disk {
        let mut state = self.state();
        let mut next = state.clone();
        state.power = Power::Off;
        drop(state);
        next.forget_process();
        Self::of(next)
    }

    /// The power is gone: every further call of this view fails, the answer holds what was synced and a legal part, by
    /// chance, of what was not.
    pub fn power_loss(&self, chance: &mut Chance) -> Disk {
        let fates = effects::fates_by_chance(&self.state().pending(), Tearing::At512, chance);
        self.power_off();
        self.restart_with(&fates)
    }

    pub fn power_off(&self) {
        self.state().power = Power::Off;
    }

    pub fn is_off(&self) -> bool {
        self.state().power == Power::Off
    }

    // Enumeration.

    /// How many mutating calls were begun. The next has this number.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    pub fn record_operations(&self) {
        self.state().journal.get_or_insert_default();
    }

    /// Those since recording began.
    pub fn recorded_operations(&self) -> Vec<Operation> {
        self.state().journal.clone().unwrap_or_default()
    }

    /// Power fails inside the mutating call of this number: it answers an error, as does every later call, and its own
    /// effects are pending; a sync has promised nothing. Everything that a crash between two calls can leave, a crash
    /// inside the later one can leave too.
    pub fn crash_at(&self, operation: u64) {
        self.state().crash = Some(Crash::At(operation));
    }

    /// The same for the next call of this kind on a path that contains this, after `skip` others.
    pub fn crash_in(&self, call: Call, path_part: &str, skip: u64) {
        self.state().crash = Some(Crash::In { call, path_part: path_part.to_owned(), skip });
    }

    /// What no sync has covered, oldest first.
    pub fn unsynced_effects(&self) -> Vec<Effect> {
        self.state().pending().iter().map(Effect::from).collect()
    }

    /// All sets of fates of [`Disk::unsynced_effects`] that leave different images, or `max` of them by chance if there
    /// are more. The first is that all is lost.
    pub fn crash_fates(&self, tearing: Tearing, max: usize, chance: &mut Chance) -> Vec<Vec<Fate>> {
        effects::distinct_fates(&self.state().pending(), tearing, max, chance)
    }

    /// The disk after a power loss now in which each of [`Disk::unsynced_effects`] has this fate. This one is left as it
    /// is, so that many can be made of it.
    pub fn restart_with(&self, fates: &[Fate]) -> Disk {
        let mut state = self.state().clone();
        assert_eq!(fates.len(), state.pending_count(), "one fate for each unsynced effect");
        state.lose_power(fates);
        Self::of(state)
    }

    /// As [`Disk::restart_with`]; true is survival.
    pub fn durable_image_with(&self, survives: &[bool]) -> Disk {
        let fate = |survives: &bool| if *survives { Fate::Survives } else { Fate::Lost };
        self.restart_with(&survives.iter().map(fate).collect::<Vec<_>>())
    }

    /// The least that a power loss now leaves.
    pub fn durable_image(&self) -> Disk {
        let effects = self.state().pending_count();
        self.restart_with(&vec![Fate::Lost; effects])
    }

    // The truth, whatever the faults say.

    /// Every file that a process sees, with its length.
    pub fn files(&self) -> Vec<(String, u64)> {
        self.state().files()
    }

    /// What a process reads of this file, without error, rot or cost.
    pub fn visible(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.find(path.as_ref()).ok()?;
        (!state.is_dir(inode)).then(|| state.file(inode).visible.to_vec())
    }

    /// What is left of this file if power fails now and no pending change survives. `None` if its name does not.
    pub fn durable(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.with_durable(path.as_ref(), |content| content.to_vec())
    }

    /// The same for a part of it, which may end early.
    pub fn durable_range(&self, path: impl AsRef<Path>, range: Range<u64>) -> Option<Vec<u8>> {
        self.with_durable(path.as_ref(), |content| {
            let len = range.end.min(content.len).saturating_sub(range.start);
            let mut bytes = vec![0; len as usize];
            content.read(&mut bytes, range.start);
            bytes
        })
    }

    fn with_durable<T>(&self, path: &Path, read: impl FnOnce(&pages::Content) -> T) -> Option<T> {
        let state = self.state();
        let mut inode = state::ROOT;
        for name in state::components(path).ok()? {
            let Inode::Dir(dir) = &*state.inodes[&inode] else { return None };
            inode = *dir.durable.get(name)?;
        }
        match &*state.inodes[&inode] {
            Inode::Dir(_) => None,
            Inode::File(file) => Some(read(&file.durable)),
        }
    }

    /// From now on every mark that becomes durable is taken note of: this prefix, and eight bytes that number it.
    pub fn watch_marks(&self, prefix: [u8; 8]) {
        self.state().marks = Some(Arc::new(Marks::new(prefix)));
    }

    /// Whether the mark of this number has become durable, in a file whose name is durable.
    pub fn is_mark_durable(&self, number: u64) -> bool {
        self.state().is_mark_durable(number)
    }

    /// Tells of each mutating call that has succeeded, in this view and those that continue it.
    pub fn observe(&self, observer: impl Fn(Call, &str) + Send + Sync + 'static) {
        self.state().observer = Some(Arc::new(observer));
    }

    /// Nobody looks at what this view does any more, nor at its marks.
    pub fn unwatch(&self) {
        let mut state = self.state();
        (state.observer, state.marks) = (None, None);
    }

    // Faults.

    pub fn inject(&self, fault: Fault) {
        self.state().faults.inject(fault);
    }

    /// From now on a byte of this file reads as XORed with `flip`, until it is overwritten. The medium keeps that
    /// through restarts; [`Disk::visible`] and [`Disk::durable`] still tell what was written.
    pub fn rot(&self, path: impl AsRef<Path>, at: u64, flip: u8) {
        let mut state = self.state();
        let inode = state.find(path.as_ref()).expect("only what exists can rot");
        state.faults.rot(inode, at, flip);
    }

    /// The next sync of a file whose path contains this brings one page to the medium of that page of `onto` instead, and
    /// says that all is well. Both read as they should while they are cached.
    pub fn misdirect(&self, path_part: &str, onto: impl AsRef<Path>, page: u64) {
        let mut state = self.state();
        let inode = state.find(onto.as_ref()).expect("only what exists can be hit");
        state.faults.misdirect(Misdirection { path_part: path_part.to_owned(), onto: (inode, page) });
    }

    /// From now on the file system says that this file is so long, until it is written: less, and its end cannot be read;
    /// more, and it ends in zeros.
    pub fn lie_about_len(&self, path: impl AsRef<Path>, len: u64) {
        let mut state = self.state();
        let inode = state.find(path.as_ref()).expect("only what exists has a length");
        state.faults.lie_about_len(inode, len);
    }

    /// How probably `read_cached_at` finds nothing although the bytes are cached.
    pub fn set_cold_probability(&self, probability: f64) {
        self.state().faults.cold_probability = probability;
    }

    /// Drops the clean pages of a file from the page cache.
    pub fn evict(&self, path: impl AsRef<Path>) {
        let mut state = self.state();
        if let Ok(inode) = state.find(path.as_ref()) {
            state.forget_cached(inode, 0..u64::MAX);
        }
    }

    pub fn set_free_bytes(&self, free: u64) {
        self.state().set_free_bytes(free);
    }

    /// Disks have the id 1 unless told otherwise.
    pub fn set_file_system_id(&self, id: u64) {
        self.state().file_system_id = id;
    }

    // For the executor.

    /// Its process is gone: whoever still holds this view, in a circle that nobody will ever break, holds nothing.
    pub(super) fn forget(&self) {
        let mut empty = State::new(0);
        empty.power = Power::Off;
        let before = std::mem::replace(&mut *self.state(), empty);
        drop(before);
    }

    pub fn set_wall_ms(&self, wall_ms: i64) {
        self.state().wall_ms = wall_ms;
    }

    pub fn take_work(&self) -> Work {
        std::mem::take(&mut self.state().work)
    }

    /// What a step has done, and whether the power failed in it.
    pub(super) fn step_ended(&self, wall_ms: i64) -> (Work, bool) {
        let mut state = self.state();
        state.wall_ms = wall_ms;
        (std::mem::take(&mut state.work), state.power == Power::Off)
    }
}

impl crate::disk::Disk for Disk {
    fn open(&self, path: &Path, options: OpenOptions) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        state.check_power()?;
        let inode = if options.create_new { state.create(path, false)? } else { state.find(path)? };
        if state.is_dir(inode) {
            return Err(state::errno(libc::EISDIR));
        }
        state.opened(inode);
        let path = state::path_text(path)?;
        drop(state);
        Ok(Arc::new(OpenFile { disk: self.clone(), inode, path, options }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.state().create(path, true).map(drop)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.state().read_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.state().remove(path, false)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.state().remove(path, true)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.state().sync_dir(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let state = self.state();
        state.check_power()?;
        state.find(path)?;
        let file_system_id = state.file_system_id;
        Ok(Space { free_bytes: state.free_bytes(), total_bytes: state.total_bytes, file_system_id })
    }

    fn lock(&self, path: &Path, name: &str) -> io::Result<Box<dyn Lock>> {
        let mut state = self.state();
        state.check_power()?;
        let key = state.lock(path, name)?;
        drop(state);
        Ok(Box::new(HeldLock { disk: self.clone(), key }))
    }

    fn lock_existing(&self, path: &Path, name: &str) -> io::Result<Option<Box<dyn Lock>>> {
        match self.open(&path.join(name), OpenOptions::READ) {
            Ok(_) => self.lock(path, name).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

struct OpenFile {
    disk: Disk,
    inode: InodeId,
    path: Arc<str>,
    options: OpenOptions,
}

impl OpenFile {
    fn check_direct(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let aligned = bytes.as_ptr().addr().is_multiple_of(BLOCK)
            && bytes.len().is_multiple_of(BLOCK)
            && at.is_multiple_of(BLOCK as u64);
        if aligned || !self.options.direct { Ok(()) } else { Err(state::errno(libc::EINVAL)) }
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.options.write { Ok(()) } else { Err(state::errno(libc::EBADF)) }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.disk.state().closed(self.inode);
    }
}

impl File for OpenFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.check_power()?;
        Ok(state.len(self.inode))
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.check_direct(bytes, at)?;
        self.disk.state().read(self.inode, &self.path, bytes, at)
    }

    fn read_cached_at(&self, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        self.check_direct(bytes, at)?;
        self.disk.state().read_cached(self.inode, &self.path, bytes, at)
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], at: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut end = at;
        for part in parts {
            self.check_direct(part, end)?;
            end += part.len() as u64;
        }
        self.disk.state().write(self.inode, &self.path, parts, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.disk.state().set_len(self.inode, &self.path, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.state().sync_data(self.inode, &self.path)
    }

    fn start_writeback(&self, _range: Range<u64>) -> io::Result<()> {
        // Pages that reach the medium early are among the subsets that a power loss may leave anyway.
        self.disk.state().check_power()
    }

    fn forget_cached(&self, range: Range<u64>) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check_power()?;
        state.forget_cached(self.inode, range);
        Ok(())
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let state = self.disk.state();
        state.check_power()?;
        Ok(state.modified_ms(self.inode))
    }

    fn raw_fd(&self) -> Option<RawFd> {
        None
    }
}

struct HeldLock {
    disk: Disk,
    key: (InodeId, String),
}

impl Lock for HeldLock {}

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.disk.state().unlock(&self.key);
    }
}
