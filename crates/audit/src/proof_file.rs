//! Proof files (c2sp.org/tlog-proof): that an entry is in a log, and which witnesses saw that, for anyone to check
//! without the log.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::cosign::{Cosigned, WitnessKey};
use crate::hash::Hash;
use crate::note::{Checkpoint, MAX_NOTE, Note, NoteError, Verifier, decimal, hash_of};
use crate::proof;
use crate::tile::MAX_ENTRY;

/// Bytes of extra data that a proof may carry: an entry of the largest size fits.
pub(crate) const MAX_EXTRA: usize = MAX_ENTRY;

/// Hashes that lead from an entry to the root of a tree of any size.
pub(crate) const MAX_PATH: usize = 64;

/// Bytes of a proof file that are looked at.
pub const MAX_PROOF_FILE: usize = MAX_NOTE + MAX_EXTRA * 4 / 3 + MAX_PATH * 45 + 128;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A proof, as it stands in a file. Nothing in it is checked but its form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProofFile {
    /// Whatever its maker put in. Nobody signed it: ours puts the entry itself here, which its hash vouches for.
    pub extra: Option<Vec<u8>>,
    /// Which entry.
    pub index: u64,
    /// The hashes that lead from the entry's to the root, from the leaf up.
    pub path: Vec<Hash>,
    /// The checkpoint, as it was signed and cosigned.
    pub note: String,
}

/// Why a proof proves nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofFault {
    /// Not of the form that the specification gives.
    #[error("it is no proof file: {0}")]
    Form(&'static str),
    /// The checkpoint is not the log's.
    #[error("its checkpoint cannot be believed: {0}")]
    Log(NoteError),
    /// A known witness's line in it is false.
    #[error("the cosignature of `{0}` in it is false")]
    Witness(String),
    /// The hashes lead somewhere else.
    #[error("the entry does not lead to the root that was signed: it is not at that place in the log")]
    NotIncluded,
}

/// What a proof proves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proved {
    /// The tree head that the entry is under.
    pub head: Checkpoint,
    /// Which of the given witnesses saw it, and when.
    pub cosigned: Vec<(String, Cosigned)>,
}

impl ProofFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ProofFault::Form`].
    pub fn parse(bytes: &[u8]) -> Result<ProofFile, ProofFault> {
        let form = ProofFault::Form;
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_PROOF_FILE);
        let text = text.ok_or(form("it is too long, or not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or(form("it has no checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(form("its first line is another one"));
        }
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            None => None,
            Some(line) => {
                let data = line.strip_prefix("extra ").and_then(|data| STANDARD.decode(data).ok());
                Some(
                    data.filter(|data| data.len() <= MAX_EXTRA)
                        .ok_or(form("its extra data is not base64, or too long"))?,
                )
            }
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or(form("it does not say which entry"))?;
        let path: Option<Vec<Hash>> = lines.map(hash_of).collect();
        let path = path.filter(|path| path.len() <= MAX_PATH).ok_or(form("its hashes are not hashes, or too many"))?;
        let signed = Note::parse(note.as_bytes()).and_then(|note| Checkpoint::parse(note.text));
        signed.map_err(|_| form("what stands in it is no checkpoint"))?;
        Ok(ProofFile { extra, index, path, note: note.to_owned() })
    }

    /// The file's text.
    pub fn encode(&self) -> String {
        let mut out = format!("{FIRST_LINE}\n");
        if let Some(extra) = &self.extra {
            out.push_str(&format!("extra {}\n", STANDARD.encode(extra)));
        }
        out.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            out.push_str(&format!("{}\n", STANDARD.encode(hash)));
        }
        out.push('\n');
        out.push_str(&self.note);
        out
    }

    /// Checks that the entry with this leaf hash is in the log, and who of the witnesses saw it. Witnesses that are not
    /// given, and those that did not sign, are passed over: how many are enough is the caller's to say.
    ///
    /// # Errors
    /// [`ProofFault`], a false line of a given witness among them.
    pub fn check(&self, leaf: &Hash, log: &Verifier, witnesses: &[WitnessKey]) -> Result<Proved, ProofFault> {
        let head = log.open(self.note.as_bytes()).map_err(ProofFault::Log)?;
        let note = Note::parse(self.note.as_bytes()).map_err(ProofFault::Log)?;
        let mut cosigned = Vec::new();
        for witness in witnesses {
            match witness.check(&note) {
                Ok(said) => cosigned.push((witness.name().to_owned(), said)),
                Err(NoteError::NotSigned) => {}
                Err(_) => return Err(ProofFault::Witness(witness.name().to_owned())),
            }
        }
        if !proof::check_inclusion(leaf, self.index, head.size, &self.path, &head.root) {
            return Err(ProofFault::NotIncluded);
        }
        Ok(Proved { head, cosigned })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raincoat_types::Secret;

    use super::*;
    use crate::cosign::Cosigner;
    use crate::hash::{leaf_hash, node_hash};
    use crate::note::Signer;

    /// The example of c2sp.org/tlog-proof, with signatures of some length for those that are cut there.
    const EXAMPLE: &str = "c2sp.org/tlog-proof@v1\n\
        extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ\n\
        index 73894\n\
        gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n\
        B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\
        EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=\n\
        RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=\n\
        AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=\n\
        \n\
        example.com/fancylog\n\
        109482\n\
        sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\
        \n\
        \u{2014} example.com/fancylog hI2DJwAA\n\
        \u{2014} witness1.example mJirIklj\n\
        \u{2014} witness2.example TnKKVHLX\n\
        \u{2014} witness3.example S4X82uH5\n";

    #[test]
    fn the_specifications_example_is_read_and_written_back() {
        let file = ProofFile::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!((file.index, file.path.len()), (73_894, 5));
        assert!(file.extra.as_ref().unwrap().starts_with(b"age-v1.2.1-darwin-arm64.tar.gz"));
        let note = Note::parse(file.note.as_bytes()).unwrap();
        assert_eq!(note.signatures.len(), 4);
        assert_eq!(Checkpoint::parse(note.text).unwrap().size, 109_482);
        assert_eq!(file.encode(), EXAMPLE);
    }

    #[test]
    fn what_is_not_quite_a_proof_is_refused() {
        let good = EXAMPLE;
        let bad = [
            String::new(),
            good.replace("@v1", "@v2"),
            good.replace("\nextra ", "\nextra  "),
            good.replace("\nindex 73894", ""),
            good.replace("73894", "073894"),
            good.replace("73894", "+73894"),
            good.replace("index", "Index"),
            good.replace("\ngSKy", "\n\ngSKy"),
            good.replace("PlQ=\n", "PlQ\n"),
            good.replace("PlQ=\n", "PlR=\n"),
            good.replace("\n109482\n", "\n0109482\n"),
            good.replace('\n', "\r\n"),
            good.replace(
                "index 73894\n",
                &format!("index 73894\n{}", "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n".repeat(64)),
            ),
            good.trim_end().to_owned(),
            good.split("\u{2014}").next().unwrap().to_owned(),
        ];
        for bad in bad {
            assert!(matches!(ProofFile::parse(bad.as_bytes()), Err(ProofFault::Form(_))), "{bad}");
        }
    }

    #[test]
    fn a_proof_holds_for_its_entry_its_log_and_its_witnesses_only() {
        let log = Signer::new("log", &Secret::new([1; 32])).unwrap();
        let [one, two, false_one] =
            [2, 3, 2].map(|seed| Cosigner::new(&format!("w{seed}"), Secret::new([seed; 32])).unwrap());
        let (entry, other) = (leaf_hash(b"entry"), leaf_hash(b"other"));
        let head = Checkpoint { origin: "log".to_owned(), size: 2, root: node_hash(&other, &entry) };
        let mut note = log.sign(&head.text());
        note.push_str(&one.cosign(&head.text(), 77));
        let file = ProofFile { extra: None, index: 1, path: vec![other], note };
        let witnesses = [one.key().clone(), two.key().clone()];
        let proved = ProofFile::parse(file.encode().as_bytes()).unwrap().check(&entry, log.verifier(), &witnesses);
        assert_eq!(proved, Ok(Proved { head, cosigned: vec![("w2".to_owned(), Cosigned::At(77))] }));

        assert_eq!(file.check(&other, log.verifier(), &[]), Err(ProofFault::NotIncluded));
        let elsewhere = ProofFile { index: 0, ..file.clone() };
        assert_eq!(elsewhere.check(&entry, log.verifier(), &[]), Err(ProofFault::NotIncluded));
        let stranger = Signer::new("log", &Secret::new([9; 32])).unwrap();
        assert_eq!(file.check(&entry, stranger.verifier(), &[]), Err(ProofFault::Log(NoteError::NotSigned)));
        let mut forged = file.clone();
        forged.note.push_str(&false_one.cosign("something else\n", 77));
        assert_eq!(forged.check(&entry, log.verifier(), &witnesses), Err(ProofFault::Witness("w2".to_owned())));
        assert!(forged.check(&entry, log.verifier(), &[two.key().clone()]).unwrap().cosigned.is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, cut in 0_usize..600) {
            let _ = ProofFile::parse(&bytes);
            let good = EXAMPLE;
            let _ = ProofFile::parse(&good.as_bytes()[..cut.min(good.len())]);
        }

        #[test]
        fn what_is_written_reads_back(extra: Option<Vec<u8>>, index: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..65)) {
            let note = Signer::new("log", &Secret::new([1; 32])).unwrap()
                .sign(&Checkpoint { origin: "log".to_owned(), size: 5, root: [3; 32] }.text());
            let file = ProofFile { extra, index, path, note };
            prop_assert_eq!(ProofFile::parse(file.encode().as_bytes()), Ok(file));
        }
    }
}
