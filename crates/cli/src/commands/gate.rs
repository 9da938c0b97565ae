//! `gate`: the decision service for other agents' loops.

use std::io::{BufRead, Read, Write};
use std::path::Path;

use raincoat_flow::protocol::Service;
use raincoat_flow::{FlowLimits, Manifest};
use raincoat_runtime::Class;

use crate::app::App;
use crate::args::Gate;
use crate::error::{Result, error, system};
use crate::exit::Exit;

/// The largest manifest that is read, in bytes.
const MANIFEST_MOST: u64 = 4 << 20;

/// `raincoat gate`. It opens no store and writes nothing but its answers, so it starts at once.
pub(crate) fn gate(app: &mut App, args: &Gate) -> Result<Exit> {
    let mut manifest = Manifest::default();
    for file in &args.manifests {
        manifest.extend(read_manifest(file)?);
    }
    let mut service = Service::new(manifest, FlowLimits::default());
    app.out.flush();
    serve(&mut service, &mut std::io::stdin().lock(), &mut std::io::stdout().lock())
        .map_err(|why| system("speak with the agent's loop", why))?;
    Ok(Exit::Ok)
}

#[expect(clippy::disallowed_methods, reason = "the person named this file for us to read")]
fn read_manifest(file: &Path) -> Result<Manifest> {
    let read = || {
        let mut text = String::new();
        std::fs::File::open(file)?.take(MANIFEST_MOST).read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = read().map_err(|why| system(format!("read `{}`", file.display()), why))?;
    Manifest::parse(&text)
        .map_err(|why| error(Class::Usage, format!("`{}`: {why}", file.display()), "docs/labels.md has the format"))
}

/// Until the other side closes: a line in, at most a line out. A line over the limit is skipped to its end, unread, and
/// answered.
fn serve(service: &mut Service, input: &mut impl BufRead, output: &mut impl Write) -> std::io::Result<()> {
    let most = service.line_bytes();
    loop {
        let mut line = Vec::new();
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let whole = line.last() == Some(&b'\n');
        let answer = if line.len() > most {
            if !whole {
                input.skip_until(b'\n')?;
            }
            Some(service.too_long())
        } else {
            service.line(&line)
        };
        if let Some(answer) = answer {
            writeln!(output, "{answer}")?;
            output.flush()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(input: &[u8], most: usize) -> Vec<String> {
        let limits = FlowLimits { line_bytes: most, ..FlowLimits::default() };
        let mut out = Vec::new();
        serve(&mut Service::new(Manifest::default(), limits), &mut std::io::Cursor::new(input), &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_denied() {
        let begin = br#"{"type":"begin","prompt":"hi","tools":[]}"#;
        let mut input = vec![b'x'; 5000];
        input.push(b'\n');
        input.extend_from_slice(begin);
        let said = answers(&input, 100);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("\"deny\"") && said[0].contains("longer than 100 bytes"));
        assert!(said[1].contains("\"ok\":true"));
    }

    #[test]
    fn a_line_of_just_the_limit_is_read() {
        let begin = br#"{"type":"begin","prompt":"hi","tools":[]}"#;
        assert!(answers(&[begin.as_slice(), b"\n"].concat(), begin.len() + 1)[0].contains("\"ok\":true"));
        assert!(answers(&[begin.as_slice(), b"\n"].concat(), begin.len())[0].contains("\"deny\""));
    }
}
