//! Whom and what entries are about: each subject has a key of its own (see [`crate::slots`]), and destroying it makes
//! every entry that names the subject unreadable.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use raincoat_types::{Actor, GrantId, RunId, Timestamp};

use crate::{Class, Event};

/// Seconds of one period: the entries of one class and one period share a key, which retention destroys. 30 days.
pub const PERIOD_SECS: i64 = 30 * 86_400;

/// Someone or something that can be erased from the log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subject {
    /// A run.
    Run(RunId),
    /// A person, by the name that the system has for who started us.
    Person(String),
    /// A granted folder, by its path as it was granted. All grants of that path.
    Folder(Vec<u8>),
}

/// A folder that a run may work in, so that what is logged of the run is erased with the folder.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Folder {
    /// The grant.
    pub grant: GrantId,
    /// The folder's canonical path.
    pub path: Vec<u8>,
}

/// Folders, cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Folders(Option<Arc<[Folder]>>);

/// In whose name events are appended, and what they are about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// Within which run.
    pub run: Option<RunId>,
    /// Who acted.
    pub actor: Option<Actor>,
    /// The folders that the run may work in. Entries about changes name the folders that they change; all others of
    /// the run name all of these, because words and names in them may come from any.
    pub folders: Folders,
}

/// What has a slot with a key, as the log itself names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Keyed {
    Run(RunId),
    Person(Arc<str>),
    /// With its path, where that is known.
    Grant(GrantId, Option<Vec<u8>>),
    /// A class of events in one period of [`PERIOD_SECS`] since 1970.
    Period(Class, i64),
}

impl Subject {
    /// Reads `run:ID`, `person:NAME` or `folder:PATH`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Subject> {
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty())?;
        match kind {
            "run" => RunId::parse(name).map(Subject::Run),
            "person" => Some(Subject::Person(name.to_owned())),
            "folder" => {
                let path = name.trim_end_matches('/');
                Some(Subject::Folder(if path.is_empty() { b"/".to_vec() } else { path.as_bytes().to_vec() }))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Run(run) => write!(f, "run:{run}"),
            Subject::Person(name) => write!(f, "person:{name}"),
            Subject::Folder(path) => write!(f, "folder:{}", raincoat_types::display_bytes(path)),
        }
    }
}

impl Folders {
    /// None.
    pub const NONE: Folders = Folders(None);
}

impl FromIterator<Folder> for Folders {
    fn from_iter<T: IntoIterator<Item = Folder>>(folders: T) -> Folders {
        let folders: Vec<Folder> = folders.into_iter().collect();
        Folders(if folders.is_empty() { None } else { Some(folders.into()) })
    }
}

impl Deref for Folders {
    type Target = [Folder];
    fn deref(&self) -> &[Folder] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl About {
    /// Something that happens in no run and by no one.
    pub const NOTHING: About = About { run: None, actor: None, folders: Folders::NONE };

    /// An actor's doing outside any run.
    pub fn by(actor: Actor) -> About {
        About { actor: Some(actor), ..About::NOTHING }
    }

    /// An actor's doing within a run.
    pub fn run(run: RunId, actor: Actor) -> About {
        About { run: Some(run), actor: Some(actor), folders: Folders::NONE }
    }

    /// The same, about these folders.
    #[must_use]
    pub fn within(self, folders: impl IntoIterator<Item = Folder>) -> About {
        About { folders: folders.into_iter().collect(), ..self }
    }
}

/// The period of a time, counted from 1970.
pub(crate) fn period_of(at: Timestamp) -> i64 {
    at.secs.div_euclid(PERIOD_SECS)
}

/// The folders that an event itself names, where it says exactly which it is about; `None` where all of its run's
/// folders are meant.
pub(crate) fn own_folders(event: &Event, folders: &Folders) -> Option<Vec<Keyed>> {
    let path_of = |grant: GrantId| folders.iter().find(|of| of.grant == grant).map(|of| of.path.clone());
    match event {
        Event::OpIntended { places, .. } | Event::OpPlanned { places, .. } | Event::OpMade { places, .. } => {
            Some(places.iter().map(|spot| Keyed::Grant(spot.grant, path_of(spot.grant))).collect())
        }
        Event::GrantAdded { grant, path, .. } | Event::GrantTakenBack { grant, path, .. } => {
            Some(vec![Keyed::Grant(*grant, Some(path.0.clone()))])
        }
        Event::GrantRevoked { grant } => Some(vec![Keyed::Grant(*grant, path_of(*grant))]),
        _ => None,
    }
}

/// Everything that an entry names. Nothing for what the log says of itself.
pub(crate) fn named_by(about: &About, event: &Event, person: Option<&Arc<str>>, at: Timestamp) -> Vec<Keyed> {
    let class = event.class();
    if class == Class::Care {
        return Vec::new();
    }
    let mut named = vec![Keyed::Period(class, period_of(at))];
    named.extend(person.map(|name| Keyed::Person(Arc::clone(name))));
    named.extend(about.run.map(Keyed::Run));
    if let Event::Recovered { run, .. } = event {
        named.push(Keyed::Run(*run));
    }
    let folders = || about.folders.iter().map(|of| Keyed::Grant(of.grant, Some(of.path.clone()))).collect();
    named.extend(own_folders(event, &about.folders).unwrap_or_else(folders));
    if let Event::RunBegan { grants, .. } = event {
        let more = grants.iter().filter(|grant| about.folders.iter().all(|of| of.grant != **grant));
        named.extend(more.map(|grant| Keyed::Grant(*grant, None)));
    }
    named
}

#[cfg(test)]
mod tests {
    use raincoat_types::{ChangeKind, OpId, RawPath, RelPath, RunKind, Spot, Ulid};

    use super::*;

    fn grant(n: u128) -> GrantId {
        GrantId(Ulid::from_parts(1, n))
    }

    #[test]
    fn subjects_are_read_as_they_are_written() {
        let run = RunId(Ulid::from_parts(1, 2));
        for (text, subject) in [
            (format!("run:{run}"), Subject::Run(run)),
            ("person:ann".to_owned(), Subject::Person("ann".into())),
            ("folder:/home/ann/x".to_owned(), Subject::Folder(b"/home/ann/x".to_vec())),
        ] {
            assert_eq!(Subject::parse(&text), Some(subject.clone()));
            assert_eq!(subject.to_string(), text);
        }
        assert_eq!(Subject::parse("folder:/a/"), Some(Subject::Folder(b"/a".to_vec())));
        assert_eq!(Subject::parse("folder:/"), Some(Subject::Folder(b"/".to_vec())));
        for bad in ["", "run:", "run:x", "person", "file:/x", ":x"] {
            assert_eq!(Subject::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_entry_names_its_class_person_run_and_folders() {
        let run = RunId(Ulid::from_parts(1, 2));
        let folder = |n| Folder { grant: grant(n), path: vec![b'/', b'a' + n as u8] };
        let about = About::run(run, Actor::Person).within([folder(1), folder(2)]);
        let at = Timestamp { secs: PERIOD_SECS * 3 + 5, nanos: 0 };
        let ann: Arc<str> = "ann".into();
        let named = |event: &Event| named_by(&about, event, Some(&ann), at);
        let common = [Keyed::Person(ann.clone()), Keyed::Run(run)];
        let of = |n| Keyed::Grant(grant(n), Some(folder(n).path));

        let spot = Spot { grant: grant(2), path: RelPath::new(b"x").unwrap() };
        let intended = Event::OpIntended {
            op: OpId { run, seq: 1 },
            kind: ChangeKind::Create,
            places: vec![spot],
            before: None,
            undoes: None,
        };
        let operations = Keyed::Period(Class::Operations, 3);
        assert_eq!(named(&intended), [std::slice::from_ref(&operations), &common[..], &[of(2)]].concat());
        let read = Event::ReadDone { verb: "read".into(), target: RawPath(b"/x".to_vec()), bytes: 1 };
        assert_eq!(named(&read), [&[Keyed::Period(Class::Reads, 3)], &common[..], &[of(1), of(2)]].concat());
        let began = Event::RunBegan { goal: "x".into(), kind: RunKind::Task, grants: vec![grant(2), grant(3)] };
        let third = Keyed::Grant(grant(3), None);
        assert_eq!(named(&began), [&[operations], &common[..], &[of(1), of(2), third]].concat());
        assert_eq!(period_of(Timestamp { secs: -1, nanos: 0 }), -1);
    }
}
