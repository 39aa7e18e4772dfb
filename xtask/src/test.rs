//! `cargo xtask test`: every test of the workspace.
//!
//! All are built by one call of cargo, because another choice of packages would make cargo unify
//! features anew and compile the dependencies once more. The tests on real sockets need root; as
//! another user, the test programs are started by sudo, while the compiling stays the user's.
//!
//! The tests try what is not in the default build as well ([`workspace::FEATURES`]). A choice of tests
//! is cargo's to run. Without one, they are run from here ([`whole`]), because most of their time is
//! spent waiting, and some of them on an older and a newer kernel, too.

mod whole;

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::cargo::Cargo;
use crate::{dist, process, workspace};

/// Live tests listen, connect and wait at the same time; more of them at once disturb each other.
const AT_ONCE: &str = "2";

/// Makes cargo start test programs by sudo, in cargo's environment.
const AS_ROOT: [&str; 2] = ["--config", r#"target."cfg(all())".runner = ["sudo", "-E"]"#];

/// Cargo, and what the tests find in their environment.
struct Tests<'a> {
    cargo: &'a Cargo,
    environment: Vec<(&'static str, PathBuf)>,
}

pub(crate) fn test(
    cargo: &Cargo,
    receivers: &Path,
    debian: &Path,
    arguments: &[OsString],
) -> Result<()> {
    process::require_root()?;
    // Builds the binary that the tests run as well.
    let packages = dist::make(cargo)?;
    let environment = vec![
        ("TRACER_BIN", workspace::tracer()?),
        // Prometheus and the OTLP receiver.
        ("TRACER_RECEIVERS", receivers.to_owned()),
        ("TRACER_PACKAGES", packages),
        // A clean one to install a package in.
        ("TRACER_DEBIAN", debian.to_owned()),
    ];
    let tests = Tests { cargo, environment };
    if arguments.is_empty() { whole::run(&tests) } else { tests.by_cargo(arguments) }
}

impl Tests<'_> {
    /// A call of cargo: always with the same packages and features.
    fn call(&self) -> Command {
        let mut command = self.cargo.command(&["test", "--workspace", "--release", "--locked"]);
        command.args(workspace::FEATURES);
        self.prepare(&mut command);
        command
    }

    /// Runs tests by cargo alone.
    fn by_cargo(&self, arguments: &[impl AsRef<OsStr>]) -> Result<()> {
        let mut command = self.call();
        if !process::is_root() {
            command.args(AS_ROOT);
        }
        process::show(command.arg("--no-fail-fast").args(arguments))
    }

    /// Gives a command that runs tests what they find in their environment.
    fn prepare(&self, command: &mut Command) {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if env::var_os("RUST_TEST_THREADS").is_none() {
            command.env("RUST_TEST_THREADS", AT_ONCE);
        }
    }
}
