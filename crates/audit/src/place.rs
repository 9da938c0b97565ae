//! Finding out what was done to entries that are not those that should be there. Each entry opens only at its own
//! index, so an entry that was moved still says where it belongs.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::entry::{Scratch, Sealer};
use crate::report::{ProblemKind, VerifyReport};

/// How far around its place an entry is looked for.
const WINDOW: u64 = 512;

/// How many attempts one verification spends on looking.
const ATTEMPTS: u32 = 400_000;

/// Tells where entries belong.
pub(crate) struct Placer<'a> {
    sealer: &'a Sealer,
    attempts: u32,
    scratch: Scratch,
}

impl<'a> Placer<'a> {
    pub(crate) fn new(sealer: &'a Sealer) -> Placer<'a> {
        Placer { sealer, attempts: ATTEMPTS, scratch: Scratch::default() }
    }

    /// For each entry, found from `first` on, the index where it belongs; `None` for what belongs nowhere near.
    pub(crate) fn places(&mut self, first: u64, sealed: &[&[u8]]) -> Vec<Option<u64>> {
        let mut shift = 0_i64;
        let mut places = Vec::with_capacity(sealed.len());
        for (at, entry) in (first..).zip(sealed) {
            let place = self.place(at, shift, entry);
            if let Some(place) = place {
                shift = place.cast_signed().wrapping_sub(at.cast_signed());
            }
            places.push(place);
        }
        places
    }

    fn place(&mut self, at: u64, shift: i64, sealed: &[u8]) -> Option<u64> {
        let likely = [Some(at), at.checked_add_signed(shift)];
        let around = at.saturating_sub(WINDOW)..at.saturating_add(WINDOW);
        likely.into_iter().flatten().chain(around).find(|place| {
            let may = self.attempts > 0;
            self.attempts = self.attempts.saturating_sub(1);
            may && self.sealer.outer(*place, sealed, &mut self.scratch).is_ok()
        })
    }
}

/// Says in words how `found` (the places where the entries that stand there belong) differs from `expected`.
pub(crate) fn compare(report: &mut VerifyReport, expected: Range<u64>, found: &[Option<u64>]) {
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    for place in found.iter().flatten() {
        *times.entry(*place).or_default() += 1;
    }
    let mut missing: Vec<u64> = expected.clone().filter(|place| !times.contains_key(place)).collect();
    let mut newest = None;
    for (at, place) in (expected.start..).zip(found) {
        match place {
            None => match missing.binary_search(&at) {
                Ok(position) => {
                    missing.remove(position);
                    let text = format!("entry {at} was changed: it does not open with this store's key");
                    report.problem(ProblemKind::Changed, Some(at), text);
                }
                Err(_) => {
                    let text = format!("what stands at {at} was added: it is no entry of this log");
                    report.problem(ProblemKind::Added, Some(at), text);
                }
            },
            Some(place) if times.get(place).is_some_and(|times| *times > 1) => {
                if times.remove(place).is_some() {
                    report.problem(ProblemKind::Duplicated, Some(*place), format!("entry {place} stands there twice"));
                }
            }
            Some(place) => {
                let in_order = newest.is_none_or(|newest| newest < *place) && expected.contains(place);
                if !in_order {
                    let text = format!("entries are in another order: entry {place} stands at {at}");
                    report.problem(ProblemKind::Reordered, Some(*place), text);
                }
                newest = newest.max(Some(*place));
            }
        }
    }
    for place in missing {
        report.problem(ProblemKind::Dropped, Some(place), format!("entry {place} is missing"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(found: &[Option<u64>]) -> Vec<(ProblemKind, Option<u64>)> {
        let mut report = VerifyReport::default();
        compare(&mut report, 10..15, found);
        report.problems.iter().map(|problem| (problem.kind, problem.entry)).collect()
    }

    #[test]
    fn what_was_done_is_told_by_name() {
        let at = |places: &[u64]| places.iter().map(|place| Some(*place)).collect::<Vec<_>>();
        assert_eq!(kinds(&at(&[10, 11, 12, 13, 14])), []);
        assert_eq!(kinds(&at(&[10, 12, 13, 14])), [(ProblemKind::Dropped, Some(11))]);
        assert_eq!(kinds(&at(&[10, 12, 11, 13, 14])), [(ProblemKind::Reordered, Some(11))]);
        assert_eq!(kinds(&at(&[10, 11, 11, 12, 13, 14])), [(ProblemKind::Duplicated, Some(11))]);
        let mut found = at(&[10, 11, 12, 13, 14]);
        found[2] = None;
        assert_eq!(kinds(&found), [(ProblemKind::Changed, Some(12))]);
        let mut found = at(&[10, 11, 12, 13, 14]);
        found.insert(2, None);
        assert_eq!(kinds(&found), [(ProblemKind::Added, Some(12))]);
        assert_eq!(kinds(&at(&[10, 11, 300, 13, 14]))[0], (ProblemKind::Reordered, Some(300)));
    }
}
