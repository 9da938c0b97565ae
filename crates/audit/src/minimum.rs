//! From where on the log has its entries: the minimum index of tlog-tiles, sealed, so that entries that were pruned
//! are told from entries that were taken away.

use raincoat_os::PrivateDir;

use crate::AuditError;
use crate::reader::Keys;
use crate::tile::TILE_WIDTH;

/// The file's name in the log's directory.
pub(crate) const MINIMUM: &str = "minimum";

const VERSION: u8 = 1;

/// What is known of pruning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Minimum {
    /// The first entry that is there. A multiple of 256.
    pub(crate) index: u64,
    /// The entry that says so: written before anything was thrown away.
    pub(crate) entry: u64,
}

impl Minimum {
    /// What stands in the file; nothing was pruned where there is none.
    pub(crate) fn read(dir: &PrivateDir, keys: &Keys) -> Result<Minimum, AuditError> {
        let bytes = dir.read(MINIMUM, 1 << 12).map_err(AuditError::io("read the log's minimum index"))?;
        let Some(bytes) = bytes else { return Ok(Minimum::default()) };
        let damaged = || AuditError::Damaged(format!("`{MINIMUM}` is not this log's"));
        let plain = keys.payload.open(&context(keys), &bytes).map_err(|_| damaged())?;
        parse(&plain).ok_or_else(damaged)
    }

    /// Puts it on the disk, durably.
    pub(crate) fn write(self, dir: &PrivateDir, keys: &Keys) -> Result<(), AuditError> {
        let mut plain = vec![VERSION];
        plain.extend_from_slice(&self.index.to_le_bytes());
        plain.extend_from_slice(&self.entry.to_le_bytes());
        let sealed = keys.payload.seal(&context(keys), &plain).map_err(|e| AuditError::Seal(e.to_string()))?;
        dir.replace(MINIMUM, &sealed).map_err(AuditError::io("write the log's minimum index"))
    }
}

/// The plaintext of the file; `None` where it is none.
pub(crate) fn parse(plain: &[u8]) -> Option<Minimum> {
    let (version, rest) = plain.split_first()?;
    let (index, rest) = rest.split_first_chunk::<8>()?;
    let (entry, rest) = rest.split_first_chunk::<8>()?;
    let minimum = Minimum { index: u64::from_le_bytes(*index), entry: u64::from_le_bytes(*entry) };
    let right = *version == VERSION && rest.is_empty() && minimum.index.is_multiple_of(TILE_WIDTH);
    (right && minimum.index <= minimum.entry).then_some(minimum)
}

fn context(keys: &Keys) -> Vec<u8> {
    [b"raincoat audit minimum\0", keys.origin.as_bytes()].concat()
}
