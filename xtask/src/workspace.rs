//! Where things are: the workspace, what cargo builds, and what xtask keeps between runs; and
//! which features are built.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process::say;

/// What the default build leaves out because it is heavy, and what is tested and published has.
pub(crate) const FEATURES: [&str; 2] = ["--features", "tracer/parquet"];

/// In the cache: held by the one that sets up.
const LOCK: &str = "lock";

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

/// Does what no two of xtask may do at the same time, because all clones on a machine share what
/// is set up: the cache, and the machine's packages.
///
/// Not to be called by what is called by it.
pub(crate) fn alone<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    alone_in(&cache()?, work)
}

fn alone_in<T>(cache: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let path = cache.join(LOCK);
    // Released when it is closed, however this process ends.
    let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        say("waiting for another cargo xtask, which is setting up");
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_sets_up() {
        let cache = env::temp_dir().join(format!("xtask-lock-{}", std::process::id()));
        let is_held = || {
            let lock = File::open(cache.join(LOCK)).unwrap();
            matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
        };
        let inside = alone_in(&cache, || Ok(is_held())).unwrap();
        assert!(inside && !is_held());
        assert!(alone_in(&cache, || -> Result<()> { anyhow::bail!("fails") }).is_err());
        assert!(!is_held(), "a set-up that fails keeps no other from trying");
        fs::remove_dir_all(&cache).unwrap();
    }
}
