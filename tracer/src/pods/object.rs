//! An object of the API as JSON, of which only what is needed is kept, and which is read field by field: a
//! field of the wrong type costs itself alone, and is reported. Pure.

use std::cell::RefCell;
use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// So many faults of one object are reported.
const REPORTED: usize = 8;

/// A longer text is not taken: the API has a limit for few, and whoever makes a pod could fill the agent's memory with it.
const LONGEST: usize = 4096;

/// So many elements of a list are read. A pod has some ten.
const MOST: usize = 1024;

/// Which parts of a JSON value are kept; the rest is skipped while it is parsed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    /// All of it.
    All,
    /// These fields of an object.
    Fields(&'static [(&'static str, Keep)]),
    /// Of each element of an array.
    Each(&'static Keep),
}

impl Keep {
    /// The kept parts of what `json` holds.
    ///
    /// # Errors
    /// Where it is no JSON.
    pub(super) fn parse(self, json: &[u8]) -> serde_json::Result<Value> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let value = self.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for Keep {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let keep = match self {
                Self::All => Some(Self::All),
                Self::Fields(fields) => fields.iter().find(|(name, _)| *name == key).map(|(_, keep)| *keep),
                Self::Each(_) => None,
            };
            match keep {
                Some(keep) => drop(kept.insert(key, entries.next_value_seed(keep)?)),
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Value::Object(kept))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let keep = match self {
            Self::All => Self::All,
            Self::Each(keep) => *keep,
            Self::Fields(_) => {
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Value::Array(Vec::new()));
            }
        };
        let mut kept = Vec::new();
        while let Some(element) = elements.next_element_seed(keep)? {
            kept.push(element);
        }
        Ok(Value::Array(kept))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// What was wrong with an object, field by field.
#[derive(Debug, Default)]
pub(super) struct Faults(RefCell<Vec<String>>);

impl Faults {
    fn add(&self, at: &str, expected: &str) {
        let mut faults = self.0.borrow_mut();
        let fault = format!("{at} is no {expected}");
        if faults.len() < REPORTED && !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    /// In words, such as `spec.containers[0].name is no text`.
    pub(super) fn into_words(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// An object whose fields are read by name. What is missing or null has no value; what is of another type has none either,
/// and is a fault.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    at: String,
    faults: &'a Faults,
}

impl<'a> Fields<'a> {
    /// Of a whole object.
    pub(super) fn of(value: &'a Value, faults: &'a Faults) -> Self {
        Self::at(Some(value), String::new(), faults)
    }

    fn at(value: Option<&'a Value>, at: String, faults: &'a Faults) -> Self {
        let value = value.filter(|value| !value.is_null());
        let object = value.and_then(Value::as_object);
        if value.is_some() && object.is_none() {
            faults.add(if at.is_empty() { "it" } else { &at }, "object");
        }
        Self { object, at, faults }
    }

    /// Whether there is such an object at all.
    pub(super) fn is_there(&self) -> bool {
        self.object.is_some()
    }

    fn path(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.object?.get(key).filter(|value| !value.is_null())
    }

    fn read<T>(&self, key: &str, expected: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        let found = read(self.value(key)?);
        if found.is_none() {
            self.faults.add(&self.path(key), expected);
        }
        found
    }

    /// An object.
    pub(super) fn object(&self, key: &str) -> Self {
        Self::at(self.value(key), self.path(key), self.faults)
    }

    /// The elements of an array, which are objects.
    pub(super) fn each(&self, key: &str) -> impl Iterator<Item = Self> + use<'a> {
        let elements = self.read(key, "list", Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let (at, faults) = (self.path(key), self.faults);
        if elements.len() > MOST {
            faults.add(&at, &format!("list of at most {MOST}"));
        }
        let elements = elements.iter().take(MOST).enumerate();
        elements.map(move |(n, value)| Self::at(Some(value), format!("{at}[{n}]"), faults))
    }

    /// A text, which is no longer than anything is called.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        let text = self.read(key, "text", Value::as_str)?;
        if text.len() > LONGEST {
            self.faults.add(&self.path(key), &format!("text of at most {LONGEST} bytes"));
            return None;
        }
        Some(text)
    }

    /// Words for people; those that are too many end with an ellipsis.
    pub(super) fn words(&self, key: &str) -> Option<String> {
        let text = self.read(key, "text", Value::as_str)?;
        if text.len() <= LONGEST {
            return Some(text.to_owned());
        }
        let end = text.floor_char_boundary(LONGEST - '…'.len_utf8());
        Some(format!("{}…", &text[..end]))
    }

    /// A text that something must have to be of use.
    pub(super) fn needed(&self, key: &str) -> Option<&'a str> {
        let text = self.text(key).filter(|text| !text.is_empty());
        if self.is_there() && text.is_none() && self.value(key).is_none_or(Value::is_string) {
            self.faults.add(&self.path(key), "text");
        }
        text
    }

    /// A text of one's own; an empty one is none.
    pub(super) fn filled(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// A whole number.
    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        self.read(key, "whole number", Value::as_i64)
    }

    /// A time that can be represented: the API takes any up to the year 9999, of which the last days have no
    /// instant here.
    pub(super) fn time(&self, key: &str) -> Option<Timestamp> {
        self.read(key, "time", |value| value.as_str()?.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Keep = Keep::Fields(&[
        ("name", Keep::All),
        ("times", Keep::Each(&Keep::Fields(&[("at", Keep::All)]))),
        ("inner", Keep::Fields(&[("count", Keep::All), ("on", Keep::All)])),
    ]);

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let json = br#"{"env":[{"value":"hunter2"}],"name":"a","times":[{"at":"x","more":1},7],"inner":{"count":3,"b":4}}"#;
        let kept = KEPT.parse(json).unwrap();
        let expected = serde_json::json!({"name": "a", "times": [{"at": "x"}, 7], "inner": {"count": 3}});
        assert_eq!(kept, expected);
        assert!(KEPT.parse(b"{\"name\":").is_err());
    }

    #[test]
    fn a_field_of_the_wrong_type_costs_itself_alone() {
        let json = br#"{"name":5,"times":[{"at":"9999-12-31T23:59:59Z"},{"at":"2026-11-24T10:00:00Z"},7],
            "inner":{"count":"3","on":"true"}}"#;
        let (value, faults) = (KEPT.parse(json).unwrap(), Faults::default());
        let fields = Fields::of(&value, &faults);
        assert_eq!(fields.text("name"), None);
        let times: Vec<_> = fields.each("times").map(|time| time.time("at")).collect();
        assert_eq!(times, [None, Some("2026-11-24T10:00:00Z".parse().unwrap()), None]);
        let inner = fields.object("inner");
        assert_eq!((inner.integer("count"), inner.text("on")), (None, Some("true")));
        assert_eq!(
            faults.into_words(),
            [
                "name is no text",
                "times[0].at is no time",
                "times[2] is no object",
                "inner.count is no whole number"
            ]
        );
    }

    #[test]
    fn a_text_that_is_too_long_is_not_taken() {
        let times = vec![serde_json::json!({ "at": "2026-11-24T10:00:00Z" }); MOST + 1];
        let (fits, over) = ("a".repeat(LONGEST), "ä".repeat(LONGEST));
        let (value, faults) =
            (serde_json::json!({"name": over, "times": times, "other": fits}), Faults::default());
        let fields = Fields::of(&value, &faults);
        assert_eq!((fields.text("name"), fields.text("other")), (None, Some(&*fits)));
        assert_eq!(fields.each("times").count(), MOST);
        let words = fields.words("name").unwrap();
        assert!(
            words.len() <= LONGEST && words.len() > LONGEST - 4 && words.ends_with("ä…"),
            "{}",
            words.len()
        );
        assert_eq!(
            faults.into_words(),
            ["name is no text of at most 4096 bytes", "times is no list of at most 1024"]
        );
    }

    #[test]
    fn a_missing_or_null_field_is_no_fault() {
        let (value, faults) = (KEPT.parse(br#"{"name":null,"inner":null}"#).unwrap(), Faults::default());
        let fields = Fields::of(&value, &faults);
        assert_eq!((fields.text("name"), fields.object("inner").text("on")), (None, None));
        assert_eq!(fields.each("times").count(), 0);
        assert!(faults.into_words().is_empty());
    }

    #[test]
    fn a_value_that_is_no_object_is_one_fault() {
        let (value, faults) = (KEPT.parse(b"[1,2]").unwrap(), Faults::default());
        let fields = Fields::of(&value, &faults);
        assert_eq!((fields.needed("name"), fields.is_there()), (None, false));
        assert_eq!(faults.into_words(), ["it is no object"]);
    }
}
