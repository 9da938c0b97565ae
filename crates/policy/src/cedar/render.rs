//! Grants, modes and defaults as Cedar text: what `policy show` shows, and what [`super::Rules::load`] takes.

use cedar_policy::EntityId;
use raincoat_types::{Actor, GrantId, display_bytes};

use super::entities::{actor_id, uid};
use super::request::{Action, folded, path_text};

/// Patterns in one rule: what a policy may hold is limited.
const DENIED: usize = 8;

/// The rules that each mode adds: all of them, and nothing else. They hold where `context.mode` says so.
pub const MODES: &str = include_str!("modes.cedar");

/// The rules that always hold.
pub const DEFAULTS: &str = include_str!("defaults.cedar");

/// What is rendered. What is not named here is permitted to nobody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Granted {
    /// Folders.
    pub folders: Vec<FolderGrant>,
    /// Providers of models that may be asked, by name.
    pub providers: Vec<String>,
    /// Hosts that bytes may go to.
    pub hosts: Vec<String>,
    /// Tools that may be called, as `server/tool`.
    pub tools: Vec<String>,
    /// Credentials that may be used, by name.
    pub secrets: Vec<String>,
}

/// A folder handed out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FolderGrant {
    /// Its id.
    pub id: GrantId,
    /// Its absolute path, as bytes.
    pub folder: Vec<u8>,
    /// To whom. The person always counts as well.
    pub who: Who,
    /// What may be done there.
    pub actions: Vec<GrantAction>,
    /// It ends at this second since 1970-01-01T00:00:00Z.
    pub until: Option<i64>,
    /// Its owner marked it private: what it holds does not leave this machine. The rule is `default.private`; whoever
    /// asks says `private` of things in it.
    pub private: bool,
    /// Patterns of paths beneath it that are not granted, nor what lies below them: `*` is any run of characters, `/`
    /// included, everything else is itself, upper and lower case alike.
    pub deny: Vec<String>,
    /// How many files one run may touch. A note: budgets count it.
    pub max_files: Option<u64>,
    /// How many bytes one run may change. A note: budgets count it.
    pub max_bytes: Option<u64>,
}

/// To whom a grant speaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// To any actor.
    Anyone,
    /// To every agent.
    Agents,
    /// To every recipe.
    Recipes,
    /// To every program.
    Programs,
    /// To one actor.
    Actor(Actor),
}

/// What a grant lets be done, as `--actions` names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum GrantAction {
    /// Read and list.
    Read,
    /// Write and move.
    Write,
    /// Delete.
    Delete,
    /// Run programs in a draft of it.
    Exec,
    /// Send what it holds off this machine.
    Send,
}

impl Who {
    /// Reads what a grant keeps: `agent`, `agent:NAME` and so on; nothing is anybody.
    pub fn parse(name: Option<&str>) -> Option<Who> {
        match name {
            None => Some(Who::Anyone),
            Some("agent") => Some(Who::Agents),
            Some("recipe") => Some(Who::Recipes),
            Some("program") => Some(Who::Programs),
            Some(name) => super::examples::actor(name).ok().map(Who::Actor),
        }
    }

    fn words(&self) -> String {
        match self {
            Who::Anyone => "anybody".to_owned(),
            Who::Agents => "every agent".to_owned(),
            Who::Recipes => "every recipe".to_owned(),
            Who::Programs => "every program".to_owned(),
            Who::Actor(actor) => format!("`{}`", display_bytes(actor.name().as_bytes())),
        }
    }

    /// The condition, beside the person.
    fn condition(&self) -> Option<String> {
        match self {
            Who::Anyone | Who::Actor(Actor::Person) => None,
            Who::Agents => Some("principal is Agent".to_owned()),
            Who::Recipes => Some("principal is Recipe".to_owned()),
            Who::Programs => Some("principal is Program".to_owned()),
            Who::Actor(actor) => {
                let (kind, id) = actor_id(actor);
                Some(format!("principal in {}", literal(kind, id)))
            }
        }
    }
}

impl GrantAction {
    /// The actions that it holds.
    pub const fn actions(self) -> &'static [Action] {
        match self {
            GrantAction::Read => &[Action::Read, Action::List],
            GrantAction::Write => &[Action::Write, Action::Move],
            GrantAction::Delete => &[Action::Delete],
            GrantAction::Exec => &[Action::Exec],
            GrantAction::Send => &[Action::Send],
        }
    }
}

/// The whole in Cedar: modes, defaults, then one rule for each grant and one for what each grant denies.
pub fn render(granted: &Granted) -> String {
    let mut text = String::from("// Modes. Each holds where it is on; they combine, and what forbids wins.\n\n");
    text.push_str(MODES);
    text.push_str("\n// Defaults. They always hold.\n\n");
    text.push_str(DEFAULTS);
    text.push_str("\n// Grants. What none of these permits is not permitted.\n");
    for grant in &granted.folders {
        folder(&mut text, grant);
    }
    let named = [
        ("provider", Action::AskModel, "Provider", &granted.providers),
        ("host", Action::Send, "Host", &granted.hosts),
        ("tool", Action::CallTool, "Tool", &granted.tools),
        ("secret", Action::UseSecret, "Secret", &granted.secrets),
    ];
    for (word, action, kind, names) in named {
        for name in names {
            let shown = display_bytes(name.as_bytes());
            text.push_str(&format!(
                "\n@id(\"{word}.{}\")\n@reason(\"{word} `{}` was chosen\")\npermit (principal, action == {}, resource == {});\n",
                escaped(&shown),
                escaped(&shown),
                literal("Action", action.name()),
                literal(kind, name)
            ));
        }
    }
    text
}

fn folder(text: &mut String, grant: &FolderGrant) {
    let shown = display_bytes(&grant.folder);
    let place = literal("Folder", &path_text(&grant.folder));
    let mut note = format!("\n// `{shown}`, to {}", grant.who.words());
    if let Some(until) = grant.until {
        note.push_str(&format!(", until {}", utc(until)));
    }
    if grant.private {
        note.push_str("; private: what it holds does not leave this machine (`default.private`)");
    }
    let budget = [(grant.max_files, "files"), (grant.max_bytes, "bytes")];
    for (most, what) in budget.iter().filter_map(|(most, what)| most.map(|most| (most, what))) {
        note.push_str(&format!("; at most {most} {what} in a run (the budget counts them)"));
    }
    text.push_str(&note);
    text.push_str(".\n");

    let mut actions: Vec<Action> = grant.actions.iter().flat_map(|action| action.actions()).copied().collect();
    actions.sort_unstable();
    actions.dedup();
    if actions.is_empty() {
        text.push_str("// It names no action, so it grants nothing.\n");
    } else {
        let actions: Vec<String> = actions.iter().map(|action| literal("Action", action.name())).collect();
        if grant.private {
            text.push_str("@private(\"true\")\n");
        }
        text.push_str(&format!(
            "@id(\"grant.{}\")\n@reason(\"`{}` is granted\")\npermit (principal, action in [{}], resource in {place})",
            grant.id.0,
            escaped(&shown),
            actions.join(", "),
        ));
        if grant.who == Who::Actor(Actor::Person) {
            text.push_str("\nwhen { principal is User }");
        } else if let Some(condition) = grant.who.condition() {
            text.push_str(&format!("\nwhen {{ principal is User || {condition} }}"));
        }
        if let Some(until) = grant.until {
            text.push_str(&format!("\nwhen {{ context.now < {until} }}"));
        }
        text.push_str(";\n");
    }
    for (n, some) in grant.deny.chunks(DENIED).enumerate() {
        let tests: Vec<String> = some.iter().map(|pattern| denied(&grant.folder, pattern)).collect();
        let more = if n == 0 { String::new() } else { format!(".{}", n + 1) };
        text.push_str(&format!(
            "\n@id(\"grant.{}.deny{more}\")\n@reason(\"the grant of `{}` leaves it out\")\nforbid (principal, action, resource in {place})\nwhen {{ {} }};\n",
            grant.id.0,
            escaped(&shown),
            tests.join(" || "),
        ));
    }
}

/// A path that a pattern names, or one below it.
fn denied(folder: &[u8], pattern: &str) -> String {
    let folder = escaped(folded(&path_text(folder)).trim_end_matches('/')).replace('*', "\\*");
    let pattern = escaped(&folded(&path_text(pattern.as_bytes())));
    format!("resource.path like \"{folder}/{pattern}\" || resource.path like \"{folder}/{pattern}/*\"")
}

/// Text within quotes.
fn escaped(text: &str) -> String {
    EntityId::new(text).escaped().to_string()
}

fn literal(kind: &'static str, id: &str) -> String {
    uid(kind, id).map_or_else(String::new, |uid| uid.to_string())
}

/// A second since 1970 as a date and time in UTC; as itself where no calendar has it.
fn utc(secs: i64) -> String {
    jiff::Timestamp::from_second(secs).map_or_else(|_| format!("second {secs} of 1970"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (secs, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_764_504_000, "2025-11-30T12:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(secs), date);
        }
    }
}
