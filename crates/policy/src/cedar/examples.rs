//! Requests in one line, as rules' examples and `policy explain` write them:
//!
//! ```text
//! ACTOR ACTION THING [KEY=VALUE ...]
//! agent:default write /home/u/books/a.csv approved=true tainted=false
//! ```
//!
//! - ACTOR: `person`, `agent:NAME`, `recipe:NAME`, `program:NAME`.
//! - ACTION: a name of the schema's: `read`, `list`, `write`, `delete`, `move`, `exec`, `send`, `ask_model`,
//!   `call_tool`, `use_secret`.
//! - THING: an absolute path, a folder with `/` at its end; `host:NAME`, `provider:NAME`, `tool:SERVER/NAME`,
//!   `secret:NAME`. What has spaces in it, or `;`, stands between single quotes: `'/home/u/my books/'`.
//! - `true` or `false`: `approved`, `private`, `tainted`, `steered`, `reversible` (else true), `local`, `draft`, and the modes
//!   `strict`, `audit`, `offline`, `restricted`. `private` and `local` are the thing's as well.
//! - Numbers: `bytes`, `files` (else 1), `size`, `now`, `hour` (else 12), `weekday` (else 1).
//! - `protected=control` or `protected=secret`; `environment=NAME` of a secret; `run=ID`; `grant=ID`; `root=PATH`, the
//!   granted folder (else `/`).

use raincoat_types::{Actor, GrantId, RelPath, RunId, Ulid};

use super::request::{Action, Context, Place, Protection, Request, Resource};

/// A request that was written in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// The request.
    pub request: Request,
}

/// Why a line is not a request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExampleError {
    /// A word of the first three is missing.
    #[error("{0} is missing; write `ACTOR ACTION THING [KEY=VALUE ...]`")]
    Missing(&'static str),
    /// The actor is none.
    #[error("`{0}` is no actor; write `person`, `agent:NAME`, `recipe:NAME` or `program:NAME`")]
    Actor(String),
    /// The action is none.
    #[error(
        "`{0}` is no action; write one of read, list, write, delete, move, exec, send, ask_model, call_tool, use_secret"
    )]
    Action(String),
    /// The thing is none.
    #[error(
        "`{0}` is no thing; write an absolute path, `host:NAME`, `provider:NAME`, `tool:SERVER/NAME` or `secret:NAME`"
    )]
    Thing(String),
    /// A setting is not known, or does not take this value.
    #[error("`{0}` is no setting; see the list in docs/policy.md")]
    Setting(String),
    /// A quote is not closed.
    #[error("a `'` is not closed; close it")]
    Quote,
    /// The path is not beneath `root`.
    #[error("`{0}` does not lie in `root`; give another")]
    Outside(String),
}

/// Lines of a `@match` or `@not_match`: several are set apart by `;` or line ends. None of them is empty.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            ';' | '\n' if !quoted => {
                lines.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    lines.extend(text.get(start..));
    lines.into_iter().map(str::trim).filter(|line| !line.is_empty()).collect()
}

impl Example {
    /// Reads a line.
    ///
    /// # Errors
    /// [`ExampleError`], naming the word that does not fit.
    pub fn parse(line: &str) -> Result<Example, ExampleError> {
        let words = words(line)?;
        let mut words = words.iter().map(String::as_str);
        let actor = actor(words.next().ok_or(ExampleError::Missing("the actor"))?)?;
        let action = words.next().ok_or(ExampleError::Missing("the action"))?;
        let action = Action::parse(action).ok_or_else(|| ExampleError::Action(action.to_owned()))?;
        let thing = words.next().ok_or(ExampleError::Missing("the thing"))?;
        let mut read = Settings { context: Context::default(), root: "/", ..Settings::default() };
        for word in words {
            read.take(word).ok_or_else(|| ExampleError::Setting(word.to_owned()))?;
        }
        let resource = read.thing(thing)?;
        Ok(Example { request: Request { actor, action, resource, context: read.context } })
    }
}

fn words(line: &str) -> Result<Vec<String>, ExampleError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    if quoted {
        return Err(ExampleError::Quote);
    }
    words.extend(word);
    Ok(words)
}

/// The actor of this name, as grants and the log write it.
pub(super) fn actor(name: &str) -> Result<Actor, ExampleError> {
    let wrong = || ExampleError::Actor(name.to_owned());
    match name.split_once(':') {
        None if name == "person" => Ok(Actor::Person),
        Some((_, "")) | None => Err(wrong()),
        Some(("agent", name)) => Ok(Actor::Agent(name.to_owned())),
        Some(("recipe", name)) => Ok(Actor::Recipe(name.to_owned())),
        Some(("program", name)) => Ok(Actor::Program(name.to_owned())),
        Some(_) => Err(wrong()),
    }
}

#[derive(Default)]
struct Settings<'a> {
    context: Context,
    size: u64,
    protection: Protection,
    environment: &'a str,
    grant: Option<GrantId>,
    root: &'a str,
}

impl<'a> Settings<'a> {
    fn take(&mut self, word: &'a str) -> Option<()> {
        let (key, value) = word.split_once('=')?;
        let context = &mut self.context;
        let flag = match key {
            "approved" => Some(&mut context.approved),
            "private" => Some(&mut context.private),
            "tainted" => Some(&mut context.tainted),
            "steered" => Some(&mut context.steered),
            "reversible" => Some(&mut context.reversible),
            "local" => Some(&mut context.local),
            "draft" => Some(&mut context.draft),
            "strict" => Some(&mut context.mode.strict),
            "audit" => Some(&mut context.mode.audit),
            "offline" => Some(&mut context.mode.offline),
            "restricted" => Some(&mut context.mode.restricted),
            _ => None,
        };
        if let Some(flag) = flag {
            *flag = value.parse().ok()?;
            return Some(());
        }
        match key {
            "bytes" => context.bytes = value.parse().ok()?,
            "files" => context.files = value.parse().ok()?,
            "size" => self.size = value.parse().ok()?,
            "now" => context.now = value.parse().ok()?,
            "hour" => context.hour = value.parse().ok().filter(|hour| *hour < 24)?,
            "weekday" => context.weekday = value.parse().ok().filter(|day| (1..=7).contains(day))?,
            "run" => context.run = RunId(Ulid::from_string(value).ok()?),
            "grant" => self.grant = Some(GrantId(Ulid::from_string(value).ok()?)),
            "protected" => {
                self.protection = match value {
                    "control" => Protection::Control,
                    "secret" => Protection::Secret,
                    _ => return None,
                }
            }
            "environment" => self.environment = value,
            "root" if value.starts_with('/') => self.root = value,
            _ => return None,
        }
        Some(())
    }

    fn thing(&self, text: &str) -> Result<Resource, ExampleError> {
        let wrong = || ExampleError::Thing(text.to_owned());
        if text.starts_with('/') {
            return self.place(text);
        }
        let local = self.context.local;
        match text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)? {
            ("host", name) => Ok(Resource::Host { name: name.to_owned(), local }),
            ("provider", name) => Ok(Resource::Provider { name: name.to_owned(), local }),
            ("tool", name) => {
                let (server, name) = name.split_once('/').ok_or_else(wrong)?;
                Ok(Resource::Tool { server: server.to_owned(), name: name.to_owned(), local })
            }
            ("secret", name) => {
                Ok(Resource::Secret { name: name.to_owned(), environment: self.environment.to_owned() })
            }
            _ => Err(wrong()),
        }
    }

    fn place(&self, text: &str) -> Result<Resource, ExampleError> {
        let outside = || ExampleError::Outside(text.to_owned());
        let root = if self.root == "/" { "/" } else { self.root.trim_end_matches('/') };
        let beneath = text.strip_prefix(root).ok_or_else(outside)?;
        let beneath = match beneath.strip_prefix('/') {
            Some(rest) => rest,
            None if beneath.is_empty() || root == "/" => beneath,
            None => return Err(outside()),
        };
        let path = beneath.strip_suffix('/').unwrap_or(beneath);
        let path = RelPath::new(path.as_bytes()).map_err(|_| ExampleError::Thing(text.to_owned()))?;
        let folder = text.ends_with('/') || path.is_root();
        let place = Place {
            root: root.as_bytes().to_vec(),
            path,
            grant: self.grant,
            size: self.size,
            private: self.context.private,
            protection: self.protection,
        };
        Ok(if folder { Resource::Folder(place) } else { Resource::File(place) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_request() {
        let read = |line: &str| Example::parse(line).unwrap().request;
        let written =
            read("agent:default write '/home/u/my books/a.CSV' approved=true hour=7 strict=true root=/home/u");
        assert_eq!(written.actor, Actor::Agent("default".into()));
        assert!(written.context.approved && written.context.mode.strict && written.context.hour == 7);
        let Resource::File(place) = &written.resource else { panic!("{written:?}") };
        assert_eq!(place.id(), "/home/u/my books/a.CSV");
        assert_eq!(place.folders(), ["/", "/home", "/home/u", "/home/u/my books"]);
        assert!(matches!(read("person list /").resource, Resource::Folder(place) if place.id() == "/"));
        let tool = read("recipe:tidy call_tool tool:mail/send_message local=true").resource;
        assert_eq!(tool, Resource::Tool { server: "mail".into(), name: "send_message".into(), local: true });
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (line, word) in [
            ("", "the actor"),
            ("person", "the action"),
            ("person read", "the thing"),
            ("nobody read /a", "`nobody`"),
            ("agent: read /a", "`agent:`"),
            ("person eat /a", "`eat`"),
            ("person read a/b", "`a/b`"),
            ("person read /a/../b", "`/a/../b`"),
            ("person read host:", "`host:`"),
            ("person call_tool tool:x", "`tool:x`"),
            ("person read /a approved", "`approved`"),
            ("person read /a approved=yes", "`approved=yes`"),
            ("person read /a hour=24", "`hour=24`"),
            ("person read /a weekday=0", "`weekday=0`"),
            ("person read '/a", "not closed"),
            ("person read /ab/c root=/a", "`/ab/c`"),
        ] {
            let said = Example::parse(line).unwrap_err().to_string();
            assert!(said.contains(word), "{line}: {said}");
        }
    }

    #[test]
    fn several_are_set_apart_but_not_within_quotes() {
        assert_eq!(split("a b; c ';' d\n\n e;"), ["a b", "c ';' d", "e"]);
    }
}
