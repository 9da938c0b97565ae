//! Long chunk lists. A file of 2 GB has over 30,000 chunks: its list is kept as content itself, in pieces that end where
//! their content says so, and what names the file names those pieces. So a change to a large file costs the chunks that
//! changed, the piece of the list that names them, and little else.
//!
//! In a list, an entry of no length stands for a piece of it: the entries that lie from its offset on are the stored
//! content with that address (postcard of `Vec<Chunk>`, offsets counted from the entry's own). Pieces may hold such
//! entries in turn.

use raincoat_types::{Change, Chunk, ChunkId, Content, FileContent, Image, Intent, OpResult};

use crate::JournalError;
use crate::format::{decode, encode};

/// A list of no more entries than this stays where it is.
const SHORT: usize = 48;
/// Entries in a piece: least, usual, most.
const LEAST: usize = 32;
const USUAL: u8 = 128;
const MOST: usize = 512;
/// Pieces within pieces: enough for 2^60 bytes.
pub(crate) const DEPTH: usize = 6;
/// Entries in one list: enough for a file of 4 TiB.
const ENTRIES: usize = 1 << 24;

/// Whether an entry stands for a piece of the list.
pub(crate) fn is_piece(chunk: &Chunk) -> bool {
    chunk.len == 0
}

/// Stores all but the top of a long list; the top is what is left in the content. `put` stores one piece.
pub(crate) fn fold(
    content: &mut FileContent,
    put: &mut dyn FnMut(Vec<u8>) -> Result<ChunkId, JournalError>,
) -> Result<(), JournalError> {
    while content.chunks.len() > SHORT {
        let mut top = Vec::new();
        let mut rest = content.chunks.as_slice();
        while let Some(first) = rest.first() {
            let (piece, after) = rest.split_at(end_of_piece(rest));
            let relative = |chunk: &Chunk| Chunk { offset: chunk.offset - first.offset, ..*chunk };
            let bytes = encode(&piece.iter().map(relative).collect::<Vec<Chunk>>())?;
            top.push(Chunk { offset: first.offset, len: 0, id: put(bytes)? });
            rest = after;
        }
        content.chunks = top;
    }
    Ok(())
}

fn end_of_piece(entries: &[Chunk]) -> usize {
    let ends = |chunk: &Chunk| chunk.id.0.first().is_some_and(|byte| byte % USUAL == 0);
    let found = entries.iter().skip(LEAST - 1).position(ends).map_or(entries.len(), |at| at + LEAST);
    found.min(MOST)
}

/// The whole list again. `read` gives the bytes of a piece. `None` where a piece is not what [`fold`] stores.
pub(crate) fn unfold<E>(
    content: &mut FileContent,
    read: &mut dyn FnMut(ChunkId) -> Result<Vec<u8>, E>,
) -> Result<Option<()>, E> {
    let mut depth = 0;
    while content.chunks.iter().any(is_piece) {
        depth += 1;
        if depth > DEPTH {
            return Ok(None);
        }
        let mut all = Vec::new();
        for entry in &content.chunks {
            if !is_piece(entry) {
                all.push(*entry);
                continue;
            }
            let Some(piece) = decode::<Vec<Chunk>>(&read(entry.id)?) else { return Ok(None) };
            for chunk in piece {
                let Some(offset) = chunk.offset.checked_add(entry.offset) else { return Ok(None) };
                all.push(Chunk { offset, ..chunk });
            }
            if all.len() > ENTRIES {
                return Ok(None);
            }
        }
        content.chunks = all;
    }
    Ok(Some(()))
}

/// The file contents that an intent names.
pub(crate) fn of_intent(intent: &mut Intent) -> Vec<&mut FileContent> {
    let images: Vec<&mut Image> = match &mut intent.change {
        Change::Create { after, .. } => vec![after],
        Change::Replace { before, after, .. } => vec![before, after],
        Change::Remove { before, .. } => vec![before],
        Change::Move { image, .. } | Change::Link { image, .. } => vec![image],
        Change::SetMeta { .. } => vec![],
    };
    images.into_iter().filter_map(of_image).collect()
}

/// The file content that an outcome names.
pub(crate) fn of_result(result: &mut OpResult) -> Option<&mut FileContent> {
    match result {
        OpResult::Done { after: Some(image), .. } => of_image(image),
        _ => None,
    }
}

fn of_image(image: &mut Image) -> Option<&mut FileContent> {
    match &mut image.content {
        Content::File(content) => Some(content),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use proptest::prelude::*;
    use raincoat_types::Digest;

    use super::*;

    fn id(seed: u64, n: usize) -> ChunkId {
        ChunkId(*blake3::hash(&[seed.to_le_bytes(), (n as u64).to_le_bytes()].concat()).as_bytes())
    }

    fn list(seed: u64, len: usize) -> FileContent {
        let chunks = (0..len).map(|n| Chunk { offset: n as u64 * 70_000, len: 65_000, id: id(seed, n) }).collect();
        FileContent { digest: Digest([1; 32]), chunks, stored: true }
    }

    fn folded(content: &FileContent, store: &mut HashMap<ChunkId, Vec<u8>>) -> FileContent {
        let mut content = content.clone();
        fold(&mut content, &mut |bytes| {
            let id = ChunkId(*blake3::hash(&bytes).as_bytes());
            store.insert(id, bytes);
            Ok(id)
        })
        .unwrap();
        content
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_folded_unfolds(seed: u64, len in 0..30_000_usize) {
            let (whole, mut store) = (list(seed, len), HashMap::new());
            let mut content = folded(&whole, &mut store);
            prop_assert!(content.chunks.len() <= SHORT);
            let read = &mut |id| Ok::<_, Infallible>(store[&id].clone());
            prop_assert_eq!(unfold(&mut content, read).unwrap(), Some(()));
            prop_assert_eq!(content, whole);
        }

        #[test]
        fn any_piece_is_taken(bytes: Vec<u8>) {
            let mut content = FileContent { chunks: vec![Chunk { offset: 9, len: 0, id: id(0, 0) }], ..list(0, 0) };
            let _ = unfold(&mut content, &mut |_| Ok::<_, Infallible>(bytes.clone()));
        }
    }

    #[test]
    fn an_insertion_in_a_long_list_costs_a_piece_or_two() {
        let (mut whole, mut store) = (list(3, 30_000), HashMap::new());
        folded(&whole, &mut store);
        let pieces = store.len();
        for chunk in &mut whole.chunks[10_000..] {
            chunk.offset += 100;
        }
        whole.chunks.insert(10_000, Chunk { offset: 700_000_000, len: 100, id: id(4, 0) });
        folded(&whole, &mut store);
        assert!(pieces > 100 && store.len() - pieces <= 5, "{pieces} {}", store.len());
    }

    #[test]
    fn a_piece_that_holds_itself_ends() {
        let inner = Chunk { offset: 0, len: 0, id: id(0, 0) };
        let mut content = FileContent { chunks: vec![inner], ..list(0, 0) };
        let bytes = encode(&vec![inner; 2]).unwrap();
        assert_eq!(unfold(&mut content, &mut |_| Ok::<_, Infallible>(bytes.clone())), Ok(None));
    }
}
