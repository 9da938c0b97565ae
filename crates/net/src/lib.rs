//! The egress broker: the one door to the network (DESIGN invariant 8).
//!
//! A [`Broker`] is made with [`Rules`] that name every [`Endpoint`] it may speak to; anything else is refused before
//! a name is looked up. It speaks HTTP/1.1 over TLS 1.3, and plain HTTP to loopback alone. It knows no proxy, follows
//! no redirect, keeps no cookie, and asks for no compression. Names are looked up once, every address is checked,
//! and the address that was checked is the one connected to.
//!
//! A [`Receiver`] is a stream to a person's own collector of logs.
//!
//! The face is synchronous: a call blocks, and hands over the reply's bytes as they come. Inside, each connection
//! has a small single-threaded runtime of its own, so that a slow reader holds up nobody else.
//!
//! What this machine offers to others (a witness) is served by [`Server`].

mod address;
mod broker;
mod cancel;
mod connect;
mod error;
mod exchange;
pub mod proxy;
mod receiver;
mod rules;
mod server;
mod stream;
mod tls;

pub use address::{Resolve, SystemResolver};
pub use broker::{Broker, HeaderValue, Method, Reply, Request};
pub use cancel::Cancel;
pub use error::{NetError, NetErrorKind};
pub use receiver::{Receiver, StreamAddress};
pub use rules::{Endpoint, Rules, Scheme, parse_url};
pub use server::{Answer, Received, Server, ServerLimits};
pub use tls::Roots;
pub use url::Url;
