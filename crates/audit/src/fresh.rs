//! What is written when the live file is made or replaced: a new live file, and the tiles and bundles that the old
//! one's entries fill.

use std::io;
use std::ops::Range;

use raincoat_os::PrivateDir;

use crate::AuditError;
use crate::compact::CompactRange;
use crate::hash::{Hash, root_of};
use crate::live::{Kind, Preamble, Start, push_frame};
use crate::log::CHECKPOINT;
use crate::minimum::MINIMUM;
use crate::note::Checkpoint;
use crate::reader::{Keys, LIVE, Snapshot};
use crate::subjects::SUBJECTS;
use crate::tile::{LEVELS, Level, TILE_WIDTH, TilePath, edge_of, encode_hashes, push_entry};

/// Bytes of a fresh live file, all of them written: a later sync within them carries data only.
const LIVE_BYTES: u64 = 1 << 20;

/// Bytes that it is made with at most, but for a batch that needs more. It is read whole when the log is opened.
pub(crate) const LIVE_MOST: u64 = 8 << 20;

/// Makes a log without entries where there is none, and never where one seems to have been.
pub(crate) fn create(dir: &PrivateDir, keys: &Keys, known: Option<(&str, &Checkpoint)>) -> Result<(), AuditError> {
    let creating = AuditError::io("make the audit log");
    if let Some((who, head)) = known {
        return Err(AuditError::RolledBack { log: 0, head: head.size, memory: who.to_owned() });
    }
    let note = keys.sign(0, CompactRange::new().root());
    let names = dir.names().map_err(&creating)?;
    let published = dir.read(CHECKPOINT, 1 << 16).map_err(&creating)?;
    if names.iter().any(|name| name == "tile") || published.is_some_and(|published| published != note.as_bytes()) {
        return Err(AuditError::Damaged(format!("`{LIVE}` is missing")));
    }
    // Published first, so that a log without a checkpoint is never the doing of a crash.
    dir.replace(CHECKPOINT, note.as_bytes()).map_err(&creating)?;
    let mut bytes =
        fresh_live(Start { size: 0, edge: vec![Vec::new(); usize::from(LEVELS) - 1], note }).map_err(&creating)?;
    fill(&mut bytes, 0, 0);
    dir.replace(LIVE, &bytes).map_err(&creating)
}

/// Takes away what a replacement that was cut off left behind.
pub(crate) fn clean(dir: &PrivateDir) -> io::Result<()> {
    for name in dir.names()? {
        let leftover =
            |name: &&str| [LIVE, CHECKPOINT, SUBJECTS, MINIMUM].iter().any(|of| name.starts_with(&format!(".{of}.")));
        if let Some(name) = name.to_str().filter(leftover) {
            dir.remove(name)?;
        }
    }
    Ok(())
}

/// The first bytes of a new live file.
pub(crate) fn fresh_live(start: Start) -> io::Result<Vec<u8>> {
    let mut generation = [0; 16];
    raincoat_os::fill_random(&mut generation)?;
    let mut bytes = Preamble { generation, suspect: false }.encode().to_vec();
    push_frame(&mut bytes, Kind::Start, &start.encode());
    Ok(bytes)
}

/// Zeroes after the records: they are really written, because space that is only reserved costs a journal commit at
/// the first sync of each new page.
pub(crate) fn fill(bytes: &mut Vec<u8>, room: usize, least: u64) {
    let wanted = ((bytes.len() + room) as u64 + LIVE_BYTES / 2).next_multiple_of(LIVE_BYTES).max(least);
    bytes.resize(usize::try_from(wanted).unwrap_or(usize::MAX), 0);
}

/// Tiles and bundles that are full with the signed entries of the live file, the number of entries in full tiles then,
/// and the edge above them.
#[expect(clippy::type_complexity, reason = "one caller, which takes it apart at once")]
pub(crate) fn full_tiles(
    snapshot: &Snapshot,
    signed: u64,
) -> io::Result<(Vec<(TilePath, Vec<u8>)>, u64, Vec<Vec<Hash>>)> {
    let (mut files, mut size) = (Vec::new(), snapshot.live.start.size);
    let mut edge = snapshot.live.start.edge.clone();
    while size + TILE_WIDTH <= signed {
        let index = size / TILE_WIDTH;
        let (bundle, mut row) = bundle_of(snapshot, size..size + TILE_WIDTH)?;
        files.push((TilePath::full(Level::Entries, index), bundle));
        size += TILE_WIDTH;
        files.push((TilePath::full(Level::Hashes(0), index), encode_hashes(&row)));
        for (level, above) in (1_u8..).zip(&mut edge) {
            above.push(root_of(&row));
            if above.len() < 256 {
                break;
            }
            row = std::mem::take(above);
            let index = edge_of(size, level).0 - 1;
            files.push((TilePath::full(Level::Hashes(level), index), encode_hashes(&row)));
        }
    }
    Ok((files, size, edge))
}

/// The bundle of these entries of the live file, and their hashes.
pub(crate) fn bundle_of(snapshot: &Snapshot, range: Range<u64>) -> io::Result<(Vec<u8>, Vec<Hash>)> {
    let (mut bundle, mut leaves) = (Vec::new(), Vec::new());
    for index in range {
        let record = snapshot.record(index).ok_or(io::ErrorKind::InvalidData)?;
        let body = snapshot.bytes.get(record.body.clone()).ok_or(io::ErrorKind::InvalidData)?;
        if !push_entry(&mut bundle, body) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        leaves.push(record.leaf);
    }
    Ok((bundle, leaves))
}
