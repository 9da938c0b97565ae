//! How long what is kept: rules by class, legal holds, and pruning, which does what rules and holds say.
//!
//! Two things go when their time is over. The key that a class's entries of one period share is destroyed, and with it
//! what they say, wherever they stand. And the log's first entries are thrown away, as far as the time of all of them
//! is over, in the way that C2SP tlog-tiles calls pruning: the tree stays, and every proof of it.

use std::collections::BTreeMap;

use raincoat_types::Timestamp;

use crate::care::{Care, Erasure};
use crate::erase::Survey;
use crate::log::Heads;
use crate::minimum::Minimum;
use crate::store::Found;
use crate::subject::PERIOD_SECS;
use crate::tile::{Level, TILE_WIDTH, TilePath};
use crate::{About, Audit, AuditError, AuditReader, Class, Event, Subject};

/// A legal hold: what it stands on is neither erased nor pruned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Its number.
    pub number: u32,
    /// The slots of what it stands on.
    pub slots: Vec<u32>,
    /// Why, in the person's words.
    pub because: String,
}

/// Rules, holds, and what is pruned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retention {
    /// For how many seconds each class is kept; for ever where it is `None`.
    pub rules: Vec<(Class, Option<u64>)>,
    /// The holds in force.
    pub holds: Vec<Hold>,
    /// The first entry that is there.
    pub minimum: u64,
}

/// What pruning does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PrunePlan {
    /// The first entry that stays. A multiple of 256.
    pub minimum: u64,
    /// Entries that are thrown away.
    pub entries: u64,
    /// Classes and periods (of 30 days, counted from 1970) whose entries become unreadable.
    pub periods: Vec<(Class, i64)>,
    /// Periods whose time is over and that a hold keeps.
    pub held: u64,
    slots: Vec<u32>,
}

/// What the log says of rules and holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) rules: BTreeMap<u8, u64>,
    pub(crate) holds: BTreeMap<u32, Hold>,
    newest_hold: u32,
}

impl Ledger {
    pub(crate) fn take(&mut self, care: &Care) {
        match care {
            Care::Kept { class, secs: Some(secs) } => {
                self.rules.insert(*class, *secs);
            }
            Care::Kept { class, secs: None } => {
                self.rules.remove(class);
            }
            Care::Held { hold, slots, because } => {
                let held = Hold { number: *hold, slots: slots.clone(), because: because.clone() };
                self.holds.insert(*hold, held);
                self.newest_hold = self.newest_hold.max(*hold);
            }
            Care::Released { hold } => {
                self.holds.remove(hold);
            }
            Care::Erased { .. } | Care::Pruned { .. } | Care::Accepted { .. } => {}
        }
    }

    /// The events that say all of it again.
    fn repeated(&self) -> Vec<Event> {
        let rules = self.rules.iter().map(|(class, secs)| Care::Kept { class: *class, secs: Some(*secs) });
        let holds = self.holds.values().cloned();
        let holds = holds.map(|Hold { number, slots, because }| Care::Held { hold: number, slots, because });
        rules.chain(holds).map(Event::Care).collect()
    }

    /// Whether the time of an event of this class is over.
    fn is_over(&self, class: u8, at: i64, now: i64) -> bool {
        let secs = self.rules.get(&class).and_then(|secs| i64::try_from(*secs).ok());
        secs.is_some_and(|secs| at.saturating_add(secs) <= now)
    }
}

impl AuditReader {
    /// The rules and holds in force.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn retention(&self) -> Result<Retention, AuditError> {
        let Survey { ledger, minimum, .. } = Survey::of(self)?;
        let rules = Class::RULED.map(|class| (class, ledger.rules.get(&(class as u8)).copied())).to_vec();
        Ok(Retention { rules, holds: ledger.holds.into_values().collect(), minimum })
    }

    /// What pruning would do at this time.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn plan_pruning(&self, now: Timestamp) -> Result<PrunePlan, AuditError> {
        self.plan(&Survey::of(self)?, now)
    }

    fn plan(&self, survey: &Survey, now: Timestamp) -> Result<PrunePlan, AuditError> {
        let (ledger, protected) = (&survey.ledger, survey.protected(self)?);
        let mut plan = PrunePlan::default();
        for (slot, class, period) in survey.slots.periods() {
            // Over for the whole period.
            let end = period.saturating_add(1).saturating_mul(PERIOD_SECS);
            if !ledger.is_over(class as u8, end, now.secs) {
                continue;
            }
            if protected.contains_key(&slot) {
                plan.held += 1;
            } else {
                plan.periods.push((class, period));
                plan.slots.push(slot);
            }
        }
        let (held, mut first_kept) = (survey.held(), None);
        survey.each(self, |index, outer, _| {
            let over = outer.class == Class::Care as u8 || ledger.is_over(outer.class, outer.at.secs, now.secs);
            if first_kept.is_none() && (!over || outer.slots.iter().any(|slot| held.contains_key(slot))) {
                first_kept = Some(index);
            }
            Ok(())
        })?;
        let to = first_kept.unwrap_or(u64::MAX).min(survey.full());
        plan.minimum = (to - to % TILE_WIDTH).max(survey.minimum);
        plan.entries = plan.minimum - survey.minimum;
        Ok(plan)
    }
}

impl Audit {
    /// Sets for how many seconds entries of a class are kept; for ever where it is `None`. [`Audit::prune`] acts on it.
    ///
    /// # Errors
    /// As [`Audit::append`].
    pub fn keep_for(&mut self, class: Class, secs: Option<u64>) -> Result<(), AuditError> {
        self.append(&About::NOTHING, &[Event::Care(Care::Kept { class: class as u8, secs })]).map(drop)
    }

    /// Places a legal hold on a subject, and gives its number.
    ///
    /// # Errors
    /// [`AuditError::NoSubject`]; as [`Audit::append`].
    pub fn hold(&mut self, subject: &Subject, because: &str) -> Result<u32, AuditError> {
        let slots = self.slots()?.of_subject(subject);
        if slots.is_empty() {
            return Err(AuditError::NoSubject(subject.to_string()));
        }
        let number = Survey::of(self)?.ledger.newest_hold + 1;
        let held = Care::Held { hold: number, slots, because: because.to_owned() };
        self.append(&About::NOTHING, &[Event::Care(held)])?;
        Ok(number)
    }

    /// Releases a hold; `false` where there is none of this number.
    ///
    /// # Errors
    /// As [`Audit::append`].
    pub fn release(&mut self, hold: u32) -> Result<bool, AuditError> {
        let there = Survey::of(self)?.ledger.holds.contains_key(&hold);
        if there {
            self.append(&About::NOTHING, &[Event::Care(Care::Released { hold })])?;
        }
        Ok(there)
    }

    /// Throws away what rules and holds say should go. Logged before it is done.
    ///
    /// # Errors
    /// As [`Audit::append`]. What was begun is ended by the next time.
    pub fn prune(&mut self) -> Result<PrunePlan, AuditError> {
        // Full tiles can be thrown away, entries of the live file cannot.
        self.checkpoint()?;
        let _lock = self.lock()?;
        self.catch_up()?;
        let survey = Survey::of(self)?;
        let plan = self.plan(&survey, self.clock.now())?;
        if !plan.slots.is_empty() {
            self.destroy(&plan.slots, Erasure::Retention)?;
        }
        if plan.entries > 0 {
            let mut events = survey.ledger.repeated();
            events.push(Event::Care(Care::Pruned { minimum: plan.minimum }));
            let written = self.write_locked(&About::NOTHING, &events, true, Heads::All)?;
            let minimum = Minimum { index: plan.minimum, entry: written.end - 1 };
            minimum.write(&self.reader.dir, &self.reader.keys)?;
        }
        self.throw_away(plan.minimum)?;
        Ok(plan)
    }

    /// Takes the files away that hold nothing but what was pruned.
    fn throw_away(&self, minimum: u64) -> Result<(), AuditError> {
        let failed = AuditError::io("take pruned entries away");
        let store = self.reader.dir.try_clone().map(crate::store::Store::new).map_err(&failed)?;
        let pruned = |tile: &TilePath| end_of(*tile).is_some_and(|end| end <= minimum);
        for found in store.walk().map_err(&failed)? {
            if let Found::Tile(tile) = found
                && pruned(&tile)
            {
                store.remove(tile).map_err(&failed)?;
            }
        }
        Ok(())
    }
}

/// The end index of tlog-tiles: the first entry after those that a tile or bundle covers when it is full.
pub(crate) fn end_of(tile: TilePath) -> Option<u64> {
    let level = match tile.level {
        Level::Hashes(level) => u32::from(level),
        Level::Entries => 0,
    };
    let entries = 1_u64.checked_shl(8 * (level + 1)).filter(|_| level < 7)?;
    tile.index.checked_add(1)?.checked_mul(entries)
}
