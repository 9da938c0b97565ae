//! The primitive changes as system calls. Each act is one call that the file system makes atomic, checked afterwards
//! against what was sealed; where somebody wrote in between, it is taken back, and said.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use raincoat_os::{beneath, mutate, state};
use raincoat_types::{Change, Content, Failure, FailureKind, FileContent, FileKind, Image, Intent};

use crate::capture::{ContentError, changed, digest_of, same_content, still_is};
use crate::engine::{Payload, Step};
use crate::failure::{at_path, broken};
use crate::recorder::Recorder;

/// Whether a change is prepared under a temporary name first, or leaves the old file under one until it is checked.
pub(crate) fn needs_temp(change: &Change) -> bool {
    match change {
        Change::Create { .. } => true,
        Change::Replace { in_place, .. } => !in_place,
        Change::Remove { before, .. } => before.meta.kind != FileKind::Dir,
        Change::Move { .. } | Change::Link { .. } | Change::SetMeta { .. } => false,
    }
}

/// Puts what is new under the temporary name, complete with metadata. Says whether it has content to be made durable.
pub(crate) fn materialise(recorder: &Recorder, step: &mut Step, temp: Option<&[u8]>) -> Result<bool, Failure> {
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
    let has_content = match &after.content {
        Content::Dir => {
            mutate::make_dir(found.folder(), temp).map_err(fail)?;
            false
        }
        Content::Symlink(target) => {
            mutate::make_symlink(found.folder(), temp, target).map_err(fail)?;
            false
        }
        Content::Special => {
            let words = format!("`{}` is a FIFO, socket or device, which is never made", found.path.display());
            return Err(Failure::new(FailureKind::WrongKind, words));
        }
        Content::File(content) => {
            write_content(recorder, found.folder(), temp, payload, content, after.meta.size)
                .map_err(|e| e.at(found))?;
            true
        }
    };
    mutate::set_meta(found.folder(), temp, &after.meta).map_err(fail)?;
    Ok(has_content)
}

fn write_content(
    recorder: &Recorder,
    folder: BorrowedFd<'_>,
    temp: &[u8],
    payload: Payload,
    content: &FileContent,
    size: u64,
) -> Result<(), ContentError> {
    let fd = match payload {
        Payload::Unnamed(fd) => {
            mutate::name_unnamed(fd.as_fd(), folder, temp)?;
            fd
        }
        Payload::Bytes(bytes) => {
            let fd = mutate::create_file(folder, temp)?;
            mutate::write_all_at(fd.as_fd(), &bytes, 0)?;
            fd
        }
        Payload::Stored | Payload::None => {
            let fd = mutate::create_file(folder, temp)?;
            restore_content(recorder, fd.as_fd(), content, size)?;
            fd
        }
    };
    // What is hashed on the way in is verified on disk before any name leads to it.
    if digest_of(fd.as_fd())? != content.digest {
        return Err(io::Error::other("what was written is not what was meant; the disk or memory is at fault").into());
    }
    Ok(())
}

/// Writes content from the store into an empty file, holes where they were.
pub(crate) fn restore_content(
    recorder: &Recorder,
    fd: BorrowedFd<'_>,
    content: &FileContent,
    size: u64,
) -> Result<(), ContentError> {
    if !content.stored {
        return Err(ContentError::Store("the store has no copy of that content".to_owned()));
    }
    for chunk in &content.chunks {
        let bytes = recorder.read_chunk(chunk.id).map_err(ContentError::Store)?;
        mutate::write_all_at(fd, &bytes, chunk.offset)?;
    }
    mutate::set_len(fd, size)?;
    Ok(())
}

/// Makes a step's new content durable.
pub(crate) fn sync_content(step: &Step, intent: &Intent) -> Result<(), Failure> {
    let found = &step.at.1;
    let Some(temp) = temp_name(intent) else { return Ok(()) };
    let fail = |e| at_path(e, &found.path);
    let Some(stat) = state::stat_at(found.folder(), &temp).map_err(fail)? else { return Ok(()) };
    if stat.kind != FileKind::File {
        return Ok(());
    }
    // Opened by its owner even where its mode lets nobody read: sync needs only a descriptor.
    match beneath::open_file_for_reading(found.folder(), &temp, &stat) {
        Ok(fd) => mutate::sync_file(fd.as_fd())
            .map_err(|e| broken(&format!("`{}` could not be made durable ({e})", found.path.display()))),
        Err(_) => mutate::sync_file_system(found.folder()).map_err(fail),
    }
}

/// Makes the change. An error means that the user's files are as they were.
pub(crate) fn act(recorder: &Recorder, step: &Step, intent: &Intent) -> Result<(), Failure> {
    let found = &step.at.1;
    let folder = found.folder();
    let name = found.name.as_slice();
    let fail = |e| at_path(e, &found.path);
    let temp = temp_name(intent).unwrap_or_default();
    match &step.change {
        Change::Create { .. } => mutate::rename_new(folder, &temp, folder, name).map_err(fail),
        Change::Replace { before, in_place: false, .. } => {
            mutate::exchange(folder, &temp, name).map_err(|e| no_exchange(e, found))?;
            match still_is(folder, &temp, before) {
                Ok(true) => Ok(()),
                other => {
                    // Somebody wrote in between: theirs goes back under its name.
                    mutate::exchange(folder, &temp, name).map_err(fail)?;
                    other.map_err(fail)?;
                    Err(changed(found))
                }
            }
        }
        Change::Replace { before, after, in_place: true, .. } => write_in_place(recorder, step, before, after),
        Change::Remove { before, .. } if before.meta.kind == FileKind::Dir => {
            if !still_is(folder, name, before).map_err(fail)? {
                return Err(changed(found));
            }
            mutate::remove_dir(folder, name).map_err(fail)
        }
        Change::Remove { before, .. } => {
            mutate::rename_new(folder, name, folder, &temp).map_err(fail)?;
            match still_is(folder, &temp, before) {
                Ok(true) => Ok(()),
                other => {
                    mutate::rename_new(folder, &temp, folder, name).map_err(fail)?;
                    other.map_err(fail)?;
                    Err(changed(found))
                }
            }
        }
        Change::Move { image, .. } => {
            let Some((_, to)) = &step.other else { return Err(changed(found)) };
            mutate::rename_new(folder, name, to.folder(), &to.name).map_err(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => at_path(e, &to.path),
                _ => at_path(e, &found.path),
            })?;
            let arrived = state::stat_at(to.folder(), &to.name).map_err(|e| at_path(e, &to.path))?;
            if arrived.is_some_and(|stat| stat.identity == image.meta.identity) {
                return Ok(());
            }
            mutate::rename_new(to.folder(), &to.name, folder, name).map_err(fail)?;
            Err(changed(found))
        }
        Change::Link { image, .. } => {
            let Some((_, existing)) = &step.other else { return Err(changed(found)) };
            mutate::link(existing.folder(), &existing.name, folder, name).map_err(fail)?;
            match state::stat_at(folder, name).map_err(fail)? {
                Some(stat) if same_content(folder, name, &stat, image).map_err(fail)? => Ok(()),
                _ => {
                    mutate::unlink(folder, name).map_err(fail)?;
                    Err(changed(found))
                }
            }
        }
        Change::SetMeta { before, after, .. } => {
            let now = state::stat_at(folder, name).map_err(fail)?;
            if now.is_none_or(|stat| stat.identity != before.identity) {
                return Err(changed(found));
            }
            mutate::set_meta(folder, name, after).map_err(fail)
        }
    }
}

/// A file with several names keeps its inode: the new bytes go into it, while nobody else can open it. The intent has
/// the old bytes; a crash in between is rolled back from them.
fn write_in_place(recorder: &Recorder, step: &Step, before: &Image, after: &Image) -> Result<(), Failure> {
    let found = &step.at.1;
    let fail = |e| at_path(e, &found.path);
    let fd = mutate::open_file_for_writing(found.folder(), &found.name).map_err(fail)?;
    match mutate::hold_alone(fd.as_fd()) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let words = format!(
                "`{}` has several names and is open in another program; close it there first",
                found.path.display()
            );
            return Err(Failure::new(FailureKind::Changed, words));
        }
        // No leases here: the checks below still notice a change before and after.
        _ => {}
    }
    let now = state::stat_fd(fd.as_fd()).map_err(fail)?;
    let same = now.identity == before.meta.identity && Some(digest_of(fd.as_fd()).map_err(fail)?) == before.digest();
    if !same {
        return Err(changed(found));
    }
    let written = fill(recorder, fd.as_fd(), step, after).map_err(|e| e.at(found)).and_then(|()| {
        mutate::set_meta(found.folder(), &found.name, &after.meta).map_err(fail)?;
        mutate::sync_file(fd.as_fd()).map_err(fail)
    });
    if let Err(failure) = written {
        put_back(recorder, fd.as_fd(), before).map_err(|e| e.at(found))?;
        mutate::set_meta(found.folder(), &found.name, &before.meta).map_err(fail)?;
        mutate::sync_file(fd.as_fd()).map_err(fail)?;
        return Err(failure);
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

/// Takes the old file's temporary name away, after the change is durable and checked. A failure leaves a hidden file
/// that the next start finds by its intent.
pub(crate) fn clear(step: &Step, intent: &Intent) {
    let Some(temp) = temp_name(intent) else { return };
    match &step.change {
        Change::Replace { in_place: false, .. } | Change::Remove { .. } => {
            let _ = mutate::unlink(step.at.1.folder(), &temp);
        }
        _ => {}
    }
}

/// Takes away what was prepared for a change that will not be made.
pub(crate) fn abandon(step: &Step, intent: &Intent) {
    let Some(temp) = temp_name(intent) else { return };
    let folder = step.at.1.folder();
    match &step.change {
        Change::Create { after, .. } if after.content == Content::Dir => {
            let _ = mutate::remove_dir(folder, &temp);
        }
        // Only what is ours: were a swap back to fail, somebody's newer content would stand under this name.
        Change::Create { after, .. } | Change::Replace { after, in_place: false, .. } => {
            if let Ok(Some(stat)) = state::stat_at(folder, &temp)
                && (stat.size == 0 || matches!(same_content(folder, &temp, &stat, after), Ok(true)))
            {
                let _ = mutate::unlink(folder, &temp);
            }
        }
        _ => {}
    }
}

fn temp_name(intent: &Intent) -> Option<Vec<u8>> {
    intent.temp.as_ref()?.path.split_last().map(|(_, name)| name.to_vec())
}

fn no_exchange(error: io::Error, found: &raincoat_os::Found) -> Failure {
    if error.kind() == io::ErrorKind::InvalidInput || error.kind() == io::ErrorKind::Unsupported {
        let words = format!(
            "`{}` is on a file system that cannot swap two files at once, so it cannot be replaced without a risk of loss; copy it elsewhere first",
            found.path.display()
        );
        return Failure::new(FailureKind::Denied, words);
    }
    at_path(error, &found.path)
}
