//! Single changes and decisions, made by the program with the work.

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
        "protected replace 1048576",
        "plain replace 1048576",
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
    sides(bench, &["gate allow", "gate deny", "gate ask", "gate names", "gate stat"])
}

fn sides(bench: &Bench<'_>, asked: &[&'static str]) -> Result<Vec<Side>> {
    let served = Rc::new(RefCell::new(Served::start(bench.measure, bench.scratch)?));
    let side = |what: &'static str| -> Side {
        let served = served.clone();
        Side::here(move || served.borrow_mut().ask(what))
    };
    Ok(asked.iter().copied().map(side).collect())
}
