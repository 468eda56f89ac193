//! The file system behind the simulated disk: for each file and each directory what a process sees now, what the medium
//! surely holds, and the list of changes in between.
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use super::effects::{Fate, with_prerequisites};
use super::faults::{Call, Faults};
use super::marks::Marks;
use super::numbers::Numbers;
use super::pages::{Content, PAGE, Page, Sectors};
use super::{Operation, Work};
use crate::disk::DirEntry;
use crate::sim::Chance;

pub type InodeId = u64;
pub const ROOT: InodeId = 0;
const NAME_BYTES_MAX: usize = 255;

#[derive(Clone)]
pub struct State {
    pub power: Power,
    pub inodes: BTreeMap<InodeId, Arc<Inode>>,
    next_inode: InodeId,
    pub pending: PendingChanges,
    /// Counts the mutating calls.
    pub operations: u64,
    pub journal: Option<Vec<Operation>>,
    pub observer: Option<Observer>,
    pub marks: Option<Arc<Marks>>,
    /// What has a durable name, until durable names change.
    pub durably_named: Option<Numbers>,
    pub crash: Option<Crash>,
    pub faults: Faults,
    pub chance: Chance,
    pub work: Work,
    pub wall_ms: i64,
    locks: BTreeSet<(InodeId, String)>,
    open: BTreeMap<InodeId, u32>,
    /// How many names lead to each inode: visible, durable and pending ones.
    links: BTreeMap<InodeId, u32>,
    /// Whose last name went, until they are swept. What is held open stays longer.
    nameless: Vec<InodeId>,
    pub total_bytes: u64,
    pub used_bytes: u64,
    pub file_system_id: u64,
    /// Counts power losses: what was cached in an earlier boot is cached no more.
    pub boot: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Power {
    On,
    /// The machine lost power, or this process was killed: every call fails.
    Off,
}

/// Power fails inside a mutating call: the one of this number, or one of a kind.
#[derive(Clone)]
pub enum Crash {
    At(u64),
    In { call: Call, path_part: String, skip: u64 },
}

#[derive(Clone)]
pub enum Inode {
    Dir(Dir),
    File(File),
}

/// `visible` and `durable` are equal unless a pending change names this directory.
#[derive(Clone, Default)]
pub struct Dir {
    pub visible: BTreeMap<String, InodeId>,
    pub durable: BTreeMap<String, InodeId>,
}

/// `visible` and `durable` read the same unless a pending change names this file.
#[derive(Clone, Default)]
pub struct File {
    pub visible: Content,
    pub durable: Content,
    named: bool,
    pub modified_ms: i64,
    /// The boot in which the page cache below was valid; in any other, nothing is cached.
    boot: u64,
    pub cached: Numbers,
}

/// Changes that no sync has covered, each list oldest first: of the content of each file, and of names.
#[derive(Clone, Default)]
pub struct PendingChanges {
    next_number: u64,
    pub content: BTreeMap<InodeId, Vec<Pending>>,
    names: Vec<Pending>,
}

/// One change that may be on the medium or not.
#[derive(Clone)]
pub struct Pending {
    /// Orders the changes of different files.
    number: u64,
    pub operation: u64,
    pub path: Arc<str>,
    pub change: Change,
}

#[derive(Clone)]
pub enum Change {
    /// `page` is the whole page as it was after the write. `dropped`: a sync failed and the kernel holds the page for
    /// clean; no later sync will write it.
    Page {
        inode: InodeId,
        index: u64,
        page: Arc<Page>,
        changed: Sectors,
        dropped: bool,
    },
    Length {
        inode: InodeId,
        len: u64,
    },
    /// All of these names at once, or none: a rename has two.
    Names(Vec<(InodeId, String, Option<InodeId>)>),
}

/// Is told of each mutating call that has succeeded. It must not call the disk.
pub type Observer = Arc<dyn Fn(Call, &str) + Send + Sync>;

impl State {
    pub fn new(seed: u64) -> Self {
        Self {
            power: Power::On,
            inodes: BTreeMap::from([(ROOT, Arc::new(Inode::Dir(Dir::default())))]),
            next_inode: ROOT + 1,
            pending: PendingChanges::default(),
            operations: 0,
            journal: None,
            observer: None,
            marks: None,
            durably_named: None,
            crash: None,
            faults: Faults::default(),
            chance: Chance::new(seed),
            work: Work::default(),
            wall_ms: 0,
            locks: BTreeSet::new(),
            open: BTreeMap::new(),
            links: BTreeMap::from([(ROOT, 1)]), // Nothing has to name it.
            nameless: Vec::new(),
            total_bytes: 1 << 40,
            used_bytes: 0,
            file_system_id: 1,
            boot: 0,
        }
    }

    /// What the next process, or the next boot, begins with: no handle, no lock, no planned fault.
    pub fn forget_process(&mut self) {
        self.power = Power::On;
        self.crash = None;
        self.work = Work::default();
        self.open.clear();
        self.locks.clear();
        self.faults.clear_errors();
        self.sweep();
        self.used_bytes = self.inodes.values().map(|inode| (inode.pages() * PAGE) as u64).sum();
    }

    pub fn check_power(&self) -> io::Result<()> {
        match self.power {
            Power::On => Ok(()),
            Power::Off => Err(io::Error::other("the power of the simulated disk is off")),
        }
    }

    /// Every mutating call goes through here: it may fail by plan, and power may fail inside it.
    pub fn mutate<T>(&mut self, call: Call, path: &str, act: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        self.check_power()?;
        let number = self.operations;
        self.operations += 1;
        if let Some(journal) = &mut self.journal {
            journal.push(Operation { number, call, path: path.to_owned() });
        }
        let crash = self.crash.as_mut().is_some_and(|crash| crash.strikes(number, call, path));
        let result = match call {
            // Power failed before the sync was done: it has promised nothing, and what it covers may be there or not.
            Call::SyncData | Call::SyncDir if crash => Err(io::ErrorKind::Other.into()),
            _ => act(self),
        };
        if let (Some(observer), Ok(_)) = (&self.observer, &result) {
            observer(call, path);
        }
        if crash {
            self.power = Power::Off;
            return Err(self.check_power().expect_err("just switched off"));
        }
        result
    }

    // Names.

    pub fn create(&mut self, path: &Path, dir: bool) -> io::Result<InodeId> {
        let text = path_text(path)?;
        let call = if dir { Call::CreateDir } else { Call::CreateFile };
        self.mutate(call, &text, |state| {
            let (parent, name) = state.parent(path)?;
            if state.dir(parent)?.visible.contains_key(&name) {
                return Err(errno(libc::EEXIST));
            }
            state.faults.strike(call, &text)?;
            let inode = state.next_inode;
            state.next_inode += 1;
            let file = File { named: true, modified_ms: state.wall_ms, boot: state.boot, ..File::default() };
            let new = if dir { Inode::Dir(Dir::default()) } else { Inode::File(file) };
            state.inodes.insert(inode, Arc::new(new));
            state.set_names(&text, vec![(parent, name, Some(inode))]);
            Ok(inode)
        })
    }

    pub fn remove(&mut self, path: &Path, dir: bool) -> io::Result<()> {
        let text = path_text(path)?;
        let call = if dir { Call::RemoveDir } else { Call::RemoveFile };
        self.mutate(call, &text, |state| {
            let (parent, name) = state.parent(path)?;
            let inode = state.child(parent, &name)?;
            state.check_removable(inode, dir)?;
            state.faults.strike(call, &text)?;
            state.set_names(&text, vec![(parent, name, None)]);
            state.unname(inode);
            Ok(())
        })
    }

    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let text = format!("{} -> {}", path_text(from)?, path_text(to)?);
        self.mutate(Call::Rename, &text, |state| {
            let (from_dir, from_name) = state.parent(from)?;
            let (to_dir, to_name) = state.parent(to)?;
            let inode = state.child(from_dir, &from_name)?;
            if components(to)?.starts_with(&components(from)?) && from != to {
                return Err(errno(libc::EINVAL));
            }
            let replaced = state.dir(to_dir)?.visible.get(&to_name).copied();
            if replaced == Some(inode) {
                return Ok(());
            }
            if let Some(replaced) = replaced {
                let dir = matches!(*state.inodes[&inode], Inode::Dir(_));
                state.check_removable(replaced, dir)?;
            }
            state.faults.strike(Call::Rename, &text)?;
            state.set_names(&text, vec![(from_dir, from_name, None), (to_dir, to_name, Some(inode))]);
            if let Some(replaced) = replaced {
                state.unname(replaced);
            }
            Ok(())
        })
    }

    pub fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let text = path_text(path)?;
        self.mutate(Call::SyncDir, &text, |state| {
            let dir = state.find(path)?;
            state.dir(dir)?;
            state.faults.strike(Call::SyncDir, &text)?;
            state.work.syncs += 1;
            let touches =
                |change: &Change| matches!(change, Change::Names(names) if names.iter().any(|name| name.0 == dir));
            let pending = std::mem::take(&mut state.pending.names);
            let synced = with_prerequisites(&pending, |index| touches(&pending[index].change));
            for (pending, synced) in pending.into_iter().zip(synced) {
                match &pending.change {
                    Change::Names(names) if synced => {
                        state.durably_named = None;
                        state.set_durable_names(names);
                        names.iter().for_each(|name| state.relink(name.2, None));
                    }
                    _ => state.pending.names.push(pending),
                }
            }
            state.sweep_nameless();
            Ok(())
        })
    }

    fn set_names(&mut self, path: &str, names: Vec<(InodeId, String, Option<InodeId>)>) {
        for (dir, name, inode) in &names {
            let Inode::Dir(dir) = self.inode_mut(*dir) else { unreachable!("names stand in directories") };
            let before = set_name(&mut dir.visible, name, *inode);
            self.relink(before, *inode);
            self.relink(None, *inode); // By the pending change, too.
        }
        self.push(path.into(), Change::Names(names));
    }

    /// A directory that is itself gone from the medium takes no names.
    fn set_durable_names(&mut self, names: &[(InodeId, String, Option<InodeId>)]) {
        for (dir, name, inode) in names {
            if let Some(Inode::Dir(dir)) = self.inodes.get_mut(dir).map(Arc::make_mut) {
                let before = set_name(&mut dir.durable, name, *inode);
                self.relink(before, *inode);
            }
        }
    }

    /// A name leads to another inode than before.
    fn relink(&mut self, before: Option<InodeId>, now: Option<InodeId>) {
        if let Some(now) = now {
            *self.links.entry(now).or_default() += 1;
        }
        if let Some(before) = before {
            let links = self.links.get_mut(&before).expect("a name led to it");
            *links -= 1;
            if *links == 0 {
                self.links.remove(&before);
                self.nameless.push(before);
            }
        }
    }

    pub fn push(&mut self, path: Arc<str>, change: Change) {
        // `mutate` has counted this operation already.
        let pending = Pending { number: self.pending.next_number, operation: self.operations - 1, path, change };
        self.pending.next_number += 1;
        match &pending.change {
            Change::Page { inode, .. } | Change::Length { inode, .. } => {
                self.pending.content.entry(*inode).or_default().push(pending);
            }
            Change::Names(_) => self.pending.names.push(pending),
        }
    }

    /// Changes that no sync has covered, oldest first.
    pub fn pending(&self) -> Vec<Pending> {
        let content = self.pending.content.values().flatten();
        let mut all: Vec<Pending> = content.chain(&self.pending.names).cloned().collect();
        all.sort_unstable_by_key(|pending| pending.number);
        all
    }

    pub fn pending_count(&self) -> usize {
        self.pending.content.values().map(Vec::len).sum::<usize>() + self.pending.names.len()
    }

    fn check_removable(&self, inode: InodeId, dir: bool) -> io::Result<()> {
        match (&*self.inodes[&inode], dir) {
            (Inode::Dir(found), true) if found.visible.is_empty() => Ok(()),
            (Inode::Dir(_), true) => Err(errno(libc::ENOTEMPTY)),
            (Inode::File(_), true) => Err(errno(libc::ENOTDIR)),
            (Inode::Dir(_), false) => Err(errno(libc::EISDIR)),
            (Inode::File(_), false) => Ok(()),
        }
    }

    fn unname(&mut self, inode: InodeId) {
        if let Inode::File(file) = self.inode_mut(inode) {
            file.named = false;
        }
        self.free_if_unused(inode);
    }

    /// The space of a file is free once it has neither a name nor a handle, whatever the medium still holds.
    fn free_if_unused(&mut self, inode: InodeId) {
        if let Some(Inode::File(file)) = self.inodes.get(&inode).map(|inode| &**inode)
            && !file.named
            && !self.open.contains_key(&inode)
        {
            self.used_bytes -= (file.visible.pages() * PAGE) as u64;
            let Inode::File(file) = self.inode_mut(inode) else { unreachable!("looked at above") };
            file.visible = Content::default();
        }
    }

    /// Drops what no name, now, durable or pending, leads to any more. In all that is told of a disk this is what
    /// [`State::sweep`] does, at the cost of what it drops.
    fn sweep_nameless(&mut self) {
        let mut held_open = Vec::new();
        while let Some(inode) = self.nameless.pop() {
            if self.links.contains_key(&inode) {
                continue; // It has got another name meanwhile.
            }
            self.pending.content.remove(&inode);
            if self.open.contains_key(&inode) {
                held_open.push(inode);
            } else if let Some(Inode::Dir(dir)) = self.inodes.remove(&inode).as_deref() {
                dir.visible.values().chain(dir.durable.values()).for_each(|inode| self.relink(Some(*inode), None));
            }
        }
        self.nameless = held_open;
    }

    /// Counts the names that lead to each inode, and drops all to which none does.
    fn sweep(&mut self) {
        self.links.clear();
        let mut to_visit = vec![ROOT];
        for pending in &self.pending.names {
            if let Change::Names(names) = &pending.change {
                to_visit.extend(names.iter().filter_map(|name| name.2));
            }
        }
        while let Some(inode) = to_visit.pop() {
            let links = self.links.entry(inode).or_default();
            *links += 1;
            if *links == 1
                && let Some(Inode::Dir(dir)) = self.inodes.get(&inode).map(|inode| &**inode)
            {
                to_visit.extend(dir.visible.values().chain(dir.durable.values()));
            }
        }
        self.pending.content.retain(|inode, _| self.links.contains_key(inode));
        self.inodes.retain(|inode, _| self.links.contains_key(inode) || self.open.contains_key(inode));
        self.nameless = self.inodes.keys().copied().filter(|inode| !self.links.contains_key(inode)).collect();
    }

    /// Turns this into what a boot after a power loss finds, if of each pending change the given part has survived.
    pub fn lose_power(&mut self, fates: &[Fate]) {
        let pending = self.pending();
        (self.pending.content, self.pending.names) = Default::default();
        self.durably_named = None;
        let applied = with_prerequisites(&pending, |index| fates[index] != Fate::Lost);
        let mut touched = BTreeSet::new();
        let mut survived: BTreeMap<InodeId, BTreeSet<u64>> = BTreeMap::new();
        for ((pending, fate), applied) in pending.iter().zip(fates).zip(applied) {
            match &pending.change {
                Change::Page { inode, index, page, .. } => {
                    touched.insert(*inode);
                    let sectors = fate.sectors();
                    if let (Some(Inode::File(file)), true) =
                        (self.inodes.get_mut(inode).map(Arc::make_mut), sectors != 0)
                    {
                        file.durable.set_sectors(*index, page, sectors);
                        let start = index * PAGE as u64;
                        self.faults.heal(*inode, start..start + PAGE as u64);
                        survived.entry(*inode).or_default().insert(*index);
                    }
                }
                Change::Length { inode, len } => {
                    touched.insert(*inode);
                    if let (Some(Inode::File(file)), true) = (self.inodes.get_mut(inode).map(Arc::make_mut), applied) {
                        file.durable.set_len(*len);
                    }
                }
                Change::Names(names) => {
                    touched.extend(names.iter().map(|name| name.0));
                    if applied {
                        self.set_durable_names(names);
                    }
                }
            }
        }
        self.show_only_durable(&touched);
        for (inode, pages) in survived {
            self.look_for_marks(inode, &pages);
        }
        self.boot += 1;
        self.faults.uncover_all();
        self.forget_process();
    }

    fn show_only_durable(&mut self, touched: &BTreeSet<InodeId>) {
        for (id, inode) in &mut self.inodes {
            let hidden = matches!(&**inode, Inode::File(file) if !file.named);
            if !hidden && !touched.contains(id) {
                continue; // Nothing pending: what is seen is what the medium holds.
            }
            match Arc::make_mut(inode) {
                Inode::Dir(dir) => dir.visible = dir.durable.clone(),
                Inode::File(file) => {
                    file.durable.trim();
                    file.visible = file.durable.clone();
                    file.named = true; // Or it is swept.
                }
            }
        }
    }

    // Handles and locks.

    pub fn opened(&mut self, inode: InodeId) {
        *self.open.entry(inode).or_default() += 1;
    }

    pub fn closed(&mut self, inode: InodeId) {
        // A dead process's handles were forgotten with it.
        let Some(count) = self.open.get_mut(&inode) else { return };
        *count -= 1;
        if *count == 0 {
            self.open.remove(&inode);
            self.free_if_unused(inode);
        }
    }

    pub fn lock(&mut self, path: &Path, name: &str) -> io::Result<(InodeId, String)> {
        let dir = self.find(path)?;
        match self.child(dir, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create(&path.join(name), false)?;
            }
            other => drop(other?),
        }
        let key = (dir, name.to_owned());
        if self.locks.insert(key.clone()) { Ok(key) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    pub fn unlock(&mut self, key: &(InodeId, String)) {
        self.locks.remove(key);
    }

    // Finding.

    pub fn find(&self, path: &Path) -> io::Result<InodeId> {
        names(path).try_fold(ROOT, |inode, name| self.child(inode, name?))
    }

    fn parent(&self, path: &Path) -> io::Result<(InodeId, String)> {
        let names = components(path)?;
        let (name, parents) = names.split_last().ok_or_else(|| errno(libc::EINVAL))?;
        let parent = parents.iter().try_fold(ROOT, |inode, name| self.child(inode, name))?;
        Ok((parent, name.to_string()))
    }

    fn child(&self, inode: InodeId, name: &str) -> io::Result<InodeId> {
        self.dir(inode)?.visible.get(name).copied().ok_or_else(|| errno(libc::ENOENT))
    }

    fn dir(&self, inode: InodeId) -> io::Result<&Dir> {
        match &*self.inodes[&inode] {
            Inode::Dir(dir) => Ok(dir),
            Inode::File(_) => Err(errno(libc::ENOTDIR)),
        }
    }

    pub fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.check_power()?;
        let entry = |(name, inode): (&String, &InodeId)| DirEntry {
            name: name.clone(),
            is_dir: matches!(*self.inodes[inode], Inode::Dir(_)),
        };
        Ok(self.dir(self.find(path)?)?.visible.iter().map(entry).collect())
    }

    /// By path, with the true length.
    pub fn files(&self) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        let mut to_visit = vec![(String::new(), ROOT)];
        while let Some((path, inode)) = to_visit.pop() {
            match &*self.inodes[&inode] {
                Inode::Dir(dir) => {
                    to_visit.extend(dir.visible.iter().map(|(name, id)| (format!("{path}/{name}"), *id)))
                }
                Inode::File(file) => found.push((path, file.visible.len)),
            }
        }
        found.sort_unstable();
        found
    }

    pub fn is_dir(&self, inode: InodeId) -> bool {
        matches!(*self.inodes[&inode], Inode::Dir(_))
    }

    /// The inode of an open or named file.
    pub fn file(&self, inode: InodeId) -> &File {
        match &*self.inodes[&inode] {
            Inode::File(file) => file,
            Inode::Dir(_) => unreachable!("only files are opened"),
        }
    }

    pub fn file_mut(&mut self, inode: InodeId) -> &mut File {
        match self.inode_mut(inode) {
            Inode::File(file) => file,
            Inode::Dir(_) => unreachable!("only files are opened"),
        }
    }

    fn inode_mut(&mut self, inode: InodeId) -> &mut Inode {
        Arc::make_mut(self.inodes.get_mut(&inode).expect("held by a name or a handle"))
    }
}

impl Crash {
    fn strikes(&mut self, number: u64, call: Call, path: &str) -> bool {
        match self {
            Crash::At(planned) => *planned == number,
            Crash::In { call: planned, path_part, skip } => {
                let is_of_kind = *planned == call && path.contains(path_part.as_str());
                let is_due = is_of_kind && *skip == 0;
                *skip -= u64::from(is_of_kind && !is_due);
                is_due
            }
        }
    }
}

impl Inode {
    fn pages(&self) -> usize {
        match self {
            Inode::Dir(_) => 0,
            Inode::File(file) => file.visible.pages(),
        }
    }
}

impl File {
    pub fn cache(&mut self, boot: u64) -> &mut Numbers {
        if self.boot != boot {
            self.boot = boot;
            self.cached.clear();
        }
        &mut self.cached
    }
}

/// Returns what the name led to before.
fn set_name(names: &mut BTreeMap<String, InodeId>, name: &str, inode: Option<InodeId>) -> Option<InodeId> {
    match inode {
        Some(inode) => names.insert(name.to_owned(), inode),
        None => names.remove(name),
    }
}

pub fn path_text(path: &Path) -> io::Result<Arc<str>> {
    let mut text = String::with_capacity(path.as_os_str().len() + 1);
    for name in names(path) {
        text.push('/');
        text.push_str(name?);
    }
    if text.is_empty() {
        text.push('/');
    }
    Ok(text.into())
}

pub fn components(path: &Path) -> io::Result<Vec<&str>> {
    names(path).collect()
}

/// Relative paths begin at the root.
fn names(path: &Path) -> impl Iterator<Item = io::Result<&str>> {
    path.components().filter_map(|component| match component {
        Component::RootDir | Component::CurDir => None,
        Component::Normal(name) => Some(match name.to_str() {
            Some(name) if name.contains('\0') => Err(errno(libc::EINVAL)),
            Some(name) if name.len() > NAME_BYTES_MAX => Err(errno(libc::ENAMETOOLONG)),
            Some(name) => Ok(name),
            None => Err(errno(libc::EINVAL)),
        }),
        Component::ParentDir | Component::Prefix(_) => Some(Err(errno(libc::EINVAL))),
    })
}

pub fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_its_last_name_is_swept_as_if_all_were_looked_through() {
        let mut chance = Chance::new(1);
        let mut state = State::new(1);
        let dirs = ["/a", "/b", "/a/c"].map(Path::new);
        let mut open = Vec::new();
        for _ in 0..40_000 {
            let mut path = || chance.pick(&dirs).join(*chance.pick(&["c", "x", "y", "z"]));
            let (path, other) = (path(), path());
            let dir = *chance.pick(&dirs);
            // Much of it cannot be done, and changes nothing.
            match chance.index(12) {
                0 => drop(state.create(dir, true)),
                1 => drop(state.create(&path, true)),
                2 => drop(state.remove(dir, true)),
                3..5 => drop(state.create(&path, false)),
                5..7 => drop(state.remove(&path, false)),
                7 => drop(state.rename(&path, &other)),
                8 => {
                    if let Ok(inode) = state.find(&path)
                        && !state.is_dir(inode)
                    {
                        state.opened(inode);
                        open.push(inode);
                        state.set_len(inode, &"x".into(), chance.in_range(0..9_000)).expect("a file");
                    }
                }
                9 if !open.is_empty() => state.closed(open.swap_remove(chance.index(open.len()))),
                _ => {
                    if state.sync_dir(if chance.happens(0.3) { Path::new("/") } else { dir }).is_ok() {
                        let mut looked_through = state.clone();
                        looked_through.sweep();
                        assert_eq!(state.links, looked_through.links);
                        assert!(state.inodes.keys().eq(looked_through.inodes.keys()));
                        assert!(state.pending.content.keys().eq(looked_through.pending.content.keys()));
                    }
                }
            }
        }
        assert!(state.next_inode > 1_000, "{} were made", state.next_inode);
    }
}
