//! Which hosts a program may reach.

use url::Host;

use super::authority::{Target, host_of, is_loopback, shown, split};
use crate::rules::is_host_name;

/// Hosts that may be named for one run.
const ITEMS_MOST: usize = 1000;
/// The port where none is named: HTTPS.
const PORT: u16 = 443;

/// The hosts that a program may reach, each with its port. The empty list allows nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProxyRules {
    exact: Vec<Target>,
    /// What stands behind `*.`, and the port.
    beneath: Vec<(String, u16)>,
}

impl ProxyRules {
    /// Reads `HOST`, `HOST:PORT`, `*.example.org` (every name beneath, not `example.org` itself) and addresses. Port
    /// 443 goes without saying, but on this machine (`localhost:11434`, `127.0.0.1:8080`, `[::1]:8080`) each port is
    /// named. Capitals are made small.
    ///
    /// # Errors
    /// The first item that cannot be meant, and why, in words.
    pub fn parse(items: &[String]) -> Result<ProxyRules, String> {
        if items.len() > ITEMS_MOST {
            return Err(format!("{} hosts are named, and {ITEMS_MOST} is the most", items.len()));
        }
        let mut rules = ProxyRules::default();
        for item in items {
            rules.add(item)?;
        }
        Ok(rules)
    }

    fn add(&mut self, item: &str) -> Result<(), String> {
        if item.contains("://") || item.contains('/') {
            return Err(format!("`{}` is a URL: name its host alone, as in `example.org`", shown(item)));
        }
        if let Some(rest) = item.strip_prefix("*.") {
            let (name, port) = split(rest)?;
            let name = name.to_ascii_lowercase();
            // `a.` makes an ordinary host of it, so that it is read as every other.
            let whole = matches!(host_of(&format!("a.{name}"))?, Host::Domain(_)) && is_host_name(&name);
            if !whole || !name.contains('.') {
                let why = "`*.` stands before a name of at least two parts, as in `*.example.org`";
                return Err(format!("`{}` names too much: {why}", shown(item)));
            }
            self.beneath.push((name, port.unwrap_or(PORT)));
            return Ok(());
        }
        if item.contains('*') {
            return Err(format!("`{}` cannot be read: `*` stands only in front, as in `*.example.org`", shown(item)));
        }
        let (host, port) = split(item)?;
        let host = host_of(host)?;
        if port.is_none() && is_loopback(&host) {
            return Err(format!("`{host}` is this machine: name the port as well, as in `{host}:8080`"));
        }
        self.exact.push(Target { host, port: port.unwrap_or(PORT) });
        Ok(())
    }

    /// Whether no host is named at all.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.beneath.is_empty()
    }

    /// Whether this host may be reached at this port.
    pub fn allows(&self, target: &Target) -> bool {
        if self.exact.contains(target) {
            return true;
        }
        let Host::Domain(name) = &target.host else { return false };
        self.beneath.iter().any(|(suffix, port)| {
            *port == target.port
                && name.strip_suffix(suffix.as_str()).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
        })
    }
}
