//! The runtime `hooked`: runc, with OCI hooks added to every bundle, as NVIDIA's container toolkit
//! does it. The hooks exec inside the container's cgroup before the main process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use super::layout::Layout;

/// Is in every image here and on every machine.
const HOOK: &str = "/bin/true";

/// Writes the script that containerd calls in place of runc.
pub(super) fn write(layout: &Layout) -> Result<()> {
    let script = layout.hooked_runc();
    let content = format!("#!/bin/sh\nexec '{}' internal hooked-runc -- \"$@\"\n", layout.xtask().display());
    fs::write(&script, content)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Adds the hooks where runc is to create a container, then becomes runc.
pub(super) fn run(args: &[String]) -> Result<()> {
    if args.iter().any(|arg| arg == "create") {
        let bundle = bundle(args).context("`runc create` without --bundle")?;
        let path = bundle.join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&path)?)?;
        add_hooks(&mut spec)?;
        fs::write(&path, serde_json::to_vec(&spec)?)?;
    }
    Err(anyhow!(Command::new("runc").args(args).exec()).context("cannot start runc"))
}

fn bundle(args: &[String]) -> Option<PathBuf> {
    let position = args.iter().position(|arg| arg == "--bundle" || arg == "-b")?;
    args.get(position + 1).map(Path::new).map(Path::to_owned)
}

fn add_hooks(spec: &mut Value) -> Result<()> {
    ensure!(spec.is_object(), "the bundle's config.json is not an object");
    for stage in ["createContainer", "startContainer"] {
        let hook = json!({"path": HOOK, "args": ["true", stage]});
        match spec["hooks"][stage].as_array_mut() {
            Some(hooks) => hooks.push(hook),
            None => spec["hooks"][stage] = json!([hook]),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_added_beside_those_there() {
        let mut spec = json!({"hooks": {"createContainer": [{"path": "/x"}]}});
        add_hooks(&mut spec).unwrap();
        assert_eq!(
            spec["hooks"],
            json!({
                "createContainer": [{"path": "/x"}, {"path": "/bin/true", "args": ["true", "createContainer"]}],
                "startContainer": [{"path": "/bin/true", "args": ["true", "startContainer"]}],
            })
        );
    }

    #[test]
    fn the_bundle_is_found_among_runcs_arguments() {
        let args = ["--root", "/r", "create", "--bundle", "/b", "--pid-file", "/b/init.pid", "id"];
        assert_eq!(bundle(&args.map(String::from)), Some(PathBuf::from("/b")));
    }
}
