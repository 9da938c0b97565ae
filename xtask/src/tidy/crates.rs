//! What comes from elsewhere: where it may be used, under which licence, and once only.

use std::collections::{BTreeMap, BTreeSet};

use super::deny::Deny;
use super::house::{Crate, House};
use super::{licence, table_beneath};
use crate::Result;

/// Which rooms may name a crate; crates that are not in it may be used anywhere.
pub(super) struct Homes(BTreeMap<String, BTreeSet<String>>);

impl Homes {
    /// Reads the table beneath "Crates that stay in their room".
    pub(super) fn parse(architecture: &str) -> Result<Homes> {
        let mut homes = BTreeMap::new();
        for row in table_beneath(architecture, "## Crates that stay in their room")? {
            let [crates, rooms, _] = row.as_slice() else {
                return Err(format!("ARCHITECTURE.md, the crates: `{}` has not three cells", row.join(" | ")));
            };
            let rooms: BTreeSet<String> = rooms.split(',').map(|room| room.trim().to_owned()).collect();
            for name in crates.split(',') {
                homes.insert(name.trim().trim_matches('`').to_owned(), rooms.clone());
            }
        }
        Ok(Homes(homes))
    }
}

/// A sentence for each crate that is used outside its rooms. Tests are exempt, and so is `testkit`, which only tests use.
pub(super) fn check_homes(house: &House, homes: &Homes) -> Vec<String> {
    let mut breaches = Vec::new();
    for room in house.rooms.iter().filter(|room| room.name != "testkit") {
        for dependency in room.dependencies.iter().filter(|dependency| !dependency.dev) {
            if let Some(rooms) = homes.0.get(&dependency.name)
                && !rooms.contains(&room.name)
            {
                let rooms: Vec<&str> = rooms.iter().map(String::as_str).collect();
                breaches.push(format!(
                    "`{}` belongs in {}, but `{}` uses it; ask that room for what is needed",
                    dependency.name,
                    rooms.join(" and "),
                    room.name
                ));
            }
        }
    }
    breaches
}

/// A sentence for each crate whose licence deny.toml does not allow, and for each exception that nothing needs.
pub(super) fn check_licences(house: &House, deny: &Deny) -> Vec<String> {
    let mut breaches = Vec::new();
    for one in &house.third_party {
        let granted = deny.exceptions.iter().filter(|(name, _)| *name == one.name).flat_map(|(_, granted)| granted);
        let granted: Vec<&String> = deny.allowed.iter().chain(granted).collect();
        let allowed = |name: &str| granted.iter().any(|one| *one == name);
        match &one.licence {
            Some(expression) if licence::satisfied(expression, &allowed) => {}
            Some(expression) => breaches.push(format!(
                "`{}` {} has the licence `{expression}`, which deny.toml does not allow; find another crate",
                one.name, one.version
            )),
            None => breaches.push(format!("`{}` {} names no licence; find another crate", one.name, one.version)),
        }
    }
    for (name, _) in &deny.exceptions {
        if !house.third_party.iter().any(|one| one.name == *name) {
            breaches
                .push(format!("deny.toml has a licence exception for `{name}`, which is not in the tree; take it out"));
        }
    }
    breaches
}

/// A sentence for each crate in the tree that deny.toml bans.
pub(super) fn check_banned(house: &House, deny: &Deny) -> Vec<String> {
    let banned = house.third_party.iter().filter(|one| deny.banned.contains(&one.name));
    banned
        .map(|one| format!("`{}` is banned (deny.toml says why), but the tree has {}", one.name, one.version))
        .collect()
}

/// A sentence for each crate that the binary has in several versions, and for each exception that nothing needs (the
/// builds of macros count there, for `cargo deny` counts them too).
pub(super) fn check_duplicates(house: &House, deny: &Deny) -> Vec<String> {
    let versions = several(&house.product);
    let mut breaches = Vec::new();
    for (name, versions) in &versions {
        let excepted = |version: &str| deny.duplicates.iter().any(|skip| skips(skip, name, version));
        let left: Vec<&str> = versions.iter().copied().filter(|version| !excepted(version)).collect();
        if left.len() > 1 {
            breaches.push(format!(
                "the binary has `{name}` in versions {}; agree on one, or give the reason in deny.toml",
                left.join(" and ")
            ));
        }
    }
    let versions = several(&house.third_party);
    for skip in &deny.duplicates {
        let needed = versions.iter().any(|(name, versions)| versions.iter().any(|version| skips(skip, name, version)));
        if !needed {
            breaches.push(format!("deny.toml skips `{skip}`, of which there is one version or none; take it out"));
        }
    }
    breaches
}

/// Whether an exception is for this version: `syn`, `syn@2` and `syn@2.0.119` all are for 2.0.119.
fn skips(skip: &str, name: &str, version: &str) -> bool {
    match skip.split_once('@') {
        None => skip == name,
        Some((skipped, start)) => {
            let rest = version.strip_prefix(start);
            skipped == name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }
    }
}

/// The crates of which there is more than one version.
fn several(crates: &BTreeSet<Crate>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in crates {
        versions.entry(&one.name).or_default().insert(&one.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions
}

#[cfg(test)]
mod tests {
    use super::super::house::{Dependency, Room};
    use super::*;

    fn one(name: &str, version: &str, licence: &str) -> Crate {
        let licence = (!licence.is_empty()).then(|| licence.to_owned());
        Crate { name: name.into(), version: version.into(), licence }
    }

    fn deny() -> Deny {
        Deny { allowed: vec!["MIT".into()], ..Deny::default() }
    }

    #[test]
    fn a_crate_outside_its_room_is_a_breach() {
        let homes =
            "## Crates that stay in their room\n\n| c | r | w |\n|-|-|-|\n| `libc`, `rustix` | os, sandbox | x |\n";
        let homes = Homes::parse(homes).unwrap();
        let uses = |room: &str, name: &str, dev| {
            let dependencies = vec![Dependency { name: name.into(), dev, features: vec![] }];
            let rooms = vec![Room { name: room.into(), dependencies, ..Room::default() }];
            check_homes(&House { rooms, ..House::default() }, &homes)
        };
        assert_eq!(
            uses("cli", "rustix", false),
            ["`rustix` belongs in os and sandbox, but `cli` uses it; ask that room for what is needed"]
        );
        assert!(uses("os", "libc", false).is_empty());
        assert!(uses("cli", "libc", true).is_empty());
        assert!(uses("testkit", "libc", false).is_empty());
        assert!(uses("cli", "serde", false).is_empty());
    }

    #[test]
    fn a_licence_that_is_not_allowed_is_a_breach() {
        let third_party = [one("a", "1.0.0", "MIT OR GPL-3.0"), one("b", "2.0.0", "GPL-3.0"), one("c", "1.0.0", "")];
        let house = House { third_party: third_party.into(), ..House::default() };
        let breaches = check_licences(&house, &deny());
        assert!(breaches[0].starts_with("`b` 2.0.0 has the licence `GPL-3.0`"));
        assert!(breaches[1].starts_with("`c` 1.0.0 names no licence"));
        assert_eq!(breaches.len(), 2);
    }

    #[test]
    fn a_licence_exception_holds_for_its_crate_and_must_be_needed() {
        let house = House { third_party: [one("b", "2.0.0", "X"), one("c", "1.0.0", "X")].into(), ..House::default() };
        let exceptions = vec![("b".to_owned(), vec!["X".to_owned()]), ("gone".to_owned(), vec![])];
        let breaches = check_licences(&house, &Deny { exceptions, ..deny() });
        assert!(breaches[0].starts_with("`c` 1.0.0"));
        assert!(breaches[1].contains("exception for `gone`"));
        assert_eq!(breaches.len(), 2);
    }

    #[test]
    fn a_banned_crate_is_a_breach() {
        let house = House { third_party: [one("openssl", "0.10.0", "MIT")].into(), ..House::default() };
        assert_eq!(check_banned(&house, &Deny { banned: vec!["openssl".into()], ..deny() }).len(), 1);
        assert_eq!(check_banned(&house, &deny()).len(), 0);
    }

    #[test]
    fn a_crate_in_two_versions_is_a_breach_without_a_reason() {
        let crates = BTreeSet::from([one("a", "1.0.0", ""), one("a", "2.0.0", "")]);
        let house = House { product: crates.clone(), third_party: crates, ..House::default() };
        assert!(check_duplicates(&house, &deny())[0].starts_with("the binary has `a` in versions 1.0.0 and 2.0.0"));
        let skip = |skip: &str| check_duplicates(&house, &Deny { duplicates: vec![skip.into()], ..deny() });
        assert!(skip("a@1.0.0").is_empty());
        assert!(skip("a").is_empty());
        assert!(skip("a@1").is_empty());
        assert_eq!(skip("a@3.0.0").len(), 2);
    }
}
