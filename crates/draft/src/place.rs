//! Where a draft lies: its directories, made before any key is open.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use raincoat_os::overlay::{self, Node};
use raincoat_os::{FileLock, PrivateDir, mutate, state};
use raincoat_types::{FileKind, Meta, RelPath, Root, RunId, Timestamp, Xattr, display_bytes};
use serde::{Deserialize, Serialize};

use crate::record::{ClockMark, Place, RecordedFolder};

/// The directory of all drafts, in our data directory.
pub(crate) const DRAFTS: &str = "drafts";
/// In a draft's directory: locked by the keeper while its program runs.
pub(crate) const LIVE_LOCK: &str = "live.lock";
/// In a draft's directory: the folders and places of a draft whose record is not sealed yet.
pub(crate) const UNSEALED: &str = "unsealed.bin";
/// Names at the top of a folder that are looked at for secret ones; fixed names are found however many there are.
const TOP_NAMES: usize = 2000;

/// A folder that a draft is asked for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The folder, open.
    pub root: &'a raincoat_os::Root,
    /// Grant, path and identity as they are recorded.
    pub granted: &'a Root,
    /// Fixed paths that the program must not see, where they exist: `.env`, `.config/gh/hosts.yml`.
    pub hide: &'a [RelPath],
    /// Which names at the folder's top the program must not see. No folder is walked for it.
    pub hide_top: &'a dyn Fn(&[u8]) -> bool,
}

/// A draft whose directories are made and whose record is not sealed yet. It counts as live while this is held.
#[derive(Debug)]
pub struct Prepared {
    /// The program's run.
    pub run: RunId,
    /// The clocks when it was made.
    pub clock: ClockMark,
    /// The folders, in the order they were asked for.
    pub folders: Vec<PreparedFolder>,
    pub(crate) dir: PrivateDir,
    pub(crate) lock: FileLock,
}

/// A folder of a prepared draft.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreparedFolder {
    /// As it will be recorded.
    pub recorded: RecordedFolder,
    /// `mask` exists: it must be the overlay's upper one of two lower layers.
    pub has_mask: bool,
    /// All names at the top were looked at; else there were too many, and only fixed names are hidden.
    pub all_looked_at: bool,
}

/// Why a draft's directories could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// No directory outside the folder can hold its draft.
    #[error(
        "no place for a draft of `{folder}`: our data lies within it, and {why}; move our data elsewhere \
         (`XDG_DATA_HOME`), or name a smaller folder"
    )]
    NoPlace {
        /// The folder.
        folder: String,
        /// What is wrong with the other places.
        why: String,
    },
    /// The system refuses.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What it says.
        #[source]
        error: io::Error,
    },
}

/// What lies in [`UNSEALED`].
#[derive(Serialize, Deserialize)]
pub(crate) struct Unsealed {
    pub(crate) clock: ClockMark,
    pub(crate) folders: Vec<RecordedFolder>,
}

/// Makes the directories of a draft: `drafts/RUN/N/{upper,work,mask}` under our data directory, or in a private
/// directory on the folder's own file system. Needs no key and waits for no disk; nothing is durable before
/// [`crate::Drafts::seal`].
///
/// # Errors
/// [`PrepareError`]; what was made is taken away again.
pub fn prepare(data: &PrivateDir, run: RunId, folders: &[Asked<'_>]) -> Result<Prepared, PrepareError> {
    let drafts = make_private(data, DRAFTS).map_err(|e| system("make the directory of drafts", e))?;
    overlay::spread_children(drafts.as_fd());
    let name = run.to_string();
    mutate::make_dir(drafts.as_fd(), name.as_bytes()).map_err(|e| system("make the draft's directory", e))?;
    let made = prepare_in(&drafts, run, folders);
    if made.is_err() {
        // Best effort: what stays is found and told by the next listing.
        let _ = crate::wipe::remove_tree(drafts.as_fd(), name.as_bytes());
    }
    made
}

fn prepare_in(drafts: &PrivateDir, run: RunId, asked: &[Asked<'_>]) -> Result<Prepared, PrepareError> {
    let fail = |e| system("make the draft's directory", e);
    let clock = ClockMark::now();
    let name = run.to_string();
    let dir = drafts.open_dir(&name).and_then(|dir| dir.ok_or_else(gone)).map_err(fail)?;
    // Who lists drafts may look at this one right now, for an instant.
    let lock = dir.lock(LIVE_LOCK).map_err(fail)?;
    let at_data = Base { fd: dir.as_fd().try_clone_to_owned().map_err(fail)?, path: dir.path().map_err(fail)? };
    let mut folders = Vec::new();
    let result = asked.iter().enumerate().try_for_each(|(number, asked)| {
        let made = prepare_folder(&at_data, &name, number, asked)?;
        folders.push(made);
        Ok(())
    });
    let result = result.and_then(|()| {
        let recorded = folders.iter().map(|folder| folder.recorded.clone()).collect();
        let unsealed = postcard::to_stdvec(&Unsealed { clock: clock.clone(), folders: recorded })
            .map_err(|e| fail(io::Error::other(e)))?;
        dir.create_append(UNSEALED).and_then(|file| file.write_all_at(&unsealed, 0)).map_err(fail)
    });
    if let Err(error) = result {
        for folder in folders.iter().filter(|folder| !at_data.holds(&folder.recorded.place)) {
            let _ = crate::wipe::remove_place(&folder.recorded.place, run);
        }
        return Err(error);
    }
    Ok(Prepared { run, clock, folders, dir, lock })
}

fn prepare_folder(data: &Base, run: &str, number: usize, asked: &Asked<'_>) -> Result<PreparedFolder, PrepareError> {
    let shown = display_bytes(&asked.granted.path);
    let (base, same_file_system) = choose(data, run, asked, &shown)?;
    let fail = |e| system(&format!("make the draft of `{shown}`"), e);
    let number = number.to_string();
    let place = make_dir(base.fd.as_fd(), &number).map_err(fail)?;
    let since = ctime_mark(place.as_fd()).map_err(fail)?;
    for name in ["work", "stage"] {
        mutate::make_dir(place.as_fd(), name.as_bytes()).map_err(fail)?;
    }
    let (masked, all_looked_at) = mask(place.as_fd(), asked).map_err(fail)?;
    let upper = make_dir(place.as_fd(), "upper").map_err(fail)?;
    dress(upper.as_fd(), asked.root.as_fd(), b"").map_err(fail)?;
    let path = base.path.join(&number).as_os_str().as_bytes().to_vec();
    let recorded =
        RecordedFolder { root: asked.granted.clone(), place: Place { path, same_file_system }, since, masked };
    Ok(PreparedFolder { has_mask: !recorded.masked.is_empty(), recorded, all_looked_at })
}

/// A directory that holds the numbered parts of one draft.
struct Base {
    fd: OwnedFd,
    path: PathBuf,
}

impl Base {
    fn holds(&self, place: &Place) -> bool {
        place.path.strip_prefix(self.path.as_os_str().as_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'))
    }
}

/// Where a folder's part goes: with our data if that is the same file system; else on the folder's own; else with our
/// data after all, which makes commit copy. Never within the folder itself: an overlay refuses that.
fn choose(data: &Base, run: &str, asked: &Asked<'_>, shown: &str) -> Result<(Base, bool), PrepareError> {
    let fail = |e| system(&format!("find a place for a draft of `{shown}`"), e);
    let folder = asked.root.as_fd();
    let data_within = overlay::lies_within(data.fd.as_fd(), folder).map_err(fail)?;
    let data_base = || -> io::Result<Base> { Ok(Base { fd: data.fd.try_clone()?, path: data.path.clone() }) };
    if !data_within && same_mount(data.fd.as_fd(), folder).map_err(fail)? {
        return Ok((data_base().map_err(fail)?, true));
    }
    let mut why = Vec::new();
    let own = overlay::mount_top(folder).map(|(_, path)| path.join(elsewhere(true)));
    let tmp = Path::new("/var/tmp").join(elsewhere(false));
    // Places on the folder's own file system first; then, if our data is no choice, any that is outside the folder.
    for need_same in if data_within { [true, false].as_slice() } else { [true].as_slice() } {
        for shared in own.iter().chain([&tmp]) {
            match usable(shared, run, folder, *need_same) {
                Ok(base) => return Ok((base, *need_same)),
                Err(error) => why.push(format!("`{}`: {error}", display_bytes(shared.as_os_str().as_bytes()))),
            }
        }
    }
    if data_within {
        return Err(PrepareError::NoPlace { folder: shown.to_owned(), why: why.join("; ") });
    }
    Ok((data_base().map_err(fail)?, false))
}

/// The directory of a user's drafts outside our data: hidden where it stands among the user's own.
fn elsewhere(hidden: bool) -> String {
    format!("{}raincoat-drafts-{}", if hidden { "." } else { "" }, mutate::me().0)
}

/// Makes `shared/RUN` if that can hold an overlay's upper directory for `folder`.
fn usable(shared: &Path, run: &str, folder: BorrowedFd<'_>, need_same: bool) -> io::Result<Base> {
    let (Some(parent), Some(name)) = (shared.parent(), shared.file_name()) else { return Err(gone()) };
    let parent = raincoat_os::Root::open(parent)?;
    if overlay::lies_within(parent.as_fd(), folder)? {
        return Err(io::Error::other("lies within the folder"));
    }
    if need_same && !same_mount(parent.as_fd(), folder)? {
        return Err(io::Error::other("is another file system"));
    }
    if let Err(error) = mutate::make_dir(parent.as_fd(), name.as_bytes())
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    let held = open_strictly_ours(parent.as_fd(), name.as_bytes())?;
    if need_same && !same_mount(held.as_fd(), folder)? {
        return Err(io::Error::other("is another file system"));
    }
    overlay::spread_children(held.as_fd());
    match mutate::make_dir(held.as_fd(), run.as_bytes()) {
        // Made for another folder of the same draft.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    let fd = open_strictly_ours(held.as_fd(), run.as_bytes())?;
    if let Err(error) = probe(fd.as_fd()) {
        let _ = mutate::remove_dir(held.as_fd(), run.as_bytes());
        return Err(error);
    }
    let path = raincoat_os::fd_path(fd.as_fd())?;
    Ok(Base { fd, path })
}

/// Whether the file system knows whiteouts, without which it can hold no draft.
fn probe(dir: BorrowedFd<'_>) -> io::Result<()> {
    overlay::make_whiteout(dir, b"probe")?;
    let found = overlay::look_at(dir, b"probe")?.map(|(_, node)| node);
    mutate::unlink(dir, b"probe")?;
    if found == Some(Node::Char(0, 0)) { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}

fn same_mount(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    let device = |fd| state::stat_fd(fd).map(|stat| stat.identity.dev);
    Ok(device(one)? == device(other)? && overlay::mount_of(one)? == overlay::mount_of(other)?)
}

/// Opens a directory that must be ours and nobody else's to look into: in a place where others may plant what they
/// like.
pub(crate) fn open_strictly_ours(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let fd = overlay::folder_to_list(parent, name)?;
    let stat = state::stat_fd(fd.as_fd())?;
    if stat.uid != mutate::me().0 || stat.mode & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "belongs to somebody else, or is open to others"));
    }
    Ok(fd)
}

/// A change time that nothing bears which was changed earlier. Where the kernel stamps finely whatever was looked at
/// just before (6.13), so does the second stamp here, and a file written a moment ago does not count as changed since.
fn ctime_mark(dir: BorrowedFd<'_>) -> io::Result<Timestamp> {
    let file = mutate::create_file(dir, b"mark")?;
    state::stat_fd(file.as_fd())?;
    overlay::set_mode(file.as_fd(), 0o400)?;
    let since = state::stat_fd(file.as_fd())?.ctime;
    mutate::unlink(dir, b"mark")?;
    Ok(since)
}

/// Makes `mask` with a whiteout for each name that is to be hidden and exists. Says which, and whether all names at the
/// top were looked at.
fn mask(place: BorrowedFd<'_>, asked: &Asked<'_>) -> io::Result<(Vec<RelPath>, bool)> {
    let folder = overlay::folder_to_list(asked.root.as_fd(), b"");
    let top = match &folder {
        Ok(folder) => overlay::list_some(folder.as_fd(), TOP_NAMES + 1)?,
        // It may be passed through and not listed: then nobody lists it inside either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Vec::new(),
        Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
    };
    let all = top.len() <= TOP_NAMES;
    let mut hidden: Vec<RelPath> =
        top.iter().filter(|entry| (asked.hide_top)(&entry.name)).filter_map(|e| RelPath::new(&e.name).ok()).collect();
    for path in asked.hide.iter().filter(|path| !path.is_root()) {
        // A symlink on the way leads elsewhere, where the path is another.
        if asked.root.find_exact(path).is_ok_and(|found| found.stat.is_some()) {
            hidden.push(path.clone());
        }
    }
    hidden.sort();
    // What lies beneath something hidden is hidden with it.
    let mut kept: Vec<RelPath> = Vec::new();
    for path in hidden {
        if !kept.iter().any(|above| path.starts_with(above)) {
            kept.push(path);
        }
    }
    if kept.is_empty() {
        return Ok((kept, all));
    }
    let mask = make_dir(place, "mask")?;
    dress(mask.as_fd(), asked.root.as_fd(), b"")?;
    for path in &kept {
        let Some((folder, name)) = path.split_last() else { continue };
        let mut at = mask.try_clone()?;
        let mut way = RelPath::ROOT;
        for step in folder.names() {
            way = way.join(step).map_err(io::Error::other)?;
            at = match mutate::make_dir(at.as_fd(), step) {
                Ok(()) => {
                    let made = overlay::folder_at(at.as_fd(), step)?;
                    // The topmost layer that has a folder says what its mode and owner are.
                    dress(made.as_fd(), asked.root.as_fd(), way.as_bytes())?;
                    made
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => overlay::folder_at(at.as_fd(), step)?,
                Err(error) => return Err(error),
            };
        }
        overlay::make_whiteout(at.as_fd(), name)?;
    }
    Ok((kept, all))
}

/// Gives a directory of ours the looks of one in the folder: mode, owner where we may, times, attributes.
fn dress(ours: BorrowedFd<'_>, root: BorrowedFd<'_>, path: &[u8]) -> io::Result<()> {
    let theirs = overlay::folder_at(root, path)?;
    let stat = state::stat_fd(theirs.as_fd())?;
    let kept = |xattr: &Xattr| {
        !is_overlays(&xattr.name) && (xattr.name.starts_with(b"user.") || xattr.name.starts_with(b"system.posix_acl"))
    };
    let xattrs: Vec<Xattr> = overlay::xattrs_under(theirs.as_fd(), b"")?.into_iter().filter(kept).collect();
    let now = state::stat_fd(ours)?;
    let mut meta: Meta = stat.with_xattrs(xattrs);
    // What else the file system put on it stays.
    meta.xattrs.extend(overlay::xattrs_under(ours, b"")?.into_iter().filter(|xattr| !kept(xattr)));
    meta.xattrs.sort();
    meta.kind = FileKind::Dir;
    if mutate::set_meta_of(ours, &meta).is_err() {
        // An owner that is not ours to give, or attributes that this file system does not keep.
        (meta.uid, meta.gid) = (now.uid, now.gid);
        meta.xattrs = overlay::xattrs_under(ours, b"")?;
        mutate::set_meta_of(ours, &meta)?;
    }
    Ok(())
}

/// Whether an attribute is the overlay's own.
pub(crate) fn is_overlays(name: &[u8]) -> bool {
    name.starts_with(b"user.overlay.")
}

fn make_dir(parent: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    mutate::make_dir(parent, name.as_bytes())?;
    overlay::folder_to_list(parent, name.as_bytes())
}

/// Opens a directory of ours within one of ours, making it where it is missing, without waiting for the disk.
pub(crate) fn make_private(parent: &PrivateDir, name: &str) -> io::Result<PrivateDir> {
    match mutate::make_dir(parent.as_fd(), name.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    parent.open_dir(name)?.ok_or_else(gone)
}

pub(crate) fn gone() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn system(what: &str, error: io::Error) -> PrepareError {
    PrepareError::System { what: what.to_owned(), error }
}
