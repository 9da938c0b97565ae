//! Room for before-images: how much of its budget the store has left, what is pruned when a change does not fit, and
//! the person's word that a file may be changed without a copy.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use raincoat_audit::Event;
use raincoat_journal::{JournalError, PruneRule};
use raincoat_types::{Clock, Digest, Failure, FailureKind, RelPath, Timestamp};

use crate::recorder::Recorder;

/// The rule by which room is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomRule {
    /// Bytes that the store may take.
    pub budget: u64,
    /// Seconds for which every run is kept.
    pub keep_secs: u64,
    /// Bytes to free beyond what is needed, so that the next change need not ask again.
    pub slack: u64,
    /// The rule in words.
    pub words: String,
}

/// Says which files may be changed without a copy being kept.
pub type Waives = dyn Fn(&RelPath) -> bool + Send + Sync;

/// What is left of the budget, and what was said about it.
#[derive(Clone)]
pub(crate) struct Room {
    rule: RoomRule,
    clock: Arc<dyn Clock>,
    left: Arc<AtomicU64>,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule.fmt(f)
    }
}

impl Room {
    pub(crate) fn new(rule: RoomRule, used: u64, clock: Arc<dyn Clock>) -> Room {
        let left = Arc::new(AtomicU64::new(rule.budget.saturating_sub(used)));
        Room { rule, clock, left }
    }

    /// Takes so many bytes of what is left; `false` where that is less.
    fn take(&self, bytes: u64) -> bool {
        let take = |left: u64| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

impl Recorder {
    /// Has something told to the person, and logged.
    pub(crate) fn say(&self, words: String) {
        self.log_lazily(vec![Event::Notice { text: words.clone() }]);
        self.tell(words);
    }

    fn tell(&self, words: String) {
        self.said.lock().unwrap_or_else(|e| e.into_inner()).push(words);
    }

    /// What is to be told to the person, since the last call: what was pruned to make room, what of somebody's was kept.
    pub fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.said.lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// Sees to it that the store has room for a copy of a file of so many bytes, pruning by the rule if need be.
    /// `known`: its content's digest, where there may be a copy of it already; it is only asked for where room is short.
    ///
    /// # Errors
    /// A [`Failure`] of the kind `Full`, where there is none: the change is not made then.
    pub(crate) fn make_room(
        &self,
        path: &RelPath,
        bytes: u64,
        known: &dyn Fn() -> Option<Digest>,
    ) -> Result<(), Failure> {
        let Some(room) = self.room.as_ref().filter(|room| !room.take(bytes)) else { return Ok(()) };
        let broken = |words: String| crate::failure::broken(&words);
        // The count runs ahead of what is stored: contents are kept once, and compressed.
        let used = self.journal(|journal| journal.size()).map_err(broken)?.map_err(|e| broken(e.to_string()))?;
        room.left.store(room.rule.budget.saturating_sub(used), Ordering::Relaxed);
        if room.take(bytes) {
            return Ok(());
        }
        if let Some(digest) = known()
            && let Ok(Ok(Some(_))) = self.journal(move |journal| journal.lookup(&digest))
        {
            return Ok(());
        }
        let now = room.clock.now();
        let keep = i64::try_from(room.rule.keep_secs).unwrap_or(i64::MAX);
        let rule = PruneRule {
            keep_from: Timestamp { secs: now.secs.saturating_sub(keep), ..now },
            older_than: None,
            most: Some(room.rule.budget.saturating_sub(bytes).saturating_sub(room.rule.slack)),
            words: room.rule.words.clone(),
            at: now,
        };
        let pruned = match self.journal(move |journal| journal.prune(&rule)).map_err(broken)? {
            Ok(report) => report,
            // It waits for a change of another process, or there is damage: then there is no room by pruning.
            Err(JournalError::Busy | JournalError::Corrupt { .. } | JournalError::Full) => Default::default(),
            Err(error) => return Err(broken(error.to_string())),
        };
        if !pruned.runs.is_empty() {
            let freed = pruned.before.saturating_sub(pruned.after);
            let words = format!(
                "the store came to its budget of {} bytes: {} runs were pruned by your rule ({}), which freed {freed} bytes",
                room.rule.budget,
                pruned.runs.len(),
                room.rule.words,
            );
            let (rule, runs, versions) = (room.rule.words.clone(), pruned.runs.len() as u64, pruned.versions);
            self.log_lazily(vec![
                Event::BudgetReached { budget: room.rule.budget, used, what: words.clone() },
                Event::StorePruned { rule, runs, versions, bytes: freed },
            ]);
            self.tell(words);
        }
        let used = self.journal(|journal| journal.size()).map_err(broken)?.map_err(|e| broken(e.to_string()))?;
        room.left.store(room.rule.budget.saturating_sub(used), Ordering::Relaxed);
        if room.take(bytes) {
            return Ok(());
        }
        let shown = path.display();
        let words = format!(
            "`{shown}` ({bytes} bytes) cannot be backed up, so it was not changed: the store takes {used} bytes of its \
             budget of {}, and the rule ({}) lets go of no more (runs that it keeps still hold {} bytes); raise `budget` in \
             config.toml, or `raincoat store prune --within-keep`, or say for this change alone: --without-backup '{shown}'",
            room.rule.budget, room.rule.words, pruned.too_young.1,
        );
        self.log_lazily(vec![Event::BudgetReached { budget: room.rule.budget, used, what: words.clone() }]);
        Err(Failure::new(FailureKind::Full, words))
    }

    /// Whether the person said that this file may be changed without a copy.
    pub fn waives(&self, path: &RelPath) -> bool {
        self.waives.as_ref().is_some_and(|waives| waives(path))
    }
}
