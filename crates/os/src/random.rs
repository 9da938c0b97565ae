//! Random bytes from the kernel, and ids made of them.

use std::io;

use raincoat_types::{Clock, Ulid};
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills `out` from `getrandom(2)`.
///
/// # Errors
/// The system's error, where the kernel has no generator.
pub fn fill_random(mut out: &mut [u8]) -> io::Result<()> {
    while !out.is_empty() {
        match getrandom(&mut *out, GetRandomFlags::empty()) {
            Ok(got) => out = out.get_mut(got..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A new ULID: 48 bits of milliseconds since 1970, 80 random bits.
///
/// # Errors
/// As [`fill_random`].
pub fn new_ulid(clock: &dyn Clock) -> io::Result<Ulid> {
    let now = clock.now();
    let millis = u64::try_from(now.secs).unwrap_or(0).saturating_mul(1000) + u64::from(now.nanos / 1_000_000);
    let mut bytes = [0_u8; 16];
    fill_random(&mut bytes)?;
    Ok(Ulid::from_parts(millis, u128::from_le_bytes(bytes)))
}
