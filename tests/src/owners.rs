//! Who holds the sockets of a namespace: by the tracer, and by `ss`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{kernel::ss, netns::Namespace, tracer};

/// Local and peer address of each socket and its first holder, listeners and what is connected.
pub type Owners = BTreeMap<(String, String), Option<u64>>;

/// As `tracer sockets` has them.
///
/// # Panics
///
/// Where it fails.
pub fn owners(namespace: &Namespace) -> Owners {
    let text = tracer::sockets(namespace, &["--format", "json"]);
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut owners = Owners::new();
    for record in records.filter(|record| record["kind"] == "socket") {
        let state = record["tcp"]["state"].as_str().unwrap();
        if ["LISTEN", "ESTABLISHED", "CLOSE_WAIT"].contains(&state) {
            let end = |end: &str| {
                let end = &record["network"][end];
                let port = end["port"].as_u64().filter(|port| *port > 0);
                let port = port.map_or_else(|| "*".to_owned(), |port| port.to_string());
                format!("{}:{port}", end["address"].as_str().unwrap_or("*"))
            };
            let ends = (end("local"), end("peer"));
            owners.insert(ends, record["processes"][0]["pid"].as_u64());
        }
    }
    owners
}

/// As `ss` has them, which names the owner of an MPTCP socket in the lines of MPTCP only.
///
/// # Panics
///
/// Where it fails.
pub fn owners_by_ss() -> Owners {
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pid = line.split("pid=").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok());
        (words[0].to_owned(), (words[3].to_owned(), words[4].to_owned()), pid)
    };
    let of_mptcp: Owners =
        ss(&["-HManp"]).lines().map(of_line).map(|(_, ends, pid)| (ends, pid)).collect();
    let mut owners = Owners::new();
    for (state, ends, pid) in ss(&["-Htanp"]).lines().map(of_line) {
        if ["LISTEN", "ESTAB", "CLOSE-WAIT"].contains(&&*state) {
            let pid = pid.or_else(|| of_mptcp.get(&ends).copied().flatten());
            owners.insert(ends, pid);
        }
    }
    owners
}
