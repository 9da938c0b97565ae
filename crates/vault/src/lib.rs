//! Credentials: secrets by environment and name, in versions.
//!
//! A secret goes in by [`Vault::add`] and comes out by [`Vault::get`]; nothing else shows it. Each version has its own
//! data key, wrapped by its environment's key; revoking a version destroys that key.

mod error;
mod record;

use raincoat_seal::{Keys, Rows, Store, StoreError, Tx};
use raincoat_types::{Clock, Secret, Timestamp};

pub use error::VaultError;
pub use raincoat_seal::Environment;

use record::{Record, State, Terms, Version};

const KIND: &str = "credential";
const MAX_NAME: usize = 128;
const MAX_HOST: usize = 255;
const MAX_SECRET: usize = 64 << 10;

/// Hosts that one version may go to.
pub(crate) const MAX_HOSTS: usize = 64;

/// Versions of one credential, revoked ones among them.
pub(crate) const MAX_VERSIONS: usize = 1000;

/// The credentials of a store.
#[derive(Clone, Copy)]
pub struct Vault<'a> {
    store: &'a Store,
    keys: &'a Keys,
}

/// What a secret is for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Use {
    /// The provider that it belongs to; may be empty.
    pub provider: String,
    /// The hosts that it may be sent to: names, addresses, or `*.` and a name. Kept in lower case, sorted. None: to no
    /// host.
    pub hosts: Vec<String>,
}

/// One version with its secret.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Which version, from 1.
    pub version: u32,
    /// When it was added.
    pub created: Timestamp,
    /// What it is for.
    pub usage: Use,
    /// The secret.
    pub secret: Secret<String>,
}

/// A credential as it may be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialInfo {
    /// Where it is used.
    pub environment: Environment,
    /// Its name.
    pub name: String,
    /// Its versions, oldest first. The last is the current one.
    pub versions: Vec<VersionInfo>,
}

/// A version as it may be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionInfo {
    /// Its number, from 1.
    pub version: u32,
    /// When it was added.
    pub created: Timestamp,
    /// What it is for.
    pub usage: Use,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
}

impl<'a> Vault<'a> {
    /// The credentials in this store, sealed under these keys.
    pub fn new(store: &'a Store, keys: &'a Keys) -> Vault<'a> {
        Vault { store, keys }
    }

    /// Adds a credential, or a new version of it, which is the current one from then on. The versions before stay.
    /// Gives the version's number.
    ///
    /// # Errors
    /// [`VaultError::Name`], [`VaultError::Provider`], [`VaultError::Host`], [`VaultError::TooManyHosts`],
    /// [`VaultError::Secret`], [`VaultError::TooManyVersions`]; [`VaultError::Keys`] for production on a cached
    /// unlock; [`VaultError::Store`].
    pub fn add(
        &self,
        environment: Environment,
        name: &str,
        usage: &Use,
        secret: &Secret<String>,
        clock: &dyn Clock,
    ) -> Result<u32, VaultError> {
        check_name(name)?;
        check_secret(secret)?;
        let Use { provider, hosts } = usage.checked()?;
        let key = self.keys.environment(environment)?;
        let created = clock.now();
        self.store.transaction(|tx| {
            let mut record = read(tx, environment, name)?.unwrap_or_default();
            if record.versions.len() >= MAX_VERSIONS {
                return Err(VaultError::TooManyVersions(name.to_owned()));
            }
            let number = record.versions.last().map_or(0, |version| version.terms.number).saturating_add(1);
            let terms = Terms { number, created, provider, hosts };
            record.versions.push(Version::seal(key, environment, name, terms, secret)?);
            write(tx, environment, name, &record)?;
            Ok(number)
        })
    }

    /// The current version's secret: the last that was added.
    ///
    /// # Errors
    /// [`VaultError::Missing`], [`VaultError::Revoked`] (an older version never steps in for it),
    /// [`VaultError::Tampered`]; [`VaultError::Keys`] for production on a cached unlock; [`VaultError::Store`].
    pub fn get(&self, environment: Environment, name: &str) -> Result<Secret<String>, VaultError> {
        Ok(self.current(environment, name)?.secret)
    }

    /// The current version with what it is for.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub fn current(&self, environment: Environment, name: &str) -> Result<Credential, VaultError> {
        let record = self.record(environment, name)?;
        let version = record.versions.last().ok_or_else(|| missing(environment, name))?;
        self.open(environment, name, version)
    }

    /// A version by its number, while a new one is being rolled out.
    ///
    /// # Errors
    /// As [`Vault::get`]; [`VaultError::NoVersion`].
    pub fn version(&self, environment: Environment, name: &str, version: u32) -> Result<Credential, VaultError> {
        let record = self.record(environment, name)?;
        let found = record.versions.iter().find(|known| known.terms.number == version);
        self.open(environment, name, found.ok_or_else(|| no_version(name, version))?)
    }

    /// All credentials of an environment, or of all, without their secrets; sorted by environment and name.
    ///
    /// # Errors
    /// [`VaultError::Tampered`] or [`VaultError::Store`].
    pub fn list(&self, environment: Option<Environment>) -> Result<Vec<CredentialInfo>, VaultError> {
        let rows: Rows = self.store.list(KIND)?;
        let mut infos = Vec::with_capacity(rows.len());
        for (id, value) in rows {
            let tampered = || VaultError::Store(StoreError::Tampered(KIND.to_owned()));
            let (found, name) = record::parse_id(&id).ok_or_else(tampered)?;
            if environment.is_none_or(|wanted| wanted == found) {
                let record = Record::from_bytes(&value).ok_or_else(tampered)?;
                infos.push(CredentialInfo {
                    environment: found,
                    name,
                    versions: record.versions.iter().map(VersionInfo::of).collect(),
                });
            }
        }
        infos.sort_by(|a, b| (a.environment, &a.name).cmp(&(b.environment, &b.name)));
        Ok(infos)
    }

    /// Destroys a version's secret and its data key; number, times and use stay to be seen. Revoking it again is fine.
    /// Needs no unlocked environment.
    ///
    /// # Errors
    /// [`VaultError::Missing`], [`VaultError::NoVersion`], [`VaultError::Store`].
    pub fn revoke(
        &self,
        environment: Environment,
        name: &str,
        version: u32,
        clock: &dyn Clock,
    ) -> Result<(), VaultError> {
        let at = clock.now();
        self.store.transaction(|tx| {
            let mut record = read(tx, environment, name)?.ok_or_else(|| missing(environment, name))?;
            let found = record.versions.iter_mut().find(|known| known.terms.number == version);
            let found = found.ok_or_else(|| no_version(name, version))?;
            if matches!(found.state, State::Active { .. }) {
                found.state = State::Revoked { at };
                write(tx, environment, name, &record)?;
            }
            Ok(())
        })
    }

    /// Removes a credential with all its versions.
    ///
    /// # Errors
    /// [`VaultError::Missing`], [`VaultError::Store`].
    pub fn remove(&self, environment: Environment, name: &str) -> Result<(), VaultError> {
        check_name(name)?;
        if self.store.delete(KIND, &record::id(environment, name))? { Ok(()) } else { Err(missing(environment, name)) }
    }

    fn record(&self, environment: Environment, name: &str) -> Result<Record, VaultError> {
        check_name(name)?;
        let value = self.store.get(KIND, &record::id(environment, name))?;
        let value = value.ok_or_else(|| missing(environment, name))?;
        Record::from_bytes(&value).ok_or_else(|| VaultError::Tampered { name: name.to_owned() })
    }

    fn open(&self, environment: Environment, name: &str, version: &Version) -> Result<Credential, VaultError> {
        let secret = version.open(self.keys.environment(environment)?, environment, name)?;
        let VersionInfo { version, created, usage, .. } = VersionInfo::of(version);
        Ok(Credential { version, created, usage, secret })
    }
}

impl CredentialInfo {
    /// The current version: the last that was added, revoked or not.
    pub fn current(&self) -> Option<&VersionInfo> {
        self.versions.last()
    }
}

impl VersionInfo {
    /// Whole seconds since it was added; 0 where the clock has been set back since.
    pub fn age_secs(&self, now: Timestamp) -> u64 {
        u64::try_from(now.secs.saturating_sub(self.created.secs)).unwrap_or(0)
    }

    fn of(version: &Version) -> VersionInfo {
        let Terms { number, created, provider, hosts } = version.terms.clone();
        let revoked = match version.state {
            State::Active { .. } => None,
            State::Revoked { at } => Some(at),
        };
        VersionInfo { version: number, created, usage: Use { provider, hosts }, revoked }
    }
}

impl Use {
    fn checked(&self) -> Result<Use, VaultError> {
        if !self.provider.is_empty() && !is_name(&self.provider) {
            return Err(VaultError::Provider(self.provider.clone()));
        }
        if self.hosts.len() > MAX_HOSTS {
            return Err(VaultError::TooManyHosts);
        }
        if let Some(host) = self.hosts.iter().find(|host| !is_host(host)) {
            return Err(VaultError::Host(host.clone()));
        }
        let mut hosts: Vec<String> = self.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        hosts.sort();
        hosts.dedup();
        Ok(Use { provider: self.provider.clone(), hosts })
    }
}

fn read(tx: &Tx<'_>, environment: Environment, name: &str) -> Result<Option<Record>, VaultError> {
    check_name(name)?;
    let Some(value) = tx.get(KIND, &record::id(environment, name))? else { return Ok(None) };
    Record::from_bytes(&value).map(Some).ok_or_else(|| VaultError::Tampered { name: name.to_owned() })
}

fn write(tx: &Tx<'_>, environment: Environment, name: &str, record: &Record) -> Result<(), VaultError> {
    let value = record.to_bytes().ok_or(StoreError::Limit("a credential is too large for the store"))?;
    Ok(tx.put(KIND, &record::id(environment, name), &value)?)
}

fn missing(environment: Environment, name: &str) -> VaultError {
    VaultError::Missing { environment, name: name.to_owned() }
}

fn no_version(name: &str, version: u32) -> VaultError {
    VaultError::NoVersion { name: name.to_owned(), version }
}

fn check_name(name: &str) -> Result<(), VaultError> {
    // What is no name may be a secret that was typed in the wrong place: never repeat more than a name could be.
    if is_name(name) { Ok(()) } else { Err(VaultError::Name(name.chars().take(MAX_NAME).collect())) }
}

/// Plain characters only: names stand in messages, and must not pass for one another.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte))
}

/// A host's name, an address, or `*.` and a name.
fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix("*.").unwrap_or(host);
    (1..=MAX_HOST).contains(&bare.len())
        && !bare.starts_with('.')
        && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte))
}

fn check_secret(secret: &Secret<String>) -> Result<(), VaultError> {
    let secret = secret.expose();
    if (1..=MAX_SECRET).contains(&secret.len()) && !secret.contains('\0') { Ok(()) } else { Err(VaultError::Secret) }
}
