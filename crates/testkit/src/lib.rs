//! For tests only: what stands in for the world outside, and what measures ours against it.

#[expect(clippy::disallowed_methods, reason = "what it calls is what the sandbox is to refuse")]
pub mod hostile;
pub mod llama;
pub mod model_server;
