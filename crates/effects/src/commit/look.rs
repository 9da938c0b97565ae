//! What an adoption is about, on both sides: found by descriptors, compared with what was reviewed, and told to the
//! gate.

use raincoat_gate::{Protection, Role};
use raincoat_os::{Stat, state};
use raincoat_types::{Digest, Expected, Failure, FailureKind, FileChange, FileKind, Meta, RelPath, Seen, Spot, Take};

use super::dirs::Side;
use super::point::Lies;
use super::prepare::{Planned, Prepared};
use super::stage::is_layering;
use super::{Begin, not_a_commit};
use crate::Resolved;
use crate::failure::at_path;
use crate::resolve::{Resolver, digest};

/// Both sides of one name.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(super) n: usize,
    pub(super) spot: Spot,
    pub(super) take: Take,
    /// What stands in the folder.
    pub(super) stat: Option<Stat>,
    /// The digest that its content must have.
    pub(super) old: Option<Digest>,
    /// What comes from the draft.
    pub(super) new: Option<New>,
    /// Metadata to give it.
    pub(super) meta: Option<Meta>,
}

/// A file of the draft.
#[derive(Debug)]
pub(super) struct New {
    pub(super) lies: Lies,
    pub(super) stat: Stat,
    /// Its content's digest, where that was read before and nothing has changed since.
    pub(super) digest: Option<Digest>,
    /// The digest that its content must have.
    pub(super) expected: Option<Digest>,
}

/// Looks at both sides.
pub(super) fn look(
    resolver: &mut Resolver,
    begin: &Begin,
    prepared: &mut Prepared,
    action: &FileChange,
) -> Result<Resolved, Failure> {
    let FileChange::Adopt { at, take, expect, new, meta, .. } = action else { return Err(not_a_commit()) };
    let n = usize::from(at.root);
    let grant = resolver.folder(n)?.grant;
    let path = RelPath::new(&at.path.0).map_err(|e| invalid(&e.to_string()))?;
    if prepared.planned(n, &path).is_some() {
        return Err(invalid(&format!("`{}` is named twice", path.display())));
    }
    if path.is_root() && *take != Take::Meta {
        return Err(invalid("the granted folder itself cannot be replaced or deleted"));
    }
    let (stat, ours) = standing(resolver, prepared, n, &path)?;
    if let Some(stat) = stat.as_ref().filter(|stat| stat.mount_root && !path.is_root()) {
        let words = format!("another file system is mounted at `{}`; grant it by itself", path.display());
        let _ = stat;
        return Err(Failure::new(FailureKind::Outside, words));
    }
    let old = as_expected(&path, expect, stat.as_ref())?;
    let role = if *take == Take::Nothing { Role::Remove } else { Role::Write };
    // Only a write into the file itself shows under its other names.
    let seen = stat.clone().map(|stat| if *take == Take::Content { stat } else { Stat { nlink: 1, ..stat } });
    let mut target = resolver.target_of(n, &path, seen.as_ref(), role)?;
    if ours || stat.as_ref().is_some_and(|stat| resolver.names.is_ours(&stat.identity)) {
        target.protection = Some((Protection::Secret, "raincoat's own data".to_owned()));
    }
    let new = match take {
        Take::Nothing => None,
        Take::Meta if meta.is_some() => None,
        _ => Some(coming(begin, prepared, n, &path, *take, new.as_deref())?),
    };
    let targets = vec![target];
    let digest = digest(action, &targets);
    let spot = Spot { grant, path };
    let mut meta = meta.as_deref().cloned();
    // What the layering put on a file is nobody's.
    if let Some(meta) = &mut meta {
        meta.xattrs.retain(|xattr| !is_layering(&xattr.name));
    }
    let looked = Looked { n, spot, take: *take, stat, old, new, meta };
    Ok(Resolved { targets, digest, found: Vec::new(), below: Vec::new(), adopting: Some(Box::new(looked)) })
}

fn invalid(words: &str) -> Failure {
    Failure::new(FailureKind::Invalid, words)
}

/// What stands under a name of the folder, and whether it lies in a directory of our own.
fn standing(
    resolver: &Resolver,
    prepared: &mut Prepared,
    n: usize,
    path: &RelPath,
) -> Result<(Option<Stat>, bool), Failure> {
    let Some((parent, name)) = path.split_last() else {
        let (fd, ours) = prepared.enter(resolver, n, path)?;
        return Ok((Some(state::stat_fd(std::os::fd::AsFd::as_fd(&fd)).map_err(|e| at_path(e, path))?), ours));
    };
    match prepared.planned(n, &parent) {
        // It is made by this commit: nothing can stand in it.
        Some(Planned::NewDir(_)) => return Ok((None, false)),
        Some(Planned::Other) => {
            return Err(Failure::new(FailureKind::WrongKind, format!("`{}` is not a folder", parent.display())));
        }
        Some(Planned::KeptDir) | None => {}
    }
    let (fd, ours) = prepared.enter(resolver, n, &parent)?;
    let stat = state::stat_at(std::os::fd::AsFd::as_fd(&fd), name).map_err(|e| at_path(e, path))?;
    Ok((stat, ours))
}

/// Compares what stands there with what was reviewed. Gives the digest that its content must have.
fn as_expected(path: &RelPath, expect: &Expected, stat: Option<&Stat>) -> Result<Option<Digest>, Failure> {
    let conflict = |words: &str| Failure::new(FailureKind::Changed, format!("`{}` {words}", path.display()));
    match (expect, stat) {
        (Expected::Absent, None) => Ok(None),
        (Expected::Absent, Some(_)) => Err(conflict("has been made by somebody else meanwhile")),
        (Expected::Seen(_), None) => Err(conflict("is not there any more")),
        (Expected::Seen(seen), Some(stat)) if is_as_seen(stat, seen) => Ok(seen.digest),
        (Expected::Seen(_), Some(_)) => Err(conflict("has been changed by somebody else meanwhile")),
    }
}

/// A folder's times move with what is put into it.
fn is_as_seen(stat: &Stat, seen: &Seen) -> bool {
    stat.identity == seen.identity
        && stat.kind == seen.kind
        && (stat.kind == FileKind::Dir
            || (stat.size == seen.size && stat.mtime == seen.mtime && stat.ctime == seen.ctime))
}

/// What the draft has for a name.
fn coming(
    begin: &Begin,
    prepared: &mut Prepared,
    n: usize,
    path: &RelPath,
    take: Take,
    seen: Option<&Seen>,
) -> Result<New, Failure> {
    let conflict = |words: &str| Failure::new(FailureKind::Changed, format!("`{}` {words}", path.display()));
    let gone = || conflict("is not in the draft any more");
    let source = begin.sources.get(n).and_then(Option::as_ref).ok_or_else(gone)?;
    let fail = |e| at_path(e, path);
    let (lies, stat) = match (take, path.split_last()) {
        (Take::Staged(number), _) => {
            let name = number.to_string();
            let stat = state::stat_at(std::os::fd::AsFd::as_fd(&source.stage), name.as_bytes()).map_err(fail)?;
            (Lies::Staged(number), stat)
        }
        (_, None) => (Lies::Upper, Some(state::stat_fd(std::os::fd::AsFd::as_fd(&source.upper)).map_err(fail)?)),
        (_, Some((parent, name))) => {
            let fd = prepared.doors.open(&source.upper, Side::Upper, n, &parent, None)?;
            (Lies::Upper, state::stat_at(std::os::fd::AsFd::as_fd(&fd), name).map_err(fail)?)
        }
    };
    let stat = stat.ok_or_else(gone)?;
    if stat.kind == FileKind::Special {
        let words = format!("`{}` is a FIFO, socket or device in the draft, which is never committed", path.display());
        return Err(Failure::new(FailureKind::WrongKind, words));
    }
    if stat.mount_root && lies != Lies::Upper {
        return Err(conflict("has another file system mounted on it in the draft"));
    }
    let mut new = New { lies, stat, digest: None, expected: None };
    if let Some(seen) = seen {
        let now = &new.stat;
        let same = now.identity == seen.identity && now.kind == seen.kind;
        // A folder's times, and what a move does to a change time, say nothing of what was reviewed.
        if !same || (now.kind != FileKind::Dir && (now.size, now.mtime) != (seen.size, seen.mtime)) {
            return Err(conflict("is not in the draft as it was reviewed; review it again"));
        }
        new.expected = seen.digest;
        if now.ctime == seen.ctime {
            new.digest = seen.digest;
        }
    }
    Ok(new)
}
