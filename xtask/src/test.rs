//! Fetches what the tests need and runs all of them.

use std::path::Path;

use crate::{Result, command, samples};

/// A program that tests run, how to see that it is there, and Debian's package with it.
struct Tool {
    program: &'static str,
    probe: &'static [&'static str],
    package: &'static str,
    why: &'static str,
}

/// The one list of what tests need from the system.
const TOOLS: [Tool; 30] = [
    Tool { program: "git", probe: &["--version"], package: "git", why: "repositories in test trees" },
    Tool { program: "python3", probe: &["--version"], package: "python3", why: "an outside view on archives and logs" },
    Tool {
        program: "python3",
        probe: &["-c", "import venv, ensurepip"],
        package: "python3-venv",
        why: "the peers, each in an environment of its own",
    },
    Tool { program: "go", probe: &["version"], package: "golang-go", why: "a verifier of logs in Go" },
    Tool {
        program: "test",
        probe: &["-d", "/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog"],
        package: "golang-golang-x-mod-dev",
        why: "the packages it is written with",
    },
    Tool { program: "getfattr", probe: &["--version"], package: "attr", why: "an outside view on extended attributes" },
    Tool { program: "setfacl", probe: &["--version"], package: "acl", why: "an outside view on ACLs" },
    Tool { program: "unshare", probe: &["--version"], package: "util-linux", why: "mounts of a test's own" },
    Tool { program: "mkfs.ext4", probe: &["-V"], package: "e2fsprogs", why: "a small file system to fill up" },
    Tool { program: "losetup", probe: &["--version"], package: "mount", why: "disks that lose their power" },
    Tool {
        program: "qemu-storage-daemon",
        probe: &["--version"],
        package: "qemu-utils",
        why: "a record of every write to a disk",
    },
    Tool { program: "fusermount3", probe: &["--version"], package: "fuse3", why: "the same, as a file" },
    Tool { program: "/usr/sbin/rsyslogd", probe: &["-v"], package: "rsyslog", why: COLLECTOR },
    Tool {
        program: "sh",
        probe: &["-c", "test -e /usr/lib/*/rsyslog/lmnsd_ossl.so"],
        package: "rsyslog-openssl",
        why: COLLECTOR,
    },
    Tool { program: "openssl", probe: &["version"], package: "openssl", why: "a collector's certificate" },
    // What runs in a draft and bare, to be compared. Drafts see the system's programs, so these are asked for there.
    Tool { program: "/usr/bin/git", probe: &["--version"], package: "git", why: WORKLOAD },
    Tool { program: "/usr/bin/python3", probe: &["--version"], package: "python3", why: WORKLOAD },
    Tool { program: "/usr/bin/python3", probe: &["-m", "pip", "--version"], package: "python3-pip", why: WORKLOAD },
    Tool {
        program: "/usr/bin/python3",
        probe: &["-c", "import setuptools, wheel"],
        package: "python3-wheel",
        why: WORKLOAD,
    },
    Tool { program: "/usr/bin/npm", probe: &["--version"], package: "npm", why: WORKLOAD },
    Tool { program: "/usr/bin/make", probe: &["--version"], package: "make", why: WORKLOAD },
    Tool { program: "/usr/bin/cc", probe: &["--version"], package: "gcc", why: WORKLOAD },
    Tool { program: "/usr/bin/rsync", probe: &["--version"], package: "rsync", why: WORKLOAD },
    Tool { program: "/usr/bin/zip", probe: &["-v"], package: "zip", why: WORKLOAD },
    Tool { program: "/usr/bin/unzip", probe: &["-v"], package: "unzip", why: WORKLOAD },
    Tool { program: "/usr/bin/sqlite3", probe: &["--version"], package: "sqlite3", why: WORKLOAD },
    Tool { program: "/usr/bin/vim", probe: &["--version"], package: "vim", why: WORKLOAD },
    Tool { program: "/usr/bin/perl", probe: &["--version"], package: "perl", why: WORKLOAD },
    Tool { program: "/usr/bin/patch", probe: &["--version"], package: "patch", why: WORKLOAD },
    Tool { program: "/usr/bin/ed", probe: &["--version"], package: "ed", why: WORKLOAD },
];

const COLLECTOR: &str = "a collector of syslog messages, in the clear and over TLS";

const WORKLOAD: &str = "what programs leave in a draft is compared with what they leave bare";

/// Makes the peers that tests talk to (a model server and the like).
const PEERS: &str = "scripts/setup-test-peers.sh";

pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    install_tools(root)?;
    install_nextest(root)?;
    install_suite(root)?;
    if !root.join(PEERS).is_file() {
        return Err(format!("`{PEERS}` is missing; the checkout is not whole"));
    }
    command::show(root, "bash", &[PEERS])?;
    samples::fetch(root)?;

    let mut nextest = vec!["nextest", "run"];
    if std::env::var_os("CI").is_some() {
        nextest.extend(["--profile", "ci"]);
    }
    let chosen = args.iter().any(|arg| arg == "-p" || arg.starts_with("--package") || arg.starts_with("-p="));
    if !chosen {
        nextest.push("--workspace");
    }
    nextest.extend(args.iter().map(String::as_str));
    command::show(root, "cargo", &nextest)?;
    if args.is_empty() {
        command::show(root, "cargo", &["test", "--doc", "--workspace", "--quiet"])?;
    } else {
        println!("documentation's examples were left out, for a part of the tests was asked for");
    }
    Ok(())
}

/// All of what the ordinary run takes samples of: faults at every call of what changes a draft or commits one, of recipes,
/// undos and restores, and of what cares for store and log; and every state that a power cut could leave of a disk.
pub(crate) fn crash(root: &Path) -> Result<()> {
    install_tools(root)?;
    install_nextest(root)?;
    let tests =
        ["commit_crash", "crash_loop", "crash_pair", "draft_crash", "powercut", "powercut_store", "store_crash"];
    let tests = tests.iter().flat_map(|test| ["--test", *test]);
    let args: Vec<&str> =
        ["RAINCOAT_TEST_ALL=1", "cargo", "nextest", "run", "-p", "raincoat-cli", "--success-output", "final"]
            .into_iter()
            .chain(tests)
            .collect();
    command::show(root, "env", &args)
}

fn install_tools(root: &Path) -> Result<()> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !command::works(tool.program, tool.probe)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for tool in &missing {
        println!("`{}` ({}) is missing: {}", tool.program, tool.package, tool.why);
    }
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let by_hand = format!("install these packages and try again: {}", packages.join(" "));
    if !command::works("apt-get", &["--version"]) {
        return Err(format!("there is no apt-get here; {by_hand}"));
    }
    let root_prefix: &[&str] = if is_root() { &[] } else { &["sudo", "-n"] };
    let apt = |args: &[&str]| {
        let line: Vec<&str> = root_prefix
            .iter()
            .chain(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .chain(args)
            .copied()
            .collect();
        let (program, args) = line.split_first().ok_or("nothing to run")?;
        command::show(root, program, args)
    };
    let install: Vec<&str> = ["install", "-y", "--no-install-recommends"].iter().chain(&packages).copied().collect();
    // A package list may be old or not there at all; only then is it worth fetching.
    apt(&install)
        .or_else(|_| apt(&["update"]).and_then(|()| apt(&install)))
        .map_err(|error| format!("{error}; {by_hand}"))?;
    let still: Vec<&str> =
        TOOLS.iter().filter(|tool| !command::works(tool.program, tool.probe)).map(|tool| tool.program).collect();
    if still.is_empty() {
        Ok(())
    } else {
        Err(format!("still missing after the installation: {}; {by_hand}", still.join(" ")))
    }
}

fn install_nextest(root: &Path) -> Result<()> {
    if command::works("cargo", &["nextest", "--version"]) {
        return Ok(());
    }
    println!("`cargo nextest` is missing: it runs each test in a process of its own");
    command::show(root, "cargo", &["install", "cargo-nextest", "--locked"])
        .map_err(|error| format!("{error}; install cargo-nextest from https://nexte.st and try again"))
}

fn install_suite(root: &Path) -> Result<()> {
    if command::works("pjdfstest", &["--version"]) {
        return Ok(());
    }
    println!("`pjdfstest` is missing: it asks a draft what POSIX asks of a file system");
    command::show(root, "cargo", &["install", "pjdfstest", "--version", "0.2.2", "--locked"])
        .map_err(|error| format!("{error}; `cargo install pjdfstest --version 0.2.2 --locked` and try again"))
}

fn is_root() -> bool {
    command::output(Path::new("/"), "id", &["-u"]).is_ok_and(|id| id.trim_ascii() == b"0")
}
