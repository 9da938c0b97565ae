//! A layer of protection and whether it holds here.

use std::borrow::Cow;

/// Whether a layer holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LayerState {
    /// In force. From [`crate::probe`]: it was seen to refuse what is possible without it.
    Enforced,
    /// Not here.
    Missing,
    /// Could not be tried.
    Unknown,
}

/// A layer of protection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layer {
    /// Its name, the same for ever: scripts read it.
    pub name: Cow<'static, str>,
    /// Whether it holds.
    pub state: LayerState,
    /// What was seen, in words.
    pub why: String,
    /// What to do about it; empty where there is nothing to do.
    pub fix: Cow<'static, str>,
}

impl Layer {
    pub(crate) fn enforced(name: impl Into<Cow<'static, str>>, why: impl Into<String>) -> Layer {
        Layer { name: name.into(), state: LayerState::Enforced, why: why.into(), fix: Cow::Borrowed("") }
    }

    pub(crate) fn missing(
        name: impl Into<Cow<'static, str>>,
        why: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Layer {
        Layer { name: name.into(), state: LayerState::Missing, why: why.into(), fix: fix.into() }
    }

    pub(crate) fn unknown(
        name: impl Into<Cow<'static, str>>,
        why: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Layer {
        Layer { name: name.into(), state: LayerState::Unknown, why: why.into(), fix: fix.into() }
    }

    /// Whether it is in force.
    pub fn is_enforced(&self) -> bool {
        self.state == LayerState::Enforced
    }
}
