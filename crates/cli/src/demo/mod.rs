//! The demo: a messy folder of real files, and everything the product does with it. Each step is this same binary,
//! started with the command line that is printed.

mod proof;
mod scratch;
pub(crate) mod tree;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use raincoat_runtime::Class;
use raincoat_runtime::snapshot::Snapshot;
use raincoat_types::display_bytes;
use serde_json::json;

use crate::app::{App, absolute_path};
use crate::args;
use crate::dirs::Env;
use crate::error::{Result, error, system};
use crate::exit::Exit;
use crate::signals;
use crate::view::size;
use scratch::Scratch;

/// The seed of the messy folder: the same files each time.
const SEED: u64 = 2026;
/// What the careless program does.
const CARELESS: &str = "find . -name '*.pdf' -delete; find . -name '*.txt' -exec truncate -s 0 {} +; ls ~";
/// The messy folder's name in the scratch home.
const FOLDER: &str = "Downloads";

/// `raincoat demo`.
pub(crate) fn demo(app: &mut App, args: args::Demo) -> Result<Exit> {
    let own = args.dir.as_deref().map(absolute_path).transpose()?;
    if let Some(dir) = &own {
        let shown = display_bytes(dir.as_os_str().as_encoded_bytes());
        if !app.confirm(&format!("tidy `{shown}` for real, then undo it and compare every byte of it?"))? {
            return Err(error(
                Class::Refused,
                "the demo was not wanted; nothing was done",
                "without `--dir` it makes a folder of its own",
            ));
        }
    }
    let scratch = Scratch::make(&app.env.temp)?;
    // Ctrl-C ends the step under way; what then stays is said below.
    let asking = signals::asking()?;
    let mut stage = Stage { app, home: scratch.home().to_path_buf(), own, stop: asking.stop() };
    let played = stage.play();
    // Where something of the user's own could not be given back, the copies in the scratch home are all there is.
    let keep = args.keep || (stage.own.is_some() && !matches!(played, Ok(Exit::Ok)));
    if keep {
        let home = scratch.keep();
        let command = in_that_home(&stage.app.env, &home);
        let words = format!("the scratch home stays in {}; its runs: {command} raincoat runs", home.display());
        stage.app.out.note(&words);
        if stage.own.is_some() && played.is_err() {
            stage.app.out.note(&format!("to give your folder back what was changed in it: {command} raincoat undo"));
        }
    } else {
        scratch.remove()?;
    }
    played
}

/// What stands before a command line so that it works in the scratch home.
fn in_that_home(env: &Env, home: &Path) -> String {
    let set = [
        ("XDG_CONFIG_HOME", env.config_home.is_some()),
        ("XDG_DATA_HOME", env.data_home.is_some()),
        ("XDG_STATE_HOME", env.state_home.is_some()),
    ];
    let unset: String = set.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| format!("-u {name} ")).collect();
    let home = quoted(&home.to_string_lossy());
    if unset.is_empty() { format!("HOME={home}") } else { format!("env {unset}HOME={home}") }
}

struct Stage<'a> {
    app: &'a mut App,
    home: PathBuf,
    own: Option<PathBuf>,
    /// Set by Ctrl-C.
    stop: &'a AtomicBool,
}

impl Stage<'_> {
    fn play(&mut self) -> Result<Exit> {
        let (folder, path) = match &self.own {
            Some(dir) => (dir.to_string_lossy().into_owned(), dir.clone()),
            None => (FOLDER.to_owned(), self.home.join(FOLDER)),
        };
        if self.own.is_none() {
            self.build(&path)?;
        }
        let before = self.look(&path, "a snapshot of it, to compare with at the end")?;

        self.tell("Keys, journal and log are made. Nothing is reachable for any agent yet:");
        self.raincoat(&["init", "--no-input"])?;
        self.tell("A folder is handed out, and with it everything beneath and nothing else:");
        self.raincoat(&["grant", &folder])?;
        self.tell("A recipe needs no model. Its plan, before anything happens:");
        self.raincoat(&["do", "tidy", &folder, "--recursive", "--dry-run"])?;
        self.tell("And for real. Before each change what it takes away is safe in the journal:");
        if !self.raincoat_in_part(&["do", "tidy", &folder, "--recursive", "--yes"])? {
            self.say("exit code 1: some of it could not be done, such as a move out of a folder that is read-only; it says which");
        }
        let after = self.look(&path, "what is there now")?;
        self.tree(&after);
        self.tell("What was done, with the checksums (the first few):");
        self.raincoat(if self.own.is_some() { &["show", "-n", "4"] } else { &["show", "--path", "IMG_", "-n", "4"] })?;
        self.tell("And back:");
        self.raincoat(&["undo"])?;
        if self.own.is_none() {
            self.program(&folder)?;
        }
        self.tell("The log has all of it, and nobody has touched it:");
        self.raincoat(&["audit", "verify"])?;

        let again = self.look(&path, "a second snapshot")?;
        let proof = proof::Proof::of(&before, &again);
        if self.app.out.json {
            self.app.out.value(&proof.json(before.differences(&after).len()));
        } else {
            self.app.out.line("");
            let style = self.app.out.style;
            proof.lines(style).iter().for_each(|line| self.app.out.line(line));
        }
        Ok(if proof.holds() { Exit::Ok } else { Exit::Failed })
    }

    /// A program that deletes, overwrites and looks where it must not: on a draft, committed, and taken back.
    fn program(&mut self, folder: &str) -> Result<()> {
        self.tell("A careless program. It works on a draft, and finds nothing but the folder:");
        let exec = ["exec", "--in", folder, "--commit", "always", "--", "sh", "-c", CARELESS];
        let status = self.run(&exec)?;
        if status.code() == Some(Exit::Environment.code().into()) {
            // The rest of the demo does not need it, and what is missing has been said, with the fix.
            self.say("programs cannot be enclosed on this machine; `raincoat doctor` says why");
            return Ok(());
        }
        if !status.success() {
            return Err(error(Class::Failed, "the careless program could not do its work", "`raincoat doctor`"));
        }
        self.tell("And what it did, back:");
        self.raincoat(&["undo"])
    }

    fn build(&mut self, path: &Path) -> Result<()> {
        self.tell("A folder such as twelve years leave behind is made:");
        let made = tree::build(path, SEED).map_err(|why| system("make the messy folder", why))?;
        let words = format!(
            "{}: {} in {}, {}; {} are copies of others, {} and {} among them",
            path.display(),
            size::of(made.files as u64, "file", "files"),
            size::of(made.dirs as u64, "folder", "folders"),
            size::bytes(made.bytes),
            made.duplicates,
            size::of(made.symlinks as u64, "symlink", "symlinks"),
            size::of(made.hard_links as u64, "hard link", "hard links"),
        );
        self.say(&words);
        if !made.left_out.is_empty() {
            self.say(&format!("left out, because this file system does not keep them: {}", made.left_out.join(", ")));
        }
        Ok(())
    }

    fn look(&mut self, path: &Path, what: &str) -> Result<Snapshot> {
        Snapshot::take(path).map_err(|why| system(format!("take {what}"), why))
    }

    /// The folders at the top, with what is in each.
    fn tree(&mut self, now: &Snapshot) {
        self.tell("The folder now:");
        for (name, files, bytes) in proof::top(now) {
            let what = format!("{}, {}", size::of(files, "file", "files"), size::bytes(bytes));
            self.say(&format!("  {name:<24} {what}"));
        }
    }

    fn tell(&mut self, words: &str) {
        let words = self.app.out.style.bold(words);
        self.say("");
        self.say(&words);
    }

    fn say(&mut self, words: &str) {
        if !self.app.out.json {
            self.app.out.line(words);
        }
    }

    /// Prints a command line, and does it.
    fn raincoat(&mut self, arguments: &[&str]) -> Result<()> {
        self.raincoat_in_part(arguments).and_then(|whole| {
            let words = format!("`raincoat {}` was done in part", arguments.join(" "));
            if whole { Ok(()) } else { Err(error(Class::Failed, words, "`raincoat --help` has the exit codes")) }
        })
    }

    /// Prints a command line, and does it; `false` where it was done in part.
    fn raincoat_in_part(&mut self, arguments: &[&str]) -> Result<bool> {
        let status = self.run(arguments)?;
        if status.success() || status.code() == Some(Exit::Failed.code().into()) {
            return Ok(status.success());
        }
        let line = format!("raincoat {}", arguments.join(" "));
        let how = status.code().map_or_else(|| "by a signal".to_owned(), |code| format!("with exit code {code}"));
        let class = if status.code() == Some(Exit::Stopped.code().into()) { Class::Stopped } else { Class::Failed };
        Err(error(class, format!("`{line}` ended {how}"), "`raincoat --help` has the exit codes"))
    }

    /// Prints a command line, and does it.
    fn run(&mut self, arguments: &[&str]) -> Result<ExitStatus> {
        let line: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        let line = format!("$ raincoat {}", line.join(" "));
        let shown = self.app.out.style.cyan(&line);
        self.say(&shown);
        self.app.out.flush();
        if self.stop.load(Ordering::SeqCst) {
            return Err(error(Class::Stopped, "stopped", ""));
        }
        self.start(arguments).map_err(|why| system("start raincoat again", why))
    }

    #[expect(clippy::disallowed_methods, reason = "the demo starts this same binary, as a person would")]
    fn start(&self, arguments: &[&str]) -> std::io::Result<ExitStatus> {
        let mut command = Command::new("/proc/self/exe");
        command.args(arguments).current_dir(&self.home).env("HOME", &self.home).stdin(Stdio::null());
        for variable in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "RAINCOAT_PASSPHRASE_FILE"] {
            command.env_remove(variable);
        }
        if self.app.out.json {
            command.stdout(Stdio::null());
        }
        command.status()
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+:,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

impl proof::Proof {
    fn json(&self, changed: usize) -> serde_json::Value {
        json!({
            "type": "demo",
            "files": self.files,
            "folders": self.folders,
            "symlinks": self.symlinks,
            "bytes": self.bytes,
            "xattrs": self.xattrs,
            "hard_links": self.hard_links,
            "changed": changed,
            "differences": self.differences,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_home_is_found_whatever_the_environment_says() {
        let home = Path::new("/tmp/x");
        assert_eq!(in_that_home(&Env::default(), home), "HOME=/tmp/x");
        let env = Env { data_home: Some("/d".into()), ..Env::default() };
        assert_eq!(in_that_home(&env, home), "env -u XDG_DATA_HOME HOME=/tmp/x");
    }

    #[test]
    fn a_command_line_can_be_typed_again() {
        assert_eq!(quoted("/tmp/x-1"), "/tmp/x-1");
        assert_eq!(quoted("it's here"), "'it'\\''s here'");
        assert_eq!(quoted(""), "''");
    }
}
