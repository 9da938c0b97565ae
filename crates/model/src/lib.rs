//! Provider dialects without any input or output: what to send as bytes, and what the bytes that come back mean. The
//! first dialect is OpenAI's chat completions, which hosted and local servers alike speak.
//!
//! Everything that comes from a provider is hostile until it has been read: [`Decoder`] takes it in pieces of any
//! size, holds it against [`ReplyLimits`], and ends in a [`Reply`] or in a [`ReplyError`] in words. What it does not
//! know it keeps, and gives it back untouched in the next request (thought signatures, reasoning).

mod decode;
mod error;
mod json;
mod merge;
mod provider;
mod request;
mod sse;
mod tokens;

pub use decode::{Decoder, Event, Finish, Reply, ToolCall, Usage};
pub use error::{ReplyError, ReplyLimits, visible};
pub use json::{Nesting, depth_within};
pub use provider::{ModelInfo, NativeTools, ProviderConfig, ProviderError, read_models};
pub use request::{CHAT_PATH, MODELS_PATH, Message, Request, ToolSpec};
pub use tokens::estimate;
