//! What an entry says, in named fields that every format picks from.

use raincoat_types::{Actor, ChangeKind, Digest, RawPath, Spot, Timestamp, display_bytes, display_text};

use super::weight::weight_of;
use super::{Item, Pairing, What, facts, hex, mask, rfc3339};
use crate::Event;

/// An entry, ready for any format. Every text in it is visible throughout (no control characters, paths as
/// [`display_bytes`] writes them) and went through [`mask`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its place in the log.
    pub index: u64,
    /// Its leaf hash in hex.
    pub leaf: String,
    /// When.
    pub at: Timestamp,
    /// What sort of event, by its stable name ([`Event::kind`]).
    pub kind: &'static str,
    /// How long such entries are kept goes by this ([`crate::Class`]).
    pub class: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Whether it came to what was meant.
    pub outcome: Outcome,
    /// In one line.
    pub message: String,
    /// Within which run.
    pub run: Option<String>,
    /// Who acted.
    pub actor: Option<String>,
    /// Whether that is a person.
    pub by_person: bool,
    /// The producer's id and its count.
    pub producer: Option<(String, u64)>,
    /// Under whose keys it is sealed.
    pub subjects: Vec<String>,
    /// Its subject was erased: which sort of entry it was.
    pub erased: Option<String>,
    /// All else, by name. The names are those of `docs/formats/export.schema.json`.
    pub fields: Vec<(&'static str, Value)>,
}

/// A field's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A text.
    Text(String),
    /// Several.
    Texts(Vec<String>),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

/// How much an event matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// As every day.
    Info,
    /// Worth a look.
    Notice,
    /// Something was refused or failed.
    Warning,
    /// A protection is missing, or somebody tries the keys.
    Error,
}

/// Whether something came to what was meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// It did.
    Success,
    /// It did not.
    Failure,
    /// That is not known yet, or not the question.
    Unknown,
}

impl Record {
    /// The record of an entry. `pairing` knows what earlier entries said that this one refers to.
    pub fn of(item: &Item, pairing: &Pairing) -> Record {
        Record::with(item, pairing, true)
    }

    /// The same for the log's owner on their own screen: nothing is masked.
    pub fn for_owner(item: &Item, pairing: &Pairing) -> Record {
        Record::with(item, pairing, false)
    }

    fn with(item: &Item, pairing: &Pairing, masked: bool) -> Record {
        let event = match &item.what {
            What::Event(event) => Some(event),
            What::Erased { .. } => None,
        };
        let (severity, outcome) = event.map_or((Severity::Info, Outcome::Unknown), weight_of);
        let mut fields = Fields { all: Vec::new(), masked };
        let shown = |text: &str| visible(text, masked);
        if let Some(event) = event {
            facts::add(&mut fields, event);
            pairing.complete(item.run, event, &mut fields);
        }
        Record {
            index: item.index,
            leaf: hex(&item.leaf),
            at: item.at,
            kind: event.map_or("erased", Event::kind),
            class: event.map_or("erased", |event| event.class().name()),
            severity,
            outcome,
            message: event.map_or_else(|| "erased".to_owned(), |event| shown(&event.one_line())),
            run: item.run.map(|run| run.to_string()),
            actor: item.actor.as_ref().map(|actor| shown(&actor.name())),
            by_person: matches!(item.actor, Some(Actor::Person)),
            producer: item.producer.map(|producer| (producer.id.to_string(), producer.seq)),
            subjects: item.subjects.iter().map(|subject| shown(subject)).collect(),
            erased: match &item.what {
                What::Event(_) => None,
                What::Erased { class } => Some(shown(class)),
            },
            fields: fields.all,
        }
    }

    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// A field that is one text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.field(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A field that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.field(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A field that is a list.
    pub fn texts(&self, name: &str) -> &[String] {
        match self.field(name) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }
}

impl Value {
    /// The value as one text.
    pub fn flat(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Texts(texts) => texts.join(", "),
            Value::Number(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
        }
    }
}

impl Severity {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl Outcome {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Unknown => "unknown",
        }
    }
}

/// Named values, in the order they were put in. The first of a name stays.
pub(super) struct Fields {
    all: Vec<(&'static str, Value)>,
    masked: bool,
}

impl Fields {
    pub(super) fn put(&mut self, name: &'static str, value: Value) {
        if !self.all.iter().any(|(known, _)| *known == name) {
            self.all.push((name, value));
        }
    }

    /// Somebody's words: made visible, and masked. Empty ones are left out.
    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() {
            self.put(name, Value::Text(visible(text, self.masked)));
        }
    }

    pub(super) fn optional(&mut self, name: &'static str, text: Option<&String>) {
        self.text(name, text.map(String::as_str).unwrap_or_default());
    }

    pub(super) fn texts(&mut self, name: &'static str, texts: &[String]) {
        self.put(name, Value::Texts(texts.iter().map(|text| visible(text, self.masked)).collect()));
    }

    /// Our own id, digest or word: put as it is.
    pub(super) fn id(&mut self, name: &'static str, id: impl ToString) {
        self.put(name, Value::Text(id.to_string()));
    }

    pub(super) fn number(&mut self, name: &'static str, number: impl Into<u64>) {
        self.put(name, Value::Number(number.into()));
    }

    pub(super) fn flag(&mut self, name: &'static str, flag: bool) {
        self.put(name, Value::Flag(flag));
    }

    pub(super) fn digest(&mut self, name: &'static str, digest: Option<Digest>) {
        if let Some(digest) = digest {
            self.id(name, digest.hex());
        }
    }

    pub(super) fn time(&mut self, name: &'static str, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.id(name, rfc3339(at, 9));
        }
    }

    pub(super) fn path(&mut self, name: &'static str, path: &RawPath) {
        self.put(name, Value::Text(hidden(display_bytes(&path.0), self.masked)));
    }

    pub(super) fn paths(&mut self, name: &'static str, paths: &[RawPath]) {
        self.put(name, Value::Texts(paths.iter().map(|path| hidden(display_bytes(&path.0), self.masked)).collect()));
    }

    /// What is changed, and where: `path`, and for a move `to`, each beneath its grant.
    pub(super) fn places(&mut self, kind: ChangeKind, places: &[Spot]) {
        self.id("verb", kind_word(kind));
        self.spots(places);
    }

    pub(super) fn spots(&mut self, places: &[Spot]) {
        let mut places = places.iter();
        if let Some(first) = places.next() {
            self.id("grant", first.grant);
            self.put("path", Value::Text(hidden(first.path.display(), self.masked)));
        }
        if let Some(second) = places.next() {
            self.put("to", Value::Text(hidden(second.path.display(), self.masked)));
        }
    }
}

/// A text with nothing in it that hides or moves, on one line, and without what looks like a secret.
fn visible(text: &str, masked: bool) -> String {
    hidden(display_text(text).replace('\n', "\\n").replace('\t', "\\t"), masked)
}

fn hidden(text: String, masked: bool) -> String {
    if !masked {
        return text;
    }
    match mask(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(masked) => masked,
    }
}

fn kind_word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Create => "create",
        ChangeKind::Replace => "replace",
        ChangeKind::Remove => "remove",
        ChangeKind::Move => "move",
        ChangeKind::Link => "link",
        ChangeKind::SetMeta => "set-meta",
    }
}
