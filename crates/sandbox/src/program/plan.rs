//! What a program is enclosed in: decided by the keeper, sent to the process that encloses.

use serde::{Deserialize, Serialize};

/// Everything that the enclosing process needs to know. It cannot be changed once it was sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The command and its arguments, as bytes. The command is looked for along `PATH` of `env`, inside.
    pub command: Vec<Vec<u8>>,
    /// The whole environment.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// The working directory, absolute, within one of the folders.
    pub cwd: Vec<u8>,
    /// What is to be seen of the user's files, each at its own absolute path. Later ones lie over earlier ones.
    pub folders: Vec<Folder>,
    /// Directories of ours: where one lies within a folder, an empty one stands in its place.
    pub hidden: Vec<Vec<u8>>,
    /// The user's home directory, absolute: inside, an empty one of the program's own, but for what `folders` puts there.
    pub home: Vec<u8>,
    /// What it may reach of the network.
    pub network: Network,
    /// What it may use up.
    pub limits: ProgramLimits,
    /// Which of the standard streams is a terminal of its own: input, output, errors. Where one is, the program leads a
    /// session with that terminal, and the terminal's other end is handed to the keeper.
    pub terminal: [bool; 3],
    /// Rows and columns of that terminal.
    pub size: (u16, u16),
    /// The mode bits that what it makes does not get, unless it says so itself: the person's own `umask`.
    pub umask: u32,
    /// It may make user namespaces of its own (a profile said so).
    pub may_nest: bool,
    /// Anything that this kernel lacks is an error.
    pub strict: bool,
}

/// A folder as the program sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Folder {
    /// Its absolute path, inside and outside.
    pub at: Vec<u8>,
    /// How it is seen.
    pub how: How,
}

/// How a folder is seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum How {
    /// Through a draft: what is written lands in `place/upper`. `place/mask`, where it exists, hides names.
    Draft {
        /// The directory with `upper` and `work`, absolute.
        place: Vec<u8>,
    },
    /// As it is, and not to be changed. A single file may be given too.
    ReadOnly,
    /// A directory of ours, which is written as it is and outlives the run: a cache.
    Kept {
        /// The directory, absolute.
        place: Vec<u8>,
    },
    /// A file of the program's own with this content, gone when the program ends. Not within a draft.
    Copied {
        /// Its bytes.
        #[serde(with = "serde_bytes")]
        content: Vec<u8>,
        /// Its permission bits.
        mode: u32,
    },
    /// Raincoat's own executable, to be executed: what tries the enclosure from within.
    Ourselves,
    /// An empty folder that is gone when the program ends. Where it lies within a draft and is not there yet, the draft
    /// has it as a new folder afterwards.
    Empty,
}

/// What a program may reach of the network. It has no route to anything in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Network {
    /// Nothing.
    None,
    /// A proxy: a listener on 127.0.0.1 inside, whose connections the keeper accepts.
    Proxy,
}

/// What a program and all that it starts may use up, together unless it says otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProgramLimits {
    /// Seconds of processor time; `None`: no limit.
    pub cpu_secs: Option<u64>,
    /// Bytes of memory.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u32,
    /// Bytes written into the drafts and the private folders.
    pub disk: u64,
    /// Seconds from start to end; `None`: no limit.
    pub wall_secs: Option<u64>,
    /// Open descriptors, each process.
    pub open_files: u64,
}
