//! Text from outside as people and terminals may get it: nothing in it is invisible or moves what stands beside it. Pure.
//!
//! Names, arguments, paths and messages come from containers, files and servers. An escape sequence, a bidi override or a
//! character without a width could make a line say something else than the record does. Each is written as its
//! code point instead; every human output and every JSON line goes through here.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;
use unicode_width::UnicodeWidthChar;

/// `text` on one line, with what can't be seen as `\u{202e}`.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |c, out| {
        // Writing to a string cannot fail.
        let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
    })
}

/// `value` as one line of JSON, with what can't be seen in its strings as `\u202e`.
///
/// # Errors
///
/// Where `value` fails to serialise.
pub fn json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    // Outside of its strings, JSON is ASCII that can be seen.
    Ok(json_escaped(serde_json::to_string(value)?))
}

fn json_escaped(json: String) -> String {
    let escaped = escaped(&json, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    });
    match escaped {
        Cow::Borrowed(_) => json,
        Cow::Owned(escaped) => escaped,
    }
}

/// Columns that a terminal gives `text`, which is what [`line()`] made.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Columns of one visible character.
#[must_use]
pub fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let Some((first, _)) = text.char_indices().find(|(_, c)| is_hidden(*c)) else { return text.into() };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        if is_hidden(c) { escape(c, &mut out) } else { out.push(c) }
    }
    out.into()
}

/// Whether a character can't be seen, or does something to those beside it.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    // C1; other kinds of space; what stands on, in or between other characters: accents of their own, joiners, fillers,
    // variation selectors, tags, most of Unicode's format characters.
    c.is_control() || c.is_whitespace() || columns(c) == 0 || is_format(c) || has_no_known_shape(c)
}

/// Format characters (Cf) that may have a width, and blanks that are no white space.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{115f}'..='\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// For private use, or no character at all.
fn has_no_known_shape(c: char) -> bool {
    let code = u32::from(c);
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{f0000}'..) || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn visible_text_stays_as_it_is() {
        for text in
            ["default/web/dbg", "a b", "é ü ß", "漢字", "Ελληνικά", "🦀", "אב", "[redacted] … \u{fffd}"]
        {
            assert_eq!(line(text), text);
            assert_eq!(json(text).unwrap(), format!("\"{text}\""));
        }
    }

    #[test]
    fn invisible_characters_show_as_code_points() {
        assert_eq!(line("a\u{1b}[2Jb\nc\u{7f}\u{9b}"), "a\\u{1b}[2Jb\\u{a}c\\u{7f}\\u{9b}");
        assert_eq!(line("web\u{202e}gpj"), "web\\u{202e}gpj");
        for hidden in [
            '\u{200b}',
            '\u{200d}',
            '\u{2066}',
            '\u{feff}',
            '\u{ad}',
            '\u{a0}',
            '\u{3000}',
            '\u{2028}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{e0041}',
            '\u{301}',
            '\u{e000}',
            '\u{ffff}',
            '\u{85}',
            '\u{fff9}',
            '\u{61c}',
        ] {
            assert_eq!(line(&format!("x{hidden}y")), format!("x\\u{{{:x}}}y", u32::from(hidden)));
        }
    }

    #[test]
    fn json_reads_the_same_and_hides_nothing() {
        let text = "\u{1b}\u{7f}\u{9b}\u{202e}\u{200b}\u{e0041} \"\\ 漢";
        let written = json(text).unwrap();
        assert_eq!(written, r#""\u001b\u007f\u009b\u202e\u200b\udb40\udc41 \"\\ 漢""#);
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }

    #[test]
    fn columns_are_a_terminals() {
        assert_eq!(width("web"), 3);
        assert_eq!(width("漢字"), 4);
        assert_eq!(width("é…🦀"), 4);
    }

    proptest! {
        #[test]
        fn a_line_has_nothing_hidden(text in any::<String>()) {
            let shown = line(&text).into_owned();
            prop_assert!(!shown.chars().any(is_hidden));
            prop_assert!(shown.chars().all(|c| columns(c) > 0));
            prop_assert_eq!(line(&shown).into_owned(), shown);
        }

        #[test]
        fn json_is_the_same_value(text in any::<String>(), key in any::<String>()) {
            let value = serde_json::json!({ key: [text] });
            let written = json(&value).unwrap();
            prop_assert!(!written.chars().any(is_hidden));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
        }
    }
}
