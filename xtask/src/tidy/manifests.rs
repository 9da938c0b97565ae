//! The members' manifests: lints, words, features.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{DocumentMut, Item};

use super::house::House;
use crate::Result;

/// The rooms where `unsafe` may be. They repeat the workspace's lints, for cargo cannot take all but one.
const UNSAFE_ROOMS: [&str; 3] = ["os", "sandbox", "testkit"];

/// A sentence for each member that is not under the workspace's lints, and for each denied lint that a room with
/// `unsafe` has dropped.
///
/// # Errors
/// A manifest that cannot be read.
pub(super) fn check_lints(workspace: &str, manifests: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    let workspace = parse("the workspace", workspace)?;
    let lints = workspace.get("workspace").and_then(|table| table.get("lints"));
    if level(lints, "rust", "unsafe_code") != Some("forbid") {
        breaches.push("the workspace's lints do not forbid `unsafe_code`; put it back".to_owned());
    }
    let denied = lints.and_then(|lints| lints.get("clippy")).and_then(Item::as_table_like);
    let denied = denied.into_iter().flat_map(|table| table.iter()).filter(|(_, level)| level.as_str() == Some("deny"));
    let denied: Vec<&str> = denied.map(|(lint, _)| lint).collect();

    for (name, manifest) in manifests {
        let manifest = parse(name, manifest)?;
        let own = manifest.get("lints");
        if UNSAFE_ROOMS.contains(&name.as_str()) {
            let dropped = denied.iter().filter(|lint| level(own, "clippy", lint) != Some("deny"));
            breaches
                .extend(dropped.map(|lint| format!("`{name}` does not deny clippy's `{lint}`, as the workspace does")));
        } else if own.and_then(|own| own.get("workspace")).and_then(Item::as_bool) != Some(true) {
            breaches.push(format!("`{name}` is not under the workspace's lints; write `[lints] workspace = true`"));
        }
    }
    Ok(breaches)
}

/// A sentence for each member that does not say in words what it is.
pub(super) fn check_descriptions(house: &House) -> Vec<String> {
    let wordless = house.rooms.iter().filter(|room| room.description.split_whitespace().count() < 3);
    wordless
        .map(|room| format!("`{}` has no description in its manifest; say in a few words what it is", room.name))
        .collect()
}

/// A sentence for each way by which the feature `fault` could get into a build that is not for tests.
pub(super) fn check_fault_feature(house: &House) -> Vec<String> {
    let mut breaches = Vec::new();
    let is_fault = |feature: &str| feature == "fault" || feature.ends_with("/fault");
    for room in house.rooms.iter().filter(|room| room.name != "testkit") {
        let mut reached = BTreeSet::new();
        let mut pending = vec!["default"];
        while let Some(feature) = pending.pop() {
            if reached.insert(feature) {
                pending.extend(room.features.get(feature).into_iter().flatten().map(String::as_str));
            }
        }
        if reached.into_iter().any(is_fault) {
            breaches.push(format!("`{}` has `fault` among its default features; only tests may ask for it", room.name));
        }
        for dependency in room.dependencies.iter().filter(|dependency| !dependency.dev) {
            if dependency.features.iter().any(|feature| is_fault(feature)) {
                let (room, other) = (&room.name, &dependency.name);
                breaches.push(format!("`{room}` asks `{other}` for `fault` outside its tests; only tests may"));
            }
        }
    }
    breaches
}

fn parse(name: &str, manifest: &str) -> Result<DocumentMut> {
    manifest.parse().map_err(|error| format!("the manifest of `{name}` cannot be read: {error}"))
}

/// The level of a lint, written as a word or as `{ level = "..", priority = .. }`.
fn level<'a>(lints: Option<&'a Item>, tool: &str, lint: &str) -> Option<&'a str> {
    let lint = lints?.get(tool)?.get(lint)?;
    lint.as_str().or_else(|| lint.get("level")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::house::{Dependency, Room};
    use super::*;

    const WORKSPACE: &str = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n\
                             [workspace.lints.clippy]\npanic = \"deny\"\nlarge = \"warn\"\n";

    fn lints(workspace: &str, name: &str, manifest: &str) -> Vec<String> {
        check_lints(workspace, &[(name.to_owned(), manifest.to_owned())].into()).unwrap()
    }

    #[test]
    fn a_member_without_the_workspaces_lints_is_a_breach() {
        assert!(lints(WORKSPACE, "gate", "[lints]\nworkspace = true\n").is_empty());
        assert_eq!(lints(WORKSPACE, "gate", "[package]\n").len(), 1);
        assert_eq!(lints(WORKSPACE, "gate", "[lints]\nworkspace = false\n").len(), 1);
        assert_eq!(lints(&WORKSPACE.replace("forbid", "deny"), "gate", "[lints]\nworkspace = true\n").len(), 1);
    }

    #[test]
    fn a_room_with_unsafe_keeps_every_denied_lint() {
        assert!(lints(WORKSPACE, "os", "[lints.clippy]\npanic = \"deny\"\n").is_empty());
        assert!(lints(WORKSPACE, "os", "[lints.clippy]\npanic = { level = \"deny\", priority = 1 }\n").is_empty());
        assert_eq!(lints(WORKSPACE, "os", "[lints.clippy]\npanic = \"warn\"\n").len(), 1);
    }

    fn house(room: Room) -> House {
        House { rooms: vec![room], ..House::default() }
    }

    #[test]
    fn a_placeholder_is_no_description() {
        let room = |text: &str| house(Room { description: text.into(), ..Room::default() });
        assert_eq!(check_descriptions(&room("DESC")).len(), 1);
        assert_eq!(check_descriptions(&room("the journal of changes")).len(), 0);
    }

    #[test]
    fn fault_in_the_default_features_is_a_breach_however_deep() {
        let features = |default: &str| {
            let map = [("default", default), ("more", "raincoat-os/fault"), ("fault", "")];
            let map = map.map(|(name, on)| (name.to_owned(), vec![on.to_owned()])).into();
            check_fault_feature(&house(Room { features: map, ..Room::default() })).len()
        };
        assert_eq!(features("more"), 1);
        assert_eq!(features("fault"), 1);
        assert_eq!(features("other"), 0);
    }

    #[test]
    fn fault_in_a_dependency_is_a_breach_outside_tests() {
        let asks = |dev| {
            let dependency = Dependency { name: "raincoat-os".into(), dev, features: vec!["fault".into()] };
            check_fault_feature(&house(Room { dependencies: vec![dependency], ..Room::default() })).len()
        };
        assert_eq!((asks(false), asks(true)), (1, 0));
    }
}
