//! Orders in a text: which verbs ask for something to be done, and which only tell of it.

use crate::lexicon::lists;
use crate::lexicon::{self, CREATE, DELETE, Deeds, EFFECTS, Form, MODIFY, OBEY, PAY, READ, SEND, SHARE};
use crate::words::{Word, words};

/// Something that a text asks to have done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    /// The verb (or the noun that is a wish).
    pub(crate) verb: String,
    /// What it may mean.
    pub(crate) deeds: Deeds,
    /// Where the word starts in the text.
    pub(crate) at: usize,
    /// Where the words start that belong to it.
    from: usize,
    /// Where the words end that belong to it: the next order's, or the sentence's end.
    pub(crate) end: usize,
    /// The words that it acts on or hands to, singular and in lower case.
    pub(crate) words: Vec<String>,
    /// The other words that belong to it: "... of the page", "... based on the letter".
    pub(crate) asides: Vec<String>,
    /// It speaks of more than one.
    pub(crate) many: bool,
    /// A number of them, where one is said.
    pub(crate) count: usize,
    /// Only a tool that is about one of its words can be meant: the verb says nothing.
    pub(crate) vague: bool,
}

impl Order {
    fn new(verb: String, deeds: Deeds, at: usize, from: usize, end: usize) -> Order {
        Order { verb, deeds, at, from, end, words: vec![], asides: vec![], many: false, count: 0, vague: false }
    }
}

/// The orders of the user's own text, in its order.
pub(crate) fn orders(text: &str) -> Vec<Order> {
    all_orders(text, false)
}

/// What may be meant as an order in somebody's text: a question or a "not" in front makes it none the less one.
pub(crate) fn pleas(text: &str) -> Vec<Order> {
    all_orders(text, true)
}

fn all_orders(text: &str, stranger: bool) -> Vec<Order> {
    let words = words(text);
    let mut out: Vec<Order> = Vec::new();
    let mut start = 0;
    while start < words.len() {
        let rest = words.get(start + 1..).unwrap_or_default();
        let length = 1 + rest.iter().take_while(|word| !word.sentence).count();
        let sentence = words.get(start..start + length).unwrap_or_default();
        let end = words.get(start + length).map_or(text.len(), |next| next.at);
        let (known, begins) = (out.len(), sentence.first().map_or(0, |word| word.at));
        of_sentence(text, sentence, end, stranger, &mut out);
        // "Put it into the system: the tasks for Ann, the hearing into the calendar": what it is about follows.
        if out.len() == known
            && text.get(..begins).is_some_and(|before| before.trim_end().ends_with(':'))
            && let Some(order) = out.last_mut()
        {
            order.words.extend(sentence.iter().map(|word| lexicon::singular(&word.low)));
            order.many |= sentence.iter().any(|word| lexicon::singular(&word.low) != word.low);
        }
        start += length;
    }
    out
}

fn of_sentence(text: &str, words: &[Word<'_>], end: usize, stranger: bool, out: &mut Vec<Order>) {
    let question = !stranger && is_question(words);
    let wished = words.iter().any(|word| lists::WISHING.has(&word.low));
    let first = out.len();
    for (index, word) in words.iter().enumerate() {
        let Some((verb, form, deeds)) = deeds_of(words, index, question, wished, stranger) else { continue };
        // "The branch can be deleted", "his booking needs moving": what it is about stands before.
        let before = words.first().filter(|_| form != Form::Base && out.len() == first).map(|first| first.at);
        if let Some(previous) = out.get_mut(first..).and_then(|orders| orders.last_mut()) {
            previous.end = word.at;
        }
        out.push(Order::new(verb, deeds, word.at, before.unwrap_or(word.at), end));
    }
    states(words, end, out);
    // A sentence without an order may still be a wish: "a refund for order 7, please"; and one that orders to look only:
    // "he needs access to the folder, read only".
    let acts = |order: &Order| order.deeds == 0 || order.deeds & (EFFECTS | OBEY) != 0;
    let merely_looks = out.get(first..).unwrap_or_default().iter().all(|order| !acts(order));
    if merely_looks && !question && (out.len() == first || is_needed(words)) {
        wishes(words, end, wished, out);
        out.extend(placement(words, end));
    }
    for order in out.get_mut(first..).unwrap_or_default() {
        order.many = words.iter().any(|word| lists::MANY.has(&word.low));
        let mut aside = false;
        for word in words.iter().filter(|word| !word.inner && word.at >= order.from && word.at < order.end) {
            let single = lexicon::singular(word.low.trim_end_matches("'s"));
            order.many |= single != word.low && lexicon::is_thing(&single);
            order.count = order.count.max(number(&word.low));
            if lists::LIGHT.has(&order.verb) && lexicon::wish(&single) != 0 {
                order.deeds |= lexicon::wish(&single);
                order.verb = lexicon::nominal(&single).map_or_else(|| order.verb.clone(), str::to_owned);
            }
            let clause = word.starts && word.at > order.at && lists::SUBJECTS.has(&word.low);
            aside = clause || lists::ASIDES.has(&word.low) || aside && !lists::DIRECT.has(&word.low);
            // "Order 50 of them" is about no order; "email Ann" is about mail.
            let own = word.at == order.at
                && matches!(order.verb.as_str(), "order" | "book" | "request" | "file" | "purchase" | "claim" | "list");
            match aside {
                _ if own => {}
                true => order.asides.push(single),
                false => order.words.push(single),
            }
        }
        // "Drop her a line" drops nothing.
        if order.verb == "drop"
            && order
                .words
                .iter()
                .any(|word| matches!(word.as_str(), "line" | "note" | "message" | "email" | "mail" | "text"))
        {
            order.deeds = SEND;
        }
        let money = text.get(order.from..order.end).unwrap_or_default().contains(['$', '\u{20ac}', '\u{a3}']);
        let money = money || order.words.iter().chain(&order.asides).any(|word| lists::MONEY.has(word));
        if money && order.deeds & SEND != 0 {
            order.deeds |= PAY;
        }
    }
}

/// A question about facts. "Could you ..." and "would you ..." are orders; so is what follows "and" or "then".
fn is_question(words: &[Word<'_>]) -> bool {
    let next = words.get(1).map_or("", |word| word.low.as_str());
    words.first().is_some_and(|word| match word.low.as_str() {
        "do" => matches!(next, "i" | "you" | "we" | "they" | "any" | "people" | "there"),
        // "Have a look" is an order.
        "have" => !matches!(next, "a" | "an"),
        first => lists::ASKING.has(first),
    })
}

fn deeds_of(
    words: &[Word<'_>],
    index: usize,
    question: bool,
    wished: bool,
    stranger: bool,
) -> Option<(String, Form, Deeds)> {
    let word = words.get(index).filter(|word| !word.inner)?;
    let before =
        |back: usize| index.checked_sub(back).and_then(|at| words.get(at)).map_or("", |word| word.low.as_str());
    let after = |on: usize| words.get(index + on).map_or("", |word| word.low.as_str());
    if !stranger && (is_negated(words, index) || word.quoted && !word.sentence || word.cited) {
        return None;
    }
    let (mut verb, form, mut deeds) = match lexicon::verb_forms(&word.low) {
        Some(known) => known,
        // "Pop her in", "fit him in": what follows makes a verb of it.
        None if let Some((verb, deeds)) =
            lexicon::phrasal(&word.low, &|little| (1..5).any(|on| after(on) == little)) =>
        {
            (verb.to_owned(), Form::Base, deeds)
        }
        None => match lexicon::misspelt_verb(&word.low) {
            Some((verb, deeds)) => (verb, Form::Base, deeds),
            // A verb that is in no list, where only a verb can stand.
            None if lexicon::is_strange(&word.low)
                && (matches!(before(1), "please" | "pls" | "kindly")
                    || !stranger && matches!(before(1), "and" | "you" | "then")
                    || (word.sentence || word.starts && word.raw.starts_with(char::is_lowercase))
                        && lists::DETERMINERS.has(after(1))) =>
            {
                return Some((word.low.clone(), Form::Base, 0));
            }
            None => return None,
        },
    };
    // "(Draft of May)", "see Schedule 2": a heading or a name, in a text that others wrote.
    let named = stranger && form == Form::Base && lists::NOUNS_TOO.has(&word.low);
    if !stranger && form == Form::Base && is_name_of_subject(words, index) {
        return None;
    }
    let capital = !word.starts && word.raw.starts_with(char::is_uppercase) && !lists::BEFORE_ORDER.has(before(1));
    if named && (after(1) == "of" || capital && !lists::DETERMINERS.has(after(1))) {
        return None;
    }
    let earlier = words.get(..index).unwrap_or_default();
    let ordered = match form {
        Form::Base if before(1) == "to" => {
            lists::BEFORE_TO.has(before(2)) || before(2).is_empty() || is_person_between(words, index)
        }
        Form::Base if word.starts || stranger && word.raw.starts_with(char::is_uppercase) => {
            !(question && word.sentence)
        }
        Form::Base => {
            let to_order = lists::BEFORE_ORDER.has(before(1)) || before(1).ends_with("ly") && before(1).len() > 3;
            let asked = question && !matches!(before(1), "and" | "then" | "please" | "so" | "or");
            (to_order || is_inverted(words, index) || !stranger && follows_condition(words, index)) && !asked
        }
        Form::Ing => {
            lists::BEFORE_ING.has(before(1)) && (wished || before(1) != "on") || wished && lists::IN_NEED.has(before(1))
        }
        Form::Past if before(1) == "be" => {
            !question && matches!(before(2), "can" | "could" | "should" | "must" | "to" | "may" | "shall" | "will")
        }
        Form::Past => {
            wished
                && !question
                && earlier.iter().rev().take(9).any(|word| lists::IN_NEED.has(&word.low))
                && !matches!(before(1), "who" | "that" | "was" | "were" | "are" | "is" | "i" | "has" | "already")
        }
        Form::Third => false,
    };
    if !ordered {
        return None;
    }
    // "Email me the result", "tell me", "give me": an answer is asked for, no effect.
    let to_me = matches!(after(1), "me" | "us")
        || (matches!(after(2), "me" | "us") && matches!(after(1), "to" | "it" | "them"));
    if to_me
        && !matches!(
            word.low.as_str(),
            "email" | "text" | "message" | "dm" | "mail" | "book" | "reserve" | "order" | "invite" | "add"
        )
    {
        deeds &= !(SEND | SHARE | CREATE | MODIFY);
        deeds |= READ;
        if matches!(word.low.as_str(), "give" | "pass" | "bring" | "leave") {
            deeds &= !PAY;
        }
    }
    if word.low == "let" {
        // "Let me know" is for us, "let Bob know" is a message, "let Bob into the folder" opens it to him.
        let known = (2..12).any(|on| after(on) == "know");
        let into = |on: usize| lists::SEEING.has(after(on)) || matches!(after(on), "in" | "into" | "have" | "use");
        return match () {
            () if to_me => None,
            () if known => Some(("tell".to_owned(), form, SEND)),
            () => (2..9).any(into).then(|| ("let".to_owned(), form, SHARE)),
        };
    }
    // "Have a look at the issues" wishes for no issue.
    let look = (2..=4).any(|on| matches!(after(on), "look" | "glance" | "peek" | "read" | "scan"));
    if look && matches!(word.low.as_str(), "have" | "take" | "give") && matches!(after(1), "a" | "another") {
        return Some(("look".to_owned(), form, READ));
    }
    let far = |particle: &str| (1..=6).any(|on| after(on) == particle);
    let close = |particle: &str| {
        (1..=6).take_while(|on| *on == 1 || !breaks(words, index + on)).any(|on| after(on) == particle)
    };
    deeds = match lexicon::phrasal(&verb, &close) {
        Some((other, deeds)) => {
            verb = other.to_owned();
            deeds
        }
        // What others may mean by a word counts in full where it would mean nothing.
        None => match narrowed(&word.low, &far, after(1), after(2), deeds) {
            0 if stranger && lists::DETERMINERS.has(after(1)) => deeds,
            narrowed => narrowed,
        },
    };
    // "She will need to see the folder", "Bob should be able to edit it": she and Bob are to be let in.
    if !stranger && lists::SEEING.has(&verb) && is_others_need(words, index) {
        deeds |= SHARE;
    }
    (deeds != 0).then_some((verb, form, deeds))
}

/// Whether a new clause begins at a word.
fn breaks(words: &[Word<'_>], at: usize) -> bool {
    words.get(at).is_none_or(|word| word.starts || matches!(word.low.as_str(), "and" | "then" | "or" | "to"))
}

/// Little words that change what a verb means.
fn narrowed(verb: &str, far: &dyn Fn(&str) -> bool, next: &str, second: &str, deeds: Deeds) -> Deeds {
    let particle = |word: &str| next == word || second == word;
    match verb {
        "take" if particle("care") => OBEY,
        "get" if particle("rid") => DELETE,
        "keep" if far("only") => DELETE | MODIFY,
        "make" if far("room") || far("space") => DELETE | CREATE,
        "free" if next != "up" => 0,
        "get" => deeds & !(EFFECTS & !(CREATE | lexicon::RESERVE)),
        "look" | "check" | "see" | "read" | "find" | "give" if deeds & READ != 0 && verb != "give" => deeds & !EFFECTS,
        // "Give it another week".
        "give"
            if ["week", "weeks", "day", "days", "month", "months", "hour", "hours", "time"]
                .iter()
                .any(|word| far(word)) =>
        {
            deeds | MODIFY
        }
        "take" if far("off") || far("down") || far("out") || far("away") => DELETE | MODIFY,
        "take" if particle("note") => CREATE | MODIFY,
        "take" => 0,
        "shut" if particle("down") => DELETE | MODIFY,
        "set" | "put" | "sort" | "fill" if next == "up" => CREATE | MODIFY | lexicon::RESERVE,
        "carry" => OBEY,
        "turn" | "switch" | "shut" => MODIFY,
        "make" if next == "sure" => 0,
        "do" if next == "not" => 0,
        _ => deeds,
    }
}

/// "don't send", "without deleting", "never pay"; "don't forget to send" is an order.
fn is_negated(words: &[Word<'_>], index: usize) -> bool {
    let near = words.get(index.saturating_sub(3)..index).unwrap_or_default();
    let no = near.iter().rposition(|word| {
        matches!(
            word.low.as_str(),
            "not"
                | "don't"
                | "dont"
                | "never"
                | "without"
                | "doesn't"
                | "didn't"
                | "won't"
                | "cannot"
                | "can't"
                | "avoid"
        )
    });
    let starts = words.get(index).is_some_and(|word| word.starts);
    !starts
        && no.is_some_and(|at| {
            !near
                .iter()
                .skip(at + 1)
                .any(|word| matches!(word.low.as_str(), "forget" | "only" | "hesitate") || word.starts)
        })
}

/// Whether the user's own text is a question about facts, from its first word on.
pub(crate) fn asks(text: &str) -> bool {
    let words = words(text);
    let sentence = words.len().min(1 + words.iter().skip(1).take_while(|word| !word.sentence).count());
    is_question(words.get(..sentence).unwrap_or_default())
}

/// What the user's own text says is not to be done: "don't delete anything".
pub(crate) fn spared(text: &str) -> Deeds {
    let words = words(text);
    let deeds = |at: usize, word: &Word<'_>| match lexicon::verb_forms(&word.low) {
        Some((_, Form::Base | Form::Ing, deeds)) if is_negated(&words, at) => deeds,
        _ => 0,
    };
    words.iter().enumerate().fold(0, |all, (at, word)| all | deeds(at, word))
}

/// "Price Webb wrote to us": a name that is a verb elsewhere, and what it did.
fn is_name_of_subject(words: &[Word<'_>], index: usize) -> bool {
    let capital = |at: usize| words.get(at).is_some_and(|word| word.raw.starts_with(char::is_uppercase));
    let told = |at: usize| {
        words.get(at).is_some_and(|word| {
            let finite = matches!(lexicon::verb_forms(&word.low), Some((_, Form::Third | Form::Past, _)));
            finite && lexicon::singular(&word.low) == word.low || lists::TELLING.has(&word.low)
        })
    };
    let named = capital(index) && words.get(index).is_some_and(|word| lists::NOUNS_TOO.has(&word.low));
    named && capital(index + 1) && told(index + 2)
}

/// "If there is one about it page the team": in what follows a condition, a verb in its base form whose subject cannot
/// be what stands before it.
fn follows_condition(words: &[Word<'_>], index: usize) -> bool {
    let low = |at: usize| words.get(at).map_or("", |word| word.low.as_str());
    let Some(before) = index.checked_sub(1) else { return false };
    let conditioned = (0..before).any(|at| matches!(low(at), "if" | "when" | "once" | "unless" | "until"));
    let subject = low(before);
    let may_act = lists::NO_ORDER_AFTER.has(subject)
        || lexicon::singular(subject) != subject
        || lists::DETERMINERS.has(subject) && subject != "it";
    conditioned && !may_act && lists::DETERMINERS.has(low(index + 1))
}

/// "Bob needs to see it", "she'll have to be able to edit it": somebody else than who speaks.
fn is_others_need(words: &[Word<'_>], index: usize) -> bool {
    let near = words.get(index.saturating_sub(7)..index).unwrap_or_default();
    let modal = near.iter().rposition(|word| {
        matches!(word.low.as_str(), "need" | "needs" | "should" | "must" | "wants" | "has" | "ought" | "requires")
    });
    let joined = |at: usize| {
        near.iter().skip(at + 1).all(|word| matches!(word.low.as_str(), "to" | "be" | "able" | "also" | "only"))
    };
    modal.is_some_and(|at| {
        let subject = at.checked_sub(1).and_then(|at| near.get(at)).map_or("", |word| word.low.as_str());
        let own = matches!(subject, "" | "i" | "we" | "you" | "who" | "that" | "which" | "it" | "what" | "if" | "and");
        joined(at) && !own && !matches!(subject, "i'll" | "we'll" | "you'll" | "i'd" | "we'd" | "also" | "don't")
    })
}

/// "He needs access": what is needed is a thing that is a wish by itself.
fn is_needed(words: &[Word<'_>]) -> bool {
    words.iter().enumerate().filter(|(_, word)| lists::IN_NEED.has(&word.low) && word.low != "be").any(|(at, _)| {
        let mut object = words.iter().skip(at + 1).take(4).take_while(|word| !lists::ASIDES.has(&word.low));
        object.any(|word| lexicon::wish(&word.low) != 0 && !lists::PREPOSITIONS.has(&word.low))
    })
}

/// "I need it in the docket", "I'd like that on my list": it is to be put there.
fn placement(words: &[Word<'_>], end: usize) -> Option<Order> {
    let low = |at: usize| words.get(at).map_or("", |word| word.low.as_str());
    (0..words.len()).find_map(|at| {
        let wanted = matches!(low(at), "need" | "want" | "like" | "needs" | "wants");
        let it = (at + 1..at + 4).find(|on| matches!(low(*on), "it" | "this" | "that" | "them" | "these" | "those"))?;
        let there =
            matches!(low(it + 1), "in" | "on" | "into" | "onto" | "under") && lists::DETERMINERS.has(low(it + 2));
        let at = words.get(it + 1)?.at;
        (wanted && there).then(|| Order { vague: true, ..Order::new("put".to_owned(), CREATE | MODIFY, at, at, end) })
    })
}

/// "I want Bob to have it", "ask the clinic to move it".
fn is_person_between(words: &[Word<'_>], index: usize) -> bool {
    let near = words.get(index.saturating_sub(10)..index.saturating_sub(1)).unwrap_or_default();
    near.iter().any(|word| {
        matches!(
            word.low.as_str(),
            "want" | "need" | "like" | "ask" | "expect" | "tell" | "require" | "requires" | "asks" | "wants"
        )
    })
}

fn wishes(words: &[Word<'_>], end: usize, wished: bool, out: &mut Vec<Order>) {
    let verbless = words.iter().all(|word| !lists::TELLING.has(&word.low));
    if !wished && !verbless {
        return;
    }
    let start = words.first().map_or(0, |word| word.at);
    let deeds = words.iter().fold(0, |deeds, word| deeds | lexicon::wish(&word.low));
    let verb = words.iter().find(|word| lexicon::wish(&word.low) != 0).map(|word| word.low.clone());
    if let Some(verb) = verb {
        out.push(Order::new(verb, deeds, start, start, end));
    }
}

/// "Kitchen lights off": a state, and a thing that has states.
fn states(words: &[Word<'_>], end: usize, out: &mut Vec<Order>) {
    for (at, pair) in words.windows(2).enumerate() {
        let [thing, state] = pair else { continue };
        let starts = words.get(..=at).unwrap_or_default().iter().rev().take(3).any(|word| word.starts);
        if starts && lexicon::is_thing(&lexicon::singular(&thing.low)) && lists::STATES.has(&state.low) {
            let from = words.get(at.saturating_sub(2)).map_or(thing.at, |word| word.at);
            let end = words.iter().skip(at + 2).find(|word| word.starts).map_or(end, |word| word.at);
            out.push(Order::new(state.low.clone(), MODIFY, thing.at, from, end));
        }
    }
}

/// "And to each of them write", "then in the log note": what the order is about stands before it.
fn is_inverted(words: &[Word<'_>], index: usize) -> bool {
    let near = words.get(index.saturating_sub(6)..index).unwrap_or_default();
    let small = |word: &Word<'_>| matches!(word.low.as_str(), "to" | "for" | "with" | "in" | "on" | "at" | "from");
    let plain = words.get(index).is_some_and(|word| !lists::NOUNS_TOO.has(&word.low));
    plain
        && near.windows(2).any(
            |two| matches!(two, [one, two] if (matches!(one.low.as_str(), "and" | "then") || two.starts) && small(two)),
        )
}

/// A number of things, spelled out or short; 0 for none.
fn number(word: &str) -> usize {
    const SPELLED: [&str; 11] = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    SPELLED.iter().position(|spelled| !spelled.is_empty() && *spelled == word).unwrap_or(0)
}

/// What a description says that a tool does: by its first verb, which stands at its start. "Says who ...", "gives the ..."
/// and the like tell of reading.
pub(crate) fn described(text: &str) -> (String, Deeds) {
    let words = words(text);
    let filler = |word: &&Word<'_>| {
        matches!(
            word.low.as_str(),
            "this"
                | "tool"
                | "function"
                | "the"
                | "a"
                | "an"
                | "use"
                | "to"
                | "can"
                | "will"
                | "it"
                | "allows"
                | "you"
                | "lets"
                | "used"
                | "is"
        )
    };
    let first = words.iter().take(8).find(|word| !filler(word));
    // "Stock of an article", "Orders which have not left": a noun, whatever verb it may be elsewhere.
    let next =
        first.and_then(|first| words.iter().find(|word| word.at > first.at)).map_or("", |word| word.low.as_str());
    let noun = matches!(next, "of" | "which" | "that" | "who" | "whose" | "per" | "by");
    let first = first
        .filter(|word| !noun || lexicon::verb_forms(&word.low).is_none_or(|(verb, _, _)| !lists::NOUNS_TOO.has(&verb)));
    let known = first.and_then(|word| lexicon::verb_forms(&word.low));
    let opens = words.iter().take(8).any(|word| matches!(word.low.as_str(), "access" | "permission" | "rights"));
    match known {
        Some((verb, _, deeds)) if opens && matches!(verb.as_str(), "give" | "let" | "provide" | "add") => {
            (verb, deeds & EFFECTS | SHARE)
        }
        Some((verb, _, _))
            if matches!(verb.as_str(), "say" | "tell" | "return" | "report" | "provide" | "let" | "output") =>
        {
            (verb, READ)
        }
        Some((verb, _, deeds)) => (verb, deeds & (EFFECTS | READ | lexicon::VISIT)),
        None => (first.map(|word| word.low.clone()).unwrap_or_default(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexicon::{RESERVE, VISIT};

    fn asked(text: &str) -> Deeds {
        orders(text).iter().fold(0, |deeds, order| deeds | order.deeds)
    }

    #[test]
    fn orders_are_told_from_mentions() {
        for (text, deeds) in [
            ("Please send it to Bob", SEND),
            ("could you email Anna the file?", SEND),
            ("I'd like you to delete the old report", DELETE),
            ("Read it and then cancel my booking", DELETE),
            ("Don't forget to invite Mark", SHARE),
            ("I need the 3pm appointment moved to 4pm", MODIFY),
            ("would you mind booking a table", RESERVE),
            ("1. Count them. 2.Delete the biggest", DELETE),
            ("A refund for order 7, please", PAY),
            ("kitchen lights off", MODIFY),
            ("let Bob know I'm late", SEND),
            ("send $50 to Bob", PAY),
            ("pls delte the draft", DELETE),
        ] {
            assert_ne!(asked(text) & deeds, 0, "{text}");
        }
        for (text, deeds) in [
            ("What is my security code? It's in an email I received", SEND | DELETE | PAY),
            ("Show me the files that are shared with Alice", SEND | SHARE),
            ("Did Bob send the report?", SEND),
            ("Who should I invite?", SHARE),
            ("Please tell me who else is coming", SEND | SHARE | DELETE),
            ("Get me the link to reset my password", MODIFY | DELETE),
            ("Summarise it but do not send anything", SEND),
            ("Give me a summary of the page", SEND | SHARE | PAY),
        ] {
            assert_eq!(asked(text) & deeds, 0, "{text}: {:?}", orders(text));
        }
        assert_ne!(asked("visit the site at example.com") & VISIT, 0);
    }
}
