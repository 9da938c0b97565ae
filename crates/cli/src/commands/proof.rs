//! `audit prove`, `audit key`: what others need to check an entry without the log.

use std::io::{Read, Write};
use std::path::Path;

use raincoat_runtime::{Class, EntryProof, Extra, ProofCheck, check_proof, leaf_of};
use raincoat_types::display_bytes;

use crate::app::App;
use crate::args::Prove;
use crate::error::{Result, error, system, usage};
use crate::exit::Exit;
use crate::view::{size, visible};
use crate::{json, time};

/// Bytes of a file that is read for a proof: the longest proof, and the longest entry.
const MOST: u64 = 1 << 20;

/// `raincoat audit key`.
pub(crate) fn key(app: &mut App) -> Result<Exit> {
    let key = app.keeper()?.log_key()?;
    if app.out.json {
        app.out.value(&serde_json::json!({ "type": "log_key", "key": key }));
    } else {
        app.out.line(&key);
    }
    Ok(Exit::Ok)
}

/// `raincoat audit prove`.
pub(crate) fn prove(app: &mut App, args: Prove) -> Result<Exit> {
    match (&args.check, args.entry) {
        (Some(file), _) => check(app, file, &args),
        (None, Some(entry)) => make(app, entry, &args),
        (None, None) => Err(usage("which entry?", "`raincoat audit tail` shows the newest, with their numbers")),
    }
}

fn make(app: &mut App, entry: u64, args: &Prove) -> Result<Exit> {
    let extra = match args.extra.as_str() {
        "entry" => Extra::Entry,
        "none" => Extra::Nothing,
        other => match other.strip_prefix('@') {
            Some(file) => Extra::Own(read(Path::new(file))?),
            None => return Err(usage(format!("`--extra {other}` is neither entry, none nor @FILE"), "")),
        },
    };
    let proof = app.keeper()?.prove_entry(entry, extra)?;
    if let Some(out) = &args.out {
        write_new(out, proof.file.as_bytes())?;
    }
    if app.out.json {
        app.out.value(&json::proof(&proof));
        return Ok(Exit::Ok);
    }
    if args.out.is_none() {
        app.out.raw(&proof.file);
    }
    about(app, &proof, args);
    Ok(Exit::Ok)
}

/// For the person who made it; the proof itself may be on standard output.
fn about(app: &mut App, proof: &EntryProof, args: &Prove) {
    let entries = size::of(proof.size, "entry", "entries");
    app.out.aside(&format!("entry {}: {}", proof.index, visible::single(&proof.line)));
    app.out.aside(&match proof.cosigned.as_slice() {
        [] => format!("in the log of {entries}, which no witness has cosigned yet"),
        names => format!("in the log of {entries}, cosigned by {}", names.join(", ")),
    });
    if let Some(out) = &args.out {
        let shown = display_bytes(out.as_os_str().as_encoded_bytes());
        app.out.aside(&format!("to check it: raincoat audit prove --check {shown} --log {}", proof.log_key));
    }
}

fn check(app: &mut App, file: &Path, args: &Prove) -> Result<Exit> {
    let leaf = match (&args.leaf, &args.entry_file) {
        (Some(hex), _) => Some(hash(hex).ok_or_else(|| usage("`--leaf` takes 64 hex digits", ""))?),
        (None, Some(entry)) => Some(leaf_of(&read(entry)?)),
        (None, None) => None,
    };
    let proof = check_proof(&read(file)?, leaf, args.log.as_deref().unwrap_or_default(), &args.witness)?;
    let need = args.need.unwrap_or(args.witness.len());
    if app.out.json {
        app.out.value(&json::proof_check(&proof, need));
    }
    if proof.cosigned.len() < need {
        let words = format!("{} of the {need} witnesses that are needed have cosigned it", proof.cosigned.len());
        return Err(error(
            Class::Damaged,
            words,
            "a newer proof may bear more: `raincoat audit witness sync`, then `prove`",
        ));
    }
    if !app.out.json {
        told(app, &proof);
    }
    Ok(Exit::Ok)
}

fn told(app: &mut App, proof: &ProofCheck) {
    let style = app.out.style;
    app.out.line(&format!(
        "{}: entry {} is in the log `{}` of {}",
        style.green("proved"),
        proof.index,
        visible::single(&proof.origin),
        size::of(proof.size, "entry", "entries"),
    ));
    for (name, at) in &proof.cosigned {
        app.out.line(&format!("cosigned by {} at {}", visible::single(name), time::local(*at)));
    }
    for name in &proof.not_checked {
        app.out.line(&format!("not checked here: the cosignature of {} (ML-DSA-44)", visible::single(name)));
    }
}

fn hash(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    let mut out = [0; 32];
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (to, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *to = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[expect(clippy::disallowed_methods, reason = "the person named this file for us to read")]
fn read(path: &Path) -> Result<Vec<u8>> {
    let fail = |why| system(format!("read `{}`", display_bytes(path.as_os_str().as_encoded_bytes())), why);
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(fail)?.take(MOST).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}

#[expect(clippy::disallowed_methods, reason = "the person named this file for us to write")]
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |why| system(format!("write `{}`", display_bytes(path.as_os_str().as_encoded_bytes())), why);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)
}
