//! Looking into the log: one entry in full, a search, what happened around a run.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use raincoat_audit::export::{Item, Pairing, Record, What, paths_of, verdict_of};
use raincoat_audit::{AuditReader, Checkpoint, Entry, Event, Hash};
use raincoat_types::{Actor, OpId, RunId, RunKind, Timestamp};

use crate::undo::find_run;
use crate::{AuditLine, Class, Error, Keeper};

/// Entries that a search reads at once, from the newest back. What it found in them is all that it holds.
const BLOCK: u64 = 16_384;

/// How often a follower looks for new entries.
const LOOK: Duration = Duration::from_millis(250);

/// Which entries are meant. Each thing that is set must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EntryFilter {
    /// With this in their words, in whichever case.
    pub text: Option<String>,
    /// Of this run.
    pub run: Option<RunId>,
    /// By this actor: `person`, `agent:NAME`, or a sort of actor such as `agent`.
    pub actor: Option<String>,
    /// Of this kind: `op.made`, or all of a sort such as `op`.
    pub kind: Option<String>,
    /// With this in one of their paths.
    pub path: Option<String>,
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Not after this.
    pub until: Option<Timestamp>,
    /// With this verdict: `allow`, `ask`, `deny`, `fail`.
    pub verdict: Option<String>,
}

/// An entry in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryDetails {
    /// All that it says.
    pub record: Record,
    /// The newest signed tree head.
    pub head: Checkpoint,
    /// Whether that head covers it.
    pub signed: bool,
}

/// A step of a run's story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimelineStep {
    /// The entry.
    pub line: AuditLine,
    /// Milliseconds since the run began.
    pub after_ms: i64,
    /// What sort of step: `asked`, `proposed`, `approval`, `intended`, `done`, `failed`, `model`, `network`, `read`,
    /// `program`, `undone`, `ended`, `noted`.
    pub stage: &'static str,
    /// The operation that it is about.
    pub op: Option<OpId>,
}

impl EntryFilter {
    /// Whether this entry is meant. An erased one can only be found by its place and time.
    pub(crate) fn wants(&self, item: &Item) -> bool {
        if self.since.is_some_and(|since| item.at < since) || self.until.is_some_and(|until| item.at > until) {
            return false;
        }
        if self.run.is_some_and(|run| item.run != Some(run)) {
            return false;
        }
        if let Some(wanted) = &self.actor {
            let Some(name) = item.actor.as_ref().map(Actor::name) else { return false };
            if !is_or_begins(&name, wanted, ':') {
                return false;
            }
        }
        let event = match &item.what {
            What::Event(event) => event,
            What::Erased { .. } => {
                let only_by_kind = self.text.is_none() && self.path.is_none() && self.verdict.is_none();
                return only_by_kind && self.kind.as_ref().is_none_or(|kind| kind == "erased");
            }
        };
        if self.kind.as_ref().is_some_and(|kind| !is_or_begins(event.kind(), kind, '.')) {
            return false;
        }
        if self.verdict.as_ref().is_some_and(|verdict| verdict_of(event) != Some(verdict.as_str())) {
            return false;
        }
        if let Some(part) = self.path.as_ref().map(String::as_bytes)
            && !paths_of(event).iter().any(|path| contains(path, part))
        {
            return false;
        }
        self.text.as_ref().is_none_or(|text| event.one_line().to_lowercase().contains(&text.to_lowercase()))
    }

    /// The same filter always has the same key, and no other has it.
    pub(crate) fn key(&self) -> String {
        let EntryFilter { text, run, actor, kind, path, since, until, verdict } = self;
        let time = |at: &Option<Timestamp>| at.map(|at| format!("{}.{:09}", at.secs, at.nanos));
        let parts = [
            ("text", text.clone()),
            ("run", run.map(|run| run.to_string())),
            ("actor", actor.clone()),
            ("kind", kind.clone()),
            ("path", path.clone()),
            ("since", time(since)),
            ("until", time(until)),
            ("verdict", verdict.clone()),
        ];
        parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}\0", value?))).collect()
    }
}

impl Keeper {
    /// Every entry that is meant, newest first, until `each` says that it has enough. Gives the number of entries read.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn audit_search(
        &self,
        filter: &EntryFilter,
        limit: usize,
        each: &mut dyn FnMut(AuditLine),
    ) -> Result<u64, Error> {
        let reader = self.audit_reader()?;
        let mut end = reader.tail(0).map_err(Error::store)?.end();
        let (mut left, mut read) = (limit, 0);
        while end > 0 && left > 0 {
            let start = end.saturating_sub(BLOCK);
            let mut found = VecDeque::new();
            each_item(&reader, start..end, &mut |item| {
                read += 1;
                if filter.wants(&item) {
                    if found.len() == left {
                        found.pop_front();
                    }
                    found.push_back(line_of(&item));
                }
            })?;
            left -= found.len();
            found.into_iter().rev().for_each(&mut *each);
            end = start;
        }
        Ok(read)
    }

    /// One entry in full.
    ///
    /// # Errors
    /// Where there is no such entry, or the log cannot be read.
    pub fn audit_entry(&self, index: u64) -> Result<EntryDetails, Error> {
        let reader = self.audit_reader()?;
        let head = reader.head().map_err(Error::store)?;
        let mut pairing = Pairing::default();
        let mut found = None;
        each_item(&reader, index.saturating_sub(Pairing::LOOK_BACK)..index.saturating_add(1), &mut |item| {
            if item.index == index {
                found = Some(Record::for_owner(&item, &pairing));
            }
            if let What::Event(event) = &item.what {
                pairing.learn(item.run, event);
            }
        })?;
        let record = found.ok_or_else(|| {
            Error::new(Class::Usage, format!("there is no entry {index} in the log"))
                .hint("`raincoat audit tail` shows the newest ones")
        })?;
        Ok(EntryDetails { record, signed: index < head.size, head })
    }

    /// What happened in a run and to it, in order: its own entries, those of its commits and undos, and what others
    /// say of it.
    ///
    /// # Errors
    /// Where there is no such run, or the log cannot be read.
    pub fn audit_timeline(
        &self,
        run: &str,
        each: &mut dyn FnMut(TimelineStep),
        told: &mut dyn FnMut(&str),
    ) -> Result<RunId, Error> {
        let run = self.run_in_log(run, told)?;
        let mut runs = BTreeSet::from([run]);
        let mut began = None;
        each_item(&self.audit_reader()?, 0..u64::MAX, &mut |item| {
            let What::Event(event) = &item.what else {
                return;
            };
            if let (Some(own), Event::RunBegan { kind: RunKind::Undo { of, .. } | RunKind::Commit { of }, .. }) =
                (item.run, event)
                && runs.contains(of)
            {
                runs.insert(own);
            }
            let about = item.run.into_iter().chain(mentioned(event)).any(|run| runs.contains(&run));
            if !about {
                return;
            }
            let start = *began.get_or_insert(item.at);
            let undo =
                item.run.is_some_and(|own| own != run) && op_of(event).1.is_some_and(|op| runs.contains(&op.run));
            each(TimelineStep {
                line: line_of(&item),
                after_ms: millis(item.at).saturating_sub(millis(start)),
                stage: if undo { "undone" } else { stage_of(event) },
                op: op_of(event).0,
            });
        })?;
        if began.is_none() {
            return Err(Error::new(Class::Usage, format!("the log says nothing of run {run}"))
                .hint("`raincoat runs` lists the runs"));
        }
        Ok(run)
    }

    /// New entries as they come, from `from` on, until it is to stop or `each` says that nobody listens.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn audit_follow(
        &self,
        from: u64,
        stop: &AtomicBool,
        each: &mut dyn FnMut(AuditLine) -> bool,
    ) -> Result<(), Error> {
        let reader = self.audit_reader()?;
        let (mut next, mut listening) = (from, true);
        while listening && !stop.load(Ordering::Relaxed) {
            each_item(&reader, next..u64::MAX, &mut |item| {
                next = item.index + 1;
                listening = listening && each(line_of(&item));
            })?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// A run by its id or its beginning. A whole id needs no journal: the log may know runs that it no longer has.
    ///
    /// # Errors
    /// Where there is no such run.
    pub fn run_in_log(&self, text: &str, told: &mut dyn FnMut(&str)) -> Result<RunId, Error> {
        if let Some(run) = RunId::parse(text) {
            return Ok(run);
        }
        let text = text.to_owned();
        self.look(told, move |journal| find_run(journal, Some(&text)))
    }
}

/// An entry as it is looked at and exported.
pub(crate) fn item_of(index: u64, leaf: Hash, entry: Entry) -> Item {
    let Entry { at, run, actor, producer, event, class, slots } = entry;
    let what = match event {
        Event::Erased { .. } => What::Erased { class: class.name().to_owned() },
        event => What::Event(event),
    };
    let subjects = slots.iter().map(|slot| format!("slot:{slot}")).collect();
    Item { index, leaf, at, run, actor, producer: Some(producer), subjects, what }
}

fn each_item(reader: &AuditReader, range: std::ops::Range<u64>, each: &mut dyn FnMut(Item)) -> Result<(), Error> {
    let mut entries = reader.entries(range).map_err(Error::store)?;
    while let Some(entry) = entries.next_with_leaf() {
        let (index, leaf, entry) = entry.map_err(Error::store)?;
        each(item_of(index, leaf, entry));
    }
    Ok(())
}

fn line_of(item: &Item) -> AuditLine {
    let (kind, line, class) = match &item.what {
        What::Event(event) => (event.kind(), event.one_line(), event.class().name().to_owned()),
        What::Erased { class } => ("erased", format!("erased ({class})"), class.clone()),
    };
    let actor = item.actor.as_ref().map(Actor::name);
    AuditLine { index: item.index, at: item.at, run: item.run, actor, kind, line, class }
}

/// Runs that an event names and that are not the one it happened in.
fn mentioned(event: &Event) -> Option<RunId> {
    match event {
        Event::Recovered { run, .. } | Event::StopAsked { run, .. } | Event::RecoveryDone { run, .. } => Some(*run),
        Event::DraftKept { of, .. }
        | Event::DraftDiscarded { of, .. }
        | Event::CommitDone { of, .. }
        | Event::UndoDone { of, .. } => Some(*of),
        Event::UndoRefused { op, .. } => Some(op.run),
        _ => None,
    }
}

/// The operation that an event is about, and the one that it takes back.
fn op_of(event: &Event) -> (Option<OpId>, Option<OpId>) {
    match event {
        Event::OpIntended { op, undoes, .. } | Event::OpPlanned { op, undoes, .. } => (Some(*op), *undoes),
        Event::OpDone { op, .. }
        | Event::OpMade { op, .. }
        | Event::OpFailed { op, .. }
        | Event::UndoRefused { op, .. } => (Some(*op), None),
        Event::BackupSkipped { op, .. } => (*op, None),
        _ => (None, None),
    }
}

fn stage_of(event: &Event) -> &'static str {
    match event.kind() {
        "run.began" => "asked",
        "proposal.judged" => "proposed",
        "op.intended" | "op.planned" => "intended",
        "op.done" | "op.made" => "done",
        "op.failed" | "undo.refused" => "failed",
        "run.ended" | "undo.done" | "commit.done" | "restore.done" => "ended",
        kind => match kind.split('.').next() {
            Some("approval") => "approval",
            Some("model") => "model",
            Some("network") => "network",
            Some("program" | "draft") => "program",
            Some("read") => "read",
            _ => "noted",
        },
    }
}

/// `agent:default` is `agent:default`, and an `agent`.
fn is_or_begins(name: &str, wanted: &str, end: char) -> bool {
    name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(end))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

fn millis(at: Timestamp) -> i64 {
    at.secs.saturating_mul(1000).saturating_add(i64::from(at.nanos / 1_000_000))
}
