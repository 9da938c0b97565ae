//! What a run with a model must remember to go on after a restart: its transcript.

use std::collections::HashMap;

use raincoat_types::wire::JobModel;
use serde::{Deserialize, Serialize};

use crate::context::History;
use crate::tools::memory::Memory;

/// The transcript's format.
const VERSION: u32 = 1;

/// Everything the loop knows.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    version: u32,
    /// The conversation.
    pub history: History,
    /// What the model has seen of the files.
    pub memory: Memory,
    /// Native tool calls, not the text protocol.
    pub native: bool,
    /// Turns begun.
    pub turns: u32,
    /// Replies had.
    pub replies: u64,
    /// Changes made.
    pub changes: u64,
    /// What estimates of tokens are multiplied by, in thousandths; at least 1000.
    pub scale: u64,
    /// The newest request's estimate, in tokens.
    pub estimated: u64,
    /// Calls that came to nothing, how often.
    failures: HashMap<String, u32>,
}

impl Session {
    /// A new run, or one that goes on from its transcript.
    ///
    /// # Errors
    /// In words, where the transcript cannot be read.
    pub(crate) fn begin(task: &str, model: &JobModel, transcript: &[u8]) -> Result<Session, String> {
        if transcript.is_empty() {
            return Ok(Session {
                version: VERSION,
                history: History::new(task),
                memory: Memory::default(),
                native: model.native_tools,
                turns: 0,
                replies: 0,
                changes: 0,
                scale: 1000,
                estimated: 0,
                failures: HashMap::new(),
            });
        }
        let wrong = |why: String| format!("the transcript to go on from cannot be read ({why}); start the task anew");
        let mut session: Session = serde_json::from_slice(transcript).map_err(|e| wrong(e.to_string()))?;
        if session.version != VERSION {
            return Err(wrong(format!("its format {} is not {VERSION}", session.version)));
        }
        session.history.mend();
        session.native &= model.native_tools;
        Ok(session)
    }

    /// The transcript; `None` where it cannot be written.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// Corrects the estimate by what the provider counted, upwards only and at most to three times.
    pub(crate) fn correct(&mut self, counted: u64) {
        if let Some(scale) = counted.saturating_mul(1000).checked_div(self.estimated) {
            self.scale = self.scale.max(scale).min(3000);
        }
    }

    /// Counts a call that came to nothing; gives back how often this same one has. One that succeeded starts anew.
    pub(crate) fn count(&mut self, name: &str, arguments: &str, failed: bool) -> u32 {
        let key = blake3::hash(format!("{name}\0{arguments}").as_bytes()).to_hex().to_string();
        if !failed {
            self.failures.remove(&key);
            return 0;
        }
        let times = self.failures.entry(key).or_insert(0);
        *times += 1;
        *times
    }
}
