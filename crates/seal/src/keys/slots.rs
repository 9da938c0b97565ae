//! The slots: what opens the root key, and how each is added, opened and taken away.

use std::io;

use raincoat_os::{LockedBytes, PrivateDir, fill_random};
use raincoat_types::{Clock, Secret};
use zeroize::Zeroize;

use super::error::KeysError;
use super::file::{KeysFile, Lock, Slot};
use super::kdf::{self, Cost};
use super::{Keys, LOCK, delay, read};
use crate::SealKey;

pub(super) const MAX_PASSPHRASE: usize = 4096;

pub(super) fn root_by_passphrase(
    dir: &PrivateDir,
    passphrase: &Secret<String>,
    clock: &dyn Clock,
) -> Result<(KeysFile, SealKey), KeysError> {
    check_length(passphrase)?;
    if !Keys::exists(dir)? {
        return Err(KeysError::Missing);
    }
    // Held while a guess is checked, so that guesses cannot run side by side.
    let _lock = dir.lock(LOCK)?;
    let file = read(dir)?;
    if !file.slots.iter().any(|slot| matches!(slot.lock, Lock::Passphrase { .. })) {
        return Err(KeysError::NoPassphrase);
    }
    let guess = delay::begin(dir, clock)?;
    for slot in &file.slots {
        if let Lock::Passphrase { cost, salt } = &slot.lock {
            let key = kdf::stretch(passphrase.expose(), salt, *cost)?;
            if let Some(root) = open_slot(&file, slot, &key) {
                guess.succeeded()?;
                return Ok((file, root));
            }
        }
    }
    Err(KeysError::WrongPassphrase { wait_secs: guess.failed() })
}

pub(super) fn root_by_key_file(file: &KeysFile, home: &PrivateDir) -> Result<SealKey, KeysError> {
    let mut found = false;
    for slot in file.slots.iter().filter(|slot| slot.lock == Lock::KeyFile) {
        let bytes = match home.read(&key_file_name(file, slot.id), 32) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => continue,
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(KeysError::WrongKeyFile),
            Err(error) => return Err(error.into()),
        };
        found = true;
        let key = key_of(bytes).ok_or(KeysError::WrongKeyFile)?;
        if let Some(root) = open_slot(file, slot, &key) {
            return Ok(root);
        }
    }
    Err(if found { KeysError::WrongKeyFile } else { KeysError::NoKeyFile })
}

pub(super) fn add_passphrase(
    file: &mut KeysFile,
    passphrase: &Secret<String>,
    root: &SealKey,
    clock: &dyn Clock,
    cost: Cost,
) -> Result<(), KeysError> {
    let id = file.free_id()?;
    add_passphrase_as(file, id, passphrase, root, clock, cost)
}

pub(super) fn add_passphrase_as(
    file: &mut KeysFile,
    id: u32,
    passphrase: &Secret<String>,
    root: &SealKey,
    clock: &dyn Clock,
    cost: Cost,
) -> Result<(), KeysError> {
    check_length(passphrase)?;
    let mut salt = [0; 16];
    fill_random(&mut salt)?;
    let key = kdf::stretch(passphrase.expose(), &salt, cost)?;
    let lock = Lock::Passphrase { cost, salt };
    file.add_slot(id, clock.now().secs, lock, |context| Ok(key.seal_key(context, root)?))
}

/// Makes the key file first: a crash before the keys file is replaced leaves one that opens nothing.
pub(super) fn add_key_file(
    file: &mut KeysFile,
    home: &PrivateDir,
    root: &SealKey,
    clock: &dyn Clock,
) -> Result<(), KeysError> {
    let id = file.free_id()?;
    let key = SealKey::generate()?;
    home.replace(&key_file_name(file, id), key.expose())?;
    file.add_slot(id, clock.now().secs, Lock::KeyFile, |context| Ok(key.seal_key(context, root)?))
}

pub(super) fn remove(file: &mut KeysFile, which: impl Fn(&Lock) -> bool, none: KeysError) -> Result<(), KeysError> {
    let before = file.slots.len();
    file.slots.retain(|slot| !which(&slot.lock));
    if file.slots.len() == before {
        return Err(none);
    }
    // A slot of a kind unknown here may not be one that this user can open.
    if file.slots.iter().all(|slot| matches!(slot.lock, Lock::Other { .. })) {
        return Err(KeysError::LastSlot);
    }
    Ok(())
}

/// Overwrites and removes the key files beside the keys that open nothing.
pub(super) fn sweep(dir: &PrivateDir, file: &KeysFile) -> io::Result<()> {
    let prefix = key_file_prefix(file);
    let mut swept = false;
    for name in dir.names()? {
        let Some(name) = name.to_str() else { continue };
        let id = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".bin")).and_then(|id| id.parse().ok());
        let Some(id) = id else { continue };
        if name != key_file_name(file, id) || file.slots.iter().any(|s| s.id == id && s.lock == Lock::KeyFile) {
            continue;
        }
        if let Some(key) = dir.open_file(name)? {
            key.write_all_at(&[0; 32], 0)?;
            key.sync()?;
        }
        dir.remove(name)?;
        swept = true;
    }
    if swept { dir.sync() } else { Ok(()) }
}

/// The start of every key file's name: with the hierarchy's own, for several may lie in one directory.
fn key_file_prefix(file: &KeysFile) -> String {
    let id: String = file.id.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("key-{id}-")
}

pub(super) fn key_file_name(file: &KeysFile, id: u32) -> String {
    format!("{}{id}.bin", key_file_prefix(file))
}

fn check_length(passphrase: &Secret<String>) -> Result<(), KeysError> {
    match passphrase.expose().len() {
        1..=MAX_PASSPHRASE => Ok(()),
        _ => Err(KeysError::PassphraseLength),
    }
}

/// Opens a slot's root key; `None` where the slot's key is another.
fn open_slot(file: &KeysFile, slot: &Slot, key: &SealKey) -> Option<SealKey> {
    key.open_key(&file.slot_context(slot.id, &slot.lock), &slot.wrapped).ok()
}

/// A key of these bytes, which are zeroed; `None` where they are not 32.
pub(super) fn key_of(mut bytes: Vec<u8>) -> Option<SealKey> {
    let key = <&mut [u8; 32]>::try_from(bytes.as_mut_slice()).ok().map(|bytes| SealKey::of(LockedBytes::take(bytes)));
    bytes.zeroize();
    key
}
