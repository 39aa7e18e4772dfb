//! `cargo xtask object`: the object of the eBPF half that travels with the source; and the check
//! that it is what its sources compile to, everywhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::cargo::Ebpf;
use crate::process::{self, say};
use crate::workspace;

/// Compiles the object and leaves it where builds look for it.
pub(crate) fn renew(ebpf: &Ebpf) -> Result<()> {
    let root = workspace::root();
    let compiler = ebpf.compiler();
    say("compiling the object of the eBPF half");
    let object = compiler.compile(root, &workspace::target()?.join("object"))?;
    tracer_object::ship(root, &object, &compiler.version()?)?;
    let directory = tracer_object::directory(root);
    say(format_args!("{} bytes in {}", object.len(), directory.display()));
    Ok(())
}

/// The object is of these sources, and compiling them twice, in two directories, makes its very
/// bytes.
pub(crate) fn check(ebpf: &Ebpf) -> Result<()> {
    say("checking the object of the eBPF half");
    let root = workspace::root();
    let shipped = tracer_object::shipped(&tracer_object::directory(root), Some(root))
        .context("`cargo xtask object` renews the object of the eBPF half")?;
    let target = workspace::target()?.join("object");
    let compiler = ebpf.compiler();
    let here = compiler.compile(root, &target)?;
    let elsewhere = copy(root, &target.join("elsewhere"))?;
    ensure!(
        compiler.compile(&elsewhere, &elsewhere.join("target"))? == here,
        "the object of the eBPF half is another one in {}: a path of the machine is in it",
        elsewhere.display()
    );
    let version = compiler.version()?;
    if version != shipped.compiler {
        let shipped = shipped.compiler;
        say(format_args!("not compared with the object by {shipped}: here is {version}"));
        return Ok(());
    }
    ensure!(
        here == shipped.bytes,
        "the object of the eBPF half is not what its sources compile to; `cargo xtask object` \
         renews it"
    );
    Ok(())
}

/// A copy of the workspace without what is built in it.
fn copy(root: &Path, to: &Path) -> Result<PathBuf> {
    const SCRIPT: &str = "rm -rf \"$2\"; mkdir -p \"$2\"
        tar -C \"$1\" --exclude=target --exclude=.git -cf - . | tar -C \"$2\" -xf -";
    let mut shell = Command::new("sh");
    process::silently(shell.args(["-ec", SCRIPT, "sh"]).args([root, to]), None)?;
    Ok(to.to_owned())
}
