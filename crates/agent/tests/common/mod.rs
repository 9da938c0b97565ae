//! A keeper with files in memory and a model that plays a script.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use raincoat_agent::keeper::{Keeper, Lost, PlanResult, Sink};
use raincoat_types::wire::{Job, JobModel, JobRoot, PlanStep, Task};
use raincoat_types::{
    ChangeDone, Digest, DirEntry, Expect, Failure, FailureKind, FileChange, FileKind, FileRead, Identity, Limits,
    Match, Meta, ModelRequest, OpId, Outcome, Place, ReadDone, Refusal, RelPath, RunId, Timestamp, Ulid,
};
use serde_json::{Value, json};

/// A model's reply, as the network brings it.
pub struct Reply {
    /// Pieces of the body.
    pub pieces: Vec<Vec<u8>>,
    /// What ends it.
    pub outcome: Outcome,
}

type Model = Box<dyn FnMut(usize, &Value) -> Reply>;

/// The keeper.
pub struct Fake {
    /// Files by path; folders have `None`.
    pub files: BTreeMap<String, Option<Vec<u8>>>,
    pub model: Model,
    /// Requests that the model got.
    pub requests: Vec<Value>,
    pub said: String,
    pub notes: Vec<String>,
    pub plans: Vec<(String, Vec<PlanStep>)>,
    pub reads: Vec<Vec<FileRead>>,
    pub transcripts: Vec<Vec<u8>>,
    /// Asks to stop from this many requests on.
    pub stop_after: Option<usize>,
    /// The person refuses every plan with these words.
    pub refuse: Option<String>,
    /// The gate refuses steps on paths that start so.
    pub protected: String,
    /// The connection is lost at the plan with this number (from 0), after it was carried out.
    pub lose_at_plan: Option<usize>,
    /// The reply was given up.
    pub given_up: usize,
}

impl Fake {
    pub fn new(files: &[(&str, &str)], model: impl FnMut(usize, &Value) -> Reply + 'static) -> Fake {
        let mut fake = Fake {
            files: BTreeMap::new(),
            model: Box::new(model),
            requests: Vec::new(),
            said: String::new(),
            notes: Vec::new(),
            plans: Vec::new(),
            reads: Vec::new(),
            transcripts: Vec::new(),
            stop_after: None,
            refuse: None,
            protected: "\0".into(),
            lose_at_plan: None,
            given_up: 0,
        };
        for (path, content) in files {
            fake.mkdirs(path.rsplit_once('/').map_or("", |(folder, _)| folder));
            fake.files.insert((*path).to_owned(), Some(content.as_bytes().to_vec()));
        }
        fake
    }

    pub fn text(&self, path: &str) -> Option<String> {
        self.files.get(path).cloned().flatten().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn mkdirs(&mut self, path: &str) {
        let mut at = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
            self.files.entry(at.clone()).or_insert(None);
        }
    }

    fn entry(&self, path: &str) -> Option<DirEntry> {
        let node = if path.is_empty() { &None } else { self.files.get(path)? };
        let zero = Timestamp::default();
        let meta = Meta {
            kind: if node.is_some() { FileKind::File } else { FileKind::Dir },
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: node.as_ref().map_or(0, |bytes| bytes.len() as u64),
            mtime: zero,
            atime: zero,
            nlink: 1,
            identity: Identity { dev: 1, ino: 1, born: zero },
            xattrs: Vec::new(),
        };
        Some(DirEntry { path: RelPath::new(path.as_bytes()).unwrap(), meta, target: None })
    }

    fn look(&self, asked: &FileRead) -> Outcome {
        let path = name(asked.place());
        let Some(entry) = self.entry(&path) else { return fail(FailureKind::NotFound, "no such file") };
        let bytes = self.files.get(&path).cloned().flatten();
        match (asked, bytes) {
            (FileRead::Stat { .. }, _) => Outcome::Read(ReadDone::Stat(entry)),
            (FileRead::List { skip, .. }, None) => {
                let below = |key: &&String| path.is_empty() || key.starts_with(&format!("{path}/"));
                let all: Vec<_> =
                    self.files.keys().filter(below).skip(*skip as usize).map(|key| self.entry(key).unwrap()).collect();
                Outcome::Read(ReadDone::List { entries: all, more: false })
            }
            (FileRead::Read { offset, len, .. }, Some(bytes)) => {
                let from = (*offset as usize).min(bytes.len());
                let to = (from + *len as usize).min(bytes.len());
                let whole = from == 0 && to == bytes.len();
                let (size, digest) = (bytes.len() as u64, whole.then(|| digest(&bytes)));
                Outcome::Read(ReadDone::Bytes { bytes: bytes[from..to].to_vec(), size, digest })
            }
            (FileRead::Hash { .. }, Some(bytes)) => Outcome::Read(ReadDone::Hash(digest(&bytes))),
            (FileRead::Search { pattern, .. }, _) => {
                let mut matches = Vec::new();
                for (path, bytes) in &self.files {
                    let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
                    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains(pattern.as_str())) {
                        let path = RelPath::new(path.as_bytes()).unwrap();
                        matches.push(Match { path, line: number as u64 + 1, text: line.as_bytes().to_vec() });
                    }
                }
                Outcome::Read(ReadDone::Search { matches, more: false })
            }
            _ => fail(FailureKind::WrongKind, "not that kind of file"),
        }
    }

    fn change(&mut self, change: &FileChange) -> Result<(), Failure> {
        let no = |kind, words: &str| Err(Failure::new(kind, words));
        match change {
            FileChange::Write { at, content, expect } => {
                let at = name(at);
                self.needs_folder(&at)?;
                let now = self.files.get(&at).cloned().flatten();
                match (expect, now) {
                    (Expect::Absent, None) | (Expect::Anything, _) => {}
                    (Expect::Digest(wanted), Some(bytes)) if digest(&bytes) == *wanted => {}
                    (Expect::Absent, Some(_)) => return no(FailureKind::Exists, "it exists"),
                    _ => return no(FailureKind::Changed, "someone changed it"),
                }
                self.files.insert(at, Some(content.clone()));
            }
            FileChange::Edit { at, old, new, all, expect } => {
                let Some(bytes) = self.files.get(&name(at)).cloned().flatten() else {
                    return no(FailureKind::NotFound, "no such file");
                };
                if digest(&bytes) != *expect {
                    return no(FailureKind::Changed, "someone changed it");
                }
                let text = String::from_utf8(bytes).unwrap();
                let (old, new) = (std::str::from_utf8(old).unwrap(), std::str::from_utf8(new).unwrap());
                assert!(*all || text.matches(old).count() == 1, "the worker must not propose this");
                self.files.insert(name(at), Some(text.replace(old, new).into_bytes()));
            }
            FileChange::Mkdir { at, .. } => self.mkdirs(&name(at)),
            FileChange::Move { from, to, replace } | FileChange::Copy { from, to, replace } => {
                let (from, to) = (name(from), name(to));
                self.needs_folder(&to)?;
                if !self.files.contains_key(&from) {
                    return no(FailureKind::NotFound, "no such file");
                }
                if self.files.contains_key(&to) && !replace {
                    return no(FailureKind::Exists, "something is there");
                }
                let within: Vec<_> = self
                    .files
                    .keys()
                    .filter(|key| **key == from || key.starts_with(&format!("{from}/")))
                    .cloned()
                    .collect();
                for key in within {
                    let node = self.files[&key].clone();
                    if matches!(change, FileChange::Move { .. }) {
                        self.files.remove(&key);
                    }
                    self.files.insert(format!("{to}{}", &key[from.len()..]), node);
                }
            }
            FileChange::Delete { at, recursive } => {
                let at = name(at);
                let below = format!("{at}/");
                if !recursive && self.files.keys().any(|key| key.starts_with(&below)) {
                    return no(FailureKind::WrongKind, "the folder is not empty");
                }
                if self.files.remove(&at).is_none() {
                    return no(FailureKind::NotFound, "no such file");
                }
                self.files.retain(|key, _| !key.starts_with(&below));
            }
            FileChange::Archive { to, .. } => {
                self.files.insert(name(to), Some(b"archive".to_vec()));
            }
            FileChange::Extract { to, .. } => self.mkdirs(&name(to)),
            FileChange::Revert { .. }
            | FileChange::RestoreTimes { .. }
            | FileChange::Restore { .. }
            | FileChange::Adopt { .. } => panic!("only undo, restore and commit propose this"),
        }
        Ok(())
    }

    fn needs_folder(&self, path: &str) -> Result<(), Failure> {
        match path.rsplit_once('/') {
            Some((folder, _)) if !self.files.contains_key(folder) => {
                Err(Failure::new(FailureKind::NotFound, "its folder is missing"))
            }
            _ => Ok(()),
        }
    }
}

impl Keeper for Fake {
    fn read(&mut self, actions: Vec<FileRead>) -> Result<Vec<Outcome>, Lost> {
        let outcomes = actions.iter().map(|asked| self.look(asked)).collect();
        self.reads.push(actions);
        Ok(outcomes)
    }

    fn plan(&mut self, title: &str, steps: Vec<PlanStep>) -> Result<PlanResult, Lost> {
        self.plans.push((title.to_owned(), steps.clone()));
        if let Some(words) = &self.refuse {
            return Ok(PlanResult { outcomes: vec![None; steps.len()], refused: Some(words.clone()) });
        }
        let mut outcomes = Vec::new();
        let mut broken = false;
        for (number, step) in steps.iter().enumerate() {
            let refused = format!("{:?}", step.change).contains(&format!("`{}", self.protected));
            outcomes.push(match broken {
                true => None,
                false if refused => {
                    Some(Outcome::Refused(Refusal { rule: "protected-name".into(), message: "it is protected".into() }))
                }
                false => Some(match self.change(&step.change) {
                    Ok(()) => {
                        let op = OpId { run: RunId(Ulid::from_parts(1, 1)), seq: number as u32 + 1 };
                        Outcome::Change(ChangeDone { ops: vec![op] })
                    }
                    Err(failure) => {
                        broken = true;
                        Outcome::Failed(failure)
                    }
                }),
            });
        }
        if self.lose_at_plan == Some(self.plans.len() - 1) {
            return Err(Lost("killed".into()));
        }
        Ok(PlanResult { outcomes, refused: None })
    }

    fn ask(&mut self, request: ModelRequest, sink: &mut Sink<'_>) -> Result<Outcome, Lost> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let reply = (self.model)(self.requests.len(), &body);
        self.requests.push(body);
        for piece in reply.pieces {
            match sink(&piece) {
                ControlFlow::Continue(words) => self.said.push_str(&words),
                ControlFlow::Break(()) => {
                    self.given_up += 1;
                    return Ok(fail(FailureKind::Stopped, "given up"));
                }
            }
        }
        Ok(reply.outcome)
    }

    fn say(&mut self, text: &str) -> Result<(), Lost> {
        self.said.push_str(text);
        Ok(())
    }

    fn status(&mut self, _: &str, _: Option<(u64, u64)>) -> Result<(), Lost> {
        Ok(())
    }

    fn note(&mut self, text: &str) -> Result<(), Lost> {
        self.notes.push(text.to_owned());
        Ok(())
    }

    fn transcript(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.transcripts.push(bytes.to_vec());
        Ok(())
    }

    fn stop_asked(&mut self) -> bool {
        self.stop_after.is_some_and(|after| self.requests.len() >= after)
    }
}

pub fn job(native: bool) -> Job {
    Job {
        task: Task::Prompt("do it".into()),
        roots: vec![JobRoot { label: "docs".into(), path: b"/home/me/docs".to_vec(), read_only: false }],
        model: Some(JobModel { provider: "p".into(), model: "m".into(), window: 32_768, native_tools: native }),
        unclear: false,
        limits: Limits::default(),
        now: (1_795_219_200, 3600),
        transcript: Vec::new(),
    }
}

/// A streamed reply out of deltas, in small pieces.
pub fn stream(deltas: &[Value], reason: &str) -> Reply {
    let mut body = String::new();
    for delta in deltas {
        body.push_str(&format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]})));
    }
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10}});
    body.push_str(&format!("data: {end}\n\ndata: [DONE]\n\n"));
    Reply { pieces: body.as_bytes().chunks(7).map(<[u8]>::to_vec).collect(), outcome: Outcome::Model { status: 200 } }
}

pub fn says(text: &str) -> Reply {
    stream(&[json!({"role": "assistant"}), json!({"content": text})], "stop")
}

/// A reply that makes these calls, natively.
pub fn calls(list: &[(&str, Value)]) -> Reply {
    let piece = |(number, (name, arguments)): (usize, &(&str, Value))| {
        let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
        json!({"tool_calls": [{"index": number, "id": format!("c{number}"), "type": "function", "sig": "s",
            "function": {"name": name, "arguments": arguments}}]})
    };
    let deltas: Vec<_> = list.iter().enumerate().map(piece).collect();
    stream(&deltas, "tool_calls")
}

pub fn error(status: u16, words: &str) -> Reply {
    let body = json!({"error": {"message": words}}).to_string().into_bytes();
    Reply { pieces: vec![body], outcome: Outcome::Model { status } }
}

/// The text of the last message that the model got.
pub fn last(request: &Value) -> String {
    request["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned()
}

/// The results that follow the last message of the model.
pub fn results(request: &Value) -> Vec<String> {
    let messages = request["messages"].as_array().unwrap();
    let mut out: Vec<_> = messages
        .iter()
        .rev()
        .take_while(|message| message["role"] == "tool")
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect();
    out.reverse();
    out
}

pub fn fail(kind: FailureKind, words: &str) -> Outcome {
    Outcome::Failed(Failure::new(kind, words))
}

pub fn digest(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}

fn name(at: &Place) -> String {
    String::from_utf8(at.path.0.clone()).unwrap()
}
