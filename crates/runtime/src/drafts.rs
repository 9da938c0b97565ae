//! Open drafts: listed, looked through, committed, thrown away.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use raincoat_audit::{About, Event};
use raincoat_draft::{
    Draft, Drafts, DraftsError, Drift, Item, ItemKind, Scan, ScanLimits, Standing, Trouble, Version, text,
};
use raincoat_types::{
    Actor, Amounts, Digest, Expected, FileKind, Measure, Meta, Modes, RelPath, RunId, RunStatus, Take, Timestamp,
    display_bytes,
};

use crate::commit::{Adoption, CommitAsk, CommitReport, DraftSource};
use crate::console::Console;
use crate::exec::program;
use crate::session::Session;
use crate::{Class, Error, Keeper};

/// Entries of a draft that a listing counts.
const COUNTED: u64 = 100_000;

/// An open draft in a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DraftLine {
    /// The program's run.
    pub run: RunId,
    /// The command, in words.
    pub command: String,
    /// When it began; `None` where its record cannot be read.
    pub began: Option<Timestamp>,
    /// Where it stands.
    pub state: DraftState,
    /// Entries in it: files, folders and marks of what was deleted.
    pub entries: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// All were counted; else there are more.
    pub counted_all: bool,
    /// The folders, absolute.
    pub folders: Vec<Vec<u8>>,
}

/// Where a draft stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DraftState {
    /// The program runs.
    Live,
    /// It ended, with this code.
    Ended(i32),
    /// Its keeper died: how the program ended is not known. It does not run any more.
    Interrupted,
    /// Its record cannot be read.
    Damaged(String),
}

/// One change of a draft, as a person looks at it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DraftChange {
    /// Which folder, by its number.
    pub folder: usize,
    /// The path beneath it.
    pub path: RelPath,
    /// What happened to it.
    pub mark: DraftMark,
    /// In the folder it is a folder.
    pub was_folder: bool,
    /// In the draft it is a folder.
    pub is_folder: bool,
    /// Bytes in the folder; `None` where there is no file.
    pub size_before: Option<u64>,
    /// Bytes in the draft; `None` where there is no file.
    pub size_after: Option<u64>,
    /// Its name is protected, and why: it is left out unless the person takes it by itself.
    pub dangerous: Option<String>,
    /// What became of it in the folder meanwhile.
    pub conflict: Option<String>,
    /// Why it cannot be committed at all.
    pub special: Option<String>,
    /// The program could not see what the folder has there.
    pub masked: bool,
}

/// What happened to a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DraftMark {
    /// It is new.
    Created,
    /// Its content is another.
    Modified,
    /// It is gone.
    Deleted,
    /// It is of another kind.
    Kind,
    /// Mode, owner, times or attributes only.
    Meta,
}

/// What becomes of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pick {
    /// The folder stays as it is.
    Leave,
    /// The draft's state is taken over.
    Take,
    /// Of a modified text these hunks, as [`text::hunks`] finds them.
    Hunks(Vec<bool>),
    /// The draft's file is put beside the one in the folder.
    KeepBoth,
    /// Both are merged, by what the program began with.
    Merge,
}

/// Seconds that a file system's clock may lag behind ours.
const CLOCKS_APART: i64 = 1;

/// Bytes of a file that is put beside another.
const BESIDE_MOST: u64 = 1 << 30;

/// A change's content on each side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sides {
    /// Text; a side without a file is empty.
    Text {
        /// In the folder now.
        before: Vec<u8>,
        /// In the draft.
        after: Vec<u8>,
        /// What the program began with, in a conflict, where it is known.
        base: Option<Vec<u8>>,
    },
    /// Not text, or too long to be shown: size and digest.
    Binary {
        /// In the folder now.
        before: Option<(u64, Digest)>,
        /// In the draft.
        after: Option<(u64, Digest)>,
    },
    /// The content is the same, or there is none.
    Meta,
}

/// A draft that is looked through.
pub struct OpenDraft {
    draft: Draft,
    scan: Scan,
    folders: Vec<Vec<u8>>,
    changes: Vec<DraftChange>,
    /// For each change its item.
    items: Vec<usize>,
    /// Items of folders of which only the times changed, with what is in them: they go with it.
    times: Vec<usize>,
    index: HashMap<(usize, RelPath), usize>,
    /// Its program runs.
    live: bool,
}

/// What a draft does to what was there: new files count for nothing, for they take nothing away.
fn amounts(changes: &[DraftChange]) -> Amounts {
    let mut sum = Amounts::default();
    for change in changes.iter().filter(|change| !matches!(change.mark, DraftMark::Created | DraftMark::Meta)) {
        let deleted = u64::from(change.mark == DraftMark::Deleted);
        let one = Amounts::default().with(Measure::Files, 1).with(Measure::Deletions, deleted);
        sum = sum.plus(&one.with(Measure::Bytes, change.size_before.unwrap_or(0)));
    }
    sum
}

impl Keeper {
    /// Why a draft's changes are not committed without a look, whatever was allowed before; `None` where they may be.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn wants_a_look(&self, draft: &OpenDraft) -> Result<Option<String>, Error> {
        if self.modes(Some(draft.run()))?.contains(Modes::STRICT) {
            return Ok(Some("strict mode: every change asks".to_owned()));
        }
        let amounts = amounts(draft.changes());
        Ok(self.config.budgets.breaker.passed_by(&amounts).map(|(measure, most)| {
            let [files, deletions, bytes] = [Measure::Files, Measure::Deletions, Measure::Bytes].map(|m| amounts.of(m));
            let name = measure.name();
            format!("a mass change: it alters or deletes {files} files that were there ({deletions} deleted, {bytes} bytes), and beyond {most} {name} it asks")
        }))
    }

    pub(crate) fn open_drafts(&self) -> Result<Drafts, Error> {
        Drafts::open(&self.data, self.keys.store()).map_err(drafts_error)
    }

    /// The open drafts, newest first.
    ///
    /// # Errors
    /// The system's.
    pub fn drafts(&self) -> Result<Vec<DraftLine>, Error> {
        let all = self.open_drafts()?.list(COUNTED).map_err(drafts_error)?;
        let lines = all.into_iter().rev().map(|summary| {
            let record = summary.record.as_ref();
            DraftLine {
                run: summary.run,
                command: record.map(|record| crate::exec::shown_command(&record.command)).unwrap_or_default(),
                began: record.map(|record| record.began),
                state: match summary.standing {
                    Standing::Live => DraftState::Live,
                    Standing::Ended { code, .. } => DraftState::Ended(code),
                    Standing::Interrupted | Standing::Unsealed => DraftState::Interrupted,
                    Standing::Damaged(why) => DraftState::Damaged(why),
                },
                entries: summary.entries,
                bytes: summary.bytes,
                counted_all: summary.counted_all,
                folders: record
                    .map(|record| record.folders.iter().map(|folder| folder.root.path.clone()).collect())
                    .unwrap_or_default(),
            }
        });
        Ok(lines.collect())
    }

    /// Opens a draft to look through it: the newest, or the one whose run begins with `what`.
    ///
    /// # Errors
    /// Where there is none, its folder is another one now, or it cannot be read.
    pub fn open_draft(&self, what: Option<&str>) -> Result<OpenDraft, Error> {
        let drafts = self.open_drafts()?;
        let draft = match what {
            Some(what) => drafts.find(what),
            None => match drafts.list(0).map_err(drafts_error)?.last() {
                Some(newest) => drafts.open_run(newest.run),
                None => return Err(Error::new(Class::Usage, "there is no open draft")),
            },
        };
        let draft = draft.map_err(drafts_error)?;
        let live = draft.is_live().map_err(drafts_error)?;
        look_through(draft, live)
    }

    /// Commits what was picked of a draft, one pick for each of its changes: all of it or nothing. A draft of which
    /// nothing is left is closed.
    ///
    /// # Errors
    /// Where a pick cannot be made, or our own store failed. What the folder's state did not allow is in the report.
    pub fn commit_draft(
        &self,
        mut open: OpenDraft,
        picks: &[Pick],
        stop: Arc<AtomicBool>,
        console: &mut dyn Console,
    ) -> Result<CommitReport, Error> {
        if open.scan.cut {
            let words =
                "the draft has more changes than can be looked through at once, so it cannot be committed as a whole";
            return Err(Error::new(Class::Refused, words).hint("commit it in parts from within a smaller folder"));
        }
        if !open.live {
            open.draft.hold().map_err(drafts_error)?;
        }
        let mut busy = Vec::new();
        let mut items = Vec::new();
        let mut taken = Vec::new();
        let mut dangerous = Vec::new();
        for (n, pick) in picks.iter().enumerate() {
            let (Some(item), Some(change)) = (open.item(n), open.changes.get(n)) else { continue };
            if *pick == Pick::Leave {
                continue;
            }
            if open.live && !open.draft.quiescent(item).unwrap_or(false) {
                busy.push((item.path.display(), "the program has it open for writing".to_owned()));
                continue;
            }
            if change.dangerous.is_some() {
                dangerous.push((item.folder, item.path.clone()));
            }
            items.push(open.adoption(item, pick)?);
            taken.push(n);
        }
        let left = open.changes.len() - taken.len();
        for item in open.times_along(&taken, left == 0) {
            // What is in it was named, and its times move with that.
            if protected(item, &open.folders).is_some() {
                dangerous.push((item.folder, item.path.clone()));
            }
            items.push(open.adoption(item, &Pick::Take)?);
        }
        let run = open.run();
        let goal = format!("commit {run}: {} of {} changes", taken.len(), open.changes.len());
        let session = self.session(&mut |recovered| console.notice(&recovered.words))?;
        let ask = CommitAsk {
            of: run,
            by: program(open.draft.record().profile.as_deref(), &open.draft.record().command),
            goal,
            roots: open.draft.record().folders.iter().map(|folder| folder.root.clone()).collect(),
            sources: open.sources(),
            items,
            dangerous,
            stays: open.live || left > 0,
        };
        let committed = self.commit_in(&session, ask, stop, console);
        session.tell_of_room(console);
        let done = committed.as_ref().is_ok_and(|report| report.status == RunStatus::Done);
        let whole = left == 0 && busy.is_empty() && committed.as_ref().is_ok_and(|report| report.refused.is_empty());
        if done && open.live {
            let items: Vec<Item> = taken.iter().filter_map(|n| open.item(*n).cloned()).collect();
            open.draft.rebase(&items).map_err(drafts_error)?;
        }
        if done && whole && !open.live {
            self.leave_and_wipe(session, open.draft)?;
        } else {
            session.leave()?;
        }
        let mut report = committed?;
        report.refused.extend(busy);
        Ok(report)
    }

    /// Ends the work and takes a draft away, which wait for different things.
    pub(crate) fn leave_and_wipe(&self, session: Session, draft: Draft) -> Result<(), Error> {
        let drafts = self.open_drafts()?;
        std::thread::scope(|scope| {
            let wiping = scope.spawn(move || drafts.wipe_draft(draft));
            session.leave()?;
            let wiped = wiping.join().map_err(|_| Error::new(Class::Bug, "the thread that wipes a draft died"))?;
            wiped.map_err(drafts_error)
        })
    }

    /// Throws a draft away, or every one whose program has ended. Gives those that are gone.
    ///
    /// # Errors
    /// Where there is none of that name, or its program runs.
    pub fn discard(&self, what: Option<&str>) -> Result<Vec<RunId>, Error> {
        let drafts = self.open_drafts()?;
        let gone = match what {
            Some(what) => vec![drafts.resolve(what).map_err(drafts_error)?],
            None => {
                let all = drafts.list(0).map_err(drafts_error)?;
                all.into_iter().filter(|draft| draft.standing != Standing::Live).map(|draft| draft.run).collect()
            }
        };
        for run in &gone {
            // Logged first; that it came to nothing stands in the command's end.
            let why = "asked for by the person".to_owned();
            self.log_about(&About::run(*run, Actor::Person), vec![Event::DraftDiscarded { of: *run, why }])?;
            drafts.wipe(*run).map_err(drafts_error)?;
        }
        Ok(gone)
    }
}

pub(crate) fn look_through(draft: Draft, live: bool) -> Result<OpenDraft, Error> {
    let scan = draft.scan(ScanLimits::default()).map_err(scan_error)?;
    let folders: Vec<Vec<u8>> = draft.record().folders.iter().map(|folder| folder.root.path.clone()).collect();
    let (changes, items, times) = (Vec::new(), Vec::new(), Vec::new());
    let mut open = OpenDraft { draft, scan, folders, changes, items, times, index: HashMap::new(), live };
    open.list();
    Ok(open)
}

/// Whether nothing of a folder changed but its times, as they do with what is in it. A time from before the run, or one
/// that is yet to come, was given to it and is a change like any other.
fn only_folder_times(item: &Item, began: Timestamp) -> bool {
    let (Some(before), Some(after)) = (&item.before, &item.after) else { return false };
    let same =
        (before.stat.mode, before.stat.uid, before.stat.gid) == (after.stat.mode, after.stat.uid, after.stat.gid);
    let given = after.stat.mtime != before.stat.mtime
        && (after.stat.mtime.secs < began.secs - CLOCKS_APART || after.stat.mtime > after.stat.ctime);
    before.is_dir() && after.is_dir() && same && before.xattrs == after.xattrs && !given
}

/// Why a path is protected, if it is.
fn protected(item: &Item, folders: &[Vec<u8>]) -> Option<String> {
    let folder = folders.get(item.folder).map(Vec::as_slice).unwrap_or_default();
    let is_dir = |version: &Option<Version>| version.as_ref().is_some_and(Version::is_dir);
    let tree = is_dir(&item.before) || is_dir(&item.after);
    raincoat_policy::protected(folder, &item.path, tree).map(|(_, rule)| format!("`{}`: {}", rule.pattern, rule.why))
}

/// The first protected name on the way to a protected path.
fn protected_top(item: &Item, folders: &[Vec<u8>]) -> Option<RelPath> {
    protected(item, folders)?;
    let folder = folders.get(item.folder).map(Vec::as_slice).unwrap_or_default();
    let mut top = item.path.clone();
    while let Some((parent, _)) = top.split_last()
        && raincoat_policy::protected(folder, &parent, true).is_some()
    {
        top = parent;
    }
    Some(top)
}

/// A change as a person looks at it.
fn change_of(item: &Item, folders: &[Vec<u8>]) -> DraftChange {
    let is_dir = |version: &Option<Version>| version.as_ref().is_some_and(Version::is_dir);
    let size = |version: &Option<Version>| {
        version.as_ref().filter(|version| version.stat.kind != FileKind::Dir).map(|version| version.stat.size)
    };
    let special = match item.kind {
        ItemKind::Special(_) => Some("a FIFO, socket or device, which is never made in your folder".to_owned()),
        _ => None,
    };
    let mark = match item.kind {
        ItemKind::Created | ItemKind::Special(_) => DraftMark::Created,
        ItemKind::Modified { content: true, .. } => DraftMark::Modified,
        ItemKind::Modified { content: false, .. } => DraftMark::Meta,
        ItemKind::Deleted => DraftMark::Deleted,
        ItemKind::TypeChanged => DraftMark::Kind,
    };
    let dangerous = protected(item, folders);
    DraftChange {
        folder: item.folder,
        path: item.path.clone(),
        mark,
        was_folder: is_dir(&item.before),
        is_folder: is_dir(&item.after),
        size_before: size(&item.before),
        size_after: size(&item.after),
        dangerous,
        conflict: item.drift.map(|drift| drift_words(drift).to_owned()),
        special,
        masked: item.masked,
    }
}

fn drift_words(drift: Drift) -> &'static str {
    match drift {
        Drift::Changed => "it was changed in your folder since",
        Drift::Replaced => "another file stands in its place in your folder",
        Drift::Appeared => "something came to stand there in your folder since",
        Drift::Gone => "it is gone from your folder",
        Drift::FolderReplaced => "a folder that it lies in is another one now",
    }
}

pub(crate) fn drafts_error(error: DraftsError) -> Error {
    let class = match &error {
        DraftsError::NotFound(_) | DraftsError::Ambiguous(_) => Class::Usage,
        DraftsError::Live(_) => Class::Refused,
        DraftsError::Damaged { .. } | DraftsError::Seal(_) => Class::Damaged,
        DraftsError::Wipe(_) | DraftsError::System { .. } => Class::Environment,
    };
    Error::new(class, error.to_string())
}

pub(crate) fn scan_error(error: raincoat_draft::ScanError) -> Error {
    Error::new(Class::Environment, format!("the draft cannot be looked through: {error}"))
}

impl OpenDraft {
    fn list(&mut self) {
        let all = 0..self.scan.items.len();
        let began = self.draft.record().began;
        let times = |n: &usize| self.scan.items.get(*n).is_some_and(|item| only_folder_times(item, began));
        (self.times, self.items) = all.partition(times);
        let shown = self.items.iter().filter_map(|n| self.scan.items.get(*n));
        self.changes = shown.map(|item| change_of(item, &self.folders)).collect();
        let places = self.changes.iter().map(|change| (change.folder, change.path.clone()));
        self.index = places.enumerate().map(|(n, place)| (place, n)).collect();
    }

    /// Reads what was touched, so that what is the same after all is told from what changed.
    pub fn compare(&mut self) {
        let same = |item: &Item| matches!(item.kind, ItemKind::Modified { content: false, meta: false });
        let mut troubles = Vec::new();
        for item in &mut self.scan.items {
            if let Err(why) = self.draft.digest(item) {
                troubles.push(Trouble { folder: item.folder, path: item.path.clone(), why: why.to_string() });
            }
        }
        self.scan.items.retain(|item| !same(item));
        self.scan.troubles.extend(troubles);
        self.list();
    }

    /// The program's run.
    pub fn run(&self) -> RunId {
        self.draft.record().run
    }

    pub(crate) fn into_parts(self) -> (Draft, Scan) {
        (self.draft, self.scan)
    }

    /// The folders, absolute, by their numbers.
    pub fn folders(&self) -> &[Vec<u8>] {
        &self.folders
    }

    /// What it would change, in an order in which it can be.
    pub fn changes(&self) -> &[DraftChange] {
        &self.changes
    }

    /// What could not be looked at, in words; nothing of it can be committed.
    pub fn troubles(&self) -> impl Iterator<Item = String> {
        self.scan.troubles.iter().map(|trouble| format!("{}: {}", trouble.path.display(), trouble.why))
    }

    /// Makes a choice one that can be made: what lies in a new folder brings the folder along, and a folder that keeps
    /// something stays.
    pub fn whole(&self, picks: &mut [Pick]) {
        let at = |path: &RelPath, folder: usize| -> Option<usize> { self.index.get(&(folder, path.clone())).copied() };
        for n in 0..self.changes.len() {
            let Some(change) = self.changes.get(n) else { continue };
            let gone = change.was_folder && !change.is_folder;
            let left = picks.get(n) == Some(&Pick::Leave);
            let mut above = change.path.split_last().map(|(parent, _)| parent);
            while let Some(path) = above.filter(|path| !path.is_root()) {
                if let Some(parent) = at(&path, change.folder)
                    && let (Some(of), Some(pick)) = (self.changes.get(parent), picks.get_mut(parent))
                {
                    let goes = of.was_folder && !of.is_folder;
                    let comes = of.is_folder && !of.was_folder;
                    if left && goes && (change.size_before.is_some() || gone) {
                        *pick = Pick::Leave;
                    }
                    if !left && comes && *pick == Pick::Leave {
                        *pick = Pick::Take;
                    }
                }
                above = path.split_last().map(|(parent, _)| parent);
            }
        }
    }

    /// What changed besides the content of the nth change, in words.
    pub fn words(&self, n: usize) -> Vec<String> {
        let Some(item) = self.item(n) else { return Vec::new() };
        let (Some(before), Some(after)) = (&item.before, &item.after) else { return Vec::new() };
        let mut words = Vec::new();
        if let Some(links) = item.links.filter(|links| links.folder_names > 1 && !links.same_inode) {
            let others = links.folder_names - 1;
            words.push(format!("it has {others} other names in your folder, which keep the old content"));
        }
        let (was, is) = (&before.stat, &after.stat);
        if was.kind != is.kind {
            words.push(format!("kind: {} becomes {}", kind_word(was.kind), kind_word(is.kind)));
        }
        if was.mode != is.mode && is.kind != FileKind::Symlink {
            words.push(format!("mode: {:04o} becomes {:04o}", was.mode, is.mode));
        }
        if (was.uid, was.gid) != (is.uid, is.gid) {
            words.push(format!("owner: {}:{} becomes {}:{}", was.uid, was.gid, is.uid, is.gid));
        }
        if before.target != after.target {
            let target = |version: &Version| version.target.as_deref().map(display_bytes).unwrap_or_default();
            words.push(format!("link: `{}` becomes `{}`", target(before), target(after)));
        }
        for xattr in &after.xattrs {
            if !before.xattrs.contains(xattr) {
                words.push(format!("attribute `{}` is set", display_bytes(&xattr.name)));
            }
        }
        for xattr in &before.xattrs {
            if !after.xattrs.iter().any(|other| other.name == xattr.name) {
                words.push(format!("attribute `{}` is gone", display_bytes(&xattr.name)));
            }
        }
        if was.mtime != is.mtime && words.is_empty() && matches!(item.kind, ItemKind::Modified { content: false, .. }) {
            words.push("its time of change".to_owned());
        }
        words
    }

    /// The content of the nth change on each side.
    ///
    /// # Errors
    /// In words, where it cannot be read.
    pub fn sides(&self, n: usize) -> Result<Sides, String> {
        self.sides_of(self.item(n).ok_or("there is no such change")?)
    }

    fn sides_of(&self, item: &Item) -> Result<Sides, String> {
        let file = |version: &Option<Version>| version.as_ref().filter(|v| v.stat.kind == FileKind::File).cloned();
        let (before, after) = (file(&item.before), file(&item.after));
        if before.is_none() && after.is_none() || matches!(item.kind, ItemKind::Modified { content: false, .. }) {
            return Ok(Sides::Meta);
        }
        let most = text::TEXT_BYTES as u64;
        let fits = |version: &Option<Version>| version.as_ref().is_none_or(|v| v.stat.size <= most);
        if fits(&before) && fits(&after) {
            let old = self.side(before.is_some(), || self.draft.read_before(item, most))?;
            let new = self.side(after.is_some(), || self.draft.read_after(item, most))?;
            if text::is_text(&old) && text::is_text(&new) {
                let base = item.drift.and_then(|_| self.draft.base_text(item));
                return Ok(Sides::Text { before: old, after: new, base });
            }
        }
        let blob = |version: Option<Version>| version.map(|v| (v.stat.size, v.digest.unwrap_or_default()));
        Ok(Sides::Binary { before: blob(before), after: blob(after) })
    }

    fn item(&self, change: usize) -> Option<&Item> {
        self.items.get(change).and_then(|n| self.scan.items.get(*n))
    }

    /// The folders' times that changed with something that is taken out of them; where everything is taken, also those
    /// of folders that hold what they held before.
    fn times_along(&self, taken: &[usize], everything: bool) -> Vec<&Item> {
        let paths = taken.iter().filter_map(|n| self.changes.get(*n));
        let around: HashSet<(usize, RelPath)> =
            paths.filter_map(|change| Some((change.folder, change.path.split_last()?.0))).collect();
        let times = self.times.iter().filter_map(|n| self.scan.items.get(*n)).filter(|item| item.drift.is_none());
        // Beneath a protected name only together with what was named there.
        let named = |item: &Item| {
            let top = protected_top(item, &self.folders);
            let within = |change: &DraftChange| {
                change.folder == item.folder && top.as_ref().is_none_or(|top| change.path.starts_with(top))
            };
            taken.iter().filter_map(|n| self.changes.get(*n)).any(within)
        };
        let along = |item: &&Item| around.contains(&(item.folder, item.path.clone())) || everything && named(item);
        times.filter(along).collect()
    }

    /// Where each folder's part of the draft lies.
    fn sources(&self) -> Vec<DraftSource> {
        let places = self.draft.record().folders.iter().map(|folder| &folder.place.path);
        let places = places.map(|path| PathBuf::from(std::ffi::OsStr::from_bytes(path)));
        places
            .map(|place| DraftSource { upper: place.join("upper"), stage: place.join("stage"), ended: !self.live })
            .collect()
    }

    /// What a pick comes down to.
    fn adoption(&self, item: &Item, pick: &Pick) -> Result<Adoption, Error> {
        let expect = item.before.as_ref().map_or(Expected::Absent, |before| Expected::Seen(before.seen()));
        let new = item.after.as_ref().map(Version::seen);
        let adopt = |take: Take| Adoption {
            folder: item.folder,
            path: item.path.clone(),
            take,
            expect: expect.clone(),
            new: new.clone(),
            meta: None,
        };
        let adoption = match (pick, item.kind) {
            (_, ItemKind::Special(_)) => {
                let words = format!("`{}` is a FIFO, socket or device and cannot be committed", item.path.display());
                return Err(Error::new(Class::Refused, words));
            }
            (Pick::Hunks(accepted), ItemKind::Modified { content: true, .. }) => {
                let (before, after, _) = self.texts(item)?;
                let hunks = text::hunks(&before, &after).ok_or_else(|| not_text(item))?;
                self.staged(item, &text::apply(&before, &after, &hunks, accepted), adopt(Take::Nothing))?
            }
            (Pick::Merge, _) => {
                let (mine, theirs, base) = self.texts(item)?;
                let none = || {
                    let words =
                        format!("`{}` cannot be merged: what the program began with is not known", item.path.display());
                    Error::new(Class::Conflict, words).hint("keep one of the two, or both")
                };
                let merged = text::merge(&base.ok_or_else(none)?, &mine, &theirs).ok_or_else(|| not_text(item))?;
                if merged.conflicts > 0 {
                    let words =
                        format!("`{}` cannot be merged: both sides changed the same lines", item.path.display());
                    return Err(Error::new(Class::Conflict, words).hint("keep one of the two, or both"));
                }
                self.staged(item, &merged.bytes, adopt(Take::Nothing))?
            }
            (Pick::KeepBoth, _) if item.after.as_ref().is_some_and(|after| after.stat.kind == FileKind::File) => {
                let bytes = self.draft.read_after(item, BESIDE_MOST).map_err(|e| {
                    Error::new(Class::Environment, format!("`{}` cannot be put beside yours: {e}", item.path.display()))
                })?;
                let path = self.beside(item)?;
                let free = Adoption { path, expect: Expected::Absent, ..adopt(Take::Nothing) };
                self.staged(item, &bytes, free)?
            }
            // Nothing that both could be kept of: yours stays.
            (Pick::KeepBoth, _) => {
                let words = format!("`{}` is no file that could be put beside yours", item.path.display());
                return Err(Error::new(Class::Conflict, words).hint("keep one of the two"));
            }
            (_, ItemKind::Deleted) => adopt(Take::Nothing),
            // One of several names of a file in the draft, all of which are to be names of one file.
            (_, ItemKind::Modified { .. }) if item.links.is_some_and(|links| links.group.is_some()) => {
                adopt(Take::FromDraft)
            }
            (_, ItemKind::Modified { content: false, .. }) => adopt(Take::Meta),
            (_, ItemKind::Modified { .. }) if item.after.as_ref().is_some_and(Version::is_dir) => adopt(Take::Meta),
            (_, ItemKind::Modified { .. })
                if item.links.is_some_and(|links| links.same_inode && links.folder_names > 1) =>
            {
                adopt(Take::Content)
            }
            _ => adopt(Take::FromDraft),
        };
        Ok(adoption)
    }

    /// Both sides and the base of a text.
    #[expect(clippy::type_complexity, reason = "three texts, one of which may be unknown")]
    fn texts(&self, item: &Item) -> Result<(Vec<u8>, Vec<u8>, Option<Vec<u8>>), Error> {
        match self.sides_of(item) {
            Ok(Sides::Text { before, after, base }) => Ok((before, after, base)),
            Ok(_) => Err(not_text(item)),
            Err(why) => Err(Error::new(Class::Environment, why)),
        }
    }

    /// Puts a content where a commit takes it from, with the metadata of the draft's file.
    fn staged(&self, item: &Item, bytes: &[u8], adoption: Adoption) -> Result<Adoption, Error> {
        let fail = Error::io("prepare a content for the commit");
        let stage = self.draft.stage(item.folder).map_err(|e| Error::new(Class::Environment, e.to_string()))?;
        let place = self.index.get(&(item.folder, item.path.clone())).copied().unwrap_or(usize::MAX);
        let number = u64::try_from(place).unwrap_or(u64::MAX);
        let name = number.to_string();
        // What an earlier try left.
        if stage.read(&name, 0).is_ok_and(|there| there.is_some()) {
            stage.remove(&name).map_err(&fail)?;
        }
        let file = stage.create_append(&name).map_err(&fail)?;
        file.write_all_at(bytes, 0).map_err(&fail)?;
        let version = item.after.as_ref().or(item.before.as_ref());
        let meta: Option<Meta> = version.map(|version| {
            let mut meta = version.stat.with_xattrs(version.xattrs.clone());
            meta.size = bytes.len() as u64;
            meta
        });
        Ok(Adoption { take: Take::Staged(number), new: None, meta, ..adoption })
    }

    /// A free name beside a file of the folder, for the draft's.
    fn beside(&self, item: &Item) -> Result<RelPath, Error> {
        let gone = || Error::new(Class::Conflict, format!("there is no free name beside `{}`", item.path.display()));
        let (parent, name) = item.path.split_last().ok_or_else(gone)?;
        let run = self.run().to_string();
        let tail = run.get(run.len().saturating_sub(6)..).unwrap_or_default();
        let (stem, extension) = match name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0) {
            Some(at) => name.split_at(at),
            None => (name, [].as_slice()),
        };
        let lower = self.draft.lower(item.folder).map_err(|e| Error::new(Class::Environment, e.to_string()))?;
        for again in 0..100_u32 {
            let more = if again == 0 { String::new() } else { format!("-{again}") };
            let mark = format!(".draft-{tail}{more}");
            let path = parent.join(&[stem, mark.as_bytes(), extension].concat()).map_err(|_| gone())?;
            if lower.find_exact(&path).is_ok_and(|found| found.stat.is_none()) {
                return Ok(path);
            }
        }
        Err(gone())
    }

    fn side(
        &self,
        there: bool,
        read: impl FnOnce() -> Result<Vec<u8>, raincoat_draft::ReadError>,
    ) -> Result<Vec<u8>, String> {
        if there { read().map_err(|e| e.to_string()) } else { Ok(Vec::new()) }
    }
}

fn not_text(item: &Item) -> Error {
    Error::new(
        Class::Usage,
        format!("`{}` is no text on both sides, so it is taken or left as a whole", item.path.display()),
    )
}

fn kind_word(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "a file",
        FileKind::Dir => "a folder",
        FileKind::Symlink => "a symlink",
        FileKind::Special => "a FIFO, socket or device",
    }
}
