//! Content out of the store, for many files in a row: the next pieces are read and opened while those before them are
//! written, across the files' borders, so that twenty thousand small files do not wait for the store one by one.

use std::collections::VecDeque;

use raincoat_types::{ChunkId, FileContent};

use crate::recorder::{Answer, Recorder};

/// Bytes of content that are asked of the store at once.
const TOGETHER: u64 = 1 << 20;
/// Pieces that are asked for at once, however small.
const PIECES: usize = 64;
/// Questions that are under way.
const FLYING: usize = 2;

/// A piece of a file: the file's number, and where the store has it.
type Wanted = (usize, ChunkId, u32);
/// What the store says of each piece of a question.
type Pieces = Answer<Vec<Result<Vec<u8>, String>>>;

/// Pieces of numbered files, in the order in which they will be asked for.
pub(crate) struct Ahead {
    rest: VecDeque<Wanted>,
    flying: VecDeque<(Vec<usize>, Pieces)>,
    here: VecDeque<(usize, Result<Vec<u8>, String>)>,
}

impl Ahead {
    /// Nothing is asked of the store before the first [`Ahead::next`].
    pub(crate) fn new<'a>(files: impl Iterator<Item = (usize, &'a FileContent)>) -> Ahead {
        let rest =
            files.flat_map(|(file, content)| content.chunks.iter().map(move |at| (file, at.id, at.len))).collect();
        Ahead { rest, flying: VecDeque::new(), here: VecDeque::new() }
    }

    /// The next piece of a file. What was not taken of files before it is passed over.
    ///
    /// # Errors
    /// In words, where the store cannot give it.
    pub(crate) fn next(&mut self, recorder: &Recorder, file: usize) -> Result<Vec<u8>, String> {
        loop {
            while let Some((of, piece)) = self.here.pop_front() {
                if of == file {
                    return piece;
                }
            }
            self.ask(recorder);
            let Some((files, answer)) = self.flying.pop_front() else {
                return Err("the content has no more pieces".to_owned());
            };
            self.here = files.into_iter().zip(answer.wait()?).collect();
        }
    }

    fn ask(&mut self, recorder: &Recorder) {
        while self.flying.len() < FLYING && !self.rest.is_empty() {
            let mut bytes = 0;
            let fits = |(_, _, len): &&Wanted| {
                bytes += u64::from(*len);
                bytes <= TOGETHER
            };
            let some = self.rest.iter().take(PIECES).take_while(fits).count().max(1);
            let (files, ids) = self.rest.drain(..some).map(|(file, id, _)| (file, id)).unzip();
            self.flying.push_back((files, recorder.read_chunks(ids)));
        }
    }
}
