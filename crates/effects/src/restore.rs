//! Putting back what was at a place at an earlier time. Restoring is as dangerous as writing: it is a change like any
//! other, found beneath a descriptor, backed up, swapped in by one call and compared afterwards. A symlink or hard link
//! that somebody planted is swapped out as itself; nothing is written through it.

mod plan;

use raincoat_os::{Found, state};
use raincoat_types::{
    Bring, Change, Content, Failure, FailureKind, FileContent, FileKind, Identity, Image, Meta, Spot,
};

use crate::capture::{Keep, capture, meta_now, same_content};
use crate::engine::{Engine, Payload, Step};
use crate::expand::{find_again, prepare_copy, push_copy};
use crate::failure::{at_path, broken};
use crate::revert::{is_all_within, named, stored};

pub use plan::{Item, Plan, What, carry_out, copy_plan, give_times_back, plan};

/// Queues what puts a place back.
pub(crate) fn restore(engine: &mut Engine, ticket: usize, at: &Spot, bring: Bring) -> Result<(), Failure> {
    let place = find(engine, at)?;
    let restoring = Restoring { engine, ticket, at };
    match bring {
        Bring::Image(image) => restoring.image(place, *image),
        Bring::Meta(meta) => restoring.meta(place, *meta),
        Bring::Nothing => restoring.nothing(place),
        Bring::From(from) => restoring.from(place, &from),
        Bring::Copy(from) => restoring.copy(place, &from),
    }
}

fn find(engine: &mut Engine, spot: &Spot) -> Result<(usize, Found), Failure> {
    let n = engine.resolver.index_of(spot.grant).ok_or_else(|| {
        let words = format!("`{}` is in a folder that is not part of this restore", spot.path.display());
        Failure::new(FailureKind::Outside, words)
    })?;
    find_again(engine, n, &spot.path)
}

struct Restoring<'a> {
    engine: &'a mut Engine,
    ticket: usize,
    at: &'a Spot,
}

impl Restoring<'_> {
    fn push(self, change: Change, at: (usize, Found), payload: Payload) -> Result<(), Failure> {
        self.engine.push(self.ticket, Step::new(change, at, payload))
    }

    fn image(self, place: (usize, Found), mut then: Image) -> Result<(), Failure> {
        let Some(stat) = place.1.stat.clone() else { return self.create(place, then) };
        let is_dir = then.content == Content::Dir;
        if is_dir && stat.kind == FileKind::Dir {
            return self.meta(place, then.meta);
        }
        if is_dir || matches!(stat.kind, FileKind::Dir | FileKind::Special) {
            return Err(in_the_way(&place.1, stat.kind));
        }
        let fail = |e| at_path(e, &place.1.path);
        if same_content(place.1.folder(), &place.1.name, &stat, &then).map_err(fail)?
            && is_safe_to_change(self.engine, place.0, &stat.identity, stat.nlink, &then.meta.identity)?
        {
            return self.meta(place, then.meta);
        }
        self.find_content(&mut then)?;
        let before = capture(&self.engine.recorder, &place.1, Keep::Bytes)?.image;
        // The very file that it was, with names that all lie in the folder, is written as one file.
        let in_place = before.meta.nlink > 1
            && (before.meta.kind, then.meta.kind) == (FileKind::File, FileKind::File)
            && before.meta.identity == then.meta.identity
            && is_all_within(self.engine, place.0, &before.meta)?;
        let payload = stored(&then);
        let change = Change::Replace { at: self.at.clone(), before, after: then, in_place };
        self.push(change, place, payload)
    }

    fn create(mut self, place: (usize, Found), mut then: Image) -> Result<(), Failure> {
        if then.meta.nlink > 1
            && matches!(then.content, Content::File(_) | Content::Symlink(_))
            && let Some(existing) = self.other_name(place.0, &then)?
        {
            let from = crate::expand::spot(self.engine, &existing)?;
            let change = Change::Link { existing: from, at: self.at.clone(), image: then };
            return self.engine.push(self.ticket, Step::between(change, place, existing));
        }
        self.find_content(&mut then)?;
        if then.meta.nlink > 1 {
            self.engine.links.remake(&then.meta.identity, place.0, &place.1.path);
        }
        let payload = stored(&then);
        let change = Change::Create { at: self.at.clone(), after: then };
        self.push(change, place, payload)
    }

    /// A name that the inode has still, or one under which this restore made it anew.
    fn other_name(&mut self, here: usize, then: &Image) -> Result<Option<(usize, Found)>, Failure> {
        let identity = then.meta.identity;
        if let Some((n, path)) = self.engine.links.remade(&identity) {
            let found = find_again(self.engine, n, &path)?;
            let fail = |e| at_path(e, &path);
            if let Some(stat) = &found.1.stat
                && same_content(found.1.folder(), &found.1.name, stat, then).map_err(fail)?
            {
                return Ok(Some(found));
            }
        }
        self.engine.links.want(&identity);
        Ok(named(self.engine, &identity, then)?.filter(|(n, _)| *n == here))
    }

    fn meta(self, place: (usize, Found), then: Meta) -> Result<(), Failure> {
        let found = &place.1;
        let Some(meta) = meta_now(found.folder(), &found.name).map_err(|e| at_path(e, &found.path))? else {
            return Err(Failure::new(FailureKind::NotFound, format!("no such file: `{}`", found.path.display())));
        };
        if meta.kind != then.kind {
            return Err(in_the_way(found, meta.kind));
        }
        if !is_safe_to_change(self.engine, place.0, &meta.identity, meta.nlink, &then.identity)? {
            let words = format!("`{}` is another file now, with names outside of the folder", found.path.display());
            return Err(Failure::new(FailureKind::Changed, words));
        }
        // A folder's times are given back once everything is in it.
        let (mtime, atime) =
            if meta.kind == FileKind::Dir { (meta.mtime, meta.atime) } else { (then.mtime, then.atime) };
        let (identity, nlink, size) = (meta.identity, meta.nlink, meta.size);
        let after = Meta { mtime, atime, identity, nlink, size, ..then };
        if after.same_as(&meta) {
            return Ok(());
        }
        let change = Change::SetMeta { at: self.at.clone(), before: meta, after };
        self.push(change, place, Payload::None)
    }

    fn nothing(self, place: (usize, Found)) -> Result<(), Failure> {
        let Some(stat) = &place.1.stat else { return Ok(()) };
        if stat.kind == FileKind::Special {
            return Err(in_the_way(&place.1, stat.kind));
        }
        if stat.kind == FileKind::Dir {
            self.engine.flush();
        }
        let before = capture(&self.engine.recorder, &place.1, Keep::Bytes)?.image;
        let change = Change::Remove { at: self.at.clone(), before };
        self.push(change, place, Payload::None)
    }

    fn from(self, place: (usize, Found), from: &Spot) -> Result<(), Failure> {
        if let Some(stat) = &place.1.stat {
            return Err(in_the_way(&place.1, stat.kind));
        }
        let now = find(self.engine, from)?;
        let image = capture(&self.engine.recorder, &now.1, Keep::Digest)?.image;
        let change = Change::Move { from: from.clone(), to: self.at.clone(), image };
        self.engine.push(self.ticket, Step::between(change, now, place))
    }

    fn copy(self, place: (usize, Found), from: &Spot) -> Result<(), Failure> {
        if let Some(stat) = &place.1.stat {
            return Err(in_the_way(&place.1, stat.kind));
        }
        let source = find(self.engine, from)?;
        let prepared = prepare_copy(self.engine, &source.1, &place.1)?;
        push_copy(self.engine, self.ticket, prepared, place).map(drop)
    }

    /// Sees to it that the store has what is to be put there.
    fn find_content(&self, then: &mut Image) -> Result<(), Failure> {
        let Content::File(content) = &mut then.content else { return Ok(()) };
        let known: Option<FileContent> = self.engine.recorder.known_content(content).map_err(|e| broken(&e))?;
        *content = known.ok_or_else(|| {
            let words = format!("the store has no copy of what `{}` was then", self.at.path.display());
            Failure::new(FailureKind::NotFound, words)
        })?;
        Ok(())
    }
}

/// Whether a change to this inode reaches no name outside of the folder but its own: it is the one that was recorded,
/// or has no name there.
fn is_safe_to_change(
    engine: &mut Engine,
    n: usize,
    now: &Identity,
    nlink: u64,
    recorded: &Identity,
) -> Result<bool, Failure> {
    if nlink < 2 || now == recorded {
        return Ok(true);
    }
    engine.flush();
    Ok(engine.resolver.names_of(n, now)?.len() as u64 >= nlink)
}

fn in_the_way(found: &Found, kind: FileKind) -> Failure {
    let what = match kind {
        FileKind::Dir => "a folder",
        FileKind::Special => "a FIFO, socket or device",
        FileKind::File | FileKind::Symlink => "something else",
    };
    let words = format!("`{}`: {what} is in the way; move it elsewhere first", found.path.display());
    Failure::new(FailureKind::Exists, words)
}

/// The metadata of a folder, to make one like it.
pub(crate) fn folder_image(found: &Found) -> Option<Image> {
    let stat = found.stat.as_ref().filter(|stat| stat.kind == FileKind::Dir)?;
    let xattrs = state::xattrs_at(found.folder(), &found.name).ok()?;
    Some(Image { meta: stat.with_xattrs(xattrs), content: Content::Dir })
}
