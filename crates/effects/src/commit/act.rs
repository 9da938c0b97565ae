//! The single deeds of a commit: one call each that the file system makes atomic, checked afterwards; how far each has
//! come; and how each is taken back.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use raincoat_os::{Found, Stat, beneath, mutate, state};
use raincoat_types::{Change, Failure, FailureKind, FileKind, Image, Meta, RelPath, Spot, Xattr, display_bytes};

use super::carry::Carrying;
use super::dirs::Side;
use super::point::{Deed, Lies};
use super::prepare::Op;
use super::stage::held_name;
use crate::act::{Unmade, from_store, materialise, put_back, write_in_place};
use crate::ahead::Ahead;
use crate::capture::{meta_now, same_content};
use crate::engine::{Payload, Step};
use crate::failure::{at_path, broken};
use crate::half::is_half_written;

/// Why a commit goes no further.
pub(super) enum Stop {
    /// Somebody changed this in between.
    Conflict(Spot, String),
    /// The system said no.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

/// How far a deed has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Nothing of it.
    Before,
    /// All of it.
    After,
    /// Somebody has changed what it is about.
    Theirs,
}

/// A folder and a name in it.
pub(super) struct At {
    pub(super) fd: Arc<OwnedFd>,
    pub(super) name: Vec<u8>,
}

impl At {
    fn folder(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn stat(&self) -> io::Result<Option<Stat>> {
        state::stat_at(self.folder(), &self.name)
    }
}

/// What an operation is about.
pub(super) struct Sides<'a> {
    pub(super) at: &'a Spot,
    pub(super) before: Option<&'a Image>,
    pub(super) after: Option<&'a Image>,
}

impl Op {
    pub(super) fn sides(&self) -> Option<Sides<'_>> {
        Some(match &self.change {
            Change::Create { at, after } => Sides { at, before: None, after: Some(after) },
            Change::Replace { at, before, after, .. } => Sides { at, before: Some(before), after: Some(after) },
            Change::Remove { at, before } => Sides { at, before: Some(before), after: None },
            Change::SetMeta { at, .. } => Sides { at, before: None, after: None },
            Change::Move { .. } | Change::Link { .. } => return None,
        })
    }
}

/// Whether what was taken out is what was sealed, as far as its times tell. A move changes the change time.
fn is_sealed(stat: &Stat, meta: &Meta) -> bool {
    let same = stat.identity == meta.identity
        && stat.kind == meta.kind
        && stat.mode == meta.mode
        && (stat.uid, stat.gid) == (meta.uid, meta.gid);
    same && (stat.kind == FileKind::Dir || (stat.size == meta.size && stat.mtime == meta.mtime))
}

fn brought(stat: Option<&Stat>, after: &Image) -> bool {
    stat.is_some_and(|stat| {
        stat.identity == after.meta.identity
            && (stat.kind == FileKind::Dir || (stat.size == after.meta.size && stat.mtime == after.meta.mtime))
    })
}

impl Carrying<'_> {
    /// Does the deed of an operation. Where it stops, nothing of it is done.
    pub(super) fn act(&mut self, i: usize) -> Result<(), Stop> {
        let Some((op, at)) = self.op_at(i) else { return Ok(()) };
        let fail = |e| Stop::Failed(at_path(e, &at.path));
        match op.deed {
            Deed::Bring(lies) => {
                let (from, to) = (self.lying(op.n, &at.path, lies)?, self.standing(op.n, &at.path)?);
                self.make_ready(i, &from).map_err(fail)?;
                mutate::rename_new(from.folder(), &from.name, to.folder(), &to.name).map_err(|e| no_way(e, &at))?;
                let Some(after) = self.image_after(i) else { return Ok(()) };
                if brought(to.stat().map_err(fail)?.as_ref(), after) {
                    return Ok(());
                }
                mutate::rename_new(to.folder(), &to.name, from.folder(), &from.name).map_err(|e| stuck(e, &at))?;
                Err(conflict(&at, "is not in the draft as it was reviewed"))
            }
            Deed::Swap(lies) => {
                let (from, to) = (self.lying(op.n, &at.path, lies)?, self.standing(op.n, &at.path)?);
                self.make_ready(i, &from).map_err(fail)?;
                mutate::exchange_between(from.folder(), &from.name, to.folder(), &to.name)
                    .map_err(|e| no_way(e, &at))?;
                let checked = match (self.image_before(i), self.image_after(i)) {
                    (Some(before), Some(after)) => {
                        brought(to.stat().map_err(fail)?.as_ref(), after)
                            && self.is_out(&from, before, op.racy).map_err(fail)?
                    }
                    _ => true,
                };
                if checked {
                    return Ok(());
                }
                mutate::exchange_between(from.folder(), &from.name, to.folder(), &to.name)
                    .map_err(|e| stuck(e, &at))?;
                Err(conflict(&at, "has been changed by somebody else just now, or is open to be"))
            }
            Deed::Take(number) => {
                let (from, to) = (self.standing(op.n, &at.path)?, self.held(op.n, number)?);
                mutate::rename_new(from.folder(), &from.name, to.folder(), &to.name).map_err(|e| no_way(e, &at))?;
                let Some(before) = self.image_before(i) else { return Ok(()) };
                if self.is_out(&to, before, op.racy).map_err(fail)? {
                    return Ok(());
                }
                self.put_under(&to, &from, i).map_err(|e| stuck(e, &at))?;
                Err(conflict(&at, "has been changed by somebody else just now, or is open to be"))
            }
            Deed::Write => self.write(i),
            Deed::Open | Deed::Meta => self.give_meta(i),
        }
    }

    /// The draft's file loses what the layering put on it, or gets the metadata that it is to have.
    fn make_ready(&mut self, i: usize, from: &At) -> io::Result<()> {
        let Some(op) = self.ops.get(i) else { return Ok(()) };
        if op.set
            && let Some(after) = op.sides().and_then(|sides| sides.after)
        {
            // A folder gets its metadata when all is in it.
            if after.meta.kind == FileKind::Dir {
                return Ok(());
            }
            let held = mutate::hold(from.folder(), &from.name)?;
            if state::stat_fd(held.as_fd())?.identity == after.meta.identity {
                mutate::set_meta_of(held.as_fd(), &after.meta)?;
            }
        } else if !op.strip.is_empty() {
            let held = mutate::hold(from.folder(), &from.name)?;
            let after = op.sides().and_then(|sides| sides.after).map(|after| &after.meta);
            // One that its owner may not write is opened up for it, and gets its mode back.
            let closed = |meta: &&Meta| meta.kind == FileKind::File && meta.mode & 0o200 == 0;
            if let Some(meta) = after.filter(closed)
                && state::stat_fd(held.as_fd())?.identity == meta.identity
            {
                return mutate::set_meta_of(held.as_fd(), meta);
            }
            mutate::remove_xattrs(held.as_fd(), op.strip.iter().map(|xattr| xattr.name.as_slice()))?;
        }
        Ok(())
    }

    /// Whether what came out is what was sealed, and stays it: nobody who found it before can still write to it.
    fn is_out(&self, out: &At, before: &Image, racy: bool) -> io::Result<bool> {
        let Some(stat) = out.stat()? else { return Ok(false) };
        if !is_sealed(&stat, &before.meta) {
            return Ok(false);
        }
        match stat.kind {
            FileKind::Dir => {
                let dir = beneath::open_dir_for_reading(out.folder(), &out.name)?;
                Ok(beneath::names_in(dir.as_fd())?.is_empty())
            }
            FileKind::File => {
                if before.meta.nlink == 1 {
                    let fd = beneath::open_file_for_reading(out.folder(), &out.name, &stat)?;
                    if mutate::nobody_writes(fd.as_fd()).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock) {
                        return Ok(false);
                    }
                }
                Ok(!racy || same_content(out.folder(), &out.name, &stat, before)?)
            }
            _ => same_content(out.folder(), &out.name, &stat, before),
        }
    }

    fn write(&mut self, i: usize) -> Result<(), Stop> {
        let Some((op, at)) = self.op_at(i) else { return Ok(()) };
        let Some(Change::Replace { before, after, .. }) = self.ops.get(i).map(|op| op.change.clone()) else {
            return Ok(());
        };
        let meant = Change::Create { at: at.clone(), after: after.clone() };
        let step = self.step(op.n, &at, meant, Payload::Stored)?;
        write_in_place(self.recorder(), &step, &before, &after).map_err(|unmade| match unmade {
            Unmade::Clean(failure) if failure.kind == FailureKind::Changed => Stop::Conflict(at, failure.message),
            Unmade::Clean(failure) => Stop::Failed(failure),
            Unmade::Unsure(failure) => Stop::Failed(broken(&failure.message)),
        })
    }

    /// Gives a file or folder its metadata, if it is the very one.
    fn give_meta(&mut self, i: usize) -> Result<(), Stop> {
        let Some((op, at)) = self.op_at(i) else { return Ok(()) };
        let Some(Change::SetMeta { before, after, .. }) = self.ops.get(i).map(|op| op.change.clone()) else {
            return Ok(());
        };
        let fail = |e| Stop::Failed(at_path(e, &at.path));
        let to = self.standing(op.n, &at.path)?;
        let held = mutate::hold(to.folder(), &to.name).map_err(|e| no_way(e, &at))?;
        let now = state::stat_fd(held.as_fd()).map_err(fail)?;
        let theirs = || conflict(&at, "has been changed by somebody else just now");
        if now.identity != before.identity {
            return Err(theirs());
        }
        if before.kind != FileKind::Dir {
            // Interrupted, some of it may be set.
            let partly = self.resumed && now.size == before.size && [before.mtime, after.mtime].contains(&now.mtime);
            if !partly && !is_sealed(&now, &before) {
                return Err(theirs());
            }
        }
        // What the layering would set anew is not ours to judge: only what differs is set.
        mutate::set_meta_of(held.as_fd(), &after).map_err(fail)
    }

    /// How far a deed has come, after an interruption.
    pub(super) fn state(&mut self, i: usize) -> Result<State, Stop> {
        let Some((op, at)) = self.op_at(i) else { return Ok(State::After) };
        let fail = |e| Stop::Failed(at_path(e, &at.path));
        let to = match self.standing(op.n, &at.path) {
            Ok(to) => to,
            // Its folder went after it, or something else stands there now.
            Err(failure) => {
                use FailureKind::{Changed, NotFound, WrongKind};
                let Deed::Take(number) = op.deed else { return Err(failure.into()) };
                return match failure.kind {
                    NotFound | WrongKind => Ok(State::After),
                    Changed if self.held(op.n, number)?.stat().map_err(fail)?.is_some() => Ok(State::After),
                    Changed => Ok(State::Theirs),
                    _ => Err(failure.into()),
                };
            }
        };
        let now = to.stat().map_err(fail)?;
        let is = |image: Option<&Image>| {
            now.as_ref().is_some_and(|now| image.is_some_and(|image| now.identity == image.meta.identity))
        };
        let untouched =
            |image: Option<&Image>| now.as_ref().is_some_and(|now| image.is_some_and(|i| is_sealed(now, &i.meta)));
        let (before, after) = (self.image_before(i), self.image_after(i));
        let known = match op.deed {
            Deed::Bring(_) | Deed::Swap(_) if is(after) => Some(State::After),
            Deed::Swap(_) if is(before) => Some(if untouched(before) { State::Before } else { State::Theirs }),
            Deed::Take(_) if is(before) => Some(if untouched(before) { State::Before } else { State::Theirs }),
            Deed::Take(_) => Some(State::After),
            Deed::Open | Deed::Meta => Some(State::Before),
            Deed::Write => match (before, after) {
                (Some(before), Some(after)) => return self.state_of_write(&to, now.as_ref(), before, after, &at),
                _ => Some(State::After),
            },
            Deed::Bring(_) | Deed::Swap(_) => None,
        };
        if let Some(known) = known {
            return Ok(known);
        }
        // Neither the old file nor the new one stands there: what lies in the draft tells whether the new one came.
        let (Deed::Bring(lies) | Deed::Swap(lies)) = op.deed else { return Ok(State::Theirs) };
        let waits = match self.lying(op.n, &at.path, lies) {
            Ok(from) => {
                let stat = from.stat().map_err(fail)?;
                let after = self.image_after(i);
                stat.is_some_and(|stat| after.is_some_and(|after| after.meta.identity == stat.identity))
            }
            Err(failure) if failure.kind == FailureKind::NotFound => false,
            Err(failure) => return Err(failure.into()),
        };
        Ok(match (op.deed, now, waits) {
            (Deed::Bring(_), None, true) => State::Before,
            (_, _, true) => State::Theirs,
            (_, _, false) => State::After,
        })
    }

    fn state_of_write(
        &self,
        to: &At,
        now: Option<&Stat>,
        before: &Image,
        after: &Image,
        at: &Spot,
    ) -> Result<State, Stop> {
        let fail = |e| Stop::Failed(at_path(e, &at.path));
        let Some(now) = now.filter(|now| now.identity == before.meta.identity) else { return Ok(State::Theirs) };
        let same = |image| same_content(to.folder(), &to.name, now, image).map_err(fail);
        let meta = meta_now(to.folder(), &to.name).map_err(fail)?;
        if same(after)? && meta.as_ref().is_some_and(|meta| meta.same_as(&after.meta)) {
            return Ok(State::After);
        }
        if same(before)? && meta.as_ref().is_some_and(|meta| meta.same_as(&before.meta)) {
            return Ok(State::Before);
        }
        let fd = mutate::open_file_for_writing(to.folder(), &to.name, &now.identity).map_err(fail)?;
        let half = is_half_written(self.recorder(), fd.as_fd(), before, after).map_err(|w| Stop::Failed(broken(&w)))?;
        if !half {
            return Ok(State::Theirs);
        }
        // A mixture is made whole again first; then it is as before.
        put_back(self.recorder(), fd.as_fd(), before).map_err(|e| Stop::Failed(e.at_path(&at.path)))?;
        mutate::set_meta_of(fd.as_fd(), &before.meta).map_err(fail)?;
        Ok(State::Before)
    }

    /// Takes a deed back, as far as it has come. What somebody has changed since is left alone, and said.
    pub(super) fn take_back(&mut self, i: usize) -> Result<(), Failure> {
        let Some((op, at)) = self.op_at(i) else { return Ok(()) };
        let fail = |e| at_path(e, &at.path);
        let to = match self.standing(op.n, &at.path) {
            Ok(to) => to,
            Err(failure) if matches!(failure.kind, FailureKind::NotFound | FailureKind::WrongKind) => return Ok(()),
            Err(failure) if failure.kind == FailureKind::Changed => {
                self.words.push(failure.message);
                return Ok(());
            }
            Err(failure) => return Err(failure),
        };
        let now = to.stat().map_err(fail)?;
        match op.deed {
            Deed::Bring(lies) | Deed::Swap(lies) => {
                let Some(after) = self.image_after(i) else { return Ok(()) };
                if now.as_ref().is_none_or(|now| now.identity != after.meta.identity) {
                    return Ok(());
                }
                let empty = after.meta.kind != FileKind::Dir || is_empty(&to).map_err(fail)?;
                if !brought(now.as_ref(), after) || !empty {
                    self.words.push(format!("`{}` has been changed since and was left as it is", at.path.display()));
                    return Ok(());
                }
                let from = match self.lying(op.n, &at.path, lies) {
                    Ok(from) => Some(from),
                    Err(failure) if failure.kind == FailureKind::Broken => return Err(failure),
                    Err(_) => None,
                };
                self.bring_back(i, from, &to).map_err(fail)
            }
            Deed::Take(number) => {
                let held = self.held(op.n, number)?;
                if held.stat().map_err(fail)?.is_some() {
                    let words = self.put_under(&held, &to, i).map_err(fail)?;
                    self.words.extend(words);
                } else if now.is_none() {
                    self.out_of_store(i, &to)?;
                }
                Ok(())
            }
            Deed::Write => self.write_back(i, &to, now.as_ref()),
            Deed::Open | Deed::Meta => {
                let Some(Change::SetMeta { before, .. }) = self.ops.get(i).map(|op| op.change.clone()) else {
                    return Ok(());
                };
                if now.is_some_and(|now| now.identity == before.identity) {
                    mutate::set_meta(to.folder(), &to.name, &before).map_err(fail)?;
                }
                Ok(())
            }
        }
    }

    fn bring_back(&mut self, i: usize, from: Option<At>, to: &At) -> io::Result<()> {
        let Some(op) = self.ops.get(i) else { return Ok(()) };
        let old = match &from {
            Some(from) => from.stat()?,
            None => None,
        };
        match (op.deed, &from, old) {
            (Deed::Swap(_), Some(from), Some(_)) => {
                mutate::exchange_between(from.folder(), &from.name, to.folder(), &to.name)?;
            }
            (Deed::Bring(_), Some(from), None) => {
                mutate::rename_new(to.folder(), &to.name, from.folder(), &from.name)?;
            }
            (Deed::Swap(_), _, None) => return self.out_of_store(i, to).map_err(|f| io::Error::other(f.message)),
            // The draft is gone, or something else lies in its place: what came from it goes.
            (_, _, _) => {
                let is_dir = op.sides().and_then(|s| s.after).is_some_and(|after| after.meta.kind == FileKind::Dir);
                return if is_dir {
                    mutate::remove_dir(to.folder(), &to.name)
                } else {
                    mutate::unlink(to.folder(), &to.name)
                };
            }
        }
        // The layering gets its own back.
        let Some(op) = self.ops.get(i).filter(|op| !op.strip.is_empty()) else { return Ok(()) };
        if let (Some(from), Some(after)) = (from, op.sides().and_then(|sides| sides.after)) {
            let mut xattrs: Vec<Xattr> = after.meta.xattrs.iter().chain(&op.strip).cloned().collect();
            xattrs.sort();
            mutate::set_meta(from.folder(), &from.name, &Meta { xattrs, ..after.meta.clone() })?;
        }
        Ok(())
    }

    /// Puts a file back under its name. Where that is taken by now, it gets a name beside it, and that is said.
    fn put_under(&mut self, from: &At, to: &At, i: usize) -> io::Result<Option<String>> {
        match mutate::rename_new(from.folder(), &from.name, to.folder(), &to.name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let mut kept = to.name.clone();
                kept.truncate(200);
                kept.extend_from_slice(format!(".kept-{}", i + 1).as_bytes());
                mutate::rename_new(from.folder(), &from.name, to.folder(), &kept)?;
                Ok(Some(format!("what stood there before the commit is kept as `{}`", display_bytes(&kept))))
            }
            other => other.map(|()| None),
        }
    }

    fn write_back(&mut self, i: usize, to: &At, now: Option<&Stat>) -> Result<(), Failure> {
        let Some(Change::Replace { at, before, after, .. }) = self.ops.get(i).map(|op| op.change.clone()) else {
            return Ok(());
        };
        let fail = |e| at_path(e, &at.path);
        let Some(now) = now.filter(|now| now.identity == before.meta.identity) else { return Ok(()) };
        if is_sealed(now, &before.meta) && same_content(to.folder(), &to.name, now, &before).map_err(fail)? {
            return Ok(());
        }
        let fd = mutate::open_file_for_writing(to.folder(), &to.name, &now.identity).map_err(fail)?;
        if !is_half_written(self.recorder(), fd.as_fd(), &before, &after).map_err(|w| broken(&w))? {
            self.words.push(format!("`{}` has been changed since and was left as it is", at.path.display()));
            return Ok(());
        }
        put_back(self.recorder(), fd.as_fd(), &before).map_err(|e| e.at_path(&at.path))?;
        mutate::set_meta_of(fd.as_fd(), &before.meta).map_err(fail)
    }

    /// Puts what was sealed back under its name, out of the store: the draft that held it is gone.
    fn out_of_store(&mut self, i: usize, to: &At) -> Result<(), Failure> {
        let Some((op, at)) = self.op_at(i) else { return Ok(()) };
        let Some(before) = self.image_before(i).cloned() else { return Ok(()) };
        let swap = matches!(op.deed, Deed::Swap(_));
        let change = Change::Create { at: at.clone(), after: before };
        let mut step = self.step(op.n, &at, change, Payload::Stored)?;
        let temp = format!(".raincoat-{}-{}.tmp", self.run(), i + 1).into_bytes();
        let fail = |e| at_path(e, &at.path);
        let _ = mutate::unlink(to.folder(), &temp);
        let mut stored = Ahead::new(from_store(&step).into_iter().map(|content| (0, content)));
        materialise(self.recorder(), &mut step, Some(&temp), (0, &mut stored))?;
        if swap {
            mutate::exchange(to.folder(), &temp, &to.name).map_err(fail)?;
            return mutate::unlink(to.folder(), &temp).map_err(fail);
        }
        mutate::rename_new(to.folder(), &temp, to.folder(), &to.name).map_err(fail)?;
        // A folder made anew is another one than was looked at.
        if let Some(stat) = to.stat().map_err(fail)?.filter(|stat| stat.kind == FileKind::Dir) {
            self.now_is(op.n, &at.path, stat.identity);
        }
        Ok(())
    }

    /// A step of the ordinary sort, for what both know how to do.
    fn step(&mut self, n: usize, at: &Spot, change: Change, payload: Payload) -> Result<Step, Failure> {
        let to = self.standing(n, &at.path)?;
        let fail = |e| at_path(e, &at.path);
        let parent = to.folder().try_clone_to_owned().map_err(fail)?;
        let stat = to.stat().map_err(fail)?;
        let found = Found { parent, name: to.name, path: at.path.clone(), stat, way: Vec::new() };
        Ok(Step::new(change, (n, found), payload))
    }

    fn op_at(&self, i: usize) -> Option<(OpFacts, Spot)> {
        let op = self.ops.get(i)?;
        Some((OpFacts { n: op.n, deed: op.deed, racy: op.racy }, op.sides()?.at.clone()))
    }

    fn image_before(&self, i: usize) -> Option<&Image> {
        self.ops.get(i)?.sides()?.before
    }

    fn image_after(&self, i: usize) -> Option<&Image> {
        self.ops.get(i)?.sides()?.after
    }

    /// Where a name stands in the person's folder.
    pub(super) fn standing(&mut self, n: usize, path: &RelPath) -> Result<At, Failure> {
        let (parent, name) = match path.split_last() {
            Some((parent, name)) => (parent, name.to_vec()),
            None => (RelPath::ROOT, Vec::new()),
        };
        let identity = self.identity_of(n, &parent);
        let root = &self.engine.resolver.folder(n)?.root;
        Ok(At { fd: self.doors.open(root, Side::Folder, n, &parent, identity.as_ref())?, name })
    }

    /// Where it lies in the draft.
    pub(super) fn lying(&mut self, n: usize, path: &RelPath, lies: Lies) -> Result<At, Failure> {
        let source = self.begin.sources.get(n).and_then(Option::as_ref);
        let gone = || Failure::new(FailureKind::NotFound, "the draft is gone");
        match lies {
            Lies::Held(number) => self.held(n, number),
            Lies::Staged(number) => {
                let fd = source.ok_or_else(gone)?.stage.as_fd().try_clone_to_owned().map_err(|e| at_path(e, path))?;
                Ok(At { fd: Arc::new(fd), name: number.to_string().into_bytes() })
            }
            Lies::Upper => {
                let Some((parent, name)) = path.split_last() else { return Err(gone()) };
                let fd = self.doors.open(&source.ok_or_else(gone)?.upper, Side::Upper, n, &parent, None)?;
                Ok(At { fd, name: name.to_vec() })
            }
        }
    }

    /// Where this commit holds something of its own.
    pub(super) fn held(&self, n: usize, number: u64) -> Result<At, Failure> {
        let fd = self.holds.get(&n).ok_or_else(|| Failure::new(FailureKind::NotFound, "the draft is gone"))?;
        Ok(At { fd: Arc::clone(fd), name: held_name(self.run(), number) })
    }
}

/// The small facts of an operation.
#[derive(Clone, Copy)]
pub(super) struct OpFacts {
    n: usize,
    deed: Deed,
    racy: bool,
}

fn is_empty(at: &At) -> io::Result<bool> {
    let dir = beneath::open_dir_for_reading(at.folder(), &at.name)?;
    Ok(beneath::names_in(dir.as_fd())?.is_empty())
}

fn conflict(at: &Spot, words: &str) -> Stop {
    Stop::Conflict(at.clone(), format!("`{}` {words}", at.path.display()))
}

/// The one call could not be made: because somebody was there first, or because the system says no.
fn no_way(error: io::Error, at: &Spot) -> Stop {
    match error.kind() {
        io::ErrorKind::NotFound => conflict(at, "is not there any more"),
        io::ErrorKind::AlreadyExists => conflict(at, "has been made by somebody else just now"),
        _ => Stop::Failed(at_path(error, &at.path)),
    }
}

/// What was just done cannot be undone: the next start has to look.
fn stuck(error: io::Error, at: &Spot) -> Stop {
    Stop::Failed(broken(&format!("`{}` could not be put back ({error})", at.path.display())))
}
