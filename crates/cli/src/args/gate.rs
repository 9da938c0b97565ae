//! The flags of the decision service.

use std::path::PathBuf;

use clap::Args;

pub(crate) const HELP: &str = "The agent's loop says what the user asked for and which tools there are, then each call \
    before it is made and each result after it. Calls that the request does not call for, and calls whose recipient, \
    account, address or command comes from what was read, are asked about or denied. Nothing is stored, nothing is \
    sent anywhere, no model is asked. docs/gate-protocol.md has the messages, docs/labels.md what is guaranteed.\n\n\
    Example:\n  raincoat gate --stdio --manifests tools.toml";

/// Of `raincoat gate`.
#[derive(Args, Debug)]
pub(crate) struct Gate {
    /// Speak JSON lines on standard input and output
    #[arg(long, required = true)]
    pub(crate) stdio: bool,
    /// What is known of some tools: a TOML file; may be given more than once, a later one wins
    #[arg(long, value_name = "FILE")]
    pub(crate) manifests: Vec<PathBuf>,
}
