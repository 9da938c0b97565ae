use proptest::prelude::*;
use raincoat_types::{ChangeKind, Digest, GrantId, OpId, RawPath, RelPath, Spot, Ulid};
use serde_json::Value as Json;

use super::*;
use crate::event::tests::samples;

fn head() -> Checkpoint {
    Checkpoint { origin: "raincoat.local/0011223344556677".into(), size: 1000, root: [7; 32] }
}

fn source(head: &Checkpoint) -> Source<'_> {
    Source { head, host: "desk", version: "0.1.0" }
}

fn item(index: u64, what: What) -> Item {
    Item {
        index,
        leaf: [index as u8; 32],
        at: Timestamp { secs: 1_795_258_800, nanos: 123_456_789 },
        run: Some(RunId(Ulid::from_parts(1, 2))),
        actor: Some(Actor::Agent("default".into())),
        producer: Some(Producer { id: Ulid::from_parts(3, 4), seq: index + 1 }),
        subjects: vec!["run:x".into()],
        what,
    }
}

fn record(event: Event) -> Record {
    Record::of(&item(1, What::Event(event)), &Pairing::default())
}

#[test]
fn every_event_has_a_record_with_its_kind_and_class() {
    for event in samples() {
        let record = record(event.clone());
        assert_eq!((record.kind, record.class), (event.kind(), event.class().name()));
        assert!(!record.message.is_empty());
        for format in Format::ALL {
            assert!(!format.one(&record, &source(&head())).contains('\n'), "{format:?}: {event:?}");
        }
    }
}

#[test]
fn a_tombstone_says_where_when_and_which_class_and_nothing_else() {
    let gone = item(9, What::Erased { class: "operations".into() });
    let record = Record::of(&gone, &Pairing::default());
    let line: Json = serde_json::from_str(&Format::Jsonl.one(&record, &source(&head()))).unwrap();
    assert_eq!(line["erased"], "operations");
    assert_eq!(line["kind"], "erased");
    assert_eq!(line["fields"], serde_json::json!({}));
}

#[test]
fn what_is_done_says_what_was_meant() {
    let op = OpId { run: RunId(Ulid::from_parts(1, 2)), seq: 3 };
    let spot = Spot { grant: GrantId(Ulid::from_parts(4, 5)), path: RelPath::new(b"a/b").unwrap() };
    let mut pairing = Pairing::default();
    let intended = Event::OpIntended {
        op,
        kind: ChangeKind::Replace,
        places: vec![spot],
        before: Some(Digest([6; 32])),
        undoes: None,
    };
    pairing.learn(op.run.into(), &intended);
    let done = item(5, What::Event(Event::OpDone { op, after: Some(Digest([8; 32])) }));
    let record = Record::of(&done, &pairing);
    assert_eq!(record.text("path"), Some("a/b"));
    assert_eq!(record.text("verb"), Some("replace"));
    assert_eq!(record.text("before"), Some("06".repeat(32).as_str()));
    assert_eq!(record.text("after"), Some("08".repeat(32).as_str()));
}

#[test]
fn no_secret_and_no_conversation_goes_out_in_any_format() {
    let secret = "ghp_Zk2PvX9rTb4LmW8sYd1NcF6hGj3KxAq7Zk2P";
    let events = [
        Event::Notice { text: format!("the key is {secret}") },
        Event::RunBegan { goal: format!("use {secret}"), kind: raincoat_types::RunKind::Task, grants: vec![] },
        Event::ReadDone { verb: "read".into(), target: RawPath(secret.as_bytes().to_vec()), bytes: 1 },
        Event::TranscriptKept {
            from: "request".into(),
            request: 1,
            part: 1,
            parts: 1,
            digest: Digest([1; 32]),
            text: "between us".into(),
        },
    ];
    for event in events {
        let record = record(event);
        for format in Format::ALL {
            let out = format.one(&record, &source(&head()));
            assert!(!out.contains(&secret[4..]) && !out.contains("between us"), "{out}");
        }
    }
}

#[test]
fn the_formats_look_like_this() {
    let record = record(Event::OpDone { op: OpId { run: RunId(Ulid::from_parts(1, 2)), seq: 3 }, after: None });
    let (head, leaf, root) = (head(), "01".repeat(32), "07".repeat(32));
    let run = RunId(Ulid::from_parts(1, 2));
    assert_eq!(
        Format::Syslog.one(&record, &source(&head)),
        format!(
            "<110>1 2026-11-21T11:00:00.123456Z desk raincoat {} op.done [raincoat@32473 index=\"1\" \
             class=\"operations\" outcome=\"success\" origin=\"raincoat.local/0011223344556677\" leaf=\"{leaf}\" \
             size=\"1000\" root=\"{root}\" run=\"{run}\" actor=\"agent:default\" seq=\"2\" subjects=\"run:x\" \
             op=\"{run}/3\"] \u{feff}{run}/3 done",
            Ulid::from_parts(3, 4),
        )
    );
    let cef = Format::Cef.one(&record, &source(&head));
    assert!(cef.starts_with("CEF:0|Raincoat|Raincoat|0.1.0|op.done|op done|1|rt=1795258800123 externalId=1 "), "{cef}");
    assert!(cef.ends_with(" cn2=2 cn2Label=seq"), "{cef}");
}

/// Reads CEF as its standard says.
fn read_cef(line: &str) -> Option<(Vec<String>, Vec<(String, String)>)> {
    let mut header = vec![String::new()];
    let mut chars = line.strip_prefix("CEF:0|")?.chars();
    while header.len() < 7 {
        match chars.next()? {
            '\\' => header.last_mut()?.push(chars.next()?),
            '|' => header.push(String::new()),
            c => header.last_mut()?.push(c),
        }
    }
    header.pop();
    let extension: String = chars.collect();
    // A key is what stands between a space and an equals sign that is not escaped.
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut value = String::new();
    let mut chars = extension.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                escaped => value.push(escaped),
            },
            '=' => {
                let (before, key) = value.rsplit_once(' ').unwrap_or(("", &value));
                let (before, key) = (before.to_owned(), key.to_owned());
                if let Some(last) = pairs.last_mut() {
                    last.1 = before;
                }
                pairs.push((key, String::new()));
                value = String::new();
            }
            c => value.push(c),
        }
    }
    pairs.last_mut()?.1 = value;
    Some((header, pairs))
}

/// Reads a message's structured data as RFC 5424 says: names and values, and the text.
fn read_syslog(message: &str) -> Option<(Vec<(String, String)>, String)> {
    let at = message.find(" [")?;
    assert_eq!(message[..at].split(' ').count(), 6, "{message}");
    let mut rest = message[at..].strip_prefix(" [raincoat@32473")?;
    let mut out = Vec::new();
    while let Some(next) = rest.strip_prefix(' ') {
        let (name, after) = next.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        loop {
            match chars.next()? {
                (_, '\\') => value.push(chars.next()?.1),
                (at, '"') => {
                    rest = &after[at + 1..];
                    break;
                }
                (_, ']') => return None,
                (_, c) => value.push(c),
            }
        }
        out.push((name.to_owned(), value));
    }
    Some((out, rest.strip_prefix("] \u{feff}")?.to_owned()))
}

fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z|=\\\\\"\\]\\[ \n\r\t\u{0}\u{1b}\u{202e}é]{0,40}",
        any::<String>(),
        Just("x\\".to_owned()),
        Just("a=b|c]\"".repeat(300)),
    ]
}

proptest! {
    #[test]
    fn any_words_and_bytes_give_one_well_formed_line(
        a in nasty(), b in nasty(), bytes in prop::collection::vec(any::<u8>(), 0..60), host in nasty(),
    ) {
        let head = head();
        let source = Source { head: &head, host: &host, version: "0.1.0" };
        for event in [
            Event::Proposed {
                action: a.clone(),
                targets: vec![RawPath(bytes.clone()), RawPath(b.clone().into_bytes())],
                digest: None,
                verdict: crate::Judgement::Deny,
                rule: b.clone(),
                reason: a.clone(),
            },
            Event::ReadDone { verb: b.clone(), target: RawPath(bytes.clone()), bytes: 7 },
            Event::GrantAdded {
                grant: GrantId(Ulid::from_parts(4, 5)),
                path: RawPath(bytes.clone()),
                read_only: true,
                until: None,
                agent: Some(a.clone()),
                deny: vec![b.clone()],
            },
        ] {
            let mut item = item(3, What::Event(event));
            item.actor = Some(Actor::Program(b.clone()));
            let record = Record::of(&item, &Pairing::default());
            for format in Format::ALL {
                let line = format.one(&record, &source);
                prop_assert!(!line.contains(['\n', '\r', '\0', '\u{1b}']), "{:?} {:?}", format, line);
            }
            for format in [Format::Jsonl, Format::Ocsf, Format::Otlp] {
                prop_assert!(serde_json::from_str::<Json>(&format.one(&record, &source)).is_ok());
            }
            let (header, pairs) = read_cef(&Format::Cef.one(&record, &source)).unwrap();
            prop_assert_eq!(header.len(), 6);
            let get = |wanted: &str| pairs.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.clone());
            prop_assert_eq!(get("externalId").unwrap(), "3");
            if let Some(path) = record.text("path").filter(|path| !path.is_empty()) {
                prop_assert_eq!(get("filePath").unwrap(), path);
            }
            let (parameters, text) = read_syslog(&Format::Syslog.one(&record, &source)).unwrap();
            prop_assert_eq!(&text, &record.message);
            prop_assert!(parameters.contains(&("index".to_owned(), "3".to_owned())));
            if let Some(path) = record.text("path") {
                prop_assert!(parameters.contains(&("path".to_owned(), path.to_owned())));
            }
        }
    }
}
