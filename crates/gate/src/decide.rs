//! The decision itself. Strictest wins: deny over ask over allow. No error ever permits, because there are none: what
//! is not known denies.

use raincoat_types::{
    Actions, Actor, FileChange, FileKind, FileRead, ModelRequest, Modes, ProgramRun, Proposal, Refusal, Take, Timestamp,
};

use crate::call::{Cause, Effect, Intent, astray};
use crate::facts::{Facts, Protection, Role, Ruled, Scope, Target};
use crate::permit::Permit;
use crate::policy::{Confirm, Grant, Policy};

/// What the gate says.
pub enum Verdict<A> {
    /// Do it, with this.
    Permit(Permit<A>),
    /// A person must see it first. The proposal comes back, to be decided again with the answer.
    Ask {
        /// The proposal, unchanged.
        proposal: Proposal<A>,
        /// Why it is asked, in words.
        why: String,
    },
    /// No, and that is final.
    Deny {
        /// The rule, and what would change the answer.
        refusal: Refusal,
    },
}

/// Actions that the gate knows how to decide about.
pub trait Act: private::Sealed {
    /// Whether it changes files.
    const CHANGES: bool;
    /// The verb, for the words of a refusal.
    fn verb(&self) -> &'static str;
    /// Whether it asks a model.
    fn asks_model(&self) -> bool {
        false
    }
    /// Whether only the person may propose it.
    fn person_only(&self) -> bool {
        false
    }
    /// Whether only the run that commits a draft may propose it.
    fn commit_only(&self) -> bool {
        false
    }
    /// Whether the person named the very place, although its name is protected.
    fn is_named(&self) -> bool {
        false
    }
    /// Whether a place that it takes away is deleted, not moved.
    fn deletes(&self) -> bool {
        false
    }
    /// Whether it only brings back what was there.
    fn takes_back(&self) -> bool {
        false
    }
    /// Bytes of content that it brings with it.
    fn new_bytes(&self) -> u64 {
        0
    }
    /// For a program: whether it may reach hosts.
    fn program(&self) -> Option<bool> {
        None
    }
}

mod private {
    pub trait Sealed {}
    impl Sealed for raincoat_types::FileRead {}
    impl Sealed for raincoat_types::FileChange {}
    impl Sealed for raincoat_types::ModelRequest {}
    impl Sealed for raincoat_types::ProgramRun {}
}

impl Act for FileRead {
    const CHANGES: bool = false;
    fn verb(&self) -> &'static str {
        FileRead::verb(self)
    }
}

impl Act for FileChange {
    const CHANGES: bool = true;
    fn verb(&self) -> &'static str {
        FileChange::verb(self)
    }
    fn person_only(&self) -> bool {
        self.takes_back() || self.commit_only()
    }
    fn commit_only(&self) -> bool {
        matches!(self, FileChange::Adopt { .. })
    }
    fn is_named(&self) -> bool {
        matches!(self, FileChange::Adopt { named: true, .. })
    }
    fn new_bytes(&self) -> u64 {
        match self {
            FileChange::Write { content, .. } => content.len() as u64,
            FileChange::Edit { new, .. } => new.len() as u64,
            _ => 0,
        }
    }
    fn deletes(&self) -> bool {
        matches!(self, FileChange::Delete { .. } | FileChange::Adopt { take: Take::Nothing, .. })
    }
    fn takes_back(&self) -> bool {
        matches!(self, FileChange::Revert { .. } | FileChange::RestoreTimes { .. } | FileChange::Restore { .. })
    }
}

impl Act for ModelRequest {
    const CHANGES: bool = false;
    fn verb(&self) -> &'static str {
        "ask the model"
    }
    fn asks_model(&self) -> bool {
        true
    }
}

impl Act for ProgramRun {
    const CHANGES: bool = false;
    fn verb(&self) -> &'static str {
        "exec"
    }
    fn program(&self) -> Option<bool> {
        Some(!self.hosts.is_empty())
    }
}

/// Decides. A permit comes out only where every target is granted, nothing forbids, and what must be seen was seen.
pub fn decide<A: Act>(policy: &Policy, facts: &Facts, proposal: Proposal<A>) -> Verdict<A> {
    if let Err(refusal) = allowed(policy, facts, &proposal) {
        return Verdict::Deny { refusal };
    }
    if let Some(why) = unseen(policy, facts, &proposal) {
        return Verdict::Ask { proposal, why };
    }
    let Proposal { actor, run, action } = proposal;
    Verdict::Permit(Permit::mint(action, actor, run, facts.digest))
}

/// What forbids it, whoever approves.
fn allowed<A: Act>(policy: &Policy, facts: &Facts, proposal: &Proposal<A>) -> Result<(), Refusal> {
    let action = &proposal.action;
    if action.person_only() && proposal.actor != Actor::Person {
        return Err(refuse("person-only", "only the person at the terminal may do this".to_owned()));
    }
    if action.commit_only() && policy.commit != Some(proposal.run) {
        return Err(refuse("commit-only", "only the commit of a draft may do this; see `raincoat commit`".to_owned()));
    }
    modes_allow(policy.modes.union(facts.modes), facts, proposal)?;
    rules_allow(&facts.ruled, action.verb())?;
    budgets_allow(facts, &proposal.actor)?;
    if action.asks_model() {
        return model_allowed(policy, facts);
    }
    if facts.targets.is_empty() && action.program().is_none() {
        return Err(refuse("no-target", format!("nothing is known of what `{}` would touch", action.verb())));
    }
    facts.targets.iter().try_for_each(|target| target_allowed::<A>(policy, facts.now, target, proposal))
}

fn modes_allow<A: Act>(modes: Modes, facts: &Facts, proposal: &Proposal<A>) -> Result<(), Refusal> {
    let action = &proposal.action;
    let (strict, restricted) = (modes.contains(Modes::STRICT), modes.contains(Modes::RESTRICTED));
    if restricted && A::CHANGES && !action.takes_back() {
        return Err(refuse(
            "restricted",
            "restricted mode: reading and drafts only; `raincoat mode` changes it".to_owned(),
        ));
    }
    if strict && action.program().is_some() {
        return Err(refuse("strict", "strict mode runs no programs; `raincoat mode` changes it".to_owned()));
    }
    if strict
        && A::CHANGES
        && proposal.actor != Actor::Person
        && let Some(layer) = &facts.missing_layer
    {
        return Err(refuse(
            "layer-missing",
            format!("strict mode: `{layer}` is not enforced here; see `raincoat doctor`"),
        ));
    }
    if strict && A::CHANGES && proposal.actor != Actor::Person && facts.tainted {
        let words =
            "strict mode: nothing acts on what others may have written; let a recipe do it, or leave strict mode";
        return Err(refuse("tainted", words.to_owned()));
    }
    if action.program() == Some(true) && modes.intersects(Modes::OFFLINE.union(Modes::RESTRICTED)) {
        let words = format!("{modes} mode: a program reaches no host; leave `--net` out, or change the mode");
        return Err(refuse("offline", words));
    }
    Ok(())
}

/// A budget that would be gone beyond. The person's own doing counts against none.
fn budgets_allow(facts: &Facts, actor: &Actor) -> Result<(), Refusal> {
    match passed(facts, actor, true) {
        Some(words) => Err(refuse("budget", format!("{words}; a person can raise the budget"))),
        None => Ok(()),
    }
}

/// The first budget (`firm`) or breaker that this action goes beyond, in words.
fn passed(facts: &Facts, actor: &Actor, firm: bool) -> Option<String> {
    let counts = facts.counts.iter().filter(|count| count.firm == firm && *actor != Actor::Person);
    counts.into_iter().find_map(|count| {
        let (measure, most) = count.most.passed_by(&count.total)?;
        let (whose, total, name) = (&count.whose, count.total.of(measure), measure.name());
        Some(format!("{whose} would come to {total} {name}, and at most {most} are allowed"))
    })
}

fn model_allowed(policy: &Policy, facts: &Facts) -> Result<(), Refusal> {
    let Some((name, local)) = &facts.provider else {
        return Err(refuse("no-provider", "no such provider is configured; see `raincoat provider list`".to_owned()));
    };
    if !policy.providers.contains(name) {
        return Err(refuse("provider-not-chosen", format!("provider `{name}` was not chosen for this run")));
    }
    if policy.modes.union(facts.modes).contains(Modes::OFFLINE) && !local {
        return Err(refuse("offline", format!("offline: provider `{name}` is not on this machine")));
    }
    if facts.carries_private && !local {
        let words = format!("provider `{name}` is not on this machine, and what was read is private");
        return Err(refuse("private", words));
    }
    Ok(())
}

/// A rule of the owner's that forbids, or cannot be read.
fn rules_allow(ruled: &Ruled, what: &str) -> Result<(), Refusal> {
    match ruled {
        Ruled::Forbid(words) => Err(refuse("policy", format!("`{what}`: {words}"))),
        Ruled::Silent | Ruled::Permit | Ruled::Ask { .. } => Ok(()),
    }
}

fn target_allowed<A: Act>(
    policy: &Policy,
    now: Timestamp,
    target: &Target,
    proposal: &Proposal<A>,
) -> Result<(), Refusal> {
    let path = target.spot.path.display();
    let changes = A::CHANGES && target.role.alters();
    let leaves = proposal.action.program() == Some(true)
        || (policy.model_elsewhere && matches!(proposal.actor, Actor::Agent(_)));
    if leaves && target.private {
        let words = format!(
            "`{path}` is private: it is read by a model on this machine only, and by programs without a network"
        );
        return Err(refuse("private", words));
    }
    rules_allow(&target.ruled, &path)?;
    let needed = needed(changes, target.role, &proposal.action);
    // A rule of the owner's can let more be done in a folder; that something leaves the machine is the grant's to say.
    let widened = matches!(target.ruled, Ruled::Permit | Ruled::Ask { permits: true, .. });
    let needed = if widened { Actions::empty() } else { needed };
    let leaving = if leaves { Actions::SEND } else { Actions::empty() };
    granted(policy, now, target, &proposal.actor, needed.union(leaving))?;
    if let Some(glob) = &target.denied {
        return Err(refuse("denied-by-grant", format!("`{path}` is denied by the grant's `--deny {glob}`")));
    }
    match &target.protection {
        Some((Protection::Secret, pattern)) if target.role != Role::Look => {
            return Err(refuse(
                "protected-name",
                format!(
                    "`{path}` is protected (`{pattern}`): credentials and raincoat's own data are never read or changed by an agent"
                ),
            ));
        }
        Some(_) if changes && proposal.action.is_named() => {}
        Some((_, pattern)) if changes && proposal.action.commit_only() => {
            return Err(refuse(
                "protected-name",
                format!(
                    "`{path}` is protected (`{pattern}`): files that start programs or judge agents are committed only by name; `--dangerous {path}` does"
                ),
            ));
        }
        Some((_, pattern)) if changes => {
            return Err(refuse(
                "protected-name",
                format!(
                    "`{path}` is protected (`{pattern}`): files that start programs or judge agents are never changed by an agent; change it yourself"
                ),
            ));
        }
        _ => {}
    }
    if changes && target.spot.path.is_root() && target.role != Role::Write {
        return Err(refuse("grant-root", "the granted folder itself cannot be moved, replaced or deleted".to_owned()));
    }
    if target.kind == Some(FileKind::Special) && !matches!(target.role, Role::Look) {
        return Err(refuse(
            "special-file",
            format!("`{path}` is a FIFO, socket or device, which is never opened or changed"),
        ));
    }
    if changes && target.linked_outside {
        return Err(refuse(
            "linked-outside",
            format!(
                "`{path}` is a hard link to a file that also has a name outside the granted folder; changing it would change that too"
            ),
        ));
    }
    Ok(())
}

/// What a grant must let be done for this.
fn needed<A: Act>(changes: bool, role: Role, action: &A) -> Actions {
    match role {
        Role::Run => Actions::EXEC,
        Role::Remove if action.deletes() => Actions::DELETE,
        _ if changes => Actions::WRITE,
        _ => Actions::READ,
    }
}

/// A grant of this id that speaks to the actor, has not ended, and lets this be done.
fn granted(policy: &Policy, now: Timestamp, target: &Target, actor: &Actor, needed: Actions) -> Result<(), Refusal> {
    let path = target.spot.path.display();
    let mut refusal = refuse("no-grant", format!("`{path}` is in no granted folder; see `raincoat grants`"));
    for grant in policy.grants_of(target.spot.grant) {
        match grant_allows(grant, now, actor, needed) {
            None => return Ok(()),
            Some(("not-for-actor", _)) if refusal.rule != "no-grant" => {}
            Some((rule, words)) => refusal = refuse(rule, format!("`{path}`: {words}")),
        }
    }
    Err(refusal)
}

fn grant_allows(grant: &Grant, now: Timestamp, actor: &Actor, needed: Actions) -> Option<(&'static str, String)> {
    let missing = needed - grant.actions;
    if !grant.who.includes(actor) {
        Some(("not-for-actor", "the grant is for another agent; see `raincoat grants`".to_owned()))
    } else if grant.until.is_some_and(|until| now >= until) {
        Some(("grant-ended", "the grant has ended; grant the folder again".to_owned()))
    } else if missing.is_empty() {
        None
    } else if missing == Actions::WRITE && grant.actions == Actions::READING {
        let words = "the folder is granted read-only; grant it without `--read-only` to change it";
        Some(("read-only-grant", words.to_owned()))
    } else {
        let words =
            format!("the grant lets {} be done, not {missing}; grant it with `--actions` to allow that", grant.actions);
        Some(("not-granted", words))
    }
}

/// Why a person must see it first; `None` where nobody must, or where they have.
fn unseen<A: Act>(policy: &Policy, facts: &Facts, proposal: &Proposal<A>) -> Option<String> {
    let ruled = ruled_to_ask::<A>(policy, facts, proposal);
    let strict = policy.modes.union(facts.modes).contains(Modes::STRICT) && proposal.actor != Actor::Person;
    // What these ask for is to see this very action.
    let exactly = ruled
        .or_else(|| passed(facts, &proposal.actor, false))
        .or_else(|| led_astray::<A>(facts))
        .or_else(|| (A::CHANGES && strict).then(|| "strict mode: every change asks".to_owned()));
    let approved = approval(facts);
    match exactly {
        Some(why) if approved != Some(Breadth::Exact) => Some(why),
        None if A::CHANGES && policy.confirm == Confirm::Plans && approved.is_none() => {
            Some("it changes files, and no plan with it has been accepted".to_owned())
        }
        _ => None,
    }
}

/// What led an agent's model to a change, where a person must know of that.
fn led_astray<A: Act>(facts: &Facts) -> Option<String> {
    let led = facts.led.as_ref().filter(|_| A::CHANGES)?;
    Some(match astray(&led.call)? {
        Cause::Argument(at) | Cause::Confidential(at) => {
            led.told.get(at).cloned().unwrap_or_else(|| "an argument comes from what was read".to_owned())
        }
        Cause::Intent(_) if led.call.effect == Effect::Destroy => {
            "the request does not clearly call for anything to be taken away".to_owned()
        }
        Cause::Intent(Intent::Outside) => "the request does not call for a change".to_owned(),
        Cause::Intent(_) => {
            "the request does not clearly call for it, and words were read that give orders to an agent".to_owned()
        }
    })
}

/// A rule of the owner's that wants this very action seen.
fn ruled_to_ask<A: Act>(policy: &Policy, facts: &Facts, proposal: &Proposal<A>) -> Option<String> {
    if let Ruled::Ask { why, .. } = &facts.ruled {
        return Some(why.clone());
    }
    facts.targets.iter().find_map(|target| {
        let Ruled::Ask { why, forbidden, .. } = &target.ruled else { return None };
        let changes = A::CHANGES && target.role.alters();
        let needed = needed(changes, target.role, &proposal.action);
        // What a grant allows anyway is not asked about for the sake of a rule that would only permit it.
        let asks = *forbidden || granted(policy, facts.now, target, &proposal.actor, needed).is_err();
        asks.then(|| why.clone())
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Breadth {
    Exact,
    Wide,
}

/// How far the approval goes that covers this action.
fn approval(facts: &Facts) -> Option<Breadth> {
    let approval = facts.approval.as_ref().filter(|approval| facts.now < approval.until)?;
    match &approval.scope {
        Scope::Exactly(digest) => (*digest == facts.digest).then_some(Breadth::Exact),
        Scope::RestOfRun => Some(Breadth::Wide),
        Scope::Folder(grant, beneath) => {
            let within = |target: &Target| target.spot.grant == *grant && target.spot.path.starts_with(beneath);
            facts.targets.iter().all(within).then_some(Breadth::Wide)
        }
    }
}

fn refuse(rule: &str, message: String) -> Refusal {
    Refusal { rule: rule.to_owned(), message }
}
