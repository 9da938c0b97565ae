//! What the files that a draft touched were underneath, remembered when the program ended: so that later changes are
//! told exactly, and a text has the base that a three-way merge needs.
//!
//! In a draft's `base` directory: `states.bin`, sealed, with all states; and `texts.bin`, the contents of text files,
//! each sealed by itself, one after the other.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use raincoat_os::{AppendFile, PrivateDir, Stat, overlay};
use raincoat_seal::SealKey;
use raincoat_types::{Digest, FileKind, Identity, RelPath, RunId, Timestamp, Xattr};
use serde::{Deserialize, Serialize};

use crate::draft::Draft;
use crate::drafts::{DraftsError, system};
use crate::item::{Drift, Item, ItemKind, Scan, Version};

/// Bytes of a text whose content is remembered.
pub const MAX_TEXT_BASE: u64 = 1 << 20;
/// Bytes of all of them in one draft.
const MAX_TEXTS: u64 = 64 << 20;
/// Bytes of all remembered states.
const MAX_STATES: u64 = 2 << 30;

const STATES: &str = "states.bin";
const TEXTS: &str = "texts.bin";
/// What the states begin with; the last byte is the layout's version.
const MAGIC: &[u8; 8] = b"RCBASES\x01";

/// Everything that is remembered, by folder and path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bases {
    by_path: HashMap<(usize, RelPath), Base>,
    /// Bytes of `texts.bin` that are in use.
    texts: u64,
}

/// What a name was underneath.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Base {
    /// Nothing.
    Absent,
    /// This.
    File(BaseFile),
    /// This, and the draft's copy was the same and was last changed then.
    Untouched { seen: BaseFile, changed: Timestamp },
    /// It had changed before it could be remembered.
    Drifted(Drift),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct BaseFile {
    kind: FileKind,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: Timestamp,
    ctime: Timestamp,
    identity: Identity,
    /// BLAKE3 of the extended attributes.
    xattrs: Digest,
    /// Of the content, where it was read.
    digest: Option<Digest>,
    /// Where in `texts.bin` its content is, sealed: offset and length.
    text: Option<(u64, u32)>,
}

impl Base {
    /// Which directory it was.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match self {
            Base::File(file) | Base::Untouched { seen: file, .. } => Some(file.identity),
            Base::Absent | Base::Drifted(_) => None,
        }
    }
}

impl BaseFile {
    fn new(stat: &Stat, xattrs: &[Xattr]) -> BaseFile {
        BaseFile {
            kind: stat.kind,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            size: stat.size,
            mtime: stat.mtime,
            ctime: stat.ctime,
            identity: stat.identity,
            xattrs: digest_of(xattrs),
            digest: None,
            text: None,
        }
    }

    /// What became of it, if anything.
    pub(crate) fn drift(&self, now: &Version, lower: BorrowedFd<'_>, path: &RelPath) -> Option<Drift> {
        let stat = &now.stat;
        if stat.identity != self.identity {
            return Some(Drift::Replaced);
        }
        if stat.kind != FileKind::Dir && stat.ctime == self.ctime && stat.mtime == self.mtime && stat.size == self.size
        {
            return None;
        }
        // Somebody was here. Did it leave a trace? A directory's times move with its entries.
        let same_meta = (stat.mode, stat.uid, stat.gid) == (self.mode, self.uid, self.gid)
            && digest_of(&now.xattrs) == self.xattrs
            && (stat.kind == FileKind::Dir || stat.mtime == self.mtime);
        let same_content = match (stat.kind, self.digest) {
            (FileKind::Dir, _) => true,
            (FileKind::File, Some(digest)) => {
                stat.size == self.size && hash(lower, path, stat).is_ok_and(|now| now == digest)
            }
            _ => false,
        };
        if same_meta && same_content { None } else { Some(Drift::Changed) }
    }
}

impl Bases {
    pub(crate) fn none() -> Bases {
        Bases::default()
    }

    pub(crate) fn get(&self, folder: usize, path: &RelPath) -> Option<&Base> {
        if self.by_path.is_empty() { None } else { self.by_path.get(&(folder, path.clone())) }
    }
}

impl Draft {
    /// Remembers, sealed and durable, what every name that the scan looked at is in the folder now, and the contents of
    /// text files that the draft modified (at most [`MAX_TEXT_BASE`] bytes each, 64 MiB in all). To be called when the
    /// program has ended: from then on drift is judged by it.
    ///
    /// # Errors
    /// [`DraftsError`]; what was remembered before stands then.
    pub fn remember_bases(&mut self, scan: &Scan) -> Result<(), DraftsError> {
        let fail = |e| system("remember the folder's state", e);
        let mut bases = Bases::none();
        let dir = self.base_dir().map_err(fail)?;
        dir.remove(TEXTS).map_err(fail)?;
        let mut texts = Texts::open(&dir, self.key(), self.record().run, 0).map_err(fail)?;
        for item in &scan.items {
            let base = match (item.drift, &item.before) {
                (Some(drift), _) => Base::Drifted(drift),
                (None, None) => Base::Absent,
                (None, Some(before)) => {
                    let mut file = BaseFile::new(&before.stat, &before.xattrs);
                    file.digest = before.digest;
                    if matches!(item.kind, ItemKind::Modified { content: true, .. })
                        && let Ok(text) = self.read_before(item, MAX_TEXT_BASE)
                    {
                        file.digest = Some(Digest(*blake3::hash(&text).as_bytes()));
                        file.text = texts.keep(&text)?;
                    }
                    Base::File(file)
                }
            };
            self.remember_way(&mut bases, item.folder, &item.path);
            bases.by_path.insert((item.folder, item.path.clone()), base);
        }
        for same in &scan.untouched {
            let seen = BaseFile::new(&same.before, &[]);
            let base = Base::Untouched { seen, changed: same.changed };
            bases.by_path.insert((same.folder, same.path.clone()), base);
        }
        bases.texts = texts.finish().map_err(fail)?;
        self.write_bases(bases)
    }

    /// After some items of a draft were committed: what the folder has there now is what the draft is judged against.
    ///
    /// # Errors
    /// [`DraftsError`]; what was remembered before stands then.
    pub fn rebase(&mut self, items: &[Item]) -> Result<(), DraftsError> {
        let fail = |e| system("remember the folder's state", e);
        let mut bases = self.remembered().unwrap_or_else(|_| Bases::none());
        let dir = self.base_dir().map_err(fail)?;
        let mut texts = Texts::open(&dir, self.key(), self.record().run, bases.texts).map_err(fail)?;
        for item in items {
            let Ok(lower) = self.lower(item.folder) else { continue };
            let base = match look(lower.as_fd(), &item.path) {
                Ok(Some((stat, xattrs))) => {
                    let mut file = BaseFile::new(&stat, &xattrs);
                    if stat.kind == FileKind::File && stat.size <= MAX_TEXT_BASE {
                        let version = Version { stat, xattrs, target: None, digest: None };
                        let now = Item { before: Some(version), ..item.clone() };
                        if let Ok(text) = self.read_before(&now, MAX_TEXT_BASE) {
                            file.digest = Some(Digest(*blake3::hash(&text).as_bytes()));
                            file.text = texts.keep(&text)?;
                        }
                    }
                    Base::File(file)
                }
                Ok(None) => Base::Absent,
                Err(error) => return Err(fail(error)),
            };
            self.remember_way(&mut bases, item.folder, &item.path);
            bases.by_path.insert((item.folder, item.path.clone()), base);
        }
        bases.texts = texts.finish().map_err(fail)?;
        self.write_bases(bases)
    }

    /// The content that a text file had when the draft was made from it, if it was remembered and opens.
    pub fn base_text(&self, item: &Item) -> Option<Vec<u8>> {
        let bases = self.bases().ok()?;
        let Some(Base::File(BaseFile { text: Some((offset, len)), digest, .. })) = bases.get(item.folder, &item.path)
        else {
            return None;
        };
        let file = self.base_dir().ok()?.open_file(TEXTS).ok()??;
        let mut sealed = vec![0; usize::try_from(*len).ok().filter(|len| (*len as u64) <= MAX_TEXT_BASE + 1024)?];
        file.read_exact_at(&mut sealed, *offset).ok()?;
        let plain = self.key().open(&text_context(self.record().run, *offset), &sealed).ok()?;
        (Some(Digest(*blake3::hash(&plain).as_bytes())) == *digest).then_some(plain)
    }

    /// What is remembered; nothing where nothing was.
    pub(crate) fn remembered(&self) -> Result<Bases, String> {
        self.bases().cloned()
    }

    fn bases(&self) -> Result<&Bases, String> {
        if let Some(bases) = self.bases.get() {
            return Ok(bases);
        }
        let read = self.read_bases()?;
        Ok(self.bases.get_or_init(|| read))
    }

    fn read_bases(&self) -> Result<Bases, String> {
        let dir = match self.dir().open_dir("base") {
            Ok(Some(dir)) => dir,
            Ok(None) => return Ok(Bases::none()),
            Err(error) => return Err(error.to_string()),
        };
        let Some(sealed) = dir.read(STATES, MAX_STATES).map_err(|e| e.to_string())? else { return Ok(Bases::none()) };
        let plain = self.key().open(&states_context(self.record().run), &sealed).map_err(|e| e.to_string())?;
        let unreadable = || "written by another version".to_owned();
        let body = plain.strip_prefix(MAGIC).ok_or_else(unreadable)?;
        let (texts, list) = postcard::from_bytes::<(u64, Vec<(u32, RelPath, Base)>)>(body).map_err(|_| unreadable())?;
        let by_path = list.into_iter().map(|(folder, path, base)| ((folder as usize, path), base)).collect();
        Ok(Bases { by_path, texts })
    }

    fn write_bases(&mut self, bases: Bases) -> Result<(), DraftsError> {
        let fail = |e| system("remember the folder's state", e);
        let mut list: Vec<_> =
            bases.by_path.iter().map(|((folder, path), base)| (*folder as u32, path, base)).collect();
        list.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        let plain = postcard::to_extend(&(bases.texts, list), MAGIC.to_vec()).map_err(|e| fail(io::Error::other(e)))?;
        let sealed = self.key().seal(&states_context(self.record().run), &plain)?;
        let dir = self.base_dir().map_err(fail)?;
        dir.replace(STATES, &sealed).map_err(fail)?;
        self.dir().sync().map_err(fail)?;
        self.bases = std::sync::OnceLock::from(bases);
        Ok(())
    }

    /// The directories on the way to a name: which ones they are.
    fn remember_way(&self, bases: &mut Bases, folder: usize, path: &RelPath) {
        let mut at = path.clone();
        while let Some((above, _)) = at.split_last() {
            if above.is_root() || bases.by_path.contains_key(&(folder, above.clone())) {
                break;
            }
            let Ok(lower) = self.lower(folder) else { break };
            if let Ok(Some((stat, xattrs))) = look(lower.as_fd(), &above)
                && stat.kind == FileKind::Dir
            {
                let base = Base::File(BaseFile::new(&stat, &xattrs));
                bases.by_path.insert((folder, above.clone()), base);
            }
            at = above;
        }
    }
}

/// The file of texts, while it grows.
struct Texts<'a> {
    file: Option<AppendFile>,
    dir: &'a PrivateDir,
    key: &'a SealKey,
    run: RunId,
    at: u64,
    start: u64,
}

impl<'a> Texts<'a> {
    fn open(dir: &'a PrivateDir, key: &'a SealKey, run: RunId, at: u64) -> io::Result<Texts<'a>> {
        Ok(Texts { file: dir.open_file(TEXTS)?, dir, key, run, at, start: at })
    }

    /// Keeps a text, if it is one and there is room.
    fn keep(&mut self, text: &[u8]) -> Result<Option<(u64, u32)>, DraftsError> {
        let fail = |e| system("remember the folder's state", e);
        if text.contains(&0) || self.at + text.len() as u64 > MAX_TEXTS {
            return Ok(None);
        }
        let sealed = self.key.seal(&text_context(self.run, self.at), text)?;
        let Ok(len) = u32::try_from(sealed.len()) else { return Ok(None) };
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(self.dir.create_append(TEXTS).map_err(fail)?),
        };
        file.write_all_at(&sealed, self.at).map_err(fail)?;
        let offset = self.at;
        self.at += u64::from(len);
        Ok(Some((offset, len)))
    }

    fn finish(self) -> io::Result<u64> {
        if let Some(file) = &self.file
            && self.at > self.start
        {
            file.sync()?;
        }
        Ok(self.at)
    }
}

fn look(root: BorrowedFd<'_>, path: &RelPath) -> io::Result<Option<(Stat, Vec<Xattr>)>> {
    let (folder, name) = path.split_last().unwrap_or((RelPath::ROOT, b""));
    let folder = match overlay::folder_at(root, folder.as_bytes()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other?,
    };
    let Some((stat, _)) = overlay::look_at(folder.as_fd(), name)? else { return Ok(None) };
    let (xattrs, _) = crate::origin::part(overlay::xattrs_under(folder.as_fd(), name)?);
    Ok(Some((stat, xattrs)))
}

fn hash(root: BorrowedFd<'_>, path: &RelPath, stat: &Stat) -> io::Result<Digest> {
    let version = Version { stat: stat.clone(), xattrs: Vec::new(), target: None, digest: None };
    crate::read::digest(root, path, &version).map_err(io::Error::other)
}

fn digest_of(xattrs: &[Xattr]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for xattr in xattrs {
        for part in [&xattr.name, &xattr.value] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Digest(*hasher.finalize().as_bytes())
}

fn states_context(run: RunId) -> Vec<u8> {
    [b"draft bases ".as_slice(), &run.0.to_bytes()].concat()
}

fn text_context(run: RunId, offset: u64) -> Vec<u8> {
    [b"draft base text ".as_slice(), &run.0.to_bytes(), &offset.to_le_bytes()].concat()
}
