//! Fetching content in windows, and showing a window of it as text.

use raincoat_types::{Digest, FileRead, Limits, Outcome, Place, ReadDone};

use crate::extract;
use crate::keeper::{Keeper, Lost};

use super::memory::Memory;
use super::words;

/// Bytes of a document that are fetched to take its text out.
const DOCUMENT_BYTES: u64 = 64 << 20;
/// Bytes at a file's beginning in which a NUL tells that it is binary (as Git and ripgrep do).
const BINARY_PROBE: usize = 8_000;

/// What a file held.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Got {
    /// Bytes from `offset`.
    pub bytes: Vec<u8>,
    /// Where they begin.
    pub offset: u64,
    /// The whole file's size.
    pub size: u64,
    /// The digest of the whole file, where it is known.
    pub digest: Option<Digest>,
}

/// How much of a file is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    /// All of it, up to this many bytes.
    All(u64),
    /// To be shown, from this byte of its text.
    Shown(u64),
}

/// Fetches files: their first windows in one batch, whatever else is wanted of them in a second.
///
/// # Errors
/// [`Lost`]; what went wrong with one file is in its own place, in words.
pub(crate) fn fetch(
    keeper: &mut dyn Keeper,
    wants: &[(Place, Want)],
    limits: &Limits,
) -> Result<Vec<Result<Got, String>>, Lost> {
    if wants.is_empty() {
        return Ok(Vec::new());
    }
    let first = |(at, _): &(Place, Want)| FileRead::Read { at: at.clone(), offset: 0, len: limits.read_window };
    let outcomes = keeper.read(wants.iter().map(first).collect())?;
    let mut all: Vec<Result<Got, String>> = outcomes.into_iter().map(bytes_of).collect();
    let mut more = Vec::new();
    let mut owners = Vec::new();
    for (number, ((at, want), got)) in wants.iter().zip(&mut all).enumerate() {
        let Ok(found) = got else { continue };
        let asked = match rest_of(at, *want, found, limits) {
            Ok(asked) => asked,
            Err(words) => {
                *got = Err(words);
                continue;
            }
        };
        owners.extend(std::iter::repeat_n(number, asked.len()));
        more.extend(asked);
    }
    if more.is_empty() {
        return Ok(all);
    }
    let outcomes = keeper.read(more.clone())?;
    for ((asked, number), outcome) in more.into_iter().zip(owners).zip(outcomes) {
        let Some(got) = all.get_mut(number) else { continue };
        let shown = matches!(wants.get(number), Some((_, Want::Shown(_))));
        if let Ok(found) = got
            && let Err(words) = add(found, &asked, outcome, shown)
        {
            *got = Err(words);
        }
    }
    for (got, (_, want)) in all.iter_mut().zip(wants) {
        if let Ok(found) = got
            && found.offset == 0
            && found.bytes.len() as u64 == found.size
        {
            // What is held is what counts: a file read in windows may have changed in between.
            found.digest = Some(Digest(*blake3::hash(&found.bytes).as_bytes()));
        } else if let (Ok(found), Want::All(_)) = (&*got, want) {
            *got = Err(format!(
                "the file changed while it was read ({} bytes of {}); try again",
                found.bytes.len(),
                found.size
            ));
        }
    }
    Ok(all)
}

/// What else must be read of a file after its first window.
fn rest_of(at: &Place, want: Want, first: &Got, limits: &Limits) -> Result<Vec<FileRead>, String> {
    let had = first.bytes.len() as u64;
    if had >= first.size {
        return Ok(Vec::new());
    }
    let whole = |limit: u64| {
        if first.size > limit {
            return Err(format!("the file has {} bytes, more than the {limit} that can be taken in", first.size));
        }
        let step = had.max(1);
        let window = |offset| FileRead::Read { at: at.clone(), offset, len: limits.read_window };
        let mut offsets = Vec::new();
        let mut offset = had;
        while offset < first.size && offsets.len() < 65_536 {
            offsets.push(window(offset));
            offset += step;
        }
        Ok(offsets)
    };
    match want {
        Want::All(limit) => whole(limit),
        Want::Shown(_) if is_binary(&first.bytes) => {
            if first.size > DOCUMENT_BYTES {
                Ok(Vec::new())
            } else {
                whole(DOCUMENT_BYTES)
            }
        }
        Want::Shown(offset) => Ok(vec![
            FileRead::Hash { at: at.clone() },
            FileRead::Read { at: at.clone(), offset, len: limits.read_window },
        ]),
    }
}

fn add(found: &mut Got, asked: &FileRead, outcome: Outcome, shown: bool) -> Result<(), String> {
    if let Outcome::Read(ReadDone::Hash(digest)) = outcome {
        found.digest = Some(digest);
        return Ok(());
    }
    let FileRead::Read { offset, .. } = asked else { return Ok(()) };
    let got = bytes_of(outcome)?;
    if shown && !is_binary(&found.bytes) {
        found.bytes = got.bytes;
        found.offset = *offset;
    } else if found.bytes.len() as u64 == *offset {
        found.bytes.extend_from_slice(&got.bytes);
    }
    found.size = got.size;
    Ok(())
}

fn bytes_of(outcome: Outcome) -> Result<Got, String> {
    match outcome {
        Outcome::Read(ReadDone::Bytes { bytes, size, digest }) => Ok(Got { bytes, offset: 0, size, digest }),
        Outcome::Refused(refusal) => Err(words::refused(&refusal)),
        Outcome::Failed(failure) => Err(words::failed(&failure)),
        _ => Err("failed: the answer does not fit the question".to_owned()),
    }
}

/// Whether it is read through the extractor: binary, or a document that looks like text.
fn is_binary(bytes: &[u8]) -> bool {
    bytes.get(..BINARY_PROBE).unwrap_or(bytes).contains(&0)
        || bytes.starts_with(b"%PDF-")
        || bytes.starts_with(b"{\\rtf")
}

/// A window of a file's text, of at most `room` bytes from `offset`, and a few words for the record. What the model
/// is shown goes into its memory.
///
/// # Errors
/// In words, where there is no text in the file.
pub(crate) fn show(
    name: &str,
    at: &Place,
    got: &Got,
    (offset, room): (u64, usize),
    memory: &mut Memory,
) -> Result<(String, String), String> {
    let size = got.size;
    let past = |size: u64| format!("offset {offset} is past the end: `{name}` has {size} bytes of text");
    if is_binary(&got.bytes) && got.offset == 0 {
        memory.opaque(at.clone());
        if (got.bytes.len() as u64) < size {
            return Err(format!("the file is binary and has {size} bytes: too large to take any text out of it"));
        }
        let file = at.path.0.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let found = extract::text(file, &got.bytes, &extract::ExtractLimits::default())
            .map_err(|e| format!("the file is binary ({size} bytes), and no text could be taken out of it: {e}"))?;
        let total = found.text.len() as u64;
        if offset > 0 && offset >= total {
            return Err(past(total));
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = found.text.as_bytes().get(from..).unwrap_or_default();
        let piece = window(rest, room);
        let mut head = header(name, offset, piece.len() as u64, total, " of its text");
        if found.truncated {
            head.push_str(" (the document holds more text than is taken out)");
        }
        for warning in &found.warnings {
            head.push_str(&format!(" ({warning})"));
        }
        let text = String::from_utf8_lossy(piece);
        return Ok((format!("{head}\n{text}"), format!("{} bytes of text", piece.len())));
    }
    if offset > 0 && offset >= size {
        return Err(past(size));
    }
    let from = usize::try_from(offset.saturating_sub(got.offset)).unwrap_or(usize::MAX);
    let rest = got.bytes.get(from..).unwrap_or_default();
    let piece = window(rest, room);
    if let Some(digest) = got.digest {
        memory.window(at.clone(), digest, offset, offset + piece.len() as u64, size);
    }
    let mut head = header(name, offset, piece.len() as u64, size, "");
    let text = String::from_utf8_lossy(piece);
    if matches!(text, std::borrow::Cow::Owned(_)) {
        head.push_str(" (not all of it is UTF-8: `\u{fffd}` stands for other bytes)");
    }
    Ok((format!("{head}\n{text}"), format!("{} bytes", piece.len())))
}

/// At most `room` bytes, cut after a line where there is one, else before a character.
fn window(bytes: &[u8], room: usize) -> &[u8] {
    let Some(piece) = bytes.get(..room).filter(|_| bytes.len() > room) else { return bytes };
    if let Some(line) = piece.iter().rposition(|b| *b == b'\n').filter(|line| *line >= room / 2) {
        return piece.get(..=line).unwrap_or(piece);
    }
    let mut end = piece.len();
    while end > piece.len().saturating_sub(4) && bytes.get(end).is_some_and(|b| b & 0xc0 == 0x80) {
        end -= 1;
    }
    piece.get(..end.max(1)).unwrap_or(piece)
}

fn header(name: &str, offset: u64, len: u64, size: u64, of: &str) -> String {
    let end = offset + len;
    if offset == 0 && end >= size {
        return format!("`{name}`, all {size} bytes{of}:");
    }
    let next = if end < size { format!("; go on with offset={end}") } else { String::new() };
    format!("`{name}`, bytes {offset} to {end} of {size}{of}{next}:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_after_a_line_or_before_a_character() {
        assert_eq!(window(b"aaa\nbbb\nccc", 9), b"aaa\nbbb\n");
        assert_eq!(window("ééé".as_bytes(), 3), "é".as_bytes());
        assert_eq!(window(b"abc", 10), b"abc");
        assert_eq!(window(b"\n1234567890", 5), b"\n1234");
    }
}
