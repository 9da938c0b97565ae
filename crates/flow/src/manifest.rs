//! Tool manifests: what somebody who knows a tool says of it. They name tools and arguments and nothing else, and are
//! pinned: a tool whose definition has another hash than the manifest's is not the tool that was looked at.

use std::collections::BTreeMap;

use raincoat_gate::{Effect, Part};
use toml_edit::{DocumentMut, Item, TableLike};

/// Manifests by tool.
///
/// ```
/// let text = r#"
///     [tools.send_note]
///     effect = "send"                      # read, fetch, change, send, destroy, pay, credential, run
///     pin = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
///     arguments = { to = "reach", text = "content" }   # reach, thing, content, command, secret
/// "#;
/// assert!(raincoat_flow::Manifest::parse(text).is_ok());
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Manifest {
    tools: BTreeMap<String, Entry>,
}

/// What is said of one tool.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Entry {
    /// SHA-256 of the canonical definition, in hex.
    pub(crate) pin: Option<String>,
    pub(crate) effect: Option<Effect>,
    /// What comes out of it was written by the owner, or by nobody.
    pub(crate) trusted: bool,
    pub(crate) arguments: BTreeMap<String, Part>,
}

/// Why a manifest cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestError(String);

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ManifestError {}

impl Manifest {
    /// Reads a manifest. What it does not know it refuses: a misspelt word must not loosen anything unseen.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        let document: DocumentMut = text
            .parse()
            .map_err(|error| ManifestError(format!("the manifest is no TOML: {error}; see docs/labels.md")))?;
        let mut out = Manifest::default();
        for (key, item) in document.iter() {
            let tools = match (key, item.as_table_like()) {
                ("tools", Some(tools)) => tools,
                _ => return Err(unknown(key, "the manifest", "`[tools.NAME]`")),
            };
            for (name, item) in tools.iter() {
                let table = item.as_table_like().ok_or_else(|| unknown(name, "`tools`", "tables"))?;
                out.tools.insert(name.to_owned(), entry(name, table)?);
            }
        }
        Ok(out)
    }

    /// Adds another manifest's tools. Where both speak of a tool, the other is taken.
    pub fn extend(&mut self, other: Manifest) {
        self.tools.extend(other.tools);
    }

    pub(crate) fn entry(&self, tool: &str) -> Option<&Entry> {
        self.tools.get(tool)
    }
}

fn entry(tool: &str, table: &dyn TableLike) -> Result<Entry, ManifestError> {
    let mut out = Entry::default();
    for (key, item) in table.iter() {
        match key {
            "pin" => {
                let pin = text(tool, key, item)?;
                if pin.len() != 64 || !pin.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
                    return Err(unknown(pin, &format!("`pin` of `{tool}`"), "64 lower-case hex digits"));
                }
                out.pin = Some(pin.to_owned());
            }
            "effect" => {
                let word = text(tool, key, item)?;
                let effect = EFFECTS.iter().find(|(name, _)| *name == word).map(|(_, effect)| *effect);
                out.effect =
                    Some(effect.ok_or_else(|| unknown(word, &format!("`effect` of `{tool}`"), &listed(&EFFECTS)))?);
            }
            "trusted" => {
                out.trusted =
                    item.as_bool().ok_or_else(|| unknown(key, &format!("`{tool}`"), "`trusted = true` or `false`"))?;
            }
            "arguments" => {
                let table = item.as_table_like().ok_or_else(|| unknown(key, &format!("`{tool}`"), "a table"))?;
                for (argument, item) in table.iter() {
                    let word = text(tool, argument, item)?;
                    let part = PARTS.iter().find(|(name, _)| *name == word).map(|(_, part)| *part);
                    let part =
                        part.ok_or_else(|| unknown(word, &format!("`{argument}` of `{tool}`"), &listed(&PARTS)))?;
                    out.arguments.insert(argument.to_owned(), part);
                }
            }
            _ => return Err(unknown(key, &format!("`{tool}`"), "`pin`, `effect`, `trusted` and `arguments`")),
        }
    }
    Ok(out)
}

const EFFECTS: [(&str, Effect); 8] = [
    ("read", Effect::Read),
    ("fetch", Effect::Fetch),
    ("change", Effect::Change),
    ("send", Effect::Send),
    ("destroy", Effect::Destroy),
    ("pay", Effect::Pay),
    ("credential", Effect::Credential),
    ("run", Effect::Run),
];

const PARTS: [(&str, Part); 5] = [
    ("reach", Part::Reach),
    ("thing", Part::Thing),
    ("content", Part::Content),
    ("command", Part::Command),
    ("secret", Part::Secret),
];

fn text<'a>(tool: &str, key: &str, item: &'a Item) -> Result<&'a str, ManifestError> {
    item.as_str().ok_or_else(|| unknown(key, &format!("`{tool}`"), "a text in quotation marks"))
}

fn unknown(what: &str, place: &str, known: &str) -> ManifestError {
    ManifestError(format!("`{what}` in {place} is not understood; it takes {known}"))
}

fn listed<T>(words: &[(&str, T)]) -> String {
    words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_says_what_a_tool_is() {
        let manifest =
            Manifest::parse("[tools.a]\neffect = \"send\"\ntrusted = true\narguments = { x = \"reach\" }\n").unwrap();
        let entry = manifest.entry("a").unwrap();
        assert_eq!(
            (entry.effect, entry.trusted, entry.arguments.get("x")),
            (Some(Effect::Send), true, Some(&Part::Reach))
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, quotes) in [
            ("[tool.a]", "`tool`"),
            ("[tools]\na = 1", "`a`"),
            ("[tools.a]\neffects = 1", "`effects`"),
            ("[tools.a]\neffect = \"reed\"", "`reed`"),
            ("[tools.a]\npin = \"12\"", "`12`"),
            ("[tools.a]\ntrusted = \"yes\"", "`trusted`"),
            ("[tools.a]\narguments = { x = \"to\" }", "`to`"),
            ("[tools.a]\narguments = 1", "`arguments`"),
            ("[tools.a", "TOML"),
        ] {
            let error = Manifest::parse(text).unwrap_err().to_string();
            assert!(error.contains(quotes), "{text}: {error}");
        }
    }
}
