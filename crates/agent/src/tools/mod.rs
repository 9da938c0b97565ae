//! The tools that a model may call: their descriptions, and their arguments read strictly.

pub(crate) mod changes;
pub(crate) mod memory;
pub(crate) mod paths;
pub(crate) mod reads;
pub(crate) mod round;
pub(crate) mod words;

use raincoat_model::{ToolSpec, depth_within};
use raincoat_types::wire::JobRoot;
use raincoat_types::{ArchiveFormat, FileRead, Place};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::protocol;

/// Bytes of a search pattern or glob.
const PATTERN_BYTES: usize = 2_048;
/// Sources of one archive.
const ARCHIVE_SOURCES: usize = 1_000;

/// A tool call, understood.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Call {
    /// To look.
    Look(FileRead),
    /// To read a file as text, from a byte offset, this many bytes at most.
    Read {
        /// Which file.
        at: Place,
        /// From where in its text, in bytes.
        offset: u64,
        /// At most this many bytes.
        length: Option<u64>,
    },
    /// To change.
    Change(Wish),
    /// To end.
    Finish {
        /// For the person.
        summary: String,
        /// The task is done.
        success: bool,
    },
}

/// A change, as the model wishes it: what it must find is not yet known.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Wish {
    /// A whole file.
    Write {
        /// Which.
        at: Place,
        /// Its content.
        content: String,
    },
    /// A replacement within a file.
    Edit {
        /// Which.
        at: Place,
        /// Text to find.
        old: String,
        /// Text to put there.
        new: String,
        /// Everywhere.
        all: bool,
    },
    /// A folder with its parents.
    Mkdir {
        /// Which.
        at: Place,
    },
    /// Another name.
    Move {
        /// From.
        from: Place,
        /// To.
        to: Place,
        /// Over an existing file.
        replace: bool,
    },
    /// A copy.
    Copy {
        /// From.
        from: Place,
        /// To.
        to: Place,
        /// Over an existing file.
        replace: bool,
    },
    /// Away with it.
    Delete {
        /// What.
        at: Place,
        /// With all in it.
        recursive: bool,
    },
    /// An archive.
    Archive {
        /// Of these.
        from: Vec<Place>,
        /// To here.
        to: Place,
        /// Format.
        format: ArchiveFormat,
    },
    /// An archive's content.
    Extract {
        /// The archive.
        from: Place,
        /// The folder to make.
        to: Place,
    },
}

/// What the model is told of its tools.
pub(crate) fn specs() -> Vec<ToolSpec> {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let number = |about: &str| json!({ "type": "integer", "minimum": 0, "description": about });
    let flag = |about: &str| json!({ "type": "boolean", "description": about });
    let path = || text("path within the folder");
    let spec = |name, about, required: &[&str], fields: &[(&str, Value)]| {
        let fields: serde_json::Map<String, Value> =
            fields.iter().map(|(name, field)| ((*name).to_owned(), field.clone())).collect();
        let schema = json!({
            "type": "object", "properties": fields, "required": required, "additionalProperties": false,
        });
        ToolSpec { name, about, schema }
    };
    vec![
        spec(
            "list_dir",
            "List a folder: names, sizes, dates.",
            &[],
            &[
                ("path", text("folder; default: the whole folder you work in")),
                ("depth", number("levels down, default 1")),
                ("skip", number("entries to skip, for the next page")),
            ],
        ),
        spec("stat", "One file's kind, size, mode and dates.", &["path"], &[("path", path())]),
        spec(
            "read_file",
            "Read a file as text (PDF, Word, Excel and OpenDocument as their text).",
            &["path"],
            &[
                ("path", path()),
                ("offset", number("start at this byte of the text, default 0")),
                ("length", number("at most this many bytes")),
            ],
        ),
        spec(
            "search",
            "Find lines that match a regular expression, in a file or below a folder.",
            &["pattern"],
            &[
                ("pattern", text("regular expression (Rust regex syntax)")),
                ("path", text("where; default: everywhere")),
                ("glob", text("only files whose path matches, such as `**/*.md`")),
                ("ignore_case", flag("upper and lower case alike")),
            ],
        ),
        spec("hash", "A file's BLAKE3 digest, to tell whether two files are the same.", &["path"], &[("path", path())]),
        spec(
            "write_file",
            "Write a whole text file. An existing file must have been read in full before.",
            &["path", "content"],
            &[("path", path()), ("content", text("the whole new content"))],
        ),
        spec(
            "edit_file",
            "Replace exact text within a file. `old` must occur exactly once, unless `all` is set.",
            &["path", "old", "new"],
            &[
                ("path", path()),
                ("old", text("the exact text to find, with its white space")),
                ("new", text("the text to put there")),
                ("all", flag("replace every occurrence")),
            ],
        ),
        spec("make_dir", "Make a folder, parents too.", &["path"], &[("path", path())]),
        spec(
            "move",
            "Move or rename a file or folder. `to` is the full new path.",
            &["from", "to"],
            &[("from", path()), ("to", path()), ("replace", flag("put it in the place of an existing file"))],
        ),
        spec(
            "copy",
            "Copy a file or folder. `to` is the full new path.",
            &["from", "to"],
            &[("from", path()), ("to", path()), ("replace", flag("put it in the place of an existing file"))],
        ),
        spec(
            "delete",
            "Delete a file or an empty folder, or with `recursive` a whole folder.",
            &["path"],
            &[("path", path()), ("recursive", flag("with everything in it"))],
        ),
        spec(
            "archive",
            "Make a zip, tar or tar.gz archive, which must not exist yet.",
            &["from", "to"],
            &[
                ("from", json!({ "type": "array", "items": { "type": "string" }, "description": "files and folders" })),
                ("to", text("the archive; its name's end gives the format: .zip, .tar, .tar.gz, .tgz")),
            ],
        ),
        spec(
            "extract_archive",
            "Unpack an archive into a folder that does not exist yet.",
            &["from", "to"],
            &[("from", text("the archive")), ("to", text("the folder to make"))],
        ),
        spec(
            "finish",
            "End the task. Call it once, last.",
            &["summary"],
            &[
                ("summary", text("what was done, for the person, in a few sentences")),
                ("success", flag("false where the task could not be done; default true")),
            ],
        ),
    ]
}

/// Tools that only look.
pub(crate) const LOOKS: [&str; 5] = ["list_dir", "stat", "read_file", "search", "hash"];

/// Reads a call.
///
/// # Errors
/// What is wrong with it, in words for the model.
pub(crate) fn parse(name: &str, arguments: &str, roots: &[JobRoot]) -> Result<Call, String> {
    let at = |text: &str| paths::place(text, roots);
    Ok(match name {
        "list_dir" => {
            let a: ListArgs = args(arguments)?;
            Call::Look(FileRead::List { at: at(&a.path)?, depth: a.depth.unwrap_or(1).max(1), skip: a.skip })
        }
        "stat" => Call::Look(FileRead::Stat { at: at(&args::<PathArgs>(arguments)?.path)? }),
        "hash" => Call::Look(FileRead::Hash { at: at(&args::<PathArgs>(arguments)?.path)? }),
        "read_file" => {
            let a: ReadArgs = args(arguments)?;
            Call::Read { at: at(&a.path)?, offset: a.offset, length: a.length.filter(|length| *length > 0) }
        }
        "search" => {
            let a: SearchArgs = args(arguments)?;
            if a.pattern.is_empty() || a.pattern.len().max(a.glob.as_ref().map_or(0, String::len)) > PATTERN_BYTES {
                return Err(format!("`pattern` and `glob` must have 1 to {PATTERN_BYTES} bytes"));
            }
            let glob = a.glob.filter(|glob| !glob.is_empty());
            Call::Look(FileRead::Search { at: at(&a.path)?, pattern: a.pattern, glob, ignore_case: a.ignore_case })
        }
        "write_file" => {
            let a: WriteArgs = args(arguments)?;
            Call::Change(Wish::Write { at: at(&a.path)?, content: a.content })
        }
        "edit_file" => {
            let a: EditArgs = args(arguments)?;
            if a.old.is_empty() || a.old == a.new {
                return Err("`old` must not be empty, and `new` must differ from it".to_owned());
            }
            Call::Change(Wish::Edit { at: at(&a.path)?, old: a.old, new: a.new, all: a.all })
        }
        "make_dir" => Call::Change(Wish::Mkdir { at: at(&args::<PathArgs>(arguments)?.path)? }),
        "move" | "copy" => {
            let a: MoveArgs = args(arguments)?;
            let (from, to) = (at(&a.from)?, into(at(&a.to)?, &a.to, &at(&a.from)?));
            Call::Change(match name {
                "move" => Wish::Move { from, to, replace: a.replace },
                _ => Wish::Copy { from, to, replace: a.replace },
            })
        }
        "delete" => {
            let a: DeleteArgs = args(arguments)?;
            Call::Change(Wish::Delete { at: at(&a.path)?, recursive: a.recursive })
        }
        "archive" => {
            let a: ArchiveArgs = args(arguments)?;
            if a.from.is_empty() || a.from.len() > ARCHIVE_SOURCES {
                return Err(format!("`from` must name 1 to {ARCHIVE_SOURCES} files or folders"));
            }
            let from = a.from.iter().map(|path| at(path)).collect::<Result<_, _>>()?;
            Call::Change(Wish::Archive { from, to: at(&a.to)?, format: format(&a.to)? })
        }
        "extract_archive" => {
            let a: ExtractArgs = args(arguments)?;
            Call::Change(Wish::Extract { from: at(&a.from)?, to: at(&a.to)? })
        }
        "finish" => {
            let a: FinishArgs = args(arguments)?;
            Call::Finish { summary: a.summary, success: a.success.unwrap_or(true) }
        }
        protocol::UNREADABLE => return Err(protocol::why_unreadable(arguments)),
        other => {
            let names: Vec<_> = specs().iter().map(|spec| spec.name).collect();
            let other = raincoat_model::visible(other);
            return Err(format!("there is no tool `{other}`; the tools are {}", names.join(", ")));
        }
    })
}

/// `to/` means: into that folder, under the old name.
fn into(to: Place, text: &str, from: &Place) -> Place {
    if !text.ends_with('/') {
        return to;
    }
    let name = from.path.0.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let mut path = to.path.0;
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    Place { root: to.root, path: raincoat_types::RawPath(path) }
}

fn format(name: &str) -> Result<ArchiveFormat, String> {
    let name = name.to_ascii_lowercase();
    match name {
        name if name.ends_with(".zip") => Ok(ArchiveFormat::Zip),
        name if name.ends_with(".tar.gz") || name.ends_with(".tgz") => Ok(ArchiveFormat::TarGz),
        name if name.ends_with(".tar") => Ok(ArchiveFormat::Tar),
        _ => Err("the archive's name must end in .zip, .tar, .tar.gz or .tgz".to_owned()),
    }
}

fn args<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    if !depth_within(text.as_bytes(), 16) {
        return Err("the arguments are nested too deep".to_owned());
    }
    if !text.trim_start().starts_with('{') {
        return Err("the arguments must be a JSON object, such as {\"path\": \"a.txt\"}".to_owned());
    }
    serde_json::from_str(text).map_err(|e| format!("the arguments are wrong: {e}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PathArgs {
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListArgs {
    #[serde(default)]
    path: String,
    depth: Option<u32>,
    #[serde(default)]
    skip: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadArgs {
    path: String,
    #[serde(default)]
    offset: u64,
    length: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchArgs {
    pattern: String,
    #[serde(default)]
    path: String,
    glob: Option<String>,
    #[serde(default)]
    ignore_case: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteArgs {
    path: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditArgs {
    path: String,
    old: String,
    new: String,
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveArgs {
    from: String,
    to: String,
    #[serde(default)]
    replace: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteArgs {
    path: String,
    #[serde(default)]
    recursive: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ArchiveArgs {
    from: Vec<String>,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtractArgs {
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FinishArgs {
    summary: String,
    success: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> Vec<JobRoot> {
        vec![JobRoot { label: "r".into(), path: b"/r".to_vec(), read_only: false }]
    }

    #[test]
    fn every_tool_that_is_described_is_understood() {
        for spec in specs() {
            let fields = spec.schema["properties"].as_object().unwrap();
            let value = |(name, field): (&String, &Value)| {
                let value = match (name.as_str(), field["type"].as_str().unwrap()) {
                    ("to", _) => json!("a.zip"),
                    (_, "string") => json!(name),
                    (_, "integer") => json!(1),
                    (_, "boolean") => json!(true),
                    _ => json!(["x"]),
                };
                (name.clone(), value)
            };
            let all: serde_json::Map<_, _> = fields.iter().map(value).collect();
            let call = parse(spec.name, &Value::Object(all.clone()).to_string(), &roots()).unwrap();
            let looks = matches!(call, Call::Look(_) | Call::Read { .. });
            assert_eq!(LOOKS.contains(&spec.name), looks, "{}", spec.name);
            let required = spec.schema["required"].as_array().unwrap();
            let few: serde_json::Map<_, _> =
                all.into_iter().filter(|(name, _)| required.contains(&json!(name))).collect();
            parse(spec.name, &Value::Object(few).to_string(), &roots()).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_with_a_call_is_said_precisely() {
        for (name, arguments, words) in [
            ("rm", "{}", "no tool `rm`"),
            ("stat", "{}", "missing field `path`"),
            ("stat", r#"{"path": 1}"#, "invalid type"),
            ("stat", r#"{"path": "a", "x": 1}"#, "unknown field `x`"),
            ("stat", r#"{"path": "a""#, "EOF"),
            ("stat", r#"["a"]"#, "JSON object"),
            ("stat", r#"{"path": "/etc/passwd"}"#, "outside"),
            ("archive", r#"{"from": ["a"], "to": "a.rar"}"#, ".zip"),
        ] {
            let said = parse(name, arguments, &roots()).unwrap_err();
            assert!(said.contains(words), "{name} {arguments}: {said}");
        }
    }

    #[test]
    fn a_move_into_a_folder_keeps_the_name() {
        let call = parse("move", r#"{"from": "a/b.txt", "to": "c/"}"#, &roots()).unwrap();
        let Call::Change(Wish::Move { to, .. }) = call else { panic!() };
        assert_eq!(to.path.0, b"c/b.txt");
    }
}
