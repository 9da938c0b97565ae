//! Handing folders out and taking them back.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use raincoat_audit::Event;
use raincoat_os::{Root, new_ulid};
use raincoat_policy::GrantRecord;
use raincoat_types::{Actions, GrantId, Identity, RawPath, Timestamp, display_bytes};
use serde::Deserialize;
#[cfg(test)]
use serde::Serialize;

use crate::around::by_person;
use crate::folders::is_or_lies_in;
use crate::{Class, Error, Keeper};

const KIND: &str = "grant";

/// A folder to hand out.
#[derive(Clone, Debug)]
pub struct GrantAsk {
    /// The folder, absolute.
    pub path: PathBuf,
    /// What may be done in it.
    pub actions: Actions,
    /// It ends then.
    pub until: Option<Timestamp>,
    /// To whom: `agent`, `agent:NAME`, `recipe`, `recipe:NAME`; anybody where it is `None`.
    pub agent: Option<String>,
    /// Globs that are not granted.
    pub deny: Vec<String>,
    /// What it holds may not leave this machine.
    pub private: bool,
    /// Files that one run may change in it.
    pub max_files: Option<u64>,
    /// Bytes that one run may write or delete in it.
    pub max_bytes: Option<u64>,
}

impl Keeper {
    /// Every grant, oldest first, ended ones too.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn grants(&self) -> Result<Vec<GrantRecord>, Error> {
        let mut grants = Vec::new();
        for (_, bytes) in self.store.list(KIND).map_err(Error::store)? {
            grants.push(read(&bytes)?);
        }
        grants.sort_by_key(|grant| grant.id);
        Ok(grants)
    }

    /// Hands a folder out.
    ///
    /// # Errors
    /// Where there is no such folder, it is protected or ours, a glob does not parse, or its end lies in the past.
    pub fn grant(&self, ask: GrantAsk) -> Result<GrantRecord, Error> {
        let (shown, who) = (display_bytes(ask.path.as_os_str().as_bytes()), ask.agent.clone());
        self.hand_out(ask).map_err(|error| match error.class {
            Class::Refused => {
                let who = who.unwrap_or_else(|| "everyone".to_owned());
                self.access_refused(&format!("folder {shown}"), &who, "never-granted", error)
            }
            _ => error,
        })
    }

    fn hand_out(&self, ask: GrantAsk) -> Result<GrantRecord, Error> {
        let shown = display_bytes(ask.path.as_os_str().as_bytes());
        let root = Root::open(&ask.path).map_err(|e| {
            Error::new(Class::Usage, format!("`{shown}` cannot be granted: {e}")).hint("name a folder that exists")
        })?;
        let path = root.path().as_os_str().as_bytes().to_vec();
        if matches!(path.as_slice(), b"/") || [&b"/proc"[..], b"/sys", b"/dev"].iter().any(|p| is_or_lies_in(&path, p))
        {
            return Err(Error::new(
                Class::Refused,
                format!("`{}` is never granted: it is the system itself", display_bytes(&path)),
            )
            .hint("grant the folder that the work is in"));
        }
        if self.own.dirs.contains(&root.identity()) {
            return Err(Error::new(
                Class::Refused,
                format!("`{}` is raincoat's own data and is never granted", display_bytes(&path)),
            ));
        }
        let now = self.clock.now();
        if ask.until.is_some_and(|until| until <= now) {
            return Err(
                Error::new(Class::Usage, "the grant would end before it begins").hint("give `--until` a time to come")
            );
        }
        if let Some(agent) = &ask.agent {
            check_agent(agent)?;
        }
        let id = GrantId(new_ulid(self.clock.as_ref()).map_err(Error::io("make an id"))?);
        let record = GrantRecord {
            id,
            path,
            identity: root.identity(),
            actions: ask.actions,
            until: ask.until,
            agent: ask.agent,
            deny: ask.deny,
            created: now,
            private: ask.private,
            max_files: ask.max_files,
            max_bytes: ask.max_bytes,
        };
        record.check().map_err(|e| Error::new(Class::Refused, e.to_string()))?;
        // Logged first: a grant that stands nowhere in the log cannot be.
        let added = Event::GrantAdded {
            grant: id,
            path: RawPath(record.path.clone()),
            read_only: record.is_read_only(),
            until: record.until,
            agent: record.agent.clone(),
            deny: record.deny.clone(),
        };
        let terms = Event::PolicyChanged { policy: format!("grant {id}"), from: String::new(), to: terms(&record) };
        self.log_about(&by_person(), vec![added, terms])?;
        let bytes = stored(&record)?;
        self.store.put(KIND, &id.0.to_bytes(), &bytes).map_err(Error::store)?;
        Ok(record)
    }

    /// Whether each of these grants is still there. Where the store cannot say, none is.
    pub(crate) fn still_granted(&self, grants: &[GrantId]) -> bool {
        self.grants().is_ok_and(|all| grants.iter().all(|id| all.iter().any(|grant| grant.id == *id)))
    }

    /// Takes a folder back. A run under way in it notices within a second or so, and ends at its next operation's edge.
    ///
    /// # Errors
    /// Where there is no such grant.
    pub fn revoke(&self, id: &str) -> Result<GrantRecord, Error> {
        let grants = self.grants()?;
        let wanted = id.to_ascii_uppercase();
        let mut matching = grants.into_iter().filter(|grant| {
            let text = grant.id.to_string();
            !wanted.is_empty() && (text.starts_with(&wanted) || text.ends_with(&wanted))
        });
        let (Some(grant), None) = (matching.next(), matching.next()) else {
            return Err(Error::new(
                Class::Usage,
                format!("`{}` names no grant, or more than one", display_bytes(id.as_bytes())),
            )
            .hint("`raincoat grants` lists them"));
        };
        let (path, why) = (RawPath(grant.path.clone()), "revoked by the person".to_owned());
        self.log_about(&by_person(), vec![Event::GrantTakenBack { grant: grant.id, path, why }])?;
        self.store.delete(KIND, &grant.id.0.to_bytes()).map_err(Error::store)?;
        Ok(grant)
    }
}

/// What the first byte of a stored grant says of the rest. (A grant of the first version begins with its id's length.)
const VERSION: u8 = 2;

fn stored(record: &GrantRecord) -> Result<Vec<u8>, Error> {
    postcard::to_extend(record, vec![VERSION]).map_err(Error::store)
}

/// A grant as the first version kept it.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
struct Before {
    id: GrantId,
    path: Vec<u8>,
    identity: Identity,
    read_only: bool,
    until: Option<Timestamp>,
    agent: Option<String>,
    deny: Vec<String>,
    created: Timestamp,
}

fn read(bytes: &[u8]) -> Result<GrantRecord, Error> {
    if let Some((&VERSION, rest)) = bytes.split_first() {
        return postcard::from_bytes(rest).map_err(Error::store);
    }
    let before: Before = postcard::from_bytes(bytes).map_err(Error::store)?;
    Ok(GrantRecord {
        id: before.id,
        path: before.path,
        identity: before.identity,
        actions: if before.read_only { Actions::READING } else { Actions::all() },
        until: before.until,
        agent: before.agent,
        deny: before.deny,
        created: before.created,
        private: false,
        max_files: None,
        max_bytes: None,
    })
}

/// The terms that a grant's own event has no field for.
fn terms(record: &GrantRecord) -> String {
    let mut words = vec![record.allowed().to_string()];
    words.extend(record.private.then(|| "private".to_owned()));
    words.extend(record.max_files.map(|most| format!("at most {most} files a run")));
    words.extend(record.max_bytes.map(|most| format!("at most {most} bytes a run")));
    words.join("; ")
}

fn check_agent(agent: &str) -> Result<(), Error> {
    let (kind, name) = agent.split_once(':').unwrap_or((agent, "x"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !matches!(kind, "agent" | "recipe") || name.is_empty() || !name.chars().all(plain) {
        return Err(Error::new(
            Class::Usage,
            format!("`{}` names nobody that a folder can be granted to", display_bytes(agent.as_bytes())),
        )
        .hint("use `agent`, `agent:NAME`, `recipe` or `recipe:NAME`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use raincoat_types::Ulid;

    #[test]
    fn a_grant_of_the_first_version_is_read_as_what_it_was() {
        let before = |read_only| Before {
            id: GrantId(Ulid::from_parts(7, 7)),
            path: b"/home/u/inbox".to_vec(),
            identity: Identity { dev: 1, ino: 2, born: Timestamp::default() },
            read_only,
            until: None,
            agent: Some("agent".to_owned()),
            deny: vec!["*.key".to_owned()],
            created: Timestamp::default(),
        };
        let read_back = |read_only| read(&postcard::to_stdvec(&before(read_only)).unwrap()).unwrap();
        assert_eq!(read_back(false).actions, Actions::all());
        let record = read_back(true);
        assert!(record.is_read_only() && record.actions == Actions::READING && record.deny == ["*.key"]);
        assert_eq!(read(&stored(&record).unwrap()).unwrap(), record);
        assert!(read(&[VERSION, 1]).is_err() && read(&[]).is_err());
    }
}
