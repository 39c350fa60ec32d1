//! Runs the binary and keeps what it said.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::{poll, repo};

/// Nothing here takes longer; what hangs is ended and fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user and group `nobody`.
const NOBODY: &str = "65534";

/// A place to run in: the binary and a kubeconfig of a server that is away, where any user can read them.
pub struct Place {
    dir: TempDir,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let place = Self { dir };
        fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        fs::copy(repo::debugtrail_under_test(), place.binary())
            .expect("the kernel tier needs the built binary");
        place.file("away.kubeconfig", kubeconfig(&json!({})).to_string());
        place
    }

    pub fn binary(&self) -> PathBuf {
        self.path("debugtrail")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of root's alone.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file");
        let mode = if name == "away.kubeconfig" { 0o644 } else { 0o600 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        path
    }

    /// The binary with these arguments. Without any privilege missing, `trace` ends for want of an API server.
    pub fn debugtrail(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binary());
        command.args(arguments);
        self.surroundings(&mut command);
        command
    }

    /// The same through a program that changes what it may do.
    pub fn through(&self, wrapper: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(self.binary()).args(arguments);
        self.surroundings(&mut command);
        command
    }

    /// The same as the user nobody with these capabilities alone, such as `+bpf,+perfmon`.
    pub fn as_nobody(&self, capabilities: &str, arguments: &[&str]) -> Command {
        self.as_nobody_through(&[], capabilities, arguments)
    }

    /// The same with so many bytes of memory that may be locked, and no right to more.
    pub fn as_nobody_with_memlock(&self, bytes: u64, capabilities: &str, arguments: &[&str]) -> Command {
        let limit = format!("--memlock={bytes}:{bytes}");
        self.as_nobody_through(&["prlimit", &limit], capabilities, arguments)
    }

    fn as_nobody_through(&self, first: &[&str], capabilities: &str, arguments: &[&str]) -> Command {
        let (inheritable, ambient) =
            (format!("--inh-caps={capabilities}"), format!("--ambient-caps={capabilities}"));
        let mut wrapper = first.to_vec();
        wrapper.extend(["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        if !capabilities.is_empty() {
            wrapper.extend([inheritable.as_str(), ambient.as_str()]);
        }
        self.through(&wrapper, arguments)
    }

    /// The same in a mount namespace of its own, after a line of shell.
    pub fn after(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-e", "-c"]).arg(format!("{script}\nexec \"$0\" \"$@\""));
        command.arg(self.binary()).args(arguments);
        self.surroundings(&mut command);
        command
    }

    /// Nothing of the tester's environment counts.
    fn surroundings(&self, command: &mut Command) {
        command.env("KUBECONFIG", self.path("away.kubeconfig"));
        for name in ["NODE_NAME", "DEBUGTRAIL_LOG", "KUBERNETES_SERVICE_HOST"] {
            command.env_remove(name);
        }
        for proxy in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
            command.env_remove(proxy).env_remove(proxy.to_lowercase());
        }
    }
}

impl Ended {
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let ended = poll::until(PATIENCE, || matches!(child.try_wait(), Ok(Some(_))));
        if !ended {
            child.kill().expect("a child can be killed");
        }
        let output = child.wait_with_output().expect("its output");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let this =
            Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(ended, "it does not end: {this:#?}");
        this
    }

    /// The one line that says what went wrong, without the program's name; logs are beside it.
    pub fn complaint(&self) -> &str {
        let complaints: Vec<&str> =
            self.stderr.lines().filter_map(|line| line.strip_prefix("debugtrail: ")).collect();
        assert_eq!(complaints.len(), 1, "one line was due: {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        complaints[0]
    }

    /// Ended with this code, and its complaint has all of these in it and says what to do.
    #[track_caller]
    pub fn complains(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let complaint = self.complaint();
        for part in parts {
            assert!(complaint.contains(part), "`{part}` is not in: {complaint}");
        }
        assert!(complaint.contains("; "), "no hint in: {complaint}");
    }

    /// What `doctor --output json` printed.
    #[track_caller]
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no report, {error}: {self:#?}"))
    }
}

/// A kubeconfig of a server that is away, with this user.
pub fn kubeconfig(user: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "it", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    })
}

/// A check of a report, which has every check once or more.
#[track_caller]
pub fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

/// The kernel's own description of its types.
pub const BTF: &str = "/sys/kernel/btf/vmlinux";

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is text")
}
