//! Checking everything the store holds, and saying what damage costs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use raincoat_os::AppendFile;
use raincoat_types::{ChunkId, Content, Image, Intent, OpId, OpResult, RunId, Ulid};

use crate::facts::SegmentState;
use crate::format::{End, HEAD_BYTES, Head, HeadFound, Kind, Outcome, Position, Tag, decode, read_head};
use crate::walk::{Step, Walk};
use crate::writer::file_name;
use crate::{Journal, JournalError, lists};

/// What a check of the whole store found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// Segments read.
    pub segments: u64,
    /// Records that are what was written.
    pub records: u64,
    /// Their bytes on the disk.
    pub bytes: u64,
    /// Pieces of content among them.
    pub chunks: u64,
    /// Bytes of torn tails: writes that a crash cut short and nobody was told were durable. They cost nothing.
    pub torn: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Operations that cannot be taken back in full, for their record or their content is lost.
    pub lost_ops: Vec<OpId>,
}

/// Something wrong in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The segment.
    pub segment: Ulid,
    /// Where in it, in bytes.
    pub offset: u64,
    /// How many bytes cannot be read; 0 where something is missing.
    pub bytes: u64,
    /// What is wrong.
    pub what: String,
    /// What it costs, in words.
    pub costs: String,
}

/// What the walks gather.
#[derive(Default)]
struct Seen {
    /// Chunks whose bytes are right, by the first half of their address.
    chunks: HashSet<u128>,
    runs: HashMap<RunId, RunSeen>,
    /// Last tag of every segment that is full, and what later ones say of their predecessor.
    finals: HashMap<Ulid, Tag>,
    after: Vec<(Ulid, Ulid, Tag)>,
}

#[derive(Default)]
struct RunSeen {
    begun: bool,
    ops: HashSet<u32>,
    outcomes: u32,
    end: Option<u32>,
    /// Where a record of it was seen.
    place: (Ulid, u64),
}

impl Journal {
    /// Reads every record of every segment: its seal, its place, what comes before it, the address of content, and
    /// whether each run is complete and each before-image there. Changes nothing.
    ///
    /// # Errors
    /// The system's. (What is wrong with the store is in the report.)
    pub fn verify(&self) -> Result<VerifyReport, JournalError> {
        let mut report = VerifyReport::default();
        let mut seen = Seen::default();
        let known = self.index.borrow_mut().segments()?;
        let mut ids: Vec<Ulid> = Vec::new();
        for name in self.segments.names().map_err(JournalError::io("list its segments"))? {
            let id = name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|id| Ulid::from_string(id).ok());
            ids.extend(id);
        }
        for segment in known.iter().filter(|segment| !ids.contains(&segment.id)) {
            report.problem(segment.id, 0, 0, "the segment is missing", "everything in it");
        }
        for id in &ids {
            let durable = known.iter().find(|segment| segment.id == *id).map_or(0, |segment| segment.durable);
            self.verify_segment(*id, durable, &mut report, &mut seen)?;
        }
        for (segment, before, tag) in std::mem::take(&mut seen.after) {
            if !ids.contains(&before) {
                report.problem(before, 0, 0, "the segment is missing", "everything in it");
            } else if seen.finals.get(&before) != Some(&tag) {
                report.problem(segment, 0, 0, "it does not follow the segment before it", "nothing by itself");
            }
        }
        for (run, found) in &seen.runs {
            found.check(*run, &mut report);
        }
        // Content may lie in a later segment than the intent that names it: so this needs a second look.
        for id in &ids {
            self.verify_content(*id, &mut report, &seen)?;
        }
        report.lost_ops.sort();
        report.lost_ops.dedup();
        Ok(report)
    }

    fn verify_segment(
        &self,
        id: Ulid,
        durable: u64,
        report: &mut VerifyReport,
        seen: &mut Seen,
    ) -> Result<(), JournalError> {
        let Some(file) = self.segment_file(id)? else { return Ok(()) };
        report.segments += 1;
        let (head, from) = self.head(id, &file)?;
        match head {
            Some(Head { after: Some((before, tag)), .. }) => seen.after.push((id, before, tag)),
            Some(_) => {}
            None => report.problem(id, 0, HEAD_BYTES, "its head is not what was written", "nothing: records name it"),
        }
        let walk = Walk::new(&*file, &self.keys, id, from, durable).map_err(JournalError::io("read a segment"))?;
        let mut walk = if head_is_lost(from) { walk.loose() } else { walk };
        if self.is_live(id, &file) {
            walk = walk.live();
        }
        loop {
            match walk.step().map_err(JournalError::io("read a segment"))? {
                Step::Record { offset, header, body } => {
                    report.records += 1;
                    report.bytes += header.span();
                    if header.kind == Kind::Final {
                        seen.finals.insert(id, walk.position.prev);
                    }
                    if seen.take(header.kind, &body, (id, offset), self, report).is_none() {
                        let what = "a record says nothing that this version understands";
                        report.problem(id, offset, header.span(), what, costs_of(Some(header.kind)));
                    }
                }
                Step::Damage { offset, bytes, kind, what } => {
                    report.problem(id, offset, bytes, what, costs_of(kind));
                }
                Step::End { torn } => {
                    report.torn += torn;
                    return Ok(());
                }
            }
        }
    }

    fn verify_content(&self, id: Ulid, report: &mut VerifyReport, seen: &Seen) -> Result<(), JournalError> {
        let Some(file) = self.segment_file(id)? else { return Ok(()) };
        let (_, from) = self.head(id, &file)?;
        let walk = Walk::new(&*file, &self.keys, id, from, 0).map_err(JournalError::io("read a segment"))?;
        let mut walk = if head_is_lost(from) { walk.loose() } else { walk };
        if self.is_live(id, &file) {
            walk = walk.live();
        }
        loop {
            match walk.step().map_err(JournalError::io("read a segment"))? {
                Step::Record { header, body, offset } if header.kind == Kind::Intent => {
                    let Some(mut intent) = decode::<Intent>(&body) else { continue };
                    let mut whole = true;
                    for content in lists::of_intent(&mut intent) {
                        let stored = content.stored;
                        self.unfold(content)?;
                        whole &= content.stored == stored;
                    }
                    whole &= intent.change.before().is_none_or(|image| seen.holds(image));
                    if !whole {
                        report.lost_ops.push(intent.op);
                        let costs = format!("operation `{}` cannot give back what was there", intent.op);
                        report.problem(id, offset, 0, "content that it names is not in the store", &costs);
                    }
                }
                Step::Record { .. } | Step::Damage { .. } => {}
                Step::End { .. } => return Ok(()),
            }
        }
    }

    fn segment_file(&self, id: Ulid) -> Result<Option<Arc<AppendFile>>, JournalError> {
        match self.held.get(&id) {
            Some(file) => Ok(Some(Arc::clone(file))),
            None => {
                let file = self.segments.open_file(&file_name(id)).map_err(JournalError::io("open a segment"))?;
                Ok(file.map(Arc::new))
            }
        }
    }

    fn head(&self, id: Ulid, file: &AppendFile) -> Result<(Option<Head>, Position), JournalError> {
        let mut bytes = [0; HEAD_BYTES as usize];
        file.read_at(&mut bytes, 0).map_err(JournalError::io("read a segment"))?;
        match read_head(&self.keys, id, &bytes) {
            HeadFound::Ours { head, first, .. } => Ok((Some(head), first)),
            HeadFound::Newer(version) => Err(JournalError::Newer { segment: id, version }),
            HeadFound::Damaged => Ok((None, Position { offset: HEAD_BYTES, seq: 0, prev: [0; 16] })),
        }
    }

    /// Whether another process may be appending. (The lock is ours for as long as the file is open, and no longer.)
    fn is_live(&self, id: Ulid, file: &AppendFile) -> bool {
        let state = self.index.borrow_mut().segments().ok().and_then(|all| all.into_iter().find(|one| one.id == id));
        let finished = state.is_some_and(|known| known.row.state >= SegmentState::Final);
        !finished && !self.held.contains_key(&id) && !file.try_lock().unwrap_or(false)
    }
}

fn head_is_lost(from: Position) -> bool {
    from.prev == [0; 16]
}

fn costs_of(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Begin) => "how a run began",
        Some(Kind::Chunk) => "a piece of content; the operations that need it are listed",
        Some(Kind::Intent) => "what an operation changed, and with it the way back",
        Some(Kind::Outcome | Kind::Settle) => "how an operation came out",
        Some(Kind::Note) => "a note, a plan or a piece of a transcript",
        Some(Kind::End) => "how a run ended",
        Some(Kind::Mark | Kind::Final) => "nothing",
        None => "the records in these bytes; the operations that this touches are listed",
    }
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, segment: Ulid, offset: u64, bytes: u64, what: &str, costs: &str) {
        self.problems.push(Problem { segment, offset, bytes, what: what.to_owned(), costs: costs.to_owned() });
    }
}

impl Seen {
    fn take(
        &mut self,
        kind: Kind,
        body: &[u8],
        place: (Ulid, u64),
        journal: &Journal,
        report: &mut VerifyReport,
    ) -> Option<()> {
        match kind {
            Kind::Begin => self.run(decode::<raincoat_types::RunHeader>(body)?.run, place).begun = true,
            Kind::Chunk => {
                self.chunks.insert(short(&journal.keys.chunk_id(body)));
                report.chunks += 1;
            }
            Kind::Intent => {
                let op = decode::<Intent>(body)?.op;
                self.run(op.run, place).ops.insert(op.seq);
            }
            Kind::Outcome | Kind::Settle => {
                let outcome: Outcome = decode(body)?;
                let run = self.run(outcome.op.run, place);
                run.outcomes += 1;
                if let OpResult::Done { .. } = outcome.result {
                    run.place = place;
                }
            }
            Kind::Note => self.run(decode::<crate::format::Note>(body)?.run, place).place = place,
            Kind::End => {
                let end: End = decode(body)?;
                self.run(end.end.run, place).end = Some(end.ops);
            }
            Kind::Mark | Kind::Final => {}
        }
        Some(())
    }

    fn run(&mut self, run: RunId, place: (Ulid, u64)) -> &mut RunSeen {
        let seen = self.runs.entry(run).or_default();
        seen.place = place;
        seen
    }

    fn holds(&self, image: &Image) -> bool {
        match &image.content {
            Content::File(file) => file.chunks.iter().all(|chunk| self.chunks.contains(&short(&chunk.id))),
            Content::Dir | Content::Symlink(_) | Content::Special => true,
        }
    }
}

impl RunSeen {
    fn check(&self, run: RunId, report: &mut VerifyReport) {
        let (segment, offset) = self.place;
        let last = self.ops.iter().copied().max().unwrap_or(0).max(self.end.unwrap_or(0));
        let missing: Vec<OpId> =
            (1..=last).filter(|seq| !self.ops.contains(seq)).map(|seq| OpId { run, seq }).collect();
        if !self.begun {
            report.problem(segment, offset, 0, "a run has no beginning", &format!("how run `{run}` began"));
        }
        if !missing.is_empty() {
            let costs = format!("{} operations of run `{run}`", missing.len());
            report.problem(segment, offset, 0, "operations are missing", &costs);
            report.lost_ops.extend(missing);
        }
        // A run that ended had all of its operations settled.
        if self.end.is_some_and(|ops| self.outcomes < ops) {
            let costs = format!("how operations of run `{run}` came out");
            report.problem(segment, offset, 0, "outcomes are missing", &costs);
        }
    }
}

fn short(id: &ChunkId) -> u128 {
    id.0.first_chunk().copied().map_or(0, u128::from_le_bytes)
}
