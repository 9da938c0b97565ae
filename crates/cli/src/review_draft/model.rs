//! What is reviewed and what is answered: plain data, no terminal in it.

use raincoat_types::RelPath;

/// One changed path of a draft.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// The number of its granted folder, as in [`Source::folders`].
    pub(crate) folder: usize,
    /// Where, beneath it.
    pub(crate) path: RelPath,
    pub(crate) mark: Mark,
    /// In the folder it is, or was, a folder.
    pub(crate) was_folder: bool,
    /// In the draft it is a folder.
    pub(crate) is_folder: bool,
    /// Bytes in the folder; `None` where there is no file.
    pub(crate) size_before: Option<u64>,
    /// Bytes in the draft; `None` where there is no file.
    pub(crate) size_after: Option<u64>,
    /// Why it is dangerous (a protected name). Off until the person takes it by itself.
    pub(crate) dangerous: Option<String>,
    /// How the folder changed meanwhile. Off until the person says which side.
    pub(crate) conflict: Option<String>,
    /// Why it cannot be committed at all (a socket, a device, a FIFO).
    pub(crate) special: Option<String>,
}

/// What happened to a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Mark {
    /// It is new.
    Created,
    /// Its content is another.
    Modified,
    /// It is gone.
    Deleted,
    /// It is of another kind.
    Kind,
    /// Mode, owner, times or attributes only.
    Meta,
}

/// Where the changes come from.
pub(crate) trait Source {
    /// The granted folders' absolute paths, by their numbers.
    fn folders(&self) -> &[Vec<u8>];

    /// The changes, in any order.
    fn entries(&self) -> &[Entry];

    /// What the nth of them is, read now.
    fn open(&mut self, n: usize) -> Opened;
}

/// A change in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Opened {
    /// What changed besides the content, in words: mode, owner, attributes, a link's target.
    pub(crate) words: Vec<String>,
    pub(crate) content: Content,
}

/// The content of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    /// Two texts within the limits of `text::is_text`; a side without a file is empty. In a conflict `before` is the
    /// person's file as it is now and `base` the one that the program began with, where it is known.
    Text { before: Vec<u8>, after: Vec<u8>, base: Option<Vec<u8>> },
    /// Not text, or too large to be shown.
    Binary { before: Option<Blob>, after: Option<Blob> },
    /// The content is the same, or there is none: [`Opened::words`] say all.
    Meta,
    /// It could not be read, and why.
    Unreadable(String),
}

/// A content of which only this is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Blob {
    /// Bytes.
    pub(crate) size: u64,
    /// BLAKE3, in lower-case hex.
    pub(crate) digest: String,
}

/// What the person says of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// The folder stays as it is.
    Reject,
    /// The draft's state is taken over.
    Accept,
    /// Of a modified text these hunks, as `text::hunks` finds them, and what else changed of it: neither all nor none.
    Hunks(Vec<bool>),
    /// A conflict, settled.
    Conflict(Resolution),
}

/// How a conflict is settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resolution {
    /// The person's file stays.
    KeepMine,
    /// The draft's file takes its place.
    KeepTheirs,
    /// The person's file stays, and the draft's is put beside it.
    KeepBoth,
    /// The three-way merge of both, with markers where it is not clean.
    Merge,
}

impl Entry {
    /// What lies in it needs it.
    pub(crate) fn makes_folder(&self) -> bool {
        self.is_folder && !self.was_folder
    }

    /// It needs everything in it to go.
    pub(crate) fn removes_folder(&self) -> bool {
        self.was_folder && !self.is_folder
    }

    /// It may be taken with others, without a word of its own.
    pub(crate) fn plain(&self) -> bool {
        self.dangerous.is_none() && self.conflict.is_none() && self.special.is_none()
    }

    /// The flag behind the mark: `S`, `C`, `!`, or a space.
    pub(crate) fn flag(&self) -> char {
        match self {
            Entry { special: Some(_), .. } => 'S',
            Entry { conflict: Some(_), .. } => 'C',
            Entry { dangerous: Some(_), .. } => '!',
            _ => ' ',
        }
    }
}

impl Mark {
    pub(crate) fn letter(self) -> char {
        match self {
            Mark::Created => 'A',
            Mark::Modified => 'M',
            Mark::Deleted => 'D',
            Mark::Kind => 'T',
            Mark::Meta => 'm',
        }
    }

    /// The word for it, in lists and JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Mark::Created => "created",
            Mark::Modified => "modified",
            Mark::Deleted => "deleted",
            Mark::Kind => "kind",
            Mark::Meta => "metadata",
        }
    }
}

impl Choice {
    /// Something of the draft is taken over.
    pub(crate) fn takes(&self) -> bool {
        !matches!(self, Choice::Reject | Choice::Conflict(Resolution::KeepMine))
    }

    /// The draft's state is taken over as a whole.
    pub(crate) fn takes_all(&self) -> bool {
        matches!(self, Choice::Accept | Choice::Conflict(Resolution::KeepTheirs))
    }
}
