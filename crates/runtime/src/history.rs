//! What happened to a file or folder: every version of it, and where its content is.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use raincoat_effects::Looked;
use raincoat_journal::{Episode, Journal, JournalError, Moment};
use raincoat_types::{Change, Content, Digest, FileKind, Image, Meta, OpId, RunId, Timestamp, display_bytes};

use crate::{Error, Keeper};

/// Runs below a folder that are told.
const RUNS: usize = 200;

/// A file's or folder's past.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    /// Its absolute path.
    pub path: String,
    /// What stands there now; `None` where nothing does.
    pub now: Option<VersionView>,
    /// Whether what stands there is what the last operation left. `None` where there was none.
    pub untouched: Option<bool>,
    /// The versions, newest first; the last is what was there before anything was done.
    pub versions: Vec<VersionView>,
    /// For a folder: the runs that changed something in it, newest first.
    pub runs: Vec<(RunId, Timestamp, String)>,
}

/// One version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionView {
    /// Since when; `None` for what was there before anything was done.
    pub at: Option<Timestamp>,
    /// The operation that made it.
    pub op: Option<OpId>,
    /// Who did.
    pub actor: Option<String>,
    /// What was done, in a word or two.
    pub what: String,
    /// What it was called then.
    pub path: String,
    /// What it is; `None` where nothing was there.
    pub kind: Option<FileKind>,
    /// Bytes of content.
    pub size: Option<u64>,
    /// The content's BLAKE3 digest.
    pub digest: Option<Digest>,
    /// Last change of content.
    pub mtime: Option<Timestamp>,
    /// Where the content is to be had.
    pub kept: Kept,
    /// Whether the operation stands taken back by another.
    pub undone: bool,
}

/// Where a version's content is to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// In the store.
    Store,
    /// In the file as it is now.
    Disk,
    /// Nowhere any more.
    Nowhere,
    /// There is no content: a folder, a symlink, or nothing.
    NoContent,
}

impl Keeper {
    /// Everything that was done to what stands, or stood last, at an absolute path.
    ///
    /// # Errors
    /// Where our own store is damaged.
    pub fn history(&self, path: &Path, told: &mut dyn FnMut(&str)) -> Result<History, Error> {
        let bytes = path.as_os_str().as_bytes().to_vec();
        let now = raincoat_effects::look(path);
        self.look(told, move |journal| {
            let episodes = journal.history(&bytes).map_err(Error::store)?;
            let digest = now.as_ref().and_then(|now| now.digest);
            let mut versions = Vec::new();
            for episode in &episodes {
                versions.push(after(journal, episode, digest).map_err(Error::store)?);
            }
            if let Some(first) = episodes.last() {
                versions.push(before(journal, first, digest).map_err(Error::store)?);
            }
            let untouched = episodes.first().map(|last| is_as_left(last, &bytes, now.as_ref()));
            let is_dir = now.as_ref().is_none_or(|now| now.kind == FileKind::Dir);
            let mut runs = Vec::new();
            if is_dir {
                for run in journal.runs_below(&bytes).map_err(Error::store)?.into_iter().rev().take(RUNS) {
                    let header = journal.run(run).map_err(Error::store)?.header;
                    runs.push((run, header.at, header.goal));
                }
            }
            Ok(History {
                path: display_bytes(&bytes),
                now: now.map(|now| now_view(&bytes, &now)),
                untouched,
                versions,
                runs,
            })
        })
    }
}

fn now_view(path: &[u8], now: &Looked) -> VersionView {
    VersionView {
        at: None,
        op: None,
        actor: None,
        what: "now".to_owned(),
        path: display_bytes(path),
        kind: Some(now.kind),
        size: Some(now.size),
        digest: now.digest,
        mtime: Some(now.mtime),
        kept: if now.digest.is_some() { Kept::Disk } else { Kept::NoContent },
        undone: false,
    }
}

fn is_as_left(last: &Episode, path: &[u8], now: Option<&Looked>) -> bool {
    if last.past.went_to(path).is_some() && last.past.came_from(path).is_none() {
        return now.is_none();
    }
    match (last.past.after(), now) {
        (Some(image), Some(now)) => match &image.content {
            Content::File(content) => now.digest == Some(content.digest),
            Content::Dir => now.kind == FileKind::Dir,
            _ => now.kind == image.meta.kind,
        },
        (None, None) => true,
        (None, Some(_)) => matches!(last.past.op.intent.change, Change::SetMeta { .. }),
        (Some(_), None) => false,
    }
}

fn after(journal: &Journal, episode: &Episode, now: Option<Digest>) -> Result<VersionView, JournalError> {
    let past = &episode.past;
    let (at, op): Moment = past.moment();
    let shown = |bytes: &[u8]| display_bytes(bytes);
    let gone = past.went_to(&episode.path).is_some() && past.came_from(&episode.path).is_none();
    let what = match &past.op.intent.change {
        Change::Create { .. } => "created".to_owned(),
        Change::Replace { .. } => "changed".to_owned(),
        Change::Remove { .. } => "removed".to_owned(),
        Change::Link { .. } => "linked".to_owned(),
        Change::SetMeta { .. } => "attributes".to_owned(),
        Change::Move { .. } => match (past.came_from(&episode.path), past.went_to(&episode.path)) {
            (Some(from), _) => format!("moved from {}", shown(&from)),
            (None, Some(to)) => format!("moved to {}", shown(&to)),
            (None, None) => "moved".to_owned(),
        },
    };
    let meta = match &past.op.intent.change {
        Change::SetMeta { after, .. } => Some(after),
        _ => None,
    };
    // A folder that it lies in was moved: the image is the folder's.
    let own = past.paths.contains(&episode.path);
    let image = past.after().filter(|_| !gone && own);
    let actor = journal.run(op.run)?.header.actor.name();
    let undone = journal.undone_by(op)?.is_some();
    let base = view(journal, image, meta, now)?;
    Ok(VersionView { at: Some(at), op: Some(op), actor: Some(actor), what, path: shown(&episode.path), undone, ..base })
}

fn before(journal: &Journal, first: &Episode, now: Option<Digest>) -> Result<VersionView, JournalError> {
    let past = &first.past;
    let meta = match &past.op.intent.change {
        Change::SetMeta { before, .. } => Some(before),
        _ => None,
    };
    let own = past.paths.contains(&first.path);
    let path = past.came_from(&first.path).unwrap_or_else(|| first.path.clone());
    let image = past.op.intent.change.before().filter(|_| own);
    let base = view(journal, image, meta, now)?;
    Ok(VersionView { what: "before".to_owned(), path: display_bytes(&path), ..base })
}

fn view(
    journal: &Journal,
    image: Option<&Image>,
    meta: Option<&Meta>,
    now: Option<Digest>,
) -> Result<VersionView, JournalError> {
    let mut kept = Kept::NoContent;
    if let Some(Image { content: Content::File(content), .. }) = image {
        kept = if content.stored || journal.lookup(&content.digest)?.is_some() {
            Kept::Store
        } else if now == Some(content.digest) {
            Kept::Disk
        } else {
            Kept::Nowhere
        };
    }
    let meta = image.map(|image| &image.meta).or(meta);
    Ok(VersionView {
        at: None,
        op: None,
        actor: None,
        what: String::new(),
        path: String::new(),
        kind: meta.map(|meta| meta.kind),
        size: meta.filter(|meta| meta.kind != FileKind::Dir).map(|meta| meta.size),
        digest: image.and_then(Image::digest),
        mtime: meta.map(|meta| meta.mtime),
        kept,
        undone: false,
    })
}
