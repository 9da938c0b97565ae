//! The journal by itself, and the plain program that makes as many bytes durable. `cargo xtask bench` runs this; the
//! way of asking is `raincoat_testkit::measure`'s.
//!
//! - `measure serve DIR` answers `intend`, `image SIZE`, `known SIZE`, and `plain SIZE`, all sizes in bytes.
//! - `measure fill DATA OPERATIONS` puts operations into the store of a home whose keys are in a key file, as runs of
//!   its newest run's folder.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark: it makes its own scratch files, reads the clock, and plays the plain program"
)]

mod fill;
mod made;
mod plain;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use raincoat_journal::{CHUNK_BYTES, Journal, JournalKeys};
use raincoat_os::{PrivateDir, SystemClock};
use raincoat_seal::SealKey;
use raincoat_testkit::measure::{Result, ended, lazily, random, said, serve, settle, unknown};
use raincoat_types::{Chunk, Digest, FileContent, OpId, OpResult, RunEnd, RunId, RunStatus};

use made::Folder;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    ended(match words.as_slice() {
        ["serve", dir, ..] => answer(Path::new(dir)),
        ["fill", data, operations, ..] => {
            operations.parse().map_err(said).and_then(|count| fill::fill(Path::new(data), count))
        }
        // As `cargo bench` runs it.
        _ => {
            println!("measured by `cargo xtask bench`");
            Ok(())
        }
    })
}

fn answer(dir: &Path) -> Result<()> {
    let (mut ours, mut peer) = (None, None);
    serve(|words| match words {
        ["plain", size] => {
            let peer = lazily(&mut peer, || plain::Preallocated::new(dir))?;
            peer.write(&random(size.parse().map_err(said)?)?)
        }
        _ => lazily(&mut ours, || Ours::new(dir))?.measure(words),
    })?;
    ours.map_or(Ok(()), Ours::end)
}

/// A journal with a run under way.
struct Ours {
    dir: std::path::PathBuf,
    journal: Journal,
    folder: Folder,
    run: RunId,
    seq: u32,
    known: Option<FileContent>,
}

impl Ours {
    fn new(dir: &Path) -> Result<Ours> {
        let key = SealKey::from_bytes([7; 32]);
        let keys = JournalKeys::new(&key.derive("journal"), &key.derive("index"));
        let place = PrivateDir::open_or_create(&dir.join("store")).map_err(said)?;
        let (mut journal, _) = Journal::open(place, keys, &SystemClock).map_err(said)?;
        let folder = Folder::of_nobody()?;
        let run = folder.begin(&mut journal, "be measured")?;
        Ok(Ours { dir: dir.to_owned(), journal, folder, run, seq: 0, known: None })
    }

    fn measure(&mut self, words: &[&str]) -> Result<Duration> {
        match words {
            // The intent of a move, which needs no content.
            ["intend"] => self.acknowledged(|_, folder, op| folder.moving(op)),
            // A before-image that the store has never seen, and the intent of the change that destroys it.
            ["image", size] => {
                let bytes = random(size.parse().map_err(said)?)?;
                let digest = Digest([9; 32]);
                self.acknowledged(|journal, folder, op| {
                    let content = stored(journal, &bytes, digest)?;
                    folder.replacing(op, content)
                })
            }
            // The same where the store has the content.
            ["known", size] => {
                let size: u64 = size.parse().map_err(said)?;
                if self.known.as_ref().is_none_or(|known| made::length(known) != size) {
                    let bytes = random(usize::try_from(size).map_err(said)?)?;
                    let mut digest = Digest([0; 32]);
                    digest.0.copy_from_slice(&random(32)?);
                    let content = stored(&mut self.journal, &bytes, digest)?;
                    self.known = Some(content.clone());
                    // The store knows by its digest what an intent has carried.
                    self.acknowledged(|_, folder, op| folder.replacing(op, content))?;
                }
                let digest = self.known.as_ref().map(|known| known.digest).unwrap_or(Digest([0; 32]));
                self.acknowledged(|journal, folder, op| {
                    let content = journal.lookup(&digest).map_err(said)?.ok_or("the store has lost its content")?;
                    folder.replacing(op, content)
                })
            }
            _ => Err(unknown(words.join(" "))),
        }
    }

    /// How long it takes until an intent is durable, with all that it needs.
    fn acknowledged(
        &mut self,
        make: impl FnOnce(&mut Journal, &Folder, OpId) -> Result<raincoat_types::Intent>,
    ) -> Result<Duration> {
        self.seq += 1;
        let op = OpId { run: self.run, seq: self.seq };
        settle(&self.dir)?;
        let start = Instant::now();
        let intent = make(&mut self.journal, &self.folder, op)?;
        self.journal.intend(&[intent]).map_err(said)?;
        let took = start.elapsed();
        let outcome = OpResult::NotDone("measured only".to_owned());
        self.journal.conclude(&[(op, outcome)]).map_err(said)?;
        // As its thread does when nothing is asked of it.
        self.journal.make_ready();
        Ok(took)
    }

    /// Ends in good order, so that what was measured was a store that holds.
    fn end(mut self) -> Result<()> {
        let at = made::now();
        let end = RunEnd { run: self.run, at, status: RunStatus::Done, summary: String::new() };
        self.journal.end_run(&end).map_err(said)
    }
}

/// Puts content into the store.
fn stored(journal: &mut Journal, bytes: &[u8], digest: Digest) -> Result<FileContent> {
    let mut chunks = Vec::new();
    let mut offset = 0;
    for piece in bytes.chunks(CHUNK_BYTES) {
        let id = journal.put_chunk(piece).map_err(said)?;
        let len = u32::try_from(piece.len()).map_err(said)?;
        chunks.push(Chunk { offset, len, id });
        offset += u64::from(len);
    }
    Ok(FileContent { digest, chunks, stored: true })
}
