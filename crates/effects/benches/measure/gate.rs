//! The decision by itself: fifty grants, facts as the effects thread finds them for a move.

#[path = "../../../policy/benches/cedar/rules.rs"]
mod rules;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use raincoat_gate::{Approval, Confirm, Facts, Protection, Role, Ruled, Scope, Target, Verdict, decide};
use raincoat_policy::cedar::{Request, Rules};
use raincoat_policy::{Compiled, GrantRecord, compile};
use raincoat_types::{
    Actions, Actor, Digest, FileChange, FileKind, GrantId, Identity, Place, Proposal, RelPath, RunId, Spot, Timestamp,
    Ulid,
};

use raincoat_testkit::measure::{Result, median, said, unknown};

/// Grants in the policy.
const GRANTS: u32 = 50;
/// Calls in one answer; each is timed by itself.
const CALLS: usize = 1000;

pub(crate) struct Bench {
    compiled: Compiled,
    somewhere: PathBuf,
    loaded: Option<((u64, usize), Rules)>,
    requests: Vec<Request>,
}

impl Bench {
    pub(crate) fn new(dir: &Path) -> Result<Bench> {
        let somewhere = dir.join("looked-at");
        std::fs::write(&somewhere, b"a file").map_err(said)?;
        let compiled = compile(&grants(Vec::new()), Confirm::Plans).map_err(said)?;
        Ok(Bench { compiled, somewhere, loaded: None, requests: rules::requests()? })
    }

    pub(crate) fn measure(&mut self, what: &str) -> Result<Duration> {
        match what {
            "allow" => self.decide(&facts(true), |verdict| matches!(verdict, Verdict::Permit(_))),
            "ask" => self.decide(&facts(false), |verdict| matches!(verdict, Verdict::Ask { .. })),
            "deny" => {
                let mut facts = facts(true);
                let target = facts.targets.last_mut().ok_or("a move has targets")?;
                target.protection = Some((Protection::Control, ".git: git hooks run programs".to_owned()));
                self.decide(&facts, |verdict| matches!(verdict, Verdict::Deny { .. }))
            }
            "names" => self.names(),
            "grants" => self.rules(50, 0),
            "rules" => self.rules(50, 200),
            // One system call that looks at a file, for scale.
            "stat" => timed(|| std::fs::metadata(&self.somewhere), std::result::Result::is_ok),
            _ => Err(unknown(what)),
        }
    }

    /// Rules in Cedar: the median over requests that differ.
    fn rules(&mut self, grants: u64, written: usize) -> Result<Duration> {
        if self.loaded.as_ref().is_none_or(|(of, _)| *of != (grants, written)) {
            self.loaded = Some(((grants, written), rules::of(grants, written)?));
        }
        let Some((_, loaded)) = &self.loaded else { return Err("no rules were loaded".to_owned()) };
        let mut times = Vec::with_capacity(CALLS);
        for request in self.requests.iter().cycle().take(CALLS) {
            let start = Instant::now();
            let verdict = std::hint::black_box(loaded.decide(request));
            times.push(start.elapsed());
            drop(verdict);
        }
        median(times)
    }

    fn decide(&self, facts: &Facts, as_meant: fn(&Verdict<FileChange>) -> bool) -> Result<Duration> {
        let mut proposals = vec![proposal(); CALLS].into_iter();
        timed(|| decide(&self.compiled.policy, facts, proposals.next().unwrap_or_else(proposal)), as_meant)
    }

    /// The protected names and the grant's own deny globs, for one path.
    fn names(&self) -> Result<Duration> {
        let path = RelPath::new(b"projects/2026/site/drafts/report-0123.pdf").map_err(said)?;
        let grant = grant_id(GRANTS / 2);
        timed(
            || (raincoat_policy::protected(b"/home/user/Documents", &path, false), self.compiled.denied(grant, &path)),
            |(protected, denied)| protected.is_none() && denied.is_none(),
        )
    }
}

/// What the call gives is looked at and dropped within the time: a refusal's words cost too.
fn timed<T>(mut call: impl FnMut() -> T, as_meant: fn(&T) -> bool) -> Result<Duration> {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let start = Instant::now();
        let came_out = as_meant(&call());
        times.push(start.elapsed());
        if !came_out {
            return Err("it came out otherwise than the benchmark means".to_owned());
        }
    }
    median(times)
}

/// Fifty grants with a few deny globs each, and the given ones.
pub(crate) fn grants(mut more: Vec<GrantRecord>) -> Vec<GrantRecord> {
    let fillers = (0..GRANTS - u32::try_from(more.len()).unwrap_or(0)).map(|n| GrantRecord {
        id: grant_id(n),
        path: format!("/home/user/folder-{n}").into_bytes(),
        identity: Identity { dev: 1, ino: 1, born: Timestamp::default() },
        actions: if n % 5 == 4 { Actions::READING } else { Actions::all() },
        private: false,
        max_files: None,
        max_bytes: None,
        until: (n % 3 == 0).then_some(Timestamp { secs: i64::MAX, nanos: 0 }),
        agent: (n % 7 == 6).then(|| format!("agent:helper-{n}")),
        deny: vec!["*.key".to_owned(), "private/".to_owned()],
        created: Timestamp::default(),
    });
    more.extend(fillers);
    more
}

fn grant_id(n: u32) -> GrantId {
    GrantId(Ulid::from_parts(1_000 + u64::from(n), 7))
}

/// A file moved two folders up, within the 26th grant.
fn facts(approved: bool) -> Facts {
    let digest = Digest([3; 32]);
    let target = |path: &str, role, kind| Target {
        spot: Spot { grant: grant_id(GRANTS / 2), path: RelPath::new(path.as_bytes()).unwrap_or(RelPath::ROOT) },
        role,
        kind,
        protection: None,
        denied: None,
        linked_outside: false,
        private: false,
        ruled: Ruled::Silent,
    };
    let targets = vec![
        target("inbox/2026/report-0123.pdf", Role::Remove, Some(FileKind::File)),
        target("Documents/report-0123.pdf", Role::Write, None),
    ];
    let until = Timestamp { secs: i64::MAX, nanos: 0 };
    let approval = approved.then_some(Approval { scope: Scope::Exactly(digest), until });
    Facts { now: Timestamp::default(), digest, targets, approval, ..Facts::default() }
}

fn proposal() -> Proposal<FileChange> {
    let place = |path: &str| Place { root: 0, path: path.into() };
    let action = FileChange::Move {
        from: place("inbox/2026/report-0123.pdf"),
        to: place("Documents/report-0123.pdf"),
        replace: false,
    };
    Proposal { actor: Actor::Recipe("tidy".to_owned()), run: RunId(Ulid::from_parts(5, 5)), action }
}
