//! Messages between the keeper and its worker, over one socket.
//!
//! A frame is a 4-byte little-endian length and that many bytes of postcard. The keeper trusts nothing in a frame: a
//! length over the limit, bytes that do not decode, or a message out of turn ends the worker.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Action, FileChange, Limits, Outcome};

/// What the keeper tells the worker.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// The job. Sent once, first.
    Start(Box<Job>),
    /// What came of the proposal with this number.
    Outcome {
        /// The proposal's number.
        id: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// Raw bytes of a model's reply, as they come.
    ModelBytes {
        /// The proposal's number.
        id: u64,
        /// The bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// What came of the plan with this number: for each accepted step its position (from 0) and outcome. Long plans
    /// come in several of these; `last` marks the end.
    PlanOutcome {
        /// The plan's number.
        id: u64,
        /// Position and outcome of each step that was tried; refused steps have none.
        steps: Vec<(u32, Outcome)>,
        /// The person's words where they refused.
        refused: Option<String>,
        /// No more of these for this plan.
        last: bool,
    },
    /// The person asks to stop: finish with a summary, propose nothing more.
    Stop,
}

/// What the worker tells the keeper.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// A proposal. Several may be under way; each gets one outcome.
    Propose {
        /// A number, grown by the worker with each.
        id: u64,
        /// The action.
        action: Action,
    },
    /// A piece of a plan: changes that belong together and are shown before any is made. `last` submits it.
    Plan {
        /// A number, grown by the worker with each plan or proposal.
        id: u64,
        /// One line for the person.
        title: String,
        /// The changes, in the order they are to be made.
        steps: Vec<PlanStep>,
        /// The plan is complete: show it.
        last: bool,
    },
    /// Words for the person, as they come (not lines).
    Say(String),
    /// A note of what it is at, for a progress line.
    Status {
        /// In words.
        text: String,
        /// How far, where that is known: done and total.
        progress: Option<(u64, u64)>,
    },
    /// Something to keep with the run: for `show` (a tool call in one line, a turn's cost).
    Note(String),
    /// The reply to the model request with this number is wanted no more: cut it. Its outcome still follows.
    GiveUp {
        /// The proposal's number.
        id: u64,
    },
    /// What the worker needs to go on after a restart ([`Job::transcript`]); replaces the one before. It holds what
    /// the agent has read: sealed where it is kept.
    Transcript(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The job is done. Sent once, last.
    Finished {
        /// For the person.
        summary: String,
        /// It ended well. A recipe with nothing to do ended well.
        ok: bool,
    },
    /// A model's call that the worker did not propose, because nothing could come of it: for the log.
    Unproposed {
        /// The tool that it called.
        tool: String,
        /// The paths that it named, cut short.
        targets: Vec<String>,
        /// Why nothing could come of it.
        why: String,
    },
    /// What a model that read the task and nothing else takes it to call for ([`Job::unclear`]). It counts once, and only
    /// before anything is read.
    Intent {
        /// Files are to be made, written, edited, renamed or moved.
        changes: bool,
        /// Something is to be deleted.
        deletes: bool,
    },
    /// What a model is told came of a call that looked at something: for labels. It comes before anything that the
    /// model proposes having been told.
    Told {
        /// The tool that it called.
        tool: String,
        /// The call's arguments, as JSON.
        arguments: String,
        /// What it is told.
        text: String,
    },
    /// What a model's reply used up, as its provider says: for the log.
    Used {
        /// Tokens of the request.
        input: u64,
        /// Tokens of the reply.
        output: u64,
    },
}

/// One change of a plan and why.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PlanStep {
    /// The change.
    pub change: FileChange,
    /// Why, in a few words; may be empty.
    pub why: String,
}

/// What a worker is to do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The task.
    pub task: Task,
    /// The folders, in the order that `Place::root` counts.
    pub roots: Vec<JobRoot>,
    /// The model, for a task that has one.
    pub model: Option<JobModel>,
    /// The rules cannot read what the task calls for: a model is to be asked, before anything is read.
    pub unclear: bool,
    /// The limits in force.
    pub limits: Limits,
    /// Now, in seconds since 1970, and the offset of local time from UTC in seconds (for dates in names).
    pub now: (i64, i32),
    /// The transcript of an earlier, interrupted run to go on from; empty for a new one.
    #[serde(with = "serde_bytes")]
    pub transcript: Vec<u8>,
}

/// The task.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Task {
    /// A recipe by name, with its options as `key=value`.
    Recipe {
        /// `tidy`, `dedupe`, `rename`, `flatten`, `archive-old`, `find-large`.
        name: String,
        /// Options.
        options: Vec<(String, String)>,
    },
    /// A task in words, for the agent with a model.
    Prompt(String),
}

/// A folder as the worker may speak of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobRoot {
    /// A short name, unique in the run.
    pub label: String,
    /// The absolute path, so that an agent that says it is understood. The worker cannot open it.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    /// Nothing in it may change.
    pub read_only: bool,
}

/// The model as the worker may speak to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JobModel {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// Its context window in tokens.
    pub window: u32,
    /// It takes and makes tool calls natively; else the text protocol is spoken.
    pub native_tools: bool,
}

/// Writes one frame.
///
/// # Errors
/// Any error of the socket; `InvalidData` where the message is over `max` bytes.
pub fn send<T: Serialize>(to: &mut impl Write, message: &T, max: u32) -> io::Result<()> {
    let body = postcard::to_stdvec(message).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
    let len = u32::try_from(body.len()).ok().filter(|len| *len <= max).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {} bytes is over the limit of {max}", body.len()),
        )
    })?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(&body);
    to.write_all(&frame)
}

/// Reads one frame; `None` at a clean end.
///
/// # Errors
/// Any error of the socket; `InvalidData` where the frame is over `max` bytes or does not decode;
/// `UnexpectedEof` where it was cut.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read, max: u32) -> io::Result<Option<T>> {
    let mut len = [0_u8; 4];
    match from.read(&mut len)? {
        0 => return Ok(None),
        got => from.read_exact(len.get_mut(got..).unwrap_or_default())?,
    }
    let len = u32::from_le_bytes(len);
    if len > max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {len} bytes is over the limit of {max}"),
        ));
    }
    // Grows with what really comes, so that a forged length costs nothing.
    let mut body = Vec::new();
    from.take(u64::from(len)).read_to_end(&mut body)?;
    if body.len() != len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    postcard::from_bytes(&body)
        .map(Some)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("a message that does not decode: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_whole_and_bad_ones_are_errors() {
        let mut bytes = Vec::new();
        send(&mut bytes, &FromWorker::Say("hello".into()), 1000).unwrap();
        let back: FromWorker = receive(&mut bytes.as_slice(), 1000).unwrap().unwrap();
        assert_eq!(back, FromWorker::Say("hello".into()));
        assert!(receive::<FromWorker>(&mut [].as_slice(), 10).unwrap().is_none());
        assert!(receive::<FromWorker>(&mut [255, 255, 255, 255].as_slice(), 10).is_err());
        assert!(receive::<FromWorker>(&mut [3, 0, 0, 0, 1].as_slice(), 10).is_err());
        assert!(receive::<FromWorker>(&mut [1, 0, 0, 0, 99].as_slice(), 10).is_err());
    }

    #[test]
    fn frames_of_any_bytes_end_in_an_answer() {
        let mut whole = Vec::new();
        send(&mut whole, &FromWorker::Say("hello".into()), 1000).unwrap();
        // Knuth's linear congruential generator: the same bytes each time.
        let mut random = 1_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize
        };
        for round in 0..20_000 {
            let mut bytes = whole.clone();
            if round % 2 == 0 {
                let at = next() % bytes.len();
                bytes[at] = next() as u8;
            } else {
                let body: Vec<u8> = (0..next() % 60).map(|_| next() as u8).collect();
                bytes = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
            }
            if let Ok(Some(message)) = receive::<FromWorker>(&mut bytes.as_slice(), 1000) {
                let mut again = Vec::new();
                send(&mut again, &message, 10_000).unwrap();
                assert_eq!(receive::<FromWorker>(&mut again.as_slice(), 10_000).unwrap(), Some(message));
            }
            let _ = receive::<ToWorker>(&mut bytes.as_slice(), 1000);
        }
    }
}
