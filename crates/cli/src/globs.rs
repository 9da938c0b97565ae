//! Globs that choose among paths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use raincoat_types::RelPath;

/// Globs, one of which may match. One without `/` matches a name at any depth, as in `.gitignore`; a folder that
/// matches brings along what is in it.
pub(crate) struct Globs {
    set: GlobSet,
}

impl Globs {
    /// Reads globs.
    ///
    /// # Errors
    /// In words, for the first that is none.
    pub(crate) fn new(globs: &[String]) -> Result<Globs, String> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            let trimmed = glob.trim_start_matches("./").trim_end_matches('/');
            let anywhere = if trimmed.contains('/') { trimmed.to_owned() } else { format!("**/{trimmed}") };
            let built = GlobBuilder::new(&anywhere).literal_separator(true).backslash_escape(true).build();
            set.add(built.map_err(|why| format!("`{glob}` is no glob: {}", why.kind()))?);
        }
        Ok(Globs { set: set.build().map_err(|why| why.kind().to_string())? })
    }

    /// Whether one matches the path, or a folder that it lies in.
    pub(crate) fn matches(&self, path: &RelPath) -> bool {
        let mut at = Some(path.clone());
        while let Some(here) = at.filter(|here| !here.is_root()) {
            if self.set.is_match(OsStr::from_bytes(here.as_bytes())) {
                return true;
            }
            at = here.split_last().map(|(parent, _)| parent);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_matches_at_any_depth_and_a_folder_brings_its_content() {
        let globs = |all: &[&str]| Globs::new(&all.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>()).unwrap();
        let at = |path: &str| RelPath::new(path.as_bytes()).unwrap();
        assert!(globs(&["*.lock"]).matches(&at("a/b/Cargo.lock")));
        assert!(globs(&["src/**"]).matches(&at("src/a/b.rs")));
        assert!(globs(&["target/"]).matches(&at("x/target/debug/a")));
        assert!(!globs(&["src/*.rs"]).matches(&at("src/a/b.rs")));
        assert!(!globs(&[]).matches(&at("a")));
        assert!(Globs::new(&["[".to_owned()]).is_err());
    }
}
