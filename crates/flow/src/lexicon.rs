//! What verbs and nouns of requests and of tools' names mean. General English, no tool's or environment's own words.

pub(crate) mod lists;

use std::collections::HashMap;
use std::sync::LazyLock;

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

/// Verbs in their base form, by what they do. A word may stand in several lines.
const VERBS: &[(Deeds, &str)] = &[
    (
        SEND,
        "hand send email mail message text dm write reply respond answer forward notify tell inform remind contact ping post \
     publish announce tweet broadcast comment ask thank congratulate apologise apologize share submit deliver dispatch relay \
     drop shoot fax call chat whatsapp slack communicate page emit push pass cc bcc upload resend say alert warn \
     confirm acknowledge transmit redirect export leave give let",
    ),
    (
        SHARE,
        "share invite add grant give permit authorise authorize assign allow expose publish enrol enroll subscribe \
     onboard admit collaborate loop include bring transfer delegate",
    ),
    (
        CREATE,
        "upsert create make add new book schedule arrange organise organize plan open register save write generate draft put \
     log record upload insert post set compose note jot store file prepare produce build start setup provision enter \
     raise submit launch copy duplicate clone comment track capture issue import reserve block pencil append place \
     fill request attach compile do get order enrol enroll",
    ),
    (
        RESERVE,
        "book reserve schedule arrange order rent hire request organise organize plan get fix block hold pencil sort \
     make place set secure buy purchase find slot",
    ),
    (
        PAY,
        "pay transfer wire refund reimburse settle repay donate tip charge purchase buy order remit deposit withdraw \
     invest compensate credit debit bill subscribe checkout",
    ),
    (
        MODIFY,
        "hand take upsert update change edit modify set adjust move reschedule postpone rename replace fix correct increase raise \
     decrease lower reduce switch turn toggle mark label tag assign reassign enable disable activate deactivate lock \
     unlock open start stop restart reboot resize scale append insert extend attach approve reject accept decline \
     complete reopen pin mute unmute dim brighten warm heat cool upgrade downgrade add put close merge write save push \
     hide unhide show mask delay shift swap rearrange patch configure convert archive unarchive resolve star flag bump amend revise alter \
     advance escalate make transfer complete bring cancel drop prioritise prioritize link shut arm disarm pause resume \
     play note record log apply rebook reset restore tidy rotate cut double halve extend prolong fill sort switch \
     refund tick check submit keep give hold leave set sign schedule promote demote crank stick clean group translate",
    ),
    (
        DELETE,
        "take delete remove cancel drop erase clear kick ban revoke unsubscribe terminate stop trash discard purge destroy \
     wipe empty unshare uninstall detach expel evict deprovision close withdraw void unassign deregister scrap axe bin \
     prune archive delist eliminate dismiss block shut nuke rid remove clean cleanup tidy declutter dedupe deduplicate \
     free throw",
    ),
    (RUN, "run execute deploy launch start invoke trigger install eval evaluate exec perform restart shell compile"),
    (
        VISIT,
        "visit open go click navigate browse follow load download fetch get read check see access view look retrieve crawl \
     scrape request enter surf curl use",
    ),
    (
        READ,
        "get list read search find fetch show view check look lookup query count describe retrieve browse display inspect \
     monitor download calculate compute summarise summarize compare analyse analyze verify validate preview watch load \
     peek scan extract locate determine filter explain review give tell track status who what when where which how is \
     are does did was were has have see identify translate retrieve poll select whoami head ls cat grep stat dump \
     convert rank sort rate open return",
    ),
    (
        OBEY,
        "do perform execute complete follow handle process act implement carry work tackle action sort deal address \
     run finish resolve",
    ),
];

/// Forms that no rule makes, with their base.
const IRREGULAR: &[(&str, &str)] = &[
    ("sent", "send"),
    ("paid", "pay"),
    ("wrote", "write"),
    ("written", "write"),
    ("made", "make"),
    ("bought", "buy"),
    ("told", "tell"),
    ("gave", "give"),
    ("given", "give"),
    ("left", "leave"),
    ("took", "take"),
    ("taken", "take"),
    ("got", "get"),
    ("gotten", "get"),
    ("held", "hold"),
    ("found", "find"),
    ("read", "read"),
    ("put", "put"),
    ("set", "set"),
    ("cut", "cut"),
    ("shut", "shut"),
    ("kept", "keep"),
    ("brought", "bring"),
    ("done", "do"),
    ("withdrawn", "withdraw"),
    ("rebuilt", "rebuild"),
    ("built", "build"),
    ("ran", "run"),
    ("said", "say"),
    ("chosen", "choose"),
    ("forgotten", "forget"),
    ("went", "go"),
    ("gone", "go"),
    ("saw", "see"),
    ("seen", "see"),
];

/// Nouns that are a wish by themselves, where something is wished for.
const WISHES: &[(Deeds, &str)] = &[
    (PAY, "refund payment transfer reimbursement repayment donation tip purchase order deposit"),
    (RESERVE | CREATE, "reservation booking appointment table slot room seat ticket taxi ride cab visit"),
    (
        CREATE,
        "code coupon voucher comment event meeting reminder note entry issue ticket task document file draft invite",
    ),
    (SEND, "message email mail reply response answer comment note word text dm reminder heads-up feedback"),
    (SEND | SHARE, "invite invitation access role permission right"),
    (DELETE, "cancellation deletion removal"),
    (MODIFY, "change update correction extension upgrade rescheduling"),
];

/// Words that stand for the same thing. The first of a line is its name.
const SAME: &[&str] = &[
    "event meeting appointment calendar agenda invite invitation lunch dinner breakfast call visit slot booking reservation \
     consultation session sync diary meetup party birthday interview class checkup surgery",
    "file document doc docx pdf xlsx spreadsheet sheet drive folder attachment list note notes txt csv presentation slide \
     minutes directory",
    "email mail inbox message letter gmail outlook reply mailbox",
    "message dm text chat note word sms direct reply post question answer response comment",
    "channel group room chatroom",
    "user person member people colleague teammate guest attendee participant coworker contractor collaborator employee \
     account somebody someone everyone everybody invitee",
    "money transaction payment transfer rent bill invoice iban fund funds wire cash bank subscription fee balance debt owed \
     deposit standing",
    "issue bug ticket defect report task story card",
    "pull pr merge request mr branch",
    "order purchase basket cart parcel package shipment delivery item product",
    "refund return reimbursement",
    "light lamp bulb lighting",
    "thermostat temperature heating heat heater radiator degree boiler climate",
    "lock door gate garage",
    "contact lead client customer prospect person company account",
    "deal opportunity pipeline",
    "instance vm server machine droplet node box host compute",
    "bucket storage volume disk blob object",
    "website webpage page site web url link blog article news wiki",
    "password passphrase pin credential login passcode",
    "hotel accommodation room stay lodging",
    "restaurant table dinner lunch",
    "car vehicle rental",
    "flight plane ticket",
    "patient record chart",
    "doctor physician clinician dr practitioner consultant",
    "prescription medication medicine drug refill",
    "reminder alarm timer alert notification",
    "blind shade curtain shutter",
    "profile account user info information detail details address",
    "address street home",
    "alarm security",
    "song music playlist track",
    "comment review feedback remark note",
    "permission access role policy right",
    "task todo checklist chore item reminder",
    "key token secret",
    "subscription membership plan",
    "workspace slack team organisation organization",
    "camera video recording footage",
    "database db table",
    "label tag",
    "record dns domain zone",
];

/// Nouns of what verbs do, for "make a reservation".
const NOMINAL: &[(&str, &str)] = &[
    ("reservation", "reserve"),
    ("booking", "book"),
    ("appointment", "book"),
    ("payment", "pay"),
    ("refund", "refund"),
    ("order", "order"),
    ("transfer", "transfer"),
    ("cancellation", "cancel"),
    ("change", "change"),
    ("update", "update"),
    ("call", "call"),
    ("reply", "reply"),
    ("invitation", "invite"),
    ("comment", "comment"),
    ("purchase", "purchase"),
    ("donation", "donate"),
    ("deletion", "delete"),
    ("correction", "correct"),
    ("post", "post"),
    ("note", "add"),
];

/// Verbs of which one undoes the other.
const OPPOSITES: &[(&str, &str)] = &[
    ("open", "close"),
    ("open", "shut"),
    ("start", "stop"),
    ("approve", "reject"),
    ("accept", "decline"),
    ("accept", "reject"),
    ("increase", "decrease"),
    ("raise", "lower"),
    ("promote", "demote"),
    ("close", "reopen"),
    ("pause", "resume"),
    ("complete", "reopen"),
    ("attach", "detach"),
    ("upgrade", "downgrade"),
    ("show", "hide"),
    ("assign", "unassign"),
    ("deposit", "withdraw"),
    ("heat", "cool"),
    ("extend", "cut"),
];

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

/// Whether the word is a noun of some line above.
pub(crate) fn is_thing(word: &str) -> bool {
    lines(word) != 0
}

/// The lines of [`SAME`] that a noun stands in, a bit for each.
fn lines(noun: &str) -> u64 {
    static TABLE: LazyLock<HashMap<&str, u64>> = LazyLock::new(|| {
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
