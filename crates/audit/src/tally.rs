//! What verification gathers from the outer parts of entries: each process's numbering, clocks, classes, and the slots
//! that are named. Gathered for a stretch of entries at a time, so that several threads can, and put together in order.

use std::collections::{BTreeMap, BTreeSet};

use raincoat_types::{Timestamp, Ulid};

use crate::care::Care;
use crate::entry::{Outer, Scratch, Sealer};
use crate::report::{ProblemKind, VerifyReport};
use crate::slots::Slot;
use crate::subjects::{SUBJECTS, SlotView};
use crate::{AuditError, Class, Event};

/// What a stretch of entries says.
#[derive(Default)]
pub(crate) struct Tally {
    /// Entries of one process that follow one another without a gap.
    runs: Vec<Run>,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    went_back: Option<(u64, u64)>,
    /// The slots of the newest entry: most name the same as their neighbours.
    newest: Vec<u32>,
    newest_erased: bool,
    named: BTreeSet<u32>,
    erased: u64,
    cares: Vec<(u64, Care)>,
    /// Entries whose payload did not open, and why.
    unreadable: Vec<(u64, String)>,
}

struct Run {
    id: Ulid,
    index: u64,
    first: u64,
    last: u64,
}

/// Opens entries as far as verification does.
pub(crate) struct Opener<'a> {
    pub(crate) sealer: &'a Sealer,
    pub(crate) slots: SlotView,
    /// Every payload is opened, not only the outer parts.
    pub(crate) deep: bool,
    pub(crate) scratch: Scratch,
}

impl<'a> Opener<'a> {
    pub(crate) fn new(sealer: &'a Sealer, slots: SlotView, deep: bool) -> Opener<'a> {
        Opener { sealer, slots, deep, scratch: Scratch::default() }
    }

    /// Takes an entry in; `false` where it does not open at its place.
    pub(crate) fn take(&mut self, tally: &mut Tally, index: u64, sealed: &[u8]) -> bool {
        let Ok(outer) = self.sealer.outer(index, sealed, &mut self.scratch) else { return false };
        if outer.slots != tally.newest {
            let mut erased = false;
            for slot in &outer.slots {
                tally.named.insert(*slot);
                erased |= matches!(self.slots.slot(*slot), Slot::Erased { .. });
            }
            tally.newest_erased = erased;
            tally.newest.clone_from(&outer.slots);
        }
        tally.erased += u64::from(tally.newest_erased && !outer.slots.is_empty());
        tally.follow(index, &outer);
        let care = outer.class == Class::Care as u8;
        if care || self.deep {
            match self.sealer.open(index, sealed, &mut self.slots, &mut self.scratch) {
                Ok(entry) => {
                    if let Event::Care(said) = entry.event {
                        tally.cares.push((index, said));
                    }
                }
                // Said once for each slot.
                Err(AuditError::KeyLost { .. }) => {}
                Err(error) => tally.unreadable.push((index, error.to_string())),
            }
        }
        true
    }
}

impl Tally {
    fn follow(&mut self, index: u64, outer: &Outer) {
        let (id, seq) = (outer.producer.id, outer.producer.seq);
        match self.runs.last_mut() {
            Some(run) if run.id == id && seq == run.last.wrapping_add(1) => run.last = seq,
            _ => self.runs.push(Run { id, index, first: seq, last: seq }),
        }
        if self.last_at.is_some_and(|last| outer.at < last) {
            let (_, times) = self.went_back.get_or_insert((index, 0));
            *times += 1;
        }
        self.first_at = self.first_at.or(Some(outer.at));
        self.last_at = Some(outer.at);
    }
}

/// All of the log, put together.
pub(crate) struct Account {
    /// The last number of each process.
    producers: BTreeMap<Ulid, u64>,
    /// Nothing was missing or damaged so far, so that a process's first entry must be its number 1.
    whole: bool,
    last_at: Option<Timestamp>,
    went_back: Option<(u64, u64)>,
    named: BTreeSet<u32>,
    erased: u64,
    cares: Vec<(u64, Care)>,
}

impl Account {
    /// Of a log from its first entry on, or (where `whole` is false) from some later one.
    pub(crate) fn new(whole: bool) -> Account {
        Account {
            producers: BTreeMap::new(),
            whole,
            last_at: None,
            went_back: None,
            named: BTreeSet::new(),
            erased: 0,
            cares: Vec::new(),
        }
    }

    /// The next stretch.
    pub(crate) fn add(&mut self, tally: Tally, report: &mut VerifyReport) {
        for run in &tally.runs {
            let last = self.producers.insert(run.id, run.last).or(self.whole.then_some(0));
            if let Some(last) = last.filter(|last| run.first != last + 1) {
                let Run { id, index, first, .. } = run;
                let text = format!("entry {index} is number {first} of process {id}, and the one before was {last}");
                report.problem(ProblemKind::Gap, Some(*index), text);
            }
        }
        let joint = self.last_at.zip(tally.first_at).is_some_and(|(last, first)| first < last);
        if joint || tally.went_back.is_some() {
            let first = tally.runs.first().map_or(0, |run| run.index);
            let (at, times) = tally.went_back.unwrap_or((first, 0));
            let (_, sum) = self.went_back.get_or_insert((if joint { first } else { at }, 0));
            *sum += times + u64::from(joint);
        }
        self.last_at = tally.last_at.or(self.last_at);
        self.named.extend(tally.named);
        self.erased += tally.erased;
        self.cares.extend(tally.cares);
        for (index, why) in tally.unreadable {
            let text = format!("what entry {index} says cannot be read: {why}");
            report.problem(ProblemKind::Changed, Some(index), text);
        }
    }

    /// After damage, each process's numbering is followed from wherever it is met again.
    pub(crate) fn lose_count(&mut self) {
        self.whole = false;
        self.producers.clear();
    }

    /// Holds the slots against what entries name, and what the log says of erasures.
    pub(crate) fn close(self, slots: &SlotView, report: &mut VerifyReport) -> Vec<(u64, Care)> {
        report.erased = self.erased;
        if let Some((first, times)) = self.went_back {
            report.notes.push(format!("the clock went back {times} times, first before entry {first}"));
        }
        if !self.named.is_empty() && slots.header().is_none() {
            let (kind, what) = match slots.is_missing() {
                true => (ProblemKind::Dropped, "is missing"),
                false => (ProblemKind::Changed, "does not begin as it should"),
            };
            let text = format!("`{SUBJECTS}` {what}: what entries say of their subjects cannot be read");
            report.problem(kind, None, text);
        }
        for number in 0..slots.used() {
            if matches!(slots.slot(number), Slot::Damaged) {
                let text = format!("the key in slot {number} of `{SUBJECTS}` was changed or damaged, and never erased");
                report.problem(ProblemKind::Changed, None, text);
            }
        }
        for number in self.named.iter().filter(|number| **number >= slots.used()) {
            if !slots.is_missing() {
                let text = format!("entries name slot {number} of `{SUBJECTS}`, which is not there");
                report.problem(ProblemKind::Dropped, None, text);
            }
        }
        for (index, care) in &self.cares {
            let Care::Erased { slots: erased, .. } = care else { continue };
            for number in erased {
                match slots.slot(*number) {
                    // Begun and not yet ended: the next to open the log ends it.
                    Slot::Live(live) if live.condemned.is_some() => {
                        report.notes.push(format!("the erasure of slot {number} is ended when the log is next opened"));
                    }
                    Slot::Live(_) => {
                        let text =
                            format!("the key in slot {number} of `{SUBJECTS}` is back, which entry {index} erased");
                        report.problem(ProblemKind::Rewritten, Some(*index), text);
                    }
                    _ => {}
                }
            }
        }
        self.cares
    }
}
