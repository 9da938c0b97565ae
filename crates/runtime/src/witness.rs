//! Witnesses: who is asked to cosign the log's tree heads, what they said, and what follows from it.
//!
//! What a witness cosigned is a memory in other hands: a log that does not contain it is not gone on with. Asking one
//! never holds up work: it happens at a command's end, bounded in time, and an answer that does not come is told later.

mod ask;
mod kept;

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use raincoat_audit::witness::{Witness, WitnessError};
use raincoat_audit::{About, AuditReader, Checkpoint, CosignatureKind, Event, WitnessKey};
use raincoat_net::parse_url;
use raincoat_os::PrivateDir;
use raincoat_types::{Clock, RawPath, Timestamp, display_bytes};

use self::kept::{Kept, Place, against, merge};
use crate::{Class, Error, Keeper};

const KIND: &str = "witness";

/// Witnesses of one log, at most.
const MOST: usize = 16;

/// Seconds that a person who asked for it waits for each witness.
const PATIENT_SECS: u32 = 10;

/// A witness to add.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WitnessAsk {
    /// The name that it goes by here.
    pub name: String,
    /// Where it is.
    pub place: WitnessPlace,
    /// Its verifier key. A folder's is read from the folder where none is given.
    pub key: Option<String>,
}

/// Where a witness is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WitnessPlace {
    /// At this address: what the specification calls its submission prefix.
    Url(String),
    /// In this folder, on a stick that is plugged in now and then: what it needs is made there.
    Folder(PathBuf),
}

/// A witness, as it may be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WitnessLine {
    /// The name that it goes by here.
    pub name: String,
    /// Its URL, or its folder.
    pub place: String,
    /// Its verifier key.
    pub key: String,
    /// The newest tree head that it cosigned: entries, and when by its clock.
    pub cosigned: Option<(u64, Timestamp)>,
    /// What it says of this log.
    pub state: WitnessState,
    /// The same in words.
    pub words: String,
}

/// What a witness says of this log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum WitnessState {
    /// It has cosigned nothing yet.
    Never,
    /// What it cosigned is in this log.
    Agrees,
    /// The same, and the last word is longer ago than the configuration allows.
    Late,
    /// It has seen another log under this name and key.
    Disagrees,
}

/// What verification learned from one witness.
pub(crate) enum Heard {
    /// This log contains what it has seen.
    Agrees(String),
    /// It does not.
    Disagrees(String),
    /// Nothing could be learned now.
    Silent(String),
}

/// A head that witnesses have cosigned.
struct CosignedHead {
    head: Checkpoint,
    /// With all cosignatures that are held for it.
    note: String,
    /// How many.
    by: usize,
}

impl Keeper {
    /// The log's verifier key, as other people's verifiers and witnesses take it.
    ///
    /// # Errors
    /// Where our own store is damaged.
    pub fn log_key(&self) -> Result<String, Error> {
        Ok(self.audit_reader()?.verifier().vkey())
    }

    /// Every witness, by name.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn witnesses(&self) -> Result<Vec<WitnessLine>, Error> {
        Ok(self.kept_witnesses()?.iter().map(|kept| self.line_of(kept)).collect())
    }

    /// Adds a witness and asks it at once. In a folder that has none a witness is made.
    ///
    /// # Errors
    /// Where the name, the address or the key will not do.
    pub fn add_witness(&self, ask: WitnessAsk) -> Result<WitnessLine, Error> {
        let all = self.kept_witnesses()?;
        if !is_plain_name(&ask.name) {
            return Err(Error::new(
                Class::Usage,
                format!("`{}` cannot name a witness", display_bytes(ask.name.as_bytes())),
            )
            .hint("small letters, digits, `-` and `_`, 1 to 64 of them"));
        }
        if all.iter().any(|kept| kept.name == ask.name) {
            return Err(Error::new(Class::Usage, format!("there is a witness `{}` already", ask.name))
                .hint(format!("`raincoat audit witness remove {}` takes it away", ask.name)));
        }
        if all.len() >= MOST {
            return Err(Error::new(Class::Usage, format!("a log has {MOST} witnesses at most")));
        }
        let (place, found) = match ask.place {
            WitnessPlace::Url(url) => {
                let parsed = parse_url(&url).map_err(|why| Error::new(Class::Usage, why.to_string()))?;
                if parsed.query().is_some() {
                    return Err(Error::new(Class::Usage, "a witness's URL has no query (`?...`)"));
                }
                (Place::Url(url.trim_end_matches('/').to_owned()), None)
            }
            WitnessPlace::Folder(path) => {
                let witness = self.made_in(&path)?;
                let key = witness.key().clone();
                (Place::Folder(RawPath(path.into_os_string().into_vec())), Some(key))
            }
        };
        let given = ask.key.as_deref().map(witness_key).transpose()?;
        let key = match (given, found) {
            (Some(given), Some(found)) if given != found => {
                return Err(Error::new(Class::Usage, "the witness in that folder has another key than the one given")
                    .hint("`raincoat witness key --dir DIR` prints it"));
            }
            (Some(key), _) | (None, Some(key)) => key,
            (None, None) => {
                return Err(Error::new(Class::Usage, "a witness at a URL is known by its key")
                    .hint("`--key` takes what `raincoat witness key` prints there"));
            }
        };
        if key.kind() == CosignatureKind::MlDsa44 {
            return Err(Error::new(Class::Usage, "a witness that signs with ML-DSA-44 cannot be checked here yet")
                .hint("ask it for its Ed25519 key (`cosignature/v1`)"));
        }
        let kept = Kept { name: ask.name, key: key.vkey(), place, cosigned: None, asked: None, disagrees: None };
        let (name, key) = (kept.name.clone(), kept.key.clone());
        self.log_alone(vec![Event::WitnessAdded { name, key, address: kept.address() }])?;
        self.keep_witness(&kept)?;
        let mut lines = self.ask_all(&[kept], PATIENT_SECS)?;
        lines.pop().ok_or_else(|| Error::new(Class::Bug, "a witness was asked and gave no line"))
    }

    /// Takes a witness away. What it has seen is no longer held against this log.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn remove_witness(&self, name: &str) -> Result<(), Error> {
        let kept = self.kept_witnesses()?.into_iter().find(|kept| kept.name == name);
        let kept = kept.ok_or_else(|| {
            Error::new(Class::Usage, format!("there is no witness `{}`", display_bytes(name.as_bytes())))
                .hint("`raincoat audit witness list` lists them")
        })?;
        // First, because while it disagrees nothing is logged.
        self.store.delete(KIND, name.as_bytes()).map_err(Error::store)?;
        let name = kept.name.clone();
        let size = kept.cosigned.as_ref().map_or(0, |(_, size, _)| *size);
        let against = kept.disagrees.map(|why| Event::WitnessDisagreed { name: kept.name, size, why });
        self.log_alone(against.into_iter().chain([Event::WitnessRemoved { name }]).collect())
    }

    /// Tells every witness of the newest tree head, and waits for the answers.
    ///
    /// # Errors
    /// Where our own store is damaged. What a witness says is in its line.
    pub fn sync_witnesses(&self) -> Result<Vec<WitnessLine>, Error> {
        let all = self.kept_witnesses()?;
        // What is to be cosigned is published first, where the log may be written to at all.
        if !all.is_empty() && self.held_by_witnesses().is_ok() {
            self.log_alone(Vec::new())?;
        }
        self.ask_all(&all, PATIENT_SECS)
    }

    /// At a command's end: tells those witnesses that were not asked for a while, within a few seconds in all. Gives what
    /// a person must hear of.
    pub fn tell_witnesses(&self) -> Vec<String> {
        let now = self.clock.now().secs;
        let due = |kept: &Kept| {
            let since = kept.asked.as_ref().map(|(at, _)| now.saturating_sub(at.secs));
            since.is_none_or(|since| since < 0 || since >= i64::from(self.config.witness_every_secs))
        };
        let Ok(all) = self.kept_witnesses() else { return Vec::new() };
        let due: Vec<Kept> = all.into_iter().filter(due).collect();
        let lines = self.ask_all(&due, self.config.witness_wait_secs).unwrap_or_default();
        let bad = |line: &WitnessLine| matches!(line.state, WitnessState::Disagrees | WitnessState::Late);
        lines.into_iter().filter(bad).map(|line| format!("witness `{}`: {}", line.name, line.words)).collect()
    }

    /// Refuses to go on with a log that does not contain what a witness has cosigned, by what is kept here and by what
    /// lies in folders that are there.
    pub(crate) fn held_by_witnesses(&self) -> Result<(), Error> {
        let all = self.kept_witnesses()?;
        if all.is_empty() {
            return Ok(());
        }
        let reader = self.audit_reader()?;
        for kept in all {
            let seen = kept.heads(&reader);
            let against = match seen.iter().map(|head| against(&reader, head)).find_map(Result::transpose) {
                Some(found) => Some(found.map_err(Error::store)?),
                None => kept.disagrees.clone(),
            };
            if let Some(words) = against {
                return Err(Error::new(
                    Class::Damaged,
                    format!("the log cannot be added to: witness `{}` {words}", kept.name),
                )
                .hint(format!(
                    "`raincoat audit verify` says more; nothing is done while the log is unsound. If you put back an \
                         older copy yourself, `raincoat audit witness remove {}` goes on without it",
                    kept.name
                )));
            }
        }
        Ok(())
    }

    /// What each witness says of this log, asked now.
    pub(crate) fn hear_witnesses(&self, reader: &AuditReader) -> Result<Vec<Heard>, Error> {
        self.kept_witnesses()?.iter().map(|kept| self.hear(kept, reader)).collect()
    }

    /// The newest checkpoint of ours that covers entry `index`, with every cosignature that is held for it; `None` where
    /// no witness has cosigned one.
    pub(crate) fn cosigned_over(&self, index: u64, reader: &AuditReader) -> Result<Option<String>, Error> {
        let mut heads = self.cosigned_heads(reader)?;
        heads.retain(|cosigned| cosigned.head.size > index);
        heads.sort_by_key(|cosigned| (cosigned.by, cosigned.head.size));
        Ok(heads.pop().map(|cosigned| cosigned.note))
    }

    /// The heads of ours that witnesses have cosigned last, each once, with all of its cosignatures.
    fn cosigned_heads(&self, reader: &AuditReader) -> Result<Vec<CosignedHead>, Error> {
        let mut heads: Vec<CosignedHead> = Vec::new();
        for kept in self.kept_witnesses()? {
            let Some((note, _, _)) = kept.cosigned else { continue };
            let Ok(head) = reader.verifier().open(note.as_bytes()) else { continue };
            match heads.iter_mut().find(|other| other.head == head) {
                Some(same) => {
                    same.note = merge(&same.note, &note);
                    same.by += 1;
                }
                None => heads.push(CosignedHead { head, note, by: 1 }),
            }
        }
        Ok(heads)
    }

    fn hear(&self, kept: &Kept, reader: &AuditReader) -> Result<Heard, Error> {
        let name = &kept.name;
        let fetched = self.newest_at(kept, reader);
        let heads = kept.heads(reader).into_iter().chain(fetched.as_ref().ok().cloned().flatten());
        let mut newest: Option<Checkpoint> = None;
        for head in heads {
            if let Some(words) = against(reader, &head).map_err(Error::store)? {
                return Ok(Heard::Disagrees(format!("witness `{name}` {words}")));
            }
            newest = newest.filter(|newest| newest.size >= head.size).or(Some(head));
        }
        if let Some(words) = &kept.disagrees {
            return Ok(Heard::Disagrees(format!("witness `{name}` {words}")));
        }
        Ok(match (fetched, newest) {
            (Ok(_), Some(head)) => {
                Heard::Agrees(format!("witness `{name}` has seen the first {} entries, as they are here", head.size))
            }
            (Ok(_), None) => Heard::Silent(format!(
                "what witness `{name}` has seen: it has cosigned nothing yet (`raincoat audit witness sync`)"
            )),
            (Err(why), Some(head)) => Heard::Silent(format!(
                "what witness `{name}` has seen since it cosigned {} entries, which are here: {why}",
                head.size
            )),
            (Err(why), None) => Heard::Silent(format!("what witness `{name}` has seen: {why}")),
        })
    }

    fn ask_all(&self, all: &[Kept], secs: u32) -> Result<Vec<WitnessLine>, Error> {
        let asked: Vec<Result<Kept, Error>> = std::thread::scope(|scope| {
            let threads: Vec<_> = all.iter().map(|kept| scope.spawn(move || self.ask(kept, secs))).collect();
            let ended = |_| Err(Error::new(Class::Bug, "asking a witness ended in the middle"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(ended)).collect()
        });
        let asked: Vec<Kept> = asked.into_iter().collect::<Result<_, _>>()?;
        let reader = self.audit_reader()?;
        if let Some(newest) = self.cosigned_heads(&reader)?.into_iter().max_by_key(|cosigned| cosigned.head.size) {
            reader.publish_cosigned(&newest.note).map_err(Error::store)?;
        }
        self.log_answers(all, &asked, &reader)?;
        Ok(asked.iter().map(|kept| self.line_of(kept)).collect())
    }

    /// Logs what is new in the answers. The checkpoint stays published as it was cosigned.
    fn log_answers(&self, before: &[Kept], after: &[Kept], reader: &AuditReader) -> Result<(), Error> {
        let news: Vec<Event> = before.iter().zip(after).filter_map(|(old, new)| new.news(old, reader)).collect();
        if news.is_empty() || self.held_by_witnesses().is_err() {
            return Ok(());
        }
        self.log_unpublished(&news)
    }

    /// Appends events, and leaves the published checkpoint as it is: with its cosignatures.
    pub(crate) fn log_unpublished(&self, events: &[Event]) -> Result<(), Error> {
        let mut audit = self.open_audit()?;
        audit.append(&About::NOTHING, events).map_err(Error::store)?;
        audit.leave().map_err(Error::store)
    }

    fn made_in(&self, path: &Path) -> Result<Witness, Error> {
        let dir = PrivateDir::open(path).map_err(|why| match why.kind() {
            std::io::ErrorKind::NotFound => {
                Error::new(Class::Usage, format!("there is no folder `{}`", path.display()))
                    .hint("make it first (`mkdir`), on the stick that is to be the witness")
            }
            _ => Error::new(Class::Environment, format!("could not open `{}`: {why}", path.display()))
                .hint("it must be yours, and nobody else may write in it"),
        })?;
        let witness = Witness::open_or_create(dir, None).map_err(witness_error)?;
        witness.trust(self.audit_reader()?.verifier()).map_err(witness_error)?;
        Ok(witness)
    }

    fn line_of(&self, kept: &Kept) -> WitnessLine {
        let place = kept.address();
        let at = |at: u64| Timestamp { secs: i64::try_from(at).unwrap_or(i64::MAX), nanos: 0 };
        let cosigned = kept.cosigned.as_ref().map(|(_, size, when)| (*size, at(*when)));
        let why = kept.asked.as_ref().map(|(_, why)| why.as_str()).unwrap_or_default();
        let (state, words) = match (&kept.disagrees, cosigned) {
            (Some(words), _) => (WitnessState::Disagrees, words.clone()),
            (None, None) if why.is_empty() => (WitnessState::Never, "it was not asked yet".to_owned()),
            (None, None) => (WitnessState::Never, why.to_owned()),
            (None, Some((size, when))) => {
                let age = self.clock.now().secs.saturating_sub(when.secs);
                let late = age > i64::from(self.config.witness_late_secs);
                let words = if why.is_empty() { format!("it has cosigned {size} entries") } else { why.to_owned() };
                (if late { WitnessState::Late } else { WitnessState::Agrees }, words)
            }
        };
        WitnessLine { name: kept.name.clone(), place, key: kept.key.clone(), cosigned, state, words }
    }

    fn kept_witnesses(&self) -> Result<Vec<Kept>, Error> {
        let rows = self.store.list(KIND).map_err(Error::store)?;
        rows.into_iter().map(|(_, bytes)| postcard::from_bytes(&bytes).map_err(Error::store)).collect()
    }

    fn keep_witness(&self, kept: &Kept) -> Result<(), Error> {
        let bytes = postcard::to_stdvec(kept).map_err(Error::store)?;
        self.store.put(KIND, kept.name.as_bytes(), &bytes).map_err(Error::store)
    }
}

fn witness_key(vkey: &str) -> Result<WitnessKey, Error> {
    WitnessKey::parse(vkey.trim()).ok_or_else(|| {
        Error::new(Class::Usage, format!("`{}` is no witness's key", display_bytes(vkey.as_bytes())))
            .hint("it is of the form NAME+ID+BASE64, as `raincoat witness key` prints it")
    })
}

pub(crate) fn witness_error(error: WitnessError) -> Error {
    let class = match &error {
        WitnessError::Io { .. } | WitnessError::Missing => Class::Environment,
        WitnessError::Name(_) | WitnessError::Full => Class::Usage,
        WitnessError::BadKey | WitnessError::Forgotten | WitnessError::Damaged(_) => Class::Damaged,
    };
    Error::new(class, error.to_string())
}

/// Seconds since 1970; 0 for a clock before that, which no witness signs by.
pub(crate) fn seconds(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now().secs).unwrap_or(0)
}

fn is_plain_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}
