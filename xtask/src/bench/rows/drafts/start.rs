//! What it takes to start a program in a draft and to end it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use super::super::super::peers::{self, Found};
use super::super::super::{Bench, Side};
use super::super::ground::{Ground, kept};
use super::super::home::timed;
use crate::Result;

const MANY: &str = "1000000";

/// `true` in a draft of a small folder, in bubblewrap, bare.
pub(super) fn fast(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let small = small(&ground)?;
    let place = ground.place(&small);
    Ok(vec![ours(&ground, small), peer(peers::bubblewrap(&place)), Side::here(|| timed(&mut Command::new("true")))])
}

/// `true` in a draft of a small folder and in one of a folder of a million files. By themselves: what ran before decides
/// what the processor has at hand, so both must come after the same.
pub(super) fn million(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let many = kept(bench, "million", |folder| {
        timed(&mut ground.bare(&["fill", "0", &folder.to_string_lossy(), MANY, "1000"])).map(drop)
    })?;
    granted(&ground, &many)?;
    let small = small(&ground)?;
    Ok(vec![ours(&ground, small), ours(&ground, many)])
}

/// `true` in a draft of a small folder, in srt, in codex, in `nono run`, in `nono wrap`.
pub(super) fn slow(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let ground = Ground::new(bench)?;
    let small = small(&ground)?;
    let place = ground.place(&small);
    Ok(vec![
        ours(&ground, small),
        peer(peers::sandbox_runtime(&place)),
        peer(peers::codex(&place)),
        peer(peers::nono_run(&place)),
        peer(peers::nono_wrap(&place)),
    ])
}

fn ours(ground: &Rc<Ground>, folder: PathBuf) -> Side {
    let ground = ground.clone();
    Side::here(move || {
        let took = timed(&mut ground.exec("never", &folder, &["true".to_owned()]))?;
        ground.discard()?;
        Ok(took)
    })
}

fn peer(found: Found) -> Side {
    match found {
        Ok(sandbox) => Side::here(move || timed(&mut sandbox(&["true".as_ref()]))),
        Err(why) => Side::NotHere(why),
    }
}

/// A granted folder of ten files.
fn small(ground: &Ground) -> Result<PathBuf> {
    let small = ground.fresh()?;
    for n in 0..10 {
        let path = small.join(format!("note-{n}.txt"));
        std::fs::write(&path, format!("Note {n}.\n"))
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
    }
    granted(ground, &small)?;
    Ok(small)
}

fn granted(ground: &Ground, folder: &Path) -> Result<()> {
    ground.grant(folder)?;
    ground.prove(folder)?;
    ground.settle()
}
