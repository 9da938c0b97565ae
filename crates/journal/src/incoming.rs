//! Content on its way into a segment. A little of it is packed where it is wanted; much of it by threads beside, a few
//! pieces ahead of the one that seals: records are chained, so sealing goes one by one.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use raincoat_types::ChunkId;

use crate::Piece;
use crate::format::Kind;
use crate::pack::Packer;

/// From so many waiting bytes on, other threads pack them.
const BESIDE_FROM: usize = 256 << 10;
/// Threads that pack, at most.
const THREADS: usize = 4;

/// A piece as it goes into a record.
pub(crate) struct Ready {
    pub(crate) id: ChunkId,
    pub(crate) bytes: Arc<Vec<u8>>,
    /// Its packed form, where that is smaller.
    pub(crate) packed: Option<Vec<u8>>,
}

/// Pieces that are to be stored, in order.
#[derive(Default)]
pub(crate) struct Incoming {
    /// Where each of them is being packed; `None`: not yet.
    queue: VecDeque<(ChunkId, Option<usize>)>,
    bytes: HashMap<ChunkId, Arc<Vec<u8>>>,
    total: usize,
    threads: Vec<Thread>,
    /// The thread that is asked next.
    turn: usize,
    packer: Packer,
}

struct Thread {
    to: Sender<Arc<Vec<u8>>>,
    from: Receiver<Option<Vec<u8>>>,
}

impl Incoming {
    /// Bytes of content that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.total
    }

    /// A piece that waits.
    pub(crate) fn get(&self, id: &ChunkId) -> Option<&Arc<Vec<u8>>> {
        self.bytes.get(id)
    }

    /// Takes a piece, which must not be waiting already.
    pub(crate) fn push(&mut self, Piece { id, bytes }: Piece) {
        self.total += bytes.len();
        self.bytes.insert(id, Arc::new(bytes));
        self.queue.push_back((id, None));
        if self.total >= BESIDE_FROM {
            self.send();
        }
    }

    /// Has other threads pack what nobody packs yet.
    fn send(&mut self) {
        if self.threads.is_empty() {
            let wanted = thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS));
            self.threads.extend((0..wanted).filter_map(|_| Thread::start()));
        }
        let threads = self.threads.len();
        if threads == 0 {
            return;
        }
        for (id, by) in
            self.queue.iter_mut().rev().take_while(|(_, by)| by.is_none()).collect::<Vec<_>>().into_iter().rev()
        {
            let Some(bytes) = self.bytes.get(id) else { continue };
            let turn = self.turn % threads;
            if self.threads.get(turn).is_some_and(|thread| thread.to.send(Arc::clone(bytes)).is_ok()) {
                *by = Some(turn);
                self.turn += 1;
            }
        }
    }

    /// The piece that came first, once it is packed.
    pub(crate) fn pop(&mut self) -> Option<Ready> {
        let (id, by) = self.queue.pop_front()?;
        let bytes = self.bytes.remove(&id)?;
        self.total -= bytes.len();
        let packed = match by.and_then(|turn| self.threads.get(turn)).map(|thread| thread.from.recv()) {
            Some(Ok(packed)) => packed,
            _ => self.packer.pack(Kind::Chunk, &bytes),
        };
        Some(Ready { id, bytes, packed })
    }

    /// Gives up all that waits.
    pub(crate) fn clear(&mut self) {
        // With their threads, so that no answer is taken for another's.
        *self = Incoming::default();
    }
}

impl Thread {
    /// `None` where the system has no more threads.
    fn start() -> Option<Thread> {
        let (to, jobs) = channel::<Arc<Vec<u8>>>();
        let (done, from) = channel();
        let work = move || {
            let mut packer = Packer::default();
            for bytes in jobs {
                if done.send(packer.pack(Kind::Chunk, &bytes)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("packer".to_owned()).spawn(work).ok()?;
        Some(Thread { to, from })
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes on their way", self.total)
    }
}
