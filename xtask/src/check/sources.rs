//! The Rust source of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// All Rust files, in order.
pub(super) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    visit(root, &mut |path| {
        if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path.to_owned());
        }
    })?;
    files.sort();
    Ok(files)
}

/// The files that are the roots of libraries and of the commands named after their packages.
pub(super) fn crate_roots(root: &Path) -> Result<Vec<PathBuf>> {
    let is_root = |path: &PathBuf| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    Ok(files(root)?.into_iter().filter(is_root).collect())
}

fn visit(directory: &Path, each: &mut impl FnMut(&Path)) -> Result<()> {
    let entries = fs::read_dir(directory);
    let entries = entries.with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !path.is_symlink() {
            // What cargo builds.
            if !hidden && !path.join("CACHEDIR.TAG").exists() {
                visit(&path, each)?;
            }
        } else {
            each(&path);
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A directory that is deleted with this.
    pub(in crate::check) struct Directory(PathBuf);

    impl Directory {
        pub(in crate::check) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// A directory with these files.
    pub(in crate::check) fn tree(files: &[(&str, &str)]) -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tracer-check-{}-{count}", std::process::id());
        let directory = Directory(std::env::temp_dir().join(name));
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    #[test]
    fn what_cargo_builds_and_what_is_hidden_is_no_source() {
        let directory = tree(&[
            ("src/lib.rs", ""),
            ("src/notes.md", ""),
            (".git/a.rs", ""),
            ("target/CACHEDIR.TAG", ""),
            ("target/built.rs", ""),
        ]);
        assert_eq!(files(directory.path()).unwrap(), [directory.path().join("src/lib.rs")]);
        assert_eq!(crate_roots(directory.path()).unwrap().len(), 1);
    }
}
