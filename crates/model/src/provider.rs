//! Providers as plain data: where, which model, which credential by name.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

use crate::error::{ReplyError, visible};
use crate::json::{depth_within, error_message};

/// Models that one list may name.
const MODELS: usize = 10_000;

/// Whether a model is sent tools in the dialect's own way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NativeTools {
    /// As the model's own description says; tried where it says nothing.
    #[default]
    Auto,
    /// Tried whatever the description says. Where the provider refuses tools all the same, the loop speaks the text
    /// protocol and notes it.
    Yes,
    /// Never: the text protocol is spoken.
    No,
}

/// One configured provider. It holds the name of a credential, never the credential.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProviderConfig {
    /// The name it goes by: 1 to 64 lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// The base URL that `chat/completions` is appended to, such as `https://api.example.com/v1`.
    pub base_url: String,
    /// The model to ask.
    pub model: Option<String>,
    /// The model's context window in tokens, at least [`ProviderConfig::MIN_WINDOW`].
    pub window: Option<u32>,
    /// Whether it takes tools natively.
    #[serde(default)]
    pub native_tools: NativeTools,
    /// The credential's name in the vault; `None` for a provider that wants no key.
    pub key: Option<String>,
}

/// Why a provider's configuration is of no use.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProviderError {
    /// The name.
    #[error("`{0}` is no name for a provider: use 1 to 64 lower-case letters, digits, `-` and `_`")]
    Name(String),
    /// The URL does not parse, or has parts that a base URL must not have.
    #[error("`{url}` is no base URL: {why}; it looks like `https://api.example.com/v1`")]
    Url {
        /// What was given; anything before an `@` is left out, it may be a secret.
        url: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The window.
    #[error("a window of {0} tokens is too small to work in: give at least {min}", min = ProviderConfig::MIN_WINDOW)]
    Window(u32),
    /// The model's name.
    #[error("`{0}` is no name for a model: it is empty, too long, or has characters that do not show")]
    Model(String),
}

impl ProviderConfig {
    /// The smallest window that the loop can work in, in tokens.
    pub const MIN_WINDOW: u32 = 2_048;
    /// The window where none is configured, in tokens: what current local models have at least.
    pub const DEFAULT_WINDOW: u32 = 16_384;

    /// The window in tokens.
    pub fn window(&self) -> u32 {
        self.window.unwrap_or(Self::DEFAULT_WINDOW)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ProviderError`] for the first that will not do. Plain `http` will do for this machine only: a key sent over
    /// it could be read on the way.
    pub fn check(&self) -> Result<(), ProviderError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(allowed) {
            return Err(ProviderError::Name(visible(&self.name)));
        }
        check_url(&self.base_url)?;
        if let Some(window) = self.window.filter(|window| *window < Self::MIN_WINDOW) {
            return Err(ProviderError::Window(window));
        }
        match &self.model {
            Some(model) if model.is_empty() || model.len() > 256 || visible(model) != *model => {
                Err(ProviderError::Model(visible(model)))
            }
            _ => Ok(()),
        }
    }
}

fn check_url(text: &str) -> Result<(), ProviderError> {
    let wrong = |why| {
        let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
        Err(ProviderError::Url { url: visible(shown), why })
    };
    let Ok(url) = Url::parse(text) else { return wrong("it does not parse") };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("it has a user or a password in it (keys go into `raincoat key add`)");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("it has a `?` or a `#` in it");
    }
    let local = match url.host() {
        None => return wrong("it names no host"),
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if local => Ok(()),
        "http" => wrong("`http` is for this machine only, because a key sent over it could be read on the way"),
        _ => wrong("it begins with neither `https` nor `http`"),
    }
}

/// A model that a provider offers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its name, made visible and cut.
    pub id: String,
    /// Its context window in tokens, where the provider says (vLLM, llama.cpp, OpenRouter do, each in its own field).
    pub window: Option<u32>,
}

/// Reads a reply to a GET of [`crate::MODELS_PATH`]: for `provider test`, and to find a model's window.
///
/// # Errors
/// [`ReplyError`] where the status is no success, or the body is no list of models.
pub fn read_models(status: u16, body: &[u8]) -> Result<Vec<ModelInfo>, ReplyError> {
    let parsed = depth_within(body, 64).then(|| serde_json::from_slice::<Value>(body).ok()).flatten();
    let head = || visible(&String::from_utf8_lossy(body.get(..2048).unwrap_or(body)));
    if !(200..300).contains(&status) {
        let message = parsed.as_ref().and_then(error_message).map_or_else(head, |words| visible(&words));
        return Err(ReplyError::Status { status, message });
    }
    let list = parsed.as_ref().and_then(|value| value.get("data").unwrap_or(value).as_array());
    let Some(list) = list else {
        return Err(ReplyError::Malformed(format!("no list of models, it begins with `{}`", head())));
    };
    let window = |model: &Value| {
        let direct = ["context_length", "context_window", "max_model_len", "max_context_length"];
        let found = direct.iter().find_map(|key| model.get(*key).and_then(Value::as_u64));
        let found = found.or_else(|| model.pointer("/meta/n_ctx_train").and_then(Value::as_u64));
        found.and_then(|tokens| u32::try_from(tokens).ok()).filter(|tokens| *tokens > 0)
    };
    let info = |model: &Value| {
        let id = model.get("id").and_then(Value::as_str).or(model.as_str())?;
        Some(ModelInfo { id: visible(id), window: window(model) })
    };
    Ok(list.iter().filter_map(info).take(MODELS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, base_url: &str) -> ProviderConfig {
        let native_tools = NativeTools::Auto;
        ProviderConfig {
            name: name.into(),
            base_url: base_url.into(),
            model: None,
            window: None,
            native_tools,
            key: None,
        }
    }

    #[test]
    fn a_provider_is_reached_over_tls_or_on_this_machine() {
        for good in ["https://api.example.com/v1", "http://127.0.0.1:8080/v1", "http://[::1]:1/", "http://localhost/v1"]
        {
            assert_eq!(provider("a-1_b", good).check(), Ok(()), "{good}");
        }
        for bad in [
            "http://api.example.com/v1",
            "http://localhost.example.com/",
            "http://10.0.0.1/",
            "https://key:secret@example.com/",
            "https://example.com/?key=1",
            "https://example.com/#x",
            "ftp://example.com",
            "example.com/v1",
            "",
        ] {
            assert!(provider("a", bad).check().is_err(), "{bad}");
        }
        let words = provider("a", "https://key:hunter2@example.com/").check().unwrap_err().to_string();
        assert!(!words.contains("hunter2"), "{words}");
    }

    #[test]
    fn names_windows_and_models_are_checked() {
        for bad in ["", "A", "a b", "a/b", &"x".repeat(65)] {
            assert!(provider(bad, "https://e.com").check().is_err(), "{bad}");
        }
        let mut p = provider("a", "https://e.com");
        p.window = Some(10);
        assert_eq!(p.check(), Err(ProviderError::Window(10)));
        p.window = Some(8192);
        p.model = Some("m\u{202e}".into());
        assert!(p.check().is_err());
        p.model = Some("org/model:8b-q4".into());
        assert_eq!(p.check(), Ok(()));
    }

    #[test]
    fn a_list_of_models_is_read_in_each_servers_manner() {
        let body = br#"{"object":"list","data":[{"id":"a","max_model_len":4096},{"id":"b","meta":{"n_ctx_train":8192}},
            {"id":"c"},{"nope":1}]}"#;
        let models = read_models(200, body).unwrap();
        let ids: Vec<_> = models.iter().map(|m| (m.id.as_str(), m.window)).collect();
        assert_eq!(ids, [("a", Some(4096)), ("b", Some(8192)), ("c", None)]);
        assert!(matches!(read_models(200, b"<html>"), Err(ReplyError::Malformed(_))));
        let error = read_models(401, br#"{"error":{"message":"bad key"}}"#).unwrap_err();
        assert_eq!(error, ReplyError::Status { status: 401, message: "bad key".into() });
    }
}
