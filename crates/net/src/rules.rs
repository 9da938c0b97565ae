//! Where a broker may speak to.

use std::fmt;

use raincoat_types::display_bytes;
use url::{Host, Url};

use crate::error::{NetError, NetErrorKind};

/// Bytes of a URL, at most (the length that RFC 9110 section 4.1 asks everyone to support).
const URL_MAX: usize = 8000;

/// `http` or `https`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Scheme {
    /// Plain, to loopback only.
    Http,
    /// Over TLS 1.3.
    Https,
}

/// One place that may be spoken to: scheme, host and port, all three to the letter. Made by [`Endpoint::of`] only.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Endpoint {
    scheme: Scheme,
    host: Host<String>,
    port: u16,
}

/// What a broker may do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// The places it may speak to; none: none at all.
    pub allowed: Vec<Endpoint>,
    /// Nothing but loopback.
    pub offline: bool,
}

/// Reads a URL and refuses what could be read in two ways: control characters, spaces and backslashes (parsers drop
/// or turn them), user names and passwords, fragments, and hosts that are not written as they will be used (an IPv4
/// address in octal or with parts missing, percent signs, non-ASCII letters, a dot at the end).
///
/// # Errors
/// `Refused`, saying what is wrong with it. A password in it is not repeated.
pub fn parse_url(text: &str) -> Result<Url, NetError> {
    let refuse = |why: &str| Err(NetError::new(NetErrorKind::Refused, format!("this URL cannot be used: {why}")));
    if text.len() > URL_MAX {
        return refuse(&format!("it is longer than {URL_MAX} bytes"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return refuse("it has a space, a backslash or a control character in it");
    }
    let Ok(url) = Url::parse(text) else {
        return refuse("it is not of the form `https://host/path`");
    };
    Endpoint::of(&url)?;
    // Between `://` and the next `/`, `?` or the end stands the host as it was typed.
    let typed = text.split_once("://").map(|(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
    let used = url.host_str().unwrap_or_default();
    let same = typed.is_some_and(|typed| {
        let host = match typed.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => typed,
        };
        host.eq_ignore_ascii_case(used)
    });
    if !same {
        return refuse(&format!("its host would be read as `{used}`; write it so"));
    }
    Ok(url)
}

impl Endpoint {
    /// The endpoint that a URL lies at.
    ///
    /// # Errors
    /// `Refused` for a scheme other than `http` and `https`, plain `http` to anything but loopback, a user name or
    /// password, a fragment, a host with characters that no host name has, an encoded NUL, port 0.
    pub fn of(url: &Url) -> Result<Endpoint, NetError> {
        let refuse = |why: &str| Err(NetError::new(NetErrorKind::Refused, format!("this URL cannot be used: {why}")));
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => {
                let shown = display_bytes(other.as_bytes());
                return refuse(&format!("`{shown}` is neither `https` nor `http`"));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it has a user name or password in it; store a key with `raincoat key add` instead");
        }
        if url.fragment().is_some() {
            return refuse("it has a fragment (`#...`); take that away");
        }
        if url.path().contains("%00") || url.query().is_some_and(|query| query.contains("%00")) {
            return refuse("it has an encoded NUL in it");
        }
        let Some(host) = url.host() else { return refuse("it has no host") };
        if let Host::Domain(name) = &host
            && !is_host_name(name)
        {
            return refuse(&format!("`{}` is not a host name", display_bytes(name.as_bytes())));
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if port == 0 {
            return refuse("port 0 is no port");
        }
        let endpoint = Endpoint { scheme, host: host.to_owned(), port };
        if scheme == Scheme::Http && !endpoint.is_loopback() {
            return refuse(&format!(
                "plain `http` goes to this machine only, and `{}` is not; use `https`",
                endpoint.host()
            ));
        }
        Ok(endpoint)
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host as a URL shows it: IPv6 in brackets.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is this machine by what it is called: 127.0.0.0/8, `::1`, or `localhost`.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
        }
    }

    /// The name that has to be looked up, or the address that stands there already.
    pub(crate) fn name(&self) -> &Host<String> {
        &self.host
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl Rules {
    /// The endpoint that this URL lies at, if it may be spoken to.
    pub(crate) fn check(&self, url: &Url) -> Result<Endpoint, NetError> {
        let endpoint = Endpoint::of(url)?;
        if !self.allowed.contains(&endpoint) {
            return Err(NetError::new(
                NetErrorKind::Refused,
                format!("`{endpoint}` is not a configured provider; `raincoat provider add` makes it one"),
            ));
        }
        if self.offline && !endpoint.is_loopback() {
            return Err(NetError::new(
                NetErrorKind::Refused,
                format!("offline mode is on, and `{endpoint}` is not on this machine"),
            ));
        }
        Ok(endpoint)
    }
}

/// Letters, digits and hyphens in labels of 1 to 63 bytes (RFC 1123 section 2.1), and underscores, which occur.
pub(crate) fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for bad in [
            "",
            "api.example.com/v1",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https:///v1",
            "https:api.example.com/",
            "https://user@api.example.com/",
            "https://user:hunter2@api.example.com/",
            "https://@api.example.com/",
            "https://api.example.com:@127.0.0.1/",
            "https://api.example.com\\@127.0.0.1/",
            "https://api.example.com/v1#x",
            "https://api.example.com/v1\0",
            "https://api.example.com/a\tb",
            "https://api.exa\nmple.com/",
            "https://api.example.com/%00",
            "https://api.example.com./v1",
            "https://api..example.com/",
            "https://-api.example.com/",
            "https://api%2eexample.com/",
            "https://аpi.example.com/",
            "https://bücher.example/",
            "https://0x7f.0.0.1/",
            "https://2130706433/",
            "https://127.1/",
            "http://127.1:8080/",
            "http://0177.0.0.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fe80::1%25eth0]/",
            "https://api.example.com:0/",
            "https://api.example.com:99999/",
            "https://api.example.com:/",
            "http://api.example.com/",
            "http://192.168.1.5:8080/",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "http://[::2]/",
        ] {
            let error = parse_url(bad).expect_err(bad);
            assert_eq!(error.kind(), NetErrorKind::Refused, "{bad}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn what_providers_use_is_taken() {
        for (good, endpoint) in [
            ("https://api.example.com/v1", "https://api.example.com:443"),
            ("https://API.Example.com:8443/v1?x=1", "https://api.example.com:8443"),
            ("https://192.168.1.5/v1", "https://192.168.1.5:443"),
            ("https://[2001:db8::1]:9/v1", "https://[2001:db8::1]:9"),
            ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example:443"),
            ("http://localhost:11434/v1", "http://localhost:11434"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/v1/", "http://[::1]:8080"),
        ] {
            let url = parse_url(good).expect(good);
            assert_eq!(Endpoint::of(&url).unwrap().to_string(), endpoint);
        }
    }

    #[test]
    fn scheme_host_and_port_must_all_be_the_allowed_ones() {
        let base = parse_url("https://api.example.com/v1").unwrap();
        let rules = Rules { allowed: vec![Endpoint::of(&base).unwrap()], offline: false };
        assert!(rules.check(&parse_url("https://api.example.com:443/other").unwrap()).is_ok());
        for bad in [
            "https://api.example.com:444/v1",
            "https://example.com/v1",
            "https://evil-api.example.com/v1",
            "https://api.example.com.evil.org/v1",
            "http://127.0.0.1:443/v1",
        ] {
            assert_eq!(rules.check(&parse_url(bad).unwrap()).unwrap_err().kind(), NetErrorKind::Refused, "{bad}");
        }
        assert!(Rules::default().check(&base).is_err(), "no rule allows nothing");
    }

    #[test]
    fn offline_means_this_machine_only() {
        let far = parse_url("https://api.example.com/").unwrap();
        let near = parse_url("http://127.0.0.1:8080/").unwrap();
        let allowed = vec![Endpoint::of(&far).unwrap(), Endpoint::of(&near).unwrap()];
        let rules = Rules { allowed, offline: true };
        assert!(rules.check(&far).unwrap_err().to_string().contains("offline"));
        assert!(rules.check(&near).is_ok());
    }

    proptest! {
        /// Whatever is taken says itself again, and is never plain to somewhere else.
        #[test]
        fn what_is_taken_reads_the_same_again(text in "(https?://)?[a-zA-Z0-9:/@.\\[\\]%#?_-]{0,40}") {
            if let Ok(url) = parse_url(&text) {
                let endpoint = Endpoint::of(&url).unwrap();
                prop_assert_eq!(&Endpoint::of(&parse_url(url.as_str()).unwrap()).unwrap(), &endpoint);
                prop_assert!(endpoint.scheme() == Scheme::Https || endpoint.is_loopback());
            }
        }
    }
}
