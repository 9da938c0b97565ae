//! Looking at a folder: a listing that is small in memory, and what in it must be left whole.

use std::collections::{HashMap, HashSet};

use raincoat_types::{FileKind, FileRead, Identity, Limits, Outcome, Place, RawPath, ReadDone, Timestamp};

use super::{End, check_stop, names};
use crate::keeper::Keeper;

/// Entries that one listing may have. More than this and a smaller folder must be named.
const MOST_ENTRIES: usize = 10_000_000;

/// A file in the listing: about 100 bytes with its path, so that a million fit easily.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    start: usize,
    len: u16,
    pub(super) kind: FileKind,
    /// It has other names (hard links).
    pub(super) linked: bool,
    pub(super) size: u64,
    pub(super) mtime: Timestamp,
    dev: u64,
    ino: u64,
}

impl Item {
    /// Which inode.
    pub(super) fn inode(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }
}

/// A listing: paths beneath one of the run's folders, a directory before what is in it.
#[derive(Debug, Default)]
pub(super) struct Listing {
    paths: Vec<u8>,
    pub(super) items: Vec<Item>,
}

impl Listing {
    /// The path beneath the run's folder.
    pub(super) fn path(&self, item: &Item) -> &[u8] {
        self.paths.get(item.start..item.start + usize::from(item.len)).unwrap_or_default()
    }

    /// Lists a folder (empty path: the run's folder itself) down to a depth.
    pub(super) fn read(
        keeper: &mut dyn Keeper,
        root: u16,
        dir: &[u8],
        depth: u32,
        limits: &Limits,
    ) -> Result<Listing, End> {
        let mut listing = Listing::default();
        listing.append(keeper, root, dir, depth, limits)?;
        Ok(listing)
    }

    /// Lists one more folder into this listing.
    pub(super) fn append(
        &mut self,
        keeper: &mut dyn Keeper,
        root: u16,
        dir: &[u8],
        depth: u32,
        limits: &Limits,
    ) -> Result<(), End> {
        let mut skip = 0;
        loop {
            check_stop(keeper)?;
            let at = place(root, dir);
            let depth = depth.min(limits.walk_depth).max(1);
            let (entries, more) = match keeper.read(vec![FileRead::List { at, depth, skip }])?.pop() {
                Some(Outcome::Read(ReadDone::List { entries, more })) => (entries, more),
                other => return Err(End::bad(format!("cannot list the folder: {}", trouble(other.as_ref())))),
            };
            if more && entries.is_empty() {
                return Err(End::bad("cannot list the folder: its pages do not come to an end"));
            }
            skip += entries.len() as u64;
            for entry in &entries {
                self.push(entry);
            }
            if self.items.len() > MOST_ENTRIES {
                return Err(End::bad(format!("the folder has more than {MOST_ENTRIES} files; name a smaller one")));
            }
            keeper.status(&format!("looking at files: {}", self.items.len()), None)?;
            if !more {
                return Ok(());
            }
        }
    }

    fn push(&mut self, entry: &raincoat_types::DirEntry) {
        let path = entry.path.as_bytes();
        let (Ok(len), false) = (u16::try_from(path.len()), path.is_empty()) else { return };
        let Identity { dev, ino, .. } = entry.meta.identity;
        self.items.push(Item {
            start: self.paths.len(),
            len,
            kind: entry.meta.kind,
            linked: entry.meta.kind == FileKind::File && entry.meta.nlink > 1,
            size: entry.meta.size,
            mtime: entry.meta.mtime,
            dev,
            ino,
        });
        self.paths.extend_from_slice(path);
    }
}

/// A place as proposals name it.
pub(super) fn place(root: u16, path: &[u8]) -> Place {
    Place { root, path: RawPath(path.to_vec()) }
}

/// Words for an outcome that is not what was hoped for.
pub(super) fn trouble(outcome: Option<&Outcome>) -> String {
    match outcome {
        Some(Outcome::Refused(refusal)) => refusal.message.clone(),
        Some(Outcome::Failed(failure)) => failure.message.clone(),
        _ => "the answer does not fit the question; please report this".to_owned(),
    }
}

/// Files and folders whose presence makes a folder a software project: something that is only of use whole.
fn is_project_file(name: &[u8]) -> bool {
    matches!(
        name,
        b"Cargo.toml"
            | b"package.json"
            | b"Makefile"
            | b"makefile"
            | b"GNUmakefile"
            | b"CMakeLists.txt"
            | b"meson.build"
            | b"pyproject.toml"
            | b"setup.py"
            | b"requirements.txt"
            | b"go.mod"
            | b"pom.xml"
            | b"build.gradle"
            | b"build.gradle.kts"
            | b"build.sbt"
            | b"Gemfile"
            | b"composer.json"
            | b"mix.exs"
            | b"pubspec.yaml"
            | b"Package.swift"
            | b"flake.nix"
            | b"configure.ac"
            | b"platformio.ini"
            | b"project.godot"
            | b"Vagrantfile"
            | b"docker-compose.yml"
            | b"WORKSPACE"
            | b"MODULE.bazel"
            | b"index.html"
    ) || matches!(names::ext(name).as_str(), "sln" | "csproj" | "vcxproj" | "xcodeproj" | "uproject")
}

fn is_version_control(name: &[u8]) -> bool {
    matches!(name, b".git" | b".hg" | b".svn" | b".jj" | b".bzr" | b"CVS" | b"_darcs" | b".fslckout")
}

/// Folders that are one thing to their owner, by name: application bundles and libraries.
fn is_bundle(name: &[u8]) -> bool {
    matches!(
        names::ext(name).as_str(),
        "app"
            | "framework"
            | "bundle"
            | "photoslibrary"
            | "musiclibrary"
            | "pages"
            | "numbers"
            | "key"
            | "rtfd"
            | "logicx"
            | "band"
            | "fcpbundle"
            | "sparsebundle"
            | "download"
            | "lproj"
    )
}

/// Why the run's own folder looks like a project, if it does: version control at its top, or a project's file next to
/// a folder such as projects have. (A stray `Makefile` among downloads makes no project.)
pub(super) fn project_sign(listing: &Listing) -> Option<String> {
    let top = || listing.items.iter().filter(|item| !listing.path(item).contains(&b'/'));
    let control = top().find(|item| is_version_control(listing.path(item)));
    let has_parts = || {
        top().any(|item| {
            item.kind == FileKind::Dir
                && matches!(
                    listing.path(item),
                    b"src" | b"lib" | b"include" | b"tests" | b"test" | b"target" | b"node_modules" | b"cmd" | b"pkg"
                )
        })
    };
    let manifest = || {
        top().find(|item| {
            let name = listing.path(item);
            item.kind == FileKind::File && name != b"index.html" && is_project_file(name)
        })
    };
    let sign = control.or_else(|| manifest().filter(|_| has_parts()))?;
    Some(raincoat_types::display_bytes(listing.path(sign)))
}

/// Folders that are left whole.
#[derive(Debug, Default)]
pub(super) struct Whole {
    dirs: HashSet<Vec<u8>>,
    /// How many of them are projects or bundles.
    pub(super) projects: usize,
    /// Saved web pages: the page and the folder that belongs to it.
    pub(super) pages: usize,
}

impl Whole {
    /// Finds projects, bundles, hidden folders, saved web pages with their folders, and the folders that `also` names.
    pub(super) fn find(listing: &Listing, also: &dyn Fn(&[u8]) -> bool) -> Whole {
        let mut dirs = HashSet::new();
        let mut projects = HashSet::new();
        let mut pages = HashMap::new();
        for item in &listing.items {
            let path = listing.path(item);
            let (parent, name) = names::split(path);
            if item.kind == FileKind::Dir && also(path) {
                dirs.insert(path.to_vec());
            } else if item.kind == FileKind::Dir && is_bundle(name) {
                projects.insert(path.to_vec());
            } else if item.kind == FileKind::Dir && name.starts_with(b".") && !is_version_control(name) {
                dirs.insert(path.to_vec());
            }
            if is_version_control(name) || (item.kind == FileKind::File && is_project_file(name)) {
                if parent.is_empty() {
                    // The run's folder itself: asked about by `project_sign`. Its version control stays whole.
                    if item.kind == FileKind::Dir {
                        dirs.insert(path.to_vec());
                    }
                } else {
                    projects.insert(parent.to_vec());
                }
            }
            if item.kind == FileKind::File && matches!(names::ext(name).as_str(), "html" | "htm") {
                pages.insert(page_folder(path), path);
            }
        }
        // Apart from its folder a page would lose its pictures: both stay.
        let is_dir = |item: &&Item| item.kind == FileKind::Dir;
        let folders = if pages.is_empty() { &[] } else { listing.items.as_slice() };
        pages = folders.iter().filter(is_dir).filter_map(|item| pages.remove_entry(listing.path(item))).collect();
        let whole = Whole { dirs: HashSet::new(), projects: projects.len(), pages: pages.len() };
        dirs.extend(projects);
        for (folder, page) in pages {
            dirs.insert(folder);
            dirs.insert(page.to_vec());
        }
        Whole { dirs, ..whole }
    }

    /// Whether a path is such a folder or lies in one.
    pub(super) fn holds(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        ends.chain([path.len()]).any(|end| path.get(..end).is_some_and(|dir| self.dirs.contains(dir)))
    }
}

/// The folder that browsers save beside a page: `x_files` for `x.html`.
fn page_folder(page: &[u8]) -> Vec<u8> {
    let (stem, _) = names::stem_and_dot_ext(page);
    [stem, b"_files"].concat()
}

/// Whether a file is not the person's to sort: hidden, a system's own, an editor's lock, or a download under way.
pub(super) fn is_private(name: &[u8]) -> bool {
    name.starts_with(b".")
        || name.starts_with(b"~$")
        || matches!(names::fold(name).as_slice(), b"desktop.ini" | b"thumbs.db" | b"ntuser.dat" | b"icon\r")
        || matches!(
            names::ext(name).as_str(),
            "crdownload" | "part" | "partial" | "download" | "opdownload" | "tmp" | "lock"
        )
}
