//! Bytes that stay in memory: not swapped out, not in a core dump, not in a forked child, zeroed when dropped.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use rustix::mm::{self, Advice, MapFlags, ProtFlags};
use zeroize::Zeroize;

/// Written behind the bytes. The kernel zeroes the page in a forked child, and a key of zeroes that everybody knows
/// must never be taken for ours, so the mark is looked at before each use.
const MARK: u8 = 0xa5;

/// `N` bytes on a page of their own (`mmap`, `mlock`, `MADV_DONTDUMP`, `MADV_WIPEONFORK`), zeroed when dropped. It
/// does not print.
///
/// Where the kernel refuses to lock the page (`RLIMIT_MEMLOCK`) or to hand one out, the bytes are kept all the same
/// and [`LockedBytes::is_locked`] says so.
pub struct LockedBytes<const N: usize> {
    at: NonNull<u8>,
    mapped: bool,
    locked: bool,
}

// SAFETY: the memory belongs to this value alone, and is written only through `&mut self`.
unsafe impl<const N: usize> Send for LockedBytes<N> {}
// SAFETY: as above; `&self` only reads.
unsafe impl<const N: usize> Sync for LockedBytes<N> {}

impl<const N: usize> LockedBytes<N> {
    const LEN: usize = N + 1;

    /// `N` zeroes.
    pub fn zeroed() -> Self {
        let new = Self::mapped().unwrap_or_else(|| {
            let heap = Box::leak(vec![0_u8; Self::LEN].into_boxed_slice());
            LockedBytes { at: NonNull::from(heap).cast(), mapped: false, locked: false }
        });
        // SAFETY: `at` points to LEN writable bytes that nobody else has.
        unsafe { new.at.add(N).write(MARK) };
        new
    }

    /// A copy of `bytes`, which are zeroed.
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let mut new = Self::zeroed();
        new.expose_mut().copy_from_slice(bytes);
        bytes.zeroize();
        new
    }

    fn mapped() -> Option<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new private mapping at an address of the kernel's choice; nothing of ours is there.
        let page = unsafe { mm::mmap_anonymous(ptr::null_mut(), Self::LEN, prot, MapFlags::PRIVATE) }.ok()?;
        // SAFETY: the three calls name the mapping just made, whose bytes nobody has read or written yet.
        let locked = unsafe {
            // Kernels without an advice refuse it: the bytes are no less usable.
            let _ = mm::madvise(page, Self::LEN, Advice::LinuxDontDump);
            let _ = mm::madvise(page, Self::LEN, Advice::LinuxWipeOnFork);
            mm::mlock(page, Self::LEN).is_ok()
        };
        Some(LockedBytes { at: NonNull::new(page.cast::<u8>())?, mapped: true, locked })
    }

    /// The bytes. In a forked child, where the kernel has wiped them, this ends the process: to go on would be to
    /// seal under a key of zeroes.
    pub fn expose(&self) -> &[u8; N] {
        // SAFETY: `at` points to LEN initialised bytes as long as `self` lives.
        if unsafe { self.at.add(N).read() } != MARK {
            std::process::abort();
        }
        // SAFETY: as above; the reference borrows `self`, and only `&mut self` writes.
        unsafe { self.at.cast::<[u8; N]>().as_ref() }
    }

    /// The bytes, to fill in.
    pub fn expose_mut(&mut self) -> &mut [u8; N] {
        // SAFETY: `at` points to LEN initialised bytes, and `&mut self` is the only way to them.
        unsafe { self.at.cast::<[u8; N]>().as_mut() }
    }

    /// Whether the kernel keeps them from being swapped out.
    pub fn is_locked(&self) -> bool {
        self.locked
    }
}

impl<const N: usize> Drop for LockedBytes<N> {
    fn drop(&mut self) {
        self.expose_mut().zeroize();
        if self.mapped {
            // SAFETY: our own mapping of this length, which nothing refers to any more. Unmapping unlocks it.
            let _ = unsafe { mm::munmap(self.at.as_ptr().cast::<c_void>(), Self::LEN) };
        } else {
            let heap = ptr::slice_from_raw_parts_mut(self.at.as_ptr(), Self::LEN);
            // SAFETY: this is the box of LEN bytes that `zeroed` leaked, given back once.
            drop(unsafe { Box::from_raw(heap) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_bytes_are_kept_and_their_source_is_zeroed() {
        let mut source = [7_u8; 32];
        let kept = LockedBytes::take(&mut source);
        assert_eq!(source, [0; 32]);
        assert_eq!(kept.expose(), &[7; 32]);
    }

    #[test]
    fn a_forked_child_dies_rather_than_use_a_key_of_zeroes() {
        let kept = LockedBytes::take(&mut [9_u8; 32]);
        // SAFETY: the child calls nothing but what is safe after a fork: it reads memory, then aborts or exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let _ = kept.expose();
            // SAFETY: as above.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: waits for our own child; `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT, "{status}");
        assert_eq!(kept.expose(), &[9; 32]);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test reads /proc")]
    fn the_page_is_neither_dumped_nor_forked() {
        let kept = LockedBytes::take(&mut [9_u8; 32]);
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let at = kept.at.as_ptr() as usize;
        let mut here = false;
        let mut flags = None;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|r| r.split_once('-'));
            if let Some((from, to)) = range
                && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
            {
                here = (from..to).contains(&at);
            }
            if here && let Some(found) = line.strip_prefix("VmFlags:") {
                flags = Some(found.to_owned());
            }
        }
        let flags = flags.expect("smaps tells of the page");
        assert!(flags.contains(" dd"), "may be dumped: {flags}");
        assert!(flags.contains(" wf"), "goes to children: {flags}");
        assert_eq!(flags.contains(" lo"), kept.is_locked());
    }
}
