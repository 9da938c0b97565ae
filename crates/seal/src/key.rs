//! One symmetric key and what can be done with it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use raincoat_os::{LockedBytes, fill_random};
use zeroize::{Zeroize, Zeroizing};

use crate::SealError;

const TAG_LEN: usize = 16;

/// The salt of every HKDF here, so that no other program's use of HKDF gives the same keys.
const SALT: &[u8] = b"raincoat seal v1";

/// A key of 256 bits in locked memory: seals, authenticates and derives other keys. It does not print, and is zeroed
/// when dropped.
///
/// Three uses, three keys: the cipher's and the hash's are both derived from the bytes (HKDF-SHA256, RFC 5869), which
/// themselves only ever feed HKDF.
///
/// Sealing is AES-256-GCM-SIV (RFC 8452) under a random nonce. Should two nonces ever be the same, all that leaks is
/// whether those two plaintexts in that context are the same.
///
/// A clone is another handle on the same memory.
#[derive(Clone)]
pub struct SealKey(Arc<Inner>);

struct Inner {
    bytes: LockedBytes<32>,
    mac: LockedBytes<32>,
    cipher: LessSafeKey,
}

impl SealKey {
    /// How many bytes longer sealed data is: 12 of nonce before and 16 of tag after the ciphertext.
    pub const OVERHEAD: usize = NONCE_LEN + TAG_LEN;

    /// A key of these bytes, which should be uniformly random (or come from a KDF).
    pub fn from_bytes(mut bytes: [u8; 32]) -> SealKey {
        SealKey::of(LockedBytes::take(&mut bytes))
    }

    /// A new random key.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn generate() -> Result<SealKey, SealError> {
        let mut bytes = LockedBytes::zeroed();
        fill_random(bytes.expose_mut())?;
        Ok(SealKey::of(bytes))
    }

    /// The key that belongs to `label` under this one (HKDF-SHA256 with the label as its info). Labels are free, but
    /// must differ where keys are to differ.
    pub fn derive(&self, label: &str) -> SealKey {
        SealKey::of(hkdf(self.0.bytes.expose(), &[b"key:", label.as_bytes()]))
    }

    /// The key that belongs to `label`, to this key and to some `secret` bytes together: whoever lacks either has
    /// nothing. HKDF-SHA256 as in [`SealKey::derive`], of this key's bytes and the secret's one after the other, with
    /// `join:` and the label as its info. The secret should have at least 32 random bytes.
    pub fn join(&self, label: &str, secret: &[u8]) -> SealKey {
        // All at once: a vector that grew would leave a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(32 + secret.len()));
        bytes.extend_from_slice(self.0.bytes.expose());
        bytes.extend_from_slice(secret);
        SealKey::of(hkdf(&bytes, &[b"join:", label.as_bytes()]))
    }

    /// Seals `plain` under a nonce that the caller keeps beside it, and appends ciphertext and tag (16 bytes) to `out`.
    /// The nonce must be random, and must not be used twice under one key.
    ///
    /// # Errors
    /// [`SealError::Seal`] for more than 64 GiB; `out` is as it was then.
    pub fn seal_under(
        &self,
        nonce: &[u8; NONCE_LEN],
        context: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let start = out.len();
        out.reserve(plain.len() + TAG_LEN);
        out.extend_from_slice(plain);
        let body = out.get_mut(start..).unwrap_or_default();
        match self.0.cipher.seal_in_place_separate_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(context), body) {
            Ok(tag) => {
                out.extend_from_slice(tag.as_ref());
                Ok(())
            }
            Err(_) => {
                body.zeroize();
                out.truncate(start);
                Err(SealError::Seal)
            }
        }
    }

    /// Opens what [`SealKey::seal_under`] made, into `out` in the place of what is there.
    ///
    /// # Errors
    /// [`SealError::Open`], whatever the reason; `out` is empty then.
    pub fn open_under(
        &self,
        nonce: &[u8; NONCE_LEN],
        context: &[u8],
        sealed: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        out.clear();
        let (body, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(SealError::Open)?;
        out.resize(body.len(), 0);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.cipher.open_separate_gather(nonce, Aad::from(context), body, tag, out);
        opened.map_err(|_| {
            out.zeroize();
            SealError::Open
        })
    }

    /// A key of bytes that are in locked memory already.
    pub(crate) fn of(bytes: LockedBytes<32>) -> SealKey {
        let mac = hkdf(bytes.expose(), &[b"mac"]);
        let cipher = hkdf(bytes.expose(), &[b"cipher"]);
        #[expect(clippy::expect_used, reason = "fails only for another length than 32, which the type rules out")]
        let cipher = UnboundKey::new(&AES_256_GCM_SIV, cipher.expose()).expect("a key of 32 bytes");
        SealKey(Arc::new(Inner { bytes, mac, cipher: LessSafeKey::new(cipher) }))
    }

    /// Seals `plain`. Opening needs the same `context` (authenticated, not stored): say in it what the data is and
    /// where it belongs, so that it cannot be moved elsewhere.
    ///
    /// # Errors
    /// [`SealError::Random`]; [`SealError::Seal`] for more than 64 GiB.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut out = Vec::new();
        self.seal_into(context, plain, &mut out)?;
        Ok(out)
    }

    /// As [`SealKey::seal`], appended to `out`.
    ///
    /// # Errors
    /// As [`SealKey::seal`]; `out` is as it was then.
    pub fn seal_into(&self, context: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        let mut nonce = [0_u8; NONCE_LEN];
        fill_random(&mut nonce)?;
        // All at once: a vector that grew with the plaintext in it would leave a copy behind.
        let start = out.len();
        out.reserve(plain.len() + Self::OVERHEAD);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let body = out.get_mut(start + NONCE_LEN..).unwrap_or_default();
        match self.0.cipher.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), body) {
            Ok(tag) => {
                out.extend_from_slice(tag.as_ref());
                Ok(())
            }
            Err(_) => {
                body.zeroize();
                out.truncate(start);
                Err(SealError::Seal)
            }
        }
    }

    /// Opens what [`SealKey::seal`] made in the same `context`.
    ///
    /// # Errors
    /// [`SealError::Open`], whatever the reason.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Open)?;
        let (body, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(SealError::Open)?;
        let mut plain = vec![0; body.len()];
        let nonce = Nonce::assume_unique_for_key(*nonce);
        match self.0.cipher.open_separate_gather(nonce, Aad::from(context), body, tag, &mut plain) {
            Ok(()) => Ok(plain),
            Err(_) => {
                plain.zeroize();
                Err(SealError::Open)
            }
        }
    }

    /// Seals another key, without its bytes being seen.
    ///
    /// # Errors
    /// As [`SealKey::seal`].
    pub fn seal_key(&self, context: &[u8], key: &SealKey) -> Result<Vec<u8>, SealError> {
        self.seal(context, key.0.bytes.expose())
    }

    /// Opens what [`SealKey::seal_key`] made in the same `context`.
    ///
    /// # Errors
    /// [`SealError::Open`], whatever the reason.
    pub fn open_key(&self, context: &[u8], wrapped: &[u8]) -> Result<SealKey, SealError> {
        self.open_locked(context, wrapped).map(SealKey::of)
    }

    /// As [`SealKey::open_key`], the bytes for another use.
    pub(crate) fn open_locked(&self, context: &[u8], wrapped: &[u8]) -> Result<LockedBytes<32>, SealError> {
        let mut plain = self.open(context, wrapped)?;
        let kept = <&mut [u8; 32]>::try_from(plain.as_mut_slice()).map(LockedBytes::take).map_err(|_| SealError::Open);
        plain.zeroize();
        kept
    }

    /// BLAKE3 keyed with this key: content addresses and blind indexes that tell nothing to who has not the key.
    pub fn mac(&self, data: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(self.0.mac.expose(), data).as_bytes()
    }

    /// Whether the kernel keeps the key from being swapped out.
    pub fn is_locked(&self) -> bool {
        self.0.bytes.is_locked() && self.0.mac.is_locked()
    }

    /// The bytes themselves, to wrap them under another key.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.bytes.expose()
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// HKDF-SHA256 with one block of output. By way of HMAC, which cannot fail, where the crate's own HKDF returns a
/// result for lengths that do not occur here.
fn hkdf(key: &[u8], info: &[&[u8]]) -> LockedBytes<32> {
    let prk = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SALT), key);
    let mut expand = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, prk.as_ref()));
    for part in info {
        expand.update(part);
    }
    expand.update(&[1]);
    let mut out = LockedBytes::zeroed();
    // Both are 32 bytes long: HMAC-SHA256.
    for (to, from) in out.expose_mut().iter_mut().zip(expand.sign().as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_sealed_opens_in_its_context_only(
            bytes: [u8; 32], context: Vec<u8>, other: Vec<u8>, plain: Vec<u8>, before: Vec<u8>, flip: prop::sample::Index
        ) {
            let key = SealKey::from_bytes(bytes);
            let mut out = before.clone();
            key.seal_into(&context, &plain, &mut out).unwrap();
            prop_assert_eq!(&out[..before.len()], &before[..]);
            let mut sealed = out.split_off(before.len());
            prop_assert_eq!(sealed.len(), plain.len() + SealKey::OVERHEAD);
            prop_assert_eq!(&key.open(&context, &sealed).unwrap(), &plain);
            if other != context {
                prop_assert!(key.open(&other, &sealed).is_err());
            }
            prop_assert!(key.derive("x").open(&context, &sealed).is_err());
            let at = flip.index(sealed.len() * 8);
            sealed[at / 8] ^= 1 << (at % 8);
            prop_assert!(key.open(&context, &sealed).is_err());
        }

        #[test]
        fn cut_and_arbitrary_bytes_do_not_open(bytes: Vec<u8>, cut: prop::sample::Index) {
            let key = SealKey::from_bytes([3; 32]);
            prop_assert!(key.open(b"", &bytes).is_err());
            let sealed = key.seal(b"", b"some plain text").unwrap();
            prop_assert!(key.open(b"", &sealed[..cut.index(sealed.len())]).is_err());
        }
    }

    #[test]
    fn derivation_is_hkdf_sha256_of_rfc_5869() {
        use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
        let key = SealKey::from_bytes([5; 32]);
        let prk = Salt::new(HKDF_SHA256, SALT).extract(&[5; 32]);
        let mut want = [0_u8; 32];
        prk.expand(&[b"key:", b"journal"], HKDF_SHA256).unwrap().fill(&mut want).unwrap();
        assert_eq!(key.derive("journal").expose(), &want);
    }

    // Made with pyca/cryptography 48 (OpenSSL): HKDF-SHA256 and AES-256-GCM-SIV, another implementation of both.
    #[test]
    fn what_another_implementation_sealed_opens() {
        let key = SealKey::from_bytes(std::array::from_fn(|n| n as u8));
        let sealed =
            hex("6465666768696a6b6c6d6e6ff7259e7f70d64f9d7c4be146ca58ac1b17ec42b7b2d58cbe330f3ca0b7fd26eb62a177");
        assert_eq!(key.open(b"context", &sealed).unwrap(), b"the quick brown fox");
        let derived = hex("46b48d47a2c158d0b8e40e475b3eab39efd034c573030fbfad3d743f8be6dbae");
        assert_eq!(key.derive("journal").expose().as_slice(), derived);
        let mac_key = hex("36819459aa7aaf7c436cd1480c3fd5e256b1ad31f109499d0e042c6aa919aca9");
        assert_eq!(key.0.mac.expose().as_slice(), mac_key);
    }

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn a_joined_key_needs_both() {
        let [a, b] = [SealKey::from_bytes([1; 32]), SealKey::from_bytes([2; 32])];
        let want = a.join("x", &[3; 64]).mac(b"x");
        assert_eq!(want, a.join("x", &[3; 64]).mac(b"x"));
        let others = [a.join("y", &[3; 64]), a.join("x", &[3; 32]), a.join("x", &[]), b.join("x", &[3; 64]), a.clone()];
        assert!(others.iter().all(|other| other.mac(b"x") != want));
        assert_ne!(a.join("x", &[]).mac(b"x"), a.derive("x").mac(b"x"));
    }

    #[test]
    fn what_was_sealed_under_a_nonce_opens_under_it_only() {
        let key = SealKey::from_bytes([5; 32]);
        let (mut sealed, mut plain) = (b"before".to_vec(), b"old".to_vec());
        key.seal_under(&[1; 12], b"here", b"some text", &mut sealed).unwrap();
        let body = &sealed[6..];
        key.open_under(&[1; 12], b"here", body, &mut plain).unwrap();
        assert_eq!(plain, b"some text");
        assert!(key.open_under(&[2; 12], b"here", body, &mut plain).is_err());
        assert!(plain.is_empty());
        assert!(key.open_under(&[1; 12], b"there", body, &mut plain).is_err());
        assert!(key.open_under(&[1; 12], b"here", &[], &mut plain).is_err());
        // The same as what carries its nonce in front.
        assert_eq!(key.open(b"here", &[&[1; 12], body].concat()).unwrap(), b"some text");
    }

    #[test]
    fn labels_keys_and_uses_are_apart() {
        let (a, b) = (SealKey::generate().unwrap(), SealKey::generate().unwrap());
        assert_ne!(a.mac(b"x"), b.mac(b"x"));
        assert_ne!(a.mac(b"x"), a.mac(b"y"));
        assert_ne!(a.derive("one").mac(b"x"), a.derive("two").mac(b"x"));
        assert_eq!(a.derive("one").mac(b"x"), a.derive("one").mac(b"x"));
        assert_ne!(a.seal(b"", b"x").unwrap(), a.seal(b"", b"x").unwrap());
    }

    #[test]
    fn a_wrapped_key_comes_back_in_its_context_only() {
        let (outer, inner) = (SealKey::generate().unwrap(), SealKey::generate().unwrap());
        let wrapped = outer.seal_key(b"here", &inner).unwrap();
        assert_eq!(outer.open_key(b"here", &wrapped).unwrap().mac(b"x"), inner.mac(b"x"));
        assert!(outer.open_key(b"there", &wrapped).is_err());
        assert!(inner.open_key(b"here", &wrapped).is_err());
        assert!(outer.open_key(b"", &outer.seal(b"", &[1; 31]).unwrap()).is_err());
    }

    #[test]
    fn neither_a_key_nor_an_error_says_anything() {
        let key = SealKey::from_bytes([0x41; 32]);
        assert_eq!(format!("{key:?}"), "[key]");
        let error = key.open(b"ctx", &[0; 40]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sealed data does not open: it was changed, or it belongs to another key or place"
        );
    }
}
