//! Getting ready: what goes out of the folder is sealed, what cannot be moved is copied beside, folders to be made are
//! made beside. No name of the folder changes.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use raincoat_os::{Stat, beneath, mutate, state};
use raincoat_types::{
    Change, Content, Digest, Failure, FailureKind, FileContent, FileKind, Identity, Image, Meta, RelPath, Spot, Take,
    Timestamp, Xattr,
};

use super::Begin;
use super::dirs::{Doors, Paths, Side};
use super::look::{Looked, New};
use super::point::{Deed, Lies};
use super::reader::{self, Job, Reader, Reading, xattrs_of_open};
use super::stage::{Hold, Original, copy, held_name, hold_name, is_layering};
use crate::capture::{Storing, digest_of};
use crate::engine::Engine;
use crate::failure::{at_path, broken};
use crate::resolve::Resolver;

/// A file whose times are no older than this when it is read could change again without showing (see "racy git").
const RACY_NANOS: i64 = 20_000_000;

/// What a path is going to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Planned {
    /// A folder that this commit makes, by this operation.
    NewDir(usize),
    /// A folder that stays.
    KeptDir,
    /// Anything else, or nothing.
    Other,
}

/// An operation of the commit.
pub(super) struct Op {
    pub(super) n: usize,
    pub(super) change: Change,
    pub(super) deed: Deed,
    /// The draft's file gets the metadata of the new image before it comes.
    pub(super) set: bool,
    /// The layering's own attributes, which the draft's file loses before it comes.
    pub(super) strip: Vec<Xattr>,
    /// The old file was changed so lately that its times may not tell of another change.
    pub(super) racy: bool,
}

/// A folder that exists, as it was found.
pub(super) struct Dir {
    pub(super) identity: Identity,
    pub(super) times: (Timestamp, Timestamp),
    ours: bool,
    /// Its entries change.
    pub(super) touched: bool,
    /// Its metadata as the commit opens it, where it lets nobody put anything in.
    opened: Option<(Meta, Meta)>,
}

/// What has been got ready.
#[derive(Default)]
pub(crate) struct Prepared {
    pub(super) doors: Doors,
    pub(super) dirs: Paths<Dir>,
    planned: Paths<Planned>,
    pub(super) ops: Vec<Op>,
    storing: Storing,
    /// Who reads the draft's files, beside.
    pub(super) reader: Option<Reader>,
    reading: Reading,
    /// Operations that bring names of one file of the draft.
    linked: HashMap<Identity, Vec<usize>>,
    pub(super) holds: HashMap<usize, Hold>,
    held: u64,
    pub(super) conflicts: Vec<(Spot, String)>,
    pub(super) failure: Option<Failure>,
}

impl Prepared {
    pub(super) fn planned(&self, n: usize, path: &RelPath) -> Option<Planned> {
        self.planned.get(n, path).copied()
    }

    /// Keeps what went wrong: somebody's change is a conflict, anything else a failure.
    pub(super) fn fail(&mut self, spot: Spot, failure: Failure) {
        use FailureKind::{Changed, Exists, NotFound};
        if matches!(failure.kind, Changed | Exists | NotFound) {
            self.conflicts.push((spot, failure.message));
        } else {
            self.failure.get_or_insert(failure);
        }
    }

    /// A folder that exists, open, and whether it lies in a directory of our own.
    pub(super) fn enter(
        &mut self,
        resolver: &Resolver,
        n: usize,
        path: &RelPath,
    ) -> Result<(Arc<OwnedFd>, bool), Failure> {
        if let Some(fd) = self.doors.known(Side::Folder, n, path)
            && let Some(dir) = self.dirs.get(n, path)
        {
            return Ok((fd, dir.ours));
        }
        let way = self.doors.find(&resolver.folder(n)?.root, Side::Folder, n, path)?;
        let ours = way.way.iter().any(|identity| resolver.names.is_ours(identity));
        let identity = way.stat.identity;
        let Some(dir) = self.dirs.get(n, path) else {
            let times = (way.stat.mtime, way.stat.atime);
            self.dirs.insert(n, path.clone(), Dir { identity, times, ours, touched: false, opened: None });
            return Ok((way.fd, ours));
        };
        if dir.identity != identity {
            self.doors.forget();
            let words = format!("another folder has taken the place of `{}` just now", path.display());
            return Err(Failure::new(FailureKind::Changed, words));
        }
        Ok((way.fd, dir.ours || ours))
    }

    fn draft_folder(&mut self, begin: &Begin, n: usize, path: &RelPath) -> Result<Arc<OwnedFd>, Failure> {
        let source = begin.sources.get(n).and_then(Option::as_ref);
        let source = source.ok_or_else(|| Failure::new(FailureKind::Invalid, "that folder has no draft"))?;
        self.doors.open(&source.upper, Side::Upper, n, path, None)
    }

    /// Where this commit's own files for a folder lie.
    fn hold(&mut self, engine: &Engine, begin: &Begin, n: usize) -> Result<&mut Hold, Failure> {
        if !self.holds.contains_key(&n) {
            let root = &engine.resolver.folder(n)?.root;
            let fail = |e| at_path(e, &RelPath::ROOT);
            let here = state::mount_of(root.as_fd()).map_err(fail)?;
            let stage = begin.sources.get(n).and_then(Option::as_ref).map(|source| &source.stage);
            let near = match stage {
                Some(stage) if state::mount_of(stage.as_fd()).map_err(fail)? == here => Some(stage),
                _ => None,
            };
            let hold = match near {
                Some(stage) => {
                    let fd = stage.as_fd().try_clone_to_owned().map_err(fail)?;
                    Hold { fd, within: false, swaps: None }
                }
                None => {
                    self.enter(&engine.resolver, n, &RelPath::ROOT)?;
                    self.touch(engine, n, &RelPath::ROOT)?;
                    let name = hold_name(engine.run);
                    mutate::make_dir(root.as_fd(), &name).map_err(fail)?;
                    let fd = mutate::hold(root.as_fd(), &name).map_err(fail)?;
                    Hold { fd, within: true, swaps: None }
                }
            };
            self.holds.insert(n, hold);
        }
        self.holds.get_mut(&n).ok_or_else(|| Failure::new(FailureKind::Invalid, "that folder has no draft"))
    }

    /// A fresh number in the holding directory.
    fn number(&mut self) -> u64 {
        self.held += 1;
        self.held
    }

    /// The entries of a folder are going to change. One that lets nothing be put into it is opened for that, if it is
    /// the person's.
    fn touch(&mut self, engine: &Engine, n: usize, path: &RelPath) -> Result<(), Failure> {
        match self.dirs.get_mut(n, path) {
            Some(dir) if dir.touched => return Ok(()),
            Some(dir) => dir.touched = true,
            // It is made by this commit, and open.
            None => return Ok(()),
        }
        let (fd, _) = self.enter(&engine.resolver, n, path)?;
        let fail = |e| at_path(e, path);
        let me = mutate::me().0;
        if me == 0 || beneath::may_be_changed(fd.as_fd()).map_err(fail)? {
            return Ok(());
        }
        let before = state::stat_fd(fd.as_fd()).map_err(fail)?;
        if before.uid != me {
            let words =
                format!("the system does not let you change what is in `{}`; see its owner and mode", path.display());
            return Err(Failure::new(FailureKind::Denied, words));
        }
        let before = before.with_xattrs(state::xattrs_of(fd.as_fd()).map_err(fail)?);
        let after = Meta { mode: before.mode | 0o700, ..before.clone() };
        let at = Spot { grant: engine.resolver.folder(n)?.grant, path: path.clone() };
        if let Some(dir) = self.dirs.get_mut(n, path) {
            dir.opened = Some((before.clone(), after.clone()));
        }
        self.push(n, Change::SetMeta { at, before, after }, Deed::Open);
        Ok(())
    }

    /// Waits until the draft's files have been read, and takes over what was found.
    fn take_readings(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        for (op, found) in self.reading.finish(&reader) {
            let Some(op) = self.ops.get_mut(op) else { continue };
            let Some(at) = op.sides().map(|sides| sides.at.clone()) else { continue };
            let failure = match found {
                Ok(Some((digest, xattrs))) => {
                    let (strip, own) = xattrs.into_iter().partition(|xattr| is_layering(&xattr.name));
                    op.strip = strip;
                    if let Some(Image { meta, content: Content::File(content) }) = after_of(&mut op.change) {
                        content.digest = digest;
                        if !op.set {
                            meta.xattrs = own;
                        }
                    }
                    continue;
                }
                Ok(None) => reviewed(&at.path),
                Err(error) => at_path(error, &at.path),
            };
            self.fail(at, failure);
        }
    }

    fn push(&mut self, n: usize, change: Change, deed: Deed) -> &mut Op {
        self.ops.push(Op { n, change, deed, set: false, strip: Vec::new(), racy: false });
        let last = self.ops.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "it was pushed just now")]
        &mut self.ops[last]
    }
}

/// Gets one adoption ready.
pub(super) fn take_in(engine: &Engine, begin: &Begin, prepared: &mut Prepared, looked: Looked) -> Result<(), Failure> {
    if engine.stop.load(Ordering::Relaxed) {
        return Err(Failure::new(FailureKind::Stopped, "stopped before anything was committed"));
    }
    if prepared.ops.len() as u64 + 2 > u64::from(engine.resolver.limits.run_ops) {
        let words =
            format!("over {} changes, the limit of a commit; commit it in parts", engine.resolver.limits.run_ops);
        return Err(Failure::new(FailureKind::Limit, words));
    }
    // What failed before keeps anything from being committed: go on only to find what else has changed meanwhile.
    if prepared.failure.is_some() {
        return Ok(());
    }
    let Looked { n, spot, take, stat, old, new, meta } = looked;
    let mut taking = Taking { engine, begin, prepared, n, spot, old };
    match (take, stat, new) {
        (Take::Nothing, Some(stat), _) => {
            taking.plan(Planned::Other);
            taking.remove(&stat)
        }
        (Take::Meta, Some(stat), new) => taking.metadata(&stat, new.as_ref(), meta),
        (_, Some(stat), Some(new)) if (stat.kind, new.stat.kind) == (FileKind::Dir, FileKind::Dir) => {
            taking.metadata(&stat, Some(&new), meta)
        }
        (Take::Content, Some(stat), Some(new))
            if stat.nlink > 1 && (stat.kind, new.stat.kind) == (FileKind::File, FileKind::File) =>
        {
            taking.plan(Planned::Other);
            taking.write(&stat, &new, meta)
        }
        (Take::FromDraft | Take::Staged(_) | Take::Content, stat, Some(new)) => taking.bring(stat, &new, meta),
        _ => Err(Failure::new(FailureKind::Changed, format!("`{}` is not there any more", taking.spot.path.display()))),
    }
}

struct Taking<'a> {
    engine: &'a Engine,
    begin: &'a Begin,
    prepared: &'a mut Prepared,
    n: usize,
    spot: Spot,
    old: Option<Digest>,
}

impl Taking<'_> {
    fn plan(&mut self, planned: Planned) {
        self.prepared.planned.insert(self.n, self.spot.path.clone(), planned);
    }

    /// Its folder's path, and its name in it.
    fn split(&self) -> (RelPath, Vec<u8>) {
        match self.spot.path.split_last() {
            Some((parent, name)) => (parent, name.to_vec()),
            None => (RelPath::ROOT, Vec::new()),
        }
    }

    fn remove(&mut self, stat: &Stat) -> Result<(), Failure> {
        // An operation that opens the folder comes before: what is sealed is told by the operation's place in the list.
        let (parent, _) = self.split();
        self.prepared.touch(self.engine, self.n, &parent)?;
        self.prepared.hold(self.engine, self.begin, self.n)?;
        let before = self.seal(stat)?;
        let racy = self.is_racy(stat);
        let number = self.prepared.number();
        let change = Change::Remove { at: self.spot.clone(), before };
        self.prepared.push(self.n, change, Deed::Take(number)).racy = racy;
        Ok(())
    }

    fn metadata(&mut self, stat: &Stat, new: Option<&New>, meta: Option<Meta>) -> Result<(), Failure> {
        let fail = |e| at_path(e, &self.spot.path);
        let (parent, name) = self.split();
        let (fd, _) = self.prepared.enter(&self.engine.resolver, self.n, &parent)?;
        let before = stat.clone().with_xattrs(state::xattrs_at(fd.as_fd(), &name).map_err(fail)?);
        let wanted = match (meta, new) {
            (Some(meta), _) => meta,
            (None, Some(new)) => self.meta_of(new)?.0,
            (None, None) => before.clone(),
        };
        if wanted.kind != before.kind {
            let words = format!("`{}` is of another kind in the draft", self.spot.path.display());
            return Err(Failure::new(FailureKind::WrongKind, words));
        }
        let is_dir = before.kind == FileKind::Dir;
        self.plan(if is_dir { Planned::KeptDir } else { Planned::Other });
        let (size, nlink, identity) = (before.size, before.nlink, before.identity);
        let after = Meta { size, nlink, identity, ..wanted };
        // Even where nothing differs now, what is put into a folder changes its times.
        if is_dir || !after.same_as(&before) {
            let change = Change::SetMeta { at: self.spot.clone(), before, after };
            self.prepared.push(self.n, change, Deed::Meta);
        }
        Ok(())
    }

    /// New content for a file that has other names.
    fn write(&mut self, stat: &Stat, new: &New, meta: Option<Meta>) -> Result<(), Failure> {
        let before = self.seal(stat)?;
        let (wanted, _) = match meta {
            Some(meta) => (meta, Vec::new()),
            None => self.meta_of(new)?,
        };
        let path = self.spot.path.clone();
        let fail = |e| at_path(e, &path);
        let (folder, name) = self.source_of(new)?;
        let source = beneath::open_file_for_reading(folder.as_fd(), &name, &new.stat).map_err(fail)?;
        let storing = &mut self.prepared.storing;
        let content =
            storing.take(&self.engine.recorder, source.as_fd(), new.stat.size).map_err(|e| e.at_path(&path))?;
        self.unchanged(new, source.as_fd(), content.digest)?;
        let meta = Meta { size: new.stat.size, nlink: before.meta.nlink, identity: before.meta.identity, ..wanted };
        let after = Image { meta, content: Content::File(content) };
        let change = Change::Replace { at: self.spot.clone(), before, after, in_place: true };
        self.prepared.push(self.n, change, Deed::Write);
        Ok(())
    }

    fn bring(&mut self, stat: Option<Stat>, new: &New, meta: Option<Meta>) -> Result<(), Failure> {
        let (parent, _) = self.split();
        self.prepared.touch(self.engine, self.n, &parent)?;
        self.prepared.hold(self.engine, self.begin, self.n)?;
        if new.stat.kind == FileKind::Dir {
            if let Some(stat) = stat {
                self.remove(&stat)?;
            }
            return self.make_dir(new, meta);
        }
        self.plan(Planned::Other);
        let run = self.engine.run;
        let swap = stat.as_ref().is_some_and(|stat| stat.nlink == 1 && stat.kind != FileKind::Dir)
            && new.stat.nlink == 1
            && self.prepared.hold(self.engine, self.begin, self.n)?.can_swap(run);
        match stat {
            Some(stat) if swap => {
                let before = self.seal(&stat)?;
                let racy = self.is_racy(&stat);
                let coming = self.coming(new, meta)?;
                let change = Change::Replace { at: self.spot.clone(), before, after: coming.after, in_place: false };
                let op = self.prepared.push(self.n, change, Deed::Swap(coming.lies));
                (op.set, op.strip, op.racy) = (coming.set, coming.strip, racy);
            }
            // Undo gives a name of several back to the inode that has the others, and a folder as a folder.
            stat => {
                if let Some(stat) = stat {
                    self.remove(&stat)?;
                }
                let coming = self.coming(new, meta)?;
                if new.stat.nlink > 1 {
                    let op = self.prepared.ops.len();
                    self.prepared.linked.entry(new.stat.identity).or_default().push(op);
                }
                let change = Change::Create { at: self.spot.clone(), after: coming.after };
                let op = self.prepared.push(self.n, change, Deed::Bring(coming.lies));
                (op.set, op.strip) = (coming.set, coming.strip);
            }
        }
        Ok(())
    }

    /// A folder is made beside, so that it is known which it is. It is open until everything is in it.
    fn make_dir(&mut self, new: &New, meta: Option<Meta>) -> Result<(), Failure> {
        let path = self.spot.path.clone();
        let fail = |e| at_path(e, &path);
        let wanted = match meta {
            Some(meta) => meta,
            None => self.meta_of(new)?.0,
        };
        let number = self.prepared.number();
        let name = held_name(self.engine.run, number);
        let hold = self.prepared.hold(self.engine, self.begin, self.n)?;
        mutate::make_dir(hold.fd.as_fd(), &name).map_err(fail)?;
        let made = state::stat_at(hold.fd.as_fd(), &name).map_err(fail)?;
        let made = made.ok_or_else(|| Failure::new(FailureKind::Changed, "somebody else works in the draft"))?;
        let shut = mutate::me().0 != 0 && wanted.mode & 0o700 != 0o700;
        let last = Meta { size: 0, nlink: 1, identity: made.identity, ..wanted };
        let meta = Meta { mode: if shut { last.mode | 0o700 } else { last.mode }, ..last.clone() };
        let op = self.prepared.ops.len();
        self.plan(Planned::NewDir(op));
        let change =
            Change::Create { at: self.spot.clone(), after: Image { meta: meta.clone(), content: Content::Dir } };
        self.prepared.push(self.n, change, Deed::Bring(Lies::Held(number)));
        if shut {
            // So that undo, too, opens it before it takes out what is in it.
            let change = Change::SetMeta { at: self.spot.clone(), before: meta, after: last };
            self.prepared.push(self.n, change, Deed::Meta);
        }
        Ok(())
    }

    /// What comes, and where it lies ready.
    fn coming(&mut self, new: &New, meta: Option<Meta>) -> Result<Coming, Failure> {
        let (folder, name) = self.source_of(new)?;
        let path = self.spot.path.clone();
        let fail = |e| at_path(e, &path);
        let set = meta.is_some();
        let source = self.begin.sources.get(self.n).and_then(Option::as_ref);
        let hold = self.prepared.hold(self.engine, self.begin, self.n)?;
        let moves = !hold.within && (source.is_some_and(|source| source.ended) || new.lies != Lies::Upper);
        if !moves {
            let (own, _) = self.meta_of(new)?;
            let wanted = Meta { size: own.size, ..meta.unwrap_or(own) };
            let number = self.prepared.number();
            let name_held = held_name(self.engine.run, number);
            let from = Original { folder: folder.as_fd(), name: &name, stat: &new.stat, path: &path };
            let hold = self.prepared.hold(self.engine, self.begin, self.n)?;
            let (made, content) = copy(&from, hold.fd.as_fd(), &name_held, &wanted)?;
            let meta = Meta { nlink: 1, identity: made.identity, ..wanted };
            let after = Image { meta, content };
            if new.expected.is_some() && new.expected != after.digest() {
                return Err(reviewed(&path));
            }
            return Ok(Coming { after, lies: Lies::Held(number), set: false, strip: Vec::new() });
        }
        let (content, (own, strip)) = match new.stat.kind {
            FileKind::Symlink => {
                (Content::Symlink(beneath::read_link(folder.as_fd(), &name).map_err(fail)?), self.meta_of(new)?)
            }
            _ => match new.digest {
                Some(digest) => (file_of(digest), self.meta_of(new)?),
                None => {
                    let fd = beneath::open_left_file(folder.as_fd(), &name).map_err(fail)?;
                    let (digest, xattrs) = self.look_into(fd, new)?;
                    (file_of(digest), split_layering(&new.stat, xattrs))
                }
            },
        };
        let (size, nlink, identity) = (own.size, own.nlink, own.identity);
        let meta = Meta { size, nlink, identity, ..meta.unwrap_or(own) };
        Ok(Coming { after: Image { meta, content }, lies: new.lies, set, strip })
    }

    fn unchanged(&self, new: &New, fd: BorrowedFd<'_>, digest: Digest) -> Result<(), Failure> {
        let later = state::stat_fd(fd).map_err(|e| at_path(e, &self.spot.path))?;
        if !new.stat.untouched(&later) || new.expected.is_some_and(|expected| expected != digest) {
            return Err(reviewed(&self.spot.path));
        }
        Ok(())
    }

    /// Digest and extended attributes of a file of the draft. Where there is a reader, they follow (see
    /// [`Prepared::take_readings`]).
    fn look_into(&mut self, fd: OwnedFd, new: &New) -> Result<(Digest, Vec<Xattr>), Failure> {
        let Prepared { reader, reading, ops, .. } = &mut *self.prepared;
        if let Some(reader) = reader {
            let job = Job { op: ops.len(), fd, stat: new.stat.clone(), expected: new.expected };
            reading.give(reader, job);
            return Ok((Digest::default(), Vec::new()));
        }
        let found = reader::look_into(fd.as_fd(), &new.stat, new.expected);
        let path = &self.spot.path;
        found.map_err(|e| at_path(e, path))?.ok_or_else(|| reviewed(path))
    }

    /// The folder on the draft's side, and the name there.
    fn source_of(&mut self, new: &New) -> Result<(Arc<OwnedFd>, Vec<u8>), Failure> {
        match new.lies {
            Lies::Staged(number) => {
                let stage = self.begin.sources.get(self.n).and_then(Option::as_ref).map(|source| &source.stage);
                let stage = stage.ok_or_else(|| Failure::new(FailureKind::Invalid, "that folder has no draft"))?;
                let fd = stage.as_fd().try_clone_to_owned().map_err(|e| at_path(e, &self.spot.path))?;
                Ok((Arc::new(fd), number.to_string().into_bytes()))
            }
            _ => {
                let (parent, name) = self.split();
                Ok((self.prepared.draft_folder(self.begin, self.n, &parent)?, name))
            }
        }
    }

    /// Metadata of the draft's file, and the layering's own attributes of it.
    fn meta_of(&mut self, new: &New) -> Result<(Meta, Vec<Xattr>), Failure> {
        let (folder, name) = self.source_of(new)?;
        let xattrs = state::xattrs_at(folder.as_fd(), &name).map_err(|e| at_path(e, &self.spot.path))?;
        Ok(split_layering(&new.stat, xattrs))
    }

    /// What stands in the folder, on its way into the store.
    fn seal(&mut self, stat: &Stat) -> Result<Image, Failure> {
        let path = self.spot.path.clone();
        let fail = |e| at_path(e, &path);
        let (parent, name) = self.split();
        let (folder, _) = self.prepared.enter(&self.engine.resolver, self.n, &parent)?;
        let xattrs = |fd: BorrowedFd<'_>| state::xattrs_of(fd).map_err(fail);
        let (content, xattrs) = match stat.kind {
            FileKind::File => {
                let fd = beneath::open_file_for_reading(folder.as_fd(), &name, stat).map_err(fail)?;
                let recorder = &self.engine.recorder;
                let content = if stat.nlink == 1 && recorder.waives(&path) {
                    let digest = digest_of(fd.as_fd()).map_err(fail)?;
                    FileContent { digest, chunks: Vec::new(), stored: false }
                } else {
                    recorder.make_room(&path, stat.size, &|| digest_of(fd.as_fd()).ok())?;
                    self.prepared.storing.take(recorder, fd.as_fd(), stat.size).map_err(|e| e.at_path(&path))?
                };
                let xattrs = xattrs_of_open(fd.as_fd()).map_err(fail)?;
                let later = state::stat_fd(fd.as_fd()).map_err(fail)?;
                if !stat.untouched(&later) || self.old.is_some_and(|old| old != content.digest) {
                    let words = format!("`{}` has been changed by somebody else meanwhile", path.display());
                    return Err(Failure::new(FailureKind::Changed, words));
                }
                (Content::File(content), xattrs)
            }
            kind => {
                let held = mutate::hold(folder.as_fd(), &name).map_err(fail)?;
                let content = match kind {
                    FileKind::Dir => Content::Dir,
                    FileKind::Symlink => Content::Symlink(beneath::read_link(folder.as_fd(), &name).map_err(fail)?),
                    _ => Content::Special,
                };
                (content, xattrs(held.as_fd())?)
            }
        };
        Ok(Image { meta: stat.with_xattrs(xattrs), content })
    }

    fn is_racy(&self, stat: &Stat) -> bool {
        let now = self.engine.now();
        let age = (now.secs - stat.ctime.secs).saturating_mul(1_000_000_000) + i64::from(now.nanos)
            - i64::from(stat.ctime.nanos);
        stat.kind == FileKind::File && age < RACY_NANOS
    }
}

struct Coming {
    after: Image,
    lies: Lies,
    set: bool,
    strip: Vec<Xattr>,
}

fn file_of(digest: Digest) -> Content {
    Content::File(FileContent { digest, chunks: Vec::new(), stored: false })
}

fn split_layering(stat: &Stat, xattrs: Vec<Xattr>) -> (Meta, Vec<Xattr>) {
    let (strip, xattrs) = xattrs.into_iter().partition(|xattr| is_layering(&xattr.name));
    (stat.with_xattrs(xattrs), strip)
}

fn reviewed(path: &RelPath) -> Failure {
    let words = format!("`{}` is not in the draft as it was reviewed; review it again", path.display());
    Failure::new(FailureKind::Changed, words)
}

/// The image of what an operation brings.
fn after_of(change: &mut Change) -> Option<&mut Image> {
    match change {
        Change::Replace { after, .. } | Change::Create { after, .. } => Some(after),
        _ => None,
    }
}

/// Everything has been taken in: waits for the store, and puts the operations in their final order.
pub(super) fn complete(engine: &Engine, begin: &Begin, prepared: &mut Prepared) -> Result<(), Failure> {
    prepared.take_readings();
    if !prepared.conflicts.is_empty() || prepared.failure.is_some() {
        return prepared.failure.take().map_or(Ok(()), Err);
    }
    prepared.storing.finish(&engine.recorder).map_err(|words| broken(&words))?;
    for group in std::mem::take(&mut prepared.linked).into_values() {
        keep_together(engine, begin, prepared, &group)?;
    }
    close_again(prepared);
    // Metadata last, of folders from the deepest up: what it forbids is done by then, in undo as well.
    prepared.ops.sort_by_key(|op| match (&op.deed, &op.change) {
        (Deed::Meta, Change::SetMeta { at, before, .. }) if before.kind == FileKind::Dir => {
            (2, u32::MAX - u32::try_from(at.path.names().count()).unwrap_or(0))
        }
        (Deed::Meta, _) => (1, 0),
        _ => (0, 0),
    });
    Ok(())
}

/// Names of one file of the draft: they come together if all of them do. A file that keeps another name in the draft is
/// copied, for what is written to it there must not show in the folder.
fn keep_together(engine: &Engine, begin: &Begin, prepared: &mut Prepared, group: &[usize]) -> Result<(), Failure> {
    let names = group.len() as u64;
    let mut first: Option<(u64, Image)> = None;
    for index in group {
        let Some(op) = prepared.ops.get(*index) else { continue };
        let Change::Create { at, after } = &op.change else { continue };
        let (n, at, meta, deed) = (op.n, at.clone(), after.meta.clone(), op.deed);
        if deed == Deed::Bring(Lies::Upper) && meta.nlink == names {
            return Ok(());
        }
        let Some((parent, name)) = at.path.split_last() else { continue };
        let fail = |e| at_path(e, &at.path);
        let (number, image) = match (&first, deed) {
            // One more name for the copy that was made for the first.
            (Some((of, image)), _) => {
                let number = match deed {
                    Deed::Bring(Lies::Held(number)) => number,
                    _ => prepared.number(),
                };
                let (old, new) = (held_name(engine.run, *of), held_name(engine.run, number));
                let hold = prepared.hold(engine, begin, n)?.fd.as_fd();
                if deed == Deed::Bring(Lies::Held(number)) {
                    mutate::unlink(hold, &new).map_err(fail)?;
                }
                mutate::link(hold, &old, hold, &new).map_err(fail)?;
                (number, image.clone())
            }
            (None, Deed::Bring(Lies::Held(number))) => (number, after.clone()),
            (None, _) => {
                let folder = prepared.draft_folder(begin, n, &parent)?;
                let stat = state::stat_at(folder.as_fd(), name).map_err(fail)?.ok_or_else(|| reviewed(&at.path))?;
                let number = prepared.number();
                let hold = prepared.hold(engine, begin, n)?;
                let from = Original { folder: folder.as_fd(), name, stat: &stat, path: &at.path };
                let (made, content) = copy(&from, hold.fd.as_fd(), &held_name(engine.run, number), &meta)?;
                (number, Image { meta: Meta { identity: made.identity, ..meta }, content })
            }
        };
        let after = Image { meta: Meta { nlink: names, ..image.meta.clone() }, content: image.content.clone() };
        first.get_or_insert((number, image));
        if let Some(op) = prepared.ops.get_mut(*index) {
            op.change = Change::Create { at, after };
            op.deed = Deed::Bring(Lies::Held(number));
            (op.set, op.strip) = (false, Vec::new());
        }
    }
    Ok(())
}

/// A folder that was opened gets its own mode again, or that of the draft, at the end.
fn close_again(prepared: &mut Prepared) {
    let opened: Vec<(usize, RelPath, Meta, Meta)> = prepared
        .dirs
        .iter()
        .filter_map(|(n, path, dir)| dir.opened.clone().map(|(before, after)| (n, path.clone(), before, after)))
        .collect();
    for (n, path, closed, open) in opened {
        let own = prepared.ops.iter_mut().find(|op| {
            op.n == n && op.deed == Deed::Meta && matches!(&op.change, Change::SetMeta { at, .. } if at.path == path)
        });
        match own.map(|op| &mut op.change) {
            Some(Change::SetMeta { before, .. }) => *before = open,
            _ => {
                let grant = prepared.ops.iter().find_map(|op| match &op.change {
                    Change::SetMeta { at, .. } if op.n == n && at.path == path => Some(at.grant),
                    _ => None,
                });
                let Some(grant) = grant else { continue };
                let change = Change::SetMeta { at: Spot { grant, path }, before: open, after: closed };
                prepared.push(n, change, Deed::Meta);
            }
        }
    }
}
