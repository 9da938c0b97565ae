//! Taking one recorded operation back. It is a change like any other, with an intent and a before-image of its own, so
//! it can be taken back in turn. What somebody did since is never overwritten unless they say so.

use raincoat_os::{Found, state};
use raincoat_types::{
    Change, Content, Failure, FailureKind, FileKind, Identity, Image, Meta, OpId, OpRecord, OpResult, RelPath, Spot,
};

use crate::capture::{Keep, capture, meta_now, same_content};
use crate::engine::{Engine, Payload, Step};
use crate::expand::find_again;
use crate::failure::{at_path, broken};

/// Queues the inverse of an operation.
pub(crate) fn revert(engine: &mut Engine, ticket: usize, op: OpId, overwrite: bool) -> Result<(), Failure> {
    let record = engine.recorder.op(op).map_err(|e| broken(&e))?;
    let Some(record) = record else {
        return Err(Failure::new(FailureKind::NotFound, format!("there is no operation {op} in the journal")));
    };
    let Some(OpResult::Done { after, .. }) = record.result.clone() else {
        return Ok(());
    };
    let reverting = Reverting { engine, ticket, op, overwrite };
    match record.intent.change.clone() {
        Change::Create { at, .. } | Change::Link { at, .. } => reverting.remove(&at, after.as_ref()),
        Change::Replace { at, before, in_place, .. } => reverting.replace(&at, before, after.as_ref(), in_place),
        Change::Remove { at, before } => reverting.bring_back(&at, before, &record),
        Change::Move { from, to, .. } => reverting.move_back(&from, &to, after.as_ref()),
        Change::SetMeta { at, before, after } => reverting.set_meta(&at, before, &after),
    }
}

struct Reverting<'a> {
    engine: &'a mut Engine,
    ticket: usize,
    op: OpId,
    overwrite: bool,
}

impl Reverting<'_> {
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
        let step = Step { change, at, other, payload, undoes: Some(self.op), made: None };
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
            if !self.overwrite {
                return Err(drift(&at.1, "is not there any more"));
            }
            return self.create(spot, at, then);
        }
        self.expect(&at.1, expected)?;
        was_kept(&at.1, &then)?;
        let before = capture(&self.engine.recorder, &at.1, Keep::Bytes)?.image;
        let payload = stored(&then);
        // What was written in place is written back in place: it is one file, whatever names it has lost since.
        let in_place = (was_in_place || before.meta.nlink > 1)
            && (before.meta.kind, then.meta.kind) == (FileKind::File, FileKind::File);
        self.push(Change::Replace { at: spot.clone(), before, after: then, in_place }, at, None, payload)
    }

    fn bring_back(mut self, spot: &Spot, then: Image, record: &OpRecord) -> Result<(), Failure> {
        let at = self.find(spot)?;
        if at.1.stat.is_some() {
            return Err(drift(&at.1, "was taken by something new; move it away first"));
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
        if let Some(found) = self.named(&identity, then)? {
            return Ok(Some(found));
        }
        for (op, spot) in ended.into_iter().filter(|(op, _)| *op != own) {
            let Some(reborn) = recorder.reborn_as(op).map_err(|e| broken(&e))? else { continue };
            if let Some(n) = self.engine.resolver.index_of(spot.grant)
                && let Some(found) = self.holds(n, &spot.path, &reborn, then)?
            {
                return Ok(Some(found));
            }
            // Made anew there, and moved on since.
            self.engine.links.want(&reborn);
            if let Some(found) = self.named(&reborn, then)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A name of this inode, by a look through the folders.
    fn named(&mut self, identity: &Identity, then: &Image) -> Result<Option<(usize, Found)>, Failure> {
        if self.engine.links.must_look() {
            self.engine.flush();
        }
        let mut names = self.engine.links.names(&self.engine.resolver, identity)?;
        if names.iter().any(|(n, path)| self.engine.is_touched(*n, path)) {
            self.engine.flush();
            names = self.engine.links.names(&self.engine.resolver, identity)?;
        }
        for (n, path) in names {
            if let Some(found) = self.holds(n, &path, identity, then)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The place, if that inode stands there with that content.
    fn holds(
        &mut self,
        n: usize,
        path: &RelPath,
        identity: &Identity,
        then: &Image,
    ) -> Result<Option<(usize, Found)>, Failure> {
        let Ok(found) = find_again(self.engine, n, path) else { return Ok(None) };
        let Some(stat) = found.1.stat.as_ref().filter(|stat| stat.identity == *identity) else { return Ok(None) };
        let same = same_content(found.1.folder(), &found.1.name, stat, then).map_err(|e| at_path(e, path))?;
        Ok(same.then_some(found))
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
            && !self.overwrite
            && stat.identity != expected.meta.identity
            && !same_content(now.1.folder(), &now.1.name, &stat, expected).map_err(|e| at_path(e, &now.1.path))?
        {
            return Err(drift(&now.1, "is another file now"));
        }
        let image = capture(&self.engine.recorder, &now.1, Keep::Digest)?.image;
        self.push(Change::Move { from: to.clone(), to: from.clone(), image }, now, Some(home), Payload::None)
    }

    fn set_meta(mut self, spot: &Spot, then: Meta, expected: &Meta) -> Result<(), Failure> {
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
        if !same && !self.overwrite {
            return Err(drift(&at.1, "has other permissions or attributes now"));
        }
        let after = Meta { identity: meta.identity, nlink: meta.nlink, size: meta.size, ..then };
        self.push(Change::SetMeta { at: spot.clone(), before: meta, after }, at, None, Payload::None)
    }

    /// What stands there is what the operation left.
    fn expect(&self, found: &Found, expected: Option<&Image>) -> Result<(), Failure> {
        let (Some(expected), Some(stat)) = (expected, &found.stat) else { return Ok(()) };
        if self.overwrite {
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

fn stored(image: &Image) -> Payload {
    match &image.content {
        Content::File(_) => Payload::Stored,
        _ => Payload::None,
    }
}

fn drift(found: &Found, what: &str) -> Failure {
    let words = format!("`{}` {what}: left as it is", found.path.display());
    Failure::new(FailureKind::Changed, words)
}
