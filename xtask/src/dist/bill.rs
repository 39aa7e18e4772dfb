//! The bill of materials: what is in the binary, as CycloneDX.
//!
//! Made from what cargo itself says of both halves (`cargo metadata`). cargo-cyclonedx would be a
//! second build of two hundred crates for these lines, and knows nothing of the C library, which
//! a static binary has in it as well.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Release;
use super::io::{self, output};
use crate::cargo::Cargo;
use crate::workspace;

/// Crates by their id, and what each depends on.
#[derive(Default)]
struct Parts {
    components: BTreeMap<String, Value>,
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

fn describe(parts: &Parts, release: &Release, libc: &str) -> Result<String> {
    let mut components: Vec<&Value> = parts.components.values().collect();
    let libc = json!({"type": "library", "bom-ref": "glibc", "name": "glibc", "version": libc,
        "licenses": [{"expression": "LGPL-2.1-or-later"}]});
    components.push(&libc);
    let dependencies: Vec<Value> =
        parts.dependencies.iter().map(|(from, to)| json!({"ref": from, "dependsOn": to})).collect();
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": release.date("%Y-%m-%dT%H:%M:%SZ")?,
            "component": {
                "type": "application", "name": "tracer", "version": release.version,
                "bom-ref": "tracer", "licenses": [{"expression": "MIT OR Apache-2.0"}],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    Ok(serde_json::to_string_pretty(&bill)? + "\n")
}

/// Writes the bill beside the packages; `compiler` is that of C for the architecture.
pub(super) fn write(cargo: &Cargo, release: &Release, compiler: &str) -> Result<()> {
    let mut parts = Parts::default();
    let host = format!("{}-unknown-linux-gnu", release.architecture);
    parts.add(&metadata(cargo, &host)?, "tracer")?;
    parts.add(&metadata(cargo, "bpfel-unknown-none")?, "tracer-ebpf")?;
    let bill = describe(&parts, release, &libc(compiler)?)?;
    let path = release.directory.join(format!("{}.cdx.json", release.name()));
    io::write(&path, bill)
}

/// Version of the C library that this compiler links.
fn libc(compiler: &str) -> Result<String> {
    let mut asked = Command::new(compiler);
    asked.args(["-E", "-dM", "-include", "features.h", "-x", "c", "/dev/null"]);
    let said = output(&mut asked)?;
    let number = |name: &str| {
        let found = said.lines().find_map(|line| line.strip_prefix("#define ")?.strip_prefix(name));
        found.with_context(|| format!("{compiler} knows no {name}")).map(str::trim)
    };
    Ok(format!("{}.{}", number("__GLIBC__ ")?, number("__GLIBC_MINOR__ ")?))
}

/// What cargo knows of the workspace for a target.
fn metadata(cargo: &Cargo, target: &str) -> Result<Value> {
    let options = ["metadata", "--format-version=1", "--locked", "--filter-platform", target];
    let text = output(cargo.command(&options).args(workspace::FEATURES))?;
    serde_json::from_str(&text).context("cargo metadata writes no JSON")
}

impl Parts {
    /// Adds a package of the workspace and all that it is linked with.
    fn add(&mut self, metadata: &Value, package: &str) -> Result<()> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let by_id = |values: Vec<Value>| -> BTreeMap<String, Value> {
            let id = |value: Value| Some((value["id"].as_str()?.to_owned(), value));
            values.into_iter().filter_map(id).collect()
        };
        let packages = by_id(list(&metadata["packages"]));
        let nodes = by_id(list(&metadata["resolve"]["nodes"]));
        let mut waiting: Vec<String> = packages
            .iter()
            .filter(|(_, described)| described["name"] == package)
            .map(|(id, _)| id.clone())
            .collect();
        anyhow::ensure!(!waiting.is_empty(), "cargo metadata does not know {package}");
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            let linked = list(&nodes[&id]["deps"]);
            let linked = linked.iter().filter(|dependency| is_linked(dependency));
            let linked: Vec<&str> =
                linked.filter_map(|dependency| dependency["pkg"].as_str()).collect();
            let name = reference(&packages[&id]);
            let dependencies = self.dependencies.entry(name.clone()).or_default();
            dependencies.extend(linked.iter().map(|id| reference(&packages[*id])));
            waiting.extend(linked.into_iter().map(str::to_owned));
            if name != "tracer" {
                self.components.insert(name, component(&packages[&id]));
            }
        }
        Ok(())
    }
}

/// Not one of build scripts or tests.
fn is_linked(dependency: &Value) -> bool {
    let kinds = dependency["dep_kinds"].as_array();
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

/// The name of a crate within the bill: its package URL; the workspace's own have none.
fn reference(package: &Value) -> String {
    let (name, version) = (text(&package["name"]), text(&package["version"]));
    if package["source"].is_null() { name } else { format!("pkg:cargo/{name}@{version}") }
}

fn component(package: &Value) -> Value {
    let name = reference(package);
    let mut component = json!({"type": "library", "bom-ref": name,
        "name": package["name"], "version": package["version"]});
    if name.starts_with("pkg:") {
        component["purl"] = name.into();
    }
    if let Some(license) = package["license"].as_str() {
        // The way it was written before SPDX.
        let expression = license.replace('/', " OR ");
        component["licenses"] = json!([{"expression": expression}]);
    }
    component
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
