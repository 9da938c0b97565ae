//! The log, its proofs and its witnesses.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
