//! Passphrases, through the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::Home;

fn with_passphrase(text: &str) -> Home {
    let mut home = Home::new();
    home.passphrase_file = Some(home.path("passphrase"));
    set(&home, text);
    home.ok(&["init", "--no-input"]);
    home.ok(&["lock"]);
    home
}

fn set(home: &Home, text: &str) {
    let file = home.path("passphrase");
    fs::write(&file, format!("{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_wrong_passphrase_is_a_clear_error_and_costs_time() {
    let home = with_passphrase("right horse");
    set(&home, "wrong horse");
    let said = home.run(&["grants"]);
    assert_eq!(said.code, 4, "{said:?}");
    let seconds = said.err.split("try again in ").nth(1).and_then(|rest| rest.split(' ').next());
    let seconds: u64 = seconds.unwrap_or_else(|| panic!("{said:?}")).parse().unwrap();
    assert!((1..30).contains(&seconds), "{said:?}");
    set(&home, "right horse");
    let early = home.run(&["grants"]);
    assert_eq!(early.code, 4, "not even looked at: {early:?}");
    std::thread::sleep(Duration::from_millis(seconds * 1000 + 300));
    home.ok(&["grants"]);
}

#[test]
fn no_key_lies_in_a_file_where_a_passphrase_was_given() {
    let home = with_passphrase("right horse");
    let init = home.json(&["init", "--no-input"]);
    assert_eq!((&init[0]["created"], &init[0]["key_in_file"]), (&false.into(), &false.into()));
    let doctor = home.json(&["doctor"]);
    let check = doctor[0]["checks"].as_array().unwrap().iter().find(|c| c["name"] == "passphrase").unwrap().clone();
    assert_eq!(check["state"], "enforced");
}

#[test]
fn a_store_made_on_the_way_takes_the_passphrase_that_is_there() {
    let mut home = Home::new();
    home.passphrase_file = Some(home.path("passphrase"));
    set(&home, "right horse");
    home.ok(&["grants"]);
    assert_eq!(home.json(&["init", "--no-input"])[0]["key_in_file"], false);
}

#[test]
fn where_nobody_can_be_asked_the_store_stays_locked() {
    let mut home = with_passphrase("right horse");
    home.passphrase_file = None;
    let said = home.run(&["grants", "--no-input"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains("RAINCOAT_PASSPHRASE_FILE"), "{said:?}");
    home.passphrase_file = Some(home.path("nosuch"));
    assert_eq!(home.run(&["grants"]).code, 7);
}

#[test]
fn a_key_file_is_told_of_by_init_and_doctor_only() {
    let home = Home::new();
    assert!(home.ok(&["init", "--no-input"]).contains("raincoat passphrase"));
    assert!(home.ok(&["doctor"]).contains("raincoat passphrase"));
    let said = home.run(&["grants"]);
    assert!(!(said.out + &said.err).contains("raincoat passphrase"));
}
