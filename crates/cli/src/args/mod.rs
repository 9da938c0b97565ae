//! The command line: the one table that parsing, help, completions and the man page are made from.

mod drafts;
mod gate;
mod log;
mod models;
mod policy;
mod recipes;
mod store;
mod work;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use raincoat_runtime::RECIPES;

use crate::out::Colour;
use crate::{dirs, exit};
use drafts::{COMMIT_HELP, EXEC_HELP};
use recipes::{recipe_command, recipe_of};

pub(crate) use drafts::{Commit, Enclosed, Exec, OnConflict, When};
pub(crate) use gate::Gate;
pub(crate) use log::{Audit, AuditWitness, Prove, Retention, Witness};
pub(crate) use models::{Key, Provider, ProviderAdd, Tools};
pub(crate) use policy::{Deny, Mode, ModeWord, Policy};
pub(crate) use recipes::Recipe;
pub(crate) use store::Store;
pub(crate) use work::{Do, Grant, OnDrift, Restore, Undo};

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
    /// The rules that decide: show, check, explain, test, edit, and go back to earlier versions
    #[command(subcommand)]
    Policy(Policy),
    /// Show or set the modes: strict, audit, offline, restricted; they combine, and each only takes away
    #[command(after_long_help = "Examples:\n  raincoat mode\n  raincoat mode strict offline --for 2h\n  \
        raincoat mode normal")]
    Mode(Mode),
    /// List the questions that runs have asked, and what was allowed for folders until a time
    Approvals,
    /// Look at a question from another terminal, and say yes to exactly what it shows, once
    Approve {
        /// The question's id, or its beginning or end (`raincoat approvals` lists them)
        id: String,
    },
    /// Say no to a question, or take back what was allowed for a folder
    Deny(Deny),
    /// Freeze: end every run at once, and let none begin from any terminal until `raincoat thaw`
    Freeze,
    /// End the freeze; the passphrase is asked for, however short ago it was typed
    Thaw,
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
    /// Answer another agent's loop, before each of its tool calls, whether the call may be made
    #[command(after_long_help = gate::HELP)]
    Gate(Gate),
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
            Some(Recipe { name: "tidy".into(), dirs, options, dry_run: false, without_backup: vec![], wait: None })
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
