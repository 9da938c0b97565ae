//! All drafts: sealing, listing, opening, wiping.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use raincoat_os::{PrivateDir, mutate, overlay};
use raincoat_seal::{SealError, SealKey};
use raincoat_types::{RunId, Timestamp, Ulid, display_bytes};

use crate::draft::Draft;
use crate::place::{DRAFTS, LIVE_LOCK, Prepared, UNSEALED, Unsealed, make_private};
use crate::record::{MAX_RECORD, Record, State};
use crate::wipe::{WipeError, remove_place, remove_tree};

/// The sealed record, in a draft's directory.
pub(crate) const RECORD: &str = "draft.bin";
/// What a draft's directory is called while it is taken away.
const WIPED: &str = ".wiped";
/// The label of the key that seals everything here.
const LABEL: &str = "raincoat draft record";

/// All drafts of this user.
#[derive(Debug)]
pub struct Drafts {
    dir: PrivateDir,
    key: SealKey,
}

/// What is remembered of a new draft beside its folders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewDraft {
    /// The command and its arguments.
    pub command: Vec<Vec<u8>>,
    /// The profile's name, if it runs with one.
    pub profile: Option<String>,
    /// When it began.
    pub began: Timestamp,
}

/// An open draft, in short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The program's run.
    pub run: RunId,
    /// Where it stands.
    pub standing: Standing,
    /// The record, where there is one; of a draft that was never sealed, what its directories tell: no command.
    pub record: Option<Record>,
    /// Names in the draft's folders that the program made, changed or took away.
    pub entries: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// All were counted; else these are lower bounds.
    pub counted_all: bool,
}

/// Where a draft stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Its program runs: its keeper holds the draft's lock.
    Live,
    /// Its program ended.
    Ended {
        /// When.
        at: Timestamp,
        /// Its exit code, or 128 and the signal's number.
        code: i32,
    },
    /// Its keeper died before it could say how the program ended.
    Interrupted,
    /// Its keeper died before the record was sealed. The files can be reviewed.
    Unsealed,
    /// The record does not open: why, in words. It can be wiped; its files lie in its directory.
    Damaged(String),
}

/// What went wrong with drafts.
#[derive(Debug, thiserror::Error)]
pub enum DraftsError {
    /// No draft of this name.
    #[error("no open draft is called `{0}`; `raincoat drafts` lists them")]
    NotFound(String),
    /// Several drafts begin so.
    #[error("several drafts begin with `{0}`: say more of the name")]
    Ambiguous(String),
    /// Its program runs.
    #[error("draft {0} is in use: its program runs; `raincoat stop {0}` ends it")]
    Live(RunId),
    /// The record is not what was sealed.
    #[error("the record of draft {run} does not open ({why}); its files lie in `{path}`")]
    Damaged {
        /// The draft.
        run: RunId,
        /// Why.
        why: String,
        /// The draft's directory.
        path: String,
    },
    /// Something of it stays.
    #[error(transparent)]
    Wipe(#[from] WipeError),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The system refuses.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What it says.
        #[source]
        error: io::Error,
    },
}

impl Drafts {
    /// Opens the drafts under our data directory, and finishes taking away those that a crash left half wiped; what
    /// cannot be taken away stays for the next time and is no error.
    ///
    /// # Errors
    /// [`DraftsError::System`].
    pub fn open(data: &PrivateDir, key: &SealKey) -> Result<Drafts, DraftsError> {
        let dir = make_private(data, DRAFTS).map_err(|e| system("open the directory of drafts", e))?;
        overlay::spread_children(dir.as_fd());
        let drafts = Drafts { dir, key: key.derive(LABEL) };
        for name in drafts.names()? {
            if let Some(run) = name.strip_suffix(WIPED).and_then(RunId::parse) {
                // Its keeper may be at it this moment.
                let _ = drafts.finish_wiping(run);
            }
        }
        Ok(drafts)
    }

    /// Seals the record of a prepared draft: from here on it survives a crash. Nothing waits for the disk, as the program's
    /// own writes do not either: a power cut while it runs can cost the draft its record, and what the program wrote last.
    /// [`Draft::make_durable`] and [`Draft::update`] end that. The draft stays live while what is given back is held.
    ///
    /// # Errors
    /// [`DraftsError`]; the draft is then as it was before, unsealed.
    pub fn seal(&self, prepared: Prepared, about: NewDraft) -> Result<Draft, DraftsError> {
        let record = Record {
            run: prepared.run,
            command: about.command,
            profile: about.profile,
            began: about.began,
            clock: prepared.clock,
            folders: prepared.folders.into_iter().map(|folder| folder.recorded).collect(),
            state: State::Running,
        };
        let draft = Draft::new(prepared.dir, record, self.key.clone(), Some(prepared.lock));
        draft.write_record(PrivateDir::replace_lazily)?;
        draft.dir().remove(UNSEALED).map_err(|e| system("seal the draft", e))?;
        Ok(draft)
    }

    /// All drafts, oldest first. At most `count` names of each are counted.
    ///
    /// # Errors
    /// [`DraftsError::System`] where the directory cannot be listed. A damaged draft is no error: its standing says so.
    pub fn list(&self, count: u64) -> Result<Vec<Summary>, DraftsError> {
        let mut out = Vec::new();
        for run in self.runs()? {
            match self.summary(run, count) {
                Ok(summary) => out.push(summary),
                // Wiped since the names were read.
                Err(DraftsError::NotFound(_)) => {}
                Err(error) => out.push(Summary {
                    run,
                    standing: Standing::Damaged(error.to_string()),
                    record: None,
                    entries: 0,
                    bytes: 0,
                    counted_all: false,
                }),
            }
        }
        Ok(out)
    }

    fn summary(&self, run: RunId, count: u64) -> Result<Summary, DraftsError> {
        let draft = match self.open_run(run) {
            Err(DraftsError::Damaged { why, .. }) => {
                let standing = if self.is_live(run)? { Standing::Live } else { Standing::Damaged(why) };
                return Ok(Summary { run, standing, record: None, entries: 0, bytes: 0, counted_all: false });
            }
            other => other?,
        };
        let standing = match (draft.is_live()?, draft.is_sealed(), &draft.record().state) {
            (true, ..) => Standing::Live,
            (_, false, _) => Standing::Unsealed,
            (_, _, State::Running) => Standing::Interrupted,
            (_, _, State::Ended { at, code }) => Standing::Ended { at: *at, code: *code },
        };
        let (entries, bytes, counted_all) = draft.count(count);
        Ok(Summary { run, standing, record: Some(draft.into_record()), entries, bytes, counted_all })
    }

    /// Opens a draft by its run's name or the beginning of it, in either case of letters.
    ///
    /// # Errors
    /// [`DraftsError`].
    pub fn find(&self, name: &str) -> Result<Draft, DraftsError> {
        self.open_run(self.resolve(name)?)
    }

    /// The run that a name, or the beginning of one, means.
    ///
    /// # Errors
    /// [`DraftsError::NotFound`], [`DraftsError::Ambiguous`], or the system's.
    pub fn resolve(&self, name: &str) -> Result<RunId, DraftsError> {
        let wanted = name.to_ascii_uppercase();
        let mut matching = self.runs()?.into_iter().filter(|run| run.to_string().starts_with(&wanted));
        let shown = || display_bytes(name.as_bytes());
        match (matching.next(), matching.next()) {
            (Some(run), None) if !wanted.is_empty() => Ok(run),
            (Some(_), Some(_)) => Err(DraftsError::Ambiguous(shown())),
            _ => Err(DraftsError::NotFound(shown())),
        }
    }

    /// Opens a draft. One that was never sealed opens too, with what its directories tell: no command, and running.
    ///
    /// # Errors
    /// [`DraftsError`].
    pub fn open_run(&self, run: RunId) -> Result<Draft, DraftsError> {
        let dir = self.dir.open_dir(&run.to_string()).map_err(|e| system("open the draft", e))?;
        let dir = dir.ok_or_else(|| DraftsError::NotFound(run.to_string()))?;
        self.read(run, dir)
    }

    /// Takes a draft away, everything of it, wherever it lies.
    ///
    /// # Errors
    /// [`DraftsError::Live`] while its program runs; [`DraftsError::Wipe`] where something stays: the rest is gone, and
    /// the next [`Drafts::open`] tries again.
    pub fn wipe(&self, run: RunId) -> Result<(), DraftsError> {
        let fail = |e| system("wipe the draft", e);
        let name = run.to_string();
        let Some(dir) = self.dir.open_dir(&name).map_err(fail)? else {
            return Err(DraftsError::NotFound(name));
        };
        let lock = dir.try_lock(LIVE_LOCK).map_err(fail)?;
        if lock.is_none() {
            return Err(DraftsError::Live(run));
        }
        self.wipe_locked(run)
    }

    /// Takes an open draft away. The caller holds it, so that its own lock is no hindrance.
    ///
    /// # Errors
    /// As [`Drafts::wipe`].
    pub fn wipe_draft(&self, draft: Draft) -> Result<(), DraftsError> {
        let run = draft.record().run;
        if !draft.has_lock() {
            drop(draft);
            return self.wipe(run);
        }
        // Held to the end, so that nobody takes it for an abandoned one.
        let result = self.wipe_locked(run);
        drop(draft);
        result
    }

    /// Lets a draft go, durably: it is no draft any more, even after a power cut. What is left of it is taken away by
    /// [`Drafts::wipe_draft`] or the next [`Drafts::open`]. One that is gone already is no error.
    ///
    /// # Errors
    /// [`DraftsError::System`].
    pub fn close(&self, run: RunId) -> Result<(), DraftsError> {
        let fail = |e| system("close the draft", e);
        let name = run.to_string();
        match self.dir.rename_new(&name, &format!("{name}{WIPED}")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(fail)?,
        }
        self.dir.sync().map_err(fail)
    }

    fn wipe_locked(&self, run: RunId) -> Result<(), DraftsError> {
        let name = run.to_string();
        match self.dir.rename_new(&name, &format!("{name}{WIPED}")) {
            // It was closed before.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(|e| system("wipe the draft", e))?,
        }
        self.finish_wiping(run)
    }

    /// What lies elsewhere first, then the rest, and the record last of all, because it says where the parts are.
    fn finish_wiping(&self, run: RunId) -> Result<(), DraftsError> {
        let fail = |e| system("wipe the draft", e);
        let name = format!("{run}{WIPED}");
        let Some(dir) = self.dir.open_dir(&name).map_err(fail)? else { return Ok(()) };
        let base = self.dir.path().map_err(fail)?.join(run.to_string());
        let places = match self.read(run, dir.try_clone().map_err(fail)?) {
            Ok(draft) => draft.into_record().folders.into_iter().map(|folder| folder.place).collect(),
            // Nobody knows of other places then.
            Err(_) => Vec::new(),
        };
        for place in places.iter().filter(|place| !place.path.starts_with(base.as_os_str().as_bytes())) {
            remove_place(place, run)?;
        }
        for inner in dir.names().map_err(fail)? {
            if inner != RECORD && inner != UNSEALED {
                match mutate::unlink(dir.as_fd(), inner.as_bytes()) {
                    Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                        remove_tree(dir.as_fd(), inner.as_bytes())?;
                    }
                    other => other.map_err(fail)?,
                }
            }
        }
        remove_tree(self.dir.as_fd(), name.as_bytes())?;
        Ok(())
    }

    fn read(&self, run: RunId, dir: PrivateDir) -> Result<Draft, DraftsError> {
        let damaged = |why: String| DraftsError::Damaged {
            run,
            why,
            path: dir.path().map(|path| display_bytes(path.as_os_str().as_bytes())).unwrap_or_default(),
        };
        match dir.read(RECORD, MAX_RECORD) {
            Ok(Some(sealed)) => {
                let plain = self.key.open(&context(run), &sealed).map_err(|e| damaged(e.to_string()))?;
                let record = Record::decode(&plain).filter(|record| record.run == run);
                let record = record.ok_or_else(|| damaged("written by another version".to_owned()))?;
                Ok(Draft::new(dir, record, self.key.clone(), None))
            }
            Ok(None) => {
                let bytes = dir.read(UNSEALED, MAX_RECORD).map_err(|e| damaged(e.to_string()))?;
                let unsealed = bytes.and_then(|bytes| postcard::from_bytes::<Unsealed>(&bytes).ok());
                let unsealed = unsealed.ok_or_else(|| damaged("there is none".to_owned()))?;
                let record = Record {
                    run,
                    command: Vec::new(),
                    profile: None,
                    began: began(run),
                    clock: unsealed.clock,
                    folders: unsealed.folders,
                    state: State::Running,
                };
                Ok(Draft::unsealed(dir, record, self.key.clone()))
            }
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    fn is_live(&self, run: RunId) -> Result<bool, DraftsError> {
        let fail = |e| system("look at the draft", e);
        let Some(dir) = self.dir.open_dir(&run.to_string()).map_err(fail)? else { return Ok(false) };
        Ok(dir.try_lock(LIVE_LOCK).map_err(fail)?.is_none())
    }

    fn runs(&self) -> Result<Vec<RunId>, DraftsError> {
        Ok(self.names()?.iter().filter_map(|name| RunId::parse(name)).collect())
    }

    fn names(&self) -> Result<Vec<String>, DraftsError> {
        let names = self.dir.names().map_err(|e| system("list the drafts", e))?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }
}

/// What the sealed record is bound to.
pub(crate) fn context(run: RunId) -> Vec<u8> {
    [b"draft record ".as_slice(), &run.0.to_bytes()].concat()
}

/// A run's name has the time in it at which it began.
fn began(run: RunId) -> Timestamp {
    let millis = Ulid::timestamp_ms(&run.0);
    Timestamp {
        secs: i64::try_from(millis / 1000).unwrap_or(0),
        nanos: u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000,
    }
}

pub(crate) fn system(what: &'static str, error: io::Error) -> DraftsError {
    DraftsError::System { what, error }
}
