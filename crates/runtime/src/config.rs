//! What the owner may set. The outermost room reads it from `config.toml`.

use raincoat_types::Limits;

use crate::StoreRule;

/// The configuration in force.
#[derive(Clone, Debug)]
pub struct Config {
    /// Upper bounds.
    pub limits: Limits,
    /// How long the keys stay unlocked when nobody uses them, in seconds; 0: ask each time.
    pub unlock_idle_secs: u32,
    /// The provider that `do "TASK"` asks where none is named.
    pub default_provider: Option<String>,
    /// No network but this machine's.
    pub offline: bool,
    /// What the store keeps, and how much of the disk that may take.
    pub store: StoreRule,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::default(),
            unlock_idle_secs: 900,
            default_provider: None,
            offline: false,
            store: StoreRule::default(),
        }
    }
}
