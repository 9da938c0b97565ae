//! A folder's times: given back by undo, and to the folders of a copied tree with their mode.

use raincoat_os::state;
use raincoat_types::{Change, DirTimes, Failure, FailureKind, Meta, RelPath};

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
    let (mtime, atime) = (then.mtime, then.atime);
    change(engine, ticket, n, &now.at.path, |before| Meta { mtime, atime, ..before.clone() })
}

/// Gives a folder that was filled the times and mode it is to have.
pub(crate) fn finish(
    engine: &mut Engine,
    ticket: usize,
    n: usize,
    path: &RelPath,
    wanted: &Meta,
) -> Result<(), Failure> {
    change(engine, ticket, n, path, |before| Meta {
        mode: wanted.mode,
        mtime: wanted.mtime,
        atime: wanted.atime,
        ..before.clone()
    })
}

/// Queues a change of metadata, if it is one.
fn change(
    engine: &mut Engine,
    ticket: usize,
    n: usize,
    path: &RelPath,
    wanted: impl FnOnce(&Meta) -> Meta,
) -> Result<(), Failure> {
    let at = find_again(engine, n, path)?;
    let Some(stat) = at.1.stat.clone() else {
        return Err(Failure::new(FailureKind::NotFound, format!("no such file: `{}`", path.display())));
    };
    let before = stat.with_xattrs(state::xattrs_at(at.1.folder(), &at.1.name).map_err(|e| at_path(e, path))?);
    let after = wanted(&before);
    if after.same_as(&before) {
        return Ok(());
    }
    let change = Change::SetMeta { at: spot(engine, &at)?, before, after };
    engine.push(ticket, Step::new(change, at, Payload::None))
}
