//! Text out of documents, in the worker, from bytes in memory.

mod metadata;

pub use metadata::{Media, Metadata, metadata};

/// Runs a parser of somebody else's format and turns a panic within it into `None`. Parsers of such formats are large
/// and their inputs hostile; this is the one edge where a panic is caught, so that one bad file ends in an error and
/// not the run. (The worker's own limits on memory and time stand beside it.)
fn guarded<T>(parse: impl FnOnce() -> T) -> Option<T> {
    // Nothing that the closure borrowed is used after a panic: what it was making is dropped with it.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(parse)).ok()
}
