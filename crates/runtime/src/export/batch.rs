//! Entries on their way out, a bounded number at a time.

use raincoat_audit::export::{Format, Item, Pairing, Record};
use raincoat_audit::{AuditReader, Checkpoint};

use crate::look::item_of;
use crate::{EntryFilter, Error};

/// Records of a batch, at most.
const RECORDS_MOST: usize = 512;

/// Entries that are passed over before it is said how far that went.
const PASSED_MOST: u64 = 16_384;

/// Some records, and how far they go.
pub(super) struct Batch {
    /// A signed head that covers all of them.
    pub(super) head: Checkpoint,
    pub(super) records: Vec<Record>,
    /// The entry after them: all before it are in the batch, or are not asked for.
    pub(super) end: u64,
}

/// Batches of a log, from an entry on.
pub(super) struct Batches {
    reader: AuditReader,
    filter: EntryFilter,
    next: u64,
    bytes_most: usize,
    records_most: usize,
    pairing: Pairing,
    warm: bool,
}

impl Batches {
    pub(super) fn new(reader: AuditReader, filter: EntryFilter, next: u64, bytes_most: usize) -> Batches {
        let pairing = Pairing::default();
        Batches { reader, filter, next, bytes_most, records_most: RECORDS_MOST, pairing, warm: false }
    }

    /// One record each.
    pub(super) fn only_one(self) -> Batches {
        Batches { records_most: 1, ..self }
    }

    /// The next batch; `None` at the log's signed end. Entries that no head covers yet wait for one.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, Error> {
        let head = self.reader.head().map_err(Error::store)?;
        if self.next >= head.size {
            return Ok(None);
        }
        let mut entries = {
            let from = if self.warm { self.next } else { self.next.saturating_sub(Pairing::LOOK_BACK) };
            self.reader.entries(from..head.size).map_err(Error::store)?
        };
        self.warm = true;
        let first = self.next;
        let mut records = Vec::new();
        let mut bytes = 0;
        while let Some(entry) = entries.next_with_leaf() {
            let (index, leaf, entry) = entry.map_err(Error::store)?;
            let item = item_of(index, leaf, entry);
            if index >= first {
                if self.filter.wants(&item) {
                    let record = Record::of(&item, &self.pairing);
                    bytes += size_of_record(&record);
                    records.push(record);
                }
                self.next = index + 1;
            }
            self.learn(&item);
            if records.len() >= self.records_most || bytes >= self.bytes_most || self.next - first >= PASSED_MOST {
                break;
            }
        }
        Ok(Some(Batch { head, records, end: self.next }))
    }

    /// Whether there are entries that only wait for a head.
    pub(super) fn wait_for_a_head(&self) -> Result<bool, Error> {
        Ok(self.reader.unsigned().map_err(Error::store)? > 0)
    }

    fn learn(&mut self, item: &Item) {
        if let raincoat_audit::export::What::Event(event) = &item.what {
            self.pairing.learn(item.run, event);
        }
    }
}

/// About how many bytes a record comes to.
fn size_of_record(record: &Record) -> usize {
    let fields: usize = record.fields.iter().map(|(name, value)| name.len() + value.flat().len() + 16).sum();
    1024 + record.message.len() + fields
}

/// Bytes that one record comes to in a format: what a collector's limit is held against.
pub(super) fn length(format: Format, record: &Record, source: &raincoat_audit::export::Source<'_>) -> usize {
    format.in_syslog(record, source).unwrap_or_else(|| format.one(record, source)).len()
}
