//! Sandboxes of others, and whether they run here and hold: one that lets a program write wherever it likes is no
//! sandbox, and its time says nothing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command;

/// Gives the command that runs this program with these arguments in the sandbox.
pub(super) type Sandbox = Box<dyn Fn(&[&OsStr]) -> Command>;

/// A sandbox, or why it does not run here.
pub(super) type Found = Result<Sandbox, String>;

/// What the program that is enclosed gets to see.
pub(super) struct Place {
    /// The one folder that it may write.
    pub(super) folder: PathBuf,
    /// What it may read besides the system's folders.
    pub(super) reads: Vec<PathBuf>,
    /// A folder that it may not write.
    pub(super) outside: PathBuf,
    /// For the sandbox's own settings.
    pub(super) home: PathBuf,
    /// Where `scripts/setup-bench-peers.sh` put them.
    pub(super) installed: PathBuf,
}

/// The system's folders, as far as there are any.
const SYSTEM: [&str; 6] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc"];

/// What codex has in its npm package, beneath the package of the platform.
const CODEX: [(&str, &str); 2] =
    [("codex-linux-x64", "x86_64-unknown-linux-musl"), ("codex-linux-arm64", "aarch64-unknown-linux-musl")];

/// `bwrap` with what a draft has too: all namespaces, the system read-only, a private `/tmp`, `/proc` and `/dev`, a
/// session of its own. It writes the folder itself.
pub(super) fn bubblewrap(place: &Place) -> Found {
    if !command::works("bwrap", &["--version"]) {
        return Err("install bubblewrap".to_owned());
    }
    let (folder, reads) = (place.folder.clone(), place.reads.clone());
    let sandbox: Sandbox = Box::new(move |program| {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-all", "--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev"]);
        command.args(["--tmpfs", "/tmp"]);
        for dir in SYSTEM {
            command.args(["--ro-bind-try", dir, dir]);
        }
        for dir in &reads {
            command.arg("--ro-bind").arg(dir).arg(dir);
        }
        command.arg("--bind").arg(&folder).arg(&folder).arg("--chdir").arg(&folder).arg("--").args(program);
        command
    });
    checked(sandbox, place)
}

/// `srt` of `@anthropic-ai/sandbox-runtime`, which may write the folder. It wants ripgrep; codex brings one.
pub(super) fn sandbox_runtime(place: &Place) -> Found {
    let modules = place.installed.join("npm/node_modules");
    let entry = modules.join("@anthropic-ai/sandbox-runtime/dist/cli.js");
    if !entry.is_file() || !command::works("node", &["--version"]) {
        return Err("install nodejs and npm".to_owned());
    }
    if !command::works("socat", &["-V"]) {
        return Err("install socat".to_owned());
    }
    let path = match codex_package(place) {
        Some(codex) => format!("/usr/bin:/bin:{}", codex.join("codex-path").display()),
        None => "/usr/bin:/bin".to_owned(),
    };
    let settings = place.home.join("srt.json");
    let text = format!(
        "{{\"network\": {{\"allowedDomains\": [], \"deniedDomains\": []}}, \
         \"filesystem\": {{\"denyRead\": [], \"allowWrite\": [{:?}], \"denyWrite\": []}}}}",
        place.folder.to_string_lossy()
    );
    std::fs::write(&settings, text).map_err(|error| format!("cannot write `{}`: {error}", settings.display()))?;
    let (folder, home) = (place.folder.clone(), place.home.clone());
    let sandbox: Sandbox = Box::new(move |program| {
        let mut command = Command::new("node");
        command.arg(&entry).arg("--settings").arg(&settings).args(program);
        command.env("HOME", &home).env("PATH", &path).current_dir(&folder);
        command
    });
    checked(sandbox, place)
}

/// `codex sandbox` of `@openai/codex`, its native program called directly, which may write the folder.
pub(super) fn codex(place: &Place) -> Found {
    let Some(package) = codex_package(place) else {
        return Err("install nodejs and npm".to_owned());
    };
    let program = package.join("bin/codex");
    let (folder, home) = (place.folder.clone(), place.home.clone());
    let sandbox: Sandbox = Box::new(move |enclosed| {
        let mut command = Command::new(&program);
        command.args(["sandbox", "-c", "sandbox_mode=\"workspace-write\"", "--"]).args(enclosed);
        command.env("CODEX_HOME", &home).env("HOME", &home).current_dir(&folder);
        command
    });
    checked(sandbox, place)
}

/// `nono run`, which may write the folder: a supervisor stays beside the program.
pub(super) fn nono_run(place: &Place) -> Found {
    nono(place, "run")
}

/// `nono wrap`, which may write the folder: the program takes the place of nono.
pub(super) fn nono_wrap(place: &Place) -> Found {
    nono(place, "wrap")
}

fn nono(place: &Place, how: &'static str) -> Found {
    let program = place.installed.join("nono/bin/nono");
    if !program.is_file() {
        return Err("nono-cli takes over six minutes to build: `scripts/setup-bench-peers.sh --nono`".to_owned());
    }
    let (folder, home) = (place.folder.clone(), place.home.clone());
    let sandbox: Sandbox = Box::new(move |enclosed| {
        let mut command = Command::new(&program);
        command.arg(how).args(["--silent", "--allow"]).arg(&folder).arg("--").args(enclosed);
        command.env_remove("XDG_CONFIG_HOME").env("HOME", &home).current_dir(&folder);
        command
    });
    checked(sandbox, place)
}

/// The folder of codex's package for this platform.
fn codex_package(place: &Place) -> Option<PathBuf> {
    let modules = place.installed.join("npm/node_modules/@openai");
    let packages = CODEX.iter().map(|(package, platform)| modules.join(package).join("vendor").join(platform));
    packages.into_iter().find(|package| package.join("bin/codex").is_file())
}

/// Only what runs a program that may write inside and may not write outside.
fn checked(sandbox: Sandbox, place: &Place) -> Found {
    let [inside, outside] = [&place.folder, &place.outside].map(|dir| dir.join("written-by-a-peer"));
    let writes = |path: &Path| {
        let line = format!("echo written > '{}'", path.display());
        // That it fails is as it should be, outside.
        let _ended = quiet(sandbox(&["/bin/sh".as_ref(), "-c".as_ref(), line.as_ref()]))?;
        let written = path.exists();
        if written {
            std::fs::remove_file(path).map_err(|error| format!("cannot remove `{}`: {error}", path.display()))?;
        }
        Ok::<bool, String>(written)
    };
    let (inside, outside) = (writes(&inside)?, writes(&outside)?);
    let runs = quiet(sandbox(&["true".as_ref()]))?;
    match (runs, inside, outside) {
        (Ok(()), true, false) => Ok(sandbox),
        (_, _, true) => Err("it let a program write outside of its folder".to_owned()),
        (Ok(()), false, _) => Err("it did not let a program write its folder".to_owned()),
        (Err(words), ..) => Err(words),
    }
}

/// How a command ended: its last words, where it failed.
fn quiet(mut command: Command) -> Result<Result<(), String>, String> {
    command.stdin(Stdio::null());
    let out = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let words = String::from_utf8_lossy(&out.stderr);
    let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a word");
    Ok(if out.status.success() { Ok(()) } else { Err(last.trim().to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        let base = std::env::temp_dir().join(format!("raincoat-peers-{name}-{}", std::process::id()));
        let dir = |name: &str| {
            let dir = base.join(name);
            std::fs::create_dir_all(&dir).unwrap();
            dir
        };
        Place {
            folder: dir("folder"),
            reads: Vec::new(),
            outside: dir("outside"),
            home: dir("home"),
            installed: dir("installed"),
        }
    }

    #[test]
    fn what_lets_a_program_write_outside_is_no_sandbox() {
        let place = place("open");
        let bare: Sandbox = Box::new(|program| {
            let mut command = Command::new("env");
            command.args(program);
            command
        });
        let said = checked(bare, &place).err().unwrap();
        assert_eq!(said, "it let a program write outside of its folder");
        std::fs::remove_dir_all(place.folder.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_runs_nothing_is_no_sandbox_and_says_why() {
        let place = place("shut");
        let shut: Sandbox = Box::new(|_| {
            let mut command = Command::new("sh");
            command.args(["-c", "echo no user namespaces here >&2; exit 1"]);
            command
        });
        assert_eq!(checked(shut, &place).err().unwrap(), "no user namespaces here");
        assert!(nono_run(&place).is_err() && codex(&place).is_err() && sandbox_runtime(&place).is_err());
        std::fs::remove_dir_all(place.folder.parent().unwrap()).unwrap();
    }
}
