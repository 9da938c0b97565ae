//! Holds the house against its own rules. Each check takes plain data and gives back sentences, one for each breach, so
//! that a test can plant one.

mod crates;
mod deny;
mod house;
mod licence;
mod manifests;
mod rooms;
mod sources;

use std::path::Path;

use crate::Result;

pub(crate) fn run(root: &Path) -> Result<()> {
    let house = house::House::load(root)?;
    let sources = sources::load(root)?;
    let architecture = text(root, "ARCHITECTURE.md")?;
    let deny = deny::Deny::parse(&text(root, "deny.toml")?)?;
    let workspace = text(root, "Cargo.toml")?;

    let mut breaches = Vec::new();
    match rooms::Table::parse(&architecture) {
        Ok(table) => breaches.extend(rooms::check(&house, &table)),
        Err(message) => breaches.push(message),
    }
    match crates::Homes::parse(&architecture) {
        Ok(homes) => breaches.extend(crates::check_homes(&house, &homes)),
        Err(message) => breaches.push(message),
    }
    breaches.extend(crates::check_licences(&house, &deny));
    breaches.extend(crates::check_banned(&house, &deny));
    breaches.extend(crates::check_duplicates(&house, &deny));
    breaches.extend(manifests::check_lints(&workspace, &house.manifests)?);
    breaches.extend(manifests::check_descriptions(&house));
    breaches.extend(manifests::check_fault_feature(&house));
    breaches.extend(sources::check_gate_size(&sources));
    breaches.extend(sources::check_promises(&sources));
    breaches.extend(sources::check_machine_words(&sources));
    breaches.extend(sources::check_links(&sources, &|path| root.join(path).exists()));

    for breach in &breaches {
        eprintln!("tidy: {breach}");
    }
    match breaches.len() {
        0 => {
            println!(
                "tidy: {} rooms, {} crates, {} files: all in order",
                house.rooms.len(),
                house.third_party.len(),
                sources.len()
            );
            Ok(())
        }
        1 => Err("tidy found one breach".to_owned()),
        many => Err(format!("tidy found {many} breaches")),
    }
}

fn text(root: &Path, name: &str) -> Result<String> {
    std::fs::read_to_string(root.join(name)).map_err(|error| format!("cannot read `{name}`: {error}"))
}

/// The rows of the first table beneath a heading, as trimmed cells; the header and the rule beneath it left out.
fn table_beneath<'a>(markdown: &'a str, heading: &str) -> Result<Vec<Vec<&'a str>>> {
    let mut lines = markdown.lines().skip_while(|line| line.trim_end() != heading).skip(1);
    let table: Vec<&str> = lines
        .by_ref()
        .take_while(|line| !line.starts_with('#'))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .collect();
    if table.len() < 3 {
        return Err(format!("ARCHITECTURE.md has no table beneath `{heading}`; put it back"));
    }
    let cells = |line: &'a str| line.trim().trim_matches('|').split('|').map(str::trim).collect();
    Ok(table.into_iter().skip(2).map(cells).collect())
}
