//! A scratch store, and records to put in it.
#![allow(dead_code, reason = "each test program uses some of it")]

use std::path::{Path, PathBuf};

use raincoat_journal::{Interrupted, Journal, JournalError, JournalKeys};
use raincoat_os::PrivateDir;
use raincoat_seal::SealKey;
use raincoat_types::*;

/// Standing in for the wall.
pub struct At(pub i64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        stamp(self.0)
    }
}

pub fn stamp(secs: i64) -> Timestamp {
    Timestamp { secs, nanos: 5 }
}

pub struct Store {
    pub home: tempfile::TempDir,
}

impl Store {
    pub fn new() -> Store {
        let base = Path::new("/dev/shm");
        let home = if base.is_dir() { tempfile::tempdir_in(base) } else { tempfile::tempdir() }.unwrap();
        Store { home }
    }

    pub fn try_open(&self) -> Result<(Journal, Vec<Interrupted>), JournalError> {
        open_at(self.home.path())
    }

    pub fn open(&self) -> Journal {
        self.try_open().unwrap().0
    }

    pub fn segments(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = std::fs::read_dir(self.home.path().join("segments"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "seg"))
            .collect();
        all.sort();
        all
    }

    pub fn drop_index(&self) {
        for name in ["index.db", "index.db-wal", "index.db-shm"] {
            let _ = std::fs::remove_file(self.home.path().join(name));
        }
    }
}

pub fn open_at(path: &Path) -> Result<(Journal, Vec<Interrupted>), JournalError> {
    Journal::open(PrivateDir::open(path).unwrap(), keys(), &At(1_000))
}

pub fn keys() -> JournalKeys {
    let root = SealKey::from_bytes([7; 32]);
    JournalKeys::new(&root.derive("journal"), &root.derive("index"))
}

pub fn run_id(n: u64) -> RunId {
    RunId(Ulid::from_parts(1_000_000 + n, u128::from(n) * 0x1234_5678_9abc_def1))
}

pub fn op_id(n: u64, seq: u32) -> OpId {
    OpId { run: run_id(n), seq }
}

pub fn header(n: u64) -> RunHeader {
    let identity = Identity { dev: 1, ino: 2, born: stamp(3) };
    RunHeader {
        run: run_id(n),
        at: stamp(100 + n as i64),
        actor: Actor::Recipe("tidy".into()),
        goal: "put the zebrafish papers in order".into(),
        kind: RunKind::Task,
        roots: vec![Root { grant: grant(), path: b"/home/mira/zebrafish".to_vec(), identity }],
    }
}

pub fn end(n: u64, status: RunStatus) -> RunEnd {
    RunEnd { run: run_id(n), at: stamp(900), status, summary: "zebrafish in order".into() }
}

pub fn grant() -> GrantId {
    GrantId(Ulid::from_parts(5, 6))
}

pub fn spot(path: &str) -> Spot {
    Spot { grant: grant(), path: RelPath::new(path.as_bytes()).unwrap() }
}

pub fn meta(kind: FileKind, size: u64) -> Meta {
    Meta {
        kind,
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        size,
        mtime: stamp(50),
        atime: stamp(51),
        nlink: 1,
        identity: Identity { dev: 1, ino: 99, born: stamp(3) },
        xattrs: vec![Xattr { name: b"user.zebrafish".to_vec(), value: b"striped".to_vec() }],
    }
}

/// Stores bytes as effects would, and gives the image of the file that holds them.
pub fn store(journal: &mut Journal, bytes: &[u8]) -> Result<Image, JournalError> {
    let mut chunks = Vec::new();
    for (n, piece) in bytes.chunks(raincoat_journal::CHUNK_BYTES).enumerate() {
        let offset = (n * raincoat_journal::CHUNK_BYTES) as u64;
        chunks.push(Chunk { offset, len: piece.len() as u32, id: journal.put_chunk(piece)? });
    }
    Ok(image_of(bytes, chunks, true))
}

pub fn image_of(bytes: &[u8], chunks: Vec<Chunk>, stored: bool) -> Image {
    let content = FileContent { digest: digest(bytes), chunks, stored };
    Image { meta: meta(FileKind::File, bytes.len() as u64), content: Content::File(content) }
}

pub fn dir_image() -> Image {
    Image { meta: meta(FileKind::Dir, 0), content: Content::Dir }
}

/// Not a digest that anybody should use; the journal takes it as given.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(SealKey::from_bytes([1; 32]).mac(bytes))
}

pub fn intent(op: OpId, change: Change) -> Intent {
    Intent { op, at: stamp(500), change, temp: None, dirs: vec![], undoes: None }
}

pub fn removal(op: OpId, path: &str, before: Image) -> Intent {
    intent(op, Change::Remove { at: spot(path), before })
}

pub fn done() -> OpResult {
    OpResult::Done { after: None, dirs: vec![] }
}

pub fn read_back(journal: &Journal, image: &Image) -> Vec<u8> {
    let Content::File(file) = &image.content else { panic!("not a file") };
    file.chunks.iter().flat_map(|chunk| journal.read_chunk(chunk.id).unwrap()).collect()
}

/// A run of removals, one file each, done and ended.
pub fn whole_run(journal: &mut Journal, n: u64, files: &[&[u8]]) -> Vec<Image> {
    journal.begin_run(&header(n)).unwrap();
    let mut images = Vec::new();
    for (seq, bytes) in (1..).zip(files) {
        let image = store(journal, bytes).unwrap();
        journal.intend(&[removal(op_id(n, seq), &format!("papers/{seq}.txt"), image.clone())]).unwrap();
        journal.conclude(&[(op_id(n, seq), done())]).unwrap();
        images.push(image);
    }
    journal.end_run(&end(n, RunStatus::Done)).unwrap();
    images
}

impl Store {
    /// The store as a crash at this moment would leave it (if the kernel lives on).
    pub fn snapshot(&self) -> Store {
        let copy = Store::new();
        copy_tree(self.home.path(), copy.home.path());
        copy
    }
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, target) = {
            let path = entry.unwrap().path();
            let target = to.join(path.file_name().unwrap());
            (path, target)
        };
        if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_tree(&path, &target);
        } else if path.file_name().unwrap() != "reserve" {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Changes bytes of a file where they lie.
pub fn patch(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Where the written part of a segment ends: behind it are only zeroes.
pub fn written(path: &Path) -> usize {
    let bytes = std::fs::read(path).unwrap();
    bytes.iter().rposition(|b| *b != 0).map_or(0, |at| (at + 1).next_multiple_of(8))
}

/// Where the records of a segment start, by their lengths.
pub fn records(path: &Path) -> Vec<usize> {
    let bytes = std::fs::read(path).unwrap();
    let (mut at, mut all) = (256, Vec::new());
    while let Some(len) = bytes.get(at..at + 4).map(|len| u32::from_le_bytes(len.try_into().unwrap()))
        && len != 0
    {
        all.push(at);
        at = (at + 48 + len as usize).next_multiple_of(8);
    }
    all
}
