//! Operations as runs record them, without the files that they are about.

use raincoat_journal::Journal;
use raincoat_os::{SystemClock, new_ulid};
use raincoat_testkit::measure::{Result, said};
use raincoat_types::{
    Actor, Change, Clock, Content, Digest, DirTimes, FileContent, FileKind, GrantId, Identity, Image, Intent, Meta,
    OpId, RelPath, Root, RunHeader, RunId, RunKind, Spot, Timestamp,
};

/// The folder that operations are about.
pub(crate) struct Folder {
    root: Root,
}

impl Folder {
    /// One that does not exist.
    pub(crate) fn of_nobody() -> Result<Folder> {
        let grant = GrantId(new_ulid(&SystemClock).map_err(said)?);
        Ok(Folder { root: Root { grant, path: b"/home/nobody/folder".to_vec(), identity: identity(1) } })
    }

    /// That of a run.
    pub(crate) fn of(header: &RunHeader) -> Result<Folder> {
        let root = header.roots.first().ok_or("the newest run has no folder")?;
        Ok(Folder { root: root.clone() })
    }

    pub(crate) fn begin(&self, journal: &mut Journal, goal: &str) -> Result<RunId> {
        let run = RunId(new_ulid(&SystemClock).map_err(said)?);
        let header = RunHeader {
            run,
            at: now(),
            actor: Actor::Agent("default".to_owned()),
            goal: goal.to_owned(),
            kind: RunKind::Task,
            roots: vec![self.root.clone()],
        };
        journal.begin_run(&header).map_err(said)?;
        Ok(run)
    }

    /// A file put into another folder.
    pub(crate) fn moving(&self, op: OpId) -> Result<Intent> {
        let content = FileContent { digest: Digest([9; 32]), chunks: Vec::new(), stored: false };
        let change = Change::Move {
            from: self.spot("inbox/2026/report-0123.pdf")?,
            to: self.spot("Documents/report-0123.pdf")?,
            image: image(4096, content),
        };
        self.intent(op, change, &["inbox/2026", "Documents"])
    }

    /// A file given new content, the old one being this.
    pub(crate) fn replacing(&self, op: OpId, before: FileContent) -> Result<Intent> {
        self.replacing_at(op, "Documents/2026/report-0123.pdf", before)
    }

    /// The same of another file.
    pub(crate) fn replacing_at(&self, op: OpId, path: &str, before: FileContent) -> Result<Intent> {
        let size = length(&before);
        let after = FileContent { digest: Digest([8; 32]), chunks: Vec::new(), stored: false };
        let (before, after) = (image(size, before), image(size, after));
        let at = self.spot(path)?;
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.intent(op, Change::Replace { at, before, after, in_place: false }, &[parent])
    }

    fn intent(&self, op: OpId, change: Change, dirs: &[&str]) -> Result<Intent> {
        let at = now();
        let times = |path: &&str| self.spot(path).map(|spot| DirTimes { at: spot, mtime: at, atime: at });
        let dirs = dirs.iter().map(times).collect::<Result<_>>()?;
        Ok(Intent { op, at, change, temp: None, dirs, undoes: None })
    }

    fn spot(&self, path: &str) -> Result<Spot> {
        let path = RelPath::new(path.as_bytes()).map_err(said)?;
        Ok(Spot { grant: self.root.grant, path })
    }
}

/// What the file that a change left would be recorded as.
pub(crate) fn image(size: u64, content: FileContent) -> Image {
    let at = now();
    let meta = Meta {
        kind: FileKind::File,
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        size,
        mtime: at,
        atime: at,
        nlink: 1,
        identity: identity(2),
        xattrs: Vec::new(),
    };
    Image { meta, content: Content::File(content) }
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// Bytes of content that has no holes.
pub(crate) fn length(content: &FileContent) -> u64 {
    content.chunks.iter().map(|chunk| u64::from(chunk.len)).sum()
}

fn identity(ino: u64) -> Identity {
    Identity { dev: 1, ino, born: Timestamp::default() }
}
