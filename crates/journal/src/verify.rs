//! Checking everything the store holds, and saying what damage costs: which versions of which files.
//!
//! Each segment is read by itself, several at once; what one says of another (a chunk that an operation needs, the
//! segment before it, a run's other records) is compared when all have been read.

mod deep;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use raincoat_os::{AppendFile, PrivateDir};
use raincoat_types::{
    Change, Chunk, ChunkId, Content, Digest, FileContent, Image, Intent, OpId, RunHeader, RunId, Spot, Timestamp, Ulid,
};

use crate::dropped::{Dropped, DroppedSegment};
use crate::facts::{Loc, SegmentState};
use crate::format::{End, HEAD_BYTES, Head, HeadFound, Kind, Note, Outcome, Position, Tag, decode, read_head};
use crate::memory::Remembered;
use crate::walk::{Step, Walk};
use crate::{Journal, JournalError, JournalKeys, lists};
use deep::Records;

/// Pieces of content of at most so many bytes are hashed as they are read.
const SMALL: usize = 32 << 10;
/// Rows of the index that are told of where they are wrong; more are only counted.
const TOLD: usize = 20;

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
    /// Whole contents that were put together and hashed again; 0 where that was not asked for.
    pub contents: u64,
    /// Bytes of torn tails: writes that a crash cut short and nobody was told were durable. They cost nothing.
    pub torn: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Operations that cannot be taken back in full, for their record or their content is lost.
    pub lost_ops: Vec<OpId>,
    /// Of those, what can be said of the version that is lost with each.
    pub lost: Vec<Lost>,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
    /// Every operation that there is a record of.
    pub known: Known,
}

/// Operations that a store has, or had and let go of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    ops: HashSet<OpId>,
    pruned: HashSet<RunId>,
}

impl Known {
    /// Whether there is a record of this operation, or one that it was pruned or lost.
    pub fn has(&self, op: OpId) -> bool {
        self.ops.contains(&op) || self.pruned.contains(&op.run)
    }
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

/// A version of a file that is lost: what stood there before an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// The operation that replaced or removed it.
    pub op: OpId,
    /// The file; `None` where the operation's record is lost too.
    pub at: Option<Spot>,
    /// The folder that the run worked in, where that is known.
    pub root: Option<Vec<u8>>,
    /// When the operation was meant.
    pub when: Option<Timestamp>,
    /// Bytes of the version.
    pub size: Option<u64>,
}

/// What one segment says.
#[derive(Default)]
struct Seen {
    head: Option<Head>,
    live: bool,
    records: u64,
    bytes: u64,
    torn: u64,
    problems: Vec<Problem>,
    chunks: Vec<(ChunkId, u64)>,
    /// The digests of small pieces, where contents are to be hashed: most are a whole file's.
    digests: Option<Vec<(u128, Digest)>>,
    runs: BTreeMap<RunId, RunSeen>,
    /// Operations, and where their intents are.
    ops: Vec<(OpId, u64)>,
    outcomes: Vec<(OpId, u64)>,
    /// Chunks that an operation of [`Seen::ops`] needs to be taken back, by its place there.
    needs: Vec<(u32, Chunk)>,
    dropped: Vec<Dropped>,
    last: Option<Tag>,
    is_final: bool,
    end: u64,
}

/// What a segment, or all of them, say of a run.
#[derive(Clone, Copy, Default)]
struct RunSeen {
    begun: Option<Loc>,
    end: Option<u32>,
    /// Where a record of it was seen.
    place: Option<Loc>,
}

/// One segment to be read.
struct Reading {
    id: Ulid,
    file: Arc<AppendFile>,
    durable: u64,
    live: bool,
}

impl Journal {
    /// Reads every record of every segment: its seal, its place, what comes before it, the address of content; whether
    /// each run is complete, each before-image there, each segment that is missing was dropped, and the index in step.
    /// Changes nothing.
    ///
    /// # Errors
    /// The system's. (What is wrong with the store is in the report.)
    pub fn verify(&self) -> Result<VerifyReport, JournalError> {
        self.verify_with(false, None)
    }

    /// The same; puts every stored content together besides and hashes it against its digest, and holds the journal
    /// against what is remembered of it in `apart`.
    ///
    /// # Errors
    /// As [`Journal::verify`].
    pub fn verify_with(&self, deep: bool, apart: Option<&PrivateDir>) -> Result<VerifyReport, JournalError> {
        // Nothing is pruned meanwhile.
        let _still = self.dir.lock_shared(crate::prune::USING).map_err(JournalError::io("lock the store"))?;
        Ok(self.check(deep, apart)?.0)
    }

    /// As [`Journal::verify_with`], for one who holds the store; and what all segments say together.
    pub(crate) fn check(
        &self,
        deep: bool,
        apart: Option<&PrivateDir>,
    ) -> Result<(VerifyReport, Together), JournalError> {
        let mut report = VerifyReport::default();
        let known = self.index.borrow_mut().segments()?;
        let mut readings = Vec::new();
        let mut aside = 0_u64;
        for name in self.segments.names().map_err(JournalError::io("list its segments"))? {
            let Some(name) = name.to_str() else { continue };
            aside += u64::from(name.ends_with(".damaged"));
            let Some(id) = name.strip_suffix(".seg").and_then(|id| Ulid::from_string(id).ok()) else { continue };
            let Some(file) = self.segment_file(id)? else { continue };
            let row = known.iter().find(|segment| segment.id == id);
            let finished = row.is_some_and(|row| row.row.state == SegmentState::Final);
            // Whether another process may be appending. (The lock is ours for as long as the file is open.)
            let live = !finished && !self.held.contains_key(&id) && !file.try_lock().unwrap_or(false);
            readings.push(Reading { id, file, durable: row.map_or(0, |row| row.durable), live });
        }
        if aside > 0 {
            report.notes.push(format!("{aside} damaged segments are kept aside since a repair"));
        }
        let seen = self.read_all(&readings, deep)?;
        drop(readings);
        let all = Together::new(seen);
        all.missing(known.iter().map(|segment| segment.id), &mut report);
        all.segments(&mut report);
        all.chain(&mut report);
        all.runs(&mut report);
        all.content(self, &mut report);
        if deep {
            self.hash_again(&all, &mut report)?;
        }
        self.check_index(&all, &mut report)?;
        if let Some(apart) = apart {
            self.check_memory(apart, &mut report)?;
        }
        report.lost_ops.sort();
        report.lost_ops.dedup();
        let accepted: HashSet<OpId> = all.accepted.iter().copied().collect();
        report.lost_ops.retain(|op| !accepted.contains(op));
        report.lost = report.lost_ops.iter().map(|op| self.lost_version(*op, &all)).collect();
        if !accepted.is_empty() {
            let words =
                format!("{} operations were lost before, and a repair found nothing more of them", accepted.len());
            report.notes.push(words);
        }
        report.known.ops = all.ops.keys().copied().chain(accepted).collect();
        report.known.pruned.clone_from(&all.pruned);
        Ok((report, all))
    }

    /// Reads segments, several at once where there are processors for it.
    fn read_all(&self, readings: &[Reading], deep: bool) -> Result<BTreeMap<Ulid, Seen>, JournalError> {
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get()).min(readings.len()).max(1);
        let next = AtomicUsize::new(0);
        let keys = &*self.keys;
        let work = || {
            let mut out = Vec::new();
            while let Some(reading) = readings.get(next.fetch_add(1, Ordering::Relaxed)) {
                out.push((reading.id, read_segment(keys, reading, deep)?));
            }
            Ok::<_, JournalError>(out)
        };
        let parts = std::thread::scope(|scope| {
            let handles: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            let mut parts = vec![work()];
            parts.extend(handles.into_iter().map(|handle| {
                let died = |_| std::io::Error::other("a thread that checks segments died");
                handle.join().map_err(died).map_err(JournalError::io("read a segment")).flatten()
            }));
            parts
        });
        let mut all = BTreeMap::new();
        for part in parts {
            all.extend(part?);
        }
        Ok(all)
    }

    fn segment_file(&self, id: Ulid) -> Result<Option<Arc<AppendFile>>, JournalError> {
        Records::of(self).file(id).map_err(JournalError::io("open a segment"))
    }

    /// A record's body, wherever it lies.
    pub(crate) fn body_at(&self, at: Loc) -> Option<(Kind, Vec<u8>)> {
        Records::of(self).body_at(at)
    }

    /// What is lost with an operation.
    fn lost_version(&self, op: OpId, all: &Together) -> Lost {
        let mut lost = Lost { op, at: None, root: None, when: None, size: None };
        let Some(intent) = all.ops.get(&op).and_then(|at| decode::<Intent>(&self.body_at(*at)?.1)) else { return lost };
        lost.when = Some(intent.at);
        lost.at = intent.change.spots().first().map(|spot| (*spot).clone());
        lost.size = intent.change.before().map(|image| image.meta.size);
        let begun = all.runs.get(&op.run).and_then(|run| run.begun);
        let header = begun.and_then(|at| decode::<RunHeader>(&self.body_at(at)?.1));
        if let (Some(header), Some(spot)) = (header, &lost.at) {
            lost.root = header.roots.iter().find(|root| root.grant == spot.grant).map(|root| root.path.clone());
        }
        lost
    }

    /// The index is a cache: where it is wrong, nothing is lost, but what it says must not be relied on.
    fn check_index(&self, all: &Together, report: &mut VerifyReport) -> Result<(), JournalError> {
        let segment = Ulid::nil();
        let mut wrong: Vec<String> = Vec::new();
        let index = self.index.borrow();
        if !index.is_sound() {
            wrong.push("SQLite does not find it as it wrote it".to_owned());
        }
        let own = self.writer.as_ref().map(|writer| writer.id);
        let checked =
            |at: &Loc| all.segments.get(&at.segment).is_some_and(|seen| !seen.live) && Some(at.segment) != own;
        let mut places: HashSet<(Ulid, u64)> = HashSet::new();
        // Only where a piece is at two places does it matter which others there are.
        if !all.doubled.is_empty() {
            for (id, seen) in &all.segments {
                places.extend(seen.chunks.iter().map(|(_, offset)| (*id, *offset)));
            }
        }
        let mut bad = 0_u64;
        index.chunk_places(|at, id| {
            let right = all.chunks.get(&short(&ChunkId(id))).is_some_and(|home| {
                *home == at || (all.doubled.contains(&short(&ChunkId(id))) && places.contains(&(at.segment, at.offset)))
            });
            bad += u64::from(!right && (checked(&at) || !all.segments.contains_key(&at.segment)));
        })?;
        let damaged: HashSet<Ulid> = report.problems.iter().map(|problem| problem.segment).collect();
        if bad > 0 && damaged.is_empty() {
            wrong.push(format!("it has {bad} pieces of content where they are not"));
        }
        let mut ops = 0_u64;
        index.op_places(|op, intent, outcome| {
            let known = |places: &dyn Fn(&OpId, &Loc) -> bool, at: Option<Loc>| {
                at.is_none_or(|at| !checked(&at) || places(&op, &at))
            };
            let right = known(&|op, at| all.intents.contains(&(*op, *at)), intent)
                && known(&|op, at| all.outcomes.contains(&(*op, *at)), outcome);
            ops += u64::from(!right);
        })?;
        if ops > 0 && damaged.is_empty() {
            wrong.push(format!("it has {ops} operations where they are not"));
        }
        drop(index);
        for known in self.index.borrow_mut().segments()? {
            let hidden = matches!(known.row.state, SegmentState::Dropped | SegmentState::PutAway);
            if hidden && !all.dropped.contains_key(&known.id) {
                wrong.push(format!("it leaves segment {} out, which nobody dropped", known.id));
            }
        }
        for what in wrong.into_iter().take(TOLD) {
            report.problem(
                segment,
                0,
                0,
                &format!("the index: {what}"),
                "nothing: it is a cache, and `raincoat store repair` makes it anew",
            );
        }
        Ok(())
    }

    fn check_memory(&self, apart: &PrivateDir, report: &mut VerifyReport) -> Result<(), JournalError> {
        match self.hold_against(apart)? {
            Remembered::Agrees => {}
            Remembered::Nothing => report.notes.push(
                "nothing is remembered of the journal outside it, so that an end that was cut off cannot show by itself"
                    .to_owned(),
            ),
            Remembered::Unreadable => {
                let what = "what is remembered of the journal outside it cannot be read";
                report.problem(Ulid::nil(), 0, 0, what, "nothing by itself; a journal that was put back would not show");
            }
            Remembered::Behind(all) => {
                for (segment, why) in all {
                    let known = report.problems.iter().any(|one| one.segment == segment && one.what.contains("missing"));
                    if !known {
                        let costs = "what was recorded behind that; the log knows which operations those were";
                        report.problem(segment, 0, 0, &why, costs);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Reads one segment to its end. What is wrong is in what it says.
fn read_segment(keys: &JournalKeys, reading: &Reading, deep: bool) -> Result<Seen, JournalError> {
    let fail = |error| JournalError::io("read a segment")(error);
    let id = reading.id;
    let mut seen = Seen { live: reading.live, digests: deep.then(Vec::new), ..Seen::default() };
    let mut bytes = [0; HEAD_BYTES as usize];
    reading.file.read_at(&mut bytes, 0).map_err(fail)?;
    let from = match read_head(keys, id, &bytes) {
        HeadFound::Ours { head, first, .. } => {
            seen.head = Some(head);
            first
        }
        HeadFound::Newer(version) => return Err(JournalError::Newer { segment: id, version }),
        HeadFound::Damaged => {
            seen.problem(id, 0, HEAD_BYTES, "its head is not what was written", "nothing: records name it");
            Position { offset: HEAD_BYTES, seq: 0, prev: [0; 16] }
        }
    };
    let walk = Walk::new(&*reading.file, keys, id, from, reading.durable).map_err(fail)?;
    let mut walk = if seen.head.is_none() { walk.loose() } else { walk };
    if reading.live {
        walk = walk.live();
    }
    loop {
        match walk.step().map_err(fail)? {
            Step::Record { offset, header, body } => {
                seen.records += 1;
                seen.bytes += header.span();
                seen.last = Some(walk.position.prev);
                seen.end = walk.position.offset;
                seen.is_final |= header.kind == Kind::Final;
                if seen.take(keys, header.kind, &body, Loc { segment: id, offset }).is_none() {
                    let what = "a record says nothing that this version understands";
                    seen.problem(id, offset, header.span(), what, costs_of(Some(header.kind)));
                }
            }
            Step::Damage { offset, bytes, kind, what } => seen.problem(id, offset, bytes, what, costs_of(kind)),
            Step::End { torn } => {
                seen.torn = torn;
                return Ok(seen);
            }
        }
    }
}

fn costs_of(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Begin) => "how a run began",
        Some(Kind::Chunk) => "a piece of content; the operations that need it are listed",
        Some(Kind::Intent) => "what an operation changed, and with it the way back",
        Some(Kind::Outcome | Kind::Settle) => "how an operation came out",
        Some(Kind::Note) => "a note, a plan or a piece of a transcript",
        Some(Kind::End) => "how a run ended",
        Some(Kind::Dropped) => "what was pruned, and when",
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
    fn problem(&mut self, segment: Ulid, offset: u64, bytes: u64, what: &str, costs: &str) {
        self.problems.push(Problem { segment, offset, bytes, what: what.to_owned(), costs: costs.to_owned() });
    }

    fn take(&mut self, keys: &JournalKeys, kind: Kind, body: &[u8], at: Loc) -> Option<()> {
        match kind {
            Kind::Begin => self.run(decode::<RunHeader>(body)?.run, at).begun = Some(at),
            Kind::Chunk => {
                let chunk = keys.chunk_id(body);
                self.chunks.push((chunk, at.offset));
                if let Some(digests) = self.digests.as_mut().filter(|_| body.len() <= SMALL) {
                    digests.push((short(&chunk), Digest(*blake3::hash(body).as_bytes())));
                }
            }
            Kind::Intent => {
                let intent: Intent = decode(body)?;
                self.run(intent.op.run, at);
                let number = u32::try_from(self.ops.len()).unwrap_or(u32::MAX);
                self.ops.push((intent.op, at.offset));
                if let Some(Image { content: Content::File(file), .. }) = gives_back(&intent.change) {
                    self.needs.extend(file.chunks.iter().map(|chunk| (number, *chunk)));
                }
            }
            Kind::Outcome | Kind::Settle => {
                let outcome: Outcome = decode(body)?;
                self.run(outcome.op.run, at);
                self.outcomes.push((outcome.op, at.offset));
            }
            Kind::Note => drop(self.run(decode::<Note>(body)?.run, at)),
            Kind::End => {
                let end: End = decode(body)?;
                self.run(end.end.run, at).end = Some(end.ops);
            }
            Kind::Dropped => self.dropped.push(decode(body)?),
            Kind::Mark | Kind::Final => {}
        }
        Some(())
    }

    fn run(&mut self, run: RunId, at: Loc) -> &mut RunSeen {
        let seen = self.runs.entry(run).or_default();
        seen.place = Some(at);
        seen
    }
}

/// What taking a change back puts there.
fn gives_back(change: &Change) -> Option<&Image> {
    match change {
        Change::Replace { before, .. } | Change::Remove { before, .. } => Some(before),
        _ => None,
    }
}

/// What all segments say together.
pub(crate) struct Together {
    segments: BTreeMap<Ulid, Seen>,
    dropped: HashMap<Ulid, DroppedSegment>,
    gone: HashSet<Ulid>,
    pruned: HashSet<RunId>,
    /// Lost before, as a repair wrote down.
    accepted: BTreeSet<OpId>,
    runs: BTreeMap<RunId, RunSeen>,
    chunks: HashMap<u128, Loc>,
    digests: HashMap<u128, Digest>,
    doubled: HashSet<u128>,
    ops: BTreeMap<OpId, Loc>,
    intents: HashSet<(OpId, Loc)>,
    outcomes: HashSet<(OpId, Loc)>,
}

impl Together {
    fn new(segments: BTreeMap<Ulid, Seen>) -> Together {
        let mut all = Together {
            segments: BTreeMap::new(),
            dropped: HashMap::new(),
            gone: HashSet::new(),
            pruned: HashSet::new(),
            accepted: BTreeSet::new(),
            runs: BTreeMap::new(),
            chunks: HashMap::new(),
            digests: HashMap::new(),
            doubled: HashSet::new(),
            ops: BTreeMap::new(),
            intents: HashSet::new(),
            outcomes: HashSet::new(),
        };
        for dropped in segments.values().flat_map(|seen| &seen.dropped) {
            all.dropped.extend(dropped.segments.iter().map(|segment| (segment.id, *segment)));
            all.gone.extend(&dropped.gone);
            all.pruned.extend(dropped.runs.iter().map(|run| run.run));
            all.accepted.extend(&dropped.lost);
        }
        for (id, seen) in segments.iter().filter(|(id, _)| !all.dropped.contains_key(*id)) {
            for (chunk, offset) in &seen.chunks {
                if all.chunks.insert(short(chunk), Loc { segment: *id, offset: *offset }).is_some() {
                    all.doubled.insert(short(chunk));
                }
            }
            all.digests.extend(seen.digests.iter().flatten().copied());
            for (op, offset) in &seen.ops {
                let at = Loc { segment: *id, offset: *offset };
                all.ops.insert(*op, at);
                all.intents.insert((*op, at));
            }
            all.outcomes.extend(seen.outcomes.iter().map(|(op, offset)| (*op, Loc { segment: *id, offset: *offset })));
            for (run, part) in &seen.runs {
                let run = all.runs.entry(*run).or_default();
                run.begun = run.begun.or(part.begun);
                run.end = run.end.or(part.end);
                run.place = part.place.or(run.place);
            }
        }
        all.runs.retain(|run, _| !all.pruned.contains(run));
        all.ops.retain(|op, _| !all.pruned.contains(&op.run));
        all.segments = segments;
        all
    }

    /// Segments that were there and are not, without a word.
    fn missing(&self, known: impl Iterator<Item = Ulid>, report: &mut VerifyReport) {
        let mut missing: BTreeSet<Ulid> = known.collect();
        missing.extend(self.named_before());
        for id in missing {
            if !self.segments.contains_key(&id) && !self.dropped.contains_key(&id) {
                report.problem(id, 0, 0, "the segment is missing", "everything in it");
            }
        }
    }

    /// Segments but for those that were dropped.
    fn read(&self) -> impl Iterator<Item = (&Ulid, &Seen)> {
        self.segments.iter().filter(|(id, _)| !self.dropped.contains_key(*id))
    }

    fn segments(&self, report: &mut VerifyReport) {
        for (id, seen) in &self.segments {
            if self.dropped.contains_key(id) {
                if self.gone.contains(id) {
                    let what = "a segment that was pruned is here again: somebody put it back";
                    report.problem(*id, 0, 0, what, "nothing: it is not read");
                } else {
                    report.notes.push(format!("segment {id} is dropped, and the next command takes its file away"));
                }
                continue;
            }
            report.segments += 1;
            report.records += seen.records;
            report.bytes += seen.bytes;
            report.chunks += seen.chunks.len() as u64;
            report.torn += seen.torn;
            report.problems.extend(seen.problems.iter().cloned());
        }
    }

    fn chain(&self, report: &mut VerifyReport) {
        for (id, seen) in self.read() {
            let Some((before, tag)) = seen.head.as_ref().and_then(|head| head.after) else { continue };
            let follows = match (self.dropped.get(&before), self.segments.get(&before)) {
                (Some(dropped), _) => dropped.damaged || dropped.last == tag,
                (None, Some(before)) => before.is_final && before.last == Some(tag),
                (None, None) => true,
            };
            if !follows {
                report.problem(*id, 0, 0, "it does not follow the segment before it", "nothing by itself");
            }
        }
    }

    fn runs(&self, report: &mut VerifyReport) {
        for (run, seen) in &self.runs {
            let (segment, offset) = seen.place.map_or((Ulid::nil(), 0), |at| (at.segment, at.offset));
            let from = OpId { run: *run, seq: 0 };
            let to = OpId { run: *run, seq: u32::MAX };
            let last = self.ops.range(from..=to).next_back().map_or(0, |(op, _)| op.seq).max(seen.end.unwrap_or(0));
            let missing: Vec<OpId> = (1..=last)
                .map(|seq| OpId { run: *run, seq })
                .filter(|op| !self.ops.contains_key(op) && !self.accepted.contains(op))
                .collect();
            if seen.begun.is_none() && !self.accepted.contains(&from) {
                report.problem(segment, offset, 0, "a run has no beginning", &format!("how run `{run}` began"));
            }
            if !missing.is_empty() {
                let costs = format!("{} operations of run `{run}`", missing.len());
                report.problem(segment, offset, 0, "operations are missing", &costs);
                report.lost_ops.extend(missing);
            }
        }
        let open: BTreeSet<RunId> = self.unsettled().map(|op| op.run).collect();
        for run in open {
            let place = self.runs.get(&run).and_then(|seen| seen.place);
            let (segment, offset) = place.map_or((Ulid::nil(), 0), |at| (at.segment, at.offset));
            let costs = format!("how operations of run `{run}` came out");
            report.problem(segment, offset, 0, "outcomes are missing", &costs);
        }
    }

    /// Operations without an outcome, of runs that ended: those had all of theirs settled.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = OpId> {
        let settled: HashSet<OpId> = self.outcomes.iter().map(|(op, _)| *op).collect();
        self.ops.keys().copied().filter(move |op| {
            let ended = self.runs.get(&op.run).is_some_and(|run| run.end.is_some());
            ended && !settled.contains(op) && !self.accepted.contains(op)
        })
    }

    /// Runs of which there are records, and no beginning.
    pub(crate) fn without_beginning(&self) -> Vec<RunId> {
        let accepted = |run: RunId| self.accepted.contains(&OpId { run, seq: 0 });
        self.runs.iter().filter(|(run, seen)| seen.begun.is_none() && !accepted(**run)).map(|(run, _)| *run).collect()
    }

    /// Where a run's intents are.
    pub(crate) fn places_of(&self, run: RunId) -> BTreeMap<OpId, Loc> {
        let (from, to) = (OpId { run, seq: 0 }, OpId { run, seq: u32::MAX });
        self.ops.range(from..=to).map(|(op, at)| (*op, *at)).collect()
    }

    /// Segments that others name as the one before them, and that are missing without a word.
    pub(crate) fn named_before(&self) -> impl Iterator<Item = Ulid> {
        let after = self.read().filter_map(|(_, seen)| seen.head.as_ref()?.after);
        let missing = |id: &Ulid| !self.segments.contains_key(id) && !self.dropped.contains_key(id);
        after.map(|(before, _)| before).filter(missing)
    }

    /// Whether all chunks of a whole list were read.
    fn holds(&self, file: &FileContent) -> bool {
        file.chunks.iter().all(|chunk| self.chunks.contains_key(&short(&chunk.id)))
    }

    /// Whether a chunk was read; of a piece of a list, all that it names too. `pieces`: what is known of those already.
    fn has(&self, journal: &Journal, chunk: &Chunk, pieces: &mut HashMap<u128, bool>, depth: usize) -> bool {
        let name = short(&chunk.id);
        let Some(at) = self.chunks.get(&name) else { return false };
        if !lists::is_piece(chunk) {
            return true;
        }
        if let Some(known) = pieces.get(&name) {
            return *known;
        }
        let listed = journal.body_at(*at).and_then(|(_, bytes)| decode::<Vec<Chunk>>(&bytes));
        let has = depth < lists::DEPTH
            && listed.is_some_and(|listed| listed.iter().all(|chunk| self.has(journal, chunk, pieces, depth + 1)));
        pieces.insert(name, has);
        has
    }

    /// Content may lie in another segment than the intent that names it.
    fn content(&self, journal: &Journal, report: &mut VerifyReport) {
        let mut pieces: HashMap<u128, bool> = HashMap::new();
        for (id, seen) in self.read() {
            let mut told = None;
            for (number, chunk) in &seen.needs {
                let Some((op, offset)) = seen.ops.get(*number as usize) else { continue };
                let known = told == Some(*number) || self.pruned.contains(&op.run) || self.accepted.contains(op);
                if !known && !self.has(journal, chunk, &mut pieces, 0) {
                    told = Some(*number);
                    report.lost_ops.push(*op);
                    let costs = format!("operation `{op}` cannot give back what was there");
                    report.problem(*id, *offset, 0, "content that it names is not in the store", &costs);
                }
            }
        }
    }
}

fn short(id: &ChunkId) -> u128 {
    id.0.first_chunk().copied().map_or(0, u128::from_le_bytes)
}
