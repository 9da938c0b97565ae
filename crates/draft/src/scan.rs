//! What changed in a draft.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use raincoat_os::overlay::{self, Node};
use raincoat_os::{Stat, beneath, state};
use raincoat_types::{FileKind, RelPath};

use crate::bases::Bases;
use crate::draft::{Draft, FolderError, OpenFolder};
use crate::drift::{Judge, Way};
use crate::item::{Item, ItemKind, Scan, Trouble, Untouched, Version};
use crate::origin::{Notes, part};
use crate::read::{compare_bytes, open_version};
use crate::record::ClockMark;

mod ties;

use ties::{links, links_of};

/// How much a scan looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScanLimits {
    /// Items in the result; about half a kilobyte of memory each.
    pub items: usize,
    /// Things that could not be looked at, told one by one.
    pub troubles: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        ScanLimits { items: 2_000_000, troubles: 1000 }
    }
}

/// Why a draft could not be looked at as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// A folder of it cannot be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The system refuses.
    #[error("cannot look at the draft of `{path}`: {error}")]
    System {
        /// Where.
        path: String,
        /// What it says.
        #[source]
        error: io::Error,
    },
}

impl Draft {
    /// Looks for everything that the draft changed. The cost follows what the draft holds, and the size of what it took
    /// away; nothing else of the folders is looked at. Contents are read only where size and time do not tell.
    ///
    /// While the program runs, what it writes meanwhile may show or not, file by file.
    ///
    /// # Errors
    /// [`ScanError`]. What of a draft cannot be looked at is in [`Scan::troubles`].
    pub fn scan(&self, limits: ScanLimits) -> Result<Scan, ScanError> {
        let now = ClockMark::now();
        let mut scan = Scan::default();
        let bases = self.remembered().unwrap_or_else(|why| {
            let path = RelPath::ROOT;
            scan.troubles.push(Trouble { folder: 0, path, why: format!("the remembered states do not open: {why}") });
            Bases::none()
        });
        for (number, recorded) in self.record().folders.iter().enumerate() {
            let open = self.folder(number)?;
            let judge = Judge::new(&bases, number, self.record().clock.earliest(recorded.since, &now));
            let walk = Walk { draft: self, number, open, judge, limits, scan: &mut scan, names: HashMap::new() };
            walk.run()?;
        }
        put_in_order(&mut scan);
        Ok(scan)
    }
}

/// How the folder's directory shows beneath the draft's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beneath {
    /// There is none.
    Nothing,
    /// Its names show where the draft has none.
    Merged,
    /// The draft's directory hides it: names that the draft has not are gone.
    Hidden,
}

/// A directory still to be looked into.
enum Task {
    /// One of the draft's.
    Upper { path: RelPath, beneath: Beneath, way: Way },
    /// One of the folder's that is not in the draft any more.
    Gone { path: RelPath, way: Way },
}

/// A name of an inode that has several in the draft.
struct Name {
    path: RelPath,
    /// Its place among the items, or what it is where it did not change.
    item: Result<usize, Box<(Version, Version)>>,
}

struct Walk<'a> {
    draft: &'a Draft,
    number: usize,
    open: &'a OpenFolder,
    judge: Judge<'a>,
    limits: ScanLimits,
    scan: &'a mut Scan,
    /// By inode of the draft.
    names: HashMap<u64, Vec<Name>>,
}

impl Walk<'_> {
    fn run(mut self) -> Result<(), ScanError> {
        let fail = |error| ScanError::System { path: self.open.lower.path().display().to_string(), error };
        let upper = look(self.open.upper.as_fd(), b"").map_err(fail)?;
        let lower = look(self.open.lower.as_fd(), b"").map_err(fail)?;
        let (Some((mut after, ..)), Some((before, ..))) = (upper, lower) else {
            return Err(fail(io::ErrorKind::NotFound.into()));
        };
        if raincoat_os::mutate::me().0 != 0 {
            // The draft's own top was made by us, who may not be able to give it the folder's owner.
            (after.stat.uid, after.stat.gid) = (before.stat.uid, before.stat.gid);
        }
        let way = Way::top(&before.stat);
        self.compare(RelPath::ROOT, Some(before), after, Node::Plain, &Notes::default(), &way);
        let mut pending = vec![Task::Upper { path: RelPath::ROOT, beneath: Beneath::Merged, way }];
        while let Some(task) = pending.pop() {
            if self.scan.cut {
                break;
            }
            let (path, done) = match task {
                Task::Upper { path, beneath, way } => {
                    let done = self.look_into(&path, beneath, &way, &mut pending);
                    (path, done)
                }
                Task::Gone { path, way } => {
                    let done = self.all_gone(&path, &way, None, &mut pending);
                    (path, done)
                }
            };
            if let Err(error) = done {
                self.trouble(path, words(&error));
            }
        }
        self.tie_names();
        Ok(())
    }

    fn look_into(&mut self, path: &RelPath, beneath: Beneath, way: &Way, pending: &mut Vec<Task>) -> io::Result<()> {
        let upper = overlay::folder_to_list(self.open.upper.as_fd(), path.as_bytes())?;
        let lower = match beneath {
            Beneath::Nothing => None,
            _ => match overlay::folder_at(self.open.lower.as_fd(), path.as_bytes()) {
                Ok(lower) => Some(lower),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            },
        };
        let names = overlay::list_some(upper.as_fd(), usize::MAX)?;
        for entry in &names {
            let Ok(child) = path.join(&entry.name) else {
                self.trouble(path.clone(), "a path in it is longer than the system allows".to_owned());
                continue;
            };
            let lower = lower.as_ref().map(|fd| fd.as_fd());
            if let Err(error) = self.entry(&child, &entry.name, upper.as_fd(), lower, beneath, way, pending) {
                self.trouble(child, words(&error));
            }
            if self.scan.cut {
                return Ok(());
            }
        }
        if beneath == Beneath::Hidden && lower.is_some() {
            let kept: HashSet<&[u8]> = names.iter().map(|entry| entry.name.as_slice()).collect();
            self.all_gone(path, way, Some(&kept), pending)?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one name with both sides of its folder, in the walk's inner loop")]
    fn entry(
        &mut self,
        path: &RelPath,
        name: &[u8],
        upper: BorrowedFd<'_>,
        lower: Option<BorrowedFd<'_>>,
        beneath: Beneath,
        way: &Way,
        pending: &mut Vec<Task>,
    ) -> io::Result<()> {
        let Some((mut after, node, notes)) = look(upper, name)? else { return Ok(()) };
        let mut before = match lower {
            Some(lower) => look(lower, name)?,
            None => None,
        };
        // A whiteout in the folder itself is nothing to the overlay.
        before = before.filter(|(_, node, _)| *node != Node::Char(0, 0));
        if before.as_ref().is_some_and(|(version, ..)| version.stat.mount_root) {
            return Err(io::Error::other("another file system is mounted there; grant it by itself"));
        }
        if node == Node::Char(0, 0) || (notes.whiteout && after.stat.size == 0) {
            if let Some((before, ..)) = before {
                self.deleted(path, before, way, pending)?;
            }
            return Ok(());
        }
        if let Some((before, ..)) = &mut before {
            read_target(lower, name, before)?;
        }
        read_target(Some(upper), name, &mut after)?;
        let before = before.map(|(before, ..)| before);
        let (was_dir, is_dir) = (before.as_ref().is_some_and(Version::is_dir), after.is_dir());
        let next = match (lower, was_dir) {
            (Some(lower), true) => self.judge.step(path, way, before.as_ref().map(|b| &b.stat), &notes, (lower, name)),
            _ => self.judge.step_into_new(way, &notes),
        };
        let opaque = notes.opaque;
        self.compare(path.clone(), before, after, node, &notes, way);
        if is_dir {
            let beneath = match (was_dir, opaque || beneath == Beneath::Hidden) {
                (false, _) => Beneath::Nothing,
                (true, false) => Beneath::Merged,
                (true, true) => Beneath::Hidden,
            };
            pending.push(Task::Upper { path: path.clone(), beneath, way: next });
        } else if was_dir {
            pending.push(Task::Gone { path: path.clone(), way: next });
        }
        Ok(())
    }

    /// Everything that the folder has in a directory is gone, but for some names.
    fn all_gone(
        &mut self,
        path: &RelPath,
        way: &Way,
        but: Option<&HashSet<&[u8]>>,
        pending: &mut Vec<Task>,
    ) -> io::Result<()> {
        let lower = overlay::folder_to_list(self.open.lower.as_fd(), path.as_bytes())?;
        for entry in overlay::list_some(lower.as_fd(), usize::MAX)? {
            if but.is_some_and(|but| but.contains(entry.name.as_slice())) {
                continue;
            }
            let Ok(child) = path.join(&entry.name) else {
                self.trouble(path.clone(), "a path in it is longer than the system allows".to_owned());
                continue;
            };
            match look(lower.as_fd(), &entry.name)? {
                Some((before, _, _)) if before.stat.mount_root => {
                    self.trouble(child, "another file system is mounted there; grant it by itself".to_owned());
                }
                Some((_, Node::Char(0, 0), _)) | None => {}
                Some((mut before, ..)) => {
                    read_target(Some(lower.as_fd()), &entry.name, &mut before)?;
                    self.deleted(&child, before, way, pending)?;
                }
            }
            if self.scan.cut {
                break;
            }
        }
        Ok(())
    }

    fn deleted(&mut self, path: &RelPath, before: Version, way: &Way, pending: &mut Vec<Task>) -> io::Result<()> {
        if before.is_dir() {
            let way = self.judge.step_into_gone(path, way, &before.stat);
            pending.push(Task::Gone { path: path.clone(), way });
        }
        let drift = self.judge.of(path, Some(&before), &Notes::default(), way, self.open.lower.as_fd(), true);
        let links = links(&before.stat, None);
        self.add(Item {
            folder: self.number,
            path: path.clone(),
            kind: ItemKind::Deleted,
            before: Some(before),
            after: None,
            links,
            drift,
            masked: self.draft.is_masked(self.number, path),
        });
        Ok(())
    }

    fn compare(
        &mut self,
        path: RelPath,
        before: Option<Version>,
        after: Version,
        node: Node,
        notes: &Notes,
        way: &Way,
    ) {
        let kind = match &before {
            _ if after.stat.kind == FileKind::Special => Some(ItemKind::Special(node)),
            None => Some(ItemKind::Created),
            Some(before) if before.stat.kind != after.stat.kind => Some(ItemKind::TypeChanged),
            Some(before) => match self.changed(&path, before, &after) {
                (false, false) => None,
                (content, meta) => Some(ItemKind::Modified { content, meta }),
            },
        };
        let folder = self.number;
        let inode = (after.stat.nlink > 1 && after.stat.kind != FileKind::Special).then_some(after.stat.identity.ino);
        let kind = kind.filter(|_| !self.judge.is_settled(&path, &after.stat));
        let Some(kind) = kind else {
            if let Some(before) = before {
                if let Some(inode) = inode {
                    let name = Name { path: path.clone(), item: Err(Box::new((before.clone(), after.clone()))) };
                    self.names.entry(inode).or_default().push(name);
                }
                let changed = after.stat.ctime;
                self.scan.untouched.push(Untouched { folder, path, before: before.stat, changed });
            }
            return;
        };
        let drift = self.judge.of(&path, before.as_ref(), notes, way, self.open.lower.as_fd(), false);
        if drift.is_some()
            && after.is_dir()
            && before.as_ref().is_some_and(|before| {
                before.is_dir() && {
                    let mut moved = before.clone();
                    moved.stat.mtime = after.stat.mtime;
                    moved.same_meta(&after)
                }
            })
            && !way.replaced
        {
            // A folder's times move with its entries, on both sides: nothing to be in conflict about.
            return;
        }
        let same_inode = self.judge.is_origin(notes, before.as_ref(), self.open.lower.as_fd(), &path);
        let links = links_of(before.as_ref(), &after, same_inode);
        let masked = before.is_some() && self.draft.is_masked(folder, &path);
        if let Some(inode) = inode {
            let name = Name { path: path.clone(), item: Ok(self.scan.items.len()) };
            self.names.entry(inode).or_default().push(name);
        }
        self.add(Item { folder, path, kind, before, after: Some(after), links, drift, masked });
    }

    /// Content and metadata: whether they differ. Times and sizes tell; where they are the same, the bytes do.
    fn changed(&mut self, path: &RelPath, before: &Version, after: &Version) -> (bool, bool) {
        let meta = !before.same_meta(after);
        let content = match after.stat.kind {
            FileKind::File if before.stat.size != after.stat.size || before.stat.mtime != after.stat.mtime => true,
            FileKind::File => {
                let same = open_version(self.open.lower.as_fd(), path, &before.stat)
                    .and_then(|lower| Ok((lower, open_version(self.open.upper.as_fd(), path, &after.stat)?)))
                    .and_then(|(lower, upper)| compare_bytes(lower.as_fd(), upper.as_fd(), after.stat.size));
                match same {
                    Ok(same) => !same,
                    Err(error) => {
                        self.trouble(path.clone(), format!("its content cannot be compared: {}", words(&error)));
                        true
                    }
                }
            }
            FileKind::Symlink => before.target != after.target,
            FileKind::Dir | FileKind::Special => false,
        };
        (content, meta)
    }

    fn add(&mut self, item: Item) {
        if self.scan.items.len() >= self.limits.items {
            self.scan.cut = true;
        } else {
            self.scan.items.push(item);
        }
    }

    fn trouble(&mut self, path: RelPath, why: String) {
        if self.scan.troubles.len() < self.limits.troubles {
            self.scan.troubles.push(Trouble { folder: self.number, path, why });
        }
    }
}

/// Looks at a name, its attributes parted into the program's and the overlay's. An empty name is the folder.
fn look(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<(Version, Node, Notes)>> {
    let Some((stat, node)) = overlay::look_at(parent, name)? else { return Ok(None) };
    let (xattrs, notes) = match stat.kind {
        FileKind::Special => (Vec::new(), Notes::default()),
        _ => part(overlay::xattrs_under(parent, name)?),
    };
    Ok(Some((Version { stat, xattrs, target: None, digest: None }, node, notes)))
}

fn read_target(parent: Option<BorrowedFd<'_>>, name: &[u8], version: &mut Version) -> io::Result<()> {
    if let Some(parent) = parent
        && version.stat.kind == FileKind::Symlink
    {
        version.target = Some(beneath::read_link(parent, name)?);
    }
    Ok(())
}

/// See [`Scan`] for the order.
fn put_in_order(scan: &mut Scan) {
    let groups = std::mem::take(&mut scan.groups);
    let follows = |item: &Item| {
        let group = item.links.and_then(|links| links.group).and_then(|group| groups.get(group));
        group.is_some_and(|group| group.leader != item.path)
    };
    scan.items.sort_by(|a, b| {
        let gone = |item: &Item| item.kind == ItemKind::Deleted;
        let stage = |item: &Item| if gone(item) { 0 } else { 1 + u8::from(follows(item)) };
        let by_path = (a.folder, &a.path).cmp(&(b.folder, &b.path));
        stage(a).cmp(&stage(b)).then(if gone(a) { by_path.reverse() } else { by_path })
    });
    scan.groups = groups;
}

/// What the system says, without its number.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "its mode keeps even its owner from reading it".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether a descriptor's file is what was looked at.
pub(crate) fn still(fd: &OwnedFd, stat: &Stat) -> io::Result<bool> {
    Ok(stat.untouched(&state::stat_fd(fd.as_fd())?))
}
