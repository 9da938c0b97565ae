//! placeholder

// For the demo, which proves with them that undo gave everything back; `cli` may not use `os` itself.
pub use raincoat_os::{scratch, snapshot};
