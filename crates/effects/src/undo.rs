//! The order of steps of an undo: which folders nobody has touched since, then the operations from the newest to the
//! oldest, then those folders' own times, deepest first.

use raincoat_gate::Permit;
use raincoat_journal::{DirRestore, Journal, JournalError};
use raincoat_types::{Change, DirTimes, Failure, FileChange, FileKind, Identity, OnDrift, OpId, OpRecord, Spot};

use crate::recorder::ended_names;
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

/// An operation to be taken back, with all that is asked of the journal for it.
pub struct Recorded {
    record: OpRecord,
    /// Its places as they are by now; none where they are as recorded.
    at: Vec<Spot>,
    /// Where else the inode that it took away had names, for all that the journal knows.
    ended: Option<(Identity, Vec<(OpId, Spot)>)>,
}

/// Looks an operation up that is to be taken back, at its places as they are by now (none where they are as recorded).
/// Many are best looked up in one go ([`Journal::steadily`]).
///
/// # Errors
/// The journal's.
pub fn look_up(journal: &Journal, record: OpRecord, at: Vec<Spot>) -> Result<Recorded, JournalError> {
    let taken = match &record.intent.change {
        Change::Remove { before, .. } if before.meta.kind != FileKind::Dir => Some(before.meta.identity),
        _ => None,
    };
    let ended =
        taken.map(|identity| Ok::<_, JournalError>((identity, ended_names(journal, &identity)?))).transpose()?;
    Ok(Recorded { record, at, ended })
}

/// Then, as often as it takes: takes back some operations, in the plan's order. For each, what kept it from being taken
/// back, if anything did.
pub fn take_back(
    effects: &mut Effects,
    ops: Vec<Recorded>,
    drift: OnDrift,
    ask: &mut Ask<'_>,
) -> Vec<(OpId, Option<Failure>)> {
    let mut out: Vec<(OpId, Option<Failure>)> = Vec::with_capacity(ops.len());
    let mut waiting = Vec::new();
    for Recorded { record, at, ended } in ops {
        let op = record.intent.op;
        if let Some((identity, ended)) = ended {
            effects.engine.links.know(identity, ended);
        }
        effects.engine.recorded = Some(record);
        let refused = propose(effects, FileChange::Revert { op, drift, at }, ask).err();
        if refused.is_none() {
            waiting.push(out.len());
        }
        out.push((op, refused));
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
