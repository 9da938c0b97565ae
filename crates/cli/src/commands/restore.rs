//! `restore`.

use raincoat_runtime::{RestoreAsk, RestoreReport, RestoreWhat, When};

use crate::app::App;
use crate::args;
use crate::commands::history::named;
use crate::console::TerminalConsole;
use crate::error::Result;
use crate::exit::Exit;
use crate::view::{size, visible};
use crate::{json, time};

/// Files that are told one by one.
const TOLD: usize = 200;

/// `raincoat restore`.
pub(crate) fn restore(app: &mut App, args: args::Restore) -> Result<Exit> {
    let when = match (args.at, args.before) {
        (_, Some(run)) => When::Before(run),
        (at, None) => When::At(time::past("--at", at.as_deref().unwrap_or_default(), &time::now(), false)?),
    };
    let path = named(&args.path)?;
    let to = args.to.as_deref().map(named).transpose()?;
    let keeper = app.keeper()?;
    let (mut console, stop) = TerminalConsole::start(&app.out, app.may_ask(), false)?;
    let report = keeper.restore(RestoreAsk { path, when, to, dry_run: args.dry_run }, stop, &mut console);
    console.finish();
    let report = report?;
    let exit = match () {
        () if report.stopped => Exit::Stopped,
        () if !report.left.is_empty() => Exit::Conflict,
        () => Exit::Ok,
    };
    if app.out.json {
        app.out.value(&json::restore(&report, args.dry_run, exit));
    } else {
        show(app, &report, args.dry_run);
    }
    Ok(exit)
}

fn show(app: &mut App, report: &RestoreReport, dry_run: bool) {
    let style = app.out.style;
    let changing = report.items.iter().filter(|item| !matches!(item.what, RestoreWhat::Leave(_)));
    let count = changing.clone().count();
    if dry_run {
        for item in changing.clone().take(TOLD) {
            let drift = if item.drift {
                style.yellow("  (changed since by somebody else; that is kept)")
            } else {
                String::new()
            };
            app.out.line(&format!("would {}{drift}", visible::single(&item.to_string())));
        }
        if count > TOLD {
            app.out.line(&format!("… {} more", size::count((count - TOLD) as u64)));
        }
    }
    for (path, why) in report.left.iter().take(TOLD) {
        app.out.line(&format!("{} {}: {}", style.yellow("left as it is"), visible::single(path), visible::single(why)));
    }
    let files = size::of(count as u64, "file or folder", "files and folders");
    if dry_run {
        app.out.line(&format!(
            "{files} would be as on {}; nothing was done. what raincoat never touched stays as it is",
            time::local(report.at)
        ));
        return;
    }
    match report.run {
        None => app.out.line(&format!("everything is as on {}", time::local(report.at))),
        Some(run) => {
            app.out.line(&format!("{files} put back as on {}", time::local(report.at)));
            app.out.line(&format!("undo it with: raincoat undo {run}"));
        }
    }
}
