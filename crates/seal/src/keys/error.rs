//! What can go wrong with keys.

use std::io;

use crate::SealError;

/// Why keys could not be made, opened or changed. It says nothing about keys or passphrases.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There are none here.
    #[error("there are no keys here yet: run `raincoat init`")]
    Missing,
    /// There are some already, and they are never overwritten.
    #[error("there are keys here already: unlock them, or choose another data directory")]
    Exists,
    /// The file is cut or changed; in which respect.
    #[error("the keys file `keys.bin` is damaged ({0}): put it back from a backup")]
    Damaged(&'static str),
    /// It opens, but somebody has changed it who had not the keys.
    #[error("the keys file `keys.bin` was changed by someone without the keys: put it back from a backup")]
    Tampered,
    /// A later version of the program wrote it; in which format.
    #[error("the keys file has format {0}, which this version does not know: use a newer raincoat")]
    Newer(u16),
    /// The passphrase opens no slot.
    #[error("wrong passphrase: try again in {wait_secs} s")]
    WrongPassphrase {
        /// Seconds until the next try is taken.
        wait_secs: u64,
    },
    /// A wrong passphrase was given, or a try broken off, a moment ago. This one was not even looked at.
    #[error("a wrong passphrase was given, or a try broken off, a moment ago: try again in {wait_secs} s")]
    TooSoon {
        /// Seconds until the next try is taken.
        wait_secs: u64,
    },
    /// No slot opens with a passphrase.
    #[error("no passphrase is set for these keys: unlock them with their key file")]
    NoPassphrase,
    /// No slot opens with a key file, or the file is not where it was looked for.
    #[error("there is no key file for these keys here: unlock them with the passphrase")]
    NoKeyFile,
    /// The key file belongs to other keys, or is damaged.
    #[error("the key file does not open these keys: put it back from a backup, or use the passphrase")]
    WrongKeyFile,
    /// What was cached belongs to other keys.
    #[error("the cached unlock does not fit these keys: unlock them again")]
    StaleCache,
    /// What was asked for is not given on a cached unlock.
    #[error("this needs a fresh unlock: give the passphrase or the key file again")]
    FreshUnlock,
    /// The slot is the only one that this version can open.
    #[error("this is the only way left to open the keys: add another before removing it")]
    LastSlot,
    /// There are 16 slots already.
    #[error("the keys have as many slots as fit (16): remove one first")]
    Full,
    /// A passphrase with nothing in it, or with over 4096 bytes.
    #[error("a passphrase has between 1 and 4096 bytes: choose another")]
    PassphraseLength,
    /// Argon2id could not have the memory that the slot asks for.
    #[error("not enough memory to check the passphrase: close something and try again")]
    Memory,
    /// The system's error.
    #[error("the keys could not be read or written: {0}")]
    Io(#[from] io::Error),
    /// Random bytes were not to be had.
    #[error(transparent)]
    Seal(#[from] SealError),
}
