//! What each event says, in named fields, and how much it matters. The one place that knows every event.

use raincoat_types::{RunKind, RunStatus};

use super::fields::{Fields, Outcome, Severity};
use crate::{Event, Judgement};

/// How much an event matters, and whether something came to what was meant.
pub(super) fn weight_of(event: &Event) -> (Severity, Outcome) {
    use Outcome::{Failure, Success, Unknown};
    use Severity::{Error, Info, Notice, Warning};
    match event {
        Event::Newer { .. }
        | Event::Oversized { .. }
        | Event::Notice { .. }
        | Event::OpIntended { .. }
        | Event::OpPlanned { .. }
        | Event::ModelRequest { .. }
        | Event::ModelAsked { .. }
        | Event::ModelUsed { .. }
        | Event::TranscriptKept { .. }
        | Event::ApprovalAsked { .. } => (Info, Unknown),

        Event::Started { .. }
        | Event::Stopped { .. }
        | Event::CommandStarted { .. }
        | Event::Unlocked { .. }
        | Event::Locked { .. }
        | Event::RunBegan { .. }
        | Event::OpDone { .. }
        | Event::OpMade { .. }
        | Event::ReadDone { .. }
        | Event::Looked { .. }
        | Event::ProgramStarted { .. }
        | Event::NetworkOpened { .. }
        | Event::NetworkClosed { .. }
        | Event::WitnessCosigned { .. } => (Info, Success),

        Event::GrantAdded { .. }
        | Event::GrantRevoked { .. }
        | Event::GrantTakenBack { .. }
        | Event::ConfigChanged { .. }
        | Event::SettingChanged { .. }
        | Event::PolicyChanged { .. }
        | Event::ModeChanged { .. }
        | Event::KeyAdded { .. }
        | Event::KeyRemoved { .. }
        | Event::CredentialAdded { .. }
        | Event::KeySlotAdded { .. }
        | Event::KeySlotRemoved { .. }
        | Event::PassphraseChanged
        | Event::ProviderAdded { .. }
        | Event::Approved { .. }
        | Event::ApprovalUsed { .. }
        | Event::Recovered { .. }
        | Event::RecoveryDone { .. }
        | Event::DraftKept { .. }
        | Event::DraftDiscarded { .. }
        | Event::StopAsked { .. }
        | Event::StorePruned { .. }
        | Event::ErasureDone { .. }
        | Event::RetentionChanged { .. }
        | Event::HoldPlaced { .. }
        | Event::HoldReleased { .. }
        | Event::LogPruned { .. }
        | Event::WitnessAdded { .. }
        | Event::WitnessRemoved { .. }
        | Event::ProofGiven { .. }
        | Event::ExportStarted { .. }
        | Event::ExportStopped { .. }
        | Event::AccessGranted { .. } => (Notice, Success),

        Event::Declined { .. }
        | Event::OpFailed { .. }
        | Event::UndoRefused { .. }
        | Event::ProgramRefused { .. }
        | Event::NetworkRefused { .. }
        | Event::WitnessFailed { .. }
        | Event::ExportDeadLettered { .. }
        | Event::BudgetReached { .. }
        | Event::AccessRefused { .. } => (Warning, Failure),

        Event::BackupSkipped { .. } | Event::HeadAccepted { .. } | Event::StoreRepaired { .. } => (Warning, Success),

        Event::UnlockFailed { .. }
        | Event::UnlockRefused { .. }
        | Event::ProtectionMissing { .. }
        | Event::StorageFailed { .. }
        | Event::WitnessDisagreed { .. }
        | Event::TamperingFound { .. } => (Error, Failure),

        Event::RunEnded { status, .. } => match status {
            RunStatus::Done => (Info, Success),
            RunStatus::Open => (Info, Unknown),
            RunStatus::Stopped => (Notice, Unknown),
            RunStatus::Failed | RunStatus::Interrupted => (Warning, Failure),
        },
        Event::Proposed { verdict, .. } => match verdict {
            Judgement::Allow => (Info, Success),
            Judgement::Ask => (Info, Unknown),
            Judgement::Deny | Judgement::Fail => (Warning, Failure),
        },
        Event::ModelReply { status, .. } => whole((200..300).contains(status)),
        Event::ModelAnswered { status, why, .. } => whole((200..300).contains(status) && why.is_empty()),
        Event::CommandEnded { code, .. } => whole(*code == 0),
        Event::ProgramEnded { code, .. } => whole(*code == 0),
        Event::CommitDone { conflicts, .. } => whole(*conflicts == 0),
        Event::UndoDone { left, .. } => whole(*left == 0),
        Event::RestoreDone { failed, .. } => whole(*failed == 0),
        Event::StoreVerified { problems, .. } | Event::LogVerified { problems, .. } => match problems {
            0 => (Info, Success),
            _ => (Error, Failure),
        },
    }
}

fn whole(is: bool) -> (Severity, Outcome) {
    if is { (Severity::Info, Outcome::Success) } else { (Severity::Warning, Outcome::Failure) }
}

/// Adds what an event says. A transcript's words stay where they are: it goes out by its digest.
pub(super) fn add(to: &mut Fields, event: &Event) {
    match event {
        Event::Newer { bytes } => to.number("bytes", *bytes),
        Event::Oversized { line, bytes, digest } => {
            to.text("text", line);
            to.number("bytes", *bytes);
            to.digest("digest", Some(*digest));
        }
        Event::Started { version, command } => {
            to.text("version", version);
            to.text("command", command);
        }
        Event::Stopped { why } | Event::Locked { why } => to.text("reason", why),
        Event::CommandStarted { version, command, user } => {
            to.text("version", version);
            to.text("command", command);
            to.text("user", user);
        }
        Event::CommandEnded { command, code, why } => {
            to.text("command", command);
            to.number("code", u64::from(*code));
            to.text("reason", why);
        }
        Event::RunBegan { goal, kind, grants } => {
            to.text("goal", goal);
            run_kind(to, kind);
            to.texts("grants", &grants.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        Event::RunEnded { status, summary } => {
            to.id("run_status", status_word(*status));
            to.text("text", summary);
        }
        Event::Recovered { run, what } => {
            to.id("of", run);
            to.text("text", what);
        }
        Event::RecoveryDone { run, finished, rolled_back } => {
            to.id("of", run);
            to.number("finished", *finished);
            to.number("rolled_back", *rolled_back);
        }
        Event::StopAsked { run, how } => {
            to.id("of", run);
            to.text("text", how);
        }
        Event::Notice { text } => to.text("text", text),
        other => rest(to, other),
    }
}

fn rest(to: &mut Fields, event: &Event) {
    access(to, event);
    configuration(to, event);
    decisions(to, event);
    files(to, event);
    models(to, event);
    programs(to, event);
    store(to, event);
    log(to, event);
}
