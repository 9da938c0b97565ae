//! A stream to a person's own collector of logs: bytes out, and the collector's goodbye as its receipt.
//!
//! Syslog over TCP (RFC 6587) and over TLS (RFC 5425) has no word for «taken». So each batch has a connection of its own:
//! our half is closed after the last byte, and a collector closes its half when it has read to there. Where it is gone
//! before, the system answers with a reset, and the batch counts as not sent.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::address::{Resolve, SystemResolver};
use crate::broker::Engine;
use crate::cancel::Cancel;
use crate::connect;
use crate::error::{NetError, NetErrorKind};
use crate::rules::{Endpoint, parse_url};
use crate::stream::{Activity, Watched};
use crate::tls::{Roots, Tls};

/// Bytes that a collector may say in answer, which nobody reads.
const TALK_MOST: usize = 64 << 10;

/// Where a stream goes: over TLS 1.3, or in the clear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamAddress {
    endpoint: Endpoint,
    clear: bool,
}

/// A collector.
pub struct Receiver {
    address: StreamAddress,
    resolve: Arc<dyn Resolve>,
    tls: Tls,
}

impl StreamAddress {
    /// Reads `tls://HOST[:PORT]` (port 6514 where none is named, RFC 5425 section 4.1) or `tcp://HOST:PORT`. In the clear
    /// it goes to this machine only, but where `anywhere` says that the person asked for more.
    ///
    /// # Errors
    /// `Refused`, saying what is wrong with it.
    pub fn parse(text: &str, anywhere: bool) -> Result<StreamAddress, NetError> {
        let refuse =
            |why: &str| Err(NetError::new(NetErrorKind::Refused, format!("this address cannot be used: {why}")));
        let Some((scheme, place)) = text.split_once("://") else {
            return refuse("it has no `tls://` or `tcp://` before it");
        };
        let clear = match scheme {
            "tls" => false,
            "tcp" => true,
            _ => return refuse("it begins with neither `tls://` nor `tcp://`"),
        };
        // With another scheme it is a URL like any other, and read as strictly.
        let url = parse_url(&format!("https://{place}"))?;
        if url.path() != "/" || url.query().is_some() {
            return refuse("it has more in it than a host and a port");
        }
        let named = place.trim_end_matches('/').rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let endpoint = match (named, clear) {
            (true, _) => Endpoint::of(&url)?,
            (false, false) => Endpoint::of(&parse_url(&format!("https://{}:6514", place.trim_end_matches('/')))?)?,
            (false, true) => return refuse("it has no port"),
        };
        if clear && !anywhere && !endpoint.is_loopback() {
            return refuse(
                "what goes to another machine goes over `tls://`; `--insecure` sends it in the clear all the same",
            );
        }
        Ok(StreamAddress { endpoint, clear })
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        self.endpoint.is_loopback()
    }
}

impl fmt::Display for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.clear { "tcp" } else { "tls" };
        write!(f, "{scheme}://{}:{}", self.endpoint.host(), self.endpoint.port())
    }
}

impl Receiver {
    /// The collector at this address, believed by these roots.
    ///
    /// # Errors
    /// `Refused` where `offline` is set and it is not on this machine.
    pub fn new(address: StreamAddress, roots: Roots, offline: bool) -> Result<Receiver, NetError> {
        if offline && !address.is_loopback() {
            let why = format!("offline mode is on, and `{address}` is not on this machine");
            return Err(NetError::new(NetErrorKind::Refused, why));
        }
        Ok(Receiver { address, resolve: Arc::new(SystemResolver), tls: Tls::without_protocols(roots) })
    }

    /// Sends these bytes over a connection of their own. When this returns `Ok`, the collector has read all of them.
    /// A slow one is waited for, as long as something moves every `idle_secs` seconds.
    ///
    /// # Errors
    /// See [`NetErrorKind`]. It is then not known how many of the bytes were read.
    pub fn deliver(&self, bytes: &[u8], idle_secs: u32, cancel: &Cancel) -> Result<(), NetError> {
        if cancel.is_cancelled() {
            return Err(cancelled());
        }
        Engine::start()?.block_on(async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(cancelled()),
                done = self.talk(bytes, Duration::from_secs(idle_secs.into())) => done,
            }
        })
    }

    async fn talk(&self, bytes: &[u8], idle: Duration) -> Result<(), NetError> {
        let place = self.address.to_string();
        let tls = (!self.address.clear).then_some(&self.tls);
        let wire = connect::to_collector(&self.address.endpoint, &place, &self.resolve, tls).await?;
        let activity = Activity::new();
        let mut stream = Watched { wire, activity: activity.clone() };
        let gone = |error: io::Error| {
            // The TLS library's words for it are long and lead to a web page.
            let error = match error.kind() {
                io::ErrorKind::UnexpectedEof => "TLS without a goodbye".to_owned(),
                _ => error.to_string(),
            };
            let why =
                format!("`{place}` closed the connection before it had read everything ({error}); is it running?");
            NetError::new(NetErrorKind::Cut, why)
        };
        let speak = async {
            stream.write_all(bytes).await?;
            stream.flush().await?;
            stream.shutdown().await?;
            let mut heard = [0; 1024];
            let mut all = 0;
            loop {
                match stream.read(&mut heard).await? {
                    0 => return Ok(()),
                    more => all += more,
                }
                if all > TALK_MOST {
                    return Err(io::Error::other("it talks instead of listening"));
                }
                sleep(Duration::ZERO).await;
            }
        };
        tokio::select! {
            biased;
            done = speak => done.map_err(gone),
            () = activity.idle(idle) => Err(NetError::new(
                NetErrorKind::IdleTimeout,
                format!("`{place}` did not read on, or did not close its end, for {} seconds", idle.as_secs()),
            )),
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("address", &self.address).finish_non_exhaustive()
    }
}

fn cancelled() -> NetError {
    NetError::new(NetErrorKind::Cancelled, "the sending was stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly_and_the_clear_stays_here() {
        for (good, shown) in [
            ("tls://logs.example.com", "tls://logs.example.com:6514"),
            ("tls://logs.example.com:7000", "tls://logs.example.com:7000"),
            ("tls://[2001:db8::1]", "tls://[2001:db8::1]:6514"),
            ("tcp://127.0.0.1:514", "tcp://127.0.0.1:514"),
            ("tcp://localhost:601/", "tcp://localhost:601"),
        ] {
            assert_eq!(StreamAddress::parse(good, false).expect(good).to_string(), shown);
        }
        for bad in [
            "logs.example.com",
            "udp://127.0.0.1:514",
            "tcp://127.0.0.1",
            "tcp://logs.example.com:514",
            "tcp://10.0.0.1:514",
            "tls://me:hunter2@logs.example.com",
            "tls://logs.example.com/x",
            "tls://logs.example.com?x",
            "tls://logs.example.com:0",
            "tls://",
        ] {
            let error = StreamAddress::parse(bad, false).expect_err(bad);
            assert!(!error.to_string().contains("hunter2"));
        }
        assert!(StreamAddress::parse("tcp://10.0.0.1:514", true).is_ok());
    }

    #[test]
    fn offline_means_this_machine_only() {
        let far = StreamAddress::parse("tls://logs.example.com", false).unwrap();
        let near = StreamAddress::parse("tcp://127.0.0.1:514", false).unwrap();
        assert!(Receiver::new(far, Roots::System, true).is_err());
        assert!(Receiver::new(near, Roots::System, true).is_ok());
    }
}
