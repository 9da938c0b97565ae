//! Plain text in whatever encoding it is.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::{ExtractError, Out};

/// Bytes that the encoding is guessed from.
const GUESSED_FROM: usize = 256 << 10;

pub(super) fn read(bytes: &[u8], out: &mut Out) -> Result<(), ExtractError> {
    // Every encoding here takes at most four bytes for one of UTF-8's, so more input than this cannot be wanted.
    let wanted = bytes.len().min(out.limit.saturating_mul(4).saturating_add(4));
    let part = bytes.get(..wanted).unwrap_or_default();
    let text = decode(part).ok_or(ExtractError::Unsupported)?;
    out.push(&text);
    out.truncated |= wanted < bytes.len();
    Ok(())
}

/// The text, or `None` where the bytes are none.
pub(super) fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return Some(encoding.decode_without_bom_handling(bytes.get(mark..)?).0);
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        return Some(encoding.decode_without_bom_handling(bytes).0);
    }
    let start = bytes.get(..bytes.len().min(GUESSED_FROM)).unwrap_or_default();
    let odd = start.iter().filter(|b| matches!(b, 0..=8 | 14..=26 | 28..=31 | 127)).count();
    if start.contains(&0) || odd * 50 > start.len() {
        return None;
    }
    if let Some(text) = utf8(bytes) {
        return Some(text);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(start, true);
    Some(detector.guess(None, Utf8Detection::Deny).decode_without_bom_handling(bytes).0)
}

/// UTF-8, where at most the last character is cut.
fn utf8(bytes: &[u8]) -> Option<Cow<'_, str>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.into()),
        Err(e) if e.error_len().is_none() => std::str::from_utf8(bytes.get(..e.valid_up_to())?).ok().map(Cow::Borrowed),
        Err(_) => None,
    }
}

/// UTF-16 by the zeroes of its ASCII letters: nearly all high bytes are zero, hardly a low one.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
    let (pairs, _) = start.as_chunks::<2>();
    let first = pairs.iter().filter(|[first, _]| *first == 0).count();
    let second = pairs.iter().filter(|[_, second]| *second == 0).count();
    let all = pairs.len();
    match all >= 4 {
        true if first * 10 >= all * 7 && second * 50 <= all => Some(UTF_16BE),
        true if second * 10 >= all * 7 && first * 50 <= all => Some(UTF_16LE),
        _ => None,
    }
}
