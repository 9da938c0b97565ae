//! The growing delay after wrong passphrases: 1 s, 2, 4 and so on up to 60.
//!
//! `keys.delay`, 32 bytes, little-endian: magic "RCDELAY1", failures (4), the last one's time (seconds 8,
//! nanoseconds 4), the first 8 bytes of the BLAKE3 of all before. It holds up who types guesses or starts us with
//! them; who can write to the directory can copy the keys file and guess elsewhere, at Argon2id's price.

use std::io;

use raincoat_os::{AppendFile, PrivateDir};
use raincoat_types::{Clock, Timestamp};

use super::error::KeysError;

const NAME: &str = "keys.delay";
const MAGIC: &[u8; 8] = b"RCDELAY1";
const LEN: usize = 32;
const MAX_SECS: u64 = 60;

/// As many failures as reach [`MAX_SECS`].
const MANY: u32 = 7;

const NANOS: i128 = 1_000_000_000;

/// A try at a passphrase that has been counted as a failure. It is written in place, so that a full disk locks nobody
/// out.
pub(super) struct Try {
    file: AppendFile,
    wait_secs: u64,
}

/// Makes the counter, at nought. To be called with the keys' lock held, as all here.
pub(super) fn create(dir: &PrivateDir) -> io::Result<()> {
    dir.replace(NAME, &encode(0, Timestamp::default()))
}

/// Starts a try: counts it as a failure beforehand, durably, so that a guesser gains nothing by killing us.
///
/// # Errors
/// [`KeysError::TooSoon`] while a delay runs; the system's error.
pub(super) fn begin(dir: &PrivateDir, clock: &dyn Clock) -> Result<Try, KeysError> {
    let now = clock.now();
    let file = match dir.open_file(NAME)? {
        Some(file) => file,
        None => {
            create(dir)?;
            dir.open_file(NAME)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?
        }
    };
    let mut bytes = [0; LEN];
    let got = file.read_at(&mut bytes, 0)?;
    // A counter that says nothing counts as many failures, just now: damage must not shorten a delay.
    let known = decode(bytes.get(..got).unwrap_or_default());
    let (failures, last) = known.unwrap_or((MANY, now));
    // A clock that was set back starts the delay afresh: no wait is longer than the delay itself.
    let restart = now < last;
    let last = if restart { now } else { last };
    if restart || known.is_none() {
        save(&file, failures, last)?;
    }
    let left = nanos(last) + i128::from(delay(failures)) * NANOS - nanos(now);
    if left > 0 {
        let wait_secs = u64::try_from((left + NANOS - 1) / NANOS).unwrap_or(MAX_SECS);
        return Err(KeysError::TooSoon { wait_secs });
    }
    let failures = failures.saturating_add(1);
    save(&file, failures, now)?;
    Ok(Try { file, wait_secs: delay(failures) })
}

/// How many failures the bytes of the counter tell of; `None` where they are none. Pure; takes any bytes.
pub fn failures_in(bytes: &[u8]) -> Option<u32> {
    decode(bytes).map(|(failures, _)| failures)
}

/// The failures so far, and when the last was; `None` where nothing says. Needs no lock: a torn read does not decode.
pub(super) fn failures(dir: &PrivateDir) -> Option<(u32, Timestamp)> {
    let file = dir.open_file(NAME).ok()??;
    let mut bytes = [0; LEN];
    let got = file.read_at(&mut bytes, 0).ok()?;
    decode(bytes.get(..got)?)
}

impl Try {
    /// It was the right passphrase: nothing is held against anyone any more.
    pub(super) fn succeeded(self) -> io::Result<()> {
        // Not synced: after a crash the worst is one second's wait.
        self.file.write_all_at(&encode(0, Timestamp::default()), 0)
    }

    /// It was wrong: how many seconds to wait now.
    pub(super) fn failed(self) -> u64 {
        self.wait_secs
    }
}

fn delay(failures: u32) -> u64 {
    match failures {
        0 => 0,
        n => 1_u64.checked_shl(n - 1).map_or(MAX_SECS, |secs| secs.min(MAX_SECS)),
    }
}

fn nanos(at: Timestamp) -> i128 {
    i128::from(at.secs) * NANOS + i128::from(at.nanos)
}

fn save(file: &AppendFile, failures: u32, last: Timestamp) -> io::Result<()> {
    file.write_all_at(&encode(failures, last), 0)?;
    file.sync()
}

fn encode(failures: u32, last: Timestamp) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&failures.to_le_bytes());
    out.extend_from_slice(&last.secs.to_le_bytes());
    out.extend_from_slice(&last.nanos.to_le_bytes());
    let checksum = blake3::hash(&out);
    out.extend(checksum.as_bytes().iter().take(8));
    out
}

fn decode(bytes: &[u8]) -> Option<(u32, Timestamp)> {
    let (_, rest) = bytes.split_first_chunk::<8>()?;
    let (failures, rest) = rest.split_first_chunk()?;
    let (secs, rest) = rest.split_first_chunk()?;
    let (nanos, _) = rest.split_first_chunk()?;
    let (failures, secs, nanos) =
        (u32::from_le_bytes(*failures), i64::from_le_bytes(*secs), u32::from_le_bytes(*nanos));
    let last = Timestamp { secs, nanos };
    (encode(failures, last) == bytes).then_some((failures, last))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use proptest::prelude::*;

    use super::*;

    struct Hands(AtomicI64);

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            Timestamp { secs: self.0.load(Ordering::SeqCst), nanos: 500 }
        }
    }

    fn wait(dir: &PrivateDir, clock: &Hands) -> u64 {
        match begin(dir, clock) {
            Err(KeysError::TooSoon { wait_secs }) => wait_secs,
            Err(error) => panic!("{error}"),
            Ok(_) => 0,
        }
    }

    #[test]
    fn the_delay_doubles_up_to_a_minute_and_success_ends_it() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(home.path()).unwrap();
        let clock = Hands(AtomicI64::new(1_000));
        for want in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(begin(&dir, &clock).unwrap().failed(), want);
            assert_eq!(wait(&dir, &clock), want);
            clock.0.fetch_add(want as i64 - 1, Ordering::SeqCst);
            assert_eq!(wait(&dir, &clock), 1);
            clock.0.fetch_add(1, Ordering::SeqCst);
        }
        begin(&dir, &clock).unwrap().succeeded().unwrap();
        assert_eq!(begin(&dir, &clock).unwrap().failed(), 1);
    }

    #[test]
    fn a_clock_set_back_by_years_costs_no_more_than_the_delay() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(home.path()).unwrap();
        let clock = Hands(AtomicI64::new(4_000_000_000));
        for _ in 0..3 {
            begin(&dir, &clock).unwrap();
            clock.0.fetch_add(100, Ordering::SeqCst);
        }
        begin(&dir, &clock).unwrap();
        for at in [1_000_000_000, -5, i64::MIN] {
            clock.0.store(at, Ordering::SeqCst);
            assert_eq!(wait(&dir, &clock), 8);
        }
        clock.0.store(i64::MIN + 8, Ordering::SeqCst);
        assert_eq!(wait(&dir, &clock), 0);
        clock.0.store(i64::MAX, Ordering::SeqCst);
        assert_eq!(wait(&dir, &clock), 0);
    }

    proptest! {
        #[test]
        fn a_counter_reads_back_and_nothing_else_is_one(failures: u32, secs: i64, nanos: u32, bytes: Vec<u8>, bit in 0..256_usize) {
            let last = Timestamp { secs, nanos };
            let mut whole = encode(failures, last);
            prop_assert_eq!((whole.len(), decode(&whole)), (LEN, Some((failures, last))));
            whole[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!((failures_in(&whole), failures_in(&bytes)), (None, None));
        }
    }

    #[test]
    fn a_damaged_counter_delays_for_a_minute_and_then_no_more() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(home.path()).unwrap();
        for bytes in [&b""[..], b"RCDELAY1", &[0; 32], &[255; 31], &[1; 100]] {
            let clock = Hands(AtomicI64::new(1_000));
            dir.replace(NAME, bytes).unwrap();
            assert_eq!(wait(&dir, &clock), 60);
            clock.0.store(1_030, Ordering::SeqCst);
            assert_eq!(wait(&dir, &clock), 30);
            clock.0.store(1_060, Ordering::SeqCst);
            assert_eq!(wait(&dir, &clock), 0);
        }
    }
}
