//! Who started us, by the system's name for them.

use std::ffi::CStr;

/// The name of the user that this process runs as (`getpwuid_r(3)`); `uid N` where the system has none for them.
pub fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw();
    name_of(uid).unwrap_or_else(|| format!("uid {uid}"))
}

fn name_of(uid: u32) -> Option<String> {
    // SAFETY: all fields of the C struct are integers and pointers, for which zeroes are values.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut buffer = vec![0 as libc::c_char; 16 << 10];
    let mut found = std::ptr::null_mut();
    // SAFETY: the pointers are to an entry, to `buffer.len()` writable bytes and to a place for a pointer.
    let failed = unsafe { libc::getpwuid_r(uid, &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) };
    if failed != 0 || found.is_null() || entry.pw_name.is_null() {
        return None;
    }
    // SAFETY: on success the name is a NUL-terminated string within `buffer`, which is still there.
    let name = unsafe { CStr::from_ptr(entry.pw_name) };
    Some(name.to_string_lossy().into_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_name() {
        assert!(!user_name().is_empty());
        assert_eq!(name_of(0).as_deref(), Some("root"));
        assert_eq!(name_of(4_000_000_123), None);
    }
}
