//! The request `add-checkpoint`: an old size, a consistency proof, a checkpoint.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::hash::Hash;
use crate::note::{Checkpoint, MAX_NOTE, Note, decimal, hash_of};

/// Hashes that a consistency proof may have.
const MAX_PROOF: usize = 63;

/// Bytes of a request that are looked at.
pub const MAX_SUBMISSION: usize = MAX_NOTE + MAX_PROOF * 45 + 64;

/// A request, its form checked and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission<'a> {
    /// The size that the log believes the witness to know.
    pub old: u64,
    /// That the tree of that size is the start of the new one.
    pub proof: Vec<Hash>,
    /// The checkpoint with its signatures.
    pub note: Note<'a>,
    /// What it says.
    pub head: Checkpoint,
}

impl<'a> Submission<'a> {
    /// Reads a request's body; `None` where it is none.
    pub fn parse(body: &'a [u8]) -> Option<Submission<'a>> {
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_SUBMISSION)?;
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let old = decimal(lines.next()?.strip_prefix("old ")?)?;
        let proof: Vec<Hash> = lines.map(hash_of).collect::<Option<_>>()?;
        if proof.len() > MAX_PROOF {
            return None;
        }
        let note = Note::parse(note.as_bytes()).ok()?;
        let head = Checkpoint::parse(note.text).ok()?;
        Some(Submission { old, proof, note, head })
    }
}

/// The body of a request.
pub fn submission(old: u64, proof: &[Hash], note: &str) -> String {
    let mut out = format!("old {old}\n");
    for hash in proof {
        out.push_str(&STANDARD.encode(hash));
        out.push('\n');
    }
    out.push('\n');
    out.push_str(note);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of c2sp.org/tlog-witness.
    const EXAMPLE: &str = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
        \n\
        example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+\
        zyWE+xeMcTOAYQ8=\n\
        \u{2014} example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnz\
        v++qbSzm9Q=\n";

    #[test]
    fn the_specifications_example_is_read_and_written_back() {
        let read = Submission::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!((read.old, read.proof.len(), read.note.signatures.len()), (20_852_014, 4, 2));
        assert_eq!((read.head.origin.as_str(), read.head.size), ("example.com/behind-the-sofa", 20_852_163));
        let (_, note) = EXAMPLE.split_once("\n\n").unwrap();
        assert_eq!(submission(read.old, &read.proof, note), EXAMPLE);
    }

    #[test]
    fn what_is_not_quite_a_request_is_refused() {
        let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
        for bad in [
            String::new(),
            EXAMPLE.replace("old ", "old  "),
            EXAMPLE.replace("old 2", "old 02"),
            EXAMPLE.replace("old 20852014", "old -1"),
            EXAMPLE.replace("old 20852014", "old 99999999999999999999"),
            EXAMPLE.replace("pkaw=\n", "pkax=\n"),
            EXAMPLE.replace("pkaw=\n", "pkaw=\n\n"),
            EXAMPLE.replace("pkaw=\n", &format!("pkaw=\n{}", hash.repeat(60))),
            EXAMPLE.replace("\n20852163\n", "\n\n"),
            EXAMPLE.replace('\n', "\r\n"),
            EXAMPLE.trim_end().to_owned(),
        ] {
            assert_eq!(Submission::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, cut in 0_usize..700, flip in 0_usize..700) {
            let _ = Submission::parse(&bytes);
            let mut bytes = EXAMPLE.as_bytes().to_vec();
            let at = flip % bytes.len();
            bytes[at] ^= 0x10;
            let _ = Submission::parse(&bytes[..cut.min(bytes.len())]);
        }
    }
}
