//! The keys file, `keys.bin`: its layout, read and written. Pure: bytes in, bytes out.
//!
//! Version 1. Integers are little-endian.
//!
//! ```text
//! magic      8   "RCKEYS\r\n"
//! version    2   1
//! id        16   random, names this hierarchy; part of every context below
//! slots      1   how many, 1 to 16; then each:
//!   id         4   unique in the file
//!   kind       1   1 passphrase, 2 key file; others are kept as they are
//!   created    8   seconds since 1970, signed
//!   params   2+n   what the kind needs; passphrase: memory in KiB (4), passes (4), lanes (4), salt (16); key file: none
//!   wrapped  2+n   the root key, sealed under the slot's key
//! subkeys    1   how many; then each:
//!   kind       1   see `Subkey`; others are kept as they are
//!   wrapped  2+n   the key, sealed under one derived from the root
//! mac       32   BLAKE3 of all before, keyed with a key under the root: nothing here changes unseen
//! checksum  32   BLAKE3 of all before: tells damage from a wrong passphrase
//! ```
//!
//! What is sealed is bound to its place by its context: the file's id with the slot's id, kind and parameters, or with
//! the subkey's kind.

use super::error::KeysError;
use super::kdf::Cost;
use crate::SealKey;

const MAGIC: &[u8; 8] = b"RCKEYS\r\n";
const VERSION: u16 = 1;
const MAX_SLOTS: usize = 16;

/// The most bytes that a keys file may have. 16 slots of a later kind fit.
pub(super) const MAX_BYTES: u64 = 1 << 18;

/// Bytes of a sealed key of 32.
const WRAPPED: usize = 32 + SealKey::OVERHEAD;

/// A keys file, understood but not unlocked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeysFile {
    pub(super) id: [u8; 16],
    pub(super) slots: Vec<Slot>,
    pub(super) subkeys: Vec<Wrapped>,
    mac: [u8; 32],
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub(super) id: u32,
    pub(super) created: i64,
    pub(super) lock: Lock,
    pub(super) wrapped: Vec<u8>,
}

/// What opens a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Lock {
    Passphrase { cost: Cost, salt: [u8; 16] },
    KeyFile,
    Other { kind: u8, params: Vec<u8> },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wrapped {
    pub(super) kind: u8,
    pub(super) wrapped: Vec<u8>,
}

impl KeysFile {
    /// Reads a keys file's bytes.
    ///
    /// # Errors
    /// [`KeysError::Damaged`], saying where; [`KeysError::Newer`] for a later version's file.
    pub fn parse(bytes: &[u8]) -> Result<KeysFile, KeysError> {
        let mut head = Reader(bytes);
        if head.array::<8>()? != *MAGIC {
            return Err(KeysError::Damaged("it does not begin as a keys file does"));
        }
        let version = u16::from_le_bytes(head.array()?);
        if version > VERSION {
            return Err(KeysError::Newer(version));
        }
        let (body, checksum) = bytes.split_last_chunk::<32>().ok_or(CUT)?;
        if blake3::hash(body) != *checksum || version != VERSION {
            return Err(KeysError::Damaged("its checksum does not fit"));
        }
        let (body, mac) = body.split_last_chunk::<32>().ok_or(CUT)?;
        let mut reader = Reader(body.get(10..).ok_or(CUT)?);
        let id = reader.array()?;
        let mut file = KeysFile { id, slots: Vec::new(), subkeys: Vec::new(), mac: *mac };
        for _ in 0..reader.byte()? {
            let slot = Slot::read(&mut reader)?;
            if file.slots.iter().any(|other| other.id == slot.id) {
                return Err(KeysError::Damaged("two slots have the same id"));
            }
            file.slots.push(slot);
        }
        if file.slots.is_empty() || file.slots.len() > MAX_SLOTS {
            return Err(KeysError::Damaged("it has no slots or too many"));
        }
        for _ in 0..reader.byte()? {
            let subkey = Wrapped { kind: reader.byte()?, wrapped: reader.sized()?.to_vec() };
            if file.subkeys.iter().any(|other| other.kind == subkey.kind) {
                return Err(KeysError::Damaged("it has the same key twice"));
            }
            file.subkeys.push(subkey);
        }
        if !reader.0.is_empty() {
            return Err(KeysError::Damaged("it goes on after its end"));
        }
        Ok(file)
    }

    pub(super) fn new(id: [u8; 16]) -> KeysFile {
        KeysFile { id, slots: Vec::new(), subkeys: Vec::new(), mac: [0; 32] }
    }

    /// Adds a slot with what opens it; `wrap` seals the root in the context that it is given.
    pub(super) fn add_slot(
        &mut self,
        id: u32,
        created: i64,
        lock: Lock,
        wrap: impl FnOnce(&[u8]) -> Result<Vec<u8>, KeysError>,
    ) -> Result<(), KeysError> {
        if self.slots.len() >= MAX_SLOTS {
            return Err(KeysError::Full);
        }
        let wrapped = wrap(&self.slot_context(id, &lock))?;
        self.slots.push(Slot { id, created, lock, wrapped });
        Ok(())
    }

    /// An id that no slot has.
    pub(super) fn free_id(&self) -> Result<u32, KeysError> {
        let last = self.slots.iter().map(|slot| slot.id).max().unwrap_or(0);
        last.checked_add(1).ok_or(KeysError::Damaged("a slot has the last id there is"))
    }

    /// What a slot's wrapped root is bound to.
    pub(super) fn slot_context(&self, id: u32, lock: &Lock) -> Vec<u8> {
        let mut context = b"raincoat keys v1 slot\0".to_vec();
        context.extend_from_slice(&self.id);
        context.extend_from_slice(&id.to_le_bytes());
        context.push(lock.kind());
        context.extend_from_slice(&lock.params());
        context
    }

    /// What a wrapped subkey is bound to.
    pub(super) fn subkey_context(&self, kind: u8) -> Vec<u8> {
        let mut context = b"raincoat keys v1 subkey\0".to_vec();
        context.extend_from_slice(&self.id);
        context.push(kind);
        context
    }

    /// Whether the file is as the holder of the key for its mac left it.
    pub(super) fn is_authentic(&self, key: &SealKey) -> bool {
        // Compared as hashes: in constant time.
        blake3::Hash::from_bytes(key.mac(&self.body())) == blake3::Hash::from_bytes(self.mac)
    }

    /// The file's bytes, with a new mac.
    pub(super) fn authenticated(&mut self, key: &SealKey) -> Vec<u8> {
        self.mac = key.mac(&self.body());
        self.with_checksum()
    }

    fn with_checksum(&self) -> Vec<u8> {
        let mut bytes = self.body();
        bytes.extend_from_slice(&self.mac);
        let checksum = blake3::hash(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes
    }

    fn body(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.id);
        out.push(self.slots.len() as u8);
        for slot in &self.slots {
            out.extend_from_slice(&slot.id.to_le_bytes());
            out.push(slot.lock.kind());
            out.extend_from_slice(&slot.created.to_le_bytes());
            push_sized(&mut out, &slot.lock.params());
            push_sized(&mut out, &slot.wrapped);
        }
        out.push(self.subkeys.len() as u8);
        for subkey in &self.subkeys {
            out.push(subkey.kind);
            push_sized(&mut out, &subkey.wrapped);
        }
        out
    }
}

impl Slot {
    fn read(reader: &mut Reader<'_>) -> Result<Slot, KeysError> {
        let id = u32::from_le_bytes(reader.array()?);
        let kind = reader.byte()?;
        let created = i64::from_le_bytes(reader.array()?);
        let params = reader.sized()?;
        let wrapped = reader.sized()?.to_vec();
        let lock = Lock::read(kind, params)?;
        if !matches!(lock, Lock::Other { .. }) && wrapped.len() != WRAPPED {
            return Err(KeysError::Damaged("a wrapped key has the wrong length"));
        }
        Ok(Slot { id, created, lock, wrapped })
    }
}

impl Lock {
    fn read(kind: u8, params: &[u8]) -> Result<Lock, KeysError> {
        match kind {
            1 => {
                let mut reader = Reader(params);
                let [memory_kib, passes, lanes] =
                    [reader.array()?, reader.array()?, reader.array()?].map(u32::from_le_bytes);
                let salt = reader.array()?;
                let cost = Cost { memory_kib, passes, lanes };
                if !reader.0.is_empty() || !cost.is_sane() {
                    return Err(KeysError::Damaged("a passphrase slot's parameters are out of bounds"));
                }
                Ok(Lock::Passphrase { cost, salt })
            }
            2 if params.is_empty() => Ok(Lock::KeyFile),
            2 => Err(KeysError::Damaged("a key file's slot has parameters")),
            kind => Ok(Lock::Other { kind, params: params.to_vec() }),
        }
    }

    pub(super) fn kind(&self) -> u8 {
        match self {
            Lock::Passphrase { .. } => 1,
            Lock::KeyFile => 2,
            Lock::Other { kind, .. } => *kind,
        }
    }

    fn params(&self) -> Vec<u8> {
        match self {
            Lock::Passphrase { cost, salt } => {
                let mut out = Vec::with_capacity(28);
                for number in [cost.memory_kib, cost.passes, cost.lanes] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
                out.extend_from_slice(salt);
                out
            }
            Lock::KeyFile => Vec::new(),
            Lock::Other { params, .. } => params.clone(),
        }
    }
}

const CUT: KeysError = KeysError::Damaged("it ends too soon");

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], KeysError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], KeysError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, KeysError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn sized(&mut self) -> Result<&'a [u8], KeysError> {
        let len = u16::from_le_bytes(self.array()?);
        self.take(usize::from(len))
    }
}

/// Lengths come from a parsed file or from this room's own kinds: none is over 65,535.
fn push_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lock() -> impl Strategy<Value = Lock> {
        prop_oneof![
            (64_u32..1 << 20, 1_u32..=10, 1_u32..=4, any::<[u8; 16]>()).prop_map(
                |(memory_kib, passes, lanes, salt)| {
                    Lock::Passphrase { cost: Cost { memory_kib, passes, lanes }, salt }
                }
            ),
            Just(Lock::KeyFile),
            (3_u8.., any::<Vec<u8>>()).prop_map(|(kind, params)| Lock::Other { kind, params }),
        ]
    }

    fn file() -> impl Strategy<Value = KeysFile> {
        let slot = (any::<i64>(), lock(), any::<[u8; WRAPPED]>());
        let slots = prop::collection::vec(slot, 1..=MAX_SLOTS);
        let subkeys = prop::collection::btree_map(any::<u8>(), any::<Vec<u8>>(), 0..20);
        (any::<[u8; 16]>(), slots, subkeys, any::<[u8; 32]>()).prop_map(|(id, slots, subkeys, mac)| KeysFile {
            id,
            slots: (1_u32..)
                .zip(slots)
                .map(|(id, (created, lock, wrapped))| Slot { id, created, lock, wrapped: wrapped.to_vec() })
                .collect(),
            subkeys: subkeys.into_iter().map(|(kind, wrapped)| Wrapped { kind, wrapped }).collect(),
            mac,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same_unknown_kinds_too(file in file()) {
            let bytes = file.with_checksum();
            prop_assert_eq!(KeysFile::parse(&bytes).unwrap(), file);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, tail: Vec<u8>) {
            let _ = KeysFile::parse(&bytes);
            // And with everything right that a forger can get right.
            let mut forged = MAGIC.to_vec();
            forged.extend_from_slice(&VERSION.to_le_bytes());
            forged.extend_from_slice(&bytes);
            forged.extend_from_slice(&tail);
            let checksum = blake3::hash(&forged);
            forged.extend_from_slice(checksum.as_bytes());
            if let Ok(file) = KeysFile::parse(&forged) {
                prop_assert_eq!(file.with_checksum(), forged);
            }
        }

        #[test]
        fn forged_files_that_parse_are_written_back_byte_for_byte(
            file in file(), at: prop::sample::Index, to: u8
        ) {
            let mut bytes = file.with_checksum();
            bytes.truncate(bytes.len() - 32);
            let at = at.index(bytes.len());
            bytes[at] = to;
            let checksum = blake3::hash(&bytes);
            bytes.extend_from_slice(checksum.as_bytes());
            if let Ok(file) = KeysFile::parse(&bytes) {
                prop_assert_eq!(file.with_checksum(), bytes);
            }
        }
    }

    #[test]
    fn a_cut_or_flipped_file_is_said_to_be_damaged_and_a_newer_one_newer() {
        let mut file = KeysFile::new([1; 16]);
        file.add_slot(1, 0, Lock::KeyFile, |_| Ok(vec![0; WRAPPED])).unwrap();
        let bytes = file.with_checksum();
        assert!(KeysFile::parse(&bytes).is_ok());
        for len in 0..bytes.len() {
            assert!(matches!(KeysFile::parse(&bytes[..len]), Err(KeysError::Damaged(_))), "cut to {len}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let error = KeysFile::parse(&bytes).unwrap_err();
                // A flip in the version cannot be told from a later version's file, whose checksum may lie elsewhere.
                let newer = at == 8 || at == 9;
                assert!(matches!(error, KeysError::Damaged(_)) || newer && matches!(error, KeysError::Newer(_)));
            }
        }
    }

    #[test]
    fn parameters_that_would_eat_the_machine_are_refused() {
        for cost in [
            Cost { memory_kib: u32::MAX, passes: 3, lanes: 1 },
            Cost { memory_kib: 1 << 16, passes: u32::MAX, lanes: 1 },
            Cost { memory_kib: 1 << 16, passes: 3, lanes: u32::MAX },
            Cost { memory_kib: 0, passes: 0, lanes: 0 },
        ] {
            let mut file = KeysFile::new([1; 16]);
            file.add_slot(1, 0, Lock::Passphrase { cost, salt: [0; 16] }, |_| Ok(vec![0; WRAPPED])).unwrap();
            assert!(matches!(KeysFile::parse(&file.with_checksum()), Err(KeysError::Damaged(_))), "{cost:?}");
        }
    }
}
