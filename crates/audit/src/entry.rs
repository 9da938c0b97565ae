//! An entry: when, which process's how-manieth, in which run, by whom, and what happened; as bytes, and sealed.
//!
//! Two parts are sealed apart. The outer one (time, producer, class, slots of the subjects) opens with the log's key.
//! The inner one (run, actor, event) opens with the log's key and the keys of all subjects together, so that it is gone
//! with any of them, while the outer one still says when and in which place of whose numbering.

use raincoat_seal::SealKey;
use raincoat_types::{Actor, Digest, RunId, Timestamp, Ulid};
use serde::{Deserialize, Serialize};

use crate::subjects::{Access, SlotView};
use crate::tile::MAX_ENTRY;
use crate::{AuditError, Class, Event};

/// The first byte of an entry of version 2. Those of version 1 begin with a random byte.
const VERSION: u8 = 2;
/// The first byte of the plaintext of an entry of version 1.
const VERSION_1: u8 = 1;

const NONCE: usize = 12;
const TAG: usize = 16;
/// Version, number of slots, nonce.
const HEAD: usize = 2 + NONCE;
/// Time, producer, class.
const OUTER: usize = 8 + 4 + 16 + 8 + 1;

/// Slots that an entry can name: their number stands in a byte.
pub(crate) const MAX_NAMED: usize = 255;

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What the clock said. The order of things is the entries' order, not this.
    pub at: Timestamp,
    /// Within which run. Unknown where the entry is erased.
    pub run: Option<RunId>,
    /// Who acted. Unknown where the entry is erased.
    pub actor: Option<Actor>,
    /// Which process wrote it, and its how-manieth entry this is.
    pub producer: Producer,
    /// What happened; [`Event::Erased`] where that can no longer be read.
    pub event: Event,
    /// What sort of event, which an erased entry still says.
    pub class: Class,
    /// The slots of the subjects that it names, ascending; none in entries of version 1.
    pub slots: Vec<u32>,
}

/// A writer of the log and its own count, so that an entry that is missing shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Producer {
    /// One opened log in one process.
    pub id: Ulid,
    /// Counted from 1, without gaps.
    pub seq: u64,
}

/// The outer part: what an entry says without its subjects' keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outer {
    /// What the clock said.
    pub at: Timestamp,
    /// Which process wrote it, and its how-manieth entry this is.
    pub producer: Producer,
    /// The number of its class.
    pub class: u8,
    /// The slots of its subjects.
    pub slots: Vec<u32>,
}

/// What an entry's event is put into.
pub(crate) struct Inside<'a> {
    pub(crate) run: Option<RunId>,
    pub(crate) actor: &'a Option<Actor>,
    pub(crate) event: &'a Event,
}

/// All of an entry of version 1 but the event, so that an event of a later version leaves the rest readable.
#[derive(Serialize, Deserialize)]
struct Version1 {
    at: Timestamp,
    run: Option<RunId>,
    actor: Option<Actor>,
    producer: Producer,
}

/// Buffers that are used again for each entry.
#[derive(Default)]
pub(crate) struct Scratch {
    context: Vec<u8>,
    plain: Vec<u8>,
    inner: Vec<u8>,
}

/// Seals and opens entries, each bound to its log and place.
#[derive(Clone)]
pub(crate) struct Sealer {
    payload: SealKey,
    outer: SealKey,
    version_1: Vec<u8>,
    outer_context: Vec<u8>,
    inner_context: Vec<u8>,
}

impl Entry {
    /// Whether what happened can no longer be read.
    pub fn is_erased(&self) -> bool {
        matches!(self.event, Event::Erased { .. })
    }
}

impl Outer {
    /// The bytes that are sealed. The number of slots stands before them in the entry.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(OUTER + 4 * self.slots.len());
        self.encode_into(&mut out);
        out
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.at.secs.to_le_bytes());
        out.extend_from_slice(&self.at.nanos.to_le_bytes());
        out.extend_from_slice(&self.producer.id.to_bytes());
        out.extend_from_slice(&self.producer.seq.to_le_bytes());
        out.push(self.class);
        for slot in &self.slots {
            out.extend_from_slice(&slot.to_le_bytes());
        }
    }

    /// Reads them; `None` where they are none.
    pub fn parse(bytes: &[u8]) -> Option<Outer> {
        let (secs, rest) = bytes.split_first_chunk::<8>()?;
        let (nanos, rest) = rest.split_first_chunk::<4>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let (class, rest) = rest.split_first()?;
        let (slots, rest) = rest.as_chunks::<4>();
        rest.is_empty().then(|| Outer {
            at: Timestamp { secs: i64::from_le_bytes(*secs), nanos: u32::from_le_bytes(*nanos) },
            producer: Producer { id: Ulid::from_bytes(*id), seq: u64::from_le_bytes(*seq) },
            class: *class,
            slots: slots.iter().map(|slot| u32::from_le_bytes(*slot)).collect(),
        })
    }
}

/// An entry of version 2, taken apart.
struct Parts<'a> {
    nonce: &'a [u8; NONCE],
    head: &'a [u8],
    outer: &'a [u8],
    inner: &'a [u8],
}

fn parts(sealed: &[u8]) -> Option<Parts<'_>> {
    let (head, rest) = sealed.split_at_checked(HEAD)?;
    let ([version, slots], nonce) = head.split_first_chunk::<2>()?;
    let (outer, inner) = rest.split_at_checked(OUTER + 4 * usize::from(*slots) + TAG)?;
    (*version == VERSION).then_some(Parts { nonce: nonce.first_chunk()?, head, outer, inner })
}

impl Sealer {
    pub(crate) fn new(payload: SealKey, origin: &str) -> Sealer {
        let context = |what: &[u8]| [what, b"\0", origin.as_bytes(), b"\0"].concat();
        Sealer {
            outer: payload.derive("audit entry outside"),
            version_1: context(b"raincoat audit entry"),
            outer_context: context(b"raincoat audit entry outside"),
            inner_context: context(b"raincoat audit entry inside"),
            payload,
        }
    }

    /// Appends the sealed bytes of an entry at `index` to `out`, at most [`MAX_ENTRY`]. `key` is that of the slots which
    /// `outer` names. An event that is too long goes in by digest. The nonce must be random.
    pub(crate) fn seal(
        &self,
        (index, nonce): (u64, &[u8; NONCE]),
        outer: &Outer,
        inside: &Inside<'_>,
        key: &SealKey,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<(), AuditError> {
        let failed = |error: raincoat_seal::SealError| AuditError::Seal(error.to_string());
        let slots = u8::try_from(outer.slots.len()).map_err(|_| AuditError::Seal("too many subjects".to_owned()))?;
        let room = MAX_ENTRY - HEAD - OUTER - 4 * outer.slots.len() - 2 * TAG;
        scratch.plain.clear();
        encode(inside, &mut scratch.plain)?;
        if scratch.plain.len() > room {
            let short = by_digest(inside.event, inside.event.one_line(), key)?;
            scratch.plain.clear();
            encode(&Inside { event: &short, ..*inside }, &mut scratch.plain)?;
        }
        if scratch.plain.len() > room {
            return Err(AuditError::Seal("the actor's name is too long for an entry".to_owned()));
        }
        scratch.inner.clear();
        context_at(&mut scratch.context, &self.inner_context, index);
        key.seal_under(nonce, &scratch.context, &scratch.plain, &mut scratch.inner).map_err(failed)?;

        let start = out.len();
        out.extend_from_slice(&[VERSION, slots]);
        out.extend_from_slice(nonce);
        context_at(&mut scratch.context, &self.outer_context, index);
        scratch.context.extend_from_slice(out.get(start..).unwrap_or_default());
        scratch.context.extend_from_slice(&scratch.inner);
        scratch.plain.clear();
        outer.encode_into(&mut scratch.plain);
        self.outer.seal_under(nonce, &scratch.context, &scratch.plain, out).map_err(failed)?;
        out.extend_from_slice(&scratch.inner);
        Ok(())
    }

    /// The outer part of an entry, which vouches for all of its bytes.
    pub(crate) fn outer(&self, index: u64, sealed: &[u8], scratch: &mut Scratch) -> Result<Outer, AuditError> {
        if let Some(outer) = self.outer_2(index, sealed, scratch) {
            return Ok(outer);
        }
        let entry = self.open_1(index, sealed)?;
        Ok(Outer { at: entry.at, producer: entry.producer, class: entry.class as u8, slots: Vec::new() })
    }

    fn outer_2(&self, index: u64, sealed: &[u8], scratch: &mut Scratch) -> Option<Outer> {
        let parts = parts(sealed)?;
        context_at(&mut scratch.context, &self.outer_context, index);
        scratch.context.extend_from_slice(parts.head);
        scratch.context.extend_from_slice(parts.inner);
        self.outer.open_under(parts.nonce, &scratch.context, parts.outer, &mut scratch.plain).ok()?;
        Outer::parse(&scratch.plain)
    }

    /// An entry, as far as its subjects' keys are there.
    pub(crate) fn open(
        &self,
        index: u64,
        sealed: &[u8],
        slots: &mut SlotView,
        scratch: &mut Scratch,
    ) -> Result<Entry, AuditError> {
        let Some(outer) = self.outer_2(index, sealed, scratch) else { return self.open_1(index, sealed) };
        let Outer { at, producer, class, slots: named } = outer;
        let class = Class::of_number(class).unwrap_or(Class::Security);
        let (run, actor, event) = match slots.access(&self.payload, &named) {
            Access::Key(key) => {
                let inner = parts(sealed).map(|parts| (parts.nonce, parts.inner));
                let (nonce, inner) = inner.ok_or_else(|| does_not_decode(index))?;
                context_at(&mut scratch.context, &self.inner_context, index);
                key.open_under(nonce, &scratch.context, inner, &mut scratch.plain)
                    .map_err(|error| AuditError::Seal(error.to_string()))?;
                decode(&scratch.plain).ok_or_else(|| does_not_decode(index))?
            }
            Access::Erased(slots, at, by) => (None, None, Event::Erased { slots: slots.clone(), at: *at, by: *by }),
            Access::Lost(slot) => return Err(AuditError::KeyLost { entry: index, slot: *slot }),
        };
        Ok(Entry { at, run, actor, producer, event, class, slots: named })
    }

    /// Whether an entry is of version 1: it opens as one.
    pub(crate) fn is_version_1(&self, index: u64, sealed: &[u8]) -> bool {
        self.open_1(index, sealed).is_ok()
    }

    fn open_1(&self, index: u64, sealed: &[u8]) -> Result<Entry, AuditError> {
        let mut context = Vec::new();
        context_at(&mut context, &self.version_1, index);
        let plain = self.payload.open(&context, sealed).map_err(|error| AuditError::Seal(error.to_string()))?;
        decode_1(&plain).ok_or_else(|| does_not_decode(index))
    }
}

/// An event by its digest, which is keyed: without the entry's key it says nothing.
pub(crate) fn by_digest(event: &Event, line: String, key: &SealKey) -> Result<Event, AuditError> {
    let bytes = postcard::to_stdvec(event).map_err(|error| AuditError::Seal(error.to_string()))?;
    Ok(Event::Oversized { line, bytes: bytes.len() as u64, digest: Digest(key.mac(&bytes)) })
}

fn context_at(out: &mut Vec<u8>, context: &[u8], index: u64) {
    out.clear();
    out.extend_from_slice(context);
    out.extend_from_slice(&index.to_le_bytes());
}

fn encode(inside: &Inside<'_>, out: &mut Vec<u8>) -> Result<(), AuditError> {
    let failed = |error: postcard::Error| AuditError::Seal(error.to_string());
    let outside = postcard::to_extend(&(&inside.run, inside.actor), std::mem::take(out)).map_err(failed)?;
    *out = postcard::to_extend(inside.event, outside).map_err(failed)?;
    Ok(())
}

/// The inner part of an entry, opened; `None` where it is none.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Option<RunId>, Option<Actor>, Event)> {
    let ((run, actor), event) = postcard::take_from_bytes::<(Option<RunId>, Option<Actor>)>(bytes).ok()?;
    Some((run, actor, event_of(event)))
}

/// An entry of version 1, opened; `None` where it is none.
pub(crate) fn decode_1(bytes: &[u8]) -> Option<Entry> {
    let (version, rest) = bytes.split_first()?;
    if *version != VERSION_1 {
        return None;
    }
    let (outside, event) = postcard::take_from_bytes::<Version1>(rest).ok()?;
    let event = event_of(event);
    let Version1 { at, run, actor, producer } = outside;
    Some(Entry { at, run, actor, producer, class: event.class(), event, slots: Vec::new() })
}

fn event_of(bytes: &[u8]) -> Event {
    match postcard::take_from_bytes::<Event>(bytes) {
        Ok((known, [])) => known,
        _ => Event::Newer { bytes: bytes.len() as u64 },
    }
}

fn does_not_decode(index: u64) -> AuditError {
    AuditError::Seal(format!("entry {index} does not decode"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(SealKey::from_bytes([5; 32]), "log")
    }

    fn outer(slots: Vec<u32>) -> Outer {
        let producer = Producer { id: Ulid::from_parts(2, 2), seq: 3 };
        Outer { at: Timestamp { secs: 1, nanos: 2 }, producer, class: Class::Operations as u8, slots }
    }

    /// The sealed entry of an event about nobody, and what should be read of it.
    fn sealed(index: u64, event: Event) -> (Vec<u8>, Entry) {
        let actor = Some(Actor::Agent("a".into()));
        let run = Some(RunId(Ulid::from_parts(1, 1)));
        let (outer, mut out) = (outer(vec![]), b"before".to_vec());
        let key = SealKey::from_bytes([5; 32]).join("audit entry", &[]);
        let inside = Inside { run, actor: &actor, event: &event };
        sealer().seal((index, &[8; 12]), &outer, &inside, &key, &mut Scratch::default(), &mut out).unwrap();
        let class = Class::Operations;
        let entry = Entry { at: outer.at, run, actor, producer: outer.producer, event, class, slots: vec![] };
        (out.split_off(6), entry)
    }

    fn open(sealer: &Sealer, index: u64, sealed: &[u8]) -> Result<Entry, AuditError> {
        let mut view = SlotView::empty(&SealKey::from_bytes([5; 32]), "log");
        sealer.open(index, sealed, &mut view, &mut Scratch::default())
    }

    #[test]
    fn an_entry_opens_only_at_its_own_place_in_its_own_log() {
        let (bytes, wish) = sealed(7, Event::Notice { text: "hello".into() });
        assert_eq!(open(&sealer(), 7, &bytes).unwrap(), wish);
        assert!(open(&sealer(), 8, &bytes).is_err());
        assert!(open(&Sealer::new(SealKey::from_bytes([5; 32]), "log2"), 7, &bytes).is_err());
        assert!(open(&Sealer::new(SealKey::from_bytes([6; 32]), "log"), 7, &bytes).is_err());
    }

    #[test]
    fn the_outer_part_vouches_for_every_byte() {
        let (bytes, wish) = sealed(7, Event::Notice { text: "hello".into() });
        let read = sealer().outer(7, &bytes, &mut Scratch::default()).unwrap();
        assert_eq!((read.at, read.producer), (wish.at, wish.producer));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            assert!(sealer().outer(7, &bad, &mut Scratch::default()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn what_is_too_long_goes_in_by_a_keyed_digest_and_says_so() {
        let event =
            Event::Approved { digest: Digest([1; 32]), shown: "y".repeat(70_000), scope: "once".into(), until: None };
        let bytes = postcard::to_stdvec(&event).unwrap();
        let (sealed, _) = sealed(0, event);
        assert!(sealed.len() <= MAX_ENTRY);
        let Event::Oversized { line, bytes: len, digest } = open(&sealer(), 0, &sealed).unwrap().event else {
            panic!()
        };
        assert!(line.starts_with("approved for once: yyy"));
        assert_eq!(len, bytes.len() as u64);
        assert_ne!(digest.0, *blake3::hash(&bytes).as_bytes(), "never a bare hash");
        assert_eq!(digest.0, SealKey::from_bytes([5; 32]).join("audit entry", &[]).mac(&bytes));
    }

    #[test]
    fn an_event_of_a_later_version_leaves_the_rest_readable() {
        let run = Some(RunId(Ulid::from_parts(1, 1)));
        let mut plain = postcard::to_stdvec(&(run, None::<Actor>)).unwrap();
        plain.extend_from_slice(&[120, 1, 2]);
        assert_eq!(decode(&plain), Some((run, None, Event::Newer { bytes: 3 })));
        assert_eq!(decode(&[7]), None);
    }

    proptest! {
        #[test]
        fn outer_parts_read_back(
            secs: i64, nanos: u32, id: u128, seq: u64, class: u8,
            slots in prop::collection::vec(any::<u32>(), 0..MAX_NAMED)
        ) {
            let producer = Producer { id: Ulid(id), seq };
            let outer = Outer { at: Timestamp { secs, nanos }, producer, class, slots };
            let mut bytes = outer.encode();
            prop_assert_eq!(Outer::parse(&bytes), Some(outer));
            bytes.push(0);
            prop_assert_eq!(Outer::parse(&bytes), None);
        }
    }
}
