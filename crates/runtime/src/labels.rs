//! Labels in a task with a model: what each answer carries that the model is told of, and where what it proposes came
//! from.
//!
//! The worker says which words the model was told; what they carry is known here, from the reads that were answered
//! before. A worker that says nothing, or something else, gains nothing by it: what was read is in all that nobody said.

use std::sync::Arc;

use raincoat_flow::{FlowLimits, Manifest, Run, ToolDefinition};
use raincoat_gate::{CallFacts, Effect, Intent, Led};
use raincoat_types::wire::PlanStep;
use raincoat_types::{Confidentiality, FileChange, Integrity, Label, Place, RawPath, Source, display_bytes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What led to one step of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Lead {
    /// For the gate.
    pub(crate) led: Led,
    /// What others may have written is in it.
    pub(crate) tainted: bool,
}

/// A look that was answered.
pub(crate) struct Look {
    /// Content was read, not names alone.
    pub(crate) content: bool,
    /// Something of it lies in a private folder.
    pub(crate) private: bool,
    /// The folder that was listed, and the paths that were found.
    pub(crate) listed: Option<(Place, Vec<RawPath>)>,
}

/// The tool that lists.
const LIST: &str = "list_dir";
/// Tools that tell of names, sizes and the like, and of no content.
const NAMES_ONLY: [&str; 3] = [LIST, "stat", "hash"];

/// What a task's model has been told.
pub(crate) struct Labels {
    run: Run,
    /// What the content carries that was read and that the model may be told of now.
    since: Option<Label>,
    /// The model is being told of it.
    telling: bool,
    /// What a conversation carried that this run goes on with; its words come again first.
    earlier: Option<Label>,
}

/// What a conversation needs to be gone on with, as it is kept: the worker's own words, and what they carry. A private
/// folder's words are no less private for lying in a journal.
#[derive(Serialize, Deserialize)]
pub(crate) struct Transcript {
    /// `None` where no model was told anything.
    pub(crate) label: Option<Label>,
    #[serde(with = "serde_bytes")]
    pub(crate) bytes: Vec<u8>,
}

/// The first byte of a kept transcript: its format. What was kept before there was one is JSON, and begins with `{`.
const FORMAT: u8 = 1;

impl Transcript {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Plain data always serialises.
        [vec![FORMAT], postcard::to_stdvec(self).unwrap_or_default()].concat()
    }

    /// Reads what was kept; `None` where it is of another format. An old one is taken for the worst.
    pub(crate) fn parse(kept: &[u8]) -> Option<Transcript> {
        match kept.split_first()? {
            (&FORMAT, rest) => postcard::from_bytes(rest).ok(),
            (b'{', _) => {
                let label = Label::of(Source::Document).join(&Label::of(Source::PrivateFolder));
                Some(Transcript { label: Some(label), bytes: kept.to_vec() })
            }
            _ => None,
        }
    }
}

/// What the tools of a task do, and what their arguments are for.
const TOOLS: &str = r#"
    [tools]
    list_dir = { effect = "read", arguments = { path = "thing" } }
    stat = { effect = "read", arguments = { path = "thing" } }
    hash = { effect = "read", arguments = { path = "thing" } }
    read_file = { effect = "read", arguments = { path = "thing" } }
    search = { effect = "read", arguments = { path = "thing", pattern = "content", glob = "content" } }
    write_file = { effect = "change", arguments = { path = "thing", content = "content" } }
    edit_file = { effect = "change", arguments = { path = "thing", new = "content" } }
    make_dir = { effect = "change", arguments = { path = "thing" } }
    move = { effect = "change", arguments = { from = "thing", to = "thing" } }
    copy = { effect = "change", arguments = { from = "thing", to = "thing" } }
    delete = { effect = "destroy", arguments = { path = "thing" } }
    archive = { effect = "change", arguments = { from = "thing", to = "thing" } }
    extract_archive = { effect = "change", arguments = { from = "thing", to = "thing" } }
"#;

impl Labels {
    /// A task in the person's words. `earlier` is what the conversation carries that it goes on with.
    pub(crate) fn begin(request: &str, earlier: Option<Label>) -> Labels {
        let tools: Vec<ToolDefinition> = raincoat_agent::tools()
            .into_iter()
            .map(|tool| ToolDefinition {
                name: tool.name.to_owned(),
                description: tool.about.to_owned(),
                parameters: tool.schema,
            })
            .collect();
        // It is ours and tested; were it not read, every tool would be taken for what its name makes of it.
        let manifest = Manifest::parse(TOOLS).unwrap_or_default();
        let mut run = Run::new(request, &tools, &manifest, FlowLimits::default());
        if let Some(earlier) = &earlier {
            run.heard(earlier);
        }
        Labels { run, since: None, telling: false, earlier }
    }

    /// A look was answered: at names, or at content.
    pub(crate) fn looked(&mut self, look: &Look, roots: &[(String, Vec<u8>)]) {
        let folder = Label::of(if look.private { Source::PrivateFolder } else { Source::Folder });
        if look.content {
            if std::mem::take(&mut self.telling) {
                self.settle();
            }
            let read = folder.clone().join(&Label::of(Source::Document));
            self.since = Some(self.since.take().unwrap_or_else(Label::nothing).join(&read));
        }
        if let Some((place, names)) = &look.listed {
            let path = name_of(place, roots);
            let names: Vec<Value> = names
                .iter()
                .map(|name| json!({ "path": name_of(&Place { root: place.root, path: name.clone() }, roots) }))
                .collect();
            let named = format!("{LIST} {path}");
            self.run.call(LIST, &json!({ "path": path }));
            self.run.result_from(LIST, &Value::from(names).to_string(), false, &named, folder);
        }
    }

    /// The model is told what came of a look. What nothing is known of is taken for anybody's words.
    pub(crate) fn told(&mut self, tool: &str, arguments: &str, text: &str) {
        self.telling = true;
        // What is listed is known better here, unless it was listed for the run that this one goes on with.
        if NAMES_ONLY.contains(&tool) && self.earlier.is_none() {
            return;
        }
        let label = self.since.as_ref().or(self.earlier.as_ref());
        let label = label.cloned().unwrap_or_else(|| Label::of(Source::Document));
        let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
        let path = arguments.get("path").and_then(Value::as_str).unwrap_or_default();
        let name = if path.is_empty() { tool.to_owned() } else { format!("{tool} {path}") };
        self.run.call(tool, &arguments);
        self.run.result_from(tool, text, false, &name, label);
    }

    /// What led to each step of a plan.
    pub(crate) fn leads(&mut self, steps: &[PlanStep], roots: &[(String, Vec<u8>)]) -> Arc<Vec<Lead>> {
        self.settle();
        Arc::new(steps.iter().map(|step| self.lead(&step.change, roots)).collect())
    }

    /// What the conversation carries by now.
    pub(crate) fn label(&mut self) -> Label {
        self.settle();
        self.run.label().clone()
    }

    /// What was read without the model being told of it may be in what it proposes all the same.
    fn settle(&mut self) {
        if let Some(label) = self.since.take() {
            self.run.heard(&label);
        }
    }

    fn lead(&self, change: &FileChange, roots: &[(String, Vec<u8>)]) -> Lead {
        let traced = call_of(change, roots).map(|(tool, arguments)| self.run.trace(tool, &arguments));
        match traced {
            Some(Ok(trace)) => Lead {
                tainted: trace.label.integrity() == Integrity::Anyone,
                led: Led { call: trace.call, told: trace.told },
            },
            // What cannot be traced is what nobody asked for.
            Some(Err(_)) | None => Lead { led: unknown(), tainted: true },
        }
    }
}

fn unknown() -> Led {
    let call = CallFacts {
        effect: Effect::Change,
        intent: Intent::Outside,
        audience: Confidentiality::Private,
        arguments: Vec::new(),
        tainted: true,
        alarmed: true,
    };
    Led { call, told: Vec::new() }
}

/// A change as the call of a tool; `None` for what no tool calls for.
fn call_of(change: &FileChange, roots: &[(String, Vec<u8>)]) -> Option<(&'static str, Value)> {
    let name = |place: &Place| name_of(place, roots);
    Some(match change {
        FileChange::Write { at, content, .. } => {
            ("write_file", json!({ "path": name(at), "content": String::from_utf8_lossy(content) }))
        }
        // What is replaced stands in the file: it decides nothing by where it came from.
        FileChange::Edit { at, new, .. } => {
            ("edit_file", json!({ "path": name(at), "new": String::from_utf8_lossy(new) }))
        }
        FileChange::Mkdir { at, .. } => ("make_dir", json!({ "path": name(at) })),
        FileChange::Move { from, to, .. } => ("move", json!({ "from": name(from), "to": name(to) })),
        FileChange::Copy { from, to, .. } => ("copy", json!({ "from": name(from), "to": name(to) })),
        FileChange::Delete { at, .. } => ("delete", json!({ "path": name(at) })),
        FileChange::Archive { from, to, .. } => {
            ("archive", json!({ "from": from.iter().map(name).collect::<Vec<_>>(), "to": name(to) }))
        }
        FileChange::Extract { from, to } => ("extract_archive", json!({ "from": name(from), "to": name(to) })),
        FileChange::Revert { .. }
        | FileChange::RestoreTimes { .. }
        | FileChange::Adopt { .. }
        | FileChange::Restore { .. } => return None,
    })
}

/// A place as the model names it.
fn name_of(place: &Place, roots: &[(String, Vec<u8>)]) -> String {
    let path = display_bytes(&place.path.0);
    match roots.get(usize::from(place.root)).filter(|_| roots.len() > 1) {
        Some((label, _)) => format!("{label}/{path}"),
        None => path,
    }
}
