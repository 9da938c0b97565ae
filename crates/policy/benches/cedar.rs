//! What a decision costs with rules in Cedar: `cargo bench -p raincoat-policy`. Each line is the median and the 99th of
//! a hundred of single decisions, over requests that differ.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark: it reads the clock, says what it found, and its own rules are sound"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use raincoat_policy::cedar::{Example, FolderGrant, GrantAction, Granted, Request, Rules, Verdict, Who, render};
use raincoat_types::{GrantId, Ulid};

const ROUNDS: usize = 20_000;

fn main() {
    let silent = Rules::load(&[]).unwrap();
    let rendered = Rules::load(&[("rendered", &render(&grants(50)))]).unwrap();
    let written = Rules::load(&[("written.cedar", &written(200))]).unwrap();
    let both = Rules::load(&[("rendered", &render(&grants(50))), ("written.cedar", &crate::written(200))]).unwrap();
    for (name, rules) in [
        ("no rules (what a request costs to put)", &silent),
        ("50 grants, the modes and the defaults rendered, 0 hand-written", &rendered),
        ("200 hand-written", &written),
        ("200 hand-written, 50 grants, the modes and the defaults", &both),
    ] {
        let (median, rare, counts) = measure(rules, &requests());
        println!("{name}: p50 {:.1} µs, p99 {:.1} µs ({counts})", micros(median), micros(rare));
    }
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

fn grants(count: u64) -> Granted {
    let folder = |n: u64| FolderGrant {
        id: GrantId(Ulid::from_parts(n, 1)),
        folder: format!("/home/u/folder{n}").into_bytes(),
        who: Who::parse([None, Some("agent"), Some("agent:default")][(n % 3) as usize]).unwrap(),
        actions: vec![GrantAction::Read, GrantAction::Write, GrantAction::Delete],
        until: (n % 2 == 0).then_some(2_000_000_000),
        private: n % 5 == 0,
        deny: if n % 4 == 0 { vec!["*.key".to_owned(), "secret".to_owned()] } else { Vec::new() },
        max_files: None,
        max_bytes: None,
    };
    Granted { folders: (0..count).map(folder).collect(), providers: vec!["ollama".to_owned()], ..Granted::default() }
}

/// As people write them: most about a folder, some about an agent, a tenth about everything.
fn written(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let folder = n % 40;
        match n % 10 {
            0 => write!(text, "forbid (principal is Agent, action in Action::\"change\", resource is File) when {{ resource.extension == \"ext{n}\" }};\n"),
            1 => write!(text, "forbid (principal == Agent::\"agent{folder}\", action == Action::\"send\", resource);\n"),
            2 => write!(text, "forbid (principal, action == Action::\"call_tool\", resource == Tool::\"mail/tool{n}\") unless {{ context.approved }};\n"),
            3 => write!(text, "permit (principal is Agent, action in Action::\"look\", resource in Folder::\"/home/u/folder{folder}/public\") when {{ context.hour >= 8 && context.hour < 18 }};\n"),
            4 => write!(text, "forbid (principal, action == Action::\"delete\", resource in Folder::\"/home/u/folder{folder}\") when {{ resource.path like \"*/keep/*\" }};\n"),
            5 => write!(text, "permit (principal == Agent::\"default\", action == Action::\"write\", resource in Folder::\"/home/u/folder{folder}\") when {{ resource.extension == \"csv\" && context.bytes < 1000000 }};\n"),
            6 => write!(text, "forbid (principal, action in Action::\"change\", resource in Folder::\"/home/u/folder{folder}/archive\") unless {{ context.approved }};\n"),
            7 => write!(text, "forbid (principal is Recipe, action, resource in Folder::\"/home/u/folder{folder}\") when {{ context.files > 100 }};\n"),
            8 => write!(text, "permit (principal, action == Action::\"exec\", resource in Folder::\"/home/u/folder{folder}\") when {{ !context.tainted }};\n"),
            _ => write!(text, "forbid (principal, action == Action::\"write\", resource in Folder::\"/home/u/folder{folder}\") when {{ resource.size > 100000000 && !context.approved }};\n"),
        }
        .unwrap();
    }
    text
}

fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for folder in 0..50 {
        for (actor, action, rest) in [
            ("agent:default", "read", "/reports/2025/a.csv"),
            ("agent:default", "write", "/reports/2025/a.csv"),
            ("agent:agent7", "list", "/public/x/"),
            ("recipe:tidy", "move", "/archive/old/photos/1/2/3.jpg"),
            ("program:cargo", "write", "/target/debug/deps/x.o"),
        ] {
            let line = format!(
                "{actor} {action} /home/u/folder{folder}{rest} root=/home/u/folder{folder} grant=01ARZ3NDEKTSV4RRFFQ69G5FAV"
            );
            requests.push(Example::parse(&line).unwrap().request);
        }
    }
    requests
}
