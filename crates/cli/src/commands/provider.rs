//! `provider add`, `list`, `test`, `remove`.

use raincoat_runtime::{Class, NativeTools, ProviderConfig};
use serde_json::json;

use crate::app::App;
use crate::args::{Provider, ProviderAdd, Tools};
use crate::error::{Result, error, usage};
use crate::exit::Exit;
use crate::json;
use crate::view::table::Table;
use crate::view::visible;

/// `raincoat provider`.
pub(crate) fn provider(app: &mut App, what: Provider) -> Result<Exit> {
    match what {
        Provider::Add(args) => add(app, args),
        Provider::List => list(app),
        Provider::Test { name } => test(app, &name),
        Provider::Remove { name } => {
            app.keeper()?.remove_provider(&name)?;
            removed(app, "provider", &name);
            Ok(Exit::Ok)
        }
    }
}

fn add(app: &mut App, args: ProviderAdd) -> Result<Exit> {
    let config = ProviderConfig {
        name: args.name,
        base_url: args.url,
        model: args.model,
        window: args.window,
        native_tools: match args.native_tools {
            Tools::Auto => NativeTools::Auto,
            Tools::Yes => NativeTools::Yes,
            Tools::No => NativeTools::No,
        },
        key: args.key,
    };
    config.check().map_err(|why| usage(why.to_string(), "`raincoat provider add --help` has examples"))?;
    let keeper = app.keeper()?;
    keeper.add_provider(&config)?;
    let missing = match &config.key {
        Some(key) => !keeper.keys()?.iter().any(|line| line.name == *key),
        None => false,
    };
    if app.out.json {
        app.out.value(&json::provider(&config));
        return Ok(Exit::Ok);
    }
    app.out.line(&format!("added {}", config.name));
    if let Some(key) = config.key.filter(|_| missing) {
        app.out.line(&format!("its key is not there yet: raincoat key add {}", visible::single(&key)));
    }
    app.out.line(&format!("see whether it answers: raincoat provider test {}", config.name));
    Ok(Exit::Ok)
}

fn list(app: &mut App) -> Result<Exit> {
    let providers = app.keeper()?.providers()?;
    if app.out.json {
        providers.iter().for_each(|provider| app.out.value(&json::provider(provider)));
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["NAME", "MODEL", "KEY", "URL"]);
    let or_dash = |text: Option<String>| text.map_or_else(|| "-".to_owned(), |text| visible::single(&text));
    for provider in providers {
        table.row(vec![
            provider.name,
            or_dash(provider.model),
            or_dash(provider.key),
            visible::single(&provider.base_url),
        ]);
    }
    if table.is_empty() {
        app.out.aside("there is no provider yet. raincoat provider add NAME --url URL adds one; recipes need none");
    } else {
        table.lines().iter().for_each(|line| app.out.line(line));
    }
    Ok(Exit::Ok)
}

fn test(app: &mut App, name: &str) -> Result<Exit> {
    let test = app.keeper()?.test_provider(name)?;
    if app.out.json {
        app.out.value(&json::tested(name, &test));
    }
    if !(200..300).contains(&test.status) {
        let said = if test.message.is_empty() { String::new() } else { format!(": {}", test.message) };
        let hint = match test.status {
            401 | 403 => {
                "its key is missing or wrong: `raincoat key add NAME`, and `raincoat provider add` with `--key NAME`"
            }
            404 => "the URL may lack its version, such as `/v1`",
            _ => "see whether the URL is right and the server is well",
        };
        return Err(error(Class::Peer, format!("`{name}` answered with status {}{said}", test.status), hint));
    }
    if !app.out.json {
        let place = if test.local { "on this machine" } else { "over the network, with TLS" };
        app.out.line(&format!("{name} answers ({place}); it has {}", models(test.models.len())));
        test.models.iter().for_each(|model| app.out.line(&format!("  {}", visible::single(model))));
    }
    Ok(Exit::Ok)
}

fn models(n: usize) -> String {
    crate::view::size::of(n as u64, "model", "models")
}

/// Says that something is gone.
pub(super) fn removed(app: &mut App, what: &str, name: &str) {
    if app.out.json {
        app.out.value(&json!({ "type": "removed", "name": name }));
    } else {
        app.out.line(&format!("the {what} `{}` is removed", visible::single(name)));
    }
}
