//! `do`: a recipe, or a task in words.

use std::path::PathBuf;
use std::time::Duration;

use raincoat_runtime::{Class, RECIPES, RunAsk, RunReport, check_options};
use raincoat_types::RunStatus;
use raincoat_types::wire::Task;

use crate::app::{App, absolute_path};
use crate::args::{Do, Recipe};
use crate::console::TerminalConsole;
use crate::enclosed::seconds;
use crate::error::{Result, error, usage};
use crate::exit::Exit;
use crate::view::{size, visible};
use crate::{json, time};

/// `raincoat do`.
pub(crate) fn run(app: &mut App, args: Do, recipe: Option<Recipe>) -> Result<Exit> {
    let mut without_backup = args.without_backup.clone();
    without_backup.extend(recipe.iter().flat_map(|recipe| recipe.without_backup.iter().cloned()));
    let dry_run = args.dry_run || recipe.as_ref().is_some_and(|recipe| recipe.dry_run);
    let recipe_wait = recipe.as_ref().and_then(|recipe| recipe.wait.clone());
    let (task, dirs) = match recipe {
        Some(recipe) => {
            check_options(&recipe.name, &recipe.options)
                .map_err(|why| usage(why, format!("`raincoat do {} --help` has its options", recipe.name)))?;
            (Task::Recipe { name: recipe.name, options: recipe.options }, recipe.dirs)
        }
        None => in_words(&args)?,
    };
    let dirs: Vec<PathBuf> = dirs.iter().map(|dir| absolute_path(dir)).collect::<Result<_>>()?;
    let keeper = app.keeper_without_backup(&without_backup)?;
    let wait = recipe_wait.or(args.wait.clone());
    let wait = wait.as_deref().map(|text| {
        seconds(text).ok_or_else(|| usage(format!("`{}` is no span", visible::single(text)), "write `--wait 2h`"))
    });
    let wait = Duration::from_secs(wait.transpose()?.unwrap_or(0));
    let (console, stop) = TerminalConsole::start(&app.out, app.may_ask(), dry_run)?;
    let mut console = console.waiting(wait);
    let ask = RunAsk {
        task,
        dirs,
        agent: args.agent,
        provider: args.provider,
        model: args.model,
        confirm: dry_run || !app.flags.yes,
        offline: args.offline,
        resume: args.resume,
        utc_offset_secs: time::utc_offset(),
    };
    let report = keeper.run(ask, stop, &mut console);
    console.finish();
    let report = report?;
    if dry_run && console.declined {
        // The plan has been shown; that it was refused then is no failure.
        app.out.aside("nothing was changed");
        return Ok(Exit::Ok);
    }
    let exit = exit_of(&report, console.unasked || console.declined);
    if app.out.json {
        app.out.value(&json::report(&report, &console.said, exit));
    } else {
        show(app, &report);
    }
    if console.unasked {
        let words = "the plan was refused, because nobody could be asked about it";
        // What asks in spite of `--yes` is not let through by saying it again.
        let hint = match app.flags.yes {
            true => {
                "`raincoat approvals` has the question, and why it is asked in spite of `--yes`: answer it, and run this again"
            }
            false => {
                "run it at a terminal, or with `--yes` (everything stays undoable); or `raincoat approvals` has the question: answer it, and run this again"
            }
        };
        return Err(error(Class::Refused, words, hint));
    }
    Ok(exit)
}

fn in_words(args: &Do) -> Result<(Task, Vec<PathBuf>)> {
    let recipes = || RECIPES.iter().map(|recipe| recipe.name).collect::<Vec<_>>().join(", ");
    let task = args.task.as_deref().map(str::trim).filter(|task| !task.is_empty());
    let Some(task) = task else {
        let hint = format!("`raincoat do RECIPE DIR` with one of {}; or `raincoat do \"TASK\" --in DIR`", recipes());
        return Err(usage("there is nothing to do", hint));
    };
    if !args.rest.is_empty() || args.dirs.is_empty() && !task.contains(char::is_whitespace) {
        let words = format!("`{}` is no recipe", visible::single(task));
        return Err(usage(
            words,
            format!("the recipes are {}; a task in words is put in quotes, with `--in DIR`", recipes()),
        ));
    }
    if args.dirs.is_empty() {
        return Err(usage("the task names no folder to work in", "add `--in DIR`"));
    }
    Ok((Task::Prompt(task.to_owned()), args.dirs.clone()))
}

/// A task that a person refused is refused; one that was done in part is not done.
fn exit_of(report: &RunReport, refused_by_person: bool) -> Exit {
    match report.status {
        RunStatus::Stopped => Exit::Stopped,
        _ if refused_by_person && report.changes == 0 => Exit::Refused,
        // What was refused on the way is told; the task came to its end all the same.
        RunStatus::Done if report.failed == 0 && (report.refused == 0 || report.changes > 0) => Exit::Ok,
        RunStatus::Done if report.changes == 0 && report.failed == 0 => Exit::Refused,
        RunStatus::Failed if report.peer_failed => Exit::Peer,
        _ => Exit::Failed,
    }
}

fn show(app: &mut App, report: &RunReport) {
    let style = app.out.style;
    if !report.summary.is_empty() {
        app.out.line(&visible::text(&report.summary));
    }
    let mut words = vec![size::of(report.changes.into(), "change made", "changes made")];
    if report.failed > 0 {
        words.push(style.red(&format!("{} failed", size::count(report.failed.into()))));
    }
    if report.refused > 0 {
        words.push(style.yellow(&format!("{} refused", size::count(report.refused.into()))));
    }
    let how = match report.status {
        RunStatus::Done => "",
        RunStatus::Stopped => " (stopped)",
        _ => " (not finished)",
    };
    app.out.line(&format!("{}{how}", words.join(", ")));
    if report.changes > 0 {
        app.out.line(&format!("undo it with: raincoat undo {}", report.run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raincoat_types::{RunId, Ulid};

    fn ended(status: RunStatus, changes: u32, failed: u32, refused: u32) -> RunReport {
        RunReport {
            run: RunId(Ulid::from_parts(1, 1)),
            status,
            summary: String::new(),
            changes,
            failed,
            refused,
            peer_failed: false,
        }
    }

    #[test]
    fn each_end_has_its_code() {
        assert_eq!(exit_of(&ended(RunStatus::Done, 3, 0, 0), false), Exit::Ok);
        assert_eq!(exit_of(&ended(RunStatus::Done, 0, 0, 0), false), Exit::Ok);
        assert_eq!(exit_of(&ended(RunStatus::Done, 3, 1, 0), false), Exit::Failed);
        assert_eq!(exit_of(&ended(RunStatus::Done, 3, 0, 2), false), Exit::Ok);
        assert_eq!(exit_of(&ended(RunStatus::Done, 0, 0, 2), false), Exit::Refused);
        assert_eq!(exit_of(&ended(RunStatus::Failed, 0, 0, 0), true), Exit::Refused);
        assert_eq!(exit_of(&ended(RunStatus::Failed, 0, 0, 0), false), Exit::Failed);
        let dead = RunReport { peer_failed: true, ..ended(RunStatus::Failed, 0, 0, 0) };
        assert_eq!(exit_of(&dead, false), Exit::Peer);
        assert_eq!(exit_of(&ended(RunStatus::Stopped, 5, 0, 0), false), Exit::Stopped);
    }
}
