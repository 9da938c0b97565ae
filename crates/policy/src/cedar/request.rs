//! What policies are asked about: an actor, an action, a thing, and how things stand.

use raincoat_types::{Actor, GrantId, RelPath, RunId, Ulid};

/// What would be done, and everything that a policy may look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Who would do it.
    pub actor: Actor,
    /// What would be done.
    pub action: Action,
    /// To what. An action that touches several things is asked about for each, and the strictest answer counts.
    pub resource: Resource,
    /// How things stand.
    pub context: Context,
}

/// What can be done, as the schema names it. Groups: `look` holds read and list; `change` holds write, delete and move;
/// `leave_machine` holds send, ask_model and call_tool; `act` holds everything but read, list and ask_model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Action {
    /// The content of a file is read.
    Read,
    /// Names, kinds, sizes and times are looked at.
    List,
    /// A file or folder is made, or given other content or metadata.
    Write,
    /// It is taken away.
    Delete,
    /// It is given another name; asked about for both places.
    Move,
    /// A program runs in a draft of the folder.
    Exec,
    /// What a file holds leaves the machine, or bytes go to a host.
    Send,
    /// A model is asked.
    AskModel,
    /// A tool of an MCP server is called.
    CallTool,
    /// A credential of the vault is used on the actor's behalf.
    UseSecret,
}

/// The thing that something is done to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resource {
    /// A file, there or not yet.
    File(Place),
    /// A folder, there or not yet.
    Folder(Place),
    /// A host of the network, by its name or address.
    Host {
        /// Its name.
        name: String,
        /// It is this machine.
        local: bool,
    },
    /// A model's provider, by its configured name.
    Provider {
        /// Its name.
        name: String,
        /// It is on this machine.
        local: bool,
    },
    /// A tool of an MCP server.
    Tool {
        /// The server's configured name.
        server: String,
        /// The tool's name.
        name: String,
        /// It sends nothing off this machine.
        local: bool,
    },
    /// A credential in the vault.
    Secret {
        /// Its name.
        name: String,
        /// The environment that it is kept in.
        environment: String,
    },
}

/// A place beneath a granted folder, resolved: canonical, and within what was opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The granted folder's absolute path, as bytes, without a `/` at its end (the root of the file system is `/`).
    pub root: Vec<u8>,
    /// The path beneath it.
    pub path: RelPath,
    /// The grant.
    pub grant: Option<GrantId>,
    /// Bytes of its content; 0 for a folder and for what is not there yet.
    pub size: u64,
    /// It lies in a folder that its owner marked private.
    pub private: bool,
    /// Whether its name, or that of a folder it lies in, is protected.
    pub protection: Protection,
}

/// Whether and why a name is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protection {
    /// It is not.
    #[default]
    None,
    /// It starts programs or judges agents: not changed by them.
    Control,
    /// It is a secret or raincoat's own: neither read nor changed by them.
    Secret,
}

/// The modes that are on. They combine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mode {
    /// More protection, fewer functions.
    pub strict: bool,
    /// Everything is logged.
    pub audit: bool,
    /// No network.
    pub offline: bool,
    /// Safe operations only.
    pub restricted: bool,
}

/// How things stand when something would be done. The schema says what each field means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// The modes that are on.
    pub mode: Mode,
    /// A person approved this very action, as it was shown.
    pub approved: bool,
    /// What it carries comes from a folder that its owner marked private.
    pub private: bool,
    /// What it says or carries comes from content that somebody else could have written.
    pub tainted: bool,
    /// The request does not call for it, or a text that was read asks for it and no request of the person's does.
    pub steered: bool,
    /// It can be taken back byte for byte.
    pub reversible: bool,
    /// It stays on this machine.
    pub local: bool,
    /// It changes a draft, not a file of the person's.
    pub draft: bool,
    /// Bytes that it changes, takes away or sends. Above `i64::MAX` counts as that.
    pub bytes: u64,
    /// Files that it touches. Above `i64::MAX` counts as that.
    pub files: u64,
    /// Now: seconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// The hour of the person's own clock, 0 to 23.
    pub hour: u8,
    /// The day of the person's own calendar, 1 (Monday) to 7 (Sunday).
    pub weekday: u8,
    /// Within which run.
    pub run: RunId,
}

impl Default for Context {
    /// No mode, nothing approved, tainted or private, reversible, one file, midday of a Monday at the epoch.
    fn default() -> Self {
        Context {
            mode: Mode::default(),
            approved: false,
            private: false,
            tainted: false,
            steered: false,
            reversible: true,
            local: false,
            draft: false,
            bytes: 0,
            files: 1,
            now: 0,
            hour: 12,
            weekday: 1,
            run: RunId(Ulid::nil()),
        }
    }
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 10] = [
        Action::Read,
        Action::List,
        Action::Write,
        Action::Delete,
        Action::Move,
        Action::Exec,
        Action::Send,
        Action::AskModel,
        Action::CallTool,
        Action::UseSecret,
    ];

    /// Its name in the schema: `ask_model`.
    pub const fn name(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::List => "list",
            Action::Write => "write",
            Action::Delete => "delete",
            Action::Move => "move",
            Action::Exec => "exec",
            Action::Send => "send",
            Action::AskModel => "ask_model",
            Action::CallTool => "call_tool",
            Action::UseSecret => "use_secret",
        }
    }

    /// The action of this name.
    pub fn parse(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }

    /// The groups that hold it.
    pub const fn groups(self) -> &'static [&'static str] {
        match self {
            Action::Read | Action::List => &["look"],
            Action::Write | Action::Delete | Action::Move => &["change", "act"],
            Action::Exec | Action::UseSecret => &["act"],
            Action::Send | Action::CallTool => &["act", "leave_machine"],
            Action::AskModel => &["leave_machine"],
        }
    }

    /// Whether it can be done to such a thing at all.
    pub const fn applies_to(self, resource: &Resource) -> bool {
        match self {
            Action::Read | Action::List | Action::Write | Action::Delete | Action::Move => {
                matches!(resource, Resource::File(_) | Resource::Folder(_))
            }
            Action::Exec => matches!(resource, Resource::Folder(_)),
            Action::Send => matches!(resource, Resource::File(_) | Resource::Folder(_) | Resource::Host { .. }),
            Action::AskModel => matches!(resource, Resource::Provider { .. }),
            Action::CallTool => matches!(resource, Resource::Tool { .. }),
            Action::UseSecret => matches!(resource, Resource::Secret { .. }),
        }
    }
}

impl Place {
    /// The id of its entity: the absolute path as text. See [`path_text`].
    pub fn id(&self) -> String {
        path_text(&self.absolute())
    }

    /// The ids of all folders it lies in, the root of the file system first.
    pub fn folders(&self) -> Vec<String> {
        folders_of(&self.id()).map(str::to_owned).collect()
    }

    fn absolute(&self) -> Vec<u8> {
        let mut at = self.root.clone();
        if !self.path.is_root() {
            push_name(&mut at, self.path.as_bytes());
        }
        at
    }
}

fn push_name(at: &mut Vec<u8>, name: &[u8]) {
    if at.last() != Some(&b'/') {
        at.push(b'/');
    }
    at.extend_from_slice(name);
}

/// The ids of the folders that hold what has this id, the root of the file system first.
pub(super) fn folders_of(id: &str) -> impl Iterator<Item = &str> {
    let ends = id.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at.max(1));
    ends.filter(|end| *end < id.len()).filter_map(|end| id.get(..end))
}

/// A path as policies write it: what is UTF-8 stays, every other byte is `%` and two hex digits, and so is `%` itself,
/// so that two paths never share a text.
pub fn path_text(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for part in path.utf8_chunks() {
        for (n, plain) in part.valid().split('%').enumerate() {
            if n > 0 {
                text.push_str("%25");
            }
            text.push_str(plain);
        }
        for byte in part.invalid() {
            text.push_str(&format!("%{byte:02x}"));
        }
    }
    text
}

/// Text in lower case, character by character, so that a part of a path is folded as the whole is.
pub(super) fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}
