//! Exit codes: the one table that the code, `--help` and the man page read.

use raincoat_runtime::Class;

/// How the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Done.
    Ok,
    /// Failed, or done in part.
    Failed,
    /// The command line or the configuration cannot be meant.
    Usage,
    /// Refused, or not granted.
    Refused,
    /// The keys did not open.
    Locked,
    /// Undo left something as it is.
    Conflict,
    /// The model or the network.
    Peer,
    /// The system.
    Environment,
    /// Our own data.
    Damaged,
    /// Ours.
    Bug,
    /// The person stopped it.
    Stopped,
    /// As a program in a draft ended.
    Program(u8),
}

/// Each exit code and what it means.
pub(crate) const TABLE: &[(Exit, u8, &str)] = &[
    (Exit::Ok, 0, "done"),
    (Exit::Failed, 1, "the task failed, or was done in part"),
    (Exit::Usage, 2, "the command line or config.toml cannot be meant"),
    (Exit::Refused, 3, "refused: not granted, or a person or a rule said no"),
    (Exit::Locked, 4, "the keys did not open: no passphrase, a wrong one, or too soon"),
    (Exit::Conflict, 5, "undo left something as it is, because it was changed since"),
    (Exit::Peer, 6, "the model, its provider or the network"),
    (Exit::Environment, 7, "the system: no space, no permission, a missing layer"),
    (Exit::Damaged, 8, "our own data is damaged, or the log is unsound"),
    (Exit::Bug, 70, "a bug of ours"),
    (Exit::Stopped, 130, "stopped by Ctrl-C; what was done stays undoable"),
];

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Program(code) => code,
            _ => TABLE.iter().find(|(exit, _, _)| *exit == self).map_or(70, |(_, code, _)| *code),
        }
    }

    /// The code for an error of this class.
    pub(crate) fn of(class: Class) -> Exit {
        match class {
            Class::Usage => Exit::Usage,
            Class::Refused => Exit::Refused,
            Class::Locked => Exit::Locked,
            Class::Conflict => Exit::Conflict,
            Class::Peer => Exit::Peer,
            Class::Environment => Exit::Environment,
            Class::Damaged => Exit::Damaged,
            Class::Failed => Exit::Failed,
            Class::Stopped => Exit::Stopped,
            Class::Bug => Exit::Bug,
        }
    }
}

/// The table as text, for help and the man page.
pub(crate) fn table() -> String {
    let mut text = String::from("Exit codes:\n");
    for (_, code, meaning) in TABLE {
        text.push_str(&format!("  {code:>3}  {meaning}\n"));
    }
    text.push_str("`exec` and `shell` end as the program did: with its code, or 128 and the number of the signal.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_one_line_and_one_number() {
        let mut codes: Vec<u8> = TABLE.iter().map(|(_, code, _)| *code).collect();
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
        assert!(codes.is_sorted());
        assert_eq!(Exit::of(Class::Locked).code(), 4);
        assert_eq!(Exit::Stopped.code(), 130);
        assert_eq!(table().lines().count(), TABLE.len() + 2);
    }
}
