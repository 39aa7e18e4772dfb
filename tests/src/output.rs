//! What a tracer with `--output` leaves: its file, and those that were set aside.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{background::Background, netns::Namespace, sockets::eventually};

/// Starts a tracer that writes JSON lines; returns when it is attached.
pub fn record(prelude: &str, namespace: &Namespace, path: &Path, options: &[&str]) -> Background {
    let output = ["--format", "json", "--output", path.to_str().expect("a file")];
    let tracer = Background::tracer(prelude, namespace, &[&output, options].concat());
    let seen = tracer.inside(path.to_str().expect("a file"));
    let begun = seen.clone();
    // A file that was there before ends with the summary of another trace, or has lost it.
    let before = fs::metadata(path).map_or(0, |file| file.len());
    eventually("the first line of the output file", move || {
        fs::metadata(&begun).is_ok_and(|file| file.len() > before)
    });
    tracer
}

/// The lines of a file, none of them torn; of a file that was made and set aside before its writer
/// was told of it, none.
pub fn lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is torn");
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(parse).collect()
}

/// What is in a file, compressed or not.
pub fn read(path: &Path) -> String {
    if path.extension().is_some_and(|suffix| suffix == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(path).output().expect("a file");
        assert!(output.status.success(), "{}", path.display());
        return String::from_utf8(output.stdout).expect("a file");
    }
    fs::read_to_string(path).expect("a file")
}

/// How many lines are of a kind.
pub fn count(lines: &[Value], kind: &str) -> u64 {
    lines.iter().filter(|line| line["kind"] == kind).count() as u64
}

/// Checks that what was told is in the lines, by the last of them.
pub fn assert_complete(lines: &[Value]) {
    let summary = lines.iter().find(|line| line["kind"] == "summary").expect("a summary");
    assert_eq!(summary["complete"], true, "{summary}");
    for kind in ["transition", "connection", "linger", "finding"] {
        assert_eq!(summary["records"][kind], count(lines, kind), "{kind}");
    }
    assert!(count(lines, "transition") > 1000, "too few to test anything");
}

/// The file and those that were set aside.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().expect("a file").to_str().expect("a file");
    let entries = fs::read_dir(path.parent().expect("a file"))
        .expect("a file")
        .map(|entry| entry.expect("a file").path());
    let ours = |path: &PathBuf| {
        path.file_name().expect("a file").to_str().expect("a file").starts_with(name)
    };
    entries.filter(ours).collect()
}
