//! A keeper over a tree in memory that really makes the changes, and refuses what a file system would refuse.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;

use raincoat_types::wire::{Job, JobRoot, PlanStep, Task};
use raincoat_types::{
    ChangeDone, Digest, DirEntry, Failure, FailureKind, FileChange, FileKind, FileRead, Identity, Limits, Meta,
    ModelRequest, Outcome, Place, ReadDone, Refusal, RelPath, Timestamp,
};

use super::names;
use crate::keeper::{Keeper, Lost, PlanResult, Sink};

/// A file in the tree.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: FileKind,
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) mtime: i64,
    pub(crate) ino: u64,
}

/// The keeper. Paths are those of root 0.
#[derive(Debug)]
pub(crate) struct FakeKeeper {
    pub(crate) tree: BTreeMap<Vec<u8>, Node>,
    pub(crate) limits: Limits,
    /// Titles of the plans, with their steps.
    pub(crate) plans: Vec<(String, Vec<PlanStep>)>,
    /// Reads asked for.
    pub(crate) reads: usize,
    /// The person asks to stop once this many calls were made.
    pub(crate) stop_after: Option<usize>,
    /// The keeper is gone once this many calls were made.
    pub(crate) lost_after: Option<usize>,
    /// The person's words when they refuse every plan, once they accepted so many.
    pub(crate) refuse: Option<(usize, String)>,
    /// Names of files that the gate does not let be moved.
    pub(crate) protected: Vec<&'static str>,
    /// Steps that the person strikes out of the first plan.
    pub(crate) strike: Vec<usize>,
    /// Changed by somebody else as the first plan ends.
    pub(crate) meddle: Option<(Vec<u8>, Vec<u8>)>,
    calls: usize,
    next_ino: u64,
}

impl FakeKeeper {
    pub(crate) fn new() -> FakeKeeper {
        FakeKeeper {
            tree: BTreeMap::new(),
            limits: Limits { list_entries: 7, ..Limits::default() },
            plans: Vec::new(),
            reads: 0,
            stop_after: None,
            lost_after: None,
            refuse: None,
            protected: Vec::new(),
            strike: Vec::new(),
            meddle: None,
            calls: 0,
            next_ino: 1,
        }
    }

    /// Adds a file, and the folders above it.
    pub(crate) fn file(&mut self, path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>, mtime: i64) -> &mut Self {
        self.node(path.as_ref(), FileKind::File, bytes.as_ref(), mtime)
    }

    /// Adds a folder.
    pub(crate) fn dir(&mut self, path: impl AsRef<[u8]>) -> &mut Self {
        self.node(path.as_ref(), FileKind::Dir, b"", 0)
    }

    /// Adds anything.
    pub(crate) fn node(&mut self, path: &[u8], kind: FileKind, bytes: &[u8], mtime: i64) -> &mut Self {
        let parent = names::split(path).0;
        if !parent.is_empty() && !self.tree.contains_key(parent) {
            let parent = parent.to_vec();
            self.dir(parent);
        }
        self.next_ino += 1;
        let node = Node { kind, bytes: Arc::new(bytes.to_vec()), mtime, ino: self.next_ino };
        self.tree.insert(path.to_vec(), node);
        self
    }

    /// One more name for a file.
    pub(crate) fn link(&mut self, existing: &[u8], path: &[u8]) -> &mut Self {
        let node = self.tree[existing].clone();
        self.tree.insert(path.to_vec(), node);
        self
    }

    /// A job for a recipe over this tree.
    pub(crate) fn job(&self) -> Job {
        Job {
            task: Task::Prompt(String::new()),
            roots: vec![JobRoot { label: "stuff".into(), path: b"/stuff".to_vec(), read_only: false }],
            model: None,
            unclear: false,
            limits: self.limits.clone(),
            now: (1_795_000_000, 3600), // 2026-11-18
            transcript: Vec::new(),
        }
    }

    /// Paths of all files and folders, for a person; folders with a `/`.
    pub(crate) fn show(&self) -> Vec<String> {
        let line = |(path, node): (&Vec<u8>, &Node)| {
            let end = if node.kind == FileKind::Dir { "/" } else { "" };
            format!("{}{end}", String::from_utf8_lossy(path))
        };
        self.tree.iter().map(line).collect()
    }

    /// All contents, sorted: what must not change when files only get other names.
    pub(crate) fn contents(&self) -> Vec<(u64, Arc<Vec<u8>>, i64)> {
        let files = self.tree.values().filter(|node| node.kind != FileKind::Dir);
        let mut all: Vec<_> = files.map(|node| (node.ino, node.bytes.clone(), node.mtime)).collect();
        all.sort();
        all
    }

    fn call(&mut self) -> Result<(), Lost> {
        self.calls += 1;
        match self.lost_after {
            Some(after) if self.calls > after => Err(Lost("gone".into())),
            _ => Ok(()),
        }
    }

    fn entry(&self, path: &[u8], node: &Node, links: &HashMap<u64, u64>) -> DirEntry {
        let stamp = Timestamp { secs: node.mtime, nanos: 0 };
        DirEntry {
            path: RelPath::new(path).unwrap(),
            meta: Meta {
                kind: node.kind,
                mode: 0o644,
                uid: 1000,
                gid: 1000,
                size: if node.kind == FileKind::Dir { 0 } else { node.bytes.len() as u64 },
                mtime: stamp,
                atime: stamp,
                nlink: links.get(&node.ino).copied().unwrap_or(1),
                identity: Identity { dev: 1, ino: node.ino, born: Timestamp::default() },
                xattrs: Vec::new(),
            },
            target: None,
        }
    }

    fn links(&self) -> HashMap<u64, u64> {
        let mut links = HashMap::new();
        for node in self.tree.values() {
            *links.entry(node.ino).or_default() += 1;
        }
        links
    }

    fn look(&self, action: &FileRead) -> Outcome {
        let path = &action.place().path.0;
        let Some(node) = self.tree.get(path) else {
            if let (FileRead::List { depth, skip, .. }, true) = (action, path.is_empty()) {
                return self.list(path, *depth, *skip);
            }
            return failed(FailureKind::NotFound, "no such file");
        };
        match action {
            FileRead::List { depth, skip, .. } => self.list(path, *depth, *skip),
            FileRead::Stat { .. } => Outcome::Read(ReadDone::Stat(self.entry(path, node, &self.links()))),
            _ if node.kind != FileKind::File => failed(FailureKind::WrongKind, "not a file"),
            FileRead::Read { offset, len, .. } => {
                let from = (*offset as usize).min(node.bytes.len());
                let to = (from + *len as usize).min(node.bytes.len());
                let bytes = node.bytes[from..to].to_vec();
                Outcome::Read(ReadDone::Bytes { bytes, size: node.bytes.len() as u64, digest: None })
            }
            FileRead::Hash { .. } => {
                // Not a hash, but as good as one here: contents of up to 24 bytes, or length and ends.
                let mut digest = [0; 32];
                digest[..8].copy_from_slice(&(node.bytes.len() as u64).to_le_bytes());
                for (i, b) in node.bytes.iter().enumerate() {
                    let slot = &mut digest[8 + i % 24];
                    *slot = slot.rotate_left(3) ^ *b;
                }
                Outcome::Read(ReadDone::Hash(Digest(digest)))
            }
            FileRead::Search { .. } => failed(FailureKind::Invalid, "not here"),
        }
    }

    fn list(&self, dir: &[u8], depth: u32, skip: u64) -> Outcome {
        let links = self.links();
        let start = if dir.is_empty() { Vec::new() } else { names::join(dir, b"") };
        let below = self.tree.range(start.clone()..).take_while(|(path, _)| path.starts_with(&start));
        let levels = |path: &[u8]| path[start.len()..].iter().filter(|b| **b == b'/').count() as u32 + 1;
        let mut found = below.filter(|(path, _)| **path != start && levels(path) <= depth).skip(skip as usize);
        let page = found.by_ref().take(self.limits.list_entries as usize);
        let entries = page.map(|(path, node)| self.entry(path, node, &links)).collect();
        Outcome::Read(ReadDone::List { entries, more: found.next().is_some() })
    }

    fn change(&mut self, change: &FileChange) -> Result<(), Failure> {
        let no = |kind, message: &str| Err(Failure::new(kind, message));
        match change {
            FileChange::Mkdir { at, parents: false } => {
                self.free(at, None)?;
                self.node(&at.path.0, FileKind::Dir, b"", 0);
                Ok(())
            }
            FileChange::Move { from, to, replace: false } => {
                self.free(to, Some(from))?;
                match self.tree.get(&from.path.0) {
                    None => return no(FailureKind::NotFound, "no such file"),
                    Some(node) if node.kind == FileKind::Dir => return no(FailureKind::Invalid, "recipes move files"),
                    Some(_) => {}
                }
                let node = self.tree.remove(&from.path.0).unwrap();
                self.tree.insert(to.path.0.clone(), node);
                Ok(())
            }
            FileChange::Delete { at, recursive: false } => {
                let below = names::join(&at.path.0, b"");
                if self.tree.range(below.clone()..).next().is_some_and(|(path, _)| path.starts_with(&below)) {
                    return no(FailureKind::Invalid, "the folder is not empty");
                }
                self.tree
                    .remove(&at.path.0)
                    .map(drop)
                    .ok_or_else(|| Failure::new(FailureKind::NotFound, "no such file"))
            }
            FileChange::Archive { from, to, .. } => {
                self.free(to, None)?;
                let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
                for place in from {
                    let Some(node) = self.tree.get(&place.path.0) else {
                        return no(FailureKind::NotFound, "no such file");
                    };
                    let name = String::from_utf8_lossy(&place.path.0).into_owned();
                    zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
                    zip.write_all(&node.bytes).unwrap();
                }
                let bytes = zip.finish().unwrap().into_inner();
                self.file(&to.path.0, bytes, 1_795_000_000);
                Ok(())
            }
            other => no(FailureKind::Invalid, other.verb()),
        }
    }

    fn is_protected(&self, change: &FileChange) -> bool {
        matches!(change, FileChange::Move { from, .. }
            if self.protected.iter().any(|name| name.as_bytes() == names::split(&from.path.0).1))
    }

    /// Nothing but `from` is there, in any case of letters, and the folder is.
    fn free(&self, at: &Place, from: Option<&Place>) -> Result<(), Failure> {
        let (parent, name) = names::split(&at.path.0);
        assert!(names::is_name(name), "not a name: {at:?}");
        if !parent.is_empty() && self.tree.get(parent).is_none_or(|node| node.kind != FileKind::Dir) {
            return Err(Failure::new(FailureKind::NotFound, format!("no such folder for {at:?}")));
        }
        let folded = names::fold(name);
        // Every name is looked at: too slow for the test with very many.
        let alike = self.tree.len() < 1000
            && self.tree.keys().filter(|path| from.is_none_or(|from| from.path.0 != **path)).any(|path| {
                let (other_parent, other) = names::split(path);
                other_parent == parent && names::fold(other) == folded
            });
        if alike || self.tree.contains_key(&at.path.0) {
            return Err(Failure::new(FailureKind::Exists, format!("{at:?} is there already")));
        }
        Ok(())
    }
}

fn failed(kind: FailureKind, message: &str) -> Outcome {
    Outcome::Failed(Failure::new(kind, message))
}

impl Keeper for FakeKeeper {
    fn read(&mut self, actions: Vec<FileRead>) -> Result<Vec<Outcome>, Lost> {
        self.call()?;
        self.reads += actions.len();
        Ok(actions.iter().map(|action| self.look(action)).collect())
    }

    fn plan(&mut self, title: &str, steps: Vec<PlanStep>) -> Result<PlanResult, Lost> {
        self.call()?;
        self.plans.push((title.to_owned(), steps.clone()));
        if let Some((accepted, words)) = &self.refuse
            && self.plans.len() > *accepted
        {
            return Ok(PlanResult { outcomes: vec![None; steps.len()], refused: Some(words.clone()) });
        }
        let strike = std::mem::take(&mut self.strike);
        let mut outcomes = Vec::new();
        let mut stopped = false;
        for (at, step) in steps.iter().enumerate() {
            if stopped || strike.contains(&at) {
                outcomes.push(None);
                continue;
            }
            if self.is_protected(&step.change) {
                outcomes.push(Some(Outcome::Refused(Refusal {
                    rule: "protected-name".to_owned(),
                    message: "its name is protected".to_owned(),
                })));
                continue;
            }
            outcomes.push(Some(match self.change(&step.change) {
                Ok(()) => Outcome::Change(ChangeDone { ops: Vec::new() }),
                Err(failure) => {
                    stopped = true;
                    Outcome::Failed(failure)
                }
            }));
        }
        if let Some((path, bytes)) = self.meddle.take() {
            self.file(path, bytes, 1_794_999_999);
        }
        Ok(PlanResult { outcomes, refused: None })
    }

    fn ask(&mut self, _: ModelRequest, _: &mut Sink<'_>) -> Result<Outcome, Lost> {
        Ok(failed(FailureKind::Network, "no model here"))
    }

    fn say(&mut self, _: &str) -> Result<(), Lost> {
        self.call()
    }

    fn status(&mut self, _: &str, _: Option<(u64, u64)>) -> Result<(), Lost> {
        self.call()
    }

    fn note(&mut self, _: &str) -> Result<(), Lost> {
        self.call()
    }

    fn stop_asked(&mut self) -> bool {
        self.stop_after.is_some_and(|after| self.calls >= after)
    }
}
