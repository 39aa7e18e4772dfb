//! Where things are: the workspace, what cargo builds, and what xtask keeps between runs; and
//! which features are built.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// What the default build leaves out because it is heavy, and what is tested and published has.
pub(crate) const FEATURES: [&str; 2] = ["--features", "tracer/parquet"];

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Cargo's target directory.
///
/// It is taken from xtask's own place in it (`TARGET/debug/xtask`), because cargo has too many
/// ways to move it.
pub(crate) fn target() -> Result<PathBuf> {
    let xtask = env::current_exe().context("cannot find the path of xtask itself")?;
    let target = xtask.parent().and_then(Path::parent);
    Ok(target.with_context(|| format!("{} is in no target directory", xtask.display()))?.into())
}

/// The binary that all of this is about.
pub(crate) fn tracer() -> Result<PathBuf> {
    Ok(target()?.join("release/tracer"))
}

/// What xtask installs for itself, apart from the user's own tools.
pub(crate) fn cache() -> Result<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("tracer-xtask"))
}
