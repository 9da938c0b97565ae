//! Where an argument's value came from.

use raincoat_gate::{Effect, Origin, Part};

use crate::fold::{folded, squashed};
use crate::index::{Nearness, Place, Seen};
use crate::intent::{self, Request};
use crate::lexicon::lists;
use crate::lexicon::{self, VISIT};
use crate::limits::FlowLimits;
use crate::records::Leaf;
use crate::speech::{self, Order};
use crate::tool::Tool;
use crate::values::{self, Shape};
use crate::words::identifier;

/// What is known of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Traced {
    pub(crate) origin: Origin,
    /// The result that it stands in, by its place among those of the run.
    pub(crate) result: Option<usize>,
}

/// What a value is looked for in.
pub(crate) struct Tracer<'a> {
    pub(crate) request: &'a Request,
    pub(crate) seen: &'a [Seen],
    pub(crate) tool: &'a Tool,
    pub(crate) limits: &'a FlowLimits,
}

/// How far around a value its text is looked at for orders, in bytes before and after.
const BEFORE: usize = 500;
const AFTER: usize = 250;

/// Words of a piece of content that is looked for as a whole.
const SHINGLE: usize = 5;

impl Tracer<'_> {
    /// Finds where an argument that carries authority came from.
    pub(crate) fn authority(&self, value: &str, name: &str, part: Part) -> Traced {
        let shape = values::shape(value);
        let spellings = values::spellings(value);
        if self.is_said(value, shape, &spellings) {
            return Traced { origin: Origin::User, result: None };
        }
        let mut found: Vec<Traced> = Vec::new();
        for (index, seen) in self.seen.iter().enumerate() {
            for spelling in &spellings {
                let places = seen.places(spelling, self.limits.places);
                found.extend(places.iter().map(|place| Traced {
                    origin: self.standing(seen, place, value, name, shape, part),
                    result: Some(index),
                }));
            }
        }
        // Accounts and numbers are written in groups or in one piece.
        if found.is_empty() && matches!(shape, Some(Shape::Account | Shape::Phone)) {
            let letters = squashed(&folded(value));
            for (index, seen) in self.seen.iter().enumerate() {
                let places = seen.places_squashed(&letters, self.limits.places);
                found.extend(places.iter().map(|place| Traced {
                    origin: self.standing(seen, place, value, name, shape, part),
                    result: Some(index),
                }));
            }
        }
        if found.is_empty() && shape.is_none() && value.contains('/') {
            return self.joined(value, name, part);
        }
        if found.is_empty() && shape.is_some() {
            found.extend(self.taken_apart(value));
        }
        strictest(found).unwrap_or(Traced { origin: Origin::Unknown, result: None })
    }

    /// A path that is put together: as good as the worst of its parts.
    fn joined(&self, value: &str, name: &str, part: Part) -> Traced {
        let parts =
            value.split('/').filter(|part| !part.is_empty() && part.len() < value.len()).take(self.limits.depth);
        let traced = parts.map(|one| self.authority(one, name, part));
        traced.max_by_key(|traced| traced.origin).unwrap_or(Traced { origin: Origin::Unknown, result: None })
    }

    /// Finds whether content was dictated by text that is no request of the user's.
    pub(crate) fn content(&self, value: &str) -> Traced {
        let said = Traced { origin: Origin::User, result: None };
        let unknown = Traced { origin: Origin::Unknown, result: None };
        let spellings = values::spellings(value);
        let Some(whole) = spellings.first() else { return said };
        if self.request.said(&spellings) {
            return said;
        }
        let count = whole.split(' ').filter(|word| !word.is_empty()).count();
        let telling = count >= 2 || values::shape(value).is_some();
        let dictated = telling.then(|| self.dictated(&spellings, value)).flatten();
        let within = || {
            let parts = values::shapes(value).into_iter().map(|(_, part)| part).filter(|part| part.len() < value.len());
            parts
                .filter(|part| !self.request.said(&values::spellings(part)))
                .take(self.limits.places)
                .find_map(|part| self.dictated(&values::spellings(&part), &part))
        };
        dictated.or_else(within).or_else(|| self.quoted(whole)).unwrap_or(unknown)
    }

    /// A value all of whose places are in text that gives orders.
    fn dictated(&self, spellings: &[String], value: &str) -> Option<Traced> {
        let mut found = None;
        for (index, seen) in self.seen.iter().enumerate() {
            for place in spellings.iter().flat_map(|spelling| seen.places(spelling, self.limits.places)) {
                let origin = match () {
                    () if seen.is_marked(place.leaf) => Origin::Injected,
                    () if place.whole || !self.asks(place.leaf, value) => return None,
                    () if is_near(seen) && self.is_left_to_read() => Origin::Hearsay,
                    () => Origin::Injected,
                };
                found = Some(Traced { origin, result: Some(index) });
            }
        }
        let telling = values::shape(value).is_some()
            || self.seen.iter().any(|seen| {
                let mut places = spellings.iter().flat_map(|spelling| seen.places(spelling, self.limits.places));
                places.any(|place| self.asks_by(place.leaf, value, &|order| intent::means(order, self.tool)))
            });
        found.filter(|traced| traced.origin == Origin::Injected || telling)
    }

    /// Pieces of long content that stand word for word in text that gives orders, and nowhere else.
    fn quoted(&self, whole: &str) -> Option<Traced> {
        let words: Vec<&str> = whole.split(' ').filter(|word| !word.is_empty()).collect();
        let pieces = words.chunks(SHINGLE).filter(|piece| piece.len() == SHINGLE).take(self.limits.places);
        let marked: Vec<(usize, &Seen)> = self.seen.iter().enumerate().filter(|(_, seen)| seen.has_marks()).collect();
        if marked.is_empty() {
            return None;
        }
        pieces
            .map(|piece| format!(" {} ", piece.join(" ")))
            .filter(|piece| !self.request.said(std::slice::from_ref(piece)))
            .find_map(|piece| {
                self.dictated(std::slice::from_ref(&piece), &piece).filter(|traced| traced.result.is_some())
            })
    }

    fn is_said(&self, value: &str, shape: Option<Shape>, spellings: &[String]) -> bool {
        if is_short_number(value) {
            return self.request.numbers(value)
                || NUMBERED.iter().any(|word| self.request.said(&[format!(" {word} {value} ")]));
        }
        if shape == Some(Shape::Url) && self.is_of_said_host(value) {
            return true;
        }
        self.request.said(spellings) || shape.is_some() && self.request.said_squashed(&squashed(&folded(value)))
    }

    /// A short way on at a host that the user named; a long one could carry data out.
    fn is_of_said_host(&self, url: &str) -> bool {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let way = rest.get(host.len()..).unwrap_or_default();
        let host = host.strip_prefix("www.").unwrap_or(host);
        self.request.said(&[folded(host)]) && way.len() <= 48 && !way.contains(['?', '#', '%'])
    }

    /// What it means that a value stands here.
    fn standing(
        &self,
        seen: &Seen,
        place: &Place<'_>,
        value: &str,
        name: &str,
        shape: Option<Shape>,
        part: Part,
    ) -> Origin {
        let leaf = place.leaf;
        let own_field =
            leaf.field && (place.whole || leaf.text.len() <= value.len() + 30 && speech::pleas(&leaf.text).is_empty());
        if !own_field && is_short_number(value) && !called_a_number(leaf, value) {
            return Origin::Unknown;
        }
        let picks = self.is_picked(seen, leaf, value, part);
        let picked = own_field && picks && !is_of_another_field(seen, leaf, name);
        if seen.nearness == Nearness::Steered
            || seen.is_marked(leaf) && !(picked && place.whole && seen.nearness <= Nearness::Own)
        {
            return Origin::Injected;
        }
        if picked {
            return Origin::Picked;
        }
        let filled = shape.is_some_and(|shape| self.request.has_shape(shape))
            && !(shape == Some(Shape::Url) && self.tool.effect == Effect::Fetch && !seen.fetched);
        if own_field {
            return match seen.nearness {
                Nearness::Said => Origin::Listed,
                Nearness::Own if filled && part == Part::Reach => Origin::Hearsay,
                Nearness::Own
                    if shape.is_some() && part == Part::Reach && !seen.pointed && !self.speaks_of_column(leaf) =>
                {
                    Origin::Hearsay
                }
                Nearness::Own => Origin::Listed,
                Nearness::Led | Nearness::Steered => Origin::Hearsay,
            };
        }
        let asks = self.asks(leaf, value);
        let filled = filled
            || shape.is_none() && self.request.has_pattern(value)
            || asks && !self.request.is_many() && self.is_in_a_field(shape);
        let near = seen.pointed || picks;
        let opened = seen.fetched && self.tool.effect == Effect::Fetch;
        match () {
            () if filled => {
                if asks {
                    Origin::Injected
                } else {
                    Origin::Displaced
                }
            }
            () if opened
                && !self.request.hands_over
                && !self.request.said(&[" link ".to_owned(), " links ".to_owned()]) =>
            {
                if asks {
                    Origin::Injected
                } else {
                    Origin::Elsewhere
                }
            }
            () if near && seen.nearness <= Nearness::Own => {
                if asks && !self.is_left_to_read() {
                    Origin::Injected
                } else if asks {
                    Origin::Hearsay
                } else if self.is_beside(leaf, value) {
                    Origin::Beside
                } else {
                    Origin::Pointed
                }
            }
            () if asks => Origin::Injected,
            () if near || seen.nearness == Nearness::Led => Origin::Hearsay,
            () if self.request.hands_over => Origin::Hearsay,
            () => Origin::Elsewhere,
        }
    }

    /// Whether the user's words pick out the record that a leaf is in: they asked for exactly it, or name another of its
    /// fields, or this run has made it.
    fn is_picked(&self, seen: &Seen, leaf: &Leaf, value: &str, part: Part) -> bool {
        // What a call of this run has made is the user's, but for addresses: others may have put those in.
        if seen.product && part != Part::Reach {
            return true;
        }
        self.is_named(seen, leaf, value)
    }

    /// Whether the user's words name a field of the record that a leaf is in.
    fn is_named(&self, seen: &Seen, leaf: &Leaf, value: &str) -> bool {
        let records = &seen.records;
        let own: Vec<usize> = records.around(leaf.record).collect();
        // The outermost record holds all the others: what it says of itself picks out none of them.
        let inner = |leaf: &&Leaf| own.contains(&leaf.record) && (leaf.record != 0 || own.len() == 1);
        records.leaves.iter().filter(inner).take(256).any(|other| {
            let short = other.field && other.text.len() <= 80 && other.text != value && other.text.len() >= 3;
            short && {
                let words = folded(&other.text);
                let telling = words
                    .split(' ')
                    .any(|word| word.len() >= 3 && word.chars().any(char::is_alphabetic) && !lists::STATES.has(word));
                let named = words.split(' ').count() <= 7 && self.request.names_in(&words);
                telling && (named || self.request.said(std::slice::from_ref(&words))) && !is_everywhere(seen, other)
            }
        })
    }

    /// Whether the request speaks of what a field is called by: "the parents", of `guardian e-mail`.
    fn speaks_of_column(&self, leaf: &Leaf) -> bool {
        let name = leaf.column.rsplit('.').next().unwrap_or_default();
        let common =
            |part: &str| matches!(part, "email" | "mail" | "address" | "phone" | "name" | "url" | "user" | "id");
        identifier(name).iter().any(|part| !common(part) && self.request.speaks_of(&lexicon::singular(part)))
    }

    /// Whether something that the user named stands close by.
    fn is_beside(&self, leaf: &Leaf, value: &str) -> bool {
        window(&leaf.text, value).is_some_and(|(before, after)| {
            let near: String = [folded(&tail(before, 200)), folded(&head(after, 200))].concat();
            self.request.names_in(&near)
        })
    }

    /// Whether a record that the user's words pick out has a field of this shape: then that is meant.
    fn is_in_a_field(&self, shape: Option<Shape>) -> bool {
        let fits = |leaf: &Leaf| leaf.field && leaf.text.len() <= 200 && values::shape(&leaf.text) == shape;
        shape.is_some()
            && self.seen.iter().filter(|seen| seen.nearness <= Nearness::Own).any(|seen| {
                let near = |leaf: &Leaf| seen.nearness == Nearness::Said || self.is_named(seen, leaf, &leaf.text);
                seen.records.leaves.iter().take(512).any(|leaf| fits(leaf) && near(leaf))
            })
    }

    /// Whether the request leaves it to what is read what is to be done, or with what.
    fn is_left_to_read(&self) -> bool {
        let opened = self.tool.effect == Effect::Fetch && self.request.speaks_of("website");
        // Nobody knows accounts by heart: who says "pay the bill" leaves the account to the bill.
        let reach = self.tool.arguments.iter().any(|(_, slot)| slot.part == Part::Reach);
        let owed = self.tool.effect == Effect::Pay && reach && !self.request.has_shape(Shape::Account);
        self.request.hands_over || self.request.refers || opened || owed
    }

    /// Whether the text around a value asks for such a call.
    fn asks(&self, leaf: &Leaf, value: &str) -> bool {
        let asked = self.asks_by(leaf, value, &|order| match self.tool.effect {
            Effect::Fetch => order.deeds & VISIT != 0,
            _ => intent::meets(order, self.tool) || intent::may_mean(order, self.tool),
        });
        let (before, after) = window(&leaf.text, value).unwrap_or((leaf.text.as_str(), ""));
        let (before, after) = (tail(before, BEFORE), head(after, AFTER));
        let name = identifier(&self.tool.name);
        let named = name.len() > 1 && {
            let text = [folded(&before), folded(&after)].concat();
            text.contains(&format!(" {} ", name.join(" ")))
        };
        asked || named
    }

    /// Whether the text around a value has such an order.
    fn asks_by(&self, leaf: &Leaf, value: &str, meant: &dyn Fn(&Order) -> bool) -> bool {
        let (before, after) = window(&leaf.text, value).unwrap_or((leaf.text.as_str(), ""));
        let asked = |text: &str| speech::pleas(text).iter().any(meant);
        asked(&tail(before, BEFORE)) || asked(&head(after, AFTER))
    }

    /// Whether some text asks for such a call near this value.
    pub(crate) fn is_asked_for(&self, value: &str) -> bool {
        value.len() >= 3
            && values::spellings(value).iter().any(|spelling| {
                let asked = |place: &Place<'_>| !place.whole && self.asks(place.leaf, value);
                self.seen.iter().any(|seen| seen.places(spelling, self.limits.places).iter().any(asked))
            })
    }

    /// An address that stands nowhere as a whole, but whose letters or parts do.
    fn taken_apart(&self, value: &str) -> Option<Traced> {
        let words = folded(value);
        let letters = squashed(&words);
        let parts: Vec<&str> = words
            .split(' ')
            .filter(|part| part.len() >= 3 && !matches!(*part, "com" | "www" | "http" | "https" | "org" | "net"))
            .collect();
        let unsaid: Vec<&&str> = parts.iter().filter(|part| !self.request.said(&[format!(" {part} ")])).collect();
        if unsaid.is_empty() && !parts.is_empty() {
            return Some(Traced { origin: Origin::User, result: None });
        }
        self.seen.iter().enumerate().find_map(|(index, seen)| {
            let joined = letters.len() >= 8 && !seen.places_squashed(&letters, 1).is_empty();
            let pieced = unsaid.iter().all(|part| seen.has_word(part));
            let bad = if seen.has_marks() || seen.nearness == Nearness::Steered {
                Origin::Injected
            } else {
                Origin::Elsewhere
            };
            (joined || pieced).then_some(Traced { origin: bad, result: Some(index) })
        })
    }
}

/// What a short number is called that is more than a number: dates, times and recipes are full of others.
const NUMBERED: [&str; 16] = [
    "id",
    "number",
    "no",
    "nr",
    "order",
    "issue",
    "ticket",
    "pr",
    "event",
    "file",
    "room",
    "request",
    "email",
    "message",
    "item",
    "transaction",
];

fn is_short_number(value: &str) -> bool {
    value.len() <= 3 && value.chars().all(|c| c.is_ascii_digit())
}

fn called_a_number(leaf: &Leaf, value: &str) -> bool {
    let words = folded(&leaf.text);
    leaf.text.contains(&format!("#{value}")) || NUMBERED.iter().any(|word| words.contains(&format!(" {word} {value} ")))
}

/// What the user's words lead to.
fn is_near(seen: &Seen) -> bool {
    seen.pointed && seen.nearness <= Nearness::Own
}

/// Whether the record has a field that is called as the argument is, and the value stands in one that is not: who asks for
/// a login means no manager's.
fn is_of_another_field(seen: &Seen, leaf: &Leaf, name: &str) -> bool {
    let called = |leaf: &Leaf| identifier(leaf.column.rsplit('.').next().unwrap_or_default()) == identifier(name);
    let mut own = seen.records.leaves.iter().filter(|other| other.record == leaf.record && other.field).take(256);
    !called(leaf) && own.any(called)
}

/// A field that says the same in every record tells none of them from the others.
fn is_everywhere(seen: &Seen, leaf: &Leaf) -> bool {
    let column: Vec<&Leaf> =
        seen.records.leaves.iter().filter(|other| other.column == leaf.column && other.field).take(512).collect();
    let same = column.iter().filter(|other| other.text == leaf.text).count();
    column.len() >= 2 && same * 2 > column.len()
}

/// The user's own records count before all; then an order in somebody's text makes what it names suspect wherever else
/// it stands; then what is best.
fn strictest(found: Vec<Traced>) -> Option<Traced> {
    let with = |origin: Origin| found.iter().find(|traced| traced.origin == origin).cloned();
    with(Origin::Picked)
        .or_else(|| with(Origin::User))
        .or_else(|| with(Origin::Injected))
        .or_else(|| with(Origin::Hearsay))
        .or_else(|| {
            found.iter().filter(|traced| traced.origin != Origin::Unknown).min_by_key(|traced| traced.origin).cloned()
        })
}

/// The text before and after a value.
fn window<'t>(text: &'t str, value: &str) -> Option<(&'t str, &'t str)> {
    let at = text.find(value).or_else(|| {
        let (low, value) = (text.to_ascii_lowercase(), value.to_ascii_lowercase());
        low.find(&value)
    })?;
    Some((text.get(..at)?, text.get(at + value.len()..)?))
}

fn tail(text: &str, most: usize) -> String {
    let from = text.len().saturating_sub(most);
    (from..=text.len()).find_map(|at| text.get(at..)).unwrap_or_default().to_owned()
}

fn head(text: &str, most: usize) -> String {
    (0..=most.min(text.len())).rev().find_map(|at| text.get(..at)).unwrap_or_default().to_owned()
}

/// Whether a tool's results are about something that the request speaks of.
pub(crate) fn speaks_of_results(request: &Request, tool: &Tool) -> bool {
    tool.things.iter().any(|thing| {
        request.speaks_of(thing)
            || request.said(&[folded(thing), folded(&format!("{thing}s"))])
            || lexicon::is_thing(thing) && request.speaks_of(thing)
    })
}
