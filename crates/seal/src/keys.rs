//! The key hierarchy: slots wrap the root key, the root key wraps all others.
//!
//! ```text
//! passphrase --Argon2id--> slot key --wraps--> root --derives--> session --wraps--> store, index, journal, log,
//! key file ---------------> slot key                    |                           log signing, backup,
//!                                                       |                           development, staging
//!                                                       +------> production --wraps--> production
//! ```
//!
//! The keys below the root are random, so slots and root can change without a secret being touched. What a cached
//! unlock keeps is the session key: it opens all but production, and cannot change slots (both ask for a fresh
//! unlock).
//!
//! Files, all in one private directory: `keys.bin` (layout: [`KeysFile`]), `keys.delay` (after wrong passphrases),
//! `keys.lock`, and for the key-file slot `key-*.bin` with 32 random bytes, here or in a directory of the user's
//! choice (its name has the hierarchy's in it, so that several may lie together).

mod delay;
mod error;
mod file;
mod kdf;
mod slots;

use std::fmt;
use std::io;

use raincoat_os::{LockedBytes, PrivateDir, fill_random};
use raincoat_types::{Clock, Secret, Timestamp};

pub use delay::failures_in;
pub use error::KeysError;
pub use file::KeysFile;

use crate::SealKey;
use file::{Lock, Wrapped};
use kdf::Cost;

const NAME: &str = "keys.bin";
const LOCK: &str = "keys.lock";

/// What opens keys.
#[derive(Debug)]
pub enum Unlock {
    /// The key file beside the keys.
    KeyFile,
    /// The key file in another directory.
    KeyFileIn(PrivateDir),
    /// A passphrase, 1 to 4096 bytes, taken as it is.
    Passphrase(Secret<String>),
    /// What [`Keys::root_for_cache`] gave.
    Cached(Secret<Vec<u8>>),
}

/// Where a credential is used. Each has a key of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Environment {
    /// Everyday work; what is meant when nothing is said.
    #[default]
    Development,
    /// Rehearsal.
    Staging,
    /// The real thing: asks for a fresh unlock.
    Production,
}

/// A way into the keys, as it may be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotInfo {
    /// Its number, unique among the slots.
    pub id: u32,
    /// What opens it.
    pub kind: SlotKind,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

/// What opens a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlotKind {
    /// A passphrase, through Argon2id.
    Passphrase,
    /// A file of 32 random bytes.
    KeyFile,
    /// Something that a later version knows.
    Other(u8),
}

/// Which of the wrapped keys; the numbers stand in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subkey {
    Store = 1,
    Index = 2,
    Journal = 3,
    Log = 4,
    LogSigning = 5,
    Backup = 6,
    Development = 16,
    Staging = 17,
    Production = 18,
}

const SUBKEYS: [Subkey; 9] = [
    Subkey::Store,
    Subkey::Index,
    Subkey::Journal,
    Subkey::Log,
    Subkey::LogSigning,
    Subkey::Backup,
    Subkey::Development,
    Subkey::Staging,
    Subkey::Production,
];

/// The keys, unlocked.
pub struct Keys {
    dir: PrivateDir,
    id: [u8; 16],
    slots: Vec<SlotInfo>,
    /// Only after a fresh unlock.
    root: Option<SealKey>,
    session: SealKey,
    store: SealKey,
    index: SealKey,
    journal: SealKey,
    log: SealKey,
    log_signing: LockedBytes<32>,
    backup: SealKey,
    development: SealKey,
    staging: SealKey,
    /// Only after a fresh unlock.
    production: Option<SealKey>,
    cost: Cost,
}

impl Keys {
    /// Whether there are keys in this directory.
    ///
    /// # Errors
    /// The system's error.
    pub fn exists(dir: &PrivateDir) -> io::Result<bool> {
        Ok(dir.open_file(NAME)?.is_some())
    }

    /// The ways into the keys in this directory, to know what to ask for. Nothing is unlocked, so nothing vouches for
    /// the file yet.
    ///
    /// # Errors
    /// [`KeysError::Missing`], [`KeysError::Damaged`], [`KeysError::Newer`] or [`KeysError::Io`].
    pub fn slots_in(dir: &PrivateDir) -> Result<Vec<SlotInfo>, KeysError> {
        Ok(infos(&read(dir)?))
    }

    /// Tries at the passphrase that have failed in a row, and when the last was; `None` where nothing says.
    pub fn failed_tries(dir: &PrivateDir) -> Option<(u32, Timestamp)> {
        delay::failures(dir)
    }

    /// Makes keys that open with `unlock`, durably, and unlocks them.
    ///
    /// # Errors
    /// [`KeysError::Exists`]; [`KeysError::FreshUnlock`] for a cached unlock; [`KeysError::PassphraseLength`];
    /// [`KeysError::Io`]. There are no keys then, or whole ones that open with `unlock` (where the last sync failed).
    pub fn create(dir: &PrivateDir, unlock: &Unlock, clock: &dyn Clock) -> Result<Keys, KeysError> {
        Keys::create_at(dir, unlock, clock, Cost::DEFAULT)
    }

    fn create_at(dir: &PrivateDir, unlock: &Unlock, clock: &dyn Clock, cost: Cost) -> Result<Keys, KeysError> {
        let _lock = dir.lock(LOCK)?;
        if Keys::exists(dir)? {
            return Err(KeysError::Exists);
        }
        let root = SealKey::generate()?;
        let mut id = [0; 16];
        fill_random(&mut id)?;
        let mut file = KeysFile::new(id);
        match unlock {
            Unlock::KeyFile => slots::add_key_file(&mut file, dir, &root, clock)?,
            Unlock::KeyFileIn(elsewhere) => slots::add_key_file(&mut file, elsewhere, &root, clock)?,
            Unlock::Passphrase(passphrase) => slots::add_passphrase(&mut file, passphrase, &root, clock, cost)?,
            Unlock::Cached(_) => return Err(KeysError::FreshUnlock),
        }
        for kind in SUBKEYS {
            let wrapped =
                wrapping_key(&root, kind).seal_key(&file.subkey_context(kind as u8), &SealKey::generate()?)?;
            file.subkeys.push(Wrapped { kind: kind as u8, wrapped });
        }
        delay::create(dir)?;
        dir.replace(NAME, &file.authenticated(&mac_key(&session_of(&root))))?;
        Keys::of_root(dir, &file, root, cost)
    }

    /// Unlocks the keys.
    ///
    /// # Errors
    /// [`KeysError::Missing`], [`KeysError::Damaged`], [`KeysError::Tampered`], [`KeysError::Newer`]; by what is
    /// wrong with `unlock`: [`KeysError::WrongPassphrase`], [`KeysError::TooSoon`], [`KeysError::NoPassphrase`],
    /// [`KeysError::NoKeyFile`], [`KeysError::WrongKeyFile`], [`KeysError::StaleCache`].
    pub fn unlock(dir: &PrivateDir, unlock: &Unlock, clock: &dyn Clock) -> Result<Keys, KeysError> {
        match unlock {
            Unlock::Cached(session) => {
                let session = slots::key_of(session.expose().clone()).ok_or(KeysError::StaleCache)?;
                let file = read(dir)?;
                if !file.is_authentic(&mac_key(&session)) {
                    return Err(KeysError::StaleCache);
                }
                Keys::of_session(dir, &file, session, Cost::DEFAULT)
            }
            Unlock::KeyFile => {
                let file = read(dir)?;
                let root = slots::root_by_key_file(&file, dir)?;
                Keys::of_root(dir, &file, root, Cost::DEFAULT)
            }
            Unlock::KeyFileIn(elsewhere) => {
                let file = read(dir)?;
                let root = slots::root_by_key_file(&file, elsewhere)?;
                Keys::of_root(dir, &file, root, Cost::DEFAULT)
            }
            Unlock::Passphrase(passphrase) => {
                let (file, root) = slots::root_by_passphrase(dir, passphrase, clock)?;
                Keys::of_root(dir, &file, root, Cost::DEFAULT)
            }
        }
    }

    fn of_root(dir: &PrivateDir, file: &KeysFile, root: SealKey, cost: Cost) -> Result<Keys, KeysError> {
        let session = session_of(&root);
        if !file.is_authentic(&mac_key(&session)) {
            return Err(KeysError::Tampered);
        }
        let mut keys = Keys::of_session(dir, file, session, cost)?;
        keys.production =
            Some(SealKey::of(unwrap(file, Subkey::Production, &wrapping_key(&root, Subkey::Production))?));
        keys.root = Some(root);
        Ok(keys)
    }

    fn of_session(dir: &PrivateDir, file: &KeysFile, session: SealKey, cost: Cost) -> Result<Keys, KeysError> {
        let key = |kind| unwrap(file, kind, &session).map(SealKey::of);
        Ok(Keys {
            dir: dir.try_clone()?,
            id: file.id,
            slots: infos(file),
            root: None,
            store: key(Subkey::Store)?,
            index: key(Subkey::Index)?,
            journal: key(Subkey::Journal)?,
            log: key(Subkey::Log)?,
            log_signing: unwrap(file, Subkey::LogSigning, &session)?,
            backup: key(Subkey::Backup)?,
            development: key(Subkey::Development)?,
            staging: key(Subkey::Staging)?,
            production: None,
            session,
            cost,
        })
    }

    /// The key of the store's rows.
    pub fn store(&self) -> &SealKey {
        &self.store
    }

    /// The key of blind indexes (only its mac is used).
    pub fn index(&self) -> &SealKey {
        &self.index
    }

    /// The journal's key.
    pub fn journal(&self) -> &SealKey {
        &self.journal
    }

    /// The key of what the log's entries carry.
    pub fn log(&self) -> &SealKey {
        &self.log
    }

    /// The seed of the Ed25519 key (RFC 8032) that signs the log's checkpoints.
    pub fn log_signing_seed(&self) -> &[u8; 32] {
        self.log_signing.expose()
    }

    /// The key of backups.
    pub fn backup(&self) -> &SealKey {
        &self.backup
    }

    /// The key that wraps an environment's data keys.
    ///
    /// # Errors
    /// [`KeysError::FreshUnlock`] for production on a cached unlock.
    pub fn environment(&self, environment: Environment) -> Result<&SealKey, KeysError> {
        match environment {
            Environment::Development => Ok(&self.development),
            Environment::Staging => Ok(&self.staging),
            Environment::Production => self.production.as_ref().ok_or(KeysError::FreshUnlock),
        }
    }

    /// What to keep for [`Unlock::Cached`]: derived from the root, it opens all but production, and no slot can be
    /// changed with it. The root itself is never given out.
    pub fn root_for_cache(&self) -> Secret<Vec<u8>> {
        Secret::new(self.session.expose().to_vec())
    }

    /// The ways in.
    pub fn slots(&self) -> &[SlotInfo] {
        &self.slots
    }

    /// Whether the passphrase or key file was given, rather than a cached unlock.
    pub fn is_fresh(&self) -> bool {
        self.root.is_some()
    }

    /// Whether the kernel keeps every key from being swapped out. It does not where `RLIMIT_MEMLOCK` is too low.
    pub fn is_locked(&self) -> bool {
        let always =
            [&self.session, &self.store, &self.index, &self.journal, &self.log, &self.backup, &self.development];
        let fresh = [Some(&self.staging), self.production.as_ref(), self.root.as_ref()];
        always.into_iter().chain(fresh.into_iter().flatten()).all(SealKey::is_locked) && self.log_signing.is_locked()
    }

    /// Adds a passphrase.
    ///
    /// # Errors
    /// [`KeysError::FreshUnlock`], [`KeysError::PassphraseLength`], [`KeysError::Full`], or as [`Keys::unlock`]; the
    /// file is as it was then.
    pub fn add_passphrase(&mut self, passphrase: &Secret<String>, clock: &dyn Clock) -> Result<(), KeysError> {
        let cost = self.cost;
        self.change(|file, root| slots::add_passphrase(file, passphrase, root, clock, cost))
    }

    /// Puts a passphrase in the place of all there are, at once.
    ///
    /// # Errors
    /// As [`Keys::add_passphrase`].
    pub fn change_passphrase(&mut self, passphrase: &Secret<String>, clock: &dyn Clock) -> Result<(), KeysError> {
        let cost = self.cost;
        self.change(|file, root| {
            // Taken while the old ones are there, so that none comes back.
            let id = file.free_id()?;
            file.slots.retain(|slot| !matches!(slot.lock, Lock::Passphrase { .. }));
            slots::add_passphrase_as(file, id, passphrase, root, clock, cost)
        })
    }

    /// Takes every passphrase away.
    ///
    /// # Errors
    /// [`KeysError::NoPassphrase`]; [`KeysError::LastSlot`] where nothing else opens the keys; as
    /// [`Keys::add_passphrase`].
    pub fn remove_passphrase(&mut self) -> Result<(), KeysError> {
        self.change(|file, _| {
            slots::remove(file, |lock| matches!(lock, Lock::Passphrase { .. }), KeysError::NoPassphrase)
        })
    }

    /// Makes a key file, in `elsewhere` or beside the keys, and puts it in the place of the one there is.
    ///
    /// # Errors
    /// As [`Keys::add_passphrase`].
    pub fn add_key_file(&mut self, elsewhere: Option<&PrivateDir>, clock: &dyn Clock) -> Result<(), KeysError> {
        let home = self.dir.try_clone()?;
        self.change(|file, root| {
            let before = file.slots.len();
            slots::add_key_file(file, elsewhere.unwrap_or(&home), root, clock)?;
            let old: Vec<u32> =
                file.slots.iter().take(before).filter(|s| s.lock == Lock::KeyFile).map(|s| s.id).collect();
            file.slots.retain(|slot| !old.contains(&slot.id));
            Ok(())
        })
    }

    /// Takes the key file's slot away, then the file: overwritten (which a disk may or may not do in place) and
    /// removed. A file in another directory is the user's to remove; it opens nothing any more.
    ///
    /// # Errors
    /// [`KeysError::NoKeyFile`]; [`KeysError::LastSlot`] where nothing else opens the keys; as
    /// [`Keys::add_passphrase`].
    pub fn remove_key_file(&mut self) -> Result<(), KeysError> {
        self.change(|file, _| slots::remove(file, |lock| *lock == Lock::KeyFile, KeysError::NoKeyFile))
    }

    /// Changes the file as it is now (another process may have changed it since the unlock).
    fn change(&mut self, how: impl FnOnce(&mut KeysFile, &SealKey) -> Result<(), KeysError>) -> Result<(), KeysError> {
        let root = self.root.clone().ok_or(KeysError::FreshUnlock)?;
        let _lock = self.dir.lock(LOCK)?;
        let mut file = read(&self.dir)?;
        if file.id != self.id || !file.is_authentic(&mac_key(&self.session)) {
            return Err(KeysError::Tampered);
        }
        let old = file.clone();
        if let Err(error) = how(&mut file, &root) {
            slots::sweep(&self.dir, &old)?;
            return Err(error);
        }
        // If this fails, the old file or the new one is there: the key files of both are kept.
        self.dir.replace(NAME, &file.authenticated(&mac_key(&self.session)))?;
        self.slots = infos(&file);
        Ok(slots::sweep(&self.dir, &file)?)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl Environment {
    /// All of them, the most careless first.
    pub const ALL: [Environment; 3] = [Environment::Development, Environment::Staging, Environment::Production];

    /// `development`, `staging` or `production`.
    pub fn name(self) -> &'static str {
        match self {
            Environment::Development => "development",
            Environment::Staging => "staging",
            Environment::Production => "production",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Environment> {
        Environment::ALL.into_iter().find(|environment| environment.name() == name)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn read(dir: &PrivateDir) -> Result<KeysFile, KeysError> {
    match dir.read(NAME, file::MAX_BYTES) {
        Ok(bytes) => KeysFile::parse(&bytes.ok_or(KeysError::Missing)?),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(KeysError::Damaged("it is far too long")),
        Err(error) => Err(error.into()),
    }
}

fn session_of(root: &SealKey) -> SealKey {
    root.derive("session")
}

fn mac_key(session: &SealKey) -> SealKey {
    session.derive("keys file")
}

fn wrapping_key(root: &SealKey, kind: Subkey) -> SealKey {
    if kind == Subkey::Production { root.derive("production") } else { session_of(root) }
}

/// Opens a wrapped key of the file. The file's mac is known to be right here.
fn unwrap(file: &KeysFile, kind: Subkey, under: &SealKey) -> Result<LockedBytes<32>, KeysError> {
    let wrapped = file.subkeys.iter().find(|subkey| subkey.kind == kind as u8);
    let wrapped = wrapped.ok_or(KeysError::Damaged("it lacks a key that it should have"))?;
    under.open_locked(&file.subkey_context(kind as u8), &wrapped.wrapped).map_err(|_| KeysError::Tampered)
}

fn infos(file: &KeysFile) -> Vec<SlotInfo> {
    let kind = |lock: &Lock| match lock {
        Lock::Passphrase { .. } => SlotKind::Passphrase,
        Lock::KeyFile => SlotKind::KeyFile,
        Lock::Other { kind, .. } => SlotKind::Other(*kind),
    };
    file.slots.iter().map(|slot| SlotInfo { id: slot.id, kind: kind(&slot.lock), created: slot.created }).collect()
}

#[cfg(test)]
mod tests;
