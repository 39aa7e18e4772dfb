//! Whether the map in ARCHITECTURE.md is true to the tree: all that it names is there.
//!
//! Each line of its first block has names, then, two spaces away, what they are: files or
//! directories, or modules without `.rs`; below a name, indented, what is in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

const DOCUMENT: &str = "ARCHITECTURE.md";

/// Where descriptions begin at the earliest: a line that is indented so far goes on with one.
const DESCRIPTIONS: usize = 12;

/// Says which names are not there.
pub(super) fn check(root: &Path) -> Result<()> {
    let text = fs::read_to_string(root.join(DOCUMENT));
    let text = text.with_context(|| format!("cannot read {DOCUMENT}"))?;
    let named = named(&text);
    ensure!(!named.is_empty(), "{DOCUMENT} has no map");
    let exists = |path: &Path| {
        let path = root.join(path);
        path.exists() || path.with_extension("rs").exists()
    };
    let missing: Vec<String> =
        named.iter().filter(|path| !exists(path)).map(|path| path.display().to_string()).collect();
    ensure!(missing.is_empty(), "{DOCUMENT} names what is not there: {}", missing.join(", "));
    Ok(())
}

/// All paths of the map.
fn named(text: &str) -> Vec<PathBuf> {
    let block = text.split("```").nth(1).unwrap_or_default();
    // The directories that lead to the current line, with their indentation.
    let mut above: Vec<(usize, PathBuf)> = Vec::new();
    let mut named = Vec::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        let indentation = line.len() - line.trim_start().len();
        if indentation >= DESCRIPTIONS {
            continue;
        }
        above.retain(|(other, _)| *other < indentation);
        let parent = above.last().map(|(_, path)| path.clone()).unwrap_or_default();
        let names = line.trim_start().split("  ").next().unwrap_or_default();
        let paths: Vec<PathBuf> = expand(names).iter().map(|name| parent.join(name)).collect();
        if let Some(last) = paths.last() {
            // What is in a module is in the directory beside its file.
            above.push((indentation, last.with_extension("")));
        }
        named.extend(paths);
    }
    named
}

/// `a, b/{c,d}.rs` → `a`, `b/c.rs`, `b/d.rs`
fn expand(names: &str) -> Vec<String> {
    let mut expanded = Vec::new();
    for name in names.split(", ") {
        match name.split_once('{').and_then(|(start, rest)| Some((start, rest.split_once('}')?))) {
            Some((start, (middle, end))) => {
                expanded.extend(middle.split(',').map(|word| format!("{start}{word}{end}")));
            }
            None => expanded.push(name.to_owned()),
        }
    }
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::sources::tests::tree;

    #[test]
    fn names_are_those_of_their_directory() {
        let map = "text\n```\nsrc/          all\n  one, two/{a,b}   both\n              more\n  \
                   three.rs        x\n    four     y\nend/\n```\n";
        let paths = ["src/", "src/one", "src/two/a", "src/two/b", "src/three.rs", "src/three/four"];
        let expected: Vec<PathBuf> = paths.into_iter().chain(["end/"]).map(PathBuf::from).collect();
        assert_eq!(named(map), expected);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let map = "```\nARCHITECTURE.md   here\nsrc/nothing   not\n```";
        let directory = tree(&[(DOCUMENT, map)]);
        let error = check(directory.path()).unwrap_err().to_string();
        assert_eq!(error, "ARCHITECTURE.md names what is not there: src/nothing");
    }
}
