//! A folder's times: given back by undo, and to the folders of a copied tree.

use raincoat_os::state;
use raincoat_types::{Change, DirTimes, Failure, FailureKind, Meta, RelPath, Timestamp};

use crate::engine::{Engine, Payload, Step};
use crate::expand::{find_again, spot};
use crate::failure::at_path;

/// Gives a folder the times it had, if it has the times that are expected.
pub(crate) fn restore(engine: &mut Engine, ticket: usize, now: &DirTimes, then: &DirTimes) -> Result<(), Failure> {
    let n = engine.resolver.index_of(now.at.grant).ok_or_else(|| {
        Failure::new(
            FailureKind::Outside,
            format!("`{}` is in a folder that is not part of this run", now.at.path.display()),
        )
    })?;
    let (_, found) = find_again(engine, n, &now.at.path)?;
    if found.stat.as_ref().is_none_or(|stat| stat.mtime != now.mtime) {
        return Err(crate::capture::changed(&found));
    }
    set(engine, ticket, n, &now.at.path, then.mtime, then.atime)
}

/// Queues a change of a file's times.
pub(crate) fn set(
    engine: &mut Engine,
    ticket: usize,
    n: usize,
    path: &RelPath,
    mtime: Timestamp,
    atime: Timestamp,
) -> Result<(), Failure> {
    let at = find_again(engine, n, path)?;
    let Some(stat) = at.1.stat.clone() else {
        return Err(Failure::new(FailureKind::NotFound, format!("no such file: `{}`", path.display())));
    };
    if stat.mtime == mtime {
        return Ok(());
    }
    let before = stat.with_xattrs(state::xattrs_at(at.1.folder(), &at.1.name).map_err(|e| at_path(e, path))?);
    let after = Meta { mtime, atime, ..before.clone() };
    let change = Change::SetMeta { at: spot(engine, &at)?, before, after };
    engine.push(ticket, Step { change, at, other: None, payload: Payload::None, undoes: None })
}
