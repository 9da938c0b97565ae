//! The slots of subjects' keys: the bytes of `subjects`, which is written in place only, so that a key that is
//! overwritten is gone from the disk. Bytes in, slots out; the layout is in `docs/formats/audit.md`.

use raincoat_seal::SealKey;
use raincoat_types::Timestamp;
use zeroize::{Zeroize, Zeroizing};

use crate::subject::Keyed;
use crate::{AuditError, Class, Erasure};

/// Bytes before the first slot: one sector.
pub const HEADER: usize = 512;

/// Bytes of a slot. A sector holds four, so that none is ever written by half.
pub const SLOT: usize = 128;

/// Slots that a file may have.
pub const MAX_SLOTS: u32 = 1 << 24;

/// Bytes of a subject's key.
pub(crate) const KEY: usize = 32;

const MAGIC: &[u8; 8] = b"RCAUDSU1";
const TAG: usize = 16;
const PLAIN: usize = SLOT - TAG - SealKey::OVERHEAD;

/// The first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// Grows with each change of a slot that others may have read, so that they read it again.
    pub changes: u64,
    /// Some slots are condemned: an erasure was begun and is to be ended.
    pub condemned: bool,
}

/// What a slot is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SlotKind {
    Run,
    Person,
    Folder,
    /// A class of events in one period.
    Period(Class, i64),
}

/// What stands in a slot.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Nothing yet: zeroes.
    Free,
    /// A key.
    Live(LiveSlot),
    /// A key was destroyed here.
    Erased {
        /// When.
        at: Timestamp,
        /// Why.
        by: Erasure,
    },
    /// Bytes that are neither.
    Damaged,
}

/// A slot with its key.
#[derive(Debug)]
pub(crate) struct LiveSlot {
    pub(crate) kind: SlotKind,
    /// When it was made, in seconds since 1970.
    pub(crate) made: i64,
    /// Why it is about to be erased.
    pub(crate) condemned: Option<Erasure>,
    pub(crate) key: Zeroizing<[u8; KEY]>,
    /// The blind name of a folder's path; zeroes where there is none.
    pub(crate) path: [u8; TAG],
}

/// Seals and opens slots, and gives subjects their blind names.
#[derive(Clone)]
pub(crate) struct SlotSealer {
    key: SealKey,
    context: Vec<u8>,
}

impl Header {
    /// Its bytes.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        let bytes = MAGIC.iter().copied().chain(self.changes.to_le_bytes()).chain([u8::from(self.condemned)]);
        for (to, from) in out.iter_mut().zip(bytes) {
            *to = from;
        }
        out
    }

    /// Reads it; `None` where it is none.
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let (magic, rest) = bytes.get(..HEADER)?.split_first_chunk::<8>()?;
        let (changes, rest) = rest.split_first_chunk::<8>()?;
        let (flag, zeroes) = rest.split_first()?;
        let whole = magic == MAGIC && *flag <= 1 && zeroes.iter().all(|b| *b == 0);
        whole.then_some(Header { changes: u64::from_le_bytes(*changes), condemned: *flag == 1 })
    }
}

/// Where a slot lies in the file.
pub(crate) fn place_of(number: u32) -> u64 {
    HEADER as u64 + u64::from(number) * SLOT as u64
}

/// The bytes of a slot in a file; `None` beyond its end.
pub(crate) fn slot_in(file: &[u8], number: u32) -> Option<&[u8; SLOT]> {
    let at = usize::try_from(place_of(number)).ok()?;
    file.get(at..)?.first_chunk::<SLOT>()
}

/// How many slots of a file are in use. They are used in their order, and never given back.
pub(crate) fn used_in(file: &[u8]) -> u32 {
    let slots = file.get(HEADER..).unwrap_or_default().as_chunks::<SLOT>().0;
    let last = slots.iter().rposition(|slot| slot.iter().any(|b| *b != 0));
    last.map_or(0, |last| u32::try_from(last + 1).unwrap_or(MAX_SLOTS))
}

/// The blind name that stands in the clear at a slot's start.
pub(crate) fn tag_in(slot: &[u8; SLOT]) -> [u8; TAG] {
    slot.first_chunk::<TAG>().copied().unwrap_or_default()
}

impl SlotSealer {
    pub(crate) fn new(payload: &SealKey, origin: &str) -> SlotSealer {
        let mut context = b"raincoat audit slot\0".to_vec();
        context.extend_from_slice(origin.as_bytes());
        context.push(0);
        SlotSealer { key: payload.derive("audit subjects"), context }
    }

    /// The blind name of what has a slot.
    pub(crate) fn tag(&self, keyed: &Keyed) -> [u8; TAG] {
        match keyed {
            Keyed::Run(run) => self.blind(b"run", &run.0.to_bytes()),
            Keyed::Person(name) => self.blind(b"person", name.as_bytes()),
            Keyed::Grant(grant, _) => self.blind(b"grant", &grant.0.to_bytes()),
            Keyed::Period(class, period) => {
                self.blind(b"period", &[&[*class as u8], period.to_le_bytes().as_slice()].concat())
            }
        }
    }

    /// The blind name of a folder's path.
    pub(crate) fn path_tag(&self, path: &[u8]) -> [u8; TAG] {
        self.blind(b"folder", path)
    }

    fn blind(&self, kind: &[u8], name: &[u8]) -> [u8; TAG] {
        let mac = self.key.mac(&[&self.context, kind, b"\0", name].concat());
        mac.first_chunk::<TAG>().copied().unwrap_or_default()
    }

    /// A slot's bytes with its key.
    pub(crate) fn seal_live(&self, number: u32, tag: [u8; TAG], slot: &LiveSlot) -> Result<[u8; SLOT], AuditError> {
        let state = match slot.condemned {
            None => 1,
            Some(_) => 2,
        };
        self.seal(number, tag, state, slot.kind, slot.condemned, slot.made, &slot.key, &slot.path)
    }

    /// A slot's bytes after its key was destroyed.
    pub(crate) fn seal_erased(
        &self,
        number: u32,
        tag: [u8; TAG],
        kind: SlotKind,
        at: Timestamp,
        by: Erasure,
    ) -> Result<[u8; SLOT], AuditError> {
        self.seal(number, tag, 3, kind, Some(by), at.secs, &[0; KEY], &[0; TAG])
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a slot, put in their order in one place")]
    fn seal(
        &self,
        number: u32,
        tag: [u8; TAG],
        state: u8,
        kind: SlotKind,
        by: Option<Erasure>,
        secs: i64,
        key: &[u8; KEY],
        path: &[u8; TAG],
    ) -> Result<[u8; SLOT], AuditError> {
        let (kind, class, period) = match kind {
            SlotKind::Run => (1, 0, 0),
            SlotKind::Person => (2, 0, 0),
            SlotKind::Folder => (3, 0, 0),
            SlotKind::Period(class, period) => (4, class as u8, period),
        };
        let by = match by {
            None => 0,
            Some(Erasure::Asked) => 1,
            Some(Erasure::Retention) => 2,
        };
        let mut plain = Zeroizing::new(Vec::with_capacity(PLAIN));
        plain.extend_from_slice(&[state, kind, class, by]);
        plain.extend_from_slice(&secs.to_le_bytes());
        plain.extend_from_slice(&period.to_le_bytes());
        plain.extend_from_slice(key);
        plain.extend_from_slice(path);
        plain.resize(PLAIN, 0);
        let mut bytes = tag.to_vec();
        let sealed = self.key.seal_into(&self.context_of(number, tag), &plain, &mut bytes);
        sealed.map_err(|error| AuditError::Seal(error.to_string()))?;
        bytes.try_into().map_err(|_| AuditError::Seal("a slot has another length".to_owned()))
    }

    /// What stands in a slot.
    pub(crate) fn open(&self, number: u32, bytes: &[u8; SLOT]) -> Slot {
        if bytes.iter().all(|b| *b == 0) {
            return Slot::Free;
        }
        let tag = tag_in(bytes);
        match self.key.open(&self.context_of(number, tag), bytes.get(TAG..).unwrap_or_default()) {
            Ok(mut plain) => {
                let slot = parse(&plain).unwrap_or(Slot::Damaged);
                plain.zeroize();
                slot
            }
            Err(_) => Slot::Damaged,
        }
    }

    fn context_of(&self, number: u32, tag: [u8; TAG]) -> Vec<u8> {
        [self.context.as_slice(), &number.to_le_bytes(), &tag].concat()
    }
}

/// The plaintext of a slot; `None` where it is none that this version knows.
pub(crate) fn parse(plain: &[u8]) -> Option<Slot> {
    let ([state, kind, class, by], rest) = plain.split_first_chunk::<4>()?;
    let (secs, rest) = rest.split_first_chunk::<8>()?;
    let (period, rest) = rest.split_first_chunk::<8>()?;
    let (key, rest) = rest.split_first_chunk::<KEY>()?;
    let (path, _) = rest.split_first_chunk::<TAG>()?;
    let secs = i64::from_le_bytes(*secs);
    let kind = match kind {
        1 => SlotKind::Run,
        2 => SlotKind::Person,
        3 => SlotKind::Folder,
        4 => SlotKind::Period(Class::of_number(*class)?, i64::from_le_bytes(*period)),
        _ => return None,
    };
    let by = match by {
        0 => None,
        1 => Some(Erasure::Asked),
        2 => Some(Erasure::Retention),
        _ => return None,
    };
    match (state, by) {
        (1, None) | (2, Some(_)) => {
            Some(Slot::Live(LiveSlot { kind, made: secs, condemned: by, key: Zeroizing::new(*key), path: *path }))
        }
        (3, Some(by)) => Some(Slot::Erased { at: Timestamp { secs, nanos: 0 }, by }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raincoat_types::{GrantId, RunId, Ulid};

    use super::*;

    fn sealer() -> SlotSealer {
        SlotSealer::new(&SealKey::from_bytes([5; 32]), "log")
    }

    fn live(condemned: Option<Erasure>) -> LiveSlot {
        let kind = SlotKind::Period(Class::Reads, -3);
        LiveSlot { kind, made: 7, condemned, key: Zeroizing::new([9; KEY]), path: [4; TAG] }
    }

    #[test]
    fn a_slot_opens_at_its_own_place_only_and_with_its_own_name() {
        let bytes = sealer().seal_live(3, [1; TAG], &live(Some(Erasure::Retention))).unwrap();
        let Slot::Live(slot) = sealer().open(3, &bytes) else { panic!() };
        assert_eq!((slot.kind, slot.made, slot.path), (SlotKind::Period(Class::Reads, -3), 7, [4; TAG]));
        assert_eq!((slot.condemned, *slot.key), (Some(Erasure::Retention), [9; KEY]));
        assert!(matches!(sealer().open(4, &bytes), Slot::Damaged));
        assert!(matches!(SlotSealer::new(&SealKey::from_bytes([5; 32]), "b").open(3, &bytes), Slot::Damaged));
        let mut named = bytes;
        named[0] ^= 1;
        assert!(matches!(sealer().open(3, &named), Slot::Damaged));
    }

    #[test]
    fn an_erased_slot_says_when_and_why_and_nothing_else() {
        let at = Timestamp { secs: 50, nanos: 0 };
        let bytes = sealer().seal_erased(0, [2; TAG], SlotKind::Run, at, Erasure::Asked).unwrap();
        assert!(matches!(sealer().open(0, &bytes), Slot::Erased { at: t, by: Erasure::Asked } if t == at));
        assert!(matches!(sealer().open(0, &[0; SLOT]), Slot::Free));
        assert!(matches!(sealer().open(0, &[1; SLOT]), Slot::Damaged));
    }

    #[test]
    fn names_are_apart() {
        let id = Ulid::from_parts(1, 2);
        let s = sealer();
        let tags = [
            s.tag(&Keyed::Run(RunId(id))),
            s.tag(&Keyed::Grant(GrantId(id), None)),
            s.tag(&Keyed::Person("a".into())),
            s.path_tag(b"a"),
            s.tag(&Keyed::Period(Class::Reads, 1)),
            s.tag(&Keyed::Period(Class::Models, 1)),
            s.tag(&Keyed::Period(Class::Reads, 2)),
        ];
        let apart: std::collections::BTreeSet<_> = tags.iter().collect();
        assert_eq!(apart.len(), tags.len());
        assert_eq!(tags[1], s.tag(&Keyed::Grant(GrantId(id), Some(b"/x".to_vec()))));
    }

    proptest! {
        #[test]
        fn headers_read_back_and_nothing_else_is_one(changes: u64, condemned: bool, at in 0..HEADER, bit in 0..8_u8) {
            let header = Header { changes, condemned };
            let mut bytes = header.encode();
            prop_assert_eq!(Header::parse(&bytes), Some(header));
            bytes[at] ^= 1 << bit;
            prop_assert_ne!(Header::parse(&bytes), Some(header));
        }

        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, slot in prop::collection::vec(any::<u8>(), SLOT)) {
            let _ = Header::parse(&bytes);
            used_in(&bytes);
            let slot: [u8; SLOT] = slot.try_into().unwrap();
            prop_assert!(matches!(sealer().open(0, &slot), Slot::Damaged));
        }

        #[test]
        fn used_slots_are_counted(used in 0_u32..20, spare in 0_usize..600) {
            let mut file = Header::default().encode().to_vec();
            file.resize(HEADER + used as usize * SLOT, 7);
            file.resize(file.len() + spare, 0);
            prop_assert_eq!(used_in(&file), used);
            prop_assert!(used == 0 || slot_in(&file, used - 1).is_some());
        }
    }
}
