//! Plans: looked at before they are shown, bound to what was shown, and then made, step by step, each through the gate.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_audit::Event;
use raincoat_effects::thread::EffectsThread;
use raincoat_effects::{Changed, Effects, Resolved};
use raincoat_gate::{Act, Approval, Confirm, Role, Scope};
use raincoat_types::wire::PlanStep;
use raincoat_types::{
    Actor, Amounts, Digest, Failure, FailureKind, FileChange, FileKind, FileRead, Identity, Measure, Modes, Outcome,
    Place, RawPath, Refusal, RelPath, Timestamp, Ulid, display_bytes,
};

use crate::approvals::{StandingApproval, scope_words};
use crate::console::{Answer, Console, PlanView, StepFact, Totals};
use crate::judge::Judge;
use crate::labels::Lead;
use crate::{Error, Keeper};

/// Steps made in one go: between two of these the worker is told, the bar moves and a stop is seen. Within one, a stop
/// is seen between two operations.
const SLICE: usize = 256;
/// Seconds that an approved plan may wait before it is made.
const APPROVAL_SECS: i64 = 3600;

/// What the person allowed of a plan.
pub(crate) struct Accepted {
    /// Positions of the steps to make.
    pub(crate) chosen: Vec<u32>,
    /// What was shown of each step, by its position; empty where no person looked.
    shown: Vec<Shown>,
    /// It was shown to a person, so what is made must be what was shown.
    reviewed: bool,
    until: Timestamp,
    /// What was allowed before, where it was not shown.
    scopes: Vec<(Scope, Timestamp)>,
}

/// What a step was when it was shown. Small: a plan may have a hundred thousand steps.
#[derive(Clone, Default)]
struct Shown {
    /// The digest of the resolved action; `None` where it could not be resolved yet.
    digest: Option<Digest>,
    /// Which of its places count (by their order): not those that an earlier step changes.
    places: Box<[u16]>,
    /// Which files stood at those.
    stood: Tag,
}

/// The first half of a BLAKE3 digest: enough to tell that two are the same (128 bits), where there are many.
type Tag = [u8; 16];

/// Places with what stood there.
type Seen = Vec<((usize, RelPath), Option<(FileKind, Identity)>)>;

/// How a plan may go.
pub(crate) enum Reviewed {
    Accepted(Accepted),
    Refused(String),
}

/// A run's hands: the thread that acts, and who decides.
#[derive(Clone, Copy)]
pub(crate) struct Hands<'a> {
    pub(crate) thread: &'a EffectsThread,
    pub(crate) judge: &'a Judge,
}

/// A plan as it was proposed.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) title: &'a str,
    pub(crate) steps: &'a Arc<Vec<PlanStep>>,
    /// What led to each step; empty where no model proposed them.
    pub(crate) leads: &'a Arc<Vec<Lead>>,
}

/// What a run keeps between its plans.
#[derive(Default)]
pub(crate) struct Standing {
    /// The person allowed the rest of the run, until then.
    pub(crate) rest_of_run: Option<Timestamp>,
}

/// Counts for the summary.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) changes: u32,
    pub(crate) failed: u32,
    pub(crate) refused: u32,
}

impl Keeper {
    /// Shows a plan to the person, unless they allowed such plans beforehand.
    pub(crate) fn review(
        &self,
        hands: Hands<'_>,
        plan: Plan<'_>,
        roots: &[(String, Vec<u8>)],
        standing: &mut Standing,
        console: &mut dyn Console,
    ) -> Result<Reviewed, Error> {
        let (Hands { thread, judge }, Plan { title, steps, .. }) = (hands, plan);
        let now = self.clock.now();
        let all = || (0..steps.len()).filter_map(|n| u32::try_from(n).ok()).collect::<Vec<u32>>();
        let until = Timestamp { secs: now.secs.saturating_add(APPROVAL_SECS), nanos: now.nanos };
        let beforehand = judge.compiled.policy.confirm == Confirm::Never;
        let rest = standing.rest_of_run.is_some_and(|until| now < until);
        // What was said beforehand is not for what a mode or a rule wants seen, nor for more than a breaker lets pass.
        // A recipe's plan is made by us from the person's own words, so it has no breaker.
        let strict = (judge.compiled.policy.modes | judge.course.modes()).contains(Modes::STRICT);
        let unwatched = matches!(judge.actor, Actor::Recipe(_)) && !judge.has_rules();
        if (beforehand || rest) && !strict && unwatched {
            let scope = if beforehand { BEFOREHAND } else { REST_OF_RUN };
            return Ok(passed(judge, plan, scope, Accepted::unseen(all(), until, vec![(Scope::RestOfRun, until)])));
        }
        let scopes = self.standing_scopes(judge)?;
        let (facts, looked) = self.look_ahead(hands, plan, &scopes)?;
        if !facts.is_empty() && facts.iter().all(|fact| fact.refused.is_some()) {
            // Nobody is asked about what none of it may happen: the gate says so, step by step.
            return Ok(Reviewed::Accepted(Accepted::unseen(all(), until, Vec::new())));
        }
        let totals = totals(steps, &facts);
        let why = reasons(judge, &facts, totals, strict, now);
        if why.is_empty() && (beforehand || rest) {
            let scope = if beforehand { BEFOREHAND } else { REST_OF_RUN };
            return Ok(passed(judge, plan, scope, Accepted::unseen(all(), until, vec![(Scope::RestOfRun, until)])));
        }
        if why.is_empty() && !facts.is_empty() && facts.iter().all(|fact| fact.stands) {
            return Ok(passed(judge, plan, STANDING, Accepted::unseen(all(), until, scopes)));
        }
        let digest = digest_of(title, steps, &facts, &looked);
        if let Some(given) = self.answered_before(&judge.actor.name(), digest)? {
            let scope = format!("approval {} of exactly this", given.id);
            judge.recorder.log_lazily(vec![Event::ApprovalUsed {
                title: title.to_owned(),
                steps: steps.len() as u64,
                scope,
            }]);
            let accepted =
                Accepted { chosen: all(), shown: looked, reviewed: true, until: given.until, scopes: Vec::new() };
            return Ok(Reviewed::Accepted(accepted));
        }
        let shared = steps.clone();
        let before = |n: usize| {
            let shared = shared.clone();
            thread.call(move |effects| shared.get(n).and_then(|step| current(effects, step))).ok().flatten()
        };
        let mut view = PlanView {
            run: judge.run,
            actor: &judge.actor,
            title,
            roots,
            steps,
            facts: &facts,
            digest,
            until,
            why: &why,
            irreversible: facts.iter().filter(|fact| fact.irreversible).count() as u64,
            totals,
            elsewhere: &|| None,
            before: &before,
        };
        judge.recorder.log_lazily(vec![Event::ApprovalAsked {
            digest,
            title: title.to_owned(),
            shown: lines(roots, steps),
            steps: steps.len() as u64,
        }]);
        let asked =
            if console.keeps_questions() { Some(self.ask_durably(&view, console.render(&view))?) } else { None };
        let elsewhere = || asked.and_then(|id| self.answer_elsewhere(id));
        view.elsewhere = &elsewhere;
        let answer = console.review(&view);
        let (chosen, scope) = match answer {
            Answer::Unanswered => {
                let words = unanswered(asked);
                let shown = shown(title, steps.len());
                judge
                    .recorder
                    .log(vec![Event::Declined { digest, shown, words: words.clone() }])
                    .map_err(Error::store)?;
                return Ok(Reviewed::Refused(words));
            }
            Answer::Refuse(words) => {
                let shown = shown(title, steps.len());
                judge
                    .recorder
                    .log(vec![Event::Declined { digest, shown, words: words.clone() }])
                    .map_err(Error::store)?;
                asked.map_or(Ok(()), |id| self.settle(id))?;
                return Ok(Reviewed::Refused(words));
            }
            Answer::Accept => (all(), "this plan, once".to_owned()),
            Answer::AcceptSome(chosen) => {
                let scope = format!("steps {} of this plan, once", ranges(&chosen));
                (chosen, scope)
            }
            Answer::AcceptRun => {
                standing.rest_of_run = Some(until);
                (all(), REST_OF_RUN.to_owned())
            }
            Answer::AcceptFolder(until) => (all(), self.allow_folders(judge, roots, until)?),
        };
        judge
            .recorder
            .log(vec![Event::Approved { digest, shown: shown(title, steps.len()), scope, until: Some(until) }])
            .map_err(Error::store)?;
        asked.map_or(Ok(()), |id| self.settle(id))?;
        Ok(Reviewed::Accepted(Accepted { chosen, shown: looked, reviewed: true, until, scopes: Vec::new() }))
    }

    /// What was allowed for folders until a time, as far as it speaks of this run's.
    fn standing_scopes(&self, judge: &Judge) -> Result<Vec<(Scope, Timestamp)>, Error> {
        let name = judge.actor.name();
        let mut scopes = Vec::new();
        for one in self.standing_approvals()?.into_iter().filter(|one| one.actor == name) {
            for scoped in judge.scoped.iter().filter(|scoped| scoped.grant == one.grant) {
                if let Some(within) = scoped.within(&one.beneath) {
                    scopes.push((Scope::Folder(scoped.id, within), one.until));
                }
            }
        }
        Ok(scopes)
    }

    /// Keeps what was allowed for the run's folders; in words.
    fn allow_folders(&self, judge: &Judge, roots: &[(String, Vec<u8>)], until: Timestamp) -> Result<String, Error> {
        let mut words = Vec::new();
        for (scoped, (_, folder)) in judge.scoped.iter().zip(roots) {
            let id = raincoat_os::new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?;
            let (actor, folder) = (judge.actor.name(), folder.clone());
            words.push(scope_words(&actor, &folder, until));
            self.stand(&StandingApproval {
                id,
                actor,
                grant: scoped.grant,
                beneath: scoped.beneath.clone(),
                folder,
                until,
            })?;
        }
        Ok(words.join("; "))
    }

    /// What each step would touch now, and whether the gate would refuse it.
    fn look_ahead(
        &self,
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
                    part.map(|(n, step)| look_at(effects, &judge.led_by(leads.get(n)), step, &scopes))
                        .collect::<Vec<_>>()
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

    /// Makes the accepted steps. `told` hears of each slice as it is done.
    pub(crate) fn make(
        &self,
        hands: Hands<'_>,
        plan: Plan<'_>,
        accepted: &Accepted,
        stop: &AtomicBool,
        tally: &mut Tally,
        told: &mut dyn FnMut(Vec<(u32, Outcome)>, u64),
    ) -> Result<(), Error> {
        let (Hands { thread, judge }, Plan { steps, leads, .. }) = (hands, plan);
        let mut done = 0_u64;
        // A recipe's steps stand for themselves. An agent's may build on each other (copy, then delete): the first that
        // does not come out ends the plan.
        let led_by_model = matches!(judge.actor, Actor::Agent(_));
        for slice in accepted.chosen.chunks(if led_by_model { 1 } else { SLICE }) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let (judge, steps) = (judge.clone(), steps.clone());
            let orders: Vec<Order> = slice
                .iter()
                .map(|n| Order {
                    n: *n,
                    lead: leads.get(*n as usize).cloned(),
                    shown: accepted.shown.get(*n as usize).cloned().unwrap_or_default(),
                    reviewed: accepted.reviewed,
                    until: accepted.until,
                    scopes: accepted.scopes.clone(),
                })
                .collect();
            let outcomes =
                thread.call(move |effects| make_slice(effects, &judge, &steps, &orders)).map_err(Error::store)?;
            for (_, outcome) in &outcomes {
                match outcome {
                    Outcome::Change(change) => tally.changes += u32::try_from(change.ops.len()).unwrap_or(u32::MAX),
                    Outcome::Refused(_) => tally.refused += 1,
                    Outcome::Failed(failure) => {
                        // What a stop kept from being reached did not fail.
                        tally.failed += u32::from(failure.kind != FailureKind::Stopped);
                        tally.changes += u32::try_from(failure.done.len()).unwrap_or(u32::MAX);
                    }
                    _ => {}
                }
            }
            let broken = outcomes.iter().any(|(_, o)| matches!(o, Outcome::Failed(f) if f.kind == FailureKind::Broken));
            let came_out = outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Change(_)));
            done += outcomes.len() as u64;
            told(outcomes, done);
            if broken || (led_by_model && !came_out) {
                break;
            }
        }
        Ok(())
    }
}

impl Accepted {
    /// A plan that no person looked at, by what was allowed before.
    fn unseen(chosen: Vec<u32>, until: Timestamp, scopes: Vec<(Scope, Timestamp)>) -> Accepted {
        Accepted { chosen, shown: Vec::new(), reviewed: false, until, scopes }
    }
}

/// A plan that goes ahead by what the person said before.
fn passed(judge: &Judge, plan: Plan<'_>, scope: &str, accepted: Accepted) -> Reviewed {
    let (title, steps) = (plan.title.to_owned(), plan.steps.len() as u64);
    judge.recorder.log_lazily(vec![Event::ApprovalUsed { title, steps, scope: scope.to_owned() }]);
    Reviewed::Accepted(accepted)
}

/// One step to make, and what was shown of it.
struct Order {
    n: u32,
    lead: Option<Lead>,
    shown: Shown,
    reviewed: bool,
    until: Timestamp,
    scopes: Vec<(Scope, Timestamp)>,
}

/// Makes steps together. Each is resolved, decided and made ready in turn; changes that do not build on each other
/// share their waits for the disk.
fn make_slice(effects: &mut Effects, judge: &Judge, steps: &[PlanStep], orders: &[Order]) -> Vec<(u32, Outcome)> {
    let mut outcomes: Vec<(u32, Option<Outcome>)> = Vec::with_capacity(orders.len());
    for order in orders {
        let Some(step) = steps.get(order.n as usize) else { continue };
        outcomes.push((order.n, make_one(effects, &judge.led_by(order.lead.as_ref()), &step.change, order)));
    }
    let mut settled = effects.settle().into_iter();
    let outcomes: Vec<(u32, Outcome)> = outcomes
        .into_iter()
        .map(|(n, outcome)| (n, outcome.unwrap_or_else(|| settled.next().map_or_else(lost, outcome_of))))
        .collect();
    for (n, outcome) in &outcomes {
        if let (Outcome::Failed(failure), Some(step)) = (outcome, steps.get(*n as usize)) {
            judge.log_failure(step.change.verb(), said(&step.change), failure);
        }
    }
    outcomes
}

/// `None` where the change is under way: its outcome comes when it is settled.
fn make_one(effects: &mut Effects, judge: &Judge, change: &FileChange, order: &Order) -> Option<Outcome> {
    let mut resolved = match effects.resolve_change(change) {
        Ok(resolved) => resolved,
        Err(failure) => return Some(Outcome::Failed(failure)),
    };
    if order.reviewed
        && let Err(failure) = same_as_shown(change, &resolved, order)
    {
        return Some(Outcome::Failed(failure));
    }
    let approval = match order.reviewed {
        true => Some(Approval { scope: Scope::Exactly(resolved.digest), until: order.until }),
        false => order.scopes.iter().find(|(scope, _)| covers(scope, &resolved)).map(by_scope),
    };
    match judge.decide(change.clone(), &mut resolved, said(change), approval) {
        Ok(permit) => {
            effects.change(permit, resolved);
            None
        }
        Err(refusal) => Some(Outcome::Refused(refusal)),
    }
}

/// What is made is what was shown: the same resolved action, or, where it could not be resolved when it was shown, the
/// very path that was written.
fn same_as_shown(change: &FileChange, resolved: &Resolved, order: &Order) -> Result<(), Failure> {
    let stands: Seen = resolved.standing().collect();
    let replaced = tag_of(&stands, &order.shown.places) != order.shown.stood;
    let same = match order.shown.digest {
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

/// Whether what was allowed before speaks of a change. The gate looks once more.
fn covers(scope: &Scope, resolved: &Resolved) -> bool {
    match scope {
        Scope::Folder(grant, beneath) => {
            resolved.targets.iter().all(|target| target.spot.grant == *grant && target.spot.path.starts_with(beneath))
        }
        Scope::RestOfRun | Scope::Exactly(_) => true,
    }
}

fn by_scope((scope, until): &(Scope, Timestamp)) -> Approval {
    Approval { scope: scope.clone(), until: *until }
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
    let deleted = |target: &&raincoat_gate::Target| step.change.deletes() && target.role == Role::Remove;
    let fact = StepFact {
        source: kind.map(|kind: FileKind| (kind, size)),
        files: resolved.targets.len() as u64,
        deletions: resolved.targets.iter().filter(deleted).count() as u64,
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
fn totals(steps: &[PlanStep], facts: &[StepFact]) -> Totals {
    steps.iter().zip(facts).fold(Totals::default(), |sum, (step, fact)| Totals {
        files: sum.files.saturating_add(fact.files.max(1)),
        deletions: sum.deletions.saturating_add(fact.deletions),
        bytes: sum
            .bytes
            .saturating_add(fact.source.map_or(0, |(_, size)| size))
            .saturating_add(step.change.new_bytes()),
    })
}

/// Why a plan must be seen, whatever was allowed before.
fn reasons(judge: &Judge, facts: &[StepFact], totals: Totals, strict: bool, now: Timestamp) -> Vec<String> {
    let mut why: Vec<String> = facts.iter().filter_map(|fact| fact.asked.clone()).collect();
    why.sort_unstable();
    why.dedup();
    why.truncate(REASONS);
    if strict {
        why.retain(|words| !words.starts_with("strict mode"));
        why.push("strict mode: every change asks".to_owned());
    }
    let amounts = Amounts::default()
        .with(Measure::Files, totals.files)
        .with(Measure::Rate, totals.files)
        .with(Measure::Deletions, totals.deletions)
        .with(Measure::Bytes, totals.bytes);
    let uses = judge.scoped.first().map(|scoped| (scoped.id, amounts)).into_iter().collect();
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
    let (FileChange::Move { from, .. } | FileChange::Copy { from, .. } | FileChange::Extract { from, .. }) =
        &step.change
    else {
        return (StepFact::default(), Seen::new());
    };
    let Ok(resolved) = effects.resolve_read(&FileRead::Stat { at: from.clone() }) else {
        return (StepFact::default(), Seen::new());
    };
    let kind = resolved.targets.first().and_then(|target| target.kind);
    let fact = StepFact {
        source: kind.map(|kind| (kind, resolved.bytes())),
        files: 1,
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

/// What a step's target holds now, for a diff.
fn current(effects: &mut Effects, step: &PlanStep) -> Option<Vec<u8>> {
    match &step.change {
        FileChange::Write { at, .. } | FileChange::Edit { at, .. } => effects.peek(at, 256 << 10),
        _ => None,
    }
}

fn outcome_of(changed: Changed) -> Outcome {
    match changed.failure {
        None => Outcome::Change(changed.done),
        Some(failure) => Outcome::Failed(failure),
    }
}

/// A change whose outcome nobody told. It is never taken for done: recovery looks at the files.
fn lost() -> Outcome {
    Outcome::Failed(Failure::new(FailureKind::Broken, "what came of this change is not known; start raincoat again"))
}

/// A plan refused: no step was made.
pub(crate) fn refused_by_person(words: &str) -> Refusal {
    Refusal { rule: "refused-by-person".to_owned(), message: words.to_owned() }
}

/// The places of a change, as its proposer named them.
pub(crate) fn places(change: &FileChange) -> Vec<&Place> {
    match change {
        FileChange::Write { at, .. }
        | FileChange::Edit { at, .. }
        | FileChange::Mkdir { at, .. }
        | FileChange::Delete { at, .. } => vec![at],
        FileChange::Move { from, to, .. } | FileChange::Copy { from, to, .. } | FileChange::Extract { from, to } => {
            vec![from, to]
        }
        FileChange::Archive { from, to, .. } => from.iter().chain([to]).collect(),
        FileChange::Revert { .. }
        | FileChange::RestoreTimes { .. }
        | FileChange::Adopt { .. }
        | FileChange::Restore { .. } => Vec::new(),
    }
}

fn said(change: &FileChange) -> Vec<RawPath> {
    places(change).into_iter().map(|place| place.path.clone()).collect()
}

/// A path that is canonical as it was written.
fn plain(path: &RawPath) -> Option<RelPath> {
    let names: Vec<&[u8]> = path.0.split(|b| *b == b'/').filter(|name| !name.is_empty() && *name != b".").collect();
    RelPath::new(&names.join(&b'/')).ok()
}

/// What a person was told to have left open.
fn unanswered(asked: Option<Ulid>) -> String {
    let way = asked.map(|id| format!("; `raincoat approve {id}` allows it, then run it again"));
    format!("nobody was there to be asked{}", way.unwrap_or_default())
}

/// Reasons that are told.
const REASONS: usize = 20;
/// What a person allows who says yes on the command line.
const BEFOREHAND: &str = "yes to every plan within what was granted";
/// What was allowed for folders until a time.
const STANDING: &str = "what was allowed in this folder until a time";
/// What a person allows who allows the rest of a run.
const REST_OF_RUN: &str = "this plan and every later change of this run within its folders";
/// Bytes of the steps of one plan in the log; an entry holds 65,535 with all else.
const LINES_BYTES: usize = 48 << 10;

/// The steps of a plan as they are shown, one a line, as many as go into an entry.
fn lines(roots: &[(String, Vec<u8>)], steps: &[PlanStep]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut bytes = 0;
    for step in steps {
        let at = |place: &Place| {
            let root = roots.get(usize::from(place.root)).map(|(label, _)| label.as_str()).unwrap_or_default();
            format!("{root}/{}", display_bytes(&place.path.0))
        };
        let places: Vec<String> = places(&step.change).into_iter().map(at).collect();
        let why = if step.why.is_empty() { String::new() } else { format!(" ({})", step.why) };
        let line = format!("{} {}{why}", step.change.verb(), places.join(" -> "));
        bytes += line.len() + 3;
        if bytes > LINES_BYTES {
            break;
        }
        lines.push(line);
    }
    lines
}

/// Positions of steps, as people count them, in short: `1-3, 7`.
fn ranges(chosen: &[u32]) -> String {
    /// Runs of steps that are told one by one.
    const MOST: usize = 100;
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for n in chosen.iter().map(|n| n.saturating_add(1)) {
        match runs.last_mut() {
            Some((_, last)) if last.saturating_add(1) == n => *last = n,
            _ => runs.push((n, n)),
        }
    }
    let more = runs.len().saturating_sub(MOST);
    let mut words: Vec<String> = runs
        .into_iter()
        .take(MOST)
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    if more > 0 {
        words.push(format!("and {more} more such"));
    }
    words.join(", ")
}

fn shown(title: &str, steps: usize) -> String {
    format!("{title} ({steps} {})", if steps == 1 { "change" } else { "changes" })
}

fn digest_of(title: &str, steps: &[PlanStep], facts: &[StepFact], looked: &[Shown]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("raincoat 2026-11 plan v2");
    hasher.update(title.as_bytes());
    for ((step, fact), looked) in steps.iter().zip(facts).zip(looked) {
        hasher.update(&postcard::to_stdvec(&step.change).unwrap_or_default());
        hasher.update(&fact.digest.unwrap_or_default().0);
        hasher.update(&looked.stood);
    }
    Digest(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_is_told_step_by_step_as_far_as_an_entry_holds_it() {
        let roots = [("music".to_owned(), b"/home/a/music".to_vec())];
        let step = |n: usize| PlanStep {
            change: FileChange::Move {
                from: Place { root: 0, path: format!("{n}.mp3").as_str().into() },
                to: Place { root: 0, path: format!("a/{n}.mp3").as_str().into() },
                replace: false,
            },
            why: "by artist".to_owned(),
        };
        let few: Vec<PlanStep> = (0..2).map(step).collect();
        assert_eq!(
            lines(&roots, &few),
            ["move music/0.mp3 -> music/a/0.mp3 (by artist)", "move music/1.mp3 -> music/a/1.mp3 (by artist)"]
        );
        let many: Vec<PlanStep> = (0..20_000).map(step).collect();
        assert!(lines(&roots, &many).iter().map(String::len).sum::<usize>() < LINES_BYTES);
    }

    #[test]
    fn chosen_steps_are_told_in_short() {
        assert_eq!(ranges(&[0, 1, 2, 6]), "1-3, 7");
        assert_eq!(ranges(&[]), "");
        let every_other: Vec<u32> = (0..1000).map(|n| n * 2).collect();
        assert!(ranges(&every_other).ends_with("199, and 900 more such"));
    }
}
