//! What a witness remembers, and how it judges a request. Bytes and values in, a verdict out.

use crate::cosign::{Cosigned, Cosigner, WitnessKey};
use crate::hash::{Hash, empty_root, sha256};
use crate::note::{Checkpoint, Note, NoteError, Verifier, decimal};
use crate::proof::check_consistency;
use crate::witness::request::Submission;

/// Logs that one witness serves, at most.
const MAX_LOGS: usize = 1000;

/// Keys that one log may have, at most: an old one and a new one, and some room.
const MAX_KEYS: usize = 8;

/// Signatures of the log that are kept with a checkpoint.
const KEPT_SIGNATURES: usize = MAX_KEYS;

/// How far the clock may be behind the last cosignature, in seconds. Within this the last moment is signed again; a clock
/// that is further behind is wrong, now or then.
const CLOCK_SLACK: u64 = 300;

const FIRST_LINE: &str = "raincoat witness state 1";

/// All that a witness remembers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// The logs that it serves, in the order they came.
    pub logs: Vec<LogState>,
}

/// What it remembers of one log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogState {
    /// The keys that the log may sign with, at least one. They all have the log's origin for a name.
    pub keys: Vec<Verifier>,
    /// The largest checkpoint that was cosigned, if any was.
    pub latest: Option<Latest>,
}

/// A checkpoint that was cosigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Latest {
    /// The note, with the log's signatures and the witness's own.
    pub note: String,
    /// What it says.
    pub head: Checkpoint,
    /// When it was cosigned, in seconds since 1970.
    pub at: u64,
}

/// How a request was judged. Each is an HTTP status of the specification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// 200: the line with the cosignature. It may be given away once the state is durable.
    Cosigned(String),
    /// 400: not a request.
    Malformed(&'static str),
    /// 403: not signed by the log, or falsely.
    NotSigned(NoteError),
    /// 404: a log that is not served here.
    UnknownLog,
    /// 409: the largest size that was cosigned is this one.
    Conflict(u64),
    /// 422: the checkpoint does not follow from what was cosigned.
    NotConsistent(&'static str),
    /// 503: not now.
    NotNow(String),
}

impl Verdict {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Verdict::Cosigned(_) => 200,
            Verdict::Malformed(_) => 400,
            Verdict::NotSigned(_) => 403,
            Verdict::UnknownLog => 404,
            Verdict::Conflict(_) => 409,
            Verdict::NotConsistent(_) => 422,
            Verdict::NotNow(_) => 503,
        }
    }

    /// The media type of the answer's body.
    pub fn content_type(&self) -> &'static str {
        match self {
            Verdict::Conflict(_) => "text/x.tlog.size",
            _ => "text/plain; charset=utf-8",
        }
    }

    /// The answer's body.
    pub fn body(&self) -> String {
        match self {
            Verdict::Cosigned(line) => line.clone(),
            Verdict::Malformed(why) => format!("bad request: {why}\n"),
            Verdict::NotSigned(why) => format!("the checkpoint is not to be believed: {why}\n"),
            Verdict::UnknownLog => "this witness does not serve that log\n".to_owned(),
            Verdict::Conflict(size) => format!("{size}\n"),
            Verdict::NotConsistent(why) => format!("{why}\n"),
            Verdict::NotNow(why) => format!("{why}\n"),
        }
    }
}

impl LogState {
    /// The log's name.
    pub fn origin(&self) -> &str {
        self.keys.first().map_or("", Verifier::name)
    }
}

impl State {
    /// The log of this name.
    pub fn log(&self, origin: &str) -> Option<&LogState> {
        self.logs.iter().find(|log| log.origin() == origin)
    }

    /// Serves a log that signs with this key, or another key of a log that is served. Gives `false` where there is
    /// nothing to change, `None` where there is no room.
    pub fn trust(&mut self, key: &Verifier) -> Option<bool> {
        let full = self.logs.len() >= MAX_LOGS;
        match self.logs.iter_mut().find(|log| log.origin() == key.name()) {
            Some(log) if log.keys.contains(key) => Some(false),
            Some(log) if log.keys.len() < MAX_KEYS => {
                log.keys.push(key.clone());
                Some(true)
            }
            None if !full => {
                self.logs.push(LogState { keys: vec![key.clone()], latest: None });
                Some(true)
            }
            _ => None,
        }
    }

    /// Judges a request at `now`, in seconds since 1970. What [`Verdict::Cosigned`] says is in the state then, and the
    /// state must be durable before anybody hears of it. Any other verdict leaves the state as it was.
    pub fn judge(&mut self, body: &[u8], cosigner: &Cosigner, now: u64) -> Verdict {
        let Some(request) = Submission::parse(body) else {
            return Verdict::Malformed(
                "an old size, up to 63 hashes, an empty line and a signed checkpoint were expected",
            );
        };
        let Some(log) = self.logs.iter_mut().find(|log| log.origin() == request.head.origin) else {
            return Verdict::UnknownLog;
        };
        if let Err(why) = signed_by(&log.keys, &request.note) {
            return Verdict::NotSigned(why);
        }
        if request.old > request.head.size {
            return Verdict::Malformed("the old size is larger than the checkpoint's");
        }
        let (size, root) = log.latest.as_ref().map_or((0, empty_root()), |known| (known.head.size, known.head.root));
        if request.old != size {
            return Verdict::Conflict(size);
        }
        if let Err(why) = follows(&request, &root) {
            return Verdict::NotConsistent(why);
        }
        match log.next(&request, cosigner, now) {
            Ok((latest, line)) => {
                log.latest = Some(latest);
                Verdict::Cosigned(line)
            }
            Err(why) => Verdict::NotNow(why),
        }
    }

    /// The state as bytes.
    pub fn encode(&self, witness: &WitnessKey) -> Vec<u8> {
        let mut out = format!("{FIRST_LINE}\nwitness {}\n", witness.vkey());
        for log in &self.logs {
            for (at, key) in log.keys.iter().enumerate() {
                out.push_str(if at == 0 { "log " } else { "key " });
                out.push_str(&key.vkey());
                out.push('\n');
            }
            let note = log.latest.as_ref().map_or("", |latest| latest.note.as_str());
            out.push_str(&format!("latest {}\n{note}", note.len()));
        }
        let sum = hex(&sha256(out.as_bytes()));
        out.push_str(&format!("sha256 {sum}\n"));
        out.into_bytes()
    }

    /// Reads it back. Every checkpoint in it must bear the log's signature and this witness's own.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(bytes: &[u8], witness: &WitnessKey) -> Result<State, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
        let (all, sum) = text.rsplit_once("sha256 ").ok_or("its last line is missing")?;
        if sum != format!("{}\n", hex(&sha256(all.as_bytes()))) {
            return Err("its checksum is not that of its content");
        }
        let rest = all.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_prefix("\nwitness "));
        let (vkey, mut rest) = rest.and_then(|rest| rest.split_once('\n')).ok_or("its first lines are others")?;
        if vkey != witness.vkey() {
            return Err("it belongs to another witness's key");
        }
        let mut state = State::default();
        while !rest.is_empty() {
            let (log, after) = LogState::parse(rest, witness)?;
            if state.log(log.origin()).is_some() || state.logs.len() >= MAX_LOGS {
                return Err("it has a log twice, or too many logs");
            }
            state.logs.push(log);
            rest = after;
        }
        Ok(state)
    }
}

impl LogState {
    fn parse<'a>(text: &'a str, witness: &WitnessKey) -> Result<(LogState, &'a str), &'static str> {
        let mut keys: Vec<Verifier> = Vec::new();
        let mut rest = text;
        let length = loop {
            let (line, after) = rest.split_once('\n').ok_or("a line in it is cut")?;
            rest = after;
            match line.split_once(' ') {
                Some(("latest", length)) if !keys.is_empty() => break length,
                Some((word, vkey)) if word == if keys.is_empty() { "log" } else { "key" } => {
                    let key = Verifier::parse(vkey).ok_or("a log's key in it is none")?;
                    let fits = keys.first().is_none_or(|first| first.name() == key.name());
                    if !fits || keys.contains(&key) || keys.len() >= MAX_KEYS {
                        return Err("a log's keys in it do not go together");
                    }
                    keys.push(key);
                }
                _ => return Err("it has a line that does not belong"),
            }
        };
        let length = decimal(length).and_then(|length| usize::try_from(length).ok()).ok_or("a length in it is none")?;
        let (note, rest) = rest.split_at_checked(length).ok_or("a checkpoint in it is cut")?;
        let latest = if note.is_empty() { None } else { Some(Latest::parse(note, &keys, witness)?) };
        Ok((LogState { keys, latest }, rest))
    }

    /// What is remembered next, and the line that is given away.
    fn next(&self, request: &Submission<'_>, cosigner: &Cosigner, now: u64) -> Result<(Latest, String), String> {
        let last = self.latest.as_ref();
        let at = last.map_or(now, |latest| latest.at).max(now);
        if at - now > CLOCK_SLACK {
            return Err(
                "this witness's clock is behind its own last cosignature; it signs again when it is right".to_owned()
            );
        }
        if at == 0 || i64::try_from(at).is_err() {
            return Err("this witness's clock is not set".to_owned());
        }
        let line = cosigner.cosign(request.note.text, at);
        let ours = request.note.signatures.iter().filter(|line| self.keys.iter().any(|key| key.owns(line)));
        let mut note = format!("{}\n", request.note.text);
        ours.take(KEPT_SIGNATURES).for_each(|line| note.push_str(&line.line()));
        note.push_str(&line);
        Ok((Latest { note, head: request.head.clone(), at }, line))
    }
}

impl Latest {
    fn parse(text: &str, keys: &[Verifier], witness: &WitnessKey) -> Result<Latest, &'static str> {
        let note = Note::parse(text.as_bytes()).map_err(|_| "a checkpoint in it is none")?;
        let head = Checkpoint::parse(note.text).map_err(|_| "a checkpoint in it is none")?;
        if keys.first().is_none_or(|key| key.name() != head.origin) || signed_by(keys, &note).is_err() {
            return Err("a checkpoint in it is not signed by its log");
        }
        match witness.check(&note) {
            Ok(Cosigned::At(at)) => Ok(Latest { note: text.to_owned(), head, at }),
            _ => Err("a checkpoint in it is not cosigned by this witness"),
        }
    }
}

/// Any of the keys must have signed, and none falsely.
fn signed_by(keys: &[Verifier], note: &Note<'_>) -> Result<(), NoteError> {
    let mut signed = Err(NoteError::NotSigned);
    for key in keys {
        match key.check(note) {
            Ok(()) => signed = Ok(()),
            Err(NoteError::NotSigned) => {}
            Err(why) => return Err(why),
        }
    }
    signed
}

/// Whether a checkpoint follows from the tree of the old size, whose root is `root`.
fn follows(request: &Submission<'_>, root: &Hash) -> Result<(), &'static str> {
    let (old, head) = (request.old, &request.head);
    if head.size == 0 && head.root != empty_root() {
        return Err("the tree of no entries has another root");
    }
    if old == 0 {
        return if request.proof.is_empty() { Ok(()) } else { Err("from nothing to anything there is no proof") };
    }
    if old == head.size && *root != head.root {
        return Err("the tree of that size had another root when it was cosigned: the log was rewritten");
    }
    if check_consistency(old, head.size, &request.proof, root, &head.root) {
        return Ok(());
    }
    Err("the proof does not show that the cosigned tree is the start of this one")
}

/// The name under which a log's checkpoint is asked for: the hex of the SHA-256 of its origin.
pub fn origin_hash(origin: &str) -> String {
    hex(&sha256(origin.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
