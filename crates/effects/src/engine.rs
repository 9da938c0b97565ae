//! Changing files so that nothing is lost: intent and before-image durable, then the act, then the check, then the
//! outcome. Changes that do not depend on each other share one intent, so that ten thousand moves do not cost ten
//! thousand waits for the disk; each stays an operation of its own, and each is undoable.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_os::{Found, Stat, mutate, state};
use raincoat_types::{
    Change, Clock, Content, DirTimes, Failure, FailureKind, Identity, Image, Intent, OpId, OpRecord, OpResult, RelPath,
    RunId, Spot, Timestamp,
};

use crate::act::{self, Unmade};
use crate::ahead::Ahead;
use crate::capture::meta_now;
use crate::failure::{at_path, broken};
use crate::links::LinkFinder;
use crate::recorder::Recorder;
use crate::resolve::Resolver;

/// Steps that wait for one intent, where descriptors allow: each wait for the disk is shared by so many.
const BATCH: usize = 1024;
/// Descriptors that a step holds, and those that are kept for everything else.
const OPEN_A_STEP: u64 = 2;
const OPEN_BESIDES: u64 = 256;
/// Descriptors for a whole batch.
pub(crate) const OPEN_MOST: u64 = OPEN_BESIDES + OPEN_A_STEP * BATCH as u64;
/// Bytes of new content that wait in memory.
const BATCH_BYTES: usize = 8 << 20;
/// From so many new files on, one `syncfs` is cheaper than an `fsync` each.
const SYNC_ALL_FROM: usize = 4;

/// What a step puts on disk.
pub(crate) enum Payload {
    /// Nothing new: a removal, a move, a link, a directory, a symlink.
    None,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file without a name that has the content already.
    Unnamed(OwnedFd),
    /// One that these bytes were written to.
    Begun(OwnedFd, Arc<Vec<u8>>),
    /// Content from the store, as the change's own image names it.
    Stored,
}

/// One primitive change that is ready to be made.
pub(crate) struct Step {
    pub(crate) change: Change,
    /// The place, found: the open folder and the name.
    pub(crate) at: (usize, Found),
    /// The second place: where a move goes to, or the name that a link is made from.
    pub(crate) other: Option<(usize, Found)>,
    pub(crate) payload: Payload,
    pub(crate) undoes: Option<OpId>,
    /// What was put under the temporary name.
    pub(crate) made: Option<Identity>,
    /// That file, open, until it is durable.
    pub(crate) file: Option<OwnedFd>,
}

impl Step {
    /// A step in one place.
    pub(crate) fn new(change: Change, at: (usize, Found), payload: Payload) -> Step {
        Step { change, at, other: None, payload, undoes: None, made: None, file: None }
    }

    /// A step that needs nothing new, in two places.
    pub(crate) fn between(change: Change, at: (usize, Found), other: (usize, Found)) -> Step {
        Step { change, at, other: Some(other), payload: Payload::None, undoes: None, made: None, file: None }
    }
}

/// What came of the steps of one proposal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) ops: Vec<OpId>,
    pub(crate) failure: Option<Failure>,
}

/// The part of a run that changes files.
pub(crate) struct Engine {
    pub(crate) resolver: Resolver,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) run: RunId,
    /// Set by Ctrl-C: no new step begins.
    pub(crate) stop: Arc<AtomicBool>,
    next_seq: u32,
    /// Steps that may wait together.
    batch: usize,
    queue: Vec<(OpId, usize, Step)>,
    queued_bytes: usize,
    /// Names that waiting steps change.
    touched: HashSet<(usize, RelPath)>,
    /// Folders in which waiting steps will have temporary names: they are not empty until those are made.
    temps_in: HashSet<(usize, RelPath)>,
    /// Files with several names that waiting steps write to: their content changes under each of them.
    touched_links: HashSet<(u64, u64)>,
    /// A full or failing disk: nothing more is made until the proposals so far are settled.
    halted: Option<Failure>,
    told: Vec<Told>,
    /// Directories whose entries changed since the last full sync, so that temporary names taken away stay away.
    dirty: Vec<OwnedFd>,
    /// Where files with several names are, for undo to give names back.
    pub(crate) links: LinkFinder,
    /// What the gate was asked about, found just before; forgotten when anything is made.
    pub(crate) looked: Vec<(usize, Found)>,
    /// The record of the operation that is about to be taken back, where it was looked up with others.
    pub(crate) recorded: Option<OpRecord>,
    broken: Option<String>,
}

impl Engine {
    pub(crate) fn new(
        resolver: Resolver,
        recorder: Recorder,
        clock: Arc<dyn Clock>,
        run: RunId,
        stop: Arc<AtomicBool>,
    ) -> Engine {
        Engine {
            resolver,
            recorder,
            clock,
            run,
            stop,
            next_seq: 1,
            batch: batch(),
            queue: Vec::new(),
            queued_bytes: 0,
            touched: HashSet::new(),
            temps_in: HashSet::new(),
            touched_links: HashSet::new(),
            halted: None,
            told: Vec::new(),
            dirty: Vec::new(),
            links: LinkFinder::default(),
            looked: Vec::new(),
            recorded: None,
            broken: None,
        }
    }

    /// An operation as it was recorded; `None` where there is none.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn record(&self, op: OpId) -> Result<Option<OpRecord>, Failure> {
        match &self.recorded {
            Some(record) if record.intent.op == op => Ok(Some(record.clone())),
            _ => self.recorder.op(op).map_err(|e| broken(&e)),
        }
    }

    /// Opens a ledger for one proposal; steps are pushed under its number.
    pub(crate) fn open_ticket(&mut self) -> usize {
        self.told.push(Told::default());
        self.told.len() - 1
    }

    /// What came of the proposals since the last call, in order. Makes all pending changes first.
    pub(crate) fn settle(&mut self) -> Vec<Told> {
        self.flush();
        self.halted = None;
        std::mem::take(&mut self.told)
    }

    /// Whether nothing waits to be made.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn fail(&mut self, ticket: usize, failure: Failure) {
        if let Some(told) = self.told.get_mut(ticket) {
            told.failure.get_or_insert(failure);
        }
    }

    /// Whether the proposal can go no further.
    pub(crate) fn has_failed(&self, ticket: usize) -> bool {
        self.told.get(ticket).is_some_and(|told| told.failure.is_some())
    }

    /// Now, for new files and records.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether a path, or a folder it lies in, waits to be changed: what is seen there now will not hold.
    pub(crate) fn is_touched(&self, n: usize, path: &RelPath) -> bool {
        if self.touched.is_empty() {
            return false;
        }
        let mut at = Some(path.clone());
        while let Some(here) = at {
            at = here.split_last().map(|(parent, _)| parent);
            if self.touched.contains(&(n, here)) {
                return true;
            }
        }
        false
    }

    /// Whether something below a folder waits to be changed.
    pub(crate) fn is_touched_below(&self, n: usize, path: &RelPath) -> bool {
        self.touched.iter().any(|(other, touched)| *other == n && touched.starts_with(path))
    }

    /// Whether a file waits to be changed under another of its names.
    pub(crate) fn is_touched_link(&self, stat: Option<&Stat>) -> bool {
        !self.touched_links.is_empty()
            && stat.is_some_and(|s| s.nlink > 1 && self.touched_links.contains(&(s.identity.dev, s.identity.ino)))
    }

    /// A folder is moved or removed after all that waits below it, not together: recovery looks for what was meant
    /// under the names of then, and a temporary name keeps a folder from being empty.
    fn settle_below(&mut self, step: &Step) {
        let (n, path) = (step.at.0, &step.at.1.path);
        let wait = match &step.change {
            Change::Move { image, .. } if image.content == Content::Dir => self.is_touched_below(n, path),
            Change::Remove { before, .. } if before.content == Content::Dir => {
                self.temps_in.contains(&(n, path.clone()))
            }
            _ => false,
        };
        if wait {
            self.flush();
        }
    }

    /// Takes a step in. It is made together with others, at the latest when [`Engine::settle`] is called.
    ///
    /// # Errors
    /// Where the store is broken, the disk full, an earlier step of the same proposal failed, or the run has come to
    /// its limit.
    pub(crate) fn push(&mut self, ticket: usize, step: Step) -> Result<(), Failure> {
        self.settle_below(&step);
        if let Some(words) = &self.broken {
            return Err(broken(words));
        }
        if let Some(failure) = &self.halted {
            return Err(Failure::new(failure.kind, format!("not reached: {}", failure.message)));
        }
        if self.has_failed(ticket) {
            return Err(Failure::new(FailureKind::Stopped, "not reached: an earlier part of the same change failed"));
        }
        if self.stop.load(Ordering::Relaxed) {
            return Err(Failure::new(FailureKind::Stopped, "stopped before this change"));
        }
        if self.next_seq > self.resolver.limits.run_ops {
            let words =
                format!("the run has made {} changes, its limit; start another run", self.resolver.limits.run_ops);
            return Err(Failure::new(FailureKind::Limit, words));
        }
        let op = OpId { run: self.run, seq: self.next_seq };
        self.next_seq += 1;
        self.touched.insert((step.at.0, step.at.1.path.clone()));
        if let Some((n, found)) = &step.other {
            self.touched.insert((*n, found.path.clone()));
        }
        if act::needs_temp(&step.change)
            && let Some((parent, _)) = step.at.1.path.split_last()
        {
            self.temps_in.insert((step.at.0, parent));
        }
        if let Change::Replace { before, in_place: true, .. } = &step.change {
            self.touched_links.insert((before.meta.identity.dev, before.meta.identity.ino));
        }
        match &step.payload {
            Payload::Bytes(bytes) => self.queued_bytes += bytes.len(),
            Payload::Begun(_, bytes) => self.queued_bytes += bytes.len(),
            Payload::None | Payload::Unnamed(_) | Payload::Stored => {}
        }
        self.queue.push((op, ticket, step));
        if self.queue.len() >= self.batch || self.queued_bytes >= BATCH_BYTES {
            self.flush();
        }
        Ok(())
    }

    /// What was found under a path for the gate, just now; the second time it is looked for anew.
    pub(crate) fn take_looked(&mut self, n: usize, path: &RelPath) -> Option<(usize, Found)> {
        let at = self.looked.iter().position(|(of, found)| *of == n && found.path == *path)?;
        Some(self.looked.swap_remove(at))
    }

    /// Makes all that waits.
    pub(crate) fn flush(&mut self) {
        self.looked.clear();
        let queue = std::mem::take(&mut self.queue);
        self.touched.clear();
        self.temps_in.clear();
        self.touched_links.clear();
        self.queued_bytes = 0;
        if queue.is_empty() {
            return;
        }
        let at = self.now();
        let mut intents = Vec::with_capacity(queue.len());
        for (op, _, step) in &queue {
            let temp = act::needs_temp(&step.change).then(|| temp_spot(*op, step)).flatten();
            let dirs = self.dir_times(step);
            intents.push(Intent { op: *op, at, change: step.change.clone(), temp, dirs, undoes: step.undoes });
        }
        if let Err(words) = self.recorder.intend(intents.clone()) {
            self.broken = Some(words.clone());
            for (_, ticket, _) in queue {
                self.fail(ticket, broken(&words));
            }
            return;
        }
        self.make(queue, &intents);
    }

    fn make(&mut self, mut queue: Vec<(OpId, usize, Step)>, intents: &[Intent]) {
        // New content first, beside its target and durable, so that the acts themselves are single calls.
        let mut failed: HashMap<usize, Failure> = HashMap::new();
        // What keeps everything after it from being made: a full or failing disk.
        let mut halt: Option<Failure> = self.halted.clone();
        let mut fresh = 0;
        let mut stored =
            Ahead::new(queue.iter().enumerate().filter_map(|(i, (_, _, step))| Some((i, act::from_store(step)?))));
        for (i, ((_, _, step), intent)) in queue.iter_mut().zip(intents).enumerate() {
            let temp = intent.temp.as_ref().and_then(|spot| spot.path.split_last().map(|(_, name)| name.to_vec()));
            match act::materialise(&self.recorder, step, temp.as_deref(), (i, &mut stored)) {
                Ok(new_content) => {
                    fresh += usize::from(new_content);
                    if fresh >= SYNC_ALL_FROM {
                        // All are made durable together, and need not be open for that.
                        step.file = None;
                    }
                }
                Err(failure) => {
                    let halts = halts(&failure);
                    failed.insert(i, failure.clone());
                    if halts {
                        halt = Some(failure);
                        break;
                    }
                }
            }
        }
        if let Err(failure) = sync_new(&mut queue, fresh) {
            failed.insert(0, failure.clone());
            halt = Some(failure);
        }
        let mut results: Vec<(OpId, OpResult)> = Vec::with_capacity(queue.len());
        for (i, ((op, ticket, step), intent)) in queue.iter().zip(intents).enumerate() {
            let outcome = if let Some(failure) = failed.remove(&i) {
                Err(failure.into())
            } else if let Some(failure) = &halt {
                Err(Failure::new(failure.kind, format!("not reached: {}", failure.message)).into())
            } else if self.has_failed(*ticket) {
                let words = "not reached: an earlier part of the same change failed";
                Err(Failure::new(FailureKind::Stopped, words).into())
            } else if self.stop.load(Ordering::Relaxed) {
                Err(Failure::new(FailureKind::Stopped, "stopped before this change").into())
            } else {
                act::act(&self.recorder, step, intent)
            };
            let failure = match outcome {
                Ok(()) => {
                    self.keep_links_true(step);
                    if let Some(told) = self.told.get_mut(*ticket) {
                        told.ops.push(*op);
                    }
                    results.push((*op, OpResult::Done { after: None, dirs: Vec::new() }));
                    continue;
                }
                Err(Unmade::Clean(failure)) => {
                    act::abandon(step, intent);
                    results.push((*op, OpResult::NotDone(failure.message.clone())));
                    failure
                }
                Err(Unmade::Unsure(failure)) => {
                    // Neither done nor as before: nothing more is changed, and the next start looks at it.
                    let words = format!("a change was begun and could not be taken back ({})", failure.message);
                    self.broken = Some(words.clone());
                    broken(&words)
                }
            };
            if halts(&failure) {
                halt.get_or_insert(failure.clone());
            }
            self.fail(*ticket, failure);
        }
        self.halted = halt;
        if let Err(words) = self.sync_folders(&queue) {
            // The kernel may have thrown the changed pages away: what is on disk is not known. The intents stay
            // pending, and recovery looks.
            self.broken = Some(words.clone());
            for (_, ticket, _) in &queue {
                self.fail(*ticket, broken(&words));
            }
            return;
        }
        self.forget_attempts(&queue, intents, &results);
        let mut outcomes = results.iter_mut().peekable();
        for ((op, _, step), intent) in queue.iter().zip(intents) {
            let Some((_, result)) = outcomes.next_if(|(of, _)| of == op) else { continue };
            if matches!(result, OpResult::Done { .. }) {
                if let Some(words) = act::clear(step, intent) {
                    self.recorder.say(words);
                }
                *result = self.look_after(step);
            }
        }
        let change_of = |op| intents.iter().find(|intent| intent.op == op).map(|intent| &intent.change);
        if let Err(words) = self.recorder.conclude(results, change_of) {
            self.broken = Some(words);
        }
    }

    /// A temporary name that came and went has altered its folder's times: where nothing else did, they are given back.
    fn forget_attempts(&self, queue: &[(OpId, usize, Step)], intents: &[Intent], results: &[(OpId, OpResult)]) {
        let done: HashSet<OpId> =
            results.iter().filter(|(_, result)| matches!(result, OpResult::Done { .. })).map(|(op, _)| *op).collect();
        let of_done = |found: &Found| {
            queue.iter().filter(|(op, _, _)| done.contains(op)).any(|(_, _, step)| {
                same_folder(&step.at.1, found) || step.other.as_ref().is_some_and(|(_, o)| same_folder(o, found))
            })
        };
        for ((op, _, step), intent) in queue.iter().zip(intents) {
            if step.made.is_some()
                && !done.contains(op)
                && let Some(dir) = intent.dirs.first()
                && !of_done(&step.at.1)
            {
                let _ = mutate::hold(step.at.1.folder(), b"")
                    .and_then(|fd| mutate::set_times_of(fd.as_fd(), dir.mtime, dir.atime));
            }
        }
    }

    /// What is there now, for undo to expect.
    fn look_after(&self, step: &Step) -> OpResult {
        let (folder, name) = match (&step.change, &step.other) {
            (Change::Move { .. }, Some((_, to))) => (to.folder(), to.name.as_slice()),
            _ => (step.at.1.folder(), step.at.1.name.as_slice()),
        };
        let content = match &step.change {
            Change::Create { after, .. } | Change::Replace { after, .. } => Some(after.content.clone()),
            Change::Move { image, .. } | Change::Link { image, .. } => Some(image.content.clone()),
            Change::SetMeta { .. } | Change::Remove { .. } => None,
        };
        let meta = meta_now(folder, name).ok().flatten();
        let after = match (meta, content, &step.change) {
            (Some(meta), Some(content), _) => Some(Image { meta, content }),
            (Some(meta), None, Change::SetMeta { .. }) => Some(Image { meta, content: Content::Dir }),
            _ => None,
        };
        OpResult::Done { after, dirs: self.dir_times(step) }
    }

    /// Times of the folders whose entries a step alters; of the folder itself where its own times are set.
    fn dir_times(&self, step: &Step) -> Vec<DirTimes> {
        let mut out: Vec<DirTimes> = Vec::new();
        let mut note = |spot: &Spot, found: &Found| {
            let Some((path, _)) = spot.path.split_last() else { return };
            let at = Spot { grant: spot.grant, path };
            if out.iter().any(|dir| dir.at == at) {
                return;
            }
            if let Ok(stat) = state::stat_fd(found.folder()) {
                out.push(DirTimes { at, mtime: stat.mtime, atime: stat.atime });
            }
        };
        match (&step.change, &step.other) {
            (Change::Move { from, to, .. }, Some((_, other))) => {
                note(from, &step.at.1);
                note(to, other);
            }
            (Change::SetMeta { at, .. }, _) => {
                if let Ok(Some(stat)) = state::stat_at(step.at.1.folder(), &step.at.1.name)
                    && stat.kind == raincoat_types::FileKind::Dir
                {
                    out.push(DirTimes { at: at.clone(), mtime: stat.mtime, atime: stat.atime });
                }
            }
            (change, _) => {
                if let Some(spot) = change.spots().first() {
                    note(spot, &step.at.1);
                }
            }
        }
        out
    }

    fn keep_links_true(&mut self, step: &Step) {
        let (n, at) = (step.at.0, &step.at.1);
        let other = step.other.as_ref().map(|(n, found)| (*n, &found.path));
        match &step.change {
            Change::Move { image, .. } if image.content == Content::Dir => {
                // A whole tree moved: every name in it did.
                for n in [Some(n), other.map(|(n, _)| n)].into_iter().flatten() {
                    self.resolver.forget_links(n);
                }
                self.links.forget();
            }
            Change::Move { image, .. } => {
                if image.meta.nlink > 1 {
                    self.resolver.relink(&image.meta.identity, Some((n, &at.path)), other);
                }
                self.links.moved(&image.meta.identity, other);
            }
            Change::Remove { before, .. } if before.meta.nlink > 1 => {
                self.resolver.relink(&before.meta.identity, Some((n, &at.path)), None);
            }
            Change::Link { image, .. } => {
                if let Some(existing) = other {
                    self.resolver.relink(&image.meta.identity, Some(existing), Some(existing));
                }
                self.resolver.relink(&image.meta.identity, None, Some((n, &at.path)));
            }
            _ => {}
        }
    }

    /// Makes the altered folders durable, each once.
    fn sync_folders(&mut self, queue: &[(OpId, usize, Step)]) -> Result<(), String> {
        let mut seen: HashSet<(u64, u64)> = HashSet::new();
        let mut dirs: Vec<(&Found, u64)> = Vec::new();
        let founds = queue.iter().flat_map(|(_, _, step)| [Some(&step.at), step.other.as_ref()]).flatten();
        for (_, found) in founds {
            let Ok(stat) = state::stat_fd(found.folder()) else { continue };
            let key = (stat.identity.dev, stat.identity.ino);
            if seen.insert(key) {
                dirs.push((found, key.0));
            }
        }
        let words = |e: std::io::Error| format!("a folder could not be made durable ({e})");
        if dirs.len() > SYNC_ALL_FROM {
            // One call for the file system of each granted folder.
            let mut devs: Vec<u64> = Vec::new();
            for (found, dev) in &dirs {
                if !devs.contains(dev) {
                    devs.push(*dev);
                    mutate::sync_file_system(found.folder()).map_err(words)?;
                }
            }
        } else {
            for (found, _) in &dirs {
                mutate::sync_dir(found.folder()).map_err(words)?;
            }
        }
        for (found, _) in dirs {
            if self.dirty.len() < 64
                && let Ok(fd) = found.folder().try_clone_to_owned()
            {
                self.dirty.push(fd);
            }
        }
        Ok(())
    }

    /// Makes everything pending, and what was tidied up behind it, durable.
    ///
    /// # Errors
    /// Where the disk or the store failed.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.flush();
        let dirty = std::mem::take(&mut self.dirty);
        if dirty.len() > SYNC_ALL_FROM {
            for folder in &self.resolver.folders {
                let failed = |e| at_path(e, &RelPath::ROOT);
                mutate::sync_file_system(folder.root.as_fd()).map_err(failed)?;
            }
        } else {
            for dir in dirty {
                mutate::sync_dir(dir.as_fd()).map_err(|e| at_path(e, &RelPath::ROOT))?;
            }
        }
        match &self.broken {
            Some(words) => Err(broken(words)),
            None => Ok(()),
        }
    }
}

/// How many steps may wait together.
fn batch() -> usize {
    let open = raincoat_os::harden::open_files().saturating_sub(OPEN_BESIDES);
    usize::try_from(open / OPEN_A_STEP).map_or(BATCH, |steps| steps.clamp(16, BATCH))
}

/// The temporary name of an operation, beside its target: hidden, and told by its name whose it is.
fn temp_spot(op: OpId, step: &Step) -> Option<Spot> {
    let spot = step.change.spots().into_iter().next()?;
    let (parent, _) = spot.path.split_last()?;
    let name = format!(".raincoat-{}-{}.tmp", op.run, op.seq);
    Some(Spot { grant: spot.grant, path: parent.join(name.as_bytes()).ok()? })
}

fn same_folder(one: &Found, other: &Found) -> bool {
    let of = |found: &Found| state::stat_fd(found.folder()).ok().map(|stat| stat.identity);
    of(one).is_some_and(|identity| of(other) == Some(identity))
}

/// Whether a failure makes every later change hopeless or unsafe.
fn halts(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Full | FailureKind::Broken)
}

/// Makes new content durable before any name leads to it.
fn sync_new(queue: &mut [(OpId, usize, Step)], fresh: usize) -> Result<(), Failure> {
    if fresh < SYNC_ALL_FROM {
        return queue.iter_mut().try_for_each(|(_, _, step)| act::sync_content(step));
    }
    let mut devs: Vec<u64> = Vec::new();
    for (_, _, step) in queue {
        step.file = None;
        let found = &step.at.1;
        let Ok(stat) = state::stat_fd(found.folder()) else { continue };
        if !devs.contains(&stat.identity.dev) {
            devs.push(stat.identity.dev);
            mutate::sync_file_system(found.folder()).map_err(|e| at_path(e, &found.path))?;
        }
    }
    Ok(())
}
