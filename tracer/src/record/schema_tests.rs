//! docs/record.schema.json is what the types say.

use schemars::generate::SchemaSettings;

use super::Record;

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/record.schema.json");

/// Writes the schema anew where UPDATE_SCHEMA is set: `UPDATE_SCHEMA=1 cargo test -p debugtrail schema`.
#[test]
fn the_documented_schema_is_the_types() {
    let schema =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Record>();
    let now = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(KEPT, &now).unwrap();
    }
    let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
    assert!(kept == now, "docs/record.schema.json differs: UPDATE_SCHEMA=1 cargo test -p debugtrail schema");
}
