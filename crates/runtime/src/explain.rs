//! Why somebody may or may not do something: the gate's own answer, and what would change it, found by asking again.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use raincoat_gate::{Act, Approval, Confirm, Facts, Policy, Role, Ruled, Scope, Target, Verdict, decide};
use raincoat_os::{Root, beneath};
use raincoat_policy::compile;
use raincoat_types::{
    Actions, Actor, Expect, FileChange, FileKind, FileRead, GrantId, Modes, Place, ProgramRun, Proposal, RelPath,
    Root as RunRoot, RunId, Spot, Timestamp, Ulid, display_bytes,
};

use crate::folders::{is_or_lies_in, private_folders};
use crate::rules::Standing;
use crate::{Class, Error, Keeper, kind_of};

/// What is to be explained.
#[derive(Clone, Debug)]
pub struct ExplainAsk {
    /// `read`, `list`, `write`, `delete`, `move` or `exec`.
    pub action: String,
    /// The file or folder, absolute; it need not exist.
    pub path: PathBuf,
    /// Who would do it.
    pub actor: Actor,
    /// The person's clock, in seconds from UTC.
    pub utc_offset_secs: i32,
}

/// An answer, explained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// `allow`, `ask` or `deny`.
    pub answer: &'static str,
    /// The gate's rule; empty where it allows.
    pub rule: String,
    /// Why, in one sentence.
    pub sentence: String,
    /// What would change the answer, and to what: each was tried.
    pub would_change: Vec<String>,
}

/// All that the gate is given.
#[derive(Clone)]
struct Case {
    policy: Policy,
    facts: Facts,
    actor: Actor,
    wish: Wish,
}

#[derive(Clone, Copy)]
enum Wish {
    Read,
    List,
    Write,
    Delete,
    Move,
    Exec,
}

impl Wish {
    const ALL: [(&str, Wish); 6] = [
        ("read", Wish::Read),
        ("list", Wish::List),
        ("write", Wish::Write),
        ("delete", Wish::Delete),
        ("move", Wish::Move),
        ("exec", Wish::Exec),
    ];

    fn role(self) -> Role {
        match self {
            Wish::Read => Role::Read,
            Wish::List => Role::Look,
            Wish::Write => Role::Write,
            Wish::Delete | Wish::Move => Role::Remove,
            Wish::Exec => Role::Run,
        }
    }
}

impl Keeper {
    /// Says what the gate would say now, and why.
    ///
    /// # Errors
    /// Where the action is none, or the path leads nowhere.
    pub fn explain(&self, ask: &ExplainAsk) -> Result<Explained, Error> {
        let wish = Wish::ALL.into_iter().find(|(name, _)| *name == ask.action).map(|(_, wish)| wish);
        let wish = wish.ok_or_else(|| {
            let names: Vec<&str> = Wish::ALL.iter().map(|(name, _)| *name).collect();
            Error::new(Class::Usage, format!("`{}` is no action", display_bytes(ask.action.as_bytes())))
                .hint(format!("name one of {}", names.join(", ")))
        })?;
        let case = self.case(ask, wish)?;
        let (answer, rule, words) = case.answer();
        let who = ask.actor.name();
        let what = format!("{} `{}`", ask.action, display_bytes(ask.path.as_os_str().as_bytes()));
        let sentence = match answer {
            "allow" => format!("`{who}` may {what}: it is granted, and nothing asks or forbids"),
            "ask" => format!("`{who}` may {what} once you have seen it: {words}"),
            _ => format!("`{who}` may not {what}: {words}"),
        };
        Ok(Explained { answer, rule, sentence, would_change: case.changes(answer) })
    }

    fn case(&self, ask: &ExplainAsk, wish: Wish) -> Result<Case, Error> {
        let (root, path) = existing(&ask.path)?;
        let grants = self.grants()?;
        let found = self.grant_over(&grants, &root, &ask.actor);
        // Without a grant the gate is asked about a folder that none speaks of.
        let (id, full) = match &found {
            Some((grant, beneath)) => {
                let full = path.names().try_fold(beneath.clone(), |at, name| at.join(name));
                (grant.id, full.map_err(|e| Error::new(Class::Usage, e.to_string()))?)
            }
            None => (GrantId(Ulid::nil()), path.clone()),
        };
        let records: Vec<_> = found.iter().map(|(grant, _)| grant.clone()).collect();
        let compiled = compile(&records, Confirm::Plans).map_err(Error::store)?;
        let mut policy = compiled.policy.clone();
        policy.modes = self.modes(None)?;
        let base = root.path().as_os_str().as_bytes();
        let absolute = [base, b"/", path.as_bytes()].concat();
        let protection = raincoat_policy::protected(base, &path, false)
            .map(|(protection, rule)| (protection, format!("{}: {}", rule.pattern, rule.why)));
        let protection = protection.or_else(|| {
            let above = ask.path.ancestors().filter_map(|at| beneath::identity_of(at).ok());
            let is_ours = above.into_iter().any(|identity| self.own.dirs.contains(&identity));
            is_ours.then(|| (raincoat_gate::Protection::Secret, "raincoat's own data".to_owned()))
        });
        let mut target = Target {
            spot: Spot { grant: id, path: full },
            role: wish.role(),
            kind: kind_of(&ask.path),
            protection,
            denied: found.as_ref().and_then(|(grant, _)| compiled.denied(grant.id, &path)),
            linked_outside: false,
            private: private_folders(&grants).iter().any(|folder| is_or_lies_in(&absolute, folder)),
            ruled: Ruled::Silent,
        };
        let run = RunId(Ulid::nil());
        let folder = found.as_ref().map(|(grant, _)| grant.path.clone()).unwrap_or_default();
        let roots = [RunRoot { grant: id, path: folder, identity: root.identity() }];
        if let Some(asker) = self.asker(&ask.actor, run, &roots, ask.utc_offset_secs)? {
            let (now, modes) = (self.clock.now(), policy.modes);
            let standing = Standing { now, modes, tainted: false, steered: false, private: false, local: true };
            target.ruled = match wish {
                Wish::Read | Wish::List => asker.of_place(&read(wish), &target, false, 0, standing),
                Wish::Exec => asker.of_place(&run_of(), &target, false, 0, standing),
                Wish::Write | Wish::Delete | Wish::Move => asker.of_place(&change(wish), &target, false, 0, standing),
            };
        }
        let facts = Facts { now: self.clock.now(), targets: vec![target], ..Facts::default() };
        Ok(Case { policy, facts, actor: ask.actor.clone(), wish })
    }
}

impl Case {
    /// The gate's answer: `allow`, `ask` or `deny`, by which rule, and why.
    fn answer(&self) -> (&'static str, String, String) {
        match self.wish {
            Wish::Read | Wish::List => self.of(read(self.wish)),
            Wish::Exec => self.of(run_of()),
            Wish::Write | Wish::Delete | Wish::Move => self.of(change(self.wish)),
        }
    }

    fn of<A: Act>(&self, action: A) -> (&'static str, String, String) {
        let proposal = Proposal { actor: self.actor.clone(), run: RunId(Ulid::nil()), action };
        match decide(&self.policy, &self.facts, proposal) {
            Verdict::Permit(_) => ("allow", String::new(), String::new()),
            Verdict::Ask { why, .. } => ("ask", "ask".to_owned(), why),
            Verdict::Deny { refusal } => ("deny", refusal.rule, refusal.message),
        }
    }

    /// What would change the answer. Each is tried, by itself.
    fn changes(&self, answer: &str) -> Vec<String> {
        let mut changes = Vec::new();
        let mut tried = |words: String, other: &Case| {
            let (then, ..) = other.answer();
            if then != answer {
                changes.push(format!("{words}: then {}", outcome(then)));
            }
        };
        let with = |edit: &dyn Fn(&mut Case)| {
            let mut other = self.clone();
            edit(&mut other);
            other
        };
        let forever = Timestamp { secs: i64::MAX, nanos: 0 };
        let exactly = Approval { scope: Scope::Exactly(self.facts.digest), until: forever };
        tried("approve it".to_owned(), &with(&|case| case.facts.approval = Some(exactly.clone())));
        for (name, mode) in Modes::all().iter_names().map(|(name, mode)| (name.to_lowercase(), mode)) {
            let on = self.policy.modes.contains(mode);
            let words = format!("`raincoat mode` {} {name}", if on { "without" } else { "with" });
            tried(words, &with(&|case| case.policy.modes.toggle(mode)));
        }
        let granting = |actions: Actions, until: Option<Timestamp>| {
            with(&move |case| {
                let id = case.facts.targets.first().map_or(GrantId(Ulid::nil()), |target| target.spot.grant);
                let grant = raincoat_gate::Grant { id, who: raincoat_gate::Who::Anyone, actions, until };
                let before = case.policy.clone();
                case.policy = Policy::new(vec![grant], before.confirm);
                case.policy.modes = before.modes;
            })
        };
        let granted = !self.policy.grants().is_empty();
        let words = if granted { "grant the folder anew, with `--actions` of all" } else { "grant the folder" };
        tried(format!("{words} (`raincoat grant`)"), &granting(Actions::all(), None));
        if granted {
            tried("take the grant back (`raincoat revoke`)".to_owned(), &granting(Actions::empty(), None));
        }
        let without = |edit: fn(&mut Target)| with(&move |case| case.facts.targets.iter_mut().for_each(edit));
        tried("name it otherwise than what is protected".to_owned(), &without(|target| target.protection = None));
        tried("grant the folder without that `--deny`".to_owned(), &without(|target| target.denied = None));
        tried(
            "take your own rule out (`raincoat policy edit`)".to_owned(),
            &without(|target| target.ruled = Ruled::Silent),
        );
        changes
    }
}

fn outcome(answer: &str) -> &'static str {
    match answer {
        "allow" => "it is allowed",
        "ask" => "it is asked about",
        _ => "it is refused",
    }
}

fn here() -> Place {
    Place { root: 0, path: "".into() }
}

fn read(wish: Wish) -> FileRead {
    match wish {
        Wish::Read => FileRead::Read { at: here(), offset: 0, len: 1 },
        _ => FileRead::Stat { at: here() },
    }
}

fn change(wish: Wish) -> FileChange {
    match wish {
        Wish::Delete => FileChange::Delete { at: here(), recursive: true },
        Wish::Move => FileChange::Move { from: here(), to: here(), replace: false },
        _ => FileChange::Write { at: here(), content: Vec::new(), expect: Expect::Anything },
    }
}

fn run_of() -> ProgramRun {
    ProgramRun { program: String::new(), hosts: Vec::new() }
}

/// The deepest folder on the way to a path that is there, open, and the rest of the way.
fn existing(path: &Path) -> Result<(Root, RelPath), Error> {
    let shown = display_bytes(path.as_os_str().as_bytes());
    let folder = path.ancestors().find(|at| kind_of(at) == Some(FileKind::Dir));
    let folder = folder.ok_or_else(|| Error::new(Class::Usage, format!("`{shown}` is no absolute path")))?;
    let root = Root::open(folder).map_err(Error::io("open the folder"))?;
    let rest = path.strip_prefix(folder).unwrap_or(Path::new(""));
    let rest = RelPath::new(rest.as_os_str().as_bytes()).map_err(|e| Error::new(Class::Usage, e.to_string()))?;
    Ok((root, rest))
}
