//! The store opened for work: journal and log on their threads, what a crash left behind settled first.

use std::sync::Arc;

use raincoat_audit::{About, Audit, AuditKeys, Event, Memories, Options};
use raincoat_effects::{Recorder, Remembering};
use raincoat_journal::{Journal, JournalKeys};
use raincoat_os::PrivateDir;
use raincoat_os::process::user_name;
use raincoat_seal::SealKey;
use raincoat_types::Secret;

use crate::error::Fault;
use crate::{Class, Error, Keeper};

/// The store at work. [`Session::close`] ends it in good order.
pub(crate) struct Session {
    pub(crate) recorder: Recorder,
    remembering: Remembering,
}

impl Keeper {
    pub(crate) fn journal_dir(&self) -> Result<PrivateDir, Error> {
        self.data.dir("journal").map_err(Error::io("open the journal's directory"))
    }

    fn audit_dirs(&self) -> Result<(PrivateDir, PrivateDir), Error> {
        let fail = Error::io("open the log's directory");
        Ok((self.data.dir("audit").map_err(&fail)?, self.state.dir("head").map_err(&fail)?))
    }

    fn audit_keys(&self) -> AuditKeys {
        let key: &SealKey = self.keys.log();
        AuditKeys { payload: key.clone(), signing_seed: Secret::new(*self.keys.log_signing_seed()) }
    }

    /// The log's name: the same for ever, different for each store.
    fn origin(&self) -> String {
        let tag = self.keys.log().mac(b"raincoat audit origin");
        let hex: String = tag.iter().take(8).map(|b| format!("{b:02x}")).collect();
        format!("raincoat.local/{hex}")
    }

    pub(crate) fn journal_keys(&self) -> JournalKeys {
        JournalKeys::new(self.keys.journal(), self.keys.index())
    }

    /// What the log is held against, besides the head in the state directory.
    fn memories(&self) -> Memories {
        let (folder, folder_missing) = match self.config.log_memory.as_deref().map(PrivateDir::open) {
            None => (None, None),
            Some(Ok(folder)) => (Some(folder), None),
            Some(Err(error)) => {
                let shown = self.config.log_memory.as_deref().unwrap_or(std::path::Path::new("")).display();
                (None, Some(format!("`{shown}` cannot be opened: {error}")))
            }
        };
        Memories { keyring: self.config.log_keyring, folder, folder_missing, known: Vec::new() }
    }

    pub(crate) fn open_audit(&self) -> Result<Audit, Error> {
        self.open_audit_as(false)
    }

    /// The same, `accept` where a person has said that the log is right whatever the memories say.
    pub(crate) fn open_audit_as(&self, accept: bool) -> Result<Audit, Error> {
        if !accept {
            self.held_by_witnesses()?;
        }
        let (dir, head) = self.audit_dirs()?;
        let options = Options { memories: self.memories(), person: Some(user_name()), accept };
        let opened = Audit::open_with(dir, head, self.audit_keys(), &self.origin(), self.clock.clone(), options);
        let mut audit = opened.map_err(|e| {
            if e.is_of_the_system() {
                return Error::store(e);
            }
            Error::new(Class::Damaged, format!("the log cannot be added to: {e}"))
                .hint("`raincoat audit verify` says what is wrong; nothing is done while the log is unsound")
        })?;
        self.tell_beginning(&mut audit)?;
        Ok(audit)
    }

    pub(crate) fn audit_reader(&self) -> Result<raincoat_audit::AuditReader, Error> {
        let (dir, head) = self.audit_dirs()?;
        raincoat_audit::AuditReader::open_with(dir, head, self.audit_keys(), &self.origin(), self.memories())
            .map_err(Error::store)
    }

    /// Appends events outside any run.
    pub(crate) fn log_alone(&self, events: Vec<Event>) -> Result<(), Error> {
        self.log_about(&About::NOTHING, events)
    }

    /// Appends events outside any run that become durable with the next that must be.
    pub(crate) fn note(&self, events: &[Event]) -> Result<(), Error> {
        self.open_audit()?.append_lazy(&About::NOTHING, events).map(drop).map_err(Error::store)
    }

    /// Appends events about a run that is over.
    pub(crate) fn log_about(&self, about: &About, events: Vec<Event>) -> Result<(), Error> {
        let mut audit = self.open_audit()?;
        audit.append(about, &events).map_err(Error::store)?;
        audit.close().map_err(Error::store)?;
        Ok(())
    }

    /// Opens the store for work and settles interrupted runs; `told` hears of each.
    pub(crate) fn session(&self, told: &mut dyn FnMut(crate::Recovered)) -> Result<Session, Error> {
        let audit = self.open_audit()?;
        let (mut journal, interrupted) =
            Journal::open(self.journal_dir()?, self.journal_keys(), self.clock.as_ref()).map_err(Error::store)?;
        let missing = self.held_against_memory(&mut journal)?;
        let used = journal.size().map_err(Error::store)?;
        let (recorder, remembering) = Recorder::start(journal, audit);
        let recorder = recorder.with_room(self.room_rule()?, used, self.clock.clone());
        let recorder = match &self.waives {
            Some(waives) => recorder.without_backup(Arc::clone(waives)),
            None => recorder,
        };
        recorder.log_lazily(missing);
        let session = Session { recorder, remembering };
        for run in interrupted {
            told(self.recover(&session, run)?);
        }
        // A power cut may have brought back what was left of a draft that was let go, and with it another name of some
        // file of the person's. What cannot be taken away now is tried again by the next.
        let _ = self.open_drafts();
        Ok(session)
    }
}

impl Session {
    /// Tells the person what was pruned to make room, and what of somebody's was kept beside, if anything was.
    pub(crate) fn tell_of_room(&self, console: &mut dyn crate::Console) {
        self.recorder.said().iter().for_each(|words| console.notice(words));
    }

    /// Ends the work: everything is durable and the log published when this returns.
    pub(crate) fn close(self) -> Result<(), Error> {
        drop(self.recorder);
        let (journal, audit) = self.remembering.join().map_err(Error::store)?;
        drop(journal);
        audit.close().map_err(Error::store)?;
        Ok(())
    }

    /// Ends the work: everything is durable when this returns. The log is published by the next command that has
    /// time for it.
    pub(crate) fn leave(self) -> Result<(), Error> {
        drop(self.recorder);
        let (journal, audit) = self.remembering.join().map_err(Error::store)?;
        drop(journal);
        audit.leave().map_err(Error::store)
    }
}
