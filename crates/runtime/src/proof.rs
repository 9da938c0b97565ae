//! Proofs that an entry is in the log, for others to check without it.

use raincoat_audit::note::Verifier;
use raincoat_audit::{Cosigned, Event, Hash, ProofFile, WitnessKey, leaf_hash};
use raincoat_types::{Timestamp, display_bytes};

use crate::{Class, Error, Keeper};

/// What a proof carries besides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Extra {
    /// The entry's sealed bytes: the proof can be checked by itself, and says nothing to who has no key.
    Entry,
    /// Nothing: whoever checks it must have the entry, or its leaf hash.
    Nothing,
    /// Bytes of the person's own. Nothing vouches for them.
    Own(Vec<u8>),
}

/// A proof, and what it is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryProof {
    /// The file's text (c2sp.org/tlog-proof).
    pub file: String,
    /// Which entry.
    pub index: u64,
    /// What the entry says.
    pub line: String,
    /// Entries of the tree that it is proved in.
    pub size: u64,
    /// Witnesses whose cosignature is in it.
    pub cosigned: Vec<String>,
    /// The log's verifier key.
    pub log_key: String,
}

/// What a proof proves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProofCheck {
    /// Which entry.
    pub index: u64,
    /// The log's name.
    pub origin: String,
    /// Entries of the tree that it is in.
    pub size: u64,
    /// Its leaf hash.
    pub leaf: Hash,
    /// Witnesses that cosigned, and when by their clocks.
    pub cosigned: Vec<(String, Timestamp)>,
    /// Witnesses whose line is in it and of a type that cannot be checked here.
    pub not_checked: Vec<String>,
}

impl Keeper {
    /// Proves that an entry is in the log, under the newest checkpoint that the most witnesses have cosigned, or the
    /// log's own newest one where none covers the entry.
    ///
    /// # Errors
    /// Where there is no such entry, or the log cannot be read.
    pub fn prove_entry(&self, index: u64, extra: Extra) -> Result<EntryProof, Error> {
        let reader = self.audit_reader()?;
        let missing = |error| match error {
            raincoat_audit::AuditError::NotFound(_) => {
                Error::new(Class::Usage, format!("there is no entry {index} in the log"))
                    .hint("`raincoat audit tail` shows the newest, with their numbers")
            }
            other => Error::store(other),
        };
        let note = self.cosigned_over(index, &reader)?;
        let extra = match extra {
            Extra::Entry => Some(reader.sealed(index).map_err(missing)?),
            Extra::Nothing => None,
            Extra::Own(bytes) => Some(bytes),
        };
        let proof = reader.prove(index, note.as_deref(), extra).map_err(missing)?;
        let mut entries = reader.entries(index..=index).map_err(missing)?;
        let line = entries
            .next()
            .and_then(Result::ok)
            .map_or_else(|| "an entry that cannot be read here".to_owned(), |(_, entry)| entry.event.one_line());
        let known: Vec<WitnessKey> = self.witnesses()?.iter().filter_map(|line| WitnessKey::parse(&line.key)).collect();
        let leaf = leaf_hash(&reader.sealed(index).map_err(missing)?);
        let proved =
            proof.check(&leaf, reader.verifier(), &known).map_err(|why| Error::new(Class::Damaged, why.to_string()))?;
        self.log_unpublished(&[Event::ProofGiven { entry: index, size: proved.head.size }])?;
        Ok(EntryProof {
            file: proof.encode(),
            index,
            line,
            size: proved.head.size,
            cosigned: proved.cosigned.into_iter().map(|(name, _)| name).collect(),
            log_key: reader.verifier().vkey(),
        })
    }
}

/// Checks a proof against the log's key and those of witnesses, without a store. `leaf` is the entry's leaf hash; where
/// it is not given, the proof must carry the entry.
///
/// # Errors
/// Where a key cannot be read, or the proof proves nothing.
pub fn check_proof(file: &[u8], leaf: Option<Hash>, log: &str, witnesses: &[String]) -> Result<ProofCheck, Error> {
    let log = Verifier::parse(log.trim()).ok_or_else(|| {
        Error::new(Class::Usage, format!("`{}` is no log's key", display_bytes(log.as_bytes())))
            .hint("it is of the form NAME+ID+BASE64, as `raincoat audit key` prints it where the log is")
    })?;
    let parse = |vkey: &String| {
        WitnessKey::parse(vkey.trim()).ok_or_else(|| {
            Error::new(Class::Usage, format!("`{}` is no witness's key", display_bytes(vkey.as_bytes())))
                .hint("it is of the form NAME+ID+BASE64, as `raincoat witness key` prints it")
        })
    };
    let witnesses: Vec<WitnessKey> = witnesses.iter().map(parse).collect::<Result<_, _>>()?;
    let unsound = |why: raincoat_audit::ProofFault| Error::new(Class::Damaged, format!("this proves nothing: {why}"));
    let proof = ProofFile::parse(file).map_err(unsound)?;
    let leaf = match (leaf, &proof.extra) {
        (Some(leaf), _) => leaf,
        (None, Some(entry)) => leaf_hash(entry),
        (None, None) => {
            return Err(Error::new(Class::Usage, "the proof does not carry the entry that it is of")
                .hint("`--entry FILE` or `--leaf HASH` says which it is"));
        }
    };
    let proved = proof.check(&leaf, &log, &witnesses).map_err(unsound)?;
    let mut check = ProofCheck {
        index: proof.index,
        origin: proved.head.origin,
        size: proved.head.size,
        leaf,
        cosigned: Vec::new(),
        not_checked: Vec::new(),
    };
    for (name, said) in proved.cosigned {
        match said {
            Cosigned::At(at) => {
                check.cosigned.push((name, Timestamp { secs: i64::try_from(at).unwrap_or(i64::MAX), nanos: 0 }));
            }
            Cosigned::NotCheckedHere => check.not_checked.push(name),
        }
    }
    Ok(check)
}
