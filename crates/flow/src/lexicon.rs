//! What verbs and nouns of requests and of tools' names mean. General English, no tool's or environment's own words.

pub(crate) mod lists;
mod nouns;
mod verbs;

use std::collections::HashMap;
use std::sync::LazyLock;

use nouns::{SAME, WISHES};
use verbs::{ALIKE, IRREGULAR, LETTING_IN, NOMINAL, OPPOSITES, PHRASAL, TELLING, VERBS};

/// Kinds of doing; one word may be of several.
pub(crate) type Deeds = u16;

pub(crate) const SEND: Deeds = 1;
pub(crate) const SHARE: Deeds = 1 << 1;
pub(crate) const CREATE: Deeds = 1 << 2;
pub(crate) const RESERVE: Deeds = 1 << 3;
pub(crate) const PAY: Deeds = 1 << 4;
pub(crate) const MODIFY: Deeds = 1 << 5;
pub(crate) const DELETE: Deeds = 1 << 6;
pub(crate) const RUN: Deeds = 1 << 7;
pub(crate) const VISIT: Deeds = 1 << 8;
pub(crate) const READ: Deeds = 1 << 9;
/// Whatever something that is read asks for.
pub(crate) const OBEY: Deeds = 1 << 10;
/// Everything that leaves a trace.
pub(crate) const EFFECTS: Deeds = SEND | SHARE | CREATE | RESERVE | PAY | MODIFY | DELETE | RUN;

/// What a word does as a verb in its base form; 0 for none.
pub(crate) fn verb(word: &str) -> Deeds {
    static TABLE: LazyLock<HashMap<&str, Deeds>> = LazyLock::new(|| table(VERBS));
    TABLE.get(word).copied().unwrap_or(0)
}

/// How a word is written that is a form of a verb.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// As in an order.
    Base,
    /// As in "he sends".
    Third,
    /// As in "sent".
    Past,
    /// As in "sending".
    Ing,
}

/// The verbs that a word may be a form of, and what they do.
pub(crate) fn verb_forms(word: &str) -> Option<(String, Form, Deeds)> {
    let base = verb(word);
    if base != 0 {
        return Some((word.to_owned(), Form::Base, base));
    }
    if let Some((_, base)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return Some(((*base).to_owned(), Form::Past, verb(base)));
    }
    for (ending, form) in [("ing", Form::Ing), ("ed", Form::Past), ("es", Form::Third), ("s", Form::Third)] {
        let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() >= 2) else { continue };
        for base in stems(stem, ending) {
            let deeds = verb(&base);
            if deeds != 0 {
                return Some((base, form, deeds));
            }
        }
    }
    None
}

fn stems(stem: &str, ending: &str) -> Vec<String> {
    let mut out = vec![stem.to_owned()];
    if ending != "s" {
        out.push(format!("{stem}e"));
        if let Some(shorter) = stem.strip_suffix('i') {
            out.push(format!("{shorter}y"));
        }
        let mut chars = stem.chars().rev();
        if chars.next() == chars.next() {
            out.push(stem.chars().take(stem.chars().count() - 1).collect());
        }
    }
    out
}

/// A verb with one slip of the pen: a letter left out, doubled, exchanged with its neighbour, or wrong.
pub(crate) fn misspelt_verb(word: &str) -> Option<(String, Deeds)> {
    if word.len() < 5 || !word.is_ascii() {
        return None;
    }
    let mut all = VERBS.iter().flat_map(|(_, words)| words.split_whitespace());
    let close =
        |base: &&str| base.len() >= 5 && base.as_bytes().first() == word.as_bytes().first() && one_slip(word, base);
    all.find(close).map(|base| (base.to_owned(), verb(base)))
}

/// Whether two words are one slip apart.
pub(crate) fn one_slip(a: &str, b: &str) -> bool {
    let (long, short) = if a.len() >= b.len() { (a.as_bytes(), b.as_bytes()) } else { (b.as_bytes(), a.as_bytes()) };
    let same = long.iter().zip(short).take_while(|(x, y)| x == y).count();
    let tail = |bytes: &[u8], from: usize| bytes.get(from..).unwrap_or_default().to_vec();
    match long.len() - short.len() {
        0 if same == long.len() => false,
        0 => {
            let swapped = long.get(same) == short.get(same + 1) && long.get(same + 1) == short.get(same);
            tail(long, same + 1) == tail(short, same + 1) || (swapped && tail(long, same + 2) == tail(short, same + 2))
        }
        1 => tail(long, same + 1) == tail(short, same),
        _ => false,
    }
}

/// What a noun wishes for.
pub(crate) fn wish(word: &str) -> Deeds {
    let single = singular(word);
    static TABLE: LazyLock<HashMap<&str, Deeds>> = LazyLock::new(|| table(WISHES));
    let of = |word: &str| TABLE.get(word).copied().unwrap_or(0);
    of(word) | of(&single)
}

/// A noun without its plural.
pub(crate) fn singular(word: &str) -> String {
    let whole = |word: &str| word.to_owned();
    if word.len() < 4 || word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        return whole(word);
    }
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    if let Some(stem) = word.strip_suffix("es")
        && (stem.ends_with("sh") || stem.ends_with("ch") || stem.ends_with('x') || stem.ends_with("ss"))
    {
        return whole(stem);
    }
    word.strip_suffix('s').map_or_else(|| whole(word), whole)
}

/// Whether two nouns stand for the same thing.
pub(crate) fn same_thing(a: &str, b: &str) -> bool {
    a == b || lines(a) & lines(b) != 0
}

/// Whether one of some nouns stands for the same thing as another.
pub(crate) fn same_things(nouns: &[String], noun: &str) -> bool {
    nouns.iter().any(|one| same_thing(one, noun))
}

/// Whether the word is a noun of some line above.
pub(crate) fn is_thing(word: &str) -> bool {
    lines(word) != 0
}

/// The lines of [`SAME`] that a noun stands in, a bit for each.
fn lines(noun: &str) -> u128 {
    static TABLE: LazyLock<HashMap<&str, u128>> = LazyLock::new(|| {
        let mut table = HashMap::new();
        for (line, words) in SAME.iter().enumerate() {
            words.split_whitespace().for_each(|word| *table.entry(word).or_insert(0) |= 1 << line);
        }
        table
    });
    TABLE.get(noun).copied().unwrap_or(0)
}

/// What a field holds that is nobody else's business, by its name.
pub(crate) fn secret(column: &str) -> Option<&'static str> {
    const KINDS: [(&str, &str); 12] = [
        ("passport", "passport"),
        ("password", "password"),
        ("passphrase", "password"),
        ("creditcard", "card"),
        ("cardnumber", "card"),
        ("bankaccount", "account"),
        ("securitycode", "code"),
        ("socialsecurity", "security"),
        ("ssn", "security"),
        ("apikey", "key"),
        ("secret", "secret"),
        ("token", "token"),
    ];
    let name = column.rsplit('.').next().unwrap_or_default();
    let name: String = name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    KINDS.iter().find(|(word, _)| name.contains(word)).map(|(_, kind)| *kind)
}

/// The verb that a noun stands for.
pub(crate) fn nominal(noun: &str) -> Option<&'static str> {
    NOMINAL.iter().find(|(one, _)| *one == noun).map(|(_, verb)| *verb)
}

/// What a verb becomes by one of the little words after it.
pub(crate) fn phrasal(verb: &str, after: &dyn Fn(&str) -> bool) -> Option<(&'static str, Deeds)> {
    PHRASAL.iter().find(|(one, little, _, _)| *one == verb && after(little)).map(|(_, _, deeds, verb)| (*verb, *deeds))
}

/// Whether one verb undoes what the other does.
pub(crate) fn are_opposites(a: &str, b: &str) -> bool {
    let prefixed =
        |long: &str, short: &str| ["un", "dis", "de"].iter().any(|prefix| long.strip_prefix(prefix) == Some(short));
    prefixed(a, b)
        || prefixed(b, a)
        || OPPOSITES.iter().any(|pair| *pair == (a, b) || *pair == (b, a))
        || a.strip_prefix("en").is_some_and(|stem| b.strip_prefix("dis") == Some(stem))
        || b.strip_prefix("en").is_some_and(|stem| a.strip_prefix("dis") == Some(stem))
}

/// Whether two verbs mean much the same: "raise" and "open", "reassign" and "assign".
pub(crate) fn are_alike(a: &str, b: &str) -> bool {
    // "Reassign" is to assign.
    let bare = |verb: &'_ str| {
        verb.strip_prefix("re").filter(|rest| rest.len() >= 4 && self::verb(rest) != 0).map(str::to_owned)
    };
    let (a, b) = (bare(a).unwrap_or_else(|| a.to_owned()), bare(b).unwrap_or_else(|| b.to_owned()));
    a == b
        || ALIKE.iter().any(|line| {
            let has = |verb: &str| line.split_whitespace().any(|one| one == verb);
            has(&a) && has(&b)
        })
}

/// Whether a verb says that somebody is told something.
pub(crate) fn is_telling(verb: &str) -> bool {
    TELLING.has(verb)
}

/// Whether a tool's verb lets somebody in or makes something known to all.
pub(crate) fn is_letting_in(verb: &str) -> bool {
    LETTING_IN.has(verb)
}

/// Whether a word is in no list at all: at the place of an order it may be a verb that is not known.
pub(crate) fn is_strange(word: &str) -> bool {
    let lists = [
        &lists::NOUNS_TOO,
        &lists::BEFORE_ORDER,
        &lists::BEFORE_TO,
        &lists::ASKING,
        &lists::TELLING,
        &lists::MANY,
        &lists::PLACES,
        &lists::IN_NEED,
        &lists::REFERENCE,
        &lists::SOURCES,
        &lists::STATES,
        &lists::STOP,
    ];
    word.len() >= 3
        && word.chars().all(|c| c.is_ascii_lowercase())
        && verb_forms(word).is_none()
        && !is_thing(&singular(word))
        && wish(word) == 0
        && !lists.iter().any(|list| list.has(word))
}

fn table(lines: &'static [(Deeds, &'static str)]) -> HashMap<&'static str, Deeds> {
    let mut table = HashMap::new();
    for (deeds, words) in lines {
        words.split_whitespace().for_each(|word| *table.entry(word).or_insert(0) |= deeds);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_known_in_every_form() {
        for (word, base, form) in [
            ("send", "send", Form::Base),
            ("sends", "send", Form::Third),
            ("sent", "send", Form::Past),
            ("sending", "send", Form::Ing),
            ("cancelled", "cancel", Form::Past),
            ("canceled", "cancel", Form::Past),
            ("deleting", "delete", Form::Ing),
            ("notifies", "notify", Form::Third),
            ("scheduling", "schedule", Form::Ing),
        ] {
            let (found, as_form, deeds) = verb_forms(word).unwrap();
            assert_eq!((found.as_str(), as_form), (base, form), "{word}");
            assert_ne!(deeds, 0);
        }
        assert_eq!(verb_forms("banana"), None);
    }

    #[test]
    fn a_slip_of_the_pen_is_forgiven_and_no_more() {
        for word in ["delte", "deelte", "dellete", "deletd"] {
            assert_eq!(misspelt_verb(word).map(|(verb, _)| verb).as_deref(), Some("delete"), "{word}");
        }
        assert_eq!(misspelt_verb("dlte"), None);
        assert_eq!(misspelt_verb("there"), None);
        assert!(!one_slip("abc", "abc"));
    }

    #[test]
    fn nouns_lose_their_plural() {
        for (many, one) in [("emails", "email"), ("boxes", "box"), ("parties", "party"), ("address", "address")] {
            assert_eq!(singular(many), one);
        }
        assert!(same_thing("meeting", "event") && !same_thing("meeting", "file"));
    }
}
