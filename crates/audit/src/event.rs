//! What can stand in the log.
//!
//! The discipline that keeps old logs readable (entries are postcard, which writes a variant as its number): a variant
//! never changes, moves or goes away once it was released; new facts are new variants at the end. A reader that is
//! older than an entry shows it as [`Event::Newer`]. The test `every_event_keeps_its_bytes` holds this.
//!
//! No event carries a secret, a request's text or a file's content: only names, sizes, digests and words. The one
//! exception is [`Event::TranscriptKept`], which a person switches on. `docs/log.md` says of each what it holds and when
//! it is written.

mod kind;
#[cfg(test)]
pub(crate) mod tests;
mod words;

use raincoat_types::{ChangeKind, Digest, GrantId, OpId, RawPath, RunId, RunKind, RunStatus, Spot, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Care, Erasure};

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Never written: an event that this version does not know, of so many bytes.
    Newer {
        /// Its length.
        bytes: u64,
    },
    /// An event too long for an entry (or about more subjects than one can name), by what is left of it.
    Oversized {
        /// Its line, cut.
        line: String,
        /// Its length in bytes.
        bytes: u64,
        /// BLAKE3 of those bytes, keyed with the entry's own key so that it tells nothing once that is gone. (In
        /// entries of version 1 without a key.)
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
    /// A command that acts or hands out data began.
    CommandStarted {
        /// Our version.
        version: String,
        /// The command's verb, without its arguments.
        command: String,
        /// The system's name of who called it.
        user: String,
    },
    /// Such a command ended.
    CommandEnded {
        /// The command's verb.
        command: String,
        /// Its exit code.
        code: u8,
        /// What kept it from doing what was asked; empty where it did it.
        why: String,
    },
    /// Somebody tried to open the keys and could not. Written at the next unlock: before it there is no key to write with.
    UnlockRefused {
        /// By which slot.
        slot: String,
        /// How many times in a row until then.
        failures: u32,
        /// When the last of them was.
        last: Timestamp,
        /// Why.
        why: String,
    },
    /// A cached unlock was thrown away.
    Locked {
        /// Why.
        why: String,
    },
    /// One more way into the keys.
    KeySlotAdded {
        /// Which: `passphrase`, `key-file`.
        slot: String,
    },
    /// A way into the keys is gone.
    KeySlotRemoved {
        /// Which.
        slot: String,
    },
    /// Another passphrase opens the keys.
    PassphraseChanged,
    /// A credential was put into keeping, or a new version of one.
    CredentialAdded {
        /// Its name.
        name: String,
        /// Which version this is, from 1.
        version: u32,
        /// The hosts that it may be sent to.
        hosts: Vec<String>,
    },
    /// A setting of `config.toml`, or of the store, is another one.
    SettingChanged {
        /// Which.
        setting: String,
        /// What it was; `None` where it was not set. Never a secret.
        from: Option<String>,
        /// What it is.
        to: Option<String>,
    },
    /// A policy is another one.
    PolicyChanged {
        /// Which.
        policy: String,
        /// What it was, in words.
        from: String,
        /// What it is.
        to: String,
    },
    /// A mode was switched.
    ModeChanged {
        /// Which.
        mode: String,
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// A folder was taken back.
    GrantTakenBack {
        /// The grant.
        grant: GrantId,
        /// The folder.
        path: RawPath,
        /// Why.
        why: String,
    },
    /// A person is asked to approve. Written before they are.
    ApprovalAsked {
        /// The digest of all that is shown, contents included: what an answer binds to.
        digest: Digest,
        /// The plan's title.
        title: String,
        /// Its steps, one a line, as many as an entry holds; of contents only what the digest says.
        shown: Vec<String>,
        /// All its steps.
        steps: u64,
    },
    /// A plan went ahead by what a person had said before, without being shown.
    ApprovalUsed {
        /// The plan's title.
        title: String,
        /// Its steps.
        steps: u64,
        /// By which words of theirs.
        scope: String,
    },
    /// A file is about to be changed. Durable before it is.
    OpPlanned {
        /// The operation: the journal's entry of this id takes it back.
        op: OpId,
        /// The verb.
        kind: ChangeKind,
        /// The places it alters.
        places: Vec<Spot>,
        /// BLAKE3 of the content before, where there was a file.
        before: Option<Digest>,
        /// BLAKE3 of the content that is to be there, where it is to be a file.
        after: Option<Digest>,
        /// The operation that this one takes back, within an undo.
        undoes: Option<OpId>,
    },
    /// A file was changed, and checked.
    OpMade {
        /// The operation: the journal's entry of this id takes it back.
        op: OpId,
        /// The verb.
        kind: ChangeKind,
        /// The places it altered.
        places: Vec<Spot>,
        /// BLAKE3 of the content before, where there was a file.
        before: Option<Digest>,
        /// BLAKE3 of the content now, where there is a file.
        after: Option<Digest>,
    },
    /// A change was made without a backup, at a person's word for this very change.
    BackupSkipped {
        /// The operation, if it has an entry in the journal.
        op: Option<OpId>,
        /// What was changed.
        path: RawPath,
        /// Why there is none.
        why: String,
    },
    /// Something was looked at. Only in audit mode.
    Looked {
        /// The verb.
        verb: String,
        /// What, as its proposer named it.
        target: RawPath,
        /// What it was, found.
        places: Vec<Spot>,
        /// Bytes that came out.
        bytes: u64,
        /// Entries or matches that came out.
        items: u64,
        /// BLAKE3 of what came out.
        digest: Digest,
    },
    /// Bytes go to a model. Durable before they do.
    ModelAsked {
        /// The provider.
        provider: String,
        /// The model.
        model: String,
        /// The host and port.
        host: String,
        /// How many bytes.
        bytes: u64,
        /// BLAKE3 of them.
        digest: Digest,
        /// Pieces that were taken out of them before they went.
        redactions: u32,
    },
    /// A model's answer has ended.
    ModelAnswered {
        /// The provider.
        provider: String,
        /// HTTP status; 0 where none came.
        status: u16,
        /// How many bytes.
        bytes: u64,
        /// BLAKE3 of them.
        digest: Digest,
        /// Why it is not whole; empty where it is.
        why: String,
    },
    /// What a model's answer used up, as the provider says.
    ModelUsed {
        /// The provider.
        provider: String,
        /// The model.
        model: String,
        /// Tokens of the request.
        input: u64,
        /// Tokens of the answer.
        output: u64,
        /// Its cost in millionths of the currency; `None` where the price is not known.
        cost_micros: Option<u64>,
        /// The currency, as ISO 4217 writes it.
        currency: Option<String>,
    },
    /// A piece of a conversation with a model. Only in audit mode.
    TranscriptKept {
        /// Whose words: `request`, `reply`.
        from: String,
        /// Which request of the run, from 1.
        request: u64,
        /// Which piece of it, from 1.
        part: u32,
        /// How many pieces there are.
        parts: u32,
        /// BLAKE3 of the whole.
        digest: Digest,
        /// The piece.
        text: String,
    },
    /// A program is about to begin in a draft. Durable before it does.
    ProgramStarted {
        /// What is run: the command's first word.
        program: RawPath,
        /// How many words follow it.
        arguments: u32,
        /// BLAKE3 of all words, each ended by a zero byte.
        digest: Digest,
        /// The profile.
        profile: Option<String>,
        /// The hosts that it may reach.
        hosts: Vec<String>,
        /// What it may use up, in words.
        limits: String,
    },
    /// A program has ended.
    ProgramEnded {
        /// Its exit code; 128 and the signal's number where a signal ended it.
        code: i32,
        /// What ended it, where it did not end by itself.
        ended_by: Option<String>,
        /// Changes that lie in its draft.
        changes: u64,
    },
    /// The sandbox refused a program something.
    ProgramRefused {
        /// Which call.
        call: String,
        /// What, in words.
        detail: String,
        /// How many times so far.
        times: u64,
        /// What would allow it; empty where nothing does.
        fix: String,
    },
    /// A program was connected to a host.
    NetworkOpened {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The address that it had.
        address: String,
    },
    /// A program's connection has ended.
    NetworkClosed {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Bytes that went out.
        sent: u64,
        /// Bytes that came in.
        received: u64,
    },
    /// A program was refused a connection.
    NetworkRefused {
        /// The host, as it named it; may be empty.
        host: String,
        /// The port; 0 where it named none.
        port: u16,
        /// Why.
        why: String,
        /// How many times so far.
        times: u64,
    },
    /// A draft stays open for a person to look through.
    DraftKept {
        /// The program's run.
        of: RunId,
        /// Changes that lie in it.
        changes: u64,
        /// Of these: under protected names.
        dangerous: u64,
        /// Of these: where somebody changed the folder meanwhile.
        conflicts: u64,
    },
    /// A draft was thrown away.
    DraftDiscarded {
        /// The program's run.
        of: RunId,
        /// Why, in words.
        why: String,
    },
    /// A commit of a draft has ended.
    CommitDone {
        /// The program's run.
        of: RunId,
        /// Changes made; 0 where nothing was committed.
        changes: u64,
        /// Paths that were left out.
        left_out: u64,
        /// Paths that stood in the way.
        conflicts: u64,
    },
    /// An undo or a redo has ended.
    UndoDone {
        /// The run that it took back, or part of it.
        of: RunId,
        /// Operations taken back.
        undone: u64,
        /// Operations left as they are.
        left: u64,
    },
    /// A file or folder was put back as it was.
    RestoreDone {
        /// What.
        path: RawPath,
        /// As it was when, in words.
        at: String,
        /// To where, if elsewhere.
        to: Option<RawPath>,
        /// Files and folders put there.
        files: u64,
        /// Files and folders that could not be.
        failed: u64,
    },
    /// Before-images were thrown away.
    StorePruned {
        /// By which rule.
        rule: String,
        /// Runs that can no longer be taken back whole.
        runs: u64,
        /// Versions of files that are gone.
        versions: u64,
        /// Bytes given back.
        bytes: u64,
    },
    /// The store was repaired.
    StoreRepaired {
        /// What was wrong, in words.
        what: String,
        /// Records saved.
        saved: u64,
        /// Records lost.
        lost: u64,
    },
    /// The store was gone through.
    StoreVerified {
        /// Contents too.
        deep: bool,
        /// Records looked at.
        records: u64,
        /// Problems found.
        problems: u64,
    },
    /// The store has come to its budget.
    BudgetReached {
        /// Bytes that it may take.
        budget: u64,
        /// Bytes that it takes.
        used: u64,
        /// What became of it, in words.
        what: String,
    },
    /// A disk failed us: what was to be durable may not be.
    StorageFailed {
        /// What of ours.
        what: String,
        /// Why.
        why: String,
    },
    /// A person asked a run to stop.
    StopAsked {
        /// The run.
        run: RunId,
        /// How, in words.
        how: String,
    },
    /// What an interrupted run had left pending was settled at a start.
    RecoveryDone {
        /// The run.
        run: RunId,
        /// Operations that had been made, or were carried through.
        finished: u64,
        /// Operations taken back.
        rolled_back: u64,
    },
    /// A witness is to cosign the log's heads.
    WitnessAdded {
        /// Its name.
        name: String,
        /// Its verifier key, as signed notes write it.
        key: String,
        /// Where it is asked.
        address: String,
    },
    /// A witness is asked no more.
    WitnessRemoved {
        /// Its name.
        name: String,
    },
    /// A witness cosigned a head.
    WitnessCosigned {
        /// Its name.
        name: String,
        /// The head's size, in entries.
        size: u64,
        /// Its root hash (SHA-256).
        root: [u8; 32],
    },
    /// A witness saw another log than this one.
    WitnessDisagreed {
        /// Its name.
        name: String,
        /// The size that it saw last.
        size: u64,
        /// How it disagrees.
        why: String,
    },
    /// A witness could not be asked.
    WitnessFailed {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// The log was verified.
    LogVerified {
        /// Entries looked at.
        entries: u64,
        /// Payloads too.
        deep: bool,
        /// Problems found.
        problems: u64,
        /// What it could not be held against, in words; empty where everything was there.
        unchecked: Vec<String>,
    },
    /// Somebody changed what they must not: the journal, the log, keys or state.
    TamperingFound {
        /// Where.
        place: String,
        /// What.
        what: String,
    },
    /// A proof of an entry was handed out.
    ProofGiven {
        /// The entry's index.
        entry: u64,
        /// The size of the tree that it is proved in.
        size: u64,
    },
    /// Entries are being handed out.
    ExportStarted {
        /// In which format.
        format: String,
        /// To whom or where.
        to: String,
        /// From this entry on.
        first: u64,
    },
    /// No more are.
    ExportStopped {
        /// In which format.
        format: String,
        /// To whom or where.
        to: String,
        /// How many were taken.
        entries: u64,
        /// Why it ended.
        why: String,
    },
    /// An entry that nobody would take was put aside.
    ExportDeadLettered {
        /// To whom or where it was to go.
        to: String,
        /// The entry's index.
        entry: u64,
        /// Why it was not taken.
        why: String,
    },
    /// Data of ours was handed out: the log, a credential, what the journal holds.
    AccessGranted {
        /// What.
        what: String,
        /// To whom, or for what.
        to: String,
    },
    /// Data of ours was asked for and not handed out.
    AccessRefused {
        /// What.
        what: String,
        /// To whom, or for what.
        to: String,
        /// By which rule, by its short stable name.
        rule: String,
        /// Why, in words.
        reason: String,
    },
    /// Something was done with the log itself.
    Care(Care),
    /// Never written: an event whose key was destroyed. When it happened, and where it stands, is still known.
    Erased {
        /// The slots whose keys are gone, of those that the entry names.
        slots: Vec<u32>,
        /// When the first of them was destroyed.
        at: Timestamp,
        /// Why.
        by: Erasure,
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
