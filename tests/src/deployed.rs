//! What is in `deploy/`: the objects that kustomize makes of it.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde::Deserialize as _;
use serde_json::Value;

use crate::receiver::fetched;

/// Where the sources are.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The objects that kustomize makes of a directory of `deploy/kubernetes`.
pub fn rendered(overlay: &str) -> Vec<Value> {
    let directory = repository().join("deploy/kubernetes").join(overlay);
    let mut kubectl = Command::new(fetched("kubernetes/bin/kubectl"));
    let output = kubectl.arg("kustomize").arg(directory).output().expect("kubectl renders objects");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{overlay}: {said}");
    let text = String::from_utf8(output.stdout).expect("kubectl renders objects");
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents
        .map(|document| Value::deserialize(document).expect("kubectl renders objects"))
        .collect()
}

/// The object of a kind, of which there is one.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "two of {kind}");
    object
}

/// The items of a list; none of what is no list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}: no text"))
}

/// A field of each item of a list.
pub fn texts<'a>(values: &'a Value, field: &str) -> BTreeSet<&'a str> {
    list(values).iter().map(|value| text(&value[field])).collect()
}
