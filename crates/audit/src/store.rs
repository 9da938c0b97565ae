//! Tiles and entry bundles as files beneath the log's directory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

use raincoat_os::{AppendFile, PrivateDir};

use crate::tile::{MAX_ENTRY, TilePath};

/// Bytes that a bundle of 256 entries of the largest size has.
const MAX_BUNDLE: u64 = 256 * (MAX_ENTRY as u64 + 2);

/// Levels of folders that a walk goes down: more than any index needs.
const MAX_DEPTH: usize = 12;

/// Files from which on one wait for the whole file system is worth it: it waits for what other programs wrote too, but
/// each file on its own is a commit of the file system's journal.
const MANY: usize = 16;

/// Files that are open at a time.
const HELD: usize = 128;

/// Folders that were opened, by path.
pub(crate) type Folders = BTreeMap<String, PrivateDir>;

/// The files under `tile/`.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PrivateDir,
}

/// A file found under `tile/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Found {
    /// A tile or a bundle.
    Tile(TilePath),
    /// Something else, by its path, for people.
    Stray(String),
}

impl Store {
    pub(crate) fn new(dir: PrivateDir) -> Store {
        Store { dir }
    }

    /// A tile's or bundle's bytes; `None` where there is none.
    pub(crate) fn read(&self, tile: TilePath) -> io::Result<Option<Vec<u8>>> {
        let path = tile.path();
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", &path));
        match self.folder(folders)? {
            Some(folder) => folder.read(name, MAX_BUNDLE),
            None => Ok(None),
        }
    }

    /// The same, its folder found among those that are open, or kept there.
    pub(crate) fn read_in(&self, folders: &mut Folders, tile: TilePath) -> io::Result<Option<Vec<u8>>> {
        let path = tile.path();
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", &path));
        match self.opened(folders, parents)? {
            Some(folder) => folder.read(name, MAX_BUNDLE),
            None => Ok(None),
        }
    }

    /// Writes tiles and bundles and makes them durable. What stands there already under these names is a leftover of
    /// an attempt that was cut off, and is written anew; with `keep_same` it stays where it has the right bytes.
    pub(crate) fn write_all(&self, files: &[(TilePath, Vec<u8>)], keep_same: bool) -> io::Result<()> {
        let mut folders = Folders::new();
        let at_once = files.len() >= MANY && self.dir.syncs_at_once()?;
        // Much of the writing first: the first sync then carries most of what the others would wait for.
        for some in files.chunks(HELD) {
            let write = |(tile, bytes): &(TilePath, Vec<u8>)| self.write(&mut folders, *tile, bytes, keep_same);
            let written: Vec<AppendFile> = some.iter().map(write).collect::<io::Result<_>>()?;
            if !at_once {
                written.iter().try_for_each(AppendFile::sync)?;
            }
        }
        if at_once { self.dir.sync_file_system() } else { folders.values().try_for_each(PrivateDir::sync) }
    }

    fn write(&self, folders: &mut Folders, tile: TilePath, bytes: &[u8], keep_same: bool) -> io::Result<AppendFile> {
        let path = tile.path();
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let folder = match folders.entry(parents.to_owned()) {
            Entry::Occupied(opened) => opened.into_mut(),
            Entry::Vacant(new) => new.insert(self.make_folder(parents)?),
        };
        let same = keep_same && folder.read(name, MAX_BUNDLE)?.as_deref() == Some(bytes);
        if let Some(file) = if same { folder.open_file(name)? } else { None } {
            return Ok(file);
        }
        let file = match folder.create_append(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                folder.remove(name)?;
                folder.create_append(name)?
            }
            created => created?,
        };
        file.write_all_at(bytes, 0)?;
        Ok(file)
    }

    /// Takes the partial files of tiles and bundles away, once the full ones are durable.
    pub(crate) fn remove_partials(&self, full: &[TilePath]) -> io::Result<()> {
        let mut folders = Folders::new();
        for tile in full {
            let path = tile.path();
            let (parents, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let Some(folder) = self.opened(&mut folders, parents)? else { continue };
            let partials = format!("{name}.p");
            let Some(inner) = folder.open_dir(&partials)? else { continue };
            for width in inner.names()? {
                inner.remove(&width.to_string_lossy())?;
            }
            folder.remove_dir(&partials)?;
        }
        Ok(())
    }

    /// Takes a tile or bundle away; missing is fine.
    pub(crate) fn remove(&self, tile: TilePath) -> io::Result<()> {
        let path = tile.path();
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", &path));
        self.folder(folders)?.map_or(Ok(()), |folder| folder.remove(name))
    }

    /// Every file under `tile/`.
    pub(crate) fn walk(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        if let Some(top) = self.dir.open_dir("tile")? {
            walk_into(&top, "tile", 0, &mut found)?;
        }
        Ok(found)
    }

    fn opened<'a>(&self, folders: &'a mut Folders, path: &str) -> io::Result<Option<&'a PrivateDir>> {
        if !folders.contains_key(path)
            && let Some(folder) = self.folder(path)?
        {
            folders.insert(path.to_owned(), folder);
        }
        Ok(folders.get(path))
    }

    fn folder(&self, path: &str) -> io::Result<Option<PrivateDir>> {
        let mut folder = self.dir.try_clone()?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match folder.open_dir(name)? {
                Some(inner) => folder = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(folder))
    }

    fn make_folder(&self, path: &str) -> io::Result<PrivateDir> {
        let mut folder = self.dir.try_clone()?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            folder = folder.dir(name)?;
        }
        Ok(folder)
    }
}

fn walk_into(folder: &PrivateDir, path: &str, depth: usize, found: &mut Vec<Found>) -> io::Result<()> {
    for name in folder.names()? {
        let shown = format!("{path}/{}", raincoat_types::display_bytes(name.as_encoded_bytes()));
        let Some(name) = name.to_str() else {
            found.push(Found::Stray(shown));
            continue;
        };
        match folder.open_dir(name) {
            Ok(Some(inner)) if depth < MAX_DEPTH => walk_into(&inner, &shown, depth + 1, found)?,
            Ok(None) => {}
            _ => found.push(TilePath::parse(&shown).map_or(Found::Stray(shown), Found::Tile)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::Level;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test looks at the disk")]
    fn what_was_written_is_found_and_read_and_partials_go() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(PrivateDir::open(home.path()).unwrap());
        let full = TilePath::full(Level::Entries, 1_001);
        let partial = TilePath { width: 3, ..full };
        assert_eq!(store.read(full).unwrap(), None);
        store.write_all(&[(full, b"one".to_vec()), (partial, b"two".to_vec())], false).unwrap();
        store.write_all(&[(full, b"three".to_vec())], true).unwrap();
        assert_eq!(store.read(full).unwrap().unwrap(), b"three");
        std::fs::write(home.path().join("tile/entries/x001/stray"), b"").unwrap();
        let mut found = store.walk().unwrap();
        found.sort();
        let stray = Found::Stray("tile/entries/x001/stray".to_owned());
        assert_eq!(found, [Found::Tile(partial), Found::Tile(full), stray]);
        store.remove_partials(&[full, TilePath::full(Level::Entries, 7), TilePath::full(Level::Hashes(3), 7)]).unwrap();
        assert_eq!(store.read(partial).unwrap(), None);
        assert!(!home.path().join("tile/entries/x001/001.p").exists());
    }

    #[test]
    fn few_and_many_are_written_over_leftovers_or_kept_where_they_are_the_same() {
        for count in [MANY as u64 - 1, MANY as u64, HELD as u64 + 1] {
            let home = tempfile::tempdir().unwrap();
            let store = Store::new(PrivateDir::open(home.path()).unwrap());
            let tiles = |text: &str| -> Vec<(TilePath, Vec<u8>)> {
                (0..count)
                    .map(|at| (TilePath::full(Level::Hashes(0), at), format!("{text} {at}").into_bytes()))
                    .collect()
            };
            store.write_all(&tiles("a longer leftover"), false).unwrap();
            for keep_same in [false, true, true] {
                store.write_all(&tiles("it"), keep_same).unwrap();
                for (tile, bytes) in tiles("it") {
                    assert_eq!(store.read(tile).unwrap(), Some(bytes));
                }
            }
        }
    }
}
