//! OCI runtimes that change a bundle first: with hooks, as NVIDIA's container toolkit adds them, which exec inside the
//! container's cgroup before the main process; or eased, without what this machine's runtimes can't do for CRI-O.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::paths::Paths;

/// Is in every image here and on every machine.
const HOOK: &str = "/bin/true";
/// The version of the specification that Debian's crun takes; containerd 2 and CRI-O write newer ones, and nothing of them.
const SPEC: &str = "1.0.2";

/// What to change before which runtime.
#[derive(Clone, Debug, Args)]
pub struct Changed {
    /// Add hooks.
    #[arg(long)]
    hooks: bool,
    /// Leave out what the runtimes here can't do.
    #[arg(long)]
    ease: bool,
    /// The runtime.
    program: PathBuf,
    /// Its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Writes the script that containerd calls in place of runc.
pub(super) fn write_hooked(paths: &Paths) -> Result<()> {
    write(paths, &paths.hooked_runc(), "--hooks runc")
}

/// CRI-O's handlers, and the script that each calls.
pub(super) fn eased(paths: &Paths) -> [(&'static str, PathBuf); 3] {
    let script = |name: &str| paths.data().join("bin").join(name);
    [("runc", script("runc-eased")), ("crun", eased_crun(paths)), ("hooked", script("hooked-eased"))]
}

/// The script that containerd 2, too, calls for crun.
pub(super) fn eased_crun(paths: &Paths) -> PathBuf {
    paths.data().join("bin/crun-eased")
}

/// Writes those scripts.
pub(super) fn write_eased(paths: &Paths) -> Result<()> {
    for (handler, script) in eased(paths) {
        let what = match handler {
            "hooked" => "--ease --hooks runc".to_owned(),
            program => format!("--ease {program}"),
        };
        write(paths, &script, &what)?;
    }
    Ok(())
}

fn write(paths: &Paths, script: &Path, what: &str) -> Result<()> {
    let xtask = paths.xtask();
    fs::write(
        script,
        format!("#!/bin/sh\nexec '{}' internal oci-runtime {what} -- \"$@\"\n", xtask.display()),
    )?;
    fs::set_permissions(script, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Changes the bundle where a container is to be created, then becomes the runtime.
pub(super) fn run(changed: &Changed) -> Result<()> {
    let Changed { hooks, ease, program, args } = changed;
    if args.iter().any(|arg| arg == "create") {
        let bundle = bundle(args).context("`create` without --bundle")?;
        let path = bundle.join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&path)?)?;
        ensure!(spec.is_object(), "the bundle's config.json is not an object");
        if *hooks {
            add_hooks(&mut spec);
        }
        if *ease {
            self::ease(&mut spec, own_oom_score()?);
        }
        fs::write(&path, serde_json::to_vec(&spec)?)?;
    }
    Err(anyhow!(Command::new(program).args(args).exec())
        .context(format!("cannot start {}", program.display())))
}

fn bundle(args: &[String]) -> Option<PathBuf> {
    let position = args.iter().position(|arg| arg == "--bundle" || arg == "-b")?;
    args.get(position + 1).map(Path::new).map(Path::to_owned)
}

fn add_hooks(spec: &mut Value) {
    for stage in ["createContainer", "startContainer"] {
        let hook = json!({"path": HOOK, "args": ["true", stage]});
        match spec["hooks"][stage].as_array_mut() {
            Some(hooks) => hooks.push(hook),
            None => spec["hooks"][stage] = json!([hook]),
        }
    }
}

/// Root may lack CAP_SYS_RESOURCE, and so lower no score; containerd has an option for that. The machine may have no
/// hugetlb hierarchy mounted, and runc then sets no limit of it, not even the kubelet's 0; no pod here has huge pages.
/// Debian's crun writes a -1 of CRI-O's, which says that there is no limit, to `pids.max`, which takes none.
fn ease(spec: &mut Value, own_oom_score: i64) {
    spec["ociVersion"] = SPEC.into();
    if let Some(resources) = spec.pointer_mut("/linux/resources").and_then(Value::as_object_mut) {
        resources.remove("hugepageLimits");
        if resources.get("pids").and_then(|pids| pids["limit"].as_i64()).is_some_and(|limit| limit < 0) {
            resources.remove("pids");
        }
    }
    if spec["process"]["oomScoreAdj"].as_i64().is_some_and(|wanted| wanted < own_oom_score) {
        spec["process"]["oomScoreAdj"] = own_oom_score.into();
    }
}

fn own_oom_score() -> Result<i64> {
    Ok(fs::read_to_string("/proc/self/oom_score_adj")?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_added_beside_those_there() {
        let mut spec = json!({"hooks": {"createContainer": [{"path": "/x"}]}});
        add_hooks(&mut spec);
        assert_eq!(
            spec["hooks"],
            json!({
                "createContainer": [{"path": "/x"}, {"path": "/bin/true", "args": ["true", "createContainer"]}],
                "startContainer": [{"path": "/bin/true", "args": ["true", "startContainer"]}],
            })
        );
    }

    #[test]
    fn an_oom_score_is_never_lowered() {
        let eased = |wanted: i64| {
            let mut spec = json!({"ociVersion": "1.2.1", "process": {"oomScoreAdj": wanted}});
            ease(&mut spec, 0);
            spec
        };
        assert_eq!(eased(-997), json!({"ociVersion": "1.0.2", "process": {"oomScoreAdj": 0}}));
        assert_eq!(eased(1000), json!({"ociVersion": "1.0.2", "process": {"oomScoreAdj": 1000}}));
    }

    #[test]
    fn limits_of_huge_pages_are_left_out() {
        let resources = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}], "pids": {"limit": 9}});
        let mut spec = json!({"linux": {"resources": resources}});
        ease(&mut spec, 0);
        assert_eq!(spec["linux"], json!({"resources": {"pids": {"limit": 9}}}));
    }

    #[test]
    fn no_limit_of_processes_is_left_unsaid() {
        let mut spec = json!({"linux": {"resources": {"pids": {"limit": -1}}}});
        ease(&mut spec, 0);
        assert_eq!(spec["linux"], json!({"resources": {}}));
    }

    #[test]
    fn the_bundle_is_found_among_runcs_arguments() {
        let args = ["--root", "/r", "create", "--bundle", "/b", "--pid-file", "/b/init.pid", "id"];
        assert_eq!(bundle(&args.map(String::from)), Some(PathBuf::from("/b")));
    }
}
