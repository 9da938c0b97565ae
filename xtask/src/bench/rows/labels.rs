//! Labels: keeping a result, and tracing a call through it. The limit is issue 5's.

use super::super::served::Served;
use super::super::{Contest, Limit, Row};
use super::SECONDS;
use super::single::sides_of;

pub(super) fn labels() -> Contest {
    let row = |name, meaning, ours, most| Row {
        name,
        meaning,
        unit: SECONDS,
        ours,
        peer: 2,
        peer_name: "the same read as JSON by `serde_json`",
        limit: Limit { ratio: None, most },
    };
    Contest {
        name: "labels",
        rounds: 100,
        warm: 5,
        prepare: |bench| Ok(sides_of(Served::start(bench.flow, bench.scratch)?, &["call", "keep", "parse"])),
        rows: vec![
            row(
                "labels: a call is traced through a result of 100 KB",
                "The decision about a mail with a recipient, a subject and a body, after a search that gave back mails; \
                 the whole decision, request and policy included.",
                0,
                Some(1e-3),
            ),
            row(
                "labels: a result of 100 KB is kept",
                "Taken apart, folded and searched for orders to an agent, once for each result, as it comes in.",
                1,
                None,
            ),
        ],
    }
}
