//! Walking a segment from record to record: what is whole, what is damaged, where the written part ends.
//!
//! A crash may leave a torn tail: the last writes, which nobody was told were durable, in any state. Damage is
//! anything else that does not check. To tell them apart, every record says below which offset everything was durable
//! when it was written: if what does not check lies below such an offset, it is damage.

use std::io;

use raincoat_types::Ulid;

use crate::JournalKeys;
use crate::format::{ALIGN, HEADER_BYTES, Header, Kind, MAX_BODY, Position, Source, open_record, tag_of};
use crate::pack::Unpacker;

/// Bytes that are read at once.
const WINDOW: usize = 256 << 10;

/// What comes next in a segment.
#[derive(Debug)]
pub(crate) enum Step {
    /// A whole record.
    Record {
        /// Where it starts.
        offset: u64,
        /// Its header.
        header: Header,
        /// Its body, opened.
        body: Vec<u8>,
    },
    /// Damage; the walk goes on behind it.
    Damage {
        /// Where it starts.
        offset: u64,
        /// How many bytes cannot be read.
        bytes: u64,
        /// What the damaged record is, where its header still tells.
        kind: Option<Kind>,
        /// What is wrong.
        what: &'static str,
    },
    /// The written part ends at the walk's position.
    End {
        /// Bytes of a torn tail behind it.
        torn: u64,
    },
}

/// A walk over a segment.
pub(crate) struct Walk<'a, S: Source> {
    source: &'a S,
    keys: &'a JournalKeys,
    id: Ulid,
    /// Where the next record is.
    pub(crate) position: Position,
    /// The largest offset below which the records read say that all is durable.
    pub(crate) synced: u64,
    len: u64,
    /// Whether the last step was damage, so that what the next record says of its predecessor cannot be checked.
    loose: bool,
    /// Whether nothing is left behind the damage.
    ended: bool,
    /// Whether a writer may be at work: then the first thing that does not check is the end.
    live: bool,
    window: Vec<u8>,
    window_at: u64,
    unpacker: Unpacker,
}

impl<'a, S: Source> Walk<'a, S> {
    /// Starts at `position`. Everything below `durable` is known to have been durable.
    pub(crate) fn new(
        source: &'a S,
        keys: &'a JournalKeys,
        id: Ulid,
        position: Position,
        durable: u64,
    ) -> io::Result<Walk<'a, S>> {
        let len = source.len()?;
        Ok(Walk {
            source,
            keys,
            id,
            position,
            synced: durable,
            len,
            loose: false,
            ended: false,
            live: false,
            window: Vec::new(),
            window_at: 0,
            unpacker: Unpacker::default(),
        })
    }

    /// Takes the segment for one that a living writer may be appending to.
    pub(crate) fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// Does not hold the next record to what the position says of its predecessor (the predecessor is damaged).
    pub(crate) fn loose(mut self) -> Self {
        self.loose = true;
        self
    }

    /// The next thing.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        if self.ended {
            return Ok(Step::End { torn: 0 });
        }
        let offset = self.position.offset;
        let Some(header) = self.header_at(offset)? else {
            return self.end_or_damage(offset, None, "a record's header is not what was written");
        };
        let span = header.span();
        let (keys, id) = (self.keys, self.id);
        let mut unpacker = std::mem::take(&mut self.unpacker);
        let bytes = self.bytes(offset, usize::try_from(span).unwrap_or(usize::MAX))?;
        let opened = bytes.and_then(|bytes| open_record(keys, id, offset, bytes, &mut unpacker));
        self.unpacker = unpacker;
        let Some(body) = opened else {
            return self.end_or_damage(offset, Some(header), "a record is not what was written");
        };
        let follows = header.seq == self.position.seq && header.prev == self.position.prev;
        if !follows && !self.loose {
            return self.end_or_damage(offset, Some(header), "a record does not follow the one before it");
        }
        self.advance(&header)?;
        self.loose = false;
        Ok(Step::Record { offset, header, body })
    }

    fn advance(&mut self, header: &Header) -> io::Result<()> {
        let offset = self.position.offset;
        let prev = self
            .bytes(offset, usize::try_from(header.span()).unwrap_or(usize::MAX))?
            .map(|bytes| tag_of(header, bytes))
            .unwrap_or_default();
        self.position = Position { offset: offset + header.span(), seq: header.seq + 1, prev };
        self.synced = self.synced.max(header.synced);
        Ok(())
    }

    /// What does not check at `offset` is the end, or damage.
    fn end_or_damage(&mut self, offset: u64, header: Option<Header>, what: &'static str) -> io::Result<Step> {
        if self.live {
            return Ok(Step::End { torn: 0 });
        }
        let from = offset + header.map_or(ALIGN, |header| header.span());
        let mut found = self.search(from, offset)?;
        if header.is_some() {
            found.end = found.end.max(from.min(self.len));
        }
        if !found.acknowledged && self.synced <= offset {
            return Ok(Step::End { torn: found.end.saturating_sub(offset) });
        }
        let end = found.first.unwrap_or(found.end.max(self.synced));
        self.ended = found.first.is_none();
        self.loose = true;
        self.position.offset = found.first.unwrap_or(self.len);
        Ok(Step::Damage { offset, bytes: end.saturating_sub(offset), kind: header.map(|header| header.kind), what })
    }

    /// Looks for records from `from` on, and for one that says that bytes beyond `damaged` were durable.
    fn search(&mut self, from: u64, damaged: u64) -> io::Result<Found> {
        let mut found = Found { first: None, acknowledged: false, end: damaged };
        let mut at = from.next_multiple_of(ALIGN);
        while at < self.len {
            if let Some(zeroes) = self.zeroes_at(at)? {
                at += zeroes;
                continue;
            }
            found.end = at + ALIGN;
            match self.header_at(at)? {
                Some(header) => {
                    found.first = found.first.or(Some(at));
                    found.end = (at + header.span()).min(self.len);
                    at += header.span();
                    if header.synced > damaged {
                        found.acknowledged = true;
                        return Ok(found);
                    }
                }
                None => at += ALIGN,
            }
        }
        Ok(found)
    }

    /// How many bytes at `at`, which is aligned, are zero, in multiples of the alignment; `None` for none.
    fn zeroes_at(&mut self, at: u64) -> io::Result<Option<u64>> {
        self.fill(at, ALIGN as usize)?;
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        let rest = self.window.get(start..).unwrap_or_default();
        let zeroes = rest.iter().position(|b| *b != 0).unwrap_or(rest.len()) as u64;
        let whole = if zeroes == rest.len() as u64 { zeroes.next_multiple_of(ALIGN) } else { zeroes - zeroes % ALIGN };
        Ok((whole > 0).then_some(whole))
    }

    fn header_at(&mut self, offset: u64) -> io::Result<Option<Header>> {
        let (keys, id, len) = (self.keys, self.id, self.len);
        let Some(bytes) = self.bytes(offset, HEADER_BYTES)? else { return Ok(None) };
        Ok(Header::read(keys, id, bytes).filter(|header| offset + header.span() <= len.max(offset)))
    }

    /// `n` bytes at `offset`; `None` where the segment ends before.
    fn bytes(&mut self, offset: u64, n: usize) -> io::Result<Option<&[u8]>> {
        if n > MAX_BODY + 2 * HEADER_BYTES {
            return Ok(None);
        }
        self.fill(offset, n)?;
        let start = usize::try_from(offset - self.window_at).unwrap_or(usize::MAX);
        Ok(self.window.get(start..).and_then(|rest| rest.get(..n)))
    }

    /// Makes the window hold `n` bytes at `offset`, as far as there are that many.
    fn fill(&mut self, offset: u64, n: usize) -> io::Result<()> {
        let held = self.window_at + self.window.len() as u64;
        if offset >= self.window_at && offset + n as u64 <= held {
            return Ok(());
        }
        let want = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX).min(WINDOW.max(n));
        self.window.resize(want, 0);
        self.window_at = offset;
        let got = self.source.read_at(&mut self.window, offset)?;
        self.window.truncate(got);
        Ok(())
    }
}

struct Found {
    /// The first record behind the damage.
    first: Option<u64>,
    /// Whether a record says that the damaged bytes were durable.
    acknowledged: bool,
    /// Where the last bytes that are not zero end.
    end: u64,
}
