//! The composition root: the only room that sees both the agent and the effects. It holds the keys, the gate, the
//! journal, the log and the approvals; it starts workers, carries proposals to the gate and permits to the effects,
//! and settles what a crash left behind.
//!
//! A command makes a [`Keeper`], asks it for what it needs, and gives it a [`Console`] to speak to the person by.

mod around;
mod can_undo;
mod commit;
mod config;
mod console;
mod converse;
mod doctor;
mod drafts;
mod error;
mod exec;
mod export;
mod folders;
mod grants;
mod history;
mod home;
mod inspect;
mod judge;
mod keeper;
mod live;
mod log_care;
mod look;
mod plan;
mod proof;
mod prove;
mod providers;
mod recovery;
mod restore;
mod run;
mod session;
mod store;
mod undo;
mod witness;
mod witness_server;
mod worker;

pub use can_undo::{CanUndo, Verdict};
pub use commit::{Adoption, CommitAsk, CommitReport, DraftSource};
pub use config::{Config, Price};
pub use console::{Answer, Console, PlanView, StepFact};
pub use doctor::{Check, Report};
pub use drafts::{DraftChange, DraftLine, DraftMark, DraftState, OpenDraft, Pick, Sides};
pub use error::{Class, Error};
pub use exec::{Commits, ExecAsk, ExecReport, Passage, Refused, Signals, start_enclosing};
pub use export::{CollectorAsk, DeadLetter, ExportAsk, ExportReport};
pub use folders::FolderAsk;
pub use grants::GrantAsk;
pub use history::{History, Kept, VersionView};
pub use home::Home;
pub use inspect::{AuditLine, AuditReport, FileDiff, OpLine, RunDetails, RunLine};
pub use keeper::{Ask, Keeper, Opened, Unlocker};
pub use live::{Stopped, stop};
pub use log_care::{ErasureView, HoldView, PruningView, RetentionView};
pub use look::{EntryDetails, EntryFilter, TimelineStep};
pub use proof::{EntryProof, Extra, ProofCheck, check_proof};
pub use prove::Proved;
pub use providers::{KeyLine, ProviderTest};
pub use recovery::Recovered;
pub use restore::{RestoreAsk, RestoreReport, When};
pub use run::{RunAsk, RunReport};
pub use store::{LastVerify, PruneAsk, RepairAsk, StorePruned, StoreRepaired, StoreReport, StoreRule, StoreStatus};
pub use undo::{Conflict, UndoAsk, UndoReport, UndoStepView};
pub use witness::{WitnessAsk, WitnessLine, WitnessPlace, WitnessState};
pub use witness_server::{WitnessServer, serve_witness, witness_key_in};
pub use worker::{harden, probe_main, worker_main};

pub use raincoat_agent::recipes::{OptionInfo, RECIPES, RecipeInfo, Values, check_options};
pub use raincoat_audit::export::{Format, Value as FieldValue};
pub use raincoat_audit::leaf_hash as leaf_of;
pub use raincoat_draft::text;
pub use raincoat_effects::restore::{Item as RestoreItem, What as RestoreWhat};
pub use raincoat_journal::{PruneReport, PrunedRun, Usage};
pub use raincoat_model::{NativeTools, ProviderConfig};
pub use raincoat_net::proxy::ProxyRules;
pub use raincoat_os::process::{machine_memory, stop_here};
pub use raincoat_os::{PrivateDir, SystemClock, absolute, kind_of, scratch, snapshot, terminal};
pub use raincoat_policy::GrantRecord;
pub use raincoat_sandbox::program::{ENCLOSE, PROVE, ProgramLimits, enclose_main, prove_main};
pub use raincoat_sandbox::{Layer, LayerState};
