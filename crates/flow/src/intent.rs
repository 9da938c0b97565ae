//! What the user's request calls for, found out before anything else is read.

use raincoat_gate::{Effect, Intent};

use crate::fold::{folded, squashed};
use crate::handover;
use crate::lexicon::lists;
use crate::lexicon::{self, CREATE, DELETE, Deeds, EFFECTS, MODIFY, OBEY, PAY, RESERVE, SEND, SHARE};
use crate::speech::{self, Order};
use crate::tool::Tool;
use crate::values::{self, Shape};
use crate::words::{Word, identifier, words};

/// A user's request.
#[derive(Clone, Debug)]
pub struct Request {
    words: String,
    squashed: String,
    orders: Vec<Order>,
    /// The choice of what to do is handed to something that is read.
    pub(crate) hands_over: bool,
    /// A value is left to something that is read.
    pub(crate) refers: bool,
    /// It is a question about facts, in words that are known.
    asks: bool,
    /// What it says is not to be done.
    spared: Deeds,
    /// As it was written, in lower case.
    raw: String,
    /// What has a shape in it.
    shapes: Vec<(Shape, String)>,
    /// Everything that it names, singular.
    things: Vec<String>,
    /// Names: capitalised words within sentences, quoted words, parts of addresses.
    names: Vec<Vec<String>>,
}

impl Request {
    /// Reads a request.
    pub fn new(text: &str) -> Request {
        let all = words(text);
        let singular = |low: &str| lexicon::singular(low);
        let things = all.iter().map(|word| singular(&word.low)).filter(|word| lexicon::is_thing(word)).collect();
        let is_name = |word: &Word<'_>| {
            let capital = word.raw.chars().next().is_some_and(char::is_uppercase) && word.raw.len() > 2;
            (capital && !word.sentence || word.quoted || (capital && lexicon::verb_forms(&word.low).is_none()))
                && !is_common(&word.low)
        };
        let mut names: Vec<Vec<String>> = Vec::new();
        let mut amid = false;
        for word in &all {
            let name = word.low.trim_end_matches("'s").to_owned();
            match (is_name(word), names.last_mut().filter(|_| amid && !word.starts)) {
                (true, Some(last)) => last.push(name),
                (true, None) => names.push(vec![name]),
                (false, _) => {}
            }
            amid = is_name(word) && !word.low.ends_with("'s");
        }
        let shapes = values::shapes(text);
        for (_, value) in &shapes {
            let words = folded(value);
            let parts = words.split(' ').filter(|part| part.len() >= 4 && !is_common(part));
            names.extend(parts.map(|part| vec![part.to_owned()]));
        }
        let words = folded(text);
        let squashed = squashed(&words);
        Request {
            orders: speech::orders(text),
            hands_over: handover::hands_over(text),
            refers: handover::refers(text),
            asks: speech::asks(text),
            spared: speech::spared(text),
            raw: text.to_lowercase(),
            words,
            squashed,
            shapes,
            things,
            names,
        }
    }

    /// Whether the user said a value, by its spellings.
    pub(crate) fn said(&self, spellings: &[String]) -> bool {
        spellings.iter().any(|spelling| self.words.contains(spelling.as_str()))
    }

    /// Whether the user wrote a number as one: `#12`.
    pub(crate) fn numbers(&self, value: &str) -> bool {
        let digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        self.raw.split('#').skip(1).any(|rest| rest.strip_prefix(value).is_some_and(|rest| !digit(rest)))
    }

    /// Whether the user said another value that is written alike: `SO-7781` where this is `SO-7795`.
    pub(crate) fn has_pattern(&self, value: &str) -> bool {
        let digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        if value.chars().all(|c| c.is_ascii_digit()) {
            return self.raw.split('#').skip(1).any(digit);
        }
        let written = pattern(&value.to_lowercase());
        let tokens = self.raw.split(|c: char| c.is_whitespace() || ",;:!?()'\"".contains(c));
        written.is_some() && tokens.map(|token| token.trim_end_matches('.')).any(|token| pattern(token) == written)
    }

    /// Whether the user said an address or the like, however its letters are set.
    pub(crate) fn said_squashed(&self, value: &str) -> bool {
        value.len() >= 8 && self.squashed.contains(value)
    }

    /// Whether the user said a value of this shape: then nobody else's is meant.
    pub(crate) fn has_shape(&self, shape: Shape) -> bool {
        self.shapes.iter().any(|(one, _)| *one == shape)
    }

    /// Whether a name of the request is among these folded words.
    pub(crate) fn names_in(&self, words: &str) -> bool {
        self.names.iter().any(|name| match name.as_slice() {
            [one] => words.contains(&format!(" {one} ")),
            // Of "Dock Road" neither "road" nor "dock" is a name by itself, but where nothing else is said.
            many => {
                let pair = many.windows(2).any(|two| words.contains(&format!(" {} ", two.join(" "))));
                pair || !words.is_empty()
                    && words.split(' ').all(|word| word.is_empty() || many.iter().any(|one| one == word))
            }
        })
    }

    /// Whether the request speaks of such a thing.
    pub(crate) fn speaks_of(&self, thing: &str) -> bool {
        self.things.iter().any(|one| lexicon::same_thing(one, thing))
    }

    /// Whether it speaks of more than one anywhere.
    pub(crate) fn is_many(&self) -> bool {
        self.orders.iter().any(|order| order.many)
    }

    /// Whether it asks for anything but to be told something.
    pub(crate) fn acts(&self) -> bool {
        self.orders.iter().any(|order| order.deeds == 0 || order.deeds & EFFECTS != 0)
    }

    /// Whether every order in it is in words that are known, or it merely asks.
    pub(crate) fn is_understood(&self) -> bool {
        !self.orders.is_empty() && self.orders.iter().all(|order| order.deeds != 0) || self.merely_asks()
    }

    /// Whether it asks to be told something and for nothing else.
    pub(crate) fn merely_asks(&self) -> bool {
        self.asks && self.orders.iter().all(|order| order.deeds != 0 && order.deeds & EFFECTS == 0)
    }

    /// Whether it says that what such a tool does is not to be done.
    pub(crate) fn spares(&self, tool: &Tool) -> bool {
        let deeds = if tool.effect == Effect::Destroy { DELETE } else { CREATE | MODIFY };
        self.spared & deeds != 0
    }

    /// Whether it asks for something that no tool is clearly meant by: words that are in no list.
    pub(crate) fn has_more(&self, tools: &[Tool]) -> bool {
        let wished = |order: &Order| order.deeds == 0 || order.deeds & EFFECTS != 0;
        let orders = || self.orders.iter().filter(|order| wished(order));
        let verbless = self.orders.is_empty() && !self.raw.trim_end().ends_with('?');
        verbless || orders().any(|order| best_fit(order, tools) < CLEAR)
    }

    /// Whether it calls for a tool, among the tools that there are: for each order those that fit it best.
    pub(crate) fn calls_for(&self, tool: &Tool, tools: &[Tool]) -> Intent {
        let weighty = tool.is_weighty();
        let called = self.orders.iter().any(|order| {
            // "Log it on their deal" moves no deal where there is a tool that logs.
            let closer = |other: &Tool| match closeness(order, other) {
                2 => meets(order, other) && (!lists::LIGHT.has(&order.verb) || names(&order.words, other)),
                1 => meets(order, other) && names(&order.words, other),
                _ => false,
            };
            let other = tool.effect == Effect::Change && closeness(order, tool) == 0;
            if other && tools.iter().any(|tool| tool.acts() && closer(tool)) {
                return false;
            }
            let own = fit(order, tool);
            own >= CLEAR && !weighty || own > 0 && own >= best_fit(order, tools)
        });
        match (called, self.hands_over) {
            (true, _) => Intent::Called,
            (false, true) => Intent::Delegated,
            (false, false) => Intent::Outside,
        }
    }

    /// How many calls of a tool the request may call for.
    pub(crate) fn quota(&self, tool: &Tool, most: usize) -> usize {
        if self.hands_over {
            return most;
        }
        let orders = self.orders.iter().filter(|order| meets(order, tool));
        let one = |order: &Order| if order.many { most } else { order.count.max(1) };
        let mentioned =
            self.shapes.iter().filter(|(shape, _)| *shape == Shape::Email || *shape == Shape::Account).count();
        orders.map(one).fold(0, usize::saturating_add).max(mentioned).max(1)
    }
}

/// Whether an order may mean the tool.
pub(crate) fn meets(order: &Order, tool: &Tool) -> bool {
    let deeds: Deeds = order.deeds & !OBEY & tool.deeds & EFFECTS;
    // What "approves or turns down" does both.
    let named = identifier(&tool.name).contains(&tool.verb);
    if named && lexicon::are_opposites(&order.verb, &tool.verb) {
        return false;
    }
    // A verb that is in no list is still the tool's own.
    if tool.deeds == 0 && !tool.verb.is_empty() {
        return order.verb == tool.verb || order.words.contains(&tool.verb);
    }
    if order.deeds == 0 {
        return tool.things.contains(&order.verb);
    }
    match tool.effect {
        Effect::Pay if lexicon::verb(&tool.verb) & PAY != 0 => deeds & (PAY | RESERVE) != 0,
        Effect::Pay => deeds & (PAY | RESERVE) != 0 || deeds & (MODIFY | CREATE | DELETE) != 0 && is_about(order, tool),
        Effect::Destroy => deeds & DELETE != 0,
        // Who tells somebody something does not let them in.
        Effect::Send if tool.lets_in && lexicon::is_telling(&order.verb) => false,
        Effect::Send => deeds & (SEND | SHARE) != 0 || deeds != 0 && is_about(order, tool),
        Effect::Change => deeds & (CREATE | MODIFY | RESERVE | SHARE | DELETE | SEND) != 0,
        Effect::Credential => deeds != 0 && (tool.things.is_empty() || is_about(order, tool)),
        Effect::Run => deeds != 0,
        Effect::Read | Effect::Fetch => true,
    }
}

/// Whether an order in somebody's text may mean the tool, in words that the rules do not take for it: it wants something
/// done with what the tool is about.
pub(crate) fn may_mean(order: &Order, tool: &Tool) -> bool {
    (order.deeds == 0 || order.deeds & EFFECTS != 0) && names(&order.words, tool)
}

/// Whether an order asks for the very thing that a tool does: by its verb and by what it is about.
pub(crate) fn means(order: &Order, tool: &Tool) -> bool {
    meets(order, tool) && closeness(order, tool) > 0 && names(&order.words, tool)
}

/// Whether an order names what the tool is about.
fn is_about(order: &Order, tool: &Tool) -> bool {
    names(&order.words, tool) || names(&order.asides, tool)
}

fn names(words: &[String], tool: &Tool) -> bool {
    words.iter().any(|word| tool.things.iter().any(|thing| lexicon::same_thing(thing, word)))
}

/// A tool fits an order clearly from here on: it has its verb, or is about what the order acts on.
const CLEAR: u8 = 3;

/// How near a tool's verb is to an order's: 2 for the same, 1 for much the same.
fn closeness(order: &Order, tool: &Tool) -> u8 {
    match () {
        () if order.verb == tool.verb || tool.verbs.contains(&order.verb) || order.deeds == 0 => 2,
        () if lexicon::are_alike(&order.verb, &tool.verb) => 1,
        () if tool.verbs.iter().any(|verb| lexicon::are_alike(&order.verb, verb)) => 1,
        () if tool.deeds & SEND != 0 && !tool.lets_in && lexicon::is_telling(&order.verb) => 1,
        () => 0,
    }
}

/// How well a tool fits an order; 0 where it cannot be meant.
fn fit(order: &Order, tool: &Tool) -> u8 {
    if !meets(order, tool) {
        return 0;
    }
    // A noun that is the tool's verb is what it is about as well: "fix the docket entry".
    let about = names(&order.words, tool)
        || order.verb != tool.verb && lists::NOUNS_TOO.has(&tool.verb) && order.words.contains(&tool.verb);
    if order.vague && !about {
        return 0;
    }
    1 + closeness(order, tool) + 4 * u8::from(about)
}

fn best_fit(order: &Order, tools: &[Tool]) -> u8 {
    tools.iter().filter(|tool| tool.acts()).map(|tool| fit(order, tool)).max().unwrap_or(0)
}

/// How an identifier is written: runs of letters and of digits, and what stands between them.
fn pattern(value: &str) -> Option<String> {
    let mut out = String::new();
    for c in value.chars() {
        let kind = match c {
            c if c.is_ascii_digit() => '9',
            c if c.is_alphabetic() => 'a',
            '-' | '_' | '.' | '/' | '#' => c,
            _ => return None,
        };
        if !out.ends_with(kind) {
            out.push(kind);
        }
    }
    let date = out.starts_with("9-9") || out.starts_with("9/9");
    (out.contains('9') && out.len() >= 2 && !date).then_some(out)
}

fn is_common(word: &str) -> bool {
    matches!(
        word,
        "example"
            | "the"
            | "com"
            | "www"
            | "http"
            | "https"
            | "org"
            | "net"
            | "mail"
            | "email"
            | "gmail"
            | "please"
            | "thanks"
            | "monday"
            | "tuesday"
            | "wednesday"
            | "thursday"
            | "friday"
            | "saturday"
            | "sunday"
            | "january"
            | "february"
            | "march"
            | "april"
            | "may"
            | "june"
            | "july"
            | "august"
            | "september"
            | "october"
            | "november"
            | "december"
            | "yyyy"
            | "mm"
            | "dd"
            | "hh"
            | "am"
            | "pm"
            | "hi"
            | "hello"
            | "iban"
            | "id"
            | "url"
            | "i'm"
            | "i'd"
            | "i'll"
            | "i've"
            | "ok"
            | "can"
            | "could"
            | "would"
            | "what"
            | "who"
            | "if"
            | "is"
            | "it"
            | "how"
            | "are"
            | "my"
    )
}
