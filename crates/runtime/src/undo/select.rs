//! What a person means to take back: runs, operations, all since a time, only what matches.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{Glob, GlobSet, GlobSetBuilder};
use raincoat_journal::{Journal, JournalError, Moment, Order, Planner, RunView, Skipped, UndoPlan, below, parent};
use raincoat_types::{
    Change, Content, OpId, OpRecord, OpResult, RelPath, Root, RunHeader, RunId, RunKind, Spot, Timestamp, display_bytes,
};

use super::{UndoAsk, asked, find_run, last_that_changed, nothing};
use crate::{Class, Error};

/// Runs in a row that ended before the time, after which `--since` looks no further.
const LONG_BEFORE: usize = 256;

/// What is to be taken back, and where.
pub(crate) struct Chosen {
    /// The runs it is of, the newest first.
    pub(crate) of: Vec<RunHeader>,
    /// All of those runs, and not just a part.
    pub(crate) whole: bool,
    /// The order, and the folders' times.
    pub(crate) plan: UndoPlan,
    /// The folders in which it is done: none of them within another.
    pub(crate) roots: Vec<Root>,
}

/// Finds what is meant, and plans it.
pub(crate) fn choose(journal: &Journal, ask: &UndoAsk) -> Result<Chosen, Error> {
    let mut runs: BTreeSet<RunId> = BTreeSet::new();
    let mut single: BTreeSet<OpId> = BTreeSet::new();
    for what in &ask.what {
        match what.split_once('/') {
            Some((run, seq)) => {
                let run = journal.find_run_prefix(run).map_err(|e| asked(&e))?;
                let op = OpId { run, seq: seq.parse().unwrap_or(0) };
                journal.op(op).map_err(|e| asked(&e))?;
                single.insert(op);
            }
            None => drop(runs.insert(find_run(journal, Some(what))?)),
        }
    }
    if let Some(since) = ask.since {
        runs.extend(runs_since(journal, since)?);
    } else if ask.what.is_empty() {
        runs.insert(last_that_changed(journal)?);
    }
    single.retain(|op| !runs.contains(&op.run));
    let only = globs(&ask.only)?;
    let of: Vec<RunHeader> = runs
        .iter()
        .copied()
        .chain(single.iter().map(|op| op.run))
        .collect::<BTreeSet<RunId>>()
        .into_iter()
        .rev()
        .map(|run| journal.run(run).map(|RunView { header, .. }| header))
        .collect::<Result<_, JournalError>>()
        .map_err(|e| asked(&e))?;
    if of.is_empty() {
        return Err(nothing());
    }
    let roots = outermost(&of);
    let whole = single.is_empty() && only.is_none() && ask.since.is_none();
    let mut plan = match (whole, of.as_slice()) {
        // One run is planned as it is read, however long it is.
        (true, [one]) => journal.plan_undo(&raincoat_journal::Selection::Run(one.run)).map_err(|e| asked(&e))?,
        _ => plan(journal, ask, &runs, &single, only.as_ref(), &roots)?,
    };
    if only.is_none() {
        let pending = |(op, why): &(OpId, Skipped)| (*why != Skipped::Pending).then_some(*op);
        let known: HashSet<OpId> = plan.ops.iter().copied().chain(plan.skipped.iter().filter_map(pending)).collect();
        for run in &runs {
            let lost = journal.lost_ops(*run).map_err(|e| asked(&e))?;
            plan.skipped.extend(lost.into_iter().filter(|op| !known.contains(op)).map(|op| (op, Skipped::Lost)));
        }
    }
    Ok(Chosen { of, whole, plan, roots })
}

fn plan(
    journal: &Journal,
    ask: &UndoAsk,
    runs: &BTreeSet<RunId>,
    single: &BTreeSet<OpId>,
    only: Option<&GlobSet>,
    roots: &[Root],
) -> Result<UndoPlan, Error> {
    let mut order: BTreeMap<Moment, OpId> = BTreeMap::new();
    let mut all = true;
    let mut take = |record: &OpRecord| {
        let op = record.intent.op;
        let early = ask.since.is_some_and(|since| record.intent.at < since);
        if early || !only.is_none_or(|only| matches(journal, only, record)) {
            all = false;
        } else if matches!(record.result, Some(OpResult::Done { .. }) | None) {
            order.insert((record.intent.at, op), op);
        }
    };
    for run in runs {
        let each = |record: OpRecord| {
            take(&record);
            ControlFlow::Continue(())
        };
        journal.for_each_op(*run, Order::Forward, each).map_err(|e| asked(&e))?;
    }
    for op in single {
        take(&journal.op(*op).map_err(|e| asked(&e))?);
    }
    if !(all && single.is_empty()) {
        order.extend(folders_needed(journal, &order)?);
    }
    // An undo and what it took back, both chosen, come to nothing together.
    let chosen: BTreeSet<OpId> = order.values().copied().collect();
    let mut void: HashSet<OpId> = HashSet::new();
    for op in chosen.iter().rev() {
        if let Some(by) = journal.undone_by(*op).map_err(Error::store)?
            && chosen.contains(&by)
            && !void.contains(&by)
        {
            void.extend([*op, by]);
        }
    }
    let mut planner = Planner::new();
    for op in order.values().rev().filter(|op| !void.contains(op)) {
        let undone = match journal.undone_by(*op).map_err(Error::store)? {
            Some(by) => Some(place_in(journal, roots, journal.op(by).map_err(Error::store)?)),
            None => None,
        };
        let record = place_in(journal, roots, journal.op(*op).map_err(|e| asked(&e))?);
        planner.take(&record, undone.as_ref());
    }
    let mut plan = planner.finish();
    if !(all && single.is_empty()) {
        // The folders' other changes stand, so their times of before are not their times of now.
        plan.dirs.clear();
    }
    Ok(plan)
}

/// The removals of folders into which a part of what was done is to come back: taken back too, whoever removed them.
fn folders_needed(journal: &Journal, order: &BTreeMap<Moment, OpId>) -> Result<BTreeMap<Moment, OpId>, Error> {
    let (mut needed, mut looked) = (BTreeMap::new(), BTreeSet::new());
    for op in order.values() {
        let Some(past) = journal.past(*op).map_err(|e| asked(&e))? else { continue };
        let comes_back = match past.op.intent.change {
            Change::Move { .. } | Change::Remove { .. } => past.paths.first(),
            _ => None,
        };
        let mut folder = comes_back.and_then(|path| parent(path));
        while let Some(path) = folder.filter(|path| looked.insert(path.to_vec())) {
            let mut later = journal.later_at(path, past.moment()).map_err(|e| asked(&e))?;
            let undone = |id: OpId| journal.undone_by(id).map(|by| by.is_some());
            while let Some(last) = later.last().map(|last| last.op.intent.op)
                && undone(last).map_err(Error::store)?
            {
                later.pop();
            }
            if let Some(last) = later.pop()
                && matches!(&last.op.intent.change, Change::Remove { before, .. } if before.content == Content::Dir)
            {
                needed.insert(last.moment(), last.op.intent.op);
            }
            folder = parent(path);
        }
    }
    Ok(needed)
}

/// The runs that did anything since a time.
fn runs_since(journal: &Journal, since: Timestamp) -> Result<Vec<RunId>, Error> {
    let (mut found, mut before, mut early) = (Vec::new(), None, 0);
    loop {
        let page = journal.runs(before, 64).map_err(Error::store)?;
        for run in &page {
            before = Some(run.header.run);
            if run.end.as_ref().is_some_and(|end| end.at < since) {
                early += 1;
                if early >= LONG_BEFORE {
                    return Ok(found);
                }
                continue;
            }
            early = 0;
            if journal.op(OpId { run: run.header.run, seq: 1 }).is_ok() {
                found.push(run.header.run);
            }
        }
        if page.is_empty() {
            return Ok(found);
        }
    }
}

fn globs(only: &[String]) -> Result<Option<GlobSet>, Error> {
    if only.is_empty() {
        return Ok(None);
    }
    let mut set = GlobSetBuilder::new();
    for text in only {
        let bad = |e: &globset::Error| {
            Error::new(Class::Usage, format!("`--only {text}` is no glob: {}", e.kind()))
                .hint("write one such as `docs/**`, `*.md` or an absolute path")
        };
        set.add(Glob::new(text).map_err(|e| bad(&e))?);
        // A folder's name means what is in it.
        set.add(Glob::new(&format!("{}/**", text.trim_end_matches('/'))).map_err(|e| bad(&e))?);
    }
    set.build().map(Some).map_err(|e| Error::new(Class::Usage, format!("the globs are too large: {e}")))
}

/// Whether one of an operation's places matches, beneath its folder or as an absolute path.
fn matches(journal: &Journal, only: &GlobSet, record: &OpRecord) -> bool {
    record.intent.change.spots().into_iter().any(|spot| {
        let at = |bytes: &[u8]| only.is_match(Path::new(std::ffi::OsStr::from_bytes(bytes)));
        at(spot.path.as_bytes()) || journal.absolute(record.intent.op.run, spot).is_some_and(|path| at(&path))
    })
}

/// The folders of some runs, without those that lie in another of them on the same file system.
fn outermost(of: &[RunHeader]) -> Vec<Root> {
    let mut all: Vec<&Root> = of.iter().flat_map(|header| &header.roots).collect();
    all.sort_by_key(|root| root.path.len());
    let mut kept: Vec<Root> = Vec::new();
    for root in all {
        let covers = |outer: &Root| {
            (outer.path == root.path && outer.identity == root.identity)
                || (outer.path != root.path
                    && below(&root.path, &outer.path).is_some()
                    && outer.identity.dev == root.identity.dev)
        };
        if !kept.iter().any(covers) {
            kept.push(root.clone());
        }
    }
    kept
}

/// A place among the folders of an undo.
pub(crate) fn spot_in(roots: &[Root], path: &[u8]) -> Option<Spot> {
    let root = roots.iter().filter(|root| below(path, &root.path).is_some()).max_by_key(|root| root.path.len())?;
    Some(Spot { grant: root.grant, path: RelPath::new(below(path, &root.path)?).ok()? })
}

/// An operation with its places as the undo's folders name them.
fn place_in(journal: &Journal, roots: &[Root], mut record: OpRecord) -> OpRecord {
    let run = record.intent.op.run;
    let place = |spot: &mut Spot| {
        if let Some(there) = journal.absolute(run, spot).and_then(|path| spot_in(roots, &path)) {
            *spot = there;
        }
    };
    match &mut record.intent.change {
        Change::Create { at, .. }
        | Change::Replace { at, .. }
        | Change::Remove { at, .. }
        | Change::SetMeta { at, .. } => place(at),
        Change::Link { existing, at, .. } => [existing, at].into_iter().for_each(place),
        Change::Move { from, to, .. } => [from, to].into_iter().for_each(place),
    }
    record.intent.dirs.iter_mut().for_each(|dir| place(&mut dir.at));
    if let Some(OpResult::Done { dirs, .. }) = &mut record.result {
        dirs.iter_mut().for_each(|dir| place(&mut dir.at));
    }
    record
}

/// Where a recorded operation's places are by now, as the undo's folders name them; none where they are as recorded.
/// `taken`: what is being taken back.
pub(crate) fn places_now(
    journal: &Journal,
    roots: &[Root],
    record: &OpRecord,
    taken: &HashSet<OpId>,
) -> Result<Vec<Spot>, JournalError> {
    let Some(past) = journal.past_of(record.clone()) else { return Ok(Vec::new()) };
    let change = &past.op.intent.change;
    let recorded = change.spots();
    let mut places = Vec::with_capacity(recorded.len());
    for (n, path) in past.paths.iter().enumerate() {
        // What an operation took away from a place is not what was moved from there later.
        let itself = match change {
            Change::Remove { .. } => false,
            Change::Move { .. } => n == 1,
            _ => true,
        };
        let now = journal.where_now(path, past.moment(), itself, taken)?;
        places.extend(spot_in(roots, &now));
    }
    let as_recorded = places.iter().zip(&recorded).all(|(now, then)| now == *then);
    Ok(if as_recorded || places.len() != recorded.len() { Vec::new() } else { places })
}

/// Why an operation could not be taken back: who changed the place since.
pub(crate) fn changed_by(
    journal: &Journal,
    op: OpId,
    taken: &HashSet<OpId>,
) -> Result<Option<(OpId, String)>, JournalError> {
    let Some(past) = journal.past(op)? else { return Ok(None) };
    for path in &past.paths {
        for later in journal.later_at(path, past.moment())?.into_iter().rev() {
            let id = later.op.intent.op;
            if taken.contains(&id) || later.op.intent.undoes == Some(op) || journal.undone_by(id)?.is_some() {
                continue;
            }
            let words = format!("{} of {id}", verb(&later.op.intent.change));
            return Ok(Some((id, words)));
        }
    }
    Ok(None)
}

fn verb(change: &Change) -> &'static str {
    match change {
        Change::Create { .. } => "the creation",
        Change::Replace { .. } => "the edit",
        Change::Remove { .. } => "the removal",
        Change::Move { .. } => "the move",
        Change::Link { .. } => "the link",
        Change::SetMeta { .. } => "the change of attributes",
    }
}

/// How many operations of a plan were taken back before.
pub(crate) fn already(plan: &UndoPlan) -> u32 {
    let count = plan.skipped.iter().filter(|(_, why)| matches!(why, Skipped::Undone(_))).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Of operations that a repair could not save, for people.
pub(crate) const LOST: &str = "its record was damaged, and a repair could not save it";

/// The operations of a plan that a repair could not save.
pub(crate) fn lost(plan: &UndoPlan) -> Vec<OpId> {
    plan.skipped.iter().filter(|(_, why)| *why == Skipped::Lost).map(|(op, _)| *op).collect()
}

/// The last undo that stands: what `redo` takes back.
pub(crate) fn last_undo(journal: &Journal) -> Result<RunId, Error> {
    let mut before = None;
    loop {
        let page = journal.runs(before, 64).map_err(Error::store)?;
        for run in &page {
            let id = run.header.run;
            before = Some(id);
            let first = OpId { run: id, seq: 1 };
            if is_undo(journal, &run.header)?
                && journal.op(first).is_ok()
                && journal.undone_by(first).map_err(Error::store)?.is_none()
            {
                return Ok(id);
            }
        }
        if page.is_empty() {
            return Err(Error::new(Class::Usage, "there is no undo that could be taken back")
                .hint("`raincoat runs` lists what was done"));
        }
    }
}

/// Whether a run is an undo, and not an undo of one, which is a redo.
fn is_undo(journal: &Journal, header: &RunHeader) -> Result<bool, Error> {
    let (mut header, mut undo) = (header.clone(), false);
    while let RunKind::Undo { of, .. } = header.kind {
        undo = !undo;
        match journal.run(of) {
            Ok(view) => header = view.header,
            Err(JournalError::UnknownRun(_)) => break,
            Err(error) => return Err(Error::store(error)),
        }
    }
    Ok(undo)
}

/// The absolute path of an operation's place, for people.
pub(crate) fn shown(journal: &Journal, op: OpId) -> String {
    let past = journal.past(op).ok().flatten();
    past.and_then(|past| past.paths.last().map(|path| display_bytes(path))).unwrap_or_default()
}
