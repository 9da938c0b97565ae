//! Free names: what stands in each folder, and what will. Two names that differ only in case count as one, so that the
//! result can be carried to a system that ignores case.

use std::collections::HashMap;

use super::names;

/// A name or path that will not grow.
type Name = Box<[u8]>;

/// What stands under a name.
#[derive(Debug)]
enum Slot {
    /// A folder, with its name as it is written.
    Folder(Name),
    /// Anything else.
    Taken,
}

/// The names in a set of folders, and the folders that are to be made.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// By folder, then by folded name.
    slots: HashMap<Name, HashMap<Name, Slot>>,
    /// The next number to try for a name, so that ten thousand files of one name are not tried ten thousand times.
    numbers: HashMap<Name, u32>,
    made: Vec<Vec<u8>>,
}

impl Folders {
    /// Remembers something that is there.
    pub(super) fn add(&mut self, path: &[u8], is_dir: bool) {
        let (dir, name) = names::split(path);
        let slot = if is_dir { Slot::Folder(name.into()) } else { Slot::Taken };
        self.slot(dir, name, slot);
    }

    /// The folder of this name within another: the one that is there (in whatever case it is written), or one to make.
    /// Where something else has the name, the folder gets a number.
    pub(super) fn enter(&mut self, dir: &[u8], name: &[u8]) -> Vec<u8> {
        let mut wanted = name.to_vec();
        for n in 2.. {
            match self.slots.get(dir).and_then(|slots| slots.get(names::fold(&wanted).as_slice())) {
                Some(Slot::Folder(written)) => return names::join(dir, written),
                Some(Slot::Taken) => wanted = names::numbered(name, n),
                None => break,
            }
        }
        let path = names::join(dir, &wanted);
        self.slot(dir, &wanted, Slot::Folder(wanted.as_slice().into()));
        self.made.push(path.clone());
        path
    }

    /// A free name for a file within a folder, like `name`; it is taken from now on.
    pub(super) fn place(&mut self, dir: &[u8], name: &[u8]) -> Vec<u8> {
        let mut wanted = name.to_vec();
        if self.is_taken(dir, name) {
            let key: Name = names::join(dir, &names::fold(name)).into();
            let mut n = self.numbers.get(&key).copied().unwrap_or(2);
            loop {
                wanted = names::numbered(name, n);
                n = n.saturating_add(1);
                if !self.is_taken(dir, &wanted) {
                    break;
                }
            }
            self.numbers.insert(key, n);
        }
        self.slot(dir, &wanted, Slot::Taken);
        names::join(dir, &wanted)
    }

    /// The folders that must be made, each after the one that it lies in.
    pub(super) fn made(&self) -> &[Vec<u8>] {
        &self.made
    }

    fn is_taken(&self, dir: &[u8], name: &[u8]) -> bool {
        self.slots.get(dir).is_some_and(|slots| slots.contains_key(names::fold(name).as_slice()))
    }

    fn slot(&mut self, dir: &[u8], name: &[u8], slot: Slot) {
        let folded = names::fold(name).into_boxed_slice();
        match self.slots.get_mut(dir) {
            Some(slots) => slots.insert(folded, slot),
            None => self.slots.entry(dir.into()).or_default().insert(folded, slot),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_only_are_one() {
        let mut folders = Folders::default();
        folders.add(b"documents", true);
        folders.add(b"documents/A.txt", false);
        folders.add(b"Music", false);
        let documents = folders.enter(b"", b"Documents");
        assert_eq!(documents, b"documents");
        assert_eq!(folders.place(&documents, b"a.TXT"), b"documents/a (2).TXT");
        assert_eq!(folders.place(&documents, b"a.txt"), b"documents/a (3).txt");
        assert_eq!(folders.place(&documents, b"b.txt"), b"documents/b.txt");
        assert_eq!(folders.enter(b"", b"Music"), b"Music (2)");
        assert_eq!(folders.enter(b"", b"Music"), b"Music (2)");
        assert_eq!(folders.made(), [b"Music (2)".to_vec()]);
    }
}
