//! Cedar's own samples and test files, out of its crates' sources: what our decisions are held against. The integration
//! tests of Cedar are in no package; these are.

use std::path::{Path, PathBuf};

use crate::{Result, command};

/// Crate, version, and the folder of its source that holds the samples. The version is that of Cargo.lock.
const CRATES: [(&str, &str, &str); 2] =
    [("cedar-policy-cli", "4.14.1", "sample-data"), ("cedar-policy", "4.14.1", "tests/proto_test_files")];

/// Puts the samples into `target/cedar-samples`, once. Cargo fetches the sources and checks them against its index.
pub(crate) fn fetch(root: &Path) -> Result<()> {
    let at = root.join("target/cedar-samples");
    let stamp = CRATES.map(|(name, version, _)| format!("{name} {version}\n")).concat();
    if std::fs::read_to_string(at.join("installed.txt")).is_ok_and(|installed| installed == stamp) {
        return Ok(());
    }
    let fail = |error: std::io::Error| format!("cannot write to `{}`: {error}", at.display());
    if at.exists() {
        std::fs::remove_dir_all(&at).map_err(fail)?;
    }
    for (name, version, folder) in CRATES {
        println!("fetching the samples of `{name}` {version} (once)");
        command::output(root, "cargo", &["info", "--quiet", &format!("{name}@{version}")])?;
        copy(&source(&format!("{name}-{version}"))?.join(folder), &at.join(name)).map_err(fail)?;
    }
    std::fs::write(at.join("installed.txt"), stamp).map_err(fail)
}

/// Where cargo unpacked a crate.
fn source(name: &str) -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let home = home.ok_or("neither CARGO_HOME nor HOME is set; set one")?;
    let sources = home.join("registry/src");
    let registries = std::fs::read_dir(&sources)
        .map_err(|error| format!("cannot read `{}`: {error}; is CARGO_HOME right?", sources.display()))?;
    let found = registries.flatten().map(|registry| registry.path().join(name)).find(|path| path.is_dir());
    found.ok_or_else(|| format!("cargo did not unpack `{name}`; `cargo info` needs cargo 1.82 or newer"))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
