//! A draft as a program leaves it, made by hand: an upper directory beside the tree, and what a scan would find in it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use raincoat_effects::Effects;
use raincoat_effects::commit::{Applied, Begin, Source};
use raincoat_os::snapshot::Snapshot;
use raincoat_os::{Root, scratch, state};

use super::*;

/// A draft of a home's tree.
pub struct Draft<'h> {
    pub home: &'h Home,
    pub place: PathBuf,
    removed: Vec<PathBuf>,
    content: Vec<PathBuf>,
}

/// One adoption, without its run.
#[derive(Clone, Debug)]
pub struct Item {
    pub path: PathBuf,
    pub take: Take,
    pub expect: Expected,
    pub new: Option<Seen>,
    pub meta: Option<Meta>,
    pub named: bool,
}

impl<'h> Draft<'h> {
    pub fn new(home: &'h Home) -> Draft<'h> {
        Draft::at(home, &home.dir.join("draft"))
    }

    pub fn at(home: &'h Home, place: &Path) -> Draft<'h> {
        let draft = Draft { home, place: place.to_owned(), removed: Vec::new(), content: Vec::new() };
        for name in ["upper", "stage"] {
            std::fs::create_dir_all(draft.place.join(name)).unwrap();
        }
        copy_meta(&home.tree(), &draft.upper());
        draft
    }

    pub fn upper(&self) -> PathBuf {
        self.place.join("upper")
    }

    pub fn stage(&self) -> PathBuf {
        self.place.join("stage")
    }

    /// Folders on the way are copied up, with their metadata, as the kernel does it.
    pub fn up(&self, path: &str) -> PathBuf {
        let mut at = PathBuf::new();
        let parent = Path::new(path).parent().unwrap_or(Path::new(""));
        for name in parent.components() {
            at.push(name);
            let (below, above) = (self.home.tree().join(&at), self.upper().join(&at));
            if std::fs::symlink_metadata(&above).is_err() {
                let outer = above.parent().unwrap().to_owned();
                let times = times_of(&outer);
                std::fs::create_dir(&above).unwrap();
                if below.is_dir() {
                    copy_meta(&below, &above);
                    let _ = scratch::set_xattr(&above, "user.overlay.impure", b"y");
                }
                scratch::set_times(&outer, times.1, times.0).unwrap();
            }
        }
        self.upper().join(path)
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let at = self.up(path);
        let below = self.home.path(path);
        let parent = at.parent().unwrap().to_owned();
        let times = times_of(&parent);
        let copied_up = below.is_file() && std::fs::symlink_metadata(&at).is_err();
        std::fs::write(&at, bytes).unwrap();
        if copied_up {
            let mode = std::fs::metadata(&below).unwrap().permissions();
            std::fs::set_permissions(&at, mode).unwrap();
            let _ = scratch::set_xattr(&at, "user.overlay.origin", b"a handle");
            scratch::set_times(&parent, times.1, times.0).unwrap();
        }
    }

    pub fn mkdir(&self, path: &str) {
        std::fs::create_dir(self.up(path)).unwrap();
    }

    pub fn symlink(&self, path: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.up(path)).unwrap();
    }

    pub fn chmod(&self, path: &str, mode: u32) {
        std::fs::set_permissions(self.upper().join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A name is taken away, with what is below it.
    pub fn remove(&mut self, path: &str) {
        let at = self.up(path);
        let parent = at.parent().unwrap().to_owned();
        std::fs::write(parent.join(".whiteout"), b"").unwrap();
        std::fs::remove_file(parent.join(".whiteout")).unwrap();
        let mut all = Vec::new();
        below(&self.home.path(path), Path::new(path), &mut all);
        self.removed.extend(all);
    }

    /// A file with other names is written to.
    pub fn write_through(&mut self, path: &str, bytes: &[u8]) {
        self.write(path, bytes);
        self.content.push(PathBuf::from(path));
    }

    /// What is to be committed, in an order in which it can be.
    pub fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        for path in &self.removed {
            if std::fs::symlink_metadata(self.upper().join(path)).is_err() {
                items.push(self.item(path, Take::Nothing));
            }
        }
        let mut all = Vec::new();
        above(&self.upper(), Path::new(""), &mut all);
        items.push(self.item("", Take::Meta));
        for path in all {
            let both = self.upper().join(&path).is_dir()
                && !self.upper().join(&path).is_symlink()
                && self.home.tree().join(&path).is_dir()
                && !self.home.tree().join(&path).is_symlink();
            let take = if both {
                Take::Meta
            } else if self.content.contains(&path) {
                Take::Content
            } else {
                Take::FromDraft
            };
            items.push(self.item(&path, take));
        }
        items
    }

    pub fn item(&self, path: impl AsRef<Path>, take: Take) -> Item {
        let path = path.as_ref();
        let expect = seen(&self.home.tree().join(path)).map_or(Expected::Absent, Expected::Seen);
        let new = seen(&self.upper().join(path));
        Item { path: path.to_owned(), take, expect, new, meta: None, named: false }
    }

    pub fn begin(&self, ended: bool, stays: bool) -> Begin {
        let source =
            Source { upper: Root::open(&self.upper()).unwrap(), stage: Root::open(&self.stage()).unwrap(), ended };
        Begin { sources: vec![Some(source)], stays }
    }

    /// The tree as it is to be, made by ordinary means in another place.
    pub fn meant(&self) -> Snapshot {
        let meant = self.home.dir.join("meant");
        let there = self.home.dir.display();
        assert!(sh(&format!("rm -rf meant && cp -a '{there}/tree' meant"), &self.home.dir));
        for path in &self.removed {
            let at = meant.join(path);
            if at.is_dir() && !at.is_symlink() {
                let _ = std::fs::remove_dir_all(at);
            } else {
                let _ = std::fs::remove_file(at);
            }
        }
        let mut all = Vec::new();
        above(&self.upper(), Path::new(""), &mut all);
        for path in &all {
            let (from, to) = (self.upper().join(path), meant.join(path));
            let is_dir = from.is_dir() && !from.is_symlink();
            let was_dir = to.is_dir() && !to.is_symlink();
            if is_dir && was_dir {
                continue;
            }
            if was_dir {
                std::fs::remove_dir(&to).unwrap();
            } else if std::fs::symlink_metadata(&to).is_ok() && !self.content.contains(path) {
                std::fs::remove_file(&to).unwrap();
            }
            if is_dir {
                std::fs::create_dir(&to).unwrap();
            } else if self.content.contains(path) {
                std::fs::write(&to, std::fs::read(&from).unwrap()).unwrap();
                let times = times_of(&from);
                scratch::set_times(&to, times.1, times.0).unwrap();
            } else {
                let twin = all.iter().take_while(|other| *other != path).find(|other| {
                    let of = |at: &Path| std::fs::symlink_metadata(at).map(|m| (m.ino(), m.nlink())).unwrap();
                    of(&self.upper().join(other)) == of(&from) && of(&from).1 > 1 && !self.upper().join(other).is_dir()
                });
                match twin {
                    Some(twin) => std::fs::hard_link(meant.join(twin), &to).unwrap(),
                    None => {
                        let command = "cp -a --no-target-directory -- \"$A\" \"$B\"";
                        let done = std::process::Command::new("sh")
                            .arg("-c")
                            .arg(command)
                            .env("A", &from)
                            .env("B", &to)
                            .status()
                            .unwrap();
                        assert!(done.success());
                    }
                }
                strip(&to);
            }
        }
        for path in all.iter().rev().map(PathBuf::as_path).chain([Path::new("")]) {
            let (from, to) = (self.upper().join(path), meant.join(path));
            if from.is_dir() && !from.is_symlink() {
                copy_meta(&from, &to);
                strip(&to);
            }
        }
        let taken = Snapshot::take(&meant).unwrap();
        std::fs::remove_dir_all(&meant).unwrap();
        taken
    }
}

/// Begins a run, and commits these.
pub fn commit_items(
    store: &Store<'_>,
    draft: &Draft<'_>,
    items: &[Item],
    ended: bool,
    stays: bool,
) -> (RunId, Applied, Vec<(PathBuf, String)>) {
    let run = begin_commit(store);
    let (applied, told) = commit_in(store, run, draft, items, ended, stays);
    (run, applied, told)
}

pub fn begin_commit(store: &Store<'_>) -> RunId {
    store.begin(&Actor::Person, RunKind::Commit { of: RunId(Ulid::from_parts(7, 7)) })
}

pub fn commit_in(
    store: &Store<'_>,
    run: RunId,
    draft: &Draft<'_>,
    items: &[Item],
    ended: bool,
    stays: bool,
) -> (Applied, Vec<(PathBuf, String)>) {
    let mut effects = Effects::new(store.start(run, &Actor::Person));
    effects.begin_commit(draft.begin(ended, stays));
    propose_all(&mut effects, run, store, items)
}

/// Proposes each, and applies all. What was not even taken in is told.
pub fn propose_all(
    effects: &mut Effects,
    run: RunId,
    store: &Store<'_>,
    items: &[Item],
) -> (Applied, Vec<(PathBuf, String)>) {
    let mut told = Vec::new();
    for item in items {
        if let Err(words) = propose_one(effects, run, store, item) {
            told.push((item.path.clone(), words));
        }
    }
    (effects.apply(), told)
}

pub fn propose_one(effects: &mut Effects, run: RunId, store: &Store<'_>, item: &Item) -> Result<(), String> {
    let action = FileChange::Adopt {
        at: raw(std::os::unix::ffi::OsStrExt::as_bytes(item.path.as_os_str())),
        take: item.take,
        expect: item.expect.clone(),
        new: item.new.clone().map(Box::new),
        meta: item.meta.clone().map(Box::new),
        named: item.named,
    };
    let mut resolved = effects.resolve_change(&action).map_err(|failure| failure.message)?;
    let grant = Grant { id: store.home.grant, who: Who::Anyone, actions: Actions::all(), until: None };
    let mut policy = Policy::new(vec![grant], Confirm::Never);
    policy.commit = Some(run);
    let permit = permit_by(&policy, Actor::Person, run, action, &mut resolved).map_err(|refusal| refusal.rule)?;
    effects.change(permit, resolved);
    Ok(())
}

/// Commits all of it, which must work, and ends the run.
pub fn commit_whole(store: &Store<'_>, draft: &Draft<'_>) -> RunId {
    let (run, applied, told) = commit_items(store, draft, &draft.items(), true, false);
    assert!(told.is_empty() && applied.conflicts.is_empty() && applied.failure.is_none(), "{told:?} {applied:?}");
    end(store, run);
    run
}

pub fn end(store: &Store<'_>, run: RunId) {
    let end = RunEnd { run, at: SystemClock.now(), status: RunStatus::Done, summary: String::new() };
    store.recorder().journal(move |journal| journal.end_run(&end)).unwrap().unwrap();
}

pub fn seen(path: &Path) -> Option<Seen> {
    let root = Root::open(path.parent().unwrap()).ok()?;
    let name = std::os::unix::ffi::OsStrExt::as_bytes(path.file_name().unwrap());
    let stat = state::stat_at(std::os::fd::AsFd::as_fd(&root), name).unwrap()?;
    let (kind, identity, size) = (stat.kind, stat.identity, stat.size);
    let file = kind == FileKind::File;
    let digest = file.then(|| std::fs::read(path).ok().map(|bytes| digest(&bytes))).flatten();
    Some(Seen { kind, identity, size, mtime: stat.mtime, ctime: stat.ctime, digest })
}

fn times_of(path: &Path) -> (Timestamp, Timestamp) {
    let meta = std::fs::symlink_metadata(path).unwrap();
    let stamp = |secs, nanos: i64| Timestamp { secs, nanos: u32::try_from(nanos).unwrap() };
    (stamp(meta.mtime(), meta.mtime_nsec()), stamp(meta.atime(), meta.atime_nsec()))
}

fn copy_meta(from: &Path, to: &Path) {
    let meta = std::fs::metadata(from).unwrap();
    if is_root() {
        std::os::unix::fs::chown(to, Some(meta.uid()), Some(meta.gid())).unwrap();
    }
    std::fs::set_permissions(to, meta.permissions()).unwrap();
    let root = Root::open(from).unwrap();
    for xattr in state::xattrs_of(std::os::fd::AsFd::as_fd(&root)).unwrap() {
        let _ = scratch::set_xattr(to, &String::from_utf8(xattr.name).unwrap(), &xattr.value);
    }
    let times = times_of(from);
    scratch::set_times(to, times.1, times.0).unwrap();
}

fn strip(path: &Path) {
    let parent = Root::open(path.parent().unwrap()).unwrap();
    let name = std::os::unix::ffi::OsStrExt::as_bytes(path.file_name().unwrap());
    let held = raincoat_os::mutate::hold(std::os::fd::AsFd::as_fd(&parent), name).unwrap();
    let names = ["user.overlay.impure", "user.overlay.origin"];
    let _ = raincoat_os::mutate::remove_xattrs(std::os::fd::AsFd::as_fd(&held), names.iter().map(|n| n.as_bytes()));
}

fn below(at: &Path, path: &Path, out: &mut Vec<PathBuf>) {
    if at.is_dir() && !at.is_symlink() {
        for entry in std::fs::read_dir(at).unwrap() {
            let name = entry.unwrap().file_name();
            below(&at.join(&name), &path.join(&name), out);
        }
    }
    out.push(path.to_owned());
}

fn above(at: &Path, path: &Path, out: &mut Vec<PathBuf>) {
    let mut names: Vec<_> = std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let (at, path) = (at.join(&name), path.join(&name));
        out.push(path.clone());
        if at.is_dir() && !at.is_symlink() {
            above(&at, &path, out);
        }
    }
}

impl Draft<'_> {
    /// Writes down what is not in the upper directory, for another process.
    pub fn keep(&self) {
        let list = |paths: &[PathBuf]| {
            paths.iter().flat_map(|path| [path.as_os_str().as_encoded_bytes(), b"\0"].concat()).collect::<Vec<u8>>()
        };
        std::fs::write(self.place.join("removed"), list(&self.removed)).unwrap();
        std::fs::write(self.place.join("content"), list(&self.content)).unwrap();
    }

    /// One that another process made and kept.
    pub fn kept(home: &Home) -> Draft<'_> {
        let place = home.dir.join("draft");
        let list = |name: &str| {
            let bytes = std::fs::read(place.join(name)).unwrap();
            let names = bytes.split(|b| *b == 0).filter(|name| !name.is_empty());
            names
                .map(|name| PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name)))
                .collect()
        };
        let (removed, content) = (list("removed"), list("content"));
        Draft { home, place, removed, content }
    }
}

/// Settles an interrupted commit, as the runtime does. Whether it was carried through.
pub fn recover_commit(home: &Home, store: &Store<'_>, interrupted: &Interrupted) -> Result<bool, Failure> {
    use raincoat_effects::commit::Point;
    use raincoat_journal::NoteKind;
    let run = interrupted.header.run;
    let point = store
        .recorder()
        .journal(move |journal| {
            let mut point = None;
            journal.for_each_note(run, NoteKind::CommitPoint, |bytes| point = Some(bytes.to_vec())).unwrap();
            point
        })
        .unwrap();
    let point = point.map(|bytes| Point::read(&bytes).unwrap());
    let sources = point.as_ref().map_or_else(Vec::new, |point| {
        let open = |bytes: &[u8], identity: Identity| {
            let path = Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes));
            Root::open(path).ok().filter(|root| root.identity() == identity)
        };
        let one = |at: &raincoat_effects::commit::Lying| {
            Some(Source {
                upper: open(&at.upper, at.upper_identity)?,
                stage: open(&at.stage, at.stage_identity)?,
                ended: at.ended,
            })
        };
        point.sources().iter().map(|at| at.as_ref().and_then(one)).collect()
    });
    let stays = point.as_ref().is_some_and(Point::stays);
    let mut effects = Effects::new(store.start(run, &interrupted.header.actor));
    effects.begin_commit(Begin { sources, stays });
    let through = effects.recover_commit(point.as_ref(), &store.ops(run))?;
    let results = through.results;
    store.recorder().journal(move |journal| journal.settle_all(&results)).unwrap().unwrap();
    let end = RunEnd { run, at: home.clock.now(), status: RunStatus::Interrupted, summary: String::new() };
    store.recorder().journal(move |journal| journal.end_run(&end)).unwrap().unwrap();
    Ok(through.forward)
}
