//! Grants as they are kept, and compiled.

use std::collections::HashMap;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use raincoat_gate::{Confirm, Grant, Policy, Who};
use raincoat_types::{Actions, Ceilings, GrantId, Identity, Measure, RelPath, Timestamp};
use serde::{Deserialize, Serialize};

/// A folder that its owner handed out, as it is kept (sealed) and shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GrantRecord {
    /// Its id.
    pub id: GrantId,
    /// Absolute path when it was granted, bytes. For people and for opening it again; which directory it must be is
    /// `identity`.
    pub path: Vec<u8>,
    /// Which directory was granted. Another directory under the same path is not granted.
    pub identity: Identity,
    /// What may be done in it.
    pub actions: Actions,
    /// It ends then.
    pub until: Option<Timestamp>,
    /// To whom: `agent`, `agent:NAME`, `recipe`, `recipe:NAME`; anybody where it is `None`.
    pub agent: Option<String>,
    /// Globs of paths beneath it that are not granted.
    pub deny: Vec<String>,
    /// When it was granted.
    pub created: Timestamp,
    /// What it holds may not leave this machine: only a model on it reads it, and programs without a network.
    pub private: bool,
    /// Files that one run may change in it.
    pub max_files: Option<u64>,
    /// Bytes that one run may write or delete in it.
    pub max_bytes: Option<u64>,
}

/// Why a grant cannot be.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// A `--deny` glob does not parse.
    #[error("`--deny {glob}` is not a glob: {why}")]
    BadGlob {
        /// The glob.
        glob: String,
        /// The parser's words.
        why: String,
    },
    /// The folder is, or lies in, a protected one.
    #[error("`{path}` is protected ({why}): it is not handed to agents")]
    Protected {
        /// The folder.
        path: String,
        /// The pattern and its reason.
        why: String,
    },
}

/// Grants compiled: the gate's policy, and the deny globs that `effects` asks about each path.
#[derive(Debug, Default)]
pub struct Compiled {
    /// What the gate reads.
    pub policy: Policy,
    denies: HashMap<GrantId, (GlobSet, Vec<String>)>,
}

impl GrantRecord {
    /// What may be done in it; what is private is never sent.
    pub fn allowed(&self) -> Actions {
        if self.private { self.actions - Actions::SEND } else { self.actions }
    }

    /// Whether nothing in it may change.
    pub fn is_read_only(&self) -> bool {
        !self.actions.intersects(Actions::WRITE | Actions::DELETE)
    }

    /// What one run may use up in it.
    pub fn ceilings(&self) -> Ceilings {
        Ceilings::default().with(Measure::Files, self.max_files).with(Measure::Bytes, self.max_bytes)
    }

    /// Checks a grant before it is kept.
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn check(&self) -> Result<(), GrantError> {
        glob_set(&self.deny)?;
        match crate::protected(&self.path, &RelPath::ROOT, false) {
            Some((_, rule)) => Err(GrantError::Protected {
                path: raincoat_types::display_bytes(&self.path),
                why: format!("`{}`, {}", rule.pattern, rule.why),
            }),
            None => Ok(()),
        }
    }
}

/// Compiles grants. One that does not compile grants nothing.
///
/// # Errors
/// [`GrantError::BadGlob`] of the first that does not.
pub fn compile(records: &[GrantRecord], confirm: Confirm) -> Result<Compiled, GrantError> {
    let mut denies = HashMap::new();
    let mut grants = Vec::with_capacity(records.len());
    for record in records {
        if !record.deny.is_empty() {
            denies.insert(record.id, (glob_set(&record.deny)?, record.deny.clone()));
        }
        grants.push(Grant {
            id: record.id,
            who: record.agent.clone().map_or(Who::Anyone, Who::Named),
            actions: record.allowed(),
            until: record.until,
        });
    }
    Ok(Compiled { policy: Policy::new(grants, confirm), denies })
}

impl Compiled {
    /// The same deny globs with another policy for the gate.
    #[must_use]
    pub fn with_policy(&self, policy: Policy) -> Compiled {
        Compiled { policy, denies: self.denies.clone() }
    }

    /// The deny glob of a grant that matches a path, or a folder that it lies in.
    pub fn denied(&self, grant: GrantId, path: &RelPath) -> Option<String> {
        let (set, globs) = self.denies.get(&grant)?;
        let mut at = Some(path.clone());
        while let Some(here) = at {
            if let Some(glob) = set.matches(as_os(here.as_bytes())).first().and_then(|n| globs.get(*n)) {
                return Some(glob.clone());
            }
            at = here.split_last().map(|(parent, _)| parent).filter(|parent| !parent.is_root());
        }
        None
    }
}

fn as_os(bytes: &[u8]) -> &std::ffi::OsStr {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes)
}

/// A glob without `/` matches a name at any depth, as in `.gitignore`; upper and lower case alike, so that a deny is
/// never dodged on a file system that folds case.
fn glob_set(globs: &[String]) -> Result<GlobSet, GrantError> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let trimmed = glob.trim_end_matches('/');
        let full = match trimmed.strip_prefix('/') {
            Some(rooted) => rooted.to_owned(),
            None if trimmed.contains('/') => trimmed.to_owned(),
            None => format!("**/{trimmed}"),
        };
        let bad = |why: globset::Error| GrantError::BadGlob { glob: glob.clone(), why: why.kind().to_string() };
        set.add(GlobBuilder::new(&full).literal_separator(true).case_insensitive(true).build().map_err(bad)?);
    }
    set.build().map_err(|why| GrantError::BadGlob { glob: globs.join(" "), why: why.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use raincoat_types::Ulid;

    fn record(deny: &[&str]) -> GrantRecord {
        GrantRecord {
            id: GrantId(Ulid::from_parts(1, 1)),
            path: b"/home/u/inbox".to_vec(),
            identity: Identity { dev: 1, ino: 1, born: Timestamp::default() },
            actions: Actions::all(),
            until: None,
            agent: None,
            deny: deny.iter().map(|s| (*s).to_owned()).collect(),
            created: Timestamp::default(),
            private: false,
            max_files: None,
            max_bytes: None,
        }
    }

    #[test]
    fn a_deny_holds_for_the_name_and_all_below_in_any_case() {
        let grant = record(&["*.key", "private/", "/top.txt", "a/*/c"]);
        let compiled = compile(std::slice::from_ref(&grant), Confirm::Plans).unwrap();
        let denied = |path: &str| compiled.denied(grant.id, &RelPath::new(path.as_bytes()).unwrap()).is_some();
        for path in ["x.key", "d/X.KEY", "private", "d/private/f/g", "top.txt", "a/b/c", "a/b/c/d"] {
            assert!(denied(path), "{path}");
        }
        for path in ["x.keys", "d/top.txt", "a/b/d/c", "privately"] {
            assert!(!denied(path), "{path}");
        }
    }

    #[test]
    fn a_bad_glob_or_a_protected_folder_is_no_grant() {
        assert!(matches!(record(&["a["]).check(), Err(GrantError::BadGlob { .. })));
        let mut keys = record(&[]);
        keys.path = b"/home/u/.ssh".to_vec();
        assert!(matches!(keys.check(), Err(GrantError::Protected { .. })));
        assert!(record(&["*.key"]).check().is_ok());
    }
}
