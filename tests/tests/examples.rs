//! The examples that each help ends with, run as they stand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command, thread, time::Duration};

use tracer_tests::{netns::isolated, slowness::allowed, tracer::program};

/// Each command with a help of its own; `top` takes a terminal, which tests/top.rs has for it.
const COMMANDS: [&str; 11] = [
    "record",
    "trace",
    "exec",
    "diagnose",
    "sockets",
    "report",
    "replay",
    "daemon",
    "features",
    "schema",
    "completions",
];

/// Makes `tracer` the program under test, ended in order where it would go on for long: on a busy
/// machine `tracer features` alone took more than five seconds.
const PRELUDE: &str = r#"
set -o pipefail
tracer() { timeout --preserve-status --signal=INT "$SECONDS_EACH" "$TRACER" "$@"; }
"#;
const EACH: Duration = Duration::from_secs(5);

fn shell(script: &str, directory: &Path) -> (Option<i32>, String) {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("{PRELUDE}\n{script}")]).current_dir(directory);
    shell.env("SECONDS_EACH", allowed(EACH).as_secs().to_string());
    let output = shell.env("TRACER", program()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The lines of the help under `Examples:`, or the only one, without what they mean.
fn examples(command: &str) -> Vec<String> {
    let mut help = Command::new(program());
    let output = help.args([command, "--help"]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    if let Some(only) = text.lines().find_map(|line| line.strip_prefix("Example: ")) {
        return vec![only.split("  ").next().unwrap().to_owned()];
    }
    let lines = text.lines().skip_while(|line| *line != "Examples:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    lines.map(|line| line.trim_start().split("  ").next().unwrap().to_owned()).collect()
}

fn try_all(command: &str, recording: &Path) {
    let examples = examples(command);
    assert!(!examples.is_empty(), "{command}");
    let directory = tempfile::tempdir().unwrap();
    fs::copy(recording, directory.path().join("trace.json")).unwrap();
    fs::write(directory.path().join("tracer.toml"), "output = \"service.json\"\n").unwrap();
    for example in examples {
        let (status, errors) = shell(&example, directory.path());
        let findings = command == "diagnose" && status == Some(1);
        // The status is that of curl, for which there is nobody to connect to.
        let curls = command == "exec" && matches!(status, Some(6 | 7));
        assert!(status == Some(0) || findings || curls, "{example}: {status:?}: {errors}");
    }
}

#[test]
fn the_examples_of_each_help_work() {
    isolated(|_| {
        let directory = tempfile::tempdir().unwrap();
        let record = "tracer --format json -o trace.json -d 1s";
        assert_eq!(shell(record, directory.path()).0, Some(0));
        let recording = directory.path().join("trace.json");
        thread::scope(|scope| {
            for command in COMMANDS {
                // Threads start in the namespace of the one that starts them.
                scope.spawn(|| try_all(command, &recording));
            }
        });
    });
}
