//! A profile's file, read: every key is known, every value sound, or the line is told.

use std::ops::Range;

use raincoat_runtime::{Class, Error, ProxyRules};
use toml_edit::{Document, Item, Key, TableLike, Value};

use super::{How, Mount, Profile, Source};
use crate::error::{Result, error};

const KEYS: &str = "description, match, net, protected, secrets, nest, [[mount]], [env], [limits]";
const LIMITS: [&str; 6] = ["cpu", "mem", "procs", "disk", "time", "files"];
/// Our own directories, wherever the environment puts them: no program sees them.
const OURS: [&str; 4] = [".config/raincoat", ".local/share/raincoat", ".local/state/raincoat", ".raincoat"];
/// Entries of one list, at most.
const LIST_MOST: usize = 200;

/// Reads the text of the file that is shown as `file`.
///
/// # Errors
/// The file, the line, what is wrong and what would be right.
pub(super) fn parse(name: &str, source: Source, text: &str, file: &str) -> Result<Profile> {
    let place = Place { text, file };
    let document = Document::parse(text).map_err(|why| place.bad(why.span(), why.message().trim()))?;
    let mut profile = Profile {
        name: name.to_owned(),
        source,
        description: String::new(),
        net: Vec::new(),
        mounts: Vec::new(),
        env_pass: Vec::new(),
        env_set: Vec::new(),
        protected: Vec::new(),
        secrets: Vec::new(),
        nest: false,
        limits: Vec::new(),
        commands: Vec::new(),
    };
    for (key, item) in document.iter() {
        let span = document.key(key).and_then(Key::span).or_else(|| item.span());
        match key {
            "description" => profile.description = place.line(key, item, span)?,
            "match" => profile.commands = place.list(key, item, span, command)?,
            "net" => profile.net = place.list(key, item, span, host)?,
            "protected" => profile.protected = place.list(key, item, span, relative)?,
            "secrets" => profile.secrets = place.list(key, item, span, single_name)?,
            "nest" => {
                profile.nest = item.as_bool().ok_or_else(|| place.bad(span, "`nest` is true or false"))?;
            }
            "mount" => profile.mounts = place.mounts(item, span)?,
            "env" => place.env(item, span, &mut profile)?,
            "limits" => profile.limits = place.limits(item, span)?,
            _ => return Err(place.bad(span, &format!("a profile has no `{key}`; it has: {KEYS}"))),
        }
    }
    if profile.description.is_empty() {
        return Err(place.bad(None, "a profile needs a `description`: what it is for, in a line"));
    }
    Ok(profile)
}

/// Where words about a line come from.
struct Place<'a> {
    text: &'a str,
    file: &'a str,
}

type Span = Option<Range<usize>>;

impl Place<'_> {
    fn bad(&self, span: Span, words: &str) -> Error {
        let at = span.map_or(0, |span| span.start);
        let line = self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        let hint = "put the line right; `raincoat profiles git` shows a profile that can be read";
        error(Class::Usage, format!("{}, line {line}: {words}", self.file), hint)
    }

    fn line(&self, key: &str, item: &Item, span: Span) -> Result<String> {
        let text = item.as_str().map(str::trim).filter(|text| !text.is_empty() && !text.contains(char::is_control));
        text.map(str::to_owned).ok_or_else(|| self.bad(span, &format!("`{key}` is one line of text in quotes")))
    }

    fn list(&self, key: &str, item: &Item, span: Span, check: fn(&str) -> Check) -> Result<Vec<String>> {
        let Some(array) = item.as_array() else {
            return Err(self.bad(span, &format!("`{key}` is a list of texts, as in [\"one\", \"two\"]")));
        };
        if array.len() > LIST_MOST {
            return Err(self.bad(span, &format!("`{key}` has {} entries, and {LIST_MOST} is the most", array.len())));
        }
        let mut texts: Vec<String> = Vec::new();
        for value in array {
            let at = value.span().or_else(|| span.clone());
            let Some(text) = value.as_str() else {
                return Err(self.bad(at, &format!("`{key}` is a list of texts, as in [\"one\", \"two\"]")));
            };
            check(text).map_err(|why| self.bad(at.clone(), &format!("`{key}`: {why}")))?;
            if texts.iter().any(|seen| seen == text) {
                return Err(self.bad(at, &format!("`{key}` names `{text}` twice")));
            }
            texts.push(text.to_owned());
        }
        Ok(texts)
    }

    fn mounts(&self, item: &Item, span: Span) -> Result<Vec<Mount>> {
        let Some(tables) = item.as_array_of_tables() else {
            return Err(self.bad(span, "a mount is written as [[mount]], with `path` and `how` in the lines below"));
        };
        let mut mounts: Vec<Mount> = Vec::new();
        for table in tables {
            let at = table.span();
            let (mut below, mut how) = (None, None);
            for (key, item) in table {
                let span = table.key(key).and_then(Key::span).or_else(|| at.clone());
                let value = self.line(key, item, span.clone());
                match key {
                    "path" => below = Some(home_path(&value?).map_err(|why| self.bad(span, &why))?),
                    "how" => how = Some(how_of(&value?).map_err(|why| self.bad(span, &why))?),
                    _ => return Err(self.bad(span, &format!("a [[mount]] has no `{key}`; it has: path, how"))),
                }
            }
            let (Some(below), Some(how)) = (below, how) else {
                return Err(self.bad(at, "a [[mount]] needs both `path` and `how`"));
            };
            if mounts.iter().any(|mount| mount.below == below) {
                return Err(self.bad(at, &format!("`~/{below}` is mounted twice")));
            }
            mounts.push(Mount { below, how });
        }
        if mounts.len() > LIST_MOST {
            return Err(self.bad(span, &format!("there are {} mounts, and {LIST_MOST} is the most", mounts.len())));
        }
        Ok(mounts)
    }

    fn env(&self, item: &Item, span: Span, profile: &mut Profile) -> Result<()> {
        let table = self.table("env", item, span)?;
        for (key, item) in table.iter() {
            let span = table.key(key).and_then(Key::span).or_else(|| item.span());
            match key {
                "pass" => profile.env_pass = self.list("pass", item, span, variable_or_prefix)?,
                "set" => {
                    let set = self.table("set", item, span)?;
                    for (name, item) in set.iter() {
                        let span = set.key(name).and_then(Key::span).or_else(|| item.span());
                        variable(name).map_err(|why| self.bad(span.clone(), &why))?;
                        let value = item.as_str().filter(|text| !text.contains('\0'));
                        let value = value.ok_or_else(|| self.bad(span, &format!("`{name}` is a text in quotes")))?;
                        profile.env_set.push((name.to_owned(), value.to_owned()));
                    }
                }
                _ => return Err(self.bad(span, &format!("[env] has no `{key}`; it has: pass, set"))),
            }
        }
        Ok(())
    }

    fn limits(&self, item: &Item, span: Span) -> Result<Vec<(String, String)>> {
        let table = self.table("limits", item, span)?;
        let mut limits = Vec::new();
        for (key, item) in table.iter() {
            let span = table.key(key).and_then(Key::span).or_else(|| item.span());
            if !LIMITS.contains(&key) {
                return Err(self.bad(span, &format!("there is no limit `{key}`; there are: {}", LIMITS.join(", "))));
            }
            let value = match item.as_value() {
                Some(Value::String(text)) => text.value().clone(),
                Some(Value::Integer(number)) => number.value().to_string(),
                _ => String::new(),
            };
            if !is_amount(&value) {
                let words = format!("`{key}` is a number with its unit as after --limit, such as \"512M\" or \"10m\"");
                return Err(self.bad(span, &words));
            }
            limits.push((key.to_owned(), value));
        }
        Ok(limits)
    }

    fn table<'t>(&self, name: &str, item: &'t Item, span: Span) -> Result<&'t dyn TableLike> {
        item.as_table_like().ok_or_else(|| self.bad(span, &format!("`{name}` is a table, as in [{name}]")))
    }
}

/// Nothing, or why a text cannot be meant.
type Check = std::result::Result<(), String>;

fn host(text: &str) -> Check {
    ProxyRules::parse(&[text.to_owned()]).map(|_| ())
}

fn command(text: &str) -> Check {
    if text.is_empty() || text.contains('/') || text.contains(char::is_control) {
        return Err(format!("`{}` is not the name of a command alone", text.escape_debug()));
    }
    Ok(())
}

fn single_name(text: &str) -> Check {
    match relative(text) {
        Ok(()) if text.contains('/') => Err(format!("`{text}` is not one name at the top of a folder")),
        other => other,
    }
}

/// Names joined by `/`.
fn relative(text: &str) -> Check {
    let sound = text.split('/').all(|name| !matches!(name, "" | "." | "..")) && !text.contains(char::is_control);
    if sound { Ok(()) } else { Err(format!("`{}` is not a name, or names joined by `/`", text.escape_debug())) }
}

fn variable_or_prefix(text: &str) -> Check {
    match text.strip_suffix('*') {
        // `*` alone would hand everything over, and a letter nearly so.
        Some(prefix) if prefix.len() < 3 || !prefix.ends_with('_') => {
            Err(format!("`{}` is not a prefix of names: those end in `_*`, as in `NPM_*`", text.escape_debug()))
        }
        Some(prefix) => variable(prefix),
        None => variable(text),
    }
}

fn variable(text: &str) -> Check {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if first && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(());
    }
    Err(format!("`{}` is not the name of a variable", text.escape_debug()))
}

/// The part of a path behind `~/`.
fn home_path(text: &str) -> std::result::Result<String, String> {
    let below = text.strip_prefix("~/").filter(|below| relative(below).is_ok());
    let Some(below) = below else {
        return Err(format!("`{text}` is not a path in your home, as in `~/.cache/pip`, without `.` and `..`"));
    };
    let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
    if OURS.iter().any(|ours| within(below, ours) || within(ours, below)) {
        return Err(format!("`{text}` holds raincoat's own data, which no program sees: name what it needs there"));
    }
    Ok(below.to_owned())
}

fn how_of(text: &str) -> std::result::Result<How, String> {
    let hows = [How::Draft, How::Read, How::Cache, How::Empty];
    let known = hows.into_iter().find(|how| how.word() == text);
    known.ok_or_else(|| format!("`how` is \"draft\", \"read\", \"cache\" or \"empty\", and not \"{text}\""))
}

fn is_amount(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    (1..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && text.len() - digits.len() <= 3
}
