//! Verifying the whole log: every byte read, every hash and root computed anew, every signature checked, every entry
//! opened at its place (its outer part, which vouches for the rest; all of it where `deep` is asked for), every
//! process's numbering followed, and the whole held against every memory that there is.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crate::compact::CompactRange;
use crate::hash::{Hash, leaf_hash, root_of};
use crate::live::{Ending, Kind};
use crate::log::CHECKPOINT;
use crate::memory::{Apart, Memory};
use crate::minimum::{MINIMUM, Minimum};
use crate::note::{Checkpoint, Note, NoteError};
use crate::place::{Placer, compare};
use crate::reader::{AuditReader, LIVE, Snapshot, range_of};
use crate::report::{ProblemKind, VerifyReport};
use crate::retain::end_of;
use crate::store::Found;
use crate::subjects::SlotView;
use crate::tally::{Account, Opener, Tally};
use crate::tile::{LEVELS, Level, TILE_WIDTH, TilePath, decode_entries, decode_hashes, edge_of, split_entries};
use crate::{AuditError, Care};

/// What cannot be checked where no witness is asked.
pub const UNWITNESSED: &str = "whether someone who holds the store's keys built the whole log anew, the head kept apart \
    included: only a witness in other hands can tell, and none is set up";

/// Entries of a bundle with too many that are told apart.
const OVERFULL: usize = 4096;

/// Threads that read bundles, at most.
const THREADS: usize = 8;

/// Bundles that a thread may be ahead.
const AHEAD: usize = 64;

impl AuditReader {
    /// Checks the whole log. Never fails: what goes wrong is in the report.
    pub fn verify(&self) -> VerifyReport {
        self.verify_with(false)
    }

    /// The same, and opens the payload of every entry that is not erased.
    pub fn verify_deep(&self) -> VerifyReport {
        self.verify_with(true)
    }

    fn verify_with(&self, deep: bool) -> VerifyReport {
        let mut report = VerifyReport { deep, ..VerifyReport::default() };
        // In this order, because all of these may only ever be behind the log.
        let remembered = self.remembered(&mut report);
        let published = self.published(&mut report);
        let minimum = self.minimum().unwrap_or_else(|error| {
            report.problem(ProblemKind::Changed, None, error.to_string());
            Minimum::default()
        });
        let found = self.found(&mut report);
        let loaded = self.snapshot().and_then(|snapshot| self.slots().map(|slots| (snapshot, slots)));
        match loaded {
            Ok((snapshot, slots)) => {
                let mut check = Check::new(self, &snapshot, slots, minimum, report);
                for head in published.iter().chain(remembered.iter().map(|(_, head)| head)) {
                    check.want(head.size);
                }
                check.want(snapshot.last_note().1);
                check.tiles();
                check.live();
                check.files(&found, published.as_ref());
                if let Some(head) = &published {
                    check.known(head, "the published `checkpoint`");
                }
                for (who, head) in &remembered {
                    check.known(head, who);
                }
                report = check.finish();
            }
            Err(error) => {
                report.problem(ProblemKind::Dropped, None, error.to_string());
                let heads = remembered.iter().map(|(_, head)| head).chain(&published);
                if let Some(head) = heads.max_by_key(|head| head.size) {
                    report.problem(ProblemKind::Truncated, None, format!("the log had {} entries", head.size));
                }
            }
        }
        if self.memories.known.is_empty() {
            report.unchecked.push(UNWITNESSED.to_owned());
        }
        if !deep {
            report.unchecked.push("whether every payload opens under its subjects' keys (`--deep` does)".to_owned());
        }
        report.unchecked.push("whether what the entries say is what happened".to_owned());
        report
    }

    /// Every tree head that is remembered outside the log, and who remembers it.
    fn remembered(&self, report: &mut VerifyReport) -> Vec<(String, Checkpoint)> {
        let mut heads = Vec::new();
        let memories = self.memories.places(&self.dir, &self.head_dir, &self.keys.origin).unwrap_or_else(|error| {
            report.problem(ProblemKind::Unreadable, None, error.to_string());
            Vec::new()
        });
        for memory in &memories {
            if let Some(head) = self.ask(memory, report) {
                report.checked.push(format!("against {}", memory.name()));
                heads.push((memory.name().to_owned(), head));
            }
        }
        if let Some(why) = &self.memories.folder_missing {
            report.unchecked.push(format!("against the tree head in the other folder: {why}"));
        } else if self.memories.folder.is_none() {
            report.unchecked.push(
                "against a tree head in another folder: none is set up (`[log] memory` in config.toml)".to_owned(),
            );
        }
        if !self.memories.keyring {
            report.unchecked.push("against a tree head in the kernel's keyring: it is not used".to_owned());
        }
        for known in &self.memories.known {
            report.checked.push(format!("against {}", known.who));
            let head = Checkpoint { origin: self.keys.origin.clone(), size: known.size, root: known.root };
            heads.push((known.who.clone(), head));
        }
        heads
    }

    fn ask(&self, memory: &Memory, report: &mut VerifyReport) -> Option<Checkpoint> {
        let name = memory.name();
        match memory.read(self.verifier()) {
            Apart::Head(head) => return Some(head),
            Apart::Missing if memory.is_near() => {
                report.unchecked.push("whether the log's tail was cut off: there is no tree head kept apart".to_owned())
            }
            Apart::Missing => report.unchecked.push(format!("against {name}: there is none yet")),
            Apart::OtherKey => {
                let text = format!("{name} is signed with another key than this store's");
                report.problem(ProblemKind::WrongKey, None, text);
            }
            Apart::Damaged(why) => report.problem(ProblemKind::Changed, None, format!("{name} is damaged: {why}")),
            Apart::Unreadable(why) if memory.forgets() => report.unchecked.push(format!("against {name}: {why}")),
            Apart::Unreadable(why) => {
                report.problem(ProblemKind::Unreadable, None, format!("{name} cannot be read: {why}"));
            }
        }
        None
    }

    fn published(&self, report: &mut VerifyReport) -> Option<Checkpoint> {
        match self.dir.read(CHECKPOINT, 1 << 16) {
            Ok(None) => {
                report.problem(ProblemKind::Dropped, None, format!("`{CHECKPOINT}` is missing"));
                None
            }
            Ok(Some(bytes)) => match self.verifier().open(&bytes) {
                Ok(head) => Some(head),
                Err(why) => {
                    report_note(report, &bytes, why, "the published `checkpoint`");
                    None
                }
            },
            Err(error) => {
                report.problem(ProblemKind::Unreadable, None, format!("`{CHECKPOINT}` cannot be read: {error}"));
                None
            }
        }
    }

    fn found(&self, report: &mut VerifyReport) -> Vec<Found> {
        let store = self.dir.try_clone().map(crate::store::Store::new);
        store.and_then(|store| store.walk()).unwrap_or_else(|error| {
            report.problem(ProblemKind::Unreadable, None, format!("`tile` cannot be listed: {error}"));
            Vec::new()
        })
    }
}

/// One pass over the log.
struct Check<'a> {
    reader: &'a AuditReader,
    snapshot: &'a Snapshot,
    report: VerifyReport,
    range: CompactRange,
    /// Sizes at which the root is wanted, and the roots.
    wanted: BTreeMap<u64, Option<Hash>>,
    minimum: Minimum,
    slots: SlotView,
    opener: Opener<'a>,
    account: Account,
    placer: Placer<'a>,
}

/// A full bundle that is what its tile says, read by a thread.
struct Bundle {
    row: Vec<Hash>,
    root: Hash,
    tally: Tally,
}

impl<'a> Check<'a> {
    fn new(
        reader: &'a AuditReader,
        snapshot: &'a Snapshot,
        slots: SlotView,
        minimum: Minimum,
        report: VerifyReport,
    ) -> Check<'a> {
        let sealer = &reader.keys.sealer;
        Check {
            reader,
            snapshot,
            opener: Opener::new(sealer, slots.clone(), report.deep),
            report,
            range: CompactRange::new(),
            wanted: BTreeMap::from([(0, Some(CompactRange::new().root()))]),
            account: Account::new(minimum.index == 0),
            minimum,
            slots,
            placer: Placer::new(sealer),
        }
    }

    fn want(&mut self, size: u64) {
        self.wanted.entry(size).or_insert(None);
    }

    /// The full tiles, from the entries up.
    fn tiles(&mut self) {
        let Some(mut rows) = self.pruned() else { return };
        let bundles = self.minimum.index / TILE_WIDTH..self.snapshot.live.start.size / TILE_WIDTH;
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
        let (reader, snapshot, slots, deep) = (self.reader, self.snapshot, self.slots.clone(), self.report.deep);
        thread::scope(|scope| {
            // Each thread reads every nth bundle, and is asked in turn.
            let readers: Vec<Receiver<Option<Bundle>>> = (0..threads)
                .map(|nth| {
                    let (sender, receiver) = sync_channel(AHEAD);
                    let mut opener = Opener::new(&reader.keys.sealer, slots.clone(), deep);
                    let own = bundles.clone().skip(nth).step_by(threads);
                    scope.spawn(move || {
                        for index in own {
                            if sender.send(sound_bundle(snapshot, &mut opener, index)).is_err() {
                                break;
                            }
                        }
                    });
                    receiver
                })
                .collect();
            for (index, reader) in bundles.clone().zip(readers.iter().cycle()) {
                let root = match reader.recv() {
                    Ok(Some(Bundle { row, root, tally })) => {
                        self.account.add(tally, &mut self.report);
                        self.push_bundle(&row, root);
                        root
                    }
                    _ => {
                        let Some(row) = self.tile_of_entries(index) else { return };
                        self.push_row(&row);
                        root_of(&row)
                    }
                };
                self.up(&mut rows, index, root);
            }
        });
        if rows.get(1..).unwrap_or_default() != self.snapshot.live.start.edge {
            let text = format!("the tree at the start of `{LIVE}` does not follow from the entries before it");
            self.report.problem(ProblemKind::Changed, None, text);
        }
        self.note_of(&self.snapshot.live.start.note, self.range.size(), &format!("the start of `{LIVE}`"));
    }

    /// The tiles that are not full after the entries that were pruned, by level. `None` where they cannot be had.
    fn pruned(&mut self) -> Option<Vec<Vec<Hash>>> {
        let mut rows: Vec<Vec<Hash>> = vec![Vec::new(); usize::from(LEVELS)];
        let size = self.minimum.index;
        if size > self.snapshot.live.start.size {
            let text = format!("`{MINIMUM}` says that entries before {size} were pruned, which the log does not have");
            self.report.problem(ProblemKind::Truncated, None, text);
            return None;
        }
        for (level, row) in (1_u8..).zip(rows.iter_mut().skip(1)) {
            let (index, width) = edge_of(size, level);
            if width > 0 {
                match self.snapshot.hashes(level, index * TILE_WIDTH, u64::from(width)) {
                    Ok(hashes) => *row = hashes,
                    Err(error) => {
                        self.report.problem(ProblemKind::Dropped, None, error.to_string());
                        return None;
                    }
                }
            }
        }
        self.range = range_of(rows.get(1..).unwrap_or_default());
        if self.wanted.contains_key(&size) {
            self.wanted.insert(size, Some(self.range.root()));
        }
        self.report.pruned = size;
        Some(rows)
    }

    /// Takes the root of a full bundle up the levels, and holds each tile that it fills against what is on the disk.
    fn up(&mut self, rows: &mut [Vec<Hash>], index: u64, root: Hash) {
        let mut root = root;
        for (level, above) in (1_u8..).zip(rows.iter_mut().skip(1)) {
            above.push(root);
            if above.len() < 256 {
                break;
            }
            let row = std::mem::take(above);
            root = root_of(&row);
            let at = edge_of((index + 1) * TILE_WIDTH, level).0.saturating_sub(1);
            let path = TilePath::full(Level::Hashes(level), at);
            if self.hashes(path).is_some_and(|read| read != row) {
                let text = format!("`{}` does not follow from the entries", path.path());
                self.report.problem(ProblemKind::Changed, None, text);
            }
        }
    }

    /// The leaf hashes of one full bundle, held against its tile. `None` where neither is there.
    fn tile_of_entries(&mut self, index: u64) -> Option<Vec<Hash>> {
        let (first, path) = (index * TILE_WIDTH, TilePath::full(Level::Entries, index));
        let tile = self.hashes(TilePath::full(Level::Hashes(0), index)).filter(|row| row.len() == 256);
        let bytes = self.read(path).unwrap_or_default();
        let Some(entries) = split_entries(&bytes, OVERFULL) else {
            let text = format!("entries {first} to {}: `{}` is not whole", first + 255, path.path());
            self.report.problem(ProblemKind::Dropped, Some(first), text);
            self.account.lose_count();
            return tile;
        };
        let row: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        if tile.as_ref() == Some(&row) {
            for (at, sealed) in (first..).zip(&entries) {
                self.open(at, sealed);
            }
            return Some(row);
        }
        let above = self.snapshot.row(1, index, 1).ok().and_then(|row| row.first().copied());
        if row.len() == 256 && above == Some(root_of(&row)) {
            if tile.is_some() {
                let text =
                    format!("`{}` is not what the entries hash to", TilePath::full(Level::Hashes(0), index).path());
                self.report.problem(ProblemKind::Changed, None, text);
            }
            for (at, sealed) in (first..).zip(&entries) {
                self.open(at, sealed);
            }
            return Some(row);
        }
        let ids = self.placer.places(first, &entries);
        self.misplaced(first..first + TILE_WIDTH, &entries, &ids, tile.as_deref());
        Some(tile.unwrap_or(row))
    }

    /// The live file: its entries, its heads, its end.
    fn live(&mut self) {
        let first = self.range.size();
        if first != self.snapshot.live.start.size {
            return;
        }
        let mut sealed = Vec::new();
        let mut sound = true;
        let mut covered = first;
        for record in &self.snapshot.live.records {
            let body = self.snapshot.bytes.get(record.body.clone()).unwrap_or_default();
            match record.kind {
                Kind::Head => {
                    let note = std::str::from_utf8(body).unwrap_or_default();
                    let head = self.note_of(note, self.range.size(), &format!("a tree head in `{LIVE}`"));
                    sound &= head.is_some();
                    covered = covered.max(head.map_or(0, |head| head.size)).max(self.claimed(body));
                }
                _ => {
                    let at = self.range.size();
                    sound &= self.open_quietly(at, body);
                    sealed.push(body);
                    self.push_row(&[record.leaf]);
                }
            }
        }
        if !sound {
            let ids = self.placer.places(first, &sealed);
            // Entries that no head covers may be there, and are ours where they open.
            let end = ids.iter().flatten().max().map_or(covered, |last| covered.max(last + 1));
            self.misplaced(first..end, &sealed, &ids, None);
        }
        let size = self.range.size();
        self.report.entries = size;
        let (_, signed) = self.snapshot.last_note();
        self.report.signed = signed;
        if signed < size {
            self.report.notes.push(format!(
                "the last {} entries are not covered by a signed tree head yet: the next durable append signs them",
                size - signed
            ));
        }
        match self.snapshot.live.ending {
            Ending::Clean => {}
            Ending::Torn { heads_after } if heads_after > 1 => {
                let text =
                    format!("`{LIVE}` has bytes in its middle that are no record: entries from {size} on are lost");
                self.report.problem(ProblemKind::Changed, Some(size), text);
            }
            Ending::Torn { .. } => self.report.notes.push(format!(
                "`{LIVE}` ends in a batch that is not whole (a write that was cut off, or damage to the last batch)"
            )),
        }
        if self.snapshot.live.preamble.suspect {
            self.report.notes.push(format!("a sync of `{LIVE}` failed: it is rewritten when the log is next opened"));
        }
    }

    /// The size that a note claims, believed or not, to know what to look for.
    fn claimed(&self, body: &[u8]) -> u64 {
        let size = self.range.size();
        let claimed = Note::parse(body).and_then(|note| Checkpoint::parse(note.text)).map_or(0, |head| head.size);
        claimed.min(size + TILE_WIDTH)
    }

    /// Everything else that lies under `tile/`.
    fn files(&mut self, found: &[Found], published: Option<&Checkpoint>) {
        let size = self.range.size();
        for file in found {
            match file {
                Found::Stray(path) => {
                    self.report.problem(ProblemKind::Added, None, format!("`{path}` does not belong to the log"));
                }
                Found::Tile(tile) => {
                    let level = number_of(tile.level);
                    let needed = published.map(|head| edge_of(head.size, level)) == Some((tile.index, tile.width));
                    self.file(*tile, size, needed);
                }
            }
        }
        let Some(head) = published else { return };
        let levels = (0..LEVELS).map(Level::Hashes).chain([Level::Entries]);
        for (level, (index, width)) in levels.map(|level| (level, edge_of(head.size, number_of(level)))) {
            let partial = TilePath { level, index, width };
            let there = |tile| found.contains(&Found::Tile(tile));
            if width > 0 && !there(partial) && !there(TilePath::full(level, index)) {
                let text = format!("`{}` is missing, which the published `checkpoint` needs", partial.path());
                self.report.problem(ProblemKind::Dropped, None, text);
            }
        }
    }

    /// One file under `tile/`, `needed` where the published checkpoint rests on it.
    fn file(&mut self, tile: TilePath, size: u64, needed: bool) {
        let level = number_of(tile.level);
        let leaves = 1_u64.checked_shl(8 * u32::from(level));
        let nodes = tile.index.checked_mul(TILE_WIDTH).and_then(|from| from.checked_add(u64::from(tile.width)));
        let end = nodes.zip(leaves).and_then(|(nodes, leaves)| nodes.checked_mul(leaves));
        if end.is_none_or(|end| end > size) {
            let text =
                format!("`{}` holds entries that the log does not have any more: it ends at {size}", tile.path());
            self.report.problem(ProblemKind::Truncated, Some(size), text);
            return;
        }
        if end_of(tile).is_some_and(|end| end <= self.minimum.index) {
            self.report
                .notes
                .push(format!("`{}` was pruned and is still there: the next pruning takes it away", tile.path()));
            return;
        }
        // Full ones below the live file were read on the way up; above it they are leftovers that nothing relies on.
        if tile.is_full() {
            return;
        }
        // A writer may take a partial file away meanwhile, when its full one is there.
        let Ok(Some(bytes)) = self.snapshot.store.read(tile) else {
            if !matches!(self.snapshot.store.read(TilePath::full(tile.level, tile.index)), Ok(Some(_))) {
                self.read(tile);
            }
            return;
        };
        let row = match tile.level {
            Level::Hashes(_) => decode_hashes(&bytes),
            Level::Entries => decode_entries(&bytes).map(|all| all.iter().map(|entry| leaf_hash(entry)).collect()),
        };
        let right = self.snapshot.row(level, tile.index * TILE_WIDTH, u64::from(tile.width)).ok();
        if row.is_none() || row != right {
            let text = format!("`{}` is not what the log holds", tile.path());
            if needed {
                self.report.problem(ProblemKind::Changed, None, text);
            } else {
                self.report.notes.push(format!("{text}: left over from publishing that was cut off; nothing needs it"));
            }
        }
    }

    /// Holds the log against a tree head that was signed.
    fn known(&mut self, head: &Checkpoint, what: &str) {
        let size = self.range.size();
        if head.size > size {
            let text = format!(
                "{what} is of {} entries, the log has {size}: its tail was cut off or it was rolled back",
                head.size
            );
            self.report.problem(ProblemKind::Truncated, Some(size), text);
        } else if self.wanted.get(&head.size).copied().flatten() != Some(head.root) {
            let text = format!("the first {} entries are not those of {what}: the log was rewritten", head.size);
            self.report.problem(ProblemKind::Rewritten, None, text);
        } else if head.size > self.report.signed {
            let text = format!("`{LIVE}` has lost a signed tree head: {what} is of {} entries", head.size);
            self.report.problem(ProblemKind::Changed, None, text);
        }
    }

    fn finish(mut self) -> VerifyReport {
        self.report.root = self.wanted.get(&self.report.signed).copied().flatten();
        let cares = self.account.close(&self.slots, &mut self.report);
        let Minimum { index, entry } = self.minimum;
        let logged = cares.iter().any(|(at, care)| *at == entry && *care == Care::Pruned { minimum: index });
        // The entry that says so may have been pruned in its turn, though never by what it says itself.
        if index > 0 && entry < self.report.entries && !logged {
            let text = format!("`{MINIMUM}` says that entries before {index} were pruned, and the log does not");
            self.report.problem(ProblemKind::Dropped, Some(entry), text);
        }
        self.report
    }

    /// The next 256 entries.
    fn push_bundle(&mut self, row: &[Hash], root: Hash) {
        let size = self.range.size();
        if self.wanted.range(size + 1..=size + TILE_WIDTH).next().is_some() || !self.range.push(8, root) {
            self.push_row(row);
        }
    }

    fn push_row(&mut self, row: &[Hash]) {
        for hash in row {
            self.range.push(0, *hash);
            if let Some(wanted) = self.wanted.get_mut(&self.range.size()) {
                *wanted = Some(self.range.root());
            }
        }
    }

    /// A note that should be of the tree so far.
    fn note_of(&mut self, note: &str, size: u64, what: &str) -> Option<Checkpoint> {
        match self.reader.verifier().open(note.as_bytes()) {
            Ok(head) if head.size == size && head.root == self.range.root() => Some(head),
            Ok(head) => {
                let text =
                    format!("{what}, of {} entries, is not of the {size} entries that stand before it", head.size);
                self.report.problem(ProblemKind::Rewritten, None, text);
                None
            }
            Err(why) => {
                report_note(&mut self.report, note.as_bytes(), why, what);
                None
            }
        }
    }

    fn open(&mut self, at: u64, sealed: &[u8]) {
        if !self.open_quietly(at, sealed) {
            let text = format!("entry {at} does not open with this store's key at its place");
            self.report.problem(ProblemKind::Changed, Some(at), text);
        }
    }

    fn open_quietly(&mut self, at: u64, sealed: &[u8]) -> bool {
        let mut tally = Tally::default();
        let opened = self.opener.take(&mut tally, at, sealed);
        self.account.add(tally, &mut self.report);
        opened
    }

    /// Says what is wrong with entries that are not those that should stand in `expected`.
    fn misplaced(&mut self, expected: Range<u64>, sealed: &[&[u8]], ids: &[Option<u64>], leaves: Option<&[Hash]>) {
        self.account.lose_count();
        let before = self.report.problems.len();
        compare(&mut self.report, expected.clone(), ids);
        for ((at, entry), leaf) in (expected.start..).zip(sealed).zip(leaves.unwrap_or_default()) {
            let own = ids.get(usize::try_from(at - expected.start).unwrap_or_default()) == Some(&Some(at));
            if own && leaf_hash(entry) != *leaf {
                let text = format!("entry {at} was changed: it is ours, but not the one in the tree");
                self.report.problem(ProblemKind::Changed, Some(at), text);
            }
        }
        if self.report.problems.len() == before {
            let text = format!("entries {} to {} are not those in the tree", expected.start, expected.end);
            self.report.problem(ProblemKind::Changed, Some(expected.start), text);
        }
    }

    fn hashes(&mut self, tile: TilePath) -> Option<Vec<Hash>> {
        let bytes = self.read(tile)?;
        let row = decode_hashes(&bytes);
        if row.as_ref().is_none_or(|row| row.len() != usize::from(tile.width)) {
            self.report.problem(ProblemKind::Changed, None, format!("`{}` is not whole", tile.path()));
        }
        row
    }

    fn read(&mut self, tile: TilePath) -> Option<Vec<u8>> {
        match self.snapshot.store.read(tile) {
            Ok(Some(bytes)) => Some(bytes),
            Ok(None) => {
                self.report.problem(ProblemKind::Dropped, None, format!("`{}` is missing", tile.path()));
                None
            }
            Err(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::FileTooLarge => ProblemKind::Changed,
                    _ => ProblemKind::Unreadable,
                };
                self.report.problem(kind, None, format!("`{}` cannot be read: {error}", tile.path()));
                None
            }
        }
    }
}

/// A full bundle whose entries are what its tile says, each opened at its place; `None` where anything is amiss, which
/// is then looked at more closely.
fn sound_bundle(snapshot: &Snapshot, opener: &mut Opener<'_>, index: u64) -> Option<Bundle> {
    let tile = snapshot.store.read(TilePath::full(Level::Hashes(0), index)).ok()??;
    let bytes = snapshot.store.read(TilePath::full(Level::Entries, index)).ok()??;
    let entries = decode_entries(&bytes)?;
    let row: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    if decode_hashes(&tile).as_ref() != Some(&row) || row.len() != 256 {
        return None;
    }
    let mut tally = Tally::default();
    let first = index * TILE_WIDTH;
    let sound = (first..).zip(&entries).all(|(at, sealed)| opener.take(&mut tally, at, sealed));
    sound.then(|| Bundle { root: root_of(&row), row, tally })
}

impl Snapshot {
    /// Hashes of a level, from the tiles or, for the newest, from the live file.
    fn row(&self, level: u8, from: u64, count: u64) -> Result<Vec<Hash>, AuditError> {
        if level > 0 || from + count <= self.live.start.size {
            return self.hashes(level, from, count);
        }
        (from..from + count).map(|at| self.record(at).map(|r| r.leaf).ok_or(AuditError::NotFound(at))).collect()
    }
}

fn number_of(level: Level) -> u8 {
    match level {
        Level::Hashes(level) => level,
        Level::Entries => 0,
    }
}

fn report_note(report: &mut VerifyReport, note: &[u8], why: NoteError, what: &str) {
    let kind = match why {
        NoteError::NotSigned if Note::parse(note).is_ok() => ProblemKind::WrongKey,
        NoteError::BadSignature => ProblemKind::BadSignature,
        _ => ProblemKind::Changed,
    };
    report.problem(kind, None, format!("{what} cannot be believed: {why}"));
}
