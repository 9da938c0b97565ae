//! Plans: looked at before they are shown, bound to what was shown, and then made, step by step, each through the gate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_audit::Event;
use raincoat_effects::thread::EffectsThread;
use raincoat_effects::{Changed, Effects, Resolved};
use raincoat_gate::{Approval, Confirm, Scope};
use raincoat_types::wire::PlanStep;
use raincoat_types::{
    Actor, Digest, Failure, FailureKind, FileChange, Modes, Outcome, Place, RawPath, Refusal, RelPath, Timestamp,
};

use crate::approvals::{StandingApproval, scope_words};
use crate::console::{Answer, Console, PlanView, StepFact};
use crate::judge::Judge;
use crate::labels::Lead;
use crate::{Error, Keeper};

mod ahead;
mod words;

use ahead::{Shown, reasons, same_as_shown, totals};
use words::{lines, ranges, shown, unanswered};

/// Steps looked at, or made, in one go: between two of these the worker is told, the bar moves and a stop is seen. Within one, a stop
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
        let (facts, looked) = ahead::look(hands, plan, &scopes)?;
        if !facts.is_empty() && facts.iter().all(|fact| fact.refused.is_some()) {
            // Nobody is asked about what none of it may happen: the gate says so, step by step.
            return Ok(Reviewed::Accepted(Accepted::unseen(all(), until, Vec::new())));
        }
        let totals = totals(&facts);
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
            let (judge, steps, leads) = (judge.clone(), steps.clone(), leads.clone());
            let orders: Vec<Order> = slice
                .iter()
                .map(|n| Order {
                    n: *n,
                    shown: accepted.shown.get(*n as usize).cloned().unwrap_or_default(),
                    reviewed: accepted.reviewed,
                    until: accepted.until,
                    scopes: accepted.scopes.clone(),
                })
                .collect();
            let outcomes = thread
                .call(move |effects| make_slice(effects, &judge, &steps, &leads, &orders))
                .map_err(Error::store)?;
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
    shown: Shown,
    reviewed: bool,
    until: Timestamp,
    scopes: Vec<(Scope, Timestamp)>,
}

/// Makes steps together. Each is resolved, decided and made ready in turn; changes that do not build on each other
/// share their waits for the disk.
fn make_slice(
    effects: &mut Effects,
    judge: &Judge,
    steps: &[PlanStep],
    leads: &[Lead],
    orders: &[Order],
) -> Vec<(u32, Outcome)> {
    let mut outcomes: Vec<(u32, Option<Outcome>)> = Vec::with_capacity(orders.len());
    for order in orders {
        let Some(step) = steps.get(order.n as usize) else { continue };
        outcomes.push((order.n, make_one(effects, &judge.led_by(leads.get(order.n as usize)), &step.change, order)));
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
        && let Err(failure) = same_as_shown(change, &resolved, &order.shown)
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

/// What a person allows who says yes on the command line.
const BEFOREHAND: &str = "yes to every plan within what was granted";
/// What was allowed for folders until a time.
const STANDING: &str = "what was allowed in this folder until a time";
/// What a person allows who allows the rest of a run.
const REST_OF_RUN: &str = "this plan and every later change of this run within its folders";
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
