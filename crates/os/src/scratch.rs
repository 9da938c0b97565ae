//! What the standard library cannot set, for who dresses up a scratch tree of its own: the demo and the tests. Nothing
//! that acts for an agent may use this; effects have their own way, beneath descriptors and by permit.

use std::io;
use std::path::Path;

use raincoat_types::Timestamp;
use rustix::fs::{self, AtFlags, CWD, Timespec, Timestamps, XattrFlags};

/// Sets the times of last read and last change, a symlink's own where `path` names one.
///
/// # Errors
/// The system's error.
pub fn set_times(path: &Path, atime: Timestamp, mtime: Timestamp) -> io::Result<()> {
    let spec = |time: Timestamp| Timespec { tv_sec: time.secs, tv_nsec: time.nanos.into() };
    let times = Timestamps { last_access: spec(atime), last_modification: spec(mtime) };
    Ok(fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Sets an extended attribute (`name` with its namespace), a symlink's own where `path` names one.
///
/// # Errors
/// The system's error; `Unsupported` where the file system keeps none.
pub fn set_xattr(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    Ok(fs::lsetxattr(path, name, value, XattrFlags::empty())?)
}

/// The value of `system.posix_acl_access` that gives `user` the bits `user_bits` beside the owner's, group's and others'
/// (each 0 to 7). The mask is what group and user need together. Layout: `linux/posix_acl_xattr.h`, version 2.
pub fn acl_with_user(owner_bits: u16, user: u32, user_bits: u16, group_bits: u16, other_bits: u16) -> Vec<u8> {
    const NO_ID: u32 = u32::MAX;
    let entries = [
        (0x01, owner_bits, NO_ID),
        (0x02, user_bits, user),
        (0x04, group_bits, NO_ID),
        (0x10, user_bits | group_bits, NO_ID),
        (0x20, other_bits, NO_ID),
    ];
    let mut out = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in entries {
        out.extend_from_slice(&u16::to_le_bytes(tag));
        out.extend_from_slice(&u16::to_le_bytes(bits));
        out.extend_from_slice(&u32::to_le_bytes(id));
    }
    out
}
