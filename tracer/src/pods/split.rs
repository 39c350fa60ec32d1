//! The objects of a list, and the lines of a watch, one at a time out of bytes that come in pieces: what lies in memory
//! is one object and never the whole answer. Pure.

use serde_json::Value;

use super::object::{Faults, Fields, Keep};

/// More than an object of the API can have: etcd takes 1.5 MiB, and a byte of text has up to six in JSON.
const LARGEST: usize = 16 << 20;

/// More than what a list has around its objects.
const LARGEST_ENVELOPE: usize = 64 << 10;

/// Kept of a buffer from one object to the next.
const KEPT: usize = 64 << 10;

/// One object of a list, or a line of a watch.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Its bytes.
    Whole(&'a [u8]),
    /// It is larger than an object of the API can be, and was let go.
    TooLarge,
}

/// Bytes of one object, up to a bound.
#[derive(Debug)]
struct Collected {
    bytes: Vec<u8>,
    largest: usize,
    over: bool,
}

impl Collected {
    fn new(largest: usize) -> Self {
        Self { bytes: Vec::new(), largest, over: false }
    }

    fn extend(&mut self, more: &[u8]) {
        if self.over || self.bytes.len() + more.len() > self.largest {
            (self.over, self.bytes) = (true, Vec::new());
        } else {
            self.bytes.extend_from_slice(more);
        }
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.over
    }

    /// Passes on what there is, and begins anew.
    fn hand_out(&mut self, each: &mut impl FnMut(Piece<'_>)) {
        if self.over {
            each(Piece::TooLarge);
        } else if !self.bytes.trim_ascii().is_empty() {
            each(Piece::Whole(self.bytes.trim_ascii()));
        }
        self.over = false;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }
}

/// Takes the objects out of a list's JSON: the elements of the array `items` at its top.
#[derive(Debug)]
pub struct ListSplitter {
    /// Brackets that are open.
    depth: usize,
    in_text: bool,
    escaped: bool,
    in_items: bool,
    /// All but the objects.
    envelope: Collected,
    object: Collected,
}

/// What a list says besides its objects.
#[derive(Debug, PartialEq, Eq)]
pub struct ListEnd {
    /// From where on to watch.
    pub version: Option<String>,
    /// Asks for the rest of the list.
    pub rest: Option<String>,
}

impl Default for ListSplitter {
    fn default() -> Self {
        Self {
            depth: 0,
            in_text: false,
            escaped: false,
            in_items: false,
            envelope: Collected::new(LARGEST_ENVELOPE),
            object: Collected::new(LARGEST),
        }
    }
}

impl ListSplitter {
    /// Takes the next bytes, and passes on each object that they end.
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        let mut begin = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if self.in_text {
                self.text_goes_on(*byte);
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'[' | b'{' => {
                    self.depth += 1;
                    if *byte == b'[' && self.depth == 2 && !self.in_items {
                        self.envelope.extend(&bytes[begin..=at]);
                        begin = at + 1;
                        self.in_items = ends_with_items(&self.envelope.bytes);
                    }
                }
                b']' if self.in_items && self.depth == 2 => {
                    self.object.extend(&bytes[begin..at]);
                    self.object.hand_out(each);
                    (self.in_items, self.depth, begin) = (false, 1, at);
                }
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                b',' if self.in_items && self.depth == 2 => {
                    self.object.extend(&bytes[begin..at]);
                    self.object.hand_out(each);
                    begin = at + 1;
                }
                _ => {}
            }
        }
        let kept = if self.in_items { &mut self.object } else { &mut self.envelope };
        kept.extend(&bytes[begin..]);
    }

    fn text_goes_on(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_text = false,
            _ => {}
        }
    }

    /// What the list says besides its objects, once it is complete.
    ///
    /// # Errors
    /// Where it broke off or is no list, in words.
    pub fn end(self) -> Result<ListEnd, String> {
        const ENVELOPE: Keep = Keep::Fields(&[(
            "metadata",
            Keep::Fields(&[("resourceVersion", Keep::All), ("continue", Keep::All)]),
        )]);
        if self.envelope.over || self.envelope.is_empty() {
            return Err("its answer is no list of pods".into());
        }
        let value: Value = ENVELOPE
            .parse(&self.envelope.bytes)
            .map_err(|error| format!("its list of pods is cut or no JSON: {error}"))?;
        let faults = Faults::default();
        let meta = Fields::of(&value, &faults).object("metadata");
        Ok(ListEnd { version: meta.filled("resourceVersion"), rest: meta.filled("continue") })
    }
}

/// Whether what came so far ends with the key `items` and an opening bracket. At the top of an object what is followed by
/// a colon is a key.
fn ends_with_items(envelope: &[u8]) -> bool {
    let key = envelope.strip_suffix(b"[").map(<[u8]>::trim_ascii_end);
    let key = key.and_then(|rest| rest.strip_suffix(b":")).map(<[u8]>::trim_ascii_end);
    key.is_some_and(|key| key.ends_with(b"\"items\""))
}

/// Takes the lines out of a watch's answer.
#[derive(Debug)]
pub struct LineSplitter(Collected);

impl Default for LineSplitter {
    fn default() -> Self {
        Self(Collected::new(LARGEST))
    }
}

impl LineSplitter {
    /// Takes the next bytes, and passes on each line that they end. What comes after the last line's end is kept: where
    /// the connection breaks it is half a line, and the watch resumes before it.
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let unfinished = lines.next_back().unwrap_or_default();
        for line in lines {
            self.0.extend(line);
            self.0.hand_out(each);
        }
        self.0.extend(unfinished);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(json: &[u8], step: usize) -> (Vec<String>, Result<ListEnd, String>) {
        let (mut splitter, mut found) = (ListSplitter::default(), Vec::new());
        for bytes in json.chunks(step) {
            splitter.feed(bytes, &mut |piece| match piece {
                Piece::Whole(bytes) => found.push(String::from_utf8_lossy(bytes).into_owned()),
                Piece::TooLarge => found.push("too large".into()),
            });
        }
        (found, splitter.end())
    }

    #[test]
    fn each_object_of_a_list_however_it_is_cut() {
        let json = br#"{"kind":"PodList","metadata":{"resourceVersion":"7","items":[1]},"items": [
            {"a":"]},{\"","b":[1,{"items":[2]}]}, {"c":1} ,null],"more":[{"x":"\\"}]}"#;
        for step in [1, 2, 3, 7, 1000] {
            let (found, end) = split(json, step);
            assert_eq!(found, [r#"{"a":"]},{\"","b":[1,{"items":[2]}]}"#, r#"{"c":1}"#, "null"], "{step}");
            assert_eq!(end, Ok(ListEnd { version: Some("7".into()), rest: None }));
        }
    }

    #[test]
    fn a_list_without_objects() {
        for json in
            [r#"{"items":[],"metadata":{"continue":"x"}}"#, r#"{"items":null,"metadata":{"continue":"x"}}"#]
        {
            let (found, end) = split(json.as_bytes(), 5);
            assert!(found.is_empty());
            assert_eq!(end, Ok(ListEnd { version: None, rest: Some("x".into()) }));
        }
    }

    #[test]
    fn an_incomplete_list_is_an_error() {
        for json in
            ["", "<html>", r#"{"metadata":{"resourceVersion":"7"},"items":[{"a":1}"#, r#"{"items":[]"#]
        {
            assert!(split(json.as_bytes(), 4).1.is_err(), "{json}");
        }
    }

    #[test]
    fn an_object_that_is_too_large_costs_itself_alone() {
        let large = "x".repeat(LARGEST + 1);
        let json = format!(r#"{{"items":[{{"a":1}},{{"b":"{large}"}},{{"c":1}}],"metadata":{{}}}}"#);
        let (found, end) = split(json.as_bytes(), 64 << 10);
        assert_eq!(found, [r#"{"a":1}"#, "too large", r#"{"c":1}"#]);
        assert!(end.is_ok());
    }

    #[test]
    fn lines_however_they_are_cut() {
        for step in [1, 3, 100] {
            let (mut splitter, mut found) = (LineSplitter::default(), Vec::new());
            for bytes in b"{\"a\":1}\n\n{\"b\":2}\n{\"c\"".chunks(step) {
                splitter.feed(bytes, &mut |piece| found.push(format!("{piece:?}")));
            }
            assert_eq!(found.len(), 2, "{found:?}");
        }
    }

    proptest! {
        #[test]
        fn a_list_is_split_as_a_parser_reads_it(
            texts in prop::collection::vec("\\PC{0,12}", 0..6),
            step in 1..40usize,
        ) {
            let items: Vec<Value> =
                texts.iter().map(|text| serde_json::json!({ "t": text, "items": [text, {}] })).collect();
            let list = serde_json::json!({ "items": items, "metadata": { "resourceVersion": "1" } });
            let (found, end) = split(list.to_string().as_bytes(), step);
            let found: Vec<Value> = found.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert_eq!(found, items);
            prop_assert!(end.is_ok());
        }
    }
}
