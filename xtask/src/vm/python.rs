//! Python for the machines: Debian's, with as much of its library as the tests import, which is a
//! twentieth of it.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::initramfs::{Debian, FileSystem};
use crate::architecture::Architecture;

/// Not the one on PATH, which may be elsewhere and of any kind.
const PROGRAM: &str = "/usr/bin/python3";
/// What the tests of [`super::suites::RUN`] import, and the names of hosts; then the files of all
/// that has been imported.
const SCRIPT: &str = "
import http.client, resource, select, signal, site, socket, struct, sys, threading, time
import encodings.idna
for module in list(sys.modules.values()):
    if getattr(module, '__file__', None):
        print(module.__file__)
";

/// Adds the program, its modules, and the libraries that either is linked with. Which modules these
/// are the host's Python says, also for another architecture's.
pub(super) fn add(files: &mut FileSystem, debian: &Debian) -> Result<()> {
    let mut python = Command::new(PROGRAM);
    // Without what else is installed here (-S).
    python
        .env_clear()
        .args(["-S", "-B", "-c", SCRIPT])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = python.output().with_context(|| format!("cannot start {PROGRAM}"))?;
    ensure!(output.status.success(), "{PROGRAM} lacks what the tests import");
    let (native, own) = (Architecture::native().libraries(), debian.architecture.libraries());
    for path in String::from_utf8(output.stdout)?.lines() {
        let path = path.replace(native, own);
        let from = debian.root.join(path.trim_start_matches('/'));
        if path.ends_with(".so") {
            files.program(&path, &from, debian)?;
        } else {
            files.file(&path, &from)?;
        }
    }
    files.named("python3", debian)
}
