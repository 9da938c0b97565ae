//! The list is whole: every incident is a case here or listed as pending, and the documentation says the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::pending::PENDING;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The cases of these files: number, name, and the line that says what happened and what stops or undoes it.
fn cases() -> BTreeMap<u8, (String, String)> {
    let mut cases = BTreeMap::new();
    for entry in fs::read_dir(top().join("tests/incidents")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let Some(name) = line.strip_prefix("fn incident_").and_then(|rest| rest.split('(').next()) else {
                continue;
            };
            assert_eq!(lines[n - 1], "#[test]", "{name} is never run");
            let told = lines[n + 1].trim();
            assert!(told.starts_with("// "), "{name} does not say what happened");
            let number = name.split('_').next().unwrap().parse().unwrap();
            let before = cases.insert(number, (format!("incident_{name}"), told.to_owned()));
            assert!(before.is_none(), "incident {number} has two cases");
        }
    }
    cases
}

#[test]
fn every_incident_is_a_case_or_pending_and_never_both() {
    let cases = cases();
    for number in 1..=54 {
        let pending = PENDING.iter().filter(|(of, ..)| *of == number).count();
        let played = usize::from(cases.contains_key(&number));
        assert_eq!(pending + played, 1, "incident {number}: {played} cases, {pending} times pending");
    }
    assert_eq!(cases.len() + PENDING.len(), 54);
    assert!(PENDING.iter().all(|(_, what, how, room)| ![*what, *how, *room].contains(&"")));
}

#[test]
fn the_table_in_the_documentation_says_what_the_tests_do() {
    let cases = cases();
    let text = fs::read_to_string(top().join("docs/incidents.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Ok(number) = cells[0].parse::<u8>() else { continue };
        assert_eq!(cells.len(), 4, "{line}");
        assert!(rows.insert(number, [cells[1], cells[2], cells[3]]).is_none(), "incident {number} stands there twice");
    }
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), (1..=54).collect::<Vec<u8>>());
    for (number, [what, how, test]) in rows {
        assert!(!what.is_empty() && !how.is_empty(), "incident {number}");
        match cases.get(&number) {
            Some((name, _)) => assert_eq!(test, format!("`{name}`")),
            None => {
                let (_, incident, mechanism, room) = PENDING.iter().find(|(of, ..)| *of == number).unwrap();
                assert_eq!(
                    [what, how, test],
                    [*incident, &format!("to come: {mechanism}"), &format!("pending ({room})")]
                );
            }
        }
    }
}

#[test]
fn nothing_that_is_pending_is_claimed_elsewhere() {
    let mut texts = vec!["README.md", "SECURITY.md", "ARCHITECTURE.md", "CHANGELOG.md", "BENCHMARKS.md"]
        .into_iter()
        .map(|name| top().join(name))
        .collect::<Vec<_>>();
    let docs = fs::read_dir(top().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    texts.extend(docs.filter(|path| path.extension().is_some_and(|e| e == "md") && !path.ends_with("incidents.md")));
    for path in texts {
        let text = fs::read_to_string(&path).unwrap().to_lowercase();
        for (at, _) in text.match_indices("incident") {
            let after: String = text[at..].chars().skip_while(|c| c.is_alphabetic()).take(120).collect();
            // "incident 7", "incidents 7, 8 and 9"
            let numbers = after.split(|c: char| !c.is_ascii_digit() && c != ',' && c != ' ').next().unwrap_or_default();
            for number in numbers.split([',', ' ']).filter_map(|word| word.parse::<u8>().ok()) {
                let pending = PENDING.iter().any(|(of, ..)| *of == number);
                assert!(!pending, "{} claims incident {number}, which is pending", path.display());
            }
        }
        for (_, what, ..) in PENDING {
            let cve = what.split([' ', ':']).find(|word| word.starts_with("CVE-"));
            assert!(cve.is_none_or(|cve| !text.contains(&cve.to_lowercase())), "{} names {what}", path.display());
        }
    }
}
