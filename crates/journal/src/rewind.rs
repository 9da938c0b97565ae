//! What was where at an earlier time: the files as they are now, with every later operation turned round, newest first.
//! Pure: what lies on the disk is named by where it is, and not looked at.

use std::collections::BTreeMap;

use raincoat_types::{Change, Content, FileKind, Image, Meta, OpResult};

use crate::history::{Past, under};
use crate::undo::Times;

/// A tree of files at an earlier time. Only what the operations were about is in it; the rest of a folder that lies on
/// the disk is as it is there.
#[derive(Debug)]
pub struct Rewind {
    nodes: Vec<Node>,
}

/// A file or folder.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The absolute path at which it lies now; `None` where it is gone, or was put there by nobody we know of.
    pub now: Option<Vec<u8>>,
    /// What it was, where an operation changed it since.
    pub image: Option<Image>,
    /// Its metadata, where only that is known.
    pub meta: Option<Meta>,
    /// What it was when it was moved: to know its content by, should it be gone.
    pub seen: Option<Image>,
    /// What the last operation on it left, where it says.
    pub left: Option<Image>,
    /// A folder's own times before the operations, and what the last of them left.
    pub times: Option<(Times, Option<Times>)>,
    /// Whether it was there at the earlier time.
    pub was: bool,
    /// What is known of the names in it: `None` where nothing had the name.
    names: BTreeMap<Vec<u8>, Option<usize>>,
    /// The folder that it was in, and its name there.
    home: Option<(usize, Vec<u8>)>,
}

impl Default for Rewind {
    fn default() -> Self {
        let top = Node { now: Some(b"/".to_vec()), was: true, ..Node::default() };
        Rewind { nodes: vec![top] }
    }
}

impl Rewind {
    /// Everything as it is now.
    pub fn new() -> Rewind {
        Rewind::default()
    }

    /// Turns an operation round. They are to be handed over newest first.
    pub fn take(&mut self, past: &Past) {
        let Some(OpResult::Done { dirs, .. }) = &past.op.result else { return };
        // How the last operation left the folders is met first.
        for dir in dirs {
            if let Some(path) = folder_of(past, dir) {
                let node = self.find_or_make(&path);
                let times = Times { mtime: dir.mtime, atime: dir.atime };
                if let Some(node) = self.nodes.get_mut(node)
                    && node.times.is_none()
                {
                    node.times = Some((times, Some(times)));
                }
            }
        }
        if let Some(after) = past.after()
            && let Some(at) = past.paths.last()
        {
            let node = self.find_or_make(at);
            self.with(node, |node| {
                if node.image.is_none() && node.meta.is_none() && node.seen.is_none() {
                    node.left.get_or_insert_with(|| after.clone());
                }
            });
        }
        match (&past.op.intent.change, past.paths.as_slice()) {
            (Change::Create { .. } | Change::Link { .. }, [at]) => self.clear(at),
            (Change::Remove { before, .. }, [at]) => {
                self.clear(at);
                let node = self.add(Node { image: Some(before.clone()), was: true, ..Node::default() });
                if before.content == Content::Dir {
                    let times = Times { mtime: before.meta.mtime, atime: before.meta.atime };
                    self.with(node, |node| node.times = Some((times, None)));
                }
                self.put(at, node);
            }
            (Change::Replace { before, .. }, [at]) => {
                let node = self.find_or_make(at);
                self.with(node, |node| (node.image, node.meta) = (Some(before.clone()), None));
            }
            (Change::SetMeta { before, .. }, [at]) => {
                let node = self.find_or_make(at);
                self.with(node, |node| match &mut node.image {
                    Some(image) => image.meta = before.clone(),
                    None => node.meta = Some(before.clone()),
                });
                if before.kind == FileKind::Dir {
                    let times = Times { mtime: before.mtime, atime: before.atime };
                    self.with(node, |node| node.times = Some((times, node.times.and_then(|(_, last)| last))));
                }
            }
            (Change::Move { image, .. }, [from, to]) => {
                let node = self.find_or_make(to);
                self.clear(to);
                self.with(node, |node| {
                    node.was = true;
                    if node.image.is_none() {
                        node.seen.get_or_insert_with(|| image.clone());
                    }
                });
                self.put(from, node);
            }
            _ => {}
        }
        for dir in &past.op.intent.dirs {
            if let Some(path) = folder_of(past, dir) {
                let node = self.find_or_make(&path);
                let times = Times { mtime: dir.mtime, atime: dir.atime };
                self.with(node, |node| node.times = Some((times, node.times.and_then(|(_, last)| last))));
            }
        }
    }

    /// Says that what lies at an absolute path now is meant, and stays under that name, whatever it was called then.
    pub fn follow(&mut self, path: &[u8]) {
        let there = self.nodes.iter().position(|node| node.now.as_deref() == Some(path) && node.was);
        if let (Some(node), Standing::Nothing) = (there, self.at(path)) {
            let home = self.nodes.get_mut(node).and_then(|node| node.home.take());
            if let Some((folder, name)) = home {
                self.name(folder, &name, None);
            }
            self.put(path, node);
        }
    }

    /// What was at an absolute path.
    pub fn at(&self, path: &[u8]) -> Standing<'_> {
        let mut here = 0;
        let mut rest = names(path);
        while let Some(name) = rest.next() {
            match self.nodes.get(here).and_then(|node| node.names.get(name)) {
                Some(Some(next)) => here = *next,
                Some(None) => return Standing::Nothing,
                None => {
                    // Nothing is known of it but by the folder that it lies in.
                    let Some(now) = self.nodes.get(here).and_then(|node| node.now.clone()) else {
                        return Standing::Nothing;
                    };
                    let now = rest.fold(under(&now, name), |at, name| under(&at, name));
                    return Standing::AsNow(now);
                }
            }
        }
        self.nodes.get(here).map_or(Standing::Nothing, Standing::Known)
    }

    /// The names in a folder that something is known of, and what was there.
    pub fn names<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = (&'a [u8], Option<&'a Node>)> {
        node.names.iter().map(|(name, id)| (name.as_slice(), id.and_then(|id| self.nodes.get(id))))
    }

    /// Where a file was: `None` where it was nowhere, or in a folder that was not.
    pub fn path_of(&self, node: &Node) -> Option<Vec<u8>> {
        let mut parts = Vec::new();
        let mut here = node;
        while let Some((folder, name)) = &here.home {
            parts.push(name.as_slice());
            here = self.nodes.get(*folder)?;
        }
        let is_top = self.nodes.first().is_some_and(|top| std::ptr::eq(top, here));
        is_top.then(|| parts.iter().rev().fold(b"/".to_vec(), |at, name| under(&at, name)))
    }

    /// What lies at an absolute path now, if anything is known of it: wherever it was.
    pub fn now_at(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.iter().find(|node| node.now.as_deref() == Some(path))
    }

    /// Everything that lies on the disk now and of which something is known.
    pub fn known(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.now.is_some())
    }

    fn with(&mut self, node: usize, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(node) {
            change(node);
        }
    }

    fn name(&mut self, folder: usize, name: &[u8], node: Option<usize>) {
        self.with(folder, |folder| {
            folder.names.insert(name.to_vec(), node);
        });
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// What is at a path, taken up as known.
    fn find_or_make(&mut self, path: &[u8]) -> usize {
        let mut here = 0;
        for name in names(path) {
            let (known, now) = match self.nodes.get(here) {
                Some(node) => (node.names.get(name).copied(), node.now.as_ref().map(|now| under(now, name))),
                None => (None, None),
            };
            here = match known {
                Some(Some(next)) => next,
                // A folder that somebody else has taken away since is found in no place.
                Some(None) => self.child(here, name, None),
                None => self.child(here, name, now),
            };
        }
        here
    }

    fn child(&mut self, folder: usize, name: &[u8], now: Option<Vec<u8>>) -> usize {
        let home = Some((folder, name.to_vec()));
        let node = self.add(Node { now, was: true, home, ..Node::default() });
        self.name(folder, name, Some(node));
        node
    }

    /// Nothing is at a path.
    fn clear(&mut self, path: &[u8]) {
        let node = self.find_or_make(path);
        let home = self.nodes.get_mut(node).and_then(|node| {
            node.was = false;
            node.home.take()
        });
        if let Some((folder, name)) = home {
            self.name(folder, &name, None);
        }
    }

    fn put(&mut self, path: &[u8], node: usize) {
        let Some(parent) = crate::paths::parent(path) else { return };
        let Some(name) = names(path).last().map(<[u8]>::to_vec) else { return };
        let folder = self.find_or_make(parent);
        self.name(folder, &name, Some(node));
        self.with(node, |node| (node.home, node.was) = (Some((folder, name)), true));
    }
}

/// What was at a path.
#[derive(Clone, Debug)]
pub enum Standing<'a> {
    /// Nothing.
    Nothing,
    /// This.
    Known(&'a Node),
    /// No operation was about it: it is what lies at this absolute path now.
    AsNow(Vec<u8>),
}

impl Node {
    /// What it was, as far as it is known: by its content, or by what it was when it was moved.
    pub fn known_image(&self) -> Option<&Image> {
        self.image.as_ref().or(self.seen.as_ref())
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

/// A directory's absolute path, by the names of the operation that altered it.
fn folder_of(past: &Past, dir: &raincoat_types::DirTimes) -> Option<Vec<u8>> {
    let spots = past.op.intent.change.spots();
    // The operation's own places tell how its folders are called: one of them is the directory, or lies in it.
    spots.iter().zip(&past.paths).find_map(|(spot, path)| {
        if **spot == dir.at {
            return Some(path.clone());
        }
        let (parent, _) = spot.path.split_last()?;
        if spot.grant == dir.at.grant && parent == dir.at.path {
            return crate::paths::parent(path).map(<[u8]>::to_vec);
        }
        None
    })
}
