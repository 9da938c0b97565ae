//! Who remembers: the journal and the log, each on a thread of its own, asked over channels. The thread that acts on
//! files is confined by the kernel to the run's folders and could not open the store; these two can.
//!
//! An intent goes to both at once, and is acknowledged when both have it on disk.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use raincoat_audit::{About, Audit, Event};
use raincoat_journal::{Chunker, Journal, JournalError, Order, Piece};
use raincoat_types::{
    Change, ChunkId, Digest, FileContent, FileKind, Identity, Intent, OpId, OpRecord, OpResult, RunHeader, RunId,
    RunKind, Spot,
};

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// What the log's thread is asked.
enum AskLog {
    Job(Job<Audit>),
    /// To append events that nobody waits for.
    Lazily(About, Vec<Event>),
}

/// Questions that wait for the log. Whoever has more waits too, so that what is to be logged never piles up in memory.
const WAITING: usize = 1024;
/// Events that nobody waits for and that are appended at once, where so many have come together.
const TOGETHER: usize = 256;

/// A handle on the two that remember; clones ask the same two.
#[derive(Clone)]
pub struct Recorder {
    journal: Sender<Job<Journal>>,
    audit: SyncSender<AskLog>,
    about: About,
    chunker: Chunker,
}

/// The threads behind a [`Recorder`]. Closing them waits until everything asked has been done.
pub struct Remembering {
    journal: thread::JoinHandle<Journal>,
    audit: thread::JoinHandle<Audit>,
}

impl Recorder {
    /// Starts the two threads.
    pub fn start(journal: Journal, audit: Audit) -> (Recorder, Remembering) {
        let chunker = journal.chunker();
        let (to_journal, journal) = serve(journal);
        let (to_audit, audit) = serve_log(audit);
        let recorder = Recorder { journal: to_journal, audit: to_audit, about: About::NOTHING, chunker };
        (recorder, Remembering { journal, audit })
    }

    /// The same, speaking for an actor within a run.
    #[must_use]
    pub fn speaking_for(&self, about: About) -> Recorder {
        Recorder { about, ..self.clone() }
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
        let about = self.about.clone();
        self.audit(move |audit| audit.append(&about, &events))?.map(drop).map_err(|e| e.to_string())
    }

    /// Appends events that become durable with the next that must be. Nobody waits; an error shows at the next
    /// durable one, which it fails.
    pub fn log_lazily(&self, events: Vec<Event>) {
        let about = self.about.clone();
        let _ = self.audit.send(AskLog::Lazily(about, events));
    }

    /// Makes intents durable in the journal and in the log.
    ///
    /// # Errors
    /// In words. Nothing may be changed then.
    pub fn intend(&self, intents: Vec<Intent>) -> Result<(), String> {
        let events: Vec<Event> = intents.iter().map(intended).collect();
        let about = self.about.clone();
        let logged = self.ask_log(move |audit| audit.append(&about, &events));
        let kept = request(&self.journal, move |journal: &mut Journal| journal.intend(&intents));
        let kept = wait(&kept)?.map_err(|e| e.to_string());
        wait(&logged)?.map_err(|e| e.to_string())?;
        kept
    }

    /// Keeps outcomes. They outlast this process at once, and a power cut with the next intent; without them recovery
    /// looks at the files.
    ///
    /// # Errors
    /// In words.
    pub fn conclude(&self, results: Vec<(OpId, OpResult)>) -> Result<(), String> {
        self.log_lazily(results.iter().map(|(op, result)| concluded(*op, result)).collect());
        self.journal(move |journal| {
            for (_, result) in &results {
                if let OpResult::Done { after: Some(image), .. } = result
                    && let raincoat_types::Content::File(content) = &image.content
                    && content.stored
                {
                    journal.remember(content)?;
                }
            }
            journal.conclude(&results)
        })?
        .map_err(|e| e.to_string())
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

    /// Has what waits to be written on these directories' file systems written, beside everything else: the log's thread
    /// has time while a commit is being prepared.
    pub(crate) fn sync_beside(&self, dirs: Vec<OwnedFd>) -> Receiver<std::io::Result<()>> {
        self.ask_log(move |_| dirs.iter().try_for_each(|dir| raincoat_os::mutate::sync_file_system(dir.as_fd())))
    }

    /// Has the journal and the log take up what a commit is about to do. Durable with [`Recorder::commit_point`].
    pub(crate) fn intend_later(&self, intents: Vec<Intent>) -> Answer<()> {
        self.log_lazily(intents.iter().map(intended).collect());
        Answer(request(&self.journal, move |journal: &mut Journal| journal.intend_later(&intents)))
    }

    /// Makes what a commit is about to do durable, in the journal and in the log, with the point from which it is
    /// carried through.
    ///
    /// # Errors
    /// In words. Nothing may be changed then.
    pub(crate) fn commit_point(&self, run: RunId, point: Vec<u8>) -> Result<(), String> {
        let about = self.about.clone();
        let logged = self.ask_log(move |audit| audit.append(&about, &[]));
        let kept = request(&self.journal, move |journal: &mut Journal| journal.commit_point(run, &point));
        let kept = wait(&kept)?.map_err(|e| e.to_string());
        wait(&logged)?.map_err(|e| e.to_string())?;
        kept
    }

    /// Chunks of content out of the store. The answer is waited for when it is needed.
    pub(crate) fn read_chunks(&self, ids: Vec<ChunkId>) -> Answer<Vec<Vec<u8>>> {
        let read = move |journal: &mut Journal| ids.into_iter().map(|id| journal.read_chunk(id)).collect();
        Answer(request(&self.journal, read))
    }

    /// A chunk of content out of the store.
    ///
    /// # Errors
    /// In words.
    pub fn read_chunk(&self, id: ChunkId) -> Result<Vec<u8>, String> {
        self.journal(move |journal| journal.read_chunk(id))?.map_err(|e| e.to_string())
    }

    /// One recorded operation.
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

    /// For each inode that a run took a name of away, and that has had several: the operations that ended it under some
    /// name (removed it, or put another inode in its place), and where. Those of that run and of later ones, and of
    /// earlier ones that were taken back.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn ended_names(&self, run: RunId) -> Result<HashMap<Identity, Vec<(OpId, Spot)>>, String> {
        self.journal(move |journal| {
            let mut ended = Ended::default();
            journal.for_each_op(run, Order::Forward, |op| {
                ended.begin(&op);
                ControlFlow::Continue(())
            })?;
            if ended.names.is_empty() {
                return Ok(HashMap::new());
            }
            let headers: Vec<RunHeader> = journal.runs(None, usize::MAX)?.into_iter().map(|of| of.header).collect();
            let mut earlier: Vec<RunId> = headers
                .iter()
                .filter_map(|header| match header.kind {
                    RunKind::Undo { of, .. } if of < run => Some(of),
                    _ => None,
                })
                .collect();
            earlier.sort_unstable();
            earlier.dedup();
            for of in earlier {
                ended.add_run(journal, of)?;
            }
            if ended.names.values().any(|name| name.several) {
                for header in headers.iter().filter(|header| header.run >= run) {
                    ended.add_run(journal, header.run)?;
                }
            }
            let several = ended.names.into_iter().filter(|(_, name)| name.several);
            Ok(several.map(|(identity, name)| (identity, name.ops)).collect())
        })?
        .map_err(|e: JournalError| e.to_string())
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
        let audit = self.audit.join().map_err(|_| "the log's thread died".to_owned())?;
        Ok((journal, audit))
    }
}

/// See [`Recorder::ended_names`].
#[derive(Default)]
struct Ended {
    names: HashMap<Identity, EndedName>,
}

#[derive(Default)]
struct EndedName {
    several: bool,
    ops: Vec<(OpId, Spot)>,
}

impl Ended {
    /// An operation of the run that is asked about: if it took a name away, its inode is looked for.
    fn begin(&mut self, op: &OpRecord) {
        if let Change::Remove { before, .. } = &op.intent.change
            && before.meta.kind != FileKind::Dir
            && matches!(op.result, Some(OpResult::Done { .. }))
        {
            self.names.entry(before.meta.identity).or_default().several |= before.meta.nlink > 1;
        }
    }

    fn add_run(&mut self, journal: &Journal, run: RunId) -> Result<(), JournalError> {
        journal.for_each_op(run, Order::Forward, |op| {
            if let Change::Remove { at, before } | Change::Replace { at, before, in_place: false, .. } =
                &op.intent.change
                && matches!(op.result, Some(OpResult::Done { .. }))
                && let Some(name) = self.names.get_mut(&before.meta.identity)
            {
                name.several |= before.meta.nlink > 1;
                name.ops.push((op.intent.op, at.clone()));
            }
            ControlFlow::Continue(())
        })
    }
}

fn serve<T: Send + 'static>(mut it: T) -> (Sender<Job<T>>, thread::JoinHandle<T>) {
    let (sender, receiver) = channel::<Job<T>>();
    let handle = thread::spawn(move || {
        for job in receiver {
            job(&mut it);
        }
        it
    });
    (sender, handle)
}

fn serve_log(mut audit: Audit) -> (SyncSender<AskLog>, thread::JoinHandle<Audit>) {
    let (sender, receiver) = sync_channel::<AskLog>(WAITING);
    let handle = thread::spawn(move || {
        let mut next = receiver.recv().ok();
        while let Some(ask) = next.take() {
            match ask {
                AskLog::Job(job) => job(&mut audit),
                AskLog::Lazily(about, mut events) => {
                    // Each append takes the log's lock and looks for what others wrote: worth doing once for many.
                    while events.len() < TOGETHER {
                        match receiver.try_recv() {
                            Ok(AskLog::Lazily(of, more)) if of == about => events.extend(more),
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    let _ = audit.append_lazy(&about, &events);
                }
            }
            next = next.or_else(|| receiver.recv().ok());
        }
        audit
    });
    (sender, handle)
}

fn request<T: 'static, R: Send + 'static>(
    to: &Sender<Job<T>>,
    ask: impl FnOnce(&mut T) -> R + Send + 'static,
) -> Receiver<R> {
    let (sender, receiver) = channel();
    // Where the thread is gone the sender is dropped with the job, and waiting fails.
    let _ = to.send(Box::new(move |it: &mut T| {
        let _ = sender.send(ask(it));
    }));
    receiver
}

fn wait<R>(answer: &Receiver<R>) -> Result<R, String> {
    answer.recv().map_err(|_| "the store's own thread is gone".to_owned())
}

fn intended(intent: &Intent) -> Event {
    Event::OpIntended {
        op: intent.op,
        kind: intent.change.kind(),
        places: intent.change.spots().into_iter().cloned().collect(),
        before: intent.change.before().and_then(raincoat_types::Image::digest),
        undoes: intent.undoes,
    }
}

fn concluded(op: OpId, result: &OpResult) -> Event {
    match result {
        OpResult::Done { after, .. } => {
            Event::OpDone { op, after: after.as_ref().and_then(raincoat_types::Image::digest) }
        }
        OpResult::NotDone(why) | OpResult::RolledBack(why) => Event::OpFailed { op, why: why.clone() },
    }
}
