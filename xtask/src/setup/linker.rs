//! bpf-linker, built against the very LLVM that the compiler of the eBPF half uses.
//!
//! The two exchange bitcode, so the linker's LLVM must not be older. The compiler's own shared
//! library is always there and always of the right version, so nothing with `-dev` in its name is
//! needed. The linker goes to a directory of xtask's own, one for each LLVM.

use std::env::consts::ARCH;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{self, say};
use crate::{cargo, workspace};

const VERSION: &str = "0.13.0";

/// The major versions of LLVM for which this bpf-linker has a feature (its Cargo.toml).
const LLVM: std::ops::RangeInclusive<u32> = 21..=23;

/// What the linker's build looks for, and finds as a link to the library's real name.
const LIBRARY: &str = "libLLVM.so";

/// Why no linker can be built for this LLVM, if so.
pub(super) fn obstacle(llvm: u32) -> Option<String> {
    let (oldest, newest) = LLVM.into_inner();
    (!LLVM.contains(&llvm)).then(|| {
        format!("it has LLVM {llvm}, and bpf-linker {VERSION} knows LLVM {oldest} to {newest}")
    })
}

/// Builds the linker for a toolchain and its LLVM unless it is there; returns the directory of its
/// binary.
pub(super) fn ensure(toolchain: &str, sysroot: &Path, llvm: u32) -> Result<PathBuf> {
    let library = find_library(toolchain, sysroot, llvm)?;
    let root = workspace::cache()?.join(directory_name(&library));
    let name = library.file_name().unwrap_or_default();
    for link in [root.join("lib").join(name), root.join("lib").join(LIBRARY)] {
        // Also a link that dangles, because its toolchain went and another came.
        if !link.exists() {
            replace_link(&library, &link)?;
        }
    }
    let bin = root.join("bin");
    if bin.join("bpf-linker").exists() {
        return Ok(bin);
    }
    say(format_args!("building bpf-linker {VERSION} for LLVM {llvm} (once, about a minute)"));
    let mut command = install(llvm, &root);
    process::silently(&mut command, None).context("cannot build bpf-linker")?;
    Ok(bin)
}

fn install(llvm: u32, root: &Path) -> Command {
    let mut command = cargo::plain();
    command.args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force"]);
    command.args(["--no-default-features", "--features", &format!("llvm-{llvm}")]);
    command.arg("--root").arg(root);
    command.env("LLVM_PREFIX", root);
    // LLVM does the work: the Rust around it gains nothing from what takes long to compile.
    command.env("CARGO_PROFILE_RELEASE_DEBUG", "false");
    command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    command
}

/// `libLLVM.so.22.1` → `bpf-linker-0.13.0-llvm-22.1`; a nightly's library has its release in the
/// name too, and is not compatible with the next one's.
fn directory_name(library: &Path) -> String {
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    let version = name.strip_prefix(LIBRARY).unwrap_or(&name).trim_start_matches('.');
    format!("bpf-linker-{VERSION}-llvm-{version}")
}

/// The compiler's LLVM is beside it (rustup), or among the system's libraries (Debian, Fedora).
fn find_library(toolchain: &str, sysroot: &Path, llvm: u32) -> Result<PathBuf> {
    let directories = [
        sysroot.join("lib"),
        format!("/usr/lib/{ARCH}-linux-gnu").into(),
        format!("/usr/lib/llvm-{llvm}/lib").into(),
        "/usr/lib64".into(),
    ];
    directories.iter().find_map(|directory| library_in(directory, llvm)).with_context(|| {
        format!(
            "no libLLVM.so.{llvm} found for toolchain {toolchain}; install LLVM {llvm}'s library"
        )
    })
}

fn library_in(directory: &Path, llvm: u32) -> Option<PathBuf> {
    let prefix = format!("{LIBRARY}.{llvm}.");
    let files = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    files.filter(|path| is_named(path, &prefix)).min()
}

fn is_named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

fn replace_link(target: &Path, link: &Path) -> Result<()> {
    let parent = link.parent().unwrap_or(link);
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    if link.is_symlink() {
        fs::remove_file(link).with_context(|| format!("cannot remove {}", link.display()))?;
    }
    symlink(target, link).with_context(|| format!("cannot create the link {}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_llvm_has_a_directory_of_its_own() {
        let name = |library| directory_name(Path::new(library));
        assert_eq!(name("/usr/lib/libLLVM.so.22.1"), "bpf-linker-0.13.0-llvm-22.1");
        assert_eq!(
            name("/x/libLLVM.so.23.1-rust-1.101.0-nightly"),
            "bpf-linker-0.13.0-llvm-23.1-rust-1.101.0-nightly"
        );
    }

    #[test]
    fn only_a_library_of_the_same_major_version_counts() {
        let path = Path::new("/lib/libLLVM.so.22.1-rust-1.97.0-nightly");
        assert!(is_named(path, "libLLVM.so.22."));
        assert!(!is_named(path, "libLLVM.so.2."));
        assert!(!is_named(Path::new("/lib/libLLVM.so.22.1"), "libLLVM.so.23."));
    }

    #[test]
    fn an_llvm_that_the_linker_does_not_know_is_an_obstacle() {
        assert_eq!(obstacle(22), None);
        assert!(obstacle(24).unwrap().ends_with("bpf-linker 0.13.0 knows LLVM 21 to 23"));
    }
}
