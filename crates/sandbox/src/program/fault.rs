//! Faults, with what to do about them.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::SandboxFault;

/// A fault of a layer.
pub(super) fn fault(layer: &str, why: impl Into<String>, fix: &str) -> SandboxFault {
    SandboxFault::Enclosure { layer: layer.to_owned(), why: why.into(), fix: fix.to_owned() }
}

/// Turns a system's error into a fault that says which layer, what was tried, and what to do.
pub(super) trait Or<T> {
    /// `what` completes "could not".
    fn or_fault(self, layer: &str, what: impl AsRef<str>, fix: &str) -> Result<T, SandboxFault>;
}

impl<T, E: Into<io::Error>> Or<T> for Result<T, E> {
    fn or_fault(self, layer: &str, what: impl AsRef<str>, fix: &str) -> Result<T, SandboxFault> {
        self.map_err(|error| fault(layer, format!("could not {}: {}", what.as_ref(), error.into()), fix))
    }
}

/// Namespaces were refused: why, as far as the machine's settings tell.
pub(super) fn namespaces(error: io::Error) -> SandboxFault {
    let is = |path: &CStr, value: &str| text(CWD, path).is_some_and(|text| text.trim() == value);
    let (why, fix) = if is(c"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        (
            "AppArmor keeps programs from using user namespaces here",
            "install raincoat's AppArmor profile, or set `kernel.apparmor_restrict_unprivileged_userns=0` with sysctl",
        )
    } else if is(c"/proc/sys/kernel/unprivileged_userns_clone", "0") {
        ("user namespaces are switched off here", "set `kernel.unprivileged_userns_clone=1` with sysctl")
    } else if is(c"/proc/sys/user/max_user_namespaces", "0") || error.raw_os_error() == Some(libc::ENOSPC) {
        ("no more user namespaces are allowed here", "raise `user.max_user_namespaces` with sysctl")
    } else {
        (
            "namespaces were refused",
            "see whether a container or a sandbox around raincoat forbids them (Docker: `--security-opt \
             seccomp=unconfined`), and whether the kernel has user namespaces",
        )
    };
    fault("namespaces", format!("{why} ({error})"), fix)
}

/// A small file's text; `None` where it cannot be read.
pub(super) fn text(at: impl AsFd, path: &CStr) -> Option<String> {
    const MOST: usize = 1 << 20;
    let file = openat(at, path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    let mut text = Vec::new();
    let mut part = [0_u8; 4096];
    while text.len() < MOST {
        match rustix::io::read(&file, &mut part).ok()? {
            0 => break,
            length => text.extend_from_slice(part.get(..length)?),
        }
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}
