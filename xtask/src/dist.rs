//! `cargo xtask dist`: what is published, in target/dist.
//!
//! One static binary and one tree of files around it, from which each package is made by its
//! distribution's own tool: .deb by dpkg-deb, .rpm by rpmbuild, a tarball and a container image by tar;
//! beside them a bill of materials and checksums. The same commit makes the same files on the same machine:
//! times are the commit's, owners root, orders fixed.

mod archive;
mod bill;
mod deb;
mod image;
mod io;
mod layout;
mod platforms;
mod rpm;
mod tree;

use std::env::consts::ARCH;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use self::io::{make_directory, output};
use crate::architecture::Architecture;
use crate::cargo::Cargo;
use crate::cross;
use crate::process::{self, say};
use crate::workspace;

/// Who is asked about a package: the authors of Cargo.toml.
const MAINTAINER: &str = env!("CARGO_PKG_AUTHORS");
/// Where the project is, as Cargo.toml says.
const URL: &str = env!("CARGO_PKG_REPOSITORY");
/// The version of what is published.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is published, and from what.
struct Release {
    version: &'static str,
    architecture: &'static str,
    /// `SOURCE_DATE_EPOCH`: the time of the commit, seconds.
    epoch: String,
    /// The static binary.
    binary: PathBuf,
    /// The manual pages, made by the binary, plain.
    manual: PathBuf,
    /// Where the packages go.
    directory: PathBuf,
}

/// Makes everything that is published; returns its directory.
///
/// The binary has the features that the tests try: what is published is what was tested, and one
/// compilation serves both.
pub(crate) fn make(cargo: &Cargo) -> Result<PathBuf> {
    let binary = cargo.build_static(&workspace::FEATURES)?;
    let directory = workspace::target()?.join("dist");
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    let release = Release::new(binary, VERSION, ARCH, directory)?;
    release.write_manual()?;
    bill::write(cargo, &release, "cc")?;
    deb::make(&release)?;
    rpm::make(&release)?;
    archive::make(&release)?;
    image::make(&release)?;
    release.remove("manual")?;
    archive::checksums(&release)?;
    say(format_args!("the packages are in {}", release.directory.display()));
    Ok(release.directory)
}

/// Makes one container image for all architectures, of those for one each that are there, and of what
/// is built here for the others.
pub(crate) fn image_of_all(archives: &[PathBuf]) -> Result<()> {
    let directory = workspace::target()?.join("image");
    let release =
        |binary, architecture| Release::new(binary, VERSION, architecture, directory.clone());
    let is_there = |architecture: &Architecture| {
        let end = format!("-{}-linux.oci.tar", architecture.name());
        archives.iter().any(|archive| archive.to_string_lossy().ends_with(&end))
    };
    let mut all = archives.to_vec();
    for architecture in Architecture::ALL.into_iter().filter(|one| !is_there(one)) {
        let cargo = cross::prepare(architecture)?;
        let binary = if architecture == Architecture::native() {
            cargo.build_static(&workspace::FEATURES)?
        } else {
            cross::program(&cargo, architecture, &workspace::FEATURES)?
        };
        let release = release(binary, architecture.name())?;
        bill::write(&cargo, &release, architecture.compiler())?;
        image::make(&release)?;
        all.push(image::path(&release));
    }
    let to = directory.join(format!("tracer-{VERSION}-linux.oci.tar"));
    platforms::join(&release(PathBuf::new(), ARCH)?, &all, &to)?;
    say(format_args!("the image is {}", to.display()));
    Ok(())
}

/// Makes the .deb alone, of a binary that is there, under a version of its own; where it is.
pub(crate) fn debian(
    binary: PathBuf,
    version: &'static str,
    directory: PathBuf,
) -> Result<PathBuf> {
    let release = Release::new(binary, version, ARCH, directory)?;
    release.write_manual()?;
    deb::make(&release)?;
    release.remove("manual")?;
    Ok(deb::path(&release))
}

impl Release {
    fn new(
        binary: PathBuf,
        version: &'static str,
        architecture: &'static str,
        directory: PathBuf,
    ) -> Result<Self> {
        make_directory(&directory)?;
        let (manual, epoch) = (directory.join("manual"), epoch()?);
        Ok(Self { version, architecture, epoch, binary, manual, directory })
    }

    /// The manual pages, which the binary itself makes.
    fn write_manual(&self) -> Result<()> {
        make_directory(&self.manual)?;
        let mut manual = self.command("env");
        process::silently(manual.arg(&self.binary).arg("manual").arg(&self.manual), None)
    }

    /// `tracer-0.1.0-x86_64-linux`
    fn name(&self) -> String {
        format!("tracer-{}-{}-linux", self.version, self.architecture)
    }

    /// A directory for what a package is made of; to be removed.
    fn workshop(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        make_directory(&path)?;
        Ok(path)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.directory.join(name);
        fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    /// A command that knows the time of the release.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SOURCE_DATE_EPOCH", &self.epoch).env("LC_ALL", "C").env("TZ", "UTC");
        command
    }

    /// The time of the release, as `date` writes it in this format.
    fn date(&self, format: &str) -> Result<String> {
        let mut date = self.command("date");
        output(date.arg("--utc").arg(format!("--date=@{}", self.epoch)).arg(format!("+{format}")))
    }
}

/// The time of the last commit; of the archive's files where there is no repository.
fn epoch() -> Result<String> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(epoch);
    }
    let mut git = Command::new("git");
    git.current_dir(workspace::root()).args(["log", "-1", "--format=%ct"]);
    output(&mut git).or_else(|_| {
        let mut stat = Command::new("stat");
        output(stat.args(["--format=%Y"]).arg(workspace::root().join("Cargo.lock")))
    })
}
