//! A draft of many small files committed, and the plain program that writes the same files in one batch made durable by
//! one `syncfs`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use raincoat_audit::About;
use raincoat_effects::commit::{Begin, Source};
use raincoat_effects::thread::EffectsThread;
use raincoat_effects::{Effects, Folder, Recorder, Remembering, Start};
use raincoat_gate::{Confirm, Facts, Verdict, decide};
use raincoat_os::{Root, SystemClock, new_ulid, state};
use raincoat_policy::{Compiled, GrantRecord, compile};
use raincoat_types::{
    Actions, Actor, Clock, Expected, FileChange, GrantId, Place, Proposal, RunEnd, RunHeader, RunId, RunKind,
    RunStatus, Seen, Take,
};

use crate::protected::{PolicyNames, store};
use raincoat_testkit::measure::{Result, random, said, settle, unknown};

/// Bytes of each file.
const SIZE: usize = 4096;
/// Files in a folder.
const A_FOLDER: usize = 200;

/// Both sides, each round in folders of its own.
pub(crate) struct Bench {
    dir: PathBuf,
    round: u32,
    recorder: Recorder,
    remembering: Remembering,
}

impl Bench {
    pub(crate) fn new(dir: &Path) -> Result<Bench> {
        let dir = dir.join("commits");
        std::fs::create_dir(&dir).map_err(said)?;
        let (recorder, remembering) = store(&dir)?;
        Ok(Bench { dir, round: 0, recorder, remembering })
    }

    /// `commit|plain created|modified COUNT`.
    pub(crate) fn measure(&mut self, what: &[&str]) -> Result<Duration> {
        let [side, sort, count] = what else { return Err(unknown(what.join(" "))) };
        let (modified, count) = (*sort == "modified", count.parse().map_err(said)?);
        self.round += 1;
        let dir = self.dir.join(self.round.to_string());
        let tree = dir.join("tree");
        std::fs::create_dir_all(&tree).map_err(said)?;
        let names: Vec<String> = (0..count).map(|n: usize| format!("{}/file-{n}", n / A_FOLDER)).collect();
        for n in 0..count.div_ceil(A_FOLDER) {
            std::fs::create_dir(tree.join(n.to_string())).map_err(said)?;
        }
        if modified {
            write_all(&tree, &names)?;
        }
        let took = match *side {
            "commit" => self.commit(&dir, &names)?,
            "plain" => {
                settle(&dir)?;
                let bytes = random(SIZE)?;
                let start = Instant::now();
                for name in &names {
                    write(&tree.join(name), &bytes)?;
                }
                settle(&dir)?;
                start.elapsed()
            }
            _ => return Err(unknown(what.join(" "))),
        };
        Ok(took)
    }

    fn commit(&mut self, dir: &Path, names: &[String]) -> Result<Duration> {
        let (tree, upper, stage) = (dir.join("tree"), dir.join("draft/upper"), dir.join("draft/stage"));
        std::fs::create_dir_all(&upper).map_err(said)?;
        std::fs::create_dir_all(&stage).map_err(said)?;
        for n in 0..names.len().div_ceil(A_FOLDER) {
            std::fs::create_dir(upper.join(n.to_string())).map_err(said)?;
        }
        settle(dir)?;
        write_all(&upper, names)?;
        let root = Root::open(&tree).map_err(said)?;
        let upper = Root::open(&upper).map_err(said)?;
        let mut actions = Vec::new();
        for name in names {
            let expect = seen(&root, name)?.map_or(Expected::Absent, Expected::Seen);
            let new = seen(&upper, name)?.map(Box::new);
            let at = Place { root: 0, path: name.as_str().into() };
            actions.push(FileChange::Adopt { at, take: Take::FromDraft, expect, new, meta: None, named: false });
        }
        let path = std::os::unix::ffi::OsStrExt::as_bytes(root.path().as_os_str()).to_vec();
        let grant = GrantId(new_ulid(&SystemClock).map_err(said)?);
        let (identity, created) = (root.identity(), SystemClock.now());
        let record = GrantRecord {
            id: grant,
            path: path.clone(),
            identity,
            actions: Actions::all(),
            private: false,
            max_files: None,
            max_bytes: None,
            until: None,
            agent: None,
            deny: Vec::new(),
            created,
        };
        let run = RunId(new_ulid(&SystemClock).map_err(said)?);
        let compiled = compile(&[record], Confirm::Never).map_err(said)?;
        let mut policy = compiled.policy.clone();
        policy.commit = Some(run);
        let compiled = Arc::new(compiled.with_policy(policy));
        let roots = vec![raincoat_types::Root { grant, path, identity }];
        let source = Source { upper, stage: Root::open(&stage).map_err(said)?, ended: true };

        let start = Instant::now();
        let kind = RunKind::Commit { of: run };
        let header =
            RunHeader { run, at: SystemClock.now(), actor: Actor::Person, goal: "commit".to_owned(), kind, roots };
        self.recorder.journal(move |journal| journal.begin_run(&header))?.map_err(said)?;
        let starting = Start {
            run,
            folders: vec![Folder { grant, root }],
            names: Box::new(PolicyNames(compiled.clone())),
            limits: raincoat_types::Limits::default(),
            recorder: self.recorder.speaking_for(About::run(run, Actor::Person)),
            clock: Arc::new(SystemClock),
            stop: Arc::default(),
        };
        let begin = Begin { sources: vec![Some(source)], stays: false };
        let thread = EffectsThread::for_commit(starting, &[true], begin)?;
        let applied = thread.call(move |effects| {
            actions.into_iter().try_for_each(|action| propose(effects, &compiled, run, action))?;
            Ok::<_, String>(effects.apply())
        })??;
        drop(thread);
        let end = RunEnd { run, at: SystemClock.now(), status: RunStatus::Done, summary: String::new() };
        self.recorder.journal(move |journal| journal.end_run(&end))?.map_err(said)?;
        self.recorder.log(Vec::new())?;
        let took = start.elapsed();
        if applied.changes as usize != names.len() {
            return Err(format!("{applied:?}"));
        }
        Ok(took)
    }

    /// Ends in good order.
    pub(crate) fn end(self) -> Result<()> {
        drop(self.recorder);
        let (_, audit) = self.remembering.join()?;
        audit.close().map(drop).map_err(said)
    }
}

fn propose(effects: &mut Effects, compiled: &Compiled, run: RunId, action: FileChange) -> Result<()> {
    let mut resolved = effects.resolve_change(&action).map_err(|failure| failure.message)?;
    let facts = Facts {
        now: SystemClock.now(),
        digest: resolved.digest,
        targets: std::mem::take(&mut resolved.targets),
        ..Facts::default()
    };
    match decide(&compiled.policy, &facts, Proposal { actor: Actor::Person, run, action }) {
        Verdict::Permit(permit) => effects.change(permit, resolved),
        Verdict::Ask { why, .. } => return Err(why),
        Verdict::Deny { refusal } => return Err(refusal.message),
    }
    Ok(())
}

fn seen(root: &Root, name: &str) -> Result<Option<Seen>> {
    let stat = state::stat_at(std::os::fd::AsFd::as_fd(root), name.as_bytes()).map_err(said)?;
    Ok(stat.map(|stat| Seen {
        kind: stat.kind,
        identity: stat.identity,
        size: stat.size,
        mtime: stat.mtime,
        ctime: stat.ctime,
        digest: None,
    }))
}

fn write_all(tree: &Path, names: &[String]) -> Result<()> {
    names.iter().try_for_each(|name| write(&tree.join(name), &random(SIZE)?))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = File::create(path).map_err(said)?;
    file.write_all_at(bytes, 0).map_err(said)
}
