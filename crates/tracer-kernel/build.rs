//! Leaves the object file of the eBPF half in `OUT_DIR`, where `load` embeds it: the one that came
//! with the source, or, where the eBPF half has changed since, a new one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tracer_object::Compiler;

/// Name of the rustup toolchain for the eBPF half; `cargo xtask` sets it.
const TOOLCHAIN: &str = "TRACER_EBPF_TOOLCHAIN";

fn main() -> Result<()> {
    let endian = env::var("CARGO_CFG_TARGET_ENDIAN")?;
    ensure!(endian == "little", "tracer runs on little-endian machines only, this one is {endian}");
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let directory = manifest.join("object");
    let root = tracer_object::workspace(&manifest);
    println!("cargo:rerun-if-changed=build.rs");
    let watched = root.as_deref().map(tracer_object::watched).unwrap_or_default();
    for path in watched.iter().chain([&directory]) {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    let object = match (tracer_object::shipped(&directory, root.as_deref()), root) {
        (Ok(shipped), _) => shipped.bytes,
        (Err(_), Some(root)) => compile(&root, &out)?,
        (Err(error), None) => return Err(error.context("this package is damaged")),
    };
    fs::write(out.join("tracer.bpf.o"), object).context("cannot write to OUT_DIR")
}

fn compile(root: &Path, out: &Path) -> Result<Vec<u8>> {
    println!("cargo:rerun-if-env-changed={TOOLCHAIN}");
    let toolchain = env::var(TOOLCHAIN).unwrap_or_else(|_| "nightly".into());
    let compiler = Compiler::new(&toolchain, &env::var_os("PATH").unwrap_or_default());
    compiler.compile(root, &out.join("object")).with_context(|| {
        format!(
            "the eBPF half did not build with the toolchain {toolchain:?}: run `cargo xtask build`, \
             which sets up what it needs"
        )
    })
}
