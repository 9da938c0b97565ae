//! Saving what damage left: the index is made anew, what can still be read of a damaged segment is written again in a
//! new one, and what is lost is written down, so that it is known and everything else can be worked with.
//!
//! Nothing is made worse: a damaged segment is only put aside under another name, until the person says that it may go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raincoat_os::AppendFile;
use raincoat_types::{GrantId, Intent, OpId, RunHeader, RunId, Timestamp, Ulid};

use crate::dropped::{Dropped, DroppedSegment};
use crate::facts::{Loc, SegmentState};
use crate::format::{HEAD_BYTES, HeadFound, Kind, Position, Tag, decode, encode, read_head};
use crate::mover::{Mover, quarantined};
use crate::survey::run_of;
use crate::verify::Lost;
use crate::walk::{Step, Walk};
use crate::writer::file_name;
use crate::{Journal, JournalError};

/// What a repair did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RepairReport {
    /// Damaged segments that were put aside, after what can be read of them was written again.
    pub segments: Vec<Ulid>,
    /// Segments that are missing and were given up.
    pub missing: Vec<Ulid>,
    /// Segments that had been pruned and were here again: put aside.
    pub put_back: Vec<Ulid>,
    /// Records that were saved.
    pub records: u64,
    /// Versions that are lost.
    pub lost: Vec<Lost>,
    /// Runs whose beginning was lost and was made again from what else is known.
    pub begun_again: Vec<RunId>,
    /// Runs whose beginning is lost for good: they cannot be taken back as a whole.
    pub headless: Vec<RunId>,
}

/// Operations that others know to have been made and that the journal has no record of. A repair that finds something to
/// do notes them as lost, so that this is known here too.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unrecorded {
    /// Which.
    pub ops: Vec<OpId>,
    /// The person takes the journal as it is: they are noted whatever else there is to do.
    pub accepted: bool,
}

/// Gives a run whose beginning is lost another: from the run, the folders that its operations name, and the time of the
/// first of them.
pub type BeginAgain<'a> = dyn FnMut(RunId, &BTreeSet<GrantId>, Timestamp) -> Option<RunHeader> + 'a;

impl Journal {
    /// Repairs the journal. Afterwards it should be opened anew.
    ///
    /// # Errors
    /// [`JournalError::Busy`] where another process is at work in a damaged segment; the system's. Nothing is lost then
    /// that was not lost before, and it can be done again.
    pub fn repair(
        &mut self,
        at: Timestamp,
        unrecorded: &Unrecorded,
        begin: &mut BeginAgain<'_>,
    ) -> Result<RepairReport, JournalError> {
        let _alone = self.alone()?;
        self.rebuild_index()?;
        let (found, all) = self.check(false, None)?;
        let mut report = RepairReport { lost: found.lost, ..RepairReport::default() };
        let mut damaged: Vec<(Ulid, Arc<AppendFile>, u64)> = Vec::new();
        for known in self.index.borrow_mut().segments()? {
            let there = self.open_segment(known.id)?;
            match (known.row.state, there) {
                (SegmentState::Damaged, Some(file)) => damaged.push((known.id, file, known.durable)),
                (SegmentState::PutAway, Some(_)) => report.put_back.push(known.id),
                (state, None) if !matches!(state, SegmentState::Dropped | SegmentState::PutAway) => {
                    report.missing.push(known.id);
                }
                _ => {}
            }
        }
        let after = all.named_before().filter(|id| !report.missing.contains(id)).collect::<BTreeSet<_>>();
        report.missing.extend(after);
        self.put_aside(&report.put_back)?;
        let mut lost: Vec<OpId> = report.lost.iter().map(|lost| lost.op).chain(all.unsettled()).collect();
        let mut begins = Vec::new();
        for run in all.without_beginning() {
            match self.begin_again(run, &all.places_of(run), begin) {
                Some(header) => {
                    report.begun_again.push(run);
                    begins.push(header);
                }
                None => {
                    report.headless.push(run);
                    lost.push(OpId { run, seq: 0 });
                }
            }
        }
        let given_up = unrecorded.accepted && !unrecorded.ops.is_empty();
        if damaged.is_empty() && report.missing.is_empty() && lost.is_empty() && begins.is_empty() && !given_up {
            return Ok(report);
        }
        lost.extend_from_slice(&unrecorded.ops);
        let mut mover = match Mover::new(self, at) {
            Err(JournalError::Full) if self.release_reserve() => Mover::new(self, at)?,
            other => other?,
        };
        let mut segments = Vec::new();
        for (id, file, durable) in &damaged {
            let last = self.salvage(&mut mover, *id, file, *durable, &mut report.records)?;
            segments.push(DroppedSegment { id: *id, last, damaged: true });
            report.segments.push(*id);
        }
        for header in begins {
            mover.put(self, Kind::Begin, &encode(&header)?)?;
        }
        segments.extend(report.missing.iter().map(|id| DroppedSegment {
            id: *id,
            last: Tag::default(),
            damaged: true,
        }));
        lost.sort();
        lost.dedup();
        let dropped = Dropped {
            at,
            rule: "repair".to_owned(),
            runs: Vec::new(),
            segments: segments.clone(),
            gone: Vec::new(),
            lost,
        };
        mover.commit(self, &dropped)?;
        self.readers.borrow_mut().forget(&segments.iter().map(|segment| segment.id).collect());
        mover.clear(self, &segments)?;
        self.make_reserve();
        Ok(report)
    }

    /// Throws away the damaged segments that repairs put aside. How many bytes that gave back.
    ///
    /// # Errors
    /// The system's.
    pub fn discard_damaged(&self) -> Result<u64, JournalError> {
        let mut bytes = 0;
        for name in self.segments.names().map_err(JournalError::io("list its segments"))? {
            let Some(name) = name.to_str().filter(|name| name.ends_with(".damaged")) else { continue };
            let file = self.segments.open_file(name).map_err(JournalError::io("open a segment"))?;
            bytes += file.map_or(Ok(0), |file| file.len()).map_err(JournalError::io("measure a segment"))?;
            self.segments.remove(name).map_err(JournalError::io("remove a damaged segment"))?;
        }
        self.segments.sync().map_err(JournalError::io("make its segments durable"))?;
        Ok(bytes)
    }

    fn put_aside(&self, ids: &[Ulid]) -> Result<(), JournalError> {
        for id in ids {
            let moved = self.segments.rename(&file_name(*id), &quarantined(*id));
            moved.map_err(JournalError::io("put a segment aside"))?;
        }
        Ok(())
    }

    /// A segment's file, locked: held by this process, or free.
    fn open_segment(&self, id: Ulid) -> Result<Option<Arc<AppendFile>>, JournalError> {
        if let Some(file) = self.held.get(&id) {
            return Ok(Some(Arc::clone(file)));
        }
        let file = self.segments.open_file(&file_name(id)).map_err(JournalError::io("open a segment"))?;
        let Some(file) = file else { return Ok(None) };
        if !file.try_lock().map_err(JournalError::io("lock a segment"))? {
            return Err(JournalError::Busy);
        }
        Ok(Some(Arc::new(file)))
    }

    /// Writes again what can be read of a damaged segment. Says the tag of the last record that can.
    fn salvage(
        &self,
        mover: &mut Mover,
        id: Ulid,
        file: &AppendFile,
        durable: u64,
        saved: &mut u64,
    ) -> Result<Tag, JournalError> {
        let fail = |error| JournalError::io("read a segment")(error);
        let mut bytes = [0; HEAD_BYTES as usize];
        file.read_at(&mut bytes, 0).map_err(fail)?;
        let head = match read_head(&self.keys, id, &bytes) {
            HeadFound::Ours { first, .. } => Some(first),
            HeadFound::Newer(version) => return Err(JournalError::Newer { segment: id, version }),
            HeadFound::Damaged => None,
        };
        let from = head.unwrap_or(Position { offset: HEAD_BYTES, seq: 0, prev: [0; 16] });
        let walk = Walk::new(file, &self.keys, id, from, durable).map_err(fail)?;
        let mut walk = if head.is_none() { walk.loose() } else { walk };
        let mut last = Tag::default();
        loop {
            match walk.step().map_err(fail)? {
                Step::Record { header, body, .. } => {
                    last = walk.position.prev;
                    let of_pruned = match run_of(header.kind, &body) {
                        Some(run) => self.index.borrow().pruned(run)?.is_some(),
                        None => false,
                    };
                    if !matches!(header.kind, Kind::Mark | Kind::Final) && !of_pruned {
                        mover.put(self, header.kind, &body)?;
                        *saved += 1;
                    }
                }
                Step::Damage { .. } => {}
                Step::End { .. } => return Ok(last),
            }
        }
    }

    fn begin_again(&self, run: RunId, places: &BTreeMap<OpId, Loc>, begin: &mut BeginAgain<'_>) -> Option<RunHeader> {
        let mut grants = BTreeSet::new();
        let mut first: Option<Timestamp> = None;
        for at in places.values() {
            let intent: Intent = decode(&self.body_at(*at)?.1)?;
            grants.extend(intent.change.spots().iter().map(|spot| spot.grant));
            first = Some(first.map_or(intent.at, |first| first.min(intent.at)));
        }
        begin(run, &grants, first?).filter(|header| header.run == run)
    }
}
