//! `history` and `can-undo`: what happened to a file, and whether it can be taken back.

use std::path::{Path, PathBuf};

use raincoat_runtime::{Kept, Verdict, VersionView};
use raincoat_types::FileKind;

use crate::app::App;
use crate::error::Result;
use crate::exit::Exit;
use crate::out::stderr_line;
use crate::view::table::Table;
use crate::view::{size, visible};
use crate::{json, time};

fn tell(words: &str) {
    stderr_line(&visible::text(words));
}

/// A path that a person typed, absolute, whether or not anything is there: of what is not, the folder is asked for.
pub(crate) fn named(path: &Path) -> Result<PathBuf> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(above(parent)?.join(name))
        }
        _ => crate::app::absolute_path(path),
    }
}

/// The deepest part that exists as the kernel tells it, and the rest as it was typed.
fn above(folder: &Path) -> Result<PathBuf> {
    match raincoat_runtime::absolute(folder) {
        Ok(path) => Ok(path),
        Err(_) => match (folder.parent(), folder.file_name()) {
            (Some(parent), Some(name)) => {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                Ok(above(parent)?.join(name))
            }
            _ => crate::app::absolute_path(folder),
        },
    }
}

/// `raincoat history`.
pub(crate) fn history(app: &mut App, path: &Path) -> Result<Exit> {
    let path = named(path)?;
    let history = app.keeper()?.history(&path, &mut tell)?;
    if app.out.json {
        history.versions.iter().for_each(|version| app.out.value(&json::version(version)));
        app.out.value(&json::history(&history));
        return Ok(Exit::Ok);
    }
    if history.versions.is_empty() && history.runs.is_empty() {
        app.out.aside("raincoat has never changed that, nor anything in it");
        return Ok(Exit::Ok);
    }
    if !history.versions.is_empty() {
        let mut table = Table::new(&["WHEN", "OPERATION", "WHO", "WHAT", "SIZE", "BLAKE3", "KEPT"]);
        if let Some(now) = &history.now {
            let what = match history.untouched {
                Some(true) => "now, as it was left",
                _ => "now, changed by somebody else",
            };
            table.row(row(&VersionView { what: what.to_owned(), ..now.clone() }));
        }
        history.versions.iter().for_each(|version| table.row(row(version)));
        table.lines().iter().for_each(|line| app.out.line(line));
    }
    if !history.runs.is_empty() {
        app.out.line("changed below it:");
        for (run, at, goal) in &history.runs {
            app.out.line(&format!("  {run}  {}  {}", time::local(*at), visible::single(goal)));
        }
    }
    Ok(Exit::Ok)
}

fn row(version: &VersionView) -> Vec<String> {
    let kept = match version.kept {
        Kept::Store => "in the store",
        Kept::Disk => "on disk",
        Kept::Nowhere => "nowhere",
        Kept::NoContent => "",
    };
    let bytes = match version.kind {
        Some(FileKind::Dir) | None => String::new(),
        _ => version.size.map(size::count).unwrap_or_default(),
    };
    let undone = if version.undone { " (undone)" } else { "" };
    vec![
        version.at.map(time::local).unwrap_or_default(),
        version.op.map(|op| op.to_string()).unwrap_or_default(),
        version.actor.as_deref().map(visible::single).unwrap_or_default(),
        format!("{}{undone}", visible::single(&version.what)),
        bytes,
        version.digest.map(|digest| digest.hex().chars().take(16).collect()).unwrap_or_default(),
        kept.to_owned(),
    ]
}

/// `raincoat can-undo`.
pub(crate) fn can_undo(app: &mut App, what: &str) -> Result<Exit> {
    let looks_like_path = what.split_once('/').is_some_and(|(_, seq)| seq.parse::<u32>().is_err());
    let exists = raincoat_runtime::kind_of(Path::new(what)).is_some();
    let what = if looks_like_path || exists {
        named(Path::new(what))?.to_string_lossy().into_owned()
    } else {
        what.to_owned()
    };
    let answer = app.keeper()?.can_undo(&what, &mut tell)?;
    let exit = match answer.verdict {
        Verdict::All | Verdict::Nothing => Exit::Ok,
        Verdict::Part => Exit::Conflict,
        Verdict::None => Exit::Failed,
    };
    if app.out.json {
        app.out.value(&json::can_undo(&answer, exit));
        return Ok(exit);
    }
    let words = match answer.verdict {
        Verdict::All if answer.back == 0 => "yes: a change to it could be taken back".to_owned(),
        Verdict::All => format!("yes: {} would be taken back", size::of(answer.back.into(), "change", "changes")),
        Verdict::Part => format!(
            "in part: {} would be taken back, {} would not",
            size::of(answer.back.into(), "change", "changes"),
            size::count(answer.not.len() as u64)
        ),
        Verdict::None => "no".to_owned(),
        Verdict::Nothing if answer.already > 0 => "all of it was taken back already".to_owned(),
        Verdict::Nothing => "there is nothing to take back".to_owned(),
    };
    app.out.line(&words);
    for (op, path, why) in &answer.not {
        app.out.line(&format!("  not {op}: {}: {}", visible::single(path), visible::single(why)));
    }
    answer.notes.iter().for_each(|note| app.out.line(&format!("  {}", visible::single(note))));
    Ok(exit)
}
