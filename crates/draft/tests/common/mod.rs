//! What the tests of drafts share: a home with a folder, programs run over a real overlay, and an applier that knows
//! nothing but the order that a scan promises.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use raincoat_draft::{Asked, Draft, Drafts, Item, ItemKind, NewDraft, Prepared, Scan, ScanLimits, Version, prepare};
use raincoat_os::snapshot::{Aspect, Snapshot};
use raincoat_os::{PrivateDir, Root, mutate};
use raincoat_seal::SealKey;
use raincoat_types::*;

/// A folder with files, our data beside it, and the directory where overlays are mounted.
pub struct Home {
    pub dir: tempfile::TempDir,
    pub data: PrivateDir,
    pub key: SealKey,
}

/// A draft of the one folder, and what the overlay needs.
pub struct Made {
    pub draft: Draft,
    pub place: PathBuf,
    pub has_mask: bool,
}

impl Home {
    pub fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        let data = PrivateDir::open_or_create(&dir.path().join("data")).unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        std::fs::create_dir(dir.path().join("mnt")).unwrap();
        Home { dir, data, key: SealKey::from_bytes([7; 32]) }
    }

    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("folder")
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.folder().join(path)
    }

    /// A file of the folder.
    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::fs::write(self.at(path), bytes).unwrap();
    }

    pub fn drafts(&self) -> Drafts {
        Drafts::open(&self.data, &self.key).unwrap()
    }

    pub fn prepare(&self, folder: &Path, hide: &[&str]) -> Prepared {
        let root = Root::open(folder).unwrap();
        let granted = granted(&root);
        let hide: Vec<RelPath> = hide.iter().map(|path| rel(path)).collect();
        let top = |name: &[u8]| name.starts_with(b".secret");
        let asked = Asked { root: &root, granted: &granted, hide: &hide, hide_top: &top };
        prepare(&self.data, new_run(), &[asked]).unwrap()
    }

    /// A sealed draft of the folder.
    pub fn draft(&self, hide: &[&str]) -> Made {
        let prepared = self.prepare(&self.folder(), hide);
        let place = place_of(&prepared);
        let has_mask = prepared.folders[0].has_mask;
        Made { draft: self.drafts().seal(prepared, about()).unwrap(), place, has_mask }
    }

    /// Runs a shell script in the draft, in a namespace of its own. `$OUT` is a free path outside.
    pub fn sh(&self, made: &Made, script: &str) -> Output {
        self.program(made, &["sh", "-euc", script])
    }

    /// Runs a program in the draft; it must succeed.
    pub fn program(&self, made: &Made, command: &[&str]) -> Output {
        let output = self.overlay(made, command).output().expect("`unshare` of util-linux must be installed");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the program failed (user namespaces allowed?): {words}");
        output
    }

    pub fn overlay(&self, made: &Made, command: &[&str]) -> Command {
        let mask = if made.has_mask { format!("{}/mask:", made.place.display()) } else { String::new() };
        let options = format!(
            "userxattr,index=on,lowerdir={mask}{},upperdir={p}/upper,workdir={p}/work",
            self.folder().display(),
            p = made.place.display()
        );
        let mount = "mount -t overlay overlay -o \"$OPTIONS\" \"$MNT\" && cd \"$MNT\" && exec \"$@\"";
        let mut unshare = Command::new("unshare");
        unshare.args(["-Urm", "sh", "-c", mount, "sh"]).args(command);
        unshare.env("OPTIONS", options).env("MNT", self.dir.path().join("mnt")).env("OUT", self.dir.path().join("out"));
        unshare
    }
}

pub fn about() -> NewDraft {
    let began = Timestamp { secs: 1_800_000_000, nanos: 0 };
    NewDraft { command: vec![b"make".to_vec()], profile: None, began }
}

pub fn place_of(prepared: &Prepared) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&prepared.folders[0].recorded.place.path))
}

pub fn new_run() -> RunId {
    RunId(raincoat_os::new_ulid(&raincoat_os::SystemClock).unwrap())
}

pub fn granted(root: &Root) -> raincoat_types::Root {
    raincoat_types::Root {
        grant: GrantId(Ulid::from_parts(1, 1)),
        path: root.path().as_os_str().as_bytes().to_vec(),
        identity: root.identity(),
    }
}

pub fn rel(path: &str) -> RelPath {
    RelPath::new(path.as_bytes()).unwrap()
}

pub fn scan(draft: &Draft) -> Scan {
    let scan = draft.scan(ScanLimits::default()).unwrap();
    assert!(!scan.cut);
    scan
}

/// What a scan found, a line each: letter, path, drift.
pub fn told(scan: &Scan) -> Vec<String> {
    let line = |item: &Item| {
        let letter = match item.kind {
            ItemKind::Created => "new".to_owned(),
            ItemKind::Modified { content, meta } => {
                format!("{}{}", if content { "content" } else { "" }, if meta { "+meta" } else { "" })
            }
            ItemKind::Deleted => "gone".to_owned(),
            ItemKind::TypeChanged => "other".to_owned(),
            ItemKind::Special(_) => "special".to_owned(),
        };
        let drift = item.drift.map(|drift| format!(" {drift:?}")).unwrap_or_default();
        format!("{letter} {}{drift}{}", item.path.display(), if item.masked { " masked" } else { "" })
    };
    scan.items.iter().map(line).collect()
}

/// As [`told`], without the folders whose times alone changed.
pub fn files(scan: &Scan) -> Vec<String> {
    let quiet = |item: &Item| {
        !(item.after.as_ref().is_some_and(Version::is_dir)
            && item.kind == ItemKind::Modified { content: false, meta: true })
    };
    let mut loud = scan.clone();
    loud.items.retain(quiet);
    told(&loud)
}

pub fn item<'a>(scan: &'a Scan, path: &str) -> &'a Item {
    scan.items.iter().find(|item| item.path.as_bytes() == path.as_bytes()).unwrap_or_else(|| panic!("`{path}`"))
}

/// Copies a tree with everything that a file has.
pub fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-aT").arg(from).arg(to).status().unwrap().success());
}

/// In what two trees differ, but for what `ignore` names.
pub fn differences(one: &Path, other: &Path, ignore: &[Aspect]) -> Vec<String> {
    let (one, other) = (Snapshot::take(one).unwrap(), Snapshot::take(other).unwrap());
    let differences = one.differences(&other);
    differences.iter().filter(|d| !ignore.contains(&d.what)).map(ToString::to_string).collect()
}

/// Applies items to a tree, in the order given, as the scan's documentation says.
pub fn apply(made: &Made, scan: &Scan, tree: &Path) {
    let mut folders = Vec::new();
    let mut done = BTreeSet::new();
    let kept = times_of_parents(scan, tree);
    for item in &scan.items {
        let at = tree.join(OsStr::from_bytes(item.path.as_bytes()));
        let from = made.place.join("upper").join(OsStr::from_bytes(item.path.as_bytes()));
        assert!(done.insert(item.path.clone()), "`{}` stands there twice", item.path.display());
        if matches!(item.kind, ItemKind::Special(_)) {
            continue;
        }
        let Some(after) = &item.after else {
            remove(&at);
            continue;
        };
        let group = item.links.and_then(|links| links.group).map(|group| &scan.groups[group]);
        if let Some(group) = group.filter(|group| group.leader != item.path) {
            remove_if_there(&at);
            std::fs::hard_link(tree.join(OsStr::from_bytes(group.leader.as_bytes())), &at).unwrap();
            continue;
        }
        match after.stat.kind {
            FileKind::Dir => {
                if item.kind != (ItemKind::Modified { content: false, meta: true }) {
                    remove_if_there(&at);
                    std::fs::create_dir(&at).unwrap();
                }
                folders.push((at, after.clone()));
                continue;
            }
            FileKind::Symlink => {
                remove_if_there(&at);
                symlink(OsStr::from_bytes(after.target.as_ref().unwrap()), &at).unwrap();
            }
            FileKind::File if item.kind == (ItemKind::Modified { content: false, meta: true }) => {}
            FileKind::File => {
                remove_if_there(&at);
                let sparse = ["--sparse=always", "--no-preserve=all"];
                assert!(Command::new("cp").args(sparse).arg(&from).arg(&at).status().unwrap().success());
            }
            FileKind::Special => unreachable!(),
        }
        dress(&at, after);
    }
    for (at, mtime) in kept {
        if at.is_dir() {
            raincoat_os::scratch::set_times(&at, mtime, mtime).unwrap();
        }
    }
    for (at, after) in folders.iter().rev() {
        dress(at, after);
    }
}

/// The times of the folders that hold items and may be none themselves.
fn times_of_parents(scan: &Scan, tree: &Path) -> BTreeMap<PathBuf, Timestamp> {
    let parent = |item: &Item| item.path.split_last().map(|(folder, _)| folder);
    let parents: BTreeSet<_> = scan.items.iter().filter_map(parent).collect();
    let at = |folder: &RelPath| tree.join(OsStr::from_bytes(folder.as_bytes()));
    let time = |stat: std::fs::Metadata| Timestamp { secs: stat.mtime(), nanos: stat.mtime_nsec() as u32 };
    parents.iter().map(at).filter_map(|at| Some((at.clone(), time(at.symlink_metadata().ok()?)))).collect()
}

fn dress(at: &Path, version: &Version) {
    let parent = Root::open(at.parent().unwrap()).unwrap();
    let held = mutate::hold(parent.as_fd(), at.file_name().unwrap().as_bytes()).unwrap();
    mutate::set_meta_of(held.as_fd(), &version.stat.with_xattrs(version.xattrs.clone())).unwrap();
}

fn remove_if_there(at: &Path) {
    if std::fs::symlink_metadata(at).is_ok() {
        remove(at);
    }
}

fn remove(at: &Path) {
    let stat = std::fs::symlink_metadata(at).unwrap_or_else(|e| panic!("{}: {e}", at.display()));
    if stat.is_dir() { std::fs::remove_dir(at) } else { std::fs::remove_file(at) }
        .unwrap_or_else(|e| panic!("{} ({}): {e}", at.display(), stat.ino()));
}
