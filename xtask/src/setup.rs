//! Setting up what the build needs and nothing else has: a compiler for the eBPF half with the
//! source of its library, and bpf-linker.
//!
//! What is there already is found by looking at files, so that `cargo xtask run` starts at once.
//! Facts are collected apart from decisions ([`route`]), which therefore are tested without them.

mod compiler;
pub(crate) mod debian;
pub(crate) mod debian_root;
mod linker;
pub(crate) mod lints;
pub(crate) mod programs;
pub(crate) mod receivers;
mod route;
mod rustup;
mod toolchain;

use anyhow::Result;

use self::toolchain::Toolchain;
use crate::cargo::{Cargo, Ebpf};
use crate::process::say;
use crate::workspace;

/// Sets up what a build needs: where the object of the eBPF half is there already, nothing.
pub(crate) fn prepare() -> Result<Cargo> {
    let root = workspace::root();
    match tracer_object::shipped(&tracer_object::directory(root), Some(root)) {
        Ok(_) => Ok(Cargo::new(None)),
        Err(error) => {
            say(format_args!("{error:#}: compiling it (`cargo xtask object` renews the file)"));
            prepare_ebpf()
        }
    }
}

/// Sets up the eBPF half's tools and returns the cargo that uses them.
pub(crate) fn prepare_ebpf() -> Result<Cargo> {
    workspace::alone(|| {
        let Toolchain { name, sysroot, compiler } = toolchain::ensure()?;
        let linker = linker::ensure(&name, &sysroot, compiler.llvm)?;
        Ok(Cargo::new(Some(Ebpf::new(name, sysroot, &linker)?)))
    })
}
