//! What the store holds and what of it is still needed: for its size in words, and for pruning.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use raincoat_os::AppendFile;
use raincoat_types::{
    Change, Chunk, ChunkId, Content, FileContent, Image, Intent, OpResult, RunHeader, RunId, RunKind, Timestamp, Ulid,
};

use crate::facts::{Loc, SegmentState};
use crate::format::{End, Kind, Note, Outcome, decode};
use crate::lists::is_piece;
use crate::skim::Skim;
use crate::writer::file_name;
use crate::{Journal, JournalError};

/// What the store holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Bytes on the disk: segments with the room they reserve, the index, the reserve.
    pub bytes: u64,
    /// Of those, in records that are still needed.
    pub live: u64,
    /// Of those, in records that nothing refers to any more: a prune gives them back.
    pub dead: u64,
    /// Of those, kept back for a full disk.
    pub reserve: u64,
    /// Segments.
    pub segments: u64,
    /// Runs that can be looked at.
    pub runs: u64,
    /// Runs of which only the name is left.
    pub pruned: u64,
    /// Operations.
    pub ops: u64,
    /// Versions of files: contents as they were before an operation.
    pub versions: u64,
    /// Bytes of all those versions, were each kept by itself.
    pub version_bytes: u64,
    /// Bytes of content that are kept once for all versions that share them, before compression.
    pub unique_bytes: u64,
    /// Bytes that they take on the disk.
    pub stored_bytes: u64,
    /// When the oldest run began.
    pub oldest: Option<Timestamp>,
}

/// A look at all records but the contents.
#[derive(Default)]
pub(crate) struct Survey {
    numbers: HashMap<RunId, u32>,
    pub(crate) runs: Vec<RunUse>,
    chunks: HashMap<[u8; 32], u32>,
    /// Of each chunk that a record names: its length and its bytes on the disk, 0 where the index has no place for it.
    pub(crate) sizes: Vec<(u32, u64)>,
    /// Which runs name which chunk.
    pub(crate) uses: Vec<(u32, u32)>,
    pub(crate) segments: BTreeMap<Ulid, SegmentUse>,
    /// Chunks that are pieces of chunk lists: their names and numbers.
    lists: HashMap<[u8; 32], u32>,
}

/// What is known of a run.
pub(crate) struct RunUse {
    pub(crate) run: RunId,
    pub(crate) header: Option<RunHeader>,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) ops: u32,
    pub(crate) versions: u64,
    pub(crate) version_bytes: u64,
    /// Bytes of its own records.
    pub(crate) bytes: u64,
    /// Somebody is taking it back at this moment.
    pub(crate) being_undone: bool,
}

/// What lies in a segment.
pub(crate) struct SegmentUse {
    /// Bytes of each run's records.
    pub(crate) runs: HashMap<u32, u64>,
    /// Chunks that the index has here: their number, if a record names them, and their bytes.
    pub(crate) chunks: Vec<(Option<u32>, u64)>,
    /// Records that are neither a run's nor content.
    pub(crate) other: u64,
    /// Chunks that stand elsewhere too: the index has them there.
    pub(crate) doubled: u64,
}

impl Survey {
    fn run(&mut self, run: RunId) -> u32 {
        if let Some(number) = self.numbers.get(&run) {
            return *number;
        }
        let number = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        self.numbers.insert(run, number);
        self.runs.push(RunUse {
            run,
            header: None,
            ended: None,
            ops: 0,
            versions: 0,
            version_bytes: 0,
            bytes: 0,
            being_undone: false,
        });
        number
    }

    pub(crate) fn number_of(&self, run: RunId) -> Option<u32> {
        self.numbers.get(&run).copied()
    }

    pub(crate) fn use_of(&mut self, number: u32) -> Option<&mut RunUse> {
        self.runs.get_mut(number as usize)
    }

    fn names(&mut self, run: u32, content: &FileContent) {
        for chunk in &content.chunks {
            let number = self.chunk(chunk);
            if self.uses.last() != Some(&(number, run)) {
                self.uses.push((number, run));
            }
        }
    }

    /// The number of a chunk that something names.
    fn chunk(&mut self, chunk: &Chunk) -> u32 {
        let next = u32::try_from(self.sizes.len()).unwrap_or(u32::MAX);
        let number = *self.chunks.entry(chunk.id.0).or_insert(next);
        if number == next {
            self.sizes.push((chunk.len, 0));
        }
        if is_piece(chunk) {
            self.lists.insert(chunk.id.0, number);
        }
        number
    }

    /// Whoever names a piece of a chunk list names the chunks in it too, and they may be pieces in turn. `read` gives the
    /// bytes of a piece, `None` where it is lost.
    fn name_listed(
        &mut self,
        read: &mut dyn FnMut(ChunkId) -> Result<Option<Vec<u8>>, JournalError>,
    ) -> Result<(), JournalError> {
        let mut parts: HashMap<u32, Vec<u32>> = HashMap::new();
        loop {
            let unread = self.lists.iter().filter(|(_, number)| !parts.contains_key(*number));
            let unread: Vec<([u8; 32], u32)> = unread.map(|(name, number)| (*name, *number)).collect();
            if unread.is_empty() {
                break;
            }
            for (name, number) in unread {
                // What does not decode, or is lost, names nothing: its content counts as not stored.
                let listed = read(ChunkId(name))?.and_then(|bytes| decode::<Vec<Chunk>>(&bytes)).unwrap_or_default();
                parts.insert(number, listed.iter().map(|chunk| self.chunk(chunk)).collect());
            }
        }
        let mut next: Vec<(u32, u32)> =
            self.uses.iter().filter(|(chunk, _)| parts.contains_key(chunk)).copied().collect();
        next.sort_unstable();
        next.dedup();
        let mut all: HashSet<(u32, u32)> = HashSet::new();
        while let Some((piece, run)) = next.pop() {
            for part in parts.get(&piece).into_iter().flatten() {
                if all.insert((*part, run)) && parts.contains_key(part) {
                    next.push((*part, run));
                }
            }
        }
        self.uses.extend(all);
        Ok(())
    }

    fn image(&mut self, run: u32, image: &Image) {
        if let Content::File(file) = &image.content
            && file.stored
        {
            self.names(run, file);
        }
    }

    /// Takes a record in: whose it is and which contents it names. `None` for content, and what belongs to no run.
    pub(crate) fn take(&mut self, kind: Kind, body: &[u8]) -> Option<u32> {
        match kind {
            Kind::Begin => {
                let header: RunHeader = decode(body)?;
                let run = self.run(header.run);
                self.use_of(run)?.header = Some(header);
                Some(run)
            }
            Kind::Intent => {
                let intent: Intent = decode(body)?;
                let run = self.run(intent.op.run);
                let used = self.use_of(run)?;
                used.ops = used.ops.max(intent.op.seq);
                if let Change::Replace { before, .. } | Change::Remove { before, .. } = &intent.change
                    && matches!(&before.content, Content::File(file) if file.stored)
                {
                    used.versions += 1;
                    used.version_bytes += before.meta.size;
                }
                images(&intent.change, &mut |image| self.image(run, image));
                Some(run)
            }
            Kind::Outcome | Kind::Settle => {
                let outcome: Outcome = decode(body)?;
                let run = self.run(outcome.op.run);
                if let OpResult::Done { after: Some(image), .. } = &outcome.result {
                    self.image(run, image);
                }
                Some(run)
            }
            Kind::Note => Some(self.run(decode::<Note>(body)?.run)),
            Kind::End => {
                let end: End = decode(body)?;
                let run = self.run(end.end.run);
                self.use_of(run)?.ended = Some(end.end.at);
                Some(run)
            }
            Kind::Chunk | Kind::Mark | Kind::Final | Kind::Dropped => None,
        }
    }

    /// Chunks by name.
    pub(crate) fn chunk_names(&self) -> impl Iterator<Item = (&[u8; 32], &u32)> {
        self.chunks.iter()
    }

    /// Of each chunk, whether a run that `stays` says yes to names it, and else the last of the others that does.
    pub(crate) fn owners(&self, stays: &dyn Fn(&RunUse) -> bool) -> Vec<Owner> {
        let mut owners = vec![Owner::Nobody; self.sizes.len()];
        for (chunk, run) in &self.uses {
            let (Some(owner), Some(used)) = (owners.get_mut(*chunk as usize), self.runs.get(*run as usize)) else {
                continue;
            };
            *owner = match *owner {
                Owner::Stays => Owner::Stays,
                _ if stays(used) => Owner::Stays,
                Owner::Goes(last) if self.runs.get(last as usize).is_some_and(|last| last.run >= used.run) => {
                    Owner::Goes(last)
                }
                _ => Owner::Goes(*run),
            };
        }
        owners
    }
}

/// Who needs a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// No run.
    Nobody,
    /// This run is the last of those that may go.
    Goes(u32),
    /// A run that stays.
    Stays,
}

/// Every image in a change.
pub(crate) fn images(change: &Change, each: &mut dyn FnMut(&Image)) {
    match change {
        Change::Create { after, .. } => each(after),
        Change::Replace { before, after, .. } => {
            each(before);
            each(after);
        }
        Change::Remove { before, .. } => each(before),
        Change::Move { image, .. } | Change::Link { image, .. } => each(image),
        Change::SetMeta { .. } => {}
    }
}

impl Journal {
    /// What the store holds, and what of it is still needed.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] where a segment cannot be read through; the system's.
    pub fn usage(&mut self) -> Result<Usage, JournalError> {
        self.catch_up_all()?;
        let survey = self.survey()?;
        let owners = survey.owners(&|_| true);
        let mut usage = Usage {
            bytes: self.size()?,
            reserve: self.dir.len_of(crate::journal::RESERVE_FILE).map_err(JournalError::io("measure its files"))?,
            segments: survey.segments.len() as u64,
            pruned: self.index.borrow().all_pruned()?.len() as u64,
            ..Usage::default()
        };
        for used in &survey.runs {
            usage.runs += 1;
            usage.ops += u64::from(used.ops);
            usage.versions += used.versions;
            usage.version_bytes += used.version_bytes;
            let began = used.header.as_ref().map(|header| header.at);
            usage.oldest = match (usage.oldest, began) {
                (Some(oldest), Some(began)) => Some(oldest.min(began)),
                (oldest, began) => oldest.or(began),
            };
        }
        for segment in survey.segments.values() {
            usage.live += segment.runs.values().sum::<u64>() + segment.other;
            usage.dead += segment.doubled;
            for (chunk, bytes) in &segment.chunks {
                if chunk.and_then(|chunk| owners.get(chunk as usize)).is_some_and(|owner| *owner == Owner::Stays) {
                    usage.live += bytes;
                } else {
                    usage.dead += bytes;
                }
            }
        }
        for (len, stored) in &survey.sizes {
            usage.unique_bytes += u64::from(*len);
            usage.stored_bytes += stored;
        }
        Ok(usage)
    }

    /// Bytes of all the journal's files.
    ///
    /// # Errors
    /// The system's.
    pub fn size(&self) -> Result<u64, JournalError> {
        let mut bytes = 0;
        for name in self.segments.names().map_err(JournalError::io("list its segments"))? {
            let Some(name) = name.to_str() else { continue };
            bytes += self.segments.len_of(name).map_err(JournalError::io("measure a segment"))?;
        }
        for name in ["index.db", "index.db-wal", "index.db-shm", crate::journal::RESERVE_FILE] {
            bytes += self.dir.len_of(name).map_err(JournalError::io("measure its files"))?;
        }
        Ok(bytes)
    }

    /// Looks at every record but the contents. What other processes wrote must have been read before.
    pub(crate) fn survey(&self) -> Result<Survey, JournalError> {
        let mut survey = Survey::default();
        let mut homes: HashMap<Loc, [u8; 32]> = HashMap::new();
        self.index.borrow().chunk_places(|at, id| {
            homes.insert(at, id);
        })?;
        homes.extend(self.facts.chunks.iter().map(|(id, at)| (*at, id.0)));
        // Which chunk a place holds is known only when all records that name chunks have been read.
        let mut places: Vec<(Ulid, u64, u64)> = Vec::new();
        let pruned: HashSet<RunId> = self.index.borrow().all_pruned()?.into_iter().collect();
        for (id, file, end) in self.whole_segments()? {
            let mut segment = SegmentUse { runs: HashMap::new(), chunks: Vec::new(), other: 0, doubled: 0 };
            let fail = |error: std::io::Error| unread(id, error);
            let mut skim = Skim::new(&file, &self.keys, id, end);
            while let Some((offset, header)) = skim.next().map_err(fail)? {
                if header.kind == Kind::Chunk {
                    places.push((id, offset, header.span()));
                    continue;
                }
                let what = "a record is not what was written";
                let (body, _) = skim.body(offset, &header).map_err(fail)?.ok_or(JournalError::Corrupt {
                    segment: id,
                    offset,
                    what,
                })?;
                match run_of(header.kind, &body).filter(|run| !pruned.contains(run)) {
                    Some(_) => {
                        if let Some(run) = survey.take(header.kind, &body) {
                            *segment.runs.entry(run).or_default() += header.span();
                            if let Some(used) = survey.use_of(run) {
                                used.bytes += header.span();
                            }
                        }
                    }
                    None if run_of(header.kind, &body).is_none() => segment.other += header.span(),
                    None => segment.doubled += header.span(),
                }
            }
            survey.segments.insert(id, segment);
        }
        let mut by_reading: Option<HashMap<[u8; 32], Loc>> = None;
        survey.name_listed(&mut |id| self.listed(id, &places, &mut by_reading))?;
        for (id, offset, span) in places {
            let chunk = homes.get(&Loc { segment: id, offset }).map(|name| survey.chunks.get(name).copied());
            let Some(segment) = survey.segments.get_mut(&id) else { continue };
            match chunk {
                Some(number) => {
                    segment.chunks.push((number, span));
                    if let Some((_, stored)) = number.and_then(|number| survey.sizes.get_mut(number as usize)) {
                        *stored = span;
                    }
                }
                None => segment.doubled += span,
            }
        }
        let undone: Vec<RunId> = survey
            .runs
            .iter()
            .filter(|used| used.ended.is_none())
            .filter_map(|used| match used.header.as_ref()?.kind {
                RunKind::Undo { of, .. } => Some(of),
                _ => None,
            })
            .collect();
        for of in undone {
            if let Some(number) = survey.number_of(of)
                && let Some(used) = survey.use_of(number)
            {
                used.being_undone = true;
            }
        }
        Ok(survey)
    }

    /// The bytes of a piece of a chunk list. The index only says where to look: where it does not know the piece, all
    /// contents are gone through for it, once. `None` where it is lost.
    fn listed(
        &self,
        id: ChunkId,
        places: &[(Ulid, u64, u64)],
        by_reading: &mut Option<HashMap<[u8; 32], Loc>>,
    ) -> Result<Option<Vec<u8>>, JournalError> {
        match self.read_chunk(id) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(JournalError::UnknownChunk(_) | JournalError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let found = by_reading.get_or_insert_with(|| {
            let read = |(segment, offset, _): &(Ulid, u64, u64)| {
                let at = Loc { segment: *segment, offset: *offset };
                Some((self.keys.chunk_id(&self.body_at(at)?.1).0, at))
            };
            places.iter().filter_map(read).collect()
        });
        Ok(found.get(&id.0).and_then(|at| self.body_at(*at)).map(|(_, bytes)| bytes))
    }

    /// Segments that are read, their files, and where their known records end. An error where one is damaged: what it
    /// held is not known, so nothing may be concluded from what the others hold.
    pub(crate) fn whole_segments(&self) -> Result<Vec<(Ulid, Arc<AppendFile>, u64)>, JournalError> {
        let mut all = Vec::new();
        let rows = self.index.borrow_mut().segments()?;
        for known in rows {
            let row = self.facts.segments.get(&known.id).copied().unwrap_or(known.row);
            let own = self.writer.as_ref().filter(|writer| writer.id == known.id);
            let (segment, offset) = (known.id, 0);
            match row.state {
                SegmentState::Dropped | SegmentState::PutAway => continue,
                SegmentState::Damaged => {
                    return Err(JournalError::Corrupt { segment, offset, what: "it has damage" });
                }
                SegmentState::Gone => {
                    return Err(JournalError::Corrupt { segment, offset, what: "the segment is missing" });
                }
                SegmentState::Open | SegmentState::Clean | SegmentState::Final => {}
            }
            let end = own.map_or(row.position.offset, |writer| writer.written.offset);
            let file = match self.held.get(&known.id) {
                Some(file) => Arc::clone(file),
                None => {
                    let file =
                        self.segments.open_file(&file_name(known.id)).map_err(JournalError::io("open a segment"))?;
                    let what = "the segment is missing";
                    Arc::new(file.ok_or(JournalError::Corrupt { segment, offset, what })?)
                }
            };
            all.push((known.id, file, end));
        }
        Ok(all)
    }
}

/// The run that a record belongs to; `None` for content, and what belongs to no run.
pub(crate) fn run_of(kind: Kind, body: &[u8]) -> Option<RunId> {
    match kind {
        Kind::Begin => Some(decode::<RunHeader>(body)?.run),
        Kind::Intent => Some(decode::<Intent>(body)?.op.run),
        Kind::Outcome | Kind::Settle => Some(decode::<Outcome>(body)?.op.run),
        Kind::Note => Some(decode::<Note>(body)?.run),
        Kind::End => Some(decode::<End>(body)?.end.run),
        Kind::Chunk | Kind::Mark | Kind::Final | Kind::Dropped => None,
    }
}

pub(crate) fn unread(segment: Ulid, error: std::io::Error) -> JournalError {
    match error.kind() {
        std::io::ErrorKind::InvalidData => {
            JournalError::Corrupt { segment, offset: 0, what: "a record's header is not what was written" }
        }
        _ => JournalError::io("read a segment")(error),
    }
}
