//! Cosignatures (c2sp.org/tlog-cosignature): a witness's word that a checkpoint is the largest of its log that it has
//! seen, and that it follows from all that it saw before.
//!
//! Of the two types, the one with Ed25519 is made and checked here. The one with ML-DSA-44 is kept and shown, and
//! never counted: nobody here can check it yet.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use raincoat_types::Secret;

use crate::note::{Note, NoteError, NoteSignature, is_own_name, key_id_of, parse_vkey, signature_line, vkey_of};

/// Signature types in key ids and verifier keys.
const ED25519_COSIGNATURE: u8 = 4;
const ML_DSA_44_COSIGNATURE: u8 = 6;

/// Bytes of a public key and of a signature of ML-DSA-44 (FIPS 204, table 2).
const ML_DSA_44_PUBLIC: usize = 1312;
const ML_DSA_44_SIGNATURE: usize = 2420;

/// What a key of ours is written with, as Go's `note` package writes one.
const PRIVATE: &str = "PRIVATE+KEY+";

/// How a witness signs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CosignatureKind {
    /// `cosignature/v1` with Ed25519.
    Ed25519,
    /// ML-DSA-44, which is not checked here.
    MlDsa44,
}

/// Who checks the cosignatures of one witness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WitnessKey {
    name: String,
    key_id: u32,
    kind: CosignatureKind,
    public: Vec<u8>,
}

/// What a witness's line in a note comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cosigned {
    /// The witness signed it at this time, in seconds since 1970.
    At(u64),
    /// It bears the witness's line, of a type that cannot be checked here. It counts for nothing.
    NotCheckedHere,
}

/// Cosigns checkpoints with one Ed25519 key.
pub struct Cosigner {
    key: Ed25519KeyPair,
    witness: WitnessKey,
    seed: Secret<[u8; 32]>,
}

impl CosignatureKind {
    fn number(self) -> u8 {
        match self {
            CosignatureKind::Ed25519 => ED25519_COSIGNATURE,
            CosignatureKind::MlDsa44 => ML_DSA_44_COSIGNATURE,
        }
    }
}

impl WitnessKey {
    fn new(name: &str, kind: CosignatureKind, public: Vec<u8>) -> WitnessKey {
        WitnessKey { name: name.to_owned(), key_id: key_id_of(name, kind.number(), &public), kind, public }
    }

    /// Reads a verifier key, `name+id+base64`; `None` where it is none, or not of a cosignature's type.
    pub fn parse(vkey: &str) -> Option<WitnessKey> {
        let (name, kind, public) = parse_vkey(vkey)?;
        let kind = match (kind, public.len()) {
            (ED25519_COSIGNATURE, 32) => CosignatureKind::Ed25519,
            (ML_DSA_44_COSIGNATURE, ML_DSA_44_PUBLIC) => CosignatureKind::MlDsa44,
            _ => return None,
        };
        Some(WitnessKey::new(name, kind, public))
    }

    /// The verifier key as others take it.
    pub fn vkey(&self) -> String {
        vkey_of(&self.name, self.kind.number(), &self.public)
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it signs.
    pub fn kind(&self) -> CosignatureKind {
        self.kind
    }

    /// Whether a line claims to be of this key.
    pub fn owns(&self, line: &NoteSignature<'_>) -> bool {
        line.name == self.name && line.key_id == self.key_id
    }

    /// What this witness says of a note. Lines of other keys are passed over. Of several lines of its own the last
    /// moment counts.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] where a line of this key is false, or could not be one;
    /// [`NoteError::NotSigned`] where there is none.
    pub fn check(&self, note: &Note<'_>) -> Result<Cosigned, NoteError> {
        let mut found = Err(NoteError::NotSigned);
        for line in note.signatures.iter().filter(|line| self.owns(line)) {
            let said = self.check_line(note.text, &line.signature).ok_or(NoteError::BadSignature)?;
            found = match (found, said) {
                (Ok(Cosigned::At(one)), Cosigned::At(other)) => Ok(Cosigned::At(one.max(other))),
                (_, said) => Ok(said),
            };
        }
        found
    }

    fn check_line(&self, text: &str, signature: &[u8]) -> Option<Cosigned> {
        let (at, signature) = signature.split_first_chunk::<8>()?;
        let at = u64::from_be_bytes(*at);
        if i64::try_from(at).is_err() {
            return None;
        }
        match self.kind {
            CosignatureKind::Ed25519 => {
                let key = UnparsedPublicKey::new(&ED25519, &self.public);
                key.verify(message(text, at).as_bytes(), signature).ok().map(|()| Cosigned::At(at))
            }
            CosignatureKind::MlDsa44 => (signature.len() == ML_DSA_44_SIGNATURE).then_some(Cosigned::NotCheckedHere),
        }
    }
}

impl Cosigner {
    /// A cosigner by its name and its seed (RFC 8032); `None` where the name cannot be one.
    pub fn new(name: &str, seed: Secret<[u8; 32]>) -> Option<Cosigner> {
        if !is_own_name(name) {
            return None;
        }
        let key = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
        let witness = WitnessKey::new(name, CosignatureKind::Ed25519, key.public_key().as_ref().to_vec());
        Some(Cosigner { key, witness, seed })
    }

    /// Reads what [`Cosigner::private`] wrote.
    pub fn parse(private: &str) -> Option<Cosigner> {
        let (name, kind_and_seed) = private.strip_prefix(PRIVATE)?.split_once('+')?;
        let (id, encoded) = kind_and_seed.split_once('+')?;
        let bytes = Secret::new(STANDARD.decode(encoded).ok()?);
        let (ED25519_COSIGNATURE, seed) = bytes.expose().split_first().map(|(kind, seed)| (*kind, seed))? else {
            return None;
        };
        let cosigner = Cosigner::new(name, Secret::new(seed.try_into().ok()?))?;
        (format!("{:08x}", cosigner.witness.key_id) == id).then_some(cosigner)
    }

    /// The key itself, to be kept where nobody else reads: `PRIVATE+KEY+name+id+base64(type || seed)`.
    pub fn private(&self) -> Secret<String> {
        let mut bytes = Vec::with_capacity(33);
        bytes.push(ED25519_COSIGNATURE);
        bytes.extend_from_slice(self.seed.expose());
        let encoded = Secret::new(STANDARD.encode(Secret::new(bytes).expose()));
        Secret::new(format!("{PRIVATE}{}+{:08x}+{}", self.witness.name, self.witness.key_id, encoded.expose()))
    }

    /// Who checks what this signs.
    pub fn key(&self) -> &WitnessKey {
        &self.witness
    }

    /// The line that says: at this time (seconds since 1970) the checkpoint with this text was the largest consistent
    /// one of its log that was seen here.
    pub fn cosign(&self, text: &str, at: u64) -> String {
        let mut signature = at.to_be_bytes().to_vec();
        signature.extend_from_slice(self.key.sign(message(text, at).as_bytes()).as_ref());
        signature_line(&self.witness.name, self.witness.key_id, &signature)
    }
}

impl std::fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cosigner").field("witness", &self.witness).finish_non_exhaustive()
    }
}

/// What a cosignature with Ed25519 signs.
fn message(text: &str, at: u64) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    /// The example of c2sp.org/tlog-cosignature. It names no public key, so what can be held is everything else.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+\
        zyWE+xeMcTOAYQ8=\n\
        \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0\
        xUe+mbIUBkBIfZ+qnA==\n";

    fn cosigner(seed: u8) -> Cosigner {
        Cosigner::new("witness.example.com/w1", Secret::new([seed; 32])).unwrap()
    }

    fn cosigned(lines: &str) -> String {
        format!("{TEXT}\n{lines}")
    }

    #[test]
    fn the_specifications_example_is_taken_apart() {
        let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
        let line = &note.signatures[1];
        assert_eq!((line.name, line.key_id), ("witness.example.com/w1", 0x8d66_cf3f));
        assert_eq!(u64::from_be_bytes(*line.signature.first_chunk().unwrap()), 1_679_315_147);
        assert_eq!(line.signature.len(), 8 + 64);
        assert_eq!(EXAMPLE, cosigned(&(note.signatures[0].line() + &line.line())));
        assert_eq!(message(note.text, 1_679_315_147), format!("cosignature/v1\ntime 1679315147\n{TEXT}"));
    }

    /// Made by PyPI `aics-tlog` 0.2.1 (`cosignature_vkey`, `sign_cosignature`) with the seed 0x07 * 32.
    #[test]
    fn what_another_implementation_made_is_made_here_to_the_byte() {
        let ours = cosigner(7);
        assert_eq!(ours.key().vkey(), VKEY);
        assert_eq!(ours.cosign(TEXT, 1_679_315_147), LINE);
        let key = WitnessKey::parse(VKEY).unwrap();
        assert_eq!(key.check(&Note::parse(cosigned(LINE).as_bytes()).unwrap()), Ok(Cosigned::At(1_679_315_147)));
    }

    const VKEY: &str = "witness.example.com/w1+8122a5ab+BOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
    const LINE: &str = "\u{2014} witness.example.com/w1 gSKlqwAAAABkGFDLWr4Jea05CAgwNVtwky0Jgz\
        6WfX0QJgM//FkB/W9BoT9TX0DkTxG+2cT4p/ViKNhUM/SnUwFcYQzugGFQ15LwDw==\n";

    #[test]
    fn other_peoples_lines_are_passed_over_and_a_false_one_of_ours_is_not() {
        let (ours, other) = (cosigner(7), cosigner(8));
        let both = cosigned(&(other.cosign(TEXT, 5) + &ours.cosign(TEXT, 9)));
        let note = Note::parse(both.as_bytes()).unwrap();
        assert_eq!(ours.key().check(&note), Ok(Cosigned::At(9)));
        assert_eq!(cosigner(9).key().check(&note), Err(NoteError::NotSigned));
        // Another moment than the one that was signed.
        let mut lines = Note::parse(both.as_bytes()).unwrap().signatures;
        lines[1].signature[7] ^= 1;
        let false_one = cosigned(&lines[1].line());
        assert_eq!(ours.key().check(&Note::parse(false_one.as_bytes()).unwrap()), Err(NoteError::BadSignature));
        // Two of one key: the later moment, and both must hold.
        let twice = cosigned(&(ours.cosign(TEXT, 5) + &ours.cosign(TEXT, 4)));
        assert_eq!(ours.key().check(&Note::parse(twice.as_bytes()).unwrap()), Ok(Cosigned::At(5)));
        let late = cosigned(&ours.cosign(TEXT, u64::MAX));
        assert_eq!(ours.key().check(&Note::parse(late.as_bytes()).unwrap()), Err(NoteError::BadSignature));
    }

    #[test]
    fn ml_dsa_is_kept_and_never_counted() {
        let name = "witness.example/pq";
        let vkey = vkey_of(name, ML_DSA_44_COSIGNATURE, &[5; ML_DSA_44_PUBLIC]);
        let key = WitnessKey::parse(&vkey).unwrap();
        assert_eq!((key.kind(), key.vkey()), (CosignatureKind::MlDsa44, vkey));
        let line = |len: usize| signature_line(name, key.key_id, &vec![1; len]);
        let check = |len: usize| key.check(&Note::parse(cosigned(&line(len)).as_bytes()).unwrap());
        assert_eq!(check(8 + ML_DSA_44_SIGNATURE), Ok(Cosigned::NotCheckedHere));
        assert_eq!(check(8 + ML_DSA_44_SIGNATURE - 1), Err(NoteError::BadSignature));
        assert_eq!(check(3), Err(NoteError::BadSignature));
    }

    #[test]
    fn keys_read_back_and_nothing_else_does() {
        let ours = cosigner(7);
        let again = Cosigner::parse(ours.private().expose()).unwrap();
        assert_eq!(again.key(), ours.key());
        assert!(!format!("{ours:?}").contains("PRIVATE"));
        let log_key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        for bad in ["", "a+b+c", log_key, &VKEY.replace("w1", "w2"), ours.key().vkey().get(1..).unwrap()] {
            assert!(WitnessKey::parse(bad).is_none(), "{bad}");
        }
        for bad in ["", "PRIVATE+KEY+", &ours.key().vkey(), &ours.private().expose().replace("w1", "w2")] {
            assert!(Cosigner::parse(bad).is_none(), "{bad}");
        }
        assert!(Cosigner::new("a b", Secret::new([0; 32])).is_none());
    }

    proptest! {
        #[test]
        fn nobody_signed_any_bytes(bytes: Vec<u8>, signature in "[A-Za-z0-9+/]{0,120}") {
            let key = Cosigner::new("w", Secret::new([7; 32])).unwrap().key().clone();
            let text = format!("a\n1\nAAAA\n\n\u{2014} w {signature}\n");
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                if let Ok(note) = Note::parse(bytes) {
                    prop_assert!(!matches!(key.check(&note), Ok(Cosigned::At(_))));
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(text in "[a-z+0-9=/A]{0,80}") {
            let _ = WitnessKey::parse(&text);
            let _ = Cosigner::parse(&format!("{PRIVATE}{text}"));
        }
    }
}
