//! Recipes: plans that need no model. They look at a folder, work out what to change, and propose it as one plan; the
//! person sees it before anything happens, and everything that is done can be undone.
//!
//! [`RECIPES`] is the one table: help, validation and the running all read it.

use raincoat_types::wire::Job;

use crate::keeper::{Keeper, Lost};

mod archive_old;
mod dates;
mod dedupe;
mod emptied;
#[cfg(test)]
pub(crate) mod fake;
mod find_large;
mod flatten;
mod folders;
mod kind;
mod names;
mod options;
mod pattern;
mod remote;
mod rename;
mod submit;
mod survey;
#[cfg(test)]
mod tests;
mod tidy;

pub use options::{OptionInfo, Values, check_options};

/// How a recipe ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    /// For the person.
    pub summary: String,
    /// It ended well. A recipe with nothing to do ended well.
    pub ok: bool,
}

/// A recipe as help shows it.
#[derive(Clone, Copy, Debug)]
pub struct RecipeInfo {
    /// Its name, as it is typed.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What can be chosen.
    pub options: &'static [OptionInfo],
}

const RECURSIVE: OptionInfo = OptionInfo {
    name: "recursive",
    help: "look into subfolders too (projects, hidden folders and folders already tidied are left whole)",
    default: "false",
    values: Values::Bool,
};
const IN_PROJECT: OptionInfo = OptionInfo {
    name: "in-project",
    help: "go ahead even where the folder itself looks like a software project",
    default: "false",
    values: Values::Bool,
};

/// Every recipe there is.
pub const RECIPES: &[RecipeInfo] = &[
    RecipeInfo {
        name: "tidy",
        summary: "sort loose files into folders by type and date",
        options: &[
            OptionInfo {
                name: "by",
                help: "sort by type, by date, or by both",
                default: "type+date",
                values: Values::OneOf(&["type", "date", "type+date"]),
            },
            OptionInfo {
                name: "date-format",
                help: "folders by year or by month; auto is months for pictures and videos, years for the rest",
                default: "auto",
                values: Values::OneOf(&["auto", "year", "month"]),
            },
            RECURSIVE,
            OptionInfo {
                name: "remove-empty",
                help: "with recursive: remove the folders that the moves leave empty",
                default: "false",
                values: Values::Bool,
            },
            IN_PROJECT,
        ],
    },
    RecipeInfo {
        name: "dedupe",
        summary: "delete all but one of the files with the same content",
        options: &[
            OptionInfo {
                name: "keep",
                help: "which copy stays: the one with the shortest path, the oldest or the newest",
                default: "shortest",
                values: Values::OneOf(&["shortest", "oldest", "newest"]),
            },
            OptionInfo {
                name: "min-size",
                help: "leave smaller files alone, such as 4096, 64K or 10M",
                default: "1",
                values: Values::Size,
            },
            IN_PROJECT,
        ],
    },
    RecipeInfo {
        name: "rename",
        summary: "give files new names by a pattern",
        options: &[
            OptionInfo {
                name: "from",
                help: "which file names: a pattern that holds for the whole name as glob, or anywhere in it as regex",
                default: "",
                values: Values::Text,
            },
            OptionInfo {
                name: "to",
                help: "the new name: $1 (what the first `*`, `?` or group matched), {name}, {ext}, {date}, {n} or {n:03}; \
                       the extension is kept where this has neither {ext} nor a dot",
                default: "",
                values: Values::Text,
            },
            OptionInfo {
                name: "match",
                help: "how to read `from`",
                default: "glob",
                values: Values::OneOf(&["glob", "regex"]),
            },
            RECURSIVE,
            IN_PROJECT,
        ],
    },
    RecipeInfo {
        name: "flatten",
        summary: "move the files of all subfolders to the top and remove the empty folders",
        options: &[IN_PROJECT],
    },
    RecipeInfo {
        name: "archive-old",
        summary: "put files that nobody changed for long into one zip archive a year",
        options: &[
            OptionInfo {
                name: "older-than",
                help: "the age from which a file is old, such as 180d, 8w, 6m or 2y",
                default: "1y",
                values: Values::Age,
            },
            OptionInfo { name: "into", help: "the folder for the archives", default: "Archive", values: Values::Name },
            RECURSIVE,
            IN_PROJECT,
        ],
    },
    RecipeInfo {
        name: "find-large",
        summary: "show the largest files and what each type takes up; changes nothing",
        options: &[OptionInfo {
            name: "top",
            help: "how many files to show, 1 to 1000",
            default: "20",
            values: Values::Count(1000),
        }],
    },
];

/// Runs a recipe over the job's folders. Where it cannot go on it says why in a summary that is not `ok`.
///
/// # Errors
/// [`Lost`] where the keeper is gone.
pub fn run(keeper: &mut dyn Keeper, name: &str, options: &[(String, String)], job: &Job) -> Result<Finished, Lost> {
    let done = options::Chosen::new(name, options).map_err(End::bad).and_then(|chosen| match name {
        "tidy" => tidy::run(keeper, &chosen, job),
        "dedupe" => dedupe::run(keeper, &chosen, job),
        "rename" => rename::run(keeper, &chosen, job),
        "flatten" => flatten::run(keeper, &chosen, job),
        "archive-old" => archive_old::run(keeper, &chosen, job),
        "find-large" => find_large::run(keeper, &chosen, job),
        other => Err(End::bad(options::unknown_recipe(other))),
    });
    match done {
        Ok(finished) | Err(End::Early(finished)) => Ok(finished),
        Err(End::Stopped) => {
            Ok(Finished { summary: "stopped as you asked; nothing was changed".to_owned(), ok: false })
        }
        Err(End::Lost(lost)) => Err(lost),
    }
}

/// Why a recipe came to an end before its own.
enum End {
    /// Nobody to speak to.
    Lost(Lost),
    /// The person asked for it, and nothing was changed.
    Stopped,
    /// There is something to say about it.
    Early(Finished),
}

impl End {
    fn bad(summary: impl Into<String>) -> End {
        End::Early(Finished { summary: summary.into(), ok: false })
    }
}

impl From<Lost> for End {
    fn from(lost: Lost) -> End {
        End::Lost(lost)
    }
}

/// Ends the recipe where the person asked for it. Called between pages and batches, before anything was changed.
fn check_stop(keeper: &mut dyn Keeper) -> Result<(), End> {
    if keeper.stop_asked() {
        return Err(End::Stopped);
    }
    Ok(())
}
