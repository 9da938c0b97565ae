//! Options of recipes: what may be chosen, and reading what was.

use super::{RECIPES, RecipeInfo};

/// An option as help shows it.
#[derive(Clone, Copy, Debug)]
pub struct OptionInfo {
    /// Its name, as in `name=value`.
    pub name: &'static str,
    /// What it chooses, in one line.
    pub help: &'static str,
    /// The value where none is given; empty where one must be given.
    pub default: &'static str,
    /// Which values it takes.
    pub values: Values,
}

/// Which values an option takes.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// `true` or `false`.
    Bool,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Bytes, with K, M or G for powers of 1024.
    Size,
    /// A span of time: a number and d, w, m (30 days) or y (365 days).
    Age,
    /// A whole number from 1 to this.
    Count(u32),
    /// The name of a file or folder: no `/`, not hidden.
    Name,
    /// Any text but none.
    Text,
}

/// Whether a recipe knows these options and can read their values.
///
/// # Errors
/// A sentence for the person: what is wrong and what would be right.
pub fn check_options(recipe: &str, options: &[(String, String)]) -> Result<(), String> {
    Chosen::new(recipe, options).map(drop)
}

pub(super) fn unknown_recipe(name: &str) -> String {
    let known: Vec<&str> = RECIPES.iter().map(|recipe| recipe.name).collect();
    format!("there is no recipe `{name}`; choose one of: {}", known.join(", "))
}

/// The options of one recipe, each with the value given or its default. Every value has been checked.
pub(super) struct Chosen<'a> {
    recipe: &'static RecipeInfo,
    given: &'a [(String, String)],
}

impl<'a> Chosen<'a> {
    pub(super) fn new(name: &str, given: &'a [(String, String)]) -> Result<Chosen<'a>, String> {
        let recipe = RECIPES.iter().find(|recipe| recipe.name == name).ok_or_else(|| unknown_recipe(name))?;
        for (at, (key, _)) in given.iter().enumerate() {
            if !recipe.options.iter().any(|option| option.name == key) {
                let known: Vec<&str> = recipe.options.iter().map(|option| option.name).collect();
                return Err(format!("`{name}` has no option `{key}`; it has: {}", known.join(", ")));
            }
            if given.iter().take(at).any(|(earlier, _)| earlier == key) {
                return Err(format!("the option `{key}` is given twice; give it once"));
            }
        }
        let chosen = Chosen { recipe, given };
        for option in recipe.options {
            let value = chosen.text(option.name);
            if !fits(option.values, value) {
                return Err(match value {
                    "" => format!("`{name}` needs `{}=...`: {}", option.name, option.help),
                    _ => format!("`{value}` is no value for `{}`; {}", option.name, wanted(option.values)),
                });
            }
        }
        Ok(chosen)
    }

    /// The value as it was given, or the default.
    pub(super) fn text(&self, name: &str) -> &str {
        match self.given.iter().find(|(key, _)| key == name) {
            Some((_, value)) => value,
            None => self.recipe.options.iter().find(|option| option.name == name).map_or("", |option| option.default),
        }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    pub(super) fn size(&self, name: &str) -> u64 {
        size(self.text(name)).unwrap_or_default()
    }

    /// In seconds.
    pub(super) fn age(&self, name: &str) -> i64 {
        age(self.text(name)).unwrap_or_default()
    }

    pub(super) fn count(&self, name: &str) -> usize {
        self.text(name).parse().unwrap_or_default()
    }
}

fn fits(values: Values, text: &str) -> bool {
    match values {
        Values::Bool => matches!(text, "true" | "false"),
        Values::OneOf(words) => words.contains(&text),
        Values::Size => size(text).is_some(),
        Values::Age => age(text).is_some(),
        Values::Count(most) => text.parse::<u32>().is_ok_and(|n| n >= 1 && n <= most),
        Values::Name => !text.starts_with('.') && super::names::is_name(text.as_bytes()),
        Values::Text => !text.is_empty(),
    }
}

fn wanted(values: Values) -> String {
    match values {
        Values::Bool => "write true or false".to_owned(),
        Values::OneOf(words) => format!("write one of: {}", words.join(", ")),
        Values::Size => "write a number of bytes, such as 4096, 64K, 10M or 1G".to_owned(),
        Values::Age => "write a number and d, w, m or y, such as 180d or 2y".to_owned(),
        Values::Count(most) => format!("write a whole number from 1 to {most}"),
        Values::Name => "write a plain folder name without `/` that does not begin with a dot".to_owned(),
        Values::Text => "write something".to_owned(),
    }
}

fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn age(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let days = match unit {
        'd' => 1,
        'w' => 7,
        'm' => 30,
        'y' => 365,
        _ => return None,
    };
    // A thousand years is more than any clock here needs, and keeps the arithmetic from running over.
    let count: i64 = text.strip_suffix(unit)?.parse::<u32>().ok()?.into();
    Some(count * days * 86_400).filter(|secs| *secs <= 1000 * 365 * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn every_default_is_a_value_or_must_be_given() {
        for recipe in RECIPES {
            for option in recipe.options {
                assert!(option.default.is_empty() || fits(option.values, option.default), "{}", option.name);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        let check = |recipe: &str, pairs: &[(&str, &str)]| check_options(recipe, &given(pairs)).unwrap_err();
        assert!(check("tidi", &[]).contains("tidy, dedupe"));
        assert!(check("tidy", &[("bye", "type")]).contains("has no option `bye`; it has: by, "));
        assert!(check("tidy", &[("by", "size")]).contains("write one of: type, date, type+date"));
        assert!(check("tidy", &[("by", "type"), ("by", "date")]).contains("twice"));
        assert!(check("rename", &[("to", "x")]).contains("needs `from=...`"));
        assert!(check("archive-old", &[("older-than", "99999999y")]).contains("180d"));
        assert!(check("archive-old", &[("into", "../x")]).contains("plain folder name"));
        assert!(check("find-large", &[("top", "0")]).contains("from 1 to 1000"));
        assert_eq!(check_options("tidy", &given(&[("recursive", "true")])), Ok(()));
    }

    #[test]
    fn sizes_and_ages_are_read() {
        assert_eq!(size("64K"), Some(65536));
        assert_eq!(size("10"), Some(10));
        assert_eq!(size("99999999999999G"), None);
        assert_eq!(size("K"), None);
        assert_eq!(age("2y"), Some(730 * 86400));
        assert_eq!(age("-1d"), None);
        assert_eq!(age("日"), None);
    }
}
