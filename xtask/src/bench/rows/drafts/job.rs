//! Whole jobs with real tools, in a draft and committed, against bare.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use super::super::super::{Bench, Side};
use super::super::ground::{Ground, bare};
use super::super::home::timed;
use crate::Result;

/// Sources of the C program.
const SOURCES: usize = 60;

/// One job: what lies in the folder before, and what is run there.
struct Job {
    prepare: fn(&Path, &Seeds) -> Result<()>,
    program: &'static [&'static str],
    /// What must be there afterwards.
    result: &'static str,
}

const JOBS: [Job; 3] = [
    Job { prepare: c_program, program: &["make", "--silent", "--jobs=2"], result: "program" },
    Job {
        prepare: repository,
        program: &["git", "-C", "tree", "checkout", "--quiet", "HEAD", "--", "."],
        result: "tree/old/folder-0000/file-0000000",
    },
    Job {
        prepare: archive,
        program: &["tar", "--extract", "--file", "there.tar"],
        result: "old/folder-0000/file-0000000",
    },
];

/// What the jobs start from, made once.
struct Seeds {
    repository: PathBuf,
    archive: PathBuf,
}

/// Each job in a draft that is committed, and bare.
pub(super) fn sides(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let seeds = Rc::new(seeds(&ground, bench.scratch)?);
    let sides = JOBS.iter().flat_map(|job| [true, false].map(|in_a_draft| side(&ground, &seeds, job, in_a_draft)));
    Ok(sides.collect())
}

fn side(ground: &Rc<Ground>, seeds: &Rc<Seeds>, job: &'static Job, in_a_draft: bool) -> Side {
    let (ground, seeds) = (ground.clone(), seeds.clone());
    Side::here(move || {
        let folder = ground.fresh()?;
        (job.prepare)(&folder, &seeds)?;
        ground.grant(&folder)?;
        ground.settle()?;
        let program: Vec<String> = job.program.iter().map(|word| (*word).to_owned()).collect();
        let took = if in_a_draft {
            timed(&mut ground.exec("success", &folder, &program))?
        } else {
            let mut command = bare(&program);
            ground.home.inhabit(&mut command);
            timed(command.current_dir(&folder))?
        };
        if !folder.join(job.result).exists() {
            return Err(format!("`{}` left no `{}`", job.program.join(" "), job.result));
        }
        ground.settle()?;
        Ok(took)
    })
}

/// A repository with 3,000 files in its newest commit, packed, and an archive of them.
fn seeds(ground: &Ground, scratch: &Path) -> Result<Seeds> {
    let seeds = Seeds { repository: scratch.join("seed"), archive: scratch.join("seed.tar") };
    timed(&mut ground.bare(&["fill", "small", &seeds.repository.to_string_lossy()]))?;
    let packed = Command::new("tar")
        .args(["--create", "--file"])
        .arg(&seeds.archive)
        .arg("--directory")
        .arg(&seeds.repository)
        .arg("old")
        .status();
    if !packed.is_ok_and(|status| status.success()) {
        return Err("`tar` could not pack what is to be unpacked: install tar".to_owned());
    }
    let steps: [&[&str]; 4] = [
        &["init", "--quiet"],
        &["add", "--all"],
        &["commit", "--quiet", "--message", "all"],
        &["repack", "--quiet", "-a", "-d"],
    ];
    for step in steps {
        let mut command = Command::new("git");
        ground.home.inhabit(&mut command);
        command.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]);
        timed(command.args(step).current_dir(&seeds.repository))?;
    }
    Ok(seeds)
}

/// The repository again, with nothing in its tree yet.
fn repository(folder: &Path, seeds: &Seeds) -> Result<()> {
    let mut command = Command::new("git");
    command.args(["clone", "--quiet", "--no-checkout", "--no-hardlinks"]).arg(&seeds.repository).arg("tree");
    timed(command.current_dir(folder)).map(drop)
}

fn archive(folder: &Path, seeds: &Seeds) -> Result<()> {
    let copied = std::fs::copy(&seeds.archive, folder.join("there.tar"));
    copied.map(drop).map_err(|error| format!("cannot copy `{}`: {error}", seeds.archive.display()))
}

fn c_program(folder: &Path, _: &Seeds) -> Result<()> {
    let put = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).map_err(|error| format!("cannot write `{name}`: {error}"))
    };
    let (mut calls, mut declared) = (String::new(), String::new());
    for n in 0..SOURCES {
        put(
            &format!("part{n}.c"),
            &format!(
                "#include <stdio.h>\n#include <string.h>\nint part{n}(int x) {{ char b[64]; snprintf(b, sizeof b, \"%d\", x); return (int)strlen(b) + {n}; }}\n"
            ),
        )?;
        let _ = writeln!(declared, "int part{n}(int);");
        let _ = write!(calls, " + part{n}(n)");
    }
    put("main.c", &format!("{declared}int main(int n, char **v) {{ (void)v; return (0{calls}) == 0; }}\n"))?;
    put(
        "Makefile",
        "objects := $(patsubst %.c,%.o,$(wildcard *.c))\nprogram: $(objects)\n\tcc -o $@ $^\n%.o: %.c\n\tcc -O1 -c -o $@ $<\n",
    )
}
