//! What looks like a secret does not leave. A last net: no event should carry one, but words that people type, and names
//! of files, may.
//!
//! Three sorts are known by sight: tokens with a vendor's prefix, passwords in URLs and in `name=value` pairs with a
//! telling name, and long runs of characters that no language has. Our own ids and digests are never put through here
//! as such, and within a text they pass: hex and ULIDs lack one of the cases that a random token has.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// What stands in a secret's place.
const MASKED: &str = "[masked]";

/// How tokens of well-known services begin, and how many characters follow at least.
const PREFIXES: [(&str, usize); 32] = [
    ("sk-", 16),
    ("sk_live_", 10),
    ("sk_test_", 10),
    ("rk_live_", 10),
    ("pk-lf-", 16),
    ("whsec_", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxa-", 10),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ya29.", 16),
    ("npm_", 30),
    ("pypi-", 30),
    ("hf_", 20),
    ("gsk_", 20),
    ("r8_", 20),
    ("SG.", 30),
    ("dop_v1_", 30),
    ("shpat_", 20),
    ("AGE-SECRET-KEY-", 20),
    ("eyJ", 30),
];

/// Names whose value is nobody's business, in small letters.
const TELLING: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "authorization",
];

/// Characters of a run that may be random, at least.
const RANDOM_LEAST: usize = 28;

/// The text without what looks like a secret.
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let before = text.get(..at).unwrap_or_default();
        match secret_at(before, rest) {
            Some((keep, len)) => {
                out.push_str(text.get(kept..at + keep).unwrap_or_default());
                out.push_str(MASKED);
                at += keep + len;
                kept = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether a secret begins here: how many bytes of its name stay, and how many after them go.
fn secret_at(before: &str, rest: &str) -> Option<(usize, usize)> {
    // What follows an equals sign is a value of its own.
    let starts = !before.ends_with(in_token) || before.ends_with('=');
    if starts {
        for (prefix, least) in PREFIXES {
            if let Some(after) = rest.strip_prefix(prefix) {
                let len = token(after);
                if len >= least {
                    return Some((prefix.len(), len));
                }
            }
        }
        let len = token(rest);
        if rest.get(..len).is_some_and(is_random) {
            return Some((0, len));
        }
    }
    key_block(rest).or_else(|| userinfo(before, rest)).or_else(|| named(before, rest))
}

/// A private key in PEM, its line breaks written out or not.
fn key_block(rest: &str) -> Option<(usize, usize)> {
    let after = rest.strip_prefix("-----BEGIN ")?;
    let name = after.split("-----").next().filter(|name| name.len() < 40 && name.contains("PRIVATE KEY"))?;
    let head = "-----BEGIN ".len() + name.len() + "-----".len();
    let body = rest.get(head..)?;
    Some((head, body.find("-----END ").unwrap_or(body.len()).max(1).min(body.len())))
}

/// The password of `scheme://user:password@host`.
fn userinfo(before: &str, rest: &str) -> Option<(usize, usize)> {
    let after = before.ends_with(':').then(|| rest.split(['/', ' ', '?', '#']).next()).flatten()?;
    let user = before.trim_end_matches(':').rsplit("://").next().filter(|_| before.contains("://"))?;
    let end = after.rfind('@').filter(|end| *end > 0)?;
    let is_user = !user.contains(['/', ' ', '@']);
    is_user.then_some((0, end))
}

/// The value of `password=...`, `"token": "..."` and the like.
fn named(before: &str, rest: &str) -> Option<(usize, usize)> {
    let closer = before.trim_end_matches([' ', '"', '\'']);
    let name = closer.strip_suffix(['=', ':'])?.trim_end_matches([' ', '"', '\'']);
    if before.ends_with(['=', ':']) && rest.starts_with([' ', '"', '\'']) {
        return None;
    }
    let telling = TELLING.iter().any(|word| {
        let tail = name.len().checked_sub(word.len()).and_then(|from| name.get(from..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(word))
    });
    let value = rest.split([' ', '"', '\'', ',', ';', '&', ')', ']', '}']).next().unwrap_or_default();
    // `Bearer` and `Basic` are words before a secret, and no secret.
    let scheme = value.eq_ignore_ascii_case("bearer") || value.eq_ignore_ascii_case("basic");
    if scheme && telling {
        let next = rest.get(value.len() + 1..)?.split([' ', '"', '\'', ',']).next()?;
        return (!next.is_empty()).then_some((value.len() + 1, next.len()));
    }
    (telling && value.len() >= 4 && value != MASKED.trim_end_matches(']')).then_some((0, value.len()))
}

fn in_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '=' | '.')
}

/// Bytes of the token that begins here.
fn token(rest: &str) -> usize {
    rest.find(|c| !in_token(c)).unwrap_or(rest.len())
}

/// Whether no person wrote this: small and capital letters and digits, many different ones, and changing from one sort to
/// another all the time.
fn is_random(token: &str) -> bool {
    token.split(['.', '/']).any(|part| {
        let bytes = part.as_bytes();
        if bytes.len() < RANDOM_LEAST {
            return false;
        }
        let sort = |byte: &u8| match byte {
            b'a'..=b'z' => 1,
            b'A'..=b'Z' => 2,
            b'0'..=b'9' => 3,
            _ => 0,
        };
        // Separators are no turn: names that people give are full of them.
        let sorts: Vec<u8> = bytes.iter().map(sort).filter(|sort| *sort > 0).collect();
        let turns = sorts.windows(2).filter(|two| matches!(two, [a, b] if a != b)).count();
        let different = bytes.iter().collect::<BTreeSet<_>>().len();
        let all_sorts = (1..=3).all(|wanted| sorts.contains(&wanted));
        all_sorts && turns * 5 >= sorts.len() * 2 && different >= 14
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_known_by_sight_is_masked() {
        for (secret, masked) in [
            ("use sk-ant-api03-AAAABBBBCCCCDDDD1111 now", "use sk-[masked] now"),
            ("ghp_0123456789abcdefghij0123456789abcdef", "ghp_[masked]"),
            ("key=AKIAIOSFODNN7EXAMPLE;", "key=AKIA[masked];"),
            ("https://me:hunter2@host/x", "https://me:[masked]@host/x"),
            ("set password=hunter2 there", "set password=[masked] there"),
            ("{\"token\": \"abcd1234\"}", "{\"token\": \"[masked]\"}"),
            ("authorization: Bearer abc.def", "authorization: Bearer [masked]"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\\nMIIE\\n-----END RSA PRIVATE KEY-----",
                "-----BEGIN RSA PRIVATE KEY-----[masked]-----END RSA PRIVATE KEY-----",
            ),
            ("it is q7Zk2PvX9rTb4LmW8sYd1NcF6hGj3KxA", "it is [masked]"),
        ] {
            assert_eq!(mask(secret), masked, "{secret}");
        }
    }

    #[test]
    fn what_people_write_is_left() {
        for text in [
            "moved 390 files into Archives (16), Data (18)",
            "/home/u/Documents/2025/Rechnungen/Rechnung_2025-11-21_Muster_GmbH_Nr_12345.pdf",
            "IMG_20261121_180359_HDR-HolidayPhotosFromTheSea.jpg",
            "01KA8Z3WQ3M7T2V9XJ5B6C8D0E/17 done, blake3 \
             9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bfbb1d1f2c3e4a5b6c7d8",
            "550e8400-e29b-41d4-a716-446655440000",
            "https://api.example.com:8443/v1",
            "the token is shown to nobody; a secret stays one",
            "src/main/java/com/example/application/SpringApplicationConfiguration2.java",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    proptest! {
        #[test]
        fn a_planted_secret_never_comes_out(before in "[a-z (]{0,12}", body in "[A-Za-z0-9]{36}", after in "[ ,;)][a-z ]{0,12}") {
            let secret = format!("ghp_{body}");
            let text = format!("{before} {secret}{after}");
            prop_assert!(!mask(&text).contains(&body));
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,200}") {
            let _ = mask(&text);
            let twice = mask(&text).into_owned();
            prop_assert_eq!(mask(&twice).into_owned(), twice.clone());
        }
    }
}
