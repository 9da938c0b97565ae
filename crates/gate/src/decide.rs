//! The decision itself. Strictest wins: deny over ask over allow. No error ever permits, because there are none: what
//! is not known denies.

use raincoat_types::{Actor, FileChange, FileKind, FileRead, ModelRequest, Proposal, Refusal, Timestamp};

use crate::facts::{Facts, Protection, Role, Scope, Target};
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
        why: &'static str,
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
}

mod private {
    pub trait Sealed {}
    impl Sealed for raincoat_types::FileRead {}
    impl Sealed for raincoat_types::FileChange {}
    impl Sealed for raincoat_types::ModelRequest {}
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
        matches!(
            self,
            FileChange::Revert { .. }
                | FileChange::RestoreTimes { .. }
                | FileChange::Adopt { .. }
                | FileChange::Restore { .. }
        )
    }
    fn commit_only(&self) -> bool {
        matches!(self, FileChange::Adopt { .. })
    }
    fn is_named(&self) -> bool {
        matches!(self, FileChange::Adopt { named: true, .. })
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

/// Decides. A permit comes out only where every target is granted, nothing forbids, and what must be seen was seen.
pub fn decide<A: Act>(policy: &Policy, facts: &Facts, proposal: Proposal<A>) -> Verdict<A> {
    if let Err(refusal) = allowed(policy, facts, &proposal) {
        return Verdict::Deny { refusal };
    }
    if A::CHANGES && policy.confirm == Confirm::Plans && !approved(facts) {
        return Verdict::Ask { proposal, why: "it changes files, and no plan with it has been accepted" };
    }
    let Proposal { actor, run, action } = proposal;
    Verdict::Permit(Permit::mint(action, actor, run, facts.digest))
}

fn allowed<A: Act>(policy: &Policy, facts: &Facts, proposal: &Proposal<A>) -> Result<(), Refusal> {
    if proposal.action.person_only() && proposal.actor != Actor::Person {
        return Err(refuse("person-only", "only the person at the terminal may do this".to_owned()));
    }
    if proposal.action.commit_only() && policy.commit != Some(proposal.run) {
        return Err(refuse("commit-only", "only the commit of a draft may do this; see `raincoat commit`".to_owned()));
    }
    if proposal.action.asks_model() {
        return model_allowed(policy, facts);
    }
    if facts.targets.is_empty() {
        return Err(refuse("no-target", format!("nothing is known of what `{}` would touch", proposal.action.verb())));
    }
    facts.targets.iter().try_for_each(|target| target_allowed::<A>(policy, facts.now, target, proposal))
}

fn model_allowed(policy: &Policy, facts: &Facts) -> Result<(), Refusal> {
    let Some((name, local)) = &facts.provider else {
        return Err(refuse("no-provider", "no such provider is configured; see `raincoat provider list`".to_owned()));
    };
    if !policy.providers.contains(name) {
        return Err(refuse("provider-not-chosen", format!("provider `{name}` was not chosen for this run")));
    }
    if policy.offline && !local {
        return Err(refuse("offline", format!("offline: provider `{name}` is not on this machine")));
    }
    Ok(())
}

fn target_allowed<A: Act>(
    policy: &Policy,
    now: Timestamp,
    target: &Target,
    proposal: &Proposal<A>,
) -> Result<(), Refusal> {
    let path = target.spot.path.display();
    let changes = A::CHANGES && !matches!(target.role, Role::Look | Role::Read);
    granted(policy, now, target, &proposal.actor, changes)?;
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

/// A grant of this id that speaks to the actor, has not ended, and lets things change where they would.
fn granted(policy: &Policy, now: Timestamp, target: &Target, actor: &Actor, changes: bool) -> Result<(), Refusal> {
    let path = target.spot.path.display();
    let mut refusal = refuse("no-grant", format!("`{path}` is in no granted folder; see `raincoat grants`"));
    for grant in policy.grants_of(target.spot.grant) {
        match grant_allows(grant, now, actor, changes) {
            None => return Ok(()),
            Some(("not-for-actor", _)) if refusal.rule != "no-grant" => {}
            Some((rule, words)) => refusal = refuse(rule, format!("`{path}`: {words}")),
        }
    }
    Err(refusal)
}

fn grant_allows(grant: &Grant, now: Timestamp, actor: &Actor, changes: bool) -> Option<(&'static str, &'static str)> {
    if !grant.who.includes(actor) {
        Some(("not-for-actor", "the grant is for another agent; see `raincoat grants`"))
    } else if grant.until.is_some_and(|until| now >= until) {
        Some(("grant-ended", "the grant has ended; grant the folder again"))
    } else if changes && grant.read_only {
        Some(("read-only-grant", "the folder is granted read-only; grant it without `--read-only` to change it"))
    } else {
        None
    }
}

fn approved(facts: &Facts) -> bool {
    facts.approval.as_ref().is_some_and(|approval| {
        facts.now < approval.until
            && match &approval.scope {
                Scope::Exactly(digest) => *digest == facts.digest,
                Scope::RestOfRun => true,
            }
    })
}

fn refuse(rule: &str, message: String) -> Refusal {
    Refusal { rule: rule.to_owned(), message }
}
