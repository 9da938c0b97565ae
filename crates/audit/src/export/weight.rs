//! How much an event matters, and whether something came to what was meant.

use raincoat_types::RunStatus;

use super::fields::{Outcome, Severity};
use crate::{Event, Judgement};

/// Both, of one event.
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
