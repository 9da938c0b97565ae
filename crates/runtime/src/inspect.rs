//! Looking back: runs, what they did, how files differ, what the log says.

use std::ops::ControlFlow;

use raincoat_audit::Event;
use raincoat_journal::{Journal, NoteKind, Order, RunSummary};
use raincoat_types::{
    Change, Content, Digest, FileContent, Image, OpId, OpRecord, OpResult, RunId, RunKind, RunStatus, Spot, Timestamp,
    display_bytes,
};

use crate::store::tampering;
use crate::undo::find_run;
use crate::witness::Heard;
use crate::{Error, Keeper};

/// Bytes of a file that a diff looks at.
const DIFF_BYTES: u64 = 1 << 20;

/// A run in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunLine {
    /// The run.
    pub run: RunId,
    /// When it began.
    pub at: Timestamp,
    /// Who acted.
    pub actor: String,
    /// What was asked.
    pub goal: String,
    /// The run that it took back, if it is an undo.
    pub undo_of: Option<RunId>,
    /// How it ended.
    pub status: RunStatus,
    /// Its last words.
    pub summary: String,
    /// Operations made.
    pub changes: u32,
    /// Of those, taken back since.
    pub undone: u32,
}

/// One operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpLine {
    /// The operation.
    pub op: OpId,
    /// `create`, `replace`, `remove`, `move`, `link`, `set-meta`.
    pub verb: &'static str,
    /// The path, for people.
    pub path: String,
    /// Where it moved to.
    pub to: Option<String>,
    /// The content before.
    pub before: Option<Digest>,
    /// The content after.
    pub after: Option<Digest>,
    /// `done`, or why not.
    pub result: String,
    /// What took it back since.
    pub undone_by: Option<OpId>,
}

/// A run in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunDetails {
    /// As in the list.
    pub line: RunLine,
    /// Its folders.
    pub roots: Vec<String>,
    /// The plans that were accepted: title, steps proposed, steps chosen.
    pub plans: Vec<(String, u64, u64)>,
    /// What was noted on the way.
    pub notes: Vec<String>,
}

/// How a file differs before and after a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileDiff {
    /// The path, for people.
    pub path: String,
    /// Where it moved to.
    pub moved_to: Option<String>,
    /// See [`OpLine::verb`].
    pub verb: &'static str,
    /// The content before; `None` where there was none, or it cannot be shown.
    pub before: Option<Vec<u8>>,
    /// The content after; `None` where there is none, or it cannot be shown.
    pub after: Option<Vec<u8>>,
    /// Why something cannot be shown; may be empty.
    pub note: String,
}

/// An entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditLine {
    /// Its place, from 0.
    pub index: u64,
    /// When, by the keeper's clock.
    pub at: Timestamp,
    /// Within which run.
    pub run: Option<RunId>,
    /// Who acted.
    pub actor: Option<String>,
    /// What sort of event, by its stable name.
    pub kind: &'static str,
    /// In words.
    pub line: String,
    /// The class that says how long it is kept.
    pub class: String,
}

/// What a check of the log found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditReport {
    /// Nothing is wrong with what could be checked.
    pub sound: bool,
    /// The log's verifier key.
    pub log_key: String,
    /// Entries in it.
    pub entries: u64,
    /// Records in the journal, which is checked as well.
    pub journal_records: u64,
    /// Entries that are erased.
    pub erased: u64,
    /// Entries before this one were pruned.
    pub pruned: u64,
    /// What the log was held against.
    pub checked: Vec<String>,
    /// What is wrong.
    pub problems: Vec<String>,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
    /// What cannot be checked here.
    pub not_checked: Vec<String>,
}

impl Keeper {
    /// The journal, to look at. What a crash left behind is settled first, `told` line by line.
    pub(crate) fn look<R: Send + 'static>(
        &self,
        told: &mut dyn FnMut(&str),
        look: impl FnOnce(&mut Journal) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let session = self.session(&mut |recovered| told(&recovered.words))?;
        let result = session.recorder.journal(look).map_err(Error::store)?;
        session.close()?;
        result
    }

    /// The newest runs first, at most `limit`.
    ///
    /// # Errors
    /// Where our own store is damaged.
    pub fn runs(&self, limit: usize, told: &mut dyn FnMut(&str)) -> Result<Vec<RunLine>, Error> {
        self.look(told, move |journal| {
            let runs = journal.runs(None, limit).map_err(Error::store)?;
            runs.into_iter().map(|run| line_of(journal, run)).collect()
        })
    }

    /// One run: `each` hears of every operation, in order. The last run where `run` is `None`.
    ///
    /// # Errors
    /// Where there is no such run, or our own store is damaged.
    pub fn show(
        &self,
        run: Option<&str>,
        each: &mut dyn FnMut(OpLine),
        told: &mut dyn FnMut(&str),
    ) -> Result<RunDetails, Error> {
        let what = run.map(str::to_owned);
        let session = self.session(&mut |recovered| told(&recovered.words))?;
        let details = session
            .recorder
            .journal(move |journal| {
                let run = find_run(journal, what.as_deref())?;
                let view = journal.run(run).map_err(Error::store)?;
                let mut plans = Vec::new();
                journal
                    .for_each_note(run, NoteKind::Plan, |bytes| {
                        plans.extend(postcard::from_bytes::<(String, u64, u64)>(bytes))
                    })
                    .map_err(Error::store)?;
                let roots = view.header.roots.iter().map(|root| display_bytes(&root.path)).collect();
                let line = line_of(journal, RunSummary { header: view.header, end: view.end })?;
                Ok(RunDetails { line, roots, plans, notes: view.notes })
            })
            .map_err(Error::store)?;
        let details = match details {
            Ok(details) => details,
            Err(error) => {
                session.close()?;
                return Err(error);
            }
        };
        let run = details.line.run;
        let mut from = 1;
        loop {
            // In pages, so that a run of any length is shown in little memory.
            let page =
                session.recorder.journal(move |journal| ops_page(journal, run, from)).map_err(Error::store)??;
            if page.is_empty() {
                break;
            }
            from += u32::try_from(page.len()).unwrap_or(u32::MAX);
            page.into_iter().for_each(&mut *each);
        }
        session.close()?;
        Ok(details)
    }

    /// How a run's files differ before and after it: `each` hears of every changed file. The last run where `run` is
    /// `None`.
    ///
    /// # Errors
    /// Where there is no such run, or our own store is damaged.
    pub fn diff(
        &self,
        run: Option<&str>,
        each: &mut dyn FnMut(FileDiff),
        told: &mut dyn FnMut(&str),
    ) -> Result<RunId, Error> {
        let what = run.map(str::to_owned);
        let session = self.session(&mut |recovered| told(&recovered.words))?;
        let found = session
            .recorder
            .journal(move |journal| {
                let run = find_run(journal, what.as_deref())?;
                let roots = journal.run(run).map_err(Error::store)?.header.roots;
                Ok::<_, Error>((run, roots))
            })
            .map_err(Error::store)?;
        let result = found.and_then(|(run, roots)| {
            let mut from = 1;
            loop {
                let page = session
                    .recorder
                    .journal(move |journal| records_page(journal, run, from))
                    .map_err(Error::store)??;
                if page.is_empty() {
                    return Ok(run);
                }
                from += u32::try_from(page.len()).unwrap_or(u32::MAX);
                for record in page {
                    let roots = roots.clone();
                    let diff = session
                        .recorder
                        .journal(move |journal| diff_of(journal, &roots, &record))
                        .map_err(Error::store)??;
                    diff.into_iter().for_each(&mut *each);
                }
            }
        });
        session.close()?;
        result
    }

    /// The last `n` entries of the log.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn audit_tail(&self, n: u64) -> Result<Vec<AuditLine>, Error> {
        let reader = self.audit_reader()?;
        let mut lines = Vec::new();
        for entry in reader.tail(n).map_err(Error::store)? {
            let (index, entry) = entry.map_err(Error::store)?;
            lines.push(AuditLine {
                index,
                at: entry.at,
                run: entry.run,
                actor: entry.actor.as_ref().map(raincoat_types::Actor::name),
                kind: entry.event.kind(),
                line: entry.event.one_line(),
                class: entry.event.class().name().to_owned(),
            });
        }
        Ok(lines)
    }

    /// Checks the whole log (every payload in it where `deep`), and the whole journal behind it.
    ///
    /// # Errors
    /// Where one of them cannot be opened at all. What is wrong with them is in the report.
    pub fn audit_verify(&self, deep: bool) -> Result<AuditReport, Error> {
        let reader = self.audit_reader()?;
        let mut log = if deep { reader.verify_deep() } else { reader.verify() };
        let mut against = Vec::new();
        let heard = self.hear_witnesses(&reader)?;
        if !heard.is_empty() {
            log.unchecked.retain(|text| text != raincoat_audit::UNWITNESSED);
        }
        for said in heard {
            match said {
                Heard::Agrees(words) => log.notes.push(words),
                Heard::Silent(words) => log.unchecked.push(words),
                Heard::Disagrees(words) => against.push(words),
            }
        }
        let opened = Journal::open(self.journal_dir()?, self.journal_keys(), self.clock.as_ref());
        let (journal, _) = opened.map_err(Error::store)?;
        let stored = self.checked(&journal, false)?;
        let mut problems: Vec<String> = log.problems.iter().map(|problem| problem.text.clone()).collect();
        let sound = log.is_ok() && against.is_empty() && stored.problems.is_empty();
        problems.extend(against);
        let mut told = tampering("the log", &problems);
        told.extend(tampering("the journal", &stored.problems));
        problems.extend(stored.problems.iter().cloned());
        told.push(Event::LogVerified {
            entries: log.entries,
            deep,
            problems: problems.len() as u64,
            unchecked: log.unchecked.clone(),
        });
        drop(journal);
        // A log that cannot be added to is in the report.
        let _ = self.note(&told);
        Ok(AuditReport {
            sound,
            log_key: reader.verifier().vkey(),
            entries: log.entries,
            journal_records: stored.records,
            problems,
            erased: log.erased,
            pruned: log.pruned,
            checked: log.checked,
            notes: log.notes,
            not_checked: log.unchecked,
        })
    }
}

/// Operations read at once.
const PAGE: u32 = 256;
/// Runs of up to so many operations are counted one by one.
const EXACT: u32 = 1000;

fn line_of(journal: &Journal, run: RunSummary) -> Result<RunLine, Error> {
    let id = run.header.run;
    let (changes, undone) = counts(journal, id)?;
    let undo_of = match run.header.kind {
        RunKind::Undo { of, .. } => Some(of),
        RunKind::Task | RunKind::Program | RunKind::Commit { .. } | RunKind::Restore => None,
    };
    let (status, summary) = run.end.map_or((RunStatus::Open, String::new()), |end| (end.status, end.summary));
    Ok(RunLine {
        run: id,
        at: run.header.at,
        actor: run.header.actor.name(),
        goal: run.header.goal,
        undo_of,
        status,
        summary,
        changes,
        undone,
    })
}

fn records_page(journal: &Journal, run: RunId, from: u32) -> Result<Vec<OpRecord>, Error> {
    let mut records = Vec::new();
    for seq in from..from.saturating_add(PAGE) {
        match journal.op(OpId { run, seq }) {
            Ok(record) => records.push(record),
            Err(raincoat_journal::JournalError::UnknownOp(_)) => break,
            Err(error) => return Err(Error::store(error)),
        }
    }
    Ok(records)
}

fn ops_page(journal: &Journal, run: RunId, from: u32) -> Result<Vec<OpLine>, Error> {
    let records = records_page(journal, run, from)?;
    records
        .into_iter()
        .map(|record| {
            let undone_by = journal.undone_by(record.intent.op).map_err(Error::store)?;
            Ok(op_line(&record, undone_by))
        })
        .collect()
}

fn op_line(record: &OpRecord, undone_by: Option<OpId>) -> OpLine {
    let change = &record.intent.change;
    let (path, to) = paths(change);
    let (result, after) = match &record.result {
        Some(OpResult::Done { after, .. }) => ("done".to_owned(), after.as_ref().and_then(Image::digest)),
        Some(OpResult::NotDone(why)) => (format!("not done: {why}"), None),
        Some(OpResult::RolledBack(why)) => (format!("rolled back: {why}"), None),
        None => ("pending".to_owned(), None),
    };
    OpLine {
        op: record.intent.op,
        verb: verb(change),
        path,
        to,
        before: change.before().and_then(Image::digest),
        after,
        result,
        undone_by,
    }
}

fn verb(change: &Change) -> &'static str {
    match change {
        Change::Create { .. } => "create",
        Change::Replace { .. } => "replace",
        Change::Remove { .. } => "remove",
        Change::Move { .. } => "move",
        Change::Link { .. } => "link",
        Change::SetMeta { .. } => "set-meta",
    }
}

fn paths(change: &Change) -> (String, Option<String>) {
    let show = |spot: &Spot| spot.path.display();
    match change {
        Change::Move { from, to, .. } => (show(from), Some(show(to))),
        Change::Create { at, .. }
        | Change::Replace { at, .. }
        | Change::Remove { at, .. }
        | Change::Link { at, .. }
        | Change::SetMeta { at, .. } => (show(at), None),
    }
}

/// `None` for an operation that came to nothing.
fn diff_of(journal: &Journal, roots: &[raincoat_types::Root], record: &OpRecord) -> Result<Option<FileDiff>, Error> {
    let change = &record.intent.change;
    let Some(OpResult::Done { after, .. }) = &record.result else { return Ok(None) };
    let (path, moved_to) = paths(change);
    let mut diff = FileDiff { path, moved_to, verb: verb(change), before: None, after: None, note: String::new() };
    match change {
        Change::Replace { at, before, after: meant, .. } => {
            diff.before = content(journal, before, &mut diff.note)?;
            diff.after = after_content(journal, roots, at, after.as_ref().unwrap_or(meant), &mut diff.note)?;
        }
        Change::Remove { before, .. } => diff.before = content(journal, before, &mut diff.note)?,
        Change::Create { at, after: meant } => {
            diff.after = after_content(journal, roots, at, after.as_ref().unwrap_or(meant), &mut diff.note)?;
        }
        Change::Move { .. } | Change::Link { .. } | Change::SetMeta { .. } => {}
    }
    Ok(Some(diff))
}

/// What the store has of an image's content, for people.
fn content(journal: &Journal, image: &Image, note: &mut String) -> Result<Option<Vec<u8>>, Error> {
    match &image.content {
        Content::File(file) => stored(journal, file, image.meta.size, note),
        Content::Symlink(target) => Ok(Some([b"-> ", target.as_slice()].concat())),
        Content::Dir => {
            *note = "a folder".to_owned();
            Ok(None)
        }
        Content::Special => Ok(None),
    }
}

fn stored(journal: &Journal, file: &FileContent, size: u64, note: &mut String) -> Result<Option<Vec<u8>>, Error> {
    if size > DIFF_BYTES {
        *note = format!("{size} bytes: too large to show");
        return Ok(None);
    }
    let known = if file.stored { Some(file.clone()) } else { journal.lookup(&file.digest).map_err(Error::store)? };
    let Some(file) = known else { return Ok(None) };
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    for chunk in &file.chunks {
        let piece = journal.read_chunk(chunk.id).map_err(Error::store)?;
        let start = usize::try_from(chunk.offset).unwrap_or(usize::MAX);
        if let Some(place) = bytes.get_mut(start..start.saturating_add(piece.len())) {
            place.copy_from_slice(&piece);
        }
    }
    Ok(Some(bytes))
}

/// The content that an operation left: from the store, or from the file where it still is what it was.
fn after_content(
    journal: &Journal,
    roots: &[raincoat_types::Root],
    at: &Spot,
    image: &Image,
    note: &mut String,
) -> Result<Option<Vec<u8>>, Error> {
    if let Some(bytes) = content(journal, image, note)? {
        return Ok(Some(bytes));
    }
    if !note.is_empty() || image.digest().is_none() {
        return Ok(None);
    }
    let bytes = roots.iter().find(|root| root.grant == at.grant).and_then(|root| {
        raincoat_effects::read_beneath(root, &at.path, DIFF_BYTES)
            .ok()
            .filter(|bytes| Some(Digest(*blake3::hash(bytes).as_bytes())) == image.digest())
    });
    if bytes.is_none() {
        *note = "changed since; what it was then is not kept".to_owned();
    }
    Ok(bytes)
}

/// Operations made, and of those how many were taken back since. Exact for runs of up to a thousand; a longer one is
/// looked at in full only where its first and last operation do not agree.
fn counts(journal: &Journal, run: RunId) -> Result<(u32, u32), Error> {
    let ops = journal.run(run).map_err(Error::store)?.ops;
    let is_undone = |seq| journal.undone_by(OpId { run, seq }).map(|by| by.is_some());
    if ops > EXACT {
        let (first, last) = (is_undone(1).map_err(Error::store)?, is_undone(ops).map_err(Error::store)?);
        if first == last {
            return Ok((ops, if first { ops } else { 0 }));
        }
    }
    let (mut done, mut undone) = (0, 0);
    let mut failed = None;
    journal
        .for_each_op(run, Order::Forward, |record| {
            if matches!(record.result, Some(OpResult::Done { .. })) {
                done += 1;
                match journal.undone_by(record.intent.op) {
                    Ok(by) => undone += u32::from(by.is_some()),
                    Err(error) => failed = Some(error),
                }
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .map_err(Error::store)?;
    match failed {
        Some(error) => Err(Error::store(error)),
        None => Ok((done, undone)),
    }
}
