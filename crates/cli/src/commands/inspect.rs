//! `runs`, `show`, `diff`: what was done.

use raincoat_runtime::{FileDiff, OpLine, RunDetails};
use raincoat_types::Digest;

use crate::app::App;
use crate::error::Result;
use crate::exit::Exit;
use crate::out::{Style, stderr_line};
use crate::view::table::Table;
use crate::view::{diff as difference, size, visible};
use crate::{json, time};

/// Operations that `show` lists where nothing else is asked for.
const OPS: usize = 500;
/// Lines of one file's diff that are shown.
const DIFF_LINES: usize = 10_000;

/// What a crash left behind is settled by whoever comes next, and told.
fn tell(words: &str) {
    stderr_line(&visible::text(words));
}

fn named(run: Option<&str>) -> String {
    run.map_or_else(|| "the last run".to_owned(), |run| format!("run {}", visible::single(run)))
}

/// `raincoat runs`.
pub(crate) fn runs(app: &mut App, limit: usize) -> Result<Exit> {
    let lines = app.keeper()?.runs(limit, &mut tell)?;
    if app.out.json {
        lines.iter().for_each(|line| app.out.value(&json::run(line)));
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["RUN", "BEGAN", "WHO", "CHANGES", "STATUS", "WHAT"]);
    for line in &lines {
        let changes = match line.undone {
            0 => line.changes.to_string(),
            undone if undone == line.changes => format!("{} undone", line.changes),
            undone => format!("{}, {undone} undone", line.changes),
        };
        let (actor, status) = (visible::single(&line.actor), json::status(line.status).to_owned());
        table.row(vec![
            line.run.to_string(),
            time::local(line.at),
            actor,
            changes,
            status,
            visible::single(&line.goal),
        ]);
    }
    if table.is_empty() {
        app.out.aside("there was no run yet. raincoat do tidy DIR makes one");
    } else {
        table.lines().iter().for_each(|line| app.out.line(line));
    }
    Ok(Exit::Ok)
}

/// `raincoat show`.
pub(crate) fn show(app: &mut App, run: Option<&str>, limit: Option<usize>, path: Option<&str>) -> Result<Exit> {
    let keeper = app.keeper()?;
    app.hand_out(&keeper, &format!("the operations of {}", named(run)));
    let wanted = |op: &OpLine| {
        path.is_none_or(|text| op.path.contains(text) || op.to.as_ref().is_some_and(|to| to.contains(text)))
    };
    if app.out.json {
        let mut listed = 0;
        let details = keeper.show(
            run,
            &mut |op| {
                if !wanted(&op) {
                    return;
                }
                if limit.is_none_or(|limit| listed < limit) && !app.out.gone() {
                    app.out.value(&json::op(&op));
                }
                listed += 1;
            },
            &mut tell,
        )?;
        app.out.value(&json::details(&details));
        return Ok(Exit::Ok);
    }
    let limit = limit.unwrap_or(OPS);
    let style = app.out.style;
    let (mut lines, mut count) = (Vec::new(), 0_usize);
    let details = keeper.show(
        run,
        &mut |op| {
            if !wanted(&op) {
                return;
            }
            count += 1;
            if count <= limit {
                lines.extend(op_lines(&op, style));
            }
        },
        &mut tell,
    )?;
    show_head(app, &details);
    lines.iter().for_each(|line| app.out.line(line));
    if count > limit {
        let run = details.line.run;
        let more = size::count((count - limit) as u64);
        app.out.line(&format!("… {more} more (to see them: raincoat show {run} -n {count})"));
    }
    Ok(Exit::Ok)
}

fn show_head(app: &mut App, details: &RunDetails) {
    let (style, line) = (app.out.style, &details.line);
    let mut head = vec![
        format!("{} {}", style.bold("run"), line.run),
        format!("  asked    {}", visible::text(&line.goal)),
        format!("  by       {}, {}", visible::single(&line.actor), time::local(line.at)),
        format!("  in       {}", details.roots.join(", ")),
        format!("  status   {}", json::status(line.status)),
    ];
    head.extend(line.undo_of.map(|run| format!("  undoes   {run}")));
    for (title, proposed, chosen) in &details.plans {
        head.push(format!("  planned  {} ({} of {proposed} chosen)", visible::single(title), size::count(*chosen)));
    }
    head.extend(details.notes.iter().map(|note| format!("  note     {}", visible::single(note))));
    if !line.summary.is_empty() {
        head.push(format!("  outcome  {}", visible::text(&line.summary).replace('\n', "\n           ")));
    }
    head.push(format!(
        "  changes  {}, {} undone since",
        size::count(line.changes.into()),
        size::count(line.undone.into())
    ));
    head.push(String::new());
    head.iter().for_each(|line| app.out.line(line));
}

fn op_lines(op: &OpLine, style: Style) -> Vec<String> {
    let to = op.to.as_ref().map(|to| format!(" -> {to}")).unwrap_or_default();
    let mut first = format!("{:>6}  {:<8} {}{to}", op.op.seq, op.verb, op.path);
    if op.result != "done" {
        first.push_str(&format!("  {}", style.red(&visible::single(&op.result))));
    }
    if let Some(by) = op.undone_by {
        first.push_str(&style.dim(&format!("  (undone by {by})")));
    }
    let digest = |digest: Option<Digest>| digest.map_or_else(|| "-".to_owned(), |digest| digest.hex());
    let sums = match (op.before, op.after) {
        (None, None) => return vec![first],
        (before, after) if before == after => digest(before),
        (before, after) => format!("{} -> {}", digest(before), digest(after)),
    };
    vec![first, format!("        {}", style.dim(&format!("blake3   {sums}")))]
}

/// `raincoat diff`.
pub(crate) fn diff(app: &mut App, run: Option<&str>) -> Result<Exit> {
    let keeper = app.keeper()?;
    app.hand_out(&keeper, &format!("what {} changed, before and after", named(run)));
    let mut files = 0_u64;
    keeper.diff(
        run,
        &mut |file| {
            files += 1;
            if app.out.gone() {
                return;
            }
            if app.out.json {
                app.out.value(&json::file(&file));
            } else {
                show_file(app, &file);
            }
        },
        &mut tell,
    )?;
    if files == 0 {
        app.out.aside("that run changed nothing");
    }
    Ok(Exit::Ok)
}

fn show_file(app: &mut App, file: &FileDiff) {
    let style = app.out.style;
    let to = file.moved_to.as_ref().map(|to| format!(" -> {to}")).unwrap_or_default();
    let note = if file.note.is_empty() { String::new() } else { format!("  ({})", visible::single(&file.note)) };
    app.out.line(&format!("{}{}", style.bold(&format!("{} {}{to}", file.verb, file.path)), style.dim(&note)));
    if file.before.is_some() || file.after.is_some() {
        let compared = difference::between(file.before.as_deref(), file.after.as_deref(), DIFF_LINES);
        compared.shown(style).iter().for_each(|line| app.out.line(line));
    }
}
