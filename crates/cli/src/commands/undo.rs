//! `undo` and `redo`.

use raincoat_runtime::{Conflict, Keeper, UndoAsk, UndoReport};
use raincoat_types::OnDrift;

use crate::app::App;
use crate::args;
use crate::console::TerminalConsole;
use crate::error::Result;
use crate::exit::Exit;
use crate::view::{size, visible};
use crate::{json, time};

/// `raincoat undo`.
pub(crate) fn undo(app: &mut App, args: args::Undo) -> Result<Exit> {
    let keeper = app.keeper_without_backup(&args.without_backup)?;
    let drift = match args.conflict {
        _ if args.overwrite => OnDrift::Overwrite,
        args::OnDrift::Leave => OnDrift::Leave,
        args::OnDrift::Merge => OnDrift::Merge,
        args::OnDrift::KeepBoth => OnDrift::KeepBoth,
        args::OnDrift::Overwrite => OnDrift::Overwrite,
    };
    let since = args.since.map(|text| time::past("--since", &text, &time::now(), false)).transpose()?;
    take_back(
        app,
        &keeper,
        UndoAsk { what: args.what, since, only: args.only, dry_run: args.dry_run, drift, redo: false },
    )
}

/// `raincoat redo`.
pub(crate) fn redo(app: &mut App, run: Option<String>, dry_run: bool) -> Result<Exit> {
    let keeper = app.keeper()?;
    take_back(app, &keeper, UndoAsk { what: run.into_iter().collect(), dry_run, redo: true, ..UndoAsk::default() })
}

fn take_back(app: &mut App, keeper: &Keeper, ask: UndoAsk) -> Result<Exit> {
    let (mut console, stop) = TerminalConsole::start(&app.out, app.may_ask(), false)?;
    let dry_run = ask.dry_run;
    let report = keeper.undo(ask, stop, &mut console);
    console.finish();
    let report = report?;
    let exit = match () {
        () if report.stopped => Exit::Stopped,
        () if report.left > 0 => Exit::Conflict,
        () => Exit::Ok,
    };
    if app.out.json {
        app.out.value(&json::undo(&report, dry_run, exit));
    } else {
        show(app, &report, dry_run);
    }
    Ok(exit)
}

fn show(app: &mut App, report: &UndoReport, dry_run: bool) {
    let style = app.out.style;
    for step in &report.steps {
        app.out.line(&format!("would {}  {}", visible::single(&step.words), style.dim(&step.op.to_string())));
    }
    for Conflict { op, why, .. } in &report.conflicts {
        app.out.line(&format!("{} {op}: {}", style.yellow("left as it is"), visible::single(why)));
    }
    let more = u64::from(report.left).saturating_sub(report.conflicts.len() as u64);
    if more > 0 {
        app.out.line(&format!("{} more left as they are", size::count(more)));
    }
    if report.left > report.lost {
        let what = report.of;
        app.out.line(&format!(
            "to put them back all the same, keeping what is there now: raincoat undo {what} --overwrite (or --conflict merge, --conflict keep-both)"
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
    let of = match report.runs {
        0 | 1 => format!("run {}", report.of),
        n => format!("{} runs", size::count(n.into())),
    };
    let mut words = format!("{} of {of} taken back", changes(report.undone.into()));
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
