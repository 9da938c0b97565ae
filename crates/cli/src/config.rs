//! `config.toml`: one table of settings, from which the commented file is written and by which it is read.

use raincoat_runtime::{Class, Config, Error, Home, Price, PrivateDir};
use raincoat_types::{Ceilings, Limits, Measure};
use toml_edit::{Document, Item, TableLike};

use crate::enclosed::{seconds, size};
use crate::error::{Result, error, system};

/// The file's name in the configuration directory.
pub(crate) const FILE: &str = "config.toml";
/// Longer than this, and it is no configuration.
const MAX_BYTES: u64 = 1 << 20;
/// The file's sections, for who named another.
const SECTIONS: &str =
    "it has [unlock], [model], [prices], [log], [witness], [store], [breaker], [budget], [budget-day] and [limits]";
/// The smallest budget that a store can work within.
const BUDGET_LEAST: u64 = 64 << 20;

/// A number among the limits: its name, what it is, the least and the most it may be, and where it is kept.
struct Number {
    name: &'static str,
    what: &'static str,
    least: u64,
    most: u64,
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

macro_rules! numbers {
    ($($name:ident: $kind:ty, $least:expr, $most:expr, $what:literal;)*) => {
        &[$(Number {
            name: stringify!($name),
            what: $what,
            least: $least,
            most: $most,
            get: |limits| u64::from(limits.$name),
            // Within the bounds above, which fit the field.
            set: |limits, value| limits.$name = <$kind>::try_from(value).unwrap_or(<$kind>::MAX),
        }),*]
    };
}

const LIMITS: &[Number] = numbers! {
    list_entries: u32, 16, 1 << 20, "entries that one listing returns";
    walk_depth: u32, 1, 2048, "directory levels that a walk goes down";
    read_window: u32, 4096, 16 << 20, "bytes that one read returns";
    write_bytes: u64, 4096, 1 << 30, "bytes of a file that an agent writes or edits in one proposal";
    search_matches: u32, 1, 100_000, "matches that one search returns";
    search_line: u32, 40, 65_536, "bytes of a matching line that a search returns";
    search_file_bytes: u64, 4096, 1 << 40, "bytes of a file that a search looks into";
    run_ops: u32, 1, 100_000_000, "operations in one run";
    run_messages: u64, 1000, 1_000_000_000, "messages that are taken from a worker in one run";
    run_words: u64, 1 << 20, 1 << 40, "bytes that a worker may say or leave with one run";
    plan_steps: u32, 1, 10_000_000, "steps of one plan";
    extract_entries: u32, 1, 10_000_000, "entries taken out of one archive";
    extract_bytes: u64, 4096, 1 << 40, "bytes taken out of one archive";
    extract_ratio: u64, 1, 100_000, "how many times its own size an archive may grow to, beyond 16 MiB";
    message_bytes: u32, 1 << 20, 1 << 30, "bytes of one message between keeper and worker";
    model_reply_bytes: u64, 4096, 1 << 30, "bytes of one reply of a model";
    model_request_bytes: u64, 4096, 1 << 30, "bytes of one request to a model";
    model_idle_secs: u32, 1, 86_400, "seconds without a byte from a model before it is given up";
    model_total_secs: u32, 1, 86_400, "seconds that one request to a model may take";
    model_turns: u32, 1, 100_000, "requests to the model in one run";
    tool_calls: u32, 1, 10_000, "tool calls in one turn";
    symlinks: u32, 0, 40, "symlinks followed in one path";
    worker_memory: u64, 256 << 20, 1 << 46, "bytes of address space of a worker";
    worker_cpu_secs: u32, 10, 31_536_000, "seconds of processor time of a worker";
    program_memory: u64, 16 << 20, 1 << 46, "bytes of memory of a program in a draft, within three quarters of all";
    program_processes: u32, 1, 1 << 22, "processes and threads of a program in a draft";
    program_disk: u64, 1 << 20, 1 << 46, "bytes that a program may write into its draft";
    program_files: u32, 16, 1 << 20, "open descriptors of each process of a program in a draft";
    program_refusals: u32, 1, 1 << 20, "refusals of one program that are told apart";
};

/// The file as it is first written: every setting with its default, commented out.
pub(crate) fn template() -> String {
    let config = Config::default();
    let breaker: String = Measure::ALL
        .into_iter()
        .filter_map(|measure| Some((measure.name(), config.budgets.breaker.of(measure)?)))
        .map(|(name, most)| format!("# {name} = {most}\n"))
        .collect();
    let mut text = format!(
        "# Raincoat's configuration. Every setting is shown with its default: take the `#` away to change it.\n\
         # What is written here binds you, not an agent: no agent can reach this file.\n\
         \n\
         [unlock]\n\
         # How long the keys stay unlocked when nobody uses them, in seconds. 0: ask for the passphrase each time.\n\
         # idle_secs = {}\n\
         \n\
         [model]\n\
         # The provider that `raincoat do \"TASK\"` asks where none is named.\n\
         # default_provider = \"\"\n\
         # No network but this machine's.\n\
         # offline = {}\n\
         \n\
         # What models cost for a million tokens sent and a million written, so that the log can say what a run cost:\n\
         # \"the model\" = \"3.00 15.00 USD\"\n\
         [prices]\n\
         \n\
         [log]\n\
         # Audit mode: every look at a file, with what came out by digest, and every word to and from a model stand in\n\
         # the log too, sealed. It grows by all that models read.\n\
         # audit = {}\n\
         # Another folder in which the log's newest tree head is kept (a stick, a share), so that a log rolled back shows.\n\
         # memory = \"\"\n\
         # Keep it in the kernel's keyring too, until your last logout.\n\
         # keyring = {}\n\
         \n\
         [witness]\n\
         # How long after it was last asked a witness is asked again at a command's end, in seconds.\n\
         # every_secs = {}\n\
         # How long a command's end waits for a witness that does not answer, in seconds (1 to 60).\n\
         # wait_secs = {}\n\
         # How old a witness's last word may be before you are told, in seconds.\n\
         # late_secs = {}\n\
         \n\
         [store]\n\
         # How long every run can be undone, whatever else: a span such as 90d.\n\
         # keep = \"30d\"\n\
         # The most that the store may take, such as 20 GiB; a tenth of its disk where none is set. When it is reached, the\n\
         # oldest runs go that `keep` lets go of, and you are told.\n\
         # budget = \"\"\n\
         \n\
         # Beyond this a run of an agent's pauses and asks, with the numbers, even where it asks for nothing else: files,\n\
         # bytes, deletions, recipients, requests, spend (millionths of a currency's unit), seconds, and rate (files in a\n\
         # minute). \"none\" takes one away.\n\
         [breaker]\n\
         {breaker}\
         \n\
         # Beyond this nothing goes, for one run: the same names. None is set.\n\
         [budget]\n\
         \n\
         # Beyond this nothing goes, for all runs of one agent in a day (UTC): the same names. None is set.\n\
         [budget-day]\n\
         \n\
         # Upper bounds. Raise them where work needs it; none can be switched off.\n\
         [limits]\n",
        config.unlock_idle_secs,
        config.offline,
        config.audit,
        config.log_keyring,
        config.witness_every_secs,
        config.witness_wait_secs,
        config.witness_late_secs,
    );
    for number in LIMITS {
        let (what, name, value) = (number.what, number.name, (number.get)(&config.limits));
        text.push_str(&format!("# {what} ({} to {})\n# {name} = {value}\n", number.least, number.most));
    }
    text
}

/// Reads the configuration; the defaults where there is no file.
///
/// # Errors
/// Where it does not parse, has a key that nobody knows, or a value out of its bounds: file, line and what is wrong.
pub(crate) fn load(home: &Home) -> Result<Config> {
    let dir = match PrivateDir::open(&home.config) {
        Ok(dir) => dir,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(why) => return Err(system(format!("open `{}`", home.config.display()), why)),
    };
    let place = home.config.join(FILE);
    let bytes = dir.read(FILE, MAX_BYTES).map_err(|why| system(format!("read `{}`", place.display()), why))?;
    let Some(bytes) = bytes else { return Ok(Config::default()) };
    let text = String::from_utf8(bytes)
        .map_err(|_| bad(&place.display().to_string(), 1, "the file is not UTF-8 text".to_owned()))?;
    parse(&text, &place.display().to_string())
}

/// Writes the commented file, unless there is one. Says whether it was written.
///
/// # Errors
/// The system's.
pub(crate) fn write_template(home: &Home) -> Result<bool> {
    let fail = |why| system(format!("write `{}`", home.config.join(FILE).display()), why);
    let dir = PrivateDir::open_or_create(&home.config).map_err(fail)?;
    if dir.read(FILE, MAX_BYTES).map_err(fail)?.is_some() {
        return Ok(false);
    }
    dir.replace(FILE, template().as_bytes()).map_err(fail)?;
    Ok(true)
}

fn parse(text: &str, file: &str) -> Result<Config> {
    let document = Document::parse(text).map_err(|why| {
        let line = why.span().map_or(1, |span| line_of(text, span.start));
        bad(file, line, why.message().to_owned())
    })?;
    let reader = Reader { text, file };
    let mut config = Config::default();
    for (section, item) in document.iter() {
        let line = reader.line(document.key(section).and_then(toml_edit::Key::span));
        let Some(table) = item.as_table_like() else {
            return Err(bad(file, line, format!("`{section}` is no section of this file: {SECTIONS}")));
        };
        config.written.extend(table.iter().map(|(key, item)| (format!("{section}.{key}"), as_written(item))));
        match section {
            "unlock" => reader.section(table, "unlock", &["idle_secs"], |key, item, line| {
                let most = u64::from(u32::MAX);
                config.unlock_idle_secs = u32::try_from(reader.number(key, item, line, 0, most)?).unwrap_or(u32::MAX);
                Ok(())
            })?,
            "model" => reader.section(table, "model", &["default_provider", "offline"], |key, item, line| {
                if key == "offline" {
                    config.offline =
                        item.as_bool().ok_or_else(|| bad(file, line, "`offline` is true or false".into()))?;
                } else {
                    let name = item.as_str().ok_or_else(|| bad(file, line, format!("`{key}` is a name in quotes")))?;
                    config.default_provider = Some(name.to_owned()).filter(|name| !name.is_empty());
                }
                Ok(())
            })?,
            "prices" => {
                for (model, item) in table.iter() {
                    let line = reader.line(table.key(model).and_then(toml_edit::Key::span));
                    let words =
                        || bad(file, line, format!("`{model}` is two prices and a currency, as \"3.00 15.00 USD\""));
                    config.prices.insert(model.to_owned(), item.as_str().and_then(price).ok_or_else(words)?);
                }
            }
            "log" => reader.section(table, "log", &["audit", "memory", "keyring"], |key, item, line| {
                let switch = || item.as_bool().ok_or_else(|| bad(file, line, format!("`{key}` is true or false")));
                match key {
                    "audit" => config.audit = switch()?,
                    "keyring" => config.log_keyring = switch()?,
                    _ => {
                        let path = item.as_str().filter(|path| path.is_empty() || path.starts_with('/'));
                        let words = || bad(file, line, format!("`{key}` is an absolute path in quotes"));
                        let path = path.ok_or_else(words)?;
                        config.log_memory = Some(path.into()).filter(|_| !path.is_empty());
                    }
                }
                Ok(())
            })?,
            "witness" => {
                reader.section(table, "witness", &["every_secs", "wait_secs", "late_secs"], |key, item, line| {
                    let (least, most) = if key == "wait_secs" { (1, 60) } else { (0, u64::from(u32::MAX)) };
                    let value = u32::try_from(reader.number(key, item, line, least, most)?).unwrap_or(u32::MAX);
                    match key {
                        "every_secs" => config.witness_every_secs = value,
                        "wait_secs" => config.witness_wait_secs = value,
                        _ => config.witness_late_secs = value,
                    }
                    Ok(())
                })?
            }
            "store" => reader.section(table, "store", &["keep", "budget"], |key, item, line| {
                let text = item.as_str().ok_or_else(|| bad(file, line, format!("`{key}` is words in quotes")))?;
                if key == "keep" {
                    config.store.keep_secs =
                        seconds(text).ok_or_else(|| bad(file, line, "`keep` is a span such as \"30d\"".into()))?;
                } else if text.is_empty() {
                    config.store.budget = None;
                } else {
                    let budget = size(text).filter(|bytes| *bytes >= BUDGET_LEAST);
                    let words = "`budget` is a size such as \"20 GiB\", 64 MiB at the least";
                    config.store.budget = Some(budget.ok_or_else(|| bad(file, line, words.into()))?);
                }
                Ok(())
            })?,
            "breaker" => config.budgets.breaker = reader.ceilings(table, section, config.budgets.breaker)?,
            "budget" => config.budgets.run = reader.ceilings(table, section, config.budgets.run)?,
            "budget-day" => config.budgets.day = reader.ceilings(table, section, config.budgets.day)?,
            "limits" => {
                let names: Vec<&str> = LIMITS.iter().map(|number| number.name).collect();
                reader.section(table, "limits", &names, |key, item, line| {
                    if let Some(number) = LIMITS.iter().find(|number| number.name == key) {
                        let value = reader.number(key, item, line, number.least, number.most)?;
                        (number.set)(&mut config.limits, value);
                    }
                    Ok(())
                })?;
            }
            other => {
                return Err(bad(file, line, format!("`[{other}]` is no section of this file: {SECTIONS}")));
            }
        }
    }
    Ok(config)
}

/// What a million tokens cost, sent and written, and in which currency.
fn price(text: &str) -> Option<Price> {
    let mut words = text.split_whitespace();
    let (input, output, currency) = (micros(words.next()?)?, micros(words.next()?)?, words.next()?);
    let whole = words.next().is_none() && currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
    whole.then(|| Price { input, output, currency: currency.to_owned() })
}

/// A decimal number with at most six places, in millionths.
fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(format!("{part:0<6}").parse().ok()?)
}

/// A value in short, for the log. No setting is a secret.
fn as_written(item: &Item) -> String {
    let text = match (item.as_str(), item.as_integer(), item.as_bool()) {
        (Some(text), ..) => text.to_owned(),
        (_, Some(number), _) => number.to_string(),
        (.., Some(yes)) => yes.to_string(),
        _ => "something else".to_owned(),
    };
    text.chars().take(WRITTEN_MOST).collect()
}

/// Characters of a setting's value in the log.
const WRITTEN_MOST: usize = 200;

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
}

impl Reader<'_> {
    fn section(
        &self,
        table: &dyn TableLike,
        section: &str,
        known: &[&str],
        mut take: impl FnMut(&str, &Item, usize) -> Result<()>,
    ) -> Result<()> {
        for (key, item) in table.iter() {
            let line = self.line(table.key(key).and_then(toml_edit::Key::span).or_else(|| item.span()));
            if !known.contains(&key) {
                let words = format!("`[{section}]` has no setting `{key}`; it has: {}", known.join(", "));
                return Err(bad(self.file, line, words));
            }
            take(key, item, line)?;
        }
        Ok(())
    }

    /// Amounts by the names of what they measure, in the place of those that hold already.
    fn ceilings(&self, table: &dyn TableLike, section: &str, held: Ceilings) -> Result<Ceilings> {
        let names = Measure::ALL.map(Measure::name);
        let mut ceilings = held;
        self.section(table, section, &names, |key, item, line| {
            let most = match item.as_str() {
                Some("none") => None,
                Some(text) if key == "bytes" && size(text).is_some() => size(text),
                _ => Some(self.number(key, item, line, 0, u64::MAX)?),
            };
            if let Some(measure) = Measure::ALL.into_iter().find(|measure| measure.name() == key) {
                ceilings = ceilings.with(measure, most);
            }
            Ok(())
        })?;
        Ok(ceilings)
    }

    fn number(&self, key: &str, item: &Item, line: usize, least: u64, most: u64) -> Result<u64> {
        item.as_integer()
            .and_then(|value| u64::try_from(value).ok())
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(|| bad(self.file, line, format!("`{key}` is a whole number from {least} to {most}")))
    }

    fn line(&self, span: Option<std::ops::Range<usize>>) -> usize {
        span.map_or(1, |span| line_of(self.text, span.start))
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

fn bad(file: &str, line: usize, words: String) -> Error {
    error(Class::Usage, format!("{file}, line {line}: {words}"), "put the line right, or `#` in front of it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_file_is_the_default_and_so_is_every_line_of_it() {
        let same = |text: &str| {
            let mut config = parse(text, "config.toml").unwrap();
            config.written.clear();
            assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
        };
        let text = template();
        same(&text);
        // Take the `#` from every line that is a setting.
        let live: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert!(live.contains("\nworker_memory = ") && live.contains("\nidle_secs = 900"), "{live}");
        same(&live);
    }

    #[test]
    fn settings_are_read() {
        let text =
            "[unlock]\nidle_secs = 0\n[model]\noffline = true\ndefault_provider = \"local\"\n[limits]\nrun_ops = 7\n";
        let config = parse(text, "config.toml").unwrap();
        assert_eq!((config.unlock_idle_secs, config.offline, config.limits.run_ops), (0, true, 7));
        assert_eq!(config.default_provider.as_deref(), Some("local"));
        let config = parse("[store]\nkeep = \"90d\"\nbudget = \"20 GiB\"\n", "config.toml").unwrap();
        assert_eq!((config.store.keep_secs, config.store.budget), (90 * 86_400, Some(20 << 30)));
        let text = "[breaker]\nfiles = 7\nrate = \"none\"\nbytes = \"2 MiB\"\n[budget-day]\nspend = 5\n";
        let budgets = parse(text, "config.toml").unwrap().budgets;
        let breaker = |measure| budgets.breaker.of(measure);
        assert_eq!([breaker(Measure::Files), breaker(Measure::Rate)], [Some(7), None]);
        assert_eq!([breaker(Measure::Bytes), breaker(Measure::Deletions)], [Some(2 << 20), Some(100)]);
        assert_eq!([budgets.day.of(Measure::Spend), budgets.run.of(Measure::Spend)], [Some(5), None]);
    }

    #[test]
    fn prices_are_read_and_worked_out() {
        let config = parse("[prices]\n\"some/model-1.5\" = \"3.00 15 USD\"\n", "config.toml").unwrap();
        let price = &config.prices["some/model-1.5"];
        assert_eq!((price.input, price.output, price.currency.as_str()), (3_000_000, 15_000_000, "USD"));
        assert_eq!(price.of(1_000, 200), 6_000, "three dollars for a million are three millionths for one");
        assert_eq!(price.of(u64::MAX, u64::MAX), u64::MAX);
        for wrong in ["3.00", "3 15", "3 15 usd", "-3 15 USD", "3. 15 USD", "3 15 USD more", "3.0000001 15 USD"] {
            let words = parse(&format!("[prices]\nm = \"{wrong}\"\n"), "config.toml").unwrap_err().message;
            assert!(words.starts_with("config.toml, line 2: `m` is two prices"), "{wrong}: {words}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let words = |text: &str| parse(text, "config.toml").unwrap_err().message;
        assert!(words("\n\n[limit]\n").starts_with("config.toml, line 3: `[limit]` is no section"));
        assert!(words("[limits]\nrun_op = 1\n").starts_with("config.toml, line 2: `[limits]` has no setting `run_op`"));
        assert!(words("[limits]\n\nrun_ops = 0\n").contains("line 3: `run_ops` is a whole number from 1 to"));
        assert!(words("[limits]\nrun_ops = \"many\"\n").contains("line 2"));
        assert!(words("[limits]\nsymlinks = -1\n").contains("from 0 to 40"));
        assert!(words("[model]\noffline = 1\n").contains("true or false"));
        assert!(words("[store]\nbudget = \"1 MiB\"\n").contains("64 MiB at the least"));
        assert!(words("[breaker]\nfiles = \"some\"\n").contains("line 2: `files` is a whole number"));
        assert!(words("[budget]\nmoney = 1\n").contains("it has: files, bytes"));
        assert!(words("[unlock]\nidle_secs = \n").contains("line 2"));
        assert!(words("unlock = 3\n").contains("line 1"));
    }
}
