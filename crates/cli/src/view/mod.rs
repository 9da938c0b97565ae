//! How things look: nothing here reads or changes anything.

pub(crate) mod diff;
pub(crate) mod selection;
pub(crate) mod size;
pub(crate) mod table;
pub(crate) mod tree;
pub(crate) mod visible;
