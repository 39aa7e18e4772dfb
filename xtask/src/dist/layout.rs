//! The layout of an OCI image
//! (<https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>): documents and layers
//! named by their digests, and the archive of it all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Release;
use super::io::{make_directory, output, write};
use crate::process;

/// The kind of a document that lists others.
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A layout that is being made.
pub(super) struct Layout {
    directory: PathBuf,
}

impl Layout {
    pub(super) fn new(directory: PathBuf) -> Result<Self> {
        let layout = Self { directory };
        make_directory(&layout.blobs())?;
        Ok(layout)
    }

    /// Where what is named by its digest is.
    pub(super) fn blobs(&self) -> PathBuf {
        self.directory.join("blobs/sha256")
    }

    /// Moves a file there; what names it.
    pub(super) fn keep(&self, file: &Path, kind: &str) -> Result<Value> {
        let digest = digest(file)?;
        let name = digest.strip_prefix("sha256:").unwrap_or(&digest);
        let size =
            fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
        let place = self.blobs().join(name);
        fs::rename(file, &place).with_context(|| format!("cannot move {}", file.display()))?;
        Ok(json!({"mediaType": kind, "digest": digest, "size": size}))
    }

    /// The same of a document.
    pub(super) fn write(&self, document: &Value, kind: &str) -> Result<Value> {
        let file = self.directory.join("document");
        write(&file, document.to_string())?;
        self.keep(&file, kind)
    }

    /// Archives it, with one image, whatever that consists of.
    pub(super) fn finish(&self, release: &Release, mut image: Value, to: &Path) -> Result<()> {
        image["annotations"] = json!({"org.opencontainers.image.ref.name": release.version});
        let index = index(&[image]);
        write(&self.directory.join("index.json"), index.to_string())?;
        let version = json!({"imageLayoutVersion": "1.0.0"});
        write(&self.directory.join("oci-layout"), version.to_string())?;
        archive(release, &self.directory, to)
    }
}

/// A list of images.
pub(super) fn index(images: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": images})
}

/// Everything below a directory, as root's.
pub(super) fn archive(release: &Release, directory: &Path, to: &Path) -> Result<()> {
    let mut tar = release.command("tar");
    tar.args(["--create", "--sort=name", "--owner=root:0", "--group=root:0", "--mode=go=rX,u+w"]);
    tar.arg(format!("--mtime=@{}", release.epoch)).arg("--file").arg(to);
    let entries = fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<Vec<_>>>()?;
    process::silently(tar.arg("--directory").arg(directory).args(entries), None)
}

/// `sha256:…`
pub(super) fn digest(file: &Path) -> Result<String> {
    let said = output(Command::new("sha256sum").arg("--binary").arg(file))?;
    let digest = said.split(' ').next().context("sha256sum writes nothing")?;
    Ok(format!("sha256:{digest}"))
}
