//! Probes that need no process of their own: in a thread that is thrown away, or harmless where they stand.

use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use raincoat_os::{fill_random, keyring};
use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::Layer;
use crate::thread::{ThreadRules, confine, makes_socket, opens_root};

/// Landlock and the effects thread's filter, in a thread that ends with the probe.
pub(super) fn thread_layers(data_dir: BorrowedFd<'_>) -> Vec<Layer> {
    const FIX: &str = "see whether a container or a sandbox around raincoat forbids it";
    let tried = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .spawn_scoped(scope, || {
                let before = (opens_root(), makes_socket());
                let confined = confine(&ThreadRules { read_only: vec![data_dir], writable: vec![] });
                let inside =
                    fs::openat(data_dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
                (before, confined, (opens_root(), makes_socket()), inside.is_ok())
            })
            .map(std::thread::ScopedJoinHandle::join)
    });
    let (before, confined, after, inside) = match tried {
        Ok(Ok(tried)) => tried,
        Ok(Err(_)) => return vec![Layer::unknown("landlock", "the probe's thread failed", FIX)],
        Err(error) => return vec![Layer::unknown("landlock", format!("no thread for the probe: {error}"), FIX)],
    };
    let confined = match confined {
        Ok(confined) => confined,
        Err(fault) => {
            return vec![
                Layer::missing("landlock", fault.to_string(), FIX),
                Layer::missing("thread-filter", fault.to_string(), FIX),
            ];
        }
    };
    let judge = |layer: Layer, before: bool, after: bool, what: &str| match (layer.is_enforced(), before, after) {
        (true, true, false) => Layer { why: format!("{}; {what} refused", layer.why), ..layer },
        (true, false, _) => Layer::unknown(layer.name, format!("{what} fails without it too"), FIX),
        (true, true, true) => Layer::missing(layer.name, format!("{what} was not refused"), FIX),
        (false, ..) => layer,
    };
    confined
        .layers
        .into_iter()
        .map(|layer| match &*layer.name {
            "landlock" if !inside => Layer::missing("landlock", "a granted folder cannot be opened either", FIX),
            "landlock" => judge(layer, before.0, after.0, "opening a folder that was not granted"),
            "thread-filter" => judge(layer, before.1, after.1, "making a socket"),
            _ => layer,
        })
        .collect()
}

/// `openat2` with `RESOLVE_BENEATH`: the way that every path of a user's is opened.
pub(super) fn beneath(data_dir: BorrowedFd<'_>) -> Layer {
    const NAME: &str = "openat2";
    const FIX: &str = "use a kernel of 5.6 or newer; in a container, allow `openat2`";
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    if fs::openat(data_dir, c"..", flags, Mode::empty()).is_err() {
        return Layer::unknown(NAME, "`..` of our own folder cannot be opened in any way", FIX);
    }
    match fs::openat2(data_dir, c"..", flags, Mode::empty(), ResolveFlags::BENEATH) {
        Err(Errno::XDEV) => Layer::enforced(NAME, "a path that leaves its folder was refused"),
        Err(error) => Layer::missing(NAME, format!("openat2 does not work: {error}"), FIX),
        Ok(_) => Layer::missing(NAME, "a path that leaves its folder was opened", FIX),
    }
}

/// `RENAME_EXCHANGE` where our own data lies. The user's folders may lie on other file systems.
pub(super) fn exchange(data_dir: BorrowedFd<'_>) -> Layer {
    const NAME: &str = "rename-exchange";
    const FIX: &str = "use a file system that can swap two files (ext4, btrfs, xfs, f2fs, tmpfs)";
    let names = [random_name(), random_name()];
    let [Ok(one), Ok(two)] = &names else {
        return Layer::unknown(NAME, "no random numbers", FIX);
    };
    let swapped = swap(data_dir, one, two);
    for name in [one, two] {
        let _ = fs::unlinkat(data_dir, name.as_str(), AtFlags::empty());
    }
    match swapped {
        Ok(true) => Layer::enforced(NAME, "two files were swapped in one step"),
        Ok(false) => Layer::missing(NAME, "the swap was accepted and did not happen", FIX),
        Err(Errno::INVAL | Errno::NOSYS) => Layer::missing(NAME, "this file system cannot swap two files", FIX),
        Err(error) => Layer::unknown(NAME, format!("could not try it in our own folder: {error}"), FIX),
    }
}

fn swap(dir: BorrowedFd<'_>, one: &str, two: &str) -> Result<bool, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
    let first = fs::openat(dir, one, flags, Mode::from_raw_mode(0o600))?;
    fs::openat(dir, two, flags, Mode::from_raw_mode(0o600))?;
    fs::renameat_with(dir, one, dir, two, RenameFlags::EXCHANGE)?;
    let now = fs::statat(dir, two, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(now.st_ino == fs::fstat(&first)?.st_ino)
}

/// `PR_SET_NO_NEW_PRIVS`: set, and the kernel does not take it back.
pub(super) fn no_new_privileges() -> Layer {
    const NAME: &str = "no-new-privileges";
    const FIX: &str = "this is a bug in raincoat: the process did not harden itself";
    match rustix::thread::no_new_privs() {
        Ok(true) => {}
        Ok(false) => return Layer::missing(NAME, "it is not set in this process", FIX),
        Err(error) => return Layer::unknown(NAME, format!("the kernel does not say: {error}"), FIX),
    }
    let taken_back =
        rustix::thread::set_no_new_privs(false).is_ok() || !rustix::thread::no_new_privs().unwrap_or(false);
    if taken_back {
        Layer::missing(NAME, "it could be taken back", FIX)
    } else {
        Layer::enforced(NAME, "set, and taking it back was refused")
    }
}

/// `mlock`: the page must show up as locked.
pub(super) fn locked_memory() -> Layer {
    const NAME: &str = "locked-memory";
    const FIX: &str = "raise the limit (`ulimit -l`), or keys may reach the swap space";
    let before = locked_kib();
    let page = raincoat_os::LockedBytes::<32>::zeroed();
    let after = locked_kib();
    let limit = match rustix::process::getrlimit(rustix::process::Resource::Memlock).current {
        Some(bytes) => format!("{} KiB", bytes >> 10),
        None => "no limit".to_owned(),
    };
    match (page.is_locked(), before, after) {
        (true, Some(before), Some(after)) if after > before => {
            Layer::enforced(NAME, format!("a page was locked (limit: {limit})"))
        }
        (true, Some(_), Some(_)) => Layer::missing(NAME, "a page was reported locked and is not", FIX),
        (true, ..) => Layer::unknown(NAME, "/proc does not say whether a page is locked", "mount /proc"),
        (false, ..) => Layer::missing(NAME, format!("the kernel does not lock a page (limit: {limit})"), FIX),
    }
}

fn locked_kib() -> Option<u64> {
    let file = fs::open(c"/proc/self/status", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = vec![0_u8; 16 << 10];
    let got = rustix::io::read(&file, &mut text).ok()?;
    let text = String::from_utf8_lossy(text.get(..got)?).into_owned();
    text.lines().find_map(|line| line.strip_prefix("VmLck:"))?.split_whitespace().next()?.parse().ok()
}

/// `memfd_secret`: memory that not even the kernel reads for somebody else.
pub(super) fn secret_memory() -> Layer {
    const NAME: &str = "secret-memory";
    const FIX: &str = "optional, for servers: boot with `secretmem.enable=1` (Linux 5.14 to 6.4)";
    let ordinary = [7_u8; 16];
    if !kernel_reads(ordinary.as_ptr()) {
        return Layer::unknown(NAME, "process_vm_readv does not work here", FIX);
    }
    match with_secret_page(kernel_reads) {
        Ok(false) => Layer::enforced(NAME, "reading it through the kernel was refused"),
        Ok(true) => Layer::missing(NAME, "the kernel read it for another", FIX),
        Err(error) => Layer::missing(NAME, format!("memfd_secret does not work: {error}"), FIX),
    }
}

/// Whether `process_vm_readv` reads 16 bytes at `from` in this very process.
fn kernel_reads(from: *const u8) -> bool {
    let mut into = [0_u8; 16];
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: from.cast_mut().cast(), iov_len: into.len() };
    // SAFETY: `local` names 16 writable bytes; the kernel checks `remote` itself and answers EFAULT.
    let got = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    got == 16
}

fn with_secret_page(look: fn(*const u8) -> bool) -> io::Result<bool> {
    const LEN: usize = 4096;
    // SAFETY: a plain number; the result is a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) };
    fs::ftruncate(&fd, LEN as u64)?;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new shared mapping at an address of the kernel's choice.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), LEN, prot, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `page` is LEN writable bytes; the write brings the page in. It is unmapped once, after the last use.
    unsafe {
        page.cast::<u8>().write_volatile(7);
        let seen = look(page.cast());
        libc::munmap(page, LEN);
        Ok(seen)
    }
}

/// The kernel's keyring, with a value that means nothing.
pub(super) fn keyring() -> Layer {
    const NAME: &str = "keyring";
    const FIX: &str = "optional: without it the passphrase is asked for by each command";
    const MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
    let round = || -> Result<bool, keyring::KeyringFault> {
        let name = format!("raincoat:probe:{}", std::process::id());
        keyring::cache(&name, b"probe", MINUTE)?;
        let kept = keyring::fetch(&name, MINUTE)?.is_some_and(|value| value.expose() == b"probe");
        keyring::forget(&name)?;
        Ok(kept && keyring::fetch(&name, MINUTE)?.is_none())
    };
    match round() {
        Ok(true) => Layer::enforced(NAME, "a value was kept, fetched and forgotten"),
        Ok(false) => Layer::missing(NAME, "a value was not kept, or not forgotten", FIX),
        Err(fault) => Layer::missing(NAME, fault.to_string(), FIX),
    }
}

fn random_name() -> io::Result<String> {
    let mut tag = [0_u8; 8];
    fill_random(&mut tag)?;
    Ok(format!(".probe.{:016x}", u64::from_le_bytes(tag)))
}
