//! Programs in drafts: what is measured, and what it may cost. The limits are issue 3's.

mod commit;
mod job;
mod protect;
mod small;
mod start;

use super::super::{Bench, Contest, Limit, Side};
use super::{BYTES, NO_LIMIT, SECONDS, row, times};
use crate::Result;

const BARE: &str = "the same program, bare";

pub(super) fn all() -> Vec<Contest> {
    vec![
        start(),
        start_among_a_million(),
        start_beside_others(),
        small(),
        protection(),
        commit_of_a_thousand(),
        commit_of_ten_thousand(),
        jobs(),
    ]
}

fn start() -> Contest {
    Contest {
        name: "start",
        rounds: 100,
        warm: 5,
        prepare: start::fast,
        rows: vec![
            row(
                (
                    "`true` in a draft",
                    "`true` in a full draft with log and journal: `raincoat exec --commit never --in FOLDER -- true`, \
                     from its start to its exit, of a granted folder of ten files. bubblewrap is given what is \
                     comparable: all namespaces, the system's folders read-only, a private `/tmp`, a new `/proc` and \
                     `/dev`, a session of its own. It keeps no draft, no log and no journal: what is written is written. \
                     Each draft is discarded before the next, outside of the time.",
                ),
                SECONDS,
                (0, 1),
                "`bwrap --unshare-all`",
                Limit { ratio: Some(4.0), most: Some(10e-3) },
            ),
            row(
                ("`true` in a draft, beside bare", "The same times, against nothing around it."),
                SECONDS,
                (0, 2),
                "`true`, bare",
                NO_LIMIT,
            ),
        ],
    }
}

fn start_among_a_million() -> Contest {
    Contest {
        name: "start-million",
        rounds: 60,
        warm: 5,
        prepare: start::million,
        rows: vec![row(
            (
                "`true` in a draft of 1,000,000 files",
                "The same in a granted folder of a million empty files in a thousand folders.",
            ),
            SECONDS,
            (1, 0),
            "`true` in a draft of ten files",
            times(1.1),
        )],
    }
}

fn start_beside_others() -> Contest {
    let beside = |name, meaning, peer, peer_name| row((name, meaning), SECONDS, (0, peer), peer_name, NO_LIMIT);
    Contest {
        name: "start-others",
        rounds: 20,
        warm: 2,
        prepare: start::slow,
        rows: vec![
            beside(
                "`true` in a draft, beside srt",
                "As the first, against `@anthropic-ai/sandbox-runtime`: its program `srt`, the folder writable.",
                1,
                "`srt true`",
            ),
            beside(
                "`true` in a draft, beside codex",
                "Against `@openai/codex`: its native program without the wrapper in JavaScript, workspace-write.",
                2,
                "`codex sandbox -- true`",
            ),
            beside(
                "`true` in a draft, beside nono run",
                "Against nono-cli with its supervisor, the folder writable.",
                3,
                "`nono run --allow FOLDER -- true`",
            ),
            beside(
                "`true` in a draft, beside nono wrap",
                "Against nono-cli without its supervisor, the folder writable.",
                4,
                "`nono wrap --allow FOLDER -- true`",
            ),
        ],
    }
}

fn small() -> Contest {
    // Which of the program's times, and its name, for each kind of work; what it may be at most of bare.
    let works: [(usize, [&'static str; 2], &'static str, Limit); small::WORKS] = [
        (
            0,
            ["3,000 small files created in a draft", "3,000 small files created in a draft, beside bubblewrap"],
            "One program in the granted folder times its own work, so that neither its start nor the draft's is in it. \
             It makes 30 folders and in them 3,000 files of 1 to 4 KiB, each opened, written and closed. Each round has \
             a fresh folder; bubblewrap writes the folder itself.",
            times(3.0),
        ),
        (
            1,
            ["9,000 small files read in a draft", "9,000 small files read in a draft, beside bubblewrap"],
            "Then it reads 3,000 files of the folder, of 1 to 4 KiB in 30 folders, three times over: each opened, read \
             whole and closed; as a program that meets a folder does, the first time from the disk.",
            times(1.2),
        ),
        (
            2,
            ["the same 9,000 read again", "the same 9,000 read again, beside bubblewrap"],
            "The same once more, when everything is in memory: what then remains is the cost of overlayfs, which opens \
             two files for each that is opened, and of Landlock.",
            NO_LIMIT,
        ),
        (
            3,
            ["the new files read 9,000 times", "the new files read 9,000 times, beside bubblewrap"],
            "As before, with the files that the program has just written.",
            NO_LIMIT,
        ),
        (
            4,
            ["3,000 small files deleted in a draft", "3,000 small files deleted in a draft, beside bubblewrap"],
            "Then it deletes the 3,000 files that it made.",
            times(3.0),
        ),
        (
            5,
            ["3,000 files of the folder deleted", "3,000 files of the folder deleted, beside bubblewrap"],
            "And the 3,000 that it found. In a draft each becomes a mark that it is gone; bare, their space is freed.",
            times(3.0),
        ),
    ];
    let rows = works.into_iter().flat_map(|(work, [name, beside], meaning, limit)| {
        let (bare, bubblewrap) = (small::WORKS + work, 2 * small::WORKS + work);
        [
            row((name, meaning), SECONDS, (work, bare), BARE, limit),
            row(
                (beside, "The same times, against the same program in bubblewrap."),
                SECONDS,
                (work, bubblewrap),
                "in `bwrap --unshare-all`",
                NO_LIMIT,
            ),
        ]
    });
    Contest { name: "small-files", rounds: 9, warm: 1, prepare: small::sides, rows: rows.collect() }
}

fn protection() -> Contest {
    let git = "git: the folder committed to a repository elsewhere, before and after";
    let first = "git, the first time";
    Contest {
        name: "protection",
        rounds: 5,
        warm: 1,
        prepare: protect::sides,
        rows: vec![
            row(
                (
                    "undo protection of a run that changes 10 of 100,000 files, time added",
                    "A program gives ten files new content, in a folder of 100,000 files of 4 KiB in 1,000 folders. \
                     `exec --commit always`, from its start to its exit with the change committed and undoable, less what \
                     the program takes bare just before. git is the way of others: `add --all` and `commit` before the \
                     run and after it, in a repository that knows all files already.",
                ),
                SECONDS,
                (0, 2),
                git,
                Limit { ratio: None, most: Some(50e-3) },
            ),
            row(
                (
                    "the same, the first time",
                    "git has to store all files first. Measured once; ours are the same times.",
                ),
                SECONDS,
                (0, 4),
                first,
                NO_LIMIT,
            ),
            row(
                (
                    "undo protection of a run that changes 10 of 100,000 files, bytes stored",
                    "What the run leaves in our data directory: the ten files' content before, their records in \
                     journal and log; not the folder.",
                ),
                BYTES,
                (1, 3),
                git,
                Limit { ratio: None, most: Some(1e6) },
            ),
            row(
                ("the same, bytes stored the first time", "As above; what git stores when it sees the folder first."),
                BYTES,
                (1, 5),
                first,
                NO_LIMIT,
            ),
        ],
    }
}

const WRITER: &str = "the files written in one batch, one `syncfs`";

fn commit_of_a_thousand() -> Contest {
    commits(
        "commit-1000",
        (5, 1),
        |bench| commit::sides(bench, 1_000),
        [
            (
                "commit of 1,000 modified files",
                "`raincoat commit --yes` from its start to its exit, of a draft whose program gave 1,000 files of 4 KiB new \
             content: looked at for drift, the old content sealed and durable, the intents durable, each file exchanged, \
             synced, recorded. The plain program writes the same files over (open, truncate, write, close) and makes \
             them durable by one `syncfs`; it can be undone by nobody. Each round has a fresh folder, and nothing left \
             for the disk to write.",
            ),
            (
                "commit of 1,000 created files",
                "As above, where the program made the files, in folders that were there.",
            ),
        ],
    )
}

fn commit_of_ten_thousand() -> Contest {
    commits(
        "commit-10000",
        (3, 0),
        |bench| commit::sides(bench, 10_000),
        [("commit of 10,000 modified files", "As with 1,000."), ("commit of 10,000 created files", "As with 1,000.")],
    )
}

fn commits(
    name: &'static str,
    (rounds, warm): (usize, usize),
    prepare: fn(&Bench<'_>) -> Result<Vec<Side>>,
    rows: [(&'static str, &'static str); 2],
) -> Contest {
    let mut sides = [(0, 1), (2, 3)].into_iter();
    let rows = rows.map(|words| row(words, SECONDS, sides.next().unwrap_or_default(), WRITER, times(1.5)));
    Contest { name, rounds, warm, prepare, rows: rows.into() }
}

fn jobs() -> Contest {
    let job = |name, meaning, ours| row((name, meaning), SECONDS, (ours, ours + 1), BARE, NO_LIMIT);
    Contest {
        name: "jobs",
        rounds: 3,
        warm: 0,
        prepare: job::sides,
        rows: vec![
            job(
                "`make` of a C program in a draft, committed",
                "`raincoat exec --commit success --in FOLDER -- make`, with 60 sources, two at a time, from its start to \
                 its exit: all is in the folder, durable, and can be undone. Bare, nothing is synced.",
                0,
            ),
            job("`git checkout` of 3,000 files in a draft, committed", "As above, of files of 1 to 4 KiB.", 2),
            job("`tar` of 3,000 files unpacked in a draft, committed", "As above, of such files.", 4),
        ],
    }
}
