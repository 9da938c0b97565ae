//! Bytes from here to there and back, counted, until both sides have ended or neither moves.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::authority::Target;
use super::hello::{Seen, look};
use crate::stream::Activity;

/// Bytes on their way in one direction, at most.
const BUFFER: usize = 32 * 1024;

/// What a relay knows of itself.
pub(super) struct Relay {
    pub(super) activity: Activity,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

/// How a relay ended.
pub(super) enum End {
    /// Both sides were done, one went away, or nothing moved for too long.
    Over,
    /// What the program sent does not go through.
    Refused(String),
}

impl Relay {
    pub(super) fn new() -> Relay {
        Relay { activity: Activity::new(), sent: AtomicU64::new(0), received: AtomicU64::new(0) }
    }

    /// A tunnel: `first` is what the program has sent already. Its first bytes are looked at, all others pass.
    pub(super) async fn tunnel(
        &self,
        (client, server): (&mut TcpStream, &mut TcpStream),
        (first, target): (Vec<u8>, &Target),
        (head, idle): (Duration, Duration),
    ) -> End {
        let ((from_client, mut to_client), (from_server, mut to_server)) = (client.split(), server.split());
        let up = async {
            let (mut from_client, mut first) = (from_client, first);
            self.greeting(&mut from_client, &mut first, target, head).await?;
            let written = self.write(&mut to_server, &first, &self.sent).await;
            drop(first);
            match written {
                Ok(()) => self.pump(from_client, &mut to_server, &self.sent, u64::MAX).await.map_err(|_| End::Over),
                Err(_) => Err(End::Over),
            }
        };
        let down =
            async { self.pump(from_server, &mut to_client, &self.received, u64::MAX).await.map_err(|_| End::Over) };
        tokio::select! {
            both = async { tokio::try_join!(up, down) } => both.map_or_else(|end| end, |_| End::Over),
            () = self.activity.idle(idle) => End::Over,
        }
    }

    /// One request with its body, of which `first` has come already, and whatever the server answers. A program that
    /// sends more than the request is cut off: it might mean another server with it.
    pub(super) async fn request(
        &self,
        (client, server): (&mut TcpStream, &mut TcpStream),
        (head, first, body): (&[u8], &[u8], u64),
        idle: Duration,
    ) -> End {
        let ((mut from_client, mut to_client), (from_server, mut to_server)) = (client.split(), server.split());
        let up = async {
            self.write(&mut to_server, head, &self.sent).await?;
            self.write(&mut to_server, first, &self.sent).await?;
            let left = body.saturating_sub(first.len() as u64);
            self.pump_some(&mut from_client, &mut to_server, &self.sent, left).await?;
            // Nothing more is due. The end of what the program sends need not be the end of what it wants to read.
            match from_client.read(&mut [0; 1]).await? {
                0 => {
                    to_server.shutdown().await?;
                    std::future::pending().await
                }
                _ => Err::<(), io::Error>(io::ErrorKind::InvalidData.into()),
            }
        };
        let down = self.pump(from_server, &mut to_client, &self.received, u64::MAX);
        tokio::select! {
            _ = up => End::Over,
            _ = down => End::Over,
            () = self.activity.idle(idle) => End::Over,
        }
    }

    /// Reads until it is known whether the first bytes may pass.
    async fn greeting(
        &self,
        from: &mut ReadHalf<'_>,
        first: &mut Vec<u8>,
        target: &Target,
        limit: Duration,
    ) -> Result<(), End> {
        // Only TLS is waited for so: elsewhere it may be the server that speaks first.
        let patient = target.port() != 443 && first.is_empty();
        let read = async {
            loop {
                match look(first, target) {
                    Seen::Pass => return Ok(()),
                    Seen::Refuse(why) => return Err(End::Refused(why)),
                    Seen::More => {}
                }
                // Room for a whole first message in one go.
                first.reserve(4096);
                match from.read_buf(first).await {
                    // An end without a byte says nothing, and is passed on.
                    Ok(0) if first.is_empty() => return Ok(()),
                    Ok(0) => return Err(End::Refused("the first message of TLS broke off".to_owned())),
                    Ok(_) => self.activity.mark(),
                    Err(_) => return Err(End::Over),
                }
            }
        };
        if patient {
            return read.await;
        }
        match timeout(limit, read).await {
            Ok(done) => done,
            Err(_) => {
                Err(End::Refused(format!("the first message of TLS did not come within {} seconds", limit.as_secs())))
            }
        }
    }

    async fn pump(
        &self,
        mut from: ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
        count: &AtomicU64,
        most: u64,
    ) -> io::Result<()> {
        self.pump_some(&mut from, to, count, most).await?;
        // Half of the connection is closed; the other half goes on.
        to.shutdown().await
    }

    /// Passes on what comes until it ends, or `most` bytes.
    async fn pump_some(
        &self,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
        count: &AtomicU64,
        most: u64,
    ) -> io::Result<()> {
        let mut buffer = vec![0; usize::try_from(most).unwrap_or(BUFFER).min(BUFFER)];
        let mut left = most;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let got = from.read(buffer.get_mut(..room).unwrap_or_default()).await?;
            if got == 0 {
                break;
            }
            self.activity.mark();
            self.write(to, buffer.get(..got).unwrap_or_default(), count).await?;
            left -= got as u64;
        }
        Ok(())
    }

    async fn write(&self, to: &mut WriteHalf<'_>, mut bytes: &[u8], count: &AtomicU64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = to.write(bytes).await?;
            self.activity.mark();
            count.fetch_add(written as u64, Ordering::Relaxed);
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}
