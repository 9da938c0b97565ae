//! What a program in a draft gets of the person's environment and of the machine: from flags to an ask.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use raincoat_runtime::{Config, ProgramLimits, machine_memory};
use raincoat_types::display_bytes;

use crate::error::{Result, usage};
use crate::profiles::Profile;

/// The variables that a program gets, and why; a `*` at the end stands for any rest. Whatever else is set may hold a
/// secret or change what programs load, and stays outside.
const PASSED: &[(&str, &str)] = &[
    ("PATH", "where programs are; what is not shown inside does not exist there"),
    ("TERM", "what the terminal can do"),
    ("COLORTERM", "what the terminal can do"),
    ("TERM_PROGRAM", "what the terminal can do"),
    ("NO_COLOR", "no colours"),
    ("FORCE_COLOR", "colours"),
    ("CLICOLOR*", "colours"),
    ("LS_COLORS", "colours"),
    ("LANG", "language and character set"),
    ("LANGUAGE", "language"),
    ("LC_*", "language and character set"),
    ("TZ", "time zone"),
    ("USER", "who"),
    ("LOGNAME", "who"),
    ("SHELL", "which shell programs start"),
    ("EDITOR", "which editor programs start"),
    ("VISUAL", "which editor programs start"),
    ("PAGER", "which pager programs start"),
    ("CI", "nobody is there to answer"),
    ("SOURCE_DATE_EPOCH", "reproducible builds"),
    ("MAKEFLAGS", "how make works"),
    ("CFLAGS", "how compilers work"),
    ("CXXFLAGS", "how compilers work"),
    ("LDFLAGS", "how linkers work"),
    ("RUSTFLAGS", "how rustc works"),
    ("RUSTUP_TOOLCHAIN", "which toolchain"),
    ("CARGO_TERM_*", "how cargo speaks"),
    ("NODE_ENV", "how node works"),
    ("PYTHONDONTWRITEBYTECODE", "how python works"),
    ("PYTHONUNBUFFERED", "how python works"),
];

/// The environment of a program: what is on the list, what `--env` and the profile name, and a home of its own.
///
/// # Errors
/// Where `--env` names nothing.
pub(crate) fn environment(
    ours: &[(OsString, OsString)],
    home: &Path,
    profile: Option<&Profile>,
    asked: &[OsString],
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut env: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for (name, value) in ours {
        let by_profile = || profile.zip(name.to_str()).is_some_and(|(profile, name)| profile.passes(name));
        if PASSED.iter().any(|(pattern, _)| matches(pattern, name.as_bytes())) || by_profile() {
            env.insert(name.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
    }
    env.entry(b"PATH".to_vec()).or_insert_with(|| b"/usr/local/bin:/usr/bin:/bin".to_vec());
    for (name, value) in profile.iter().flat_map(|profile| &profile.env_set) {
        env.insert(name.clone().into_bytes(), value.clone().into_bytes());
    }
    for item in asked {
        let bytes = item.as_bytes();
        let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                let (name, rest) = bytes.split_at(at);
                (name, Some(rest.iter().skip(1).copied().collect::<Vec<u8>>()))
            }
            None => {
                let set = ours.iter().find(|(name, _)| name == item);
                (bytes, set.map(|(_, value)| value.as_bytes().to_vec()))
            }
        };
        let shown = display_bytes(name);
        if name.is_empty() {
            return Err(usage(
                format!("`--env {}` names no variable", display_bytes(bytes)),
                "write NAME or NAME=VALUE",
            ));
        }
        let value = value.ok_or_else(|| {
            usage(format!("`--env {shown}`: no such variable is set"), format!("write `--env {shown}=VALUE`"))
        })?;
        env.insert(name.to_vec(), value);
    }
    env.insert(b"HOME".to_vec(), home.as_os_str().as_bytes().to_vec());
    env.insert(b"TMPDIR".to_vec(), b"/tmp".to_vec());
    env.insert(b"RAINCOAT".to_vec(), b"draft".to_vec());
    Ok(env.into_iter().collect())
}

fn matches(pattern: &str, name: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start.as_bytes()),
        None => name == pattern.as_bytes(),
    }
}

/// What a program may use up: the configuration's bounds, the profile's, then the person's.
///
/// # Errors
/// Where a limit is none that there is, or its value cannot be meant.
pub(crate) fn limits(config: &Config, profile: Option<&Profile>, asked: &[String]) -> Result<ProgramLimits> {
    let bounds = &config.limits;
    let mut limits = ProgramLimits {
        cpu_secs: None,
        memory: bounds.program_memory.min(machine_memory() / 4 * 3),
        processes: bounds.program_processes,
        disk: bounds.program_disk,
        wall_secs: None,
        open_files: bounds.program_files.into(),
    };
    let of_profile = profile.iter().flat_map(|profile| &profile.limits).map(|(name, value)| format!("{name}={value}"));
    for item in of_profile.chain(asked.iter().cloned()) {
        let bad = |why: &str| {
            usage(
                format!("`--limit {item}`: {why}"),
                "the limits are cpu=SECS, mem=SIZE, procs=N, disk=SIZE, time=SPAN and files=N, as in mem=2G,time=10m",
            )
        };
        let (name, value) = item.split_once('=').ok_or_else(|| bad("it has no value"))?;
        match name.trim() {
            "cpu" => limits.cpu_secs = Some(seconds(value).ok_or_else(|| bad("that is no time"))?),
            "time" => limits.wall_secs = Some(seconds(value).ok_or_else(|| bad("that is no time"))?),
            "mem" => limits.memory = size(value).ok_or_else(|| bad("that is no size"))?.min(limits.memory),
            "disk" => limits.disk = size(value).ok_or_else(|| bad("that is no size"))?,
            "procs" => {
                limits.processes = value.parse().ok().filter(|n| *n > 0).ok_or_else(|| bad("that is no number"))?;
            }
            "files" => {
                limits.open_files = value.parse().ok().filter(|n| *n >= 16).ok_or_else(|| bad("16 at the least"))?;
            }
            _ => return Err(bad("there is no such limit")),
        }
    }
    Ok(limits)
}

/// A span in whole seconds: a number of them, or `10m`, `1h 30m`.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    if let Ok(secs) = text.parse::<u64>() {
        return (secs > 0).then_some(secs);
    }
    let span: jiff::SignedDuration =
        text.parse::<jiff::Span>().ok()?.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    u64::try_from(span.as_secs()).ok().filter(|secs| *secs > 0)
}

/// A size in bytes: a number of them, or with K, M, G or T (powers of 1024).
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches("iB").trim_end_matches('B');
    let unit = text.chars().last().map(|c| c.to_ascii_uppercase());
    let shift = match unit? {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => 0,
    };
    let number = if shift > 0 { text.get(..text.len() - 1)? } else { text };
    number.trim().parse::<u64>().ok()?.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))).collect()
    }

    fn get(env: &[(Vec<u8>, Vec<u8>)], name: &str) -> Option<String> {
        env.iter().find(|(n, _)| n == name.as_bytes()).map(|(_, v)| String::from_utf8(v.clone()).unwrap())
    }

    #[test]
    fn only_what_is_on_the_list_goes_in_and_secrets_stay_outside() {
        let ours = vars(&[
            ("LANG", "C"),
            ("LC_ALL", "C"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("LD_PRELOAD", "x"),
            ("SSH_AUTH_SOCK", "/run/x"),
            ("ANTHROPIC_API_KEY", "k"),
            ("HOME", "/elsewhere"),
        ]);
        let env = environment(&ours, "/home/u".as_ref(), None, &["X=1=2".into(), "ANTHROPIC_API_KEY".into()]).unwrap();
        assert_eq!(get(&env, "LC_ALL").as_deref(), Some("C"));
        assert_eq!(get(&env, "HOME").as_deref(), Some("/home/u"));
        assert_eq!(get(&env, "ANTHROPIC_API_KEY").as_deref(), Some("k"));
        assert_eq!(get(&env, "X").as_deref(), Some("1=2"));
        for absent in ["AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "SSH_AUTH_SOCK"] {
            assert_eq!(get(&env, absent), None);
        }
        assert!(environment(&[], "/h".as_ref(), None, &["NOT_SET".into()]).is_err());
    }

    #[test]
    fn limits_are_read_as_people_write_them() {
        let config = Config::default();
        let read = |items: &[&str]| limits(&config, None, &items.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        let limits = read(&["mem=16M", "time=10m", "cpu=90", "procs=7", "disk=1GiB", "files=64"]).unwrap();
        assert_eq!((limits.memory, limits.disk), (16 << 20, 1 << 30));
        assert_eq!((limits.wall_secs, limits.cpu_secs), (Some(600), Some(90)));
        assert_eq!((limits.processes, limits.open_files), (7, 64));
        for bad in ["mem", "mem=", "mem=0", "mem=x", "time=-1s", "procs=0", "colour=red", "disk=99999999T"] {
            assert!(read(&[bad]).is_err(), "{bad}");
        }
    }
}
