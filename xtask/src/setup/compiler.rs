//! What a compiler says about itself, and whether the eBPF half can be built with it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::linker;

/// Major and minor version.
pub(crate) type Version = (u32, u32);

/// The part of `rustc -vV` that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compiler {
    release: Version,
    /// Major version of the LLVM whose bitcode it writes.
    pub(crate) llvm: u32,
}

impl Compiler {
    /// Asks the compiler in a toolchain's directory.
    pub(crate) fn in_sysroot(sysroot: &Path) -> Result<Self> {
        let rustc = sysroot.join("bin/rustc");
        let output = Command::new(&rustc).arg("-vV").output();
        let output = output.with_context(|| format!("cannot start {}", rustc.display()))?;
        Self::parse(&String::from_utf8_lossy(&output.stdout))
            .with_context(|| format!("{} -vV names no version", rustc.display()))
    }

    fn parse(verbose_version: &str) -> Option<Self> {
        let field = |name: &str| verbose_version.lines().find_map(|line| line.strip_prefix(name));
        let release = version(field("release: ")?)?;
        let (llvm, _) = version(field("LLVM version: ")?)?;
        Some(Self { release, llvm })
    }

    /// Why this compiler cannot be used, if it cannot.
    pub(crate) fn obstacle(self) -> Option<String> {
        let (major, minor) = self.release;
        let needed = env!("CARGO_PKG_RUST_VERSION");
        if version(needed).is_some_and(|needed| self.release < needed) {
            return Some(format!("it is Rust {major}.{minor}, older than {needed}"));
        }
        linker::obstacle(self.llvm)
    }
}

fn version(text: &str) -> Option<Version> {
    let mut numbers = text.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: &str = "\
rustc 1.97.0-nightly (e50aa6fba 2026-05-19)
binary: rustc
commit-hash: e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a
commit-date: 2026-05-19
host: x86_64-unknown-linux-gnu
release: 1.97.0-nightly
LLVM version: 22.1.4
";

    #[test]
    fn release_and_llvm_are_read_from_the_verbose_version() {
        assert_eq!(Compiler::parse(NIGHTLY), Some(Compiler { release: (1, 97), llvm: 22 }));
    }

    #[test]
    fn a_version_without_llvm_is_refused() {
        assert_eq!(Compiler::parse("release: 1.97.0\n"), None);
        assert_eq!(Compiler::parse(""), None);
    }

    #[test]
    fn obstacles_are_an_old_compiler_and_an_unknown_llvm() {
        let obstacle = |release, llvm| Compiler { release, llvm }.obstacle();
        assert_eq!(obstacle((1, 95), 22), None);
        assert_eq!(obstacle((2, 0), 22), None);
        assert_eq!(obstacle((1, 85), 22).unwrap(), "it is Rust 1.85, older than 1.95");
        assert!(obstacle((1, 120), 99).unwrap().contains("LLVM 99"));
    }
}
