//! containerd 2, built from its Go module; Debian's is 1.6. Its client stays Debian's.

use anyhow::Result;

use super::go_module::Build;
use crate::repo;

/// As go.mod has it.
const VERSION: &str = "v2.3.7";
const MODULE: &str = "github.com/containerd/containerd/v2";

/// Builds the daemon and its shim into `target/tools/containerd-2`, unless they are there and made of these sources.
///
/// # Errors
/// When Go is missing or the build fails.
pub fn build() -> Result<()> {
    let package = |program: &str| format!("{MODULE}/cmd/{program}");
    let build = Build {
        title: &format!("containerd {VERSION} (some 3 minutes the first time)"),
        source: "containerd-2",
        tools: repo::containerd_2_tools(),
        // What the cluster has no use for; the driver for btrfs would want its headers.
        flags: &["-tags", "no_btrfs no_devmapper no_zfs", "-ldflags", &ldflags()],
        cgo: false,
        programs: &[
            (&package("containerd"), "containerd"),
            (&package("containerd-shim-runc-v2"), "containerd-shim-runc-v2"),
        ],
        version: VERSION,
    };
    build.run(|_, _| Ok(()))
}

fn ldflags() -> String {
    format!("-s -w -X {MODULE}/version.Version={VERSION}")
}
