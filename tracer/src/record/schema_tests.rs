//! docs/record.schema.json is what the types say.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Record;

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/record.schema.json");

/// Writes the schema anew where UPDATE_SCHEMA is set: `UPDATE_SCHEMA=1 cargo test -p debugtrail schema`.
#[test]
fn the_documented_schema_is_the_types() {
    let schema =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Record>();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(KEPT, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(KEPT).unwrap()).unwrap();
    // As values: in what order an object's keys are written depends on what else is built with it.
    assert!(
        schema.as_value() == &kept,
        "docs/record.schema.json differs: UPDATE_SCHEMA=1 cargo test -p debugtrail schema"
    );
}
