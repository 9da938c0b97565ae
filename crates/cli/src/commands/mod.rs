//! The commands, each in words what the keeper does.

mod approvals;
mod audit;
pub(crate) mod audit_export;
pub(crate) mod audit_look;
mod do_task;
mod docs;
mod drafts;
mod exec;
mod gate;
mod grant;
mod history;
mod inspect;
mod keys;
mod log_care;
mod mode;
mod policy;
mod profiles;
mod proof;
mod provider;
mod restore;
mod setup;
mod stop;
mod store;
mod undo;
mod witness;

use crate::app::App;
use crate::args::{Command, Parsed};
use crate::demo;
use crate::error::Result;
use crate::exit::Exit;

/// What a command is called in the log.
pub(crate) fn verb(command: &Command) -> &'static str {
    match command {
        Command::Init => "init",
        Command::Doctor { .. } => "doctor",
        Command::Exec(_) => "exec",
        Command::Shell(_) => "shell",
        Command::Drafts => "drafts",
        Command::Review { .. } => "review",
        Command::Commit(_) => "commit",
        Command::Discard { .. } => "discard",
        Command::Stop { .. } => "stop",
        Command::Passphrase => "passphrase",
        Command::Lock => "lock",
        Command::Grant(_) => "grant",
        Command::Grants => "grants",
        Command::Revoke { .. } => "revoke",
        Command::Do(_) => "do",
        Command::Policy(_) => "policy",
        Command::Mode(_) => "mode",
        Command::Approvals => "approvals",
        Command::Approve { .. } => "approve",
        Command::Deny(_) => "deny",
        Command::Freeze => "freeze",
        Command::Thaw => "thaw",
        Command::Undo(_) => "undo",
        Command::Redo { .. } => "redo",
        Command::Restore(_) => "restore",
        Command::History { .. } => "history",
        Command::CanUndo { .. } => "can-undo",
        Command::Runs { .. } => "runs",
        Command::Show { .. } => "show",
        Command::Diff { .. } => "diff",
        Command::Store(_) => "store",
        Command::Audit(_) => "audit",
        Command::Witness(_) => "witness",
        Command::Provider(_) => "provider",
        Command::Key(_) => "key",
        Command::Gate(_) => "gate",
        Command::Profiles { .. } => "profiles",
        Command::Demo(_) => "demo",
        Command::Completions { .. } => "completions",
        Command::Man { .. } => "man",
    }
}

/// Does what was asked.
pub(crate) fn dispatch(app: &mut App, parsed: Parsed) -> Result<Exit> {
    match parsed.cli.command {
        Command::Init => setup::init(app),
        Command::Doctor { prove } => setup::doctor(app, prove),
        Command::Exec(args) => exec::exec(app, args),
        Command::Shell(args) => exec::shell(app, args),
        Command::Drafts => drafts::drafts(app),
        Command::Review { run, plain } => drafts::review(app, run.as_deref(), plain),
        Command::Commit(args) => drafts::commit(app, &args),
        Command::Discard { run, .. } => drafts::discard(app, run.as_deref()),
        Command::Stop { run, .. } => stop::stop(app, run.as_deref()),
        Command::Passphrase => setup::passphrase(app),
        Command::Lock => setup::lock(app),
        Command::Grant(args) => grant::grant(app, args),
        Command::Grants => grant::grants(app),
        Command::Revoke { id } => grant::revoke(app, &id),
        Command::Do(task) => do_task::run(app, task, parsed.recipe),
        Command::Policy(what) => policy::policy(app, what),
        Command::Mode(args) => mode::mode(app, &args),
        Command::Approvals => approvals::approvals(app),
        Command::Approve { id } => approvals::approve(app, &id),
        Command::Deny(args) => approvals::deny(app, &args),
        Command::Freeze => mode::freeze(app),
        Command::Thaw => mode::thaw(app),
        Command::Undo(args) => undo::undo(app, args),
        Command::Redo { run, dry_run } => undo::redo(app, run, dry_run),
        Command::History { path } => history::history(app, &path),
        Command::Restore(args) => restore::restore(app, args),
        Command::CanUndo { what } => history::can_undo(app, &what),
        Command::Runs { limit } => inspect::runs(app, limit),
        Command::Show { run, limit, path } => inspect::show(app, run.as_deref(), limit, path.as_deref()),
        Command::Diff { run } => inspect::diff(app, run.as_deref()),
        Command::Audit(what) => audit::audit(app, what),
        Command::Witness(what) => witness::serving(app, what),
        Command::Store(what) => store::store(app, &what),
        Command::Provider(what) => provider::provider(app, what),
        Command::Key(what) => keys::key(app, what),
        Command::Gate(args) => gate::gate(app, &args),
        Command::Profiles { name } => profiles::profiles(app, name.as_deref()),
        Command::Demo(args) => demo::demo(app, args),
        Command::Completions { shell } => Ok(docs::completions(app, shell)),
        Command::Man { command } => docs::man(app, &command),
    }
}
