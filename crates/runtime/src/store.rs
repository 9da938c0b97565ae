//! Care of the journal's store: what it holds, whether it is sound, what goes by the person's rule, and what can be
//! saved when it is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use raincoat_audit::Event;
use raincoat_journal::{Journal, Known, Lost, PruneReport, PruneRule, Remembered, Unrecorded, Usage};
use raincoat_os::PrivateDir;
use raincoat_types::{GrantId, OpId, RawPath, Root, RunHeader, RunId, RunKind, Timestamp, display_bytes};
use serde::{Deserialize, Serialize};

use crate::{Class, Error, Keeper};

/// How long every run can be taken back, where nothing else is set: 30 days.
pub(crate) const KEEP_SECS: u64 = 30 * 86_400;
/// The budget, where none is set: this part of the disk.
const BUDGET_PART: u64 = 10;
/// A budget is never smaller than what work needs.
const BUDGET_LEAST: u64 = 64 << 20;
/// Of the budget, what a prune that it calls for frees beyond what is needed, so that it is not called for again at once.
const SLACK_PART: u64 = 20;
/// Of the log, operations that are told one by one.
const TOLD: usize = 20;

/// What the person keeps, and how much of the disk that may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreRule {
    /// Seconds for which every run can be taken back, whatever the budget says.
    pub keep_secs: u64,
    /// Bytes that the store may take; a tenth of the disk where it is `None`.
    pub budget: Option<u64>,
}

impl Default for StoreRule {
    fn default() -> Self {
        StoreRule { keep_secs: KEEP_SECS, budget: None }
    }
}

/// What the store holds, and by which rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreStatus {
    /// What it holds.
    pub usage: Usage,
    /// Bytes that it may take.
    pub budget: u64,
    /// Seconds for which every run is kept.
    pub keep_secs: u64,
    /// Bytes that are free on its disk.
    pub free: u64,
    /// The last check.
    pub last: Option<LastVerify>,
}

/// A check that was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LastVerify {
    /// When.
    pub at: Timestamp,
    /// Every content was put together and hashed again.
    pub deep: bool,
    /// Records that were looked at.
    pub records: u64,
    /// Problems that were found.
    pub problems: u64,
}

/// What a check of the store found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreReport {
    /// Nothing is wrong with what could be checked.
    pub sound: bool,
    /// Records that are what was written.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Contents that were hashed again.
    pub contents: u64,
    /// What is wrong.
    pub problems: Vec<String>,
    /// Versions of files that are lost, in words.
    pub lost: Vec<String>,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
    /// What could not be checked here.
    pub not_checked: Vec<String>,
    /// Operations that the log says were made and that the journal has no record of.
    pub unrecorded: Vec<OpId>,
}

/// What is to be pruned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PruneAsk {
    /// All runs that ended so many seconds ago or earlier; else only as many as the budget calls for.
    pub older_than: Option<u64>,
    /// In the place of the budget: bytes that the store may have afterwards.
    pub to: Option<u64>,
    /// Runs too that the rule keeps still.
    pub within_keep: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What a prune did, or would do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StorePruned {
    /// What went.
    pub report: PruneReport,
    /// The rule, in words.
    pub rule: String,
}

/// What is to be done about damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RepairAsk {
    /// Throw damaged segments away that were put aside.
    pub discard_damaged: bool,
    /// Take the journal as it is, where more of it is remembered.
    pub accept_older: bool,
}

/// What a repair did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreRepaired {
    /// What was done, line by line.
    pub done: Vec<String>,
    /// Versions of files that are lost, in words.
    pub lost: Vec<String>,
    /// Records that were saved.
    pub saved: u64,
    /// What a check says now.
    pub sound: bool,
}

impl Keeper {
    /// What the store holds, its budget, and how the last check of it came out.
    ///
    /// # Errors
    /// Where our own store is damaged.
    pub fn store_status(&self) -> Result<StoreStatus, Error> {
        let mut journal = self.open_journal()?;
        let usage = journal.usage().map_err(Error::store)?;
        let (budget, free) = self.budget()?;
        let last = self.store.get("care", b"verify").map_err(Error::store)?;
        let last = last.and_then(|bytes| postcard::from_bytes(&bytes).ok());
        Ok(StoreStatus { usage, budget, keep_secs: self.config.store.keep_secs, free, last })
    }

    /// Checks the store: every record, and with `deep` every content; against what is remembered of it elsewhere, and
    /// against the log, which knows of each operation.
    ///
    /// # Errors
    /// Where it cannot be opened at all. What is wrong is in the report.
    pub fn store_verify(&self, deep: bool) -> Result<StoreReport, Error> {
        let journal = self.open_journal()?;
        let report = self.checked(&journal, deep)?;
        let last =
            LastVerify { at: self.clock.now(), deep, records: report.records, problems: report.problems.len() as u64 };
        let bytes = postcard::to_allocvec(&last).map_err(Error::store)?;
        self.store.put("care", b"verify", &bytes).map_err(Error::store)?;
        drop(journal);
        // Where the log cannot be added to, that is a problem of its own.
        let mut told = tampering("the journal", &report.problems);
        told.push(Event::StoreVerified { deep, records: last.records, problems: last.problems });
        let _ = self.log_alone(told);
        Ok(report)
    }

    /// What a check of the journal says, in words.
    pub(crate) fn checked(&self, journal: &Journal, deep: bool) -> Result<StoreReport, Error> {
        let apart = self.head_dir()?;
        let found = journal.verify_with(deep, Some(&apart)).map_err(Error::store)?;
        let mut report = StoreReport {
            sound: false,
            records: found.records,
            bytes: found.bytes,
            contents: found.contents,
            problems: found.problems.iter().map(place).collect(),
            lost: Vec::new(),
            notes: found.notes,
            not_checked: Vec::new(),
            unrecorded: Vec::new(),
        };
        let named = self.against_the_log(&found.known, &found.lost, &mut report)?;
        let mut words: Vec<String> = found.lost.iter().map(|lost| version(lost, named.get(&lost.op))).collect();
        words.append(&mut report.lost);
        report.lost = words;
        report.sound = report.problems.is_empty();
        Ok(report)
    }

    /// Every operation that the log knows to have been made is in the journal, or was pruned. Gives the paths of lost
    /// operations, as the log has them.
    fn against_the_log(
        &self,
        known: &Known,
        lost: &[Lost],
        report: &mut StoreReport,
    ) -> Result<BTreeMap<OpId, String>, Error> {
        let lost: BTreeSet<OpId> = lost.iter().map(|lost| lost.op).collect();
        let mut named = BTreeMap::new();
        let mut absent: BTreeMap<OpId, String> = BTreeMap::new();
        let mut stolen = Vec::new();
        let mut unread = 0_u64;
        let mut revoked: BTreeMap<GrantId, bool> = BTreeMap::new();
        let entries = match self.audit_reader()?.entries(..) {
            Ok(entries) => entries,
            Err(error) => {
                report.not_checked.push(format!("the log, which knows of each operation, cannot be read: {error}"));
                return Ok(named);
            }
        };
        for entry in entries {
            let Ok((_, entry)) = entry else {
                unread += 1;
                continue;
            };
            match entry.event {
                Event::OpIntended { op, places, .. } | Event::OpPlanned { op, places, .. } => {
                    let words = || places.first().map(|spot| spot.path.display()).unwrap_or_default();
                    if lost.contains(&op) {
                        named.insert(op, words());
                    } else if !known.has(op) {
                        absent.insert(op, words());
                    }
                }
                Event::OpDone { op, .. } | Event::OpMade { op, .. } => {
                    if let Some(path) = absent.remove(&op) {
                        stolen.push((op, path));
                    }
                }
                Event::OpFailed { op, .. } => drop(absent.remove(&op)),
                Event::GrantAdded { grant, .. } => drop(revoked.insert(grant, false)),
                Event::GrantRevoked { grant } | Event::GrantTakenBack { grant, .. } => {
                    revoked.insert(grant, true);
                }
                _ => {}
            }
        }
        // A row of our state that is put back to what it was opens as it did; the log knows what came after.
        for grant in self.grants()? {
            if revoked.get(&grant.id) == Some(&true) {
                report.problems.push(format!(
                    "grant {} of `{}` was revoked, and is here again: our state was put back to an older copy",
                    grant.id,
                    display_bytes(&grant.path)
                ));
            }
        }
        let told = |all: &[(OpId, String)]| {
            let mut words: Vec<String> = all
                .iter()
                .take(TOLD)
                .map(|(op, path)| format!("`{}` ({op})", display_bytes(path.as_bytes())))
                .collect();
            if all.len() > TOLD {
                words.push(format!("and {} more", all.len() - TOLD));
            }
            words.join(", ")
        };
        report.unrecorded = stolen.iter().map(|(op, _)| *op).collect();
        if !stolen.is_empty() {
            report.lost.extend(
                stolen
                    .iter()
                    .map(|(op, path)| format!("`{}` as it was before operation {op}", display_bytes(path.as_bytes()))),
            );
            report.problems.push(format!(
                "the journal has no record of {} operations that the log says were made: {}; a part of the journal was \
                 taken away",
                stolen.len(),
                told(&stolen)
            ));
        }
        let absent: Vec<(OpId, String)> = absent.into_iter().collect();
        if !absent.is_empty() {
            report.notes.push(format!(
                "the log announces {} operations that the journal does not have and that nobody says were made: {}; that \
                 is a crash just then, or an end of the journal that was cut off",
                absent.len(),
                told(&absent)
            ));
        }
        if unread > 0 {
            report.not_checked.push(format!(
                "{unread} entries of the log cannot be read (erased, or damaged): whether the journal has the operations \
                 that they tell of"
            ));
        }
        Ok(named)
    }

    /// Prunes by the person's rule, or says what that would do.
    ///
    /// # Errors
    /// Where another command is in the middle of a change, or our own store is damaged.
    pub fn store_prune(&self, ask: PruneAsk) -> Result<StorePruned, Error> {
        let mut journal = self.open_journal()?;
        self.held_against_memory(&mut journal)?;
        let rule = self.prune_rule(&ask)?;
        if ask.dry_run {
            let report = journal.plan_prune(&rule).map_err(prune_error)?;
            return Ok(StorePruned { report, rule: rule.words });
        }
        // Where the log cannot be added to, nothing is pruned.
        drop(self.open_audit()?);
        let report = journal.prune(&rule).map_err(prune_error)?;
        drop(journal);
        if !report.runs.is_empty() || report.segments > 0 {
            self.log_alone(vec![pruned_event(&report, &rule.words)])?;
        }
        Ok(StorePruned { report, rule: rule.words })
    }

    fn prune_rule(&self, ask: &PruneAsk) -> Result<PruneRule, Error> {
        let now = self.clock.now();
        let (budget, _) = self.budget()?;
        let ago = |secs: u64| Timestamp { secs: now.secs.saturating_sub_unsigned(secs), ..now };
        let keep = if ask.within_keep { 0 } else { self.config.store.keep_secs };
        let mut words = match (ask.older_than, ask.to) {
            (Some(age), _) => format!("older than {}", span(age)),
            (None, Some(to)) => format!("the oldest, down to {}", size(to)),
            (None, None) => format!("the oldest, down to the budget of {}", size(budget)),
        };
        words.push_str(&if ask.within_keep {
            ", also what is younger than the rule keeps".to_owned()
        } else {
            format!(", nothing younger than {}", span(keep))
        });
        let most = match (ask.older_than, ask.to) {
            (_, Some(to)) => Some(to),
            (Some(_), None) => None,
            (None, None) => Some(budget),
        };
        Ok(PruneRule { keep_from: ago(keep), older_than: ask.older_than.map(ago), most, words, at: now })
    }

    /// Repairs the store: what damage left is saved, and what is lost is said.
    ///
    /// # Errors
    /// Where another command is at work, or the disk fails; it can be done again then.
    pub fn store_repair(&self, ask: RepairAsk) -> Result<StoreRepaired, Error> {
        let mut journal = self.open_journal()?;
        let apart = self.head_dir()?;
        let mut out = StoreRepaired { done: Vec::new(), lost: Vec::new(), saved: 0, sound: false };
        let before = self.checked(&journal, false)?;
        out.lost = before.lost;
        let said = journal.hold_against(&apart).map_err(Error::store)?;
        let unrecorded = Unrecorded { ops: before.unrecorded, accepted: ask.accept_older };
        let mut begin = |run, grants: &BTreeSet<GrantId>, at| self.begin_again(run, grants, at);
        let report = journal.repair(self.clock.now(), &unrecorded, &mut begin);
        let report = report.map_err(prune_error)?;
        drop(journal);
        out.saved = report.records;
        out.done.push("the index was made anew".to_owned());
        for (ids, words) in [
            (&report.segments, "is damaged: what can be read of it was written again, and it was put aside"),
            (&report.missing, "is missing and was given up"),
            (&report.put_back, "had been pruned and was here again: it was put aside"),
        ] {
            out.done.extend(ids.iter().map(|id| format!("segment {id} {words}")));
        }
        for (runs, words) in [
            (&report.begun_again, "had lost its beginning, which was made again from your grants"),
            (&report.headless, "has lost its beginning and cannot be taken back as a whole"),
        ] {
            out.done.extend(runs.iter().map(|run| format!("run {run} {words}")));
        }
        let mut journal = self.open_journal()?;
        let repaired = !report.segments.is_empty() || !report.missing.is_empty();
        match said {
            Remembered::Agrees | Remembered::Nothing => {}
            Remembered::Behind(_) if !repaired && !ask.accept_older => {
                return Err(Error::new(
                    Class::Damaged,
                    "the journal is older than it was: an end of it was cut off, or it was put back to an earlier copy",
                )
                .hint("if you put it back yourself: raincoat store repair --accept-older"));
            }
            Remembered::Behind(_) | Remembered::Unreadable => {
                journal.remember_anew(apart).map_err(Error::store)?;
                out.done.push("what is remembered of the journal outside it was made anew".to_owned());
            }
        }
        if ask.discard_damaged {
            let bytes = journal.discard_damaged().map_err(Error::store)?;
            out.done.push(format!("damaged segments were thrown away ({})", size(bytes)));
        }
        out.sound = self.checked(&journal, false)?.sound;
        drop(journal);
        let what = out.done.join("; ");
        self.log_alone(vec![Event::StoreRepaired { what, saved: out.saved, lost: out.lost.len() as u64 }])?;
        Ok(out)
    }

    /// A beginning for a run that lost its own: its folders by the grants that its operations name.
    fn begin_again(&self, run: RunId, grants: &BTreeSet<GrantId>, at: Timestamp) -> Option<RunHeader> {
        let known = self.grants().ok()?;
        let mut roots = Vec::new();
        for grant in grants {
            let record = known.iter().find(|record| record.id == *grant)?;
            let path = Path::new(OsStr::from_bytes(&record.path));
            let identity = raincoat_os::Root::open(path).ok()?.identity();
            roots.push(Root { grant: *grant, path: record.path.clone(), identity });
        }
        let goal = "(its beginning was lost; made again by a repair)".to_owned();
        Some(RunHeader { run, at, actor: raincoat_types::Actor::Person, goal, kind: RunKind::Task, roots })
    }

    /// The journal to look at and to care for. Interrupted runs stay as they are for the next command that works.
    fn open_journal(&self) -> Result<Journal, Error> {
        let opened = Journal::open(self.journal_dir()?, self.journal_keys(), self.clock.as_ref());
        opened.map(|(journal, _)| journal).map_err(Error::store)
    }

    /// Where it is remembered, apart from the data, how far log and journal came.
    pub(crate) fn head_dir(&self) -> Result<PrivateDir, Error> {
        self.state.dir("head").map_err(Error::io("open the directory of what is remembered"))
    }

    /// Holds the journal against what is remembered of it, and keeps that memory from now on.
    ///
    /// # Errors
    /// Where the journal is less than it was.
    pub(crate) fn held_against_memory(&self, journal: &mut Journal) -> Result<Vec<Event>, Error> {
        let layer = "journal's end kept apart".to_owned();
        match journal.remember_in(self.head_dir()?).map_err(Error::store)? {
            Remembered::Agrees => Ok(Vec::new()),
            Remembered::Nothing if journal.runs(None, 1).map_err(Error::store)?.is_empty() => Ok(Vec::new()),
            Remembered::Nothing => {
                let why = "there was none: a journal cut or rolled back before this entry would not show by itself";
                Ok(vec![Event::ProtectionMissing { layer, why: why.to_owned() }])
            }
            Remembered::Unreadable => {
                let why = "it cannot be read: a journal cut or rolled back does not show by itself until `raincoat store \
                           repair`";
                Ok(vec![Event::ProtectionMissing { layer, why: why.to_owned() }])
            }
            Remembered::Behind(all) => {
                let why: Vec<String> = all.iter().take(3).map(|(id, why)| format!("segment {id}: {why}")).collect();
                // It is refused either way.
                let _ = self.note(&tampering("the journal", &why));
                Err(Error::new(
                    Class::Damaged,
                    format!("the journal is not what it was when last used: {}", why.join("; ")),
                )
                .hint("`raincoat store verify` says what that costs; if you put it back yourself: raincoat store repair --accept-older"))
            }
        }
    }

    /// Bytes that the store may take, and bytes that are free on its disk.
    pub(crate) fn budget(&self) -> Result<(u64, u64), Error> {
        let (all, free) = self.data.disk().map_err(Error::io("measure the disk that holds the store"))?;
        let budget = self.config.store.budget.unwrap_or(all / BUDGET_PART).max(BUDGET_LEAST);
        Ok((budget, free))
    }

    /// The rule by which a change that does not fit prunes.
    pub(crate) fn room_rule(&self) -> Result<raincoat_effects::RoomRule, Error> {
        let (budget, _) = self.budget()?;
        let keep_secs = self.config.store.keep_secs;
        Ok(raincoat_effects::RoomRule {
            budget,
            keep_secs,
            slack: budget / SLACK_PART,
            words: format!("the oldest, for the budget of {}, nothing younger than {}", size(budget), span(keep_secs)),
        })
    }
}

/// What a check found that only somebody's hand, or a disk that rots, can have done: the first of it.
pub(crate) fn tampering(place: &str, problems: &[String]) -> Vec<Event> {
    let found = |what: &String| Event::TamperingFound { place: place.to_owned(), what: what.clone() };
    problems.iter().take(TOLD).map(found).collect()
}

pub(crate) fn pruned_event(report: &PruneReport, rule: &str) -> Event {
    Event::StorePruned {
        rule: rule.to_owned(),
        runs: report.runs.len() as u64,
        versions: report.versions,
        bytes: report.before.saturating_sub(report.after),
    }
}

fn prune_error(error: raincoat_journal::JournalError) -> Error {
    match error {
        raincoat_journal::JournalError::Busy => Error::new(Class::Environment, error.to_string()),
        other => Error::store(other),
    }
}

fn place(problem: &raincoat_journal::Problem) -> String {
    if problem.segment.0 == 0 {
        return format!("journal: {}; it costs {}", problem.what, problem.costs);
    }
    format!(
        "journal, segment {} at byte {}: {}; it costs {}",
        problem.segment, problem.offset, problem.what, problem.costs
    )
}

/// A version that is lost, in words.
fn version(lost: &Lost, named: Option<&String>) -> String {
    let path = match (&lost.at, named) {
        (Some(spot), _) => {
            let root = lost.root.as_ref().map(|root| format!("{}/", display_bytes(root))).unwrap_or_default();
            format!("`{root}{}`", spot.path.display())
        }
        (None, Some(named)) => format!("`{}`", display_bytes(RawPath(named.as_bytes().to_vec()).0.as_slice())),
        (None, None) => "a file whose name is lost too".to_owned(),
    };
    let bytes = lost.size.map(|bytes| format!(" ({})", size(bytes))).unwrap_or_default();
    format!("{path}{bytes} as it was before operation {}", lost.op)
}

/// Bytes for people: three digits and a binary unit.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut whole = bytes;
    let mut tenths = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        tenths = (whole % 1024) * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 || whole >= 100 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

/// A span for people.
pub(crate) fn span(secs: u64) -> String {
    let (number, unit) = match secs {
        0..60 => (secs, "second"),
        60..3600 => (secs / 60, "minute"),
        3600..86_400 => (secs / 3600, "hour"),
        _ => (secs / 86_400, "day"),
    };
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}
