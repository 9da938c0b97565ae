//! Approvals that outlast the run that asks: kept sealed, answered from any terminal, expired to a no.
//!
//! A question binds to the digest of everything it is about (contents, the places as they were resolved, which files
//! stood there), and to who asks. Whoever asks the very same within its time finds the answer; anything else is another
//! question.

use raincoat_audit::Event;
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
        let closed = |state: &ApprovalState| {
            let words = match state {
                ApprovalState::Pending => return None,
                ApprovalState::Approved | ApprovalState::Denied(_) | ApprovalState::Settled => "it is answered already",
                ApprovalState::Expired => "its time has run out, which was a no; the run must ask again",
            };
            Some(Error::new(Class::Conflict, words))
        };
        if let Some(error) = closed(&approval.state) {
            return Err(error);
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
        let now = self.clock.now();
        let taken = self.store.transaction(|tx| {
            let found = tx.get(KIND, &approval.id.to_bytes())?.map(|bytes| read(&bytes, now)).transpose()?;
            match found.filter(|found| found.state == ApprovalState::Pending && found.digest == approval.digest) {
                Some(found) => put(tx, &Approval { state, ..found }).map(|()| true),
                None => Ok(false),
            }
        });
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
        let now = self.clock.now();
        self.store.transaction(|tx| {
            let found = tx.get(KIND, &id.to_bytes())?.map(|bytes| read(&bytes, now)).transpose()?;
            match found.filter(|found| found.state == ApprovalState::Approved) {
                Some(found) => put(tx, &Approval { state: ApprovalState::Settled, ..found }).map(|()| true),
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
        let now = self.clock.now();
        let settled = self.store.transaction(|tx| {
            let Some(bytes) = tx.get(KIND, &id.to_bytes())? else { return Ok(()) };
            put(tx, &Approval { state: ApprovalState::Settled, ..read(&bytes, now)? })
        });
        settled.map_err(Error::store)
    }

    /// Keeps what a person allowed for a folder.
    pub(crate) fn stand(&self, standing: &StandingApproval) -> Result<(), Error> {
        let bytes = postcard::to_stdvec(standing).map_err(Error::store)?;
        self.store.put(STANDING, &standing.id.to_bytes(), &bytes).map_err(Error::store)
    }
}

/// What a person allows who allows an actor's changes in a folder.
pub(crate) fn scope_words(actor: &str, folder: &[u8], until: Timestamp) -> String {
    format!("{actor}'s changes in {} that can be undone, until {} s after 1970", display_bytes(folder), until.secs)
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
