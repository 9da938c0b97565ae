//! After a crash: a commit that had come to its point is carried through, or taken back where that cannot be. One that
//! had not is cleared up behind.

use raincoat_types::{FailureKind, OpId, OpRecord, OpResult};

use super::act::Stop;
use super::carry::Carrying;
use super::point::{Deed, Lies, Point};
use super::prepare::Op;
use super::{Begin, CarriedThrough};
use crate::engine::Engine;

/// Settles an interrupted commit.
pub(super) fn recover(
    engine: &Engine,
    begin: &Begin,
    point: Option<&Point>,
    records: &[OpRecord],
) -> Result<CarriedThrough, String> {
    let Some(point) = point else {
        let mut carrying = Carrying::resume(engine, begin, Vec::new(), Vec::new());
        carrying.back().map_err(|failure| failure.message)?;
        let why = "interrupted before anything was committed";
        return Ok(CarriedThrough { results: all_back(records, why), forward: false, words: carrying.words });
    };
    let mut ops = Vec::with_capacity(records.len());
    for (record, deed) in records.iter().zip(&point.deeds) {
        let change = record.intent.change.clone();
        let places = change.spots();
        let n = places.first().and_then(|at| engine.resolver.index_of(at.grant));
        let n = n.ok_or_else(|| "a folder of the commit is not part of this run".to_owned())?;
        // Whether the draft's file was made ready is not known: it is again.
        let set =
            matches!(deed, Deed::Bring(Lies::Upper | Lies::Staged(_)) | Deed::Swap(Lies::Upper | Lies::Staged(_)));
        ops.push(Op { n, change, deed: *deed, set, strip: Vec::new(), racy: true });
    }
    if ops.len() != records.len() || ops.len() != point.deeds.len() {
        return Err("the journal has not all of the commit".to_owned());
    }
    let was_taken_back =
        records.iter().any(|record| matches!(record.result, Some(OpResult::NotDone(_) | OpResult::RolledBack(_))));
    let mut carrying = Carrying::resume(engine, begin, ops, point.dirs.clone());
    if !was_taken_back {
        match carrying.forward() {
            Ok(results) => {
                let pending = results.into_iter().zip(records).filter(|(_, record)| record.result.is_none());
                let results = pending.map(|(result, _)| result).collect();
                return Ok(CarriedThrough { results, forward: true, words: carrying.words });
            }
            Err(Stop::Failed(failure)) if failure.kind == FailureKind::Broken => return Err(failure.message),
            Err(Stop::Failed(failure)) => carrying.words.push(failure.message),
            Err(Stop::Conflict(_, words)) => carrying.words.push(words),
        }
    }
    carrying.back().map_err(|failure| failure.message)?;
    let why = "interrupted, and taken back";
    Ok(CarriedThrough { results: all_back(records, why), forward: false, words: carrying.words })
}

fn all_back(records: &[OpRecord], why: &str) -> Vec<(OpId, OpResult)> {
    let pending = records.iter().filter(|record| record.result.is_none());
    pending.map(|record| (record.intent.op, OpResult::RolledBack(why.to_owned()))).collect()
}
