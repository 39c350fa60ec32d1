//! Members of JSON, wherever in an argument: `{"password": "x"}`. Pure.
//!
//! By its shape alone: a body may be cut off, stand in a script with its quotes escaped, or be Python's with single quotes.

use std::borrow::Cow;

use super::{REDACTED, names};

/// A longer name is none.
const LONGEST_NAME: usize = 128;

/// `text` without the values of members with secret names.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(quote) = next_quote(text, at) {
        at = quote.end;
        let Some(value) = value_of_secret(text, quote) else { continue };
        let (start, end) = secret_in(text, value);
        out.push_str(&text[copied..start]);
        out.push_str(REDACTED);
        (copied, at) = (end, end);
    }
    if copied == 0 {
        return text.into();
    }
    out.push_str(&text[copied..]);
    out.into()
}

/// A quote with the backslashes before it.
#[derive(Clone, Copy)]
struct Quote {
    start: usize,
    end: usize,
    mark: u8,
}

impl Quote {
    fn backslashes(self) -> usize {
        self.end - self.start - 1
    }

    /// The one that ends what this one begins; one inside has more backslashes.
    fn closing(self, text: &str, within: usize) -> Option<Self> {
        let mut at = self.end;
        while let Some(quote) = next_quote(text, at) {
            if quote.start > self.end.saturating_add(within) {
                return None;
            }
            if quote.mark == self.mark && quote.backslashes() <= self.backslashes() {
                return Some(quote);
            }
            at = quote.end;
        }
        None
    }
}

fn next_quote(text: &str, from: usize) -> Option<Quote> {
    let bytes = text.as_bytes();
    let at = from + bytes.get(from..)?.iter().position(|byte| matches!(byte, b'"' | b'\''))?;
    let backslashes = bytes[from..at].iter().rev().take_while(|byte| **byte == b'\\').count();
    Some(Quote { start: at - backslashes, end: at + 1, mark: bytes[at] })
}

/// Where the value begins, where `quote` begins the name of a secret member.
fn value_of_secret(text: &str, quote: Quote) -> Option<usize> {
    let closing = quote.closing(text, LONGEST_NAME)?;
    if !names::is_secret(&text[quote.end..closing.start]) {
        return None;
    }
    let colon = skip_space(text, closing.end);
    (text.as_bytes().get(colon) == Some(&b':')).then(|| skip_space(text, colon + 1))
}

fn skip_space(text: &str, from: usize) -> usize {
    from + text.as_bytes()[from..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// From where to where the secret is, of which the value begins there. What has no end is one to the end of the text.
fn secret_in(text: &str, value: usize) -> (usize, usize) {
    let rest = &text[value..];
    if let Some(quote) = next_quote(text, value).filter(|quote| quote.start == value) {
        return (quote.end, quote.closing(text, usize::MAX).map_or(text.len(), |closing| closing.start));
    }
    let len = match rest.as_bytes().first() {
        Some(b'[' | b'{') => nested(rest),
        _ => rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']')).unwrap_or(rest.len()),
    };
    (value, value + len)
}

/// How long an array or object is.
fn nested(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b'"' => {
                let closing = next_quote(text, at).and_then(|quote| quote.closing(text, usize::MAX));
                at = closing.map_or(text.len(), |closing| closing.end - 1);
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at.min(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_with_secret_names_lose_their_values() {
        for (text, shown) in [
            (r#"{"user":"me","password":"x","n":1}"#, r#"{"user":"me","password":"[redacted]","n":1}"#),
            (r#"{ "api_key" : "a \" b" }"#, r#"{ "api_key" : "[redacted]" }"#),
            (r#"{"a":{"token":12,"b":[1]}}"#, r#"{"a":{"token":[redacted],"b":[1]}}"#),
            (r#"{"credentials":{"u":"}","p":["x"]},"b":1}"#, r#"{"credentials":[redacted],"b":1}"#),
            (r#"{"password":"cut o"#, r#"{"password":"[redacted]"#),
            (r#"{"secrets":[{"a"#, r#"{"secrets":[redacted]"#),
            (r#"curl -d "{\"password\":\"x\"}" u"#, r#"curl -d "{\"password\":\"[redacted]\"}" u"#),
            (r"{'password': 'x'}", r"{'password': '[redacted]'}"),
            (r#"curl -d '{"password":"x"}'"#, r#"curl -d '{"password":"[redacted]"}'"#),
        ] {
            assert_eq!(redact(text), shown);
            assert_eq!(redact(shown), shown);
        }
    }

    #[test]
    fn other_members_stay() {
        for text in [r#"{"user":"me"}"#, r#"say "password" aloud"#, "it's", "\"", r#"["password"]"#, ""] {
            assert_eq!(redact(text), text);
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"(\PC|["'\\{}:,\[\]]|"password":){0,40}"#) {
            let once = redact(&text).into_owned();
            prop_assert!(once.len() <= text.len() + text.len() * REDACTED.len());
        }

        #[test]
        fn no_value_shows(secret in "[a-z]{12,30}", before in "[ !#-&(-\\[\\]-~]{0,20}", spaces in " {0,3}") {
            let text = format!("{before}{{\"db_password\"{spaces}:{spaces}\"{secret}\"}}");
            prop_assert!(!redact(&text).contains(&secret));
        }
    }
}
