//! Bytes, names and words of every event.

use raincoat_types::{RelPath, Ulid};

use super::words::LINE;
use super::*;
use crate::Class;

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
            places: vec![spot.clone()],
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
        Event::CommandStarted { version: text(), command: text(), user: text() },
        Event::CommandEnded { command: text(), code: 9, why: text() },
        Event::UnlockRefused { slot: text(), failures: 9, last: Timestamp { secs: 7, nanos: 8 }, why: text() },
        Event::Locked { why: text() },
        Event::KeySlotAdded { slot: text() },
        Event::KeySlotRemoved { slot: text() },
        Event::PassphraseChanged,
        Event::CredentialAdded { name: text(), version: 9, hosts: vec![text()] },
        Event::SettingChanged { setting: text(), from: None, to: Some(text()) },
        Event::PolicyChanged { policy: text(), from: text(), to: text() },
        Event::ModeChanged { mode: text(), from: text(), to: text() },
        Event::GrantTakenBack { grant, path: path(), why: text() },
        Event::ApprovalAsked { digest, title: text(), shown: vec![text()], steps: 9 },
        Event::ApprovalUsed { title: text(), steps: 9, scope: text() },
        Event::OpPlanned {
            op,
            kind: ChangeKind::Replace,
            places: vec![spot.clone()],
            before: Some(digest),
            after: Some(digest),
            undoes: Some(op),
        },
        Event::OpMade { op, kind: ChangeKind::Create, places: vec![spot.clone()], before: None, after: Some(digest) },
        Event::BackupSkipped { op: Some(op), path: path(), why: text() },
        Event::Looked { verb: text(), target: path(), places: vec![spot], bytes: 9, items: 10, digest },
        Event::ModelAsked { provider: text(), model: text(), host: text(), bytes: 9, digest, redactions: 10 },
        Event::ModelAnswered { provider: text(), status: 200, bytes: 9, digest, why: text() },
        Event::ModelUsed {
            provider: text(),
            model: text(),
            input: 9,
            output: 10,
            cost_micros: Some(1_500_000),
            currency: Some(text()),
        },
        Event::TranscriptKept { from: text(), request: 9, part: 1, parts: 2, digest, text: text() },
        Event::ProgramStarted {
            program: path(),
            arguments: 9,
            digest,
            profile: Some(text()),
            hosts: vec![text()],
            limits: text(),
        },
        Event::ProgramEnded { code: -9, ended_by: Some(text()), changes: 10 },
        Event::ProgramRefused { call: text(), detail: text(), times: 9, fix: text() },
        Event::NetworkOpened { host: text(), port: 443, address: text() },
        Event::NetworkClosed { host: text(), port: 443, sent: 9, received: 10 },
        Event::NetworkRefused { host: text(), port: 443, why: text(), times: 9 },
        Event::DraftKept { of: run, changes: 9, dangerous: 10, conflicts: 11 },
        Event::DraftDiscarded { of: run, why: text() },
        Event::CommitDone { of: run, changes: 9, left_out: 10, conflicts: 11 },
        Event::UndoDone { of: run, undone: 9, left: 10 },
        Event::RestoreDone { path: path(), at: text(), to: Some(path()), files: 9, failed: 10 },
        Event::StorePruned { rule: text(), runs: 9, versions: 10, bytes: 11 },
        Event::StoreRepaired { what: text(), saved: 9, lost: 10 },
        Event::StoreVerified { deep: true, records: 9, problems: 10 },
        Event::BudgetReached { budget: 9, used: 10, what: text() },
        Event::StorageFailed { what: text(), why: text() },
        Event::StopAsked { run, how: text() },
        Event::RecoveryDone { run, finished: 9, rolled_back: 10 },
        Event::WitnessAdded { name: text(), key: text(), address: text() },
        Event::WitnessRemoved { name: text() },
        Event::WitnessCosigned { name: text(), size: 9, root: [6; 32] },
        Event::WitnessDisagreed { name: text(), size: 9, why: text() },
        Event::WitnessFailed { name: text(), why: text() },
        Event::LogVerified { entries: 9, deep: false, problems: 10, unchecked: vec![text()] },
        Event::TamperingFound { place: text(), what: text() },
        Event::ProofGiven { entry: 9, size: 10 },
        Event::ExportStarted { format: text(), to: text(), first: 9 },
        Event::ExportStopped { format: text(), to: text(), entries: 9, why: text() },
        Event::ExportDeadLettered { to: text(), entry: 9, why: text() },
        Event::AccessGranted { what: text(), to: text() },
        Event::AccessRefused { what: text(), to: text(), rule: text(), reason: text() },
        Event::Care(crate::care::samples().remove(0)),
        Event::Erased { slots: vec![1], at: Timestamp { secs: 7, nanos: 0 }, by: Erasure::Asked },
    ]
}

/// If this fails, logs that people have can no longer be read: add a variant instead of changing one.
#[test]
fn every_event_keeps_its_bytes() {
    for (number, event) in samples().iter().enumerate() {
        let bytes = postcard::to_stdvec(event).unwrap();
        assert_eq!(usize::from(bytes[0]), number, "{event:?}");
        assert_eq!(&postcard::from_bytes::<Event>(&bytes).unwrap(), event);
    }
    // What each release added keeps a digest of its own: a later one adds a line, and changes none.
    let mut from = 0;
    for (upto, digest) in GOLDEN {
        let bytes: Vec<u8> =
            samples()[from..upto].iter().flat_map(|event| postcard::to_stdvec(event).unwrap()).collect();
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), digest, "events {from} to {upto}");
        from = upto;
    }
    assert_eq!(from, samples().len(), "new events get a line of their own");
}

/// Numbers of events, and BLAKE3 of the bytes of those that came with them.
const GOLDEN: [(usize, &str); 2] = [
    (27, "e26fcd6e516a06d0e17272696e5d7135f1940add7e6be4ed1a6b0a836ad83d97"),
    (82, "cda8538f7e8083ec20392b8c489a76ac08e2f9e443015b71f734e2fa4e175a87"),
];

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

#[test]
fn every_event_has_a_name_and_a_class_of_its_own() {
    let mut names: Vec<&str> = samples().iter().map(Event::kind).collect();
    for name in &names {
        let plain = |c: char| c.is_ascii_lowercase() || c == '-' || c == '.';
        assert!(name.chars().all(plain) && name.matches('.').count() <= 1, "{name}");
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two events have one name");
    for class in Class::RULED {
        assert_eq!(Class::parse(class.name()), Some(class));
        assert!(samples().iter().any(|event| event.class() == class), "{class:?}");
    }
}
