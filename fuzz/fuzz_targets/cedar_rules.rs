//! Any text as a policy file and, behind a line of `---`, as a request in one line: no panic, no endless nesting, and
//! what is broken never allows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use raincoat_policy::cedar::{Example, Rules, Verdict, analyse};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (policy, line) = text.split_once("\n---\n").unwrap_or((text, "agent:x read /a/b"));
    let (rules, whole) = match Rules::load(&[("fuzz.cedar", policy)]) {
        Ok(rules) => (rules, true),
        Err(broken) => {
            assert!(!broken.problems.is_empty());
            (broken.into_rules(), false)
        }
    };
    analyse(&rules);
    if let Ok(example) = Example::parse(line) {
        let explained = rules.explain(&example.request);
        assert_eq!(explained.verdict, rules.decide(&example.request));
        if rules.is_empty() && whole {
            assert_eq!(explained.verdict, Verdict::Silent);
        }
    }
});
