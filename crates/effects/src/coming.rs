//! New content for a file, while what it replaces is being looked at.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use raincoat_os::{Found, mutate};
use raincoat_types::{Digest, FileKind};

use crate::engine::{Engine, Payload};

/// New content of so many bytes is written out before what it replaces is sealed.
const BEGIN_FROM: usize = 256 << 10;

/// New content for a file, on its way.
pub(crate) struct Coming {
    pub(crate) bytes: Arc<Vec<u8>>,
    file: Option<OwnedFd>,
    digest: Option<Receiver<Digest>>,
}

impl Coming {
    /// Much of it is written to a file without a name at once, and hashed beside, so that the disk and the other core
    /// work while what it is to replace is being sealed. Nothing leads to that file, and no crash leaves it. There is
    /// none where the file system has no such files, or where the disk is full, which shows when it is written in the
    /// ordinary way.
    pub(crate) fn begin(engine: &Engine, at: &Found, bytes: Vec<u8>) -> Coming {
        let bytes = Arc::new(bytes);
        let plain = at.stat.as_ref().is_none_or(|stat| stat.kind == FileKind::File && stat.nlink == 1);
        if bytes.len() < BEGIN_FROM || !plain {
            return Coming { bytes, file: None, digest: None };
        }
        let digest = Some(engine.recorder.digest_beside(Arc::clone(&bytes)));
        let write = || {
            let unnamed = mutate::create_unnamed(at.folder())?;
            mutate::write_all_at(unnamed.as_fd(), &bytes, 0)?;
            mutate::begin_writing(unnamed.as_fd(), 0, 0);
            Ok::<_, std::io::Error>(unnamed)
        };
        let file = write().ok();
        Coming { bytes, file, digest }
    }

    /// Its digest.
    pub(crate) fn digest(&mut self) -> Digest {
        let beside = self.digest.take().and_then(|digest| digest.recv().ok());
        beside.unwrap_or_else(|| Digest(*blake3::hash(&self.bytes).as_bytes()))
    }

    /// What a step puts on disk; into the file itself where that is written `in_place`.
    pub(crate) fn into_payload(self, in_place: bool) -> Payload {
        match self.file {
            Some(file) if !in_place => Payload::Begun(file, self.bytes),
            _ => Payload::Bytes(Arc::unwrap_or_clone(self.bytes)),
        }
    }
}
