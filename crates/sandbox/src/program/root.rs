//! The private root: what the program finds at `/`.
//!
//! Two small file systems in memory, one for the skeleton, which is read-only in the end, and one for what the program
//! may write and nobody keeps (`/tmp`, `/var/tmp`, `/run`, `/dev/shm`, its home). Everything else is a view of
//! something that is there: system folders, devices, the granted folders.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, accessat, openat, symlinkat, unlinkat};
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{chdir, fchdir, geteuid, pivot_root, umask};

use super::fault::{self, Or};
use super::masks::{ETC, Finds, Mask, PROC, SYSTEM};
use super::mounts::{self, PLAIN, READ_ONLY};
use super::sources::{DEVICES, GRANT_AGAIN, NO_FIX, Parts, Source, device, no_overlay, parts, system_folder};
use super::{Folder, HeldLayer, Plan};
use crate::SandboxFault;

pub(super) const LAYER: &str = "private-root";

/// Bytes of the skeleton: folders, links, and empty files.
const SKELETON: &str = "1m";

/// What is left to hold on to, and to know.
pub(super) struct Root {
    /// `/proc`, with every process in it, and nowhere to be found inside.
    pub(super) proc: OwnedFd,
    /// The file system of what nobody keeps.
    pub(super) private: OwnedFd,
    /// The drafts' upper directories.
    pub(super) uppers: Vec<OwnedFd>,
    /// Where the program may write, as it sees it.
    pub(super) writable: Vec<Vec<u8>>,
    /// What could not be had.
    pub(super) lacking: Vec<HeldLayer>,
}

/// Builds it, and makes it this process's root. The old one is gone then.
pub(super) fn build(plan: &Plan) -> Result<Root, SandboxFault> {
    let mask = umask(Mode::empty());
    let built = build_all(plan);
    umask(mask);
    built
}

fn build_all(plan: &Plan) -> Result<Root, SandboxFault> {
    // Nothing that is mounted here may show outside, and nothing that is mounted outside from now on may show here.
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| fault::namespaces(error.into()))?;
    let system = SYSTEM.iter().filter_map(|name| system_folder(name).transpose()).collect::<Result<Vec<_>, _>>()?;
    let devices = DEVICES.iter().map(|name| device(name)).collect::<Result<Vec<_>, _>>()?;
    let processors =
        mounts::outside(b"/sys/devices/system/cpu").and_then(|cpu| mounts::view_with(cpu.as_fd(), READ_ONLY));
    let parts = plan.folders.iter().map(parts).collect::<Result<Vec<_>, _>>()?;

    let root = mounts::new(c"tmpfs", &[("size", Some(SKELETON)), ("mode", Some("0755"))], PLAIN).or_fault(
        LAYER,
        "make a file system in memory",
        NO_FIX,
    )?;
    let cover =
        mounts::outside(b"/usr").or_else(|_| mounts::outside(b"/etc")).or_fault(LAYER, "find `/usr`", NO_FIX)?;
    // The one beneath the other, both over something of the old root: the second one goes with the old root, for the
    // kernel waits a while for every mount that is taken away by itself.
    let private = private(plan)?;
    mounts::put(private.as_fd(), cover.as_fd()).or_fault(LAYER, "mount it", NO_FIX)?;
    mounts::put(root.as_fd(), private.as_fd()).or_fault(LAYER, "mount it", NO_FIX)?;
    let mut build = Build {
        plan,
        root: root.as_fd(),
        private: private.as_fd(),
        writable: Vec::new(),
        uppers: Vec::new(),
        lacking: Vec::new(),
    };
    build.empty()?;
    build.system(system)?;
    build.masks(ETC, b"")?;
    let proc = build.proc()?;
    build.devices(devices)?;
    build.plain_folders()?;
    if let Ok(processors) = processors {
        build.put(processors, b"/sys/devices/system/cpu", 0o755)?;
    }
    for (folder, parts) in plan.folders.iter().zip(parts) {
        build.folder(folder, parts)?;
    }
    build.hide()?;
    build.tidy()?;
    let Build { writable, uppers, lacking, .. } = build;
    enter(root.as_fd())?;
    Ok(Root { proc, private, uppers, writable, lacking })
}

/// The second file system. A little larger than the limits, so that the limit is told of before it is full.
fn private(plan: &Plan) -> Result<OwnedFd, SandboxFault> {
    const ROOM: u64 = 16 << 20;
    let size = plan.limits.disk.min(plan.limits.memory).saturating_add(ROOM).to_string();
    mounts::new(c"tmpfs", &[("size", Some(&size)), ("mode", Some("0700"))], PLAIN).or_fault(
        LAYER,
        "make a file system in memory",
        NO_FIX,
    )
}

struct Build<'a> {
    plan: &'a Plan,
    root: BorrowedFd<'a>,
    private: BorrowedFd<'a>,
    writable: Vec<Vec<u8>>,
    uppers: Vec<OwnedFd>,
    lacking: Vec<HeldLayer>,
}

impl Build<'_> {
    /// What stands in the place of what is not to be seen.
    fn empty(&self) -> Result<(), SandboxFault> {
        drop(mounts::file(self.root, EMPTY_FILE, 0o000, b"").or_fault(LAYER, "make a file", NO_FIX)?);
        mounts::make(self.root, EMPTY_FOLDER, 0o555).or_fault(LAYER, "make a folder", NO_FIX)
    }

    fn system(&self, system: Vec<(String, Source)>) -> Result<(), SandboxFault> {
        for (name, source) in system {
            match source {
                Source::Link(target) => {
                    symlinkat(target, self.root, name.as_str()).or_fault(LAYER, format!("link `/{name}`"), NO_FIX)?;
                }
                Source::View(view) => self.put(view, name.as_bytes(), 0o755)?,
            }
        }
        Ok(())
    }

    fn masks(&self, masks: &[Mask], beneath: &[u8]) -> Result<(), SandboxFault> {
        for mask in masks {
            let path = [beneath, mask.path.as_bytes()].concat();
            if mask.path.contains('*') {
                for path in self.matching(&path) {
                    self.mask(&path, mask.finds)?;
                }
            } else {
                self.mask(&path, mask.finds)?;
            }
        }
        Ok(())
    }

    /// The names that a pattern with one `*` stands for.
    fn matching(&self, pattern: &[u8]) -> Vec<Vec<u8>> {
        let Some(at) = pattern.iter().rposition(|byte| *byte == b'/') else { return Vec::new() };
        let (folder, name) =
            (pattern.get(..at).unwrap_or_default(), pattern.get(at.saturating_add(1)..).unwrap_or_default());
        let mut ends = name.splitn(2, |byte| *byte == b'*');
        let (first, last) = (ends.next().unwrap_or_default(), ends.next().unwrap_or_default());
        let entries = mounts::inside(self.root, folder)
            .and_then(|dir| mounts::readable(dir.as_fd()))
            .and_then(|dir| Ok(rustix::fs::Dir::new(dir)?));
        // A folder that cannot be listed cannot be listed by the program either.
        let names =
            entries.into_iter().flatten().filter_map(Result::ok).map(|entry| entry.file_name().to_bytes().to_vec());
        names
            .filter(|name| name.starts_with(first) && name.ends_with(last))
            .map(|name| [folder, b"/", &name].concat())
            .collect()
    }

    fn mask(&self, path: &[u8], finds: Finds) -> Result<(), SandboxFault> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(target) = openat(self.root, path, flags, Mode::empty()) else { return Ok(()) };
        let what = || format!("mask `/{}`", raincoat_types::display_bytes(path));
        let kind = mounts::kind(target.as_fd()).or_fault(LAYER, what(), NO_FIX)?;
        let view = match (finds, kind) {
            (_, FileType::Symlink) => return Ok(()),
            (Finds::Nothing, _) if !self.may_use(path) => return Ok(()),
            (Finds::Nothing, FileType::Directory) => self.own(EMPTY_FOLDER),
            (Finds::Nothing, _) => self.own(EMPTY_FILE),
            (Finds::ReadOnly, _) if path != b"proc/sys" && !self.may_use(path) => return Ok(()),
            (Finds::ReadOnly, _) => mounts::view_with(target.as_fd(), READ_ONLY),
            (Finds::Words(words), _) => {
                let name = [b".", path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()].concat();
                return mounts::file(self.root, &name, 0o444, words.as_bytes())
                    .and_then(|_| mounts::put(self.own(&name)?.as_fd(), target.as_fd()))
                    .and_then(|()| Ok(unlinkat(self.root, name.as_slice(), AtFlags::empty())?))
                    .or_fault(LAYER, what(), NO_FIX);
            }
        };
        view.and_then(|view| mounts::put(view.as_fd(), target.as_fd())).or_fault(LAYER, what(), NO_FIX)
    }

    /// Whether the program could read or write it. Root could anything.
    fn may_use(&self, path: &[u8]) -> bool {
        let may = |access| accessat(self.root, path, access, AtFlags::EACCESS).is_ok();
        geteuid().is_root() || may(Access::READ_OK) || may(Access::WRITE_OK)
    }

    /// A view of something in the skeleton, not to be written.
    fn own(&self, name: &[u8]) -> std::io::Result<OwnedFd> {
        mounts::view_with(mounts::inside(self.root, name)?.as_fd(), READ_ONLY)
    }

    fn proc(&self) -> Result<OwnedFd, SandboxFault> {
        const FIX: &str = "in a container, allow a new /proc (Docker: `--security-opt systempaths=unconfined`)";
        let noexec = PLAIN | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        // Hidden from the program are processes that it may not look into: the supervisor. The supervisor itself needs
        // to count those too that hide.
        let all = mounts::new(c"proc", &[], noexec).or_fault("proc", "mount a new /proc", FIX)?;
        // 4: what it may not trace. 2, of older kernels, makes an exception for a group that root is in.
        let shown = mounts::new(c"proc", &[("hidepid", Some("4"))], noexec)
            .or_else(|_| mounts::new(c"proc", &[("hidepid", Some("2"))], noexec))
            .or_fault("proc", "mount a new /proc that hides processes", FIX)?;
        self.put(shown, b"proc", 0o555)?;
        self.masks(PROC, b"proc/")?;
        Ok(all)
    }

    fn devices(&mut self, devices: Vec<(&str, OwnedFd)>) -> Result<(), SandboxFault> {
        let dev = mounts::folder(self.root, b"dev", 0o755).or_fault(LAYER, "make `/dev`", NO_FIX)?;
        for (name, view) in devices {
            let what = || format!("show `/dev/{name}`");
            let onto = mounts::file(dev.as_fd(), name.as_bytes(), 0o666, b"").or_fault(LAYER, what(), NO_FIX)?;
            mounts::put(view.as_fd(), onto.as_fd()).or_fault(LAYER, what(), NO_FIX)?;
        }
        let mut options = vec![("ptmxmode", Some("0666")), ("mode", Some("0620"))];
        if geteuid().is_root() {
            options.push(("gid", Some("5")));
        }
        let noexec = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let terminals = mounts::new(c"devpts", &options, noexec).or_fault(LAYER, "mount `/dev/pts`", NO_FIX)?;
        self.put(terminals, b"dev/pts", 0o755)?;
        for (name, target) in [
            ("ptmx", "pts/ptmx"),
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            symlinkat(target, &dev, name).or_fault(LAYER, format!("link `/dev/{name}`"), NO_FIX)?;
        }
        self.plain(b"/dev/shm", b"shm", 0o1777)
    }

    fn plain_folders(&mut self) -> Result<(), SandboxFault> {
        self.plain(b"/tmp", b"tmp", 0o1777)?;
        self.plain(b"/var/tmp", b"var-tmp", 0o1777)?;
        self.plain(b"/run", b"run", 0o755)?;
        let run = format!("/run/user/{}", geteuid().as_raw());
        mounts::folder(self.root, run.as_bytes(), 0o700).or_fault(LAYER, "make a runtime folder", NO_FIX)?;
        let home = &self.plan.home;
        let system = SYSTEM.iter().any(|name| {
            let folder = mounts::relative(home).split(|byte| *byte == b'/').next().unwrap_or_default();
            folder == name.as_bytes()
        });
        // A service's home may be `/`, or lie among the system folders. It is no home then.
        if mounts::relative(home) != b"." && !system {
            self.plain(&home.clone(), b"home", 0o700)?;
        }
        Ok(())
    }

    /// A folder of the program's own, gone with it.
    fn plain(&mut self, at: &[u8], name: &[u8], mode: u32) -> Result<(), SandboxFault> {
        let what = || format!("make `{}`", raincoat_types::display_bytes(at));
        let view = mounts::folder(self.private, name, mode)
            .and_then(|folder| mounts::view(folder.as_fd(), false))
            .or_fault(LAYER, what(), NO_FIX)?;
        self.put(view, at, 0o755)?;
        self.writable.push(at.to_vec());
        Ok(())
    }

    fn folder(&mut self, folder: &Folder, parts: Parts) -> Result<(), SandboxFault> {
        let shown = raincoat_types::display_bytes(&folder.at);
        match parts {
            Parts::Draft { lower, upper, work } => {
                let layers: Vec<_> = lower.iter().map(AsFd::as_fd).collect();
                let readable = mounts::readable(upper.as_fd()).or_fault(LAYER, "open a draft", GRANT_AGAIN)?;
                let overlay = mounts::overlay(&layers, Some((upper.as_fd(), work.as_fd())), PLAIN)
                    .map_err(|error| no_overlay(&folder.at, work.as_fd(), error))?;
                self.uppers.push(readable);
                self.put(overlay, &folder.at, 0o755)?;
                self.writable.push(folder.at.clone());
            }
            Parts::Fixed(it) => {
                let empty = mounts::inside(self.root, EMPTY_FOLDER).or_fault(LAYER, "find a folder", NO_FIX)?;
                // An overlay has sockets of its own: whoever listens at one in the folder is not reached.
                let view = match mounts::overlay(&[it.as_fd(), empty.as_fd()], None, READ_ONLY) {
                    Ok(overlay) => overlay,
                    Err(error) => {
                        self.lacking.push(HeldLayer {
                            name: "read-only-sockets".to_owned(),
                            enforced: false,
                            why: format!("sockets in `{shown}` can be connected to: no overlay is possible ({error})"),
                            fix: "grant folders that nothing is mounted in".to_owned(),
                        });
                        mounts::view_with(it.as_fd(), READ_ONLY).or_fault(
                            LAYER,
                            format!("show `{shown}`"),
                            GRANT_AGAIN,
                        )?
                    }
                };
                self.put(view, &folder.at, 0o755)?;
            }
            Parts::Copied { content, mode } => {
                let (above, name) = above(mounts::relative(&folder.at));
                mounts::folder(self.root, above, 0o755)
                    .and_then(|above| mounts::file(above.as_fd(), name, mode, &content))
                    .or_fault(LAYER, format!("copy `{shown}`"), NO_FIX)?;
            }
            Parts::File(view) => {
                let path = mounts::relative(&folder.at);
                let (above, name) = above(path);
                let what = || format!("show `{shown}`");
                let onto = mounts::inside(self.root, path).or_else(|_| {
                    let above = mounts::folder(self.root, above, 0o755)?;
                    mounts::file(above.as_fd(), name, 0o644, b"")
                });
                let onto = onto.or_fault(LAYER, what(), NO_FIX)?;
                mounts::put(view.as_fd(), onto.as_fd()).or_fault(LAYER, what(), NO_FIX)?;
            }
            Parts::View(view) => {
                self.put(view, &folder.at, 0o755)?;
                self.writable.push(folder.at.clone());
            }
            Parts::Empty => {
                let name = format!("empty-{}", self.writable.len());
                self.plain(&folder.at, name.as_bytes(), 0o700)?;
            }
        }
        Ok(())
    }

    fn hide(&self) -> Result<(), SandboxFault> {
        let within = |path: &[u8]| {
            self.plan.folders.iter().any(|folder| {
                path.strip_prefix(folder.at.as_slice()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            })
        };
        for hidden in self.plan.hidden.iter().filter(|path| within(path)) {
            let Ok(onto) = mounts::inside(self.root, hidden) else { continue };
            let view = self.own(EMPTY_FOLDER);
            view.and_then(|view| mounts::put(view.as_fd(), onto.as_fd())).or_fault(
                LAYER,
                format!("hide `{}`", raincoat_types::display_bytes(hidden)),
                NO_FIX,
            )?;
        }
        Ok(())
    }

    fn put(&self, mount: OwnedFd, at: &[u8], mode: u32) -> Result<(), SandboxFault> {
        let what = || format!("show `{}`", raincoat_types::display_bytes(at));
        let onto = mounts::folder(self.root, at, mode).or_fault(LAYER, what(), NO_FIX)?;
        mounts::put(mount.as_fd(), onto.as_fd()).or_fault(LAYER, what(), NO_FIX)
    }

    /// What was only for building goes, and the skeleton is not to be changed.
    fn tidy(&self) -> Result<(), SandboxFault> {
        let gone = || -> std::io::Result<()> {
            for (name, flags) in [(EMPTY_FILE, AtFlags::empty()), (EMPTY_FOLDER, AtFlags::REMOVEDIR)] {
                unlinkat(self.root, name, flags)?;
            }
            mounts::restrict(self.root, READ_ONLY)
        };
        gone().or_fault(LAYER, "close it", NO_FIX)
    }
}

/// A path's folder and its last name.
fn above(path: &[u8]) -> (&[u8], &[u8]) {
    path.iter().rposition(|byte| *byte == b'/').map_or((&b"."[..], path), |at| {
        (path.get(..at).unwrap_or_default(), path.get(at.saturating_add(1)..).unwrap_or_default())
    })
}

const EMPTY_FILE: &[u8] = b".empty-file";
const EMPTY_FOLDER: &[u8] = b".empty";

/// The new root becomes the root; the old one is detached.
fn enter(root: BorrowedFd<'_>) -> Result<(), SandboxFault> {
    let enter = || -> rustix::io::Result<()> {
        fchdir(root)?;
        pivot_root(c".", c".")?;
        unmount(c".", UnmountFlags::DETACH)?;
        chdir(c"/")
    };
    enter().map_err(std::io::Error::from).or_fault(
        LAYER,
        "enter the new root",
        "raincoat cannot enclose programs from within a chroot; start it outside",
    )
}
