//! Clippy for the compiler of the eBPF half, which only `cargo xtask check` needs.

use anyhow::{Result, bail};

use super::{debian, rustup};
use crate::cargo::Ebpf;
use crate::process::say;

pub(crate) fn ensure(ebpf: &Ebpf) -> Result<()> {
    let Ebpf { toolchain, sysroot, .. } = ebpf;
    let program = sysroot.join("bin/cargo-clippy");
    if program.exists() {
        return Ok(());
    }
    // What rustup only links is not rustup's to change.
    if !sysroot.is_symlink() {
        say(format_args!("adding clippy to the rustup toolchain {toolchain}"));
        rustup::add_components(toolchain, true)?;
    } else if debian::is_available() {
        debian::install(&[debian::LINTS])?;
    }
    if !program.exists() {
        bail!("toolchain {toolchain} has no {}; install clippy for it", program.display());
    }
    Ok(())
}
