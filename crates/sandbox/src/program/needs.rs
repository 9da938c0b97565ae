//! What enclosing a program needs of this machine, each tried by itself: for `raincoat doctor`.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, readlinkat, unlinkat};
use rustix::mount::{MountAttrFlags, MountPropagationFlags, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, geteuid, waitpid};
use serde::{Deserialize, Serialize};

use super::fault;
use super::mounts::{self, PLAIN};
use super::sys::{self, Forked};
use super::{enclose, filter, init};
use crate::{Layer, SandboxFault};

/// One need: whether it is met, what was seen, and what to do where it is not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Tried {
    met: bool,
    why: String,
    fix: String,
}

/// In the order in which they are tried: where the first is not met, the others cannot be tried.
const NAMES: [&str; 5] = ["user-namespaces", "draft-overlay", "program-proc", "program-processes", "program-filter"];

/// Tries them in a process of their own, which `ask` starts: it is given a folder of ours to use and gives what
/// [`try_needs`] wrote.
pub(crate) fn needs(data_dir: BorrowedFd<'_>, ask: impl FnOnce(&[u8]) -> io::Result<Vec<u8>>) -> Vec<Layer> {
    const AGAIN: &str = "run `raincoat doctor` again";
    let scratch = Scratch::new(data_dir);
    let said = scratch.and_then(|scratch| ask(&scratch.path()?));
    let tried: Vec<Tried> = match said.and_then(|said| postcard::from_bytes(&said).map_err(io::Error::other)) {
        Ok(tried) => tried,
        Err(error) => {
            let why = format!("the probe could not run: {error}");
            return NAMES.into_iter().map(|name| Layer::unknown(name, why.clone(), AGAIN)).collect();
        }
    };
    let mut tried = tried.into_iter();
    let layer = |name| match tried.next() {
        Some(Tried { met: true, why, .. }) => Layer::enforced(name, why),
        Some(Tried { why, fix, .. }) => Layer::missing(name, why, fix),
        None => Layer::unknown(name, "not tried: what comes before it is missing", ""),
    };
    NAMES.into_iter().map(layer).collect()
}

/// Folders for an overlay, in ours, gone at the end.
struct Scratch<'a> {
    data_dir: BorrowedFd<'a>,
    name: String,
}

/// What may be left of it, in the order in which it goes: ours and the kernel's.
const PARTS: [(&str, AtFlags); 10] = [
    ("lower/file", AtFlags::empty()),
    ("upper/file", AtFlags::empty()),
    ("work/work/incompat/volatile/dirty", AtFlags::empty()),
    ("work/work/incompat/volatile", AtFlags::REMOVEDIR),
    ("work/work/incompat", AtFlags::REMOVEDIR),
    ("work/work", AtFlags::REMOVEDIR),
    ("work", AtFlags::REMOVEDIR),
    ("upper", AtFlags::REMOVEDIR),
    ("lower", AtFlags::REMOVEDIR),
    ("", AtFlags::REMOVEDIR),
];

fn remove(dir: impl AsFd, beneath: &str) {
    for (name, flags) in PARTS {
        let path = [beneath, name].join("/");
        let _ = unlinkat(&dir, path.trim_end_matches('/'), flags);
    }
}

impl Scratch<'_> {
    fn new(data_dir: BorrowedFd<'_>) -> io::Result<Scratch<'_>> {
        let scratch = Scratch { data_dir, name: format!(".probe.{}", std::process::id()) };
        let private = Mode::from_raw_mode(0o700);
        for part in ["", "/lower", "/upper", "/work"] {
            mkdirat(data_dir, [&scratch.name, part].concat(), private)?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(data_dir, [&scratch.name, "/lower/file"].concat(), flags, Mode::from_raw_mode(0o600))?;
        rustix::io::write(&file, b"lower")?;
        Ok(scratch)
    }

    fn path(&self) -> io::Result<Vec<u8>> {
        let link = format!("/proc/self/fd/{}", self.data_dir.as_raw_fd());
        let ours = readlinkat(CWD, link, Vec::new())?;
        Ok([ours.as_bytes(), b"/", self.name.as_bytes()].concat())
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        remove(self.data_dir, &self.name);
    }
}

/// Tries them, in a process with one thread that ends afterwards. `scratch` holds `lower`, `upper` and `work`.
///
/// # Errors
/// The system's, where nothing could be tried.
pub(crate) fn try_needs(scratch: &[u8], to: &mut impl Write) -> io::Result<()> {
    let (wait, go) = pipe_with(PipeFlags::CLOEXEC)?;
    let (hear, say) = pipe_with(PipeFlags::CLOEXEC)?;
    let said = match sys::fork_into_namespaces() {
        Err(error) => said(&[failed(fault::namespaces(error))]),
        Ok(Forked::Child) => {
            drop((go, hear));
            let mut byte = [0_u8; 1];
            if rustix::io::read(&wait, &mut byte) == Ok(1) {
                let _ = rustix::io::write(&say, &said(&try_inside(scratch)));
            }
            sys::exit_now(0)
        }
        Ok(Forked::Parent(init)) => {
            drop((wait, say));
            let told = enclose::map_ids(init).map(|()| rustix::io::write(&go, b"!"));
            drop(go);
            let mut answer = Vec::new();
            std::fs::File::from(hear).read_to_end(&mut answer)?;
            while let Err(rustix::io::Errno::INTR) = waitpid(Some(init), WaitOptions::empty()) {}
            match told {
                Ok(_) => answer,
                Err(error) => said(&[failed(error)]),
            }
        }
    };
    to.write_all(&said)
}

fn said(tried: &[Tried]) -> Vec<u8> {
    postcard::to_stdvec(tried).unwrap_or_default()
}

fn met(why: impl Into<String>) -> Tried {
    Tried { met: true, why: why.into(), fix: String::new() }
}

fn not_met(why: impl Into<String>, fix: &str) -> Tried {
    Tried { met: false, why: why.into(), fix: fix.to_owned() }
}

fn failed(error: SandboxFault) -> Tried {
    match error {
        SandboxFault::Enclosure { why, fix, .. } => Tried { met: false, why, fix },
        other => not_met(other.to_string(), "see whether a container or a sandbox around raincoat forbids it"),
    }
}

/// As the first process in new namespaces of every kind.
fn try_inside(scratch: &[u8]) -> Vec<Tried> {
    // Where AppArmor lets namespaces be made and nothing be done in them, this is what fails.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    if let Err(error) = mount_change(c"/", private) {
        return vec![failed(fault::namespaces(error.into()))];
    }
    let mut all = vec![met("namespaces of every kind were made, and mounts changed in them"), overlay(scratch)];
    let (tried, proc) = new_proc();
    all.push(tried);
    all.push(match proc.is_some_and(|proc| init::bound_processes(1, &proc)) {
        true => met("process numbers are bounded in a namespace of their own"),
        false if geteuid().is_root() => not_met(
            "nothing but looks, 20 times a second, bounds how many processes a program of root's starts",
            "use a kernel of 6.14 or newer, or run raincoat as an ordinary user",
        ),
        false => not_met(
            "process numbers are not bounded by namespace; a resource limit and looks bound processes",
            "use a kernel of 6.14 or newer",
        ),
    });
    all.push(filtered());
    all
}

fn overlay(scratch: &[u8]) -> Tried {
    const FIX: &str = "keep raincoat's data (XDG_DATA_HOME) on ext4, xfs, btrfs or tmpfs; a kernel of 5.11 or newer \
                       is needed";
    let part = |name: &str| mounts::outside(&[scratch, b"/", name.as_bytes()].concat());
    let write = || -> io::Result<()> {
        let (lower, upper, work) = (part("lower")?, part("upper")?, part("work")?);
        let over = mounts::overlay(&[lower.as_fd()], Some((upper.as_fd(), work.as_fd())), PLAIN)?;
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = openat(&over, c"file", flags, Mode::empty())?;
        rustix::io::write(&file, b"upper")?;
        Ok(())
    };
    let holds = |name: &str, text: &str| {
        let name = std::ffi::CString::new([scratch, b"/", name.as_bytes()].concat());
        name.is_ok_and(|name| fault::text(CWD, &name).is_some_and(|there| there == text))
    };
    let tried = match write() {
        Ok(()) if holds("lower/file", "lower") && holds("upper/file", "upper") => {
            met("a write landed in the draft, and what is beneath it stayed")
        }
        Ok(()) => not_met("a write over a draft did not land in it", FIX),
        Err(error) => not_met(format!("no overlay is possible: {error}"), FIX),
    };
    // The kernel leaves folders that only root of these namespaces may look into.
    if let Ok(dir) = mounts::outside(scratch) {
        remove(dir, ".");
    }
    tried
}

fn new_proc() -> (Tried, Option<OwnedFd>) {
    const FIX: &str = "in a container, allow a new /proc (Docker: `--security-opt systempaths=unconfined`)";
    match mounts::new(c"proc", &[("hidepid", Some("2"))], PLAIN | MountAttrFlags::MOUNT_ATTR_NOEXEC) {
        Ok(proc) => (met("a new /proc was mounted"), Some(proc)),
        Err(error) => (not_met(format!("a new /proc cannot be mounted: {error}"), FIX), None),
    }
}

/// Naming the machine inside is possible before the filter and refused by it.
fn filtered() -> Tried {
    const FIX: &str = "use a kernel of 5.6 or newer; in a container, allow `seccomp`";
    let name = || rustix::system::sethostname(b"localhost").is_ok();
    let before = name();
    match filter::install(false) {
        Ok(_notices) if before && !name() => met("a call was refused, and calls can be asked about"),
        Ok(_) => not_met("the filter was taken and does not refuse", FIX),
        Err(error) => not_met(error.to_string(), FIX),
    }
}
