//! Labels: what it takes to keep a result and to trace a call's arguments through it. `cargo xtask bench` runs this; the
//! way of asking is `raincoat_testkit::measure`'s.
//!
//! `measure serve DIR` answers `keep` and `call`, each on a result of 100 KB in a run of its own, and `parse`: the same
//! result read by `serde_json`, to compare with.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark: it reads the clock, and plays the plain program"
)]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use raincoat_flow::{FlowLimits, Manifest, Run, ToolDefinition};
use raincoat_testkit::measure::{ended, serve, unknown};
use serde_json::{Value, json};

/// Bytes of the result.
const RESULT: usize = 100 << 10;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_none_or(|word| word != "serve") {
        println!("measured by `cargo xtask bench`");
        return ExitCode::SUCCESS;
    }
    let (text, tools) =
        (result(), [tool("search_mail", &["query"]), tool("send_mail", &["recipient", "subject", "body"])]);
    let begun = || {
        let request = "Answer person 17 about the invoice";
        let mut run = Run::new(request, &tools, &Manifest::default(), FlowLimits::default());
        run.call("search_mail", &json!({"query": "invoice"}));
        run
    };
    let call = json!({"recipient": "person.400@corp.example", "subject": "Re: invoice",
        "body": "Hello there, this is my answer to what you wrote to me last week about it."});
    ended(serve(|words| {
        let mut run = begun();
        let start = match words {
            ["keep"] => {
                let start = Instant::now();
                run.result("search_mail", &text, false);
                start
            }
            ["call"] => {
                run.result("search_mail", &text, false);
                let start = Instant::now();
                black_box(run.call("send_mail", &call));
                start
            }
            ["parse"] => {
                let start = Instant::now();
                black_box(serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())?);
                start
            }
            _ => return Err(unknown(words.join(" "))),
        };
        Ok(start.elapsed())
    }))
}

/// Mails as a tool gives them back.
fn result() -> String {
    let mut mails = Vec::new();
    let mut length = 0;
    while length < RESULT {
        let number = mails.len();
        let mail = json!({"id": number.to_string(), "from": format!("person.{number}@corp.example"), "body": format!(
            "Hello number {number}, the quick brown fox jumps over the lazy dog; please call me at +44 20 7946 {number:04} or \
             write to person.{number}@corp.example. Kind regards, Person {number}")});
        length += mail.to_string().len() + 1;
        mails.push(mail);
    }
    Value::from(mails).to_string()
}

fn tool(name: &str, arguments: &[&str]) -> ToolDefinition {
    let properties: Value = arguments.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    ToolDefinition { name: name.into(), description: String::new(), parameters: json!({"properties": properties}) }
}
