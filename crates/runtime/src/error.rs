//! What went wrong, by whose fault, and what to do next (HABITS 15).

use std::fmt::Display;

use raincoat_audit::AuditError;
use raincoat_journal::JournalError;
use raincoat_policy::GrantError;
use raincoat_seal::StoreError;
use raincoat_vault::VaultError;

/// Whose fault it is. The command line has one exit code for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// What was asked cannot be meant: a bad path, pattern, name or number.
    Usage,
    /// The gate or a person said no, or nothing was granted.
    Refused,
    /// The keys did not open: no passphrase, a wrong one, too soon.
    Locked,
    /// The files are not as they were: somebody changed them since.
    Conflict,
    /// The model, its provider or the network.
    Peer,
    /// The system: no space, no permission, a read-only disk, a missing layer in strict mode.
    Environment,
    /// Our own data is damaged, or was changed by somebody else.
    Damaged,
    /// The task was done in part, or failed.
    Failed,
    /// Stopped by the person.
    Stopped,
    /// Ours.
    Bug,
}

/// An error for the person: what, where, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Whose fault.
    pub class: Class,
    /// What and where, in lower case, without a full stop.
    pub message: String,
    /// What to do next; empty where the message says it.
    pub hint: String,
}

impl Error {
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Error {
        Error { class, message: message.into(), hint: String::new() }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = hint.into();
        self
    }

    pub(crate) fn io(doing: &str) -> impl Fn(std::io::Error) -> Error + use<'_> {
        move |error| Error::new(Class::Environment, format!("could not {doing}: {error}"))
    }

    pub(crate) fn store(fault: impl Fault) -> Error {
        if fault.is_of_the_system() {
            return Error::new(Class::Environment, format!("our own store cannot be used: {fault}"))
                .hint("what was done is in the journal, and the next command settles what was under way");
        }
        Error::new(Class::Damaged, format!("our own store failed: {fault}"))
            .hint("`raincoat audit verify` says what is sound; nothing of yours was changed without a copy")
    }
}

/// What our own store fails by.
pub(crate) trait Fault: Display {
    /// The system is at fault (a full disk, a read-only one, a missing permission), not what we keep.
    fn is_of_the_system(&self) -> bool {
        false
    }
}

impl Fault for AuditError {
    fn is_of_the_system(&self) -> bool {
        matches!(self, AuditError::Io { .. } | AuditError::Full | AuditError::Poisoned | AuditError::HeadNotKept(_))
    }
}

impl Fault for JournalError {
    fn is_of_the_system(&self) -> bool {
        matches!(self, JournalError::Io { .. } | JournalError::Full | JournalError::Poisoned(_))
    }
}

impl Fault for StoreError {
    fn is_of_the_system(&self) -> bool {
        matches!(self, StoreError::Io(_) | StoreError::DiskFull | StoreError::Busy)
    }
}

impl<F: Fault> Fault for &F {
    fn is_of_the_system(&self) -> bool {
        (**self).is_of_the_system()
    }
}

/// What the journal's and the log's own threads say: in their words only.
impl Fault for String {
    fn is_of_the_system(&self) -> bool {
        self.contains(&AuditError::Full.to_string()) || self.contains(&JournalError::Full.to_string())
    }
}

impl Fault for VaultError {
    fn is_of_the_system(&self) -> bool {
        matches!(self, VaultError::Store(error) if error.is_of_the_system())
    }
}

impl Fault for postcard::Error {}

/// A grant that was kept does not compile any more.
impl Fault for GrantError {}
