//! For tests only: what stands in for the world outside, and what measures ours against it.

pub mod hostile;
pub mod llama;
pub mod model_server;
