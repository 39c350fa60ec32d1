//! A writer of one-layer OCI image archives (image-spec 1.0), as `ctr images import` reads them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::command;

/// A packed root file system.
#[derive(Debug)]
pub(super) struct Layer {
    tar: PathBuf,
    digest: String,
}

impl Layer {
    /// Packs a folder. The same content gives the same digest.
    pub(super) fn pack(rootfs: &Path, tar: &Path) -> Result<Self> {
        pack(rootfs, tar)?;
        Ok(Self { tar: tar.to_owned(), digest: sha256(tar)? })
    }
}

/// Writes an archive with one image of this name that runs `command`.
pub(super) fn write_archive(archive: &Path, name: &str, command: &[&str], layer: &Layer) -> Result<()> {
    let folder = archive.with_extension("oci");
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    fs::copy(&layer.tar, blobs.join(&layer.digest))?;
    let layer_size = fs::metadata(&layer.tar)?.len();
    let config = write_blob(&blobs, &config(command, layer))?;
    let manifest = write_blob(&blobs, &manifest(&config, layer, layer_size))?;
    fs::write(folder.join("index.json"), index(&full_name(name), &manifest).to_string())?;
    fs::write(folder.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())?;
    pack(&folder, archive)
}

struct Blob {
    digest: String,
    size: usize,
}

fn config(command: &[&str], layer: &Layer) -> Value {
    json!({
        "architecture": architecture(), "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", layer.digest)]},
    })
}

fn manifest(config: &Blob, layer: &Layer, layer_size: u64) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": format!("sha256:{}", layer.digest), "size": layer_size}],
    })
}

fn index(name: &str, manifest: &Blob) -> Value {
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
    entry["annotations"] = json!({"io.containerd.image.name": name});
    json!({"schemaVersion": 2, "manifests": [entry]})
}

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{}", blob.digest), "size": blob.size})
}

/// The name that a pod's `local/busybox:1` is completed to.
pub(super) fn full_name(name: &str) -> String {
    let folder = if name.contains('/') { "" } else { "library/" };
    format!("docker.io/{folder}{name}")
}

/// Go's name for this machine.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn write_blob(blobs: &Path, content: &Value) -> Result<Blob> {
    let (text, unnamed) = (content.to_string(), blobs.join("unnamed"));
    fs::write(&unnamed, &text)?;
    let digest = sha256(&unnamed)?;
    fs::rename(&unnamed, blobs.join(&digest))?;
    Ok(Blob { digest, size: text.len() })
}

fn pack(folder: &Path, tar: &Path) -> Result<()> {
    let mut command = Command::new("tar");
    command.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]);
    command.arg("--file").arg(tar).arg("--directory").arg(folder).arg(".");
    command::output(&mut command).map(drop)
}

fn sha256(file: &Path) -> Result<String> {
    let text = command::output(Command::new("sha256sum").arg("--").arg(file))?;
    let digest = text.split_whitespace().next().context("sha256sum gave no digest")?;
    Ok(digest.to_owned())
}
