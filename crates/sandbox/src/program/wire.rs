//! What the keeper and the enclosing process say to each other, and how: frames over one stream socket, descriptors
//! along with them.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, send, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Event, HeldLayer};

/// Bytes of a frame at most. A plan carries arguments and environment, which the kernel bounds to 6 MiB together.
const MAX_FRAME: usize = 16 << 20;

/// Descriptors with one frame at most.
const MAX_DESCRIPTORS: usize = 4;

/// Keeper to init, after the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// The program may be executed.
    Go,
    /// This signal for the program.
    Signal(i32),
    /// The program goes on after a stop.
    Resume,
}

/// Init, or the process that makes it, to the keeper.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// All is built and checked. The descriptors come along: the listener first, then the terminal.
    Ready {
        /// What holds, and what this machine lacks.
        layers: Vec<HeldLayer>,
        /// A listener comes along.
        listener: bool,
        /// A terminal comes along.
        terminal: bool,
    },
    /// It could not be built. Nothing runs.
    Fault {
        /// Which layer.
        layer: String,
        /// What happened.
        why: String,
        /// What to do.
        fix: String,
    },
    /// Init's process id, as the keeper sees it.
    Init(u32),
    /// Something happened.
    Event(Event),
}

/// One end of the socket.
#[derive(Debug)]
pub(super) struct Wire {
    socket: OwnedFd,
    got: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Wire {
    pub(super) fn new(socket: OwnedFd) -> Wire {
        Wire { socket, got: Vec::new(), descriptors: VecDeque::new() }
    }

    /// Sends one frame, whole.
    pub(super) fn send<T: Serialize>(&self, frame: &T, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let body = postcard::to_stdvec(frame).map_err(|_| io::ErrorKind::InvalidData)?;
        let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        if body.len() > MAX_FRAME || descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command and its environment are too long"));
        }
        let mut bytes = Vec::with_capacity(body.len().saturating_add(4));
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&body);
        let mut left = bytes.as_slice();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            along.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let mut first = true;
        while !left.is_empty() {
            let sent = if first {
                sendmsg(&self.socket, &[IoSlice::new(left)], &mut along, SendFlags::NOSIGNAL)
            } else {
                send(&self.socket, left, SendFlags::NOSIGNAL)
            };
            match sent {
                Ok(sent) => left = left.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            first = false;
        }
        Ok(())
    }

    /// The next frame; `None` where none came in time. An end of the stream is `UnexpectedEof`.
    pub(super) fn receive<T: DeserializeOwned>(&mut self, at_most: Option<Timespec>) -> io::Result<Option<T>> {
        loop {
            if let Some(frame) = self.whole()? {
                return postcard::from_bytes(&frame).map(Some).map_err(|_| io::ErrorKind::InvalidData.into());
            }
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], at_most.as_ref()) {
                Ok(0) | Err(Errno::INTR) => return Ok(None),
                Ok(_) => self.read_some()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A descriptor that came along with what was received.
    pub(super) fn descriptor(&mut self) -> io::Result<OwnedFd> {
        self.descriptors.pop_front().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Whether a frame is here already, so that the socket would not say that there is one.
    pub(super) fn has_more(&self) -> bool {
        self.length().is_some_and(|length| self.got.len() >= length.saturating_add(4))
    }

    fn length(&self) -> Option<usize> {
        let bytes: [u8; 4] = self.got.get(..4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }

    fn whole(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(length) = self.length() else { return Ok(None) };
        if length > MAX_FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(body) = self.got.get(4..length.saturating_add(4)) else { return Ok(None) };
        let body = body.to_vec();
        self.got.drain(..length.saturating_add(4));
        Ok(Some(body))
    }

    fn read_some(&mut self) -> io::Result<()> {
        let mut part = [0_u8; 64 << 10];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut along = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let came = match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut part)], &mut along, flags) {
            Ok(message) => message.bytes,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for message in along.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors.take(MAX_DESCRIPTORS));
            }
        }
        if came == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.got.extend_from_slice(part.get(..came).unwrap_or_default());
        Ok(())
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
