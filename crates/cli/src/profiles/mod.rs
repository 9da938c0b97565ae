//! Profiles: what a known program needs in a draft. Data files: those that come with us, and the person's own in
//! `profiles/NAME.toml` beside `config.toml`, which win.

mod parse;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use raincoat_runtime::{Class, Error, Home, PrivateDir};

use crate::dirs::Env;
use crate::error::{Result, error, system, usage};

/// Where the person's own are, beneath the configuration directory.
const DIR: &str = "profiles";
/// Bytes of a profile, at most.
const FILE_MOST: u64 = 64 * 1024;
/// Bytes of a profile's name, at most.
const NAME_MOST: usize = 64;

/// Those that come with us.
const SHIPPED: &[(&str, &str)] = &[
    ("aider", include_str!("../../profiles/aider.toml")),
    ("cargo", include_str!("../../profiles/cargo.toml")),
    ("claude-code", include_str!("../../profiles/claude-code.toml")),
    ("codex", include_str!("../../profiles/codex.toml")),
    ("gemini", include_str!("../../profiles/gemini.toml")),
    ("git", include_str!("../../profiles/git.toml")),
    ("goose", include_str!("../../profiles/goose.toml")),
    ("make", include_str!("../../profiles/make.toml")),
    ("npm", include_str!("../../profiles/npm.toml")),
    ("opencode", include_str!("../../profiles/opencode.toml")),
    ("pip", include_str!("../../profiles/pip.toml")),
];

/// What a program needs in a draft, beyond the folders that it works on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Profile {
    /// The name it goes by.
    pub(crate) name: String,
    /// Where it comes from.
    pub(crate) source: Source,
    /// What it is for, in a line.
    pub(crate) description: String,
    /// Hosts that it may reach, as after `--net`; checked to be readable as rules of the proxy.
    pub(crate) net: Vec<String>,
    /// What it sees of the home directory, in the file's order: later ones lie over earlier ones.
    pub(crate) mounts: Vec<Mount>,
    /// Variables that it gets from the person's environment: names, or `PREFIX_*`.
    pub(crate) env_pass: Vec<String>,
    /// Variables that it gets with these values.
    pub(crate) env_set: Vec<(String, String)>,
    /// Protected names that it needs to write: they land in the draft, and are marked as dangerous at review.
    pub(crate) protected: Vec<String>,
    /// Secret names at the top of a granted folder that it needs to read.
    pub(crate) secrets: Vec<String>,
    /// It may make user namespaces of its own.
    pub(crate) nest: bool,
    /// Limits by their names and values, as after `--limit`; what the person gives there wins.
    pub(crate) limits: Vec<(String, String)>,
    /// Commands that it is for, by their names alone.
    pub(crate) commands: Vec<String>,
}

/// A part of the home directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mount {
    /// The path beneath the home directory: no empty, `.` or `..` names.
    pub(crate) below: String,
    /// How it is seen.
    pub(crate) how: How,
}

/// How a part of the home directory is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    /// What is written lands in the draft and is reviewed. Where there is nothing outside, there is nothing inside.
    Draft,
    /// As it is, and not to be changed. Where there is nothing outside, there is nothing inside.
    Read,
    /// A folder that only programs with this profile see, kept from run to run ([`Profile::cache`]); not reviewed.
    Cache,
    /// An empty folder that is gone when the program ends.
    Empty,
}

/// Where a profile comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// It came with us.
    Shipped,
    /// The person wrote it.
    File(PathBuf),
}

/// A profile by its name: the person's own, or else the one that came with us.
///
/// # Errors
/// Where there is none of that name, it cannot be read, or others could have written it: file, line and what is wrong.
pub(crate) fn load(name: &str, env: &Env) -> Result<Profile> {
    check_name(name)?;
    let home = env.directories()?;
    if let Some(own) = own_dir(&home)? {
        let file = home.config.join(DIR).join(format!("{name}.toml"));
        if let Some(profile) = load_own(&own, name, &file)? {
            return Ok(profile);
        }
    }
    match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
        Some((_, text)) => parse::parse(name, Source::Shipped, text, &format!("{name}.toml")),
        None => Err(usage(
            format!("there is no profile `{name}`"),
            format!(
                "`raincoat profiles` lists them; your own would be {}",
                home.config.join(DIR).join(format!("{name}.toml")).display()
            ),
        )),
    }
}

/// Every profile by its name, sorted; one that cannot be read beside the others.
///
/// # Errors
/// Where the directory of the person's own belongs to somebody else, or cannot be read.
pub(crate) fn all(env: &Env) -> Result<Vec<(String, Result<Profile>)>> {
    let mut found = Vec::new();
    for name in names(env)? {
        let profile = load(&name, env);
        found.push((name, profile));
    }
    Ok(found)
}

/// The names that there are, sorted, each once.
///
/// # Errors
/// As [`all`].
pub(crate) fn names(env: &Env) -> Result<Vec<String>> {
    let mut names: Vec<String> = SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let home = env.directories()?;
    if let Some(own) = own_dir(&home)? {
        let listed = own.names().map_err(|why| system(format!("list `{}`", home.config.join(DIR).display()), why))?;
        let stems = listed.iter().filter_map(|file| file.to_str()?.strip_suffix(".toml"));
        names.extend(stems.filter(|stem| check_name(stem).is_ok()).map(str::to_owned));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The profile that is for a command, by the command's own name: for a hint to whoever runs it without one. Profiles
/// that cannot be read are passed over.
pub(crate) fn for_command(command: &OsStr, env: &Env) -> Option<String> {
    let name = Path::new(command).file_name()?.to_str()?;
    let profiles = all(env).ok()?;
    let mut matching = profiles.into_iter().filter_map(|(_, profile)| profile.ok());
    matching.find(|profile| profile.commands.iter().any(|command| command == name)).map(|profile| profile.name)
}

impl Profile {
    /// The directory that stands behind a [`How::Cache`], absolute, made where it is missing (mode 0700): beneath our
    /// data directory, and of this profile alone, so that what one program leaves there reaches no other, nor the
    /// person's own caches.
    ///
    /// # Errors
    /// The system's; where somebody else owns it.
    pub(crate) fn cache(&self, mount: &Mount, home: &Home) -> Result<PathBuf> {
        // One flat name, so that no cache lies within another.
        let name = mount.below.replace('%', "%25").replace('/', "%2F");
        let path = home.data.join("caches").join(&self.name).join(name);
        PrivateDir::open_or_create(&path).map_err(|why| system(format!("make `{}`", path.display()), why))?;
        Ok(path)
    }

    /// Whether a variable of the person's environment is handed on.
    pub(crate) fn passes(&self, variable: &str) -> bool {
        self.env_pass.iter().any(|pass| match pass.strip_suffix('*') {
            Some(prefix) => variable.starts_with(prefix),
            None => pass == variable,
        })
    }
}

impl Mount {
    /// Where it is, given the home directory: the same place inside and outside.
    pub(crate) fn at(&self, home: &Path) -> PathBuf {
        home.join(&self.below)
    }
}

impl How {
    /// The word that stands in the file.
    pub(crate) fn word(self) -> &'static str {
        match self {
            How::Draft => "draft",
            How::Read => "read",
            How::Cache => "cache",
            How::Empty => "empty",
        }
    }
}

fn own_dir(home: &Home) -> Result<Option<PrivateDir>> {
    let place = home.config.join(DIR);
    match PrivateDir::open(&place) {
        Ok(dir) => Ok(Some(dir)),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(not_trusted(&place, &why)),
    }
}

fn load_own(dir: &PrivateDir, name: &str, file: &Path) -> Result<Option<Profile>> {
    let read = dir.read_trusted(&format!("{name}.toml"), FILE_MOST).map_err(|why| not_trusted(file, &why))?;
    let Some(bytes) = read else { return Ok(None) };
    let shown = file.display().to_string();
    let text = String::from_utf8(bytes)
        .map_err(|_| usage(format!("{shown}, line 1: the file is not UTF-8 text"), "write it as text"))?;
    parse::parse(name, Source::File(file.to_owned()), &text, &shown).map(Some)
}

fn not_trusted(place: &Path, why: &std::io::Error) -> Error {
    let shown = place.display();
    let hint = match why.kind() {
        std::io::ErrorKind::PermissionDenied => format!("make it yours alone: `chmod go-w {shown}`"),
        _ => String::new(),
    };
    error(Class::Environment, format!("could not read `{shown}`: {why}"), hint)
}

fn check_name(name: &str) -> Result<()> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if plain && (1..=NAME_MOST).contains(&name.len()) && !name.starts_with('-') {
        return Ok(());
    }
    let shown = raincoat_types::display_bytes(name.as_bytes());
    Err(usage(
        format!("`{shown}` is no name of a profile: small letters, digits, `-` and `_`"),
        "`raincoat profiles` lists them",
    ))
}

#[cfg(test)]
mod tests;
