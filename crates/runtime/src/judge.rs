//! The gate with what it needs for one run: the compiled policy, who acts, what was approved.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use raincoat_audit::{Event, Judgement};
use raincoat_effects::{Names, Recorder, Resolved};
use raincoat_gate::{Act, Approval, Confirm, Facts, Permit, Protection, Verdict, astray, decide};
use raincoat_os::{Root, beneath};
use raincoat_policy::Compiled;
use raincoat_types::{
    Actor, Clock, Digest, Failure, FailureKind, GrantId, Identity, Proposal, RawPath, Refusal, RelPath, RunId,
};

use crate::Keeper;
use crate::course::{Course, uses};
use crate::folders::is_or_lies_in;
use crate::labels::Lead;
use crate::rules::{Asker, Standing};

/// A run's granted folder as policy sees it: the run's own id, the grant behind it, and where beneath the grant it is.
#[derive(Clone, Debug)]
pub(crate) struct Scoped {
    pub(crate) id: GrantId,
    pub(crate) grant: GrantId,
    pub(crate) beneath: RelPath,
}

/// Our own directories, by what they are, whatever leads there; and every directory that they lie in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) dirs: Vec<Identity>,
    pub(crate) above: Vec<Identity>,
}

impl Own {
    /// Looks these directories up. One that is not there yet has nothing in it.
    pub(crate) fn find<'a>(dirs: impl IntoIterator<Item = &'a Path>) -> Own {
        let mut own = Own::default();
        for dir in dirs.into_iter().filter_map(|dir| Root::open(dir).ok()) {
            own.dirs.push(dir.identity());
            let above = dir.path().ancestors().skip(1).filter_map(|path| beneath::identity_of(path).ok());
            own.above.extend(above);
        }
        own
    }
}

/// Answers what is protected and denied.
pub(crate) struct RunNames {
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) scoped: Vec<Scoped>,
    pub(crate) own: Own,
    /// Folders whose content may not leave this machine, as absolute paths without symlinks.
    pub(crate) private: Vec<Vec<u8>>,
    /// What this run reads leaves the machine.
    pub(crate) leaves: bool,
}

impl Names for RunNames {
    fn protection(&self, folder: &[u8], path: &RelPath, tree: bool) -> Option<(Protection, String)> {
        raincoat_policy::protected(folder, path, tree)
            .map(|(protection, rule)| (protection, format!("{}: {}", rule.pattern, rule.why)))
    }

    fn private(&self, folder: &[u8], path: &RelPath) -> bool {
        let full = [folder, b"/", path.as_bytes()].concat();
        self.private.iter().any(|private| is_or_lies_in(&full, private))
    }

    fn is_hidden(&self, folder: &[u8], path: &RelPath) -> bool {
        self.leaves && self.private(folder, path)
    }

    fn denied(&self, grant: GrantId, path: &RelPath) -> Option<String> {
        let scoped = self.scoped.iter().find(|scoped| scoped.id == grant)?;
        // A path that cannot be said beneath its grant is denied by the empty glob.
        let full = path.names().try_fold(scoped.beneath.clone(), |at, name| at.join(name));
        match full {
            Ok(full) => self.compiled.denied(scoped.grant, &full),
            Err(error) => Some(error.to_string()),
        }
    }

    fn is_ours(&self, identity: &Identity) -> bool {
        self.own.dirs.contains(identity)
    }

    fn holds_ours(&self, identity: &Identity) -> bool {
        self.own.above.contains(identity)
    }
}

/// Decides for one run, and sees that a no stands in the log.
#[derive(Clone)]
pub(crate) struct Judge {
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) actor: Actor,
    pub(crate) run: RunId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) recorder: Recorder,
    pub(crate) course: Arc<Course>,
    /// The run's folders.
    pub(crate) scoped: Arc<Vec<Scoped>>,
    /// The owner's own rules, if there are any.
    pub(crate) asker: Option<Arc<Asker>>,
    /// What led to the step that is decided about, where a model proposed it.
    pub(crate) lead: Option<Lead>,
}

impl Keeper {
    /// A judge for the person's own doing, which counts against no budget.
    pub(crate) fn judge_of_person(&self, compiled: Arc<Compiled>, run: RunId, recorder: Recorder) -> Judge {
        let (actor, clock, course) = (Actor::Person, self.clock.clone(), Arc::default());
        Judge { compiled, actor, run, clock, recorder, course, scoped: Arc::default(), asker: None, lead: None }
    }
}

impl Scoped {
    /// A place beneath the grant, as one beneath this folder of the run; all of this folder where the place lies above.
    pub(crate) fn within(&self, beneath_grant: &RelPath) -> Option<RelPath> {
        if self.beneath.starts_with(beneath_grant) {
            return Some(RelPath::ROOT);
        }
        let inner = beneath_grant.starts_with(&self.beneath);
        let skip = self.beneath.names().count();
        inner.then(|| beneath_grant.names().skip(skip).try_fold(RelPath::ROOT, |at, name| at.join(name)).ok())?
    }
}

impl Judge {
    /// Whether the owner wrote rules that must be asked about every change.
    pub(crate) fn has_rules(&self) -> bool {
        self.asker.is_some()
    }

    /// The same, for a step that this led to.
    pub(crate) fn led_by(&self, lead: Option<&Lead>) -> Cow<'_, Judge> {
        match lead {
            Some(lead) => Cow::Owned(Judge { lead: Some(lead.clone()), ..self.clone() }),
            None => Cow::Borrowed(self),
        }
    }

    /// Others may have written what is in the step that is decided about, or, where no model proposed it, in anything
    /// that the run has read.
    fn is_tainted(&self) -> bool {
        self.lead.as_ref().map_or_else(|| self.course.is_tainted(), |lead| lead.tainted)
    }

    /// Notes what the owner's rules say of each place.
    pub(crate) fn rule_on<A: Act>(&self, action: &A, resolved: &mut Resolved) {
        let Some(asker) = &self.asker else { return };
        let (standing, bytes) = (self.standing(), resolved.bytes().saturating_add(action.new_bytes()));
        for target in &mut resolved.targets {
            let lost = A::CHANGES && self.recorder.waives(&target.spot.path);
            target.ruled = asker.of_place(action, target, lost, bytes, standing);
        }
    }

    /// How things stand, as the owner's rules see it.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            now: self.clock.now(),
            modes: self.compiled.policy.modes | self.course.modes(),
            tainted: self.is_tainted(),
            steered: self.lead.as_ref().is_some_and(|lead| astray(&lead.led.call).is_some()),
            private: self.course.carries_private(),
            local: !self.compiled.policy.model_elsewhere,
        }
    }

    /// Leave to act, or a refusal that was logged.
    pub(crate) fn decide<A: Act>(
        &self,
        action: A,
        resolved: &mut Resolved,
        said: Vec<RawPath>,
        approval: Option<Approval>,
    ) -> Result<Permit<A>, Refusal> {
        let now = self.clock.now();
        self.rule_on(&action, resolved);
        let targets = std::mem::take(&mut resolved.targets);
        let uses = uses(&action, &targets, resolved.bytes().saturating_add(action.new_bytes()));
        let counts = self.course.counts(&uses, now);
        let facts = Facts { now, digest: resolved.digest, targets, approval, counts, ..self.facts() };
        let permit = self.with_facts(action, &facts, said)?;
        self.course.spend(&uses, now);
        Ok(permit)
    }

    /// What is known of the run itself.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            now: self.clock.now(),
            modes: self.course.modes(),
            tainted: self.is_tainted(),
            led: self.lead.as_ref().map(|lead| lead.led.clone()),
            carries_private: self.course.carries_private(),
            missing_layer: self.course.missing_layer(),
            ..Facts::default()
        }
    }

    /// The same, with all the facts at hand.
    pub(crate) fn with_facts<A: Act>(
        &self,
        action: A,
        facts: &Facts,
        said: Vec<RawPath>,
    ) -> Result<Permit<A>, Refusal> {
        let (verb, asks_model) = (action.verb(), action.asks_model());
        let proposal = Proposal { actor: self.actor.clone(), run: self.run, action };
        let (verdict, refusal) = match decide(&self.compiled.policy, facts, proposal) {
            Verdict::Permit(permit) => {
                // A look that was allowed stands in the log by what came of it.
                if A::CHANGES || asks_model {
                    self.log_allowed(verb, said, facts, asks_model);
                }
                return Ok(permit);
            }
            Verdict::Ask { why, .. } => (
                Judgement::Ask,
                Refusal { rule: "not-approved".to_owned(), message: format!("{why}; nobody approved it") },
            ),
            Verdict::Deny { refusal } => (Judgement::Deny, refusal),
        };
        self.log_verdict(verb, said, Some(facts.digest), verdict, &refusal);
        Err(refusal)
    }

    /// A yes, in the log, with what it was by.
    pub(crate) fn log_allowed(&self, verb: &str, said: Vec<RawPath>, facts: &Facts, asks_model: bool) {
        let policy = &self.compiled.policy;
        let (rule, reason) = match &self.actor {
            _ if asks_model => ("provider-chosen", "the provider was chosen for this run"),
            Actor::Person if policy.commit == Some(self.run) => ("commit", "the person commits a draft"),
            Actor::Person => ("person", "the person's own doing"),
            _ if policy.confirm == Confirm::Plans => ("approved", "granted, and approved by the person"),
            _ => ("granted", "granted, and no approval was asked for"),
        };
        let found = || facts.targets.iter().map(|target| RawPath(target.spot.path.as_bytes().to_vec())).collect();
        let refusal = Refusal { rule: rule.to_owned(), message: reason.to_owned() };
        let targets = if said.is_empty() { found() } else { said };
        self.log_verdict(verb, targets, Some(facts.digest), Judgement::Allow, &refusal);
    }

    /// A failure, in the log: what was tried stands there whether the gate said no or the way led nowhere.
    pub(crate) fn log_failure(&self, verb: &str, said: Vec<RawPath>, failure: &Failure) {
        let verdict = match failure.kind {
            FailureKind::Outside | FailureKind::Denied => Judgement::Deny,
            _ => Judgement::Fail,
        };
        let refusal = Refusal { rule: rule_of(failure.kind).to_owned(), message: failure.message.clone() };
        self.log_verdict(verb, said, None, verdict, &refusal);
    }

    /// A verdict, in the log.
    pub(crate) fn log_verdict(
        &self,
        verb: &str,
        said: Vec<RawPath>,
        digest: Option<Digest>,
        verdict: Judgement,
        refusal: &Refusal,
    ) {
        self.recorder.log_lazily(vec![Event::Proposed {
            action: verb.to_owned(),
            targets: said,
            digest: digest.filter(|digest| *digest != Digest::default()),
            verdict,
            rule: refusal.rule.clone(),
            reason: refusal.message.clone(),
        }]);
    }
}

/// A failure's kind as a rule's name.
fn rule_of(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::NotFound => "not-found",
        FailureKind::Exists => "exists",
        FailureKind::WrongKind => "wrong-kind",
        FailureKind::Changed => "changed",
        FailureKind::Denied => "denied-by-system",
        FailureKind::Full => "full",
        FailureKind::Limit => "limit",
        FailureKind::Outside => "outside",
        FailureKind::Invalid => "invalid",
        FailureKind::Network => "network",
        FailureKind::Broken => "broken",
        FailureKind::Stopped => "stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raincoat_types::Ulid;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_private_folder_is_private_however_it_is_come_to_and_hidden_where_what_is_read_leaves() {
        let names = |leaves| RunNames {
            compiled: Arc::default(),
            scoped: Vec::new(),
            own: Own::default(),
            private: vec![b"/home/u/papers".to_vec()],
            leaves,
        };
        let here = names(false);
        for (folder, below) in
            [("/home/u", "papers"), ("/home/u", "papers/a/b"), ("/home/u/papers", ""), ("/home", "u/papers/x")]
        {
            assert!(here.private(folder.as_bytes(), &path(below)), "{folder} {below}");
            assert!(!here.is_hidden(folder.as_bytes(), &path(below)));
            assert!(names(true).is_hidden(folder.as_bytes(), &path(below)));
        }
        for (folder, below) in [("/home/u", "papers2"), ("/home/u", "paper"), ("/home/u", ""), ("/home/u/pap", "ers")] {
            assert!(!names(true).is_hidden(folder.as_bytes(), &path(below)), "{folder} {below}");
        }
    }

    #[test]
    fn what_was_allowed_beneath_a_grant_is_found_in_the_runs_own_folder() {
        let id = GrantId(Ulid::from_parts(1, 1));
        let scoped = |beneath: &str| Scoped { id, grant: id, beneath: path(beneath) };
        assert_eq!(scoped("").within(&path("a/b")), Some(path("a/b")));
        assert_eq!(scoped("a").within(&path("a/b")), Some(path("b")));
        assert_eq!(scoped("a/b/c").within(&path("a/b")), Some(RelPath::ROOT));
        assert_eq!(scoped("x").within(&path("a/b")), None);
    }
}
