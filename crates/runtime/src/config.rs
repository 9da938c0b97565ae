//! What the owner may set. The outermost room reads it from `config.toml`.

use std::collections::BTreeMap;

use raincoat_types::Limits;

use crate::{Budgets, StoreRule};

/// The configuration in force.
#[derive(Clone, Debug)]
pub struct Config {
    /// Upper bounds.
    pub limits: Limits,
    /// How long the keys stay unlocked when nobody uses them, in seconds; 0: ask each time.
    pub unlock_idle_secs: u32,
    /// The provider that `do "TASK"` asks where none is named.
    pub default_provider: Option<String>,
    /// Another folder in which the log's newest tree head is kept: a stick, another machine's share.
    pub log_memory: Option<std::path::PathBuf>,
    /// The log's newest tree head is kept in the kernel's keyring too.
    pub log_keyring: bool,
    /// What models cost, by name: providers do not say it.
    pub prices: BTreeMap<String, Price>,
    /// No network but this machine's.
    pub offline: bool,
    /// Audit mode: what is looked at, and what is said to models and by them, stands in the log too.
    pub audit: bool,
    /// What `config.toml` sets, by its full name, as it is written there: for the log to say what changed.
    pub written: Vec<(String, String)>,
    /// How long after it was last asked a witness is asked again at a command's end, in seconds.
    pub witness_every_secs: u32,
    /// How long a command's end waits for a witness, in seconds.
    pub witness_wait_secs: u32,
    /// How old a witness's last word may be before it is told, in seconds.
    pub witness_late_secs: u32,
    /// What the store keeps, and how much of the disk that may take.
    pub store: StoreRule,
    /// What may be used up, and from where on a person is asked.
    pub budgets: Budgets,
}

/// What a model costs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Price {
    /// For a million tokens that it is sent, in millionths of the currency.
    pub input: u64,
    /// For a million tokens that it writes, in millionths of the currency.
    pub output: u64,
    /// The currency, three letters of ISO 4217.
    pub currency: String,
}

impl Price {
    /// What so many tokens cost, in millionths of the currency, rounded up.
    pub fn of(&self, input: u64, output: u64) -> u64 {
        let all = u128::from(input) * u128::from(self.input) + u128::from(output) * u128::from(self.output);
        u64::try_from(all.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::default(),
            unlock_idle_secs: 900,
            default_provider: None,
            log_memory: None,
            log_keyring: false,
            prices: BTreeMap::new(),
            offline: false,
            audit: false,
            written: Vec::new(),
            witness_every_secs: 600,
            witness_wait_secs: 3,
            witness_late_secs: 7 * 24 * 3600,
            store: StoreRule::default(),
            budgets: Budgets::usual(),
        }
    }
}
