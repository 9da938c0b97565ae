//! Who remembers: the journal and the log, each on a thread of its own, asked over channels. The thread that acts on
//! files is confined by the kernel to the run's folders and could not open the store; these two can.
//!
//! An intent goes to both at once, and is acknowledged when both have it on disk.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use raincoat_audit::{About, Audit, Event};
use raincoat_journal::{Chunker, Journal, JournalError, Order, Piece};
use raincoat_types::{
    Change, ChunkId, Clock, Digest, FileContent, FileKind, Identity, Image, Intent, OpId, OpRecord, OpResult, RawPath,
    RelPath, RunId, Spot,
};

use crate::room::{Room, RoomRule, Waives};

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// What the log's thread is asked.
enum AskLog {
    Job(Job<Audit>),
    /// To append events durably, and to say whether they are.
    Durably(About, Vec<Event>, Sender<Result<(), String>>),
    /// To append events that nobody waits for.
    Lazily(About, Vec<Event>),
}

/// Questions that wait for the log. Whoever has more waits too, so that what is to be logged never piles up in memory.
const WAITING: usize = 1024;
/// Events that nobody waits for and that are appended at once, where so many have come together.
const TOGETHER: usize = 256;
/// How long the last of them waits for another.
const GATHERING: Duration = Duration::from_micros(400);
/// Events that could not be written yet and are kept for another try; of more than these some are lost, and nothing
/// durable is taken any more.
const BEHIND: usize = 65_536;

/// A handle on the two that remember; clones ask the same two.
#[derive(Clone)]
pub struct Recorder {
    journal: Sender<Job<Journal>>,
    audit: SyncSender<AskLog>,
    about: About,
    /// The store's budget, where there is one.
    pub(crate) room: Option<Room>,
    /// Files that the person said may be changed without a copy.
    pub(crate) waives: Option<Arc<Waives>>,
    /// What is to be told to the person.
    pub(crate) said: Arc<Mutex<Vec<String>>>,
    chunker: Chunker,
}

/// The threads behind a [`Recorder`]. Closing them waits until everything asked has been done.
pub struct Remembering {
    journal: thread::JoinHandle<Journal>,
    log: thread::JoinHandle<Log>,
}

impl Recorder {
    /// Starts the two threads.
    pub fn start(journal: Journal, audit: Audit) -> (Recorder, Remembering) {
        let chunker = journal.chunker();
        let (to_journal, journal) = serve_journal(journal);
        let (to_audit, log) = serve_log(audit);
        let recorder = Recorder {
            journal: to_journal,
            audit: to_audit,
            about: About::NOTHING,
            room: None,
            waives: None,
            said: Arc::default(),
            chunker,
        };
        (recorder, Remembering { journal, log })
    }

    /// The same, speaking for an actor within a run.
    #[must_use]
    pub fn speaking_for(&self, about: About) -> Recorder {
        Recorder { about, ..self.clone() }
    }

    /// The same, within a budget of which so many bytes are used.
    #[must_use]
    pub fn with_room(&self, rule: RoomRule, used: u64, clock: Arc<dyn Clock>) -> Recorder {
        Recorder { room: Some(Room::new(rule, used, clock)), ..self.clone() }
    }

    /// The same, keeping no copy of the files that `waives` says yes to: the person said so for this change.
    #[must_use]
    pub fn without_backup(&self, waives: Arc<Waives>) -> Recorder {
        Recorder { waives: Some(waives), ..self.clone() }
    }

    /// Asks the journal.
    ///
    /// # Errors
    /// In words, where its thread is gone.
    pub fn journal<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Journal) -> R + Send + 'static,
    ) -> Result<R, String> {
        wait(&request(&self.journal, ask))
    }

    /// Asks the log.
    ///
    /// # Errors
    /// In words, where its thread is gone.
    pub fn audit<R: Send + 'static>(&self, ask: impl FnOnce(&mut Audit) -> R + Send + 'static) -> Result<R, String> {
        wait(&self.ask_log(ask))
    }

    fn ask_log<R: Send + 'static>(&self, ask: impl FnOnce(&mut Audit) -> R + Send + 'static) -> Receiver<R> {
        let (sender, receiver) = channel();
        let _ = self.audit.send(AskLog::Job(Box::new(move |audit| {
            let _ = sender.send(ask(audit));
        })));
        receiver
    }

    /// Appends events to the log, durably.
    ///
    /// # Errors
    /// In words.
    pub fn log(&self, events: Vec<Event>) -> Result<(), String> {
        wait(&self.log_durably(events))?
    }

    fn log_durably(&self, events: Vec<Event>) -> Receiver<Result<(), String>> {
        let (sender, receiver) = channel();
        let _ = self.audit.send(AskLog::Durably(self.about.clone(), events, sender));
        receiver
    }

    /// Appends events that become durable with the next that must be. Nobody waits; what cannot be written is tried
    /// again before the next durable one, which fails where it still cannot be.
    pub fn log_lazily(&self, events: Vec<Event>) {
        if !events.is_empty() {
            let _ = self.audit.send(AskLog::Lazily(self.about.clone(), events));
        }
    }

    /// Makes intents durable in the journal and in the log.
    ///
    /// # Errors
    /// In words. Nothing may be changed then.
    pub fn intend(&self, intents: Vec<Intent>) -> Result<(), String> {
        let waived = self.waived(&intents);
        let mut events: Vec<Event> = intents.iter().map(planned).collect();
        events.extend(waived.iter().map(skipped));
        let logged = self.log_durably(events);
        let kept = request(&self.journal, move |journal: &mut Journal| {
            journal.waive(waived.into_iter().map(|(op, _)| op));
            journal.intend(&intents)
        });
        let kept = self.kept(wait(&kept)?);
        wait(&logged)??;
        kept
    }

    /// What the journal says, in words; that its disk failed stands in the log.
    fn kept<T>(&self, said: Result<T, JournalError>) -> Result<T, String> {
        said.map_err(|error| {
            if matches!(error, JournalError::Io { .. } | JournalError::Poisoned(_)) {
                let why = error.to_string();
                self.log_lazily(vec![Event::StorageFailed { what: "the journal".to_owned(), why }]);
            }
            error.to_string()
        })
    }

    /// Of these, the changes that destroy content of which no copy is kept, at the person's word.
    fn waived(&self, intents: &[Intent]) -> Vec<(OpId, RelPath)> {
        let mut waived = Vec::new();
        for intent in intents {
            if let Change::Replace { at, before, .. } | Change::Remove { at, before } = &intent.change
                && matches!(&before.content, raincoat_types::Content::File(file) if !file.stored)
                && self.waives(&at.path)
            {
                waived.push((intent.op, at.path.clone()));
            }
        }
        waived
    }

    /// Keeps outcomes of changes that were intended. They outlast this process at once, and a power cut with the next
    /// intent; without them recovery looks at the files.
    ///
    /// # Errors
    /// In words.
    pub fn conclude<'a>(
        &self,
        results: Vec<(OpId, OpResult)>,
        change_of: impl Fn(OpId) -> Option<&'a Change>,
    ) -> Result<(), String> {
        self.log_lazily(results.iter().map(|(op, result)| outcome(*op, change_of(*op), result)).collect());
        self.kept(self.journal(move |journal| journal.conclude(&results))?)
    }

    /// What cuts content and names the pieces as the store does.
    pub(crate) fn chunker(&self) -> &Chunker {
        &self.chunker
    }

    /// Puts pieces of content into the store. Durable with the next intent.
    pub(crate) fn put_pieces(&self, pieces: Vec<Piece>) -> Answer<()> {
        Answer(request(&self.journal, move |journal: &mut Journal| journal.put_pieces(pieces)))
    }

    /// Content with this digest, if the store has all of it.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn lookup(&self, digest: Digest) -> Result<Option<FileContent>, String> {
        self.journal(move |journal| journal.lookup(&digest))?.map_err(|e| e.to_string())
    }

    /// The digest of bytes, worked out beside everything else, on the log's thread.
    pub(crate) fn digest_beside(&self, bytes: Arc<Vec<u8>>) -> Receiver<Digest> {
        self.ask_log(move |_| Digest(*blake3::hash(&bytes).as_bytes()))
    }

    /// Whether the store has a chunk.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn has_chunk(&self, id: ChunkId) -> Result<bool, String> {
        self.journal(move |journal| journal.has_chunk(&id))?.map_err(|e| e.to_string())
    }

    /// Has what waits to be written on these directories' file systems written, beside everything else: the log's thread
    /// has time while a commit is being prepared.
    pub(crate) fn sync_beside(&self, dirs: Vec<OwnedFd>) -> Receiver<std::io::Result<()>> {
        self.ask_log(move |_| dirs.iter().try_for_each(|dir| raincoat_os::mutate::sync_file_system(dir.as_fd())))
    }

    /// Has the journal and the log take up what a commit is about to do. Durable with [`Recorder::commit_point`].
    pub(crate) fn intend_later(&self, intents: Vec<Intent>) -> Answer<()> {
        let waived = self.waived(&intents);
        self.log_lazily(intents.iter().map(planned).chain(waived.iter().map(skipped)).collect());
        Answer(request(&self.journal, move |journal: &mut Journal| {
            journal.waive(waived.into_iter().map(|(op, _)| op));
            journal.intend_later(&intents)
        }))
    }

    /// Makes what a commit is about to do durable, in the journal and in the log, with the point from which it is
    /// carried through.
    ///
    /// # Errors
    /// In words. Nothing may be changed then.
    pub(crate) fn commit_point(&self, run: RunId, point: Vec<u8>) -> Result<(), String> {
        let logged = self.log_durably(Vec::new());
        let kept = request(&self.journal, move |journal: &mut Journal| journal.commit_point(run, &point));
        let kept = self.kept(wait(&kept)?);
        wait(&logged)??;
        kept
    }

    /// Chunks of content out of the store, or why one is not to be had. The answer is waited for when it is needed.
    pub(crate) fn read_chunks(&self, ids: Vec<ChunkId>) -> Answer<Vec<Result<Vec<u8>, String>>> {
        let read = move |journal: &mut Journal| {
            let read = |id| journal.read_chunk(id).map_err(|e| e.to_string());
            journal.steadily(|| Ok(ids.into_iter().map(read).collect()))
        };
        Answer(request(&self.journal, read))
    }

    /// A chunk of content out of the store.
    ///
    /// # Errors
    /// In words.
    pub fn read_chunk(&self, id: ChunkId) -> Result<Vec<u8>, String> {
        self.journal(move |journal| journal.read_chunk(id))?.map_err(|e| e.to_string())
    }

    /// One recorded operation; `None` where there is none.
    ///
    /// # Errors
    /// In words.
    pub fn op(&self, op: OpId) -> Result<Option<OpRecord>, String> {
        match self.journal(move |journal| journal.op(op))? {
            Ok(record) => Ok(Some(record)),
            Err(JournalError::UnknownOp(_) | JournalError::UnknownRun(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The operations that ended an inode under some name (removed it, or put another inode in its place), and where;
    /// none where it never had several names.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn ended_names(&self, identity: &Identity) -> Result<Vec<(OpId, Spot)>, String> {
        let identity = *identity;
        self.journal(move |journal| ended_names(journal, &identity))?.map_err(|e| e.to_string())
    }

    /// The inodes that a run took one of several names of away.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn linked_inodes(&self, run: RunId) -> Result<Vec<Identity>, String> {
        self.journal(move |journal| {
            let mut inodes = Vec::new();
            journal.for_each_op(run, Order::Forward, |op| {
                if let Change::Remove { before, .. } = &op.intent.change
                    && before.meta.kind != FileKind::Dir
                    && before.meta.nlink > 1
                {
                    inodes.push(before.meta.identity);
                }
                ControlFlow::Continue(())
            })?;
            Ok(inodes)
        })?
        .map_err(|e: JournalError| e.to_string())
    }

    /// Where the store has a content's bytes: as it says itself, or by its digest.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn known_content(&self, content: &FileContent) -> Result<Option<FileContent>, String> {
        if content.stored {
            return Ok(Some(content.clone()));
        }
        let digest = content.digest;
        self.journal(move |journal| journal.lookup(&digest))?.map_err(|e| e.to_string())
    }

    /// The inode that undo made when it took an operation back, if it stands taken back.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn reborn_as(&self, op: OpId) -> Result<Option<Identity>, String> {
        self.journal(move |journal| {
            let Some(by) = journal.undone_by(op)? else { return Ok(None) };
            Ok(match journal.op(by)?.result {
                Some(OpResult::Done { after: Some(image), .. }) => Some(image.meta.identity),
                _ => None,
            })
        })?
        .map_err(|e: JournalError| e.to_string())
    }
}

/// The operations that ended an inode under some name, and where; none where it never had several.
pub(crate) fn ended_names(journal: &Journal, identity: &Identity) -> Result<Vec<(OpId, Spot)>, JournalError> {
    let (mut ended, mut several) = (Vec::new(), false);
    for id in journal.ops_on_inode(identity)? {
        let op = journal.op(id)?;
        if let Change::Remove { at, before } | Change::Replace { at, before, in_place: false, .. } = &op.intent.change
            && matches!(op.result, Some(OpResult::Done { .. }))
            && before.meta.identity == *identity
        {
            several |= before.meta.nlink > 1;
            ended.push((id, at.clone()));
        }
    }
    Ok(if several { ended } else { Vec::new() })
}

/// What the journal will say.
pub(crate) struct Answer<T>(Receiver<Result<T, JournalError>>);

impl<T> Answer<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn wait(self) -> Result<T, String> {
        wait(&self.0)?.map_err(|e| e.to_string())
    }
}

impl Remembering {
    /// Waits for the threads, once every [`Recorder`] is gone, and gives both back.
    ///
    /// # Errors
    /// In words, where one of them died.
    pub fn join(self) -> Result<(Journal, Audit), String> {
        let journal = self.journal.join().map_err(|_| "the journal's thread died".to_owned())?;
        let mut log = self.log.join().map_err(|_| "the log's thread died".to_owned())?;
        log.catch_up()?;
        Ok((journal, log.audit))
    }
}

fn serve_journal(mut journal: Journal) -> (Sender<Job<Journal>>, thread::JoinHandle<Journal>) {
    let (sender, receiver) = channel::<Job<Journal>>();
    let handle = thread::spawn(move || {
        let mut next = receiver.recv().ok();
        while let Some(job) = next {
            job(&mut journal);
            next = receiver.try_recv().ok().or_else(|| {
                journal.make_ready();
                receiver.recv().ok()
            });
        }
        journal
    });
    (sender, handle)
}

fn serve_log(audit: Audit) -> (SyncSender<AskLog>, thread::JoinHandle<Log>) {
    let (sender, receiver) = sync_channel::<AskLog>(WAITING);
    let handle = thread::spawn(move || {
        let mut log = Log { audit, behind: VecDeque::new(), waiting: 0, lost: 0 };
        let mut next = receiver.recv().ok();
        while let Some(ask) = next.take() {
            match ask {
                AskLog::Job(job) => job(&mut log.audit),
                AskLog::Durably(about, events, told) => {
                    let _ = told.send(log.durably(&about, events));
                }
                AskLog::Lazily(about, mut events) => {
                    // Each append takes the log's lock and looks for what others wrote: worth doing once for many.
                    while events.len() < TOGETHER {
                        match receiver.recv_timeout(GATHERING) {
                            Ok(AskLog::Lazily(of, more)) if of == about => events.extend(more),
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    let together = matches!(&next, Some(AskLog::Durably(of, ..)) if *of == about);
                    log.lazily(about, events, together);
                }
            }
            next = next.or_else(|| receiver.recv().ok());
        }
        log
    });
    (sender, handle)
}

/// The log, with what could not be written to it yet: nothing is ever left out of it in silence.
struct Log {
    audit: Audit,
    behind: VecDeque<(About, Vec<Event>)>,
    /// Events in `behind`.
    waiting: usize,
    lost: usize,
}

impl Log {
    fn durably(&mut self, about: &About, mut events: Vec<Event>) -> Result<(), String> {
        // What waits of the same speaker goes with it, in one write.
        let with = self.lost == 0 && self.behind.len() == 1 && self.behind.front().is_some_and(|(of, _)| of == about);
        if with && let Some((_, waiting)) = self.behind.front() {
            events.splice(..0, waiting.iter().cloned());
        } else {
            self.catch_up()?;
        }
        self.audit.append(about, &events).map_err(|e| e.to_string())?;
        if with {
            self.behind.clear();
            self.waiting = 0;
        }
        Ok(())
    }

    /// `together`: what must be durable comes right behind.
    fn lazily(&mut self, about: About, events: Vec<Event>, together: bool) {
        if self.waiting + events.len() > BEHIND {
            self.lost += events.len();
            return;
        }
        self.waiting += events.len();
        self.behind.push_back((about, events));
        if !together {
            // Tried again before anything that must be durable.
            let _ = self.catch_up();
        }
    }

    /// Writes what is behind. An event of a write that failed in its middle may come to stand in the log twice.
    fn catch_up(&mut self) -> Result<(), String> {
        if self.lost > 0 {
            return Err(format!("{} entries of the log could not be written", self.lost));
        }
        while let Some((about, events)) = self.behind.front() {
            self.audit.append_lazy(about, events).map_err(|e| e.to_string())?;
            self.waiting -= events.len();
            self.behind.pop_front();
        }
        Ok(())
    }
}

fn request<R: Send + 'static>(
    to: &Sender<Job<Journal>>,
    ask: impl FnOnce(&mut Journal) -> R + Send + 'static,
) -> Receiver<R> {
    let (sender, receiver) = channel();
    // Where the thread is gone the sender is dropped with the job, and waiting fails.
    let _ = to.send(Box::new(move |journal: &mut Journal| {
        let _ = sender.send(ask(journal));
    }));
    receiver
}

fn wait<R>(answer: &Receiver<R>) -> Result<R, String> {
    answer.recv().map_err(|_| "the store's own thread is gone".to_owned())
}

fn planned(intent: &Intent) -> Event {
    Event::OpPlanned {
        op: intent.op,
        kind: intent.change.kind(),
        places: intent.change.spots().into_iter().cloned().collect(),
        before: intent.change.before().and_then(Image::digest),
        after: after_of(&intent.change),
        undoes: intent.undoes,
    }
}

fn skipped((op, path): &(OpId, RelPath)) -> Event {
    let why = "at the person's word for this change: no copy of what was there is kept".to_owned();
    Event::BackupSkipped { op: Some(*op), path: RawPath(path.as_bytes().to_vec()), why }
}

/// The content that a change is to lead to, where that is a file's.
fn after_of(change: &Change) -> Option<Digest> {
    match change {
        Change::Create { after, .. } | Change::Replace { after, .. } => after.digest(),
        Change::Move { image, .. } | Change::Link { image, .. } => image.digest(),
        Change::Remove { .. } | Change::SetMeta { .. } => None,
    }
}

/// How an operation came out, for the log. `change` is what was intended, where it is known.
pub fn outcome(op: OpId, change: Option<&Change>, result: &OpResult) -> Event {
    match (result, change) {
        (OpResult::Done { after, .. }, Some(change)) => Event::OpMade {
            op,
            kind: change.kind(),
            places: change.spots().into_iter().cloned().collect(),
            before: change.before().and_then(Image::digest),
            after: after.as_ref().and_then(Image::digest),
        },
        (OpResult::Done { after, .. }, None) => Event::OpDone { op, after: after.as_ref().and_then(Image::digest) },
        (OpResult::NotDone(why) | OpResult::RolledBack(why), _) => Event::OpFailed { op, why: why.clone() },
    }
}
