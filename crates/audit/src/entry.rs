//! An entry: when, in which run, by whom, the how-manieth of its process, and what happened; as bytes, and sealed.

use raincoat_seal::SealKey;
use raincoat_types::{Actor, Digest, RunId, Timestamp, Ulid};
use serde::{Deserialize, Serialize};

use crate::tile::MAX_ENTRY;
use crate::{AuditError, Event};

/// Version of the encoding, the first byte of every payload.
const VERSION: u8 = 1;

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What the clock said. The order of things is the entries' order, not this.
    pub at: Timestamp,
    /// Within which run.
    pub run: Option<RunId>,
    /// Who acted.
    pub actor: Option<Actor>,
    /// Which process wrote it, and its how-manieth entry this is.
    pub producer: Producer,
    /// What happened.
    pub event: Event,
}

/// A writer of the log and its own count, so that an entry that is missing shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Producer {
    /// One opened log in one process.
    pub id: Ulid,
    /// Counted from 1, without gaps.
    pub seq: u64,
}

/// In whose name events are appended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// Within which run.
    pub run: Option<RunId>,
    /// Who acted.
    pub actor: Option<Actor>,
}

impl About {
    /// Something that happens in no run and by no one.
    pub const NOTHING: About = About { run: None, actor: None };

    /// An actor's doing within a run.
    pub fn run(run: RunId, actor: Actor) -> About {
        About { run: Some(run), actor: Some(actor) }
    }
}

/// All but the event, so that an event of a later version leaves the rest readable.
#[derive(Serialize, Deserialize)]
struct Outside {
    at: Timestamp,
    run: Option<RunId>,
    actor: Option<Actor>,
    producer: Producer,
}

/// Seals and opens entries, each bound to its log and place.
#[derive(Clone)]
pub(crate) struct Sealer {
    key: SealKey,
    context: Vec<u8>,
}

impl Sealer {
    pub(crate) fn new(key: SealKey, origin: &str) -> Sealer {
        let mut context = b"raincoat audit entry\0".to_vec();
        context.extend_from_slice(origin.as_bytes());
        context.push(0);
        Sealer { key, context }
    }

    /// The sealed bytes of an entry at `index`, at most [`MAX_ENTRY`]. An event that is too long goes in by digest.
    pub(crate) fn seal(&self, index: u64, entry: Entry) -> Result<Vec<u8>, AuditError> {
        let room = MAX_ENTRY - SealKey::OVERHEAD;
        let mut plain = entry.encode()?;
        if plain.len() > room {
            plain = entry.shortened()?.encode()?;
        }
        if plain.len() > room {
            return Err(AuditError::Seal("the actor's name is too long for an entry".to_owned()));
        }
        self.key.seal(&self.context_of(index), &plain).map_err(|error| AuditError::Seal(error.to_string()))
    }

    pub(crate) fn open(&self, index: u64, sealed: &[u8]) -> Result<Entry, AuditError> {
        let plain =
            self.key.open(&self.context_of(index), sealed).map_err(|error| AuditError::Seal(error.to_string()))?;
        Entry::decode(&plain).ok_or_else(|| AuditError::Seal(format!("entry {index} does not decode")))
    }

    fn context_of(&self, index: u64) -> Vec<u8> {
        let mut context = Vec::with_capacity(self.context.len() + 8);
        context.extend_from_slice(&self.context);
        context.extend_from_slice(&index.to_le_bytes());
        context
    }
}

impl Entry {
    fn encode(&self) -> Result<Vec<u8>, AuditError> {
        let failed = |error: postcard::Error| AuditError::Seal(error.to_string());
        let outside = Outside { at: self.at, run: self.run, actor: self.actor.clone(), producer: self.producer };
        let out = postcard::to_extend(&outside, vec![VERSION]).map_err(failed)?;
        postcard::to_extend(&self.event, out).map_err(failed)
    }

    fn decode(bytes: &[u8]) -> Option<Entry> {
        let (version, rest) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (outside, event) = postcard::take_from_bytes::<Outside>(rest).ok()?;
        let event = match postcard::take_from_bytes::<Event>(event) {
            Ok((known, [])) => known,
            _ => Event::Newer { bytes: event.len() as u64 },
        };
        let Outside { at, run, actor, producer } = outside;
        Some(Entry { at, run, actor, producer, event })
    }

    /// The same with its event by digest.
    fn shortened(self) -> Result<Entry, AuditError> {
        let bytes = postcard::to_stdvec(&self.event).map_err(|error| AuditError::Seal(error.to_string()))?;
        let digest = Digest(*blake3::hash(&bytes).as_bytes());
        let event = Event::Oversized { line: self.event.one_line(), bytes: bytes.len() as u64, digest };
        Ok(Entry { event, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(SealKey::from_bytes([5; 32]), "log")
    }

    fn entry(event: Event) -> Entry {
        Entry {
            at: Timestamp { secs: 1, nanos: 2 },
            run: Some(RunId(Ulid::from_parts(1, 1))),
            actor: Some(Actor::Agent("a".into())),
            producer: Producer { id: Ulid::from_parts(2, 2), seq: 3 },
            event,
        }
    }

    #[test]
    fn an_entry_opens_only_at_its_own_place_in_its_own_log() {
        let wish = entry(Event::Notice { text: "hello".into() });
        let sealed = sealer().seal(7, wish.clone()).unwrap();
        assert_eq!(sealer().open(7, &sealed).unwrap(), wish);
        assert!(sealer().open(8, &sealed).is_err());
        assert!(Sealer::new(SealKey::from_bytes([5; 32]), "log2").open(7, &sealed).is_err());
        assert!(Sealer::new(SealKey::from_bytes([6; 32]), "log").open(7, &sealed).is_err());
    }

    #[test]
    fn what_is_too_long_goes_in_by_digest_and_says_so() {
        let event =
            Event::Approved { digest: Digest([1; 32]), shown: "y".repeat(70_000), scope: "once".into(), until: None };
        let bytes = postcard::to_stdvec(&event).unwrap();
        let sealed = sealer().seal(0, entry(event)).unwrap();
        assert!(sealed.len() <= MAX_ENTRY);
        let Event::Oversized { line, bytes: len, digest } = sealer().open(0, &sealed).unwrap().event else { panic!() };
        assert!(line.starts_with("approved for once: yyy"));
        assert_eq!((len, digest.0), (bytes.len() as u64, *blake3::hash(&bytes).as_bytes()));
    }

    #[test]
    fn an_event_of_a_later_version_leaves_the_rest_readable() {
        let mut plain =
            entry(Event::GrantRevoked { grant: raincoat_types::GrantId(Ulid::from_parts(0, 0)) }).encode().unwrap();
        let at = plain.len() - 28;
        plain[at] = 120;
        let read = Entry::decode(&plain).unwrap();
        assert_eq!(read.event, Event::Newer { bytes: 28 });
        assert_eq!(read.producer.seq, 3);
        plain[0] = 9;
        assert_eq!(Entry::decode(&plain), None);
    }
}
