//! A program that creates, reads and deletes thousands of small files, in a draft, bare, and in bubblewrap.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use super::super::super::peers;
use super::super::super::{Bench, Side};
use super::super::ground::{Ground, bare, os, own_times, several};
use super::super::home::timed;
use crate::Result;

/// Kinds of work that the program times.
pub(super) const WORKS: usize = 6;

/// Its times in a draft, bare, in bubblewrap; each in the order in which the program says them.
pub(super) fn sides(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let mut sides = several(WORKS, {
        let ground = ground.clone();
        move || {
            let folder = filled(&ground)?;
            let took = own_times(&mut ground.exec("never", &folder, &work(&ground, &folder)))?;
            ground.discard()?;
            Ok(took)
        }
    });
    sides.extend(several(WORKS, {
        let ground = ground.clone();
        move || {
            let folder = filled(&ground)?;
            own_times(&mut bare(&work(&ground, &folder)))
        }
    }));
    match peers::bubblewrap(&ground.place(&ground.fresh()?)) {
        Ok(_) => sides.extend(several(WORKS, move || own_times(&mut in_bubblewrap(&ground)?))),
        Err(why) => sides.extend((0..WORKS).map(|_| Side::NotHere(why.clone()))),
    }
    Ok(sides)
}

/// A folder with the files that are to be read, on the disk and not in memory.
fn filled(ground: &Rc<Ground>) -> Result<PathBuf> {
    let folder = ground.fresh()?;
    timed(&mut ground.bare(&["fill", "small", &folder.to_string_lossy()]))?;
    Ok(folder)
}

fn work(ground: &Ground, folder: &Path) -> Vec<String> {
    ground.work(&["small", &folder.to_string_lossy()])
}

fn in_bubblewrap(ground: &Rc<Ground>) -> Result<Command> {
    let folder = filled(ground)?;
    let sandbox = peers::bubblewrap(&ground.place(&folder))?;
    Ok(sandbox(&os(&work(ground, &folder))))
}
