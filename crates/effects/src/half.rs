//! Whether a file is what a write in place leaves when it is cut short: each block of it old, new or empty.

use std::os::fd::BorrowedFd;

use raincoat_os::state;
use raincoat_types::{Content, FileContent, Image};

use crate::recorder::Recorder;

/// What the kernel writes back at once, and a power cut keeps or loses whole.
const BLOCK: usize = 512;
/// What is compared at once.
const WINDOW: u64 = 1 << 20;

/// Compares an open file with the old and the new content, block by block. `false` too where one of the two is not in
/// the store: then it cannot be told from somebody's own.
///
/// # Errors
/// In words.
pub(crate) fn is_half_written(
    recorder: &Recorder,
    fd: BorrowedFd<'_>,
    before: &Image,
    after: &Image,
) -> Result<bool, String> {
    let (Content::File(old), Content::File(new)) = (&before.content, &after.content) else { return Ok(false) };
    if !old.stored || !new.stored {
        return Ok(false);
    }
    let size = state::stat_fd(fd).map_err(|e| e.to_string())?.size;
    if size > before.meta.size.max(after.meta.size) {
        return Ok(false);
    }
    let mut at = 0;
    while at < size {
        let len = usize::try_from(WINDOW.min(size - at)).unwrap_or(0);
        let mut now = vec![0; len];
        if state::read_at(fd, &mut now, at).map_err(|e| e.to_string())? != len {
            return Ok(false);
        }
        let (old, new) = (window(recorder, old, at, len)?, window(recorder, new, at, len)?);
        let blocks = now.chunks(BLOCK).zip(old.chunks(BLOCK).zip(new.chunks(BLOCK)));
        for (now, (old, new)) in blocks {
            if !is_mixed(now, old, new) {
                return Ok(false);
            }
        }
        at += len as u64;
    }
    Ok(true)
}

/// New from the start up to some byte, then old; or empty, where the file was cut and grew again.
fn is_mixed(now: &[u8], old: &[u8], new: &[u8]) -> bool {
    if now.iter().all(|b| *b == 0) {
        return true;
    }
    let same = now.iter().zip(new).take_while(|(now, new)| now == new).count();
    let rest = now.get(same..).unwrap_or_default();
    Some(rest) == old.get(same..) || rest.iter().all(|b| *b == 0)
}

/// `len` bytes of stored content from `at` on; zeroes where it has a hole or has ended.
fn window(recorder: &Recorder, content: &FileContent, at: u64, len: usize) -> Result<Vec<u8>, String> {
    let mut out = vec![0; len];
    let end = at + len as u64;
    let from = content.chunks.partition_point(|chunk| chunk.offset + u64::from(chunk.len) <= at);
    for chunk in content.chunks.iter().skip(from).take_while(|chunk| chunk.offset < end) {
        let bytes = recorder.read_chunk(chunk.id)?;
        // It may begin before the window, and end behind it.
        let skip = usize::try_from(at.saturating_sub(chunk.offset)).unwrap_or(usize::MAX);
        let start = usize::try_from(chunk.offset.saturating_sub(at)).unwrap_or(usize::MAX);
        let part = bytes.get(skip..).unwrap_or_default();
        for (to, from) in out.iter_mut().skip(start).zip(part) {
            *to = *from;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_new_and_empty_are_a_mixture_and_other_bytes_are_not() {
        let (old, new) = (b"aaaaaaaa".as_slice(), b"bbbbbbbb".as_slice());
        for ours in [old, new, b"bbbaaaaa", b"\0\0\0\0\0\0\0\0", b"bbb\0\0\0\0\0", b"aaaa"] {
            assert!(is_mixed(ours, old.get(..ours.len()).unwrap(), new), "{ours:?}");
        }
        for theirs in [b"aaabbbbb".as_slice(), b"cccccccc", b"bbbacaaa"] {
            assert!(!is_mixed(theirs, old, new), "{theirs:?}");
        }
    }
}
