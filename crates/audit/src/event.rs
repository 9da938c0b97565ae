//! What can stand in the log.
//!
//! The discipline that keeps old logs readable (entries are postcard, which writes a variant as its number): a variant
//! never changes, moves or goes away once it was released; new facts are new variants at the end. A reader that is
//! older than an entry shows it as [`Event::Newer`]. The test `every_event_keeps_its_bytes` holds this.
//!
//! No event carries a secret, a request's text or a file's content: only names, sizes, digests and words.

use raincoat_types::{
    ChangeKind, Digest, GrantId, OpId, RawPath, RunId, RunKind, RunStatus, Spot, Timestamp, display_text,
};
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Never written: an event that this version does not know, of so many bytes.
    Newer {
        /// Its length.
        bytes: u64,
    },
    /// An event too long for an entry, by what is left of it.
    Oversized {
        /// Its line, cut.
        line: String,
        /// Its length in bytes.
        bytes: u64,
        /// BLAKE3 of those bytes.
        digest: Digest,
    },
    /// A process of ours began.
    Started {
        /// Our version.
        version: String,
        /// The command's verb, without its arguments.
        command: String,
    },
    /// A process of ours ended in good order.
    Stopped {
        /// Why.
        why: String,
    },
    /// The keys were unlocked.
    Unlocked {
        /// By which slot: `passphrase`, `key-file`, `cache`.
        slot: String,
    },
    /// Somebody tried to unlock the keys and could not.
    UnlockFailed {
        /// By which slot.
        slot: String,
        /// How many times in a row now.
        failures: u32,
    },
    /// A folder was handed out.
    GrantAdded {
        /// The grant.
        grant: GrantId,
        /// The folder.
        path: RawPath,
        /// Nothing in it may change.
        read_only: bool,
        /// Until when.
        until: Option<Timestamp>,
        /// To this agent only.
        agent: Option<String>,
        /// Globs that are denied within it.
        deny: Vec<String>,
    },
    /// A folder was taken back.
    GrantRevoked {
        /// The grant.
        grant: GrantId,
    },
    /// The configuration changed.
    ConfigChanged {
        /// Which setting.
        setting: String,
        /// From what to what, in words, without secrets.
        what: String,
    },
    /// A credential was put into keeping.
    KeyAdded {
        /// Its name.
        name: String,
    },
    /// A credential was thrown away.
    KeyRemoved {
        /// Its name.
        name: String,
    },
    /// A model's provider was added or changed.
    ProviderAdded {
        /// Its name.
        name: String,
        /// Its address, without credentials.
        url: String,
        /// The model, where one was named.
        model: Option<String>,
    },
    /// A run began.
    RunBegan {
        /// What was asked.
        goal: String,
        /// What sort of run.
        kind: RunKind,
        /// The folders it started with.
        grants: Vec<GrantId>,
    },
    /// A run ended.
    RunEnded {
        /// How.
        status: RunStatus,
        /// In words.
        summary: String,
    },
    /// An action was proposed, and judged.
    Proposed {
        /// The verb.
        action: String,
        /// On what, as the proposer named it.
        targets: Vec<RawPath>,
        /// The digest of the resolved action, where it could be resolved.
        digest: Option<Digest>,
        /// What the gate said.
        verdict: Judgement,
        /// By which rule, by its short stable name.
        rule: String,
        /// Why, in words.
        reason: String,
    },
    /// A person approved.
    Approved {
        /// The digest of the resolved action that the approval binds to.
        digest: Digest,
        /// What was shown.
        shown: String,
        /// For what it holds, in words.
        scope: String,
        /// Until when it holds.
        until: Option<Timestamp>,
    },
    /// A person said no.
    Declined {
        /// The digest of the resolved action.
        digest: Digest,
        /// What was shown.
        shown: String,
        /// The person's words.
        words: String,
    },
    /// A file is about to be changed. Durable before it is.
    OpIntended {
        /// The operation, by which the journal can undo it.
        op: OpId,
        /// The verb.
        kind: ChangeKind,
        /// The places it alters.
        places: Vec<Spot>,
        /// The content before, where there was a file.
        before: Option<Digest>,
        /// The operation that this one takes back, within an undo.
        undoes: Option<OpId>,
    },
    /// A file was changed, and checked.
    OpDone {
        /// The operation.
        op: OpId,
        /// The content after, where there is a file.
        after: Option<Digest>,
    },
    /// A file was not changed: it is as it was.
    OpFailed {
        /// The operation.
        op: OpId,
        /// Why.
        why: String,
    },
    /// Something was looked at.
    ReadDone {
        /// The verb.
        verb: String,
        /// What.
        target: RawPath,
        /// How many bytes came out.
        bytes: u64,
    },
    /// Bytes went to a model.
    ModelRequest {
        /// The provider.
        provider: String,
        /// The model.
        model: String,
        /// How many bytes.
        bytes: u64,
        /// BLAKE3 of them.
        digest: Digest,
    },
    /// Bytes came from a model.
    ModelReply {
        /// HTTP status; 0 where none came.
        status: u16,
        /// How many bytes.
        bytes: u64,
        /// BLAKE3 of them.
        digest: Digest,
    },
    /// An interrupted run was settled at a start.
    Recovered {
        /// The run.
        run: RunId,
        /// What was done about it.
        what: String,
    },
    /// An operation could not be taken back.
    UndoRefused {
        /// The operation.
        op: OpId,
        /// Why.
        why: String,
    },
    /// A layer of protection is missing here.
    ProtectionMissing {
        /// Which.
        layer: String,
        /// Why.
        why: String,
    },
    /// Something worth remembering.
    Notice {
        /// What.
        text: String,
    },
}

/// What the gate said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Judgement {
    /// It may be done.
    Allow,
    /// A person is to say.
    Ask,
    /// It may not.
    Deny,
    /// It was not decided, or was allowed, and came to nothing.
    Fail,
}

/// Characters of a line.
const LINE: usize = 400;

impl Event {
    /// The event in one line, with nothing in it that hides, moves or colours text on a terminal. At most 400
    /// characters.
    pub fn one_line(&self) -> String {
        // Paths in it are made visible already, each where it is put in.
        let line = display_text(&self.words()).replace(['\n', '\t'], " ");
        match line.char_indices().nth(LINE) {
            Some((cut, _)) => format!("{}...", line.get(..cut).unwrap_or_default()),
            None => line,
        }
    }

    fn words(&self) -> String {
        match self {
            Event::Newer { bytes } => format!("an event of a newer version ({bytes} bytes)"),
            Event::Oversized { line, bytes, digest } => format!("{line} (too long: {bytes} bytes, blake3 {digest})"),
            Event::Started { version, command } => format!("started raincoat {version}: {command}"),
            Event::Stopped { why } => format!("stopped: {why}"),
            Event::Unlocked { slot } => format!("unlocked by {slot}"),
            Event::UnlockFailed { slot, failures } => format!("could not unlock by {slot} ({failures} in a row)"),
            Event::GrantAdded { grant, path, read_only, until, agent, deny } => {
                let mut out = format!("granted {} as {grant}", text(path));
                for (set, words) in [
                    (*read_only, "read only".to_owned()),
                    (until.is_some(), "for a time".to_owned()),
                    (agent.is_some(), format!("for {}", agent.as_deref().unwrap_or_default())),
                    (!deny.is_empty(), format!("but not {}", deny.join(", "))),
                ] {
                    if set {
                        out = format!("{out}, {words}");
                    }
                }
                out
            }
            Event::GrantRevoked { grant } => format!("revoked grant {grant}"),
            Event::ConfigChanged { setting, what } => format!("configuration {setting}: {what}"),
            Event::KeyAdded { name } => format!("key {name} added"),
            Event::KeyRemoved { name } => format!("key {name} removed"),
            Event::ProviderAdded { name, url, model } => {
                format!("provider {name} at {url}{}", model.as_ref().map(|m| format!(", {m}")).unwrap_or_default())
            }
            Event::RunBegan { goal, kind: RunKind::Task, .. } => format!("run began: {goal}"),
            Event::RunBegan { goal, kind: RunKind::Undo { of, .. }, .. } => format!("undo of {of} began: {goal}"),
            Event::RunBegan { goal, kind: RunKind::Program, .. } => format!("program began in a draft: {goal}"),
            Event::RunBegan { goal, kind: RunKind::Restore, .. } => format!("restore began: {goal}"),
            Event::RunBegan { goal, kind: RunKind::Commit { of }, .. } => format!("commit of {of} began: {goal}"),
            Event::RunEnded { status, summary } => format!("run ended ({}): {summary}", status_word(*status)),
            Event::Proposed { action, targets, verdict, rule, reason, .. } => {
                let word = match verdict {
                    Judgement::Allow => "allowed",
                    Judgement::Ask => "asked about",
                    Judgement::Deny => "denied",
                    Judgement::Fail => "came to nothing",
                };
                format!("{word}: {action} {} ({rule}: {reason})", list(targets.iter().map(text)))
            }
            Event::Approved { scope, shown, .. } => format!("approved for {scope}: {shown}"),
            Event::Declined { shown, words, .. } => format!("declined: {shown} ({words})"),
            Event::OpIntended { op, kind, places, undoes, .. } => {
                let back = undoes.map(|op| format!(", taking back {op}")).unwrap_or_default();
                format!("{op} to {} {}{back}", kind_word(*kind), list(places.iter().map(spot)))
            }
            Event::OpDone { op, after } => {
                format!("{op} done{}", after.map(|digest| format!(", blake3 {digest}")).unwrap_or_default())
            }
            Event::OpFailed { op, why } => format!("{op} not done: {why}"),
            Event::ReadDone { verb, target, bytes } => format!("{verb} {} ({bytes} bytes)", text(target)),
            Event::ModelRequest { provider, model, bytes, digest } => {
                format!("sent {bytes} bytes to {model} at {provider}, blake3 {digest}")
            }
            Event::ModelReply { status, bytes, digest } => {
                format!("model answered {status} with {bytes} bytes, blake3 {digest}")
            }
            Event::Recovered { run, what } => format!("run {run} recovered: {what}"),
            Event::UndoRefused { op, why } => format!("{op} not taken back: {why}"),
            Event::ProtectionMissing { layer, why } => format!("protection missing: {layer} ({why})"),
            Event::Notice { text } => text.clone(),
        }
    }
}

/// Unsafe characters are made visible once, for the whole line.
fn text(path: &RawPath) -> String {
    path.0.utf8_chunks().fold(String::new(), |mut out, part| {
        out.push_str(part.valid());
        for byte in part.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
        out
    })
}

fn spot(spot: &Spot) -> String {
    let path = spot.path.display();
    if path.is_empty() { ".".to_owned() } else { path }
}

fn list(items: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 4;
    let items: Vec<String> = items.collect();
    match items.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", items.get(..SHOWN).unwrap_or_default().join(" ")),
        _ => items.join(" "),
    }
}

fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Open => "open",
        RunStatus::Done => "done",
        RunStatus::Stopped => "stopped",
        RunStatus::Failed => "failed",
        RunStatus::Interrupted => "interrupted",
    }
}

fn kind_word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Create => "create",
        ChangeKind::Replace => "replace",
        ChangeKind::Remove => "remove",
        ChangeKind::Move => "move",
        ChangeKind::Link => "link",
        ChangeKind::SetMeta => "set the metadata of",
    }
}

#[cfg(test)]
mod tests {
    use raincoat_types::{RelPath, Ulid};

    use super::*;

    pub(crate) fn samples() -> Vec<Event> {
        let text = || "x".to_owned();
        let path = || RawPath(b"/p/q".to_vec());
        let run = RunId(Ulid::from_parts(1, 2));
        let op = OpId { run, seq: 3 };
        let grant = GrantId(Ulid::from_parts(4, 5));
        let digest = Digest([6; 32]);
        let until = Some(Timestamp { secs: 7, nanos: 8 });
        let spot = Spot { grant, path: RelPath::new(b"a/b").unwrap() };
        vec![
            Event::Newer { bytes: 9 },
            Event::Oversized { line: text(), bytes: 9, digest },
            Event::Started { version: text(), command: text() },
            Event::Stopped { why: text() },
            Event::Unlocked { slot: text() },
            Event::UnlockFailed { slot: text(), failures: 9 },
            Event::GrantAdded { grant, path: path(), read_only: true, until, agent: Some(text()), deny: vec![text()] },
            Event::GrantRevoked { grant },
            Event::ConfigChanged { setting: text(), what: text() },
            Event::KeyAdded { name: text() },
            Event::KeyRemoved { name: text() },
            Event::ProviderAdded { name: text(), url: text(), model: Some(text()) },
            Event::RunBegan { goal: text(), kind: RunKind::Undo { of: run, ops: vec![1] }, grants: vec![grant] },
            Event::RunEnded { status: RunStatus::Done, summary: text() },
            Event::Proposed {
                action: text(),
                targets: vec![path()],
                digest: Some(digest),
                verdict: Judgement::Deny,
                rule: text(),
                reason: text(),
            },
            Event::Approved { digest, shown: text(), scope: text(), until },
            Event::Declined { digest, shown: text(), words: text() },
            Event::OpIntended {
                op,
                kind: ChangeKind::Replace,
                places: vec![spot],
                before: Some(digest),
                undoes: Some(op),
            },
            Event::OpDone { op, after: Some(digest) },
            Event::OpFailed { op, why: text() },
            Event::ReadDone { verb: text(), target: path(), bytes: 9 },
            Event::ModelRequest { provider: text(), model: text(), bytes: 9, digest },
            Event::ModelReply { status: 200, bytes: 9, digest },
            Event::Recovered { run, what: text() },
            Event::UndoRefused { op, why: text() },
            Event::ProtectionMissing { layer: text(), why: text() },
            Event::Notice { text: text() },
        ]
    }

    /// If this fails, logs that people have can no longer be read: add a variant instead of changing one.
    #[test]
    fn every_event_keeps_its_bytes() {
        let all: Vec<u8> = samples().iter().flat_map(|event| postcard::to_stdvec(event).unwrap()).collect();
        for (number, event) in samples().iter().enumerate() {
            let bytes = postcard::to_stdvec(event).unwrap();
            assert_eq!(usize::from(bytes[0]), number, "{event:?}");
            assert_eq!(&postcard::from_bytes::<Event>(&bytes).unwrap(), event);
        }
        assert_eq!(blake3::hash(&all).to_hex().as_str(), GOLDEN);
    }

    const GOLDEN: &str = "e26fcd6e516a06d0e17272696e5d7135f1940add7e6be4ed1a6b0a836ad83d97";

    #[test]
    fn a_line_hides_nothing_and_does_not_end_early() {
        let nasty = "a\u{202e}b\x1b[2J\nroot".to_owned();
        for event in [
            Event::Notice { text: nasty.clone() },
            Event::ReadDone { verb: "read".into(), target: RawPath(b"\xff\n\x1b[31m".to_vec()), bytes: 1 },
            Event::RunBegan { goal: nasty, kind: RunKind::Task, grants: vec![] },
        ] {
            let line = event.one_line();
            assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
        let long = Event::Notice { text: "é".repeat(10_000) }.one_line();
        assert_eq!(long.chars().count(), LINE + 3);
        for event in samples() {
            assert!(!event.one_line().is_empty());
        }
    }
}
