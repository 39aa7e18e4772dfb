//! One container image for several architectures: an index of images for one each, from which a
//! registry's client takes that of its platform.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Release;
use super::io::{make_directory, read};
use super::layout::{INDEX, Layout, index};
use crate::process;

/// Joins the archives of images for one architecture each.
pub(super) fn join(release: &Release, archives: &[PathBuf], to: &Path) -> Result<()> {
    let workshop = release.workshop("joining")?;
    let layout = Layout::new(workshop.join("layout"))?;
    let mut images: Vec<Value> = Vec::new();
    for (number, archive) in archives.iter().enumerate() {
        let unpacked = workshop.join(number.to_string());
        let image = unpack(archive, &unpacked, &layout)?;
        let is_there = |other: &Value| other["platform"] == image["platform"];
        ensure!(
            !images.iter().any(is_there),
            "{}: there is another image for {}",
            archive.display(),
            image["platform"]["architecture"]
        );
        images.push(image);
    }
    let platforms = layout.write(&index(&images), INDEX)?;
    layout.finish(release, platforms, to)?;
    release.remove("joining")
}

/// Adds what an archive holds to a layout; the image that it is.
fn unpack(archive: &Path, directory: &Path, layout: &Layout) -> Result<Value> {
    make_directory(directory)?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(archive).arg("--directory").arg(directory);
    process::silently(&mut tar, None)?;
    let blobs = directory.join("blobs/sha256");
    let cannot = || format!("cannot read {}", blobs.display());
    for blob in fs::read_dir(&blobs).with_context(cannot)? {
        let blob = blob.with_context(cannot)?;
        fs::rename(blob.path(), layout.blobs().join(blob.file_name())).with_context(cannot)?;
    }
    let mut index: Value = serde_json::from_str(&read(&directory.join("index.json"))?)?;
    let images = index["manifests"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let mut images = images.into_iter().filter(|image| image["platform"].is_object());
    let (image, more) = (images.next(), images.next());
    ensure!(more.is_none(), "{}: several images", archive.display());
    let mut image = image.with_context(|| format!("{}: no image", archive.display()))?;
    // That is of the whole.
    image.as_object_mut().and_then(|image| image.remove("annotations"));
    Ok(image)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An image that is only its platform.
    fn image(release: &Release, architecture: &str) -> Result<PathBuf> {
        let layout = Layout::new(release.directory.join(architecture))?;
        let mut image = layout.write(&json!({"is": architecture}), "an image")?;
        image["platform"] = json!({"architecture": architecture, "os": "linux"});
        let archive = release.directory.join(format!("{architecture}.tar"));
        layout.finish(release, image, &archive)?;
        Ok(archive)
    }

    #[test]
    fn each_platform_finds_its_image_and_has_one_only() {
        let place = std::env::temp_dir().join(format!("xtask-platforms-{}", std::process::id()));
        let release = Release::new(PathBuf::new(), "1", "none", place.clone()).unwrap();
        let images = ["amd64", "arm64"].map(|one| image(&release, one).unwrap());
        let joined = place.join("joined.tar");
        join(&release, &images, &joined).unwrap();
        // An index is a blob as others are.
        let layout = Layout::new(place.join("unpacked")).unwrap();
        let error = unpack(&joined, &place.join("whole"), &layout).unwrap_err().to_string();
        assert!(error.ends_with("no image"), "{error}");
        let document =
            |path: &Path| -> Value { serde_json::from_str(&read(path).unwrap()).unwrap() };
        let blob = |named: &Value| {
            let digest = named["digest"].as_str().unwrap();
            document(&layout.blobs().join(digest.strip_prefix("sha256:").unwrap()))
        };
        let whole = &document(&place.join("whole/index.json"))["manifests"];
        assert_eq!(whole[0]["mediaType"], INDEX);
        assert_eq!(whole[0]["annotations"]["org.opencontainers.image.ref.name"], "1");
        let platforms = blob(&whole[0]);
        for (number, architecture) in ["amd64", "arm64"].into_iter().enumerate() {
            let one = &platforms["manifests"][number];
            assert_eq!(one["platform"]["architecture"], architecture);
            assert_eq!(blob(one), json!({"is": architecture}));
        }
        let twice = [images[0].clone(), images[0].clone()];
        let error = join(&release, &twice, &joined).unwrap_err().to_string();
        assert!(error.contains("there is another image for \"amd64\""), "{error}");
        fs::remove_dir_all(&place).unwrap();
    }
}
