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

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(items: &[&str]) -> Result<ProxyRules, String> {
        ProxyRules::parse(&items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>())
    }

    fn allows(rules: &ProxyRules, target: &str) -> bool {
        rules.allows(&Target::parse(target, None).unwrap())
    }

    #[test]
    fn what_is_named_is_allowed_and_nothing_beside_it() {
        let named = [
            "example.org",
            "Plain.Example.org:80",
            "*.Example.net",
            "localhost:11434",
            "127.0.0.1:8080",
            "[::1]:8081",
            "192.168.1.5",
            "[fd00::5]:9",
            "xn--bcher-kva.example",
        ];
        let rules = rules(&named).unwrap();
        for good in [
            "example.org:443",
            "EXAMPLE.org:443",
            "plain.example.org:80",
            "a.example.net:443",
            "a.b.example.net:443",
            "localhost:11434",
            "127.0.0.1:8080",
            "[::1]:8081",
            "192.168.1.5:443",
            "[fd00::5]:9",
            "xn--bcher-kva.example:443",
        ] {
            assert!(allows(&rules, good), "{good}");
        }
        for bad in [
            "example.org:80",
            "www.example.org:443",
            "notexample.org:443",
            "example.org.evil.com:443",
            "plain.example.org:443",
            "example.net:443",
            "a.example.net:80",
            "aexample.net:443",
            "evil-example.net:443",
            "localhost:1",
            "localhost:443",
            "a.localhost:11434",
            "127.0.0.1:443",
            "127.0.0.2:8080",
            "[::1]:8080",
            "[::2]:8081",
            "192.168.1.6:443",
            "169.254.169.254:443",
            "169.254.169.254:80",
        ] {
            assert!(!allows(&rules, bad), "{bad}");
        }
        assert!(!rules.is_empty());
        let none = ProxyRules::parse(&[]).unwrap();
        assert!(none.is_empty() && !allows(&none, "example.org:443"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_reason() {
        for (item, why) in [
            ("", "there is no host"),
            ("localhost", "name the port as well, as in `localhost:8080`"),
            ("127.0.0.1", "name the port as well"),
            ("127.8.8.8", "name the port as well"),
            ("[::1]", "name the port as well"),
            ("https://example.org", "name its host alone"),
            ("example.org/path", "name its host alone"),
            ("*", "only in front"),
            ("*.org", "names too much"),
            ("*.127.0.0.1", "not a host"),
            ("*.0.0.1", "not a host"),
            ("*.*.example.org", "not a host"),
            ("*.", "there is no host"),
            ("a.*.example.org", "only in front"),
            ("*example.org", "only in front"),
            ("*..example.org", "not a host"),
            ("*.example.org.", "ends in a dot"),
            ("example.org.", "ends in a dot"),
            ("user@example.org", "user name"),
            ("exam ple.org", "space"),
            ("example.org\0", "control character"),
            ("example.org\n", "control character"),
            ("example.org:", "ends in no port"),
            ("example.org:0", "ends in no port"),
            ("example.org:080", "ends in no port"),
            ("example.org:70000", "ends in no port"),
            ("example.org:https", "ends in no port"),
            ("127.1:80", "read as `127.0.0.1`"),
            ("0177.0.0.1:80", "read as `127.0.0.1`"),
            ("0x7f000001:80", "read as `127.0.0.1`"),
            ("2130706433:80", "read as `127.0.0.1`"),
            ("1.2.3.4.5", "neither a name nor an address"),
            ("::1", "in brackets"),
            ("2001:db8::1", "in brackets"),
            ("[2001:DB8:0::1]", "read as `[2001:db8::1]`"),
            ("[::ffff:1.2.3.4]", "IPv4 address"),
            ("[fe80::1%eth0]", "characters"),
            ("b\u{fc}cher.example", "read as `xn--bcher-kva.example`"),
            ("\u{430}pi.example.com", "read as `xn--"),
            ("ex\u{ad}ample.org", "read as `example.org`"),
            ("-example.org", "letters, digits"),
            ("example .org", "space"),
        ] {
            let said = rules(&[item]).expect_err(item);
            assert!(said.contains(why), "{item}: {said}");
        }
        assert!(rules(&["x"; ITEMS_MOST + 1]).is_err());
    }

    #[test]
    fn what_is_shown_as_the_flag_is_the_rule_that_allows_it() {
        for target in
            ["example.org:443", "example.org:80", "localhost:443", "127.0.0.1:1", "[::1]:443", "[fd00::5]:443"]
        {
            let target = Target::parse(target, None).unwrap();
            assert!(rules(&[&target.flag()]).unwrap().allows(&target), "{target}");
        }
    }
}
