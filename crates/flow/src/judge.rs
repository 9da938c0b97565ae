//! Arguments taken apart for the gate, and its verdict put in words.

use raincoat_gate::{Argument, CallFacts, CallVerdict, Cause, Effect, Intent, Origin, Part};
use serde_json::Value;

use crate::index::Seen;
use crate::run::{Answer, Decision};
use crate::tool::{Slot, Tool};

/// One value of a call with what is known of it.
pub(crate) struct Gathered {
    /// The way to it: `attachments[0].file_id`.
    pub(crate) path: String,
    pub(crate) value: String,
    pub(crate) argument: Argument,
    /// The result that it stands in.
    pub(crate) result: Option<usize>,
}

/// Every value that is not empty, with the way to it; false where it is nested too deeply.
pub(crate) fn flatten(value: &Value, path: &str, depth: usize, out: &mut Vec<(String, String)>) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match value {
        Value::Object(map) => map.iter().all(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            flatten(value, &path, depth, out)
        }),
        Value::Array(items) => {
            items.iter().enumerate().all(|(at, value)| flatten(value, &format!("{path}[{at}]"), depth, out))
        }
        Value::String(text) => {
            if !text.trim().is_empty() {
                out.push((path.to_owned(), text.clone()));
            }
            true
        }
        Value::Number(number) => {
            out.push((path.to_owned(), number.to_string()));
            true
        }
        Value::Null | Value::Bool(_) => true,
    }
}

/// What a value is for: by the innermost name on the way to it that says so.
pub(crate) fn slot_at(tool: &Tool, path: &str) -> Slot {
    let names: Vec<&str> = path.split('.').map(|name| name.split('[').next().unwrap_or(name)).collect();
    let outer = names.first().map_or(Slot { part: Part::Thing, sure: false }, |name| tool.slot(name));
    match names.as_slice() {
        [] | [_] => outer,
        [.., last] => {
            let inner = tool.slot(last);
            if inner.sure { inner } else { outer }
        }
    }
}

/// The innermost name on the way to a value.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit('.').next().and_then(|name| name.split('[').next()).unwrap_or_default()
}

/// A text as it is shown in a sentence: one line, not too long, nothing invisible.
pub(crate) fn shown(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() || c == '`' { ' ' } else { c }).collect();
    let unseen = |c: &char| !matches!(u32::from(*c), 0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe0fff);
    let short: String = clean.chars().filter(unseen).take(80).collect();
    if clean.chars().count() > 80 { format!("{short}…") } else { short }
}

/// The verdict in words.
pub(crate) fn worded(
    verdict: &CallVerdict,
    function: &str,
    facts: &CallFacts,
    gathered: &[Gathered],
    seen: &[Seen],
) -> Decision {
    let (answer, causes) = match verdict {
        CallVerdict::Allow => return Decision { answer: Answer::Allow, reason: String::new() },
        CallVerdict::Ask(causes) => (Answer::Ask, causes),
        CallVerdict::Deny(causes) => (Answer::Deny, causes),
    };
    let mut reasons: Vec<String> =
        causes.iter().map(|cause| because(*cause, function, facts, gathered, seen)).collect();
    reasons.dedup();
    let more = reasons.len().saturating_sub(3);
    reasons.truncate(3);
    if more > 0 {
        reasons.push(format!("and {more} more"));
    }
    let next = match answer {
        Answer::Deny => "go on with what the user asked for; only the user can ask for this, in words of their own",
        _ => "a person must look at it first",
    };
    Decision { answer, reason: format!("{}; {next}", reasons.join("; ")) }
}

fn because(cause: Cause, function: &str, facts: &CallFacts, gathered: &[Gathered], seen: &[Seen]) -> String {
    let doing = match facts.effect {
        Effect::Read => "reads",
        Effect::Fetch => "reads from an address outside",
        Effect::Change => "changes something",
        Effect::Send => "hands something to others",
        Effect::Destroy => "takes something away",
        Effect::Pay => "moves money or orders something",
        Effect::Credential => "changes who may act for the user",
        Effect::Run => "runs something",
    };
    match cause {
        Cause::Intent(Intent::Spent) => {
            format!("`{}` has been called as often as the request calls for", shown(function))
        }
        Cause::Intent(Intent::Unclear) => {
            format!("`{}` {doing}, and the request does not clearly call for that", shown(function))
        }
        Cause::Intent(Intent::Delegated) => {
            format!("`{}` {doing}, and the request leaves it to what was read whether to do so", shown(function))
        }
        Cause::Intent(_) => format!("`{}` {doing}, and the request does not call for that", shown(function)),
        Cause::Argument(at) => gathered.get(at).map_or_else(String::new, |one| whence(one, seen)),
        Cause::Confidential(at) => {
            let path = gathered.get(at).map_or("", |one| one.path.as_str());
            format!("`{}` has what is private in it, and must not leave this machine", shown(path))
        }
    }
}

/// A value and where it came from.
pub(crate) fn whence(one: &Gathered, seen: &[Seen]) -> String {
    let place =
        one.result.and_then(|at| seen.get(at)).map_or_else(String::new, |seen| format!(" of `{}`", shown(&seen.tool)));
    let value = format!("`{}` in `{}`", shown(&one.value), shown(&one.path));
    match one.argument.origin {
        Origin::Injected => format!("{value} comes from text in the result{place} that gives orders to the agent"),
        Origin::Displaced => format!("{value} comes from the result{place}, and the user named another"),
        Origin::Unknown => format!("{value} was said by nobody: neither the user nor any result has it"),
        Origin::User => format!("{value} was said by the user"),
        _ => format!("{value} comes from text in the result{place} that anybody could have written"),
    }
}
