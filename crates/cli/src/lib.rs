//! The binary `raincoat`: arguments in, words out.

#[cfg(test)]
mod demo;
