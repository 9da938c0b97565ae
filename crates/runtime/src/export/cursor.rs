//! What is remembered of a destination: how far it got, and what it would not take. Sealed, in the store.

use raincoat_audit::export::Format;
use raincoat_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Class, EntryFilter, Error, Keeper};

const CURSORS: &str = "export-cursor";
const LETTERS: &str = "export-dead-letter";

/// Entries put aside, at most. Where there are more, an export ends instead.
const LETTERS_MOST: usize = 10_000;

/// A collector, as an export with these filters knows it.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    id: [u8; 32],
    /// Its address, for people: without a query.
    pub(super) shown: String,
    format: Format,
}

/// How far a destination got.
#[derive(Serialize, Deserialize)]
struct Cursor {
    to: String,
    next: u64,
}

/// An entry that a collector would not take.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The entry.
    pub entry: u64,
    /// To whom it was to go.
    pub to: String,
    /// In which format.
    pub format: String,
    /// Why it was not taken.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

impl Destination {
    pub(super) fn new(shown: String, format: Format, filter: &EntryFilter) -> Destination {
        let id = blake3::hash(format!("{}\0{shown}\0{}", format.name(), filter.key()).as_bytes());
        Destination { id: *id.as_bytes(), shown, format }
    }

    /// The file that whoever sends there has locked.
    pub(super) fn lock_name(&self) -> String {
        let hex: String = self.id.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("export-{hex}.lock")
    }

    fn letter_id(&self, entry: u64) -> Vec<u8> {
        [self.id.as_slice(), &entry.to_be_bytes()].concat()
    }
}

impl Keeper {
    /// The entry that a destination is to get next; `None` where it never got any.
    pub(super) fn cursor(&self, destination: &Destination) -> Result<Option<u64>, Error> {
        let Some(bytes) = self.store.get(CURSORS, &destination.id).map_err(Error::store)? else { return Ok(None) };
        Ok(Some(postcard::from_bytes::<Cursor>(&bytes).map_err(Error::store)?.next))
    }

    /// Everything before `next` was taken, or put aside. Durable when this returns.
    pub(super) fn keep_cursor(&self, destination: &Destination, next: u64) -> Result<(), Error> {
        let bytes = postcard::to_stdvec(&Cursor { to: destination.shown.clone(), next }).map_err(Error::store)?;
        self.store.put(CURSORS, &destination.id, &bytes).map_err(Error::store)
    }

    pub(super) fn put_aside(&self, destination: &Destination, entry: u64, why: &str) -> Result<(), Error> {
        if self.all_dead_letters()?.len() >= LETTERS_MOST {
            return Err(Error::new(Class::Peer, format!("{LETTERS_MOST} entries were put aside already; nothing more is"))
                .hint("see `raincoat audit export dead-letter list`; then `retry` or `drop` them"));
        }
        let letter = DeadLetter {
            entry,
            to: destination.shown.clone(),
            format: destination.format.name().to_owned(),
            why: why.to_owned(),
            at: self.clock.now(),
        };
        let bytes = postcard::to_stdvec(&letter).map_err(Error::store)?;
        self.store.put(LETTERS, &destination.letter_id(entry), &bytes).map_err(Error::store)
    }

    pub(super) fn all_dead_letters(&self) -> Result<Vec<(Vec<u8>, DeadLetter)>, Error> {
        let rows = self.store.list(LETTERS).map_err(Error::store)?;
        let read = |(id, bytes): (Vec<u8>, Vec<u8>)| Ok((id, postcard::from_bytes(&bytes).map_err(Error::store)?));
        rows.into_iter().map(read).collect()
    }

    pub(super) fn forget_dead_letter(&self, id: &[u8]) -> Result<(), Error> {
        self.store.delete(LETTERS, id).map(|_| ()).map_err(Error::store)
    }
}
