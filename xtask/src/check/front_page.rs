//! The front page of each library shows how it is used, by an example that the tests run.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::sources;

/// Words behind ``` with which rustdoc does not compile what follows, or not as it stands.
const NO_TESTS: [&str; 4] = ["text", "ignore", "console", "compile_fail"];

/// Fails with all libraries that have none.
pub(super) fn check(root: &Path) -> Result<()> {
    let mut without = Vec::new();
    for path in sources::crate_roots(root)?.iter().filter(|path| path.ends_with("lib.rs")) {
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        let manifest = path.ancestors().nth(2).unwrap_or(path).join("Cargo.toml");
        let manifest = fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?;
        if !has_example(&text) || manifest.contains("doctest = false") {
            without.push(path.strip_prefix(root).unwrap_or(path).display().to_string());
        }
    }
    ensure!(
        without.is_empty(),
        "front pages without an example that is a doctest: {}",
        without.join(", ")
    );
    Ok(())
}

/// Whether the documentation of a crate has a block of code that rustdoc tests.
fn has_example(source: &str) -> bool {
    let page = source.lines().filter_map(|line| line.strip_prefix("//!"));
    let fences = page.filter_map(|line| line.trim_start().strip_prefix("```"));
    // Each second one ends a block.
    fences.step_by(2).any(|info| !info.split(',').any(|word| NO_TESTS.contains(&word.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::sources::tests::tree;

    #[test]
    fn an_example_must_be_on_the_front_page_and_be_tested() {
        let good =
            "//! Adds.\n//!\n//! ```text\n//! one\n//! ```\n//!\n//! ```\n//! one()\n//! ```\n";
        let elsewhere = "//! Adds.\n\n/// ```\n/// one()\n/// ```\npub fn one() {}\n";
        let untested = "//! ```text\n//! one\n//! ```\n";
        let directory = tree(&[
            ("a/src/lib.rs", good),
            ("a/Cargo.toml", ""),
            ("b/src/lib.rs", elsewhere),
            ("b/Cargo.toml", ""),
            ("c/src/lib.rs", untested),
            ("c/Cargo.toml", ""),
            ("d/src/lib.rs", good),
            ("d/Cargo.toml", "doctest = false"),
            ("e/src/main.rs", ""),
        ]);
        let error = check(directory.path()).unwrap_err().to_string();
        let list = "b/src/lib.rs, c/src/lib.rs, d/src/lib.rs";
        assert_eq!(error, format!("front pages without an example that is a doctest: {list}"));
    }
}
