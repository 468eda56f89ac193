//! Opening: what recovery accepted is made durable for certain, the old file is closed, a new term and a new file
//! begin. Each step leaves what the next start recovers to the same, so a second crash in here does no harm.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::{Disk, Env, OpenOptions};
use tokio::sync::mpsc;

use super::format::{BLOCK, FileHeader, Vote};
use super::log_file::{NEW_FILE_BYTES, header_after, last_group, make_file, remove_if_there};
use super::recover::{End, LogFile, OpenError, Recovered, VOTE, file_name, recover};
use super::worker::{CommitWorker, Head};
use super::{LocalLog, Queue, Queued, Settings, Shared};
use crate::metadata_log::{Committed, Event, Payload, Role, Unread};

impl LocalLog {
    /// Reads the directory back, or makes it, and begins a term. Blocks while it reads.
    pub fn open(env: &Env, directory: &Path, settings: Settings) -> Result<(LocalLog, Committed), OpenError> {
        let disk = &*env.disk;
        let failed = |error| OpenError::Io { path: directory.to_owned(), error };
        env::disk::create_dir_all(disk, directory).map_err(failed)?;
        let recovered = recover(disk, directory)?;
        let term = recovered.vote.map_or(0, |vote| vote.term).max(recovered.end.last.term) + 1;
        let begun = Start { disk, directory, recovered: &recovered, run: env.rng.next_u64() }.begin(term, settings);
        let (head, files) = begun.map_err(failed)?;

        let (events_in, events) = mpsc::unbounded_channel();
        let snapshot = recovered.snapshot.map(Event::Snapshot);
        for event in snapshot.into_iter().chain(recovered.entries.into_iter().map(Event::Entry)) {
            events_in.send(event).expect("the receiver is right here");
        }
        let unread = Arc::new(Unread::default());
        unread.proposed(&Payload::TermStart);
        let mut queue = Queue { log_bytes: files.iter().map(|file| file.bytes).sum(), ..Queue::default() };
        queue.log_files = files.len();
        queue.entries.push_back(Queued { payload: Payload::TermStart, committed: None });
        let shared = Arc::new(Shared { queue: queue.into(), unread: unread.clone() });
        let worker = CommitWorker::new(env, directory, settings, shared.clone(), events_in, term, head, files);
        let worker = env.spawn.worker("metadata log", Box::new(worker));
        let role = Role { term, leader: Some(settings.node_id), is_me: true };
        Ok((LocalLog { shared, worker, role, settings }, Committed { events, unread }))
    }
}

struct Start<'a> {
    disk: &'a dyn Disk,
    directory: &'a Path,
    recovered: &'a Recovered,
    run: u64,
}

impl Start<'_> {
    fn begin(&self, term: u64, settings: Settings) -> io::Result<(Head, Vec<LogFile>)> {
        self.remove_superfluous()?;
        let end = &self.recovered.end;
        if let Some(last) = self.recovered.files.last() {
            self.settle_last_file(last.number, end)?;
        }
        let number = self.recovered.files.last().map_or(0, |file| file.number) + 1;
        let header = header_after(end, number, self.run);
        let path = self.path_of(number);
        // A making that a crash cut short; recovery has seen that nothing follows it.
        remove_if_there(self.disk, &path)?;
        let file = make_file(self.disk, &path, &header)?;
        self.disk.sync_dir(self.directory)?;
        let mut files = self.recovered.files.clone();
        if let Some(last) = files.last_mut() {
            let old = self.disk.open(&self.path_of(last.number), OpenOptions::WRITE)?;
            // Its run is that of its header.
            let mut block = vec![0; BLOCK as usize];
            old.read_at(&mut block, 0)?;
            let run = FileHeader::decode(&block).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?.run;
            let closing = last_group(end, run);
            old.write_all_at(&[IoSlice::new(&closing)], end.position)?;
            old.sync_data()?;
            last.bytes = end.position + closing.len() as u64;
        }
        // After the file: a vote without any file would mean that the log is lost.
        let vote = Vote { term, voted_for: settings.node_id.value() };
        env::disk::replace_file(self.disk, &self.directory.join(VOTE), &vote.encode())?;
        let end = End { position: BLOCK, ..end.clone() };
        let last_index = end.last.index;
        let head = Head { file, end, run: self.run, file_bytes: NEW_FILE_BYTES };
        files.push(LogFile { number, last_index, bytes: BLOCK });
        Ok((head, files))
    }

    fn remove_superfluous(&self) -> io::Result<()> {
        self.recovered.superfluous.iter().try_for_each(|path| remove_if_there(self.disk, path))
    }

    /// What the next file's header names has to be durable before that header is: the last file's name, header and last
    /// group, of which a process that was killed may have synced none. They are written again before they are synced: a
    /// page cache may hold clean what a failed write-back never brought to the disk.
    fn settle_last_file(&self, number: u64, end: &End) -> io::Result<()> {
        let file = self.disk.open(&self.path_of(number), OpenOptions::WRITE)?;
        let mut header = vec![0; BLOCK as usize];
        let read = file.read_at(&mut header, 0)?;
        file.write_all_at(&[IoSlice::new(&header[..read])], 0)?;
        if let Some((at, bytes)) = &end.last_group {
            file.write_all_at(&[IoSlice::new(bytes)], *at)?;
        }
        if end.is_torn {
            // In this order: what is cut behind a group that is still there to be seen would look like a damaged file.
            file.write_all_at(&[IoSlice::new(&[0; BLOCK as usize])], end.position)?;
            file.sync_data()?;
            file.set_len(end.position + BLOCK)?;
        }
        file.sync_data()?;
        self.disk.sync_dir(self.directory)
    }

    fn path_of(&self, number: u64) -> PathBuf {
        self.directory.join(file_name(number))
    }
}
