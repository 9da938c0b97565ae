//! Models' providers and the keys to them.

use std::ops::ControlFlow;

use raincoat_audit::{About, Event};
use raincoat_effects::{Door, Endpoint};
use raincoat_gate::{Facts, Policy};
use raincoat_model::{NativeTools, ProviderConfig};
use raincoat_net::parse_url;
use raincoat_seal::Environment;
use raincoat_types::wire::{JobModel, Task};
use raincoat_types::{Actor, ModelRequest, Modes, RunId, Secret, Timestamp, Ulid, display_bytes};
use raincoat_vault::{Use, Vault};

use crate::around::by_person;
use crate::run::RunAsk;
use crate::{Class, Error, Keeper};

const KIND: &str = "provider";

/// A provider and the key to it.
pub(crate) type Chosen = (ProviderConfig, Option<Secret<String>>);

/// A credential as it may be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyLine {
    /// Its name.
    pub name: String,
    /// Its current version, from 1.
    pub version: u32,
    /// When that was added.
    pub created: Timestamp,
    /// The hosts that it may be sent to.
    pub hosts: Vec<String>,
}

/// What a provider answered when it was asked for its models.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderTest {
    /// HTTP status.
    pub status: u16,
    /// The models it has, by name.
    pub models: Vec<String>,
    /// It is on this machine.
    pub local: bool,
    /// What it said, where it would not tell its models.
    pub message: String,
}

impl Keeper {
    /// Every configured provider, by name.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn providers(&self) -> Result<Vec<ProviderConfig>, Error> {
        let rows = self.store.list(KIND).map_err(Error::store)?;
        rows.into_iter().map(|(_, bytes)| postcard::from_bytes(&bytes).map_err(Error::store)).collect()
    }

    /// Adds a provider, in the place of one of the same name. Its key, if there is one, may be sent there from now on.
    ///
    /// # Errors
    /// Where a field will not do.
    pub fn add_provider(&self, provider: &ProviderConfig) -> Result<(), Error> {
        provider.check().map_err(|e| Error::new(Class::Usage, e.to_string()))?;
        let host = host_of(&provider.base_url)?;
        let mut events = vec![Event::ProviderAdded {
            name: provider.name.clone(),
            url: provider.base_url.clone(),
            model: provider.model.clone(),
        }];
        if let Some(before) = self.providers()?.into_iter().find(|known| known.name == provider.name) {
            events.push(Event::SettingChanged {
                setting: format!("provider {}", provider.name),
                from: Some(terms(&before)),
                to: Some(terms(provider)),
            });
        }
        self.log_about(&by_person(), events)?;
        let bytes = postcard::to_stdvec(provider).map_err(Error::store)?;
        self.store.put(KIND, provider.name.as_bytes(), &bytes).map_err(Error::store)?;
        if let Some(key) = &provider.key {
            self.allow_host(key, &provider.name, &host)?;
        }
        Ok(())
    }

    /// Takes a provider away. Its key stays.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn remove_provider(&self, name: &str) -> Result<(), Error> {
        let known = self.provider(name)?;
        let removed = Event::SettingChanged {
            setting: format!("provider {}", display_bytes(name.as_bytes())),
            from: Some(terms(&known)),
            to: None,
        };
        self.log_about(&by_person(), vec![removed])?;
        if !self.store.delete(KIND, name.as_bytes()).map_err(Error::store)? {
            return Err(no_provider(name));
        }
        Ok(())
    }

    /// Asks a provider for its models.
    ///
    /// # Errors
    /// Where it cannot be reached, or there is none of that name.
    pub fn test_provider(&self, name: &str) -> Result<ProviderTest, Error> {
        let config = self.provider(name)?;
        let session = self.session(&mut |_| {})?;
        let recorder = session.recorder.speaking_for(About::by(Actor::Person));
        let result = self.ask_for_models(&config, recorder);
        session.close()?;
        result
    }

    fn ask_for_models(
        &self,
        config: &ProviderConfig,
        recorder: raincoat_effects::Recorder,
    ) -> Result<ProviderTest, Error> {
        let endpoint = Endpoint { base_url: config.base_url.clone(), model: String::new(), key: self.key_of(config)? };
        recorder.log_lazily(key_used(config).into_iter().collect());
        let peer = |words: String| Error::new(Class::Peer, words);
        let modes = self.modes(None)?;
        let door = Door::new(endpoint, modes.contains(Modes::OFFLINE), self.config.limits.clone(), recorder.clone())
            .map_err(|f| peer(f.message))?;
        let mut policy = Policy::default();
        policy.providers.push(config.name.clone());
        policy.modes = modes;
        let compiled = std::sync::Arc::new(raincoat_policy::Compiled::default().with_policy(policy));
        let judge = self.judge_of_person(compiled, RunId(Ulid::nil()), recorder.clone());
        let facts =
            Facts { now: self.clock.now(), provider: Some((config.name.clone(), door.is_local())), ..Facts::default() };
        let request = ModelRequest { provider: config.name.clone(), path: "models".to_owned(), body: Vec::new() };
        let permit =
            judge.with_facts(request, &facts, Vec::new()).map_err(|r| Error::new(Class::Refused, r.message))?;
        let mut body = Vec::new();
        let status = door
            .ask(permit, &mut |bytes| {
                body.extend_from_slice(bytes);
                ControlFlow::Continue(())
            })
            .map_err(|f| peer(f.message))?;
        let (models, message) = match raincoat_model::read_models(status, &body) {
            Ok(models) => (models.into_iter().map(|model| model.id).collect(), String::new()),
            Err(error) => (Vec::new(), error.to_string()),
        };
        Ok(ProviderTest { status, models, local: door.is_local(), message })
    }

    /// Puts a key into the vault, as a new version where there is one of that name. It may be sent to the hosts of the
    /// providers that name it.
    ///
    /// # Errors
    /// Where the name or the key will not do.
    pub fn add_key(&self, name: &str, secret: &Secret<String>) -> Result<u32, Error> {
        let mut usage = Use { provider: name.to_owned(), hosts: Vec::new() };
        for provider in self.providers()? {
            if provider.key.as_deref() == Some(name) {
                usage.hosts.push(host_of(&provider.base_url)?);
            }
        }
        let version = self.version_of(name)? + 1;
        let hosts = usage.hosts.clone();
        self.log_about(&by_person(), vec![Event::CredentialAdded { name: name.to_owned(), version, hosts }])?;
        self.vault()
            .add(Environment::default(), name, &usage, secret, self.clock.as_ref())
            .map_err(|e| Error::new(Class::Usage, e.to_string()))
    }

    /// Every key, without its secret.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn keys(&self) -> Result<Vec<KeyLine>, Error> {
        let all = self.vault().list(Some(Environment::default())).map_err(Error::store)?;
        Ok(all
            .into_iter()
            .filter_map(|info| {
                let current = info.current()?.clone();
                Some(KeyLine {
                    name: info.name.clone(),
                    version: current.version,
                    created: current.created,
                    hosts: current.usage.hosts,
                })
            })
            .collect())
    }

    /// Throws a key away, all its versions.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn remove_key(&self, name: &str) -> Result<(), Error> {
        // What cannot be removed fails as it did; what can is logged before it is gone.
        if self.version_of(name)? > 0 {
            self.log_about(&by_person(), vec![Event::KeyRemoved { name: name.to_owned() }])?;
        }
        self.vault().remove(Environment::default(), name).map_err(|e| Error::new(Class::Usage, e.to_string()))
    }

    /// The current version of a key; 0 where there is none.
    fn version_of(&self, name: &str) -> Result<u32, Error> {
        Ok(self.keys()?.iter().find(|key| key.name == name).map_or(0, |key| key.version))
    }

    /// The provider of a task, with its key. `None` for a recipe.
    pub(crate) fn provider_for(&self, ask: &RunAsk) -> Result<Option<Chosen>, Error> {
        if matches!(ask.task, Task::Recipe { .. }) {
            return Ok(None);
        }
        let config = match ask.provider.as_ref().or(self.config.default_provider.as_ref()) {
            Some(name) => self.provider(name)?,
            None => {
                let mut all = self.providers()?;
                let only = all.pop().filter(|_| all.is_empty());
                only.ok_or_else(|| {
                    Error::new(Class::Usage, "no model was chosen for this task")
                        .hint("`raincoat provider add NAME --url URL --model M` adds one; `--provider NAME` chooses among several")
                })?
            }
        };
        if ask.model.is_none() && config.model.is_none() {
            return Err(Error::new(Class::Usage, format!("provider `{}` has no model configured", config.name))
                .hint(format!("name one with `--model`; `raincoat provider test {}` lists them", config.name)));
        }
        let key = self.key_of(&config)?;
        Ok(Some((config, key)))
    }

    pub(crate) fn job_model(&self, ask: &RunAsk, config: &ProviderConfig) -> Result<JobModel, Error> {
        let model = ask.model.clone().or_else(|| config.model.clone()).unwrap_or_default();
        Ok(JobModel {
            provider: config.name.clone(),
            model,
            window: config.window(),
            // Where nobody said, tools are tried natively: a server that does not take them says so.
            native_tools: config.native_tools != NativeTools::No,
        })
    }

    fn provider(&self, name: &str) -> Result<ProviderConfig, Error> {
        let bytes = self.store.get(KIND, name.as_bytes()).map_err(Error::store)?.ok_or_else(|| no_provider(name))?;
        postcard::from_bytes(&bytes).map_err(Error::store)
    }

    fn key_of(&self, config: &ProviderConfig) -> Result<Option<Secret<String>>, Error> {
        let Some(name) = &config.key else { return Ok(None) };
        let credential = self.vault().current(Environment::default(), name).map_err(|e| {
            Error::new(Class::Usage, format!("provider `{}` wants the key `{name}`: {e}", config.name))
                .hint(format!("`raincoat key add {name}` reads it from a prompt or standard input"))
        })?;
        let host = host_of(&config.base_url)?;
        if !credential.usage.hosts.contains(&host) {
            let refused = Error::new(Class::Refused, format!("the key `{name}` may not be sent to `{host}`")).hint(
                format!("`raincoat provider add {} --url {} --key {name}` allows it", config.name, config.base_url),
            );
            return Err(self.access_refused(&format!("key {name}"), &host, "key-not-for-host", refused));
        }
        Ok(Some(credential.secret))
    }

    /// A key that is there already may be sent to one more host, because its owner named it in a provider.
    fn allow_host(&self, key: &str, provider: &str, host: &str) -> Result<(), Error> {
        let Ok(credential) = self.vault().current(Environment::default(), key) else { return Ok(()) };
        if credential.usage.hosts.iter().any(|known| known == host) {
            return Ok(());
        }
        let mut usage = credential.usage;
        let before = usage.hosts.join(", ");
        usage.hosts.push(host.to_owned());
        let changed = Event::SettingChanged {
            setting: format!("key {key}: hosts that it may be sent to"),
            from: Some(before),
            to: Some(format!("{} (for provider {provider})", usage.hosts.join(", "))),
        };
        self.log_about(&by_person(), vec![changed])?;
        self.vault()
            .add(Environment::default(), key, &usage, &credential.secret, self.clock.as_ref())
            .map_err(Error::store)?;
        Ok(())
    }

    fn vault(&self) -> Vault<'_> {
        Vault::new(&self.store, &self.keys)
    }
}

/// The key that a provider is sent, for the log.
pub(crate) fn key_used(config: &ProviderConfig) -> Option<Event> {
    let what = format!("key {}", config.key.as_ref()?);
    Some(Event::AccessGranted { what, to: format!("provider {}", config.name) })
}

/// A provider's terms in words, without the key.
fn terms(config: &ProviderConfig) -> String {
    let part = |name: &str, value: Option<&str>| value.map(|value| format!(", {name} {value}")).unwrap_or_default();
    let window = config.window.map(|window| window.to_string());
    format!(
        "{}{}{}{}",
        config.base_url,
        part("model", config.model.as_deref()),
        part("key", config.key.as_deref()),
        part("window", window.as_deref())
    )
}

fn no_provider(name: &str) -> Error {
    Error::new(Class::Usage, format!("there is no provider `{}`", display_bytes(name.as_bytes())))
        .hint("`raincoat provider list` lists them")
}

fn host_of(url: &str) -> Result<String, Error> {
    let url = parse_url(url).map_err(|e| Error::new(Class::Usage, e.to_string()))?;
    Ok(url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase())
}
