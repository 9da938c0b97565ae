//! Rules as people have them, and requests that concern them.

use std::fmt::Write;

use raincoat_policy::cedar::{Example, FolderGrant, GrantAction, Granted, Request, Rules, Who, render};
use raincoat_types::{GrantId, Ulid};

/// This many grants, with the modes and the defaults where there are any, and this many rules written by hand.
pub(crate) fn of(grants: u64, written: usize) -> Result<Rules, String> {
    let rendered = if grants == 0 { String::new() } else { render(&granted(grants)) };
    let files = [("rendered", rendered.as_str()), ("written.cedar", &by_hand(written)?)];
    Rules::load(&files).map_err(|broken| broken.to_string())
}

fn granted(count: u64) -> Granted {
    let folder = |n: u64| FolderGrant {
        id: GrantId(Ulid::from_parts(n, 1)),
        folder: format!("/home/u/folder{n}").into_bytes(),
        who: if n.is_multiple_of(3) { Who::Anyone } else { Who::Agents },
        actions: vec![GrantAction::Read, GrantAction::Write, GrantAction::Delete],
        until: (n.is_multiple_of(2)).then_some(2_000_000_000),
        private: n.is_multiple_of(5),
        deny: if n.is_multiple_of(4) { vec!["*.key".to_owned(), "secret".to_owned()] } else { Vec::new() },
        max_files: None,
        max_bytes: None,
    };
    Granted { folders: (0..count).map(folder).collect(), providers: vec!["ollama".to_owned()], ..Granted::default() }
}

/// As people write them: most about a folder, some about an agent, a tenth about everything.
fn by_hand(count: usize) -> Result<String, String> {
    let mut text = String::new();
    for n in 0..count {
        let folder = (n / 10 * 13 + n % 10) % 40;
        match n % 10 {
            0 => writeln!(text, "forbid (principal is Agent, action in Action::\"change\", resource is File) when {{ resource.extension == \"ext{n}\" }};"),
            1 => writeln!(text, "forbid (principal == Agent::\"agent{folder}\", action == Action::\"send\", resource);"),
            2 => writeln!(text, "forbid (principal, action == Action::\"call_tool\", resource == Tool::\"mail/tool{n}\") unless {{ context.approved }};"),
            3 => writeln!(text, "permit (principal is Agent, action in Action::\"look\", resource in Folder::\"/home/u/folder{folder}/public\") when {{ context.hour >= 8 && context.hour < 18 }};"),
            4 => writeln!(text, "forbid (principal, action == Action::\"delete\", resource in Folder::\"/home/u/folder{folder}\") when {{ resource.path like \"*/keep/*\" }};"),
            5 => writeln!(text, "permit (principal == Agent::\"default\", action == Action::\"write\", resource in Folder::\"/home/u/folder{folder}\") when {{ resource.extension == \"csv\" && context.bytes < 1000000 }};"),
            6 => writeln!(text, "forbid (principal, action in Action::\"change\", resource in Folder::\"/home/u/folder{folder}/archive\") unless {{ context.approved }};"),
            7 => writeln!(text, "forbid (principal is Recipe, action, resource in Folder::\"/home/u/folder{folder}\") when {{ context.files > 100 }};"),
            8 => writeln!(text, "permit (principal, action == Action::\"exec\", resource in Folder::\"/home/u/folder{folder}\") when {{ !context.tainted }};"),
            _ => writeln!(text, "forbid (principal, action == Action::\"write\", resource in Folder::\"/home/u/folder{folder}\") when {{ resource.size > 100000000 && !context.approved }};"),
        }
        .map_err(|error| error.to_string())?;
    }
    Ok(text)
}

/// Requests, one after the other.
pub(crate) fn requests() -> Result<Vec<Request>, String> {
    let mut requests = Vec::new();
    for folder in 0..40 {
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
            requests.push(Example::parse(&line).map_err(|error| error.to_string())?.request);
        }
    }
    Ok(requests)
}
