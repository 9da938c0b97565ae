//! The table of techniques. Each has a folder of its own within the grant, named after it, and one outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use serde_json::json;
use tar::EntryType;

use super::archives::{self, file, link};
use super::{BAIT, Call, bait, is_root, may, no, node, raw};

/// Where a technique is played.
pub struct At {
    /// Its folder within the grant.
    pub inside: PathBuf,
    /// Its folder outside, with bait in `secret.txt`.
    pub outside: PathBuf,
    /// The name of both.
    pub name: &'static str,
}

/// One way of breaking out.
pub struct Technique {
    /// Its name, which is that of its folders too, so that the log can be asked about it.
    pub name: &'static str,
    /// What stops it.
    pub stopped_by: &'static str,
    /// Some of its calls may change what is in its own folder.
    pub may_change: bool,
    /// Makes the ground and gives the calls.
    pub play: fn(&At) -> Vec<Call>,
}

const fn technique(name: &'static str, stopped_by: &'static str, play: fn(&At) -> Vec<Call>) -> Technique {
    Technique { name, stopped_by, may_change: false, play }
}

const fn touching(name: &'static str, stopped_by: &'static str, play: fn(&At) -> Vec<Call>) -> Technique {
    Technique { name, stopped_by, may_change: true, play }
}

impl At {
    /// A path beneath the grant.
    pub fn path(&self, below: &str) -> String {
        format!("{}/{below}", self.name)
    }

    /// The same for several.
    fn paths<'a>(&self, below: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        below.into_iter().map(|path| self.path(path)).collect()
    }

    fn out(&self, below: &str) -> String {
        self.outside.join(below).to_str().unwrap().to_owned()
    }

    fn write(&self, below: &str, content: &str) {
        let path = self.inside.join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Every way to see what is at a path.
fn looks(path: &str) -> Vec<Call> {
    vec![
        no("read_file", json!({"path": path})),
        no("hash", json!({"path": path})),
        no("search", json!({"path": path, "pattern": "."})),
    ]
}

/// Every way to change what is at a path, with `own` a file of the enemy's own.
fn changes(path: &str, own: &str) -> Vec<Call> {
    let mut calls = arrivals(path, own);
    calls.push(no("edit_file", json!({"path": path, "old": "BAIT", "new": "x", "all": true})));
    calls.push(no("delete", json!({"path": path})));
    calls.push(no("delete", json!({"path": path, "recursive": true})));
    calls
}

/// Every way to put something at a path.
fn arrivals(path: &str, own: &str) -> Vec<Call> {
    vec![
        no("write_file", json!({"path": path, "content": "evil"})),
        no("move", json!({"from": own, "to": path, "replace": true})),
        no("copy", json!({"from": own, "to": path, "replace": true})),
    ]
}

fn reads(paths: &[String]) -> Vec<Call> {
    paths.iter().map(|path| no("read_file", json!({"path": path}))).collect()
}

fn writes(paths: &[String]) -> Vec<Call> {
    paths.iter().map(|path| no("write_file", json!({"path": path, "content": "evil"}))).collect()
}

/// Ways out by the path itself.
pub const PATHS: &[Technique] = &[
    technique("dot-dot", "paths are walked beneath the grant's descriptor; more `..` than names is outside", |at| {
        at.write("own.txt", "own");
        let path = at.path(&format!("../../other/{}/secret.txt", at.name));
        let mut calls = looks(&path);
        calls.extend(changes(&path, &at.path("own.txt")));
        calls.push(no("list_dir", json!({"path": at.path("../..")})));
        calls.push(no("make_dir", json!({"path": at.path("../../new-folder")})));
        calls.push(no("archive", json!({"from": [at.path("../../other")], "to": at.path("all.zip")})));
        calls.push(no("archive", json!({"from": [at.path("own.txt")], "to": at.path("../../other/own.zip")})));
        calls
    }),
    technique("dot-dot-in-the-middle", "the same, name by name, wherever the `..` stands", |at| {
        at.write("own.txt", "own");
        fs::create_dir(at.inside.join("sub")).unwrap();
        let path = at.path(&format!("sub/../sub/../../../other/{}/secret.txt", at.name));
        let mut calls = looks(&path);
        calls.extend(changes(&path, &at.path("own.txt")));
        calls.push(no("read_file", json!({"path": at.path("missing/../../../other/secret.txt")})));
        calls.push(no("read_file", json!({"path": at.path("own.txt/../../../other/secret.txt")})));
        calls
    }),
    technique(
        "dot-dot-encoded",
        "a name is bytes: only `..` itself goes up, and what is decoded is walked like any other",
        |at| {
            reads(&at.paths([
                "%2e%2e/%2e%2e/other/secret.txt",
                "..%2f..%2fother%2fsecret.txt",
                "%252e%252e/%252e%252e/other/secret.txt",
                "\\x2e\\x2e/\\x2e\\x2e/other/secret.txt",
                "\\u{2e}\\u{2e}/\\u{2e}\\u{2e}/other/secret.txt",
                "\\x2e\\x2e\\x2f\\x2e\\x2e\\x2fother/secret.txt",
                "\\xc0\\xae\\xc0\\xae/\\xc0\\xae\\xc0\\xae/other/secret.txt",
                "..;/..;/other/secret.txt",
            ]))
        },
    ),
    technique("dot-dot-look-alikes", "nothing is normalised: a look-alike is just another name", |at| {
        reads(&at.paths([
            "\u{ff0e}\u{ff0e}/\u{ff0e}\u{ff0e}/other/secret.txt",
            "\u{2025}/\u{2025}/other/secret.txt",
            "\u{2024}\u{2024}/\u{2024}\u{2024}/other/secret.txt",
            "..\u{200b}/..\u{200b}/other/secret.txt",
            "..\\..\\..\\other\\secret.txt",
            "..\u{2215}..\u{2215}other\u{2215}secret.txt",
            ".. /.. /other/secret.txt",
            ".../.../other/secret.txt",
        ]))
    }),
    technique("slashes-and-dots", "empty names and `.` are dropped; what stays is walked", |at| {
        reads(&at.paths([
            "../..//other///secret.txt",
            "./../././.././other/secret.txt",
            "../../other/./secret.txt/",
            "../../other/secret.txt//",
            "../../other/secret.txt\n",
            "../../../../../../../../../../../../etc/passwd",
        ]))
    }),
    technique("absolute", "an absolute path counts only beneath a granted folder, and is walked from there", |at| {
        at.write("own.txt", "own");
        let path = at.out("secret.txt");
        let mut calls = looks(&path);
        calls.extend(changes(&path, &at.path("own.txt")));
        calls.extend(reads(&[
            format!("//{path}"),
            format!("file://{path}"),
            format!("~/{}", at.name),
            format!("~root/{}", at.name),
            format!("$HOME/{}", at.name),
            format!("\\x2f{}", path.trim_start_matches('/')),
        ]));
        calls
    }),
    technique(
        "absolute-through-the-grant",
        "the grant's own path is taken off, and the rest is walked beneath it",
        |at| {
            let base = at.inside.to_str().unwrap();
            let twin = at.outside.parent().unwrap().parent().unwrap().join("granted-twin");
            fs::create_dir_all(&twin).unwrap();
            bait(&twin.join(at.name));
            reads(&[
                format!("{base}/../../other/{}/secret.txt", at.name),
                format!("{base}/./../..//other/{}/secret.txt", at.name),
                format!("{}/{}", twin.display(), at.name),
            ])
        },
    ),
    technique("nul-in-the-name", "no path with a NUL byte is a path", |at| {
        let mut calls = reads(&at.paths(["x\0/../../secret.txt", "\\x00/../../../other/secret.txt", "a\\u{0}b"]));
        calls.extend(writes(&at.paths(["evil.txt\0.png", "evil\\x00"])));
        calls
    }),
    touching("newline-in-the-name", "any bytes are a name; the log and the terminal show them escaped", |at| {
        vec![
            may("write_file", json!({"path": at.path("a\nb\u{202e}c\u{1b}[2J.txt"), "content": "fine"})),
            no("read_file", json!({"path": at.path("../../other/secret.txt\n../x")})),
            no("read_file", json!({"path": at.path("..\n/../../other/secret.txt")})),
        ]
    }),
    technique("over-long", "paths over 4,095 bytes and names over 255 are refused, whatever they lead to", |at| {
        let name = "n".repeat(300);
        let deep = "d/".repeat(3_000);
        let up = "../".repeat(1_300);
        let mut calls = writes(&at.paths([name.as_str(), &format!("{deep}f"), &"p".repeat(50_000)]));
        calls.extend(reads(&at.paths([format!("{up}etc/passwd").as_str(), &format!("{deep}{up}other/secret.txt")])));
        calls.push(no("make_dir", json!({"path": at.path(&format!("{name}/x"))})));
        calls
    }),
    technique("not-utf-8", "bytes that are no text are names like others", |at| {
        fs::write(raw(&at.inside, b"\xff\xfe"), "own").unwrap();
        symlink(&at.outside, raw(&at.inside, b"\xfflink")).unwrap();
        let mut calls = reads(&at.paths(["\\xfflink/secret.txt", "\\xff\\xfe/../../../other/secret.txt"]));
        calls.extend(writes(&at.paths(["\\xfflink/new.txt"])));
        calls
    }),
];

/// Ways out by links.
pub const LINKS: &[Technique] = &[
    technique("symlink-to-a-file-outside", "an absolute symlink is never followed", |at| {
        at.write("own.txt", "own");
        symlink(at.out("secret.txt"), at.inside.join("link")).unwrap();
        let mut calls = looks(&at.path("link"));
        calls.push(no("write_file", json!({"path": at.path("link"), "content": "evil"})));
        calls.push(no("edit_file", json!({"path": at.path("link"), "old": "BAIT", "new": "x"})));
        calls.push(no("extract_archive", json!({"from": at.path("link"), "to": at.path("taken-out")})));
        calls
    }),
    touching(
        "symlink-as-itself",
        "copy, move, delete and archive take the link as a link: what it names is not touched",
        |at| {
            symlink(at.out("secret.txt"), at.inside.join("link")).unwrap();
            symlink(&at.outside, at.inside.join("folder")).unwrap();
            vec![
                may("copy", json!({"from": at.path("link"), "to": at.path("copy")})),
                no("read_file", json!({"path": at.path("copy")})),
                may("copy", json!({"from": at.path("folder"), "to": at.path("folder-copy")})),
                no("list_dir", json!({"path": at.path("folder-copy")})),
                may("archive", json!({"from": [at.path("link"), at.path("folder")], "to": at.path("links.tar")})),
                may("search", json!({"path": at.path("links.tar"), "pattern": ".*"})),
                no("extract_archive", json!({"from": at.path("links.tar"), "to": at.path("out")})),
                may("move", json!({"from": at.path("link"), "to": at.path("moved")})),
                no("read_file", json!({"path": at.path("moved")})),
                may("delete", json!({"path": at.path("folder"), "recursive": true})),
                may("delete", json!({"path": at.path("moved")})),
            ]
        },
    ),
    technique(
        "symlink-to-a-folder-outside",
        "a relative symlink is followed name by name and may not climb out",
        |at| {
            at.write("own.txt", "own");
            archives::tar(&at.inside.join("own.tar"), &[file("f", "x")]);
            symlink(format!("../../other/{}", at.name), at.inside.join("link")).unwrap();
            let mut calls = looks(&at.path("link/secret.txt"));
            calls.extend(changes(&at.path("link/secret.txt"), &at.path("own.txt")));
            calls.extend(arrivals(&at.path("link/new.txt"), &at.path("own.txt")));
            calls.push(no("list_dir", json!({"path": at.path("link")})));
            calls.push(no("list_dir", json!({"path": at.path("link/")})));
            calls.push(no("search", json!({"path": at.path("link"), "pattern": "BAIT"})));
            calls.push(no("make_dir", json!({"path": at.path("link/new")})));
            calls.push(no("extract_archive", json!({"from": at.path("own.tar"), "to": at.path("link/new")})));
            calls.push(no("archive", json!({"from": [at.path("link/secret.txt")], "to": at.path("a.zip")})));
            calls.push(no("archive", json!({"from": [at.path("own.txt")], "to": at.path("link/a.zip")})));
            calls.push(no("move", json!({"from": at.path("link/secret.txt"), "to": at.path("mine")})));
            calls.push(no("copy", json!({"from": at.path("link/secret.txt"), "to": at.path("mine")})));
            calls
        },
    ),
    technique("symlink-chain", "each link of a chain is walked beneath the grant", |at| {
        symlink("b", at.inside.join("a")).unwrap();
        symlink("c/d", at.inside.join("b")).unwrap();
        fs::create_dir(at.inside.join("c")).unwrap();
        symlink("../..", at.inside.join("c/d")).unwrap();
        let mut calls = looks(&at.path("a/../other/secret.txt"));
        calls.push(no("list_dir", json!({"path": at.path("a/..")})));
        calls.extend(writes(&at.paths(["a/../other/new.txt"])));
        calls
    }),
    technique(
        "symlink-dangling",
        "a write through a link that names nothing is walked as well: it makes nothing outside",
        |at| {
            symlink(at.out("not-yet"), at.inside.join("absolute")).unwrap();
            symlink(format!("../../other/{}/not-yet", at.name), at.inside.join("relative")).unwrap();
            let mut calls = writes(&at.paths(["absolute", "relative", "absolute/x", "relative/x"]));
            calls.push(no("make_dir", json!({"path": at.path("relative")})));
            calls
        },
    ),
    technique("symlink-loop", "at most 40 links are followed", |at| {
        symlink("b", at.inside.join("a")).unwrap();
        symlink("a", at.inside.join("b")).unwrap();
        symlink("self/self", at.inside.join("self")).unwrap();
        let mut calls = looks(&at.path("a"));
        calls.extend(writes(&at.paths(["b", "self/x"])));
        calls
    }),
    technique("symlink-to-the-root", "`/` and the folder above are outside", |at| {
        symlink("/", at.inside.join("root")).unwrap();
        symlink("../..", at.inside.join("up")).unwrap();
        let outside = at.out("secret.txt");
        let mut calls = reads(&at.paths([format!("root{outside}").as_str(), "up/secret.txt", "root/etc/passwd"]));
        calls.push(no("list_dir", json!({"path": at.path("root")})));
        calls.push(no("list_dir", json!({"path": at.path("up")})));
        calls.extend(writes(&at.paths(["up/new.txt"])));
        calls
    }),
    technique("magic-links", "links into /proc are absolute, and the kernel is told to follow no magic link", |at| {
        let pid = std::process::id();
        for (name, target) in [
            ("root", "/proc/self/root".to_owned()),
            ("cwd", "/proc/self/cwd".to_owned()),
            ("fd", "/proc/self/fd".to_owned()),
            ("other", format!("/proc/{pid}/cwd")),
            ("other-root", format!("/proc/{pid}/root")),
            ("dev", "/dev/fd".to_owned()),
            ("stdin", "/dev/stdin".to_owned()),
            ("thread", "/proc/thread-self/root".to_owned()),
        ] {
            symlink(target, at.inside.join(name)).unwrap();
        }
        let outside = at.out("secret.txt");
        let mut calls = reads(&at.paths([format!("root{outside}").as_str(), &format!("other-root{outside}")]));
        calls.extend(reads(&at.paths(["cwd/secret.txt", "fd/0", "fd/3", "other/Cargo.toml", "stdin"])));
        calls.push(no("list_dir", json!({"path": at.path("fd")})));
        calls.push(no("list_dir", json!({"path": at.path("dev")})));
        calls.extend(writes(&at.paths(["fd/5", "cwd/new.txt", &format!("thread{}", at.out("new.txt"))])));
        calls
    }),
    technique(
        "hard-link-to-outside",
        "a file with a name outside is never changed or taken away, for that would change it there",
        |at| {
            at.write("own.txt", "own");
            fs::write(at.outside.join("shared.txt"), "shared").unwrap();
            fs::hard_link(at.outside.join("shared.txt"), at.inside.join("hard")).unwrap();
            fs::create_dir(at.inside.join("sub")).unwrap();
            fs::hard_link(at.outside.join("shared.txt"), at.inside.join("sub/hard")).unwrap();
            vec![
                may("read_file", json!({"path": at.path("hard")})),
                no("write_file", json!({"path": at.path("hard"), "content": "evil"})),
                no("edit_file", json!({"path": at.path("hard"), "old": "shared", "new": "evil"})),
                no("move", json!({"from": at.path("own.txt"), "to": at.path("hard"), "replace": true})),
                no("copy", json!({"from": at.path("own.txt"), "to": at.path("hard"), "replace": true})),
                no("delete", json!({"path": at.path("hard")})),
                no("delete", json!({"path": at.path("sub"), "recursive": true})),
            ]
        },
    ),
    technique("hard-link-to-a-protected-name", "a file is protected under all of its names", |at| {
        at.write(".bashrc", "alias ls=ls\n");
        fs::hard_link(at.inside.join(".bashrc"), at.inside.join("harmless.txt")).unwrap();
        vec![
            may("read_file", json!({"path": at.path("harmless.txt")})),
            no("write_file", json!({"path": at.path("harmless.txt"), "content": "evil"})),
            no("edit_file", json!({"path": at.path("harmless.txt"), "old": "alias", "new": "evil"})),
        ]
    }),
    technique("symlink-to-a-protected-name", "what is decided about is where the path really leads", |at| {
        at.write("own.txt", "own");
        fs::create_dir_all(at.inside.join(".git/hooks")).unwrap();
        at.write(".env", BAIT);
        symlink(".git/hooks", at.inside.join("innocent")).unwrap();
        symlink(".env", at.inside.join("readme.txt")).unwrap();
        symlink(".bashrc", at.inside.join("notes.txt")).unwrap();
        let mut calls = looks(&at.path("readme.txt"));
        calls.extend(writes(&at.paths(["innocent/pre-commit", "notes.txt", "readme.txt"])));
        calls.extend(arrivals(&at.path("innocent/post-merge"), &at.path("own.txt")));
        calls.push(no("make_dir", json!({"path": at.path("innocent/sub")})));
        calls
    }),
];

/// What is not a file.
pub const SPECIAL: &[Technique] = &[
    technique("fifo", "what is no file, folder or link is never opened: nothing blocks", |at| {
        at.write("own.txt", "own");
        node(&at.inside.join("pipe"), &["p"]);
        let mut calls = looks(&at.path("pipe"));
        calls.extend(changes(&at.path("pipe"), &at.path("own.txt")));
        calls.push(no("copy", json!({"from": at.path("pipe"), "to": at.path("copy")})));
        calls.push(no("archive", json!({"from": [at.path("pipe")], "to": at.path("a.tar")})));
        calls.push(no("extract_archive", json!({"from": at.path("pipe"), "to": at.path("out")})));
        calls.push(may("search", json!({"path": at.name, "pattern": "x"})));
        calls
    }),
    technique("socket", "the same", |at| {
        at.write("own.txt", "own");
        drop(UnixListener::bind(at.inside.join("socket")).unwrap());
        let mut calls = looks(&at.path("socket"));
        calls.extend(changes(&at.path("socket"), &at.path("own.txt")));
        calls.push(no("copy", json!({"from": at.path("socket"), "to": at.path("copy")})));
        calls.push(no("archive", json!({"from": [at.path("socket")], "to": at.path("a.zip")})));
        calls
    }),
    technique("device", "the same: no device is opened, and none is made from an archive", |at| {
        at.write("own.txt", "own");
        if is_root() {
            node(&at.inside.join("zero"), &["c", "1", "5"]);
            node(&at.inside.join("disk"), &["b", "7", "200"]);
        } else {
            node(&at.inside.join("zero"), &["p"]);
            node(&at.inside.join("disk"), &["p"]);
        }
        archives::tar(
            &at.inside.join("node.tar"),
            &[(EntryType::Char, b"null", b"", b""), (EntryType::Fifo, b"pipe", b"", b"")],
        );
        let mut calls = looks(&at.path("zero"));
        calls.extend(changes(&at.path("disk"), &at.path("own.txt")));
        calls.push(no("copy", json!({"from": at.path("zero"), "to": at.path("copy")})));
        calls.push(no("archive", json!({"from": [at.path("disk")], "to": at.path("a.tar")})));
        calls.push(no("extract_archive", json!({"from": at.path("node.tar"), "to": at.path("out")})));
        calls
    }),
    technique(
        "granted-folder-itself",
        "the granted folder cannot be moved, replaced, deleted or written as a file",
        |at| {
            at.write("own.txt", "own");
            let mut calls = Vec::new();
            for root in [".", "", "./.", &at.path("..")] {
                calls.push(no("delete", json!({"path": root, "recursive": true})));
                calls.push(no("move", json!({"from": root, "to": at.path("moved")})));
                calls.push(no("move", json!({"from": at.name, "to": root, "replace": true})));
                calls.push(no("copy", json!({"from": at.path("own.txt"), "to": root, "replace": true})));
                calls.push(no("write_file", json!({"path": root, "content": "x"})));
                calls.push(no("extract_archive", json!({"from": at.path("own.txt"), "to": root})));
            }
            calls
        },
    ),
];

/// Names that are protected, in every spelling.
pub const NAMES: &[Technique] = &[
    technique("protected-not-yet-there", "protected by name, whether it exists or not", |at| {
        fs::create_dir(at.inside.join(".cargo")).unwrap();
        writes(&at.paths([
            ".bashrc",
            ".profile",
            ".zshenv",
            ".git/hooks/pre-commit",
            ".git/config",
            ".gitattributes",
            ".ssh/authorized_keys",
            ".ssh/config",
            ".vscode/tasks.json",
            ".vscode/settings.json",
            ".idea/workspace.xml",
            ".claude/settings.json",
            "CLAUDE.md",
            "AGENTS.md",
            ".mcp.json",
            ".cursorrules",
            ".envrc",
            ".env",
            ".env.local",
            ".npmrc",
            ".config/autostart/x.desktop",
            ".config/systemd/user/x.service",
            ".local/share/raincoat/keys",
            ".config/raincoat/config.toml",
            ".local/state/raincoat/head",
            ".local/bin/ls",
            ".github/workflows/ci.yml",
            ".cargo/config.toml",
            "sub/deep/.git/hooks/post-checkout",
            "x.pth",
            "sitecustomize.py",
        ]))
    }),
    technique("protected-by-mkdir", "the same for folders and for the folders made on the way to a file", |at| {
        let folders = [".git", ".git/hooks", ".ssh", ".vscode", ".claude", "a/b/.husky/c", ".gnupg", ".config/fish"];
        at.paths(folders).iter().map(|path| no("make_dir", json!({"path": path}))).collect()
    }),
    technique("protected-by-arrival", "the same for what is moved, copied, packed or unpacked there", |at| {
        at.write("own.txt", "own");
        archives::tar(&at.inside.join("own.tar"), &[file("pre-commit", "evil")]);
        let mut calls = Vec::new();
        for name in [".bashrc", ".git/config", "CLAUDE.md", ".mcp.json", ".envrc", "id_rsa", "Agents.MD"] {
            calls.extend(arrivals(&at.path(name), &at.path("own.txt")));
        }
        calls.push(no("extract_archive", json!({"from": at.path("own.tar"), "to": at.path(".git/hooks")})));
        calls.push(no("extract_archive", json!({"from": at.path("own.tar"), "to": at.path(".vscode")})));
        calls.push(no("archive", json!({"from": [at.path("own.txt")], "to": at.path(".git/x.zip")})));
        calls.push(no("archive", json!({"from": [at.path("own.txt")], "to": at.path(".env.zip")})));
        calls
    }),
    technique(
        "protected-by-a-renamed-folder",
        "a tree may not arrive where it would become, or begin, a protected name",
        |at| {
            at.write("hooks/pre-commit", "evil");
            fs::create_dir(at.inside.join(".local")).unwrap();
            fs::create_dir(at.inside.join("sub")).unwrap();
            at.write("conf/autostart/x.desktop", "evil");
            at.write("share/raincoat/keys", "evil");
            at.write("wf/workflows/ci.yml", "evil");
            at.write("code/tasks.json", "evil");
            let mut calls = Vec::new();
            for (from, to) in [
                ("hooks", ".git/hooks"),
                ("hooks", ".git"),
                ("conf", ".config"),
                ("share", ".local/share"),
                ("wf", ".github"),
                ("code", ".vscode"),
                ("conf", ".CONFIG"),
                ("code", "sub/.VsCode"),
                ("conf", ".cargo"),
            ] {
                calls.push(no("move", json!({"from": at.path(from), "to": at.path(to)})));
                calls.push(no("copy", json!({"from": at.path(from), "to": at.path(to)})));
            }
            calls
        },
    ),
    technique("protected-in-another-case", "names are compared folded, whether the file system folds or not", |at| {
        let mut calls = writes(&at.paths([
            ".GIT/config",
            ".Git/hooks/pre-commit",
            ".BASHRC",
            ".SSH/authorized_keys",
            ".VSCODE/tasks.json",
            "claude.MD",
            ".MCP.JSON",
            ".EnvRC",
            ".ENV",
            ".ba\u{17f}hrc",
            ".\u{212a}shrc",
            ".g\u{131}t/config",
        ]));
        calls.push(no("make_dir", json!({"path": at.path(".gIt")})));
        calls
    }),
    technique("protected-with-ignorables", "characters that a file system may ignore are ignored", |at| {
        writes(&at.paths([
            ".g\u{200c}it/config",
            ".git\u{200d}/config",
            ".bash\u{feff}rc",
            ".en\u{200e}v",
            "\u{202e}.bashrc",
            ".s\u{206a}sh/config",
            ".bash\u{00ad}rc",
            ".bash\u{200b}rc",
            ".bash\u{2060}rc",
            ".ba\u{fe0f}shrc",
            ".bash\u{034f}rc",
            ".bash\u{180e}rc",
            ".bash\u{e0001}rc",
            ".bash\u{115f}rc",
            "\\u{200c}.git/config",
        ]))
    }),
    technique(
        "protected-as-windows-writes-it",
        "NTFS streams, dots and spaces at the end and short names are seen through",
        |at| {
            writes(&at.paths([
                ".git::$INDEX_ALLOCATION/config",
                ".bashrc::$DATA",
                ".bashrc:evil",
                ".bashrc.",
                ".bashrc ",
                ".bashrc. . .",
                ".git./config",
                ".git /config",
                "CLAUDE.md::$DATA",
                "GIT~1/config",
                "git~1/hooks/pre-commit",
                "BASHRC~1",
                "ENV~1",
                "MCP~1.JSO",
                "GITCON~1",
            ]))
        },
    ),
    technique(
        "protected-content-read",
        "credentials and keys are not read, hashed, searched, copied, packed or moved into the open",
        |at| {
            for name in [".env", ".env.production", "id_rsa", ".netrc", ".ssh/id_x", ".aws/credentials", ".npmrc"] {
                at.write(name, BAIT);
            }
            let mut calls = Vec::new();
            for name in
                [".env", ".env.production", "id_rsa", ".netrc", ".ssh/id_x", ".aws/credentials", ".npmrc", ".ENV"]
            {
                calls.push(no("read_file", json!({"path": at.path(name)})));
                calls.push(no("copy", json!({"from": at.path(name), "to": at.path("open.txt")})));
                calls.push(no("move", json!({"from": at.path(name), "to": at.path("open.txt")})));
            }
            calls.push(no("hash", json!({"path": at.path(".env")})));
            calls.push(no("search", json!({"path": at.path(".env"), "pattern": "."})));
            calls.push(no("edit_file", json!({"path": at.path(".env"), "old": "BAIT", "new": "x"})));
            calls.push(no("copy", json!({"from": at.path(".ssh"), "to": at.path("open")})));
            calls.push(no("move", json!({"from": at.path(".ssh"), "to": at.path("open")})));
            calls.push(no("copy", json!({"from": at.name, "to": format!("{}-copy", at.name)})));
            calls.push(no("archive", json!({"from": [at.name], "to": "all.zip"})));
            calls.push(no("archive", json!({"from": [at.path(".env")], "to": at.path("env.tar")})));
            calls.push(may("search", json!({"path": at.name, "pattern": "BAIT"})));
            calls.push(may("search", json!({"path": "", "pattern": "do not let", "glob": ".env*"})));
            calls
        },
    ),
    technique(
        "protected-taken-away",
        "what judges or starts things is not deleted or moved away either, nor within a tree",
        |at| {
            at.write("p/.git/config", "[core]\n");
            at.write("p/.bashrc", "x\n");
            at.write("p/.claude/settings.json", "{}\n");
            vec![
                no("delete", json!({"path": at.path("p/.bashrc")})),
                no("move", json!({"from": at.path("p/.bashrc"), "to": at.path("p/old")})),
                no("move", json!({"from": at.path("p/.git"), "to": at.path("p/git")})),
                no("delete", json!({"path": at.path("p/.git"), "recursive": true})),
                no("delete", json!({"path": at.path("p"), "recursive": true})),
                no("edit_file", json!({"path": at.path("p/.claude/settings.json"), "old": "{}", "new": "{1}"})),
                no("edit_file", json!({"path": at.path("p/.git/config"), "old": "core", "new": "alias"})),
            ]
        },
    ),
];

/// Archives.
pub const ARCHIVES: &[Technique] = &[
    technique(
        "archive-with-dot-dot",
        "every entry is looked at before any is taken out; one that would leave refuses all",
        |at| {
            let dir = &at.inside;
            archives::tar(&dir.join("a.tar"), &[file("fine", "x"), file("../../../other/new.txt", "evil")]);
            archives::tar_gz(&dir.join("a.tgz"), &[file("sub/../../../../new.txt", "evil")]);
            archives::zip(&dir.join("a.zip"), &[("../../../other/new.txt", b"evil")], &[]);
            archives::zip(&dir.join("b.zip"), &[("..\\..\\..\\other\\new.txt/../../../../x", b"evil")], &[]);
            extracts(at, &["a.tar", "a.tgz", "a.zip", "b.zip"])
        },
    ),
    technique("archive-with-absolute-names", "the same", |at| {
        let path = at.out("new.txt");
        let short = "/tmp/raincoat-breakout-new.txt";
        archives::tar(&at.inside.join("a.tar"), &[file(if path.len() < 100 { &path } else { short }, "evil")]);
        archives::zip(&at.inside.join("a.zip"), &[(&path, b"evil")], &[]);
        extracts(at, &["a.tar", "a.zip"])
    }),
    technique(
        "archive-symlink-then-file",
        "no entry may lie below a link, and no link may lead out of the new folder",
        |at| {
            let dir = &at.inside;
            let up = format!("../../../other/{}", at.name);
            archives::tar(&dir.join("a.tar"), &[link(EntryType::Symlink, "d", &up), file("d/new.txt", "evil")]);
            archives::tar(&dir.join("b.tar"), &[link(EntryType::Symlink, "d", "/"), file("d/tmp/x", "evil")]);
            archives::tar(&dir.join("c.tar"), &[link(EntryType::Symlink, "d", "."), file("d/x", "evil")]);
            archives::tar(&dir.join("d.tar"), &[link(EntryType::Symlink, "d", &format!("{up}/secret.txt"))]);
            archives::zip(&dir.join("a.zip"), &[("d/new.txt", b"evil")], &[("d", &up)]);
            archives::zip(&dir.join("b.zip"), &[], &[("d", &format!("{up}/secret.txt"))]);
            extracts(at, &["a.tar", "b.tar", "c.tar", "d.tar", "a.zip", "b.zip"])
        },
    ),
    technique("archive-hard-link", "a hard link in an archive may only name an entry before it", |at| {
        let dir = &at.inside;
        let up = format!("../../../other/{}/secret.txt", at.name);
        archives::tar(&dir.join("a.tar"), &[link(EntryType::Link, "h", &up)]);
        archives::tar(&dir.join("b.tar"), &[link(EntryType::Link, "h", "/etc/passwd")]);
        archives::tar(&dir.join("c.tar"), &[link(EntryType::Link, "h", "later"), file("later", "x")]);
        archives::tar(&dir.join("d.tar"), &[link(EntryType::Symlink, "s", "../x"), link(EntryType::Link, "h", "s")]);
        extracts(at, &["a.tar", "b.tar", "c.tar", "d.tar"])
    }),
    technique("archive-with-protected-names", "an archive with a protected name in it refuses as a whole", |at| {
        let dir = &at.inside;
        archives::tar(&dir.join("a.tar"), &[file("p/.git/hooks/pre-commit", "evil")]);
        archives::tar(&dir.join("b.tar"), &[file("fine", "x"), file("P/.BashRC", "evil")]);
        archives::zip(&dir.join("a.zip"), &[("CLAUDE.md", b"evil")], &[]);
        archives::zip(&dir.join("b.zip"), &[(".g\u{200c}it/config", b"evil")], &[]);
        let mut calls = extracts(at, &["a.tar", "b.tar", "a.zip", "b.zip"]);
        archives::tar(&dir.join("c.tar"), &[file("hooks/pre-commit", "evil"), file("autostart/x", "evil")]);
        for to in [".git", ".config", ".husky", "x/.git/hooks"] {
            calls.push(no("extract_archive", json!({"from": at.path("c.tar"), "to": at.path(to)})));
        }
        calls
    }),
    technique("archive-bomb", "what comes out is limited to 200 times what went in, beyond 16 MiB", |at| {
        archives::bomb(&at.inside.join("bomb.zip"), 48 << 20);
        let zeros = vec![0; 48 << 20];
        archives::tar_gz(&at.inside.join("bomb.tgz"), &[(EntryType::Regular, b"zeros", b"", &zeros)]);
        extracts(at, &["bomb.zip", "bomb.tgz"])
    }),
    technique("archive-odd-names", "names that cannot be, that come twice or lie too deep refuse the whole", |at| {
        let dir = &at.inside;
        archives::tar(&dir.join("a.tar"), &[file("same", "1"), file("same", "2")]);
        archives::zip(&dir.join("a.zip"), &[("a\0b", b"evil")], &[]);
        archives::zip(&dir.join("b.zip"), &[(&"d/".repeat(400), b""), (&format!("{}f", "d/".repeat(400)), b"x")], &[]);
        archives::zip(&dir.join("c.zip"), &[(&"n".repeat(300), b"evil")], &[]);
        archives::zip(&dir.join("d.zip"), &[("f", b"x"), ("f/g", b"x")], &[]);
        fs::write(dir.join("e.zip"), b"PK\x03\x04 not a zip").unwrap();
        extracts(at, &["a.tar", "a.zip", "b.zip", "c.zip", "d.zip", "e.zip"])
    }),
];

fn extracts(at: &At, archives: &[&str]) -> Vec<Call> {
    let extract =
        |name: &&str| no("extract_archive", json!({"from": at.path(name), "to": at.path(&format!("out-{name}"))}));
    archives.iter().map(extract).collect()
}

/// Calls that no honest model makes.
pub const FORGED: &[Technique] = &[
    technique("tools-that-are-none", "only the tools that were offered exist", |at| {
        [
            "shell",
            "exec",
            "bash",
            "run_command",
            "http_get",
            "fetch",
            "grant",
            "undo",
            "Revert",
            "",
            "read_file\0",
            "../read_file",
        ]
        .iter()
        .map(|tool| no(tool, json!({"path": at.path("x"), "command": "cat /etc/passwd"})))
        .collect()
    }),
    technique("forged-arguments", "arguments are read strictly: kinds, ranges and names must fit", |at| {
        at.write("own.txt", "own");
        let path = at.path("own.txt");
        let mut calls = vec![
            no("read_file", json!({"path": path, "root": 1})),
            no("read_file", json!({"path": path, "root": 65_535})),
            no("read_file", json!({"path": path, "offset": -1})),
            no("read_file", json!({"path": path, "length": -5})),
            no("read_file", json!({"path": path, "offset": 1e300})),
            no("read_file", json!({"path": [path]})),
            no("read_file", json!({"path": {"root": 7, "path": path}})),
            no("list_dir", json!({"path": path, "depth": 4_294_967_296_u64})),
            no("list_dir", json!({"path": path, "skip": -1})),
            no("delete", json!({"path": path, "recursive": "yes"})),
            no("archive", json!({"from": [], "to": at.path("a.zip")})),
            no("archive", json!({"from": [at.path("own.txt")], "to": at.path("a.exe")})),
            no("write_file", json!({"path": path, "content": "x", "mode": 0o4777})),
            no("write_file", json!({"path": path, "content": "x", "expect": "Anything"})),
            no("search", json!({"path": path, "pattern": "(".repeat(3_000)})),
            no("search", json!({"path": path, "pattern": "(((("})),
            no("search", json!({"path": path, "pattern": "((a{1000}){1000}){1000}"})),
            may("read_file", json!({"path": path, "offset": u64::MAX, "length": u64::MAX})),
            may("read_file", json!({"path": path, "length": u64::MAX})),
            may("list_dir", json!({"path": at.name, "depth": u32::MAX, "skip": u64::MAX})),
        ];
        for raw in ["", "null", "[]", "not json", "{\"path\":", "{\"path\": \"a\", \"path\": \"b\"}"] {
            calls.push(Call { tool: "stat".to_owned(), arguments: raw.to_owned(), refused: true });
        }
        let deep = format!("{}{}", "{\"path\":".repeat(5_000), "}".repeat(5_000));
        calls.push(Call { tool: "stat".to_owned(), arguments: deep, refused: true });
        calls
    }),
];

/// Every table, for the test that they are documented.
pub const ALL: &[&[Technique]] = &[PATHS, LINKS, SPECIAL, NAMES, ARCHIVES, FORGED];
