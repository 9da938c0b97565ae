//! Writing records again in new segments. A body is bound to its place, so each is opened and sealed anew.
//!
//! The order is what makes it safe at every instant: the copies are durable and read back before a record says that
//! the old segments are dropped; that record is durable, and the index knows the new places, before a file goes. Until
//! that record nothing has happened but that some records stand twice; after it, the next to open the store goes on.

use std::sync::Arc;

use raincoat_os::AppendFile;
use raincoat_types::{Timestamp, Ulid};

use crate::dropped::{Dropped, DroppedSegment};
use crate::facts::{Facts, SegmentRow, SegmentState};
use crate::format::{Head, Kind, encode};
use crate::paths::Paths;
use crate::skim::Skim;
use crate::writer::{Writer, file_name};
use crate::{Journal, JournalError};

/// Bytes that are gathered before they are written.
const BUFFER: usize = 4 << 20;
/// Bytes below which a new segment is gone on with.
const SMALL: u64 = 1 << 20;
/// Runs that one record names.
const RUNS_AT_ONCE: usize = 4096;
/// Operations that one record names.
const OPS_AT_ONCE: usize = 65_536;

/// The new segments, being filled.
pub(crate) struct Mover {
    writer: Writer,
    full: Vec<Writer>,
    facts: Facts,
    records: u64,
    at: Timestamp,
}

impl Mover {
    /// Makes the first new segment. Its name sorts behind those of all others, so that whoever reads them in order finds
    /// the copies last.
    pub(crate) fn new(journal: &Journal, at: Timestamp) -> Result<Mover, JournalError> {
        let mut latest = journal.writer.as_ref().map(|writer| writer.id);
        for known in journal.index.borrow_mut().segments()? {
            latest = latest.max(Some(known.id));
        }
        let writer = make(journal, at, latest, None)?;
        Ok(Mover { writer, full: Vec::new(), facts: Facts::default(), records: 0, at })
    }

    /// Writes a record again.
    pub(crate) fn put(&mut self, journal: &Journal, kind: Kind, body: &[u8]) -> Result<(), JournalError> {
        if self.writer.is_full() {
            self.writer.push(&journal.keys, Kind::Final, &[])?;
            self.write_out()?;
            self.writer.sync().map_err(JournalError::io("make a segment durable"))?;
            self.note_row(SegmentState::Final);
            let after = Some((self.writer.id, self.writer.position.prev));
            let next = make(journal, self.at, Some(self.writer.id), after)?;
            self.full.push(std::mem::replace(&mut self.writer, next));
        }
        let before = self.writer.position;
        let at = self.writer.push(&journal.keys, kind, body)?;
        if self.writer.buffered() >= BUFFER
            && let Err(error) = self.write_out()
        {
            self.writer.rewind(before);
            return Err(error);
        }
        self.records += 1;
        // Whatever decodes was decoded before.
        let _ = self.facts.add(&journal.keys, kind, body, at);
        Ok(())
    }

    fn write_out(&mut self) -> Result<(), JournalError> {
        self.writer.make_room()?;
        self.writer.write_out().map_err(JournalError::io("write to a segment"))
    }

    fn note_row(&mut self, state: SegmentState) {
        self.facts.segments.insert(self.writer.id, SegmentRow { position: self.writer.written, state });
    }

    /// Whether a chunk was written here.
    pub(crate) fn has(&self, id: &raincoat_types::ChunkId) -> bool {
        self.facts.chunks.contains_key(id)
    }

    /// Makes the copies durable, reads them back, and records that the old segments are dropped. From then on they are.
    pub(crate) fn commit(&mut self, journal: &mut Journal, dropped: &Dropped) -> Result<(), JournalError> {
        self.write_out()?;
        self.writer.sync().map_err(JournalError::io("make a segment durable"))?;
        self.read_back(journal)?;
        // Only the last names the segments: before it, all is as it was but that runs are pruned.
        let parts = dropped.runs.chunks(RUNS_AT_ONCE).map(|runs| (runs, &[][..]));
        let parts = parts.chain(dropped.lost.chunks(OPS_AT_ONCE).map(|lost| (&[][..], lost)));
        for (runs, lost) in parts {
            let (at, rule) = (dropped.at, dropped.rule.clone());
            let (runs, lost) = (runs.to_vec(), lost.to_vec());
            let part = Dropped { at, rule, runs, segments: Vec::new(), gone: Vec::new(), lost };
            self.put(journal, Kind::Dropped, &encode(&part)?)?;
        }
        let last = Dropped { runs: Vec::new(), lost: Vec::new(), ..dropped.clone() };
        self.put(journal, Kind::Dropped, &encode(&last)?)?;
        self.write_out()?;
        self.writer.sync().map_err(JournalError::io("make a segment durable"))?;
        self.note_row(SegmentState::Clean);
        let facts = std::mem::take(&mut self.facts);
        journal.index.borrow_mut().write(&journal.keys, &facts, &Paths::default())?;
        for known in [&self.writer].into_iter().chain(&self.full) {
            journal.facts.segments.remove(&known.id);
        }
        Ok(())
    }

    /// Every record that was written opens where it lies now.
    fn read_back(&self, journal: &Journal) -> Result<(), JournalError> {
        let mut records = 0;
        for writer in self.full.iter().chain([&self.writer]) {
            let mut skim = Skim::new(&writer.file, &journal.keys, writer.id, writer.written.offset);
            let fail = |error| crate::survey::unread(writer.id, error);
            while let Some((offset, header)) = skim.next().map_err(fail)? {
                let what = "what was written again does not read back";
                let body = skim.body(offset, &header).map_err(fail)?;
                body.ok_or(JournalError::Corrupt { segment: writer.id, offset, what })?;
                records += u64::from(header.kind != Kind::Final);
            }
        }
        if records != self.records {
            let what = "what was written again does not read back whole";
            return Err(JournalError::Corrupt { segment: self.writer.id, offset: 0, what });
        }
        Ok(())
    }

    /// Takes the old segments' files away, those that were damaged under another name, and notes that it is done.
    pub(crate) fn clear(mut self, journal: &mut Journal, segments: &[DroppedSegment]) -> Result<(), JournalError> {
        for segment in segments {
            put_away(journal, segment)?;
        }
        if segments.is_empty() {
            return Ok(());
        }
        journal.segments.sync().map_err(JournalError::io("make its segments durable"))?;
        let gone = Dropped::gone(self.at, segments.iter().map(|segment| segment.id).collect());
        // Nobody goes on with old content: what is appended to cannot be pruned.
        let (kind, state) = match self.writer.position.offset {
            ..SMALL => (Kind::Mark, SegmentState::Clean),
            _ => (Kind::Final, SegmentState::Final),
        };
        // What is not noted now is noted by the next to open the store.
        if self.put(journal, Kind::Dropped, &encode(&gone)?).is_ok()
            && self.writer.push(&journal.keys, kind, &[]).is_ok()
            && self.write_out().is_ok()
            && self.writer.sync().is_ok()
        {
            self.note_row(state);
            let _ = journal.index.borrow_mut().write(&journal.keys, &self.facts, &Paths::default());
        }
        Ok(())
    }
}

impl Dropped {
    /// Says that files of dropped segments are gone.
    pub(crate) fn gone(at: Timestamp, gone: Vec<Ulid>) -> Dropped {
        let (runs, segments, lost) = (Vec::new(), Vec::new(), Vec::new());
        Dropped { at, rule: String::new(), runs, segments, gone, lost }
    }
}

/// The name under which a damaged segment is kept.
pub(crate) fn quarantined(id: Ulid) -> String {
    format!("{id}.damaged")
}

/// Takes a dropped segment's file away. One that was damaged only gets another name.
pub(crate) fn put_away(journal: &Journal, segment: &DroppedSegment) -> Result<(), JournalError> {
    let name = file_name(segment.id);
    if !segment.damaged {
        return journal.segments.remove(&name).map_err(JournalError::io("remove a segment"));
    }
    match journal.segments.rename(&name, &quarantined(segment.id)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(JournalError::io("put a damaged segment aside")(error))
        }
        _ => Ok(()),
    }
}

fn make(
    journal: &Journal,
    at: Timestamp,
    latest: Option<Ulid>,
    after: Option<(Ulid, crate::format::Tag)>,
) -> Result<Writer, JournalError> {
    let id = journal.new_name(at)?;
    let id = latest.and_then(|latest| latest.increment()).map_or(id, |next| id.max(next));
    let _lock = journal.dir.lock("lock").map_err(JournalError::io("lock the store"))?;
    Writer::create(&journal.segments, &journal.keys, id, &Head { created: at, after })
}

/// A segment that may be dropped, locked for as long as this is held.
pub(crate) struct Victim {
    pub(crate) id: Ulid,
    pub(crate) file: Arc<AppendFile>,
    pub(crate) end: u64,
}
