//! Whole jobs with real tools, in a draft and committed, against bare.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;

use super::super::super::{Bench, Side};
use super::super::home::timed;
use super::ground::{Ground, bare};
use crate::Result;

/// Sources of the C program.
const SOURCES: usize = 60;

/// One job: what lies in the folder before, and what is run there.
struct Job {
    prepare: fn(&Ground, &Path) -> Result<()>,
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

/// Each job in a draft that is committed, and bare.
pub(super) fn sides(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    Ok(JOBS.iter().flat_map(|job| [side(&ground, job, true), side(&ground, job, false)]).collect())
}

fn side(ground: &Rc<Ground>, job: &'static Job, in_a_draft: bool) -> Side {
    let ground = ground.clone();
    Side::here(move || {
        let folder = ground.fresh()?;
        (job.prepare)(&ground, &folder)?;
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

fn c_program(_: &Ground, folder: &Path) -> Result<()> {
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

/// A repository with 3,000 files in its newest commit and none in its tree.
fn repository(ground: &Ground, folder: &Path) -> Result<()> {
    let tree = folder.join("tree");
    timed(&mut ground.bare(&["fill", "small", &tree.to_string_lossy()]))?;
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        ground.home.inhabit(&mut command);
        command.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]);
        timed(command.args(args).current_dir(&tree)).map(drop)
    };
    git(&["init", "--quiet"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", "all"])?;
    git(&["rm", "--quiet", "-r", "old"])
}

fn archive(ground: &Ground, folder: &Path) -> Result<()> {
    let tree = folder.join("made");
    timed(&mut ground.bare(&["fill", "small", &tree.to_string_lossy()]))?;
    timed(
        Command::new("tar").args(["--create", "--file", "there.tar", "--directory", "made", "old"]).current_dir(folder),
    )?;
    std::fs::remove_dir_all(&tree).map_err(|error| format!("cannot remove `{}`: {error}", tree.display()))
}
