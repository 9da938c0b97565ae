//! Single changes, decisions and records, made by the programs with the work.

use std::cell::RefCell;
use std::rc::Rc;

use super::super::served::Served;
use super::super::{Bench, Side};
use crate::Result;

pub(super) fn changes(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let asked = [
        "protected replace 4096",
        "plain replace 4096",
        "protected again 4096",
        "plain again 4096",
        "protected new 4096",
        "plain new 4096",
    ];
    sides(bench, &asked)
}

pub(super) fn large_changes(bench: &Bench<'_>) -> Result<Vec<Side>> {
    let asked = [
        "protected replace 1048576",
        "plain replace 1048576",
        "protected replace 16777216",
        "plain replace 16777216",
        "protected known 1048576",
        "plain again 1048576",
        "protected known 16777216",
        "plain again 16777216",
        "protected again 1048576",
        "plain again 1048576",
    ];
    sides(bench, &asked)
}

pub(super) fn rows_of_changes(bench: &Bench<'_>) -> Result<Vec<Side>> {
    sides(bench, &["protected row 100 4096", "plain row 100 4096"])
}

pub(super) fn records(bench: &Bench<'_>) -> Result<Vec<Side>> {
    sides(bench, &["protected log", "protected intend", "plain append 512"])
}

pub(super) fn decisions(bench: &Bench<'_>) -> Result<Vec<Side>> {
    sides(bench, &["gate allow", "gate deny", "gate ask", "gate names", "gate grants", "gate rules", "gate stat"])
}

fn sides(bench: &Bench<'_>, asked: &[&'static str]) -> Result<Vec<Side>> {
    Ok(sides_of(Served::start(bench.measure, bench.scratch)?, asked))
}

/// A side for each line that a program is asked.
pub(super) fn sides_of(served: Served, asked: &[&'static str]) -> Vec<Side> {
    let served = Rc::new(RefCell::new(served));
    let side = |what: &'static str| -> Side {
        let served = served.clone();
        Side::here(move || served.borrow_mut().ask(what))
    };
    asked.iter().copied().map(side).collect()
}
