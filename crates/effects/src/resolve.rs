//! From what an agent said to what the kernel found: places become descriptors, canonical paths and facts. The gate
//! decides about these; the effect then uses the very descriptors that were resolved.

use std::collections::{HashMap, HashSet};

use raincoat_gate::{Protection, Role, Ruled, Target};
use raincoat_os::{Found, Root, Stat};
use raincoat_types::{
    Digest, Failure, FailureKind, FileChange, FileKind, FileRead, GrantId, Identity, Limits, Place, RelPath, Spot,
};

use crate::failure::fault;
use crate::walk::Walker;

/// A granted folder as a run holds it.
#[derive(Debug)]
pub struct Folder {
    /// The grant.
    pub grant: GrantId,
    /// The folder, open.
    pub root: Root,
}

/// What is known of names: asked about every path, answered from the policy's tables.
pub trait Names: Send {
    /// Whether a path beneath a folder (its absolute path first) is protected; with `tree`, whether a tree may arrive
    /// there.
    fn protection(&self, folder: &[u8], path: &RelPath, tree: bool) -> Option<(Protection, String)>;
    /// The deny glob of the grant that matches.
    fn denied(&self, grant: GrantId, path: &RelPath) -> Option<String>;
    /// Whether a path beneath a folder (its absolute path first) lies where content may not leave this machine.
    fn private(&self, folder: &[u8], path: &RelPath) -> bool;
    /// Whether nothing of it is shown to who works here, because what they are shown leaves this machine.
    fn is_hidden(&self, folder: &[u8], path: &RelPath) -> bool;
    /// Whether this directory is one of our own (by device and inode, whatever its name).
    fn is_ours(&self, identity: &Identity) -> bool;
    /// Whether one of our own directories lies somewhere below this one.
    fn holds_ours(&self, identity: &Identity) -> bool;
}

/// An action with everything it touches found.
#[derive(Debug)]
pub struct Resolved {
    /// Facts about each place, for the gate.
    pub targets: Vec<Target>,
    /// The digest of the resolved action, for approvals to bind to.
    pub digest: Digest,
    /// The places that were named, in the order of the action's fields.
    pub(crate) found: Vec<(usize, Found)>,
    /// Everything below a named tree, where the action goes through it: parents before their children.
    pub(crate) below: Vec<Below>,
    /// For a commit: what was found on both sides.
    pub(crate) adopting: Option<Box<crate::commit::Looked>>,
}

impl Resolved {
    /// Bytes that it is about: of the file that is named first, and of everything below it.
    pub fn bytes(&self) -> u64 {
        let named = self.found.first().and_then(|(_, found)| found.stat.as_ref()).map_or(0, |stat| stat.size);
        self.below.iter().map(|below| below.stat.size).sum::<u64>() + named
    }

    /// Where the places that were named really are, in the order of the action's fields: which of the run's folders,
    /// and the canonical path beneath it.
    pub fn places(&self) -> impl Iterator<Item = (usize, &RelPath)> {
        self.found.iter().map(|(root, found)| (*root, &found.path))
    }
}

impl Resolved {
    /// What stands at each place that was named: folder, canonical path, and which file it is; `None` where nothing
    /// does.
    pub fn standing(&self) -> impl Iterator<Item = ((usize, RelPath), Option<(FileKind, Identity)>)> {
        self.found.iter().map(|(root, found)| {
            let stands = found.stat.as_ref().map(|stat| (stat.kind, stat.identity));
            ((*root, found.path.clone()), stands)
        })
    }
}

/// A file below a named tree.
#[derive(Debug)]
pub(crate) struct Below {
    /// Which of the named places, from 0.
    pub(crate) nth: usize,
    pub(crate) path: RelPath,
    pub(crate) stat: Stat,
}

/// The folders of a run, and what is asked about each name.
pub(crate) struct Resolver {
    pub(crate) folders: Vec<Folder>,
    pub(crate) names: Box<dyn Names>,
    pub(crate) limits: Limits,
    links: HashMap<usize, Links>,
}

/// The names of each inode of a folder that has several.
type Links = HashMap<(u64, u64), Vec<RelPath>>;

/// The folders and names in them under which inodes are.
pub(crate) type Whereabouts = HashMap<(u64, u64), Vec<(usize, RelPath)>>;

impl Resolver {
    pub(crate) fn new(folders: Vec<Folder>, names: Box<dyn Names>, limits: Limits) -> Resolver {
        Resolver { folders, names, limits, links: HashMap::new() }
    }

    pub(crate) fn folder(&self, n: usize) -> Result<&Folder, Failure> {
        self.folders
            .get(n)
            .ok_or_else(|| Failure::new(FailureKind::Invalid, format!("there is no folder number {n} in this run")))
    }

    /// Which of the run's folders a grant is.
    pub(crate) fn index_of(&self, grant: GrantId) -> Option<usize> {
        self.folders.iter().position(|folder| folder.grant == grant)
    }

    pub(crate) fn find(&self, place: &Place, follow: bool) -> Result<(usize, Found), Failure> {
        let n = usize::from(place.root);
        let found = self.folder(n)?.root.find(&place.path.0, follow, self.limits.symlinks).map_err(fault)?;
        Ok((n, found))
    }

    pub(crate) fn find_spot(&self, spot: &Spot) -> Result<(usize, Found), Failure> {
        let n = self.index_of(spot.grant).ok_or_else(|| {
            Failure::new(
                FailureKind::Outside,
                format!("`{}` is in a folder that is not part of this run", spot.path.display()),
            )
        })?;
        let found = self.folder(n)?.root.find_exact(&spot.path).map_err(fault)?;
        Ok((n, found))
    }

    /// The facts about one place.
    pub(crate) fn target(&mut self, n: usize, found: &Found, role: Role) -> Result<Target, Failure> {
        let mut target = self.target_of(n, &found.path, found.stat.as_ref(), role)?;
        if found.way.iter().any(|identity| self.names.is_ours(identity)) {
            target.protection = Some((Protection::Secret, "raincoat's own data".to_owned()));
        }
        Ok(target)
    }

    pub(crate) fn target_of(
        &mut self,
        n: usize,
        path: &RelPath,
        stat: Option<&Stat>,
        role: Role,
    ) -> Result<Target, Failure> {
        let folder = self.folder(n)?;
        let grant = folder.grant;
        let base = std::os::unix::ffi::OsStrExt::as_bytes(folder.root.path().as_os_str()).to_vec();
        let mut protection = self.names.protection(&base, path, role == Role::Arrive);
        if path.names().any(is_temporary) {
            protection = Some((Protection::Secret, "raincoat's own temporary files".to_owned()));
        }
        let mut denied = self.names.denied(grant, path);
        let many = stat.filter(|s| {
            s.nlink > 1
                && matches!(s.kind, FileKind::File | FileKind::Symlink)
                && matches!(role, Role::Write | Role::Remove)
        });
        let linked_outside = match many {
            Some(stat) => {
                let names = self.names_of(n, &stat.identity)?;
                // To change a file is to change it under all of its names: the strictest of them counts.
                if role == Role::Write && protection.is_none() {
                    protection = names.iter().find_map(|name| self.names.protection(&base, name, false));
                }
                if role == Role::Write && denied.is_none() {
                    denied = names.iter().find_map(|name| self.names.denied(grant, name));
                }
                (names.len() as u64) < stat.nlink
            }
            None => false,
        };
        let kind = stat.map(|s| s.kind);
        let private = self.names.private(&base, path);
        let spot = Spot { grant, path: path.clone() };
        Ok(Target { spot, role, kind, protection, denied, linked_outside, private, ruled: Ruled::Silent })
    }

    /// Resolves a look.
    pub(crate) fn read(&mut self, action: &FileRead) -> Result<Resolved, Failure> {
        let role = match action {
            FileRead::List { .. } | FileRead::Stat { .. } => Role::Look,
            FileRead::Read { .. } | FileRead::Hash { .. } | FileRead::Search { .. } => Role::Read,
        };
        let follow = !matches!(action, FileRead::Stat { .. });
        let (n, found) = self.find(action.place(), follow)?;
        let targets = vec![self.target(n, &found, role)?];
        let digest = digest(action, &targets);
        Ok(Resolved { targets, digest, found: vec![(n, found)], below: Vec::new(), adopting: None })
    }

    /// Resolves a change. What it would find is checked again when it acts.
    pub(crate) fn change(&mut self, action: &FileChange) -> Result<Resolved, Failure> {
        let mut out = Resolved {
            targets: Vec::new(),
            digest: Digest::default(),
            found: Vec::new(),
            below: Vec::new(),
            adopting: None,
        };
        match action {
            FileChange::Write { at, .. } | FileChange::Edit { at, .. } => self.one(&mut out, at, true, Role::Write)?,
            FileChange::Mkdir { at, parents } => self.mkdir(&mut out, at, *parents)?,
            FileChange::Move { from, to, .. } => {
                self.one(&mut out, from, false, Role::Remove)?;
                // A name of a file that has others may move: the file itself stays as it is.
                out.targets.iter_mut().for_each(|target| target.linked_outside = false);
                self.leave(&mut out)?;
                self.arrive(&mut out, to)?;
            }
            FileChange::Copy { from, to, .. } => {
                self.one(&mut out, from, false, Role::Read)?;
                self.arrive(&mut out, to)?;
                self.below(&mut out, 0, Role::Read)?;
            }
            FileChange::Delete { at, recursive } => {
                self.one(&mut out, at, false, Role::Remove)?;
                if *recursive {
                    self.below(&mut out, 0, Role::Remove)?;
                }
            }
            FileChange::Archive { from, to, .. } => {
                for place in from {
                    self.one(&mut out, place, false, Role::Read)?;
                }
                self.one(&mut out, to, false, Role::Write)?;
                for n in 0..from.len() {
                    self.below(&mut out, n, Role::Read)?;
                }
            }
            FileChange::Extract { from, to } => {
                self.one(&mut out, from, true, Role::Read)?;
                self.one(&mut out, to, false, Role::Arrive)?;
            }
            // Resolved where the draft is at hand.
            FileChange::Adopt { .. } => return Err(crate::commit::not_a_commit()),
            // Resolved where the journal is at hand.
            FileChange::Revert { .. } | FileChange::RestoreTimes { .. } | FileChange::Restore { .. } => {}
        }
        out.digest = digest(action, &out.targets);
        Ok(out)
    }

    fn one(&mut self, out: &mut Resolved, place: &Place, follow: bool, role: Role) -> Result<(), Failure> {
        let (n, found) = self.find(place, follow)?;
        out.targets.push(self.target(n, &found, role)?);
        out.found.push((n, found));
        Ok(())
    }

    /// A folder that goes away takes what may lie in it along: names that are protected below it protect it.
    fn leave(&self, out: &mut Resolved) -> Result<(), Failure> {
        if let (Some(target), Some((n, found))) = (out.targets.first_mut(), out.found.first())
            && target.kind == Some(FileKind::Dir)
            && target.protection.is_none()
        {
            let base = std::os::unix::ffi::OsStrExt::as_bytes(self.folder(*n)?.root.path().as_os_str());
            target.protection = self.names.protection(base, &found.path, true);
            if found.stat.as_ref().is_some_and(|stat| self.names.holds_ours(&stat.identity)) {
                target.protection = Some((Protection::Secret, "raincoat's own data is in it".to_owned()));
            }
        }
        Ok(())
    }

    /// Where something moves or is copied to: a tree, if the first place is one.
    fn arrive(&mut self, out: &mut Resolved, to: &Place) -> Result<(), Failure> {
        let tree = out.targets.first().is_some_and(|target| target.kind == Some(FileKind::Dir));
        let (n, found) = self.find(to, false)?;
        let target = self.target(n, &found, if tree { Role::Arrive } else { Role::Write })?;
        out.targets.push(target);
        out.found.push((n, found));
        Ok(())
    }

    /// The deepest folder that exists, and every missing one on the way.
    fn mkdir(&mut self, out: &mut Resolved, at: &Place, parents: bool) -> Result<(), Failure> {
        // An absolute path is outside, here as everywhere: it is not taken for one beneath the folder.
        if !parents || at.path.0.starts_with(b"/") {
            return self.one(out, at, false, Role::Write);
        }
        let names: Vec<&[u8]> = at.path.0.split(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".").collect();
        for upto in (1..=names.len()).rev() {
            let path = names.get(..upto).unwrap_or_default().join(&b'/');
            let place = Place { root: at.root, path: raincoat_types::RawPath(path) };
            match self.find(&place, true) {
                Ok((n, found)) => {
                    out.targets.push(self.target(n, &found, Role::Write)?);
                    let mut path = found.path.clone();
                    out.found.push((n, found));
                    for name in names.get(upto..).unwrap_or_default() {
                        path = path.join(name).map_err(|e| Failure::new(FailureKind::Invalid, e.to_string()))?;
                        out.targets.push(self.target_of(n, &path, None, Role::Write)?);
                    }
                    return Ok(());
                }
                Err(failure) if failure.kind == FailureKind::NotFound && upto > 1 => {}
                Err(failure) => return Err(failure),
            }
        }
        self.one(out, at, false, Role::Write)
    }

    /// Facts about everything below the nth named place.
    fn below(&mut self, out: &mut Resolved, nth: usize, role: Role) -> Result<(), Failure> {
        let Some((n, found)) = out.found.get(nth) else { return Ok(()) };
        if found.stat.as_ref().is_none_or(|s| s.kind != FileKind::Dir) {
            return Ok(());
        }
        let n = *n;
        let mut walker = Walker::new(found, self.limits.walk_depth)?;
        while let Some((path, stat)) = walker.next()? {
            if out.below.len() >= self.limits.plan_steps as usize {
                return Err(Failure::new(
                    FailureKind::Limit,
                    format!("more than {} files below `{}`; do it in parts", out.below.len(), path.display()),
                ));
            }
            if stat.mount_root {
                return Err(fault(raincoat_os::PathFault::Mount(path)));
            }
            // What is not seen would be left out without a word.
            if let Some(unseen) = walker.unseen() {
                return Err(unseen.failure(&path));
            }
            let mut target = self.target_of(n, &path, Some(&stat), role)?;
            if self.names.is_ours(&stat.identity) {
                target.protection = Some((Protection::Secret, "raincoat's own data".to_owned()));
            }
            out.targets.push(target);
            out.below.push(Below { nth, path, stat });
        }
        Ok(())
    }

    /// The names within folder `n` of an inode that has several. The folder is walked at the first such file; what was
    /// learnt then is checked before it is told, for somebody else may have given or taken names.
    pub(crate) fn names_of(&mut self, n: usize, identity: &Identity) -> Result<Vec<RelPath>, Failure> {
        let known = self.links.contains_key(&n);
        if !known {
            self.learn_links(n)?;
        }
        let names = self.known_names(n, identity);
        let root = &self.folder(n)?.root;
        let holds = |path: &RelPath| {
            root.find_exact(path).is_ok_and(|found| found.stat.is_some_and(|stat| stat.identity == *identity))
        };
        if known && (names.is_empty() || !names.iter().all(holds)) {
            self.learn_links(n)?;
            return Ok(self.known_names(n, identity));
        }
        Ok(names)
    }

    fn known_names(&self, n: usize, identity: &Identity) -> Vec<RelPath> {
        let names = self.links.get(&n).and_then(|links| links.get(&(identity.dev, identity.ino)));
        names.cloned().unwrap_or_default()
    }

    fn learn_links(&mut self, n: usize) -> Result<(), Failure> {
        let found = self.folder(n)?.root.find_exact(&RelPath::ROOT).map_err(fault)?;
        let mut walker = Walker::new(&found, self.limits.walk_depth)?;
        let mut links = Links::new();
        while let Some((path, stat)) = walker.next()? {
            if stat.nlink > 1 && stat.kind != FileKind::Dir {
                links.entry((stat.identity.dev, stat.identity.ino)).or_default().push(path);
            }
        }
        self.links.insert(n, links);
        Ok(())
    }

    /// Where some inodes are, by a walk through all folders.
    pub(crate) fn where_are(&self, wanted: &HashSet<(u64, u64)>) -> Result<Whereabouts, Failure> {
        let mut out = Whereabouts::new();
        for (n, folder) in self.folders.iter().enumerate() {
            let found = folder.root.find_exact(&RelPath::ROOT).map_err(fault)?;
            let mut walker = Walker::new(&found, self.limits.walk_depth)?;
            while let Some((path, stat)) = walker.next()? {
                let inode = (stat.identity.dev, stat.identity.ino);
                if wanted.contains(&inode) {
                    out.entry(inode).or_default().push((n, path));
                }
            }
        }
        Ok(out)
    }

    /// A file with several names changed one of them: look again next time.
    pub(crate) fn forget_links(&mut self, n: usize) {
        self.links.remove(&n);
    }

    /// A name of a file with several moved or went: keeps what was learnt of the folder true, without a new walk.
    pub(crate) fn relink(
        &mut self,
        identity: &Identity,
        old: Option<(usize, &RelPath)>,
        new: Option<(usize, &RelPath)>,
    ) {
        let key = (identity.dev, identity.ino);
        if let Some((n, path)) = old
            && let Some(names) = self.links.get_mut(&n).and_then(|links| links.get_mut(&key))
        {
            names.retain(|name| name != path);
        }
        if let Some((n, path)) = new
            && let Some(links) = self.links.get_mut(&n)
        {
            links.entry(key).or_default().push(path.clone());
        }
    }
}

/// Whether a name is one that changes under way use (see `engine`).
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(b".raincoat-") && name.ends_with(b".tmp")
}

/// What an approval binds to: the whole action, content included, and where it led.
pub(crate) fn digest<A: serde::Serialize>(action: &A, targets: &[Target]) -> Digest {
    let spots: Vec<&Spot> = targets.iter().map(|target| &target.spot).collect();
    // Plain data with no map in it always serialises; were it not so, the digest would be of nothing and match nothing.
    let digest = postcard::serialize_with_flavor(&(action, spots), Hashing::default());
    digest.unwrap_or_else(|_| Digest(*Hashing::default().0.finalize().as_bytes()))
}

/// Hashes what is serialised as it comes: content may be long, and is not copied for it.
struct Hashing(blake3::Hasher);

impl Default for Hashing {
    fn default() -> Hashing {
        Hashing(blake3::Hasher::new_derive_key("raincoat 2026-11 resolved action v1"))
    }
}

impl postcard::ser_flavors::Flavor for Hashing {
    type Output = Digest;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.update(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Digest> {
        Ok(Digest(*self.0.finalize().as_bytes()))
    }
}
