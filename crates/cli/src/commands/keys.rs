//! `key add`, `list`, `remove`.

use std::io::{IsTerminal, Read};

use raincoat_runtime::Class;
use raincoat_types::Secret;
use serde_json::json;

use super::provider::removed;
use crate::app::{App, hidden};
use crate::args::Key;
use crate::error::{Result, error, system, usage};
use crate::exit::Exit;
use crate::prompt::Terminal;
use crate::view::table::Table;
use crate::view::visible;
use crate::{json, time};

/// The longest key, in bytes.
const KEY_MOST: usize = 16 << 10;

/// `raincoat key`.
pub(crate) fn key(app: &mut App, what: Key) -> Result<Exit> {
    match what {
        Key::Add { name } => add(app, &name),
        Key::List => list(app),
        Key::Remove { name } => {
            app.keeper()?.remove_key(&name)?;
            removed(app, "key", &name);
            Ok(Exit::Ok)
        }
    }
}

fn add(app: &mut App, name: &str) -> Result<Exit> {
    let keeper = app.keeper()?;
    let secret = if std::io::stdin().is_terminal() {
        if !app.may_ask() {
            return Err(error(Class::Refused, "asking for the key was forbidden", "pipe it to standard input"));
        }
        let none = || error(Class::Usage, "the key is asked for at a terminal", "pipe it to standard input");
        hidden(&mut Terminal::standard().ok_or_else(none)?, "key: ")?
    } else {
        from_stdin()?
    };
    if secret.expose().trim().is_empty() {
        return Err(usage("the key is empty; nothing was changed", "type it, or pipe it to standard input"));
    }
    let version = keeper.add_key(name, &secret)?;
    if app.out.json {
        app.out.value(&json!({ "type": "key", "name": name, "version": version }));
    } else {
        app.out.line(&format!("`{}` is kept, version {version}", visible::single(name)));
    }
    Ok(Exit::Ok)
}

fn from_stdin() -> Result<Secret<String>> {
    // As large as it can get, so that no smaller copy is left behind.
    let mut bytes = Vec::with_capacity(KEY_MOST + 2);
    let most = KEY_MOST as u64 + 1;
    std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(|why| system("read the key", why))?;
    if bytes.len() > KEY_MOST {
        return Err(usage(format!("a key has at most {KEY_MOST} bytes"), "pipe only the key"));
    }
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    String::from_utf8(bytes).map(Secret::new).map_err(|_| usage("the key is no text", "pipe only the key"))
}

fn list(app: &mut App) -> Result<Exit> {
    let keys = app.keeper()?.keys()?;
    if app.out.json {
        keys.iter().for_each(|key| app.out.value(&json::key(key)));
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["NAME", "VERSION", "SINCE", "FOR"]);
    for key in &keys {
        let hosts = if key.hosts.is_empty() { "-".to_owned() } else { visible::single(&key.hosts.join(", ")) };
        table.row(vec![visible::single(&key.name), key.version.to_string(), time::local(key.created), hosts]);
    }
    if table.is_empty() {
        app.out.aside("there is no key yet. raincoat key add NAME adds one");
    } else {
        table.lines().iter().for_each(|line| app.out.line(line));
    }
    Ok(Exit::Ok)
}
