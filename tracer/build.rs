//! Hands the BPF object to `include_bytes!`.

use std::{env, path::PathBuf};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let object = root.join("../target/bpf/tracer-ebpf");
    println!("cargo::rerun-if-changed={}", object.display());
    match object.canonicalize() {
        Ok(object) => println!("cargo::rustc-env=DEBUGTRAIL_BPF_OBJECT={}", object.display()),
        Err(_) => println!(
            "cargo::error=the BPF object is not built yet: run `cargo xtask build` once, then cargo works as usual"
        ),
    }
}
