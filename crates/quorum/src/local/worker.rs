//! The thread of the log: takes what is queued as one group, writes it, syncs it, and only then says that it is
//! committed. Between groups it writes a snapshot, piece by piece. One write or sync a step.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::{Env, File, Instant, Next, Worker};
use tokio::sync::{mpsc, oneshot};

use super::format::{BLOCK, GroupBuilder, Place, SPARE_BYTES};
use super::log_file::{NEW_FILE_BYTES, header_after, last_group, make_file, remove_if_there};
use super::recover::{End, LogFile, TEMPORARY, file_name};
use super::{Settings, Shared, snapshot};
use crate::metadata_log::{Entry, Event, LogId, Pieces};

/// Where the next group goes.
pub struct Head {
    pub file: Arc<dyn File>,
    pub end: End,
    pub run: u64,
    /// How much the file has, groups and zeros, all of it synced.
    pub file_bytes: u64,
}

pub struct CommitWorker {
    env: Env,
    directory: PathBuf,
    settings: Settings,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
    term: u64,
    head: Head,
    files: Vec<LogFile>,
    phase: Phase,
    snapshot: Option<SnapshotTask>,
    /// When the last group is to be sealed.
    seal_at: Option<Instant>,
}

/// Of the group that is on its way.
enum Phase {
    Rest,
    /// Also while the disk is full.
    Write(Group),
    /// The file has been made longer for this group.
    SyncSpare(Group),
    Sync(Group),
}

struct Group {
    bytes: Vec<u8>,
    chain: u32,
    entries: Vec<(Entry, Option<oneshot::Sender<LogId>>)>,
}

struct SnapshotTask {
    last: LogId,
    temporary: PathBuf,
    step: SnapshotStep,
}

enum SnapshotStep {
    /// So that the file whose entries the snapshot holds can go.
    NewFile(Pieces),
    CloseOldFile(Pieces, Arc<dyn File>, Vec<u8>, u64),
    SyncOldFile(Pieces, Arc<dyn File>),
    Create(Pieces),
    Write(Pieces, snapshot::Writer),
    Sync(snapshot::Writer),
    Rename,
    SyncName,
    RemoveOld,
    SyncRemoval,
}

impl CommitWorker {
    #[expect(clippy::too_many_arguments, reason = "called once, by `open`")]
    pub fn new(
        env: &Env,
        directory: &Path,
        settings: Settings,
        shared: Arc<Shared>,
        events: mpsc::UnboundedSender<Event>,
        term: u64,
        head: Head,
        files: Vec<LogFile>,
    ) -> Self {
        Self {
            env: env.clone(),
            directory: directory.to_owned(),
            settings,
            shared,
            events,
            term,
            head,
            files,
            phase: Phase::Rest,
            snapshot: None,
            seal_at: None,
        }
    }
}

impl Worker for CommitWorker {
    fn step(&mut self) -> Next {
        match self.try_step() {
            Ok(next) => next,
            Err(error) => {
                // Nothing may be retried after a failed sync: the kernel has dropped the pages and the error with them.
                tracing::error!(directory = %self.directory.display(), %error, "the metadata log has failed and stops");
                self.stop()
            }
        }
    }
}

impl CommitWorker {
    fn try_step(&mut self) -> io::Result<Next> {
        match std::mem::replace(&mut self.phase, Phase::Rest) {
            Phase::Rest => self.rest(),
            Phase::Write(group) => self.write(group),
            Phase::SyncSpare(group) => self.sync_spare(group),
            Phase::Sync(group) => self.sync(group),
        }
    }

    fn rest(&mut self) -> io::Result<Next> {
        if let Some(group) = self.next_group() {
            return self.write(group);
        }
        if self.take_snapshot_request() {
            return self.snapshot_step().map(|()| Next::Again);
        }
        match self.seal_at {
            Some(at) if self.is_closing() || self.env.clock.now() >= at => {
                self.seal_at = None;
                self.write(self.group(Vec::new()))
            }
            _ if self.is_closing() => Ok(self.stop()),
            Some(at) => Ok(Next::At(at)),
            None => Ok(Next::Idle),
        }
    }

    fn is_closing(&self) -> bool {
        self.shared.queue().is_closed
    }

    /// Ends everything: whoever waits for a commit learns that its outcome is unknown, the reader that nothing follows.
    fn stop(&mut self) -> Next {
        let mut queue = self.shared.queue();
        queue.is_closed = true;
        queue.entries.clear();
        for at_rest in queue.closing.drain(..) {
            let _ = at_rest.send(());
        }
        drop(queue);
        self.phase = Phase::Rest;
        self.events = mpsc::unbounded_channel().0;
        Next::Stop
    }

    // Groups.

    fn next_group(&mut self) -> Option<Group> {
        let mut queue = self.shared.queue();
        let mut builder = GroupBuilder::default();
        let mut entries = Vec::new();
        let mut index = self.head.end.last.index;
        while let Some(queued) = queue.entries.pop_front_if(|queued| builder.fits(&queued.payload)) {
            builder.push(self.term, &queued.payload);
            index += 1;
            let id = LogId { term: self.term, index };
            entries.push((Entry { id, payload: queued.payload }, queued.committed));
        }
        drop(queue);
        (!entries.is_empty()).then(|| self.finish(builder, entries))
    }

    fn group(&self, entries: Vec<(Entry, Option<oneshot::Sender<LogId>>)>) -> Group {
        self.finish(GroupBuilder::default(), entries)
    }

    fn finish(&self, builder: GroupBuilder, entries: Vec<(Entry, Option<oneshot::Sender<LogId>>)>) -> Group {
        let (bytes, chain) = builder.finish(Place {
            run: self.head.run,
            number: self.head.end.group + 1,
            // Every group before this one has been synced: this one would not have been begun otherwise.
            durable: self.head.end.group,
            first_index: self.head.end.last.index + 1,
            previous_chain: self.head.end.chain,
            is_last_of_file: false,
        });
        Group { bytes, chain, entries }
    }

    /// What the file must have before the group is written: with a block of zeros behind it, a cut is seen.
    fn needed_bytes(&self, group: &Group) -> u64 {
        self.head.end.position + group.bytes.len() as u64 + BLOCK
    }

    fn write(&mut self, group: Group) -> io::Result<Next> {
        let (file, needed) = (&self.head.file, self.needed_bytes(&group));
        let is_ready = needed <= self.head.file_bytes;
        let written = if is_ready {
            file.write_all_at(&[IoSlice::new(&group.bytes)], self.head.end.position)
        } else {
            let zeroes = needed.next_multiple_of(SPARE_BYTES) - self.head.file_bytes;
            file.write_all_at(&[IoSlice::new(&vec![0; zeroes as usize])], self.head.file_bytes)
        };
        match written {
            Ok(()) => {
                self.phase = if is_ready { Phase::Sync(group) } else { Phase::SyncSpare(group) };
                Ok(Next::Again)
            }
            // Nothing of it counts until its sync, and the same bytes go to the same place: proposers wait.
            Err(error) if error.kind() == io::ErrorKind::StorageFull && !self.is_closing() => {
                tracing::warn!(directory = %self.directory.display(), "the disk is full: changes of metadata wait");
                self.phase = Phase::Write(group);
                Ok(Next::At(self.env.clock.now() + self.settings.full_disk_pause))
            }
            Err(error) => Err(error),
        }
    }

    fn sync_spare(&mut self, group: Group) -> io::Result<Next> {
        self.head.file.sync_data()?;
        self.head.file_bytes = self.needed_bytes(&group).next_multiple_of(SPARE_BYTES);
        self.phase = Phase::Write(group);
        Ok(Next::Again)
    }

    fn sync(&mut self, group: Group) -> io::Result<Next> {
        self.head.file.sync_data()?;
        let end = &mut self.head.end;
        end.group += 1;
        end.chain = group.chain;
        end.position += group.bytes.len() as u64;
        let is_seal = group.entries.is_empty();
        self.seal_at = (!is_seal).then(|| self.env.clock.now() + self.settings.seal_after);
        for (entry, committed) in group.entries {
            end.last = entry.id;
            let id = entry.id;
            // The reader first: whoever hears that it is committed may rely on reading it. A reader that is gone needs
            // nothing.
            let _ = self.events.send(Event::Entry(entry));
            if let Some(committed) = committed {
                let _ = committed.send(id);
            }
        }
        let head = self.files.last_mut().expect("there is always a file that is written");
        head.last_index = self.head.end.last.index;
        head.bytes = self.head.end.position;
        self.note_files();
        // A snapshot begins and goes on between groups, so that a busy log does not starve it.
        if self.take_snapshot_request() {
            self.snapshot_step()?;
        }
        Ok(Next::Again)
    }

    fn note_files(&self) {
        let mut queue = self.shared.queue();
        queue.log_bytes = self.files.iter().map(|file| file.bytes).sum();
        queue.log_files = self.files.len();
    }

    // Snapshots.

    /// Whether there is a snapshot to be gone on with. A closing log leaves it to the next start.
    fn take_snapshot_request(&mut self) -> bool {
        let mut queue = self.shared.queue();
        if queue.is_closed {
            queue.snapshot = None;
            return false;
        }
        if let Some((last, pieces)) = queue.snapshot.take() {
            let temporary = self.directory.join(snapshot::file_name(last) + TEMPORARY);
            self.snapshot = Some(SnapshotTask { last, temporary, step: SnapshotStep::NewFile(pieces) });
        }
        self.snapshot.is_some()
    }

    fn snapshot_step(&mut self) -> io::Result<()> {
        let Some(task) = self.snapshot.take() else { return Ok(()) };
        let SnapshotTask { last, temporary, step } = task;
        match self.advance_snapshot(last, &temporary, step) {
            Ok(Some(step)) => self.snapshot = Some(SnapshotTask { last, temporary, step }),
            Ok(None) => self.snapshot_ended(),
            // The log itself is unharmed; the snapshot is tried again when one is wanted next.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                tracing::warn!(directory = %self.directory.display(), "the disk is full: no snapshot of the metadata");
                remove_if_there(&*self.env.disk, &temporary)?;
                self.snapshot_ended();
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn snapshot_ended(&mut self) {
        self.note_files();
        self.shared.queue().is_snapshot_running = false;
    }

    fn advance_snapshot(
        &mut self,
        last: LogId,
        temporary: &Path,
        step: SnapshotStep,
    ) -> io::Result<Option<SnapshotStep>> {
        let disk = self.env.disk.clone();
        Ok(Some(match step {
            SnapshotStep::NewFile(pieces) => {
                let (old, closing, position) = self.begin_file()?;
                SnapshotStep::CloseOldFile(pieces, old, closing, position)
            }
            SnapshotStep::CloseOldFile(pieces, old, closing, position) => {
                old.write_all_at(&[IoSlice::new(&closing)], position)?;
                SnapshotStep::SyncOldFile(pieces, old)
            }
            SnapshotStep::SyncOldFile(pieces, old) => {
                old.sync_data()?;
                SnapshotStep::Create(pieces)
            }
            SnapshotStep::Create(pieces) => {
                remove_if_there(&*disk, temporary)?;
                SnapshotStep::Write(pieces, snapshot::Writer::create(&*disk, temporary, last)?)
            }
            SnapshotStep::Write(mut pieces, mut writer) => match pieces.next() {
                Some(piece) => {
                    writer.piece(&piece)?;
                    SnapshotStep::Write(pieces, writer)
                }
                None => {
                    writer.end()?;
                    SnapshotStep::Sync(writer)
                }
            },
            SnapshotStep::Sync(writer) => {
                writer.sync()?;
                SnapshotStep::Rename
            }
            SnapshotStep::Rename => {
                disk.rename(temporary, &self.directory.join(snapshot::file_name(last)))?;
                SnapshotStep::SyncName
            }
            SnapshotStep::SyncName => {
                disk.sync_dir(&self.directory)?;
                SnapshotStep::RemoveOld
            }
            SnapshotStep::RemoveOld => match self.oldest_superfluous(last)? {
                Some(path) => {
                    disk.remove_file(&path)?;
                    SnapshotStep::RemoveOld
                }
                None => SnapshotStep::SyncRemoval,
            },
            SnapshotStep::SyncRemoval => {
                disk.sync_dir(&self.directory)?;
                return Ok(None);
            }
        }))
    }

    /// From here on entries go to a new file. Returns the old one, the group that closes it, and where that goes. Must
    /// be one step: no group may come between.
    fn begin_file(&mut self) -> io::Result<(Arc<dyn File>, Vec<u8>, u64)> {
        let end = &self.head.end;
        let number = self.files.last().map_or(0, |file| file.number) + 1;
        let run = self.env.rng.next_u64();
        let path = self.directory.join(file_name(number));
        let disk = &*self.env.disk;
        let made = make_file(disk, &path, &header_after(end, number, run));
        let file = match made.and_then(|file| disk.sync_dir(&self.directory).map(|()| file)) {
            Ok(file) => file,
            Err(error) => {
                // It must be gone for certain before the old file goes on: recovery would take it for what follows.
                remove_if_there(disk, &path)?;
                disk.sync_dir(&self.directory)?;
                return Err(error);
            }
        };
        let closing = last_group(end, self.head.run);
        let position = end.position;
        let old = std::mem::replace(&mut self.head.file, file);
        self.head.run = run;
        self.head.file_bytes = NEW_FILE_BYTES;
        self.head.end.position = BLOCK;
        self.seal_at = None; // The new file's header proves the old file's last group.
        self.files.push(LogFile { number, last_index: self.head.end.last.index, bytes: BLOCK });
        Ok((old, closing, position))
    }

    /// A file that the snapshot up to `last` stands in for; it is no longer in `files`.
    fn oldest_superfluous(&mut self, last: LogId) -> io::Result<Option<PathBuf>> {
        if self.files.len() > 1 && self.files[0].last_index <= last.index {
            let number = self.files.remove(0).number;
            return Ok(Some(self.directory.join(file_name(number))));
        }
        let names = self.env.disk.read_dir(&self.directory)?;
        let older = |name: &str| snapshot::parse_file_name(name).is_some_and(|other| other.index < last.index);
        Ok(names.into_iter().find(|entry| older(&entry.name)).map(|entry| self.directory.join(entry.name)))
    }
}
