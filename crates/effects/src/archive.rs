//! Archives: made into a file without a name and then put in its place; taken apart only after every entry has been
//! looked at, for an archive is a stranger's list of paths.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use raincoat_os::{Found, Stat, beneath, mutate, state};
use raincoat_types::{
    ArchiveFormat, Change, Content, Failure, FailureKind, FileContent, FileKind, Image, Limits, Meta, RelPath, Spot,
    Timestamp,
};

use crate::capture::{Keep, read_content};
use crate::engine::{Engine, Payload, Step};
use crate::expand::{find_again, fresh_meta, make_dir, spot};
use crate::failure::at_path;
use crate::resolve::Below;

/// Packs files and trees into a new archive.
pub(crate) fn pack(
    engine: &mut Engine,
    ticket: usize,
    sources: &[(usize, Found)],
    to: (usize, Found),
    format: ArchiveFormat,
    below: &[Below],
) -> Result<(), Failure> {
    if to.1.stat.is_some() {
        return Err(Failure::new(FailureKind::Exists, format!("`{}` exists already", to.1.path.display())));
    }
    engine.flush();
    let fail = |e| at_path(e, &to.1.path);
    let unnamed = mutate::create_unnamed(to.1.folder()).map_err(fail)?;
    let file = File::from(unnamed.try_clone().map_err(fail)?);
    let mut packer = Packer::new(file, format);
    let base = shared_folder(sources);
    let mut tops: HashSet<(usize, &RelPath)> = HashSet::new();
    for (nth, (n, found)) in sources.iter().enumerate() {
        let Some(stat) = &found.stat else {
            return Err(Failure::new(FailureKind::NotFound, format!("no such file: `{}`", found.path.display())));
        };
        let doubled = !tops.insert((*n, &found.path)) || sources.iter().any(|(other, _)| other != n);
        if doubled {
            let words =
                format!("`{}` is named twice, or not everything is in one folder of the run", found.path.display());
            return Err(Failure::new(FailureKind::Invalid, words));
        }
        if !found.path.is_root() {
            packer.add(found, stat, &base)?;
        }
        for Below { path, .. } in below.iter().filter(|b| b.nth == nth) {
            let (_, inner) = find_again(engine, *n, path)?;
            if let Some(stat) = inner.stat.clone() {
                packer.add(&inner, &stat, &base)?;
            }
        }
    }
    packer.finish().map_err(fail)?;
    let size = state::stat_fd(unnamed.as_fd()).map_err(fail)?.size;
    let content = read_content(&engine.recorder, unnamed.as_fd(), size, Keep::Digest).map_err(|e| e.at(&to.1))?;
    let meta = fresh_meta(engine, &to.1, FileKind::File, 0o666, size)?;
    let change = Change::Create { at: spot(engine, &to)?, after: Image { meta, content: Content::File(content) } };
    engine.push(ticket, Step::new(change, to, Payload::Unnamed(unnamed)))
}

/// The deepest folder that everything to be packed lies in: entries are named from there, so that equal names of
/// different folders stay apart.
fn shared_folder(sources: &[(usize, Found)]) -> RelPath {
    let parent = |found: &Found| found.path.split_last().map_or(RelPath::ROOT, |(parent, _)| parent);
    let mut shared = sources.first().map_or(RelPath::ROOT, |(_, found)| parent(found));
    for (_, found) in sources {
        while !parent(found).starts_with(&shared) {
            shared = shared.split_last().map_or(RelPath::ROOT, |(above, _)| above);
        }
    }
    shared
}

enum Packer {
    Zip(Box<zip::ZipWriter<File>>),
    Tar(tar::Builder<File>),
    TarGz(Box<tar::Builder<GzEncoder<File>>>),
}

impl Packer {
    fn new(file: File, format: ArchiveFormat) -> Packer {
        match format {
            ArchiveFormat::Zip => Packer::Zip(Box::new(zip::ZipWriter::new(file))),
            ArchiveFormat::Tar => Packer::Tar(tar::Builder::new(file)),
            ArchiveFormat::TarGz => {
                Packer::TarGz(Box::new(tar::Builder::new(GzEncoder::new(file, Compression::default()))))
            }
        }
    }

    fn add(&mut self, found: &Found, stat: &Stat, base: &RelPath) -> Result<(), Failure> {
        let skip = base.names().count();
        let name: Vec<&[u8]> = found.path.names().skip(skip).collect();
        let name = name.join(&b'/');
        match self {
            Packer::Zip(zip) => add_to_zip(zip, found, stat, name),
            Packer::Tar(tar) => add_to_tar(tar, found, stat, &name),
            Packer::TarGz(tar) => add_to_tar(tar, found, stat, &name),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Packer::Zip(zip) => zip.finish().map(drop).map_err(io::Error::other),
            Packer::Tar(tar) => tar.into_inner().map(drop),
            Packer::TarGz(tar) => tar.into_inner()?.finish().map(drop),
        }
    }
}

fn add_to_zip(zip: &mut zip::ZipWriter<File>, found: &Found, stat: &Stat, name: Vec<u8>) -> Result<(), Failure> {
    let path = &found.path;
    let invalid = |words: &str| Failure::new(FailureKind::Invalid, format!("`{}`: {words}", path.display()));
    let name = String::from_utf8(name).map_err(|_| invalid("a zip keeps only names that are UTF-8; use tar.gz"))?;
    let fail = |e: zip::result::ZipError| at_path(io::Error::other(e), path);
    let mut options =
        zip::write::SimpleFileOptions::default().unix_permissions(stat.mode).large_file(stat.size >= 1 << 32);
    if let Some(time) = zip_time(stat.mtime) {
        options = options.last_modified_time(time);
    }
    match stat.kind {
        FileKind::Dir => zip.add_directory(name, options).map_err(fail),
        FileKind::Symlink => {
            let target = beneath::read_link(found.folder(), &found.name).map_err(|e| at_path(e, path))?;
            let target = String::from_utf8(target)
                .map_err(|_| invalid("a zip keeps only link targets that are UTF-8; use tar.gz"))?;
            zip.add_symlink(name, target, options).map_err(fail)
        }
        FileKind::File => {
            zip.start_file(name, options).map_err(fail)?;
            let mut file = File::from(
                beneath::open_file_for_reading(found.folder(), &found.name, stat).map_err(|e| at_path(e, path))?,
            );
            let copied = io::copy(&mut file, zip).map_err(|e| at_path(e, path))?;
            if copied == stat.size { Ok(()) } else { Err(crate::capture::changed(found)) }
        }
        FileKind::Special => Err(invalid("a FIFO, socket or device does not go into an archive")),
    }
}

/// A zip's time, in UTC, two-second steps, 1980 to 2107 (APPNOTE 4.4.6). Outside of that the entry keeps none.
fn zip_time(time: Timestamp) -> Option<zip::DateTime> {
    let utc = jiff::Timestamp::from_second(time.secs).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    let part = |n: i8| u8::try_from(n).unwrap_or(0);
    let (day, clock) = (utc.date(), utc.time());
    let year = u16::try_from(day.year()).ok()?;
    let (h, m, s) = (part(clock.hour()), part(clock.minute()), part(clock.second()));
    zip::DateTime::from_date_and_time(year, part(day.month()), part(day.day()), h, m, s).ok()
}

/// Seconds since 1970 of a zip's time; 1970 itself where it is no date.
fn from_zip_time(time: zip::DateTime) -> Timestamp {
    let part = |n: u8| i8::try_from(n).unwrap_or(0);
    let year = i16::try_from(time.year()).unwrap_or(0);
    let date = jiff::civil::DateTime::new(
        year,
        part(time.month()),
        part(time.day()),
        part(time.hour()),
        part(time.minute()),
        part(time.second()),
        0,
    );
    let zoned = date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC));
    Timestamp { secs: zoned.map_or(0, |zoned| zoned.timestamp().as_second()), nanos: 0 }
}

fn add_to_tar<W: Write>(tar: &mut tar::Builder<W>, found: &Found, stat: &Stat, name: &[u8]) -> Result<(), Failure> {
    use std::os::unix::ffi::OsStrExt;
    let fail = |e| at_path(e, &found.path);
    let name = std::path::Path::new(std::ffi::OsStr::from_bytes(name));
    let mut header = tar::Header::new_gnu();
    header.set_mode(stat.mode);
    header.set_uid(stat.uid.into());
    header.set_gid(stat.gid.into());
    header.set_mtime(u64::try_from(stat.mtime.secs).unwrap_or(0));
    header.set_size(0);
    match stat.kind {
        FileKind::Dir => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, name, io::empty()).map_err(fail)
        }
        FileKind::Symlink => {
            let target = beneath::read_link(found.folder(), &found.name).map_err(fail)?;
            header.set_entry_type(tar::EntryType::Symlink);
            let target = std::path::Path::new(std::ffi::OsStr::from_bytes(&target)).to_owned();
            tar.append_link(&mut header, name, target).map_err(fail)
        }
        FileKind::File => {
            let file = File::from(beneath::open_file_for_reading(found.folder(), &found.name, stat).map_err(fail)?);
            header.set_size(stat.size);
            let mut exact = Exactly { inner: file, left: stat.size };
            tar.append_data(&mut header, name, &mut exact).map_err(fail)
        }
        FileKind::Special => {
            let words = format!("`{}`: a FIFO, socket or device does not go into an archive", found.path.display());
            Err(Failure::new(FailureKind::WrongKind, words))
        }
    }
}

/// A reader that fails where a file grew or shrank under it: a tar whose header lies is no archive.
struct Exactly {
    inner: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let want = usize::try_from(self.left.min(out.len() as u64)).unwrap_or(0);
        match self.inner.read(out.get_mut(..want).unwrap_or_default())? {
            0 => Err(io::Error::other("the file became shorter while it was read")),
            got => {
                self.left -= got as u64;
                Ok(got)
            }
        }
    }
}

/// An archive's entry, looked at before anything is taken out.
struct Entry {
    /// Beneath the folder that is to be made.
    path: RelPath,
    what: What,
    mode: u32,
    mtime: Timestamp,
}

enum What {
    Dir,
    File(u64),
    Symlink(Vec<u8>),
    /// Another name of an entry that came before.
    Hard(RelPath),
}

/// Takes an archive apart into a new folder.
pub(crate) fn unpack(
    engine: &mut Engine,
    ticket: usize,
    from: &(usize, Found),
    to: (usize, Found),
) -> Result<(), Failure> {
    if to.1.stat.is_some() {
        return Err(Failure::new(
            FailureKind::Exists,
            format!("`{}` exists already; extract into a new folder", to.1.path.display()),
        ));
    }
    engine.flush();
    let archive = from.1.path.display();
    let Some(stat) = &from.1.stat else {
        return Err(Failure::new(FailureKind::NotFound, format!("no such file: `{archive}`")));
    };
    let fd =
        beneath::open_file_for_reading(from.1.folder(), &from.1.name, stat).map_err(|e| at_path(e, &from.1.path))?;
    let bad = |words: String| Failure::new(FailureKind::Invalid, format!("`{archive}`: {words}"));
    let limits = engine.resolver.limits.clone();
    let kind = kind_of(&fd)
        .map_err(|e| at_path(e, &from.1.path))?
        .ok_or_else(|| bad("not a zip, tar or tar.gz".to_owned()))?;
    let budget = limits.extract_bytes.min((16 << 20) + stat.size.saturating_mul(limits.extract_ratio));
    let mut entries = Vec::new();
    for_each(&fd, kind, budget, &mut |entry, _| {
        entries.push(entry);
        if entries.len() > limits.extract_entries as usize {
            return Err(format!("more than {} entries", limits.extract_entries));
        }
        Ok(())
    })
    .map_err(bad)?;
    check(engine, &to, &entries, &limits).map_err(bad)?;
    take_out(engine, ticket, &fd, kind, budget, to, &entries).map_err(|words| match words {
        Trouble::Archive(words) => bad(words),
        Trouble::Failure(failure) => failure,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zip,
    Tar,
    TarGz,
}

fn kind_of(fd: &OwnedFd) -> io::Result<Option<Kind>> {
    let mut head = [0_u8; 512];
    let got = state::read_at(fd.as_fd(), &mut head, 0)?;
    let head = head.get(..got).unwrap_or_default();
    Ok(if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Some(Kind::Zip)
    } else if head.starts_with(&[0x1f, 0x8b]) {
        Some(Kind::TarGz)
    } else if head.get(257..262) == Some(b"ustar") {
        Some(Kind::Tar)
    } else {
        None
    })
}

/// Where every entry would land, before any does. One bad entry refuses the whole.
fn check(engine: &Engine, to: &(usize, Found), entries: &[Entry], limits: &Limits) -> Result<(), String> {
    let folder = engine.resolver.folder(to.0).map_err(|f| f.message)?;
    let base = std::os::unix::ffi::OsStrExt::as_bytes(folder.root.path().as_os_str());
    let mut links: HashSet<&RelPath> = HashSet::new();
    let mut seen: HashMap<&RelPath, bool> = HashMap::new();
    let mut parents: HashSet<RelPath> = HashSet::new();
    for entry in entries {
        let mut at = entry.path.split_last().map(|(parent, _)| parent);
        while let Some(here) = at {
            at = here.split_last().map(|(parent, _)| parent);
            if !parents.insert(here) {
                break;
            }
        }
    }
    for entry in entries {
        let shown = entry.path.display();
        if parents.contains(&entry.path) && !matches!(entry.what, What::Dir) {
            return Err(format!("`{shown}` is no folder, and other entries lie below it"));
        }
        if entry.path.names().count() > limits.walk_depth as usize {
            return Err(format!("`{shown}` lies too deep"));
        }
        let mut full = to.1.path.clone();
        for name in entry.path.names() {
            full = full.join(name).map_err(|e| format!("`{shown}`: {e}"))?;
        }
        if let Some((_, pattern)) = engine.resolver.names.protection(base, &full, false) {
            return Err(format!("`{shown}` is a protected name (`{pattern}`); nothing was taken out"));
        }
        if let Some(glob) = engine.resolver.names.denied(folder.grant, &full) {
            return Err(format!("`{shown}` is denied by the grant's `--deny {glob}`; nothing was taken out"));
        }
        let is_dir = matches!(entry.what, What::Dir);
        if seen.insert(&entry.path, is_dir).is_some_and(|was_dir| !(was_dir && is_dir)) {
            return Err(format!("`{shown}` is in it twice"));
        }
        match &entry.what {
            What::Symlink(target) => {
                if !stays(&entry.path, target) {
                    return Err(format!("the symlink `{shown}` leads outside"));
                }
                links.insert(&entry.path);
            }
            What::Hard(target) if seen.get(target) != Some(&false) || links.contains(target) => {
                return Err(format!("`{shown}` is another name of something that is not in it"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a symlink's target stays within the extracted folder. Counted by names, so `..` may only stand at the start,
/// where the folders it leaves are real ones: after a name it would leave wherever that name, perhaps a symlink of the
/// same archive, leads to.
fn stays(at: &RelPath, target: &[u8]) -> bool {
    if target.first() == Some(&b'/') || target.contains(&0) || target.is_empty() {
        return false;
    }
    let names: Vec<&[u8]> = target.split(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".").collect();
    let up = names.iter().take_while(|n| **n == b"..").count();
    let later = names.iter().skip(up).any(|n| *n == b"..");
    !later && up < at.names().count()
}

enum Trouble {
    Archive(String),
    Failure(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Failure(failure)
    }
}

fn take_out(
    engine: &mut Engine,
    ticket: usize,
    fd: &OwnedFd,
    kind: Kind,
    budget: u64,
    to: (usize, Found),
    entries: &[Entry],
) -> Result<(), Trouble> {
    let (n, home) = (to.0, to.1.path.clone());
    make_dir(engine, ticket, to)?;
    engine.flush();
    // Folders first, those that the archive only implies too.
    let mut folders: Vec<RelPath> = Vec::new();
    let mut known: HashSet<RelPath> = HashSet::new();
    for entry in entries {
        let own = matches!(entry.what, What::Dir).then(|| entry.path.clone());
        let mut at = own.or_else(|| entry.path.split_last().map(|(parent, _)| parent));
        let mut missing = Vec::new();
        while let Some(here) = at.filter(|here| !here.is_root() && !known.contains(here)) {
            known.insert(here.clone());
            at = here.split_last().map(|(parent, _)| parent);
            missing.push(here);
        }
        folders.extend(missing.into_iter().rev());
    }
    // Level by level: so few changes wait for others.
    folders.sort_by_key(|path| path.names().count());
    for path in &folders {
        if engine.has_failed(ticket) {
            return Ok(());
        }
        let place = find_again(engine, n, &below(&home, path)?)?;
        make_dir(engine, ticket, place)?;
    }
    engine.flush();
    let mut failed: Option<Failure> = None;
    let walked = for_each(fd, kind, budget, &mut |entry, content| {
        if engine.has_failed(ticket) {
            return Err(String::new());
        }
        match one_entry(engine, ticket, n, &home, entry, content) {
            Ok(()) => Ok(()),
            Err(Trouble::Archive(words)) => Err(words),
            Err(Trouble::Failure(failure)) => {
                failed = Some(failure);
                Err(String::new())
            }
        }
    });
    if let Some(failure) = failed {
        return Err(failure.into());
    }
    if engine.has_failed(ticket) {
        return Ok(());
    }
    walked.map_err(Trouble::Archive)
}

fn below(home: &RelPath, path: &RelPath) -> Result<RelPath, Failure> {
    path.names()
        .try_fold(home.clone(), |at, name| at.join(name))
        .map_err(|e| Failure::new(FailureKind::Limit, e.to_string()))
}

fn one_entry(
    engine: &mut Engine,
    ticket: usize,
    n: usize,
    home: &RelPath,
    entry: Entry,
    content: &mut dyn Read,
) -> Result<(), Trouble> {
    let path = below(home, &entry.path)?;
    if matches!(entry.what, What::Dir) {
        return Ok(());
    }
    let at = find_again(engine, n, &path)?;
    let times = |meta: Meta| Meta { mtime: entry.mtime, ..meta };
    let (after, payload) = match entry.what {
        What::Dir => return Ok(()),
        What::Hard(target) => {
            engine.flush();
            let existing = find_again(engine, n, &below(home, &target)?)?;
            let image = crate::capture::capture(&engine.recorder, &existing.1, Keep::Digest)?.image;
            let from = Spot { grant: engine.resolver.folder(n)?.grant, path: existing.1.path.clone() };
            let change = Change::Link { existing: from, at: spot(engine, &at)?, image };
            engine.push(ticket, Step::between(change, at, existing))?;
            return Ok(());
        }
        What::Symlink(target) => {
            let meta = times(fresh_meta(engine, &at.1, FileKind::Symlink, 0o777, target.len() as u64)?);
            (Image { meta, content: Content::Symlink(target) }, Payload::None)
        }
        What::File(size) => {
            let (unnamed, content) = receive(engine, &at.1, content, size)?;
            let mode = if entry.mode & 0o111 != 0 { 0o777 } else { 0o666 };
            let meta = times(fresh_meta(engine, &at.1, FileKind::File, mode, size)?);
            (Image { meta, content: Content::File(content) }, Payload::Unnamed(unnamed))
        }
    };
    let change = Change::Create { at: spot(engine, &at)?, after };
    Ok(engine.push(ticket, Step::new(change, at, payload))?)
}

/// An entry's bytes into a file without a name.
fn receive(engine: &Engine, at: &Found, content: &mut dyn Read, size: u64) -> Result<(OwnedFd, FileContent), Trouble> {
    let fail = |e| at_path(e, &at.path);
    let unnamed = mutate::create_unnamed(at.folder()).map_err(fail)?;
    let mut buffer = vec![0_u8; 1 << 16];
    let mut done = 0_u64;
    loop {
        let got = content.read(&mut buffer).map_err(|e| Trouble::Archive(format!("`{}`: {e}", at.path.display())))?;
        if got == 0 {
            break;
        }
        mutate::write_all_at(unnamed.as_fd(), buffer.get(..got).unwrap_or_default(), done).map_err(fail)?;
        done += got as u64;
    }
    if done != size {
        return Err(Trouble::Archive(format!("`{}` has {done} bytes where {size} were announced", at.path.display())));
    }
    let content = read_content(&engine.recorder, unnamed.as_fd(), size, Keep::Digest).map_err(|e| e.at(at))?;
    Ok((unnamed, content))
}

type Visit<'a> = dyn FnMut(Entry, &mut dyn Read) -> Result<(), String> + 'a;

/// Goes through an archive's entries, in its order. `budget` bounds the bytes that come out of it.
fn for_each(fd: &OwnedFd, kind: Kind, budget: u64, visit: &mut Visit<'_>) -> Result<(), String> {
    let mut file = File::from(fd.try_clone().map_err(|e| e.to_string())?);
    file.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    match kind {
        Kind::Zip => each_zip(file, budget, visit),
        Kind::Tar => each_tar(file, budget, visit),
        Kind::TarGz => each_tar(Budget { inner: GzDecoder::new(file), left: budget }, budget, visit),
    }
}

fn each_zip(file: File, budget: u64, visit: &mut Visit<'_>) -> Result<(), String> {
    let mut zip = zip::ZipArchive::new(file).map_err(|e| e.to_string())?;
    let mut left = budget;
    for n in 0..zip.len() {
        let mut entry = zip.by_index(n).map_err(|e| e.to_string())?;
        let size = entry.size();
        left = left.checked_sub(size).ok_or_else(|| bomb(budget))?;
        let raw = entry.name_raw().to_vec();
        let mtime = entry.last_modified().map(from_zip_time).unwrap_or_default();
        let mode = entry.unix_mode().unwrap_or(0o644);
        let what = if raw.ends_with(b"/") {
            What::Dir
        } else if mode & 0o170_000 == 0o120_000 {
            let mut target = Vec::new();
            (&mut entry).take(4096).read_to_end(&mut target).map_err(|e| e.to_string())?;
            What::Symlink(target)
        } else {
            What::File(size)
        };
        let Some(path) = entry_path(&raw)? else { continue };
        visit(Entry { path, what, mode, mtime }, &mut entry.take(size.saturating_add(1)))?;
    }
    Ok(())
}

fn each_tar<R: Read>(reader: R, budget: u64, visit: &mut Visit<'_>) -> Result<(), String> {
    let mut tar = tar::Archive::new(reader);
    let mut left = budget;
    for entry in tar.entries().map_err(|e| e.to_string())? {
        let mut entry = entry.map_err(|e| e.to_string())?;
        let header = entry.header();
        let (kind, mode) = (header.entry_type(), header.mode().unwrap_or(0o644));
        let secs = i64::try_from(header.mtime().unwrap_or(0)).unwrap_or(0);
        let raw = entry.path_bytes().into_owned();
        let Some(path) = entry_path(&raw)? else { continue };
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let what = if kind.is_dir() {
            What::Dir
        } else if kind.is_file() || kind.is_contiguous() {
            left = left.checked_sub(entry.size()).ok_or_else(|| bomb(budget))?;
            What::File(entry.size())
        } else if kind.is_symlink() {
            What::Symlink(link)
        } else if kind.is_hard_link() {
            What::Hard(entry_path(&link)?.ok_or("a hard link to nothing")?)
        } else if kind.is_pax_global_extensions() {
            continue;
        } else {
            return Err(format!("`{}` is a device, FIFO or unknown kind of entry", path.display()));
        };
        visit(Entry { path, what, mode, mtime: Timestamp { secs, nanos: 0 } }, &mut entry)?;
    }
    Ok(())
}

fn bomb(budget: u64) -> String {
    format!("it would grow beyond {budget} bytes, the limit for an archive of its size")
}

/// An entry's name as a canonical path; `None` for the folder itself.
fn entry_path(raw: &[u8]) -> Result<Option<RelPath>, String> {
    let shown = raincoat_types::display_bytes(raw);
    if raw.first() == Some(&b'/') {
        return Err(format!("`{shown}` is an absolute path; nothing was taken out"));
    }
    let names: Vec<&[u8]> = raw.split(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".").collect();
    if names.contains(&b"..".as_slice()) {
        return Err(format!("`{shown}` would land outside; nothing was taken out"));
    }
    if names.is_empty() {
        return Ok(None);
    }
    RelPath::new(&names.join(&b'/')).map(Some).map_err(|e| format!("`{shown}`: {e}"))
}

/// Bounds what a decompressor gives.
struct Budget<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(out)?;
        self.left =
            self.left.checked_sub(got as u64).ok_or_else(|| io::Error::other("it would grow beyond the limit"))?;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_goes_into_a_zip_and_back() {
        let time = zip_time(Timestamp { secs: 1_795_219_200, nanos: 0 }).unwrap();
        assert_eq!(from_zip_time(time).secs, 1_795_219_200);
        assert!(zip_time(Timestamp { secs: 0, nanos: 0 }).is_none());
    }

    #[test]
    fn entries_that_leave_are_refused() {
        assert!(entry_path(b"/etc/passwd").is_err());
        assert!(entry_path(b"a/../../x").is_err());
        assert!(entry_path(b"a\0b").is_err());
        assert_eq!(entry_path(b"./").unwrap(), None);
        let at = RelPath::new(b"d/link").unwrap();
        assert!(stays(&at, b"../x"));
        assert!(!stays(&at, b"../../x"));
        assert!(!stays(&at, b"/x"));
        assert!(!stays(&at, b"y/../../../x"));
    }
}
