//! The demo: a messy folder of real files, and everything the product does with it.

pub(crate) mod tree;
