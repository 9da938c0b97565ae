//! A secret kept for a while in the kernel's keyring (`keyrings(7)`), so that commands in a row need not ask for it
//! again. It lies in kernel memory, never on a disk, and is gone when it was not used for its idle time.
//!
//! It is in the user keyring: every process of the same user (and the same user namespace) can read it until then.
//! That is as far as a 0600 file is open, and no further.

use std::ffi::CString;
use std::io;
use std::num::NonZeroU32;

use raincoat_types::Secret;
use zeroize::Zeroizing;

/// Bytes that a key may hold (the kernel's own bound for the type `user`).
pub const MAX_BYTES: usize = 32_767;

const THREAD_KEYRING: libc::c_long = libc::KEY_SPEC_THREAD_KEYRING as libc::c_long;
const USER_KEYRING: libc::c_long = libc::KEY_SPEC_USER_KEYRING as libc::c_long;

/// View, read, search and set attributes, for whoever possesses the key and for its user; nobody else anything.
/// (`KEY_POS_*` is bits 24 to 29, `KEY_USR_*` bits 16 to 21; `linux/key.h`.)
const RIGHTS: libc::c_long = (VIEW | READ | SEARCH | SET_ATTR) << 24 | (VIEW | READ | SEARCH | SET_ATTR) << 16;
const VIEW: libc::c_long = 0x01;
const READ: libc::c_long = 0x02;
const SEARCH: libc::c_long = 0x08;
const LINK: libc::c_long = 0x10;
const SET_ATTR: libc::c_long = 0x20;

/// Why the keyring did not do it.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFault {
    /// This kernel has no keyrings, or a container's filter denies them. Go on without a cache.
    #[error("the kernel's keyring is not to be had here ({0}); the passphrase is asked for each time")]
    Unavailable(io::Error),
    /// The user's quota of keys is full.
    #[error("the kernel's keyring is full ({0}); free some with `keyctl purge user`")]
    Full(io::Error),
    /// Over [`MAX_BYTES`], empty, or a description with a NUL byte.
    #[error("the kernel's keyring does not take this: {0}")]
    Unfit(&'static str),
    /// Anything else.
    #[error("the kernel's keyring failed: {0}")]
    System(io::Error),
}

/// Keeps `bytes` under `description`, in the place of what was there, until nobody has fetched it for `idle_secs`.
///
/// # Errors
/// See [`KeyringFault`]. Nothing new is kept then; an older value may be.
pub fn cache(description: &str, bytes: &[u8], idle_secs: NonZeroU32) -> Result<(), KeyringFault> {
    if bytes.is_empty() || bytes.len() > MAX_BYTES {
        return Err(KeyringFault::Unfit("it is empty or over 32,767 bytes"));
    }
    let description = name(description)?;
    // A key that is in the thread's own keyring is ours to adjust, whether or not the login links the user keyring
    // into its session. Only when its rights and its timeout are right is it linked to where others find it; the link
    // takes the place of one to an older key of the same description, all at once.
    // SAFETY: the pointers are to NUL-terminated strings and to `bytes.len()` readable bytes.
    let key = checked(unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            description.as_ptr(),
            bytes.as_ptr(),
            bytes.len(),
            THREAD_KEYRING,
        )
    })?;
    let kept = publish(key, idle_secs);
    let _ = keyctl(libc::KEYCTL_UNLINK, key, THREAD_KEYRING);
    if kept.is_err() {
        let _ = keyctl(libc::KEYCTL_INVALIDATE, key, 0);
    }
    kept
}

fn publish(key: libc::c_long, idle_secs: NonZeroU32) -> Result<(), KeyringFault> {
    keyctl(libc::KEYCTL_SETPERM, key, RIGHTS | LINK << 24)?;
    keyctl(libc::KEYCTL_SET_TIMEOUT, key, idle_secs.get().into())?;
    keyctl(libc::KEYCTL_LINK, key, USER_KEYRING)?;
    keyctl(libc::KEYCTL_SETPERM, key, RIGHTS)?;
    Ok(())
}

/// What is kept under `description`, and `idle_secs` more for it; `None` where nothing is (any more).
///
/// # Errors
/// See [`KeyringFault`].
pub fn fetch(description: &str, idle_secs: NonZeroU32) -> Result<Option<Secret<Vec<u8>>>, KeyringFault> {
    let Some(key) = find(description)? else { return Ok(None) };
    // Every buffer that the key may lie in is zeroed, the one that was too short too.
    let mut buffer = Zeroizing::new(vec![0_u8; 256]);
    loop {
        // SAFETY: the pointer is to `buffer.len()` writable bytes.
        let got =
            unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_READ, key, buffer.as_mut_ptr(), buffer.len(), 0) };
        let Some(got) = gone_is_none(checked(got))? else { return Ok(None) };
        let got = usize::try_from(got).unwrap_or(0);
        if got <= buffer.len() {
            // The value can expire between the two calls: it was there when it was read.
            gone_is_none(keyctl(libc::KEYCTL_SET_TIMEOUT, key, idle_secs.get().into()))?;
            buffer.truncate(got);
            return Ok(Some(Secret::new(std::mem::take(&mut *buffer))));
        }
        buffer = Zeroizing::new(vec![0_u8; got]);
    }
}

/// Forgets what is kept under `description`; nothing there is fine.
///
/// # Errors
/// See [`KeyringFault`].
pub fn forget(description: &str) -> Result<(), KeyringFault> {
    let Some(key) = find(description)? else { return Ok(()) };
    gone_is_none(keyctl(libc::KEYCTL_INVALIDATE, key, 0)).map(drop)
}

fn find(description: &str) -> Result<Option<libc::c_long>, KeyringFault> {
    let description = name(description)?;
    // SAFETY: the pointers are to NUL-terminated strings.
    let found = unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_SEARCH, USER_KEYRING, c"user".as_ptr(), description.as_ptr(), 0)
    };
    gone_is_none(checked(found))
}

fn name(description: &str) -> Result<CString, KeyringFault> {
    CString::new(description).map_err(|_| KeyringFault::Unfit("a description with a NUL byte"))
}

fn keyctl(operation: u32, one: libc::c_long, two: libc::c_long) -> Result<libc::c_long, KeyringFault> {
    // SAFETY: the operations this is called with take two numbers and no pointer.
    checked(unsafe { libc::syscall(libc::SYS_keyctl, operation, one, two, 0, 0) })
}

fn checked(result: libc::c_long) -> Result<libc::c_long, KeyringFault> {
    if result >= 0 {
        return Ok(result);
    }
    let error = io::Error::last_os_error();
    Err(match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EPERM | libc::EACCES | libc::EOPNOTSUPP) => KeyringFault::Unavailable(error),
        Some(libc::EDQUOT) => KeyringFault::Full(error),
        _ => KeyringFault::System(error),
    })
}

fn gone_is_none<T>(result: Result<T, KeyringFault>) -> Result<Option<T>, KeyringFault> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(KeyringFault::System(error))
            if matches!(error.raw_os_error(), Some(libc::ENOKEY | libc::EKEYEXPIRED | libc::EKEYREVOKED)) =>
        {
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use std::time::Duration;

    const MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();
    const SECOND: NonZeroU32 = NonZeroU32::new(1).unwrap();

    /// A description of this test's own; `None` where there is no keyring to test (a container that denies it).
    fn description(test: &str) -> Option<String> {
        let name = format!("raincoat-test:{test}:{}", std::process::id());
        match fetch(&name, MINUTE) {
            Err(KeyringFault::Unavailable(error)) => {
                eprintln!("no keyring here: {error}");
                None
            }
            other => other.map(|_| Some(name)).unwrap(),
        }
    }

    fn text(description: &str) -> Option<Vec<u8>> {
        fetch(description, MINUTE).unwrap().map(|s| s.expose().clone())
    }

    #[test]
    fn what_is_cached_is_fetched_replaced_and_forgotten() {
        let Some(name) = description("round") else { return };
        assert_eq!(text(&name), None);
        cache(&name, b"one", MINUTE).unwrap();
        assert_eq!(text(&name).unwrap(), b"one");
        let long = vec![7_u8; 5000];
        cache(&name, &long, MINUTE).unwrap();
        assert_eq!(text(&name).unwrap(), long);
        forget(&name).unwrap();
        assert_eq!(text(&name), None);
        forget(&name).unwrap();
    }

    #[test]
    fn another_thread_finds_it_and_use_renews_it() {
        let Some(name) = description("renew") else { return };
        cache(&name, b"x", NonZeroU32::new(2).unwrap()).unwrap();
        let other = name.clone();
        std::thread::spawn(move || assert_eq!(text(&other).unwrap(), b"x")).join().unwrap();
        std::thread::sleep(Duration::from_millis(2500));
        assert_eq!(text(&name).unwrap(), b"x", "the fetch gave it another minute");
        forget(&name).unwrap();
    }

    #[test]
    fn unused_it_is_gone_after_its_idle_time() {
        let Some(name) = description("idle") else { return };
        cache(&name, b"x", SECOND).unwrap();
        std::thread::sleep(Duration::from_millis(2100));
        assert_eq!(text(&name), None);
    }

    #[test]
    fn nobody_may_change_it_and_others_may_do_nothing() {
        let Some(name) = description("rights") else { return };
        cache(&name, b"x", MINUTE).unwrap();
        let keys = std::fs::read_to_string("/proc/keys").unwrap();
        let line = keys.lines().find(|l| l.contains(&name)).unwrap();
        // View, read, search, setattr is 0x2b; link is 0x10, write 0x04.
        assert_eq!(line.split_whitespace().nth(4), Some("2b2b0000"), "{line}");
        forget(&name).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(matches!(cache("a\0b", b"x", MINUTE), Err(KeyringFault::Unfit(_))));
        assert!(matches!(cache("a", b"", MINUTE), Err(KeyringFault::Unfit(_))));
        assert!(matches!(cache("a", &vec![0; MAX_BYTES + 1], MINUTE), Err(KeyringFault::Unfit(_))));
    }
}
