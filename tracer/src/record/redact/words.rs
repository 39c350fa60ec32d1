//! Arguments and the words of scripts, one after the other: what one says of the next. Pure.

use std::borrow::Cow;

use super::{REDACTED, names, script};

/// What the value of an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// A secret.
    Secret,
    /// `Name: value`.
    Header,
    /// A form, JSON or anything else that is sent.
    Body,
    /// `name=secret`.
    Literal,
    /// `user:secret`.
    User,
}

/// Options of all programs, or of those whose options mean nothing else elsewhere.
const OPTIONS: [(&str, Value); 21] = [
    ("-H", Value::Header),
    ("--header", Value::Header),
    ("--proxy-header", Value::Header),
    ("-d", Value::Body),
    ("--data", Value::Body),
    ("--data-raw", Value::Body),
    ("--data-ascii", Value::Body),
    ("--data-binary", Value::Body),
    ("--data-urlencode", Value::Body),
    ("--json", Value::Body),
    ("-F", Value::Body),
    ("--form", Value::Body),
    ("--form-string", Value::Body),
    ("--body", Value::Body),
    ("--body-data", Value::Body),
    ("--post-data", Value::Body),
    ("--url-query", Value::Body),
    ("--raw-field", Value::Body),
    ("--field", Value::Body),
    ("--from-literal", Value::Literal),
    ("--proxy-user", Value::User),
];
/// Options of a program, which mean something else elsewhere. The value of a short one may stand right behind it.
const OPTIONS_OF: [(&str, &str, Value); 15] = [
    ("mysql", "-p", Value::Secret),
    ("mysqldump", "-p", Value::Secret),
    ("mysqladmin", "-p", Value::Secret),
    ("mariadb", "-p", Value::Secret),
    ("mariadb-dump", "-p", Value::Secret),
    ("sshpass", "-p", Value::Secret),
    ("mongo", "-p", Value::Secret),
    ("mongosh", "-p", Value::Secret),
    ("redis-cli", "-a", Value::Secret),
    ("ldapsearch", "-w", Value::Secret),
    ("ldapmodify", "-w", Value::Secret),
    ("curl", "-u", Value::User),
    ("curl", "-U", Value::User),
    ("curl", "--user", Value::User),
    ("curl", "-b", Value::Secret),
];
/// What stands between a header's name and the secret itself.
const SCHEMES: [&str; 4] = ["bearer", "basic", "token", "digest"];

/// Words of one command line.
pub(super) struct Words {
    program: &'static str,
    expected: Option<Value>,
}

impl Words {
    /// Of a command line that begins with this program.
    pub(super) fn of(program: &str) -> Self {
        let mut words = Self { program: "", expected: None };
        words.see_program(program);
        words
    }

    /// A script may run several.
    pub(super) fn see_program(&mut self, word: &str) {
        let name = word.trim_matches(['"', '\'', '(', '`', '$', ';']);
        let name = name.rsplit('/').next().unwrap_or(name);
        if let Some((program, ..)) = OPTIONS_OF.iter().find(|(program, ..)| *program == name) {
            self.program = program;
        }
    }

    /// Whether the next word is known to be a secret.
    pub(super) fn secret_follows(&self) -> bool {
        self.expected == Some(Value::Secret)
    }

    /// An argument, which may be a whole script.
    pub(super) fn argument(&mut self, argument: &str) -> String {
        if let Some(value) = self.of_the_option_before(argument) {
            return self.value(value, argument).into_owned();
        }
        if let Some(shown) = self.option_with_value(argument) {
            return shown;
        }
        if !argument.contains(char::is_whitespace) {
            return self.word(argument).into_owned();
        }
        match header(argument) {
            Some(shown) => shown,
            None => script::redact(argument),
        }
    }

    /// A word of a script.
    pub(super) fn word_of_script(&mut self, word: &str) -> String {
        if let Some(value) = self.of_the_option_before(word) {
            return self.value(value, word).into_owned();
        }
        self.option_with_value(word).unwrap_or_else(|| self.word(word).into_owned())
    }

    /// A long option is no secret, though one should come.
    fn of_the_option_before(&mut self, word: &str) -> Option<Value> {
        self.expected.take().filter(|value| *value != Value::Secret || !word.starts_with("--"))
    }

    /// `--header=Name: value`, `-HName: value`, `-psecret`.
    fn option_with_value(&mut self, word: &str) -> Option<String> {
        if let Some((option, value)) = word.split_once('=')
            && let Some(what) = self.option(option)
        {
            return Some(format!("{option}={}", self.value(what, value)));
        }
        let (option, value) = word.split_at_checked(2)?;
        let short = option.starts_with('-') && option != "--" && !value.is_empty();
        let what = self.option(option).filter(|_| short)?;
        match what {
            Value::Header if !value.contains(':') => None,
            // `-data`, as some write it.
            Value::Body if !value.contains(['=', '{']) => None,
            _ => Some(format!("{option}{}", self.value(what, value))),
        }
    }

    fn option(&self, word: &str) -> Option<Value> {
        let of_all = OPTIONS.iter().find(|(option, _)| *option == word).map(|(_, value)| *value);
        of_all.or_else(|| {
            let of_it =
                OPTIONS_OF.iter().find(|(program, option, _)| *program == self.program && *option == word);
            of_it.map(|(.., value)| *value)
        })
    }

    fn value<'a>(&mut self, what: Value, text: &'a str) -> Cow<'a, str> {
        match what {
            Value::Secret => self.secret(text),
            Value::Header => self.header(text),
            Value::Body => body(text),
            Value::Literal => match text.split_once('=') {
                Some((name, secret)) if !secret.is_empty() => format!("{name}={REDACTED}").into(),
                _ => text.into(),
            },
            Value::User => match text.split_once(':') {
                Some((user, secret)) if !secret.is_empty() => format!("{user}:{REDACTED}").into(),
                _ => text.into(),
            },
        }
    }

    fn secret<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        if SCHEMES.contains(&unquoted(text).to_ascii_lowercase().as_str()) {
            self.expected = Some(Value::Secret);
            return text.into();
        }
        if unquoted(text).starts_with(REDACTED) { text.into() } else { REDACTED.into() }
    }

    fn header<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        match text.split_once(':') {
            Some((name, value)) if names::is_secret_header(unquoted(name)) => {
                if value.trim().is_empty() {
                    self.expected = Some(Value::Secret);
                    return text.into();
                }
                if value.trim_start().starts_with(REDACTED) {
                    return text.into();
                }
                format!("{name}: {REDACTED}").into()
            }
            _ if text.contains(char::is_whitespace) => script::redact(text).into(),
            _ => self.word(text),
        }
    }

    /// A word of which nothing before it says what it is.
    fn word<'a>(&mut self, word: &'a str) -> Cow<'a, str> {
        if let Some(value) = self.option(word) {
            self.expected = Some(value);
            return word.into();
        }
        let bare = unquoted(word);
        // A header's name and the word before a token, in a script: `'Authorization: Bearer ...'`.
        let names_secret =
            !word.contains('=') && (word.starts_with('-') || word.ends_with(':')) && names::is_secret(bare);
        if names_secret || matches!(bare, "Bearer" | "Basic" | "bearer" | "basic") {
            self.expected = Some(Value::Secret);
            return word.into();
        }
        value(word)
    }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

/// `Name: secret` as one argument.
fn header(text: &str) -> Option<String> {
    let (name, value) = text.split_once(':')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let is_secret = is_name && names::is_secret_header(name) && !value.trim().is_empty();
    is_secret.then(|| format!("{name}: {REDACTED}"))
}

/// A form's fields; other bodies as any text. JSON's members were redacted before.
fn body(text: &str) -> Cow<'_, str> {
    let is_json = unquoted(text).trim_start().starts_with(['{', '[']);
    if !is_json && text.contains('=') {
        return form(text).into();
    }
    if !is_json && text.contains(char::is_whitespace) { script::redact(text).into() } else { value(text) }
}

fn form(text: &str) -> String {
    let field = |field: &str| match field.split_once('=') {
        Some((name, secret)) if names::is_secret(name) && !secret.is_empty() => format!("{name}={REDACTED}"),
        Some((name, other)) => format!("{name}={}", value(other)),
        None => field.to_owned(),
    };
    text.split('&').map(field).collect::<Vec<_>>().join("&")
}

/// A word that is no option: `NAME=value`, also behind another name (`--env=NAME=value`), an address, or a bare value.
pub(super) fn value(text: &str) -> Cow<'_, str> {
    if names::looks_secret(unquoted(text)) {
        return REDACTED.into();
    }
    if text.contains("://") && text.split_once('=').is_none_or(|(name, _)| name.contains("://")) {
        return address(text);
    }
    let Some((name, rest)) = text.split_once('=') else { return text.into() };
    if rest.is_empty() {
        return text.into();
    }
    if names::is_secret(name) {
        return format!("{name}={REDACTED}").into();
    }
    match value(rest) {
        Cow::Borrowed(_) => text.into(),
        Cow::Owned(rest) => format!("{name}={rest}").into(),
    }
}

/// An address without its password, and without the secrets of its query.
fn address(text: &str) -> Cow<'_, str> {
    let (place, query) = match text.find(['?', '#']) {
        Some(at) => (&text[..at], Some((&text[at..=at], &text[at + 1..]))),
        None => (text, None),
    };
    let place = match place.rsplit_once('=') {
        Some((name, _)) if names::is_secret(name) => format!("{name}={REDACTED}").into(),
        _ => user_info(place),
    };
    match query {
        Some((mark, query)) => format!("{place}{mark}{}", form(query)).into(),
        None => place,
    }
}

/// `scheme://user:password@host` without the password, which may have an `@` in it.
fn user_info(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return text.into() };
    let authority = rest.split('/').next().unwrap_or(rest);
    let Some((user_info, _)) = authority.rsplit_once('@') else { return text.into() };
    let Some((user, _)) = user_info.split_once(':') else { return text.into() };
    format!("{scheme}://{user}:{REDACTED}{}", &rest[user_info.len()..]).into()
}
