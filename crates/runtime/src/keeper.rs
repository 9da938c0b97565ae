//! The keeper: keys unlocked, state open.

use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raincoat_audit::Event;
use raincoat_os::{PrivateDir, keyring};
use raincoat_seal::{Keys, KeysError, SlotInfo, SlotKind, Store, Unlock};
use raincoat_types::{Clock, Secret};

use crate::around::{Around, by_person};
use crate::judge::Own;
use crate::{Class, Config, Error, Home};

/// What the keeper needs to open the keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// The passphrase.
    Passphrase,
    /// A new passphrase (asked twice, where a person types it).
    NewPassphrase,
}

/// Gives a passphrase, from a prompt or a file.
///
/// # Errors
/// Where there is nobody to ask.
pub type Unlocker<'a> = dyn FnMut(Ask) -> Result<Secret<String>, Error> + 'a;

/// How the store was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// There was none; it was made, with its key in a file.
    pub created: bool,
    /// By which slot: `key-file`, `passphrase`, `cache`.
    pub slot: &'static str,
    /// The key lies in a file: anyone who can read the person's files can open the store.
    pub key_in_file: bool,
}

/// The one who holds keys, gate, journal, log and approvals.
pub struct Keeper {
    pub(crate) home: Home,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) data: PrivateDir,
    pub(crate) state: PrivateDir,
    pub(crate) keys: Keys,
    pub(crate) store: Store,
    /// Our own directories: denied by what they are, whatever leads there.
    pub(crate) own: Own,
    pub(crate) opened: Opened,
    /// Files that may be changed without a copy, at the person's word for this one command.
    pub(crate) waives: Option<Arc<raincoat_effects::Waives>>,
    pub(crate) around: Around,
}

/// Bytes on the disk below which SQLite may not even open what is there.
const NO_ROOM: u64 = 1 << 20;

/// Opens the store of grants and settings. On a disk without room the space that is kept back for this is given up: an undo
/// has to work there too.
fn open_store(data: &PrivateDir, keys: &Keys) -> Result<Store, Error> {
    Store::open(data, keys).or_else(|error| {
        let full = data.disk().is_ok_and(|(_, free)| free < NO_ROOM);
        if full && data.dir("journal").is_ok_and(|journal| raincoat_journal::release_reserve(&journal)) {
            return Store::open(data, keys).map_err(Error::store);
        }
        Err(Error::store(error))
    })
}

impl Keeper {
    /// Whether there is a store here.
    ///
    /// # Errors
    /// The system's.
    pub fn exists(home: &Home) -> Result<bool, Error> {
        match PrivateDir::open(&home.data) {
            Ok(dir) => Keys::exists(&dir).map_err(Error::io("look for the keys")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("open the data directory")(error)),
        }
    }

    /// Makes the keys, with a passphrase where one is given, else with a key file (mode 0600).
    ///
    /// # Errors
    /// Where there are keys already, or the disk says no.
    pub fn create(
        home: &Home,
        config: Config,
        clock: Arc<dyn Clock>,
        passphrase: Option<Secret<String>>,
    ) -> Result<Keeper, Error> {
        let data = open_dir(&home.data)?;
        let unlock = passphrase.map_or(Unlock::KeyFile, Unlock::Passphrase);
        let slot = if matches!(unlock, Unlock::KeyFile) { "key-file" } else { "passphrase" };
        let keys = Keys::create(&data, &unlock, clock.as_ref()).map_err(keys_error)?;
        let opened = Opened { created: true, slot, key_in_file: slot == "key-file" };
        let keeper = Keeper::assemble(home, config, clock, data, keys, opened, Around::default())?;
        raincoat_journal::keep_reserve(&keeper.journal_dir()?);
        Ok(keeper)
    }

    /// Opens the store, making it where there is none. Asks for the passphrase only where nothing else opens it.
    ///
    /// # Errors
    /// Where the keys do not open, or the store is damaged.
    pub fn open(
        home: &Home,
        config: Config,
        clock: Arc<dyn Clock>,
        unlocker: &mut Unlocker<'_>,
    ) -> Result<Keeper, Error> {
        if !Keeper::exists(home)? {
            match Keeper::create(home, config.clone(), clock.clone(), None) {
                // Another command made them at the same moment.
                Err(error) if Keeper::exists(home)? => drop(error),
                other => return other,
            }
        }
        let data = open_dir(&home.data)?;
        let slots = Keys::slots_in(&data).map_err(keys_error)?;
        let around = Around::before_unlocking(&data);
        let key_in_file = slots.iter().any(|slot| slot.kind == SlotKind::KeyFile);
        let (keys, slot) = unlock(home, &config, clock.as_ref(), &data, &slots, unlocker)?;
        Keeper::assemble(home, config, clock, data, keys, Opened { created: false, slot, key_in_file }, around)
    }

    fn assemble(
        home: &Home,
        config: Config,
        clock: Arc<dyn Clock>,
        data: PrivateDir,
        keys: Keys,
        opened: Opened,
        around: Around,
    ) -> Result<Keeper, Error> {
        let store = open_store(&data, &keys)?;
        let state = open_dir(&home.state)?;
        let mut own = Own::find([&home.config, &home.data, &home.state].map(PathBuf::as_path));
        // The program that judges is not changed by whom it judges, wherever it lies.
        own.dirs.extend(raincoat_os::beneath::identity_of(Path::new("/proc/self/exe")).ok());
        let created = opened.created;
        let keeper =
            Keeper { home: home.clone(), config, clock, data, state, keys, store, own, opened, around, waives: None };
        if created {
            // The log is there from the first moment: later, a missing one is a lost one.
            keeper.log_alone(Vec::new())?;
        }
        Ok(keeper)
    }

    /// From now on, files that `waives` says yes to are changed without a copy of what was there. It is the person's word
    /// for this one command.
    pub fn without_backup(&mut self, waives: Arc<raincoat_effects::Waives>) {
        self.waives = Some(waives);
    }

    /// How it was opened.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The ways into the keys.
    pub fn slots(&self) -> &[SlotInfo] {
        self.keys.slots()
    }

    /// Opens the keys by the passphrase itself where a cached unlock did: what changes the ways into them asks for that.
    ///
    /// # Errors
    /// Where it does not open them, or nobody gives one.
    pub fn unlock_afresh(&mut self, unlocker: &mut Unlocker<'_>) -> Result<(), Error> {
        if !self.keys.is_fresh() {
            let unlock = Unlock::Passphrase(unlocker(Ask::Passphrase)?);
            self.keys = Keys::unlock(&self.data, &unlock, self.clock.as_ref()).map_err(keys_error)?;
        }
        Ok(())
    }

    /// Sets a passphrase in the place of the one before, or of the key file.
    ///
    /// # Errors
    /// Where the passphrase will not do, or the disk says no. Nothing is changed then.
    pub fn set_passphrase(&mut self, passphrase: &Secret<String>) -> Result<(), Error> {
        let has = |kind| self.keys.slots().iter().any(|slot| slot.kind == kind);
        let (had_passphrase, had_file) = (has(SlotKind::Passphrase), has(SlotKind::KeyFile));
        // Logged first, as everything is; that it came to nothing stands in the command's end.
        let slot = "passphrase".to_owned();
        let mut events = vec![if had_passphrase { Event::PassphraseChanged } else { Event::KeySlotAdded { slot } }];
        if had_file {
            events.push(Event::KeySlotRemoved { slot: "key-file".to_owned() });
        }
        self.log_about(&by_person(), events)?;
        if had_passphrase {
            self.keys.change_passphrase(passphrase, self.clock.as_ref()).map_err(keys_error)?;
        } else {
            self.keys.add_passphrase(passphrase, self.clock.as_ref()).map_err(keys_error)?;
        }
        if had_file {
            self.keys.remove_key_file().map_err(keys_error)?;
        }
        self.opened.key_in_file = false;
        cache(&self.home, &self.config, &self.keys);
        Ok(())
    }

    /// Forgets the cached unlock: the next command asks. That it was forgotten is logged with the keys that go with it;
    /// where that fails they go all the same, and `told` hears why.
    ///
    /// # Errors
    /// Where the kernel's keyring fails.
    pub fn lock(home: &Home, config: Config, clock: Arc<dyn Clock>, told: &mut dyn FnMut(&str)) -> Result<(), Error> {
        if config.unlock_idle_secs > 0 && Keeper::exists(home)? {
            let nobody =
                &mut |_: Ask| -> Result<Secret<String>, Error> { Err(Error::new(Class::Locked, "locked already")) };
            let logged = match Keeper::open(home, config, clock, nobody) {
                Ok(mut keeper) if keeper.opened.slot == "cache" => {
                    let why = "asked at a terminal".to_owned();
                    keeper.works_for("lock").and_then(|()| keeper.log_about(&by_person(), vec![Event::Locked { why }]))
                }
                Err(error) if error.class != Class::Locked => Err(error),
                // Nothing is unlocked, or a key in a file opens it at any time.
                Ok(_) | Err(_) => Ok(()),
            };
            if let Err(error) = logged {
                told(&format!("this does not stand in the log: {}", error.message));
            }
        }
        keyring::forget(&description(home)).map_err(|e| Error::new(Class::Environment, e.to_string()))
    }
}

fn unlock(
    home: &Home,
    config: &Config,
    clock: &dyn Clock,
    data: &PrivateDir,
    slots: &[SlotInfo],
    unlocker: &mut Unlocker<'_>,
) -> Result<(Keys, &'static str), Error> {
    if slots.iter().any(|slot| slot.kind == SlotKind::KeyFile) {
        let keys = Keys::unlock(data, &Unlock::KeyFile, clock);
        match keys {
            Ok(keys) => return Ok((keys, "key-file")),
            Err(error) if !slots.iter().any(|slot| slot.kind == SlotKind::Passphrase) => return Err(keys_error(error)),
            Err(_) => {}
        }
    }
    if let Some(idle) = NonZeroU32::new(config.unlock_idle_secs)
        && let Ok(Some(root)) = keyring::fetch(&description(home), idle)
        && let Ok(keys) = Keys::unlock(data, &Unlock::Cached(root), clock)
    {
        return Ok((keys, "cache"));
    }
    let passphrase = unlocker(Ask::Passphrase)?;
    let keys = Keys::unlock(data, &Unlock::Passphrase(passphrase), clock).map_err(keys_error)?;
    cache(home, config, &keys);
    Ok((keys, "passphrase"))
}

/// Keeps the unlock for a while, where the kernel can. Where it cannot, the passphrase is asked for each time.
fn cache(home: &Home, config: &Config, keys: &Keys) {
    if let Some(idle) = NonZeroU32::new(config.unlock_idle_secs) {
        let _ = keyring::cache(&description(home), keys.root_for_cache().expose(), idle);
    }
}

fn description(home: &Home) -> String {
    let hash = blake3::hash(home.data.as_os_str().as_bytes()).to_hex();
    format!("raincoat:{}", hash.get(..32).unwrap_or_default())
}

fn open_dir(path: &Path) -> Result<PrivateDir, Error> {
    PrivateDir::open_or_create(path).map_err(|e| {
        Error::new(Class::Environment, format!("could not open our own directory `{}`: {e}", path.display()))
            .hint("it must be yours, and nobody else may write in it; or set XDG_DATA_HOME and XDG_STATE_HOME to another place")
    })
}

/// Errors of the keys, as the person is told.
pub(crate) fn keys_error(error: KeysError) -> Error {
    let class = match &error {
        KeysError::WrongPassphrase { .. }
        | KeysError::TooSoon { .. }
        | KeysError::NoPassphrase
        | KeysError::NoKeyFile
        | KeysError::WrongKeyFile => Class::Locked,
        KeysError::PassphraseLength | KeysError::Exists => Class::Usage,
        KeysError::Io(_) => Class::Environment,
        _ => Class::Damaged,
    };
    Error::new(class, error.to_string())
}
