//! The live file: the newest entries as they are appended, framed, with a signed tree head after each batch.
//! Bytes in, records out; the layout is in `docs/formats/audit.md`.

use std::ops::Range;

use crate::hash::{Hash, leaf_hash};
use crate::tile::{LEVELS, TILE_WIDTH, edge_of};

/// Bytes before the first frame: magic, generation, flag, padding.
pub const PREAMBLE: usize = 32;

/// Where in the preamble the flag stands that says: a sync of this file has failed.
pub const SUSPECT_AT: u64 = 24;

/// Bytes of a live file that are looked at: 256 entries of the largest size and what else there can be, twice over.
pub const MAX_LIVE: u64 = 256 << 20;

const MAGIC: &[u8; 8] = b"RCAUDIT1";
const FRAME: usize = 8;
const MAX_BODY: usize = 1 << 20;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Where the file starts in the log. Once, first.
    Start = 1,
    /// A sealed entry.
    Entry = 2,
    /// A signed tree head of all entries so far.
    Head = 3,
}

/// The first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preamble {
    /// Random, new with each file, so that a process sees that another has replaced it.
    pub generation: [u8; 16],
    /// A sync of this file has failed: what is read of it may not be on the disk.
    pub suspect: bool,
}

/// Where the file starts in the log, with all that is needed to go on from there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// Entries before it, all of them in full tiles and bundles. A multiple of 256.
    pub size: u64,
    /// Per level from 1 the hashes of the tile that is not full there.
    pub edge: Vec<Vec<Hash>>,
    /// The signed tree head of the entries before it.
    pub note: String,
}

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// What it holds.
    pub kind: Kind,
    /// Where the frame begins in the file.
    pub at: usize,
    /// Where its body lies.
    pub body: Range<usize>,
    /// The body's leaf hash.
    pub leaf: Hash,
}

/// How a file ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Zeroes or nothing after the last record.
    Clean,
    /// Something that is no record: a write that was cut off, or damage.
    Torn {
        /// Tree heads that stand whole after it. Only the last batch can be cut off by a crash, so more than one
        /// means damage.
        heads_after: usize,
    },
}

/// A live file, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Live {
    /// The preamble.
    pub preamble: Preamble,
    /// The first frame.
    pub start: Start,
    /// The frames after it, in order.
    pub records: Vec<Record>,
    /// Where the next frame goes.
    pub end: usize,
    /// What follows there.
    pub ending: Ending,
}

impl Preamble {
    /// Its bytes.
    pub fn encode(&self) -> [u8; PREAMBLE] {
        let mut out = [0; PREAMBLE];
        let bytes = MAGIC.iter().chain(&self.generation).copied().chain([u8::from(self.suspect)]);
        for (to, from) in out.iter_mut().zip(bytes) {
            *to = from;
        }
        out
    }

    /// Reads it; `None` where it is none.
    pub fn parse(bytes: &[u8]) -> Option<Preamble> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (generation, rest) = rest.split_first_chunk::<16>()?;
        let (flag, padding) = rest.split_first()?;
        let whole = magic == MAGIC && padding.get(..7)? == [0; 7] && *flag <= 1;
        whole.then_some(Preamble { generation: *generation, suspect: *flag == 1 })
    }
}

impl Start {
    /// The body of its frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.size.to_le_bytes().to_vec();
        for hash in self.edge.iter().flatten() {
            out.extend_from_slice(hash);
        }
        out.extend_from_slice(self.note.as_bytes());
        out
    }

    /// Reads the body; `None` where it is none.
    pub fn parse(bytes: &[u8]) -> Option<Start> {
        let (size, mut rest) = bytes.split_first_chunk::<8>()?;
        let size = u64::from_le_bytes(*size);
        if !size.is_multiple_of(TILE_WIDTH) {
            return None;
        }
        let mut edge = Vec::new();
        for level in 1..LEVELS {
            let (hashes, after) = rest.split_at_checked(usize::from(edge_of(size, level).1) * 32)?;
            edge.push(hashes.as_chunks::<32>().0.to_vec());
            rest = after;
        }
        Some(Start { size, edge, note: String::from_utf8(rest.to_vec()).ok()? })
    }
}

/// Appends a frame to `out` and gives its record.
pub fn push_frame(out: &mut Vec<u8>, kind: Kind, body: &[u8]) -> Record {
    let at = start_frame(out);
    out.extend_from_slice(body);
    end_frame(out, at, kind)
}

/// Begins a frame, whose body is to be appended to `out`, and gives where it is.
pub(crate) fn start_frame(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; FRAME]);
    out.len()
}

/// Ends the frame whose body began at `at`, and gives its record.
pub(crate) fn end_frame(out: &mut [u8], at: usize, kind: Kind) -> Record {
    let body = at..out.len();
    let leaf = leaf_hash(out.get(at..).unwrap_or_default());
    let len = out.len().saturating_sub(at);
    let word = (kind as u32) << 24 | u32::try_from(len).unwrap_or(u32::MAX) & 0x00ff_ffff;
    let header = word.to_le_bytes().into_iter().chain(leaf.iter().take(4).copied());
    let at = at.saturating_sub(FRAME);
    let place = out.get_mut(at..body.start).unwrap_or_default();
    for (to, from) in place.iter_mut().zip(header) {
        *to = from;
    }
    Record { kind, at, body, leaf }
}

/// The record at `at`; `Ok(None)` where the records end, `Err` where there is something that is none.
fn record_at(bytes: &[u8], at: usize) -> Result<Option<Record>, ()> {
    let Some((word, check)) = header_at(bytes, at) else {
        return if only_zeroes(bytes.get(at..).unwrap_or_default()) { Ok(None) } else { Err(()) };
    };
    if word == 0 && check == [0; 4] {
        return Ok(None);
    }
    let kind = match word >> 24 {
        1 => Kind::Start,
        2 => Kind::Entry,
        3 => Kind::Head,
        _ => return Err(()),
    };
    let len = (word & 0x00ff_ffff) as usize;
    let body = at + FRAME..at + FRAME + len;
    let content = bytes.get(body.clone()).filter(|_| len <= MAX_BODY).ok_or(())?;
    let leaf = leaf_hash(content);
    if leaf.starts_with(&check) { Ok(Some(Record { kind, at, body, leaf })) } else { Err(()) }
}

/// The entries and heads from `at` on, as far as they are whole; where they end; and how.
pub fn records_from(bytes: &[u8], mut at: usize) -> (Vec<Record>, usize, Ending) {
    let mut records = Vec::new();
    let ending = loop {
        match record_at(bytes, at) {
            Ok(Some(record)) if record.kind != Kind::Start => {
                at = record.body.end;
                records.push(record);
            }
            Ok(None) if only_zeroes(bytes.get(at..).unwrap_or_default()) => break Ending::Clean,
            _ => break Ending::Torn { heads_after: heads_after(bytes, at) },
        }
    };
    (records, at, ending)
}

impl Live {
    /// Takes a file apart; `None` where its preamble or its first frame is not whole.
    pub fn parse(bytes: &[u8]) -> Option<Live> {
        let preamble = Preamble::parse(bytes)?;
        let first = record_at(bytes, PREAMBLE).ok()?.filter(|first| first.kind == Kind::Start)?;
        let start = Start::parse(bytes.get(first.body.clone())?)?;
        let (records, end, ending) = records_from(bytes, first.body.end);
        Some(Live { preamble, start, records, end, ending })
    }
}

fn header_at(bytes: &[u8], at: usize) -> Option<(u32, [u8; 4])> {
    let (word, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*word), *rest.first_chunk::<4>()?))
}

/// Whole tree heads anywhere after `at`. Frames are looked for at every byte, because a damaged length hides where the
/// next one begins.
fn heads_after(bytes: &[u8], at: usize) -> usize {
    (at + 1..bytes.len())
        .filter(|at| bytes.get(at + 3) == Some(&(Kind::Head as u8)))
        .filter(|at| header_at(bytes, *at).is_some_and(|(word, _)| (word & 0x00ff_ffff) <= 4096))
        .filter(|at| matches!(record_at(bytes, *at), Ok(Some(_))))
        .count()
}

/// Whether there is nothing but zeroes, compared by the page: a byte at a time, a megabyte of them takes as long as all
/// else that opening the log does.
fn only_zeroes(bytes: &[u8]) -> bool {
    const ZEROES: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROES.len()).all(|part| ZEROES.get(..part.len()) == Some(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(entries: usize) -> Vec<u8> {
        let mut out = Preamble { generation: [9; 16], suspect: false }.encode().to_vec();
        let start = Start { size: 512, edge: edge(512), note: "a note".into() };
        push_frame(&mut out, Kind::Start, &start.encode());
        for n in 0..entries {
            push_frame(&mut out, Kind::Entry, format!("entry {n}").as_bytes());
            push_frame(&mut out, Kind::Head, format!("head {n}").as_bytes());
        }
        out
    }

    fn edge(size: u64) -> Vec<Vec<Hash>> {
        (1..LEVELS).map(|level| vec![[level; 32]; usize::from(edge_of(size, level).1)]).collect()
    }

    #[test]
    fn a_file_reads_back_with_or_without_room_after_it() {
        let mut bytes = file(3);
        let live = Live::parse(&bytes).unwrap();
        assert_eq!(live.start, Start { size: 512, edge: edge(512), note: "a note".into() });
        assert_eq!((live.records.len(), live.end, live.ending), (6, bytes.len(), Ending::Clean));
        assert_eq!(&bytes[live.records[2].body.clone()], b"entry 1");
        bytes.resize(bytes.len() + 1000, 0);
        assert_eq!(Live::parse(&bytes).unwrap(), live);
    }

    #[test]
    fn damage_in_the_middle_is_told_from_a_torn_last_batch() {
        let whole = file(3);
        let live = Live::parse(&whole).unwrap();
        let torn = |record: usize| {
            let mut bytes = whole.clone();
            bytes[live.records[record].body.start] ^= 1;
            Live::parse(&bytes).unwrap()
        };
        assert_eq!(torn(4).ending, Ending::Torn { heads_after: 1 });
        assert_eq!(torn(5).ending, Ending::Torn { heads_after: 0 });
        assert_eq!(torn(2).ending, Ending::Torn { heads_after: 2 });
        assert_eq!(torn(2).records.len(), 2);
        // A hole, as a power cut leaves one that wrote the second page and not the first.
        let mut bytes = whole.clone();
        bytes[live.records[4].at..live.records[5].at].fill(0);
        assert_eq!(Live::parse(&bytes).unwrap().ending, Ending::Torn { heads_after: 1 });
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Live::parse(&bytes);
            let mut bytes = bytes;
            let mut all = file(1);
            all.append(&mut bytes);
            let live = Live::parse(&all).unwrap();
            prop_assert!(live.records.len() >= 2);
        }

        #[test]
        fn any_cut_keeps_all_whole_records_before_it(cut in 0_usize..500) {
            let whole = file(5);
            let cut = cut.min(whole.len());
            let Some(live) = Live::parse(&whole[..cut]) else { return Ok(()) };
            let all = Live::parse(&whole).unwrap();
            let expected = all.records.iter().filter(|record| record.body.end <= cut).count();
            prop_assert_eq!(live.records.len(), expected);
        }

        #[test]
        fn a_start_reads_back(tiles: u32) {
            let size = u64::from(tiles) * 256;
            let start = Start { size, edge: edge(size), note: "é".into() };
            prop_assert_eq!(Start::parse(&start.encode()), Some(start));
        }
    }
}
