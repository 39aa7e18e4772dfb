//! `cargo xtask test`: every test of the workspace in one call of cargo.
//!
//! One call, because another choice of packages would make cargo unify features anew and compile
//! the dependencies once more. The tests on real sockets need root; as another user, cargo starts
//! the test programs by sudo, while the compiling stays the user's.
//!
//! The tests try what is not in the default build as well ([`workspace::FEATURES`]). After those on this host,
//! some are run on an older and a newer kernel ([`vm::short`]).

use std::env;
use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use crate::cargo::Cargo;
use crate::{dist, process, vm, workspace};

/// Where the live tests find the binary.
const BINARY: &str = "TRACER_BIN";

/// Where they find Prometheus and the OTLP receiver.
const RECEIVERS: &str = "TRACER_RECEIVERS";
/// Where they find the packages.
const PACKAGES: &str = "TRACER_PACKAGES";
/// Where they find a clean Debian to install one in.
const DEBIAN: &str = "TRACER_DEBIAN";

/// Live tests listen, connect and wait at the same time; more of them at once disturb each other.
const AT_ONCE: &str = "2";

/// Makes cargo start test programs by sudo, in cargo's environment.
const AS_ROOT: [&str; 2] = ["--config", r#"target."cfg(all())".runner = ["sudo", "-E"]"#];

pub(crate) fn test(
    cargo: &Cargo,
    receivers: &Path,
    debian: &Path,
    arguments: &[OsString],
) -> Result<()> {
    process::require_root()?;
    // Builds the binary that the tests run as well.
    let packages = dist::make(cargo)?;
    let options = ["test", "--workspace", "--release", "--locked", "--no-fail-fast"];
    let mut command = cargo.command(&options);
    command.args(workspace::FEATURES);
    command.env(BINARY, workspace::tracer()?).env(RECEIVERS, receivers);
    command.env(PACKAGES, packages).env(DEBIAN, debian);
    if env::var_os("RUST_TEST_THREADS").is_none() {
        command.env("RUST_TEST_THREADS", AT_ONCE);
    }
    if !process::is_root() {
        command.args(AS_ROOT);
    }
    process::show(command.args(arguments))?;
    // A choice of tests is one of tests on this host.
    if arguments.is_empty() { vm::short(cargo) } else { Ok(()) }
}
