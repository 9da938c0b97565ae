//! A program in a draft as the shell sees it: exit codes, streams, environment, folders, hosts, limits, profiles, and what
//! becomes of its draft at the end. (B1, B5, C1)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "support/enclosed.rs"]
mod enclosed;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use enclosed::{Scene, lines, said, same};
use serde_json::Value;

#[test]
fn exit_codes_and_signals_pass_through() {
    let scene = Scene::new();
    // Each costs a run of its own, so not all 256.
    for code in [0, 1, 2, 3, 5, 42, 70, 125, 126, 127, 128, 130, 137, 200, 254, 255] {
        let said = scene.exec(&[], &format!("exit {code}"));
        assert_eq!(said.code, code, "{said:?}");
    }
    for (signal, number) in [("TERM", 15), ("KILL", 9), ("INT", 2), ("SEGV", 11), ("USR1", 10), ("PIPE", 13)] {
        let said = scene.exec(&[], &format!("kill -{signal} $$"));
        assert_eq!(said.code, 128 + number, "{signal}: {said:?}");
    }
    let said = scene.run(&["exec", "--", "no-such-program-anywhere"]);
    assert_eq!(said.code, 127, "{said:?}");
    assert!(said.err.contains("no-such-program-anywhere"), "{said:?}");
    scene.write("plain.txt", "no program\n");
    let said = scene.run(&["exec", "--", "./plain.txt"]);
    assert_eq!(said.code, 126, "{said:?}");
    let said = scene.run(&["exec", "--", "/"]);
    assert_eq!(said.code, 126, "{said:?}");
    // The command's own flags are its own.
    let said = scene.run(&["exec", "--", "echo", "--yes", "--json", "-q", "--in", "x"]);
    assert_eq!(said.out, "--yes --json -q --in x\n", "{said:?}");
    assert_eq!(scene.run(&["exec"]).code, 2);
    assert_eq!(scene.run(&["exec", "--in", "no-such-folder", "--", "true"]).code, 2);
    assert!(scene.drafts().is_empty(), "what changed nothing leaves no draft");
}

#[test]
fn streams_are_passed_byte_for_byte() {
    let scene = Scene::new();
    let mut dice = enclosed::whole::Dice(11);
    let bytes: Vec<u8> = (0..10 << 20 >> 3).flat_map(|_| dice.next().to_le_bytes()).collect();
    let mut command = scene.command(&["exec", "-q", "--", "sh", "-c", "tee /dev/stderr"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output, mut errors) =
        (child.stdin.take().unwrap(), child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let sent = bytes.clone();
    let sending = std::thread::spawn(move || input.write_all(&sent).unwrap());
    let reading = std::thread::spawn(move || {
        let mut got = Vec::new();
        errors.read_to_end(&mut got).unwrap();
        got
    });
    let mut got = Vec::new();
    output.read_to_end(&mut got).unwrap();
    sending.join().unwrap();
    let errors = reading.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(got == bytes, "{} of {} bytes came out", got.len(), bytes.len());
    // Our own lines stand before and after the program's.
    let at = errors.windows(64).position(|window| *window == bytes[..64]).expect("the program's errors came");
    assert!(errors[at..].starts_with(&bytes), "{} of {} bytes of errors came out", errors.len(), bytes.len());

    // A reader that goes away early is told to the program as if it ran bare.
    let mut command = scene.command(&["exec", "-q", "--", "sh", "-c", "yes; echo $? >&2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0_u8; 10];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let said = said(child.wait_with_output().unwrap());
    assert!(said.err.contains("141"), "{said:?}");
    // Nothing of ours on standard output, with a commit at the end neither.
    let said = scene.exec(&["--commit", "always"], "echo out; echo x > new.txt");
    assert_eq!((said.code, said.out.as_str()), (0, "out\n"), "{said:?}");
    assert!(said.err.contains("undo it with"), "{said:?}");
    // A closed standard input is an empty one.
    let said = scene.exec(&[], "wc -c");
    assert_eq!(said.out.trim(), "0");
}

#[test]
fn what_becomes_of_the_draft_at_the_end_is_as_asked() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let script = |code: u8| format!("echo x >> a.txt; exit {code}");
    for (when, code, committed) in
        [("success", 0, true), ("success", 3, false), ("always", 3, true), ("never", 0, false), ("ask", 0, false)]
    {
        let said = scene.exec(&["--commit", when], &script(code));
        assert_eq!(said.code, i32::from(code), "{when}: {said:?}");
        if committed {
            assert_eq!(scene.changed(&was), ["a.txt"], "{when}");
            assert!(scene.drafts().is_empty(), "{when}");
            scene.undone(&was, when);
        } else {
            same(&was, &scene.dir, when);
            // Nobody can be asked: it says how to go on.
            let run = scene.newest();
            for words in ["review", "commit", "discard"] {
                assert!(said.err.contains(&format!("raincoat {words} {run}")), "{when}: {said:?}");
            }
            scene.ok(&["discard", &run]);
        }
    }
    let said = scene.exec(&["--yes"], &script(0));
    assert_eq!((said.code, scene.changed(&was)), (0, vec!["a.txt".to_owned()]), "{said:?}");
    // Where something in the folder has changed meanwhile, the commit at the end says so, and the draft stays.
    let mut running = scene.start(&["--commit", "always"], "echo y >> a.txt; echo ready; read go");
    running.waits_for("ready");
    scene.write("a.txt", "mine\n");
    let said = running.end();
    assert_eq!((said.code, scene.read("a.txt").as_str()), (5, "mine\n"), "{said:?}");
    assert_eq!(scene.drafts().len(), 1);
    scene.log_is_sound();
}

#[test]
fn a_program_gets_a_listed_environment_and_a_home_of_its_own() {
    let scene = Scene::new();
    let mut command = scene.command(&["exec", "--env", "ASKED", "--env", "MADE=a=b", "--", "env"]);
    command.envs([
        ("LANG", "C.UTF-8"),
        ("ASKED", "yes"),
        ("SECRET_TOKEN", "hunter2"),
        ("LD_PRELOAD", ""),
        ("TZ", "UTC"),
    ]);
    let said = said(command.output().unwrap());
    let mut names: Vec<&str> = said.out.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["ASKED", "HOME", "LANG", "MADE", "PATH", "PWD", "RAINCOAT", "TMPDIR", "TZ"]
            .into_iter()
            .filter(|name| *name != "PWD" || names.contains(&"PWD"))
            .collect::<Vec<_>>(),
        "{said:?}"
    );
    assert!(said.out.contains("MADE=a=b\n") && !said.out.contains("hunter2"), "{said:?}");
    let said = scene.run(&["exec", "--env", "NOT_SET", "--", "true"]);
    assert_eq!(said.code, 2, "{said:?}");
    // Of the home there is nothing but what was handed out, and what is written there is gone with it.
    fs::write(scene.home.path("diary.txt"), "private\n").unwrap();
    let said = scene.exec(&[], "ls -A ~; echo x > ~/.profile; echo y > ~/z; pwd");
    assert_eq!(said.out, format!("project\n{}\n", scene.dir.display()), "{said:?}");
    assert!(!scene.home.path(".profile").exists() && !scene.home.path("z").exists());
    assert!(scene.drafts().is_empty());
}

#[test]
fn folders_to_work_on_and_folders_to_read() {
    let scene = Scene::new();
    for (path, content) in [("one/x.txt", "1\n"), ("two/y.txt", "2\n"), ("read/z.txt", "3\n"), ("not/w.txt", "4\n")] {
        fs::create_dir_all(scene.home.path(path).parent().unwrap()).unwrap();
        fs::write(scene.home.path(path), content).unwrap();
    }
    let was = enclosed::whole::outside(scene.home.path("read").as_path());
    let said = scene.home.run(&[
        "exec",
        "--in",
        "one",
        "--in",
        "two",
        "--read",
        "read",
        "--",
        "sh",
        "-c",
        "pwd; cd ..; cat one/x.txt two/y.txt read/z.txt; ls; echo w >> one/x.txt; echo w >> two/y.txt; \
         echo w >> read/z.txt && exit 9; touch read/new && exit 9; exit 0",
    ]);
    assert_eq!(said.code, 0, "{said:?}");
    let one = scene.home.path("one");
    assert_eq!(said.out, format!("{}\n1\n2\n3\none\nread\ntwo\n", one.display()), "{said:?}");
    let run = scene.newest();
    let changed: Vec<(String, String)> = scene
        .review(&run)
        .iter()
        .map(|c| (c["folder"].as_str().unwrap().to_owned(), c["path"].as_str().unwrap().to_owned()))
        .collect();
    let full = |dir: &str| scene.home.path(dir).to_str().unwrap().to_owned();
    assert_eq!(changed, [(full("one"), "x.txt".to_owned()), (full("two"), "y.txt".to_owned())]);
    scene.commit(&run);
    assert_eq!(fs::read_to_string(scene.home.path("two/y.txt")).unwrap(), "2\nw\n");
    assert_eq!(enclosed::whole::outside(scene.home.path("read").as_path()), was);
    scene.ok(&["undo"]);
    assert_eq!(fs::read_to_string(scene.home.path("one/x.txt")).unwrap(), "1\n");
    let log = scene.log();
    assert!(log.contains(&format!("granted {}", full("one"))) && log.contains(&format!("for run:{run}")), "{log}");
    // Nobody gets raincoat's own data, whoever names it.
    let own = scene.home.path(".local/share/raincoat");
    let said = scene.run(&["exec", "--read", own.to_str().unwrap(), "--", "ls"]);
    assert_eq!(said.code, 3, "{said:?}");
}

#[test]
fn secrets_at_the_top_of_a_folder_do_not_exist_inside() {
    let scene = Scene::new();
    for path in [".env", ".env.local", ".ssh/id_ed25519", ".npmrc", "id_rsa"] {
        scene.write(path, "PRIVATE\n");
    }
    let was = scene.snapshot();
    let said = scene.exec(
        &[],
        "ls -A; cat .env .env.local .ssh/id_ed25519 .npmrc id_rsa; echo made > .env; cat .env; rm -rf .ssh; ls -A",
    );
    assert!(!said.out.contains("PRIVATE") && !said.err.contains("PRIVATE"), "{said:?}");
    assert_eq!(said.out, "a.txt\nb.txt\nc.txt\nsub\nmade\n.env\na.txt\nb.txt\nc.txt\nsub\n", "{said:?}");
    assert!(said.err.contains("hidden from it, as secrets") && said.err.contains("`.env`"), "{said:?}");
    // What it made in a secret's place never reaches that place.
    let run = scene.newest();
    scene.run(&["commit", &run]);
    same(&was, &scene.dir, "after the commit");
    let said = scene.run(&["commit", &run, "--dangerous", ".env", "--conflict", "keep-theirs"]);
    same(&was, &scene.dir, &format!("{said:?}"));
}

/// A server on loopback that answers a bounded number of requests.
fn server(requests: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(requests) {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nhello\n");
        }
    });
    port
}

#[test]
fn named_hosts_are_reached_and_no_others() {
    let scene = Scene::new();
    let (open, closed) = (server(8), server(8));
    let url = |port: u16| format!("http://localhost:{port}/");
    let get = |port: u16| format!("curl -sS -m 5 {}", url(port));
    // Without a flag there is no network at all.
    let said = scene.exec(&[], &format!("{}; ls /sys/class/net 2>/dev/null; getent hosts example.com", get(open)));
    assert!(!said.out.contains("hello"), "{said:?}");
    let said = scene.exec(&["--net", "none"], &get(open));
    assert!(said.code != 0 && said.out.is_empty(), "{said:?}");
    // The named one answers, to curl and to python; past the proxy there is nothing.
    let host = format!("localhost:{open}");
    let said = scene.exec(
        &["--net", &host],
        &format!(
            "{}; python3 -c 'import urllib.request as u; print(u.urlopen(\"{}\", None, 5).read())'; \
             curl -sS -m 2 --noproxy '*' {}; true",
            get(open),
            url(open),
            url(open)
        ),
    );
    assert_eq!(said.out, "hello\nb'hello\\n'\n", "{said:?}");
    // Others are refused, told and logged, with the flag that would allow them.
    let said = scene.exec(&["--net", &host], &format!("{}; curl -sS -m 3 http://example.com/; true", get(closed)));
    assert!(!said.out.contains("hello"), "{said:?}");
    for refused in [format!("localhost:{closed}"), "example.com:80".to_owned()] {
        let line = said.err.lines().find(|line| line.starts_with("raincoat: refused") && line.contains(&refused));
        assert!(line.is_some_and(|line| line.contains(&format!("--net {refused}"))), "{refused}: {said:?}");
        assert!(scene.log().contains(&refused));
    }
    let said = scene.exec(&["--net", &format!("none,{host}")], "true");
    assert_eq!(said.code, 2, "{said:?}");
    let said = scene.exec(&["--net", "http://x/y"], "true");
    assert_eq!(said.code, 2, "{said:?}");
}

#[test]
fn each_limit_ends_what_goes_over_it_and_says_which() {
    let scene = Scene::new();
    let was = scene.snapshot();
    let run = |limit: &str, script: &str| scene.exec(&["--limit", limit], script);
    let said = run("time=1", "sleep 30");
    assert!(said.code != 0 && said.err.contains("as long as it may"), "{said:?}");
    let said = run("cpu=1", "while :; do :; done");
    assert!(said.code != 0 && said.err.contains("processor") || said.err.contains("cpu"), "{said:?}");
    let said = run("mem=96M", "python3 -c 'x = bytearray(400 << 20); print(len(x))'");
    assert!(said.code != 0 && !said.out.contains("419430400"), "{said:?}");
    assert!(said.err.to_lowercase().contains("memory"), "{said:?}");
    // Looked at many times a second, so an endless writer is ended, and one that is quick gets a little further.
    let said = run("disk=4M,time=20", "yes > big");
    assert!(said.code != 0 && said.err.contains("of 4 MiB at most"), "{said:?}");
    scene.ok(&["discard", "--all"]);
    let said = run("procs=20,time=20", "for i in $(seq 40); do sleep 5 & done; wait");
    assert!(said.err.to_lowercase().contains("process") || said.err.contains("fork"), "{said:?}");
    let said = run("files=16", "python3 -c 'fs = [open(\"/dev/null\") for _ in range(64)]'");
    assert!(said.code != 0 && said.err.contains("Too many open files"), "{said:?}");
    for bad in ["mem=x", "colour=red", "time", "procs=0"] {
        assert_eq!(run(bad, "true").code, 2, "{bad}");
    }
    same(&was, &scene.dir, "after all of it");
}

#[test]
fn profiles_are_listed_and_bring_what_a_tool_needs() {
    let scene = Scene::new();
    let profiles = lines(&scene.ok(&["profiles", "--json"]).out);
    for name in ["claude-code", "codex", "gemini", "opencode", "aider", "goose", "git", "cargo", "npm", "pip", "make"] {
        let profile = profiles.iter().find(|one| one["name"] == name);
        let profile = profile.unwrap_or_else(|| panic!("{name} is not among them"));
        for key in [
            "file",
            "description",
            "match",
            "net",
            "mounts",
            "env_pass",
            "env_set",
            "protected",
            "secrets",
            "nest",
            "limits",
        ] {
            assert!(profile.get(key).is_some(), "{name} has no {key}");
        }
    }
    let said = scene.exec(&["--profile", "make"], "echo 'x:\n\ttouch made' > Makefile; make -s");
    assert_eq!(said.code, 0, "{said:?}");
    let said = scene.exec(&["--profile", "nosuch"], "true");
    assert_eq!(said.code, 2, "{said:?}");
    // What lies in a cache outlives the draft, and is neither the person's nor in the draft.
    let npm = scene.exec(&["--profile", "npm"], "echo cached > ~/.npm/mine && cat ~/.npm/mine");
    assert_eq!((npm.code, npm.out.as_str()), (0, "cached\n"), "{npm:?}");
    let again = scene.exec(&["--profile", "npm"], "cat ~/.npm/mine");
    assert_eq!((again.code, again.out.as_str()), (0, "cached\n"), "{again:?}");
    assert!(!scene.home.path(".npm/mine").exists());
}

#[test]
fn what_is_printed_as_json_is_as_described() {
    let scene = Scene::new();
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md")).unwrap();
    let described = |of: &str| -> Vec<String> {
        let start = text.split('\n').position(|line| {
            line.strip_prefix("## ").is_some_and(|names| names.split(", ").any(|name| name == format!("`{of}`")))
        });
        let start = start.unwrap_or_else(|| panic!("docs/json.md does not describe `{of}`"));
        let part = text.split('\n').skip(start + 1).take_while(|line| !line.starts_with("## "));
        part.collect::<Vec<_>>().join(" ").split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let fits = |value: &Value, of: &str| {
        assert_eq!(value["type"], of, "{value}");
        let described = described(of);
        for key in value.as_object().unwrap().keys().filter(|key| *key != "type") {
            assert!(described.contains(key), "docs/json.md does not describe `{key}` of `{of}`: {value}");
        }
    };
    let run = scene.drafted("echo x >> a.txt; rm b.txt; mkdir new; mkfifo new/fifo; echo id > .bashrc; chmod 600 c.txt; printf '\\000' > sub/d.txt");
    for draft in scene.drafts() {
        fits(&draft, "draft");
    }
    scene.write("a.txt", "mine\n");
    let changes = scene.review(&run);
    assert_eq!(changes.len(), 7, "{changes:#?}");
    for change in &changes {
        fits(change, "change");
    }
    let said = scene.ok(&["commit", &run, "--json", "--dry-run", "--only", "c.txt"]);
    fits(&lines(&said.out)[0], "commit");
    assert_eq!(lines(&said.out)[0]["paths"], serde_json::json!(["c.txt"]));
    let said = scene.ok(&["commit", &run, "--json", "--only", "nothing"]);
    fits(&lines(&said.out)[0], "commit");
    let said = scene.run(&["commit", &run, "--json"]);
    assert_eq!((said.code, said.out.as_str()), (5, ""), "{said:?}");
    fits(&lines(&said.err)[0], "error");
    let said = scene.ok(&["commit", &run, "--json", "--conflict", "keep-mine"]);
    fits(&lines(&said.out)[0], "commit");
    assert_eq!(lines(&said.out)[0]["exit"], 0);
    let said = scene.ok(&["discard", &run, "--json"]);
    fits(&lines(&said.out)[0], "discarded");
    let mut running = scene.start(&[], "echo ready; read go");
    running.waits_for("ready");
    let said = scene.ok(&["stop", "--all", "--json"]);
    fits(&lines(&said.out)[0], "stopped");
    running.end();
    // Runs of programs and of commits have their own words.
    let runs = lines(&scene.ok(&["runs", "--json"]).out);
    runs.iter().for_each(|run| fits(run, "run"));
    assert!(runs.iter().any(|run| run["actor"] == "program:sh"), "{runs:#?}");
}
