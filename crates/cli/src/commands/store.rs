//! `store status`, `store verify`, `store prune`, `store repair`: care of the journal's store.

use raincoat_runtime::{PruneAsk, RepairAsk, StorePruned, StoreRepaired, StoreReport};

use crate::app::App;
use crate::args::Store;
use crate::enclosed::{seconds, size as bytes_of};
use crate::error::{Result, usage};
use crate::exit::Exit;
use crate::view::{size, visible};
use crate::{json, time};

/// Runs that are listed one by one.
const TOLD: usize = 20;

/// `raincoat store`.
pub(crate) fn store(app: &mut App, what: &Store) -> Result<Exit> {
    match what {
        Store::Status => status(app),
        Store::Verify { deep } => verify(app, *deep),
        Store::Prune { older_than, to, within_keep, dry_run } => {
            let ask = PruneAsk {
                older_than: older_than.as_deref().map(age).transpose()?,
                to: to.as_deref().map(amount).transpose()?,
                within_keep: *within_keep,
                dry_run: *dry_run,
            };
            prune(app, ask)
        }
        Store::Repair { discard_damaged, accept_older } => {
            repair(app, RepairAsk { discard_damaged: *discard_damaged, accept_older: *accept_older })
        }
    }
}

fn age(text: &str) -> Result<u64> {
    let bad = || usage(format!("`--older-than {text}` is no span"), "write a span such as `90d` or `12h`");
    if text == "0" { Ok(0) } else { seconds(text).ok_or_else(bad) }
}

fn amount(text: &str) -> Result<u64> {
    bytes_of(text).ok_or_else(|| usage(format!("`--to {text}` is no size"), "write a size such as `2G` or `500M`"))
}

fn status(app: &mut App) -> Result<Exit> {
    let status = app.keeper()?.store_status()?;
    if app.out.json {
        app.out.value(&json::store_status(&status));
        return Ok(Exit::Ok);
    }
    let usage = &status.usage;
    let mut lines = vec![
        format!(
            "{}  of a budget of {} ({} free on the disk)",
            size::bytes(usage.bytes),
            size::bytes(status.budget),
            size::bytes(status.free)
        ),
        format!("  needed    {}", size::bytes(usage.live)),
        format!("  not       {}  (a prune gives it back)", size::bytes(usage.dead)),
        format!("  reserve   {}  (so that a full disk can be got out of)", size::bytes(usage.reserve)),
        format!(
            "  holds     {}, {}, {} of files in {}",
            size::of(usage.runs, "run", "runs"),
            size::of(usage.ops, "operation", "operations"),
            size::of(usage.versions, "version", "versions"),
            size::of(usage.segments, "segment", "segments"),
        ),
    ];
    if usage.pruned > 0 {
        lines.push(format!("  pruned    {}", size::of(usage.pruned, "run", "runs")));
    }
    lines.extend(usage.oldest.map(|at| format!("  oldest    {}", time::local(at))));
    lines.push(format!(
        "  contents  {} of versions are {} kept once and {} on the disk",
        size::bytes(usage.version_bytes),
        size::bytes(usage.unique_bytes),
        size::bytes(usage.stored_bytes)
    ));
    lines.push(format!("  keeps     every run for {}", days(status.keep_secs)));
    lines.push(match &status.last {
        None => "  checked   never; raincoat store verify".to_owned(),
        Some(last) => format!(
            "  checked   {}{}: {}",
            time::local(last.at),
            if last.deep { ", every content" } else { "" },
            if last.problems == 0 { "sound".to_owned() } else { size::of(last.problems, "problem", "problems") },
        ),
    });
    lines.iter().for_each(|line| app.out.line(line));
    Ok(Exit::Ok)
}

fn days(secs: u64) -> String {
    size::of(secs / 86_400, "day", "days")
}

fn verify(app: &mut App, deep: bool) -> Result<Exit> {
    let report = app.keeper()?.store_verify(deep)?;
    let exit = if report.sound { Exit::Ok } else { Exit::Damaged };
    if app.out.json {
        app.out.value(&json::store_report(&report, deep));
        return Ok(exit);
    }
    show_report(app, &report, deep);
    Ok(exit)
}

fn show_report(app: &mut App, report: &StoreReport, deep: bool) {
    let style = app.out.style;
    for problem in &report.problems {
        app.out.line(&format!("{} {}", style.red("wrong:"), visible::single(problem)));
    }
    for lost in &report.lost {
        app.out.line(&format!("{} {}", style.red("lost:"), visible::single(lost)));
    }
    report.notes.iter().for_each(|note| app.out.line(&format!("note: {}", visible::single(note))));
    report.not_checked.iter().for_each(|what| app.out.line(&format!("not checked: {}", visible::single(what))));
    let records = size::of(report.records, "record", "records");
    let contents = if deep {
        format!(", {} put together and hashed again", size::of(report.contents, "content", "contents"))
    } else {
        String::new()
    };
    app.out.line(&if report.sound {
        format!("{}: {records}, {}{contents}", style.green("the store is sound"), size::bytes(report.bytes))
    } else {
        format!(
            "{}: {} found; `raincoat store repair` saves what can be saved",
            style.red("the store is not sound"),
            size::of(report.problems.len() as u64, "problem", "problems")
        )
    });
}

fn prune(app: &mut App, ask: PruneAsk) -> Result<Exit> {
    let keeper = app.keeper()?;
    if !ask.dry_run {
        let plan = keeper.store_prune(PruneAsk { dry_run: true, ..ask })?;
        let runs = plan.report.runs.len() as u64;
        if runs > 0 {
            show_runs(app, &plan);
            let question =
                format!("raincoat: prune {}? what they changed can no longer be undone", size::of(runs, "run", "runs"));
            if !app.confirm(&question)? {
                app.out.aside("nothing was pruned");
                return Ok(Exit::Refused);
            }
        }
    }
    let pruned = keeper.store_prune(ask)?;
    if app.out.json {
        app.out.value(&json::store_pruned(&pruned, ask.dry_run));
        return Ok(Exit::Ok);
    }
    if ask.dry_run {
        show_runs(app, &pruned);
    }
    let report = &pruned.report;
    let freed = size::bytes(report.before.saturating_sub(report.after));
    let runs = size::of(report.runs.len() as u64, "run", "runs");
    app.out.line(&if ask.dry_run {
        format!("{runs} would go, about {freed} freed; nothing was done")
    } else {
        format!("{runs} pruned, {freed} freed; the store takes {}", size::bytes(report.after))
    });
    let (young, bytes) = report.too_young;
    if young > 0 {
        app.out.line(&format!(
            "{} more would be needed and are too young to go ({}); to let them go too: --within-keep",
            size::of(young, "run", "runs"),
            size::bytes(bytes)
        ));
    }
    Ok(Exit::Ok)
}

fn show_runs(app: &mut App, pruned: &StorePruned) {
    if app.out.json {
        return;
    }
    for run in pruned.report.runs.iter().take(TOLD) {
        app.out.line(&format!(
            "{}  {}  {}  {}",
            run.run,
            time::local(run.began),
            size::of(run.ops.into(), "operation", "operations"),
            visible::single(&run.goal)
        ));
    }
    let more = pruned.report.runs.len().saturating_sub(TOLD);
    if more > 0 {
        app.out.line(&format!("and {} more", size::count(more as u64)));
    }
}

fn repair(app: &mut App, ask: RepairAsk) -> Result<Exit> {
    let repaired = app.keeper()?.store_repair(ask)?;
    let exit = if repaired.sound { Exit::Ok } else { Exit::Damaged };
    if app.out.json {
        app.out.value(&json::store_repaired(&repaired));
        return Ok(exit);
    }
    show_repair(app, &repaired);
    Ok(exit)
}

fn show_repair(app: &mut App, repaired: &StoreRepaired) {
    let style = app.out.style;
    repaired.done.iter().for_each(|line| app.out.line(&visible::single(line)));
    for lost in &repaired.lost {
        app.out.line(&format!("{} {}", style.red("lost:"), visible::single(lost)));
    }
    let saved = size::of(repaired.saved, "record", "records");
    app.out.line(&if repaired.sound {
        format!("{}: {saved} written again", style.green("the store is sound"))
    } else {
        format!("{}: `raincoat store verify` says what", style.red("something is still wrong with the store"))
    });
}
