//! From a passphrase to a key: Argon2id (RFC 9106).

use argon2::{Algorithm, Argon2, Params, Version};
use raincoat_os::LockedBytes;

use super::error::KeysError;
use crate::SealKey;

/// What one guess costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cost {
    /// Memory in KiB.
    pub(super) memory_kib: u32,
    /// Passes over it.
    pub(super) passes: u32,
    /// Lanes.
    pub(super) lanes: u32,
}

impl Cost {
    /// 64 MiB and 3 passes, RFC 9106's second recommendation, with one lane: this implementation has one thread.
    pub(super) const DEFAULT: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// Whether a file may ask for it: up to 1 GiB, 10 passes and 4 lanes.
    pub(super) fn is_sane(self) -> bool {
        (1..=4).contains(&self.lanes)
            && (1..=10).contains(&self.passes)
            && (8 * self.lanes..=1 << 20).contains(&self.memory_kib)
    }
}

/// The key that a passphrase gives with this salt.
pub(super) fn stretch(passphrase: &str, salt: &[u8; 16], cost: Cost) -> Result<SealKey, KeysError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|_| KeysError::Memory)?;
    let mut out = LockedBytes::zeroed();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, out.expose_mut())
        .map_err(|_| KeysError::Memory)?;
    Ok(SealKey::of(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with pyca/cryptography 48 (OpenSSL's Argon2id).
    #[test]
    fn argon2id_is_as_another_implementation_has_it() {
        let known = [
            (
                Cost { memory_kib: 256, passes: 2, lanes: 1 },
                "cab746b4621993fdc91ec50787980b414a90a692f0bc68dfe19f9c25b3cba9ec",
            ),
            (Cost::DEFAULT, "7664ad4ba1a3c999fcdd0991ffc2270f78302d2383233db5e7befc85d1bb1819"),
        ];
        for (cost, want) in known {
            let key = stretch("password", b"somesaltsomesalt", cost).unwrap();
            let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, want);
        }
    }

    #[test]
    fn a_passphrase_gives_the_same_key_each_time_and_another_with_another_salt_or_cost() {
        let cost = Cost { memory_kib: 256, passes: 2, lanes: 1 };
        let key = stretch("password", b"somesaltsomesalt", cost).unwrap();
        assert_eq!(key.mac(b""), stretch("password", b"somesaltsomesalt", cost).unwrap().mac(b""));
        assert_ne!(key.mac(b""), stretch("passwore", b"somesaltsomesalt", cost).unwrap().mac(b""));
        assert_ne!(key.mac(b""), stretch("password", b"somesaltsomesalu", cost).unwrap().mac(b""));
        let more = Cost { passes: 3, ..cost };
        assert_ne!(key.mac(b""), stretch("password", b"somesaltsomesalt", more).unwrap().mac(b""));
    }
}
