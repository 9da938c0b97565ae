//! What it costs that a run can be undone, where it changes ten files of a large folder: here, and with git's help.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use super::super::super::{Bench, Side};
use super::super::ground::{Ground, kept, make, several, stored};
use super::super::home::timed;
use crate::Result;

const FILES: &str = "100000";
const FOLDERS: &str = "1000";
const CHANGED: &str = "10";

/// Seconds added and bytes stored, each: in a draft and committed, by a shadow repository that knows the folder, by one
/// that sees it for the first time (done once).
pub(super) fn sides(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let folder = kept(bench, "hundred-thousand", |folder| {
        timed(&mut ground.bare(&["fill", "4096", &folder.to_string_lossy(), FILES, FOLDERS])).map(drop)
    })?;
    ground.grant(&folder)?;
    ground.settle()?;
    let mut sides = several(2, {
        let (ground, folder) = (ground.clone(), folder.clone());
        move || {
            let program = ground.work(&change(&folder));
            measured(&ground, &folder, &ground.home.data(), || timed(&mut ground.exec("always", &folder, &program)))
        }
    });
    let shadow = Shadow { ground: ground.clone(), folder, dir: bench.scratch.join("shadow") };
    make(&shadow.dir)?;
    timed(&mut shadow.git(&["init", "--quiet"]))?;
    let first = shadow.protected()?;
    sides.extend(several(2, move || shadow.protected()));
    sides.extend(several(2, move || Ok(first.clone())));
    Ok(sides)
}

/// As agents do it: the whole folder committed to a repository elsewhere, before the run and after it.
struct Shadow {
    ground: Rc<Ground>,
    folder: PathBuf,
    dir: PathBuf,
}

impl Shadow {
    fn protected(&self) -> Result<Vec<f64>> {
        measured(&self.ground, &self.folder, &self.dir, || {
            let before = self.snapshot()?;
            let program = timed(&mut self.ground.bare(&change(&self.folder)))?;
            Ok(before + program + self.snapshot()?)
        })
    }

    fn snapshot(&self) -> Result<f64> {
        let added = timed(&mut self.git(&["add", "--all"]))?;
        Ok(added + timed(&mut self.git(&["commit", "--quiet", "--allow-empty", "--message", "snapshot"]))?)
    }

    fn git(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        self.ground.home.inhabit(&mut command);
        command.arg("--git-dir").arg(&self.dir).arg("--work-tree").arg(&self.folder);
        command.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]);
        command.args(args).current_dir(&self.folder);
        command
    }
}

/// Seconds more than the program takes bare, and bytes more in `store` than before.
fn measured(ground: &Ground, folder: &Path, store: &Path, run: impl FnOnce() -> Result<f64>) -> Result<Vec<f64>> {
    let bare = timed(&mut ground.bare(&change(folder)))?;
    ground.settle()?;
    let before = stored(store)?;
    let took = run()?;
    let after = stored(store)?;
    ground.settle()?;
    Ok(vec![took - bare, after as f64 - before as f64])
}

fn change(folder: &Path) -> [&str; 5] {
    ["change", folder.to_str().unwrap_or_default(), FILES, FOLDERS, CHANGED]
}
