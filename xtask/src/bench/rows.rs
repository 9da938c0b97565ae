//! What is measured, and what each may cost. The limits are issue 2's, for drafts issue 3's, for what is remembered
//! issue 4's.

mod drafts;
mod folder;
mod freeze;
mod ground;
mod home;
mod labels;
mod records;
mod single;
mod store;
mod tree;

use super::{Contest, Limit, Row, Unit};

const SECONDS: Unit = Unit::Seconds;
const BYTES: Unit = Unit::Bytes;
const PLAIN_WRITE: &str = "temporary file, fsync, rename, fsync of the folder";
const NO_LIMIT: Limit = Limit { ratio: None, most: None };

pub(super) fn all() -> Vec<Contest> {
    let mut all = vec![
        single_changes(),
        large_changes(),
        changes_in_a_row(),
        records(),
        decisions(),
        start(),
        ten_thousand(),
        twenty_thousand(),
        hundred_thousand(),
    ];
    all.extend(drafts::all());
    all.extend(records::all());
    all.push(labels::labels());
    all.push(freeze::freeze());
    all.extend(tree::all());
    all.extend(store::all());
    all
}

const fn times(ratio: f64) -> Limit {
    Limit { ratio: Some(ratio), most: None }
}

fn row(
    (name, meaning): (&'static str, &'static str),
    unit: Unit,
    (ours, peer): (usize, usize),
    peer_name: &'static str,
    limit: Limit,
) -> Row {
    Row { name, meaning, unit, ours, peer, peer_name, limit }
}

fn single_changes() -> Contest {
    Contest {
        name: "changes",
        rounds: 200,
        warm: 10,
        prepare: single::changes,
        rows: vec![
            Row {
                name: "protected write of 4 KiB over a file",
                meaning: "One proposal to give an existing file new random content, from the keeper's thread and back: \
                          resolved beneath the grant, decided with 50 grants, the old content (which the journal has \
                          never seen) sealed and durable, the intent durable in journal and log, the new file durable \
                          and swapped in, checked, concluded. Each round takes a new file. Both sides begin with nothing left \
                          for the disk to write.",
                unit: SECONDS,
                ours: 0,
                peer: 1,
                peer_name: PLAIN_WRITE,
                limit: times(1.6),
            },
            Row {
                name: "the same file written again",
                meaning: "As above, over the file that the round before wrote: the journal knows the old content by its \
                          digest.",
                unit: SECONDS,
                ours: 2,
                peer: 3,
                peer_name: PLAIN_WRITE,
                limit: NO_LIMIT,
            },
            Row {
                name: "protected write of 4 KiB, a new file",
                meaning: "As above, where nothing was before.",
                unit: SECONDS,
                ours: 4,
                peer: 5,
                peer_name: PLAIN_WRITE,
                limit: NO_LIMIT,
            },
        ],
    }
}

fn large_changes() -> Contest {
    let change = |name, meaning, ours, limit| row((name, meaning), SECONDS, (ours, ours + 1), PLAIN_WRITE, limit);
    Contest {
        name: "changes-large",
        rounds: 40,
        warm: 4,
        prepare: single::large_changes,
        rows: vec![
            change(
                "protected write of 1 MiB over a file",
                "As that of 4 KiB, with 1 MiB of noise before and after.",
                0,
                times(2.2),
            ),
            change("protected write of 16 MiB over a file", "As above.", 2, times(2.2)),
            change(
                "protected write of 1 MiB, known content",
                "Over a file whose content the store has, new content that it has as well: two contents take turns.",
                4,
                times(1.2),
            ),
            change("protected write of 16 MiB, known content", "As above.", 6, times(1.2)),
            change(
                "protected write of 1 MiB over known content",
                "New noise each time, over what the round before wrote.",
                8,
                NO_LIMIT,
            ),
        ],
    }
}

fn changes_in_a_row() -> Contest {
    Contest {
        name: "changes-in-a-row",
        rounds: 5,
        warm: 1,
        prepare: single::rows_of_changes,
        rows: vec![Row {
            name: "100 protected writes of 4 KiB in a row",
            meaning: "As the first, over a hundred files one after another, so that what a write leaves for later (the \
                      old file taken away, the outcome recorded) is paid by the next.",
            unit: SECONDS,
            ours: 0,
            peer: 1,
            peer_name: PLAIN_WRITE,
            limit: NO_LIMIT,
        }],
    }
}

fn records() -> Contest {
    let row = |name, meaning, ours| Row {
        name,
        meaning,
        unit: SECONDS,
        ours,
        peer: 2,
        peer_name: "write and fdatasync of 512 bytes at a file's end",
        limit: NO_LIMIT,
    };
    Contest {
        name: "records",
        rounds: 200,
        warm: 10,
        prepare: single::records,
        rows: vec![
            row(
                "one entry in the log",
                "An event sealed, hashed into the tree, durable and under a signed checkpoint.",
                0,
            ),
            row("one intent in the journal", "The intent of one move, sealed and durable.", 1),
        ],
    }
}

fn decisions() -> Contest {
    let peer_name = "one `stat` of a file";
    let row = |name, meaning, ours, most| Row {
        name,
        meaning,
        unit: SECONDS,
        ours,
        peer: 6,
        peer_name,
        limit: Limit { ratio: None, most },
    };
    Contest {
        name: "decisions",
        rounds: 50,
        warm: 2,
        prepare: single::decisions,
        rows: vec![
            row(
                "gate: a move is allowed",
                "The decision by itself, 50 grants, both places of the move known, the plan approved; a round is the \
                 median of 1,000 single calls.",
                0,
                Some(5e-6),
            ),
            row(
                "gate: a move is denied",
                "As above, where the second place has a protected name; with the words of the refusal.",
                1,
                Some(5e-6),
            ),
            row("gate: a move must be asked about", "As above, where no plan was approved.", 2, Some(5e-6)),
            row(
                "names of a path looked up",
                "The protected names and the grant's deny globs for one path of nine names: what the gate is told as a \
                 fact, for each place.",
                3,
                None,
            ),
            row(
                "rules: 50 grants, the modes and the defaults",
                "A decision by rules in Cedar with nothing hand-written; 200 requests that differ, a round is the median of \
                 1,000 single decisions.",
                4,
                None,
            ),
            row(
                "rules: the same with 200 written by hand",
                "As above, with 200 rules of ten kinds about 40 folders.",
                5,
                Some(40e-6),
            ),
        ],
    }
}

fn start() -> Contest {
    Contest {
        name: "command",
        rounds: 100,
        warm: 5,
        prepare: folder::start,
        rows: vec![Row {
            name: "start of `raincoat grants` to its exit",
            meaning: "The whole command with one grant, keys in a key file.",
            unit: SECONDS,
            ours: 0,
            peer: 1,
            peer_name: "start of `true` to its exit",
            limit: Limit { ratio: None, most: Some(10e-3) },
        }],
    }
}

fn ten_thousand() -> Contest {
    let row = |name, meaning, ours, peer, peer_name, ratio| Row {
        name,
        meaning,
        unit: SECONDS,
        ours,
        peer,
        peer_name,
        limit: Limit { ratio, most: None },
    };
    Contest {
        name: "moves-10000",
        rounds: 3,
        warm: 0,
        prepare: |bench| folder::moves(bench, 10_000, true),
        rows: vec![
            row(
                "10,000 moves by `do tidy`, each durable",
                "The whole command with `--yes`, from start to exit, in a folder of 10,000 text files of 4 KiB: list, look \
                 into each file, plan, then for each move intent, act, check, outcome. The plain program is told what to \
                 move where, and makes each move durable before the next.",
                0,
                2,
                "10,000 times rename, fsync of both folders",
                Some(1.5),
            ),
            row(
                "10,000 moves by `do tidy`, durable in batches",
                "The same times of ours against the same program, made to sync as rarely as Raincoat does: once for 128 \
                 moves. It keeps no journal, so what it loses in a crash nobody knows.",
                0,
                4,
                "the same, fsync once for 128 renames",
                None,
            ),
            row(
                "undo of the 10,000 moves",
                "The whole command `undo --yes`, checks for drift included, against the plain program moving back.",
                1,
                3,
                "10,000 times rename back, fsync of both folders",
                None,
            ),
            row(
                "undo of the 10,000 moves, batches",
                "The same against the plain program that syncs once for 128 moves.",
                1,
                5,
                "the same, fsync once for 128 renames",
                None,
            ),
        ],
    }
}

fn twenty_thousand() -> Contest {
    Contest {
        name: "moves-20000",
        rounds: 3,
        warm: 0,
        prepare: |bench| folder::moves(bench, 20_000, false),
        rows: vec![Row {
            name: "20,000 moves by `do tidy`",
            meaning: "As with 10,000: twice as many files should take twice as long.",
            unit: SECONDS,
            ours: 0,
            peer: 2,
            peer_name: "20,000 renames, fsync of both folders once for 128",
            limit: NO_LIMIT,
        }],
    }
}

fn hundred_thousand() -> Contest {
    let row = |name, meaning, ours, most| Row {
        name,
        meaning,
        unit: BYTES,
        ours,
        peer: 4,
        peer_name: "the plain program moving them",
        limit: Limit { ratio: None, most },
    };
    Contest {
        name: "memory",
        rounds: 1,
        warm: 0,
        prepare: folder::memory,
        rows: vec![
            row(
                "memory of the keeper, tidying 100,000 files",
                "Peak resident memory (`VmHWM`) of the command itself, with `--yes`, without its worker.",
                0,
                Some(100e6),
            ),
            row(
                "memory of the keeper, the plan reviewed",
                "The same where the plan of 100,000 moves is shown on a terminal and accepted there.",
                3,
                Some(100e6),
            ),
            row("memory of the worker", "Peak of the worker that makes the plan, in the first of these runs.", 1, None),
            row("memory of the keeper, undoing it", "Peak of `undo --yes` of those moves.", 2, None),
        ],
    }
}
