//! What is remembered of a draft besides its files.

use raincoat_types::{RelPath, Root, RunId, Timestamp};
use serde::{Deserialize, Serialize};

/// Bytes of a record, sealed or not.
pub(crate) const MAX_RECORD: u64 = 16 << 20;

/// What a record begins with; the last byte is the layout's version. After it: the postcard encoding of [`Record`].
const MAGIC: &[u8; 8] = b"RCDRAFT\x01";

/// A draft as it is remembered, sealed, in `draft.bin`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The program's run.
    pub run: RunId,
    /// The command and its arguments.
    pub command: Vec<Vec<u8>>,
    /// The profile's name, if it ran with one.
    pub profile: Option<String>,
    /// When it began.
    pub began: Timestamp,
    /// The clocks when it began.
    pub clock: ClockMark,
    /// The granted folders, in the order of their numbers.
    pub folders: Vec<RecordedFolder>,
    /// Where it stands.
    pub state: State,
}

/// A granted folder of a draft.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordedFolder {
    /// Grant, absolute path and identity of the folder.
    pub root: Root,
    /// Where the draft's part for this folder lies.
    pub place: Place,
    /// A change time on the folder's own file system from when the draft began: what the folder's file system stamps
    /// with this or later was changed underneath.
    pub since: Timestamp,
    /// Names that the program cannot see.
    pub masked: Vec<RelPath>,
}

/// Where a folder's part of a draft lies: the directory that holds `upper`, `work`, `mask` and `stage`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Its absolute path, as bytes.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    /// It is on the folder's own file system: a commit can rename instead of copy.
    pub same_file_system: bool,
}

/// Two clocks read together, to tell later whether the one that can be set was set back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ClockMark {
    /// The real-time clock.
    pub real: Timestamp,
    /// Time since the machine started.
    pub boot: Timestamp,
    /// Which start of the machine; empty where the system does not say.
    #[serde(with = "serde_bytes")]
    pub boot_id: Vec<u8>,
}

/// Where a draft stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// The program runs, or its keeper died before it could say how it ended.
    Running,
    /// The program ended: its exit code, or 128 and the signal's number.
    Ended {
        /// When.
        at: Timestamp,
        /// The exit code.
        code: i32,
    },
}

impl Record {
    /// As bytes.
    ///
    /// # Errors
    /// [`postcard::Error`], out of memory only.
    pub fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(self, MAGIC.to_vec())
    }

    /// Reads what [`Record::encode`] wrote; `None` for anything else, another version's layout included.
    pub fn decode(bytes: &[u8]) -> Option<Record> {
        let body = bytes.strip_prefix(MAGIC)?;
        let (record, rest) = postcard::take_from_bytes::<Record>(body).ok()?;
        rest.is_empty().then_some(record).filter(Record::is_sound)
    }

    /// Encoded paths may be what no path can be.
    fn is_sound(&self) -> bool {
        self.folders.iter().flat_map(|folder| &folder.masked).all(|path| RelPath::new(path.as_bytes()).is_ok())
    }
}

impl ClockMark {
    /// The clocks now.
    pub fn now() -> ClockMark {
        let (real, boot) = raincoat_os::overlay::clocks();
        ClockMark { real, boot, boot_id: raincoat_os::overlay::boot_id() }
    }

    /// The earliest change time that a change made since this mark can bear, given that one made at the mark bears
    /// `since` and that the clocks now say `now`: earlier than `since` where the clock was set back meanwhile.
    pub(crate) fn earliest(&self, since: Timestamp, now: &ClockMark) -> Timestamp {
        if self.boot_id != now.boot_id || self.boot_id.is_empty() {
            // Started anew. How long that took is not known: if the clock is behind, it may have been at anything.
            return if now.real < self.real { Timestamp { secs: i64::MIN, nanos: 0 } } else { since };
        }
        let back = nanos(self.real) + (nanos(now.boot) - nanos(self.boot)) - nanos(now.real);
        // The two clocks are not read at one instant. Nobody sets a clock back by less than this.
        const APART: i128 = 1_000_000;
        if back <= APART { since } else { from_nanos(nanos(since) - back) }
    }
}

fn nanos(time: Timestamp) -> i128 {
    i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos)
}

fn from_nanos(nanos: i128) -> Timestamp {
    Timestamp {
        secs: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MIN),
        nanos: u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raincoat_types::{GrantId, Identity, Ulid};

    use super::*;

    fn record() -> Record {
        let time = |secs| Timestamp { secs, nanos: 5 };
        Record {
            run: RunId(Ulid::from_parts(7, 9)),
            command: vec![b"make".to_vec(), b"-j2".to_vec()],
            profile: Some("make".to_owned()),
            began: time(1000),
            clock: ClockMark { real: time(1000), boot: time(10), boot_id: b"boot".to_vec() },
            folders: vec![RecordedFolder {
                root: Root {
                    grant: GrantId(Ulid::from_parts(1, 2)),
                    path: b"/home/a/work".to_vec(),
                    identity: Identity { dev: 3, ino: 4, born: time(900) },
                },
                place: Place { path: b"/home/a/drafts/0".to_vec(), same_file_system: true },
                since: time(999),
                masked: vec![RelPath::new(b".env").unwrap()],
            }],
            state: State::Ended { at: time(1001), code: 137 },
        }
    }

    // What lies on people's disks must be readable tomorrow: these bytes are the layout's version 1.
    #[test]
    fn a_record_of_version_1_is_these_bytes() {
        let golden = include_bytes!("../tests/data/record-v1.bin");
        assert_eq!(record().encode().unwrap(), golden);
        assert_eq!(Record::decode(golden), Some(record()));
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_record_are_none(bytes: Vec<u8>, cut in 0_usize..200, flip in 0_usize..200) {
            prop_assert_eq!(Record::decode(&bytes), None);
            let mut whole = record().encode().unwrap();
            if cut < whole.len() {
                prop_assert_eq!(Record::decode(&whole[..cut]), None);
            }
            // A changed byte may make another record, but no panic.
            let at = flip % whole.len();
            whole[at] ^= 0xff;
            let _ = Record::decode(&whole);
        }
    }

    #[test]
    fn a_clock_that_was_set_back_lets_changes_look_older() {
        let mark = |real, boot, id: &[u8]| ClockMark {
            real: Timestamp { secs: real, nanos: 0 },
            boot: Timestamp { secs: boot, nanos: 0 },
            boot_id: id.to_vec(),
        };
        let since = Timestamp { secs: 1000, nanos: 0 };
        let earliest = |now: ClockMark| mark(1000, 50, b"a").earliest(since, &now).secs;
        assert_eq!(earliest(mark(1060, 110, b"a")), 1000, "nothing happened");
        assert_eq!(earliest(mark(5000, 110, b"a")), 1000, "set forward");
        assert_eq!(earliest(mark(760, 110, b"a")), 700, "set back by 300");
        assert_eq!(earliest(mark(2000, 3, b"b")), 1000, "started anew");
        assert_eq!(earliest(mark(400, 3, b"b")), i64::MIN, "started anew, with an older clock");
    }
}
