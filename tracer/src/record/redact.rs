//! Arguments as records show them: what looks like a secret is left out. Pure.
//!
//! A guess by names and shapes, on the safe side: a password that stands where nothing says so is not found.

use std::borrow::Cow;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Which arguments records show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Argv {
    /// None: they are not even read.
    #[default]
    Off,
    /// All, with what looks like a secret redacted.
    Redacted,
    /// All as they are.
    Full,
}

impl Argv {
    /// The arguments as they may be shown.
    #[must_use]
    pub fn show(self, argv: &[String]) -> Option<Vec<String>> {
        match self {
            Self::Off => None,
            Self::Redacted => Some(redact(argv)),
            Self::Full => Some(argv.to_vec()),
        }
    }
}

/// Parts of names whose values are secrets; compared without case, `-` and `_`.
const SECRET_NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "bearer",
    "cookie",
    "signature",
];
/// The same as whole names.
const WHOLE_NAMES: [&str; 4] = ["pass", "pw", "pwd", "auth"];
/// What tokens of well-known issuers start with.
const TOKEN_STARTS: [&str; 12] =
    ["eyJ", "AKIA", "ASIA", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk-", "AIza"];
/// A token is at least this long.
const TOKEN_LEN: usize = 16;
/// Text without a space of at least this length, of upper case, lower case and digits, is nobody's word.
const RANDOM_LEN: usize = 40;
/// Programs whose `-p` is a password, alone or with it behind.
const DASH_P: [&str; 6] = ["mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "sshpass"];

/// Redacts what looks like a secret.
#[must_use]
pub fn redact(argv: &[String]) -> Vec<String> {
    let program = argv.first().map_or("", |program| program.rsplit('/').next().unwrap_or(program));
    let mut shown = Vec::with_capacity(argv.len());
    let mut secret_follows = false;
    for (n, arg) in argv.iter().enumerate() {
        let is_value = std::mem::take(&mut secret_follows) && !arg.starts_with("--");
        shown.push(if is_value {
            REDACTED.to_owned()
        } else if n > 0 && arg.contains(char::is_whitespace) {
            text(arg)
        } else {
            let (word, follows) = word(arg, program);
            secret_follows = n > 0 && follows;
            word.into_owned()
        });
    }
    shown
}

/// A script or a header: its words, with the white space as it is.
fn text(arg: &str) -> String {
    if let Some((name, _)) = arg.split_once(':').filter(|(name, _)| is_header(name) && is_secret_name(name)) {
        return format!("{name}: {REDACTED}");
    }
    let mut shown = String::with_capacity(arg.len());
    let (mut program, mut secret_follows) = ("", false);
    for piece in arg.split_inclusive(char::is_whitespace) {
        let bare = piece.trim_end_matches(char::is_whitespace);
        let space = &piece[bare.len()..];
        if bare.is_empty() {
            shown.push_str(piece);
            continue;
        }
        if std::mem::take(&mut secret_follows) && !bare.starts_with("--") {
            shown.push_str(REDACTED);
        } else {
            let (word, follows) = word(bare, program);
            secret_follows = follows;
            shown.push_str(&word);
        }
        shown.push_str(space);
        program = bare.rsplit('/').next().filter(|name| DASH_P.contains(name)).unwrap_or(program);
    }
    shown
}

/// One argument as it may be shown, and whether the next one is its secret.
fn word<'a>(arg: &'a str, program: &str) -> (Cow<'a, str>, bool) {
    if DASH_P.contains(&program)
        && let Some(behind) = arg.strip_prefix("-p")
    {
        return if behind.is_empty() { (arg.into(), true) } else { (format!("-p{REDACTED}").into(), false) };
    }
    if let Some((name, value)) = arg.split_once('=') {
        if is_secret_name(name) && !value.is_empty() {
            return (format!("{name}={REDACTED}").into(), false);
        }
        return (
            if looks_secret(value) { format!("{name}={REDACTED}").into() } else { user_info(arg) },
            false,
        );
    }
    let unquoted = arg.trim_matches(['"', '\'']);
    // A header's name and the word before a token, in a script: `'Authorization: Bearer ...'`.
    let names_secret = (arg.starts_with('-') || arg.ends_with(':')) && is_secret_name(unquoted);
    if names_secret || matches!(unquoted, "Bearer" | "Basic" | "bearer" | "basic") {
        return (arg.into(), true);
    }
    (if looks_secret(unquoted) { REDACTED.into() } else { user_info(arg) }, false)
}

fn is_header(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_secret_name(name: &str) -> bool {
    let name: String = name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    WHOLE_NAMES.contains(&name.as_str()) || SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

fn looks_secret(value: &str) -> bool {
    if value.starts_with("-----BEGIN") {
        return true;
    }
    if value.len() >= TOKEN_LEN && TOKEN_STARTS.iter().any(|start| value.starts_with(start)) {
        return true;
    }
    let of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | '=');
    value.len() >= RANDOM_LEN
        && value.chars().all(of_token)
        && value.contains(|c: char| c.is_ascii_uppercase())
        && value.contains(|c: char| c.is_ascii_lowercase())
        && value.contains(|c: char| c.is_ascii_digit())
}

/// `scheme://user:password@host`, and `user:password` alone before an `@`, without the password.
fn user_info(arg: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = arg.split_once("://") else { return arg.into() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((user_info, _)) = authority.rsplit_once('@') else { return arg.into() };
    let Some((user, _)) = user_info.split_once(':') else { return arg.into() };
    format!("{scheme}://{user}:{REDACTED}{}", &rest[user_info.len()..]).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(argv: &[&str]) -> Vec<String> {
        redact(&argv.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn values_of_secret_names_are_redacted() {
        assert_eq!(
            shown(&["x", "--password=hunter2", "PGPASSWORD=a"]),
            ["x", "--password=[redacted]", "PGPASSWORD=[redacted]"]
        );
        assert_eq!(shown(&["x", "--api-key", "k1", "-v"]), ["x", "--api-key", "[redacted]", "-v"]);
        assert_eq!(shown(&["x", "--token", "--verbose"]), ["x", "--token", "--verbose"]);
        assert_eq!(
            shown(&["x", "AWS_SECRET_ACCESS_KEY=a/b", "--pass", "p"])[1..],
            ["AWS_SECRET_ACCESS_KEY=[redacted]", "--pass", "[redacted]"]
        );
    }

    #[test]
    fn headers_and_addresses_lose_their_secrets() {
        assert_eq!(
            shown(&["curl", "-H", "Authorization: Bearer abc"]),
            ["curl", "-H", "Authorization: [redacted]"]
        );
        assert_eq!(shown(&["curl", "https://u:p@h/x?y@z"]), ["curl", "https://u:[redacted]@h/x?y@z"]);
        assert_eq!(shown(&["psql", "postgres://u:p@h:5432/d"]), ["psql", "postgres://u:[redacted]@h:5432/d"]);
        assert_eq!(shown(&["curl", "https://u@h/x"]), ["curl", "https://u@h/x"]);
    }

    #[test]
    fn scripts_are_read_word_by_word() {
        let script =
            "export PASSWORD=a; mysql -psecret -u root && curl -H 'Authorization: Bearer abc' https://u:p@h";
        assert_eq!(
            shown(&["sh", "-c", script])[2],
            "export PASSWORD=[redacted] mysql -p[redacted] -u root && curl -H 'Authorization: [redacted] abc' https://u:[redacted]@h"
        );
    }

    #[test]
    fn tokens_are_known_by_their_shape() {
        let random = "q7Zk2mXv9LpR4sTn8WbY1cDf6GhJ3kMa5NxQ0eUi";
        for token in ["eyJhbGciOiJIUzI1NiJ9.e30.x", "ghp_0123456789abcdefghij", random, "-----BEGIN"] {
            assert_eq!(shown(&["x", token]), ["x", "[redacted]"], "{token}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        let argv = [
            "/usr/bin/grep",
            "-r",
            "--include=*.rs",
            "/var/log/pods",
            "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a796857463524",
            "-p",
            "8080",
            "https://host/path",
            "x@y",
            "key=value",
        ];
        assert_eq!(shown(&argv), argv);
        assert_eq!(Argv::Off.show(&["ls".into()]), None);
        assert_eq!(Argv::Full.show(&["--token=x".into()]), Some(vec!["--token=x".into()]));
    }

    proptest! {
        #[test]
        fn a_named_secret_never_shows(secret in "[a-z0-9]{12,30}", other in "[ -~]{0,30}") {
            for argv in [vec![format!("--password={secret}")], vec!["--token".into(), secret.clone()], vec![format!("A_SECRET={secret}")]] {
                let mut all = vec!["x".to_owned(), other.replace(&secret, "").replace("--", "")];
                all.extend(argv);
                prop_assert!(!redact(&all).concat().contains(&secret), "{all:?}");
            }
        }

        #[test]
        fn every_argument_stays_one(argv in proptest::collection::vec("\\PC{0,40}", 0..6)) {
            prop_assert_eq!(redact(&argv).len(), argv.len());
        }
    }
}
