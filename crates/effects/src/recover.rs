//! After a crash: every operation that was meant and not concluded is looked at on disk, and finished or rolled back.
//! Nothing is guessed: what is neither as before nor as after is left alone and said.

use std::os::fd::AsFd;

use raincoat_os::{Found, mutate, state};
use raincoat_types::{Change, Content, FileKind, Image, OpRecord, OpResult, Spot};

use crate::act::put_back;
use crate::capture::{meta_now, same_content, still_is};
use crate::recorder::Recorder;
use crate::resolve::Resolver;

/// Settles one pending operation. What is returned goes into the journal.
pub(crate) fn settle(resolver: &Resolver, recorder: &Recorder, record: &OpRecord) -> OpResult {
    let looked = look(resolver, recorder, record);
    clear_temp(resolver, record);
    looked
        .unwrap_or_else(|words| OpResult::RolledBack(format!("interrupted, and could not be looked at again: {words}")))
}

/// Takes the temporary name of an operation away, if it is still there and holds only what the journal has, or what
/// was being made.
pub(crate) fn clear_temp(resolver: &Resolver, record: &OpRecord) {
    let Some(temp) = &record.intent.temp else { return };
    let Ok((_, found)) = resolver.find_spot(temp) else { return };
    let Some(stat) = found.stat.clone() else { return };
    let holds = |image: &Image| matches!(same_content(found.folder(), &found.name, &stat, image), Ok(true));
    let ours = match &record.intent.change {
        // Half-written new content is nobody's; a folder is removed only while it is empty.
        Change::Create { .. } => true,
        Change::Replace { before, .. } => {
            // After the swap it is the old file: gone only if the journal has the very same bytes. Before the swap
            // the target is still the old file, and what is here is ours.
            holds(before) || target_is(resolver, &record.intent.change, before)
        }
        Change::Remove { before, .. } => holds(before) && !target_is_there(resolver, &record.intent.change),
        _ => false,
    };
    if ours {
        let _ = match stat.kind {
            FileKind::Dir => mutate::remove_dir(found.folder(), &found.name),
            _ => mutate::unlink(found.folder(), &found.name),
        };
        let _ = mutate::sync_dir(found.folder());
    }
}

fn look(resolver: &Resolver, recorder: &Recorder, record: &OpRecord) -> Result<OpResult, String> {
    let not_done = || OpResult::RolledBack("interrupted before it was made".to_owned());
    let io = |e: std::io::Error| e.to_string();
    match &record.intent.change {
        Change::Create { at, after } => {
            let Some(found) = find(resolver, at)? else { return Ok(not_done()) };
            match &found.stat {
                Some(stat) if same_content(found.folder(), &found.name, stat, after).map_err(io)? => {
                    done(&found, after)
                }
                _ => Ok(not_done()),
            }
        }
        Change::Replace { at, before, after, in_place: false } => {
            let Some(found) = find(resolver, at)? else { return Ok(not_done()) };
            match &found.stat {
                Some(stat)
                    if same_content(found.folder(), &found.name, stat, before).map_err(io)?
                        && stat.identity == before.meta.identity =>
                {
                    Ok(not_done())
                }
                Some(stat) if same_content(found.folder(), &found.name, stat, after).map_err(io)? => {
                    undo_lost_swap(resolver, record, &found, before, after)
                }
                _ => Ok(OpResult::RolledBack(
                    "interrupted; the file has been changed by somebody since and was left as it is".to_owned(),
                )),
            }
        }
        Change::Replace { at, before, in_place: true, .. } => {
            let Some(found) = find(resolver, at)? else { return Ok(not_done()) };
            write_back(recorder, &found, before)
        }
        Change::Remove { at, before } => {
            let Some(found) = find(resolver, at)? else { return Ok(not_done()) };
            if found.stat.is_some() {
                return Ok(not_done());
            }
            finish_removal(resolver, record, &found, before)
        }
        Change::Move { from, to, image } => {
            let there = find(resolver, to)?
                .filter(|found| found.stat.as_ref().is_some_and(|s| s.identity == image.meta.identity));
            match there {
                Some(found)
                    if find(resolver, from)?.is_none_or(|from| {
                        from.stat.is_none_or(|s| s.identity != image.meta.identity) || image.meta.nlink > 1
                    }) =>
                {
                    done(&found, image)
                }
                _ => Ok(not_done()),
            }
        }
        Change::Link { at, image, .. } => {
            let Some(found) = find(resolver, at)? else { return Ok(not_done()) };
            match &found.stat {
                Some(stat) if same_content(found.folder(), &found.name, stat, image).map_err(io)? => {
                    done(&found, image)
                }
                _ => Ok(not_done()),
            }
        }
        Change::SetMeta { at, before, after } => {
            let Some(found) = find(resolver, at)? else { return Ok(not_done()) };
            let Some(now) = meta_now(found.folder(), &found.name).map_err(io)? else { return Ok(not_done()) };
            if now.same_as(before) {
                return Ok(not_done());
            }
            if !now.same_as(after) && now.identity == before.identity {
                // Some of it was set: all of it goes back.
                mutate::set_meta(found.folder(), &found.name, before).map_err(io)?;
                return Ok(not_done());
            }
            Ok(OpResult::Done { after: Some(Image { meta: now, content: Content::Dir }), dirs: Vec::new() })
        }
    }
}

/// The swap was made, and not yet checked: if somebody's newer content was swapped out, it goes back under its name.
fn undo_lost_swap(
    resolver: &Resolver,
    record: &OpRecord,
    found: &Found,
    before: &Image,
    after: &Image,
) -> Result<OpResult, String> {
    let io = |e: std::io::Error| e.to_string();
    if let Some(temp) = &record.intent.temp
        && let Ok((_, old)) = resolver.find_spot(temp)
        && let Some(stat) = &old.stat
        && !same_content(old.folder(), &old.name, stat, before).map_err(io)?
        && !same_content(old.folder(), &old.name, stat, after).map_err(io)?
    {
        mutate::exchange(found.folder(), &found.name, &old.name).map_err(io)?;
        mutate::unlink(old.folder(), &old.name).map_err(io)?;
        mutate::sync_dir(found.folder()).map_err(io)?;
        return Ok(OpResult::RolledBack(
            "interrupted; somebody had written in between, and theirs was put back".to_owned(),
        ));
    }
    done(found, after)
}

/// The name is gone. What stands under the temporary name is taken away only if it is what was sealed.
fn finish_removal(resolver: &Resolver, record: &OpRecord, found: &Found, before: &Image) -> Result<OpResult, String> {
    let io = |e: std::io::Error| e.to_string();
    if let Some(temp) = &record.intent.temp
        && let Ok((_, old)) = resolver.find_spot(temp)
        && old.stat.is_some()
        && !still_is(old.folder(), &old.name, before).map_err(io)?
    {
        mutate::rename_new(old.folder(), &old.name, found.folder(), &found.name).map_err(io)?;
        mutate::sync_dir(found.folder()).map_err(io)?;
        return Ok(OpResult::RolledBack("interrupted; the file had just been changed and was put back".to_owned()));
    }
    Ok(OpResult::Done { after: None, dirs: Vec::new() })
}

/// A file with several names was being written in place: its old bytes go back.
fn write_back(recorder: &Recorder, found: &Found, before: &Image) -> Result<OpResult, String> {
    let io = |e: std::io::Error| e.to_string();
    if found.stat.as_ref().is_none_or(|stat| stat.identity != before.meta.identity) {
        return Ok(OpResult::RolledBack(
            "interrupted; another file has taken its place and was left as it is".to_owned(),
        ));
    }
    let fd = mutate::open_file_for_writing(found.folder(), &found.name).map_err(io)?;
    put_back(recorder, fd.as_fd(), before).map_err(|e| e.at(found).message)?;
    mutate::set_meta(found.folder(), &found.name, &before.meta).map_err(io)?;
    mutate::sync_file(fd.as_fd()).map_err(io)?;
    Ok(OpResult::RolledBack("interrupted while it was written; the old content was put back".to_owned()))
}

fn done(found: &Found, image: &Image) -> Result<OpResult, String> {
    let meta = meta_now(found.folder(), &found.name).map_err(|e| e.to_string())?;
    let after = meta.map(|meta| Image { meta, content: image.content.clone() });
    Ok(OpResult::Done { after, dirs: Vec::new() })
}

/// `None` where the folder that holds the name is gone.
fn find(resolver: &Resolver, spot: &Spot) -> Result<Option<Found>, String> {
    match resolver.find_spot(spot) {
        Ok((_, found)) => Ok(Some(found)),
        Err(failure) if failure.kind == raincoat_types::FailureKind::NotFound => Ok(None),
        Err(failure) => Err(failure.message),
    }
}

fn target_is(resolver: &Resolver, change: &Change, image: &Image) -> bool {
    let spots = change.spots();
    let Some(found) = spots.first().and_then(|spot| find(resolver, spot).ok().flatten()) else { return false };
    matches!(still_is(found.folder(), &found.name, image), Ok(true))
}

fn target_is_there(resolver: &Resolver, change: &Change) -> bool {
    let spots = change.spots();
    spots
        .first()
        .and_then(|spot| find(resolver, spot).ok().flatten())
        .is_some_and(|found| matches!(state::stat_at(found.folder(), &found.name), Ok(Some(_))))
}
