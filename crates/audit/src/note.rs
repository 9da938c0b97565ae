//! Signed notes (c2sp.org/signed-note) and the checkpoints written in them (c2sp.org/tlog-checkpoint).

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use raincoat_types::Secret;

use crate::hash::{Hash, sha256};

/// Bytes of an origin, so that a checkpoint with one signature fits into the 512 bytes kept apart.
pub const MAX_ORIGIN: usize = 100;

/// Bytes of a note that are looked at.
pub const MAX_NOTE: usize = 1 << 16;

/// Signatures of a note that are looked at (the specification asks for at least 16).
pub const MAX_SIGNATURES: usize = 64;

/// Signature type of Ed25519 in key ids and verifier keys.
const ED25519_TYPE: u8 = 1;

/// Why something is not a note, or not one to be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoteError {
    /// Not a note at all.
    #[error("it is not a signed note")]
    NotANote,
    /// A note, but no checkpoint.
    #[error("it is not a checkpoint")]
    NotACheckpoint,
    /// No signature of the known key.
    #[error("it has no signature of this log's key")]
    NotSigned,
    /// A signature of the known key that is false.
    #[error("its signature is false")]
    BadSignature,
}

/// A note, its signatures not yet checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note<'a> {
    /// What is signed, with its last newline.
    pub text: &'a str,
    /// The signatures, in their order.
    pub signatures: Vec<NoteSignature<'a>>,
}

/// One signature line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteSignature<'a> {
    /// The key's name.
    pub name: &'a str,
    /// The key's id.
    pub key_id: u32,
    /// The signature itself.
    pub signature: Vec<u8>,
}

/// A tree head: who, how many entries, which root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Entries in the tree.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// Signs notes with one Ed25519 key.
pub struct Signer {
    name: String,
    key: Ed25519KeyPair,
    verifier: Verifier,
}

/// Checks notes against one Ed25519 key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verifier {
    name: String,
    key_id: u32,
    public: [u8; 32],
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    ///
    /// # Errors
    /// [`NoteError::NotANote`].
    pub fn parse(bytes: &'a [u8]) -> Result<Note<'a>, NoteError> {
        Note::try_parse(bytes).ok_or(NoteError::NotANote)
    }

    fn try_parse(bytes: &'a [u8]) -> Option<Note<'a>> {
        let whole = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_NOTE)?;
        if whole.chars().any(|c| c < ' ' && c != '\n') {
            return None;
        }
        let (text, lines) = whole.split_at_checked(whole.rfind("\n\n")? + 1)?;
        let lines = lines.strip_prefix('\n')?.strip_suffix('\n')?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let decoded = STANDARD.decode(encoded).ok()?;
            let (key_id, signature) = decoded.split_first_chunk::<4>()?;
            if !is_name(name) || signature.is_empty() || signatures.len() == MAX_SIGNATURES {
                return None;
            }
            let (key_id, signature) = (u32::from_be_bytes(*key_id), signature.to_vec());
            signatures.push(NoteSignature { name, key_id, signature });
        }
        Some(Note { text, signatures })
    }
}

impl NoteSignature<'_> {
    /// Its line, with the newline at its end.
    pub fn line(&self) -> String {
        signature_line(self.name, self.key_id, &self.signature)
    }
}

/// A note's line for a signature, with the newline at its end.
pub(crate) fn signature_line(name: &str, key_id: u32, signature: &[u8]) -> String {
    let mut bytes = key_id.to_be_bytes().to_vec();
    bytes.extend_from_slice(signature);
    format!("\u{2014} {name} {}\n", STANDARD.encode(bytes))
}

/// A key's id, as the specification recommends it.
pub(crate) fn key_id_of(name: &str, kind: u8, public: &[u8]) -> u32 {
    let mut named = name.as_bytes().to_vec();
    named.extend_from_slice(&[b'\n', kind]);
    named.extend_from_slice(public);
    let [a, b, c, d, ..] = sha256(&named);
    u32::from_be_bytes([a, b, c, d])
}

impl Checkpoint {
    /// The text of a note about this tree head.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads a note's text. Lines after the third are extensions and mean nothing here.
    ///
    /// # Errors
    /// [`NoteError::NotACheckpoint`].
    pub fn parse(text: &str) -> Result<Checkpoint, NoteError> {
        Checkpoint::try_parse(text).ok_or(NoteError::NotACheckpoint)
    }

    fn try_parse(text: &str) -> Option<Checkpoint> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        if origin.is_empty() || lines.any(str::is_empty) {
            return None;
        }
        Some(Checkpoint { origin: origin.to_owned(), size: decimal(size)?, root: hash_of(root)? })
    }
}

impl Signer {
    /// A signer by the key's name and its seed; `None` where the name cannot be one.
    pub fn new(name: &str, seed: &Secret<[u8; 32]>) -> Option<Signer> {
        if !is_own_name(name) {
            return None;
        }
        let key = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
        let public = key.public_key().as_ref().try_into().ok()?;
        Some(Signer { name: name.to_owned(), key, verifier: Verifier::new(name, public) })
    }

    /// The note that says `text`, which must end in a newline.
    pub fn sign(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes());
        format!("{text}\n{}", signature_line(&self.name, self.verifier.key_id, signature.as_ref()))
    }

    /// Who checks what this signs.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

impl Verifier {
    fn new(name: &str, public: [u8; 32]) -> Verifier {
        Verifier { name: name.to_owned(), key_id: key_id_of(name, ED25519_TYPE, &public), public }
    }

    /// Reads a verifier key, `name+id+base64`; `None` where it is none, or not of Ed25519.
    pub fn parse(vkey: &str) -> Option<Verifier> {
        let (name, ED25519_TYPE, public) = parse_vkey(vkey)? else { return None };
        Some(Verifier::new(name, public.try_into().ok()?))
    }

    /// The verifier key as others take it: `name+id+base64`.
    pub fn vkey(&self) -> String {
        vkey_of(&self.name, ED25519_TYPE, &self.public)
    }

    /// The key's name, which for a log is its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a signature claims to be of this key.
    pub fn owns(&self, signature: &NoteSignature<'_>) -> bool {
        signature.name == self.name && signature.key_id == self.key_id
    }

    /// Checks a note. Signatures of other keys are passed over.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] where one of this key is false, [`NoteError::NotSigned`] where there is none.
    pub fn check(&self, note: &Note<'_>) -> Result<(), NoteError> {
        let mut signed = Err(NoteError::NotSigned);
        for line in note.signatures.iter().filter(|line| self.owns(line)) {
            UnparsedPublicKey::new(&ED25519, &self.public)
                .verify(note.text.as_bytes(), &line.signature)
                .map_err(|_| NoteError::BadSignature)?;
            signed = Ok(());
        }
        signed
    }

    /// The tree head in a note that this key signed for the log of the same name.
    ///
    /// # Errors
    /// [`NoteError`] where it is no note, no checkpoint, or not signed so.
    pub fn open(&self, bytes: &[u8]) -> Result<Checkpoint, NoteError> {
        let note = Note::parse(bytes)?;
        self.check(&note)?;
        Checkpoint::parse(note.text)
            .and_then(|head| if head.origin == self.name { Ok(head) } else { Err(NoteError::NotACheckpoint) })
    }
}

/// A verifier key taken apart: name, type, public key. `None` where the id is not the one that follows from these.
pub(crate) fn parse_vkey(vkey: &str) -> Option<(&str, u8, Vec<u8>)> {
    let mut parts = vkey.splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, STANDARD.decode(parts.next()?).ok()?);
    let (kind, public) = key.split_first()?;
    let right =
        is_name(name) && !name.chars().any(char::is_control) && format!("{:08x}", key_id_of(name, *kind, public)) == id;
    right.then(|| (name, *kind, public.to_vec()))
}

/// A verifier key put together.
pub(crate) fn vkey_of(name: &str, kind: u8, public: &[u8]) -> String {
    let mut key = vec![kind];
    key.extend_from_slice(public);
    format!("{name}+{:08x}+{}", key_id_of(name, kind, public), STANDARD.encode(key))
}

/// Whether a key of ours may have this name.
pub(crate) fn is_own_name(name: &str) -> bool {
    name.len() <= MAX_ORIGIN && is_name(name) && !name.chars().any(char::is_control)
}

/// A number as the formats write it: decimal, no leading zeroes.
pub(crate) fn decimal(digits: &str) -> Option<u64> {
    let canonical = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if canonical { digits.parse().ok() } else { None }
}

/// A hash as the formats write it: base64 (RFC 4648, section 4), in its one spelling.
pub(crate) fn hash_of(encoded: &str) -> Option<Hash> {
    STANDARD.decode(encoded).ok()?.try_into().ok()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signer() -> Signer {
        Signer::new("raincoat.example/log", &Secret::new([7; 32])).unwrap()
    }

    /// The example of c2sp.org/signed-note.
    #[test]
    fn the_specifications_example_is_verified() {
        let verifier =
            Verifier::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
        let bytes = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2O\
                     NncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
        let note = Note::parse(bytes.as_bytes()).unwrap();
        assert_eq!(note.text, "This is an example message.\n");
        assert_eq!(verifier.check(&note), Ok(()));
        assert_eq!(verifier.vkey(), "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
        let changed = bytes.replace("message", "massage");
        assert_eq!(verifier.check(&Note::parse(changed.as_bytes()).unwrap()), Err(NoteError::BadSignature));
    }

    /// The example of c2sp.org/tlog-checkpoint.
    #[test]
    fn the_specifications_checkpoint_is_read() {
        let bytes = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} \
                     example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzG\
                     ku9nTo+zyWE+xeMcTOAYQ8=\n";
        let note = Note::parse(bytes.as_bytes()).unwrap();
        let head = Checkpoint::parse(note.text).unwrap();
        assert_eq!((head.origin.as_str(), head.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(head.text(), note.text);
        assert_eq!(note.signatures[0].key_id, 0x033d_e0ae);
    }

    #[test]
    fn what_was_signed_is_verified_and_nothing_else() {
        let signer = signer();
        let head = Checkpoint { origin: "raincoat.example/log".into(), size: 12, root: [3; 32] };
        let note = signer.sign(&head.text());
        assert_eq!(signer.verifier().open(note.as_bytes()), Ok(head.clone()));
        let other = Signer::new("raincoat.example/log", &Secret::new([8; 32])).unwrap();
        assert_eq!(other.verifier().open(note.as_bytes()), Err(NoteError::NotSigned));
        assert_eq!(signer.verifier().open(note.replace("\n12\n", "\n13\n").as_bytes()), Err(NoteError::BadSignature));
        let elsewhere = Checkpoint { origin: "another".into(), ..head };
        let note = signer.sign(&elsewhere.text());
        assert_eq!(signer.verifier().open(note.as_bytes()), Err(NoteError::NotACheckpoint));
        assert_eq!(Verifier::parse(&signer.verifier().vkey()).as_ref(), Some(signer.verifier()));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        for bad in [
            "",
            "\n",
            "\n\n",
            "a\n",
            "a\n\n",
            "a\n\nb\n",
            "a\n\n\u{2014} k AAAA\n",
            "a\n\n\u{2014} k+k AAAAAAA=\n",
            "a\n\n\u{2014} k AAAAAAA=",
            "a\t\n\n\u{2014} k AAAAAAA=\n",
            "a\n\n\u{2014} k AAAAAAB=\n",
        ] {
            assert_eq!(Note::parse(bad.as_bytes()), Err(NoteError::NotANote), "{bad:?}");
        }
        for bad in [
            "",
            "a\n",
            "a\n1\n",
            "a\n01\nAAAA\n",
            "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "a\n+1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "a\n\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "a\n99999999999999999999\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        ] {
            assert_eq!(Checkpoint::parse(bad), Err(NoteError::NotACheckpoint), "{bad:?}");
        }
        for bad in ["", "a b", "a+b", "a\u{2003}b", "a\u{7f}"] {
            assert!(Signer::new(bad, &Secret::new([0; 32])).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn the_longest_checkpoint_fits_the_slot_kept_apart() {
        let name = "n".repeat(MAX_ORIGIN);
        let signer = Signer::new(&name, &Secret::new([7; 32])).unwrap();
        let note = signer.sign(&Checkpoint { origin: name, size: u64::MAX, root: [255; 32] }.text());
        assert!(note.len() <= crate::memory::NOTE_BYTES, "{}", note.len());
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_note_panic(bytes: Vec<u8>, text in "[\u{2014} a-c\n+=A]{0,60}") {
            let _ = Note::parse(&bytes);
            let _ = Note::parse(text.as_bytes());
            let _ = Checkpoint::parse(&text);
            let _ = Verifier::parse(&text);
        }
    }
}
