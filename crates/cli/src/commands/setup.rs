//! `init`, `doctor`, `passphrase`, `lock`.

use raincoat_runtime::{Ask, Check, Class, Keeper, LayerState};
use serde_json::json;

use crate::app::{App, AtWork, clock, new_passphrase};
use crate::error::{Result, error, usage};
use crate::exit::Exit;
use crate::prompt::Terminal;
use crate::view::visible;
use crate::{config, json};

/// `raincoat init`.
pub(crate) fn init(app: &mut App) -> Result<Exit> {
    let home = app.home()?;
    let config_written = config::write_template(&home)?;
    let settings = app.config()?;
    let created = !Keeper::exists(&home)?;
    let keeper = if created {
        let passphrase = first_passphrase(app)?.filter(|secret| !secret.expose().is_empty());
        let mut keeper = Keeper::create(&home, settings, clock(), passphrase)?;
        keeper.works_for(app.verb)?;
        app.keep(AtWork::over(keeper))
    } else {
        app.keeper()?
    };
    let opened = keeper.opened().clone();
    let checks = keeper.doctor()?.checks;
    if app.out.json {
        app.out.value(&json!({
            "type": "init",
            "created": created,
            "config": home.config.to_string_lossy(),
            "data": home.data.to_string_lossy(),
            "state": home.state.to_string_lossy(),
            "config_written": config_written,
            "slot": opened.slot,
            "key_in_file": opened.key_in_file,
            "checks": checks.iter().map(json::check).collect::<Vec<_>>(),
        }));
        return Ok(Exit::Ok);
    }
    let made = if created { "made" } else { "already there" };
    let wrote = if config_written { "made" } else { "already there" };
    let lines = [
        format!("keys, journal and log  {made}: {}", home.data.display()),
        format!("the log's newest head  {made}: {}", home.state.display()),
        format!("settings               {wrote}: {}", home.config.join(config::FILE).display()),
    ];
    lines.iter().for_each(|line| app.out.line(&visible::single(line)));
    if opened.key_in_file {
        app.out.line("");
        app.out.line("the key lies in a file there that only you can read. `raincoat passphrase` sets a passphrase,");
        app.out.line("and then nobody opens the store with your files alone");
    }
    app.out.line("");
    show_checks(app, &checks);
    app.out.line("");
    app.out.line("nothing is reachable for any agent yet. next: raincoat grant DIR");
    Ok(Exit::Ok)
}

/// The first passphrase: from its file, or asked for; none where nobody may be asked, or can be.
fn first_passphrase(app: &mut App) -> Result<Option<raincoat_types::Secret<String>>> {
    if app.env.passphrase_file.is_some() {
        return app.passphrase(Ask::NewPassphrase).map(Some);
    }
    let Some(mut terminal) = Terminal::standard().filter(|_| app.may_ask()) else { return Ok(None) };
    app.out.aside("choose a passphrase for the store, or press Enter for none (the key then lies in a file)");
    new_passphrase(&mut terminal).map(Some)
}

/// `raincoat doctor`.
pub(crate) fn doctor(app: &mut App, prove: bool) -> Result<Exit> {
    let keeper = app.keeper()?;
    let mut checks = keeper.doctor()?.checks;
    let mut through = Vec::new();
    if prove {
        let proved = keeper.prove()?;
        checks.extend(proved.checks);
        through = proved.through;
    }
    if app.out.json {
        let checks: Vec<_> = checks.iter().map(json::check).collect();
        let mut value = json!({ "type": "doctor", "checks": checks });
        if let (true, Some(fields)) = (prove, value.as_object_mut()) {
            fields.insert("got_through".to_owned(), json!(through));
        }
        app.out.value(&value);
    } else {
        show_checks(app, &checks);
        match through.len() {
            0 if prove => app.out.line("no attempt got out of a draft"),
            0 => {}
            _ => app.out.line(&format!("got out of a draft: {}", through.join(", "))),
        }
    }
    Ok(if through.is_empty() { Exit::Ok } else { Exit::Environment })
}

fn show_checks(app: &mut App, checks: &[Check]) {
    let style = app.out.style;
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for check in checks {
        let word = format!("{:<8}", json::state(check.state));
        let word = match check.state {
            LayerState::Enforced => style.green(&word),
            LayerState::Missing => style.red(&word),
            LayerState::Unknown => style.yellow(&word),
        };
        let why = visible::single(&check.why);
        app.out.line(&format!("{word}  {:<width$}  {why}", check.name));
        if !check.fix.is_empty() {
            app.out.line(&format!("{:8}  {:width$}  {} {}", "", "", style.dim("fix:"), visible::single(&check.fix)));
        }
    }
    let holds = checks.iter().filter(|check| check.state == LayerState::Enforced).count();
    app.out.line(&format!("{holds} of {} in force here", checks.len()));
}

/// `raincoat passphrase`.
pub(crate) fn passphrase(app: &mut App) -> Result<Exit> {
    let mut keeper = app.fresh_keeper()?;
    // The file has the passphrase that is in force: a new one comes from a person.
    let none = || {
        error(Class::Usage, "a new passphrase is asked for at a terminal, and there is none", "run it at a terminal")
    };
    let mut terminal = Terminal::standard().filter(|_| app.may_ask()).ok_or_else(none)?;
    keeper.unlock_afresh(&mut |what| app.passphrase(what))?;
    let secret = new_passphrase(&mut terminal)?;
    if secret.expose().is_empty() {
        return Err(usage("an empty passphrase protects nothing; nothing was changed", "type one"));
    }
    let done = keeper.set_passphrase(&secret);
    app.keep(keeper);
    done?;
    said(app, "passphrase", "the passphrase is set; no key lies in a file any more. nobody can recover it for you");
    Ok(Exit::Ok)
}

/// `raincoat lock`.
pub(crate) fn lock(app: &mut App) -> Result<Exit> {
    let (home, config) = (app.home()?, app.config()?);
    Keeper::lock(&home, config, clock(), &mut |words| app.out.aside(words))?;
    said(app, "lock", "forgotten; the next command asks for the passphrase, if one is set");
    Ok(Exit::Ok)
}

fn said(app: &mut App, kind: &str, words: &str) {
    if app.out.json {
        app.out.value(&json!({ "type": kind }));
    } else {
        app.out.aside(words);
    }
}
