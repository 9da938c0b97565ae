//! The agent's side: the loop with a model, the tools it may propose, and recipes that need no model. It runs in the
//! worker, which has one socket and nothing else; it can propose and be told, no more.

pub mod extract;
pub mod keeper;
pub mod recipes;
