//! The container image, as an archive of an OCI layout: the static binary, its licences and its bill
//! of materials in one layer, from scratch.
//!
//! It is made of files by tar and gzip, as the other packages are: no daemon, no base image, and the
//! same commit makes the same digest.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::Release;
use super::layout::{Layout, archive, digest};
use super::tree::install;
use crate::{process, workspace};

const BINARY: &str = "usr/bin/tracer";
const DOCUMENTS: &str = "usr/share/doc/tracer";

/// Where it is.
pub(super) fn path(release: &Release) -> PathBuf {
    release.directory.join(format!("{}.oci.tar", release.name()))
}

pub(super) fn make(release: &Release) -> Result<()> {
    let workshop = release.workshop("image")?;
    let root = workshop.join("root");
    lay(release, &root)?;
    let layout = Layout::new(workshop.join("layout"))?;
    let tar = workshop.join("layer.tar");
    archive(release, &root, &tar)?;
    let unpacked = digest(&tar)?;
    process::silently(Command::new("gzip").args(["--best", "--no-name"]).arg(&tar), None)?;
    let layer = workshop.join("layer.tar.gz");
    let layer = layout.keep(&layer, "application/vnd.oci.image.layer.v1.tar+gzip")?;
    let (created, labels) = (release.date("%Y-%m-%dT%H:%M:%SZ")?, labels(release));
    let platform = json!({"architecture": architecture(release.architecture)?, "os": "linux"});
    let config = json!({
        "created": created,
        "architecture": platform["architecture"],
        "os": platform["os"],
        "config": {"Entrypoint": [format!("/{BINARY}")], "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [unpacked]},
        "history": [{"created": created, "created_by": "cargo xtask dist"}],
    });
    let config = layout.write(&config, "application/vnd.oci.image.config.v1+json")?;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config,
        "layers": [layer], "annotations": labels});
    let mut manifest = layout.write(&manifest, kind)?;
    manifest["platform"] = platform;
    layout.finish(release, manifest, &path(release))?;
    release.remove("image")
}

/// What the container sees.
fn lay(release: &Release, root: &Path) -> Result<()> {
    install(&release.binary, &root.join(BINARY), 0o755)?;
    let documents = root.join(DOCUMENTS);
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        install(&workspace::root().join(name), &documents.join(name), 0o644)?;
    }
    let bill = format!("{}.cdx.json", release.name());
    install(&release.directory.join(bill), &documents.join("tracer.cdx.json"), 0o644)
}

/// <https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md>
fn labels(release: &Release) -> Value {
    json!({
        "org.opencontainers.image.title": "tracer",
        "org.opencontainers.image.description": "TCP connection-state tracer",
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
    })
}

/// Go's name of an architecture.
fn architecture(rust: &str) -> Result<&'static str> {
    match rust {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        "riscv64" => Ok("riscv64"),
        other => bail!("{other}: no image can be made for this architecture yet"),
    }
}
