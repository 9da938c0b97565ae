//! The owner's own rules: every version kept sealed, compiled once a run, asked about each thing that an action touches.

use std::sync::Arc;

use raincoat_audit::Event;
use raincoat_gate::{Act, Protection, Role, Ruled, Target};
use raincoat_policy::cedar::{
    self, Broken, Context, Example, Finding, FolderGrant, GrantAction, Granted, Mode, Place, Request, Resource, Rules,
    Verdict, Who, analyse, render,
};
use raincoat_types::{Actions, Actor, FileKind, Modes, Root, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::around::by_person;
use crate::{Class, Error, Keeper};

const KIND: &str = "policy";
/// The name that the rendered part has among the files.
const RENDERED: &str = "raincoat";
/// Lines of one file of expectations.
const EXPECTED_MOST: usize = 100_000;

/// The owner's rules as they stood from a moment on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// Its number, from 1; 0 is the beginning, without any rule.
    pub version: u32,
    /// Since when.
    pub at: Timestamp,
    /// Why it was made.
    pub note: String,
    /// Files: name and text.
    pub files: Vec<(String, String)>,
}

/// An expectation that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unexpected {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// The rules with what they need to be asked: who acts, and how things stand.
#[derive(Clone)]
pub(crate) struct Asker {
    rules: Arc<Rules>,
    actor: Actor,
    run: RunId,
    /// The run's folders: what a place of theirs is in full.
    roots: Arc<Vec<Root>>,
    /// The person's clock, in seconds from UTC.
    offset: i64,
}

/// How things stand with a run.
#[derive(Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) now: Timestamp,
    pub(crate) modes: Modes,
    pub(crate) tainted: bool,
    pub(crate) steered: bool,
    pub(crate) private: bool,
    pub(crate) local: bool,
}

impl Asker {
    /// What the rules say of a place, where an action touches it so.
    pub(crate) fn of_place<A: Act>(
        &self,
        action: &A,
        target: &Target,
        irreversible: bool,
        bytes: u64,
        standing: Standing,
    ) -> Ruled {
        let asked = match target.role {
            Role::Look => cedar::Action::List,
            Role::Read => cedar::Action::Read,
            Role::Run => cedar::Action::Exec,
            Role::Remove if action.deletes() => cedar::Action::Delete,
            Role::Remove => cedar::Action::Move,
            Role::Write | Role::Arrive => cedar::Action::Write,
        };
        let root = self.roots.iter().find(|root| root.grant == target.spot.grant).map(|root| root.path.clone());
        let place = Place {
            root: root.unwrap_or_default(),
            path: target.spot.path.clone(),
            grant: Some(target.spot.grant),
            size: bytes,
            private: target.private,
            protection: match &target.protection {
                None => cedar::Protection::None,
                Some((Protection::Control, _)) => cedar::Protection::Control,
                Some((Protection::Secret, _)) => cedar::Protection::Secret,
            },
        };
        let resource = if target.kind == Some(FileKind::Dir) { Resource::Folder(place) } else { Resource::File(place) };
        let mut context = self.context(standing);
        (context.reversible, context.bytes) = (!irreversible, bytes);
        // A program works on a draft, whatever it does there.
        context.draft = target.role == Role::Run;
        self.ask(asked, resource, context)
    }

    /// What the rules say of asking this provider.
    pub(crate) fn of_provider(&self, name: &str, local: bool, standing: Standing) -> Ruled {
        let context = Context { local, ..self.context(standing) };
        self.ask(cedar::Action::AskModel, Resource::Provider { name: name.to_owned(), local }, context)
    }

    /// What the rules say of sending to all of these hosts: the strictest of their answers.
    pub(crate) fn of_hosts(&self, hosts: &[String], standing: Standing) -> Ruled {
        let of = |name: &String| {
            let local = name.starts_with("127.") || name == "localhost" || name.starts_with("localhost:");
            let context = Context { local, ..self.context(standing) };
            self.ask(cedar::Action::Send, Resource::Host { name: name.clone(), local }, context)
        };
        hosts.iter().map(of).max_by_key(strictness).unwrap_or_default()
    }

    fn context(&self, standing: Standing) -> Context {
        let local = standing.now.secs.saturating_add(self.offset);
        let (day, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        Context {
            mode: mode_of(standing.modes),
            private: standing.private,
            tainted: standing.tainted,
            steered: standing.steered,
            local: standing.local,
            now: standing.now.secs,
            hour: u8::try_from(second / 3600).unwrap_or(0),
            // 1970-01-01 was a Thursday.
            weekday: u8::try_from((day + 3).rem_euclid(7) + 1).unwrap_or(1),
            run: self.run,
            ..Context::default()
        }
    }

    fn ask(&self, action: cedar::Action, resource: Resource, context: Context) -> Ruled {
        ruled(self.rules.decide(&Request { actor: self.actor.clone(), action, resource, context }))
    }
}

fn mode_of(modes: Modes) -> Mode {
    Mode {
        strict: modes.contains(Modes::STRICT),
        audit: modes.contains(Modes::AUDIT),
        offline: modes.contains(Modes::OFFLINE),
        restricted: modes.contains(Modes::RESTRICTED),
    }
}

/// What the gate reads.
fn ruled(verdict: Verdict) -> Ruled {
    match verdict {
        Verdict::Silent => Ruled::Silent,
        Verdict::Allow { .. } => Ruled::Permit,
        Verdict::Ask { by, why, forbidden, permitted } => {
            let rule = by.first().map(|rule| format!("{rule}: ")).unwrap_or_default();
            Ruled::Ask { why: format!("{rule}{why}"), forbidden, permits: permitted }
        }
        Verdict::Deny { by, why } => {
            let rule = by.first().map(|rule| format!("{rule}: ")).unwrap_or_default();
            Ruled::Forbid(format!("{rule}{why}; `raincoat policy explain` tells what would change that"))
        }
    }
}

fn strictness(ruled: &Ruled) -> u8 {
    match ruled {
        Ruled::Permit => 0,
        Ruled::Silent => 1,
        Ruled::Ask { .. } => 2,
        Ruled::Forbid(_) => 3,
    }
}

impl Keeper {
    /// Every version of the owner's rules, oldest first.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn policy_versions(&self) -> Result<Vec<PolicyVersion>, Error> {
        let rows = self.store.list(KIND).map_err(Error::store)?;
        let versions = rows.into_iter().map(|(_, bytes)| postcard::from_bytes(&bytes).map_err(Error::store));
        let mut versions = versions.collect::<Result<Vec<PolicyVersion>, Error>>()?;
        versions.sort_by_key(|version| version.version);
        Ok(versions)
    }

    /// The version in force.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn policy(&self) -> Result<PolicyVersion, Error> {
        Ok(self.policy_versions()?.pop().unwrap_or_default())
    }

    /// Puts rules in force in the place of those before. They must load, with their examples.
    ///
    /// # Errors
    /// Each problem with its file and line; nothing is changed then.
    pub fn set_policy(&self, files: Vec<(String, String)>, note: &str) -> Result<PolicyVersion, Error> {
        let rules = load(&files).map_err(|broken| {
            Error::new(Class::Usage, broken.to_string()).hint("nothing was changed; put it right and try again")
        })?;
        let before = self.policy()?;
        let version = PolicyVersion {
            version: before.version.saturating_add(1),
            at: self.clock.now(),
            note: note.to_owned(),
            files,
        };
        let told = |version: &PolicyVersion| format!("version {}", version.version);
        let to = format!("{} with {} rules: {note}", told(&version), rules.len());
        let event = Event::PolicyChanged { policy: "rules".to_owned(), from: told(&before), to };
        // Logged first: rules that stand nowhere in the log are in force nowhere.
        self.log_about(&by_person(), vec![event])?;
        let bytes = postcard::to_stdvec(&version).map_err(Error::store)?;
        self.store.put(KIND, &version.version.to_be_bytes(), &bytes).map_err(Error::store)?;
        Ok(version)
    }

    /// Puts an earlier version in force again, as a new one.
    ///
    /// # Errors
    /// Where there is no such version, or it does not load any more.
    pub fn revert_policy(&self, to: u32) -> Result<PolicyVersion, Error> {
        let files = if to == 0 {
            Vec::new()
        } else {
            let found = self.policy_versions()?.into_iter().find(|version| version.version == to);
            found
                .ok_or_else(|| {
                    Error::new(Class::Usage, format!("there is no version {to} of the rules"))
                        .hint("`raincoat policy log` lists them")
                })?
                .files
        };
        self.set_policy(files, &format!("as version {to}"))
    }

    /// All that decides, as one readable text: modes, defaults, grants, and the owner's rules behind them.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn policy_text(&self) -> Result<String, Error> {
        let mut text = render(&self.granted()?);
        for (name, file) in self.policy()?.files {
            text.push_str(&format!("\n// {name}, yours.\n\n{file}"));
        }
        Ok(text)
    }

    /// What is odd about all that decides, or about these files in the place of the owner's own.
    ///
    /// # Errors
    /// Each problem with its file and line, where it does not load.
    pub fn check_policy(&self, files: Option<Vec<(String, String)>>) -> Result<Vec<Finding>, Error> {
        Ok(analyse(&self.whole_policy(files)?))
    }

    /// Holds expectations against all that decides: lines of a request, ` => ` and `allow`, `ask` or `deny`.
    ///
    /// # Errors
    /// Where the rules do not load, or a file is too long.
    pub fn test_policy(&self, text: &str) -> Result<(usize, Vec<Unexpected>), Error> {
        let rules = self.whole_policy(None)?;
        let (mut held, mut unexpected) = (0, Vec::new());
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if n >= EXPECTED_MOST {
                return Err(Error::new(Class::Usage, format!("there are more than {EXPECTED_MOST} lines")));
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match expectation(&rules, line) {
                Ok(()) => held += 1,
                Err(why) => unexpected.push(Unexpected { line: n + 1, why }),
            }
        }
        Ok((held, unexpected))
    }

    /// What the owner's rules say, ready to be asked; `None` where there are none. Rules that do not load deny.
    pub(crate) fn asker(
        &self,
        actor: &Actor,
        run: RunId,
        roots: &[Root],
        offset: i32,
    ) -> Result<Option<Arc<Asker>>, Error> {
        let files = self.policy()?.files;
        if files.is_empty() {
            return Ok(None);
        }
        let rules = Arc::new(load(&files).unwrap_or_else(Broken::into_rules));
        let (actor, roots) = (actor.clone(), Arc::new(roots.to_vec()));
        Ok(Some(Arc::new(Asker { rules, actor, run, roots, offset: i64::from(offset) })))
    }

    /// Grants, modes, defaults and the owner's rules, in Cedar alone.
    fn whole_policy(&self, files: Option<Vec<(String, String)>>) -> Result<Rules, Error> {
        let mut all = vec![(RENDERED.to_owned(), render(&self.granted()?))];
        all.extend(match files {
            Some(files) => files,
            None => self.policy()?.files,
        });
        load(&all).map_err(|broken| Error::new(Class::Usage, broken.to_string()).hint("put it right, then check again"))
    }

    fn granted(&self) -> Result<Granted, Error> {
        let folder = |grant: raincoat_policy::GrantRecord| FolderGrant {
            id: grant.id,
            who: Who::parse(grant.agent.as_deref()).unwrap_or(Who::Actor(Actor::Person)),
            actions: grant_actions(grant.actions),
            until: grant.until.map(|until| until.secs),
            private: grant.private,
            // `like` has one wildcard; what a glob says of `/` is wider there, so no more is granted than by the glob.
            deny: grant.deny.iter().map(|glob| glob.trim_matches('/').to_owned()).collect(),
            max_files: grant.max_files,
            max_bytes: grant.max_bytes,
            folder: grant.path,
        };
        Ok(Granted {
            folders: self.grants()?.into_iter().map(folder).collect(),
            providers: self.providers()?.into_iter().map(|provider| provider.name).collect(),
            ..Granted::default()
        })
    }
}

fn grant_actions(actions: Actions) -> Vec<GrantAction> {
    let all = [
        (Actions::READ, GrantAction::Read),
        (Actions::WRITE, GrantAction::Write),
        (Actions::DELETE, GrantAction::Delete),
        (Actions::EXEC, GrantAction::Exec),
        (Actions::SEND, GrantAction::Send),
    ];
    all.into_iter().filter(|(flag, _)| actions.contains(*flag)).map(|(_, action)| action).collect()
}

fn load(files: &[(String, String)]) -> Result<Rules, Broken> {
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Rules::load(&files)
}

fn expectation(rules: &Rules, line: &str) -> Result<(), String> {
    let (request, expected) = line.rsplit_once("=>").ok_or("it has no `=>`; write REQUEST => allow, ask or deny")?;
    let request = Example::parse(request.trim()).map_err(|why| why.to_string())?.request;
    let expected = expected.trim();
    if !["allow", "ask", "deny"].contains(&expected) {
        return Err(format!("`{expected}` is no answer; write allow, ask or deny"));
    }
    let explained = rules.explain(&request);
    let got = match explained.verdict {
        Verdict::Allow { .. } => "allow",
        Verdict::Ask { .. } => "ask",
        // What nothing permits is denied.
        Verdict::Deny { .. } | Verdict::Silent => "deny",
    };
    if got == expected { Ok(()) } else { Err(format!("expected {expected}, but {got}: {}", explained.sentence)) }
}
