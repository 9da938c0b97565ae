//! Labels: where a datum came from, who could have written it, and who may see it.
//!
//! Labels form a lattice. [`Label::join`] is what the combination of two data carries: every source of both, the lower
//! integrity and the higher confidentiality. Joining never makes a label better, and the order of joins does not matter.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Where a datum came from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Source {
    /// The user's own words.
    User,
    /// A folder that was granted.
    Folder,
    /// A granted folder that is marked private.
    PrivateFolder,
    /// The inside of a document: whoever wrote the document wrote this.
    Document,
    /// The network.
    Network,
    /// What a tool gave back, by the tool's name.
    Tool(String),
}

/// Who could have written a datum, from the least to be trusted to the most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Integrity {
    /// Anybody, an attacker too.
    #[default]
    Anyone,
    /// The owner of this machine, or what the owner has vetted.
    Owner,
    /// The user, for this very request.
    User,
}

/// Who may see a datum, from the widest circle to the narrowest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Confidentiality {
    /// Everybody.
    #[default]
    Public,
    /// The user, and those to whom the user has it sent.
    Personal,
    /// Nobody outside of this machine, a model in the cloud included.
    Private,
}

/// What is known of a datum's way here.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Label {
    /// Everything that it was made from.
    sources: BTreeSet<Source>,
    /// The least trusted hand in it.
    integrity: Integrity,
    /// The narrowest circle of its parts.
    confidentiality: Confidentiality,
}

impl Source {
    /// Who could have written what comes from here, where nothing else is known.
    pub fn integrity(&self) -> Integrity {
        match self {
            Source::User => Integrity::User,
            Source::Folder | Source::PrivateFolder => Integrity::Owner,
            Source::Document | Source::Network | Source::Tool(_) => Integrity::Anyone,
        }
    }

    /// Who may see what comes from here, where nothing else is known.
    pub fn confidentiality(&self) -> Confidentiality {
        match self {
            Source::Network => Confidentiality::Public,
            Source::User | Source::Folder | Source::Document | Source::Tool(_) => Confidentiality::Personal,
            Source::PrivateFolder => Confidentiality::Private,
        }
    }
}

impl Label {
    /// The label of nothing: joined with another it gives the other.
    pub fn nothing() -> Label {
        Label { sources: BTreeSet::new(), integrity: Integrity::User, confidentiality: Confidentiality::Public }
    }

    /// The label of what comes from one place.
    pub fn of(source: Source) -> Label {
        let (integrity, confidentiality) = (source.integrity(), source.confidentiality());
        Label { sources: BTreeSet::from([source]), integrity, confidentiality }
    }

    /// The same, where more is known of who wrote it and who may see it.
    pub fn known(source: Source, integrity: Integrity, confidentiality: Confidentiality) -> Label {
        Label { sources: BTreeSet::from([source]), integrity, confidentiality }
    }

    /// What the combination of two data carries.
    #[must_use]
    pub fn join(mut self, other: &Label) -> Label {
        self.sources.extend(other.sources.iter().cloned());
        self.integrity = self.integrity.min(other.integrity);
        self.confidentiality = self.confidentiality.max(other.confidentiality);
        self
    }

    /// Whether `other` has everything that makes this label what it is: `self.join(other) == other`.
    pub fn is_within(&self, other: &Label) -> bool {
        self.sources.is_subset(&other.sources)
            && self.integrity >= other.integrity
            && self.confidentiality <= other.confidentiality
    }

    /// Everything that it was made from, in order.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter()
    }

    /// The least trusted hand in it.
    pub fn integrity(&self) -> Integrity {
        self.integrity
    }

    /// The narrowest circle of its parts.
    pub fn confidentiality(&self) -> Confidentiality {
        self.confidentiality
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source() -> impl Strategy<Value = Source> {
        prop_oneof![
            Just(Source::User),
            Just(Source::Folder),
            Just(Source::PrivateFolder),
            Just(Source::Document),
            Just(Source::Network),
            "[a-c]".prop_map(Source::Tool),
        ]
    }

    fn label() -> impl Strategy<Value = Label> {
        proptest::collection::vec(source(), 0..4)
            .prop_map(|all| all.into_iter().fold(Label::nothing(), |label, one| label.join(&Label::of(one))))
    }

    fn joined(a: &Label, b: &Label) -> Label {
        a.clone().join(b)
    }

    proptest! {
        #[test]
        fn join_is_a_lattice(a in label(), b in label(), c in label()) {
            prop_assert_eq!(joined(&a, &b), joined(&b, &a));
            prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
            prop_assert_eq!(joined(&a, &a), a.clone());
            prop_assert_eq!(joined(&Label::nothing(), &a), a.clone());
            prop_assert_eq!(a.is_within(&b), joined(&a, &b) == b);
        }

        #[test]
        fn join_is_monotone(a in label(), b in label(), c in label()) {
            let (more, most) = (joined(&a, &b), joined(&joined(&a, &b), &c));
            prop_assert!(a.is_within(&more) && more.is_within(&most));
            prop_assert!(joined(&a, &c).is_within(&most));
        }

        #[test]
        fn a_join_is_never_better_than_its_parts(a in label(), b in label()) {
            let both = joined(&a, &b);
            prop_assert!(both.integrity() <= a.integrity() && both.integrity() <= b.integrity());
            prop_assert!(both.confidentiality() >= a.confidentiality());
            prop_assert!(a.sources().chain(b.sources()).all(|one| both.sources().any(|other| one == other)));
        }
    }

    #[test]
    fn what_a_source_says_of_itself() {
        let known = |source: Source| (source.integrity(), source.confidentiality());
        assert_eq!(known(Source::User), (Integrity::User, Confidentiality::Personal));
        assert_eq!(known(Source::Folder), (Integrity::Owner, Confidentiality::Personal));
        assert_eq!(known(Source::PrivateFolder), (Integrity::Owner, Confidentiality::Private));
        assert_eq!(known(Source::Document), (Integrity::Anyone, Confidentiality::Personal));
        assert_eq!(known(Source::Network), (Integrity::Anyone, Confidentiality::Public));
        assert_eq!(known(Source::Tool("mail".into())), (Integrity::Anyone, Confidentiality::Personal));
    }

    #[test]
    fn more_may_be_known_of_a_source() {
        let label = Label::known(Source::Tool("clock".into()), Integrity::Owner, Confidentiality::Public);
        assert_eq!((label.integrity(), label.confidentiality()), (Integrity::Owner, Confidentiality::Public));
        assert_eq!(label.sources().count(), 1);
    }
}
