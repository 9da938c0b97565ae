//! What a decision costs with rules in Cedar: `cargo bench -p raincoat-policy`. Each line is the median and the 99th of
//! a hundred of single decisions, over requests that differ.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark: it reads the clock and says what it found"
)]

mod rules;

use std::hint::black_box;
use std::time::{Duration, Instant};

use raincoat_policy::cedar::{Request, Rules, Verdict};

const ROUNDS: usize = 20_000;

fn main() -> Result<(), String> {
    let requests = rules::requests()?;
    for (name, rules) in [
        ("no rules (what a request costs to put)", Rules::default()),
        ("50 grants, the modes and the defaults, 0 hand-written", rules::of(50, 0)?),
        ("200 hand-written", rules::of(0, 200)?),
        ("200 hand-written, 50 grants, the modes and the defaults", rules::of(50, 200)?),
    ] {
        let (median, rare, counts) = measure(&rules, &requests);
        println!("{name}: p50 {:.1} µs, p99 {:.1} µs ({counts})", micros(median), micros(rare));
    }
    Ok(())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn measure(rules: &Rules, requests: &[Request]) -> (Duration, Duration, String) {
    let mut times = Vec::with_capacity(ROUNDS);
    let mut counts = [0_usize; 4];
    for request in requests.iter().cycle().take(ROUNDS) {
        let start = Instant::now();
        let verdict = black_box(rules.decide(black_box(request)));
        times.push(start.elapsed());
        let [allow, ask, deny, silent] = &mut counts;
        *match verdict {
            Verdict::Allow { .. } => allow,
            Verdict::Ask { .. } => ask,
            Verdict::Deny { .. } => deny,
            Verdict::Silent => silent,
        } += 1;
    }
    times.sort_unstable();
    let at = |part: usize| times.get(ROUNDS * part / 100).copied().unwrap_or_default();
    let [allow, ask, deny, silent] = counts.map(|count| count * 100 / ROUNDS);
    (at(50), at(99), format!("{allow} % allowed, {ask} % asked, {deny} % denied, {silent} % silent"))
}
