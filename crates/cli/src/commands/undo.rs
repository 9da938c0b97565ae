//! `undo`.

use raincoat_runtime::{UndoAsk, UndoReport};

use crate::app::App;
use crate::args;
use crate::console::TerminalConsole;
use crate::error::Result;
use crate::exit::Exit;
use crate::json;
use crate::view::{size, visible};

/// `raincoat undo`.
pub(crate) fn undo(app: &mut App, args: args::Undo) -> Result<Exit> {
    let keeper = app.keeper_without_backup(&args.without_backup)?;
    let (mut console, stop) = TerminalConsole::start(&app.out, app.may_ask(), false)?;
    let ask = UndoAsk { what: args.what, dry_run: args.dry_run, overwrite: args.overwrite };
    let report = keeper.undo(ask, stop, &mut console);
    console.finish();
    let report = report?;
    let exit = match () {
        () if report.stopped => Exit::Stopped,
        () if report.left > 0 => Exit::Conflict,
        () => Exit::Ok,
    };
    if app.out.json {
        app.out.value(&json::undo(&report, args.dry_run, exit));
    } else {
        show(app, &report, args.dry_run);
    }
    Ok(exit)
}

fn show(app: &mut App, report: &UndoReport, dry_run: bool) {
    let style = app.out.style;
    for step in &report.steps {
        app.out.line(&format!("would {}  {}", visible::single(&step.words), style.dim(&step.op.to_string())));
    }
    for (op, why) in &report.conflicts {
        app.out.line(&format!("{} {op}: {}", style.yellow("left as it is"), visible::single(why)));
    }
    let more = u64::from(report.left).saturating_sub(report.conflicts.len() as u64);
    if more > 0 {
        app.out.line(&format!("{} more left as they are", size::count(more)));
    }
    if report.left > 0 {
        let what = report.of;
        app.out.line(&format!(
            "to put them back all the same, keeping what is there now: raincoat undo {what} --overwrite"
        ));
    }
    if dry_run {
        app.out.line(&format!("{} would be taken back; nothing was done", changes(report.steps.len() as u64)));
        return;
    }
    if report.undone == 0 && report.already == 0 && report.left == 0 && !report.stopped {
        app.out.line(&format!("run {} changed nothing that could be taken back", report.of));
        return;
    }
    let mut words = format!("{} of run {} taken back", changes(report.undone.into()), report.of);
    if report.already > 0 {
        words.push_str(&format!(", {} before", size::count(report.already.into())));
    }
    if report.times > 0 {
        words.push_str(&format!(
            "; {} times back",
            size::of(report.times.into(), "folder has its", "folders have their")
        ));
    }
    if report.stopped {
        words.push_str(" (stopped)");
    }
    app.out.line(&words);
    if let Some(run) = report.run {
        app.out.line(&format!("undo this undo with: raincoat undo {run}"));
    }
}

fn changes(n: u64) -> String {
    size::of(n, "change", "changes")
}
