//! What loading accepts, in one place.

/// Policy files in one load.
pub const FILES: usize = 64;
/// Bytes of one policy file.
pub const FILE_BYTES: usize = 1 << 20;
/// Policies in one load, all files together.
pub const POLICIES: usize = 4096;
/// Bytes of one policy, annotations and comments included.
pub const POLICY_BYTES: usize = 128 << 10;
/// How deep brackets may nest in one policy. An `if` counts as one, for each lies in the one before.
pub const DEPTH: usize = 32;
/// Operators and dots outside of strings in one policy, character by character: each may make its expression one level
/// deeper. As deep as this lets it, a policy fits on a stack of 1 MiB.
pub const OPERATORS: usize = 256;
/// Examples of one policy, those that match and those that do not together.
pub const EXAMPLES: usize = 64;
/// Problems that one load names; more are only counted.
pub const PROBLEMS: usize = 100;
/// Combinations of policies that are kept ready; over that, they are put together anew.
pub const SLICES: usize = 1024;
