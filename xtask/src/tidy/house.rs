//! What cargo knows about the workspace, as plain data.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

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
            .other_options(["--filter-platform".to_owned(), host.to_owned(), "--locked".to_owned()])
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
        let all: Vec<&PackageId> = members.iter().map(|package| &package.id).collect();
        house.third_party = reach(&metadata, all, &[DependencyKind::Normal, DependencyKind::Build]);
        let binary = members.iter().filter(|package| package.name.as_str() == "raincoat-cli");
        house.product = reach(&metadata, binary.map(|package| &package.id).collect(), &[DependencyKind::Normal]);
        Ok(house)
    }
}

/// What is reached from `start` over arrows of these kinds, the workspace's own members left out.
fn reach<'a>(metadata: &'a Metadata, start: Vec<&'a PackageId>, kinds: &[DependencyKind]) -> BTreeSet<Crate> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: HashMap<_, _> = nodes.map(|node| (&node.id, node)).collect();
    let packages: HashMap<_, _> = metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let mut seen = BTreeSet::new();
    let mut pending = start;
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        for dependency in nodes.get(id).iter().flat_map(|node| &node.deps) {
            if dependency.dep_kinds.iter().any(|kind| kinds.contains(&kind.kind)) {
                pending.push(&dependency.pkg);
            }
        }
    }
    let foreign = seen.into_iter().filter(|id| !metadata.workspace_members.contains(id));
    let packages = foreign.filter_map(|id| packages.get(id));
    packages
        .map(|package| Crate {
            name: package.name.to_string(),
            version: package.version.to_string(),
            licence: package.license.clone(),
        })
        .collect()
}
