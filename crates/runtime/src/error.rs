//! What went wrong, by whose fault, and what to do next (HABITS 15).

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

    pub(crate) fn store(words: impl std::fmt::Display) -> Error {
        Error::new(Class::Damaged, format!("our own store failed: {words}"))
            .hint("`raincoat audit verify` says what is sound; nothing of yours was changed without a copy")
    }
}
