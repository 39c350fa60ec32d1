//! Debian's cloud kernels, one of each series, unpacked into `target/tools/matrix`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::apt_root::AptRoot;
use crate::progress::Step;
use crate::{command, repo};

/// The series that debugtrail is tried on: the oldest it promises, Debian's stable ones, and newer.
pub const SERIES: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.3"];

/// A kernel that can be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Such as `6.1`.
    pub series: &'static str,
    /// As `uname -r` says.
    pub release: String,
    folder: PathBuf,
}

/// The kernels of these series, all where none is named. What is there is kept: remove `target/tools/matrix` for newer ones.
///
/// # Errors
/// When there is no such series, or Debian's archive can't be reached.
pub fn install(series: &[String]) -> Result<Vec<Kernel>> {
    for name in series {
        ensure!(SERIES.contains(&name.as_str()), "no kernel {name}; there are {}", SERIES.join(", "));
    }
    let wanted = SERIES.into_iter().filter(|name| series.is_empty() || series.iter().any(|one| one == name));
    let mut apt = None;
    wanted.map(|name| install_one(name, &mut apt)).collect()
}

fn install_one(series: &'static str, apt: &mut Option<AptRoot>) -> Result<Kernel> {
    let folder = repo::tools().join("matrix").join(series);
    if !folder.exists() {
        let apt = match apt {
            Some(apt) => apt,
            None => apt.insert(AptRoot::update()?),
        };
        download(series, apt)?;
    }
    let modules = folder.join("lib/modules");
    let release = fs::read_dir(&modules)
        .with_context(|| format!("cannot read {}; remove {}", modules.display(), folder.display()))?
        .find_map(|entry| entry.ok()?.file_name().into_string().ok())
        .with_context(|| format!("{} is empty", modules.display()))?;
    Ok(Kernel { series, release, folder })
}

/// Unpacks it beside its place, and puts it there when it is whole.
fn download(series: &str, apt: &AptRoot) -> Result<()> {
    let pattern = format!(r"^linux-image-{}\.[0-9].*-cloud-amd64$", series.replace('.', r"\."));
    let image = newest(apt.names(&pattern)?).with_context(|| format!("Debian has no kernel {series}"))?;
    let release = image.trim_start_matches("linux-image-");
    let parts = format!("^linux-(base|binary|image|modules)-{}$", escaped(release));
    let step = Step::begin(&format!("downloading Linux {release} (boots in the matrix tier)"));
    let folder = repo::tools().join("matrix").join(series);
    let fresh = folder.with_file_name(format!("{series}-new"));
    let _from_before = fs::remove_dir_all(&fresh);
    apt.unpack(&apt.names(&parts)?, &fresh, &step)?;
    if !fresh.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", fresh.join("lib"))?;
    }
    // A package's own script would do it when it is installed.
    command::run_quietly(Command::new("depmod").arg("-b").arg(&fresh).arg(release), &step)?;
    fs::rename(&fresh, &folder)?;
    step.done();
    Ok(())
}

/// By the numbers in its name.
fn newest(names: Vec<String>) -> Option<String> {
    let numbers = |name: &String| {
        let digits = name.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
        digits.map(|run| run.parse().unwrap_or(0)).collect::<Vec<u64>>()
    };
    names.into_iter().max_by_key(numbers)
}

fn escaped(text: &str) -> String {
    text.replace('.', r"\.").replace('+', r"\+")
}

impl Kernel {
    /// What qemu boots.
    pub(super) fn image(&self) -> Result<PathBuf> {
        let places =
            [format!("boot/vmlinuz-{}", self.release), format!("lib/modules/{}/vmlinuz", self.release)];
        let mut images = places.iter().map(|place| self.folder.join(place));
        images.find(|image| image.exists()).with_context(|| format!("no vmlinuz of {}", self.release))
    }

    /// Files of the modules that these need, in the order in which they are loaded; none for what is built in.
    pub(super) fn modules(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> = Vec::new();
        for name in names {
            let mut modprobe = Command::new("modprobe");
            modprobe.arg("--dirname").arg(&self.folder).args(["--set-version", &self.release]);
            let needed = command::output(modprobe.args(["--show-depends", name]))?;
            for file in needed.lines().filter_map(|line| line.strip_prefix("insmod ")) {
                let file = PathBuf::from(file.trim());
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_found_by_its_numbers() {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let of_6_1 = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-0.deb11.58-cloud-amd64",
        ];
        assert_eq!(newest(names(&of_6_1)).as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
        let of_6_12 = ["linux-image-6.12.94+deb12-cloud-amd64", "linux-image-6.12.117+deb12-cloud-amd64"];
        assert_eq!(newest(names(&of_6_12)).as_deref(), Some("linux-image-6.12.117+deb12-cloud-amd64"));
        assert_eq!(newest(Vec::new()), None);
    }
}
