//! How a credential lies in the store: one record with all its versions, within the store's own sealing.
//!
//! Each secret is sealed once more, under a data key of its own, which the environment's key wraps. Both are bound to
//! everything that says what the secret may be used for: whoever has the store's key but not the environment's can
//! neither read a secret nor have it sent to another host.
//!
//! Value: format (1 byte: 1), then [`Record`] in postcard. Id: environment, a zero byte, name.

use raincoat_seal::{Environment, SealKey};
use raincoat_types::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::VaultError;

const FORMAT: u8 = 1;

/// All versions of a credential, oldest first, numbered from 1 without gaps.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) versions: Vec<Version>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) terms: Terms,
    pub(crate) state: State,
}

/// What a version's secret is bound to, besides environment and name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) number: u32,
    pub(crate) created: Timestamp,
    pub(crate) provider: String,
    pub(crate) hosts: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) enum State {
    Active {
        data_key: Vec<u8>,
        secret: Vec<u8>,
    },
    /// Data key and secret are gone.
    Revoked {
        at: Timestamp,
    },
}

impl Record {
    /// `None` for bytes that are no record of this format.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Record> {
        let (format, rest) = bytes.split_first()?;
        (*format == FORMAT).then(|| postcard::from_bytes(rest).ok()).flatten()
    }

    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        postcard::to_extend(self, vec![FORMAT]).ok()
    }
}

impl Version {
    /// Seals a secret under a new data key.
    pub(crate) fn seal(
        environment_key: &SealKey,
        environment: Environment,
        name: &str,
        terms: Terms,
        secret: &Secret<String>,
    ) -> Result<Version, VaultError> {
        let key = SealKey::generate()?;
        let data_key = environment_key.seal_key(&context("key", environment, name, &terms), &key)?;
        let secret = key.seal(&context("secret", environment, name, &terms), secret.expose().as_bytes())?;
        Ok(Version { terms, state: State::Active { data_key, secret } })
    }

    /// Opens the secret.
    pub(crate) fn open(
        &self,
        environment_key: &SealKey,
        environment: Environment,
        name: &str,
    ) -> Result<Secret<String>, VaultError> {
        let State::Active { data_key, secret } = &self.state else {
            return Err(VaultError::Revoked { name: name.to_owned(), version: self.terms.number });
        };
        let tampered = || VaultError::Tampered { name: name.to_owned() };
        let key = environment_key
            .open_key(&context("key", environment, name, &self.terms), data_key)
            .map_err(|_| tampered())?;
        let plain = key.open(&context("secret", environment, name, &self.terms), secret).map_err(|_| tampered())?;
        String::from_utf8(plain).map(Secret::new).map_err(|error| {
            error.into_bytes().zeroize();
            tampered()
        })
    }
}

/// The credential's id in the store.
pub(crate) fn id(environment: Environment, name: &str) -> Vec<u8> {
    let mut id = environment.name().as_bytes().to_vec();
    id.push(0);
    id.extend_from_slice(name.as_bytes());
    id
}

/// Environment and name of an id; `None` for what is no id.
pub(crate) fn parse_id(id: &[u8]) -> Option<(Environment, String)> {
    let (environment, name) = std::str::from_utf8(id).ok()?.split_once('\0')?;
    Some((Environment::parse(environment)?, name.to_owned()))
}

/// Every part with its length before it, so that no two lists of parts give the same bytes.
fn context(what: &str, environment: Environment, name: &str, terms: &Terms) -> Vec<u8> {
    let mut context = b"raincoat vault v1\0".to_vec();
    let mut part = |bytes: &[u8]| {
        context.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        context.extend_from_slice(bytes);
    };
    part(what.as_bytes());
    part(environment.name().as_bytes());
    part(name.as_bytes());
    part(&terms.number.to_le_bytes());
    part(&terms.created.secs.to_le_bytes());
    part(&terms.created.nanos.to_le_bytes());
    part(terms.provider.as_bytes());
    for host in &terms.hosts {
        part(host.as_bytes());
    }
    context
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms() -> impl Strategy<Value = Terms> {
        let hosts = prop::collection::vec("[a-c]{0,2}", 0..3);
        (1_u32..3, 0_i64..2, 0_u32..2, "[a-c]{0,2}", hosts).prop_map(|(number, secs, nanos, provider, hosts)| Terms {
            number,
            created: Timestamp { secs, nanos },
            provider,
            hosts,
        })
    }

    proptest! {
        #[test]
        fn a_secret_opens_on_exactly_its_own_terms(a in terms(), b in terms(), name in "[a-b]{1,2}", other in "[a-b]{1,2}") {
            let key = SealKey::from_bytes([1; 32]);
            let secret = Secret::new("hush".to_owned());
            let here = Environment::Development;
            let mut version = Version::seal(&key, here, &name, a.clone(), &secret).unwrap();
            let opened = version.open(&key, here, &name).unwrap();
            prop_assert_eq!(opened.expose(), "hush");
            prop_assert_eq!(version.open(&key, here, &other).is_ok(), name == other);
            prop_assert!(version.open(&key, Environment::Staging, &name).is_err());
            prop_assert!(version.open(&SealKey::from_bytes([2; 32]), here, &name).is_err());
            version.terms = b.clone();
            prop_assert_eq!(version.open(&key, here, &name).is_ok(), a == b);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Record::from_bytes(&bytes);
            let _ = parse_id(&bytes);
        }
    }

    #[test]
    fn a_data_key_of_one_version_opens_no_other() {
        let key = SealKey::from_bytes([1; 32]);
        let terms = |number| Terms { number, created: Timestamp::default(), provider: String::new(), hosts: vec![] };
        let seal = |number, secret: &str| {
            Version::seal(&key, Environment::Development, "n", terms(number), &Secret::new(secret.to_owned())).unwrap()
        };
        let (mut one, two) = (seal(1, "one"), seal(2, "two"));
        let (State::Active { secret, .. }, State::Active { secret: other, .. }) = (&mut one.state, &two.state) else {
            panic!()
        };
        secret.clone_from(other);
        assert!(one.open(&key, Environment::Development, "n").is_err());
    }
}
