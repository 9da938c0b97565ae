//! The overlay's note on where a copied file came from, and the names under which it keeps its notes.

use raincoat_os::overlay::FileHandle;
use raincoat_types::Xattr;

/// Every attribute of an overlay mounted with `userxattr` begins so.
const PREFIX: &[u8] = b"user.overlay.";
/// What a program set under such a name itself is kept with the prefix doubled.
const ESCAPED: &[u8] = b"user.overlay.overlay.";
/// `struct ovl_fb` of the kernel (`fs/overlayfs/overlayfs.h`): version, magic, length, flags, type, then 16 bytes of the
/// file system's id, then the handle.
const HEADER: usize = 5 + 16;
const MAGIC: u8 = 0xfb;
/// Bytes of a handle, the kernel's `MAX_HANDLE_SZ`.
const MAX_HANDLE: usize = 128;

/// What a file's `user.overlay.origin` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It was copied up, but from which inode is not said (in a user namespace an overlay may not use file handles) or
    /// cannot be read.
    Unknown,
    /// It was copied up from this inode of the folder.
    Handle(FileHandle),
}

/// The overlay's notes on one file of its upper directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Notes {
    /// It was copied up, or a copied file was moved here.
    pub(crate) origin: Option<Origin>,
    /// A directory that hides what the folder has under its name.
    pub(crate) opaque: bool,
    /// A regular file that stands for a name that is gone.
    pub(crate) whiteout: bool,
}

impl Origin {
    /// Reads the attribute's value. Whatever is not a note of the layout we know is [`Origin::Unknown`].
    pub fn parse(value: &[u8]) -> Origin {
        Origin::handle(value).map_or(Origin::Unknown, Origin::Handle)
    }

    fn handle(value: &[u8]) -> Option<FileHandle> {
        let (header, bytes) = value.split_at_checked(HEADER)?;
        let [version, magic, len, _flags, kind, ..] = *header else { return None };
        let right = version == 0 && magic == MAGIC && usize::from(len) == value.len();
        (right && !bytes.is_empty() && bytes.len() <= MAX_HANDLE).then(|| FileHandle { kind, bytes: bytes.to_vec() })
    }
}

/// Parts a file's attributes into what the program sees of them and the overlay's notes.
pub(crate) fn part(xattrs: Vec<Xattr>) -> (Vec<Xattr>, Notes) {
    let mut notes = Notes::default();
    if xattrs.is_empty() {
        return (xattrs, notes);
    }
    let mut visible = Vec::with_capacity(xattrs.len());
    for mut xattr in xattrs {
        if let Some(rest) = xattr.name.strip_prefix(ESCAPED) {
            xattr.name = [PREFIX, rest].concat();
            visible.push(xattr);
        } else if let Some(note) = xattr.name.strip_prefix(PREFIX) {
            match note {
                b"origin" => notes.origin = Some(Origin::parse(&xattr.value)),
                // `x` says that there are whiteouts of the other kind in it, and hides nothing.
                b"opaque" => notes.opaque = xattr.value == b"y",
                b"whiteout" => notes.whiteout = true,
                _ => {}
            }
        } else if !belongs_to_the_system(&xattr.name) {
            visible.push(xattr);
        }
    }
    visible.sort();
    (visible, notes)
}

/// Labels that the system gives by where a file lies, not by what it is.
fn belongs_to_the_system(name: &[u8]) -> bool {
    matches!(name, b"security.selinux" | b"security.ima" | b"security.evm" | b"security.SMACK64")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // As the kernel (6.18, ext4) wrote it.
    const REAL: &[u8] = &[
        0x00, 0xfb, 0x1d, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x6a, 0x80, 0x99, 0x00, 0x3c,
        0xa4, 0xe3, 0x87,
    ];

    #[test]
    fn a_note_of_the_kernels_is_read() {
        let bytes = vec![0x6a, 0x80, 0x99, 0x00, 0x3c, 0xa4, 0xe3, 0x87];
        assert_eq!(Origin::parse(REAL), Origin::Handle(FileHandle { kind: 1, bytes }));
        assert_eq!(Origin::parse(b""), Origin::Unknown);
    }

    proptest! {
        #[test]
        fn whatever_else_stands_there_says_nothing(bytes: Vec<u8>, cut in 0_usize..29) {
            prop_assert_eq!(Origin::parse(&REAL[..cut]), Origin::Unknown);
            if let Origin::Handle(handle) = Origin::parse(&bytes) {
                prop_assert!(handle.bytes.len() <= MAX_HANDLE && bytes[1] == MAGIC);
            }
        }
    }

    #[test]
    fn notes_are_hidden_and_what_a_program_set_is_shown_under_its_own_name() {
        let xattr = |name: &[u8], value: &[u8]| Xattr { name: name.to_vec(), value: value.to_vec() };
        let (visible, notes) = part(vec![
            xattr(b"user.mine", b"1"),
            xattr(b"user.overlay.impure", b"y"),
            xattr(b"user.overlay.origin", b""),
            xattr(b"user.overlay.overlay.opaque", b"y"),
            xattr(b"user.overlay.overlay.overlay.x", b"2"),
        ]);
        let shown =
            [xattr(b"user.mine", b"1"), xattr(b"user.overlay.opaque", b"y"), xattr(b"user.overlay.overlay.x", b"2")];
        assert_eq!(visible, shown);
        assert_eq!(notes, Notes { origin: Some(Origin::Unknown), opaque: false, whiteout: false });
        assert!(part(vec![xattr(b"user.overlay.opaque", b"y")]).1.opaque);
        assert!(!part(vec![xattr(b"user.overlay.opaque", b"x")]).1.opaque);
    }
}
