//! Taking one recorded operation back. It is a change like any other, with an intent and a before-image of its own, so
//! it can be taken back in turn. What somebody did since is never overwritten unless they say so.

use std::os::fd::AsFd;

use raincoat_draft::text;
use raincoat_os::{Found, beneath, state};
use raincoat_types::{
    Change, Content, Failure, FailureKind, FileKind, Identity, Image, Meta, OnDrift, OpId, OpRecord, OpResult, RelPath,
    Spot,
};

use crate::capture::{Keep, capture, meta_now, same_content};
use crate::engine::{Engine, Payload, Step};
use crate::expand::find_again;
use crate::failure::{at_path, broken};

/// Queues the inverse of an operation. `places`: where the operation's own places are by now; empty where they are as
/// recorded.
pub(crate) fn revert(
    engine: &mut Engine,
    ticket: usize,
    op: OpId,
    drift: OnDrift,
    places: &[Spot],
) -> Result<(), Failure> {
    let Some(record) = engine.record(op)? else {
        return Err(Failure::new(FailureKind::NotFound, format!("there is no operation {op} in the journal")));
    };
    let Some(OpResult::Done { after, .. }) = record.result.clone() else {
        return Ok(());
    };
    let here = |n: usize, recorded: Spot| places.get(n).cloned().unwrap_or(recorded);
    let reverting = Reverting { engine, ticket, op, drift };
    match record.intent.change.clone() {
        Change::Create { at, .. } | Change::Link { at, .. } => reverting.remove(&here(0, at), after.as_ref()),
        Change::Replace { at, before, in_place, .. } => {
            reverting.replace(&here(0, at), before, after.as_ref(), in_place)
        }
        Change::Remove { at, before } => reverting.bring_back(&here(0, at), before, &record),
        Change::Move { from, to, .. } => reverting.move_back(&here(0, from), &here(1, to), after.as_ref()),
        Change::SetMeta { at, before, after: meant } => {
            reverting.set_meta(&here(0, at), before, &meant, after.as_ref())
        }
    }
}

struct Reverting<'a> {
    engine: &'a mut Engine,
    ticket: usize,
    op: OpId,
    drift: OnDrift,
}

impl Reverting<'_> {
    fn overwrite(&self) -> bool {
        self.drift == OnDrift::Overwrite
    }

    fn find(&mut self, spot: &Spot) -> Result<(usize, Found), Failure> {
        let n = self.engine.resolver.index_of(spot.grant).ok_or_else(|| {
            let words = format!("`{}` is in a folder that is not part of this undo", spot.path.display());
            Failure::new(FailureKind::Outside, words)
        })?;
        find_again(self.engine, n, &spot.path)
    }

    fn push(
        self,
        change: Change,
        at: (usize, Found),
        other: Option<(usize, Found)>,
        payload: Payload,
    ) -> Result<(), Failure> {
        let step = Step { change, at, other, payload, undoes: Some(self.op), made: None, file: None };
        self.engine.push(self.ticket, step)
    }

    fn remove(mut self, spot: &Spot, expected: Option<&Image>) -> Result<(), Failure> {
        let at = self.find(spot)?;
        if at.1.stat.is_none() {
            return Err(drift(&at.1, "is not there any more"));
        }
        self.expect(&at.1, expected)?;
        let before = capture(&self.engine.recorder, &at.1, Keep::Bytes)?.image;
        self.push(Change::Remove { at: spot.clone(), before }, at, None, Payload::None)
    }

    fn replace(
        mut self,
        spot: &Spot,
        then: Image,
        expected: Option<&Image>,
        was_in_place: bool,
    ) -> Result<(), Failure> {
        let at = self.find(spot)?;
        if at.1.stat.is_none() {
            if !self.overwrite() {
                return Err(drift(&at.1, "is not there any more"));
            }
            return self.create(spot, at, then);
        }
        if let Err(conflict) = self.expect(&at.1, expected) {
            return self.settle_conflict(spot, &at, then, expected, conflict);
        }
        was_kept(&at.1, &then)?;
        let before = capture(&self.engine.recorder, &at.1, Keep::Bytes)?.image;
        let payload = stored(&then);
        // What was written in place is written back in place: it is one file, whatever names it has lost since. A file
        // of somebody else's that was put under this name, and has names elsewhere, is never written into.
        let in_place = (was_in_place || before.meta.nlink > 1)
            && (before.meta.kind, then.meta.kind) == (FileKind::File, FileKind::File)
            && self.is_known(at.0, &before.meta, expected)?;
        self.push(Change::Replace { at: spot.clone(), before, after: then, in_place }, at, None, payload)
    }

    /// Whether this inode is the one that the operation left, or has no name outside of the folder.
    fn is_known(&mut self, n: usize, now: &Meta, expected: Option<&Image>) -> Result<bool, Failure> {
        Ok(expected.is_some_and(|image| image.meta.identity == now.identity) || is_all_within(self.engine, n, now)?)
    }

    /// The file is not as the operation left it, and the person said what becomes of that.
    fn settle_conflict(
        self,
        spot: &Spot,
        at: &(usize, Found),
        then: Image,
        expected: Option<&Image>,
        conflict: Failure,
    ) -> Result<(), Failure> {
        match self.drift {
            OnDrift::Overwrite => Err(conflict),
            OnDrift::KeepBoth => self.beside(spot, then),
            OnDrift::Merge | OnDrift::Leave => {
                let merged = expected.and_then(|left| self.merged(&at.1, left, &then));
                match (self.drift, merged) {
                    (OnDrift::Merge, Some(Ok(bytes))) => self.write_merged(spot, at, then, bytes),
                    (_, Some(Ok(_))) => Err(with(conflict, "; a merge would be clean (--conflict merge)")),
                    (_, Some(Err(places))) => {
                        let words = if places == 1 { "one place".to_owned() } else { format!("{places} places") };
                        Err(with(conflict, &format!("; a merge is not possible: both changed {words}")))
                    }
                    (_, None) => Err(conflict),
                }
            }
        }
    }

    /// What stands there, with the operation's change taken out of it; or how many places both changed. `None` where it
    /// is no text, or its content is not in the store.
    fn merged(&self, found: &Found, left: &Image, then: &Image) -> Option<Result<Vec<u8>, usize>> {
        let stat = found.stat.as_ref().filter(|stat| stat.kind == FileKind::File)?;
        if stat.size > text::TEXT_BYTES as u64 {
            return None;
        }
        let (left, then) = (self.text_of(left)?, self.text_of(then)?);
        let fd = beneath::open_file_for_reading(found.folder(), &found.name, stat).ok()?;
        let mut now = vec![0; usize::try_from(stat.size).ok()?];
        let got = state::read_at(fd.as_fd(), &mut now, 0).ok()?;
        now.truncate(got);
        let merged = text::merge(&left, &now, &then)?;
        Some(if merged.conflicts == 0 { Ok(merged.bytes) } else { Err(merged.conflicts) })
    }

    fn text_of(&self, image: &Image) -> Option<Vec<u8>> {
        let Content::File(content) = &image.content else { return None };
        if image.meta.size > text::TEXT_BYTES as u64 {
            return None;
        }
        let content = self.engine.recorder.known_content(content).ok()??;
        let mut bytes = vec![0; usize::try_from(image.meta.size).ok()?];
        for chunk in &content.chunks {
            let piece = self.engine.recorder.read_chunk(chunk.id).ok()?;
            let start = usize::try_from(chunk.offset).ok()?;
            bytes.get_mut(start..start.checked_add(piece.len())?)?.copy_from_slice(&piece);
        }
        Some(bytes)
    }

    fn write_merged(self, spot: &Spot, at: &(usize, Found), then: Image, bytes: Vec<u8>) -> Result<(), Failure> {
        let now = self.engine.now();
        let at = find_again(self.engine, at.0, &spot.path)?;
        let before = capture(&self.engine.recorder, &at.1, Keep::Bytes)?.image;
        // The newer file keeps what is its own: owner, mode and attributes.
        let meta = Meta { size: bytes.len() as u64, mtime: now, ..before.meta.clone() };
        let content = crate::expand::store_bytes(self.engine, &bytes)?;
        let in_place = before.meta.nlink > 1
            && then.meta.kind == FileKind::File
            && is_all_within(self.engine, at.0, &before.meta)?;
        let after = Image { meta, content: Content::File(content) };
        self.push(Change::Replace { at: spot.clone(), before, after, in_place }, at, None, Payload::Bytes(bytes))
    }

    /// What was there before, under a free name beside what is there now.
    fn beside(mut self, spot: &Spot, then: Image) -> Result<(), Failure> {
        let gone =
            || Failure::new(FailureKind::Exists, format!("there is no free name beside `{}`", spot.path.display()));
        if then.content == Content::Dir {
            let words = format!("`{}` is a folder, and a folder is not put beside another", spot.path.display());
            return Err(Failure::new(FailureKind::WrongKind, words));
        }
        let (parent, name) = spot.path.split_last().ok_or_else(gone)?;
        let (stem, extension) = match name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0) {
            Some(at) => name.split_at(at),
            None => (name, [].as_slice()),
        };
        let run = self.op.run.to_string();
        let tail = run.get(run.len().saturating_sub(6)..).unwrap_or_default();
        for again in 0..100_u32 {
            let more = if again == 0 { String::new() } else { format!("-{again}") };
            let mark = format!(".before-{tail}{more}");
            let path = parent.join(&[stem, mark.as_bytes(), extension].concat()).map_err(|_| gone())?;
            let beside = Spot { grant: spot.grant, path };
            let at = self.find(&beside)?;
            if at.1.stat.is_none() {
                return self.create(&beside, at, then);
            }
        }
        Err(gone())
    }

    fn bring_back(mut self, spot: &Spot, then: Image, record: &OpRecord) -> Result<(), Failure> {
        let at = self.find(spot)?;
        if at.1.stat.is_some() {
            return match self.drift {
                OnDrift::KeepBoth => self.beside(spot, then),
                _ => Err(drift(&at.1, "was taken by something new; move it away first")),
            };
        }
        if matches!(then.meta.kind, FileKind::File | FileKind::Symlink)
            && let Some(existing) = self.sibling(&then, record)?
        {
            let from = crate::expand::spot(self.engine, &existing)?;
            let change = Change::Link { existing: from, at: spot.clone(), image: then };
            return self.push(change, at, Some(existing), Payload::None);
        }
        self.create(spot, at, then)
    }

    fn create(self, spot: &Spot, at: (usize, Found), then: Image) -> Result<(), Failure> {
        was_kept(&at.1, &then)?;
        let payload = stored(&then);
        self.push(Change::Create { at: spot.clone(), after: then }, at, None, payload)
    }

    /// Another name of the inode that is to get its name back: one that was never taken away, or one that undo gave
    /// back before, with an inode made anew.
    fn sibling(&mut self, then: &Image, record: &OpRecord) -> Result<Option<(usize, Found)>, Failure> {
        let identity = then.meta.identity;
        let own = record.intent.op;
        let recorder = self.engine.recorder.clone();
        let ended = self.engine.links.ended(&recorder, own.run, &identity)?;
        if ended.is_empty() {
            return Ok(None);
        }
        // What waits may be about its other names.
        let waits = ended.iter().any(|(_, spot)| {
            self.engine.resolver.index_of(spot.grant).is_some_and(|n| self.engine.is_touched(n, &spot.path))
        });
        if waits {
            self.engine.flush();
        }
        if let Some(found) = named(self.engine, &identity, then)? {
            return Ok(Some(found));
        }
        for (op, spot) in ended.into_iter().filter(|(op, _)| *op != own) {
            let Some(reborn) = recorder.reborn_as(op).map_err(|e| broken(&e))? else { continue };
            if let Some(n) = self.engine.resolver.index_of(spot.grant)
                && let Some(found) = holds(self.engine, n, &spot.path, &reborn, then)?
            {
                return Ok(Some(found));
            }
            // Made anew there, and moved on since.
            self.engine.links.want(&reborn);
            if let Some(found) = named(self.engine, &reborn, then)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn move_back(mut self, from: &Spot, to: &Spot, expected: Option<&Image>) -> Result<(), Failure> {
        let now = self.find(to)?;
        let Some(stat) = now.1.stat.clone() else { return Err(drift(&now.1, "is not there any more")) };
        let home = self.find(from)?;
        if home.1.stat.is_some() {
            return Err(drift(&home.1, "was taken by something new; move it away first"));
        }
        // Edits made since go back with the file. Another file under its name is somebody else's.
        if let Some(expected) = expected
            && !self.overwrite()
            && stat.identity != expected.meta.identity
            && !same_content(now.1.folder(), &now.1.name, &stat, expected).map_err(|e| at_path(e, &now.1.path))?
        {
            return Err(drift(&now.1, "is another file now"));
        }
        let image = capture(&self.engine.recorder, &now.1, Keep::Digest)?.image;
        self.push(Change::Move { from: to.clone(), to: from.clone(), image }, now, Some(home), Payload::None)
    }

    fn set_meta(mut self, spot: &Spot, then: Meta, expected: &Meta, left: Option<&Image>) -> Result<(), Failure> {
        let at = self.find(spot)?;
        let Some(meta) = meta_now(at.1.folder(), &at.1.name).map_err(|e| at_path(e, &at.1.path))? else {
            return Err(drift(&at.1, "is not there any more"));
        };
        let same = Meta { mtime: expected.mtime, ..meta.clone() }.same_as(expected);
        if meta.mtime != expected.mtime && meta.kind == FileKind::Dir && same {
            // A folder whose entries changed since keeps its times, which is no loss: where that was this undo's own
            // doing, they come at its end. Where nothing else is to change, it is noted all the same, so that the
            // operation counts as taken back.
            let (mtime, atime, identity, nlink) = (meta.mtime, meta.atime, meta.identity, meta.nlink);
            let after = Meta { mtime, atime, identity, nlink, size: meta.size, ..then };
            let kept = Change::SetMeta { at: spot.clone(), before: meta, after };
            return self.push(kept, at, None, Payload::None);
        }
        if !same && !self.overwrite() {
            return Err(drift(&at.1, "has other permissions or attributes now"));
        }
        if meta.nlink > 1 && meta.kind != FileKind::Dir && !self.is_known(at.0, &meta, left)? {
            return Err(drift(&at.1, "is another file now, with names outside of the folder"));
        }
        let after = Meta { identity: meta.identity, nlink: meta.nlink, size: meta.size, ..then };
        self.push(Change::SetMeta { at: spot.clone(), before: meta, after }, at, None, Payload::None)
    }

    /// What stands there is what the operation left.
    fn expect(&self, found: &Found, expected: Option<&Image>) -> Result<(), Failure> {
        let (Some(expected), Some(stat)) = (expected, &found.stat) else { return Ok(()) };
        if self.overwrite() {
            return Ok(());
        }
        let fail = |e| at_path(e, &found.path);
        if !same_content(found.folder(), &found.name, stat, expected).map_err(fail)? {
            return Err(drift(found, "was changed since"));
        }
        let now = stat.with_xattrs(state::xattrs_at(found.folder(), &found.name).map_err(fail)?);
        // A folder's modification time moves with what is put into it.
        let now = if now.kind == FileKind::Dir { Meta { mtime: expected.meta.mtime, ..now } } else { now };
        if !now.same_as(&expected.meta) {
            return Err(drift(found, "has other times, permissions or attributes now"));
        }
        Ok(())
    }
}

/// What is to come back is in the store. It is not, where the person had the file changed without a copy.
fn was_kept(found: &Found, then: &Image) -> Result<(), Failure> {
    match &then.content {
        Content::File(content) if !content.stored => {
            let words = format!(
                "no backup of `{}` was kept, at your word, so what was there cannot come back: left as it is",
                found.path.display()
            );
            Err(Failure::new(FailureKind::Denied, words))
        }
        _ => Ok(()),
    }
}

pub(crate) fn stored(image: &Image) -> Payload {
    match &image.content {
        Content::File(_) => Payload::Stored,
        _ => Payload::None,
    }
}

/// A name of this inode, by a look through the folders.
pub(crate) fn named(engine: &mut Engine, identity: &Identity, then: &Image) -> Result<Option<(usize, Found)>, Failure> {
    if engine.links.must_look() {
        engine.flush();
    }
    let mut names = engine.links.names(&engine.resolver, identity)?;
    if names.iter().any(|(n, path)| engine.is_touched(*n, path)) {
        engine.flush();
        names = engine.links.names(&engine.resolver, identity)?;
    }
    for (n, path) in names {
        if let Some(found) = holds(engine, n, &path, identity, then)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The place, if that inode stands there with that content.
fn holds(
    engine: &mut Engine,
    n: usize,
    path: &RelPath,
    identity: &Identity,
    then: &Image,
) -> Result<Option<(usize, Found)>, Failure> {
    let Ok(found) = find_again(engine, n, path) else { return Ok(None) };
    let Some(stat) = found.1.stat.as_ref().filter(|stat| stat.identity == *identity) else { return Ok(None) };
    let same = same_content(found.1.folder(), &found.1.name, stat, then).map_err(|e| at_path(e, path))?;
    Ok(same.then_some(found))
}

/// Whether every name of an inode lies within folder `n`.
pub(crate) fn is_all_within(engine: &mut Engine, n: usize, meta: &Meta) -> Result<bool, Failure> {
    if meta.nlink < 2 {
        return Ok(true);
    }
    engine.flush();
    Ok(engine.resolver.names_of(n, &meta.identity)?.len() as u64 >= meta.nlink)
}

fn with(failure: Failure, words: &str) -> Failure {
    Failure { message: format!("{}{words}", failure.message), ..failure }
}

fn drift(found: &Found, what: &str) -> Failure {
    let words = format!("`{}` {what}: left as it is", found.path.display());
    Failure::new(FailureKind::Changed, words)
}
