//! `cargo xtask run`: builds tracer, then becomes it, so that signals, standard output and the
//! exit status are tracer's own.
//!
//! Until `cargo xtask build` or the tests have made the optimized program, it is built with little
//! optimization: a first trace is wanted soon.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::cargo::{Cargo, Progress};
use crate::process::{self, say};
use crate::workspace;

pub(crate) fn run(cargo: &Cargo, arguments: &[OsString]) -> Result<()> {
    process::require_root()?;
    let optimized = workspace::tracer()?;
    let tracer = if optimized.exists() {
        cargo.build(Progress::Hidden)?;
        optimized
    } else {
        quick(cargo)?
    };
    let error = process::as_root(&tracer).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", tracer.display()))
}

fn quick(cargo: &Cargo) -> Result<PathBuf> {
    let tracer = workspace::target()?.join("quick/tracer");
    // A first build takes long enough to want cargo's progress; later ones are mostly no-ops.
    if tracer.exists() {
        cargo.build_quick(Progress::Hidden)?;
    } else {
        say("compiling tracer with little optimization; `cargo xtask build` makes the one that \
             takes half the processor time or less");
        cargo.build_quick(Progress::Shown)?;
    }
    Ok(tracer)
}
