//! Erasing a subject: its keys are destroyed, and with them what its entries say. The entries stay, and every proof and
//! tree head with them.

use std::collections::BTreeMap;

use raincoat_types::Timestamp;

use crate::care::{Care, Erasure};
use crate::entry::{Outer, Scratch};
use crate::log::Heads;
use crate::reader::Snapshot;
use crate::retain::{Hold, Ledger};
use crate::subjects::SlotView;
use crate::tile::{Level, TILE_WIDTH, TilePath, decode_entries};
use crate::{About, Audit, AuditError, AuditReader, Event, Subject};

/// What erasing a subject makes unreadable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasePlan {
    /// The subject's slots.
    pub slots: Vec<u32>,
    /// Entries that name it.
    pub entries: u64,
    /// When the first and the last of them were written.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The hold that stands in the way.
    pub held: Option<Hold>,
}

impl AuditReader {
    /// What erasing a subject would make unreadable.
    ///
    /// # Errors
    /// [`AuditError::NoSubject`]; others where the log cannot be read.
    pub fn plan_erasure(&self, subject: &Subject) -> Result<ErasePlan, AuditError> {
        let survey = Survey::of(self)?;
        let slots = survey.slots.of_subject(subject);
        if slots.is_empty() {
            return Err(AuditError::NoSubject(subject.to_string()));
        }
        let (mut entries, mut span) = (0, None::<(Timestamp, Timestamp)>);
        survey.each(self, |_, outer, _| {
            if outer.slots.iter().any(|slot| slots.contains(slot)) {
                entries += 1;
                span =
                    Some(span.map_or((outer.at, outer.at), |(first, last)| (first.min(outer.at), last.max(outer.at))));
            }
            Ok(())
        })?;
        let protected = survey.protected(self)?;
        let hold = slots.iter().find_map(|slot| protected.get(slot));
        let held = hold.and_then(|hold| survey.ledger.holds.get(hold)).cloned();
        Ok(ErasePlan { slots, entries, span, held })
    }
}

impl Audit {
    /// Destroys a subject's keys. Logged before it is done, by the numbers of its slots and never by its name; a crash
    /// in its middle is ended by whoever opens the log next.
    ///
    /// # Errors
    /// [`AuditError::NoSubject`]; [`AuditError::Held`], where nothing is erased; else as [`Audit::append`].
    pub fn erase(&mut self, subject: &Subject) -> Result<ErasePlan, AuditError> {
        let _lock = self.lock()?;
        self.catch_up()?;
        let plan = self.plan_erasure(subject)?;
        if let Some(Hold { number, because, .. }) = &plan.held {
            return Err(AuditError::Held { hold: *number, because: because.clone() });
        }
        self.destroy(&plan.slots, Erasure::Asked)?;
        Ok(plan)
    }

    /// Destroys the keys in these slots. Needs the lock.
    pub(crate) fn destroy(&mut self, slots: &[u32], by: Erasure) -> Result<(), AuditError> {
        let condemned = self.subjects.condemn(slots, by);
        self.or_poison(condemned)?;
        let event = Event::Care(Care::Erased { slots: slots.to_vec(), by });
        self.write_locked(&About::NOTHING, &[event], true, Heads::All)?;
        let at = self.clock.now();
        let destroyed = self.subjects.destroy(slots, at, by);
        self.or_poison(destroyed)
    }

    /// Ends erasures that were cut off.
    pub(crate) fn end_erasures(&mut self) -> Result<(), AuditError> {
        if !self.subjects.is_condemned() {
            return Ok(());
        }
        let _lock = self.lock()?;
        self.catch_up()
    }

    /// The same for who has the lock and has caught up.
    pub(crate) fn end_erasures_locked(&mut self) -> Result<(), AuditError> {
        if !self.subjects.is_condemned() {
            return Ok(());
        }
        let condemned = self.subjects.condemned()?;
        for by in [Erasure::Asked, Erasure::Retention] {
            let slots: Vec<u32> = condemned.iter().filter(|(_, of)| *of == by).map(|(slot, _)| *slot).collect();
            if !slots.is_empty() {
                self.destroy(&slots, by)?;
            }
        }
        if condemned.is_empty() {
            let (at, by) = (self.clock.now(), Erasure::Asked);
            let settled = self.subjects.destroy(&[], at, by);
            self.or_poison(settled)?;
        }
        Ok(())
    }

    fn or_poison(&mut self, done: Result<(), AuditError>) -> Result<(), AuditError> {
        if matches!(done, Err(AuditError::Poisoned)) {
            self.poison();
        }
        done
    }
}

/// The log read through once for what was done with it, to be read again for what depends on that.
pub(crate) struct Survey {
    snapshot: Snapshot,
    pub(crate) slots: SlotView,
    pub(crate) ledger: Ledger,
    /// The first entry that is there.
    pub(crate) minimum: u64,
}

impl Survey {
    pub(crate) fn of(reader: &AuditReader) -> Result<Survey, AuditError> {
        let snapshot = reader.snapshot()?;
        let (slots, minimum) = (reader.slots()?, reader.minimum()?.index);
        let mut survey = Survey { snapshot, slots, ledger: Ledger::default(), minimum };
        let mut ledger = Ledger::default();
        let (mut view, mut scratch) = (survey.slots.clone(), Scratch::default());
        survey.each(reader, |index, outer, sealed| {
            if outer.class == crate::Class::Care as u8
                && let Event::Care(care) = reader.keys.sealer.open(index, sealed, &mut view, &mut scratch)?.event
            {
                ledger.take(&care);
            }
            Ok(())
        })?;
        survey.ledger = ledger;
        Ok(survey)
    }

    /// Entries before this one are in full tiles.
    pub(crate) fn full(&self) -> u64 {
        self.snapshot.live.start.size
    }

    /// Hears of every entry, oldest first, by its outer part.
    pub(crate) fn each(
        &self,
        reader: &AuditReader,
        mut each: impl FnMut(u64, &Outer, &[u8]) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let sealer = &reader.keys.sealer;
        let mut scratch = Scratch::default();
        for number in self.minimum / TILE_WIDTH..self.full() / TILE_WIDTH {
            let bytes = self.snapshot.tile(TilePath::full(Level::Entries, number))?;
            let whole = || AuditError::Damaged(format!("the bundle of entries {number} is not whole"));
            let entries = decode_entries(&bytes).ok_or_else(whole)?;
            for (index, sealed) in (number * TILE_WIDTH..).zip(entries) {
                each(index, &sealer.outer(index, sealed, &mut scratch)?, sealed)?;
            }
        }
        for index in self.full()..self.snapshot.size() {
            let sealed = self.snapshot.live_entry(index).ok_or(AuditError::NotFound(index))?;
            each(index, &sealer.outer(index, sealed, &mut scratch)?, sealed)?;
        }
        Ok(())
    }

    /// The slots under legal hold, with the numbers of the holds: not only those that were named, but those of every
    /// entry that names one of them, because such an entry is unreadable with any of its keys gone.
    pub(crate) fn protected(&self, reader: &AuditReader) -> Result<BTreeMap<u32, u32>, AuditError> {
        let held = self.held();
        let mut protected = held.clone();
        if held.is_empty() {
            return Ok(protected);
        }
        self.each(reader, |_, outer, _| {
            if let Some(hold) = outer.slots.iter().find_map(|slot| held.get(slot)) {
                for slot in &outer.slots {
                    protected.entry(*slot).or_insert(*hold);
                }
            }
            Ok(())
        })?;
        Ok(protected)
    }

    /// The slots that holds name, and those of later grants of the same folders.
    pub(crate) fn held(&self) -> BTreeMap<u32, u32> {
        let mut held = BTreeMap::new();
        for hold in self.ledger.holds.values() {
            for slot in self.slots.with_others_of_the_folders(&hold.slots) {
                held.entry(slot).or_insert(hold.number);
            }
        }
        held
    }
}
