//! Reading the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use raincoat_os::AppendFile;
use raincoat_types::{ChunkId, FileContent, OpId, OpRecord, RunEnd, RunHeader, RunId, Ulid};

use crate::facts::{Damage, Loc, OpRow, OpState, RunRow};
use crate::format::{End, HEADER_BYTES, Header, Kind, Note, NoteKind, Outcome, decode, open_record};
use crate::undo::{History, effective_undoer};
use crate::writer::file_name;
use crate::{Journal, JournalError, lists};

/// Bytes read at once, so that neighbouring records cost one call.
const WINDOW: usize = 64 << 10;
/// How many such stretches are kept: intents, outcomes and content are read in turns, each from a place of its own.
const WINDOWS: usize = 8;
/// Segments kept open for reading.
const FILES: usize = 8;
/// Operations looked up at once.
const PAGE: u32 = 512;

/// Which way to go through a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// First to last.
    Forward,
    /// Last to first.
    Reverse,
}

/// A run in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunSummary {
    /// How it began.
    pub header: RunHeader,
    /// How it ended; `None` while it goes on, or where its process died and nobody has recovered it.
    pub end: Option<RunEnd>,
}

/// A run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunView {
    /// How it began.
    pub header: RunHeader,
    /// How it ended; `None` while it goes on, or where its process died and nobody has recovered it.
    pub end: Option<RunEnd>,
    /// How many operations it has, pending and failed ones included.
    pub ops: u32,
    /// The plan that was accepted last, in its writer's encoding.
    pub plan: Option<Vec<u8>>,
    /// Notes for the person, in order. (The transcript comes by [`Journal::for_each_note`].)
    pub notes: Vec<String>,
}

/// Segments open for reading, and the bytes read last.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    files: Vec<(Ulid, Arc<AppendFile>)>,
    /// The one used last comes last.
    windows: Vec<(Loc, Vec<u8>)>,
}

impl Journal {
    /// Runs from the newest on, of those older than `before`; at most `limit`.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], or the system's.
    pub fn runs(&self, before: Option<RunId>, limit: usize) -> Result<Vec<RunSummary>, JournalError> {
        let mut rows: BTreeMap<RunId, RunRow> = self.index.borrow().runs(before, limit)?.into_iter().collect();
        for (run, row) in &self.facts.runs {
            if before.is_none_or(|before| *run < before) {
                rows.entry(*run).or_default().merge(row);
            }
        }
        let mut runs = Vec::new();
        for (run, row) in rows.into_iter().rev().take(limit) {
            if let Some(begin) = row.begin {
                let end = row.end.map(|at| self.end_of(run, at)).transpose()?;
                runs.push(RunSummary { header: self.header_of(run, begin)?, end: end.map(|end| end.end) });
            }
        }
        Ok(runs)
    }

    /// One run.
    ///
    /// # Errors
    /// [`JournalError::UnknownRun`], [`JournalError::Corrupt`], or the system's.
    pub fn run(&self, run: RunId) -> Result<RunView, JournalError> {
        let row = self.run_row(run)?.ok_or(JournalError::UnknownRun(run))?;
        let header = self.header_of(run, row.begin.ok_or(JournalError::UnknownRun(run))?)?;
        let end = row.end.map(|at| self.end_of(run, at)).transpose()?.map(|end| end.end);
        let mut notes = Vec::new();
        self.for_each_note(run, NoteKind::Text, |bytes| notes.push(String::from_utf8_lossy(bytes).into_owned()))?;
        let mut plan = None;
        self.for_each_note(run, NoteKind::Plan, |bytes| plan = Some(bytes.to_vec()))?;
        Ok(RunView { header, end, ops: self.last_op(run)?, plan, notes })
    }

    /// The run whose id begins or ends with `text` (26 characters at most, in either case).
    ///
    /// # Errors
    /// [`JournalError::NoMatch`], [`JournalError::Ambiguous`], or the index's.
    pub fn find_run_prefix(&self, text: &str) -> Result<RunId, JournalError> {
        if let Some(run) = RunId::parse(text) {
            return match self.run_row(run)? {
                Some(_) => Ok(run),
                None => Err(self.was_pruned(run)?.unwrap_or(JournalError::UnknownRun(run))),
            };
        }
        let none = || JournalError::NoMatch(text.to_owned());
        let wanted = text.to_ascii_uppercase();
        if wanted.is_empty() || wanted.len() > 26 {
            return Err(none());
        }
        let bound = |fill: &str| RunId::parse(&format!("{wanted}{}", fill.repeat(26 - wanted.len())));
        let begins = |run: &&RunId| run.to_string().starts_with(&wanted);
        let ends = |run: &&RunId| run.to_string().ends_with(&wanted);
        let later = || self.facts.runs.keys();
        let mut runs: BTreeSet<RunId> = later().filter(begins).copied().collect();
        if let (Some(least), Some(most)) = (bound("0"), bound("Z")) {
            runs.extend(self.index.borrow().run_ids(least, most, 32)?.iter().filter(begins));
        }
        if runs.is_empty() {
            // People read ids from their end too: only then are all of them looked at.
            let (least, most) = (RunId(Ulid::nil()), RunId(Ulid::from_bytes([0xff; 16])));
            let all = self.index.borrow().run_ids(least, most, usize::MAX)?;
            runs = all.iter().chain(later()).filter(ends).copied().collect();
        }
        match (runs.len(), runs.pop_first()) {
            (1, Some(run)) => Ok(run),
            (0, _) | (_, None) => {
                let pruned = self.all_pruned()?;
                let run = pruned.iter().find(begins).or_else(|| pruned.iter().find(ends));
                let found = run.map(|run| self.was_pruned(*run)).transpose()?;
                Err(found.flatten().unwrap_or_else(none))
            }
            (n, _) => Err(JournalError::Ambiguous(text.to_owned(), n)),
        }
    }

    fn was_pruned(&self, run: RunId) -> Result<Option<JournalError>, JournalError> {
        Ok(self.pruned(run)?.map(|pruning| JournalError::Pruned(run, pruning.run.goal, pruning.rule)))
    }

    /// Asks many questions in a row, for which the index is as it is at the first of them: each by itself would take the
    /// index's locks and give them back. Nothing may be added meanwhile.
    pub fn steadily<R>(&self, ask: impl FnOnce() -> R) -> R {
        let began = self.index.borrow().hold();
        if began {
            *self.steady.borrow_mut() = Some(HashMap::new());
        }
        let answer = ask();
        if began {
            *self.steady.borrow_mut() = None;
            self.index.borrow().let_go();
        }
        answer
    }

    /// Every operation of a run, read from the disk one by one.
    ///
    /// # Errors
    /// [`JournalError::UnknownRun`]; [`JournalError::Corrupt`] where one cannot be read, or is missing; the system's.
    pub fn for_each_op(
        &self,
        run: RunId,
        order: Order,
        mut each: impl FnMut(OpRecord) -> ControlFlow<()>,
    ) -> Result<(), JournalError> {
        let row = self.run_row(run)?.ok_or(JournalError::UnknownRun(run))?;
        // The end says how many there are: a lost one does not go unseen, not even the last.
        let last = match row.end {
            Some(at) => self.end_of(run, at)?.ops,
            None => self.last_op(run)?,
        };
        let pages = last.div_ceil(PAGE);
        for n in 0..pages {
            let page = if order == Order::Forward { n } else { pages - 1 - n };
            let (from, to) = (page * PAGE + 1, ((page + 1) * PAGE).min(last) + 1);
            let rows = self.op_rows(run, from, to)?;
            for step in from..to {
                let seq = if order == Order::Forward { step } else { to - 1 - (step - from) };
                let op = OpId { run, seq };
                // What a repair could not save is known, and the rest can be gone through.
                if rows.get(&seq).is_none_or(|row| row.intent.is_none()) && self.index.borrow().is_lost(op)? {
                    continue;
                }
                if each(self.record_of(op, rows.get(&seq).copied().unwrap_or_default())?).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The operations of a run that a repair could not save, in part or whole.
    ///
    /// # Errors
    /// The index's.
    pub fn lost_ops(&self, run: RunId) -> Result<Vec<OpId>, JournalError> {
        let mut lost = self.index.borrow().lost_of(run)?;
        // A run's beginning stands there as its operation 0.
        lost.retain(|op| op.seq > 0);
        Ok(lost)
    }

    /// One operation.
    ///
    /// # Errors
    /// [`JournalError::UnknownOp`], [`JournalError::Corrupt`], or the system's.
    pub fn op(&self, op: OpId) -> Result<OpRecord, JournalError> {
        let row = self.op_row(op)?.ok_or(JournalError::UnknownOp(op))?;
        self.record_of(op, row)
    }

    /// Every note of one kind of a run, in order.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], or the system's.
    pub fn for_each_note(&self, run: RunId, kind: NoteKind, mut each: impl FnMut(&[u8])) -> Result<(), JournalError> {
        let mut whole = Vec::new();
        for (_, at) in self.note_places(run)? {
            let note: Note = self.read_as(at, &[Kind::Note])?;
            if note.run != run {
                return Err(misplaced(at));
            }
            if note.kind == kind {
                whole.extend_from_slice(&note.bytes);
                if !note.more {
                    each(&whole);
                    whole.clear();
                }
            }
        }
        Ok(())
    }

    /// A chunk's bytes, checked against its address.
    ///
    /// # Errors
    /// [`JournalError::UnknownChunk`], [`JournalError::Corrupt`], or the system's.
    pub fn read_chunk(&self, id: ChunkId) -> Result<Vec<u8>, JournalError> {
        if let Some(bytes) = self.incoming.get(&id) {
            return Ok(bytes.to_vec());
        }
        let at = self.chunk_at(&id)?.ok_or(JournalError::UnknownChunk(id))?;
        let bytes = self.read_body(at, &[Kind::Chunk])?;
        if self.keys.chunk_id(&bytes) == id { Ok(bytes) } else { Err(misplaced(at)) }
    }

    /// Puts a long chunk list together again. Where a piece of it is lost, the content counts as not stored.
    pub(crate) fn unfold(&self, content: &mut FileContent) -> Result<(), JournalError> {
        match lists::unfold(content, &mut |id| self.read_chunk(id)) {
            Ok(Some(())) => Ok(()),
            Ok(None) | Err(JournalError::Corrupt { .. } | JournalError::UnknownChunk(_)) => {
                content.chunks.clear();
                content.stored = false;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the store has a chunk.
    ///
    /// # Errors
    /// The index's.
    pub fn has_chunk(&self, id: &ChunkId) -> Result<bool, JournalError> {
        Ok(self.incoming.get(id).is_some() || self.chunk_at(id)?.is_some())
    }

    /// The operation that took `op` back, if it stands taken back now: an undo that was itself undone does not count.
    ///
    /// # Errors
    /// The index's.
    pub fn undone_by(&self, op: OpId) -> Result<Option<OpId>, JournalError> {
        effective_undoer(op, self)
    }

    /// Places of the store that could not be read when they were last looked at.
    ///
    /// # Errors
    /// The index's.
    pub fn damage(&self) -> Result<Vec<Damage>, JournalError> {
        let mut all = self.index.borrow().damage()?;
        all.extend(self.facts.damage.iter().cloned());
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// Whether anything of this run may stand taken back.
    pub(crate) fn may_be_undone(&self, run: RunId) -> Result<bool, JournalError> {
        Ok(self.facts.undoers.keys().any(|op| op.run == run) || self.index.borrow().has_undoers(run)?)
    }

    pub(crate) fn run_row(&self, run: RunId) -> Result<Option<RunRow>, JournalError> {
        let mut row = self.index.borrow().run(run)?;
        if let Some(later) = self.facts.runs.get(&run) {
            row.get_or_insert_default().merge(later);
        }
        Ok(row)
    }

    pub(crate) fn op_row(&self, op: OpId) -> Result<Option<OpRow>, JournalError> {
        Ok(self.op_rows(op.run, op.seq, op.seq.saturating_add(1))?.remove(&op.seq))
    }

    pub(crate) fn last_op(&self, run: RunId) -> Result<u32, JournalError> {
        let later = self.facts.ops.range(op_range(run, 0, u32::MAX)).next_back().map_or(0, |(op, _)| op.seq);
        Ok(self.index.borrow().last_op(run)?.max(later))
    }

    pub(crate) fn pending(&self, run: RunId) -> Result<Vec<u32>, JournalError> {
        let mut seqs: BTreeSet<u32> = self.index.borrow().pending(run)?.into_iter().collect();
        for (op, row) in self.facts.ops.range(op_range(run, 0, u32::MAX)) {
            if row.state != OpState::Pending {
                seqs.remove(&op.seq);
            } else {
                seqs.insert(op.seq);
            }
        }
        Ok(seqs.into_iter().collect())
    }

    pub(crate) fn note_places(&self, run: RunId) -> Result<Vec<(u32, Loc)>, JournalError> {
        let mut places: BTreeMap<u32, Loc> = self.index.borrow().notes(run)?.into_iter().collect();
        places.extend(self.facts.notes.range((run, 0)..=(run, u32::MAX)).map(|((_, n), at)| (*n, *at)));
        Ok(places.into_iter().collect())
    }

    pub(crate) fn chunk_at(&self, id: &ChunkId) -> Result<Option<Loc>, JournalError> {
        match self.facts.chunks.get(id) {
            Some(at) => Ok(Some(*at)),
            None => Ok(self.index.borrow().chunk(id)?),
        }
    }

    pub(crate) fn header_of(&self, run: RunId, at: Loc) -> Result<RunHeader, JournalError> {
        let header: RunHeader = self.read_as(at, &[Kind::Begin])?;
        if header.run == run { Ok(header) } else { Err(misplaced(at)) }
    }

    pub(crate) fn end_of(&self, run: RunId, at: Loc) -> Result<End, JournalError> {
        let end: End = self.read_as(at, &[Kind::End])?;
        if end.end.run == run { Ok(end) } else { Err(misplaced(at)) }
    }

    fn op_rows(&self, run: RunId, from: u32, to: u32) -> Result<BTreeMap<u32, OpRow>, JournalError> {
        let mut rows: BTreeMap<u32, OpRow> = self.index.borrow().ops(run, from, to)?.into_iter().collect();
        for (op, later) in self.facts.ops.range(op_range(run, from, to)) {
            rows.entry(op.seq).or_default().merge(later);
        }
        Ok(rows)
    }

    fn record_of(&self, op: OpId, row: OpRow) -> Result<OpRecord, JournalError> {
        let Some(at) = row.intent else { return Err(self.lost(op.run)) };
        let mut intent: raincoat_types::Intent = self.read_as(at, &[Kind::Intent])?;
        if intent.op != op {
            return Err(misplaced(at));
        }
        for content in lists::of_intent(&mut intent) {
            self.unfold(content)?;
        }
        let Some(at) = row.outcome else { return Ok(OpRecord { intent, result: None }) };
        let mut outcome: Outcome = self.read_as(at, &[Kind::Outcome, Kind::Settle])?;
        if outcome.op != op {
            return Err(misplaced(at));
        }
        if let Some(content) = lists::of_result(&mut outcome.result) {
            self.unfold(content)?;
        }
        Ok(OpRecord { intent, result: Some(outcome.result) })
    }

    /// An operation that must be there is not: the first damage known is the likely place.
    fn lost(&self, run: RunId) -> JournalError {
        match self.damage().ok().and_then(|all| all.into_iter().next()) {
            Some(Damage { segment, offset, .. }) => {
                JournalError::Corrupt { segment, offset, what: "a record of this run is lost" }
            }
            None => JournalError::Corrupt { segment: run.0, offset: 0, what: "a record of this run is missing" },
        }
    }

    pub(crate) fn read_as<T: for<'a> serde::Deserialize<'a>>(
        &self,
        at: Loc,
        kinds: &[Kind],
    ) -> Result<T, JournalError> {
        let what = "a record says nothing that this version understands";
        let Loc { segment, offset } = at;
        decode(&self.read_body(at, kinds)?).ok_or(JournalError::Corrupt { segment, offset, what })
    }

    /// The body of the record at `at`, which must be of one of these kinds.
    fn read_body(&self, at: Loc, kinds: &[Kind]) -> Result<Vec<u8>, JournalError> {
        if let Some(bytes) = self.writer.as_ref().filter(|w| w.id == at.segment).and_then(|w| w.buffered_at(at.offset))
        {
            return self.open_in(bytes, at, kinds).ok_or_else(|| unreadable(at));
        }
        let readers = &mut *self.readers.borrow_mut();
        if let Some(body) = readers.held(at).and_then(|bytes| self.open_in(bytes, at, kinds)) {
            return Ok(body);
        }
        let file = self.file(readers, at.segment)?;
        readers.read(&file, at)?;
        let bytes = readers.held(at).unwrap_or_default();
        let header = Header::read(&self.keys, at.segment, bytes).ok_or_else(|| unreadable(at))?;
        let (span, had) = (usize::try_from(header.span()).unwrap_or(usize::MAX), bytes.len());
        if span <= had {
            return self.open_in(bytes, at, kinds).ok_or_else(|| unreadable(at));
        }
        let mut bytes = bytes.to_vec();
        bytes.resize(span, 0);
        let rest = bytes.get_mut(had..).unwrap_or_default();
        let got = file.read_at(rest, at.offset + had as u64).map_err(JournalError::io("read a segment"))?;
        bytes.truncate(had + got);
        self.open_in(&bytes, at, kinds).ok_or_else(|| unreadable(at))
    }

    fn open_in(&self, bytes: &[u8], at: Loc, kinds: &[Kind]) -> Option<Vec<u8>> {
        let unpacker = &mut *self.unpacker.borrow_mut();
        let header = Header::read(&self.keys, at.segment, bytes).filter(|h| kinds.contains(&h.kind))?;
        let record = bytes.get(..usize::try_from(header.span()).ok()?)?;
        debug_assert!(record.len() > HEADER_BYTES);
        open_record(&self.keys, at.segment, at.offset, record, unpacker)
    }

    fn file(&self, readers: &mut Readers, id: Ulid) -> Result<Arc<AppendFile>, JournalError> {
        if let Some((_, file)) = readers.files.iter().find(|(held, _)| *held == id) {
            return Ok(Arc::clone(file));
        }
        let file = match self.held.get(&id) {
            Some(file) => Arc::clone(file),
            None => {
                let what = "the segment is missing";
                let file = self.segments.open_file(&file_name(id)).map_err(JournalError::io("open a segment"))?;
                Arc::new(file.ok_or(JournalError::Corrupt { segment: id, offset: 0, what })?)
            }
        };
        if readers.files.len() >= FILES {
            readers.files.remove(0);
        }
        // A held file is not kept here: its lock goes when the journal lets it go.
        if !self.held.contains_key(&id) {
            readers.files.push((id, Arc::clone(&file)));
        }
        Ok(file)
    }
}

impl History for Journal {
    type Error = JournalError;

    fn done_undoers(&self, op: OpId) -> Result<Vec<OpId>, JournalError> {
        let mut all = self.index.borrow().undoers(op)?;
        all.extend(self.facts.undoers.get(&op).into_iter().flatten());
        all.sort();
        all.dedup();
        let mut done = Vec::with_capacity(all.len());
        for by in all {
            if self.op_row(by)?.is_some_and(|row| row.state == OpState::Done) {
                done.push(by);
            }
        }
        Ok(done)
    }
}

impl Readers {
    /// Lets go of segments that are to be taken away.
    pub(crate) fn forget(&mut self, ids: &BTreeSet<Ulid>) {
        self.files.retain(|(id, _)| !ids.contains(id));
        self.windows.retain(|(start, _)| !ids.contains(&start.segment));
    }

    /// The bytes held from `at` on.
    fn held(&mut self, at: Loc) -> Option<&[u8]> {
        let into = |(start, window): &(Loc, Vec<u8>)| {
            let skip = at.offset.checked_sub(start.offset).filter(|_| start.segment == at.segment)?;
            usize::try_from(skip).ok().filter(|skip| *skip < window.len())
        };
        let found = self.windows.iter().rposition(|window| into(window).is_some())?;
        let window = self.windows.remove(found);
        let skip = into(&window)?;
        self.windows.push(window);
        self.windows.last().and_then(|(_, window)| window.get(skip..))
    }

    /// Reads what lies around `at`: on both sides, for runs are read backwards too.
    fn read(&mut self, file: &AppendFile, at: Loc) -> Result<(), JournalError> {
        let aligned = at.offset - at.offset % WINDOW as u64;
        // Near the end of its block, a record's header may not be in it.
        let end = aligned + WINDOW as u64;
        let start = if end - at.offset < 8192 { aligned + WINDOW as u64 / 2 } else { aligned };
        let mut window = if self.windows.len() < WINDOWS { Vec::new() } else { self.windows.remove(0).1 };
        window.resize(WINDOW, 0);
        let got = file.read_at(&mut window, start).map_err(JournalError::io("read a segment"))?;
        window.truncate(got);
        self.windows.push((Loc { segment: at.segment, offset: start }, window));
        Ok(())
    }
}

fn op_range(run: RunId, from: u32, to: u32) -> std::ops::Range<OpId> {
    OpId { run, seq: from }..OpId { run, seq: to }
}

fn unreadable(at: Loc) -> JournalError {
    JournalError::Corrupt { segment: at.segment, offset: at.offset, what: "a record is not what was written" }
}

fn misplaced(at: Loc) -> JournalError {
    JournalError::Corrupt {
        segment: at.segment,
        offset: at.offset,
        what: "a record is not the one that was looked for",
    }
}
