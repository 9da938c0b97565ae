//! A host and a port, read in one way only (incident 50: a host name that two parsers read differently).

use std::fmt;

use raincoat_types::display_bytes;
use url::Host;

use crate::rules::is_host_name;

/// Bytes of a host with its port, at most: the longest name (RFC 1035 section 2.3.4) and `:65535`.
const AUTHORITY_MOST: usize = 253 + 6;

/// Where a program wants to go, in the one spelling that is compared, shown and connected to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    pub(super) host: Host<String>,
    pub(super) port: u16,
}

impl Target {
    /// The host, IPv6 in brackets.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Reads `HOST:PORT`, or `HOST` where a port goes without saying. Capitals are made small; whatever could be read
    /// in two ways is refused.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Target, String> {
        let (host, port) = split(text)?;
        let port = match (port, default_port) {
            (Some(port), _) | (None, Some(port)) => port,
            (None, None) => return Err(format!("`{}` lacks its port", shown(text))),
        };
        Ok(Target { host: host_of(host)?, port })
    }

    /// Whether it is this machine by what it is called.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// What a person writes after `--net` to name it.
    pub(super) fn flag(&self) -> String {
        if self.port == 443 && !self.is_loopback() { self.host.to_string() } else { self.to_string() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Whether a host is this machine by what it is called: 127.0.0.0/8, `::1`, or `localhost`.
pub(super) fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

/// Takes the port from behind a host.
pub(super) fn split(text: &str) -> Result<(&str, Option<u16>), String> {
    if text.is_empty() {
        return Err("there is no host".to_owned());
    }
    if text.len() > AUTHORITY_MOST {
        return Err(format!("`{}...` is longer than a host can be", shown(text.get(..40).unwrap_or_default())));
    }
    // What stands behind the last colon is a port, but for the colons within an address in brackets.
    let at = text.rfind(':').filter(|at| text.rfind(']').is_none_or(|bracket| bracket < *at));
    let Some((host, port)) = at.and_then(|at| text.split_at_checked(at)) else { return Ok((text, None)) };
    let digits = port.trim_start_matches(':');
    // `080` and `+80` are 80 to some and nothing to others.
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if plain => Ok((host, Some(port))),
        _ => Err(format!("`{}` ends in no port: a number from 1 to 65535", shown(text))),
    }
}

/// Reads a host, and refuses one that is not written as it will be used.
pub(super) fn host_of(text: &str) -> Result<Host<String>, String> {
    let refuse = |why: &str| Err(format!("`{}` is not a host: {why}", shown(text)));
    if text.contains('@') {
        return refuse("it has a user name in it");
    }
    if text.bytes().any(|byte| byte.is_ascii_control() || byte.is_ascii_whitespace()) {
        return refuse("it has a space or a control character in it");
    }
    if text.contains(['/', '\\', '?', '#', '%']) {
        return refuse("it has characters in it that no host name has");
    }
    if text.ends_with('.') {
        return refuse("it ends in a dot; take that away");
    }
    let bracketed = text.starts_with('[') && text.ends_with(']');
    if text.contains(':') && !bracketed {
        return refuse("an IPv6 address stands in brackets, as in `[2001:db8::1]`");
    }
    let Ok(host) = Host::parse(text) else {
        return refuse("it is neither a name nor an address");
    };
    match &host {
        Host::Ipv6(ip) if ip.to_ipv4_mapped().is_some() => {
            return refuse("write the IPv4 address that it holds instead");
        }
        Host::Domain(name) if !is_host_name(name) => {
            return refuse("a name has letters, digits, hyphens and dots, and no part of it is empty");
        }
        _ => {}
    }
    let used = host.to_string();
    if !used.eq_ignore_ascii_case(text) {
        return refuse(&format!("it would be read as `{used}`; write it so"));
    }
    Ok(host)
}

/// Text of anybody's, safe to show.
pub(super) fn shown(text: &str) -> String {
    display_bytes(text.as_bytes())
}
