//! Sorting loose files into folders.
//!
//! What stays where it is: projects and bundles as whole units, folders that an earlier tidy made (so that tidying twice
//! plans nothing), hidden files, downloads under way, symlinks and special files, and a saved web page with its folder.

use std::collections::{BTreeMap, HashMap};

use raincoat_types::wire::{Job, PlanStep};
use raincoat_types::{FileChange, FileKind, FileRead, Outcome, ReadDone};

use super::dates::Day;
use super::emptied::{self, MayGo};
use super::folders::Folders;
use super::kind::{self, Group};
use super::options::Chosen;
use super::remote::{BLOCK, Remote};
use super::submit::{self, files, step};
use super::survey::{self, Item, Listing, Whole};
use super::{End, Finished, check_stop, names};
use crate::extract::{self, Media};
use crate::keeper::Keeper;

/// First bytes that tell the type of a file; enough for tar's magic at 257 and for the first names in a zip.
const HEAD: u32 = 1024;
/// Files asked about at once: a few MiB of answers at most.
const HEADS_AT_ONCE: usize = 256;
const BLOCKS_AT_ONCE: usize = 32;

pub(super) fn run(keeper: &mut dyn Keeper, chosen: &Chosen<'_>, job: &Job) -> Result<Finished, End> {
    let mut tally = Tally::default();
    let mut steps = Vec::new();
    let mut may_go = Vec::new();
    for (root, folder) in (0_u16..).zip(&job.roots) {
        if folder.read_only {
            tally.notes.push(format!("`{}` is granted for reading only; left as it is", folder.label));
            continue;
        }
        may_go.push(plan_root(keeper, chosen, job, root, &mut steps, &mut tally)?);
    }
    if steps.is_empty() {
        tally.notes.insert(0, "already tidy: nothing to move".to_owned());
        return Ok(Finished { summary: tally.notes.join("\n"), ok: true });
    }
    let title = format!("tidy {} into {}", files(tally.moves), tally.groups_in_words());
    let moves: Vec<bool> = steps.iter().map(|step| matches!(step.change, FileChange::Move { .. })).collect();
    check_stop(keeper)?;
    let done = submit::submit(keeper, &title, steps, &job.limits)?;
    let moved = done.each.iter().zip(&moves).filter(|(done, is_move)| **done && **is_move).count();
    let finished = done.finish(&format!("moved {} into {}", files(moved), tally.groups_in_words()), &tally.notes);
    if done.is_refused() || !(chosen.flag("recursive") && chosen.flag("remove-empty")) {
        return Ok(finished);
    }
    emptied::remove(keeper, &may_go, &job.limits, finished)
}

/// What the summary tells.
#[derive(Default)]
struct Tally {
    moves: usize,
    groups: BTreeMap<String, usize>,
    notes: Vec<String>,
}

impl Tally {
    fn groups_in_words(&self) -> String {
        let most = 6;
        let mut words: Vec<String> = self.groups.iter().take(most).map(|(name, n)| format!("{name} ({n})")).collect();
        if self.groups.len() > most {
            words.push(format!("{} more", self.groups.len() - most));
        }
        words.join(", ")
    }

    fn note(&mut self, n: usize, what: &str) {
        if n > 0 {
            self.notes.push(format!("left alone: {}", what.replace("{n}", &n.to_string())));
        }
    }
}

/// A file to sort and what is known of it.
struct Loose {
    item: Item,
    group: Group,
    day: Option<Day>,
    /// Where the day is from, for the plan's reader.
    why: &'static str,
}

/// Adds a folder's moves to the plan. Gives the folders that they may leave empty.
fn plan_root(
    keeper: &mut dyn Keeper,
    chosen: &Chosen<'_>,
    job: &Job,
    root: u16,
    steps: &mut Vec<PlanStep>,
    tally: &mut Tally,
) -> Result<MayGo, End> {
    let recursive = chosen.flag("recursive");
    let depth = if recursive { job.limits.walk_depth } else { 1 };
    let mut listing = Listing::read(keeper, root, b"", depth, &job.limits)?;
    if let Some(sign) = survey::project_sign(&listing).filter(|_| !chosen.flag("in-project")) {
        return Err(End::bad(format!(
            "this folder looks like a software project (it has `{sign}`), and moving its files would break it; \
             to tidy it all the same add in-project=true"
        )));
    }
    let whole = Whole::find(&listing, &is_tidied);
    let loose = loose_files(&listing, &whole, tally);
    let may_go = MayGo::above(root, loose.iter().map(|item| listing.path(item)));
    if loose.is_empty() {
        return Ok(may_go);
    }
    if !recursive {
        // Names that are taken in the folders of an earlier tidy must be known before anything is put there.
        let tidied: Vec<Vec<u8>> = listing
            .items
            .iter()
            .filter(|item| item.kind == FileKind::Dir && is_tidied(listing.path(item)))
            .map(|item| listing.path(item).to_vec())
            .collect();
        for dir in tidied {
            listing.append(keeper, root, &dir, job.limits.walk_depth, &job.limits)?;
        }
    }
    let mut sorted = look(keeper, root, &listing, loose, job)?;
    let tags = look_closer(keeper, root, &listing, &mut sorted)?;
    place(chosen, root, &listing, &whole, sorted, &tags, steps, tally);
    Ok(may_go)
}

/// Whether a folder at the top is one that tidying makes: a group's name or a year or month, whatever the options of
/// today are.
fn is_tidied(path: &[u8]) -> bool {
    let name = names::without_number(path);
    let folded = names::fold(name);
    Group::ALL.iter().any(|group| names::fold(group.folder().as_bytes()) == folded)
        || name == UNDATED.as_bytes()
        || match name {
            [year @ .., b'-', a, b] => year.len() == 4 && [year, &[*a, *b]].concat().iter().all(u8::is_ascii_digit),
            year => year.len() == 4 && year.iter().all(u8::is_ascii_digit),
        }
}

/// The folder, when sorting by date alone, of files whose date makes no sense.
const UNDATED: &str = "Undated";

fn loose_files(listing: &Listing, whole: &Whole, tally: &mut Tally) -> Vec<Item> {
    let mut loose = Vec::new();
    let (mut links, mut special, mut private) = (0, 0, 0);
    for item in &listing.items {
        let path = listing.path(item);
        if item.kind == FileKind::Dir || whole.holds(path) {
            continue;
        }
        let (_, name) = names::split(path);
        match item.kind {
            FileKind::Symlink => links += 1,
            FileKind::Special => special += 1,
            _ if survey::is_private(name) => private += 1,
            _ => loose.push(*item),
        }
    }
    tally.note(links, "{n} symlinks");
    tally.note(special, "{n} special files (sockets, pipes or devices)");
    tally.note(private, "{n} hidden or temporary files");
    tally.note(whole.pages, "{n} saved web pages with their folders");
    tally.note(whole.projects, "{n} projects or bundles, as whole units");
    loose
}

/// Looks at the first bytes of every file.
fn look(keeper: &mut dyn Keeper, root: u16, listing: &Listing, loose: Vec<Item>, job: &Job) -> Result<Vec<Loose>, End> {
    let mut sorted = Vec::with_capacity(loose.len());
    for batch in loose.chunks(HEADS_AT_ONCE) {
        check_stop(keeper)?;
        keeper.status("finding out what the files are", Some((sorted.len() as u64, loose.len() as u64)))?;
        // Nothing is asked about an empty file.
        let wanted = batch.iter().filter(|item| item.size > 0);
        let asks = wanted
            .map(|item| FileRead::Read { at: survey::place(root, listing.path(item)), offset: 0, len: HEAD })
            .collect();
        let mut heads = keeper.read(asks)?.into_iter();
        for item in batch {
            // A file that cannot be read is sorted by its name.
            let head = match if item.size > 0 { heads.next() } else { None } {
                Some(Outcome::Read(ReadDone::Bytes { bytes, .. })) => bytes,
                _ => Vec::new(),
            };
            let name = names::split(listing.path(item)).1;
            let group = kind::group(name, &head);
            let named = matches!(group, Group::Pictures | Group::Videos).then(|| Day::in_name(name)).flatten();
            let day = named.or_else(|| Day::of(item.mtime.secs, job.now.1));
            let why = if named.is_some() { "dated in its name" } else { "last changed" };
            sorted.push(Loose { item: *item, group, day, why });
        }
    }
    Ok(sorted)
}

/// Artist and album of the music among the files, by position.
type Tags = HashMap<usize, (String, Option<String>)>;

/// Looks into pictures for the day they were taken, and into music for its tags.
fn look_closer(keeper: &mut dyn Keeper, root: u16, listing: &Listing, sorted: &mut [Loose]) -> Result<Tags, End> {
    let mut tags = Tags::new();
    let wanted: Vec<usize> = sorted
        .iter()
        .enumerate()
        .filter(|(_, file)| file.item.size > 0 && matches!(file.group, Group::Pictures | Group::Music))
        .map(|(at, _)| at)
        .collect();
    for (turn, batch) in wanted.chunks(BLOCKS_AT_ONCE).enumerate() {
        check_stop(keeper)?;
        keeper.status("reading dates and tags", Some(((turn * BLOCKS_AT_ONCE) as u64, wanted.len() as u64)))?;
        let places: Vec<_> = batch
            .iter()
            .filter_map(|at| sorted.get(*at))
            .map(|file| survey::place(root, listing.path(&file.item)))
            .collect();
        let asks = places.iter().map(|at| FileRead::Read { at: at.clone(), offset: 0, len: BLOCK }).collect();
        let heads = keeper.read(asks)?;
        for ((at, place), head) in batch.iter().zip(places).zip(heads) {
            let (Some(file), Outcome::Read(ReadDone::Bytes { bytes, .. })) = (sorted.get_mut(*at), head) else {
                continue;
            };
            let media = if file.group == Group::Music { Media::Music } else { Media::Picture };
            let mut remote = Remote::new(keeper, place, file.item.size, bytes);
            let found = extract::metadata(&mut remote, media);
            if let Some(lost) = remote.lost {
                return Err(End::Lost(lost));
            }
            if let Some(day) = found.taken.and_then(|(year, month, day)| Day::new(year, month, day)) {
                file.day = Some(day);
                file.why = "taken";
            }
            if let Some(artist) = found.artist.as_deref().and_then(names::folder_from) {
                tags.insert(*at, (artist, found.album.as_deref().and_then(names::folder_from)));
            }
        }
    }
    Ok(tags)
}

#[expect(clippy::too_many_arguments, reason = "one step of the plan; a struct for one call would say no more")]
fn place(
    chosen: &Chosen<'_>,
    root: u16,
    listing: &Listing,
    whole: &Whole,
    sorted: Vec<Loose>,
    tags: &Tags,
    steps: &mut Vec<PlanStep>,
    tally: &mut Tally,
) {
    let mut folders = Folders::default();
    for item in &listing.items {
        let path = listing.path(item);
        // Only names at the top and in tidied folders can be in the way.
        if !path.contains(&b'/') || whole.holds(path) {
            folders.add(path, item.kind == FileKind::Dir);
        }
    }
    let mains = main_files(listing, &sorted);
    let mut moves = Vec::with_capacity(sorted.len());
    for (at, file) in sorted.iter().enumerate() {
        let path = listing.path(&file.item);
        // A subtitle goes where its film goes.
        let main = mains.get(&at).copied().unwrap_or(at);
        let Some(like) = sorted.get(main) else { continue };
        let names = folder_names(chosen, like, tags.get(&main));
        let dir = names.iter().fold(Vec::new(), |dir, name| folders.enter(&dir, name.as_bytes()));
        let to = folders.place(&dir, names::split(path).1);
        *tally.groups.entry(names.first().cloned().unwrap_or_default()).or_default() += 1;
        let why = match like.day.filter(|_| names.len() > 1 && like.group != Group::Music) {
            Some(day) => format!("{} {}", like.why, day.name()),
            None => String::new(),
        };
        let from = survey::place(root, path);
        moves.push(step(FileChange::Move { from, to: survey::place(root, &to), replace: false }, why));
    }
    tally.moves += moves.len();
    for dir in folders.made() {
        steps.push(step(FileChange::Mkdir { at: survey::place(root, dir), parents: false }, ""));
    }
    steps.append(&mut moves);
}

/// Files that belong to another: the position of a subtitle, lyric, cue sheet or sidecar, and that of its main file.
fn main_files(listing: &Listing, sorted: &[Loose]) -> HashMap<usize, usize> {
    let is_side = |path: &[u8]| {
        matches!(
            names::ext(path).as_str(),
            "srt" | "sub" | "vtt" | "ass" | "lrc" | "cue" | "xmp" | "aae" | "asc" | "sig"
        )
    };
    if !sorted.iter().any(|file| is_side(listing.path(&file.item))) {
        return HashMap::new();
    }
    let mut mains: HashMap<&[u8], usize> = HashMap::new();
    for (at, file) in sorted.iter().enumerate() {
        let path = listing.path(&file.item);
        if !is_side(path) {
            // `film.srt` goes with `film.mkv`, `tool.zip.asc` with `tool.zip`.
            mains.entry(names::stem_and_dot_ext(path).0).or_insert(at);
            mains.insert(path, at);
        }
    }
    let sides = sorted.iter().enumerate().filter(|(_, file)| is_side(listing.path(&file.item)));
    sides
        .filter_map(|(at, file)| {
            let path = listing.path(&file.item);
            let cut = path.iter().rposition(|b| *b == b'.')?;
            mains.get(path.get(..cut)?).map(|main| (at, *main))
        })
        .collect()
}

/// The folders a file goes into, outermost first.
fn folder_names(chosen: &Chosen<'_>, file: &Loose, tags: Option<&(String, Option<String>)>) -> Vec<String> {
    let by_months = match chosen.text("date-format") {
        "year" => false,
        "month" => true,
        _ => matches!(file.group, Group::Pictures | Group::Videos) || chosen.text("by") == "date",
    };
    let date = file.day.map(|day| if by_months { day.month_name() } else { day.year_name() });
    let group = file.group.folder().to_owned();
    match chosen.text("by") {
        "date" => vec![date.unwrap_or_else(|| UNDATED.to_owned())],
        _ if file.group == Group::Music => match tags {
            Some((artist, Some(album))) => vec![group, artist.clone(), album.clone()],
            Some((artist, None)) => vec![group, artist.clone()],
            None => vec![group],
        },
        "type" => vec![group],
        _ => [Some(group), date.filter(|_| file.group.dated())].into_iter().flatten().collect(),
    }
}
