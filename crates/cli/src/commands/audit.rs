//! `audit verify`, and the way to the others.

use crate::app::App;
use crate::args::Audit;
use crate::commands::{audit_export, audit_look, log_care, proof, witness};
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
        Audit::Verify { deep } => verify(app, deep),
        Audit::Erase { subject } => log_care::erase(app, &subject),
        Audit::Retention { what } => log_care::retention(app, what.as_ref()),
        Audit::Accept => log_care::accept(app),
        Audit::Prove(args) => proof::prove(app, args),
        Audit::Key => proof::key(app),
        Audit::Witness(what) => witness::witness(app, what),
    }
}

fn verify(app: &mut App, deep: bool) -> Result<Exit> {
    let report = app.keeper()?.audit_verify(deep)?;
    let exit = if report.sound { Exit::Ok } else { Exit::Damaged };
    if app.out.json {
        app.out.value(&json::audit(&report));
        return Ok(exit);
    }
    let style = app.out.style;
    for problem in &report.problems {
        app.out.line(&format!("{} {}", style.red("wrong:"), visible::single(problem)));
    }
    report.checked.iter().for_each(|what| app.out.line(&format!("checked: {}", visible::single(what))));
    if report.erased > 0 {
        app.out.line(&format!("note: {} erased", size::of(report.erased, "entry is", "entries are")));
    }
    if report.pruned > 0 {
        app.out.line(&format!("note: entries before {} were pruned, as the log says", report.pruned));
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
