//! What a program is given: folders, a draft of them, and the plan of its enclosure.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use raincoat_draft::{Asked, Prepared, prepare};
use raincoat_gate::Protection;
use raincoat_os::{Root, beneath, mutate, new_ulid, state};
use raincoat_policy::GrantRecord;
use raincoat_sandbox::program::{Folder, How, Network, PROXY_PORT, Plan};
use raincoat_types::{Actor, FileKind, GrantId, RelPath, Root as RunRoot, RunId, display_bytes};

use super::ExecAsk;
use crate::console::Console;
use crate::folders::record_of;
use crate::{Class, Error, Keeper};

/// Bytes of a file that a program gets a copy of.
const COPIED_MOST: u64 = 8 << 20;

/// A folder of the run, open.
pub(crate) struct Opened {
    pub(crate) root: Root,
    pub(crate) record: RunRoot,
    pub(crate) read_only: bool,
    /// Granted by naming it on the command line, for this run.
    pub(crate) by_naming: bool,
    /// The grant, under the run's own id for the folder.
    pub(crate) granted: GrantRecord,
}

impl Keeper {
    /// The directories of the draft.
    pub(crate) fn prepare(&self, ask: &ExecAsk, run: RunId, opened: &[Opened]) -> Result<Prepared, Error> {
        let shown = |path: &str| ask.secrets.iter().any(|secret| secret == path);
        let hide: Vec<RelPath> = raincoat_policy::rules()
            .iter()
            .filter(|rule| rule.protection == Protection::Secret && !rule.pattern.contains('*') && !shown(rule.pattern))
            .filter_map(|rule| RelPath::new(rule.pattern.as_bytes()).ok())
            .collect();
        let hide_top = |name: &[u8]| {
            let path = RelPath::new(name).ok();
            let rule = path.and_then(|path| raincoat_policy::protected(b"/", &path, false));
            rule.is_some_and(|(protection, _)| protection == Protection::Secret)
                && !ask.secrets.iter().any(|secret| secret.as_bytes() == name)
        };
        let drafted = opened.iter().filter(|folder| !folder.read_only);
        let asked: Vec<Asked<'_>> = drafted
            .map(|folder| Asked { root: &folder.root, granted: &folder.record, hide: &hide, hide_top: &hide_top })
            .collect();
        prepare(&self.data, run, &asked).map_err(|error| Error::new(Class::Environment, error.to_string()))
    }

    /// What the program is enclosed in.
    pub(crate) fn plan(&self, ask: &ExecAsk, opened: &[Opened], prepared: &Prepared) -> Result<Plan, Error> {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let mut folders = Vec::new();
        let mut places = prepared.folders.iter().map(|folder| folder.recorded.place.path.clone());
        for folder in opened {
            let how = match folder.read_only {
                true => How::ReadOnly,
                false => match places.next() {
                    Some(place) => How::Draft { place },
                    None => return Err(Error::new(Class::Bug, "a folder has no draft")),
                },
            };
            folders.push(Folder { at: folder.record.path.clone(), how });
        }
        let caches = ask.caches.iter();
        folders.extend(caches.map(|(at, place)| Folder { at: bytes(at), how: How::Kept { place: bytes(place) } }));
        folders.extend(ask.empty.iter().map(|at| Folder { at: bytes(at), how: How::Empty }));
        for file in &ask.read_files {
            self.not_ours(file)?;
            folders.push(Folder { at: bytes(file), how: How::ReadOnly });
        }
        for file in &ask.copied_files {
            let (content, mode) = self.read_for_copy(file)?;
            folders.push(Folder { at: bytes(file), how: How::Copied { content, mode } });
        }
        // Outer ones first, so that an inner one lies over them.
        folders.sort_by_key(|folder| folder.at.len());
        Ok(Plan {
            command: ask.command.clone(),
            env: with_proxy(ask),
            cwd: bytes(&ask.cwd),
            folders,
            hidden: [&self.home.config, &self.home.data, &self.home.state].map(|dir| bytes(dir)).to_vec(),
            home: bytes(&ask.home),
            network: if ask.hosts.is_empty() { Network::None } else { Network::Proxy },
            limits: ask.limits.clone(),
            terminal: ask.terminal,
            size: ask.size,
            umask: mutate::user_umask(),
            may_nest: ask.may_nest,
            strict: ask.strict,
        })
    }

    /// One line: whether all can be taken back, and what cannot.
    pub(super) fn tell_reach(&self, ask: &ExecAsk, prepared: &Prepared, console: &mut dyn Console) {
        let shown = |path: &[u8]| format!("`{}`", display_bytes(path));
        let drafted: Vec<String> = prepared.folders.iter().map(|folder| shown(&folder.recorded.root.path)).collect();
        let mut line = match drafted.as_slice() {
            [] => "nothing of yours can be changed: no folder is worked on".to_owned(),
            folders => format!("everything in {} can be taken back: it works on a draft", folders.join(", ")),
        };
        let mut not = Vec::new();
        if !ask.hosts.is_empty() {
            not.push(format!("what it sends to {}", ask.hosts.join(", ")));
        }
        if !ask.caches.is_empty() {
            let caches = ask.caches.iter().map(|(at, _)| shown(at.as_os_str().as_bytes()));
            not.push(format!("what it keeps in caches of its own ({})", caches.collect::<Vec<_>>().join(", ")));
        }
        if !not.is_empty() {
            line.push_str(&format!("; not {}", not.join(", nor ")));
        }
        let masked = prepared.folders.iter().flat_map(|folder| &folder.recorded.masked);
        let masked: Vec<String> = masked.map(|path| format!("`{}`", path.display())).collect();
        if !masked.is_empty() {
            line.push_str(&format!("; hidden from it, as secrets: {}", masked.join(", ")));
        }
        console.say(&line);
    }

    /// The folders, each open: within a grant that speaks to the program, or granted for this run because the person
    /// named it on the command line.
    pub(super) fn exec_folders(&self, ask: &ExecAsk, actor: &Actor) -> Result<Vec<Opened>, Error> {
        let grants = self.grants()?;
        let mut opened: Vec<Opened> = Vec::new();
        let all = ask.write.iter().map(|path| (path, false)).chain(ask.read.iter().map(|path| (path, true)));
        for (path, only_read) in all {
            let shown = display_bytes(path.as_os_str().as_bytes());
            let root =
                Root::open(path).map_err(|e| Error::new(Class::Usage, format!("`{shown}` cannot be opened: {e}")))?;
            self.not_ours(root.path())?;
            if opened.iter().any(|other| other.root.identity() == root.identity()) {
                continue;
            }
            let path = root.path().as_os_str().as_bytes().to_vec();
            let found = self.grant_over(&grants, &root, actor);
            let by_naming = found.is_none();
            let granted = match found {
                Some((grant, beneath)) if beneath.is_root() => grant,
                Some((grant, _)) => GrantRecord { id: self.new_grant()?, ..grant },
                None => named_for_this_run(self.new_grant()?, &path, &root)?,
            };
            let read_only = granted.is_read_only() || only_read;
            let record = RunRoot { grant: granted.id, path, identity: root.identity() };
            opened.push(Opened { root, record, read_only, by_naming, granted });
        }
        // A folder within another one that is worked on is in its draft already.
        let outer: Vec<Vec<u8>> =
            opened.iter().filter(|folder| !folder.read_only).map(|folder| folder.record.path.clone()).collect();
        opened.retain(|folder| !outer.iter().any(|path| lies_in(&folder.record.path, path)));
        Ok(opened)
    }

    /// Nothing within our own directories is shown to a program, however it is named.
    fn not_ours(&self, path: &Path) -> Result<(), Error> {
        let ours = path.ancestors().filter_map(|above| beneath::identity_of(above).ok());
        if ours.into_iter().any(|identity| self.own.dirs.contains(&identity)) {
            let shown = display_bytes(path.as_os_str().as_bytes());
            return Err(Error::new(Class::Refused, format!("`{shown}` is raincoat's own data and is never granted")));
        }
        Ok(())
    }

    /// A file's bytes and permission bits.
    fn read_for_copy(&self, file: &Path) -> Result<(Vec<u8>, u32), Error> {
        self.not_ours(file)?;
        let shown = display_bytes(file.as_os_str().as_bytes());
        let fail = |why: String| Error::new(Class::Usage, format!("`{shown}` cannot be copied for the program: {why}"));
        let (parent, name) = file.parent().zip(file.file_name()).ok_or_else(|| fail("it is no file".to_owned()))?;
        let folder = Root::open(parent).map_err(|e| fail(e.to_string()))?;
        let path = RelPath::new(name.as_bytes()).map_err(|e| fail(e.to_string()))?;
        let found = folder.find_exact(&path).map_err(|e| fail(e.to_string()))?;
        let stat = found.stat.as_ref().filter(|stat| stat.kind == FileKind::File && stat.size <= COPIED_MOST);
        let stat = stat.ok_or_else(|| fail(format!("it is no file of at most {} MiB", COPIED_MOST >> 20)))?;
        let fd = beneath::open_file_for_reading(found.folder(), &found.name, stat).map_err(|e| fail(e.to_string()))?;
        let mut content = vec![0; usize::try_from(stat.size).unwrap_or(0)];
        let got = state::read_at(fd.as_fd(), &mut content, 0).map_err(|e| fail(e.to_string()))?;
        content.truncate(got);
        Ok((content, stat.mode & 0o777))
    }

    fn new_grant(&self) -> Result<GrantId, Error> {
        Ok(GrantId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?))
    }
}

/// A folder that was named on the command line is granted by that, unless it is one that nobody gets.
fn named_for_this_run(id: GrantId, path: &[u8], root: &Root) -> Result<GrantRecord, Error> {
    let root = RunRoot { grant: id, path: path.to_vec(), identity: root.identity() };
    let record = GrantRecord { agent: None, ..record_of(&root) };
    record.check().map_err(|e| Error::new(Class::Refused, e.to_string()))?;
    Ok(record)
}

/// The environment, with the way to the network in it.
fn with_proxy(ask: &ExecAsk) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut env = ask.env.clone();
    if ask.hosts.is_empty() {
        return env;
    }
    let url = format!("http://127.0.0.1:{PROXY_PORT}");
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        env.push((name.as_bytes().to_vec(), url.clone().into_bytes()));
    }
    // The loopback inside is the program's own, unless the person named something on the machine's.
    let loopback = |host: &String| ["localhost", "127.", "[::1]"].iter().any(|start| host.starts_with(start));
    if !ask.hosts.iter().any(loopback) {
        for name in ["NO_PROXY", "no_proxy"] {
            env.push((name.as_bytes().to_vec(), b"localhost,127.0.0.1,::1".to_vec()));
        }
    }
    // Node's own client looks at the variables above only then.
    env.push((b"NODE_USE_ENV_PROXY".to_vec(), b"1".to_vec()));
    env
}

fn lies_in(path: &[u8], folder: &[u8]) -> bool {
    let beneath = path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'));
    beneath || (folder == b"/" && path != b"/")
}
