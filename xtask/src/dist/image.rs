//! The container image, as an archive of an OCI layout
//! (<https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>): the static binary,
//! its licences and its bill of materials in one layer, from scratch.
//!
//! It is made of files by tar and gzip, as the other packages are: no daemon, no base image, and the
//! same commit makes the same digest.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::Release;
use super::io::{make_directory, output, write};
use super::tree::install;
use crate::{process, workspace};

const BINARY: &str = "usr/bin/tracer";
const DOCUMENTS: &str = "usr/share/doc/tracer";

pub(super) fn make(release: &Release) -> Result<()> {
    let name = release.name();
    let workshop = release.workshop("image")?;
    let (root, layout) = (workshop.join("root"), workshop.join("layout"));
    lay(release, &root)?;
    let blobs = Blobs { directory: layout.join("blobs/sha256") };
    make_directory(&blobs.directory)?;
    let tar = workshop.join("layer.tar");
    archive(release, &root, &tar)?;
    let unpacked = digest(&tar)?;
    process::silently(Command::new("gzip").args(["--best", "--no-name"]).arg(&tar), None)?;
    let layer = workshop.join("layer.tar.gz");
    let layer = blobs.keep(&layer, "application/vnd.oci.image.layer.v1.tar+gzip")?;
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
    let config = blobs.write(&config, "application/vnd.oci.image.config.v1+json")?;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config,
        "layers": [layer], "annotations": labels});
    let mut manifest = blobs.write(&manifest, kind)?;
    manifest["platform"] = platform;
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": release.version});
    let index = json!({"schemaVersion": 2, "manifests": [manifest],
        "mediaType": "application/vnd.oci.image.index.v1+json"});
    write(&layout.join("index.json"), index.to_string())?;
    write(&layout.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())?;
    archive(release, &layout, &release.directory.join(format!("{name}.oci.tar")))?;
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

/// Everything below a directory, as root's.
fn archive(release: &Release, directory: &Path, to: &Path) -> Result<()> {
    let mut tar = release.command("tar");
    tar.args(["--create", "--sort=name", "--owner=root:0", "--group=root:0", "--mode=go=rX,u+w"]);
    tar.arg(format!("--mtime=@{}", release.epoch)).arg("--file").arg(to);
    let entries = fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<Vec<_>>>()?;
    process::silently(tar.arg("--directory").arg(directory).args(entries), None)
}

/// What the documents of an image name by digest.
struct Blobs {
    directory: std::path::PathBuf,
}

impl Blobs {
    /// Moves a file there; what names it.
    fn keep(&self, file: &Path, kind: &str) -> Result<Value> {
        let digest = digest(file)?;
        let name = digest.strip_prefix("sha256:").unwrap_or(&digest);
        let size =
            fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
        let place = self.directory.join(name);
        fs::rename(file, &place).with_context(|| format!("cannot move {}", file.display()))?;
        Ok(json!({"mediaType": kind, "digest": digest, "size": size}))
    }

    fn write(&self, document: &Value, kind: &str) -> Result<Value> {
        let file = self.directory.join("document");
        write(&file, document.to_string())?;
        self.keep(&file, kind)
    }
}

/// `sha256:…`
fn digest(file: &Path) -> Result<String> {
    let said = output(Command::new("sha256sum").arg("--binary").arg(file))?;
    let digest = said.split(' ').next().context("sha256sum writes nothing")?;
    Ok(format!("sha256:{digest}"))
}
