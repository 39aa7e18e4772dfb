//! Databases that read what the tracer writes.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{netns::run, tracer::program};

/// A database for Python with what it needs, installed once beside what cargo builds.
pub fn database(module: &str, packages: &[&str]) -> PathBuf {
    let target = program().ancestors().nth(2).expect("a directory").join(module);
    if !target.join(module).exists() {
        let place = target.to_str().expect("a name");
        let install = ["-m", "pip", "install", "--quiet", "--target", place];
        run("python3", &[&install, packages].concat());
    }
    target
}

/// The answer of DuckDB to a query, row by row, the values as text.
pub fn duckdb(sql: &str) -> Vec<Vec<String>> {
    let script = "import duckdb, json, sys\n\
        rows = duckdb.sql(sys.argv[1]).fetchall()\n\
        print(json.dumps([[str(value) for value in row] for row in rows]))";
    let output = Command::new("python3")
        .env("PYTHONPATH", database("duckdb", &["duckdb"]))
        .args(["-c", script, sql])
        .stdin(Stdio::null())
        .output()
        .expect("live tests need python3 and pip");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
