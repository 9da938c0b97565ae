//! A store that has seen much: operations by the hundred thousand, each with a before-image, recorded as runs do.

use std::path::Path;
use std::time::Instant;

use raincoat_journal::{Journal, JournalKeys};
use raincoat_os::{PrivateDir, SystemClock};
use raincoat_seal::{Keys, Unlock};
use raincoat_testkit::measure::{Result, said};
use raincoat_types::{Chunk, Digest, FileContent, OpId, OpResult, RunEnd, RunStatus};

use crate::made::{Folder, image, now};

/// Operations of each run.
const A_RUN: u32 = 1_000;
/// Intents and outcomes that share one sync, as they do in a run.
const AT_ONCE: u32 = 125;
/// Files that the operations are about, over and over.
const FILES: u32 = 50_000;
/// Bytes of each before-image.
const SIZE: usize = 64;

/// Adds `count` operations, a multiple of [`A_RUN`], and prints the seconds that it took.
pub(crate) fn fill(data: &Path, count: u32) -> Result<()> {
    let start = Instant::now();
    let data = PrivateDir::open(data).map_err(said)?;
    let keys = Keys::unlock(&data, &Unlock::KeyFile, &SystemClock).map_err(said)?;
    let place = data.dir("journal").map_err(said)?;
    let keys = JournalKeys::new(keys.journal(), keys.index());
    let (mut journal, _) = Journal::open(place, keys, &SystemClock).map_err(said)?;
    let newest = journal.runs(None, 1).map_err(said)?.into_iter().next().ok_or("the store has no run yet")?;
    let folder = Folder::of(&newest.header)?;
    for first in (0..count).step_by(A_RUN as usize) {
        let run = folder.begin(&mut journal, "a run of long ago")?;
        for batch in (1..=A_RUN).step_by(AT_ONCE as usize) {
            let ops = (batch..batch + AT_ONCE).map(|seq| OpId { run, seq });
            let mut intents = Vec::new();
            let mut outcomes = Vec::new();
            for op in ops {
                let n = first + op.seq;
                let mut bytes = [0; SIZE];
                bytes[..4].copy_from_slice(&n.to_le_bytes());
                let id = journal.put_chunk(&bytes).map_err(said)?;
                let chunk = Chunk { offset: 0, len: SIZE as u32, id };
                let before = FileContent { digest: digest(n), chunks: vec![chunk], stored: true };
                let path = format!("long-ago/{:03}/file-{:05}", n % FILES / 100, n % FILES);
                intents.push(folder.replacing_at(op, &path, before)?);
                let after = FileContent { digest: digest(n + FILES), chunks: Vec::new(), stored: false };
                let after = Some(image(SIZE as u64, after));
                outcomes.push((op, OpResult::Done { after, dirs: Vec::new() }));
            }
            journal.intend(&intents).map_err(said)?;
            journal.conclude(&outcomes).map_err(said)?;
        }
        let end = RunEnd { run, at: now(), status: RunStatus::Done, summary: String::new() };
        journal.end_run(&end).map_err(said)?;
    }
    drop(journal);
    println!("{:.1}", start.elapsed().as_secs_f64());
    Ok(())
}

/// What a file's content after its nth version is known by.
fn digest(n: u32) -> Digest {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&n.to_le_bytes());
    Digest(digest)
}
