//! What can go wrong, in plain words.

use std::fmt;

/// Which sort of failure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NetErrorKind {
    /// The rules say no: nothing was sent, no name was looked up (or its address is not one to connect to).
    Refused,
    /// The name has no address.
    Resolve,
    /// No connection.
    Connect,
    /// No TLS, or not with whom it should be.
    Tls,
    /// No byte came or went for as long as the request allows.
    IdleTimeout,
    /// The request took longer than it may in all.
    TotalTimeout,
    /// The reply or its headers are larger than allowed.
    TooLarge,
    /// The connection ended before the reply did.
    Cut,
    /// Stopped by the person.
    Cancelled,
    /// What came is not HTTP, or not as was asked for; or the request itself cannot be sent as HTTP.
    Protocol,
    /// The system gives us no socket or thread.
    System,
}

/// A failure. The message is for people: what happened, to what, and what to do next. It never holds a header, a
/// body, or a URL's query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetError {
    kind: NetErrorKind,
    message: String,
}

impl NetError {
    pub(crate) fn new(kind: NetErrorKind, message: impl Into<String>) -> NetError {
        NetError { kind, message: message.into() }
    }

    /// Which sort.
    pub fn kind(&self) -> NetErrorKind {
        self.kind
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NetError {}
