//! Providers of models, and their keys.

use clap::{Args, Subcommand, ValueEnum};

/// Of providers.
#[derive(Subcommand, Debug)]
pub(crate) enum Provider {
    /// Add a provider that speaks the OpenAI chat-completions dialect
    #[command(after_long_help = "Examples:\n  raincoat provider add local --url http://127.0.0.1:8080/v1\n  \
        raincoat provider add big --url https://api.example.com/v1 --model large --key big\n  \
        raincoat key add big")]
    Add(ProviderAdd),
    /// List the providers
    List,
    /// Ask a provider for its models
    Test {
        /// Its name
        name: String,
    },
    /// Remove a provider
    Remove {
        /// Its name
        name: String,
    },
}

/// A provider.
#[derive(Args, Debug)]
pub(crate) struct ProviderAdd {
    /// The name it goes by: small letters, digits, `-` and `_`
    pub(crate) name: String,
    /// The base URL; plain http for this machine only
    #[arg(long)]
    pub(crate) url: String,
    /// The model to ask
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// The model's context window, in tokens
    #[arg(long, value_name = "TOKENS")]
    pub(crate) window: Option<u32>,
    /// Whether the model is offered tools in the dialect's own way
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) native_tools: Tools,
    /// The key it wants, by the name given to `raincoat key add`
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
}

/// See [`raincoat_runtime::NativeTools`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Tools {
    /// As the model's own description says
    Auto,
    /// Yes
    Yes,
    /// No: a text protocol is spoken
    No,
}

/// Of keys.
#[derive(Subcommand, Debug)]
pub(crate) enum Key {
    /// Add a key, or a new version of it, read from a hidden prompt or from standard input
    #[command(after_long_help = "Never from an argument: others could read it there.\n\nExamples:\n  \
        raincoat key add big\n  secret-tool lookup api big | raincoat key add big")]
    Add {
        /// Its name
        name: String,
    },
    /// List the keys by name; never what they are
    List,
    /// Remove a key
    Remove {
        /// Its name
        name: String,
    },
}
