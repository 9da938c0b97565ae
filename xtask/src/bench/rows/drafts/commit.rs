//! A draft with many changed files committed, against a program that writes those files.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::super::super::{Bench, Side};
use super::super::ground::Ground;
use super::super::home::timed;
use crate::Result;

/// What the program does to the files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Gives each new content.
    Modified,
    /// Makes them.
    Created,
}

/// `raincoat commit`, then the plain program; with files modified, then with files created. Each in a fresh folder.
pub(super) fn sides(bench: &Bench<'_>, files: usize) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    Ok([What::Modified, What::Created].into_iter().flat_map(|what| pair(&ground, files, what)).collect())
}

fn pair(ground: &Rc<Ground>, files: usize, what: What) -> [Side; 2] {
    let ground = ground.clone();
    let (count, folders) = (files.to_string(), (files / 100).to_string());
    let folder = {
        let (ground, count, folders) = (ground.clone(), count.clone(), folders.clone());
        move || -> Result<PathBuf> {
            let folder = ground.fresh()?;
            let there = if what == What::Modified { count.as_str() } else { "0" };
            timed(&mut ground.bare(&["fill", "4096", &folder.to_string_lossy(), there, &folders]))?;
            ground.settle()?;
            Ok(folder)
        }
    };
    let ours = {
        let (ground, folder, count, folders) = (ground.clone(), folder.clone(), count.clone(), folders.clone());
        move || {
            let folder = folder()?;
            ground.grant(&folder)?;
            let (before, name) = (first(&folder), folder.to_string_lossy().into_owned());
            timed(&mut ground.exec("never", &folder, &ground.work(&["write", &name, &count, &folders])))?;
            ground.settle()?;
            if first(&folder) != before {
                return Err("a program in a draft changed the folder itself".to_owned());
            }
            let took = timed(&mut ground.home.raincoat(&["commit", "--yes"]))?;
            if first(&folder) == before {
                return Err("the draft was not committed".to_owned());
            }
            ground.settle()?;
            Ok(took)
        }
    };
    let plain = move || {
        let folder = folder()?;
        let took = timed(&mut ground.bare(&["write", "durably", &folder.to_string_lossy(), &count, &folders]))?;
        ground.settle()?;
        Ok(took)
    };
    [Side::here(ours), Side::here(plain)]
}

/// The content of the first file, if there is one.
fn first(folder: &Path) -> Option<Vec<u8>> {
    std::fs::read(folder.join("folder-0000/file-0000000")).ok()
}
