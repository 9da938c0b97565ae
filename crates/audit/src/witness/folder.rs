//! A witness's folder: its key, its state, and a lock.
//!
//! `witness.key` is a file of mode 0600 in clear: a witness has no store and no passphrase, and whoever can read its
//! folder can sign in its name. `witness.state` is replaced as a whole and made durable before an answer leaves. It is
//! written first when a witness is made, and a key without a state is a witness that has lost its memory: it is not
//! begun anew, because it would then sign a log that was rolled back.

use std::io;

use raincoat_os::PrivateDir;
use raincoat_types::Secret;

use crate::cosign::{Cosigner, WitnessKey};
use crate::note::Verifier;
use crate::witness::state::{State, Verdict, origin_hash};

const KEY: &str = "witness.key";
const STATE: &str = "witness.state";
const LOCK: &str = "witness.lock";

/// Bytes of a state that are looked at: 1,000 logs with the longest of what is kept of them.
const MAX_STATE: u64 = 16 << 20;

/// Why a witness cannot work.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The system failed a call.
    #[error("could not {what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The system's words.
        source: io::Error,
    },
    /// No witness was made in this folder.
    #[error("there is no witness in this folder (no `{KEY}`)")]
    Missing,
    /// The key is none.
    #[error("`{KEY}` is no witness's key (put the right one back, or make a new witness in an empty folder)")]
    BadKey,
    /// The key is there and the memory is not.
    #[error(
        "`{STATE}` is missing: this witness has forgotten what it signed, and would sign a log that was rolled back \
         (put it back, or make a new witness in an empty folder and tell its logs)"
    )]
    Forgotten,
    /// The memory is not what this witness wrote.
    #[error("`{STATE}` is damaged: {0} (put it back, or make a new witness in an empty folder and tell its logs)")]
    Damaged(&'static str),
    /// A name that a key cannot have.
    #[error("`{0}` cannot name a witness: 1 to {max} characters, none of them a space, control character or `+`", max = crate::note::MAX_ORIGIN)]
    Name(String),
    /// No room for another log or key.
    #[error("this witness serves as many logs, or that log has as many keys, as there can be")]
    Full,
}

/// A witness at work. Any number of threads and processes may use one folder: each judgement is made under a lock, from
/// what is on the disk.
#[derive(Debug)]
pub struct Witness {
    dir: PrivateDir,
    cosigner: Cosigner,
}

impl Witness {
    /// Opens the witness in a folder.
    ///
    /// # Errors
    /// [`WitnessError::Missing`] where there is none; else [`WitnessError`].
    pub fn open(dir: PrivateDir) -> Result<Witness, WitnessError> {
        let key = dir.read(KEY, 4096).map_err(failed("read the witness's key"))?.map(Secret::new);
        let key = key.ok_or(WitnessError::Missing)?;
        let text = std::str::from_utf8(key.expose()).map_err(|_| WitnessError::BadKey)?;
        let cosigner = Cosigner::parse(text.trim_end_matches('\n')).ok_or(WitnessError::BadKey)?;
        let witness = Witness { dir, cosigner };
        witness.state()?;
        Ok(witness)
    }

    /// Opens the witness in a folder, making it where there is none, under this name or one with a random number.
    ///
    /// # Errors
    /// As [`Witness::open`], and [`WitnessError::Name`].
    pub fn open_or_create(dir: PrivateDir, name: Option<&str>) -> Result<Witness, WitnessError> {
        let making = failed("make the witness's key");
        let lock = dir.lock(LOCK).map_err(&making)?;
        if dir.open_file(KEY).map_err(&making)?.is_none() {
            let mut seed = [0; 32];
            raincoat_os::fill_random(&mut seed).map_err(&making)?;
            let mut tag = [0; 4];
            raincoat_os::fill_random(&mut tag).map_err(&making)?;
            let name =
                name.map_or_else(|| format!("raincoat.local/witness/{:08x}", u32::from_be_bytes(tag)), str::to_owned);
            let cosigner = Cosigner::new(&name, Secret::new(seed)).ok_or(WitnessError::Name(name))?;
            dir.replace(STATE, &State::default().encode(cosigner.key())).map_err(&making)?;
            let private = Secret::new(format!("{}\n", cosigner.private().expose()));
            dir.replace(KEY, private.expose().as_bytes()).map_err(&making)?;
        }
        drop(lock);
        Witness::open(dir)
    }

    /// Who checks what it signs.
    pub fn key(&self) -> &WitnessKey {
        self.cosigner.key()
    }

    /// What it remembers now.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn state(&self) -> Result<State, WitnessError> {
        let read = self.dir.read(STATE, MAX_STATE).map_err(failed("read the witness's state"))?;
        State::parse(&read.ok_or(WitnessError::Forgotten)?, self.key()).map_err(WitnessError::Damaged)
    }

    /// Serves a log that signs with this key from now on; `false` where it did so before.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn trust(&self, log: &Verifier) -> Result<bool, WitnessError> {
        let _lock = self.dir.lock(LOCK).map_err(failed("lock the witness's state"))?;
        let mut state = self.state()?;
        let changed = state.trust(log).ok_or(WitnessError::Full)?;
        if changed {
            self.keep(&state)?;
        }
        Ok(changed)
    }

    /// Judges a request at `now`, in seconds since 1970. What it signs is durable before this returns; where that fails,
    /// nothing is given away.
    pub fn add_checkpoint(&self, body: &[u8], now: u64) -> Verdict {
        self.try_add(body, now).unwrap_or_else(|error| Verdict::NotNow(error.to_string()))
    }

    /// The newest checkpoint that was cosigned of the log with this [`origin_hash`]; `None` where there is none.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn checkpoint(&self, hash: &str) -> Result<Option<String>, WitnessError> {
        let state = self.state()?;
        let log = state.logs.into_iter().find(|log| origin_hash(log.origin()) == hash);
        Ok(log.and_then(|log| log.latest).map(|latest| latest.note))
    }

    fn try_add(&self, body: &[u8], now: u64) -> Result<Verdict, WitnessError> {
        // From here on nobody else judges: what is compared is what is replaced.
        let _lock = self.dir.lock(LOCK).map_err(failed("lock the witness's state"))?;
        let before = self.state()?;
        let mut after = before.clone();
        let verdict = after.judge(body, &self.cosigner, now);
        if after != before {
            self.keep(&after)?;
        }
        Ok(verdict)
    }

    fn keep(&self, state: &State) -> Result<(), WitnessError> {
        self.dir.replace(STATE, &state.encode(self.key())).map_err(failed("make the witness's state durable"))
    }
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> WitnessError {
    move |source| WitnessError::Io { what, source }
}
