//! What comes from the draft is read for its digest beside the thread that prepares the commit: that one finds and opens
//! the next files meanwhile. The reader is given open files and nothing else.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use raincoat_os::{Stat, state};
use raincoat_sandbox::thread::{ThreadRules, confine};
use raincoat_types::{Digest, Xattr};

use crate::capture::digest_of_size;

/// Files that go to the reader in one message.
const BATCH: usize = 32;
/// Messages that may be under way: so many times as many files are open at once.
const FLYING: usize = 4;

/// A file to be read.
pub(crate) struct Job {
    /// Which operation brings it.
    pub(super) op: usize,
    pub(super) fd: OwnedFd,
    /// What it was when it was seen, before it was opened.
    pub(super) stat: Stat,
    /// The digest that its content must have.
    pub(super) expected: Option<Digest>,
}

/// What was found in it; `None` where it is not what was seen.
pub(crate) type Found = Option<(Digest, Vec<Xattr>)>;

/// A thread that reads what comes from a draft.
#[derive(Debug)]
pub struct Reader {
    to: Sender<Vec<Job>>,
    from: Receiver<Vec<(usize, io::Result<Found>)>>,
}

impl Reader {
    /// Starts the thread, which can open nothing. Without one (the system has no more threads) each file is read where
    /// it is found.
    pub fn start() -> Option<Reader> {
        let (to, jobs) = channel::<Vec<Job>>();
        let (told, from) = channel();
        let work = move || {
            if confine(&ThreadRules::default()).is_err() {
                return;
            }
            for batch in jobs {
                let read = batch.into_iter().map(|job| (job.op, look_into(job.fd.as_fd(), &job.stat, job.expected)));
                if told.send(read.collect()).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("reader".to_owned()).spawn(work).ok()?;
        Some(Reader { to, from })
    }
}

/// Reads an open file once: its content's digest and its extended attributes, if it is the file that was seen, and as
/// it was then.
pub(super) fn look_into(fd: BorrowedFd<'_>, seen: &Stat, expected: Option<Digest>) -> io::Result<Found> {
    let digest = digest_of_size(fd, seen.size)?;
    let xattrs = xattrs_of_open(fd)?;
    let same = seen.untouched(&state::stat_fd(fd)?) && expected.is_none_or(|expected| expected == digest);
    Ok(same.then_some((digest, xattrs)))
}

/// Most files have none, which one call tells.
pub(super) fn xattrs_of_open(fd: BorrowedFd<'_>) -> io::Result<Vec<Xattr>> {
    if state::has_no_xattrs(fd)? { Ok(Vec::new()) } else { state::xattrs_of(fd) }
}

/// Files on their way through the reader.
#[derive(Default)]
pub(super) struct Reading {
    batch: Vec<Job>,
    /// How many files each message has that is under way.
    flying: VecDeque<Vec<usize>>,
    done: Vec<(usize, io::Result<Found>)>,
}

impl Reading {
    /// Has a file read.
    pub(super) fn give(&mut self, reader: &Reader, job: Job) {
        self.batch.push(job);
        if self.batch.len() >= BATCH {
            self.send(reader);
        }
    }

    fn send(&mut self, reader: &Reader) {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return;
        }
        let ops = batch.iter().map(|job| job.op).collect();
        match reader.to.send(batch) {
            Ok(()) => self.flying.push_back(ops),
            // The thread is gone: what it would have done is done here.
            Err(error) => {
                let here = error.0.into_iter();
                self.done.extend(here.map(|job| (job.op, look_into(job.fd.as_fd(), &job.stat, job.expected))));
            }
        }
        while self.flying.len() > FLYING {
            self.land(reader);
        }
    }

    fn land(&mut self, reader: &Reader) {
        let Some(ops) = self.flying.pop_front() else { return };
        match reader.from.recv() {
            Ok(read) => self.done.extend(read),
            Err(_) => {
                let gone = |op| (op, Err(io::Error::other("the thread that reads the draft died")));
                self.done.extend(ops.into_iter().map(gone));
            }
        }
    }

    /// Waits for all of them. What was found in the file of each operation.
    pub(super) fn finish(&mut self, reader: &Reader) -> Vec<(usize, io::Result<Found>)> {
        self.send(reader);
        while !self.flying.is_empty() {
            self.land(reader);
        }
        std::mem::take(&mut self.done)
    }
}
