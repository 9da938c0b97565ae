//! From the folders that a person names to the run's own: each must be a granted folder or lie within one.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use raincoat_effects::{Folder, Recorder, Start};
use raincoat_gate::Confirm;
use raincoat_os::{Root, new_ulid};
use raincoat_policy::{Compiled, GrantRecord, compile};
use raincoat_types::{Actions, Actor, Ceilings, GrantId, RelPath, Root as RunRoot, RunId, display_bytes};

use crate::judge::{RunNames, Scoped};
use crate::{Class, Error, Keeper};

/// A folder as a person names it.
#[derive(Clone, Debug)]
pub struct FolderAsk {
    /// Its path, absolute.
    pub path: PathBuf,
}

/// The terms that a recorded folder was worked in by, and where it lies beneath what they are said of.
pub(crate) type TermsOf<'a> = dyn Fn(&RunRoot, &Root) -> Option<(GrantRecord, RelPath)> + 'a;

/// A run's folders, open, with the policy that speaks of them.
pub(crate) struct RunFolders {
    pub(crate) folders: Vec<Folder>,
    pub(crate) writable: Vec<bool>,
    pub(crate) roots: Vec<RunRoot>,
    pub(crate) names: RunNames,
    pub(crate) compiled: Arc<Compiled>,
    /// The grants behind the folders, each of which must stay; none for an undo, which is the person's own.
    pub(crate) behind: Vec<GrantId>,
    /// What the run may use up in each, by the run's own ids.
    pub(crate) ceilings: BTreeMap<GrantId, Ceilings>,
}

impl RunFolders {
    /// The granted folders behind the run's own, for the log: where the run's own lies deeper, its grant's.
    pub(crate) fn granted(&self) -> Vec<raincoat_audit::Folder> {
        let folder = |(root, scoped): (&RunRoot, &Scoped)| {
            let deeper = scoped.beneath.as_bytes().len();
            let keep = if deeper == 0 { root.path.len() } else { root.path.len().saturating_sub(deeper + 1) };
            let path = root.path.get(..keep).unwrap_or(&root.path).to_vec();
            raincoat_audit::Folder { grant: root.grant, path }
        };
        self.roots.iter().zip(&self.names.scoped).map(folder).collect()
    }

    /// What a run's thread begins with, and which of its folders it may change.
    pub(crate) fn into_start(
        self,
        keeper: &Keeper,
        run: RunId,
        recorder: Recorder,
        stop: Arc<AtomicBool>,
    ) -> (Start, Vec<bool>) {
        let start = Start {
            run,
            folders: self.folders,
            names: Box::new(self.names),
            limits: keeper.config.limits.clone(),
            recorder,
            clock: keeper.clock.clone(),
            stop,
        };
        (start, self.writable)
    }
}

impl Keeper {
    /// Opens the folders that a task names, each within a grant that speaks to the actor.
    pub(crate) fn task_folders(
        &self,
        asks: &[FolderAsk],
        actor: &Actor,
        confirm: Confirm,
        leaves: bool,
    ) -> Result<RunFolders, Error> {
        let grants = self.grants()?;
        let mut found = Vec::new();
        for ask in asks {
            let shown = display_bytes(ask.path.as_os_str().as_bytes());
            let root = Root::open(&ask.path)
                .map_err(|e| Error::new(Class::Usage, format!("`{shown}` cannot be opened: {e}")))?;
            let (grant, beneath) = self.grant_over(&grants, &root, actor).ok_or_else(|| {
                Error::new(Class::Refused, format!("`{shown}` is not granted to {}", actor.name()))
                    .hint(format!("`raincoat grant {shown}` hands it out; `raincoat grants` lists what is"))
            })?;
            found.push((root, grant, beneath));
        }
        self.scope(&grants, found, confirm, leaves)
    }

    /// Opens the folders that an earlier run had, for its undo: by the path it knew, if that is still the same folder.
    /// The person owns them; no grant need be left.
    pub(crate) fn recorded_folders(&self, roots: &[RunRoot]) -> Result<RunFolders, Error> {
        self.recorded_with(roots, &|_, _| None)
    }

    /// The same, each with the terms that this says, and where the folder lies beneath what they are said of; without
    /// any where it says none.
    pub(crate) fn recorded_with(&self, roots: &[RunRoot], granted: &TermsOf<'_>) -> Result<RunFolders, Error> {
        let mut folders = Vec::new();
        let mut grants = Vec::new();
        let mut scoped = Vec::new();
        for recorded in roots {
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(&recorded.path));
            let shown = display_bytes(&recorded.path);
            let root = Root::open(&path).map_err(|e| {
                Error::new(Class::Conflict, format!("the folder `{shown}` cannot be opened: {e}"))
                    .hint("put it back under that name, and try again")
            })?;
            if root.identity() != recorded.identity {
                return Err(Error::new(
                    Class::Conflict,
                    format!("`{shown}` is another folder than the one that was worked in"),
                )
                .hint("put the old one back under that name, and try again"));
            }
            let (terms, beneath) = granted(recorded, &root).unwrap_or_else(|| (record_of(recorded), RelPath::ROOT));
            grants.push(terms);
            scoped.push(Scoped { id: recorded.grant, grant: recorded.grant, beneath });
            folders.push(Folder { grant: recorded.grant, root });
        }
        let compiled = Arc::new(compile(&grants, Confirm::Never).map_err(Error::store)?);
        let (own, private) = (self.own.clone(), Vec::new());
        let names = RunNames { compiled: compiled.clone(), scoped, own, private, leaves: false };
        let (writable, roots) = (vec![true; folders.len()], roots.to_vec());
        let (behind, ceilings) = (Vec::new(), BTreeMap::new());
        Ok(RunFolders { folders, writable, roots, names, compiled, behind, ceilings })
    }

    /// The grant that a folder is, or lies in. Told by which directory it is, upward from it, never by its path.
    pub(crate) fn grant_over(
        &self,
        grants: &[GrantRecord],
        root: &Root,
        actor: &Actor,
    ) -> Option<(GrantRecord, RelPath)> {
        let now = self.clock.now();
        let usable: Vec<&GrantRecord> = grants
            .iter()
            .filter(|grant| grant.until.is_none_or(|until| now < until))
            .filter(|grant| grant.agent.clone().is_none_or(|who| raincoat_gate::Who::Named(who).includes(actor)))
            .collect();
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut here = root.try_clone().ok()?;
        loop {
            if let Some(grant) = usable.iter().find(|grant| grant.identity == here.identity()) {
                let beneath = names.iter().rev().try_fold(RelPath::ROOT, |at, name| at.join(name)).ok()?;
                return Some(((*grant).clone(), beneath));
            }
            let path = here.path().to_path_buf();
            names.push(path.file_name()?.as_bytes().to_vec());
            here = Root::open(path.parent().unwrap_or(Path::new("/"))).ok()?;
        }
    }

    fn scope(
        &self,
        grants: &[GrantRecord],
        found: Vec<(Root, GrantRecord, RelPath)>,
        confirm: Confirm,
        leaves: bool,
    ) -> Result<RunFolders, Error> {
        let mut ceilings = BTreeMap::new();
        let ruled = !self.policy()?.files.is_empty();
        let mut all = Vec::new();
        let (mut folders, mut writable, mut roots, mut scoped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (root, grant, beneath) in found {
            let id = if beneath.is_root() {
                grant.id
            } else {
                GrantId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?)
            };
            if folders.iter().any(|folder: &Folder| folder.root.identity() == root.identity()) {
                continue;
            }
            let path = root.path().as_os_str().as_bytes().to_vec();
            roots.push(RunRoot { grant: id, path, identity: root.identity() });
            scoped.push(Scoped { id, grant: grant.id, beneath });
            // The owner's rules may let more be done than the grant's actions; then the gate alone says what.
            writable.push(!grant.is_read_only() || ruled);
            ceilings.insert(id, grant.ceilings());
            if id != grant.id {
                // The gate knows the run's folder by its own id, with the same limits.
                all.push(GrantRecord { id, deny: Vec::new(), ..grant.clone() });
            }
            all.push(grant);
            folders.push(Folder { grant: id, root });
        }
        let compiled = Arc::new(compile(&all, confirm).map_err(Error::store)?);
        let behind = scoped.iter().map(|scoped: &Scoped| scoped.grant).collect();
        let private = private_folders(grants);
        let names = RunNames { compiled: compiled.clone(), scoped, own: self.own.clone(), private, leaves };
        Ok(RunFolders { folders, writable, roots, names, compiled, behind, ceilings })
    }
}

/// Whether an absolute path without symlinks is a folder's, or lies beneath it, name by name.
pub(crate) fn is_or_lies_in(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

/// Folders whose content may not leave this machine. A grant that has ended says so still.
pub(crate) fn private_folders(grants: &[GrantRecord]) -> Vec<Vec<u8>> {
    grants.iter().filter(|grant| grant.private).map(|grant| grant.path.clone()).collect()
}

/// What the gate needs to let the person take back what was done in a folder.
pub(crate) fn record_of(root: &RunRoot) -> GrantRecord {
    GrantRecord {
        id: root.grant,
        path: root.path.clone(),
        identity: root.identity,
        actions: Actions::all(),
        until: None,
        agent: Some("person".to_owned()),
        deny: Vec::new(),
        created: raincoat_types::Timestamp::default(),
        private: false,
        max_files: None,
        max_bytes: None,
    }
}
