//! The process between the keeper and the enclosure.

/// The whole of the process that encloses, under the first argument [`super::ENCLOSE`]. Called first thing in `main`,
/// in a process with one thread. Returns its exit code.
pub fn enclose_main() -> i32 {
    1
}
