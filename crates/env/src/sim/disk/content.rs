//! Reading, writing, cutting and syncing the files of a simulated disk.
use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use super::faults::Call;
use super::pages::{PAGE, Page, Parts, overwritten, sectors, shared, split};
use super::state::{Change, InodeId, Pending, State, errno};

impl State {
    /// What the file system says.
    pub fn len(&self, inode: InodeId) -> u64 {
        self.faults.len(inode, self.file(inode).visible.len)
    }

    pub fn read(&mut self, inode: InodeId, path: &str, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.check_power()?;
        self.faults.strike(Call::Read, path)?;
        let boot = self.boot;
        let len = self.len(inode);
        let within = len.saturating_sub(at).min(bytes.len() as u64) as usize;
        let file = self.file_mut(inode);
        let read = file.visible.read(&mut bytes[..within], at);
        bytes[read..within].fill(0); // A file that says it is longer than it is.
        let read = within;
        let mut cold = 0;
        for (page, ..) in split(at, read) {
            cold += u64::from(file.cache(boot).insert(page));
        }
        self.work.cold_reads += cold;
        self.faults.apply_rot(inode, &mut bytes[..read], at);
        Ok(read)
    }

    pub fn read_cached(&mut self, inode: InodeId, path: &str, bytes: &mut [u8], at: u64) -> io::Result<Option<usize>> {
        self.check_power()?;
        if self.faults.cold_probability > 0.0 && self.chance.happens(self.faults.cold_probability) {
            return Ok(None);
        }
        let boot = self.boot;
        let within = self.len(inode).saturating_sub(at).min(bytes.len() as u64) as usize;
        let file = self.file_mut(inode);
        if split(at, within).any(|(page, ..)| !file.cache(boot).contains(page)) {
            return Ok(None);
        }
        self.read(inode, path, bytes, at).map(Some)
    }

    pub fn write(&mut self, inode: InodeId, path: &Arc<str>, parts: &[IoSlice<'_>], at: u64) -> io::Result<()> {
        self.mutate(Call::Write, path, |state| {
            let len = parts.iter().map(|part| part.len()).sum::<usize>();
            let (len, error) = match state.faults.strike(Call::Write, path) {
                Ok(()) => (len, None),
                Err(error) => (state.chance.index(len.max(1)), Some(error)),
            };
            state.work.writes += 1;
            state.work.written_bytes += len as u64;
            state.write_pages(inode, path, Parts::new(parts), len, at)?;
            error.map_or(Ok(()), Err)
        })
    }

    fn write_pages(
        &mut self,
        inode: InodeId,
        path: &Arc<str>,
        mut parts: Parts<'_>,
        len: usize,
        at: u64,
    ) -> io::Result<()> {
        let (boot, wall_ms) = (self.boot, self.wall_ms);
        self.faults.heal(inode, at..at + len as u64);
        let mut end = at;
        let mut full = false;
        for (index, within, part) in split(at, len) {
            let before = self.file(inode).visible.page(index).cloned();
            if before.is_none() && self.free_bytes() < PAGE as u64 {
                full = true;
                break;
            }
            if before.is_none() {
                self.used_bytes += PAGE as u64;
            }
            end = at + part.end as u64;
            let changed = sectors(&within);
            let page = overwritten(before.as_ref(), within, &parts.next(part.len()));
            let file = self.file_mut(inode);
            file.visible.set_page(index, Some(page.clone()));
            file.cache(boot).insert(index);
            self.push(path.clone(), Change::Page { inode, index, page, changed, dropped: false });
        }
        let file = self.file_mut(inode);
        file.modified_ms = wall_ms;
        if end > file.visible.len {
            file.visible.len = end;
            self.push(path.clone(), Change::Length { inode, len: end });
        }
        if full { Err(errno(libc::ENOSPC)) } else { Ok(()) }
    }

    pub fn set_len(&mut self, inode: InodeId, path: &Arc<str>, len: u64) -> io::Result<()> {
        self.mutate(Call::SetLen, path, |state| {
            state.faults.strike(Call::SetLen, path)?;
            let wall_ms = state.wall_ms;
            state.faults.heal(inode, len..u64::MAX);
            let file = state.file_mut(inode);
            file.modified_ms = wall_ms;
            let gone = file.visible.set_len(len);
            file.cached.cut(len.div_ceil(PAGE as u64));
            state.used_bytes -= (gone * PAGE) as u64;
            state.push(path.clone(), Change::Length { inode, len });
            Ok(())
        })
    }

    pub fn sync_data(&mut self, inode: InodeId, path: &str) -> io::Result<()> {
        self.mutate(Call::SyncData, path, |state| {
            state.work.syncs += 1;
            if let Err(error) = state.faults.strike(Call::SyncData, path) {
                for pending in state.pending.content.entry(inode).or_default() {
                    if let Change::Page { dropped, .. } = &mut pending.change {
                        *dropped = true;
                    }
                }
                return Err(error);
            }
            state.settle(inode, path);
            Ok(())
        })
    }

    /// Moves the pending content of a file to the medium, except what an earlier failed sync has dropped.
    fn settle(&mut self, inode: InodeId, path: &str) {
        let Some(pending) = self.pending.content.remove(&inode) else { return };
        let mut written = BTreeSet::new();
        let misdirected = self.faults.take_misdirection(path);
        let file = self.file_mut(inode);
        let mut strayed: Option<(u64, Option<Arc<Page>>, Arc<Page>)> = None;
        for pending in &pending {
            match &pending.change {
                Change::Page { index, page, dropped: false, .. } => {
                    let before = file.durable.set_page(*index, Some(page.clone()));
                    if misdirected.is_some() && strayed.as_ref().is_none_or(|(strayed, ..)| strayed == index) {
                        strayed = Some((*index, before, page.clone()));
                    }
                    written.insert(*index);
                }
                Change::Length { len, .. } => drop(file.durable.set_len(*len)),
                _ => {}
            }
        }
        file.durable.trim();
        let beyond = file.durable.len.div_ceil(PAGE as u64);
        let left = |pending: &Pending| match &pending.change {
            Change::Page { index, dropped, .. } => *dropped && !written.contains(index) && *index < beyond,
            _ => false,
        };
        let left: Vec<Pending> = pending.into_iter().filter(left).collect();
        if !left.is_empty() {
            self.pending.content.insert(inode, left);
        }
        for page in &written {
            let start = page * PAGE as u64;
            self.faults.heal(inode, start..start + PAGE as u64);
        }
        if let (Some(onto), Some((index, before, page))) = (misdirected, strayed) {
            self.land((inode, index), before.as_ref(), onto, &page);
        }
        self.look_for_marks(inode, &written);
    }

    /// The medium has `page` at the second place, and at the first still what was there before. The page cache knows of
    /// neither, and the truth stays what the sync promised.
    fn land(&mut self, meant: (InodeId, u64), before: Option<&Arc<Page>>, onto: (InodeId, u64), page: &Arc<Page>) {
        let boot = self.boot;
        let before = before.map_or([0; PAGE], |before| **before);
        self.faults.show(meant, page, &before, true);
        if !self.inodes.contains_key(&onto.0) {
            return;
        }
        let file = self.file_mut(onto.0);
        let is_cached = file.cache(boot).contains(onto.1);
        let truth = file.durable.page(onto.1).map_or([0; PAGE], |truth| **truth);
        self.faults.show(onto, &truth, page, is_cached);
    }

    /// Clean pages leave the cache. A page that a failed sync has dropped is clean: from now on the medium's content
    /// is what is read.
    pub fn forget_cached(&mut self, inode: InodeId, range: Range<u64>) {
        let pages = range.start.div_ceil(PAGE as u64)..range.end.div_ceil(PAGE as u64);
        let mut dirty = BTreeSet::new();
        let mut dropped_pages = BTreeSet::new();
        for pending in self.pending.content.get(&inode).into_iter().flatten() {
            if let Change::Page { index, dropped, .. } = &pending.change {
                if *dropped {
                    dropped_pages.insert(*index)
                } else {
                    dirty.insert(*index)
                };
            }
        }
        let boot = self.boot;
        let file = self.file_mut(inode);
        let cached: Vec<u64> = file.cache(boot).within(pages).filter(|page| !dirty.contains(page)).collect();
        for page in &cached {
            file.cached.remove(*page);
            if dropped_pages.contains(page) {
                let on_medium = file.durable.page(*page).cloned();
                file.visible.set_page(*page, Some(on_medium.unwrap_or_else(|| shared(&[0; PAGE]))));
            }
        }
        for page in &cached {
            self.faults.uncover(inode, *page);
        }
        let gone = |pending: &Pending| matches!(&pending.change, Change::Page { index, .. } if cached.binary_search(index).is_ok());
        if let Some(pending) = self.pending.content.get_mut(&inode) {
            pending.retain(|pending| !gone(pending));
        }
    }

    pub fn modified_ms(&self, inode: InodeId) -> i64 {
        self.file(inode).modified_ms
    }

    pub fn free_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.used_bytes)
    }

    pub fn set_free_bytes(&mut self, free: u64) {
        self.total_bytes = self.used_bytes + free;
    }
}
