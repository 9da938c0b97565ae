//! Errors of this room, in the runtime's own shape, and how they are told.

use raincoat_runtime::{Class, Error};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::out::Out;
use crate::view::visible;

/// What every command gives.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// An error of this room.
pub(crate) fn error(class: Class, message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error { class, message: message.into(), hint: hint.into() }
}

/// A command line that cannot be meant.
pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Error {
    error(Class::Usage, message, hint)
}

/// The system said no.
pub(crate) fn system(doing: impl std::fmt::Display, why: impl std::fmt::Display) -> Error {
    error(Class::Environment, format!("could not {doing}: {why}"), "")
}

/// Tells the person (or with `--json` the program) what went wrong, on standard error.
pub(crate) fn tell(out: &mut Out, failure: &Error) -> Exit {
    let exit = Exit::of(failure.class);
    if out.json {
        crate::out::stderr_line(&as_json(failure, exit).to_string());
        return exit;
    }
    let style = out.err_style;
    out.note(&format!("{} {}", style.red("raincoat:"), visible::text(&failure.message)));
    if !failure.hint.is_empty() {
        out.note(&format!("  {} {}", style.dim("try:"), visible::text(&failure.hint)));
    }
    exit
}

fn as_json(failure: &Error, exit: Exit) -> Value {
    json!({ "type": "error", "class": format!("{:?}", failure.class).to_lowercase(), "message": failure.message,
            "hint": failure.hint, "exit": exit.code() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_stable_shape() {
        let failure = usage("`x` is no recipe", "`raincoat do --help` lists them");
        assert_eq!(
            as_json(&failure, Exit::Usage).to_string(),
            "{\"type\":\"error\",\"class\":\"usage\",\"message\":\"`x` is no recipe\",\
             \"hint\":\"`raincoat do --help` lists them\",\"exit\":2}"
        );
    }
}
