//! `cargo xtask run`: builds tracer, then becomes it, so that signals, standard output and the
//! exit status are tracer's own.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::cargo::{Cargo, Progress};
use crate::{process, workspace};

pub(crate) fn run(cargo: &Cargo, arguments: &[OsString]) -> Result<()> {
    process::require_root()?;
    let tracer = workspace::tracer()?;
    // A first build takes long enough to want cargo's progress; later ones are mostly no-ops.
    let progress = if tracer.exists() { Progress::Hidden } else { Progress::Shown };
    cargo.build(progress)?;
    let error = process::as_root(&tracer).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", tracer.display()))
}
