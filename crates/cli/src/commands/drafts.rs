//! `drafts`, `review`, `commit` and `discard`: what becomes of what a program changed.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use raincoat_runtime::{
    Class, CommitReport, DraftChange, DraftLine, DraftMark, DraftState, Keeper, OpenDraft, Pick, Sides,
};
use raincoat_types::RunStatus;

use crate::app::App;
use crate::args::{Commit, OnConflict};
use crate::console::TerminalConsole;
use crate::error::{Result, error, usage};
use crate::exit::Exit;
use crate::globs::Globs;
use crate::review_draft::{self, Blob, Choice, Content, Entry, Mark, Opened, Resolution, Source};
use crate::view::table::Table;
use crate::view::{size, visible};
use crate::{json, time};

/// `raincoat drafts`.
pub(crate) fn drafts(app: &mut App) -> Result<Exit> {
    let lines = app.keeper()?.drafts()?;
    if app.out.json {
        lines.iter().for_each(|line| app.out.value(&json::draft(line)));
        return Ok(Exit::Ok);
    }
    if lines.is_empty() {
        app.out.line("no open drafts");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["RUN", "BEGAN", "STATE", "ENTRIES", "SIZE", "COMMAND"]);
    lines.iter().for_each(|line| table.row(row(line)));
    table.lines().iter().for_each(|line| app.out.line(line));
    app.out.aside("raincoat review RUN looks through one; commit RUN keeps it; discard RUN throws it away");
    Ok(Exit::Ok)
}

fn row(line: &DraftLine) -> Vec<String> {
    let state = match &line.state {
        DraftState::Live => "running".to_owned(),
        DraftState::Ended(code) => format!("ended ({code})"),
        DraftState::Interrupted => "interrupted".to_owned(),
        DraftState::Damaged(why) => format!("damaged: {}", visible::single(why)),
    };
    let more = if line.counted_all { "" } else { "+" };
    vec![
        line.run.to_string(),
        line.began.map(time::local).unwrap_or_default(),
        state,
        format!("{}{more}", size::count(line.entries)),
        format!("{}{more}", size::bytes(line.bytes)),
        visible::single(&line.command),
    ]
}

/// `raincoat review`.
pub(crate) fn review(app: &mut App, run: Option<&str>, plain: bool) -> Result<Exit> {
    let keeper = app.keeper()?;
    let mut draft = keeper.open_draft(run)?;
    app.hand_out(&keeper, &format!("what the draft of run {} would change", draft.run()));
    draft.compare();
    let mut reviewed = Reviewed::new(draft);
    if app.out.json {
        for n in 0..reviewed.entries.len() {
            if let Some(value) = review_draft::json(&mut reviewed, n) {
                app.out.value(&value);
            }
        }
        return Ok(Exit::Ok);
    }
    let at_terminal = app.may_ask() && crate::prompt::Terminal::standard().is_some();
    if plain || !at_terminal {
        review_draft::print(&mut reviewed, &mut app.out, true);
        return Ok(Exit::Ok);
    }
    app.out.flush();
    let colour = app.out.style.bold("x") != "x";
    let Some(choices) = review_draft::review(&mut reviewed, colour)? else {
        app.out.line("the draft stays as it is");
        return Ok(Exit::Ok);
    };
    let picks = choices.into_iter().map(pick_of).collect::<Vec<_>>();
    make(app, &keeper, reviewed.draft, &picks)
}

fn pick_of(choice: Choice) -> Pick {
    match choice {
        Choice::Reject | Choice::Conflict(Resolution::KeepMine) => Pick::Leave,
        Choice::Accept | Choice::Conflict(Resolution::KeepTheirs) => Pick::Take,
        Choice::Hunks(hunks) => Pick::Hunks(hunks),
        Choice::Conflict(Resolution::KeepBoth) => Pick::KeepBoth,
        Choice::Conflict(Resolution::Merge) => Pick::Merge,
    }
}

/// `raincoat commit`.
pub(crate) fn commit(app: &mut App, args: &Commit) -> Result<Exit> {
    let keeper = app.keeper_without_backup(&args.without_backup)?;
    let draft = keeper.open_draft(args.run.as_deref())?;
    let picks = picks(&draft, args)?;
    if args.dry_run {
        return Ok(would(app, &draft, &picks));
    }
    make(app, &keeper, draft, &picks)
}

/// The same without anybody having been asked: what wants a look stays in the draft.
pub(crate) fn commit_unseen(app: &mut App, keeper: &Keeper, run: &str) -> Result<Exit> {
    if let Some(why) = keeper.wants_a_look(&keeper.open_draft(Some(run))?)? {
        let hint =
            format!("`raincoat review {run}` shows it, `raincoat commit {run}` keeps it; all of it could be undone");
        return Err(error(Class::Refused, format!("nothing was committed: {why}"), hint));
    }
    commit_all(app, keeper, run)
}

/// What a draft's whole is committed as, when nobody chose.
pub(crate) fn commit_all(app: &mut App, keeper: &Keeper, run: &str) -> Result<Exit> {
    let draft = keeper.open_draft(Some(run))?;
    let args = Commit {
        run: None,
        only: Vec::new(),
        except: Vec::new(),
        dangerous: Vec::new(),
        conflict: OnConflict::Refuse,
        dry_run: false,
        without_backup: Vec::new(),
    };
    let picks = picks(&draft, &args)?;
    make(app, keeper, draft, &picks)
}

/// One answer for each change, from flags.
fn picks(draft: &OpenDraft, args: &Commit) -> Result<Vec<Pick>> {
    let only = Globs::new(&args.only).map_err(|why| usage(why, "write globs as in `--only 'src/**'`"))?;
    let except = Globs::new(&args.except).map_err(|why| usage(why, "write globs as in `--except '*.lock'`"))?;
    let mut named = args.dangerous.iter().map(|path| (path, false)).collect::<Vec<_>>();
    let mut picks = Vec::with_capacity(draft.changes().len());
    let mut conflicts = Vec::new();
    for change in draft.changes() {
        let wanted = (args.only.is_empty() || only.matches(&change.path)) && !except.matches(&change.path);
        let mut pick = if wanted && change.special.is_none() && !change.masked { Pick::Take } else { Pick::Leave };
        if change.dangerous.is_some() && pick == Pick::Take {
            let mut is_named = false;
            for (path, used) in &mut named {
                if covers(path, draft, change) {
                    (is_named, *used) = (true, true);
                }
            }
            pick = if is_named { Pick::Take } else { Pick::Leave };
        }
        if change.conflict.is_some() && pick == Pick::Take {
            pick = match args.conflict {
                OnConflict::Refuse => {
                    conflicts.push(change);
                    Pick::Leave
                }
                OnConflict::KeepMine => Pick::Leave,
                OnConflict::KeepTheirs => Pick::Take,
                OnConflict::KeepBoth => Pick::KeepBoth,
                OnConflict::Merge => Pick::Merge,
            };
        }
        picks.push(pick);
    }
    if let Some((path, _)) = named.iter().find(|(_, used)| !used) {
        let words = format!("`--dangerous {}` names no change of this draft with a protected name", path.display());
        return Err(usage(words, format!("`raincoat review {}` marks them with `!`", draft.run())));
    }
    if !conflicts.is_empty() {
        return Err(conflicting(draft, &conflicts));
    }
    draft.whole(&mut picks);
    Ok(picks)
}

fn conflicting(draft: &OpenDraft, conflicts: &[&DraftChange]) -> raincoat_runtime::Error {
    const TOLD: usize = 10;
    let mut words = String::from("nothing was committed: these were changed in the folder meanwhile\n");
    for change in conflicts.iter().take(TOLD) {
        let why = change.conflict.as_deref().unwrap_or_default();
        words.push_str(&format!("  {} ({why})\n", change.path.display()));
    }
    if conflicts.len() > TOLD {
        words.push_str(&format!("  and {} more\n", conflicts.len() - TOLD));
    }
    let run = draft.run();
    error(
        Class::Conflict,
        words.trim_end().to_owned(),
        format!(
            "`raincoat review {run}` shows both sides; or say for all: `raincoat commit {run} --conflict keep-mine`, \
             keep-theirs, keep-both or merge"
        ),
    )
}

/// A path as a person names it: in full, or beneath the granted folder; a folder covers what is in it.
fn covers(named: &Path, draft: &OpenDraft, change: &DraftChange) -> bool {
    let folder = draft.folders().get(change.folder).map(Vec::as_slice).unwrap_or_default();
    let full =
        PathBuf::from(std::ffi::OsStr::from_bytes(folder)).join(std::ffi::OsStr::from_bytes(change.path.as_bytes()));
    let beneath = Path::new(std::ffi::OsStr::from_bytes(change.path.as_bytes()));
    full.starts_with(named) || beneath.starts_with(named)
}

/// Commits what was chosen, and says what came of it.
fn make(app: &mut App, keeper: &Keeper, draft: OpenDraft, picks: &[Pick]) -> Result<Exit> {
    let left_out = draft
        .changes()
        .iter()
        .zip(picks)
        .filter(|(change, pick)| change.dangerous.is_some() && **pick == Pick::Leave)
        .count();
    if picks.iter().all(|pick| *pick == Pick::Leave) {
        let words = "nothing was chosen, so nothing was committed";
        match app.out.json {
            true => app.out.value(&json::not_committed(false, &[], words)),
            false => app.out.line(words),
        }
        say_left_out(app, left_out, &draft.run().to_string());
        return Ok(Exit::Ok);
    }
    let run = draft.run().to_string();
    let (mut console, stop) = TerminalConsole::start(&app.out, app.may_ask(), false)?;
    let committed = keeper.commit_draft(draft, picks, stop, &mut console);
    console.finish();
    let report = committed?;
    let exit = match report.status {
        RunStatus::Done => Exit::Ok,
        RunStatus::Stopped => Exit::Stopped,
        _ if !report.conflicts.is_empty() => Exit::Conflict,
        _ if report.changes == 0 && !report.refused.is_empty() => Exit::Refused,
        _ => Exit::Failed,
    };
    if app.out.json {
        app.out.value(&json::committed(&report, exit));
    } else {
        show(app, &report);
        say_left_out(app, left_out, &run);
    }
    Ok(exit)
}

fn say_left_out(app: &mut App, left_out: usize, run: &str) {
    if left_out > 0 {
        let what =
            size::of(left_out as u64, "change has a protected name and was", "changes have protected names and were");
        app.out.aside(&format!("{what} left out; `raincoat review {run}` marks them with `!`"));
    }
}

fn show(app: &mut App, report: &CommitReport) {
    let style = app.out.style;
    for (path, why) in &report.conflicts {
        app.out.line(&format!(
            "{} {}: {}",
            style.yellow("changed meanwhile"),
            visible::single(path),
            visible::single(why)
        ));
    }
    for (path, why) in &report.refused {
        app.out.line(&format!("{} {}: {}", style.yellow("left out"), visible::single(path), visible::single(why)));
    }
    if report.status != RunStatus::Done {
        app.out.line(&format!("nothing was committed: {}", visible::single(&report.summary)));
        return;
    }
    app.out.line(&size::of(report.changes.into(), "change committed", "changes committed"));
    if report.changes > 0 {
        app.out.line(&format!("undo it with: raincoat undo {}", report.run));
    }
}

fn would(app: &mut App, draft: &OpenDraft, picks: &[Pick]) -> Exit {
    let chosen = draft.changes().iter().zip(picks).filter(|(_, pick)| **pick != Pick::Leave);
    let (letters, paths): (Vec<char>, Vec<String>) =
        chosen.map(|(change, _)| (mark_of(change).letter(), change.path.display())).unzip();
    let count = size::of(paths.len() as u64, "change", "changes");
    let words = format!("{count} would be committed; nothing was done");
    if app.out.json {
        app.out.value(&json::not_committed(true, &paths, &words));
        return Exit::Ok;
    }
    letters.iter().zip(&paths).for_each(|(letter, path)| app.out.line(&format!("{letter} {path}")));
    app.out.line(&words);
    Exit::Ok
}

/// `raincoat discard`.
pub(crate) fn discard(app: &mut App, run: Option<&str>) -> Result<Exit> {
    let gone = app.keeper()?.discard(run)?;
    for run in &gone {
        if app.out.json {
            app.out.value(&json::discarded(*run));
        } else {
            app.out.line(&format!("thrown away: {run}"));
        }
    }
    if gone.is_empty() && !app.out.json {
        app.out.line("no open drafts whose program has ended");
    }
    Ok(Exit::Ok)
}

/// A draft as the review shows it.
struct Reviewed {
    draft: OpenDraft,
    entries: Vec<Entry>,
}

impl Reviewed {
    fn new(draft: OpenDraft) -> Reviewed {
        let entries = draft.changes().iter().map(entry).collect();
        Reviewed { draft, entries }
    }
}

fn entry(change: &DraftChange) -> Entry {
    Entry {
        folder: change.folder,
        path: change.path.clone(),
        mark: mark_of(change),
        was_folder: change.was_folder,
        is_folder: change.is_folder,
        size_before: change.size_before,
        size_after: change.size_after,
        dangerous: change.dangerous.clone(),
        conflict: change.conflict.clone(),
        special: change.special.clone(),
    }
}

fn mark_of(change: &DraftChange) -> Mark {
    match change.mark {
        DraftMark::Created => Mark::Created,
        DraftMark::Modified => Mark::Modified,
        DraftMark::Deleted => Mark::Deleted,
        DraftMark::Kind => Mark::Kind,
        DraftMark::Meta => Mark::Meta,
    }
}

impl Source for Reviewed {
    fn folders(&self) -> &[Vec<u8>] {
        self.draft.folders()
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn open(&mut self, n: usize) -> Opened {
        let words = self.draft.words(n);
        let content = match self.draft.sides(n) {
            Ok(Sides::Text { before, after, base }) => Content::Text { before, after, base },
            Ok(Sides::Binary { before, after }) => {
                let blob = |side: Option<(u64, raincoat_types::Digest)>| {
                    side.map(|(size, digest)| Blob { size, digest: digest.hex() })
                };
                Content::Binary { before: blob(before), after: blob(after) }
            }
            Ok(Sides::Meta) => Content::Meta,
            Err(why) => Content::Unreadable(why),
        };
        Opened { words, content }
    }
}
