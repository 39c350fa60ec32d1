//! A scenario's run.sh: what a person types.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::access::Access;
use super::folder::Scenario;
use super::pod::Pod;
use crate::cluster::BUSYBOX_IMAGE;

/// A run.sh and the variables it is given.
#[derive(Debug)]
pub struct Script {
    path: PathBuf,
    text: String,
    variables: Vec<(&'static str, String)>,
}

impl Script {
    /// The script of a scenario, for a pod.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(scenario: &Scenario, access: &Access, pod: &Pod) -> Result<Self> {
        let path = scenario.folder.join("run.sh");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let variables = vec![
            ("NAMESPACE", pod.namespace.clone()),
            ("POD", pod.name.clone()),
            ("IMAGE", BUSYBOX_IMAGE.to_owned()),
            ("NODE", access.node_name.clone()),
        ];
        Ok(Self { path, text, variables })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it fails; the error carries its stderr.
    pub fn run(&self, access: &Access) -> Result<()> {
        let mut command = Command::new("bash");
        command.arg(&self.path).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.envs(access.xtask.iter().map(|xtask| ("XTASK", xtask)));
        access.set_environment(&mut command);
        let output = command.output().context("cannot start bash")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} failed: {}\n{said}", self.path.display(), output.status);
        Ok(())
    }

    /// Its lines as a person would type them.
    #[must_use]
    pub fn typed(&self) -> String {
        typed(&self.text, &self.variables)
    }
}

fn typed(script: &str, variables: &[(&str, String)]) -> String {
    let lines = script
        .lines()
        .filter(|line| !(line.is_empty() || line.starts_with('#') || line.starts_with("source ")));
    let mut typed: Vec<String> = lines.map(|line| format!("      {line}")).collect();
    for (name, value) in variables {
        for line in &mut typed {
            *line = line.replace(&format!("\"${name}\""), value).replace(&format!("${name}"), value);
        }
    }
    typed.join("\n")
}

#[cfg(test)]
mod tests {
    use super::typed;

    #[test]
    fn a_person_types_no_shebang_no_source_and_no_variables() {
        let script = "#!/usr/bin/env bash\nsource lib.sh\n\n# Why.\nkubectl debug \"$POD\" \\\n    -- sh -c '\"$X\"' node/$NODE\n";
        let variables = [("POD", "web".to_owned()), ("NODE", "n1".to_owned())];
        assert_eq!(
            typed(script, &variables),
            "      kubectl debug web \\\n          -- sh -c '\"$X\"' node/n1"
        );
    }
}
