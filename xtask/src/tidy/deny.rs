//! What deny.toml allows and bans, read from the file that `cargo deny` reads too, so that the two cannot disagree.

use toml_edit::{DocumentMut, Item, TableLike, Value};

use crate::Result;

/// The part of deny.toml that needs no network to check.
#[derive(Default)]
pub(super) struct Deny {
    /// Licences that any crate may have.
    pub(super) allowed: Vec<String>,
    /// Licences that one crate may have besides.
    pub(super) exceptions: Vec<(String, Vec<String>)>,
    /// Crates that may not be in the tree.
    pub(super) banned: Vec<String>,
    /// Versions of a crate that may be there beside another one, as `name@version`.
    pub(super) duplicates: Vec<String>,
}

impl Deny {
    pub(super) fn parse(text: &str) -> Result<Deny> {
        let document: DocumentMut = text.parse().map_err(|error| format!("deny.toml cannot be read: {error}"))?;
        let licences = document.get("licenses").ok_or("deny.toml has no [licenses]")?;
        let bans = document.get("bans").ok_or("deny.toml has no [bans]")?;
        let mut deny = Deny { allowed: strings(licences.get("allow")), ..Deny::default() };
        for table in tables(licences.get("exceptions")) {
            deny.exceptions.push((named(table)?, strings(table.get("allow"))));
        }
        for table in tables(bans.get("deny")) {
            deny.banned.push(reasoned(table)?);
        }
        for table in tables(bans.get("skip")) {
            deny.duplicates.push(reasoned(table)?);
        }
        Ok(deny)
    }
}

fn reasoned(table: &dyn TableLike) -> Result<String> {
    let name = named(table)?;
    match table.get("reason").and_then(Item::as_str) {
        Some(reason) if !reason.trim().is_empty() => Ok(name),
        _ => Err(format!("deny.toml: the entry for `{name}` has no reason; write one")),
    }
}

fn named(table: &dyn TableLike) -> Result<String> {
    let name = table.get("crate").and_then(Item::as_str);
    name.map(str::to_owned).ok_or_else(|| "deny.toml: an entry has no `crate`".to_owned())
}

fn strings(item: Option<&Item>) -> Vec<String> {
    let array = item.and_then(Item::as_array);
    array.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The tables of an array, written inline (`[{ .. }]`) or not (`[[ .. ]]`).
fn tables(item: Option<&Item>) -> Vec<&dyn TableLike> {
    match item {
        Some(Item::Value(Value::Array(array))) => {
            array.iter().filter_map(Value::as_inline_table).map(|table| table as &dyn TableLike).collect()
        }
        Some(Item::ArrayOfTables(array)) => array.iter().map(|table| table as &dyn TableLike).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_an_array_of_tables_are_read() {
        let deny = Deny::parse(
            "[licenses]\nallow = [\"MIT\"]\nexceptions = [{ crate = \"a\", allow = [\"X\"] }]\n\
             [bans]\n[[bans.deny]]\ncrate = \"b\"\nreason = \"old\"\n[[bans.skip]]\ncrate = \"c@1\"\nreason = \"d\"\n",
        )
        .unwrap();
        assert_eq!(deny.allowed, ["MIT"]);
        assert_eq!(deny.exceptions, [("a".to_owned(), vec!["X".to_owned()])]);
        assert_eq!((deny.banned, deny.duplicates), (vec!["b".to_owned()], vec!["c@1".to_owned()]));
    }

    #[test]
    fn an_entry_without_a_reason_is_refused() {
        assert!(Deny::parse("[licenses]\n[bans]\ndeny = [{ crate = \"b\" }]\n").is_err());
        assert!(Deny::parse("[licenses]\n[bans]\nskip = [{ crate = \"b\", reason = \" \" }]\n").is_err());
        assert!(Deny::parse("[bans]\n").is_err());
    }
}
