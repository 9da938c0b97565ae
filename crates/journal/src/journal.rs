//! The journal: opening it, and everything that adds to it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use raincoat_os::{AppendFile, FileLock, PrivateDir, new_ulid};
use raincoat_types::{
    Change, ChunkId, Clock, Content, Digest, FileContent, Intent, OpId, OpResult, RunEnd, RunHeader, RunId, RunKind,
    Timestamp, Ulid,
};

use crate::facts::{Facts, Loc, SegmentRow, SegmentState};
use crate::format::{Body, End, Head, Kind, Note, NoteKind, Outcome, encode};
use crate::incoming::{Incoming, Ready};
use crate::index::Index;
use crate::memory::Apart;
use crate::pack::Unpacker;
use crate::paths::{Paths, Roots};
use crate::read::Readers;
use crate::writer::Writer;
use crate::{CHUNK_BYTES, Chunker, JournalError, JournalKeys, Piece, lists};

/// Facts that are gathered before the index takes them.
const BATCH: usize = 4096;
/// Content that is gathered before it is written (it is durable only after the next intent).
const BUFFER: usize = 4 << 20;
/// Content that may wait to be packed and sealed.
const AHEAD: usize = 8 << 20;
/// Bytes of a note in one record.
const NOTE_BYTES: usize = 1 << 20;
/// Space that is kept for outcomes, recovery and undo on a full disk.
const RESERVE: u64 = 8 << 20;
pub(crate) const RESERVE_FILE: &str = "reserve";

/// The journal of one store, open in this process. One thread uses it at a time.
///
/// Whoever only reads makes no segment. Several processes may have the same store open.
pub struct Journal {
    pub(crate) dir: PrivateDir,
    pub(crate) segments: PrivateDir,
    pub(crate) keys: Arc<JournalKeys>,
    pub(crate) index: RefCell<Index>,
    /// What the index does not have yet.
    pub(crate) facts: Facts,
    /// Segments that this process has locked: the one it writes, and those in which its runs began.
    pub(crate) held: HashMap<Ulid, Arc<AppendFile>>,
    pub(crate) writer: Option<Writer>,
    pub(crate) runs: HashMap<RunId, OpenRun>,
    pub(crate) readers: RefCell<Readers>,
    pub(crate) unpacker: RefCell<Unpacker>,
    /// The folders of runs that were asked for lately.
    pub(crate) roots: RefCell<HashMap<RunId, Roots>>,
    /// The names of the places among the facts.
    pub(crate) late: RefCell<Paths>,
    /// While many questions are asked in a row: the moves at paths that were asked about.
    pub(crate) steady: RefCell<Option<HashMap<Vec<u8>, Vec<OpId>>>>,
    /// The latest time that anybody told: it names segments.
    pub(crate) latest: Timestamp,
    /// Chunks in the writer's buffer.
    fresh: Vec<ChunkId>,
    /// Chunks on their way there.
    pub(crate) incoming: Incoming,
    /// When to write to the index again, after it refused.
    next_flush: usize,
    poison: Option<String>,
    /// Where the segment ends with a mark, behind which nothing was written.
    marked: u64,
    /// Held from the first look at what the store has until the intent that names it: nothing is pruned meanwhile.
    pub(crate) using: RefCell<Option<FileLock>>,
    /// What was found by such a look.
    pub(crate) pinned: RefCell<HashSet<ChunkId>>,
    /// Operations that may destroy content of which no copy is kept: the person said so.
    waived: HashSet<OpId>,
    /// Where it is remembered how far the journal came.
    pub(crate) apart: Option<Apart>,
}

/// A run that this process may add to.
#[derive(Debug)]
pub(crate) struct OpenRun {
    /// The segment that it began in: whoever has that one locked owns the run.
    pub(crate) home: Ulid,
    pub(crate) ops: u32,
    pub(crate) pending: BTreeSet<u32>,
    pub(crate) notes: u32,
    /// Whether the reserve is there for it.
    pub(crate) undo: bool,
}

impl Journal {
    /// Begins a run. It is durable with its first intent.
    ///
    /// # Errors
    /// [`JournalError::BegunBefore`]; [`JournalError::Full`], [`JournalError::Poisoned`], or the system's.
    pub fn begin_run(&mut self, header: &RunHeader) -> Result<(), JournalError> {
        if self.runs.contains_key(&header.run) || self.run_row(header.run)?.is_some() {
            return Err(JournalError::BegunBefore(header.run));
        }
        self.latest = self.latest.max(header.at);
        let undo = matches!(header.kind, RunKind::Undo { .. } | RunKind::Restore);
        let at = self.append(undo, &[(Kind::Begin, encode(header)?)])?;
        let Some(at) = at.first().copied() else { return Ok(()) };
        self.facts.begin(header.run, at);
        self.roots.borrow_mut().insert(header.run, Arc::from(header.roots.as_slice()));
        let home = at.segment;
        self.runs.insert(header.run, OpenRun { home, ops: 0, pending: BTreeSet::new(), notes: 0, undo });
        Ok(())
    }

    /// What cuts content into chunks, and names them, as this store does.
    pub fn chunker(&self) -> Chunker {
        Chunker(Arc::clone(&self.keys))
    }

    /// Stores a piece of content of at most [`CHUNK_BYTES`] bytes, if the store does not have it. It is durable after
    /// the next [`Journal::intend`].
    ///
    /// # Errors
    /// [`JournalError::TooLarge`]; [`JournalError::Full`], [`JournalError::Poisoned`], or the system's.
    pub fn put_chunk(&mut self, bytes: &[u8]) -> Result<ChunkId, JournalError> {
        let piece = self.chunker().piece(bytes.to_vec());
        let id = piece.id;
        self.put_pieces(vec![piece])?;
        Ok(id)
    }

    /// Stores pieces that this store's [`Chunker`] named: see [`Journal::put_chunk`].
    ///
    /// # Errors
    /// As [`Journal::put_chunk`]; then nothing counts that was stored since the last intent.
    pub fn put_pieces(&mut self, pieces: Vec<Piece>) -> Result<(), JournalError> {
        self.check_poison()?;
        for piece in pieces {
            if piece.bytes.len() > CHUNK_BYTES {
                return Err(JournalError::TooLarge(piece.bytes.len()));
            }
            if !self.relies_on(&piece.id)? {
                self.incoming.push(piece);
            }
            if self.incoming.bytes() >= AHEAD {
                self.take_in(AHEAD - AHEAD / 4)?;
            }
        }
        Ok(())
    }

    /// Whether the store has a chunk, for one who is about to name it: nobody takes it away until the next intent.
    fn relies_on(&self, id: &ChunkId) -> Result<bool, JournalError> {
        if self.incoming.get(id).is_some() || self.facts_have_own(id) {
            return Ok(true);
        }
        self.hold_still()?;
        let found = self.chunk_at(id)?.is_some();
        if found {
            self.pinned.borrow_mut().insert(*id);
        }
        Ok(found)
    }

    /// Stores several pieces: see [`Journal::put_chunk`].
    ///
    /// # Errors
    /// As [`Journal::put_pieces`].
    pub fn put_chunks(&mut self, pieces: &[Vec<u8>]) -> Result<Vec<ChunkId>, JournalError> {
        pieces.iter().map(|piece| self.put_chunk(piece)).collect()
    }

    /// Seals the pieces that wait, until no more than so many bytes of them are left.
    fn take_in(&mut self, leave: usize) -> Result<(), JournalError> {
        if self.incoming.bytes() == 0 || self.incoming.bytes() <= leave {
            return Ok(());
        }
        let undo = self.runs.values().any(|run| run.undo);
        let taken = self.seal_incoming(leave, undo);
        if taken.is_err() {
            self.incoming.clear();
        }
        taken
    }

    fn seal_incoming(&mut self, leave: usize, undo: bool) -> Result<(), JournalError> {
        while self.incoming.bytes() > leave
            && let Some(Ready { id, bytes, packed }) = self.incoming.pop()
        {
            self.ready(undo)?;
            let Some(writer) = &mut self.writer else { return Ok(()) };
            let body = Body { kind: Kind::Chunk, packed: packed.is_some(), bytes: packed.as_ref().unwrap_or(&bytes) };
            let at = writer.push_body(&self.keys, body)?;
            self.facts.chunk(id, at);
            self.fresh.push(id);
            if writer.buffered() >= BUFFER {
                self.write_out(undo)?;
            }
        }
        Ok(())
    }

    /// Stores all but the top of a long chunk list.
    fn fold(&mut self, content: &mut FileContent) -> Result<(), JournalError> {
        lists::fold(content, &mut |bytes| self.put_chunk(&bytes))
    }

    /// Remembers that content with this digest is in the store, so that [`Journal::lookup`] finds it. Contents that
    /// intents and outcomes carry are remembered by themselves.
    ///
    /// # Errors
    /// As [`Journal::put_chunk`].
    pub fn remember(&mut self, content: &FileContent) -> Result<(), JournalError> {
        if content.stored {
            let mut content = content.clone();
            let held = self.is_still();
            let folded = self.fold(&mut content);
            if !held {
                // No record names what was put: if it is pruned, the content only counts as not stored.
                self.let_go();
            }
            folded?;
            self.facts.content(&self.keys, &content);
        }
        Ok(())
    }

    /// Content with this digest, if the store has all of it.
    ///
    /// # Errors
    /// The index's.
    pub fn lookup(&self, digest: &Digest) -> Result<Option<FileContent>, JournalError> {
        self.hold_still()?;
        let name = self.keys.content_name(digest);
        let found = match self.facts.contents.get(&name) {
            Some(content) => Some(content.clone()),
            None => self.index.borrow().content(&self.keys, &name)?,
        };
        let Some(mut content) = found.filter(|content| content.digest == *digest) else { return Ok(None) };
        self.unfold(&mut content)?;
        if !content.stored || !self.holds(&content)? {
            return Ok(None);
        }
        self.pinned.borrow_mut().extend(content.chunks.iter().map(|chunk| chunk.id));
        Ok(Some(content))
    }

    /// Lets these operations destroy content of which no copy is kept. Only at the person's word for that very change.
    pub fn waive(&mut self, ops: impl IntoIterator<Item = OpId>) {
        self.waived.extend(ops);
    }

    /// Records what is about to be done. When this returns, the intents and all content stored before are durable:
    /// only then may a file be touched. One write and one sync, however many there are.
    ///
    /// # Errors
    /// [`JournalError::NotOpen`], [`JournalError::OutOfOrder`], [`JournalError::NotStored`],
    /// [`JournalError::UnknownOp`] (for what it undoes) on a caller's fault; [`JournalError::Full`],
    /// [`JournalError::Poisoned`], or the system's. On any error none of the intents counts, nothing may be
    /// done, and content stored since the last intent is to be stored again.
    pub fn intend(&mut self, intents: &[Intent]) -> Result<(), JournalError> {
        self.mean(intents)?;
        self.sync()?;
        self.let_go();
        if self.facts.count >= self.next_flush {
            self.flush(SegmentState::Open);
        }
        Ok(())
    }

    /// Records what a commit is about to do, a part at a time. Nothing may be touched until [`Journal::commit_point`].
    ///
    /// # Errors
    /// As [`Journal::intend`].
    pub fn intend_later(&mut self, intents: &[Intent]) -> Result<(), JournalError> {
        self.mean(intents)
    }

    /// Records the point from which a commit is carried through. When this returns, it and all that was recorded before
    /// are durable: an interrupted run has either all of a commit's intents and its point, or no point.
    ///
    /// # Errors
    /// As [`Journal::note`].
    pub fn commit_point(&mut self, run: RunId, bytes: &[u8]) -> Result<(), JournalError> {
        self.note(run, NoteKind::CommitPoint, bytes)?;
        self.sync()?;
        self.let_go();
        Ok(())
    }

    /// Checks and appends intents.
    fn mean(&mut self, intents: &[Intent]) -> Result<(), JournalError> {
        self.check_poison()?;
        let mut folded = intents.to_vec();
        for content in folded.iter_mut().flat_map(lists::of_intent) {
            self.fold(content)?;
        }
        self.steadily(|| self.check_intents(intents))?;
        let mut records = Vec::with_capacity(intents.len());
        for intent in &folded {
            self.latest = self.latest.max(intent.at);
            records.push((Kind::Intent, encode(intent)?));
        }
        let undo = intents.iter().any(|intent| self.runs.get(&intent.op.run).is_some_and(|run| run.undo));
        let places = self.append(undo, &records)?;
        for (intent, at) in folded.iter().zip(places) {
            self.facts.intent(&self.keys, intent, at);
            if let Some(run) = self.runs.get_mut(&intent.op.run) {
                run.ops = intent.op.seq;
                run.pending.insert(intent.op.seq);
            }
        }
        Ok(())
    }

    fn check_intents(&self, intents: &[Intent]) -> Result<(), JournalError> {
        let mut next: HashMap<RunId, u32> = HashMap::new();
        for intent in intents {
            let run = self.runs.get(&intent.op.run).ok_or(JournalError::NotOpen(intent.op.run))?;
            let last = next.entry(intent.op.run).or_insert(run.ops);
            if intent.op.seq != last.saturating_add(1) {
                return Err(JournalError::OutOfOrder(intent.op));
            }
            *last = intent.op.seq;
            self.check_stored(intent)?;
            if let Some(undone) = intent.undoes
                && self.op_row(undone)?.is_none()
            {
                return Err(JournalError::UnknownOp(undone));
            }
        }
        Ok(())
    }

    /// Records how operations came out. This survives the process at once, and a power cut after the next
    /// [`Journal::intend`] or [`Journal::end_run`]; until then recovery finds the operations pending and looks.
    ///
    /// # Errors
    /// [`JournalError::NotPending`] on a caller's fault; [`JournalError::Full`], [`JournalError::Poisoned`], or the
    /// system's.
    pub fn conclude(&mut self, outcomes: &[(OpId, OpResult)]) -> Result<(), JournalError> {
        self.outcomes(Kind::Outcome, outcomes)
    }

    /// Records what recovery found, or made, of an interrupted run's operation. As durable as [`Journal::conclude`].
    ///
    /// # Errors
    /// As [`Journal::conclude`].
    pub fn settle(&mut self, op: OpId, result: OpResult) -> Result<(), JournalError> {
        self.outcomes(Kind::Settle, &[(op, result)])
    }

    /// Records what recovery made of many operations, all in one write.
    ///
    /// # Errors
    /// As [`Journal::conclude`].
    pub fn settle_all(&mut self, outcomes: &[(OpId, OpResult)]) -> Result<(), JournalError> {
        self.outcomes(Kind::Settle, outcomes)
    }

    fn outcomes(&mut self, kind: Kind, outcomes: &[(OpId, OpResult)]) -> Result<(), JournalError> {
        self.check_poison()?;
        let held = self.is_still();
        let told = self.tell_outcomes(kind, outcomes.to_vec());
        if !held {
            // What was put is named by an outcome now: a prune need not wait for the next intent.
            self.let_go();
        }
        told
    }

    fn tell_outcomes(&mut self, kind: Kind, mut outcomes: Vec<(OpId, OpResult)>) -> Result<(), JournalError> {
        for content in outcomes.iter_mut().filter_map(|(_, result)| lists::of_result(result)) {
            self.fold(content)?;
        }
        let mut records = Vec::with_capacity(outcomes.len());
        for (op, result) in &outcomes {
            if !self.runs.get(&op.run).is_some_and(|run| run.pending.contains(&op.seq)) {
                return Err(JournalError::NotPending(*op));
            }
            records.push((kind, encode(&Outcome { op: *op, result: result.clone() })?));
        }
        let places = self.append(true, &records)?;
        for ((op, result), at) in outcomes.iter().zip(places) {
            self.facts.outcome(&self.keys, *op, result, at);
            if let Some(run) = self.runs.get_mut(&op.run) {
                run.pending.remove(&op.seq);
            }
        }
        Ok(())
    }

    /// Adds a note to a run: words, its plan, or a piece of a transcript. As durable as [`Journal::conclude`].
    ///
    /// # Errors
    /// [`JournalError::NotOpen`] on a caller's fault; [`JournalError::Full`], [`JournalError::Poisoned`], or the
    /// system's.
    pub fn note(&mut self, run: RunId, kind: NoteKind, bytes: &[u8]) -> Result<(), JournalError> {
        self.check_poison()?;
        let open = self.runs.get(&run).ok_or(JournalError::NotOpen(run))?;
        let (undo, first) = (open.undo, open.notes);
        let pieces: Vec<&[u8]> = if bytes.is_empty() { vec![bytes] } else { bytes.chunks(NOTE_BYTES).collect() };
        let mut records = Vec::with_capacity(pieces.len());
        for (n, piece) in (first..).zip(&pieces) {
            let more = usize::try_from(n - first).unwrap_or(usize::MAX) + 1 < pieces.len();
            records.push((Kind::Note, encode(&Note { run, n, kind, more, bytes: piece.to_vec() })?));
        }
        let places = self.append(undo, &records)?;
        for (n, at) in (first..).zip(places) {
            self.facts.note(run, n, at);
            if let Some(open) = self.runs.get_mut(&run) {
                open.notes = n + 1;
            }
        }
        Ok(())
    }

    /// Ends a run, durably. Every operation of it must be settled.
    ///
    /// # Errors
    /// [`JournalError::NotOpen`], [`JournalError::StillPending`] on a caller's fault; [`JournalError::Full`],
    /// [`JournalError::Poisoned`], or the system's.
    pub fn end_run(&mut self, end: &RunEnd) -> Result<(), JournalError> {
        self.check_poison()?;
        let run = self.runs.get(&end.run).ok_or(JournalError::NotOpen(end.run))?;
        if !run.pending.is_empty() {
            return Err(JournalError::StillPending(end.run, run.pending.len()));
        }
        let ops = run.ops;
        self.latest = self.latest.max(end.at);
        let places = self.append(true, &[(Kind::End, encode(&End { end: end.clone(), ops })?)])?;
        self.sync()?;
        if let Some(at) = places.first() {
            self.facts.end(end.run, *at);
        }
        self.flush(SegmentState::Clean);
        self.mark();
        self.runs.remove(&end.run);
        self.waived.retain(|op| op.run != end.run);
        self.release();
        self.let_go();
        self.keep_memory()
    }

    /// Makes room for what may come next. To be called while nobody waits; what fails shows in what comes next.
    pub fn make_ready(&mut self) {
        if self.poison.is_none()
            && let Some(Err(JournalError::Io { doing, source })) = self.writer.as_mut().map(Writer::zero_ahead)
        {
            // It is remembered; nobody is there to be told.
            let _ = self.poison(doing, source);
        }
    }

    /// Why the journal takes nothing more, if so.
    pub fn poisoned(&self) -> Option<&str> {
        self.poison.as_deref()
    }

    pub(crate) fn check_poison(&self) -> Result<(), JournalError> {
        match &self.poison {
            Some(why) => Err(JournalError::Poisoned(why.clone())),
            None => Ok(()),
        }
    }

    /// Turns the journal read-only for good: what the kernel did with bytes that it could not write is unknown, and
    /// to try again would be to pretend (see `fsync(2)`, and "Can Applications Recover from fsync Failures?", 2020).
    fn poison(&mut self, doing: &'static str, error: std::io::Error) -> JournalError {
        self.poison = Some(format!("it could not {doing} ({error})"));
        JournalError::io(doing)(error)
    }

    fn check_stored(&self, intent: &Intent) -> Result<(), JournalError> {
        let destroyed = match &intent.change {
            Change::Replace { before, .. } | Change::Remove { before, .. } => &before.content,
            Change::Create { .. } | Change::Move { .. } | Change::Link { .. } | Change::SetMeta { .. } => return Ok(()),
        };
        match destroyed {
            Content::File(file) if !file.stored && self.waived.contains(&intent.op) => Ok(()),
            Content::File(file) if !file.stored || !self.holds(file)? => Err(JournalError::NotStored(intent.op)),
            _ => Ok(()),
        }
    }

    fn holds(&self, content: &FileContent) -> Result<bool, JournalError> {
        for chunk in &content.chunks {
            if !self.has_chunk(&chunk.id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Appends records and hands them to the kernel. `reserved`: whether the reserve may be used up for them.
    pub(crate) fn append(&mut self, reserved: bool, records: &[(Kind, Vec<u8>)]) -> Result<Vec<Loc>, JournalError> {
        self.check_poison()?;
        self.take_in(0)?;
        self.ready(reserved)?;
        let Some(writer) = &mut self.writer else { return Ok(Vec::new()) };
        let start = writer.position;
        let mut places = Vec::with_capacity(records.len());
        for (kind, body) in records {
            match writer.push(&self.keys, *kind, body) {
                Ok(at) => places.push(at),
                Err(error) => {
                    writer.rewind(start);
                    return Err(error);
                }
            }
        }
        self.write_out(reserved)?;
        Ok(places)
    }

    /// Sees to it that there is a segment to write to, with the reserve's help if need be.
    fn ready(&mut self, reserved: bool) -> Result<(), JournalError> {
        match self.ensure_writer() {
            Err(JournalError::Full) if reserved && self.release_reserve() => self.ensure_writer(),
            other => other,
        }
    }

    /// Hands the buffer to the kernel. On a full disk the buffer is given up, and nothing else is lost.
    fn write_out(&mut self, reserved: bool) -> Result<(), JournalError> {
        let mut room = self.writer.as_mut().map_or(Ok(()), Writer::make_room);
        if reserved && matches!(room, Err(JournalError::Full)) && self.release_reserve() {
            room = self.writer.as_mut().map_or(Ok(()), Writer::make_room);
        }
        match room {
            Ok(()) => {}
            Err(JournalError::Io { doing, source }) => return Err(self.poison(doing, source)),
            Err(error) => {
                if let Some(writer) = &mut self.writer {
                    writer.discard();
                }
                self.incoming.clear();
                for id in self.fresh.drain(..) {
                    self.facts.chunks.remove(&id);
                }
                return Err(error);
            }
        }
        self.fresh.clear();
        match self.writer.as_mut().map_or(Ok(()), Writer::write_out) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.poison("write to a segment", error)),
        }
    }

    pub(crate) fn sync(&mut self) -> Result<(), JournalError> {
        match self.writer.as_mut().map_or(Ok(()), Writer::sync) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.poison("make a segment durable", error)),
        }
    }

    /// Notes in the segment that everything before is durable, so that damage to it cannot pass for a torn tail.
    pub(crate) fn mark(&mut self) {
        let Some(writer) = &mut self.writer else { return };
        let before = writer.position;
        if writer.push(&self.keys, Kind::Mark, &[]).is_err() || writer.make_room().is_err() {
            writer.rewind(before);
            return;
        }
        match writer.write_out() {
            Ok(()) => self.marked = writer.written.offset,
            Err(error) => drop(self.poison("write to a segment", error)),
        }
    }

    /// Gives the index what was gathered. Only what is durable may go there: another process relies on it. That the
    /// index refuses is no error, for it is a cache; the facts are kept.
    pub(crate) fn flush(&mut self, state: SegmentState) {
        if let Some(writer) = &self.writer {
            if writer.is_dirty() || writer.buffered() > 0 {
                return;
            }
            self.facts.segments.insert(writer.id, SegmentRow { position: writer.written, state });
        }
        let late = self.late();
        let written = self.index.borrow_mut().write(&self.keys, &self.facts, &late);
        drop(late);
        match written {
            Ok(()) => {
                self.facts = Facts::default();
                self.late = RefCell::default();
                self.next_flush = BATCH;
            }
            Err(_) => self.next_flush = self.facts.count + BATCH,
        }
    }

    /// Gives up the locks of segments that no run of ours began in.
    pub(crate) fn release(&mut self) {
        let (runs, writer) = (&self.runs, self.writer.as_ref().map(|writer| writer.id));
        self.held.retain(|id, _| Some(*id) == writer || runs.values().any(|run| run.home == *id));
    }

    /// Sees to it that there is a segment to write to.
    fn ensure_writer(&mut self) -> Result<(), JournalError> {
        self.check_poison()?;
        let mut after = None;
        match &mut self.writer {
            Some(writer) if !writer.is_full() => return Ok(()),
            Some(writer) => {
                writer.push(&self.keys, Kind::Final, &[])?;
                let id = writer.id;
                self.write_out(false)?;
                self.sync()?;
                self.flush(SegmentState::Final);
                after = self.writer.take().map(|writer| (id, writer.position.prev));
                self.release();
            }
            None => {
                if let Some(writer) = self.adopt()? {
                    self.held.insert(writer.id, Arc::clone(&writer.file));
                    self.writer = Some(writer);
                    self.make_reserve();
                    return Ok(());
                }
            }
        }
        let id = new_ulid(&Told(self.latest)).map_err(JournalError::io("draw a random name"))?;
        // Within one millisecond too, a segment sorts behind the one before it.
        let id = after.and_then(|(before, _)| before.increment()).map_or(id, |next| id.max(next));
        let head = Head { created: self.latest, after };
        let made = {
            let _lock = self.dir.lock("lock").map_err(JournalError::io("lock the store"))?;
            Writer::create(&self.segments, &self.keys, id, &head)
        };
        match made {
            Ok(writer) => {
                self.held.insert(id, Arc::clone(&writer.file));
                self.writer = Some(writer);
                self.make_reserve();
                Ok(())
            }
            Err(JournalError::Io { doing, source }) => Err(self.poison(doing, source)),
            Err(error) => Err(error),
        }
    }

    /// Whether a chunk is in what this process has written, or is about to.
    fn facts_have_own(&self, id: &ChunkId) -> bool {
        let own = self.writer.as_ref().map(|writer| writer.id);
        self.facts.chunks.get(id).is_some_and(|at| Some(at.segment) == own)
    }

    /// What was found is named by an intent now, or by none: a prune need not wait for it.
    fn let_go(&self) {
        self.pinned.borrow_mut().clear();
        *self.using.borrow_mut() = None;
    }

    /// Whether something was found on which an intent is to rely, so that nothing may be pruned.
    fn is_still(&self) -> bool {
        self.using.borrow().is_some() || !self.pinned.borrow().is_empty()
    }

    /// A name for a new segment.
    pub(crate) fn new_name(&self, at: Timestamp) -> Result<Ulid, JournalError> {
        new_ulid(&Told(self.latest.max(at))).map_err(JournalError::io("draw a random name"))
    }

    /// Keeps some space back, as long as there is some.
    pub(crate) fn make_reserve(&self) {
        keep_reserve(&self.dir);
    }

    /// Gives the reserve back to the disk; whether there was one.
    pub(crate) fn release_reserve(&self) -> bool {
        release_reserve(&self.dir)
    }

    pub(crate) fn assemble(
        dir: PrivateDir,
        segments: PrivateDir,
        keys: JournalKeys,
        index: Index,
        latest: Timestamp,
    ) -> Journal {
        Journal {
            dir,
            segments,
            keys: Arc::new(keys),
            index: RefCell::new(index),
            facts: Facts::default(),
            held: HashMap::new(),
            writer: None,
            runs: HashMap::new(),
            readers: RefCell::default(),
            unpacker: RefCell::default(),
            roots: RefCell::default(),
            late: RefCell::default(),
            steady: RefCell::default(),
            latest,
            fresh: Vec::new(),
            incoming: Incoming::default(),
            next_flush: BATCH,
            poison: None,
            marked: 0,
            using: RefCell::new(None),
            pinned: RefCell::default(),
            waived: HashSet::new(),
            apart: None,
        }
    }
}

/// Gives the space that the journal in this directory keeps back for a full disk to the disk; whether there was any.
pub fn release_reserve(dir: &PrivateDir) -> bool {
    let there = matches!(dir.open_file(RESERVE_FILE), Ok(Some(_)));
    there && dir.remove(RESERVE_FILE).is_ok()
}

/// Keeps some space of the disk back in a journal's directory, as long as there is some: for outcomes, recovery and undo
/// on a full disk. A store has it from its beginning; a journal that used it up makes it again.
pub fn keep_reserve(dir: &PrivateDir) {
    if let Ok(Some(file)) = dir.open_file(RESERVE_FILE)
        && file.len().is_ok_and(|len| len >= RESERVE)
    {
        return;
    }
    let made = dir
        .create_append(RESERVE_FILE)
        .or_else(|_| dir.open_file(RESERVE_FILE)?.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound)));
    if made.and_then(|file| file.preallocate(RESERVE)).is_err() {
        let _ = dir.remove(RESERVE_FILE);
    }
}

impl Drop for Journal {
    /// Leaves in order: what was recorded is made durable and indexed. (A process that is killed leaves it to the
    /// next one.)
    fn drop(&mut self) {
        if self.poison.is_some() || self.writer.is_none() {
            return;
        }
        if let Some(writer) = &mut self.writer {
            writer.discard();
            let idle = !writer.is_dirty() || writer.written.offset == self.marked;
            if idle && self.facts.count == 0 {
                return;
            }
        }
        for id in std::mem::take(&mut self.fresh) {
            self.facts.chunks.remove(&id);
        }
        if self.sync().is_ok() {
            self.flush(SegmentState::Clean);
            // It only proves less if it is older.
            let _ = self.keep_memory();
        }
    }
}

/// The time that somebody told.
struct Told(Timestamp);

impl Clock for Told {
    fn now(&self) -> Timestamp {
        self.0
    }
}
