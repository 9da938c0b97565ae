//! Whether a name changed underneath since the draft was made from it.
//!
//! Where its state was remembered ([`crate::Draft::remember_bases`]) that decides. Where it was not, change times do: a
//! file whose change time is not older than the draft was changed since, for nobody can set a change time (a clock that
//! was set back is reckoned with). In a user namespace an overlay does not note which inode it copied, so that a
//! folder which was moved away, and an older one put in its place, shows by its own change time and its parent's.

use std::os::fd::BorrowedFd;

use raincoat_os::Stat;
use raincoat_os::overlay::{self, FileHandle};
use raincoat_types::{FileKind, RelPath, Timestamp};

use crate::bases::{Base, Bases};
use crate::item::{Drift, Version};
use crate::origin::{Notes, Origin};

pub(crate) struct Judge<'a> {
    bases: &'a Bases,
    folder: usize,
    /// What was changed at or after this may have been changed since the draft began.
    earliest: Timestamp,
}

/// What is known of the folders on the way to a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Change of the entries of the folder's directory that holds the name; `None` where there is no such directory.
    entries: Option<Timestamp>,
    /// A directory on the way is not the one that the draft was made from.
    pub(crate) replaced: bool,
    /// A directory on the way that the draft copied is gone from the folder.
    lost: bool,
}

impl Way {
    /// The way that ends at the granted folder itself.
    pub(crate) fn top(stat: &Stat) -> Way {
        Way { entries: Some(stat.mtime), replaced: false, lost: false }
    }
}

impl<'a> Judge<'a> {
    pub(crate) fn new(bases: &'a Bases, folder: usize, earliest: Timestamp) -> Judge<'a> {
        Judge { bases, folder, earliest }
    }

    /// The draft's file is the copy that it was when the program ended, unchanged, and the folder's was the same then:
    /// what differs now is somebody else's doing.
    pub(crate) fn is_settled(&self, path: &RelPath, after: &Stat) -> bool {
        matches!(self.bases.get(self.folder, path), Some(Base::Untouched { changed, .. }) if *changed == after.ctime)
    }

    /// Into a directory that both sides have.
    pub(crate) fn step(
        &self,
        path: &RelPath,
        way: &Way,
        lower: Option<&Stat>,
        notes: &Notes,
        at: (BorrowedFd<'_>, &[u8]),
    ) -> Way {
        let Some(lower) = lower else { return self.step_into_new(way, notes) };
        let replaced = match (self.bases.get(self.folder, path).and_then(Base::identity), &notes.origin) {
            (Some(identity), _) => identity != lower.identity,
            (None, Some(Origin::Handle(noted))) => handle(at.0, at.1).is_some_and(|now| now != *noted),
            // A directory made by the draft itself: it goes with whatever is there.
            (None, None) => false,
            (None, Some(Origin::Unknown)) => self.was_moved_here(way, lower),
        };
        Way { entries: Some(lower.mtime), replaced: way.replaced || replaced, lost: false }
    }

    /// Into a directory of the folder that the draft took away.
    pub(crate) fn step_into_gone(&self, path: &RelPath, way: &Way, lower: &Stat) -> Way {
        let replaced = match self.bases.get(self.folder, path).and_then(Base::identity) {
            Some(identity) => identity != lower.identity,
            None => self.was_moved_here(way, lower),
        };
        Way { entries: Some(lower.mtime), replaced: way.replaced || replaced, lost: false }
    }

    /// Into a directory that only the draft has.
    pub(crate) fn step_into_new(&self, way: &Way, notes: &Notes) -> Way {
        Way { entries: None, replaced: false, lost: notes.origin.is_some() && self.may_be_gone(way) }
    }

    /// A rename touches the directory itself and the entries of its parent, and not its own entries.
    fn was_moved_here(&self, way: &Way, lower: &Stat) -> bool {
        lower.ctime >= self.earliest
            && lower.mtime < self.earliest
            && way.entries.is_some_and(|entries| entries >= self.earliest)
    }

    fn may_be_gone(&self, way: &Way) -> bool {
        way.lost || way.entries.is_some_and(|entries| entries >= self.earliest)
    }

    /// What became of a name underneath. `before` is what the folder has there now.
    pub(crate) fn of(
        &self,
        path: &RelPath,
        before: Option<&Version>,
        notes: &Notes,
        way: &Way,
        lower: BorrowedFd<'_>,
        deleted: bool,
    ) -> Option<Drift> {
        match (self.bases.get(self.folder, path), before) {
            (Some(Base::Drifted(drift)), _) => Some(*drift),
            (Some(Base::Absent), Some(_)) => Some(Drift::Appeared),
            (Some(Base::Absent), None) => None,
            (Some(Base::File(_) | Base::Untouched { .. }), None) => Some(Drift::Gone),
            (Some(Base::File(file)), Some(now)) => file.drift(now, lower, path),
            (Some(Base::Untouched { seen, .. }), Some(now)) => seen.drift(now, lower, path),
            (None, None) => (notes.origin.is_some() && self.may_be_gone(way)).then_some(Drift::Gone),
            (None, Some(now)) => self.by_times(now, notes, way, lower, path, deleted),
        }
    }

    fn by_times(
        &self,
        now: &Version,
        notes: &Notes,
        way: &Way,
        lower: BorrowedFd<'_>,
        path: &RelPath,
        deleted: bool,
    ) -> Option<Drift> {
        if way.replaced {
            return Some(Drift::FolderReplaced);
        }
        if let Some(Origin::Handle(noted)) = &notes.origin
            && handle_at(lower, path).is_some_and(|now| now != *noted)
        {
            return Some(Drift::Replaced);
        }
        let stat = &now.stat;
        if stat.ctime < self.earliest {
            return None;
        }
        match stat.kind {
            // Its entries changed, and each of them is judged by itself.
            FileKind::Dir if deleted => None,
            _ if stat.identity.born >= self.earliest => Some(Drift::Replaced),
            _ => Some(Drift::Changed),
        }
    }

    /// Whether the draft's file is noted to be a copy of the folder's very inode.
    pub(crate) fn is_origin(
        &self,
        notes: &Notes,
        before: Option<&Version>,
        lower: BorrowedFd<'_>,
        path: &RelPath,
    ) -> bool {
        match (&notes.origin, before) {
            (Some(Origin::Handle(noted)), Some(_)) => handle_at(lower, path).is_some_and(|now| now == *noted),
            _ => false,
        }
    }
}

fn handle_at(root: BorrowedFd<'_>, path: &RelPath) -> Option<FileHandle> {
    let Some((folder, name)) = path.split_last() else { return handle(root, b"") };
    let folder = overlay::folder_at(root, folder.as_bytes()).ok()?;
    handle(std::os::fd::AsFd::as_fd(&folder), name)
}

/// `None`: not to be had, and nothing can be told from that.
fn handle(parent: BorrowedFd<'_>, name: &[u8]) -> Option<FileHandle> {
    overlay::handle_of(parent, name).ok().flatten()
}
