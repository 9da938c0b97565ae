//! The table of rooms, held against what the manifests say.

use std::collections::{BTreeMap, BTreeSet};

use super::house::{House, PREFIX};
use super::table_beneath;
use crate::Result;

/// Which room may use which.
pub(super) struct Table {
    may_use: BTreeMap<String, BTreeSet<String>>,
    /// The rooms as the table's lines follow each other.
    order: Vec<String>,
}

/// Only tests use it, and every room's tests may.
const FOR_TESTS: &str = "testkit";
/// The project's own tasks: no room, and may use none.
const NO_ROOM: &str = "xtask";

impl Table {
    /// Reads the table beneath "The rooms". "all of the above" stands for each room on an earlier line.
    pub(super) fn parse(architecture: &str) -> Result<Table> {
        let mut may_use: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut order = Vec::new();
        for row in table_beneath(architecture, "## The rooms")? {
            let [room, _, uses] = row.as_slice() else {
                return Err(format!("ARCHITECTURE.md, the rooms: `{}` has not three cells", row.join(" | ")));
            };
            let uses = match *uses {
                "-" => BTreeSet::new(),
                "all of the above" => may_use.keys().cloned().collect(),
                list => list.split(',').map(|name| name.trim().to_owned()).collect(),
            };
            let room = room.trim_matches('`').to_owned();
            if let Some(unknown) = uses.iter().find(|name| !may_use.contains_key(*name)) {
                return Err(format!(
                    "ARCHITECTURE.md, the rooms: `{room}` may use `{unknown}`, which has no earlier line"
                ));
            }
            order.push(room.clone());
            may_use.insert(room, uses);
        }
        Ok(Table { may_use, order })
    }

    /// Whether a room's line stands above the other's: the rooms that are built without it.
    fn is_earlier(&self, room: &str, than: &str) -> bool {
        self.order.iter().take_while(|name| *name != than).any(|name| name == room)
    }
}

/// A sentence for each arrow that the table does not have, each room without a line and each line without a room.
pub(super) fn check(house: &House, table: &Table) -> Vec<String> {
    let mut breaches = Vec::new();
    let nothing = BTreeSet::new();
    for room in &house.rooms {
        let may_use = match table.may_use.get(&room.name) {
            Some(may_use) => may_use,
            None if room.name == NO_ROOM => &nothing,
            None => {
                breaches
                    .push(format!("the room `{}` has no line in ARCHITECTURE.md's table; write it first", room.name));
                continue;
            }
        };
        for dependency in &room.dependencies {
            let Some(other) = dependency.name.strip_prefix(PREFIX) else { continue };
            let for_tests = dependency.dev && (other == FOR_TESTS || table.is_earlier(other, &room.name));
            if !may_use.contains(other) && !for_tests {
                let how = if dependency.dev { "its tests use" } else { "it uses" };
                breaches.push(format!(
                    "`{}` may not use `{other}`, but {how} it; take the dependency out, or show that another table is simpler",
                    room.name
                ));
            }
        }
    }
    for room in table.may_use.keys() {
        if !house.rooms.iter().any(|member| member.name == *room) {
            breaches.push(format!("ARCHITECTURE.md's table has a line for `{room}`, but there is no such crate"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::super::house::{Dependency, Room};
    use super::*;

    const TABLE: &str = "\
# x
## The rooms

words

| room | what | may use |
| --- | --- | --- |
| `types` | a | - |
| `os` | b | types |
| `runtime` | c | all of the above |
| `testkit` | d | types |

## More
";

    fn room(name: &str, uses: &[(&str, bool)]) -> Room {
        let dependency = |(name, dev): &(&str, bool)| Dependency { name: (*name).into(), dev: *dev, features: vec![] };
        Room { name: name.into(), dependencies: uses.iter().map(dependency).collect(), ..Room::default() }
    }

    fn checked(extra: Vec<Room>) -> Vec<String> {
        let mut rooms = vec![
            room("runtime", &[("raincoat-os", false), ("raincoat-types", false), ("serde", false)]),
            room("testkit", &[]),
            room("xtask", &[]),
        ];
        for name in ["types", "os"] {
            if !extra.iter().any(|room| room.name == name) {
                rooms.push(room(name, &[]));
            }
        }
        rooms.extend(extra);
        check(&House { rooms, ..House::default() }, &Table::parse(TABLE).unwrap())
    }

    #[test]
    fn a_house_as_drawn_is_in_order() {
        assert_eq!(checked(vec![room("os", &[("raincoat-types", false), ("raincoat-testkit", true)])]), [""; 0]);
        let shed = TABLE.replace("| `runtime`", "| `shed` | e | types |\n| `runtime`");
        let rooms = [
            room("types", &[]),
            room("os", &[]),
            room("shed", &[("raincoat-os", true)]),
            room("runtime", &[]),
            room("testkit", &[]),
        ];
        assert_eq!(check(&House { rooms: rooms.into(), ..House::default() }, &Table::parse(&shed).unwrap()), [""; 0]);
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_a_breach() {
        assert!(checked(vec![room("types", &[("raincoat-os", false)])])[0].starts_with("`types` may not use `os`"));
        assert!(checked(vec![room("types", &[("raincoat-os", true)])])[0].contains("its tests use"));
        assert!(checked(vec![room("os", &[("raincoat-testkit", false)])])[0].contains("may not use `testkit`"));
    }

    #[test]
    fn the_tasks_use_no_room() {
        assert!(checked(vec![room("xtask", &[("raincoat-types", false)])])[0].starts_with("`xtask` may not use"));
    }

    #[test]
    fn a_room_without_a_line_and_a_line_without_a_room_are_breaches() {
        assert!(checked(vec![room("shed", &[])])[0].starts_with("the room `shed` has no line"));
        let table = Table::parse(&TABLE.replace("| `testkit`", "| `cellar` | e | - |\n| `testkit`")).unwrap();
        let rooms = ["types", "os", "runtime", "testkit"].map(|name| room(name, &[])).into();
        let breaches = check(&House { rooms, ..House::default() }, &table);
        assert_eq!(breaches, ["ARCHITECTURE.md's table has a line for `cellar`, but there is no such crate"]);
    }

    #[test]
    fn a_table_that_points_at_a_later_or_unknown_line_is_refused() {
        assert!(Table::parse(&TABLE.replace("| b | types |", "| b | runtime |")).is_err());
        assert!(Table::parse("## The rooms\n\nnothing\n").is_err());
        assert!(Table::parse("nothing").is_err());
    }
}
