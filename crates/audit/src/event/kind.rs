//! What sort of thing an event is: its name for machines, and the class that says how long it is kept.

use super::Event;
use crate::Class;

impl Event {
    /// What sort of event it is: a stable name for machines, such as `op.made`.
    pub fn kind(&self) -> &'static str {
        self.named().0
    }

    /// How long it is kept goes by this.
    pub fn class(&self) -> Class {
        self.named().1
    }

    fn named(&self) -> (&'static str, Class) {
        use Class::{Care, Configuration, Models, Operations, Reads, Security};
        match self {
            // Of these nobody knows what they were: they are kept as long as anything is.
            Event::Newer { .. } => ("newer", Security),
            Event::Oversized { .. } => ("oversized", Security),
            Event::Started { .. } => ("process.started", Operations),
            Event::Stopped { .. } => ("process.stopped", Operations),
            Event::Unlocked { .. } => ("keys.unlocked", Security),
            Event::UnlockFailed { .. } => ("keys.unlock-failed", Security),
            Event::GrantAdded { .. } => ("grant.added", Configuration),
            Event::GrantRevoked { .. } => ("grant.revoked", Configuration),
            Event::ConfigChanged { .. } => ("config.changed", Configuration),
            Event::KeyAdded { .. } => ("credential.put", Configuration),
            Event::KeyRemoved { .. } => ("credential.removed", Configuration),
            Event::ProviderAdded { .. } => ("provider.added", Configuration),
            Event::RunBegan { .. } => ("run.began", Operations),
            Event::RunEnded { .. } => ("run.ended", Operations),
            Event::Proposed { .. } => ("proposal.judged", Operations),
            Event::Approved { .. } => ("approval.given", Operations),
            Event::Declined { .. } => ("approval.declined", Operations),
            Event::OpIntended { .. } => ("op.intended", Operations),
            Event::OpDone { .. } => ("op.done", Operations),
            Event::OpFailed { .. } => ("op.failed", Operations),
            Event::ReadDone { .. } => ("read.done", Reads),
            Event::ModelRequest { .. } => ("model.request", Models),
            Event::ModelReply { .. } => ("model.reply", Models),
            Event::Recovered { .. } => ("run.recovered", Operations),
            Event::UndoRefused { .. } => ("undo.refused", Operations),
            Event::ProtectionMissing { .. } => ("protection.missing", Security),
            Event::Notice { .. } => ("notice", Operations),
            Event::CommandStarted { .. } => ("command.started", Operations),
            Event::CommandEnded { .. } => ("command.ended", Operations),
            Event::UnlockRefused { .. } => ("keys.unlock-refused", Security),
            Event::Locked { .. } => ("keys.locked", Security),
            Event::KeySlotAdded { .. } => ("keys.slot-added", Security),
            Event::KeySlotRemoved { .. } => ("keys.slot-removed", Security),
            Event::PassphraseChanged => ("keys.passphrase-changed", Security),
            Event::CredentialAdded { .. } => ("credential.added", Configuration),
            Event::SettingChanged { .. } => ("setting.changed", Configuration),
            Event::PolicyChanged { .. } => ("policy.changed", Configuration),
            Event::ModeChanged { .. } => ("mode.changed", Configuration),
            Event::GrantTakenBack { .. } => ("grant.taken-back", Configuration),
            Event::ApprovalAsked { .. } => ("approval.asked", Operations),
            Event::ApprovalUsed { .. } => ("approval.used", Operations),
            Event::OpPlanned { .. } => ("op.planned", Operations),
            Event::OpMade { .. } => ("op.made", Operations),
            Event::BackupSkipped { .. } => ("backup.skipped", Operations),
            Event::Looked { .. } => ("read.looked", Reads),
            Event::ModelAsked { .. } => ("model.asked", Models),
            Event::ModelAnswered { .. } => ("model.answered", Models),
            Event::ModelUsed { .. } => ("model.used", Models),
            Event::TranscriptKept { .. } => ("model.transcript", Models),
            Event::ProgramStarted { .. } => ("program.started", Operations),
            Event::ProgramEnded { .. } => ("program.ended", Operations),
            Event::ProgramRefused { .. } => ("program.refused", Security),
            Event::NetworkOpened { .. } => ("network.opened", Security),
            Event::NetworkClosed { .. } => ("network.closed", Security),
            Event::NetworkRefused { .. } => ("network.refused", Security),
            Event::DraftKept { .. } => ("draft.kept", Operations),
            Event::DraftDiscarded { .. } => ("draft.discarded", Operations),
            Event::CommitDone { .. } => ("commit.done", Operations),
            Event::UndoDone { .. } => ("undo.done", Operations),
            Event::RestoreDone { .. } => ("restore.done", Operations),
            Event::StorePruned { .. } => ("store.pruned", Operations),
            Event::StoreRepaired { .. } => ("store.repaired", Operations),
            Event::StoreVerified { .. } => ("store.verified", Operations),
            Event::BudgetReached { .. } => ("store.budget-reached", Operations),
            Event::StorageFailed { .. } => ("store.failed", Security),
            Event::StopAsked { .. } => ("run.stop-asked", Operations),
            Event::RecoveryDone { .. } => ("run.settled", Operations),
            Event::WitnessAdded { .. } => ("witness.added", Security),
            Event::WitnessRemoved { .. } => ("witness.removed", Security),
            Event::WitnessCosigned { .. } => ("witness.cosigned", Security),
            Event::WitnessDisagreed { .. } => ("witness.disagreed", Security),
            Event::WitnessFailed { .. } => ("witness.failed", Security),
            Event::LogVerified { .. } => ("log.verified", Security),
            Event::TamperingFound { .. } => ("tampering.found", Security),
            Event::ProofGiven { .. } => ("log.proof-given", Security),
            Event::ExportStarted { .. } => ("export.started", Security),
            Event::ExportStopped { .. } => ("export.stopped", Security),
            Event::ExportDeadLettered { .. } => ("export.dead-lettered", Security),
            Event::AccessGranted { .. } => ("access.granted", Security),
            Event::Care(care) => (care.kind(), Care),
            Event::Erased { .. } => ("erased", Security),
            Event::AccessRefused { .. } => ("access.refused", Security),
        }
    }
}
