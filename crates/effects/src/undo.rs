//! The order of steps of an undo: which folders nobody has touched since, then the operations from the newest to the
//! oldest, then those folders' own times, deepest first.

use raincoat_gate::Permit;
use raincoat_journal::DirRestore;
use raincoat_types::{DirTimes, Failure, FileChange, OnDrift, OpId, Spot};

use crate::{Effects, Resolved};

/// Asks the gate about one change.
pub type Ask<'a> = dyn FnMut(FileChange, &mut Resolved) -> Result<Permit<FileChange>, Failure> + 'a;

/// First: of the folders whose times the plan would give back, those that nobody has touched since. To be asked before
/// anything moves. A folder that has the very times it should get counts as untouched: an undo of what came later in
/// the same batch gave them to it. Where nothing is going to move (`at_rest`), such a folder is left out.
pub fn untouched(effects: &Effects, dirs: Vec<DirRestore>, at_rest: bool) -> Vec<DirRestore> {
    dirs.into_iter()
        .filter(|dir| match dir.expect {
            None => true,
            Some(expect) => effects
                .dir_times(&dir.now)
                .is_some_and(|now| if now.mtime == dir.times.mtime { !at_rest } else { now.mtime == expect.mtime }),
        })
        .collect()
}

/// Then, as often as it takes: takes back some operations, in the plan's order, each with its places as they are by now
/// (none where they are as recorded). For each, what kept it from being taken
/// back, if anything did.
pub fn take_back(
    effects: &mut Effects,
    ops: &[(OpId, Vec<Spot>)],
    drift: OnDrift,
    ask: &mut Ask<'_>,
) -> Vec<(OpId, Option<Failure>)> {
    let mut out: Vec<(OpId, Option<Failure>)> = Vec::with_capacity(ops.len());
    let mut waiting = Vec::new();
    for (op, at) in ops {
        let refused = propose(effects, FileChange::Revert { op: *op, drift, at: at.clone() }, ask).err();
        if refused.is_none() {
            waiting.push(out.len());
        }
        out.push((*op, refused));
    }
    for (n, changed) in waiting.into_iter().zip(effects.settle()) {
        if let Some((_, failure)) = out.get_mut(n) {
            *failure = changed.failure;
        }
    }
    out
}

/// Last: gives folders their times back. How many got them.
pub fn give_times_back(effects: &mut Effects, dirs: Vec<DirRestore>, ask: &mut Ask<'_>) -> usize {
    let mut given = 0;
    for dir in dirs {
        let Some(now) = effects.dir_times(&dir.at).filter(|now| now.mtime != dir.times.mtime) else { continue };
        let then = DirTimes { at: dir.at, mtime: dir.times.mtime, atime: dir.times.atime };
        given += usize::from(propose(effects, FileChange::RestoreTimes { now, then }, ask).is_ok());
    }
    let failed = effects.settle().iter().filter(|changed| changed.failure.is_some()).count();
    given.saturating_sub(failed)
}

pub(crate) fn propose(effects: &mut Effects, action: FileChange, ask: &mut Ask<'_>) -> Result<(), Failure> {
    let mut resolved = effects.resolve_change(&action)?;
    let permit = ask(action, &mut resolved)?;
    effects.change(permit, resolved);
    Ok(())
}
