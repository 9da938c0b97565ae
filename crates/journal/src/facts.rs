//! What records say, as the index keeps it: only ids, places and states. A batch of them serves reads until the index
//! has it.

use std::collections::{BTreeMap, HashMap};

use raincoat_types::{
    Change, ChunkId, Content, FileContent, FileKind, Image, Intent, OpId, OpResult, RunHeader, RunId, Spot, Ulid,
};

use crate::JournalKeys;
use crate::dropped::Dropped;
use crate::format::{End, Kind, Note, Outcome, Position, decode};

/// Where a record is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Loc {
    /// The segment.
    pub(crate) segment: Ulid,
    /// Offset in it.
    pub(crate) offset: u64,
}

/// How far an operation came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) enum OpState {
    /// No outcome yet.
    #[default]
    Pending,
    /// Not done, or rolled back.
    NotDone,
    /// Done.
    Done,
}

/// An operation's records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct OpRow {
    pub(crate) intent: Option<Loc>,
    pub(crate) outcome: Option<Loc>,
    pub(crate) state: OpState,
}

/// A run's first and last record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RunRow {
    pub(crate) begin: Option<Loc>,
    pub(crate) end: Option<Loc>,
}

/// What a segment is like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum SegmentState {
    /// Its writer is at work, or left without a word: there may be a torn tail.
    Open,
    /// Nothing but zeroes lies behind its last record.
    Clean,
    /// Full.
    Final,
    /// Some of it cannot be read. Nothing is appended to it any more.
    Damaged,
    /// It was there, and is not.
    Gone,
    /// What was still needed of it stands elsewhere; its file is about to go.
    Dropped,
    /// The same, and its file is gone: another of that name was put there by somebody else.
    PutAway,
}

/// How much of a segment is indexed, all of it durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentRow {
    /// Where the next record goes.
    pub(crate) position: Position,
    /// What it is like.
    pub(crate) state: SegmentState,
}

/// A place in a segment that cannot be read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Damage {
    /// The segment.
    pub segment: Ulid,
    /// Where in it, in bytes.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// What is wrong.
    pub what: String,
}

/// A batch of facts.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) runs: HashMap<RunId, RunRow>,
    pub(crate) ops: BTreeMap<OpId, OpRow>,
    pub(crate) undoers: BTreeMap<OpId, Vec<OpId>>,
    pub(crate) notes: BTreeMap<(RunId, u32), Loc>,
    pub(crate) chunks: HashMap<ChunkId, Loc>,
    pub(crate) contents: HashMap<[u8; 32], FileContent>,
    pub(crate) segments: BTreeMap<Ulid, SegmentRow>,
    pub(crate) damage: Vec<Damage>,
    /// What was taken out of the store, and where that is written.
    pub(crate) dropped: Vec<(Dropped, Loc)>,
    /// The places that operations are about, as their run names them, and whether they were moved.
    pub(crate) places: Vec<(OpId, Spot, bool)>,
    /// Inodes, by their blind names, whose content or one of whose names an operation changed.
    pub(crate) inodes: Vec<(i64, OpId)>,
    /// How many facts were added: a measure of size.
    pub(crate) count: usize,
}

impl OpRow {
    /// Takes over what `later` knows.
    pub(crate) fn merge(&mut self, later: &OpRow) {
        self.intent = later.intent.or(self.intent);
        self.outcome = later.outcome.or(self.outcome);
        self.state = later.state.max(self.state);
    }
}

impl RunRow {
    /// Takes over what `later` knows.
    pub(crate) fn merge(&mut self, later: &RunRow) {
        self.begin = later.begin.or(self.begin);
        self.end = later.end.or(self.end);
    }
}

impl Facts {
    /// Adds what a record of a segment says. `None` where its body does not decode.
    pub(crate) fn add(&mut self, keys: &JournalKeys, kind: Kind, body: &[u8], at: Loc) -> Option<()> {
        match kind {
            Kind::Begin => self.begin(decode::<RunHeader>(body)?.run, at),
            Kind::Chunk => self.chunk(keys.chunk_id(body), at),
            Kind::Intent => self.intent(keys, &decode(body)?, at),
            Kind::Outcome | Kind::Settle => {
                let outcome: Outcome = decode(body)?;
                self.outcome(keys, outcome.op, &outcome.result, at);
            }
            Kind::Note => {
                let note: Note = decode(body)?;
                self.note(note.run, note.n, at);
            }
            Kind::End => self.end(decode::<End>(body)?.end.run, at),
            Kind::Dropped => {
                self.dropped.push((decode(body)?, at));
                self.count += 1;
            }
            Kind::Mark | Kind::Final => {}
        }
        Some(())
    }

    /// Every place that is named.
    pub(crate) fn places(&self) -> impl Iterator<Item = Loc> {
        let runs = self.runs.values().flat_map(|row| [row.begin, row.end]).flatten();
        let ops = self.ops.values().flat_map(|row| [row.intent, row.outcome]).flatten();
        runs.chain(ops).chain(self.notes.values().copied()).chain(self.chunks.values().copied())
    }

    pub(crate) fn begin(&mut self, run: RunId, at: Loc) {
        self.runs.entry(run).or_default().begin = Some(at);
        self.count += 1;
    }

    pub(crate) fn end(&mut self, run: RunId, at: Loc) {
        self.runs.entry(run).or_default().end = Some(at);
        self.count += 1;
    }

    pub(crate) fn chunk(&mut self, id: ChunkId, at: Loc) {
        self.chunks.insert(id, at);
        self.count += 1;
    }

    pub(crate) fn note(&mut self, run: RunId, n: u32, at: Loc) {
        self.notes.insert((run, n), at);
        self.count += 1;
    }

    pub(crate) fn intent(&mut self, keys: &JournalKeys, intent: &Intent, at: Loc) {
        self.ops.entry(intent.op).or_default().merge(&OpRow { intent: Some(at), ..OpRow::default() });
        if let Some(undone) = intent.undoes {
            self.undoers.entry(undone).or_default().push(intent.op);
        }
        if let Some(image) = intent.change.before() {
            self.image(keys, image);
        }
        let moves = matches!(intent.change, Change::Move { .. });
        self.places.extend(intent.change.spots().into_iter().map(|spot| (intent.op, spot.clone(), moves)));
        if let Change::Remove { before, .. } | Change::Replace { before, .. } = &intent.change
            && before.meta.kind != FileKind::Dir
        {
            self.inodes.push((keys.inode_name(&before.meta.identity), intent.op));
        }
        self.count += 1;
    }

    pub(crate) fn outcome(&mut self, keys: &JournalKeys, op: OpId, result: &OpResult, at: Loc) {
        let state = match result {
            OpResult::Done { .. } => OpState::Done,
            OpResult::NotDone(_) | OpResult::RolledBack(_) => OpState::NotDone,
        };
        self.ops.entry(op).or_default().merge(&OpRow { outcome: Some(at), state, intent: None });
        if let OpResult::Done { after: Some(image), .. } = result {
            self.image(keys, image);
        }
        self.count += 1;
    }

    pub(crate) fn content(&mut self, keys: &JournalKeys, content: &FileContent) {
        self.contents.insert(keys.content_name(&content.digest), content.clone());
        self.count += 1;
    }

    fn image(&mut self, keys: &JournalKeys, image: &Image) {
        if let Content::File(file) = &image.content
            && file.stored
        {
            self.content(keys, file);
        }
    }
}
