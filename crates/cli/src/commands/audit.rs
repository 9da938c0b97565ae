//! `audit tail`, `audit verify`.

use crate::app::App;
use crate::args::Audit;
use crate::commands::{proof, witness};
use crate::error::Result;
use crate::exit::Exit;
use crate::view::{size, visible};
use crate::{json, time};

/// `raincoat audit`.
pub(crate) fn audit(app: &mut App, what: Audit) -> Result<Exit> {
    match what {
        Audit::Tail { limit } => tail(app, limit),
        Audit::Verify => verify(app),
        Audit::Prove(args) => proof::prove(app, args),
        Audit::Key => proof::key(app),
        Audit::Witness(what) => witness::witness(app, what),
    }
}

fn tail(app: &mut App, limit: u64) -> Result<Exit> {
    let keeper = app.keeper()?;
    let lines = keeper.audit_tail(limit)?;
    app.hand_out(&keeper, &format!("the log's last {limit} entries"));
    for line in lines {
        if app.out.json {
            app.out.value(&json::entry(&line));
        } else {
            let who = line.actor.as_deref().map(|actor| format!("{}  ", visible::single(actor))).unwrap_or_default();
            app.out.line(&format!("{:>8}  {}  {who}{}", line.index, time::local(line.at), visible::single(&line.line)));
        }
    }
    Ok(Exit::Ok)
}

fn verify(app: &mut App) -> Result<Exit> {
    let report = app.keeper()?.audit_verify()?;
    let exit = if report.sound { Exit::Ok } else { Exit::Damaged };
    if app.out.json {
        app.out.value(&json::audit(&report));
        return Ok(exit);
    }
    let style = app.out.style;
    for problem in &report.problems {
        app.out.line(&format!("{} {}", style.red("wrong:"), visible::single(problem)));
    }
    report.notes.iter().for_each(|note| app.out.line(&format!("note: {}", visible::single(note))));
    report.not_checked.iter().for_each(|what| app.out.line(&format!("not checked: {}", visible::single(what))));
    let entries = size::of(report.entries, "entry", "entries");
    app.out.line(&if report.sound {
        let records = size::of(report.journal_records, "record", "records");
        format!(
            "{}: {entries}, none changed, dropped, reordered or added; and the journal: {records}",
            style.green("the log is sound")
        )
    } else {
        format!(
            "{}: {entries}, {} found",
            style.red("the log or the journal is not sound"),
            problems(report.problems.len())
        )
    });
    Ok(exit)
}

fn problems(n: usize) -> String {
    size::of(n as u64, "problem", "problems")
}
