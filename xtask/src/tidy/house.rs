//! What cargo knows about the workspace, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::{Result, command};

/// The workspace and what it leans on.
#[derive(Default)]
pub(super) struct House {
    /// Its members.
    pub(super) rooms: Vec<Room>,
    /// Everything from elsewhere that members are built with (normal and build dependencies, on this host).
    pub(super) third_party: BTreeSet<Crate>,
    /// What ends up in the `raincoat` binary (normal dependencies only, on this host).
    pub(super) product: BTreeSet<Crate>,
    /// The members' manifests, by name.
    pub(super) manifests: BTreeMap<String, String>,
}

/// A member of the workspace.
#[derive(Default)]
pub(super) struct Room {
    /// As in the table: without `raincoat-`.
    pub(super) name: String,
    pub(super) description: String,
    pub(super) dependencies: Vec<Dependency>,
    pub(super) features: BTreeMap<String, Vec<String>>,
}

/// An arrow from a room.
pub(super) struct Dependency {
    /// Package name, with `raincoat-` where it is a room.
    pub(super) name: String,
    /// Whether only tests use it.
    pub(super) dev: bool,
    pub(super) features: Vec<String>,
}

/// A package from elsewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) licence: Option<String>,
}

/// How a member's package is named.
pub(super) const PREFIX: &str = "raincoat-";

impl House {
    pub(super) fn load(root: &Path) -> Result<House> {
        let version = command::output(root, "rustc", &["-vV"])?;
        let version = String::from_utf8_lossy(&version);
        let host =
            version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc does not name its host")?;
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .no_deps()
            .exec()
            .map_err(|error| format!("cargo cannot describe the workspace: {error}"))?;

        let members = metadata.workspace_packages();
        let mut house = House::default();
        for package in &members {
            let manifest = std::fs::read_to_string(&package.manifest_path)
                .map_err(|error| format!("cannot read `{}`: {error}", package.manifest_path))?;
            let name = package.name.strip_prefix(PREFIX).unwrap_or(&package.name).to_owned();
            house.manifests.insert(name.clone(), manifest);
            let dependencies = package.dependencies.iter().map(|dependency| Dependency {
                name: dependency.name.clone(),
                dev: dependency.kind == DependencyKind::Development,
                features: dependency.features.clone(),
            });
            house.rooms.push(Room {
                name,
                description: package.description.clone().unwrap_or_default(),
                dependencies: dependencies.collect(),
                features: package.features.clone(),
            });
        }
        house.third_party = tree(root, &["--workspace"], host, "normal,build")?;
        house.product = tree(root, &["--package", "raincoat-cli"], host, "normal,no-proc-macro")?;
        Ok(house)
    }
}

/// What `cargo tree` reaches, with the features that are really on, the workspace's own members left out. (The graph in
/// `cargo metadata` also has crates that only a feature which nobody asks for would bring.)
fn tree(root: &Path, packages: &[&str], host: &str, edges: &str) -> Result<BTreeSet<Crate>> {
    let format = ["--prefix", "none", "--format", "{p}|{l}", "--locked", "--target", host, "--edges", edges];
    let args: Vec<&str> = ["tree"].iter().chain(packages).chain(&format).copied().collect();
    let out = command::output(root, "cargo", &args)?;
    let out = String::from_utf8(out).map_err(|error| format!("`cargo tree` wrote no text: {error}"))?;
    out.lines().filter(|line| !line.trim().is_empty()).map(parse).filter_map(Result::transpose).collect()
}

/// A line such as `blake3 v1.8.7|CC0-1.0 OR Apache-2.0 (*)`; `None` for a member, which has a path in parentheses.
fn parse(line: &str) -> Result<Option<Crate>> {
    let read = || {
        let (package, licence) = line.split_once('|')?;
        let mut words = package.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        let member = words.any(|word| word.starts_with("(/"));
        let licence = licence.trim_end_matches("(*)").trim();
        let licence = (!licence.is_empty()).then(|| licence.to_owned());
        Some((!member).then(|| Crate { name: name.to_owned(), version: version.to_owned(), licence }))
    };
    read().ok_or_else(|| format!("`cargo tree` wrote a line that cannot be read: `{line}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_tree_are_read() {
        let read = |line| parse(line).unwrap().map(|one| (one.name, one.version, one.licence));
        let a = |licence: Option<&str>| Some(("a-b".to_owned(), "1.0.0+x".to_owned(), licence.map(str::to_owned)));
        assert_eq!(read("a-b v1.0.0+x|MIT OR X (*)"), a(Some("MIT OR X")));
        assert_eq!(read("a-b v1.0.0+x (proc-macro)|MIT/X"), a(Some("MIT/X")));
        assert_eq!(read("a-b v1.0.0+x|"), a(None));
        assert_eq!(read("raincoat-os v0.1.0 (/somewhere/crates/os)|MIT"), None);
        assert!(parse("a-b").is_err());
        assert!(parse("a-b 1.0|MIT").is_err());
    }
}
