#![expect(clippy::disallowed_methods, reason = "a test's own files")]

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;

/// An environment whose home is a directory of the test's own.
fn env(home: &Path) -> Env {
    Env { home: Some(home.into()), ..Env::default() }
}

/// Puts a profile of the person's own into a home.
fn write(home: &Path, file: &str, text: &str) -> PathBuf {
    let dir = home.join(".config/raincoat/profiles");
    fs::create_dir_all(&dir).unwrap();
    for dir in [dir.as_path(), dir.parent().unwrap()] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = dir.join(file);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

fn words(text: &str) -> String {
    parse::parse("x", Source::Shipped, text, "x.toml").unwrap_err().message
}

#[test]
fn every_profile_that_comes_with_us_can_be_used() {
    let home = tempfile::tempdir().unwrap();
    let env = env(home.path());
    let mut commands = HashSet::new();
    let names = names(&env).unwrap();
    assert_eq!(names.len(), 11);
    for name in &names {
        let profile = load(name, &env).unwrap();
        assert_eq!((&profile.name, &profile.source), (name, &Source::Shipped));
        assert!(profile.description.len() > 10 && profile.description.len() < 70, "{name}");
        assert!(!profile.commands.is_empty(), "{name}");
        for command in &profile.commands {
            assert!(commands.insert(command.clone()), "{command} has two profiles");
            assert_eq!(for_command(OsStr::new(&format!("/usr/bin/{command}")), &env).as_deref(), Some(name.as_str()));
        }
        for mount in &profile.mounts {
            let at = mount.at(home.path());
            assert!(at.starts_with(home.path()) && at != home.path(), "{name}: {}", at.display());
            assert!(at.components().all(|part| part.as_os_str() != ".."), "{name}");
        }
        // Nothing that opens other doors is handed to anybody.
        for door in [
            ".ssh",
            ".gnupg",
            ".aws",
            ".netrc",
            ".git-credentials",
            ".config/git",
            ".config/git/credentials",
            ".npmrc",
            ".pypirc",
            ".cargo/credentials.toml",
            ".local/share/keyrings",
            ".bashrc",
            ".config",
            ".local",
        ] {
            assert!(!profile.mounts.iter().any(|mount| mount.below == door), "{name}: {door}");
        }
        for variable in [
            "LD_PRELOAD",
            "SSH_AUTH_SOCK",
            "DBUS_SESSION_BUS_ADDRESS",
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "CARGO_REGISTRY_TOKEN",
            "NPM_CONFIG__AUTH",
            "PIP_INDEX_URL",
            "HTTPS_PROXY",
            "PATH",
            "HOME",
        ] {
            assert!(!profile.passes(variable), "{name}: {variable}");
        }
    }
}

#[test]
fn a_later_mount_never_lies_under_an_earlier_one() {
    let home = tempfile::tempdir().unwrap();
    for (name, profile) in all(&env(home.path())).unwrap() {
        let mounts = profile.unwrap().mounts;
        for (at, mount) in mounts.iter().enumerate() {
            for earlier in mounts.iter().take(at) {
                assert!(!Path::new(&earlier.below).starts_with(&mount.below), "{name}: {} is hidden", earlier.below);
            }
        }
    }
}

#[test]
fn everything_that_a_profile_may_say_is_read() {
    let text = "description = \" all of it \"\nmatch = [\"one\", \"two\"]\nnet = [\"example.org\", \"localhost:11434\"]\n\
        protected = [\".git\", \".cargo/config.toml\", \"*.pth\"]\nsecrets = [\".npmrc\"]\nnest = true\n\
        [[mount]]\npath = \"~/.one\"\nhow = \"cache\"\n[[mount]]\npath = \"~/.one/two\"\nhow = \"read\"\n\
        [env]\npass = [\"ONE\", \"TWO_*\"]\nset = { THREE = \"3\", FOUR = \"\" }\n\
        [limits]\nmem = \"2G\"\nprocs = 100\ntime = \"10m\"\n";
    let profile = parse::parse("x", Source::Shipped, text, "x.toml").unwrap();
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let pairs =
        |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    let expected = Profile {
        name: "x".into(),
        source: Source::Shipped,
        description: "all of it".into(),
        net: texts(&["example.org", "localhost:11434"]),
        mounts: vec![
            Mount { below: ".one".into(), how: How::Cache },
            Mount { below: ".one/two".into(), how: How::Read },
        ],
        env_pass: texts(&["ONE", "TWO_*"]),
        env_set: pairs(&[("THREE", "3"), ("FOUR", "")]),
        protected: texts(&[".git", ".cargo/config.toml", "*.pth"]),
        secrets: texts(&[".npmrc"]),
        nest: true,
        limits: pairs(&[("mem", "2G"), ("procs", "100"), ("time", "10m")]),
        commands: texts(&["one", "two"]),
    };
    assert_eq!(profile, expected);
    assert!(profile.passes("ONE") && profile.passes("TWO_X") && !profile.passes("ONE_X") && !profile.passes("TWOX"));
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_what_would_be_right() {
    for (text, line, why) in [
        ("", 1, "needs a `description`"),
        ("description = \"x\"\nhosts = []\n", 2, "has no `hosts`; it has: description, match, net"),
        ("description = \"x\"\n\nnet = \"example.org\"\n", 3, "is a list of texts"),
        ("description = \"x\"\nnet = [\n  \"example.org\",\n  \"https://example.org\"]\n", 4, "name its host alone"),
        ("description = \"x\"\nnet = [\"localhost\"]\n", 2, "name the port"),
        ("description = \"x\"\nnet = [\"*\"]\n", 2, "only in front"),
        ("description = \"x\"\nnet = [\"a.org\", \"a.org\"]\n", 2, "twice"),
        ("description = \"x\"\nnet = [1]\n", 2, "is a list of texts"),
        ("description = \"\"\n", 1, "one line of text"),
        ("description = \"x\\ny\"\n", 1, "one line of text"),
        ("description = 1\n", 1, "one line of text"),
        ("description = \"x\"\ndescription = \"y\"\n", 2, "duplicate key"),
        ("description = \"x\"\nnest = \"yes\"\n", 2, "true or false"),
        ("description = \"x\"\nmatch = [\"/usr/bin/x\"]\n", 2, "name of a command alone"),
        ("description = \"x\"\nprotected = [\"../x\"]\n", 2, "not a name"),
        ("description = \"x\"\nprotected = [\"/etc\"]\n", 2, "not a name"),
        ("description = \"x\"\nsecrets = [\"a/b\"]\n", 2, "one name at the top"),
        ("description = \"x\"\nmount = \"~/.x\"\n", 2, "written as [[mount]]"),
        ("description = \"x\"\n[[mount]]\npath = \"~/.x\"\n", 2, "both `path` and `how`"),
        (
            "description = \"x\"\n[[mount]]\npath = \"~/.x\"\nhow = \"write\"\n",
            4,
            "\"draft\", \"read\", \"cache\" or \"empty\"",
        ),
        ("description = \"x\"\n[[mount]]\npath = \"~/.x\"\nhow = \"read\"\nsize = 1\n", 5, "has no `size`"),
        ("description = \"x\"\n[[mount]]\npath = \"/etc\"\nhow = \"read\"\n", 3, "not a path in your home"),
        ("description = \"x\"\n[[mount]]\npath = \"~\"\nhow = \"read\"\n", 3, "not a path in your home"),
        ("description = \"x\"\n[[mount]]\npath = \"~/\"\nhow = \"read\"\n", 3, "not a path in your home"),
        ("description = \"x\"\n[[mount]]\npath = \"~/a/../../b\"\nhow = \"read\"\n", 3, "not a path in your home"),
        ("description = \"x\"\n[[mount]]\npath = \"~/a//b\"\nhow = \"read\"\n", 3, "not a path in your home"),
        ("description = \"x\"\n[[mount]]\npath = \"~root/a\"\nhow = \"read\"\n", 3, "not a path in your home"),
        ("description = \"x\"\n[[mount]]\npath = \"~/.config\"\nhow = \"read\"\n", 3, "raincoat's own data"),
        (
            "description = \"x\"\n[[mount]]\npath = \"~/.local/share/raincoat/keys.bin\"\nhow = \"read\"\n",
            3,
            "own data",
        ),
        (
            "description = \"x\"\n[[mount]]\npath = \"~/a\"\nhow = \"read\"\n[[mount]]\npath = \"~/a\"\nhow = \"draft\"\n",
            5,
            "twice",
        ),
        ("description = \"x\"\n[env]\nall = true\n", 3, "has no `all`; it has: pass, set"),
        ("description = \"x\"\n[env]\npass = [\"*\"]\n", 3, "not a prefix"),
        ("description = \"x\"\n[env]\npass = [\"_*\"]\n", 3, "not a prefix"),
        ("description = \"x\"\n[env]\npass = [\"NP*\"]\n", 3, "not a prefix"),
        ("description = \"x\"\n[env]\npass = [\"A=B\"]\n", 3, "not the name of a variable"),
        ("description = \"x\"\n[env]\nset = { X = 1 }\n", 3, "a text in quotes"),
        ("description = \"x\"\n[env.set]\n\"X Y\" = \"1\"\n", 3, "not the name of a variable"),
        ("description = \"x\"\n[limits]\nram = 1\n", 3, "no limit `ram`; there are: cpu, mem"),
        ("description = \"x\"\n[limits]\nmem = \"lots\"\n", 3, "a number with its unit"),
        ("description = \"x\"\n[limits]\nmem = -1\n", 3, "a number with its unit"),
        ("description = \"x\"\n[limits]\nmem = 1.5\n", 3, "a number with its unit"),
        ("description = \"x\"\nnet = [\n", 2, ""),
        ("description = \"x\"\n= 3\n", 2, ""),
    ] {
        let said = words(text);
        assert!(said.starts_with(&format!("x.toml, line {line}: ")) && said.contains(why), "{text:?}: {said}");
    }
}

#[test]
fn the_persons_own_profile_wins_and_stands_beside_the_others() {
    let home = tempfile::tempdir().unwrap();
    let env = env(home.path());
    assert_eq!(for_command(OsStr::new("site-builder"), &env), None);
    let file = write(home.path(), "npm.toml", "description = \"mine\"\nmatch = [\"site-builder\"]\n");
    write(home.path(), "bad.toml", "description = 1\n");
    write(home.path(), "Not A Name.toml", "");
    write(home.path(), "notes.txt", "");
    let own = load("npm", &env).unwrap();
    assert_eq!((own.description.as_str(), own.source), ("mine", Source::File(file.clone())));
    assert_eq!(for_command(OsStr::new("site-builder"), &env).as_deref(), Some("npm"));
    assert_eq!(for_command(OsStr::new("npm"), &env), None, "mine is for another command");
    assert_eq!(load("git", &env).unwrap().source, Source::Shipped);
    let all = all(&env).unwrap();
    assert_eq!(all.len(), 12);
    let bad = all.iter().find(|(name, _)| name == "bad").unwrap().1.as_ref().unwrap_err();
    assert!(bad.message.ends_with("bad.toml, line 1: `description` is one line of text in quotes"), "{}", bad.message);
    // The configuration may lie elsewhere, and a file may be kept elsewhere.
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = Env { config_home: Some(elsewhere.path().into()), ..env };
    assert_eq!(load("npm", &moved).unwrap().source, Source::Shipped);
    fs::create_dir_all(elsewhere.path().join("raincoat/profiles")).unwrap();
    symlink(&file, elsewhere.path().join("raincoat/profiles/npm.toml")).unwrap();
    assert_eq!(load("npm", &moved).unwrap().description, "mine");
}

#[test]
fn what_others_could_have_written_is_not_taken() {
    let home = tempfile::tempdir().unwrap();
    let env = env(home.path());
    let file = write(home.path(), "npm.toml", "description = \"mine\"\n");
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for bad in [0o664, 0o646, 0o666] {
        mode(&file, bad);
        let error = load("npm", &env).unwrap_err();
        assert!(error.message.contains("others may write in it") && error.hint.contains("chmod go-w"), "{error:?}");
    }
    mode(&file, 0o444);
    assert_eq!(load("npm", &env).unwrap().description, "mine");
    let dir = file.parent().unwrap();
    for bad in [0o775, 0o757] {
        mode(dir, bad);
        assert!(load("npm", &env).unwrap_err().message.contains("others may write in it"));
        // Not even one that comes with us: somebody may have taken the person's own away.
        assert!(load("git", &env).is_err() && names(&env).is_err());
    }
    mode(dir, 0o755);
    // Neither a directory nor a long file nor text of another kind; and nothing waits for a FIFO.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(load("npm", &env).unwrap_err().message.contains("not a regular file"));
    fs::remove_dir(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(made.success());
    assert!(load("npm", &env).unwrap_err().message.contains("not a regular file"));
    fs::remove_file(&file).unwrap();
    write(home.path(), "npm.toml", &"#".repeat(FILE_MOST as usize + 1));
    assert!(load("npm", &env).unwrap_err().message.contains("more than"));
    fs::write(&file, b"description = \"\xff\"").unwrap();
    assert!(load("npm", &env).unwrap_err().message.contains("not UTF-8"));
}

#[test]
fn somebody_elses_file_is_not_taken() {
    let home = tempfile::tempdir().unwrap();
    let env = env(home.path());
    let file = write(home.path(), "npm.toml", "description = \"theirs\"\n");
    // Only root can give a file away; an ordinary user finds one that is somebody else's by following a link.
    if std::os::unix::fs::chown(&file, Some(12345), None).is_err() {
        fs::remove_file(&file).unwrap();
        symlink("/proc/1/mountinfo", &file).unwrap();
    }
    assert!(load("npm", &env).is_err());
}

#[test]
fn a_name_is_no_path() {
    let home = tempfile::tempdir().unwrap();
    let env = env(home.path());
    for bad in ["", "../x", "a/b", ".", "..", "X", "a b", "-x", "a\0", "é", &"x".repeat(65)] {
        let error = load(bad, &env).unwrap_err();
        assert!(error.message.contains("is no name of a profile"), "{bad:?}: {}", error.message);
    }
    let error = load("unheard-of", &env).unwrap_err();
    assert!(error.message.contains("there is no profile `unheard-of`"));
    assert!(error.hint.contains("raincoat profiles") && error.hint.contains("profiles/unheard-of.toml"));
}

#[test]
fn each_cache_is_a_private_directory_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let env = env(home.path());
    let ours = env.directories().unwrap();
    let mut seen = HashSet::new();
    for (_, profile) in all(&env).unwrap() {
        let profile = profile.unwrap();
        for mount in profile.mounts.iter().filter(|mount| mount.how == How::Cache) {
            let path = profile.cache(mount, &ours).unwrap();
            assert_eq!(path, profile.cache(mount, &ours).unwrap());
            assert_eq!(path.parent().unwrap(), ours.data.join("caches").join(&profile.name));
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
            assert!(seen.insert(path));
        }
    }
    assert!(seen.len() > 10);
}

proptest! {
    /// Any text is a profile or an error with a line; what is read keeps within the home.
    #[test]
    fn any_text_is_read_or_told(path in "~?/?[a-z./~%]{0,12}", how in "(draft|read|cache|empty|[a-z]{0,4})", noise in "\\PC{0,40}") {
        let text = format!("description = \"x\"\n[[mount]]\npath = \"{path}\"\nhow = \"{how}\"\n");
        match parse::parse("x", Source::Shipped, &text, "x.toml") {
            Ok(profile) => {
                let at = profile.mounts[0].at(Path::new("/home/u"));
                prop_assert!(at.starts_with("/home/u") && at != Path::new("/home/u"));
                prop_assert!(!at.to_str().unwrap().contains("/../"));
            }
            Err(error) => prop_assert!(error.message.starts_with("x.toml, line ")),
        }
        if let Err(error) = parse::parse("x", Source::Shipped, &noise, "x.toml") {
            prop_assert!(error.message.starts_with("x.toml, line "));
        }
    }
}
