//! Whether something can be taken back: looked at, not guessed. Everything that would be needed is read and hashed, and
//! the files are compared with what was left.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use raincoat_effects::look;
use raincoat_journal::{Journal, JournalError, below};
use raincoat_os::{Root, beneath};
use raincoat_types::{Actor, Change, Content, Digest, FileContent, FileKind, Image, OpId, RunId, display_bytes};

use crate::undo::{Chosen, LOST, UndoAsk, already, changed_by, choose, lost};
use crate::{Error, Keeper};

/// Operations that are told one by one.
const TOLD: usize = 1000;

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CanUndo {
    /// What was asked about.
    pub what: String,
    /// In one word.
    pub verdict: Verdict,
    /// Operations that would be taken back.
    pub back: u32,
    /// Operations that were taken back before.
    pub already: u32,
    /// Operations that would not, and why: operation, absolute path, words.
    pub not: Vec<(OpId, String, String)>,
    /// What is worth knowing: what would be replaced, and that it is kept.
    pub notes: Vec<String>,
}

/// How much comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// All of it.
    All,
    /// A part.
    Part,
    /// None of it.
    None,
    /// There is nothing to take back.
    Nothing,
}

impl CanUndo {
    fn not_at_all(what: String, why: String) -> CanUndo {
        CanUndo { what, verdict: Verdict::None, back: 0, already: 0, not: Vec::new(), notes: vec![why] }
    }
}

/// Runs that are named where a folder is asked about.
const SHOWN: usize = 5;

impl Keeper {
    /// Whether a run, an operation (`RUN/SEQ`), or what was done to an absolute path can be taken back; of a path that
    /// nothing was done to, whether a change to it could be.
    ///
    /// # Errors
    /// Where there is no such run, or our own store failed.
    pub fn can_undo(&self, what: &str, told: &mut dyn FnMut(&str)) -> Result<CanUndo, Error> {
        if !what.starts_with('/') {
            let ask = UndoAsk { what: vec![what.to_owned()], ..UndoAsk::default() };
            let named = what.to_owned();
            let (mut answer, roots) = self.look(told, move |journal| {
                let run = named.split('/').next().unwrap_or_default();
                if let Err(pruned @ JournalError::Pruned(..)) = journal.find_run_prefix(run) {
                    return Ok((CanUndo::not_at_all(named, pruned.to_string()), Vec::new()));
                }
                let chosen = choose(journal, &ask)?;
                let roots = chosen.roots.clone();
                Ok((answer(journal, &named, &chosen).map_err(Error::store)?, roots))
            })?;
            if let Err(error) = self.recorded_folders(&roots) {
                answer.not = vec![];
                answer.notes.push(error.to_string());
                (answer.verdict, answer.back) = (Verdict::None, 0);
            }
            return Ok(answer);
        }
        let path = what.as_bytes().to_vec();
        let (ops, below) = self.look(told, move |journal| {
            let mut ops = Vec::new();
            for episode in journal.history(&path).map_err(Error::store)? {
                let op = episode.past.op.intent.op;
                if journal.undone_by(op).map_err(Error::store)?.is_none() && episode.past.op.intent.undoes.is_none() {
                    ops.push(op.to_string());
                }
            }
            Ok((ops, journal.runs_below(&path).map_err(Error::store)?))
        })?;
        if ops.is_empty() {
            return self.could_undo(Path::new(what), &below);
        }
        let (ask, named) = (UndoAsk { what: ops, ..UndoAsk::default() }, what.to_owned());
        self.look(told, move |journal| {
            let chosen = choose(journal, &ask)?;
            answer(journal, &named, &chosen).map_err(Error::store)
        })
    }

    /// Before anything is done to it: whether a change could be taken back. `below`: runs that changed something in it.
    fn could_undo(&self, path: &Path, below: &[RunId]) -> Result<CanUndo, Error> {
        let shown = display_bytes(path.as_os_str().as_bytes());
        let mut answer = CanUndo {
            what: shown.clone(),
            verdict: Verdict::None,
            back: 0,
            already: 0,
            not: Vec::new(),
            notes: Vec::new(),
        };
        let there = look(path);
        let is_dir = there.as_ref().is_some_and(|there| there.kind == FileKind::Dir);
        let folder: PathBuf =
            if is_dir { path.to_path_buf() } else { path.parent().unwrap_or(Path::new("/")).to_path_buf() };
        let Ok(root) = Root::open(&folder) else {
            answer.notes.push(format!("the folder of `{shown}` cannot be opened, so nothing can be changed there"));
            return Ok(answer);
        };
        match self.grant_over(&self.grants()?, &root, &Actor::Person) {
            None => {
                let words =
                    format!("`{shown}` is not granted, so no agent can change it; `raincoat grant` hands it out");
                answer.notes.push(words);
                return Ok(answer);
            }
            Some((grant, _)) if grant.is_read_only() => {
                answer.notes.push(format!("`{shown}` is granted for reading only, so nothing in it can be changed"));
                return Ok(answer);
            }
            Some(_) => {}
        }
        let writable = {
            use std::os::fd::AsFd;
            beneath::may_be_changed(root.as_fd())
        };
        match writable {
            Ok(true) => {}
            Ok(false) => {
                answer.notes.push(format!("the system does not let you change `{shown}`; see its owner and mode"));
                return Ok(answer);
            }
            Err(error) => {
                answer.notes.push(format!("`{shown}` cannot be changed: {error}"));
                return Ok(answer);
            }
        }
        match there {
            Some(there) if there.kind == FileKind::Special => {
                answer.notes.push(format!("`{shown}` is a FIFO, socket or device, which is never changed"));
                return Ok(answer);
            }
            Some(there) if there.kind == FileKind::File && there.digest.is_none() => {
                let words = format!("`{shown}` cannot be read, so it cannot be backed up, and is not changed");
                answer.notes.push(words);
                return Ok(answer);
            }
            Some(there) if there.kind == FileKind::File && there.nlink > 1 => {
                answer.notes.push("it has several names; it is written as one file, and comes back as one".to_owned());
            }
            None => answer.notes.push("nothing is there; what is made there can be taken away again".to_owned()),
            Some(_) => {}
        }
        answer.notes.push(match below {
            [] => "nothing was done to it yet; what it is will be backed up before any change".to_owned(),
            runs => {
                let all: Vec<String> =
                    runs.iter().rev().take(SHOWN).map(|run| format!("`raincoat can-undo {run}`")).collect();
                let more = if runs.len() > SHOWN { " and so on" } else { "" };
                format!("what was done in it is looked at run by run: {}{more}", all.join(", "))
            }
        });
        answer.verdict = Verdict::All;
        Ok(answer)
    }
}

fn answer(journal: &Journal, what: &str, chosen: &Chosen) -> Result<CanUndo, JournalError> {
    let mut state = Virtual::default();
    let taken: HashSet<OpId> = chosen.plan.ops.iter().copied().collect();
    let (mut back, mut not, mut read) = (0, Vec::new(), HashSet::new());
    for op in &chosen.plan.ops {
        let Some(past) = journal.past(*op)? else { continue };
        let mut paths = Vec::new();
        for (n, path) in past.paths.iter().enumerate() {
            let itself = !matches!(past.op.intent.change, Change::Remove { .. })
                && (n == 1 || !matches!(past.op.intent.change, Change::Move { .. }));
            paths.push(journal.where_now(path, past.moment(), itself, &taken)?);
        }
        let mut why = state.take(&past.op.intent.change, past.after(), &paths);
        if let Some(words) = &mut why
            && let Some((_, by)) = changed_by(journal, *op, &taken)?
        {
            words.push_str(&format!(" (by {by})"));
        }
        let why = why.or(missing(journal, &past.op.intent.change, &mut read)?);
        match why {
            None => back += 1,
            Some(words) if not.len() < TOLD => {
                not.push((*op, paths.last().map(|path| display_bytes(path)).unwrap_or_default(), words));
            }
            Some(_) => {}
        }
    }
    let lost = lost(&chosen.plan);
    let total = u32::try_from(chosen.plan.ops.len() + lost.len()).unwrap_or(u32::MAX);
    not.extend(lost.into_iter().map(|op| (op, "(unknown)".to_owned(), LOST.to_owned())));
    let verdict = match back {
        _ if total == 0 => Verdict::Nothing,
        back if back == total => Verdict::All,
        0 => Verdict::None,
        _ => Verdict::Part,
    };
    let mut notes = Vec::new();
    if back > 0 {
        notes.push("nothing is lost: what an undo replaces or takes away is kept in the journal".to_owned());
    }
    if !read.is_empty() {
        notes.push(format!("{} contents were read from the store and checked", read.len()));
    }
    Ok(CanUndo { what: what.to_owned(), verdict, back, already: already(&chosen.plan), not, notes })
}

/// What would be missing from the store.
fn missing(journal: &Journal, change: &Change, read: &mut HashSet<Digest>) -> Result<Option<String>, JournalError> {
    let before = match change {
        Change::Replace { before, .. } | Change::Remove { before, .. } => before,
        _ => return Ok(None),
    };
    let Content::File(content) = &before.content else { return Ok(None) };
    if read.contains(&content.digest) {
        return Ok(None);
    }
    if !content.stored {
        return Ok(Some("its content was never backed up".to_owned()));
    }
    match whole(journal, content, before.meta.size) {
        Ok(true) => {
            read.insert(content.digest);
            Ok(None)
        }
        Ok(false) => {
            Ok(Some("its content in the store is not what was backed up; see `raincoat store verify`".to_owned()))
        }
        Err(JournalError::Corrupt { .. }) => {
            Ok(Some("its content in the store is damaged; see `raincoat store verify`".to_owned()))
        }
        Err(JournalError::UnknownChunk(_)) => Ok(Some("its content is not in the store any more".to_owned())),
        Err(error) => Err(error),
    }
}

/// Reads a content from the store, and hashes it.
fn whole(journal: &Journal, content: &FileContent, size: u64) -> Result<bool, JournalError> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    let zeroes = |hasher: &mut blake3::Hasher, mut len: u64| {
        static ZEROES: [u8; 65536] = [0; 65536];
        while len > 0 {
            let part = usize::try_from(len.min(65536)).unwrap_or(65536);
            hasher.update(ZEROES.get(..part).unwrap_or_default());
            len -= part as u64;
        }
    };
    for chunk in &content.chunks {
        let bytes = journal.read_chunk(chunk.id)?;
        zeroes(&mut hasher, chunk.offset.saturating_sub(at));
        hasher.update(&bytes);
        at = chunk.offset + bytes.len() as u64;
    }
    zeroes(&mut hasher, size.saturating_sub(at));
    Ok(Digest(*hasher.finalize().as_bytes()) == content.digest)
}

/// The files as they would be after the operations that were taken back so far.
#[derive(Default)]
struct Virtual {
    known: BTreeMap<Vec<u8>, Option<Image>>,
    moved: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What stands at a path.
enum Stands {
    Nothing,
    Image(Image),
    Disk(raincoat_effects::Looked),
}

impl Virtual {
    fn at(&self, path: &[u8]) -> Stands {
        if let Some(known) = self.known.get(path) {
            return known.clone().map_or(Stands::Nothing, Stands::Image);
        }
        let mut here = path.to_vec();
        for (from, to) in self.moved.iter().rev() {
            if let Some(rest) = below(&here, from) {
                let mut there = to.clone();
                if !rest.is_empty() {
                    there.push(b'/');
                    there.extend_from_slice(rest);
                }
                here = there;
            }
        }
        match look(Path::new(std::ffi::OsStr::from_bytes(&here))) {
            Some(there) => Stands::Disk(there),
            None => Stands::Nothing,
        }
    }

    /// Takes an operation back, and says what stands in its way.
    fn take(&mut self, change: &Change, left: Option<&Image>, paths: &[Vec<u8>]) -> Option<String> {
        match (change, paths) {
            (Change::Create { .. } | Change::Link { .. }, [at]) => {
                let why = self.differs(at, left);
                self.known.insert(at.clone(), None);
                why
            }
            (Change::Replace { before, .. }, [at]) => {
                let why = self.differs(at, left);
                self.known.insert(at.clone(), Some(before.clone()));
                why
            }
            (Change::Remove { before, .. }, [at]) => {
                let taken = !matches!(self.at(at), Stands::Nothing);
                self.known.insert(at.clone(), Some(before.clone()));
                taken.then(|| "something new has its name".to_owned())
            }
            (Change::Move { .. }, [from, to]) => {
                let why = match (self.at(to), self.at(from)) {
                    (Stands::Nothing, _) => Some("it is not there any more".to_owned()),
                    (_, Stands::Nothing) => None,
                    _ => Some("something new has its old name".to_owned()),
                };
                let below_it: Vec<Vec<u8>> =
                    self.known.keys().filter(|path| below(path, to).is_some()).cloned().collect();
                for old in below_it {
                    if let (Some(image), Some(rest)) = (self.known.remove(&old), below(&old, to)) {
                        let mut there = from.clone();
                        if !rest.is_empty() {
                            there.push(b'/');
                            there.extend_from_slice(rest);
                        }
                        self.known.insert(there, image);
                    }
                }
                self.moved.push((from.clone(), to.clone()));
                if !self.known.contains_key(from) {
                    self.known.insert(to.clone(), None);
                }
                why
            }
            (Change::SetMeta { .. }, [at]) => {
                matches!(self.at(at), Stands::Nothing).then(|| "it is not there any more".to_owned())
            }
            _ => None,
        }
    }

    fn differs(&self, at: &[u8], left: Option<&Image>) -> Option<String> {
        let left = left?;
        let digest = |image: &Image| image.digest();
        let same = match self.at(at) {
            Stands::Nothing => return Some("it is not there any more".to_owned()),
            Stands::Image(image) => image.meta.kind == left.meta.kind && digest(&image) == digest(left),
            Stands::Disk(there) => {
                there.kind == left.meta.kind
                    && (there.kind != FileKind::File
                        || (there.digest == digest(left) && there.mtime == left.meta.mtime))
            }
        };
        (!same).then(|| "it was changed since".to_owned())
    }
}
