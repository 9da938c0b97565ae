//! `profiles`.

use serde_json::{Value, json};

use crate::app::App;
use crate::error::Result;
use crate::exit::Exit;
use crate::profiles::{self, Profile, Source};
use crate::view::table::Table;
use crate::view::visible;

/// `raincoat profiles`.
pub(crate) fn profiles(app: &mut App, name: Option<&str>) -> Result<Exit> {
    match name {
        Some(name) => show(app, name),
        None => list(app),
    }
}

fn list(app: &mut App) -> Result<Exit> {
    let mut table = Table::new(&["NAME", "FROM", "FOR"]);
    let mut unreadable = None;
    for (name, profile) in profiles::all(&app.env)? {
        match profile {
            Ok(profile) if app.out.json => app.out.value(&as_json(&profile)),
            Ok(profile) => table.row(vec![name, from(&profile.source), visible::single(&profile.description)]),
            // The others are shown all the same.
            Err(error) => unreadable = unreadable.or(Some(error)),
        }
    }
    if !app.out.json {
        table.lines().iter().for_each(|line| app.out.line(line));
    }
    unreadable.map_or(Ok(Exit::Ok), Err)
}

fn show(app: &mut App, name: &str) -> Result<Exit> {
    let profile = profiles::load(name, &app.env)?;
    if app.out.json {
        app.out.value(&as_json(&profile));
        return Ok(Exit::Ok);
    }
    app.out.line(&format!("{}: {}", profile.name, visible::single(&profile.description)));
    let set = profile.env_set.iter().map(|(name, value)| format!("{name}={}", visible::single(value)));
    let limits = profile.limits.iter().map(|(name, value)| format!("{name}={value}"));
    let lists = [
        ("from", vec![from(&profile.source)]),
        ("for the commands", profile.commands.clone()),
        ("reaches", profile.net.clone()),
        ("gets the variables", profile.env_pass.clone()),
        ("is given", set.collect()),
        ("reads in a folder", profile.secrets.clone()),
        ("writes, marked as dangerous", profile.protected.clone()),
        ("is limited to", limits.collect()),
    ];
    for (words, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        let list: Vec<String> = list.iter().map(|word| visible::single(word)).collect();
        app.out.line(&format!("  {words}: {}", list.join(" ")));
    }
    if profile.nest {
        app.out.line("  may make user namespaces of its own");
    }
    for mount in &profile.mounts {
        app.out.line(&format!("  {:5}  ~/{}", mount.how.word(), visible::single(&mount.below)));
    }
    Ok(Exit::Ok)
}

fn from(source: &Source) -> String {
    match source {
        Source::Shipped => "raincoat".to_owned(),
        Source::File(path) => visible::single(&path.display().to_string()),
    }
}

fn as_json(profile: &Profile) -> Value {
    let file = match &profile.source {
        Source::Shipped => Value::Null,
        Source::File(path) => path.display().to_string().into(),
    };
    let pairs = |pairs: &[(String, String)]| -> Value {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let mounts: Vec<Value> = profile
        .mounts
        .iter()
        .map(|mount| json!({ "path": format!("~/{}", mount.below), "how": mount.how.word() }))
        .collect();
    json!({
        "type": "profile",
        "name": profile.name,
        "file": file,
        "description": profile.description,
        "match": profile.commands,
        "net": profile.net,
        "mounts": mounts,
        "env_pass": profile.env_pass,
        "env_set": pairs(&profile.env_set),
        "protected": profile.protected,
        "secrets": profile.secrets,
        "nest": profile.nest,
        "limits": pairs(&profile.limits),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dirs::Env;

    #[test]
    fn every_key_of_the_json_is_described() {
        let described = include_str!("../../../../docs/json.md");
        let env = Env { home: Some("/nonexistent".into()), ..Env::default() };
        let profile = profiles::load("claude-code", &env).unwrap();
        for key in as_json(&profile).as_object().unwrap().keys() {
            assert!(described.contains(&format!("`{key}`")), "docs/json.md does not describe `{key}`");
        }
    }
}
