//! Carrying a commit through: durable first, then deed by deed, then folders and times, then durable again. Or all of it
//! back.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use raincoat_os::{beneath, mutate, state};
use raincoat_types::{
    Change, Content, DirTimes, Failure, FailureKind, FileKind, Identity, Image, Intent, Meta, OpId, OpResult, RelPath,
    RunId, Spot, Timestamp,
};

use super::act::Stop;
use super::dirs::{Doors, Paths, Side};
use super::point::{Deed, Lies, Lying, Point, Touched};
use super::prepare::{Op, Prepared, complete};
use super::stage::{held_name, hold_name};
use super::{Applied, Begin, Early};
use crate::engine::Engine;
use crate::failure::{at_path, broken};
use crate::recorder::Recorder;

/// Intents that go to the journal in one message.
const TOGETHER: usize = 1024;

/// A commit under way.
pub(super) struct Carrying<'a> {
    pub(super) engine: &'a Engine,
    pub(super) begin: &'a Begin,
    pub(super) ops: Vec<Op>,
    dirs: Vec<Touched>,
    by_dir: Paths<usize>,
    /// Folders that this commit makes.
    made: Paths<Identity>,
    pub(super) holds: HashMap<usize, Arc<OwnedFd>>,
    /// Folders of the run that have the holding directory within.
    within: HashSet<usize>,
    pub(super) doors: Doors,
    /// Times of the draft's own folders, which what is moved out of them alters.
    draft_times: Vec<(usize, RelPath, Timestamp, Timestamp)>,
    /// It was interrupted, and goes on.
    pub(super) resumed: bool,
    /// What was left as somebody else made it.
    pub(super) words: Vec<String>,
}

/// What a folder is to be at the end.
enum Last {
    Times(Timestamp, Timestamp),
    Meta(Meta),
}

/// Commits what has been got ready, or nothing.
pub(super) fn apply(engine: &Engine, begin: &Begin, mut prepared: Prepared, early: Option<Early>) -> Applied {
    if prepared.failure.is_none() && prepared.conflicts.is_empty() {
        let ready = complete(engine, begin, &mut prepared);
        prepared.failure = ready.err();
    }
    if prepared.failure.is_none() && engine.stop.load(Ordering::Relaxed) {
        prepared.failure = Some(Failure::new(FailureKind::Stopped, "stopped before anything was committed"));
    }
    let (conflicts, failure) = (std::mem::take(&mut prepared.conflicts), prepared.failure.take());
    let unmade = failure.is_some() || !conflicts.is_empty();
    let mut carrying = Carrying::new(engine, begin, prepared);
    if unmade || carrying.ops.is_empty() {
        let cleared = carrying.clear_away();
        return Applied { changes: 0, conflicts, failure: failure.or(cleared.err()) };
    }
    carrying.commit(early)
}

impl<'a> Carrying<'a> {
    fn new(engine: &'a Engine, begin: &'a Begin, prepared: Prepared) -> Carrying<'a> {
        let Prepared { mut doors, dirs, ops, holds, .. } = prepared;
        let mut touched = Vec::new();
        let mut draft_times = Vec::new();
        for (n, path, dir) in dirs.iter() {
            if !dir.touched {
                continue;
            }
            // In the draft it has the times that the program left it with.
            let source = begin.sources.get(n).and_then(Option::as_ref);
            let after = source
                .and_then(|source| doors.open(&source.upper, Side::Upper, n, path, None).ok())
                .and_then(|fd| state::stat_fd(fd.as_fd()).ok())
                .map(|stat| (stat.mtime, stat.atime));
            if let Some((mtime, atime)) = after {
                draft_times.push((n, path.clone(), mtime, atime));
            }
            let folder = u32::try_from(n).unwrap_or(u32::MAX);
            touched.push(Touched { folder, path: path.clone(), identity: dir.identity, before: dir.times, after });
        }
        let within = holds.iter().filter(|(_, hold)| hold.within).map(|(n, _)| *n).collect();
        let holds = holds.into_iter().map(|(n, hold)| (n, Arc::new(hold.fd))).collect();
        let mut carrying = Carrying::resume(engine, begin, ops, touched);
        (carrying.holds, carrying.within, carrying.draft_times) = (holds, within, draft_times);
        carrying.resumed = false;
        carrying
    }

    /// One that was interrupted.
    pub(super) fn resume(engine: &'a Engine, begin: &'a Begin, ops: Vec<Op>, dirs: Vec<Touched>) -> Carrying<'a> {
        let draft_times = dirs.iter().filter_map(|dir| {
            let (mtime, atime) = dir.after?;
            Some((dir.folder as usize, dir.path.clone(), mtime, atime))
        });
        let draft_times = draft_times.collect();
        let mut by_dir = Paths::default();
        for (i, dir) in dirs.iter().enumerate() {
            by_dir.insert(dir.folder as usize, dir.path.clone(), i);
        }
        let mut made = Paths::default();
        for op in &ops {
            if let Change::Create { at, after } = &op.change
                && after.content == Content::Dir
            {
                made.insert(op.n, at.path.clone(), after.meta.identity);
            }
        }
        let mut carrying = Carrying {
            engine,
            begin,
            ops,
            dirs,
            by_dir,
            made,
            holds: HashMap::new(),
            within: HashSet::new(),
            doors: Doors::default(),
            draft_times,
            resumed: true,
            words: Vec::new(),
        };
        carrying.find_holds();
        carrying
    }

    /// Where this commit's own files lie, found again.
    fn find_holds(&mut self) {
        for (n, folder) in self.engine.resolver.folders.iter().enumerate() {
            let name = hold_name(self.engine.run);
            if let Ok(Some(stat)) = state::stat_at(folder.root.as_fd(), &name)
                && stat.kind == FileKind::Dir
                && let Ok(fd) = mutate::hold(folder.root.as_fd(), &name)
            {
                self.holds.insert(n, Arc::new(fd));
                self.within.insert(n);
            } else if let Some(source) = self.begin.sources.get(n).and_then(Option::as_ref)
                && let Ok(fd) = source.stage.as_fd().try_clone_to_owned()
            {
                self.holds.insert(n, Arc::new(fd));
            }
        }
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.engine.recorder
    }

    pub(super) fn run(&self) -> RunId {
        self.engine.run
    }

    /// Which directory a folder was when it was looked at, or was made.
    pub(super) fn identity_of(&self, n: usize, path: &RelPath) -> Option<Identity> {
        self.made.get(n, path).copied().or_else(|| Some(self.dirs.get(*self.by_dir.get(n, path)?)?.identity))
    }

    /// A folder that came back out of the store is another directory.
    pub(super) fn now_is(&mut self, n: usize, path: &RelPath, identity: Identity) {
        if let Some(dir) = self.by_dir.get(n, path).and_then(|i| self.dirs.get_mut(*i)) {
            dir.identity = identity;
        }
    }

    fn commit(mut self, early: Option<Early>) -> Applied {
        let mut out = Applied::default();
        if let Err(failure) = self.mean(early) {
            // Nothing was touched. Where the store still takes it, that is said there; else the next start says it.
            if failure.kind != FailureKind::Broken {
                self.conclude_unmade(&failure.message);
            }
            let cleared = self.clear_away();
            return Applied {
                failure: Some(failure),
                ..match cleared {
                    Ok(()) | Err(_) => out,
                }
            };
        }
        match self.forward() {
            Ok(results) => {
                out.changes = u32::try_from(results.len()).unwrap_or(u32::MAX);
                // The files are as they are to be. Without the outcomes, the next start finds that out.
                out.failure =
                    self.recorder().conclude(results, |op| self.change_of(op)).err().map(|words| broken(&words));
            }
            Err(stop) => {
                let unknown = matches!(&stop, Stop::Failed(failure) if failure.kind == FailureKind::Broken);
                match stop {
                    Stop::Conflict(spot, words) => out.conflicts.push((spot, words)),
                    Stop::Failed(failure) => out.failure = Some(failure),
                }
                // A disk that fails is not written to any more: the next start looks at what is there.
                if unknown {
                    return out;
                }
                let why = out.failure.as_ref().map_or("somebody changed a file meanwhile", |f| f.message.as_str());
                let why = format!("nothing was committed: {why}");
                if let Err(failure) = self.back() {
                    out.failure = Some(broken(&failure.message));
                    return out;
                }
                self.conclude_unmade(&why);
            }
        }
        out
    }

    fn conclude_unmade(&self, why: &str) {
        let all = (1..).zip(&self.ops);
        let results = all.map(|(seq, _)| (OpId { run: self.run(), seq }, OpResult::NotDone(why.to_owned()))).collect();
        // Where this fails, the next start finds the operations pending, looks, and says the same.
        let _ = self.recorder().conclude(results, |op| self.change_of(op));
    }

    /// What was meant by an operation.
    fn change_of(&self, op: OpId) -> Option<&Change> {
        self.ops.get(usize::try_from(op.seq).ok()?.checked_sub(1)?).map(|op| &op.change)
    }

    /// Makes the draft's content durable, then what is meant, with the commit point.
    fn mean(&mut self, early: Option<Early>) -> Result<(), Failure> {
        let at = self.engine.now();
        let mut answers = Vec::new();
        for (first, ops) in (0..).step_by(TOGETHER).zip(self.ops.chunks(TOGETHER)) {
            let intents = (first + 1..)
                .zip(ops)
                .map(|(seq, op)| Intent {
                    op: OpId { run: self.run(), seq },
                    at,
                    change: op.change.clone(),
                    temp: None,
                    dirs: self.dirs_before(op),
                    undoes: None,
                })
                .collect();
            answers.push(self.recorder().intend_later(intents));
        }
        let synced = self.sync_draft(early);
        for answer in answers {
            answer.wait().map_err(|words| broken(&words))?;
        }
        synced?;
        let point = Point::new(
            self.begin.sources.iter().map(|source| source.as_ref().map(lying)).collect(),
            self.begin.stays,
            self.ops.iter().map(|op| op.deed).collect(),
            self.dirs.clone(),
        );
        let point = point.write().map_err(|words| broken(&words))?;
        self.recorder().commit_point(self.run(), point).map_err(|words| broken(&words))
    }

    /// What is moved or was copied must be on the disk before anything leads to it.
    fn sync_draft(&self, early: Option<Early>) -> Result<(), Failure> {
        // An error of the first is not told again by the second.
        let ahead = early.and_then(|early| early.recv().ok()).unwrap_or(Ok(()));
        let stages = self.begin.sources.iter().flatten().map(|source| source.stage.as_fd());
        let within = self.within.iter().filter_map(|n| self.holds.get(n)).map(|fd| fd.as_fd());
        ahead
            .and_then(|()| sync_all(stages.chain(within)))
            .map_err(|e| Failure::new(FailureKind::Denied, format!("the draft could not be made durable ({e})")))
    }

    /// Does all that is left to do. What came of each operation.
    pub(super) fn forward(&mut self) -> Result<Vec<(OpId, OpResult)>, Stop> {
        self.doors.forget();
        for i in 0..self.ops.len() {
            let Some(op) = self.ops.get(i) else { continue };
            let of_dir = matches!(&op.change, Change::SetMeta { before, .. } if before.kind == FileKind::Dir);
            if op.deed == Deed::Meta && of_dir {
                continue;
            }
            if self.resumed {
                match self.state(i)? {
                    super::act::State::After => continue,
                    super::act::State::Before => {}
                    super::act::State::Theirs => {
                        let Some(at) = self.ops.get(i).and_then(Op::sides).map(|sides| sides.at.clone()) else {
                            continue;
                        };
                        let words = format!("`{}` has been changed by somebody else meanwhile", at.path.display());
                        return Err(Stop::Conflict(at, words));
                    }
                }
            }
            self.act(i)?;
        }
        self.tidy(true)?;
        let lasts = self.lasts();
        self.give_lasts(&lasts)?;
        let synced = self.sync_folders_beside()?;
        // None of them is kept before all is durable.
        let results = self.results(&lasts);
        synced
            .recv()
            .unwrap_or_else(|_| Err(std::io::Error::other("the log's thread is gone")))
            .map_err(not_durable)?;
        Ok(results)
    }

    /// Takes all of it back, from the last to the first.
    pub(super) fn back(&mut self) -> Result<(), Failure> {
        self.doors.forget();
        for i in (0..self.ops.len()).rev() {
            self.take_back(i)?;
        }
        self.clear_away()?;
        self.sync_folders().map_err(|stop| match stop {
            Stop::Failed(failure) => failure,
            Stop::Conflict(_, words) => broken(&words),
        })
    }

    /// Clears up behind a commit that was not made: staged files go, and folders get their times back.
    fn clear_away(&mut self) -> Result<(), Failure> {
        match self.tidy(false) {
            Ok(()) => {}
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Conflict(_, words)) => return Err(broken(&words)),
        }
        let mut dirs: Vec<(usize, RelPath, Timestamp, Timestamp)> =
            self.dirs.iter().map(|dir| (dir.folder as usize, dir.path.clone(), dir.before.0, dir.before.1)).collect();
        dirs.sort_by_key(|(_, path, ..)| std::cmp::Reverse(path.names().count()));
        for (n, path, mtime, atime) in dirs {
            let identity = self.identity_of(n, &path);
            let root = &self.engine.resolver.folder(n)?.root;
            // One that somebody took away or replaced has no times of ours.
            let Ok(fd) = self.doors.open(root, Side::Folder, n, &path, identity.as_ref()) else { continue };
            let now = state::stat_fd(fd.as_fd()).map_err(|e| at_path(e, &path))?;
            if (now.mtime, now.atime) != (mtime, atime) {
                mutate::set_times_of(fd.as_fd(), mtime, atime).map_err(|e| at_path(e, &path))?;
            }
        }
        self.give_draft_times();
        Ok(())
    }

    /// The draft's folders look as the program left them, for the next review.
    fn give_draft_times(&mut self) {
        for (n, path, mtime, atime) in std::mem::take(&mut self.draft_times) {
            if let Some(source) = self.begin.sources.get(n).and_then(Option::as_ref)
                && let Ok(fd) = self.doors.open(&source.upper, Side::Upper, n, &path, None)
            {
                let _ = mutate::set_times_of(fd.as_fd(), mtime, atime);
            }
        }
    }

    /// Clears away what a commit that was made (or was not) leaves lying: in the draft only if that goes on, for else it
    /// is wiped as a whole.
    fn tidy(&mut self, made: bool) -> Result<(), Stop> {
        if made && self.begin.stays {
            for i in 0..self.ops.len() {
                let Some(op) = self.ops.get(i) else { continue };
                let (Deed::Swap(lies), Some(sides)) = (op.deed, op.sides()) else { continue };
                let (n, path, old) = (op.n, sides.at.path.clone(), sides.before.map(|b| b.meta.identity));
                if matches!(lies, Lies::Held(_)) {
                    continue;
                }
                let Ok(from) = self.lying(n, &path, lies) else { continue };
                let fail = |e| Stop::Failed(at_path(e, &path));
                let stat = state::stat_at(from.fd.as_fd(), &from.name).map_err(fail)?;
                if stat.is_some_and(|stat| Some(stat.identity) == old) {
                    mutate::unlink(from.fd.as_fd(), &from.name).map_err(fail)?;
                }
            }
            self.unhide()?;
            self.give_draft_times();
        }
        let holds: Vec<(usize, Arc<OwnedFd>)> = self.holds.iter().map(|(n, fd)| (*n, Arc::clone(fd))).collect();
        for (n, hold) in holds {
            let within = self.within.contains(&n);
            if made && !self.begin.stays && !within {
                continue;
            }
            let fail = |e| Stop::Failed(at_path(e, &RelPath::ROOT));
            self.clear_hold(hold.as_fd()).map_err(fail)?;
            if within {
                let root = &self.engine.resolver.folder(n)?.root;
                match mutate::remove_dir(root.as_fd(), &hold_name(self.run())) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Takes this commit's own files out of the holding directory.
    fn clear_hold(&self, hold: BorrowedFd<'_>) -> std::io::Result<()> {
        let dir = beneath::open_dir_for_reading(hold, b"")?;
        let ours = held_name(self.run(), 0);
        let ours = ours.strip_suffix(b"0").unwrap_or(&ours);
        for name in beneath::names_in(dir.as_fd())?.into_iter().filter(|name| name.starts_with(ours)) {
            match state::stat_at(hold, &name)?.map(|stat| stat.kind) {
                Some(FileKind::Dir) => mutate::remove_dir(hold, &name)?,
                Some(_) => mutate::unlink(hold, &name)?,
                None => {}
            }
        }
        Ok(())
    }

    /// What each folder is to be at the end.
    fn lasts(&self) -> Vec<(usize, RelPath, Last)> {
        let mut lasts: HashMap<(usize, RelPath), Last> = HashMap::new();
        for dir in &self.dirs {
            if let Some((mtime, atime)) = dir.after {
                lasts.insert((dir.folder as usize, dir.path.clone()), Last::Times(mtime, atime));
            } else if self.within.contains(&(dir.folder as usize)) && dir.path.is_root() {
                lasts.insert((dir.folder as usize, RelPath::ROOT), Last::Times(dir.before.0, dir.before.1));
            }
        }
        for op in &self.ops {
            match &op.change {
                Change::Create { at, after } if after.content == Content::Dir => {
                    lasts.insert((op.n, at.path.clone()), Last::Meta(after.meta.clone()));
                }
                Change::SetMeta { at, after, .. } if op.deed == Deed::Meta && after.kind == FileKind::Dir => {
                    lasts.insert((op.n, at.path.clone()), Last::Meta(after.clone()));
                }
                _ => {}
            }
        }
        let mut lasts: Vec<_> = lasts.into_iter().map(|((n, path), last)| (n, path, last)).collect();
        lasts.sort_by_key(|(_, path, _)| std::cmp::Reverse(path.names().count()));
        lasts
    }

    fn give_lasts(&mut self, lasts: &[(usize, RelPath, Last)]) -> Result<(), Stop> {
        for (n, path, last) in lasts {
            let identity = self.identity_of(*n, path).or_else(|| self.meta_identity(*n, path));
            let root = &self.engine.resolver.folder(*n)?.root;
            let fd = match self.doors.open(root, Side::Folder, *n, path, identity.as_ref()) {
                Ok(fd) => fd,
                // Taken away by this commit, or since by somebody.
                Err(failure) if matches!(last, Last::Times(..)) && failure.kind != FailureKind::Broken => continue,
                Err(failure) => {
                    let grant = self.engine.resolver.folder(*n)?.grant;
                    return Err(Stop::Conflict(Spot { grant, path: path.clone() }, failure.message));
                }
            };
            let set = match last {
                Last::Times(mtime, atime) => mutate::set_times_of(fd.as_fd(), *mtime, *atime),
                Last::Meta(meta) => mutate::set_meta_of(fd.as_fd(), meta),
            };
            set.map_err(|e| Stop::Failed(at_path(e, path)))?;
        }
        Ok(())
    }

    fn meta_identity(&self, n: usize, path: &RelPath) -> Option<Identity> {
        self.ops.iter().find_map(|op| match &op.change {
            Change::SetMeta { at, before, .. } if op.n == n && at.path == *path => Some(before.identity),
            _ => None,
        })
    }

    fn sync_folders(&self) -> Result<(), Stop> {
        let folders = self.engine.resolver.folders.iter().map(|folder| folder.root.as_fd());
        sync_all(folders).map_err(not_durable)
    }

    /// The same, beside what else is to be done.
    fn sync_folders_beside(&self) -> Result<Early, Stop> {
        let folders = self.engine.resolver.folders.iter().map(|folder| folder.root.as_fd());
        let dirs = one_of_each(folders).and_then(|dirs| dirs.into_iter().map(|dir| dir.try_clone_to_owned()).collect());
        Ok(self.recorder().sync_beside(dirs.map_err(not_durable)?))
    }

    /// Times of the folder whose entries an operation alters, before it; of the folder itself where its own are set.
    fn dirs_before(&self, op: &Op) -> Vec<DirTimes> {
        if let Change::SetMeta { at, before, .. } = &op.change {
            let own = DirTimes { at: at.clone(), mtime: before.mtime, atime: before.atime };
            return if before.kind == FileKind::Dir { vec![own] } else { Vec::new() };
        }
        let Some(at) = op.sides().map(|sides| sides.at) else { return Vec::new() };
        let Some((path, _)) = at.path.split_last() else { return Vec::new() };
        let dir = self.by_dir.get(op.n, &path).and_then(|i| self.dirs.get(*i));
        dir.map(|dir| DirTimes { at: Spot { grant: at.grant, path }, mtime: dir.before.0, atime: dir.before.1 })
            .into_iter()
            .collect()
    }

    /// What came of it all. The new files were checked as they came: they are what was meant.
    fn results(&mut self, lasts: &[(usize, RelPath, Last)]) -> Vec<(OpId, OpResult)> {
        let mut times: HashMap<(usize, RelPath), (Timestamp, Timestamp)> = HashMap::new();
        for (n, path, last) in lasts {
            let last = match last {
                Last::Times(mtime, atime) => (*mtime, *atime),
                Last::Meta(meta) => (meta.mtime, meta.atime),
            };
            times.insert((*n, path.clone()), last);
        }
        for i in 0..self.dirs.len() {
            let Some(dir) = self.dirs.get(i) else { continue };
            let (n, path, identity) = (dir.folder as usize, dir.path.clone(), dir.identity);
            if let std::collections::hash_map::Entry::Vacant(free) = times.entry((n, path.clone()))
                && let Ok(folder) = self.engine.resolver.folder(n)
                && let Ok(fd) = self.doors.open(&folder.root, Side::Folder, n, &path, Some(&identity))
                && let Ok(stat) = state::stat_fd(fd.as_fd())
            {
                free.insert((stat.mtime, stat.atime));
            }
        }
        let of = |n: usize, at: Spot| {
            let found = times.get(&(n, at.path.clone())).copied();
            found.map(|(mtime, atime)| DirTimes { at, mtime, atime }).into_iter().collect::<Vec<_>>()
        };
        (1..)
            .zip(&self.ops)
            .map(|(seq, op)| {
                let (after, dirs) = match &op.change {
                    Change::SetMeta { at, after, .. } => {
                        let image = Image { meta: after.clone(), content: Content::Dir };
                        (Some(image), if after.kind == FileKind::Dir { of(op.n, at.clone()) } else { Vec::new() })
                    }
                    _ => {
                        let sides = op.sides();
                        let parent = sides.as_ref().and_then(|sides| {
                            let (path, _) = sides.at.path.split_last()?;
                            Some(Spot { grant: sides.at.grant, path })
                        });
                        let after = sides.and_then(|sides| sides.after).cloned();
                        (after, parent.map(|at| of(op.n, at)).unwrap_or_default())
                    }
                };
                (OpId { run: self.run(), seq }, OpResult::Done { after, dirs })
            })
            .collect()
    }
}

fn lying(source: &super::Source) -> Lying {
    Lying {
        upper: source.upper.path().as_os_str().as_bytes().to_vec(),
        upper_identity: source.upper.identity(),
        stage: source.stage.path().as_os_str().as_bytes().to_vec(),
        stage_identity: source.stage.identity(),
        ended: source.ended,
    }
}

/// The kernel may have thrown pages away: what is on the disk is not known, and the next start looks.
fn not_durable(error: std::io::Error) -> Stop {
    Stop::Failed(broken(&format!("the folder could not be made durable ({error})")))
}

/// One call for each file system.
fn sync_all<'f>(dirs: impl Iterator<Item = BorrowedFd<'f>>) -> std::io::Result<()> {
    one_of_each(dirs)?.into_iter().try_for_each(mutate::sync_file_system)
}

/// One directory of each file system.
fn one_of_each<'f>(dirs: impl Iterator<Item = BorrowedFd<'f>>) -> std::io::Result<Vec<BorrowedFd<'f>>> {
    let mut seen: Vec<(u64, BorrowedFd<'f>)> = Vec::new();
    for dir in dirs {
        let dev = state::stat_fd(dir)?.identity.dev;
        if !seen.iter().any(|(known, _)| *known == dev) {
            seen.push((dev, dir));
        }
    }
    Ok(seen.into_iter().map(|(_, dir)| dir).collect())
}
