//! A script or another text with spaces: its words, with the white space as it is. Pure.

use super::words::Words;
use super::{REDACTED, json};

/// The text without what looks like a secret. One that begins in quotes ends with them.
pub(super) fn redact(text: &str) -> String {
    let text = json::redact(text);
    let mut shown = String::with_capacity(text.len());
    let mut words = Words::of("");
    let (mut quotes, mut shown_quotes) = (Quotes::default(), Quotes::default());
    let mut hidden = false;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end_matches(char::is_whitespace);
        let space = &piece[word.len()..];
        if hidden {
            // The rest of a secret with spaces in it.
            quotes.read(word);
            hidden = quotes.open();
        } else if !word.is_empty() {
            if !words.secret_follows() {
                (quotes, shown_quotes) = (Quotes::default(), Quotes::default());
            }
            let of_word = words.word_of_script(word);
            words.see_program(word);
            quotes.read(word);
            shown_quotes.read(&of_word);
            shown.push_str(&of_word);
            hidden = of_word != word && of_word.ends_with(REDACTED) && quotes.open();
        }
        if !hidden {
            if !quotes.open() {
                shown_quotes.close_in(&mut shown);
            }
            shown.push_str(space);
        }
    }
    shown
}

/// Which quotation a secret is in, from the word on that says that it is one. What was quoted before matters not: a whole
/// script may be.
#[derive(Default)]
struct Quotes {
    inside: Option<char>,
}

impl Quotes {
    fn read(&mut self, word: &str) {
        let mut before = None;
        for c in word.chars() {
            match self.inside {
                Some(mark) if c == mark => self.inside = None,
                None if matches!(c, '"' | '\'') && may_begin_after(before) => self.inside = Some(c),
                _ => {}
            }
            before = Some(c);
        }
    }

    fn open(&self) -> bool {
        self.inside.is_some()
    }

    /// Ends the quotation whose own end was part of what is left out.
    fn close_in(&mut self, text: &mut String) {
        text.extend(self.inside.take());
    }
}

/// A quote behind a letter is an apostrophe, or ends what was begun elsewhere.
fn may_begin_after(before: Option<char>) -> bool {
    before.is_none_or(|before| matches!(before, '=' | ':' | ',' | '(' | '[' | '{' | '$' | '\\' | '"' | '\''))
}
