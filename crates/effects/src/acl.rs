//! What a folder's default ACL makes of the permissions of a new file in it, as the kernel does it (acl(5), "object
//! creation and default ACLs"; `posix_acl_create` in `fs/posix_acl.c`; the attribute's layout in
//! `linux/posix_acl_xattr.h`, version 2: a version of 4 bytes, then tag, bits and id of 2, 2 and 4 bytes, all
//! little-endian).

use raincoat_types::Xattr;

/// The attribute of a folder that holds what new files in it get.
pub(crate) const DEFAULT: &[u8] = b"system.posix_acl_default";
const ACCESS: &[u8] = b"system.posix_acl_access";

const USER_OBJ: u16 = 0x01;
const GROUP_OBJ: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// The mode and attributes of a new file or folder, where a program asks for `mode`. The umask has no say then.
pub(crate) fn inherit(default: Xattr, mode: u32, is_dir: bool) -> (u32, Vec<Xattr>) {
    let bits = |shift: u32| u16::try_from((mode >> shift) & 7).unwrap_or(0);
    let mut value = default.value.clone();
    let has_mask = entries(&value).any(|(_, tag, _)| tag == MASK);
    let mut out = mode & !0o777;
    let mut extended = false;
    let all: Vec<(usize, u16, u16)> = entries(&value).collect();
    for (at, tag, perm) in all {
        let (perm, shift) = match tag {
            USER_OBJ => (perm & bits(6), 6),
            OTHER => (perm & bits(0), 0),
            MASK => (perm & bits(3), 3),
            GROUP_OBJ if !has_mask => (perm & bits(3), 3),
            _ => {
                extended |= tag != GROUP_OBJ;
                continue;
            }
        };
        extended |= tag == MASK;
        out |= u32::from(perm) << shift;
        if let Some(place) = value.get_mut(at + 2..at + 4) {
            place.copy_from_slice(&perm.to_le_bytes());
        }
    }
    let mut xattrs = Vec::new();
    if extended {
        xattrs.push(Xattr { name: ACCESS.to_vec(), value });
    }
    if is_dir {
        xattrs.push(default);
    }
    xattrs.sort();
    (out, xattrs)
}

/// Offset, tag and bits of each entry.
fn entries(value: &[u8]) -> impl Iterator<Item = (usize, u16, u16)> {
    value.get(4..).unwrap_or_default().chunks_exact(8).enumerate().filter_map(|(n, entry)| {
        let number = |at: usize| Some(u16::from_le_bytes(entry.get(at..at + 2)?.try_into().ok()?));
        Some((4 + n * 8, number(0)?, number(2)?))
    })
}
