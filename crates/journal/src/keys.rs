//! The keys that the journal works with.

use raincoat_seal::SealKey;
use raincoat_types::{ChunkId, Digest, Identity};

use crate::cut::Gear;

/// The journal's keys, each for one use.
#[derive(Debug)]
pub struct JournalKeys {
    /// Seals records.
    pub(crate) records: SealKey,
    /// Authenticates record headers.
    pub(crate) headers: SealKey,
    /// Seals cells of the index.
    pub(crate) cells: SealKey,
    /// Seals what is remembered of the journal elsewhere.
    pub(crate) memory: SealKey,
    chunks: SealKey,
    contents: SealKey,
    /// Where content is cut.
    pub(crate) gear: Gear,
    places: SealKey,
}

impl JournalKeys {
    /// Derives them from the journal key and the index key.
    pub fn new(journal: &SealKey, index: &SealKey) -> JournalKeys {
        JournalKeys {
            records: journal.derive("journal records"),
            headers: journal.derive("journal record headers"),
            memory: journal.derive("journal memory"),
            cells: index.derive("journal index cells"),
            chunks: index.derive("journal chunk addresses"),
            contents: index.derive("journal content addresses"),
            gear: Gear::new(&index.derive("journal content cuts")),
            places: index.derive("journal index places"),
        }
    }

    /// The address of a chunk of these bytes.
    pub(crate) fn chunk_id(&self, bytes: &[u8]) -> ChunkId {
        ChunkId(self.chunks.mac(bytes))
    }

    /// The blind name under which the index finds the content with this digest.
    pub(crate) fn content_name(&self, digest: &Digest) -> [u8; 32] {
        self.contents.mac(&digest.0)
    }
    /// The blind name under which the index finds an absolute path. Of 64 bits: what it leads to is read and compared.
    pub(crate) fn path_name(&self, path: &[u8]) -> i64 {
        first_half(&self.places.mac(path))
    }

    /// The same for an inode. No path begins with a NUL.
    pub(crate) fn inode_name(&self, identity: &Identity) -> i64 {
        let mut bytes = vec![0];
        bytes.extend(identity.dev.to_le_bytes());
        bytes.extend(identity.ino.to_le_bytes());
        bytes.extend(identity.born.secs.to_le_bytes());
        bytes.extend(identity.born.nanos.to_le_bytes());
        first_half(&self.places.mac(&bytes))
    }
}

fn first_half(mac: &[u8; 32]) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *mac;
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}
