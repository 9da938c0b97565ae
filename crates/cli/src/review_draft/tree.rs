//! The changes as a tree by folder, and what is chosen of each. The rules that make a choice one that can be carried
//! out live here: what lies in a new folder needs the folder, and a folder only goes when all in it goes.

use super::model::{Choice, Entry, Resolution};
use crate::view::visible;

/// The tree and the choices. Nodes stand in the order in which they are shown: a folder, then all in it.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    choices: Vec<Choice>,
    /// Where each entry stands.
    node_of: Vec<usize>,
    total: Count,
}

/// A line of the tree: a granted folder, a folder, or a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    /// The last name; of a granted folder its absolute path.
    pub(crate) name: Vec<u8>,
    /// 0 for a granted folder.
    pub(crate) depth: usize,
    pub(crate) parent: Option<usize>,
    /// The first node after everything in this.
    pub(crate) end: usize,
    /// The change, by its number; a folder that only holds changes has none.
    pub(crate) entry: Option<usize>,
    /// Changes here and below.
    pub(crate) count: Count,
}

/// Changes, counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Count {
    pub(crate) entries: usize,
    /// Of which something is taken.
    pub(crate) taken: usize,
    /// Of which all is taken.
    pub(crate) whole: usize,
    /// That could be taken, but only by a word of their own, and are not decided.
    pub(crate) apart: usize,
    /// Conflicts to be merged.
    pub(crate) merges: usize,
}

impl Tree {
    /// All plain changes are taken at first, as far as the rules let them; what is dangerous, in conflict or special
    /// is not.
    pub(crate) fn new(folders: &[Vec<u8>], entries: &[Entry]) -> Tree {
        let choices = entries.iter().map(|entry| if entry.plain() { Choice::Accept } else { Choice::Reject }).collect();
        let mut tree = Tree { nodes: Vec::new(), choices, node_of: vec![0; entries.len()], total: Count::default() };
        tree.grow(folders, entries);
        tree.settle(entries);
        tree
    }

    fn grow(&mut self, folders: &[Vec<u8>], entries: &[Entry]) {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        let key = |n: &usize| entries.get(*n).map(|entry| (entry.folder, &entry.path));
        order.sort_by(|a, b| match (key(a), key(b)) {
            (Some((f, p)), Some((g, q))) => f.cmp(&g).then_with(|| p.names().cmp(q.names())).then(a.cmp(b)),
            _ => a.cmp(b),
        });
        // The folders that are open at the moment, the granted one first, and its number.
        let mut stack: Vec<usize> = Vec::new();
        let mut folder = None;
        for n in order {
            let Some(entry) = entries.get(n) else { continue };
            if folder != Some(entry.folder) {
                self.close(&mut stack, 0);
                let name = folders.get(entry.folder).cloned().unwrap_or_default();
                self.push(&mut stack, name);
                folder = Some(entry.folder);
            }
            let names: Vec<&[u8]> = entry.path.names().collect();
            let same = names
                .iter()
                .zip(stack.iter().skip(1))
                .take_while(|(name, node)| self.nodes.get(**node).is_some_and(|node| node.name == **name));
            let same = same.count();
            // Twice the same path is two lines.
            let twice = same == names.len() && self.entry_at(stack.get(same)).is_some();
            let keep = if twice { same.saturating_sub(1) } else { same };
            self.close(&mut stack, keep + 1);
            for name in names.iter().skip(keep) {
                self.push(&mut stack, name.to_vec());
            }
            if let Some(last) = stack.last().copied() {
                if let Some(node) = self.nodes.get_mut(last) {
                    node.entry = Some(n);
                }
                if let Some(slot) = self.node_of.get_mut(n) {
                    *slot = last;
                }
            }
        }
        self.close(&mut stack, 0);
    }

    fn entry_at(&self, node: Option<&usize>) -> Option<usize> {
        self.nodes.get(*node?)?.entry
    }

    fn push(&mut self, stack: &mut Vec<usize>, name: Vec<u8>) {
        let (parent, depth, end) = (stack.last().copied(), stack.len(), self.nodes.len() + 1);
        stack.push(self.nodes.len());
        self.nodes.push(Node { name, depth, parent, end, entry: None, count: Count::default() });
    }

    fn close(&mut self, stack: &mut Vec<usize>, keep: usize) {
        let end = self.nodes.len();
        while stack.len() > keep {
            if let Some(node) = stack.pop().and_then(|node| self.nodes.get_mut(node)) {
                node.end = end;
            }
        }
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn node(&self, n: usize) -> Option<&Node> {
        self.nodes.get(n)
    }

    /// What is chosen, by the entries' numbers.
    pub(crate) fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// What is chosen of one entry.
    pub(crate) fn choice(&self, entry: usize) -> &Choice {
        self.choices.get(entry).unwrap_or(&Choice::Reject)
    }

    /// Everything, counted.
    pub(crate) fn total(&self) -> Count {
        self.total
    }

    /// A node's changes taken, or left where all that may be taken so already is. Of a folder those that are `shown`.
    ///
    /// # Errors
    /// A sentence for the person: why it cannot be.
    pub(crate) fn toggle(&mut self, entries: &[Entry], n: usize, shown: Option<&[bool]>) -> Result<(), String> {
        let Some(node) = self.nodes.get(n) else { return Ok(()) };
        match node.entry {
            Some(entry) if node.end == n + 1 => {
                let to = if self.choice(entry).takes() { Choice::Reject } else { Choice::Accept };
                self.put(entries, entry, to)
            }
            _ => {
                let on = self
                    .in_range(n, shown)
                    .any(|entry| entries.get(entry).is_some_and(Entry::plain) && !self.choice(entry).takes_all());
                let named = node.entry.filter(|entry| entries.get(*entry).is_some_and(|e| !e.plain()));
                match named {
                    // A folder that is no plain change itself goes by its own word.
                    Some(entry) if !on && !self.choice(entry).takes() => self.put(entries, entry, Choice::Accept),
                    _ => {
                        self.all(entries, n, on, shown);
                        Ok(())
                    }
                }
            }
        }
    }

    /// Takes or leaves all plain changes at and below a node; leaving leaves the others, too. Of them those that are
    /// `shown`.
    pub(crate) fn all(&mut self, entries: &[Entry], n: usize, on: bool, shown: Option<&[bool]>) {
        let meant: Vec<usize> = self.in_range(n, shown).collect();
        for entry in meant {
            let plain = entries.get(entry).is_some_and(Entry::plain);
            if let Some(choice) = self.choices.get_mut(entry) {
                match on {
                    true if plain => *choice = Choice::Accept,
                    true => {}
                    false => *choice = Choice::Reject,
                }
            }
        }
        if on {
            self.carry_folders(entries);
        }
        self.settle(entries);
    }

    fn in_range(&self, n: usize, shown: Option<&[bool]>) -> impl Iterator<Item = usize> {
        let end = self.nodes.get(n).map_or(n, |node| node.end);
        let range = self.nodes.get(n..end).unwrap_or_default();
        let shown = move |entry: &usize| shown.is_none_or(|shown| shown.get(*entry).copied().unwrap_or(false));
        range.iter().filter_map(|node| node.entry).filter(shown)
    }

    /// Chooses for one entry, and what follows from it for the folders around it and all that lies in it.
    ///
    /// # Errors
    /// A sentence for the person: why it cannot be. Nothing is altered then.
    pub(crate) fn put(&mut self, entries: &[Entry], n: usize, choice: Choice) -> Result<(), String> {
        let (Some(entry), Some(at)) = (entries.get(n), self.node_of.get(n).copied()) else { return Ok(()) };
        let choice = match choice {
            Choice::Hunks(on) if on.iter().all(|on| *on) => Choice::Accept,
            Choice::Hunks(on) if !on.contains(&true) => Choice::Reject,
            other => other,
        };
        if choice.takes() || matches!(choice, Choice::Conflict(_)) {
            may_be(entry, &choice)?;
        }
        if choice.takes() {
            let needed = self.needed(entries, at)?;
            for other in needed {
                if let Some(slot) = self.choices.get_mut(other) {
                    *slot = Choice::Accept;
                }
            }
        }
        if let Some(slot) = self.choices.get_mut(n) {
            *slot = choice;
        }
        self.settle(entries);
        Ok(())
    }

    /// What must be taken for this one to be: the new folders around it and, where it is a folder that goes, all in it.
    fn needed(&self, entries: &[Entry], at: usize) -> Result<Vec<usize>, String> {
        let mut out = Vec::new();
        let mut above = self.nodes.get(at).and_then(|node| node.parent);
        while let Some(node) = above.and_then(|n| self.nodes.get(n)) {
            if let Some((n, entry)) = node.entry.and_then(|n| Some((n, entries.get(n)?)))
                && entry.makes_folder()
                && !self.choice(n).takes()
            {
                if entry.conflict.is_some() || entry.special.is_some() {
                    return Err(format!("first decide on `{}`, in which it lies", entry.path.display()));
                }
                out.push(n);
            }
            above = node.parent;
        }
        let here = self.nodes.get(at).and_then(|node| entries.get(node.entry?));
        if here.is_some_and(Entry::removes_folder) {
            for n in self.in_range(at, None).skip(1).filter(|n| !self.choice(*n).takes_all()) {
                match entries.get(n) {
                    Some(entry) if entry.plain() => out.push(n),
                    Some(entry) => return Err(format!("first decide on `{}`, which lies in it", entry.path.display())),
                    None => {}
                }
            }
        }
        Ok(out)
    }

    /// Takes the new folders in which something is taken, where they may be taken without a word of their own.
    fn carry_folders(&mut self, entries: &[Entry]) {
        let mut holds = vec![false; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().rev() {
            let mut taken = holds.get(at).copied().unwrap_or(false);
            if let Some((n, entry)) = node.entry.and_then(|n| Some((n, entries.get(n)?))) {
                if taken
                    && entry.makes_folder()
                    && entry.plain()
                    && let Some(choice) = self.choices.get_mut(n)
                {
                    *choice = Choice::Accept;
                }
                taken |= self.choices.get(n).is_some_and(Choice::takes);
            }
            if taken && let Some(slot) = node.parent.and_then(|parent| holds.get_mut(parent)) {
                *slot = true;
            }
        }
    }

    /// Makes the choices ones that can be carried out, by leaving what cannot be, and counts anew.
    fn settle(&mut self, entries: &[Entry]) {
        let mut left_until = 0;
        for (at, node) in self.nodes.iter().enumerate() {
            let Some((n, entry)) = node.entry.and_then(|n| Some((n, entries.get(n)?))) else { continue };
            let Some(choice) = self.choices.get_mut(n) else { continue };
            if at < left_until && choice.takes() {
                *choice = Choice::Reject;
            }
            if entry.makes_folder() && !choice.takes() {
                left_until = left_until.max(node.end);
            }
        }
        self.nodes.iter_mut().for_each(|node| node.count = Count::default());
        self.total = Count::default();
        for at in (0..self.nodes.len()).rev() {
            let Some(node) = self.nodes.get_mut(at) else { continue };
            if let Some((n, entry)) = node.entry.and_then(|n| Some((n, entries.get(n)?)))
                && let Some(choice) = self.choices.get_mut(n)
            {
                if entry.removes_folder() && choice.takes() && node.count.whole < node.count.entries {
                    *choice = Choice::Reject;
                }
                node.count = node.count.plus(Count {
                    entries: 1,
                    taken: usize::from(choice.takes()),
                    whole: usize::from(choice.takes_all()),
                    apart: usize::from(!entry.plain() && entry.special.is_none() && *choice == Choice::Reject),
                    merges: usize::from(*choice == Choice::Conflict(Resolution::Merge)),
                });
            }
            let (count, parent) = (node.count, node.parent);
            match parent.and_then(|parent| self.nodes.get_mut(parent)) {
                Some(parent) => parent.count = parent.count.plus(count),
                None => self.total = self.total.plus(count),
            }
        }
    }
}

impl Count {
    fn plus(self, other: Count) -> Count {
        Count {
            entries: self.entries + other.entries,
            taken: self.taken + other.taken,
            whole: self.whole + other.whole,
            apart: self.apart + other.apart,
            merges: self.merges + other.merges,
        }
    }
}

/// Whether this may be said of an entry, whatever is around it.
fn may_be(entry: &Entry, choice: &Choice) -> Result<(), String> {
    if let Some(why) = entry.special.as_ref().filter(|_| choice.takes()) {
        return Err(format!("it cannot be committed: {}", visible::single(why)));
    }
    match (choice, entry.conflict.is_some()) {
        (Choice::Conflict(_), true) | (Choice::Accept | Choice::Hunks(_) | Choice::Reject, false) => {}
        (_, true) => return Err("it was changed on both sides: say 1, 2, 3 or 4".to_owned()),
        (_, false) => return Err("it is no conflict".to_owned()),
    }
    let one_sided = entry.size_before.is_none() || entry.size_after.is_none();
    let folders = entry.was_folder || entry.is_folder;
    match choice {
        Choice::Conflict(Resolution::KeepBoth) if one_sided => Err("there is only one file to keep".to_owned()),
        Choice::Conflict(Resolution::Merge) if one_sided || folders => {
            Err("there are no two texts to merge".to_owned())
        }
        _ => Ok(()),
    }
}
