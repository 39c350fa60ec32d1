//! Does a JSON value fit an expectation? Pure.
//!
//! An expectation is JSON, too. A literal has to be equal; an object has to have at least the expected keys,
//! and a key that is absent is not null. In place of a literal a bound may stand: `{"$min": 3}`, `{"$max": 5}`,
//! both together, or `{"$any_non_null": true}`. Numbers in strings (`"duration_ns": "3000000000"`) fit bounds.

use serde_json::{Map, Value};

/// Where `actual` does not fit `expected`: one line a place, empty when it fits.
#[must_use]
pub fn mismatches(expected: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", expected, Some(actual), &mut found);
    found
}

/// Checks that every `$` key is a matcher that exists and has a usable value.
///
/// # Errors
/// The first that is not, in words.
pub fn validate(expected: &Value) -> Result<(), String> {
    match expected {
        Value::Object(object) => object.iter().try_for_each(|(key, value)| match key.as_str() {
            "$min" | "$max" if value.is_number() => Ok(()),
            "$min" | "$max" => Err(format!("{key} wants a number, not {value}")),
            "$any_non_null" if *value == Value::Bool(true) => Ok(()),
            "$any_non_null" => Err(format!("$any_non_null is `true` or absent, not {value}")),
            _ if key.starts_with('$') => {
                Err(format!("no matcher {key}: there are $min, $max and $any_non_null"))
            }
            _ => validate(value),
        }),
        Value::Array(values) => values.iter().try_for_each(validate),
        _ => Ok(()),
    }
}

fn compare(path: &str, expected: &Value, actual: Option<&Value>, found: &mut Vec<String>) {
    let Some(actual) = actual else {
        found.push(format!("{path}: expected {expected}, but the field is absent"));
        return;
    };
    match (expected, actual) {
        (Value::Object(matcher), _) if matcher.keys().any(|key| key.starts_with('$')) => {
            bounds(path, matcher, actual, found);
        }
        (Value::Object(wanted), Value::Object(given)) => {
            for (key, value) in wanted {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, value, given.get(key), found);
            }
        }
        (Value::Array(wanted), Value::Array(given)) if wanted.len() == given.len() => {
            for (index, (value, other)) in wanted.iter().zip(given).enumerate() {
                compare(&format!("{path}[{index}]"), value, Some(other), found);
            }
        }
        _ if expected == actual => {}
        _ => found.push(format!("{path}: expected {expected}, found {actual}")),
    }
}

fn bounds(path: &str, matcher: &Map<String, Value>, actual: &Value, found: &mut Vec<String>) {
    if actual.is_null() {
        found.push(format!("{path}: expected a value, found null"));
        return;
    }
    let number = number(actual);
    let holds = |key: &str, test: fn(f64, f64) -> bool| match matcher.get(key).and_then(Value::as_f64) {
        Some(bound) => number.is_some_and(|number| test(number, bound)),
        None => true,
    };
    if !holds("$min", |number, bound| number >= bound) || !holds("$max", |number, bound| number <= bound) {
        found.push(format!("{path}: expected {}, found {actual}", Value::Object(matcher.clone())));
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{mismatches, validate};
    use serde_json::json;

    #[test]
    fn literals_have_to_be_equal() {
        assert!(mismatches(&json!({"exit_code": 42}), &json!({"exit_code": 42, "more": 1})).is_empty());
        assert_eq!(
            mismatches(&json!({"exit_code": 42}), &json!({"exit_code": 0})),
            ["exit_code: expected 42, found 0"]
        );
        assert_eq!(mismatches(&json!({"a": "1"}), &json!({"a": 1})), ["a: expected \"1\", found 1"]);
    }

    #[test]
    fn absent_is_not_null() {
        assert!(mismatches(&json!({"signal": null}), &json!({"signal": null})).is_empty());
        assert_eq!(
            mismatches(&json!({"signal": null}), &json!({})),
            ["signal: expected null, but the field is absent"]
        );
    }

    #[test]
    fn nested_places_are_named() {
        let expected = json!({"evidence": {"kernel": "full"}, "list": [1, {"a": 2}]});
        let actual = json!({"evidence": {"kernel": "none"}, "list": [1, {"a": 3}]});
        assert_eq!(
            mismatches(&expected, &actual),
            ["evidence.kernel: expected \"full\", found \"none\"", "list[1].a: expected 2, found 3"]
        );
    }

    #[test]
    fn an_object_where_null_is_does_not_fit() {
        assert_eq!(mismatches(&json!({"main": {"pid": 1}}), &json!({"main": null})).len(), 1);
    }

    #[test]
    fn bounds_hold_for_numbers_and_for_numbers_in_strings() {
        let expected = json!({"n": {"$min": 3.0, "$max": 4}});
        for fits in [json!({"n": 3}), json!({"n": 3.5}), json!({"n": "4"})] {
            assert!(mismatches(&expected, &fits).is_empty(), "{fits}");
        }
        for fails in [json!({"n": 2.999}), json!({"n": 5}), json!({"n": null}), json!({"n": "x"}), json!({})]
        {
            assert_eq!(mismatches(&expected, &fails).len(), 1, "{fails}");
        }
    }

    #[test]
    fn any_non_null_takes_all_but_null_and_nothing() {
        let expected = json!({"pid": {"$any_non_null": true}});
        assert!(mismatches(&expected, &json!({"pid": 0})).is_empty());
        assert_eq!(mismatches(&expected, &json!({"pid": null})).len(), 1);
        assert_eq!(mismatches(&expected, &json!({})).len(), 1);
    }

    #[test]
    fn a_misspelt_matcher_is_an_error_and_never_a_match() {
        assert!(validate(&json!({"a": [{"$minimum": 3}]})).is_err());
        assert!(validate(&json!({"a": {"$min": "3"}})).is_err());
        assert!(validate(&json!({"a": {"$any_non_null": false}})).is_err());
        assert!(validate(&json!({"a": {"$min": 3}, "b": {"$any_non_null": true}})).is_ok());
    }
}
