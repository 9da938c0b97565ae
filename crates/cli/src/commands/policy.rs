//! `policy`: the rules that decide.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use raincoat_runtime::{Class, ExplainAsk, Finding, Keeper, POLICY_SCHEMA, PolicyVersion, PrivateDir};
use raincoat_types::{Actor, display_bytes};
use serde_json::json;

use crate::app::{App, absolute_path};
use crate::args::Policy;
use crate::error::{Result, error, system, usage};
use crate::exit::Exit;
use crate::time;
use crate::view::table::Table;
use crate::view::visible;

/// Bytes of one file of rules or expectations.
const FILE_MOST: u64 = 4 << 20;
/// What your own rules are called while you edit them.
const MINE: &str = "mine.cedar";
/// What stands in an empty file of rules.
const TEMPLATE: &str = "// Your own rules, in the Cedar language; docs/policy.md is a guide, `raincoat policy show --schema` the vocabulary.\n\
    // A `forbid` always wins; a `permit` lets more be done in a granted folder. For example:\n\
    //\n\
    // @id(\"books.ask\")\n\
    // @ask(\"the books are changed only with your word\")\n\
    // @match(\"agent:default write /home/me/books/a.csv\")\n\
    // forbid (principal is Agent, action in Action::\"change\", resource in Folder::\"/home/me/books\")\n\
    // unless { context.approved };\n";

/// `raincoat policy`.
pub(crate) fn policy(app: &mut App, what: Policy) -> Result<Exit> {
    match what {
        Policy::Show { schema: true } => {
            app.out.raw(POLICY_SCHEMA);
            Ok(Exit::Ok)
        }
        Policy::Show { schema: false } => show(app),
        Policy::Check { files } => check(app, &files),
        Policy::Explain { action, path, agent } => explain(app, action, &path, &agent),
        Policy::Test { files } => test(app, &files),
        Policy::Log => log(app),
        Policy::Revert { version } => {
            let made = app.keeper()?.revert_policy(version)?;
            in_force(app, &made)
        }
        Policy::Edit { from, note } => edit(app, &from, &note),
    }
}

fn show(app: &mut App) -> Result<Exit> {
    let keeper = app.keeper()?;
    let (text, version, modes) = (keeper.policy_text()?, keeper.policy()?.version, keeper.modes(None)?);
    if app.out.json {
        app.out.value(&json!({ "type": "policy", "version": version, "in_force": modes.to_string(), "text": text }));
    } else {
        app.out.raw(&format!("// In force: {modes} mode; version {version} of your own rules.\n\n{text}"));
    }
    Ok(Exit::Ok)
}

fn check(app: &mut App, files: &[PathBuf]) -> Result<Exit> {
    let files = if files.is_empty() { None } else { Some(read_all(files)?) };
    let findings: Vec<Finding> = app.keeper()?.check_policy(files)?;
    for finding in &findings {
        let rules: Vec<String> = finding.rules.iter().map(ToString::to_string).collect();
        if app.out.json {
            let kind = format!("{:?}", finding.kind);
            app.out.value(&json!({ "type": "finding", "kind": kind, "rules": rules, "message": finding.message }));
        } else {
            app.out.line(&format!("{}: {}", rules.join(", "), visible::text(&finding.message)));
        }
    }
    if findings.is_empty() {
        app.out.aside("nothing is odd about the rules");
        return Ok(Exit::Ok);
    }
    Ok(Exit::Failed)
}

fn explain(app: &mut App, action: String, path: &Path, agent: &str) -> Result<Exit> {
    let actor = match agent.split_once(':') {
        None if agent == "person" => Some(Actor::Person),
        Some(("agent", name)) => Some(Actor::Agent(name.to_owned())),
        Some(("recipe", name)) => Some(Actor::Recipe(name.to_owned())),
        Some(("program", name)) => Some(Actor::Program(name.to_owned())),
        _ => None,
    };
    let actor = actor.ok_or_else(|| {
        let words = format!("`{}` is nobody", visible::single(agent));
        usage(words, "name person, agent:NAME, recipe:NAME or program:NAME")
    })?;
    let ask = ExplainAsk { action, path: wherever(path)?, actor, utc_offset_secs: time::utc_offset() };
    let explained = app.keeper()?.explain(&ask)?;
    if app.out.json {
        app.out.value(&json!({
            "type": "explanation",
            "answer": explained.answer,
            "rule": explained.rule,
            "sentence": explained.sentence,
            "would_change": explained.would_change,
        }));
        return Ok(Exit::Ok);
    }
    app.out.line(&visible::text(&explained.sentence));
    explained.would_change.iter().for_each(|change| app.out.line(&format!("  {}", visible::text(change))));
    Ok(Exit::Ok)
}

/// A path in full; of what is not there, the folder that is.
fn wherever(path: &Path) -> Result<PathBuf> {
    if let Ok(whole) = absolute_path(path) {
        return Ok(whole);
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(wherever(parent)?.join(name))
        }
        _ => absolute_path(path),
    }
}

fn test(app: &mut App, files: &[PathBuf]) -> Result<Exit> {
    let keeper = app.keeper()?;
    // Rules that are in force have loaded with their examples; that is done again here.
    let (mut held, mut wrong) = (0, 0);
    keeper.check_policy(None)?;
    for (name, text) in read_all(files)? {
        let (good, unexpected) = keeper.test_policy(&text)?;
        held += good;
        wrong += unexpected.len();
        for one in unexpected {
            let why = visible::text(&one.why);
            if app.out.json {
                app.out.value(&json!({ "type": "unexpected", "file": name, "line": one.line, "why": why }));
            } else {
                app.out.line(&format!("{name}:{}: {why}", one.line));
            }
        }
    }
    if app.out.json {
        app.out.value(&json!({ "type": "tested", "held": held, "wrong": wrong }));
    } else {
        app.out.line(&format!("the rules load and their examples hold; of expectations {held} hold, {wrong} do not"));
    }
    Ok(if wrong == 0 { Exit::Ok } else { Exit::Failed })
}

fn log(app: &mut App) -> Result<Exit> {
    let versions = app.keeper()?.policy_versions()?;
    if app.out.json {
        for one in &versions {
            let files: Vec<&String> = one.files.iter().map(|(name, _)| name).collect();
            let at = time::rfc3339(one.at);
            app.out.value(&json!({ "type": "policy.version", "version": one.version, "at": at, "note": one.note, "files": files }));
        }
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["VERSION", "SINCE", "FILES", "WHY"]);
    for one in &versions {
        let files: Vec<String> = one.files.iter().map(|(name, _)| visible::single(name)).collect();
        table.row(vec![one.version.to_string(), time::local(one.at), files.join(" "), visible::single(&one.note)]);
    }
    if table.is_empty() {
        app.out.aside("you have written no rules: raincoat policy edit");
    } else {
        table.lines().iter().for_each(|line| app.out.line(line));
    }
    Ok(Exit::Ok)
}

fn edit(app: &mut App, from: &[PathBuf], note: &str) -> Result<Exit> {
    let keeper = app.keeper()?;
    let files = if from.is_empty() { edited(app, &keeper)? } else { read_all(from)? };
    if files == keeper.policy()?.files {
        app.out.aside("nothing was changed");
        return Ok(Exit::Ok);
    }
    let made = keeper.set_policy(files, note)?;
    in_force(app, &made)
}

fn in_force(app: &mut App, made: &PolicyVersion) -> Result<Exit> {
    if app.out.json {
        app.out.value(&json!({ "type": "policy.version", "version": made.version, "note": made.note }));
    } else {
        app.out.line(&format!("version {} of your rules is in force; `raincoat policy log` lists all", made.version));
    }
    Ok(Exit::Ok)
}

/// The rules of now in the person's editor, in a directory that only they can read.
#[expect(clippy::disallowed_methods, reason = "the person's own editor is started at their word")]
fn edited(app: &App, keeper: &Keeper) -> Result<Vec<(String, String)>> {
    let editor = app.env.editor.clone().ok_or_else(|| {
        usage("no editor is known", "set EDITOR, or take the rules from a file: raincoat policy edit --from FILE")
    })?;
    if !app.may_ask() {
        return Err(error(Class::Refused, "rules are edited at a terminal", "`--from FILE` takes them from a file"));
    }
    let mut files = keeper.policy()?.files;
    if files.is_empty() {
        files.push((MINE.to_owned(), TEMPLATE.to_owned()));
    }
    // Our own directory, where nobody else reads; what is in it goes when they are read back.
    let state = PrivateDir::open_or_create(&app.home()?.state).and_then(|state| state.dir("edit"));
    let folder = state.map_err(|why| system("make a folder to edit in", why))?;
    let mut paths: Vec<OsString> = Vec::new();
    for (name, text) in &files {
        folder.replace(name, text.as_bytes()).map_err(|why| system(format!("write `{name}`"), why))?;
        paths.push(folder.path().map_err(|why| system("find the folder to edit in", why))?.join(name).into());
    }
    let mut command = Command::new("sh");
    command.arg("-c").arg(r#"exec $EDITOR_OF "$@""#).arg("sh").args(&paths);
    let status = command.env("EDITOR_OF", editor).status().map_err(|why| system("start the editor", why));
    let mut changed = Vec::new();
    for (name, _) in files {
        let bytes = folder.read(&name, FILE_MOST).map_err(|why| system(format!("read `{name}`"), why))?;
        // Nothing to be done about a leftover: it is the person's own text, where only they read.
        let _ = folder.remove(&name);
        let text = String::from_utf8(bytes.unwrap_or_default());
        let text = text.map_err(|_| usage(format!("`{name}` is not UTF-8 text"), "save it as UTF-8"))?;
        if text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")) {
            changed.push((name, text));
        }
    }
    if !status?.success() {
        return Err(error(Class::Failed, "the editor did not end well; nothing was changed", ""));
    }
    Ok(changed)
}

fn read_all(files: &[PathBuf]) -> Result<Vec<(String, String)>> {
    files.iter().map(|file| read_one(file)).collect()
}

#[expect(clippy::disallowed_methods, reason = "the person named this file for us to read")]
fn read_one(path: &Path) -> Result<(String, String)> {
    let shown = display_bytes(path.as_os_str().as_encoded_bytes());
    let fail = |why| system(format!("read `{shown}`"), why);
    let size = std::fs::metadata(path).map_err(fail)?.len();
    if size > FILE_MOST {
        return Err(usage(format!("`{shown}` has {size} bytes"), "a file of rules has at most 4 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(fail)?;
    let name = path.file_name().map_or(shown, |name| display_bytes(name.as_encoded_bytes()));
    Ok((name, text))
}
