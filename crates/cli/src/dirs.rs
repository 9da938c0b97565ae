//! The environment, read once, and where our own files are (XDG Base Directory Specification 0.8).

use std::ffi::OsString;
use std::path::PathBuf;

use raincoat_runtime::Home;

use crate::error::{Result, system};

/// What the program takes from its environment. Declared here and nowhere else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Env {
    /// `HOME`.
    pub(crate) home: Option<OsString>,
    /// `XDG_CONFIG_HOME`.
    pub(crate) config_home: Option<OsString>,
    /// `XDG_DATA_HOME`.
    pub(crate) data_home: Option<OsString>,
    /// `XDG_STATE_HOME`.
    pub(crate) state_home: Option<OsString>,
    /// `RAINCOAT_PASSPHRASE_FILE`: a file whose first line is the passphrase.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// No colours: `NO_COLOR` is set and not empty (no-color.org), or `TERM` is `dumb`.
    pub(crate) plain: bool,
    /// `TMPDIR`, for the demo's scratch home.
    pub(crate) temp: PathBuf,
    /// `SHELL`, for `raincoat shell`.
    pub(crate) shell: Option<OsString>,
    /// `VISUAL` or `EDITOR`, for `raincoat policy edit`.
    pub(crate) editor: Option<OsString>,
    /// All of it, of which a program in a draft gets what is on a list.
    pub(crate) all: Vec<(OsString, OsString)>,
}

/// Each variable and what it does, for the man page.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    ("RAINCOAT_PASSPHRASE_FILE", "a file to read the passphrase from (its first line), instead of asking"),
    ("XDG_CONFIG_HOME", "where raincoat/config.toml is; default ~/.config"),
    ("XDG_DATA_HOME", "where raincoat keeps keys, journal and log; default ~/.local/share"),
    ("XDG_STATE_HOME", "where raincoat keeps the log's newest head, apart from it; default ~/.local/state"),
    ("NO_COLOR", "no colours, where it is set to anything"),
];

impl Env {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the environment is read")]
    pub(crate) fn read() -> Env {
        let get = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Env {
            home: get("HOME"),
            config_home: get("XDG_CONFIG_HOME"),
            data_home: get("XDG_DATA_HOME"),
            state_home: get("XDG_STATE_HOME"),
            passphrase_file: get("RAINCOAT_PASSPHRASE_FILE").map(PathBuf::from),
            plain: get("NO_COLOR").is_some() || get("TERM").is_some_and(|term| term == "dumb"),
            temp: get("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
            shell: get("SHELL"),
            editor: get("VISUAL").or_else(|| get("EDITOR")),
            all: std::env::vars_os().collect(),
        }
    }

    /// The person's home directory.
    ///
    /// # Errors
    /// Where `HOME` is no absolute path.
    pub(crate) fn home_dir(&self) -> Result<PathBuf> {
        let home = self.home.as_ref().map(PathBuf::from).filter(|home| home.is_absolute());
        home.ok_or_else(|| system("find your home directory", "HOME is not set to an absolute path; set it"))
    }

    /// Our directories.
    ///
    /// # Errors
    /// Where neither `HOME` nor the XDG variable is an absolute path.
    pub(crate) fn directories(&self) -> Result<Home> {
        let place = |xdg: &Option<OsString>, below: &str| {
            // The specification has relative paths ignored.
            let given = xdg.as_ref().map(PathBuf::from).filter(|path| path.is_absolute());
            let fallback = || self.home.as_ref().map(PathBuf::from).filter(|p| p.is_absolute()).map(|p| p.join(below));
            given.or_else(fallback).map(|base| base.join("raincoat")).ok_or_else(|| {
                system("find your home directory", "HOME is not set to an absolute path; set it, or the XDG variables")
            })
        };
        Ok(Home {
            config: place(&self.config_home, ".config")?,
            data: place(&self.data_home, ".local/share")?,
            state: place(&self.state_home, ".local/state")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xdg_directories_win_where_they_are_absolute() {
        let env = Env {
            home: Some("/home/u".into()),
            config_home: Some("/conf".into()),
            data_home: Some("relative".into()),
            ..Env::default()
        };
        let home = env.directories().unwrap();
        assert_eq!(home.config, PathBuf::from("/conf/raincoat"));
        assert_eq!(home.data, PathBuf::from("/home/u/.local/share/raincoat"));
        assert_eq!(home.state, PathBuf::from("/home/u/.local/state/raincoat"));
        assert!(Env::default().directories().is_err());
    }
}
