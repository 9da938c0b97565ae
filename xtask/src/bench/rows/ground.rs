//! What the rows about drafts share: a home of the product's, the program that does the work, folders to do it in.

use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use super::super::peers::Place;
use super::super::{Bench, Side};
use super::home::{Home, answered, settle, timed};
use crate::Result;

/// Kept alive by every side of a contest.
pub(super) struct Ground {
    pub(super) home: Home,
    scratch: PathBuf,
    installed: PathBuf,
    /// A copy of the program with the work, in a folder of its own that everybody may read.
    measure: PathBuf,
    rounds: Cell<u32>,
}

impl Ground {
    pub(super) fn new(bench: &Bench<'_>) -> Result<Rc<Ground>> {
        let scratch = bench.scratch.to_owned();
        for dir in ["bin", "rounds", "outside", "peers-home"] {
            make(&scratch.join(dir))?;
        }
        // ext4 looks for a free inode in the folder's own group of blocks and steps over each one that was freed in the
        // last minutes. Below a folder with this flag each new folder gets a group of its own, so that no round pays for
        // the one before, whoever's it was. Other file systems have no such flag and no such search; there it fails.
        let _ = timed(Command::new("chattr").arg("+T").arg(scratch.join("rounds")));
        let measure = scratch.join("bin/measure");
        std::fs::copy(bench.measure, &measure)
            .map_err(|error| format!("cannot copy `{}`: {error}", bench.measure.display()))?;
        Ok(Rc::new(Ground {
            home: Home::new(bench)?,
            scratch,
            installed: bench.peers.to_owned(),
            measure,
            rounds: Cell::new(0),
        }))
    }

    /// A new empty folder, granted.
    pub(super) fn fresh(&self) -> Result<PathBuf> {
        self.rounds.set(self.rounds.get() + 1);
        let dir = self.scratch.join(format!("rounds/{}", self.rounds.get()));
        make(&dir)?;
        Ok(dir)
    }

    pub(super) fn grant(&self, dir: &Path) -> Result<()> {
        timed(&mut self.home.raincoat(&["grant", &dir.to_string_lossy()])).map(drop)
    }

    /// What a sandbox of others is to enclose a program in, with this folder to write.
    pub(super) fn place(&self, folder: &Path) -> Place {
        Place {
            folder: folder.to_owned(),
            reads: vec![self.scratch.join("bin")],
            outside: self.scratch.join("outside"),
            home: self.scratch.join("peers-home"),
            installed: self.installed.clone(),
        }
    }

    /// The program with the work.
    pub(super) fn work(&self, args: &[&str]) -> Vec<String> {
        let program = self.measure.to_string_lossy().into_owned();
        std::iter::once(program).chain(args.iter().map(|arg| (*arg).to_owned())).collect()
    }

    /// The same as a command, run bare.
    pub(super) fn bare(&self, args: &[&str]) -> Command {
        bare(&self.work(args))
    }

    /// A program in a draft of this folder.
    pub(super) fn exec(&self, commit: &str, folder: &Path, program: &[String]) -> Command {
        let (folder_name, bin) = (folder.to_string_lossy(), self.scratch.join("bin"));
        let mut command =
            self.home.raincoat(&["exec", "--commit", commit, "--in", &folder_name, "--read", &bin.to_string_lossy()]);
        command.arg("--").args(program).current_dir(folder);
        command
    }

    /// Throws away all drafts; not a part of what is measured.
    pub(super) fn discard(&self) -> Result<()> {
        timed(&mut self.home.raincoat(&["discard", "--all", "--yes"])).map(drop)
    }

    /// The id of the newest run.
    pub(super) fn newest_run(&self) -> Result<String> {
        let mut command = self.home.raincoat(&["runs", "--json", "-n", "1"]);
        let (_, out) = answered(command.stdout(Stdio::piped()))?;
        let text = String::from_utf8_lossy(&out.stdout);
        let id = text.split_once("\"run\":\"").and_then(|(_, rest)| rest.split('"').next());
        id.map(str::to_owned).ok_or_else(|| format!("{command:?} named no run but `{text}`"))
    }

    pub(super) fn settle(&self) -> Result<()> {
        settle(&self.scratch)
    }

    /// Looks once at whether the draft holds: what is written inside is not in the folder, what is written outside is
    /// nowhere.
    pub(super) fn prove(&self, folder: &Path) -> Result<()> {
        let outside = self.scratch.join("outside/written-in-a-draft");
        let line = format!("echo inside > written-in-a-draft; echo outside > '{}'; true", outside.display());
        let program = ["/bin/sh", "-c", &line].map(str::to_owned);
        timed(&mut self.exec("never", folder, &program))?;
        let escaped = outside.exists() || folder.join("written-in-a-draft").exists();
        self.discard()?;
        if escaped { Err("a program in a draft wrote outside of it".to_owned()) } else { Ok(()) }
    }
}

/// Sides that are measured in one go: the first does the work, the others say what it took of theirs.
pub(super) fn several(count: usize, mut work: impl FnMut() -> Result<Vec<f64>> + 'static) -> Vec<Side> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let nth = |seen: &[f64], n: usize| seen.get(n).copied().ok_or_else(|| "a program said too little".to_owned());
    let first = seen.clone();
    let mut sides = vec![Side::here(move || {
        let took = work()?;
        first.replace(took);
        nth(&first.borrow(), 0)
    })];
    sides.extend((1..count).map(|n| {
        let seen = seen.clone();
        Side::here(move || nth(&seen.borrow(), n))
    }));
    sides
}

/// What a program that times itself wrote: nanoseconds, separated by blanks. In seconds.
pub(super) fn own_times(command: &mut Command) -> Result<Vec<f64>> {
    let (_, out) = answered(command.stdout(Stdio::piped()))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let nanos = text.split_whitespace().map(|word| word.parse::<u64>().map(|nanos| nanos as f64 / 1e9));
    nanos.collect::<std::result::Result<_, _>>().map_err(|_| format!("{command:?} wrote no times but `{text}`"))
}

pub(super) fn bare(program: &[String]) -> Command {
    let mut words = program.iter();
    let mut command = Command::new(words.next().map_or("true", String::as_str));
    command.args(words);
    command
}

pub(super) fn os(words: &[String]) -> Vec<&OsStr> {
    words.iter().map(OsStr::new).collect()
}

/// A folder that is kept from run to run, for it takes long to fill. One that was left half filled is filled anew.
pub(super) fn kept(bench: &Bench<'_>, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let (folder, whole) = (bench.kept.join(name), bench.kept.join(format!("{name}.whole")));
    let fail = |error: std::io::Error| format!("cannot set up `{}`: {error}", folder.display());
    if !whole.exists() {
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(fail)?;
        }
        make(&folder)?;
        fill(&folder)?;
        std::fs::write(&whole, "").map_err(fail)?;
    }
    Ok(folder)
}

pub(super) fn make(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|error| format!("cannot make `{}`: {error}", dir.display()))
}

/// Bytes of all files below a folder.
pub(super) fn stored(dir: &Path) -> Result<u64> {
    let fail = |error: std::io::Error| format!("cannot look into `{}`: {error}", dir.display());
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let meta = entry.metadata().map_err(fail)?;
        bytes += if meta.is_dir() { stored(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}
