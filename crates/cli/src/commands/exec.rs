//! `exec` and `shell`: a program in a draft, from its flags to what becomes of its draft.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use raincoat_runtime::{
    Answer, Commits, Console, ExecAsk, ExecReport, Keeper, PlanView, kind_of, start_enclosing, terminal,
};
use raincoat_types::FileKind;

use crate::app::{App, absolute_path};
use crate::args::{Enclosed, Exec, When};
use crate::commands::drafts;
use crate::error::{Result, usage};
use crate::exit::Exit;
use crate::out::stderr_line;
use crate::passage::Through;
use crate::profiles::{self, How, Profile};
use crate::prompt::{Answered, Terminal};
use crate::view::{size, visible};
use crate::{enclosed, signals};

/// `raincoat exec`.
pub(crate) fn exec(app: &mut App, args: Exec) -> Result<Exit> {
    run(app, &args.enclosed, args.command)
}

/// `raincoat shell`.
pub(crate) fn shell(app: &mut App, args: Enclosed) -> Result<Exit> {
    let shell = app.env.shell.clone().unwrap_or_else(|| "/bin/sh".into());
    run(app, &args, vec![shell])
}

fn run(app: &mut App, args: &Enclosed, command: Vec<OsString>) -> Result<Exit> {
    let started = start_enclosing()?;
    let keeper = app.keeper()?;
    app.out.give_up_stdout();
    let home = app.env.home_dir()?;
    let profile = match &args.profile {
        Some(name) => Some(profiles::load(name, &app.env)?),
        None => None,
    };
    let ask = ask(app, args, command, profile, &home)?;
    let (mut passage, stop) = Through::start(!ask.terminal[1])?;
    let mut console = Beside { quiet: app.out.quiet };
    let report = keeper.exec(&ask, started, &stop, &mut passage, &mut console)?;
    drop(passage);
    if report.code != 0
        && args.profile.is_none()
        && let Some(name) =
            ask.command.first().and_then(|name| profiles::for_command(OsStr::from_bytes(name), &app.env))
    {
        console.say(&format!(
            "there is a profile for this, with what it needs of your home and of the network: --profile {name}"
        ));
    }
    conclude(app, &keeper, args.commit, &report)
}

/// What is asked, from flags and profile.
fn ask(app: &App, args: &Enclosed, command: Vec<OsString>, profile: Option<Profile>, home: &Path) -> Result<ExecAsk> {
    let here = absolute_path(Path::new("."))?;
    let named = |dirs: &[PathBuf]| dirs.iter().map(|dir| absolute_path(dir)).collect::<Result<Vec<_>>>();
    let mut write = named(&args.dirs)?;
    if write.is_empty() {
        write.push(here.clone());
    }
    // Where it stands inside: here, if that is in what it works on, else in the first folder.
    let (mut read_files, mut read): (Vec<PathBuf>, Vec<PathBuf>) =
        named(&args.reads)?.into_iter().partition(|path| kind_of(path) == Some(FileKind::File));
    let stands = write.iter().chain(&read).any(|dir| here.starts_with(dir));
    let cwd = if stands { here } else { write.first().cloned().unwrap_or(here) };
    let (mut caches, mut empty) = (Vec::new(), Vec::new());
    let mut copied_files = Vec::new();
    let mounts = profile.iter().flat_map(|profile| profile.mounts.iter().map(move |mount| (profile, mount)));
    for (profile, mount) in mounts {
        let at = mount.at(home);
        // What is not there outside is not there inside either, but for what is made for it.
        match (mount.how, kind_of(&at)) {
            (How::Draft, Some(FileKind::Dir)) => write.push(at),
            (How::Read, Some(FileKind::Dir)) => read.push(at),
            (How::Read, Some(FileKind::File)) => read_files.push(at),
            // A draft is of a folder. Programs put such files in place by renaming, which nothing but a copy allows.
            (How::Draft, Some(FileKind::File)) => copied_files.push(at),
            (How::Draft | How::Read, _) => {}
            (How::Cache, _) => caches.push((at, profile.cache(mount, &app.home()?)?)),
            (How::Empty, _) => empty.push(at),
        }
    }
    let profile = profile.as_ref();
    let mut hosts: Vec<String> = args.net.iter().filter(|host| *host != "none").cloned().collect();
    if args.net.iter().any(|host| host == "none") {
        if !hosts.is_empty() {
            return Err(usage("`--net none` and hosts cannot both be meant", "name the hosts, or `none`"));
        }
    } else {
        hosts.extend(profile.iter().flat_map(|profile| profile.net.iter().cloned()));
    }
    let config = app.config()?;
    let terminal = [io::stdin().is_terminal(), io::stdout().is_terminal(), io::stderr().is_terminal()];
    // Without a terminal for its input it has none: what it writes goes where ours goes.
    let terminal = if terminal[0] { terminal } else { [false; 3] };
    Ok(ExecAsk {
        command: command.into_iter().map(|word| word.as_bytes().to_vec()).collect(),
        env: enclosed::environment(&app.env.all, home, profile, &args.env)?,
        cwd,
        write,
        read,
        caches,
        empty,
        read_files,
        copied_files,
        secrets: profile.map(|profile| profile.secrets.clone()).unwrap_or_default(),
        profile: args.profile.clone(),
        home: home.to_path_buf(),
        hosts,
        limits: enclosed::limits(&config, profile, &args.limit)?,
        terminal,
        size: terminal::size(io::stdin().as_fd()).unwrap_or((24, 80)),
        may_nest: profile.is_some_and(|profile| profile.nest),
        strict: args.strict,
        commits: match args.commit {
            When::Always => Commits::Always,
            When::Success => Commits::OnSuccess,
            When::Ask | When::Never => Commits::Never,
        },
    })
}

/// Words about a program go to standard error, each line told by its beginning: standard output is the program's.
struct Beside {
    quiet: bool,
}

impl Console for Beside {
    fn review(&mut self, _: &PlanView<'_>) -> Answer {
        Answer::Refuse("a program in a draft proposes no plans".to_owned())
    }

    fn say(&mut self, text: &str) {
        if !self.quiet {
            stderr_line(&format!("raincoat: {}", visible::text(text)));
        }
    }

    fn status(&mut self, _: &str, _: Option<(u64, u64)>) {}

    fn notice(&mut self, text: &str) {
        stderr_line(&format!("raincoat: {}", visible::text(text)));
    }
}

/// What the program did, and what becomes of its draft.
fn conclude(app: &mut App, keeper: &Keeper, when: When, report: &ExecReport) -> Result<Exit> {
    let run = report.run.to_string();
    let mut beside = Beside { quiet: app.out.quiet };
    if let Some(why) = &report.ended_by {
        beside.notice(why);
    }
    for refused in &report.refused {
        let times = if refused.times > 1 { format!(" ({} times)", size::count(refused.times)) } else { String::new() };
        let fix = if refused.fix.is_empty() { String::new() } else { format!("; {}", refused.fix) };
        beside.say(&format!("refused: {}{times}{fix}", refused.what));
    }
    let own = Exit::Program(u8::try_from(report.code).unwrap_or(1));
    if !report.open {
        beside.say("it changed nothing in the granted folders");
        return Ok(own);
    }
    beside.say(&summary(report));
    let commit = match when {
        When::Always => true,
        // One that came to a limit at its very end may have ended with 0 all the same.
        When::Success => report.code == 0 && report.ended_by.is_none(),
        When::Never => false,
        When::Ask => return ask_at_end(app, keeper, report, own),
    };
    if commit {
        let exit = drafts::commit_unseen(app, keeper, &run)?;
        return Ok(if exit == Exit::Ok { own } else { exit });
    }
    say_ways(&mut beside, &run);
    Ok(own)
}

fn summary(report: &ExecReport) -> String {
    let mut words = format!("{} in its draft", size::of(report.changes, "change", "changes"));
    if report.dangerous > 0 {
        words.push_str(&format!(", {} under protected names", size::count(report.dangerous)));
    }
    if report.conflicts > 0 {
        words.push_str(&format!(", {} changed in the folder meanwhile", size::count(report.conflicts)));
    }
    words.push_str("; nothing of yours has changed yet");
    words
}

fn say_ways(beside: &mut Beside, run: &str) {
    beside.notice(&format!(
        "look: raincoat review {run}   keep: raincoat commit {run}   throw away: raincoat discard {run}"
    ));
}

/// Asks what becomes of the draft; where nobody can be asked, it stays open.
fn ask_at_end(app: &mut App, keeper: &Keeper, report: &ExecReport, own: Exit) -> Result<Exit> {
    let run = report.run.to_string();
    let mut beside = Beside { quiet: app.out.quiet };
    if app.flags.yes {
        let exit = drafts::commit_unseen(app, keeper, &run)?;
        return Ok(if exit == Exit::Ok { own } else { exit });
    }
    let terminal = Terminal::standard().filter(|_| app.may_ask());
    let Some(mut terminal) = terminal else {
        say_ways(&mut beside, &run);
        return Ok(own);
    };
    let asking = signals::asking()?;
    loop {
        let question = "raincoat: keep the changes? [y]es, [r]eview, [d]iscard, [l]ater: ";
        let exit = match terminal.ask(question, asking.stop()) {
            Answered::Line(line) => match line.to_lowercase().as_str() {
                "y" | "yes" => drafts::commit_all(app, keeper, &run)?,
                "r" | "review" => drafts::review(app, Some(&run), false)?,
                "d" | "discard" => drafts::discard(app, Some(&run))?,
                "l" | "later" | "" => {
                    say_ways(&mut beside, &run);
                    Exit::Ok
                }
                _ => continue,
            },
            Answered::Gone | Answered::Stopped | Answered::Elsewhere => {
                say_ways(&mut beside, &run);
                Exit::Ok
            }
        };
        return Ok(if exit == Exit::Ok { own } else { exit });
    }
}
