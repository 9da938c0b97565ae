//! For tests only: what stands in for the world outside, and what measures ours against it.

#[allow(
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "it does what no room may, and where it falls over there is nothing to lose"
)]
pub mod hostile;
pub mod llama;
pub mod measure;
pub mod model_server;
