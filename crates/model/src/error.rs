//! What can be wrong with a reply, in words, and how much of one is read.

use raincoat_types::{Limits, display_bytes};

/// Characters of a provider's own message that are passed on.
const MESSAGE_CHARS: usize = 400;

/// Why a reply is of no use.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplyError {
    /// The provider answered with an HTTP status that is not a success.
    #[error("the provider answered with status {status}{}{message}; {}", if message.is_empty() { "" } else { ": " }, advice(*status))]
    Status {
        /// The HTTP status.
        status: u16,
        /// The provider's words, cut and made visible; may be empty.
        message: String,
    },
    /// The provider reported an error within a reply that began well.
    #[error("the provider broke off with an error: {0}; try again, or choose another model")]
    Provider(String),
    /// The bytes are not a reply in this dialect.
    #[error("the reply is not one that can be read: {0}; check that the base URL points at an OpenAI-compatible API")]
    Malformed(String),
    /// A limit was reached.
    #[error("the reply has more than {limit} {what}; it was given up")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The bytes ended before the reply did.
    #[error("the reply was cut before its end; try again")]
    Cut {
        /// Whether any text or tool call had come.
        began: bool,
    },
}

impl ReplyError {
    /// Whether the same request may well succeed when it is sent again: the provider is busy or failing (408, 409,
    /// 425, 429, 5xx), or the connection went before anything had come.
    pub fn worth_another_try(&self) -> bool {
        match self {
            ReplyError::Status { status, .. } => matches!(status, 408 | 409 | 425 | 429 | 500..=599),
            ReplyError::Cut { began } => !began,
            ReplyError::Provider(_) | ReplyError::Malformed(_) | ReplyError::Limit { .. } => false,
        }
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "check the provider's key (`raincoat key add`)",
        402 => "check the account's credit with the provider",
        404 => "check the base URL and the model's name (`raincoat provider test`)",
        408 | 409 | 425 | 500..=599 => "try again later",
        413 => "give it less to read, or choose a model with a larger window",
        429 => "wait a while, or choose another provider",
        _ => "check the provider's settings (`raincoat provider test`)",
    }
}

/// Somebody else's words for a person: cut at a bounded length, with control, invisible and direction-changing
/// characters made visible.
pub fn visible(text: &str) -> String {
    let text = text.trim();
    let cut: String = text.chars().take(MESSAGE_CHARS).collect();
    let mut shown = display_bytes(cut.as_bytes());
    if cut.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// How much of a reply is read (DESIGN invariant 12).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplyLimits {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes of one line, and of one event's data.
    pub line_bytes: u64,
    /// Events (chunks) in the stream.
    pub events: u64,
    /// Bytes of text, reasoning and refusal together.
    pub text_bytes: u64,
    /// Tool calls.
    pub tool_calls: u64,
    /// Bytes of one tool call's arguments.
    pub argument_bytes: u64,
    /// Levels of arrays and objects in any JSON of the reply.
    pub json_depth: u64,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        ReplyLimits::from(&Limits::default())
    }
}

impl From<&Limits> for ReplyLimits {
    fn from(limits: &Limits) -> Self {
        let total = limits.model_reply_bytes;
        ReplyLimits {
            total_bytes: total,
            // A server that ignores `stream` sends the whole reply as one line.
            line_bytes: total,
            events: 1_000_000,
            text_bytes: total,
            // Beyond `limits.tool_calls` the loop answers each call with a no; far beyond it a reply is hostile.
            tool_calls: u64::from(limits.tool_calls).saturating_mul(4).max(16),
            argument_bytes: total,
            json_depth: 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_words_are_cut_and_cannot_drive_a_terminal() {
        let shown = visible(&format!("\u{1b}[2Jgone\u{202e}{}", "x".repeat(10_000)));
        assert!(shown.starts_with("\\u{001b}[2Jgone\\u{202e}x"));
        assert!(shown.chars().count() < 450);
    }

    #[test]
    fn only_a_busy_provider_or_an_early_cut_is_worth_another_try() {
        for (status, again) in [(429, true), (503, true), (401, false), (400, false), (404, false)] {
            assert_eq!(ReplyError::Status { status, message: String::new() }.worth_another_try(), again, "{status}");
        }
        assert!(ReplyError::Cut { began: false }.worth_another_try());
        assert!(!ReplyError::Cut { began: true }.worth_another_try());
    }
}
