//! The files of a recording that was rotated.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A file and those that it was before it was rotated, the oldest first: `FILE.2.zst`, `FILE.1`,
/// `FILE`.
///
/// # Errors
///
/// Where the directory cannot be read.
pub fn rotated(file: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(name) = file.file_name() else { return Ok(vec![file.to_owned()]) };
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut older = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?.file_name();
        let of_it = entry.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        if let Some(number) = of_it.and_then(generation) {
            older.push((number, file.with_file_name(&entry)));
        }
    }
    older.sort_unstable();
    // Killed while it compressed one, a tracer leaves it in both forms: the plain one is whole.
    older.dedup_by_key(|(number, _)| *number);
    let older = older.into_iter().rev().map(|(_, path)| path);
    // The newest may have just been moved away.
    Ok(older.chain(file.exists().then(|| file.to_owned())).collect())
}

/// 2 of `.2.zst`.
fn generation(suffix: &[u8]) -> Option<u64> {
    let suffix = str::from_utf8(suffix).ok()?.strip_prefix('.')?;
    let number = suffix.strip_suffix(".gz").or_else(|| suffix.strip_suffix(".zst"));
    let number = number.unwrap_or(suffix);
    number.bytes().all(|digit| digit.is_ascii_digit()).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_a_rotated_set_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "a.json",
            "a.json.1",
            "a.json.2.gz",
            "a.json.2",
            "a.json.10.zst",
            "a.json.x",
            "a.jsonl",
        ] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let found = rotated(&directory.path().join("a.json")).unwrap();
        let names: Vec<_> =
            found.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.json.10.zst", "a.json.2", "a.json.1", "a.json"]);
    }
}
