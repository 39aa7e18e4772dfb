//! A static binary out of what cargo has compiled for the usual one.
//!
//! Asked by `RUSTFLAGS` for a static binary, cargo compiles every dependency anew, with `--target`
//! in another directory as well; `cargo rustc`, whose flags are for the binary alone, chooses
//! other features for the dependencies than the workspace has together. Only linking differs, so
//! the binary's few lines are compiled and linked by the compiler itself against the library that
//! cargo names.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process;

const PACKAGE: &str = "tracer";

/// Runs this build, then links its binary once more, static and without symbols, into `output`.
pub(super) fn link(mut build: Command, output: &Path) -> Result<PathBuf> {
    build.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let mut child = build.spawn().context("cannot start cargo")?;
    let messages = std::io::read_to_string(child.stdout.take().context("cargo says nothing")?)?;
    process::wait(&mut child)?;
    let parts = Parts::of(&messages).context("cargo has not said what tracer is made of")?;
    let directory = output.parent().context("no directory to link into")?;
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    process::show(&mut parts.link(output)).context("cannot link tracer statically")?;
    ensure!(output.exists(), "the compiler has made no {}", output.display());
    Ok(output.to_owned())
}

/// What the binary is made of.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    /// Where `main` is.
    source: PathBuf,
    edition: String,
    /// The library that does all the work.
    library: PathBuf,
}

impl Parts {
    /// Of cargo's messages, a JSON object a line.
    fn of(messages: &str) -> Option<Self> {
        let artifacts: Vec<Value> =
            messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let artifact = |kind: &str| {
            artifacts.iter().find(|artifact| {
                artifact["target"]["name"] == PACKAGE && artifact["target"]["kind"][0] == kind
            })
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (binary, library) = (&artifact("bin")?["target"], artifact("lib")?);
        let mut files = library["filenames"].as_array()?.iter().filter_map(Value::as_str);
        Some(Self {
            source: text(&binary["src_path"])?.into(),
            edition: text(&binary["edition"])?,
            library: files.find(|file| file.ends_with(".rlib"))?.into(),
        })
    }

    fn link(&self, output: &Path) -> Command {
        let joined = |start: &str, path: &Path| {
            let mut argument = OsString::from(start);
            argument.push(path);
            argument
        };
        let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut rustc = Command::new(compiler);
        rustc.args(["--crate-name", PACKAGE, "--edition", &self.edition]).arg(&self.source);
        rustc.arg("--extern").arg(joined("tracer=", &self.library));
        let dependencies = self.library.parent().unwrap_or(Path::new("."));
        rustc.arg("-L").arg(joined("dependency=", dependencies));
        rustc.args(["-C", "opt-level=3", "-C", "strip=symbols"]);
        rustc.args(["-C", "target-feature=+crt-static"]);
        rustc.arg("-o").arg(output);
        rustc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_those_of_the_package() {
        let messages = r#"
            {"target":{"kind":["lib"],"name":"tracer_wire"},"filenames":["/t/libtracer_ebpf.rlib"]}
            {"target":{"kind":["lib"],"name":"tracer"},"filenames":["/t/a.rmeta","/t/a.rlib"]}
            {"target":{"kind":["bin"],"name":"tracer","src_path":"/w/main.rs","edition":"2024"}}
            {"reason":"build-finished","success":true}"#;
        let parts = Parts::of(messages).unwrap();
        assert_eq!(parts.library, Path::new("/t/a.rlib"));
        assert_eq!(parts.source, Path::new("/w/main.rs"));
        assert_eq!(parts.edition, "2024");
        assert_eq!(Parts::of(""), None);
    }
}
