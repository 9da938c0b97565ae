//! The command line: the one table that parsing, help, completions and the man page are made from.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use raincoat_runtime::{OptionInfo, RECIPES, Values};

use crate::out::Colour;
use crate::{dirs, exit};

/// Hand a folder to an AI agent, watch it, and undo it.
///
/// An agent reaches only the folders that you grant. What it changes is shown before it happens, backed up before it
/// happens, written into a log that cannot be rewritten unseen, and undone with one command.
#[derive(Parser, Debug)]
#[command(name = "raincoat", version, disable_help_subcommand = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Print data as JSON: one object, or one per line where there may be many
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Say only what was asked for, and errors
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub(crate) quiet: bool,
    /// Do not ask: yes to every plan within what was granted (everything stays undoable)
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub(crate) yes: bool,
    /// Never ask: what would need an answer is refused
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) no_input: bool,
    /// Colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Everywhere")]
    pub(crate) color: Colour,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Create keys, store, log and config.toml, and say what is enforced on this machine
    #[command(
        after_long_help = "Asks for a passphrase; with an empty one, or with --no-input, the key lies in a file \
        that only you can read, until `raincoat passphrase` sets one."
    )]
    Init,
    /// Say for every layer of protection whether it is enforced here, and why
    Doctor {
        /// Try to break out of a real draft, technique by technique, and show that each attempt works outside of it
        #[arg(long)]
        prove: bool,
    },
    /// Grant a folder to agents: nothing at all is reachable before
    #[command(after_long_help = "Examples:\n  raincoat grant ~/Downloads\n  \
        raincoat grant ~/Documents --read-only --until 2h --for agent:default\n  \
        raincoat grant ~/Projects/site --deny '*.key' --deny private/")]
    Grant(Grant),
    /// List what is granted
    Grants,
    /// Take a grant back
    Revoke {
        /// The grant's id, or its beginning or end (`raincoat grants` lists them)
        id: String,
    },
    /// Do a task: a recipe by name, or a task in words for the agent with a model
    Do(Do),
    /// Run a program or another agent on a private copy of your folders; keep all, some or none of what it did
    #[command(after_long_help = EXEC_HELP)]
    Exec(Exec),
    /// An interactive shell in a draft
    #[command(after_long_help = "Example:\n  raincoat shell --in ~/Projects/site")]
    Shell(Enclosed),
    /// List the open drafts
    Drafts,
    /// Look through what a draft would change, and choose
    #[command(
        after_long_help = "At a terminal it is a screen: arrows move, space accepts or rejects a file or a hunk, \
        enter commits, q leaves the draft as it is. Elsewhere, or with --plain, it prints the list and the diffs."
    )]
    Review {
        /// The run's id or its beginning; the newest draft where none is given
        run: Option<String>,
        /// Print instead of showing a screen
        #[arg(long)]
        plain: bool,
    },
    /// Put what a draft changed in its place: all of what was chosen, or nothing; undo takes it back
    #[command(after_long_help = COMMIT_HELP)]
    Commit(Commit),
    /// Throw a draft away
    Discard {
        /// The run's id or its beginning
        #[arg(required_unless_present = "all")]
        run: Option<String>,
        /// Every draft whose program has ended
        #[arg(long, conflicts_with = "run")]
        all: bool,
    },
    /// Stop a run, or all of them, at once: the kill switch, from any terminal
    Stop {
        /// The run's id or its beginning
        #[arg(required_unless_present = "all")]
        run: Option<String>,
        /// Every run under way
        #[arg(long, conflicts_with = "run")]
        all: bool,
    },
    /// Undo runs or single operations; an undo is a run too, so it can be undone
    #[command(
        after_long_help = "What somebody changed since is left as it is and listed (exit code 5), with the later \
        operation where it was one of ours; --conflict says what becomes of it: merge merges text three ways, keep-both \
        puts the older one beside, overwrite puts it back all the same (what it replaces is kept in the journal). \
        A file that was moved since is followed.\n\nExamples:\n  raincoat undo\n  raincoat undo --dry-run\n  \
        raincoat undo 01KA8Z3W/17 01KA8Z3W/18\n  raincoat undo --since 2h --only 'docs/**'\n  \
        raincoat undo 01KA8Z3W --conflict merge"
    )]
    Undo(Undo),
    /// Take the last undo back, or the one that is named
    #[command(after_long_help = "Examples:\n  raincoat redo\n  raincoat redo 01KA8Z3W")]
    Redo {
        /// The undo's run
        run: Option<String>,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Every version of a file or folder: when, by which run, size and checksum
    #[command(after_long_help = "It is followed through its moves, and those of the folders that it lies in.\n\n\
        Example:\n  raincoat history ~/Documents/plan.txt")]
    History {
        /// A file or folder; it need not exist any more
        path: PathBuf,
    },
    /// Put a file or a folder back as it was at an earlier time
    #[command(
        after_long_help = "Every operation since is turned round; files that raincoat never touched stay as they \
        are, and so does everything outside of the folder. What is replaced is kept in the journal, so undo takes a \
        restore back. A file that has another name by now keeps that.\n\nExamples:\n  \
        raincoat restore ~/Documents/plan.txt --at 2h\n  raincoat restore ~/Documents --before 01KA8Z3W --dry-run\n  \
        raincoat restore ~/Documents --at '2026-11-29 14:30' --to /tmp/then"
    )]
    Restore(Restore),
    /// Whether a run, or what was done to a path, can be taken back; looked at, not guessed
    #[command(after_long_help = "Every piece of content that would be needed is read and checked, and the files are \
        compared with what was left. Exit code 0: all of it; 5: a part; 1: none.\n\nExamples:\n  \
        raincoat can-undo 01KA8Z3W\n  raincoat can-undo ~/Documents/plan.txt")]
    CanUndo {
        /// A run, an operation as RUN/NUMBER, or a path
        #[arg(value_name = "RUN|PATH")]
        what: String,
    },
    /// List the runs, newest first
    Runs {
        /// At most so many
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Show what was asked, planned and done in a run, with the checksums before and after
    Show {
        /// The run's id or its beginning; the last run where none is given
        run: Option<String>,
        /// At most so many operations
        #[arg(short = 'n', long, value_name = "N")]
        limit: Option<usize>,
        /// Only operations on paths with this in them
        #[arg(long, value_name = "TEXT")]
        path: Option<String>,
    },
    /// Show what a run changed, as a diff
    Diff {
        /// The run's id or its beginning; the last run where none is given
        run: Option<String>,
    },
    /// The store of what was there before each change: what it holds, whether it is sound, what may go
    #[command(subcommand)]
    Store(Store),
    /// The log of everything that happened
    #[command(subcommand)]
    Audit(Audit),
    /// A witness for other machines' logs; it needs no store
    #[command(subcommand)]
    Witness(Witness),
    /// Providers of models
    #[command(subcommand)]
    Provider(Provider),
    /// Keys of providers
    #[command(subcommand)]
    Key(Key),
    /// List the profiles (what known programs need in a draft), or show one
    #[command(
        after_long_help = "One of your own is a file NAME.toml in profiles/ beside config.toml, writable by you \
        alone; it wins over one that came with raincoat.\n\nExamples:\n  raincoat profiles\n  raincoat profiles claude-code"
    )]
    Profiles {
        /// Which one to show
        name: Option<String>,
    },
    /// Set or change the passphrase
    Passphrase,
    /// Forget the cached unlock: the next command asks for the passphrase
    Lock,
    /// Show all of it on a scratch folder, or on one of yours: tidy, look, undo, and prove that nothing is different
    #[command(after_long_help = "Everything happens in a scratch home beneath TMPDIR, with keys of its own. Without \
        --dir it works on a folder of some four hundred files that it makes there.")]
    Demo(Demo),
    /// Print completions for a shell
    #[command(after_long_help = "Example:\n  raincoat completions bash > \
        ~/.local/share/bash-completion/completions/raincoat")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page
    #[command(after_long_help = "Examples:\n  raincoat man | man -l -\n  raincoat man do tidy | man -l -")]
    Man {
        /// Of which command; of raincoat itself where none is given
        command: Vec<String>,
    },
}

/// A folder to hand out.
#[derive(Args, Debug)]
pub(crate) struct Grant {
    /// The folder
    pub(crate) dir: PathBuf,
    /// Nothing in it may change
    #[arg(long)]
    pub(crate) read_only: bool,
    /// It ends then: a span (2h, 3d), a day (2027-01-31) or a time ('2027-01-31 18:00')
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// To whom: agent, agent:NAME, recipe or recipe:NAME; to everyone where none is given
    #[arg(long = "for", value_name = "AGENT")]
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
    /// Show the plan, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A file that may be changed without a copy of what was there, as a glob: it cannot be undone; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) without_backup: Vec<String>,
}

const EXEC_HELP: &str = "The program sees the folders as they are, writes into a draft of them, and nothing of yours \
changes until the draft is committed. Its exit code is passed on.\n\nExamples:\n  raincoat exec -- make\n  \
raincoat exec --profile claude-code -- claude\n  \
raincoat exec --in ~/Projects/site --net registry.npmjs.org --commit success -- npm ci\n  \
raincoat exec --read ~/Photos --in ~/Albums --limit mem=2G,time=10m -- ./sort.py";

const COMMIT_HELP: &str = "What changed in the folder meanwhile is a conflict, and nothing is committed until you say \
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

/// Of the store.
#[derive(Subcommand, Debug)]
pub(crate) enum Store {
    /// What it holds, what of that is needed, and how the last check came out
    Status,
    /// Whether it is what was written, and which versions of which files are lost where it is not
    Verify {
        /// Put every content together and hash it again
        #[arg(long)]
        deep: bool,
    },
    /// Let the oldest runs go: as many as the budget calls for, and none that config.toml keeps still
    #[command(
        after_long_help = "What a pruned run changed can no longer be undone. [store] in config.toml has the rule: keep, \
        the span for which every run stays, and budget, the most that the store may take. Removal is as secure as the disk \
        is: what was freed may stay on it until it is written over.\n\nExamples:\n  raincoat store prune --dry-run\n  \
        raincoat store prune --older-than 90d"
    )]
    Prune {
        /// All that ended so long ago, whatever the budget: a span such as 90d
        #[arg(long, value_name = "AGE")]
        older_than: Option<String>,
        /// Down to this size, in the place of the budget
        #[arg(long, value_name = "SIZE")]
        to: Option<String>,
        /// Also runs that are younger than the rule keeps
        #[arg(long)]
        within_keep: bool,
        /// Say what would go, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Save what can be saved of a damaged store, and say what is lost; damaged parts are put aside
    Repair {
        /// Throw away damaged parts that were put aside
        #[arg(long)]
        discard_damaged: bool,
        /// Take the store as it is, though more of it is remembered: you put it back yourself
        #[arg(long)]
        accept_older: bool,
    },
}

/// Of the log.
#[derive(Subcommand, Debug)]
pub(crate) enum Audit {
    /// The newest entries
    Tail {
        /// So many
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        limit: u64,
        /// Then wait for more, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
    },
    /// Find entries, newest first: by words, and by what they are about
    #[command(after_long_help = "Examples:\n  raincoat audit search invoice\n  \
        raincoat audit search --verdict deny --since 7d\n  raincoat audit search --kind op --path 2025/ -n 100")]
    Search(crate::commands::audit_look::Search),
    /// Show one entry in full
    Show {
        /// Its number
        entry: u64,
    },
    /// Tell what happened in a run, step by step, and what was done about it later
    Timeline {
        /// The run's id or its beginning
        run: String,
    },
    /// Hand out the log: to a file, to standard output, or to a collector
    #[command(after_long_help = crate::commands::audit_export::HELP, args_conflicts_with_subcommands = true)]
    Export(crate::commands::audit_export::Export),
    /// Whether the log is what was written: nothing changed, dropped, reordered, added or cut off
    Verify {
        /// Open every payload too, not only what tells its time, place and sort
        #[arg(long)]
        deep: bool,
    },
    /// Make all that the log says about a run, a folder or a person unreadable, for good
    #[command(
        after_long_help = "The log and every proof of it stay valid: when something happened, and in which order, is \
        still told.\n\nExamples:\n  raincoat audit erase run:01J9ZC3V6Q8M4N2T5W7X9Y1A3B\n  \
        raincoat audit erase folder:/home/me/taxes\n  raincoat audit erase person:me"
    )]
    Erase {
        /// `run:ID`, `folder:PATH` or `person:NAME`
        subject: String,
    },
    /// How long what is kept: rules by class, and legal holds
    Retention {
        #[command(subcommand)]
        what: Option<Retention>,
    },
    /// Take the log as it lies here for the right one, after a restore of your own from a backup
    Accept,
    /// Prove to others that an entry is in the log, or check such a proof
    #[command(after_long_help = PROVE_HELP)]
    Prove(Prove),
    /// The log's verifier key: what others need to check a proof, or to witness this log
    Key,
    /// Witnesses: who remembers this log in other hands
    #[command(subcommand)]
    Witness(AuditWitness),
}

/// Of retention.
#[derive(Subcommand, Debug)]
pub(crate) enum Retention {
    /// How long entries of a class are kept
    #[command(after_long_help = "Examples:\n  raincoat audit retention set reads 90d\n  \
        raincoat audit retention set all 2y\n  raincoat audit retention set security forever")]
    Set {
        /// security, configuration, operations, reads, models, or all
        class: String,
        /// A number of days, months or years (`90d`, `6m`, `2y`), or `forever`
        age: String,
    },
    /// Keep all about a subject, whatever rule or erasure comes
    Hold {
        /// `run:ID`, `folder:PATH` or `person:NAME`
        subject: String,
        /// Why; it stands in the log, and stays readable
        #[arg(long)]
        because: String,
    },
    /// Release a hold
    Release {
        /// Its number
        number: u32,
    },
    /// Throw away what rules and holds say should go
    Prune {
        /// Only say what
        #[arg(long)]
        dry_run: bool,
    },
}

const PROVE_HELP: &str = "A proof is a C2SP tlog-proof file: the entry (sealed: it tells nothing to who has no key), the \
hashes that lead to the log's root, the log's signature, and the cosignatures of witnesses. Checking one needs no store, \
only the keys: `raincoat audit key` prints the log's, `raincoat witness key` a witness's.\n\nExamples:\n  \
raincoat audit prove 1042 --out decision.tlog-proof\n  \
raincoat audit prove --check decision.tlog-proof --log raincoat.local/1a2b+c3d4+... --witness example/w+...";

/// A proof to make or to check.
#[derive(Args, Debug)]
pub(crate) struct Prove {
    /// The entry's number, as `audit tail` shows it
    #[arg(required_unless_present = "check", conflicts_with = "check")]
    pub(crate) entry: Option<u64>,
    /// Write the proof into this new file; else it is printed
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub(crate) out: Option<PathBuf>,
    /// What the proof carries besides: the sealed entry, nothing, or the bytes of a file of yours (which nothing vouches for)
    #[arg(long, value_name = "entry|none|@FILE", default_value = "entry", conflicts_with = "check")]
    pub(crate) extra: String,
    /// Check this proof instead
    #[arg(long, value_name = "FILE", requires = "log")]
    pub(crate) check: Option<PathBuf>,
    /// The log's verifier key
    #[arg(long, value_name = "VKEY", requires = "check")]
    pub(crate) log: Option<String>,
    /// A witness's verifier key; may be given several times
    #[arg(long, value_name = "VKEY", requires = "check")]
    pub(crate) witness: Vec<String>,
    /// How many of these witnesses must have cosigned [default: all that are given]
    #[arg(long, value_name = "N", requires = "check")]
    pub(crate) need: Option<usize>,
    /// The entry, where the proof does not carry it: its bytes in a file
    #[arg(long = "entry-file", value_name = "FILE", requires = "check", conflicts_with = "leaf")]
    pub(crate) entry_file: Option<PathBuf>,
    /// The entry's leaf hash in hex, where the proof does not carry the entry
    #[arg(long, value_name = "HASH", requires = "check")]
    pub(crate) leaf: Option<String>,
}

/// Of a log's witnesses.
#[derive(Subcommand, Debug)]
pub(crate) enum AuditWitness {
    /// Add a witness: one that answers at a URL, or a folder on a stick that is plugged in now and then
    #[command(
        after_long_help = "Plain http is for this machine only: reach a witness on another machine by https, or through \
        a tunnel (`ssh -L 7380:127.0.0.1:7380 other`).\n\nExamples:\n  \
        raincoat audit witness add office --url https://witness.example.org --key witness.example.org/w+...\n  \
        raincoat audit witness add stick --folder /media/me/STICK/witness"
    )]
    Add {
        /// The name it goes by here: small letters, digits, `-` and `_`
        name: String,
        /// Where it answers
        #[arg(
            long,
            value_name = "URL",
            required_unless_present = "folder",
            conflicts_with = "folder",
            requires = "key"
        )]
        url: Option<String>,
        /// A folder: it holds the witness's key and memory, made there where it has none
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Its verifier key, as `raincoat witness key` prints it
        #[arg(long, value_name = "VKEY")]
        key: Option<String>,
    },
    /// List the witnesses and what they have cosigned
    List,
    /// Tell every witness of the newest tree head, now
    Sync,
    /// Remove a witness: what it has seen is no longer held against this log
    Remove {
        /// Its name
        name: String,
    },
}

/// Of being a witness.
#[derive(Subcommand, Debug)]
pub(crate) enum Witness {
    /// Remember the largest tree of each log, and cosign what follows from it, until Ctrl-C
    #[command(
        after_long_help = "For a second machine, under another person or at least another account. Its key is made at the \
        first start and lies in the folder, readable by you alone (mode 0600): whoever can read that folder can sign in \
        its name, and whoever can write it can make it forget.\n\nIt speaks plain HTTP and listens on this machine only, \
        unless another address is given: put a tunnel or a TLS proxy in front of it.\n\nExamples:\n  \
        raincoat witness serve --dir ~/witness --log raincoat.local/1a2b+c3d4+...\n  \
        raincoat witness serve --dir ~/witness --listen 10.0.0.5:7380"
    )]
    Serve {
        /// The folder with its key and its memory, made where it is missing
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Where to listen
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7380")]
        listen: std::net::SocketAddr,
        /// The verifier key of a log to serve, from now on; may be given several times
        #[arg(long, value_name = "VKEY")]
        log: Vec<String>,
        /// The name of a new witness, such as a URL of yours without its scheme
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Print the verifier key of the witness in a folder
    Key {
        /// The folder
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
}

/// Of providers.
#[derive(Subcommand, Debug)]
pub(crate) enum Provider {
    /// Add a provider that speaks the OpenAI chat-completions dialect
    #[command(after_long_help = "Examples:\n  raincoat provider add local --url http://127.0.0.1:8080/v1\n  \
        raincoat provider add big --url https://api.example.com/v1 --model large --key big\n  \
        raincoat key add big")]
    Add(ProviderAdd),
    /// List the providers
    List,
    /// Ask a provider for its models
    Test {
        /// Its name
        name: String,
    },
    /// Remove a provider
    Remove {
        /// Its name
        name: String,
    },
}

/// A provider.
#[derive(Args, Debug)]
pub(crate) struct ProviderAdd {
    /// The name it goes by: small letters, digits, `-` and `_`
    pub(crate) name: String,
    /// The base URL; plain http for this machine only
    #[arg(long)]
    pub(crate) url: String,
    /// The model to ask
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// The model's context window, in tokens
    #[arg(long, value_name = "TOKENS")]
    pub(crate) window: Option<u32>,
    /// Whether the model is offered tools in the dialect's own way
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) native_tools: Tools,
    /// The key it wants, by the name given to `raincoat key add`
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
}

/// See [`raincoat_runtime::NativeTools`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Tools {
    /// As the model's own description says
    Auto,
    /// Yes
    Yes,
    /// No: a text protocol is spoken
    No,
}

/// Of keys.
#[derive(Subcommand, Debug)]
pub(crate) enum Key {
    /// Add a key, or a new version of it, read from a hidden prompt or from standard input
    #[command(after_long_help = "Never from an argument: others could read it there.\n\nExamples:\n  \
        raincoat key add big\n  secret-tool lookup api big | raincoat key add big")]
    Add {
        /// Its name
        name: String,
    },
    /// List the keys by name; never what they are
    List,
    /// Remove a key
    Remove {
        /// Its name
        name: String,
    },
}

/// Of the demo.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Leave the scratch home, and say where it is
    #[arg(long)]
    pub(crate) keep: bool,
    /// Work on this folder of yours instead (asks first)
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// What a command line comes to.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) cli: Cli,
    /// For `do RECIPE`: its name, folders and options.
    pub(crate) recipe: Option<Recipe>,
}

/// A recipe with its folders and options, as they were typed.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) dirs: Vec<PathBuf>,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) dry_run: bool,
    pub(crate) without_backup: Vec<String>,
}

/// The whole command, recipes included.
pub(crate) fn command() -> clap::Command {
    let variables: String = dirs::VARIABLES.iter().map(|(name, what)| format!("  {name}\n      {what}\n")).collect();
    let after = format!(
        "Begin with:\n  raincoat demo\n  raincoat grant ~/Downloads\n  raincoat do tidy ~/Downloads\n  \
         raincoat undo\n\n{}\nEnvironment:\n{variables}",
        exit::table(),
    );
    Cli::command().after_long_help(after).mut_subcommand("do", |command| {
        command
            .subcommands(RECIPES.iter().map(recipe_command))
            .subcommand_value_name("RECIPE")
            .subcommand_help_heading("Recipes (no model needed)")
            .override_usage("raincoat do <RECIPE> <DIR>... [OPTIONS]\n       raincoat do <TASK> --in <DIR>... [OPTIONS]")
            .args_conflicts_with_subcommands(true)
            .after_long_help(
                "The plan is shown as a tree before anything happens: accept it, choose from it, or refuse it.\n\n\
                 Examples:\n  raincoat do tidy ~/Downloads\n  raincoat do tidy ~/Downloads --by date --recursive --dry-run\n  \
                 raincoat do dedupe ~/Pictures --option keep=oldest\n  \
                 raincoat do \"put the invoices of 2025 into one folder and list their sums in a CSV\" --in ~/Documents",
            )
    })
}

fn recipe_command(recipe: &raincoat_runtime::RecipeInfo) -> clap::Command {
    let dirs = Arg::new("dirs")
        .value_name("DIR")
        .help("The folder; may be several")
        .required(true)
        .num_args(1..)
        .value_parser(clap::value_parser!(PathBuf));
    let option = Arg::new("option")
        .long("option")
        .value_name("KEY=VALUE")
        .help("An option by its key, as an alternative to its own flag; may be given several times")
        .action(ArgAction::Append);
    let dry_run =
        Arg::new("dry-run").long("dry-run").help("Show the plan, and change nothing").action(ArgAction::SetTrue);
    let without_backup = Arg::new("without-backup")
        .long("without-backup")
        .value_name("GLOB")
        .help("A file that may be changed without a copy of what was there: it cannot be undone; may be given several times")
        .action(ArgAction::Append);
    clap::Command::new(recipe.name)
        .about(capital(recipe.summary))
        .arg(dirs)
        .args(recipe.options.iter().map(recipe_option))
        .arg(option)
        .arg(dry_run)
        .arg(without_backup)
}

fn recipe_option(option: &'static OptionInfo) -> Arg {
    let default = if option.default.is_empty() { String::new() } else { format!(" [default: {}]", option.default) };
    let arg = Arg::new(option.name).long(option.name).help(format!("{}{default}", capital(option.help)));
    match option.values {
        // `--recursive` alone means yes.
        Values::Bool => arg
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(PossibleValuesParser::new(["true", "false"]))
            .hide_possible_values(true),
        Values::OneOf(words) => arg.value_name("WORD").value_parser(PossibleValuesParser::new(words)),
        Values::Size => arg.value_name("SIZE"),
        Values::Age => arg.value_name("AGE"),
        Values::Count(_) => arg.value_name("N"),
        Values::Name => arg.value_name("NAME"),
        Values::Text => arg.value_name("TEXT"),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Reads a command line.
///
/// # Errors
/// What clap says, help and version included.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Parsed, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let recipe = match matches.subcommand() {
        Some(("do", of)) => of.subcommand().map(|(name, of)| recipe_of(name, of)).transpose()?,
        _ => None,
    };
    Ok(Parsed { cli: Cli::from_arg_matches(&matches)?, recipe })
}

fn recipe_of(name: &str, matches: &ArgMatches) -> Result<Recipe, clap::Error> {
    let mut options = Vec::new();
    if let Some(recipe) = RECIPES.iter().find(|recipe| recipe.name == name) {
        for option in recipe.options {
            if let Some(value) = matches.get_one::<String>(option.name) {
                options.push((option.name.to_owned(), value.clone()));
            }
        }
    }
    for pair in matches.get_many::<String>("option").into_iter().flatten() {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            let words = format!("`--option {pair}` has no `=`: write KEY=VALUE\n");
            command().error(clap::error::ErrorKind::ValueValidation, words)
        })?;
        options.push((key.to_owned(), value.to_owned()));
    }
    let dirs = matches.get_many::<PathBuf>("dirs").into_iter().flatten().cloned().collect();
    let without_backup = matches.get_many::<String>("without-backup").into_iter().flatten().cloned().collect();
    let dry_run = matches.get_flag("dry-run");
    Ok(Recipe { name: name.to_owned(), dirs, options, dry_run, without_backup })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Parsed {
        parse(std::iter::once("raincoat").chain(line.iter().copied()).map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn the_table_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_recipe_takes_its_options_as_flags_or_as_pairs() {
        let parsed = read(&["do", "tidy", "/a", "/b", "--recursive", "--by", "date", "--option", "in-project=true"]);
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        let options = vec![pair("by", "date"), pair("recursive", "true"), pair("in-project", "true")];
        let dirs = vec![PathBuf::from("/a"), PathBuf::from("/b")];
        assert_eq!(
            parsed.recipe,
            Some(Recipe { name: "tidy".into(), dirs, options, dry_run: false, without_backup: vec![] })
        );
    }

    #[test]
    fn anything_else_is_a_task_in_words() {
        let parsed = read(&["do", "tidy up my invoices", "--in", "/a", "--in", "/b", "--yes"]);
        assert!(parsed.recipe.is_none() && parsed.cli.global.yes);
        let Command::Do(task) = parsed.cli.command else { panic!("{parsed:?}") };
        assert_eq!(task.task.as_deref(), Some("tidy up my invoices"));
        assert_eq!(task.dirs.len(), 2);
    }

    #[test]
    fn global_flags_go_anywhere() {
        assert!(read(&["do", "tidy", "/a", "--yes", "--json"]).cli.global.json);
        assert!(read(&["--no-input", "grants"]).cli.global.no_input);
    }

    #[test]
    fn no_secret_is_taken_as_an_argument() {
        fn flags(command: &clap::Command, found: &mut Vec<String>) {
            found.extend(command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)));
            command.get_subcommands().for_each(|sub| flags(sub, found));
        }
        let mut found = Vec::new();
        flags(&command(), &mut found);
        for word in ["passphrase", "password", "secret", "token", "value"] {
            assert!(!found.iter().any(|flag| flag.contains(word)), "{word}");
        }
    }
}
