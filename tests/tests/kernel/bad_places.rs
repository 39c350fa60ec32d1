//! The binary where it cannot record: one clear line each, and the exit code that the help documents.

#[path = "bad_places/doctor.rs"]
mod doctor;
#[path = "bad_places/input.rs"]
mod input;
#[path = "bad_places/kubeconfigs.rs"]
mod kubeconfigs;
#[path = "bad_places/machine.rs"]
mod machine;
#[path = "bad_places/output.rs"]
mod output;
#[path = "bad_places/privileges.rs"]
mod privileges;
#[path = "bad_places/refused.rs"]
mod refused;
#[path = "bad_places/run.rs"]
mod run;
