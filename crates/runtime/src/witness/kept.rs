//! What is kept of a witness, and how a log stands to what it has seen.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use raincoat_audit::note::Note;
use raincoat_audit::witness::{Witness, origin_hash};
use raincoat_audit::{AuditReader, Checkpoint, Cosigned, Event, Standing, WitnessKey};
use raincoat_os::PrivateDir;
use raincoat_types::{RawPath, Timestamp};
use serde::{Deserialize, Serialize};

/// What is kept of a witness.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) place: Place,
    /// The newest cosigned checkpoint, its size, and when it was cosigned.
    pub(super) cosigned: Option<(String, u64, u64)>,
    /// When it was asked last, and what went wrong then; empty where nothing did.
    pub(super) asked: Option<(Timestamp, String)>,
    /// It has seen another log: in words. This stands until it agrees again, or a person removes it.
    pub(super) disagrees: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Place {
    Url(String),
    Folder(RawPath),
}

impl Kept {
    /// Where it is, for people.
    pub(super) fn address(&self) -> String {
        match &self.place {
            Place::Url(url) => url.clone(),
            Place::Folder(path) => path.display(),
        }
    }

    /// What the log is to hold of an answer: a new head that was cosigned, or that a witness is silent since now.
    pub(super) fn news(&self, old: &Kept, reader: &AuditReader) -> Option<Event> {
        let name = self.name.clone();
        if let Some((note, size, _)) = &self.cosigned
            && old.cosigned.as_ref().is_none_or(|(_, before, _)| before < size)
        {
            let head = reader.verifier().open(note.as_bytes()).ok()?;
            return Some(Event::WitnessCosigned { name, size: head.size, root: head.root });
        }
        let silent = |kept: &Kept| kept.asked.as_ref().map(|(_, why)| why.clone()).filter(|why| !why.is_empty());
        silent(self).filter(|_| silent(old).is_none()).map(|why| Event::WitnessFailed { name, why })
    }

    /// The heads of this log that the witness is known to have cosigned: the one kept here, and the one in its folder.
    pub(super) fn heads(&self, reader: &AuditReader) -> Vec<Checkpoint> {
        let mut notes: Vec<String> = self.cosigned.iter().map(|(note, _, _)| note.clone()).collect();
        if let Place::Folder(path) = &self.place
            && let Ok(witness) = open_folder(&folder_of(path))
            && let Ok(Some(note)) = witness.checkpoint(&origin_hash(reader.verifier().name()))
        {
            notes.push(note);
        }
        notes.iter().filter_map(|note| self.believed(note, reader)).collect()
    }

    /// The head in a note that both the log and this witness signed.
    pub(super) fn believed(&self, note: &str, reader: &AuditReader) -> Option<Checkpoint> {
        let head = reader.verifier().open(note.as_bytes()).ok()?;
        let said = WitnessKey::parse(&self.key)?.check(&Note::parse(note.as_bytes()).ok()?).ok()?;
        matches!(said, Cosigned::At(_)).then_some(head)
    }
}

/// How a log is against what was cosigned of it; `None` where it contains it.
pub(super) fn against(reader: &AuditReader, head: &Checkpoint) -> Result<Option<String>, raincoat_audit::AuditError> {
    Ok(match reader.standing(head)? {
        Standing::Contains => None,
        Standing::Shorter(size) => Some(has_seen(head.size, size)),
        Standing::Other => Some(other_entries(head.size)),
    })
}

pub(super) fn has_seen(seen: u64, here: u64) -> String {
    format!("has seen {seen} entries, and this log has {here}: the log was rolled back, or its end was cut off")
}

pub(super) fn other_entries(seen: u64) -> String {
    format!("has seen {seen} entries that are not the first {seen} of this log: the log was rewritten")
}

/// A note with the signature lines of another of the same text.
pub(super) fn merge(note: &str, other: &str) -> String {
    let mut merged = note.to_owned();
    if let Some((_, lines)) = other.rsplit_once("\n\n") {
        for line in lines.lines().filter(|line| !note.lines().any(|ours| ours == *line)) {
            merged.push_str(line);
            merged.push('\n');
        }
    }
    merged
}

pub(super) fn folder_of(path: &RawPath) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&path.0))
}

pub(super) fn open_folder(path: &Path) -> Result<Witness, String> {
    let dir = PrivateDir::open(path).map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => "its folder is not there".to_owned(),
        _ => format!("its folder cannot be used: {why}"),
    })?;
    Witness::open(dir).map_err(|why| why.to_string())
}
