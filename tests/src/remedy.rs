//! Commands that findings print, run as somebody would who has copied them.

use std::process::{Command, Output};

use crate::record::Record;

/// Runs the only command of a finding with a word in it, as somebody would who has copied it.
#[track_caller]
pub fn run_command(finding: &Record, word: &str) -> Output {
    let remedies = finding.at("/finding/remedies").as_array().expect("remedies");
    assert!(remedies.len() <= 3, "{finding}");
    let commands = remedies.iter().filter_map(|one| one["command"].as_str());
    let of_word: Vec<&str> = commands.filter(|command| command.contains(word)).collect();
    let [one] = of_word[..] else { panic!("{word}: {finding}") };
    Command::new("sh").args(["-c", one]).output().expect("a shell")
}

/// The same; it succeeds.
#[track_caller]
pub fn succeeds(finding: &Record, word: &str) -> String {
    let output = run_command(finding, word);
    assert!(output.status.success() && output.stderr.is_empty(), "{word}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}
