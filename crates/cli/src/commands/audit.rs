//! `audit verify`, and the way to the others.

use crate::app::App;
use crate::args::Audit;
use crate::commands::{audit_export, audit_look, proof, witness};
use crate::error::Result;
use crate::exit::Exit;
use crate::json;
use crate::view::{size, visible};

/// `raincoat audit`.
pub(crate) fn audit(app: &mut App, what: Audit) -> Result<Exit> {
    match what {
        Audit::Tail { limit, follow } => audit_look::tail(app, limit, follow),
        Audit::Search(args) => audit_look::search(app, &args),
        Audit::Show { entry } => audit_look::show(app, entry),
        Audit::Timeline { run } => audit_look::timeline(app, &run),
        Audit::Export(args) => audit_export::export(app, &args),
        Audit::Verify => verify(app),
        Audit::Prove(args) => proof::prove(app, args),
        Audit::Key => proof::key(app),
        Audit::Witness(what) => witness::witness(app, what),
    }
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
