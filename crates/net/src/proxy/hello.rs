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
        (_, Some(name)) => Seen::Refuse(format!("TLS asks for the server `{name}` in a tunnel to `{}`", target.host())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    fn server_name(name: &str) -> Vec<u8> {
        let length = name.len() as u16;
        let one = [&[0][..], &length.to_be_bytes(), name.as_bytes()].concat();
        extension(0, &[&(one.len() as u16).to_be_bytes()[..], &one].concat())
    }

    /// Encrypted Client Hello as it stands in the outer message: suite, configuration, key, payload.
    fn ech() -> Vec<u8> {
        extension(ECH, &[0, 0, 1, 0, 1, 7, 0, 2, 9, 9, 0, 3, 1, 2, 3])
    }

    /// A first message with these extensions, in records of at most `record` bytes.
    fn message(extensions: &[Vec<u8>], record: usize) -> Vec<u8> {
        let mut all = extensions.concat();
        all.extend(extension(13, &[0, 2, 4, 3]));
        all.extend(extension(10, &[0, 2, 0, 29]));
        let body =
            [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &(all.len() as u16).to_be_bytes(), &all].concat();
        let length = (body.len() as u32).to_be_bytes();
        let whole = [&[1, length[1], length[2], length[3]][..], &body].concat();
        let pieces = whole.chunks(record);
        pieces.flat_map(|piece| [&[HANDSHAKE, 3, 1][..], &(piece.len() as u16).to_be_bytes(), piece].concat()).collect()
    }

    fn target() -> Target {
        Target::parse("good.example:443", None).unwrap()
    }

    fn refused(bytes: &[u8], words: &str) {
        match look(bytes, &target()) {
            Seen::Refuse(why) => assert!(why.contains(words), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_name_is_read_however_it_is_cut_up() {
        for record in [16_000, 50, 7] {
            let good = message(&[server_name("GOOD.example")], record);
            assert_eq!(look(&good, &target()), Seen::Pass);
            for cut in 0..good.len() {
                assert_eq!(look(&good[..cut], &target()), Seen::More, "{record} {cut}");
            }
            refused(&message(&[server_name("evil.example")], record), "evil.example");
        }
    }

    #[test]
    fn a_name_that_is_hidden_doubled_or_missing_is_refused() {
        refused(&message(&[server_name("good.example"), ech()], 16_000), "Encrypted Client Hello");
        refused(&message(&[ech(), server_name("good.example")], 30), "Encrypted Client Hello");
        refused(&message(&[], 16_000), "does not say");
        for bad in ["good.example.", "good.example\0.evil.example", "good example", ""] {
            let message = message(&[server_name(bad)], 16_000);
            assert!(matches!(look(&message, &target()), Seen::Refuse(_)), "{bad:?}");
        }
        let twice = message(&[server_name("good.example"), server_name("evil.example")], 16_000);
        assert!(matches!(look(&twice, &target()), Seen::Refuse(_)));
    }

    #[test]
    fn what_only_looks_like_tls_is_refused() {
        refused(b"GET / HTTP/1.1", "not TLS");
        refused(&[HANDSHAKE, 9, 9, 0, 4, 1, 2, 3, 4], "cannot be read");
        refused(&[HANDSHAKE, 3, 1, 0, 4, 2, 0, 0, 0], "cannot be read");
        refused(&[HANDSHAKE, 3, 1, 0xff, 0xff], "cannot be read");
        // A message that says that it is 16 MiB long.
        let mut endless = vec![HANDSHAKE, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
        endless.resize(5 + 0x4000, 0);
        let endless = endless.repeat(3);
        assert!(matches!(look(&endless, &target()), Seen::Refuse(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            at in 0_usize..200,
            byte in any::<u8>(),
        ) {
            let _ = look(&bytes, &target());
            let _ = look(&[&[HANDSHAKE, 3, 1, 0, 200, 1, 0, 0, 196][..], &bytes].concat(), &target());
            // One byte of another server's message changed does not make it pass.
            let mut hello = message(&[server_name("evil.example")], 60);
            let at = at.min(hello.len() - 1);
            hello[at] = byte;
            prop_assume!(hello[0] == HANDSHAKE);
            prop_assert_ne!(look(&hello, &target()), Seen::Pass);
        }
    }
}
