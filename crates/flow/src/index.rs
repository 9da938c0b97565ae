//! A result as it is kept: its leaves, and one string of all their words in which a value is looked for. The string is
//! made once; a look at it is a search in linear time by a vectorised routine, and needs none where a word is missing.

use std::collections::HashMap;

use memchr::memmem;
use raincoat_types::Label;

use crate::fold::{fold_into, folded, hash, hashed, squashed};
use crate::marks::{self, Phrases};
use crate::records::{self, Leaf, Records};
use crate::{lexicon, limits::FlowLimits, values};

/// How near the user's words a result is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Nearness {
    /// What was asked for is what the user said.
    Said,
    /// A listing, or what a listing led to: the user's own things.
    Own,
    /// What stood amid other people's text led to it.
    Led,
    /// Text that is no request of the user's asked for it.
    Steered,
}

/// One result.
pub(crate) struct Seen {
    /// The tool that gave it.
    pub(crate) tool: String,
    /// How it was come by.
    pub(crate) nearness: Nearness,
    /// The user's words point to such things (the tool's nouns are among them, or its arguments are the user's).
    pub(crate) pointed: bool,
    /// It came from an address outside.
    pub(crate) fetched: bool,
    /// A call that changed something gave it: it says what this run has made.
    pub(crate) product: bool,
    /// Who wrote it and who may see it.
    pub(crate) label: Label,
    pub(crate) records: Records,
    /// Records in which somebody gives orders to an agent.
    marked: Vec<usize>,
    /// What fields with a telling name hold: papers, cards, keys. Each with that name and its folded words.
    secrets: Vec<(String, String)>,
    words: String,
    /// Where each leaf's words end in `words`.
    ends: Vec<usize>,
    /// Which words may be in it: one bit for each of their hashes.
    bloom: Vec<u64>,
}

/// A place of a value in a result.
pub(crate) struct Place<'a> {
    pub(crate) leaf: &'a Leaf,
    /// The value is all that the leaf says.
    pub(crate) whole: bool,
}

/// Secrets of one result that are remembered.
const SECRETS: usize = 256;

const BLOOM_BITS: usize = 1 << 17;

impl Seen {
    pub(crate) fn new(tool: &str, text: &str, label: Label, limits: &FlowLimits) -> Seen {
        let mut records = records::parse(text, limits.depth);
        let hidden: Vec<Leaf> = records
            .leaves
            .iter()
            .flat_map(|leaf| {
                values::hidden(&leaf.text).into_iter().map(|text| Leaf {
                    record: leaf.record,
                    column: leaf.column.clone(),
                    text,
                    field: false,
                })
            })
            .collect();
        records.leaves.extend(hidden);
        let mut words = String::with_capacity(text.len() + 16);
        let mut ends = Vec::with_capacity(records.leaves.len());
        let mut bloom = vec![0; BLOOM_BITS / 64];
        let mut marked: Vec<usize> = Vec::new();
        for leaf in &records.leaves {
            words.push(' ');
            let from = words.len();
            fold_into(&mut words, &leaf.text);
            let mut phrases = Phrases::default();
            for (word, hash) in hashed(words.get(from..).unwrap_or_default()) {
                let (slot, bit) = place_in_bloom(hash);
                bloom.get_mut(slot).into_iter().for_each(|slot| *slot |= bit);
                phrases.hear(word, hash);
            }
            if phrases.are_orders() || marks::in_markup(&leaf.text) {
                marked.push(leaf.record);
            }
            words.push('\n');
            ends.push(words.len());
        }
        marked.sort_unstable();
        marked.dedup();
        // Many leaves, few columns.
        let mut kinds: HashMap<&str, Option<&'static str>> = HashMap::new();
        let secrets = records.leaves.iter().filter(|leaf| leaf.field && leaf.text.len() >= 4 && leaf.text.len() <= 200);
        let secrets = secrets.filter_map(|leaf| {
            let kind = *kinds.entry(&leaf.column).or_insert_with(|| lexicon::secret(&leaf.column));
            Some((kind?.to_owned(), folded(&leaf.text)))
        });
        let secrets = secrets.take(SECRETS).collect();
        Seen {
            tool: tool.to_owned(),
            nearness: Nearness::Own,
            pointed: false,
            fetched: false,
            product: false,
            label,
            records,
            marked,
            secrets,
            words,
            ends,
            bloom,
        }
    }

    /// Where a value stands, by its folded words.
    pub(crate) fn places<'a>(&'a self, spelling: &str, most: usize) -> Vec<Place<'a>> {
        let mut out: Vec<Place<'a>> = Vec::new();
        if spelling.split(' ').any(|word| !word.is_empty() && !self.may_have(word)) {
            return out;
        }
        let mut last = None;
        for at in memmem::find_iter(self.words.as_bytes(), spelling.as_bytes()) {
            let leaf = self.ends.partition_point(|end| *end <= at);
            if last == Some(leaf) {
                continue;
            }
            last = Some(leaf);
            let start = leaf.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
            let length = self.ends.get(leaf).map_or(0, |end| end - start);
            if let Some(leaf) = self.records.leaves.get(leaf) {
                out.push(Place { leaf, whole: length == spelling.len() + 1 });
            }
            if out.len() >= most {
                break;
            }
        }
        out
    }

    /// Where a value stands whose letters were set apart or run together.
    pub(crate) fn places_squashed<'a>(&'a self, value: &str, most: usize) -> Vec<Place<'a>> {
        let has = |leaf: &&Leaf| squashed(&folded(&leaf.text)).contains(value);
        let whole = |leaf: &Leaf| squashed(&folded(&leaf.text)) == value;
        self.records.leaves.iter().filter(has).take(most).map(|leaf| Place { leaf, whole: whole(leaf) }).collect()
    }

    /// What kind of secret stands in some folded words, of those that the result holds.
    pub(crate) fn secret_in(&self, words: &str) -> Option<&str> {
        self.secrets.iter().find(|(_, value)| words.contains(value.as_str())).map(|(kind, _)| kind.as_str())
    }

    /// Whether somebody gives orders to an agent in the leaf's record, or in one that it lies in.
    pub(crate) fn is_marked(&self, leaf: &Leaf) -> bool {
        self.records.around(leaf.record).any(|record| self.marked.contains(&record))
    }

    /// Whether somebody gives orders to an agent anywhere in it.
    pub(crate) fn has_marks(&self) -> bool {
        !self.marked.is_empty()
    }

    /// Whether a word stands somewhere in it.
    pub(crate) fn has_word(&self, word: &str) -> bool {
        self.may_have(word) && memmem::find(self.words.as_bytes(), format!(" {word} ").as_bytes()).is_some()
    }

    /// What it takes to keep it, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.words.len() * 2
    }

    fn may_have(&self, word: &str) -> bool {
        let (slot, bit) = place_in_bloom(hash(word));
        self.bloom.get(slot).is_some_and(|slot| slot & bit != 0)
    }
}

/// Which number of the bloom filter stands for a word, and which bit of it.
fn place_in_bloom(hash: u64) -> (usize, u64) {
    let bit = usize::try_from(hash >> 32).unwrap_or(0) % BLOOM_BITS;
    (bit / 64, 1 << (bit % 64))
}
