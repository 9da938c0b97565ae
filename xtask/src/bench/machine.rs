//! On what a benchmark ran: a number without its machine says nothing.

use std::path::Path;

use crate::command;

/// Names and values, in the order in which they are written.
pub(super) fn describe(scratch: &Path) -> Vec<(&'static str, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let run = |program: &str, args: &[&str]| {
        let out = command::output(scratch, program, args).unwrap_or_default();
        String::from_utf8_lossy(&out).trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let scratch_name = scratch.to_string_lossy();
    vec![
        ("command", "`cargo xtask bench`".to_owned()),
        ("processor", format!("{}, {cores} cores", field(&read("/proc/cpuinfo"), "model name"))),
        ("memory", field(&read("/proc/meminfo"), "MemTotal")),
        ("kernel", run("uname", &["-sr"])),
        ("file system", last_line(&run("df", &["--output=fstype", &scratch_name]))),
        ("compiler", run("rustc", &["--version"])),
        ("commit", run("git", &["describe", "--always", "--dirty"])),
    ]
}

fn field(text: &str, name: &str) -> String {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    value.map_or_else(|| "unknown".to_owned(), |value| value.trim().to_owned())
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or("unknown").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_or_said_to_be_unknown() {
        assert_eq!(field("a: 1\nmodel name\t: Fast One\n", "model name"), "Fast One");
        assert_eq!(field("MemTotal:   7 kB\n", "MemTotal"), "7 kB");
        assert_eq!(field("", "MemTotal"), "unknown");
    }
}
