//! Builds the eBPF half and leaves its object file in `OUT_DIR`, where `load` embeds it.

use anyhow::Context as _;
use aya_build::{Package, Toolchain, build_ebpf};

/// Name of the rustup toolchain for the eBPF half; `cargo xtask` sets it.
const TOOLCHAIN: &str = "TRACER_EBPF_TOOLCHAIN";

fn main() -> anyhow::Result<()> {
    println!("cargo:rerun-if-env-changed={TOOLCHAIN}");
    println!("cargo:rerun-if-changed=build.rs");
    let toolchain = std::env::var(TOOLCHAIN).unwrap_or_else(|_| "nightly".into());
    // `-Z build-std` on a stable compiler, as Debian's is. Only for the build of the eBPF half:
    // in the environment of the whole build it would make crates take the host for a nightly.
    // SAFETY: a build script has one thread.
    unsafe { std::env::set_var("RUSTC_BOOTSTRAP", "1") };
    let manifest = std::env::var("CARGO_MANIFEST_DIR")?;
    let root = format!("{manifest}/../../tracer-ebpf");
    build_ebpf(
        [Package { name: "tracer-ebpf", root_dir: &root, ..Package::default() }],
        Toolchain::Custom(&toolchain),
    )
    .with_context(|| {
        format!(
            "the eBPF half did not build with the toolchain {toolchain:?}: run `cargo xtask build`, \
             which sets up what it needs"
        )
    })
}
