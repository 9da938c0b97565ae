//! What changes while a run goes on and bears on what it may do: modes, what it has read, what it has used up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use raincoat_gate::{Act, Count, Role, Target};
use raincoat_seal::{StoreError, Tx};
use raincoat_types::{Actor, Amounts, Ceilings, Confidentiality, GrantId, Integrity, Label, Measure, Modes, Timestamp};

use crate::{Error, Keeper};

/// Seconds that a rate is told for.
const RATE_SECS: i64 = 60;

/// What the owner lets be used up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Budgets {
    /// By one run: beyond it nothing goes.
    pub run: Ceilings,
    /// By one agent in a day (UTC): beyond it nothing goes.
    pub day: Ceilings,
    /// By one run without a question: beyond it a person is asked, with the numbers.
    pub breaker: Ceilings,
}

impl Budgets {
    /// The breakers that hold where nothing else is set: 1,000 files, 100 deletions, 1 GiB, 2,000 files a minute.
    pub fn usual() -> Budgets {
        let breaker = Ceilings::default()
            .with(Measure::Files, Some(1000))
            .with(Measure::Deletions, Some(100))
            .with(Measure::Bytes, Some(1 << 30))
            .with(Measure::Rate, Some(2000));
        Budgets { breaker, ..Budgets::default() }
    }
}

/// A run's course, shared by all who decide for it: the run, and whatever it starts.
#[derive(Debug, Default)]
pub(crate) struct Course {
    modes: AtomicU8,
    tainted: AtomicBool,
    carries_private: AtomicBool,
    missing_layer: OnceLock<String>,
    used: Mutex<Used>,
}

/// What was used up, and the most of it.
#[derive(Debug, Default)]
struct Used {
    actor: String,
    began: Timestamp,
    /// Breakers do not stop what a recipe of ours does from a plan that the person asked for.
    breaks: bool,
    budgets: Budgets,
    in_folder: BTreeMap<GrantId, Ceilings>,
    run: Amounts,
    folders: BTreeMap<GrantId, Amounts>,
    /// By the agent, earlier today.
    earlier: Amounts,
    /// When files were changed, by second.
    lately: VecDeque<(i64, u64)>,
}

/// What an action uses up, by folder.
pub(crate) type Uses = BTreeMap<GrantId, Amounts>;

/// What an action on these places uses up. `bytes` is what it is about in all.
pub(crate) fn uses<A: Act>(action: &A, targets: &[Target], bytes: u64) -> Uses {
    let mut uses = Uses::new();
    let changed = targets.iter().filter(|target| A::CHANGES && target.role.alters());
    for target in changed {
        let deleted = u64::from(target.role == Role::Remove && action.deletes());
        let one = Amounts::default().with(Measure::Files, 1).with(Measure::Deletions, deleted).with(Measure::Rate, 1);
        let bytes = if uses.is_empty() { bytes } else { 0 };
        let all: &mut Amounts = uses.entry(target.spot.grant).or_default();
        *all = all.plus(&one.with(Measure::Bytes, bytes));
    }
    uses
}

impl Course {
    /// The course of a run that begins now. `earlier` is what the actor used up today before.
    pub(crate) fn begin(
        actor: &Actor,
        began: Timestamp,
        budgets: Budgets,
        in_folder: BTreeMap<GrantId, Ceilings>,
        earlier: Amounts,
    ) -> Course {
        let breaks = matches!(actor, Actor::Agent(_) | Actor::Program(_));
        let used = Used { actor: actor.name(), began, breaks, budgets, in_folder, earlier, ..Used::default() };
        Course { used: Mutex::new(used), ..Course::default() }
    }

    /// Modes that came into force meanwhile. What is in force once stays so for this run.
    pub(crate) fn tighten(&self, modes: Modes) {
        self.modes.fetch_or(modes.bits(), Ordering::Relaxed);
    }

    pub(crate) fn modes(&self) -> Modes {
        Modes::from_bits_truncate(self.modes.load(Ordering::Relaxed))
    }

    /// The run has read what carries this.
    pub(crate) fn carry(&self, label: &Label) {
        self.tainted.fetch_or(label.integrity() == Integrity::Anyone, Ordering::Relaxed);
        self.carries_private.fetch_or(label.confidentiality() == Confidentiality::Private, Ordering::Relaxed);
    }

    pub(crate) fn is_tainted(&self) -> bool {
        self.tainted.load(Ordering::Relaxed)
    }

    pub(crate) fn carries_private(&self) -> bool {
        self.carries_private.load(Ordering::Relaxed)
    }

    /// A layer of the kernel's is missing for this run.
    pub(crate) fn misses(&self, layer: &str) {
        // The first is told.
        let _ = self.missing_layer.set(layer.to_owned());
    }

    pub(crate) fn missing_layer(&self) -> Option<String> {
        self.missing_layer.get().cloned()
    }

    /// What would be used up with this too.
    pub(crate) fn counts(&self, uses: &Uses, now: Timestamp) -> Vec<Count> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).counts(uses, now)
    }

    /// It was permitted: it counts from now on.
    pub(crate) fn spend(&self, uses: &Uses, now: Timestamp) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).spend(uses, now);
    }

    /// A request was made, and cost so much (in millionths of the currency).
    pub(crate) fn asked_model(&self, requests: u64, spend: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.run = used.run.plus(&Amounts::default().with(Measure::Requests, requests).with(Measure::Spend, spend));
    }

    /// What the run has used up so far.
    pub(crate) fn spent(&self) -> Amounts {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).run
    }
}

impl Used {
    fn counts(&mut self, uses: &Uses, now: Timestamp) -> Vec<Count> {
        let asks = uses.values().fold(Amounts::default(), |sum, one| sum.plus(one));
        while self.lately.front().is_some_and(|(at, _)| *at <= now.secs - RATE_SECS || *at > now.secs) {
            self.lately.pop_front();
        }
        let lately = self.lately.iter().map(|(_, files)| files).sum::<u64>();
        let seconds = u64::try_from(now.secs.saturating_sub(self.began.secs)).unwrap_or(0);
        let run = self.run.plus(&asks).with(Measure::Seconds, seconds);
        let run = run.with(Measure::Rate, asks.of(Measure::Rate).saturating_add(lately));
        let mut counts = Vec::new();
        let mut count = |whose: String, total: Amounts, most: &Ceilings, firm: bool| {
            if *most != Ceilings::default() {
                counts.push(Count { whose, total, most: *most, firm });
            }
        };
        count("this run".to_owned(), run, &self.budgets.run, true);
        // A rate is of this minute, not of the day.
        let day = self.earlier.plus(&run).with(Measure::Rate, 0);
        count(format!("{} today", self.actor), day, &self.budgets.day, true);
        for (grant, most) in &self.in_folder {
            let total = self.folders.get(grant).copied().unwrap_or_default();
            let total = total.plus(&uses.get(grant).copied().unwrap_or_default());
            count("this run in a folder of its".to_owned(), total, most, true);
        }
        if self.breaks {
            count("this run".to_owned(), run, &self.budgets.breaker, false);
        }
        counts
    }

    fn spend(&mut self, uses: &Uses, now: Timestamp) {
        for (grant, amounts) in uses {
            let folder = self.folders.entry(*grant).or_default();
            *folder = folder.plus(amounts);
            self.run = self.run.plus(amounts);
            let files = amounts.of(Measure::Rate);
            match self.lately.back_mut() {
                Some((at, sum)) if *at == now.secs => *sum = sum.saturating_add(files),
                _ => self.lately.push_back((now.secs, files)),
            }
        }
        self.run = self.run.with(Measure::Rate, 0);
    }
}

/// What the store remembers of who used up what today.
const KIND: &str = "spent";
/// Seconds of a day.
const DAY: i64 = 86_400;

impl Keeper {
    /// What an actor has used up today (UTC), by runs that have ended.
    pub(crate) fn spent_today(&self, actor: &Actor) -> Result<Amounts, Error> {
        let kept = self.store.get(KIND, actor.name().as_bytes()).map_err(Error::store)?;
        Ok(today(kept.as_deref(), self.clock.now()))
    }

    /// Adds what a run has used up to its actor's day.
    pub(crate) fn add_to_today(&self, actor: &Actor, course: &Course) -> Result<(), Error> {
        let (now, spent, name) = (self.clock.now(), course.spent(), actor.name());
        if spent == Amounts::default() {
            return Ok(());
        }
        let add = |tx: &Tx<'_>| -> Result<(), StoreError> {
            let sum = today(tx.get(KIND, name.as_bytes())?.as_deref(), now).plus(&spent);
            // Plain numbers always serialise.
            let bytes = postcard::to_stdvec(&(now.secs.div_euclid(DAY), sum)).unwrap_or_default();
            tx.put(KIND, name.as_bytes(), &bytes)
        };
        self.store.transaction(add).map_err(Error::store)
    }
}

fn today(kept: Option<&[u8]>, now: Timestamp) -> Amounts {
    let kept = kept.and_then(|bytes| postcard::from_bytes::<(i64, Amounts)>(bytes).ok());
    kept.filter(|(day, _)| *day == now.secs.div_euclid(DAY)).map(|(_, amounts)| amounts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use raincoat_types::Ulid;

    fn at(secs: i64) -> Timestamp {
        Timestamp { secs, nanos: 0 }
    }

    fn files(n: u64) -> Uses {
        let amounts = Amounts::default().with(Measure::Files, n).with(Measure::Rate, n);
        Uses::from([(GrantId(Ulid::from_parts(1, 1)), amounts)])
    }

    fn begun(actor: Actor, budgets: Budgets) -> Course {
        let grant = GrantId(Ulid::from_parts(1, 1));
        let most = Ceilings::default().with(Measure::Files, Some(50));
        let earlier = Amounts::default().with(Measure::Files, 7);
        Course::begin(&actor, at(0), budgets, BTreeMap::from([(grant, most)]), earlier)
    }

    fn passed(course: &Course, uses: &Uses, now: i64) -> Vec<(String, &'static str, bool)> {
        let counts = course.counts(uses, at(now));
        let over = counts.into_iter().filter_map(|c| Some((c.whose, c.most.passed_by(&c.total)?.0.name(), c.firm)));
        over.collect()
    }

    #[test]
    fn each_budget_counts_what_it_is_for() {
        let budgets = Budgets {
            run: Ceilings::default().with(Measure::Seconds, Some(100)),
            day: Ceilings::default().with(Measure::Files, Some(40)),
            breaker: Ceilings::default().with(Measure::Rate, Some(20)).with(Measure::Files, Some(30)),
        };
        let agent = || Actor::Agent("a".into());
        let course = begun(agent(), budgets.clone());
        assert_eq!(passed(&course, &files(20), 0), []);
        // More in a minute than the breaker has.
        assert_eq!(passed(&course, &files(21), 0), [("this run".into(), "rate", false)]);
        course.spend(&files(20), at(1));
        assert_eq!(passed(&course, &files(1), 60), [("this run".into(), "rate", false)]);
        assert_eq!(passed(&course, &files(1), 61), []);
        // With what the agent did earlier today.
        assert_eq!(
            passed(&course, &files(14), 99),
            [("agent:a today".into(), "files", true), ("this run".into(), "files", false)]
        );
        assert_eq!(passed(&course, &Uses::new(), 101), [("this run".into(), "seconds", true)]);
        course.spend(&files(30), at(99));
        let folder = passed(&course, &files(1), 100);
        assert!(folder.contains(&("this run in a folder of its".into(), "files", true)), "{folder:?}");
        // A recipe has no breakers, and its budgets.
        let recipe = begun(Actor::Recipe("tidy".into()), budgets);
        assert_eq!(passed(&recipe, &files(21), 0), []);
        assert_eq!(passed(&recipe, &files(34), 0), [("recipe:tidy today".into(), "files", true)]);
    }

    #[test]
    fn modes_only_tighten() {
        let course = Course::default();
        course.tighten(Modes::STRICT);
        course.tighten(Modes::OFFLINE);
        course.tighten(Modes::empty());
        assert_eq!(course.modes(), Modes::STRICT | Modes::OFFLINE);
    }
}
