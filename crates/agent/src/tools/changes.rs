//! From what a model wishes to steps of a plan: what each change must find, and the folders it needs first.

use std::collections::HashMap;

use raincoat_types::wire::{JobRoot, PlanStep};
use raincoat_types::{Digest, Expect, FileChange, FileKind, Limits, Outcome, Place, RawPath, ReadDone};

use super::Wish;
use super::memory::{Memory, Seen};
use super::paths::{is_within, parent, show};
use super::reads::Got;
use super::words;

/// What is known of the files before a turn's changes, and what its earlier changes will make of them.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    /// Answers to `stat`, by place.
    pub stats: HashMap<Place, Outcome>,
    /// Content of files to be edited, by place.
    pub contents: HashMap<Place, Result<Got, String>>,
    /// After the changes so far.
    after: HashMap<Place, After>,
}

#[derive(Clone, PartialEq, Debug)]
enum After {
    Absent,
    Dir,
    File { digest: Digest, content: Option<Vec<u8>> },
    Unknown,
}

/// What a finished change says of a file.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Learnt {
    /// Nothing new.
    Nothing,
    /// The model knows the whole of it.
    Whole(Place, Digest),
    /// It is no longer as it was seen.
    Gone(Place),
    /// It has another name.
    Moved(Place, Place),
    /// Another has the same content.
    Copied(Place, Place),
}

impl Wish {
    /// The places that it changes.
    pub(crate) fn places(&self) -> Vec<&Place> {
        match self {
            Wish::Write { at, .. } | Wish::Edit { at, .. } | Wish::Mkdir { at } | Wish::Delete { at, .. } => vec![at],
            Wish::Move { from, to, .. } => vec![from, to],
            Wish::Copy { to, .. } | Wish::Archive { to, .. } | Wish::Extract { to, .. } => vec![to],
        }
    }

    /// The place whose folder must be there first.
    fn target(&self) -> Option<&Place> {
        match self {
            Wish::Write { at, .. } => Some(at),
            Wish::Move { to, .. } | Wish::Copy { to, .. } | Wish::Archive { to, .. } | Wish::Extract { to, .. } => {
                Some(to)
            }
            Wish::Edit { .. } | Wish::Mkdir { .. } | Wish::Delete { .. } => None,
        }
    }

    /// What must be known before it can be a step: places to `stat`.
    pub(crate) fn stats(&self) -> Vec<Place> {
        let mut out: Vec<Place> = self.target().and_then(parent).filter(|p| !p.path.0.is_empty()).into_iter().collect();
        if let Wish::Write { at, .. } = self {
            out.push(at.clone());
        }
        out
    }
}

impl Ground {
    /// The steps of a wish, and what the model will know where they are done.
    ///
    /// # Errors
    /// Why it cannot even be proposed, in words for the model.
    pub(crate) fn steps(
        &mut self,
        wish: Wish,
        memory: &Memory,
        roots: &[JobRoot],
        limits: &Limits,
    ) -> Result<(Vec<PlanStep>, Learnt), String> {
        for place in wish.places() {
            if roots.get(usize::from(place.root)).is_some_and(|root| root.read_only) {
                return Err(format!(
                    "`{}` is in a folder that may only be read",
                    show(roots, place.root, &place.path.0)
                ));
            }
        }
        let mut steps = Vec::new();
        if let Some(folder) = wish.target().and_then(parent).filter(|folder| self.is_missing(folder)) {
            steps.push(step(FileChange::Mkdir { at: folder.clone(), parents: true }, "its folder is missing"));
            self.after.insert(folder, After::Dir);
        }
        let (change, learnt) = match wish {
            Wish::Write { at, content } => self.write(at, content, memory, roots, limits)?,
            Wish::Edit { at, old, new, all } => self.edit(at, (old, new, all), memory, limits)?,
            Wish::Mkdir { at } => {
                self.after.insert(at.clone(), After::Dir);
                (FileChange::Mkdir { at, parents: true }, Learnt::Nothing)
            }
            Wish::Move { from, to, replace } => {
                self.moved(&from, &to);
                (FileChange::Move { from: from.clone(), to: to.clone(), replace }, Learnt::Moved(from, to))
            }
            Wish::Copy { from, to, replace } => {
                let copied = self.after.get(&from).cloned().unwrap_or(After::Unknown);
                self.after.insert(to.clone(), copied);
                (FileChange::Copy { from: from.clone(), to: to.clone(), replace }, Learnt::Copied(from, to))
            }
            Wish::Delete { at, recursive } => {
                self.after.retain(|place, _| !is_within(place, &at));
                self.after.insert(at.clone(), After::Absent);
                (FileChange::Delete { at: at.clone(), recursive }, Learnt::Gone(at))
            }
            Wish::Archive { from, to, format } => {
                self.after.insert(to.clone(), After::Unknown);
                (FileChange::Archive { from, to, format }, Learnt::Nothing)
            }
            Wish::Extract { from, to } => {
                self.after.insert(to.clone(), After::Dir);
                (FileChange::Extract { from, to }, Learnt::Nothing)
            }
        };
        steps.push(step(change, ""));
        Ok((steps, learnt))
    }

    fn write(
        &mut self,
        at: Place,
        content: String,
        memory: &Memory,
        roots: &[JobRoot],
        limits: &Limits,
    ) -> Result<(FileChange, Learnt), String> {
        if content.len() as u64 > limits.write_bytes {
            return Err(format!("the content is longer than the {} bytes that may be written", limits.write_bytes));
        }
        let name = show(roots, at.root, &at.path.0);
        let expect = match self.after_of(&at) {
            Some(After::Absent) => Expect::Absent,
            Some(After::File { digest, .. }) => Expect::Digest(digest),
            Some(After::Dir) => return Err(format!("`{name}` is a folder")),
            Some(After::Unknown) => {
                return Err(format!("`{name}` is made by an earlier call of this turn: read it first"));
            }
            None => self.found(&at, &name, memory)?,
        };
        let content = content.into_bytes();
        let digest = digest_of(&content);
        self.after.insert(at.clone(), After::File { digest, content: Some(content.clone()) });
        Ok((FileChange::Write { at: at.clone(), content, expect }, Learnt::Whole(at, digest)))
    }

    /// What a write must find, by what is there and what the model has seen of it. Nothing is overwritten unseen.
    fn found(&self, at: &Place, name: &str, memory: &Memory) -> Result<Expect, String> {
        let entry = match self.stats.get(at) {
            Some(Outcome::Read(ReadDone::Stat(entry))) => entry,
            Some(Outcome::Failed(failure)) if failure.kind == raincoat_types::FailureKind::NotFound => {
                return Ok(Expect::Absent);
            }
            Some(Outcome::Failed(failure)) => return Err(words::failed(failure)),
            Some(Outcome::Refused(refusal)) => return Err(words::refused(refusal)),
            _ => return Err(format!("it could not be seen what is at `{name}`")),
        };
        match (entry.kind(), memory.get(at)) {
            (FileKind::Dir, _) => Err(format!("`{name}` is a folder")),
            (FileKind::Special, _) => Err(format!("`{name}` is a device, socket or FIFO")),
            (_, Some(Seen::Whole(digest))) => Ok(Expect::Digest(digest)),
            (FileKind::File, _) if entry.meta.size == 0 => Ok(Expect::Digest(digest_of(b""))),
            (_, Some(Seen::Part { upto, .. })) => Err(format!(
                "`{name}` exists and you have read only {upto} of its {} bytes: read the rest first, or use edit_file",
                entry.meta.size
            )),
            (_, Some(Seen::Opaque)) => {
                Err(format!("`{name}` is not a text file: writing text over it would destroy it; choose another name"))
            }
            (_, None) => Err(format!("`{name}` exists and you have not read it: read it first with read_file")),
        }
    }

    fn edit(
        &mut self,
        at: Place,
        (old, new, all): (String, String, bool),
        memory: &Memory,
        limits: &Limits,
    ) -> Result<(FileChange, Learnt), String> {
        let (content, digest) = match self.after_of(&at) {
            Some(After::File { digest, content: Some(content) }) => (content, digest),
            Some(After::Absent) => {
                return Err("failed (not found): an earlier call of this turn took it away".to_owned());
            }
            Some(_) => return Err("an earlier call of this turn changes it: edit it in the next turn".to_owned()),
            None => match self.contents.get(&at) {
                Some(Ok(got)) => (got.bytes.clone(), got.digest.unwrap_or_else(|| digest_of(&got.bytes))),
                Some(Err(words)) => return Err(words.clone()),
                None => return Err("the file could not be read before the edit".to_owned()),
            },
        };
        let seen = memory.get(&at);
        let untouched = !self.after.contains_key(&at);
        if let Some(Seen::Whole(before) | Seen::Part { digest: before, .. }) = seen
            && untouched
            && before != digest
        {
            return Err(
                "failed (changed by someone else): the file is not as you read it; read it again first".to_owned()
            );
        }
        let edited = replace(&content, old.as_bytes(), new.as_bytes(), all, limits.write_bytes)?;
        let after = digest_of(&edited);
        // Who has not read the whole does not know it after an edit either.
        let learnt = match (seen, untouched) {
            (Some(Seen::Whole(_)), _) | (_, false) => Learnt::Whole(at.clone(), after),
            _ => Learnt::Gone(at.clone()),
        };
        self.after.insert(at.clone(), After::File { digest: after, content: Some(edited) });
        let (old, new) = (old.into_bytes(), new.into_bytes());
        Ok((FileChange::Edit { at, old, new, all, expect: digest }, learnt))
    }

    fn is_missing(&self, folder: &Place) -> bool {
        match self.after_of(folder) {
            Some(after) => after == After::Absent,
            None => matches!(
                self.stats.get(folder),
                Some(Outcome::Failed(failure)) if failure.kind == raincoat_types::FailureKind::NotFound
            ),
        }
    }

    /// What earlier changes of this turn make of a place; `None` where they do not touch it.
    fn after_of(&self, at: &Place) -> Option<After> {
        let mut place = at.clone();
        loop {
            match self.after.get(&place) {
                Some(found) if place == *at => return Some(found.clone()),
                // A folder that goes takes all beneath it along; one that comes says nothing of what is in it.
                Some(After::Absent) => return Some(After::Absent),
                _ => {}
            }
            place = parent(&place)?;
        }
    }

    fn moved(&mut self, from: &Place, to: &Place) {
        let below: Vec<_> = self.after.keys().filter(|place| is_within(place, from)).cloned().collect();
        for place in below {
            let after = self.after.remove(&place);
            let mut path = to.path.0.clone();
            path.extend_from_slice(place.path.0.get(from.path.0.len()..).unwrap_or_default());
            if let Some(after) = after {
                self.after.insert(Place { root: to.root, path: RawPath(path) }, after);
            }
        }
        self.after.entry(to.clone()).or_insert(After::Unknown);
        self.after.insert(from.clone(), After::Absent);
    }
}

impl Learnt {
    /// Puts it into the memory.
    pub(crate) fn remember(self, memory: &mut Memory) {
        match self {
            Learnt::Nothing => {}
            Learnt::Whole(at, digest) => memory.whole(at, digest),
            Learnt::Gone(at) => memory.forget(&at),
            Learnt::Moved(from, to) => memory.moved(&from, &to),
            Learnt::Copied(from, to) => {
                memory.forget(&to);
                if let Some(Seen::Whole(digest)) = memory.get(&from) {
                    memory.whole(to, digest);
                }
            }
        }
    }
}

fn step(change: FileChange, why: &str) -> PlanStep {
    PlanStep { change, why: why.to_owned() }
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}

/// The exact replacement, as the effect will do it.
fn replace(content: &[u8], old: &[u8], new: &[u8], all: bool, most: u64) -> Result<Vec<u8>, String> {
    let finder = memchr::memmem::Finder::new(old);
    match finder.find_iter(content).count() as u64 {
        0 => {
            let why = "it must match exactly, white space included; read the file again";
            return Err(format!("`old` does not occur in the file: {why}"));
        }
        n if n > 1 && !all => {
            let line = |at: usize| 1 + memchr::memchr_iter(b'\n', content.get(..at).unwrap_or_default()).count();
            let lines: Vec<_> = finder.find_iter(content).take(10).map(|at| line(at).to_string()).collect();
            return Err(format!(
                "`old` occurs {n} times (lines {}): give more of the text around it, or set `all`",
                lines.join(", ")
            ));
        }
        // What it would grow to is known before it grows.
        n if content.len() as u64 - n * old.len() as u64 + n.saturating_mul(new.len() as u64) > most => {
            return Err(format!("the file would grow over the {most} bytes that may be written"));
        }
        _ => {}
    }
    let mut out = Vec::with_capacity(content.len());
    let mut from = 0;
    for at in finder.find_iter(content) {
        out.extend_from_slice(content.get(from..at).unwrap_or_default());
        out.extend_from_slice(new);
        from = at + old.len();
    }
    out.extend_from_slice(content.get(from..).unwrap_or_default());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_replacement_must_be_of_one_place_or_of_all() {
        assert_eq!(replace(b"a b a", b"b", b"c", false, 99).unwrap(), b"a c a");
        assert_eq!(replace(b"a\nb\na", b"a", b"", true, 99).unwrap(), b"\nb\n");
        assert!(replace(b"a\nb\na", b"a", b"x", false, 99).unwrap_err().contains("2 times (lines 1, 3)"));
        assert!(replace(b"abc", b"d", b"x", false, 99).unwrap_err().contains("does not occur"));
    }

    #[test]
    fn a_file_that_would_grow_without_measure_is_refused_before_it_does() {
        let content = vec![b'a'; 1 << 20];
        let said = replace(&content, b"a", &vec![b'b'; 1 << 20], true, 64 << 20).unwrap_err();
        assert!(said.contains("grow over"), "{said}");
    }

    proptest! {
        #[test]
        fn replacing_everything_is_what_the_standard_library_does(text in "[ab]{0,30}", old in "[ab]{1,3}", new in "[abc]{0,3}") {
            let done = replace(text.as_bytes(), old.as_bytes(), new.as_bytes(), true, 999);
            match done {
                Ok(done) => prop_assert_eq!(done, text.replace(&old, &new).into_bytes()),
                Err(_) => prop_assert!(!text.contains(&old)),
            }
        }
    }
}
