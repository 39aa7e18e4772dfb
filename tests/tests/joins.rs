//! The views of docs/fleet.md, which join both ends of connections, in the databases that they are for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

use tracer_tests::{
    background::Background,
    database::{database, duckdb},
    load,
    netns::isolated,
    sockets::eventually,
};

/// The ends of fifty connections, recorded by two tracers: one that reports what arrives at the
/// server's port, and one the rest of it.
fn both_ends() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    isolated(|namespace| {
        load::prepare(namespace);
        let tracers = ["client", "server"].map(|role| {
            let path = directory.path().join(format!("{role}.json"));
            let options = ["--format", "json", "--output", path.to_str().unwrap(), "role", role];
            Background::tracer("", namespace, &options)
        });
        eventually("all are attached", || tracers.iter().all(Background::is_attached));
        load::connections(50);
        tracers.into_iter().for_each(Background::finish);
    });
    directory
}

/// The views of docs/fleet.md, as they stand there, of the files in a directory.
fn views(number: usize, directory: &tempfile::TempDir) -> String {
    let document = include_str!("../../docs/fleet.md");
    let block = document.split("```sql\n").nth(number + 1).unwrap();
    let (views, _) = block.split_once("```").unwrap();
    views.replace("'*.json'", &format!("'{}/*.json'", directory.path().display()))
}

#[test]
fn duckdb_joins_both_ends_of_connections_as_documented() {
    let directory = both_ends();
    let views = views(0, &directory);
    let sql = format!(
        "{views} SELECT count(*), count(DISTINCT community_id), \
         count(*) FILTER (client LIKE '%client.json' AND server LIKE '%server.json'), \
         count(*) FILTER (arrived = acknowledged AND client_close = server_close) FROM pairs"
    );
    assert_eq!(duckdb(&sql), [["50"; 4]]);
}

#[test]
fn clickhouse_joins_both_ends_of_connections_as_documented() {
    let directory = both_ends();
    let views = views(1, &directory);
    let sql = format!(
        "{views} SELECT count(), uniqExact(community_id), \
         countIf(client LIKE '%client.json' AND server LIKE '%server.json'), \
         countIf(arrived = acknowledged AND client_close = server_close) FROM pairs"
    );
    // One statement at a time; only the last one answers.
    let script = "import sys\n\
        from chdb.session import Session\n\
        session = Session()\n\
        for one in sys.argv[1].split(';'): answer = session.query(one, 'TSV')\n\
        print(answer)";
    let output = Command::new("python3")
        .env("PYTHONPATH", database("chdb", &["chdb-core-lite", "pyarrow", "pandas"]))
        .args(["-c", script, &sql])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "50\t50\t50\t50");
}
