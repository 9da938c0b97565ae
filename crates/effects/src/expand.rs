//! From a permitted change to primitive steps, each with what stands there now.

use std::os::fd::{AsFd, OwnedFd};

use raincoat_gate::Permit;
use raincoat_journal::{Chunker, WHOLE_BYTES};
use raincoat_os::{Found, mutate, state};
use raincoat_types::{
    Change, Chunk, Content, Digest, Expect, Failure, FailureKind, FileChange, FileContent, FileKind, Image, Meta,
    RelPath, Spot,
};

use crate::acl;
use crate::archive;
use crate::capture::{Captured, Keep, capture, read_content};
use crate::coming::Coming;
use crate::engine::{Engine, Payload, Step};
use crate::failure::{at_path, fault};
use crate::resolve::{Below, Resolved};
use crate::{restore, revert, times};

/// Makes a permitted change ready. Its steps are queued under `ticket`.
pub(crate) fn perform(
    engine: &mut Engine,
    ticket: usize,
    permit: Permit<FileChange>,
    resolved: Resolved,
) -> Result<(), Failure> {
    if permit.run() != engine.run || permit.digest() != resolved.digest {
        return Err(Failure::new(FailureKind::Invalid, "the permit is for another action; propose it again"));
    }
    let below = resolved.below;
    let mut found = resolved.found.into_iter();
    match permit.into_action() {
        FileChange::Write { content, expect, .. } => {
            let at = one(&mut found)?;
            write(engine, ticket, at, content, expect)
        }
        FileChange::Edit { old, new, all, expect, .. } => {
            let at = one(&mut found)?;
            edit(engine, ticket, at, &Replacement { old, new, all }, expect)
        }
        FileChange::Mkdir { at, parents } => {
            let wanted = at.path.0;
            let at = one(&mut found)?;
            mkdir(engine, ticket, at, &wanted, parents)
        }
        FileChange::Move { replace, .. } => {
            let (from, to) = (one(&mut found)?, one(&mut found)?);
            rename(engine, ticket, from, to, replace)
        }
        FileChange::Copy { replace, .. } => {
            let (from, to) = (one(&mut found)?, one(&mut found)?);
            copy(engine, ticket, &from, to, replace, &below)
        }
        FileChange::Delete { recursive, .. } => {
            let at = one(&mut found)?;
            delete(engine, ticket, at, recursive, &below)
        }
        FileChange::Archive { format, .. } => {
            let mut sources: Vec<(usize, Found)> = found.collect();
            let to = sources.pop().ok_or_else(nothing)?;
            archive::pack(engine, ticket, &sources, to, format, &below)
        }
        FileChange::Extract { .. } => {
            let (from, to) = (one(&mut found)?, one(&mut found)?);
            archive::unpack(engine, ticket, &from, to)
        }
        FileChange::Revert { op, drift, at } => {
            engine.looked = found.collect();
            revert::revert(engine, ticket, op, drift, &at)
        }
        FileChange::Restore { at, bring } => {
            engine.looked = found.collect();
            restore::restore(engine, ticket, &at, bring)
        }
        FileChange::RestoreTimes { now, then } => times::restore(engine, ticket, &now, &then),
        FileChange::Adopt { .. } => Err(crate::commit::not_a_commit()),
    }
}

fn nothing() -> Failure {
    Failure::new(FailureKind::Invalid, "nothing was named to change")
}

fn one(found: &mut impl Iterator<Item = (usize, Found)>) -> Result<(usize, Found), Failure> {
    found.next().ok_or_else(nothing)
}

/// The grant and canonical path of a found place.
pub(crate) fn spot(engine: &Engine, at: &(usize, Found)) -> Result<Spot, Failure> {
    Ok(Spot { grant: engine.resolver.folder(at.0)?.grant, path: at.1.path.clone() })
}

/// A name in a folder that another step makes, or that was found before: looked at anew once nothing waits.
pub(crate) fn find_again(engine: &mut Engine, n: usize, path: &RelPath) -> Result<(usize, Found), Failure> {
    if engine.is_touched(n, path) {
        engine.flush();
    }
    let found = match engine.take_looked(n, path) {
        Some((_, found)) => found,
        None => engine.resolver.folder(n)?.root.find_exact(path).map_err(fault)?,
    };
    if !engine.is_touched_link(found.stat.as_ref()) {
        return Ok((n, found));
    }
    // It waits to be changed under another of its names.
    engine.flush();
    Ok((n, engine.resolver.folder(n)?.root.find_exact(path).map_err(fault)?))
}

/// Metadata of a new file: the person's own, ordinary permissions, times of now. `mode` is what a program asks for
/// (0666, 0777); what the folder and the umask make of it is worked out here as the kernel does it.
pub(crate) fn fresh_meta(engine: &Engine, at: &Found, kind: FileKind, mode: u32, size: u64) -> Result<Meta, Failure> {
    let parent = state::stat_fd(at.folder()).map_err(|e| at_path(e, &at.path))?;
    let now = engine.now();
    let me = mutate::me();
    // In a set-group-ID folder new files get the folder's group, and new folders the bit.
    let gid = if parent.mode & 0o2000 != 0 { parent.gid } else { me.1 };
    let set_gid = if kind == FileKind::Dir { parent.mode & 0o2000 } else { 0 };
    let of_parent = state::xattrs_at(at.folder(), b"").map_err(|e| at_path(e, &at.path))?;
    let default = of_parent.into_iter().find(|x| x.name == acl::DEFAULT && kind != FileKind::Symlink);
    let (mode, xattrs) = match default {
        Some(default) => acl::inherit(default, mode, kind == FileKind::Dir),
        None if kind == FileKind::Symlink => (mode, Vec::new()),
        None => (mode & !mutate::user_umask(), Vec::new()),
    };
    Ok(Meta {
        kind,
        mode: mode | set_gid,
        uid: me.0,
        gid,
        size,
        mtime: now,
        atime: now,
        nlink: 1,
        identity: parent.identity,
        xattrs,
    })
}

/// The image of new content, kept in the store as well where it is small (the next before-image is then a look-up), or
/// `always`. Larger content is not written twice: whatever takes it away again keeps it first, an undo too.
fn new_image(engine: &Engine, meta: Meta, bytes: &[u8], digest: Digest, always: bool) -> Result<Image, Failure> {
    let content = if always || bytes.len() as u64 <= WHOLE_BYTES {
        store_bytes(engine, bytes)?
    } else {
        FileContent { digest, chunks: Vec::new(), stored: false }
    };
    Ok(Image { meta, content: Content::File(content) })
}

/// Puts content that is in memory into the store.
pub(crate) fn store_bytes(engine: &Engine, bytes: &[u8]) -> Result<FileContent, Failure> {
    let chunker = engine.recorder.chunker();
    let size = bytes.len() as u64;
    let (mut rest, mut chunks, mut pieces) = (bytes, Vec::new(), Vec::new());
    while !rest.is_empty() {
        let window = rest.get(..Chunker::most(size)).unwrap_or(rest);
        let (piece, after) = rest.split_at(chunker.cut(window, size));
        let (offset, piece) = (size - rest.len() as u64, chunker.piece(piece.to_vec()));
        let len = u32::try_from(piece.bytes.len()).unwrap_or(0);
        chunks.push(Chunk { offset, len, id: piece.id });
        pieces.push(piece);
        rest = after;
    }
    engine.recorder.put_pieces(pieces).wait().map_err(|words| crate::failure::broken(&words))?;
    Ok(FileContent { digest: Digest(*blake3::hash(bytes).as_bytes()), chunks, stored: true })
}

fn write(
    engine: &mut Engine,
    ticket: usize,
    at: (usize, Found),
    bytes: Vec<u8>,
    expect: Expect,
) -> Result<(), Failure> {
    let path = at.1.path.display();
    if bytes.len() as u64 > engine.resolver.limits.write_bytes {
        let words =
            format!("{} bytes for `{path}` are over the limit of {}", bytes.len(), engine.resolver.limits.write_bytes);
        return Err(Failure::new(FailureKind::Limit, words));
    }
    if at.1.stat.is_none() {
        if let Expect::Digest(_) = expect {
            return Err(Failure::new(FailureKind::NotFound, format!("`{path}` is not there any more")));
        }
        let meta = fresh_meta(engine, &at.1, FileKind::File, 0o666, bytes.len() as u64)?;
        let mut new = Coming::begin(engine, &at.1, bytes);
        let digest = new.digest();
        let after = new_image(engine, meta, &new.bytes, digest, false)?;
        let change = Change::Create { at: spot(engine, &at)?, after };
        return engine.push(ticket, Step::new(change, at, new.into_payload(false)));
    }
    if expect == Expect::Absent {
        return Err(Failure::new(
            FailureKind::Exists,
            format!("`{path}` exists already; read it first if it is to be replaced"),
        ));
    }
    let new = Coming::begin(engine, &at.1, bytes);
    let before = capture_file(engine, &at.1)?;
    if let Expect::Digest(expected) = expect
        && before.image.digest() != Some(expected)
    {
        let words = format!("`{path}` is not as it was when it was read; read it again");
        return Err(Failure::new(FailureKind::Changed, words));
    }
    replace(engine, ticket, at, before, new)
}

/// What stands there, with its bytes in the store; it must be a regular file.
fn capture_file(engine: &Engine, found: &Found) -> Result<Captured, Failure> {
    if found.stat.as_ref().is_some_and(|s| s.kind != FileKind::File) {
        let words = format!("`{}` is not a regular file", found.path.display());
        return Err(Failure::new(FailureKind::WrongKind, words));
    }
    capture(&engine.recorder, found, Keep::Bytes)
}

fn replace(
    engine: &mut Engine,
    ticket: usize,
    at: (usize, Found),
    before: Captured,
    mut new: Coming,
) -> Result<(), Failure> {
    let digest = new.digest();
    if before.image.digest() == Some(digest) {
        return Ok(());
    }
    let now = engine.now();
    // Closed before anything is made: writing in place wants nobody to have it open.
    let Captured { image: before, file } = before;
    drop(file);
    let meta = Meta { size: new.bytes.len() as u64, mtime: now, atime: before.meta.atime, ..before.meta.clone() };
    // Recovery tells a half-written file from somebody's own by both contents, so both are kept.
    let in_place = before.meta.nlink > 1;
    let after = new_image(engine, meta, &new.bytes, digest, in_place)?;
    let change = Change::Replace { at: spot(engine, &at)?, before, after, in_place };
    engine.push(ticket, Step::new(change, at, new.into_payload(in_place)))
}

struct Replacement {
    old: Vec<u8>,
    new: Vec<u8>,
    all: bool,
}

fn edit(
    engine: &mut Engine,
    ticket: usize,
    at: (usize, Found),
    edit: &Replacement,
    expect: Digest,
) -> Result<(), Failure> {
    let path = at.1.path.display();
    let limit = engine.resolver.limits.write_bytes;
    if at.1.stat.as_ref().is_some_and(|s| s.size > limit) {
        return Err(Failure::new(FailureKind::Limit, format!("`{path}` is over {limit} bytes, the limit for an edit")));
    }
    let before = capture_file(engine, &at.1)?;
    if before.image.digest() != Some(expect) {
        let words = format!("`{path}` is not as it was when it was read; read it again");
        return Err(Failure::new(FailureKind::Changed, words));
    }
    let Some(fd) = &before.file else { return Err(nothing()) };
    let mut bytes = vec![0; usize::try_from(before.image.meta.size).unwrap_or(0)];
    state::read_at(fd.as_fd(), &mut bytes, 0).map_err(|e| at_path(e, &at.1.path))?;
    let bytes = edit.apply(&bytes).map_err(|words| Failure::new(FailureKind::Invalid, format!("`{path}`: {words}")))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::new(
            FailureKind::Limit,
            format!("`{path}` would have over {limit} bytes, the limit for an edit"),
        ));
    }
    let new = Coming::begin(engine, &at.1, bytes);
    replace(engine, ticket, at, before, new)
}

impl Replacement {
    fn apply(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        if self.old.is_empty() {
            return Err("the text to find is empty".to_owned());
        }
        let finder = |from: usize| {
            let rest = text.get(from..)?;
            rest.windows(self.old.len()).position(|window| window == self.old).map(|at| from + at)
        };
        let mut places = Vec::new();
        let mut from = 0;
        while let Some(at) = finder(from) {
            places.push(at);
            from = at + self.old.len();
        }
        match places.len() {
            0 => return Err("the text to find is not in it".to_owned()),
            1 => {}
            n if !self.all => {
                return Err(format!("the text to find is in it {n} times; give more of its surroundings"));
            }
            _ => {}
        }
        let mut out = Vec::with_capacity(text.len());
        let mut done = 0;
        for at in places {
            out.extend_from_slice(text.get(done..at).unwrap_or_default());
            out.extend_from_slice(&self.new);
            done = at + self.old.len();
        }
        out.extend_from_slice(text.get(done..).unwrap_or_default());
        Ok(out)
    }
}

fn mkdir(engine: &mut Engine, ticket: usize, at: (usize, Found), wanted: &[u8], parents: bool) -> Result<(), Failure> {
    let (n, path) = (at.0, at.1.path.clone());
    match at.1.stat.as_ref().map(|stat| stat.kind) {
        None => make_dir(engine, ticket, at)?,
        Some(FileKind::Dir) if parents => {}
        Some(_) => return Err(Failure::new(FailureKind::Exists, format!("`{}` exists already", path.display()))),
    }
    if !parents {
        return Ok(());
    }
    // What was found is the deepest that exists; the names after it are still to be made.
    let names: Vec<&[u8]> = wanted.split(|b| *b == b'/').filter(|name| !name.is_empty() && *name != b".").collect();
    make_rest(engine, ticket, n, &path, &names)
}

/// Makes the missing folders of a wanted path, from the deepest that was there.
fn make_rest(engine: &mut Engine, ticket: usize, n: usize, have: &RelPath, names: &[&[u8]]) -> Result<(), Failure> {
    if engine.is_touched(n, have) {
        engine.flush();
    }
    if engine.has_failed(ticket) {
        return Ok(());
    }
    for upto in 1..=names.len() {
        let raw = names.get(..upto).unwrap_or_default().join(&b'/');
        let limits = engine.resolver.limits.symlinks;
        let found = engine.resolver.folder(n)?.root.find(&raw, true, limits).map_err(fault)?;
        match found.stat.as_ref().map(|stat| stat.kind) {
            Some(FileKind::Dir) => {}
            Some(_) => {
                return Err(Failure::new(
                    FailureKind::WrongKind,
                    format!("`{}` is not a folder", found.path.display()),
                ));
            }
            None if found.path.starts_with(have) => {
                make_dir(engine, ticket, (n, found))?;
                engine.flush();
                if engine.has_failed(ticket) {
                    return Ok(());
                }
            }
            None => return Err(crate::capture::changed(&found)),
        }
    }
    Ok(())
}

/// Queues a new folder.
pub(crate) fn make_dir(engine: &mut Engine, ticket: usize, at: (usize, Found)) -> Result<(), Failure> {
    let meta = fresh_meta(engine, &at.1, FileKind::Dir, 0o777, 0)?;
    let change = Change::Create { at: spot(engine, &at)?, after: Image { meta, content: Content::Dir } };
    engine.push(ticket, Step::new(change, at, Payload::None))
}

fn rename(
    engine: &mut Engine,
    ticket: usize,
    from: (usize, Found),
    to: (usize, Found),
    replace: bool,
) -> Result<(), Failure> {
    let (old, new) = (from.1.path.clone(), to.1.path.clone());
    let Some(stat) = from.1.stat.clone() else {
        return Err(Failure::new(FailureKind::NotFound, format!("no such file: `{}`", old.display())));
    };
    if from.0 == to.0 && old == new {
        return Ok(());
    }
    if from.0 == to.0 && stat.kind == FileKind::Dir && new.starts_with(&old) {
        return Err(Failure::new(FailureKind::Invalid, format!("`{}` cannot move into itself", old.display())));
    }
    let image = capture(&engine.recorder, &from.1, Keep::Digest)?.image;
    let other_fs = state::stat_fd(to.1.folder()).map_err(|e| at_path(e, &new))?.identity.dev != stat.identity.dev;
    if other_fs {
        let words = format!(
            "`{}` and `{}` are on different file systems; copy it and delete the original",
            old.display(),
            new.display()
        );
        return Err(Failure::new(FailureKind::Invalid, words));
    }
    let to = make_room(engine, ticket, to, replace)?;
    let change = Change::Move { from: spot(engine, &from)?, to: spot(engine, &to)?, image };
    engine.push(ticket, Step::between(change, from, to))
}

/// A free name: what stands there goes first, if the proposal says replace. It is kept in the journal as any deletion.
fn make_room(engine: &mut Engine, ticket: usize, to: (usize, Found), replace: bool) -> Result<(usize, Found), Failure> {
    if to.1.stat.is_none() {
        return Ok(to);
    }
    if !replace {
        let words = format!("`{}` exists already; nothing is put in its place unasked", to.1.path.display());
        return Err(Failure::new(FailureKind::Exists, words));
    }
    if to.1.stat.as_ref().is_some_and(|stat| stat.kind == FileKind::Dir) {
        let words = format!("`{}` is a folder; a folder is not replaced", to.1.path.display());
        return Err(Failure::new(FailureKind::Exists, words));
    }
    let (n, path) = (to.0, to.1.path.clone());
    remove_one(engine, ticket, to)?;
    engine.flush();
    if engine.has_failed(ticket) {
        return Err(Failure::new(
            FailureKind::Changed,
            format!("`{}` could not be taken out of the way", path.display()),
        ));
    }
    find_again(engine, n, &path)
}

fn delete(
    engine: &mut Engine,
    ticket: usize,
    at: (usize, Found),
    recursive: bool,
    below: &[Below],
) -> Result<(), Failure> {
    let Some(stat) = &at.1.stat else {
        return Err(Failure::new(FailureKind::NotFound, format!("no such file: `{}`", at.1.path.display())));
    };
    if stat.kind == FileKind::Dir && recursive {
        // Files first, then folders from the deepest level up: each level, and each level of its undo, is one batch.
        let files = below.iter().filter(|b| b.stat.kind != FileKind::Dir);
        let mut folders: Vec<&Below> = below.iter().filter(|b| b.stat.kind == FileKind::Dir).collect();
        folders.sort_by_key(|b| std::cmp::Reverse(b.path.names().count()));
        for Below { path, .. } in files.chain(folders) {
            let found = find_again(engine, at.0, path)?;
            remove_one(engine, ticket, found)?;
            if engine.has_failed(ticket) {
                return Ok(());
            }
        }
    }
    remove_one(engine, ticket, at)
}

fn remove_one(engine: &mut Engine, ticket: usize, at: (usize, Found)) -> Result<(), Failure> {
    let before = capture(&engine.recorder, &at.1, Keep::Bytes)?.image;
    let change = Change::Remove { at: spot(engine, &at)?, before };
    engine.push(ticket, Step::new(change, at, Payload::None))
}

fn copy(
    engine: &mut Engine,
    ticket: usize,
    from: &(usize, Found),
    to: (usize, Found),
    replace: bool,
    below: &[Below],
) -> Result<(), Failure> {
    let (old, new, n) = (from.1.path.clone(), to.1.path.clone(), to.0);
    if from.0 == to.0 && new.starts_with(&old) {
        return Err(Failure::new(FailureKind::Invalid, format!("`{}` cannot be copied into itself", old.display())));
    }
    // Complete before anything makes room for it.
    let prepared = prepare_copy(engine, &from.1, &to.1)?;
    let to = make_room(engine, ticket, to, replace)?;
    let mut folders = Vec::new();
    folders.extend(push_copy(engine, ticket, prepared, to)?);
    // Folders level by level, then what is in them: so few changes wait for others.
    let mut order: Vec<&Below> = below.iter().collect();
    order.sort_by_key(|b| (b.stat.kind != FileKind::Dir, b.path.names().count()));
    for Below { path, .. } in order {
        let target = rebase(path, &old, &new)?;
        let source = find_again(engine, from.0, path)?;
        if engine.is_touched(n, &parent_of(&target)) {
            engine.flush();
        }
        if engine.has_failed(ticket) {
            return Ok(());
        }
        let place = find_again(engine, n, &target)?;
        let prepared = prepare_copy(engine, &source.1, &place.1)?;
        folders.extend(push_copy(engine, ticket, prepared, place)?);
    }
    engine.flush();
    // Folders get their times, and a mode that may keep us out, once everything is in them; the deepest first.
    for (path, meta) in folders.into_iter().rev() {
        if engine.has_failed(ticket) {
            return Ok(());
        }
        times::finish(engine, ticket, n, &path, &meta)?;
    }
    Ok(())
}

fn parent_of(path: &RelPath) -> RelPath {
    path.split_last().map_or(RelPath::ROOT, |(parent, _)| parent)
}

/// The same path below another folder.
fn rebase(path: &RelPath, old: &RelPath, new: &RelPath) -> Result<RelPath, Failure> {
    let mut out = new.clone();
    for name in path.names().skip(old.names().count()) {
        out = out.join(name).map_err(|e| Failure::new(FailureKind::Limit, e.to_string()))?;
    }
    Ok(out)
}

/// The copy of one file, symlink or folder, metadata included, as it is to be.
pub(crate) fn prepare_copy(engine: &Engine, from: &Found, to: &Found) -> Result<(Image, Payload), Failure> {
    let captured = capture(&engine.recorder, from, Keep::Digest)?;
    let mut after = captured.image;
    // The owner of a copy is who makes it, unless that is root.
    let me = mutate::me();
    if me.0 != 0 {
        (after.meta.uid, after.meta.gid) = me;
        after.meta.mode &= 0o1777;
        after.meta.xattrs.retain(|x| x.name.starts_with(b"user.") || x.name.starts_with(b"system.posix_acl"));
    }
    after.meta.nlink = 1;
    let Some(fd) = captured.file else { return Ok((after, Payload::None)) };
    let (unnamed, content) = copy_content(engine, &fd, to, after.meta.size)?;
    if Some(content.digest) != after.digest() {
        return Err(crate::capture::changed(from));
    }
    after.content = Content::File(content);
    Ok((after, Payload::Unnamed(unnamed)))
}

/// Queues a copy. Of a folder, tells where the copy is and what it is to be once all is in it.
pub(crate) fn push_copy(
    engine: &mut Engine,
    ticket: usize,
    (mut after, payload): (Image, Payload),
    to: (usize, Found),
) -> Result<Option<(RelPath, Meta)>, Failure> {
    let mut folder = None;
    if after.content == Content::Dir {
        folder = Some((to.1.path.clone(), after.meta.clone()));
        if mutate::me().0 != 0 {
            after.meta.mode |= 0o700;
        }
    }
    let change = Change::Create { at: spot(engine, &to)?, after };
    engine.push(ticket, Step::new(change, to, payload))?;
    Ok(folder)
}

/// A copy of an open file's content in a file without a name, holes where they were, blocks shared where that can be.
fn copy_content(engine: &Engine, from: &OwnedFd, to: &Found, size: u64) -> Result<(OwnedFd, FileContent), Failure> {
    let fail = |e| at_path(e, &to.path);
    let unnamed = mutate::create_unnamed(to.folder()).map_err(fail)?;
    let mut at = 0;
    while let Some((start, end)) = state::next_data(from.as_fd(), at, size).map_err(fail)? {
        mutate::copy_range(from.as_fd(), unnamed.as_fd(), start, end - start).map_err(fail)?;
        at = end;
    }
    mutate::set_len(unnamed.as_fd(), size).map_err(fail)?;
    let content = read_content(&engine.recorder, unnamed.as_fd(), size, Keep::Digest).map_err(|e| e.at(to))?;
    Ok((unnamed, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_wants_its_text_exactly_once_unless_all_is_said() {
        let edit = |old: &str, all| Replacement { old: old.into(), new: b"X".to_vec(), all }.apply(b"one two one");
        assert_eq!(edit("two", false).unwrap(), b"one X one");
        assert!(edit("one", false).unwrap_err().contains("2 times"));
        assert_eq!(edit("one", true).unwrap(), b"X two X");
        assert!(edit("three", true).is_err());
        assert!(edit("", true).is_err());
    }
}
