//! Folders to hand out, tasks to do, and what takes back.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A folder to hand out.
#[derive(Args, Debug)]
pub(crate) struct Grant {
    /// The folder
    pub(crate) dir: PathBuf,
    /// Nothing in it may change
    #[arg(long, conflicts_with = "actions")]
    pub(crate) read_only: bool,
    /// What may be done in it, of read, write, delete, exec and send (to a model or host elsewhere); all where none is given
    #[arg(long, value_name = "ACTIONS", value_delimiter = ',')]
    pub(crate) actions: Vec<String>,
    /// What it holds never leaves this machine: only a model on it reads it, and programs without a network
    #[arg(long)]
    pub(crate) private: bool,
    /// Files that one run may change in it
    #[arg(long, value_name = "N")]
    pub(crate) max_files: Option<u64>,
    /// Bytes that one run may write or delete in it, such as 200MB
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<String>,
    /// It ends then: a span (2h, 3d), a day (2027-01-31) or a time ('2027-01-31 18:00')
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// To whom: agent, agent:NAME, recipe or recipe:NAME; to everyone where none is given
    #[arg(long = "for", visible_alias = "agent", value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// What in it is not granted, as a glob; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) deny: Vec<String>,
}

/// A task in words. Recipes are added to the command from their own table.
#[derive(Args, Debug)]
pub(crate) struct Do {
    /// The task, in words
    pub(crate) task: Option<String>,
    #[arg(hide = true)]
    pub(crate) rest: Vec<OsString>,
    /// In which folder; may be given several times
    #[arg(long = "in", value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,
    /// As whom: the name that a grant with --for agent:NAME speaks to
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) agent: String,
    /// Which provider
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Which of its models
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// No network but this machine's
    #[arg(long)]
    pub(crate) offline: bool,
    /// Go on with an interrupted run
    #[arg(long, value_name = "RUN")]
    pub(crate) resume: Option<String>,
    /// Where nobody can be asked here: wait so long for `raincoat approve` from another terminal (30s, 2h)
    #[arg(long, value_name = "SPAN")]
    pub(crate) wait: Option<String>,
    /// Show the plan, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A file that may be changed without a copy of what was there, as a glob: it cannot be undone; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) without_backup: Vec<String>,
}

/// What to take back.
#[derive(Args, Debug)]
pub(crate) struct Undo {
    /// Runs, or operations as RUN/NUMBER; ids may be cut short. The last run where none is given
    #[arg(value_name = "RUN|OP")]
    pub(crate) what: Vec<String>,
    /// Everything done since then: a time ('2026-11-29 14:30'), a day, or a span (2h)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only what matches, beneath the granted folder or as an absolute path; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
    /// What becomes of files that somebody has changed since
    #[arg(long, value_name = "HOW", default_value = "leave")]
    pub(crate) conflict: OnDrift,
    /// The same as --conflict overwrite
    #[arg(long, conflicts_with = "conflict")]
    pub(crate) overwrite: bool,
    /// A file that may be changed without a copy of what was there, as a glob: it cannot be undone; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) without_backup: Vec<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What becomes of what somebody has changed since.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum OnDrift {
    /// It is left as it is
    Leave,
    /// Text is merged three ways; what cannot be is left
    Merge,
    /// What was there before is put beside it
    KeepBoth,
    /// It is put back all the same; what they made is kept in the journal
    Overwrite,
}

/// What to put back.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// A file or folder
    pub(crate) path: PathBuf,
    /// As it was then: a time ('2026-11-29 14:30'), a day (its beginning), or a span (2h)
    #[arg(long, value_name = "TIME", required_unless_present = "before")]
    pub(crate) at: Option<String>,
    /// As it was just before a run began
    #[arg(long, value_name = "RUN", conflicts_with = "at")]
    pub(crate) before: Option<String>,
    /// Into a new or empty place, leaving the original as it is
    #[arg(long, value_name = "ELSEWHERE")]
    pub(crate) to: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
