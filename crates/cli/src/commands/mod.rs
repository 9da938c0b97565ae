//! The commands, each in words what the keeper does.

mod audit;
mod do_task;
mod docs;
mod drafts;
mod exec;
mod grant;
mod inspect;
mod keys;
mod log_care;
mod profiles;
mod proof;
mod provider;
mod setup;
mod stop;
mod undo;
mod witness;

use crate::app::App;
use crate::args::{Command, Parsed};
use crate::demo;
use crate::error::Result;
use crate::exit::Exit;

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
        Command::Undo(args) => undo::undo(app, args),
        Command::Runs { limit } => inspect::runs(app, limit),
        Command::Show { run, limit, path } => inspect::show(app, run.as_deref(), limit, path.as_deref()),
        Command::Diff { run } => inspect::diff(app, run.as_deref()),
        Command::Audit(what) => audit::audit(app, what),
        Command::Witness(what) => witness::serving(app, what),
        Command::Provider(what) => provider::provider(app, what),
        Command::Key(what) => keys::key(app, what),
        Command::Profiles { name } => profiles::profiles(app, name.as_deref()),
        Command::Demo(args) => demo::demo(app, args),
        Command::Completions { shell } => Ok(docs::completions(app, shell)),
        Command::Man { command } => docs::man(app, &command),
    }
}
