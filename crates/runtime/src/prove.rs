//! `raincoat doctor --prove`: everything that must not be possible to a program, tried inside a real draft and outside.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use raincoat_audit::Event;
use raincoat_draft::NewDraft;
use raincoat_os::process::machine_memory;
use raincoat_os::{PrivateDir, Root, new_ulid};
use raincoat_policy::GrantRecord;
use raincoat_sandbox::SandboxFault;
use raincoat_sandbox::program::{Ground, ProgramLimits, prove};
use raincoat_types::{GrantId, Root as RunRoot, RunId};

use crate::doctor::Check;
use crate::drafts::drafts_error;
use crate::exec::{Commits, ExecAsk, Opened, enclosing};
use crate::live::Live;
use crate::{Error, Keeper};

/// What came of all attempts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proved {
    /// Each attempt, in a fixed order; then what this machine lacks.
    pub checks: Vec<Check>,
    /// The names of those that got through: the enclosure does not hold.
    pub through: Vec<String>,
}

/// The folder that all this is done in, within our own data.
const SCRATCH: &str = "proof";

impl Keeper {
    /// Encloses our own binary in a draft of a folder made for this, has it try to get out in every way that is known,
    /// and tries the same without an enclosure. What got through stands in the log.
    ///
    /// # Errors
    /// Where nothing can be enclosed here, or our own directories cannot be used.
    pub fn prove(&self) -> Result<Proved, Error> {
        let _alone = self.data.lock("proof.lock").map_err(Error::io("wait for another proof"))?;
        let scratch = Scratch::new(&self.data)?;
        let run = RunId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        let _live = Live::begin(&self.state, run)?;
        let ask = ask(&scratch);
        let opened = [self.of_proof(&scratch.path("work"), false)?, self.of_proof(&scratch.path("fixed"), true)?];
        let drafts = self.open_drafts()?;
        let prepared = self.prepare(&ask, run, &opened)?;
        let plan = self.plan(&ask, &opened, &prepared)?;
        let place = prepared.folders.first().map(|folder| folder.recorded.place.path.clone());
        let about = NewDraft { command: ask.command.clone(), profile: None, began: self.clock.now() };
        let draft = drafts.seal(prepared, about).map_err(drafts_error)?;
        let ground = Ground {
            draft: place.map(|place| [place.as_slice(), b"/upper"].concat()),
            own: Some(self.home.data.join("store.db").as_os_str().as_bytes().to_vec()),
            ..scratch.ground()
        };
        let proofs = prove(&plan, &ground);
        drafts.wipe_draft(draft).map_err(drafts_error)?;
        let proofs = match proofs {
            Ok(proofs) => proofs,
            Err(fault) => {
                if let SandboxFault::Enclosure { layer, why, .. } = &fault {
                    let missing = Event::ProtectionMissing { layer: layer.clone(), why: why.clone() };
                    self.log_alone(vec![missing])?;
                }
                return Err(enclosing(fault));
            }
        };
        let mut proved = Proved { checks: Vec::new(), through: Vec::new() };
        let mut events = Vec::new();
        for proof in proofs {
            let check = Check::from(proof.layer);
            if proof.through {
                events.push(Event::ProtectionMissing { layer: check.name.clone(), why: check.why.clone() });
                proved.through.push(check.name.clone());
            }
            proved.checks.push(check);
        }
        if !events.is_empty() {
            self.log_alone(events)?;
        }
        Ok(proved)
    }

    /// A folder of the scratch, which lies in our own data, where nothing else is ever granted.
    fn of_proof(&self, path: &Path, read_only: bool) -> Result<Opened, Error> {
        let root = Root::open(path).map_err(Error::io("open a folder for the proof"))?;
        let grant = GrantId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        let path = root.path().as_os_str().as_bytes().to_vec();
        let record = RunRoot { grant, path, identity: root.identity() };
        let granted = GrantRecord { id: grant, ..crate::folders::record_of(&record) };
        Ok(Opened { root, record, read_only, by_naming: false, granted })
    }
}

/// Folders with something in them to reach for; gone at the end.
struct Scratch<'a> {
    data: &'a PrivateDir,
    at: PathBuf,
}

const FILES: [(&str, &str); 5] =
    [("work", "file"), ("work", ".env"), ("fixed", "file"), ("around", "file"), ("home", "file")];

impl Scratch<'_> {
    fn new(data: &PrivateDir) -> Result<Scratch<'_>, Error> {
        let make = || -> std::io::Result<Scratch<'_>> {
            let scratch = Scratch { data, at: data.path()?.join(SCRATCH) };
            // Of a proof that did not come to its end.
            scratch.remove()?;
            let dir = data.dir(SCRATCH)?;
            for (folder, file) in FILES {
                dir.dir(folder)?.replace(file, b"for the proof\n")?;
            }
            Ok(scratch)
        };
        make().map_err(Error::io("make folders for the proof"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }

    fn remove(&self) -> std::io::Result<()> {
        let Some(dir) = self.data.open_dir(SCRATCH)? else { return Ok(()) };
        for (folder, _) in FILES {
            let Some(inner) = dir.open_dir(folder)? else { continue };
            for name in inner.names()? {
                inner.remove(&name.to_string_lossy())?;
            }
            dir.remove_dir(folder)?;
        }
        self.data.remove_dir(SCRATCH)
    }

    fn ground(&self) -> Ground {
        let at = |name| self.path(name).as_os_str().as_bytes().to_vec();
        Ground {
            outside: vec![at("around/file")],
            around: Some(at("around")),
            home: Some(at("home/file")),
            secret: Some(at("work/.env")),
            work: Some(at("work")),
            fixed: Some(at("fixed")),
            ..Ground::default()
        }
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // What stays is taken away by the next proof.
        let _ = self.remove();
    }
}

/// As a person would ask, with the least that a program needs.
fn ask(scratch: &Scratch<'_>) -> ExecAsk {
    ExecAsk {
        command: vec![b"raincoat doctor --prove".to_vec()],
        env: vec![(b"PATH".to_vec(), b"/usr/bin:/bin".to_vec())],
        cwd: scratch.path("work"),
        write: vec![scratch.path("work")],
        read: vec![scratch.path("fixed")],
        caches: Vec::new(),
        empty: Vec::new(),
        read_files: Vec::new(),
        copied_files: Vec::new(),
        secrets: Vec::new(),
        profile: None,
        home: scratch.path("home"),
        hosts: Vec::new(),
        limits: ProgramLimits {
            cpu_secs: Some(60),
            memory: (1 << 30).min(machine_memory() / 2),
            processes: 64,
            disk: 1 << 30,
            wall_secs: Some(60),
            open_files: 256,
        },
        terminal: [false; 3],
        size: (24, 80),
        may_nest: false,
        strict: false,
        commits: Commits::Never,
    }
}
