//! Recipes as commands, made from their own table.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches};
use raincoat_runtime::{OptionInfo, RECIPES, Values};

use super::command;

/// A recipe with its folders and options, as they were typed.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) dirs: Vec<PathBuf>,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) dry_run: bool,
    pub(crate) without_backup: Vec<String>,
    pub(crate) wait: Option<String>,
}

pub(super) fn recipe_command(recipe: &raincoat_runtime::RecipeInfo) -> clap::Command {
    let dirs = Arg::new("dirs")
        .value_name("DIR")
        .help("The folder; may be several")
        .required(true)
        .num_args(1..)
        .value_parser(clap::value_parser!(PathBuf));
    let option = Arg::new("option")
        .long("option")
        .value_name("KEY=VALUE")
        .help("An option by its key, as an alternative to its own flag; may be given several times")
        .action(ArgAction::Append);
    let dry_run =
        Arg::new("dry-run").long("dry-run").help("Show the plan, and change nothing").action(ArgAction::SetTrue);
    let without_backup = Arg::new("without-backup")
        .long("without-backup")
        .value_name("GLOB")
        .help("A file that may be changed without a copy of what was there: it cannot be undone; may be given several times")
        .action(ArgAction::Append);
    let wait = Arg::new("wait")
        .long("wait")
        .value_name("SPAN")
        .help("Where nobody can be asked here: wait so long for `raincoat approve` from another terminal (30s, 2h)");
    clap::Command::new(recipe.name)
        .about(capital(recipe.summary))
        .arg(dirs)
        .args(recipe.options.iter().map(recipe_option))
        .arg(option)
        .arg(dry_run)
        .arg(without_backup)
        .arg(wait)
}

fn recipe_option(option: &'static OptionInfo) -> Arg {
    let default = if option.default.is_empty() { String::new() } else { format!(" [default: {}]", option.default) };
    let arg = Arg::new(option.name).long(option.name).help(format!("{}{default}", capital(option.help)));
    match option.values {
        // `--recursive` alone means yes.
        Values::Bool => arg
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(PossibleValuesParser::new(["true", "false"]))
            .hide_possible_values(true),
        Values::OneOf(words) => arg.value_name("WORD").value_parser(PossibleValuesParser::new(words)),
        Values::Size => arg.value_name("SIZE"),
        Values::Age => arg.value_name("AGE"),
        Values::Count(_) => arg.value_name("N"),
        Values::Name => arg.value_name("NAME"),
        Values::Text => arg.value_name("TEXT"),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

pub(super) fn recipe_of(name: &str, matches: &ArgMatches) -> Result<Recipe, clap::Error> {
    let mut options = Vec::new();
    if let Some(recipe) = RECIPES.iter().find(|recipe| recipe.name == name) {
        for option in recipe.options {
            if let Some(value) = matches.get_one::<String>(option.name) {
                options.push((option.name.to_owned(), value.clone()));
            }
        }
    }
    for pair in matches.get_many::<String>("option").into_iter().flatten() {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            let words = format!("`--option {pair}` has no `=`: write KEY=VALUE\n");
            command().error(clap::error::ErrorKind::ValueValidation, words)
        })?;
        options.push((key.to_owned(), value.to_owned()));
    }
    let dirs = matches.get_many::<PathBuf>("dirs").into_iter().flatten().cloned().collect();
    let without_backup = matches.get_many::<String>("without-backup").into_iter().flatten().cloned().collect();
    let dry_run = matches.get_flag("dry-run");
    let wait = matches.get_one::<String>("wait").cloned();
    Ok(Recipe { name: name.to_owned(), dirs, options, dry_run, without_backup, wait })
}
