//! What is looked at before a log is opened to append: what its memories know of it, and its subjects' keys.

use std::io;

use crate::AuditError;
use crate::entry::Scratch;
use crate::memory::{Apart, KnownHead, Memory};
use crate::note::Checkpoint;
use crate::reader::{AuditReader, Snapshot};
use crate::subjects::{SUBJECTS, Subjects};

/// The newest entries whose subjects' slots must be there when the log is opened; `verify` looks at all.
const RECENT: u64 = 32;

/// What the memories know, when the log is opened.
#[derive(Default)]
pub(crate) struct Remembered {
    pub(crate) known: Vec<(String, Checkpoint)>,
    pub(crate) state_missing: bool,
    pub(crate) unreadable: Vec<(&'static str, String)>,
}

/// What is wrong with the log by its memories: an error, or what a person accepts.
pub(crate) struct Complaints {
    pub(crate) accept: bool,
    pub(crate) said: Vec<String>,
}

impl Complaints {
    pub(crate) fn hear(&mut self, heard: Result<(), AuditError>) -> Result<(), AuditError> {
        match heard {
            Err(
                error @ (AuditError::RolledBack { .. }
                | AuditError::Forked { .. }
                | AuditError::WrongKey(_)
                | AuditError::HeadDamaged(..)),
            ) if self.accept => {
                let words = error.to_string();
                self.said.push(words.split(" (run ").next().unwrap_or_default().to_owned());
                Ok(())
            }
            other => other,
        }
    }
}

/// Asks every memory for what it knows.
pub(crate) fn remembered(
    reader: &AuditReader,
    memories: &[Memory],
    complaints: &mut Complaints,
) -> Result<Remembered, AuditError> {
    let mut out = Remembered::default();
    for memory in memories {
        match memory.read(reader.verifier()) {
            Apart::Missing if memory.is_near() => out.state_missing = true,
            Apart::Missing => {}
            Apart::Head(head) => out.known.push((memory.name().to_owned(), head)),
            Apart::OtherKey => complaints.hear(Err(AuditError::WrongKey(memory.name())))?,
            Apart::Damaged(why) => {
                complaints.hear(Err(AuditError::HeadDamaged(memory.name(), why.to_string())))?;
            }
            Apart::Unreadable(why) if memory.is_near() => {
                return Err(AuditError::io("read the tree head kept apart")(io::Error::other(why)));
            }
            // Many machines have no keyring for us, which `verify` says.
            Apart::Unreadable(_) if memory.forgets() => {}
            Apart::Unreadable(why) => out.unreadable.push(("audit head in another folder", why)),
        }
    }
    if let Some(why) = &reader.memories.folder_missing {
        out.unreadable.push(("audit head in another folder", why.clone()));
    }
    let checkpoint =
        |known: &KnownHead| Checkpoint { origin: reader.keys.origin.clone(), size: known.size, root: known.root };
    out.known.extend(reader.memories.known.iter().map(|known| (known.who.clone(), checkpoint(known))));
    Ok(out)
}

/// The subjects' keys of a log, made where the log is new or of an older version.
pub(crate) fn subjects_of(reader: &AuditReader, snapshot: &Snapshot) -> Result<Subjects, AuditError> {
    let (dir, keys) = (&reader.dir, &reader.keys);
    let newest = snapshot.newest_sealed(RECENT)?;
    let mut scratch = Scratch::default();
    match Subjects::open(dir, &keys.payload, &keys.origin)? {
        Some(subjects) => {
            for (at, sealed) in &newest {
                let named = keys.sealer.outer(*at, sealed, &mut scratch).map_or(Vec::new(), |outer| outer.slots);
                if named.last().is_some_and(|last| *last >= subjects.used()) {
                    return Err(AuditError::Damaged(format!("`{SUBJECTS}` is older than the log, or was cut")));
                }
            }
            Ok(subjects)
        }
        None => {
            let old = newest.last().is_none_or(|(at, sealed)| keys.sealer.is_version_1(*at, sealed));
            if !old {
                return Err(AuditError::Damaged(format!("`{SUBJECTS}` is missing")));
            }
            Subjects::create(dir).map_err(AuditError::io("make the subjects' keys"))?;
            let made = Subjects::open(dir, &keys.payload, &keys.origin)?;
            made.ok_or_else(|| AuditError::Damaged(format!("`{SUBJECTS}` is missing")))
        }
    }
}
