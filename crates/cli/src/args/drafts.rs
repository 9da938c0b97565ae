//! Programs in drafts, and what becomes of a draft.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const EXEC_HELP: &str = "The program sees the folders as they are, writes into a draft of them, and nothing of yours \
changes until the draft is committed. Its exit code is passed on.\n\nExamples:\n  raincoat exec -- make\n  \
raincoat exec --profile claude-code -- claude\n  \
raincoat exec --in ~/Projects/site --net registry.npmjs.org --commit success -- npm ci\n  \
raincoat exec --read ~/Photos --in ~/Albums --limit mem=2G,time=10m -- ./sort.py";

pub(super) const COMMIT_HELP: &str = "What changed in the folder meanwhile is a conflict, and nothing is committed until you say \
what becomes of it: --conflict keep-mine leaves your file, keep-theirs takes the draft's, keep-both puts the draft's \
beside yours, merge merges text three ways. Protected names (hooks, shell start-up files, editor and agent \
configuration) are left out unless named with --dangerous.\n\nExamples:\n  raincoat commit 01KA8Z3W\n  \
raincoat commit 01KA8Z3W --only 'src/**' --except '*.lock'";

/// What a program is enclosed in.
#[derive(Args, Clone, Debug)]
pub(crate) struct Enclosed {
    /// A folder that it works on, in a draft; the current one where none is given. May be given several times
    #[arg(long = "in", value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,
    /// A folder that it may read, as it is; may be given several times
    #[arg(long = "read", value_name = "DIR")]
    pub(crate) reads: Vec<PathBuf>,
    /// What it may reach of the network: none, or hosts (HOST, HOST:PORT, *.HOST) joined by commas
    #[arg(long, value_name = "none|HOST,...", value_delimiter = ',')]
    pub(crate) net: Vec<String>,
    /// What it may use up: cpu=SECS, mem=SIZE, procs=N, disk=SIZE, time=SPAN, files=N, joined by commas
    #[arg(long, value_name = "LIMIT=..", value_delimiter = ',')]
    pub(crate) limit: Vec<String>,
    /// What becomes of the draft at the end: ask, commit after success, commit always, or never (it stays open)
    #[arg(long, value_name = "WHEN", default_value = "ask")]
    pub(crate) commit: When,
    /// A profile: what a known agent or tool needs (`raincoat profiles` lists them)
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// A variable that it gets from your environment, or NAME=VALUE; may be given several times
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<OsString>,
    /// Run nothing where a layer of protection is missing, or a check of the enclosure fails
    #[arg(long)]
    pub(crate) strict: bool,
}

/// A program to run in a draft.
#[derive(Args, Clone, Debug)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) enclosed: Enclosed,
    /// The command and its arguments, after `--`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// When a draft is committed by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum When {
    /// Ask at the end; where nobody can be asked, leave it open
    Ask,
    /// If the program ended with 0
    Success,
    /// However it ended
    Always,
    /// Leave it open
    Never,
}

/// What of a draft is to be committed.
#[derive(Args, Clone, Debug)]
pub(crate) struct Commit {
    /// The run's id or its beginning; the newest draft where none is given
    pub(crate) run: Option<String>,
    /// Only what matches; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
    /// Not what matches; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) except: Vec<String>,
    /// A changed file with a protected name that is to be committed all the same; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) dangerous: Vec<PathBuf>,
    /// What becomes of files that were changed in the folder meanwhile
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    pub(crate) conflict: OnConflict,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A file that may be changed without a copy of what was there, as a glob: it cannot be undone; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) without_backup: Vec<String>,
}

/// What becomes of a conflict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum OnConflict {
    /// Commit nothing
    Refuse,
    /// Your file stays as it is
    KeepMine,
    /// The draft's file takes its place (yours can be had back by undo)
    KeepTheirs,
    /// The draft's file is put beside yours
    KeepBoth,
    /// Text is merged three ways; what cannot be is refused
    Merge,
}
