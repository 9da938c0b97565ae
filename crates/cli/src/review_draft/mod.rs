//! The review of a draft: a screen with the tree of its changes and the difference of each, where the person takes or
//! leaves files, folders and hunks and settles conflicts; and the same as plain text and JSON where there is no
//! terminal. What the changes are comes from a [`Source`]; what becomes of the answers is for who asked.

mod acts;
mod door;
mod draw;
mod fit;
mod keys;
mod list;
mod look;
mod model;
mod plain;
mod screen;
mod sides;
mod tree;

pub(crate) use model::{Blob, Choice, Content, Entry, Mark, Opened, Resolution, Source};
pub(crate) use plain::{json, print};

use crate::error::{Result, system};
use crate::signals;

/// Shows the changes on the terminal, which standard input and standard error are, and asks. `None` where the person
/// left without committing, or the terminal went away: the draft stays as it is. Else one choice for each entry, in the
/// source's order; a conflict that nobody settled is rejected.
///
/// # Errors
/// The system's, of the terminal.
pub(crate) fn review(source: &mut dyn Source, colour: bool) -> Result<Option<Vec<Choice>>> {
    let fail = |why| system("show the review", why);
    // Signals end the review, not the process: the terminal has to be put back.
    let asking = signals::asking()?;
    let mut terminal = door::Terminal::start(asking.stop()).map_err(fail)?;
    screen::Screen::new(source, colour).run(&mut terminal).map_err(fail)
}

#[cfg(test)]
mod tests;
