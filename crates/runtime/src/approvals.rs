//! Approvals that outlast the run that asks: kept sealed, answered from any terminal, expired to a no.
//!
//! A question binds to the digest of everything it is about (contents, the places as they were resolved, which files
//! stood there), and to who asks. Whoever asks the very same within its time finds the answer; anything else is another
//! question.

use raincoat_audit::Event;
use raincoat_audit::export::rfc3339;
use raincoat_os::new_ulid;
use raincoat_seal::{StoreError, Tx};
use raincoat_types::{Digest, GrantId, RelPath, RunId, Timestamp, Ulid, display_bytes};
use serde::{Deserialize, Serialize};

use crate::around::by_person;
use crate::console::{Answer, PlanView};
use crate::{Class, Error, Keeper};

const KIND: &str = "approval";
/// What a person allowed for a folder until a time.
const STANDING: &str = "standing-approval";
/// Bytes of what is shown that a question keeps; longer ones can be answered at the run's own terminal only.
const SHOWN_MOST: usize = 256 << 10;
/// Questions that are kept: the oldest answered or expired ones go first.
const KEPT: usize = 1000;

/// A question that was asked of the person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: Ulid,
    /// Who asks.
    pub actor: String,
    /// In which run it was asked.
    pub run: RunId,
    /// For what.
    pub title: String,
    /// The digest that an answer binds to.
    pub digest: Digest,
    /// When it was asked.
    pub asked: Timestamp,
    /// Until when an answer holds; then it is a no.
    pub until: Timestamp,
    /// Why it is asked.
    pub why: Vec<String>,
    /// All that the run's own terminal would show, line by line, without colours.
    pub shown: Vec<String>,
    /// It is all there.
    pub whole: bool,
    /// How it stands.
    pub state: ApprovalState,
}

/// How a question stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ApprovalState {
    /// Nobody has answered.
    Pending,
    /// Yes, once; not used yet.
    Approved,
    /// No, and what the agent is told.
    Denied(String),
    /// It was answered and acted on, or answered at the run's own terminal.
    Settled,
    /// Nobody answered in time, which is a no.
    Expired,
}

/// Changes of an actor's in a folder that do not ask until then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StandingApproval {
    /// Its id.
    pub id: Ulid,
    /// Whose changes.
    pub actor: String,
    /// The grant.
    pub grant: GrantId,
    /// Where beneath the granted folder.
    pub beneath: RelPath,
    /// The folder, for people.
    pub folder: Vec<u8>,
    /// Until when.
    pub until: Timestamp,
}

impl Keeper {
    /// Every question that is kept, oldest first.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn approvals(&self) -> Result<Vec<Approval>, Error> {
        let now = self.clock.now();
        let rows = self.store.list(KIND).map_err(Error::store)?;
        rows.into_iter().map(|(_, bytes)| read(&bytes, now).map_err(Error::store)).collect()
    }

    /// What was allowed for a folder until a time, and still is.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn standing_approvals(&self) -> Result<Vec<StandingApproval>, Error> {
        let now = self.clock.now();
        let mut all = Vec::new();
        for (_, bytes) in self.store.list(STANDING).map_err(Error::store)? {
            let one: StandingApproval = postcard::from_bytes(&bytes).map_err(Error::store)?;
            if now < one.until {
                all.push(one);
            }
        }
        Ok(all)
    }

    /// One question by the beginning or end of its id.
    ///
    /// # Errors
    /// Where it names none, or several.
    pub fn approval(&self, text: &str) -> Result<Approval, Error> {
        let wanted = text.to_ascii_uppercase();
        let names = |id: Ulid| {
            let id = id.to_string();
            !wanted.is_empty() && (id.starts_with(&wanted) || id.ends_with(&wanted))
        };
        let mut found = self.approvals()?.into_iter().filter(|approval| names(approval.id));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            _ => {
                let words = format!("`{}` names no question, or more than one", display_bytes(text.as_bytes()));
                Err(Error::new(Class::Usage, words).hint("`raincoat approvals` lists them"))
            }
        }
    }

    /// Answers a question: yes to exactly what was shown, once; or no, with words for the agent.
    ///
    /// # Errors
    /// Where it is not open any more, or is too long to have been shown in full; where the answer cannot be logged.
    pub fn answer(&self, approval: &Approval, denied: Option<String>) -> Result<(), Error> {
        let closed = match approval.state {
            ApprovalState::Pending => None,
            ApprovalState::Approved | ApprovalState::Denied(_) | ApprovalState::Settled => {
                Some("it is answered already")
            }
            ApprovalState::Expired => Some("its time has run out, which was a no; the run must ask again"),
        };
        if let Some(words) = closed {
            return Err(Error::new(Class::Conflict, words));
        }
        if denied.is_none() && !approval.whole {
            let words = "it is too long to be shown in full here, so it is answered where the run asks it";
            return Err(Error::new(Class::Refused, words));
        }
        let (digest, shown, until) = (approval.digest, approval.title.clone(), Some(approval.until));
        let (state, event) = match denied {
            Some(words) => (ApprovalState::Denied(words.clone()), Event::Declined { digest, shown, words }),
            None => {
                let scope = "exactly this, once; answered elsewhere".to_owned();
                (ApprovalState::Approved, Event::Approved { digest, shown, scope, until })
            }
        };
        // Logged first: an answer that stands nowhere in the log is none.
        self.log_about(&by_person(), vec![event])?;
        let open = |found: &Approval| found.state == ApprovalState::Pending && found.digest == approval.digest;
        let taken = self.turn(approval.id, open, state);
        if !taken.map_err(Error::store)? {
            return Err(Error::new(Class::Conflict, "it was answered by somebody else, or withdrawn, meanwhile"));
        }
        Ok(())
    }

    /// Takes back what was allowed for a folder.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn end_standing(&self, text: &str) -> Result<Option<StandingApproval>, Error> {
        let wanted = text.to_ascii_uppercase();
        let named = |one: &StandingApproval| !wanted.is_empty() && one.id.to_string().ends_with(&wanted);
        let Some(one) = self.standing_approvals()?.into_iter().find(named) else { return Ok(None) };
        let (policy, from) = (format!("approval {}", one.id), scope_words(&one.actor, &one.folder, one.until));
        let event = Event::PolicyChanged { policy, from, to: "taken back".to_owned() };
        self.log_about(&by_person(), vec![event])?;
        self.store.delete(STANDING, &one.id.to_bytes()).map_err(Error::store)?;
        Ok(Some(one))
    }

    /// An answer that was given before to the very same question of the same actor: it is used up by this.
    pub(crate) fn answered_before(&self, actor: &str, digest: Digest) -> Result<Option<Approval>, Error> {
        let given = self
            .approvals()?
            .into_iter()
            .find(|one| one.actor == actor && one.digest == digest && one.state == ApprovalState::Approved);
        let Some(given) = given else { return Ok(None) };
        Ok(self.use_up(given.id).map_err(Error::store)?.then_some(given))
    }

    /// Takes a yes, so that nobody else takes it too; whether there was one.
    fn use_up(&self, id: Ulid) -> Result<bool, StoreError> {
        self.turn(id, |found| found.state == ApprovalState::Approved, ApprovalState::Settled)
    }

    /// Gives a question another state, where it is still as it must be for that; whether it was. Nobody comes between.
    fn turn(&self, id: Ulid, is_so: impl Fn(&Approval) -> bool, state: ApprovalState) -> Result<bool, StoreError> {
        let now = self.clock.now();
        self.store.transaction(|tx| {
            let found = tx.get(KIND, &id.to_bytes())?.map(|bytes| read(&bytes, now)).transpose()?;
            match found.filter(is_so) {
                Some(found) => put(tx, &Approval { state, ..found }).map(|()| true),
                None => Ok(false),
            }
        })
    }

    /// Keeps a question before it is shown. The same one that is open already is not asked twice.
    pub(crate) fn ask_durably(
        &self,
        view: &PlanView<'_>,
        (shown, all_shown): (Vec<String>, bool),
    ) -> Result<Ulid, Error> {
        let now = self.clock.now();
        let actor = view.actor.name();
        let all = self.approvals()?;
        let same =
            |one: &&Approval| one.actor == actor && one.digest == view.digest && one.state == ApprovalState::Pending;
        if let Some(same) = all.iter().find(same) {
            return Ok(same.id);
        }
        let closed = all.iter().filter(|one| one.state != ApprovalState::Pending);
        for old in closed.take((all.len() + 1).saturating_sub(KEPT)) {
            self.store.delete(KIND, &old.id.to_bytes()).map_err(Error::store)?;
        }
        let mut bytes = 0;
        let mut kept = Vec::new();
        for line in shown {
            bytes += line.len();
            if bytes > SHOWN_MOST {
                break;
            }
            kept.push(line);
        }
        let id = new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?;
        let approval = Approval {
            id,
            actor,
            run: view.run,
            title: view.title.to_owned(),
            digest: view.digest,
            asked: now,
            until: view.until,
            why: view.why.to_vec(),
            shown: kept,
            whole: all_shown && bytes <= SHOWN_MOST,
            state: ApprovalState::Pending,
        };
        self.store.transaction(|tx| put(tx, &approval)).map_err(Error::store)?;
        Ok(id)
    }

    /// What somebody answered elsewhere, if anybody has; a yes is used up by this. A store that cannot be read has no
    /// answer.
    pub(crate) fn answer_elsewhere(&self, id: Ulid) -> Option<Answer> {
        let bytes = self.store.get(KIND, &id.to_bytes()).ok()??;
        match read(&bytes, self.clock.now()).ok()?.state {
            ApprovalState::Approved => self.use_up(id).ok()?.then_some(Answer::Accept),
            ApprovalState::Denied(words) => Some(Answer::Refuse(words)),
            ApprovalState::Expired => Some(Answer::Refuse("nobody answered in time".to_owned())),
            ApprovalState::Pending | ApprovalState::Settled => None,
        }
    }

    /// The question was answered, here or elsewhere, and is over.
    pub(crate) fn settle(&self, id: Ulid) -> Result<(), Error> {
        self.turn(id, |_| true, ApprovalState::Settled).map(drop).map_err(Error::store)
    }

    /// Keeps what a person allowed for a folder.
    pub(crate) fn stand(&self, standing: &StandingApproval) -> Result<(), Error> {
        let bytes = postcard::to_stdvec(standing).map_err(Error::store)?;
        self.store.put(STANDING, &standing.id.to_bytes(), &bytes).map_err(Error::store)
    }
}

/// What a person allows who allows an actor's changes in a folder.
pub(crate) fn scope_words(actor: &str, folder: &[u8], until: Timestamp) -> String {
    format!("{actor}'s changes in {} that can be undone, until {}", display_bytes(folder), rfc3339(until, 0))
}

fn put(tx: &Tx<'_>, approval: &Approval) -> Result<(), StoreError> {
    // Plain data always serialises; an empty row would not be read back, and so be no answer.
    let bytes = postcard::to_stdvec(approval).unwrap_or_default();
    tx.put(KIND, &approval.id.to_bytes(), &bytes)
}

/// A question as it stands now: one whose time has run out is answered with no.
fn read(bytes: &[u8], now: Timestamp) -> Result<Approval, StoreError> {
    let mut approval: Approval = postcard::from_bytes(bytes).map_err(|_| StoreError::Tampered(KIND.to_owned()))?;
    let open = matches!(approval.state, ApprovalState::Pending | ApprovalState::Approved);
    if open && now >= approval.until {
        approval.state = ApprovalState::Expired;
    }
    Ok(approval)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use raincoat_types::{Actor, Clock};

    use super::*;
    use crate::{Config, Home};

    /// A clock that is set by hand.
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp { secs: self.0.load(Ordering::Relaxed), nanos: 0 }
        }
    }

    fn keeper(dir: &Path, clock: &Arc<Hand>) -> Keeper {
        let home = Home { config: dir.join("c"), data: dir.join("d"), state: dir.join("s") };
        let clock: Arc<dyn Clock> = clock.clone();
        let nobody = &mut |_: crate::Ask| Err(Error::new(Class::Locked, "nobody"));
        Keeper::open(&home, Config::default(), clock, nobody).unwrap()
    }

    /// Asks a question that holds for 100 seconds.
    fn ask(keeper: &Keeper, digest: u8, shown: Vec<String>, whole: bool) -> Ulid {
        let view = PlanView {
            run: RunId(Ulid::from_parts(1, 1)),
            actor: &Actor::Agent("a".into()),
            title: "a plan",
            roots: &[],
            steps: &[],
            facts: &[],
            digest: Digest([digest; 32]),
            until: Timestamp { secs: keeper.clock.now().secs + 100, nanos: 0 },
            why: &[],
            irreversible: 0,
            totals: raincoat_types::Amounts::default(),
            elsewhere: &|| None,
            before: &|_| None,
        };
        keeper.ask_durably(&view, (shown, whole)).unwrap()
    }

    fn state(keeper: &Keeper, id: Ulid) -> ApprovalState {
        keeper.approval(&id.to_string()).unwrap().state
    }

    #[test]
    fn a_question_expires_to_a_no_whether_it_was_answered_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000)));
        let keeper = keeper(dir.path(), &clock);
        let (one, two) = (ask(&keeper, 1, vec!["x".into()], true), ask(&keeper, 2, vec!["y".into()], true));
        keeper.answer(&keeper.approval(&two.to_string()).unwrap(), None).unwrap();
        assert_eq!((state(&keeper, one), state(&keeper, two)), (ApprovalState::Pending, ApprovalState::Approved));
        clock.0.fetch_add(100, Ordering::Relaxed);
        assert_eq!((state(&keeper, one), state(&keeper, two)), (ApprovalState::Expired, ApprovalState::Expired));
        assert!(matches!(keeper.answer_elsewhere(one), Some(Answer::Refuse(words)) if words.contains("in time")));
        assert!(keeper.answered_before("agent:a", Digest([2; 32])).unwrap().is_none(), "too late");
        let late = keeper.answer(&keeper.approval(&one.to_string()).unwrap(), None).unwrap_err();
        assert_eq!(late.class, Class::Conflict);
    }

    #[test]
    fn an_answer_outlasts_the_process_and_is_used_once_by_who_asked_exactly_that() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000)));
        let id = {
            let keeper = keeper(dir.path(), &clock);
            let id = ask(&keeper, 1, vec!["x".into()], true);
            assert_eq!(ask(&keeper, 1, vec!["x".into()], true), id, "the same question is not asked twice");
            keeper.answer(&keeper.approval(&id.to_string()).unwrap(), None).unwrap();
            id
        };
        let keeper = keeper(dir.path(), &clock);
        assert!(keeper.answered_before("agent:b", Digest([1; 32])).unwrap().is_none(), "another asks");
        assert!(keeper.answered_before("agent:a", Digest([3; 32])).unwrap().is_none(), "something else is asked");
        assert_eq!(keeper.answered_before("agent:a", Digest([1; 32])).unwrap().map(|one| one.id), Some(id));
        assert!(keeper.answered_before("agent:a", Digest([1; 32])).unwrap().is_none(), "used up");
        assert_eq!(keeper.answer_elsewhere(id), None, "used up for who waits too");
        assert_eq!(state(&keeper, id), ApprovalState::Settled);
    }

    #[test]
    fn what_is_too_long_to_be_shown_in_full_is_answered_where_it_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000)));
        let keeper = keeper(dir.path(), &clock);
        let long = vec!["x".repeat(1000); 1000];
        for (digest, shown, whole) in [(1, long, true), (2, vec!["x".into()], false)] {
            let id = ask(&keeper, digest, shown, whole);
            let question = keeper.approval(&id.to_string()).unwrap();
            assert!(!question.whole && question.shown.iter().map(String::len).sum::<usize>() <= SHOWN_MOST);
            assert_eq!(keeper.answer(&question, None).unwrap_err().class, Class::Refused);
            keeper.answer(&question, Some("no".into())).unwrap();
            assert_eq!(keeper.answer_elsewhere(id), Some(Answer::Refuse("no".into())));
        }
    }

    #[test]
    fn what_was_allowed_for_a_folder_ends_by_itself_or_by_a_word() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000)));
        let keeper = keeper(dir.path(), &clock);
        let standing = |n| StandingApproval {
            id: Ulid::from_parts(n, n.into()),
            actor: "agent:a".into(),
            grant: GrantId(Ulid::from_parts(1, 1)),
            beneath: RelPath::ROOT,
            folder: b"/home/u/in".to_vec(),
            until: Timestamp { secs: 1_800_000_000 + i64::try_from(n).unwrap(), nanos: 0 },
        };
        keeper.stand(&standing(5)).unwrap();
        keeper.stand(&standing(50)).unwrap();
        assert_eq!(keeper.standing_approvals().unwrap(), [standing(5), standing(50)]);
        clock.0.fetch_add(5, Ordering::Relaxed);
        assert_eq!(keeper.standing_approvals().unwrap(), [standing(50)]);
        assert_eq!(keeper.end_standing(&standing(50).id.to_string()).unwrap(), Some(standing(50)));
        assert_eq!(keeper.end_standing(&standing(50).id.to_string()).unwrap(), None);
    }

    #[test]
    fn old_questions_go_and_open_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000)));
        let keeper = keeper(dir.path(), &clock);
        let first = ask(&keeper, 1, vec![], true);
        let closed = Approval { state: ApprovalState::Settled, ..keeper.approval(&first.to_string()).unwrap() };
        let put_all = |tx: &Tx<'_>| -> Result<(), StoreError> {
            (0..KEPT as u64).try_for_each(|n| put(tx, &Approval { id: Ulid::from_parts(n, 7), ..closed.clone() }))
        };
        keeper.store.transaction(put_all).unwrap();
        ask(&keeper, 2, vec![], true);
        let kept = keeper.approvals().unwrap();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept.iter().filter(|one| one.state == ApprovalState::Pending).count(), 2);
    }
}
