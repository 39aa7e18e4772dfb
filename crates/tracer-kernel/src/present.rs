//! What there is on this host now, by the names that filters take. What may not be looked at is left
//! out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
};

use super::{cgroup, names::NAMED, process};
use tracer_event::escape::escape;

/// Names of network namespaces, as `ip netns` has them.
pub fn named_namespaces() -> Vec<String> {
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The network namespaces that processes are in, each with the name of one of them.
pub fn namespaces() -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    for process in process::all() {
        let Ok(namespace) = fs::metadata(process.join("ns/net")) else { continue };
        found.entry(namespace.ino()).or_insert_with(|| {
            let comm = fs::read(process.join("comm")).unwrap_or_default();
            escape(comm.trim_ascii_end()).into_owned()
        });
    }
    found
}

/// The containers that processes are in.
pub fn containers() -> BTreeSet<String> {
    let of = |lines: Vec<u8>| cgroup::of_process(&lines, cgroup::owner_in)?.container;
    let groups = process::all().filter_map(|process| fs::read(process.join("cgroup")).ok());
    groups.filter_map(of).map(|id| String::from(&*id)).collect()
}
