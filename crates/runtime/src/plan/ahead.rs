//! What a plan would do, found out before it is shown, and held against what is there when it is made.

use std::collections::HashSet;

use raincoat_effects::{Effects, Resolved};
use raincoat_gate::{Act, Approval, Scope};
use raincoat_types::wire::PlanStep;
use raincoat_types::{
    Amounts, Digest, Failure, FailureKind, FileChange, FileKind, FileRead, Identity, Measure, RelPath, Timestamp,
};

use super::{Hands, Plan, SLICE, by_scope, places, plain};
use crate::Error;
use crate::console::StepFact;
use crate::course::uses;
use crate::judge::Judge;

/// Reasons that are told.
const REASONS: usize = 20;

/// What a step was when it was shown. Small: a plan may have a hundred thousand steps.
#[derive(Clone, Default)]
pub(super) struct Shown {
    /// The digest of the resolved action; `None` where it could not be resolved yet.
    pub(super) digest: Option<Digest>,
    /// Which of its places count (by their order): not those that an earlier step changes.
    places: Box<[u16]>,
    /// Which files stood at those.
    pub(super) stood: Tag,
}

/// The first half of a BLAKE3 digest: enough to tell that two are the same (128 bits), where there are many.
type Tag = [u8; 16];

/// Places with what stood there.
type Seen = Vec<((usize, RelPath), Option<(FileKind, Identity)>)>;

/// What each step would touch now, and whether the gate would refuse it.
pub(super) fn look(
    hands: Hands<'_>,
    plan: Plan<'_>,
    scopes: &[(Scope, Timestamp)],
) -> Result<(Vec<StepFact>, Vec<Shown>), Error> {
    let (Hands { thread, judge }, Plan { steps, leads, .. }) = (hands, plan);
    let mut facts = Vec::with_capacity(steps.len());
    let mut looked = Vec::with_capacity(steps.len());
    let mut changed: HashSet<Tag> = HashSet::new();
    for start in (0..steps.len()).step_by(SLICE) {
        let (judge, steps, leads, scopes) = (judge.clone(), steps.clone(), leads.clone(), scopes.to_vec());
        let slice = thread
            .call(move |effects| {
                let part = steps.iter().enumerate().skip(start).take(SLICE);
                part.map(|(n, step)| look_at(effects, &judge.led_by(leads.get(n)), step, &scopes)).collect::<Vec<_>>()
            })
            .map_err(Error::store)?;
        for (fact, seen) in slice {
            let counts =
                |(n, (place, _)): (usize, &(_, _))| u16::try_from(n).ok().filter(|_| !lies_in(place, &changed));
            let places: Box<[u16]> = seen.iter().enumerate().filter_map(counts).collect();
            let stood = tag_of(&seen, &places);
            changed.extend(seen.iter().map(|(place, _)| place_tag(place.0, &place.1)));
            looked.push(Shown { digest: fact.digest, places, stood });
            facts.push(fact);
        }
    }
    Ok((facts, looked))
}

fn look_at(effects: &mut Effects, judge: &Judge, step: &PlanStep, scopes: &[(Scope, Timestamp)]) -> (StepFact, Seen) {
    let Ok(mut resolved) = effects.resolve_change(&step.change) else {
        let (fact, seen) = look_at_source(effects, step);
        return (StepFact { stands: stands_by_name(judge, &step.change, scopes), ..fact }, seen);
    };
    judge.rule_on(&step.change, &mut resolved);
    let seen = resolved.standing().collect();
    let kind = resolved.targets.first().and_then(|target| target.kind);
    let size = resolved.bytes();
    let asks = |approval: Option<Approval>| {
        let (digest, targets) = (resolved.digest, resolved.targets.clone());
        let facts = raincoat_gate::Facts { digest, targets, approval, ..judge.facts() };
        let (actor, action) = (judge.actor.clone(), step.change.clone());
        let proposal = raincoat_types::Proposal { actor, run: judge.run, action };
        raincoat_gate::decide(&judge.compiled.policy, &facts, proposal)
    };
    let forever = Timestamp { secs: i64::MAX, nanos: 0 };
    let exactly = Approval { scope: Scope::Exactly(resolved.digest), until: forever };
    let refused = match asks(Some(exactly)) {
        raincoat_gate::Verdict::Deny { refusal } => Some(Box::new(refusal)),
        _ => None,
    };
    // What asks although the widest approval was given wants to be seen itself.
    let asked = match asks(Some(Approval { scope: Scope::RestOfRun, until: forever })) {
        raincoat_gate::Verdict::Ask { why, .. } => Some(why),
        _ => None,
    };
    let permitted =
        |scope: &(Scope, Timestamp)| matches!(asks(Some(by_scope(scope))), raincoat_gate::Verdict::Permit(_));
    let lost = |target: &raincoat_gate::Target| {
        target.kind == Some(FileKind::File) && judge.recorder.waives(&target.spot.path)
    };
    let uses = uses(&step.change, &resolved.targets, size.saturating_add(step.change.new_bytes()));
    let fact = StepFact {
        source: kind.map(|kind: FileKind| (kind, size)),
        amounts: uses.values().fold(Amounts::default(), |sum, one| sum.plus(one)),
        stands: scopes.iter().any(permitted),
        irreversible: resolved.targets.iter().filter(|target| target.role.alters()).any(lost),
        refused,
        asked,
        resolved: elsewhere(&step.change, &resolved),
        digest: Some(resolved.digest),
    };
    (fact, seen)
}

/// Whether what was allowed for a folder speaks of the places that a change names. It waits for an earlier step of the
/// plan, so where they lead is looked at, and decided, when it is made.
fn stands_by_name(judge: &Judge, change: &FileChange, scopes: &[(Scope, Timestamp)]) -> bool {
    scopes.iter().any(|(scope, _)| {
        let Scope::Folder(id, beneath) = scope else { return false };
        places(change).into_iter().all(|place| {
            let within = judge.scoped.get(usize::from(place.root)).is_some_and(|scoped| scoped.id == *id);
            within && plain(&place.path).is_some_and(|path| path.starts_with(beneath))
        })
    })
}

/// What a plan comes to.
pub(super) fn totals(facts: &[StepFact]) -> Amounts {
    facts.iter().fold(Amounts::default(), |sum, fact| sum.plus(&fact.amounts))
}

/// Why a plan must be seen, whatever was allowed before.
pub(super) fn reasons(judge: &Judge, facts: &[StepFact], totals: Amounts, strict: bool, now: Timestamp) -> Vec<String> {
    let mut why: Vec<String> = facts.iter().filter_map(|fact| fact.asked.clone()).collect();
    why.sort_unstable();
    why.dedup();
    why.truncate(REASONS);
    if strict {
        why.retain(|words| !words.starts_with("strict mode"));
        why.push("strict mode: every change asks".to_owned());
    }
    let uses = judge.scoped.first().map(|scoped| (scoped.id, totals)).into_iter().collect();
    for count in judge.course.counts(&uses, now).iter().filter(|count| !count.firm) {
        if let Some((measure, most)) = count.most.passed_by(&count.total) {
            let total = count.total.of(measure);
            why.push(format!(
                "a mass change: {} comes to {total} {}, and beyond {most} it asks",
                count.whose,
                measure.name()
            ));
        }
    }
    why
}

/// A step into a folder that an earlier step makes cannot be resolved yet; what it takes there can.
fn look_at_source(effects: &mut Effects, step: &PlanStep) -> (StepFact, Seen) {
    let nothing = || StepFact { amounts: one_file(step.change.new_bytes()), ..StepFact::default() };
    let (FileChange::Move { from, .. } | FileChange::Copy { from, .. } | FileChange::Extract { from, .. }) =
        &step.change
    else {
        return (nothing(), Seen::new());
    };
    let Ok(resolved) = effects.resolve_read(&FileRead::Stat { at: from.clone() }) else {
        return (nothing(), Seen::new());
    };
    let kind = resolved.targets.first().and_then(|target| target.kind);
    let fact = StepFact {
        source: kind.map(|kind| (kind, resolved.bytes())),
        amounts: one_file(resolved.bytes()),
        resolved: elsewhere(&step.change, &resolved),
        ..StepFact::default()
    };
    (fact, resolved.standing().collect())
}

/// Where a step's places really are; nothing where they are the very ones that were named, as they mostly are: a plan may
/// have a hundred thousand steps.
fn elsewhere(change: &FileChange, resolved: &Resolved) -> Vec<(usize, RelPath)> {
    let mut both = resolved.places().zip(places(change));
    if both.all(|((root, path), named)| usize::from(named.root) == root && plain(&named.path).as_ref() == Some(path)) {
        return Vec::new();
    }
    resolved.places().map(|(root, path)| (root, path.clone())).collect()
}

/// What a step comes to of which no more is known than that it is one.
fn one_file(bytes: u64) -> Amounts {
    Amounts::default().with(Measure::Files, 1).with(Measure::Rate, 1).with(Measure::Bytes, bytes)
}

/// What is made is what was shown: the same resolved action, or, where it could not be resolved when it was shown, the
/// very path that was written.
pub(super) fn same_as_shown(change: &FileChange, resolved: &Resolved, shown: &Shown) -> Result<(), Failure> {
    let stands: Seen = resolved.standing().collect();
    let replaced = tag_of(&stands, &shown.places) != shown.stood;
    let same = match shown.digest {
        Some(shown) => shown == resolved.digest,
        None => {
            let written: Vec<Option<RelPath>> = places(change).iter().map(|place| plain(&place.path)).collect();
            written
                .iter()
                .all(|path| path.as_ref().is_some_and(|path| resolved.targets.iter().any(|t| t.spot.path == *path)))
        }
    };
    if same && !replaced {
        return Ok(());
    }
    let message = "it leads elsewhere, or to something else, than when it was shown; look again and propose it anew";
    Err(Failure::new(FailureKind::Changed, message))
}

/// What stands at some of a step's places, in short.
fn tag_of(seen: &Seen, places: &[u16]) -> Tag {
    let chosen: Vec<_> = places.iter().map(|n| seen.get(usize::from(*n))).collect();
    // Plain data always serialises; were it not so, the tag would be of nothing on both sides, and the digest of the
    // action still binds.
    tag(&postcard::to_stdvec(&chosen).unwrap_or_default())
}

fn place_tag(root: usize, path: &RelPath) -> Tag {
    tag(&[&root.to_le_bytes(), path.as_bytes()].concat())
}

fn tag(bytes: &[u8]) -> Tag {
    let mut out = Tag::default();
    out.iter_mut().zip(blake3::hash(bytes).as_bytes()).for_each(|(to, from)| *to = *from);
    out
}

/// Whether a place, or a folder that it lies in, is one of these.
fn lies_in(place: &(usize, RelPath), places: &HashSet<Tag>) -> bool {
    let mut at = (!places.is_empty()).then(|| place.1.clone());
    while let Some(path) = at {
        if places.contains(&place_tag(place.0, &path)) {
            return true;
        }
        at = path.split_last().map(|(parent, _)| parent);
    }
    false
}
