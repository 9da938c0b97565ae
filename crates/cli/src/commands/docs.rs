//! `completions`, `man`: from the same table as the parsing.

use crate::app::App;
use crate::args;
use crate::error::{Result, system, usage};
use crate::exit::Exit;
use crate::view::visible;

/// `raincoat completions`.
pub(crate) fn completions(app: &mut App, shell: clap_complete::Shell) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "raincoat", &mut text);
    app.out.bytes(&text);
    Exit::Ok
}

/// `raincoat man`.
pub(crate) fn man(app: &mut App, path: &[String]) -> Result<Exit> {
    let mut command = args::command();
    command.build();
    let mut name = "raincoat".to_owned();
    for word in path {
        let sub = command.find_subcommand(word).cloned();
        let hint = "`raincoat --help` lists the commands";
        command = sub.ok_or_else(|| usage(format!("there is no command `{}`", visible::single(word)), hint))?;
        name = format!("{name}-{word}");
    }
    let page = clap_mangen::Man::new(command.name(name.clone())).title(name.to_uppercase()).manual("Raincoat");
    let mut text = Vec::new();
    page.render(&mut text).map_err(|why| system("write the manual page", why))?;
    app.out.bytes(&text);
    Ok(Exit::Ok)
}
