//! One command from its arguments to its exit code.

use std::ffi::OsString;
use std::io::Read;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::error::ErrorKind;
use raincoat_runtime::{Ask, Class, Config, Error, Home, Keeper, SystemClock, absolute};
use raincoat_types::{Clock, Secret, display_bytes};

use crate::args::{self, Global};
use crate::dirs::Env;
use crate::error::{Result, error, system, tell, usage};
use crate::exit::Exit;
use crate::globs::Globs;
use crate::out::{Colour, Out};
use crate::prompt::{Answered, Terminal};
use crate::{commands, config};

/// The longest passphrase that is read from a file, in bytes.
const PASSPHRASE_MOST: u64 = 4096;

/// What every command has at hand.
pub(crate) struct App {
    pub(crate) env: Env,
    pub(crate) flags: Global,
    pub(crate) out: Out,
    /// What the command is, for the log.
    pub(crate) verb: &'static str,
    /// The store, opened once, kept to the command's end: how that ended is logged.
    kept: Option<Rc<AtWork>>,
}

/// Reads the command line and does it.
pub(crate) fn run(arguments: Vec<OsString>) -> Exit {
    let env = Env::read();
    let json = arguments.iter().any(|word| word == "--json");
    let parsed = match args::parse(arguments) {
        Ok(parsed) => parsed,
        Err(words) => return told_by_clap(&words, json, &env),
    };
    let flags = parsed.cli.global.clone();
    let out = Out::new(flags.json, flags.quiet, flags.color, env.plain);
    let verb = commands::verb(&parsed.cli.command);
    let mut app = App { env, flags, out, verb, kept: None };
    let done = commands::dispatch(&mut app, parsed);
    app.out.flush();
    let (exit, why) = match done {
        Ok(exit) => (exit, String::new()),
        Err(failure) => (tell(&mut app.out, &failure), failure.message),
    };
    if let Some(Err(unlogged)) = app.kept.take().map(|keeper| keeper.command_ended(exit.code(), &why)) {
        app.out.aside(&format!("how this ended does not stand in the log: {}", unlogged.message));
    }
    exit
}

/// Help and version are no failures, and what clap has to say it says itself.
fn told_by_clap(words: &clap::Error, json: bool, env: &Env) -> Exit {
    let help = matches!(words.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if help {
        let mut out = Out::new(false, false, Colour::Auto, env.plain);
        let text = words.render();
        let coloured = out.style.bold("x") != "x";
        out.raw(&if coloured { text.ansi().to_string() } else { text.to_string() });
        out.flush();
        return Exit::Ok;
    }
    if json {
        let text = words.render().to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let mut out = Out::new(true, false, Colour::Never, true);
        return tell(&mut out, &usage(first, "`raincoat --help` lists the commands"));
    }
    // Where the terminal is gone, nobody is told.
    let _ = words.print();
    Exit::Usage
}

impl App {
    /// Where our own files are.
    ///
    /// # Errors
    /// Where there is no home directory.
    pub(crate) fn home(&self) -> Result<Home> {
        self.env.directories()
    }

    /// The settings in force.
    ///
    /// # Errors
    /// Where `config.toml` cannot be meant.
    pub(crate) fn config(&self) -> Result<Config> {
        config::load(&self.home()?)
    }

    /// Opens the store, making it where there is none, and says what is worth saying about that.
    ///
    /// # Errors
    /// Where the keys do not open, or the store is damaged.
    pub(crate) fn keeper(&mut self) -> Result<Rc<AtWork>> {
        let keeper = self.fresh_keeper()?;
        Ok(self.keep(keeper))
    }

    /// Keeps an opened store to the command's end.
    pub(crate) fn keep(&mut self, keeper: AtWork) -> Rc<AtWork> {
        let keeper = Rc::new(keeper);
        self.kept = Some(keeper.clone());
        keeper
    }

    /// The same as [`App::keeper`], for who has something to do with it before it is kept.
    ///
    /// # Errors
    /// As [`App::keeper`].
    pub(crate) fn fresh_keeper(&mut self) -> Result<AtWork> {
        self.open_keeper().map(AtWork)
    }

    fn open_keeper(&mut self) -> Result<Keeper> {
        let home = self.home()?;
        let config = config::load(&home)?;
        let existed = Keeper::exists(&home)?;
        if !existed && self.env.passphrase_file.is_some() {
            let passphrase = self.passphrase(Ask::NewPassphrase)?;
            let mut keeper = Keeper::create(&home, config, clock(), Some(passphrase))?;
            keeper.works_for(self.verb)?;
            self.out.aside(&format!("made a store in `{}`, which your passphrase opens", home.data.display()));
            return Ok(keeper);
        }
        let mut keeper = Keeper::open(&home, config, clock(), &mut |what| self.passphrase(what))?;
        keeper.works_for(self.verb)?;
        if !existed {
            self.out.aside(&format!(
                "made a store in `{}`; its key lies in a file there until you set a passphrase: raincoat passphrase",
                home.data.display(),
            ));
        }
        Ok(keeper)
    }

    /// Opens the store for a command that changes files, those that the globs match without a copy of what was there.
    ///
    /// # Errors
    /// As [`App::keeper`]; where a glob is none.
    pub(crate) fn keeper_without_backup(&mut self, globs: &[String]) -> Result<Rc<AtWork>> {
        let mut keeper = self.fresh_keeper()?;
        if !globs.is_empty() {
            let matching = Globs::new(globs).map_err(|why| usage(why, "write `--without-backup 'GLOB'`"))?;
            keeper.without_backup(Arc::new(move |path| matching.matches(path)));
        }
        Ok(self.keep(keeper))
    }

    /// Notes in the log that data of ours is handed out. Where the log is broken that is said, and looking goes on: it
    /// may be what mends it.
    pub(crate) fn hand_out(&mut self, keeper: &Keeper, what: &str) {
        if let Err(unlogged) = keeper.handing_out(what, "the person") {
            self.out.aside(&format!("this does not stand in the log: {}", unlogged.message));
        }
    }

    /// Whether a person may be asked.
    pub(crate) fn may_ask(&self) -> bool {
        !self.flags.no_input
    }

    /// Asks a yes-or-no question.
    ///
    /// # Errors
    /// Where nobody may be asked, or can be.
    pub(crate) fn confirm(&mut self, question: &str) -> Result<bool> {
        if self.flags.yes {
            return Ok(true);
        }
        self.out.flush();
        let refused =
            || error(Class::Refused, "this must be confirmed, and nobody can be asked here", "`--yes` says yes");
        let mut terminal = Terminal::standard().filter(|_| self.may_ask()).ok_or_else(refused)?;
        match terminal.ask(&format!("{question} [y/N] "), &AtomicBool::new(false)) {
            Answered::Line(line) => Ok(matches!(line.as_str(), "y" | "yes")),
            Answered::Gone | Answered::Elsewhere => Err(refused()),
            Answered::Stopped => Err(error(Class::Stopped, "stopped", "")),
        }
    }

    /// The passphrase: from the file that `RAINCOAT_PASSPHRASE_FILE` names, or from a person.
    ///
    /// # Errors
    /// Where there is neither.
    pub(crate) fn passphrase(&mut self, what: Ask) -> Result<Secret<String>> {
        if let Some(path) = self.env.passphrase_file.clone() {
            return self.passphrase_in(&path);
        }
        let locked = |words: &str| {
            error(
                Class::Locked,
                words,
                "run it at a terminal, or set RAINCOAT_PASSPHRASE_FILE to a file with the passphrase",
            )
        };
        if !self.may_ask() {
            return Err(locked("the store is locked, and asking for the passphrase was forbidden"));
        }
        self.out.flush();
        let terminal = Terminal::standard().or_else(Terminal::behind);
        let mut terminal = terminal.ok_or_else(|| locked("the store is locked, and there is no terminal to ask at"))?;
        match what {
            Ask::Passphrase => hidden(&mut terminal, "passphrase: "),
            Ask::NewPassphrase => new_passphrase(&mut terminal),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the person named this file for us to read")]
    fn passphrase_in(&mut self, path: &Path) -> Result<Secret<String>> {
        let shown = display_bytes(path.as_os_str().as_encoded_bytes());
        let fail = |why| system(format!("read the passphrase from `{shown}`"), why);
        let file = std::fs::File::open(path).map_err(fail)?;
        let meta = file.metadata().map_err(fail)?;
        if meta.is_file() && meta.permissions().mode() & 0o077 != 0 {
            self.out.aside(&format!("others may read `{shown}`: `chmod 600` keeps the passphrase to yourself"));
        }
        // As large as it can get, so that no smaller copy is left behind.
        let mut bytes = Vec::with_capacity(PASSPHRASE_MOST as usize + 2);
        file.take(PASSPHRASE_MOST + 1).read_to_end(&mut bytes).map_err(fail)?;
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        bytes.truncate(end);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = String::from_utf8(bytes).map_err(|_| fail(std::io::ErrorKind::InvalidData.into()))?;
        Ok(Secret::new(text))
    }
}

/// A keeper for the length of one command. At its end the witnesses hear of what was logged, and the person of what they
/// say against it.
pub(crate) struct AtWork(Keeper);

impl AtWork {
    /// A keeper that was made otherwise than by [`App::keeper`].
    pub(crate) fn over(keeper: Keeper) -> AtWork {
        AtWork(keeper)
    }
}

impl Deref for AtWork {
    type Target = Keeper;
    fn deref(&self) -> &Keeper {
        &self.0
    }
}

impl DerefMut for AtWork {
    fn deref_mut(&mut self) -> &mut Keeper {
        &mut self.0
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        for words in self.0.tell_witnesses() {
            crate::out::stderr_line(&crate::view::visible::single(&words));
        }
    }
}

/// The system's clock.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// A new passphrase, typed twice. An empty one is given back as it is.
pub(crate) fn new_passphrase(terminal: &mut Terminal) -> Result<Secret<String>> {
    for _ in 0..3 {
        let first = hidden(terminal, "new passphrase: ")?;
        if first.expose().is_empty() {
            return Ok(first);
        }
        let second = hidden(terminal, "the same again: ")?;
        if first.expose() == second.expose() {
            return Ok(first);
        }
        crate::out::stderr_line("the two are not the same; once more");
    }
    Err(usage("the two passphrases were never the same", "try again, slowly"))
}

/// Something that must not be seen, from a terminal.
pub(crate) fn hidden(terminal: &mut Terminal, question: &str) -> Result<Secret<String>> {
    let asking = crate::signals::asking()?;
    match terminal.ask_hidden(question, asking.stop()) {
        Answered::Line(secret) => Ok(secret),
        Answered::Gone | Answered::Elsewhere => Err(error(Class::Locked, "nobody answered at the terminal", "")),
        Answered::Stopped => Err(error(Class::Stopped, "stopped", "")),
    }
}

/// An absolute path from what a person typed, by asking the kernel where it leads.
///
/// # Errors
/// Where it leads nowhere.
pub(crate) fn absolute_path(path: &Path) -> Result<PathBuf> {
    absolute(path).map_err(|why| {
        let shown = display_bytes(path.as_os_str().as_encoded_bytes());
        Error {
            class: Class::Usage,
            message: format!("`{shown}` cannot be found: {why}"),
            hint: "name a folder that exists".into(),
        }
    })
}
