//! Opening a store: what was written since the index was, what a crash left torn, which runs were interrupted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use raincoat_os::{AppendFile, PrivateDir};
use raincoat_types::{Clock, OpRecord, RunHeader, RunId, Timestamp, Ulid};

use crate::dropped::Dropped;
use crate::facts::{Damage, Loc, SegmentRow, SegmentState};
use crate::format::{HEAD_BYTES, HEADER_BYTES, HeadFound, Header, Kind, Position, Source, VERSION, encode, read_head};
use crate::index::Index;
use crate::journal::OpenRun;
use crate::mover::put_away;
use crate::prune::USING;
use crate::walk::{Step, Walk};
use crate::writer::{Writer, file_name};
use crate::{Journal, JournalError, JournalKeys};

/// Facts that a scan gathers before the index takes them.
const BATCH: usize = 4096;
/// Segments that a writer looks at before it makes one of its own.
const ADOPT_TRIES: usize = 4;
/// A segment of this size is not gone on with: what a process writes in cannot be pruned by it, and a budget may be small.
const ADOPTED_MOST: u64 = 16 << 20;

/// A run whose process died before its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interrupted {
    /// How it began.
    pub header: RunHeader,
    /// Operations that were meant and whose outcome nobody wrote down, in order.
    pub pending: Vec<OpRecord>,
}

impl Journal {
    /// Opens the journal in a directory of the store's, and says which runs were interrupted. Those belong to this
    /// process until it settles what is pending ([`Journal::settle`]) and ends them ([`Journal::end_run`]), or ends
    /// itself; no other process is told of them meanwhile.
    ///
    /// Nothing is written where there is nothing to recover. Damage to a segment does not keep the rest from being
    /// read: see [`Journal::damage`].
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] where a segment's head does not open with these keys; the system's.
    pub fn open(
        dir: PrivateDir,
        keys: JournalKeys,
        clock: &dyn Clock,
    ) -> Result<(Journal, Vec<Interrupted>), JournalError> {
        let segments = dir.dir("segments").map_err(JournalError::io("open its segments"))?;
        let index = Index::open(&dir, &keys)?;
        let mut journal = Journal::assemble(dir, segments, keys, index, clock.now());
        // While it is read, nothing is pruned.
        journal.hold_still()?;
        let mut locked = journal.catch_up_all()?;
        let interrupted = journal.interrupted(&mut locked)?;
        drop(locked);
        *journal.using.borrow_mut() = None;
        journal.finish_dropping(clock.now())?;
        Ok((journal, interrupted))
    }

    /// Makes the index anew from the segments.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn rebuild_index(&mut self) -> Result<(), JournalError> {
        let cleared = self.index.borrow_mut().clear();
        if cleared.is_err() {
            *self.index.borrow_mut() = Index::renew(&self.dir, &self.keys)?;
        }
        self.catch_up_all()?;
        Ok(())
    }

    /// Reads what is new in every segment. Returns those that it locked on the way.
    pub(crate) fn catch_up_all(&mut self) -> Result<BTreeMap<Ulid, AppendFile>, JournalError> {
        let names = self.segments.names().map_err(JournalError::io("list its segments"))?;
        let mut there = BTreeSet::new();
        for name in names {
            let Some(name) = name.to_str() else { continue };
            match name.rsplit_once('.') {
                Some((id, "seg")) => there.extend(Ulid::from_string(id)),
                Some((_, "new")) => self.clear_away(name),
                _ => {}
            }
        }
        let mut known: HashMap<Ulid, (SegmentRow, u64)> = HashMap::new();
        let mut stale = false;
        let rows = self.index.borrow_mut().segments()?;
        for segment in rows {
            let missing = !there.contains(&segment.id);
            stale |= missing && segment.row.state < SegmentState::Gone;
            known.insert(segment.id, (segment.row, segment.durable));
            if !missing && segment.row.state <= SegmentState::Clean {
                stale |= self.file_len(segment.id)? < segment.row.position.offset;
            }
        }
        if stale {
            // The index knows of bytes that are not there any more: whatever it says of them is wrong.
            self.index.borrow_mut().clear()?;
            for id in known.keys().filter(|id| !there.contains(id)) {
                self.index.borrow_mut().set_gone(*id)?;
            }
        }
        let mut locked = BTreeMap::new();
        let start = SegmentRow { position: Position { offset: 0, seq: 0, prev: [0; 16] }, state: SegmentState::Open };
        for id in there {
            let (row, durable) = known.get(&id).copied().unwrap_or((start, 0));
            let row = if stale { start } else { row };
            if row.state < SegmentState::Final && Some(id) != self.writer.as_ref().map(|writer| writer.id) {
                if let Some(file) = self.catch_up(id, row, durable)? {
                    locked.insert(id, file);
                }
            } else if row.state < SegmentState::Final {
                self.catch_up_own(row)?;
            }
        }
        self.flush_scanned();
        Ok(locked)
    }

    fn file_len(&self, id: Ulid) -> Result<u64, JournalError> {
        let file = self.segments.open_file(&file_name(id)).map_err(JournalError::io("open a segment"))?;
        file.map_or(Ok(0), |file| file.len().map_err(JournalError::io("measure a segment")))
    }

    /// Goes on where a prune or a repair was cut short: segments that a record says are dropped are taken away, and that
    /// is noted. Where somebody else is at work, it waits for the next time.
    fn finish_dropping(&mut self, at: Timestamp) -> Result<(), JournalError> {
        let all = self.index.borrow().dropped()?;
        let left: Vec<_> = all.into_iter().filter(|(_, _, gone)| !gone).collect();
        if left.is_empty() {
            return Ok(());
        }
        let Some(alone) = self.dir.try_lock(USING).map_err(JournalError::io("lock the store"))? else { return Ok(()) };
        let mut gone = Vec::new();
        for (id, place, _) in left {
            // The index only says where it is written.
            let Some(place) = place else { continue };
            let Ok(dropped) = self.read_as::<Dropped>(place, &[Kind::Dropped]) else { continue };
            let Some(segment) = dropped.segments.iter().find(|segment| segment.id == id) else { continue };
            put_away(self, segment)?;
            gone.push(id);
        }
        self.segments.sync().map_err(JournalError::io("make its segments durable"))?;
        drop(alone);
        let gone = Dropped::gone(at, gone);
        let places = self.append(true, &[(Kind::Dropped, encode(&gone)?)])?;
        self.sync()?;
        self.facts.dropped.extend(places.first().map(|place| (gone, *place)));
        self.facts.count += 1;
        self.flush(SegmentState::Clean);
        self.mark();
        Ok(())
    }

    /// Takes away a segment that was never finished being made. Its maker holds the store's lock while at it.
    fn clear_away(&self, name: &str) {
        if let Ok(Some(_lock)) = self.dir.try_lock("lock") {
            let _ = self.segments.remove(name);
        }
    }

    /// Reads what is new in a segment of another process, living or dead. Returns its file where this locked it.
    fn catch_up(&mut self, id: Ulid, row: SegmentRow, durable: u64) -> Result<Option<AppendFile>, JournalError> {
        let Some(file) = self.segments.open_file(&file_name(id)).map_err(JournalError::io("open a segment"))? else {
            return Ok(None);
        };
        if row.state == SegmentState::Clean && nothing_new(&self.keys, id, &file, row.position)? {
            return Ok(None);
        }
        let dead = file.try_lock().map_err(JournalError::io("lock a segment"))?;
        self.scan(id, &file, row.position, durable, dead)?;
        Ok(dead.then_some(file))
    }

    /// Reads a segment from `from` on into the facts, and the index.
    fn scan(
        &mut self,
        id: Ulid,
        file: &AppendFile,
        from: Position,
        durable: u64,
        dead: bool,
    ) -> Result<SegmentRow, JournalError> {
        let mut state = if dead { SegmentState::Clean } else { SegmentState::Open };
        let mut from = from;
        let mut loose = false;
        if from.offset < HEAD_BYTES {
            match head_of(&self.keys, id, file)? {
                Some(position) => from = position,
                None => {
                    // Without its head, a segment can still be read: records are bound to its name. Under another
                    // key, or where all is lost, they cannot.
                    from = Position { offset: HEAD_BYTES, seq: 0, prev: [0; 16] };
                    loose = true;
                    let what = "its head is not what was written, or the key is another store's";
                    if !any_record(&self.keys, id, file)? && !self.index.borrow().is_ours() {
                        return Err(JournalError::Corrupt { segment: id, offset: 0, what });
                    }
                    state = SegmentState::Damaged;
                    self.facts.damage.push(Damage { segment: id, offset: 0, bytes: HEAD_BYTES, what: what.to_owned() });
                }
            }
        }
        // What is found may be relied on by others from now on.
        file.sync().map_err(JournalError::io("make a segment durable"))?;
        let keys = Arc::clone(&self.keys);
        let mut walk = Walk::new(file, &keys, id, from, durable).map_err(JournalError::io("read a segment"))?;
        if !dead {
            walk = walk.live();
        }
        if loose {
            walk = walk.loose();
        }
        let torn = loop {
            match walk.step().map_err(JournalError::io("read a segment"))? {
                Step::Record { offset, header, body } => {
                    let at = Loc { segment: id, offset };
                    if self.facts.add(&keys, header.kind, &body, at).is_none() {
                        state = SegmentState::Damaged;
                        let what = "a record says nothing that this version understands".to_owned();
                        self.facts.damage.push(Damage { segment: id, offset, bytes: header.span(), what });
                    }
                    if header.kind == Kind::Final {
                        state = state.max(SegmentState::Final);
                    }
                }
                Step::Damage { offset, bytes, what, .. } => {
                    state = SegmentState::Damaged;
                    self.facts.damage.push(Damage { segment: id, offset, bytes, what: what.to_owned() });
                }
                Step::End { torn } => break torn,
            }
            if self.facts.count >= BATCH {
                self.flush_scanned();
            }
        };
        let (position, acknowledged) = (walk.position, walk.synced);
        if dead && state <= SegmentState::Clean {
            self.make_sure(file, acknowledged.max(HEAD_BYTES), position.offset, torn)?;
        } else {
            file.sync().map_err(JournalError::io("make a segment durable"))?;
        }
        let row = SegmentRow { position, state };
        self.facts.segments.insert(id, row);
        Ok(row)
    }

    /// Makes the end of a dead process's segment durable, and cuts off what is torn.
    ///
    /// The bytes are written again before they are synced: if a sync failed that process, the kernel may hold them as
    /// clean and never write them.
    fn make_sure(&self, file: &AppendFile, from: u64, to: u64, torn: u64) -> Result<(), JournalError> {
        let mut at = from;
        while at < to {
            let mut bytes = vec![0; usize::try_from((to - at).min(1 << 20)).unwrap_or(0)];
            file.read_exact_at(&mut bytes, at).map_err(JournalError::io("read a segment"))?;
            file.write_all_at(&bytes, at).map_err(JournalError::io("write to a segment"))?;
            at += bytes.len() as u64;
        }
        let (mut at, end) = (to, to + torn);
        while at < end {
            let zeroes = vec![0; usize::try_from((end - at).min(1 << 20)).unwrap_or(0)];
            file.write_all_at(&zeroes, at).map_err(JournalError::io("write to a segment"))?;
            at += zeroes.len() as u64;
        }
        file.sync().map_err(JournalError::io("make a segment durable"))
    }

    /// Reads this process's own segment again, as far as it is durable.
    fn catch_up_own(&mut self, row: SegmentRow) -> Result<(), JournalError> {
        let Some((id, file, written)) =
            self.writer.as_ref().map(|writer| (writer.id, Arc::clone(&writer.file), writer.written))
        else {
            return Ok(());
        };
        let from = if row.position.offset < HEAD_BYTES {
            head_of(&self.keys, id, &file)?.unwrap_or(written)
        } else {
            row.position
        };
        let keys = Arc::clone(&self.keys);
        let mut walk = Walk::new(&*file, &keys, id, from, 0).map_err(JournalError::io("read a segment"))?.live();
        while walk.position.offset < written.offset {
            let Step::Record { offset, header, body } = walk.step().map_err(JournalError::io("read a segment"))? else {
                return Ok(());
            };
            let _ = self.facts.add(&keys, header.kind, &body, Loc { segment: id, offset });
        }
        Ok(())
    }

    /// Gives the index what a scan found. It is durable, but this process's own latest may not be: then it waits.
    fn flush_scanned(&mut self) {
        let new = self.facts.count > 0 || !self.facts.segments.is_empty() || !self.facts.damage.is_empty();
        if new {
            self.flush(SegmentState::Open);
        }
    }

    /// Finds the runs whose process died, and takes them over.
    fn interrupted(&mut self, locked: &mut BTreeMap<Ulid, AppendFile>) -> Result<Vec<Interrupted>, JournalError> {
        let mut found = Vec::new();
        for (run, _) in self.unended()? {
            let Some(home) = self.run_row(run)?.and_then(|row| row.begin).map(|at| at.segment) else { continue };
            if !self.held.contains_key(&home) && !self.take_over(home, locked)? {
                continue;
            }
            // Its process may have ended it between our reading and our locking.
            let Some(row) = self.run_row(run)?.filter(|row| row.end.is_none()) else { continue };
            let Some(header) = row.begin.and_then(|at| self.header_of(run, at).ok()) else { continue };
            let pending: BTreeSet<u32> = self.pending(run)?.into_iter().collect();
            let mut records = Vec::with_capacity(pending.len());
            for seq in &pending {
                match self.op(raincoat_types::OpId { run, seq: *seq }) {
                    Ok(record) => records.push(record),
                    // What is damaged is told by a check, and does not keep the rest from being recovered.
                    Err(JournalError::Corrupt { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let pending = records.iter().map(|record| record.intent.op.seq).collect();
            let notes = self.note_places(run)?.last().map_or(0, |(n, _)| n + 1);
            let undo = true;
            self.runs.insert(run, OpenRun { home, ops: self.last_op(run)?, pending, notes, undo });
            found.push(Interrupted { header, pending: records });
        }
        self.release();
        Ok(found)
    }

    /// Locks a segment in which a run began, if its process is dead, and reads it to its end.
    fn take_over(&mut self, home: Ulid, locked: &mut BTreeMap<Ulid, AppendFile>) -> Result<bool, JournalError> {
        let file = match locked.remove(&home) {
            Some(file) => file,
            None => {
                let opened = self.segments.open_file(&file_name(home)).map_err(JournalError::io("open a segment"))?;
                let Some(file) = opened else { return Ok(false) };
                if !file.try_lock().map_err(JournalError::io("lock a segment"))? {
                    return Ok(false);
                }
                if let Some(row) = self.segment_row(home)?
                    && row.state < SegmentState::Final
                {
                    self.scan(home, &file, row.position, row.position.offset, true)?;
                    self.flush_scanned();
                }
                file
            }
        };
        self.held.insert(home, Arc::new(file));
        Ok(true)
    }

    /// Finds a segment that an earlier process left in order, to go on with it.
    pub(crate) fn adopt(&mut self) -> Result<Option<Writer>, JournalError> {
        // What is found under its name is locked before a prune can take it away.
        let _still = self.dir.lock_shared(USING).map_err(JournalError::io("lock the store"))?;
        let rows = self.index.borrow_mut().segments()?;
        let usable = |row: &SegmentRow| row.state <= SegmentState::Clean && row.position.offset < ADOPTED_MOST;
        let mut tries = 0;
        for known in rows.into_iter().rev() {
            let Some(row) = self.segment_row(known.id)?.filter(usable) else { continue };
            tries += 1;
            if tries > ADOPT_TRIES {
                break;
            }
            let file = match self.held.get(&known.id) {
                Some(file) => Arc::clone(file),
                None => {
                    let name = file_name(known.id);
                    let Some(file) = self.segments.open_file(&name).map_err(JournalError::io("open a segment"))? else {
                        continue;
                    };
                    if !file.try_lock().map_err(JournalError::io("lock a segment"))? {
                        continue;
                    }
                    Arc::new(file)
                }
            };
            let row = self.scan(known.id, &file, row.position, known.durable, true)?;
            self.flush_scanned();
            // A run that began there and has no end is to be recovered by whoever opens the store next.
            let mine = self.held.contains_key(&known.id);
            let foreign = !mine && self.unended_in(known.id)?;
            if !usable(&row) || foreign || !is_current(&self.keys, known.id, &file)? {
                continue;
            }
            self.segments.sync().map_err(JournalError::io("make its segments durable"))?;
            return Writer::adopt(known.id, file, row.position).map(Some);
        }
        Ok(None)
    }

    fn unended_in(&self, segment: Ulid) -> Result<bool, JournalError> {
        Ok(self.unended()?.iter().any(|(_, row)| row.begin.is_some_and(|at| at.segment == segment)))
    }

    fn unended(&self) -> Result<Vec<(RunId, crate::facts::RunRow)>, JournalError> {
        let mut all: BTreeMap<RunId, crate::facts::RunRow> = self.index.borrow().unended()?.into_iter().collect();
        for (run, row) in &self.facts.runs {
            if all.contains_key(run) || row.end.is_none() {
                all.entry(*run).or_default().merge(row);
            }
        }
        all.retain(|_, row| row.end.is_none());
        Ok(all.into_iter().collect())
    }

    fn segment_row(&self, id: Ulid) -> Result<Option<SegmentRow>, JournalError> {
        if let Some(row) = self.facts.segments.get(&id) {
            return Ok(Some(*row));
        }
        let rows = self.index.borrow_mut().segments()?;
        Ok(rows.into_iter().find(|known| known.id == id).map(|known| known.row))
    }
}

/// Whether nothing but a mark and zeroes lies behind a segment's indexed part.
fn nothing_new(keys: &JournalKeys, id: Ulid, file: &AppendFile, at: Position) -> Result<bool, JournalError> {
    let mut bytes = [0; 3 * HEADER_BYTES];
    let got = file.read_at(&mut bytes, at.offset).map_err(JournalError::io("read a segment"))?;
    let bytes = bytes.get(..got).unwrap_or_default();
    let rest = match Header::read(keys, id, bytes) {
        Some(header) if header.kind == Kind::Mark => {
            bytes.get(usize::try_from(header.span()).unwrap_or(usize::MAX)..).unwrap_or_default()
        }
        _ => bytes,
    };
    Ok(rest.iter().all(|b| *b == 0))
}

/// Where a segment's first record is; `None` where its head does not open.
fn head_of(keys: &JournalKeys, id: Ulid, file: &AppendFile) -> Result<Option<Position>, JournalError> {
    let mut bytes = [0; HEAD_BYTES as usize];
    file.read_at(&mut bytes, 0).map_err(JournalError::io("read a segment"))?;
    match read_head(keys, id, &bytes) {
        HeadFound::Ours { first, .. } => Ok(Some(first)),
        HeadFound::Newer(version) => Err(JournalError::Newer { segment: id, version }),
        HeadFound::Damaged => Ok(None),
    }
}

/// Whether a segment is of the version that is written now.
fn is_current(keys: &JournalKeys, id: Ulid, file: &AppendFile) -> Result<bool, JournalError> {
    let mut bytes = [0; HEAD_BYTES as usize];
    file.read_at(&mut bytes, 0).map_err(JournalError::io("read a segment"))?;
    Ok(matches!(read_head(keys, id, &bytes), HeadFound::Ours { version: VERSION, .. }))
}

/// Whether a segment whose head does not open has a record that does: then the key is right.
fn any_record(keys: &JournalKeys, id: Ulid, file: &AppendFile) -> Result<bool, JournalError> {
    let position = Position { offset: HEAD_BYTES, seq: 0, prev: [0; 16] };
    let len = Source::len(file).map_err(JournalError::io("measure a segment"))?;
    let mut walk = Walk::new(file, keys, id, position, len).map_err(JournalError::io("read a segment"))?.loose();
    loop {
        match walk.step().map_err(JournalError::io("read a segment"))? {
            Step::Record { .. } => return Ok(true),
            Step::Damage { .. } => {}
            Step::End { .. } => return Ok(false),
        }
    }
}
