//! CRI-O, built from its Go module, and the C program of it that makes a pod's namespaces.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::go_module::Build;
use crate::progress::Step;
use crate::{command, repo};

/// As go.mod has it.
const VERSION: &str = "v1.34.0";
const MODULE: &str = "github.com/cri-o/cri-o";

/// Without these it wants the headers of libraries that the cluster has no use for.
const TAGS: &str = "containers_image_openpgp containers_image_ostree_stub exclude_graphdriver_btrfs \
                    exclude_graphdriver_devicemapper libsubid_none seccomp";

/// Builds `crio` and `pinns` into `target/tools/cri-o`, unless they are there and made of these sources.
///
/// # Errors
/// When Go, a C compiler or a header is missing or the build fails.
pub fn build() -> Result<()> {
    let build = Build {
        title: &format!("CRI-O {VERSION} (some 3 minutes the first time)"),
        source: "cri-o",
        tools: repo::cri_o_tools(),
        flags: &["-tags", TAGS, "-ldflags", "-s -w"],
        // Seccomp profiles are made by libseccomp.
        cgo: true,
        programs: &[(&format!("{MODULE}/cmd/crio"), "crio")],
        version: VERSION,
    };
    build.run(build_pinns)
}

fn build_pinns(build: &Build<'_>, step: &Step) -> Result<()> {
    let folder = command::output(build.go().args(["list", "-m", "-f", "{{.Dir}}", MODULE]))?;
    let sources = Path::new(folder.trim()).join("pinns/src");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-O2", &format!("-DVERSION=\"{VERSION}\""), "-o"]).arg(build.tools.join("pinns"));
    for source in ["pinns.c", "sysctl.c"] {
        cc.arg(sources.join(source));
    }
    command::run_quietly(&mut cc, step).context("cannot build CRI-O's pinns")
}
