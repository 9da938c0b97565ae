//! After a crash: every operation that was meant and not concluded is looked at on disk, and finished or rolled back.
//! Nothing is guessed: what is neither as before nor as after is left alone and said.

use std::collections::HashSet;
use std::os::fd::AsFd;

use raincoat_os::{Found, Stat, beneath, mutate, state};
use raincoat_types::{Change, Content, DirTimes, FileKind, Image, Intent, OpId, OpRecord, OpResult, Spot, Timestamp};

use crate::act::{give_back, put_back};
use crate::capture::{meta_now, same_content, still_is};
use crate::half::is_half_written;
use crate::recorder::Recorder;
use crate::resolve::Resolver;

/// A temporary name is made at once after its folder was changed by nobody else, if the folder's time is no later than
/// this after it.
const AT_ONCE_SECS: i64 = 2;

/// Settles pending operations, in the order in which they were meant. What is returned goes into the journal.
pub(crate) fn settle_all(resolver: &Resolver, recorder: &Recorder, pending: &[OpRecord]) -> Vec<(OpId, OpResult)> {
    let mut results: Vec<(OpId, OpResult)> = Vec::with_capacity(pending.len());
    let mut ours: HashSet<Spot> = HashSet::new();
    for record in pending {
        let intent = &record.intent;
        // Whether the last that happened to the folder was that our temporary name came into it.
        let quiet = intent.temp.as_ref().is_some_and(|temp| came_last(resolver, temp, intent));
        let result = look(resolver, recorder, intent).unwrap_or_else(|words| {
            OpResult::RolledBack(format!("interrupted, and could not be looked at again: {words}"))
        });
        clear_temp(resolver, recorder, record);
        if quiet && let Some(dir) = intent.dirs.first() {
            ours.insert(dir.at.clone());
        }
        results.push((intent.op, result));
    }
    give_times_back(resolver, pending, &results, &ours);
    // Only now do the folders stand as undo will expect them.
    for (record, (_, result)) in pending.iter().zip(&mut results) {
        if let OpResult::Done { dirs, .. } = result {
            *dirs = record.intent.dirs.iter().filter_map(|dir| dir_times(resolver, &dir.at)).collect();
        }
    }
    results
}

/// Takes the temporary name of an operation away, if it is still there and holds only what the journal has, or what
/// was being made. Anything else is somebody's, and gets a name that is seen.
pub(crate) fn clear_temp(resolver: &Resolver, recorder: &Recorder, record: &OpRecord) {
    let Some(temp) = &record.intent.temp else { return };
    let Ok((_, found)) = resolver.find_spot(temp) else { return };
    let Some(stat) = found.stat.clone() else { return };
    let holds = |image: &Image| matches!(same_content(found.folder(), &found.name, &stat, image), Ok(true));
    let ours = match &record.intent.change {
        // Half-written new content is nobody's; a folder is removed only while it is empty.
        Change::Create { .. } => true,
        // The old file after the swap, or the new one before it, whole or half-written.
        Change::Replace { before, after, .. } => {
            holds(before)
                || holds(after)
                || target_is(resolver, &record.intent.change, before)
                || is_half_new(recorder, &found, &stat, after)
        }
        Change::Remove { before, .. } => holds(before),
        _ => return,
    };
    let _ = match stat.kind {
        FileKind::Dir => mutate::remove_dir(found.folder(), &found.name),
        _ if ours => mutate::unlink(found.folder(), &found.name),
        _ => keep(resolver, &record.intent, &found),
    };
    let _ = mutate::sync_dir(found.folder());
}

fn is_half_new(recorder: &Recorder, found: &Found, stat: &Stat, after: &Image) -> bool {
    beneath::open_file_for_reading(found.folder(), &found.name, stat)
        .is_ok_and(|fd| is_half_written(recorder, fd.as_fd(), after, after).unwrap_or(false))
}

fn keep(resolver: &Resolver, intent: &Intent, found: &Found) -> std::io::Result<()> {
    let spots = intent.change.spots();
    match spots.first().and_then(|at| find(resolver, at).ok().flatten()) {
        Some(target) => give_back((found.folder(), &found.name), &target, intent).map(drop),
        None => Ok(()),
    }
}

fn look(resolver: &Resolver, recorder: &Recorder, intent: &Intent) -> Result<OpResult, String> {
    let io = |e: std::io::Error| e.to_string();
    match &intent.change {
        Change::Create { at, after } => {
            let Some(found) = find(resolver, at)? else { return Ok(not_done()) };
            // The new file goes from its temporary name to its own in one call: while it has the first, it was not made.
            if temp_of(resolver, intent)?.is_some() {
                return Ok(not_done());
            }
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
                    if stat.identity == before.meta.identity
                        && same_content(found.folder(), &found.name, stat, before).map_err(io)? =>
                {
                    Ok(not_done())
                }
                Some(stat) if same_content(found.folder(), &found.name, stat, after).map_err(io)? => {
                    undo_lost_swap(resolver, intent, &found, before, after)
                }
                _ => Ok(OpResult::RolledBack(
                    "interrupted; the file has been changed by somebody since and was left as it is".to_owned(),
                )),
            }
        }
        Change::Replace { at, before, after, in_place: true } => {
            let Some(found) = find(resolver, at)? else { return Ok(not_done()) };
            write_back(recorder, &found, before, after)
        }
        Change::Remove { at, before } => look_at_removal(resolver, intent, at, before),
        Change::Move { from, to, image } => {
            let is_it = |found: &Found| found.stat.as_ref().is_some_and(|s| s.identity == image.meta.identity);
            let Some(there) = find(resolver, to)?.filter(is_it) else { return Ok(not_done()) };
            // A file with several names may have had that one before.
            let still_here = find(resolver, from)?.is_some_and(|found| is_it(&found));
            if still_here { Ok(not_done()) } else { done(&there, image) }
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
            if now.identity != before.identity || now.same_as(before) {
                return Ok(not_done());
            }
            if !now.same_as(after) {
                // Some of it was set: all of it goes back.
                mutate::set_meta(found.folder(), &found.name, before).map_err(io)?;
                return Ok(not_done());
            }
            Ok(OpResult::Done { after: Some(Image { meta: now, content: Content::Dir }), dirs: Vec::new() })
        }
    }
}

fn not_done() -> OpResult {
    OpResult::RolledBack("interrupted before it was made".to_owned())
}

/// The swap was made, and not yet checked: if somebody's newer content was swapped out, it goes back under its name.
fn undo_lost_swap(
    resolver: &Resolver,
    intent: &Intent,
    found: &Found,
    before: &Image,
    after: &Image,
) -> Result<OpResult, String> {
    let io = |e: std::io::Error| e.to_string();
    if let Some(old) = temp_of(resolver, intent)?
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

/// A file goes to its temporary name first, and from there for good. What stands there is taken away only if it is what
/// was sealed.
fn look_at_removal(resolver: &Resolver, intent: &Intent, at: &Spot, before: &Image) -> Result<OpResult, String> {
    let io = |e: std::io::Error| e.to_string();
    let gone = Ok(OpResult::Done { after: None, dirs: Vec::new() });
    // Its folder is gone too: that can only be after it was empty.
    let Some(found) = find(resolver, at)? else { return gone };
    match temp_of(resolver, intent)? {
        Some(old) if still_is(old.folder(), &old.name, before).map_err(io)? => gone,
        Some(old) => {
            let words = give_back((old.folder(), &old.name), &found, intent).map_err(io)?;
            mutate::sync_dir(found.folder()).map_err(io)?;
            Ok(OpResult::RolledBack(format!("interrupted; the file had just been changed and was put back{words}")))
        }
        None if found.stat.is_some() => Ok(not_done()),
        None => gone,
    }
}

/// A file with several names was being written in place: its old bytes go back, if what is there is a mixture of old
/// and new and nobody's own.
fn write_back(recorder: &Recorder, found: &Found, before: &Image, after: &Image) -> Result<OpResult, String> {
    let io = |e: std::io::Error| e.to_string();
    let theirs = |words: &str| Ok(OpResult::RolledBack(format!("interrupted; {words} and was left as it is")));
    let Some(stat) = found.stat.as_ref().filter(|stat| stat.identity == before.meta.identity) else {
        return theirs("another file has taken its place");
    };
    let same = |image| same_content(found.folder(), &found.name, stat, image).map_err(io);
    if same(before)? && meta_now(found.folder(), &found.name).map_err(io)?.is_some_and(|m| m.same_as(&before.meta)) {
        return Ok(not_done());
    }
    let fd = mutate::open_file_for_writing(found.folder(), &found.name, &stat.identity).map_err(io)?;
    if !is_half_written(recorder, fd.as_fd(), before, after)? {
        return theirs("the file has been changed by somebody since");
    }
    put_back(recorder, fd.as_fd(), before).map_err(|e| e.at(found).message)?;
    mutate::set_meta_of(fd.as_fd(), &before.meta).map_err(io)?;
    mutate::sync_file(fd.as_fd()).map_err(io)?;
    Ok(OpResult::RolledBack("interrupted while it was written; the old content was put back".to_owned()))
}

fn done(found: &Found, image: &Image) -> Result<OpResult, String> {
    let meta = meta_now(found.folder(), &found.name).map_err(|e| e.to_string())?;
    let after = meta.map(|meta| Image { meta, content: image.content.clone() });
    Ok(OpResult::Done { after, dirs: Vec::new() })
}

/// A temporary name that came and went has altered its folder's times: where nothing else did, they are given back.
fn give_times_back(resolver: &Resolver, pending: &[OpRecord], results: &[(OpId, OpResult)], ours: &HashSet<Spot>) {
    let mut given: HashSet<&Spot> = HashSet::new();
    let altered: HashSet<&Spot> = pending
        .iter()
        .zip(results)
        .filter(|(_, (_, result))| matches!(result, OpResult::Done { .. }))
        .flat_map(|(record, _)| &record.intent.dirs)
        .map(|dir| &dir.at)
        .collect();
    for dir in pending.iter().flat_map(|record| &record.intent.dirs) {
        if ours.contains(&dir.at) && !altered.contains(&dir.at) && given.insert(&dir.at) {
            let _ = resolver.find_spot(&dir.at).map(|(_, found)| {
                mutate::hold(found.folder(), &found.name)
                    .and_then(|fd| mutate::set_times_of(fd.as_fd(), dir.mtime, dir.atime))
            });
        }
    }
}

/// Whether a temporary name is the last that came into its folder, so that the folder's time is ours to give back.
fn came_last(resolver: &Resolver, temp: &Spot, intent: &Intent) -> bool {
    let Ok((_, found)) = resolver.find_spot(temp) else { return false };
    let (Some(stat), Ok(folder)) = (&found.stat, state::stat_fd(found.folder())) else { return false };
    // A file that was taken to its temporary name is older than that.
    let came = match &intent.change {
        Change::Remove { .. } => stat.ctime,
        _ => stat.identity.born,
    };
    let limit = Timestamp { secs: came.secs + AT_ONCE_SECS, ..came };
    folder.mtime <= limit
}

fn dir_times(resolver: &Resolver, at: &Spot) -> Option<DirTimes> {
    let (_, found) = resolver.find_spot(at).ok()?;
    let stat = found.stat?;
    Some(DirTimes { at: at.clone(), mtime: stat.mtime, atime: stat.atime })
}

/// What stands under the temporary name; `None` where nothing does.
fn temp_of(resolver: &Resolver, intent: &Intent) -> Result<Option<Found>, String> {
    let Some(temp) = &intent.temp else { return Ok(None) };
    Ok(find(resolver, temp)?.filter(|found| found.stat.is_some()))
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
