//! Files that are too long to be read at once: no Rust file has more than [`LIMIT`] lines. That of
//! functions is a matter of Clippy (`too_many_lines`).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::sources;

/// Lines of a file, comments, blank lines and tests included.
const LIMIT: usize = 400;

/// Fails with all files that are longer.
pub(super) fn check(root: &Path) -> Result<()> {
    let mut report = String::new();
    for path in sources::files(root)? {
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        let lines = text.lines().count();
        if lines > LIMIT {
            let path = path.strip_prefix(root).unwrap_or(&path);
            let _ = writeln!(report, "  {lines} {}", path.display());
        }
    }
    ensure!(report.is_empty(), "files of more than {LIMIT} lines:\n{report}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::sources::tests::tree;

    #[test]
    fn a_file_of_one_line_more_is_too_long() {
        let (most, more) = ("\n".repeat(LIMIT), "\n".repeat(LIMIT + 1));
        let good = tree(&[("src/a.rs", &most), ("src/long.txt", &more)]);
        assert!(check(good.path()).is_ok());
        let bad = tree(&[("src/a.rs", &most), ("tests/b.rs", &more)]);
        let error = check(bad.path()).unwrap_err().to_string();
        assert_eq!(error, "files of more than 400 lines:\n  401 tests/b.rs\n");
    }
}
