//! Debian's kernels: the newest package of a line, fetched once and unpacked, never installed.
//!
//! The host's own package lists are left alone: a private configuration of apt names the suites
//! that have these kernels, and says to trust Debian's keys only.

use std::{
    cmp::Ordering,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::architecture::Architecture;
use crate::setup::debian::{KEYS, MIRROR};
use crate::{process, process::say, workspace};

/// Where the lines are: 5.10; 6.1 and 6.12; what is newer.
const SUITES: [(&str, &str); 5] = [
    ("debian-security", "bullseye-security"),
    ("debian-security", "bookworm-security"),
    ("debian", "bookworm-backports"),
    ("debian", "trixie-backports"),
    // Programs for other architectures, and the first kernels of 6.1.
    ("debian", "bookworm"),
];
/// How old lists may be; packages that have been superseded cannot be fetched for long.
const FRESH: Duration = Duration::from_secs(12 * 3600);
/// A download that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Directories and files of modules that live tests may make the kernel load.
const MODULES: [&str; 12] = [
    "kernel/net/core",
    "kernel/net/802",
    "kernel/net/llc",
    "kernel/net/ipv4",
    "kernel/net/ipv6",
    "kernel/net/mptcp",
    "kernel/net/netfilter",
    "kernel/net/packet",
    "kernel/net/sched",
    "kernel/net/unix",
    "kernel/lib",
    "kernel/crypto",
];
const DRIVERS: [&str; 3] = ["tun", "veth", "dummy"];

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    /// What was asked for: `6.1`.
    pub(super) line: String,
    /// What `uname -r` says.
    pub(super) release: String,
    /// The image.
    pub(super) image: PathBuf,
    /// `/lib/modules/RELEASE`, with an index of dependencies.
    pub(super) modules: PathBuf,
}

/// As Debian builds kernels of one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flavour {
    /// With what a virtual machine has.
    #[default]
    Cloud,
    /// With pages of 16 KiB, of 64-bit ARM.
    LargePages,
}

impl Flavour {
    /// What the names of its packages end with.
    fn suffix(self, architecture: Architecture) -> String {
        let architecture = architecture.debian();
        match self {
            Self::Cloud => format!("-cloud-{architecture}"),
            Self::LargePages => format!("-{architecture}-16k"),
        }
    }
}

/// A package as apt's lists describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    depends: Vec<String>,
}

/// Debian's kernels for an architecture.
pub(super) struct Kernels {
    architecture: Architecture,
    root: PathBuf,
    packages: Vec<Package>,
}

impl Kernels {
    /// Reads the lists, after fetching them where they are old.
    pub(super) fn known(architecture: Architecture) -> Result<Self> {
        let root = workspace::cache()?.join("kernels").join(architecture.debian());
        let kernels = Self { architecture, root, packages: Vec::new() };
        kernels.configure()?;
        kernels.update()?;
        let names = kernels.apt("apt-cache", &["pkgnames", "linux-"])?;
        let flavours =
            [Flavour::Cloud, Flavour::LargePages].map(|flavour| flavour.suffix(architecture));
        let is_kernel = |name: &&str| {
            flavours.iter().any(|suffix| name.ends_with(suffix)) && release(name).is_some()
        };
        let names: Vec<&str> = names.lines().filter(is_kernel).collect();
        ensure!(!names.is_empty(), "Debian's lists have no kernel");
        let shown =
            kernels.apt("apt-cache", &[&["show", "--no-all-versions"], &names[..]].concat())?;
        let packages = shown.split("\n\n").filter_map(parse).collect();
        Ok(Self { packages, ..kernels })
    }

    /// The newest kernel of a line, fetched if it is not there.
    pub(super) fn newest(&self, line: &str, flavour: Flavour) -> Result<Kernel> {
        let suffix = flavour.suffix(self.architecture);
        let image = newest(&self.packages, line, &suffix)
            .with_context(|| format!("Debian has no kernel {line}…{suffix}"))?;
        let release = release(&image.name).unwrap_or_default().to_owned();
        let directory = self.root.join(&image.name);
        let kernel = Kernel {
            line: line.to_owned(),
            image: directory.join("vmlinuz"),
            modules: directory.join("modules"),
            release,
        };
        if !kernel.image.exists() {
            self.fetch(image, &kernel, &directory)
                .with_context(|| format!("cannot fetch {}", image.name))?;
        }
        Ok(kernel)
    }

    /// A directory with the files of packages and of all that they depend on, which are not
    /// installed.
    pub(super) fn unpacked(&self, name: &str, packages: &[&str]) -> Result<PathBuf> {
        // Others than are wanted now may be there.
        let directory = self.root.join(format!("{name}-{}", packages.len()));
        if !directory.exists() {
            let options = ["install", "--simulate", "--no-install-recommends", "--quiet=2"];
            let said = self.apt("apt-get", &[&options, packages].concat())?;
            // Inst NAME (VERSION …
            let words = said.lines().filter_map(|line| line.strip_prefix("Inst "));
            let all: Vec<&str> = words.filter_map(|words| words.split(' ').next()).collect();
            let unpacked = self.unpack(&all, name)?;
            fs::rename(&unpacked, &directory)?;
        }
        Ok(directory)
    }

    fn configure(&self) -> Result<()> {
        for directory in ["lists/partial", "cache/archives/partial", "state"] {
            let path = self.root.join("apt").join(directory);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        ensure!(Path::new(KEYS).exists(), "{KEYS} is missing; install debian-archive-keyring");
        let source =
            |(archive, suite)| format!("deb [signed-by={KEYS}] {MIRROR}/{archive} {suite} main\n");
        fs::write(self.root.join("apt/sources.list"), SUITES.map(source).concat())?;
        fs::write(self.root.join("apt/status"), "")?;
        fs::write(self.root.join("apt/apt.conf"), self.configuration())?;
        Ok(())
    }

    fn configuration(&self) -> String {
        let apt = self.root.join("apt");
        let apt = apt.display();
        format!(
            "APT::Architecture \"{0}\";\nAPT::Architectures {{ \"{0}\"; }};\n\
             APT::Sandbox::User \"\";\n\
             Dir::Etc::sourcelist \"{apt}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
             Dir::State \"{apt}/state\";\nDir::State::Lists \"{apt}/lists\";\n\
             Dir::State::status \"{apt}/status\";\nDir::Cache \"{apt}/cache\";\n\
             Acquire::Languages \"none\";\nAcquire::Retries \"3\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n",
            self.architecture.debian()
        )
    }

    /// Fetches the lists. Old ones serve where new ones cannot be had.
    fn update(&self) -> Result<()> {
        let stamp = self.root.join("apt/updated");
        let age = fs::metadata(&stamp).and_then(|file| file.modified()).ok();
        let age = age.and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_some_and(|age| age < FRESH) {
            return Ok(());
        }
        say(format_args!("fetching Debian's lists of kernels for {}", self.architecture));
        let mut update = self.command("apt-get");
        update.args(["update", "--error-on=any"]);
        match process::silently(&mut update, None) {
            Ok(()) => fs::write(&stamp, "").map_err(Into::into),
            Err(error) if age.is_some() => {
                say(format_args!("using old lists: {error:#}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.root.join("apt/apt.conf")).env("LC_ALL", "C");
        command
    }

    fn apt(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(program).args(arguments).output();
        let output = output.with_context(|| format!("cannot start {program}"))?;
        if !output.status.success() {
            bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn fetch(&self, image: &Package, kernel: &Kernel, directory: &Path) -> Result<()> {
        // Newer kernels are split: linux-binary and linux-modules beside an empty linux-image.
        let parts = image.depends.iter().filter(|name| release(name) == Some(&kernel.release));
        let names: Vec<_> = std::iter::once(&image.name).chain(parts).map(String::as_str).collect();
        let unpacked = self.unpack(&names, &image.name)?;
        keep(&unpacked, &kernel.release)?;
        fs::rename(&unpacked, directory)?;
        Ok(())
    }

    /// Fetches packages and unpacks them beside where they are going to be.
    fn unpack(&self, packages: &[&str], name: &str) -> Result<PathBuf> {
        let unpacked = self.root.join(format!("{name}.new"));
        // Of a call that was broken off.
        let _ = fs::remove_dir_all(&unpacked);
        fs::create_dir_all(&unpacked)?;
        say(format_args!("fetching {name} for {}", self.architecture));
        let mut download = self.command("apt-get");
        download.arg("download").args(packages).current_dir(&unpacked);
        process::silently(&mut download, None)?;
        for package in packages_in(&unpacked)? {
            let mut extract = Command::new("dpkg-deb");
            extract.arg("--extract").arg(&package).arg(&unpacked);
            process::silently(&mut extract, Some(PATIENCE))?;
            fs::remove_file(&package)?;
        }
        Ok(unpacked)
    }
}

fn packages_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let paths = fs::read_dir(directory)?.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|name| name == "deb")).collect())
}

/// Keeps the image and some of the modules of an unpacked kernel, and indexes these.
fn keep(unpacked: &Path, release: &str) -> Result<()> {
    let places = ["usr/lib/modules", "lib/modules"].map(|place| unpacked.join(place).join(release));
    let all = places.iter().find(|place| place.exists()).context("it has no modules")?;
    let images = [all.join("vmlinuz"), unpacked.join(format!("boot/vmlinuz-{release}"))];
    let image = images.iter().find(|image| image.exists()).context("it has no image")?;
    fs::rename(image, unpacked.join("vmlinuz"))?;
    let tree = unpacked.join("kept/lib/modules").join(release);
    fs::create_dir_all(tree.join("kernel"))?;
    for file in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        // depmod does without, and says so.
        let _ = fs::rename(all.join(file), tree.join(file));
    }
    for directory in MODULES {
        move_into(&tree, all, Path::new(directory))?;
    }
    for driver in DRIVERS {
        for suffix in ["ko", "ko.xz"] {
            move_into(
                &tree,
                all,
                &Path::new("kernel/drivers/net").join(format!("{driver}.{suffix}")),
            )?;
        }
    }
    let depmod = process::find("depmod").context("depmod is missing; install kmod")?;
    let mut index = Command::new(depmod);
    index.arg("-b").arg(unpacked.join("kept")).arg(release);
    process::silently(&mut index, Some(PATIENCE))?;
    fs::rename(&tree, unpacked.join("modules"))?;
    for rest in ["boot", "lib", "usr", "etc", "kept"] {
        // Not every package has each.
        let _ = fs::remove_dir_all(unpacked.join(rest));
    }
    Ok(())
}

/// Moves what a kernel has of it; what is missing is built in, or not there.
fn move_into(tree: &Path, all: &Path, path: &Path) -> Result<()> {
    if !all.join(path).exists() {
        return Ok(());
    }
    let target = tree.join(path);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(all.join(path), target).with_context(|| format!("cannot move {}", path.display()))
}

/// `6.1.0-56-cloud-amd64` of `linux-image-6.1.0-56-cloud-amd64`.
fn release(package: &str) -> Option<&str> {
    let prefixes = ["linux-image-", "linux-binary-", "linux-modules-"];
    let release = prefixes.iter().find_map(|prefix| package.strip_prefix(prefix))?;
    // Without a patch level it is a package that only depends on the newest.
    (release.split('.').count() >= 3).then_some(release)
}

fn parse(paragraph: &str) -> Option<Package> {
    let field = |name: &str| {
        let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned());
        paragraph.lines().find_map(value)
    };
    let depends = field("Depends").unwrap_or_default();
    let depends = depends.split([',', '|']).filter_map(|one| one.split_whitespace().next());
    Some(Package {
        name: field("Package")?,
        version: field("Version")?,
        depends: depends.map(str::to_owned).collect(),
    })
}

/// The image of the highest version of a line and a flavour.
fn newest<'a>(packages: &'a [Package], line: &str, suffix: &str) -> Option<&'a Package> {
    let start = format!("linux-image-{line}.");
    let is_one = |name: &str| name.starts_with(&start) && name.ends_with(suffix);
    let images = packages.iter().filter(|package| is_one(&package.name));
    images.max_by(|one, other| compare(&one.version, &other.version))
}

/// By the numbers in them, which is all that distinguishes the versions of one line.
fn compare(one: &str, other: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        version.split(|letter: char| !letter.is_ascii_digit()).flat_map(str::parse).collect()
    };
    numbers(one).cmp(&numbers(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Package {
        Package { name: name.into(), version: version.into(), depends: Vec::new() }
    }

    #[test]
    fn the_newest_of_a_line_is_found() {
        let packages = [
            package("linux-image-6.1.0-9-cloud-amd64", "6.1.99-1"),
            package("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2"),
            package("linux-image-6.12.117+deb12-cloud-amd64", "6.12.117-1~deb12u1"),
            package("linux-binary-6.1.0-57-cloud-amd64", "6.1.193-1"),
            package("linux-image-6.12.118+deb12-amd64-16k", "6.12.118-1~deb12u1"),
        ];
        let suffix = Flavour::Cloud.suffix(Architecture::X86);
        let name = |line| newest(&packages, line, &suffix).map(|package| package.name.as_str());
        assert_eq!(name("6.1"), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(name("6.12"), Some("linux-image-6.12.117+deb12-cloud-amd64"));
        assert_eq!(name("5.10"), None);
    }

    #[test]
    fn packages_that_stand_for_the_newest_are_no_kernels() {
        assert_eq!(release("linux-image-6.1.0-56-cloud-amd64"), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(release("linux-image-cloud-amd64"), None);
        assert_eq!(release("linux-image-6.1-cloud-amd64"), None);
    }

    #[test]
    fn a_split_kernel_names_its_parts() {
        let text = "Package: linux-image-7.2.12+deb13-cloud-amd64\nVersion: 7.2.12-1~bpo13+1\n\
                    Depends: linux-binary-7.2.12+deb13-cloud-amd64 (= 7.2.12-1), kmod | busybox";
        let parsed = parse(text).unwrap();
        assert_eq!(parsed.depends, ["linux-binary-7.2.12+deb13-cloud-amd64", "kmod", "busybox"]);
        assert_eq!(parse("Version: 1"), None);
    }
}
