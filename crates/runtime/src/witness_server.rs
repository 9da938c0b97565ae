//! `witness serve`: a witness for other machines' logs, over HTTP. It needs no store: its folder holds its key and what it
//! remembers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raincoat_audit::note::Verifier;
use raincoat_audit::witness::{MAX_SUBMISSION, Witness};
use raincoat_net::{Answer, Received, Server, ServerLimits};
use raincoat_os::PrivateDir;
use raincoat_types::{Clock, display_bytes};

use crate::witness::{seconds, witness_error};
use crate::{Class, Error};

/// What one machine's logs need, many times over.
const LIMITS: ServerLimits = ServerLimits { connections: 64, body: MAX_SUBMISSION, wait: Duration::from_secs(10) };

/// A witness at work. Dropping it ends it.
#[derive(Debug)]
pub struct WitnessServer {
    server: Server,
    key: String,
    logs: Vec<String>,
}

impl WitnessServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its verifier key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The names of the logs that it serves.
    pub fn logs(&self) -> &[String] {
        &self.logs
    }
}

/// Serves the witness in a folder at an address, making it where there is none (under `name`, or one with a random
/// number). It serves the logs that it served before and those with these keys. `told` hears of every request that was
/// answered, in words.
///
/// # Errors
/// Where the folder, a key or the address will not do.
pub fn serve_witness(
    dir: &Path,
    name: Option<&str>,
    listen: SocketAddr,
    logs: &[String],
    clock: Arc<dyn Clock>,
    told: impl Fn(String) + Send + Sync + 'static,
) -> Result<WitnessServer, Error> {
    let witness = Witness::open_or_create(open(dir)?, name).map_err(witness_error)?;
    if let Some(name) = name.filter(|name| *name != witness.key().name()) {
        return Err(Error::new(Class::Usage, format!("the witness in that folder is not `{name}`"))
            .hint("a witness keeps its name; another one has a folder of its own"));
    }
    for vkey in logs {
        let log = Verifier::parse(vkey.trim()).ok_or_else(|| {
            Error::new(Class::Usage, format!("`{}` is no log's key", display_bytes(vkey.as_bytes())))
                .hint("it is of the form NAME+ID+BASE64, as `raincoat audit key` prints it where the log is")
        })?;
        witness.trust(&log).map_err(witness_error)?;
    }
    let served = witness.state().map_err(witness_error)?;
    let logs = served.logs.iter().map(|log| log.origin().to_owned()).collect();
    let key = witness.key().vkey();
    let answer = move |request: Received| answer(&witness, clock.as_ref(), &request, &told);
    let server = Server::start(listen, LIMITS, answer).map_err(|why| {
        Error::new(Class::Environment, format!("could not listen at {listen}: {why}"))
            .hint("`--listen ADDRESS:PORT` names another one; port 0 is any free one")
    })?;
    Ok(WitnessServer { server, key, logs })
}

/// The verifier key of the witness in a folder.
///
/// # Errors
/// Where there is none.
pub fn witness_key_in(dir: &Path) -> Result<String, Error> {
    let dir = PrivateDir::open(dir).map_err(cannot_open(dir))?;
    Ok(Witness::open(dir).map_err(witness_error)?.key().vkey())
}

fn open(dir: &Path) -> Result<PrivateDir, Error> {
    PrivateDir::open_or_create(dir).map_err(cannot_open(dir))
}

fn cannot_open(dir: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |why| {
        Error::new(Class::Environment, format!("could not open `{}`: {why}", dir.display()))
            .hint("it must be yours, and nobody else may write in it")
    }
}

/// c2sp.org/tlog-witness: `add-checkpoint`, and the newest checkpoint of a log. `sign-subtree`, which is optional, is not
/// there.
fn answer(witness: &Witness, clock: &dyn Clock, request: &Received, told: &dyn Fn(String)) -> Answer {
    let words = |status, text: &str| Answer {
        status,
        content_type: "text/plain; charset=utf-8",
        body: format!("{text}\n").into_bytes(),
    };
    match (request.post, request.path.as_str()) {
        (true, "/add-checkpoint") => {
            let verdict = witness.add_checkpoint(&request.body, seconds(clock));
            let first = std::str::from_utf8(&request.body).ok().and_then(|body| body.split_once("\n\n"));
            let log = first.and_then(|(_, note)| note.lines().next()).unwrap_or_default();
            let log: String = raincoat_types::display_text(log).chars().take(100).collect();
            told(match verdict.status() {
                200 => format!("cosigned `{log}`"),
                status => format!("{status} for `{log}`: {}", verdict.body().trim_end()),
            });
            Answer { status: verdict.status(), content_type: verdict.content_type(), body: verdict.body().into_bytes() }
        }
        (false, path) => {
            let hash = path.strip_prefix('/').and_then(|rest| rest.strip_suffix("/checkpoint"));
            match hash.map(|hash| witness.checkpoint(hash)) {
                Some(Ok(Some(note))) => {
                    Answer { status: 200, content_type: "text/plain; charset=utf-8", body: note.into_bytes() }
                }
                Some(Ok(None)) => words(404, "this witness has cosigned nothing of that log"),
                Some(Err(error)) => words(503, &error.to_string()),
                None => words(404, "there is nothing here: POST /add-checkpoint, GET /<origin hash>/checkpoint"),
            }
        }
        (true, _) => words(404, "there is nothing here: POST /add-checkpoint, GET /<origin hash>/checkpoint"),
    }
}
