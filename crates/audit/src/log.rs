//! Appending to the log: one lock, one write and one `fdatasync` a batch.
//!
//! At every instant the full tiles below the live file's start and the live file are the whole log. Only
//! [`Audit::rewrite`] moves that border.

use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use raincoat_os::{PrivateDir, new_ulid};
use raincoat_seal::SealKey;
use raincoat_types::{Clock, Timestamp};

use crate::entry::{Inside, MAX_NAMED, Outer, Producer, Scratch, by_digest};
use crate::fresh::{clean, create};
use crate::hash::Hash;
use crate::live::{
    Ending, Kind, Live, PREAMBLE, Preamble, SUSPECT_AT, end_frame, push_frame, records_from, start_frame,
};
use crate::memory::{Memories, Memory, known_in};
use crate::note::Checkpoint;
use crate::opening::{Complaints, remembered, subjects_of};
use crate::reader::{AuditKeys, AuditReader, Keys, LIVE, Snapshot};
use crate::subject::{About, Keyed, named_by, own_folders, period_of};
use crate::subjects::Subjects;
use crate::tail::Tail;
use crate::tile::TILE_WIDTH;
use crate::{AuditError, Care, Class, Event};

/// The published tree head of tlog-tiles.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// The file that whoever writes has locked.
pub(crate) const LOCK: &str = "lock";

/// Entries that no tree head covers, at most: they cannot leave the live file for a tile, and that file is read whole.
const UNSIGNED_MOST: u64 = 4 * TILE_WIDTH;
/// Bytes that one write carries; a longer batch takes several, each durable on its own.
const BATCH_BYTES: usize = 16 << 20;

/// Entries that a command which has no time for it leaves unpublished.
const UNPUBLISHED_MOST: u64 = 16 * TILE_WIDTH;

/// The log, open to append. It reads like an [`AuditReader`].
///
/// Several processes may have one log open. Each takes the lock to append and first reads what the others wrote.
pub struct Audit {
    pub(crate) reader: AuditReader,
    memories: Vec<Memory>,
    pub(crate) subjects: Subjects,
    person: Option<Arc<str>>,
    scratch: Scratch,
    pub(crate) clock: Arc<dyn Clock>,
    producer: Producer,
    pub(crate) tail: Tail,
    /// The note of the newest tree head, if this process signed it.
    newest: Option<String>,
    /// Publishing failed in its middle: what it wrote may not be on the disk, even where it reads back.
    pub(crate) half_published: bool,
    poisoned: bool,
    /// The last batch's bytes, to write the next in.
    batch: Vec<u8>,
}

/// How a log is opened.
#[derive(Debug, Default)]
pub struct Options {
    /// What the log is held against, besides the head in the state directory.
    pub memories: Memories,
    /// The person for whom this process works: whatever it logs is about them.
    pub person: Option<String>,
    /// A person has said that the log is the right one, whatever the memories say (after a restore from a backup,
    /// say). That stands in the log, and the memories forget what they knew.
    pub accept: bool,
}

/// Which memories are told of a new head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heads {
    /// None.
    Leave,
    /// The one in the state directory, which follows a power cut at the kernel's pace.
    Near,
    /// All of them, durably.
    All,
}

/// See [`Audit::common`].
struct Common {
    class: Class,
    period: i64,
    /// It names folders or runs of its own.
    own: bool,
    slots: Vec<u32>,
    key: SealKey,
    too_many: bool,
}

impl Deref for Audit {
    type Target = AuditReader;
    fn deref(&self) -> &AuditReader {
        &self.reader
    }
}

impl Audit {
    /// Opens the log in `dir`, making it where there is none. `head_dir` should lie elsewhere: the newest tree head is
    /// kept there. `origin` is the log's name, such as `raincoat.local/<id of the store>`; it must never change.
    ///
    /// # Errors
    /// [`AuditError::RolledBack`], [`AuditError::Forked`], [`AuditError::WrongKey`], [`AuditError::HeadDamaged`] and
    /// [`AuditError::Damaged`] where the log is not what it was when last written: [`AuditReader::verify`] says more.
    /// [`AuditError::Io`] and [`AuditError::Full`] where the disk says no.
    pub fn open(
        dir: PrivateDir,
        head_dir: PrivateDir,
        keys: AuditKeys,
        origin: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Audit, AuditError> {
        Audit::open_with(dir, head_dir, keys, origin, clock, Options::default())
    }

    /// The same, held against more memories, and speaking for a person.
    ///
    /// # Errors
    /// As [`Audit::open`].
    pub fn open_with(
        dir: PrivateDir,
        head_dir: PrivateDir,
        keys: AuditKeys,
        origin: &str,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Audit, AuditError> {
        let opening = AuditError::io("open the audit log");
        let reader = AuditReader::open_with(dir, head_dir, keys, origin, options.memories)?;
        let keys = &reader.keys;
        let id = new_ulid(clock.as_ref()).map_err(&opening)?;
        let lock = reader.dir.lock(LOCK).map_err(&opening)?;
        let memories = reader.memories.places(&reader.dir, &reader.head_dir, origin)?;
        let mut complaints = Complaints { accept: options.accept, said: Vec::new() };
        let remembered = remembered(&reader, &memories, &mut complaints)?;
        if reader.dir.open_file(LIVE).map_err(&opening)?.is_none() {
            let most = remembered.known.iter().max_by_key(|(_, head)| head.size);
            create(&reader.dir, keys, most.map(|(who, head)| (who.as_str(), head)))?;
        }
        clean(&reader.dir).map_err(&opening)?;
        let tail = Tail::load(&reader.dir, keys, Snapshot::load(&reader.dir)?, None)?;
        let minimum = reader.minimum()?;
        for (who, head) in &remembered.known {
            let mut root_at = |size| tail.snapshot.root_since(size, minimum.index);
            complaints.hear(known_in(who, head, tail.snapshot.size(), &mut root_at))?;
        }
        let subjects = subjects_of(&reader, &tail.snapshot)?;
        let mut audit = Audit {
            memories,
            subjects,
            person: options.person.map(Arc::from),
            scratch: Scratch::default(),
            clock,
            producer: Producer { id, seq: 0 },
            tail,
            newest: None,
            half_published: false,
            poisoned: false,
            batch: Vec::new(),
            reader,
        };
        let suspect = audit.tail.snapshot.live.preamble.suspect;
        audit.settle()?;
        drop(lock);
        audit.end_erasures()?;
        if !complaints.said.is_empty() {
            let accepted = Event::Care(Care::Accepted { said: complaints.said });
            audit.write(&About::NOTHING, &[accepted], true, Heads::Leave)?;
            audit.overrule_memories()?;
        }
        let mut told = Vec::new();
        if audit.tail.range.size() > 0 {
            let why = |what: &str| format!("{what}: a log cut or rolled back before this entry would go unseen by it");
            let protection = |layer: &str, why| Event::ProtectionMissing { layer: layer.to_owned(), why };
            if remembered.state_missing {
                told.push(protection("audit head kept apart", why("there was none")));
            }
            told.extend(remembered.unreadable.iter().map(|(layer, what)| protection(layer, why(what))));
        }
        if suspect {
            let why = "a write or sync of it failed; what it has was written again".to_owned();
            told.push(Event::StorageFailed { what: "the log".to_owned(), why });
        }
        if !told.is_empty() {
            audit.append(&About::NOTHING, &told)?;
        } else if remembered.state_missing {
            // Others who opened the new log at the same moment may have gone on with it, and have put their head there.
            let _lock = audit.lock()?;
            audit.catch_up()?;
            audit.keep_heads(Heads::Near)?;
        }
        Ok(audit)
    }

    /// Appends events and makes them durable: when this returns `Ok`, they outlast a power cut, and so does
    /// everything appended lazily before. Gives their indices.
    ///
    /// # Errors
    /// [`AuditError::Full`] and [`AuditError::Io`]: the log is sound and can be tried again, and the events may or may
    /// not be in it. [`AuditError::Poisoned`]: nothing more is taken by this handle. [`AuditError::HeadNotKept`]: the
    /// events are durable. The others as [`Audit::open`], where somebody changed the log meanwhile.
    pub fn append(&mut self, about: &About, events: &[Event]) -> Result<Range<u64>, AuditError> {
        self.write(about, events, true, Heads::Near)
    }

    /// Appends events that become durable with the next [`Audit::append`] or [`Audit::checkpoint`] of any process.
    /// They outlast the process at once, but not a power cut.
    ///
    /// # Errors
    /// As [`Audit::append`].
    pub fn append_lazy(&mut self, about: &About, events: &[Event]) -> Result<Range<u64>, AuditError> {
        self.write(about, events, false, Heads::Near)
    }

    /// Makes everything durable and publishes it: partial tiles and the signed `checkpoint`, so that the directory is
    /// a whole tlog-tiles log for any verifier. Worth calling at a command's end, not after each entry.
    ///
    /// # Errors
    /// As [`Audit::append`].
    pub fn checkpoint(&mut self) -> Result<Checkpoint, AuditError> {
        self.write(&About::NOTHING, &[], true, Heads::All)?;
        let _lock = self.lock()?;
        self.catch_up()?;
        if self.tail.range.size() - self.tail.start() >= TILE_WIDTH {
            self.rewrite(0)?;
        }
        let (head, note) = self.tail.snapshot.head(self.verifier())?;
        let published = self.publish(head.size, note);
        self.half_published = published.is_err();
        published.map_err(|error| self.failed("publish the audit log", error))?;
        Ok(head)
    }

    /// Which process this is in the log, and how many entries it has written under that name.
    pub fn producer(&self) -> Producer {
        self.producer
    }

    /// Publishes and closes.
    ///
    /// # Errors
    /// As [`Audit::checkpoint`].
    pub fn close(mut self) -> Result<Checkpoint, AuditError> {
        self.checkpoint()
    }

    /// Closes with everything durable, and publishes only where [`UNPUBLISHED_MOST`] entries wait for it: publishing is
    /// some thirty waits for the disk, and our own readers do not need it.
    ///
    /// # Errors
    /// As [`Audit::checkpoint`].
    pub fn leave(mut self) -> Result<(), AuditError> {
        self.write(&About::NOTHING, &[], true, Heads::All)?;
        if self.tail.range.size() - self.tail.start() >= UNPUBLISHED_MOST {
            self.checkpoint()?;
        }
        Ok(())
    }

    pub(crate) fn write(
        &mut self,
        about: &About,
        events: &[Event],
        durable: bool,
        heads: Heads,
    ) -> Result<Range<u64>, AuditError> {
        let _lock = self.lock()?;
        self.catch_up()?;
        self.write_locked(about, events, durable, heads)
    }

    /// The same for who has the lock and has caught up.
    pub(crate) fn write_locked(
        &mut self,
        about: &About,
        events: &[Event],
        durable: bool,
        heads: Heads,
    ) -> Result<Range<u64>, AuditError> {
        self.newest = None;
        let first = self.tail.range.size();
        let durable = durable || first.saturating_sub(self.tail.signed) + events.len() as u64 > UNSIGNED_MOST;
        let mut rest = events;
        loop {
            rest = self.write_some(about, rest, durable)?;
            if rest.is_empty() {
                break;
            }
        }
        let last = self.tail.range.size();
        if durable {
            self.keep_heads(heads)?;
        }
        Ok(first..last)
    }

    /// Writes as many of the events as one write takes, and gives the others back.
    fn write_some<'a>(&mut self, about: &About, events: &'a [Event], durable: bool) -> Result<&'a [Event], AuditError> {
        let mut range = self.tail.range.clone();
        let mut producer = self.producer;
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let mut records = Vec::with_capacity(events.len() + 1);
        let mut nonces = Nonces::new(events.len());
        let mut last: Option<Common> = None;
        let mut rest = events.iter();
        while batch.len() < BATCH_BYTES
            && let Some(event) = rest.next()
        {
            producer.seq += 1;
            let at = self.clock.now();
            let common = self.common(about, event, at, last.take())?;
            let nonce = nonces.next().map_err(AuditError::io("seal an entry"))?;
            let outer = Outer { at, producer, class: common.class as u8, slots: common.slots.clone() };
            let short = if common.too_many {
                let line = "an event about more subjects than an entry can name".to_owned();
                Some(by_digest(event, line, &common.key)?)
            } else {
                None
            };
            let inside = Inside { run: about.run, actor: &about.actor, event: short.as_ref().unwrap_or(event) };
            let at = start_frame(&mut batch);
            let keys = &self.reader.keys;
            keys.sealer.seal((range.size(), &nonce), &outer, &inside, &common.key, &mut self.scratch, &mut batch)?;
            let record = end_frame(&mut batch, at, Kind::Entry);
            range.push(0, record.leaf);
            records.push(record);
            last = Some(common);
        }
        if let Err(error) = self.subjects.sync() {
            drop(error);
            self.poison();
            return Err(AuditError::Poisoned);
        }
        let sign = durable && self.tail.signed < range.size();
        if sign {
            let note = self.reader.keys.sign(range.size(), range.root());
            records.push(push_frame(&mut batch, Kind::Head, note.as_bytes()));
            self.newest = Some(note);
        }
        if self.tail.end() + batch.len() as u64 > self.tail.capacity {
            self.rewrite(batch.len())?;
        }
        if let Err(error) = self.tail.file.write_all_at(&batch, self.tail.end()) {
            // Some of these entries may stand in the file, and be taken over by the next to write. Numbering them
            // again would look like a forgery, so this process goes on under another name.
            match new_ulid(self.clock.as_ref()) {
                Ok(id) => self.producer = Producer { id, seq: 0 },
                Err(_) => self.poison(),
            }
            return Err(AuditError::io("write to the audit log")(error));
        }
        if durable && self.tail.file.sync().is_err() {
            self.poison();
            return Err(AuditError::Poisoned);
        }
        self.tail.snapshot.extend(&batch, records);
        if sign {
            self.tail.signed = range.size();
        }
        self.tail.range = range;
        self.producer = producer;
        self.batch = batch;
        Ok(rest.as_slice())
    }

    /// What an entry has in common with most of its neighbours: its class and the slots and key of its subjects.
    fn common(
        &mut self,
        about: &About,
        event: &Event,
        at: Timestamp,
        last: Option<Common>,
    ) -> Result<Common, AuditError> {
        let (class, period) = (event.class(), period_of(at));
        let own = matches!(event, Event::RunBegan { .. } | Event::Recovered { .. })
            || own_folders(event, &about.folders).is_some();
        if let Some(last) = last.filter(|last| last.class == class && last.period == period && !last.own && !own) {
            return Ok(last);
        }
        let named: Vec<Keyed> = named_by(about, event, self.person.as_ref(), at);
        let mut slots = self.subjects.slots_of(&named, at)?;
        let too_many = slots.len() > MAX_NAMED;
        slots.truncate(MAX_NAMED);
        let key = self.subjects.key(&slots)?;
        Ok(Common { class, period, own, slots, key, too_many })
    }

    pub(crate) fn lock(&self) -> Result<raincoat_os::FileLock, AuditError> {
        if self.poisoned {
            return Err(AuditError::Poisoned);
        }
        self.reader.dir.lock(LOCK).map_err(AuditError::io("lock the audit log"))
    }

    /// Takes in what other processes wrote since. Needs the lock.
    pub(crate) fn catch_up(&mut self) -> Result<(), AuditError> {
        self.subjects.refresh()?;
        let reading = AuditError::io("read the audit log");
        let missing = || AuditError::Damaged(format!("`{LIVE}` is missing"));
        let file = self.reader.dir.open_file(LIVE).map_err(&reading)?.ok_or_else(missing)?;
        let mut first = [0; PREAMBLE];
        file.read_exact_at(&mut first, 0).map_err(&reading)?;
        let same = Preamble::parse(&first)
            .is_some_and(|preamble| preamble.generation == self.tail.generation() && !preamble.suspect);
        if !same {
            let snapshot = Snapshot::load(&self.reader.dir)?;
            let known = (self.tail.range.size(), self.tail.range.root());
            self.tail = Tail::load(&self.reader.dir, &self.reader.keys, snapshot, Some(known))?;
            self.settle()?;
            return self.end_erasures_locked();
        }
        let mut next = [0; 8];
        let end = self.tail.end();
        let got = file.read_at(&mut next, end).map_err(&reading)?;
        if got == 0 || next == [0; 8] {
            return Ok(());
        }
        let len = file.len().map_err(&reading)?.saturating_sub(end);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
        file.read_exact_at(&mut bytes, end).map_err(&reading)?;
        let (records, whole, ending) = records_from(&bytes, 0);
        bytes.truncate(whole);
        self.tail.absorb(&self.reader.keys, &bytes, records)?;
        self.tail.capacity = file.len().map_err(&reading)?;
        if let Ending::Torn { heads_after } = ending {
            refuse_damage(heads_after)?;
            self.rewrite(0)?;
        }
        Ok(())
    }

    /// Writes the live file anew where its end was cut off or its bytes may not be on the disk.
    fn settle(&mut self) -> Result<(), AuditError> {
        let Live { ending, preamble, .. } = &self.tail.snapshot.live;
        let suspect = preamble.suspect;
        if let Ending::Torn { heads_after } = ending {
            refuse_damage(*heads_after)?;
        } else if !suspect {
            return Ok(());
        }
        if suspect {
            self.subjects.write_again()?;
        }
        self.rewrite(0)
    }

    /// Tells the memories of the log's newest head, which is durable.
    pub(crate) fn keep_heads(&mut self, which: Heads) -> Result<(), AuditError> {
        if which == Heads::Leave {
            return Ok(());
        }
        let (size, root) = (self.tail.range.size(), self.tail.range.root());
        let signed = self.newest.take();
        let note = signed.unwrap_or_else(|| self.reader.keys.sign(size, root));
        let verifier = self.reader.keys.signer.verifier();
        let reader = &self.reader;
        let mut root_at = |at: u64| {
            if at == size { Ok(root) } else { reader.snapshot()?.root_since(at, reader.minimum()?.index) }
        };
        for memory in &mut self.memories {
            if which == Heads::Near && !memory.is_near() {
                continue;
            }
            let kept = memory.put(&note, size, which == Heads::All, verifier, &mut root_at);
            match kept {
                // What could not be written elsewhere was said when the log was opened, and `verify` says it.
                Err(AuditError::HeadNotKept(_)) if !memory.is_near() => {}
                other => other?,
            }
        }
        self.newest = Some(note);
        Ok(())
    }

    fn overrule_memories(&mut self) -> Result<(), AuditError> {
        let note = self.reader.keys.sign(self.tail.range.size(), self.tail.range.root());
        for memory in &mut self.memories {
            match memory.overrule(&note) {
                Err(AuditError::HeadNotKept(_)) if !memory.is_near() => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// A full disk leaves all as it was; any other failure of a write or sync is final.
    pub(crate) fn failed(&mut self, what: &'static str, error: io::Error) -> AuditError {
        match AuditError::io(what)(error) {
            AuditError::Full => AuditError::Full,
            _ => {
                self.poison();
                AuditError::Poisoned
            }
        }
    }

    /// Takes nothing more, and leaves word in the live file that its bytes may not be on the disk.
    pub(crate) fn poison(&mut self) {
        self.poisoned = true;
        if let Ok(Some(file)) = self.reader.dir.open_file(LIVE) {
            // If this fails too there is nobody left to tell.
            let _ = file.write_all_at(&[1], SUSPECT_AT);
        }
    }
}

impl Keys {
    /// The signed note of a tree head.
    pub(crate) fn sign(&self, size: u64, root: Hash) -> String {
        self.signer.sign(&Checkpoint { origin: self.origin.clone(), size, root }.text())
    }
}

fn refuse_damage(heads_after: usize) -> Result<(), AuditError> {
    if heads_after > 1 {
        return Err(AuditError::Damaged(format!("`{LIVE}` has bytes in its middle that are no record")));
    }
    Ok(())
}

/// Random nonces, fetched for many entries at once.
struct Nonces {
    bytes: Vec<u8>,
    at: usize,
    left: usize,
}

impl Nonces {
    /// Nonces that one call of the system brings.
    const MOST: usize = 512;

    fn new(entries: usize) -> Nonces {
        Nonces { bytes: Vec::new(), at: 0, left: entries }
    }

    fn next(&mut self) -> io::Result<[u8; 12]> {
        if self.at >= self.bytes.len() {
            let count = self.left.clamp(1, Nonces::MOST);
            self.left = self.left.saturating_sub(count);
            self.bytes.resize(12 * count, 0);
            raincoat_os::fill_random(&mut self.bytes)?;
            self.at = 0;
        }
        let nonce = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<12>());
        self.at += 12;
        nonce.copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
