//! A whole tree before it is changed: sealed and durable, given back, verified; beside the tools that people keep copies
//! with. The limits are issue 4's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::super::{Bench, Contest, Side};
use super::ground::{Ground, kept, several};
use super::home::{Home, settle, timed};
use super::{NO_LIMIT, SECONDS, row, times};
use crate::{Result, command};

/// How often the folder is looked at while a commit gets ready.
const LOOK: Duration = Duration::from_millis(10);

pub(super) fn all() -> Vec<Contest> {
    let ours = |name, meaning, sides, peer_name, limit| row((name, meaning), SECONDS, sides, peer_name, limit);
    vec![Contest {
        name: "tree",
        rounds: 3,
        warm: 0,
        prepare: sides,
        rows: vec![
            ours(
                "before-images of a tree of 20,000 small files and 200 of 5 MiB, beside git",
                "A program deletes the tree (20,000 files of 4 KiB on average, of words; 200 of 5 MiB, half of them \
                 noise) in a draft. Then `raincoat commit --yes`, from its start until the first of the files changes: \
                 by then each is read, sealed and durable, and so are the intents. Each round has a new store. git \
                 adds and commits the tree to a new repository; by itself it does not wait for the disk, so one \
                 `syncfs` follows.",
                (BEFORE, GIT),
                "`git add --all`, `git commit`, `syncfs`",
                times(1.0 / 5.0),
            ),
            ours(
                "before-images of the tree, beside restic",
                "As above; restic as it is, which makes its own files durable, to a new repository.",
                (BEFORE, RESTIC),
                "`restic backup`",
                times(1.0 / 2.0),
            ),
            ours(
                "before-images of the tree, beside borg",
                "As above; borg as it is, its repository keyed with BLAKE2.",
                (BEFORE, BORG),
                "`borg create`",
                NO_LIMIT,
            ),
            ours(
                "before-images of the tree, beside rustic",
                "As above.",
                (BEFORE, RUSTIC),
                "`rustic backup`, `syncfs`",
                NO_LIMIT,
            ),
            ours(
                "the tree's deletion committed",
                "The same command to its exit: each file taken away too, and each outcome recorded.",
                (COMMIT, REMOVE),
                "`rm -r`, `syncfs`",
                NO_LIMIT,
            ),
            ours(
                "the tree given back by undo",
                "`raincoat undo --yes` of that commit, from its start to its exit: each file opened, written, checked, \
                 durable under its name with its metadata, each operation recorded and undoable.",
                (UNDO, COPY),
                "`cp -a`, `syncfs`",
                times(1.3),
            ),
            ours(
                "the tree given back by undo, beside restic",
                "As above; restic does not wait for the disk, so one `syncfs` follows.",
                (UNDO, RESTIC + 1),
                "`restic restore`, `syncfs`",
                NO_LIMIT,
            ),
        ],
    }]
}

/// Where the sides stand.
const BEFORE: usize = 0;
const COMMIT: usize = 1;
const UNDO: usize = 2;
const GIT: usize = 3;
const RESTIC: usize = 4;
const BORG: usize = 7;
const RUSTIC: usize = 8;
const COPY: usize = 9;
const REMOVE: usize = 10;

fn sides(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let tree = kept(bench, "tree", |dir| timed(&mut ground.bare(&["tree", &dir.to_string_lossy()])).map(drop))?;
    settle(&tree)?;
    let trees = Rc::new(Trees { ground, tree, rustic: bench.peers.join("rustic/bin/rustic") });
    let side = |work: fn(&Trees) -> Result<f64>| {
        let trees = trees.clone();
        Side::here(move || work(&trees))
    };
    let mut sides = several(3, {
        let trees = trees.clone();
        move || trees.ours()
    });
    sides.push(side(Trees::git));
    sides.extend(match command::works("restic", &["version"]) {
        true => several(3, {
            let trees = trees.clone();
            move || trees.restic()
        }),
        false => (0..3).map(|_| Side::NotHere("install restic".to_owned())).collect(),
    });
    sides.push(match command::works("borg", &["--version"]) {
        true => side(Trees::borg),
        false => Side::NotHere("install borgbackup".to_owned()),
    });
    sides.push(match trees.rustic.is_file() {
        true => side(Trees::rustic),
        false => Side::NotHere("rustic takes long to build: `scripts/setup-bench-peers.sh --rustic`".to_owned()),
    });
    sides.push(side(Trees::copied));
    sides.push(side(Trees::removed));
    Ok(sides)
}

/// The tree, and where its copies are made.
struct Trees {
    ground: Rc<Ground>,
    tree: PathBuf,
    rustic: PathBuf,
}

impl Trees {
    /// Seconds until the before-images of all of it are durable, until all of it is gone, and of the undo.
    fn ours(&self) -> Result<Vec<f64>> {
        let dir = self.ground.fresh()?;
        let (home, folder) = (Home::at(self.ground.home.program(), &dir.join("home"))?, self.copy_to(&dir)?);
        timed(&mut home.raincoat(&["grant", &folder.to_string_lossy()]))?;
        let mut program = home.raincoat(&["exec", "--commit", "never", "--in", &folder.to_string_lossy()]);
        timed(program.args(["--", "find", ".", "-mindepth", "1", "-delete"]).current_dir(&folder))?;
        settle(&dir)?;
        let (before, commit) = until_changed(&mut home.raincoat(&["commit", "--yes"]), &folder)?;
        if std::fs::read_dir(&folder).is_ok_and(|mut left| left.next().is_some()) {
            return Err("the tree was not deleted".to_owned());
        }
        settle(&dir)?;
        let undo = timed(&mut home.raincoat(&["undo", "--yes"]))?;
        timed(Command::new("diff").arg("--recursive").arg(&self.tree).arg(&folder))?;
        self.gone(&dir)?;
        Ok(vec![before, commit, undo])
    }

    fn git(&self) -> Result<f64> {
        let dir = self.ground.fresh()?;
        let git = |args: &[&str]| {
            let mut git = Command::new("git");
            self.ground.home.inhabit(&mut git);
            git.arg("--git-dir").arg(&dir).arg("--work-tree").arg(&self.tree).current_dir(&self.tree);
            git.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]).args(args);
            git
        };
        timed(&mut git(&["init", "--quiet"]))?;
        settle(&dir)?;
        let added = timed(&mut git(&["add", "--all"]))?;
        let committed = timed(&mut git(&["commit", "--quiet", "--message", "all of it"]))?;
        let synced = timed(&mut sync(&dir))?;
        self.gone(&dir)?;
        Ok(added + committed + synced)
    }

    /// Seconds of backup, restore and check.
    fn restic(&self) -> Result<Vec<f64>> {
        let dir = self.ground.fresh()?;
        let restic = |args: &[&str]| {
            let mut restic = Command::new("restic");
            self.ground.home.inhabit(&mut restic);
            restic.env("RESTIC_PASSWORD", "bench").env("RESTIC_CACHE_DIR", dir.join("cache"));
            restic.arg("--repo").arg(dir.join("repository")).args(args).current_dir(&self.tree);
            restic
        };
        timed(&mut restic(&["init"]))?;
        settle(&dir)?;
        let backup = timed(&mut restic(&["backup", "."]))?;
        settle(&dir)?;
        let restored = dir.join("restored");
        let restore = timed(&mut restic(&["restore", "latest", "--target", &restored.to_string_lossy()]))?;
        let restore = restore + timed(&mut sync(&dir))?;
        let check = timed(&mut restic(&["check", "--read-data"]))?;
        self.gone(&dir)?;
        Ok(vec![backup, restore, check])
    }

    fn borg(&self) -> Result<f64> {
        let dir = self.ground.fresh()?;
        let repository = dir.join("repository");
        let borg = |args: &[&str]| {
            let mut borg = Command::new("borg");
            self.ground.home.inhabit(&mut borg);
            borg.env("BORG_PASSPHRASE", "bench").env("BORG_BASE_DIR", dir.join("base")).args(args);
            borg.current_dir(&self.tree);
            borg
        };
        timed(&mut borg(&["init", "--encryption", "repokey-blake2", &repository.to_string_lossy()]))?;
        settle(&dir)?;
        let took = timed(&mut borg(&["create", &format!("{}::all", repository.display()), "."]))?;
        self.gone(&dir)?;
        Ok(took)
    }

    fn rustic(&self) -> Result<f64> {
        let dir = self.ground.fresh()?;
        let rustic = |args: &[&str]| {
            let mut rustic = Command::new(&self.rustic);
            self.ground.home.inhabit(&mut rustic);
            rustic.env("RUSTIC_PASSWORD", "bench").env("RUSTIC_CACHE_DIR", dir.join("cache"));
            rustic.arg("--repo").arg(dir.join("repository")).args(args).current_dir(&self.tree);
            rustic
        };
        timed(&mut rustic(&["init"]))?;
        settle(&dir)?;
        let took = timed(&mut rustic(&["backup", "."]))? + timed(&mut sync(&dir))?;
        self.gone(&dir)?;
        Ok(took)
    }

    fn copied(&self) -> Result<f64> {
        let dir = self.ground.fresh()?;
        settle(&dir)?;
        let start = Instant::now();
        self.copy_to(&dir)?;
        let took = start.elapsed().as_secs_f64();
        self.gone(&dir)?;
        Ok(took)
    }

    fn removed(&self) -> Result<f64> {
        let dir = self.ground.fresh()?;
        let folder = self.copy_to(&dir)?;
        let took = timed(Command::new("rm").arg("--recursive").arg(&folder))? + timed(&mut sync(&dir))?;
        self.gone(&dir)?;
        Ok(took)
    }

    /// A durable copy of the tree.
    fn copy_to(&self, dir: &Path) -> Result<PathBuf> {
        let folder = dir.join("tree");
        timed(Command::new("cp").arg("--archive").arg(&self.tree).arg(&folder))?;
        timed(&mut sync(dir))?;
        Ok(folder)
    }

    /// What a round made is no part of the next.
    fn gone(&self, dir: &Path) -> Result<()> {
        timed(Command::new("rm").args(["--recursive", "--force"]).arg(dir))?;
        self.ground.settle()
    }
}

fn sync(dir: &Path) -> Command {
    let mut command = Command::new("sync");
    command.arg("--file-system").arg(dir);
    command
}

/// Seconds from a command's start until something in this folder's folders changes, and to its end.
fn until_changed(command: &mut Command, folder: &Path) -> Result<(f64, f64)> {
    let fail = |error: std::io::Error| error.to_string();
    let mut folders = Vec::new();
    below(folder, &mut folders).map_err(fail)?;
    let changed = || folders.iter().any(|(folder, time)| modified(folder) != *time);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().map_err(fail)?;
    let mut first = None;
    let status = loop {
        if first.is_none() && changed() {
            first = Some(start.elapsed().as_secs_f64());
        }
        if let Some(status) = child.try_wait().map_err(fail)? {
            break status;
        }
        std::thread::sleep(if first.is_none() { LOOK } else { LOOK / 10 });
    };
    let whole = start.elapsed().as_secs_f64();
    match first {
        Some(first) if status.success() => Ok((first, whole)),
        _ => {
            let words = child.wait_with_output().map(|out| String::from_utf8_lossy(&out.stderr).into_owned());
            Err(format!("{command:?} failed: {status}\n{}", words.unwrap_or_default()))
        }
    }
}

/// The folders below one, and when each was changed last.
fn below(folder: &Path, folders: &mut Vec<(PathBuf, Option<SystemTime>)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push((entry.path(), modified(&entry.path())));
            below(&entry.path(), folders)?;
        }
    }
    Ok(())
}

fn modified(folder: &Path) -> Option<SystemTime> {
    std::fs::metadata(folder).and_then(|meta| meta.modified()).ok()
}
