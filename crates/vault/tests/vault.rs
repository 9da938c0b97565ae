//! The vault from outside: versions, environments, and what it does not show.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use raincoat_os::{PrivateDir, SystemClock};
use raincoat_seal::{Keys, KeysError, Store, StoreError, Unlock};
use raincoat_types::{Clock, Secret, Timestamp};
use raincoat_vault::{Environment, Use, Vault, VaultError};

const DEV: Environment = Environment::Development;

struct At(i64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp { secs: self.0, nanos: 0 }
    }
}

struct Home {
    path: tempfile::TempDir,
    dir: PrivateDir,
    keys: Keys,
    store: Store,
}

impl Home {
    fn new() -> Home {
        let path = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(path.path()).unwrap();
        let keys = Keys::create(&dir, &Unlock::KeyFile, &SystemClock).unwrap();
        let store = Store::open(&dir, &keys).unwrap();
        Home { path, dir, keys, store }
    }

    fn vault(&self) -> Vault<'_> {
        Vault::new(&self.store, &self.keys)
    }
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn usage(hosts: &[&str]) -> Use {
    Use { provider: "openai".to_owned(), hosts: hosts.iter().map(|host| (*host).to_owned()).collect() }
}

// E1, E3
#[test]
fn a_new_version_is_current_and_the_old_one_stays_until_it_is_revoked() {
    let home = Home::new();
    let vault = home.vault();
    assert_eq!(vault.add(DEV, "openai", &usage(&["API.openai.com"]), &secret("one"), &At(100)).unwrap(), 1);
    assert_eq!(vault.add(DEV, "openai", &usage(&[]), &secret("two"), &At(200)).unwrap(), 2);
    assert_eq!(vault.get(DEV, "openai").unwrap().expose(), "two");
    let old = vault.version(DEV, "openai", 1).unwrap();
    assert_eq!((old.secret.expose().as_str(), old.created.secs), ("one", 100));
    assert_eq!(old.usage.hosts, ["api.openai.com"]);
    vault.revoke(DEV, "openai", 1, &At(300)).unwrap();
    assert!(matches!(vault.version(DEV, "openai", 1), Err(VaultError::Revoked { version: 1, .. })));
    assert_eq!(vault.get(DEV, "openai").unwrap().expose(), "two");

    let [info] = &vault.list(None).unwrap()[..] else { panic!() };
    assert_eq!((info.environment, info.name.as_str()), (DEV, "openai"));
    let seen: Vec<_> = info.versions.iter().map(|v| (v.version, v.age_secs(At(500).now()), v.revoked)).collect();
    assert_eq!(seen, [(1, 400, Some(At(300).now())), (2, 300, None)]);
    assert_eq!(info.current().unwrap().age_secs(At(0).now()), 0, "the clock was set back");

    // A revoked current version is not stood in for, and its number is not given again.
    vault.revoke(DEV, "openai", 2, &At(300)).unwrap();
    vault.revoke(DEV, "openai", 2, &At(400)).unwrap();
    assert!(matches!(vault.get(DEV, "openai"), Err(VaultError::Revoked { version: 2, .. })));
    assert_eq!(vault.list(None).unwrap()[0].versions[1].revoked.unwrap().secs, 300);
    assert_eq!(vault.add(DEV, "openai", &usage(&[]), &secret("three"), &At(500)).unwrap(), 3);

    vault.remove(DEV, "openai").unwrap();
    assert!(matches!(vault.get(DEV, "openai"), Err(VaultError::Missing { .. })));
    assert!(matches!(vault.remove(DEV, "openai"), Err(VaultError::Missing { .. })));
    assert!(matches!(vault.revoke(DEV, "openai", 1, &At(0)), Err(VaultError::Missing { .. })));
    assert!(vault.list(None).unwrap().is_empty());
}

#[test]
fn environments_are_apart_and_production_asks_for_a_fresh_unlock() {
    let home = Home::new();
    for environment in Environment::ALL {
        home.vault().add(environment, "key", &usage(&[]), &secret(environment.name()), &SystemClock).unwrap();
    }
    for environment in Environment::ALL {
        assert_eq!(home.vault().get(environment, "key").unwrap().expose(), environment.name());
    }
    assert_eq!(home.vault().list(Some(Environment::Staging)).unwrap().len(), 1);
    let order: Vec<_> = home.vault().list(None).unwrap().iter().map(|info| info.environment).collect();
    assert_eq!(order, Environment::ALL);

    let cached = Keys::unlock(&home.dir, &Unlock::Cached(home.keys.root_for_cache()), &SystemClock).unwrap();
    let vault = Vault::new(&home.store, &cached);
    assert_eq!(vault.get(DEV, "key").unwrap().expose(), "development");
    let production = Environment::Production;
    assert!(matches!(vault.get(production, "key"), Err(VaultError::Keys(KeysError::FreshUnlock))));
    let added = vault.add(production, "key", &usage(&[]), &secret("x"), &SystemClock);
    assert!(matches!(added, Err(VaultError::Keys(KeysError::FreshUnlock))));
    // What needs no secret needs no unlock: a leaked key is revoked at once.
    vault.revoke(production, "key", 1, &SystemClock).unwrap();
}

// E1, DESIGN 6 and 7
#[test]
fn no_file_no_list_and_no_error_shows_a_secret() {
    let home = Home::new();
    let vault = home.vault();
    let planted = "sk-planted-8a61c0";
    for round in 0..20 {
        let name = format!("name-{round}");
        vault.add(DEV, &name, &usage(&["planted-host.example"]), &secret(planted), &SystemClock).unwrap();
        vault.add(DEV, &name, &usage(&[]), &secret(&planted.repeat(100)), &SystemClock).unwrap();
        vault.revoke(DEV, &name, 1, &SystemClock).unwrap();
        if round % 2 == 0 {
            vault.remove(DEV, &name).unwrap();
        }
    }
    let shown = format!("{:?} {:?}", vault.list(None).unwrap(), vault.current(DEV, "name-1").unwrap());
    assert!(!shown.contains("sk-planted") && shown.contains("[secret]"));
    let error = vault.add(DEV, "bad name", &usage(&[]), &secret(planted), &SystemClock).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sk-planted"));
    for entry in std::fs::read_dir(home.path.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for needle in ["sk-planted", "planted-host", "name-1"] {
            assert!(!bytes.windows(needle.len()).any(|w| w == needle.as_bytes()), "{needle} in {}", path.display());
        }
    }
}

#[test]
fn credentials_put_in_each_others_place_do_not_open() {
    let home = Home::new();
    let vault = home.vault();
    vault.add(DEV, "a", &usage(&["a.example"]), &secret("one"), &SystemClock).unwrap();
    vault.add(DEV, "b", &usage(&["b.example"]), &secret("two"), &SystemClock).unwrap();
    // By someone with the database only: the rows.
    let raw = rusqlite::Connection::open(home.path.path().join("store.db")).unwrap();
    let swap = "CREATE TEMP TABLE was AS SELECT rowid AS r, sealed AS s FROM sealed;
                UPDATE sealed SET sealed = (SELECT s FROM was WHERE r = 3 - sealed.rowid); DROP TABLE was";
    raw.execute_batch(swap).unwrap();
    for name in ["a", "b"] {
        assert!(matches!(vault.get(DEV, name), Err(VaultError::Store(StoreError::Tampered(_)))));
    }
    assert!(vault.list(None).is_err());
    raw.execute_batch(swap).unwrap();
    assert_eq!(vault.get(DEV, "a").unwrap().expose(), "one");
    // By someone with the store's key too: the records. Names, environments and hosts are bound to the secret.
    let record = home.store.get("credential", b"development\0a").unwrap().unwrap();
    for id in [&b"development\0b"[..], b"staging\0a", b"production\0a"] {
        home.store.put("credential", id, &record).unwrap();
    }
    assert!(matches!(vault.get(DEV, "b"), Err(VaultError::Tampered { .. })));
    assert!(matches!(vault.get(Environment::Staging, "a"), Err(VaultError::Tampered { .. })));
    assert!(matches!(vault.get(Environment::Production, "a"), Err(VaultError::Tampered { .. })));
    for at in 0..record.len() {
        let mut changed = record.clone();
        changed[at] ^= 1;
        home.store.put("credential", b"development\0a", &changed).unwrap();
        match vault.current(DEV, "a") {
            Ok(found) => panic!("byte {at}: {found:?}"),
            Err(VaultError::Tampered { .. } | VaultError::Revoked { .. } | VaultError::Missing { .. }) => {}
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn names_hosts_and_secrets_have_bounds_and_say_so() {
    let home = Home::new();
    let vault = home.vault();
    let long = "n".repeat(129);
    for name in ["", "a b", "a\n", "a\0b", "gr\u{fc}n", "\u{202e}x", &long] {
        let error = vault.add(DEV, name, &usage(&[]), &secret("x"), &SystemClock).unwrap_err();
        assert!(matches!(error, VaultError::Name(_)), "{name:?}");
        assert!(vault.get(DEV, name).is_err() && vault.remove(DEV, name).is_err());
    }
    for host in
        ["", "*", "*.", "http://a.example", "a.example/path", "a b", ".example", "*.*.example", "user@a.example"]
    {
        let error = vault.add(DEV, "n", &usage(&[host]), &secret("x"), &SystemClock).unwrap_err();
        assert!(matches!(error, VaultError::Host(_)), "{host:?}");
    }
    let many = vec!["a.example"; 65];
    assert!(matches!(vault.add(DEV, "n", &usage(&many), &secret("x"), &SystemClock), Err(VaultError::TooManyHosts)));
    for text in [String::new(), "x".repeat((64 << 10) + 1), "a\0b".to_owned()] {
        assert!(matches!(vault.add(DEV, "n", &usage(&[]), &secret(&text), &SystemClock), Err(VaultError::Secret)));
    }
    let wrong = Use { provider: "a b".to_owned(), hosts: vec![] };
    assert!(matches!(vault.add(DEV, "n", &wrong, &secret("x"), &SystemClock), Err(VaultError::Provider(_))));
    assert!(vault.list(None).unwrap().is_empty());
    let hosts = usage(&["[::1]:8080", "127.0.0.1", "*.b.example", "A.example", "a.example"]);
    vault.add(DEV, "team/key:1@x.y_z", &hosts, &secret("x"), &SystemClock).unwrap();
    let kept = vault.current(DEV, "team/key:1@x.y_z").unwrap().usage.hosts;
    assert_eq!(kept, ["*.b.example", "127.0.0.1", "[::1]:8080", "a.example"]);
    let said = vault.get(DEV, "none").unwrap_err().to_string();
    assert_eq!(said, "there is no credential `none` for development: add it with `raincoat key add none`");
}

#[test]
fn two_writers_add_two_versions() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = Store::open(&home.dir, &home.keys).unwrap();
                for _ in 0..10 {
                    Vault::new(&store, &home.keys).add(DEV, "n", &usage(&[]), &secret("x"), &SystemClock).unwrap();
                }
            });
        }
    });
    let versions: Vec<u32> = home.vault().list(None).unwrap()[0].versions.iter().map(|v| v.version).collect();
    assert_eq!(versions, (1..=40).collect::<Vec<_>>());
}
