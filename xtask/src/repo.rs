//! Where things lie in the repository.

use std::path::{Path, PathBuf};

/// The root of the checkout.
#[must_use]
pub fn root() -> &'static Path {
    // xtask is never installed: it runs from the checkout that built it.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// The one folder that chores write to.
#[must_use]
pub fn target() -> PathBuf {
    root().join("target")
}

/// Programs that `setup` built.
#[must_use]
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// The Kubernetes binary and its links by component name.
#[must_use]
pub fn kubernetes_tools() -> PathBuf {
    tools().join("kubernetes")
}

/// containerd 2 and its shim.
#[must_use]
pub fn containerd_2_tools() -> PathBuf {
    tools().join("containerd-2")
}

/// CRI-O and its `pinns`.
#[must_use]
pub fn cri_o_tools() -> PathBuf {
    tools().join("cri-o")
}

/// The eBPF object that the tracer embeds.
#[must_use]
pub fn bpf_object() -> PathBuf {
    target().join("bpf").join("tracer-ebpf")
}

/// The same programs with other structures, as another version might have them; for the test of an upgrade.
#[must_use]
pub fn other_bpf_object() -> PathBuf {
    target().join("bpf").join("tracer-ebpf-other-layout")
}

/// The binary that scenarios and tests run: what `DEBUGTRAIL_BIN` names, else what `build` makes.
#[must_use]
pub fn debugtrail_under_test() -> PathBuf {
    std::env::var_os("DEBUGTRAIL_BIN").map_or_else(debugtrail_binary, PathBuf::from)
}

/// The empty eBPF programs that the bench compares with.
#[must_use]
pub fn empty_bpf_object() -> PathBuf {
    target().join("bpf").join("bench-ebpf")
}

/// The small program that the bench runs as load, on the machine and in pods.
#[must_use]
pub fn bench_load_binary() -> PathBuf {
    target().join("release").join("bench-load")
}

/// The binary that `build` makes.
#[must_use]
pub fn debugtrail_binary() -> PathBuf {
    target().join("release").join("debugtrail")
}
