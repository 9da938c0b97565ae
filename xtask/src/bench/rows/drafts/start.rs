//! What it takes to start a program in a draft and to end it.

use std::path::PathBuf;
use std::process::Command;

use super::super::super::peers::{self, Found};
use super::super::super::{Bench, Side};
use super::super::home::timed;
use super::ground::{Ground, kept};
use crate::Result;

const MANY: &str = "1000000";

/// `true` in: a draft of a small folder, bubblewrap, nothing, srt, codex, `nono run`, `nono wrap`, a draft of a folder
/// of a million files.
pub(super) fn sides(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let small = ground.fresh()?;
    for n in 0..10 {
        let path = small.join(format!("note-{n}.txt"));
        std::fs::write(&path, format!("Note {n}.\n"))
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
    }
    let many = kept(bench, "million", |folder| {
        timed(&mut ground.bare(&["fill", "0", &folder.to_string_lossy(), MANY, "1000"])).map(drop)
    })?;
    for folder in [&small, &many] {
        ground.grant(folder)?;
        ground.prove(folder)?;
    }
    ground.settle()?;
    let place = ground.place(&small);
    let ours = |folder: PathBuf| {
        let ground = ground.clone();
        Side::here(move || {
            let took = timed(&mut ground.exec("never", &folder, &["true".to_owned()]))?;
            ground.discard()?;
            Ok(took)
        })
    };
    let peer = |found: Found| match found {
        Ok(sandbox) => Side::here(move || timed(&mut sandbox(&["true".as_ref()]))),
        Err(why) => Side::NotHere(why),
    };
    Ok(vec![
        ours(small),
        peer(peers::bubblewrap(&place)),
        Side::here(|| timed(&mut Command::new("true"))),
        peer(peers::sandbox_runtime(&place)),
        peer(peers::codex(&place)),
        peer(peers::nono_run(&place)),
        peer(peers::nono_wrap(&place)),
        ours(many),
    ])
}
