//! What a request leaves to something that is read: what is to be done, or with what.

use crate::lexicon::{self, EFFECTS, OBEY, lists};
use crate::speech::{Order, orders};
use crate::words::{Word, words};

/// Whether the text hands the choice of what is to be done to something that is read: "do what it says", "carry out the
/// tasks in the note", "handle everything on the list at the site". Tasks that follow in the text itself are no such thing.
pub(crate) fn hands_over(text: &str) -> bool {
    let words = words(text);
    let low = |at: usize| words.get(at).map_or("", |word| word.low.as_str());
    let orders = orders(text);
    // "Install it and resolve the ticket": what is to be done was said, so the ticket is to be closed.
    let told = |order: &Order| {
        order.verb == "resolve" && orders.iter().any(|other| other.at != order.at && other.deeds & EFFECTS != 0)
    };
    orders.iter().filter(|order| order.deeds & OBEY != 0 && !told(order)).any(|order| {
        let Some(at) = words.iter().position(|word| word.at == order.at) else { return false };
        let ahead = |from: usize, many: usize| {
            (from..from + many).take_while(|at| words.get(*at).is_some_and(|word| !word.sentence))
        };
        // "Handle Anna's mail", "resolve the issue": what stands in it is what is to be done.
        let handled = lists::HANDLING.has(&order.verb)
            && ahead(at + 1, 6).any(|at| lists::MATTERS.has(&lexicon::singular(low(at))));
        if handled {
            return true;
        }
        let Some(errand) = ahead(at + 1, 6).find(|at| lists::ERRANDS.has(low(*at))) else { return false };
        let here = (at..errand).any(|at| matches!(low(at), "following" | "below"));
        let whole = order.verb == "follow" && low(errand) != "it"
            || matches!(low(errand), "instructions" | "instruction" | "steps");
        let direct =
            whole || lists::PLACES.has(low(errand + 1)) || ahead(errand + 1, 5).any(|at| lists::PLACES.has(low(at)));
        // "it" and "everything" need a place to stand right after; a list of tasks may be far from its place.
        !here && direct && (low(errand) != "it")
    }) || says_so(&words)
}

/// "as he says", "whatever the email asks", "as instructed in", "according to the instructions".
fn says_so(words: &[Word<'_>]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        let next = |on: usize| words.get(at + on).map_or("", |word| word.low.as_str());
        match word.low.as_str() {
            "whatever" | "what" => {
                (2..6).any(|on| {
                    matches!(next(on), "says" | "asks" | "wants" | "needs" | "requests" | "instructs" | "requires")
                }) && words
                    .get(at.saturating_sub(2)..at)
                    .unwrap_or_default()
                    .iter()
                    .any(|word| lexicon::verb(&word.low) & OBEY != 0)
            }
            "as" => matches!(next(1), "instructed" | "requested" | "directed" | "told" | "explained" | "asked"),
            "instructions" => matches!(next(1), "in" | "from" | "on" | "at"),
            _ => false,
        }
    })
}

/// Whether the text leaves a value to something that is read: "the time he suggests", "details are in the letter".
pub(crate) fn refers(text: &str) -> bool {
    let words = words(text);
    words.iter().enumerate().any(|(at, word)| {
        let next = |on: usize| words.get(at + on).map_or("", |word| word.low.as_str());
        let before = at.checked_sub(1).and_then(|at| words.get(at)).map_or("", |word| word.low.as_str());
        let told = !lists::ASKING.has(before);
        let earlier = words.get(at.saturating_sub(4)..at).unwrap_or_default();
        let relative = earlier.iter().any(|word| matches!(word.low.as_str(), "which" | "that" | "what" | "as" | "where"));
        let found = told
            && matches!(word.low.as_str(), "find" | "is" | "are")
            && (1..=5).any(|on| matches!(next(on), "in" | "on") && (1..=4).any(|far| is_source(next(on + far))));
        lists::REFERENCE.has(&word.low)
            || found
            || matches!(word.low.as_str(), "says" | "said" | "wrote") && at > 0 && !word.starts
            // "See her mail", "everything it lists", "the account that the contract names".
            || word.low == "see" && word.starts && lists::DETERMINERS.has(next(1)) && (2..4).any(|on| is_source(next(on)))
            || matches!(word.low.as_str(), "names" | "lists" | "contains" | "gives" | "shows" | "sets" | "states")
                && at > 0
                && !word.starts
                && (is_source(before) && relative || matches!(before, "it" | "he" | "she"))
            // "What she asks for", but not "she asks me to".
            || matches!(word.low.as_str(), "asks" | "wants" | "needs")
                && at > 0
                && !word.starts
                && !matches!(next(1), "me" | "us" | "to" | "a" | "an" | "the" | "my" | "his" | "her" | "their")
    })
}

fn is_source(word: &str) -> bool {
    lists::SOURCES.has(&lexicon::singular(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_to_what_is_read() {
        for text in [
            "Book the time he suggests",
            "She has a new number, see her mail. Please update it",
            "Put everything it lists into the calendar",
            "Pay it to the account which the contract names",
        ] {
            assert!(refers(text), "{text}");
        }
        for text in ["Send the lists to Bob", "I'd like to see her mails from May", "Show me the file names"] {
            assert!(!refers(text), "{text}");
        }
    }

    #[test]
    fn errands_are_told_from_tasks() {
        for text in [
            "Please do the actions specified in the email from Anna",
            "do all the tasks i have on my list at example.com",
            "Follow the instructions in notes.txt",
            "Can you handle everything on the checklist?",
            "Just do whatever Bob's message says",
            "Could you deal with the ticket that Ines opened?",
            "Follow the guide at docs.example to set it up",
        ] {
            assert!(hands_over(text), "{text}");
        }
        for text in [
            "Perform the following tasks in the order they are given: 1. Count. 2. Sort.",
            "Send it to the person named in the letter",
            "Delete the task called 'in progress'",
            "Follow the link on her page and tell me what is there",
            "Do not handle any mail yet",
        ] {
            assert!(!hands_over(text), "{text}");
        }
    }
}
