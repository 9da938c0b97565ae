//! The journal and the log by themselves. The limits are issue 4's.

use super::super::served::Served;
use super::super::{Bench, Contest, Limit, Row, Side};
use super::single::sides_of;
use super::{NO_LIMIT, SECONDS};
use crate::Result;

const PREALLOCATED: &str = "as many bytes written where zeroes lay, `fdatasync`";
const APPENDED: &str = "as many bytes at a file's end, `fdatasync`";

/// Entries of the large log.
const ENTRIES: u64 = 10_000_000;

pub(super) fn all() -> Vec<Contest> {
    vec![acknowledgements(), entries(), batches(), large_log()]
}

fn acknowledgements() -> Contest {
    let row = |name, meaning, sides: (usize, usize), ratio| Row {
        name,
        meaning,
        unit: SECONDS,
        ours: sides.0,
        peer: sides.1,
        peer_name: PREALLOCATED,
        limit: Limit { ratio, most: None },
    };
    Contest {
        name: "journal",
        rounds: 100,
        warm: 10,
        prepare: |bench| {
            let asked = [
                "intend",
                "plain 512",
                "image 4096",
                "plain 4608",
                "image 1048576",
                "plain 1049088",
                "image 16777216",
                "plain 16777728",
                "known 1048576",
            ];
            Ok(sides_of(Served::start(bench.journal, bench.scratch)?, &asked))
        },
        rows: vec![
            row(
                "journal: an intent acknowledged",
                "The intent of one move, sealed and durable, without a thread between.",
                (0, 1),
                Some(1.5),
            ),
            row(
                "journal: 4 KiB and their intent acknowledged",
                "A random before-image that the store has never seen, and the intent of the change that destroys it.",
                (2, 3),
                Some(1.5),
            ),
            row("journal: 1 MiB and their intent acknowledged", "As above.", (4, 5), None),
            row("journal: 16 MiB and their intent acknowledged", "As above.", (6, 7), None),
            row(
                "journal: 1 MiB that it has, and their intent acknowledged",
                "The content is found by its digest; only the intent is written.",
                (8, 1),
                None,
            ),
        ],
    }
}

fn entries() -> Contest {
    Contest {
        name: "log",
        rounds: 200,
        warm: 10,
        prepare: |bench| audit(bench, &["append", "plain append 1 512"]),
        rows: vec![Row {
            name: "log: an entry, durable",
            meaning: "An event sealed, hashed into the tree, durable, under a signed head that is kept apart too; without \
                      a thread between. With its head it is some 500 bytes.",
            unit: SECONDS,
            ours: 0,
            peer: 1,
            peer_name: "512 bytes at a file's end, `fdatasync`",
            limit: Limit { ratio: Some(3.0), most: None },
        }],
    }
}

fn batches() -> Contest {
    let row =
        |name, meaning, ours, limit| Row { name, meaning, unit: SECONDS, ours, peer: 2, peer_name: APPENDED, limit };
    // 400,000 entries a second.
    let most = Limit { ratio: None, most: Some(0.25) };
    Contest {
        name: "log-batches",
        rounds: 5,
        warm: 1,
        prepare: |bench| audit(bench, &["batches 1000 durable", "batches 1000 lazily", "plain append 1000 27000"]),
        rows: vec![
            row(
                "log: 100,000 entries in batches of 100, each durable",
                "1,000 batches one after another, each durable under a signed head before the next; the tiles that fill \
                 up meanwhile are written too. Under 0.25 s is over 400,000 entries a second.",
                0,
                most,
            ),
            row(
                "log: the same, durable later",
                "As above, each batch with the kernel when the next begins.",
                1,
                NO_LIMIT,
            ),
        ],
    }
}

fn large_log() -> Contest {
    const HASHED: &str = "SHA-256 of its files, one after another";
    let row = |name, meaning, (ours, peer), peer_name, most| Row {
        name,
        meaning,
        unit: SECONDS,
        ours,
        peer,
        peer_name,
        limit: Limit { ratio: None, most },
    };
    Contest {
        name: "log-large",
        rounds: 1,
        warm: 0,
        prepare: |bench| {
            let mut served = Served::start(bench.audit, bench.scratch)?;
            let count = bench.many(ENTRIES);
            let took = served.ask(&format!("fill {count}"))?;
            println!("a log of {count} entries was made in {took:.1} s");
            Ok(sides_of(
                served,
                &["prove", "plain prove", "open", "plain open", "verify", "plain verify", "verify-deep"],
            ))
        },
        rows: vec![
            row(
                "log: inclusion proof in 10 million entries",
                "Of a random entry, against the newest signed head, checked; the median of 1,000 that one prover makes, \
                 which looks each time whether the log is still the same, and keeps the tiles above the entries' once it has \
                 read them. The tiles come from files, which the kernel has in memory.",
                (0, 1),
                "two of its tiles read",
                Some(50e-6),
            ),
            row(
                "log: 10 million entries opened",
                "To append, as each command does: the newest head checked against the entries and the head kept apart; \
                 the median of 50.",
                (2, 3),
                "its live file read",
                Some(50e-3),
            ),
            row(
                "log: 10 million entries verified",
                "As `audit verify` does: every byte read, every hash and signature checked.",
                (4, 5),
                HASHED,
                Some(25.0),
            ),
            row("log: 10 million entries verified deeply", "As above, and every entry opened.", (6, 5), HASHED, None),
        ],
    }
}

fn audit(bench: &Bench<'_>, asked: &[&'static str]) -> Result<Vec<Side>> {
    Ok(sides_of(Served::start(bench.audit, bench.scratch)?, asked))
}
