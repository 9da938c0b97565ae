//! The first bytes of a tunnel: TLS that asks for the server that the tunnel was opened to, or none (domain fronting).

use rustls::server::Acceptor;
use url::Host;

use super::authority::Target;

/// Bytes that a first message may have before it is given up. One with post-quantum keys has about 2,000.
const HELLO_MOST: usize = 32 * 1024;
/// A TLS record that holds a handshake message.
const HANDSHAKE: u8 = 22;
/// Encrypted Client Hello (RFC 9849 section 10.1).
const ECH: u16 = 0xfe0d;

/// What there is to say of the bytes so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// Let them through, and what follows.
    Pass,
    /// More must come before anything can be said.
    More,
    /// Do not, for this reason.
    Refuse(String),
}

/// Looks at what a program has sent since its tunnel was opened.
pub(super) fn look(bytes: &[u8], target: &Target) -> Seen {
    match bytes.first() {
        None => Seen::More,
        Some(&HANDSHAKE) => client_hello(bytes, target),
        Some(_) if target.port == 443 => Seen::Refuse("port 443 is for TLS, and what came is not TLS".to_owned()),
        Some(_) => Seen::Pass,
    }
}

fn client_hello(bytes: &[u8], target: &Target) -> Seen {
    if bytes.len() > HELLO_MOST {
        return Seen::Refuse(format!("the first message of TLS is longer than {HELLO_MOST} bytes"));
    }
    let mut acceptor = Acceptor::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        match acceptor.read_tls(&mut rest) {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => return unreadable(),
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => return judge(bytes, accepted.client_hello().server_name(), target),
            Err(_) => return unreadable(),
        }
    }
    Seen::More
}

fn unreadable() -> Seen {
    Seen::Refuse("the first message of TLS cannot be read".to_owned())
}

fn judge(bytes: &[u8], name: Option<&str>, target: &Target) -> Seen {
    match offers_ech(bytes) {
        None => return unreadable(),
        Some(true) => {
            let why = "the program hides which server it asks for (Encrypted Client Hello); switch that off in it";
            return Seen::Refuse(why.to_owned());
        }
        Some(false) => {}
    }
    match (&target.host, name) {
        // An address is not sent as a server's name (RFC 6066 section 3).
        (Host::Ipv4(_) | Host::Ipv6(_), None) => Seen::Pass,
        (Host::Domain(host), Some(name)) if host.eq_ignore_ascii_case(name) => Seen::Pass,
        (_, Some(name)) => {
            Seen::Refuse(format!("TLS asks for the server `{name}` in a tunnel to `{}`", target.host()))
        }
        (_, None) => Seen::Refuse(format!("TLS does not say that it is `{}` that it asks for", target.host())),
    }
}

/// Whether the first message has the extension that hides the server's name, which rustls reads over. `None` where the
/// message is not what rustls has just taken it for.
fn offers_ech(bytes: &[u8]) -> Option<bool> {
    // Records (RFC 8446 section 5.1) first: a message may lie in several.
    let (mut message, mut rest) = (Vec::new(), bytes);
    while let Some((&[HANDSHAKE, _, _, high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some((fragment, after)) = after.split_at_checked(length) else { break };
        message.extend_from_slice(fragment);
        rest = after;
    }
    // Then the message (section 4.1.2): type, length, version, random, session, ciphers, compressions, extensions.
    let mut reader = Reader(&message);
    reader.take(1 + 3 + 2 + 32)?;
    reader.vector(1)?;
    reader.vector(2)?;
    reader.vector(1)?;
    if reader.0.is_empty() {
        return Some(false);
    }
    let mut extensions = Reader(reader.vector(2)?);
    while !extensions.0.is_empty() {
        let kind = extensions.take(2)?;
        extensions.vector(2)?;
        if kind == ECH.to_be_bytes() {
            return Some(true);
        }
    }
    Some(false)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// What a length of this many bytes stands before.
    fn vector(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let length = self.take(length_bytes)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        self.take(length)
    }
}
