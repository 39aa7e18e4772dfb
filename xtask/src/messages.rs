//! What cargo says of the test programs that it builds (`--message-format json`).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Of the options of a call to which [`test_programs`] listens.
const FORMAT: [&str; 2] = ["--message-format", "json-render-diagnostics"];

/// A program of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestProgram {
    /// What it tries: a file in `tests`, or a crate by its own tests.
    pub(crate) name: String,
    /// Whether it is a file in `tests`.
    pub(crate) is_integration: bool,
    /// Its package.
    pub(crate) package: String,
    /// That package's directory, in which it is to be run.
    pub(crate) directory: PathBuf,
    /// Its first source file.
    pub(crate) source: PathBuf,
    pub(crate) program: PathBuf,
}

/// Calls cargo, which is to build tests and to run none; in the order in which cargo would run them.
///
/// # Errors
///
/// Where cargo cannot be started, or one of them not be built.
pub(crate) fn test_programs(cargo: &mut Command) -> Result<Vec<TestProgram>> {
    let output = cargo.args(FORMAT).stderr(Stdio::inherit()).output();
    let output = output.context("cannot start cargo")?;
    ensure!(output.status.success(), "the tests cannot be built");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut programs: Vec<TestProgram> = text.lines().filter_map(test_program).collect();
    programs.sort_by(|a, b| a.order().cmp(&b.order()));
    Ok(programs)
}

impl TestProgram {
    fn order(&self) -> (&Path, bool, &str) {
        (&self.directory, self.is_integration, &self.name)
    }
}

/// What a line of cargo's messages says of a test program.
fn test_program(line: &str) -> Option<TestProgram> {
    let said: Value = serde_json::from_str(line).ok()?;
    let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str);
    if said.pointer("/profile/test") != Some(&Value::Bool(true)) {
        return None;
    }
    let kinds = said.pointer("/target/kind")?.as_array()?;
    let directory = Path::new(text("/manifest_path")?).parent()?;
    Some(TestProgram {
        name: text("/target/name")?.to_owned(),
        is_integration: kinds.iter().any(|kind| kind == "test"),
        package: package(text("/package_id")?, directory)?,
        directory: directory.to_owned(),
        source: text("/target/src_path")?.into(),
        program: text("/executable")?.into(),
    })
}

/// The name in a package id: `URL#NAME@VERSION`, or `URL#VERSION` where the directory has the name.
fn package(id: &str, directory: &Path) -> Option<String> {
    let (_, fragment) = id.split_once('#')?;
    match fragment.split_once('@') {
        Some((name, _)) => Some(name.to_owned()),
        None => Some(directory.file_name()?.to_str()?.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_told_from_what_else_cargo_builds() {
        let line = |kind: &str, executable: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///p#0.1.0",
                   "manifest_path":"/p/Cargo.toml",
                   "target":{{"kind":["{kind}"],"name":"n","src_path":"/p/tests/n.rs"}},
                   "profile":{{"test":{test}}},"executable":{executable}}}"#
            )
            .replace('\n', "")
        };
        let program = test_program(&line("test", r#""/t/n-1""#, true)).unwrap();
        let expected = TestProgram {
            name: "n".to_owned(),
            is_integration: true,
            package: "p".to_owned(),
            directory: "/p".into(),
            source: "/p/tests/n.rs".into(),
            program: "/t/n-1".into(),
        };
        assert_eq!(program, expected);
        assert!(!test_program(&line("lib", r#""/t/n-1""#, true)).unwrap().is_integration);
        assert_eq!(test_program(&line("test", "null", true)), None);
        assert_eq!(test_program(&line("bin", r#""/t/n""#, false)), None);
        assert_eq!(test_program("no JSON"), None);
    }

    #[test]
    fn a_package_has_a_name_of_its_own_or_that_of_its_directory() {
        let name = |id| package(id, Path::new("/w/tests"));
        assert_eq!(
            name("path+file:///w/tests#tracer-tests@0.1.0").as_deref(),
            Some("tracer-tests")
        );
        assert_eq!(name("path+file:///w/tests#0.1.0").as_deref(), Some("tests"));
    }
}
