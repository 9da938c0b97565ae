//! Asking a witness: over HTTP, or in its folder.

use std::ops::ControlFlow;

use raincoat_audit::witness::{Said, answer, origin_hash, read_answer};
use raincoat_audit::{AuditError, AuditReader, Checkpoint, WitnessKey};
use raincoat_net::{Broker, Cancel, Endpoint, HeaderValue, Method, NetErrorKind, Request, Rules, parse_url};

use super::kept::{Kept, Place, folder_of, has_seen, open_folder, other_entries};
use super::{PATIENT_SECS, seconds};
use crate::{Error, Keeper};

/// How often the size is agreed on before the witness is given up: somebody else may tell it of a newer head meanwhile.
const ROUNDS: usize = 4;

/// What asking came to.
enum Told {
    Cosigned { note: String, size: u64, at: u64 },
    Disagrees(String),
    Failed(String),
}

impl Keeper {
    /// The newest head in the witness's own memory.
    pub(super) fn newest_at(&self, kept: &Kept, reader: &AuditReader) -> Result<Option<Checkpoint>, String> {
        let url = match &kept.place {
            Place::Url(url) => url,
            // What it remembers was read with what is kept here.
            Place::Folder(path) => return open_folder(&folder_of(path)).map(|_| None),
        };
        let name = reader.verifier().name();
        let (status, body) = self.over_http(&format!("{url}/{}/checkpoint", origin_hash(name)), None, PATIENT_SECS)?;
        match status {
            200 => {
                let head = kept.believed(&String::from_utf8_lossy(&body), reader);
                head.map(Some).ok_or_else(|| "what it gives is not signed by it and by this log".to_owned())
            }
            404 => Ok(None),
            other => Err(format!("it answered with status {other}")),
        }
    }

    /// Tells one witness of the newest head, and keeps what it says.
    pub(super) fn ask(&self, kept: &Kept, secs: u32) -> Result<Kept, Error> {
        let reader = self.audit_reader()?;
        let mut next = kept.clone();
        let mut why = String::new();
        match self.tell(kept, &reader, secs) {
            Ok(Told::Cosigned { note, size, at }) => {
                next.cosigned = Some((note, size, at));
                next.disagrees = None;
            }
            Ok(Told::Disagrees(words)) => next.disagrees = Some(words),
            Ok(Told::Failed(words)) => why = words,
            Err(error) => why = error.to_string(),
        }
        next.asked = Some((self.clock.now(), why));
        self.keep_witness(&next)?;
        Ok(next)
    }

    fn tell(&self, kept: &Kept, reader: &AuditReader, secs: u32) -> Result<Told, AuditError> {
        let Some(key) = WitnessKey::parse(&kept.key) else {
            return Ok(Told::Failed("its key is damaged here".to_owned()));
        };
        let known = kept.cosigned.as_ref().map_or(0, |(_, size, _)| *size);
        let mut old = known;
        for _ in 0..ROUNDS {
            let now = reader.head()?.size;
            if old > now {
                return Ok(Told::Disagrees(has_seen(old, now)));
            }
            let ask = reader.to_witness(old)?;
            let (status, body) = match self.deliver(kept, &ask.body, secs) {
                Ok(answer) => answer,
                Err(why) => return Ok(Told::Failed(why)),
            };
            match read_answer(status, &body, &ask.note, &key) {
                Said::Cosigned { note, at } => return Ok(Told::Cosigned { note, size: ask.head.size, at }),
                Said::HasSeen(size) if size < known => {
                    let words = format!("it has forgotten what it cosigned: {known} entries once, and {size} now");
                    return Ok(Told::Failed(words));
                }
                Said::HasSeen(size) if size != old => old = size,
                // So version 1.0 of the specification says that the tree of that size is another one.
                Said::HasSeen(size) if size == ask.head.size => return Ok(Told::Disagrees(other_entries(size))),
                Said::HasSeen(_) => return Ok(Told::Failed("it answers against itself".to_owned())),
                Said::Contradicts(_) => return Ok(Told::Disagrees(other_entries(old))),
                Said::NotServed(words) => {
                    let key = reader.verifier().vkey();
                    return Ok(Told::Failed(format!("it does not serve this log ({words}); tell it `--log {key}`")));
                }
                Said::Failed(words) => return Ok(Told::Failed(words)),
            }
        }
        Ok(Told::Failed("it is being told of other heads all the time".to_owned()))
    }

    fn deliver(&self, kept: &Kept, body: &str, secs: u32) -> Result<(u16, Vec<u8>), String> {
        match &kept.place {
            Place::Url(url) => self.over_http(&format!("{url}/add-checkpoint"), Some(body), secs),
            Place::Folder(path) => {
                let witness = open_folder(&folder_of(path))?;
                let verdict = witness.add_checkpoint(body.as_bytes(), seconds(self.clock.as_ref()));
                Ok((verdict.status(), verdict.body().into_bytes()))
            }
        }
    }

    fn over_http(&self, url: &str, body: Option<&str>, secs: u32) -> Result<(u16, Vec<u8>), String> {
        let url = parse_url(url).map_err(|why| why.to_string())?;
        let endpoint = Endpoint::of(&url).map_err(|why| why.to_string())?;
        let broker = Broker::new(Rules { allowed: vec![endpoint], offline: self.config.offline });
        let request = Request {
            method: if body.is_some() { Method::Post } else { Method::Get },
            url: &url,
            headers: body.map(|_| ("content-type", HeaderValue::Plain("text/plain"))).into_iter().collect(),
            body: body.unwrap_or_default().as_bytes().to_vec(),
            idle_secs: secs,
            total_secs: secs,
            max_reply: answer::MAX_ANSWER as u64,
        };
        let mut reply = Vec::new();
        let mut take = |bytes: &[u8]| {
            reply.extend_from_slice(bytes);
            ControlFlow::Continue(())
        };
        match broker.send(request, &mut take, &Cancel::new()) {
            Ok(answer) => Ok((answer.status, reply)),
            Err(why) if matches!(why.kind(), NetErrorKind::IdleTimeout | NetErrorKind::TotalTimeout) => {
                Err(format!("it did not answer within {secs} seconds"))
            }
            Err(why) => Err(why.to_string()),
        }
    }
}
