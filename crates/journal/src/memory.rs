//! The memory kept apart: how far each segment came, in a directory that is not the journal's. A journal that was cut
//! off, or put back to an older copy with its index, is shorter than it was remembered.
//!
//! `journal.head` has two halves of the same size. Each holds a length (4 bytes), a counter (8), and a sealed
//! [`Memory`], then zeroes; the higher counter that opens counts. The lower is written over in place and not synced: a
//! power cut may leave an older memory, which proves less and is still true. Only what is durable is remembered, so it
//! is never ahead of a journal that is whole.

use std::collections::BTreeMap;

use raincoat_os::PrivateDir;
use raincoat_types::Ulid;
use serde::{Deserialize, Serialize};

use crate::dropped::Dropped;
use crate::facts::SegmentState;
use crate::format::{HEADER_BYTES, Header, Kind, Tag, decode, encode};
use crate::writer::file_name;
use crate::{Journal, JournalError, JournalKeys};

const NAME: &str = "journal.head";
const LOCK: &str = "journal.lock";
const CONTEXT: &[u8] = b"raincoat journal memory 1";
/// Bytes before the sealed part of a half.
const FRONT: usize = 12;
const HALF_MIN: usize = 8 << 10;
const FILE_MOST: u64 = 64 << 20;

/// What is remembered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Memory {
    segments: BTreeMap<Ulid, Reached>,
}

/// How far a segment came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Reached {
    offset: u64,
    seq: u64,
    tag: Tag,
}

/// What the memory kept apart says of the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remembered {
    /// The journal is all that is remembered, or more.
    Agrees,
    /// There is no memory: this store is new, or somebody took it away.
    Nothing,
    /// It cannot be read, so it says nothing: damaged, or another store's.
    Unreadable,
    /// The journal is less than is remembered: where, and how.
    Behind(Vec<(Ulid, String)>),
}

/// Where it is kept.
pub(crate) struct Apart {
    dir: PrivateDir,
}

impl Journal {
    /// Holds the journal against the memory in `dir`, and from now on keeps that memory, where it agrees.
    ///
    /// # Errors
    /// The system's.
    pub fn remember_in(&mut self, dir: PrivateDir) -> Result<Remembered, JournalError> {
        self.apart = Some(Apart { dir });
        let said = self.remembered()?;
        match &said {
            Remembered::Agrees | Remembered::Nothing => self.keep_memory()?,
            Remembered::Unreadable | Remembered::Behind(_) => self.apart = None,
        }
        Ok(said)
    }

    /// Holds the journal against the memory in `dir`. Changes nothing.
    ///
    /// # Errors
    /// The system's.
    pub fn hold_against(&self, dir: &PrivateDir) -> Result<Remembered, JournalError> {
        match read(dir, self)? {
            None => Ok(Remembered::Nothing),
            Some(None) => Ok(Remembered::Unreadable),
            Some(Some((memory, _))) => self.compare(&memory),
        }
    }

    /// Puts what the journal is now in the place of what is remembered, whatever that is: the person has said so.
    ///
    /// # Errors
    /// The system's.
    pub fn remember_anew(&mut self, dir: PrivateDir) -> Result<(), JournalError> {
        let fail = JournalError::io("forget what is remembered of it");
        dir.remove(NAME).and_then(|()| dir.sync()).map_err(fail)?;
        self.apart = Some(Apart { dir });
        self.keep_memory()
    }

    fn remembered(&self) -> Result<Remembered, JournalError> {
        match &self.apart {
            Some(apart) => self.hold_against(&apart.dir),
            None => Ok(Remembered::Nothing),
        }
    }

    /// Remembers how far the journal came, by compare-and-swap: a memory that knows more stands as it is.
    pub(crate) fn keep_memory(&self) -> Result<(), JournalError> {
        let Some(Apart { dir }) = &self.apart else { return Ok(()) };
        let fail = |error| JournalError::io("remember how far it came")(error);
        let _lock = dir.lock(LOCK).map_err(fail)?;
        let (mut memory, counter, exists) = match read(dir, self)? {
            Some(Some((memory, counter))) => (memory, counter, true),
            Some(None) => return Ok(()),
            None => (Memory::default(), 0, false),
        };
        if self.compare(&memory)? != Remembered::Agrees {
            return Ok(());
        }
        let before = memory.clone();
        let mut there = BTreeMap::new();
        for known in self.index.borrow_mut().segments()? {
            there.insert(known.id, known.row);
        }
        there.extend(self.facts.segments.iter().map(|(id, row)| (*id, *row)));
        memory.segments.retain(|id, _| {
            !matches!(there.get(id).map(|row| row.state), Some(SegmentState::Dropped | SegmentState::PutAway))
        });
        for (id, row) in there.into_iter().filter(|(_, row)| row.state <= SegmentState::Final) {
            let position = row.position;
            let reached = Reached { offset: position.offset, seq: position.seq, tag: position.prev };
            let known = memory.segments.entry(id).or_insert(reached);
            if known.offset < reached.offset {
                *known = reached;
            }
        }
        if exists && memory == before {
            return Ok(());
        }
        let mut context = CONTEXT.to_vec();
        context.extend_from_slice(&(counter + 1).to_le_bytes());
        let sealed = self.keys.memory.seal(&context, &encode(&memory)?)?;
        let mut half = Vec::with_capacity(FRONT + sealed.len());
        half.extend_from_slice(&u32::try_from(sealed.len()).unwrap_or(0).to_le_bytes());
        half.extend_from_slice(&(counter + 1).to_le_bytes());
        half.extend_from_slice(&sealed);
        let held = dir.open_file(NAME).map_err(fail)?;
        let size = match &held {
            Some(file) => usize::try_from(file.len().map_err(fail)? / 2).unwrap_or(0),
            None => 0,
        };
        match held {
            Some(file) if half.len() <= size => {
                // Which half has the lower counter: they take turns.
                let at = if (counter + 1).is_multiple_of(2) { 0 } else { size as u64 };
                half.resize(size, 0);
                file.write_all_at(&half, at).map_err(fail)
            }
            _ => {
                let size = half.len().next_power_of_two().max(HALF_MIN);
                let mut bytes = vec![0; 2 * size];
                let at = if (counter + 1).is_multiple_of(2) { 0 } else { size };
                if let Some(place) = bytes.get_mut(at..at + half.len()) {
                    place.copy_from_slice(&half);
                }
                dir.replace(NAME, &bytes).map_err(fail)
            }
        }
    }

    fn compare(&self, memory: &Memory) -> Result<Remembered, JournalError> {
        let mut there = BTreeMap::new();
        for known in self.index.borrow_mut().segments()? {
            there.insert(known.id, known.row);
        }
        there.extend(self.facts.segments.iter().map(|(id, row)| (*id, *row)));
        let mut behind = Vec::new();
        for (id, reached) in &memory.segments {
            let row = there.get(id);
            let why = match row.map(|row| row.state) {
                Some(SegmentState::Damaged) => None,
                Some(SegmentState::Dropped | SegmentState::PutAway) if self.is_dropped(*id)? => None,
                None | Some(SegmentState::Gone | SegmentState::Dropped | SegmentState::PutAway) => {
                    Some("it is missing".to_owned())
                }
                Some(SegmentState::Open | SegmentState::Clean | SegmentState::Final) => {
                    let position = row.map(|row| row.position);
                    match position {
                        Some(at) if at.offset < reached.offset => Some(format!(
                            "it ends at byte {}, and was seen to reach byte {}: it was cut off or put back to an older \
                             copy",
                            at.offset, reached.offset
                        )),
                        Some(at) if at.offset == reached.offset && at.prev != reached.tag => {
                            Some("it has other records than it had".to_owned())
                        }
                        Some(at) if at.offset > reached.offset && !self.goes_on(*id, reached)? => {
                            Some("it goes on from other records than it had".to_owned())
                        }
                        _ => None,
                    }
                }
            };
            behind.extend(why.map(|why| (*id, why)));
        }
        Ok(if behind.is_empty() { Remembered::Agrees } else { Remembered::Behind(behind) })
    }

    /// Whether the record behind what is remembered names the one that was the last then.
    fn goes_on(&self, id: Ulid, reached: &Reached) -> Result<bool, JournalError> {
        let fail = |error| JournalError::io("read a segment")(error);
        let Some(file) = self.segments.open_file(&file_name(id)).map_err(fail)? else { return Ok(false) };
        let mut bytes = [0; HEADER_BYTES];
        file.read_at(&mut bytes, reached.offset).map_err(fail)?;
        let header = Header::read(&self.keys, id, &bytes);
        // What does not check there is damage, which is told by itself.
        Ok(header.is_none_or(|header| header.prev == reached.tag && header.seq == reached.seq))
    }

    /// Whether a record says that a segment was dropped. (The index alone could be made to say so.)
    pub(crate) fn is_dropped(&self, id: Ulid) -> Result<bool, JournalError> {
        let all = self.index.borrow().dropped()?;
        let Some(at) = all.into_iter().find(|(dropped, _, _)| *dropped == id).and_then(|(_, at, _)| at) else {
            return Ok(false);
        };
        let said = self.read_as::<Dropped>(at, &[Kind::Dropped]);
        Ok(said.is_ok_and(|dropped| dropped.segments.iter().any(|segment| segment.id == id)))
    }
}

/// What is remembered, and its counter; `Some(None)` where something is there and does not open.
#[expect(clippy::option_option, reason = "no file, a file that says nothing, and a memory are three things")]
fn read(dir: &PrivateDir, journal: &Journal) -> Result<Option<Option<(Memory, u64)>>, JournalError> {
    let bytes = dir.read(NAME, FILE_MOST).map_err(JournalError::io("read what is remembered of it"))?;
    let Some(bytes) = bytes else { return Ok(None) };
    if bytes.iter().all(|b| *b == 0) {
        // A power cut at its first write can leave a file of nothing.
        return Ok(None);
    }
    Ok(Some(newest(&bytes, &journal.keys)))
}

/// How many segments the bytes of the file remember; `None` where neither of its halves opens. Pure; takes any bytes.
pub fn remembered_in(keys: &JournalKeys, bytes: &[u8]) -> Option<usize> {
    newest(bytes, keys).map(|(memory, _)| memory.segments.len())
}

/// Whether `plain` is what a half holds, opened.
pub fn is_memory(plain: &[u8]) -> bool {
    decode::<Memory>(plain).is_some()
}

/// The half that counts, and its counter.
fn newest(bytes: &[u8], keys: &JournalKeys) -> Option<(Memory, u64)> {
    let (one, other) = bytes.split_at(bytes.len() / 2);
    [open(one, keys), open(other, keys)].into_iter().flatten().max_by_key(|(_, counter)| *counter)
}

fn open(half: &[u8], keys: &JournalKeys) -> Option<(Memory, u64)> {
    let len = usize::try_from(u32::from_le_bytes(*half.first_chunk()?)).ok()?;
    let counter: &[u8; 8] = half.get(4..)?.first_chunk()?;
    let sealed = half.get(FRONT..)?.get(..len)?;
    let mut context = CONTEXT.to_vec();
    context.extend_from_slice(counter);
    let plain = keys.memory.open(&context, sealed).ok()?;
    Some((decode(&plain)?, u64::from_le_bytes(*counter)))
}
