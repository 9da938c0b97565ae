//! Any bytes as a request to the proxy of drafts: refused, waited for, or one meaning that says itself again; and any
//! text as a rule.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_net::proxy::{Asked, ProxyRules, Target, parse_head};

fuzz_target!(|data: &[u8]| {
    if let Ok(Some((asked, length))) = parse_head(data) {
        assert!(data[..length].ends_with(b"\r\n\r\n"));
        let target = asked.target();
        assert_eq!(&Target::parse(&target.to_string(), None).expect("reads itself"), target);
        if let Asked::Forward { head, .. } = &asked {
            let fields = head.strip_suffix(b"\r\n\r\n").expect("ends").split(|byte| *byte == b'\n');
            let hosts = fields.filter(|line| line.to_ascii_lowercase().starts_with(b"host:"));
            assert_eq!(hosts.count(), 1);
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = ProxyRules::parse(&[text.to_owned()]);
        if let Ok(target) = Target::parse(text, Some(443)) {
            let rules = ProxyRules::parse(&[target.to_string()]).expect("a target is a rule");
            assert!(rules.allows(&target));
        }
    }
});
