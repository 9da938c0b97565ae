//! What a log makes of a witness's answer to `add-checkpoint`.

use crate::cosign::{Cosigned, WitnessKey};
use crate::note::{Note, decimal};

/// Bytes of an answer that are looked at.
pub const MAX_ANSWER: usize = 32 << 10;

/// What a witness said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// It cosigned: the checkpoint with its line added to it, and when.
    Cosigned {
        /// The note.
        note: String,
        /// Seconds since 1970.
        at: u64,
    },
    /// The largest tree that it cosigned has this many entries, and the request said otherwise.
    HasSeen(u64),
    /// What was sent does not follow from what it cosigned: the log is another one.
    Contradicts(String),
    /// It does not serve this log, or does not believe its key.
    NotServed(String),
    /// Anything else, in words.
    Failed(String),
}

/// Reads an answer to a request with this note. Lines of other keys in it are ignored.
pub fn read_answer(status: u16, body: &[u8], note: &str, witness: &WitnessKey) -> Said {
    let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_ANSWER);
    let words =
        || raincoat_types::display_text(text.unwrap_or_default().trim_end()).chars().take(200).collect::<String>();
    match status {
        200 => cosigned(text, note, witness),
        409 => match text.and_then(|text| text.strip_suffix('\n')).and_then(decimal) {
            Some(size) => Said::HasSeen(size),
            // Version 1.0 of the specification answered so where a tree of the same size had another root.
            None => Said::Contradicts(words()),
        },
        422 => Said::Contradicts(words()),
        403 | 404 => Said::NotServed(words()),
        _ => Said::Failed(format!("it answered with status {status}: {}", words())),
    }
}

fn cosigned(lines: Option<&str>, note: &str, witness: &WitnessKey) -> Said {
    let whole = format!("{note}{}", lines.unwrap_or_default());
    let Ok(parsed) = Note::parse(whole.as_bytes()) else {
        return Said::Failed("what it answered are no signature lines".to_owned());
    };
    match witness.check(&parsed) {
        Ok(Cosigned::At(at)) if at > 0 => {
            let ours = parsed.signatures.iter().filter(|line| witness.owns(line));
            let note = ours.fold(note.to_owned(), |note, line| note + &line.line());
            Said::Cosigned { note, at }
        }
        Ok(Cosigned::At(_)) => Said::Failed("its cosignature has no time".to_owned()),
        Ok(Cosigned::NotCheckedHere) => {
            Said::Failed("its cosignature is of a type that cannot be checked here".to_owned())
        }
        Err(why) => Said::Failed(format!("its cosignature is not to be believed: {why}")),
    }
}
