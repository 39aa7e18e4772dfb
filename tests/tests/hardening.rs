//! What systemd says of the unit: how exposed it is, and that docs/service.md has a reason for each
//! point that is left.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The unit where systemd-analyze looks for it, with its drop-in if there is one.
fn laid(directory: &Path, drop_in: Option<&str>) -> PathBuf {
    let deployed = repository().join("deploy/systemd");
    let place = directory.join("etc/systemd/system");
    fs::create_dir_all(place.join("tracer.service.d")).unwrap();
    fs::copy(deployed.join("tracer.service"), place.join("tracer.service")).unwrap();
    if let Some(name) = drop_in {
        fs::copy(deployed.join(name), place.join("tracer.service.d").join(name)).unwrap();
    }
    directory.to_owned()
}

fn analyze(root: &Path, options: &[&str]) -> String {
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--root"]).arg(root).args(options);
    let output = analyze.arg("tracer.service").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // It says nothing, and fails, of what is more exposed than `--threshold=`.
    assert!(output.status.success(), "{options:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What systemd finds exposed.
fn exposed(root: &Path) -> BTreeSet<String> {
    let points: Value = serde_json::from_str(&analyze(root, &["--json=short"])).unwrap();
    let points = points.as_array().unwrap().iter();
    let left = points.filter(|point| point["exposure"].as_str().is_some_and(|left| left != "0.0"));
    left.filter_map(|point| point["json_field"].as_str().map(str::to_owned)).collect()
}

/// The table in docs/service.md: point, reason, and whether it is left in the restricted unit.
fn explained(column: usize) -> BTreeSet<String> {
    let document = fs::read_to_string(repository().join("docs/service.md")).unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let left = cells.filter(|cells| !cells[column].is_empty());
    left.map(|cells| cells[1].trim_matches('`').to_owned()).collect()
}

#[test]
fn each_point_that_is_left_has_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let whole = laid(&directory.path().join("whole"), None);
    assert_eq!(exposed(&whole), explained(2));
    let restricted = laid(&directory.path().join("restricted"), Some("restricted.conf"));
    assert_eq!(exposed(&restricted), explained(3));
}

#[test]
fn exposure_is_what_the_document_says() {
    let directory = tempfile::tempdir().unwrap();
    let whole = laid(&directory.path().join("whole"), None);
    analyze(&whole, &["--threshold=24"]);
    let restricted = laid(&directory.path().join("restricted"), Some("restricted.conf"));
    analyze(&restricted, &["--threshold=20"]);
    let document = fs::read_to_string(repository().join("docs/service.md")).unwrap();
    for (root, words) in [(&whole, "2.4 of 10"), (&restricted, "1.8 with `restricted.conf`")] {
        assert!(document.contains(words), "{words}");
        let overall = analyze(root, &[]);
        let overall = overall.lines().find(|line| line.contains("Overall")).unwrap();
        assert!(overall.contains(&format!(": {} ", &words[..3])), "{overall}");
    }
}
