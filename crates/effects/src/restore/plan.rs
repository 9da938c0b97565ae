//! What a restore comes to: a folder as it was at an earlier time ([`Rewind`]) compared with what lies on the disk. Files
//! that need no change get no step, and nothing outside of the folder has one.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use raincoat_journal::{Node, Rewind, Standing, Times, below};
use raincoat_os::{Found, beneath, state};
use raincoat_types::{
    Bring, Content, DirTimes, Failure, FileChange, FileKind, Image, Meta, RelPath, Root, Spot, display_bytes,
};

use super::folder_image;
use crate::Effects;
use crate::capture::same_content;
use crate::undo::{Ask, propose};

/// What is to be done, in order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The changes.
    pub steps: Vec<(Spot, Bring)>,
    /// What they come to, for people.
    pub items: Vec<Item>,
    /// Times of folders that nobody has touched since, to be given back at the end.
    pub times: Vec<(Spot, Times)>,
}

/// What becomes of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its absolute path.
    pub path: Vec<u8>,
    /// What is done.
    pub what: What,
    /// Somebody else has changed it since; what they made goes into the journal first.
    pub drift: bool,
}

/// What a restore does to a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// It is put back where nothing, or something else, stands.
    BringBack,
    /// It gets its old content.
    Content,
    /// It gets its old permissions, times or attributes.
    Attributes,
    /// It is moved back from this absolute path.
    MoveBack(Vec<u8>),
    /// It was not there then, and goes.
    TakeAway,
    /// It is copied as it is now.
    Copy,
    /// It stays as it is, and why.
    Leave(String),
}

struct Planning<'a> {
    effects: &'a Effects,
    root: &'a Root,
    rewind: &'a Rewind,
    plan: Plan,
    /// Moves among the steps so far.
    moved: Vec<(RelPath, RelPath)>,
    /// Places on the disk that a step has dealt with already.
    dealt: BTreeSet<RelPath>,
    /// Places on the disk whose files a step moves elsewhere.
    away: BTreeSet<RelPath>,
    spare: u32,
}

/// Plans to put what is at an absolute path, within the run's folder `root`, back to what it was.
pub fn plan(effects: &Effects, root: &Root, path: &[u8], rewind: &Rewind) -> Plan {
    let (plan, moved, dealt, away) = (Plan::default(), Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut planning = Planning { effects, root, rewind, plan, moved, dealt, away, spare: 0 };
    if let (Standing::Known(node), Some(at)) = (rewind.at(path), planning.within(path)) {
        planning.visit(node, &at);
    }
    let in_order = |(_, bring): &(Spot, Bring)| matches!(bring, Bring::From(_) | Bring::Nothing);
    if !planning.plan.steps.iter().any(in_order) {
        folders_first(&mut planning.plan.steps, &BTreeSet::new());
    }
    planning.take_away(path);
    if planning.plan.steps.is_empty() {
        // Nothing moves a folder's time, so those that are right stay so.
        let mut times = std::mem::take(&mut planning.plan.times);
        times.retain(|(spot, then)| effects.dir_times(spot).is_none_or(|now| now.mtime != then.mtime));
        planning.plan.times = times;
    }
    planning.plan.times.sort_by_key(|(spot, _)| std::cmp::Reverse(spot.path.names().count()));
    planning.plan
}

impl Planning<'_> {
    fn within(&self, path: &[u8]) -> Option<RelPath> {
        RelPath::new(below(path, &self.root.path)?).ok()
    }

    fn spot(&self, path: &RelPath) -> Spot {
        Spot { grant: self.root.grant, path: path.clone() }
    }

    fn absolute(&self, path: &RelPath) -> Vec<u8> {
        absolute(self.root, path)
    }

    fn disk(&self, path: &RelPath) -> Option<Found> {
        on_disk(self.effects, &self.spot(path))
    }

    /// Where something that lies at a place now is after the steps so far.
    fn after_moves(&self, path: RelPath) -> RelPath {
        self.moved.iter().fold(path, |at, (from, to)| rebase(&at, from, to).unwrap_or(at))
    }

    /// What lies on the disk now that is at a place after the steps so far.
    fn before_moves(&self, path: &RelPath) -> Option<RelPath> {
        let mut at = path.clone();
        for (from, to) in self.moved.iter().rev() {
            if let Some(before) = rebase(&at, to, from) {
                at = before;
            } else if at.starts_with(from) {
                return None;
            }
        }
        Some(at)
    }

    fn step(&mut self, at: &RelPath, bring: Bring) {
        let spot = self.spot(at);
        self.plan.steps.push((spot, bring));
    }

    fn tell(&mut self, at: &RelPath, what: What, drift: bool) {
        let path = self.absolute(at);
        self.plan.items.push(Item { path, what, drift });
    }

    fn visit(&mut self, node: &Node, at: &RelPath) {
        let stands = self.before_moves(at).and_then(|before| self.disk(&before).map(|found| (before, found)));
        let lies = node.now.as_deref().and_then(|now| self.within(now)).filter(|now| self.disk(now).is_some());
        let source = lies.clone().and_then(|now| self.disk(&now));
        let now = lies.clone().map(|now| self.after_moves(now));
        let is_dir = match (node.known_image(), &source) {
            (Some(image), _) => image.content == Content::Dir,
            (None, Some(found)) => found.stat.as_ref().is_some_and(|stat| stat.kind == FileKind::Dir),
            (None, None) => true,
        };
        if now.as_ref() != Some(at) {
            let Some(()) = self.make_place(node, at, stands, now.is_some(), is_dir) else { return };
            // What was in its place may have taken it along.
            match lies.clone().map(|now| self.after_moves(now)) {
                Some(now) => {
                    let from = self.spot(&now);
                    let words = self.absolute(&now);
                    self.step(at, Bring::From(from));
                    self.moved.push((now, at.clone()));
                    self.away.extend(lies);
                    self.tell(at, What::MoveBack(words), false);
                }
                None if !self.bring_back(node, at, is_dir) => return,
                None => {}
            }
        }
        if let Some(found) = &source {
            self.put_right(node, at, found);
        }
        for (name, child) in self.rewind.names(node) {
            if let (Some(child), Ok(at)) = (child, at.join(name)) {
                self.visit(child, &at);
            }
        }
        if is_dir && let Some((then, last)) = node.times {
            let now = source.as_ref().and_then(|found| found.stat.as_ref()).map(|stat| stat.mtime);
            let untouched = match (now, last) {
                (Some(now), Some(last)) => now == last.mtime || now == then.mtime,
                _ => true,
            };
            if untouched {
                let spot = self.spot(at);
                self.plan.times.push((spot, then));
            }
        }
    }

    /// Sees to it that what is to come can come. `None` where something is in the way that stays.
    fn make_place(
        &mut self,
        node: &Node,
        at: &RelPath,
        stands: Option<(RelPath, Found)>,
        comes_by_move: bool,
        is_dir: bool,
    ) -> Option<()> {
        let Some((there, found)) = stands else { return Some(()) };
        let kind = found.stat.as_ref().map(|stat| stat.kind);
        let other = self.rewind.now_at(&self.absolute(&there)).filter(|other| !std::ptr::eq(*other, node));
        let has_place = |other: &Node| other.was && self.rewind.path_of(other).is_some();
        let in_the_way = kind == Some(FileKind::Dir) && (comes_by_move || !is_dir);
        if other.is_some_and(|other| has_place(other) || (in_the_way && !other.was && self.empties(&there, &found))) {
            // It has a place of its own, which it gets later; or it is a folder that goes when all is out of it.
            self.spare += 1;
            let (parent, _) = at.split_last()?;
            let spare = parent.join(format!(".raincoat-restore-{}", self.spare).as_bytes()).ok()?;
            let from = self.spot(at);
            self.step(&spare, Bring::From(from));
            self.moved.push((at.clone(), spare));
            return Some(());
        }
        match kind {
            Some(FileKind::Dir) if is_dir && !comes_by_move => {}
            Some(FileKind::Dir) => {
                self.tell(at, What::Leave("a folder is in its way; move it elsewhere first".to_owned()), true);
                return None;
            }
            Some(FileKind::Special) => {
                let words = "a FIFO, socket or device is in its way; move it elsewhere first".to_owned();
                self.tell(at, What::Leave(words), true);
                return None;
            }
            _ if is_dir || comes_by_move => {
                self.step(at, Bring::Nothing);
                self.tell(at, What::TakeAway, self.is_drift(other, &found));
            }
            _ => {}
        }
        self.dealt.insert(there);
        Some(())
    }

    /// Whether there was something to bring back, or a folder for what is to be brought back into it.
    fn bring_back(&mut self, node: &Node, at: &RelPath, is_dir: bool) -> bool {
        let stands = self.before_moves(at).and_then(|before| self.disk(&before));
        if let Some(image) = node.known_image() {
            if is_dir && stands.as_ref().and_then(|found| found.stat.as_ref()).is_some_and(|s| s.kind == FileKind::Dir)
            {
                self.step(at, Bring::Meta(Box::new(image.meta.clone())));
                return true;
            }
            let drift = stands.as_ref().is_some_and(|found| !is_as(found, image));
            if stands.is_none() || drift {
                self.step(at, Bring::Image(Box::new(image.clone())));
                self.tell(at, What::BringBack, drift);
            }
            return true;
        }
        if stands.is_some() || !self.holds_something(node) {
            return stands.is_some();
        }
        // A folder that somebody took away: one like its parent's.
        let like = std::iter::successors(Some(at.clone()), |path| path.split_last().map(|(parent, _)| parent))
            .find_map(|path| self.disk(&path).and_then(|found| folder_image(&found)));
        let Some(like) = like else { return false };
        self.step(at, Bring::Image(Box::new(like)));
        self.tell(at, What::BringBack, false);
        true
    }

    fn holds_something(&self, node: &Node) -> bool {
        self.rewind
            .names(node)
            .any(|(_, child)| child.is_some_and(|child| child.known_image().is_some() || self.holds_something(child)))
    }

    /// Content and metadata of what is in its place, or on its way there.
    fn put_right(&mut self, node: &Node, at: &RelPath, found: &Found) {
        let drift = self.is_drift(Some(node), found);
        if let Some(image) = &node.image {
            if is_as(found, image) {
                return;
            }
            let same = found
                .stat
                .as_ref()
                .is_some_and(|stat| same_content(found.folder(), &found.name, stat, image).unwrap_or(false));
            self.step(at, Bring::Image(Box::new(image.clone())));
            self.tell(at, if same { What::Attributes } else { What::Content }, drift);
        } else if let Some(meta) = &node.meta
            && !has_meta(found, meta)
        {
            self.step(at, Bring::Meta(Box::new(meta.clone())));
            self.tell(at, What::Attributes, drift);
        }
    }

    /// What was not there then, the deepest first. A folder in which something else lies stays.
    fn take_away(&mut self, path: &[u8]) {
        let mut gone: Vec<(RelPath, &Node)> = self
            .rewind
            .known()
            .filter(|node| !node.was)
            .filter_map(|node| Some((node.now.as_deref().filter(|now| below(now, path).is_some())?, node)))
            .filter_map(|(now, node)| Some((self.within(now)?, node)))
            .filter(|(now, _)| !self.dealt.contains(now))
            .collect();
        gone.sort_by_key(|(now, _)| std::cmp::Reverse(now.names().count()));
        let mut cleared: BTreeSet<RelPath> = self.dealt.clone();
        cleared.extend(self.away.iter().cloned());
        for (now, node) in gone {
            let Some(found) = self.disk(&now) else { continue };
            let at = self.after_moves(now.clone());
            let is_dir = found.stat.as_ref().is_some_and(|stat| stat.kind == FileKind::Dir);
            if is_dir && !self.is_cleared(&now, &found, &cleared) {
                self.tell(&at, What::Leave("something else lies in it".to_owned()), true);
                continue;
            }
            let drift = self.is_drift(Some(node), &found);
            cleared.insert(now);
            self.step(&at, Bring::Nothing);
            self.tell(&at, What::TakeAway, drift);
        }
    }

    fn is_cleared(&self, folder: &RelPath, found: &Found, cleared: &BTreeSet<RelPath>) -> bool {
        names_in(found).iter().all(|name| folder.join(name).is_ok_and(|path| cleared.contains(&path)))
    }

    /// Whether a folder that was not there then holds nothing but what goes too, or has a place of its own elsewhere.
    fn empties(&self, folder: &RelPath, found: &Found) -> bool {
        names_in(found).iter().all(|name| {
            let Ok(path) = folder.join(name) else { return false };
            let Some(node) = self.rewind.now_at(&self.absolute(&path)) else { return false };
            if node.was {
                return self.rewind.path_of(node).is_some();
            }
            let Some(found) = self.disk(&path) else { return false };
            let is_dir = found.stat.as_ref().is_some_and(|stat| stat.kind == FileKind::Dir);
            !is_dir || self.empties(&path, &found)
        })
    }

    /// Whether what lies there is not what the last operation on it left.
    fn is_drift(&self, node: Option<&Node>, found: &Found) -> bool {
        match node.and_then(|node| node.left.as_ref()) {
            Some(left) => !is_as(found, left),
            None => node.is_none(),
        }
    }
}

/// Plans to put what was at an absolute path, which lies in the run's folder `from`, beneath another one, at `to`: what
/// is known from the store, the rest as it is now.
pub fn copy_plan(effects: &Effects, from: &Root, path: &[u8], rewind: &Rewind, to: &Spot) -> Plan {
    let mut copying =
        Copying { effects, from, rewind, grant: to.grant, plan: Plan::default(), folders: BTreeSet::new() };
    match rewind.at(path) {
        Standing::Known(node) => copying.known(node, &to.path),
        Standing::AsNow(now) => copying.as_now(&now, &to.path),
        Standing::Nothing => {}
    }
    folders_first(&mut copying.plan.steps, &copying.folders);
    copying.plan.times.sort_by_key(|(spot, _)| std::cmp::Reverse(spot.path.names().count()));
    copying.plan
}

struct Copying<'a> {
    effects: &'a Effects,
    from: &'a Root,
    rewind: &'a Rewind,
    grant: raincoat_types::GrantId,
    plan: Plan,
    /// Folders that are copied as they are now.
    folders: BTreeSet<RelPath>,
}

impl Copying<'_> {
    fn disk(&self, now: &[u8]) -> Option<(Spot, Found)> {
        let path = RelPath::new(below(now, &self.from.path)?).ok()?;
        let spot = Spot { grant: self.from.grant, path };
        on_disk(self.effects, &spot).map(|found| (spot, found))
    }

    fn step(&mut self, at: &RelPath, bring: Bring, what: What) {
        self.plan.steps.push((Spot { grant: self.grant, path: at.clone() }, bring));
        self.plan.items.push(Item { path: at.as_bytes().to_vec(), what, drift: false });
    }

    fn known(&mut self, node: &Node, at: &RelPath) {
        let lies = node.now.as_deref().and_then(|now| self.disk(now));
        let image = node.image.clone().or_else(|| if lies.is_none() { node.seen.clone() } else { None });
        match (&image, &lies) {
            (Some(image), _) => self.step(at, Bring::Image(Box::new(image.clone())), What::BringBack),
            (None, Some((spot, _))) => {
                self.step(at, Bring::Copy(spot.clone()), What::Copy);
                if let Some(meta) = &node.meta {
                    let spot = Spot { grant: self.grant, path: at.clone() };
                    self.plan.steps.push((spot, Bring::Meta(Box::new(meta.clone()))));
                }
            }
            (None, None) => return,
        }
        let is_dir = match (&image, &lies) {
            (Some(image), _) => image.content == Content::Dir,
            (None, Some((_, found))) => found.stat.as_ref().is_some_and(|stat| stat.kind == FileKind::Dir),
            (None, None) => false,
        };
        if !is_dir {
            return;
        }
        self.folders.insert(at.clone());
        let mut names: BTreeSet<Vec<u8>> = BTreeSet::new();
        if let Some((_, found)) = &lies {
            names.extend(names_in(found));
        }
        let rewind = self.rewind;
        for (name, child) in rewind.names(node) {
            names.remove(name);
            if let (Some(child), Ok(at)) = (child, at.join(name)) {
                self.known(child, &at);
            }
        }
        for name in names {
            if let (Some(now), Ok(at)) = (&node.now, at.join(&name)) {
                self.as_now(&[now.as_slice(), b"/", &name].concat(), &at);
            }
        }
        let stat = lies.as_ref().and_then(|(_, found)| found.stat.as_ref());
        let times = node.times.map(|(then, _)| then);
        let times = times.or_else(|| stat.map(|stat| Times { mtime: stat.mtime, atime: stat.atime }));
        if let Some(times) = times {
            self.plan.times.push((Spot { grant: self.grant, path: at.clone() }, times));
        }
    }

    fn as_now(&mut self, now: &[u8], at: &RelPath) {
        let Some((spot, found)) = self.disk(now) else { return };
        let Some(stat) = found.stat.as_ref() else { return };
        if stat.kind == FileKind::Special || stat.mount_root {
            let words = "a FIFO, socket, device or other file system is left out".to_owned();
            self.plan.items.push(Item { path: at.as_bytes().to_vec(), what: What::Leave(words), drift: false });
            return;
        }
        self.step(at, Bring::Copy(spot), What::Copy);
        if stat.kind != FileKind::Dir {
            return;
        }
        self.folders.insert(at.clone());
        for name in names_in(&found) {
            if let Ok(at) = at.join(&name) {
                self.as_now(&[now, b"/", &name].concat(), &at);
            }
        }
        let times = Times { mtime: stat.mtime, atime: stat.atime };
        self.plan.times.push((Spot { grant: self.grant, path: at.clone() }, times));
    }
}

/// Puts the steps that make folders before all others, those further up first: a step waits for the folder that it is
/// in, and then so do all that wait with it. Also `copied` are folders.
fn folders_first(steps: &mut [(Spot, Bring)], copied: &BTreeSet<RelPath>) {
    steps.sort_by_key(|(at, bring)| {
        let is_folder = match bring {
            Bring::Image(image) => image.content == Content::Dir,
            Bring::Meta(meta) => meta.kind == FileKind::Dir,
            Bring::Copy(_) => copied.contains(&at.path),
            Bring::From(_) | Bring::Nothing => false,
        };
        if is_folder { at.path.names().count() } else { usize::MAX }
    });
}

/// Makes some of a plan's steps. For each, what kept it from being made, if anything did.
pub fn carry_out(effects: &mut Effects, steps: &[(Spot, Bring)], ask: &mut Ask<'_>) -> Vec<Option<Failure>> {
    let mut out = Vec::with_capacity(steps.len());
    let mut waiting = Vec::new();
    for (at, bring) in steps {
        let action = FileChange::Restore { at: at.clone(), bring: bring.clone() };
        let refused = propose(effects, action, ask).err();
        if refused.is_none() {
            waiting.push(out.len());
        }
        out.push(refused);
    }
    for (n, changed) in waiting.into_iter().zip(effects.settle()) {
        if let Some(failure) = out.get_mut(n) {
            *failure = changed.failure;
        }
    }
    out
}

/// At the end: gives folders their times back. How many got them.
pub fn give_times_back(effects: &mut Effects, times: Vec<(Spot, Times)>, ask: &mut Ask<'_>) -> usize {
    let mut given = 0;
    for (at, times) in times {
        let Some(now) = effects.dir_times(&at).filter(|now| now.mtime != times.mtime) else { continue };
        let then = DirTimes { at, mtime: times.mtime, atime: times.atime };
        given += usize::from(propose(effects, FileChange::RestoreTimes { now, then }, ask).is_ok());
    }
    let failed = effects.settle().iter().filter(|changed| changed.failure.is_some()).count();
    given.saturating_sub(failed)
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = display_bytes(&self.path);
        match &self.what {
            What::BringBack => write!(f, "bring back {path}"),
            What::Content => write!(f, "put the old content back into {path}"),
            What::Attributes => write!(f, "give {path} its times and permissions back"),
            What::MoveBack(from) => write!(f, "move {} back to {path}", display_bytes(from)),
            What::TakeAway => write!(f, "take away {path}"),
            What::Copy => write!(f, "copy {path}"),
            What::Leave(why) => write!(f, "leave {path} as it is: {why}"),
        }
    }
}

fn on_disk(effects: &Effects, spot: &Spot) -> Option<Found> {
    let (_, found) = effects.engine.resolver.find_spot(spot).ok()?;
    found.stat.is_some().then_some(found)
}

fn names_in(found: &Found) -> Vec<Vec<u8>> {
    let open = beneath::open_dir_for_reading(found.folder(), &found.name);
    open.and_then(|fd| beneath::names_in(fd.as_fd())).unwrap_or_default()
}

fn absolute(root: &Root, path: &RelPath) -> Vec<u8> {
    path.names().fold(root.path.clone(), |mut out, name| {
        if out.last() != Some(&b'/') {
            out.push(b'/');
        }
        out.extend_from_slice(name);
        out
    })
}

/// The same path below another folder; `None` where it does not lie below the first.
fn rebase(path: &RelPath, from: &RelPath, to: &RelPath) -> Option<RelPath> {
    if !path.starts_with(from) {
        return None;
    }
    path.names().skip(from.names().count()).try_fold(to.clone(), |at, name| at.join(name)).ok()
}

/// Whether what lies there has an image's content and metadata.
fn is_as(found: &Found, image: &Image) -> bool {
    let Some(stat) = &found.stat else { return false };
    has_meta(found, &image.meta) && same_content(found.folder(), &found.name, stat, image).unwrap_or(false)
}

/// A folder's times move with what is put into it, and say nothing.
fn has_meta(found: &Found, meta: &Meta) -> bool {
    let Some(stat) = &found.stat else { return false };
    let Ok(xattrs) = state::xattrs_at(found.folder(), &found.name) else { return false };
    let now = stat.with_xattrs(xattrs);
    let now = if now.kind == FileKind::Dir { Meta { mtime: meta.mtime, ..now } } else { now };
    now.same_as(meta)
}
