//! A request's head: what a program asks the proxy for. Bytes in, one meaning out, or a refusal; no I/O.
//!
//! Whatever two readers could take for two things is refused, and not mended: a line that ends in a bare LF, a second
//! `Host`, a length given twice, a body behind `CONNECT` (request smuggling, RFC 9112 section 11.2).

use httparse::{Header, Request, Status};

use super::authority::{Target, shown};

/// Bytes of a head, at most.
pub const HEAD_MOST: usize = 8 * 1024;
/// Header fields of a head, at most.
const FIELDS_MOST: usize = 100;

/// What belongs to one connection and is not passed on (RFC 9110 section 7.6.1), and what is meant for us.
const NOT_PASSED_ON: [&str; 9] = [
    "connection",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "proxy-authenticate",
    "te",
    "trailer",
    "upgrade",
];

/// What a program asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// `CONNECT`: a tunnel.
    Tunnel(Target),
    /// A plain request, to be passed on.
    Forward {
        /// To where.
        target: Target,
        /// The head as the server is to get it: by its path alone, with the host that was checked, and an end to the
        /// connection behind it.
        head: Vec<u8>,
        /// Bytes of body that follow.
        body: u64,
    },
}

impl Asked {
    /// Where to.
    pub fn target(&self) -> &Target {
        match self {
            Asked::Tunnel(target) | Asked::Forward { target, .. } => target,
        }
    }
}

/// A head that is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadHead {
    /// The HTTP status that says so.
    pub status: u16,
    /// Why, in words.
    pub why: String,
}

fn bad<T>(why: impl Into<String>) -> Result<T, BadHead> {
    Err(BadHead { status: 400, why: why.into() })
}

/// Reads the head that `bytes` begin with. `None` while it is not whole; otherwise what is asked, and how many bytes
/// the head has.
///
/// # Errors
/// Where it is too long, or could be read in two ways, or asks for what the proxy does not do.
pub fn parse_head(bytes: &[u8]) -> Result<Option<(Asked, usize)>, BadHead> {
    let end = bytes.windows(4).take(HEAD_MOST - 3).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    let Some(head) = end.and_then(|end| bytes.get(..end)) else {
        strict(bytes.get(..HEAD_MOST).unwrap_or(bytes))?;
        if bytes.len() >= HEAD_MOST {
            return Err(BadHead { status: 431, why: format!("the request's head is longer than {HEAD_MOST} bytes") });
        }
        return Ok(None);
    };
    strict(head)?;
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MOST];
    let mut request = Request::new(&mut fields);
    match request.parse(head) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err(BadHead { status: 431, why: format!("the request has more than {FIELDS_MOST} header fields") });
        }
        Ok(_) | Err(_) => return bad("the request is not HTTP/1.1"),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return bad("the request is not HTTP/1.1");
    };
    let asked = match method {
        "CONNECT" => tunnel(target, request.headers)?,
        "TRACE" => return Err(BadHead { status: 405, why: "this proxy does not trace".to_owned() }),
        _ => forward(method, target, request.headers)?,
    };
    Ok(Some((asked, head.len())))
}

/// Refuses bytes that readers disagree on, before anything else looks at them.
fn strict(head: &[u8]) -> Result<(), BadHead> {
    if head.first().is_some_and(|first| !first.is_ascii_uppercase()) {
        return bad("the request does not begin with a method in capitals: is this HTTP at all?");
    }
    let mut before = 0;
    for (at, byte) in head.iter().copied().enumerate() {
        let next = head.get(at + 1).copied();
        let sound = match byte {
            b'\n' => before == b'\r',
            // The last byte so far may be the first half of a line's end.
            b'\r' => next.is_none_or(|next| next == b'\n'),
            b'\t' => true,
            byte => !byte.is_ascii_control(),
        };
        if !sound {
            return bad("the request's head has a control character or half a line's end in it");
        }
        before = byte;
    }
    Ok(())
}

fn tunnel(target: &str, fields: &[Header<'_>]) -> Result<Asked, BadHead> {
    let target = Target::parse(target, None).or_else(bad)?;
    if one(fields, "transfer-encoding")?.is_some()
        || one(fields, "content-length")?.is_some_and(|length| length != b"0")
    {
        return bad("a CONNECT has no body");
    }
    same_host(fields, &target)?;
    Ok(Asked::Tunnel(target))
}

fn forward(method: &str, url: &str, fields: &[Header<'_>]) -> Result<Asked, BadHead> {
    let scheme = url.get(..7).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("http://") {
        return bad(match url.get(..8) {
            Some(https) if https.eq_ignore_ascii_case("https://") => "for `https://` a proxy is asked by CONNECT",
            _ => "this is a proxy: ask it by CONNECT, or for a whole `http://` URL",
        });
    }
    let rest = url.get(7..).unwrap_or_default();
    if rest.contains(['#', '\\']) || !rest.is_ascii() {
        return bad("the URL has characters in it that can be read in two ways");
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let target = Target::parse(authority, Some(80)).or_else(bad)?;
    same_host(fields, &target)?;
    if one(fields, "transfer-encoding")?.is_some() {
        let why = "a plain request says how long it is (`Content-Length`): one in pieces is not passed on".to_owned();
        return Err(BadHead { status: 411, why });
    }
    let body = match one(fields, "content-length")? {
        None => 0,
        Some(digits) => length(digits)?,
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let host = if target.port == 80 { target.host() } else { target.to_string() };
    let mut head = format!("{method} {slash}{path} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
    let named = connection_options(fields);
    for field in fields {
        let name = field.name.to_ascii_lowercase();
        if NOT_PASSED_ON.contains(&name.as_str()) || named.contains(&name) {
            continue;
        }
        head.extend_from_slice(field.name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(field.value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    Ok(Asked::Forward { target, head, body })
}

/// The value of a field that may stand there once.
fn one<'a>(fields: &[Header<'a>], name: &str) -> Result<Option<&'a [u8]>, BadHead> {
    let mut found = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    let first = found.next().map(|field| field.value);
    if found.next().is_some() {
        return bad(format!("the request has more than one `{name}`"));
    }
    Ok(first)
}

/// What `Host` says must be where the request goes; a `Host` without a port speaks of the name alone.
fn same_host(fields: &[Header<'_>], target: &Target) -> Result<(), BadHead> {
    let Some(value) = one(fields, "host")? else { return Ok(()) };
    let text = std::str::from_utf8(value).unwrap_or("\u{fffd}");
    let named = Target::parse(text, Some(target.port)).or_else(bad)?;
    if named != *target {
        return bad(format!("the request goes to `{target}`, and its `Host` says `{}`", shown(text)));
    }
    Ok(())
}

fn length(digits: &[u8]) -> Result<u64, BadHead> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match text.and_then(|text| text.parse().ok()) {
        Some(length) => Ok(length),
        None => bad("the request's `Content-Length` is no number of bytes"),
    }
}

/// Fields that the sender itself calls its own connection's, but for one that says how long the body is.
fn connection_options(fields: &[Header<'_>]) -> Vec<String> {
    let values = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("connection"));
    let texts = values.filter_map(|field| std::str::from_utf8(field.value).ok());
    let names = texts.flat_map(|text| text.split(',')).map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| name != "content-length").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(text: &str) -> Result<Option<(Asked, usize)>, BadHead> {
        parse_head(text.as_bytes())
    }

    fn status(text: &str) -> u16 {
        ask(text).expect_err(text.get(..60).unwrap_or(text)).status
    }

    #[test]
    fn a_tunnel_is_read_as_programs_ask_for_it() {
        for text in [
            "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\nUser-Agent: curl/8\r\n\r\n",
            "CONNECT example.org:443 HTTP/1.0\r\n\r\n",
            "CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\nProxy-Connection: Keep-Alive\r\n\r\n",
            "CONNECT EXAMPLE.org:443 HTTP/1.1\r\nHost: example.ORG:443\r\nContent-Length: 0\r\n\r\n",
        ] {
            let (asked, length) = ask(&format!("{text}rest")).unwrap().unwrap();
            assert_eq!(length, text.len());
            assert_eq!(asked, Asked::Tunnel(Target::parse("example.org:443", None).unwrap()));
        }
    }

    #[test]
    fn a_head_is_waited_for_until_it_is_whole_or_too_long() {
        let text = "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n";
        for cut in 0..text.len() {
            assert_eq!(parse_head(&text.as_bytes()[..cut]), Ok(None), "{cut}");
        }
        let long = |n: usize| format!("CONNECT example.org:443 HTTP/1.1\r\nX: {}", "y".repeat(n));
        assert_eq!(ask(&long(4000)), Ok(None));
        assert_eq!(status(&long(HEAD_MOST)), 431);
        let before = long(0).len() + 4;
        assert!(matches!(ask(&format!("{}\r\n\r\n", long(HEAD_MOST - before))), Ok(Some((_, HEAD_MOST)))));
        assert_eq!(status(&format!("{}\r\n\r\n", long(HEAD_MOST - before + 1))), 431);
        let fields: String = (0..=FIELDS_MOST).map(|n| format!("X{n}: y\r\n")).collect();
        assert_eq!(status(&format!("CONNECT example.org:443 HTTP/1.1\r\n{fields}\r\n")), 431);
    }

    // Incident 50: what two readers could take for two things.
    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for target in [
            "example.org",
            "example.org:",
            "example.org:0",
            "example.org:0443",
            "example.org:+443",
            "example.org:65536",
            "example.org:443:443",
            "user@example.org:443",
            "user:pw@example.org:443",
            "example.org.:443",
            "example..org:443",
            ".example.org:443",
            "exa%6dple.org:443",
            "example.org%00.evil.org:443",
            "example.org\\.evil.org:443",
            "example.org/:443",
            "http://example.org:443",
            "*.example.org:443",
            "127.1:443",
            "0177.0.0.1:443",
            "0x7f.0.0.1:443",
            "2130706433:443",
            "127.0.0.1.:443",
            "1.2.3.256:443",
            "::1:443",
            "[::1:443",
            "[::1]443",
            "[fe80::1%25eth0]:443",
            "[::ffff:127.0.0.1]:443",
            "[::ffff:7f00:1]:443",
            "[0:0:0:0:0:0:0:1]:443",
            "[1.2.3.4]:443",
            "b\u{fc}cher.example:443",
            "\u{ff45}xample.org:443",
            "example.org\u{3002}evil.org:443",
            "-example.org:443",
            &format!("{}.org:443", "x".repeat(300)),
        ] {
            let text = format!("CONNECT {target} HTTP/1.1\r\n\r\n");
            assert_eq!(status(&text), 400);
        }
    }

    #[test]
    fn smuggling_is_refused() {
        for text in [
            // Half a line's end, a control character, a folded line, a space before a colon, no HTTP at all.
            "CONNECT a.org:443 HTTP/1.1\nHost: a.org\n\n\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nHost: a.org\rX: y\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nX: a\0b\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nHost : a.org\r\n\r\n",
            "CONNECT  a.org:443 HTTP/1.1\r\n\r\n",
            "CONNECT a.org:443 b.org:443 HTTP/1.1\r\n\r\n",
            "CONNECT a.org:443 HTTP/2.0\r\n\r\n",
            "CONNECT a.org:443\r\n\r\n",
            "\r\nCONNECT a.org:443 HTTP/1.1\r\n\r\n",
            "connect a.org:443 HTTP/1.1\r\n\r\n",
            "\x05\x01\0\r\n\r\n",
            // A body, a second or another host.
            "CONNECT a.org:443 HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nHost: b.org:443\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nHost: a.org:80\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nHost: a.org\r\nHost: b.org\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nHost: a.org, b.org\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nHost:\r\n\r\n",
            "GET http://a.org/ HTTP/1.1\r\nHost: b.org\r\n\r\n",
            "GET http://a.org:8080/ HTTP/1.1\r\nHost: a.org:80\r\n\r\n",
            "GET http://u:p@a.org/ HTTP/1.1\r\n\r\n",
            "GET http://a.org\\@b.org/ HTTP/1.1\r\n\r\n",
            "GET http://a.org#@b.org/ HTTP/1.1\r\n\r\n",
            "GET http:///x HTTP/1.1\r\n\r\n",
            "GET https://a.org/ HTTP/1.1\r\n\r\n",
            "GET ftp://a.org/ HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.org\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a.org\r\n\r\n",
            "POST http://a.org/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST http://a.org/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "POST http://a.org/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            "POST http://a.org/ HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ] {
            assert_eq!(status(text), 400, "{text:?}");
        }
        assert_eq!(status("POST http://a.org/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
        let both = "POST http://a.org/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(status(both), 411);
        assert_eq!(status("TRACE http://a.org/ HTTP/1.1\r\n\r\n"), 405);
    }

    #[test]
    fn a_plain_request_is_passed_on_by_its_path_without_what_is_ours() {
        let text = "POST http://A.org:8080?q=1 HTTP/1.0\r\nHost: a.org:8080\r\nProxy-Authorization: Basic eA==\r\n\
            Connection: keep-alive, X-Hop, Content-Length\r\nX-Hop: 1\r\nX-Kept: 2\r\nUpgrade: h2c\r\n\
            Content-Length: 3\r\n\r\n";
        let (asked, _) = ask(&format!("{text}abc")).unwrap().unwrap();
        let Asked::Forward { target, head, body } = asked else { panic!("not a plain request") };
        assert_eq!((target.to_string().as_str(), body), ("a.org:8080", 3));
        assert_eq!(
            String::from_utf8(head).unwrap(),
            "POST /?q=1 HTTP/1.1\r\nHost: a.org:8080\r\nX-Kept: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
        );
        let (asked, _) = ask("GET HTTP://a.org/x?http://b.org/ HTTP/1.1\r\n\r\n").unwrap().unwrap();
        let Asked::Forward { target, head, .. } = asked else { panic!("not a plain request") };
        assert_eq!(target.to_string(), "a.org:80");
        assert!(head.starts_with(b"GET /x?http://b.org/ HTTP/1.1\r\nHost: a.org\r\n"));
    }

    proptest! {
        /// Whatever comes is refused, waited for, or has one meaning that says itself again.
        #[test]
        fn any_bytes_have_one_meaning_or_none(
            start in "(CONNECT|GET|POST) (http://)?",
            authority in "[a-zA-Z0-9.:@%\\[\\]*_-]{1,24}",
            rest in "(/[!-~]{0,8})? HTTP/1\\.[01]\r\n(Host: [a-z0-9.:]{1,9}\r\n)?\r\n",
            noise in proptest::collection::vec(any::<u8>(), 0..12),
            at in 0_usize..64,
        ) {
            let mut bytes = format!("{start}{authority}{rest}").into_bytes();
            let _ = parse_head(&noise);
            if let Ok(Some((asked, length))) = parse_head(&bytes) {
                let target = asked.target();
                prop_assert_eq!(&Target::parse(&target.to_string(), None).unwrap(), target);
                prop_assert_eq!(length, bytes.len());
                if let Asked::Forward { head, .. } = &asked {
                    let text = std::str::from_utf8(head).unwrap();
                    prop_assert_eq!(text.matches("Host: ").count(), 1);
                    prop_assert!(text.ends_with("\r\nConnection: close\r\n\r\n"));
                }
            }
            let at = at.min(bytes.len());
            bytes.splice(at..at, noise);
            let _ = parse_head(&bytes);
        }
    }
}
