//! The package for Debian and its derivatives; deploy/package/debian has its parts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::io::{make_directory, output, read, write};
use super::tree::{self, Places, install, set_mode};
use super::{MAINTAINER, Release, URL};
use crate::{process, workspace};

const PLACES: Places = Places { zsh: "usr/share/zsh/vendor-completions/_tracer" };

pub(super) fn make(release: &Release) -> Result<()> {
    let root = release.workshop("deb")?;
    tree::lay(release, &PLACES, &root)?;
    let parts = workspace::root().join("deploy/package/debian");
    let documents = root.join("usr/share/doc/tracer");
    // Debian has the licences in `copyright`.
    fs::remove_file(documents.join("LICENSE-MIT"))?;
    install(&parts.join("copyright"), &documents.join("copyright"), 0o644)?;
    let overrides = root.join("usr/share/lintian/overrides/tracer");
    install(&parts.join("lintian-overrides"), &overrides, 0o644)?;
    let changes = documents.join("changelog.Debian");
    write(&changes, changelog(release)?)?;
    set_mode(&changes, 0o644)?;
    tree::compress(&changes)?;
    control(release, &parts, &root)?;
    pack(release, &root)?;
    release.remove("deb")
}

/// The directory DEBIAN, of which dpkg makes the package's control part.
fn control(release: &Release, parts: &Path, root: &Path) -> Result<()> {
    // Over all files before DEBIAN is among them.
    let mut sums = release.command("sh");
    sums.current_dir(root).args(["-ec", "find * -type f ! -path 'etc/*' | sort | xargs md5sum"]);
    let sums = output(&mut sums)?;
    let mut size = release.command("du");
    let size = output(size.args(["--summarize", "--apparent-size", "--block-size=1K"]).arg(root))?;
    let directory = root.join("DEBIAN");
    make_directory(&directory)?;
    write(&directory.join("md5sums"), sums + "\n")?;
    let control = read(&parts.join("control"))?
        .replace("@VERSION@", release.version)
        .replace("@MAINTAINER@", MAINTAINER)
        .replace("@URL@", URL)
        .replace("@ARCHITECTURE@", architecture(release.architecture))
        .replace("@SIZE@", size.split_whitespace().next().unwrap_or("0"));
    write(&directory.join("control"), control)?;
    for (name, mode) in
        [("conffiles", 0o644), ("postinst", 0o755), ("prerm", 0o755), ("postrm", 0o755)]
    {
        install(&parts.join(name), &directory.join(name), mode)?;
    }
    for name in ["md5sums", "control"] {
        set_mode(&directory.join(name), 0o644)?;
    }
    Ok(())
}

fn pack(release: &Release, root: &Path) -> Result<()> {
    let mut modes = release.command("find");
    // Whatever the umask was.
    process::silently(modes.arg(root).args("-type d -exec chmod 755 {} +".split(' ')), None)?;
    let mut dpkg = release.command("dpkg-deb");
    dpkg.args(["--root-owner-group", "-Zxz", "--build"]).arg(root).arg(path(release));
    process::silently(&mut dpkg, None)
}

pub(super) fn path(release: &Release) -> PathBuf {
    let architecture = architecture(release.architecture);
    release.directory.join(format!("tracer_{}-1_{architecture}.deb", release.version))
}

/// The package's own changes; those of tracer are in CHANGELOG.md.
fn changelog(release: &Release) -> Result<String> {
    let Release { version, .. } = release;
    let date = release.date("%a, %d %b %Y %H:%M:%S +0000")?;
    Ok(format!(
        "tracer ({version}-1) unstable; urgency=medium\n\n  * Release {version}.\n\n \
         -- {MAINTAINER}  {date}\n"
    ))
}

/// Debian's name of an architecture.
fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "riscv64" => "riscv64",
        other => other,
    }
}
