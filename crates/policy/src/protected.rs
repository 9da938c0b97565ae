//! Names that no agent changes, whether they exist or not (DESIGN 9): what starts programs, what judges agents, and
//! what opens doors. Data, reviewed; the reason stands beside each.
//!
//! A pattern is one or more names joined by `/` that match consecutive names anywhere on the absolute path. Names are
//! compared folded (see [`fold`]): stricter than the file system needs, so that no spelling slips through on one that
//! folds case or ignores characters.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use raincoat_gate::Protection;
use raincoat_types::RelPath;

/// A protected name.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// One or more names joined by `/`; one `*` in a name stands for any characters, or none.
    pub pattern: &'static str,
    /// Neither read nor changed, or only not changed.
    pub protection: Protection,
    /// Why, in a few words.
    pub why: &'static str,
}

const fn secret(pattern: &'static str, why: &'static str) -> Rule {
    Rule { pattern, protection: Protection::Secret, why }
}

const fn control(pattern: &'static str, why: &'static str) -> Rule {
    Rule { pattern, protection: Protection::Control, why }
}

/// The table.
pub fn rules() -> &'static [Rule] {
    RULES
}

const RULES: &[Rule] = &[
    // Our own.
    secret(".config/raincoat", "raincoat's own configuration"),
    secret(".local/share/raincoat", "raincoat's own data"),
    secret(".local/state/raincoat", "raincoat's own state"),
    secret(".raincoat", "raincoat's own data"),
    // Keys and credentials.
    secret(".ssh", "SSH keys and configuration"),
    secret(".gnupg", "OpenPGP keys"),
    secret(".aws", "cloud credentials"),
    secret(".azure", "cloud credentials"),
    secret(".config/gcloud", "cloud credentials"),
    secret(".kube", "cluster credentials"),
    secret(".docker/config.json", "registry credentials"),
    secret(".netrc", "logins"),
    secret("_netrc", "logins"),
    secret(".pgpass", "database logins"),
    secret(".my.cnf", "database logins"),
    secret(".git-credentials", "git logins"),
    secret(".config/git/credentials", "git logins"),
    secret(".config/gh/hosts.yml", "GitHub tokens"),
    secret(".config/hub", "GitHub tokens"),
    secret(".npmrc", "registry tokens"),
    secret(".yarnrc.yml", "registry tokens"),
    secret(".pypirc", "registry tokens"),
    secret(".cargo/credentials", "registry tokens"),
    secret(".cargo/credentials.toml", "registry tokens"),
    secret(".gem/credentials", "registry tokens"),
    secret(".terraform.d/credentials.tfrc.json", "cloud tokens"),
    secret(".vault-token", "vault token"),
    secret(".password-store", "passwords"),
    secret(".local/share/keyrings", "passwords"),
    secret(".mozilla", "browser profiles"),
    secret(".config/google-chrome", "browser profiles"),
    secret(".config/chromium", "browser profiles"),
    secret("id_rsa", "SSH private key"),
    secret("id_ecdsa", "SSH private key"),
    secret("id_ed25519", "SSH private key"),
    secret("id_dsa", "SSH private key"),
    secret(".env", "environment with secrets"),
    secret(".env.*", "environment with secrets"),
    secret(".envrc", "environment with secrets, run by direnv"),
    // What shells and sessions run at their start.
    control(".bashrc", "shell start-up"),
    control(".bash_profile", "shell start-up"),
    control(".bash_login", "shell start-up"),
    control(".bash_logout", "shell start-up"),
    control(".bash_aliases", "shell start-up"),
    control(".profile", "shell start-up"),
    control(".zshrc", "shell start-up"),
    control(".zshenv", "shell start-up"),
    control(".zprofile", "shell start-up"),
    control(".zlogin", "shell start-up"),
    control(".zlogout", "shell start-up"),
    control(".kshrc", "shell start-up"),
    control(".cshrc", "shell start-up"),
    control(".tcshrc", "shell start-up"),
    control(".login", "shell start-up"),
    control(".inputrc", "key bindings that run commands"),
    control(".config/fish", "shell start-up"),
    control(".config/nushell", "shell start-up"),
    control(".xprofile", "session start-up"),
    control(".xinitrc", "session start-up"),
    control(".xsession", "session start-up"),
    control(".xsessionrc", "session start-up"),
    control(".pam_environment", "session environment"),
    control(".config/environment.d", "session environment"),
    control(".config/autostart", "session start-up"),
    control(".config/systemd", "user services"),
    control(".local/share/systemd", "user services"),
    control(".local/share/applications", "what opens which file"),
    control(".local/share/dbus-1", "user services"),
    control(".local/bin", "programs on the path"),
    control("library/launchagents", "session start-up"),
    control("library/launchdaemons", "system start-up"),
    control(".crontab", "scheduled programs"),
    control(".tmux.conf", "runs commands"),
    control(".screenrc", "runs commands"),
    control(".config/tmux", "runs commands"),
    // Version control: hooks and configuration run programs.
    control(".git", "git hooks and configuration run programs"),
    control(".gitconfig", "git configuration runs programs"),
    control(".gitmodules", "git configuration fetches code"),
    control(".gitattributes", "git filters run programs"),
    control(".config/git", "git configuration runs programs"),
    control(".hg", "hooks run programs"),
    control(".hgrc", "hooks run programs"),
    control(".husky", "git hooks"),
    control(".pre-commit-config.yaml", "git hooks"),
    control(".lefthook.yml", "git hooks"),
    control("lefthook.yml", "git hooks"),
    // Editors: settings and tasks run programs.
    control(".vscode", "editor tasks and settings run programs"),
    control(".idea", "editor run configurations"),
    control(".zed", "editor tasks"),
    control(".vimrc", "editor start-up"),
    control(".exrc", "editor start-up"),
    control(".nvimrc", "editor start-up"),
    control(".vim", "editor start-up"),
    control(".config/nvim", "editor start-up"),
    control(".emacs", "editor start-up"),
    control(".emacs.d", "editor start-up"),
    control(".dir-locals.el", "editor start-up"),
    control(".config/code", "editor settings"),
    control(".config/zed", "editor settings"),
    control(".editorconfig", "editor settings"),
    control("*.code-workspace", "editor settings"),
    control(".devcontainer", "runs programs when opened"),
    // Agents: what they are told and what they may do.
    control(".claude", "agent configuration"),
    control(".claude.json", "agent configuration"),
    control("claude.md", "agent instructions"),
    control("agents.md", "agent instructions"),
    control("memory.md", "what an agent remembers"),
    control("soul.md", "who an agent is"),
    control("skill.md", "agent instructions"),
    control("raincoat*.cedar", "rules that judge agents"),
    control("gemini.md", "agent instructions"),
    control(".gemini", "agent configuration"),
    control(".codex", "agent configuration"),
    control(".cursor", "agent configuration"),
    control(".cursorrules", "agent instructions"),
    control(".windsurf", "agent configuration"),
    control(".windsurfrules", "agent instructions"),
    control(".clinerules", "agent instructions"),
    control(".roo", "agent configuration"),
    control(".continue", "agent configuration"),
    control(".aider*", "agent configuration"),
    control(".goosehints", "agent instructions"),
    control(".config/goose", "agent configuration"),
    control(".config/opencode", "agent configuration"),
    control(".opencode", "agent configuration"),
    control("opencode.json", "agent configuration"),
    control(".kiro", "agent configuration"),
    control(".amazonq", "agent configuration"),
    control(".github/copilot-instructions.md", "agent instructions"),
    control(".github/workflows", "runs programs in CI"),
    control(".gitlab-ci.yml", "runs programs in CI"),
    control(".mcp.json", "agent tools"),
    control("mcp.json", "agent tools"),
    control("mcp_config.json", "agent tools"),
    control("claude_desktop_config.json", "agent tools"),
    // Build tools that run what they find.
    control(".cargo/config", "build configuration runs programs"),
    control(".cargo/config.toml", "build configuration runs programs"),
    control(".pip", "package sources"),
    control(".config/pip", "package sources"),
    control(".gdbinit", "runs commands"),
    control(".lldbinit", "runs commands"),
    control(".pythonrc", "runs commands"),
    control(".pdbrc", "runs commands"),
    control("sitecustomize.py", "runs at every start of python"),
    control("usercustomize.py", "runs at every start of python"),
    control("*.pth", "runs at every start of python"),
    control("desktop.ini", "changes how a folder opens"),
    control("autorun.inf", "runs when a disk is opened"),
];

/// Whether a path beneath a granted folder is protected, and by which rule. `root` is the granted folder's absolute
/// path, whose names count too: a grant of `~/.config` does not open `autostart`. With `tree`, a whole tree arrives
/// under the name, so that the names before the end of a pattern are protected as well (`.config` before
/// `.config/autostart`).
pub fn protected(root: &[u8], path: &RelPath, tree: bool) -> Option<(Protection, &'static Rule)> {
    let own = root.split(|b| *b == b'/').filter(|n| !n.is_empty());
    let names: Vec<Cow<'_, str>> = own.chain(path.names()).map(folded).collect();
    let mut found: Option<&'static Rule> = None;
    for start in 0..names.len() {
        let rest = names.get(start..).unwrap_or_default();
        let Some(first) = rest.first() else { break };
        let exact = INDEX.exact.get(first.as_ref()).into_iter().flatten().copied();
        // A short name may be that of any.
        let any = if first.contains('~') { RULES } else { &[] };
        for rule in exact.chain(INDEX.loose.iter().copied()).chain(any) {
            if matches(rule.pattern, rest, tree) {
                // The strictest wins.
                match (found, rule.protection) {
                    (None, _) | (Some(_), Protection::Secret) => found = Some(rule),
                    _ => {}
                }
            }
        }
    }
    found.map(|rule| (rule.protection, rule))
}

/// The table by the first name of each pattern: a path is asked about at every change.
struct Index {
    exact: HashMap<&'static str, Vec<&'static Rule>>,
    /// Patterns whose first name has a `*` in it.
    loose: Vec<&'static Rule>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index { exact: HashMap::new(), loose: Vec::new() };
    for rule in RULES {
        let first = rule.pattern.split('/').next().unwrap_or_default();
        if first.contains('*') {
            index.loose.push(rule);
        } else {
            index.exact.entry(first).or_default().push(rule);
        }
    }
    index
});

/// Whether names begin with a pattern; with `tree`, whether they are the beginning of one.
fn matches(pattern: &str, names: &[Cow<'_, str>], tree: bool) -> bool {
    let mut wanted = pattern.split('/');
    let mut names = names.iter();
    loop {
        match (wanted.next(), names.next()) {
            (None, _) => return true,
            (Some(_), None) => return tree,
            (Some(want), Some(name)) if !name_matches(want, name) => return false,
            _ => {}
        }
    }
}

fn name_matches(want: &str, name: &str) -> bool {
    match want.split_once('*') {
        Some((start, end)) => name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => name == want || is_short_of(want, name),
    }
}

/// Whether a name is what FAT and NTFS may call `want` for programs of old, where it does not fit into eight letters
/// and three: six letters, `~`, a digit, and the beginning of the extension (Microsoft, "Naming Files, Paths, and
/// Namespaces"). The letters are those of `want` without leading dots.
fn is_short_of(want: &str, name: &str) -> bool {
    let Some((stem, number)) = name.split_once('~') else { return false };
    let (number, extension) = number.split_once('.').unwrap_or((number, ""));
    let bare = want.trim_start_matches('.');
    let (base, full) = bare.rsplit_once('.').unwrap_or((bare, ""));
    let short = |text: &str, most: usize| text.chars().filter(|c| !". ".contains(*c)).take(most).collect::<String>();
    let fits = bare.len() == want.len() && base.len() <= 8 && full.len() <= 3;
    !fits
        && number.len() == 1
        && number.bytes().all(|b| b.is_ascii_digit())
        && stem == short(base, 6)
        && extension == short(full, 3)
}

/// [`fold`], without a copy of a name that is folded already: most are, and every change asks about all of its path.
fn folded(name: &[u8]) -> Cow<'_, str> {
    if name.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_')) {
        String::from_utf8_lossy(name)
    } else {
        Cow::Owned(fold(name))
    }
}

/// A name as the most forgiving file system would see it: lower case (full Unicode mapping), without the characters
/// that HFS+ and ext4 ignore, without the dots and spaces that Windows drops at the end, without an NTFS stream's name.
/// Bytes that are not UTF-8 cannot be part of a protected name and become U+FFFD.
fn fold(name: &[u8]) -> String {
    if name.is_ascii() && !name.contains(&b':') {
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        return lower.trim_end_matches(['.', ' ']).to_owned();
    }
    let text = String::from_utf8_lossy(name);
    let lower: String = text.chars().filter(|c| !ignored(*c)).flat_map(char::to_lowercase).map(plain).collect();
    let stream = lower.split(':').next().unwrap_or_default();
    stream.trim_end_matches(['.', ' ']).to_owned()
}

/// Characters that file systems ignore in names: those of HFS+ (Apple TN1150; the list that git keeps for
/// `core.protectHFS`), and all that ext4 and F2FS drop where they fold case, which is Unicode's
/// `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt).
fn ignored(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Letters that case-folding file systems take for ASCII ones: the long s, the Kelvin sign, the dotless i.
fn plain(c: char) -> char {
    match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        '\u{131}' => 'i',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(root: &str, path: &str, tree: bool) -> Option<Protection> {
        protected(root.as_bytes(), &RelPath::new(path.as_bytes()).unwrap(), tree).map(|(p, _)| p)
    }

    #[test]
    fn a_short_name_is_protected_only_where_it_may_be_that_of_a_protected_one() {
        for path in ["GIT~1/config", "BASHRC~1", "a/ENV~2", "MCP~1.JSO", "CLAUDE~1.JSO", "GITCON~1", "ssh~1/id"] {
            assert!(verdict("/home/u", path, false).is_some(), "{path}");
        }
        // `claude.md` fits into eight letters and three, and these are short for nothing here.
        for path in ["CLAUDE~1.MD", "notes~1", "git~", "~git", "git~12", "PROGRA~1/x", "a~1.txt"] {
            assert_eq!(verdict("/home/u", path, false), None, "{path}");
        }
    }

    #[test]
    fn no_character_that_a_file_system_ignores_dodges() {
        for c in ["\u{ad}", "\u{34f}", "\u{200b}", "\u{2060}", "\u{fe0f}", "\u{180e}", "\u{e0001}", "\u{3164}"] {
            assert!(verdict("/home/u", &format!(".ba{c}shrc"), false).is_some(), "{c:?}");
        }
    }

    #[test]
    fn protected_names_hold_at_any_depth_in_any_spelling() {
        for path in [
            ".bashrc",
            "a/.BashRC",
            "proj/.git/hooks/pre-commit",
            "proj/.GIT",
            ".g\u{200c}it/config",
            ".git.",
            ".git ",
            ".git::$INDEX_ALLOCATION",
            ".vscode/tasks.json",
            "sub/AGENTS.md",
            "x.code-workspace",
            ".config/Autostart/x",
            "\u{212a}x/.\u{212a}shrc",
            "v/lib/evil.pth",
            "raincoat.cedar",
            "team/Raincoat-rules.cedar",
        ] {
            assert_eq!(verdict("/home/u", path, false), Some(Protection::Control), "{path}");
        }
        for path in
            [".ssh/id_ed25519", "backup/.ssh", ".env", "app/.env.local", ".config/raincoat/config.toml", ".envrc"]
        {
            assert_eq!(verdict("/home/u", path, false), Some(Protection::Secret), "{path}");
        }
        for path in ["bashrc", "git/config", "env", "notes.txt", "my.github/x", "sshd", ".config/foo", "environment"] {
            assert_eq!(verdict("/home/u", path, false), None, "{path}");
        }
    }

    #[test]
    fn a_name_that_is_taken_as_it_is_is_one_that_folding_leaves() {
        for byte in 0..=u8::MAX {
            for name in [vec![byte], vec![b'a', byte], vec![byte, b'0']] {
                assert_eq!(folded(&name), fold(&name), "{name:?}");
            }
        }
    }

    #[test]
    fn the_granted_folders_own_names_count() {
        assert_eq!(verdict("/home/u/.config", "autostart/x.desktop", false), Some(Protection::Control));
        assert_eq!(verdict("/home/u/.ssh", "config", false), Some(Protection::Secret));
    }

    #[test]
    fn a_tree_may_not_arrive_where_it_would_complete_a_protected_path() {
        assert_eq!(verdict("/home/u", ".config", false), None);
        assert_eq!(verdict("/home/u", ".config", true), Some(Protection::Secret));
        assert_eq!(verdict("/home/u", "docs", true), None);
    }

    #[test]
    fn every_rule_is_written_folded_and_reasoned() {
        for rule in RULES {
            for name in rule.pattern.split('/') {
                assert_eq!(fold(name.as_bytes()), name, "{}", rule.pattern);
                assert!(name.matches('*').count() <= 1, "{}", rule.pattern);
            }
            assert!(!rule.why.is_empty());
        }
    }

    proptest::proptest! {
        #[test]
        fn folding_is_stable_and_no_prefix_or_case_dodges(before in "[a-z/]{0,10}", upper in proptest::bool::ANY, any in "[a-z]{0,3}") {
            for rule in RULES {
                let name = rule.pattern.replace('*', &any);
                let name = if upper { name.to_uppercase() } else { name };
                let path: Vec<&str> = before.split('/').filter(|n| !n.is_empty()).chain(name.split('/')).collect();
                let path = RelPath::new(path.join("/").as_bytes()).unwrap();
                proptest::prop_assert!(protected(b"/home/u", &path, false).is_some(), "{}", rule.pattern);
            }
            let once = fold(before.as_bytes());
            proptest::prop_assert_eq!(fold(once.as_bytes()), once);
        }
    }
}
