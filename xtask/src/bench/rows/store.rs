//! A store that has seen much, and what it takes on the disk. The limits are issue 4's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use super::super::{Bench, Contest, Limit, Side};
use super::ground::{Ground, several, stored};
use super::home::timed;
use super::{BYTES, NO_LIMIT, SECONDS, row};
use crate::Result;

/// Operations of a store that has seen much.
const OPERATIONS: u64 = 1_000_000;
/// Files that a run changes, each in a folder of its own.
const CHANGED: &str = "10";

pub(super) fn all() -> Vec<Contest> {
    vec![much_seen(), versions(), appended()]
}

fn much_seen() -> Contest {
    const WRITTEN: &str = "the ten files written, one `syncfs`";
    let most = |seconds| Limit { ratio: None, most: Some(seconds) };
    Contest {
        name: "million-operations",
        rounds: 9,
        warm: 1,
        prepare: much,
        rows: vec![
            row(
                (
                    "undo of a run of 10 files, the last of 1,000,000 operations",
                    "`raincoat undo --yes RUN`, from its start to its exit: found, planned, looked at for drift, what it \
                     replaces sealed, the ten files put back, durable. The store has a million operations of a thousand \
                     runs in the same folder.",
                ),
                SECONDS,
                (0, 2),
                WRITTEN,
                most(0.1),
            ),
            row(
                (
                    "undo of a run of 10 files, beneath 1,000,000 operations",
                    "As above, of a run that was there before them.",
                ),
                SECONDS,
                (1, 2),
                WRITTEN,
                most(0.1),
            ),
            row(
                (
                    "a folder of 10 files restored as it was before 1,000,000 operations",
                    "`raincoat restore FOLDER --before RUN --to ELSEWHERE`, from its start to its exit.",
                ),
                SECONDS,
                (3, 2),
                WRITTEN,
                NO_LIMIT,
            ),
            row(
                (
                    "history of a file among 1,000,000 operations",
                    "`raincoat history FILE`, of a file with twenty versions.",
                ),
                SECONDS,
                (4, 2),
                WRITTEN,
                NO_LIMIT,
            ),
        ],
    }
}

fn versions() -> Contest {
    Contest {
        name: "versions",
        rounds: 1,
        warm: 0,
        prepare: hundred_versions,
        rows: vec![row(
            (
                "100 versions of a file of 10 MB, bytes stored",
                "A file of noise, which nothing makes smaller. A hundred times a program in a draft, committed, writes it \
                 anew with one small edit at a random place: 100 bytes written over, put in or taken out, in turns. What \
                 our data directory has gained, log and index included; the 8 MiB that a store holds back for a full \
                 disk are there since `init`.",
            ),
            BYTES,
            (0, 1),
            "`git`: each version committed, packed by `git gc`",
            Limit { ratio: None, most: Some(25e6) },
        )],
    }
}

fn appended() -> Contest {
    const APPENDED: &str = "the bytes appended";
    Contest {
        name: "appended",
        rounds: 1,
        warm: 0,
        prepare: append,
        rows: vec![
            row(
                (
                    "1 MB appended to a file of 2 GB, bytes stored",
                    "By a program in a draft, committed, where an append before it brought the file into the store.",
                ),
                BYTES,
                (1, 2),
                APPENDED,
                NO_LIMIT,
            ),
            row(
                (
                    "1 MB appended the first time, bytes stored",
                    "The file of noise has never been seen: what it was is kept whole.",
                ),
                BYTES,
                (0, 2),
                APPENDED,
                NO_LIMIT,
            ),
        ],
    }
}

/// Undo of a run that came last, of one that came first, ten files written durably, a folder of the first run restored, and
/// a file's history.
fn much(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let folder = ground.fresh()?;
    ground.grant(&folder)?;
    // One folder of files for each run, so that none touches what another did.
    let parts: Vec<PathBuf> = (0..=PARTS).map(|part| folder.join(format!("part-{part}"))).collect();
    for part in &parts {
        timed(&mut ground.bare(&["fill", "4096", &part.to_string_lossy(), CHANGED, CHANGED]))?;
    }
    ground.settle()?;
    let mut early = Vec::new();
    for part in parts.iter().skip(1) {
        early.push(changed(&ground, &folder, part)?);
    }
    let count = bench.many(OPERATIONS).to_string();
    let mut fill = Command::new(bench.journal);
    let took = timed(fill.arg("fill").arg(ground.home.data()).arg(&count))?;
    println!("{count} operations were recorded in {took:.1} s");
    ground.settle()?;
    let last = {
        let (ground, folder) = (ground.clone(), folder.clone());
        let part = parts.first().cloned().unwrap_or_default();
        move || {
            let run = changed(&ground, &folder, &part)?;
            undone(&ground, &run)
        }
    };
    let restored = {
        let (ground, part, run) = (ground.clone(), parts.get(1).cloned().unwrap_or_default(), early.first().cloned());
        let (run, elsewhere) = (run.unwrap_or_default(), bench.scratch.join("elsewhere"));
        let mut rounds = 0;
        move || {
            rounds += 1;
            let mut restore = ground.home.raincoat(&["restore", "--before", &run, "--yes", "--to"]);
            let took = timed(restore.arg(elsewhere.with_extension(rounds.to_string())).arg(&part))?;
            ground.settle()?;
            Ok(took)
        }
    };
    let history = {
        let (ground, file) = (ground.clone(), folder.join("long-ago/000/file-00000"));
        move || timed(ground.home.raincoat(&["history"]).arg(&file))
    };
    let mut early = early.into_iter();
    let first = {
        let ground = ground.clone();
        move || undone(&ground, &early.next().ok_or("there are more rounds than runs")?)
    };
    let written = parts.last().cloned().unwrap_or_default();
    let plain = move || {
        let took = timed(&mut ground.bare(&["write", "durably", &written.to_string_lossy(), CHANGED, CHANGED]))?;
        ground.settle()?;
        Ok(took)
    };
    Ok(vec![Side::here(last), Side::here(first), Side::here(plain), Side::here(restored), Side::here(history)])
}

/// Runs that were there before the million.
const PARTS: usize = 12;

/// A run that gives ten files new content; its id.
fn changed(ground: &Ground, folder: &Path, part: &Path) -> Result<String> {
    let program = ground.work(&["change", &part.to_string_lossy(), CHANGED, CHANGED, CHANGED]);
    timed(&mut ground.exec("always", folder, &program))?;
    ground.settle()?;
    ground.home.newest_run()
}

fn undone(ground: &Ground, run: &str) -> Result<f64> {
    let took = timed(&mut ground.home.raincoat(&["undo", "--yes", run]))?;
    ground.settle()?;
    Ok(took)
}

/// Bytes gained by a hundred versions of a file, here and in git.
fn hundred_versions(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let folder = ground.fresh()?;
    ground.grant(&folder)?;
    let file = folder.join("file");
    timed(&mut ground.bare(&["noise", &file.to_string_lossy(), "10000000"]))?;
    let repository = bench.scratch.join("repository");
    let git = {
        let (home, repository, folder) = (ground.home.clone(), repository.clone(), folder.clone());
        Rc::new(move |args: &[&str]| {
            let mut git = Command::new("git");
            home.inhabit(&mut git);
            git.arg("--git-dir").arg(&repository).arg("--work-tree").arg(&folder).current_dir(&folder);
            git.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]).args(args);
            timed(&mut git).map(drop)
        })
    };
    git(&["init", "--quiet"])?;
    let versions = bench.many(100);
    Ok(several(2, move || {
        let (data, before) = (ground.home.data(), stored(&ground.home.data())?);
        for n in 1..=versions {
            git(&["add", "--all"])?;
            git(&["commit", "--quiet", "--message", "a version"])?;
            let program = ground.work(&["edit", &file.to_string_lossy(), &n.to_string()]);
            timed(&mut ground.exec("always", &folder, &program))?;
        }
        git(&["gc", "--quiet"])?;
        Ok(vec![(stored(&data)? - before) as f64, stored(&repository)? as f64])
    }))
}

/// Bytes gained by two appends to a large file, and the bytes of an append.
fn append(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let folder = ground.fresh()?;
    ground.grant(&folder)?;
    let file = folder.join("file");
    timed(&mut ground.bare(&["noise", &file.to_string_lossy(), &bench.many(2_000_000_000).to_string()]))?;
    Ok(several(3, move || {
        let mut gained = Vec::new();
        for _ in 0..2 {
            let before = stored(&ground.home.data())?;
            let program = ground.work(&["append", &file.to_string_lossy(), "1000000"]);
            timed(&mut ground.exec("always", &folder, &program))?;
            gained.push((stored(&ground.home.data())? - before) as f64);
        }
        gained.push(1e6);
        Ok(gained)
    }))
}
