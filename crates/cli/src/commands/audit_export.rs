//! `audit export`, and what it put aside.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use raincoat_runtime::{Class, CollectorAsk, ExportAsk, ExportReport, Format};
use raincoat_types::display_bytes;

use super::audit_look::Which;
use crate::app::App;
use crate::error::{Result, error, system, usage};
use crate::exit::Exit;
use crate::view::{size, visible};
use crate::{json, signals, time};

pub(crate) const HELP: &str = "To a collector each entry goes at least once: the same command goes on where the last \
one ended, and with --follow it goes on for ever. What the collector refuses for good is put aside (`dead-letter`).\n\n\
jsonl and ocsf go to https:// or, a line each, to tls://; cef and syslog to tls:// (RFC 5425); otlp to https://. Plain \
tcp:// and http:// go to this machine only.\n\nExamples:\n  raincoat audit export --format jsonl --out log.jsonl\n  \
raincoat audit export --format ocsf --since 7d --kind op\n  \
raincoat audit export --format syslog --to tls://logs.example.com --ca ca.pem --follow\n  \
raincoat audit export --format otlp --to http://127.0.0.1:4318 --follow";

/// The largest file of certificate authorities that is read, in bytes.
const AUTHORITIES_MOST: u64 = 4 << 20;

/// Where the log goes, and what of it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Export {
    #[command(subcommand)]
    what: Option<Aside>,
    /// In which shape
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    format: Shape,
    #[command(flatten)]
    which: Which,
    /// Begin with this entry, whatever went out before
    #[arg(long, value_name = "ENTRY")]
    from: Option<u64>,
    /// Into a new file; to standard output where neither --out nor --to is given
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    out: Option<PathBuf>,
    #[command(flatten)]
    collector: Collector,
    /// Go on when the log's end is reached, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

/// A collector, and how it is believed.
#[derive(Args, Clone, Debug)]
struct Collector {
    /// To a collector: tls://HOST[:PORT], tcp://HOST:PORT, https://HOST[:PORT][/PATH] or http://...
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Certificate authorities to believe instead of the system's: a file in PEM
    #[arg(long, value_name = "FILE", requires = "to")]
    ca: Option<PathBuf>,
    /// Send in the clear (tcp://) to another machine too: anyone on the way can read it and change it
    #[arg(long, requires = "to")]
    insecure: bool,
    /// Bytes of one message, at most; what is longer is put aside
    #[arg(long, value_name = "BYTES", default_value_t = 65_536, requires = "to")]
    max_message: usize,
}

/// What was put aside because a collector would not take it.
#[derive(Subcommand, Clone, Debug)]
enum Aside {
    /// Entries that a collector refused for good
    #[command(subcommand)]
    DeadLetter(DeadLetters),
}

/// Of entries put aside.
#[derive(Subcommand, Clone, Debug)]
enum DeadLetters {
    /// List them, with why
    List,
    /// Send those of a collector once more
    Retry {
        /// In which shape
        #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
        format: Shape,
        #[command(flatten)]
        collector: Collector,
    },
    /// Forget them; the entries stay in the log
    Drop {
        /// Of this entry only
        entry: Option<u64>,
    },
}

/// See [`Format`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Shape {
    /// JSON Lines (docs/formats/export.schema.json)
    Jsonl,
    /// Open Cybersecurity Schema Framework
    Ocsf,
    /// ArcSight's Common Event Format
    Cef,
    /// Syslog messages (RFC 5424)
    Syslog,
    /// OpenTelemetry logs in JSON
    Otlp,
}

impl From<Shape> for Format {
    fn from(shape: Shape) -> Format {
        match shape {
            Shape::Jsonl => Format::Jsonl,
            Shape::Ocsf => Format::Ocsf,
            Shape::Cef => Format::Cef,
            Shape::Syslog => Format::Syslog,
            Shape::Otlp => Format::Otlp,
        }
    }
}

/// `raincoat audit export`.
pub(crate) fn export(app: &mut App, args: &Export) -> Result<Exit> {
    match &args.what {
        Some(Aside::DeadLetter(what)) => return dead_letter(app, what),
        None => {}
    }
    let keeper = app.keeper()?;
    let filter = args.which.filter(app, &keeper)?;
    let ask = ExportAsk { format: args.format.into(), filter, from: args.from, follow: args.follow };
    let stop = signals::listening()?;
    let Some(collector) = args.collector.ask()? else {
        return here(app, &keeper, &ask, args.out.as_deref(), &stop);
    };
    let report = keeper.export_to(&ask, &collector, &stop, &mut |line| app.out.aside(&visible::single(line)))?;
    told(app, &report, &collector.address);
    Ok(Exit::Ok)
}

fn here(
    app: &mut App,
    keeper: &raincoat_runtime::Keeper,
    ask: &ExportAsk,
    file: Option<&Path>,
    stop: &std::sync::Arc<std::sync::atomic::AtomicBool>,
) -> Result<Exit> {
    let Some(path) = file else {
        keeper.export_here(ask, "standard output", stop, &mut |bytes| {
            app.out.bytes(bytes);
            if ask.format == Format::Otlp {
                app.out.raw("\n");
            }
            app.out.flush();
            Ok(!app.out.gone())
        })?;
        return Ok(Exit::Ok);
    };
    let shown = display_bytes(path.as_os_str().as_encoded_bytes());
    let mut file = new_file(path, &shown)?;
    let report = keeper.export_here(ask, &shown, stop, &mut |bytes| {
        let end: &[u8] = if ask.format == Format::Otlp { b"\n" } else { b"" };
        let written = file.write_all(bytes).and_then(|()| file.write_all(end));
        written.map(|()| true).map_err(|why| system(format!("write to `{shown}`"), why))
    })?;
    file.sync_all().map_err(|why| system(format!("write to `{shown}`"), why))?;
    told(app, &report, &shown);
    Ok(Exit::Ok)
}

#[expect(clippy::disallowed_methods, reason = "the person named this file for us to write")]
fn new_file(path: &Path, shown: &str) -> Result<std::fs::File> {
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|why| match why.kind() {
        std::io::ErrorKind::AlreadyExists => {
            usage(format!("`{shown}` is there already"), "name a new file; nothing is overwritten")
        }
        _ => system(format!("make `{shown}`"), why),
    })
}

fn told(app: &mut App, report: &ExportReport, to: &str) {
    if app.out.json {
        app.out.value(&json::exported(report, to));
        return;
    }
    let aside = match report.put_aside {
        0 => String::new(),
        more => format!(", {} put aside (`raincoat audit export dead-letter list`)", size::of(more, "entry", "entries")),
    };
    let taken = size::of(report.taken, "entry", "entries");
    app.out.aside(&format!("{taken} went to {}{aside}", visible::single(to)));
}

fn dead_letter(app: &mut App, what: &DeadLetters) -> Result<Exit> {
    let keeper = app.keeper()?;
    match what {
        DeadLetters::List => {
            let letters = keeper.dead_letters()?;
            for letter in &letters {
                if app.out.json {
                    app.out.value(&json::dead_letter(letter));
                } else {
                    let (at, to, why) = (time::local(letter.at), visible::single(&letter.to), visible::single(&letter.why));
                    app.out.line(&format!("{:>8}  {at}  {} to {to}: {why}", letter.entry, letter.format));
                }
            }
            if letters.is_empty() {
                app.out.aside("nothing was put aside");
            }
        }
        DeadLetters::Retry { format, collector } => {
            let asked = collector.ask()?.ok_or_else(|| usage("there is no `--to`", "name the collector as the export did"))?;
            let report = keeper.retry_dead_letters((*format).into(), &asked, &signals::listening()?)?;
            told(app, &report, &asked.address);
            if report.put_aside > 0 {
                return Err(error(Class::Failed, "not all of what was put aside was taken", "`dead-letter list` says why"));
            }
        }
        DeadLetters::Drop { entry } => {
            let dropped = keeper.drop_dead_letters(*entry)?;
            if app.out.json {
                app.out.value(&json::dropped(dropped));
            } else {
                app.out.line(&format!("forgot {}", size::of(dropped, "entry", "entries")));
            }
        }
    }
    Ok(Exit::Ok)
}

impl Collector {
    fn ask(&self) -> Result<Option<CollectorAsk>> {
        let Some(address) = self.to.clone() else { return Ok(None) };
        let authorities = self.ca.as_deref().map(authorities_in).transpose()?;
        let (insecure, message_most) = (self.insecure, self.max_message);
        Ok(Some(CollectorAsk { address, authorities, insecure, message_most }))
    }
}

#[expect(clippy::disallowed_methods, reason = "the person named this file for us to read")]
fn authorities_in(path: &Path) -> Result<Vec<u8>> {
    let shown = display_bytes(path.as_os_str().as_encoded_bytes());
    let fail = |why| system(format!("read the certificate authorities in `{shown}`"), why);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(fail)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, AUTHORITIES_MOST), &mut bytes).map_err(fail)?;
    Ok(bytes)
}
