//! What is put into the machines: the program under test, the live tests, what they start.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    architecture::Architecture,
    initramfs::{FileSystem, stripped},
    suites,
};
use crate::cargo::Cargo;
use crate::process::{self, say};
use crate::test;
use crate::workspace;

/// Programs of the package of the tests: their paths are compiled into the tests.
const COMPANIONS: [&str; 3] = ["peer", "load", "fault"];
/// The first process (`tests/src/bin/guest.rs`), and where it finds the program under test.
const GUEST: &str = "guest";
const PROGRAM: &str = "/usr/bin/tracer";
/// Names under which one program is several.
const LINKS: [(&str, &str); 3] =
    [("/bin/sh", "/usr/bin/sh"), ("/sbin/modprobe", "/usr/bin/kmod"), ("/usr/bin/modprobe", "kmod")];

/// Programs that are ready.
pub(super) struct Built {
    tracer: PathBuf,
    /// By name, in the order in which they are to be run.
    tests: Vec<(String, PathBuf)>,
}

/// Builds the tests, and the program: linked statically, or that of the live tests as it is.
pub(super) fn build(
    cargo: &Cargo,
    architecture: Architecture,
    chosen: &[&str],
    is_static: bool,
) -> Result<Built> {
    ensure!(architecture == Architecture::X86, "{architecture} is not built yet");
    let built = test_programs(cargo, chosen)?;
    let program = |name: &&str| {
        let found = built.iter().find(|(built, _)| built == name);
        found.cloned().with_context(|| format!("cargo has built no test {name}"))
    };
    let tests = chosen.iter().map(program).collect::<Result<_>>()?;
    let tracer = if is_static { static_program(cargo, architecture)? } else { workspace::tracer()? };
    Ok(Built { tracer, tests })
}

/// Builds test programs, with the features that all the others have: their names and paths.
fn test_programs(cargo: &Cargo, chosen: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let options = ["test", "--workspace", "--release", "--locked", "--no-run"];
    let mut command = cargo.command(&options);
    command.args(chosen.iter().flat_map(|name| ["--test", name]));
    command.args(test::FEATURES).args(["--message-format", "json-render-diagnostics"]);
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the tests cannot be built");
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.lines().filter_map(test_program).collect())
}

fn test_program(line: &str) -> Option<(String, PathBuf)> {
    let said: Value = serde_json::from_str(line).ok()?;
    let target = &said["target"];
    let is_test = target["kind"].as_array()?.iter().any(|kind| kind == "test");
    let program = said["executable"].as_str()?;
    is_test.then(|| Some((target["name"].as_str()?.to_owned(), program.into()))).flatten()
}

/// The program with its libraries in it. Only with a target do the flags leave macros alone, which
/// are libraries that the compiler loads.
fn static_program(cargo: &Cargo, architecture: Architecture) -> Result<PathBuf> {
    say("building tracer, linked statically");
    let target = architecture.target();
    let mut command = cargo.command(&["build", "--release", "--locked", "--package", "tracer"]);
    command.args(["--bin", "tracer", "--target", target]);
    process::show(command.env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    Ok(workspace::target()?.join(target).join("release/tracer"))
}

impl Built {
    /// All but the modules; copies go to `directory`.
    pub(super) fn file_system(&self, directory: &Path) -> Result<FileSystem> {
        let release = workspace::target()?.join("release");
        let mut files = FileSystem::new();
        let mut add = |path: &str, program: &Path| {
            files.program(path, &stripped(program, "strip", directory)?)
        };
        add("/init", &release.join(GUEST))?;
        add(PROGRAM, &self.tracer)?;
        for companion in COMPANIONS {
            let program = release.join(companion);
            add(&program.to_string_lossy(), &program)?;
        }
        let mut plan = String::new();
        for (name, program) in &self.tests {
            add(&format!("/tests/{name}"), program)?;
            plan += &format!("{name} /tests/{name}\n");
        }
        for program in suites::PROGRAMS {
            files.host_program(program)?;
        }
        for (path, target) in LINKS {
            files.link(path, target);
        }
        files.text("/plan", &plan);
        // With which tests compare.
        let docs = workspace::root().join("docs");
        files.tree(&docs.to_string_lossy(), &docs)?;
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_told_from_what_else_cargo_builds() {
        let line = |kind: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"n"}},
                   "executable":{executable}}}"#
            )
            .replace('\n', "")
        };
        let program = test_program(&line("test", r#""/t/n-1""#)).unwrap();
        assert_eq!(program, ("n".to_owned(), PathBuf::from("/t/n-1")));
        assert_eq!(test_program(&line("test", "null")), None);
        assert_eq!(test_program(&line("bin", r#""/t/n""#)), None);
        assert_eq!(test_program("no JSON"), None);
    }
}
