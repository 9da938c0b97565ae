//! The bytes of a segment: its head, record headers, record bodies. Pure: bytes in, values out.
//! `docs/formats/journal.md` describes them for strangers; keep the two in step.

use std::io;

use raincoat_os::AppendFile;
use raincoat_seal::SealKey;
use raincoat_types::{OpId, OpResult, RunEnd, RunId, Timestamp, Ulid};
use serde::{Deserialize, Serialize};

use crate::pack::Unpacker;
use crate::{JournalError, JournalKeys};

/// The largest sealed body of a record, and the most that a packed one holds (an intent of version 1 with the chunk
/// list of a file of a terabyte fits).
pub(crate) const MAX_BODY: usize = 64 << 20;
/// Where the first record of a segment starts.
pub(crate) const HEAD_BYTES: u64 = 256;
/// Bytes of a record's header.
pub(crate) const HEADER_BYTES: usize = 48;
/// Records start at multiples of this.
pub(crate) const ALIGN: u64 = 8;
const MAGIC: &[u8; 8] = b"RCJRNL\r\n";
/// What is written. Segments of version 1 are read as well, and never gone on with.
pub(crate) const VERSION: u16 = 2;
/// Flag of a record: its body is packed.
const PACKED: u8 = 1;
const TAG_BYTES: usize = 16;

/// The last bytes of a sealed body (its authentication tag), by which the next record names its predecessor.
pub(crate) type Tag = [u8; TAG_BYTES];

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// A run began: a `RunHeader`.
    Begin,
    /// Content: up to [`CHUNK_BYTES`](crate::CHUNK_BYTES) bytes.
    Chunk,
    /// An `Intent`.
    Intent,
    /// How an operation came out, told by the process that did it.
    Outcome,
    /// How an operation came out, told by recovery.
    Settle,
    /// A note, a plan or a piece of a transcript.
    Note,
    /// A run ended: a `RunEnd` and its number of operations.
    End,
    /// Everything before is durable.
    Mark,
    /// The segment is full: nothing follows.
    Final,
    /// What was taken out of the store, and by which rule: see [`crate::dropped`].
    Dropped,
}

/// Where the next record of a segment goes, and what it has to say of its predecessor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    /// Offset in the segment.
    pub(crate) offset: u64,
    /// Number of the record, from 0.
    pub(crate) seq: u64,
    /// The tag of the record before it; of the segment's head for the first.
    pub(crate) prev: Tag,
}

/// A record's header, checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// Bytes of the sealed body.
    pub(crate) len: u32,
    /// What it is.
    pub(crate) kind: Kind,
    /// Whether its body is packed.
    pub(crate) packed: bool,
    /// Its number within the segment, from 0.
    pub(crate) seq: u64,
    /// The offset below which everything was known to be durable when this was written.
    pub(crate) synced: u64,
    /// Tag of the record before.
    pub(crate) prev: Tag,
}

/// The sealed part of a segment's head.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    /// When the segment was made.
    pub(crate) created: Timestamp,
    /// The segment that the writer filled before this one, and the tag of its last record.
    pub(crate) after: Option<(Ulid, Tag)>,
}

/// Body of [`Kind::Outcome`] and [`Kind::Settle`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) op: OpId,
    pub(crate) result: OpResult,
}

/// Body of [`Kind::End`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) end: RunEnd,
    /// How many operations the run has: so that a missing one shows.
    pub(crate) ops: u32,
}

/// What a note is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum NoteKind {
    /// Words for the person who looks at the run.
    Text,
    /// The plan that was accepted, in the writer's own encoding.
    Plan,
    /// A piece of the conversation with a model.
    Transcript,
    /// The point from which a commit is carried through, in the committer's own encoding.
    CommitPoint,
}

/// Body of [`Kind::Note`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) run: RunId,
    /// Position among the run's note records, from 0.
    pub(crate) n: u32,
    pub(crate) kind: NoteKind,
    /// Whether the next note record of the run goes on with the same note.
    pub(crate) more: bool,
    #[serde(with = "serde_bytes")]
    pub(crate) bytes: Vec<u8>,
}

/// Where bytes are read from: a file, or a slice in tests and under the fuzzer.
pub(crate) trait Source {
    /// Reads up to `out.len()` bytes at `offset`; fewer only at the end.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Bytes in all.
    fn len(&self) -> io::Result<u64>;
}

impl Source for AppendFile {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        AppendFile::read_at(self, out, offset)
    }

    fn len(&self) -> io::Result<u64> {
        AppendFile::len(self)
    }
}

impl Source for &[u8] {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let n = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Begin => 1,
            Kind::Chunk => 2,
            Kind::Intent => 3,
            Kind::Outcome => 4,
            Kind::Settle => 5,
            Kind::Note => 6,
            Kind::End => 7,
            Kind::Mark => 8,
            Kind::Final => 9,
            Kind::Dropped => 10,
        }
    }

    pub(crate) fn of(code: u8) -> Option<Kind> {
        Some(match code {
            1 => Kind::Begin,
            2 => Kind::Chunk,
            3 => Kind::Intent,
            4 => Kind::Outcome,
            5 => Kind::Settle,
            6 => Kind::Note,
            7 => Kind::End,
            8 => Kind::Mark,
            9 => Kind::Final,
            10 => Kind::Dropped,
            _ => return None,
        })
    }
}

impl Header {
    /// Reads a header of segment `id`. `None` where the bytes are none: zeroes, another segment's, another key's,
    /// damaged. (Its place is bound to the body alone, so that records which somebody moved still show as records.)
    pub(crate) fn read(keys: &JournalKeys, id: Ulid, bytes: &[u8]) -> Option<Header> {
        let raw: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let (fields, check) = raw.split_last_chunk::<8>()?;
        let len = u32::from_le_bytes(*raw.first_chunk()?);
        // Cheap refusals first: a search for the next record tries every eighth byte.
        let [_, _, _, _, kind, flags, spare_0, spare_1, ..] = *raw;
        if len == 0 || len as usize > MAX_BODY || flags & !PACKED != 0 || (spare_0, spare_1) != (0, 0) {
            return None;
        }
        let kind = Kind::of(kind)?;
        if check_of(keys, id, fields) != *check {
            return None;
        }
        let header = Header {
            len,
            kind,
            packed: flags == PACKED,
            seq: u64::from_le_bytes(*raw.get(8..)?.first_chunk()?),
            synced: u64::from_le_bytes(*raw.get(16..)?.first_chunk()?),
            prev: *raw.get(24..)?.first_chunk()?,
        };
        Some(header)
    }

    fn write(&self, keys: &JournalKeys, id: Ulid) -> [u8; HEADER_BYTES] {
        let mut fields = Vec::with_capacity(HEADER_BYTES);
        fields.extend_from_slice(&self.len.to_le_bytes());
        fields.extend_from_slice(&[self.kind.code(), if self.packed { PACKED } else { 0 }, 0, 0]);
        fields.extend_from_slice(&self.seq.to_le_bytes());
        fields.extend_from_slice(&self.synced.to_le_bytes());
        fields.extend_from_slice(&self.prev);
        let check = check_of(keys, id, &fields);
        fields.extend_from_slice(&check);
        let mut raw = [0; HEADER_BYTES];
        for (to, from) in raw.iter_mut().zip(fields) {
            *to = from;
        }
        raw
    }

    /// Bytes that the record takes, padding included.
    pub(crate) fn span(&self) -> u64 {
        (HEADER_BYTES as u64 + u64::from(self.len)).next_multiple_of(ALIGN)
    }
}

fn check_of(keys: &JournalKeys, id: Ulid, fields: &[u8]) -> [u8; 8] {
    let mut bytes = Vec::with_capacity(16 + HEADER_BYTES);
    bytes.extend_from_slice(&id.to_bytes());
    bytes.extend_from_slice(fields);
    let mac = keys.headers.mac(&bytes);
    mac.first_chunk().copied().unwrap_or_default()
}

/// What a body is bound to: its segment, its place in it and its whole header (length, kind, number, predecessor).
fn context(id: Ulid, offset: u64, header: &[u8; HEADER_BYTES]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(96);
    bytes.extend_from_slice(b"raincoat journal record 1");
    bytes.extend_from_slice(&id.to_bytes());
    bytes.extend_from_slice(&offset.to_le_bytes());
    bytes.extend_from_slice(header);
    bytes
}

/// A record's body on its way into a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    pub(crate) kind: Kind,
    /// `bytes` are packed.
    pub(crate) packed: bool,
    pub(crate) bytes: &'a [u8],
}

/// Appends a record to `out`. Returns the record's offset; `position` moves on to the next.
pub(crate) fn push_record(
    keys: &JournalKeys,
    id: Ulid,
    position: &mut Position,
    synced: u64,
    body: Body<'_>,
    out: &mut Vec<u8>,
) -> Result<u64, JournalError> {
    let Body { kind, packed, bytes } = body;
    let sealed = bytes.len() + SealKey::OVERHEAD;
    let len = u32::try_from(sealed).ok().filter(|_| sealed <= MAX_BODY).ok_or(JournalError::TooLarge(bytes.len()))?;
    let offset = position.offset;
    let header = Header { len, kind, packed, seq: position.seq, synced, prev: position.prev };
    let raw = header.write(keys, id);
    let start = out.len();
    out.reserve(usize::try_from(header.span()).unwrap_or(0));
    out.extend_from_slice(&raw);
    if let Err(error) = keys.records.seal_into(&context(id, offset, &raw), bytes, out) {
        out.truncate(start);
        return Err(error.into());
    }
    position.prev = out.last_chunk().copied().unwrap_or_default();
    position.offset += header.span();
    position.seq += 1;
    let padding = header.span() - (HEADER_BYTES as u64 + u64::from(len));
    out.extend(std::iter::repeat_n(0, usize::try_from(padding).unwrap_or(0)));
    Ok(offset)
}

/// Opens the record whose whole span (header, body, padding) is `bytes`. A packed body is unpacked.
pub(crate) fn open_record(
    keys: &JournalKeys,
    id: Ulid,
    offset: u64,
    bytes: &[u8],
    unpacker: &mut Unpacker,
) -> Option<Vec<u8>> {
    let [_, _, _, _, kind, flags, ..] = *bytes.first_chunk::<HEADER_BYTES>()?;
    let plain = open_packed(keys, id, offset, bytes)?;
    if flags & PACKED == 0 { Some(plain) } else { unpacker.unpack(Kind::of(kind)?, &plain) }
}

fn open_packed(keys: &JournalKeys, id: Ulid, offset: u64, bytes: &[u8]) -> Option<Vec<u8>> {
    let raw: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
    let len = usize::try_from(u32::from_le_bytes(*raw.first_chunk()?)).ok()?;
    let body = bytes.get(HEADER_BYTES..)?.get(..len)?;
    let padding = bytes.get(HEADER_BYTES + len..)?;
    if padding.iter().any(|b| *b != 0) {
        return None;
    }
    keys.records.open(&context(id, offset, raw), body).ok()
}

/// The last bytes of a record's sealed body, given its whole span.
pub(crate) fn tag_of(header: &Header, bytes: &[u8]) -> Tag {
    let body = bytes.get(..HEADER_BYTES + header.len as usize).unwrap_or_default();
    body.last_chunk().copied().unwrap_or_default()
}

/// The head of segment `id`, and where its first record goes.
pub(crate) fn write_head(keys: &JournalKeys, id: Ulid, head: &Head) -> Result<(Vec<u8>, Position), JournalError> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES as usize);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let plain = encode(head)?;
    let len = u16::try_from(plain.len() + SealKey::OVERHEAD).map_err(|_| JournalError::TooLarge(plain.len()))?;
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&id.to_bytes());
    let sealed = keys.records.seal(&head_context(&bytes), &plain)?;
    bytes.extend_from_slice(&sealed);
    let position = Position { offset: HEAD_BYTES, seq: 0, prev: sealed.last_chunk().copied().unwrap_or_default() };
    bytes.resize(HEAD_BYTES as usize, 0);
    Ok((bytes, position))
}

/// What stands where a segment's head belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum HeadFound {
    /// A head of a version that this program reads.
    Ours {
        /// The version: 1 or [`VERSION`].
        version: u16,
        /// Its sealed part.
        head: Head,
        /// Where the first record goes.
        first: Position,
    },
    /// A head of this later version. (Its sealed part opens, so it is no damage: heads of all versions do.)
    Newer(u16),
    /// Not what was written.
    Damaged,
}

/// Reads the head of segment `id`.
pub(crate) fn read_head(keys: &JournalKeys, id: Ulid, bytes: &[u8]) -> HeadFound {
    try_head(keys, id, bytes).unwrap_or(HeadFound::Damaged)
}

fn try_head(keys: &JournalKeys, id: Ulid, bytes: &[u8]) -> Option<HeadFound> {
    let bytes = bytes.get(..HEAD_BYTES as usize)?;
    let (fixed, rest) = bytes.split_first_chunk::<32>()?;
    let named: &[u8; 16] = fixed.last_chunk()?;
    let version = u16::from_le_bytes(*fixed.get(8..)?.first_chunk()?);
    let len = usize::from(u16::from_le_bytes(*fixed.get(10..)?.first_chunk()?));
    let sealed = rest.get(..len)?;
    if !fixed.starts_with(MAGIC) || *named != id.to_bytes() || version == 0 {
        return None;
    }
    let plain = keys.records.open(&head_context(fixed), sealed).ok()?;
    if version > VERSION {
        return Some(HeadFound::Newer(version));
    }
    let first = Position { offset: HEAD_BYTES, seq: 0, prev: *sealed.last_chunk()? };
    let zeroes = rest.get(len..)?.iter().all(|b| *b == 0);
    zeroes.then_some(HeadFound::Ours { version, head: decode(&plain)?, first })
}

/// (The number is of the layout of heads, which all versions share.)
fn head_context(fixed: &[u8]) -> Vec<u8> {
    [b"raincoat journal head 1".as_slice(), fixed].concat()
}

/// Encodes a body (postcard 1).
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, JournalError> {
    postcard::to_allocvec(value).map_err(|_| JournalError::TooLarge(0))
}

/// Decodes a body; `None` where bytes are missing or left over.
pub(crate) fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // However a later version's records look, its head opens, and tells.
    #[test]
    fn a_later_head_is_no_damage_and_a_damaged_one_is_no_later_one() {
        let key = SealKey::from_bytes([3; 32]);
        let (keys, id) = (JournalKeys::new(&key, &key), Ulid(5));
        let head = Head { created: Timestamp::default(), after: None };
        let (ours, first) = write_head(&keys, id, &head).unwrap();
        assert_eq!(read_head(&keys, id, &ours), HeadFound::Ours { version: VERSION, head: head.clone(), first });
        let mut later = ours[..32].to_vec();
        later[8] = 9;
        let sealed = keys.records.seal(&head_context(&later), &encode(&head).unwrap()).unwrap();
        later.extend_from_slice(&sealed);
        later.resize(HEAD_BYTES as usize, 0);
        assert_eq!(read_head(&keys, id, &later), HeadFound::Newer(9));
        let mut damaged = ours;
        damaged[8] = 9;
        assert_eq!(read_head(&keys, id, &damaged), HeadFound::Damaged);
    }
}
