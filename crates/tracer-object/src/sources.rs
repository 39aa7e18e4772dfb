//! What the object is made from, and a hash of it.
//!
//! The hash tells a changed source from an unchanged one; it is no proof against somebody who
//! wants it to be equal. That proof is compiling the object again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Crates whose every change may change the object: itself, the format that it writes, and how it
/// is compiled.
const CRATES: [&str; 3] = ["tracer-ebpf", "crates/tracer-wire", "crates/tracer-object"];

const LOCK: &str = "Cargo.lock";
const WORKSPACE: &str = "Cargo.toml";

/// Where changes are to be looked for.
#[must_use]
pub fn watched(root: &Path) -> Vec<PathBuf> {
    let crates = CRATES.iter().flat_map(|name| ["Cargo.toml", "src"].map(|part| (name, part)));
    let crates = crates.map(|(name, part)| root.join(name).join(part));
    crates.chain([LOCK, WORKSPACE].map(|name| root.join(name))).collect()
}

/// The hash of all that is watched; of the lock file only what the object is linked from, of the
/// workspace's manifest only the profiles.
pub(crate) fn hash_of_sources(root: &Path) -> Result<u64> {
    let mut files = Vec::new();
    for path in watched(root) {
        collect(&path, &mut files)?;
    }
    files.sort();
    let mut all = Vec::new();
    for path in &files {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let bytes = if *path == root.join(LOCK) {
            libraries(&bytes)
        } else if *path == root.join(WORKSPACE) {
            profiles(&bytes)
        } else {
            bytes
        };
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
        all.extend_from_slice(format!("{name} {}\n", bytes.len()).as_bytes());
        all.extend_from_slice(&bytes);
    }
    Ok(hash(&all))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

/// Names and versions of aya's crates, whose code is in the object.
fn libraries(lock: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(lock);
    let blocks = text.split("[[package]]").filter(|block| block.contains("name = \"aya-"));
    let lines = blocks.flat_map(str::lines);
    let kept = lines.filter(|line| line.starts_with("name = ") || line.starts_with("version = "));
    kept.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

/// The profiles, which are the last part: cargo names what it compiles after them, too.
fn profiles(manifest: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(manifest);
    let start = text.find("\n[profile.").unwrap_or(text.len());
    text[start..].as_bytes().to_vec()
}

/// FNV-1a, 64 bits (<https://www.rfc-editor.org/rfc/rfc9923>).
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x100_0000_01b3;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_rfc() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
