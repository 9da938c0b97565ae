//! The file of subjects' keys, `subjects`: read by whoever reads the log, given new slots by whoever appends to it.
//! Everything that changes it is done under the log's lock.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use raincoat_os::{AppendFile, PrivateDir, fill_random};
use raincoat_seal::SealKey;
use raincoat_types::Timestamp;
use zeroize::Zeroizing;

use crate::slots::{
    HEADER, Header, KEY, LiveSlot, MAX_SLOTS, SLOT, Slot, SlotKind, SlotSealer, place_of, slot_in, tag_in, used_in,
};
use crate::subject::{Keyed, Subject};
use crate::{AuditError, Erasure};

/// The file's name in the log's directory.
pub(crate) const SUBJECTS: &str = "subjects";

/// Bytes that a file of slots may have.
const MAX_BYTES: u64 = HEADER as u64 + MAX_SLOTS as u64 * SLOT as u64;
/// By how much it grows: zeroes that are really written, so that a later write within them carries data only.
const GROWTH: usize = 64 << 10;
/// Keys kept derived at a time, each on locked pages of its own.
const DERIVED: usize = 256;

/// What can be opened of entries that name some slots.
#[derive(Clone)]
pub(crate) enum Access {
    /// All of it.
    Key(SealKey),
    /// Nothing: the keys in these were destroyed, the first of them then and because of that.
    Erased(Vec<u32>, Timestamp, Erasure),
    /// Nothing: this slot is not there or damaged.
    Lost(u32),
}

/// The slots as they were at one moment, to read with.
#[derive(Clone)]
pub(crate) struct SlotView {
    file: Arc<Vec<u8>>,
    sealer: SlotSealer,
    derived: HashMap<Vec<u32>, Access>,
}

/// The slots, to append with.
pub(crate) struct Subjects {
    file: AppendFile,
    sealer: SlotSealer,
    payload: SealKey,
    header: Header,
    len: u64,
    used: u32,
    tags: HashMap<[u8; 16], u32>,
    known: HashMap<Keyed, u32>,
    derived: HashMap<Vec<u32>, SealKey>,
    /// A slot was written that may not be on the disk yet.
    dirty: bool,
}

/// The key of entries that name the slots with these keys.
fn derive(payload: &SealKey, keys: &[u8]) -> SealKey {
    payload.join("audit entry", keys)
}

impl SlotView {
    /// The slots as they are; none where there is no file.
    pub(crate) fn load(dir: &PrivateDir, payload: &SealKey, origin: &str) -> Result<SlotView, AuditError> {
        let bytes = dir.read(SUBJECTS, MAX_BYTES).map_err(AuditError::io("read the subjects' keys"))?;
        let sealer = SlotSealer::new(payload, origin);
        Ok(SlotView { file: Arc::new(bytes.unwrap_or_default()), sealer, derived: HashMap::new() })
    }

    #[cfg(test)]
    pub(crate) fn empty(payload: &SealKey, origin: &str) -> SlotView {
        SlotView { file: Arc::default(), sealer: SlotSealer::new(payload, origin), derived: HashMap::new() }
    }

    /// Whether there is a file with the right start.
    pub(crate) fn header(&self) -> Option<Header> {
        Header::parse(&self.file)
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.file.is_empty()
    }

    /// Slots in use.
    pub(crate) fn used(&self) -> u32 {
        used_in(&self.file)
    }

    /// What stands in a slot; [`Slot::Free`] beyond the file's end.
    pub(crate) fn slot(&self, number: u32) -> Slot {
        slot_in(&self.file, number).map_or(Slot::Free, |bytes| self.sealer.open(number, bytes))
    }

    /// What opens entries that name these slots.
    pub(crate) fn access(&mut self, payload: &SealKey, slots: &[u32]) -> &Access {
        if self.derived.len() > DERIVED {
            self.derived.clear();
        }
        if !self.derived.contains_key(slots) {
            let access = self.derive(payload, slots);
            self.derived.insert(slots.to_vec(), access);
        }
        // Put in just above.
        self.derived.get(slots).unwrap_or(&Access::Lost(u32::MAX))
    }

    fn derive(&self, payload: &SealKey, slots: &[u32]) -> Access {
        let mut keys = Zeroizing::new(Vec::with_capacity(slots.len() * KEY));
        let (mut erased, mut first, mut lost) = (Vec::new(), None, None);
        for number in slots {
            match self.slot(*number) {
                Slot::Live(slot) => keys.extend_from_slice(slot.key.as_slice()),
                Slot::Erased { at, by, .. } => {
                    erased.push(*number);
                    first = Some(first.map_or((at, by), |(then, why)| if at < then { (at, by) } else { (then, why) }));
                }
                Slot::Free | Slot::Damaged => lost = lost.or(Some(*number)),
            }
        }
        match (first, lost) {
            (Some((at, by)), _) => Access::Erased(erased, at, by),
            (None, Some(number)) => Access::Lost(number),
            (None, None) => Access::Key(derive(payload, &keys)),
        }
    }

    /// The live slots of a subject: a folder has one for each grant of it.
    pub(crate) fn of_subject(&self, subject: &Subject) -> Vec<u32> {
        let tag = match subject {
            Subject::Run(run) => Some(self.sealer.tag(&Keyed::Run(*run))),
            Subject::Person(name) => Some(self.sealer.tag(&Keyed::Person(name.as_str().into()))),
            Subject::Folder(_) => None,
        };
        let path = match subject {
            Subject::Folder(path) => Some(self.sealer.path_tag(path)),
            _ => None,
        };
        self.live(|bytes, number| match (tag, path) {
            (Some(tag), _) => tag_in(bytes) == tag && matches!(self.slot(number), Slot::Live(_)),
            (None, Some(path)) => matches!(self.slot(number), Slot::Live(slot) if slot.path == path),
            (None, None) => false,
        })
    }

    /// These slots, and every other of the same folders.
    pub(crate) fn with_others_of_the_folders(&self, slots: &[u32]) -> Vec<u32> {
        let path_of = |number: u32| match self.slot(number) {
            Slot::Live(slot) if slot.path != [0; 16] => Some(slot.path),
            _ => None,
        };
        let paths: Vec<[u8; 16]> = slots.iter().filter_map(|number| path_of(*number)).collect();
        if paths.is_empty() {
            return slots.to_vec();
        }
        let mut all = self.live(|_, number| path_of(number).is_some_and(|path| paths.contains(&path)));
        all.extend_from_slice(slots);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The live slots of classes' periods.
    pub(crate) fn periods(&self) -> Vec<(u32, crate::Class, i64)> {
        (0..self.used())
            .filter_map(|number| match self.slot(number) {
                Slot::Live(LiveSlot { kind: SlotKind::Period(class, period), .. }) => Some((number, class, period)),
                _ => None,
            })
            .collect()
    }

    fn live(&self, which: impl Fn(&[u8; SLOT], u32) -> bool) -> Vec<u32> {
        (0..self.used())
            .filter(|number| slot_in(&self.file, *number).is_some_and(|bytes| which(bytes, *number)))
            .collect()
    }
}

impl Subjects {
    /// Opens the file; `None` where there is none.
    pub(crate) fn open(dir: &PrivateDir, payload: &SealKey, origin: &str) -> Result<Option<Subjects>, AuditError> {
        let opening = AuditError::io("open the subjects' keys");
        let Some(file) = dir.open_file(SUBJECTS).map_err(&opening)? else { return Ok(None) };
        let mut subjects = Subjects {
            len: file.len().map_err(&opening)?,
            file,
            sealer: SlotSealer::new(payload, origin),
            payload: payload.clone(),
            header: Header::default(),
            used: 0,
            tags: HashMap::new(),
            known: HashMap::new(),
            derived: HashMap::new(),
            dirty: false,
        };
        subjects.reload()?;
        Ok(Some(subjects))
    }

    /// Makes the file, without a slot, durably.
    pub(crate) fn create(dir: &PrivateDir) -> io::Result<()> {
        let mut bytes = Header::default().encode().to_vec();
        bytes.resize(GROWTH, 0);
        dir.replace(SUBJECTS, &bytes)
    }

    /// Slots in use.
    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    /// Whether an erasure was begun that is to be ended.
    pub(crate) fn is_condemned(&self) -> bool {
        self.header.condemned
    }

    /// Takes in what other processes wrote since.
    pub(crate) fn refresh(&mut self) -> Result<(), AuditError> {
        if self.read_header()? != self.header {
            return self.reload();
        }
        let reading = AuditError::io("read the subjects' keys");
        let mut next = [0; SLOT];
        while self.used < MAX_SLOTS
            && self.file.read_at(&mut next, place_of(self.used)).map_err(&reading)? == SLOT
            && next.iter().any(|b| *b != 0)
        {
            self.tags.insert(tag_in(&next), self.used);
            self.used += 1;
        }
        self.len = self.file.len().map_err(&reading)?;
        Ok(())
    }

    fn reload(&mut self) -> Result<(), AuditError> {
        self.header = self.read_header()?;
        self.len = self.file.len().map_err(AuditError::io("read the subjects' keys"))?;
        let bytes = self.bytes()?;
        self.used = used_in(&bytes);
        self.known.clear();
        self.derived.clear();
        self.tags =
            (0..self.used).filter_map(|number| slot_in(&bytes, number).map(|slot| (tag_in(slot), number))).collect();
        Ok(())
    }

    fn bytes(&self) -> Result<Vec<u8>, AuditError> {
        let mut bytes = vec![0; usize::try_from(self.len.min(MAX_BYTES)).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, 0).map_err(AuditError::io("read the subjects' keys"))?;
        Ok(bytes)
    }

    fn read_header(&self) -> Result<Header, AuditError> {
        let mut first = [0; HEADER];
        let got = self.file.read_at(&mut first, 0).map_err(AuditError::io("read the subjects' keys"))?;
        Header::parse(first.get(..got).unwrap_or_default())
            .ok_or_else(|| AuditError::Damaged(format!("the start of `{SUBJECTS}` is not whole")))
    }

    /// The slots of what an entry names, ascending, each made where it is missing. Durable after [`Subjects::sync`].
    pub(crate) fn slots_of(&mut self, named: &[Keyed], at: Timestamp) -> Result<Vec<u32>, AuditError> {
        let mut slots = Vec::with_capacity(named.len());
        for keyed in named {
            slots.push(match self.known.get(keyed) {
                Some(number) => *number,
                None => self.find_or_make(keyed, at)?,
            });
        }
        slots.sort_unstable();
        slots.dedup();
        Ok(slots)
    }

    fn find_or_make(&mut self, keyed: &Keyed, at: Timestamp) -> Result<u32, AuditError> {
        let tag = self.sealer.tag(keyed);
        let path = match keyed {
            Keyed::Grant(_, Some(path)) => self.sealer.path_tag(path),
            _ => [0; 16],
        };
        // A slot that does not open is damaged, which verification says; what comes has a new one.
        let found = match self.tags.get(&tag) {
            Some(number) => match self.slot(*number)? {
                Slot::Live(slot) if slot.condemned.is_none() => Some((*number, slot)),
                _ => None,
            },
            None => None,
        };
        let number = match found {
            // The path of a folder may have become known only later.
            Some((number, slot)) if path != [0; 16] && slot.path == [0; 16] => {
                self.put(number, &self.sealer.seal_live(number, tag, &LiveSlot { path, ..slot })?)?;
                number
            }
            Some((number, _)) => number,
            None => {
                let kind = match keyed {
                    Keyed::Run(_) => SlotKind::Run,
                    Keyed::Person(_) => SlotKind::Person,
                    Keyed::Grant(..) => SlotKind::Folder,
                    Keyed::Period(class, period) => SlotKind::Period(*class, *period),
                };
                let mut key = Zeroizing::new([0; KEY]);
                fill_random(key.as_mut_slice()).map_err(AuditError::io("make a subject's key"))?;
                let slot = LiveSlot { kind, made: at.secs, condemned: None, key, path };
                let number = self.used;
                self.grow(number)?;
                self.put(number, &self.sealer.seal_live(number, tag, &slot)?)?;
                self.used += 1;
                self.tags.insert(tag, number);
                number
            }
        };
        self.known.insert(keyed.clone(), number);
        Ok(number)
    }

    fn grow(&mut self, number: u32) -> Result<(), AuditError> {
        if number >= MAX_SLOTS {
            return Err(AuditError::Seal("there is no slot left for another subject".to_owned()));
        }
        if place_of(number + 1) > self.len {
            let growing = AuditError::io("make room for subjects' keys");
            self.file.write_all_at(&vec![0; GROWTH], self.len).map_err(growing)?;
            self.len += GROWTH as u64;
        }
        Ok(())
    }

    fn put(&mut self, number: u32, bytes: &[u8; SLOT]) -> Result<(), AuditError> {
        self.dirty = true;
        self.file.write_all_at(bytes, place_of(number)).map_err(AuditError::io("write a subject's key"))
    }

    fn put_header(&mut self, condemned: bool) -> Result<(), AuditError> {
        let header = Header { changes: self.header.changes.wrapping_add(1), condemned };
        self.file.write_all_at(&header.encode(), 0).map_err(AuditError::io("write the subjects' keys"))?;
        self.header = header;
        self.known.clear();
        self.derived.clear();
        self.dirty = true;
        Ok(())
    }

    /// Makes what was written durable, before an entry that names it is. `Err` where the disk failed: what was written
    /// may be gone, and nothing more may rest on it.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.sync()?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Writes every slot again as it is read, after a sync of somebody's failed: what is read may not be on the disk.
    pub(crate) fn write_again(&mut self) -> Result<(), AuditError> {
        let bytes = self.bytes()?;
        self.file.write_all_at(&bytes, 0).map_err(AuditError::io("write the subjects' keys"))?;
        self.file.sync().map_err(|_| AuditError::Poisoned)
    }

    /// The key of entries that name these slots.
    pub(crate) fn key(&mut self, slots: &[u32]) -> Result<SealKey, AuditError> {
        if let Some(key) = self.derived.get(slots) {
            return Ok(key.clone());
        }
        let mut keys = Zeroizing::new(Vec::with_capacity(slots.len() * KEY));
        for number in slots {
            match self.slot(*number)? {
                Slot::Live(slot) => keys.extend_from_slice(slot.key.as_slice()),
                _ => return Err(AuditError::Damaged(format!("slot {number} of `{SUBJECTS}` has no key"))),
            }
        }
        let key = derive(&self.payload, &keys);
        if self.derived.len() > DERIVED {
            self.derived.clear();
        }
        self.derived.insert(slots.to_vec(), key.clone());
        Ok(key)
    }

    fn slot(&self, number: u32) -> Result<Slot, AuditError> {
        let mut bytes = [0; SLOT];
        let got = self.file.read_at(&mut bytes, place_of(number)).map_err(AuditError::io("read a subject's key"))?;
        Ok(if got == SLOT { self.sealer.open(number, &bytes) } else { Slot::Free })
    }

    /// Marks slots as to be erased, durably: from now on the erasure is ended by whoever opens the log.
    pub(crate) fn condemn(&mut self, slots: &[u32], by: Erasure) -> Result<(), AuditError> {
        for number in slots {
            if let Slot::Live(slot) = self.slot(*number)? {
                let tag = self.tag_of(*number)?;
                let slot = LiveSlot { condemned: Some(by), ..slot };
                self.put(*number, &self.sealer.seal_live(*number, tag, &slot)?)?;
            }
        }
        self.put_header(true)?;
        self.sync().map_err(|_| AuditError::Poisoned)
    }

    /// The slots that are marked so, and why.
    pub(crate) fn condemned(&self) -> Result<Vec<(u32, Erasure)>, AuditError> {
        let mut found = Vec::new();
        for number in 0..self.used {
            if let Slot::Live(LiveSlot { condemned: Some(by), .. }) = self.slot(number)? {
                found.push((number, by));
            }
        }
        Ok(found)
    }

    /// Destroys the keys in these slots: overwritten in place, all bytes of them, with what says when and why; synced,
    /// and read back.
    pub(crate) fn destroy(&mut self, slots: &[u32], at: Timestamp, by: Erasure) -> Result<(), AuditError> {
        let destroying = AuditError::io("destroy a subject's key");
        let mut written = Vec::new();
        for number in slots {
            let Slot::Live(LiveSlot { kind, .. }) = self.slot(*number)? else { continue };
            let mut tag = [0; 16];
            fill_random(&mut tag).map_err(&destroying)?;
            let bytes = self.sealer.seal_erased(*number, tag, kind, at, by)?;
            self.put(*number, &bytes)?;
            written.push((*number, bytes));
        }
        self.sync().map_err(|_| AuditError::Poisoned)?;
        for (number, bytes) in &written {
            let mut back = [0; SLOT];
            self.file.read_exact_at(&mut back, place_of(*number)).map_err(&destroying)?;
            if back != *bytes {
                return Err(AuditError::Damaged(format!("slot {number} of `{SUBJECTS}` does not read back")));
            }
        }
        self.put_header(false)?;
        self.sync().map_err(|_| AuditError::Poisoned)?;
        self.reload()
    }

    fn tag_of(&self, number: u32) -> Result<[u8; 16], AuditError> {
        let mut bytes = [0; SLOT];
        self.file.read_exact_at(&mut bytes, place_of(number)).map_err(AuditError::io("read a subject's key"))?;
        Ok(tag_in(&bytes))
    }
}
