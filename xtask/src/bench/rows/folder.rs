//! Whole commands on a folder full of files.

use std::cell::Cell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use super::super::memory::{Peaks, peaks_of};
use super::super::{Bench, Side};
use super::home::{Home, settle, timed};
use crate::Result;

/// After how many moves the plain program syncs, where it does not after each: as many as Raincoat has under way at once.
const BATCH: &str = "128";
/// Bytes of each file.
const FILE_BYTES: usize = 4096;
/// The name of the product's process.
const NAME: &str = "raincoat";

pub(super) fn start(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench, 0)?;
    Ok(vec![
        Side::here(move || timed(&mut ground.home.raincoat(&["grants"]))),
        Side::here(|| timed(&mut Command::new("true"))),
    ])
}

/// Tidy, undo, then the plain program there and back: each move durable (where `each`), then in batches. Everybody finds
/// the folder as it was.
pub(super) fn moves(bench: &Bench<'_>, files: usize, each: bool) -> Result<Vec<Side>> {
    let ground = Rc::new(Ground::new(bench, files)?);
    let tidied = ground.where_tidied(files)?;
    let folder = ground.folder();
    let side = |command: &dyn Fn(&Ground) -> Command| -> Side {
        let (ground, mut command) = (ground.clone(), command(&ground));
        Side::here(move || {
            let took = timed(&mut command)?;
            settle(&ground.scratch)?;
            Ok(took)
        })
    };
    let mut sides = vec![side(&Ground::tidy), side(&Ground::undo)];
    let everies: &[&str] = if each { &["1", BATCH] } else { &[BATCH] };
    for every in everies {
        sides.push(side(&|ground| ground.plain(&folder, &tidied, every)));
        sides.push(side(&|ground| ground.plain(&tidied, &folder, every)));
    }
    Ok(sides)
}

/// Peaks of: the keeper tidying, its worker, the keeper undoing, the keeper with a plan that is looked at, the plain
/// program.
pub(super) fn memory(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let files = 100_000;
    let ground = Rc::new(Ground::new(bench, files)?);
    let tidied = ground.where_tidied(files)?;
    let worker = Rc::new(Cell::new(0.0));
    let seen = worker.clone();
    let (one, two, three, four) = (ground.clone(), ground.clone(), ground.clone(), ground);
    Ok(vec![
        Side::here(move || {
            let peaks = quiet_peaks(&mut one.tidy())?;
            worker.set(peaks.child as f64);
            Ok(peaks.own as f64)
        }),
        Side::here(move || Ok(seen.get())),
        Side::here(move || Ok(quiet_peaks(&mut two.undo())?.own as f64)),
        Side::here(move || {
            let peaks = three.tidy_at_a_terminal()?;
            timed(&mut three.plain(&tidied, &three.folder(), BATCH))?;
            Ok(peaks.own as f64)
        }),
        Side::here(move || {
            let (folder, elsewhere) = (four.folder(), four.folder().join("elsewhere"));
            Ok(quiet_peaks(&mut four.plain(&folder, &elsewhere, BATCH))?.own as f64)
        }),
    ])
}

/// A granted folder of text files.
struct Ground {
    home: Home,
    measure: PathBuf,
    scratch: PathBuf,
}

impl Ground {
    fn new(bench: &Bench<'_>, files: usize) -> Result<Ground> {
        let ground =
            Ground { home: Home::new(bench)?, measure: bench.measure.to_owned(), scratch: bench.scratch.to_owned() };
        let folder = ground.folder();
        let fail = |error: std::io::Error| format!("cannot make a folder of {files} files: {error}");
        std::fs::create_dir(&folder).map_err(fail)?;
        for n in 0..files {
            let mut text = format!("Note {n}. It says nothing new, and says it again.\n").repeat(FILE_BYTES / 40);
            text.truncate(FILE_BYTES);
            std::fs::write(folder.join(format!("note-{n:06}.txt")), text).map_err(fail)?;
        }
        timed(&mut ground.home.raincoat(&["grant", &folder.to_string_lossy()]))?;
        settle(&ground.scratch)?;
        Ok(ground)
    }

    fn folder(&self) -> PathBuf {
        self.scratch.join("notes")
    }

    /// Tidies once to see into which folder all files go, and takes it back.
    fn where_tidied(&self, files: usize) -> Result<PathBuf> {
        timed(&mut self.tidy())?;
        let folder = holder_of(&self.folder(), files)?;
        timed(&mut self.undo())?;
        match holder_of(&self.folder(), files)? {
            back if back == self.folder() && folder != back => Ok(folder),
            _ => Err("the files were not tidied and put back".to_owned()),
        }
    }

    fn tidy(&self) -> Command {
        self.home.raincoat(&["do", "tidy", &self.folder().to_string_lossy(), "--yes"])
    }

    fn undo(&self) -> Command {
        self.home.raincoat(&["undo", "--yes"])
    }

    /// Tidies at a terminal, which `script` lends, and says yes to the plan as soon as it is asked about. What is typed
    /// before the question is thrown away there, so it is said again until the command ends.
    fn tidy_at_a_terminal(&self) -> Result<Peaks> {
        let line = format!("{} do tidy {}", self.home.program().display(), self.folder().display());
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        self.home.inhabit(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut looks = 0_u32;
        peaks_of(&mut command, Some(NAME), &mut |child| {
            looks += 1;
            if looks.is_multiple_of(100)
                && let Some(terminal) = child.stdin.as_mut()
            {
                let _ = terminal.write_all(b"y\n");
            }
        })
    }

    fn plain(&self, from: &Path, to: &Path, every: &str) -> Command {
        let mut command = Command::new(&self.measure);
        command.arg("moves").arg(from).arg(to).arg(every);
        command
    }
}

/// The one folder, in or below this one, that has all the files.
fn holder_of(folder: &Path, files: usize) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let entries = entries.map_err(|error| format!("cannot list `{}`: {error}", folder.display()))?;
    let is_dir = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let (dirs, here): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| is_dir(entry));
    match (here.len(), dirs.as_slice()) {
        (here, []) if here == files => Ok(folder.to_owned()),
        (0, [one]) => holder_of(&one.path(), files),
        (here, dirs) => Err(format!("`{}` has {here} of {files} files and {} folders", folder.display(), dirs.len())),
    }
}

fn quiet_peaks(command: &mut Command) -> Result<Peaks> {
    peaks_of(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()), None, &mut |_| {})
}
