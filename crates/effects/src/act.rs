//! The primitive changes as system calls. Each act is one call that the file system makes atomic, checked afterwards
//! against what was sealed; where somebody wrote in between, it is taken back, and said.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use raincoat_os::{Found, beneath, mutate, state};
use raincoat_types::{
    Change, Content, Failure, FailureKind, FileContent, FileKind, Identity, Image, Intent, display_bytes,
};

use crate::ahead::Ahead;
use crate::capture::{ContentError, changed, digest_of, digest_of_size, same_content, still_is};
use crate::engine::{Payload, Step};
use crate::failure::{at_path, broken};
use crate::recorder::Recorder;

/// Bytes that are read back at once.
const WINDOW: usize = 256 << 10;
/// Content of so many bytes begins to be written to the disk before the sync that all of a batch shares.
const BEGIN_FROM: u64 = 256 << 10;

/// Whether a change is prepared under a temporary name first, or leaves the old file under one until it is checked.
pub(crate) fn needs_temp(change: &Change) -> bool {
    match change {
        Change::Create { .. } => true,
        Change::Replace { in_place, .. } => !in_place,
        Change::Remove { before, .. } => before.meta.kind != FileKind::Dir,
        Change::Move { .. } | Change::Link { .. } | Change::SetMeta { .. } => false,
    }
}

/// The content that [`materialise`] takes out of the store for a step.
pub(crate) fn from_store(step: &Step) -> Option<&FileContent> {
    match (&step.change, &step.payload) {
        (
            Change::Create { after, .. } | Change::Replace { after, in_place: false, .. },
            Payload::Stored | Payload::None,
        ) => match &after.content {
            Content::File(content) => Some(content),
            _ => None,
        },
        _ => None,
    }
}

/// Puts what is new under the temporary name, complete with metadata. Says whether it has content to be made durable.
/// What the store has comes from `stored`, as the file of this `number`.
pub(crate) fn materialise(
    recorder: &Recorder,
    step: &mut Step,
    temp: Option<&[u8]>,
    (number, stored): (usize, &mut Ahead),
) -> Result<bool, Failure> {
    let after = match &step.change {
        Change::Create { after, .. } | Change::Replace { after, in_place: false, .. } => after,
        _ => return Ok(false),
    };
    let found = &step.at.1;
    let Some(temp) = temp else {
        return Err(Failure::new(FailureKind::Invalid, format!("`{}` has no temporary name", found.path.display())));
    };
    let fail = |e| at_path(e, &found.path);
    let payload = std::mem::replace(&mut step.payload, Payload::None);
    match &after.content {
        Content::Dir => {
            mutate::make_dir(found.folder(), temp).map_err(fail)?;
            step.made = identity_of(found, temp);
        }
        Content::Symlink(target) => {
            mutate::make_symlink(found.folder(), temp, target).map_err(fail)?;
            step.made = identity_of(found, temp);
        }
        Content::Special => {
            let words = format!("`{}` is a FIFO, socket or device, which is never made", found.path.display());
            return Err(Failure::new(FailureKind::WrongKind, words));
        }
        Content::File(content) => {
            let fd = new_file(found.folder(), temp, &payload).map_err(fail)?;
            step.made = Some(state::stat_fd(fd.as_fd()).map_err(fail)?.identity);
            let mut next = || stored.next(recorder, number);
            write_content(fd.as_fd(), &payload, content, after.meta.size, &mut next).map_err(|e| e.at(found))?;
            mutate::set_meta_of(fd.as_fd(), &after.meta).map_err(fail)?;
            if after.meta.size >= BEGIN_FROM {
                mutate::begin_writing(fd.as_fd(), 0, 0);
            }
            step.file = Some(fd);
            return Ok(true);
        }
    }
    mutate::set_meta(found.folder(), temp, &after.meta).map_err(fail)?;
    Ok(false)
}

fn identity_of(found: &Found, name: &[u8]) -> Option<Identity> {
    state::stat_at(found.folder(), name).ok().flatten().map(|stat| stat.identity)
}

/// The new file under its temporary name.
fn new_file(folder: BorrowedFd<'_>, temp: &[u8], payload: &Payload) -> io::Result<OwnedFd> {
    if let Payload::Unnamed(fd) | Payload::Begun(fd, _) = payload {
        mutate::name_unnamed(fd.as_fd(), folder, temp)?;
        return fd.try_clone();
    }
    mutate::create_file(folder, temp)
}

fn write_content(
    fd: BorrowedFd<'_>,
    payload: &Payload,
    content: &FileContent,
    size: u64,
    next: &mut dyn FnMut() -> Result<Vec<u8>, String>,
) -> Result<(), ContentError> {
    match payload {
        Payload::Unnamed(_) => {}
        // The digest is that of these bytes: that the file holds them says as much, and sooner.
        Payload::Begun(_, bytes) if holds(fd, bytes)? => return Ok(()),
        Payload::Begun(..) => {}
        Payload::Bytes(bytes) => mutate::write_all_at(fd, bytes, 0)?,
        Payload::Stored | Payload::None => write_stored(fd, content, size, next)?,
    }
    // What is hashed on the way in is verified on disk before any name leads to it.
    if digest_of(fd)? != content.digest {
        return Err(io::Error::other("what was written is not what was meant; the disk or memory is at fault").into());
    }
    Ok(())
}

/// Whether a file's content is these bytes, read back.
fn holds(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<bool> {
    let mut read = vec![0; WINDOW.min(bytes.len())];
    let mut at = 0;
    for piece in bytes.chunks(WINDOW) {
        let Some(read) = read.get_mut(..piece.len()) else { return Ok(false) };
        if state::read_at(fd, read, at)? != piece.len() || read != piece {
            return Ok(false);
        }
        at += piece.len() as u64;
    }
    Ok(state::stat_fd(fd)?.size == at)
}

/// Writes content from the store into an empty file, holes where they were.
pub(crate) fn restore_content(
    recorder: &Recorder,
    fd: BorrowedFd<'_>,
    content: &FileContent,
    size: u64,
) -> Result<(), ContentError> {
    let mut stored = Ahead::new(std::iter::once((0, content)));
    write_stored(fd, content, size, &mut || stored.next(recorder, 0))
}

fn write_stored(
    fd: BorrowedFd<'_>,
    content: &FileContent,
    size: u64,
    next: &mut dyn FnMut() -> Result<Vec<u8>, String>,
) -> Result<(), ContentError> {
    if !content.stored {
        return Err(ContentError::Store("the store has no copy of that content".to_owned()));
    }
    let mut end = 0;
    for chunk in &content.chunks {
        let bytes = next().map_err(ContentError::Store)?;
        mutate::write_all_at(fd, &bytes, chunk.offset)?;
        end = chunk.offset + bytes.len() as u64;
    }
    if end != size {
        mutate::set_len(fd, size)?;
    }
    Ok(())
}

/// Makes a step's new content durable, and closes it: nobody is to find it open for writing.
pub(crate) fn sync_content(step: &mut Step) -> Result<(), Failure> {
    let Some(file) = step.file.take() else { return Ok(()) };
    let path = &step.at.1.path;
    mutate::sync_file(file.as_fd())
        .map_err(|e| broken(&format!("`{}` could not be made durable ({e})", path.display())))
}

/// Why a change was not made.
pub(crate) enum Unmade {
    /// The user's files are as they were.
    Clean(Failure),
    /// It was begun and could not be taken back. Recovery has to look, so the operation stays pending.
    Unsure(Failure),
}

impl From<Failure> for Unmade {
    fn from(failure: Failure) -> Self {
        Unmade::Clean(failure)
    }
}

/// Makes the change.
pub(crate) fn act(recorder: &Recorder, step: &Step, intent: &Intent) -> Result<(), Unmade> {
    let found = &step.at.1;
    let folder = found.folder();
    let name = found.name.as_slice();
    let fail = |e| at_path(e, &found.path);
    let unsure = |e| Unmade::Unsure(at_path(e, &found.path));
    let temp = temp_name(intent).unwrap_or_default();
    match &step.change {
        Change::Create { .. } => Ok(mutate::rename_new(folder, &temp, folder, name).map_err(fail)?),
        Change::Replace { before, in_place: false, .. } => {
            mutate::exchange(folder, &temp, name).map_err(|e| no_exchange(e, found))?;
            match is_ours_now(folder, &temp, before) {
                Ok(true) => Ok(()),
                other => {
                    // Somebody wrote in between: theirs goes back under its name.
                    let words = swap_back(step, &temp, intent).map_err(unsure)?;
                    other.map_err(fail)?;
                    Err(changed_and(found, &words))
                }
            }
        }
        Change::Replace { before, after, in_place: true, .. } => write_in_place(recorder, step, before, after),
        Change::Remove { before, .. } if before.meta.kind == FileKind::Dir => {
            if !still_is(folder, name, before).map_err(fail)? {
                return Err(changed(found).into());
            }
            Ok(mutate::remove_dir(folder, name).map_err(fail)?)
        }
        Change::Remove { before, .. } => {
            mutate::rename_new(folder, name, folder, &temp).map_err(fail)?;
            match is_ours_now(folder, &temp, before) {
                Ok(true) => Ok(()),
                other => {
                    let words = give_back((folder, &temp), found, intent).map_err(unsure)?;
                    other.map_err(fail)?;
                    Err(changed_and(found, &words))
                }
            }
        }
        Change::Move { image, .. } => {
            let Some((_, to)) = &step.other else { return Err(changed(found).into()) };
            mutate::rename_new(folder, name, to.folder(), &to.name).map_err(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => at_path(e, &to.path),
                _ => at_path(e, &found.path),
            })?;
            let arrived = state::stat_at(to.folder(), &to.name).map_err(unsure)?;
            if arrived.is_some_and(|stat| stat.identity == image.meta.identity) {
                return Ok(());
            }
            let words = give_back((to.folder(), &to.name), found, intent).map_err(unsure)?;
            Err(changed_and(found, &words))
        }
        Change::Link { image, .. } => {
            let Some((_, existing)) = &step.other else { return Err(changed(found).into()) };
            mutate::link(existing.folder(), &existing.name, folder, name).map_err(fail)?;
            match state::stat_at(folder, name).map_err(unsure)? {
                Some(stat) if same_content(folder, name, &stat, image).map_err(unsure)? => Ok(()),
                _ => {
                    mutate::unlink(folder, name).map_err(unsure)?;
                    Err(changed(found).into())
                }
            }
        }
        Change::SetMeta { before, after, .. } => {
            let held = mutate::hold(folder, name).map_err(fail)?;
            let now = state::stat_fd(held.as_fd()).map_err(fail)?;
            if now.identity != before.identity {
                return Err(changed(found).into());
            }
            if let Err(error) = mutate::set_meta_of(held.as_fd(), after) {
                mutate::set_meta_of(held.as_fd(), before).map_err(unsure)?;
                return Err(fail(error).into());
            }
            Ok(())
        }
    }
}

/// Whether what was taken to a temporary name is what was sealed, and stays it: nobody finds it under its old name any
/// more, and nobody who found it before can still write to it. (With other names it lives on, and with it what is
/// written.)
fn is_ours_now(folder: BorrowedFd<'_>, temp: &[u8], before: &Image) -> io::Result<bool> {
    if before.meta.kind != FileKind::File || before.meta.nlink != 1 {
        return still_is(folder, temp, before);
    }
    let Some(stat) = state::stat_at(folder, temp)?.filter(|stat| stat.identity == before.meta.identity) else {
        return Ok(false);
    };
    let fd = beneath::open_file_for_reading(folder, temp, &stat)?;
    // Where there are no leases, the comparison below has to do.
    if mutate::nobody_writes(fd.as_fd()).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock) {
        return Ok(false);
    }
    let now = state::stat_fd(fd.as_fd())?;
    let size = now.size;
    let now = now.with_xattrs(state::xattrs_of(fd.as_fd())?);
    Ok(now.same_as(&before.meta) && Some(digest_of_size(fd.as_fd(), size)?) == before.digest())
}

/// Takes a swap back. Where somebody has put yet another file under the name meanwhile, both of theirs stay to be seen.
fn swap_back(step: &Step, temp: &[u8], intent: &Intent) -> io::Result<String> {
    let found = &step.at.1;
    match mutate::exchange(found.folder(), temp, &found.name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => give_back((found.folder(), temp), found, intent),
        Ok(()) if identity_of(found, temp) != step.made => give_back((found.folder(), temp), found, intent),
        other => other.map(|()| String::new()),
    }
}

/// Puts somebody's newer file, taken for the one that was meant, back under its name. Where that is taken again by now,
/// it gets a name beside it: it is theirs, and stays to be seen.
pub(crate) fn give_back(from: (BorrowedFd<'_>, &[u8]), found: &Found, intent: &Intent) -> io::Result<String> {
    let folder = found.folder();
    match mutate::rename_new(from.0, from.1, folder, &found.name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let kept = kept_name(found, intent);
            mutate::rename_new(from.0, from.1, folder, &kept)?;
            Ok(format!("; what stood there meanwhile is kept as `{}`", display_bytes(&kept)))
        }
        other => other.map(|()| String::new()),
    }
}

/// A name beside a file's own, for what is somebody's.
fn kept_name(found: &Found, intent: &Intent) -> Vec<u8> {
    let mut kept = found.name.clone();
    kept.truncate(200);
    kept.extend_from_slice(format!(".kept-{}", intent.op.seq).as_bytes());
    kept
}

fn changed_and(found: &Found, words: &str) -> Unmade {
    let failure = changed(found);
    Unmade::Clean(Failure { message: format!("{}{words}", failure.message), ..failure })
}

/// A file with several names keeps its inode: the new bytes go into it, while nobody else can open it. The intent has
/// the old bytes; a crash in between is rolled back from them.
pub(crate) fn write_in_place(recorder: &Recorder, step: &Step, before: &Image, after: &Image) -> Result<(), Unmade> {
    let found = &step.at.1;
    let fail = |e| at_path(e, &found.path);
    let fd = mutate::open_file_for_writing(found.folder(), &found.name, &before.meta.identity).map_err(fail)?;
    match mutate::hold_alone(fd.as_fd()) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let words = format!(
                "`{}` has several names and is open in another program; close it there first",
                found.path.display()
            );
            return Err(Failure::new(FailureKind::Changed, words).into());
        }
        // No leases here: the checks below still notice a change before and after.
        _ => {}
    }
    let now = state::stat_fd(fd.as_fd()).map_err(fail)?;
    let xattrs = state::xattrs_of(fd.as_fd()).map_err(fail)?;
    if !now.with_xattrs(xattrs).same_as(&before.meta) || Some(digest_of(fd.as_fd()).map_err(fail)?) != before.digest() {
        return Err(changed(found).into());
    }
    let written = fill(recorder, fd.as_fd(), step, after).map_err(|e| e.at(found)).and_then(|()| {
        mutate::set_meta_of(fd.as_fd(), &after.meta).map_err(fail)?;
        mutate::sync_file(fd.as_fd()).map_err(fail)
    });
    if let Err(failure) = written {
        let unsure = |e| Unmade::Unsure(at_path(e, &found.path));
        put_back(recorder, fd.as_fd(), before).map_err(|e| Unmade::Unsure(e.at(found)))?;
        mutate::set_meta_of(fd.as_fd(), &before.meta).map_err(unsure)?;
        mutate::sync_file(fd.as_fd()).map_err(unsure)?;
        return Err(failure.into());
    }
    Ok(())
}

fn fill(recorder: &Recorder, fd: BorrowedFd<'_>, step: &Step, after: &Image) -> Result<(), ContentError> {
    let Content::File(content) = &after.content else {
        return Err(io::Error::other("only a regular file is written in place").into());
    };
    match &step.payload {
        Payload::Bytes(bytes) => {
            mutate::write_all_at(fd, bytes, 0)?;
            mutate::set_len(fd, after.meta.size)?;
        }
        _ => {
            mutate::set_len(fd, 0)?;
            restore_content(recorder, fd, content, after.meta.size)?;
        }
    }
    if digest_of(fd)? != content.digest {
        return Err(io::Error::other("what was written is not what was meant; the disk or memory is at fault").into());
    }
    Ok(())
}

/// Puts the old content back into an inode that was written in place.
pub(crate) fn put_back(recorder: &Recorder, fd: BorrowedFd<'_>, before: &Image) -> Result<(), ContentError> {
    let Content::File(content) = &before.content else { return Ok(()) };
    mutate::set_len(fd, 0)?;
    restore_content(recorder, fd, content, before.meta.size)
}

/// Takes the old file's temporary name away, after the change is durable and checked. What somebody wrote into it since
/// that check, or still may, is theirs: it stays under a name that is seen, and the words for that are given.
pub(crate) fn clear(step: &Step, intent: &Intent) -> Option<String> {
    let temp = temp_name(intent)?;
    let found = &step.at.1;
    let before = match &step.change {
        Change::Replace { before, in_place: false, .. } | Change::Remove { before, .. } => before,
        _ => return None,
    };
    if matches!(is_as_sealed(found.folder(), &temp, before), Ok(true)) {
        let left = take_away(found.folder(), &temp, false).err()?;
        return Some(format!(
            "what `{}` was before could not be taken away ({left}): it is left beside it as `{}`, and may be deleted, since \
             the journal has it",
            found.path.display(),
            display_bytes(&temp)
        ));
    }
    let kept = kept_name(found, intent);
    mutate::rename_new(found.folder(), &temp, found.folder(), &kept).ok()?;
    Some(format!(
        "somebody wrote into `{}` when it was changed already, or has it open to write; what they have is kept beside it as \
         `{}`",
        found.path.display(),
        display_bytes(&kept)
    ))
}

/// Whether the old file under its temporary name is what was sealed, and nobody can write to it any more. Its times tell
/// that where no writer is left; else its content does. (With other names it lives on, whatever becomes of this one.)
fn is_as_sealed(folder: BorrowedFd<'_>, temp: &[u8], before: &Image) -> io::Result<bool> {
    if before.meta.kind != FileKind::File || before.meta.nlink > 1 {
        return Ok(true);
    }
    let Some(stat) = state::stat_at(folder, temp)? else { return Ok(true) };
    let fd = beneath::open_file_for_reading(folder, temp, &stat)?;
    match mutate::nobody_writes(fd.as_fd()) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        // No leases here: only its bytes tell.
        Err(_) => Ok(stat.size == before.meta.size && Some(digest_of(fd.as_fd())?) == before.digest()),
        Ok(()) => {
            let now = state::stat_fd(fd.as_fd())?;
            Ok((now.size, now.mtime) == (before.meta.size, before.meta.mtime)
                || (now.size == before.meta.size && Some(digest_of(fd.as_fd())?) == before.digest()))
        }
    }
}

/// Takes away what was prepared for a change that was not made. The user's files are as they were, so what stands under
/// the temporary name is what [`materialise`] put there.
pub(crate) fn abandon(step: &Step, intent: &Intent) {
    let Some(temp) = temp_name(intent) else { return };
    if step.made.is_none() || identity_of(&step.at.1, &temp) != step.made {
        return;
    }
    let is_dir = matches!(&step.change, Change::Create { after, .. } if after.content == Content::Dir);
    let _ = take_away(step.at.1.folder(), &temp, is_dir);
}

/// Takes a temporary name away. Nobody comes back to it once the run has ended, so a failure that does not last is got
/// over.
fn take_away(folder: BorrowedFd<'_>, temp: &[u8], is_dir: bool) -> io::Result<()> {
    let once = || if is_dir { mutate::remove_dir(folder, temp) } else { mutate::unlink(folder, temp) };
    match once().or_else(|_| once()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn temp_name(intent: &Intent) -> Option<Vec<u8>> {
    intent.temp.as_ref()?.path.split_last().map(|(_, name)| name.to_vec())
}

fn no_exchange(error: io::Error, found: &Found) -> Failure {
    if error.kind() == io::ErrorKind::InvalidInput || error.kind() == io::ErrorKind::Unsupported {
        let words = format!(
            "`{}` is on a file system that cannot swap two files at once, so it cannot be replaced without a risk of loss; copy it elsewhere first",
            found.path.display()
        );
        return Failure::new(FailureKind::Denied, words);
    }
    at_path(error, &found.path)
}
