//! Witnesses: who is asked to cosign the log's tree heads, what they said, and what follows from it.
//!
//! What a witness cosigned is a memory in other hands: a log that does not contain it is not gone on with. Asking one
//! never holds up work: it happens at a command's end, bounded in time, and an answer that does not come is told later.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use raincoat_audit::note::Note;
use raincoat_audit::witness::{Said, Witness, WitnessError, answer, origin_hash, read_answer};
use raincoat_audit::{AuditReader, Checkpoint, CosignatureKind, Cosigned, Standing, WitnessKey};
use raincoat_net::{Broker, Cancel, Endpoint, HeaderValue, Method, NetErrorKind, Request, Rules, parse_url};
use raincoat_os::PrivateDir;
use raincoat_types::{Clock, RawPath, Timestamp, display_bytes};
use serde::{Deserialize, Serialize};

use crate::{Class, Error, Keeper};

const KIND: &str = "witness";

/// Witnesses of one log, at most.
const MOST: usize = 16;

/// Seconds that a person who asked for it waits for each witness.
const PATIENT_SECS: u32 = 10;

/// How often the size is agreed on before the witness is given up: somebody else may tell it of a newer head meanwhile.
const ROUNDS: usize = 4;

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

/// What is kept of a witness.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Kept {
    name: String,
    key: String,
    place: Place,
    /// The newest cosigned checkpoint, its size, and when it was cosigned.
    cosigned: Option<(String, u64, u64)>,
    /// When it was asked last, and what went wrong then; empty where nothing did.
    asked: Option<(Timestamp, String)>,
    /// It has seen another log: in words. This stands until it agrees again, or a person removes it.
    disagrees: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Place {
    Url(String),
    Folder(RawPath),
}

/// What asking came to.
enum Told {
    Cosigned { note: String, size: u64, at: u64 },
    Disagrees(String),
    Failed(String),
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
                parse_url(&url).map_err(|why| Error::new(Class::Usage, why.to_string()))?;
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
        self.log_alone(vec![events::added(&kept)])?;
        self.keep_witness(&kept)?;
        let kept = self.ask(&kept, PATIENT_SECS)?;
        Ok(self.line_of(&kept))
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
        self.log_alone(vec![events::removed(&kept)])
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
        let kept = self.kept_witnesses()?;
        let notes = kept.iter().filter_map(|kept| kept.cosigned.as_ref());
        let mut heads: Vec<(Checkpoint, String, usize)> = Vec::new();
        for (note, _, _) in notes {
            let Ok(head) = reader.verifier().open(note.as_bytes()) else { continue };
            match heads.iter_mut().find(|(other, _, _)| *other == head) {
                Some((_, merged, count)) => {
                    *merged = merge(merged, note);
                    *count += 1;
                }
                None => heads.push((head, note.clone(), 1)),
            }
        }
        heads.retain(|(head, _, _)| head.size > index);
        heads.sort_by_key(|(head, _, count)| (*count, head.size));
        Ok(heads.pop().map(|(_, note, _)| note))
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

    /// The newest head in the witness's own memory.
    fn newest_at(&self, kept: &Kept, reader: &AuditReader) -> Result<Option<Checkpoint>, String> {
        let url = match &kept.place {
            Place::Url(url) => url,
            // What it remembers was read with what is kept here.
            Place::Folder(path) => return open_folder(&folder_of(path)).map(|_| None),
        };
        let name = reader.verifier().name();
        let (status, body) = self.over_http(&format!("{url}/{}/checkpoint", origin_hash(name)), None, PATIENT_SECS)?;
        match status {
            200 => {
                let head = kept.believed(&String::from_utf8_lossy(&body), reader);
                head.map(Some).ok_or_else(|| "what it gives is not signed by it and by this log".to_owned())
            }
            404 => Ok(None),
            other => Err(format!("it answered with status {other}")),
        }
    }

    fn ask_all(&self, all: &[Kept], secs: u32) -> Result<Vec<WitnessLine>, Error> {
        let asked: Vec<Result<Kept, Error>> = std::thread::scope(|scope| {
            let threads: Vec<_> = all.iter().map(|kept| scope.spawn(move || self.ask(kept, secs))).collect();
            let ended = |_| Err(Error::new(Class::Bug, "asking a witness ended in the middle"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(ended)).collect()
        });
        asked.into_iter().map(|kept| kept.map(|kept| self.line_of(&kept))).collect()
    }

    /// Tells one witness of the newest head, and keeps what it says.
    fn ask(&self, kept: &Kept, secs: u32) -> Result<Kept, Error> {
        let reader = self.audit_reader()?;
        let mut next = kept.clone();
        let mut why = String::new();
        match self.tell(kept, &reader, secs) {
            Ok(Told::Cosigned { note, size, at }) => {
                let _ = reader.publish_cosigned(&self.with_others(&note, kept, &reader)?);
                next.cosigned = Some((note, size, at));
                next.disagrees = None;
            }
            Ok(Told::Disagrees(words)) => next.disagrees = Some(words),
            Ok(Told::Failed(words)) => why = words,
            Err(error) => why = error.to_string(),
        }
        next.asked = Some((self.clock.now(), why));
        self.keep_witness(&next)?;
        Ok(next)
    }

    /// The note with the cosignatures of the same head that others gave.
    fn with_others(&self, note: &str, of: &Kept, reader: &AuditReader) -> Result<String, Error> {
        let head = reader.verifier().open(note.as_bytes()).ok();
        let mut merged = note.to_owned();
        for kept in self.kept_witnesses()?.iter().filter(|kept| kept.name != of.name) {
            if let Some((theirs, _, _)) = &kept.cosigned
                && reader.verifier().open(theirs.as_bytes()).ok() == head
            {
                merged = merge(&merged, theirs);
            }
        }
        Ok(merged)
    }

    fn tell(&self, kept: &Kept, reader: &AuditReader, secs: u32) -> Result<Told, raincoat_audit::AuditError> {
        let Some(key) = WitnessKey::parse(&kept.key) else {
            return Ok(Told::Failed("its key is damaged here".to_owned()));
        };
        let known = kept.cosigned.as_ref().map_or(0, |(_, size, _)| *size);
        let mut old = known;
        for _ in 0..ROUNDS {
            let now = reader.head()?.size;
            if old > now {
                return Ok(Told::Disagrees(has_seen(old, now)));
            }
            let ask = reader.to_witness(old)?;
            let (status, body) = match self.deliver(kept, &ask.body, secs) {
                Ok(answer) => answer,
                Err(why) => return Ok(Told::Failed(why)),
            };
            match read_answer(status, &body, &ask.note, &key) {
                Said::Cosigned { note, at } => return Ok(Told::Cosigned { note, size: ask.head.size, at }),
                Said::HasSeen(size) if size < known => {
                    let words = format!("it has forgotten what it cosigned: {known} entries once, and {size} now");
                    return Ok(Told::Failed(words));
                }
                Said::HasSeen(size) if size != old => old = size,
                Said::HasSeen(size) => return Ok(Told::Disagrees(other_entries(size))),
                Said::Contradicts(_) => return Ok(Told::Disagrees(other_entries(old))),
                Said::NotServed(words) => {
                    let key = reader.verifier().vkey();
                    return Ok(Told::Failed(format!("it does not serve this log ({words}); tell it `--log {key}`")));
                }
                Said::Failed(words) => return Ok(Told::Failed(words)),
            }
        }
        Ok(Told::Failed("it is being told of other heads all the time".to_owned()))
    }

    fn deliver(&self, kept: &Kept, body: &str, secs: u32) -> Result<(u16, Vec<u8>), String> {
        match &kept.place {
            Place::Url(url) => self.over_http(&format!("{url}/add-checkpoint"), Some(body), secs),
            Place::Folder(path) => {
                let witness = open_folder(&folder_of(path))?;
                let verdict = witness.add_checkpoint(body.as_bytes(), seconds(self.clock.as_ref()));
                Ok((verdict.status(), verdict.body().into_bytes()))
            }
        }
    }

    fn over_http(&self, url: &str, body: Option<&str>, secs: u32) -> Result<(u16, Vec<u8>), String> {
        let url = parse_url(url).map_err(|why| why.to_string())?;
        let endpoint = Endpoint::of(&url).map_err(|why| why.to_string())?;
        let broker = Broker::new(Rules { allowed: vec![endpoint], offline: self.config.offline });
        let request = Request {
            method: if body.is_some() { Method::Post } else { Method::Get },
            url: &url,
            headers: body.map(|_| ("content-type", HeaderValue::Plain("text/plain"))).into_iter().collect(),
            body: body.unwrap_or_default().as_bytes().to_vec(),
            idle_secs: secs,
            total_secs: secs,
            max_reply: answer::MAX_ANSWER as u64,
        };
        let mut reply = Vec::new();
        let mut take = |bytes: &[u8]| {
            reply.extend_from_slice(bytes);
            ControlFlow::Continue(())
        };
        match broker.send(request, &mut take, &Cancel::new()) {
            Ok(answer) => Ok((answer.status, reply)),
            Err(why) if matches!(why.kind(), NetErrorKind::IdleTimeout | NetErrorKind::TotalTimeout) => {
                Err(format!("it did not answer within {secs} seconds"))
            }
            Err(why) => Err(why.to_string()),
        }
    }

    fn made_in(&self, path: &Path) -> Result<Witness, Error> {
        let fail = |why: String| Error::new(Class::Environment, why);
        let dir = PrivateDir::open(path).map_err(|why| fail(format!("could not open `{}`: {why}", path.display())))?;
        let witness = Witness::open_or_create(dir, None).map_err(witness_error)?;
        witness.trust(self.audit_reader()?.verifier()).map_err(witness_error)?;
        Ok(witness)
    }

    fn line_of(&self, kept: &Kept) -> WitnessLine {
        let place = match &kept.place {
            Place::Url(url) => url.clone(),
            Place::Folder(path) => path.display(),
        };
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

impl Kept {
    /// The heads of this log that the witness is known to have cosigned: the one kept here, and the one in its folder.
    fn heads(&self, reader: &AuditReader) -> Vec<Checkpoint> {
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
    fn believed(&self, note: &str, reader: &AuditReader) -> Option<Checkpoint> {
        let head = reader.verifier().open(note.as_bytes()).ok()?;
        let said = WitnessKey::parse(&self.key)?.check(&Note::parse(note.as_bytes()).ok()?).ok()?;
        matches!(said, Cosigned::At(_)).then_some(head)
    }
}

/// How a log is against what was cosigned of it; `None` where it contains it.
fn against(reader: &AuditReader, head: &Checkpoint) -> Result<Option<String>, raincoat_audit::AuditError> {
    Ok(match reader.standing(head)? {
        Standing::Contains => None,
        Standing::Shorter(size) => Some(has_seen(head.size, size)),
        Standing::Other => Some(other_entries(head.size)),
    })
}

fn has_seen(seen: u64, here: u64) -> String {
    format!("has seen {seen} entries, and this log has {here}: the log was rolled back, or its end was cut off")
}

fn other_entries(seen: u64) -> String {
    format!("has seen {seen} entries that are not the first {seen} of this log: the log was rewritten")
}

/// A note with the signature lines of another of the same text.
fn merge(note: &str, other: &str) -> String {
    let mut merged = note.to_owned();
    if let Some((_, lines)) = other.rsplit_once("\n\n") {
        for line in lines.lines().filter(|line| !note.lines().any(|ours| ours == *line)) {
            merged.push_str(line);
            merged.push('\n');
        }
    }
    merged
}

fn folder_of(path: &RawPath) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&path.0))
}

fn open_folder(path: &Path) -> Result<Witness, String> {
    let dir = PrivateDir::open(path).map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => "its folder is not there".to_owned(),
        _ => format!("its folder cannot be used: {why}"),
    })?;
    Witness::open(dir).map_err(|why| why.to_string())
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

mod events {
    use raincoat_audit::Event;

    use super::{Kept, Place};

    pub(super) fn added(kept: &Kept) -> Event {
        let place = match &kept.place {
            Place::Url(url) => url.clone(),
            Place::Folder(path) => path.display(),
        };
        let what = format!("added, at `{place}`, with the key {}", kept.key);
        Event::ConfigChanged { setting: format!("witness {}", kept.name), what }
    }

    pub(super) fn removed(kept: &Kept) -> Event {
        let what = match &kept.disagrees {
            Some(words) => format!("removed, though it {words}"),
            None => "removed".to_owned(),
        };
        Event::ConfigChanged { setting: format!("witness {}", kept.name), what }
    }
}
