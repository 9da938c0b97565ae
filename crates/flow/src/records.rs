//! The structure of a result: JSON, a language's literals that look like it, YAML and tables as tools print
//! them, plain lists, or text.
//!
//! A value that fills a field of its own is told from one that stands amid text: a field is filled by a program, a text
//! is written by whoever wrote it. Nothing here trusts the structure to be honest; what does not parse as a whole is
//! text as a whole.

mod braces;
mod tables;
mod yaml;

/// One piece of text of a result, with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Leaf {
    /// The record that it belongs to.
    pub(crate) record: usize,
    /// What the way to it is called, without positions in lists: leaves of one column share it.
    pub(crate) column: String,
    /// What it says.
    pub(crate) text: String,
    /// It is the value of a field or an item of a list; otherwise it is text that has no structure.
    pub(crate) field: bool,
}

/// The leaves of a result and how their records lie in each other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Records {
    pub(crate) leaves: Vec<Leaf>,
    /// For each record the one that it lies in.
    pub(crate) parents: Vec<Option<usize>>,
}

impl Records {
    fn record(&mut self, parent: Option<usize>) -> usize {
        self.parents.push(parent);
        self.parents.len() - 1
    }

    fn leaf(&mut self, record: usize, column: &str, text: String, field: bool) {
        if !text.trim().is_empty() {
            self.leaves.push(Leaf { record, column: column.to_owned(), text, field });
        }
    }

    /// A key that is a name rather than a word of a schema is itself a value.
    fn key(&mut self, record: usize, column: &str, key: &str) {
        let named =
            key.contains([' ', '@', '.', '/']) || key.contains(|c: char| c.is_ascii_digit() || c.is_uppercase());
        if named {
            self.leaf(record, &format!("{column}*"), key.to_owned(), true);
        }
    }

    /// A record and all that it lies in, from the inside.
    pub(crate) fn around(&self, record: usize) -> impl Iterator<Item = usize> {
        let limit = self.parents.len();
        std::iter::successors(Some(record), |one| self.parents.get(*one).copied().flatten()).take(limit)
    }
}

/// Takes a result apart.
pub(crate) fn parse(text: &str, depth: usize) -> Records {
    let trimmed = text.trim();
    if trimmed.starts_with(['{', '[', '('])
        && let Some(records) = braces::parse(trimmed, depth)
    {
        return records;
    }
    if let Some(records) = yaml::parse(text, depth).or_else(|| tables::parse(text)) {
        return records;
    }
    plain(text)
}

/// A list of short lines, or one text.
fn plain(text: &str) -> Records {
    let mut records = Records::default();
    let top = records.record(None);
    let lines: Vec<&str> =
        text.lines().map(|line| line.trim().trim_start_matches(['-', '*', '\u{2022}']).trim()).collect();
    let full = lines.iter().filter(|line| !line.is_empty());
    let listing =
        full.clone().count() >= 2 && full.clone().all(|line| line.chars().count() <= 60 && !line.contains(". "));
    if !listing {
        records.leaf(top, "", text.to_owned(), text.len() <= 80 && !text.trim().contains(char::is_whitespace));
        return records;
    }
    for line in full {
        let record = records.record(Some(top));
        // "Name: value" and "a, b, c" fall apart.
        let (label, rest) = line.split_once(": ").map_or(("", *line), |(label, rest)| (label, rest));
        if !label.is_empty() {
            records.leaf(record, "label", label.to_owned(), true);
        }
        let parts: Vec<&str> = rest.split([',', '|', '\t', ';']).map(str::trim).collect();
        for (index, part) in parts.iter().enumerate() {
            records.leaf(
                record,
                &format!("column {}", if label.is_empty() { index } else { 0 }),
                (*part).to_owned(),
                part.split(' ').count() <= 5,
            );
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let records = parse(text, 32);
        let leaves = records.leaves.iter();
        leaves
            .map(|leaf| {
                format!("{} {} {}{}", leaf.record, leaf.column, leaf.text, if leaf.field { "" } else { " (text)" })
            })
            .collect()
    }

    #[test]
    fn json_and_its_likes() {
        let json = shown(r#"[{"name": "A", "to": ["x", "y"]}, {"name": "B", "n": 1.5, "z": null}]"#);
        assert_eq!(json, ["1 .name A", "1 .to x", "1 .to y", "2 .name B", "2 .n 1.5"]);
        let literal = shown("[{'name': 'A', 'to': ('x', 'y'), 'at': datetime.date(2024, 5, 1), 'ok': True}]");
        assert_eq!(literal, ["1 .name A", "1 .to x", "1 .to y", "1 .at datetime.date(2024, 5, 1)", "1 .ok True"]);
        assert_eq!(shown(r#"{"Grand Hotel": {"price": 10}}"#), ["1 * Grand Hotel", "1 .Grand Hotel.price 10"]);
    }

    #[test]
    fn yaml_as_tools_print_it() {
        let text = "- body: 'Hi,\n\n\n    it''s: me'\n  to:\n  - a@x.com\n  - b@x.com\n  n: 1\n- body: plain\n    goes on\n  to: []\n";
        assert_eq!(
            shown(text),
            ["1 .body Hi,\n\n it's: me", "1 .to a@x.com", "1 .to b@x.com", "1 .n 1", "2 .body plain goes on"]
        );
        assert_eq!(shown("- general\n- random\n"), ["1  general", "2  random"]);
        assert_eq!(shown("a: \"x\\\n  \\ y\\nz\"\n"), ["0 .a x y\nz"]);
    }

    #[test]
    fn text_is_text() {
        assert_eq!(shown("Hello there. My mail is a@x.com").len(), 1);
        assert!(!parse("Hello there. My mail is a@x.com", 32).leaves[0].field);
        assert!(parse("2024-05-15", 32).leaves[0].field);
        assert_eq!(shown("Red\nGreen\n"), ["1 column 0 Red", "2 column 0 Green"]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "[ -~\n]{0,300}|[\\[\\]{}:,'\"a-c \n-]{0,200}") {
            let records = parse(&text, 32);
            prop_assert!(records.leaves.iter().all(|leaf| leaf.record < records.parents.len()));
        }

        #[test]
        fn what_json_says_is_found(text in "[a-z ]{1,20}[a-z]", key in "[a-z]{1,8}") {
            let records = parse(&serde_json::json!([{ key: text.clone() }]).to_string(), 32);
            prop_assert_eq!(&records.leaves[0].text, &text);
        }
    }
}
