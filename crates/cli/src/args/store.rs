//! The store.

use clap::Subcommand;

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
