//! Classes of events: how long what is kept (see `audit retention`).

/// What sort of thing an entry tells, for retention. The numbers stand in entries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// What was done with the log itself: erasures, retention, holds, pruning. Kept as long as the log.
    Care = 0,
    /// Unlocks, refusals, approvals, grants, starts and stops, missing protection.
    Security = 1,
    /// Configuration, providers, credentials.
    Configuration = 2,
    /// Runs and their changes.
    Operations = 3,
    /// What was looked at.
    Reads = 4,
    /// What went to models and came from them.
    Models = 5,
}

impl Class {
    /// Those that a rule can be made for.
    pub const RULED: [Class; 5] =
        [Class::Security, Class::Configuration, Class::Operations, Class::Reads, Class::Models];

    /// Its number; `None` for one that a later version knows.
    pub fn of_number(number: u8) -> Option<Class> {
        [Class::Care].into_iter().chain(Class::RULED).find(|class| *class as u8 == number)
    }

    /// Its name, as the command line takes it.
    pub fn name(self) -> &'static str {
        match self {
            Class::Care => "care",
            Class::Security => "security",
            Class::Configuration => "configuration",
            Class::Operations => "operations",
            Class::Reads => "reads",
            Class::Models => "models",
        }
    }

    /// Reads the name of a class that a rule can be made for.
    pub fn parse(name: &str) -> Option<Class> {
        Class::RULED.into_iter().find(|class| class.name() == name)
    }
}
